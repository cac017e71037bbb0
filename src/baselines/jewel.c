/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jewel (A. T.-J. Akem, B. Butun, M. Gucciardo, M. Fiore, "Jewel: Resource-Efficient Joint Packet and
 * Flow Level Inference in Programmable Switches", IEEE INFOCOM 2024): one forest for packets and flows
 * on the first device. Paper form: the most accurate model of the published grid on the validation
 * split, flow features 0 before packet n, sqrt sampling, no class weights. Flowrest (INFOCOM 2023) is the same without packet answers.
 */
#include "baselines/baselines_int.h"

#include "base/base.h"

static int solve_grid(const struct dune_solution_job *job, enum dune_mode mode, const char *features,
                      const char *name, struct dune_solution_result *out, struct dune_diag *d)
{
    const struct dune_chain_rule rule = {.claim = DUNE_CLAIM_FIRST, .early_exit = 256};
    struct dune_grid_cfg gc = {.budget = job->cfg.budget, .mode = mode, .sqrt_features = true, .f1_only = true,
                               .seed = job->cfg.seed};
    unsigned max_n = job->ds->max_n ? DUNE_MIN(job->ds->max_n, 4) : 4;
    struct dune_baseline b;
    struct dune_grid grid = {0};
    struct dune_fit *fit = NULL;
    uint8_t id = 0;
    int rc = dune_baseline_open(&b, job, job->ds, max_n, d);

    gc.features = dune_baseline_features(job, features, max_n);
    if (rc == 0)
        rc = dune_grid_search(&grid, b.space, &gc, b.block, b.train, b.valid, d);
    if (rc == 0) {
        struct dune_fit_cfg fc = dune_grid_fit_cfg(&gc, &grid.point[grid.best]);

        out->train_macro = grid.point[grid.best].macro_f1;
        out->judged_by = "validation split";
        out->evaluations = grid.n_points;
        rc = dune_fit_train(&fit, b.space, &fc, b.block, NULL, d);
    }
    if (rc == 0)
        rc = dune_baseline_finish(&b, &fit, &id, 1, &rule, name, out, d);
    dune_fit_free(fit);
    dune_grid_fini(&grid);
    dune_baseline_close(&b);
    return rc;
}

static int solve_jewel(const struct dune_solution_job *job, struct dune_solution_result *out,
                       struct dune_diag *d)
{
    return solve_grid(job, DUNE_MODE_PUBLISHED, "paper", "jewel", out, d);
}

static int solve_flowrest(const struct dune_solution_job *job, struct dune_solution_result *out,
                          struct dune_diag *d)
{
    return solve_grid(job, DUNE_MODE_FLOW, "paper", "flowrest", out, d);
}

const struct dune_solution_ops dune_solution_jewel = {
    .name = "jewel",
    .summary = "one joint packet and flow forest on the first device",
    .solve = solve_jewel,
};
const struct dune_solution_ops dune_solution_flowrest = {
    .name = "flowrest",
    .summary = "flow features only; packets before n stay unclaimed",
    .solve = solve_flowrest,
};
