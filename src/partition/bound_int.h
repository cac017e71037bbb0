/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of the bound for more classes than the subset DP takes: the linear program and its pricing. */
#ifndef DUNE_BOUND_INT_H
#define DUNE_BOUND_INT_H

#include "partition/partition_int.h"

enum { LP_CLASSES = 63, ENUM_CLASSES = 26, MAX_PRICED = 64 };

/* --- small_lp.c ---------------------------------------------------------------------------------------
 * Chooses blocks: maximise sum value_s x_s, every class covered once, n blocks in all, x >= 0. Columns
 * can be added between solves; the right sides carry tiny differences against cycling, which cannot hurt
 * because any dual values give a valid bound. */
struct small_lp {
    unsigned m;
    struct lp_column {
        uint64_t mask;
        double value;
    } *col;
    size_t len, cap;
    int32_t basis[LP_CLASSES + 1]; /* column, or -1-row: artificial */
    double rhs[LP_CLASSES + 1];
    double dual[LP_CLASSES + 1]; /* per class, then of the number of blocks */
};
void small_lp_init(struct small_lp *lp, unsigned m);
void small_lp_fini(struct small_lp *lp);
bool small_lp_add(struct small_lp *lp, uint64_t mask, double value); /* false: is in already */
void small_lp_restart(struct small_lp *lp, uint32_t n_blocks);
void small_lp_solve(struct small_lp *lp);

/* Sums of dual values over masks by table look-up. */
struct mask_sums {
    double t[8][256];
};
void mask_sums_make(struct mask_sums *ms, const double *y, unsigned m);
static inline double mask_sum(const struct mask_sums *ms, uint64_t mask)
{
    double sum = 0;

    for (unsigned i = 0; mask; i++, mask >>= 8)
        sum += ms->t[i][mask & 255];
    return sum;
}

/* --- pricing.c ---------------------------------------------------------------------------------------- */
struct pricing {
    const struct problem *p;
    double *value;   /* [2^m] true values of all blocks; NULL: too many, values are bounded instead */
    double *theta;   /* [m] of single classes */
    uint32_t *by_f;  /* classes by f */
    struct lp_column *chunk; /* best of each 2^12 blocks */
    const struct mask_sums *ms;
};
void pricing_init(struct pricing *k, const struct problem *p);
void pricing_fini(struct pricing *k);
/* Largest value_s - sum of y over s, of all blocks; the blocks nearest to it go to out, at most
 * MAX_PRICED with at least `above`. */
double pricing_run(struct pricing *k, const double *y, double above, struct lp_column *out, size_t *n);

#endif
