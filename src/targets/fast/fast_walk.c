/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three ways to ask a forest for many vectors, and the calibration that picks one. A step waits for a
 * node and a value, about a dozen cycles; eight walks in step hide that.
 */
#include "targets/fast/fast_int.h"

enum { LANES = 8, STEPS = 4 /* between looks whether all lanes are at leaves */ };

const char *dune_fast_walk_name(enum dune_fast_walk w)
{
    static const char *const names[] = {"packets", "trees", "quick"};

    return (unsigned)w < DUNE_FAST_N_WALKS ? names[w] : "?";
}

/* dune_core_step as compilers for processors like it: compare, then add with carry. */
DUNE_CORE_INLINE uint32_t step(const struct dune_core_node *node, uint32_t at, const uint32_t *x)
{
    const struct dune_core_node *v = &node[at];

    return v->left + (uint32_t)(v->threshold < x[v->feat]);
}

/* --- packets in step down one tree ----------------------------------------------------------------------- */

DUNE_CORE_INLINE void walk_packets(const struct fast_tree *tr, const uint32_t *x, const uint32_t stride,
                                   const uint32_t lanes, uint32_t *leaf, uint32_t leaf_step)
{
    const struct dune_core_node *node = tr->node;
    uint32_t at[LANES] = {0}, inner;

    for (uint32_t done = 0; done < tr->depth; done += STEPS) {
#pragma GCC unroll 4
        for (uint32_t s = 0; s < STEPS; s++) {
#pragma GCC unroll 8
            for (uint32_t i = 0; i < lanes; i++)
                at[i] = step(node, at[i], x + i * stride);
        }
        inner = 0;
#pragma GCC unroll 8
        for (uint32_t i = 0; i < lanes; i++)
            inner |= node[at[i]].feat;
        if (!inner)
            break;
    }
#pragma GCC unroll 8
    for (uint32_t i = 0; i < lanes; i++)
        leaf[i * leaf_step] = node[at[i]].threshold;
}

DUNE_CORE_INLINE void tree_packets(const struct fast_tree *tr, const uint32_t *x, const uint32_t stride,
                                   uint32_t n, uint32_t *leaf, uint32_t leaf_step)
{
    uint32_t i = 0;

    for (; i + LANES <= n; i += LANES)
        walk_packets(tr, x + i * stride, stride, LANES, leaf + i * leaf_step, leaf_step);
    if (i + 4 <= n) {
        walk_packets(tr, x + i * stride, stride, 4, leaf + i * leaf_step, leaf_step);
        i += 4;
    }
    if (i + 2 <= n) {
        walk_packets(tr, x + i * stride, stride, 2, leaf + i * leaf_step, leaf_step);
        i += 2;
    }
    if (i < n)
        walk_packets(tr, x + i * stride, stride, 1, leaf + i * leaf_step, leaf_step);
}

static void ask_packets(const struct fast_forest *f, const uint32_t *x, uint32_t n, uint32_t *leaf)
{
    for (uint32_t t = 0; t < f->n_trees; t++)
        if (f->stride == 16)
            tree_packets(&f->tree[t], x, 16, n, leaf + t, f->n_trees);
        else
            tree_packets(&f->tree[t], x, DUNE_CORE_X_MAX, n, leaf + t, f->n_trees);
}

/* --- trees in step for one packet -------------------------------------------------------------------------- */

DUNE_CORE_INLINE void walk_trees(const struct fast_tree *tr, const uint32_t *x, const uint32_t lanes,
                                 uint32_t *leaf)
{
    uint32_t at[LANES] = {0}, inner = 1;

    while (inner) {
#pragma GCC unroll 4
        for (uint32_t s = 0; s < STEPS; s++) {
#pragma GCC unroll 8
            for (uint32_t i = 0; i < lanes; i++)
                at[i] = step(tr[i].node, at[i], x);
        }
        inner = 0;
#pragma GCC unroll 8
        for (uint32_t i = 0; i < lanes; i++)
            inner |= tr[i].node[at[i]].feat;
    }
#pragma GCC unroll 8
    for (uint32_t i = 0; i < lanes; i++)
        leaf[i] = tr[i].node[at[i]].threshold;
}

static void walk_all_trees(const struct fast_forest *f, const uint32_t *x, uint32_t *leaf)
{
    uint32_t t = 0;

    for (; t + 5 <= f->n_trees; t += 5)
        walk_trees(&f->tree[t], x, 5, leaf + t);
    for (; t + 3 <= f->n_trees; t += 3)
        walk_trees(&f->tree[t], x, 3, leaf + t);
    for (; t < f->n_trees; t++)
        walk_trees(&f->tree[t], x, 1, leaf + t);
}

static void ask_trees(const struct fast_forest *f, const uint32_t *x, uint32_t n, uint32_t *leaf)
{
    for (uint32_t i = 0; i < n; i++)
        walk_all_trees(f, x + i * f->stride, leaf + i * f->n_trees);
}

