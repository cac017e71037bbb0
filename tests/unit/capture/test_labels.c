/* SPDX-License-Identifier: Apache-2.0 */
/* Every kind of label file: what it answers, what it refuses. */
#include "testing.h"

#include <arpa/inet.h>

#include "dune/capture.h"
#include "dune/labels.h"

static struct dune_diag diag;

static int parse(struct dune_labels **l, const char *text)
{
    memset(&diag, 0, sizeof(diag));
    return dune_labels_parse(l, "l.csv", text, strlen(text), NULL, &diag);
}

/* A packet that only has what labels look at. */
struct probe {
    uint8_t frame[14];
    struct dune_packet p;
    struct dune_label_ctx ctx;
};

static struct probe make_probe(const char *src, unsigned sport, const char *dst, unsigned dport,
                               unsigned proto)
{
    struct probe b = {.ctx = {.file = "x/y.pcap"}};
    bool v6 = strchr(src, ':') != NULL;
    size_t n = v6 ? 16 : 4;
    uint8_t *k = b.p.key.bytes;

    b.p.is_ipv6 = v6;
    b.p.key.len = (uint8_t)(2 * n + 5);
    inet_pton(v6 ? AF_INET6 : AF_INET, src, k);
    inet_pton(v6 ? AF_INET6 : AF_INET, dst, k + n);
    k[2 * n] = (uint8_t)(sport >> 8);
    k[2 * n + 1] = (uint8_t)sport;
    k[2 * n + 2] = (uint8_t)(dport >> 8);
    k[2 * n + 3] = (uint8_t)dport;
    k[2 * n + 4] = (uint8_t)proto;
    return b;
}

static struct probe mac_probe(const char *src, const char *dst)
{
    struct probe b = make_probe("10.0.0.1", 1, "10.0.0.2", 2, 6);

    memcpy(b.frame, dst, 6);
    memcpy(b.frame + 6, src, 6);
    return b;
}

/* "class", "class!" with a conflict, "-" for none. */
static void expect(const struct dune_labels *l, const struct probe *b, const char *answer)
{
    bool conflict = true;
    uint32_t cls = dune_labels_lookup(l, &b->ctx, b->frame, &b->p, &conflict);
    struct dune_label_query many[40]; /* more than one burst; every answer is the one of the single look-up */
    char got[300];

    for (size_t i = 0; i < 40; i++)
        many[i] = (struct dune_label_query){.frame = b->frame, .p = &b->p, .ts_ns = b->ctx.ts_ns, .conflict = !conflict};
    dune_labels_lookup_many(l, &b->ctx, many, 40);
    for (size_t i = 0; i < 40; i++)
        assert_true(many[i].cls == cls && many[i].conflict == conflict);

    snprintf(got, sizeof(got), "%s%s", cls == DUNE_LABEL_NONE ? "-" : dune_labels_class(l, cls),
             conflict ? "!" : "");
    assert_string_equal(got, answer);
}

#define M1 "\x02\x00\x00\x00\x00\x01"
#define M2 "\x02\x00\x00\x00\x00\x02"
#define M3 "\x02\x00\x00\x00\x00\x03"
#define GATEWAY "\x14\xcc\x20\x51\x33\xea"

static void test_mac(void **state)
{
    struct dune_labels *l;
    struct probe b;

    (void)state;
    assert_ok(parse(&l, "\xef\xbb\xbfmac,label\r\n02:00:00:00:00:01,Lamp\r\n"
                        "\"02-00-00-00-00-02\",\"Cam, \"\"HD\"\"\"\r\n\r\n0200000000AA,Lamp\r\n"),
              diag);
    assert_string_equal(dune_labels_kind(l), "mac");
    assert_int_equal(dune_labels_n_classes(l), 2);
    assert_string_equal(dune_labels_class(l, 0), "Cam, \"HD\"");
    assert_string_equal(dune_labels_class(l, 1), "Lamp");
    assert_null(dune_labels_class(l, 2));
    b = mac_probe(M1, M3);
    expect(l, &b, "Lamp");
    b = mac_probe(M3, M1);
    expect(l, &b, "Lamp");
    b = mac_probe(M2, M1);
    expect(l, &b, "Cam, \"HD\"!"); /* the source decides */
    b = mac_probe("\x02\0\0\0\0\xaa", M1);
    expect(l, &b, "Lamp"); /* two entries of one class are no conflict */
    b = mac_probe(M3, M3);
    expect(l, &b, "-");
    dune_labels_free(l);
}

