/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three ways to ask a forest for many vectors, and the calibration that picks one. A step waits for a
 * node and a value, about a dozen cycles; eight walks in step hide that.
 */
#include "targets/fast/fast_int.h"

enum { LANES = 8, STEPS = 4 /* between looks whether all lanes are at leaves */ };

const char *dune_fast_walk_name(enum dune_fast_walk w)
{
    static const char *const names[] = {"packets", "trees", "quick", "wide"};

    return (unsigned)w < DUNE_FAST_N_WALKS ? names[w] : "?";
}

/* dune_core_step as compilers for processors like it: compare, then add with carry. */
DUNE_CORE_INLINE uint32_t step(const struct dune_core_node *node, uint32_t at, const uint32_t *x)
{
    const struct dune_core_node *v = &node[at];

    return v->left + (uint32_t)(v->threshold < x[v->feat]);
}

/* --- packets in step down one tree ----------------------------------------------------------------------- */

/* places: instead of what the leaves say, which nodes they are. */
DUNE_CORE_INLINE void walk_packets(const struct fast_tree *tr, const uint32_t *x, const uint32_t stride,
                                   const uint32_t lanes, uint32_t *leaf, uint32_t leaf_step, const bool places)
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
        leaf[i * leaf_step] = places ? at[i] : node[at[i]].threshold;
}

DUNE_CORE_INLINE void tree_packets(const struct fast_tree *tr, const uint32_t *x, const uint32_t stride,
                                   uint32_t n, uint32_t *leaf, uint32_t leaf_step, const bool places)
{
    uint32_t i = 0;

    for (; i + LANES <= n; i += LANES)
        walk_packets(tr, x + i * stride, stride, LANES, leaf + i * leaf_step, leaf_step, places);
    if (i + 4 <= n) {
        walk_packets(tr, x + i * stride, stride, 4, leaf + i * leaf_step, leaf_step, places);
        i += 4;
    }
    if (i + 2 <= n) {
        walk_packets(tr, x + i * stride, stride, 2, leaf + i * leaf_step, leaf_step, places);
        i += 2;
    }
    if (i < n)
        walk_packets(tr, x + i * stride, stride, 1, leaf + i * leaf_step, leaf_step, places);
}

/* The leaf of packet i in tree t goes to leaf[t * tree_step + i * step]. */
static void ask_packets(const struct fast_forest *f, const uint32_t *x, uint32_t n, uint32_t *leaf, uint32_t tree_step,
                        uint32_t step)
{
    for (uint32_t t = 0; t < f->n_trees; t++)
        if (f->stride == 16)
            tree_packets(&f->tree[t], x, 16, n, leaf + t * tree_step, step, false);
        else
            tree_packets(&f->tree[t], x, DUNE_CORE_X_MAX, n, leaf + t * tree_step, step, false);
}

void dune_fast_forest_places(const struct fast_forest *f, const uint32_t *x, uint32_t n, uint32_t *place, uint32_t tree_step)
{
    for (uint32_t t = 0; t < f->n_trees; t++)
        tree_packets(&f->tree[t], x, f->stride, n, place + t * tree_step, 1, true);
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
    if (walk == DUNE_FAST_WALK_QUICK)
        return f->quick != NULL;
    return walk != DUNE_FAST_WALK_WIDE || f->wide;
}

/* --- dune_core_vote for three trees, eight packets at a time ------------------------------------------------- */

typedef uint32_t eight __attribute__((vector_size(32), aligned(4), may_alias));

#define PICK(when, a, b) (((eight)(when) & (a)) | (~(eight)(when) & (b)))

/* The class two of three name, else the first of them that is not 0; the sum of its weights. */
DUNE_CORE_INLINE void pick3(const eight cls[3], const eight leaf[3], uint32_t shift, eight *out, eight *conf)
{
    const eight none = {0};
    eight first = PICK(cls[0] != none, cls[0], PICK(cls[1] != none, cls[1], cls[2]));
    eight best = PICK((cls[1] == cls[2]) & (cls[1] != none), cls[1], first), sum = none;

    for (uint32_t t = 0; t < 3; t++)
        sum += (eight)(cls[t] == best) & (leaf[t] >> shift) & 0xff;
    sum = PICK(sum > 255, none + 255, sum);
    *conf = (eight)(best != none) & sum;
    *out = best;
}

