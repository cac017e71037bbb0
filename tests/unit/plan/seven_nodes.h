/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan of tests/golden/plan/: one tree of seven nodes.
 *
 *                 ip.len <= 100
 *               /               \
 *        ip.ttl <= 64        len.max <= 1200
 *        /         \          /            \
 *     camera      Other    Other          lock
 *    (6 : 0 : 2)  (1:0:3)  (0:0:4)       (0:5:0)      weights of camera : lock : Other
 */
#ifndef DUNE_TEST_SEVEN_NODES_H
#define DUNE_TEST_SEVEN_NODES_H

#include "random_plan.h"

static struct dune_plan *seven_nodes(void)
{
    struct dune_node node[] = {
        {0, 100, 1, 2, UINT32_MAX}, {1, 64, 3, 4, 0}, {2, 1200, 5, 6, 0}, {-1, 0, 0, 0, 1},
        {-1, 0, 0, 0, 1},           {-1, 0, 0, 0, 2}, {-1, 0, 0, 0, 2}};
    uint64_t hist[7 * 3] = {7, 5, 9, 7, 0, 5, 0, 5, 4, 6, 0, 2, 1, 0, 3, 0, 0, 4, 0, 5, 0};
    uint8_t feat[] = {DUNE_F_IP_LEN, DUNE_F_IP_TTL, DUNE_F_LEN_MAX};
    struct dune_tree tree = {7, node, hist};
    struct dune_forest f = {
        .n_trees = 1, .n_feats = 3, .n_classes = 3, .feat = feat, .tree = &tree};
    const uint8_t to_plan[] = {1, 2, DUNE_PLAN_OTHER};
    struct dune_plan *p = dune_plan_new();
    struct dune_diag d = {0};

    add_devices(p, 1);
    p->device[0].budget = (struct dune_budget){129, 6};
    p->n_classes = 2;
    p->cls = DUNE_NEW_N(struct dune_plan_class, 2);
    p->cls[0].name = dune_mem_strdup("camera");
    p->cls[1].name = dune_mem_strdup("lock");
    p->n_submodels = 1;
    p->sub = DUNE_NEW(struct dune_submodel);
    assert_ok(dune_submodel_from_forest(p->sub, &f, 1, 0, to_plan, &d), d);
    p->sub->id = 1;
    p->sub->n = 3;
    p->sub->n_classes = 2;
    p->sub->cls = dune_mem_alloc(2, 1);
    memcpy(p->sub->cls, to_plan, 2);
    return p;
}

#endif
