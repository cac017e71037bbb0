/* SPDX-License-Identifier: Apache-2.0 */
/* What the kinds of pictures share. Classes are those of chart_style.c. */
#ifndef DUNE_CHART_INT_H
#define DUNE_CHART_INT_H

#include "chart/chart.h"

enum { CHART_ROW = 21, CHART_LEVELS = 11 };

/* Opens the picture, with title and description, and writes the title; chart_end closes it. */
void chart_begin(struct dune_buf *o, double w, double h, const char *title, const char *desc, const char *cls);
void chart_end(struct dune_buf *o);
/* cls may be NULL. */
void chart_label(struct dune_buf *o, double x, double y, const char *anchor, const char *cls, const char *text);
/* Cut with an ellipsis to the width; the whole text is in a title then. */
void chart_label_cut(struct dune_buf *o, double x, double y, const char *anchor, const char *cls, const char *text,
                     double width);
void chart_line(struct dune_buf *o, double x1, double y1, double x2, double y2, const char *cls);
/* The marker of a series: colour and shape. */
void chart_marker(struct dune_buf *o, unsigned series, double x, double y, double r);
/* About how wide text is in the common size. */
double chart_text_width(const char *text);
double chart_widest(const char *const *text, size_t n, double limit);
/* Lines of a legend with these names from (x, y) on; returns how many lines it has. */
enum chart_key { CHART_KEY_SQUARE, CHART_KEY_MARKER, CHART_KEY_LINE };
unsigned chart_legend(struct dune_buf *o, double x, double y, double width, size_t n, const char *const *name,
                      const enum chart_key *key, bool draw);
/* A number on an axis with this step: neighbours differ. */
void chart_tick(char *out, size_t out_bytes, double v, double step);
/* "c3", or "cx" for grey. */
const char *chart_fill(unsigned colour);
/* A number axis at the bottom from x0 to x1 with grid lines from top to bottom, and its name. */
void chart_axis(struct dune_buf *o, double x0, double x1, double lo, double hi, double top, double bottom,
                const char *name);

#endif
