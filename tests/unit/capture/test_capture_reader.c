/* SPDX-License-Identifier: Apache-2.0 */
/* pcap and pcapng in all their variants, built in memory; what is damaged is refused with its place. */
#include "testing.h"

#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "dune/capture.h"

struct image {
    struct dune_buf b;
    bool big; /* byte order */
};

static void p16(struct image *m, unsigned v)
{
    uint8_t le[2] = {(uint8_t)v, (uint8_t)(v >> 8)}, be[2] = {le[1], le[0]};

    dune_buf_append(&m->b, m->big ? be : le, 2);
}

static void p32(struct image *m, uint32_t v)
{
    p16(m, m->big ? v >> 16 : v & 0xffff);
    p16(m, m->big ? v & 0xffff : v >> 16);
}

static void pbytes(struct image *m, const char *s, size_t n)
{
    dune_buf_append(&m->b, s, n);
}

static void pcap_header(struct image *m, uint32_t magic, uint32_t link)
{
    p32(m, magic);
    p16(m, 2);
    p16(m, 4);
    p32(m, 0);
    p32(m, 0);
    p32(m, 65535);
    p32(m, link);
}

static void pcap_record(struct image *m, uint32_t sec, uint32_t frac, const char *data, size_t n)
{
    p32(m, sec);
    p32(m, frac);
    p32(m, (uint32_t)n);
    p32(m, (uint32_t)n + 100);
    pbytes(m, data, n);
}

static struct dune_diag diag;

static int open_image(struct dune_reader **r, const struct image *m)
{
    memset(&diag, 0, sizeof(diag));
    return dune_reader_open_bytes(r, "t.pcap", m->b.data, m->b.len, &diag);
}

/* Reads to the end or to the error, which it returns. */
static int drain(const struct image *m, uint64_t *n_packets)
{
    struct dune_reader *r;
    struct dune_record rec;
    int rc = open_image(&r, m);

    *n_packets = 0;
    if (rc)
        return rc;
    while ((rc = dune_reader_next(r, &rec, &diag)) == 1) {
        assert_int_equal(rec.index, *n_packets);
        ++*n_packets;
    }
    dune_reader_close(r);
    return rc;
}

static void check_next(struct dune_reader *r, uint64_t ts, const char *data, uint32_t wire)
{
    struct dune_record rec;

    assert_int_equal(dune_reader_next(r, &rec, &diag), 1);
    assert_int_equal(rec.ts_ns, ts);
    assert_int_equal(rec.cap_len, strlen(data));
    assert_memory_equal(rec.data, data, rec.cap_len);
    assert_int_equal(rec.wire_len, wire);
}

static void check_end(struct dune_reader *r)
{
    struct dune_record rec;

    assert_int_equal(dune_reader_next(r, &rec, &diag), 0);
    assert_int_equal(dune_reader_next(r, &rec, &diag), 0);
    dune_reader_close(r);
}

static void test_pcap_variants(void **state)
{
    (void)state;
    for (int big = 0; big < 2; big++) {
        for (int nano = 0; nano < 2; nano++) {
            struct image m = {.big = big};
            struct dune_reader *r;

            pcap_header(&m, nano ? 0xa1b23c4d : 0xa1b2c3d4, 1 | 0x54000000 /* with FCS */);
            pcap_record(&m, 1, 2, "abc", 3);
            pcap_record(&m, 0xffffffff, 999, "", 0);
            assert_ok(open_image(&r, &m), diag);
            check_next(r, nano ? 1000000002 : 1000002000, "abc", 103);
            check_next(r, UINT64_C(4294967295000000000) + 999 * (nano ? 1 : 1000), "", 100);
            check_end(r);
            dune_buf_fini(&m.b);
        }
    }
}

static void test_header_only(void **state)
{
    struct image m = {0};
    uint64_t n;

    (void)state;
    pcap_header(&m, 0xa1b2c3d4, 1);
    assert_int_equal(drain(&m, &n), 0);
    assert_int_equal(n, 0);
    dune_buf_fini(&m.b);
}

