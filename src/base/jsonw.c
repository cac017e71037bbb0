/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void dune_jsonw_init(struct dune_jsonw *w, struct dune_buf *out)
{
    memset(w, 0, sizeof(*w));
    w->out = out;
    w->first[0] = true;
}

static void indent(struct dune_jsonw *w)
{
    dune_buf_puts(w->out, "\n");
    for (int i = 0; i < w->depth; i++)
        dune_buf_puts(w->out, "  ");
}

/* Comma and white space before a value or a key. */
static void separate(struct dune_jsonw *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->depth == 0)
        return;
    if (!w->first[w->depth])
        dune_buf_puts(w->out, w->compact[w->depth] ? ", " : ",");
    w->first[w->depth] = false;
    if (!w->compact[w->depth])
        indent(w);
}

static void open_container(struct dune_jsonw *w, const char *brace, bool compact)
{
    separate(w);
    dune_buf_puts(w->out, brace);
    assert(w->depth + 1 < (int)DUNE_ARRAY_LEN(w->first));
    w->depth++;
    w->first[w->depth] = true;
    w->compact[w->depth] = compact || w->compact[w->depth - 1];
    w->is_obj[w->depth] = *brace == '{';
}

void dune_jsonw_obj(struct dune_jsonw *w)
{
    open_container(w, "{", false);
}

void dune_jsonw_arr(struct dune_jsonw *w)
{
    open_container(w, "[", false);
}

void dune_jsonw_obj_inline(struct dune_jsonw *w)
{
    open_container(w, "{", true);
}

void dune_jsonw_arr_inline(struct dune_jsonw *w)
{
    open_container(w, "[", true);
}

void dune_jsonw_end(struct dune_jsonw *w)
{
    bool compact = w->compact[w->depth], empty = w->first[w->depth];
    bool obj = w->is_obj[w->depth];

    assert(w->depth > 0);
    w->depth--;
    if (!compact && !empty)
        indent(w);
    dune_buf_puts(w->out, obj ? "}" : "]");
    if (w->depth == 0)
        dune_buf_puts(w->out, "\n");
}

static void put_escaped(struct dune_buf *b, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    char text[6] = {'\\', (char)c};
    size_t len = 2;

    if (c == '\n') {
        text[1] = 'n';
    } else if (c != '"' && c != '\\') {
        text[1] = 'u';
        text[2] = text[3] = '0';
        text[4] = hex[c >> 4];
        text[5] = hex[c & 15];
        len = 6;
    }
    dune_buf_append(b, text, len);
}

/* Whole plans travel as strings: what needs no escape is copied in runs. */
static void put_string(struct dune_buf *b, const char *s)
{
    const char *run = s;

    dune_buf_append(b, "\"", 1);
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;

        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
            continue;
        dune_buf_append(b, run, (size_t)(s - run));
        put_escaped(b, c);
        run = s + 1;
    }
    dune_buf_append(b, run, (size_t)(s - run));
    dune_buf_append(b, "\"", 1);
}

static void put_decimal(struct dune_buf *b, uint64_t v, bool negative)
{
    char text[24], *p = text + sizeof(text);

    do
        *--p = (char)('0' + v % 10);
    while (v /= 10);
    if (negative)
        *--p = '-';
    dune_buf_append(b, p, (size_t)(text + sizeof(text) - p));
}

void dune_jsonw_key(struct dune_jsonw *w, const char *key)
{
    separate(w);
    put_string(w->out, key);
    dune_buf_puts(w->out, ": ");
    w->after_key = true;
}

void dune_jsonw_str(struct dune_jsonw *w, const char *s)
{
    if (!s) {
        dune_jsonw_null(w);
        return;
    }
    separate(w);
    put_string(w->out, s);
}

void dune_jsonw_int(struct dune_jsonw *w, int64_t v)
{
    separate(w);
    put_decimal(w->out, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, v < 0);
}

void dune_jsonw_uint(struct dune_jsonw *w, uint64_t v)
{
    separate(w);
    put_decimal(w->out, v, false);
}

void dune_jsonw_big(struct dune_jsonw *w, uint64_t v)
{
    char text[24];

    if (v <= INT64_MAX) {
        dune_jsonw_uint(w, v);
        return;
    }
    snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
    dune_jsonw_str(w, text);
}

void dune_jsonw_bool(struct dune_jsonw *w, bool v)
{
    separate(w);
    dune_buf_puts(w->out, v ? "true" : "false");
}

void dune_jsonw_null(struct dune_jsonw *w)
{
    separate(w);
    dune_buf_puts(w->out, "null");
}

void dune_jsonw_double(struct dune_jsonw *w, double v)
{
    char text[40];

    if (!isfinite(v)) {
        dune_jsonw_null(w);
        return;
    }
    separate(w);
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    dune_buf_puts(w->out, text);
}

void dune_jsonw_fixed(struct dune_jsonw *w, double v, int decimals)
{
    if (!isfinite(v)) {
        dune_jsonw_null(w);
        return;
    }
    separate(w);
    dune_buf_printf(w->out, "%.*f", decimals, v);
}

void dune_jsonw_put_str(struct dune_jsonw *w, const char *key, const char *v)
{
    dune_jsonw_key(w, key);
    dune_jsonw_str(w, v);
}

void dune_jsonw_put_uint(struct dune_jsonw *w, const char *key, uint64_t v)
{
    dune_jsonw_key(w, key);
    dune_jsonw_uint(w, v);
}

void dune_jsonw_put_bool(struct dune_jsonw *w, const char *key, bool v)
{
    dune_jsonw_key(w, key);
    dune_jsonw_bool(w, v);
}

void dune_jsonw_put_double(struct dune_jsonw *w, const char *key, double v)
{
    dune_jsonw_key(w, key);
    dune_jsonw_double(w, v);
}
