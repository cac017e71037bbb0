/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs that several benchmarks use. Paths are yours to free. */
#ifndef DUNE_BENCH_BENCH_DATA_H
#define DUNE_BENCH_BENCH_DATA_H

#include "bench/bench.h"
#include "dune/dataset.h"

/* Extracts a shared set ("aalto" with 16 or 21 classes, "ustc") once per run into tmp/<set>.dset. Absent
 * data: *path stays NULL, which is no error. */
int bench_shared_dataset(struct bench *b, const char *set, char **path, struct dune_diag *d) DUNE_MUST_USE;

#endif
