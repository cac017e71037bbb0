/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The best single device: settings by coordinate descent, its features by elimination, by addition and by
 * exchange. The tuned baselines are found by the same search, each with what defines it kept.
 */
#include <string.h>

#include "base/base.h"
#include "dune/solution.h"
#include "planner/planner_int.h"

enum { MAX_RESTARTS = 64 };

const struct dune_monolith dune_monolith_any = {
    NULL, "all", 2, {DUNE_MODE_RUNNING, DUNE_MODE_PUBLISHED}, 8, true, true};

struct tuning {
    const struct dune_monolith *m;
    struct dune_search *s;
    struct dune_chain_spec best;
    double score;
};

enum knob { KNOB_N, KNOB_BALANCE, KNOB_MIN_LEAF, KNOB_MODE, KNOB_TREES, KNOB_SPARE, KNOB_SELECT, N_KNOBS };

static unsigned n_values(const struct tuning *t, enum knob k)
{
    uint32_t leaves = t->s->budget[0].leaves_sum;

    switch (k) {
    case KNOB_N:
        return t->m->by_n ? dune_n_points(t->s->space->max_n) : 0;
    case KNOB_BALANCE:
        return 5;
    case KNOB_MIN_LEAF:
        return 3;
    case KNOB_MODE:
        return t->m->n_modes;
    case KNOB_TREES:
        return t->m->many_trees && (!leaves || leaves >= 6) ? 2 : 0;
    case KNOB_SPARE:
        return leaves ? 3 : 0;
    default:
        return 2;
    }
}

static void set_knob(const struct tuning *t, struct dune_fit_cfg *c, enum knob k, unsigned i)
{
    static const double min_leaf[] = {0, 1, 3};
    static const uint32_t trees[] = {1, 3};

    switch (k) {
    case KNOB_N:
        c->n = dune_inference_points[i];
        break;
    case KNOB_BALANCE:
        c->balance = 0.25 * i;
        break;
    case KNOB_MIN_LEAF:
        c->min_leaf = min_leaf[i];
        break;
    case KNOB_MODE:
        c->mode = t->m->mode[i];
        break;
    case KNOB_TREES:
        c->n_trees = trees[i];
        c->max_leaves = t->s->budget[0].leaves_sum / trees[i];
        break;
    case KNOB_SPARE:
        c->spare = 0.25 * i;
        break;
    default:
        c->select = i ? DUNE_SELECT_WRAP : DUNE_SELECT_RFE;
        break;
    }
}

static int try_cfg(struct tuning *t, const struct dune_fit_cfg *cfg, struct dune_chain_spec *spec,
                   double *score, struct dune_diag *d)
{
    struct dune_chain_spec next = *spec;

    next.cfg[0] = *cfg;
    return dune_search_try(t->s, &next, 1e-9, spec, score, d);
}

static void keep(struct tuning *t, const struct dune_chain_spec *spec, double score)
{
    if (score > t->score) {
        t->best = *spec;
        t->score = score;
    }
}

/* One knob after the other until a round gains nothing. */
static int descend(struct tuning *t, struct dune_chain_spec *spec, double *score, struct dune_diag *d)
{
    bool given = (uint32_t)__builtin_popcountll(spec->cfg[0].features) <= spec->cfg[0].max_features;
    double before;
    int rc = 0;

    do {
        before = *score;
        for (unsigned k = 0; rc == 0 && k < N_KNOBS; k++)
            for (unsigned i = 0; rc == 0 && i < n_values(t, k) && !dune_search_exhausted(t->s); i++) {
                struct dune_fit_cfg c = spec->cfg[0];

                if (k == KNOB_SELECT && given)
                    break; /* nothing is left to select */
                set_knob(t, &c, k, i);
                rc = try_cfg(t, &c, spec, score, d);
            }
    } while (rc == 0 && *score > before && !dune_search_exhausted(t->s));
    keep(t, spec, *score);
    return rc;
}

