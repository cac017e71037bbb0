/* SPDX-License-Identifier: Apache-2.0 */
/* Headings, paragraphs, tables and figures, each to HTML and to text at the same time. */
#include "report/report_int.h"

#include <math.h>
#include <string.h>

enum { TEXT_WIDTH = 96, TEXT_CELL = 36 };

/* --- numbers ----------------------------------------------------------------------------------------- */
static char *slot(void)
{
    static _Thread_local char ring[16][40];
    static _Thread_local unsigned next;

    return ring[next++ % 16];
}

static const char *fixed(double v, const char *fmt)
{
    char *s = slot();

    if (!isfinite(v) || fabs(v) > 1e15)
        return "-";
    snprintf(s, 40, fmt, v);
    return s;
}

const char *report_f1(double v)
{
    return fixed(v, "%.3f");
}

const char *report_percent(double v)
{
    return fixed(100 * v, "%.1f");
}

const char *report_points(double v)
{
    return fixed(fabs(v) < 0.0005 ? 0 : 100 * v, "%+.1f");
}

const char *report_fixed(double v, unsigned decimals)
{
    char *s = slot();

    if (!isfinite(v) || fabs(v) > 1e15)
        return "-";
    snprintf(s, 40, "%.*f", (int)DUNE_MIN(decimals, 6u), v);
    return s;
}

const char *report_count(double v)
{
    char digits[40], *s = slot();
    size_t n, out = 0;

    if (!isfinite(v) || fabs(v) > 1e15)
        return "-";
    n = (size_t)snprintf(digits, sizeof(digits), "%.0f", v);
    for (size_t i = 0; i < n && out < 38; i++) {
        if (i && (n - i) % 3 == 0 && digits[i - 1] != '-')
            s[out++] = ',';
        s[out++] = digits[i];
    }
    s[out] = 0;
    return s;
}

/* --- text ---------------------------------------------------------------------------------------------- */
/* What a terminal must not get: control characters, and what turns the direction of writing. */
static void put_safe(struct dune_buf *out, const char *s, size_t most)
{
    const unsigned char *p = (const unsigned char *)s;

    for (; *p && most; p++) {
        bool turns = p[0] == 0xe2 && ((p[1] == 0x80 && ((p[2] >= 0xaa && p[2] <= 0xae) || p[2] == 0x8e || p[2] == 0x8f)) ||
                                      (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9));

        if (turns)
            p += 2;
        if (turns || *p < 0x20 || *p == 0x7f || (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0))
            dune_buf_puts(out, "?");
        else
            dune_buf_append(out, p, 1);
        if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
            p++;
        if ((p[1] & 0xc0) != 0x80)
            most--;
    }
}

/* Words with line breaks. */
static void put_wrapped(struct dune_buf *out, const char *indent, const char *s)
{
    size_t at = 0;

    while (*s) {
        size_t n = strcspn(s, " \n"), w = 0;

        for (size_t i = 0; i < n; i++)
            w += ((unsigned char)s[i] & 0xc0) != 0x80;
        if (at && at + 1 + w > TEXT_WIDTH) {
            dune_buf_puts(out, "\n");
            at = 0;
        }
        dune_buf_puts(out, at ? " " : indent);
        at += at ? 1 : strlen(indent);
        dune_buf_append(out, s, n);
        at += w;
        s += n + strspn(s + n, " \n");
    }
    dune_buf_puts(out, "\n");
}

static void put_paragraph(struct report_doc *d, const char *open, const char *close, const char *indent, const char *s)
{
    struct dune_buf safe = {0};

    if (d->html) {
        dune_buf_puts(d->html, open);
        chart_text(d->html, s);
        dune_buf_puts(d->html, close);
    }
    if (d->text) {
        put_safe(&safe, s, SIZE_MAX);
        put_wrapped(d->text, indent, safe.data ? safe.data : "");
        dune_buf_puts(d->text, "\n");
        dune_buf_fini(&safe);
    }
}

void report_head(struct report_doc *d, const char *text)
{
    put_paragraph(d, "<h3>", "</h3>\n", "-- ", text);
}

void report_para(struct report_doc *d, const char *fmt, ...)
{
    va_list ap;
    char *s;

    va_start(ap, fmt);
    s = dune_mem_vprintf(fmt, ap);
    va_end(ap);
    put_paragraph(d, "<p>", "</p>\n", "", s);
    dune_mem_free(s);
}

void report_lack(struct report_doc *d, const char *fmt, ...)
{
    va_list ap;
    char *s;

    va_start(ap, fmt);
    s = dune_mem_vprintf(fmt, ap);
    va_end(ap);
    put_paragraph(d, "<p class=\"lack\">Left out: ", "</p>\n", "Left out: ", s);
    if (d->lack)
        d->lack(d->ctx, d->section, s);
    dune_mem_free(s);
}

/* --- tables ---------------------------------------------------------------------------------------------- */
void report_table(struct report_doc *d, const char *caption, size_t n_cols, const char *const *heads)
{
    d->caption = caption;
    d->n_cols = DUNE_MIN(n_cols, DUNE_ARRAY_LEN(d->right));
    for (size_t i = 0; i < d->n_cols; i++) {
        d->right[i] = heads[i][0] == '>';
        d->head[i] = dune_mem_strdup(heads[i] + d->right[i]);
    }
}

