/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From trees to tables.
 *
 *   tree: ip.len <= 100 ? A : (ttl <= 64 ? B : C)
 *
 *   ip.len  0..100 -> 0     ttl  0..64 -> 0        key = ip.len bit, ttl bit
 *           101..  -> 1          65..  -> 1        A: 0*   B: 10   C: 11
 *
 * Branches no input can reach (a threshold outside what is left of the domain) are cut first, so
 * that every row can match. Leaves are numbered from left to right.
 */
#include "plan/plan_int.h"

#include <stdlib.h>
#include <string.h>

struct cuts { /* distinct thresholds, ascending once finished */
    uint32_t *data;
    size_t len, cap;
};

/* One reachable leaf: its node and its box over the forest's columns. */
struct boxed_leaf {
    uint32_t node;
    uint32_t *lo, *hi; /* [n_feats] */
};

struct tree_shape {
    DUNE_VEC(struct boxed_leaf) leaf;
    struct cuts *cuts; /* [n_feats] */
};

struct build {
    const struct dune_forest *f;
    const struct dune_tree *tr;
    uint32_t limit; /* nodes of the prefix */
    uint32_t *lo, *hi;
    struct dune_arena arena;
    struct tree_shape *shape; /* [n_trees] */
    struct tree_shape *now;
};

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void finish_cuts(struct cuts *c)
{
    size_t n = 0;

    if (c->len == 0)
        return;
    qsort(c->data, c->len, sizeof(*c->data), by_value);
    for (size_t i = 0; i < c->len; i++)
        if (n == 0 || c->data[i] != c->data[n - 1])
            c->data[n++] = c->data[i];
    c->len = n;
}

static void add_leaf(struct build *b, uint32_t node)
{
    uint32_t n = b->f->n_feats;
    struct boxed_leaf leaf = {.node = node};

    leaf.lo = dune_arena_alloc(&b->arena, n + 1, sizeof(uint32_t));
    leaf.hi = dune_arena_alloc(&b->arena, n + 1, sizeof(uint32_t));
    memcpy(leaf.lo, b->lo, n * sizeof(uint32_t));
    memcpy(leaf.hi, b->hi, n * sizeof(uint32_t));
    DUNE_VEC_PUSH(&b->now->leaf, leaf);
}

/* Depth is bounded by DUNE_MAX_LEAVES. */
static void visit(struct build *b, uint32_t id)
{
    const struct dune_node *v = &b->tr->node[id];
    uint32_t lo, hi;

    if (v->feat < 0 || v->left >= b->limit || v->right >= b->limit) {
        add_leaf(b, id);
        return;
    }
    lo = b->lo[v->feat];
    hi = b->hi[v->feat];
    if (v->threshold >= hi) {
        visit(b, v->left);
    } else if (v->threshold < lo) {
        visit(b, v->right);
    } else {
        DUNE_VEC_PUSH(&b->now->cuts[v->feat], v->threshold);
        b->hi[v->feat] = v->threshold;
        visit(b, v->left);
        b->hi[v->feat] = hi;
        b->lo[v->feat] = v->threshold + 1;
        visit(b, v->right);
        b->lo[v->feat] = lo;
    }
}

static int check_tree(const struct dune_forest *f, uint32_t t, uint32_t limit, struct dune_diag *d)
{
    const struct dune_tree *tr = &f->tree[t];

    if (tr->n_nodes == 0 || limit / 2 + 1 > DUNE_MAX_LEAVES)
        return dune_diag_set(d, DUNE_E_INPUT, NULL,
                             "tree %u has %u leaves; a plan holds trees of 1 to %u leaves", t,
                             limit / 2 + 1, DUNE_MAX_LEAVES);
    for (uint32_t i = 0; i < limit; i++) {
        const struct dune_node *v = &tr->node[i];

        if (v->feat >= 0 && ((uint32_t)v->feat >= f->n_feats || v->left <= i || v->right <= i))
            return dune_diag_set(d, DUNE_E_INPUT, NULL, "node %u of tree %u is malformed", i, t);
    }
    return 0;
}

/* Does any leaf know class c? One without weight needs no place in the plan. */
static bool has_weight(const struct dune_forest *f, uint32_t n_trees, uint32_t c)
{
    for (uint32_t t = 0; t < n_trees; t++)
        if (f->tree[t].n_nodes && f->tree[t].hist[c])
            return true;
    return false;
}

static int check_forest(const struct dune_forest *f, uint32_t n_trees, const uint8_t *to_plan,
                        struct dune_diag *d)
{
    if (n_trees == 0 || n_trees > f->n_trees || n_trees > DUNE_MAX_TREES)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "%u trees asked of a forest of %u (at most %u)",
                             n_trees, f->n_trees, DUNE_MAX_TREES);
    for (uint32_t c = 0; c < f->n_classes; c++)
        if (to_plan[c] == 0 && has_weight(f, n_trees, c))
            return dune_diag_set(d, DUNE_E_USAGE, NULL,
                                 "class '%s' of the forest has no plan class",
                                 f->class_name ? f->class_name[c] : "?");
    for (uint32_t j = 0; j < f->n_feats; j++) {
        if (f->feat[j] >= DUNE_N_FEATURES)
            return dune_diag_set(d, DUNE_E_INPUT, NULL, "column %u is no feature of the catalog",
                                 j);
        for (uint32_t k = 0; k < j; k++)
            if (f->feat[j] == f->feat[k])
                return dune_diag_set(d, DUNE_E_INPUT, NULL,
                                     "columns %u and %u are the same feature", k, j);
    }
    return 0;
}

