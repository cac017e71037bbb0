/* SPDX-License-Identifier: Apache-2.0 */
/* What the partition methods share: the selected classes as numbers, and splits of them. */
#ifndef DUNE_PARTITION_INT_H
#define DUNE_PARTITION_INT_H

#include "base/base.h"
#include "dune/partition.h"

#define PART_TIE 1e-12 /* relative to max(1, |value|) */

/* The selected classes 0..m-1. The sums behind every value run over ascending classes, so that all
 * methods see the same bits. */
struct problem {
    uint32_t m, r;
    double *w; /* [m][r] */
    double *f; /* [m] percent */
    /* what exact and ilp optimise: a block counts gain (largest total) or -cost (ilp) */
    bool ilp;
    uint32_t n_blocks; /* asked for, 0: free */
    uint64_t memory_limit;
    unsigned threads;
    uint64_t seed;
};

/* A partition: block of every class, numbered by smallest class. */
struct split {
    uint32_t *block_of; /* [m] */
    uint32_t n;
};
struct verdict { /* what a method says about its split */
    double objective;
    bool optimal;
    double gap;
    uint32_t n_levels;
    double *level;
};

static inline double tie_of(double v)
{
    double a = v < 0 ? -v : v;

    return PART_TIE * (a > 1.0 ? a : 1.0);
}

/* block_value.c. cls ascending. */
void block_measure(const struct problem *p, const uint32_t *cls, uint32_t k, double *theta, double *delta);
double block_gain(const struct problem *p, const uint32_t *cls, uint32_t k);
double block_value(const struct problem *p, const uint32_t *cls, uint32_t k); /* gain or -cost */
double combine_gain(double theta, double delta);
double combine_cost(uint32_t m, double theta, double delta);
double compactness(uint32_t m, uint32_t n_blocks);
/* Sum of block values in block order, times the compactness unless ilp: larger is better. */
double split_score(const struct problem *p, const struct split *s);
/* Whether a method may answer n blocks. */
bool blocks_allowed(const struct problem *p, uint32_t n);
uint32_t min_blocks(const struct problem *p);
uint32_t max_blocks(const struct problem *p);

void split_init(struct split *s, uint32_t m);
void split_fini(struct split *s);
void split_copy(struct split *to, const struct split *from, uint32_t m);
/* Renumbers by smallest class; empty blocks vanish. */
void split_normalise(struct split *s, uint32_t m);
/* Lexicographic comparison of the lists of blocks. */
int split_compare(const struct split *a, const struct split *b, uint32_t m);
/* Members of block q, ascending; returns how many. */
uint32_t split_members(const struct split *s, uint32_t m, uint32_t q, uint32_t *cls);

/* The methods. */
void greedy_partition(const struct problem *p, struct split *s, struct verdict *v);
void random_partition(const struct problem *p, struct split *s, struct verdict *v);
void confusion_partition(const struct problem *p, const double *confusion, bool together, struct split *s,
                         struct verdict *v);
int exact_partition(const struct problem *p, struct split *s, struct verdict *v, struct dune_diag *d) DUNE_MUST_USE;
/* A good split for p's objective: iterated local search, always the same for the same seed. s must hold
 * an allowed start. */
void improve_split(const struct problem *p, struct split *s, unsigned rounds);
/* Any allowed split: the best of a few constructions. */
void start_split(const struct problem *p, struct split *s);
/* subset_dp.c: the optimum by dynamic programming over subsets, lexicographically smallest. lower: a
 * score that some split reaches. */
int subset_dp(const struct problem *p, double lower, struct split *s, struct dune_diag *d) DUNE_MUST_USE;
uint64_t subset_dp_bytes(const struct problem *p);
/* bound.c: no allowed split has a larger score. May improve s; *optimal: s is proven best. */
double upper_bound(const struct problem *p, struct split *s, bool *optimal);

#endif
