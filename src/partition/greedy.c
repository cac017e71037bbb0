/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The published greedy rule: from singletons merge the pair whose union has the largest gain, m - 1
 * times, and keep the level with the largest total. Ties: lexicographically smallest union, then split.
 */
#include "partition/partition_int.h"

#include <math.h>
#include <string.h>

struct clusters {
    const struct problem *p;
    uint32_t **cls; /* members, ascending; NULL: merged away */
    uint32_t *n;
    double *union_gain; /* [m][m], for i < j both alive */
    uint32_t *tmp;
};

static uint32_t merge_lists(const uint32_t *a, uint32_t n, const uint32_t *b, uint32_t k, uint32_t *out)
{
    uint32_t i = 0, j = 0, o = 0;

    while (i < n || j < k)
        out[o++] = j == k || (i < n && a[i] < b[j]) ? a[i++] : b[j++];
    return o;
}

static double measure_union(struct clusters *k, uint32_t i, uint32_t j)
{
    uint32_t n = merge_lists(k->cls[i], k->n[i], k->cls[j], k->n[j], k->tmp);

    return block_gain(k->p, k->tmp, n);
}

/* Whether the union of (i, j) comes before that of (a, b). */
static bool union_before(const struct clusters *k, uint32_t i, uint32_t j, uint32_t a, uint32_t b)
{
    uint32_t m = k->p->m, *x = DUNE_NEW_N(uint32_t, m), *y = DUNE_NEW_N(uint32_t, m);
    uint32_t n = merge_lists(k->cls[i], k->n[i], k->cls[j], k->n[j], x);
    uint32_t l = merge_lists(k->cls[a], k->n[a], k->cls[b], k->n[b], y), e = 0;
    bool before;

    while (e < n && e < l && x[e] == y[e])
        e++;
    before = e == n ? e < l : e < l && x[e] < y[e];
    dune_mem_free(x);
    dune_mem_free(y);
    return before;
}

static void best_pair(const struct clusters *k, uint32_t *bi, uint32_t *bj)
{
    uint32_t m = k->p->m;
    double best = -INFINITY;

    for (uint32_t i = 0; i < m; i++)
        for (uint32_t j = i + 1; k->cls[i] && j < m; j++)
            if (k->cls[j])
                best = fmax(best, k->union_gain[(size_t)i * m + j]);
    *bi = UINT32_MAX;
    for (uint32_t i = 0; i < m; i++)
        for (uint32_t j = i + 1; k->cls[i] && j < m; j++)
            if (k->cls[j] && k->union_gain[(size_t)i * m + j] >= best - tie_of(best) &&
                (*bi == UINT32_MAX || union_before(k, i, j, *bi, *bj))) {
                *bi = i;
                *bj = j;
            }
}

static void merge_pair(struct clusters *k, uint32_t i, uint32_t j)
{
    uint32_t m = k->p->m, *both = DUNE_NEW_N(uint32_t, m);

    k->n[i] = merge_lists(k->cls[i], k->n[i], k->cls[j], k->n[j], both);
    dune_mem_free(k->cls[i]);
    dune_mem_free(k->cls[j]);
    k->cls[i] = both;
    k->cls[j] = NULL;
    for (uint32_t x = 0; x < m; x++)
        if (k->cls[x] && x != i)
            k->union_gain[(size_t)DUNE_MIN(x, i) * m + DUNE_MAX(x, i)] =
                measure_union(k, DUNE_MIN(x, i), DUNE_MAX(x, i));
}

static void current_split(const struct clusters *k, struct split *s)
{
    for (uint32_t i = 0; i < k->p->m; i++)
        for (uint32_t e = 0; k->cls[i] && e < k->n[i]; e++)
            s->block_of[k->cls[i][e]] = i;
    split_normalise(s, k->p->m);
}

static void start_clusters(struct clusters *k, const struct problem *p)
{
    uint32_t m = p->m;

    *k = (struct clusters){.p = p};
    k->cls = DUNE_NEW_N(uint32_t *, m);
    k->n = DUNE_NEW_N(uint32_t, m);
    k->tmp = DUNE_NEW_N(uint32_t, m);
    k->union_gain = DUNE_NEW_N(double, (size_t)m * m);
    for (uint32_t i = 0; i < m; i++) {
        k->cls[i] = DUNE_NEW_N(uint32_t, m);
        k->cls[i][0] = i;
        k->n[i] = 1;
    }
    for (uint32_t i = 0; i < m; i++)
        for (uint32_t j = i + 1; j < m; j++)
            k->union_gain[(size_t)i * m + j] = measure_union(k, i, j);
}

static void end_clusters(struct clusters *k)
{
    for (uint32_t i = 0; i < k->p->m; i++)
        dune_mem_free(k->cls[i]);
    dune_mem_free(k->cls);
    dune_mem_free(k->n);
    dune_mem_free(k->tmp);
    dune_mem_free(k->union_gain);
}

/* Takes the level if it is asked for, or beats the best so far. */
static void offer(const struct problem *p, const struct split *now, double total, struct split *s,
                  struct verdict *v)
{
    bool take = p->n_blocks ? now->n == p->n_blocks : total > v->objective + tie_of(total);

    if (!p->n_blocks && !take && total >= v->objective - tie_of(total))
        take = split_compare(now, s, p->m) < 0;
    if (!take)
        return;
    split_copy(s, now, p->m);
    v->objective = total;
}

void greedy_partition(const struct problem *p, struct split *s, struct verdict *v)
{
    struct split now;
    struct clusters k;

    v->gap = -1;
    v->level = DUNE_NEW_N(double, p->m);
    v->objective = -INFINITY;
    start_clusters(&k, p);
    split_init(&now, p->m);
    current_split(&k, &now);
    if (p->m == 1 || p->n_blocks == p->m)
        offer(p, &now, split_score(p, &now), s, v);
    while (v->n_levels + 1 < p->m) {
        uint32_t i, j = 0;

        best_pair(&k, &i, &j);
        merge_pair(&k, i, j);
        current_split(&k, &now);
        v->level[v->n_levels] = split_score(p, &now);
        offer(p, &now, v->level[v->n_levels], s, v);
        v->n_levels++;
    }
    split_fini(&now);
    end_clusters(&k);
}