static int shape_tree(struct build *b, uint32_t t, uint32_t max_leaves, struct dune_diag *d)
{
    const struct dune_forest *f = b->f;
    uint32_t limit = f->tree[t].n_nodes;
    int rc;

    if (max_leaves && limit / 2 + 1 > max_leaves)
        limit = 2 * max_leaves - 1;
    rc = check_tree(f, t, limit, d);
    if (rc)
        return rc;
    b->tr = &f->tree[t];
    b->limit = limit;
    b->now = &b->shape[t];
    b->now->cuts = DUNE_NEW_N(struct cuts, f->n_feats + 1);
    for (uint32_t j = 0; j < f->n_feats; j++) {
        b->lo[j] = 0;
        b->hi[j] = dune_feature_max(f->feat[j]);
    }
    visit(b, 0);
    for (uint32_t j = 0; j < f->n_feats; j++)
        finish_cuts(&b->now->cuts[j]);
    return 0;
}

/* The code word of a value for one tree: bit i is 1 iff value > cut i. */
static char *make_codes(const struct dune_plan_feature *pf, const struct cuts *c)
{
    char *code;

    if (c->len == 0)
        return NULL;
    code = dune_mem_alloc(pf->n_rows, c->len);
    for (uint32_t r = 0; r < pf->n_rows; r++)
        for (size_t i = 0; i < c->len; i++)
            code[r * c->len + i] = pf->row[r].lo > c->data[i] ? '1' : '0';
    return code;
}

static void make_feature(struct dune_plan_feature *pf, const struct build *b, uint32_t col,
                         uint32_t n_trees, const struct cuts *all)
{
    pf->feat = b->f->feat[col];
    pf->n_rows = (uint32_t)all->len + 1;
    pf->row = DUNE_NEW_N(struct dune_range_row, pf->n_rows);
    for (uint32_t r = 0; r < pf->n_rows; r++) {
        pf->row[r].lo = r ? all->data[r - 1] + 1 : 0;
        pf->row[r].hi = r < all->len ? all->data[r] : dune_feature_max(pf->feat);
    }
    pf->n_bits = DUNE_NEW_N(uint32_t, n_trees);
    pf->code = DUNE_NEW_N(char *, n_trees);
    for (uint32_t t = 0; t < n_trees; t++) {
        const struct cuts *c = &b->shape[t].cuts[col];

        pf->n_bits[t] = (uint32_t)c->len;
        pf->code[t] = make_codes(pf, c);
    }
}

/* Columns some tree splits on, by ascending catalog id: col[] of the sub-model's features. */
static void make_features(struct dune_submodel *sm, const struct build *b, uint32_t n_trees,
                          uint32_t *col)
{
    const struct dune_forest *f = b->f;

    sm->feat = DUNE_NEW_N(struct dune_plan_feature, f->n_feats + 1);
    sm->n_feats = 0;
    for (uint32_t id = 0; id < DUNE_N_FEATURES; id++)
        for (uint32_t j = 0; j < f->n_feats; j++) {
            struct cuts all = {0};

            if (f->feat[j] != id)
                continue;
            for (uint32_t t = 0; t < n_trees; t++)
                for (size_t i = 0; i < b->shape[t].cuts[j].len; i++)
                    DUNE_VEC_PUSH(&all, b->shape[t].cuts[j].data[i]);
            finish_cuts(&all);
            if (all.len) {
                col[sm->n_feats] = j;
                make_feature(&sm->feat[sm->n_feats++], b, j, n_trees, &all);
            }
            DUNE_VEC_FREE(&all);
        }
}

static size_t find_cut(const struct cuts *c, uint32_t value)
{
    const uint32_t *at = bsearch(&value, c->data, c->len, sizeof(*c->data), by_value);

    return (size_t)(at - c->data);
}

/* The code row of a leaf: a 1 at its lower bound, a 0 at its upper, anything elsewhere. */
static void make_match(char *row, const struct dune_submodel *sm, const struct tree_shape *s,
                       const struct boxed_leaf *leaf, const uint32_t *col)
{
    for (uint32_t j = 0; j < sm->n_feats; j++) {
        const struct cuts *c = &s->cuts[col[j]];
        uint32_t lo = leaf->lo[col[j]], hi = leaf->hi[col[j]];

        memset(row, '*', c->len);
        if (lo > 0)
            row[find_cut(c, lo - 1)] = '1';
        if (hi < dune_feature_max(sm->feat[j].feat))
            row[find_cut(c, hi)] = '0';
        row += c->len;
    }
}

