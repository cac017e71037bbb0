/* SPDX-License-Identifier: Apache-2.0 */
/* Probabilities computed elsewhere: flow,packet, then one column per class; `dunectl predict` writes the same. */
#include "model/model_int.h"

#include <math.h>
#include <string.h>

#include "base/spill.h"

enum { MAX_CLASSES = 4096 };

struct row_key {
    uint32_t flow, packet;
};

struct dune_model_predictions {
    uint32_t n_classes;
    char **class_name;
    size_t n_rows, n_slots;
    struct row_key *key;
    float *p;       /* [n_rows][n_classes] */
    uint32_t *slot; /* [n_slots], a power of two: row + 1, 0: free */
    size_t cap;
};

#define BAD_LINE(c, d, ...) (dune_diag_set_line((d), DUNE_E_INPUT, (c)->file, (c)->line, __VA_ARGS__), DUNE_E_INPUT)

/* The slot of a row: its own or the free one where it belongs. */
static uint32_t *find_slot(const struct dune_model_predictions *x, uint32_t flow, uint32_t packet)
{
    size_t at = (size_t)dune_mix64(flow, packet);

    for (;; at++) {
        uint32_t *s = &x->slot[at & (x->n_slots - 1)];

        if (!*s || (x->key[*s - 1].flow == flow && x->key[*s - 1].packet == packet))
            return s;
    }
}

static void make_room(struct dune_model_predictions *x)
{
    if (x->n_rows < x->cap)
        return;
    x->cap = x->cap ? 2 * x->cap : 1024;
    x->key = dune_mem_realloc(x->key, x->cap, sizeof(*x->key));
    x->p = dune_mem_realloc(x->p, x->cap * x->n_classes, sizeof(*x->p));
    dune_mem_free(x->slot);
    x->n_slots = 2 * x->cap;
    x->slot = DUNE_NEW_N(uint32_t, x->n_slots);
    for (size_t i = 0; i < x->n_rows; i++)
        *find_slot(x, x->key[i].flow, x->key[i].packet) = (uint32_t)i + 1;
}

static int read_header(struct dune_model_predictions *x, struct dune_csv *c, struct dune_diag *d)
{
    if (c->n_fields < 4 || strcmp(c->field[0], "flow") != 0 || strcmp(c->field[1], "packet") != 0)
        return BAD_LINE(c, d, "no predictions: the header must be flow,packet and the names of 2 classes or more");
    if (c->n_fields - 2 > MAX_CLASSES)
        return BAD_LINE(c, d, "more than %d classes", MAX_CLASSES);
    x->class_name = DUNE_NEW_N(char *, c->n_fields - 2);
    for (size_t i = 2; i < c->n_fields; i++) {
        if (!*c->field[i])
            return BAD_LINE(c, d, "column %zu has no name", i + 1);
        for (uint32_t k = 0; k < x->n_classes; k++)
            if (strcmp(x->class_name[k], c->field[i]) == 0)
                return BAD_LINE(c, d, "class \"%.60s\" is listed twice", c->field[i]);
        x->class_name[x->n_classes++] = dune_mem_strdup(c->field[i]);
    }
    return 0;
}

static int read_row(struct dune_model_predictions *x, struct dune_csv *c, struct dune_diag *d)
{
    uint64_t flow, packet;
    uint32_t *slot;
    float *p;

    if (c->n_fields != x->n_classes + 2)
        return BAD_LINE(c, d, "%zu columns, the header has %u", c->n_fields, x->n_classes + 2);
    if (!dune_parse_u64(c->field[0], &flow) || !dune_parse_u64(c->field[1], &packet) || flow > UINT32_MAX ||
        packet > UINT32_MAX || !packet)
        return BAD_LINE(c, d, "flow and packet are no numbers of a row (%.20s, %.20s)", c->field[0], c->field[1]);
    if (x->n_rows >= UINT32_MAX / 4)
        return BAD_LINE(c, d, "more rows than can be kept");
    make_room(x);
    slot = find_slot(x, (uint32_t)flow, (uint32_t)packet);
    if (*slot)
        return BAD_LINE(c, d, "packet %llu of flow %llu is listed twice", (unsigned long long)packet, (unsigned long long)flow);
    p = x->p + x->n_rows * x->n_classes;
    for (uint32_t i = 0; i < x->n_classes; i++) {
        double v;

        if (!dune_parse_double(c->field[i + 2], &v) || !(v >= 0 && v <= 1.001))
            return BAD_LINE(c, d, "\"%.40s\" is no probability", c->field[i + 2]);
        p[i] = (float)v;
    }
    if (!model_normalise(p, x->n_classes))
        return BAD_LINE(c, d, "the probabilities do not sum to 1");
    x->key[x->n_rows++] = (struct row_key){(uint32_t)flow, (uint32_t)packet};
    *slot = (uint32_t)x->n_rows;
    return 0;
}

