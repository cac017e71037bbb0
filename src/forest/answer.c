/* SPDX-License-Identifier: Apache-2.0 */
/* What trees, leaves and forests answer (design section 4). */
#include "forest/forest_int.h"

#include <string.h>

uint32_t dune_tree_leaf(const struct dune_tree *tr, uint32_t *const *col, size_t r, uint32_t max_leaves)
{
    uint32_t limit = tr->n_nodes, v = 0;

    if (max_leaves && max_leaves < UINT32_MAX / 2 && 2 * max_leaves - 1 < limit)
        limit = 2 * max_leaves - 1;
    while (tr->node[v].feat >= 0 && tr->node[v].left < limit) {
        const struct dune_node *n = &tr->node[v];

        v = col[n->feat][r] <= n->threshold ? n->left : n->right;
    }
    return v;
}

uint32_t dune_tree_n_leaves(const struct dune_tree *tr)
{
    return (tr->n_nodes + 1) / 2;
}

uint32_t dune_tree_depth(const struct dune_tree *tr)
{
    uint32_t *depth = DUNE_NEW_N(uint32_t, tr->n_nodes), deepest = 0;

    for (uint32_t v = 1; v < tr->n_nodes; v++) { /* parents come before children */
        depth[v] = depth[tr->node[v].parent] + 1;
        deepest = DUNE_MAX(deepest, depth[v]);
    }
    dune_mem_free(depth);
    return deepest;
}

/* floor(weight / total * floor(255 / n_trees)) */
static uint8_t share(uint64_t weight, uint64_t total, uint32_t n_trees)
{
    return total ? (uint8_t)((dune_u128)weight * (255 / n_trees) / total) : 0;
}

struct dune_leaf dune_leaf_make(const uint64_t *hist, uint32_t n_classes, uint16_t other, uint32_t n_trees)
{
    struct dune_leaf leaf = {.own = DUNE_NO_CLASS};
    uint64_t total = 0, most = 0;

    if (!n_trees)
        n_trees = 1;
    for (uint32_t c = 0; c < n_classes; c++) {
        total += hist[c];
        if (c != other && hist[c] > most) {
            most = hist[c];
            leaf.own = (uint16_t)c;
        }
    }
    leaf.own_conf = share(most, total, n_trees);
    leaf.cls = leaf.own;
    leaf.conf = leaf.own_conf;
    if (other < n_classes && hist[other] > most) {
        leaf.cls = other;
        leaf.conf = share(hist[other], total, n_trees);
    } else if (leaf.own == DUNE_NO_CLASS) { /* nothing has weight: the lowest id, Other last */
        leaf.cls = other == 0 && n_classes > 1;
    }
    return leaf;
}

static uint32_t votes_for(const struct dune_leaf *const *leaf, uint32_t n, uint16_t cls)
{
    uint32_t votes = 0;

    for (uint32_t i = 0; i < n; i++)
        votes += leaf[i]->cls == cls;
    return votes;
}

static uint32_t votes_for_own(const struct dune_leaf *const *leaf, uint32_t n, uint16_t other, uint16_t own)
{
    uint32_t votes = 0;

    for (uint32_t i = 0; i < n; i++)
        votes += leaf[i]->cls == other && leaf[i]->own == own;
    return votes;
}

/* The tentative class: the same vote among the trees that voted Other, by their own classes. */
static void vote_own(struct dune_answer *a, const struct dune_leaf *const *leaf, uint32_t n, uint16_t other)
{
    uint32_t most = 0, conf = 0;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t votes;

        if (leaf[i]->cls != other || leaf[i]->own == DUNE_NO_CLASS)
            continue;
        votes = votes_for_own(leaf, n, other, leaf[i]->own);
        if (votes > most) {
            most = votes;
            a->own = leaf[i]->own;
        }
    }
    for (uint32_t i = 0; i < n && most; i++)
        if (leaf[i]->cls == other && leaf[i]->own == a->own)
            conf += leaf[i]->own_conf;
    a->conf = (uint8_t)DUNE_MIN(conf, 255u);
}

struct dune_answer dune_vote(const struct dune_leaf *const *leaf, uint32_t n_trees, uint16_t other)
{
    struct dune_answer a = {.own = DUNE_NO_CLASS};
    uint32_t most = 0, conf = 0;

