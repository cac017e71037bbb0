/* SPDX-License-Identifier: Apache-2.0 */
/* Lines, steps and points over number axes. */
#include "chart/chart_int.h"

#include <math.h>
#include <string.h>

/* Where the plot lies inside the picture. */
struct frame {
    const struct chart *c;
    double left, right, top, bottom;
    double x0, x1, y0, y1; /* ranges; logarithms on logarithmic axes */
};

bool chart_add(struct chart *c, const char *name, size_t n, const double *x, const double *y)
{
    return chart_add_kind(c, CHART_LINE, name, n, x, y);
}

bool chart_add_kind(struct chart *c, enum chart_kind kind, const char *name, size_t n, const double *x,
                    const double *y)
{
    struct chart_series *s;

    if (c->n_series == CHART_MAX_SERIES)
        return false;
    s = &c->series[c->n_series++];
    *s = (struct chart_series){.name = dune_mem_strdup(name), .x = DUNE_NEW_N(double, n), .y = DUNE_NEW_N(double, n),
                               .kind = kind};
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i]) || !isfinite(y[i]) || (c->log_x && x[i] <= 0) || (c->log_y && y[i] <= 0))
            continue;
        s->x[s->n] = x[i];
        s->y[s->n++] = y[i];
    }
    return true;
}

void chart_fini(struct chart *c)
{
    for (size_t i = 0; i < c->n_series; i++) {
        dune_mem_free(c->series[i].name);
        dune_mem_free(c->series[i].x);
        dune_mem_free(c->series[i].y);
    }
    c->n_series = 0;
}

static double scaled(double v, bool log_axis)
{
    return log_axis ? log10(v) : v;
}

static void find_range(const struct chart *c, bool y, double *lo, double *hi)
{
    bool log_axis = y ? c->log_y : c->log_x, any = false;

    *lo = 0, *hi = 1;
    for (size_t i = 0; i < c->n_series; i++)
        for (size_t k = 0; k < c->series[i].n; k++) {
            double v = scaled(y ? c->series[i].y[k] : c->series[i].x[k], log_axis);

            *lo = any ? fmin(*lo, v) : v;
            *hi = any ? fmax(*hi, v) : v;
            any = true;
        }
    if (y && c->from_zero && !log_axis)
        *lo = fmin(*lo, 0);
    if (*hi - *lo < 1e-12 * fmax(1, fabs(*hi))) { /* one value: give it room */
        *lo -= log_axis ? 0.5 : *lo ? fabs(*lo) / 2 : 0.5;
        *hi += log_axis ? 0.5 : *hi ? fabs(*hi) / 2 : 0.5;
    } else {
        *hi += (*hi - *lo) * 0.05;
        *lo -= y && c->from_zero ? 0 : *lo == 0 ? 0 : (*hi - *lo) * 0.04;
    }
    if (y && c->y_share && !log_axis)
        *hi = fmin(*hi, 1);
    if (!log_axis)
        *lo = fmin(*lo, *hi - (y ? c->least_y : c->least_x));
}

static double at_x(const struct frame *f, double v)
{
    return f->left + (scaled(v, f->c->log_x) - f->x0) / (f->x1 - f->x0) * (f->right - f->left);
}

static double at_y(const struct frame *f, double v)
{
    return f->bottom - (scaled(v, f->c->log_y) - f->y0) / (f->y1 - f->y0) * (f->bottom - f->top);
}

/* step 0: of a logarithmic axis */
static void tick(struct dune_buf *o, const struct frame *f, bool y, double v, double step)
{
    char text[32];

    if (step > 0)
        chart_tick(text, sizeof(text), v, step);
    else
        chart_number(text, sizeof(text), v);
    if (y) {
        chart_line(o, f->left, at_y(f, v), f->right, at_y(f, v), "g");
        chart_label(o, f->left - 6, at_y(f, v) + 4, "end", "m", text);
    } else {
        chart_line(o, at_x(f, v), f->bottom, at_x(f, v), f->bottom + 4, "a");
        chart_label(o, at_x(f, v), f->bottom + 17, "middle", "m", text);
    }
}

static void log_ticks(struct dune_buf *o, const struct frame *f, bool y, double lo, double hi)
{
    static const double within[] = {1, 2, 5};
    size_t per_decade = hi - lo < 2.5 ? 3 : 1;

    for (double p = floor(lo); p <= hi; p++)
        for (size_t i = 0; i < per_decade; i++) {
            double v = within[i] * pow(10, p);

            if (log10(v) >= lo - 1e-9 && log10(v) <= hi + 1e-9)
                tick(o, f, y, v, 0);
        }
}

