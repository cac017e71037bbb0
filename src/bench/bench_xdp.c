/* SPDX-License-Identifier: Apache-2.0 */
/* What one device costs as an XDP program, inside the kernel, beside an empty program in the same run. */
#include "bench/bench.h"
#include "bench/engine_load.h"
#include "targets/xdp/dune_xdp.h"

#include <math.h>
#include <string.h>

enum { HOT = 100000, DEPTH_TEN = 10, LEAVES_TEN = 1024 };
static const char stored[] = "one flow, answer stored", ten[] = "one flow, forest of depth 10 at every packet",
                  deep[] = "one flow, deeper forest at every packet";

static int run(struct bench *b, struct dune_xdp *x, const char *title, const char *who,
               enum dune_xdp_bench_program what, uint32_t repeat, struct dune_diag *d)
{
    double ns;
    int rc = dune_xdp_bench_run(x, what, repeat, &ns, d);

    if (rc == 0)
        bench_add(b, title, who, "ns/packet", BENCH_LOWER, ns);
    return rc;
}

static double above(const struct bench *b, const char *title, const char *who, const char *floor)
{
    return bench_median(b, title, who, "ns/packet") - bench_median(b, title, floor, "ns/packet");
}

/* --- one flow ----------------------------------------------------------------------------------------- */

/*
 * point: the inference point; beyond it answers come from the slot, up to it from the forest. A flow has at most UINT8_MAX
 * packets until then, too few to measure a warm program by; so a flow that is to be inferred all the time has a time-out
 * of 0 and begins anew with every tick (1,024 ns).
 */
static int hot_flow(struct bench *b, const char *title, uint8_t point, uint32_t leaves, uint32_t depth, struct dune_diag *d)
{
    struct dune_xdp_opts o = {.slots = 1024, .ways = 1, .state_bytes = 1 << 17}, counts = o;
    struct dune_plan *p = NULL;
    struct dune_xdp *x = NULL, *y = NULL;
    struct bench_frames t;
    int rc = bench_load_plan_deep(&p, 1, 1, leaves, depth, DUNE_HASH_SIPHASH, d);

    bench_frames_init(&t, BENCH_ALL_INFERRED, 100);
    if (rc == 0) {
        p->sub[0].n = point;
        if (point == UINT8_MAX)
            p->timeout = 0;
        rc = dune_xdp_bench_open(&x, p, &o, t.pkt, 1, d);
    }
    counts.drift = true;
    if (rc == 0)
        rc = dune_xdp_bench_open(&y, p, &counts, t.pkt, 1, d);
    for (unsigned r = 0, n = bench_rounds(b, 13); rc == 0 && r < n; r++) {
        rc = run(b, x, title, "empty program", DUNE_XDP_EMPTY, HOT, d);
        if (rc == 0)
            rc = run(b, x, title, "device", DUNE_XDP_DEVICE, HOT, d);
        for (int on = 0; rc == 0 && on < 2; on++) {
            dune_xdp_count(y, on);
            rc = run(b, y, title, on ? "device, counts for drift" : "device, can count", DUNE_XDP_DEVICE, HOT, d);
        }
    }
    dune_xdp_close(y, DUNE_XDP_DETACH);
    dune_xdp_close(x, DUNE_XDP_DETACH);
    dune_plan_free(p);
    bench_frames_fini(&t);
    return rc;
}

/* --- many flows --------------------------------------------------------------------------------------- */

static int many_flows(struct bench *b, const char *title, enum bench_mix mix, uint32_t slots, uint32_t ways,
                      struct dune_diag *d)
{
    struct dune_xdp_opts o = {.slots = slots, .ways = ways, .state_bytes = 64 << 20};
    struct dune_plan *p = NULL;
    struct dune_xdp *x = NULL;
    struct dune_counters c;
    struct bench_frames t;
    int rc = bench_load_plan(&p, 1, 1, 500, DUNE_HASH_SIPHASH, d);

    bench_frames_init(&t, mix, 100000);
    if (rc == 0)
        rc = dune_xdp_bench_open(&x, p, &o, t.pkt, t.n, d);
    for (unsigned r = 0, n = bench_rounds(b, 9); rc == 0 && r < n; r++) {
        rc = run(b, x, title, "empty program", DUNE_XDP_EMPTY, t.n, d);
        if (rc == 0)
            rc = run(b, x, title, "feed alone", DUNE_XDP_FEED, t.n, d);
        if (rc == 0)
            rc = run(b, x, title, "feed and device", DUNE_XDP_FED, t.n, d);
    }
    if (rc == 0) {
        dune_xdp_counters(x, &c, NULL);
        bench_note(b, "%s: %.2f %% of the packets without a slot, %.0f %% stored answers", title,
                   100.0 * (double)c.collisions / (double)c.inferred,
                   100.0 * (double)c.answers_stored / (double)c.inferred);
    }
    dune_xdp_close(x, DUNE_XDP_DETACH);
    dune_plan_free(p);
    bench_frames_fini(&t);
    return rc;
}

static int run_cost(struct bench *b, struct dune_diag *d)
{
    const char *why = dune_xdp_available();
    int rc;

    if (why) {
        bench_skip(b, "one flow, answer stored", "device", "%s", why);
        return 0;
    }
    rc = hot_flow(b, stored, LOAD_POINT, 500, 0, d);
    if (rc == 0)
        rc = hot_flow(b, ten, UINT8_MAX, LEAVES_TEN, DEPTH_TEN, d);
    if (rc == 0)
        rc = hot_flow(b, deep, UINT8_MAX, 500, 0, d);
    if (rc == 0)
        rc = many_flows(b, "steady, 100k flows, 1 way", BENCH_STEADY, 1 << 18, 1, d);
    if (rc == 0)
        rc = many_flows(b, "all inferred, 100k flows, 1 way", BENCH_ALL_INFERRED, 1 << 18, 1, d);
    if (rc == 0)
        rc = many_flows(b, "steady, 100k flows, 4 ways", BENCH_STEADY, 1 << 16, 4, d);
    if (rc == 0)
        rc = many_flows(b, "all inferred, 100k flows, 4 ways", BENCH_ALL_INFERRED, 1 << 16, 4, d);
    if (rc)
        return rc;
    bench_goal_max(b, "one flow, answer stored, ns above the empty program", above(b, stored, "device", "empty program"), 0,
                   120);
    bench_goal_max(b, "one flow, forest of depth 10 at every packet, ns above the empty program",
                   above(b, ten, "device", "empty program"), 0, 120);
    bench_goal_max(b, "one flow, deeper forest at every packet, ns above the empty program",
                   above(b, deep, "device", "empty program"), 0, NAN);
    bench_goal_max(b, "steady, 100k flows, 4 ways, ns above the feed",
                   above(b, "steady, 100k flows, 4 ways", "feed and device", "feed alone"), 0, 350);
    bench_goal_max(b, "all inferred, 100k flows, 4 ways, ns above the feed",
                   above(b, "all inferred, 100k flows, 4 ways", "feed and device", "feed alone"), 0, 450);
    return 0;
}

const struct bench_entry bench_xdp[] = {
    {"xdp.cost", "one device as an XDP program, inside the kernel: one sub-model of 3 trees, 500 leaves each (1024 at "
                 "depth 10) and 8 features, live clock, locks, SipHash", run_cost},
    {NULL, NULL, NULL},
};