static void check_unsw(const char *text)
{
    struct dune_labels *l;
    struct probe b;

    assert_ok(parse(&l, text), diag);
    assert_string_equal(dune_labels_kind(l), "unsw");
    assert_int_equal(dune_labels_n_classes(l), 2);
    assert_string_equal(dune_labels_class(l, 1), "Smart Things");
    b = mac_probe(M1, M2);
    expect(l, &b, "Smart Things"); /* only the source counts */
    b = mac_probe(GATEWAY, M2);
    expect(l, &b, "Insteon Camera");
    b = mac_probe(GATEWAY, M3);
    expect(l, &b, "Insteon Camera");
    b = mac_probe("\x02\0\0\0\0\x09", M2);
    expect(l, &b, "-");
    b = mac_probe(GATEWAY, GATEWAY);
    expect(l, &b, "-");
    dune_labels_free(l);
}

static void test_unsw(void **state)
{
    struct dune_labels_opts opts = {.gateway_mac = "02:00:00:00:00:09"};
    struct dune_labels *l;
    struct probe b;

    (void)state;
    check_unsw("List of Devices,MAC ADDRESS,Connection type\nSmart Things,02:00:00:00:00:01,Wired\n"
               "Insteon Camera,02:00:00:00:00:02 ,Wired\n,02:00:00:00:00:03,Wireless\n"
               "TPLink Router Bridge LAN (Gateway),14:cc:20:51:33:ea,\n");
    check_unsw("List of Devices\t\tMAC ADDRESS\tConnection type\t\r\n"
               "Smart Things\t\t02:00:00:00:00:01\tWired\r\n"
               "Insteon Camera \t02:00:00:00:00:02\t\t Wired\r\n"
               "               \t02:00:00:00:00:03\r\n\t\t\t\r\n");
    memset(&diag, 0, sizeof(diag));
    assert_ok(dune_labels_parse(&l, "u", "List of Devices,MAC ADDRESS,Connection type\n"
                                         "A,02:00:00:00:00:01,\n", 64 + 1, &opts, &diag), diag);
    b = mac_probe("\x02\0\0\0\0\x09", M1);
    expect(l, &b, "A");
    b = mac_probe(GATEWAY, M1);
    expect(l, &b, "-");
    dune_labels_free(l);
    opts.gateway_mac = "router";
    assert_int_equal(dune_labels_parse(&l, "u", "", 0, &opts, &diag), DUNE_E_USAGE);
}

static void test_five_tuple(void **state)
{
    struct dune_labels *l;
    struct probe b;

    (void)state;
    assert_ok(parse(&l, "src_ip,dst_ip,src_port,dst_port,proto,label\n"
                        "10.0.0.1,10.0.0.2,1000,80,6,web\n2001:db8::1,2001:db8::2,53,5353,udp,dns\n"),
              diag);
    assert_string_equal(dune_labels_kind(l), "five_tuple");
    b = make_probe("10.0.0.1", 1000, "10.0.0.2", 80, 6);
    expect(l, &b, "web");
    b = make_probe("10.0.0.2", 80, "10.0.0.1", 1000, 6);
    expect(l, &b, "-"); /* directed */
    b = make_probe("10.0.0.1", 1000, "10.0.0.2", 80, 17);
    expect(l, &b, "-");
    b = make_probe("2001:db8::1", 53, "2001:db8::2", 5353, 17);
    expect(l, &b, "dns");
    dune_labels_free(l);
}

static void at(const struct dune_labels *l, const char *capture, double seconds, const char *answer)
{
    struct probe b = make_probe("10.0.0.1", 1, "10.0.0.2", 2, 6);

    b.ctx.capture = capture;
    b.ctx.ts_ns = (uint64_t)(seconds * 1e9);
    expect(l, &b, answer);
}

