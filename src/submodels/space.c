/* SPDX-License-Identifier: Apache-2.0 */
/* The planning space: flows, items, and one table and trainer per (n, mode). */
#include "dune/submodels.h"

#include <string.h>

#include "base/base.h"

static uint64_t stored_rows(const struct dune_dataset *ds, uint32_t flow)
{
    return ds->flow_row[flow + 1] - ds->flow_row[flow];
}

static unsigned n_flow_items(const struct dune_space *s, uint32_t flow)
{
    return (unsigned)DUNE_MIN(stored_rows(s->ds, flow), (uint64_t)s->max_n);
}

static void choose_flows(struct dune_space *s, enum dune_split split, const uint8_t *use)
{
    const struct dune_dataset *ds = s->ds;

    s->flow = dune_mem_alloc(ds->n_flows, sizeof(*s->flow));
    for (uint32_t f = 0; f < ds->n_flows; f++) {
        if (use ? use[f] != 0 : ds->flow_split[f] == split)
            s->flow[s->n_flows++] = f;
    }
}

/* Packet i < N weighs 1/len; packet N (or the last one stored) stands for all later ones. */
static void add_items(struct dune_space *s, uint32_t k)
{
    uint32_t flow = s->flow[k];
    unsigned n = n_flow_items(s, flow);
    uint64_t len = s->ds->flow_len[flow];

    for (unsigned i = 1; i <= n; i++) {
        uint64_t pkts = i < n ? 1 : len - n + 1;
        size_t item = s->n_items++;

        s->item_flow[item] = k;
        s->item_pos[item] = (uint8_t)i;
        s->item_cls[item] = s->ds->flow_class[flow];
        s->item_pkts[item] = pkts;
        s->item_w[item] = DUNE_MAX((uint64_t)((__uint128_t)DUNE_WEIGHT_ONE * pkts / len), UINT64_C(1));
    }
}

int dune_space_new(struct dune_space **out, const struct dune_dataset *ds, enum dune_split split,
                   const uint8_t *use, unsigned max_n, unsigned threads, struct dune_diag *d)
{
    struct dune_space *s;
    size_t total = 0;

    *out = NULL;
    if (max_n < 1 || max_n > 15 || (ds->max_n != DUNE_MAX_N_ALL && max_n > ds->max_n))
        return dune_diag_set(d, DUNE_E_USAGE, NULL,
                             "inference point %u is outside 1..%u, the packets the data set keeps",
                             max_n, ds->max_n ? DUNE_MIN(ds->max_n, 15) : 15);
    s = DUNE_NEW(struct dune_space);
    s->ds = ds;
    s->max_n = max_n;
    s->threads = threads ? threads : dune_n_cpus();
    s->n_classes = ds->n_classes;
    choose_flows(s, split, use);
    for (uint32_t k = 0; k < s->n_flows; k++)
        total += n_flow_items(s, s->flow[k]);
    s->item_flow = dune_mem_alloc(total, sizeof(*s->item_flow));
    s->item_pos = dune_mem_alloc(total, sizeof(*s->item_pos));
    s->item_cls = dune_mem_alloc(total, sizeof(*s->item_cls));
    s->item_w = dune_mem_alloc(total, sizeof(*s->item_w));
    s->item_pkts = dune_mem_alloc(total, sizeof(*s->item_pkts));
    for (uint32_t k = 0; k < s->n_flows; k++)
        add_items(s, k);
    *out = s;
    return 0;
}

static uint64_t weighed(const struct dune_space *s, uint16_t cls, uint64_t w)
{
    return DUNE_MAX((uint64_t)((__uint128_t)w * s->weight[cls] >> 16), UINT64_C(1));
}

void dune_space_weigh(struct dune_space *s, const uint32_t *weight)
{
    s->weight = dune_mem_alloc(s->n_classes, sizeof(*weight));
    memcpy(s->weight, weight, s->n_classes * sizeof(*weight));
    for (size_t i = 0; i < s->n_items; i++)
        s->item_w[i] = weighed(s, s->item_cls[i], s->item_w[i]);
}

void dune_space_validation(const struct dune_space *s, uint8_t *train, uint8_t *valid)
{
    uint8_t *part = dune_mem_alloc(s->ds->n_flows, 1);

    dune_validation_make(s->ds, part);
    for (uint32_t k = 0; k < s->n_flows; k++) {
        valid[k] = part[s->flow[k]] == 1;
        train[k] = part[s->flow[k]] == 0;
    }
    dune_mem_free(part);
}

