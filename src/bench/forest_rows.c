/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rows file has 4 words of 64 bits (train rows, test rows, columns, classes), then per column all
 * values (32 bits), then weights (64 bits), then classes (16 bits); train rows first.
 */
#include "bench/forest_rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static int save(const struct bench_rows *r, const char *path, struct dune_diag *d)
{
    uint64_t n = r->n_train + r->n_test, head[4] = {r->n_train, r->n_test, r->n_cols, r->n_classes};
    struct dune_outfile o;
    int rc = dune_outfile_open(&o, path, d);

    if (rc)
        return rc;
    fwrite(head, sizeof(head), 1, o.f);
    for (uint64_t c = 0; c < r->n_cols; c++)
        fwrite(r->col[c], sizeof(uint32_t), n, o.f);
    if (n % 2 * r->n_cols % 2)
        fwrite("\0\0\0", 4, 1, o.f); /* keeps the weights aligned */
    fwrite(r->w, sizeof(uint64_t), n, o.f);
    fwrite(r->cls, sizeof(uint16_t), n, o.f);
    return dune_outfile_commit(&o, d);
}

static void alloc_rows(struct bench_rows *r)
{
    uint64_t n = r->n_train + r->n_test;

    r->col = DUNE_NEW_N(uint32_t *, r->n_cols);
    for (uint64_t c = 0; c < r->n_cols; c++)
        r->col[c] = dune_mem_alloc(n, sizeof(uint32_t));
    r->w = dune_mem_alloc(n, sizeof(uint64_t));
    r->cls = dune_mem_alloc(n, sizeof(uint16_t));
}

static void free_rows(struct bench_rows *r)
{
    for (uint64_t c = 0; c < r->n_cols; c++)
        dune_mem_free(r->col[c]);
    dune_mem_free(r->col);
    dune_mem_free(r->w);
    dune_mem_free(r->cls);
}

/* --- synthetic rows -------------------------------------------------------------------------------- */
enum { CLUSTERS = 4 };

static double bell(struct dune_rng *r) /* mean 0, standard deviation 1 */
{
    double s = 0;

    for (int i = 0; i < 4; i++)
        s += dune_rng_unit(r) - 0.5;
    return s * 1.7320508;
}

/* Columns look like packet features: flags, bytes, 16-bit lengths and ports, times over decades. */
static uint32_t draw_value(struct dune_rng *r, uint64_t col, double center)
{
    double v = center + 0.13 * bell(r);

    v = v < 0 ? 0 : v > 1 ? 1 : v;
    switch (col % 8) {
    case 0:
        return dune_rng_unit(r) < v;
    case 1:
        return (uint32_t)(v * 255);
    case 2:
    case 3:
    case 4:
        return (uint32_t)(v * 1500);
    case 5:
    case 6:
        return (uint32_t)(v * 65535);
    default:
        return (uint32_t)exp2(v * 31);
    }
}

int bench_rows_generate(const char *path, uint64_t n, uint64_t cols, uint64_t classes, struct dune_diag *d)
{
    struct bench_rows t = {.n_train = n, .n_test = n / 4, .n_cols = cols, .n_classes = classes};
    double *center = DUNE_NEW_N(double, classes *CLUSTERS *cols);
    struct dune_rng r;
    int rc;

    alloc_rows(&t);
    dune_rng_init(&r, 1, 0, 0, 0);
    for (uint64_t i = 0; i < classes * CLUSTERS * cols; i++)
        center[i] = dune_rng_unit(&r);
    for (uint64_t i = 0; i < t.n_train + t.n_test; i++) {
        uint64_t cls = dune_rng_below(&r, classes), k = cls * CLUSTERS + dune_rng_below(&r, CLUSTERS);

        for (uint64_t c = 0; c < cols; c++) /* a quarter of the values says nothing */
            t.col[c][i] = draw_value(&r, c, dune_rng_below(&r, 4) ? center[k * cols + c] : dune_rng_unit(&r));
        t.cls[i] = (uint16_t)(dune_rng_below(&r, 20) ? cls : dune_rng_below(&r, classes));
        t.w[i] = DUNE_WEIGHT_ONE;
    }
    rc = save(&t, path, d);
    free_rows(&t);
    dune_mem_free(center);
    return rc;
}

/* --- rows of a data set ------------------------------------------------------------------------------ */
static void append(struct bench_rows *r, uint64_t *at, const struct dune_table *t)
{
    for (uint32_t c = 0; c < t->n_cols; c++)
        memcpy(r->col[c] + *at, t->col[c], t->n_rows * sizeof(uint32_t));
    memcpy(r->w + *at, t->w, t->n_rows * sizeof(uint64_t));
    memcpy(r->cls + *at, t->cls, t->n_rows * sizeof(uint16_t));
    *at += t->n_rows;
}

