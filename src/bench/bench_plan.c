/* SPDX-License-Identifier: Apache-2.0 */
/* Planning: exact partition, orders, and the published searches as whole commands. */
#include "bench/bench_data.h"
#include "bench/bench_int.h"

#include <math.h>
#include <string.h>

#include "dune/partition.h"
#include "dune/sequence.h"
#include "dune/submodels.h"

enum { P_SECONDS, P_OBJECTIVE, P_CPU };

/* --- partition ----------------------------------------------------------------------------------------- */
static int part_once(void *arg, double *value, struct dune_diag *d)
{
    enum { FEATS = 23 };
    const unsigned m = *(const unsigned *)arg;
    char *cls[24], *feat[FEATS];
    double w[24 * FEATS], f1[24];
    struct dune_importance im = {m, FEATS, cls, feat, w};
    struct dune_scores sc = {m, cls, f1, NULL};
    struct dune_partition_cfg cfg = {.method = DUNE_PART_EXACT, .threads = 2};
    struct dune_blocks *b = NULL;
    struct dune_rng r;
    uint64_t start;
    int rc;

    dune_rng_init(&r, 1, m, 0, 0);
    for (unsigned i = 0; i < FEATS; i++)
        feat[i] = dune_mem_printf("feature%u", i);
    for (unsigned c = 0; c < m; c++) {
        double sum = 0;

        cls[c] = dune_mem_printf("class%02u", c);
        f1[c] = 40 + 60 * dune_rng_unit(&r);
        for (unsigned i = 0; i < FEATS; i++)
            sum += w[c * FEATS + i] = pow(dune_rng_unit(&r), 3);
        for (unsigned i = 0; i < FEATS; i++)
            w[c * FEATS + i] /= sum;
    }
    start = dune_now_ns();
    rc = dune_partition(&b, &im, &sc, &cfg, d);
    value[P_SECONDS] = (double)(dune_now_ns() - start) / 1e9;
    value[P_OBJECTIVE] = rc ? 0 : b->objective;
    dune_blocks_free(b);
    return rc;
}

static int run_partition(struct bench *b, struct dune_diag *d)
{
    static const unsigned sizes[] = {12, 14, 16, 17, 18, 19, 20};
    size_t n = DUNE_ARRAY_LEN(sizes) - (bench_cfg(b)->quick ? 1 : 0);
    char title[80];
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i++) {
        struct bench_child c;

        snprintf(title, sizeof(title), "%u classes, 23 features", sizes[i]);
        bench_say(b, "%s", title);
        for (unsigned r = 0, rounds = sizes[i] > 18 ? 1 : bench_rounds(b, 3); r < rounds && rc == 0; r++) {
            unsigned m = sizes[i];

            rc = bench_in_child(&c, part_once, &m, d);
            if (rc == 0) {
                bench_add(b, title, "dune", "wall s", BENCH_LOWER, c.value[P_SECONDS]);
                bench_add(b, title, "dune", "CPU s", BENCH_LOWER, c.cpu);
                bench_add(b, title, "dune", "MiB", BENCH_LOWER, c.rss_mb);
            }
        }
        bench_point(b, "exact partition: seconds against classes", "classes", "seconds", "wall", sizes[i],
                    bench_median(b, title, "dune", "wall s"));
        bench_point(b, "exact partition: MiB against classes", "classes", "MiB", "peak", sizes[i],
                    bench_median(b, title, "dune", "MiB"));
    }
    if (rc == 0) {
        snprintf(title, sizeof(title), "%u classes, 23 features", sizes[n - 1]);
        bench_goal_max(b, sizes[n - 1] == 20 ? "seconds, 20 classes" : "seconds, 19 classes (quick; 20 are wanted)",
                       bench_median(b, title, "dune", "wall s"), 30, 5);
        bench_goal_max(b, "peak MiB of the same", bench_median(b, title, "dune", "MiB"), 2048, 0);
        bench_note(b, "time and memory grow as 3^classes and 2^classes: a dynamic programme over all subsets");
    }
    return rc;
}

