/* SPDX-License-Identifier: Apache-2.0 */
/* Random forests made by hand, and the stupidest way to ask them. */
#ifndef DUNE_TEST_RANDOM_FOREST_H
#define DUNE_TEST_RANDOM_FOREST_H

#include "dune/plan.h"
#include "testing.h"

struct forest_shape {
    uint32_t trees, leaves, classes, n_feats;
    const uint8_t *feat;
    uint32_t wild; /* per mille of splits whose threshold ignores what is left of the domain */
};

static void random_hist(struct dune_rng *r, uint64_t *hist, uint32_t n)
{
    for (uint32_t c = 0; c < n; c++)
        hist[c] = dune_rng_below(r, 3) ? dune_rng_below(r, 5) : 0;
    hist[dune_rng_below(r, n)] += 1;
}

static uint32_t random_threshold(struct dune_rng *r, const struct forest_shape *s, uint32_t feat)
{
    uint32_t max = dune_feature_max((int)feat);

    if (dune_rng_below(r, 1000) < s->wild)
        return dune_rng_below(r, 2) ? max : (uint32_t)dune_rng_below(r, (uint64_t)max + 1);
    if (dune_rng_below(r, 4) == 0) /* near an end, or shared with other splits */
        return (uint32_t)dune_rng_below(r, DUNE_MIN(max, 20));
    return (uint32_t)dune_rng_below(r, max);
}

/* Splits random leaves in growth order: split k makes nodes 2k + 1 and 2k + 2. */
static void random_tree(struct dune_rng *r, struct dune_tree *tr, const struct forest_shape *s)
{
    uint32_t n = 2 * s->leaves - 1;

    tr->n_nodes = n;
    tr->node = DUNE_NEW_N(struct dune_node, n);
    tr->hist = DUNE_NEW_N(uint64_t, (size_t)n * s->classes);
    for (uint32_t i = 0; i < n; i++) {
        tr->node[i].feat = -1;
        random_hist(r, tr->hist + (size_t)i * s->classes, s->classes);
    }
    tr->node[0].parent = UINT32_MAX;
    for (uint32_t k = 0; k + 1 < s->leaves; k++) {
        uint32_t i;
        struct dune_node *v;

        do
            i = (uint32_t)dune_rng_below(r, 2 * k + 1);
        while (tr->node[i].feat >= 0);
        v = &tr->node[i];
        v->feat = (int32_t)dune_rng_below(r, s->n_feats);
        v->threshold = random_threshold(r, s, s->feat[v->feat]);
        v->left = 2 * k + 1;
        v->right = 2 * k + 2;
        tr->node[v->left].parent = tr->node[v->right].parent = i;
    }
}

static void random_forest(struct dune_rng *r, struct dune_forest *f, const struct forest_shape *s)
{
    memset(f, 0, sizeof(*f));
    f->n_trees = s->trees;
    f->n_feats = s->n_feats;
    f->n_classes = s->classes;
    f->feat = dune_mem_alloc(s->n_feats, 1);
    memcpy(f->feat, s->feat, s->n_feats);
    f->n = 3;
    f->tree = DUNE_NEW_N(struct dune_tree, s->trees);
    for (uint32_t t = 0; t < s->trees; t++)
        random_tree(r, &f->tree[t], s);
}

static void random_forest_fini(struct dune_forest *f)
{
    for (uint32_t t = 0; t < f->n_trees; t++) {
        dune_mem_free(f->tree[t].node);
        dune_mem_free(f->tree[t].hist);
    }
    dune_mem_free(f->tree);
    dune_mem_free(f->feat);
}

/* Classes 0 .. n-2 become plan classes first .. , class n-1 is Other. */
static inline void other_last(uint8_t *to_plan, uint32_t n, uint8_t first)
{
    for (uint32_t c = 0; c < n; c++)
        to_plan[c] = c + 1 < n ? (uint8_t)(first + c) : DUNE_PLAN_OTHER;
}

/* The design's voting rule once more, over (class, confidence) pairs; class 0 abstains. */
static uint8_t naive_vote(const uint8_t *cls, const uint8_t *conf, uint32_t n, uint8_t *sum)
{
    uint32_t votes[256] = {0}, total[256] = {0}, most = 0;

    for (uint32_t t = 0; t < n; t++) {
        votes[cls[t]] += cls[t] != 0;
        total[cls[t]] += conf[t];
        most = DUNE_MAX(most, votes[cls[t]]);
    }
    *sum = 0;
    for (uint32_t t = 0; most && t < n; t++)
        if (cls[t] && votes[cls[t]] == most) {
            *sum = (uint8_t)total[cls[t]];
            return cls[t];
        }
    return 0;
}

/* Straight from the trees: no tables, no plan. to_plan must map Other from the last class only. */
static inline struct dune_sub_answer naive_answer(const struct dune_forest *f, uint32_t n_trees,
                                                  uint32_t max_leaves, const uint8_t *to_plan,
                                                  const uint32_t *x)
{
    uint8_t cls[DUNE_MAX_TREES], conf[DUNE_MAX_TREES], own[DUNE_MAX_TREES],
        own_conf[DUNE_MAX_TREES];
    struct dune_sub_answer a = {0};

    for (uint32_t t = 0; t < n_trees; t++) {
        const struct dune_tree *tr = &f->tree[t];
        uint32_t i = 0, limit = max_leaves ? 2 * max_leaves - 1 : tr->n_nodes;
        struct dune_leaf leaf;

        while (tr->node[i].feat >= 0 && tr->node[i].left < limit)
            i = x[f->feat[tr->node[i].feat]] <= tr->node[i].threshold ? tr->node[i].left
                                                                      : tr->node[i].right;
        leaf = dune_leaf_make(tr->hist + (size_t)i * f->n_classes, f->n_classes,
                              (uint16_t)(f->n_classes - 1), n_trees);
        cls[t] = to_plan[leaf.cls];
        conf[t] = leaf.conf;
        own[t] = leaf.own == DUNE_NO_CLASS || cls[t] != DUNE_PLAN_OTHER ? 0 : to_plan[leaf.own];
        own_conf[t] = leaf.own_conf;
    }
    a.cls = naive_vote(cls, conf, n_trees, &a.conf);
    a.claim = a.cls != DUNE_PLAN_OTHER;
    if (!a.claim)
        a.cls = naive_vote(own, own_conf, n_trees, &a.conf);
    return a;
}

static inline void assert_same_answer(struct dune_sub_answer a, struct dune_sub_answer b)
{
    assert_int_equal(a.cls, b.cls);
    assert_int_equal(a.conf, b.conf);
    assert_int_equal(a.claim, b.claim);
}

#endif
