/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of a large node counted by several threads, or by several processes that grow the same tree: each counts a
 * stretch of them, and the histograms are added up. They are whole numbers, so every division gives the same sums.
 */
#include "forest/bins_int.h"

#include "base/ranks.h"

enum { MAX_STRETCHES = 16 };

struct counting {
    const struct dune_grow_job *job;
    const struct dune_item *item;
    size_t from, to; /* items to count */
    size_t n_items;  /* of the node: distance of columns in gathered */
    uint16_t *gathered;
    struct dune_bin_hist *part[MAX_STRETCHES];
    unsigned n_parts;
};

bool dune_bin_hist_dealt(const struct dune_grow_job *job, size_t n)
{
    return job->together && n >= job->tune.split_rows;
}

static void count_stretch(void *ctx, size_t i)
{
    const struct counting *c = ctx;
    size_t n = c->to - c->from, from = c->from + n * i / c->n_parts, to = c->from + n * (i + 1) / c->n_parts;

    dune_bin_hist_add(c->part[i], c->job, c->item + from, to - from, c->gathered ? c->gathered + from : NULL, c->n_items);
}

static void add_part(struct dune_bin_hist *h, const struct dune_bin_hist *part)
{
    for (size_t i = 0; i < h->offset[h->n_cols]; i++)
        h->data[i] += part->data[i];
    for (size_t i = 0; i < (size_t)h->n_cols * DUNE_BINS; i++)
        h->has[i] |= part->has[i];
}

/* Bins that have rows in some process. */
static void mark_all(struct dune_bin_hist *h)
{
    for (uint32_t c = 0; c < h->n_cols; c++)
        for (size_t at = h->offset[c], bin = 0; at < h->offset[c + 1]; at += h->stride, bin++)
            h->has[(size_t)c * DUNE_BINS + bin] = dune_bin_has_rows(h->data + at, h->stride);
}

/* The sum of all processes; they also agree whether somebody was interrupted. */
static void add_others(struct dune_bin_hist *h, const struct dune_grow_job *job)
{
    uint64_t stop = dune_interrupted();

    dune_ranks_sum(&stop, 1);
    if (stop)
        *job->stopped = true;
    dune_ranks_sum(h->data, h->offset[h->n_cols]);
    mark_all(h);
}

void dune_bin_hist_count(struct dune_bin_hist *h, const struct dune_grow_job *job, const struct dune_item *item, size_t n,
                         uint16_t *gathered)
{
    struct counting c = {.job = job, .item = item, .to = n, .n_items = n, .gathered = gathered, .part = {h}, .n_parts = 1};
    bool dealt = dune_bin_hist_dealt(job, n);

    if (dealt) {
        c.from = n * dune_ranks_me() / dune_ranks_n();
        c.to = n * (dune_ranks_me() + 1) / dune_ranks_n();
    }
    if (n >= job->tune.split_rows && job->threads > 1)
        c.n_parts = DUNE_MIN(job->threads, (unsigned)MAX_STRETCHES);
    for (unsigned i = 1; i < c.n_parts; i++)
        c.part[i] = dune_bin_hist_like(h, job);
    dune_parallel_for(c.n_parts, c.n_parts, count_stretch, &c);
    for (unsigned i = 1; i < c.n_parts; i++) {
        add_part(h, c.part[i]);
        dune_bin_hist_free(c.part[i]);
    }
    if (dealt)
        add_others(h, job);
}
