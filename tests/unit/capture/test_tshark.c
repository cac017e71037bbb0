/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reader and parser against tshark, packet by packet and field by field. Without arguments a few of
 * the shared captures and one of made frames, with "all" every shared capture.
 */
#include "testing.h"

#include <inttypes.h>
#include <unistd.h>

#include "dune/capture.h"
#include "dune/packet.h"
#include "frames.h"

enum {
    F_TIME, F_LEN, F_CAP_LEN, F_IP_LEN, F_IP_TTL, F_IP_TOS, F_IP_PROTO, F_IP_HDR, F_IP6_LEN, F_IP6_HLIM,
    F_IP6_CLASS, F_TCP_SRC, F_TCP_DST, F_TCP_FLAGS, F_TCP_WINDOW, F_TCP_HDR, F_UDP_SRC, F_UDP_DST,
    F_UDP_LEN, F_ETH_TYPE, N_FIELDS
};
static const char *const field_name[N_FIELDS] = {
    "frame.time_epoch", "frame.len", "frame.cap_len", "ip.len", "ip.ttl", "ip.dsfield", "ip.proto",
    "ip.hdr_len", "ipv6.plen", "ipv6.hlim", "ipv6.tclass", "tcp.srcport", "tcp.dstport", "tcp.flags",
    "tcp.window_size_value", "tcp.hdr_len", "udp.srcport", "udp.dstport", "udp.length", "eth.type"};

static bool all_files;

static bool have_program(const char *name)
{
    char *cmd = dune_mem_printf("command -v %s >/dev/null 2>&1", name);
    bool found = system(cmd) == 0;

    dune_mem_free(cmd);
    if (!found)
        printf("# skip: %s is not installed\n", name);
    return found;
}

/* Only the headers are of interest: no reassembly, no state, first occurrence (outermost header). */
static FILE *start_tshark(const char *path)
{
    struct dune_buf cmd = {0};
    FILE *f;

    dune_buf_printf(&cmd, "tshark -n -r '%s' -o ip.defragment:FALSE -o ipv6.defragment:FALSE "
                    "-o tcp.desegment_tcp_streams:FALSE -o tcp.analyze_sequence_numbers:FALSE "
                    "-T fields -E separator=, -E occurrence=f", path);
    for (int i = 0; i < N_FIELDS; i++)
        dune_buf_printf(&cmd, " -e %s", field_name[i]);
    dune_buf_puts(&cmd, " 2>/dev/null");
    f = popen(cmd.data, "r");
    assert_non_null(f);
    dune_buf_fini(&cmd);
    return f;
}

static bool split_fields(FILE *f, char *line, size_t size, char *field[N_FIELDS])
{
    char *p = line;

    if (!fgets(line, (int)size, f))
        return false;
    line[strcspn(line, "\n")] = '\0';
    for (int i = 0; i < N_FIELDS; i++) {
        field[i] = strsep(&p, ",");
        if (!field[i])
            fail_msg("tshark printed %d fields", i);
    }
    return true;
}

static uint64_t epoch_ns(const char *s)
{
    unsigned long long sec, ns;

    assert_int_equal(sscanf(s, "%llu.%9llu", &sec, &ns), 2);
    return sec * 1000000000 + ns;
}

struct check {
    const char *path;
    uint64_t packet;
    uint64_t n_values;
    char **field;
};

static void same(struct check *c, int f, unsigned long long ours)
{
    unsigned long long theirs = strtoull(c->field[f], NULL, 0);

    c->n_values++;
    if (!c->field[f][0] || theirs != ours)
        fail_msg("%s: packet %" PRIu64 ": %s: tshark says \"%s\", we say %llu", c->path, c->packet,
                 field_name[f], c->field[f], ours);
}

static void compare_packet(struct check *c, const struct dune_record *rec, const struct dune_packet *p)
{
    same(c, F_LEN, rec->wire_len);
    same(c, F_CAP_LEN, rec->cap_len);
    if (p->is_ipv6) {
        same(c, F_IP6_LEN, p->ip_len - 40u);
        same(c, F_IP6_HLIM, p->ttl);
        same(c, F_IP6_CLASS, p->tos);
    } else {
        same(c, F_IP_LEN, p->ip_len);
        same(c, F_IP_TTL, p->ttl);
        same(c, F_IP_TOS, p->tos);
        same(c, F_IP_PROTO, p->proto);
        same(c, F_IP_HDR, p->ip_hdr_len * 4u);
    }
    same(c, p->is_tcp ? F_TCP_SRC : F_UDP_SRC, p->srcport);
    same(c, p->is_tcp ? F_TCP_DST : F_UDP_DST, p->dstport);
    if (p->is_tcp) {
        c->field[F_TCP_FLAGS][0] = '0';
        same(c, F_TCP_HDR, p->tcp_hdr_len * 4u);
        same(c, F_TCP_WINDOW, p->tcp_window);
        snprintf(c->field[F_TCP_FLAGS], 7, "0x%02llx", strtoull(c->field[F_TCP_FLAGS], NULL, 0) & 0xff);
        same(c, F_TCP_FLAGS, p->tcp_flags);
    } else {
        same(c, F_UDP_LEN, p->udp_length);
    }
    same(c, F_ETH_TYPE, rec->data[12] * 256u + rec->data[13]);
    assert_int_equal(p->n_vlan > 0, !strstr("0x0800 0x86dd", c->field[F_ETH_TYPE]));
}

