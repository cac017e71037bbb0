/* SPDX-License-Identifier: Apache-2.0 */
/* Growth of one tree: which node is split next, and what becomes of its rows. */
#include "forest/forest_int.h"

#include <string.h>

struct item { /* a row of the tree's sample */
    uint64_t w;
    uint32_t row;
    uint16_t cls;
};
/* A node that may still be split. */
struct pending {
    uint32_t id, depth;
    size_t begin, end; /* its rows in grow.item */
    uint64_t path;     /* key of its random draws */
    struct dune_cut cut;
    struct dune_gain gain;
};
struct grow {
    const struct dune_grow_job *job;
    struct item *item;
    size_t n_items;
    struct dune_tree *tree;
    uint32_t cap_nodes;
    DUNE_VEC(struct pending) open; /* heap (best-first) or stack (depth-first) */
    uint64_t *key, *tmp;           /* [n_items] for sorting */
    uint64_t *left, *right;        /* [n_classes] class weights while scanning */
    uint32_t *draw;                /* [n_cols] */
};

static uint32_t new_node(struct grow *g, uint32_t parent)
{
    struct dune_tree *t = g->tree;
    uint32_t k = g->job->n_classes;

    if (t->n_nodes == g->cap_nodes) {
        g->cap_nodes = g->cap_nodes ? g->cap_nodes * 2 : 64;
        t->node = dune_mem_realloc(t->node, g->cap_nodes, sizeof(*t->node));
        t->hist = dune_mem_realloc(t->hist, (size_t)g->cap_nodes * k, sizeof(*t->hist));
    }
    t->node[t->n_nodes] = (struct dune_node){.feat = -1, .parent = parent};
    memset(t->hist + (size_t)t->n_nodes * k, 0, k * sizeof(*t->hist));
    return t->n_nodes++;
}

static void add_rows(struct grow *g, uint32_t id, size_t begin, size_t end)
{
    uint64_t *h = g->tree->hist + (size_t)id * g->job->n_classes;

    for (size_t i = begin; i < end; i++)
        h[g->item[i].cls] += g->item[i].w;
}

static dune_u128 squares(const uint64_t *h, uint32_t n)
{
    dune_u128 s = 0;

    for (uint32_t c = 0; c < n; c++)
        s += (dune_u128)h[c] * h[c];
    return s;
}

static uint64_t total(const uint64_t *h, uint32_t n)
{
    uint64_t s = 0;

    for (uint32_t c = 0; c < n; c++)
        s += h[c];
    return s;
}

/* Best cut of one column, over all places where its value changes. */
static bool scan_column(struct grow *g, const struct pending *p, uint32_t col, dune_u128 all_squares,
                        uint64_t all, struct dune_cut *best)
{
    const uint64_t *h = g->tree->hist + (size_t)p->id * g->job->n_classes;
    const uint32_t *x = g->job->col[col];
    uint64_t least = g->job->cfg->min_leaf_weight;
    size_t n = p->end - p->begin;
    struct dune_cut c = {.feat = (int32_t)col, .rw = all, .rs = all_squares};
    bool found = false;

    for (size_t i = 0; i < n; i++)
        g->key[i] = (uint64_t)x[g->item[p->begin + i].row] << 32 | i;
    dune_sort_u64(g->key, g->tmp, n, UINT64_C(0xffffffff) << 32);
    if (g->key[0] >> 32 == g->key[n - 1] >> 32)
        return false;
    memset(g->left, 0, g->job->n_classes * sizeof(*g->left));
    memcpy(g->right, h, g->job->n_classes * sizeof(*g->right));
    for (size_t i = 0; i + 1 < n; i++) {
        const struct item *it = &g->item[p->begin + (uint32_t)g->key[i]];
        uint32_t a = (uint32_t)(g->key[i] >> 32), b = (uint32_t)(g->key[i + 1] >> 32);

        c.ls += (dune_u128)it->w * (2 * g->left[it->cls] + it->w);
        c.rs -= (dune_u128)it->w * (2 * g->right[it->cls] - it->w);
        g->left[it->cls] += it->w;
        g->right[it->cls] -= it->w;
        c.lw += it->w;
        c.rw -= it->w;
        if (a == b || c.lw < least || c.rw < least)
            continue;
        found = true;
        c.threshold = a + (b - a) / 2;
        c.score = dune_cut_score(c.lw, c.ls, c.rw, c.rs);
        if (dune_cut_better(&c, best))
            *best = c;
    }
    return found;
}

static uint32_t draws_wanted(const struct dune_grow_job *job)
{
    uint32_t k = 1;

    if (!job->cfg->sqrt_features)
        return job->n_cols;
    while ((k + 1) * (k + 1) <= job->n_cols)
        k++;
    return k;
}

/* Fills p->cut; feat stays -1 where the node has to stay a leaf. */
static void find_cut(struct grow *g, struct pending *p)
{
    const struct dune_grow_job *job = g->job;
    const uint64_t *h = g->tree->hist + (size_t)p->id * job->n_classes;
    uint64_t all = total(h, job->n_classes);
    dune_u128 sq = squares(h, job->n_classes);
    uint32_t want = draws_wanted(job);
    struct dune_rng rng;

    p->cut = (struct dune_cut){.feat = -1};
    if (sq == (dune_u128)all * all || (job->cfg->max_depth && p->depth >= job->cfg->max_depth) ||
        all / 2 < job->cfg->min_leaf_weight)
        return;
    dune_rng_init(&rng, job->cfg->seed, job->tree, p->path, 0);
    for (uint32_t i = 0; i < job->n_cols; i++)
        g->draw[i] = i;
    for (uint32_t i = 0; i < job->n_cols && (i < want || p->cut.feat < 0); i++) {
        if (want < job->n_cols) {
            uint32_t j = i + (uint32_t)dune_rng_below(&rng, job->n_cols - i), d = g->draw[j];

            g->draw[j] = g->draw[i];
            g->draw[i] = d;
        }
        scan_column(g, p, g->draw[i], sq, all, &p->cut);
    }
    if (p->cut.feat >= 0)
        dune_gain_make(&p->gain, &p->cut, sq);
}

