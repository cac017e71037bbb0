/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The forest as range rows and bit vectors (after QuickScorer, SIGIR 2015): every range row of a
 * feature has a bit per leaf of every tree, cleared where a value in that range cannot reach the leaf.
 * The leaf a tree reaches is the first bit left of the AND over the features:
 *
 *   value -> row (binary search, all features in step) -> bits of the row -> AND -> first bit per tree
 */
#include "targets/fast/fast_int.h"

#include <string.h>

typedef uint64_t bits4 __attribute__((vector_size(32), aligned(8)));
enum { MAX_BYTES = 4 << 20 };

struct fast_quick {
    uint32_t n_trees, n_feats;
    uint32_t n_bits4;              /* of a row: all trees, padded */
    bool avx2;
    uint8_t at[DUNE_N_FEATURES];
    uint32_t first[DUNE_MAX_TREES + 1];   /* word of a tree's first bit */
    uint32_t *payload[DUNE_MAX_TREES];
    uint32_t n_thr[DUNE_N_FEATURES];
    uint32_t *thr[DUNE_N_FEATURES]; /* ascending; row r: more than r - 1 of them are below the value */
    uint64_t *bits[DUNE_N_FEATURES];/* [n_thr + 1][n_bits4 * 4] */
};

struct fill {
    struct fast_quick *q;
    const struct dune_plan_tree *tr;
    uint32_t t, next; /* next leaf, left to right */
};

static uint64_t *row_bits(const struct fast_quick *q, uint32_t j, uint32_t row)
{
    return q->bits[j] + (size_t)row * q->n_bits4 * 4;
}

/* Values above the threshold cannot reach leaves [from, to) of the tree: said in the first such row,
 * handed on to the rows above by spread(). */
static void clear_bits(struct fill *f, const struct dune_node *v, uint32_t from, uint32_t to)
{
    struct fast_quick *q = f->q;
    uint32_t j = (uint32_t)v->feat, row = 0;
    uint64_t *bits;

    while (row < q->n_thr[j] && q->thr[j][row] < v->threshold)
        row++;
    if (row == q->n_thr[j])
        return; /* the domain ends at the threshold */
    bits = row_bits(q, j, row + 1) + q->first[f->t];
    for (uint32_t i = from; i < to; i++)
        bits[i / 64] &= ~((uint64_t)1 << (i % 64));
}

static void spread(struct fast_quick *q, uint32_t j)
{
    for (uint32_t row = 1; row <= q->n_thr[j]; row++)
        for (uint32_t i = 0; i < q->n_bits4 * 4; i++)
            row_bits(q, j, row)[i] &= row_bits(q, j, row - 1)[i];
}

/* Visits the tree left to right with a stack of its own: trees may be as deep as they have leaves. */
static void fill_tree(struct fill *f)
{
    uint32_t n = f->tr->n_nodes, top = 0;
    uint32_t *stack = dune_mem_alloc(n + 1, sizeof(*stack)), *from = dune_mem_zalloc(n, sizeof(*from));
    bool *left_done = dune_mem_zalloc(n, sizeof(*left_done));

    stack[top++] = 0;
    while (top) {
        uint32_t i = stack[top - 1];
        const struct dune_node *v = &f->tr->node[i];

        if (v->feat < 0) {
            const struct dune_plan_leaf *l = &f->tr->leaf[v->left];

            f->q->payload[f->t][f->next++] = l->cls | (uint32_t)l->conf << 8 | (uint32_t)l->own << 16 |
                                             (uint32_t)l->own_conf << 24;
            top--;
        } else if (!left_done[i]) {
            left_done[i] = true;
            from[i] = f->next;
            stack[top++] = v->left;
        } else {
            clear_bits(f, v, from[i], f->next);
            stack[top - 1] = v->right; /* nothing is left to do for the node itself */
        }
    }
    dune_mem_free(stack);
    dune_mem_free(from);
    dune_mem_free(left_done);
}

static void make_rows(struct fast_quick *q, const struct dune_submodel *sm, uint32_t j)
{
    const struct dune_plan_feature *pf = &sm->feat[j];
    size_t words = (size_t)pf->n_rows * q->n_bits4 * 4;

    q->n_thr[j] = pf->n_rows - 1;
    q->thr[j] = dune_mem_alloc(pf->n_rows, sizeof(uint32_t));
    for (uint32_t r = 0; r + 1 < pf->n_rows; r++)
        q->thr[j][r] = pf->row[r].hi;
    q->bits[j] = dune_mem_alloc(words, sizeof(uint64_t));
    memset(q->bits[j], 0xff, words * sizeof(uint64_t));
}

