/* SPDX-License-Identifier: Apache-2.0 */
/* Ports on the two ends of a veth pair, in a network namespace of the test's own. */
#include "testing.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include "dune/io.h"
#include "dune/packet.h"

static int enter_namespace(void **state)
{
    (void)state;
    if (unshare(CLONE_NEWNET) != 0) {
        printf("# skip: no network namespace: %s\n", strerror(errno));
        return 0;
    }
    /* No router solicitations: only what the test sends is there. */
    return system("ip link add pa type veth peer name pb && "
                  "for i in all pa pb; do echo 1 >/proc/sys/net/ipv6/conf/$i/disable_ipv6; done && "
                  "ip link set pa mtu 2000 up && ip link set pb mtu 2000 up");
}

static bool have_veth(void)
{
    return if_nametoindex("pa") != 0;
}

static struct dune_port *open_port(const char *spec)
{
    const struct dune_port_opts o = {.promiscuous = true, .hw_time = true, .ring_bytes = 2 << 20};
    struct dune_diag d = {0};
    struct dune_port *p;

    assert_ok(dune_port_open(&p, spec, &o, &d), d);
    return p;
}

/* Frame k: an address that is nobody's, an EtherType that nobody reads, k, a pattern; with odd k a tag. */
static uint32_t fill(uint8_t *data, uint32_t k)
{
    static const uint8_t head[16] = {2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8};
    uint32_t len = 60 + k * 7 % 1900, at = 12;

    memset(data, (int)(k & 255), len);
    memcpy(data, head, 12);
    if (k & 1) {
        data[at++] = 0x81, data[at++] = 0x00;
        data[at++] = (uint8_t)(k >> 8 & 15), data[at++] = (uint8_t)k;
    }
    if (k & 4) { /* tags within tags */
        data[at++] = 0x88, data[at++] = 0xa8;
        data[at++] = 0, data[at++] = 7;
    }
    data[at++] = 0x88, data[at++] = 0xb6;
    memcpy(data + at, &k, sizeof(k));
    return len;
}

static void send_some(struct dune_port *p, uint32_t from, unsigned n)
{
    static uint8_t data[64][2048];
    struct dune_frame f[64] = {0};
    struct dune_diag d = {0};
    unsigned sent, done = 0;

    for (unsigned i = 0; i < n; i++) {
        f[i].data = data[i];
        f[i].cap_len = f[i].wire_len = fill(data[i], from + i);
    }
    while (done < n) {
        assert_ok(dune_port_tx(p, f + done, n - done, &sent, &d), d);
        done += sent;
    }
}

static void receive_some(struct dune_port *p, uint32_t from, unsigned n)
{
    struct dune_frame f[64];
    struct dune_diag d = {0};
    uint8_t want[2048];
    unsigned got, done = 0;

    while (done < n) {
        struct pollfd w = {.fd = p->fd, .events = POLLIN};
        assert_ok(dune_port_rx(p, f, 64, &got, &d), d);
        if (!got)
            assert_int_equal(poll(&w, 1, 2000), 1);
        for (unsigned i = 0; i < got; i++, done++) {
            assert_int_equal(f[i].cap_len, fill(want, from + done));
            assert_int_equal(f[i].wire_len, f[i].cap_len);
            assert_memory_equal(f[i].data, want, f[i].cap_len);
            assert_true(f[i].ts_ns > UINT64_C(1500000000000000000));
            assert_int_equal(f[i].tick, dune_tick(f[i].ts_ns));
        }
    }
    assert_int_equal(done, n);
}

/* What one end sends the other receives: tags, lengths, order; and nothing comes back. */
static void test_frames(void **state)
{
    struct dune_port *a, *b;
    struct dune_port_stats s;
    struct dune_diag d = {0};
    struct dune_frame f[64];
    unsigned got;

    (void)state;
    if (!have_veth())
        skip();
    a = open_port("af_packet:pa");
    b = open_port("af_packet:pb");
    for (uint32_t k = 0; k < 20000; k += 50) {
        send_some(a, k, 50);
        receive_some(b, k, 50);
        if (k % 1000 == 0) {
            send_some(b, k, 9);
            receive_some(a, k, 9);
        }
    }
    assert_ok(dune_port_rx(a, f, 64, &got, &d), d);
    assert_int_equal(got, 0);
    dune_port_stats(b, &s);
    assert_int_equal(s.rx_frames, 20000);
    assert_int_equal(s.rx_dropped, 0);
    assert_int_equal(s.tx_frames, 20 * 9);
    assert_false(s.hw_time); /* a veth has no clock */
    dune_port_stats(a, &s);
    assert_int_equal(s.tx_frames, 20000);
    dune_port_close(a);
    dune_port_close(b);
}

