/* SPDX-License-Identifier: Apache-2.0 */
/* What a program wrote about a batch of rows: CSV with a header of class names, or a NumPy array. */
#include "model/model_int.h"

#include <math.h>
#include <string.h>

struct reading {
    const char *name;
    size_t n_rows;
    char *const *class_name;
    uint32_t n_classes;
    float *p;
    struct dune_diag *d;
};

#define BAD_LINE(g, line, ...)                                                                                         \
    (dune_diag_set_line((g)->d, DUNE_E_INPUT, (g)->name, (line), __VA_ARGS__), DUNE_E_INPUT)

/* --- CSV ------------------------------------------------------------------------------------------------ */

static int class_of(const struct reading *g, const char *name)
{
    for (uint32_t c = 0; c < g->n_classes; c++)
        if (strcmp(g->class_name[c], name) == 0)
            return (int)c;
    return -1;
}

/* to[i]: class of column i. Classes that the program never answers may be absent. */
static int read_header(struct reading *g, struct dune_csv *c, int *to)
{
    uint8_t *seen = DUNE_NEW_N(uint8_t, g->n_classes);
    int rc = 0;

    for (size_t i = 0; i < c->n_fields && rc == 0; i++) {
        to[i] = class_of(g, c->field[i]);
        if (to[i] < 0)
            rc = BAD_LINE(g, c->line, "the output's column \"%.60s\" is no class: its first line must name them", c->field[i]);
        else if (seen[to[i]]++)
            rc = BAD_LINE(g, c->line, "the output has class \"%.60s\" twice", c->field[i]);
    }
    dune_mem_free(seen);
    return rc;
}

static int read_row(struct reading *g, struct dune_csv *c, size_t n_cols, const int *to, size_t row)
{
    float *p = g->p + row * g->n_classes;

    if (row == g->n_rows)
        return BAD_LINE(g, c->line, "the output has more than one line for each of %zu rows", g->n_rows);
    if (c->n_fields != n_cols)
        return BAD_LINE(g, c->line, "the output has %zu numbers here, %zu in its first line", c->n_fields, n_cols);
    memset(p, 0, g->n_classes * sizeof(*p));
    for (size_t i = 0; i < n_cols; i++) {
        double v;

        if (!dune_parse_double(c->field[i], &v) || !(v >= 0 && v <= 1.001))
            return BAD_LINE(g, c->line, "\"%.40s\" in the output is no probability", c->field[i]);
        p[to[i]] = (float)v;
    }
    if (!model_normalise(p, g->n_classes))
        return BAD_LINE(g, c->line, "the probabilities in this line of the output do not sum to 1");
    return 0;
}

static int read_csv(struct reading *g, const void *data, size_t len)
{
    struct dune_csv c;
    size_t n_cols, row = 0;
    int *to = NULL, rc;

    dune_csv_init(&c, g->name, data, len);
    rc = dune_csv_next(&c, g->d);
    if (rc == 0)
        rc = BAD_LINE(g, 1, "the program wrote nothing");
    n_cols = rc == 1 ? c.n_fields : 0;
    if (rc == 1) {
        to = DUNE_NEW_N(int, n_cols + 1);
        rc = read_header(g, &c, to);
    }
    while (rc == 0 && (rc = dune_csv_next(&c, g->d)) == 1)
        rc = read_row(g, &c, n_cols, to, row++);
    if (rc == 0 && row < g->n_rows)
        rc = BAD_LINE(g, c.line, "the output ends after %zu of %zu rows", row, g->n_rows);
    dune_csv_fini(&c);
    dune_mem_free(to);
    return rc;
}

/* --- NumPy ------------------------------------------------------------------------------------------------ */

/* The text behind 'key': in the header, or NULL. */
static const char *value_of(const char *head, const char *key)
{
    const char *p = strstr(head, key);

    if (!p)
        return NULL;
    p += strlen(key);
    return p + strspn(p, " ");
}

static bool read_shape(const char *s, size_t *rows, size_t *cols)
{
    unsigned long long a, b;
    char end;

    if (!s || sscanf(s, "(%llu , %llu %c", &a, &b, &end) != 3 || (end != ')' && end != ','))
        return false;
    *rows = (size_t)a;
    *cols = (size_t)b;
    return true;
}

static int read_npy(struct reading *g, const uint8_t *data, size_t len)
{
    size_t head_len, rows, cols, bytes;
    const char *descr;
    char head[1024];

    if (len < 10 || data[6] != 1)
        return BAD_LINE(g, 0, "the output is a NumPy array of a version that cannot be read, only 1.0");
    head_len = (size_t)(data[8] | data[9] << 8);
    if (head_len >= sizeof(head) || len - 10 < head_len)
        return BAD_LINE(g, 0, "the output is a NumPy array whose header is cut off or too long");
    memcpy(head, data + 10, head_len);
    head[head_len] = '\0';
    descr = value_of(head, "'descr':");
    bytes = descr && strncmp(descr, "'<f8'", 5) == 0 ? 8 : descr && strncmp(descr, "'<f4'", 5) == 0 ? 4 : 0;
    if (!bytes || !strstr(head, "'fortran_order': False") || !read_shape(value_of(head, "'shape':"), &rows, &cols))
        return BAD_LINE(g, 0, "the output must be a NumPy array of '<f4' or '<f8', in C order, with two dimensions");
    if (rows != g->n_rows || cols != g->n_classes)
        return BAD_LINE(g, 0, "the output is an array of %zu x %zu, not %zu x %u: one column per class, in their order", rows,
                        cols, g->n_rows, g->n_classes);
    if (len - 10 - head_len != rows * cols * bytes)
        return BAD_LINE(g, 0, "the output is a NumPy array with too few or too many bytes");
    for (size_t i = 0; i < rows * cols; i++) {
        const uint8_t *at = data + 10 + head_len + i * bytes;
        double v8 = 0;

        memcpy(bytes == 8 ? (void *)&v8 : (void *)&g->p[i], at, bytes);
        if (bytes == 8)
            g->p[i] = v8 >= 0 && v8 <= 1.001 ? (float)v8 : -1;
    }
    for (size_t r = 0; r < rows; r++)
        if (!model_normalise(g->p + r * cols, g->n_classes))
            return BAD_LINE(g, r + 1, "row %zu of the output's array holds no probabilities with sum 1", r);
    return 0;
}

int dune_exec_output_parse(const char *name, const void *data, size_t len, size_t n_rows, char *const *class_name,
                           uint32_t n_classes, float *p, struct dune_diag *d)
{
    struct reading g = {name, n_rows, class_name, n_classes, p, d};

    if (len >= 6 && memcmp(data, "\x93NUMPY", 6) == 0)
        return read_npy(&g, data, len);
    return read_csv(&g, data ? data : "", len);
}
