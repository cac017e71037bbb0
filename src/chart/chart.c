/* SPDX-License-Identifier: Apache-2.0 */
#include "chart/chart.h"

#include <math.h>
#include <string.h>

static const char *const colours[] = {"#2f6fb5", "#d9661f", "#2e8b57", "#b03060", "#7a5bbd", "#8a7a00",
                                      "#0095a8", "#c2457b", "#5c7080", "#9b5a2e", "#4c9f38", "#888888"};

/* Where the plot lies inside the picture. */
struct frame {
    const struct chart *c;
    double left, right, top, bottom;
    double x0, x1, y0, y1; /* ranges; logarithms on logarithmic axes */
};

void chart_text(struct dune_buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '<')
            dune_buf_puts(out, "&lt;");
        else if (*text == '>')
            dune_buf_puts(out, "&gt;");
        else if (*text == '&')
            dune_buf_puts(out, "&amp;");
        else if (*text == '"')
            dune_buf_puts(out, "&quot;");
        else if ((unsigned char)*text >= 0x20 && *text != 0x7f)
            dune_buf_append(out, text, 1);
    }
}

void chart_number(char *out, size_t out_bytes, double v)
{
    static const struct {
        double unit;
        const char *suffix;
    } big[] = {{1e9, " G"}, {1e6, " M"}, {1e3, " k"}};
    double a = fabs(v);

    for (size_t i = 0; i < DUNE_ARRAY_LEN(big); i++)
        if (a >= big[i].unit * 0.9995) {
            snprintf(out, out_bytes, "%.3g%s", v / big[i].unit, big[i].suffix);
            return;
        }
    snprintf(out, out_bytes, "%.3g", v == 0 ? 0.0 : v);
}

double chart_step(double lo, double hi, unsigned want)
{
    double raw = (hi - lo) / (want ? want : 1), power, m;

    if (!(raw > 0) || !isfinite(raw))
        return 1;
    power = pow(10, floor(log10(raw)));
    m = raw / power;
    return power * (m <= 1 ? 1 : m <= 2 ? 2 : m <= 5 ? 5 : 10);
}

bool chart_add(struct chart *c, const char *name, size_t n, const double *x, const double *y)
{
    struct chart_series *s;

    if (c->n_series == CHART_MAX_SERIES)
        return false;
    s = &c->series[c->n_series++];
    *s = (struct chart_series){.name = dune_mem_strdup(name), .x = DUNE_NEW_N(double, n), .y = DUNE_NEW_N(double, n)};
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
    } else if (y) {
        *hi += (*hi - *lo) * 0.05;
    }
}

static double at_x(const struct frame *f, double v)
{
    return f->left + (scaled(v, f->c->log_x) - f->x0) / (f->x1 - f->x0) * (f->right - f->left);
}

static double at_y(const struct frame *f, double v)
{
    return f->bottom - (scaled(v, f->c->log_y) - f->y0) / (f->y1 - f->y0) * (f->bottom - f->top);
}

static void head(struct dune_buf *o, unsigned w, unsigned h, const char *title)
{
    dune_buf_printf(o, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" viewBox=\"0 0 %u %u\" "
                       "font-family=\"sans-serif\" font-size=\"12\" role=\"img\">\n<title>", w, h, w, h);
    chart_text(o, title ? title : "");
    dune_buf_printf(o, "</title>\n<rect width=\"%u\" height=\"%u\" fill=\"#ffffff\"/>\n", w, h);
    if (title) {
        dune_buf_puts(o, "<text x=\"12\" y=\"20\" font-size=\"14\" fill=\"#222222\">");
        chart_text(o, title);
        dune_buf_puts(o, "</text>\n");
    }
}

static void label(struct dune_buf *o, double x, double y, const char *anchor, const char *text)
{
    dune_buf_printf(o, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" fill=\"#444444\">", x, y, anchor);
    chart_text(o, text);
    dune_buf_puts(o, "</text>\n");
}

static void line(struct dune_buf *o, double x1, double y1, double x2, double y2, const char *colour)
{
    dune_buf_printf(o, "<path d=\"M%.1f %.1fL%.1f %.1f\" stroke=\"%s\" fill=\"none\"/>\n", x1, y1, x2, y2, colour);
}