static void view_free(struct dune_space_view *v)
{
    if (!v)
        return;
    dune_trainer_free(v->trainer);
    dune_trainer_free(v->soft_trainer);
    dune_table_fini(&v->twice);
    dune_table_fini(&v->table);
    dune_mem_free(v->row0);
    dune_mem_free(v);
}

void dune_space_free(struct dune_space *s)
{
    if (!s)
        return;
    for (size_t n = 0; n < DUNE_ARRAY_LEN(s->view); n++)
        for (size_t m = 0; m < DUNE_N_MODES; m++)
            view_free(s->view[n][m]);
    dune_mem_free(s->flow);
    dune_mem_free(s->item_flow);
    dune_mem_free(s->item_pos);
    dune_mem_free(s->item_cls);
    dune_mem_free(s->item_w);
    dune_mem_free(s->item_pkts);
    dune_mem_free(s->weight);
    dune_mem_free(s);
}

/* Every feature the catalog allows at this n: k-th values only up to n. */
static dune_feature_mask usable_features(unsigned n, enum dune_mode mode)
{
    dune_feature_mask m = 0;

    for (int f = 0; f < DUNE_N_FEATURES; f++) {
        if (mode == DUNE_MODE_PACKET && dune_catalog[f].phase == DUNE_PHASE_FL)
            continue;
        if (dune_catalog[f].kth <= n)
            m |= UINT64_C(1) << f;
    }
    return m;
}

/* row0 maps space flows to table rows; the table lists flows in data-set order, as the space does. */
static void index_rows(struct dune_space *s, struct dune_space_view *v)
{
    size_t row = 0;

    v->row0 = dune_mem_alloc((size_t)s->n_flows + 1, sizeof(*v->row0));
    for (uint32_t k = 0; k < s->n_flows; k++) {
        v->row0[k] = (uint32_t)row;
        while (row < v->table.n_rows && v->table.flow[row] == s->flow[k])
            row++;
    }
    v->row0[s->n_flows] = (uint32_t)row;
}

int dune_space_prepare(struct dune_space *s, unsigned n, enum dune_mode mode, struct dune_diag *d)
{
    struct dune_view spec = {.n = n, .mode = mode, .features = usable_features(n, mode)};
    struct dune_space_view *v;
    uint8_t *use;
    int rc;

    if (n < 1 || n > s->max_n)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "inference point %u is outside 1..%u", n, s->max_n);
    if (s->view[n][mode])
        return 0;
    use = DUNE_NEW_N(uint8_t, s->ds->n_flows);
    for (uint32_t k = 0; k < s->n_flows; k++)
        use[s->flow[k]] = 1;
    spec.flow_use = use;
    v = DUNE_NEW(struct dune_space_view);
    rc = dune_table_build(&v->table, s->ds, &spec, d);
    for (size_t r = 0; rc == 0 && s->weight && r < v->table.n_rows; r++)
        v->table.w[r] = weighed(s, v->table.cls[r], v->table.w[r]);
    if (rc == 0) {
        index_rows(s, v);
        rc = dune_trainer_new(&v->trainer, &v->table, s->threads, d);
    }
    if (rc == 0)
        s->view[n][mode] = v;
    else
        view_free(v);
    dune_mem_free(use);
    return rc;
}

static void *twice(const void *from, size_t n, size_t size)
{
    char *to = dune_mem_alloc(2 * n, size);

    memcpy(to, from, n * size);
    memcpy(to + n * size, from, n * size);
    return to;
}

int dune_space_prepare_soft(struct dune_space *s, unsigned n, enum dune_mode mode, struct dune_diag *d)
{
    int rc = dune_space_prepare(s, n, mode, d);
    struct dune_space_view *v;
    const struct dune_table *t;

    if (rc)
        return rc;
    v = s->view[n][mode];
    t = &v->table;
    if (v->soft_trainer)
        return 0;
    v->twice = (struct dune_table){.n_rows = 2 * t->n_rows, .n_cols = t->n_cols, .n_classes = t->n_classes};
    v->twice.feat = dune_mem_alloc(t->n_cols, sizeof(*t->feat));
    memcpy(v->twice.feat, t->feat, t->n_cols * sizeof(*t->feat));
    v->twice.col = DUNE_NEW_N(uint32_t *, t->n_cols);
    for (uint32_t c = 0; c < t->n_cols; c++)
        v->twice.col[c] = twice(t->col[c], t->n_rows, sizeof(*t->col[c]));
    v->twice.cls = twice(t->cls, t->n_rows, sizeof(*t->cls));
    v->twice.w = twice(t->w, t->n_rows, sizeof(*t->w));
    return dune_trainer_new(&v->soft_trainer, &v->twice, s->threads, d);
}
