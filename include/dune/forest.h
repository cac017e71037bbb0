/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forests: deterministic CART with Gini impurity on integer features (design section 4).
 *
 * A split is x <= threshold with threshold = floor of the midpoint of two neighbouring values. Node
 * ids follow the order of growth: the k-th split (k = 0, 1 ...) creates nodes 2k+1 (left) and 2k+2
 * (right). Depth-first growth splits a node before its left subtree, and that before its right one.
 * Every node that is not pure is split while a limit does not forbid it, even where the decrease is
 * zero (a later split may gain). So the tree with L leaves is the first 2L-1 nodes of any larger
 * best-first tree, and a forest of T trees is the first T trees of a larger one. A forest owns its
 * trees and is immutable after training; functions that return const pointers lend them.
 */
#ifndef DUNE_FOREST_H
#define DUNE_FOREST_H

#include "dune/dataset.h"

struct dune_node {
    int32_t feat;       /* column of the forest (0..n_feats-1); -1: leaf */
    uint32_t threshold; /* x <= threshold goes left */
    uint32_t left, right;
    uint32_t parent;    /* UINT32_MAX for the root */
};

struct dune_tree {
    uint32_t n_nodes; /* 2 * leaves - 1 */
    struct dune_node *node;
    uint64_t *hist; /* [n_nodes][n_classes] training weight of each class in the node */
};

enum dune_growth { DUNE_GROW_BEST_FIRST, DUNE_GROW_DEPTH_FIRST };

struct dune_train_cfg { /* zero: the default */
    uint32_t n_trees;        /* 0: 1 */
    uint32_t max_leaves;     /* per tree; 0: unlimited. Best-first when set. */
    uint32_t max_depth;      /* 0: unlimited */
    uint64_t min_leaf_weight;/* both children must weigh at least this (DUNE_WEIGHT_ONE = 1 flow) */
    bool sqrt_features;      /* draw floor(sqrt(F)) (at least 1) features per node, more until one
                                splits; keyed by (seed, tree, path of the node) */
    bool bootstrap;          /* rows drawn with replacement per tree, keyed by (seed, tree) */
    uint64_t seed;
    unsigned threads;        /* 0: all; never changes the result */
};

/* How a forest came to be, so that it can be trained again on less: analyze judges it that way. */
struct dune_forest_recipe {
    bool known;
    char rows[33]; /* hash of the data set */
    double balance;
    struct dune_train_cfg train; /* threads: 0 */
};
struct dune_forest {
    uint32_t n_trees, n_feats, n_classes;
    uint8_t *feat;      /* [n_feats] catalog ids */
    char **class_name;  /* [n_classes]; "Other" is an ordinary name here */
    unsigned n;         /* inference point it was trained for */
    enum dune_mode mode;
    struct dune_tree *tree;
    struct dune_forest_recipe recipe;
};

/*
 * Trains on all rows of t (classes t->cls < t->n_classes). Split choice: largest exact decrease of
 * the weighted Gini impurity; ties to the lower column, then threshold. Best-first expands the node
 * with the largest decrease, ties to the lower node id. Errors: DUNE_E_INPUT for no rows or no
 * columns.  Returns DUNE_E_INTERRUPTED when dune_interrupted().
 */
int dune_forest_train(struct dune_forest **out, const struct dune_table *t,
                      const struct dune_train_cfg *cfg, struct dune_diag *d) DUNE_MUST_USE;

/*
 * Repeated training on the same rows: the columns are encoded once, then every fit chooses its own
 * classes, weights, columns and settings. The trainer borrows t, whose columns must not change while
 * it lives; fits on one trainer may run at the same time. A fit gives exactly the forest that
 * dune_forest_train gives on the table of the rows with w > 0 and the columns in cols.
 */
struct dune_trainer;
int dune_trainer_new(struct dune_trainer **out, const struct dune_table *t, unsigned threads,
                     struct dune_diag *d) DUNE_MUST_USE;
void dune_trainer_free(struct dune_trainer *tr);
/*
 * cls: [n_rows] class per row, NULL: the table's (then n_classes is ignored). w: [n_rows] weights,
 * 0: row unused, NULL: the table's. cols: catalog ids to use, 0: all columns of the table. The sum
 * of weights must not exceed 2^60.
 */
