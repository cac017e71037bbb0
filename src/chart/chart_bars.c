/* SPDX-License-Identifier: Apache-2.0 */
/* Bars and stacked bars. */
#include "chart/chart_int.h"

#include <math.h>

static const char **names_of(const struct chart_bars *c)
{
    const char **name = DUNE_NEW_N(const char *, c->n + 1);

    for (size_t i = 0; i < c->n; i++)
        name[i] = c->bar[i].name;
    return name;
}

static void put_value(char *out, size_t out_bytes, const struct chart_bars *c, double v)
{
    if (c->decimals)
        snprintf(out, out_bytes, "%.*f", (int)c->decimals, v);
    else
        chart_number(out, out_bytes, v);
}

static void put_mark(struct dune_buf *o, const struct chart_bars *c, double x, double top, double bottom, double width)
{
    char text[160], number[32];
    double w;

    put_value(number, sizeof(number), c, c->mark);
    snprintf(text, sizeof(text), "%s%s%s", c->mark_name ? c->mark_name : "", c->mark_name ? " " : "", number);
    chart_line(o, x, top - 4, x, bottom, "k d");
    w = chart_text_width(text);
    chart_label(o, fmin(x, width - 8 - w / 2), top - 9, "middle", "m", text);
}

void chart_bars_svg(struct dune_buf *o, const struct chart_bars *c)
{
    const char **name = names_of(c);
    double width = c->width ? c->width : CHART_WIDTH, left = 16 + chart_widest(name, c->n, width * 0.36);
    double right = width - 62, top = c->mark > 0 ? 50 : 34, bottom = top + CHART_ROW * (double)c->n;
    double most = c->mark > 0 ? c->mark : 0;
    char text[32];

    for (size_t i = 0; i < c->n; i++)
        most = isfinite(c->bar[i].value) ? fmax(most, c->bar[i].value) : most;
    chart_begin(o, width, bottom + (c->unit ? 26 : 10), c->title, c->desc, NULL);
    for (size_t i = 0; i < c->n; i++) {
        const struct chart_bar *b = &c->bar[i];
        double y = top + CHART_ROW * (double)i, len = most > 0 && b->value > 0 ? b->value / most * (right - left) : 0;

        if (!isfinite(b->value))
            continue;
        chart_label_cut(o, left - 8, y + 14, "end", NULL, b->name, left - 14);
        dune_buf_printf(o, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" rx=\"2\" class=\"%s\"/>\n", left, y + 2,
                        len, CHART_ROW - 4, chart_fill(b->colour));
        put_value(text, sizeof(text), c, b->value);
        chart_label(o, left + len + 6, y + 15, "start", "m", text);
    }
    chart_line(o, left, top - 2, left, bottom, "a");
    if (c->mark > 0 && most > 0)
        put_mark(o, c, left + c->mark / most * (right - left), top, bottom, width);
    if (c->unit)
        chart_label(o, left, bottom + 17, "start", "m", c->unit);
    chart_end(o);
    dune_mem_free(name);
}

static double row_sum(const struct chart_stack *c, size_t row)
{
    double sum = 0;

    for (size_t k = 0; k < c->n_series; k++)
        sum += c->v[row * c->n_series + k] > 0 ? c->v[row * c->n_series + k] : 0;
    return sum;
}

static void put_parts(struct dune_buf *o, const struct chart_stack *c, size_t row, double x, double y, double scale)
{
    char text[32];

    for (size_t k = 0; k < c->n_series; k++) {
        double v = c->v[row * c->n_series + k];

        if (!(v > 0) || !isfinite(v))
            continue;
        chart_number(text, sizeof(text), v);
        dune_buf_printf(o, "<rect class=\"c%u\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\"><title>",
                        (unsigned)(k % CHART_COLOURS), x, y + 2, v * scale, CHART_ROW - 4);
        chart_text(o, c->series[k]);
        dune_buf_printf(o, ": %s</title></rect>\n", text);
        x += v * scale;
    }
}

void chart_stack_svg(struct dune_buf *o, const struct chart_stack *c)
{
    double left = 16 + chart_widest(c->row, c->n_rows, 160), right = CHART_WIDTH - 24, most = c->max, top, bottom;
    unsigned lines = chart_legend(NULL, 8, 0, CHART_WIDTH - 16, c->n_series, c->series, NULL, false);

    for (size_t i = 0; i < c->n_rows && c->max <= 0; i++)
        most = fmax(most, row_sum(c, i));
    most = most > 0 ? most : 1;
    top = 30 + 17 * lines;
    bottom = top + CHART_ROW * (double)c->n_rows;
    chart_begin(o, CHART_WIDTH, bottom + 40, c->title, c->desc, NULL);
    chart_legend(o, 8, 38, CHART_WIDTH - 16, c->n_series, c->series, NULL, true);
    chart_axis(o, left, right, 0, most, top, bottom, c->x_label);
    for (size_t i = 0; i < c->n_rows; i++) {
        chart_label_cut(o, left - 8, top + CHART_ROW * (double)i + 15, "end", NULL, c->row[i], left - 14);
        put_parts(o, c, i, left, top + CHART_ROW * (double)i, (right - left) / most);
    }
    chart_line(o, left, top, left, bottom, "a");
    chart_end(o);
}
