/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Emitted v1model programs on simple_switch against the reference: every frame, digest and counter.
 *
 *   test_bmv2                     the tests
 *   test_bmv2 more                more random plans
 *   test_bmv2 wild FIRST LAST     the wildest plans there are, of these seeds
 *   test_bmv2 PLAN.json PCAP...   a plan on captures, all packets, then on random ones
 */
#include "equivalence/bmv2_kit.h"
#include "dune/p4.h"
#include "unit/targets/wild_chain.h"

#define TIMEOUT 1000 /* of random traffic, ticks */

static void fit(struct dune_plan *p, uint32_t slots)
{
    p->hash = DUNE_HASH_CRC;
    p->ways = 1;
    p->slots = slots;
    for (uint32_t i = 0; i < p->n_devices; i++) {
        dune_mem_free(p->device[i].profile);
        p->device[i].profile = dune_mem_strdup("bmv2");
    }
}

static void random_packets(struct bmv2_chain *c, uint64_t seed, uint32_t flows, int n, bool monotone)
{
    struct random_traffic t;
    struct kit_frame f;

    random_traffic_init(&t, seed, flows);
    t.monotone = monotone;
    for (int i = 0; i < n; i++) {
        uint64_t tick = random_tick(&t);

        random_frame(&t, &f);
        bmv2_packet(c, f.data, f.len, tick);
    }
}

/* Any plan on a few flows: tiny tables with collisions, time-outs, time that runs backwards, cut and broken
 * packets; after half of them a new capture. */
static void run_random(uint64_t seed, uint32_t n_sub, uint32_t n_dev, uint32_t slots, int packets)
{
    struct dune_plan *p = random_plan(seed, n_sub, n_dev);
    struct bmv2_chain c;
    char what[48];

    fit(p, slots);
    snprintf(what, sizeof(what), "random plan %llu", (unsigned long long)seed);
    bmv2_open(&c, p, NULL, what);
    random_packets(&c, seed, 60, packets / 2, false);
    bmv2_new_capture(&c);
    random_packets(&c, seed + 1000, 60, packets / 2, false);
    assert_true(c.inferable > (uint64_t)packets / 2);
    bmv2_close(&c);
    dune_plan_free(p);
}

static void test_random_plans(void **state)
{
    (void)state;
    run_random(1, 2, 2, 16, 2000);
    run_random(2, 4, 2, 4096, 2000);
    run_random(5, 6, 1, 1, 1500);
}

static void test_more_random_plans(void **state)
{
    (void)state;
    for (uint64_t seed = 10; seed < 30; seed++)
        run_random(seed, 1 + seed % 7, 1 + seed % 4, seed % 2 ? 16 : 1024, 4000);
}

/* Any plan that the verifier takes, with rules, digest rates and shims dropped at the edge now and then. */
static void run_wild(uint64_t seed, int packets)
{
    static const struct wild_limits lim = {"bmv2", DUNE_ON_V1MODEL, DUNE_P4_MAX_TREES, 4096, 150};
    struct dune_chain_opts o = {.rules = seed % 3 == 0, .rules_everywhere = seed % 6 == 0, .drop_edge_shim = seed % 4 == 0,
                                .digest_rate = seed % 5 ? 0 : 2000, .digest_burst = 5};
    struct dune_plan *p = wild_plan(seed, seed % 4 ? 1 : 2 + (uint32_t)(seed / 4 % 4), &lim);
    struct random_traffic t;
    struct bmv2_chain c;
    struct kit_frame f;
    char what[48];

    snprintf(what, sizeof(what), "wild plan %llu", (unsigned long long)seed);
    bmv2_open(&c, p, &o, what);
    random_traffic_init(&t, seed, 40);
    t.monotone = o.rules;
    for (int i = 0; i < packets; i++) {
        uint64_t tick = random_tick(&t);

        if (i == packets / 2)
            bmv2_new_capture(&c);
        wild_frame(&t, &f);
        bmv2_packet(&c, f.data, f.len, tick);
    }
    bmv2_close(&c);
    dune_plan_free(p);
}

static uint64_t wild_first = 1, wild_last = 4;

static void test_wild_plans(void **state)
{
    (void)state;
    for (uint64_t seed = wild_first; seed <= wild_last; seed++)
        run_wild(seed, 2000);
}

