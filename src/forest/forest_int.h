/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the forest stage share. */
#ifndef DUNE_FOREST_INT_H
#define DUNE_FOREST_INT_H

#include "base/base.h"
#include "dune/forest.h"

__extension__ typedef unsigned __int128 dune_u128;

#define DUNE_MAX_WEIGHT (UINT64_C(1) << 60) /* sum over all rows */
/* Two floating scores closer than this (relatively) are compared exactly. */
#define DUNE_SCORE_EPS 0x1p-44

/* One way to cut a node in two: x <= threshold goes left. */
struct dune_cut {
    int32_t feat; /* column of the forest, -1: none */
    uint32_t threshold;
    int32_t edge;      /* codes up to this go left, threshold not yet known; -1: threshold counts */
    uint64_t pos;      /* orders the cuts of one column as their thresholds do */
    uint64_t lw, rw;   /* weight of each side */
    dune_u128 ls, rs;  /* sum of squared class weights of each side */
    double score;      /* about ls / lw + rs / rw: the larger, the purer */
};
/* The decrease of weighted Gini impurity by a cut: num / (lw * rw * (lw + rw)), exact. */
struct dune_gain {
    uint64_t num[4], den[3]; /* little-endian limbs */
    double approx;
};

/* gini.c */
double dune_cut_score(uint64_t lw, dune_u128 ls, uint64_t rw, dune_u128 rs);
int dune_cut_cmp(const struct dune_cut *a, const struct dune_cut *b); /* exact, scores only */
/* a is better than b: larger score, then lower column, then lower threshold; b may be "none". */
bool dune_cut_better(const struct dune_cut *a, const struct dune_cut *b);
void dune_gain_make(struct dune_gain *g, const struct dune_cut *c, dune_u128 parent_squares);
int dune_gain_cmp(const struct dune_gain *a, const struct dune_gain *b);

/*
 * Columns as codes of 16 bits that keep the order of values: 8 bits say which of at most 256 bins of
 * neighbouring values, 8 which value in the bin. Training looks at bins first and at values only inside
 * bins that could hold the best cut; where several values share a code it asks the column itself. So the
 * codes decide the speed, never the result. The codes of a column lie side by side where few rows make it stay in a cache,
 * else those of a row: one line of memory.
 */
struct dune_coded {
    uint32_t n_bins;
    bool exact;         /* no two values share a code */
    uint8_t multi[256]; /* the bin has several values */
    uint32_t *value;    /* exact: all values ascending, those of a bin from first[bin] on; else NULL */
    uint32_t first[256];
};
struct dune_codes {
    uint16_t *code; /* of row r in column c: code[r * row_step + c * col_step] */
    size_t row_step, col_step;
    uint32_t n_cols;
    struct dune_coded *col; /* [n_cols] */
};
static inline const uint16_t *dune_codes_column(const struct dune_codes *c, uint32_t col)
{
    return c->code + col * c->col_step;
}
/* Rows of a node lie far apart: asks for their codes so many rows ahead. */
enum { DUNE_AHEAD = 48 };
/* encode.c */
void dune_codes_make(struct dune_codes *c, const struct dune_table *t, uint32_t max_bins, bool by_column, unsigned threads);
void dune_codes_fini(struct dune_codes *c);

/* Choices that change the speed, never the result; tests try them all. Zero: the default. */
struct dune_tuning {
    uint32_t max_bins; /* per column, 256 */
    uint32_t few_rows; /* nodes of up to so many rows are sorted instead of binned, at most 64 */
    uint32_t column_rows; /* codes of up to so many rows lie by column, 65536 */
    uint32_t near_bytes; /* codes of so many bytes are read where they are, 256 KiB */
    uint32_t split_rows; /* nodes of so many rows are counted, and deep trees of so many grown, by several threads or processes, 65536 */
    bool plain;        /* neither: sort values only */
};
int dune_trainer_new_tuned(struct dune_trainer **out, const struct dune_table *t, unsigned threads,
                           const struct dune_tuning *tune, struct dune_diag *d) DUNE_MUST_USE;

/* --- regrow.c: growth that takes over what an earlier one on more columns found ------------------- */
struct dune_item { /* a row of the tree's sample */
    uint64_t w;
    uint32_t row;
    uint16_t cls;
    uint16_t local; /* its class among the classes of the node, while the node is searched */
};
enum { DUNE_NO_NODE = UINT32_MAX };
struct dune_grown_node { /* one node of a tree, as it was searched */
    size_t begin, end;
    bool searched;
    struct dune_cut cut; /* feat -1: none */
    struct dune_gain gain;
};
/* How one tree grew: its rows in the order of its nodes, and the best cut of every node looked at. */
struct dune_grown_tree {
    struct dune_item *item;
    size_t n_items;
    struct dune_grown_node *node;
    uint32_t cap_nodes;
};
struct dune_grown {
    const struct dune_forest *f; /* borrowed */
    struct dune_grown_tree *tree; /* [f->n_trees] */
};
struct dune_grown *dune_grown_new(const struct dune_forest *f);
void dune_grown_note(struct dune_grown_tree *g, uint32_t id, size_t begin, size_t end, const struct dune_cut *cut,
                     const struct dune_gain *gain);
/* column_of[c]: the column of a forest that has only some of the columns of f, or -1. */
void dune_grown_columns(const struct dune_grown *from, const uint8_t *feat, uint32_t n_feats,
                         int32_t column_of[64]);

