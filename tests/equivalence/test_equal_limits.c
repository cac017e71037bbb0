/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bad input, both engines side by side: full tables, one flow that floods, crafted tuples that all hash
 * to one bucket, time going backwards, 64 KiB packets, 10,000 VLAN tags, empty packets.
 */
#include "equivalence/equal_kit.h"

struct lot { /* a burst to be filled */
    struct equal *e;
    struct kit_frame f[DUNE_BURST_MAX];
    struct dune_chain_packet pkt[DUNE_BURST_MAX];
    unsigned n;
};

static void flush(struct lot *l)
{
    equal_burst(l->e, l->pkt, l->n, true);
    l->n = 0;
}

static void push(struct lot *l, const struct kit_packet *k, uint64_t tick)
{
    kit_make(&l->f[l->n], k);
    l->pkt[l->n] = (struct dune_chain_packet){l->f[l->n].data, l->f[l->n].len, l->f[l->n].len, tick};
    if (++l->n == DUNE_BURST_MAX)
        flush(l);
}

/* Sub-models of running mode on every device, so that all keep state. */
static struct dune_plan *plan_of(uint64_t seed, enum dune_hash_kind hash)
{
    struct dune_plan *p = random_plan(seed, 3, 2);

    p->hash = hash;
    for (uint32_t k = 0; k < p->n_submodels; k++)
        p->sub[k].mode = DUNE_MODE_RUNNING;
    p->timeout = 1000;
    return p;
}

static struct lot *open_lot(struct equal *e, const struct dune_plan *p, const struct dune_chain_opts *o,
                            const char *what)
{
    struct lot *l = DUNE_NEW(struct lot);

    equal_open(e, p, o, false, what, 0);
    l->e = e;
    return l;
}

static void close_lot(struct lot *l)
{
    flush(l);
    equal_close(l->e);
    dune_mem_free(l);
}

/* Far more flows than slots: all that find none are counted, and the table stays what it was. */
static void test_full_table(void **state)
{
    for (uint32_t ways = 1; ways <= 8; ways++) {
        struct dune_plan *p = plan_of(ways, ways % 2 ? DUNE_HASH_CRC : DUNE_HASH_SIPHASH);
        struct dune_chain_opts o = {.slots = 8, .ways = ways};
        struct equal e;
        struct lot *l = open_lot(&e, p, &o, "full table");

        for (uint32_t i = 0; i < 4000; i++)
            push(l, &(struct kit_packet){.src = i % 1000, .dst = 1, .sport = 1, .dport = 2, .tcp = i % 2},
                 100 + i / 100);
        flush(l);
        assert_true(e.collided > 4000 - 2 * 8 * ways * 5);
        assert_int_equal(kit_count(e.fast, 0).slot_new, 8 * ways);
        close_lot(l);
        dune_plan_free(p);
    }
    (void)state;
}

/* Connections that are never answered fill the table, among flows that go on: the flood gives way, the others stay. */
static void test_syn_flood(void **state)
{
    uint64_t taken = 0, lost = 0;

    for (uint32_t ways = 1; ways <= 8; ways++) {
        struct dune_plan *p = plan_of(ways + 20, ways % 2 ? DUNE_HASH_CRC : DUNE_HASH_SIPHASH);
        struct dune_chain_opts o = {.slots = 8, .ways = ways};
        struct equal e;
        struct lot *l;

        p->syn_timeout = 100;
        l = open_lot(&e, p, &o, "SYN flood");
        for (uint32_t i = 0; i < 6000; i++) {
            uint32_t k = i % 4 ? 1000 + i / 2 : i % 80; /* every SYN comes twice; some flows are answered now and then */
            uint8_t flags = i % 4 ? DUNE_TCP_SYN : i / 80 % 3 ? DUNE_TCP_ACK : DUNE_TCP_SYN;

            push(l, &(struct kit_packet){.src = k, .dst = 1, .sport = 1, .dport = 2, .tcp = k % 16 != 1,
                                         .tcp_flags = flags}, 100 + i);
        }
        flush(l);
        taken += kit_count(e.fast, 0).slot_expired;
        lost += kit_count(e.fast, 0).collisions;
        close_lot(l);
        dune_plan_free(p);
    }
    assert_true(taken > 2000 && lost > 1000);
    (void)state;
}

static void test_flooding_flow(void **state)
{
    struct dune_plan *p = plan_of(3, DUNE_HASH_SIPHASH);
    struct equal e;
    struct lot *l = open_lot(&e, p, NULL, "flooding flow");
    uint32_t n = equal_engine == &dune_engine_fast ? 80000 : 10000; /* a system call each */

    for (uint32_t i = 0; i < n; i++)
        push(l, &(struct kit_packet){.src = i % 50 ? 7 : i, .dst = 1, .sport = 9, .dport = 53,
                                     .ip_len = (uint16_t)(28 + i % 60000)}, 1000 + i);
    close_lot(l);
    dune_plan_free(p);
    (void)state;
}