static void test_ranges_and_captures(void **state)
{
    struct dune_labels *l;

    (void)state;
    assert_ok(parse(&l, "src_ip,dst_ip,src_port,dst_port,proto,label,start,end\n"
                        "10.0.0.1,10.0.0.2,1,2,6,A,10,20.5\n"
                        "10.0.0.1,10.0.0.2,1,2,6,B,30,90\n"
                        "10.0.0.1,10.0.0.2,1,2,6,C,40,45\n"
                        "10.0.0.1,10.0.0.2,1,2,6,B,80,\n"
                        "10.0.0.1,10.0.0.2,1,2,6,A,,5\n"), diag);
    at(l, NULL, 0, "A");
    at(l, NULL, 5.5, "-");
    at(l, NULL, 10, "A");
    at(l, NULL, 20.5, "A");
    at(l, NULL, 20.500000001, "-");
    at(l, NULL, 35, "B");
    at(l, NULL, 42, "B!"); /* the earlier line decides */
    at(l, NULL, 85, "B");
    at(l, NULL, 1e9, "B");
    dune_labels_free(l);
    assert_ok(parse(&l, "src_ip,dst_ip,src_port,dst_port,proto,label,capture\n"
                        "10.0.0.1,10.0.0.2,1,2,6,A,run-1\n"
                        "10.0.0.1,10.0.0.2,1,2,6,B,run-2\n"
                        "10.0.0.1,10.0.0.2,1,2,6,C,y\n"), diag);
    at(l, "run-1", 1, "A");
    at(l, "run-2", 1, "B");
    at(l, "run-3", 1, "-");
    at(l, NULL, 1, "C"); /* by the file's name */
    dune_labels_free(l);
    assert_ok(parse(&l, "capture,src_ip,dst_ip,src_port,dst_port,proto,label\n"
                        ",10.0.0.1,10.0.0.2,1,2,6,any\n"
                        "run-1,10.0.0.1,10.0.0.2,1,2,6,one\n"), diag);
    at(l, "run-1", 1, "any!");
    at(l, "run-2", 1, "any");
    dune_labels_free(l);
}

static void test_prefix(void **state)
{
    struct dune_labels *l;
    struct probe b;

    (void)state;
    assert_ok(parse(&l, "prefix,label\n10.0.0.0/8,wide\n10.1.0.0/17,narrow\n10.1.2.3,host\n"
                        "2001:db8::/33,six\n0.0.0.0/0,world\n"), diag);
    assert_string_equal(dune_labels_kind(l), "prefix");
    b = make_probe("10.1.2.3", 1, "10.1.2.4", 2, 6);
    expect(l, &b, "host!");
    b = make_probe("10.1.127.3", 1, "10.1.2.4", 2, 6);
    expect(l, &b, "narrow");
    b = make_probe("10.1.128.3", 1, "10.2.2.4", 2, 6);
    expect(l, &b, "wide");
    b = make_probe("8.8.8.8", 1, "8.8.4.4", 2, 6);
    expect(l, &b, "world");
    b = make_probe("2001:db8:7fff::1", 1, "2001:db9::", 2, 6);
    expect(l, &b, "six");
    b = make_probe("2001:db9::", 1, "2001:db8::7", 2, 6);
    expect(l, &b, "six");
    b = make_probe("2001:db8:8000::1", 1, "::", 2, 6);
    expect(l, &b, "-");
    dune_labels_free(l);
}

static void test_times(void **state)
{
    static const struct {
        const char *text, *early, *late, *never;
    } list[] = {
        {"mac,label,start,end\n02:00:00:00:00:01,a,,99.5\n02:00:00:00:00:01,b,100,200\n", "a", "b", "-"},
        {"end,prefix,label\n99.5,10.0.0.0/8,a\n200,10.0.0.1,b\n", "b!", "b", "-"},
        {"prefix,label,start,end\n10.0.0.1,a,1970-01-01T00:00:00Z,1970-01-01T00:01:39.5Z\n10.0.0.0/8,b,,200\n", "a!", "b", "-"},
        {"file,label,start,end\ny.pcap,a,0,99\nx/y.pcap,b,100,200\n", "-", "b", "-"},
        {"capture,label,start,end\ny,a,0,99\ny,b,100,200\n", "a", "b", "-"},
        {"mac,label,start\n02:00:00:00:00:01,a,10\n02:00:00:00:00:01,b,100\n", "a", "a!", "a!"},
        {"mac,label,end\n02:00:00:00:00:01,a,150\n02:00:00:00:00:02,b,\n", "a!", "a!", "b"},
    };

    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(list); i++) {
        struct probe b = mac_probe(M1, M2);
        struct dune_labels *l;

        assert_ok(parse(&l, list[i].text), diag);
        b.ctx.ts_ns = UINT64_C(50000000000);
        expect(l, &b, list[i].early);
        b.ctx.ts_ns = UINT64_C(150000000000);
        expect(l, &b, list[i].late);
        b.ctx.ts_ns = UINT64_C(250000000000);
        expect(l, &b, list[i].never);
        dune_labels_free(l);
    }
}

