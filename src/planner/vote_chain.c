/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rival use of the same devices as a candidate: one tree over all classes per device, grown on
 * bootstrapped rows, some of them on a random half of the features; confidences are summed on the way.
 */
#include <string.h>

#include "base/base.h"
#include "planner/planner_int.h"

/* A random half of the features for tree t; the first tree sees all. */
static dune_feature_mask half_of(dune_feature_mask all, uint64_t seed, unsigned t)
{
    dune_feature_mask m = 0;
    struct dune_rng rng;

    if (t == 0)
        return all;
    dune_rng_init(&rng, seed, UINT64_C(0x766f746573), t, 0);
    for (int j = 0; j < DUNE_N_FEATURES; j++)
        if (all >> j & 1 && dune_rng_below(&rng, 2))
            m |= UINT64_C(1) << j;
    return m ? m : all;
}

static void vote_spec(const struct dune_search *s, const struct dune_chain_spec *one, unsigned k,
                      bool halves, struct dune_chain_spec *spec)
{
    dune_search_init_spec(s, spec, k, &one->cfg[0]);
    spec->rule = (struct dune_chain_rule){.claim = DUNE_CLAIM_VOTES, .early_exit = 256};
    for (unsigned t = 0; t < k; t++) {
        struct dune_fit_cfg *c = &spec->cfg[t];

        spec->block[t] = one->block[0];
        c->bootstrap = true;
        c->seed = dune_mix64(s->cfg->seed, t);
        if (halves)
            c->features = half_of(c->features, s->cfg->seed, t);
    }
}

int dune_plan_votes(struct dune_search *s, const struct dune_chain_spec *one, unsigned k,
                    struct dune_chain_spec *best, double *score, struct dune_diag *d)
{
    static const double balance[] = {0, 0.5};

    *score = -1;
    for (unsigned i = 0; i < 4; i++) {
        struct dune_chain_spec spec;
        struct dune_f1 f1;
        int rc;

        vote_spec(s, one, k, i & 1, &spec);
        for (unsigned t = 0; t < k; t++)
            spec.cfg[t].balance = balance[i >> 1];
        rc = dune_search_score(s, &spec, &f1, d);
        if (rc)
            return rc;
        if (f1.macro > *score) {
            *best = spec;
            *score = f1.macro;
        }
    }
    return 0;
}