/* Every feature of the catalog that the target computes, in one plan: a sub-model per feature and mode. */
static void test_all_features(void **state)
{
    static const struct dune_plan_leaf leaf[] = {
        KIT_CLAIM(1, 40), KIT_CLAIM(2, 50), KIT_OTHER(3, 30), KIT_CLAIM(3, 60)};
    struct dune_plan *p = kit_plan(3, 2);
    struct bmv2_chain c;
    uint32_t n = 0;

    (void)state;
    for (int f = 0; f < DUNE_N_FEATURES; f++) {
        uint32_t max = dune_feature_max(f), thr[3] = {max / 200, max / 8, max / 2};
        uint32_t one[1] = {0};

        if (!(dune_catalog[f].targets & DUNE_ON_V1MODEL))
            continue;
        kit_sub(p, (uint8_t)(f + 1), n++ >= DUNE_N_FEATURES / 2, (uint8_t)(1 + f % 4),
                f % 3 ? DUNE_MODE_RUNNING : DUNE_MODE_PUBLISHED, f, max > 600 ? 3 : 1, max > 600 ? thr : one, leaf);
    }
    fit(p, 256);
    p->timeout = TIMEOUT;
    bmv2_open(&c, p, NULL, "all features");
    random_packets(&c, 77, 40, 3000, false);
    bmv2_close(&c);
    dune_plan_free(p);
}

/* --- filter, actions, MTU, forged shims ------------------------------------------------------------------------ */

static struct dune_plan *plan_with_actions(uint32_t n_dev, bool any)
{
    static const struct dune_plan_leaf leaf[] = {KIT_CLAIM(1, 100), KIT_CLAIM(2, 110), KIT_CLAIM(3, 120),
                                                 KIT_CLAIM(4, 130), KIT_OTHER(5, 90), KIT_CLAIM(5, 10)};
    static const uint32_t thr[] = {10000, 20000, 30000, 40000, 50000};
    struct dune_plan *p = kit_plan(5, n_dev);

    for (uint32_t i = 0; i < n_dev; i++)
        kit_sub(p, (uint8_t)(i + 1), (uint16_t)i, 2, DUNE_MODE_RUNNING, i ? DUNE_F_LEN_TOTAL : DUNE_F_IP_LEN, 5,
                thr, leaf);
    p->cls[0].action = DUNE_ACTION_MARK;
    p->cls[0].action_arg = 46;
    p->cls[1].action = DUNE_ACTION_STEER;
    p->cls[1].action_arg = 2;
    p->cls[2].action = DUNE_ACTION_DROP;
    p->cls[3].action = DUNE_ACTION_MIRROR;
    p->cls[3].action_arg = 3;
    p->cls[2].action_any = p->cls[3].action_any = any;
    p->cls[4].min_confidence = 20;
    p->timeout = TIMEOUT;
    fit(p, 64);
    return p;
}

static void add_filter(struct dune_plan *p)
{
    p->filter.n_prefixes = 2;
    p->filter.prefix = DUNE_NEW_N(struct dune_prefix, 2);
    p->filter.prefix[0] = (struct dune_prefix){.addr = {10, 0, 0, 0}, .len = 29};
    p->filter.prefix[1] = (struct dune_prefix){.addr = {0xfd, 1}, .len = 16, .ipv6 = true};
    p->filter.n_ports = 1;
    p->filter.port = DUNE_NEW(struct dune_port_range);
    p->filter.port[0] = (struct dune_port_range){1000, 30000};
    p->filter.n_protos = 1;
    p->filter.proto = DUNE_NEW(uint8_t);
    p->filter.proto[0] = 6;
}

static void test_actions(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        struct dune_chain_opts o = {.drop_edge_shim = k};
        struct dune_plan *p = plan_with_actions(2, k);
        struct bmv2_chain c;

        if (k) {
            add_filter(p);
            p->claim = DUNE_CLAIM_FIRST;
        } else {
            p->chain_mtu = 45000;
            p->early_exit = 115;
        }
        bmv2_open(&c, p, &o, k ? "filter, first, actions on all" : "actions, MTU, early exit");
        random_packets(&c, 5 + (uint64_t)k, 40, 2500, false);
        bmv2_close(&c);
        dune_plan_free(p);
    }
}

/* What nobody should send: shims at the edge; on a chain port other versions, other generations, two of
 * them, tags in front of and behind them, ends in the middle. */
