/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sub-models: fitting small forests to blocks of classes, and scoring chains of them before anything
 * is compiled.
 *
 * A *space* holds the flows that planning may look at (train, never test), their feature tables per
 * (n, mode) and the *items* that are scored: packet i of a flow for i < N, and packet N standing for
 * all later ones, where N is the largest inference point considered. An *answer column* holds what
 * one sub-model says on every item. Chains are scored by combining columns, so orders, claim rules and
 * thresholds cost no training. A space is shared read-only between threads once its views exist.
 */
#ifndef DUNE_SUBMODELS_H
#define DUNE_SUBMODELS_H

#include "dune/forest.h"
#include "dune/metrics.h"
#include "dune/partition.h"
#include "dune/plan.h"

struct dune_space_view { /* one (n, mode): all features of the catalog that such a plan can use */
    struct dune_table table;
    struct dune_trainer *trainer;
    uint32_t *row0; /* [n_flows + 1] first row of a flow */
    struct dune_table twice;           /* every row two times: see dune_space_prepare_soft */
    struct dune_trainer *soft_trainer; /* on it, or NULL */
};

struct dune_space {
    const struct dune_dataset *ds; /* borrowed */
    uint32_t n_flows;              /* flows in the space */
    uint32_t *flow;                /* [n_flows] index in the data set */
    uint32_t n_classes;            /* of the data set */
    unsigned max_n;                /* N: items per flow at most */
    unsigned threads;
    size_t n_items;
    uint32_t *item_flow; /* [n_items] index into flow */
    uint8_t *item_pos;   /* packet number 1..max_n */
    uint16_t *item_cls;
    uint64_t *item_w;    /* flow level: DUNE_WEIGHT_ONE per flow in total */
    uint64_t *item_pkts; /* packet level: packets this item stands for */
    uint32_t *weight;    /* [n_classes] of a flow, in 1/65536, or NULL: all 1; see dune_space_weigh */
    struct dune_space_view *view[16][DUNE_N_MODES]; /* [n][mode], made by dune_space_view */
};

/* Space over the flows with use[flow] != 0 (NULL: all flows of that split). */
int dune_space_new(struct dune_space **out, const struct dune_dataset *ds, enum dune_split split,
                   const uint8_t *use, unsigned max_n, unsigned threads, struct dune_diag *d) DUNE_MUST_USE;
void dune_space_free(struct dune_space *s);
/* Flows of class c weigh weight[c] / 65536, in training and at flow level; right after dune_space_new. */
void dune_space_weigh(struct dune_space *s, const uint32_t *weight);
/* The validation split of train as flow masks of the space, [n_flows] each (dune_validation_make). */
void dune_space_validation(const struct dune_space *s, uint8_t *train, uint8_t *valid);
/* Makes the table and trainer of (n, mode) once; not thread-safe, call before going parallel. */
int dune_space_prepare(struct dune_space *s, unsigned n, enum dune_mode mode, struct dune_diag *d) DUNE_MUST_USE;

/* --- soft labels ---------------------------------------------------------------------------------- */
/* What somebody else holds of every row of a view: the strongest class besides its own, and the share of that
 * one in the two. */
struct dune_soft {
    uint16_t *rival; /* [n_rows] DUNE_NO_CLASS: nobody was asked, or there is none */
    float *share;    /* [n_rows] 0..1 */
};
/* The same for tables of soft labels, after the view itself; rows r and n_rows + r are the same. */
int dune_space_prepare_soft(struct dune_space *s, unsigned n, enum dune_mode mode, struct dune_diag *d) DUNE_MUST_USE;
/* out[i], i < n_parts: labels for who does not see part i (part[space flow], 3 to 16 parts; flows outside all
 * parts are always seen and keep their labels); out[n_parts]: for who sees all. Rows are told by unconstrained
 * forests that have seen neither part i nor the row's own part. n_parts + 1 to free, also after an error. */
int dune_soft_make(struct dune_soft *out, struct dune_space *s, unsigned n, enum dune_mode mode, const uint8_t *part,
                   unsigned n_parts, uint64_t seed, struct dune_diag *d) DUNE_MUST_USE;
/* The same of a model that was asked before (dune_model_tell), alike for everybody. */
struct dune_told;
int dune_soft_told(struct dune_soft *out, struct dune_space *s, unsigned n, enum dune_mode mode, unsigned n_parts,
                   const struct dune_told *told, struct dune_diag *d) DUNE_MUST_USE;
