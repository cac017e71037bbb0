/* SPDX-License-Identifier: Apache-2.0 */
/* Dots with intervals, one row per name. */
#include "chart/chart_int.h"

#include <math.h>

struct place {
    const struct chart_dots *c;
    double left, right, top, row, lo, hi;
};

static double at(const struct place *p, double v)
{
    return p->left + (v - p->lo) / (p->hi - p->lo) * (p->right - p->left);
}

static void take(double v, double *lo, double *hi)
{
    if (isfinite(v)) {
        *lo = fmin(*lo, v);
        *hi = fmax(*hi, v);
    }
}

/* The range of the axis: round numbers around everything. */
static void find_range(struct place *p)
{
    const struct chart_dots *c = p->c;
    double lo = INFINITY, hi = -INFINITY, step;

    for (size_t i = 0; i < c->n_rows * c->n_series; i++) {
        take(c->dot[i].v, &lo, &hi);
        take(c->dot[i].lo, &lo, &hi);
        take(c->dot[i].hi, &lo, &hi);
    }
    take(c->zero, &lo, &hi);
    if (lo > hi)
        lo = 0, hi = 1;
    if (hi - lo < 1e-9)
        lo -= 0.05, hi += 0.05;
    step = chart_step(lo, hi, 5);
    p->lo = floor(lo / step) * step;
    p->hi = ceil(hi / step) * step;
    if (c->lo < c->hi)
        p->lo = c->lo, p->hi = c->hi;
}

static void put_dot(struct dune_buf *o, const struct place *p, size_t row, size_t k)
{
    const struct chart_dots *c = p->c;
    const struct chart_dot *d = &c->dot[row * c->n_series + k];
    double y = p->top + p->row * ((double)row + 0.5);
    char text[32];

    if (!isfinite(d->v))
        return;
    if (isfinite(d->lo) && isfinite(d->hi))
        dune_buf_printf(o, "<path class=\"s%u\" d=\"M%.1f %.1fH%.1fm0 -4v8M%.1f %.1fv8\"/>\n", (unsigned)(k % CHART_COLOURS),
                        at(p, d->lo), y, at(p, d->hi), at(p, d->lo), y - 4);
    snprintf(text, sizeof(text), "%.3f", d->v);
    dune_buf_puts(o, "<g><title>");
    chart_text(o, c->row[row]);
    if (c->n_series > 1) {
        dune_buf_puts(o, ", ");
        chart_text(o, c->series[k]);
    }
    dune_buf_printf(o, ": %s</title>", text);
    chart_marker(o, (unsigned)k, at(p, d->v), y, c->n_series > 1 ? 3.8 : 4.6);
    dune_buf_puts(o, "</g>\n");
    if (c->values && c->n_series == 1)
        chart_label(o, p->right + 10, y + 4, "start", NULL, text);
}

void chart_dots_svg(struct dune_buf *o, const struct chart_dots *c)
{
    struct place p = {.c = c, .row = c->n_rows > 40 ? 16 : CHART_ROW};
    enum chart_key *key = DUNE_NEW_N(enum chart_key, c->n_series + 1);
    bool many = c->n_series > 1;
    unsigned lines;
    double bottom;

    for (size_t k = 0; k < c->n_series; k++)
        key[k] = CHART_KEY_MARKER;
    lines = many ? chart_legend(NULL, 8, 0, CHART_WIDTH - 16, c->n_series, c->series, key, false) : 0;
    p.left = 16 + chart_widest(c->row, c->n_rows, 165);
    p.right = CHART_WIDTH - (c->values && !many ? 54 : 18);
    p.top = 30 + 17 * lines;
    bottom = p.top + p.row * (double)c->n_rows;
    find_range(&p);
    chart_begin(o, CHART_WIDTH, bottom + 40, c->title, c->desc, NULL);
    if (many)
        chart_legend(o, 8, 38, CHART_WIDTH - 16, c->n_series, c->series, key, true);
    chart_axis(o, p.left, p.right, p.lo, p.hi, p.top, bottom, c->x_label);
    if (isfinite(c->zero))
        chart_line(o, at(&p, c->zero), p.top, at(&p, c->zero), bottom, "k");
    for (size_t i = 0; i < c->n_rows; i++) {
        double y = p.top + p.row * ((double)i + 0.5);

        chart_label_cut(o, p.left - 10, y + 4, "end", NULL, c->row[i], p.left - 14);
        chart_line(o, p.left, y, p.right, y, "g");
        for (size_t k = c->n_series; k-- > 0;) /* the first one on top */
            put_dot(o, &p, i, k);
    }
    chart_line(o, p.left, p.top, p.left, bottom, "a");
    chart_end(o);
    dune_mem_free(key);
}