    for (uint32_t i = 0; i < n_trees; i++) { /* the first tree that reaches a count wins its ties */
        uint32_t votes = votes_for(leaf, n_trees, leaf[i]->cls);

        if (votes > most) {
            most = votes;
            a.cls = leaf[i]->cls;
        }
    }
    a.claim = a.cls != other;
    if (!a.claim) {
        vote_own(&a, leaf, n_trees, other);
        return a;
    }
    for (uint32_t i = 0; i < n_trees; i++)
        if (leaf[i]->cls == a.cls)
            conf += leaf[i]->conf;
    a.own = a.cls;
    a.conf = (uint8_t)DUNE_MIN(conf, 255u);
    return a;
}

/* --- whole tables --------------------------------------------------------------------------------- */
enum { BLOCK = 1024 }; /* rows per job */

struct walk {
    const struct dune_forest *f;
    const struct dune_table *t;
    uint16_t other;
    struct dune_leaf **leaf; /* [n_trees][n_nodes] */
    struct dune_answer *answer;
    uint16_t *cls;
};

static void answer_block(void *ctx, size_t b)
{
    const struct walk *w = ctx;
    const struct dune_forest *f = w->f;
    const struct dune_leaf **leaf = dune_mem_alloc(f->n_trees, sizeof(*leaf));
    size_t end = DUNE_MIN(w->t->n_rows, (b + 1) * BLOCK);

    for (size_t r = b * BLOCK; r < end; r++) {
        for (uint32_t i = 0; i < f->n_trees; i++)
            leaf[i] = &w->leaf[i][dune_tree_leaf(&f->tree[i], w->t->col, r, 0)];
        w->answer[r] = dune_vote(leaf, f->n_trees, w->other);
    }
    dune_mem_free(leaf);
}

void dune_forest_answer(const struct dune_forest *f, const struct dune_table *t, uint16_t other,
                        unsigned threads, struct dune_answer *out)
{
    struct walk w = {.f = f, .t = t, .other = other, .answer = out};

    w.leaf = DUNE_NEW_N(struct dune_leaf *, f->n_trees);
    for (uint32_t i = 0; i < f->n_trees; i++) {
        const struct dune_tree *tr = &f->tree[i];

        w.leaf[i] = DUNE_NEW_N(struct dune_leaf, tr->n_nodes);
        for (uint32_t v = 0; v < tr->n_nodes; v++)
            if (tr->node[v].feat < 0)
                w.leaf[i][v] = dune_leaf_make(tr->hist + (size_t)v * f->n_classes, f->n_classes,
                                              other, f->n_trees);
    }
    dune_parallel_for(threads, (t->n_rows + BLOCK - 1) / BLOCK, answer_block, &w);
    for (uint32_t i = 0; i < f->n_trees; i++)
        dune_mem_free(w.leaf[i]);
    dune_mem_free(w.leaf);
}

static void add_shares(double *sum, const uint64_t *h, uint32_t n)
{
    uint64_t total = 0;

    for (uint32_t c = 0; c < n; c++)
        total += h[c];
    for (uint32_t c = 0; c < n && total; c++)
        sum[c] += (double)h[c] / (double)total;
}

static void predict_block(void *ctx, size_t b)
{
    const struct walk *w = ctx;
    const struct dune_forest *f = w->f;
    double *sum = dune_mem_alloc(f->n_classes, sizeof(*sum));
    size_t end = DUNE_MIN(w->t->n_rows, (b + 1) * BLOCK);

    for (size_t r = b * BLOCK; r < end; r++) {
        uint32_t best = 0;

        memset(sum, 0, f->n_classes * sizeof(*sum));
        for (uint32_t i = 0; i < f->n_trees; i++) {
            uint32_t v = dune_tree_leaf(&f->tree[i], w->t->col, r, 0);

            add_shares(sum, f->tree[i].hist + (size_t)v * f->n_classes, f->n_classes);
        }
        for (uint32_t c = 1; c < f->n_classes; c++)
            if (sum[c] > sum[best])
                best = c;
        w->cls[r] = (uint16_t)best;
    }
    dune_mem_free(sum);
}

void dune_forest_predict(const struct dune_forest *f, const struct dune_table *t, unsigned threads,
                         uint16_t *out)
{
    struct walk w = {.f = f, .t = t, .cls = out};

    dune_parallel_for(threads, (t->n_rows + BLOCK - 1) / BLOCK, predict_block, &w);
}
