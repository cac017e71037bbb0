/* SPDX-License-Identifier: Apache-2.0 */
#include "importance/importance_int.h"

#include <string.h>
#include <strings.h>

void dune_scores_free(struct dune_scores *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->n_classes; i++)
        dune_mem_free(s->class_name[i]);
    dune_mem_free(s->class_name);
    dune_mem_free(s->f1);
    dune_mem_free(s->support);
    dune_mem_free(s);
}

struct dune_scores *dune_scores_make(const struct dune_confusion *c, char *const *class_name, uint64_t unit)
{
    struct dune_class_score *per = DUNE_NEW_N(struct dune_class_score, c->n_classes + (size_t)1);
    struct dune_scores *s = DUNE_NEW(struct dune_scores);

    dune_f1_score(c, unit, per);
    s->n_classes = c->n_classes;
    s->class_name = DUNE_NEW_N(char *, c->n_classes);
    s->f1 = DUNE_NEW_N(double, c->n_classes);
    s->support = DUNE_NEW_N(double, c->n_classes);
    for (uint32_t i = 0; i < c->n_classes; i++) {
        s->class_name[i] = dune_mem_strdup(class_name[i]);
        s->f1[i] = 100.0 * per[i].f1;
        s->support[i] = per[i].support;
    }
    dune_mem_free(per);
    return s;
}

struct columns {
    size_t name, n_fields;
    int f1, support;
    double scale; /* fractions become percent */
    char head[64];
};

static int find_columns(struct dune_csv *c, struct columns *k, struct dune_diag *d)
{
    static const char *const f1_names[] = {
        "f1", "f1_score", "f1-score", "macro_f1_percent", "Macro_f1_FL_With_Others", "macro_f1",
        "Average_F1_With_Others", "f1_fraction", "macro_f1_fraction", NULL};
    static const char *const support_names[] = {"support", NULL};
    int rc = table_header(c, &k->name, d);

    if (rc)
        return rc;
    k->n_fields = c->n_fields;
    k->f1 = table_column(c, f1_names);
    k->support = table_column(c, support_names);
    if (k->f1 < 0)
        return dune_diag_set_line(d, DUNE_E_INPUT, c->file, c->line, "no column \"f1\" (percent)");
    snprintf(k->head, sizeof(k->head), "%s", c->field[k->f1]);
    k->scale = strcasestr(k->head, "fraction") ? 100.0 : 1.0;
    return 0;
}

/* The published cluster lists hold the classes left out as cluster -1, without scores. */
static bool is_left_out(const struct dune_csv *c, const struct columns *k)
{
    return strcmp(c->field[k->name], "-1") == 0 && !*c->field[k->f1];
}

static int read_score(struct dune_csv *c, const struct columns *k, double *f1, double *support,
                      struct dune_diag *d)
{
    const char *row = c->field[k->name];
    int rc = table_number(c, (size_t)k->f1, row, k->head, f1, d);

    if (rc)
        return rc;
    *f1 *= k->scale;
    if (*f1 > 100.0 + 1e-9)
        return dune_diag_set_line(d, DUNE_E_INPUT, c->file, c->line,
                                  "%s of \"%.100s\" is above 100 percent", k->head, row);
    *support = 0;
    if (k->support >= 0)
        rc = table_number(c, (size_t)k->support, row, "support", support, d);
    return rc;
}

int dune_scores_parse(struct dune_scores **out, const char *name, const char *text, size_t len,
                      struct dune_diag *d)
{
    DUNE_VEC(double) f1 = {0}, support = {0};
    struct name_list classes = {0};
    struct columns k = {0};
    struct dune_csv c;
    int rc;

    *out = NULL;
    dune_csv_init(&c, name, text, len);
    rc = find_columns(&c, &k, d);
    while (!rc && (rc = table_row(&c, k.n_fields, d)) > 0) {
        double v = 0, s = 0;

        rc = 0;
        if (is_left_out(&c, &k))
            continue;
        rc = name_list_add(&classes, "class", c.field[k.name], &c, d);
        if (!rc)
            rc = read_score(&c, &k, &v, &s, d);
        DUNE_VEC_PUSH(&f1, v);
        DUNE_VEC_PUSH(&support, s);
    }
    dune_csv_fini(&c);
    if (!rc && !classes.len)
        rc = dune_diag_set(d, DUNE_E_INPUT, name, "no classes: the file has a header only");
    if (rc) {
        name_list_fini(&classes);
        DUNE_VEC_FREE(&f1);
        DUNE_VEC_FREE(&support);
        return rc;
    }
    if (k.support < 0)
        DUNE_VEC_FREE(&support);
    *out = DUNE_NEW(struct dune_scores);
    **out = (struct dune_scores){(uint32_t)classes.len, classes.data, f1.data, support.data};
    return 0;
}

int dune_scores_read(struct dune_scores **out, const char *path, struct dune_diag *d)
{
    char *text;
    size_t len;
    int rc;

    *out = NULL;
    rc = dune_file_read(path, &text, &len, d);
    if (rc)
        return rc;
    rc = dune_scores_parse(out, path, text, len, d);
    dune_mem_free(text);
    return rc;
}

int dune_scores_write(const struct dune_scores *s, const char *path, struct dune_diag *d)
{
    struct dune_buf b = {0};
    int rc;

    dune_buf_puts(&b, s->support ? "class,f1,support\n" : "class,f1\n");
    for (uint32_t i = 0; i < s->n_classes; i++) {
        dune_csv_put(&b, s->class_name[i]);
        dune_buf_printf(&b, ",%.17g", s->f1[i]);
        if (s->support)
            dune_buf_printf(&b, ",%.17g", s->support[i]);
        dune_buf_puts(&b, "\n");
    }
    rc = dune_file_write(path, b.data, b.len, d);
    dune_buf_fini(&b);
    return rc;
}
