/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms of a node over the bins of its columns: class weights per bin. */
#ifndef DUNE_BINS_INT_H
#define DUNE_BINS_INT_H

#include "forest/forest_int.h"

enum { DUNE_BINS = 256 };

struct dune_bin_hist {
    uint32_t n_cols, n_local, stride; /* stride: n_local rounded up to 4 */
    uint32_t *col;      /* [n_cols] columns of the forest */
    size_t *offset;     /* [n_cols + 1] where each column's bins begin in data */
    uint16_t *class_of; /* [n_local] local class -> class: deep nodes have few */
    uint64_t *data;     /* [bin][stride] */
    uint8_t *has;       /* [n_cols][DUNE_BINS] bins that may have rows */
    size_t room;        /* of data */
};

/* Whether a bin of a histogram has rows. */
static inline bool dune_bin_has_rows(const uint64_t *bin, uint32_t stride)
{
    uint64_t any = 0;

    for (uint32_t j = 0; j < stride; j++)
        any |= bin[j];
    return any != 0;
}

/* The columns of col that are not in the mask constant, the classes with weight; data all zero. */
void dune_bin_hist_plan(struct dune_bin_hist *h, const struct dune_grow_job *job, const struct dune_part *p,
                        const uint32_t *col, uint32_t n);
void dune_bin_hist_init(struct dune_bin_hist *h, const struct dune_grow_job *job);
void dune_bin_hist_fini(struct dune_bin_hist *h);
/* An empty one for other rows of the same columns and classes; a minus b, where b's rows are some of a's. */
struct dune_bin_hist *dune_bin_hist_like(const struct dune_bin_hist *h, const struct dune_grow_job *job);
void dune_bin_hist_subtract(struct dune_bin_hist *a, const struct dune_bin_hist *b);
/* Adds rows, whose local classes are set. Not NULL: their codes are left in gathered[n_cols][ld], n of each ld. */
void dune_bin_hist_add(struct dune_bin_hist *h, const struct dune_grow_job *job, const struct dune_item *item,
                       size_t n, uint16_t *gathered, size_t ld);
/* hist_share.c: the same for all rows of a node and a histogram without any, by the threads and processes of the job. */
void dune_bin_hist_count(struct dune_bin_hist *h, const struct dune_grow_job *job, const struct dune_item *item, size_t n,
                         uint16_t *gathered);
/* Whether each process counts only a part of n rows, and so reads the codes of that part only. */
bool dune_bin_hist_dealt(const struct dune_grow_job *job, size_t n);

#endif
