/* SPDX-License-Identifier: Apache-2.0 */
/* Sub-models of a given size: as many bits and rows as a device may hold. */
#ifndef DUNE_TESTS_CHAIN_MODEL_H
#define DUNE_TESTS_CHAIN_MODEL_H

#include "base/base.h"
#include "dune/plan.h"
#include "testing.h"

/* A sub-model with cuts bits spread over its features: a chain of splits. */
static inline void chain_submodel(struct dune_submodel *sm, const uint8_t *feat, uint32_t n_feats,
                           uint32_t trees, uint32_t leaves)
{
    uint32_t n = 2 * leaves - 1;
    struct dune_tree tree[3];
    struct dune_forest f = {.n_trees = trees,
                            .n_feats = n_feats,
                            .n_classes = 2,
                            .feat = (uint8_t *)(uintptr_t)feat,
                            .tree = tree};
    const uint8_t to_plan[] = {1, DUNE_PLAN_OTHER};
    struct dune_diag d = {0};

    for (uint32_t t = 0; t < trees; t++) {
        uint32_t at = 0;

        tree[t].n_nodes = n;
        tree[t].node = DUNE_NEW_N(struct dune_node, n);
        tree[t].hist = DUNE_NEW_N(uint64_t, 2 * n);
        for (uint32_t i = 0; i < n; i++) {
            tree[t].node[i].feat = -1;
            tree[t].hist[2 * i + i % 2] = 1;
        }
        for (uint32_t k = 0; k + 1 < leaves; k++) {
            uint32_t step = dune_feature_max(feat[k % n_feats]) / (leaves / n_feats + 2);

            tree[t].node[at] = (struct dune_node){
                (int32_t)(k % n_feats), step * (k / n_feats + 1) + 3 * t, 2 * k + 1, 2 * k + 2, 0};
            at = 2 * k + 2;
        }
    }
    assert_ok(dune_submodel_from_forest(sm, &f, trees, 0, to_plan, &d), d);
    for (uint32_t t = 0; t < trees; t++) {
        dune_mem_free(tree[t].node);
        dune_mem_free(tree[t].hist);
    }
}

static const uint8_t tight_feat[] = {DUNE_F_LEN_MIN,   DUNE_F_LEN_MAX, DUNE_F_LEN_TOTAL,
                                     DUNE_F_ACK_COUNT, DUNE_F_GAP_MAX, DUNE_F_DSTPORT};
static const uint8_t loose_feat[] = {
    DUNE_F_LEN_MIN, DUNE_F_LEN_MAX, DUNE_F_LEN_TOTAL, DUNE_F_ACK_COUNT,  DUNE_F_GAP_MAX,
    DUNE_F_DSTPORT, DUNE_F_SRCPORT, DUNE_F_IP_LEN,    DUNE_F_TCP_WINDOW, DUNE_F_UDP_LENGTH};

#endif
