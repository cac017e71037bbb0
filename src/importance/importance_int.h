/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers of named tables share. */
#ifndef DUNE_IMPORTANCE_INT_H
#define DUNE_IMPORTANCE_INT_H

#include "base/base.h"
#include "dune/importance.h"

enum { MAX_NAMES = 4096 }; /* classes in one file; keeps the search for duplicates short */
#define MAX_NUMBER 1e15    /* so that no sum overflows */

struct name_list {
    char **data;
    size_t len, cap;
};
void name_list_fini(struct name_list *l);
int name_list_find(char *const *names, size_t n, const char *name); /* -1: absent */
/* Adds a copy; an empty or repeated name is an error of line c->line. */
int name_list_add(struct name_list *l, const char *what, const char *name, const struct dune_csv *c,
                  struct dune_diag *d) DUNE_MUST_USE;

/* Reads the header; *col is the column of the row names. */
int table_header(struct dune_csv *c, size_t *col, struct dune_diag *d) DUNE_MUST_USE;
/* First column named like one of the NULL-terminated names (letter case aside), earlier names first. */
int table_column(const struct dune_csv *c, const char *const *names);
/* A finite number >= 0 in column col of row `row`; head names the column. */
int table_number(const struct dune_csv *c, size_t col, const char *row, const char *head, double *out,
                 struct dune_diag *d) DUNE_MUST_USE;
/* 1: a row with as many fields as the header; 0: end. */
int table_row(struct dune_csv *c, size_t n_fields, struct dune_diag *d) DUNE_MUST_USE;

#endif
