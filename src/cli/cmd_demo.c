/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dunectl demo: the whole job on traffic that everybody has.
 *
 *   DIR/traffic   synthetic captures and labels, without --data
 *   DIR/run       the run directory
 *   DIR/report.html  what is in it, as pictures
 */
#include <string.h>

#include <unistd.h>

#include "cli/demo_live.h"
#include "cli/run_options.h"
#include "dune/live.h"
#include "dune/synth.h"
#include "targets/xdp/dune_xdp.h"

enum { FLOWS = 6000, TRAIN_CAPTURES = 12, TEST_CAPTURES = 4, CONCURRENCY = 50 };

struct config {
    struct cli_run_config run; /* first: CLI_RUN_OPTIONS count from here */
    const char *data, *switches;
    double seconds;
};

static const struct cli_option options[] = {
    {"data", 0, CLI_STR, offsetof(struct config, data), "DIR", NULL,
     "labelled captures: a directory with train/, test/, labels.csv and perhaps captures.csv"},
    {"seconds", 0, CLI_DOUBLE, offsetof(struct config, seconds), "S", "60",
     "live: seconds of traffic per solution, or to the end of the test captures", false, 1, 0},
    {"switch-engine", 0, CLI_STR, offsetof(struct config, switches), "reference|xdp", NULL,
     "live: what runs in the switches (xdp where this machine can)"},
    {"output", 'o', CLI_STR, CLI_RUN_AT(out), "DIR", "out/demo", "where everything goes"},
    CLI_RUN_OPTIONS,
    CLI_DASH_OPTIONS(CLI_RUN_AT(dash)),
};

static const char *below(struct cli_ctx *ctx, const char *dir, const char *name)
{
    char *path = dune_mem_printf("%s/%s", dir, name);
    const char *kept = dune_arena_strdup(&ctx->arena, path);

    dune_mem_free(path);
    return kept;
}

static int make_traffic(struct cli_ctx *ctx, const char *dir, struct dune_diag *d)
{
    struct dune_synth_cfg sc = {FLOWS, TRAIN_CAPTURES, TEST_CAPTURES, CONCURRENCY,
                                0,     ctx->seed,      ctx->threads};
    struct dune_synth_stats st;
    struct dune_synth *s;
    int rc = dune_synth_parse(&s, "the built-in profile", dune_synth_default(),
                              strlen(dune_synth_default()), d);

    if (rc)
        return rc;
    rc = dune_synth_write(s, &sc, dir, &st, d);
    dune_synth_free(s);
    if (rc == 0)
        cli_note(ctx, "the traffic in %s is synthetic; for real captures: --data DIR", dir);
    return rc;
}

static int find_part(struct cli_ctx *ctx, const char *dir, const char *name, const char **path,
                     struct dune_diag *d)
{
    if (!*path)
        *path = below(ctx, dir, name);
    if (dune_path_exists(*path))
        return 0;
    return dune_diag_set(d, DUNE_E_INPUT, *path,
                         "not there; a data directory has train/, test/ and labels.csv");
}

static void add(struct cli_ctx *ctx, struct cli_list *l, const char *path)
{
    l->data = dune_arena_alloc(&ctx->arena, 1, sizeof(*l->data));
    l->data[0] = path;
    l->len = 1;
}

static int find_data(struct cli_ctx *ctx, struct cli_run_config *run, const char *dir,
                     struct dune_diag *d)
{
    const char *train = NULL, *test = NULL, *captures = below(ctx, dir, "captures.csv");
    int rc = find_part(ctx, dir, "train", &train, d);

    if (rc == 0)
        rc = find_part(ctx, dir, "test", &test, d);
    if (rc == 0)
        rc = run->labels && dune_labels_are_ndpi(run->labels) ? 0 : find_part(ctx, dir, "labels.csv", &run->labels, d);
    if (rc)
        return rc;
    add(ctx, &run->train, train);
    add(ctx, &run->test, test);
    if (!run->captures && dune_path_exists(captures))
        run->captures = captures;
    return 0;
}

/* Three switches and the four solutions of the published demonstration, unless told otherwise. */
static int prepare_live(struct cli_ctx *ctx, struct config *cfg, struct dune_diag *d)
{
    static const char *const names[] = {"none", "mousika", "jewel", "dune"};
    struct cli_list *l = &cfg->run.solutions;

    if (ctx->n_args == 0)
        return 0;
    if (strcmp(ctx->args[0], "live") != 0)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "demo, or demo live; not \"%.32s\"", ctx->args[0]);
    if (geteuid() != 0)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "demo live makes network namespaces: run it as root");
    if (cfg->run.devices == 0)
        cfg->run.devices = 3;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(names) && l->len == i; i++) {
        if (i == 0)
            l->data = dune_arena_alloc(&ctx->arena, DUNE_ARRAY_LEN(names), sizeof(*l->data));
        l->data[l->len++] = names[i];
    }
    return dune_testbed_guard("dune", d);
}

static int run_live(struct cli_ctx *ctx, const struct config *cfg, const struct cli_dash_config *dash, const char *page,
                    struct dune_diag *d)
{
    struct cli_demo_live live = {.dash = dash, .dir = cfg->run.out, .run = &cfg->run, .engine = cfg->switches,
                                 .test = &cfg->run.test, .solutions = &cfg->run.solutions,
                                 .devices = cfg->run.devices, .seconds = cfg->seconds, .page = page};

    if (!live.engine)
        live.engine = dune_xdp_available() ? "reference" : "xdp";
    return cli_demo_live(ctx, &live, d);
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    struct config *cfg = config;
    const char *data = cfg->data ? cfg->data : below(ctx, cfg->run.out, "traffic");
    const char *page = below(ctx, cfg->run.out, "report.html");
    struct cli_dash_config dash;
    bool live = ctx->n_args > 0;
    int rc = prepare_live(ctx, cfg, d);

    ctx->n_args = 0; /* to run, an argument would be an experiment file */
    if (rc == 0 && !cfg->data)
        rc = make_traffic(ctx, data, d);
    if (rc == 0)
        rc = find_data(ctx, &cfg->run, data, d);
    if (rc)
        return rc;
    cfg->run.out = below(ctx, cfg->run.out, "run");
    cfg->run.quick = !cli_given(ctx, "effort");
    cfg->run.name = *dune_path_base(data) ? dune_path_base(data) : NULL;
    dash = cfg->run.dash;
    if (live)
        cfg->run.dash.on = false; /* it shows the switches */
    else
        cfg->run.page = page;
    rc = cli_run_experiment(ctx, &cfg->run, true, d);
    return rc || !live ? rc : run_live(ctx, cfg, &dash, page, d);
}

const struct cli_command cmd_demo = {
    .name = "demo",
    .summary = "a first look: from captures to the comparison",
    .args = "[live]",
    .max_args = 1,
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description = "Everything that run does, on synthetic traffic, or with --data on labelled captures of your\n"
                   "own. --effort is quick unless given. An interrupted demo goes on where it stopped.\n"
                   "\n"
                   "demo live then sends the test captures at their own pace over three switches in network\n"
                   "namespaces, with none, mousika, jewel and dune in turn, and prints F1, latency and loss as\n"
                   "they arrived at the sink. It needs root. With --dash a browser shows it while it runs; afterwards,\n"
                   "until Ctrl-C, the page's buttons send the traffic of a chosen solution again.\n",
    .examples = "dunectl demo\n"
                "dunectl demo live --seconds 20\n"
                "dunectl demo --data captures --solutions jewel,dune --effort default\n",
    .run = run,
};