/* Every proper prefix is refused, unless it ends between two records. */
static void test_pcap_truncated(void **state)
{
    struct image m = {0};
    size_t whole;
    uint64_t n;

    (void)state;
    pcap_header(&m, 0xa1b2c3d4, 1);
    pcap_record(&m, 1, 2, "abc", 3);
    pcap_record(&m, 1, 2, "defgh", 5);
    whole = m.b.len;
    for (size_t len = 0; len <= whole; len++) {
        struct image cut = {.b = {malloc(len ? len : 1), len, 0}};
        int rc;

        memcpy(cut.b.data, m.b.data, len);
        rc = drain(&cut, &n);
        if (len == 24 || len == 24 + 19 || len == whole) {
            assert_int_equal(rc, 0);
        } else {
            assert_int_equal(rc, DUNE_E_FORMAT);
            assert_string_equal(diag.file, "t.pcap");
            assert_true(diag.has_offset && diag.offset <= len && diag.msg[0]);
        }
        free(cut.b.data);
    }
    dune_buf_fini(&m.b);
}

static void refuse(struct image *m, int code, uint64_t offset, const char *part)
{
    uint64_t n;

    assert_int_equal(drain(m, &n), code);
    assert_int_equal(diag.code, code);
    assert_int_equal(diag.offset, offset);
    if (!strstr(diag.msg, part))
        fail_msg("\"%s\" does not say \"%s\"", diag.msg, part);
    dune_buf_fini(&m->b);
}

static void test_pcap_refused(void **state)
{
    struct image m = {0};

    (void)state;
    pcap_header(&m, 0xa1b2c3d4, 113);
    refuse(&m, DUNE_E_INPUT, 20, "link type 113 (Linux cooked)");
    pcap_header(&m, 0xa1b2cd34, 1);
    refuse(&m, DUNE_E_FORMAT, 0, "modified pcap");
    pcap_header(&m, 0xa1b2c3d4, 1);
    m.b.data[4] = 3;
    refuse(&m, DUNE_E_VERSION, 4, "version 3.4");
    pbytes(&m, "GIF89a, certainly no capture", 28);
    refuse(&m, DUNE_E_FORMAT, 0, "not a capture file");
    pbytes(&m, "\xfd" "7zXZ\0\0\0", 8);
    refuse(&m, DUNE_E_FORMAT, 0, "xz");
    pcap_header(&m, 0xa1b2c3d4, 1);
    pcap_record(&m, 1, 2, "abc", 3);
    pcap_record(&m, 1, 2, "abc", 3);
    memcpy(m.b.data + 24 + 19 + 8, "\x01\0\x04\0", 4);
    refuse(&m, DUNE_E_FORMAT, 43, "packet 2 claims 262145 captured bytes");
    refuse(&m, DUNE_E_FORMAT, 0, "empty");
}

/* Before version 2.4 the captured length may stand second. */
static void test_pcap_old_lengths(void **state)
{
    struct image m = {0};
    struct dune_reader *r;

    (void)state;
    pcap_header(&m, 0xa1b2c3d4, 1);
    m.b.data[6] = 3;
    p32(&m, 1);
    p32(&m, 0);
    p32(&m, 60);
    p32(&m, 3);
    pbytes(&m, "abc", 3);
    assert_ok(open_image(&r, &m), diag);
    check_next(r, 1000000000, "abc", 60);
    check_end(r);
    dune_buf_fini(&m.b);
}

/* A captured length above the wire length is what was captured. */
static void test_wire_length_below_captured(void **state)
{
    struct image m = {0};
    struct dune_reader *r;

    (void)state;
    pcap_header(&m, 0xa1b2c3d4, 1);
    pcap_record(&m, 1, 0, "abcdef", 6);
    m.b.data[24 + 12] = 2;
    assert_ok(open_image(&r, &m), diag);
    check_next(r, 1000000000, "abcdef", 2);
    check_end(r);
    dune_buf_fini(&m.b);
}

