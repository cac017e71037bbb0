/* SPDX-License-Identifier: Apache-2.0 */
/* The fast engine beside the reference, verdict for verdict: random packets, tables that are too small, crafted tuples. */
#include "bench/bench.h"
#include "bench/engine_load.h"
#include "dune/capture.h"
#include "targets/fast/dune_fast.h"

#include <string.h>

struct pair {
    struct dune_plan *plan;
    struct dune_chain *ref, *fast;
    uint64_t packets, equal, collided, inferable;
};

static int pair_open(struct pair *p, enum dune_hash_kind hash, const struct dune_chain_opts *o, struct dune_diag *d)
{
    int rc = bench_load_plan(&p->plan, 3, 3, 200, hash, d);

    if (rc == 0)
        rc = dune_engine_reference.open(&p->ref, p->plan, o, d);
    if (rc == 0)
        rc = dune_engine_fast.open(&p->fast, p->plan, o, d);
    return rc;
}

static void pair_close(struct pair *p)
{
    if (p->ref)
        dune_engine_reference.close(p->ref);
    if (p->fast)
        dune_engine_fast.close(p->fast);
    dune_plan_free(p->plan);
}

static bool same(const struct dune_verdict *a, const struct dune_verdict *b)
{
    return a->reason == b->reason && a->fate == b->fate && a->inferable == b->inferable && a->dropped == b->dropped &&
           a->flags == b->flags && a->cls == b->cls && a->conf == b->conf && a->submodel == b->submodel &&
           a->answered == b->answered && a->device == b->device && a->generation == b->generation &&
           a->rule_hit == b->rule_hit && a->steer_port == b->steer_port;
}

static int compare(struct pair *p, const struct dune_chain_packet *pkt, size_t n, struct dune_diag *d)
{
    struct dune_verdict w[DUNE_BURST_MAX], g[DUNE_BURST_MAX];
    int rc = 0;

    for (size_t at = 0; at < n && rc == 0; at += DUNE_BURST_MAX) {
        unsigned k = (unsigned)DUNE_MIN(n - at, (size_t)DUNE_BURST_MAX);

        rc = p->ref->ops->burst(p->ref, pkt + at, k, w, NULL, d);
        if (rc == 0)
            rc = p->fast->ops->burst(p->fast, pkt + at, k, g, NULL, d);
        for (unsigned i = 0; i < k && rc == 0; i++) {
            p->packets++;
            p->equal += same(&w[i], &g[i]);
            p->inferable += w[i].inferable;
            p->collided += w[i].inferable && w[i].flags & DUNE_SHIM_COLLISION;
        }
    }
    return rc;
}

struct total {
    uint64_t packets, equal;
};

static void tell(struct bench *b, const struct pair *p, const char *title, const char *who, struct total *t)
{
    bench_add(b, title, who, "verdicts that differ", BENCH_LOWER, (double)(p->packets - p->equal));
    bench_add(b, title, who, "% not inferable", BENCH_LOWER,
              100.0 * (double)(p->packets - p->inferable) / (double)DUNE_MAX(p->packets, 1u));
    bench_add(b, title, who, "% collided", BENCH_LOWER, 100.0 * (double)p->collided / (double)DUNE_MAX(p->inferable, 1u));
    t->packets += p->packets;
    t->equal += p->equal;
}

static void tell_goal(struct bench *b, const char *what, const struct total *t)
{
    char *text = dune_mem_printf("%s: packets of %llu with the verdict of the reference", what, (unsigned long long)t->packets);

    bench_goal_min(b, text, (double)t->equal, (double)t->packets, 0);
    dune_mem_free(text);
}

/* --- random packets ---------------------------------------------------------------------------------------- */

/* Of every eight packets one has a random byte somewhere in its headers; some are cut short, some come from the past. */
static void disturb(struct bench_batch *t, size_t n, struct dune_rng *r)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t draw = dune_rng_u64(r);

        if (draw % 8 == 0)
            t->frame[i][draw >> 8 & 63] = (uint8_t)(draw >> 16);
        if (draw % 64 == 1)
            t->pkt[i].cap_len = DUNE_MIN(t->pkt[i].cap_len, (uint32_t)(draw >> 24 & 63));
        if (draw % 64 == 2)
            t->pkt[i].tick -= DUNE_MIN(t->pkt[i].tick, draw >> 32 & 0xfffff);
    }
}

static int random_packets(struct bench *b, enum dune_hash_kind hash, uint32_t slots, uint32_t ways, struct total *t,
                          struct dune_diag *d)
{
    const struct dune_chain_opts o = {.slots = slots, .ways = ways};
    struct bench_batch *batch = dune_mem_alloc(1, sizeof(*batch));
    uint64_t want = bench_cfg(b)->quick ? 1u << 16 : 1u << 20;
    struct pair p = {0};
    struct bench_load load;
    struct dune_rng r;
    char who[64];
    int rc = pair_open(&p, hash, &o, d);

