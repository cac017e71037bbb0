/* SPDX-License-Identifier: Apache-2.0 */
/* Results as text, plots and docs/performance.md. */
#include "bench/bench_int.h"
#include "chart/chart.h"

#include <math.h>
#include <string.h>

void bench_result_plot(struct dune_buf *out, const struct bench_result *r, size_t i)
{
    const struct bench_curve *c = &r->curves.data[i];
    struct chart chart = {.title = c->title, .x_label = c->x_label, .y_label = c->y_label, .log_x = true, .log_y = true};
    double lo = INFINITY, hi = 0, ylo = INFINITY, yhi = 0;
    struct dune_buf svg = {0};

    for (size_t s = 0; s < c->series.len; s++)
        for (size_t k = 0; k < c->series.data[s].x.len; k++) {
            lo = fmin(lo, c->series.data[s].x.data[k]), hi = fmax(hi, c->series.data[s].x.data[k]);
            ylo = fmin(ylo, c->series.data[s].y.data[k]), yhi = fmax(yhi, c->series.data[s].y.data[k]);
        }
    chart.log_x = lo > 0 && hi / lo >= 50;
    chart.log_y = chart.log_x && ylo > 0 && yhi / ylo >= 20;
    chart.from_zero = !chart.log_y;
    for (size_t s = 0; s < c->series.len; s++)
        chart_add(&chart, c->series.data[s].name, c->series.data[s].x.len, c->series.data[s].x.data,
                  c->series.data[s].y.data);
    chart_svg(&svg, &chart);
    chart_file(out, &svg);
    dune_buf_fini(&svg);
    chart_fini(&chart);
}

/* Every quantity that some row of the case has, in order of appearance. */
static size_t quantities(const struct bench_case *c, const char **name, enum bench_better *better, size_t most)
{
    size_t n = 0, at;

    for (size_t i = 0; i < c->row.len; i++)
        for (size_t k = 0; k < c->row.data[i].q.len; k++) {
            const struct bench_samples *q = &c->row.data[i].q.data[k];

            for (at = 0; at < n && strcmp(name[at], q->quantity) != 0; at++)
                ;
            if (at == n && n < most) {
                name[n] = q->quantity;
                better[n++] = q->better;
            }
        }
    return n;
}

static void spread_text(char *out, size_t bytes, const struct bench_spread *s, const char *unit)
{
    char lo[24], mid[24], hi[24];

    bench_digits(lo, sizeof(lo), s->min);
    bench_digits(mid, sizeof(mid), s->median);
    bench_digits(hi, sizeof(hi), s->max);
    if (!s->n)
        snprintf(out, bytes, " ");
    else if (s->n == 1 || s->min == s->max)
        snprintf(out, bytes, "%s%s", mid, unit);
    else
        snprintf(out, bytes, "%s%s (%s-%s)", mid, unit, lo, hi);
}

enum { MAX_QUANTITIES = 32 }; /* columns of a table */

/* One cell: median (min-max), and behind it how many times better the first row is. */
static void cell(char *out, size_t bytes, const struct bench_case *c, size_t row, const char *quantity)
{
    const struct bench_samples *q = bench_find_samples(&c->row.data[row], quantity);
    const struct bench_samples *first = bench_find_samples(&c->row.data[0], quantity);
    struct bench_spread s, ratio;
    char value[80], times[80];

    if (!q) {
        snprintf(out, bytes, " ");
        return;
    }
    s = bench_spread_of(q->v.data, q->v.len);
    spread_text(value, sizeof(value), &s, "");
    if (row == 0 || !first || first->better == BENCH_NEITHER) {
        snprintf(out, bytes, "%s", value);
        return;
    }
    ratio = bench_ratio_rows(first, q);
    spread_text(times, sizeof(times), &ratio, "x");
    snprintf(out, bytes, "%s, %s", value, times);
}

