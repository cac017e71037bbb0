/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "dune/capture.h"

static struct dune_diag diag;

static int parse(struct dune_captures **c, const char *text)
{
    memset(&diag, 0, sizeof(diag));
    return dune_captures_parse(c, "c.csv", text, strlen(text), &diag);
}

static const struct dune_piece *pieces_of(const struct dune_captures *c, const char *path,
                                          size_t n_expected)
{
    const struct dune_piece *p;
    size_t n;

    assert_int_equal(dune_captures_pieces(c, path, &p, &n), 0);
    assert_int_equal(n, n_expected);
    return p;
}

static void test_splits(void **state)
{
    struct dune_captures *c;
    const struct dune_piece *p;
    size_t n;

    (void)state;
    assert_ok(parse(&c, "\xef\xbb\xbfsplit,file,source_capture,label,packets\r\n"
                        "train,a.pcap,run-1,X,10\r\n"
                        "test,a.pcap,run-9,X,7\r\n"
                        "train,b.pcap,\"run 1, again\",Y,5\r\n"
                        "train,a.pcap,run-2,X,11\r\n"), diag);
    p = pieces_of(c, "/data/train/a.pcap", 2);
    assert_string_equal(p[0].name, "run-1");
    assert_string_equal(p[0].split, "train");
    assert_int_equal(p[0].n_packets, 10);
    assert_string_equal(p[1].name, "run-2");
    assert_int_equal(p[1].n_packets, 11);
    assert_string_equal(pieces_of(c, "../test/a.pcap", 1)->name, "run-9");
    assert_string_equal(pieces_of(c, "train/b.pcap.zst", 1)->name, "run 1, again");
    pieces_of(c, "test/b.pcap", 0); /* a split that does not list it */
    pieces_of(c, "/data/test/c.pcap", 0);
    assert_string_equal(pieces_of(c, "elsewhere/b.pcap", 1)->split, "train");
    pieces_of(c, "elsewhere/xb.pcap", 0);
    assert_int_equal(dune_captures_pieces(c, "elsewhere/a.pcap", &p, &n), DUNE_E_INPUT);
    dune_captures_free(c);
}

static void test_without_splits(void **state)
{
    struct dune_captures *c;
    const struct dune_piece *p;

    (void)state;
    assert_ok(parse(&c, "packets,file\n3,a.pcap\n0,a.pcap\n\n4,dir/a.pcap\n"), diag);
    p = pieces_of(c, "a.pcap", 2);
    assert_string_equal(p[0].name, "a.pcap#1");
    assert_string_equal(p[0].split, "");
    assert_string_equal(p[1].name, "a.pcap#2");
    dune_captures_free(c);
}

static void refuse(const char *text, uint64_t line, const char *part)
{
    struct dune_captures *c;

    assert_int_equal(parse(&c, text), DUNE_E_FORMAT);
    assert_null(c);
    assert_string_equal(diag.file, "c.csv");
    assert_int_equal(diag.line, line);
    if (!strstr(diag.msg, part))
        fail_msg("\"%s\" does not say \"%s\"", diag.msg, part);
}

static void test_refused(void **state)
{
    (void)state;
    refuse("", 1, "empty");
    refuse("file,source_capture\n", 1, "no column \"packets\"");
    refuse("name,packets\na,1\n", 1, "no column \"file\"");
    refuse("file,packets\n", 2, "no captures");
    refuse("file,packets\na.pcap,-1\n", 2, "\"-1\" is not a number of packets");
    refuse("file,packets\na.pcap,1\nb.pcap,1,2\n", 3, "3 fields");
    refuse("file,packets\n,1\n", 2, "no file name");
    refuse("file,file,packets\na,a,1\n", 1, "stands twice");
    refuse("file,source_capture,packets\na,x,1\nb,x,1\na,y,2\na,x,3\n", 5, "first on line 2");
    refuse("file,packets\na.pcap,18446744073709551615\n", 2, "not a number");
}

/* The lists of the shared data add up to the packets of the files. */
static void test_shared(void **state)
{
    const char *path = shared_data("aalto-iot-setup/captures.csv");
    const char *file = shared_data("aalto-iot-setup/test/HueBridge.pcap");
    struct dune_captures *c;
    struct dune_reader *r;
    struct dune_record rec;
    const struct dune_piece *p;
    uint64_t listed = 0, found = 0;
    size_t n;

    (void)state;
    if (!path || !file)
        skip();
    memset(&diag, 0, sizeof(diag));
    assert_ok(dune_captures_read(&c, path, &diag), diag);
    assert_int_equal(dune_captures_pieces(c, file, &p, &n), 0);
    assert_int_equal(n, 4);
    for (size_t i = 0; i < n; i++)
        listed += p[i].n_packets;
    assert_ok(dune_reader_open(&r, file, &diag), diag);
    while (dune_reader_next(r, &rec, &diag) == 1)
        found++;
    assert_int_equal(diag.code, 0);
    assert_int_equal(listed, found);
    dune_reader_close(r);
    dune_captures_free(c);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_splits),
    cmocka_unit_test(test_without_splits),
    cmocka_unit_test(test_refused),
    cmocka_unit_test(test_shared),
};
RUN_TESTS(tests)
