/* SPDX-License-Identifier: Apache-2.0 */
/* Templates: text with variables and conditions. */
#include "targets/p4/p4_int.h"

#include <ctype.h>
#include <string.h>

static void set(struct p4_vars *v, const char *name, char *value)
{
    struct p4_var one = {name, value};

    for (size_t i = 0; i < v->len; i++)
        if (strcmp(v->data[i].name, name) == 0) {
            dune_mem_free(v->data[i].value);
            v->data[i].value = value;
            return;
        }
    DUNE_VEC_PUSH(v, one);
}

void p4_set(struct p4_vars *v, const char *name, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    set(v, name, dune_mem_strdup(text));
}

void p4_set_flag(struct p4_vars *v, const char *name, bool on)
{
    set(v, name, dune_mem_strdup(on ? "1" : "0"));
}

void p4_set_buf(struct p4_vars *v, const char *name, struct dune_buf *b)
{
    size_t len = b->len;

    while (len && b->data[len - 1] == '\n')
        len--;
    set(v, name, dune_mem_strndup(len ? b->data : "", len));
    dune_buf_fini(b);
}

void p4_vars_fini(struct p4_vars *v)
{
    for (size_t i = 0; i < v->len; i++)
        dune_mem_free(v->data[i].value);
    DUNE_VEC_FREE(v);
}

static const char *find(const struct p4_vars *v, const char *name, size_t len)
{
    for (size_t i = 0; i < v->len; i++)
        if (strlen(v->data[i].name) == len && memcmp(v->data[i].name, name, len) == 0)
            return v->data[i].value;
    return NULL;
}

/* The variable at p, which stands on '@'; *len is that of @NAME@. NULL: an annotation, not a variable. */
static const char *variable(const struct p4_vars *v, const char *p, size_t *len)
{
    size_t n = strspn(p + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

    *len = n + 2;
    return n && p[n + 1] == '@' ? find(v, p + 1, n) : NULL;
}

static void put_line(struct dune_buf *out, const char *p, size_t n, const struct p4_vars *v)
{
    const char *end = p + n;
    size_t len;

    if (n > 2 && *p == '@') {
        const char *value = variable(v, p, &len);

        if (value && len == n && !*value)
            return; /* a line of its own, empty */
    }
    while (p < end) {
        const char *value = *p == '@' ? variable(v, p, &len) : NULL;

        if (value) {
            dune_buf_puts(out, value);
            p += len;
        } else {
            dune_buf_append(out, p++, 1);
        }
    }
    dune_buf_puts(out, "\n");
}

static bool starts(const char *p, size_t n, const char *word)
{
    return n >= strlen(word) && memcmp(p, word, strlen(word)) == 0;
}

void p4_expand(struct dune_buf *out, const char *text, const struct p4_vars *v)
{
    bool on[16] = {true};
    unsigned depth = 0;

    while (*text) {
        size_t n = strcspn(text, "\n");

        if (starts(text, n, "%if ") && depth + 1 < DUNE_ARRAY_LEN(on)) {
            const char *value = find(v, text + 4, n - 4);

            depth++;
            on[depth] = on[depth - 1] && value && *value && strcmp(value, "0") != 0;
        } else if (starts(text, n, "%else")) {
            on[depth] = depth && on[depth - 1] && !on[depth];
        } else if (starts(text, n, "%end")) {
            depth -= depth > 0;
        } else if (on[depth]) {
            put_line(out, text, n, v);
        }
        text += n + (text[n] == '\n');
    }
}

/* --- constants that nothing uses ------------------------------------------------------------------------------ */

static bool word_char(char c)
{
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Is the word name anywhere in text but on the line at? Comments do not count. */
static bool used_elsewhere(const char *text, const char *at, const char *name, size_t len)
{
    const char *end = at + strcspn(at, "\n");

    for (const char *p = text; (p = strstr(p, name)); p += len) {
        const char *line = p, *slashes;

        if ((p >= at && p < end) || word_char(p[len]) || (p > text && word_char(p[-1])))
            continue;
        while (line > text && line[-1] != '\n')
            line--;
        slashes = strstr(line, "//");
        if (!slashes || slashes > p)
            return true;
    }
    return false;
}

/* "const bit<8> NAME = 1;" at line, with its name. */
static bool is_constant(const char *line, char name[64])
{
    return sscanf(line, "const bit<%*u> %63[A-Za-z0-9_] =", name) == 1;
}

void p4_put_constant(struct dune_buf *b, const char *prefix, const char *name, unsigned value)
{
    dune_buf_printf(b, "const bit<8> %s", prefix);
    for (; *name; name++)
        dune_buf_printf(b, "%c", toupper((unsigned char)*name));
    dune_buf_printf(b, " = %u;\n", value);
}

void p4_drop_unused(struct dune_buf *b)
{
    bool again = true;

    while (again && b->data) {
        struct dune_buf out = {0};

        again = false;
        for (const char *line = b->data; *line; line += strcspn(line, "\n") + 1) {
            size_t n = strcspn(line, "\n");
            char name[64];

            if (is_constant(line, name) && !used_elsewhere(b->data, line, name, strlen(name)))
                again = true;
            else
                dune_buf_append(&out, line, n + (line[n] == '\n'));
            if (line[n] != '\n')
                break;
        }
        dune_buf_fini(b);
        *b = out;
    }
}
