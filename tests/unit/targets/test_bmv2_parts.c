/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the bmv2 target that need no switch: calls against a scripted answer, digests. */
#include "targets/bmv2/bmv2_int.h"

#include <sys/socket.h>
#include <unistd.h>

#include "testing.h"

struct line {
    struct bmv2_rpc *r;
    int far;
};

static void line_open(struct line *l)
{
    int fd[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    l->r = DUNE_NEW(struct bmv2_rpc);
    l->r->fd = fd[0];
    l->r->port = 9;
    l->far = fd[1];
}

static void line_close(struct line *l)
{
    bmv2_rpc_close(l->r);
    close(l->far);
}

static void say(struct line *l, const void *data, size_t n)
{
    assert_int_equal(send(l->far, data, n, 0), (ssize_t)n);
}

#define SAY(l, text) say(l, text, sizeof(text) - 1)
#define HEAD(kind, seq) "\x80\x01\x00" kind "\x00\x00\x00\x01x\x00\x00\x00" seq

/* The bytes of a call, as the switch's own client would send them. */
static void test_call(void **state)
{
    static const char want[] =
        "\x80\x01\x00\x01\x00\x00\x00\x20simple_switch:get_time_elapsed_us\x00\x00\x00\x01\x00";
    struct line l;
    struct dune_diag d = {0};
    char got[128];
    uint64_t us = 0;

    (void)state;
    line_open(&l);
    SAY(&l, HEAD("\x02", "\x01") "\x0a\x00\x00\x00\x00\x00\x00\x00\x0f\x42\x40\x00");
    assert_ok(bmv2_elapsed_us(l.r, &us, &d), d);
    assert_int_equal(us, 1000000);
    assert_int_equal(recv(l.far, got, sizeof(got), 0), 8 + 33 + 5);
    assert_memory_equal(got, want, 7);
    assert_memory_equal(got + 8, want + 8, 33 + 5);
    assert_int_equal(got[7], 33);
    line_close(&l);
}

static void test_answers(void **state)
{
    struct line l;
    struct dune_diag d = {0};
    uint64_t v = 0;

    (void)state;
    line_open(&l);
    SAY(&l, HEAD("\x02", "\x01") "\x0c\x00\x00\x0a\x00\x01\x00\x00\x00\x00\x00\x00\x00\x05\x0a\x00\x02\x00\x00\x00"
            "\x00\x00\x00\x00\x07\x00\x00");
    assert_ok(bmv2_counter_read(l.r, "c", 0, &v, &d), d);
    assert_int_equal(v, 7);
    SAY(&l, HEAD("\x02", "\x02") "\x0c\x00\x01\x08\x00\x01\x00\x00\x00\x02\x00\x00");
    assert_int_equal(bmv2_register_read(l.r, "r", 3, &v, &d), DUNE_E_INTERNAL);
    assert_string_equal(d.msg, "simple_switch: bm_register_read of r: refused (code 2)");
    line_close(&l);
}

/* Every one is an error, and nothing is sent on a line that is out of step. */
static void test_nonsense(void **state)
{
    static const struct {
        const char *text;
        size_t n;
    } bad[] = {
#define BAD(text) {text, sizeof(text) - 1}
        BAD(""), BAD("HTTP/1.1 400 Bad Request\r\n\r\n"), BAD(HEAD("\x02", "\x02") "\x00"),
        BAD(HEAD("\x02", "\x01") "\x0b\x00\x00\x7f\xff\xff\xff"),
        BAD(HEAD("\x02", "\x01") "\x63\x00\x05"), BAD(HEAD("\x02", "\x01") "\x0a\x00\x00\x00"),
        BAD(HEAD("\x02", "\x01") "\x0c\x00\x05\x0c\x00\x05\x0c\x00\x05\x0c\x00\x05\x0c\x00\x05\x0c\x00\x05\x0c\x00"
            "\x05\x0c\x00\x05\x0c\x00\x05\x0c\x00\x05\x0c\x00\x05\x0c\x00\x05\x0c\x00\x05\x0c\x00\x05\x0c\x00\x05"
            "\x0c\x00\x05\x0c\x00\x05\x0c\x00\x05\x0c\x00\x05\x0c\x00\x05"),
    };

    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(bad); i++) {
        struct line l;
        struct dune_diag d = {0};
        uint64_t v;
        char got[256];
        ssize_t n;

        line_open(&l);
        say(&l, bad[i].text, bad[i].n);
        shutdown(l.far, SHUT_WR);
        assert_int_equal(bmv2_elapsed_us(l.r, &v, &d), DUNE_E_ENV);
        assert_non_null(strstr(d.msg, "simple_switch on port 9: "));
        n = recv(l.far, got, sizeof(got), 0);
        assert_true(n > 0);
        assert_int_equal(bmv2_elapsed_us(l.r, &v, &d), DUNE_E_ENV);
        assert_int_equal(recv(l.far, got, sizeof(got), MSG_DONTWAIT), -1);
        line_close(&l);
    }
}

