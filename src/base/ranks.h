/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several processes that run the same command on the same inputs (docs/cluster.md). All of them take the same
 * decisions in the same order; expensive work items are dealt out, and their results are exchanged before anybody
 * goes on, so every process ends with the same bytes. Only the first one writes files and prints.
 *
 * Without other processes everything here is what it would be without it.
 */
#ifndef DUNE_BASE_RANKS_H
#define DUNE_BASE_RANKS_H

#include "base/base.h"

struct dune_ranks_ops {
    /* Everybody's bytes, end to end, in rank order; offset[0..n]. *all is of dune_mem_alloc. */
    void (*gather)(const void *mine, size_t len, uint8_t **all, size_t *offset);
    void (*sum)(uint64_t *v, size_t n); /* of all processes, to all */
    void (*barrier)(void);
    void (*abort)(int status); /* ends all processes */
    void (*finish)(void);      /* an orderly end */
};
/* Was this process started as one of several by mpirun or srun? */
bool dune_ranks_launched(void);
void dune_ranks_set(unsigned me, unsigned n, const struct dune_ranks_ops *ops); /* by who joins them */
unsigned dune_ranks_me(void); /* 0.. */
unsigned dune_ranks_n(void);  /* 1: alone */
void dune_ranks_barrier(void);
/* Every number becomes the sum of those of all processes. Not from inside a job of dune_parallel_for. */
void dune_ranks_sum(uint64_t *v, size_t n);
void dune_ranks_abort(int status); /* returns when alone */
void dune_ranks_finish(void);
/* Threads a process should use: its share of the cores of this machine. */
unsigned dune_ranks_cpus(void);

/*
 * Runs fn(ctx, i) for i in [0, n): here with threads, or dealt out to all processes, item i to number i modulo their
 * number. put appends the result of an item that was done here, take reads one that was done elsewhere. Not from
 * inside a job of dune_parallel_for. Errors: DUNE_E_INTERNAL when a result cannot be taken.
 */
struct dune_ranks_work {
    dune_job_fn fn;
    void (*put)(void *ctx, size_t i, struct dune_buf *out);
    bool (*take)(void *ctx, size_t i, const uint8_t *data, size_t len);
};
int dune_ranks_for(unsigned threads, size_t n, const struct dune_ranks_work *work, void *ctx,
                   struct dune_diag *d) DUNE_MUST_USE;

#endif
