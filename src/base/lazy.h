/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Libraries and modules that only some commands need are opened when they are first used: loading them costs every
 * start of the program milliseconds otherwise. A file that uses one lists its functions once:
 *
 *     #define WORDS(F) F(say) F(hear)
 *     DUNE_LAZY_LIBRARY(words, WORDS, "libwords.so.1", "libwords");
 *     ...
 *     rc = dune_lazy_open(&words_lib, d);      a function table behind one test
 *     words.say("...");
 *
 * They are never closed.
 */
#ifndef DUNE_BASE_LAZY_H
#define DUNE_BASE_LAZY_H

#include "base/base.h"

struct dune_lazy {
    const char *file;         /* as the dynamic linker knows it */
    const char *what;         /* for messages */
    const char *const *names; /* of functions and variables ... */
    size_t n;
    void *table;              /* ... whose addresses go here: n pointers */
    bool global;              /* libraries loaded later see its symbols */
    bool opened;
};

#define DUNE_LAZY_FIELD(f) __typeof__(f) *f;
#define DUNE_LAZY_NAME(f) #f,
#define DUNE_LAZY_LIBRARY(var, LIST, file_name, what_it_is)                                                            \
    static struct {                                                                                                    \
        LIST(DUNE_LAZY_FIELD)                                                                                          \
    } var;                                                                                                             \
    static const char *const var##_names[] = {LIST(DUNE_LAZY_NAME)};                                                   \
    static struct dune_lazy var##_lib = {file_name, what_it_is, var##_names, DUNE_ARRAY_LEN(var##_names), &var, false, \
                                         false}

/* Safe from any thread. DUNE_E_ENV: there is no such file, or it lacks a symbol; d may be NULL. */
int dune_lazy_open(struct dune_lazy *l, struct dune_diag *d) DUNE_MUST_USE;

/* The address of `symbol` in our own module `file`: beside the program, in $DUNE_MODULES, or where it was installed.
 * NULL: see d. */
void *dune_lazy_module(const char *file, const char *symbol, const char *installed, struct dune_diag *d);

#endif