/* Everything one tree needs; borrowed from the fit. */
struct dune_grow_job {
    const uint32_t *const *col;             /* [n_cols] */
    struct dune_codes codes;    /* borrowed arrays */
    const uint32_t *code_col;   /* [n_cols] its column in codes */
    size_t n_rows;
    uint32_t n_cols, n_classes;
    const uint16_t *cls;
    const uint64_t *w;
    const struct dune_train_cfg *cfg;
    struct dune_tuning tune;
    const uint32_t *global; /* NULL, or the table's row of each row that codes and items speak of */
    uint64_t tree; /* number of the tree: key of its random draws */
    const struct dune_grown *from; /* NULL, or the growth on more columns that this one repeats */
    int32_t column_of[64];          /* from: column of it -> column here, -1: gone */
    struct dune_grown_tree *note;   /* NULL, or where to leave how this tree grew */
    unsigned threads; /* that count the rows of large nodes, and grow the subtrees of deep trees; 0: one */
    bool together;    /* all processes grow this very tree now, and each counts a part of the rows of large nodes */
    bool *stopped;    /* together: somebody was interrupted, and all know it */
};
/* The value behind a code. */
static inline uint32_t dune_value(const struct dune_grow_job *job, uint32_t col, uint32_t row)
{
    return job->col[col][job->global ? job->global[row] : row];
}
/* near_rows.c: copies of the codes of a node's rows, shared by the nodes below it. */
struct dune_near {
    struct dune_codes codes;
    uint32_t *global; /* [n] rows of the table */
    size_t n;
    _Atomic uint32_t users; /* subtrees may grow at the same time */
};
/* Whether n rows of `from` (NULL: the table) are few enough for a copy of their own. */
bool dune_near_pays(const struct dune_near *from, size_t n, const struct dune_grow_job *job);
/* Copies from the codes of the job, which are those of `from`. From now on the items speak of rows of the copy. */
struct dune_near *dune_near_new(const struct dune_near *from, const struct dune_grow_job *job, struct dune_item *item, size_t n);
struct dune_near *dune_near_share(struct dune_near *k); /* NULL is fine */
void dune_near_drop(struct dune_near *k);

/* cut_rows.c: brings the rows of a node that go left to the front, all in their order, and says how many; spare has n places,
 * gathered is NULL or has the codes of the cut's column in the order of the rows. A cut between codes gets its threshold. */
size_t dune_cut_rows(const struct dune_grow_job *job, struct dune_item *item, struct dune_item *spare, size_t n,
                     const uint16_t *gathered, struct dune_cut *cut);

/* tree_grow.c: DUNE_E_INTERRUPTED or 0. */
int dune_tree_grow(struct dune_tree *out, const struct dune_grow_job *job);
void dune_tree_fini(struct dune_tree *tr);

/* --- the search for the best cut of one node ------------------------------------------------------ */
struct dune_bin_hist;
struct dune_part { /* the node */
    struct dune_item *item;
    size_t n;
    const uint64_t *hist; /* [n_classes] */
    uint64_t all;         /* weight */
    dune_u128 squares;    /* sum of squared class weights */
    uint64_t *constant;   /* columns (below 64) known to have one value; searches add to it */
    struct dune_bin_hist **kept; /* histograms of the node if they are there already; else the search
                                    leaves them here if that pays; NULL: never */
    size_t n_tree;               /* rows of the whole tree */
};
/* search_rows.c: sorts the node's rows by value. Any weights, best for few rows. */
struct dune_row_search {
    const struct dune_grow_job *job;
    uint64_t *key, *tmp;   /* [rows of the tree] */
    uint64_t *left, *right; /* [n_classes] */
};
/* Both searches return whether the column has any cut, and improve *best. */
bool dune_search_rows(struct dune_row_search *s, const struct dune_part *p, uint32_t col,
                      struct dune_cut *best);

/* search_bins.c: histograms over bins, values only where a bound says so. Weights below 2^52. */
#define DUNE_BIN_WEIGHT (UINT64_C(1) << 52)
struct dune_bin_search;
/* key and tmp have a place for each of n_items rows; searches look at `want` columns as a rule. */
struct dune_bin_search *dune_bin_search_new(const struct dune_grow_job *job, uint64_t *key, uint64_t *tmp, size_t n_items,
                                            uint32_t want);
/* The codes of a column in the order of the rows of the node that was searched last, or NULL. */
const uint16_t *dune_bin_search_codes(const struct dune_bin_search *s, int32_t col);
void dune_bin_search_free(struct dune_bin_search *s);
/* The best cut of n columns; false where none of them can be cut. */
/* Whether a node of n rows should keep its histograms for its children: the smaller child's are counted,
 * the larger one's are the rest. */
bool dune_bin_hist_pays(const struct dune_bin_hist *h, size_t n, size_t n_tree);
void dune_bin_hist_free(struct dune_bin_hist *h);
/* The histograms of the larger child are made in place of the node's, the smaller child's are returned. */
struct dune_bin_hist *dune_bin_hist_split(struct dune_bin_hist *h, const struct dune_grow_job *job,
                                          const struct dune_item *small, size_t n);
bool dune_search_bins(struct dune_bin_search *s, const struct dune_part *p, const uint32_t *col, uint32_t n,
                      struct dune_cut *best);
/* search_few.c: the same for at most DUNE_FEW_ROWS rows. */
enum { DUNE_FEW_ROWS = 64 };
bool dune_search_few(const struct dune_grow_job *job, const struct dune_part *p, const uint32_t *col,
                     uint32_t n, struct dune_cut *best);

/* sort_rows.c: sorts n keys ascending; tmp has n places. Only the bits of mask take part. */
void dune_sort_u64(uint64_t *key, uint64_t *tmp, size_t n, uint64_t mask);

#endif
