/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boosted trees as one tree that answers the same class everywhere: the trees are walked together, a split of any of
 * them that can still go both ways splits the one tree, and what is known of each feature on the way down decides
 * the others. Children that end in the same class are one leaf.
 *
 *   known of features   gap in 0..max          gap in 0..500          (left)
 *   tree 1              gap <= 500 ?      ->   its left child
 *   tree 2              gap <= 700 ?           decided: left
 */
#include "model/model_int.h"

#include <math.h>
#include <string.h>

struct piece { /* a node of the one tree while it grows */
    int32_t feat;
    uint32_t threshold, left, right, cls;
    uint64_t *hist; /* of a leaf */
};

struct growing {
    const struct dune_model *m;
    DUNE_VEC(struct piece) piece;
    struct dune_arena arena;
    uint32_t lo[DUNE_N_FEATURES], hi[DUNE_N_FEATURES]; /* by column */
    size_t n_leaves, max_leaves, work;
    unsigned depth;
};

#define MAX_WORK ((size_t)1 << 22) /* splits tried: bounds the time of hopeless cases */
enum { MAX_DEPTH = 2000 };          /* and this the stack */

/* Moves every tree as far down as what is known decides; the first that stands before an open split, or n_trees. */
static size_t advance(const struct growing *g, uint32_t *at)
{
    const struct dune_boost *b = g->m->boost;
    size_t open = b->n_trees;

    for (size_t i = 0; i < b->n_trees; i++)
        for (const struct boost_node *v = &b->tree[i].node[at[i]]; v->feat >= 0; v = &b->tree[i].node[at[i]]) {
            if (g->hi[v->feat] <= v->threshold) {
                at[i] = v->left;
            } else if (g->lo[v->feat] > v->threshold) {
                at[i] = v->right;
            } else {
                open = DUNE_MIN(open, i);
                break;
            }
        }
    return open;
}

/* What the trees say together at their leaves. */
static void fill_leaf(struct growing *g, struct piece *p, const uint32_t *at)
{
    const struct dune_boost *b = g->m->boost;
    float *prob = dune_mem_zalloc(g->m->n_classes, sizeof(*prob));
    uint32_t n = g->m->n_classes;

    for (uint32_t c = 0; c < b->n_groups; c++)
        prob[c] = b->base;
    for (size_t i = 0; i < b->n_trees; i++)
        prob[b->tree[i].group] += b->tree[i].node[at[i]].value;
    boost_squash(b, prob);
    p->feat = -1;
    p->hist = dune_arena_alloc(&g->arena, n, sizeof(*p->hist));
    for (uint32_t c = 0; c < n; c++) {
        p->hist[c] = (uint64_t)llround((double)prob[c] * (double)DUNE_WEIGHT_ONE);
        p->cls = prob[c] > prob[p->cls] ? c : p->cls;
    }
    for (uint32_t c = 0; c < n; c++) /* rounding must not change who is first */
        if (c != p->cls && p->hist[c] >= p->hist[p->cls])
            p->hist[p->cls] = p->hist[c] + 1;
    g->n_leaves++;
    dune_mem_free(prob);
}

/* Two leaves of one class become one. */
static bool merge(struct growing *g, struct piece *p, uint32_t left, uint32_t right)
{
    const struct piece *a = &g->piece.data[left], *b = &g->piece.data[right];

    if (a->feat >= 0 || b->feat >= 0 || a->cls != b->cls)
        return false;
    *p = *a;
    for (uint32_t c = 0; c < g->m->n_classes; c++)
        p->hist[c] += b->hist[c];
    g->n_leaves--;
    return true;
}

