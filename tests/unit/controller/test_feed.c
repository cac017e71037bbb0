/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of feeds: members and columns, names that need quotes, both families, files that go on and files as a whole. */
#include "dune/feed.h"

#include <unistd.h>

#include "testing.h"

static struct dune_feed_event event(bool v6)
{
    struct dune_feed_event e = {.kind = DUNE_FEED_FLOW, .time_ns = 1700000000000000123u, .cls = "a,\"b\"", .conf = 200,
                                .submodel = 3, .flow_level = true, .settled = true, .device = "s1", .generation = 7,
                                .capture = "c#1", .first_ns = 5, .packets = 6, .bytes = 7};
    static const uint8_t v4_key[] = {10, 0, 0, 1, 10, 0, 0, 2, 0x10, 0x01, 0, 53, 17};

    e.key.len = v6 ? 37 : 13;
    if (v6) {
        e.key.bytes[0] = 0xfd;
        e.key.bytes[15] = 1;
        e.key.bytes[31] = 2;
        e.key.bytes[33] = 80;
        e.key.bytes[35] = 9;
        e.key.bytes[36] = 6;
    } else {
        memcpy(e.key.bytes, v4_key, sizeof(v4_key));
    }
    return e;
}

static void test_json(void **state)
{
    struct dune_feed_event e = event(false);
    struct dune_buf b = {0};

    (void)state;
    dune_feed_json(&e, &b);
    assert_string_equal(b.data,
        "{\"event\": \"flow\", \"time_ns\": 1700000000000000123, \"proto\": \"udp\", \"src\": \"10.0.0.1\", \"sport\": 4097, "
        "\"dst\": \"10.0.0.2\", \"dport\": 53, \"class\": \"a,\\\"b\\\"\", \"confidence\": 200, \"submodel\": 3, "
        "\"phase\": \"flow\", \"tentative\": false, \"settled\": true, \"pinned\": false, \"device\": \"s1\", "
        "\"generation\": 7, \"capture\": \"c#1\", \"first_ns\": 5, \"packets\": 6, \"bytes\": 7}\n");
    b.len = 0;
    e = event(true);
    e.kind = DUNE_FEED_DIGEST;
    e.cls = e.device = NULL;
    dune_feed_json(&e, &b);
    assert_non_null(strstr(b.data, "\"event\": \"digest\""));
    assert_non_null(strstr(b.data, "\"proto\": \"tcp\", \"src\": \"fd00::1\", \"sport\": 80, \"dst\": \"::2\", \"dport\": 9"));
    assert_non_null(strstr(b.data, "\"class\": null"));
    assert_non_null(strstr(b.data, "\"device\": null, \"generation\": 7}\n"));
    dune_buf_fini(&b);
}

static unsigned commas(const char *s)
{
    unsigned n = 0;
    bool quoted = false;

    for (; *s; s++) {
        quoted ^= *s == '"';
        n += *s == ',' && !quoted;
    }
    return n;
}

static void test_csv(void **state)
{
    struct dune_feed_event e = event(false);
    struct dune_buf b = {0};

    (void)state;
    dune_feed_csv(&e, &b);
    assert_string_equal(b.data, "flow,1700000000000000123,udp,10.0.0.1,4097,10.0.0.2,53,\"a,\"\"b\"\"\",200,3,flow,0,1,0,s1,7,"
                                "c#1,5,6,7\n");
    assert_int_equal(commas(b.data), commas(dune_feed_csv_header()));
    b.len = 0;
    e.kind = DUNE_FEED_DIGEST;
    dune_feed_csv(&e, &b);
    assert_int_equal(commas(b.data), commas(dune_feed_csv_header()));
    dune_buf_fini(&b);
}

static unsigned lines_of(const char *path)
{
    struct dune_diag d = {0};
    unsigned n = 0;
    char *text;
    size_t len;

    assert_ok(dune_file_read(path, &text, &len, &d), d);
    for (size_t i = 0; i < len; i++)
        n += text[i] == '\n';
    dune_mem_free(text);
    return n;
}

static void test_files(void **state)
{
    char dir[] = "/tmp/dune-feed-XXXXXX", path[64], spec[80];
    struct dune_feed_event e = event(true);
    struct dune_feed *f;
    struct dune_diag d = {0};

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/feed.csv", dir);
    snprintf(spec, sizeof(spec), "csv:%s", path);
    for (unsigned i = 0; i < 2; i++) { /* appended, one header */
        assert_ok(dune_feed_open(&f, spec, false, &d), d);
        assert_ok(dune_feed_put(f, &e, &d), d);
        assert_int_equal(lines_of(path), 2 + i);
        assert_ok(dune_feed_commit(f, &d), d);
    }
    assert_ok(dune_feed_open(&f, spec, true, &d), d); /* a whole file in its place, or not at all */
    assert_ok(dune_feed_put(f, &e, &d), d);
    dune_feed_abort(f);
    assert_int_equal(lines_of(path), 3);
    assert_ok(dune_feed_open(&f, spec, true, &d), d);
    assert_ok(dune_feed_put(f, &e, &d), d);
    assert_ok(dune_feed_commit(f, &d), d);
    assert_int_equal(lines_of(path), 2);
    assert_int_equal(dune_feed_open(&f, "xml:x", false, &d), DUNE_E_USAGE);
    assert_int_equal(dune_feed_open(&f, "json:", false, NULL), DUNE_E_USAGE);
    assert_int_equal(dune_feed_open(&f, "json:/nowhere/x", false, NULL), DUNE_E_IO);
    d = (struct dune_diag){0};
    if (access("/dev/full", W_OK) == 0) {
        assert_ok(dune_feed_open(&f, "json:/dev/full", false, &d), d);
        assert_int_equal(dune_feed_put(f, &e, &d), DUNE_E_IO);
        assert_int_equal(dune_feed_put(f, &e, NULL), DUNE_E_IO);
        dune_feed_abort(f);
    }
    unlink(path);
    rmdir(dir);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_json), cmocka_unit_test(test_csv), cmocka_unit_test(test_files),
};
RUN_TESTS(tests)
