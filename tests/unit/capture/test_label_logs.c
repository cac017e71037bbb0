/* SPDX-License-Identifier: Apache-2.0 */
/* Logs of Zeek and Suricata as labels: what they answer, what is refused. */
#include "testing.h"

#include <arpa/inet.h>

#include "dune/labels.h"

static struct dune_diag diag;

static int parse(struct dune_labels **l, const char *text, const char *field)
{
    struct dune_labels_opts o = {.field = field};

    memset(&diag, 0, sizeof(diag));
    return dune_labels_parse(l, "log", text, strlen(text), &o, &diag);
}

/* The class of a packet between two IPv4 hosts; "-": none, a "!" behind it: conflict. */
static void expect(const struct dune_labels *l, const char *src, unsigned sport, const char *dst,
                   unsigned dport, uint8_t proto, uint64_t ts_ns, const char *answer)
{
    struct dune_label_ctx ctx = {.file = "x.pcap", .ts_ns = ts_ns};
    struct dune_packet p = {.key.len = 13};
    uint8_t frame[14] = {0}, *k = p.key.bytes;
    bool conflict;
    uint32_t cls;
    char got[300];

    inet_pton(AF_INET, src, k);
    inet_pton(AF_INET, dst, k + 4);
    k[8] = (uint8_t)(sport >> 8), k[9] = (uint8_t)sport;
    k[10] = (uint8_t)(dport >> 8), k[11] = (uint8_t)dport;
    k[12] = proto;
    cls = dune_labels_lookup(l, &ctx, frame, &p, &conflict);
    snprintf(got, sizeof(got), "%s%s", cls == DUNE_LABEL_NONE ? "-" : dune_labels_class(l, cls), conflict ? "!" : "");
    assert_string_equal(got, answer);
}

#define ZEEK_HEAD                                                                                  \
    "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n"   \
    "#open\t2024-01-01-00-00-00\n"                                                                 \
    "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\tconn_state\n" \
    "#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval\tstring\n"

static void test_zeek_tabs(void **state)
{
    struct dune_labels *l;

    (void)state;
    assert_ok(parse(&l, ZEEK_HEAD "100.5\tC1\t10.0.0.1\t40000\t10.0.0.2\t80\ttcp\thttp\t2.25\tSF\n"
                                  "101\tC2\t10.0.0.1\t5353\t10.0.0.2\t53\tudp\tdns\t-\tSF\r\n"
                                  "102\tC3\t10.0.0.1\t40001\t10.0.0.2\t22\ttcp\t-\t1\tSF\n"
                                  "103\tC4\t10.0.0.1\t8\t10.0.0.2\t0\ticmp\t-\t1\tOTH\n"
                                  "200\tC5\t10.0.0.2\t80\t10.0.0.1\t40000\ttcp\tssl\t1\tSF\n#close\tx\n", NULL),
              diag);
    assert_string_equal(dune_labels_kind(l), "zeek");
    assert_int_equal(dune_labels_n_classes(l), 3);
    expect(l, "10.0.0.1", 5353, "10.0.0.2", 53, 17, 5, "dns"); /* one class: whenever */
    expect(l, "10.0.0.2", 53, "10.0.0.1", 5353, 17, 5, "dns");
    expect(l, "10.0.0.1", 40001, "10.0.0.2", 22, 6, UINT64_C(102000000000), "-");
    expect(l, "10.0.0.1", 40000, "10.0.0.2", 80, 6, UINT64_C(101000000000), "http");
    expect(l, "10.0.0.2", 80, "10.0.0.1", 40000, 6, UINT64_C(200500000000), "ssl");
    expect(l, "10.0.0.2", 80, "10.0.0.1", 40000, 6, UINT64_C(150000000000), "-!"); /* neither of two */
    dune_labels_free(l);
    assert_ok(parse(&l, ZEEK_HEAD "1\tC1\t10.0.0.1\t1\t10.0.0.2\t80\ttcp\t-\t2\tSF\n"
                                  "1\tC1\t10.0.0.1\t2\t10.0.0.2\t80\ttcp\t-\t2\tS0\n", "conn_state"), diag);
    expect(l, "10.0.0.1", 2, "10.0.0.2", 80, 6, 0, "S0");
    dune_labels_free(l);
}