/* Compares a whole file; every packet of it must be inferable. */
static void compare_file(const char *path, uint64_t *n_packets, uint64_t *n_values)
{
    struct dune_diag d = {0};
    struct dune_reader *r;
    struct dune_record rec;
    struct dune_packet p;
    char line[4096], *field[N_FIELDS];
    struct check c = {.path = path, .field = field};
    FILE *f = start_tshark(path);
    int rc;

    assert_ok(dune_reader_open(&r, path, &d), d);
    while ((rc = dune_reader_next(r, &rec, &d)) == 1) {
        c.packet++;
        if (!split_fields(f, line, sizeof(line), field))
            fail_msg("%s: tshark stops before packet %" PRIu64, path, c.packet);
        assert_int_equal(epoch_ns(field[F_TIME]), rec.ts_ns);
        if (dune_packet_parse(&p, rec.data, rec.cap_len, &dune_parser_limits_default, 0))
            fail_msg("%s: packet %" PRIu64 ": %s", path, c.packet, dune_reason_name(p.reason));
        compare_packet(&c, &rec, &p);
    }
    assert_ok(rc, d);
    assert_null(fgets(line, sizeof(line), f));
    dune_reader_close(r);
    assert_int_equal(pclose(f), 0);
    *n_packets += c.packet;
    *n_values += c.n_values;
}

static void compare_paths(struct dune_paths *paths)
{
    uint64_t n_files = 0, n_packets = 0, n_values = 0;

    for (size_t i = 0; i < paths->len; i++) {
        if (!strstr(paths->data[i], ".pcap"))
            continue;
        compare_file(paths->data[i], &n_packets, &n_values);
        n_files++;
    }
    printf("# %" PRIu64 " files, %" PRIu64 " packets, %" PRIu64 " values agree\n", n_files, n_packets,
           n_values);
    dune_paths_fini(paths);
}

static void test_shared(void **state)
{
    static const char *const some[] = {"aalto-iot-setup/train/Aria.pcap",
                                       "aalto-iot-setup/test/EdnetGateway.pcap",
                                       "ustc-malware/test/all.pcap"};
    static const char *const dirs[] = {"aalto-iot-setup", "ustc-malware"};
    struct dune_paths paths = {0};
    struct dune_diag d = {0};
    size_t n = all_files ? DUNE_ARRAY_LEN(dirs) : DUNE_ARRAY_LEN(some);

    (void)state;
    if (!have_program("tshark"))
        skip();
    for (size_t i = 0; i < n; i++) {
        const char *path = shared_data(all_files ? dirs[i] : some[i]);

        if (path)
            assert_ok(dune_paths_add(&paths, path, &d), d);
    }
    if (paths.len == 0)
        skip();
    compare_paths(&paths);
}

/* Tags, options, extension headers and odd time stamps that the shared captures do not have. */
static void test_made_frames(void **state)
{
    char *path = dune_mem_printf("/tmp/dune-tshark-%ld.pcap", (long)getpid());
    struct dune_paths paths = {0};
    struct dune_diag d = {0};
    struct dune_writer *w;
    struct dune_packet p;
    struct dune_rng r;
    struct frame f;

    (void)state;
    if (!have_program("tshark")) {
        dune_mem_free(path);
        skip();
    }
    dune_rng_init(&r, 5, 0, 0, 0);
    assert_ok(dune_writer_open(&w, path, &d), d);
    for (int n = 0; n < 5000;) {
        frame_make(&f, &r, 2, 2, false);
        if (dune_packet_parse(&p, f.b, f.len, &dune_parser_limits_default, 0))
            continue;
        assert_ok(dune_writer_put(w, dune_rng_below(&r, 1ull << 61), f.b, (uint32_t)f.len,
                                  (uint32_t)f.len, &d), d);
        n++;
    }
    assert_ok(dune_writer_commit(w, &d), d);
    DUNE_VEC_PUSH(&paths, path);
    compare_paths(&paths);
    unlink(path);
}

static void same_records(const char *a_path, const char *b_path)
{
    struct dune_reader *a, *b;
    struct dune_record x, y;
    struct dune_diag d = {0};

    assert_ok(dune_reader_open(&a, a_path, &d), d);
    assert_ok(dune_reader_open(&b, b_path, &d), d);
    for (;;) {
        int rc = dune_reader_next(a, &x, &d);

        assert_int_equal(dune_reader_next(b, &y, &d), rc);
        if (rc != 1)
            break;
        assert_int_equal(x.ts_ns, y.ts_ns);
        assert_int_equal(x.wire_len, y.wire_len);
        assert_int_equal(x.cap_len, y.cap_len);
        assert_memory_equal(x.data, y.data, x.cap_len);
    }
    assert_int_equal(d.code, 0);
    dune_reader_close(a);
    dune_reader_close(b);
}

/* Other programs' files of the same packets. */
static void test_other_formats(void **state)
{
    static const char *const make[] = {"editcap -F pcapng", "editcap -F nsecpcap", "gzip -c", "zstd -qcf" /* also links */};
    const char *path = shared_data("aalto-iot-setup/train/Aria.pcap");

    (void)state;
    if (!path)
        skip();
    for (size_t i = 0; i < DUNE_ARRAY_LEN(make); i++) {
        char *out = dune_mem_printf("/tmp/dune-formats-%ld-%zu", (long)getpid(), i);
        char *cmd = dune_mem_printf("%s '%s' %s '%s' 2>/dev/null", make[i], path, i < 2 ? "" : ">", out);
        char program[16];

        snprintf(program, sizeof(program), "%.*s", (int)strcspn(make[i], " "), make[i]);
        if (have_program(program)) {
            assert_int_equal(system(cmd), 0);
            same_records(path, out);
            unlink(out);
        }
        dune_mem_free(out);
        dune_mem_free(cmd);
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shared),
        cmocka_unit_test(test_made_frames),
        cmocka_unit_test(test_other_formats),
    };

    all_files = argc > 1 && strcmp(argv[1], "all") == 0;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
