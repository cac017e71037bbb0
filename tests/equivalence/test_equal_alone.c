/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices of the fast engine, each alone between links, against the reference's: any frames with any shim at any port,
 * generations that come, are stamped for a share of the flows and go, rules from a controller, bursts of any length. Traces
 * (without answers), frames, digests, counters, and what sub-models see. An argument is the number of packets (default 40,000).
 */
#include "equivalence/equal_drift.h"
#include "equivalence/equal_wild.h"

enum { MAX_DEV = 4, FRAME = sizeof(((struct kit_frame *)0)->data) + 64 };
static uint64_t n_packets = 40000;

struct packet {
    uint8_t data[FRAME];
    uint32_t len, wire;
    uint64_t tick;
};
struct device {
    struct dune_ref_device *ref;
    struct dune_fast_device *fast;
    DUNE_VEC(struct dune_digest) said[2]; /* by the reference, by the fast one, of the burst under way */
    DUNE_VEC(struct dune_digest) all;     /* that may become rules */
    struct equal_drift drift;
};
struct world {
    struct dune_plan *plan[4];
    unsigned n_plans;
    uint32_t n_dev;
    struct device dev[MAX_DEV];
    struct packet pk[DUNE_BURST_MAX];
    struct dune_device_out ref_out, fast_out[DUNE_BURST_MAX];
    struct dune_rng r;
    struct equal e; /* for messages and sums */
    uint64_t rules_hit, older;
};

static void said_ref(void *ctx, const struct dune_digest *dg)
{
    struct device *dev = ctx;

    DUNE_VEC_PUSH(&dev->said[0], *dg);
    DUNE_VEC_PUSH(&dev->all, *dg);
}

static void said_fast(void *ctx, const struct dune_digest *dg)
{
    struct device *dev = ctx;

    DUNE_VEC_PUSH(&dev->said[1], *dg);
}

static void check_digests(struct world *w, struct device *dev)
{
    assert_int_equal(dev->said[0].len, dev->said[1].len);
    for (size_t i = 0; i < dev->said[0].len; i++) {
        const struct dune_digest *a = &dev->said[0].data[i], *b = &dev->said[1].data[i];

        EQUAL_FIELD(&w->e, a, b, device);
        EQUAL_FIELD(&w->e, a, b, generation);
        EQUAL_FIELD(&w->e, a, b, tick);
        EQUAL_FIELD(&w->e, a, b, cls);
        EQUAL_FIELD(&w->e, a, b, flags);
        EQUAL_FIELD(&w->e, a, b, submodel);
        EQUAL_FIELD(&w->e, a, b, conf);
        assert_int_equal(a->key.len, b->key.len);
        assert_memory_equal(a->key.bytes, b->key.bytes, a->key.len);
    }
    dev->said[0].len = dev->said[1].len = 0;
}

static void check_counters(struct world *w, struct device *dev)
{
    const uint64_t *want = (const uint64_t *)(const void *)dune_ref_device_counters(dev->ref);
    struct dune_counters got;
    struct dune_diag d = {0};

    dune_fast_device_counters(dev->fast, &got);
    assert_ok(dune_counters_check(&got, 1, false, &d), d);
    for (size_t i = 0; i < sizeof(got) / sizeof(uint64_t); i++)
        if (want[i] != ((const uint64_t *)(const void *)&got)[i])
            equal_fail(&w->e, "a counter", want[i], ((const uint64_t *)(const void *)&got)[i]);
}

static void check_drift(struct device *dev)
{
    for (unsigned i = 0; i < dev->drift.n; i++) {
        const struct dune_plan *p = dev->drift.plan[i];
        struct dune_drift_counts got;

        dune_drift_counts_init(&got, p);
        if (dune_fast_device_drift(dev->fast, p->generation, &got))
            equal_drift_compare(&dev->drift, i, &got);
        dune_drift_counts_fini(&got);
    }
}

