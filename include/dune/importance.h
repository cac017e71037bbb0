/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Importance W (how much feature j explains class c) and scores f (how well class c is recognised).
 * Columns and classes are matched by name; unknown feature names pass through untouched.
 */
#ifndef DUNE_IMPORTANCE_H
#define DUNE_IMPORTANCE_H

#include "dune/forest.h"

struct dune_importance {
    uint32_t n_classes, n_feats;
    char **class_name; /* file or forest order */
    char **feat_name;
    double *w; /* [n_classes][n_feats], rows sum to 1 */
};
struct dune_scores {
    uint32_t n_classes;
    char **class_name;
    double *f1; /* percent */
    double *support; /* NULL when absent */
};

/* Per-class feature importance by Gini decrease (PCFI; design section 4): for class c walk from every
 * leaf whose majority is c to the root, each node once per class, adding n(v)G_c(v) - n(l)G_c(l) -
 * n(r)G_c(r); divide by the root weight, average over trees, normalise rows to 1. */
int dune_importance_gini(struct dune_importance **out, const struct dune_forest *f,
                         struct dune_diag *d) DUNE_MUST_USE;
/* Per-class permutation importance through predictions of any model: predict(ctx, table, out). */
typedef int (*dune_predict_fn)(void *ctx, const struct dune_table *t, uint16_t *out, struct dune_diag *d);
int dune_importance_permutation(struct dune_importance **out, const struct dune_table *t,
                                char *const *class_name, dune_predict_fn predict, void *ctx,
                                unsigned repeats, uint64_t seed, struct dune_diag *d) DUNE_MUST_USE;
void dune_importance_free(struct dune_importance *im);
void dune_scores_free(struct dune_scores *s);

/* W.csv: "class" (or "c_name", "classes", "") then one column per feature. f.csv: class,f1[,support]
 * ("f1_score" accepted, unnamed index column ignored). Refused: NaN, infinite or negative values,
 * duplicate classes, no features, no classes. */
int dune_importance_read(struct dune_importance **out, const char *path, struct dune_diag *d) DUNE_MUST_USE;
int dune_importance_write(const struct dune_importance *im, const char *path, struct dune_diag *d) DUNE_MUST_USE;
int dune_scores_read(struct dune_scores **out, const char *path, struct dune_diag *d) DUNE_MUST_USE;
int dune_scores_write(const struct dune_scores *s, const char *path, struct dune_diag *d) DUNE_MUST_USE;
int dune_importance_parse(struct dune_importance **out, const char *name, const char *text, size_t len,
                          struct dune_diag *d) DUNE_MUST_USE;
int dune_scores_parse(struct dune_scores **out, const char *name, const char *text, size_t len,
                      struct dune_diag *d) DUNE_MUST_USE;

#endif