/* A row has its own quantities only, however many the case has. */
static void case_text(struct dune_buf *out, const struct bench_case *c)
{
    char text[200];

    dune_buf_printf(out, "  %s\n", c->title);
    for (size_t i = 0; i < c->row.len; i++) {
        const struct bench_row *row = &c->row.data[i];

        if (row->skip)
            dune_buf_printf(out, "    %-22s skipped: %s\n", row->who, row->skip);
        if (row->skip && !row->q.len)
            continue;
        dune_buf_printf(out, "    %-22s", row->who);
        for (size_t k = 0; k < row->q.len; k++) {
            cell(text, sizeof(text), c, i, row->q.data[k].quantity);
            dune_buf_printf(out, " %s %s;", row->q.data[k].quantity, text);
        }
        dune_buf_puts(out, "\n");
    }
}

static void goal_text(struct dune_buf *out, const struct bench_goal *g, const char *between)
{
    char value[24], bar[24], goal[24];

    bench_digits(value, sizeof(value), g->value);
    bench_digits(bar, sizeof(bar), g->bar);
    bench_digits(goal, sizeof(goal), g->goal);
    dune_buf_printf(out, "%s%s%s%s%s%s%s%s%s", g->text, between, value, between, g->at_least ? "at least " : "at most ",
                    isfinite(g->bar) ? bar : goal, isfinite(g->bar) && isfinite(g->goal) ? ", goal " : "",
                    isfinite(g->bar) && isfinite(g->goal) ? goal : "", between);
    dune_buf_puts(out, bench_goal_state(g) ? bench_goal_state(g) : "");
}

void bench_result_text(struct dune_buf *out, const struct bench_result *r)
{
    dune_buf_printf(out, "%s: %s (%.0f s)\n", r->name, r->what, r->seconds);
    for (size_t i = 0; i < r->cases.len; i++)
        case_text(out, &r->cases.data[i]);
    for (size_t i = 0; i < r->goals.len; i++) {
        dune_buf_puts(out, "  goal: ");
        goal_text(out, &r->goals.data[i], " | ");
        dune_buf_puts(out, "\n");
    }
    for (size_t i = 0; i < r->notes.len; i++)
        dune_buf_printf(out, "  note: %s\n", r->notes.data[i]);
}

/* --- markdown -------------------------------------------------------------------------------------- */
static void case_markdown(struct dune_buf *out, const struct bench_case *c)
{
    const char *name[MAX_QUANTITIES];
    enum bench_better better[MAX_QUANTITIES];
    size_t n = quantities(c, name, better, MAX_QUANTITIES);
    char text[200];

    dune_buf_printf(out, "\n**%s**\n\n| |", c->title);
    for (size_t k = 0; k < n; k++)
        dune_buf_printf(out, " %s |", name[k]);
    dune_buf_puts(out, "\n|---|");
    for (size_t k = 0; k < n; k++)
        dune_buf_puts(out, "---|");
    dune_buf_puts(out, "\n");
    for (size_t i = 0; i < c->row.len; i++) {
        const struct bench_row *row = &c->row.data[i];

        if (row->skip && !row->q.len)
            continue;
        dune_buf_printf(out, "| %s |", row->who);
        for (size_t k = 0; k < n; k++) {
            cell(text, sizeof(text), c, i, name[k]);
            dune_buf_printf(out, " %s |", text);
        }
        dune_buf_puts(out, "\n");
    }
    for (size_t i = 0; i < c->row.len; i++)
        if (c->row.data[i].skip)
            dune_buf_printf(out, "\nNot measured: %s: %s.\n", c->row.data[i].who, c->row.data[i].skip);
}