/* A burst through device k; what leaves is there for the next device. Returns how many. */
static unsigned pass(struct world *w, uint32_t k, unsigned n)
{
    struct dune_device_in in[DUNE_BURST_MAX] = {0};
    struct device *dev = &w->dev[k];
    unsigned left = 0;

    for (unsigned i = 0; i < n; i++) {
        bool edge_in = k == 0, edge_out = k + 1 == w->n_dev;
        struct packet *p = &w->pk[i];

        if (dune_rng_below(&w->r, 40) == 0 && p->len > 30)
            p->data[12 + dune_rng_below(&w->r, 18)] ^= (uint8_t)(1u << dune_rng_below(&w->r, 8));
        if (dune_rng_below(&w->r, 60) == 0)
            p->len = (uint32_t)dune_rng_below(&w->r, p->len + 1);
        edge_in ^= dune_rng_below(&w->r, 16) == 0;
        edge_out ^= dune_rng_below(&w->r, 16) == 0;
        in[i] = (struct dune_device_in){.data = p->data, .cap_len = p->len, .wire_len = p->wire, .tick = p->tick,
                                        .port = edge_in ? DUNE_PORT_EDGE : DUNE_PORT_CHAIN,
                                        .out_port = edge_out ? DUNE_PORT_EDGE : DUNE_PORT_CHAIN};
    }
    dune_fast_device_burst(dev->fast, in, n, w->fast_out);
    for (unsigned i = 0; i < n; i++) {
        struct dune_chain_frame want, got = {w->fast_out[i].data, w->fast_out[i].cap_len, w->fast_out[i].wire_len};

        dune_ref_device_process(dev->ref, &in[i], &w->ref_out);
        want = (struct dune_chain_frame){w->ref_out.data, w->ref_out.cap_len, w->ref_out.wire_len};
        equal_trace_fields(&w->e, &w->ref_out.trace, &w->fast_out[i].trace);
        equal_frame(&w->e, &want, &got);
        w->e.packets++;
        w->e.inferable += w->ref_out.trace.has_shim;
        w->rules_hit += w->ref_out.trace.fate == DUNE_FATE_RULE_HIT;
        w->e.dropped += w->ref_out.trace.dropped;
        w->older += w->ref_out.trace.has_shim && w->ref_out.trace.generation != w->plan[w->n_plans - 1]->generation;
        if (!want.data)
            continue;
        w->pk[left] = (struct packet){.len = want.cap_len, .wire = want.wire_len, .tick = in[i].tick};
        memcpy(w->pk[left++].data, want.data, want.cap_len);
    }
    check_digests(w, dev);
    check_counters(w, dev);
    check_drift(dev);
    return left;
}

/* What a controller may say between bursts; both devices answer alike. */
static void say_something(struct world *w, struct device *dev, uint64_t now)
{
    struct dune_diag d[2] = {{0}};
    uint16_t g = w->plan[dune_rng_below(&w->r, w->n_plans)]->generation;
    struct dune_plan *p = w->plan[dune_rng_below(&w->r, w->n_plans)];
    uint32_t share = dune_rng_below(&w->r, 2) ? DUNE_STAMP_ALL : (uint32_t)dune_rng_below(&w->r, DUNE_STAMP_ALL);

    switch (dune_rng_below(&w->r, 8)) {
    case 0:
        assert_int_equal(dune_ref_device_load(dev->ref, p, &d[0]), dune_fast_device_load(dev->fast, p, &d[1]));
        if (d[0].code == 0)
            equal_drift_loaded(&dev->drift, p);
        break;
    case 1:
        assert_int_equal(dune_ref_device_stamp_share(dev->ref, g, share, now, &d[0]),
                         dune_fast_device_stamp_share(dev->fast, g, share, now, &d[1]));
        assert_int_equal(dune_ref_device_drain_until(dev->ref), dune_fast_device_drain_until(dev->fast));
        break;
    case 2:
        assert_int_equal(dune_ref_device_unload(dev->ref, g, &d[0]), dune_fast_device_unload(dev->fast, g, &d[1]));
        break;
    case 3:
    case 4:
        for (size_t i = 0; i < dev->all.len; i++) {
            uint64_t from = dev->all.data[i].tick + dune_rng_below(&w->r, 50);

            dune_ref_device_put_rule(dev->ref, &dev->all.data[i], from);
            dune_fast_device_put_rule(dev->fast, &dev->all.data[i], from);
        }
        dev->all.len = 0;
        break;
    }
    assert_int_equal(d[0].code, d[1].code);
}

