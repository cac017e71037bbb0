/* SPDX-License-Identifier: Apache-2.0 */
/* Ports that need no privilege: capture files and memory. */
#include "testing.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "dune/capture.h"
#include "dune/io.h"
#include "dune/packet.h"

static char dir[] = "/tmp/dune-ports-XXXXXX";

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state)
{
    char cmd[128];

    (void)state;
    snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
    return system(cmd);
}

static const char *in_dir(const char *name)
{
    static char path[4][128];
    static int k;
    char *p = path[k++ & 3];

    snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
    return p;
}

/* A frame of number k: its bytes and its length tell which. */
static struct dune_frame frame_of(uint64_t k, uint8_t *data)
{
    uint32_t len = 60 + (uint32_t)(k % 900);

    memset(data, (int)(k & 255), len);
    memcpy(data + 14, &k, sizeof(k));
    return (struct dune_frame){data, len, len + (k % 7 == 0), 1000000 + k * 3000, 0};
}

static void write_capture(const char *path, uint64_t n)
{
    struct dune_writer *w;
    struct dune_diag d = {0};
    uint8_t data[1024];

    assert_ok(dune_writer_open(&w, path, &d), d);
    for (uint64_t k = 0; k < n; k++) {
        struct dune_frame f = frame_of(k, data);
        assert_ok(dune_writer_put(w, f.ts_ns, f.data, f.cap_len, f.wire_len, &d), d);
    }
    assert_ok(dune_writer_commit(w, &d), d);
}

static void check_frame(const struct dune_frame *f, uint64_t k)
{
    uint8_t data[1024];
    struct dune_frame want = frame_of(k, data);

    assert_int_equal(f->cap_len, want.cap_len);
    assert_int_equal(f->wire_len, want.wire_len);
    assert_int_equal(f->ts_ns, want.ts_ns);
    assert_int_equal(f->tick, dune_tick(want.ts_ns));
    assert_memory_equal(f->data, data, f->cap_len);
}

/* From one file to another: the same bytes. */
static void test_pcap_to_pcap(void **state)
{
    const char *a = in_dir("a.pcap"), *b = in_dir("b.pcap");
    char *spec = dune_mem_printf("pcap:%s,%s", a, b), *x, *y;
    struct dune_frame f[DUNE_IO_BURST_MAX];
    struct dune_port_stats s;
    struct dune_port *p;
    struct dune_diag d = {0};
    unsigned got, sent;
    uint64_t k = 0;
    size_t x_len, y_len;

    (void)state;
    write_capture(a, 1000);
    assert_ok(dune_port_open(&p, spec, NULL, &d), d);
    while (!p->ended) {
        assert_ok(dune_port_rx(p, f, 1 + (unsigned)(k % DUNE_IO_BURST_MAX), &got, &d), d);
        for (unsigned i = 0; i < got; i++)
            check_frame(&f[i], k++);
        assert_ok(dune_port_tx(p, f, got, &sent, &d), d);
        assert_int_equal(sent, got);
    }
    assert_int_equal(k, 1000);
    assert_false(dune_path_exists(b)); /* not before it is whole */
    assert_ok(dune_port_finish(p, &d), d);
    dune_port_stats(p, &s);
    assert_int_equal(s.rx_frames, 1000);
    assert_int_equal(s.tx_frames, 1000);
    assert_int_equal(s.rx_bytes, s.tx_bytes);
    assert_int_equal(s.rx_truncated, 143);
    dune_port_close(p);
    assert_ok(dune_file_read(a, &x, &x_len, &d), d);
    assert_ok(dune_file_read(b, &y, &y_len, &d), d);
    assert_int_equal(x_len, y_len);
    assert_memory_equal(x, y, x_len);
    dune_mem_free(x);
    dune_mem_free(y);
    dune_mem_free(spec);
}

/* Good frames in front of a broken one are lent, then comes the error; an unfinished output goes. */
static void test_pcap_broken(void **state)
{
    const char *a = in_dir("cut.pcap"), *b = in_dir("none.pcap");
    char *spec = dune_mem_printf("pcap:%s,%s", a, b);
    struct dune_frame f[DUNE_IO_BURST_MAX];
    struct dune_diag d = {0};
    struct dune_port *p;
    unsigned got;

    (void)state;
    write_capture(a, 10);
    assert_int_equal(truncate(a, 24 + 3 * (16 + 61) + 30), 0);
    assert_ok(dune_port_open(&p, spec, NULL, &d), d);
    assert_ok(dune_port_rx(p, f, 64, &got, &d), d);
    assert_int_equal(got, 3);
    assert_int_equal(dune_port_rx(p, f, 64, &got, &d), DUNE_E_FORMAT);
    assert_int_equal(got, 0);
    assert_true(p->ended);
    dune_port_close(p);
    assert_false(dune_path_exists(b));
    dune_mem_free(spec);
}

