/* SPDX-License-Identifier: Apache-2.0 */
/* A YAML document as a tree; nodes live in the caller's arena. */
#ifndef DUNE_BASE_YAML_TREE_H
#define DUNE_BASE_YAML_TREE_H

#include "base/base.h"

enum dune_yaml_kind { DUNE_YAML_SCALAR, DUNE_YAML_SEQ, DUNE_YAML_MAP };
struct dune_yaml {
    enum dune_yaml_kind kind;
    uint64_t line;
    const char *key;  /* inside a mapping */
    const char *text; /* scalar */
    size_t n, cap;
    struct dune_yaml **item;
};
int dune_yaml_parse(struct dune_yaml **out, const char *name, const char *text, size_t len,
                    struct dune_arena *arena, struct dune_diag *d) DUNE_MUST_USE;
const struct dune_yaml *dune_yaml_find(const struct dune_yaml *map, const char *key); /* NULL: absent */

#endif