/* --- linear order ------------------------------------------------------------------------------------------ */
static int lop_once(void *arg, double *value, struct dune_diag *d)
{
    const unsigned n = *(const unsigned *)arg;
    double conf[24 * 24], f1[24];
    struct dune_order order;
    struct dune_rng r;
    uint64_t start;
    int rc;

    dune_rng_init(&r, 2, n, 0, 0);
    for (unsigned i = 0; i < n * n; i++)
        conf[i] = i / n == i % n ? 1000 : floor(100 * pow(dune_rng_unit(&r), 4));
    for (unsigned i = 0; i < n; i++)
        f1[i] = 50 + 50 * dune_rng_unit(&r);
    start = dune_now_ns();
    rc = dune_sequence_lop(&order, n, conf, f1, d);
    value[P_SECONDS] = (double)(dune_now_ns() - start) / 1e9;
    return rc;
}

static int run_lop(struct bench *b, struct dune_diag *d)
{
    static const unsigned sizes[] = {8, 12, 16, 18, 20, 22, 24};
    size_t n = DUNE_ARRAY_LEN(sizes) - (bench_cfg(b)->quick ? 2 : 0);
    char title[80];
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i++) {
        struct bench_child c;

        snprintf(title, sizeof(title), "%u blocks", sizes[i]);
        for (unsigned r = 0, rounds = bench_rounds(b, 5); r < rounds && rc == 0; r++) {
            unsigned m = sizes[i];

            rc = bench_in_child(&c, lop_once, &m, d);
            if (rc == 0) {
                bench_add(b, title, "dune", "wall s", BENCH_LOWER, c.value[P_SECONDS]);
                bench_add(b, title, "dune", "MiB", BENCH_LOWER, c.rss_mb);
            }
        }
        bench_point(b, "exact linear order: seconds against blocks", "blocks", "seconds", "wall", sizes[i],
                    bench_median(b, title, "dune", "wall s"));
    }
    if (rc == 0)
        bench_goal_max(b, "seconds, 20 blocks", bench_median(b, "20 blocks", "dune", "wall s"), 1, 0);
    return rc;
}

/* --- order by the chained score --------------------------------------------------------------------------- */
enum { N_SUB = 8, PER_BLOCK = 2, N_CLS = N_SUB * PER_BLOCK };

struct order_job {
    size_t rows;
};

/* A sub-model knows its classes mostly, and claims others' traffic sometimes. */
static struct dune_item_answer draw_answer(struct dune_rng *r, unsigned sub, unsigned cls)
{
    bool own = cls / PER_BLOCK == sub;
    uint64_t x = dune_rng_below(r, 100);
    uint16_t said = (uint16_t)(own && x < 85 ? cls : sub * PER_BLOCK + dune_rng_below(r, PER_BLOCK));

    return (struct dune_item_answer){.cls = said, .conf = (uint8_t)dune_rng_below(r, 256), .claim = own ? x < 92 : x < 5};
}

static int order_once(void *arg, double *value, struct dune_diag *d)
{
    const struct order_job *j = arg;
    struct dune_space s = {.n_items = j->rows, .n_flows = (uint32_t)j->rows, .n_classes = N_CLS, .max_n = 1, .threads = 2};
    struct dune_item_answer *col[N_SUB];
    struct dune_chain_rule rule = {.claim = DUNE_CLAIM_FIRST, .early_exit = 256};
    const uint8_t id[N_SUB] = {0, 1, 2, 3, 4, 5, 6, 7};
    struct dune_order order;
    struct dune_rng r;
    uint64_t start;
    int rc;

    dune_rng_init(&r, 3, 0, 0, 0);
    s.item_flow = dune_mem_alloc(j->rows, sizeof(*s.item_flow));
    s.item_pos = dune_mem_alloc(j->rows, sizeof(*s.item_pos));
    s.item_cls = dune_mem_alloc(j->rows, sizeof(*s.item_cls));
    s.item_w = dune_mem_alloc(j->rows, sizeof(*s.item_w));
    s.item_pkts = dune_mem_alloc(j->rows, sizeof(*s.item_pkts));
    for (unsigned i = 0; i < N_SUB; i++)
        col[i] = dune_mem_alloc(j->rows, sizeof(*col[i]));
    for (size_t k = 0; k < j->rows; k++) {
        s.item_flow[k] = (uint32_t)k;
        s.item_pos[k] = 1;
        s.item_cls[k] = (uint16_t)dune_rng_below(&r, N_CLS);
        s.item_w[k] = DUNE_WEIGHT_ONE / (1 + dune_rng_below(&r, 8));
        s.item_pkts[k] = 1;
        for (unsigned i = 0; i < N_SUB; i++)
            col[i][k] = draw_answer(&r, i, s.item_cls[k]);
    }
    value[P_CPU] = bench_cpu_seconds();
    start = dune_now_ns();
    rc = dune_sequence_end_to_end(&order, &s, (const struct dune_item_answer *const *)col, id, N_SUB, &rule, NULL, d);
    value[P_SECONDS] = (double)(dune_now_ns() - start) / 1e9;
    value[P_CPU] = bench_cpu_seconds() - value[P_CPU];
    value[P_OBJECTIVE] = rc ? 0 : order.objective;
    return rc; /* the process ends here: what it holds goes with it */
}

