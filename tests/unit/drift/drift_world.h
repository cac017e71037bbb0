/* SPDX-License-Identifier: Apache-2.0 */
/* A plan and the traffic that it knows; another seed moves the traffic. */
#ifndef DUNE_TEST_DRIFT_WORLD_H
#define DUNE_TEST_DRIFT_WORLD_H

#include "../planner/signal_dataset.h"
#include "dune/submodels.h"
#include "testing.h"

enum { DRIFT_CLASSES = 4 };

static inline struct dune_plan *drift_plan(const struct dune_dataset *ds)
{
    struct dune_fit_cfg c = {.n = 3, .mode = DUNE_MODE_RUNNING, .n_trees = 1, .max_leaves = 40, .seed = 1};
    const struct dune_chain_rule rule = {.claim = DUNE_CLAIM_BEST, .early_exit = 256};
    const struct dune_budget none = {0};
    struct dune_space *s;
    struct dune_fit *fit;
    struct dune_plan *p;
    uint8_t id = 7, member[DRIFT_CLASSES] = {1, 1, 1, 1};
    struct dune_diag d = {0};

    assert_ok(dune_feature_set_parse("ip.len,tcp.window,ip.ttl,len.max", 3, &c.features, &d), d);
    assert_ok(dune_space_new(&s, ds, DUNE_SPLIT_TRAIN, NULL, 3, 1, &d), d);
    assert_ok(dune_space_prepare(s, 3, DUNE_MODE_RUNNING, &d), d);
    assert_ok(dune_fit_train(&fit, s, &c, member, NULL, &d), d);
    assert_ok(dune_plan_from_fits(&p, s, &fit, &id, 1, 1, &rule, &none, "engine", &d), d);
    assert_ok(dune_plan_verify(p, &d), d);
    dune_fit_free(fit);
    dune_space_free(s);
    return p;
}

static inline struct dune_dataset *drift_data(uint64_t seed, uint64_t flows)
{
    const struct signal_shape shape = {.classes = DRIFT_CLASSES, .captures = 8, .flows = flows, .noise = 20, .seed = seed};

    return signal_dataset(&shape);
}

#endif
