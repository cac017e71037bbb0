/* SPDX-License-Identifier: Apache-2.0 */
/* Views of a data set: the rows that training and evaluation see for an inference point and a mode. */
#include <math.h>
#include <string.h>

#include "features/dataset_int.h"

static const char *const mode_name[DUNE_N_MODES] = {"running", "published", "packet", "flow"};

const char *dune_mode_name(enum dune_mode m)
{
    return (unsigned)m < DUNE_N_MODES ? mode_name[m] : "?";
}

int dune_mode_find(const char *name)
{
    for (int i = 0; i < DUNE_N_MODES; i++)
        if (strcmp(name, mode_name[i]) == 0)
            return i;
    return -1;
}

/* Rows of one flow in a view: stored rows first..last-1 (0-based in the flow). */
struct span {
    uint64_t first, last;
};

static struct span span_of(const struct dune_dataset *ds, const struct dune_view *v, uint64_t flow)
{
    uint64_t rows = ds->flow_row[flow + 1] - ds->flow_row[flow];
    struct span s = {0, rows};

    if (v->flow_use && !v->flow_use[flow])
        s.last = 0;
    else if (v->mode != DUNE_MODE_PACKET)
        s.last = DUNE_MIN(rows, (uint64_t)v->n);
    if (v->mode == DUNE_MODE_FLOW) /* the row of packet n or nothing */
        s.first = s.last == v->n ? v->n - 1 : s.last;
    return s;
}

/* Weight of row k (0-based) of a flow: the row stands for one packet, the last row of the inference
 * phase for all packets from there on. */
static uint64_t weight_of(const struct dune_dataset *ds, const struct dune_view *v, uint64_t flow,
                          uint64_t k)
{
    uint64_t len = ds->flow_len[flow], packets = 1, w;
    uint64_t rows = ds->flow_row[flow + 1] - ds->flow_row[flow];

    if (v->mode == DUNE_MODE_PACKET ? k + 1 == rows : k + 1 == v->n)
        packets = len - k;
    w = DUNE_WEIGHT_ONE * packets / len;
    return w ? w : 1;
}

/* Does row k see the registers? */
static bool has_state(const struct dune_view *v, uint64_t k)
{
    return v->mode == DUNE_MODE_RUNNING || v->mode == DUNE_MODE_FLOW ||
           (v->mode == DUNE_MODE_PUBLISHED && k + 1 == v->n);
}

#define NO_STATE (UINT64_C(1) << 63) /* in a source row: FL features are 0 */

/* Writes class, weight, flow and position of every row, and where its values come from. */
static void fill_rows(struct dune_table *t, uint64_t *src, const struct dune_dataset *ds,
                      const struct dune_view *v)
{
    size_t at = 0;

    for (uint64_t f = 0; f < ds->n_flows; f++) {
        struct span s = span_of(ds, v, f);

        for (uint64_t k = s.first; k < s.last; k++) {
            uint64_t w = weight_of(ds, v, f, k), row = ds->flow_row[f] + k;
            uint64_t cw = DUNE_MAX(w * v->collision_per_mille / 1000, (uint64_t)1);
            int n_copies = v->collision_per_mille ? 2 : 1;

            for (int copy = 0; copy < n_copies; copy++, at++) {
                t->cls[at] = ds->flow_class[f];
                t->w[at] = copy ? cw : w;
                t->flow[at] = (uint32_t)f;
                t->pos[at] = (uint32_t)(k + 1);
                src[at] = row | (copy || !has_state(v, k) ? NO_STATE : 0);
            }
        }
    }
}

static void fill_columns(struct dune_table *t, const uint64_t *src, const struct dune_dataset *ds)
{
    for (uint32_t c = 0; c < t->n_cols; c++) {
        const uint32_t *from = ds->col[t->feat[c]];
        bool fl = dune_catalog[t->feat[c]].phase == DUNE_PHASE_FL;

        for (size_t i = 0; i < t->n_rows; i++)
            t->col[c][i] = fl && (src[i] & NO_STATE) ? 0 : from[src[i] & ~NO_STATE];
    }
}

