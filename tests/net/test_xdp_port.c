/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The AF_XDP port on a veth pair in a network namespace of the test's own, the other end an AF_PACKET port, with the
 * program in native and in generic mode. Every frame that was sent is either received or counted as lost.
 */
#include "testing.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dune/io.h"
#include "dune/packet.h"
#include "io/xsk_int.h"

enum { LONGEST = 9014 };
static const char *const mode[] = {"af_xdp:pb,native", "af_xdp:pb,generic,copy"};
static bool have_xdp;

/* No router solicitations: only what the test sends is there. */
static int make_pair(void)
{
    return system("ip link add pa type veth peer name pb && "
                  "for i in all pa pb; do echo 1 >/proc/sys/net/ipv6/conf/$i/disable_ipv6; done && "
                  "ip link set pa mtu 9000 up && ip link set pb mtu 9000 up");
}

static void set_mtu(unsigned mtu)
{
    char cmd[96];

    snprintf(cmd, sizeof(cmd), "ip link set pa mtu %u && ip link set pb mtu %u", mtu, mtu);
    assert_int_equal(system(cmd), 0);
}

static int enter_namespace(void **state)
{
    struct dune_diag d = {0};
    struct dune_port *p = NULL;

    (void)state;
    if (unshare(CLONE_NEWNET) != 0) {
        printf("# skip: no network namespace: %s\n", strerror(errno));
        return 0;
    }
    if (make_pair() != 0)
        return -1;
    for (unsigned i = 0; dune_port_kind(i); i++)
        if (strcmp(dune_port_kind(i)->kind, "af_xdp") == 0 && dune_port_kind(i)->available)
            have_xdp = dune_port_kind(i)->available() == NULL;
    if (have_xdp && dune_port_open(&p, "af_xdp:pb", NULL, &d) == DUNE_E_ENV && geteuid() != 0)
        have_xdp = false;
    if (!have_xdp)
        printf("# skip: %s\n", d.msg[0] ? d.msg : "no AF_XDP in this build or kernel");
    dune_port_close(p);
    return 0;
}

static void need_xdp(void)
{
    if (!have_xdp)
        skip();
}

static struct dune_port *open_port(const char *spec, uint32_t ring_bytes)
{
    const struct dune_port_opts o = {.promiscuous = true, .ring_bytes = ring_bytes};
    struct dune_diag d = {0};
    struct dune_port *p;

    assert_ok(dune_port_open(&p, spec, &o, &d), d);
    return p;
}

static struct dune_port_stats stats_of(struct dune_port *p)
{
    struct dune_port_stats s;

    dune_port_stats(p, &s);
    return s;
}

