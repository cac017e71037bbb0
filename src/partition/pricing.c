/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The most valuable block for given prices y of the classes: over all 2^m blocks where they fit into
 * memory, else over an upper bound of their values: Theta of a block is at most the sum of its classes'
 * own, so for each pair (smallest f, largest f) the best members in between can be chosen one by one.
 */
#include "partition/bound_int.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_BITS = 12, PREFIX = 6 };

/* --- true values ---------------------------------------------------------------------------------------- */

struct values_job {
    const struct problem *p;
    double *value;
};

/* sum[0..r) of the members so far is at sum - r. */
static void extend(const struct values_job *k, uint32_t first, uint64_t mask, uint32_t n, double *sum,
                   double lo, double hi)
{
    const struct problem *p = k->p;
    const double share = (double)(n + 1) / p->r;

    for (uint32_t c = first; c < p->m; c++) {
        double theta = 0, new_lo = fmin(lo, p->f[c]), new_hi = fmax(hi, p->f[c]);
        double delta = n ? new_hi - new_lo : new_lo;

        for (uint32_t j = 0; j < p->r; j++) {
            sum[j] = sum[(ptrdiff_t)j - (ptrdiff_t)p->r] + p->w[(size_t)c * p->r + j];
            if (sum[j] - share > 0)
                theta += sum[j] - share;
        }
        k->value[mask | UINT64_C(1) << c] =
            p->ilp ? -combine_cost(p->m, theta, delta) : combine_gain(theta, delta);
        extend(k, c + 1, mask | UINT64_C(1) << c, n + 1, sum + p->r, new_lo, new_hi);
    }
}

/* Job: which of the first classes are in. */
static void value_prefix(void *ctx, size_t job)
{
    const struct values_job *k = ctx;
    const struct problem *p = k->p;
    double *sums = DUNE_NEW_N(double, (size_t)(p->m + 2) * p->r), lo = INFINITY, hi = -INFINITY;
    uint32_t cls[PREFIX], n = 0;

    for (uint32_t c = 0; c < PREFIX; c++)
        if (job >> c & 1) {
            for (uint32_t j = 0; j < p->r; j++)
                sums[j] += p->w[(size_t)c * p->r + j];
            lo = fmin(lo, p->f[c]);
            hi = fmax(hi, p->f[c]);
            cls[n++] = c;
        }
    if (n)
        k->value[job] = block_value(p, cls, n);
    extend(k, PREFIX, job, n, sums + p->r, lo, hi);
    dune_mem_free(sums);
}

void pricing_init(struct pricing *k, const struct problem *p)
{
    uint64_t limit = p->memory_limit ? p->memory_limit : UINT64_C(2) << 30;

    *k = (struct pricing){.p = p};
    if (p->m > PREFIX && p->m <= ENUM_CLASSES && sizeof(double) << p->m <= limit / 2) {
        struct values_job job = {.p = p};

        k->value = job.value = dune_mem_alloc((size_t)1 << p->m, sizeof(double));
        k->value[0] = -INFINITY;
        dune_parallel_for(p->threads, (size_t)1 << PREFIX, value_prefix, &job);
        k->chunk = DUNE_NEW_N(struct lp_column, ((size_t)1 << p->m >> CHUNK_BITS) + 1);
    }
    k->theta = DUNE_NEW_N(double, p->m);
    k->by_f = DUNE_NEW_N(uint32_t, p->m);
    for (uint32_t c = 0; c < p->m; c++) {
        uint32_t i = c;
        double delta;

        block_measure(p, &c, 1, &k->theta[c], &delta);
        for (; i > 0 && p->f[k->by_f[i - 1]] > p->f[c]; i--)
            k->by_f[i] = k->by_f[i - 1];
        k->by_f[i] = c;
    }
}

void pricing_fini(struct pricing *k)
{
    dune_mem_free(k->value);
    dune_mem_free(k->theta);
    dune_mem_free(k->by_f);
    dune_mem_free(k->chunk);
}

/* --- the best blocks --------------------------------------------------------------------------------------- */

