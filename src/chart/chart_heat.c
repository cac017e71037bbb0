/* SPDX-License-Identifier: Apache-2.0 */
/* Heat maps: colours in eleven steps, so that a style sheet can turn them round in the dark. */
#include "chart/chart_int.h"

#include <math.h>
#include <string.h>

struct map {
    const struct chart_heat *c;
    double left, top, cell, height, max;
};

static unsigned level(const struct map *m, double v)
{
    double share = m->max > 0 && v > 0 ? fmin(v / m->max, 1) : 0;

    return (unsigned)(0.5 + (m->c->root ? sqrt(share) : share) * (CHART_LEVELS - 1));
}

static void put_cell(struct dune_buf *o, const struct map *m, size_t i, size_t j)
{
    const struct chart_heat *c = m->c;
    double v = c->v[i * c->n_cols + j], x = m->left + m->cell * (double)j, y = m->top + m->height * (double)i;
    unsigned l = level(m, v);

    if (!isfinite(v))
        return;
    if (l > 0) /* the ground is level 0 */
        dune_buf_printf(o, "<rect class=\"h%u\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", l, x, y, m->cell - 1,
                        m->height - 1);
    if (c->percent && m->cell >= 16 && v >= 0.005)
        dune_buf_printf(o, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" font-size=\"%d\" class=\"n%s\">%.0f</text>\n",
                        x + m->cell / 2 - 0.5, y + m->height / 2 + 3, m->cell < 19 ? 9 : 10, l >= 6 ? " on" : "", 100 * v);
}

static void put_names(struct dune_buf *o, const struct map *m)
{
    const struct chart_heat *c = m->c;

    for (size_t i = 0; i < c->n_rows; i++)
        chart_label_cut(o, m->left - 7, m->top + m->height * ((double)i + 0.5) + 3.5, "end", NULL, c->row[i],
                        m->left - (c->row_label ? 24 : 8));
    for (size_t j = 0; j < c->n_cols; j++) {
        dune_buf_printf(o, "<g transform=\"translate(%.1f %.1f) rotate(-90)\">",
                        m->left + m->cell * ((double)j + 0.5) + 3.5, m->top - 6);
        chart_label_cut(o, 0, 0, "start", NULL, c->col[j], 112);
        dune_buf_puts(o, "</g>\n");
    }
    if (c->row_label)
        dune_buf_printf(o, "<g transform=\"translate(14 %.1f) rotate(-90)\">", m->top + m->height * (double)c->n_rows / 2);
    if (c->row_label) {
        chart_label(o, 0, 0, "middle", "m", c->row_label);
        dune_buf_puts(o, "</g>\n");
    }
    if (c->col_label)
        chart_label(o, m->left, 36, "start", "m", c->col_label);
}

static void put_groups(struct dune_buf *o, const struct map *m)
{
    const struct chart_heat *c = m->c;
    double right = m->left + m->cell * (double)c->n_cols - 1, bottom = m->top + m->height * (double)c->n_rows - 1;

    for (size_t i = 1; c->row_group && i < c->n_rows; i++)
        if (c->row_group[i] != c->row_group[i - 1])
            chart_line(o, m->left - 4, m->top + m->height * (double)i - 0.5, right, m->top + m->height * (double)i - 0.5, "a");
    for (size_t j = 1; c->col_group && j < c->n_cols; j++)
        if (c->col_group[j] != c->col_group[j - 1])
            chart_line(o, m->left + m->cell * (double)j - 0.5, m->top - 4, m->left + m->cell * (double)j - 0.5, bottom, "a");
}

/* The scale below the map. */
static void put_scale(struct dune_buf *o, const struct map *m, double y)
{
    char text[32];

    for (unsigned l = 0; l < CHART_LEVELS; l++)
        dune_buf_printf(o, "<rect class=\"h%u\" x=\"%.1f\" y=\"%.1f\" width=\"13\" height=\"9\"/>\n", l, m->left + 13.0 * l, y);
    chart_label(o, m->left - 6, y + 9, "end", "m", "0");
    chart_number(text, sizeof(text), m->c->percent ? 100 * m->max : m->max);
    if (m->c->percent)
        strcat(text, " %");
    chart_label(o, m->left + 13.0 * CHART_LEVELS + 6, y + 9, "start", "m", text);
    if (m->c->unit)
        chart_label(o, m->left + 13.0 * CHART_LEVELS + 12 + chart_text_width(text), y + 9, "start", "m", m->c->unit);
}

void chart_heat_svg(struct dune_buf *o, const struct chart_heat *c)
{
    struct map m = {.c = c, .max = c->max};
    double names = 14 + chart_widest(c->row, c->n_rows, 130), width, bottom;

    for (size_t i = 0; c->max <= 0 && i < c->n_rows * c->n_cols; i++)
        m.max = isfinite(c->v[i]) ? fmax(m.max, c->v[i]) : m.max;
    m.left = names + (c->row_label ? 20 : 6);
    m.cell = fmin(fmax(floor((CHART_WIDTH - 12 - m.left) / (double)DUNE_MAX(c->n_cols, 1)), 14), 34);
    m.height = fmin(fmax(m.cell, 15), 21);
    m.top = (c->col_label ? 46 : 32) + chart_widest(c->col, c->n_cols, 112);
    width = fmax(m.left + m.cell * (double)c->n_cols + 12, CHART_WIDTH);
    bottom = m.top + m.height * (double)c->n_rows;
    chart_begin(o, width, bottom + 32, c->title, c->desc, width > CHART_WIDTH * 1.15 ? "wide" : NULL);
    put_names(o, &m);
    if (c->n_rows && c->n_cols)
        dune_buf_printf(o, "<rect class=\"h0\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", m.left, m.top,
                        m.cell * (double)c->n_cols - 1, m.height * (double)c->n_rows - 1);
    for (size_t i = 0; i < c->n_rows; i++)
        for (size_t j = 0; j < c->n_cols; j++)
            put_cell(o, &m, i, j);
    put_groups(o, &m);
    put_scale(o, &m, bottom + 12);
    chart_end(o);
}
