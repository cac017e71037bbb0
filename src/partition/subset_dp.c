/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The best partition by dynamic programming over subsets.
 *
 * Blocks are listed by smallest class, so class 0 is in the first one and every rest that is left over
 * is a subset of classes 1..m-1: 2^(m-1) states, 3^(m-1)/2 pairs (block, rest). A set is a mask with
 * class c >= 1 at bit c-1 and class 0 at bit m-1.
 *
 *   any[S]     best sum of values over all partitions of S
 *   some[S]    the same over partitions with a block of two or more classes (ilp)
 *   exactly[S][k-1]   best sum with k blocks (the factor of the total depends on k)
 *
 * Threads share the sets of one size; every state has one writer and max() is exact, so the result does
 * not depend on their number. Then the lexicographically smallest partition within the tie tolerance
 * is picked block by block: a block is taken if what is left can still reach the optimum.
 */
#include "partition/partition_int.h"

#include <math.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

struct dp {
    const struct problem *p;
    unsigned m;
    double *value;   /* [2^m] */
    double *any, *some;
    double *exactly; /* [2^(m-1)][width] */
    unsigned width;
    uint32_t *by_size; /* sets of classes 1..m-1 by number of members */
    size_t start[34];  /* first set of each size */
    void (*fill)(struct dp *k, uint32_t s);
    size_t layer, chunk;
    struct split *out;
    double goal; /* what has to be reached */
};

/* --- values of all blocks, by adding classes in ascending order -------------------------------------- */

static uint32_t bit_of(const struct dp *k, uint32_t c)
{
    return UINT32_C(1) << (c ? c - 1 : k->m - 1);
}

static void value_blocks(struct dp *k, uint32_t first, uint32_t mask, uint32_t n, const double *sum,
                         double lo, double hi)
{
    const struct problem *p = k->p;
    double *next = DUNE_NEW_N(double, p->r);

    for (uint32_t c = first; c < p->m; c++) {
        double share = (double)(n + 1) / p->r, theta = 0, delta;
        double new_lo = n ? fmin(lo, p->f[c]) : p->f[c], new_hi = n ? fmax(hi, p->f[c]) : p->f[c];

        for (uint32_t j = 0; j < p->r; j++) {
            next[j] = (n ? sum[j] : 0.0) + p->w[(size_t)c * p->r + j];
            if (next[j] - share > 0)
                theta += next[j] - share;
        }
        delta = n ? new_hi - new_lo : new_lo;
        k->value[mask | bit_of(k, c)] =
            p->ilp ? -combine_cost(p->m, theta, delta) : combine_gain(theta, delta);
        value_blocks(k, c + 1, mask | bit_of(k, c), n + 1, next, new_lo, new_hi);
    }
    dune_mem_free(next);
}

/* --- filling the states ------------------------------------------------------------------------------- */

static void fill_any(struct dp *k, uint32_t s)
{
    uint32_t low = s & -s, all = s ^ low;
    double best = k->value[s];

    for (uint32_t rest = all; rest; rest = (rest - 1) & all) {
        double v = k->value[s ^ rest] + k->any[rest];

        best = v > best ? v : best;
    }
    k->any[s] = best;
}

static void fill_some(struct dp *k, uint32_t s)
{
    uint32_t low = s & -s, all = s ^ low;
    double best = all ? k->value[low] + k->some[all] : -INFINITY;

    for (uint32_t rest = all; all; rest = (rest - 1) & all) {
        double v = rest == all ? -INFINITY : k->value[s ^ rest] + k->any[rest];

        best = v > best ? v : best;
        if (!rest)
            break;
    }
    k->some[s] = best;
    k->any[s] = fmax(best, k->value[low] + k->any[all]);
}

/* Two numbers at a time, of any alignment. */
typedef double pair __attribute__((vector_size(16), aligned(8)));

static inline pair larger(pair a, pair b)
{
#ifdef __SSE2__
    return (pair)_mm_max_pd((__m128d)a, (__m128d)b);
#else
    return (pair){a[0] > b[0] ? a[0] : b[0], a[1] > b[1] ? a[1] : b[1]};
#endif
}

#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 12")
#endif

