/* SPDX-License-Identifier: Apache-2.0 */
/* The fast engine: packets per second of two mixes beside the bare limits, chains, memory, latency, threads. */
#include "bench/engine_load.h"
#include "bench/bench.h"
#include "targets/fast/dune_fast.h"

#include <time.h>

enum what { ENGINE, HASH_ONLY, TOUCH, N_WHAT };

struct contest {
    struct bench_load load;
    struct bench_batch *batch;
    struct dune_plan *plan;
    struct dune_chain *chain, *touched; /* touched: a table of its own for the bare limit */
    struct dune_chain_opts opts;
};

/* Eight ways, half to a third of them in use. */
static uint32_t slots_for(uint32_t n_flows)
{
    uint32_t slots = 1;

    while ((uint64_t)slots * 8 < (uint64_t)n_flows * 3 / 2)
        slots *= 2;
    return slots;
}

/* Of this thread: what other programs take away is not counted. */
static uint64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ns per packet of one pass over the traffic; packets are made between the timed pieces. */
static int run_pass(struct contest *c, struct dune_chain *chain, enum what what, double *ns, struct dune_diag *d)
{
    uint64_t spent = 0, start, sum = 0;
    int rc = 0;

    chain->ops->new_capture(chain);
    for (uint64_t at = 0; at < c->load.n && rc == 0; at += LOAD_BATCH) {
        size_t n = bench_load_fill(&c->load, at, c->batch);

        start = cpu_ns();
        if (what == ENGINE)
            rc = dune_fast_run(chain, c->batch->pkt, n, c->batch->verdict, NULL, d);
        else
            sum += dune_fast_limit(chain, c->batch->pkt, n, what == TOUCH);
        spent += cpu_ns() - start;
    }
    *ns = (double)spent / (double)c->load.n + (sum == 1 ? 1e-9 : 0);
    return rc;
}

static int contest_open(struct contest *c, enum bench_mix mix, uint32_t n_flows, uint32_t n_sub, unsigned threads,
                        enum dune_hash_kind hash, struct dune_diag *d)
{
    int rc;

    *c = (struct contest){.opts = {.slots = slots_for(n_flows), .ways = 8, .threads = threads}};
    c->batch = dune_mem_alloc(1, sizeof(*c->batch));
    bench_load_init(&c->load, mix, n_flows, 1);
    rc = bench_load_plan(&c->plan, n_sub, n_sub ? 1 : 3, 500, hash, d);
    if (rc == 0)
        rc = dune_engine_fast.open(&c->chain, c->plan, &c->opts, d);
    if (rc == 0)
        rc = dune_engine_fast.open(&c->touched, c->plan, &c->opts, d);
    return rc;
}

static void contest_close(struct contest *c)
{
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

static int run_speed(struct bench *b, struct dune_diag *d)
{
    const char *touch = what_name[TOUCH], *engine = what_name[ENGINE];
    int rc = measure_mix(b, "steady, 100k flows", BENCH_STEADY, 100000, d);

    if (rc == 0)
        rc = measure_mix(b, "all inferred, 100k flows", BENCH_ALL_INFERRED, 100000, d);
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

const struct bench_entry bench_engine[] = {
    {"engine.speed", "the fast engine with one sub-model of 3 trees, 500 leaves each and 8 features, on one core", run_speed},
    {NULL, NULL, NULL},
};
