/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boxes in columns, joined by ribbons:
 *
 *     all ##=====## s1 ##=====## right         A box is as high as what flows through it; a ribbon leaves a
 *         ##=====## s2 ##\                     box below those of the boxes before it.
 *                         \===## wrong
 */
#include "chart/chart_int.h"

#include <math.h>

enum { GAP = 12, BOX = 13, HEIGHT = 190 };

struct box {
    double y, h, out, in; /* top, height, what already left and arrived */
};
struct drawing {
    const struct chart_flow *c;
    struct box *box;
    unsigned columns;
    double scale, top;
};

static double through(const struct chart_flow *c, unsigned node)
{
    double in = 0, out = 0;

    for (size_t i = 0; i < c->n_ribbons; i++) {
        double v = c->ribbon[i].value > 0 ? c->ribbon[i].value : 0;

        in += c->ribbon[i].to == node ? v : 0;
        out += c->ribbon[i].from == node ? v : 0;
    }
    return fmax(in, out);
}

static double box_x(const struct drawing *d, unsigned column)
{
    double last = CHART_WIDTH - 108;

    return d->columns < 2 ? 8 : 8 + (last - 8) * column / (d->columns - 1);
}

/* Boxes below each other, every name with room for two lines of text. */
static double place(struct drawing *d)
{
    double low = 0;

    for (unsigned col = 0; col < d->columns; col++) {
        double y = d->top;

        for (size_t i = 0; i < d->c->n_nodes; i++) {
            if (d->c->node[i].column != col)
                continue;
            d->box[i].y = y;
            d->box[i].h = fmax(through(d->c, (unsigned)i) * d->scale, 1);
            y += fmax(d->box[i].h, 26) + GAP;
        }
        low = fmax(low, y);
    }
    return low;
}

static void put_ribbon(struct dune_buf *o, struct drawing *d, const struct chart_ribbon *r)
{
    struct box *a = &d->box[r->from], *b = &d->box[r->to];
    const struct chart_node *from = &d->c->node[r->from], *to = &d->c->node[r->to];
    double x0 = box_x(d, from->column) + BOX, x1 = box_x(d, to->column), mid = (x0 + x1) / 2;
    double h = r->value * d->scale, y0 = a->y + a->out, y1 = b->y + b->in;
    unsigned colour = to->column + 1 == d->columns ? from->colour : to->colour;
    if (!(r->value > 0))
        return;
    dune_buf_printf(o, "<path class=\"%s r\" d=\"M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1fV%.1fC%.1f %.1f %.1f %.1f %.1f %.1fz\"/>\n",
                    chart_fill(colour), x0, y0, mid, y0, mid, y1, x1, y1, y1 + h, mid, y1 + h, mid, y0 + h, x0, y0 + h);
    a->out += h;
    b->in += h;
}

static void put_node(struct dune_buf *o, const struct drawing *d, size_t i)
{
    const struct chart_node *n = &d->c->node[i];
    double x = box_x(d, n->column), share = d->c->total > 0 ? through(d->c, (unsigned)i) / d->c->total : 0;
    char text[32];

    snprintf(text, sizeof(text), "%.1f %%", 100 * share);
    dune_buf_printf(o, "<rect class=\"%s\"", chart_fill(n->colour));
    dune_buf_printf(o, " x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"%.1f\"/>\n", x, d->box[i].y, BOX, d->box[i].h);
    chart_label_cut(o, x + BOX + 5, d->box[i].y + 11, "start", "o", n->name, 105);
    chart_label(o, x + BOX + 5, d->box[i].y + 25, "start", "m o", text);
}

void chart_flow_svg(struct dune_buf *o, const struct chart_flow *c)
{
    struct drawing d = {.c = c, .box = DUNE_NEW_N(struct box, c->n_nodes + 1), .top = 34};
    double low;

    for (size_t i = 0; i < c->n_nodes; i++)
        d.columns = DUNE_MAX(d.columns, c->node[i].column + 1);
    d.scale = c->total > 0 ? HEIGHT / c->total : 0;
    low = place(&d);
    chart_begin(o, CHART_WIDTH, low + 4, c->title, c->desc, NULL);
    for (size_t i = 0; i < c->n_ribbons; i++)
        put_ribbon(o, &d, &c->ribbon[i]);
    for (size_t i = 0; i < c->n_nodes; i++)
        put_node(o, &d, i);
    chart_end(o);
    dune_mem_free(d.box);
}