/* The width is a constant so that the best values stay in registers. */
#define FILL_EXACTLY(W)                                                                            \
    static void fill_exactly_##W(struct dp *k, uint32_t s)                                         \
    {                                                                                              \
        uint32_t low = s & -s, all = s ^ low;                                                      \
        const double *restrict value = k->value;                                                   \
        pair top[(W) / 2];                                                                         \
        double best[W];                                                                            \
                                                                                                   \
        UNROLL                                                                                     \
        for (int i = 0; i < (W) / 2; i++)                                                          \
            top[i] = (pair){-INFINITY, -INFINITY};                                                 \
        for (uint32_t rest = all; rest; rest = (rest - 1) & all) {                                 \
            const double *restrict sub = k->exactly + (size_t)rest * W;                            \
            pair v = {value[s ^ rest], value[s ^ rest]};                                           \
                                                                                                   \
            UNROLL                                                                                 \
            for (int i = 0; i < (W) / 2; i++)                                                      \
                top[i] = larger(v + *(const pair *)(const void *)(sub + 2 * i), top[i]);           \
        }                                                                                          \
        memcpy(best, top, sizeof(best));                                                           \
        k->exactly[(size_t)s * W] = value[s];                                                      \
        for (int i = 1; i < W; i++)                                                                \
            k->exactly[(size_t)s * W + i] = best[i - 1];                                           \
    }
FILL_EXACTLY(4)
FILL_EXACTLY(8)
FILL_EXACTLY(12)
FILL_EXACTLY(16)
FILL_EXACTLY(20)
FILL_EXACTLY(24)

static void fill_chunk(void *ctx, size_t job)
{
    struct dp *k = ctx;
    size_t from = k->start[k->layer] + job * k->chunk;
    size_t to = DUNE_MIN(from + k->chunk, k->start[k->layer + 1]);

    for (size_t i = from; i < to && !dune_interrupted(); i++)
        k->fill(k, k->by_size[i]);
}

static int fill_states(struct dp *k, struct dune_diag *d)
{
    for (k->layer = 1; k->layer < k->m; k->layer++) {
        size_t n = k->start[k->layer + 1] - k->start[k->layer];

        k->chunk = DUNE_MAX((size_t)1, ((size_t)1 << 15) >> k->layer);
        dune_parallel_for(k->p->threads, (n + k->chunk - 1) / k->chunk, fill_chunk, k);
        if (dune_interrupted())
            return dune_diag_set(d, DUNE_E_INTERRUPTED, NULL, "interrupted");
    }
    return 0;
}

static void sort_by_size(struct dp *k)
{
    size_t at[34] = {0}, n = (size_t)1 << (k->m - 1);

    k->by_size = dune_mem_alloc(n, sizeof(*k->by_size));
    for (size_t s = 0; s < n; s++)
        at[__builtin_popcountll(s) + 1]++;
    for (unsigned i = 1; i < DUNE_ARRAY_LEN(at); i++)
        at[i] += at[i - 1];
    memcpy(k->start, at, sizeof(at));
    for (size_t s = 0; s < n; s++)
        k->by_size[at[__builtin_popcountll(s)]++] = (uint32_t)s;
}

/* --- the optimum and the smallest way to it ---------------------------------------------------------- */

/* Best score of a partition that begins with nb blocks of sum acc and goes on in rest. */
static double reachable(const struct dp *k, uint32_t rest, double acc, uint32_t nb, bool some)
{
    const struct problem *p = k->p;
    double best = -INFINITY;

    if (!rest) {
        if (!blocks_allowed(p, nb) || (p->ilp && (nb == 1 || nb == p->m)))
            return best;
        return p->ilp ? acc : compactness(k->m, nb) * acc;
    }
    if (!k->exactly)
        return acc + (some ? k->any[rest] : k->some[rest]);
    for (uint32_t i = 1; i <= k->width && nb + i <= max_blocks(p); i++)
        if (nb + i >= min_blocks(p)) {
            double v = acc + k->exactly[(size_t)rest * k->width + i - 1];

            best = fmax(best, p->ilp ? v : compactness(k->m, nb + i) * v);
        }
    return best;
}

static double optimum(const struct dp *k)
{
    uint32_t first = UINT32_C(1) << (k->m - 1);
    double best = -INFINITY;

    for (uint32_t rest = 0; rest < first; rest++) {
        uint32_t block = first | (rest ^ (first - 1));

        best = fmax(best, reachable(k, rest, k->value[block], 1, block != first));
    }
    return best;
}

struct pick {
    uint32_t left; /* classes not in a block yet */
    double acc;
    uint32_t nb;
    bool some;
};

