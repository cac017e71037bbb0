/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Votes: a forest spread over the devices, one tree each, whose class votes (confidences) travel with
 * the packet. Trees differ by bootstrap and by a random half of the features to choose from. A few
 * settings are compared on the validation split.
 */
#include "baselines/baselines_int.h"

#include "base/base.h"

struct setting {
    enum dune_mode mode;
    double balance;
    bool subspace;
};

static const struct setting settings[] = {
    {DUNE_MODE_RUNNING, 0, false},   {DUNE_MODE_RUNNING, 0.5, false}, {DUNE_MODE_RUNNING, 0.5, true},
    {DUNE_MODE_PUBLISHED, 0, false}, {DUNE_MODE_PUBLISHED, 0.5, false}, {DUNE_MODE_PUBLISHED, 0.5, true},
};

/* The random half of the features that tree t may use; all of them when subspace is off. */
static dune_feature_mask tree_features(dune_feature_mask all, const struct setting *st, uint64_t seed,
                                       unsigned t)
{
    dune_feature_mask m = 0;
    struct dune_rng rng;

    if (!st->subspace || t == 0)
        return all;
    dune_rng_init(&rng, seed, UINT64_C(0x766f746573), t, 0);
    for (int j = 0; j < DUNE_N_FEATURES; j++)
        if (all >> j & 1 && dune_rng_below(&rng, 2))
            m |= UINT64_C(1) << j;
    return m ? m : all;
}

static struct dune_fit_cfg tree_cfg(const struct dune_baseline *b, const struct setting *st, unsigned n,
                                    unsigned t)
{
    const struct dune_planner_cfg *cfg = &b->job->cfg;
    dune_feature_mask all = dune_baseline_features(b->job, "all", n);

    return (struct dune_fit_cfg){
        .n = n, .mode = st->mode, .features = tree_features(all, st, cfg->seed, t),
        .max_features = cfg->budget.features_distinct, .max_leaves = cfg->budget.leaves_sum,
        .balance = st->balance, .bootstrap = true, .seed = dune_mix64(cfg->seed, t)};
}

static int fit_trees(struct dune_baseline *b, const struct setting *st, unsigned n, const uint8_t *train,
                     struct dune_fit **fit, struct dune_diag *d)
{
    int rc = dune_space_prepare(b->space, n, st->mode, d);

    for (unsigned t = 0; rc == 0 && t < b->job->cfg.devices; t++) {
        struct dune_fit_cfg fc = tree_cfg(b, st, n, t);

        rc = dune_fit_train(&fit[t], b->space, &fc, b->block, train, d);
    }
    return rc;
}

static int judge(struct dune_baseline *b, const struct setting *st, unsigned n,
                 const struct dune_chain_rule *rule, double *macro, struct dune_diag *d)
{
    unsigned n_dev = b->job->cfg.devices;
    struct dune_fit *fit[DUNE_MAX_BLOCKS] = {0};
    struct dune_item_answer *col[DUNE_MAX_BLOCKS] = {0};
    int rc = fit_trees(b, st, n, b->train, fit, d);

    for (unsigned t = 0; t < n_dev; t++) {
        col[t] = dune_mem_zalloc(b->space->n_items, sizeof(*col[t]));
        if (rc == 0)
            rc = dune_fit_answer(fit[t], b->space, b->valid, col[t], d);
    }
    if (rc == 0)
        *macro = dune_baseline_macro(b, (const struct dune_item_answer *const *)col, n_dev, rule, b->valid);
    for (unsigned t = 0; t < n_dev; t++) {
        dune_mem_free(col[t]);
        dune_fit_free(fit[t]);
    }
    return rc;
}

static int choose(struct dune_baseline *b, const struct dune_chain_rule *rule, struct setting *best,
                  unsigned *best_n, struct dune_solution_result *out, struct dune_diag *d)
{
    out->train_macro = -1;
    for (unsigned n = 2; n <= b->space->max_n; n += n < 4 ? 1 : 4) { /* 2, 3, 4, 8 */
        for (size_t i = 0; i < DUNE_ARRAY_LEN(settings); i++) {
            double macro;
            int rc = judge(b, &settings[i], n, rule, &macro, d);

            if (rc == 0 && dune_interrupted())
                rc = dune_diag_set(d, DUNE_E_INTERRUPTED, NULL, "interrupted");
            if (rc)
                return rc;
            out->evaluations++;
            if (macro > out->train_macro) {
                out->train_macro = macro;
                *best = settings[i];
                *best_n = n;
            }
        }
    }
    return 0;
}

static int solve_votes(const struct dune_solution_job *job, struct dune_solution_result *out,
                       struct dune_diag *d)
{
    const struct dune_chain_rule rule = {.claim = DUNE_CLAIM_VOTES, .early_exit = 256};
    struct dune_fit *fit[DUNE_MAX_BLOCKS] = {0};
    uint8_t id[DUNE_MAX_BLOCKS];
    struct dune_baseline b;
    struct setting best = settings[0];
    unsigned n = 2, max_n = job->ds->max_n ? DUNE_MIN(job->ds->max_n, 8) : 8;
    int rc;

    if (job->cfg.devices < 1 || job->cfg.devices > DUNE_MAX_BLOCKS)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "%u devices: 1 to %d are possible",
                             job->cfg.devices, DUNE_MAX_BLOCKS);
    rc = dune_baseline_open(&b, job, job->ds, DUNE_MAX(max_n, 2), d);
    if (rc == 0)
        rc = choose(&b, &rule, &best, &n, out, d);
    if (rc == 0)
        rc = fit_trees(&b, &best, n, NULL, fit, d);
    for (unsigned t = 0; t < job->cfg.devices; t++)
        id[t] = (uint8_t)t;
    if (rc == 0)
        rc = dune_baseline_finish(&b, fit, id, job->cfg.devices, &rule, "votes", out, d);
    out->judged_by = "validation split";
    for (unsigned t = 0; t < job->cfg.devices; t++)
        dune_fit_free(fit[t]);
    dune_baseline_close(&b);
    return rc;
}

const struct dune_solution_ops dune_solution_votes = {
    .name = "votes",
    .summary = "a forest spread over the devices, class votes carried along",
    .solve = solve_votes,
};
