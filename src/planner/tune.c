/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of sub-models by coordinate descent on cross-validated chained F1. */
#include "base/base.h"
#include "planner/planner_int.h"

struct knob {
    const char *name;
    unsigned n_values;
    double value[8];
};

const unsigned dune_inference_points[DUNE_N_POINTS] = {2, 3, 4, 6, 8};

unsigned dune_n_points(unsigned max_n)
{
    unsigned n = 0;

    while (n < DUNE_N_POINTS && dune_inference_points[n] <= max_n)
        n++;
    return n;
}

/* In the order in which they are tried: what moves F1 most comes first. */
static const struct knob knobs[] = {
    {"n", 5, {2, 3, 4, 6, 8}},
    {"balance", 5, {0, 0.25, 0.5, 0.75, 1}},
    {"other_weight", 4, {0.35, 0.5, 0.7, 1}},
    {"leaf_other", 3, {0.75, 1, 1.3}},
    {"smooth", 3, {0.1, 0.5, 2}},
    {"min_leaf", 3, {0, 1, 3}},
    {"mode", 2, {DUNE_MODE_RUNNING, DUNE_MODE_PUBLISHED}},
    {"trees", 2, {1, 3}},
};

static void set_knob(struct dune_fit_cfg *c, unsigned k, double v, const struct dune_budget *budget)
{
    switch (k) {
    case 0:
        c->n = (unsigned)v;
        break;
    case 1:
        c->balance = v;
        break;
    case 2:
        c->other_weight = v;
        break;
    case 3:
        c->leaf_other = v;
        break;
    case 4:
        c->smooth = v;
        break;
    case 5:
        c->min_leaf = v;
        break;
    case 6:
        c->mode = (enum dune_mode)v;
        break;
    default:
        c->n_trees = (uint32_t)v;
        c->max_leaves = budget->leaves_sum / (uint32_t)v;
        break;
    }
}

static bool knob_applies(const struct dune_search *s, unsigned k, double v, const struct dune_chain_spec *spec,
                         unsigned to)
{
    if (k == 0 && v > s->space->max_n)
        return false;
    if ((k == 2 || k == 3) && spec->n_blocks == 1)
        return false; /* a monolith has no Other */
    if (k == 7 && v > 1 && s->budget[to - 1].leaves_sum / (uint32_t)v < 2)
        return false; /* the last device is the smallest */
    return true;
}

/* Tries every value of knob k on blocks [from, to) together. */
static int try_knob(struct dune_search *s, struct dune_chain_spec *best, double *score, unsigned k,
                    unsigned from, unsigned to, double min_gain, struct dune_diag *d)
{
    for (unsigned i = 0; i < knobs[k].n_values; i++) {
        struct dune_chain_spec spec = *best;
        int rc;

        if (!knob_applies(s, k, knobs[k].value[i], &spec, to) || dune_search_late(s))
            continue;
        for (unsigned b = from; b < to; b++)
            set_knob(&spec.cfg[b], k, knobs[k].value[i], &s->budget[b]);
        rc = dune_search_try(s, &spec, min_gain, best, score, d);
        if (rc)
            return rc;
    }
    return 0;
}

int dune_tune_common(struct dune_search *s, struct dune_chain_spec *spec, double *score, unsigned rounds,
                     struct dune_diag *d)
{
    struct dune_f1 f1;
    int rc = dune_search_score(s, spec, &f1, d);

    *score = rc ? 0 : f1.macro;
    for (unsigned r = 0; rc == 0 && r < rounds; r++) {
        double before = *score;

        for (unsigned k = 0; rc == 0 && k < DUNE_ARRAY_LEN(knobs); k++)
            rc = try_knob(s, spec, score, k, 0, spec->n_blocks, 1e-9, d);
        if (*score <= before)
            break;
    }
    return rc;
}

int dune_tune_blocks(struct dune_search *s, struct dune_chain_spec *spec, double *score, double min_gain,
                     struct dune_diag *d)
{
    int rc = 0;

    for (unsigned b = 0; rc == 0 && b < spec->n_blocks; b++)
        for (unsigned k = 0; rc == 0 && k < DUNE_ARRAY_LEN(knobs) && !dune_search_exhausted(s); k++)
            if (k != 6)
                rc = try_knob(s, spec, score, k, b, b + 1, min_gain, d);
    return rc;
}
