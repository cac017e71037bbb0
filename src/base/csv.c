/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void dune_csv_init(struct dune_csv *c, const char *file, const void *data, size_t len)
{
    memset(c, 0, sizeof(*c));
    c->file = file;
    c->p = data;
    c->end = c->p + len;
    c->next_line = 1;
    c->delim = ',';
    if (len >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0)
        c->p += 3;
}

/* Reads one field into c->text; returns the character that ended it: delim, '\n' or -1 at the end. */
static int read_field(struct dune_csv *c, struct dune_diag *d)
{
    bool quoted = c->p < c->end && *c->p == '"';

    if (quoted)
        c->p++;
    while (c->p < c->end) {
        char ch = *c->p++;

        if (quoted && ch == '"') {
            if (c->p < c->end && *c->p == '"')
                c->p++;
            else {
                quoted = false;
                continue;
            }
        } else if (!quoted && ch == c->delim) {
            return (unsigned char)ch;
        } else if (!quoted && ch == '\r' && c->p < c->end && *c->p == '\n') {
            continue;
        } else if (ch == '\n') {
            c->next_line++;
            if (!quoted)
                return '\n';
        } else if (ch == '\0') {
            return dune_diag_set_line(d, DUNE_E_FORMAT, c->file, c->next_line,
                                      "a zero byte: this is not a text file");
        }
        dune_buf_append(&c->text, &ch, 1);
    }
    if (quoted)
        return dune_diag_set_line(d, DUNE_E_FORMAT, c->file, c->line, "a quote is never closed");
    return -1;
}

int dune_csv_next(struct dune_csv *c, struct dune_diag *d)
{
    size_t start[1024];
    int end;

    do {
        c->text.len = 0;
        c->n_fields = 0;
        c->line = c->next_line;
        if (c->p >= c->end)
            return 0;
        do {
            if (c->n_fields == DUNE_ARRAY_LEN(start))
                return dune_diag_set_line(d, DUNE_E_FORMAT, c->file, c->line,
                                          "more than %zu columns", DUNE_ARRAY_LEN(start));
            start[c->n_fields++] = c->text.len;
            end = read_field(c, d);
            if (end < -1)
                return end;
            dune_buf_append(&c->text, "", 1);
        } while (end == (unsigned char)c->delim);
    } while (c->n_fields == 1 && c->text.len == 1);
    if (c->n_fields > c->cap_fields) {
        c->cap_fields = c->n_fields;
        c->field = dune_mem_realloc(c->field, c->cap_fields, sizeof(*c->field));
    }
    for (size_t i = 0; i < c->n_fields; i++)
        c->field[i] = c->text.data + start[i];
    return 1;
}

void dune_csv_fini(struct dune_csv *c)
{
    dune_mem_free(c->field);
    dune_buf_fini(&c->text);
    c->field = NULL;
}

bool dune_parse_u64(const char *s, uint64_t *out)
{
    char *end;

    if (*s < '0' || *s > '9')
        return false;
    errno = 0;
    *out = strtoull(s, &end, 10);
    return errno == 0 && *end == '\0';
}

bool dune_parse_i64(const char *s, int64_t *out)
{
    char *end;

    if (!((*s >= '0' && *s <= '9') || *s == '-'))
        return false;
    errno = 0;
    *out = strtoll(s, &end, 10);
    return errno == 0 && *end == '\0' && end != s + (*s == '-');
}

bool dune_parse_double(const char *s, double *out)
{
    char *end;

    if (!*s || strchr(" \t\n", *s))
        return false;
    *out = strtod(s, &end);
    return *end == '\0' && isfinite(*out);
}

void dune_csv_put(struct dune_buf *b, const char *s)
{
    if (!strpbrk(s, ",\"\r\n")) {
        dune_buf_puts(b, s);
        return;
    }
    dune_buf_puts(b, "\"");
    for (; *s; s++)
        dune_buf_append(b, *s == '"' ? "\"\"" : s, *s == '"' ? 2 : 1);
    dune_buf_puts(b, "\"");
}