    bench_load_init(&load, BENCH_STEADY, 60000, bench_cfg(b)->seed);
    dune_rng_init(&r, bench_cfg(b)->seed, 0xe90a1, slots, ways);
    for (uint64_t at = 0; at < DUNE_MIN(load.n, want) && rc == 0; at += LOAD_BATCH) {
        size_t n = (size_t)DUNE_MIN((uint64_t)bench_load_fill(&load, at, batch), want - at);

        disturb(batch, n, &r);
        rc = compare(&p, batch->pkt, n, d);
    }
    snprintf(who, sizeof(who), "%u slots of %u ways, %s", slots, ways, hash == DUNE_HASH_CRC ? "crc" : "siphash");
    if (rc == 0)
        tell(b, &p, "random packets", who, t);
    pair_close(&p);
    bench_load_fini(&load);
    dune_mem_free(batch);
    return rc;
}

static int run_random(struct bench *b, struct dune_diag *d)
{
    static const uint32_t slots[] = {8, 64, 32768};
    int rc = 0;

    for (size_t i = 0; i < DUNE_ARRAY_LEN(slots) && rc == 0; i++) {
        struct total t = {0};
        char what[64];

        for (int k = 0; k < 4 && rc == 0; k++)
            rc = random_packets(b, k % 2 ? DUNE_HASH_SIPHASH : DUNE_HASH_CRC, slots[i], k / 2 ? 8 : 1, &t, d);
        snprintf(what, sizeof(what), "random packets, tables of %u slots", slots[i]);
        if (rc == 0)
            tell_goal(b, what, &t);
    }
    bench_note(b, "three devices with a sub-model each, 60000 flows; one packet in eight with a random byte in its headers, "
                  "one in 64 cut short, one in 64 from the past");
    bench_note(b, "the tests equal, equal_limits, equal_captures and equal_1m compare frames, counters, digests and rules too, for "
                  "random plans, and under the sanitizers");
    return rc;
}

/* --- shared captures ------------------------------------------------------------------------------------------ */

static int compare_capture(struct pair *p, const char *path, struct dune_diag *d)
{
    struct dune_chain_packet pkt[DUNE_BURST_MAX];
    struct dune_reader *r = NULL;
    struct dune_record rec;
    size_t n = 0;
    int rc = dune_reader_open(&r, path, d), more = rc == 0;

    p->ref->ops->new_capture(p->ref);
    p->fast->ops->new_capture(p->fast);
    while (more == 1 && rc == 0) {
        dune_reader_recycle(r);
        for (n = 0; n < DUNE_BURST_MAX && (more = dune_reader_next(r, &rec, d)) == 1; n++)
            pkt[n] = (struct dune_chain_packet){rec.data, rec.cap_len, rec.wire_len, dune_tick(rec.ts_ns)};
        rc = compare(p, pkt, n, d);
    }
    dune_reader_close(r);
    return rc ? rc : DUNE_MIN(more, 0);
}

static int run_captures(struct bench *b, struct dune_diag *d)
{
    static const char *const dirs[] = {"aalto-iot-setup/train", "aalto-iot-setup/test", "ustc-malware/train",
                                       "ustc-malware/test"};
    const struct dune_chain_opts o = {.slots = 4096, .ways = 8};
    struct total t = {0};
    int rc = 0;

    if (!bench_cfg(b)->data)
        bench_skip(b, "shared captures", "engine", "there are no shared captures");
    for (size_t i = 0; i < DUNE_ARRAY_LEN(dirs) && bench_cfg(b)->data && rc == 0; i++) {
        char *dir = dune_mem_printf("%s/%s", bench_cfg(b)->data, dirs[i]);
        struct dune_paths paths = {0};
        struct pair p = {0};

        if (!dune_path_exists(dir))
            bench_skip(b, "shared captures", dirs[i], "not there");
        else
            rc = dune_paths_add(&paths, dir, d);
        if (rc == 0 && paths.len)
            rc = pair_open(&p, DUNE_HASH_SIPHASH, &o, d);
        for (size_t k = 0; k < paths.len && rc == 0; k++)
            rc = compare_capture(&p, paths.data[k], d);
        if (rc == 0 && paths.len)
            tell(b, &p, "shared captures", dirs[i], &t);
        pair_close(&p);
        dune_paths_fini(&paths);
        dune_mem_free(dir);
    }
    if (rc == 0 && t.packets)
        tell_goal(b, "shared captures", &t);
    return rc;
}

