/* SPDX-License-Identifier: Apache-2.0 */
/* CSV files with a header: columns by name, trimmed fields, one row at a time. */
#ifndef DUNE_CAPTURE_COLUMNS_INT_H
#define DUNE_CAPTURE_COLUMNS_INT_H

#include "base/base.h"

struct columns {
    struct dune_csv csv;
    char **name; /* trimmed, lower case */
    size_t n;
};

/* Reads the header. The delimiter is a tab when the header line has tabs and no comma. Always call
 * columns_fini, also after an error. */
int columns_open(struct columns *c, const char *file, const void *data, size_t len,
                 struct dune_diag *d) DUNE_MUST_USE;
void columns_fini(struct columns *c);
/* Index of a column, -1 if absent. */
int columns_find(const struct columns *c, const char *name);
/* Some name stands twice: its index, else -1. */
int columns_twice(const struct columns *c);
/* 1: a row of exactly n fields (any number of them if loose), 0: end, negative: error. Rows with
 * nothing in them are skipped. */
int columns_next(struct columns *c, bool loose, struct dune_diag *d) DUNE_MUST_USE;

#define COLUMNS_BAD(c, d, ...)                                                                     \
    (dune_diag_set_line((d), DUNE_E_FORMAT, (c)->csv.file, (c)->csv.line, __VA_ARGS__),            \
     DUNE_E_FORMAT)

#endif
