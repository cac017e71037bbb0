/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the benchmarks of src/bench; what they measure is told there. */
#include "bench/bench.h"
#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct config {
    bool list, quick, whole, report_only;
    uint32_t rounds;
    const char *out, *report, *data, *peers, *tmp;
};

static const struct cli_option options[] = {
    {"list", 'l', CLI_FLAG, offsetof(struct config, list), NULL, NULL, "name the benchmarks and stop"},
    {"quick", 0, CLI_FLAG, offsetof(struct config, quick), NULL, NULL, "small inputs and few rounds: all of it in 5 minutes"},
    {"whole", 0, CLI_FLAG, offsetof(struct config, whole), NULL, NULL,
     "also cases and data sets beyond the goals, slow peers to their end: hours"},
    {"rounds", 'r', CLI_U32, offsetof(struct config, rounds), "N", NULL, "rounds per measurement", false, 1, 1000},
    {"output", 'o', CLI_STR, offsetof(struct config, out), "DIR", NULL, "where results (JSON) and plots (SVG) go; default: nowhere"},
    {"report", 0, CLI_STR, offsetof(struct config, report), "FILE", NULL, "write all results in --output as one document"},
    {"report-only", 0, CLI_FLAG, offsetof(struct config, report_only), NULL, NULL, "measure nothing, write the report"},
    {"data", 'd', CLI_STR, offsetof(struct config, data), "DIR", NULL, "shared captures; default: $DUNE_SHARED_DATA"},
    {"peers", 0, CLI_STR, offsetof(struct config, peers), "DIR", "bench/peers", "the programs that run the peers"},
    {"tmp", 0, CLI_STR, offsetof(struct config, tmp), "DIR", NULL, "where inputs are made; default: $TMPDIR or /tmp"},
};

static void print_list(struct cli_ctx *ctx)
{
    struct cli_table t;

    cli_table_init(&t, 2, (const char *[]){"name", "what"});
    for (size_t i = 0; bench_entry_at(i); i++) {
        cli_table_cell(&t, "%s", bench_entry_at(i)->name);
        cli_table_cell(&t, "%s", bench_entry_at(i)->what);
    }
    cli_print_table(ctx, &t);
}

/* Every name must choose something: a slip of the pen should not look like success. */
static int check_names(struct cli_ctx *ctx, struct dune_diag *d)
{
    for (int k = 0; k < ctx->n_args; k++) {
        bool any = false;

        for (size_t i = 0; bench_entry_at(i) && !any; i++)
            any = bench_chosen(bench_entry_at(i), &ctx->args[k], 1);
        if (!any)
            return dune_diag_set(d, DUNE_E_USAGE, NULL, "no benchmark is called \"%s\"; --list names them", ctx->args[k]);
    }
    return 0;
}

static int run_one(struct cli_ctx *ctx, const struct config *cfg, const struct bench_entry *e,
                   const struct bench_cfg *bc, struct dune_diag *d)
{
    struct bench_result *r = NULL;
    struct dune_buf text = {0};
    int rc;

    cli_note(ctx, "%s: %s", e->name, e->what);
    rc = bench_run(&r, e, bc, d);
    if (rc == 0 && !ctx->json) {
        bench_result_text(&text, r);
        cli_out(ctx, "%s\n", text.data);
    }
    if (rc == 0 && cfg->out)
        rc = bench_result_write(r, cfg->out, d);
    bench_result_free(r);
    dune_buf_fini(&text);
    return rc;
}

static void print_json(struct cli_ctx *ctx, const struct config *cfg, size_t n)
{
    struct dune_buf b = {0};
    struct dune_jsonw w;

    dune_jsonw_init(&w, &b);
    dune_jsonw_obj(&w);
    dune_jsonw_key(&w, "benchmarks"), dune_jsonw_uint(&w, n);
    dune_jsonw_key(&w, "output"), dune_jsonw_str(&w, cfg->out);
    dune_jsonw_key(&w, "report"), dune_jsonw_str(&w, cfg->report);
    dune_jsonw_end(&w);
    cli_write_json(ctx, &b);
    dune_buf_fini(&b);
}

