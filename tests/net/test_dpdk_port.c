/* SPDX-License-Identifier: Apache-2.0 */
/* DPDK ports on devices that need no hardware and no huge pages: pcap, null, ring, memif, af_packet. */
#include "testing.h"

#include <net/if.h>
#include <sched.h>
#include <unistd.h>

#include "dune/capture.h"
#include "dune/io.h"

enum { FRAMES = 300, MAX_LEN = 1400 };
static char dir[] = "/tmp/dune-dpdk-XXXXXX";

static int make_dir(void **state)
{
    (void)state;
    if (unshare(CLONE_NEWNET) == 0)
        (void)!system("ip link add pa type veth peer name pb && ip link set pa up && ip link set pb up");
    return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state)
{
    char cmd[128];

    (void)state;
    snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
    return system(cmd);
}

static struct dune_port *open_port(const char *spec)
{
    struct dune_diag d = {0};
    struct dune_port *p;

    assert_ok(dune_port_open(&p, spec, NULL, &d), d);
    return p;
}

static struct dune_frame frame_of(uint32_t k, uint8_t *data)
{
    uint32_t len = 60 + k * 37 % (MAX_LEN - 60);

    memset(data, (int)(k & 255), len);
    memcpy(data, "\x02\x00\x00\x00\x00\x09\x02\x00\x00\x00\x00\x08\x88\xb6", 14);
    memcpy(data + 14, &k, sizeof(k));
    return (struct dune_frame){data, len, len, 1000u * k, 0};
}

static bool is_frame(const struct dune_frame *f, uint32_t k)
{
    uint8_t data[MAX_LEN];
    struct dune_frame want = frame_of(k, data);

    return f->cap_len == want.cap_len && memcmp(f->data, data, want.cap_len) == 0;
}

/* Sends on one port while it receives on the other, which may be the same. */
static void exchange(struct dune_port *from, struct dune_port *to)
{
    static uint8_t data[32][MAX_LEN];
    struct dune_frame f[32], g[64];
    struct dune_diag d = {0};
    uint32_t out = 0, in = 0;
    unsigned n;

    for (int idle = 0; in < FRAMES && idle < 3000; idle++) {
        unsigned k = 0;

        for (; k < 32 && out + k < FRAMES; k++)
            f[k] = frame_of(out + k, data[k]);
        assert_ok(dune_port_tx(from, f, k, &n, &d), d);
        out += n;
        assert_ok(dune_port_rx(to, g, 64, &n, &d), d);
        for (unsigned i = 0; i < n; i++)
            in += is_frame(&g[i], in); /* an interface may have something to say, too */
        if (n)
            idle = 0;
        else
            usleep(1000);
    }
    assert_int_equal(out, FRAMES);
    assert_int_equal(in, FRAMES);
}

static void test_pcap(void **state)
{
    char *a = dune_mem_printf("%s/a.pcap", dir), *b = dune_mem_printf("%s/b.pcap", dir);
    char *spec = dune_mem_printf("dpdk:net_pcap0,rx_pcap=%s,tx_pcap=%s", a, b);
    struct dune_diag d = {0};
    struct dune_frame f[64];
    struct dune_writer *w;
    struct dune_reader *r;
    struct dune_record rec;
    struct dune_port *p;
    uint8_t data[MAX_LEN];
    unsigned n, sent;
    uint32_t k = 0;

    (void)state;
    assert_ok(dune_writer_open(&w, a, &d), d);
    for (; k < FRAMES; k++) {
        f[0] = frame_of(k, data);
        assert_ok(dune_writer_put(w, f[0].ts_ns, data, f[0].cap_len, f[0].wire_len, &d), d);
    }
    assert_ok(dune_writer_commit(w, &d), d);
    p = open_port(spec);
    for (k = 0; k < FRAMES; k += n) {
        assert_ok(dune_port_rx(p, f, 64, &n, &d), d);
        assert_true(n > 0);
        for (unsigned i = 0; i < n; i++)
            assert_true(is_frame(&f[i], k + i));
        assert_ok(dune_port_tx(p, f, n, &sent, &d), d);
        assert_int_equal(sent, n);
    }
    dune_port_close(p);
    assert_ok(dune_reader_open(&r, b, &d), d);
    for (k = 0; dune_reader_next(r, &rec, &d) == 1; k++)
        assert_true(is_frame(&(struct dune_frame){rec.data, rec.cap_len, rec.wire_len, 0, 0}, k));
    assert_int_equal(k, FRAMES);
    dune_reader_close(r);
    dune_mem_free(a);
    dune_mem_free(b);
    dune_mem_free(spec);
}

static void test_null(void **state)
{
    struct dune_port *p = open_port("dpdk:net_null0,size=128");
    static uint8_t big[20000];
    struct dune_frame f[64], huge = {big, sizeof(big), sizeof(big), 0, 0};
    struct dune_port_stats s;
    struct dune_diag d = {0};
    unsigned n, sent;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_ok(dune_port_rx(p, f, 64, &n, &d), d);
        assert_int_equal(n, 64);
        assert_int_equal(f[63].cap_len, 128);
        assert_ok(dune_port_tx(p, f, n, &sent, &d), d);
        assert_int_equal(sent, 64);
    }
    assert_ok(dune_port_tx(p, &huge, 1, &sent, &d), d);
    dune_port_stats(p, &s);
    assert_int_equal(s.rx_frames, 64000);
    assert_int_equal(s.tx_frames, 64000);
    assert_int_equal(s.tx_refused, 1);
    dune_port_close(p);
}

static void test_ring(void **state)
{
    struct dune_port *p = open_port("dpdk:net_ring0");

    (void)state;
    exchange(p, p);
    dune_port_close(p);
}

static void test_memif(void **state)
{
    char *a = dune_mem_printf("dpdk:net_memif0,role=server,id=1,socket-abstract=no,socket=%s/m.sock", dir);
    char *b = dune_mem_printf("dpdk:net_memif1,role=client,id=1,socket-abstract=no,socket=%s/m.sock", dir);
    struct dune_port *p = open_port(a), *q = open_port(b);

    (void)state;
    exchange(p, q);
    exchange(q, p);
    dune_port_close(q);
    usleep(300000); /* the driver's own thread is told that the peer went; two closes at once upset it */
    dune_port_close(p);
    dune_mem_free(a);
    dune_mem_free(b);
}

static void test_af_packet(void **state)
{
    struct dune_port *p, *q;

    (void)state;
    if (!if_nametoindex("pa")) {
        printf("# skip: no veth in a network namespace\n");
        skip();
    }
    p = open_port("dpdk:net_af_packet0,iface=pa");
    q = open_port("af_packet:pb");
    exchange(p, q);
    exchange(q, p);
    dune_port_close(p);
    dune_port_close(q);
}

static void test_refused(void **state)
{
    static const char *const bad[] = {"dpdk:", "dpdk:net_nothing0", "dpdk:net_pcap9,rx_pcap=/no/such/file",
                                      "dpdk:net_af_packet9,iface=no-such-if"};

    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(bad); i++) {
        struct dune_diag d = {0};
        struct dune_port *p;

        assert_true(dune_port_open(&p, bad[i], NULL, &d) < 0);
        assert_null(p);
        assert_true(d.msg[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pcap), cmocka_unit_test(test_null), cmocka_unit_test(test_ring),
        cmocka_unit_test(test_memif), cmocka_unit_test(test_af_packet), cmocka_unit_test(test_refused),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
