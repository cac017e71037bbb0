/* SPDX-License-Identifier: Apache-2.0 */
/* dunectl run and compare: experiments. */
#include <string.h>

#include "cli/dash_run.h"
#include "cli/run_options.h"

static const struct cli_option run_options[] = {
    {"output", 'o', CLI_STR, CLI_RUN_AT(out), "DIR", NULL,
     "run directory (default: the name of the experiment, or of the capture)"},
    CLI_RUN_INPUTS,
    CLI_RUN_OPTIONS,
    CLI_DASH_OPTIONS(CLI_RUN_AT(dash)),
};
static const struct cli_option compare_options[] = {
    {"output", 'o', CLI_STR, CLI_RUN_AT(out), "DIR", NULL,
     "run directory (default: the experiment's name)"},
    {"final", 0, CLI_FLAG, CLI_RUN_AT(final), NULL, NULL,
     "read the test captures: do it when nothing is left to choose"},
    CLI_RUN_INPUTS,
    CLI_RUN_OPTIONS,
};

static void set_text(char **slot, const char *text)
{
    if (!text)
        return;
    dune_mem_free(*slot);
    *slot = dune_mem_strdup(text);
}

static void set_list(struct dune_string_list *list, const struct cli_list *from)
{
    if (!from->len)
        return;
    for (size_t i = 0; i < list->len; i++)
        dune_mem_free(list->data[i]);
    list->len = 0;
    for (size_t i = 0; i < from->len; i++)
        DUNE_VEC_PUSH(list, dune_mem_strdup(from->data[i]));
}

/* Arguments are captures, or one experiment file. */
static bool has_captures(const struct cli_ctx *ctx)
{
    const char *dot = ctx->n_args ? strrchr(ctx->args[0], '.') : NULL;

    return ctx->n_args && (!dot || (strcmp(dot, ".yaml") != 0 && strcmp(dot, ".yml") != 0 && strcmp(dot, ".json") != 0));
}

/* They are training captures, and the first one names the experiment. */
static void take_captures(const struct cli_ctx *ctx, struct dune_experiment *e)
{
    char *name = dune_mem_strdup(dune_path_base(ctx->args[0]));
    struct cli_list list = {.data = (const char **)ctx->args, .len = (size_t)ctx->n_args};

    set_list(&e->train, &list);
    name[strcspn(name, ".*")] = '\0';
    if (*name)
        set_text(&e->name, name);
    dune_mem_free(name);
}

/* The experiment file, then what the command line says on top of it. */
static int load(struct cli_ctx *ctx, const struct cli_run_config *cfg, struct dune_experiment **out,
                struct dune_diag *d)
{
    struct dune_experiment *e;
    int rc = 0;

    *out = NULL;
    if (ctx->n_args && !has_captures(ctx))
        rc = ctx->n_args == 1 ? dune_experiment_read(out, ctx->args[0], d)
                              : dune_diag_set(d, DUNE_E_USAGE, NULL, "one experiment, or captures only");
    else
        *out = dune_experiment_new();
    if (rc)
        return rc;
    e = *out;
    set_text(&e->name, cfg->name);
    set_list(&e->train, &cfg->train);
    if (has_captures(ctx))
        take_captures(ctx, e);
    set_list(&e->test, &cfg->test);
    set_list(&e->solutions, &cfg->solutions);
    set_text(&e->labels, cfg->labels);
    set_text(&e->captures, cfg->captures);
    set_text(&e->gateway, cfg->gateway);
    set_text(&e->label_field, cfg->label_field);
    set_text(&e->unlabelled, cfg->unlabelled);
    set_text(&e->split, cfg->split);
    set_text(&e->model, cfg->model);
    if (cli_given(ctx, "distill"))
        e->distil = (enum dune_distil)cfg->distil;
    if (cli_given(ctx, "min-flows"))
        e->min_flows = cfg->min_flows;
    set_text(&e->profile, cfg->profile);
    set_text(&e->features, cfg->features);
    set_text(&e->budget_text, cfg->budget);
    if (cfg->devices)
        e->devices = cfg->devices;
    if (cfg->max_n)
        e->max_n = cfg->max_n;
    if (cli_given(ctx, "seed"))
        e->seed = ctx->seed;
    if (cli_given(ctx, "effort"))
        e->effort = (enum dune_effort)ctx->effort;
    else if (cfg->quick)
        e->effort = DUNE_EFFORT_QUICK;
    e->tuned |= cfg->tuned;
    if (cfg->budget)
        rc = dune_budget_parse(cfg->budget, &e->budget, d);
    if (rc == 0 && cfg->timeout)
        rc = dune_timeout_parse(cfg->timeout, &e->timeout, d);
    return rc;
}

