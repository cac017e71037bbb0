/* SPDX-License-Identifier: Apache-2.0 */
/* What a fitted sub-model says on every item of a space. */
#include "dune/submodels.h"

#include <string.h>

#include "base/base.h"

/* The forest's columns in the space's table, and the leaves of every node, ready to vote. */
struct voter {
    uint32_t **col;
    struct dune_leaf **leaf; /* [n_trees][n_nodes] */
    uint16_t other;
};

static int voter_init(struct voter *v, const struct dune_fit *f, const struct dune_table *t,
                      struct dune_diag *d)
{
    const struct dune_forest *fo = f->forest;

    v->other = f->has_other ? (uint16_t)f->n_classes : DUNE_NO_CLASS;
    v->col = DUNE_NEW_N(uint32_t *, fo->n_feats);
    for (uint32_t j = 0; j < fo->n_feats; j++) {
        for (uint32_t c = 0; c < t->n_cols; c++)
            if (t->feat[c] == fo->feat[j])
                v->col[j] = t->col[c];
        if (!v->col[j])
            return dune_diag_set(d, DUNE_E_INTERNAL, NULL, "feature %s is not in the table",
                                 dune_catalog[fo->feat[j]].name);
    }
    v->leaf = DUNE_NEW_N(struct dune_leaf *, fo->n_trees);
    for (uint32_t k = 0; k < fo->n_trees; k++) {
        const struct dune_tree *tr = &fo->tree[k];

        v->leaf[k] = dune_mem_alloc(tr->n_nodes, sizeof(**v->leaf));
        for (uint32_t i = 0; i < tr->n_nodes; i++)
            v->leaf[k][i] = dune_leaf_make(tr->hist + (size_t)i * fo->n_classes, fo->n_classes,
                                           v->other, fo->n_trees);
    }
    return 0;
}

static void voter_fini(struct voter *v, const struct dune_fit *f)
{
    for (uint32_t k = 0; v->leaf && k < f->forest->n_trees; k++)
        dune_mem_free(v->leaf[k]);
    dune_mem_free(v->leaf);
    dune_mem_free(v->col);
}

static struct dune_item_answer vote_row(const struct voter *v, const struct dune_fit *f, size_t row)
{
    const struct dune_leaf *leaf[DUNE_MAX_TREES];
    const struct dune_forest *fo = f->forest;
    struct dune_answer a;

    for (uint32_t k = 0; k < fo->n_trees; k++)
        leaf[k] = &v->leaf[k][dune_tree_leaf(&fo->tree[k], v->col, row, 0)];
    a = dune_vote(leaf, fo->n_trees, v->other);
    return (struct dune_item_answer){
        .cls = a.own == DUNE_NO_CLASS ? DUNE_NO_CLASS : f->cls[a.own],
        .conf = a.conf,
        .claim = a.claim,
    };
}

/* Answers of one flow: packets before n by their own row, from n on by the stored answer. */
static void answer_flow(const struct voter *v, const struct dune_fit *f,
                        const struct dune_space_view *view, uint32_t k,
                        struct dune_item_answer *out, unsigned n_items)
{
    static const struct dune_item_answer none = {.cls = DUNE_NO_CLASS};
    uint32_t row = view->row0[k], n_rows = view->row0[k + 1] - row;

    for (unsigned i = 1; i <= n_items; i++) {
        if (f->cfg.mode == DUNE_MODE_FLOW)
            out[i - 1] = i == f->cfg.n && n_rows ? vote_row(v, f, row) : none;
        else if (i <= n_rows)
            out[i - 1] = vote_row(v, f, row + i - 1);
        else
            out[i - 1] = none;
        if (i > f->cfg.n && f->cfg.mode != DUNE_MODE_PACKET)
            out[i - 1] = out[f->cfg.n - 1];
    }
}

int dune_fit_answer(const struct dune_fit *f, const struct dune_space *s, const uint8_t *mask,
                    struct dune_item_answer *out, struct dune_diag *d)
{
    const struct dune_space_view *view = s->view[f->cfg.n][f->cfg.mode];
    struct voter v = {0};
    int rc;

    if (!view)
        return dune_diag_set(d, DUNE_E_INTERNAL, NULL, "space has no view for n = %u", f->cfg.n);
    if (f->forest->n_trees > DUNE_MAX_TREES)
        return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "more than %d trees", DUNE_MAX_TREES);
    rc = voter_init(&v, f, &view->table, d);
    for (size_t item = 0; rc == 0 && item < s->n_items;) {
        uint32_t k = s->item_flow[item];
        size_t end = item;

        while (end < s->n_items && s->item_flow[end] == k)
            end++;
        if (!mask || mask[k])
            answer_flow(&v, f, view, k, out + item, (unsigned)(end - item));
        item = end;
    }
    voter_fini(&v, f);
    return rc;
}
