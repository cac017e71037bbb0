/* SPDX-License-Identifier: Apache-2.0 */
/* The best cut of a column by sorting the rows of the node: exact sums at every change of value. */
#include "forest/forest_int.h"

#include <string.h>

bool dune_search_rows(struct dune_row_search *s, const struct dune_part *p, uint32_t col,
                      struct dune_cut *best)
{
    const uint32_t *x = s->job->col[col];
    uint64_t least = s->job->cfg->min_leaf_weight;
    struct dune_cut c = {.feat = (int32_t)col, .edge = -1, .rw = p->all, .rs = p->squares};
    bool found = false;

    for (size_t i = 0; i < p->n; i++)
        s->key[i] = (uint64_t)x[p->item[i].row] << 32 | i;
    dune_sort_u64(s->key, s->tmp, p->n, UINT64_C(0xffffffff) << 32);
    if (s->key[0] >> 32 == s->key[p->n - 1] >> 32)
        return false;
    memset(s->left, 0, s->job->n_classes * sizeof(*s->left));
    memcpy(s->right, p->hist, s->job->n_classes * sizeof(*s->right));
    for (size_t i = 0; i + 1 < p->n; i++) {
        const struct dune_item *it = &p->item[(uint32_t)s->key[i]];
        uint32_t a = (uint32_t)(s->key[i] >> 32), b = (uint32_t)(s->key[i + 1] >> 32);

        c.ls += (dune_u128)it->w * (2 * s->left[it->cls] + it->w);
        c.rs -= (dune_u128)it->w * (2 * s->right[it->cls] - it->w);
        s->left[it->cls] += it->w;
        s->right[it->cls] -= it->w;
        c.lw += it->w;
        c.rw -= it->w;
        if (a == b || c.lw < least || c.rw < least)
            continue;
        found = true;
        c.threshold = a + (b - a) / 2;
        c.pos = c.threshold;
        c.score = dune_cut_score(c.lw, c.ls, c.rw, c.rs);
        if (c.score >= best->score * (1 - DUNE_SCORE_EPS) && dune_cut_better(&c, best))
            *best = c;
    }
    return found;
}