static uint32_t forge(struct dune_rng *r, struct kit_frame *f)
{
    uint8_t shim[8];
    uint32_t at = 12;

    for (unsigned i = 0; i < 8; i++)
        shim[i] = (uint8_t)dune_rng_u64(r);
    if (dune_rng_below(r, 4))
        shim[0] = (uint8_t)(0x20 | (shim[0] & 31));
    shim[4] = 0;
    shim[5] = dune_rng_below(r, 5) ? 1 : 2;
    while (at + 4 < f->len && f->data[at] == (dune_rng_below(r, 2) ? 0x81 : 0x88) && dune_rng_below(r, 3))
        at += 4;
    memmove(f->data + at + 10, f->data + at + 2, f->len - at - 2);
    memcpy(shim + 6, f->data + at, 2);
    f->data[at] = 0x88;
    f->data[at + 1] = 0xB5;
    memcpy(f->data + at + 2, shim, 8);
    f->len += 8;
    return at;
}

static void test_hostile_shims(void **state)
{
    struct dune_plan *p = plan_with_actions(2, false);
    struct random_traffic t;
    struct bmv2_chain c;
    struct kit_frame f;

    (void)state;
    bmv2_open(&c, p, NULL, "hostile shims");
    random_traffic_init(&t, 3, 40);
    for (int i = 0; i < 3000; i++) {
        uint64_t tick = random_tick(&t);
        struct dune_device_out o;
        uint32_t at;

        random_frame(&t, &f);
        if (f.len < 20)
            continue;
        at = forge(&t.r, &f);
        if (dune_rng_below(&t.r, 5) == 0)
            at = forge(&t.r, &f);
        if (dune_rng_below(&t.r, 20) == 0)
            f.len = at + (uint32_t)dune_rng_below(&t.r, 12);
        if (i % 3) { /* straight to the chain port of the second device */
            bmv2_device_packet(&c, 1, f.data, f.len, tick, &o);
            if (++c.waiting >= BMV2_WINDOW)
                bmv2_flush(&c);
        } else {
            bmv2_packet(&c, f.data, f.len, tick);
        }
    }
    bmv2_close(&c);
    dune_plan_free(p);
}

/* --- rules, digests, generations ----------------------------------------------------------------------------- */

static void test_rules(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        struct dune_chain_opts o = {.rules = true, .rules_everywhere = k};
        struct dune_plan *p = plan_with_actions(2, false);
        struct bmv2_chain c;

        bmv2_open(&c, p, &o, k ? "rules on all devices" : "rules at the edge");
        random_packets(&c, 11, 25, 2500, true);
        assert_true(c.hits > 100 && c.digests > 20);
        bmv2_close(&c);
        dune_plan_free(p);
    }
}

/* Another flow with the same index. */
static struct dune_flow_key neighbour_of(const struct dune_plan *p, const struct dune_flow_key *key)
{
    struct dune_flow_key k = *key;
    uint32_t index, id, want, other;

    dune_flow_slot(p, p->slots, key, &want, &id);
    do {
        for (unsigned i = 0; i + 1 < k.len && ++k.bytes[i] == 0; i++)
            ;
        dune_flow_slot(p, p->slots, &k, &index, &other);
    } while (index != want || other == id);
    return k;
}

/*
 * Packets at the CPU port that must empty nothing: of another flow with the same index, of a generation that is not held, none
 * of the agent at all. The last one empties its slot: the others were there before it.
 */
static void release_in_vain(struct bmv2_chain *c, bool ipv6, uint64_t tick)
{
    struct kit_packet a = {.src = 77, .dst = 78, .sport = 5000, .dport = 80, .tcp = !ipv6, .ipv6 = ipv6, .ip_len = 900};
    const struct dune_plan *p = c->plan;
    struct dune_bmv2 *sw = c->dev[0].sw;
    struct dune_diag d = {0};
    struct dune_flow_key other;
    struct dune_packet found;
    struct kit_frame f;
    uint64_t released = c->released;
    uint32_t index, id, now;

    kit_make(&f, &a);
    bmv2_packet(c, f.data, f.len, tick);
    bmv2_flush(c);
    assert_int_equal(dune_packet_parse(&found, f.data, f.len, &p->parser, 0), DUNE_REASON_OK);
    dune_flow_slot(p, p->slots, &found.key, &index, &id);
    other = neighbour_of(p, &found.key);
    assert_ok(dune_bmv2_release(sw, p->generation, &other, &d), d);
    assert_ok(dune_bmv2_release(sw, (uint16_t)(p->generation + 1), &found.key, &d), d);
    assert_int_equal(send(dune_bmv2_digest_fd(sw), "nothing of the agent, nor of anybody who is here", 48, 0), 48);
    other = neighbour_of(p, &other);
    if (other.len == found.key.len)
        assert_ok(dune_bmv2_release(sw, p->generation, &other, &d), d);
    for (uint32_t s = 0; s < p->slots; s++)
        assert_true(bmv2_same_slot(c, 0, s));
    assert_ok(dune_bmv2_slot_id(sw, p->generation, index, &now, &d), d);
    assert_int_equal(now, id);
    bmv2_release(c, 0, &found.key);
    assert_int_equal(c->released, released + 1);
}