/* --- the interface ------------------------------------------------------------------------------------------ */

bool dune_fast_forest_can(const struct fast_forest *f, enum dune_fast_walk walk)
{
    return walk != DUNE_FAST_WALK_QUICK || f->quick;
}

/* The class two of three name, else the first of them that is not 0; the sum of its weights. */
static inline uint32_t pick3(const uint32_t cls[3], const uint32_t *leaf, uint32_t shift, uint32_t *conf)
{
    uint32_t first = cls[0] ? cls[0] : cls[1] ? cls[1] : cls[2];
    uint32_t best = cls[1] == cls[2] && cls[1] ? cls[1] : first, sum = 0;

    for (uint32_t t = 0; t < 3; t++)
        sum += cls[t] == best ? leaf[t] >> shift & 0xff : 0;
    *conf = best ? DUNE_MIN(sum, 255u) : 0;
    return best;
}

/* dune_core_vote for three trees. */
static inline uint32_t vote3(const uint32_t *leaf)
{
    uint32_t cls[3], own[3], best, conf;

    for (uint32_t t = 0; t < 3; t++) {
        cls[t] = leaf[t] & 0xff;
        own[t] = cls[t] == DUNE_CORE_OTHER ? leaf[t] >> 16 & 0xff : 0;
    }
    best = pick3(cls, leaf, 8, &conf);
    if (best != DUNE_CORE_OTHER)
        return DUNE_CORE_ANSWER(best, conf, best != 0);
    best = pick3(own, leaf, 24, &conf);
    return DUNE_CORE_ANSWER(best, conf, 0);
}

static void ask(const struct fast_forest *f, enum dune_fast_walk walk, const uint32_t *x, uint32_t n,
                uint32_t *answer)
{
    uint32_t leaf[DUNE_MAX_TREES * FAST_CHUNK];

    if (walk == DUNE_FAST_WALK_PACKETS)
        ask_packets(f, x, n, leaf);
    else if (walk == DUNE_FAST_WALK_TREES)
        ask_trees(f, x, n, leaf);
    else
        dune_fast_quick_ask(f->quick, x, f->stride, n, leaf, f->n_trees);
    for (uint32_t i = 0; i < n; i++)
        answer[i] = f->n_trees == 3 ? vote3(leaf + i * 3) : dune_core_vote(leaf + i * f->n_trees, f->n_trees);
}

void dune_fast_forest_ask(const struct fast_forest *f, const uint32_t *x, uint32_t n, uint32_t *answer)
{
    ask(f, f->walk, x, n, answer);
}

/* Values next to thresholds of the model, as likely left as right. */
static void synthetic(struct dune_rng *r, const struct dune_submodel *sm, uint32_t *x)
{
    x[0] = 0;
    for (uint32_t j = 0; j < sm->n_feats; j++) {
        const struct dune_plan_feature *pf = &sm->feat[j];
        const struct dune_range_row *row = &pf->row[dune_rng_below(r, pf->n_rows)];

        x[j + 1] = dune_rng_below(r, 2) ? row->lo : row->hi;
    }
}

static double measure(const struct fast_forest *f, enum dune_fast_walk walk, const uint32_t *x, uint32_t n)
{
    enum { BATCH = 16, ROUNDS = 4 };
    uint32_t answer[FAST_CHUNK];
    uint64_t best = UINT64_MAX;

    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = dune_now_ns();

        for (uint32_t i = 0; i + BATCH <= n; i += BATCH)
            ask(f, walk, x + i * f->stride, BATCH, answer);
        best = DUNE_MIN(best, dune_now_ns() - start);
    }
    return (double)best / n;
}

void dune_fast_calibrate(struct fast_forest *f, const struct dune_submodel *sm)
{
    enum { VECTORS = 256, SMALL = 64 /* leaves; any way is fast */ };
    uint32_t *x, leaves = 0;
    struct dune_rng r;

    f->walk = DUNE_FAST_WALK_PACKETS;
    for (uint32_t t = 0; t < sm->n_trees; t++)
        leaves += sm->tree[t].n_leaves;
    if (leaves < SMALL)
        return;
    x = dune_mem_zalloc((size_t)VECTORS * f->stride, sizeof(*x));
    dune_rng_init(&r, 1, 0xca1b, 0, 0);
    for (uint32_t i = 0; i < VECTORS; i++)
        synthetic(&r, sm, x + i * f->stride);
    for (int w = 0; w < DUNE_FAST_N_WALKS; w++) {
        if (!dune_fast_forest_can(f, (enum dune_fast_walk)w))
            continue;
        f->ns[w] = measure(f, (enum dune_fast_walk)w, x, VECTORS);
        if (f->ns[w] < f->ns[f->walk])
            f->walk = (enum dune_fast_walk)w;
    }
    dune_mem_free(x);
}