int dune_predictions_parse(struct dune_model_predictions **out, const char *name, const void *data, size_t len,
                           struct dune_diag *d)
{
    struct dune_model_predictions *x = DUNE_NEW(struct dune_model_predictions);
    struct dune_csv c;
    int rc;

    dune_csv_init(&c, name, data, len);
    rc = dune_csv_next(&c, d);
    if (rc == 0)
        rc = dune_diag_set(d, DUNE_E_INPUT, name, "the file is empty");
    if (rc == 1)
        rc = read_header(x, &c, d);
    while (rc == 0 && (rc = dune_csv_next(&c, d)) == 1)
        rc = read_row(x, &c, d);
    if (rc == 0 && x->n_rows == 0)
        rc = dune_diag_set(d, DUNE_E_INPUT, name, "no predictions below the header");
    dune_csv_fini(&c);
    *out = rc ? NULL : x;
    if (rc)
        dune_predictions_free(x);
    return rc;
}

void dune_predictions_free(struct dune_model_predictions *x)
{
    if (!x)
        return;
    for (uint32_t i = 0; i < x->n_classes; i++)
        dune_mem_free(x->class_name[i]);
    dune_mem_free(x->class_name);
    dune_mem_free(x->key);
    dune_mem_free(x->p);
    dune_mem_free(x->slot);
    dune_mem_free(x);
}

/* Columns that are no class of the data set would be probability lost without a word. */
static int check_classes(const struct dune_model *m, const struct dune_dataset *ds, struct dune_diag *d)
{
    for (uint32_t c = 0; ds && c < m->n_classes; c++)
        if (dune_dataset_find_class(ds, m->class_name[c]) < 0)
            return dune_diag_set_line(d, DUNE_E_INPUT, m->name, 1, "\"%.60s\" is no class of the data set", m->class_name[c]);
    return 0;
}

int predictions_open(struct dune_model *m, const char *path, const struct dune_dataset *ds, struct dune_diag *d)
{
    struct dune_map map;
    int rc = dune_map_open(&map, path, d);

    m->kind = DUNE_MODEL_PREDICTIONS;
    if (rc)
        return rc;
    rc = dune_predictions_parse(&m->pred, path, map.data, map.len, d);
    dune_map_close(&map);
    if (rc)
        return rc;
    m->n_classes = m->pred->n_classes;
    m->class_name = DUNE_NEW_N(char *, m->n_classes);
    for (uint32_t c = 0; c < m->n_classes; c++)
        m->class_name[c] = dune_mem_strdup(m->pred->class_name[c]);
    rc = check_classes(m, ds, d);
    return rc ? rc : model_default_view(m, d);
}

int predictions_proba(const struct dune_model *m, const struct dune_table *t, float *p, struct dune_diag *d)
{
    const struct dune_model_predictions *x = m->pred;

    for (size_t r = 0; r < t->n_rows; r++) {
        uint32_t at = *find_slot(x, t->flow[r], t->pos[r]);

        if (!at)
            return dune_diag_set(d, DUNE_E_INPUT, m->name, "no prediction for packet %u of flow %u (n = %u, phase %s)", t->pos[r],
                                 t->flow[r], m->n, dune_mode_name(m->mode));
        memcpy(p + r * x->n_classes, x->p + (size_t)(at - 1) * x->n_classes, x->n_classes * sizeof(*p));
    }
    return 0;
}

int dune_predictions_write(const struct dune_model *m, const struct dune_table *t, const float *p, const char *path,
                           struct dune_diag *d)
{
    struct dune_outfile o = {0};
    struct dune_buf b = {0};
    int rc = dune_outfile_open(&o, path, d);

    dune_buf_puts(&b, "flow,packet");
    for (uint32_t c = 0; c < m->n_classes; c++) {
        dune_buf_puts(&b, ",");
        dune_csv_put(&b, m->class_name[c]);
    }
    dune_buf_puts(&b, "\n");
    for (size_t r = 0; r < t->n_rows && rc == 0; r++) {
        dune_buf_printf(&b, "%u,%u", t->flow[r], t->pos[r]);
        for (uint32_t c = 0; c < m->n_classes; c++)
            dune_buf_printf(&b, ",%.9g", (double)p[r * m->n_classes + c]);
        dune_buf_append(&b, "\n", 1);
        if (b.len > 1u << 20 || r + 1 == t->n_rows) {
            (void)dune_spill_fwrite(b.data, b.len, o.f); /* commit says when it failed */
            b.len = 0;
        }
    }
    dune_buf_fini(&b);
    return rc ? rc : dune_outfile_commit(&o, d);
}