/*
 * Class weights of a leaf in plan terms. Forest classes with the same plan class are one class, at
 * the place of the first, so that ties fall as if the forest had been trained on the merged
 * classes.
 */
static struct dune_plan_leaf make_leaf(const struct dune_forest *f, const uint64_t *hist,
                                       const uint8_t *to_plan, uint32_t n_trees, uint64_t *merged)
{
    struct dune_plan_leaf leaf = {0};
    struct dune_leaf l;
    uint16_t other = DUNE_NO_CLASS;

    memset(merged, 0, f->n_classes * sizeof(*merged));
    for (uint32_t c = 0; c < f->n_classes; c++) {
        uint32_t first = 0;

        while (to_plan[first] != to_plan[c])
            first++;
        merged[first] += hist[c];
        if (to_plan[c] == DUNE_PLAN_OTHER && other == DUNE_NO_CLASS)
            other = (uint16_t)c;
    }
    l = dune_leaf_make(merged, f->n_classes, other, n_trees);
    leaf.cls = to_plan[l.cls];
    leaf.conf = l.conf;
    leaf.own = l.own == DUNE_NO_CLASS ? 0 : to_plan[l.own];
    leaf.own_conf = l.own == DUNE_NO_CLASS ? 0 : l.own_conf;
    return leaf;
}

static void make_tree(struct dune_submodel *sm, const struct build *b, uint32_t t,
                      const uint8_t *to_plan, const uint32_t *col)
{
    const struct dune_forest *f = b->f;
    const struct tree_shape *s = &b->shape[t];
    struct dune_plan_tree *pt = &sm->tree[t];
    uint64_t *merged = DUNE_NEW_N(uint64_t, f->n_classes);

    for (uint32_t j = 0; j < sm->n_feats; j++)
        pt->key_bits += sm->feat[j].n_bits[t];
    pt->n_leaves = (uint32_t)s->leaf.len;
    pt->leaf = DUNE_NEW_N(struct dune_plan_leaf, pt->n_leaves);
    pt->match = pt->key_bits ? dune_mem_alloc(pt->n_leaves, pt->key_bits) : NULL;
    for (uint32_t i = 0; i < pt->n_leaves; i++) {
        const struct boxed_leaf *leaf = &s->leaf.data[i];

        if (pt->key_bits)
            make_match(pt->match + (size_t)i * pt->key_bits, sm, s, leaf, col);
        pt->leaf[i] = make_leaf(f, f->tree[t].hist + (size_t)leaf->node * f->n_classes, to_plan,
                                sm->n_trees, merged);
    }
    dune_mem_free(merged);
}

static int make_tables(struct dune_submodel *sm, const struct build *b, const uint8_t *to_plan,
                       struct dune_diag *d)
{
    uint32_t *col = DUNE_NEW_N(uint32_t, b->f->n_feats + 1);
    int rc = 0;

    make_features(sm, b, sm->n_trees, col);
    sm->tree = DUNE_NEW_N(struct dune_plan_tree, sm->n_trees);
    for (uint32_t t = 0; rc == 0 && t < sm->n_trees; t++) {
        make_tree(sm, b, t, to_plan, col);
        rc = dune_plan_tree_derive(sm, t, "tree", &sm->tree[t].node, &sm->tree[t].n_nodes, d);
    }
    dune_mem_free(col);
    return rc;
}

static void fini_build(struct build *b, uint32_t n_trees)
{
    for (uint32_t t = 0; t < n_trees; t++) {
        struct tree_shape *s = &b->shape[t];

        for (uint32_t j = 0; s->cuts && j < b->f->n_feats; j++)
            DUNE_VEC_FREE(&s->cuts[j]);
        dune_mem_free(s->cuts);
        DUNE_VEC_FREE(&s->leaf);
    }
    dune_mem_free(b->shape);
    dune_mem_free(b->lo);
    dune_mem_free(b->hi);
    dune_arena_fini(&b->arena);
}

int dune_submodel_from_forest(struct dune_submodel *sm, const struct dune_forest *f,
                              uint32_t n_trees, uint32_t max_leaves, const uint8_t *to_plan,
                              struct dune_diag *d)
{
    struct build b = {.f = f};
    int rc = check_forest(f, n_trees, to_plan, d);

    if (rc)
        return rc;
    b.shape = DUNE_NEW_N(struct tree_shape, n_trees);
    b.lo = DUNE_NEW_N(uint32_t, f->n_feats + 1);
    b.hi = DUNE_NEW_N(uint32_t, f->n_feats + 1);
    for (uint32_t t = 0; rc == 0 && t < n_trees; t++)
        rc = shape_tree(&b, t, max_leaves, d);
    if (rc == 0) {
        sm->n_trees = n_trees;
        rc = make_tables(sm, &b, to_plan, d);
    }
    fini_build(&b, n_trees);
    return rc;
}
