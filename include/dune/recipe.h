/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Published data sets as their makers give them out: what a directory must hold, what of it is there, and the
 * experiment that runs on it. Nothing is downloaded and nothing in the directory is changed.
 */
#ifndef DUNE_RECIPE_H
#define DUNE_RECIPE_H

#include <stdbool.h>
#include <stddef.h>

#include "dune/error.h"

struct dune_buf;

struct dune_recipe_item {
    char *what;  /* "device list", "captures" ... */
    char *where; /* the official names, below the directory */
    char *found; /* what is there, in words */
    bool ok;     /* enough of it is there to run */
};

struct dune_recipe; /* opaque: a recipe held against a directory */

/* Looks. DUNE_E_USAGE: no such recipe; DUNE_E_INPUT: no such directory. What is missing is no error here. */
int dune_recipe_open(struct dune_recipe **out, const char *name, const char *dir, struct dune_diag *d) DUNE_MUST_USE;
void dune_recipe_free(struct dune_recipe *r);
const char *dune_recipe_title(const struct dune_recipe *r);  /* what the data set is, in one line */
const char *dune_recipe_source(const struct dune_recipe *r); /* where its makers give it out */
const char *dune_recipe_remark(const struct dune_recipe *r); /* what its labels mean and do not */
size_t dune_recipe_n_items(const struct dune_recipe *r);
const struct dune_recipe_item *dune_recipe_item(const struct dune_recipe *r, size_t i);
bool dune_recipe_complete(const struct dune_recipe *r); /* all items are ok */
/*
 * Writes out/experiment.yaml, and out/labels.csv or labels.log where the official labels are several files or
 * directory names. DUNE_E_INPUT when something is missing or the files do not fit together.
 */
int dune_recipe_prepare(const struct dune_recipe *r, const char *out, struct dune_diag *d) DUNE_MUST_USE;

#endif