/* a is to be split before b. */
static bool before(const struct pending *a, const struct pending *b)
{
    int c = dune_gain_cmp(&a->gain, &b->gain);

    return c ? c > 0 : a->id < b->id;
}

static void heap_push(struct grow *g, const struct pending *p)
{
    size_t i = g->open.len;

    DUNE_VEC_PUSH(&g->open, *p);
    for (; i && before(p, &g->open.data[(i - 1) / 2]); i = (i - 1) / 2)
        g->open.data[i] = g->open.data[(i - 1) / 2];
    g->open.data[i] = *p;
}

static void heap_pop(struct grow *g, struct pending *out)
{
    struct pending *h = g->open.data, last;
    size_t i = 0, n;

    *out = h[0];
    last = h[--g->open.len];
    n = g->open.len;
    for (;;) {
        size_t c = 2 * i + 1;

        if (c + 1 < n && before(&h[c + 1], &h[c]))
            c++;
        if (c >= n || !before(&h[c], &last))
            break;
        h[i] = h[c];
        i = c;
    }
    if (n)
        h[i] = last;
}

static size_t partition(struct grow *g, const struct pending *p)
{
    const uint32_t *x = g->job->col[p->cut.feat];
    size_t i = p->begin, j = p->end;

    for (;;) {
        struct item t;

        while (i < j && x[g->item[i].row] <= p->cut.threshold)
            i++;
        while (i < j && x[g->item[j - 1].row] > p->cut.threshold)
            j--;
        if (i >= j)
            return i;
        t = g->item[i];
        g->item[i] = g->item[j - 1];
        g->item[j - 1] = t;
    }
}

static void split(struct grow *g, const struct pending *p, struct pending child[2])
{
    size_t middle = partition(g, p);

    for (uint32_t s = 0; s < 2; s++) {
        struct pending *c = &child[s];

        *c = (struct pending){.id = new_node(g, p->id), .depth = p->depth + 1,
                              .begin = s ? middle : p->begin, .end = s ? p->end : middle,
                              .path = dune_mix64(p->path, s + 1)};
        add_rows(g, c->id, c->begin, c->end);
    }
    g->tree->node[p->id].feat = p->cut.feat;
    g->tree->node[p->id].threshold = p->cut.threshold;
    g->tree->node[p->id].left = child[0].id;
    g->tree->node[p->id].right = child[1].id;
}

static int grow_best_first(struct grow *g, struct pending *root)
{
    struct pending p, child[2];
    uint32_t leaves = 1;

    find_cut(g, root);
    if (root->cut.feat >= 0)
        heap_push(g, root);
    while (g->open.len && leaves < g->job->cfg->max_leaves) {
        if (dune_interrupted())
            return DUNE_E_INTERRUPTED;
        heap_pop(g, &p);
        split(g, &p, child);
        leaves++;
        for (int s = 0; s < 2 && leaves < g->job->cfg->max_leaves; s++) {
            find_cut(g, &child[s]);
            if (child[s].cut.feat >= 0)
                heap_push(g, &child[s]);
        }
    }
    return 0;
}

static int grow_depth_first(struct grow *g, struct pending *root)
{
    struct pending p, child[2];

    DUNE_VEC_PUSH(&g->open, *root);
    while (g->open.len) {
        if (dune_interrupted())
            return DUNE_E_INTERRUPTED;
        p = g->open.data[--g->open.len];
        find_cut(g, &p);
        if (p.cut.feat < 0)
            continue;
        split(g, &p, child);
        DUNE_VEC_PUSH(&g->open, child[1]);
        DUNE_VEC_PUSH(&g->open, child[0]);
    }
    return 0;
}

int dune_tree_grow(struct dune_tree *out, const struct dune_grow_job *job)
{
    struct grow g = {.job = job, .tree = out};
    struct pending root = {0};
    int rc;

    *out = (struct dune_tree){0};
    g.item = dune_mem_alloc(job->n_rows, sizeof(*g.item));
    for (size_t r = 0; r < job->n_rows; r++)
        if (job->w[r])
            g.item[g.n_items++] = (struct item){job->w[r], (uint32_t)r, job->cls[r]};
    g.key = dune_mem_alloc(g.n_items, sizeof(*g.key));
    g.tmp = dune_mem_alloc(g.n_items, sizeof(*g.tmp));
    g.left = DUNE_NEW_N(uint64_t, job->n_classes);
    g.right = DUNE_NEW_N(uint64_t, job->n_classes);
    g.draw = DUNE_NEW_N(uint32_t, job->n_cols);
    new_node(&g, UINT32_MAX);
    add_rows(&g, 0, 0, g.n_items);
    root.end = g.n_items;
    rc = job->cfg->max_leaves ? grow_best_first(&g, &root) : grow_depth_first(&g, &root);
    dune_mem_free(g.item);
    dune_mem_free(g.key);
    dune_mem_free(g.tmp);
    dune_mem_free(g.left);
    dune_mem_free(g.right);
    dune_mem_free(g.draw);
    DUNE_VEC_FREE(&g.open);
    if (rc) {
        dune_tree_fini(out);
        return rc;
    }
    out->node = dune_mem_realloc(out->node, out->n_nodes, sizeof(*out->node));
    out->hist = dune_mem_realloc(out->hist, (size_t)out->n_nodes * job->n_classes,
                                 sizeof(*out->hist));
    return 0;
}
