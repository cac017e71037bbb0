/* SPDX-License-Identifier: Apache-2.0 */
/* What only the files of the plan stage share. */
#ifndef DUNE_PLAN_PLAN_INT_H
#define DUNE_PLAN_PLAN_INT_H

#include "base/base.h"
#include "dune/plan.h"

/*
 * Checks that the code rows of tree t partition its reachable code keys and are those of a decision
 * tree, and derives its nodes in preorder (the most balanced cut first; so they are a function of the
 * rows alone). path is the JSON path of the tree. *node is the caller's; unset on failure.
 * The range rows and code words of sm must have been checked (or built) before.
 */
int dune_plan_tree_derive(const struct dune_submodel *sm, uint32_t t, const char *path,
                          struct dune_node **node, uint32_t *n_nodes,
                          struct dune_diag *d) DUNE_MUST_USE;

/* Ones in the code word of range row r of feature f for tree t, for a checked thermometer. */
static inline uint32_t dune_code_ones(const struct dune_plan_feature *f, uint32_t t, uint32_t r)
{
    const char *word = f->code[t] + (size_t)r * f->n_bits[t];
    uint32_t ones = 0;

    while (ones < f->n_bits[t] && word[ones] == '1')
        ones++;
    return ones;
}

#endif
