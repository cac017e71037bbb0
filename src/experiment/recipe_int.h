/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of recipes share: recipe.c (a recipe and a directory), recipe_kinds.c (each data set), recipe_lists.c. */
#ifndef DUNE_EXPERIMENT_RECIPE_INT_H
#define DUNE_EXPERIMENT_RECIPE_INT_H

#include "base/base.h"
#include "dune/recipe.h"

struct recipe_kind {
    const char *name, *title, *source, *remark;
    const char *label_field;  /* the labels are logs of Zeek, and this field of them */
    const char *const *columns; /* several label files are tables, and these are wanted of them; NULL-terminated */
    void (*look)(struct dune_recipe *r); /* fills items, captures and labels from files */
};
extern const struct recipe_kind recipe_kinds[]; /* the last one has no name */

typedef DUNE_VEC(char *) recipe_strings;

struct dune_recipe {
    const struct recipe_kind *kind;
    char *dir;
    struct dune_paths files; /* all below dir */
    DUNE_VEC(struct dune_recipe_item) items;
    recipe_strings captures, label_files;
    struct dune_buf file_labels; /* rows of a table file,label */
};

bool recipe_is_capture(const char *path);
/* The path without the directory of the recipe. */
const char *recipe_below(const struct dune_recipe *r, const char *path);
/* found is taken. */
void recipe_item(struct dune_recipe *r, bool ok, const char *what, const char *where, char *found);
void recipe_use(struct dune_recipe *r, const char *path);
void recipe_label(struct dune_recipe *r, const char *path);
/* All of a file is of one class; tail: the end of its path. */
void recipe_class(struct dune_recipe *r, const char *tail, const char *label);
/* Appends the rows of a table with a header, these columns of them in this order, as they stand there. */
int recipe_append_columns(FILE *out, const char *path, const char *const *want, size_t n, struct dune_diag *d) DUNE_MUST_USE;
/* Adds a name to a list in words that stays short. */
void recipe_list(struct dune_buf *b, const char *name);

#endif
