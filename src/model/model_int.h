/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the model stage share.
 *
 *   model.c          opening, tables, probabilities, whatever the kind
 *   model_explain.c  importance and scores
 *   model_advice.c   what the planners ask for
 *   model_units.c    values and thresholds of other programs
 *   sklearn_json.c   scikit-learn's trees -> a forest of ours
 *   tree_walk.c      the way down the trees of both
 *   boost_json.c     XGBoost's JSON, and the margins of its trees
 *   boost_tree.c     boosted trees as one tree
 *   xgb_lib.c        libxgboost: training and contributions; xgb_absent.c in builds without it
 *   exec_model.c     a program as a model: arguments, rows in, time
 *   exec_output.c    what it wrote
 *   predictions.c    a file of probabilities
 */
#ifndef DUNE_MODEL_INT_H
#define DUNE_MODEL_INT_H

#include "base/base.h"
#include "dune/model.h"

struct json_t;

/* --- tree_walk.c ---------------------------------------------------------------------------------------- */
struct tree_walk { /* one tree of a file, and where to complain */
    const char *name, *place;
    struct dune_diag *d;
    const struct json_t *left, *right, *feature, *threshold; /* [n] */
    size_t n;
    uint8_t *seen; /* [n] zeros at first: no node is a child of two */
    const uint8_t *feat; /* [n_feats] columns */
    uint32_t n_feats;
    bool single; /* XGBoost: left is x < t in 32-bit floats; else x <= t */
};
/* Follows splits that decide nothing; *v becomes a leaf (*feat -1) or a split with a threshold. */
int tree_walk_settle(const struct tree_walk *w, size_t *v, int64_t kid[2], int32_t *feat, uint32_t *threshold);

/* --- boost_json.c ------------------------------------------------------------------------------------- */
struct boost_node {
    int32_t feat; /* column of the model; -1: leaf */
    uint32_t threshold, left, right;
    float value; /* of a leaf */
};
struct boost_tree {
    uint32_t n_nodes, group; /* group: the class whose margin it adds to */
    struct boost_node *node;
};
struct dune_boost {
    uint32_t n_groups; /* classes; 1: two classes, the margin is that of the second */
    float base;        /* margin to start with */
    size_t n_trees;
    struct boost_tree *tree;
    char *raw; /* the file, for libxgboost */
    size_t raw_len;
    struct json_t *attributes; /* of the file */
};
/* The boosted trees, features and class names of a parsed file. */
int boost_from_json(struct dune_model *m, const struct json_t *root, const struct dune_dataset *ds,
                    struct dune_diag *d) DUNE_MUST_USE;
void boost_free(struct dune_boost *b);
/* Margins, one per group, to probabilities, one per class. */
void boost_squash(const struct dune_boost *b, float *p);
void boost_proba(const struct dune_model *m, const struct dune_table *t, size_t row, float *p);

/* --- xgb_lib.c ---------------------------------------------------------------------------------------- */
/* Mean contribution of feature j to class c over the rows of t, c and the rest weighing alike; w[n_classes][n_feats]. */
int xgb_contributions(const struct dune_model *m, const struct dune_table *t, double *w, struct dune_diag *d) DUNE_MUST_USE;

/* --- exec_model.c ------------------------------------------------------------------------------------- */
int exec_open(struct dune_model_exec **out, const char *command, bool npy, struct dune_diag *d) DUNE_MUST_USE;
void exec_free(struct dune_model_exec *x);
int exec_proba(const struct dune_model *m, const struct dune_table *t, float *p, struct dune_diag *d) DUNE_MUST_USE;
/* Splits a command into words: blanks, '...', "..." with \" and \\ in it, \x outside. NULL: a quote is open or there
 * is no word. Free with exec_free_words. */
char **exec_words(const char *command);
void exec_free_words(char **word);

/* --- predictions.c ------------------------------------------------------------------------------------ */
int predictions_open(struct dune_model *m, const char *path, const struct dune_dataset *ds, struct dune_diag *d) DUNE_MUST_USE;
int predictions_proba(const struct dune_model *m, const struct dune_table *t, float *p, struct dune_diag *d) DUNE_MUST_USE;

/* --- model.c ------------------------------------------------------------------------------------------ */
/* Columns from the names in list, and n and phase unless the caller chose. Errors name the file. */
int model_set_features(struct dune_model *m, const struct json_t *list, struct dune_diag *d) DUNE_MUST_USE;
/* Classes of the data set, sorted as there. */
int model_name_classes(struct dune_model *m, const struct dune_dataset *ds, uint32_t expected, struct dune_diag *d) DUNE_MUST_USE;
/* Columns of models that do not say theirs: what was asked for, or all. */
int model_default_view(struct dune_model *m, struct dune_diag *d) DUNE_MUST_USE;
/* Brings p to sum 1 unless it is but for rounding; false: there is a value that is no probability, or the sum is not about 1. */
bool model_normalise(float *p, uint32_t n);

#endif