/* --- crafted tuples --------------------------------------------------------------------------------------------- */
enum { FLOOD_FLOWS = 2000, FLOOD_SLOTS = 1024, FLOOD_PASSES = 4, FLOOD_ROUNDS = 9 };

static void flood_frame(uint8_t *f, uint32_t who)
{
    static const uint8_t head[54] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 6, 0, 0, 0, 0, 0, 0,
                                     192, 168, 0, 1, 4, 0, 1, 187, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 16, 16, 0, 0, 0, 0, 0};

    memcpy(f, head, sizeof(head));
    for (int i = 0; i < 4; i++)
        f[26 + i] = (uint8_t)(who >> (24 - 8 * i));
}

/* Flows by trying; crafted: all with one index, which takes as many tries as the table has slots. */
static void find_flows(const struct dune_plan *plan, bool crafted, uint8_t (*frame)[64])
{
    uint32_t found = 0, index, id;
    struct dune_packet p;

    for (uint32_t i = 1; found < FLOOD_FLOWS; i++) {
        flood_frame(frame[found], i);
        dune_packet_parse(&p, frame[found], 54, &plan->parser, 0);
        dune_flow_slot(plan, FLOOD_SLOTS, &p.key, &index, &id);
        found += !crafted || index == 3;
    }
}

static void flood_batch(struct dune_chain_packet *pkt, uint8_t (*frame)[64], uint64_t tick)
{
    for (uint32_t i = 0; i < FLOOD_FLOWS; i++)
        pkt[i] = (struct dune_chain_packet){frame[i], 54, 54, tick + i};
}

static int flood(struct bench *b, enum dune_hash_kind hash, struct dune_diag *d)
{
    static const char *const who[2] = {"2000 flows anywhere", "2000 flows of one slot"};
    const char *title = hash == DUNE_HASH_CRC ? "hash flood, crc" : "hash flood, siphash with the key known";
    const struct dune_chain_opts o = {.slots = FLOOD_SLOTS, .ways = 8};
    struct dune_chain_packet *pkt = DUNE_NEW_N(struct dune_chain_packet, FLOOD_FLOWS);
    struct dune_verdict *v = DUNE_NEW_N(struct dune_verdict, FLOOD_FLOWS);
    uint8_t(*frame)[64] = dune_mem_zalloc(2 * FLOOD_FLOWS, 64);
    struct pair p[2] = {{0}, {0}};
    struct total t = {0};
    uint64_t start;
    int rc = 0;

    for (int k = 0; k < 2 && rc == 0; k++) {
        rc = pair_open(&p[k], hash, &o, d);
        if (rc == 0)
            find_flows(p[k].plan, k, frame + k * FLOOD_FLOWS);
        for (uint32_t i = 0; i < FLOOD_PASSES && rc == 0; i++) {
            flood_batch(pkt, frame + k * FLOOD_FLOWS, 1000 + i * 5000);
            rc = compare(&p[k], pkt, FLOOD_FLOWS, d);
        }
    }
    for (unsigned i = 0; i < FLOOD_ROUNDS && rc == 0; i++)
        for (int k = 0; k < 2 && rc == 0; k++) {
            flood_batch(pkt, frame + k * FLOOD_FLOWS, 100000 + i * 5000);
            start = dune_now_ns();
            rc = dune_fast_run(p[k].fast, pkt, FLOOD_FLOWS, v, NULL, d);
            bench_add(b, title, who[k], "ns/packet", BENCH_LOWER, (double)(dune_now_ns() - start) / FLOOD_FLOWS);
        }
    for (int k = 0; k < 2; k++) {
        if (rc == 0)
            tell(b, &p[k], title, who[k], &t);
        pair_close(&p[k]);
    }
    if (rc == 0)
        tell_goal(b, title, &t);
    dune_mem_free(frame);
    dune_mem_free(pkt);
    dune_mem_free(v);
    return rc;
}

static int run_flood(struct bench *b, struct dune_diag *d)
{
    int rc = flood(b, DUNE_HASH_CRC, d);

    if (rc == 0)
        rc = flood(b, DUNE_HASH_SIPHASH, d);
    bench_note(b, "tables of %d slots of 8 ways. Flows of one slot beyond its ways get no state: they are answered packet by packet "
                  "and counted; a look-up never goes further than the ways of one slot", FLOOD_SLOTS);
    return rc;
}

const struct bench_entry bench_equal[] = {
    {"equal.random", "a million random packets, both engines, tables of 8 and of 64 slots", run_random},
    {"equal.captures", "all packets of the shared captures, both engines", run_captures},
    {"equal.flood", "tuples crafted to meet in one slot, against both hashes", run_flood},
    {NULL, NULL, NULL},
};
