/* SPDX-License-Identifier: Apache-2.0 */
/* The fast engine: packets per second of two mixes beside the bare limits, chains, memory, latency, threads. */
#include "bench/engine_load.h"
#include "bench/bench.h"
#include "targets/fast/dune_fast.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum what { ENGINE, HASH_ONLY, TOUCH, N_WHAT };

struct contest {
    struct bench_load load;
    struct bench_batch *batch;
    struct dune_plan *plan;
    struct dune_chain *chain, *touched; /* touched: a table of its own for the bare limit */
    struct dune_chain_opts opts;
    bool lasting;  /* passes follow each other: later, with other flows, into the table as it is */
    uint64_t base; /* ticks before this pass */
};

/* Eight ways, half to a third of them in use. */
static uint32_t slots_for(uint32_t n_flows)
{
    uint32_t slots = 1;

    while ((uint64_t)slots * 8 < (uint64_t)n_flows * 3 / 2)
        slots *= 2;
    return slots;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* The mean without the fastest and the slowest fifth: what other programs took away is not counted. */
static double middle_mean(double *v, size_t n)
{
    size_t cut = n / 5;
    double sum = 0;

    if (n == 0)
        return 0;
    qsort(v, n, sizeof(*v), by_value);
    for (size_t i = cut; i < n - cut; i++)
        sum += v[i];
    return sum / (double)(n - 2 * cut);
}

static void make_later(struct contest *c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        c->batch->pkt[i].tick += c->base;
}

static void next_flows(struct contest *c)
{
    c->base += c->load.n / 16 + 1; /* bench_load_fill: 16 packets a tick */
    for (uint64_t i = 0; i < c->load.n; i++)
        c->load.order[i] += c->load.n_flows;
}

/* ns per packet of one pass over the traffic; packets are made between the timed pieces. */
static int run_pass(struct contest *c, struct dune_chain *chain, enum what what, double *ns, struct dune_diag *d)
{
    DUNE_VEC(double) piece = {0};
    uint64_t start, sum = 0;
    int rc = 0;

    if (!c->lasting)
        chain->ops->new_capture(chain);
    for (uint64_t at = 0; at < c->load.n && rc == 0; at += LOAD_BATCH) {
        size_t n = bench_load_fill(&c->load, at, c->batch);

        make_later(c, n);
        start = dune_now_ns();
        if (what == ENGINE)
            rc = dune_fast_run(chain, c->batch->pkt, n, c->batch->verdict, NULL, d);
        else
            sum += dune_fast_limit(chain, c->batch->pkt, n, what == TOUCH);
        DUNE_VEC_PUSH(&piece, (double)(dune_now_ns() - start) / (double)n);
    }
    if (c->lasting)
        next_flows(c);
    *ns = middle_mean(piece.data, piece.len) + (sum == 1 ? 1e-9 : 0); /* the sum is used */
    DUNE_VEC_FREE(&piece);
    return rc;
}

static int contest_open(struct contest *c, enum bench_mix mix, uint32_t n_flows, uint32_t n_sub, unsigned threads,
                        enum dune_hash_kind hash, struct dune_diag *d)
{
    int rc;

    *c = (struct contest){.opts = {.slots = slots_for(n_flows), .ways = 8, .threads = threads}};
    c->batch = dune_mem_alloc(1, sizeof(*c->batch));
    bench_load_init(&c->load, mix, n_flows, 1);
    rc = bench_load_plan(&c->plan, n_sub, n_sub ? n_sub : 3, 500, hash, d);
    if (rc == 0)
        rc = dune_engine_fast.open(&c->chain, c->plan, &c->opts, d);
    if (rc == 0)
        rc = dune_engine_fast.open(&c->touched, c->plan, &c->opts, d);
    return rc;
}

static void contest_close(struct contest *c)
{
    if (!c->batch)
        return;
    dune_engine_fast.close(c->chain);
    dune_engine_fast.close(c->touched);
    dune_plan_free(c->plan);
    bench_load_fini(&c->load);
    dune_mem_free(c->batch);
}

static const char *const what_name[N_WHAT] = {"engine", "parse + hash", "parse + hash + touch one slot"};

static void tell_mpps(struct bench *b, const char *title, const char *goal_text, double goal)
{
    double ns = bench_median(b, title, what_name[ENGINE], "ns/packet");

    bench_goal_min(b, goal_text, 1e3 / ns, 0, goal);
}

static double collided(const struct dune_chain *chain)
{
    struct dune_counters n;

    chain->ops->counters(chain, 0, &n);
    return 100.0 * (double)n.collisions / (double)DUNE_MAX(n.inferred, 1u);
}

static int measure_mix(struct bench *b, const char *title, enum bench_mix mix, uint32_t n_flows, struct dune_diag *d)
{
    struct contest c;
    int rc = contest_open(&c, mix, n_flows, 1, 1, DUNE_HASH_SIPHASH, d);
    double ns, walk_ns[DUNE_FAST_N_WALKS];

    for (unsigned r = 0, n = bench_rounds(b, 7) + 1; r < n && rc == 0; r++) /* the first one warms up */
        for (int what = 0; what < N_WHAT && rc == 0; what++) {
            rc = run_pass(&c, what == ENGINE ? c.chain : c.touched, what, &ns, d);
            if (r && rc == 0)
                bench_add(b, title, what_name[what], "ns/packet", BENCH_LOWER, ns);
        }
    if (rc == 0)
        bench_note(b, "%s: %.2f %% of the packets without a slot, %u bytes a slot, walk \"%s\"", title,
                   collided(c.chain), dune_fast_slot_bytes(c.chain, 0),
                   dune_fast_walk_name(dune_fast_walk_of(c.chain, 0, 0, walk_ns)));
    contest_close(&c);
    return rc;
}

/* All inferred where no way of the table is empty any more: every new flow takes over that of an expired one. */
static int measure_full(struct bench *b, struct dune_diag *d)
{
    enum { TIMEOUT = 20000 /* ticks; a pass takes 18750 */, TO_FILL = 8 /* passes */ };
    static const char title[] = "all inferred, 100k flows, a table that has been full";
    struct contest c;
    int rc = contest_open(&c, BENCH_ALL_INFERRED, 100000, 1, 1, DUNE_HASH_SIPHASH, d);
    double ns;

    if (rc == 0) {
        dune_engine_fast.close(c.chain);
        c.chain = NULL;
        c.plan->timeout = TIMEOUT;
        c.lasting = true;
        rc = dune_engine_fast.open(&c.chain, c.plan, &c.opts, d);
    }
    for (unsigned i = 0, n = TO_FILL + bench_rounds(b, 7); i < n && rc == 0; i++) {
        rc = run_pass(&c, c.chain, ENGINE, &ns, d);
        if (i >= TO_FILL && rc == 0)
            bench_add(b, title, what_name[ENGINE], "ns/packet", BENCH_LOWER, ns);
    }
    contest_close(&c);
    return rc;
}

static int run_speed(struct bench *b, struct dune_diag *d)
{
    const char *touch = what_name[TOUCH], *engine = what_name[ENGINE];
    int rc = measure_mix(b, "steady, 100k flows", BENCH_STEADY, 100000, d);

    if (rc == 0)
        rc = measure_mix(b, "all inferred, 100k flows", BENCH_ALL_INFERRED, 100000, d);
    if (rc == 0)
        rc = measure_full(b, d);
    if (rc)
        return rc;
    tell_mpps(b, "steady, 100k flows", "steady, 100k flows, Mpps", 12);
    tell_mpps(b, "all inferred, 100k flows", "all inferred, 100k flows, Mpps", 7);
    if (bench_cfg(b)->quick)
        return 0;
    rc = measure_mix(b, "steady, 1M flows", BENCH_STEADY, 1000000, d);
    if (rc == 0)
        rc = measure_mix(b, "all inferred, 1M flows", BENCH_ALL_INFERRED, 1000000, d);
    if (rc == 0)
        bench_goal_max(b, "steady, 1M flows, times the touch limit",
                       bench_median(b, "steady, 1M flows", engine, "ns/packet") /
                           bench_median(b, "steady, 1M flows", touch, "ns/packet"), 0, 2);
    return rc;
}

/* --- three devices ---------------------------------------------------------------------------------- */

static int measure_chain(struct bench *b, const char *title, enum bench_mix mix, double goal, struct dune_diag *d)
{
    static const char *const who[2] = {"three sub-models", "forwarding alone"};
    struct contest c[2] = {{.batch = NULL}};
    char *text = dune_mem_printf("%s: ns that three chained sub-models add", title);
    double ns;
    int rc = contest_open(&c[0], mix, 100000, 3, 1, DUNE_HASH_SIPHASH, d);

    if (rc == 0)
        rc = contest_open(&c[1], mix, 100000, 0, 1, DUNE_HASH_SIPHASH, d);
    for (unsigned r = 0, n = bench_rounds(b, 7) + 1; r < n && rc == 0; r++)
        for (int k = 0; k < 2 && rc == 0; k++) {
            rc = run_pass(&c[k], c[k].chain, ENGINE, &ns, d);
            if (r && rc == 0)
                bench_add(b, title, who[k], "ns/packet", BENCH_LOWER, ns);
        }
    if (rc == 0)
        bench_goal_max(b, text, bench_median(b, title, who[0], "ns/packet") - bench_median(b, title, who[1], "ns/packet"),
                       0, goal);
    contest_close(&c[0]);
    contest_close(&c[1]);
    dune_mem_free(text);
    return rc;
}

static int run_chain(struct bench *b, struct dune_diag *d)
{
    int rc = measure_chain(b, "steady, 100k flows", BENCH_STEADY, 60, d);

    return rc ? rc : measure_chain(b, "all inferred, 100k flows", BENCH_ALL_INFERRED, 160, d);
}

/* --- memory ----------------------------------------------------------------------------------------- */

/* One packet of every flow; all of them are live at the end. */
static int run_memory(struct bench *b, struct dune_diag *d)
{
    uint32_t n_flows = bench_cfg(b)->quick ? 625000 : 10000000;
    const struct dune_chain_opts o = {.slots = bench_cfg(b)->quick ? 1u << 17 : 1u << 21, .ways = 8};
    char *title = dune_mem_printf("%u concurrent flows", n_flows);
    struct bench_load load = {.n_flows = n_flows, .n = n_flows};
    struct bench_batch *batch = dune_mem_alloc(1, sizeof(*batch));
    struct dune_chain *c = NULL;
    struct dune_plan *p = NULL;
    struct dune_counters n;
    int rc = bench_load_plan(&p, 1, 1, 500, DUNE_HASH_SIPHASH, d);

    load.order = dune_mem_alloc(n_flows, sizeof(*load.order));
    for (uint32_t f = 0; f < n_flows; f++)
        load.order[f] = f;
    if (rc == 0)
        rc = dune_engine_fast.open(&c, p, &o, d);
    for (uint64_t at = 0; at < load.n && rc == 0; at += LOAD_BATCH)
        rc = dune_fast_run(c, batch->pkt, bench_load_fill(&load, at, batch), batch->verdict, NULL, d);
    if (rc == 0) {
        double gib = (double)dune_fast_table_bytes(c) / (1 << 30);

        dune_engine_fast.counters(c, 0, &n);
        bench_add(b, title, "engine", "GiB of tables", BENCH_LOWER, gib);
        bench_add(b, title, "engine", "% of flows without a slot", BENCH_LOWER, 100.0 * (double)n.collisions / n_flows);
        bench_add(b, title, "engine", "bytes a slot", BENCH_LOWER, dune_fast_slot_bytes(c, 0));
        bench_goal_max(b, "GiB for 10 M concurrent flows, 8 ways", gib * 10e6 / n_flows, 0, 1.1);
        bench_goal_max(b, "% of flows collided, 8 ways", 100.0 * (double)n.collisions / n_flows, 0, 2);
        bench_goal_max(b, "bytes a slot", dune_fast_slot_bytes(c, 0), 0, 64);
    }
    if (c)
        dune_engine_fast.close(c);
    dune_plan_free(p);
    bench_load_fini(&load);
    dune_mem_free(batch);
    dune_mem_free(title);
    return rc;
}

/* --- latency ---------------------------------------------------------------------------------------- */

static double quantile(const double *sorted, size_t n, double q)
{
    return n ? sorted[DUNE_MIN((size_t)(q * (double)n), n - 1)] : 0;
}

static const char *const latency_title[2] = {[BENCH_ALL_INFERRED] = "all inferred, 100k flows, one packet at a time",
                                             [BENCH_STEADY] = "steady, 100k flows, one packet at a time"};

/* Packet after packet, each alone: from the call to the verdict. n_sub 0: the clock alone. */
static int measure_latency(struct bench *b, const char *who, uint32_t n_sub, enum bench_mix mix, struct dune_diag *d)
{
    const char *title = latency_title[mix];
    struct contest c;
    DUNE_VEC(double) v = {0};
    uint64_t most = bench_cfg(b)->quick ? 200000 : 1000000, start;
    int rc = contest_open(&c, mix, 100000, n_sub, 1, DUNE_HASH_SIPHASH, d);

    for (uint64_t at = 0; at < DUNE_MIN(c.load.n, most) && rc == 0; at += LOAD_BATCH) {
        size_t n = bench_load_fill(&c.load, at, c.batch);

        for (size_t i = 0; i < n && rc == 0; i++) {
            start = dune_now_ns();
            if (n_sub)
                rc = dune_fast_run(c.chain, &c.batch->pkt[i], 1, &c.batch->verdict[i], NULL, d);
            DUNE_VEC_PUSH(&v, (double)(dune_now_ns() - start));
        }
    }
    if (rc == 0 && v.len) {
        qsort(v.data, v.len, sizeof(*v.data), by_value);
        bench_add(b, title, who, "ns, p50", BENCH_LOWER, quantile(v.data, v.len, 0.5));
        bench_add(b, title, who, "ns, p99", BENCH_LOWER, quantile(v.data, v.len, 0.99));
        bench_add(b, title, who, "ns, p99.9", BENCH_LOWER, quantile(v.data, v.len, 0.999));
    }
    DUNE_VEC_FREE(&v);
    contest_close(&c);
    return rc;
}

static int run_latency(struct bench *b, struct dune_diag *d)
{
    int rc = 0;

    for (int mix = 0; mix < 2 && rc == 0; mix++) {
        rc = measure_latency(b, "one hop", 1, (enum bench_mix)mix, d);
        if (rc == 0)
            rc = measure_latency(b, "chain of three", 3, (enum bench_mix)mix, d);
        if (rc == 0)
            rc = measure_latency(b, "the clock alone", 0, (enum bench_mix)mix, d);
    }
    for (int mix = 0; mix < 2 && rc == 0; mix++) {
        char *text = dune_mem_printf("%s: ns, p50, of a chain of three", latency_title[mix]);

        bench_goal_max(b, text, bench_median(b, latency_title[mix], "chain of three", "ns, p50"), 0, 308);
        dune_mem_free(text);
    }
    bench_note(b, "the time of reading the clock twice is in all figures; goal: what the three published switches add, one packet");
    return rc;
}

/* --- threads ---------------------------------------------------------------------------------------- */

/* Workers share whole runs of packets, so a timed piece is several batches: what wakes them counts little then. */
enum { PIECE = 8 };
struct piece {
    struct bench_batch batch[PIECE];
    struct dune_chain_packet pkt[PIECE * LOAD_BATCH];
    struct dune_verdict verdict[PIECE * LOAD_BATCH];
};

static size_t fill_piece(const struct bench_load *l, uint64_t at, struct piece *p)
{
    size_t n = 0, got = LOAD_BATCH;

    for (int k = 0; k < PIECE && got == LOAD_BATCH; k++, n += got) {
        got = bench_load_fill(l, at + n, &p->batch[k]);
        memcpy(p->pkt + n, p->batch[k].pkt, got * sizeof(*p->pkt));
    }
    return n;
}

static int run_pieces(struct contest *c, struct piece *p, double *ns, struct dune_diag *d)
{
    DUNE_VEC(double) v = {0};
    uint64_t start;
    size_t n;
    int rc = 0;

    c->chain->ops->new_capture(c->chain);
    for (uint64_t at = 0; at < c->load.n && rc == 0; at += n) {
        n = fill_piece(&c->load, at, p);
        start = dune_now_ns();
        rc = dune_fast_run(c->chain, p->pkt, n, p->verdict, NULL, d);
        DUNE_VEC_PUSH(&v, (double)(dune_now_ns() - start) / (double)n);
    }
    *ns = middle_mean(v.data, v.len);
    DUNE_VEC_FREE(&v);
    return rc;
}

static int run_threads(struct bench *b, struct dune_diag *d)
{
    struct contest c[2] = {{.batch = NULL}};
    struct piece *p = dune_mem_alloc(1, sizeof(*p));
    double ns;
    int rc = 0;

    for (unsigned k = 0; k < 2 && rc == 0; k++)
        rc = contest_open(&c[k], BENCH_STEADY, 100000, 1, k + 1, DUNE_HASH_SIPHASH, d);
    for (unsigned r = 0, n = bench_rounds(b, 5) + 1; r < n && rc == 0; r++)
        for (int k = 0; k < 2 && rc == 0; k++) {
            rc = run_pieces(&c[k], p, &ns, d);
            if (r && rc == 0)
                bench_add(b, "steady, 100k flows", k ? "2 workers" : "1 worker", "ns/packet", BENCH_LOWER, ns);
        }
    dune_mem_free(p);
    bench_note(b, "timed pieces of %d packets", PIECE * LOAD_BATCH);
    for (unsigned k = 0; k < 2; k++)
        contest_close(&c[k]);
    return rc;
}

const struct bench_entry bench_engine[] = {
    {"engine.speed", "the fast engine with one sub-model of 3 trees, 500 leaves each and 8 features, on one core", run_speed},
    {"engine.chain", "three such sub-models on three devices beside forwarding alone, on one core", run_chain},
    {"engine.memory", "tables of many concurrent flows, 8 ways", run_memory},
    {"engine.latency", "from a packet to its verdict, one packet at a time", run_latency},
    {"engine.threads", "workers that own ranges of slots", run_threads},
    {NULL, NULL, NULL},
};
