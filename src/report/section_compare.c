/* SPDX-License-Identifier: Apache-2.0 */
/* Solutions beside each other. */
#include <math.h>
#include <string.h>

#include "report/report_int.h"

static void interval(const struct report_solution *s, struct chart_dot *dot)
{
    const json_t *iv = json_object_get(json_object_get(s->result, "flow"), "macro_interval");

    *dot = (struct chart_dot){report_flow(s, "macro"), report_number(iv, "lo"), report_number(iv, "hi")};
}

static void scores_figure(const struct report *r, struct report_doc *d)
{
    const char *row[REPORT_MAX_SOLUTIONS], *series = "macro F1";
    struct chart_dot dot[REPORT_MAX_SOLUTIONS];
    struct chart_dots c = {.title = "Macro F1 on the test flows", .desc = "One dot per solution with its 95 % interval.",
                           .x_label = "macro F1, flow level, with 95 % interval", .row = row, .dot = dot, .n_series = 1,
                           .series = &series, .values = true, .zero = NAN};
    struct dune_buf svg = {0};

    for (size_t i = 0; i < r->n; i++)
        if (r->sol[i].scored && r->sol[i].devices) {
            row[c.n_rows] = r->sol[i].name;
            interval(&r->sol[i], &dot[c.n_rows++]);
        }
    if (c.n_rows == 0)
        return;
    chart_dots_svg(&svg, &c);
    report_figure(d, "f1", "Macro F1 of each solution on the test flows with its 95 % bootstrap interval. Solutions without "
                           "sub-models are in the table only.", &svg);
}

/* The chain against every other solution. */
static void differences_figure(const struct report *r, struct report_doc *d)
{
    const char *row[REPORT_MAX_SOLUTIONS], *series = "difference";
    struct chart_dot dot[REPORT_MAX_SOLUTIONS];
    struct chart_dots c = {.title = "Paired differences", .desc = "Macro F1 of the chain minus that of each other solution.",
                           .x_label = "points of macro F1 over the other, 95 % interval", .row = row, .dot = dot,
                           .n_series = 1, .series = &series, .zero = 0};
    const char *chain = r->sol[r->chain].name;
    struct report_difference diff;
    struct dune_buf svg = {0};

    for (size_t i = 0; i < r->n; i++)
        if ((int)i != r->chain && r->sol[i].devices && report_diff(r, chain, r->sol[i].name, &diff)) {
            row[c.n_rows] = r->sol[i].name;
            dot[c.n_rows++] = (struct chart_dot){100 * diff.mean, 100 * diff.lo, 100 * diff.hi};
        }
    if (c.n_rows == 0)
        return;
    chart_dots_svg(&svg, &c);
    report_figure(d, "differences", "The chain minus each other solution, on the same draws of captures or flows: an interval that "
                                    "does not touch the line at 0 is a difference.", &svg);
}

static void final_table(const struct report *r, struct report_doc *d)
{
    static const char *const heads[] = {"solution", ">devices", ">macro F1", ">95 %", ">weighted", ">micro", ">packet macro",
                                        ">claimed %", ">PL %", ">FL %", ">inside train"};

    report_table(d, "Scores of the test captures: flow level unless said otherwise; PL and FL are shares of the flows' weight "
                    "answered by packet and by flow", DUNE_ARRAY_LEN(heads), heads);
    for (size_t i = 0; i < r->n; i++) {
        const struct report_solution *s = &r->sol[i];
        const json_t *flow = json_object_get(s->result, "flow");
        struct chart_dot dot;

        interval(s, &dot);
        report_cell(d, "%s", s->name);
        report_cell(d, "%u", s->devices);
        report_cell(d, "%s", report_f1(dot.v));
        report_cell(d, "%s\xe2\x80\x93%s", report_f1(dot.lo), report_f1(dot.hi));
        report_cell(d, "%s", report_f1(report_flow(s, "weighted")));
        report_cell(d, "%s", report_f1(report_flow(s, "micro")));
        report_cell(d, "%s", report_f1(report_number(json_object_get(s->result, "packet"), "macro")));
        report_cell(d, "%s", report_percent(report_flow(s, "coverage")));
        report_cell(d, "%s", report_percent(report_number(flow, "pl_share")));
        report_cell(d, "%s", report_percent(report_number(flow, "fl_share")));
        report_cell(d, "%s", report_number(s->made, "train_macro") > 0 ? report_f1(report_number(s->made, "train_macro")) : "-");
    }
    report_table_end(d);
}

static void train_table(const struct report *r, struct report_doc *d)
{
    static const char *const heads[] = {"solution", ">devices", ">macro F1 inside train", "judged by", ">candidates"};

    report_table(d, "Scores inside train, flow level", DUNE_ARRAY_LEN(heads), heads);
    for (size_t i = 0; i < r->n; i++) {
        const struct report_solution *s = &r->sol[i];

        report_cell(d, "%s", s->name);
        report_cell(d, "%u", s->devices);
        report_cell(d, "%s", report_number(s->made, "train_macro") > 0 ? report_f1(report_number(s->made, "train_macro")) : "-");
        report_cell(d, "%s", report_string(s->made, "judged_by"));
        report_cell(d, "%s", report_count(report_number(s->made, "evaluations")));
    }
    report_table_end(d);
}

/* Every pair, for whoever compares others than the chain. */
static void differences_table(const struct report *r, struct report_doc *d)
{
    static const char *const heads[] = {"solution", "over", ">points", ">95 %"};
    const json_t *rows = json_object_get(r->metrics, "differences"), *row;
    size_t i;

    if (!json_array_size(rows))
        return;
    report_table(d, "Paired differences in macro F1 on the test flows", DUNE_ARRAY_LEN(heads), heads);
    json_array_foreach(rows, i, row) {
        if (i == 100)
            break;
        report_cell(d, "%s", report_string(row, "of"));
        report_cell(d, "%s", report_string(row, "over"));
        report_cell(d, "%s", report_points(report_number(row, "macro")));
        report_cell(d, "%s to %s", report_points(report_number(row, "low")), report_points(report_number(row, "high")));
    }
    report_table_end(d);
}

void report_comparison(const struct report *r, struct report_doc *d)
{
    if (!r->final) {
        train_table(r, d);
        report_lack(d, "scores on test and paired differences: the run did not read the test captures (dunectl compare --final does).");
        return;
    }
    report_row(d, true);
    scores_figure(r, d);
    if (r->chain >= 0)
        differences_figure(r, d);
    report_row(d, false);
    final_table(r, d);
    differences_table(r, d);
}