/* Flows with a rule give up their slot: others find it empty, and all else stays as it is. */
static void test_release(void **state)
{
    struct dune_chain_opts o = {.rules = true};
    struct dune_plan *p = plan_with_actions(2, false);
    uint64_t collisions[2], got_new[2];

    (void)state;
    for (int k = 0; k < 2; k++) {
        struct bmv2_chain c;
        const struct dune_counters *n;

        bmv2_open(&c, p, &o, k ? "slots released" : "slots that expire");
        c.release = k;
        random_packets(&c, 11, 25, 2500, true);
        bmv2_flush(&c);
        assert_true(k ? c.released > 20 : c.released == 0);
        for (int ipv6 = 0; ipv6 < 2 && k; ipv6++)
            release_in_vain(&c, ipv6, UINT64_C(1) << 40);
        n = dune_ref_device_counters(c.dev[0].ref);
        collisions[k] = n->collisions;
        got_new[k] = n->slot_new;
        bmv2_close(&c);
    }
    printf("# collisions on the first device: %llu, with released slots %llu\n", (unsigned long long)collisions[0],
           (unsigned long long)collisions[1]);
    assert_true(collisions[1] < collisions[0] && got_new[1] > got_new[0]);
    dune_plan_free(p);
}

static void test_digest_rate(void **state)
{
    struct dune_chain_opts o = {.digest_rate = 900, .digest_burst = 3};
    struct dune_plan *p = plan_with_actions(2, false);
    struct bmv2_chain c;

    (void)state;
    bmv2_open(&c, p, &o, "digest rate");
    random_packets(&c, 12, 60, 3000, false);
    assert_true(dune_ref_device_counters(c.dev[1].ref)->digests_dropped > 20);
    bmv2_close(&c);
    dune_plan_free(p);
}

static void load(struct bmv2_chain *c, const struct dune_plan *p, uint64_t now)
{
    struct dune_diag d = {0};

    bmv2_flush(c);
    for (uint32_t i = 0; i < c->n; i++) {
        struct dune_counters got;

        bmv2_settle(c, i, &got);
        assert_ok(dune_bmv2_load(c->dev[i].sw, p, &d), d);
        assert_ok(dune_ref_device_load(c->dev[i].ref, p, &d), d);
    }
    for (uint32_t i = 0; i < c->n; i++) {
        assert_ok(dune_bmv2_stamp(c->dev[i].sw, p->generation, now, &d), d);
        assert_ok(dune_ref_device_stamp(c->dev[i].ref, p->generation, now, &d), d);
    }
}

static void unload(struct bmv2_chain *c, uint16_t generation)
{
    struct dune_diag d = {0};

    bmv2_flush(c);
    for (uint32_t i = 0; i < c->n; i++) {
        struct dune_counters got;

        bmv2_settle(c, i, &got);
        assert_ok(dune_bmv2_unload(c->dev[i].sw, generation, &d), d);
        assert_ok(dune_ref_device_unload(c->dev[i].ref, generation, &d), d);
    }
}