int cli_run_experiment(struct cli_ctx *ctx, const struct cli_run_config *cfg, bool final,
                       struct dune_diag *d)
{
    struct dune_run_opts o = {.threads = ctx->threads, .final = final, .verdicts = cfg->verdicts,
                              .ablation = cfg->ablation, .pareto = cfg->pareto,
                              .engine = cfg->engine, .note = cli_note_text, .note_ctx = ctx};
    struct dune_experiment *e = NULL;
    struct cli_dash_run *dash = NULL;
    struct dune_run *r = NULL;
    const char *dir;
    int rc = load(ctx, cfg, &e, d);

    dir = rc ? NULL : cfg->out ? cfg->out : e->name;
    if (rc == 0)
        rc = cli_dash_run_open(&dash, ctx, &cfg->dash, e, dir, &o, d);
    if (rc == 0)
        rc = dune_experiment_run(&r, e, dir, &o, d);
    if (rc == 0)
        cli_print_run(ctx, r);
    if (rc == 0 && cfg->page)
        rc = cli_report_page(ctx, dir, cfg->page, d);
    if (rc == DUNE_E_INTERRUPTED)
        cli_note(ctx, "stopped; the same command goes on from here");
    cli_dash_run_close(dash, rc);
    dune_run_free(r);
    dune_experiment_free(e);
    return rc;
}

static int run_run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    const struct cli_run_config *cfg = config;
    int rc = cli_run_experiment(ctx, cfg, true, d);

    if (rc == 0)
        cli_note(ctx, "dunectl report %s makes a page with pictures of it", cfg->out);
    return rc;
}

static int run_compare(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    const struct cli_run_config *cfg = config;

    return cli_run_experiment(ctx, cfg, cfg->final, d);
}

const struct cli_command cmd_run = {
    .name = "run",
    .summary = "everything from captures to the comparison",
    .args = "[EXPERIMENT.yaml | PCAP...]",
    .min_args = 0,
    .max_args = -1,
    CLI_CONFIG(struct cli_run_config),
    CLI_OPTIONS(run_options),
    .description = "Extracts the captures, plans every solution inside train, replays the test captures\n"
                   "through each plan and compares. What is in DIR already and still fits is used again, so\n"
                   "an interrupted run continues. Options override the experiment file. Without test captures the\n"
                   "latest flows of every class are held back for the comparison (--split). With --dash a browser shows\n"
                   "the replays as they run, and afterwards, until Ctrl-C, replays them at the press of a button.\n",
    .examples = "dunectl run experiment.yaml -o out\n"
                "dunectl run --labels ndpi capture.pcap\n"
                "dunectl run --train data/train --test data/test --labels data/labels.csv -o out\n",
    .run = run_run,
};

const struct cli_command cmd_compare = {
    .name = "compare",
    .summary = "the solutions side by side, on the same data and budget",
    .args = "EXPERIMENT.yaml",
    .min_args = 0,
    .max_args = 1,
    CLI_CONFIG(struct cli_run_config),
    CLI_OPTIONS(compare_options),
    .description = "Compares solutions by the scores of their choice inside train; only --final reads the\n"
                   "test captures.\n",
    .examples = "dunectl compare experiment.yaml --solutions jewel,dune\n"
                "dunectl compare experiment.yaml --final\n",
    .run = run_compare,
};