void dune_soft_fini(struct dune_soft *soft);

/* --- fitting -------------------------------------------------------------------------------------- */
enum dune_select { /* how features are chosen when there are more candidates than max_features */
    DUNE_SELECT_RFE,    /* recursive elimination by impurity decrease */
    DUNE_SELECT_NESTED, /* top-k of one ranking, as published */
    DUNE_SELECT_WRAP    /* recursive elimination, the last drops by regrowing without each feature */
};
struct dune_fit_cfg {
    unsigned n;
    enum dune_mode mode;
    dune_feature_mask features; /* candidates */
    uint32_t max_features;      /* 0: no limit */
    enum dune_select select;
    uint32_t n_trees;           /* 0: 1 */
    uint32_t max_leaves;        /* per tree; 0: unlimited */
    uint32_t max_depth;         /* 0: unlimited */
    double min_leaf;            /* in flows */
    double balance;             /* class-weight exponent a */
    double other_weight;        /* factor on rows of Other while growing; 0: 1 */
    double leaf_other;          /* factor on Other's weight in the leaves; 0: 1 */
    double spare;               /* share of leaves grown beyond max_leaves and merged back */
    double distil;              /* share of a row's weight that follows its soft label, 0..1 */
    double smooth;              /* pseudo-flows of the block's prior added to every leaf */
    double shrink;              /* flows at which a node counts as much as what is above it; 0: leaves as they are */
    bool sqrt_features;
    bool bootstrap;             /* also set by itself for several trees without sqrt_features */
    uint64_t seed;
};

/* A fitted sub-model: classes of the forest are the block's classes in ascending data-set id, then
 * "Other" when the block is not everything. */
struct dune_fit {
    struct dune_fit_cfg cfg;
    uint32_t n_classes;      /* own classes */
    uint16_t *cls;           /* [n_classes] data-set class ids, ascending */
    bool has_other;
    struct dune_forest *forest;
    dune_feature_mask used;  /* features some tree splits on */
};
/* block[c] != 0: class c belongs to the block. train[f] != 0: space flow f is trained on (NULL: all).
 * Errors: DUNE_E_INPUT when no training row is left. Thread-safe after dune_space_prepare. */
int dune_fit_train(struct dune_fit **out, const struct dune_space *s, const struct dune_fit_cfg *cfg,
                   const uint8_t *block, const uint8_t *train, struct dune_diag *d) DUNE_MUST_USE;
/* The same with soft labels of (cfg->n, cfg->mode), which cfg->distil makes use of; NULL: labels as they are. */
int dune_fit_train_soft(struct dune_fit **out, const struct dune_space *s, const struct dune_fit_cfg *cfg,
                        const uint8_t *block, const uint8_t *train, const struct dune_soft *soft,
                        struct dune_diag *d) DUNE_MUST_USE;
void dune_fit_free(struct dune_fit *f);
/* A copy cut to n_trees trees of max_leaves leaves. */
struct dune_fit *dune_fit_prefix(const struct dune_fit *f, uint32_t n_trees, uint32_t max_leaves);

/* Merges sibling leaves, those first whose split told least, until max_leaves are left. Nodes are numbered
 * anew; the tree is no prefix of a larger one any more. */
void dune_tree_merge_leaves(struct dune_tree *t, uint32_t n_classes, uint32_t max_leaves);

/* --- answers and chains -------------------------------------------------------------------------- */
struct dune_item_answer {
    uint16_t cls; /* data-set class id or DUNE_NO_CLASS */
    uint8_t conf;
    uint8_t claim; /* 1: claim, 0: tentative (cls valid) or none */
};
/* Answers of a fit on all items of a space (of train or test flows; matched by data-set class ids of the
 * space it was fitted in, which must be the same data set). out[n_items]. mask (may be NULL): only
 * items of flows with mask[flow] != 0 are written. */
int dune_fit_answer(const struct dune_fit *f, const struct dune_space *s, const uint8_t *mask,
                    struct dune_item_answer *out, struct dune_diag *d) DUNE_MUST_USE;

struct dune_chain_rule {
    enum dune_claim_rule claim;
    enum dune_fallback fallback;
    uint16_t early_exit;             /* 256: never */
    const uint8_t *min_confidence;   /* [n_classes of the data set + 1] or NULL */
};
/* The class the chain ends with for one item; answers in chain order, id[s] breaks ties of `best`.
 * DUNE_NO_CLASS: unclaimed. */
