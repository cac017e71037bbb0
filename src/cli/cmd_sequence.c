/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "dune/submodel_set.h"

#include <math.h>
#include <string.h>

enum { METHOD_LOP, METHOD_END_TO_END };

struct config {
    const char *confusion, *f1, *out;
    unsigned method, claim, fallback;
    uint32_t early_exit;
};

static const struct cli_option options[] = {
    {"confusion", 'c', CLI_STR, offsetof(struct config, confusion), "C.csv", NULL,
     "block, then one column per answering sub-model"},
    {"f1", 'f', CLI_STR, offsetof(struct config, f1), "F.csv", NULL, "block,f1 in percent"},
    {"method", 'm', CLI_CHOICE, offsetof(struct config, method), "lop|end-to-end", NULL,
     "least confusion passed on, or the best chained score (default: end-to-end, from CSV files lop)"},
    {"claim", 0, CLI_CHOICE, offsetof(struct config, claim), "first|best", NULL,
     "first or best claim wins (default: best, with --method lop first)"},
    {"early-exit", 0, CLI_U32, offsetof(struct config, early_exit), "CONF", "256",
     "with --claim best: claims of this confidence are final at once, 256: none", .max = 256},
    {"fallback", 0, CLI_CHOICE, offsetof(struct config, fallback), "none|best", "none",
     "with --claim best: what becomes of packets that no sub-model claims"},
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

/* The order of a table, given as a confusion and an F1 per block. */
static int order_tables(struct cli_ctx *ctx, const struct config *cfg, struct dune_diag *d)
{
    struct problem p = {0};
    struct dune_order order;
    int rc = dune_sequence_read(cfg->confusion, cfg->f1, &p.n, &p.names, &p.confusion, &p.f1, d);

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

/* --- sub-models and rows ------------------------------------------------------------------------------ */

static void cell_order(struct cli_table *t, const struct dune_submodel_set *s, const struct dune_order *o)
{
    struct dune_buf b = {0};

    for (uint32_t i = 0; i < o->n; i++)
        dune_buf_printf(&b, "%s%u", i ? " " : "", s->sub[o->order[i]].id);
    cli_table_cell(t, "%s", b.data);
    dune_buf_fini(&b);
}

static void print_set(struct cli_ctx *ctx, const struct dune_submodel_set *s, const struct dune_submodel_sequence *q,
                      const struct dune_submodel_sequence with[2])
{
    struct cli_table t;

    cli_out(ctx, "method %s, claim %s: %u sub-models, objective %.6f, ", q->lop ? "lop" : "end-to-end",
            q->claim == DUNE_CLAIM_FIRST ? "first" : "best", s->n, q->order.objective);
    if (!q->order.optimal)
        cli_out(ctx, "by insertion, not proven\n\n");
    else if (q->order.ties == UINT64_MAX)
        cli_out(ctx, "2^64 or more optimal orders\n\n");
    else
        cli_out(ctx, "%llu optimal order%s\n\n", (unsigned long long)q->order.ties, q->order.ties == 1 ? "" : "s");
    cli_table_init(&t, 4, (const char *[]){">place", ">block", ">F1", "classes"});
    for (uint32_t i = 0; i < s->n; i++) {
        const struct dune_submodel_entry *e = &s->sub[q->order.order[i]];
        struct dune_buf names = {0};

        for (uint32_t c = 0; c < e->fit->n_classes; c++)
            dune_buf_printf(&names, "%s%s", c ? ", " : "", s->class_name[e->fit->cls[c]]);
        cli_table_cell(&t, "%u", i + 1);
        cli_table_cell(&t, "%u", e->id);
        cli_table_cell(&t, "%.3f", 100 * e->chosen.macro_f1);
        cli_table_cell(&t, "%s", names.data);
        dune_buf_fini(&names);
    }
    cli_print_table(ctx, &t);
    cli_out(ctx, "\n");
    cli_table_init(&t, 4, (const char *[]){"best by", ">lop cost", ">chained F1", "order"});
    for (int i = 0; i < 2; i++) {
        if (!with[i].order.n)
            continue;
        cli_table_cell(&t, "%s", i ? "end-to-end" : "lop");
        cli_table_cell(&t, "%.6f", with[i].lop_cost);
        cli_table_cell(&t, "%.3f", 100 * with[i].chained_macro);
        cell_order(&t, s, &with[i].order);
    }
    cli_print_table(ctx, &t);
}

/* The part of sequence.json that is about the order. */
static void print_set_json(struct cli_ctx *ctx, const struct dune_submodel_set *s,
                           const struct dune_submodel_sequence *q)
{
    char *names[DUNE_MAX_SUBMODELS];
    struct dune_buf text = {0};

    for (uint32_t i = 0; i < s->n; i++)
        names[i] = dune_mem_printf("%u", s->sub[i].id);
    dune_sequence_format(&q->order, q->lop ? "lop" : "end-to-end", names, &text.data, &text.len);
    cli_write_json(ctx, &text);
    for (uint32_t i = 0; i < s->n; i++)
        dune_mem_free(names[i]);
    dune_buf_fini(&text);
}

static int order_set(struct cli_ctx *ctx, const struct config *cfg, struct dune_diag *d)
{
    struct dune_submodel_sequence q = {0}, with[2];
    struct dune_submodel_set *s = NULL;
    struct dune_dataset *ds = NULL;
    int rc = dune_submodels_read(&s, NULL, ctx->args[0], d);

    q.lop = cli_given(ctx, "method") && cfg->method == METHOD_LOP;
    q.claim = cli_given(ctx, "claim") ? (enum dune_claim_rule)cfg->claim : q.lop ? DUNE_CLAIM_FIRST : DUNE_CLAIM_BEST;
    q.early_exit = (uint16_t)cfg->early_exit;
    q.fallback = (enum dune_fallback)cfg->fallback;
    if (!rc && q.claim == DUNE_CLAIM_FIRST && (q.early_exit != 256 || q.fallback != DUNE_FALLBACK_NONE))
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "--early-exit and --fallback need --claim best");
    if (!rc)
        rc = dune_dataset_read(&ds, ctx->args[1], d);
    if (!rc)
        rc = dune_submodels_order(&q, with, s, ds, ctx->threads, d);
    if (rc == DUNE_E_INPUT && d && !d->file[0])
        snprintf(d->file, sizeof(d->file), "%s", ctx->args[1]);
    if (!rc && cfg->out)
        rc = dune_submodels_write(s, &q, cfg->out, d);
    if (!rc && ctx->json)
        print_set_json(ctx, s, &q);
    else if (!rc && !ctx->quiet)
        print_set(ctx, s, &q, with);
    if (!rc && cfg->out)
        cli_note(ctx, "wrote %s", cfg->out);
    dune_dataset_free(ds);
    dune_submodel_set_free(s);
    return rc;
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    struct config *cfg = config;

    if (ctx->n_args && (cfg->confusion || cfg->f1))
        return dune_diag_set(d, DUNE_E_USAGE, NULL,
                             "either SUBMODELS.json ROWS.dset or --confusion and --f1");
    if (ctx->n_args == 1)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "an argument is missing: SUBMODELS.json ROWS.dset");
    if (ctx->n_args)
        return order_set(ctx, cfg, d);
    if (!cfg->confusion || !cfg->f1)
        return dune_diag_set(d, DUNE_E_USAGE, NULL,
                             "SUBMODELS.json and ROWS.dset, or --confusion C.csv and --f1 F.csv are needed");
    if (cfg->method == METHOD_END_TO_END || cli_given(ctx, "claim") || cli_given(ctx, "early-exit") ||
        cli_given(ctx, "fallback"))
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "only sub-models and rows have a chained score; a confusion has "
                             "none: --method lop");
    return order_tables(ctx, cfg, d);
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
        "Orders the sub-models, first to last, on the validation split of the train flows.\n"
        "\n"
        "end-to-end takes the order whose chain has the best macro F1: of up to 8 sub-models every order is\n"
        "scored, above that by insertion. With --claim best and no --early-exit all orders score the same.\n"
        "\n"
        "lop takes the confusion between blocks (row: true block, column: answering sub-model, answers Other\n"
        "left out) and the F1 of every sub-model, and minimises what the sub-models claim wrongly before the\n"
        "right one is asked. It is exact up to 24 blocks, and also orders two CSV files.\n"
        "\n"
        "Of several optimal orders the lexicographically smallest is given, and how many there are.\n",
    .examples = "dunectl sequence submodels.json rows.dset -o sequence.json\n"
                "dunectl sequence submodels.json rows.dset --method lop --claim first -o sequence.json\n"
                "dunectl sequence --confusion C.csv --f1 F.csv -o sequence.json\n",
    .run = run,
};
