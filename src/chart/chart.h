/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Charts as SVG text: lines, steps and scattered points over number axes; bars, stacked bars, dots with
 * intervals, heat maps, and ribbons. One look for all: title, axis names, a palette that colour-blind
 * people can tell apart, markers that differ in shape too, text that stays readable when a picture of 460
 * units is shown 330 pixels wide. Same input, same bytes.
 *
 *     struct chart c = {.title = "time to train", .x_label = "rows", .y_label = "s", .log_x = true};
 *     chart_add(&c, "dune", n, x, y);
 *     chart_svg(&buf, &c);
 *     chart_fini(&c);
 *
 * A picture has classes and presentation attributes only, no style, script or id: it can be put into any
 * page that has the rules of chart_css(), also under a strict content security policy. chart_file() makes
 * a file of its own of it. Colours follow prefers-color-scheme.
 *
 * Structs borrow their texts; desc (may be NULL) is what a screen reader says. Values that are not finite
 * (or not positive on a logarithmic axis) are left out.
 */
#ifndef DUNE_CHART_CHART_H
#define DUNE_CHART_CHART_H

#include "base/base.h"

enum { CHART_MAX_SERIES = 12, CHART_COLOURS = 8, CHART_WIDTH = 460 };

/* --- lines ---------------------------------------------------------------------------------------- */
enum chart_kind { CHART_LINE, CHART_STEP, CHART_POINTS };

struct chart_series {
    char *name;
    size_t n;
    double *x, *y;
    enum chart_kind kind;
};
struct chart {
    const char *title, *desc, *x_label, *y_label;
    bool log_x, log_y;
    bool from_zero;         /* the y axis starts at 0 (linear axes only) */
    bool y_share;           /* the y axis never goes beyond 1 */
    bool bare;              /* lines without points */
    double least_x, least_y;/* linear axes span at least this */
    unsigned width, height; /* 0: 460 x 290 */
    size_t n_series;
    struct chart_series series[CHART_MAX_SERIES];
    const char *mark;       /* NULL, or the name of a point that is ringed: */
    double mark_x, mark_y;
};
/* Adds a line through n points; beyond CHART_MAX_SERIES lines nothing is added and false returned. */
bool chart_add(struct chart *c, const char *name, size_t n, const double *x, const double *y);
/* The same as points that are not joined, or joined by steps. */
bool chart_add_kind(struct chart *c, enum chart_kind kind, const char *name, size_t n, const double *x,
                    const double *y);
void chart_svg(struct dune_buf *out, const struct chart *c);
void chart_fini(struct chart *c);

/* --- bars ------------------------------------------------------------------------------------------ */
/* Horizontal bars, one per row, with their value written behind; mark > 0 draws a line at that value. */
struct chart_bar {
    const char *name;
    double value;
    unsigned colour; /* index; CHART_COLOURS and above: grey */
};
struct chart_bars {
    const char *title, *desc, *unit, *mark_name;
    unsigned width; /* 0: 460; the height follows from the number of bars */
    double mark;
    unsigned decimals; /* of the values; 0: as chart_number writes them */
    size_t n;
    const struct chart_bar *bar;
};
void chart_bars_svg(struct dune_buf *out, const struct chart_bars *c);

/* The same with several parts per row, which add up: v[n_rows][n_series]. */
struct chart_stack {
    const char *title, *desc, *x_label;
    size_t n_rows, n_series;
    const char *const *row, *const *series;
    const double *v;
    double max; /* end of the axis; 0: the longest row */
};
void chart_stack_svg(struct dune_buf *out, const struct chart_stack *c);

/* --- dots with intervals ---------------------------------------------------------------------------- */
struct chart_dot {
    double v, lo, hi; /* NAN: there is none */
};
struct chart_dots {
    const char *title, *desc, *x_label;
    size_t n_rows, n_series; /* series beyond CHART_COLOURS share colours */
    const char *const *row, *const *series;
    const struct chart_dot *dot; /* [n_rows][n_series] */
    double lo, hi;               /* of the axis; both 0: from the data */
    bool values;                 /* write the value behind each row; only with one series */
    double zero;                 /* NAN, or where a line across all rows is drawn */
};
void chart_dots_svg(struct dune_buf *out, const struct chart_dots *c);

/* --- heat map ---------------------------------------------------------------------------------------- */
struct chart_heat {
    const char *title, *desc, *row_label, *col_label;
    const char *unit; /* of the scale below */
    size_t n_rows, n_cols;
    const char *const *row, *const *col;
    const double *v;           /* [n_rows][n_cols]; NAN: an empty cell */
    double max;                /* darkest; 0: the largest value */
    bool root;                 /* colours by the square root, so that small values show */
    unsigned percent;          /* 1: numbers in the cells are percent of 1, without the sign */
    const uint32_t *row_group; /* NULL, or numbers: a line between rows of different ones */
    const uint32_t *col_group;
};
void chart_heat_svg(struct dune_buf *out, const struct chart_heat *c);

/* --- ribbons ------------------------------------------------------------------------------------------ */
/* Columns of boxes joined by ribbons as wide as what flows from one to the other. */
struct chart_node {
    const char *name;
    unsigned column, colour; /* colour CHART_COLOURS: grey */
};
struct chart_ribbon {
    unsigned from, to; /* nodes, from in an earlier column */
    double value;
};
struct chart_flow {
    const char *title, *desc;
    size_t n_nodes, n_ribbons; /* nodes in the order in which they stand in their column */
    const struct chart_node *node;
    const struct chart_ribbon *ribbon;
    double total; /* what all there is weighs; shares of it are written behind the names */
};
void chart_flow_svg(struct dune_buf *out, const struct chart_flow *c);

/* --- around them -------------------------------------------------------------------------------------- */
/* A picture as a file: the same with style sheet and background. */
void chart_file(struct dune_buf *out, const struct dune_buf *svg);
/* The rules for pages that have pictures in them. */
const char *chart_css(void);

/* Text with the characters of markup replaced; what is no text in XML, and what turns the direction of
 * writing, becomes U+FFFD or is left out. */
void chart_text(struct dune_buf *out, const char *text);
/* A number as people write it: 1500 -> "1.5 k", 2000000 -> "2 M", 0.25 -> "0.25". */
void chart_number(char *out, size_t out_bytes, double v);
/* Round steps that cover [lo, hi]: 1, 2 or 5 times a power of ten, about want of them. Returns the step. */
double chart_step(double lo, double hi, unsigned want);

#endif
