/* SPDX-License-Identifier: Apache-2.0 */
/* Coverage against precision; shortcuts, ablations and the learning curve. */
#include <math.h>
#include <string.h>

#include "report/report_int.h"

enum { MAX_POINTS = 256, MAX_ROWS = 24 };

static const json_t *notes_of(const struct report *r, const char *key)
{
    return r->chain >= 0 ? json_object_get(r->sol[r->chain].notes, key) : NULL;
}

/* x and y of a list of objects; returns how many. */
static size_t take(const json_t *list, const char *key, double *out)
{
    const json_t *v;
    size_t i;

    json_array_foreach(list, i, v) {
        if (i == MAX_POINTS)
            break;
        out[i] = report_number(v, key);
    }
    return DUNE_MIN(json_array_size(list), (size_t)MAX_POINTS);
}

/* --- coverage against precision -------------------------------------------------------------------------- */
static void curve_figure(const json_t *curve, struct report_doc *d)
{
    double x[MAX_POINTS], precision[MAX_POINTS], macro[MAX_POINTS], unknown[MAX_POINTS];
    struct chart c = {.title = "Coverage against precision", .x_label = "coverage: % of the flows claimed", .y_label = "precision, macro F1",
                      .y_share = true, .least_x = 10, .least_y = 0.1, .desc = "One point per threshold of confidence, the same for all classes.", .mark = "as planned"};
    struct dune_buf svg = {0};
    size_t n = take(curve, "coverage", x);

    for (size_t i = 0; i < n; i++)
        x[i] *= 100;
    take(curve, "precision", precision);
    take(curve, "macro", macro);
    chart_add(&c, "precision of claims", n, x, precision);
    chart_add(&c, "macro F1", n, x, macro);
    if (json_object_get(json_array_get(curve, 0), "false_claims")) {
        take(curve, "false_claims", unknown);
        chart_add(&c, "false claims on classes nobody learnt", n, x, unknown);
    }
    c.mark_x = x[0];
    c.mark_y = precision[0];
    chart_svg(&svg, &c);
    report_figure(d, "curve", "What a threshold on the confidence, the same for all classes, costs in coverage and gains in precision, on "
                              "flows that the models had not seen.", &svg);
    chart_fini(&c);
}

static void curve_table(const json_t *curve, struct report_doc *d)
{
    static const char *const heads[] = {">least confidence", ">coverage %", ">precision %", ">macro F1", ">false claims on unknown classes %"};
    bool unknown = json_object_get(json_array_get(curve, 0), "false_claims") != NULL;
    const json_t *v;
    double last = NAN;
    size_t i, rows = 0;

    report_table(d, "Thresholds of confidence (0 to 255) that change the coverage by a point or more, out of fold",
                 DUNE_ARRAY_LEN(heads) - !unknown, heads);
    json_array_foreach(curve, i, v) {
        double coverage = report_number(v, "coverage");

        if (i && fabs(coverage - last) < 0.01)
            continue;
        if (rows++ == MAX_ROWS)
            break;
        last = coverage;
        report_cell(d, "%s", report_fixed(report_number(v, "min_confidence"), 0));
        report_cell(d, "%s", report_percent(coverage));
        report_cell(d, "%s", report_percent(report_number(v, "precision")));
        report_cell(d, "%s", report_f1(report_number(v, "macro")));
        if (unknown)
            report_cell(d, "%s", report_percent(report_number(v, "false_claims")));
    }
    report_table_end(d);
}

static void left_out_table(const json_t *list, struct report_doc *d)
{
    static const char *const heads[] = {"class nobody learnt", ">% claimed as another", "mostly as"};
    const json_t *v;
    size_t i;

    report_table(d, "False claims on classes that were left out of training", DUNE_ARRAY_LEN(heads), heads);
    json_array_foreach(list, i, v) {
        if (i == 60)
            break;
        report_cell(d, "%s", report_string(v, "class"));
        report_cell(d, "%s", report_percent(report_number(v, "false_claims")));
        report_cell(d, "%s", report_string(v, "mostly_as"));
    }
    report_table_end(d);
}

void report_open_world(const struct report *r, struct report_doc *d)
{
    const json_t *open = notes_of(r, "open_world"), *curve = json_object_get(open, "curve");
    const json_t *reached = json_object_get(open, "reached");

    if (!json_array_size(curve)) {
        report_lack(d, "coverage against precision: the notes of the choice have no such curve.");
        return;
    }
    if (reached)
        report_para(d, "Wanted precision %s %%: %s %% reached on folds on which the thresholds were not chosen, at a coverage of %s %%.",
                    report_percent(report_number(open, "wanted_precision")), report_percent(report_number(reached, "precision")),
                    report_percent(report_number(reached, "coverage")));
    else
        report_para(d, "No threshold of confidence was asked for (dunectl plan --want-precision); this is what one would do.");
    curve_figure(curve, d);
    curve_table(curve, d);
    if (json_array_size(json_object_get(open, "left_out")))
        left_out_table(json_object_get(open, "left_out"), d);
    else
        report_lack(d, "false claims on classes that nobody learnt: the planner was not asked for them (dunectl plan --open-world, or a class "
                       "of unlabelled traffic).");
}