DUNE_CORE_INLINE void vote3(const eight leaf[3], eight *answer)
{
    const eight none = {0}, other = none + DUNE_CORE_OTHER;
    eight cls[3], own[3], best, conf, claim, tentative;

    for (uint32_t t = 0; t < 3; t++) {
        cls[t] = leaf[t] & 0xff;
        own[t] = (eight)(cls[t] == other) & (leaf[t] >> 16) & 0xff;
    }
    pick3(cls, leaf, 8, &best, &conf);
    claim = best | conf << 8 | ((eight)(best != none) & 1u << 16);
    pick3(own, leaf, 24, &tentative, &conf);
    *answer = PICK(best != other, claim, tentative | conf << 8);
}

/* Leaves of packet i: leaf[i], leaf[FAST_CHUNK + i], leaf[2 * FAST_CHUNK + i]; may read and write up to 7 more. */
DUNE_CORE_INLINE void votes3(const uint32_t *leaf, uint32_t n, uint32_t *answer)
{
    for (uint32_t i = 0; i < n; i += 8) {
        eight l[3];

        for (uint32_t t = 0; t < 3; t++)
            l[t] = *(const eight *)(const void *)(leaf + t * FAST_CHUNK + i);
        vote3(l, (eight *)(void *)(answer + i));
    }
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void votes3_avx2(const uint32_t *leaf, uint32_t n, uint32_t *answer)
{
    votes3(leaf, n, answer);
}
#endif

static void ask_three(const struct fast_forest *f, enum dune_fast_walk walk, const uint32_t *x, uint32_t n,
                      uint32_t *answer)
{
    uint32_t leaf[3 * FAST_CHUNK];

    if (walk == DUNE_FAST_WALK_WIDE)
        dune_fast_wide_ask(f->wide, x, f->stride, n, leaf, 3, FAST_CHUNK, 1);
    else
        ask_packets(f, x, n, leaf, FAST_CHUNK, 1);
#if defined(__x86_64__)
    if (f->avx2) {
        votes3_avx2(leaf, n, answer);
        return;
    }
#endif
    votes3(leaf, n, answer);
}

static void ask(const struct fast_forest *f, enum dune_fast_walk walk, const uint32_t *x, uint32_t n,
                uint32_t *answer)
{
    uint32_t leaf[DUNE_MAX_TREES * FAST_CHUNK];

    if (f->n_trees == 3 && (walk == DUNE_FAST_WALK_PACKETS || walk == DUNE_FAST_WALK_WIDE)) {
        ask_three(f, walk, x, n, answer);
        return;
    }
    if (walk == DUNE_FAST_WALK_PACKETS)
        ask_packets(f, x, n, leaf, 1, f->n_trees);
    else if (walk == DUNE_FAST_WALK_TREES)
        ask_trees(f, x, n, leaf);
    else if (walk == DUNE_FAST_WALK_WIDE)
        dune_fast_wide_ask(f->wide, x, f->stride, n, leaf, f->n_trees, 1, f->n_trees);
    else
        dune_fast_quick_ask(f->quick, x, f->stride, n, leaf, f->n_trees);
    for (uint32_t i = 0; i < n; i++)
        answer[i] = dune_core_vote(leaf + i * f->n_trees, f->n_trees);
}

void dune_fast_forest_ask(const struct fast_forest *f, const uint32_t *x, uint32_t n, uint32_t *answer)
{
    ask(f, f->walk, x, n, answer);
}

/* Values next to thresholds of the model, as likely left as right. */
static void synthetic(struct dune_rng *r, const struct dune_submodel *sm, const uint8_t *at, uint32_t *x)
{
    x[0] = 0;
    for (uint32_t j = 0; j < sm->n_feats; j++) {
        const struct dune_plan_feature *pf = &sm->feat[j];
        const struct dune_range_row *row = &pf->row[dune_rng_below(r, pf->n_rows)];

        x[at[j]] = dune_rng_below(r, 2) ? row->lo : row->hi;
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
    uint32_t leaves = 0;
    struct fast_vectors v;
    struct dune_rng r;

    f->walk = DUNE_FAST_WALK_PACKETS;
    for (uint32_t t = 0; t < sm->n_trees; t++)
        leaves += sm->tree[t].n_leaves;
    if (leaves < SMALL)
        return;
    dune_fast_vectors_init(&v, VECTORS, f->stride);
    dune_rng_init(&r, 1, 0xca1b, 0, 0);
    for (uint32_t i = 0; i < VECTORS; i++)
        synthetic(&r, sm, f->at, v.x + i * f->stride);
    for (int w = 0; w < DUNE_FAST_N_WALKS; w++) {
        if (!dune_fast_forest_can(f, (enum dune_fast_walk)w))
            continue;
        f->ns[w] = measure(f, (enum dune_fast_walk)w, v.x, VECTORS);
        if (f->ns[w] < f->ns[f->walk])
            f->walk = (enum dune_fast_walk)w;
    }
    dune_fast_vectors_fini(&v);
}
