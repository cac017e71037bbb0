/* SPDX-License-Identifier: Apache-2.0 */
#include "forest/bins_int.h"

#include <string.h>

enum { BLOCK = 256, LANES = 4, ITEMS = 1024 };

void dune_bin_hist_init(struct dune_bin_hist *h, const struct dune_grow_job *job)
{
    *h = (struct dune_bin_hist){0};
    h->col = DUNE_NEW_N(uint32_t, job->n_cols);
    h->offset = DUNE_NEW_N(size_t, job->n_cols + 1);
    h->class_of = DUNE_NEW_N(uint16_t, job->n_classes);
    h->has = DUNE_NEW_N(uint8_t, (size_t)job->n_cols * DUNE_BINS);
}

void dune_bin_hist_fini(struct dune_bin_hist *h)
{
    dune_mem_free(h->col);
    dune_mem_free(h->offset);
    dune_mem_free(h->class_of);
    dune_work_free(h->data);
    dune_mem_free(h->has);
}

void dune_bin_hist_plan(struct dune_bin_hist *h, const struct dune_grow_job *job, const struct dune_part *p,
                        const uint32_t *col, uint32_t n)
{
    h->n_local = h->n_cols = 0;
    for (uint32_t c = 0; c < job->n_classes; c++)
        if (p->hist[c])
            h->class_of[h->n_local++] = (uint16_t)c;
    h->stride = (h->n_local + 3) / 4 * 4;
    for (uint32_t i = 0; i < n; i++) {
        if (col[i] < 64 && *p->constant >> col[i] & 1)
            continue;
        h->col[h->n_cols] = col[i];
        h->offset[h->n_cols + 1] =
            h->offset[h->n_cols] + (size_t)job->codes.col[job->code_col[col[i]]].n_bins * h->stride;
        h->n_cols++;
    }
    memset(h->has, 0, (size_t)h->n_cols * DUNE_BINS);
    if (h->offset[h->n_cols] > h->room) {
        dune_work_free(h->data);
        h->room = h->offset[h->n_cols];
        h->data = dune_work_zalloc(h->room, sizeof(*h->data));
    }
}

struct dune_bin_hist *dune_bin_hist_like(const struct dune_bin_hist *h, const struct dune_grow_job *job)
{
    struct dune_bin_hist *c = DUNE_NEW(struct dune_bin_hist);

    dune_bin_hist_init(c, job);
    c->n_cols = h->n_cols;
    c->n_local = h->n_local;
    c->stride = h->stride;
    c->room = h->offset[h->n_cols];
    memcpy(c->col, h->col, h->n_cols * sizeof(*h->col));
    memcpy(c->offset, h->offset, (h->n_cols + 1) * sizeof(*h->offset));
    memcpy(c->class_of, h->class_of, h->n_local * sizeof(*h->class_of));
    c->data = dune_work_zalloc(c->room, sizeof(*c->data));
    return c;
}

void dune_bin_hist_subtract(struct dune_bin_hist *a, const struct dune_bin_hist *b)
{
    size_t n = b->offset[b->n_cols];

    for (size_t i = 0; i < n; i++)
        a->data[i] -= b->data[i];
}

struct dune_bin_hist *dune_bin_hist_split(struct dune_bin_hist *h, const struct dune_grow_job *job,
                                          const struct dune_item *small, size_t n)
{
    struct dune_bin_hist *s = dune_bin_hist_like(h, job);

    dune_bin_hist_count(s, job, small, n, NULL);
    dune_bin_hist_subtract(h, s);
    return s;
}

/* Subtracting costs as much as counting some rows; 64 nodes at most can have a 64th of the tree's rows,
 * which bounds the memory. */
bool dune_bin_hist_pays(const struct dune_bin_hist *h, size_t n, size_t n_tree)
{
    return n >= n_tree / 64 && n * h->n_cols >= 2 * h->offset[h->n_cols];
}

void dune_bin_hist_free(struct dune_bin_hist *h)
{
    if (!h)
        return;
    dune_bin_hist_fini(h);
    dune_mem_free(h);
}

/*
 * Several columns at a time: neighbouring rows often fall into the same place of a histogram, and four
 * columns are four chains of dependent additions instead of one. Codes are those of the items' rows, or lie in the order
 * of the items.
 */
