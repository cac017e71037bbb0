/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser against a second one that is written as plainly as possible: a byte that was not captured
 * reads as -1, and the first -1 that matters decides.
 */
#include "testing.h"

#include "dune/packet.h"
#include "frames.h"

struct naive {
    const uint8_t *b;
    size_t len;
};

static int byte(const struct naive *n, size_t at)
{
    return at < n->len ? n->b[at] : -1;
}

static int word(const struct naive *n, size_t at)
{
    return at + 1 < n->len ? n->b[at] * 256 + n->b[at + 1] : -1;
}

static void copy(const struct naive *n, uint8_t *to, size_t at, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (uint8_t)byte(n, at + i);
}

static const char *naive_l4(const struct naive *n, size_t at, int proto, struct dune_packet *p)
{
    size_t tail = p->is_ipv6 ? 32 : 8;

    p->l4_off = (uint16_t)at;
    p->proto = (uint8_t)proto;
    if (proto == 6) {
        if (byte(n, at + 15) < 0)
            return "short_l4";
        p->is_tcp = true;
        p->tcp_hdr_len = (uint8_t)(byte(n, at + 12) / 16);
        p->tcp_flags = (uint8_t)byte(n, at + 13);
        p->tcp_window = (uint16_t)word(n, at + 14);
        if (p->tcp_hdr_len < 5)
            return "bad_data_offset";
    } else if (proto == 17) {
        if (byte(n, at + 7) < 0)
            return "short_l4";
        p->udp_length = (uint16_t)word(n, at + 4);
    } else {
        return "not_tcp_udp";
    }
    p->srcport = (uint16_t)word(n, at);
    p->dstport = (uint16_t)word(n, at + 2);
    copy(n, p->key.bytes + tail, at, 4);
    p->key.bytes[tail + 4] = (uint8_t)proto;
    return "ok";
}

static const char *naive_ipv4(const struct naive *n, size_t at, const struct dune_parser_limits *lim,
                              struct dune_packet *p)
{
    int ihl = byte(n, at) % 16;

    if (byte(n, at + 19) < 0)
        return "short_l3";
    if (byte(n, at) / 16 != 4)
        return "bad_version";
    if (ihl < 5)
        return "bad_ihl";
    if (ihl * 4 > 20 + lim->max_ipv4_options)
        return "options";
    if (byte(n, at + (size_t)ihl * 4 - 1) < 0)
        return "short_l3";
    if (word(n, at + 6) % 0x2000 != 0)
        return "fragment";
    p->ip_len = (uint16_t)word(n, at + 2);
    p->tos = (uint8_t)byte(n, at + 1);
    p->ttl = (uint8_t)byte(n, at + 8);
    p->ip_hdr_len = (uint8_t)ihl;
    p->key.len = 13;
    copy(n, p->key.bytes, at + 12, 8);
    return naive_l4(n, at + (size_t)ihl * 4, byte(n, at + 9), p);
}

static const char *naive_ipv6(const struct naive *n, size_t at, const struct dune_parser_limits *lim,
                              struct dune_packet *p)
{
    int next = byte(n, at + 6), len = word(n, at + 4) + 40;
    size_t e = at + 40;

    if (byte(n, at + 39) < 0)
        return "short_l3";
    if (byte(n, at) / 16 != 6)
        return "bad_version";
    for (int k = 0; next == 0 || next == 43 || next == 44 || next == 51 || next == 60; k++) {
        int size;

        if (k == lim->max_ipv6_ext)
            return "ext_headers";
        if (byte(n, e + 7) < 0)
            return "short_l3";
        size = next == 44 ? 8 : next == 51 ? 8 + 4 * byte(n, e + 1) : 8 + 8 * byte(n, e + 1);
        if (size > lim->max_ipv6_ext_len)
            return "ext_headers";
        if (byte(n, e + (size_t)size - 1) < 0)
            return "short_l3";
        if (next == 44 && word(n, e + 2) / 8 != 0)
            return "fragment";
        next = byte(n, e);
        e += (size_t)size;
    }
    p->is_ipv6 = true;
    p->ip_len = (uint16_t)(len > 65535 ? 65535 : len);
    p->tos = (uint8_t)(byte(n, at) % 16 * 16 + byte(n, at + 1) / 16);
    p->ttl = (uint8_t)byte(n, at + 7);
    p->ip_hdr_len = 10;
    p->key.len = 37;
    copy(n, p->key.bytes, at + 8, 32);
    return naive_l4(n, e, next, p);
}

static const char *naive_parse(const struct naive *n, const struct dune_parser_limits *lim, int shim,
                               struct dune_packet *p)
{
    size_t at = 12;

    while (word(n, at) == 0x8100 || word(n, at) == 0x88a8) {
        if (p->n_vlan == lim->max_vlan)
            return "vlan_depth";
        p->n_vlan++;
        at += 4;
    }
    if (word(n, at) < 0)
        return "short_l2";
    p->l2_len = p->l3_off = (uint16_t)(at + 2);
    if (shim != 0 && word(n, at) == shim)
        return "shim_inside";
    if (word(n, at) == 0x0800)
        return naive_ipv4(n, at + 2, lim, p);
    if (word(n, at) == 0x86dd && lim->ipv6)
        return naive_ipv6(n, at + 2, lim, p);
    return "not_ip";
}