static void test_zeek_json(void **state)
{
    struct dune_labels *l;

    (void)state;
    assert_ok(parse(&l, "{\"ts\":100.5,\"uid\":\"C1\",\"id.orig_h\":\"10.0.0.1\",\"id.orig_p\":40000,"
                        "\"id.resp_h\":\"10.0.0.2\",\"id.resp_p\":80,\"proto\":\"tcp\",\"service\":\"http\"}\n"
                        "{\"ts\":\"1970-01-01T00:03:20Z\",\"id.orig_h\":\"10.0.0.1\",\"id.orig_p\":40000,"
                        "\"id.resp_h\":\"10.0.0.2\",\"id.resp_p\":80,\"proto\":\"tcp\",\"service\":\"ssl\",\"duration\":1.5}\n"
                        "{\"ts\":1,\"id.orig_h\":\"10.0.0.1\",\"id.resp_h\":\"10.0.0.2\",\"proto\":\"tcp\"}\n", NULL),
              diag);
    expect(l, "10.0.0.1", 40000, "10.0.0.2", 80, 6, UINT64_C(100500000000), "http");
    expect(l, "10.0.0.2", 80, "10.0.0.1", 40000, 6, UINT64_C(201400000000), "ssl");
    dune_labels_free(l);
}

#define FLOW(id, sport, app, start, end)                                                           \
    "{\"timestamp\":\"2024-01-01T00:00:59.000000+0000\",\"flow_id\":" id ",\"event_type\":\"flow\"," \
    "\"src_ip\":\"10.0.0.1\",\"src_port\":" sport ",\"dest_ip\":\"10.0.0.2\",\"dest_port\":80,"     \
    "\"proto\":\"TCP\",\"app_proto\":\"" app "\",\"flow\":{\"pkts_toserver\":1,\"start\":\"" start "\",\"end\":\"" end "\"}}\n"
#define ALERT(id, sport, sig, cat, start)                                                          \
    "{\"timestamp\":\"" start "\",\"flow_id\":" id ",\"event_type\":\"alert\",\"src_ip\":\"10.0.0.2\"," \
    "\"src_port\":80,\"dest_ip\":\"10.0.0.1\",\"dest_port\":" sport ",\"proto\":\"TCP\","           \
    "\"alert\":{\"signature\":\"" sig "\",\"category\":\"" cat "\"}}\n"
#define DAY UINT64_C(1704067200) /* 2024-01-01T00:00:00Z */

static void test_suricata(void **state)
{
    const char *text = "{\"timestamp\":\"2024-01-01T00:00:00.0+0000\",\"event_type\":\"stats\",\"stats\":{}}\n"
        FLOW("1", "1000", "http", "2024-01-01T00:00:10.000000+0000", "2024-01-01T02:00:20.5+0200")
        ALERT("2", "2000", "ET SCAN x", "Attempted Recon", "2024-01-01T00:00:10.5+0000")
        ALERT("3", "3000", "other", "Trojan", "2024-01-01T00:00:11.5+0000")
        ALERT("2", "2000", "ET SCAN y", "Attempted Recon", "2024-01-01T00:00:12.5+0000")
        FLOW("2", "2000", "failed", "2024-01-01T00:00:10.000000+0000", "2024-01-01T00:00:20+0000")
        ALERT("4", "2000", "z", "Trojan", "2024-01-01T00:01:10.5+0000");
    struct dune_labels *l;

    (void)state;
    assert_ok(parse(&l, text, NULL), diag);
    assert_string_equal(dune_labels_kind(l), "suricata");
    assert_int_equal(dune_labels_n_classes(l), 1);
    expect(l, "10.0.0.2", 80, "10.0.0.1", 1000, 6, 0, "http");
    expect(l, "10.0.0.1", 2000, "10.0.0.2", 80, 6, 0, "-");
    dune_labels_free(l);
    assert_ok(parse(&l, text, "alert.category"), diag);
    assert_int_equal(dune_labels_n_classes(l), 2);
    expect(l, "10.0.0.1", 1000, "10.0.0.2", 80, 6, 0, "-");
    expect(l, "10.0.0.1", 3000, "10.0.0.2", 80, 6, 0, "Trojan");
    expect(l, "10.0.0.1", 2000, "10.0.0.2", 80, 6, (DAY + 15) * 1000000000, "Attempted Recon");
    expect(l, "10.0.0.1", 2000, "10.0.0.2", 80, 6, (DAY + 80) * 1000000000, "Trojan");
    expect(l, "10.0.0.1", 2000, "10.0.0.2", 80, 6, (DAY + 40) * 1000000000, "-!"); /* the flow had ended */
    dune_labels_free(l);
    assert_ok(parse(&l, text, "alert.signature"), diag);
    assert_int_equal(dune_labels_n_classes(l), 4);
    dune_labels_free(l);
}