static void open_world(struct world *w, uint64_t seed)
{
    struct dune_chain_opts o;
    struct dune_diag d = {0};

    memset(w, 0, sizeof(*w));
    dune_rng_init(&w->r, seed, 61, 0, 0);
    w->e.what = "alone";
    w->e.seed = seed;
    o = vary_opts(&w->r);
    o.check_keys = false; /* only the reference has keys */
    o.rules_max = seed % 3 ? 0 : 7;
    o.digest_rate = seed % 5 ? 0 : 2000;
    w->plan[0] = seed % 2 ? wild_plan(seed) : random_plan(seed, 1 + seed % 4, 1 + seed % 3);
    w->n_dev = DUNE_MIN(w->plan[0]->n_devices, (uint32_t)MAX_DEV);
    for (w->n_plans = 1; w->n_plans < 4; w->n_plans++) {
        w->plan[w->n_plans] = random_plan(seed + 100000 * w->n_plans, 3, w->plan[0]->n_devices);
        vary(&w->r, w->plan[w->n_plans]);
        w->plan[w->n_plans]->generation = (uint16_t)(w->plan[0]->generation + w->n_plans);
        w->plan[w->n_plans]->shim_ethertype = w->plan[0]->shim_ethertype;
    }
    for (uint32_t k = 0; k < w->n_dev; k++) {
        assert_ok(dune_ref_device_new(&w->dev[k].ref, w->plan[0], (uint16_t)k, &o, &d), d);
        assert_ok(dune_fast_device_new(&w->dev[k].fast, w->plan[0], (uint16_t)k, &o, &d), d);
        dune_ref_device_on_digest(w->dev[k].ref, said_ref, &w->dev[k]);
        dune_fast_device_on_digest(w->dev[k].fast, said_fast, &w->dev[k]);
        dune_ref_device_on_answer(w->dev[k].ref, equal_drift_note, &w->dev[k].drift);
        dune_fast_device_count(w->dev[k].fast, true);
        for (unsigned i = 0; i < w->n_plans; i++)
            equal_drift_add(&w->dev[k].drift, w->plan[i]);
    }
}

static void close_world(struct world *w)
{
    for (uint32_t k = 0; k < w->n_dev; k++) {
        dune_ref_device_free(w->dev[k].ref);
        dune_fast_device_free(w->dev[k].fast);
        DUNE_VEC_FREE(&w->dev[k].said[0]);
        DUNE_VEC_FREE(&w->dev[k].said[1]);
        DUNE_VEC_FREE(&w->dev[k].all);
        equal_drift_fini(&w->dev[k].drift);
    }
    for (unsigned i = 0; i < w->n_plans; i++)
        dune_plan_free(w->plan[i]);
}

static unsigned draw_burst(struct world *w, struct random_traffic *t)
{
    unsigned n = dune_rng_below(&w->r, 3) ? 1 + (unsigned)dune_rng_below(&w->r, DUNE_BURST_MAX) : DUNE_BURST_MAX;

    for (unsigned i = 0; i < n; i++) {
        struct kit_frame f;

        random_frame(t, &f);
        spoil(&t->r, &f);
        w->pk[i] = (struct packet){.len = (uint32_t)f.len, .wire = (uint32_t)f.len, .tick = random_tick(t)};
        memcpy(w->pk[i].data, f.data, f.len);
    }
    return n;
}

static void test_alone(void **state)
{
    struct world *w = DUNE_NEW(struct world);
    uint64_t packets = 0, inferable = 0, hits = 0, dropped = 0, older = 0, answers = 0;

    for (uint64_t seed = 1; packets < n_packets; seed++) {
        struct random_traffic t;

        open_world(w, seed);
        random_traffic_init(&t, seed, 1 + (uint32_t)(seed * 13 % 120));
        for (int i = 0; i < 40; i++) {
            unsigned n = draw_burst(w, &t);

            for (uint32_t k = 0; k < w->n_dev && n; k++) {
                n = pass(w, k, n);
                if (dune_rng_below(&w->r, 3) == 0)
                    say_something(w, &w->dev[k], t.tick);
            }
        }
        packets += w->e.packets;
        inferable += w->e.inferable;
        hits += w->rules_hit;
        dropped += w->e.dropped;
        older += w->older;
        for (uint32_t k = 0; k < w->n_dev; k++)
            answers += w->dev[k].drift.answers;
        close_world(w);
    }
    print_message("# %llu packets, %llu with shim, %llu by rules, %llu dropped\n", (unsigned long long)packets,
                  (unsigned long long)inferable, (unsigned long long)hits, (unsigned long long)dropped);
    assert_true(inferable > packets / 4 && hits > packets / 200 && dropped > 0 && older > 0 && answers > packets);
    dune_mem_free(w);
    (void)state;
}

static void test_refused(void **state)
{
    struct dune_plan *p = random_plan(3, 2, 2);
    struct dune_fast_device *dev;
    struct dune_diag d = {0};

    assert_int_equal(dune_fast_device_new(&dev, p, 2, NULL, &d), DUNE_E_USAGE);
    assert_non_null(strstr(d.msg, "there is no device 2"));
    dune_plan_free(p);
    (void)state;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_alone), cmocka_unit_test(test_refused)};

    if (argc > 1 && !dune_parse_u64(argv[1], &n_packets))
        return 2;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
