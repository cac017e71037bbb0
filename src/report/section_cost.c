/* SPDX-License-Identifier: Apache-2.0 */
/* What F1 costs: solutions by table rows, and the front of plan --pareto. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/report_int.h"

enum { MAX_FRONT = 64 };

struct cost {
    const char *name;
    double rows, macro, leaves;
};

static int by_rows(const void *a, const void *b)
{
    const struct cost *x = a, *y = b;

    if (x->rows != y->rows)
        return x->rows < y->rows ? -1 : 1;
    return (x->macro < y->macro) - (x->macro > y->macro);
}

static size_t list_costs(const struct report *r, struct cost *out)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n; i++) {
        const struct report_solution *s = &r->sol[i];
        struct cost c = {s->name, 0, s->scored ? report_flow(s, "macro") : report_number(s->made, "train_macro"), 0};

        if (!s->plan || !s->devices || !(c.macro > 0))
            continue;
        for (uint32_t k = 0; k < s->plan->n_devices; k++) {
            struct dune_resources res;

            dune_resources_estimate(s->plan, k, NULL, 2, &res);
            c.rows += res.range_rows + res.ternary_rows;
            c.leaves += res.leaves;
        }
        out[n++] = c;
    }
    qsort(out, n, sizeof(*out), by_rows);
    return n;
}

/* Solutions as points, and steps through those that nothing beats. */
static void rows_figure(const struct report *r, const struct cost *cost, size_t n, struct report_doc *d)
{
    double x[REPORT_MAX_SOLUTIONS + 1], y[REPORT_MAX_SOLUTIONS + 1], best = 0;
    struct chart c = {.title = "Macro F1 against table rows", .x_label = "rows of all feature and code tables of the chain",
                      .y_label = r->final ? "macro F1 on test" : "macro F1 inside train", .y_share = true,
                      .desc = "One marker per solution; the steps join the solutions that no other one beats in both."};
    struct dune_buf svg = {0};
    size_t front = 0;

    for (size_t i = 0; i < n; i++)
        chart_add_kind(&c, CHART_POINTS, cost[i].name, 1, &cost[i].rows, &cost[i].macro);
    for (size_t i = 0; i < n; i++)
        if (cost[i].macro > best) {
            best = cost[i].macro;
            x[front] = cost[i].rows;
            y[front++] = best;
        }
    if (n < CHART_MAX_SERIES && front > 1)
        chart_add_kind(&c, CHART_STEP, "front", front, x, y);
    c.bare = true;
    if (r->chain >= 0)
        for (size_t i = 0; i < n; i++)
            if (strcmp(cost[i].name, r->sol[r->chain].name) == 0) {
                c.mark = cost[i].name;
                c.mark_x = cost[i].rows;
                c.mark_y = cost[i].macro;
            }
    chart_svg(&svg, &c);
    report_figure(d, "rows", "Macro F1 against the rows of all feature and code tables over all devices; steps join the solutions that no "
                             "other one beats in both. The ring is the chain.", &svg);
    chart_fini(&c);
}

static void cost_table(const struct report *r, const struct cost *cost, size_t n, struct report_doc *d)
{
    static const char *const heads[] = {"solution", ">table rows", ">leaves", ">macro F1"};

    report_table(d, r->final ? "Solutions by table rows; macro F1 on the test flows" : "Solutions by table rows; macro F1 inside train",
                 DUNE_ARRAY_LEN(heads), heads);
    for (size_t i = 0; i < n; i++) {
        report_cell(d, "%s", cost[i].name);
        report_cell(d, "%s", report_count(cost[i].rows));
        report_cell(d, "%s", report_count(cost[i].leaves));
        report_cell(d, "%s", report_f1(cost[i].macro));
    }
    report_table_end(d);
}

/* --- pareto.json ------------------------------------------------------------------------------------------- */
static void front_figure(const json_t *points, struct report_doc *d)
{
    double x[2][MAX_FRONT], y[2][MAX_FRONT];
    size_t n[2] = {0}, i;
    struct chart c = {.title = "Macro F1 against devices", .x_label = "devices that the plan needs", .y_label = "macro F1, out of fold",
                      .desc = "One plan per number of devices; the steps join those that no other one beats.", .bare = true, .y_share = true};
    struct dune_buf svg = {0};
    const json_t *p;

    json_array_foreach(points, i, p) {
        bool front = json_is_true(json_object_get(p, "front"));

        if (n[front] == MAX_FRONT)
            break;
        x[front][n[front]] = report_number(p, "used");
        y[front][n[front]++] = report_number(p, "macro");
        if (json_is_true(json_object_get(p, "chosen"))) {
            c.mark = "chosen";
            c.mark_x = report_number(p, "used");
            c.mark_y = report_number(p, "macro");
        }
    }
    chart_add_kind(&c, CHART_STEP, "front", n[1], x[1], y[1]);
    chart_add_kind(&c, CHART_POINTS, "on the front", n[1], x[1], y[1]);
    chart_add_kind(&c, CHART_POINTS, "beaten", n[0], x[0], y[0]);
    chart_svg(&svg, &c);
    report_figure(d, "front", "Plans for 1, 2, ... devices: macro F1 out of fold against the devices that each needs.", &svg);
    chart_fini(&c);
}

static void front_table(const json_t *points, struct report_doc *d)
{
    static const char *const heads[] = {">devices allowed", ">used", ">macro F1", ">leaves", ">blocks", ">state MB", "front"};
    const json_t *p;
    size_t i;

    report_table(d, "F1 against devices and resources, out of fold", DUNE_ARRAY_LEN(heads), heads);
    json_array_foreach(points, i, p) {
        if (i == MAX_FRONT)
            break;
        report_cell(d, "%s", report_count(report_number(p, "devices")));
        report_cell(d, "%s", report_count(report_number(p, "used")));
        report_cell(d, "%s", report_f1(report_number(p, "macro")));
        report_cell(d, "%s", report_count(report_number(p, "leaves")));
        report_cell(d, "%s", report_count(report_number(p, "published_blocks")));
        report_cell(d, "%s", report_fixed(report_number(p, "state_bytes") / 1e6, 1));
        report_cell(d, "%s", json_is_true(json_object_get(p, "front")) ? "yes" : "no");
    }
    report_table_end(d);
}

void report_cost(const struct report *r, struct report_doc *d)
{
    struct cost cost[REPORT_MAX_SOLUTIONS];
    size_t n = list_costs(r, cost);
    const json_t *points = json_object_get(r->pareto, "points");
    bool front = json_array_size(points) > 0;

    report_row(d, true);
    if (n)
        rows_figure(r, cost, n, d);
    if (front)
        front_figure(points, d);
    report_row(d, false);
    if (n)
        cost_table(r, cost, n, d);
    else
        report_lack(d, "F1 against table rows: no solution has a plan with sub-models and a score.");
    if (front)
        front_table(points, d);
    else
        report_lack(d, "F1 against the number of devices: there is no pareto.json (dunectl run --pareto makes it).");
}