int dune_trainer_fit(const struct dune_trainer *tr, struct dune_forest **out, const uint16_t *cls,
                     uint32_t n_classes, const uint64_t *w, dune_feature_mask cols,
                     const struct dune_train_cfg *cfg, struct dune_diag *d) DUNE_MUST_USE;

/*
 * The same forest, faster where only columns went: `from` is the growth of an earlier fit with the same
 * classes, weights and settings whose columns include cols (NULL: none). Nodes that kept their rows and
 * whose best cut is still possible are taken over. *kept (may be NULL) gets the growth of this fit, which
 * borrows *out, or NULL where growth cannot be repeated (no max_leaves, sqrt_features).
 */
struct dune_grown;
int dune_trainer_fit_from(const struct dune_trainer *tr, struct dune_forest **out, const uint16_t *cls,
                          uint32_t n_classes, const uint64_t *w, dune_feature_mask cols,
                          const struct dune_train_cfg *cfg, const struct dune_grown *from,
                          struct dune_grown **kept, struct dune_diag *d) DUNE_MUST_USE;
void dune_grown_free(struct dune_grown *g); /* before its forest */

void dune_forest_free(struct dune_forest *f);
/* Trained forests have no names yet (class_name is NULL): copies n_classes names into f. */
void dune_forest_set_names(struct dune_forest *f, const char *const *names);
/* A copy cut to the first n_trees trees (0: all) of at most max_leaves leaves each (0: all). */
struct dune_forest *dune_forest_prefix(const struct dune_forest *f, uint32_t n_trees, uint32_t max_leaves);

/* Node id of the leaf that row r of t reaches; t's columns must be the forest's, in order. max_leaves
 * 0: the whole tree, else its prefix. */
uint32_t dune_tree_leaf(const struct dune_tree *tr, uint32_t *const *col, size_t r, uint32_t max_leaves);
uint32_t dune_tree_n_leaves(const struct dune_tree *tr);
uint32_t dune_tree_depth(const struct dune_tree *tr);

/* What one leaf says (design section 4). */
struct dune_leaf {
    uint16_t cls;     /* heaviest class; ties to the lower id, the "Other" class last */
    uint16_t own;     /* heaviest class other than Other; DUNE_NO_CLASS if none has weight */
    uint8_t conf;     /* floor(share of cls * floor(255 / T)) */
    uint8_t own_conf; /* the same for own */
};
#define DUNE_NO_CLASS UINT16_MAX
/* other: id of the class Other in hist, or DUNE_NO_CLASS. */
struct dune_leaf dune_leaf_make(const uint64_t *hist, uint32_t n_classes, uint16_t other, uint32_t n_trees);

/* The answer of a forest from its trees' leaves. */
struct dune_answer {
    uint16_t cls;  /* may be Other */
    uint16_t own;  /* the claim if cls is not Other, else the tentative class or DUNE_NO_CLASS */
    uint8_t conf;  /* of own */
    bool claim;    /* cls is not Other */
};
struct dune_answer dune_vote(const struct dune_leaf *const *leaf, uint32_t n_trees, uint16_t other);
/* Hard vote of the forest for every row of t (columns matched by order); out[n_rows]. */
void dune_forest_answer(const struct dune_forest *f, const struct dune_table *t, uint16_t other,
                        unsigned threads, struct dune_answer *out);
/* Soft vote (mean of leaf class shares, as scikit-learn does) for the unconstrained forest. */
void dune_forest_predict(const struct dune_forest *f, const struct dune_table *t, unsigned threads,
                         uint16_t *out);

/* forest.json: docs/formats/forest.md. Leaves keep their class weights (sparse). */
int dune_forest_write(const struct dune_forest *f, const char *path, struct dune_diag *d) DUNE_MUST_USE;
int dune_forest_read(struct dune_forest **out, const char *path, struct dune_diag *d) DUNE_MUST_USE;
int dune_forest_parse(struct dune_forest **out, const char *name, const char *text, size_t len,
                      struct dune_diag *d) DUNE_MUST_USE;
/* The same inside another JSON file: place is the path of v, a value of jansson. f has names. */
struct dune_jsonw;
struct json_t;
void dune_forest_put(const struct dune_forest *f, struct dune_jsonw *w);
int dune_forest_from_json(struct dune_forest **out, const char *name, const char *place,
                          const struct json_t *v, struct dune_diag *d) DUNE_MUST_USE;

#endif