static int run_all(struct cli_ctx *ctx, const struct config *cfg, struct bench_cfg *bc, struct dune_diag *d)
{
    const char *base = cfg->tmp ? cfg->tmp : getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    char *tmp = dune_mem_printf("%s/dune-bench-XXXXXX", base);
    const char *rm[] = {"rm", "-rf", tmp, NULL};
    struct bench_peer gone;
    size_t n = 0;
    int rc = 0;

    if (!mkdtemp(tmp))
        rc = dune_diag_set(d, DUNE_E_ENV, tmp, "cannot make a directory for inputs: %s", strerror(errno));
    bc->tmp = tmp;
    for (size_t i = 0; rc == 0 && bench_entry_at(i); i++)
        if (bench_chosen(bench_entry_at(i), ctx->args, (size_t)ctx->n_args)) {
            rc = run_one(ctx, cfg, bench_entry_at(i), bc, d);
            n += rc == 0;
        }
    if (bc->tmp && dune_path_is_dir(tmp))
        bench_peer_run(&gone, rm, 60);
    dune_mem_free(tmp);
    if (rc == 0 && ctx->json)
        print_json(ctx, cfg, n);
    return rc;
}

/* The way from the report to the results: both are inside the repository, so ".." and their names do. */
static int write_report(struct cli_ctx *ctx, const struct config *cfg, struct dune_diag *d)
{
    char *images = strchr(cfg->report, '/') && cfg->out[0] != '/' ? dune_mem_printf("../%s", cfg->out) : dune_mem_strdup(cfg->out);
    int rc = bench_report(cfg->out, images, cfg->report, d);

    dune_mem_free(images);
    if (rc == 0)
        cli_note(ctx, "wrote %s", cfg->report);
    return rc;
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    struct config *cfg = config;
    struct bench_cfg bc = {.quick = cfg->quick || ctx->effort == CLI_QUICK, .whole = cfg->whole, .rounds = cfg->rounds, .threads = ctx->threads,
                           .seed = ctx->seed, .program = ctx->program, .say = cli_note_text, .say_ctx = ctx};
    int rc;

    if (cfg->list) {
        print_list(ctx);
        return 0;
    }
    if ((cfg->report || cfg->report_only) && !(cfg->out && cfg->report))
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "a report needs --report FILE and --output DIR with the results");
    bc.data = cfg->data ? cfg->data : getenv("DUNE_SHARED_DATA");
    bc.peers = dune_path_is_dir(cfg->peers) ? cfg->peers : NULL;
    if (!cfg->data && !bc.data && dune_path_is_dir("../shared/data"))
        bc.data = "../shared/data";
    rc = check_names(ctx, d);
    if (rc == 0 && !cfg->report_only)
        rc = run_all(ctx, cfg, &bc, d);
    if (rc == 0 && cfg->report)
        rc = write_report(ctx, cfg, d);
    return rc;
}

const struct cli_command cmd_bench = {
    .name = "bench",
    .summary = "speed of the stages on this machine",
    .args = "[NAME...]",
    .min_args = 0,
    .max_args = -1,
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description =
        "Measures the stages beside the peers that are installed: everyone gets the same input, in turns, in\n"
        "the same minutes; medians, minima, maxima and ratios are printed. NAME is a benchmark, a group\n"
        "(forest) or a pattern (forest.*); without one all are run, in a quarter of an hour on two free cores.\n"
        "\n"
        "Peers are ordinary programs that bench/peers starts; one that is not installed is named, not an error.\n",
    .examples = "dunectl bench --list\n"
                "dunectl bench forest --quick\n"
                "dunectl bench -o bench/results --report docs/performance.md\n",
    .run = run,
};