static void refuse(const char *text, const char *field, int code, unsigned line, const char *words)
{
    struct dune_labels *l;

    assert_int_equal(parse(&l, text, field), code);
    assert_null(l);
    assert_int_equal(diag.line, line);
    if (!strstr(diag.msg, words))
        fail_msg("\"%s\" does not say \"%s\"", diag.msg, words);
}

/* The last columns of IoT-23's logs are separated by blanks; its details are absent where a flow is benign. */
static void test_two_fields(void **state)
{
    const char *text = "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tduration\t"
                       "tunnel_parents   label   detailed-label\n"
                       "1\tC1\t10.0.0.1\t1\t10.0.0.2\t80\ttcp\t-\t(empty)   Malicious   C&C-HeartBeat\n"
                       "1\tC2\t10.0.0.1\t2\t10.0.0.2\t80\ttcp\t-\t-   Benign   -\n";
    struct dune_labels *l;

    (void)state;
    assert_ok(parse(&l, text, "detailed-label,label"), diag);
    assert_int_equal(dune_labels_n_classes(l), 2);
    expect(l, "10.0.0.1", 1, "10.0.0.2", 80, 6, 1000000000, "C&C-HeartBeat");
    expect(l, "10.0.0.2", 80, "10.0.0.1", 2, 6, 1000000000, "Benign");
    dune_labels_free(l);
    assert_ok(parse(&l, text, "label"), diag);
    expect(l, "10.0.0.1", 1, "10.0.0.2", 80, 6, 1000000000, "Malicious");
    dune_labels_free(l);
    assert_ok(parse(&l, "{\"ts\":1,\"id.orig_h\":\"10.0.0.1\",\"id.orig_p\":1,\"id.resp_h\":\"10.0.0.2\",\"id.resp_p\":80,"
                        "\"proto\":\"tcp\",\"service\":\"http\"}\n", "app,service"), diag);
    expect(l, "10.0.0.1", 1, "10.0.0.2", 80, 6, 1000000000, "http");
    dune_labels_free(l);
}

static void test_refused(void **state)
{
    (void)state;
    refuse("#separator ,\n", NULL, DUNE_E_FORMAT, 1, "tabs");
    refuse("#fields\tts\tuid\n", NULL, DUNE_E_FORMAT, 1, "no column \"id.orig_h\"");
    refuse(ZEEK_HEAD "1\tC\t10.0.0.1\n", NULL, DUNE_E_FORMAT, 9, "fewer than the #fields line");
    refuse(ZEEK_HEAD "x\tC\t10.0.0.1\t1\t10.0.0.2\t80\ttcp\thttp\t-\tSF\n", NULL, DUNE_E_FORMAT, 9, "not a time");
    refuse(ZEEK_HEAD "1\tC\t10.0.0\t1\t10.0.0.2\t80\ttcp\thttp\t-\tSF\n", NULL, DUNE_E_FORMAT, 9, "not an IP address");
    refuse(ZEEK_HEAD "1\tC\t10.0.0.1\t1\t::1\t80\ttcp\thttp\t-\tSF\n", NULL, DUNE_E_FORMAT, 9, "that kind");
    refuse(ZEEK_HEAD "1\tC\t10.0.0.1\t1\t10.0.0.2\t80\ttcp\t-\t-\tSF\n", NULL, DUNE_E_FORMAT, 9, "has a \"service\"");
    refuse(ZEEK_HEAD, "nothing", DUNE_E_FORMAT, 7, "no column \"nothing\"");
    refuse("{\"a\":1}\n", NULL, DUNE_E_FORMAT, 1, "neither");
    refuse("{\"event_type\":\"flow\"\n", NULL, DUNE_E_FORMAT, 1, "not a JSON object");
    refuse("{\"event_type\":\"dns\"}\n", NULL, DUNE_E_FORMAT, 1, "no flow events");
    refuse("{\"event_type\":\"flow\"}\n", NULL, DUNE_E_FORMAT, 1, "no time");
    refuse("mac,label\n02:00:00:00:00:01,a\n", "service", DUNE_E_USAGE, 0, "no log");
    refuse(ZEEK_HEAD "1\tC\t10.0.0.1\t1\t10.0.0.2\t80\ttcp\tOther\t-\tSF\n", NULL, DUNE_E_FORMAT, 9, "reserved");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_zeek_tabs), cmocka_unit_test(test_zeek_json),
    cmocka_unit_test(test_suricata),  cmocka_unit_test(test_refused), cmocka_unit_test(test_two_fields),
};
RUN_TESTS(tests)