uint16_t dune_chain_decide(const struct dune_item_answer *const *col, size_t item, const uint8_t *id,
                           unsigned n_sub, const struct dune_chain_rule *rule);
/* Confusion at flow level over items of flows with mask[flow] != 0 (NULL: all). */
void dune_chain_confusion(const struct dune_space *s, const struct dune_item_answer *const *col,
                          const uint8_t *id, unsigned n_sub, const struct dune_chain_rule *rule,
                          const uint8_t *mask, bool packet_level, struct dune_confusion *out);

/* Impurity decrease per catalog feature, summed over the splits of all trees; gain[DUNE_N_FEATURES]. */
void dune_forest_feature_gain(const struct dune_forest *f, double *gain);

/* --- the published grid ---------------------------------------------------------------------------- */
/*
 * Trees {1,3,5} x leaves per tree {41,85,...,481,500} x n {2,3,4} x nested top-k features, scored by
 * 0.5 macro F1 (with Other, flow level, on the validation flows) + 0.5 (1 - TCAM share) (design
 * section 4). Points beyond the budget are skipped and counted.
 */
struct dune_grid_point {
    uint32_t trees, leaves, n, n_feats; /* leaves per tree allowed; n_feats = k of the nested set */
    double macro_f1;                    /* 0..1, with Other */
    uint32_t blocks;                    /* published TCAM blocks */
    double score;
    dune_feature_mask features;
    bool pareto; /* no other point has at least its F1 with fewer blocks */
};
struct dune_grid {
    size_t n_points;
    struct dune_grid_point *point;
    uint64_t skipped;         /* beyond the budget */
    uint64_t skipped_profile; /* beyond the limits of the profile */
    size_t best;      /* highest score; ties to fewer blocks, then the earlier point */
};
struct dune_grid_cfg {
    struct dune_budget budget;
    dune_feature_mask features;
    const dune_feature_mask *block_features; /* restrict candidates to the block's own, NULL: no */
    enum dune_mode mode;
    bool sqrt_features;
    bool f1_only; /* score = macro F1: the best model that fits, however large */
    bool quick;   /* one tree, and of the inference points only 3 (or the largest there is) */
    double balance;
    uint64_t seed;
    const struct dune_profile *profile; /* a device that every point must fit on, alone; NULL: any */
    struct dune_progress *progress;     /* gets dune_grid_steps() steps; NULL: none */
};
/* Steps a search reports to its progress. */
unsigned dune_grid_steps(const struct dune_grid_cfg *cfg, const struct dune_space *s);
/* block, train, valid: [n_classes], [n_flows], [n_flows] of the space. Searches of several blocks may run
 * at the same time once dune_grid_prepare() has made the views of the space. */
int dune_grid_prepare(struct dune_space *s, const struct dune_grid_cfg *cfg, struct dune_diag *d) DUNE_MUST_USE;
int dune_grid_search(struct dune_grid *out, struct dune_space *s, const struct dune_grid_cfg *cfg,
                     const uint8_t *block, const uint8_t *train, const uint8_t *valid,
                     struct dune_diag *d) DUNE_MUST_USE;
void dune_grid_fini(struct dune_grid *g);
/* The settings that refit a grid point. */
struct dune_fit_cfg dune_grid_fit_cfg(const struct dune_grid_cfg *cfg, const struct dune_grid_point *p);

/* --- one block, as published ------------------------------------------------------------------------ */
/* The chosen point of the grid, fitted twice: as it was judged, and for use. */
struct dune_block_fit {
    struct dune_grid grid;
    struct dune_fit *judged;       /* trained without the validation flows */
    struct dune_fit *final;        /* the same settings on all flows of the space */
    struct dune_item_answer *col;  /* answers of judged to the validation flows */
};
int dune_block_fit_search(struct dune_block_fit *out, struct dune_space *s, const struct dune_grid_cfg *cfg,
                          const uint8_t *block, const uint8_t *train, const uint8_t *valid,
                          struct dune_diag *d) DUNE_MUST_USE;
void dune_block_fit_fini(struct dune_block_fit *b);
/* Classes of block i as a mask over those of the data set. Errors: DUNE_E_INPUT names a class that the
 * data set does not have. */
int dune_block_members(const struct dune_blocks *b, uint32_t i, const struct dune_dataset *ds,
                       uint8_t *member, struct dune_diag *d) DUNE_MUST_USE;
