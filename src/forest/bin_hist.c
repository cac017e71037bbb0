/* SPDX-License-Identifier: Apache-2.0 */
#include "forest/bins_int.h"

#include <string.h>

enum { BLOCK = 512, LANES = 4 };

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
    dune_mem_free(h->data);
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
            h->offset[h->n_cols] + (size_t)job->codes->col[job->code_col[col[i]]].n_bins * h->stride;
        h->n_cols++;
    }
    memset(h->has, 0, (size_t)h->n_cols * DUNE_BINS);
    if (h->offset[h->n_cols] > h->room) {
        dune_mem_free(h->data);
        h->room = h->offset[h->n_cols];
        h->data = DUNE_NEW_N(uint64_t, h->room);
    }
}

/*
 * Four columns at a time: neighbouring rows often fall into the same place of a histogram, and four
 * columns are four chains of dependent additions instead of one.
 */
static void add_lanes(struct dune_bin_hist *h, const struct dune_grow_job *job, const struct dune_item *item,
                      size_t n, uint32_t from)
{
    const uint16_t *code[LANES];
    uint64_t *data[LANES];
    uint8_t *has[LANES];
    size_t stride = h->stride, row_stride = job->codes->stride;

    for (uint32_t j = 0; j < LANES; j++) {
        code[j] = job->codes->code + job->code_col[h->col[from + j]];
        data[j] = h->data + h->offset[from + j];
        has[j] = h->has + (size_t)(from + j) * DUNE_BINS;
    }
    for (size_t i = 0; i < n; i++) {
        size_t at = item[i].row * row_stride, local = item[i].local;
        uint64_t w = item[i].w;
        size_t b0 = code[0][at] >> 8, b1 = code[1][at] >> 8, b2 = code[2][at] >> 8, b3 = code[3][at] >> 8;

        has[0][b0] = 1;
        has[1][b1] = 1;
        has[2][b2] = 1;
        has[3][b3] = 1;
        data[0][b0 * stride + local] += w;
        data[1][b1 * stride + local] += w;
        data[2][b2 * stride + local] += w;
        data[3][b3 * stride + local] += w;
    }
}

static void add_column(struct dune_bin_hist *h, const struct dune_grow_job *job, const struct dune_item *item,
                       size_t n, uint32_t c)
{
    const uint16_t *code = job->codes->code + job->code_col[h->col[c]];
    uint64_t *data = h->data + h->offset[c];
    uint8_t *has = h->has + (size_t)c * DUNE_BINS;
    size_t stride = h->stride, row_stride = job->codes->stride;

    for (size_t i = 0; i < n; i++) {
        size_t b = code[item[i].row * row_stride] >> 8;

        has[b] = 1;
        data[b * stride + item[i].local] += item[i].w;
    }
}

/* A block of rows at a time, so that their codes are read from memory once for all columns. */
void dune_bin_hist_add(struct dune_bin_hist *h, const struct dune_grow_job *job, const struct dune_item *item,
                       size_t n)
{
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t len = DUNE_MIN(n - i, (size_t)BLOCK);
        uint32_t c = 0;

        for (; c + LANES <= h->n_cols; c += LANES)
            add_lanes(h, job, item + i, len, c);
        for (; c < h->n_cols; c++)
            add_column(h, job, item + i, len, c);
    }
}