static inline __attribute__((always_inline)) void add_lanes(struct dune_bin_hist *h, const struct dune_grow_job *job,
                                                            const struct dune_item *item, size_t n, uint32_t from,
                                                            const uint32_t lanes, const uint16_t *gathered, size_t ld,
                                                            const bool by_column)
{
    const uint16_t *code[LANES] = {0};
    uint64_t *data[LANES] = {0};
    uint8_t *has = h->has + (size_t)from * DUNE_BINS; /* one base for all lanes spares registers */
    size_t stride = h->stride, row_stride = by_column ? 1 : job->codes.row_step;

    for (uint32_t j = 0; j < lanes; j++) {
        code[j] = gathered ? gathered + (from + j) * ld : dune_codes_column(&job->codes, job->code_col[h->col[from + j]]);
        data[j] = h->data + h->offset[from + j];
    }
    for (size_t i = 0; i < n; i++) {
        size_t at = gathered ? i : item[i].row * row_stride, local = item[i].local;
        uint64_t w = item[i].w;

        if (!by_column && !gathered && from == 0 && i + DUNE_AHEAD < n)
            __builtin_prefetch(job->codes.code + item[i + DUNE_AHEAD].row * row_stride);
#pragma GCC unroll 4
        for (uint32_t j = 0; j < lanes; j++) {
            size_t b = code[j][at] >> 8;

            has[j * DUNE_BINS + b] = 1;
            data[j][b * stride + local] += w;
        }
    }
}

static inline __attribute__((always_inline)) void add_block(struct dune_bin_hist *h, const struct dune_grow_job *job,
                                                            const struct dune_item *item, size_t n,
                                                            const uint16_t *gathered, size_t ld)
{
    uint32_t c = 0;

    for (; c + LANES <= h->n_cols; c += LANES)
        add_lanes(h, job, item, n, c, LANES, gathered, ld, false);
    if (h->n_cols - c == 3)
        add_lanes(h, job, item, n, c, 3, gathered, ld, false);
    else if (h->n_cols - c == 2)
        add_lanes(h, job, item, n, c, 2, gathered, ld, false);
    else if (h->n_cols - c == 1)
        add_lanes(h, job, item, n, c, 1, gathered, ld, false);
}

static inline __attribute__((always_inline)) void gather_lanes(const struct dune_bin_hist *h, const struct dune_grow_job *job,
                                                               const struct dune_item *item, size_t n, uint32_t from,
                                                               const uint32_t lanes, uint16_t *to, size_t ld)
{
    const uint16_t *code[LANES] = {0};
    uint16_t *out[LANES] = {0};
    size_t row_stride = job->codes.row_step;

    for (uint32_t j = 0; j < lanes; j++) {
        code[j] = dune_codes_column(&job->codes, job->code_col[h->col[from + j]]);
        out[j] = to + (from + j) * ld;
    }
    for (size_t i = 0; i < n; i++) {
        size_t at = item[i].row * row_stride;

#pragma GCC unroll 4
        for (uint32_t j = 0; j < lanes; j++)
            out[j][i] = code[j][at];
    }
}

/* Each row is fetched once, later passes read on and on. `to` has ld places per column; len rows of the n left. */
static void gather(const struct dune_bin_hist *h, const struct dune_grow_job *job, const struct dune_item *item, size_t len,
                   size_t n, uint16_t *to, size_t ld)
{
    size_t row_stride = job->codes.row_step, last = row_stride * sizeof(uint16_t) - 1;
    uint32_t c = 0;

    for (size_t i = len; i < DUNE_MIN(len + BLOCK, n); i++) { /* the next block */
        const char *far = (const char *)(job->codes.code + item[i].row * row_stride);

        __builtin_prefetch(far);
        __builtin_prefetch(far + last);
    }
    for (; c + LANES <= h->n_cols; c += LANES)
        gather_lanes(h, job, item, len, c, LANES, to, ld);
    for (; c < h->n_cols; c++)
        gather_lanes(h, job, item, len, c, 1, to, ld);
}

/*
 * Codes that lie by column. Two histograms at a time still stay in a near cache, and one item serves both; items of a block are
 * read from the first cache for all columns but the first.
 */
static void add_by_column(struct dune_bin_hist *h, const struct dune_grow_job *job, const struct dune_item *item, size_t n)
{
    for (size_t i = 0; i < n; i += ITEMS) {
        size_t len = DUNE_MIN(n - i, (size_t)ITEMS);
        uint32_t c = 0;

        for (; c + 2 <= h->n_cols; c += 2)
            add_lanes(h, job, item + i, len, c, 2, NULL, 0, true);
        if (c < h->n_cols)
            add_lanes(h, job, item + i, len, c, 1, NULL, 0, true);
    }
}

/* A block of rows at a time, so that their codes are read from memory once for all columns. */
void dune_bin_hist_add(struct dune_bin_hist *h, const struct dune_grow_job *job, const struct dune_item *item,
                       size_t n, uint16_t *gathered, size_t ld)
{
    if (job->codes.row_step == 1) {
        add_by_column(h, job, item, n);
        return;
    }
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t len = DUNE_MIN(n - i, (size_t)BLOCK);

        if (gathered) {
            gather(h, job, item + i, len, n - i, gathered + i, ld);
            add_block(h, job, item + i, len, gathered + i, ld);
        } else {
            add_block(h, job, item + i, len, NULL, 0);
        }
    }
}