/* The index of the piece that answers for the trees at their nodes; false: too many leaves. */
static bool grow(struct growing *g, const uint32_t *from, uint32_t *out)
{
    size_t n_trees = g->m->boost->n_trees, open;
    uint32_t *at = dune_mem_alloc(n_trees, sizeof(*at)), hi, lo;
    struct piece p = {.feat = -1};
    bool ok = ++g->depth < MAX_DEPTH && ++g->work < MAX_WORK && g->n_leaves <= 4 * g->max_leaves;

    memcpy(at, from, n_trees * sizeof(*at));
    open = ok ? advance(g, at) : n_trees;
    if (ok && open < n_trees) {
        const struct boost_node *v = &g->m->boost->tree[open].node[at[open]];

        p.feat = v->feat;
        p.threshold = v->threshold;
        hi = g->hi[p.feat];
        lo = g->lo[p.feat];
        g->hi[p.feat] = p.threshold;
        ok = grow(g, at, &p.left);
        g->hi[p.feat] = hi;
        g->lo[p.feat] = p.threshold + 1;
        ok = ok && grow(g, at, &p.right);
        g->lo[p.feat] = lo;
        if (ok)
            (void)merge(g, &p, p.left, p.right);
    } else if (ok) {
        fill_leaf(g, &p, at);
    }
    dune_mem_free(at);
    g->depth--;
    if (ok) {
        *out = (uint32_t)g->piece.len;
        DUNE_VEC_PUSH(&g->piece, p);
    }
    return ok;
}

/* Level by level into the numbers that our trees have; inner nodes weigh what their leaves do. */
static void put_tree(const struct growing *g, uint32_t root, struct dune_tree *t)
{
    uint32_t n_classes = g->m->n_classes, n = 1, max = (uint32_t)(2 * g->n_leaves);
    uint32_t *from = dune_mem_alloc(max, sizeof(*from));

    t->node = DUNE_NEW_N(struct dune_node, max);
    t->hist = DUNE_NEW_N(uint64_t, (size_t)max * n_classes);
    from[0] = root;
    t->node[0].parent = UINT32_MAX;
    for (uint32_t v = 0; v < n; v++) {
        const struct piece *p = &g->piece.data[from[v]];

        t->node[v].feat = p->feat;
        if (p->feat < 0) {
            memcpy(t->hist + (size_t)v * n_classes, p->hist, n_classes * sizeof(*t->hist));
            continue;
        }
        t->node[v].threshold = p->threshold;
        t->node[v].left = n;
        t->node[v].right = n + 1;
        t->node[n].parent = t->node[n + 1].parent = v;
        from[n++] = p->left;
        from[n++] = p->right;
    }
    t->n_nodes = n;
    for (uint32_t v = n; v-- > 1;)
        for (uint32_t c = 0; c < n_classes; c++)
            t->hist[(size_t)t->node[v].parent * n_classes + c] += t->hist[(size_t)v * n_classes + c];
    dune_mem_free(from);
}

static struct dune_forest *one_tree(const struct growing *g, uint32_t root)
{
    const struct dune_model *m = g->m;
    struct dune_forest *f = DUNE_NEW(struct dune_forest);

    f->n_trees = 1;
    f->n_feats = m->n_feats;
    f->feat = dune_mem_alloc(m->n_feats, 1);
    memcpy(f->feat, m->feat, m->n_feats);
    f->n_classes = m->n_classes;
    f->n = m->n;
    f->mode = m->mode;
    f->tree = DUNE_NEW(struct dune_tree);
    put_tree(g, root, f->tree);
    dune_forest_set_names(f, (const char *const *)m->class_name);
    return f;
}

int dune_model_as_forest(struct dune_forest **out, const struct dune_model *m, uint32_t max_leaves, struct dune_diag *d)
{
    struct growing g = {.m = m, .max_leaves = max_leaves ? max_leaves : 65536};
    uint32_t *at, root = 0;
    bool ok;

    *out = m->forest ? dune_forest_prefix(m->forest, 0, 0) : NULL;
    if (m->forest)
        return 0;
    if (!m->boost)
        return dune_diag_set(d, DUNE_E_INPUT, m->name, "a model of kind %s has no trees", dune_model_kind_name(m->kind));
    at = DUNE_NEW_N(uint32_t, m->boost->n_trees);
    for (uint32_t j = 0; j < m->n_feats; j++)
        g.hi[j] = dune_feature_max(m->feat[j]);
    ok = grow(&g, at, &root) && g.n_leaves <= g.max_leaves;
    if (ok)
        *out = one_tree(&g, root);
    dune_mem_free(at);
    DUNE_VEC_FREE(&g.piece);
    dune_arena_fini(&g.arena);
    if (ok)
        return 0;
    return dune_diag_set(d, DUNE_E_INFEASIBLE, m->name, "its %zu boosted trees are no tree of %zu leaves or fewer: train fewer "
                         "rounds or less depth", m->boost->n_trees, g.max_leaves);
}
