/* SPDX-License-Identifier: Apache-2.0 */
/* Whole plans around random forests. */
#ifndef DUNE_TEST_RANDOM_PLAN_H
#define DUNE_TEST_RANDOM_PLAN_H

#include "random_forest.h"

static const uint8_t plan_test_feat[] = {DUNE_F_IP_LEN,  DUNE_F_IP_TTL,  DUNE_F_TCP_HDR_LEN,
                                         DUNE_F_TCP_SYN, DUNE_F_LEN_MAX, DUNE_F_GAP_MAX,
                                         DUNE_F_LEN_2};

static void add_devices(struct dune_plan *p, uint32_t n)
{
    p->n_devices = n;
    p->device = DUNE_NEW_N(struct dune_plan_device, n);
    for (uint32_t i = 0; i < n; i++) {
        p->device[i].name = dune_mem_printf("s%u", i + 1);
        p->device[i].profile = dune_mem_strdup("engine");
    }
}

static void add_classes(struct dune_plan *p, uint32_t n)
{
    p->n_classes = n;
    p->cls = DUNE_NEW_N(struct dune_plan_class, n);
    for (uint32_t i = 0; i < n; i++)
        p->cls[i].name = dune_mem_printf("class %c", 'a' + (int)i);
}

static void add_submodel(struct dune_plan *p, struct dune_rng *r, uint32_t s, uint32_t trees,
                         uint32_t leaves)
{
    struct forest_shape shape = {trees,          leaves, 4, DUNE_ARRAY_LEN(plan_test_feat),
                                 plan_test_feat, 20};
    struct dune_submodel *sm = &p->sub[s];
    struct dune_forest f;
    struct dune_diag d = {0};
    uint8_t to_plan[4];

    other_last(to_plan, 4, (uint8_t)(1 + 3 * s));
    random_forest(r, &f, &shape);
    assert_ok(dune_submodel_from_forest(sm, &f, trees, 0, to_plan, &d), d);
    random_forest_fini(&f);
    sm->id = (uint8_t)(10 + s);
    sm->n = (uint8_t)(2 + s);
    sm->n_classes = 3;
    sm->cls = dune_mem_alloc(3, 1);
    memcpy(sm->cls, to_plan, 3);
    sm->device = (uint16_t)s;
}

/* n_sub sub-models of three classes each on as many devices. */
static struct dune_plan *random_plan(uint64_t seed, uint32_t n_sub, uint32_t trees, uint32_t leaves)
{
    struct dune_plan *p = dune_plan_new();
    struct dune_rng r;

    dune_rng_init(&r, seed, 77, 0, 0);
    add_devices(p, n_sub);
    add_classes(p, 3 * n_sub);
    p->n_submodels = n_sub;
    p->sub = DUNE_NEW_N(struct dune_submodel, n_sub);
    for (uint32_t s = 0; s < n_sub; s++)
        add_submodel(p, &r, s, trees, leaves);
    return p;
}

#endif
