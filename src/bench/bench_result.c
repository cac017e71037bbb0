/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench_int.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct bench_case *find_case(const struct bench_result *r, const char *title)
{
    for (size_t i = 0; i < r->cases.len; i++)
        if (strcmp(r->cases.data[i].title, title) == 0)
            return &r->cases.data[i];
    return NULL;
}

static struct bench_row *find_row(const struct bench_case *c, const char *who)
{
    for (size_t i = 0; c && i < c->row.len; i++)
        if (strcmp(c->row.data[i].who, who) == 0)
            return &c->row.data[i];
    return NULL;
}

struct bench_samples *bench_find_samples(const struct bench_row *row, const char *quantity)
{
    for (size_t i = 0; row && i < row->q.len; i++)
        if (strcmp(row->q.data[i].quantity, quantity) == 0)
            return &row->q.data[i];
    return NULL;
}

struct bench_row *bench_make_row(struct bench_result *r, const char *title, const char *who)
{
    struct bench_case *c = find_case(r, title);
    struct bench_row *row;

    if (!c) {
        DUNE_VEC_PUSH(&r->cases, ((struct bench_case){.title = dune_mem_strdup(title)}));
        c = &r->cases.data[r->cases.len - 1];
    }
    row = find_row(c, who);
    if (row)
        return row;
    DUNE_VEC_PUSH(&c->row, ((struct bench_row){.who = dune_mem_strdup(who)}));
    return &c->row.data[c->row.len - 1];
}

struct bench_samples *bench_make_samples(struct bench_result *r, const char *title, const char *who,
                                         const char *quantity, enum bench_better better)
{
    struct bench_row *row = bench_make_row(r, title, who);
    struct bench_samples *q = bench_find_samples(row, quantity);

    if (q)
        return q;
    DUNE_VEC_PUSH(&row->q, ((struct bench_samples){.quantity = dune_mem_strdup(quantity), .better = better}));
    return &row->q.data[row->q.len - 1];
}

struct bench_series *bench_make_series(struct bench_result *r, const char *curve, const char *x_label,
                                       const char *y_label, const char *series)
{
    struct bench_curve *c = NULL;

    for (size_t i = 0; i < r->curves.len && !c; i++)
        c = strcmp(r->curves.data[i].title, curve) == 0 ? &r->curves.data[i] : NULL;
    if (!c) {
        DUNE_VEC_PUSH(&r->curves, ((struct bench_curve){.title = dune_mem_strdup(curve),
                                                        .x_label = dune_mem_strdup(x_label),
                                                        .y_label = dune_mem_strdup(y_label)}));
        c = &r->curves.data[r->curves.len - 1];
    }
    for (size_t i = 0; i < c->series.len; i++)
        if (strcmp(c->series.data[i].name, series) == 0)
            return &c->series.data[i];
    DUNE_VEC_PUSH(&c->series, ((struct bench_series){.name = dune_mem_strdup(series)}));
    return &c->series.data[c->series.len - 1];
}

static void free_case(struct bench_case *c)
{
    for (size_t i = 0; i < c->row.len; i++) {
        struct bench_row *row = &c->row.data[i];

        for (size_t k = 0; k < row->q.len; k++) {
            dune_mem_free(row->q.data[k].quantity);
            DUNE_VEC_FREE(&row->q.data[k].v);
        }
        DUNE_VEC_FREE(&row->q);
        dune_mem_free(row->who);
        dune_mem_free(row->skip);
    }
    DUNE_VEC_FREE(&c->row);
    dune_mem_free(c->title);
}

static void free_curve(struct bench_curve *c)
{
    for (size_t i = 0; i < c->series.len; i++) {
        DUNE_VEC_FREE(&c->series.data[i].x);
        DUNE_VEC_FREE(&c->series.data[i].y);
        dune_mem_free(c->series.data[i].name);
    }
    DUNE_VEC_FREE(&c->series);
    dune_mem_free(c->title);
    dune_mem_free(c->x_label);
    dune_mem_free(c->y_label);
}

void bench_result_free(struct bench_result *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->cases.len; i++)
        free_case(&r->cases.data[i]);
    for (size_t i = 0; i < r->curves.len; i++)
        free_curve(&r->curves.data[i]);
    for (size_t i = 0; i < r->goals.len; i++)
        dune_mem_free(r->goals.data[i].text);
    for (size_t i = 0; i < r->notes.len; i++)
        dune_mem_free(r->notes.data[i]);
    DUNE_VEC_FREE(&r->cases);
    DUNE_VEC_FREE(&r->curves);
    DUNE_VEC_FREE(&r->goals);
    DUNE_VEC_FREE(&r->notes);
    dune_mem_free(r->name);
    dune_mem_free(r->what);
    dune_mem_free(r->command);
    dune_mem_free(r->machine);
    dune_mem_free(r->build);
    dune_mem_free(r->when);
    dune_mem_free(r);
}

/* --- figures --------------------------------------------------------------------------------------- */
static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

struct bench_spread bench_spread_of(const double *v, size_t n)
{
    struct bench_spread s = {NAN, NAN, NAN, n};
    double *sorted;

