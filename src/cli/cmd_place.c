/* SPDX-License-Identifier: Apache-2.0 */
/* dunectl place: the sub-models of a plan on the devices of a network. */
#include "cli/place_report.h"
#include "cli/profile_cli.h"

struct config {
    const char *out, *budget, *profile;
    unsigned objective;
    uint32_t flows;
    double load;
    bool traffic;
};

static const struct cli_option options[] = {
    {"output", 'o', CLI_STR, offsetof(struct config, out), "FILE", NULL, "the plan with its positions"},
    {"objective", 0, CLI_CHOICE, offsetof(struct config, objective), "devices|resources|latency", "devices",
     "what is minimised: devices that hold something, leaves installed, or time on the mean way"},
    {"budget", 'b', CLI_STR, offsetof(struct config, budget), "BUDGET", NULL,
     "of every device whose entry has none (default: the plan's first device's)"},
    {"profile", 'p', CLI_STR, offsetof(struct config, profile), "NAME", NULL,
     "of every device whose entry has none (default: the plan's first device's)"},
    {"traffic", 0, CLI_FLAG, offsetof(struct config, traffic), NULL, NULL,
     "simulate traffic: load and latency per device"},
    {"flows", 0, CLI_U32, offsetof(struct config, flows), "N", "20000", "flows of the simulated traffic", false, 1, 2000000},
    {"load", 0, CLI_DOUBLE, offsetof(struct config, load), "PPS", NULL,
     "its packets per second (default: the busiest device is busy half the time)", false, 1, 1e12},
};

static void print(struct cli_ctx *ctx, const struct config *cfg, const struct dune_plan *p, const struct dune_topology *t,
                  const struct dune_placement *x)
{
    struct dune_place_traffic_cfg tc = {.flows = cfg->flows, .load = cfg->load, .seed = ctx->seed};
    struct dune_place_traffic traffic = {0};
    struct dune_buf b = {0};

    if (cfg->traffic)
        dune_place_traffic(t, x, &tc, &traffic);
    if (ctx->json) {
        place_report_json(&b, p, t, x, cfg->traffic ? &traffic : NULL);
        cli_write_json(ctx, &b);
    } else if (!ctx->quiet) {
        place_report_text(ctx, p, t, x, cfg->traffic ? &traffic : NULL);
    }
    dune_buf_fini(&b);
    dune_place_traffic_fini(&traffic);
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    struct config *cfg = config;
    struct dune_plan *p = NULL;
    struct dune_topology *t = NULL;
    struct dune_placement x = {0};
    struct dune_budget budget = {0};
    const struct dune_profile *known;
    int rc = dune_plan_read(&p, ctx->args[0], d);

    if (rc == 0)
        budget = p->device[0].budget;
    if (rc == 0 && cfg->budget)
        rc = dune_budget_parse(cfg->budget, &budget, d);
    if (rc == 0 && cfg->profile)
        rc = cli_profile(&known, cfg->profile, d);
    if (rc == 0)
        rc = dune_network_read(&t, ctx->args[1], cfg->profile ? cfg->profile : p->device[0].profile, &budget, d);
    if (rc == 0)
        rc = dune_place_plan(p, t, (enum dune_place_goal)cfg->objective, &x, d);
    if (rc == 0 && cfg->out)
        rc = dune_plan_verify(p, d);
    if (rc == 0 && cfg->out)
        rc = dune_plan_write(p, cfg->out, d);
    if (rc == 0)
        print(ctx, cfg, p, t, &x);
    if (rc == 0 && cfg->out)
        cli_note(ctx, "wrote %s", cfg->out);
    dune_placement_fini(&x);
    dune_network_free(t);
    dune_plan_free(p);
    return rc;
}

const struct cli_command cmd_place = {
    .name = "place",
    .summary = "a plan on the devices of a network",
    .args = "PLAN.json TOPOLOGY.yaml",
    .min_args = 2,
    .max_args = 2,
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description =
        "Puts the sub-models of a plan on the devices of a network, so that every way from a source to a sink meets\n"
        "all of them in order, several on a device where its budget allows. The topology lists devices and links, or\n"
        "has a generator:\n"
        "\n"
        "    devices: [{name: a}, {name: b, plain: true}, {name: c, budget: tiny}]\n"
        "    links: [[a, c], [b, c]]\n"
        "\n"
        "    fat_tree: {pods: 40, leafs: 12, spines: 12, super_spines: 16, egress_leafs: 12, egress_spines: 12}\n"
        "    layers: {spine: {budget: tiny}, super_spine: {plain: true}}\n"
        "\n"
        "    random: {devices: 1000, layers: 6, degree: 3, seed: 1}\n"
        "\n"
        "The result says what is minimised, a bound that no placement is below, and what one sub-model per device\n"
        "would take. Leaves and latency are minimised exactly at any size; the number of devices exactly on networks of\n"
        "up to 40. Exit status 4: a way that cannot meet all sub-models, with the budget that is too small.\n",
    .examples = "dunectl place plan.json tree.yaml\n"
                "dunectl place plan.json tree.yaml --objective latency --traffic --json\n"
                "dunectl place plan.json tree.yaml -o placed.json\n",
    .run = run,
};