struct shortlist {
    struct {
        double gain;
        struct lp_column col;
    } top[MAX_PRICED];
    size_t n;
    double best;
};

static void offer(struct shortlist *l, double gain, double above, uint64_t mask, double value)
{
    size_t i;

    l->best = fmax(l->best, gain);
    if (gain <= above || (l->n == MAX_PRICED && gain <= l->top[l->n - 1].gain))
        return;
    i = l->n < MAX_PRICED ? l->n++ : MAX_PRICED - 1;
    for (; i > 0 && l->top[i - 1].gain < gain; i--)
        l->top[i] = l->top[i - 1];
    l->top[i].gain = gain;
    l->top[i].col = (struct lp_column){mask, value};
}

/* Best of the 64 chunks of a job; the value field holds the gain. */
static void price_chunks(void *ctx, size_t job)
{
    struct pricing *k = ctx;
    size_t n_chunks = ((size_t)1 << k->p->m) >> CHUNK_BITS;
    double low[1 << CHUNK_BITS];

    for (size_t s = 0; s < DUNE_ARRAY_LEN(low); s++)
        low[s] = mask_sum(k->ms, s);
    for (size_t h = job * 64; h < DUNE_MIN(n_chunks, job * 64 + 64); h++) {
        const double *value = k->value + (h << CHUNK_BITS);
        double high = mask_sum(k->ms, (uint64_t)h << CHUNK_BITS), best = -INFINITY;
        size_t at = 0;

        for (size_t s = 0; s < DUNE_ARRAY_LEN(low); s++)
            if (value[s] - low[s] > best) {
                best = value[s] - low[s];
                at = s;
            }
        k->chunk[h] = (struct lp_column){h << CHUNK_BITS | at, best - high};
    }
}

static void price_all(struct pricing *k, double above, struct shortlist *l)
{
    size_t n_chunks = ((size_t)1 << k->p->m) >> CHUNK_BITS;

    dune_parallel_for(k->p->threads, (n_chunks + 63) / 64, price_chunks, k);
    for (size_t h = 0; h < n_chunks; h++)
        offer(l, k->chunk[h].value, above, k->chunk[h].mask, k->value[k->chunk[h].mask]);
}

/* Blocks with the f of by_f[a] and by_f[b] as extremes. */
static void price_range(struct pricing *k, const double *y, uint32_t a, uint32_t b, double above,
                        struct shortlist *l)
{
    const struct problem *p = k->p;
    double delta = p->f[k->by_f[b]] - p->f[k->by_f[a]];
    double factor = p->ilp ? delta : 1.0 / (1.0 + delta);
    double value = p->ilp ? -(double)p->m * delta : 0.0, paid = 0;
    uint64_t mask = 0;

    for (uint32_t i = a; i <= b; i++) {
        uint32_t c = k->by_f[i];
        double brings = k->theta[c] * factor;

        if (i != a && i != b && brings <= y[c])
            continue;
        value += brings;
        paid += y[c];
        mask |= UINT64_C(1) << c;
    }
    offer(l, value - paid, above, mask, value);
}

static void price_bounds(struct pricing *k, const double *y, double above, struct shortlist *l)
{
    for (uint32_t c = 0; c < k->p->m; c++) {
        double value = block_value(k->p, &c, 1);

        offer(l, value - y[c], above, UINT64_C(1) << c, value);
    }
    for (uint32_t a = 0; a < k->p->m; a++)
        for (uint32_t b = a + 1; b < k->p->m; b++)
            price_range(k, y, a, b, above, l);
}

double pricing_run(struct pricing *k, const double *y, double above, struct lp_column *out, size_t *n)
{
    struct shortlist l = {.best = -INFINITY};
    struct mask_sums ms;

    mask_sums_make(&ms, y, k->p->m);
    k->ms = &ms;
    if (k->value)
        price_all(k, above, &l);
    else
        price_bounds(k, y, above, &l);
    k->ms = NULL;
    for (size_t i = 0; i < l.n; i++)
        out[i] = l.top[i].col;
    *n = l.n;
    return l.best;
}
