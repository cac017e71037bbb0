/* SPDX-License-Identifier: Apache-2.0 */
/* Training rows as files, so that every contestant is a process that reads the same bytes. */
#ifndef DUNE_BENCH_FOREST_ROWS_H
#define DUNE_BENCH_FOREST_ROWS_H

#include "base/base.h"
#include "dune/forest.h"

struct bench_rows {
    uint64_t n_train, n_test, n_cols, n_classes;
    uint32_t **col; /* train rows first */
    uint64_t *w;
    uint16_t *cls;
    struct dune_map map;
};
/* n synthetic rows, plus a quarter as many to test on. */
int bench_rows_generate(const char *path, uint64_t n, uint64_t cols, uint64_t classes, struct dune_diag *d) DUNE_MUST_USE;
/* Rows of a data set: all features at inference point n, train and test split. */
int bench_rows_export(const struct dune_dataset *ds, const char *out, unsigned n, struct dune_diag *d) DUNE_MUST_USE;
int bench_rows_open(struct bench_rows *r, const char *path, struct dune_diag *d) DUNE_MUST_USE;
void bench_rows_close(struct bench_rows *r);
/* A table over train or test rows that borrows r; feat and col have room for 256 columns. */
struct dune_table bench_rows_part(const struct bench_rows *r, bool test, uint8_t *feat, uint32_t **col);
double bench_rows_macro_f1(const struct bench_rows *r, const struct dune_table *t, const uint16_t *got);

#endif
