/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drift: does live traffic still look like what a plan was trained on? (docs/drift.md)
 *
 * Counted per sub-model, one count per fresh answer (packet-level or flow-level, not a stored one, not in a
 * collision): the range row that every feature fell into, the leaf that every tree reached, the class that was claimed, and
 * the confidence of claims. Data sets and devices count the same things, so that the two agree exactly on the same packets. A
 * profile holds the counts of the training flows and, per count, how far it moves by itself: the distances
 * between folds of the training flows and the rest of them.
 */
#ifndef DUNE_DRIFT_H
#define DUNE_DRIFT_H

#include "dune/plan.h"

struct dune_buf;
struct dune_jsonw;
struct json_t;

struct dune_drift_submodel {
    uint64_t answers;
    uint32_t n_classes;   /* of the plan */
    uint64_t *claims;     /* [n_classes + 1] by plan class id; 0: no claim */
    uint64_t *confidence; /* [n_classes + 1] sum over the claims */
    uint32_t n_feats;
    uint32_t *n_rows;     /* [n_feats] */
    uint64_t **hits;      /* [n_feats][n_rows] */
    uint32_t n_trees;
    uint32_t *n_leaves;   /* [n_trees] */
    uint64_t **leaves;    /* [n_trees][n_leaves], in the order of the plan's leaves */
};
struct dune_drift_counts { /* sub-models in the order of the plan */
    uint32_t n;
    struct dune_drift_submodel *sub;
};
void dune_drift_counts_init(struct dune_drift_counts *c, const struct dune_plan *p); /* all zero */
void dune_drift_counts_fini(struct dune_drift_counts *c);
void dune_drift_counts_clear(struct dune_drift_counts *c);
/* c += sign * more; both of one plan. sign: 1 or -1. */
void dune_drift_counts_add(struct dune_drift_counts *c, const struct dune_drift_counts *more, int sign);
/* One fresh answer of sub-model k; features has DUNE_N_FEATURES. The plan's trees have nodes (it was read or verified). */
void dune_drift_note(struct dune_drift_counts *c, const struct dune_plan *p, uint32_t k, const uint32_t *features,
                     const struct dune_sub_answer *a);
uint64_t dune_drift_answers(const struct dune_drift_counts *c); /* most of any sub-model */

/* As text, for those who count and those who compare elsewhere: sub-models without answers are left out. Parsing takes
 * counts of the plan (dune_drift_counts_init), clears them, and refuses what does not have the plan's shape. */
void dune_drift_counts_format(const struct dune_drift_counts *c, struct dune_buf *out);
int dune_drift_counts_parse(struct dune_drift_counts *c, const char *text, size_t len, struct dune_diag *d) DUNE_MUST_USE;

/*
 * What the chain of a plan counts on the flows with use[flow] != 0 (NULL: all), each alone on tables without
 * collisions. Errors: DUNE_E_INPUT when a sub-model needs more packets of a flow than the data set keeps.
 */
int dune_drift_count_flows(struct dune_drift_counts *c, const struct dune_plan *p, const struct dune_dataset *ds,
                           const uint8_t *use, struct dune_diag *d) DUNE_MUST_USE;

/* --- profiles ------------------------------------------------------------------------------------------ */
/* The distances of one sub-model: features: largest difference of the distribution functions
 * (Kolmogorov-Smirnov); claims: difference of shares; confidence: difference of means over 255. All 0..1. */
struct dune_drift_limits {
    double *feature;    /* [n_feats] */
    double *claims;     /* [n_classes + 1] */
    double *confidence; /* [n_classes + 1] */
    double leaves;      /* divergence of leaf occupancy, see dune_drift_leaves; not bounded by 1 */
};
struct dune_drift_profile {
    char plan_hash[33]; /* of the plan without its generation and without devices behind the last sub-model */
    char *data_hash;
    uint32_t folds;
    uint64_t fold_answers; /* mean over the folds, of the sub-model with most */
    struct dune_drift_counts expected;
    bool has_leaves; /* false: made before leaves were counted */
    struct dune_drift_limits *limit; /* [n sub-models] */
};
void dune_drift_plan_hash(const struct dune_plan *p, char hash[33]);
/*
 * Learns a profile from the train flows. window: flows that a check will look at, 0: 500; the train flows are
 * cut into folds of about this size (8 to 16 of them). A limit is the larger of the greatest distance of a
 * fold from the rest and the mean of these distances plus three standard deviations. The limit of leaf occupancy
 * is the larger of the greatest of its fold divergences and the quantile 1 - DUNE_DRIFT_LEAF_ALARMS / (number of sub-models)
 * of the scaled chi-square distribution with their mean and variance: windows that vary as the folds do exceed it
 * in at most that share of cases, all sub-models together.
 */
