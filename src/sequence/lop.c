/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of the sub-models as a linear ordering problem, solved exactly over subsets.
 *
 * rest[S] is the least cost of ordering what is not in S once S stands in front. Placing j after S costs
 * add(S, j) = sum of cost(j before i) over the i still to come, and the slack of that step is
 * add(S, j) + rest[S + j] - rest[S] >= 0. The slacks along an order sum to its distance from the optimum,
 * so the tied orders are the paths whose slacks sum to at most the tolerance.
 */
#include "base/base.h"
#include "dune/sequence.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { MAX_BLOCKS = 24, HALF = 12 };
#define TIE 1e-9 /* relative to the optimum */

struct lop {
    uint32_t n;
    double cost[MAX_BLOCKS][MAX_BLOCKS]; /* [i][j]: i before j */
    double *lo, *hi;                     /* [n][2^12]: cost of j before the set of the low, high blocks */
    double *rest;                        /* [2^n] */
    double tie;
};

/* cost(i before j) = C[j][i] * (1 - F1_i / 100), columns of C normalised to 100. */
static void make_costs(uint32_t n, const double *confusion, const double *f1, double *cost)
{
    for (uint32_t i = 0; i < n; i++) {
        double sum = 0;

        for (uint32_t j = 0; j < n; j++)
            sum += confusion[(size_t)j * n + i];
        for (uint32_t j = 0; j < n; j++)
            cost[(size_t)i * n + j] = i == j || !(sum > 0) ? 0.0
                                      : confusion[(size_t)j * n + i] / sum * 100.0 * (1.0 - f1[i] / 100.0);
    }
}

double dune_sequence_cost(uint32_t n, const double *confusion, const double *f1, const uint32_t *order)
{
    double *cost = DUNE_NEW_N(double, (size_t)n * n), sum = 0;

    make_costs(n, confusion, f1, cost);
    for (uint32_t a = 0; a < n; a++)
        for (uint32_t b = a + 1; b < n; b++)
            sum += cost[(size_t)order[a] * n + order[b]];
    dune_mem_free(cost);
    return sum;
}

static int check_input(uint32_t n, const double *confusion, const double *f1, struct dune_diag *d)
{
    if (!n)
        return dune_diag_set(d, DUNE_E_INPUT, NULL, "there are no blocks to order");
    if (n > MAX_BLOCKS)
        return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "%u blocks: the exact order takes at most %d", n,
                             MAX_BLOCKS);
    for (size_t i = 0; i < (size_t)n * n; i++)
        if (!(confusion[i] >= 0) || !isfinite(confusion[i]))
            return dune_diag_set(d, DUNE_E_INPUT, NULL, "the confusion of blocks %zu and %zu is not a "
                                 "finite number >= 0", i / n, i % n);
    for (uint32_t i = 0; i < n; i++)
        if (!(f1[i] >= 0 && f1[i] <= 100.0 + 1e-9))
            return dune_diag_set(d, DUNE_E_INPUT, NULL, "the F1 of block %u is not in 0..100 percent", i);
    return 0;
}

/* Sums over the halves of a set, so that add() is two look-ups. */
static void sum_halves(struct lop *k)
{
    k->lo = DUNE_NEW_N(double, (size_t)k->n << HALF);
    k->hi = DUNE_NEW_N(double, (size_t)k->n << HALF);
    for (uint32_t j = 0; j < k->n; j++)
        for (uint32_t s = 1; s < UINT32_C(1) << HALF; s++) {
            uint32_t bit = (uint32_t)__builtin_ctz(s), i = bit + HALF;
            size_t at = ((size_t)j << HALF) + s, before = ((size_t)j << HALF) + (s & (s - 1));

            k->lo[at] = k->lo[before] + (bit < k->n ? k->cost[j][bit] : 0.0);
            k->hi[at] = k->hi[before] + (i < k->n ? k->cost[j][i] : 0.0);
        }
}

static double step(const struct lop *k, uint32_t s, uint32_t j)
{
    uint32_t next = s | UINT32_C(1) << j, left = ~next & (uint32_t)((UINT64_C(1) << k->n) - 1);

    return k->lo[((size_t)j << HALF) + (left & ((1 << HALF) - 1))] +
           k->hi[((size_t)j << HALF) + (left >> HALF)] + k->rest[next];
}

static void fill_rest(struct lop *k)
{
    size_t full = ((size_t)1 << k->n) - 1;

    k->rest = dune_mem_alloc(full + 1, sizeof(*k->rest));
    k->rest[full] = 0;
    for (size_t s = full; s-- > 0;) {
        double best = INFINITY;

        for (uint32_t free_set = (uint32_t)(~s & full); free_set; free_set &= free_set - 1) {
            double v = step(k, (uint32_t)s, (uint32_t)__builtin_ctz(free_set));

            best = v < best ? v : best;
        }
        k->rest[s] = best;
    }
}

/* The lexicographically smallest order whose slacks sum to at most the tolerance. */
static void pick_order(const struct lop *k, uint32_t *order)
{
    uint32_t s = 0;
    double used = 0;

    for (uint32_t at = 0; at < k->n; at++)
        for (uint32_t j = 0; j < k->n; j++) {
            double slack = s >> j & 1 ? INFINITY : step(k, s, j) - k->rest[s];

            if (used + slack > k->tie)
                continue;
            used += slack;
            order[at] = j;
            s |= UINT32_C(1) << j;
            break;
        }
}

/* --- counting ties ------------------------------------------------------------------------------------ */

