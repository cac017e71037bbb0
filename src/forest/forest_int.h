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

/* Everything one tree needs; borrowed from the fit. */
struct dune_grow_job {
    const uint32_t *const *col; /* [n_cols] */
    size_t n_rows;
    uint32_t n_cols, n_classes;
    const uint16_t *cls;
    const uint64_t *w;
    const struct dune_train_cfg *cfg;
    uint64_t tree; /* number of the tree: key of its random draws */
};
/* tree_grow.c: DUNE_E_INTERRUPTED or 0. */
int dune_tree_grow(struct dune_tree *out, const struct dune_grow_job *job);
void dune_tree_fini(struct dune_tree *tr);

/* sort_rows.c: sorts n keys ascending; tmp has n places. Only the bits of mask take part. */
void dune_sort_u64(uint64_t *key, uint64_t *tmp, size_t n, uint64_t mask);

#endif