#define DUNE_DRIFT_LEAF_ALARMS 0.01
int dune_drift_learn(struct dune_drift_profile **out, const struct dune_plan *p, const struct dune_dataset *ds,
                     uint64_t window, struct dune_diag *d) DUNE_MUST_USE;
void dune_drift_profile_free(struct dune_drift_profile *f);
/* profile.json: docs/formats/drift.md. Reading needs the plan and refuses the profile of another one. */
int dune_drift_profile_write(const struct dune_drift_profile *f, const struct dune_plan *p, const char *path,
                             struct dune_diag *d) DUNE_MUST_USE;
void dune_drift_profile_format(const struct dune_drift_profile *f, const struct dune_plan *p, struct dune_buf *out);
int dune_drift_profile_parse(struct dune_drift_profile **out, const struct dune_plan *p, const char *name,
                             const char *text, size_t len, struct dune_diag *d) DUNE_MUST_USE;
int dune_drift_profile_read(struct dune_drift_profile **out, const struct dune_plan *p, const char *path,
                            struct dune_diag *d) DUNE_MUST_USE;

/* --- checking ------------------------------------------------------------------------------------------- */
enum dune_drift_kind { DUNE_DRIFT_FEATURE, DUNE_DRIFT_LEAVES, DUNE_DRIFT_CLAIMS, DUNE_DRIFT_CONFIDENCE };
enum { DUNE_DRIFT_BY = 3 };
const char *dune_drift_kind_name(enum dune_drift_kind k);
struct dune_drift_signal {
    enum dune_drift_kind kind;
    uint32_t sub, index;  /* position of the sub-model; its feature, or plan class id (0: no claim) */
    const char *name;     /* of the feature or class, borrowed from catalog or plan; "no claim"; leaves: of by[0] */
    double distance, limit;
    struct {              /* leaves: the features on the paths that make most of the divergence, and their shares of it */
        const char *name; /* NULL: no more */
        double share;
    } by[DUNE_DRIFT_BY];
    double expected, seen; /* share or mean confidence; features: 0 */
    bool moved;
};
struct dune_drift_check {
    uint64_t answers;
    bool enough;  /* a quarter of a fold at least; else nothing is said to have moved */
    size_t n;
    struct dune_drift_signal *signal; /* what exceeds its limit most comes first */
    uint32_t n_features_moved, n_leaves_moved, n_moved;
    bool alarm; /* a feature or leaf occupancy has moved */
};
/* Where fewer answers were seen than a fold has, limits grow with the square root, that of leaves in proportion. */
void dune_drift_compare(struct dune_drift_check *out, const struct dune_drift_profile *f, const struct dune_plan *p,
                        const struct dune_drift_counts *seen);
void dune_drift_check_fini(struct dune_drift_check *k);
/* "ip.len (0.41 > 0.12), ..." of the features that moved, each once, at most max; "" for none. */
void dune_drift_names(const struct dune_drift_check *k, unsigned max, struct dune_buf *out);
/* The same, and behind it "leaves of sub-model 3 (0.21 > 0.05, by ip.len 71 %, srcport 20 %), ..." of those that moved. */
void dune_drift_moved(const struct dune_drift_check *k, const struct dune_plan *p, unsigned max, struct dune_buf *out);
/*
 * How far leaf occupancy is from the expected one: the sum over inner nodes of how far apart the ways taken there are (0 to 2),
 * weighted by the share of answers that come by, mean over the trees. Twice the answers times this is a chi-square statistic with
 * one degree of freedom per node where nothing moved and answers are independent. by[j], unless by is NULL, gets the sum over
 * the nodes that test feature j: they add up to the result. Leaves below a node that fewer than 20 expected
 * answers reached count as one. Negative: one has no answers.
 */
double dune_drift_leaves(const struct dune_submodel *sm, const struct dune_drift_submodel *seen,
                         const struct dune_drift_submodel *expected, double *by);

#endif