struct fast_quick *dune_fast_quick_new(const struct dune_submodel *sm, const uint8_t *at)
{
    struct fast_quick *q = DUNE_NEW(struct fast_quick);
    uint64_t rows = 0;
    uint32_t words = 0;

    q->n_trees = sm->n_trees;
    q->n_feats = sm->n_feats;
    q->avx2 = dune_fast_has_avx2();
    for (uint32_t t = 0; t < sm->n_trees; t++) {
        q->first[t] = words;
        words += (sm->tree[t].n_leaves + 63) / 64;
    }
    q->first[sm->n_trees] = words;
    q->n_bits4 = (words + 3) / 4;
    for (uint32_t j = 0; j < sm->n_feats; j++)
        rows += sm->feat[j].n_rows;
    if (rows * q->n_bits4 * sizeof(bits4) > MAX_BYTES) {
        dune_mem_free(q);
        return NULL;
    }
    for (uint32_t j = 0; j < sm->n_feats; j++) {
        q->at[j] = at[j];
        make_rows(q, sm, j);
    }
    for (uint32_t t = 0; t < sm->n_trees; t++) {
        struct fill f = {.q = q, .tr = &sm->tree[t], .t = t};

        q->payload[t] = DUNE_NEW_N(uint32_t, sm->tree[t].n_leaves);
        fill_tree(&f);
    }
    for (uint32_t j = 0; j < sm->n_feats; j++)
        spread(q, j);
    return q;
}

void dune_fast_quick_free(struct fast_quick *q)
{
    if (!q)
        return;
    for (uint32_t j = 0; j < q->n_feats; j++) {
        dune_mem_free(q->thr[j]);
        dune_mem_free(q->bits[j]);
    }
    for (uint32_t t = 0; t < q->n_trees; t++)
        dune_mem_free(q->payload[t]);
    dune_mem_free(q);
}

/* Thresholds below the value, by halving without branches. */
DUNE_CORE_INLINE uint32_t find_row(const uint32_t *thr, uint32_t n, uint32_t value)
{
    uint32_t at = 0;

    while (n > 0) {
        uint32_t half = (n + 1) / 2;
        uint32_t step = thr[at + half - 1] < value ? half : 0;

        at += step;
        n -= half;
    }
    return at;
}

DUNE_CORE_INLINE void ask_one(const struct fast_quick *q, const uint32_t *x, uint32_t *leaf)
{
    const uint64_t *row[DUNE_N_FEATURES];
    bits4 sum[DUNE_MAX_TREES * DUNE_MAX_LEAVES / 256 + DUNE_MAX_TREES];
    const uint64_t *word = (const uint64_t *)(const void *)sum;

    for (uint32_t j = 0; j < q->n_feats; j++)
        row[j] = row_bits(q, j, find_row(q->thr[j], q->n_thr[j], x[q->at[j]]));
    for (uint32_t i = 0; i < q->n_bits4; i++) {
        bits4 b = ~(bits4){0};

        for (uint32_t j = 0; j < q->n_feats; j++)
            b &= *(const bits4 *)(const void *)(row[j] + 4 * (size_t)i);
        sum[i] = b;
    }
    for (uint32_t t = 0; t < q->n_trees; t++) {
        uint32_t w = q->first[t];

        while (!word[w])
            w++;
        leaf[t] = q->payload[t][(w - q->first[t]) * 64 + (uint32_t)__builtin_ctzll(word[w])];
    }
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void ask_avx2(const struct fast_quick *q, const uint32_t *x,
                                                     uint32_t stride, uint32_t n, uint32_t *leaf,
                                                     uint32_t step)
{
    for (uint32_t i = 0; i < n; i++)
        ask_one(q, x + i * stride, leaf + i * step);
}
#endif

void dune_fast_quick_ask(const struct fast_quick *q, const uint32_t *x, uint32_t stride, uint32_t n,
                         uint32_t *leaf, uint32_t tree_step)
{
#if defined(__x86_64__)
    if (q->avx2) {
        ask_avx2(q, x, stride, n, leaf, tree_step);
        return;
    }
#endif
    for (uint32_t i = 0; i < n; i++)
        ask_one(q, x + i * stride, leaf + i * tree_step);
}
