/* SPDX-License-Identifier: Apache-2.0 */
/* The parser against hand-made frames: every reason, every limit, every length of every frame. */
#include "testing.h"

#include "dune/packet.h"

struct frame {
    uint8_t b[512];
    size_t len;
};

static void put(struct frame *f, const void *p, size_t n)
{
    memcpy(f->b + f->len, p, n);
    f->len += n;
}

static void put16(struct frame *f, unsigned v)
{
    uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};

    put(f, b, 2);
}

static void eth(struct frame *f, unsigned type)
{
    f->len = 0;
    put(f, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02", 12);
    put16(f, type);
}

/* A tag: replaces the last type by tpid and continues with type. */
static void vlan(struct frame *f, unsigned tpid, unsigned type)
{
    f->len -= 2;
    put16(f, tpid);
    put16(f, 0x2064);
    put16(f, type);
}

static void ipv4(struct frame *f, unsigned ihl, unsigned frag, unsigned proto)
{
    uint8_t h[60] = {(uint8_t)(0x40 | ihl), 0xb9, 0x12, 0x34, 0, 0, (uint8_t)(frag >> 8), (uint8_t)frag,
                     57, (uint8_t)proto, 0, 0, 10, 1, 2, 3, 192, 168, 4, 5};

    put(f, h, ihl < 5 ? 20 : ihl * 4);
}

static void ipv6(struct frame *f, unsigned payload, unsigned next)
{
    uint8_t h[40] = {0x6b, 0x90, 0, 0, (uint8_t)(payload >> 8), (uint8_t)payload, (uint8_t)next, 63};

    for (int i = 8; i < 40; i++)
        h[i] = (uint8_t)i;
    put(f, h, 40);
}

static void ext(struct frame *f, unsigned next, unsigned len_field, unsigned bytes)
{
    uint8_t h[256] = {(uint8_t)next, (uint8_t)len_field};

    put(f, h, bytes);
}

static void tcp(struct frame *f, unsigned offset)
{
    uint8_t h[20] = {0x30, 0x39, 0x01, 0xbb, 1, 2, 3, 4, 5, 6, 7, 8, (uint8_t)(offset << 4), 0xd2,
                     0xab, 0xcd};

    put(f, h, 20);
}

static void udp(struct frame *f)
{
    put(f, "\x14\xe9\x00\x35\x01\x23\x00\x00", 8);
}

static struct dune_packet pkt;

static enum dune_reason run_with(const struct frame *f, const struct dune_parser_limits *lim)
{
    uint8_t *copy = malloc(f->len ? f->len : 1); /* exact size: the sanitizer sees every overread */
    enum dune_reason r;

    memcpy(copy, f->b, f->len);
    r = dune_packet_parse(&pkt, copy, f->len, lim, DUNE_ETHERTYPE_SHIM_DEFAULT);
    assert_int_equal(r, pkt.reason);
    free(copy);
    return r;
}

static enum dune_reason run(const struct frame *f)
{
    return run_with(f, &dune_parser_limits_default);
}

#define assert_reason(r, name) assert_string_equal(dune_reason_name(r), name)

static void test_tcp4(void **state)
{
    struct frame f;

    (void)state;
    eth(&f, 0x0800);
    ipv4(&f, 5, 0x4000, 6);
    tcp(&f, 8);
    assert_reason(run(&f), "ok");
    assert_int_equal(pkt.n_vlan, 0);
    assert_int_equal(pkt.l2_len, 14);
    assert_int_equal(pkt.l3_off, 14);
    assert_int_equal(pkt.l4_off, 34);
    assert_false(pkt.is_ipv6);
    assert_true(pkt.is_tcp);
    assert_int_equal(pkt.ip_len, 0x1234); /* taken as it is, whatever was captured */
    assert_int_equal(pkt.ttl, 57);
    assert_int_equal(pkt.tos, 0xb9);
    assert_int_equal(pkt.proto, 6);
    assert_int_equal(pkt.ip_hdr_len, 5);
    assert_int_equal(pkt.srcport, 12345);
    assert_int_equal(pkt.dstport, 443);
    assert_int_equal(pkt.tcp_flags, 0xd2);
    assert_int_equal(pkt.tcp_window, 0xabcd);
    assert_int_equal(pkt.tcp_hdr_len, 8);
    assert_int_equal(pkt.udp_length, 0);
    assert_int_equal(pkt.key.len, 13);
    assert_memory_equal(pkt.key.bytes, "\x0a\x01\x02\x03\xc0\xa8\x04\x05\x30\x39\x01\xbb\x06", 13);
    f.len = 14 + 20 + 16;
    assert_reason(run(&f), "ok"); /* 16 bytes of TCP are enough */
    f.len--;
    assert_reason(run(&f), "short_l4");
}

static void test_udp6(void **state)
{
    struct frame f;

    (void)state;
    eth(&f, 0x86dd);
    ipv6(&f, 0x0123, 17);
    udp(&f);
    assert_reason(run(&f), "ok");
    assert_true(pkt.is_ipv6);
    assert_false(pkt.is_tcp);
    assert_int_equal(pkt.ip_len, 40 + 0x0123);
    assert_int_equal(pkt.tos, 0xb9);
    assert_int_equal(pkt.ttl, 63);
    assert_int_equal(pkt.proto, 17);
    assert_int_equal(pkt.ip_hdr_len, 10);
    assert_int_equal(pkt.srcport, 5353);
    assert_int_equal(pkt.dstport, 53);
    assert_int_equal(pkt.udp_length, 0x0123);
    assert_int_equal(pkt.tcp_flags | pkt.tcp_window | pkt.tcp_hdr_len, 0);
    assert_int_equal(pkt.key.len, 37);
    assert_int_equal(pkt.key.bytes[0], 8);
    assert_int_equal(pkt.key.bytes[31], 39);
    assert_memory_equal(pkt.key.bytes + 32, "\x14\xe9\x00\x35\x11", 5);
    f.b[18] = 0xff; /* payload length 0xff23 + 40 does not fit 16 bits */
    assert_reason(run(&f), "ok");
    f.b[19] = 0xf0;
    assert_reason(run(&f), "ok");
    assert_int_equal(pkt.ip_len, 65535);
}

static void test_vlan_tags(void **state)
{
    struct dune_parser_limits one = dune_parser_limits_default;
    struct frame f;

    (void)state;
    eth(&f, 0x0800);
    vlan(&f, 0x88a8, 0x0800);
    vlan(&f, 0x8100, 0x0800);
    ipv4(&f, 5, 0, 17);
    udp(&f);
    assert_reason(run(&f), "ok");
    assert_int_equal(pkt.n_vlan, 2);
    assert_int_equal(pkt.l2_len, 22);
    one.max_vlan = 1;
    assert_reason(run_with(&f, &one), "vlan_depth");
    one.max_vlan = 0;
    assert_reason(run_with(&f, &one), "vlan_depth");
    eth(&f, 0x8100);
    assert_reason(run(&f), "short_l2");
    vlan(&f, 0x8100, 0x8100);
    vlan(&f, 0x8100, 0x8100);
    assert_reason(run(&f), "vlan_depth"); /* a third tag, captured or not */
    eth(&f, 0x9100);
    assert_reason(run(&f), "not_ip");
}

static void test_not_ip_and_shim(void **state)
{
    struct dune_parser_limits v4 = dune_parser_limits_default;
    struct frame f;

    (void)state;
    eth(&f, 0x0806);
    assert_reason(run(&f), "not_ip");
    eth(&f, 0x88b5);
    assert_reason(run(&f), "shim_inside");
    vlan(&f, 0x8100, 0x88b5);
    assert_reason(run(&f), "shim_inside");
    assert_reason(dune_packet_parse(&pkt, f.b, f.len, &v4, 0), "not_ip");
    eth(&f, 0x86dd);
    ipv6(&f, 8, 17);
    udp(&f);
    v4.ipv6 = false;
    assert_reason(run_with(&f, &v4), "not_ip");
}

static void test_ipv4_limits(void **state)
{
    struct dune_parser_limits lim = dune_parser_limits_default;
    struct frame f;

    (void)state;
    eth(&f, 0x0800);
    ipv4(&f, 15, 0, 6);
    tcp(&f, 5);
    assert_reason(run(&f), "ok");
    assert_int_equal(pkt.ip_hdr_len, 15);
    lim.max_ipv4_options = 36;
    assert_reason(run_with(&f, &lim), "options");
    f.len = 14 + 59;
    assert_reason(run(&f), "short_l3");
    f.len = 14 + 19;
    assert_reason(run(&f), "short_l3");
    eth(&f, 0x0800);
    ipv4(&f, 4, 0, 6);
    assert_reason(run(&f), "bad_ihl");
    f.b[14] = 0x65;
    assert_reason(run(&f), "bad_version");
    eth(&f, 0x0800);
    ipv4(&f, 5, 0x2001, 17);
    udp(&f);
    assert_reason(run(&f), "fragment");
    eth(&f, 0x0800);
    ipv4(&f, 5, 0x2000, 17); /* the first fragment of several */
    udp(&f);
    assert_reason(run(&f), "ok");
    eth(&f, 0x0800);
    ipv4(&f, 5, 0, 1);
    assert_reason(run(&f), "not_tcp_udp");
}

static void test_ipv6_extensions(void **state)
{
    struct dune_parser_limits lim = dune_parser_limits_default;
    struct frame f;

    (void)state;
    eth(&f, 0x86dd);
    ipv6(&f, 100, 0);
    ext(&f, 60, 0, 8);
    ext(&f, 17, 7, 64);
    udp(&f);
    assert_reason(run(&f), "ok");
    assert_int_equal(pkt.proto, 17);
    assert_int_equal(pkt.l4_off, 14 + 40 + 8 + 64);
    lim.max_ipv6_ext_len = 56;
    assert_reason(run_with(&f, &lim), "ext_headers");
    lim.max_ipv6_ext_len = 64;
    lim.max_ipv6_ext = 1;
    assert_reason(run_with(&f, &lim), "ext_headers");
    f.len = 14 + 40 + 7;
    assert_reason(run(&f), "short_l3");
    f.len = 14 + 40 + 8 + 63;
    assert_reason(run(&f), "short_l3");

    eth(&f, 0x86dd);
    ipv6(&f, 100, 43);
    ext(&f, 17, 8, 72);
    udp(&f);
    assert_reason(run(&f), "ext_headers"); /* 72 bytes */

    eth(&f, 0x86dd);
    ipv6(&f, 100, 51);
    ext(&f, 6, 4, 24); /* authentication counts in 4 bytes, less 2 */
    tcp(&f, 5);
    assert_reason(run(&f), "ok");
    assert_int_equal(pkt.l4_off, 14 + 40 + 24);

    eth(&f, 0x86dd);
    ipv6(&f, 100, 0);
    ext(&f, 43, 0, 8);
    ext(&f, 60, 0, 8);
    assert_reason(run(&f), "ext_headers"); /* the third need not be captured */
}

static void test_ipv6_fragments(void **state)
{
    struct frame f;

    (void)state;
    eth(&f, 0x86dd);
    ipv6(&f, 100, 44);
    ext(&f, 17, 0xff, 8); /* the second byte of a fragment header is reserved */
    udp(&f);
    assert_reason(run(&f), "ok");
    f.b[14 + 40 + 3] = 0x01; /* more fragments, offset 0 */
    assert_reason(run(&f), "ok");
    f.b[14 + 40 + 3] = 0x08;
    assert_reason(run(&f), "fragment");
    eth(&f, 0x86dd);
    ipv6(&f, 100, 50);
    assert_reason(run(&f), "not_tcp_udp");
    eth(&f, 0x86dd);
    ipv6(&f, 100, 17);
    f.b[14] = 0x45;
    assert_reason(run(&f), "bad_version");
}

static void test_data_offset(void **state)
{
    struct frame f;

    (void)state;
    eth(&f, 0x0800);
    ipv4(&f, 5, 0, 6);
    tcp(&f, 4);
    assert_reason(run(&f), "bad_data_offset");
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(dune_reason_name(DUNE_REASON_OK), "ok");
    assert_string_equal(dune_reason_name(DUNE_N_REASONS), "?");
    assert_string_equal(dune_reason_text((enum dune_reason)-1), "?");
    assert_string_equal(dune_reason_text(DUNE_REASON_FRAGMENT), "not the first fragment");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_tcp4),           cmocka_unit_test(test_udp6),
    cmocka_unit_test(test_vlan_tags),      cmocka_unit_test(test_not_ip_and_shim),
    cmocka_unit_test(test_ipv4_limits),    cmocka_unit_test(test_ipv6_extensions),
    cmocka_unit_test(test_ipv6_fragments), cmocka_unit_test(test_data_offset),
    cmocka_unit_test(test_names),
};
RUN_TESTS(tests)
