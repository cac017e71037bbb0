/* SPDX-License-Identifier: Apache-2.0 */
/* Texts, numbers, markers, legends and axes of all kinds of pictures. */
#include "chart/chart_int.h"

#include <math.h>
#include <string.h>

/* --- text ------------------------------------------------------------------------------------------- */
/* Length of the UTF-8 character at s and its number; 0 for bytes that are none. */
static unsigned decode(const unsigned char *s, uint32_t *c)
{
    unsigned n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

    *c = n == 1 ? s[0] : n ? s[0] & (0x7f >> n) : 0;
    for (unsigned i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        *c = *c << 6 | (s[i] & 0x3f);
    }
    return n && *c >= least[n] && *c <= 0x10ffff ? n : 0;
}

/* No character of XML, or one that makes text read differently from what it is. */
static bool is_hostile(uint32_t c)
{
    return (c >= 0x80 && c < 0xa0) || (c >= 0xd800 && c < 0xe000) || (c & 0xfffe) == 0xfffe ||
           (c >= 0x200e && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static void put_char(struct dune_buf *out, const char *s, unsigned n, uint32_t c)
{
    if (c == '<')
        dune_buf_puts(out, "&lt;");
    else if (c == '>')
        dune_buf_puts(out, "&gt;");
    else if (c == '&')
        dune_buf_puts(out, "&amp;");
    else if (c == '"')
        dune_buf_puts(out, "&quot;");
    else if (c >= 0x20 && c != 0x7f)
        dune_buf_append(out, s, n);
}

/* At most limit characters. */
static void put_text(struct dune_buf *out, const char *text, size_t limit)
{
    while (*text && limit--) {
        uint32_t c;
        unsigned n = decode((const unsigned char *)text, &c);

        if (n == 0 || is_hostile(c))
            dune_buf_puts(out, "\xef\xbf\xbd");
        else
            put_char(out, text, n, c);
        text += n ? n : 1;
    }
}

void chart_text(struct dune_buf *out, const char *text)
{
    put_text(out, text, SIZE_MAX);
}

static double char_width(uint32_t c)
{
    if (c < 0x80 && strchr("ijlI.,:;'|!()[]ft ", (int)c))
        return 4.2;
    if (c < 0x80 && (strchr("mwMW%@", (int)c) || (c >= 'A' && c <= 'Z')))
        return 8.8;
    return c > 0x2e80 ? 12 : 6.8;
}

double chart_text_width(const char *text)
{
    double w = 0;

    while (*text) {
        uint32_t c;
        unsigned n = decode((const unsigned char *)text, &c);

        w += char_width(c);
        text += n ? n : 1;
    }
    return w;
}

double chart_widest(const char *const *text, size_t n, double limit)
{
    double w = 0;

    for (size_t i = 0; i < n; i++)
        w = fmax(w, chart_text_width(text[i]));
    return fmin(w, limit);
}

/* Characters of text that fit, with room for an ellipsis; SIZE_MAX if all do. */
static size_t fitting(const char *text, double width)
{
    double w = 0;
    size_t n = 0;

    if (chart_text_width(text) <= width)
        return SIZE_MAX;
    for (;; n++) {
        uint32_t c;
        unsigned len = decode((const unsigned char *)text, &c);

        w += char_width(c);
        if (w > width - 12)
            return n;
        text += len ? len : 1;
    }
}

/* --- numbers ------------------------------------------------------------------------------------------ */
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

/* --- elements ------------------------------------------------------------------------------------------- */
void chart_begin(struct dune_buf *o, double w, double h, const char *title, const char *desc, const char *cls)
{
    dune_buf_printf(o, "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"ch%s%s\" width=\"%.0f\" height=\"%.0f\" "
                       "viewBox=\"0 0 %.0f %.0f\" font-family=\"sans-serif\" font-size=\"12\" role=\"img\">",
                    cls ? " " : "", cls ? cls : "", w, h, w, h);
    dune_buf_puts(o, "\n<title>");
    chart_text(o, title ? title : "");
    dune_buf_puts(o, "</title>\n");
    if (desc) {
        dune_buf_puts(o, "<desc>");
        chart_text(o, desc);
        dune_buf_puts(o, "</desc>\n");
    }
    if (title)
        chart_label_cut(o, 8, 18, "start", "b", title, w - 16);
}

void chart_end(struct dune_buf *o)
{
    dune_buf_puts(o, "</svg>\n");
}

static void open_text(struct dune_buf *o, double x, double y, const char *anchor, const char *cls)
{
    dune_buf_printf(o, "<text x=\"%.1f\" y=\"%.1f\"", x, y);
    if (strcmp(anchor, "start") != 0)
        dune_buf_printf(o, " text-anchor=\"%s\"", anchor);
    if (cls)
        dune_buf_printf(o, " class=\"%s\"", cls);
    dune_buf_puts(o, ">");
}

void chart_label(struct dune_buf *o, double x, double y, const char *anchor, const char *cls, const char *text)
{
    open_text(o, x, y, anchor, cls);
    chart_text(o, text);
    dune_buf_puts(o, "</text>\n");
}

void chart_label_cut(struct dune_buf *o, double x, double y, const char *anchor, const char *cls, const char *text,
                     double width)
{
    size_t n = fitting(text, width);

    open_text(o, x, y, anchor, cls);
    put_text(o, text, n);
    if (n != SIZE_MAX) {
        dune_buf_puts(o, "\xe2\x80\xa6<title>");
        put_text(o, text, 300);
        dune_buf_puts(o, "</title>");
    }
    dune_buf_puts(o, "</text>\n");
}

void chart_line(struct dune_buf *o, double x1, double y1, double x2, double y2, const char *cls)
{
    dune_buf_printf(o, "<path class=\"%s\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n", cls, x1, y1, x2, y2);
}

void chart_marker(struct dune_buf *o, unsigned series, double x, double y, double r)
{
    unsigned c = series % CHART_COLOURS;
    double q = r * 0.9, t = r * 1.25;

    switch (series % 6) {
    case 0:
        dune_buf_printf(o, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\" class=\"c%u\"/>\n", x, y, r, c);
        break;
    case 1:
        dune_buf_printf(o, "<path class=\"c%u\" d=\"M%.1f %.1fh%.1fv%.1fh-%.1fz\"/>\n", c, x - q, y - q, 2 * q, 2 * q,
                        2 * q);
        break;
    case 2:
        dune_buf_printf(o, "<path class=\"c%u\" d=\"M%.1f %.1fl%.1f %.1fh-%.1fz\"/>\n", c, x, y - t, t, 1.8 * t, 2 * t);
        break;
    case 3:
        dune_buf_printf(o, "<path class=\"c%u\" d=\"M%.1f %.1fl%.1f %.1fl-%.1f %.1fl-%.1f -%.1fz\"/>\n", c, x, y - t, t, t,
                        t, t, t, t);
        break;
    case 4:
        dune_buf_printf(o, "<path class=\"c%u\" d=\"M%.1f %.1fl-%.1f -%.1fh%.1fz\"/>\n", c, x, y + t, t, 1.8 * t, 2 * t);
        break;
    default:
        dune_buf_printf(o, "<path class=\"s%u\" d=\"M%.1f %.1fl%.1f %.1fm0 -%.1fl-%.1f %.1f\"/>\n", c, x - q, y - q, 2 * q,
                        2 * q, 2 * q, 2 * q, 2 * q);
    }
}

const char *chart_fill(unsigned colour)
{
    static const char *const fill[] = {"c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "cx"};

    return fill[DUNE_MIN(colour, (unsigned)CHART_COLOURS)];
}

void chart_tick(char *out, size_t out_bytes, double v, double step)
{
    int decimals = step > 0 ? (int)ceil(-log10(step) - 1e-9) : 0;

    if (fabs(v) >= 1000 || decimals > 6)
        chart_number(out, out_bytes, v);
    else
        snprintf(out, out_bytes, "%.*f", DUNE_MAX(decimals, 0), fabs(v) < step * 1e-6 ? 0.0 : v);
}

static void put_key(struct dune_buf *o, enum chart_key key, unsigned series, double x, double y)
{
    if (key == CHART_KEY_MARKER)
        chart_marker(o, series, x + 5, y - 4, 4);
    else if (key == CHART_KEY_LINE)
        dune_buf_printf(o, "<path class=\"s%u\" d=\"M%.1f %.1fh12\"/>\n", series % CHART_COLOURS, x - 1, y - 4);
    else
        dune_buf_printf(o, "<rect class=\"c%u\" x=\"%.1f\" y=\"%.1f\" width=\"10\" height=\"10\" rx=\"2\"/>\n",
                        series % CHART_COLOURS, x, y - 9);
}

unsigned chart_legend(struct dune_buf *o, double x, double y, double width, size_t n, const char *const *name,
                      const enum chart_key *key, bool draw)
{
    double at = x;
    unsigned lines = n ? 1 : 0;

    for (size_t i = 0; i < n; i++) {
        double w = fmin(chart_text_width(name[i]), 150) + 32;

        if (at > x && at + w > x + width) {
            at = x;
            lines++;
        }
        if (draw)
            put_key(o, key ? key[i] : CHART_KEY_SQUARE, (unsigned)i, at, y + 17 * (lines - 1));
        if (draw)
            chart_label_cut(o, at + 15, y + 17 * (lines - 1), "start", NULL, name[i], 150);
        at += w;
    }
    return lines;
}

void chart_axis(struct dune_buf *o, double x0, double x1, double lo, double hi, double top, double bottom,
                const char *name)
{
    double step = chart_step(lo, hi, 5);
    char text[32];

    for (double i = ceil(lo / step - 1e-9); i * step <= hi + step * 1e-9; i++) {
        double x = x0 + (i * step - lo) / (hi - lo) * (x1 - x0);

        chart_line(o, x, top, x, bottom, "g");
        chart_tick(text, sizeof(text), i * step, step);
        chart_label(o, x, bottom + 15, "middle", "m", text);
    }
    if (name)
        chart_label(o, (x0 + x1) / 2, bottom + 32, "middle", "m", name);
}
