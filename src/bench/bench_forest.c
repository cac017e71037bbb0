/* SPDX-License-Identifier: Apache-2.0 */
/* Forest training beside scikit-learn, XGBoost and ranger, and what it costs as inputs grow. */
#include "bench/bench_data.h"
#include "bench/forest_rows.h"

#include <math.h>
#include <string.h>
#include <sys/resource.h>

struct fit_case {
    const char *title;
    unsigned trees, leaves, depth, sqrt, bootstrap;
    bool always; /* not only with --whole */
};
static const struct fit_case fit_cases[] = {
    {"5 trees of 500 leaves, sqrt features, bootstrap", 5, 500, 0, 1, 1, true},
    {"5 trees of 500 leaves, all features, bootstrap", 5, 500, 0, 0, 1, false},
    {"17 trees of depth 24, sqrt features, bootstrap", 17, 0, 24, 1, 1, true},
    {"17 trees of depth 24, all features, bootstrap", 17, 0, 24, 0, 1, false},
    {"1 tree of 129 leaves, all features", 1, 129, 0, 0, 0, false},
};

/* The musts and goals of wall time, ours against each peer. */
static const struct {
    const char *who, *script, *runner;
    double bar, goal;
    bool same_forest; /* as many trees as were asked for */
} peers[] = {
    {"scikit-learn", "sklearn_forest.py", "/usr/bin/python3", 8, 20, true},
    {"XGBoost", "xgboost_forest.py", "/usr/bin/python3", 20, 50, false},
    {"ranger", "ranger_forest.R", "Rscript", 5, 8, true},
};

/* --- our fit, in a process of its own -------------------------------------------------------------- */
struct fit_job {
    const char *path;
    struct dune_train_cfg cfg;
};
enum { FIT_WALL, FIT_CPU, FIT_RSS, FIT_F1, FIT_LEAVES };

static int fit_once(void *arg, double *value, struct dune_diag *d)
{
    const struct fit_job *job = arg;
    struct bench_rows r;
    struct dune_forest *f = NULL;
    struct rusage u;
    uint8_t feat[256];
    uint32_t *col[256];
    struct dune_table t;
    uint16_t *got;
    uint64_t start;
    int rc = bench_rows_open(&r, job->path, d);

    if (rc)
        return rc;
    t = bench_rows_part(&r, false, feat, col);
    value[FIT_CPU] = bench_cpu_seconds();
    start = dune_now_ns();
    rc = dune_forest_train(&f, &t, &job->cfg, d);
    value[FIT_WALL] = (double)(dune_now_ns() - start) / 1e9;
    value[FIT_CPU] = bench_cpu_seconds() - value[FIT_CPU];
    getrusage(RUSAGE_SELF, &u);
    value[FIT_RSS] = (double)u.ru_maxrss / 1024; /* before predictions need memory */
    if (rc == 0) {
        t = bench_rows_part(&r, true, feat, col);
        got = dune_mem_alloc(t.n_rows, sizeof(*got));
        dune_forest_predict(f, &t, job->cfg.threads, got);
        value[FIT_F1] = bench_rows_macro_f1(&r, &t, got);
        for (uint32_t i = 0; i < f->n_trees; i++)
            value[FIT_LEAVES] += dune_tree_n_leaves(&f->tree[i]);
        dune_mem_free(got);
        dune_forest_free(f);
    }
    bench_rows_close(&r);
    return rc;
}

