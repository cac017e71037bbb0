/* SPDX-License-Identifier: Apache-2.0 */
/* The blocks of the chain: what is in them, what each is worth, how they mix, their order. */
#include <math.h>
#include <string.h>

#include "report/report_int.h"

enum { CLASSES_NAMED = 12 };

static void blocks_table(const struct report_solution *s, struct report_doc *d)
{
    static const char *const heads[] = {"sub-model", "device", "classes", "features", ">leaves", ">n", ">worth, points"};
    const struct dune_plan *p = s->plan;

    report_table(d, "Sub-models in chain order. n: the packet whose answer holds for the rest of the flow; worth: what the chain loses "
                    "without it, out of fold", DUNE_ARRAY_LEN(heads), heads);
    for (uint32_t k = 0; k < p->n_submodels && k < 32; k++) {
        const struct dune_submodel *sub = &p->sub[k];
        const json_t *note = json_array_get(json_object_get(s->notes, "blocks"), sub->id);
        struct dune_buf classes = {0}, features = {0};
        uint32_t leaves = 0;

        if (sub->n_classes == p->n_classes)
            dune_buf_printf(&classes, "all %u", p->n_classes);
        for (uint32_t i = 0; sub->n_classes < p->n_classes && i < sub->n_classes && i < CLASSES_NAMED; i++)
            dune_buf_printf(&classes, "%s%s", i ? ", " : "", p->cls[sub->cls[i] - 1].name);
        if (sub->n_classes > CLASSES_NAMED && sub->n_classes < p->n_classes)
            dune_buf_printf(&classes, " and %u more", sub->n_classes - CLASSES_NAMED);
        for (uint32_t i = 0; i < sub->n_feats; i++)
            dune_buf_printf(&features, "%s%s", i ? ", " : "", dune_catalog[sub->feat[i].feat].name);
        for (uint32_t t = 0; t < sub->n_trees; t++)
            leaves += sub->tree[t].n_leaves;
        report_cell(d, "%u", sub->id);
        report_cell(d, "%s", p->device[sub->device].name);
        report_cell(d, "%s", classes.data ? classes.data : "");
        report_cell(d, "%s", features.data ? features.data : "");
        report_cell(d, "%u", leaves);
        report_cell(d, "%u", sub->n);
        report_cell(d, "%s", p->n_submodels > 1 ? report_points(report_number(note, "worth")) : "-");
        dune_buf_fini(&classes);
        dune_buf_fini(&features);
    }
    report_table_end(d);
}

static void worth_figure(const struct report_solution *s, struct report_doc *d)
{
    const json_t *list = json_object_get(s->notes, "blocks"), *b;
    struct chart_bar bar[DUNE_MAX_SUBMODELS];
    char name[DUNE_MAX_SUBMODELS][24];
    struct chart_bars c = {.title = "Drop one: what each sub-model is worth", .unit = "points of macro F1, out of fold", .bar = bar,
                           .decimals = 1, .desc = "Points of macro F1 that the chain loses without each sub-model."};
    struct dune_buf svg = {0};
    size_t i;

    json_array_foreach(list, i, b) {
        if (i == DUNE_MAX_SUBMODELS)
            break;
        snprintf(name[i], sizeof(name[i]), "sub-model %zu", i);
        bar[c.n++] = (struct chart_bar){name[i], 100 * report_number(b, "worth"), 0};
    }
    chart_bars_svg(&svg, &c);
    report_figure(d, "worth", "What the chain loses in macro F1 when a sub-model is taken out and its classes stay unclaimed or go to "
                              "others, on flows that the models had not seen.", &svg);
}

static bool confusion_figure(const struct report_solution *s, struct report_doc *d)
{
    struct report_confusion c = {0};
    char text[DUNE_MAX_SUBMODELS][24];
    const char *name[DUNE_MAX_SUBMODELS + 1];
    int *block;
    double *v, sum[DUNE_MAX_SUBMODELS] = {0};
    unsigned n = 0;
    struct dune_buf svg = {0};

    if (!s->scored || !report_confusion_read(&c, s))
        return false;
    block = DUNE_NEW_N(int, c.n_classes + 1);
    n = report_block_of(s, &c, block);
    v = DUNE_NEW_N(double, (size_t)n * (n + 1) + 1);
    block[c.n_classes] = -1;
    for (size_t i = 0; n && i < c.n; i++) {
        int row = block[c.cell[i].truth], col = block[c.cell[i].said];

        if (row < 0)
            continue;
        v[(unsigned)row * (n + 1) + (col < 0 ? n : (unsigned)col)] += c.cell[i].flows;
        sum[row] += c.cell[i].flows;
    }
    for (size_t i = 0; i < (size_t)n * (n + 1); i++)
        v[i] = sum[i / (n + 1)] > 0 ? v[i] / sum[i / (n + 1)] : NAN;
    for (unsigned k = 0; k < n; k++) {
        snprintf(text[k], sizeof(text[k]), "sub-model %u", s->plan->sub[k].id);
        name[k] = text[k];
    }
    name[n] = "no claim";
    if (n) {
        chart_heat_svg(&svg, &(struct chart_heat){
            .title = "Confusion between blocks, %", .desc = "Rows are the blocks of the true classes, columns those of the classes said.",
            .row_label = "block of the true class", .col_label = "block of the class said", .unit = "of the row's flows", .n_rows = n,
            .n_cols = n + 1, .row = name, .col = name, .v = v, .max = 1, .root = true, .percent = 1});
        report_figure(d, "confusion", "Percent of the test flows of each block's classes by the block whose class the chain gave them.", &svg);
    }
    report_confusion_fini(&c);
    dune_mem_free(block);
    dune_mem_free(v);
    return n > 0;
}