static void tick(struct dune_buf *o, const struct frame *f, bool y, double v)
{
    char text[32];

    chart_number(text, sizeof(text), v);
    if (y) {
        line(o, f->left, at_y(f, v), f->right, at_y(f, v), "#e4e4e4");
        label(o, f->left - 6, at_y(f, v) + 4, "end", text);
    } else {
        line(o, at_x(f, v), f->bottom, at_x(f, v), f->bottom + 4, "#888888");
        label(o, at_x(f, v), f->bottom + 17, "middle", text);
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
                tick(o, f, y, v);
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
        tick(o, f, y, i * step);
}

static void draw_series(struct dune_buf *o, const struct frame *f, size_t i)
{
    const struct chart_series *s = &f->c->series[i];
    const char *colour = colours[i % DUNE_ARRAY_LEN(colours)];

    if (s->n > 1) {
        dune_buf_puts(o, "<path d=\"");
        for (size_t k = 0; k < s->n; k++)
            dune_buf_printf(o, "%c%.1f %.1f", k ? 'L' : 'M', at_x(f, s->x[k]), at_y(f, s->y[k]));
        dune_buf_printf(o, "\" stroke=\"%s\" stroke-width=\"2\" fill=\"none\"/>\n", colour);
    }
    for (size_t k = 0; k < s->n; k++)
        dune_buf_printf(o, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", at_x(f, s->x[k]),
                        at_y(f, s->y[k]), colour);
    dune_buf_printf(o, "<rect x=\"%.1f\" y=\"%.1f\" width=\"10\" height=\"10\" fill=\"%s\"/>\n", f->right + 12,
                    f->top + 18 * (double)i, colour);
    label(o, f->right + 27, f->top + 9 + 18 * (double)i, "start", s->name);
}

void chart_svg(struct dune_buf *o, const struct chart *c)
{
    unsigned w = c->width ? c->width : 640, h = c->height ? c->height : 360;
    struct frame f = {.c = c, .left = 62, .right = w - 160.0, .top = 48, .bottom = h - 46.0};

    find_range(c, false, &f.x0, &f.x1);
    find_range(c, true, &f.y0, &f.y1);
    head(o, w, h, c->title);
    ticks(o, &f, true);
    ticks(o, &f, false);
    line(o, f.left, f.bottom, f.right, f.bottom, "#888888");
    line(o, f.left, f.top, f.left, f.bottom, "#888888");
    if (c->x_label)
        label(o, (f.left + f.right) / 2, h - 10.0, "middle", c->x_label);
    if (c->y_label)
        label(o, 12, 38, "start", c->y_label);
    for (size_t i = 0; i < c->n_series; i++)
        draw_series(o, &f, i);
    dune_buf_puts(o, "</svg>\n");
}

void chart_bars_svg(struct dune_buf *o, const struct chart_bars *c)
{
    unsigned w = c->width ? c->width : 640, h = 52 + 24 * (unsigned)c->n + 14;
    double left = 210, right = w - 90.0, top = 40, most = c->mark > 0 ? c->mark : 0;
    char text[32];

    for (size_t i = 0; i < c->n; i++)
        most = isfinite(c->bar[i].value) ? fmax(most, c->bar[i].value) : most;
    head(o, w, h, c->title);
    for (size_t i = 0; i < c->n; i++) {
        const struct chart_bar *b = &c->bar[i];
        double y = top + 24 * (double)i, len = most > 0 && b->value > 0 ? b->value / most * (right - left) : 0;

        if (!isfinite(b->value))
            continue;
        label(o, left - 8, y + 14, "end", b->name);
        dune_buf_printf(o, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"18\" fill=\"%s\"/>\n", left, y, len,
                        colours[b->colour % DUNE_ARRAY_LEN(colours)]);
        chart_number(text, sizeof(text), b->value);
        label(o, left + len + 6, y + 14, "start", text);
    }
    if (c->mark > 0 && most > 0)
        line(o, left + c->mark / most * (right - left), top - 4, left + c->mark / most * (right - left),
             top + 24 * (double)c->n, "#222222");
    if (c->unit)
        label(o, left, top + 24 * (double)c->n + 14, "start", c->unit);
    dune_buf_puts(o, "</svg>\n");
}
