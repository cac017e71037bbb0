/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs one hot path on a fixed input, for counting instructions (instructions.sh):
 *
 *     hot_paths --signature      what the counts depend on besides the sources
 *     hot_paths --list           name and unit of every path
 *     hot_paths NAME DIR         runs it; only what measured() calls is counted; prints the units done
 *
 * To add a path: a function that prepares, calls measured(work, ctx) once and returns the units; a line in
 * paths[]; then `instructions.sh --write`.
 */
#include "base/base.h"

#include <string.h>

#include "bench/engine_load.h"
#include "bench/forest_rows.h"
#include "dune/dataset.h"
#include "dune/synth.h"
#include "targets/fast/dune_fast.h"

typedef int (*work_fn)(void *ctx, struct dune_diag *d);

/* The counter is on inside this function. */
__attribute__((noinline, noclone)) static int measured(work_fn work, void *ctx, struct dune_diag *d)
{
    int rc = work(ctx, d);

    __asm__ volatile("" ::: "memory"); /* no tail call */
    return rc;
}

/* --- extraction --------------------------------------------------------------------------------------- */
struct extraction {
    char *capture;
    struct dune_labels *labels;
    struct dune_dataset *ds;
    struct dune_extract_report report;
};

static int extract(void *ctx, struct dune_diag *d)
{
    struct extraction *x = ctx;
    struct dune_extract_input in = {x->capture, DUNE_SPLIT_TRAIN};
    struct dune_extract_opts opts = {.threads = 1};

    return dune_extract(&x->ds, &in, 1, x->labels, NULL, &opts, &x->report, d);
}

static int run_extract(const char *dir, uint64_t *units, struct dune_diag *d)
{
    struct dune_synth_cfg cfg = {.n_flows = 4000, .train_captures = 1, .test_captures = 1, .concurrency = 200, .snap = 96,
                                 .seed = 1, .n_threads = 1};
    char *labels = dune_mem_printf("%s/labels.csv", dir);
    struct extraction x = {.capture = dune_mem_printf("%s/train/synth-01.pcap", dir)};
    struct dune_synth_stats st;
    struct dune_synth *s = NULL;
    const char *text = dune_synth_default();
    int rc = dune_synth_parse(&s, "built-in", text, strlen(text), d);

    if (rc == 0)
        rc = dune_synth_write(s, &cfg, dir, &st, d);
    if (rc == 0)
        rc = dune_labels_read(&x.labels, labels, NULL, d);
    if (rc == 0)
        rc = measured(extract, &x, d);
    *units = x.report.packets;
    dune_dataset_free(x.ds);
    dune_labels_free(x.labels);
    dune_synth_free(s);
    dune_mem_free(x.capture);
    dune_mem_free(labels);
    return rc;
}

/* --- training ------------------------------------------------------------------------------------------ */
struct training {
    struct dune_table t;
    struct dune_train_cfg cfg;
    struct dune_forest *f;
};

static int train(void *ctx, struct dune_diag *d)
{
    struct training *x = ctx;

    return dune_forest_train(&x->f, &x->t, &x->cfg, d);
}

static int run_train(const char *dir, const struct dune_train_cfg *cfg, uint64_t *units, struct dune_diag *d)
{
    char *path = dune_mem_printf("%s/rows.bin", dir);
    struct training x = {.cfg = *cfg};
    struct bench_rows rows = {0};
    uint8_t feat[256];
    uint32_t *col[256];
    int rc = bench_rows_generate(path, 10000, 23, 10, d);

    x.cfg.seed = 1;
    x.cfg.threads = 1;
    if (rc == 0)
        rc = bench_rows_open(&rows, path, d);
    if (rc == 0) {
        x.t = bench_rows_part(&rows, false, feat, col);
        rc = measured(train, &x, d);
        *units = rows.n_train * x.cfg.n_trees;
        bench_rows_close(&rows);
    }
    dune_forest_free(x.f);
    dune_mem_free(path);
    return rc;
}

static int run_best_first(const char *dir, uint64_t *units, struct dune_diag *d)
{
    return run_train(dir, &(struct dune_train_cfg){.n_trees = 3, .max_leaves = 200, .bootstrap = true}, units, d);
}

static int run_depth_first(const char *dir, uint64_t *units, struct dune_diag *d)
{
    return run_train(dir, &(struct dune_train_cfg){.n_trees = 5, .max_depth = 24, .sqrt_features = true, .bootstrap = true},
                     units, d);
}

/* --- the fast engine ------------------------------------------------------------------------------------ */
struct classify {
    struct dune_chain *chain;
    struct bench_batch *batch;
    size_t n_batches, last; /* last: packets of the last batch */
};

