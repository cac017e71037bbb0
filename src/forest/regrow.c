/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a growth leaves behind for one on fewer columns. The best cut of a node among more columns is its
 * best cut among fewer as long as its column is there (ties go to the lower column, whose order stays), so
 * choosing features by growing again and again searches only the nodes that lost their cut, and those below.
 */
#include "forest/forest_int.h"

struct dune_grown *dune_grown_new(const struct dune_forest *f)
{
    struct dune_grown *g = DUNE_NEW(struct dune_grown);

    g->f = f;
    g->tree = DUNE_NEW_N(struct dune_grown_tree, f->n_trees);
    return g;
}

void dune_grown_free(struct dune_grown *g)
{
    if (!g)
        return;
    for (uint32_t t = 0; t < g->f->n_trees; t++) {
        dune_work_free(g->tree[t].item);
        dune_mem_free(g->tree[t].node);
    }
    dune_mem_free(g->tree);
    dune_mem_free(g);
}

void dune_grown_note(struct dune_grown_tree *g, uint32_t id, size_t begin, size_t end, const struct dune_cut *cut,
                     const struct dune_gain *gain)
{
    struct dune_grown_node *n;

    if (id >= g->cap_nodes) {
        g->cap_nodes = DUNE_MAX(id + 1, g->cap_nodes ? 2 * g->cap_nodes : 64);
        g->node = dune_mem_realloc(g->node, g->cap_nodes, sizeof(*g->node));
    }
    n = &g->node[id];
    n->begin = begin;
    n->end = end;
    n->searched = cut != NULL;
    if (cut) {
        n->cut = *cut;
        n->gain = *gain;
    }
}

void dune_grown_columns(const struct dune_grown *from, const uint8_t *feat, uint32_t n_feats,
                         int32_t column_of[64])
{
    for (uint32_t c = 0; c < from->f->n_feats && c < 64; c++) {
        column_of[c] = -1;
        for (uint32_t k = 0; k < n_feats; k++)
            if (feat[k] == from->f->feat[c])
                column_of[c] = (int32_t)k;
    }
}
