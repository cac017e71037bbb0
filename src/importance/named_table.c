/* SPDX-License-Identifier: Apache-2.0 */
#include "importance/importance_int.h"

#include <string.h>
#include <strings.h>

void name_list_fini(struct name_list *l)
{
    for (size_t i = 0; i < l->len; i++)
        dune_mem_free(l->data[i]);
    DUNE_VEC_FREE(l);
}

int name_list_find(char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

int name_list_add(struct name_list *l, const char *what, const char *name, const struct dune_csv *c,
                  struct dune_diag *d)
{
    if (!*name)
        return dune_diag_set_line(d, DUNE_E_INPUT, c->file, c->line, "a %s without a name", what);
    if (name_list_find(l->data, l->len, name) >= 0)
        return dune_diag_set_line(d, DUNE_E_INPUT, c->file, c->line, "%s \"%s\" appears twice", what,
                                  name);
    if (l->len == MAX_NAMES)
        return dune_diag_set_line(d, DUNE_E_INPUT, c->file, c->line, "more than %d names", MAX_NAMES);
    DUNE_VEC_PUSH(l, dune_mem_strdup(name));
    return 0;
}

static bool is_one_of(const char *s, const char *const *names)
{
    for (; *names; names++)
        if (strcasecmp(s, *names) == 0)
            return true;
    return false;
}

int table_header(struct dune_csv *c, size_t *col, struct dune_diag *d)
{
    static const char *const accepted[] = {"class", "c_name", "classes", "class_name", "block", "blocks",
                                           "cluster", "clusters", "true_cluster", NULL};
    int rc = dune_csv_next(c, d);

    if (rc < 0)
        return rc;
    if (rc == 0)
        return dune_diag_set(d, DUNE_E_INPUT, c->file, "the file is empty");
    if (is_one_of(c->field[0], accepted))
        *col = 0;
    else if (!*c->field[0] && c->n_fields > 1 && is_one_of(c->field[1], accepted))
        *col = 1; /* the published files carry an unnamed index in front */
    else if (!*c->field[0])
        *col = 0;
    else
        return dune_diag_set_line(d, DUNE_E_INPUT, c->file, c->line,
                                  "the first column is \"%.60s\", not \"class\" (or \"block\")",
                                  c->field[0]);
    return 0;
}

int table_column(const struct dune_csv *c, const char *const *names)
{
    for (; *names; names++)
        for (size_t i = 0; i < c->n_fields; i++)
            if (strcasecmp(c->field[i], *names) == 0)
                return (int)i;
    return -1;
}

int table_row(struct dune_csv *c, size_t n_fields, struct dune_diag *d)
{
    int rc = dune_csv_next(c, d);

    if (rc > 0 && c->n_fields != n_fields)
        return dune_diag_set_line(d, DUNE_E_FORMAT, c->file, c->line, "%zu fields, the header has %zu",
                                  c->n_fields, n_fields);
    return rc;
}

int table_number(const struct dune_csv *c, size_t col, const char *row, const char *head, double *out,
                 struct dune_diag *d)
{
    const char *s = c->field[col];

    if (!dune_parse_double(s, out))
        return dune_diag_set_line(d, DUNE_E_INPUT, c->file, c->line,
                                  "%.100s of \"%.100s\" is \"%.60s\", not a finite number", head, row, s);
    if (*out < 0)
        return dune_diag_set_line(d, DUNE_E_INPUT, c->file, c->line,
                                  "%.100s of \"%.100s\" is negative (%.60s)", head, row, s);
    if (*out > MAX_NUMBER)
        return dune_diag_set_line(d, DUNE_E_INPUT, c->file, c->line,
                                  "%.100s of \"%.100s\" is too large (%.60s)", head, row, s);
    return 0;
}
