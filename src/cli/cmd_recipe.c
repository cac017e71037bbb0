/* SPDX-License-Identifier: Apache-2.0 */
/* Published data sets: what is there, what is missing and where it goes, and the run. */
#include "cli/run_options.h"
#include "dune/recipe.h"

struct config {
    struct cli_run_config run; /* first: CLI_RUN_OPTIONS count from here */
    bool check;
};

static const struct cli_option options[] = {
    {"check", 0, CLI_FLAG, offsetof(struct config, check), NULL, NULL, "only look, and write the experiment"},
    {"output", 'o', CLI_STR, CLI_RUN_AT(out), "DIR", NULL, "where labels, experiment and results go (default: NAME-run)"},
    CLI_RUN_OPTIONS,
};

static void print_text(struct cli_ctx *ctx, const struct dune_recipe *r)
{
    struct cli_table t;

    cli_out(ctx, "%s\n%s\n\n", dune_recipe_title(r), dune_recipe_source(r));
    cli_table_init(&t, 4, (const char *[]){"what", "state", "found", "expected"});
    for (size_t i = 0; i < dune_recipe_n_items(r); i++) {
        const struct dune_recipe_item *k = dune_recipe_item(r, i);

        cli_table_cell(&t, "%s", k->what);
        cli_table_cell(&t, "%s", k->ok ? "ok" : "missing");
        cli_table_cell(&t, "%s", k->found);
        cli_table_cell(&t, "%s", k->where);
    }
    cli_print_table(ctx, &t);
    cli_out(ctx, "\n%s\n", dune_recipe_remark(r));
}

static void print_json(struct cli_ctx *ctx, const struct dune_recipe *r, const char *name)
{
    struct dune_buf b = {0};
    struct dune_jsonw w;

    dune_jsonw_init(&w, &b);
    dune_jsonw_obj(&w);
    dune_jsonw_key(&w, "recipe");
    dune_jsonw_str(&w, name);
    dune_jsonw_key(&w, "complete");
    dune_jsonw_bool(&w, dune_recipe_complete(r));
    dune_jsonw_key(&w, "items");
    dune_jsonw_arr(&w);
    for (size_t i = 0; i < dune_recipe_n_items(r); i++) {
        const struct dune_recipe_item *k = dune_recipe_item(r, i);

        dune_jsonw_obj(&w);
        dune_jsonw_key(&w, "what");
        dune_jsonw_str(&w, k->what);
        dune_jsonw_key(&w, "ok");
        dune_jsonw_bool(&w, k->ok);
        dune_jsonw_key(&w, "found");
        dune_jsonw_str(&w, k->found);
        dune_jsonw_key(&w, "expected");
        dune_jsonw_str(&w, k->where);
        dune_jsonw_end(&w);
    }
    dune_jsonw_end(&w);
    dune_jsonw_end(&w);
    cli_write_json(ctx, &b);
    dune_buf_fini(&b);
}

/* The experiment file is what `run` would be given. */
static int run_experiment(struct cli_ctx *ctx, const struct config *cfg, const char *out, struct dune_diag *d)
{
    char *path = dune_mem_printf("%s/experiment.yaml", out), *dir = dune_mem_printf("%s/run", out);
    const char *args[] = {dune_arena_strdup(&ctx->arena, path), NULL};
    struct cli_run_config run = cfg->run;
    struct cli_ctx c = *ctx;
    int rc;

    run.out = dir;
    c.args = args;
    c.n_args = 1;
    rc = cli_run_experiment(&c, &run, true, d);
    dune_mem_free(path);
    dune_mem_free(dir);
    return rc;
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    const struct config *cfg = config;
    struct dune_recipe *r;
    char *out = cfg->run.out ? dune_mem_strdup(cfg->run.out) : dune_mem_printf("%s-run", ctx->args[0]);
    int rc = dune_recipe_open(&r, ctx->args[0], ctx->args[1], d);

    if (rc == 0 && ctx->json && cfg->check)
        print_json(ctx, r, ctx->args[0]);
    else if (rc == 0 && !ctx->json && !ctx->quiet)
        print_text(ctx, r);
    if (rc == 0)
        rc = dune_recipe_prepare(r, out, d);
    if (rc == 0 && cfg->check)
        cli_note(ctx, "all that is needed is there: dunectl run %s/experiment.yaml", out);
    else if (rc == 0)
        rc = run_experiment(ctx, cfg, out, d);
    dune_recipe_free(r);
    dune_mem_free(out);
    return rc;
}

const struct cli_command cmd_recipe = {
    .name = "recipe",
    .summary = "published data sets: what is there, what is missing, and the run",
    .args = "unsw|ton-iot|cic-iot-2023|iot-23|ustc DIR",
    .min_args = 2,
    .max_args = 2,
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description =
        "Looks for the files of a published data set in DIR under their official names, says what is missing\n"
        "and where it goes, writes the experiment and runs it. Nothing is downloaded, nothing in DIR changes.\n"
        "docs/recipes.md lists names, formats and labels. Exit status 3 while something is missing.\n",
    .examples = "dunectl recipe unsw /data/unsw --check\n"
                "dunectl recipe iot-23 /data/iot23 -o out --effort quick --solutions jewel,dune\n",
    .run = run,
};