static int forward(struct tuning *t, struct dune_chain_spec *spec, double *score, struct dune_diag *d)
{
    int rc = dune_forward_select(t->s, t->s->candidates, spec, score, d);

    keep(t, spec, *score);
    return rc;
}

/* From drawn settings on, as long as evaluations are left. */
static int restart(struct tuning *t, uint64_t round, struct dune_diag *d)
{
    struct dune_chain_spec spec = t->best;
    struct dune_rng rng;
    double score = -1;
    int rc;

    dune_rng_init(&rng, t->s->cfg->seed, UINT64_C(0x74756e6564), round, 0);
    spec.cfg[0].features = t->s->candidates;
    for (unsigned k = 0; k < N_KNOBS; k++)
        if (n_values(t, k))
            set_knob(t, &spec.cfg[0], k, (unsigned)dune_rng_below(&rng, n_values(t, k)));
    rc = round & 1 ? forward(t, &spec, &score, d) : try_cfg(t, &spec.cfg[0], &spec, &score, d);
    return rc ? rc : descend(t, &spec, &score, d);
}

static int from_drawn(struct tuning *t, struct dune_variants *out, struct dune_diag *d)
{
    double had = t->score;
    int rc = 0;

    for (uint64_t r = 0; rc == 0 && r < MAX_RESTARTS && !dune_search_exhausted(t->s); r++)
        rc = restart(t, r, d);
    return rc || t->score <= had ? rc : dune_variants_add(t->s, out, "drawn settings", &t->best, t->score, d);
}

static struct dune_chain_spec start_spec(const struct tuning *t)
{
    struct dune_fit_cfg cfg = dune_search_base_cfg(t->s);
    struct dune_chain_spec spec;

    cfg.n = t->m->by_n ? cfg.n : 1;
    cfg.mode = t->m->mode[0];
    dune_search_init_spec(t->s, &spec, 1, &cfg);
    for (unsigned i = 0; i < t->s->n_cls; i++)
        dune_class_set_flip(&spec.block[0], t->s->cls[i]);
    return spec;
}

/* By addition: the settings that elimination found, then once more around what it led to. */
static int by_addition(struct tuning *t, const struct dune_chain_spec *from, struct dune_variants *out,
                       struct dune_diag *d)
{
    struct dune_chain_spec spec = *from;
    double score = -1;
    int rc = forward(t, &spec, &score, d);

    if (rc == 0)
        rc = descend(t, &spec, &score, d);
    return rc ? rc : dune_variants_add(t->s, out, "addition", &spec, score, d);
}

int dune_plan_one(struct dune_search *s, const struct dune_monolith *m, dune_feature_mask candidates,
                  bool restarts, struct dune_variants *out, struct dune_diag *d)
{
    struct tuning t = {.m = m, .s = s, .score = -1};
    struct dune_chain_spec spec;
    double score = -1;
    int rc;

    memset(out, 0, sizeof(*out));
    s->candidates = candidates;
    spec = start_spec(&t);
    rc = try_cfg(&t, &spec.cfg[0], &spec, &score, d);
    if (rc == 0)
        rc = descend(&t, &spec, &score, d);
    if (rc == 0)
        rc = dune_variants_add(s, out, "elimination", &spec, score, d);
    if (rc == 0 && !dune_search_exhausted(s) && spec.cfg[0].max_features)
        rc = by_addition(&t, &spec, out, d);
    if (rc == 0 && !dune_search_exhausted(s) && spec.cfg[0].max_features)
        rc = dune_variants_add_exchanged(s, out, 3, d);
    if (rc == 0 && !dune_search_exhausted(s))
        rc = dune_variants_add_shrunk(s, out, d);
    if (rc == 0 && !dune_search_exhausted(s))
        rc = dune_variants_add_distilled(s, out, d);
    return rc || !restarts ? rc : from_drawn(&t, out, d);
}
