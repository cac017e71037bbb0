/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "naive_features.h"

static void check(const struct naive_packet *q, size_t n, const struct dune_flow_regs *r)
{
    uint32_t v[DUNE_N_FEATURES];

    dune_feature_vector(&q[n - 1].p, r, v);
    for (int f = 0; f < DUNE_N_FEATURES; f++)
        if (v[f] != naive_feature(q, n, f))
            fail_msg("%s after packet %zu: %u, naive %u", dune_catalog[f].name, n, v[f],
                     naive_feature(q, n, f));
    dune_feature_vector(&q[n - 1].p, NULL, v);
    for (int f = 0; f < DUNE_N_FEATURES; f++)
        assert_true(v[f] == (f < DUNE_F_LEN_MIN ? naive_feature(q, n, f) : 0));
}

static struct naive_packet draw(struct dune_rng *rng, uint64_t tick, int kind)
{
    struct naive_packet q = {.tick = tick};
    struct dune_packet *p = &q.p;

    p->is_tcp = kind == 0 || (kind == 2 && dune_rng_below(rng, 2));
    p->proto = p->is_tcp ? 6 : 17;
    p->ip_len = (uint16_t)dune_rng_below(rng, dune_rng_below(rng, 4) ? 1500 : 65536);
    p->ttl = (uint8_t)dune_rng_below(rng, 256);
    p->tos = (uint8_t)dune_rng_below(rng, 256);
    p->ip_hdr_len = (uint8_t)(5 + dune_rng_below(rng, 11));
    p->srcport = (uint16_t)dune_rng_below(rng, 65536);
    p->dstport = (uint16_t)dune_rng_below(rng, 2048);
    if (p->is_tcp) {
        p->tcp_flags = (uint8_t)dune_rng_below(rng, 256);
        p->tcp_window = (uint16_t)dune_rng_below(rng, 65536);
        p->tcp_hdr_len = (uint8_t)(5 + dune_rng_below(rng, 11));
    } else {
        p->udp_length = (uint16_t)dune_rng_below(rng, dune_rng_below(rng, 4) ? 1500 : 2);
    }
    return q;
}

/* Random flows: TCP, UDP and (as after a hash collision) mixed; clocks jump, stand and run back. */
static void test_registers_match_naive(void **state)
{
    enum { FLOWS = 300, LEN = 24 };

    (void)state;
    for (int f = 0; f < FLOWS; f++) {
        struct naive_packet q[LEN];
        struct dune_flow_regs r = {0};
        struct dune_rng rng;
        uint64_t tick;

        dune_rng_init(&rng, 7, (uint64_t)f, 0, 0);
        tick = dune_rng_below(&rng, UINT64_C(1) << 50);
        for (size_t i = 0; i < LEN; i++) {
            static const uint64_t jump[] = {1, 1000, 1000000, UINT64_C(1) << 34};

            q[i] = draw(&rng, tick, f % 3);
            dune_flow_update(&r, &q[i].p, tick);
            check(q, i + 1, &r);
            tick += dune_rng_below(&rng, jump[dune_rng_below(&rng, 4)]);
            if (dune_rng_below(&rng, 5) == 0)
                tick -= dune_rng_below(&rng, DUNE_MIN(tick, 5000000) + 1);
        }
    }
}

/* Counters reach their widths and stay there. */
static void test_saturation(void **state)
{
    enum { LEN = 66000 };
    struct dune_flow_regs r = {0};
    struct dune_packet p = {.is_tcp = true, .ip_len = 65535, .tcp_flags = 0xff};
    uint32_t v[DUNE_N_FEATURES];

    (void)state;
    for (int i = 0; i < LEN; i++)
        dune_flow_update(&r, &p, (uint64_t)i << 33);
    dune_feature_vector(&p, &r, v);
    assert_true(r.count == LEN);
    assert_int_equal(v[DUNE_F_COUNT], 65535);
    assert_int_equal(v[DUNE_F_SYN_COUNT], 255);
    assert_int_equal(v[DUNE_F_CWR_COUNT], 255);
    assert_true(v[DUNE_F_LEN_TOTAL] == UINT32_MAX);
    assert_true(v[DUNE_F_GAP_MIN] == UINT32_MAX);
    assert_true(v[DUNE_F_DURATION] == UINT32_MAX);
    assert_int_equal(v[DUNE_F_UDP_MIN], 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_registers_match_naive),
    cmocka_unit_test(test_saturation),
};
RUN_TESTS(tests)