/* Frame k: an address that is nobody's, an EtherType that nobody reads, k, a pattern; with odd k a tag. */
static uint32_t fill(uint8_t *data, uint32_t k, uint32_t longest)
{
    static const uint8_t head[16] = {2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8};
    uint32_t len = 60 + k * 7919 % (longest - 59), at = 12;

    memset(data, (int)(k & 255), len);
    for (uint32_t i = 64; i + 4 <= len; i += 64) /* a part that is missing or moved shows */
        memcpy(data + i, &i, 4);
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

static void send_some(struct dune_port *p, uint32_t from, unsigned n, uint32_t longest)
{
    static uint8_t data[64][LONGEST];
    struct dune_frame f[64] = {0};
    struct dune_diag d = {0};
    unsigned sent, done = 0;

    for (unsigned i = 0; i < n; i++) {
        f[i].data = data[i];
        f[i].cap_len = f[i].wire_len = fill(data[i], from + i, longest);
    }
    while (done < n) {
        assert_ok(dune_port_tx(p, f + done, n - done, &sent, &d), d);
        done += sent;
    }
}

static void receive_some(struct dune_port *p, uint32_t from, unsigned n, uint32_t longest)
{
    struct dune_frame f[64];
    struct dune_diag d = {0};
    uint8_t want[LONGEST];
    uint64_t last = 0;
    unsigned got, done = 0;

    while (done < n) {
        struct pollfd w = {.fd = p->fd, .events = POLLIN};
        assert_ok(dune_port_rx(p, f, 64, &got, &d), d);
        if (!got)
            assert_int_equal(poll(&w, 1, 2000), 1);
        for (unsigned i = 0; i < got; i++, done++) {
            assert_int_equal(f[i].cap_len, fill(want, from + done, longest));
            assert_int_equal(f[i].wire_len, f[i].cap_len);
            assert_memory_equal(f[i].data, want, f[i].cap_len);
            assert_true(f[i].ts_ns > UINT64_C(1500000000000000000));
            assert_true(f[i].ts_ns >= last);
            assert_int_equal(f[i].tick, dune_tick(f[i].ts_ns));
            last = f[i].ts_ns;
        }
    }
    assert_int_equal(done, n);
}

/* Everything that is still under way; the number of frames. */
static unsigned drain(struct dune_port *p)
{
    struct dune_frame f[64];
    struct dune_diag d = {0};
    unsigned got, n = 0;

    for (unsigned idle = 0; idle < 20; idle = got ? 0 : idle + 1) {
        assert_ok(dune_port_rx(p, f, 64, &got, &d), d);
        n += got;
        if (!got)
            usleep(1000);
    }
    return n;
}

/* What one end sends the other receives: tags, lengths, order, times; and nothing comes back. The MTU may grow behind
 * the port's back. */
static void frames_both_ways(const char *spec, unsigned mtu, uint32_t longest)
{
    struct dune_port *a, *b;
    struct dune_frame f[64];
    struct dune_diag d = {0};
    unsigned got;

    set_mtu(mtu);
    a = open_port("af_packet:pa", 0), b = open_port(spec, 0);
    set_mtu(9000);
    for (uint32_t k = 0; k < 10000; k += 50) {
        send_some(a, k, 50, longest);
        receive_some(b, k, 50, longest);
        send_some(b, k, 37, longest);
        receive_some(a, k, 37, longest);
    }
    assert_ok(dune_port_rx(b, f, 64, &got, &d), d);
    assert_int_equal(got, 0);
    assert_int_equal(stats_of(b).rx_frames, 10000);
    assert_int_equal(stats_of(b).rx_dropped, 0);
    assert_int_equal(stats_of(b).tx_frames, 200 * 37);
    assert_int_equal(stats_of(b).tx_lost + stats_of(b).tx_refused, 0);
    assert_ok(dune_port_finish(b, &d), d);
    dune_port_close(a);
    dune_port_close(b);
}

static void test_frames(void **state)
{
    (void)state;
    need_xdp();
    frames_both_ways(mode[0], 1500, 1514);
    frames_both_ways(mode[1], 1500, 1514);
}

/* Frames that do not fit one chunk of memory. */
static void test_jumbo(void **state)
{
    (void)state;
    need_xdp();
    frames_both_ways(mode[0], 9000, LONGEST);
    frames_both_ways(mode[1], 9000, LONGEST);
    frames_both_ways("af_xdp:pb", 1500, LONGEST);
}

/* The time of a frame is when it arrived, not when somebody looked. */
static void test_times(void **state)
{
    struct dune_port *a, *b;
    struct dune_frame f[64];
    struct dune_diag d = {0};
    unsigned got;

    (void)state;
    need_xdp();
    for (int m = 0; m < 2; m++) {
        a = open_port("af_packet:pa", 0);
        b = open_port(mode[m], 0);
        send_some(a, 1, 1, 100);
        usleep(30000);
        send_some(a, 2, 1, 100);
        usleep(30000);
        assert_ok(dune_port_rx(b, f, 64, &got, &d), d);
        assert_int_equal(got, 2);
        assert_true(f[1].ts_ns - f[0].ts_ns >= 29000000);
        dune_port_close(a);
        dune_port_close(b);
    }
}

/* Frames that the interface never takes are passed over and counted; the rest goes. A larger MTU is noticed. */
static void test_too_long(void **state)
{
    static uint8_t data[80000];
    struct dune_frame f[6] = {{.data = data, .cap_len = 60}, {.data = data, .cap_len = 9100}, {.data = data, .cap_len = 80000},
                              {.data = data, .cap_len = 13}, {.data = data}, {.data = data, .cap_len = 61}};
    struct dune_port *a, *b;
    struct dune_diag d = {0};
    unsigned sent;

    (void)state;
    need_xdp();
    memset(data, 2, 12);
    data[12] = 0x88, data[13] = 0xb6;
    a = open_port("af_packet:pa", 0);
    b = open_port(mode[1], 0);
    assert_ok(dune_port_tx(b, f, 6, &sent, &d), d);
    assert_int_equal(sent, 6);
    assert_int_equal(stats_of(b).tx_frames, 2);
    assert_int_equal(stats_of(b).tx_refused, 4);
    assert_int_equal(drain(a), 2);
    set_mtu(9100);
    assert_ok(dune_port_tx(b, f + 1, 1, &sent, &d), d);
    assert_int_equal(stats_of(b).tx_frames, 3);
    assert_int_equal(drain(a), 1);
    dune_port_close(a);
    dune_port_close(b);
    set_mtu(9000);
}

/* A ring that nobody empties loses frames, says how many, and goes on; so it does with frames of several pieces. */
static void overflow(uint32_t longest)
{
    struct dune_port *a = open_port("af_packet:pa", 0), *b = open_port(mode[1], 1);
    uint64_t got;

    for (uint32_t k = 0; k < 6400; k += 64) {
        send_some(a, k, 64, longest);
        usleep(200); /* the veth's own queue is not meant */
    }
    got = drain(b);
    assert_true(got > 0);
    assert_true(stats_of(b).rx_dropped > 0);
    assert_int_equal(got + stats_of(b).rx_dropped, 6400);
    send_some(a, 7, 9, longest);
    receive_some(b, 7, 9, longest);
    dune_port_close(a);
    dune_port_close(b);
}

static void test_overflow(void **state)
{
    (void)state;
    need_xdp();
    overflow(1514);
    overflow(LONGEST);
}

/* While the interface is down its ring fills up; what was taken over leaves when it comes up again, or is counted as
 * lost where the kernel dropped it. */
static void test_down(void **state)
{
    struct dune_port *a, *b;
    struct dune_frame f[64], one;
    struct dune_diag d = {0};
    uint8_t data[100];
    unsigned got, sent;
    uint64_t arrived;

    (void)state;
    need_xdp();
    for (int m = 0; m < 2; m++) {
        a = open_port("af_packet:pa", 0);
        b = open_port(mode[m], 0);
        one = (struct dune_frame){.data = data, .cap_len = fill(data, 0, 100)};
        assert_int_equal(system("ip link set pb down"), 0);
        for (int i = 0; i < 2000; i++)
            assert_ok(dune_port_tx(b, &one, 1, &sent, &d), d);
        assert_ok(dune_port_rx(b, f, 64, &got, &d), d);
        assert_int_equal(got, 0);
        assert_int_equal(stats_of(b).tx_frames + stats_of(b).tx_full, 2000);
        assert_int_equal(system("ip link set pb up"), 0);
        drain(a); /* of what the link says when it comes up there is nothing: IPv6 is off */
        arrived = 0;
        for (int i = 0; i < 20; i++) {
            assert_ok(dune_port_rx(b, f, 64, &got, &d), d);
            arrived += drain(a);
        }
        arrived = stats_of(a).rx_frames;
        assert_int_equal(arrived + stats_of(b).tx_lost, stats_of(b).tx_frames);
        send_some(a, 5, 9, 1000);
        receive_some(b, 5, 9, 1000);
        send_some(b, 5, 9, 1000);
        receive_some(a, 5, 9, 1000);
        dune_port_close(a);
        dune_port_close(b);
    }
}

/* The other end is down: the kernel drops every frame, and every one is counted. */
static void test_no_carrier(void **state)
{
    struct dune_port *b;
    struct dune_diag d = {0};

    (void)state;
    need_xdp();
    b = open_port(mode[1], 0);
    assert_int_equal(system("ip link set pa down"), 0);
    send_some(b, 0, 50, 1000);
    assert_ok(dune_port_finish(b, &d), d);
    assert_int_equal(stats_of(b).tx_frames, 50);
    assert_int_equal(stats_of(b).tx_lost, 50);
    assert_int_equal(system("ip link set pa up"), 0);
    dune_port_close(b);
}

static bool has_program(void)
{
    return system("ip link show dev pb | grep -q xdp") == 0;
}

/* One program at a time; after the end of a process, however it ended, the interface is as it was. */
static void test_detached(void **state)
{
    struct dune_diag d = {0};
    struct dune_port *a, *b, *c;
    int ready[2], status;
    char byte;
    pid_t pid;

    (void)state;
    need_xdp();
    for (int m = 0; m < 2; m++) {
        assert_int_equal(pipe(ready), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            const struct dune_port_opts o = {.promiscuous = true};

            if (dune_port_open(&b, mode[m], &o, &d) == 0 && write(ready[1], "+", 1) == 1)
                pause();
            _exit(1);
        }
        close(ready[1]);
        assert_int_equal(read(ready[0], &byte, 1), 1);
        close(ready[0]);
        assert_true(has_program());
        assert_int_equal(dune_port_open(&c, mode[m], NULL, &d), DUNE_E_ENV);
        assert_non_null(strstr(d.msg, "has another AF_XDP port already"));
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        for (int i = 0; i < 200 && has_program(); i++) /* the kernel takes it off behind the process's end */
            usleep(10000);
        assert_false(has_program());
        assert_int_not_equal(system("ip -d link show dev pb | grep -q 'promiscuity [1-9]'"), 0);
        a = open_port("af_packet:pa", 0);
        b = open_port("af_packet:pb", 0);
        send_some(a, 3, 9, 1000);
        receive_some(b, 3, 9, 1000);
        dune_port_close(a);
        dune_port_close(b);
        b = open_port(mode[m], 0);
        assert_true(has_program());
        dune_port_close(b);
        assert_false(has_program());
    }
}

/* A program that somebody else has put there stays. */
static void test_foreign_program(void **state)
{
    struct xsk_program other;
    struct dune_diag d = {0};
    struct dune_port *p;

    (void)state;
    need_xdp();
    assert_int_equal(dune_xsk_program_load(&other, 1), 0);
    assert_int_equal(dune_xsk_program_attach(&other, if_nametoindex("pb"), false, true), 0);
    assert_int_equal(dune_port_open(&p, "af_xdp:pb", NULL, &d), DUNE_E_ENV);
    assert_non_null(strstr(d.msg, "has an XDP program already"));
    assert_true(has_program());
    dune_xsk_program_close(&other);
    assert_false(has_program());
}

/* Several queues: frames of all of them are received. */
static void test_queues(void **state)
{
    struct dune_port *a, *b;
    unsigned n;

    (void)state;
    need_xdp();
    if (system("ip link add qa numtxqueues 4 numrxqueues 4 type veth peer name qb numtxqueues 4 numrxqueues 4 && "
               "for i in qa qb; do echo 1 >/proc/sys/net/ipv6/conf/$i/disable_ipv6; ip link set $i up; done") != 0 ||
        system("ethtool -L qa rx 4 tx 4 2>/dev/null && ethtool -L qb rx 4 tx 4 2>/dev/null") != 0) {
        printf("# skip: no veth with several queues\n");
        skip();
    }
    a = open_port("af_packet:qa", 0);
    b = open_port("af_xdp:qb,generic", 0);
    send_some(a, 0, 64, 1000);
    n = drain(b);
    assert_int_equal(n, 64);
    send_some(b, 0, 64, 1000);
    receive_some(a, 0, 64, 1000);
    dune_port_close(a);
    dune_port_close(b);
    assert_int_equal(system("ip link del qa"), 0);
}

/* One that is removed is an error that says so, also when another has its name by then. */
static void test_gone(void **state)
{
    struct dune_port *b;
    struct dune_diag d = {0};
    struct dune_frame f[64];
    unsigned got;
    int rc = 0;

    (void)state;
    need_xdp();
    b = open_port(mode[1], 0);
    assert_int_equal(system("ip link del pa"), 0);
    assert_int_equal(make_pair(), 0);
    for (int tries = 0; !rc && tries < 100; tries++)
        rc = dune_port_rx(b, f, 64, &got, &d);
    assert_int_equal(rc, DUNE_E_ENV);
    assert_non_null(strstr(d.msg, "gone"));
    assert_int_equal(dune_port_rx(b, f, 64, &got, &d), DUNE_E_ENV);
    dune_port_close(b);
}

static void test_refused(void **state)
{
    static const struct {
        const char *spec;
        int code;
    } bad[] = {{"af_xdp:", DUNE_E_USAGE}, {"af_xdp:,copy", DUNE_E_USAGE}, {"af_xdp:no-such-if", DUNE_E_ENV},
               {"af_xdp:pb,fast", DUNE_E_USAGE}, {"af_xdp:pb,", DUNE_E_USAGE}, {"af_xdp:pb,native,generic", DUNE_E_USAGE},
               {"af_xdp:pb,copy,zerocopy", DUNE_E_USAGE}, {"af_xdp:a-name-that-is-too-long", DUNE_E_USAGE},
               {"af_xdp:pb,zerocopy", DUNE_E_ENV} /* a veth has no such thing */};

    (void)state;
    need_xdp();
    for (size_t i = 0; i < DUNE_ARRAY_LEN(bad); i++) {
        struct dune_diag d = {0};
        struct dune_port *p;

        assert_int_equal(dune_port_open(&p, bad[i].spec, NULL, &d), bad[i].code);
        assert_null(p);
        assert_true(d.msg[0]);
    }
    assert_false(has_program());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames), cmocka_unit_test(test_jumbo), cmocka_unit_test(test_times),
        cmocka_unit_test(test_too_long), cmocka_unit_test(test_overflow), cmocka_unit_test(test_down),
        cmocka_unit_test(test_no_carrier), cmocka_unit_test(test_detached), cmocka_unit_test(test_foreign_program),
        cmocka_unit_test(test_queues), cmocka_unit_test(test_gone), cmocka_unit_test(test_refused),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, enter_namespace, NULL);
}
