/* SPDX-License-Identifier: Apache-2.0 */
/* Flows as text and back, on their way to the ticker, and found again. */
#include "dash_kit.h"

static void text_and_back(void **state)
{
    static const char *const good[] = {"tcp 10.0.0.1:80 10.0.0.2:4000", "udp [fd00::1]:53 [fd00::2]:65535", "tcp 0.0.0.0:0 255.255.255.255:1"};
    static const char *const bad[] = {"", "tcp", "tcp 10.0.0.1:80", "tcp 10.0.0.1 10.0.0.2", "icmp 10.0.0.1:80 10.0.0.2:4000",
                                      "tcp 10.0.0.1:80 10.0.0.2:65536", "tcp 10.0.0.1:80 [fd00::2]:4000", "tcp 10.0.0.1:80 10.0.0.2:4000 x",
                                      "tcp 10.0.0:80 10.0.0.2:4000", "tcp [::1:80 [::2]:1", "tcp 10.0.0.1:-1 10.0.0.2:1", "tcp :80 :90"};
    struct dune_flow_key k;
    char text[DASH_KEY_TEXT];

    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(good); i++) {
        assert_true(dash_key_parse(&k, good[i]));
        dash_key_text(&k, text);
        assert_string_equal(text, good[i]);
    }
    for (size_t i = 0; i < DUNE_ARRAY_LEN(bad); i++)
        if (dash_key_parse(&k, bad[i]))
            fail_msg("\"%s\" was taken for a flow", bad[i]);
    memset(&k, 0xff, sizeof(k)); /* the longest text of a key */
    k.len = 37;
    dash_key_text(&k, text);
    assert_true(strlen(text) > 80);
}

static void ring_keeps_order_and_drops(void **state)
{
    struct dash_ring r;
    struct dash_flow f = {0}, out[100];
    uint64_t put = 0, got = 0;

    (void)state;
    dash_ring_init(&r);
    for (int round = 0; round < 500; round++) {
        for (int i = 0; i < 61; i++) {
            f.seq = put++;
            dash_ring_put(&r, &f);
        }
        for (size_t i = 0, n = dash_ring_take(&r, out, 100); i < n; i++)
            assert_int_equal(out[i].seq, got++);
    }
    assert_int_equal(r.dropped, 0);
    for (int i = 0; i < DASH_RING + 7; i++)
        dash_ring_put(&r, &f);
    assert_int_equal(r.dropped, put - got ? 7 + (put - got) : 7);
    dash_ring_fini(&r);
}

static size_t hits(struct dune_dash *dash, struct dash_flow *f, size_t n, const char *query)
{
    struct dune_buf b = {0};
    json_t *root;
    size_t found;

    dash_flows_json(f, n, dash->scene, query, 10, &b);
    root = kit_json(b.data, b.len);
    found = json_array_size(json_object_get(root, "flows"));
    json_decref(root);
    dune_buf_fini(&b);
    return found;
}

static void search(void **state)
{
    struct dune_dash *dash = kit_new(NULL);
    struct dash_flow f[30];

    (void)state;
    for (int i = 0; i < 30; i++) {
        f[i] = kit_flow("tcp 10.0.0.1:80 10.0.0.2:4000", (uint32_t)i % (KIT_CLASSES + 1));
        f[i].key.bytes[7] = (uint8_t)i;
    }
    assert_int_equal(hits(dash, f, 30, ""), 10); /* the limit */
    assert_int_equal(hits(dash, f, 30, "10.0.0.17:4000"), 1);
    assert_int_equal(hits(dash, f, 30, "tcp 10.0.0.1:80 > 10.0.0.17:4000"), 1);
    assert_int_equal(hits(dash, f, 30, "udp"), 0);
    assert_int_equal(hits(dash, f, 30, "UNCLAIMED"), 5);
    assert_int_equal(hits(dash, f, 30, "onerror=alert"), 5); /* a class */
    assert_int_equal(hits(dash, f, 30, "nonsense"), 0);
    assert_int_equal(hits(dash, f, 0, ""), 0);
    kit_free(dash);
}

static void log_is_one_line(void **state)
{
    struct dune_dash *dash = kit_new(NULL);

    (void)state;
    for (uint32_t cls = 0; cls <= KIT_CLASSES; cls++) {
        struct dash_flow f = kit_flow("udp [fd00::1]:53 [fd00::2]:9", cls);
        struct dune_buf b = {0};
        json_t *root;

        dash_flow_line(&b, dash->scene, &f);
        assert_ptr_equal(strchr(b.data, '\n'), b.data + b.len - 1);
        root = kit_json(b.data, b.len);
        assert_true(json_is_string(json_object_get(root, "class")) == (cls < KIT_CLASSES));
        assert_int_equal(json_integer_value(json_object_get(root, "confidence")), 200);
        json_decref(root);
        dune_buf_fini(&b);
    }
    kit_free(dash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_back),
        cmocka_unit_test(ring_keeps_order_and_drops),
        cmocka_unit_test(search),
        cmocka_unit_test(log_is_one_line),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
