/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The forest in blocks of one cache line: up to seven nodes of a tree that hang together. All of them are
 * compared at once, eight lanes of AVX2, and the bits of the comparison say by which of up to eight exits
 * a walk leaves the block (a table per shape of block):
 *
 *   block: 7 thresholds | 7 features | 8 exits | shape
 *   x[features] > thresholds -> bits -> shape[bits] -> exit -> next block, or a leaf
 *
 * A walk takes three to five blocks where it takes a dozen nodes; eight packets walk in step.
 */
#include "targets/fast/fast_int.h"

#include <stdlib.h>
#include <string.h>

enum { NODES = 7, EXITS = 8, MASKS = 1 << NODES, LEAF = 0x8000, LANES = 8,
       UNIT = 8 /* a block is so many words, and addresses come with a factor of 8 */ };

struct block {
    int32_t threshold[8]; /* less 2^31, so that they compare signed; unused: never exceeded */
    uint8_t feat[8];      /* entry of the vector, less 1 */
    uint16_t exit[EXITS]; /* UNIT times the number of a block, or LEAF + that of a leaf */
    uint32_t shape;       /* offset in the table */
    uint32_t unused;
};
_Static_assert(sizeof(struct block) == 64, "one line");

struct fast_wide {
    struct block *block;
    uint8_t *shape;
    uint32_t *payload;
    uint32_t n_blocks, n_shapes, n_leaves;
    bool two; /* vectors have more than 8 entries */
    uint16_t root[DUNE_MAX_TREES];
    uint32_t depth[DUNE_MAX_TREES]; /* blocks of the longest walk */
    uint32_t sure[DUNE_MAX_TREES];  /* and of the shortest */
};

/* --- making it -------------------------------------------------------------------------------------------- */

struct maker {
    struct fast_wide *w;
    const struct dune_plan_tree *tr;
    const uint8_t *at;
    uint32_t *leaves; /* below each node */
    uint32_t *queue;  /* roots of blocks, in order of their numbers */
    uint32_t *level;  /* of those blocks, from 1 */
    uint32_t n_queue, first, leaf0, shortest;
};

/* Preorder: children have larger numbers than their parent. */
static void count_leaves(struct maker *k)
{
    for (uint32_t i = k->tr->n_nodes; i-- > 0;) {
        const struct dune_node *v = &k->tr->node[i];

        k->leaves[i] = v->feat < 0 ? 1 : k->leaves[v->left] + k->leaves[v->right];
    }
}

/* The nodes below root that most leaves hang on; returns how many. */
static uint32_t choose(const struct maker *k, uint32_t root, uint32_t node[NODES])
{
    uint32_t n = 0, edge[NODES + 1], n_edge = 1;

    edge[0] = root;
    while (n < NODES && n_edge) {
        uint32_t best = 0;
        const struct dune_node *v;

        for (uint32_t i = 1; i < n_edge; i++)
            if (k->leaves[edge[i]] > k->leaves[edge[best]])
                best = i;
        node[n++] = edge[best];
        v = &k->tr->node[edge[best]];
        edge[best] = edge[--n_edge];
        if (k->tr->node[v->left].feat >= 0)
            edge[n_edge++] = v->left;
        if (k->tr->node[v->right].feat >= 0)
            edge[n_edge++] = v->right;
    }
    return n;
}

static int place_of(const uint32_t *node, uint32_t n, uint32_t which)
{
    for (uint32_t i = 0; i < n; i++)
        if (node[i] == which)
            return (int)i;
    return -1;
}

/* Follows the bits through the block; the node behind the exit. */
static uint32_t leave(const struct maker *k, const uint32_t *node, uint32_t n, uint32_t bits)
{
    uint32_t at = node[0];
    int i;

    while ((i = place_of(node, n, at)) >= 0)
        at = bits >> i & 1 ? k->tr->node[at].right : k->tr->node[at].left;
    return at;
}

static uint32_t keep_shape(struct fast_wide *w, const uint8_t row[MASKS])
{
    for (uint32_t s = 0; s < w->n_shapes; s++)
        if (memcmp(w->shape + (size_t)s * MASKS, row, MASKS) == 0)
            return s * MASKS;
    w->shape = dune_mem_realloc(w->shape, w->n_shapes + 1, MASKS);
    memcpy(w->shape + (size_t)w->n_shapes * MASKS, row, MASKS);
    return w->n_shapes++ * MASKS;
}

static uint16_t exit_to(struct maker *k, uint32_t node, uint32_t level)
{
    const struct dune_node *v = &k->tr->node[node];

    if (v->feat < 0)
        return (uint16_t)(LEAF + k->leaf0 + v->left);
    k->level[k->n_queue] = level;
    k->queue[k->n_queue++] = node;
    return (uint16_t)(UNIT * (k->first + k->n_queue - 1));
}