static int run_ours(struct bench *b, const char *title, const char *path, const struct fit_case *c, struct dune_diag *d)
{
    struct fit_job job = {path, {.n_trees = c->trees, .max_leaves = c->leaves, .max_depth = c->depth,
                                 .sqrt_features = c->sqrt, .bootstrap = c->bootstrap, .seed = bench_cfg(b)->seed,
                                 .threads = bench_cfg(b)->threads}};
    struct bench_child child;
    int rc = bench_in_child(&child, fit_once, &job, d);

    if (rc)
        return rc;
    bench_add(b, title, "dune", "wall s", BENCH_LOWER, child.value[FIT_WALL]);
    bench_add(b, title, "dune", "CPU s", BENCH_LOWER, child.value[FIT_CPU]);
    bench_add(b, title, "dune", "MiB", BENCH_LOWER, child.value[FIT_RSS]);
    bench_add(b, title, "dune", "macro F1", BENCH_NEITHER, 100 * child.value[FIT_F1]);
    return 0;
}

static void run_peer(struct bench *b, const char *title, const char *path, const struct fit_case *c, size_t p)
{
    const struct bench_cfg *cfg = bench_cfg(b);
    char number[6][24], script[512];
    const unsigned v[6] = {c->trees, c->leaves, c->depth, c->sqrt, c->bootstrap, cfg->threads};
    const char *argv[10] = {peers[p].runner, script, path};
    struct bench_peer got;

    if (!cfg->peers) {
        bench_skip(b, title, peers[p].who, "the directory of the peers' programs is not here");
        return;
    }
    snprintf(script, sizeof(script), "%s/%s", cfg->peers, peers[p].script);
    for (int i = 0; i < 6; i++) {
        snprintf(number[i], sizeof(number[i]), "%u", v[i]);
        argv[3 + i] = number[i];
    }
    bench_peer_run(&got, argv, cfg->quick ? 30 : cfg->whole ? 3600 : 300);
    if (got.skip[0]) {
        bench_skip(b, title, peers[p].who, "%s", got.skip);
        return;
    }
    bench_add(b, title, peers[p].who, "wall s", BENCH_LOWER, bench_peer_number(&got, "wall"));
    bench_add(b, title, peers[p].who, "CPU s", BENCH_LOWER, bench_peer_number(&got, "cpu"));
    bench_add(b, title, peers[p].who, "MiB", BENCH_LOWER, bench_peer_number(&got, "rss_mb"));
    bench_add(b, title, peers[p].who, "macro F1", BENCH_NEITHER, 100 * bench_peer_number(&got, "f1"));
}

static bool is_skipped(const struct bench *b, const char *title, const char *who)
{
    return isfinite(bench_median(b, title, who, "wall s")) == 0;
}

static void fit_goals(struct bench *b, const char *title)
{
    double leanest = INFINITY, best_f1 = -INFINITY;
    char text[256];

    for (size_t p = 0; p < DUNE_ARRAY_LEN(peers); p++) {
        if (is_skipped(b, title, peers[p].who))
            continue;
        snprintf(text, sizeof(text), "%s: wall time of %s / ours", title, peers[p].who);
        bench_goal_min(b, text, bench_ratio(b, title, "dune", peers[p].who, "wall s").median, peers[p].bar, peers[p].goal);
        leanest = fmin(leanest, bench_median(b, title, peers[p].who, "MiB"));
        if (peers[p].same_forest)
            best_f1 = fmax(best_f1, bench_median(b, title, peers[p].who, "macro F1"));
    }
    if (!isfinite(leanest))
        return;
    snprintf(text, sizeof(text), "%s: our peak memory / that of the leanest peer", title);
    bench_goal_max(b, text, bench_median(b, title, "dune", "MiB") / leanest, 1, 0.5);
    snprintf(text, sizeof(text), "%s: points of macro F1 below the best peer with as many trees", title);
    if (isfinite(best_f1))
        bench_goal_max(b, text, best_f1 - bench_median(b, title, "dune", "macro F1"), 1, 0);
}

/*
 * Slow peers get fewer rounds: one that took long is asked once, and no round begins after so many seconds. XGBoost grows
 * one tree per class; to a depth of 24 on many rows it is only asked with --whole.
 */
enum { LONG_SECONDS = 15, CASE_SECONDS = 45, CASE_SECONDS_WHOLE = 240, MANY_ROWS = 200000 };

