/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Error codes and diagnostics.
 *
 * A function that can fail returns 0 or a negative enum dune_err. Functions that meet user data
 * take a struct dune_diag as their last argument and fill it; the first error wins. Libraries never
 * print and never exit: only the command line maps a code to an exit status.
 */
#ifndef DUNE_ERROR_H
#define DUNE_ERROR_H

#include <stdint.h>

#define DUNE_MUST_USE __attribute__((warn_unused_result))
#define DUNE_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Grouped by tens; the group decides the exit code (see dune_err_exit_code). */
enum dune_err {
    DUNE_OK = 0,
    DUNE_E_INTERNAL = -1,    /* exit 1: a bug of ours */
    DUNE_E_USAGE = -10,      /* exit 2: wrong options or arguments */
    DUNE_E_INPUT = -20,      /* exit 3: a file that is not what it should be */
    DUNE_E_FORMAT = -21,     /* exit 3: syntax: bad JSON, bad CSV, truncated capture */
    DUNE_E_VERSION = -22,    /* exit 3: a format version we do not read */
    DUNE_E_INFEASIBLE = -30, /* exit 4: does not fit a budget, a device or a limit */
    DUNE_E_ENV = -40,        /* exit 5: the machine: missing library, privilege, interface */
    DUNE_E_IO = -41,         /* exit 5: disk full, read-only, permission */
    DUNE_E_NOMEM = -42,      /* exit 5: out of memory */
    DUNE_E_INTERRUPTED = -50 /* exit 130: stopped by the user, resumable */
};

/* Where and why something failed. A zeroed struct is "no error yet". */
struct dune_diag {
    int code;         /* enum dune_err */
    char file[512];   /* file name, empty if none */
    uint64_t line;    /* 1-based line, 0 if none */
    uint64_t offset;  /* byte offset, valid if has_offset */
    int has_offset;
    char place[128];  /* JSON path, packet number, class name ... */
    char msg[512];    /* one sentence that helps */
};

/* Formats "file:line: place: message" into out (always terminated). */
void dune_diag_format(const struct dune_diag *d, char *out, uint32_t out_bytes);

/* --- of the sources; the shared library does not export what follows ------------------------------ */
/* Fills *d (may be NULL) if it is still empty and returns code. */
int dune_diag_set(struct dune_diag *d, int code, const char *file, const char *fmt, ...)
    DUNE_PRINTF(4, 5);
int dune_diag_set_line(struct dune_diag *d, int code, const char *file, uint64_t line,
                       const char *fmt, ...) DUNE_PRINTF(5, 6);
int dune_diag_set_offset(struct dune_diag *d, int code, const char *file, uint64_t offset,
                         const char *fmt, ...) DUNE_PRINTF(5, 6);
int dune_diag_set_place(struct dune_diag *d, int code, const char *file, const char *place,
                        const char *fmt, ...) DUNE_PRINTF(5, 6);
/* Exit status of the design (0, 1, 2, 3, 4, 5; 130 when interrupted). */
int dune_err_exit_code(int code);

#endif
