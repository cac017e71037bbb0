/* SPDX-License-Identifier: Apache-2.0 */
/* What a look at one file does not tell the analysers about the rest: lint.py puts this before every file. */
#ifndef DUNE_LINT_KNOWN_H
#define DUNE_LINT_KNOWN_H

#include "dune/error.h"

#include <stddef.h>

/* They stop the program where there is no memory. */
void *dune_mem_alloc(size_t n, size_t size) __attribute__((returns_nonnull));
void *dune_mem_alloc_big(size_t n, size_t size) __attribute__((returns_nonnull));
void *dune_mem_zalloc(size_t n, size_t size) __attribute__((returns_nonnull));
void *dune_mem_realloc(void *p, size_t n, size_t size) __attribute__((returns_nonnull));
char *dune_mem_strdup(const char *s) __attribute__((returns_nonnull));
char *dune_mem_strndup(const char *s, size_t n) __attribute__((returns_nonnull));

/* They return the code they were given, which is never 0. */
#define dune_diag_set(d, code, ...) ((void)dune_diag_set(d, code, __VA_ARGS__), (code))
#define dune_diag_set_line(d, code, ...) ((void)dune_diag_set_line(d, code, __VA_ARGS__), (code))
#define dune_diag_set_offset(d, code, ...) ((void)dune_diag_set_offset(d, code, __VA_ARGS__), (code))
#define dune_diag_set_place(d, code, ...) ((void)dune_diag_set_place(d, code, __VA_ARGS__), (code))

#endif