static void test_files_and_captures(void **state)
{
    struct dune_labels *l;
    struct probe b = make_probe("10.0.0.1", 1, "10.0.0.2", 2, 6);

    (void)state;
    assert_ok(parse(&l, "file,label\na.pcap,A\ntrain/a.pcap,T\nb.pcap.gz,B\n"), diag);
    b.ctx.file = "data/a.pcap";
    expect(l, &b, "A");
    b.ctx.file = "/data/train/a.pcap";
    expect(l, &b, "T");
    b.ctx.file = "train/a.pcap.gz";
    expect(l, &b, "T");
    b.ctx.file = "b.pcap.gz";
    expect(l, &b, "B");
    b.ctx.file = "aa.pcap";
    expect(l, &b, "-");
    b.ctx.file = NULL;
    expect(l, &b, "-");
    dune_labels_free(l);
    assert_ok(parse(&l, "capture,label\nrun-1,A\ny,Y\n"), diag);
    assert_string_equal(dune_labels_kind(l), "capture");
    b.ctx.capture = "run-1";
    expect(l, &b, "A");
    b.ctx.capture = "run-2";
    expect(l, &b, "-");
    b.ctx.capture = NULL;
    b.ctx.file = "x/y.pcap.gz";
    expect(l, &b, "Y");
    dune_labels_free(l);
}

/* The same name in several files: FILE#NAME, as in data sets and verdict files, tells them apart. */
static void test_captures_of_files(void **state)
{
    struct dune_labels *l;
    struct probe b = make_probe("10.0.0.1", 1, "10.0.0.2", 2, 6);

    (void)state;
    assert_ok(parse(&l, "capture,label\nrun-1,A\nb.pcap#run-1,B\ntrain/b.pcap#run-1,T\nc.pcap#2,C\n"), diag);
    b.ctx.capture = "run-1";
    b.ctx.file = "data/a.pcap";
    expect(l, &b, "A");
    b.ctx.file = "data/b.pcap";
    expect(l, &b, "B");
    b.ctx.file = "b.pcap.gz";
    expect(l, &b, "B");
    b.ctx.file = "data/train/b.pcap";
    expect(l, &b, "T");
    b.ctx.file = "data/xb.pcap";
    expect(l, &b, "A");
    b.ctx.file = NULL;
    expect(l, &b, "A");
    b.ctx.capture = "c.pcap#2"; /* the second capture of a file without names */
    b.ctx.file = "data/c.pcap";
    expect(l, &b, "C");
    dune_labels_free(l);
    assert_ok(parse(&l, "src_ip,dst_ip,src_port,dst_port,proto,label,capture\n"
                        "10.0.0.1,10.0.0.2,1,2,6,A,a.pcap#run-1\n10.0.0.1,10.0.0.2,1,2,6,B,b.pcap#run-1\n"), diag);
    b.ctx.capture = "run-1";
    b.ctx.file = "x/a.pcap";
    expect(l, &b, "A");
    b.ctx.file = "x/b.pcap";
    expect(l, &b, "B");
    b.ctx.file = "x/c.pcap";
    expect(l, &b, "-");
    dune_labels_free(l);
}

#define TON "ts,src_ip,src_port,dst_ip,dst_port,proto,service,duration,label,type\n"

static void test_ton_iot(void **state)
{
    struct dune_labels *l;
    struct probe b;

    (void)state;
    assert_ok(parse(&l, TON "100,10.0.0.1,5,10.0.0.2,80,tcp,-,1.5,1,xss\n"
                        "100,10.0.0.1,5,10.0.0.2,80,tcp,-,1.5,1,xss\n"
                        "100.25,10.0.0.2,2,10.0.0.1,1,6,http,10,0,normal\n"
                        "200,10.0.0.1,1,10.0.0.2,2,tcp,-,-,1,ddos\n"
                        "109,10.0.0.1,1,10.0.0.2,2,tcp,-,0,1,ddos\n"
                        "1,10.0.0.1,x,10.0.0.2,y,icmp,-,0,1,scanning\n"), diag);
    assert_string_equal(dune_labels_kind(l), "ton_iot");
    assert_int_equal(dune_labels_n_classes(l), 4);
    b = make_probe("10.0.0.1", 5, "10.0.0.2", 80, 6);
    expect(l, &b, "xss"); /* rows agree: any time, both directions */
    b = make_probe("10.0.0.2", 80, "10.0.0.1", 5, 6);
    expect(l, &b, "xss");
    at(l, NULL, 100.25, "normal");
    at(l, NULL, 100, "-!");
    at(l, NULL, 109.5, "normal!");
    at(l, NULL, 200.9, "ddos"); /* a stamp in whole seconds is that second */
    at(l, NULL, 201, "-!");
    dune_labels_free(l);
}