static int run_order(struct bench *b, struct dune_diag *d)
{
    static const double rows[] = {10e3, 100e3, 1e6, 10e6};
    size_t n = DUNE_ARRAY_LEN(rows) - (bench_cfg(b)->quick ? 1 : 0);
    char title[80];
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i++) {
        struct bench_child c;

        snprintf(title, sizeof(title), "8 blocks, %.0f rows", rows[i]);
        bench_say(b, "%s", title);
        for (unsigned r = 0, rounds = bench_rounds(b, 3); r < rounds && rc == 0; r++) {
            struct order_job j = {(size_t)rows[i]};

            rc = bench_in_child(&c, order_once, &j, d);
            if (rc == 0) {
                bench_add(b, title, "dune", "wall s", BENCH_LOWER, c.value[P_SECONDS]);
                bench_add(b, title, "dune", "CPU s", BENCH_LOWER, c.value[P_CPU]);
            }
        }
        bench_point(b, "best chained order of 8 blocks: seconds against rows", "rows", "seconds", "wall", rows[i],
                    bench_median(b, title, "dune", "wall s"));
    }
    if (rc == 0 && n == DUNE_ARRAY_LEN(rows))
        bench_goal_max(b, "seconds, 8 blocks over 10 M rows, all 40320 orders", bench_median(b, title, "dune", "wall s"), 1, 0);
    bench_note(b, "rule first, random answers that go together with the class only: every combination occurs");
    return rc;
}

/* --- searches as whole commands ------------------------------------------------------------------------------ */
/* Runs dunectl; 0 or a diagnostic. */
static int command(struct bench *b, const char *title, const char *who, const char *const *argv, unsigned seconds,
                   struct dune_diag *d)
{
    struct bench_peer p;

    bench_peer_run(&p, argv, seconds);
    if (p.skip[0])
        return dune_diag_set(d, DUNE_E_INTERNAL, NULL, "%s: %s: %s", title, who, p.skip);
    bench_add(b, title, who, "wall s", BENCH_LOWER, p.wall);
    bench_add(b, title, who, "CPU s", BENCH_LOWER, p.cpu);
    bench_add(b, title, who, "MiB", BENCH_LOWER, p.rss_mb);
    return 0;
}

