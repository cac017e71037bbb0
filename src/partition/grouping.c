/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of equal size (they differ by at most one class): at random, or by what is confused with what. */
#include "partition/partition_int.h"

#include <math.h>
#include <string.h>

/* The first m % K blocks are one class larger. */
static uint32_t block_size(uint32_t m, uint32_t n_blocks, uint32_t q)
{
    return m / n_blocks + (q < m % n_blocks);
}

void random_partition(const struct problem *p, struct split *s, struct verdict *v)
{
    uint32_t *order = DUNE_NEW_N(uint32_t, p->m), at = 0;
    struct dune_rng rng;

    dune_rng_init(&rng, p->seed, 0x73706c6974, p->m, p->n_blocks);
    for (uint32_t i = 0; i < p->m; i++)
        order[i] = i;
    for (uint32_t i = p->m; i > 1; i--) {
        uint32_t j = (uint32_t)dune_rng_below(&rng, i), tmp = order[i - 1];

        order[i - 1] = order[j];
        order[j] = tmp;
    }
    for (uint32_t q = 0; q < p->n_blocks; q++)
        for (uint32_t e = 0; e < block_size(p->m, p->n_blocks, q); e++)
            s->block_of[order[at++]] = q;
    split_normalise(s, p->m);
    v->objective = split_score(p, s);
    v->gap = -1;
    dune_mem_free(order);
}

struct affinity {
    uint32_t m;
    double *a; /* [m][m] symmetric, larger: wanted in one block */
    double *to; /* [n_blocks][m] affinity of a class to the members of a block */
};

static double pair_of(const struct affinity *k, uint32_t c, uint32_t e)
{
    return k->a[(size_t)c * k->m + e];
}

/* Seeds a block with the smallest free class, then adds the class it is most attached to. */
static void fill_blocks(const struct affinity *k, uint32_t n_blocks, uint32_t *block_of)
{
    memset(block_of, 0xff, k->m * sizeof(*block_of));
    for (uint32_t q = 0; q < n_blocks; q++)
        for (uint32_t e = 0; e < block_size(k->m, n_blocks, q); e++) {
            uint32_t best = UINT32_MAX;
            double best_sum = -INFINITY;

            for (uint32_t c = 0; c < k->m; c++) {
                double sum = 0;

                if (block_of[c] != UINT32_MAX)
                    continue;
                for (uint32_t x = 0; x < k->m; x++)
                    if (block_of[x] == q)
                        sum += pair_of(k, c, x);
                if (sum > best_sum) {
                    best_sum = sum;
                    best = c;
                }
            }
            block_of[best] = q;
        }
}

static void sum_affinities(struct affinity *k, uint32_t n_blocks, const uint32_t *block_of)
{
    memset(k->to, 0, (size_t)n_blocks * k->m * sizeof(*k->to));
    for (uint32_t c = 0; c < k->m; c++)
        for (uint32_t x = 0; x < k->m; x++)
            k->to[(size_t)block_of[x] * k->m + c] += pair_of(k, c, x);
}

/* Exchanges the pair that helps most; false when none does. */
static bool swap_best(struct affinity *k, uint32_t n_blocks, uint32_t *block_of, double least)
{
    uint32_t bc = 0, be = 0, q;
    double best = least;

    sum_affinities(k, n_blocks, block_of);
    for (uint32_t c = 0; c < k->m; c++)
        for (uint32_t e = c + 1; e < k->m; e++) {
            const double *qc = k->to + (size_t)block_of[c] * k->m, *qe = k->to + (size_t)block_of[e] * k->m;
            double gain = qe[c] - qc[c] + qc[e] - qe[e] - 2.0 * pair_of(k, c, e);

            if (block_of[c] != block_of[e] && gain > best) {
                best = gain;
                bc = c;
                be = e;
            }
        }
    if (bc == be)
        return false;
    q = block_of[bc];
    block_of[bc] = block_of[be];
    block_of[be] = q;
    return true;
}

static double within(const struct problem *p, const double *confusion, const struct split *s)
{
    double sum = 0;

    for (uint32_t c = 0; c < p->m; c++)
        for (uint32_t e = 0; e < p->m; e++)
            if (c != e && s->block_of[c] == s->block_of[e])
                sum += confusion[(size_t)c * p->m + e];
    return sum;
}

void confusion_partition(const struct problem *p, const double *confusion, bool together, struct split *s,
                         struct verdict *v)
{
    struct affinity k = {.m = p->m};
    double scale = 0;

    k.a = DUNE_NEW_N(double, (size_t)p->m * p->m);
    k.to = DUNE_NEW_N(double, (size_t)p->n_blocks * p->m);
    for (uint32_t c = 0; c < p->m; c++)
        for (uint32_t e = 0; e < p->m; e++) {
            double both = confusion[(size_t)c * p->m + e] + confusion[(size_t)e * p->m + c];

            if (c != e)
                k.a[(size_t)c * p->m + e] = together ? both : -both;
            scale = fmax(scale, both);
        }
    fill_blocks(&k, p->n_blocks, s->block_of);
    /* every swap gains more than rounding can take back, so this ends */
    while (swap_best(&k, p->n_blocks, s->block_of, 1e-9 * scale))
        ;
    split_normalise(s, p->m);
    v->objective = within(p, confusion, s);
    v->gap = -1;
    dune_mem_free(k.a);
    dune_mem_free(k.to);
}