static bool has_turn(struct bench *b, const char *title, const struct fit_case *c, size_t p, unsigned round, uint64_t rows)
{
    double took = bench_median(b, title, peers[p].who, "wall s");

    if (round == 0 && !bench_cfg(b)->whole && c->depth && rows > MANY_ROWS && strcmp(peers[p].who, "XGBoost") == 0) {
        bench_skip(b, title, peers[p].who, "deep trees of many rows take it very long; only with --whole");
        return false;
    }
    return round == 0 || (isfinite(took) && (took < LONG_SECONDS || bench_cfg(b)->whole));
}

static int measure_file(struct bench *b, const char *path, const char *rows, uint64_t n_rows, struct dune_diag *d)
{
    bool quick = bench_cfg(b)->quick;
    char title[160];
    uint64_t start, limit = bench_cfg(b)->whole ? CASE_SECONDS_WHOLE : CASE_SECONDS;
    int rc = 0;

    for (size_t i = 0; i < DUNE_ARRAY_LEN(fit_cases) && rc == 0; i++) {
        if (!bench_cfg(b)->whole && !fit_cases[i].always)
            continue;
        snprintf(title, sizeof(title), "%s: %s", rows, fit_cases[i].title);
        bench_say(b, "%s", title);
        start = dune_now_ns();
        for (unsigned r = 0, n = bench_rounds(b, quick ? 1 : 3); r < n && rc == 0; r++) {
            if (r && dune_now_ns() - start > limit * UINT64_C(1000000000))
                break;
            rc = run_ours(b, title, path, &fit_cases[i], d);
            for (size_t p = 0; p < DUNE_ARRAY_LEN(peers) && rc == 0 && !dune_interrupted(); p++)
                if (has_turn(b, title, &fit_cases[i], p, r, n_rows))
                    run_peer(b, title, path, &fit_cases[i], p);
        }
        if (rc == 0)
            fit_goals(b, title);
    }
    bench_note(b, "wall and CPU are those of the fit alone, memory is that of the whole process at its end; XGBoost grows one tree per "
                  "class where the others grow one, so its forest is larger and is not in the comparison of macro F1");
    return rc;
}

/* --- rows ------------------------------------------------------------------------------------------ */
struct generate_job {
    const char *path;
    uint64_t rows, cols, classes;
};

static int generate(void *arg, double *value, struct dune_diag *d)
{
    const struct generate_job *j = arg;

    (void)value;
    return bench_rows_generate(j->path, j->rows, j->cols, j->classes, d);
}

static int synthetic(const char *path, uint64_t rows, uint64_t cols, uint64_t classes, struct dune_diag *d)
{
    struct generate_job job = {path, rows, cols, classes};
    struct bench_child child;

    return bench_in_child(&child, generate, &job, d);
}

static int run_synthetic(struct bench *b, struct dune_diag *d)
{
    uint64_t rows = bench_cfg(b)->quick ? 100000 : 1000000;
    char *path = bench_tmp(b, "synthetic-rows.bin"), title[80];
    int rc = synthetic(path, rows, 23, 10, d);

    snprintf(title, sizeof(title), "%llu rows, 23 columns, 10 classes", (unsigned long long)rows);
    if (rc == 0)
        rc = measure_file(b, path, title, rows, d);
    dune_mem_free(path);
    return rc;
}

struct export_job {
    const char *in, *out;
};

static int export(void *arg, double *value, struct dune_diag *d)
{
    const struct export_job *job = arg;
    struct dune_dataset *ds;
    int rc = dune_dataset_read(&ds, job->in, d);

    (void)value;
    if (rc)
        return rc;
    rc = bench_rows_export(ds, job->out, 3, d);
    dune_dataset_free(ds);
    return rc;
}