static void ticks(struct dune_buf *o, const struct frame *f, bool y)
{
    double lo = y ? f->y0 : f->x0, hi = y ? f->y1 : f->x1, step;

    if (y ? f->c->log_y : f->c->log_x) {
        log_ticks(o, f, y, lo, hi);
        return;
    }
    step = chart_step(lo, hi, y ? 5 : 6);
    for (double i = ceil(lo / step - 1e-9); i * step <= hi + step * 1e-9; i++)
        tick(o, f, y, i * step, step);
}

static void draw_path(struct dune_buf *o, const struct frame *f, const struct chart_series *s, unsigned colour)
{
    dune_buf_printf(o, "<path class=\"s%u\" d=\"", colour);
    for (size_t k = 0; k < s->n; k++) {
        if (k && s->kind == CHART_STEP)
            dune_buf_printf(o, "H%.1fV%.1f", at_x(f, s->x[k]), at_y(f, s->y[k]));
        else
            dune_buf_printf(o, "%c%.1f %.1f", k ? 'L' : 'M', at_x(f, s->x[k]), at_y(f, s->y[k]));
    }
    dune_buf_puts(o, "\"/>\n");
}

static void draw_series(struct dune_buf *o, const struct frame *f, size_t i)
{
    const struct chart_series *s = &f->c->series[i];

    if (s->n > 1 && s->kind != CHART_POINTS)
        draw_path(o, f, s, (unsigned)(i % CHART_COLOURS));
    for (size_t k = 0; k < s->n && (!f->c->bare || s->kind == CHART_POINTS || s->n == 1); k++)
        chart_marker(o, (unsigned)i, at_x(f, s->x[k]), at_y(f, s->y[k]), 3.4);
}

static void draw_mark(struct dune_buf *o, const struct frame *f)
{
    double x = at_x(f, f->c->mark_x), y = at_y(f, f->c->mark_y), w = chart_text_width(f->c->mark);
    bool left = x + 12 + w > f->right + 10;

    dune_buf_printf(o, "<circle class=\"k\" cx=\"%.1f\" cy=\"%.1f\" r=\"7\"/>\n", x, y);
    chart_label(o, left ? x - 10 : x + 10, y > f->top + 24 ? y - 9 : y + 18, left ? "end" : "start", "b", f->c->mark);
}

void chart_svg(struct dune_buf *o, const struct chart *c)
{
    unsigned w = c->width ? c->width : CHART_WIDTH, h = c->height ? c->height : 290, lines;
    struct frame f = {.c = c, .left = 54, .right = w - 16.0, .bottom = h - 46.0};
    const char *name[CHART_MAX_SERIES];
    enum chart_key key[CHART_MAX_SERIES];

    for (size_t i = 0; i < c->n_series; i++) {
        name[i] = c->series[i].name;
        key[i] = c->bare && c->series[i].kind != CHART_POINTS ? CHART_KEY_LINE : CHART_KEY_MARKER;
    }
    lines = c->n_series > 1 ? chart_legend(NULL, 8, 0, w - 16.0, c->n_series, name, key, false) : 0;
    f.top = 30 + 17 * lines + (c->y_label ? 18 : 4);
    find_range(c, false, &f.x0, &f.x1);
    find_range(c, true, &f.y0, &f.y1);
    chart_begin(o, w, h, c->title, c->desc, NULL);
    if (lines)
        chart_legend(o, 8, 38, w - 16.0, c->n_series, name, key, true);
    ticks(o, &f, true);
    ticks(o, &f, false);
    chart_line(o, f.left, f.bottom, f.right, f.bottom, "a");
    chart_line(o, f.left, f.top, f.left, f.bottom, "a");
    if (c->x_label)
        chart_label(o, (f.left + f.right) / 2, h - 10.0, "middle", "m", c->x_label);
    if (c->y_label)
        chart_label(o, 8, f.top - 8, "start", "m", c->y_label);
    for (size_t i = 0; i < c->n_series; i++)
        draw_series(o, &f, i);
    if (c->mark && isfinite(c->mark_x) && isfinite(c->mark_y))
        draw_mark(o, &f);
    chart_end(o);
}
