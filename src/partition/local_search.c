/* SPDX-License-Identifier: Apache-2.0 */
/* Good splits without proof: a construction, then moves, swaps and merges with random restarts nearby. */
#include "partition/partition_int.h"

#include <math.h>
#include <string.h>

struct search {
    const struct problem *p;
    uint32_t *block_of; /* labels 0..m-1, some empty */
    uint32_t *size;
    double *value; /* of each block */
    uint32_t n;    /* blocks in use */
    double sum, score;
    uint32_t *tmp;
};

/* Value of block q without `drop` and with `add`; an empty block counts 0. */
static double value_with(struct search *k, uint32_t q, uint32_t drop, uint32_t add)
{
    uint32_t n = 0;

    for (uint32_t c = 0; c < k->p->m; c++)
        if ((k->block_of[c] == q && c != drop) || c == add)
            k->tmp[n++] = c;
    return n ? block_value(k->p, k->tmp, n) : 0.0;
}

static double score_of(const struct search *k, double sum, uint32_t n)
{
    return k->p->ilp ? sum : compactness(k->p->m, n) * sum;
}

static void recount(struct search *k)
{
    const uint32_t m = k->p->m;

    memset(k->size, 0, m * sizeof(*k->size));
    k->n = 0;
    k->sum = 0;
    for (uint32_t c = 0; c < m; c++)
        k->size[k->block_of[c]]++;
    for (uint32_t q = 0; q < m; q++) {
        k->value[q] = k->size[q] ? value_with(k, q, m, m) : 0.0;
        k->sum += k->value[q];
        k->n += k->size[q] > 0;
    }
    k->score = score_of(k, k->sum, k->n);
}

static uint32_t empty_label(const struct search *k)
{
    uint32_t q = 0;

    while (q < k->p->m && k->size[q])
        q++;
    return q;
}

/* Keeps a change of two blocks when it helps. */
static bool better(struct search *k, double sum, uint32_t n)
{
    double score = score_of(k, sum, n);

    return blocks_allowed(k->p, n) && score > k->score + tie_of(score);
}

static bool try_move(struct search *k, uint32_t c, uint32_t to)
{
    uint32_t from = k->block_of[c], n = k->n + (k->size[to] == 0) - (k->size[from] == 1);
    double va, vb;

    if (from == to || !blocks_allowed(k->p, n))
        return false;
    va = value_with(k, from, c, k->p->m);
    vb = value_with(k, to, k->p->m, c);
    if (!better(k, k->sum - k->value[from] - k->value[to] + va + vb, n))
        return false;
    k->block_of[c] = to;
    recount(k);
    return true;
}

static bool try_swap(struct search *k, uint32_t c, uint32_t e)
{
    uint32_t a = k->block_of[c], b = k->block_of[e];
    double va, vb;

    if (a == b)
        return false;
    va = value_with(k, a, c, e);
    vb = value_with(k, b, e, c);
    if (!better(k, k->sum - k->value[a] - k->value[b] + va + vb, k->n))
        return false;
    k->block_of[c] = b;
    k->block_of[e] = a;
    recount(k);
    return true;
}

static bool try_merge(struct search *k, uint32_t a, uint32_t b)
{
    uint32_t n = 0;
    double v;

    if (!k->size[a] || !k->size[b] || !blocks_allowed(k->p, k->n - 1))
        return false;
    for (uint32_t c = 0; c < k->p->m; c++)
        if (k->block_of[c] == a || k->block_of[c] == b)
            k->tmp[n++] = c;
    v = block_value(k->p, k->tmp, n);
    if (!better(k, k->sum - k->value[a] - k->value[b] + v, k->n - 1))
        return false;
    for (uint32_t c = 0; c < k->p->m; c++)
        if (k->block_of[c] == b)
            k->block_of[c] = a;
    recount(k);
    return true;
}