static uint64_t add_up(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* Number of ways from s on by steps of at most max_slack; every state once. */
static uint64_t count_paths(const struct lop *k, double max_slack, bool *near)
{
    size_t full = ((size_t)1 << k->n) - 1;
    uint64_t *ways = DUNE_NEW_N(uint64_t, full + 1), count;
    uint8_t *seen = DUNE_NEW_N(uint8_t, full + 1);

    /* forward: sets grow, so ascending order meets a set after all that lead to it */
    ways[0] = 1;
    seen[0] = 1;
    for (size_t s = 0; s < full; s++)
        for (uint32_t j = 0; seen[s] && j < k->n; j++) {
            double slack = s >> j & 1 ? INFINITY : step(k, (uint32_t)s, j) - k->rest[s];
            size_t next = s | (size_t)1 << j;

            if (slack > k->tie)
                continue;
            seen[next] = 1; /* on some path that is near the optimum */
            if (slack > max_slack)
                *near = true;
            else
                ways[next] = add_up(ways[next], ways[s]);
        }
    count = ways[full];
    dune_mem_free(ways);
    dune_mem_free(seen);
    return count;
}

/*
 * Some steps have a slack that is a visible part of the tolerance: paths are counted per set and sum of
 * slacks, the latter in units of tie / 2^bits, layer by layer. Should that need too many entries, the
 * units become coarser.
 */
enum { UNIT_BITS = 12, MAX_ENTRIES = 1 << 23 };

struct tally { /* open addressing; key 0 is empty */
    uint64_t *key, *ways;
    size_t len, cap;
};

static void tally_add(struct tally *t, uint64_t key, uint64_t ways)
{
    size_t at;

    if (t->len * 2 >= t->cap) {
        struct tally big = {.cap = t->cap ? t->cap * 2 : 1024};

        big.key = DUNE_NEW_N(uint64_t, big.cap);
        big.ways = DUNE_NEW_N(uint64_t, big.cap);
        for (size_t i = 0; i < t->cap; i++)
            if (t->key[i])
                tally_add(&big, t->key[i], t->ways[i]);
        dune_mem_free(t->key);
        dune_mem_free(t->ways);
        *t = big;
    }
    at = dune_mix64(key, 0) & (t->cap - 1);
    while (t->key[at] && t->key[at] != key)
        at = (at + 1) & (t->cap - 1);
    t->len += !t->key[at];
    t->key[at] = key;
    t->ways[at] = add_up(t->ways[at], ways);
}

static void tally_clear(struct tally *t)
{
    dune_mem_free(t->key);
    dune_mem_free(t->ways);
    memset(t, 0, sizeof(*t));
}

/* One more block behind every entry of now; false when there are too many entries. */
static bool next_layer(const struct lop *k, const struct tally *now, struct tally *next, uint32_t bits)
{
    for (size_t i = 0; i < now->cap; i++)
        for (uint32_t j = 0; now->key[i] && j < k->n; j++) {
            uint32_t s = (uint32_t)((now->key[i] - 1) >> (UNIT_BITS + 1)), units;
            double slack = s >> j & 1 ? INFINITY : step(k, s, j) - k->rest[s];

            if (slack > k->tie)
                continue;
            units = (uint32_t)((now->key[i] - 1) & ((2u << UNIT_BITS) - 1));
            units += (uint32_t)lround(slack / k->tie * (1u << bits));
            if (units > 1u << bits)
                continue;
            s |= UINT32_C(1) << j;
            tally_add(next, ((uint64_t)s << (UNIT_BITS + 1) | units) + 1, now->ways[i]);
            if (next->len > MAX_ENTRIES)
                return false;
        }
    return true;
}

static uint64_t count_by_slack(const struct lop *k)
{
    uint64_t count = 0;

    for (uint32_t bits = UNIT_BITS, done = 0; !done; bits = bits > 2 ? bits - 2 : 0) {
        struct tally now = {0}, next = {0};

        tally_add(&now, 1, 1);
        done = 1;
        for (uint32_t size = 0; done && size < k->n; size++) {
            done = next_layer(k, &now, &next, bits);
            tally_clear(&now);
            now = next;
            memset(&next, 0, sizeof(next));
        }
        for (size_t i = 0; done && i < now.cap; i++)
            if (now.key[i])
                count = add_up(count, now.ways[i]);
        tally_clear(&now);
    }
    return count;
}

static uint64_t count_ties(const struct lop *k)
{
    bool near = false;
    /* n steps of at most tie / 2n cannot leave the tolerance: nearly always these are all there is */
    uint64_t count = count_paths(k, k->tie / (2.0 * k->n), &near);

    return near ? count_by_slack(k) : count;
}

int dune_sequence_lop(struct dune_order *out, uint32_t n, const double *confusion, const double *f1,
                      struct dune_diag *d)
{
    struct lop k = {.n = n};
    double all = 0, *cost;
    int rc = check_input(n, confusion, f1, d);

    memset(out, 0, sizeof(*out));
    if (rc)
        return rc;
    cost = DUNE_NEW_N(double, (size_t)n * n);
    make_costs(n, confusion, f1, cost);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < n; j++) {
            k.cost[i][j] = cost[(size_t)i * n + j];
            all += k.cost[i][j];
        }
    sum_halves(&k);
    fill_rest(&k);
    /* never below what rounding does to sums of this size */
    k.tie = fmax(TIE * k.rest[0], 4.0 * n * n * DBL_EPSILON * all);
    out->n = n;
    pick_order(&k, out->order);
    out->ties = count_ties(&k);
    out->objective = dune_sequence_cost(n, confusion, f1, out->order);
    out->optimal = 1;
    dune_mem_free(cost);
    dune_mem_free(k.lo);
    dune_mem_free(k.hi);
    dune_mem_free(k.rest);
    return 0;
}
