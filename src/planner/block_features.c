/* SPDX-License-Identifier: Apache-2.0 */
/* Features of sub-models: by addition, by regrowing, by exchange. */
#include "base/base.h"
#include "planner/planner_int.h"

enum { FORWARD_UNLIMITED = 12 };

static int try_features(struct dune_search *s, dune_feature_mask mask, struct dune_chain_spec *spec, double *score,
                        struct dune_diag *d)
{
    struct dune_chain_spec next = *spec;

    next.cfg[0].features = mask;
    next.cfg[0].select = DUNE_SELECT_RFE;
    return dune_search_try(s, &next, 1e-9, spec, score, d);
}

int dune_forward_select(struct dune_search *s, dune_feature_mask candidates, struct dune_chain_spec *spec,
                        double *score, struct dune_diag *d)
{
    unsigned limit = s->budget[0].features_distinct ? s->budget[0].features_distinct : FORWARD_UNLIMITED;
    dune_feature_mask have = 0;
    int rc = 0;

    *score = -1;
    for (unsigned k = 0; rc == 0 && k < limit && !dune_search_exhausted(s); k++) {
        double before = *score;

        for (int j = 0; rc == 0 && j < DUNE_N_FEATURES && !dune_search_exhausted(s); j++)
            if ((candidates & ~have) >> j & 1 && dune_catalog[j].kth <= spec->cfg[0].n)
                rc = try_features(s, have | UINT64_C(1) << j, spec, score, d);
        have = spec->cfg[0].features;
        if (*score <= before)
            break;
    }
    return rc;
}

/* The last features of every block are chosen by regrowing without each of them: dearer and better than
 * by impurity alone, so it comes after the blocks and settings are found. */
int dune_refine_features(struct dune_search *s, struct dune_chain_spec *spec, double *score, struct dune_diag *d)
{
    struct dune_chain_spec next = *spec;

    if (dune_search_late(s))
        return 0;
    for (unsigned b = 0; b < next.n_blocks; b++)
        next.cfg[b].select = DUNE_SELECT_WRAP;
    return dune_search_try(s, &next, 0, spec, score, d);
}

/* The best of the chains in which block b has `mask` and one feature of `from` more, or less (add: false). */
static int best_change(struct dune_search *s, const struct dune_chain_spec *spec, unsigned b, dune_feature_mask mask,
                       dune_feature_mask from, bool add, dune_feature_mask *best, double *score,
                       struct dune_diag *d)
{
    int rc = 0;

    *score = -1;
    for (int j = 0; rc == 0 && j < DUNE_N_FEATURES && !dune_search_exhausted(s); j++) {
        struct dune_chain_spec next = *spec;
        struct dune_f1 f1;

        if (!(from >> j & 1) || dune_catalog[j].kth > spec->cfg[b].n)
            continue;
        next.cfg[b].features = add ? mask | UINT64_C(1) << j : mask & ~(UINT64_C(1) << j);
        rc = dune_search_score(s, &next, &f1, d);
        if (rc == 0 && f1.macro > *score) {
            *best = next.cfg[b].features;
            *score = f1.macro;
        }
    }
    return rc;
}

/* The feature that is missed least goes and the one that helps most comes. */
static int exchange_one(struct dune_search *s, struct dune_chain_spec *spec, unsigned b, double *score,
                        struct dune_diag *d)
{
    struct dune_fit_cfg *c = &spec->cfg[b];
    dune_feature_mask all = s->candidates, had = c->features, fewer = had, more = had;
    bool full = (uint32_t)__builtin_popcountll(had) >= c->max_features;
    double without = -1, with = -1;
    int rc = 0;

    if (full && (had & (had - 1)))
        rc = best_change(s, spec, b, had, had, false, &fewer, &without, d);
    if (rc == 0)
        rc = best_change(s, spec, b, fewer, all & ~had, true, &more, &with, d);
    if (rc == 0 && DUNE_MAX(with, without) > *score + 1e-9) {
        c->features = with >= without ? more : fewer;
        *score = DUNE_MAX(with, without);
    }
    return rc;
}

int dune_exchange_features(struct dune_search *s, struct dune_chain_spec *spec, double *score, unsigned rounds,
                           struct dune_diag *d)
{
    int rc = 0;

    for (unsigned b = 0; rc == 0 && b < spec->n_blocks; b++) {
        for (unsigned r = 0; rc == 0 && r < rounds && spec->cfg[b].max_features; r++) {
            double before = *score;

            rc = exchange_one(s, spec, b, score, d);
            if (*score <= before)
                break;
        }
    }
    return rc;
}
