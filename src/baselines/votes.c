/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Votes: a forest spread over the devices, one tree each, whose class votes (confidences) travel with
 * the packet. Trees differ by bootstrap and by a random half of the features to choose from. A few
 * settings are compared on the validation split.
 */
#include "baselines/baselines_int.h"

#include <string.h>

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

/* The trees of one setting: fitted, and their answers to the validation flows. */
struct growing {
    struct dune_baseline *b;
    const struct dune_chain_spec *spec;
    const uint8_t *train;
    struct dune_fit *fit[DUNE_MAX_BLOCKS];
    struct dune_item_answer *col[DUNE_MAX_BLOCKS]; /* NULL: not wanted */
    struct dune_diag diag[DUNE_MAX_BLOCKS];
};

static void grow_tree(void *ctx, size_t t)
{
    struct growing *g = ctx;
    struct dune_diag *d = &g->diag[t];

    if (dune_fit_train(&g->fit[t], g->b->space, &g->spec->cfg[t], g->b->block, g->train, d) == 0 && g->col[t])
        d->code = dune_fit_answer(g->fit[t], g->b->space, g->b->valid, g->col[t], d);
}

static int grow_trees(struct growing *g, struct dune_diag *d)
{
    int rc = dune_space_prepare(g->b->space, g->spec->cfg[0].n, g->spec->cfg[0].mode, d);

    if (rc)
        return rc;
    dune_parallel_for(g->b->space->threads, g->spec->n_blocks, grow_tree, g);
    for (unsigned t = 0; rc == 0 && t < g->spec->n_blocks; t++) {
        rc = g->diag[t].code;
        if (rc && d && !d->code)
            *d = g->diag[t];
    }
    return rc;
}

static void growing_fini(struct growing *g)
{
    for (unsigned t = 0; t < DUNE_MAX_BLOCKS; t++) {
        dune_mem_free(g->col[t]);
        dune_fit_free(g->fit[t]);
    }
}

static void make_spec(const struct dune_baseline *b, const struct setting *st, unsigned n, struct dune_chain_spec *spec)
{
    memset(spec, 0, sizeof(*spec));
    spec->n_blocks = b->job->cfg.devices;
    spec->rule = (struct dune_chain_rule){.claim = DUNE_CLAIM_VOTES, .early_exit = 256};
    for (unsigned t = 0; t < spec->n_blocks; t++) {
        spec->cfg[t] = tree_cfg(b, st, n, t);
        for (uint32_t c = 0; c < b->space->n_classes; c++)
            if (b->block[c])
                dune_class_set_flip(&spec->block[t], c);
    }
}

static int judge(struct dune_baseline *b, const struct dune_chain_spec *spec, double *macro, struct dune_diag *d)
{
    struct growing g = {.b = b, .spec = spec, .train = b->train};
    int rc;

    for (unsigned t = 0; t < spec->n_blocks; t++)
        g.col[t] = dune_mem_zalloc(b->space->n_items, sizeof(*g.col[t]));
    rc = grow_trees(&g, d);
    if (rc == 0)
        *macro = dune_baseline_macro(b, (const struct dune_item_answer *const *)g.col, spec->n_blocks, &spec->rule,
                                     b->valid);
    growing_fini(&g);
    return rc;
}

static int choose(struct dune_baseline *b, struct dune_chain_spec *best, struct dune_votes_choice *out,
                  struct dune_diag *d)
{
    *out = (struct dune_votes_choice){.macro = -1};
    for (unsigned n = 2; n <= b->space->max_n; n += n < 4 ? 1 : 4) { /* 2, 3, 4, 8 */
        for (size_t i = 0; i < DUNE_ARRAY_LEN(settings); i++) {
            struct dune_chain_spec spec;
            double macro;
            int rc;

            make_spec(b, &settings[i], n, &spec);
            rc = judge(b, &spec, &macro, d);
            if (rc == 0 && dune_interrupted())
                rc = dune_diag_set(d, DUNE_E_INTERRUPTED, NULL, "interrupted");
            if (rc)
                return rc;
            out->evaluations++;
            if (macro > out->macro) {
                out->macro = macro;
                *best = spec;
            }
        }
    }
    return 0;
}

static int open_and_choose(struct dune_baseline *b, const struct dune_solution_job *job, struct dune_chain_spec *spec,
                           struct dune_votes_choice *out, struct dune_diag *d)
{
    unsigned max_n = job->ds->max_n ? DUNE_MIN(job->ds->max_n, 8) : 8;
    int rc;

    memset(b, 0, sizeof(*b));
    if (job->cfg.devices < 1 || job->cfg.devices > DUNE_MAX_BLOCKS)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "%u devices: 1 to %d are possible",
                             job->cfg.devices, DUNE_MAX_BLOCKS);
    rc = dune_baseline_open(b, job, job->ds, DUNE_MAX(max_n, 2), d);
    return rc ? rc : choose(b, spec, out, d);
}

int dune_votes_choose(const struct dune_solution_job *job, struct dune_chain_spec *spec,
                      struct dune_votes_choice *out, struct dune_diag *d)
{
    struct dune_baseline b;
    int rc = open_and_choose(&b, job, spec, out, d);

    dune_baseline_close(&b);
    return rc;
}

static int solve_votes(const struct dune_solution_job *job, struct dune_solution_result *out,
                       struct dune_diag *d)
{
    struct dune_chain_spec spec = {0};
    struct dune_votes_choice chosen = {0};
    struct dune_baseline b;
    struct growing g = {.b = &b, .spec = &spec};
    uint8_t id[DUNE_MAX_BLOCKS];
    int rc = open_and_choose(&b, job, &spec, &chosen, d);

    if (rc == 0)
        rc = grow_trees(&g, d);
    for (unsigned t = 0; t < DUNE_MAX_BLOCKS; t++)
        id[t] = (uint8_t)t;
    if (rc == 0)
        rc = dune_baseline_finish(&b, g.fit, id, spec.n_blocks, &spec.rule, "votes", out, d);
    out->train_macro = chosen.macro;
    out->evaluations = chosen.evaluations;
    out->judged_by = "validation split";
    growing_fini(&g);
    dune_baseline_close(&b);
    return rc;
}

const struct dune_solution_ops dune_solution_votes = {
    .name = "votes",
    .summary = "a forest spread over the devices, class votes carried along",
    .solve = solve_votes,
};