static void refuse(const char *text, uint64_t line, const char *part)
{
    struct dune_labels *l;

    assert_int_equal(parse(&l, text), DUNE_E_FORMAT);
    assert_null(l);
    assert_string_equal(diag.file, "l.csv");
    if (!strstr(diag.msg, part))
        fail_msg("\"%s\" does not say \"%s\"", diag.msg, part);
    assert_int_equal(diag.line, line);
}

#define FIVE "src_ip,dst_ip,src_port,dst_port,proto,label\n"
#define FIVE_T "src_ip,dst_ip,src_port,dst_port,proto,label,start,end\n"

static void test_refused(void **state)
{
    (void)state;
    refuse("", 1, "empty");
    refuse("mac;label\n", 1, "not a label file");
    refuse("mac,class\n02:00:00:00:00:01,x\n", 1, "not a label file");
    refuse("mac,label,vendor\n02:00:00:00:00:01,x,y\n", 1, "unknown column \"vendor\"");
    refuse("mac,label,label\n02:00:00:00:00:01,x,y\n", 1, "stands twice");
    refuse("mac,label\n", 2, "no labels");
    refuse("mac,label\n02:00:00:00:00:01,x\n02:00:00:00:00:0g,x\n", 3, "not a MAC address");
    refuse("mac,label\n02:00:00:00:00:01,x\n02-0-0-0-0-1,x\n", 3, "listed twice, first on line 2");
    refuse("mac,label\n02:00:00:00:00:01,\n", 2, "no label");
    refuse("mac,label\n02:00:00:00:00:01,Other\n", 2, "reserved");
    refuse("mac,label\n02:00:00:00:00:01,\"a\nb\"\n", 2, "control character");
    refuse("mac,label\n02:00:00:00:00:01,\xff\xfe\n", 2, "UTF-8");
    refuse("mac,label\n02:00:00:00:00:01,x,y\n", 2, "3 fields");
    refuse("mac,label\n02:00:00:00:00:01,\"x\n", 2, "never closed");
    refuse("prefix,label\n10.0.0.1/8,x\n", 2, "bits set");
    refuse("prefix,label\n10.0.0.0/33,x\n", 2, "not an IP prefix");
    refuse("prefix,label\n10.0.0.0/8,x\n10.0.0.0/8,y\n", 3, "listed twice");
    refuse("file,label\na,x\na,y\n", 3, "listed twice");
    refuse("file,label\n,x\n", 2, "no file name");
    refuse(FIVE "10.0.0.256,10.0.0.2,1,2,6,x\n", 2, "src_ip \"10.0.0.256\"");
    refuse(FIVE "10.0.0.1,host,1,2,6,x\n", 2, "dst_ip");
    refuse(FIVE "10.0.0.1,::1,1,2,6,x\n", 2, "IPv4, the other IPv6");
    refuse(FIVE "10.0.0.1,10.0.0.2,65536,2,6,x\n", 2, "src_port \"65536\"");
    refuse(FIVE "10.0.0.1,10.0.0.2,1,-2,6,x\n", 2, "dst_port");
    refuse(FIVE "10.0.0.1,10.0.0.2,1,2,sctp?,x\n", 2, "proto \"sctp?\"");
    refuse(FIVE "1.1.1.1,10.0.0.2,1,2,6,x\n10.0.0.1,10.0.0.2,1,2,6,x\n10.0.0.1,10.0.0.2,1,2,6,x\n", 4,
           "first on line 3");
    refuse(FIVE_T "10.0.0.1,10.0.0.2,1,2,6,x,5,4\n", 2, "ends before");
    refuse(FIVE_T "10.0.0.1,10.0.0.2,1,2,6,x,now,4\n", 2, "start \"now\"");
    refuse(TON "x,10.0.0.1,5,10.0.0.2,80,tcp,-,1.5,1,xss\n", 2, "ts \"x\"");
    refuse(TON "1,10.0.0.1,5,10.0.0.2,80,,-,1.5,1,xss\n", 2, "proto");
    refuse("List of Devices,MAC ADDRESS,Connection type\nLamp,wired,\n", 2, "no MAC address");
    refuse("List of Devices,MAC ADDRESS,Connection type\n,02:00:00:00:00:01,\n", 2, "no device name");
    refuse("List of Devices,MAC ADDRESS,Connection type\nA,02:00:00:00:00:01,\nB,02:00:00:00:00:01,\n",
           3, "listed twice");
}