/* Frames that the interface never takes are passed over and counted; the rest goes. */
static void test_too_long(void **state)
{
    static uint8_t data[70000];
    struct dune_frame f[3] = {{.data = data, .cap_len = 60}, {.data = data, .cap_len = 3000},
                              {.data = data, .cap_len = 61}}, g[64];
    struct dune_port *a, *b;
    struct dune_port_stats s;
    struct dune_diag d = {0};
    unsigned sent, got = 0, n = 0;

    (void)state;
    if (!have_veth())
        skip();
    memset(data, 2, 12);
    data[12] = 0x88, data[13] = 0xb6;
    a = open_port("af_packet:pa");
    b = open_port("af_packet:pb");
    assert_ok(dune_port_tx(a, f, 3, &sent, &d), d);
    assert_int_equal(sent, 3);
    f[0].cap_len = 70000;
    f[1].cap_len = 5;
    assert_ok(dune_port_tx(a, f, 2, &sent, &d), d);
    assert_int_equal(sent, 2);
    dune_port_stats(a, &s);
    assert_int_equal(s.tx_frames, 2);
    assert_int_equal(s.tx_refused, 3);
    for (int tries = 0; n < 2 && tries < 2000; tries++) {
        assert_ok(dune_port_rx(b, g, 64, &got, &d), d);
        n += got;
        usleep(1000);
    }
    assert_int_equal(n, 2);
    dune_port_close(a);
    dune_port_close(b);
}

/* A ring that nobody empties loses frames, says how many, and goes on. */
static void test_overflow(void **state)
{
    const struct dune_port_opts o = {.ring_bytes = 1 << 19, .promiscuous = true};
    struct dune_port *a, *b;
    struct dune_port_stats s;
    struct dune_diag d = {0};
    struct dune_frame f[64];
    unsigned got, idle = 0;

    (void)state;
    if (!have_veth())
        skip();
    a = open_port("af_packet:pa");
    assert_ok(dune_port_open(&b, "af_packet:pb", &o, &d), d);
    for (uint32_t k = 0; k < 6400; k += 64) {
        send_some(a, k, 64);
        usleep(200); /* the veth's own queue is not meant */
    }
    while (idle < 20) {
        assert_ok(dune_port_rx(b, f, 64, &got, &d), d);
        idle = got ? 0 : idle + 1;
        if (!got)
            usleep(1000);
    }
    dune_port_stats(b, &s);
    assert_true(s.rx_dropped > 0);
    assert_int_equal(s.rx_frames + s.rx_dropped, 6400);
    send_some(a, 7, 9);
    receive_some(b, 7, 9);
    dune_port_close(a);
    dune_port_close(b);
}

/* An interface that goes down may come back; one that is removed is an error that says so. */
static void test_gone(void **state)
{
    struct dune_port *a, *b;
    struct dune_diag d = {0};
    struct dune_frame f[64];
    unsigned got;
    int rc = 0;

    (void)state;
    if (!have_veth())
        skip();
    a = open_port("af_packet:pa");
    b = open_port("af_packet:pb");
    assert_int_equal(system("ip link set pa down"), 0);
    assert_ok(dune_port_rx(a, f, 64, &got, &d), d);
    assert_int_equal(system("ip link set pa up"), 0);
    send_some(b, 5, 9);
    receive_some(a, 5, 9);
    assert_int_equal(system("ip link del pa"), 0);
    for (int tries = 0; !rc && tries < 100; tries++)
        rc = dune_port_rx(a, f, 64, &got, &d);
    assert_int_equal(rc, DUNE_E_ENV);
    assert_non_null(strstr(d.msg, "gone"));
    dune_port_close(a);
    dune_port_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames), cmocka_unit_test(test_too_long), cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_gone),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, enter_namespace, NULL);
}