void bench_result_markdown(struct dune_buf *out, const struct bench_result *r, const char *image_dir)
{
    dune_buf_printf(out, "\n## %s\n\nWhat: %s.\nMeasured %s%s, %.0f s: %s; %s.\nAgain: `%s`\n", r->name, r->what, r->when,
                    r->quick ? " with --quick (small inputs, few rounds)" : "", r->seconds, r->machine, r->build, r->command);
    for (size_t i = 0; i < r->cases.len; i++)
        case_markdown(out, &r->cases.data[i]);
    if (r->goals.len)
        dune_buf_puts(out, "\n| goal | measured | wanted | |\n|---|---|---|---|\n");
    for (size_t i = 0; i < r->goals.len; i++) {
        dune_buf_puts(out, "| ");
        goal_text(out, &r->goals.data[i], " | ");
        dune_buf_puts(out, " |\n");
    }
    for (size_t i = 0; i < r->curves.len; i++)
        dune_buf_printf(out, "\n![%s](%s/%s%s-%zu.svg)\n", r->curves.data[i].title, image_dir, r->name,
                        r->quick ? ".quick" : "", i + 1);
    for (size_t i = 0; i < r->notes.len; i++)
        dune_buf_printf(out, "%s* %s\n", i ? "" : "\n", r->notes.data[i]);
}

static const char intro[] =
    "# Performance\n\n"
    "This file is written by `dunectl bench --report` from the results in bench/results; do not edit it.\n"
    "`./run bench` measures again in a quarter of an hour, `./run bench --quick` in at most five minutes, `./run bench NAME...` a part\n"
    "(`./run bench --list` names them). How to read it:\n\n"
    "* Contestants of one table ran in turns, in the same minutes, on the same input. A cell is the median of the rounds\n"
    "  (minimum-maximum), then how many times better the first row is than this one, round by round, likewise.\n"
    "* Every section notes the load average when it began. Where it is above the number of cores, others used the machine\n"
    "  too: wall times are too long then, by different factors, and CPU times and ratios are what to look at.\n"
    "* Memory is the peak of a process that did nothing else. Peers that were not installed are named.\n"
    "* \"At least\" and \"at most\" are the musts, \"goal\" is what was hoped for.\n";

static void goals_overview(struct dune_buf *out, const struct bench_result *const *r, size_t n)
{
    dune_buf_puts(out, "\n## All goals\n\n| benchmark | goal | measured | wanted | |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < r[i]->goals.len; k++) {
            dune_buf_printf(out, "| %s | ", r[i]->name);
            goal_text(out, &r[i]->goals.data[k], " | ");
            dune_buf_puts(out, " |\n");
        }
}

static int read_result(struct bench_result **out, const char *path, struct dune_diag *d)
{
    char *text;
    size_t len;
    int rc = dune_file_read(path, &text, &len, d);

    if (rc)
        return rc;
    rc = bench_result_parse(out, path, text, len, d);
    dune_mem_free(text);
    return rc;
}

int bench_report(const char *dir, const char *images, const char *out, struct dune_diag *d)
{
    struct bench_result *r[256];
    struct dune_buf b = {0};
    size_t n = 0;
    int rc = 0;

    for (size_t i = 0; bench_entry_at(i) && rc == 0 && n < DUNE_ARRAY_LEN(r); i++) {
        char *path = dune_mem_printf("%s/%s.json", dir, bench_entry_at(i)->name);

        if (!dune_path_exists(path)) { /* a full run counts more than a quick one */
            dune_mem_free(path);
            path = dune_mem_printf("%s/%s.quick.json", dir, bench_entry_at(i)->name);
        }
        if (dune_path_exists(path)) {
            rc = read_result(&r[n], path, d);
            n += rc == 0;
        }
        dune_mem_free(path);
    }
    if (rc == 0 && n == 0)
        rc = dune_diag_set(d, DUNE_E_INPUT, dir, "there are no results here; run the benchmarks first");
    dune_buf_puts(&b, intro);
    goals_overview(&b, (const struct bench_result *const *)r, n);
    for (size_t i = 0; i < n; i++) {
        bench_result_markdown(&b, r[i], images);
        bench_result_free(r[i]);
    }
    if (rc == 0)
        rc = dune_file_write(out, b.data, b.len, d);
    dune_buf_fini(&b);
    return rc;
}