/* --- pcapng ----------------------------------------------------------------------------------- */

static size_t begin(struct image *m, uint32_t type)
{
    size_t at = m->b.len;

    p32(m, type);
    p32(m, 0);
    return at;
}

static void end(struct image *m, size_t at)
{
    struct image len = {.big = m->big};

    while ((m->b.len - at) % 4)
        pbytes(m, "", 1);
    p32(&len, (uint32_t)(m->b.len - at + 4));
    memcpy(m->b.data + at + 4, len.b.data, 4);
    pbytes(m, len.b.data, 4);
    dune_buf_fini(&len.b);
}

static void section(struct image *m)
{
    size_t at = begin(m, 0x0a0d0d0a);

    p32(m, 0x1a2b3c4d);
    p16(m, 1);
    p16(m, 0);
    p32(m, 0xffffffff);
    p32(m, 0xffffffff);
    end(m, at);
}

/* resol < 0, offset 0: without the option. */
static void iface(struct image *m, unsigned link, uint32_t snap, int resol, int64_t offset)
{
    size_t at = begin(m, 1);

    p16(m, link);
    p16(m, 0);
    p32(m, snap);
    p16(m, 2); /* if_name, odd length */
    p16(m, 5);
    pbytes(m, "eth00\0\0\0", 8);
    if (resol >= 0) {
        p16(m, 9);
        p16(m, 1);
        pbytes(m, (const char[]){(char)resol, 0, 0, 0}, 4);
    }
    if (offset) {
        uint64_t o = (uint64_t)offset;

        p16(m, 14);
        p16(m, 8);
        p32(m, (uint32_t)(m->big ? o >> 32 : o));
        p32(m, (uint32_t)(m->big ? o : o >> 32));
    }
    p32(m, 0);
    end(m, at);
}

static void packet(struct image *m, uint32_t type, uint32_t id, uint64_t stamp, const char *data)
{
    size_t at = begin(m, type), n = strlen(data);

    if (type == 2) {
        p16(m, id);
        p16(m, 7); /* drops */
    } else {
        p32(m, id);
    }
    p32(m, (uint32_t)(stamp >> 32));
    p32(m, (uint32_t)stamp);
    p32(m, (uint32_t)n);
    p32(m, (uint32_t)n + 9);
    pbytes(m, data, n);
    while (m->b.len % 4)
        pbytes(m, "", 1);
    p16(m, 2); /* epb_flags */
    p16(m, 4);
    p32(m, 0);
    p32(m, 0);
    end(m, at);
}

static void simple(struct image *m, uint32_t wire, const char *data)
{
    size_t at = begin(m, 3);

    p32(m, wire);
    pbytes(m, data, strlen(data));
    end(m, at);
}

static void test_pcapng_everything(void **state)
{
    (void)state;
    for (int big = 0; big < 2; big++) {
        struct image m = {.big = big};
        struct dune_reader *r;

        section(&m);
        iface(&m, 1, 0, -1, 0);
        iface(&m, 1, 4, 9, 1000);
        end(&m, begin(&m, 0x0bad)); /* unknown block */
        packet(&m, 6, 0, UINT64_C(1600000000000001), "us");
        packet(&m, 6, 1, UINT64_C(1600000000000000001), "with offset");
        packet(&m, 2, 0, UINT64_C(1600000000000002), "obsolete");
        simple(&m, 5, "abcde");
        m.big = !m.big; /* a section of the other byte order, with its own interfaces */
        section(&m);
        iface(&m, 1, 4, 0x80 | 10, -5);
        packet(&m, 6, 0, 1024 * 7 + 512, "2^-10");
        simple(&m, 9, "abcd");
        iface(&m, 1, 0, 12, 0);
        packet(&m, 6, 1, UINT64_C(5000000001999), "ps");
        iface(&m, 1, 0, 0, 0);
        packet(&m, 6, 2, 3, "s");
        assert_ok(open_image(&r, &m), diag);
        check_next(r, UINT64_C(1600000000000001000), "us", 11);
        check_next(r, UINT64_C(1600001000000000001), "with offset", 20);
        check_next(r, UINT64_C(1600000000000002000), "obsolete", 17);
        check_next(r, 0, "abcde", 5);
        check_next(r, UINT64_C(2500000000), "2^-10", 14);
        check_next(r, 0, "abcd", 9);
        check_next(r, UINT64_C(5000000001), "ps", 11);
        check_next(r, UINT64_C(3000000000), "s", 10);
        check_end(r);
        dune_buf_fini(&m.b);
    }
}

