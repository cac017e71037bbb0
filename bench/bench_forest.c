/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forest training, timed. One process fits one forest, so that peak memory means something; forest.py
 * runs it and its peers in turns and prints medians and ratios.
 *
 *     bench_forest gen OUT ROWS COLS CLASSES     synthetic rows, plus a quarter as many to test on
 *     bench_forest export ROWS.dset OUT N        the rows of a data set, all features of n = N
 *     bench_forest fit|refit IN TREES LEAVES DEPTH SQRT BOOTSTRAP THREADS [REPEAT [FILE]]
 *
 * refit encodes the columns once, outside the time, as repeated fits on one table do.
 *
 * A rows file has 4 words of 64 bits (train rows, test rows, columns, classes), then per column all
 * values (32 bits), then weights (64 bits), then classes (16 bits); train rows first.
 */
#include "base/base.h"
#include "dune/forest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct rows {
    uint64_t n_train, n_test, n_cols, n_classes;
    uint32_t **col;
    uint64_t *w;
    uint16_t *cls;
};

static int fail(const struct dune_diag *d)
{
    char text[1400];

    dune_diag_format(d, text, sizeof(text));
    fprintf(stderr, "bench_forest: %s\n", text);
    return 1;
}

static int save(const struct rows *r, const char *path)
{
    uint64_t n = r->n_train + r->n_test, head[4] = {r->n_train, r->n_test, r->n_cols, r->n_classes};
    struct dune_outfile o;
    struct dune_diag d = {0};

    if (dune_outfile_open(&o, path, &d))
        return fail(&d);
    fwrite(head, sizeof(head), 1, o.f);
    for (uint64_t c = 0; c < r->n_cols; c++)
        fwrite(r->col[c], sizeof(uint32_t), n, o.f);
    if (n % 2 * r->n_cols % 2)
        fwrite("\0\0\0", 4, 1, o.f); /* keeps the weights aligned */
    fwrite(r->w, sizeof(uint64_t), n, o.f);
    fwrite(r->cls, sizeof(uint16_t), n, o.f);
    return dune_outfile_commit(&o, &d) ? fail(&d) : 0;
}