/* Tries block and its extensions by classes of more, in lexicographic order. */
static bool pick_block(const struct dp *k, const struct pick *at, uint32_t block, uint32_t more,
                       uint32_t *found)
{
    bool some = at->some || (block & (block - 1));

    if (reachable(k, at->left ^ block, at->acc + k->value[block], at->nb + 1, some) >= k->goal) {
        *found = block;
        return true;
    }
    while (more) {
        uint32_t bit = more & -more;

        more ^= bit;
        if (pick_block(k, at, block | bit, more, found))
            return true;
    }
    return false;
}

static bool pick_all(struct dp *k)
{
    uint32_t first = UINT32_C(1) << (k->m - 1), block = 0;
    struct pick at = {.left = (first - 1) | first};

    for (; at.left; at.nb++) {
        uint32_t low = at.nb ? at.left & -at.left : first;

        if (!pick_block(k, &at, low, (at.left ^ low) & (first - 1), &block))
            return false;
        for (uint32_t c = 0; c < k->m; c++)
            if (block & bit_of(k, c))
                k->out->block_of[c] = at.nb;
        at.left ^= block;
        at.acc += k->value[block];
        at.some = at.some || (block & (block - 1));
    }
    k->out->n = at.nb;
    return true;
}

/* --- the plan of the computation --------------------------------------------------------------------- */

static void choose_fill(struct dp *k, unsigned need)
{
    static void (*const fill[])(struct dp *, uint32_t) = {fill_exactly_4,  fill_exactly_8,
                                                          fill_exactly_12, fill_exactly_16,
                                                          fill_exactly_20, fill_exactly_24};

    k->width = (need + 3) / 4 * 4;
    k->fill = fill[k->width / 4 - 1];
    k->exactly = dune_mem_alloc((size_t)k->width << (k->m - 1), sizeof(double));
    for (unsigned i = 0; i < k->width; i++)
        k->exactly[i] = -INFINITY;
}

/* Most blocks that a split as good as `lower` can have: a sum is never above the free optimum. */
static unsigned most_blocks(const struct dp *k, double lower)
{
    uint32_t first = UINT32_C(1) << (k->m - 1);
    double free_sum = k->value[first | (first - 1)];
    unsigned n = k->m;

    for (uint32_t rest = 1; rest < first; rest++)
        free_sum = fmax(free_sum, k->value[first | (rest ^ (first - 1))] + k->any[rest]);
    while (n > 1 && compactness(k->m, n) * free_sum < lower - 4 * tie_of(lower))
        n--;
    return n;
}

static int run(struct dp *k, double lower, struct dune_diag *d)
{
    const struct problem *p = k->p;
    unsigned need = p->n_blocks;
    int rc;

    if (!p->n_blocks) {
        k->any = DUNE_NEW_N(double, (size_t)1 << (k->m - 1));
        k->fill = p->ilp ? fill_some : fill_any;
        if (p->ilp) {
            k->some = DUNE_NEW_N(double, (size_t)1 << (k->m - 1));
            k->some[0] = -INFINITY;
        }
        rc = fill_states(k, d);
        if (rc)
            return rc;
        need = p->ilp ? 0 : most_blocks(k, lower);
    }
    if (need) {
        choose_fill(k, DUNE_MAX(need, 2) - 1);
        rc = fill_states(k, d);
        if (rc)
            return rc;
    }
    k->goal = optimum(k);
    k->goal -= tie_of(k->goal);
    return pick_all(k) ? 0 : dune_diag_set(d, DUNE_E_INTERNAL, NULL, "no partition reaches the optimum");
}

uint64_t subset_dp_bytes(const struct problem *p)
{
    uint64_t states = UINT64_C(1) << (p->m - 1), width = p->ilp && !p->n_blocks ? 2 : p->m + 4;

    return states * (2 * sizeof(double) + sizeof(uint32_t) + (1 + width) * sizeof(double));
}

int subset_dp(const struct problem *p, double lower, struct split *s, struct dune_diag *d)
{
    struct dp k = {.p = p, .m = p->m, .out = s};
    int rc;

    k.value = DUNE_NEW_N(double, (size_t)1 << p->m);
    value_blocks(&k, 0, 0, 0, NULL, 0, 0);
    sort_by_size(&k);
    rc = run(&k, lower, d);
    dune_mem_free(k.value);
    dune_mem_free(k.any);
    dune_mem_free(k.some);
    dune_mem_free(k.exactly);
    dune_mem_free(k.by_size);
    return rc;
}