/* --- shortcuts, ablation ------------------------------------------------------------------------------------ */
static void change_figure(const json_t *list, const char *change, const char *name, const char *title, const char *caption,
                          struct report_doc *d)
{
    const char *row[MAX_ROWS], *series = "change";
    struct chart_dot dot[MAX_ROWS];
    struct chart_dots c = {.title = title, .x_label = "change in points of macro F1", .row = row, .dot = dot, .n_series = 1,
                           .series = &series, .zero = 0, .desc = "Change in macro F1 when features are taken away."};
    struct dune_buf svg = {0};
    const json_t *v;
    size_t i;

    json_array_foreach(list, i, v) {
        if (c.n_rows == MAX_ROWS)
            break;
        row[c.n_rows] = report_string(v, "features");
        dot[c.n_rows++] = (struct chart_dot){100 * report_number(v, change), NAN, NAN};
    }
    chart_dots_svg(&svg, &c);
    report_figure(d, name, caption, &svg);
}

static void shortcuts_part(const json_t *list, struct report_doc *d)
{
    static const char *const heads[] = {"features", ">macro F1 inside train", ">change, points"};
    const json_t *v;
    size_t i;

    report_table(d, "The same blocks and settings, fitted again without features that may be shortcuts, out of fold", DUNE_ARRAY_LEN(heads), heads);
    json_array_foreach(list, i, v) {
        if (i == MAX_ROWS)
            break;
        report_cell(d, "%s", report_string(v, "features"));
        report_cell(d, "%s", report_f1(report_number(v, "macro")));
        report_cell(d, "%s", report_points(report_number(v, "change")));
    }
    report_table_end(d);
}

static void ablation_part(const struct report *r, const json_t *list, struct report_doc *d)
{
    static const char *const heads[] = {"features", ">sub-models", ">macro F1 inside train", ">change", ">macro F1 on test", ">change"};
    const json_t *v;
    size_t i;

    report_table(d, "dune planned anew at quick effort with fewer features; changes in points against the first row",
                 DUNE_ARRAY_LEN(heads) - (r->final ? 0 : 2), heads);
    json_array_foreach(list, i, v) {
        if (i == MAX_ROWS)
            break;
        report_cell(d, "%s", report_string(v, "features"));
        report_cell(d, "%s", report_count(report_number(v, "submodels")));
        report_cell(d, "%s", report_f1(report_number(v, "train_macro")));
        report_cell(d, "%s", report_points(report_number(v, "train_change")));
        if (r->final)
            report_cell(d, "%s", report_f1(report_number(v, "flow_macro")));
        if (r->final)
            report_cell(d, "%s", report_points(report_number(v, "flow_change")));
    }
    report_table_end(d);
}

static void learning_figure(const json_t *list, struct report_doc *d)
{
    double x[MAX_POINTS], y[MAX_POINTS];
    struct chart c = {.title = "Learning curve", .x_label = "% of the training captures of each class", .y_label = "macro F1", .y_share = true,
                      .desc = "Macro F1 by the share of the training captures that was learnt from."};
    struct dune_buf svg = {0};
    size_t n = take(list, "share", x);

    take(list, "macro", y);
    for (size_t i = 0; i < n; i++)
        x[i] *= 100;
    chart_add(&c, "macro F1", n, x, y);
    chart_svg(&svg, &c);
    report_figure(d, "learning", "Macro F1 on flows not seen, by the share of the training captures that was learnt from: a curve that still "
                                 "rises says that more captures would help.", &svg);
    chart_fini(&c);
}

static void learning_table(const json_t *list, struct report_doc *d)
{
    static const char *const heads[] = {">% of the training captures", ">macro F1"};
    const json_t *v;
    size_t i;

    report_table(d, "Learning curve, out of fold", DUNE_ARRAY_LEN(heads), heads);
    json_array_foreach(list, i, v) {
        if (i == MAX_ROWS)
            break;
        report_cell(d, "%s", report_percent(report_number(v, "share")));
        report_cell(d, "%s", report_f1(report_number(v, "macro")));
    }
    report_table_end(d);
}

void report_trust(const struct report *r, struct report_doc *d)
{
    const json_t *shortcuts = notes_of(r, "shortcuts"), *ablation = json_object_get(r->metrics, "ablation");
    const json_t *learning = notes_of(r, "learning_curve");

    report_row(d, true);
    if (json_array_size(shortcuts))
        change_figure(shortcuts, "change", "shortcuts", "Without features that may be shortcuts",
                      "The chain's own blocks fitted again with the robust set, and without each feature that may tell machines apart "
                      "rather than kinds of traffic. Out of fold.", d);
    if (json_array_size(ablation))
        change_figure(ablation, r->final ? "flow_change" : "train_change", "ablation", "Planned anew with fewer features",
                      "dune planned anew at quick effort with each set of features, against all features.", d);
    if (json_array_size(learning) > 1)
        learning_figure(learning, d);
    report_row(d, false);
    if (json_array_size(shortcuts))
        shortcuts_part(shortcuts, d);
    else
        report_lack(d, "the choice without shortcuts: there are no notes of the planner with it.");
    if (json_array_size(ablation))
        ablation_part(r, ablation, d);
    else
        report_lack(d, "ablation: the run was made without --ablation.");
    if (json_array_size(learning) > 1)
        learning_table(learning, d);
    else
        report_lack(d, "learning curve: effort quick does not make one.");
}