static void test_pcapng_truncated(void **state)
{
    struct image m = {0};
    size_t ends[4];
    uint64_t n;

    (void)state;
    section(&m);
    ends[0] = m.b.len;
    iface(&m, 1, 0, 9, 0);
    ends[1] = m.b.len;
    packet(&m, 6, 0, 1, "abc");
    ends[2] = m.b.len;
    packet(&m, 6, 0, 1, "abcde");
    ends[3] = m.b.len;
    for (size_t len = 1; len <= ends[3]; len++) {
        struct image cut = {.b = {malloc(len), len, 0}};
        bool whole = len == ends[0] || len == ends[1] || len == ends[2] || len == ends[3];

        memcpy(cut.b.data, m.b.data, len);
        assert_int_equal(drain(&cut, &n), whole ? 0 : DUNE_E_FORMAT);
        free(cut.b.data);
    }
    dune_buf_fini(&m.b);
}

static void test_pcapng_refused(void **state)
{
    struct image m = {0};
    size_t at;

    (void)state;
    section(&m);
    at = m.b.len;
    iface(&m, 113, 0, -1, 0);
    refuse(&m, DUNE_E_INPUT, at, "Linux cooked"); /* not one Ethernet interface */
    section(&m);
    iface(&m, 1, 0, -1, 0);
    iface(&m, 105, 0, -1, 0);
    packet(&m, 6, 0, 1, "fine");
    at = m.b.len;
    packet(&m, 6, 1, 1, "foreign");
    refuse(&m, DUNE_E_INPUT, at, "802.11");
    section(&m);
    at = m.b.len;
    packet(&m, 6, 0, 1, "x");
    refuse(&m, DUNE_E_FORMAT, at, "names interface 0");
    section(&m);
    iface(&m, 1, 0, -1, -100);
    at = m.b.len;
    packet(&m, 6, 0, 1, "x");
    refuse(&m, DUNE_E_FORMAT, at, "before 1970");
    section(&m);
    m.b.data[m.b.len - 1] = 1;
    refuse(&m, DUNE_E_FORMAT, 0, "lengths differ");
    section(&m);
    m.b.data[8] = 0;
    refuse(&m, DUNE_E_FORMAT, 8, "byte-order mark");
    section(&m);
    m.b.data[12] = 2;
    refuse(&m, DUNE_E_VERSION, 12, "version 2.0");
    section(&m);
    at = m.b.len;
    iface(&m, 1, 0, 28, 0);
    refuse(&m, DUNE_E_FORMAT, at, "10^-28");
    section(&m);
    iface(&m, 1, 0, -1, 0);
    at = m.b.len;
    packet(&m, 6, 0, 1, "abcd");
    m.b.data[at + 20] = 100;
    refuse(&m, DUNE_E_FORMAT, at, "claims 100 captured bytes");
}

/* --- packed files ------------------------------------------------------------------------------ */

static void sample(struct image *m)
{
    pcap_header(m, 0xa1b2c3d4, 1);
    for (unsigned i = 0; i < 50000; i++)
        pcap_record(m, i, 0, "some bytes of a frame", 21);
}