/* The published chain, stage by stage. */
static int full_search(struct bench *b, const char *title, const char *dset, struct dune_diag *d)
{
    const char *me = bench_cfg(b)->program;
    char *forest = bench_tmp(b, "s-forest.json"), *w = bench_tmp(b, "s-W.csv"), *f = bench_tmp(b, "s-f.csv");
    char *blocks = bench_tmp(b, "s-blocks.json"), *sub = bench_tmp(b, "s-sub.json"), threads[16];
    const char *train[] = {me, "train", dset, "--search", "full", "--phase", "published", "--features", "paper", "--sqrt",
                           "-o", forest, "-q", "-j", threads, NULL};
    const char *analyze[] = {me, "analyze", forest, dset, "-o", w, "--scores", f, "-q", "-j", threads, NULL};
    const char *part[] = {me, "partition", "--importance", w, "--scores", f, "-o", blocks, "-q", "-j", threads, NULL};
    const char *search[] = {me, "search", blocks, dset, "--paper", "--budget", "none", "--effort", "full", "-o", sub, "-q",
                            "-j", threads, NULL};
    const char *rm[] = {"rm", "-f", forest, w, f, blocks, sub, NULL};
    struct bench_peer gone;
    double total = 0;
    int rc;

    bench_peer_run(&gone, rm, 10);
    snprintf(threads, sizeof(threads), "%u", bench_cfg(b)->threads);
    rc = command(b, title, "large forest: n, features, depth 5-30, 1-40 trees", train, 3000, d);
    if (rc == 0)
        rc = command(b, title, "importance and scores", analyze, 600, d);
    if (rc == 0)
        rc = command(b, title, "partition", part, 600, d);
    if (rc == 0)
        rc = command(b, title, "sub-models: the whole grid of every block", search, 3000, d);
    for (size_t i = 0; i < b->result->cases.len; i++)
        for (size_t k = 0; strcmp(b->result->cases.data[i].title, title) == 0 && k < b->result->cases.data[i].row.len; k++)
            total += bench_median(b, title, b->result->cases.data[i].row.data[k].who, "wall s");
    if (rc == 0) {
        char text[160];

        snprintf(text, sizeof(text), "seconds, %s", title);
        bench_goal_max(b, text, total, 0, 600);
    }
    dune_mem_free(forest), dune_mem_free(w), dune_mem_free(f), dune_mem_free(blocks), dune_mem_free(sub);
    return rc;
}

static int quick_plan(struct bench *b, const char *title, const char *dset, struct dune_diag *d)
{
    char *plan = bench_tmp(b, "s-plan.json"), threads[16], text[160];
    const char *argv[] = {bench_cfg(b)->program, "plan", dset, "--budget", "tight", "--devices", "5", "--effort", "quick",
                          "-o", plan, "-q", "-j", threads, NULL};
    int rc;

    snprintf(threads, sizeof(threads), "%u", bench_cfg(b)->threads);
    rc = command(b, title, "dunectl plan --effort quick", argv, 1200, d);
    snprintf(text, sizeof(text), "seconds, %s", title);
    if (rc == 0)
        bench_goal_max(b, text, bench_median(b, title, "dunectl plan --effort quick", "wall s"), 60, 0);
    dune_mem_free(plan);
    return rc;
}

static int for_sets(struct bench *b, const char *what, int (*fn)(struct bench *, const char *, const char *, struct dune_diag *),
                    struct dune_diag *d)
{
    static const char *const sets[] = {"ustc", "aalto16", "aalto21"};
    size_t n = bench_cfg(b)->whole || (fn != full_search && !bench_cfg(b)->quick) ? DUNE_ARRAY_LEN(sets) : 1;
    char title[120], *dset;
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i++) {
        snprintf(title, sizeof(title), "%s, %s", what, sets[i]);
        bench_say(b, "%s", title);
        rc = bench_shared_dataset(b, sets[i], &dset, d);
        if (rc == 0 && !dset)
            bench_skip(b, title, "all", "the shared captures are not here");
        else if (rc == 0)
            rc = fn(b, title, dset, d);
        dune_mem_free(dset);
    }
    return rc;
}

static int run_full(struct bench *b, struct dune_diag *d)
{
    if (!bench_cfg(b)->whole)
        bench_note(b, "without --whole only the smallest set");
    return for_sets(b, "the published search", full_search, d);
}

static int run_quick(struct bench *b, struct dune_diag *d)
{
    return for_sets(b, "a quick plan", quick_plan, d);
}

const struct bench_entry bench_plan[] = {
    {"plan.partition", "exact partition of classes into blocks", run_partition},
    {"plan.lop", "exact linear order of sub-models", run_lop},
    {"plan.order", "exact order of 8 sub-models by the score of the chain", run_order},
    {"search.full", "the complete published search on the shared captures, stage by stage", run_full},
    {"search.quick", "a whole plan with --effort quick on the shared captures", run_quick},
    {NULL, NULL, NULL},
};
