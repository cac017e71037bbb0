/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/columns_int.h"

#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static char *trim(char *s)
{
    size_t len;

    while (is_space(*s))
        s++;
    len = strlen(s);
    while (len && is_space(s[len - 1]))
        s[--len] = '\0';
    return s;
}

static char *lower_copy(const char *s)
{
    char *copy = dune_mem_strdup(s);

    for (char *p = copy; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p += 'a' - 'A';
    return copy;
}

static char find_delim(const char *p, size_t len)
{
    bool tab = false;

    for (size_t i = 0; i < len && p[i] != '\n'; i++) {
        if (p[i] == ',')
            return ',';
        tab |= p[i] == '\t';
    }
    return tab ? '\t' : ',';
}

int columns_open(struct columns *c, const char *file, const void *data, size_t len,
                 struct dune_diag *d)
{
    int rc;

    memset(c, 0, sizeof(*c));
    dune_csv_init(&c->csv, file, len ? data : "", len);
    c->csv.delim = find_delim(c->csv.p, (size_t)(c->csv.end - c->csv.p));
    rc = dune_csv_next(&c->csv, d);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return dune_diag_set_line(d, DUNE_E_FORMAT, file, 1, "the file is empty: no header");
    c->n = c->csv.n_fields;
    c->name = DUNE_NEW_N(char *, c->n);
    for (size_t i = 0; i < c->n; i++)
        c->name[i] = lower_copy(trim(c->csv.field[i]));
    return 0;
}

void columns_fini(struct columns *c)
{
    for (size_t i = 0; c->name && i < c->n; i++)
        dune_mem_free(c->name[i]);
    dune_mem_free(c->name);
    dune_csv_fini(&c->csv);
    c->name = NULL;
}

int columns_find(const struct columns *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->name[i], name) == 0)
            return (int)i;
    return -1;
}

int columns_twice(const struct columns *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (columns_find(c, c->name[i]) != (int)i)
            return (int)i;
    return -1;
}

int columns_next(struct columns *c, bool loose, struct dune_diag *d)
{
    for (;;) {
        bool any = false;
        int rc = dune_csv_next(&c->csv, d);

        if (rc != 1)
            return rc;
        for (size_t i = 0; i < c->csv.n_fields; i++) {
            c->csv.field[i] = trim(c->csv.field[i]);
            any |= c->csv.field[i][0] != '\0';
        }
        if (!any)
            continue;
        if (!loose && c->csv.n_fields != c->n)
            return COLUMNS_BAD(c, d, "%zu fields, but the header has %zu columns", c->csv.n_fields,
                               c->n);
        return 1;
    }
}