static void make_block(struct maker *k, uint32_t root, uint32_t level)
{
    struct block *b = &k->w->block[k->w->n_blocks++];
    uint32_t node[NODES], behind[EXITS], n = choose(k, root, node), n_exits = 0;
    uint8_t row[MASKS];

    memset(b, 0, sizeof(*b));
    for (uint32_t i = 0; i < EXITS; i++) {
        const struct dune_node *v = i < n ? &k->tr->node[node[i]] : NULL;

        b->threshold[i] = v ? (int32_t)(v->threshold ^ UINT32_C(0x80000000)) : INT32_MAX;
        b->feat[i] = v ? (uint8_t)(k->at[v->feat] - 1) : 0;
    }
    for (uint32_t bits = 0; bits < MASKS; bits++) {
        uint32_t to = leave(k, node, n, bits);
        int e = place_of(behind, n_exits, to);

        if (e < 0) {
            e = (int)n_exits;
            behind[n_exits++] = to;
        }
        row[bits] = (uint8_t)e;
    }
    b->shape = keep_shape(k->w, row);
    for (uint32_t e = 0; e < n_exits; e++) {
        if (k->tr->node[behind[e]].feat < 0)
            k->shortest = DUNE_MIN(k->shortest, level);
        b->exit[e] = exit_to(k, behind[e], level + 1);
    }
}

static void make_tree(struct fast_wide *w, const struct dune_submodel *sm, uint32_t t, const uint8_t *at)
{
    const struct dune_plan_tree *tr = &sm->tree[t];
    struct maker k = {.w = w, .tr = tr, .at = at, .first = w->n_blocks, .shortest = UINT32_MAX, .leaf0 = w->n_leaves,
                      .leaves = DUNE_NEW_N(uint32_t, tr->n_nodes), .queue = DUNE_NEW_N(uint32_t, tr->n_nodes), .level = DUNE_NEW_N(uint32_t, tr->n_nodes)};

    for (uint32_t i = 0; i < tr->n_leaves; i++) {
        const struct dune_plan_leaf *l = &tr->leaf[i];

        w->payload[w->n_leaves + i] = l->cls | (uint32_t)l->conf << 8 | (uint32_t)l->own << 16 | (uint32_t)l->own_conf << 24;
    }
    count_leaves(&k);
    w->root[t] = exit_to(&k, 0, 1);
    for (uint32_t i = 0; i < k.n_queue; i++) {
        make_block(&k, k.queue[i], k.level[i]);
        w->depth[t] = k.level[i]; /* in order of the levels */
    }
    w->sure[t] = k.n_queue ? k.shortest : 0;
    w->n_leaves += tr->n_leaves;
    dune_mem_free(k.leaves);
    dune_mem_free(k.queue);
    dune_mem_free(k.level);
}

static struct block *new_blocks(size_t n)
{
    struct block *b = aligned_alloc(sizeof(*b), n * sizeof(*b));

    return b ? b : dune_mem_alloc(SIZE_MAX, 1); /* stops with the message of all allocations */
}

/* at: entry of the vector of every feature of the sub-model. NULL: too large, or no AVX2. */
struct fast_wide *dune_fast_wide_new(const struct dune_submodel *sm, const uint8_t *at)
{
    struct fast_wide *w;
    uint32_t leaves = 0, nodes = 0, most = 0;

    for (uint32_t t = 0; t < sm->n_trees; t++) {
        leaves += sm->tree[t].n_leaves;
        nodes += sm->tree[t].n_nodes;
    }
    for (uint32_t j = 0; j < sm->n_feats; j++)
        most = DUNE_MAX(most, at[j]);
    if (!dune_fast_has_avx2() || leaves >= LEAF / UNIT || most > 15)
        return NULL;
    w = DUNE_NEW(struct fast_wide);
    w->two = most > 8;
    w->block = new_blocks(nodes / 2 + 1);
    w->payload = DUNE_NEW_N(uint32_t, leaves + 1);
    for (uint32_t t = 0; t < sm->n_trees; t++)
        make_tree(w, sm, t, at);
    return w;
}

void dune_fast_wide_free(struct fast_wide *w)
{
    if (!w)
        return;
    free(w->block);
    dune_mem_free(w->shape);
    dune_mem_free(w->payload);
    dune_mem_free(w);
}

/* --- asking it -------------------------------------------------------------------------------------------- */

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