static void climb(struct search *k)
{
    const uint32_t m = k->p->m;
    bool moved = true;

    recount(k);
    while (moved) {
        moved = false;
        for (uint32_t c = 0; c < m; c++)
            for (uint32_t q = 0, fresh = empty_label(k); q < m; q++)
                if (k->size[q] || q == fresh)
                    moved |= try_move(k, c, q);
        for (uint32_t c = 0; c < m; c++)
            for (uint32_t e = c + 1; e < m; e++)
                moved |= try_swap(k, c, e);
        for (uint32_t a = 0; a < m; a++)
            for (uint32_t b = a + 1; b < m; b++)
                moved |= try_merge(k, a, b);
    }
}

/* Moves a few classes at random, as far as the number of blocks stays allowed. */
static void shake(struct search *k, struct dune_rng *rng)
{
    const uint32_t m = k->p->m;
    uint32_t moves = 2 + (uint32_t)dune_rng_below(rng, DUNE_MAX(2, m / 4));

    while (moves--) {
        uint32_t c = (uint32_t)dune_rng_below(rng, m), from = k->block_of[c];
        uint32_t to = k->block_of[dune_rng_below(rng, m)], n;

        if (dune_rng_below(rng, 4) == 0)
            to = empty_label(k);
        if (to == m || to == from)
            continue;
        n = k->n + (k->size[to] == 0) - (k->size[from] == 1);
        if (!blocks_allowed(k->p, n))
            continue;
        k->n = n;
        k->size[from]--;
        k->size[to]++;
        k->block_of[c] = to;
    }
}

void improve_split(const struct problem *p, struct split *s, unsigned rounds)
{
    struct search k = {.p = p};
    struct split best;
    struct dune_rng rng;
    double best_score;

    k.block_of = DUNE_NEW_N(uint32_t, p->m);
    k.size = DUNE_NEW_N(uint32_t, p->m);
    k.value = DUNE_NEW_N(double, p->m);
    k.tmp = DUNE_NEW_N(uint32_t, p->m);
    split_init(&best, p->m);
    dune_rng_init(&rng, p->seed, 0x7365617263, p->m, p->n_blocks);
    memcpy(k.block_of, s->block_of, p->m * sizeof(*k.block_of));
    climb(&k);
    best_score = k.score;
    memcpy(best.block_of, k.block_of, p->m * sizeof(*k.block_of));
    for (unsigned i = 0; i < rounds && !dune_interrupted(); i++) {
        memcpy(k.block_of, best.block_of, p->m * sizeof(*k.block_of));
        recount(&k);
        shake(&k, &rng);
        climb(&k);
        if (k.score > best_score + tie_of(best_score)) {
            best_score = k.score;
            memcpy(best.block_of, k.block_of, p->m * sizeof(*k.block_of));
        }
    }
    split_normalise(&best, p->m);
    split_copy(s, &best, p->m);
    split_fini(&best);
    dune_mem_free(k.block_of);
    dune_mem_free(k.size);
    dune_mem_free(k.value);
    dune_mem_free(k.tmp);
}

/* Classes sorted by f and cut into n runs: blocks with a small Delta. */
static void cut_runs(const struct problem *p, uint32_t n, struct split *s)
{
    uint32_t *order = DUNE_NEW_N(uint32_t, p->m);

    for (uint32_t i = 0; i < p->m; i++) {
        uint32_t j = i;

        for (; j > 0 && p->f[order[j - 1]] > p->f[i]; j--)
            order[j] = order[j - 1];
        order[j] = i;
    }
    for (uint32_t i = 0; i < p->m; i++)
        s->block_of[order[i]] = (uint32_t)((uint64_t)i * n / p->m);
    split_normalise(s, p->m);
    dune_mem_free(order);
}

void start_split(const struct problem *p, struct split *s)
{
    double best = -INFINITY;
    struct split now;

    split_init(&now, p->m);
    for (uint32_t n = min_blocks(p); n <= max_blocks(p); n++) {
        double score;

        cut_runs(p, n, &now);
        score = split_score(p, &now);
        if (score > best) {
            best = score;
            split_copy(s, &now, p->m);
        }
    }
    if (!p->ilp) {
        struct verdict v = {0};

        greedy_partition(p, &now, &v);
        if (v.objective > best)
            split_copy(s, &now, p->m);
        dune_mem_free(v.level);
    }
    split_fini(&now);
}
