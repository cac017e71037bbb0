/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search for the unconstrained forest: inference point x feature set x depth x trees, chosen on the
 * validation split by flow-level macro F1 with the soft vote, refitted on all train flows.
 *
 * Work is shared: one forest of the largest depth and tree count per (n, feature set); every smaller
 * depth and forest is a part of it. Feature sets are nested: the k columns with the largest Gini decrease
 * in the forest over all columns. Results go to a CSV file, from which an interrupted search resumes.
 */
#ifndef DUNE_FOREST_SEARCH_H
#define DUNE_FOREST_SEARCH_H

#include "dune/forest.h"

/* What a forest on a data set is trained with. */
struct dune_model_spec {
    unsigned n;
    enum dune_mode mode;
    dune_feature_mask features;
    double balance; /* class-weight exponent */
    struct dune_train_cfg train;
};
/* Trains on the flows with use[flow] nonzero; NULL: all flows of the train split. Sets names, n, mode. */
int dune_model_fit(struct dune_forest **out, const struct dune_dataset *ds, const struct dune_model_spec *s,
                   const uint8_t *use, struct dune_diag *d) DUNE_MUST_USE;
/* Flow-level macro F1 of the soft vote over the flows with use[flow] nonzero. */
int dune_model_score(double *macro, const struct dune_forest *f, const struct dune_dataset *ds,
                     const uint8_t *use, unsigned threads, struct dune_diag *d) DUNE_MUST_USE;

enum dune_search_level { DUNE_SEARCH_QUICK, DUNE_SEARCH_DEFAULT, DUNE_SEARCH_FULL };
struct dune_search_cfg {
    enum dune_search_level level;
    struct dune_model_spec base; /* features: the largest set; n: used where only one is searched; depth,
                                    leaves and tree count of train are ignored */
    const char *feature_text;    /* parsed again for every n (sets depend on it); NULL: base.features */
    bool one_n;                  /* only base.n */
    const char *csv;             /* results, NULL: nowhere */
};
struct dune_search_point {
    unsigned n;
    uint32_t n_feats, depth, n_trees;
    dune_feature_mask features;
    double f1; /* validation */
};
/*
 * The best point and, in *top (may be NULL) of *n_top places, the best ones in order; *n_top becomes how
 * many there are. Ties go to fewer features, then trees, then depth, then the smaller n.
 * DUNE_E_INTERRUPTED keeps what the CSV has; DUNE_E_INPUT when there is no validation flow.
 */
int dune_forest_search(struct dune_search_point *best, struct dune_search_point *top, uint32_t *n_top,
                       const struct dune_dataset *ds, const struct dune_search_cfg *cfg,
                       struct dune_diag *d) DUNE_MUST_USE;

#endif