static void order_part(const struct report_solution *s, struct report_doc *d)
{
    const struct dune_plan *p = s->plan;
    const json_t *work = json_object_get(s->notes, "work");
    struct dune_buf order = {0};

    for (uint32_t k = 0; k < p->n_submodels && k < 32; k++)
        dune_buf_printf(&order, "%s%u", k ? ", " : "", p->sub[k].id);
    report_head(d, "Order, and why");
    report_para(d, "The sub-models stand in the order %s.", order.data);
    dune_buf_fini(&order);
    if (p->claim == DUNE_CLAIM_VOTES)
        report_para(d, "Votes of all devices are added up, so the order changes nothing.");
    else if (p->claim == DUNE_CLAIM_FIRST)
        report_para(d, "The first sub-model that answers one of its own classes claims the packet, so the order matters: it was chosen by "
                       "the method that the section on the steps describes.");
    else if (p->early_exit > 255)
        report_para(d, "The answer with the highest confidence wins, whoever gives it, and nobody exits early: every order gives the same "
                       "verdicts. This one is that of the blocks.");
    else
        report_para(d, "The answer with the highest confidence wins; one of confidence %u or more ends the chain. The order is the one in "
                       "which a packet asks the fewest sub-models at no cost in F1 on the folds: %s of %u, mean over packets.",
                    p->early_exit, report_fixed(report_number(work, "submodels_asked"), 2), p->n_submodels);
}

static void candidates_table(const struct report_solution *s, struct report_doc *d)
{
    static const char *const heads[] = {"candidate", ">sub-models", ">macro F1", ">points over one device", ">standard error", "taken"};
    const json_t *list = json_object_get(s->notes, "candidates"), *c;
    size_t i;

    if (!json_array_size(list))
        return;
    report_table(d, "The finalists, judged out of fold", DUNE_ARRAY_LEN(heads), heads);
    json_array_foreach(list, i, c) {
        report_cell(d, "%s", report_string(c, "candidate"));
        report_cell(d, "%s", report_count(report_number(c, "submodels")));
        report_cell(d, "%s", report_f1(report_number(c, "macro")));
        report_cell(d, "%s", i ? report_points(report_number(c, "gain")) : "-");
        report_cell(d, "%s", i ? report_percent(report_number(c, "standard_error")) : "-");
        report_cell(d, "%s", json_is_true(json_object_get(c, "taken")) ? "yes" : json_object_get(c, "barred") ? report_string(c, "barred") : "no");
    }
    report_table_end(d);
}

static void resolved_table(const struct report_solution *s, struct report_doc *d)
{
    static const char *const heads[] = {"sub-model", "true class", "taken for", ">flows on one device", ">flows now"};
    const json_t *b, *m;
    size_t i, k, rows = 0;

    json_array_foreach(json_object_get(s->notes, "blocks"), i, b)
        rows += json_array_size(json_object_get(b, "resolves"));
    if (!rows)
        return;
    report_table(d, "Mistakes of the best single device that the chain makes less often, out of fold", DUNE_ARRAY_LEN(heads), heads);
    rows = 0;
    json_array_foreach(json_object_get(s->notes, "blocks"), i, b)
        json_array_foreach(json_object_get(b, "resolves"), k, m) {
            if (k == 3 || rows++ >= 30)
                break;
            report_cell(d, "%s", report_fixed(report_number(b, "id"), 0));
            report_cell(d, "%s", report_string(m, "class"));
            report_cell(d, "%s", report_string(m, "taken_for"));
            report_cell(d, "%s", report_fixed(report_number(m, "one_device_flows"), 1));
            report_cell(d, "%s", report_fixed(report_number(m, "flows"), 1));
        }
    report_table_end(d);
}

void report_blocks(const struct report *r, struct report_doc *d)
{
    const struct report_solution *s = r->chain >= 0 ? &r->sol[r->chain] : NULL;
    bool mixed, own = s && json_is_array(json_object_get(json_array_get(json_object_get(s->notes, "blocks"), 0), "resolves"));

    if (!s || !s->plan || !s->plan->n_submodels) {
        report_lack(d, "blocks: there is no plan with sub-models in plans/.");
        return;
    }
    blocks_table(s, d);
    if (s->plan->n_submodels == 1) {
        report_lack(d, "drop-one contributions, confusion between blocks, order: the chain is one sub-model.");
    } else {
        report_row(d, true);
        if (own)
            worth_figure(s, d);
        mixed = confusion_figure(s, d);
        report_row(d, false);
        if (!own)
            report_lack(d, "drop-one contributions: choice/%s.json has no notes of the planner.", s->name);
        if (!mixed)
            report_lack(d, "confusion between blocks: %s.", s->scored ? "all sub-models know the same classes" : "the test captures were not read");
        order_part(s, d);
    }
    candidates_table(s, d);
    resolved_table(s, d);
}