static void compare(const uint8_t *frame, size_t len, const struct dune_parser_limits *lim, int shim)
{
    uint8_t *exact = malloc(len ? len : 1);
    struct naive n = {exact, len};
    struct dune_packet a, b = {0};
    const char *reason;

    memcpy(exact, frame, len);
    dune_packet_parse(&a, exact, len, lim, (uint16_t)shim);
    reason = naive_parse(&n, lim, shim, &b);
    assert_string_equal(dune_reason_name(a.reason), reason);
    if (a.reason == DUNE_REASON_OK) {
        assert_int_equal(a.n_vlan, b.n_vlan);
        assert_int_equal(a.l2_len, b.l2_len);
        assert_int_equal(a.l3_off, b.l3_off);
        assert_int_equal(a.l4_off, b.l4_off);
        assert_int_equal(a.is_ipv6, b.is_ipv6);
        assert_int_equal(a.is_tcp, b.is_tcp);
        assert_int_equal(a.ip_len, b.ip_len);
        assert_int_equal(a.ttl, b.ttl);
        assert_int_equal(a.tos, b.tos);
        assert_int_equal(a.proto, b.proto);
        assert_int_equal(a.ip_hdr_len, b.ip_hdr_len);
        assert_int_equal(a.srcport, b.srcport);
        assert_int_equal(a.dstport, b.dstport);
        assert_int_equal(a.tcp_flags, b.tcp_flags);
        assert_int_equal(a.tcp_window, b.tcp_window);
        assert_int_equal(a.tcp_hdr_len, b.tcp_hdr_len);
        assert_int_equal(a.udp_length, b.udp_length);
        assert_int_equal(a.key.len, b.key.len);
        assert_memory_equal(a.key.bytes, b.key.bytes, sizeof(a.key.bytes));
        assert_true(dune_flow_key_equal(&a.key, &b.key));
    }
    free(exact);
}

static struct dune_parser_limits random_limits(struct dune_rng *r)
{
    struct dune_parser_limits lim = dune_parser_limits_default;

    if (dune_rng_below(r, 2))
        return lim;
    lim.max_vlan = (uint8_t)dune_rng_below(r, 3);
    lim.max_ipv4_options = (uint8_t)(4 * dune_rng_below(r, 11));
    lim.max_ipv6_ext = (uint8_t)dune_rng_below(r, 3);
    lim.max_ipv6_ext_len = (uint8_t)(8 * dune_rng_below(r, 9));
    lim.ipv6 = dune_rng_below(r, 4) != 0;
    return lim;
}

static void test_structured(void **state)
{
    unsigned seen[DUNE_N_REASONS] = {0};
    struct dune_rng r;
    struct frame f;

    (void)state;
    dune_rng_init(&r, 1, 0, 0, 0);
    for (int i = 0; i < 200000; i++) {
        struct dune_parser_limits lim = random_limits(&r);
        int shim = dune_rng_below(&r, 20) ? 0x88b5 : 0x0800;
        struct dune_packet p;

        frame_make(&f, &r, 4, 3, true);
        for (uint64_t k = dune_rng_below(&r, 8); k > 5; k--) /* some bytes of the headers change */
            f.b[dune_rng_below(&r, DUNE_MIN(f.len, 80))] = (uint8_t)dune_rng_u64(&r);
        if (dune_rng_below(&r, 4) == 0)
            f.len = dune_rng_below(&r, f.len + 1);
        compare(f.b, f.len, &lim, shim);
        seen[dune_packet_parse(&p, f.b, f.len, &lim, (uint16_t)shim)]++;
    }
    for (int k = 0; k < DUNE_N_REASONS; k++)
        if (seen[k] < 50)
            fail_msg("reason %s came up only %u times", dune_reason_name((enum dune_reason)k), seen[k]);
}

static void test_noise(void **state)
{
    struct dune_rng r;
    struct frame f;

    (void)state;
    dune_rng_init(&r, 2, 0, 0, 0);
    for (int i = 0; i < 100000; i++) {
        struct dune_parser_limits lim = random_limits(&r);

        f.len = 0;
        frame_noise(&f, &r, dune_rng_below(&r, 200));
        if (f.len > 14 && dune_rng_below(&r, 4)) {
            unsigned type = FRAME_PICK(&r, 0x0800, 0x86dd, 0x8100, 0x88a8, 0x88b5);

            f.b[12] = (uint8_t)(type >> 8);
            f.b[13] = (uint8_t)type;
        }
        compare(f.b, f.len, &lim, 0x88b5);
    }
}

/* A frame cut at every length says the same as the naive parser. */
static void test_every_cut(void **state)
{
    struct dune_rng r;
    struct frame f;

    (void)state;
    dune_rng_init(&r, 3, 0, 0, 0);
    for (int i = 0; i < 300; i++) {
        frame_make(&f, &r, 3, 3, false);
        for (size_t len = 0; len <= f.len; len++)
            compare(f.b, len, &dune_parser_limits_default, 0x88b5);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_structured),
    cmocka_unit_test(test_noise),
    cmocka_unit_test(test_every_cut),
};
RUN_TESTS(tests)
