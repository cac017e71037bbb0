/* SPDX-License-Identifier: Apache-2.0 */
/* The planner's own search: what explains the classes, partitions tried, steps, finalists, sizes. From the notes of dune. */
#include <math.h>
#include <string.h>

#include "report/report_int.h"

enum { MAX_STEPS = 128, MAX_SIZES = 8 };

/* --- partitions ------------------------------------------------------------------------------------------ */
static const char *const starts[] = {"confused together", "confused apart", "random", "by the model"};

/* A step that is a partition to start from. */
static bool is_start(const char *step)
{
    for (size_t k = 0; k < DUNE_ARRAY_LEN(starts); k++)
        if (strcmp(step, starts[k]) == 0)
            return true;
    return false;
}

static void starts_figure(const json_t *search, struct report_doc *d)
{
    struct chart c = {.title = "Partitions to start from", .x_label = "sub-models", .y_label = "macro F1, folds of the search", .y_share = true,
                      .least_x = 1, .least_y = 0.02, .desc = "Chained macro F1 of every partition that was tried, by its number of blocks."};
    double x[MAX_STEPS], y[MAX_STEPS];
    struct dune_buf svg = {0};
    const json_t *s;
    size_t i, n;

    for (size_t k = 0; k < DUNE_ARRAY_LEN(starts); k++) {
        n = 0;
        json_array_foreach(search, i, s)
            if (strcmp(report_string(s, "step"), starts[k]) == 0 && n < MAX_STEPS) {
                x[n] = report_number(s, "submodels");
                y[n] = report_number(s, "macro");
                if (!(c.mark && y[n] <= c.mark_y)) {
                    c.mark = "best";
                    c.mark_x = x[n];
                    c.mark_y = y[n];
                }
                n++;
            }
        if (n)
            chart_add_kind(&c, CHART_POINTS, starts[k], n, x, y);
    }
    chart_svg(&svg, &c);
    report_figure(d, "starts", "Partitions of the classes that the search started from, for every number of devices: classes that one device "
                               "confuses together in a block, or apart, or drawn; where a model was given, also those its importance suggests. From the best, "
                               "single classes were moved on.", &svg);
    chart_fini(&c);
}

static void steps_table(const json_t *search, struct report_doc *d)
{
    static const char *const heads[] = {"step", ">sub-models", ">macro F1", ">change"};
    const json_t *s;
    double before = NAN, best = NAN;
    size_t i;

    report_table(d, "Steps of the search for blocks, on its folds; a start changes something only where it is the best so far", DUNE_ARRAY_LEN(heads),
                 heads);
    json_array_foreach(search, i, s) {
        double macro = report_number(s, "macro");

        if (i == 40)
            break;
        before = best;
        best = isnan(best) ? macro : fmax(best, macro);
        report_cell(d, "%s%s", is_start(report_string(s, "step")) ? "start: " : "", report_string(s, "step"));
        report_cell(d, "%s", report_count(report_number(s, "submodels")));
        report_cell(d, "%s", report_f1(macro));
        report_cell(d, "%s", isnan(before) ? "-" : report_points(macro - before));
    }
    report_table_end(d);
}

/* --- finalists -------------------------------------------------------------------------------------------- */
static void variants_table(const json_t *notes, struct report_doc *d)
{
    static const char *const heads[] = {"finalist", "after", ">macro F1, search", ">macro F1, judges", "taken"};
    const json_t *c, *v;
    size_t i, k;

    report_table(d, "Ways to use the devices, on the folds of the search and on those that judge, which the search has not seen",
                 DUNE_ARRAY_LEN(heads), heads);
    json_array_foreach(json_object_get(notes, "candidates"), i, c)
        json_array_foreach(json_object_get(c, "variants"), k, v) {
            bool best = fabs(report_number(v, "macro") - report_number(c, "macro")) < 5e-5;

            report_cell(d, "%s", report_string(c, "candidate"));
            report_cell(d, "%s", report_string(v, "step"));
            report_cell(d, "%s", report_f1(report_number(v, "search")));
            report_cell(d, "%s", report_f1(report_number(v, "macro")));
            report_cell(d, "%s", best && json_is_true(json_object_get(c, "taken")) ? "yes" : best ? "best of its kind" : "no");
        }
    report_table_end(d);
}

/* --- sizes --------------------------------------------------------------------------------------------------- */
static void sizes_figure(const json_t *blocks, struct report_doc *d)
{
    struct chart c = {.title = "Leaves against F1", .x_label = "leaves of the sub-model", .y_label = "macro F1 of the chain", .y_share = true,
                      .least_y = 0.02, .desc = "Macro F1 of the whole chain when one sub-model gets fewer leaves; the last point of each is the one chosen."};
    struct dune_buf svg = {0};
    const json_t *b, *p;
    size_t i, k;

    json_array_foreach(blocks, i, b) {
        double x[MAX_SIZES], y[MAX_SIZES];
        char name[32];
        size_t n = 0;

        json_array_foreach(json_object_get(b, "sizes"), k, p)
            if (n < MAX_SIZES) {
                x[n] = report_number(p, "leaves");
                y[n++] = report_number(p, "macro");
            }
        snprintf(name, sizeof(name), "sub-model %s", report_fixed(report_number(b, "id"), 0));
        if (n > 1)
            chart_add(&c, name, n, x, y);
    }
    chart_svg(&svg, &c);
    if (c.n_series)
        report_figure(d, "sizes", "What smaller sub-models would do: macro F1 of the whole chain, out of fold, when one of them gets an eighth, a "
                                  "quarter or half of its leaves. The last point of each line is the one that was chosen.", &svg);
    else
        dune_buf_fini(&svg);
    chart_fini(&c);
}

void report_search(const struct report *r, struct report_doc *d)
{
    const struct report_solution *s = report_find(r, "dune");
    const json_t *notes = s ? s->notes : NULL, *search = json_object_get(notes, "search");

    if (!search) {
        report_lack(d, "%s", notes ? "the search: choice/dune.json was made by an earlier version; the same dunectl run makes it anew."
                                   : "the search: the run has no solution dune.");
        return;
    }
    report_row(d, true);
    if (json_object_get(notes, "importance"))
        report_importance(json_object_get(notes, "importance"),
                          "Importance of each feature for each class, in the sub-model that claims the class (Gini decrease, rows sum to 100 %); "
                          "features below 1 % for every class are left out.", d);
    if (json_array_size(search))
        starts_figure(search, d);
    sizes_figure(json_object_get(notes, "blocks"), d);
    report_row(d, false);
    if (*report_string(notes, "model"))
        report_para(d, "Unconstrained model: %s; soft labels: %s.", report_string(notes, "model"), report_string(notes, "distill"));
    if (json_array_size(search))
        steps_table(search, d);
    else
        report_lack(d, "partitions: one device or one class was all there was.");
    variants_table(notes, d);
}