void report_cell(struct report_doc *d, const char *fmt, ...)
{
    va_list ap;
    char *s;

    va_start(ap, fmt);
    s = dune_mem_vprintf(fmt, ap);
    va_end(ap);
    DUNE_VEC_PUSH(&d->cells, s);
}

static void table_html(struct report_doc *d)
{
    struct dune_buf *o = d->html;

    dune_buf_puts(o, "<div class=\"table\" tabindex=\"0\" role=\"region\" aria-label=\"");
    chart_text(o, d->caption);
    dune_buf_puts(o, "\">\n<table>\n<caption>");
    chart_text(o, d->caption);
    dune_buf_puts(o, "</caption>\n<thead><tr>");
    for (size_t i = 0; i < d->n_cols; i++) {
        dune_buf_puts(o, d->right[i] ? "<th scope=\"col\" class=\"n\">" : "<th scope=\"col\">");
        chart_text(o, d->head[i]);
        dune_buf_puts(o, "</th>");
    }
    dune_buf_puts(o, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < d->cells.len; i++) {
        size_t col = i % d->n_cols;
        const char *tag = col ? "td" : "th";

        dune_buf_printf(o, "%s<%s%s%s>", col ? "" : "<tr>", tag, col ? "" : " scope=\"row\"", d->right[col] ? " class=\"n\"" : "");
        chart_text(o, d->cells.data[i]);
        dune_buf_printf(o, "</%s>%s", tag, col + 1 == d->n_cols ? "</tr>\n" : "");
    }
    dune_buf_puts(o, "</tbody>\n</table>\n</div>\n");
}

static void text_cell(struct report_doc *d, const char *s, size_t col, size_t w)
{
    struct dune_buf safe = {0};
    bool last = col + 1 == d->n_cols;
    size_t most = last && !d->right[col] ? 200 : TEXT_CELL;
    int pad;

    put_safe(&safe, s, dune_text_width(s) > most ? most - 1 : most);
    if (dune_text_width(s) > most)
        dune_buf_puts(&safe, "\xe2\x80\xa6");
    pad = (int)(w - DUNE_MIN(w, safe.data ? dune_text_width(safe.data) : 0));
    dune_buf_printf(d->text, "%s%*s%s", col ? "  " : "", d->right[col] ? pad : 0, "", safe.data ? safe.data : "");
    if (last)
        dune_buf_puts(d->text, "\n");
    else
        dune_buf_printf(d->text, "%*s", d->right[col] ? 0 : pad, "");
    dune_buf_fini(&safe);
}

static void table_text(struct report_doc *d)
{
    size_t w[DUNE_ARRAY_LEN(d->right)] = {0};

    for (size_t i = 0; i < d->n_cols; i++)
        w[i] = dune_text_width(d->head[i]);
    for (size_t i = 0; i < d->cells.len; i++)
        w[i % d->n_cols] = DUNE_MAX(w[i % d->n_cols], DUNE_MIN(dune_text_width(d->cells.data[i]), TEXT_CELL));
    dune_buf_printf(d->text, "%s\n", d->caption);
    for (size_t i = 0; i < d->n_cols; i++)
        text_cell(d, d->head[i], i, w[i]);
    for (size_t i = 0; i < d->cells.len; i++)
        text_cell(d, d->cells.data[i], i % d->n_cols, w[i % d->n_cols]);
    dune_buf_puts(d->text, "\n");
}

void report_table_end(struct report_doc *d)
{
    if (d->html)
        table_html(d);
    if (d->text)
        table_text(d);
    for (size_t i = 0; i < d->n_cols; i++)
        dune_mem_free(d->head[i]);
    for (size_t i = 0; i < d->cells.len; i++)
        dune_mem_free(d->cells.data[i]);
    DUNE_VEC_FREE(&d->cells);
}

/* --- figures ---------------------------------------------------------------------------------------------- */
void report_row(struct report_doc *d, bool begin)
{
    if (d->html)
        dune_buf_puts(d->html, begin ? "<div class=\"figures\">\n" : "</div>\n");
}

void report_figure(struct report_doc *d, const char *name, const char *caption, struct dune_buf *svg)
{
    char *full = dune_mem_printf("%s-%s", d->section, name);
    bool wide = svg->data && strncmp(svg->data, "<svg", 4) == 0 && strstr(svg->data, "class=\"ch wide\"");

    if (d->html) {
        dune_buf_printf(d->html, "<figure class=\"%s\">\n", wide ? "wide" : "fig");
        if (wide) {
            dune_buf_puts(d->html, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"");
            chart_text(d->html, caption);
            dune_buf_puts(d->html, "\">\n");
        }
        dune_buf_append(d->html, svg->data, svg->len);
        dune_buf_puts(d->html, wide ? "</div>\n<figcaption>" : "<figcaption>");
        chart_text(d->html, caption);
        dune_buf_puts(d->html, "</figcaption>\n</figure>\n");
    }
    if (d->text) {
        struct dune_buf line = {0};

        dune_buf_printf(&line, "[%s.svg] %s", full, caption);
        put_wrapped(d->text, "", line.data);
        dune_buf_puts(d->text, "\n");
        dune_buf_fini(&line);
    }
    if (d->figure)
        d->figure(d->ctx, full, caption, svg);
    dune_buf_fini(svg);
    dune_mem_free(full);
}
