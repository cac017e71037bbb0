/* SPDX-License-Identifier: (Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only) */
/*
 * Trees as arrays of 8-byte nodes and the vote of a forest (design section 4).
 *
 * One step has no branch: the sign bit of threshold - value selects the right child. A leaf compares
 * x[0] = 0 with whatever its threshold says and goes to itself, so any number of steps beyond it is
 * harmless, several trees or packets can walk in step, and its threshold can hold the payload:
 *
 *   bits 31..24  own_conf | 23..16  own | 15..8  conf | 7..0  class
 */
#ifndef DUNE_TARGETS_CORE_FOREST_H
#define DUNE_TARGETS_CORE_FOREST_H

#include "dune_core_types.h"

#define DUNE_CORE_OTHER 255u /* DUNE_PLAN_OTHER */

/* The index of a node and what it compares, as a verifier has to see them. */
#ifndef DUNE_CORE_NODE_AT
#define DUNE_CORE_NODE_AT(i) DUNE_CORE_IDX(i, DUNE_CORE_NODE_MASK)
#define DUNE_CORE_NODE_FEAT(v) DUNE_CORE_IDX((v)->feat, DUNE_CORE_X_MAX - 1)
#define DUNE_CORE_VALUE(x, feat) ((x)[feat])
#endif

DUNE_CORE_INLINE uint32_t dune_core_step(const struct dune_core_node *tree, uint32_t at, const uint32_t *x)
{
    const struct dune_core_node *v = &tree[DUNE_CORE_NODE_AT(at)];
    uint32_t value = DUNE_CORE_VALUE(x, DUNE_CORE_NODE_FEAT(v));
    uint64_t difference = (uint64_t)v->threshold - value;

    DUNE_CORE_OPAQUE(difference);
    return v->left + (uint32_t)(difference >> 63);
}

/* The class that a leaf names at shift; 0: it abstains. only: leaves of any other class do; 0: none. */
DUNE_CORE_INLINE uint32_t dune_core_named(uint32_t leaf, uint32_t shift, uint32_t only)
{
    return !only || (leaf & 0xff) == only ? leaf >> shift & 0xff : 0;
}

/* 1 where a == b, without a branch. */
DUNE_CORE_INLINE uint32_t dune_core_same(uint32_t a, uint32_t b)
{
    uint64_t difference = (uint64_t)(a ^ b) - 1;

    DUNE_CORE_OPAQUE(difference);
    return (uint32_t)(difference >> 63);
}

/*
 * The class most leaves name at shift, on a tie the tied class of the earliest leaf; the sum of its
 * weights, which lie 8 bits higher. Where a verifier reads along, n has to be a constant; leaves of 0
 * abstain.
 */
DUNE_CORE_INLINE uint32_t dune_core_count_votes(const uint32_t *leaf, uint32_t n, uint32_t shift,
                                                uint32_t only, uint32_t *conf)
{
    uint32_t best = 0, most = 0, sum = 0;

    for (uint32_t t = 0; t < DUNE_CORE_MAX_TREES && t < n; t++) {
        uint32_t cls = dune_core_named(leaf[t], shift, only), votes = 0;

        if (cls == 0 || cls == best)
            continue;
        for (uint32_t u = 0; u < DUNE_CORE_MAX_TREES && u < n; u++)
            votes += dune_core_same(dune_core_named(leaf[u], shift, only), cls);
        if (votes > most) {
            best = cls;
            most = votes;
        }
    }
    for (uint32_t t = 0; t < DUNE_CORE_MAX_TREES && t < n; t++)
        if (best && dune_core_named(leaf[t], shift, only) == best)
            sum += leaf[t] >> (shift + 8) & 0xff;
    *conf = sum > 255 ? 255 : sum;
    return best;
}

/* dune_core_count_votes for three leaves. */
DUNE_CORE_INLINE uint32_t dune_core_count_three(uint32_t l0, uint32_t l1, uint32_t l2, uint32_t shift, uint32_t only,
                                                uint32_t *conf)
{
    uint32_t a = dune_core_named(l0, shift, only), b = dune_core_named(l1, shift, only),
             c = dune_core_named(l2, shift, only), best, sum = 0;

    if (a != 0 && (b != c || b == 0 || a == b))
        best = a;
    else
        best = b != 0 ? b : c;
    sum += a == best ? l0 >> (shift + 8) & 0xff : 0;
    sum += b == best ? l1 >> (shift + 8) & 0xff : 0;
    sum += c == best ? l2 >> (shift + 8) & 0xff : 0;
    *conf = best == 0 ? 0 : sum > 255 ? 255 : sum;
    return best;
}

/* dune_core_vote for three leaves, which then need no memory; one that abstains is 0. */
DUNE_CORE_INLINE uint32_t dune_core_vote_three(uint32_t l0, uint32_t l1, uint32_t l2)
{
    uint32_t conf, cls = dune_core_count_three(l0, l1, l2, 0, 0, &conf);

    if (cls != DUNE_CORE_OTHER)
        return DUNE_CORE_ANSWER(cls, conf, cls != 0);
    cls = dune_core_count_three(l0, l1, l2, 16, DUNE_CORE_OTHER, &conf);
    return DUNE_CORE_ANSWER(cls, conf, 0);
}

/* The answer of a forest from the payloads of the leaves its trees reached. */
DUNE_CORE_INLINE uint32_t dune_core_vote(const uint32_t *leaf, uint32_t n)
{
    uint32_t cls = leaf[0] & 0xff, conf;

    if (n == 1) {
        if (cls != DUNE_CORE_OTHER)
            return DUNE_CORE_ANSWER(cls, leaf[0] >> 8 & 0xff, 1);
        cls = leaf[0] >> 16 & 0xff;
        return DUNE_CORE_ANSWER(cls, cls ? leaf[0] >> 24 : 0, 0);
    }
    cls = dune_core_count_votes(leaf, n, 0, 0, &conf);
    if (cls != DUNE_CORE_OTHER)
        return DUNE_CORE_ANSWER(cls, conf, cls != 0);
    cls = dune_core_count_votes(leaf, n, 16, DUNE_CORE_OTHER, &conf);
    return DUNE_CORE_ANSWER(cls, conf, 0);
}

#endif
