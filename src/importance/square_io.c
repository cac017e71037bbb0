/* SPDX-License-Identifier: Apache-2.0 */
#include "importance/importance_int.h"

#include <string.h>

void dune_square_free(struct dune_square *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->n; i++)
        dune_mem_free(s->name[i]);
    dune_mem_free(s->name);
    dune_mem_free(s->v);
    dune_mem_free(s);
}

/* Column names behind the row names; the published notebooks print them as pred_0, pred_1 ... */
static int read_answers(struct dune_csv *c, size_t name_col, struct name_list *cols, struct dune_diag *d)
{
    bool prefixed = c->n_fields > name_col + 1;

    for (size_t j = name_col + 1; j < c->n_fields; j++)
        prefixed = prefixed && strncmp(c->field[j], "pred_", 5) == 0;
    for (size_t j = name_col + 1; j < c->n_fields; j++) {
        int rc = name_list_add(cols, "column", c->field[j] + (prefixed ? 5 : 0), c, d);

        if (rc)
            return rc;
    }
    return cols->len ? 0
                     : dune_diag_set_line(d, DUNE_E_INPUT, c->file, c->line, "no columns of answers");
}

struct grid {
    struct name_list cols, rows;
    DUNE_VEC(double) v; /* [rows][cols] */
};

static int read_grid(struct dune_csv *c, struct grid *g, struct dune_diag *d)
{
    size_t col = 0;
    int rc = table_header(c, &col, d);

    if (!rc)
        rc = read_answers(c, col, &g->cols, d);
    while (!rc && (rc = table_row(c, col + 1 + g->cols.len, d)) > 0) {
        rc = name_list_add(&g->rows, "row", c->field[col], c, d);
        for (size_t j = 0; !rc && j < g->cols.len; j++) {
            double v = 0;

            rc = table_number(c, col + 1 + j, c->field[col], g->cols.data[j], &v, d);
            DUNE_VEC_PUSH(&g->v, v);
        }
    }
    return rc;
}

static size_t count_without_other(const struct name_list *l)
{
    return l->len - (name_list_find(l->data, l->len, "Other") >= 0);
}

/* Columns follow their names, not their places. */
static int make_square(const struct grid *g, const char *file, struct dune_square **out, struct dune_diag *d)
{
    size_t n = count_without_other(&g->rows);
    struct dune_square *s;

    if (!n)
        return dune_diag_set(d, DUNE_E_INPUT, file, "no rows: the file has a header only");
    for (size_t j = 0; j < g->cols.len; j++)
        if (strcmp(g->cols.data[j], "Other") != 0 &&
            name_list_find(g->rows.data, g->rows.len, g->cols.data[j]) < 0)
            return dune_diag_set(d, DUNE_E_INPUT, file, "column \"%.200s\" has no row", g->cols.data[j]);
    for (size_t i = 0; i < g->rows.len; i++)
        if (strcmp(g->rows.data[i], "Other") != 0 &&
            name_list_find(g->cols.data, g->cols.len, g->rows.data[i]) < 0)
            return dune_diag_set(d, DUNE_E_INPUT, file, "row \"%.200s\" has no column", g->rows.data[i]);
    s = DUNE_NEW(struct dune_square);
    s->name = DUNE_NEW_N(char *, n);
    s->v = DUNE_NEW_N(double, n * n);
    for (size_t i = 0; i < g->rows.len; i++)
        if (strcmp(g->rows.data[i], "Other") != 0)
            s->name[s->n++] = dune_mem_strdup(g->rows.data[i]);
    for (size_t j = 0; j < n; j++) {
        size_t col = (size_t)name_list_find(g->cols.data, g->cols.len, s->name[j]);

        for (size_t i = 0, row = 0; i < n; i++, row++) {
            row += strcmp(g->rows.data[row], "Other") == 0;
            s->v[i * n + j] = g->v.data[row * g->cols.len + col];
        }
    }
    *out = s;
    return 0;
}

int dune_square_parse(struct dune_square **out, const char *name, const char *text, size_t len,
                      struct dune_diag *d)
{
    struct grid g = {0};
    struct dune_csv c;
    int rc;

    *out = NULL;
    dune_csv_init(&c, name, text, len);
    rc = read_grid(&c, &g, d);
    dune_csv_fini(&c);
    if (!rc)
        rc = make_square(&g, name, out, d);
    name_list_fini(&g.cols);
    name_list_fini(&g.rows);
    DUNE_VEC_FREE(&g.v);
    return rc;
}

int dune_square_read(struct dune_square **out, const char *path, struct dune_diag *d)
{
    char *text;
    size_t len;
    int rc;

    *out = NULL;
    rc = dune_file_read(path, &text, &len, d);
    if (rc)
        return rc;
    rc = dune_square_parse(out, path, text, len, d);
    dune_mem_free(text);
    return rc;
}