int bench_rows_export(const struct dune_dataset *ds, const char *out, unsigned n, struct dune_diag *d)
{
    struct dune_table t[2] = {{0}};
    struct dune_view v = {.n = n};
    struct bench_rows r = {0};
    uint8_t *use = DUNE_NEW_N(uint8_t, ds->n_flows);
    uint64_t at = 0;
    int rc = dune_feature_set_parse("all", n, &v.features, d);

    v.flow_use = use;
    for (int s = 0; s < 2 && rc == 0; s++) {
        for (uint64_t i = 0; i < ds->n_flows; i++)
            use[i] = ds->flow_split[i] == (s ? DUNE_SPLIT_TEST : DUNE_SPLIT_TRAIN);
        rc = dune_table_build(&t[s], ds, &v, d);
    }
    if (rc == 0) {
        r = (struct bench_rows){.n_train = t[0].n_rows, .n_test = t[1].n_rows, .n_cols = t[0].n_cols,
                                .n_classes = t[0].n_classes};
        alloc_rows(&r);
        append(&r, &at, &t[0]);
        append(&r, &at, &t[1]);
        rc = save(&r, out, d);
        free_rows(&r);
    }
    dune_table_fini(&t[0]);
    dune_table_fini(&t[1]);
    dune_mem_free(use);
    return rc;
}

/* --- reading them back --------------------------------------------------------------------------- */
double bench_rows_macro_f1(const struct bench_rows *r, const struct dune_table *t, const uint16_t *got)
{
    double *hit = DUNE_NEW_N(double, r->n_classes), *said = DUNE_NEW_N(double, r->n_classes);
    double *is = DUNE_NEW_N(double, r->n_classes), sum = 0;
    unsigned present = 0;

    for (size_t i = 0; i < t->n_rows; i++) {
        double w = (double)t->w[i];

        is[t->cls[i]] += w;
        said[got[i]] += w;
        if (t->cls[i] == got[i])
            hit[got[i]] += w;
    }
    for (uint64_t c = 0; c < r->n_classes; c++) {
        present += is[c] > 0;
        sum += is[c] > 0 ? 2 * hit[c] / (is[c] + said[c]) : 0;
    }
    dune_mem_free(hit);
    dune_mem_free(said);
    dune_mem_free(is);
    return present ? sum / present : 0;
}

struct dune_table bench_rows_part(const struct bench_rows *r, bool test, uint8_t *feat, uint32_t **col)
{
    uint64_t from = test ? r->n_train : 0;

    for (uint64_t c = 0; c < r->n_cols; c++) {
        feat[c] = (uint8_t)c;
        col[c] = r->col[c] + from;
    }
    return (struct dune_table){.n_rows = test ? r->n_test : r->n_train, .n_cols = (uint32_t)r->n_cols,
                               .n_classes = (uint32_t)r->n_classes, .feat = feat, .col = col,
                               .cls = r->cls + from, .w = r->w + from};
}

static void point_into(struct bench_rows *r, const struct dune_map *m)
{
    const uint64_t *head = (const uint64_t *)(const void *)m->data;
    uint64_t n = head[0] + head[1];
    uint8_t *p = (uint8_t *)(uintptr_t)m->data + 32;

    *r = (struct bench_rows){.n_train = head[0], .n_test = head[1], .n_cols = head[2], .n_classes = head[3]};
    r->col = DUNE_NEW_N(uint32_t *, r->n_cols);
    for (uint64_t c = 0; c < r->n_cols; c++, p += n * 4)
        r->col[c] = (uint32_t *)(void *)p;
    p += n % 2 * r->n_cols % 2 ? 4 : 0;
    r->w = (uint64_t *)(void *)p;
    r->cls = (uint16_t *)(void *)(p + n * 8);
}

int bench_rows_open(struct bench_rows *r, const char *path, struct dune_diag *d)
{
    struct dune_map m;
    int rc = dune_map_open(&m, path, d);

    if (rc)
        return rc;
    point_into(r, &m);
    r->map = m;
    (void)madvise(m.base, m.len, MADV_POPULATE_READ); /* peers have their rows in memory when their clock starts, too */
    return 0;
}

void bench_rows_close(struct bench_rows *r)
{
    dune_mem_free(r->col);
    dune_map_close(&r->map);
}
