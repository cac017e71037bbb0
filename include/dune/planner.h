/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The planner: from a data set and a budget to a plan, chosen by grouped cross-validation inside train.
 *
 * Every candidate sub-model is fitted once per fold and answers the flows of the fold it has not seen;
 * these out-of-fold columns are cached by (block, settings), so a chain, an order, a claim rule or a
 * threshold is scored without training. Test flows are never looked at.
 */
#ifndef DUNE_PLANNER_H
#define DUNE_PLANNER_H

#include "dune/partition.h"
#include "dune/submodels.h"

#define DUNE_MAX_BLOCKS 16
#define DUNE_CLASS_WORDS 4 /* 256 classes as a bit set */

struct dune_class_set {
    uint64_t word[DUNE_CLASS_WORDS];
};
static inline bool dune_class_set_has(const struct dune_class_set *s, unsigned c)
{
    return s->word[c >> 6] >> (c & 63) & 1;
}
static inline void dune_class_set_flip(struct dune_class_set *s, unsigned c)
{
    s->word[c >> 6] ^= UINT64_C(1) << (c & 63);
}
static inline unsigned dune_class_set_size(const struct dune_class_set *s)
{
    unsigned n = 0;

    for (int i = 0; i < DUNE_CLASS_WORDS; i++)
        n += (unsigned)__builtin_popcountll(s->word[i]);
    return n;
}

/* A chain under consideration: blocks with their settings. */
struct dune_chain_spec {
    unsigned n_blocks;
    struct dune_class_set block[DUNE_MAX_BLOCKS];
    struct dune_fit_cfg cfg[DUNE_MAX_BLOCKS];
    struct dune_chain_rule rule; /* min_confidence borrowed */
};

enum dune_effort { DUNE_EFFORT_QUICK, DUNE_EFFORT_DEFAULT, DUNE_EFFORT_FULL };

/* Soft labels. */
enum dune_distil {
    DUNE_DISTIL_AUTO,  /* of forests of our own, a candidate of the last steps, taken where the folds say so */
    DUNE_DISTIL_OFF,   /* labels as they are */
    DUNE_DISTIL_MODEL  /* of the unconstrained model, for the chain that was chosen without */
};
int dune_distil_find(const char *name); /* "auto", "off", "model"; -1: unknown */

struct dune_planner_cfg {
    struct dune_budget budget;
    unsigned devices;
    const char *profile;   /* default "engine" */
    dune_feature_mask features; /* candidates; 0: all */
    enum dune_effort effort;
    uint64_t seed;
    unsigned threads;
    double time_limit_s;   /* the search stops here, and the best so far is judged and planned; 0: by effort */
    const struct dune_plan_device *device; /* [devices] with budgets and profiles of their own; NULL: all alike */
    uint64_t search_rows;  /* rows of train that choices are made on, a drawn part beyond that; 0: by effort */
    const char *log;       /* file with the scores of a search, to go on from where it was interrupted; or NULL */
    double want_precision; /* min_confidence per class is set to reach it on folds; 0: none is set */
    bool open_world;       /* the notes also have false claims on classes that were left out */
    const char *model;     /* unconstrained model: a spec of dune/model.h, or xgboost, which is trained; NULL: ours.
                              dune-paper: W and f; dune: a partition to start from, and soft labels if distil says so */
    enum dune_distil distil;
    const char *background;/* class of unlabelled traffic, left out in the notes in any case; or NULL */
};

/* The part of a feature set that is no shortcut: a destination port keeps its low half. */
dune_feature_mask dune_robust_part(dune_feature_mask all);

/* Out-of-fold cross-validation. */
struct dune_cv;
/* folds: [n_flows of the space] 0..k-1 or 255 (always trained on, never scored). */
int dune_cv_new(struct dune_cv **out, const struct dune_space *s, const uint8_t *fold, unsigned k,
                struct dune_diag *d) DUNE_MUST_USE;
void dune_cv_free(struct dune_cv *cv);
/* The column of a block; fitted on first use, then lent from the cache. */
int dune_cv_column(struct dune_cv *cv, const struct dune_class_set *block, const struct dune_fit_cfg *cfg,
                   const struct dune_item_answer **col, struct dune_diag *d) DUNE_MUST_USE;
/* Flow-level F1 of a chain over all scored flows; per_fold (may be NULL) gets macro F1 per fold. */
int dune_cv_score(struct dune_cv *cv, const struct dune_chain_spec *spec, struct dune_f1 *f1,
                  double *per_fold, struct dune_diag *d) DUNE_MUST_USE;
uint64_t dune_cv_n_fits(const struct dune_cv *cv); /* candidate evaluations so far */

/* --- notes: what was chosen and why (docs/formats/choice.md) ------------------------------------- */
struct dune_buf;
/* The notes as text; DUNE_E_INPUT for notes of other solutions. */
int dune_explain_text(const char *notes, struct dune_buf *out, struct dune_diag *d) DUNE_MUST_USE;
/* Coverage against precision as CSV: min_confidence,coverage,precision,macro,false_claims (empty: not measured). */
int dune_explain_curve_csv(const char *notes, struct dune_buf *out, struct dune_diag *d) DUNE_MUST_USE;

#endif
