/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "dune/metrics.h"

#define RNG_KEY UINT64_C(0x626f6f74) /* keeps these draws apart from others with the same seed */

static double macro_of(struct dune_confusion *c, const struct dune_vote *v, size_t n,
                       const uint32_t *times)
{
    dune_confusion_clear(c);
    for (size_t i = 0; i < n; i++)
        if (times[v[i].group])
            dune_confusion_add(c, v[i].truth, v[i].pred, v[i].w * times[v[i].group]);
    return dune_f1_score(c, 1, NULL).macro;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Quantile by linear interpolation between the order statistics of sorted x. */
static double quantile(const double *x, unsigned n, double q)
{
    double at = q * (n - 1);
    unsigned i = (unsigned)at;

    return i + 1 < n ? x[i] + (at - i) * (x[i + 1] - x[i]) : x[n - 1];
}

static struct dune_interval summarise(double *x, unsigned n)
{
    struct dune_interval r = {0};
    double sq = 0;

    for (unsigned i = 0; i < n; i++)
        r.mean += x[i];
    r.mean /= n;
    for (unsigned i = 0; i < n; i++)
        sq += (x[i] - r.mean) * (x[i] - r.mean);
    r.se = n > 1 ? sqrt(sq / (n - 1)) : 0;
    qsort(x, n, sizeof(*x), ascending);
    r.lo = quantile(x, n, 0.025);
    r.hi = quantile(x, n, 0.975);
    return r;
}

struct dune_interval dune_f1_bootstrap_votes(const struct dune_vote *a, size_t n_a,
                                             const struct dune_vote *b, size_t n_b,
                                             uint32_t n_classes, uint32_t n_groups, unsigned draws,
                                             uint64_t seed)
{
    struct dune_interval r = {0};
    struct dune_confusion c;
    uint32_t *times;
    double *x;

    if (!n_groups || !draws)
        return r;
    times = dune_mem_alloc(n_groups, sizeof(*times));
    x = dune_mem_alloc(draws, sizeof(*x));
    dune_confusion_init(&c, n_classes);
    for (unsigned i = 0; i < draws; i++) {
        struct dune_rng rng;

        dune_rng_init(&rng, seed, RNG_KEY, i, 0);
        memset(times, 0, n_groups * sizeof(*times));
        for (uint32_t g = 0; g < n_groups; g++)
            times[dune_rng_below(&rng, n_groups)]++;
        x[i] = macro_of(&c, a, n_a, times);
        if (b)
            x[i] -= macro_of(&c, b, n_b, times);
    }
    r = summarise(x, draws);
    dune_confusion_fini(&c);
    dune_mem_free(times);
    dune_mem_free(x);
    return r;
}

/* The non-zero cells of all groups; *n gets their number. */
static struct dune_vote *votes_of(const struct dune_confusion *c, uint32_t n_groups, size_t *n)
{
    struct {
        struct dune_vote *data;
        size_t len, cap;
    } v = {0};

    for (uint32_t g = 0; g < n_groups; g++) {
        uint32_t stride = c[g].n_classes + 1;

        for (uint32_t k = 0; k < c[g].n_classes * stride; k++) {
            struct dune_vote vote = {g, k / stride, k % stride, c[g].cell[k]};

            if (vote.w)
                DUNE_VEC_PUSH(&v, vote);
        }
    }
    *n = v.len;
    return v.data;
}

struct dune_interval dune_f1_bootstrap(const struct dune_confusion *a, const struct dune_confusion *b,
                                       uint32_t n_groups, unsigned draws, uint64_t seed)
{
    size_t n_a, n_b = 0;
    struct dune_vote *va, *vb = NULL;
    struct dune_interval r = {0};

    if (!n_groups)
        return r;
    va = votes_of(a, n_groups, &n_a);
    if (b && !(vb = votes_of(b, n_groups, &n_b)))
        vb = DUNE_NEW(struct dune_vote); /* a solution without a vote still is the other side */
    r = dune_f1_bootstrap_votes(va, n_a, vb, n_b, a->n_classes, n_groups, draws, seed);
    dune_mem_free(va);
    dune_mem_free(vb);
    return r;
}
