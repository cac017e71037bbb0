/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Importance W (how much feature j explains class c) and scores f (how well class c is recognised).
 * Columns and classes are matched by name; unknown feature names pass through untouched.
 */
#ifndef DUNE_IMPORTANCE_H
#define DUNE_IMPORTANCE_H

#include "dune/forest.h"
#include "dune/metrics.h"

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
/* A square matrix by name: row = truth, column = answer, in the order of the rows. */
struct dune_square {
    uint32_t n;
    char **name;
    double *v; /* [n][n] */
};

/* Per-class feature importance by Gini decrease (PCFI; design section 4): for class c walk from every
 * leaf whose majority is c to the root, each node once per class, adding n(v)G_c(v) - n(l)G_c(l) -
 * n(r)G_c(r); divide by the root weight, average over trees, normalise rows to 1. */
int dune_importance_gini(struct dune_importance **out, const struct dune_forest *f,
                         struct dune_diag *d) DUNE_MUST_USE;
/* Per-class permutation importance through predictions of any model: predict(ctx, table, out). Mean fall
 * of the class's F1 over the repeats (0: 5), below 0 counts as 0, rows normalised to 1. */
typedef int (*dune_predict_fn)(void *ctx, const struct dune_table *t, uint16_t *out, struct dune_diag *d);
int dune_importance_permutation(struct dune_importance **out, const struct dune_table *t,
                                char *const *class_name, dune_predict_fn predict, void *ctx,
                                unsigned repeats, uint64_t seed, struct dune_diag *d) DUNE_MUST_USE;
/* The same with many shuffled copies at a time, for models that are slow to ask, and with the spread over
 * the repeats. */
struct dune_permute_cfg { /* zero: the default */
    unsigned repeats;  /* 0: 5 */
    uint64_t seed;
    size_t batch_rows; /* predict is called with up to so many rows, one copy at least; 0: one copy */
};
struct dune_importance_spread { /* before rows are normalised and falls below 0 cut */
    uint32_t n_classes, n_feats;
    double *mean, *low, *high; /* [n_classes][n_feats] fall of F1 and its 95 % interval (Student's t) */
};
int dune_importance_permute(struct dune_importance **out, struct dune_importance_spread **spread,
                            const struct dune_table *t, char *const *class_name, dune_predict_fn predict, void *ctx,
                            const struct dune_permute_cfg *cfg, struct dune_diag *d) DUNE_MUST_USE;
void dune_importance_spread_free(struct dune_importance_spread *s);
/* W of zeros with catalog names, and rows to sum 1 with what is below 0 cut to 0: for importance from elsewhere. */
struct dune_importance *dune_importance_new(uint32_t n_classes, char *const *class_name, uint32_t n_feats,
                                            const uint8_t *feat);
void dune_importance_normalise(struct dune_importance *im);
void dune_importance_free(struct dune_importance *im);
void dune_scores_free(struct dune_scores *s);

/* f from a confusion (flow level: unit DUNE_WEIGHT_ONE): F1 in percent, support in units. */
struct dune_scores *dune_scores_make(const struct dune_confusion *c, char *const *class_name, uint64_t unit);

/* W.csv: "class" (or "c_name", "classes", "") then one column per feature. f.csv: class,f1[,support]
 * ("f1_score" accepted, unnamed index column ignored, other columns ignored). Refused: NaN, infinite or
 * negative values, duplicate classes or features, no features, no classes. The scores reader also takes
 * "block", "cluster" for the class and the published names of macro F1 ("macro_f1_percent",
 * "Macro_f1_FL_With_Others", "macro_f1_fraction" x 100 ...); its row "-1" without a value is skipped. */
int dune_importance_read(struct dune_importance **out, const char *path, struct dune_diag *d) DUNE_MUST_USE;
int dune_importance_write(const struct dune_importance *im, const char *path, struct dune_diag *d) DUNE_MUST_USE;
int dune_scores_read(struct dune_scores **out, const char *path, struct dune_diag *d) DUNE_MUST_USE;
int dune_scores_write(const struct dune_scores *s, const char *path, struct dune_diag *d) DUNE_MUST_USE;
int dune_importance_parse(struct dune_importance **out, const char *name, const char *text, size_t len,
                          struct dune_diag *d) DUNE_MUST_USE;
int dune_scores_parse(struct dune_scores **out, const char *name, const char *text, size_t len,
                      struct dune_diag *d) DUNE_MUST_USE;
/* Confusion: "class" or "block" (or "Classes", "Clusters", "true_cluster", "") then one column per answer,
 * same names as the rows ("pred_" in front is dropped); "Other" is left out. */
int dune_square_read(struct dune_square **out, const char *path, struct dune_diag *d) DUNE_MUST_USE;
int dune_square_parse(struct dune_square **out, const char *name, const char *text, size_t len,
                      struct dune_diag *d) DUNE_MUST_USE;
void dune_square_free(struct dune_square *s);

#endif
