/* SPDX-License-Identifier: Apache-2.0 */
/* dunectl plan: the whole planner in one call, data set to plan. */
#include "cli/cli.h"

#include <string.h>

#include "dune/dataset.h"
#include "dune/solution.h"

struct config {
    const char *out, *budget, *profile, *features, *solution, *choice;
    const char *open_world, *background;
    double want_precision;
    uint32_t devices;
    bool tuned, explain;
};

static const struct cli_option options[] = {
    {"output", 'o', CLI_STR, offsetof(struct config, out), "FILE", NULL, "the plan (plan.json)", true},
    {"budget", 'b', CLI_STR, offsetof(struct config, budget), "BUDGET", "tight",
     "per device: tight, tiny, loose or leaves_sum=N,features_distinct=N"},
    {"devices", 'd', CLI_U32, offsetof(struct config, devices), "K", "5", "devices in the chain", false, 1,
     DUNE_MAX_BLOCKS},
    {"solution", 's', CLI_STR, offsetof(struct config, solution), "NAME", "dune",
     "none, mousika, jewel, flowrest, votes, dune-paper or dune"},
    {"profile", 'p', CLI_STR, offsetof(struct config, profile), "NAME", "engine", "device profile"},
    {"features", 'f', CLI_STR, offsetof(struct config, features), "SET", "all",
     "candidate features: a set, names, or both"},
    {"explain", 0, CLI_FLAG, offsetof(struct config, explain), NULL, NULL,
     "print why these blocks, features and devices (solution dune)"},
    {"want-precision", 0, CLI_DOUBLE, offsetof(struct config, want_precision), "P", NULL,
     "refuse claims below the confidence that reaches this precision per class, 0..1", false, 0, 1},
    {"open-world", 0, CLI_STR, offsetof(struct config, open_world), "FILE", NULL,
     "coverage against precision (CSV); notes also get false claims on classes left out of training"},
    {"background", 0, CLI_STR, offsetof(struct config, background), "CLASS", NULL,
     "the class of unlabelled traffic: its false claims when nobody learns it are noted"},
    {"choice", 0, CLI_STR, offsetof(struct config, choice), "FILE", NULL, "what was chosen and why (JSON)"},
    {"tuned", 0, CLI_FLAG, offsetof(struct config, tuned), NULL, NULL,
     "monoliths in tuned form: our search and folds"},
};

static int fill_job(struct cli_ctx *ctx, const struct config *cfg, struct dune_solution_job *job,
                    struct dune_diag *d)
{
    int rc = dune_budget_parse(cfg->budget, &job->cfg.budget, d);

    if (rc == 0)
        rc = dune_feature_set_parse(cfg->features, 0, &job->cfg.features, d);
    if (rc == 0 && !dune_profile_find(cfg->profile))
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "unknown profile %s", cfg->profile);
    job->cfg.devices = cfg->devices;
    job->cfg.profile = cfg->profile;
    job->cfg.effort = (enum dune_effort)ctx->effort;
    job->cfg.seed = ctx->seed;
    job->cfg.threads = ctx->threads;
    job->cfg.want_precision = cfg->want_precision;
    job->cfg.open_world = cfg->open_world != NULL;
    job->cfg.background = cfg->background;
    job->tuned = cfg->tuned;
    return rc;
}

static void print_result(struct cli_ctx *ctx, const struct config *cfg, const struct dune_solution_result *r)
{
    if (ctx->json) {
        struct dune_buf b = {0};
        struct dune_jsonw w;

        dune_jsonw_init(&w, &b);
        dune_jsonw_obj(&w);
        dune_jsonw_key(&w, "solution");
        dune_jsonw_str(&w, cfg->solution);
        dune_jsonw_key(&w, "train_macro");
        dune_jsonw_fixed(&w, r->train_macro, 4);
        dune_jsonw_key(&w, "judged_by");
        dune_jsonw_str(&w, r->judged_by);
        dune_jsonw_key(&w, "submodels");
        dune_jsonw_uint(&w, r->plan->n_submodels);
        dune_jsonw_key(&w, "evaluations");
        dune_jsonw_uint(&w, r->evaluations);
        dune_jsonw_end(&w);
        cli_write_json(ctx, &b);
        dune_buf_fini(&b);
        return;
    }
    cli_out(ctx, "%s: %u sub-models on %u devices; macro F1 %.4f by %s (%llu candidates)\n", cfg->solution,
            r->plan->n_submodels, r->plan->n_devices, r->train_macro, r->judged_by,
            (unsigned long long)r->evaluations);
}

static int explain(struct cli_ctx *ctx, const struct dune_solution_result *r, struct dune_diag *d)
{
    struct dune_buf text = {0};
    int rc = dune_explain_text(r->notes ? r->notes : "{}", &text, d);

    if (rc == 0)
        cli_out(ctx, "%s", text.data);
    dune_buf_fini(&text);
    return rc;
}

static int write_notes(const struct config *cfg, const struct dune_solution_result *r, struct dune_diag *d)
{
    struct dune_buf csv = {0};
    int rc = 0;

    if (cfg->choice && r->notes)
        rc = dune_file_write(cfg->choice, r->notes, strlen(r->notes), d);
    if (rc == 0 && cfg->open_world) {
        rc = dune_explain_curve_csv(r->notes ? r->notes : "{}", &csv, d);
        if (rc == 0)
            rc = dune_file_write(cfg->open_world, csv.data, csv.len, d);
        dune_buf_fini(&csv);
    }
    return rc;
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    struct config *cfg = config;
    const struct dune_solution_ops *ops = dune_solution_find(cfg->solution);
    struct dune_solution_job job = {0};
    struct dune_solution_result result = {0};
    struct dune_dataset *ds = NULL;
    int rc;

    if (!ops)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "unknown solution %s", cfg->solution);
    if (ops != &dune_solution_dune && (cfg->explain || cfg->open_world || cfg->want_precision > 0))
        return dune_diag_set(d, DUNE_E_USAGE, NULL,
                             "--explain, --open-world and --want-precision need --solution dune");
    if (cfg->explain && ctx->json)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "--explain prints text; --choice FILE has it as JSON");
    rc = fill_job(ctx, cfg, &job, d);
    if (rc == 0)
        rc = dune_dataset_read(&ds, ctx->args[0], d);
    job.ds = ds;
    if (rc == 0)
        rc = ops->solve(&job, &result, d);
    if (rc == 0)
        rc = dune_plan_write(result.plan, cfg->out, d);
    if (rc == 0)
        rc = write_notes(cfg, &result, d);
    if (rc == 0)
        print_result(ctx, cfg, &result);
    if (rc == 0 && cfg->explain)
        rc = explain(ctx, &result, d);
    dune_solution_result_fini(&result);
    dune_dataset_free(ds);
    return rc;
}

const struct cli_command cmd_plan = {
    .name = "plan",
    .summary = "the whole planner in one call",
    .args = "ROWS.dset",
    .min_args = 1,
    .max_args = 1,
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description = "Chooses blocks, sub-models and settings by cross-validation inside the train flows of\n"
                   "the data set and writes a verified plan. Test flows are never looked at.\n",
    .examples = "dunectl plan rows.dset --budget tight --devices 5 -o plan.json\n"
                "dunectl plan rows.dset --solution jewel -o jewel.json\n",
    .run = run,
};