/* Tuples found by trying: all with the bucket of the first one. */
static void test_hash_flood(void **state)
{
    for (int kind = 0; kind < 2; kind++) {
        struct dune_plan *p = plan_of(5, kind ? DUNE_HASH_CRC : DUNE_HASH_SIPHASH);
        struct dune_chain_opts o = {.slots = 256, .ways = kind ? 1 : 8};
        struct equal e;
        struct lot *l = open_lot(&e, p, &o, "hash flood");
        uint32_t found = 0;

        for (uint32_t i = 0; found < 600; i++) {
            struct kit_packet k = {.src = i, .dst = 1, .sport = 4, .dport = 2, .tcp = true};
            struct kit_frame f;
            struct dune_packet pkt;
            uint32_t index, id;

            kit_make(&f, &k);
            dune_packet_parse(&pkt, f.data, f.len, &p->parser, 0);
            dune_flow_slot(p, 256, &pkt.key, &index, &id);
            if (index != 3)
                continue;
            found++;
            for (uint64_t tick = 1; tick < 1200; tick += 400)
                push(l, &k, found * 20 + tick);
        }
        flush(l);
        assert_true(e.collided > 0);
        close_lot(l);
        dune_plan_free(p);
    }
    (void)state;
}

static void test_time_backwards(void **state)
{
    static const uint64_t base[] = {0, 5, 1000000, UINT64_MAX / 2, UINT64_MAX - 100000};

    for (size_t b = 0; b < DUNE_ARRAY_LEN(base); b++) {
        struct dune_plan *p = plan_of(b, DUNE_HASH_CRC);
        struct dune_chain_opts o = {.slots = 16, .ways = 1 + (uint32_t)b};
        struct equal e;
        struct lot *l;
        struct dune_rng r;

        p->timeout = b % 2 ? 1000 : UINT64_MAX / 3;
        l = open_lot(&e, p, &o, "time backwards");
        dune_rng_init(&r, b, 1, 2, 3);
        for (uint32_t i = 0; i < 6000; i++) {
            uint64_t jump = dune_rng_below(&r, 40) ? dune_rng_below(&r, 3000) : dune_rng_u64(&r);

            push(l, &(struct kit_packet){.src = (uint32_t)dune_rng_below(&r, 60), .dst = 2, .dport = 5,
                                         .sport = 5, .tcp = i % 2, .tcp_flags = (uint8_t)i},
                 base[b] + jump);
        }
        close_lot(l);
        dune_plan_free(p);
    }
    (void)state;
}

/* Frames larger than any link carries, with the lengths of their headers. */
static void test_giants(void **state)
{
    enum { VLAN_TAGS = 10000, SIZE = 4 * VLAN_TAGS + 70000 };
    struct dune_plan *p = plan_of(8, DUNE_HASH_SIPHASH);
    struct dune_chain_opts o = {.keep_shim = true};
    uint8_t *big = DUNE_NEW_N(uint8_t, SIZE);
    struct equal e;
    struct kit_frame f;

    equal_open(&e, p, &o, true, "giants", 0);
    for (uint64_t tick = 1; tick < 6; tick++) {
        struct dune_chain_packet pkt[5] = {
            {big, 65536 + 14, 65536 + 14, tick}, {big, 65535, UINT32_MAX, tick},
            {big, 0, 0, tick}, {NULL, 0, 1500, tick}, {big + 65536, SIZE - 65536, SIZE - 65536, tick}};

        kit_make(&f, &(struct kit_packet){.src = 1, .dst = 2, .sport = 3, .dport = 4, .ip_len = 65535,
                                          .tcp = tick % 2, .ipv6 = tick % 3 == 0});
        memcpy(big, f.data, f.len);
        memset(big + 65536, 0x81, 12);
        for (uint32_t i = 0; i < VLAN_TAGS; i++)
            memcpy(big + 65536 + 12 + 4 * i, "\x81\x00\x00\x01", 4);
        equal_burst(&e, pkt, 5, true);
    }
    assert_int_equal(kit_count(e.fast, 0).not_inferable[DUNE_REASON_VLAN_DEPTH], 5);
    equal_close(&e);
    dune_mem_free(big);
    dune_plan_free(p);
    (void)state;
}

/* What an engine refuses, it says. */
static void test_refusals(void **state)
{
    struct dune_plan *p = plan_of(9, DUNE_HASH_CRC);
    struct dune_chain *c = NULL;
    struct dune_chain_opts odd = {.slots = 12}, wide = {.ways = 9};
    struct dune_chain_packet pkt[DUNE_BURST_MAX + 1];
    struct dune_verdict v[DUNE_BURST_MAX + 1];
    struct dune_diag d = {0};

    memset(pkt, 0, sizeof(pkt));
    assert_int_equal(equal_engine->open(&c, p, &odd, &d), DUNE_E_USAGE);
    assert_int_equal(equal_engine->open(&c, p, &wide, &d), DUNE_E_USAGE);
    p->claim = DUNE_CLAIM_VOTES;
    d = (struct dune_diag){0};
    assert_int_equal(equal_engine->open(&c, p, NULL, &d), DUNE_E_INPUT);
    assert_non_null(strstr(d.msg, "votes"));
    p->claim = DUNE_CLAIM_BEST;
    assert_null(c);
    assert_int_equal(equal_engine->open(&c, p, NULL, &d), 0);
    assert_int_equal(c->ops->burst(c, pkt, DUNE_BURST_MAX + 1, v, NULL, &d), DUNE_E_USAGE);
    assert_ptr_equal(dune_engine_find(equal_engine->name), c->ops);
    kit_close(c, p->n_devices);
    dune_plan_free(p);
    (void)state;
}

/* An argument names the engine: fast (default) or xdp. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_table),    cmocka_unit_test(test_syn_flood), cmocka_unit_test(test_flooding_flow),
        cmocka_unit_test(test_hash_flood),    cmocka_unit_test(test_time_backwards),
        cmocka_unit_test(test_giants),        cmocka_unit_test(test_refusals),
    };

    if (argc > 1 && !equal_with(argv[1]))
        return 0;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