/* By which exit a vector leaves a block. */
AVX2 static inline int32_t leave_block(const struct block *b, const uint8_t *shape, const uint32_t *x, const bool two)
{
    const __m256i bias = _mm256_set1_epi32(INT32_MIN);
    __m256i idx = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)b->feat));
    __m256i v = _mm256_permutevar8x32_epi32(_mm256_loadu_si256((const __m256i *)(const void *)(x + 1)), idx), above;

    if (two) { /* lane 8 and above: bit 3 of the index becomes the sign */
        __m256i hi = _mm256_permutevar8x32_epi32(_mm256_loadu_si256((const __m256i *)(const void *)(x + 9)), idx);

        v = _mm256_castps_si256(_mm256_blendv_ps(_mm256_castsi256_ps(v), _mm256_castsi256_ps(hi),
                                                 _mm256_castsi256_ps(_mm256_slli_epi32(idx, 28))));
    }
    above = _mm256_cmpgt_epi32(_mm256_xor_si256(v, bias), _mm256_load_si256((const __m256i *)(const void *)b->threshold));
    return (int16_t)b->exit[shape[b->shape + (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(above))]];
}

/* Two conditional moves that a compiler would make branches of, which nobody could foresee. */
static inline int32_t zero_if_negative(int32_t v)
{
    int32_t zero = 0;

    __asm__("test %0, %0\n\tcmovs %1, %0" : "+r"(v) : "r"(zero) : "cc");
    return v;
}
static inline int32_t keep_if_negative(int32_t v, int32_t other)
{
    __asm__("test %0, %0\n\tcmovns %1, %0" : "+r"(v) : "r"(other) : "cc");
    return v;
}

#define BLOCK(at) ((const struct block *)(const void *)(block + (uint32_t)(at)))

/* Some vectors down one tree, in step, as many steps as its longest walk takes. Those that are at a leaf (negative)
 * go through block 0 and stay where they are. */
AVX2 static inline void walk_some(const struct fast_wide *w, uint32_t t, const uint32_t *x, const uint32_t stride,
                                  const uint32_t lanes, const bool two, uint32_t *leaf, uint32_t leaf_step)
{
    const uint64_t *block = (const uint64_t *)(const void *)w->block;
    const uint8_t *shape = w->shape;
    int32_t at[LANES];
    uint32_t d = 0;

#pragma GCC unroll 8
    for (uint32_t i = 0; i < lanes; i++)
        at[i] = (int16_t)w->root[t];
    for (; d < w->sure[t]; d++) {
        __asm__("" : "+r"(x)); /* vectors stay in memory: there are too few registers to hold them */
#pragma GCC unroll 8
        for (uint32_t i = 0; i < lanes; i++)
            at[i] = leave_block(BLOCK(at[i]), shape, x + i * stride, two);
    }
    for (; d < w->depth[t]; d++) {
        __asm__("" : "+r"(x));
#pragma GCC unroll 8
        for (uint32_t i = 0; i < lanes; i++)
            at[i] = keep_if_negative(at[i], leave_block(BLOCK(zero_if_negative(at[i])), shape, x + i * stride, two));
    }
#pragma GCC unroll 8
    for (uint32_t i = 0; i < lanes; i++)
        leaf[i * leaf_step] = w->payload[at[i] & (LEAF - 1)];
}

AVX2 static inline void walk_tree(const struct fast_wide *w, uint32_t t, const uint32_t *x, const uint32_t stride,
                                  uint32_t n, const bool two, uint32_t *leaf, uint32_t leaf_step)
{
    uint32_t i = 0;

    for (; i + LANES <= n; i += LANES)
        walk_some(w, t, x + i * stride, stride, LANES, two, leaf + i * leaf_step, leaf_step);
    if (n & 4)
        walk_some(w, t, x + i * stride, stride, 4, two, leaf + i * leaf_step, leaf_step), i += 4;
    if (n & 2)
        walk_some(w, t, x + i * stride, stride, 2, two, leaf + i * leaf_step, leaf_step), i += 2;
    if (n & 1)
        walk_some(w, t, x + i * stride, stride, 1, two, leaf + i * leaf_step, leaf_step);
}

AVX2 void dune_fast_wide_ask(const struct fast_wide *w, const uint32_t *x, uint32_t stride, uint32_t n, uint32_t *leaf,
                             uint32_t n_trees, uint32_t tree_step, uint32_t leaf_step)
{
    for (uint32_t t = 0; t < n_trees; t++)
        if (stride != 16)
            walk_tree(w, t, x, DUNE_CORE_X_MAX, n, true, leaf + t * tree_step, leaf_step);
        else if (w->two)
            walk_tree(w, t, x, 16, n, true, leaf + t * tree_step, leaf_step);
        else
            walk_tree(w, t, x, 16, n, false, leaf + t * tree_step, leaf_step);
}
#else
void dune_fast_wide_ask(const struct fast_wide *w, const uint32_t *x, uint32_t stride, uint32_t n, uint32_t *leaf,
                        uint32_t n_trees, uint32_t tree_step, uint32_t leaf_step)
{
    (void)w, (void)x, (void)stride, (void)n, (void)leaf, (void)n_trees; /* there is none to ask */
    (void)tree_step, (void)leaf_step;
}
#endif