static int classify(void *ctx, struct dune_diag *d)
{
    struct classify *x = ctx;
    int rc = 0;

    for (size_t k = 0; k < x->n_batches && rc == 0; k++)
        rc = dune_fast_run(x->chain, x->batch[k].pkt, k + 1 < x->n_batches ? LOAD_BATCH : x->last, x->batch[k].verdict,
                           NULL, d);
    return rc;
}

/* One walk, since which is the fastest depends on the day. */
static int run_engine(enum bench_mix mix, uint32_t n_sub, uint64_t *units, struct dune_diag *d)
{
    const struct dune_chain_opts o = {.slots = 512, .ways = 8};
    struct classify x = {.chain = NULL};
    struct bench_load load;
    struct dune_plan *p = NULL;
    int rc = bench_load_plan(&p, n_sub, n_sub, 500, DUNE_HASH_SIPHASH, d);

    bench_load_init(&load, mix, 2000, 1);
    x.n_batches = (size_t)((load.n + LOAD_BATCH - 1) / LOAD_BATCH);
    x.batch = dune_mem_alloc(x.n_batches, sizeof(*x.batch));
    for (size_t k = 0; k < x.n_batches; k++)
        x.last = bench_load_fill(&load, k * LOAD_BATCH, &x.batch[k]);
    if (rc == 0)
        rc = dune_engine_fast.open(&x.chain, p, &o, d);
    if (rc == 0) {
        dune_fast_set_walk(x.chain, DUNE_FAST_WALK_WIDE); /* where the counts were taken */
        rc = measured(classify, &x, d);
        dune_engine_fast.close(x.chain);
    }
    *units = load.n;
    bench_load_fini(&load);
    dune_mem_free(x.batch);
    dune_plan_free(p);
    return rc;
}

static int run_steady(const char *dir, uint64_t *units, struct dune_diag *d)
{
    (void)dir;
    return run_engine(BENCH_STEADY, 1, units, d);
}

static int run_all_inferred(const char *dir, uint64_t *units, struct dune_diag *d)
{
    (void)dir;
    return run_engine(BENCH_ALL_INFERRED, 1, units, d);
}

static int run_chain_steady(const char *dir, uint64_t *units, struct dune_diag *d)
{
    (void)dir;
    return run_engine(BENCH_STEADY, 3, units, d);
}

static int run_chain_all_inferred(const char *dir, uint64_t *units, struct dune_diag *d)
{
    (void)dir;
    return run_engine(BENCH_ALL_INFERRED, 3, units, d);
}

/* --- the table ------------------------------------------------------------------------------------------ */
static const struct {
    const char *name, *unit;
    int (*run)(const char *dir, uint64_t *units, struct dune_diag *d);
} paths[] = {
    {"extract", "packet", run_extract},
    {"train-best-first", "row and tree", run_best_first},
    {"train-depth-first", "row and tree", run_depth_first},
    {"engine-steady", "packet", run_steady},
    {"engine-all-inferred", "packet", run_all_inferred},
    {"engine-chain-steady", "packet", run_chain_steady},
    {"engine-chain-all-inferred", "packet", run_chain_all_inferred},
};

static void print_signature(void)
{
#if defined(__clang__)
    const char *compiler = "clang " __clang_version__;
#else
    const char *compiler = "gcc " __VERSION__;
#endif
#ifdef __x86_64__
    const char *machine = __builtin_cpu_supports("avx2") ? "x86_64 with AVX2" : "x86_64";
#else
    const char *machine = "another machine";
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
    compiler = "instrumented or not optimised";
#endif
    printf("%s, %s\n", compiler, machine);
}

int main(int argc, char **argv)
{
    struct dune_diag d = {0};
    uint64_t units = 0;
    char text[1400];

    if (argc == 2 && strcmp(argv[1], "--signature") == 0) {
        print_signature();
        return 0;
    }
    for (size_t i = 0; i < DUNE_ARRAY_LEN(paths); i++) {
        if (argc == 2 && strcmp(argv[1], "--list") == 0)
            printf("%s,%s\n", paths[i].name, paths[i].unit);
        if (argc != 3 || strcmp(argv[1], paths[i].name) != 0)
            continue;
        if (paths[i].run(argv[2], &units, &d)) {
            dune_diag_format(&d, text, sizeof(text));
            fprintf(stderr, "hot_paths: %s\n", text);
            return 1;
        }
        printf("%llu\n", (unsigned long long)units);
    }
    return argc == 3 && !units ? 2 : 0;
}