/* What the switch cannot do is an error of the call; the line goes on. */
static void test_exception(void **state)
{
    struct line l;
    struct dune_diag d = {0};
    uint64_t us = 0;

    (void)state;
    line_open(&l);
    SAY(&l, HEAD("\x03", "\x01") "\x0b\x00\x01\x00\x00\x00\x04what\x08\x00\x02\x00\x00\x00\x01\x00");
    assert_int_equal(bmv2_elapsed_us(l.r, &us, &d), DUNE_E_ENV);
    assert_string_equal(d.msg, "simple_switch on port 9: get_time_elapsed_us: what");
    d = (struct dune_diag){0};
    SAY(&l, HEAD("\x02", "\x02") "\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05\x00");
    assert_ok(bmv2_elapsed_us(l.r, &us, &d), d);
    assert_int_equal(us, 5);
    line_close(&l);
}

static void test_no_switch(void **state)
{
    struct dune_diag d = {0};
    struct bmv2_rpc *r = NULL;

    (void)state;
    assert_int_equal(bmv2_rpc_open(&r, 1, &d), DUNE_E_ENV);
    assert_string_equal(d.msg, "nothing listens on port 1");
}

static void test_digest(void **state)
{
    uint8_t f[60] = "DUNE\x00\x02\x00\x07\x00\x00\x00\x00\x00\x00\x01\x00\x03\x09\x04\xc8\x04\x06\x03\xe8\x01\xbb";
    static const uint8_t key[] = {10, 0, 0, 1, 10, 0, 0, 2, 3, 0xe8, 1, 0xbb, 6};
    struct dune_digest dg;

    (void)state;
    memcpy(f + 38, key, 4);
    memcpy(f + 54, key + 4, 4);
    assert_true(dune_bmv2_digest_parse(f, sizeof(f), &dg));
    assert_int_equal(dg.device, 2);
    assert_int_equal(dg.generation, 7);
    assert_int_equal(dg.tick, 256);
    assert_int_equal(dg.cls, 3);
    assert_int_equal(dg.flags, DUNE_SHIM_TENTATIVE | DUNE_SHIM_FL);
    assert_int_equal(dg.submodel, 4);
    assert_int_equal(dg.conf, 200);
    assert_int_equal(dg.key.len, 13);
    assert_memory_equal(dg.key.bytes, key, 13);
    f[20] = 6;
    assert_true(dune_bmv2_digest_parse(f, sizeof(f), &dg));
    assert_int_equal(dg.key.len, 37);
    assert_int_equal(dg.key.bytes[15], 1);
    assert_int_equal(dg.key.bytes[31], 2);
    assert_int_equal(dg.key.bytes[36], 6);
    f[20] = 5;
    assert_false(dune_bmv2_digest_parse(f, sizeof(f), &dg));
    f[20] = 4;
    assert_false(dune_bmv2_digest_parse(f, 57, &dg));
    f[0] = 'd';
    assert_false(dune_bmv2_digest_parse(f, sizeof(f), &dg));
}

/* The packet that releases a slot is one of the flow, behind a shim with the generation; with the test clock 8 bytes later. */
static void test_release_frame(void **state)
{
    int fd[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd), 0);
    for (unsigned kind = 0; kind < 8; kind++) {
        bool ipv6 = kind & 1, clock = kind & 4;
        struct dune_bmv2 sw = {.digest_fd = fd[0], .test_clock = clock, .shim_ethertype = 0x88B6};
        struct dune_flow_key key = {.len = ipv6 ? 37 : 13};
        struct dune_packet p;
        struct dune_shim shim;
        struct dune_diag d = {0};
        uint8_t f[256], *at = f + (clock ? 8 : 0);
        ssize_t len;

        for (unsigned i = 0; i < key.len; i++)
            key.bytes[i] = (uint8_t)(i * 37 + kind + 1);
        key.bytes[key.len - 1] = kind & 2 ? 6 : 17;
        assert_ok(bmv2_release_send(&sw, 0x1207, &key, &d), d);
        len = recv(fd[1], f, sizeof(f), 0) - (clock ? 8 : 0);
        assert_true(len > 40);
        assert_int_equal(at[12] << 8 | at[13], 0x88B6);
        dune_shim_get(&shim, at + 14);
        assert_int_equal(shim.version, DUNE_SHIM_VERSION);
        assert_int_equal(shim.generation, 0x1207);
        memcpy(at + 12, at + 20, 2);
        memmove(at + 14, at + 22, (size_t)len - 22);
        assert_int_equal(dune_packet_parse(&p, at, (size_t)len - 8, &dune_parser_limits_default, 0x88B6), DUNE_REASON_OK);
        assert_true(dune_flow_key_equal(&p.key, &key));
        key.bytes[key.len - 1] = 1; /* has no slot */
        assert_ok(bmv2_release_send(&sw, 0x1207, &key, &d), d);
        assert_int_equal(recv(fd[1], f, sizeof(f), MSG_DONTWAIT), -1);
    }
    close(fd[0]);
    close(fd[1]);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_call),      cmocka_unit_test(test_answers), cmocka_unit_test(test_nonsense),
    cmocka_unit_test(test_exception),
    cmocka_unit_test(test_no_switch), cmocka_unit_test(test_digest),  cmocka_unit_test(test_release_frame),
};
RUN_TESTS(tests)
