/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leaves that are merged back: a tree is grown beyond its budget, then pairs of sibling leaves go whose
 * split told least. Growth goes for purity and spends leaves on splits whose sides answer alike; what they
 * cost is better spent further down.
 */
#include <string.h>

#include "base/base.h"
#include "dune/submodels.h"

/* Weight that would be answered wrongly, and half of the impurity: confidences are worth something too. */
static double loss(const uint64_t *hist, uint32_t n_classes)
{
    double sum = 0, squares = 0, most = 0;

    for (uint32_t c = 0; c < n_classes; c++) {
        double w = (double)hist[c];

        sum += w;
        squares += w * w;
        most = DUNE_MAX(most, w);
    }
    return sum > 0 ? sum - most + (sum - squares / sum) / 2 : 0;
}

static bool is_pair(const struct dune_tree *t, uint32_t v)
{
    return t->node[v].feat >= 0 && t->node[t->node[v].left].feat < 0 && t->node[t->node[v].right].feat < 0;
}

/* The pair whose split tells least; ties to the later split. */
static uint32_t least_pair(const struct dune_tree *t, const double *told)
{
    uint32_t best = UINT32_MAX;

    for (uint32_t v = t->n_nodes; v-- > 0;)
        if (is_pair(t, v) && (best == UINT32_MAX || told[v] < told[best]))
            best = v;
    return best;
}

/* Only what is still reachable, splits in the order in which they were made. */
static void compact(struct dune_tree *t, uint32_t n_classes)
{
    uint32_t *to = dune_mem_alloc(t->n_nodes, sizeof(*to)), *split_of = dune_mem_alloc(t->n_nodes, sizeof(*to)), n = 1;

    memset(to, 0xff, t->n_nodes * sizeof(*to));
    memset(split_of, 0xff, t->n_nodes * sizeof(*to));
    for (uint32_t v = 0; v < t->n_nodes; v++)
        if (t->node[v].feat >= 0)
            split_of[t->node[v].left] = v;
    to[0] = 0;
    for (uint32_t left = 1; left < t->n_nodes; left += 2) {
        uint32_t v = split_of[left];

        if (v == UINT32_MAX || to[v] == UINT32_MAX)
            continue;
        for (uint32_t s = 0; s < 2; s++) {
            to[left + s] = n;
            t->node[n] = t->node[left + s];
            t->node[n].parent = to[v];
            memmove(t->hist + (size_t)n * n_classes, t->hist + (size_t)(left + s) * n_classes,
                    n_classes * sizeof(*t->hist));
            n++;
        }
        t->node[to[v]].left = n - 2;
        t->node[to[v]].right = n - 1;
    }
    t->n_nodes = n;
    dune_mem_free(to);
    dune_mem_free(split_of);
}

void dune_tree_merge_leaves(struct dune_tree *t, uint32_t n_classes, uint32_t max_leaves)
{
    double *told = dune_mem_alloc(t->n_nodes, sizeof(*told));
    uint32_t leaves = (t->n_nodes + 1) / 2;

    for (uint32_t v = 0; v < t->n_nodes; v++) {
        const struct dune_node *node = &t->node[v];

        told[v] = node->feat < 0 ? 0
                                 : loss(t->hist + (size_t)v * n_classes, n_classes) -
                                       loss(t->hist + (size_t)node->left * n_classes, n_classes) -
                                       loss(t->hist + (size_t)node->right * n_classes, n_classes);
    }
    for (; leaves > DUNE_MAX(max_leaves, 1); leaves--)
        t->node[least_pair(t, told)].feat = -1;
    compact(t, n_classes);
    dune_mem_free(told);
}
