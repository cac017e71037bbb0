/* SPDX-License-Identifier: Apache-2.0 */
/* Random small tables for the tests of the forest stage. */
#ifndef DUNE_FOREST_RANDOM_H
#define DUNE_FOREST_RANDOM_H

#include "testing.h"

#include "dune/forest.h"

/* Values: few or many distinct ones, near 0 or near 2^32, columns may repeat each other. */
static inline uint32_t random_value(struct dune_rng *r, unsigned kind)
{
    switch (kind) {
    case 0:
        return (uint32_t)dune_rng_below(r, 2);
    case 1:
        return (uint32_t)dune_rng_below(r, 6) * 3;
    case 2:
        return UINT32_MAX - (uint32_t)dune_rng_below(r, 9);
    case 3:
        return (uint32_t)dune_rng_below(r, 1000);
    case 4:
        return (uint32_t)(dune_rng_u64(r) >> (32 + dune_rng_below(r, 32)));
    default:
        return (uint32_t)dune_rng_u64(r);
    }
}

static inline void random_table(struct dune_table *t, struct dune_rng *r, size_t max_rows,
                                uint32_t max_cols, uint32_t max_classes, uint64_t max_weight)
{
    uint32_t lag = (uint32_t)dune_rng_below(r, 4);

    *t = (struct dune_table){.n_rows = 1 + dune_rng_below(r, max_rows),
                             .n_cols = 1 + (uint32_t)dune_rng_below(r, max_cols),
                             .n_classes = 1 + (uint32_t)dune_rng_below(r, max_classes)};
    t->feat = DUNE_NEW_N(uint8_t, t->n_cols);
    t->col = DUNE_NEW_N(uint32_t *, t->n_cols);
    t->cls = DUNE_NEW_N(uint16_t, t->n_rows);
    t->w = DUNE_NEW_N(uint64_t, t->n_rows);
    for (uint32_t c = 0; c < t->n_cols; c++) {
        unsigned kind = (unsigned)dune_rng_below(r, 6);

        t->feat[c] = (uint8_t)c;
        t->col[c] = DUNE_NEW_N(uint32_t, t->n_rows);
        for (size_t i = 0; i < t->n_rows; i++)
            t->col[c][i] = c && lag == 1 ? t->col[0][i] / 2 : random_value(r, kind);
    }
    for (size_t i = 0; i < t->n_rows; i++) {
        bool noise = dune_rng_below(r, 4) == 0;

        t->cls[i] = (uint16_t)(noise ? dune_rng_below(r, t->n_classes)
                                     : (t->col[0][i] / 2 + t->col[t->n_cols - 1][i]) % t->n_classes);
        t->w[i] = 1 + dune_rng_below(r, max_weight);
    }
}

static inline void free_table(struct dune_table *t)
{
    for (uint32_t c = 0; c < t->n_cols; c++)
        dune_mem_free(t->col[c]);
    dune_mem_free(t->feat);
    dune_mem_free(t->col);
    dune_mem_free(t->cls);
    dune_mem_free(t->w);
}

static inline void assert_same_trees(const struct dune_tree *a, const struct dune_tree *b, uint32_t n_classes)
{
    assert_int_equal(a->n_nodes, b->n_nodes);
    for (uint32_t v = 0; v < a->n_nodes; v++) {
        assert_int_equal(a->node[v].feat, b->node[v].feat);
        assert_int_equal(a->node[v].threshold, b->node[v].threshold);
        assert_int_equal(a->node[v].left, b->node[v].left);
        assert_int_equal(a->node[v].right, b->node[v].right);
        assert_int_equal(a->node[v].parent, b->node[v].parent);
    }
    assert_memory_equal(a->hist, b->hist, (size_t)a->n_nodes * n_classes * sizeof(*a->hist));
}

static inline void assert_same_forests(const struct dune_forest *a, const struct dune_forest *b)
{
    assert_int_equal(a->n_trees, b->n_trees);
    assert_int_equal(a->n_feats, b->n_feats);
    assert_int_equal(a->n_classes, b->n_classes);
    assert_memory_equal(a->feat, b->feat, a->n_feats);
    for (uint32_t i = 0; i < a->n_trees; i++)
        assert_same_trees(&a->tree[i], &b->tree[i], a->n_classes);
}

static inline void random_cfg(struct dune_train_cfg *cfg, struct dune_rng *r, uint64_t max_weight)
{
    *cfg = (struct dune_train_cfg){.n_trees = (uint32_t)dune_rng_below(r, 4), .seed = dune_rng_u64(r),
                                   .threads = 1};
    cfg->max_leaves = dune_rng_below(r, 2) ? 1 + (uint32_t)dune_rng_below(r, 40) : 0;
    cfg->max_depth = dune_rng_below(r, 3) ? 0 : 1 + (uint32_t)dune_rng_below(r, 6);
    cfg->min_leaf_weight = dune_rng_below(r, 2) ? 0 : dune_rng_below(r, 3 * max_weight);
    cfg->sqrt_features = dune_rng_below(r, 2);
    cfg->bootstrap = dune_rng_below(r, 3) == 0;
}

#endif
