/* SPDX-License-Identifier: Apache-2.0 */
#include "importance/importance_int.h"

#include <string.h>

void dune_importance_free(struct dune_importance *im)
{
    if (!im)
        return;
    for (uint32_t i = 0; i < im->n_classes; i++)
        dune_mem_free(im->class_name[i]);
    for (uint32_t j = 0; j < im->n_feats; j++)
        dune_mem_free(im->feat_name[j]);
    dune_mem_free(im->class_name);
    dune_mem_free(im->feat_name);
    dune_mem_free(im->w);
    dune_mem_free(im);
}

/* Columns behind the class column are features; what stands before it is an index. */
static int read_features(struct dune_csv *c, size_t name_col, struct name_list *feats, struct dune_diag *d)
{
    for (size_t j = name_col + 1; j < c->n_fields; j++) {
        int rc = name_list_add(feats, "feature", c->field[j], c, d);

        if (rc)
            return rc;
    }
    if (!feats->len)
        return dune_diag_set_line(d, DUNE_E_INPUT, c->file, c->line, "no features: the header has no "
                                  "column behind the class");
    return 0;
}

struct doubles {
    double *data;
    size_t len, cap;
};

static int read_rows(struct dune_csv *c, size_t name_col, const struct name_list *feats,
                     struct name_list *classes, struct doubles *w, struct dune_diag *d)
{
    int rc;

    while ((rc = table_row(c, name_col + 1 + feats->len, d)) > 0) {
        const char *row = c->field[name_col];

        rc = name_list_add(classes, "class", row, c, d);
        if (rc)
            return rc;
        for (size_t j = 0; j < feats->len; j++) {
            double v;

            rc = table_number(c, name_col + 1 + j, row, feats->data[j], &v, d);
            if (rc)
                return rc;
            DUNE_VEC_PUSH(w, v);
        }
    }
    if (rc == 0 && !classes->len)
        return dune_diag_set(d, DUNE_E_INPUT, c->file, "no classes: the file has a header only");
    return rc;
}

int dune_importance_parse(struct dune_importance **out, const char *name, const char *text, size_t len,
                          struct dune_diag *d)
{
    struct name_list feats = {0}, classes = {0};
    struct doubles w = {0};
    struct dune_csv c;
    size_t col = 0;
    int rc;

    *out = NULL;
    dune_csv_init(&c, name, text, len);
    rc = table_header(&c, &col, d);
    if (!rc)
        rc = read_features(&c, col, &feats, d);
    if (!rc)
        rc = read_rows(&c, col, &feats, &classes, &w, d);
    dune_csv_fini(&c);
    if (rc) {
        name_list_fini(&feats);
        name_list_fini(&classes);
        DUNE_VEC_FREE(&w);
        return rc;
    }
    *out = DUNE_NEW(struct dune_importance);
    **out = (struct dune_importance){(uint32_t)classes.len, (uint32_t)feats.len, classes.data, feats.data,
                                     w.data};
    return 0;
}

int dune_importance_read(struct dune_importance **out, const char *path, struct dune_diag *d)
{
    char *text;
    size_t len;
    int rc;

    *out = NULL;
    rc = dune_file_read(path, &text, &len, d);
    if (rc)
        return rc;
    rc = dune_importance_parse(out, path, text, len, d);
    dune_mem_free(text);
    return rc;
}

int dune_importance_write(const struct dune_importance *im, const char *path, struct dune_diag *d)
{
    struct dune_buf b = {0};
    int rc;

    dune_buf_puts(&b, "class");
    for (uint32_t j = 0; j < im->n_feats; j++) {
        dune_buf_puts(&b, ",");
        dune_csv_put(&b, im->feat_name[j]);
    }
    for (uint32_t i = 0; i < im->n_classes; i++) {
        dune_buf_puts(&b, "\n");
        dune_csv_put(&b, im->class_name[i]);
        for (uint32_t j = 0; j < im->n_feats; j++)
            dune_buf_printf(&b, ",%.17g", im->w[(size_t)i * im->n_feats + j]);
    }
    dune_buf_puts(&b, "\n");
    rc = dune_file_write(path, b.data, b.len, d);
    dune_buf_fini(&b);
    return rc;
}