static int run_real(struct bench *b, struct dune_diag *d)
{
    static const char *const sets[] = {"aalto16", "ustc"};
    int rc = 0;

    for (size_t s = 0; s < DUNE_ARRAY_LEN(sets) && rc == 0; s++) {
        char *dset, *rows = bench_tmp(b, "real-rows.bin"), title[80];
        struct bench_child child;

        snprintf(title, sizeof(title), "%s, n = 3, all features", sets[s]);
        rc = bench_shared_dataset(b, sets[s], &dset, d);
        if (rc == 0 && !dset)
            bench_skip(b, title, "all", "the shared captures are not here");
        if (rc == 0 && dset)
            rc = bench_in_child(&child, export, &(struct export_job){dset, rows}, d);
        if (rc == 0 && dset)
            rc = measure_file(b, rows, title, 0, d);
        dune_mem_free(dset);
        dune_mem_free(rows);
    }
    return rc;
}

/* --- cost curves ------------------------------------------------------------------------------------ */
struct curve_point {
    const char *curve, *x_label;
    double x;
    uint64_t rows, cols, classes;
    unsigned threads, trees, leaves;
};

static int measure_point(struct bench *b, const struct curve_point *p, struct dune_diag *d)
{
    char *path = bench_tmp(b, "curve-rows.bin"), title[160];
    struct fit_job job = {path, {.n_trees = p->trees, .max_leaves = p->leaves, .bootstrap = true,
                                 .seed = bench_cfg(b)->seed, .threads = p->threads}};
    int rc = synthetic(path, p->rows, p->cols, p->classes, d);

    snprintf(title, sizeof(title), "%s %.0f", p->curve, p->x);
    for (unsigned r = 0, n = bench_rounds(b, 3); r < n && rc == 0; r++) {
        struct bench_child child;

        rc = bench_in_child(&child, fit_once, &job, d);
        if (rc == 0) {
            bench_add(b, title, "dune", "wall s", BENCH_LOWER, child.value[FIT_WALL]);
            bench_add(b, title, "dune", "CPU s", BENCH_LOWER, child.value[FIT_CPU]);
            bench_add(b, title, "dune", "MiB", BENCH_LOWER, child.value[FIT_RSS]);
        }
    }
    dune_mem_free(path);
    return rc;
}

static int measure_curve(struct bench *b, const char *label, const double *x, size_t n, struct dune_diag *d)
{
    double base_rows = bench_cfg(b)->quick ? 50000 : 200000;
    char title[160], time_curve[96], memory_curve[96];
    int rc = 0;

    snprintf(time_curve, sizeof(time_curve), "training: seconds against %s", label);
    snprintf(memory_curve, sizeof(memory_curve), "training: MiB against %s", label);
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct curve_point p = {.curve = label, .x_label = label, .x = x[i], .rows = (uint64_t)base_rows, .cols = 23,
                                .classes = 10, .threads = bench_cfg(b)->threads, .trees = 5, .leaves = 500};

        if (strcmp(label, "rows") == 0)
            p.rows = (uint64_t)x[i];
        else if (strcmp(label, "classes") == 0)
            p.classes = (uint64_t)x[i];
        else if (strcmp(label, "columns") == 0)
            p.cols = (uint64_t)x[i];
        else if (strcmp(label, "threads") == 0)
            p.threads = (unsigned)x[i];
        else
            p.trees = (unsigned)x[i];
        bench_say(b, "%s %.0f", label, x[i]);
        rc = measure_point(b, &p, d);
        snprintf(title, sizeof(title), "%s %.0f", label, x[i]);
        bench_point(b, time_curve, label, "seconds", "wall", x[i], bench_median(b, title, "dune", "wall s"));
        bench_point(b, time_curve, label, "seconds", "CPU", x[i], bench_median(b, title, "dune", "CPU s"));
        bench_point(b, memory_curve, label, "MiB", "peak", x[i], bench_median(b, title, "dune", "MiB"));
    }
    return rc;
}

