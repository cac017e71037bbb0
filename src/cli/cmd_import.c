/* SPDX-License-Identifier: Apache-2.0 */
/* Models that are there already, each a sub-model of a plan. */
#include "cli/model_cli.h"
#include "dune/submodels.h"

enum { MAX_MODELS = 16 };

struct config {
    const char *out, *budget, *profile, *timeout, *name;
    struct cli_model_config model;
    unsigned claim, fallback;
};

static const struct cli_option options[] = {
    {"output", 'o', CLI_STR, offsetof(struct config, out), "FILE", NULL, "the plan", true},
    {"budget", 'b', CLI_STR, offsetof(struct config, budget), "BUDGET", NULL,
     "per device: tight, tiny, loose or leaves_sum=N,features_distinct=N; what does not fit is refused (no limit)"},
    {"profile", 'p', CLI_STR, offsetof(struct config, profile), "NAME", "engine", "device profile"},
    {"idle-timeout", 't', CLI_STR, offsetof(struct config, timeout), "SECONDS", "60", "idle gap that ends a flow, or none"},
    {"claim", 'c', CLI_CHOICE, offsetof(struct config, claim), "first|best", "best", "first or best claim wins"},
    {"fallback", 0, CLI_CHOICE, offsetof(struct config, fallback), "none|best", "none",
     "what becomes of packets that no sub-model claims: nothing, or the best tentative class"},
    {"name", 0, CLI_STR, offsetof(struct config, name), "NAME", "import", "name of the plan"},
    CLI_MODEL_OPTIONS(offsetof(struct config, model)),
};

static void print_plan(struct cli_ctx *ctx, const struct dune_plan *p, const char *out)
{
    if (ctx->json) {
        cli_out(ctx, "{\"submodels\": %u, \"classes\": %u}\n", p->n_submodels, p->n_classes);
        return;
    }
    cli_out(ctx, "%u sub-models, %u classes: wrote %s\n", p->n_submodels, p->n_classes, out);
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    const struct config *cfg = config;
    const struct dune_chain_rule rule = {.claim = cfg->claim ? DUNE_CLAIM_BEST : DUNE_CLAIM_FIRST,
                                         .fallback = cfg->fallback ? DUNE_FALLBACK_BEST : DUNE_FALLBACK_NONE,
                                         .early_exit = 256};
    struct dune_model *m[MAX_MODELS] = {0};
    struct dune_budget budget = {0};
    struct dune_plan *p = NULL;
    uint64_t timeout = 0;
    int rc = cfg->budget ? dune_budget_parse(cfg->budget, &budget, d) : 0;

    if (rc == 0)
        rc = dune_timeout_parse(cfg->timeout, &timeout, d);
    if (rc == 0 && rule.claim == DUNE_CLAIM_FIRST && rule.fallback == DUNE_FALLBACK_BEST)
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "--fallback best goes with --claim best");
    for (int i = 0; i < ctx->n_args && rc == 0; i++)
        rc = cli_model_open(ctx, &cfg->model, ctx->args[i], NULL, &m[i], d);
    if (rc == 0)
        rc = dune_plan_import(&p, m, (unsigned)ctx->n_args, &rule, &budget, cfg->profile, timeout, d);
    if (rc == 0) {
        dune_plan_set_name(p, cfg->name);
        rc = dune_plan_write(p, cfg->out, d);
    }
    if (rc == 0 && !ctx->quiet)
        print_plan(ctx, p, cfg->out);
    dune_plan_free(p);
    for (int i = 0; i < MAX_MODELS; i++)
        dune_model_free(m[i]);
    return rc;
}

const struct cli_command cmd_import = {
    .name = "import",
    .summary = "trees of other programs to a plan",
    .args = "MODEL...",
    .min_args = 1,
    .max_args = MAX_MODELS,
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description =
        "Makes each model a sub-model, on a device of its own, in their order: trees of scikit-learn, XGBoost's\n"
        "boosted trees as one tree where that is small enough, forests of ours. A class named Other is the\n"
        "answer \"none of mine\". Several trees vote, where scikit-learn averages.\n",
    .examples = "dunectl import tree.json --budget tight -o plan.json\n"
                "dunectl import cameras.json speakers.json --profile tofino1 -o plan.json\n",
    .run = run,
};