static void alloc_rows(struct rows *r)
{
    uint64_t n = r->n_train + r->n_test;

    r->col = DUNE_NEW_N(uint32_t *, r->n_cols);
    for (uint64_t c = 0; c < r->n_cols; c++)
        r->col[c] = dune_mem_alloc(n, sizeof(uint32_t));
    r->w = dune_mem_alloc(n, sizeof(uint64_t));
    r->cls = dune_mem_alloc(n, sizeof(uint16_t));
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

static int generate(const char *path, uint64_t n, uint64_t cols, uint64_t classes)
{
    struct rows t = {.n_train = n, .n_test = n / 4, .n_cols = cols, .n_classes = classes};
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
    rc = save(&t, path);
    dune_mem_free(center);
    return rc;
}

/* --- rows of a data set ------------------------------------------------------------------------------ */
static void append(struct rows *r, uint64_t *at, const struct dune_table *t)
{
    for (uint32_t c = 0; c < t->n_cols; c++)
        memcpy(r->col[c] + *at, t->col[c], t->n_rows * sizeof(uint32_t));
    memcpy(r->w + *at, t->w, t->n_rows * sizeof(uint64_t));
    memcpy(r->cls + *at, t->cls, t->n_rows * sizeof(uint16_t));
    *at += t->n_rows;
}

static int export(const char *in, const char *out, unsigned n)
{
    struct dune_dataset *ds;
    struct dune_table t[2];
    struct dune_view v = {.n = n};
    struct dune_diag d = {0};
    struct rows r = {0};
    uint8_t *use;
    uint64_t at = 0;

    if (dune_dataset_read(&ds, in, &d) || dune_feature_set_parse("all", n, &v.features, &d))
        return fail(&d);
    use = DUNE_NEW_N(uint8_t, ds->n_flows);
    v.flow_use = use;
    for (int s = 0; s < 2; s++) {
        for (uint64_t i = 0; i < ds->n_flows; i++)
            use[i] = ds->flow_split[i] == (s ? DUNE_SPLIT_TEST : DUNE_SPLIT_TRAIN);
        if (dune_table_build(&t[s], ds, &v, &d))
            return fail(&d);
    }
    r = (struct rows){.n_train = t[0].n_rows, .n_test = t[1].n_rows, .n_cols = t[0].n_cols,
                      .n_classes = t[0].n_classes};
    alloc_rows(&r);
    append(&r, &at, &t[0]);
    append(&r, &at, &t[1]);
    return save(&r, out);
}

/* --- one fit ------------------------------------------------------------------------------------------ */
static double macro_f1(const struct rows *r, const struct dune_table *t, const uint16_t *got)
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

static struct dune_table part(const struct rows *r, bool test, uint8_t *feat, uint32_t **col)
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

static double cpu_seconds(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void load(struct rows *r, const struct dune_map *m)
{
    const uint64_t *head = (const uint64_t *)(const void *)m->data;
    uint64_t n = head[0] + head[1];
    uint8_t *p = (uint8_t *)(uintptr_t)m->data + 32;

    *r = (struct rows){.n_train = head[0], .n_test = head[1], .n_cols = head[2], .n_classes = head[3]};
    r->col = DUNE_NEW_N(uint32_t *, r->n_cols);
    for (uint64_t c = 0; c < r->n_cols; c++, p += n * 4)
        r->col[c] = (uint32_t *)(void *)p;
    p += n % 2 * r->n_cols % 2 ? 4 : 0;
    r->w = (uint64_t *)(void *)p;
    r->cls = (uint16_t *)(void *)(p + n * 8);
}

static int fit(const char *path, const struct dune_train_cfg *cfg, bool refit, unsigned repeat,
               const char *out)
{
    struct dune_diag d = {0};
    struct dune_map m;
    struct rows r;
    struct dune_table t;
    struct dune_trainer *tr = NULL;
    struct dune_forest *f = NULL;
    struct rusage u;
    uint8_t feat[256];
    uint32_t *col[256];
    uint16_t *got;
    double cpu, best = 1e9, leaves = 0;

    if (dune_map_open(&m, path, &d))
        return fail(&d);
    load(&r, &m);
    t = part(&r, false, feat, col);
    if (refit && dune_trainer_new(&tr, &t, cfg->threads, &d))
        return fail(&d);
    cpu = cpu_seconds();
    for (unsigned i = 0; i < repeat; i++) {
        uint64_t start = dune_now_ns();

        dune_forest_free(f);
        if (tr ? dune_trainer_fit(tr, &f, NULL, 0, NULL, 0, cfg, &d) : dune_forest_train(&f, &t, cfg, &d))
            return fail(&d);
        best = fmin(best, (double)(dune_now_ns() - start) / 1e9);
    }
    cpu = (cpu_seconds() - cpu) / repeat;
    getrusage(RUSAGE_SELF, &u);
    t = part(&r, true, feat, col);
    got = dune_mem_alloc(t.n_rows, sizeof(*got));
    dune_forest_predict(f, &t, cfg->threads, got);
    for (uint32_t i = 0; i < f->n_trees; i++)
        leaves += dune_tree_n_leaves(&f->tree[i]);
    printf("{\"who\": \"dune\", \"wall\": %.4f, \"cpu\": %.4f, \"rss_mb\": %.1f, \"f1\": %.4f, \"leaves\": %.0f}\n",
           best, cpu, (double)u.ru_maxrss / 1024, macro_f1(&r, &t, got), leaves);
    if (out) {
        char **name = DUNE_NEW_N(char *, f->n_classes);

        for (uint32_t c = 0; c < f->n_classes; c++)
            name[c] = dune_mem_printf("%u", c);
        dune_forest_set_names(f, (const char *const *)name);
        if (dune_forest_write(f, out, &d))
            return fail(&d);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct dune_train_cfg cfg = {.seed = 1};

    if (argc == 6 && !strcmp(argv[1], "gen"))
        return generate(argv[2], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10),
                        strtoull(argv[5], NULL, 10));
    if (argc == 5 && !strcmp(argv[1], "export"))
        return export(argv[2], argv[3], (unsigned)atoi(argv[4]));
    if (argc < 9 || (strcmp(argv[1], "fit") && strcmp(argv[1], "refit"))) {
        fprintf(stderr, "usage: see the top of bench_forest.c\n");
        return 2;
    }
    cfg.n_trees = (uint32_t)atoi(argv[3]);
    cfg.max_leaves = (uint32_t)atoi(argv[4]);
    cfg.max_depth = (uint32_t)atoi(argv[5]);
    cfg.sqrt_features = atoi(argv[6]);
    cfg.bootstrap = atoi(argv[7]);
    cfg.threads = (unsigned)atoi(argv[8]);
    return fit(argv[2], &cfg, argv[1][0] == 'r', argc > 9 ? (unsigned)atoi(argv[9]) : 1, argc > 10 ? argv[10] : NULL);
}