static void pack_gzip(const struct image *m, struct image *out)
{
    z_stream z = {0};
    size_t cap = m->b.len + 1000;

    DUNE_VEC_RESERVE(&out->b, out->b.len + cap);
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)m->b.data;
    z.avail_in = (uInt)m->b.len;
    z.next_out = (Bytef *)out->b.data + out->b.len;
    z.avail_out = (uInt)cap;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->b.len += cap - z.avail_out;
    deflateEnd(&z);
}

static void pack_zstd(const struct image *m, struct image *out)
{
    size_t cap = ZSTD_compressBound(m->b.len);
    ZSTD_CCtx *z = ZSTD_createCCtx();

    DUNE_VEC_RESERVE(&out->b, out->b.len + cap);
    ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1); /* as the zstd program does */
    out->b.len += ZSTD_compress2(z, out->b.data + out->b.len, cap, m->b.data, m->b.len);
    ZSTD_freeCCtx(z);
}

static void check_packed(void (*pack)(const struct image *, struct image *))
{
    struct image m = {0}, packed = {0}, head, tail;
    uint64_t n;

    sample(&m);
    pack(&m, &packed);
    assert_int_equal(drain(&packed, &n), 0);
    assert_int_equal(n, 50000);
    for (size_t cut = 1; cut < packed.b.len; cut += packed.b.len / 7) {
        size_t len = packed.b.len;

        packed.b.len = len - cut;
        assert_int_equal(drain(&packed, &n), DUNE_E_FORMAT);
        packed.b.len = len;
    }
    packed.b.data[packed.b.len / 2] ^= 0x55;
    assert_int_not_equal(drain(&packed, &n), 0);
    packed.b.len = 0;
    head = tail = m; /* two members one after another */
    head.b.len = 1000;
    tail.b.data += 1000;
    tail.b.len -= 1000;
    pack(&head, &packed);
    pack(&tail, &packed);
    assert_int_equal(drain(&packed, &n), 0);
    assert_int_equal(n, 50000);
    pbytes(&packed, "garbage", 7);
    assert_int_equal(drain(&packed, &n), DUNE_E_FORMAT);
    packed.b.len = 0;
    m.b.len = 0;
    pack(&m, &packed);
    refuse(&packed, DUNE_E_FORMAT, 0, "empty once unpacked");
    pbytes(&m, "no capture", 10);
    pack(&m, &packed);
    refuse(&packed, DUNE_E_FORMAT, 0, "not a capture file");
    dune_buf_fini(&m.b);
}

static void test_gzip(void **state)
{
    (void)state;
    check_packed(pack_gzip);
}

static void test_zstd(void **state)
{
    (void)state;
    check_packed(pack_zstd);
}