/* Features of block i that the catalog knows. */
dune_feature_mask dune_block_features(const struct dune_blocks *b, uint32_t i);
/* Confusion between blocks, [n][n]: row = true block, column = answering sub-model, in flows, Other left
 * out. member: [n][n_classes], block i owns class c; col[i] is read where valid is set. */
void dune_block_confusion(const struct dune_space *s, unsigned n, const uint8_t *member,
                          const struct dune_item_answer *const *col, const uint8_t *valid, double *out);

/* --- order by chained score -------------------------------------------------------------------------- */
struct dune_order;
/*
 * The order with the best chained flow-level macro F1 over the flows with mask[flow] != 0. Up to 8
 * sub-models exactly, every order, the lexicographically smallest of those within 1e-12 of the best
 * (out->ties of them); above 8 by insertion, which out->optimal = 0 says. objective: 0..1.
 * col[i] and id[i] are of sub-model i; n at most DUNE_MAX_SUBMODELS.
 */
int dune_sequence_end_to_end(struct dune_order *out, const struct dune_space *s,
                             const struct dune_item_answer *const *col, const uint8_t *id, unsigned n,
                             const struct dune_chain_rule *rule, const uint8_t *mask,
                             struct dune_diag *d) DUNE_MUST_USE;
/* --- from fits to a plan --------------------------------------------------------------------------- */
/* A plan over the classes of the data set that occur in the space: one sub-model per fit, in order, on
 * one device each (sub-model id = id[i]), on a chain of at least n_devices; rule and defaults filled,
 * not yet verified. */
int dune_plan_from_fits(struct dune_plan **out, const struct dune_space *s, struct dune_fit *const *fit,
                        const uint8_t *id, unsigned n_fits, unsigned n_devices,
                        const struct dune_chain_rule *rule, const struct dune_budget *budget,
                        const char *profile, struct dune_diag *d) DUNE_MUST_USE;
/* The same without a space. */
struct dune_plan_source {
    uint32_t n_classes;
    const char *const *class_name; /* [n_classes] what the fits' cls are indices of */
    const uint8_t *present;        /* [n_classes] classes that the plan knows; NULL: all */
    uint64_t timeout;
    const char *data_hash;         /* may be NULL */
};
int dune_plan_build(struct dune_plan **out, const struct dune_plan_source *src,
                    struct dune_fit *const *fit, const uint8_t *id, unsigned n_fits, unsigned n_devices,
                    const struct dune_chain_rule *rule, const struct dune_budget *budget,
                    const char *profile, struct dune_diag *d) DUNE_MUST_USE;
/*
 * A plan of models that are there already, one sub-model and device each, in their order: what has trees (see
 * dune_model_as_forest). Classes are the names of all models; a class Other is no class but the answer "none of mine".
 * Several trees vote, as everywhere here, where scikit-learn averages. DUNE_E_INFEASIBLE: beyond the budget (0: no
 * limit), with the numbers. The plan is verified.
 */
struct dune_model;
int dune_plan_import(struct dune_plan **out, struct dune_model *const *model, unsigned n_models,
                     const struct dune_chain_rule *rule, const struct dune_budget *budget, const char *profile,
                     uint64_t timeout, struct dune_diag *d) DUNE_MUST_USE;
/* What a fit needs on a device of its own, the flow state bent to the profile (two generations). */
int dune_fit_resources(const struct dune_fit *f, uint64_t timeout, const struct dune_profile *prof,
                       struct dune_resources *out, struct dune_diag *d) DUNE_MUST_USE;

/*
 * What sub-model i of a plan says on every item of a space, through the plan's own tables: the planner's
 * prediction of what a device without collisions answers. Plan classes are matched to the data set by
 * name; a plan class the data set does not have is n_classes. Needs the data set to keep at least
 * the sub-model's n packets (mode packet: later packets than kept are answered by the last one kept).
 */
int dune_plan_answer(const struct dune_plan *p, unsigned i, const struct dune_space *s,
                     struct dune_item_answer *out, struct dune_diag *d) DUNE_MUST_USE;
/* Confusion of the whole plan on a space (flow or packet level). */
int dune_plan_confusion(const struct dune_plan *p, const struct dune_space *s, bool packet_level,
                        struct dune_confusion *out, struct dune_diag *d) DUNE_MUST_USE;

#endif