static size_t count_rows(const struct dune_dataset *ds, const struct dune_view *v)
{
    size_t n = 0;

    for (uint64_t f = 0; f < ds->n_flows; f++) {
        struct span s = span_of(ds, v, f);

        n += s.last - s.first;
    }
    return v->collision_per_mille ? 2 * n : n;
}

static int check_view(const struct dune_dataset *ds, const struct dune_view *v, struct dune_diag *d)
{
    if (v->mode != DUNE_MODE_PACKET && v->n == 0)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "the inference point n must be at least 1");
    if (v->mode != DUNE_MODE_PACKET && ds->max_n != DUNE_MAX_N_ALL && v->n > ds->max_n)
        return dune_diag_set(d, DUNE_E_USAGE, NULL,
                             "n = %u, but the data set keeps the first %u packets of a flow: "
                             "extract it with --max-n %u", v->n, ds->max_n, v->n);
    if ((v->features & ((UINT64_C(2) << (DUNE_N_FEATURES - 1)) - 1)) == 0)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "no feature is chosen");
    return 0;
}

static void alloc_table(struct dune_table *t, size_t n_rows, uint32_t n_cols)
{
    t->n_rows = n_rows;
    t->n_cols = n_cols;
    t->feat = DUNE_NEW_N(uint8_t, n_cols);
    t->col = DUNE_NEW_N(uint32_t *, n_cols);
    for (uint32_t c = 0; c < n_cols; c++)
        t->col[c] = dune_mem_alloc(n_rows, sizeof(**t->col));
    t->cls = dune_mem_alloc(n_rows, sizeof(*t->cls));
    t->w = dune_mem_alloc(n_rows, sizeof(*t->w));
    t->flow = dune_mem_alloc(n_rows, sizeof(*t->flow));
    t->pos = dune_mem_alloc(n_rows, sizeof(*t->pos));
}

int dune_table_build(struct dune_table *t, const struct dune_dataset *ds, const struct dune_view *v,
                     struct dune_diag *d)
{
    uint64_t *src;
    uint32_t c = 0;
    int rc = check_view(ds, v, d);

    memset(t, 0, sizeof(*t));
    if (rc)
        return rc;
    for (int f = 0; f < DUNE_N_FEATURES; f++)
        c += v->features >> f & 1;
    alloc_table(t, count_rows(ds, v), c);
    t->n_classes = ds->n_classes;
    c = 0;
    for (int f = 0; f < DUNE_N_FEATURES; f++)
        if (v->features >> f & 1)
            t->feat[c++] = (uint8_t)f;
    src = dune_mem_alloc(t->n_rows, sizeof(*src));
    fill_rows(t, src, ds, v);
    fill_columns(t, src, ds);
    dune_mem_free(src);
    return 0;
}

void dune_table_fini(struct dune_table *t)
{
    for (uint32_t c = 0; c < t->n_cols; c++)
        dune_mem_free(t->col[c]);
    dune_mem_free(t->feat);
    dune_mem_free(t->col);
    dune_mem_free(t->cls);
    dune_mem_free(t->w);
    dune_mem_free(t->flow);
    dune_mem_free(t->pos);
    memset(t, 0, sizeof(*t));
}

void dune_table_balance(struct dune_table *t, double a)
{
    uint64_t *sum, total = 0;
    double *factor, scaled = 0;

    if (a == 0 || !t->n_rows)
        return;
    sum = DUNE_NEW_N(uint64_t, t->n_classes);
    factor = DUNE_NEW_N(double, t->n_classes);
    for (size_t i = 0; i < t->n_rows; i++)
        sum[t->cls[i]] += t->w[i];
    for (uint32_t c = 0; c < t->n_classes; c++)
        total += sum[c];
    for (uint32_t c = 0; c < t->n_classes; c++) {
        if (!sum[c])
            continue;
        factor[c] = pow((double)sum[c] / (double)total, -a);
        scaled += factor[c] * (double)sum[c];
    }
    for (size_t i = 0; i < t->n_rows; i++) {
        double w = (double)t->w[i] * (factor[t->cls[i]] * ((double)total / scaled));

        t->w[i] = w < 1 ? 1 : (uint64_t)(w + 0.5);
    }
    dune_mem_free(sum);
    dune_mem_free(factor);
}
