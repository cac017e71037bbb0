/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run_table.h"

#include <string.h>

static void final_row(struct cli_table *t, const struct dune_run_solution *s)
{
    const struct dune_replay *p = s->replay;

    cli_table_cell(t, "%.4f", p->flow.f1.macro);
    cli_table_cell(t, "%.3f-%.3f", p->flow.macro.lo, p->flow.macro.hi);
    cli_table_cell(t, "%.4f", p->flow.f1.weighted);
    cli_table_cell(t, "%.4f", p->flow.f1.micro);
    cli_table_cell(t, "%.4f", p->packet.f1.macro);
    cli_table_cell(t, "%.1f", 100 * p->flow.f1.coverage);
    cli_table_cell(t, "%.0f", p->ns_p50);
}

static void print_scores(struct cli_ctx *ctx, const struct dune_run *r, bool final)
{
    static const char *const heads[] = {"solution", ">devices", ">train macro", ">macro F1", ">95 %",
                                        ">weighted", ">micro", ">packet macro", ">claimed %", ">ns/packet"};
    struct cli_table t;

    cli_table_init(&t, final ? 10 : 3, heads);
    for (size_t i = 0; i < r->n; i++) {
        const struct dune_run_solution *s = &r->sol[i];

        cli_table_cell(&t, "%s", s->ops->name);
        cli_table_cell(&t, "%u", s->plan->n_submodels ? s->plan->n_devices : 0);
        if (s->train_macro > 0)
            cli_table_cell(&t, "%.4f", s->train_macro);
        else
            cli_table_cell(&t, "-");
        if (final)
            final_row(&t, s);
    }
    cli_print_table(ctx, &t);
}

/* The last solution of the experiment against each other one. */
static void print_differences(struct cli_ctx *ctx, const struct dune_run *r)
{
    size_t last = r->n - 1;

    for (size_t i = 0; i < last; i++) {
        struct dune_interval iv = dune_run_difference(r, last, i);

        if (!r->sol[i].plan->n_submodels)
            continue;
        cli_out(ctx, "%s over %s: %+.1f points of macro F1 (95 %%: %+.1f to %+.1f)\n", r->sol[last].ops->name,
                r->sol[i].ops->name, 100 * iv.mean, 100 * iv.lo, 100 * iv.hi);
    }
}

static void print_ablation(struct cli_ctx *ctx, const struct dune_run *r, bool final)
{
    static const char *const heads[] = {"features", ">devices", ">train macro", ">change", ">macro F1", ">change"};
    const struct dune_run_solution *first = &r->ablation[0];
    struct cli_table t;

    cli_out(ctx, "\nShortcuts: dune at quick effort, points of macro F1 against the first row.\n");
    cli_table_init(&t, final ? 6 : 4, heads);
    for (size_t i = 0; i < r->n_ablation; i++) {
        const struct dune_run_solution *s = &r->ablation[i];

        cli_table_cell(&t, "%s", s->title);
        cli_table_cell(&t, "%u", s->plan->n_devices);
        cli_table_cell(&t, "%.4f", s->train_macro);
        cli_table_cell(&t, "%+.1f", 100 * (s->train_macro - first->train_macro));
        if (final) {
            cli_table_cell(&t, "%.4f", s->replay->flow.f1.macro);
            cli_table_cell(&t, "%+.1f", 100 * (s->replay->flow.f1.macro - first->replay->flow.f1.macro));
        }
    }
    cli_print_table(ctx, &t);
}

/* What the planner's choice owes to features that may be shortcuts. */
static void print_shortcuts(struct cli_ctx *ctx, const struct dune_run *r)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct dune_run_solution *s = &r->sol[i];

        if (!s->n_shortcuts)
            continue;
        cli_out(ctx, "\nThe choice of %s fitted again, train macro: ", s->ops->name);
        for (unsigned k = 0; k < s->n_shortcuts; k++)
            cli_out(ctx, "%s%s %.4f (%+.1f)", k ? ", " : "", s->shortcut[k].features, s->shortcut[k].macro,
                    100 * s->shortcut[k].change);
        cli_out(ctx, ".\n");
    }
}

void cli_print_run(struct cli_ctx *ctx, const struct dune_run *r)
{
    bool final = r->n && r->sol[0].replay;

    if (ctx->json) {
        struct dune_buf b = {0};

        dune_run_json(r, &b);
        cli_write_json(ctx, &b);
        dune_buf_fini(&b);
        return;
    }
    cli_out(ctx, "%s: %u classes, %llu flows; at most %u leaves and %u features per device, up to %u devices\n\n",
            r->e->name, r->ds->n_classes, (unsigned long long)r->ds->n_flows, r->e->budget.leaves_sum,
            r->e->budget.features_distinct, r->e->devices);
    print_scores(ctx, r, final);
    print_shortcuts(ctx, r);
    if (r->n_ablation)
        print_ablation(ctx, r, final);
    if (!final) {
        cli_out(ctx, "\nScores inside train; the test captures were not read (--final reads them).\n");
        return;
    }
    cli_out(ctx, "\nScores of the %s, flow level unless said otherwise, read only here; intervals by "
                 "bootstrap over %s.\n", r->e->test.len ? "test captures" : "latest flows of every class, held back",
            r->groups_are_captures ? "captures" : "flows");
    if (r->n > 1)
        print_differences(ctx, r);
}