/* Records of every size across the borders of windows, with and without giving memory back in between. */
static void check_windows(const struct image *plain, void (*pack)(const struct image *, struct image *), unsigned every)
{
    struct image packed = {0};
    struct dune_reader *a, *b;
    struct dune_record x, y;
    unsigned n = 0;
    int rc;

    pack(plain, &packed);
    assert_ok(open_image(&a, plain), diag);
    assert_ok(open_image(&b, &packed), diag);
    while ((rc = dune_reader_next(a, &x, &diag)) == 1) {
        assert_int_equal(dune_reader_next(b, &y, &diag), 1);
        assert_true(x.cap_len == y.cap_len && x.wire_len == y.wire_len && x.ts_ns == y.ts_ns && x.offset == y.offset);
        assert_memory_equal(x.data, y.data, x.cap_len);
        if (every && ++n % every == 0)
            dune_reader_recycle(b);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(dune_reader_next(b, &y, &diag), 0);
    dune_reader_close(a);
    dune_reader_close(b);
    dune_buf_fini(&packed.b);
}

static void test_windows(void **state)
{
    static char frame[200001];
    struct image pcap = {0}, ng = {.big = true};
    struct dune_rng r;

    (void)state;
    dune_rng_init(&r, 5, 0, 0, 0);
    pcap_header(&pcap, 0xa1b2c3d4, 1);
    section(&ng);
    iface(&ng, 1, 0, -1, 0);
    for (int i = 0; i < 300; i++) {
        size_t len = dune_rng_below(&r, i % 10 ? 1500 : 200000);

        for (size_t k = 0; k < len; k++)
            frame[k] = (char)(1 + dune_rng_below(&r, 255));
        frame[len] = '\0';
        pcap_record(&pcap, (uint32_t)i, 0, frame, len);
        packet(&ng, 6, 0, (uint64_t)i, frame);
    }
    for (unsigned every = 0; every < 8; every += 7) {
        check_windows(&pcap, pack_gzip, every);
        check_windows(&pcap, pack_zstd, every);
        check_windows(&ng, pack_gzip, every);
        check_windows(&ng, pack_zstd, every);
    }
    dune_buf_fini(&pcap.b);
    dune_buf_fini(&ng.b);
}

/* --- files and the writer ---------------------------------------------------------------------- */

static void test_writer_round_trip(void **state)
{
    char *path = dune_mem_printf("/tmp/dune-writer-%ld.pcap", (long)getpid());
    struct dune_diag d = {0};
    struct dune_writer *w;
    struct dune_reader *r;

    (void)state;
    assert_ok(dune_writer_open(&w, path, &d), d);
    assert_ok(dune_writer_put(w, 1500000000123456789, "abc", 3, 60, &d), d);
    assert_ok(dune_writer_put(w, 0, NULL, 0, 0, &d), d);
    assert_false(dune_path_exists(path)); /* nothing is seen before the commit */
    assert_ok(dune_writer_commit(w, &d), d);
    assert_ok(dune_reader_open(&r, path, &d), d);
    check_next(r, 1500000000123456789, "abc", 60);
    check_next(r, 0, "", 0);
    check_end(r);
    unlink(path);
    assert_ok(dune_writer_open(&w, path, &d), d);
    dune_writer_abort(w);
    assert_false(dune_path_exists(path));
    assert_int_equal(dune_writer_open(&w, "/nonexistent/x.pcap", &d), DUNE_E_IO);
    assert_null(w);
    dune_mem_free(path);
}

static void test_writer_refuses(void **state)
{
    char *path = dune_mem_printf("/tmp/dune-writer-%ld.pcap", (long)getpid());
    struct dune_diag d = {0};
    struct dune_writer *w;

    (void)state;
    assert_ok(dune_writer_open(&w, path, &d), d);
    assert_int_equal(dune_writer_put(w, UINT64_MAX, "x", 1, 1, &d), DUNE_E_INPUT);
    memset(&d, 0, sizeof(d));
    assert_int_equal(dune_writer_put(w, 0, "x", 300000, 1, &d), DUNE_E_INPUT);
    dune_writer_abort(w);
    dune_mem_free(path);
}

static void test_missing_file(void **state)
{
    struct dune_diag d = {0};
    struct dune_reader *r;

    (void)state;
    assert_int_equal(dune_reader_open(&r, "/nonexistent/x.pcap", &d), DUNE_E_INPUT);
    assert_null(r);
    assert_string_equal(d.file, "/nonexistent/x.pcap");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_pcap_variants),     cmocka_unit_test(test_header_only),
    cmocka_unit_test(test_pcap_truncated),    cmocka_unit_test(test_pcap_refused),
    cmocka_unit_test(test_pcap_old_lengths),  cmocka_unit_test(test_wire_length_below_captured),
    cmocka_unit_test(test_pcapng_everything), cmocka_unit_test(test_pcapng_truncated),
    cmocka_unit_test(test_pcapng_refused),    cmocka_unit_test(test_gzip),
    cmocka_unit_test(test_zstd),              cmocka_unit_test(test_writer_round_trip),
    cmocka_unit_test(test_writer_refuses),    cmocka_unit_test(test_missing_file),
    cmocka_unit_test(test_windows),
};
RUN_TESTS(tests)
