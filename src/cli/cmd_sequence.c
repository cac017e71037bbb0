/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "dune/sequence.h"

#include <math.h>
#include <string.h>

enum { METHOD_LOP, METHOD_END_TO_END };

struct config {
    const char *confusion, *f1, *out;
    unsigned method;
};

static const struct cli_option options[] = {
    {"confusion", 'c', CLI_STR, offsetof(struct config, confusion), "C.csv", NULL,
     "block, then one column per answering sub-model"},
    {"f1", 'f', CLI_STR, offsetof(struct config, f1), "F.csv", NULL, "block,f1 in percent"},
    {"method", 'm', CLI_CHOICE, offsetof(struct config, method), "lop|end-to-end", "lop",
     "least confusion passed on, or the best chained score"},
    {"output", 'o', CLI_STR, offsetof(struct config, out), "FILE", NULL, "sequence.json"},
};

struct problem {
    uint32_t n;
    char **names;
    double *confusion, *f1;
};

static void print_text(struct cli_ctx *ctx, const struct problem *p, const struct dune_order *o)
{
    struct cli_table t;

    cli_out(ctx, "method lop: %u blocks, objective %.10g, ", o->n, o->objective);
    if (o->ties == UINT64_MAX)
        cli_out(ctx, "2^64 or more optimal orders\n\n");
    else
        cli_out(ctx, "%llu optimal order%s\n\n", (unsigned long long)o->ties, o->ties == 1 ? "" : "s");
    cli_table_init(&t, 3, (const char *[]){">place", "block", ">F1"});
    for (uint32_t i = 0; i < o->n; i++) {
        cli_table_cell(&t, "%u", i + 1);
        cli_table_cell(&t, "%s", p->names[o->order[i]]);
        cli_table_cell(&t, "%.3f", p->f1[o->order[i]]);
    }
    cli_print_table(ctx, &t);
}

static int report(struct cli_ctx *ctx, const struct config *cfg, const struct problem *p,
                  const struct dune_order *o, struct dune_diag *d)
{
    struct dune_buf text = {0};
    int rc = 0;

    dune_sequence_format(o, "lop", p->names, &text.data, &text.len);
    if (cfg->out)
        rc = dune_file_write(cfg->out, text.data, text.len, d);
    if (!rc && ctx->json)
        cli_write_json(ctx, &text);
    else if (!rc)
        print_text(ctx, p, o);
    if (!rc && cfg->out)
        cli_note(ctx, "wrote %s", cfg->out);
    dune_buf_fini(&text);
    return rc;
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    struct config *cfg = config;
    struct problem p = {0};
    struct dune_order order;
    int rc;

    if (ctx->n_args && (cfg->confusion || cfg->f1))
        return dune_diag_set(d, DUNE_E_USAGE, NULL,
                             "either SUBMODELS.json ROWS.dset or --confusion and --f1");
    if (ctx->n_args)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "ordering from sub-models and rows is not in this build; "
                             "give --confusion C.csv --f1 F.csv");
    if (!cfg->confusion || !cfg->f1)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "--confusion C.csv and --f1 F.csv are needed");
    if (cfg->method == METHOD_END_TO_END)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "--method end-to-end needs sub-models and rows");
    rc = dune_sequence_read(cfg->confusion, cfg->f1, &p.n, &p.names, &p.confusion, &p.f1, d);
    if (!rc)
        rc = dune_sequence_lop(&order, p.n, p.confusion, p.f1, d);
    if (!rc)
        rc = report(ctx, cfg, &p, &order, d);
    for (uint32_t i = 0; i < p.n; i++)
        dune_mem_free(p.names[i]);
    dune_mem_free(p.names);
    dune_mem_free(p.confusion);
    dune_mem_free(p.f1);
    return rc;
}

const struct cli_command cmd_sequence = {
    .name = "sequence",
    .summary = "the order of the sub-models",
    .args = "[SUBMODELS.json ROWS.dset]",
    .min_args = 0,
    .max_args = 2,
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description =
        "Orders the sub-models, first to last. lop takes the confusion between blocks (row: true block,\n"
        "column: answering sub-model, answers Other left out) and the F1 of every sub-model, and minimises\n"
        "what the sub-models claim wrongly before the right one is asked. It is exact up to 24 blocks; of\n"
        "several optimal orders the lexicographically smallest is given, and how many there are.\n",
    .examples = "dunectl sequence --confusion C.csv --f1 F.csv -o sequence.json\n"
                "dunectl sequence -c C.csv -f F.csv --json\n",
    .run = run,
};