/* Three generations, two held at a time: flows keep the older one while they live, rules included. */
static void test_generations(void **state)
{
    (void)state;
    for (int rules = 0; rules < 2; rules++) {
        struct dune_chain_opts o = {.rules = rules};
        struct dune_plan *p[3];
        struct bmv2_chain c;
        struct random_traffic t;
        struct kit_frame f;

        for (int k = 0; k < 3; k++) {
            p[k] = plan_with_actions(2, k);
            p[k]->generation = (uint16_t)(k + 1);
            p[k]->sub[0].n = (uint8_t)(2 + k);
            p[k]->cls[0].min_confidence = k == 1 ? 105 : 0;
            p[k]->chain_mtu = k == 1 ? 55000 : 0;
        }
        p[2]->filter.n_protos = 1;
        p[2]->filter.proto = DUNE_NEW(uint8_t);
        p[2]->filter.proto[0] = 17;
        bmv2_open(&c, p[0], &o, rules ? "generations with rules" : "generations");
        random_traffic_init(&t, 21, 50);
        t.monotone = rules;
        for (int i = 0; i < 3000; i++) {
            uint64_t tick = random_tick(&t);

            if (i == 600 || i == 1500)
                load(&c, p[i == 600 ? 1 : 2], tick);
            if (i == 1400)
                unload(&c, 1);
            random_frame(&t, &f);
            bmv2_packet(&c, f.data, f.len, tick);
        }
        bmv2_close(&c);
        for (int k = 0; k < 3; k++)
            dune_plan_free(p[k]);
    }
}

/* --- defects of published data planes ------------------------------------------------------------------------- */

static uint64_t send_kit(struct bmv2_chain *c, const struct kit_packet *k, uint64_t tick, struct dune_shim *out)
{
    struct kit_frame f;
    uint64_t settled = c->settled;

    kit_make(&f, k);
    bmv2_packet(c, f.data, f.len, tick);
    *out = c->last;
    return c->settled - settled;
}

/* A sub-model per register that published programs got wrong, on two devices. */
static struct dune_plan *plan_of_registers(void)
{
    static const struct dune_plan_leaf leaf[] = {KIT_CLAIM(1, 10), KIT_CLAIM(2, 20), KIT_CLAIM(3, 30)};
    static const struct {
        int feat;
        uint32_t low, high;
    } sub[] = {{DUNE_F_LEN_MIN, 100, 200},         {DUNE_F_LEN_TOTAL, 65535, 131071},
               {DUNE_F_SYN_COUNT, 1, 2},           {DUNE_F_DURATION, 10, 5000000},
               {DUNE_F_GAP_MAX, 4194304, 8388608}, {DUNE_F_COUNT, 1, 2}};
    struct dune_plan *p = kit_plan(3, 2);

    for (uint32_t i = 0; i < DUNE_ARRAY_LEN(sub); i++) {
        uint32_t thr[] = {sub[i].low, sub[i].high};

        kit_sub(p, (uint8_t)(i + 1), i >= 3, 3, i % 2 ? DUNE_MODE_RUNNING : DUNE_MODE_PUBLISHED, sub[i].feat, 2,
                thr, leaf);
    }
    p->timeout = 10000000;
    fit(p, 4);
    return p;
}

/*
 * What is compared in every test of this file covers the list of known defects; here each gets the packets
 * that show it. The letters are those of tests/unit/targets/test_ref_defects.c.
 */
static void test_defects(void **state)
{
    struct dune_chain_opts o = {.rules = true};
    struct kit_packet a = {.src = 1, .dst = 2, .sport = 1000, .dport = 80, .tcp = true, .ip_len = 900};
    struct kit_packet b = {.src = 7, .dst = 9, .sport = 1001, .dport = 81, .tcp = true, .ip_len = 60000};
    struct dune_plan *p;
    struct bmv2_chain c;
    struct dune_shim v;
    uint64_t t = 0, settled = 0;

    (void)state;
    p = plan_of_registers();
    bmv2_open(&c, p, &o, "known defects");
    send_kit(&c, &a, t, &v); /* A1: unknown, no bytes of ours in it; A4: at tick 0 */
    assert_true(v.flags & DUNE_SHIM_FINAL && v.cls); /* B1, B2: packet level, whole chain */
    for (int i = 0; i < 300; i++) { /* A4, B3, B7, B12, B14, B15: more than 256 packets, window, rule, 16-bit sums */
        a.tcp_flags = 2;
        a.ip_len = (uint16_t)(i % 3 ? 65000 : 90); /* B5 */
        settled += send_kit(&c, &a, t += 3, &v);
    }
    assert_true(settled >= 297 && c.hits >= 290 && c.digests >= 1);
    for (int i = 0; i < 12; i++) { /* A5, A6, B8, B9: four slots, other flows; rules wipe nobody */
        b.src = (uint32_t)i;
        for (int k = 0; k < 5; k++)
            send_kit(&c, &b, t += 2, &v);
        send_kit(&c, &a, t += 2, &v);
        assert_true(v.flags & DUNE_SHIM_SETTLED);
    }
    t += 20000000; /* B13: a slot that is taken over starts from nothing; the rule is dead */
    a.tcp_flags = 0;
    for (int k = 0; k < 6; k++)
        send_kit(&c, &a, t += 5000000, &v);
    assert_true(v.flags & DUNE_SHIM_SETTLED);
    bmv2_close(&c);
    dune_plan_free(p);
}

