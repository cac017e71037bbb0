/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small charts as SVG text: lines over a number axis, and horizontal bars. No fonts, scripts or style
 * sheets from elsewhere; colours carry over to light and dark pages. Same input, same bytes.
 *
 *     struct chart c = {.title = "time to train", .x_label = "rows", .y_label = "s", .log_x = true};
 *     chart_add(&c, "dune", n, x, y);
 *     chart_svg(&buf, &c);
 *     chart_fini(&c);
 *
 * The struct borrows its labels; chart_add copies points and names. Points that are not finite (or not
 * positive on a logarithmic axis) are left out.
 */
#ifndef DUNE_CHART_CHART_H
#define DUNE_CHART_CHART_H

#include "base/base.h"

enum { CHART_MAX_SERIES = 12 };

struct chart_series {
    char *name;
    size_t n;
    double *x, *y;
};

struct chart {
    const char *title, *x_label, *y_label;
    bool log_x, log_y;
    bool from_zero;         /* the y axis starts at 0 (linear axes only) */
    unsigned width, height; /* 0: 640 x 360 */
    size_t n_series;
    struct chart_series series[CHART_MAX_SERIES];
};
/* Adds a line through n points; beyond CHART_MAX_SERIES lines nothing is added and false returned. */
bool chart_add(struct chart *c, const char *name, size_t n, const double *x, const double *y);
void chart_svg(struct dune_buf *out, const struct chart *c);
void chart_fini(struct chart *c);

/* Horizontal bars, one per row, with their value written behind; mark > 0 draws a line at that value. */
struct chart_bar {
    const char *name;
    double value;
    unsigned colour; /* index, wraps around */
};
struct chart_bars {
    const char *title, *unit;
    unsigned width; /* 0: 640; the height follows from the number of bars */
    double mark;
    size_t n;
    const struct chart_bar *bar;
};
void chart_bars_svg(struct dune_buf *out, const struct chart_bars *c);

/* Text with the characters of markup replaced. */
void chart_text(struct dune_buf *out, const char *text);
/* A number as people write it: 1500 -> "1.5 k", 2000000 -> "2 M", 0.25 -> "0.25". */
void chart_number(char *out, size_t out_bytes, double v);
/* Round steps that cover [lo, hi]: 1, 2 or 5 times a power of ten, about want of them. Returns the step. */
double chart_step(double lo, double hi, unsigned want);

#endif