static void test_bad_specs(void **state)
{
    static const struct {
        const char *spec;
        int code;
    } bad[] = {{"", DUNE_E_USAGE}, {"pcap", DUNE_E_USAGE}, {"pcap:", DUNE_E_USAGE}, {"pcap:,", DUNE_E_USAGE},
               {"mem", DUNE_E_USAGE}, {"tap:x", DUNE_E_USAGE}, {"pcapx:a", DUNE_E_USAGE}, {"af_packet:", DUNE_E_USAGE},
               {"af_packet:a-name-that-is-too-long", DUNE_E_USAGE}, {"af_packet:no-such-if", DUNE_E_ENV},
               {"pcap:/no/such/file", DUNE_E_INPUT}, {"pcap:,/no/such/dir/x", DUNE_E_IO}};

    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(bad); i++) {
        struct dune_diag d = {0};
        struct dune_port *p = (struct dune_port *)&d;
        int rc = dune_port_open(&p, bad[i].spec, NULL, &d);
        assert_null(p);
        assert_int_equal(dune_err_exit_code(rc), dune_err_exit_code(bad[i].code));
        assert_true(d.msg[0]);
    }
}

static void test_list(void **state)
{
    uint8_t data[5][1024];
    struct dune_frame f[5], got[64];
    struct dune_diag d = {0};
    struct dune_port *p;
    unsigned n, k = 0, i;

    (void)state;
    for (i = 0; i < 5; i++)
        f[i] = frame_of(i, data[i]);
    p = dune_port_mem_list(f, 5, 3);
    while (!p->ended) {
        assert_ok(dune_port_rx(p, got, 4, &n, &d), d);
        for (i = 0; i < n; i++, k++)
            assert_ptr_equal(got[i].data, data[k % 5]);
    }
    assert_int_equal(k, 15);
    dune_port_close(p);
    p = dune_port_mem_list(f, 5, 0);
    for (i = 0; i < 100; i++) {
        assert_ok(dune_port_rx(p, got, 5, &n, &d), d);
        assert_int_equal(n, 5);
    }
    assert_false(p->ended);
    dune_port_close(p);
    p = dune_port_mem_list(f, 0, 0);
    assert_true(p->ended);
    dune_port_close(p);
}

enum { WIRE_FRAMES = 50000 };

static void *send_all(void *arg)
{
    struct dune_port *p = arg;
    uint8_t data[16][1024];
    struct dune_frame f[16];
    struct dune_diag d = {0};
    unsigned sent;
    uint64_t k = 0;

    while (k < WIRE_FRAMES) {
        unsigned n = 0;
        for (; n < 16 && k + n < WIRE_FRAMES; n++)
            f[n] = frame_of(k + n, data[n]);
        if (dune_port_tx(p, f, n, &sent, &d))
            break;
        k += sent;
        if (!sent)
            sched_yield();
    }
    dune_port_close(p);
    return NULL;
}

/* Two threads: nothing is lost, nothing comes twice, the end is seen after the last frame. */
static void test_wire(void **state)
{
    struct dune_port *end[2];
    struct dune_frame f[64];
    struct dune_diag d = {0};
    pthread_t t;
    unsigned got;
    uint64_t k = 0;

    (void)state;
    dune_port_mem_wire(end, 100, 1024);
    assert_int_equal(pthread_create(&t, NULL, send_all, end[0]), 0);
    while (!end[1]->ended) {
        assert_ok(dune_port_rx(end[1], f, 1 + (unsigned)(k % 64), &got, &d), d);
        if (!got)
            sched_yield();
        for (unsigned i = 0; i < got; i++, k++) {
            uint64_t at;
            memcpy(&at, f[i].data + 14, sizeof(at));
            assert_int_equal(at, k);
            assert_int_equal(f[i].cap_len, 60 + k % 900);
        }
    }
    pthread_join(t, NULL);
    assert_int_equal(k, WIRE_FRAMES);
    dune_port_close(end[1]);
}

static void test_wire_limits(void **state)
{
    struct dune_port *end[2];
    uint8_t data[1024];
    struct dune_frame f[8], back[8];
    struct dune_port_stats s;
    struct dune_diag d = {0};
    unsigned i, n;

    (void)state;
    dune_port_mem_wire(end, 4, 100);
    for (i = 0; i < 8; i++)
        f[i] = frame_of(1, data);
    f[1].cap_len = f[1].wire_len = 101;
    assert_ok(dune_port_tx(end[0], f, 8, &n, &d), d);
    assert_int_equal(n, 5); /* one refused, four fit */
    dune_port_stats(end[0], &s);
    assert_int_equal(s.tx_frames, 4);
    assert_int_equal(s.tx_refused, 1);
    assert_int_equal(s.tx_full, 3);
    assert_ok(dune_port_rx(end[1], back, 8, &n, &d), d);
    assert_int_equal(n, 4);
    assert_ok(dune_port_tx(end[0], f, 1, &n, &d), d);
    assert_int_equal(n, 0); /* still lent */
    assert_ok(dune_port_rx(end[1], back, 8, &n, &d), d);
    assert_int_equal(n, 0);
    assert_ok(dune_port_tx(end[0], f, 1, &n, &d), d);
    assert_int_equal(n, 1);
    dune_port_close(end[1]);
    assert_ok(dune_port_tx(end[0], f, 1, &n, &d), d);
    dune_port_stats(end[0], &s);
    assert_int_equal(s.tx_refused, 2);
    assert_ok(dune_port_rx(end[0], back, 8, &n, &d), d);
    assert_true(end[0]->ended);
    dune_port_close(end[0]);
    dune_port_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pcap_to_pcap), cmocka_unit_test(test_pcap_broken), cmocka_unit_test(test_bad_specs),
        cmocka_unit_test(test_list), cmocka_unit_test(test_wire), cmocka_unit_test(test_wire_limits),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