/* --- captures --------------------------------------------------------------------------------------------------- */

static void shared(const char *set, uint64_t max)
{
    const char *root = shared_data(set);
    struct dune_paths paths = {0};
    struct dune_diag d = {0};
    struct bmv2_chain c;
    struct dune_plan *p;
    char path[1100];

    if (!root)
        return;
    snprintf(path, sizeof(path), "%s/test", root);
    assert_ok(dune_paths_add(&paths, path, &d), d);
    p = random_plan(502, 5, 3);
    fit(p, 4096);
    p->timeout = 58593750;
    bmv2_open(&c, p, NULL, set);
    for (size_t i = 0; i < paths.len && (max == 0 || i < 4); i++)
        bmv2_capture(&c, paths.data[i], max);
    assert_true(c.inferable > 100);
    bmv2_close(&c);
    dune_plan_free(p);
    dune_paths_fini(&paths);
}

static void test_aalto(void **state)
{
    (void)state;
    shared("aalto-iot-setup", 600);
}

static void test_ustc(void **state)
{
    (void)state;
    shared("ustc-malware", 600);
}

/* What a test that failed left behind is in no later one's way. */
static void test_own_namespace(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        bmv2_namespace();
        bmv2_link('a', 'p', 0);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_own_namespace),
    cmocka_unit_test(test_random_plans), cmocka_unit_test(test_wild_plans), cmocka_unit_test(test_all_features),
    cmocka_unit_test(test_actions),      cmocka_unit_test(test_hostile_shims),
    cmocka_unit_test(test_rules),        cmocka_unit_test(test_release),
    cmocka_unit_test(test_digest_rate),
    cmocka_unit_test(test_generations),  cmocka_unit_test(test_defects),
    cmocka_unit_test(test_aalto),        cmocka_unit_test(test_ustc),
};
static const struct CMUnitTest more_tests[] = {
    cmocka_unit_test(test_more_random_plans),
    cmocka_unit_test(test_wild_plans),
};

static const struct CMUnitTest wild_tests[] = {
    cmocka_unit_test(test_wild_plans),
};

/* --- a plan on captures ------------------------------------------------------------------------------------------ */

static int n_captures;
static char **captures;

static void run_captures(void **state)
{
    struct dune_paths paths = {0};
    struct dune_diag d = {0};
    struct dune_plan *p;
    struct bmv2_chain c;

    (void)state;
    assert_ok(dune_plan_read(&p, captures[0], &d), d);
    for (int i = 1; i < n_captures; i++)
        assert_ok(dune_paths_add(&paths, captures[i], &d), d);
    bmv2_open(&c, p, NULL, dune_path_base(captures[0]));
    for (size_t i = 0; i < paths.len; i++)
        bmv2_capture(&c, paths.data[i], 0);
    bmv2_new_capture(&c);
    random_packets(&c, p->generation, 60, 1500, false);
    bmv2_close(&c);
    dune_plan_free(p);
    dune_paths_fini(&paths);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest one[] = {cmocka_unit_test(run_captures)};

    if (bmv2_why_not()) {
        printf("1..0 # SKIP %s\n", bmv2_why_not());
        return 0;
    }
    cmocka_set_message_output(CM_OUTPUT_TAP);
    if (argc == 2 && strcmp(argv[1], "more") == 0) {
        wild_first = 5;
        wild_last = 16;
        return cmocka_run_group_tests(more_tests, NULL, NULL);
    }
    if (argc == 4 && strcmp(argv[1], "wild") == 0) {
        wild_first = strtoull(argv[2], NULL, 10);
        wild_last = strtoull(argv[3], NULL, 10);
        return cmocka_run_group_tests(wild_tests, NULL, NULL);
    }
    if (argc < 3) {
        if (argc == 2)
            cmocka_set_test_filter(argv[1]);
        return cmocka_run_group_tests(tests, NULL, NULL);
    }
    n_captures = argc - 1;
    captures = argv + 1;
    return cmocka_run_group_tests(one, NULL, NULL);
}