    if (!n)
        return s;
    sorted = dune_mem_alloc(n, sizeof(*sorted));
    memcpy(sorted, v, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), by_value);
    s.min = sorted[0];
    s.max = sorted[n - 1];
    s.median = n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
    dune_mem_free(sorted);
    return s;
}

/* Runs of one round were made one after the other, so that load on the machine hits both. */
struct bench_spread bench_ratio_rows(const struct bench_samples *ours, const struct bench_samples *peer)
{
    size_t n = ours && peer ? DUNE_MIN(ours->v.len, peer->v.len) : 0, used = 0;
    double *ratio = DUNE_NEW_N(double, n + 1);
    struct bench_spread s;

    for (size_t i = 0; i < n; i++) {
        double better = ours->better == BENCH_HIGHER ? ours->v.data[i] : peer->v.data[i];
        double worse = ours->better == BENCH_HIGHER ? peer->v.data[i] : ours->v.data[i];

        if (worse > 0)
            ratio[used++] = better / worse;
    }
    s = bench_spread_of(ratio, used);
    dune_mem_free(ratio);
    return s;
}

void bench_digits(char *out, size_t out_bytes, double v)
{
    double a = fabs(v);

    if (!isfinite(v))
        snprintf(out, out_bytes, "-");
    else if (a >= 100 || v == floor(v))
        snprintf(out, out_bytes, "%.0f", v);
    else
        snprintf(out, out_bytes, a >= 10 ? "%.1f" : a >= 1 ? "%.2f" : a >= 0.01 ? "%.3f" : "%.2g", v);
}

static bool reaches(const struct bench_goal *g, double limit)
{
    return g->at_least ? g->value >= limit : g->value <= limit;
}

const char *bench_goal_state(const struct bench_goal *g)
{
    if (!isfinite(g->value))
        return "not measured";
    if (isfinite(g->goal) && reaches(g, g->goal))
        return "met";
    if (isfinite(g->bar))
        return !reaches(g, g->bar) ? "missed" : isfinite(g->goal) ? "bar met, goal missed" : "met";
    return isfinite(g->goal) ? "missed" : NULL;
}

/* --- what a benchmark calls ------------------------------------------------------------------------ */
void bench_add(struct bench *b, const char *title, const char *who, const char *quantity,
               enum bench_better better, double value)
{
    struct bench_samples *q = bench_make_samples(b->result, title, who, quantity, better);

    DUNE_VEC_PUSH(&q->v, value);
}

static char *format(const char *fmt, va_list ap)
{
    char text[1024];

    vsnprintf(text, sizeof(text), fmt, ap);
    return dune_mem_strdup(text);
}

void bench_skip(struct bench *b, const char *title, const char *who, const char *fmt, ...)
{
    struct bench_row *row = bench_make_row(b->result, title, who);
    va_list ap;

    if (row->skip)
        return;
    va_start(ap, fmt);
    row->skip = format(fmt, ap);
    va_end(ap);
}

void bench_note(struct bench *b, const char *fmt, ...)
{
    va_list ap;
    char *text;

    va_start(ap, fmt);
    text = format(fmt, ap);
    va_end(ap);
    DUNE_VEC_PUSH(&b->result->notes, text);
}

static void add_goal(struct bench *b, const char *text, bool at_least, double value, double bar, double goal)
{
    DUNE_VEC_PUSH(&b->result->goals, ((struct bench_goal){.text = dune_mem_strdup(text), .at_least = at_least, .value = value,
                                                          .bar = bar > 0 ? bar : NAN, .goal = goal > 0 ? goal : NAN}));
}

void bench_goal_min(struct bench *b, const char *text, double value, double bar, double goal)
{
    add_goal(b, text, true, value, bar, goal);
}

void bench_goal_max(struct bench *b, const char *text, double value, double bar, double goal)
{
    add_goal(b, text, false, value, bar, goal);
}

void bench_point(struct bench *b, const char *curve, const char *x_label, const char *y_label,
                 const char *series, double x, double y)
{
    struct bench_series *s = bench_make_series(b->result, curve, x_label, y_label, series);

    DUNE_VEC_PUSH(&s->x, x);
    DUNE_VEC_PUSH(&s->y, y);
}

struct bench_spread bench_spread(const struct bench *b, const char *title, const char *who, const char *quantity)
{
    const struct bench_samples *q = bench_find_samples(find_row(find_case(b->result, title), who), quantity);

    return q ? bench_spread_of(q->v.data, q->v.len) : bench_spread_of(NULL, 0);
}

double bench_median(const struct bench *b, const char *title, const char *who, const char *quantity)
{
    return bench_spread(b, title, who, quantity).median;
}

struct bench_spread bench_ratio(const struct bench *b, const char *title, const char *ours, const char *peer,
                                const char *quantity)
{
    const struct bench_case *c = find_case(b->result, title);

    return bench_ratio_rows(bench_find_samples(find_row(c, ours), quantity),
                            bench_find_samples(find_row(c, peer), quantity));
}