static double at_point(const struct bench *b, const char *curve, double x, const char *quantity)
{
    char title[160];

    snprintf(title, sizeof(title), "%s %.0f", curve, x);
    return bench_median(b, title, "dune", quantity);
}

/* The power of x with which the cost grows between two points: 1 is linear, 0 is flat. */
static double power(const struct bench *b, const char *curve, double from, double to, const char *quantity)
{
    return log(at_point(b, curve, to, quantity) / at_point(b, curve, from, quantity)) / log(to / from);
}

static void explain_curves(struct bench *b, const double *rows, size_t n_rows)
{
    double last = rows[n_rows - 1], before = rows[n_rows - 2];

    bench_note(b, "rows: CPU time grows with the power %.2f of the rows from %.0f to %.0f, and %.2f from %.0f to %.0f (1 is linear). Few "
                  "rows are bent downwards by what every node costs however few rows it has: 500 leaves a tree are about 1000 nodes "
                  "with counts per class to clear, fill and search. Memory: %.0f bytes a row between the last two points",
               power(b, "rows", rows[0], rows[1], "CPU s"), rows[0], rows[1], power(b, "rows", before, last, "CPU s"), before, last,
               1048576 * (at_point(b, "rows", last, "MiB") - at_point(b, "rows", before, "MiB")) / (last - before));
    bench_note(b, "classes: 20 times the classes cost %.2f times the CPU time. A row is counted once whatever its class is, so what "
                  "grows is the search: every threshold of a node is judged by sums over the classes",
               at_point(b, "classes", 40, "CPU s") / at_point(b, "classes", 2, "CPU s"));
    bench_note(b, "columns: power %.2f from 4 to 16 and %.2f from 16 to 48: every node looks at all columns, so this is linear but for "
                  "what is done once for a row (drawing, sorting into nodes)",
               power(b, "columns", 4, 16, "CPU s"), power(b, "columns", 16, 48, "CPU s"));
    bench_note(b, "trees: power %.2f from 1 to 5 and %.2f from 5 to 20: sorting the values into bins is done once for all trees, "
                  "which keeps it below linear", power(b, "trees", 1, 5, "CPU s"), power(b, "trees", 5, 20, "CPU s"));
    bench_note(b, "threads: two take %.2f of the wall time of one; five trees are shared by two, so one of them grows three, and other "
                  "programs on the machine take their part", at_point(b, "threads", 2, "wall s") / at_point(b, "threads", 1, "wall s"));
}

static int run_curves(struct bench *b, struct dune_diag *d)
{
    static const double rows[] = {10000, 30000, 100000, 300000, 1000000}, classes[] = {2, 5, 10, 20, 40},
                        columns[] = {4, 8, 16, 32, 48}, threads[] = {1, 2}, trees[] = {1, 2, 5, 10, 20};
    int rc = measure_curve(b, "rows", rows, bench_cfg(b)->quick ? 3 : 5, d);

    if (rc == 0)
        rc = measure_curve(b, "classes", classes, DUNE_ARRAY_LEN(classes), d);
    if (rc == 0)
        rc = measure_curve(b, "columns", columns, DUNE_ARRAY_LEN(columns), d);
    if (rc == 0)
        rc = measure_curve(b, "trees", trees, DUNE_ARRAY_LEN(trees), d);
    if (rc == 0)
        rc = measure_curve(b, "threads", threads, DUNE_ARRAY_LEN(threads), d);
    if (rc == 0)
        explain_curves(b, rows, bench_cfg(b)->quick ? 3 : 5);
    return rc;
}

const struct bench_entry bench_forest[] = {
    {"forest.synthetic", "training on a table of synthetic packet features, beside scikit-learn, XGBoost and ranger", run_synthetic},
    {"forest.real", "training on the rows of the shared captures, beside the same peers", run_real},
    {"forest.curves", "5 trees of 500 leaves on synthetic rows, one size changed at a time", run_curves},
    {NULL, NULL, NULL},
};