/* Many entries against the rule spelled out as a scan. */
static void test_against_scan(void **state)
{
    enum { N = 3000, TUPLES = 40 };
    static struct {
        unsigned tuple, cls;
        uint64_t start, end;
    } e[N];
    struct dune_buf text = {0};
    struct dune_labels *l;
    struct dune_rng rng;

    (void)state;
    dune_rng_init(&rng, 7, 0, 0, 0);
    dune_buf_puts(&text, FIVE_T);
    for (unsigned i = 0; i < N; i++) {
        e[i].tuple = (unsigned)dune_rng_below(&rng, TUPLES);
        e[i].cls = (unsigned)dune_rng_below(&rng, 4);
        e[i].start = 1 + dune_rng_below(&rng, 1000);
        e[i].end = e[i].start + dune_rng_below(&rng, dune_rng_below(&rng, 10) ? 5 : 500);
        dune_buf_printf(&text, "10.0.0.1,10.0.0.2,%u,2,6,%c,%llu,%llu\n", e[i].tuple, 'a' + e[i].cls,
                        (unsigned long long)e[i].start, (unsigned long long)e[i].end);
    }
    assert_ok(parse(&l, text.data), diag);
    for (unsigned k = 0; k < 20000; k++) {
        unsigned tuple = (unsigned)dune_rng_below(&rng, TUPLES), first = N;
        struct probe b = make_probe("10.0.0.1", tuple, "10.0.0.2", 2, 6);
        uint64_t t = dune_rng_below(&rng, 1600);
        char answer[3] = "-";

        for (unsigned i = 0; i < N; i++) {
            if (e[i].tuple != tuple || t < e[i].start || t > e[i].end)
                continue;
            if (first == N) {
                first = i;
                answer[0] = (char)('a' + e[i].cls);
            } else if (e[i].cls != e[first].cls) {
                answer[1] = '!';
            }
        }
        b.ctx.ts_ns = t * 1000000000;
        expect(l, &b, answer);
    }
    dune_labels_free(l);
    dune_buf_fini(&text);
}

/* Every packet of the shared captures has a class, and no packet has two. */
static void check_shared(const char *labels, const char *capture, uint64_t n_expected)
{
    const char *lpath = shared_data(labels), *cpath = shared_data(capture);
    struct dune_labels *l;
    struct dune_reader *r;
    struct dune_record rec;
    uint64_t n = 0;

    if (!lpath || !cpath)
        skip();
    memset(&diag, 0, sizeof(diag));
    assert_ok(dune_labels_read(&l, lpath, NULL, &diag), diag);
    assert_ok(dune_reader_open(&r, cpath, &diag), diag);
    while (dune_reader_next(r, &rec, &diag) == 1) {
        struct dune_label_ctx ctx = {cpath, NULL, rec.ts_ns};
        struct dune_packet p;
        bool conflict;

        assert_int_equal(dune_packet_parse(&p, rec.data, rec.cap_len, &dune_parser_limits_default, 0),
                         DUNE_REASON_OK);
        assert_int_not_equal(dune_labels_lookup(l, &ctx, rec.data, &p, &conflict), DUNE_LABEL_NONE);
        assert_false(conflict);
        n++;
    }
    assert_int_equal(diag.code, 0);
    assert_int_equal(n, n_expected);
    dune_reader_close(r);
    dune_labels_free(l);
}

static void test_shared_tuples(void **state)
{
    (void)state;
    check_shared("ustc-malware/labels.csv", "ustc-malware/train/all.pcap", 30047);
}

static void test_shared_macs(void **state)
{
    (void)state;
    check_shared("aalto-iot-setup/labels.csv", "aalto-iot-setup/test/WeMoLink.pcap", 2131);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_mac),           cmocka_unit_test(test_unsw),
    cmocka_unit_test(test_five_tuple),    cmocka_unit_test(test_ranges_and_captures),
    cmocka_unit_test(test_prefix),        cmocka_unit_test(test_times), cmocka_unit_test(test_files_and_captures),
        cmocka_unit_test(test_captures_of_files),
    cmocka_unit_test(test_ton_iot),       cmocka_unit_test(test_refused),
    cmocka_unit_test(test_against_scan),  cmocka_unit_test(test_shared_tuples),
    cmocka_unit_test(test_shared_macs),
};
RUN_TESTS(tests)
