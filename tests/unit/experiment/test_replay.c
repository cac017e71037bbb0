/* SPDX-License-Identifier: Apache-2.0 */
/* Replay: scores computed by hand, output files, capture boundaries, refusals, shared captures. */
#include "dune/dataset.h"
#include "dune/replay.h"
#include "unit/targets/naive_chain.h"
#include "unit/targets/random_chain.h"

#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static const char *in_dir(const char *name)
{
    static char path[8][160];
    static int k;
    char *p = path[k++ & 7];

    snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
    return p;
}

/* One packet of a hand-made capture: sport names the flow. */
struct one {
    uint16_t sport, len;
    uint64_t ms;
};

static void write_pcap(const char *path, const struct one *p, size_t n)
{
    struct dune_writer *w = NULL;
    struct dune_diag d = {0};

    assert_ok(dune_writer_open(&w, path, &d), d);
    for (size_t i = 0; i < n; i++) {
        struct kit_packet k = {.src = 1, .dst = 2, .sport = p[i].sport, .dport = 80, .ip_len = p[i].len,
                               .n_vlan = p[i].sport == 4};
        struct kit_frame f;

        kit_make(&f, &k);
        if (p[i].sport == 9)
            memcpy(f.data + 12, "\x08\x06", 2); /* ARP */
        assert_ok(dune_writer_put(w, p[i].ms * 1000000, f.data, f.len, f.len + 3, &d), d);
    }
    assert_ok(dune_writer_commit(w, &d), d);
}

/* Flow features decide: class1 where the 2nd packet is at most 100 bytes, else class2; before packet
 * 2 a tentative answer, which is unclaimed. */
static struct dune_plan *small_plan(void)
{
    static const uint32_t thr[] = {0, 100};
    static const struct dune_plan_leaf leaf[] = {KIT_OTHER(2, 5), KIT_CLAIM(1, 50), KIT_CLAIM(2, 60)};
    struct dune_plan *p = kit_plan(2, 2);

    dune_mem_free(p->cls[0].name);
    dune_mem_free(p->cls[1].name);
    p->cls[0].name = dune_mem_strdup("apple");
    p->cls[1].name = dune_mem_strdup("pear");
    p->timeout = KIT_S(1);
    kit_sub(p, 3, 1, 2, DUNE_MODE_RUNNING, DUNE_F_LEN_2, 2, thr, leaf);
    return p;
}

static struct dune_labels *labels_of(const char *text)
{
    struct dune_labels *l = NULL;
    struct dune_diag d = {0};

    assert_ok(dune_labels_parse(&l, "labels.csv", text, strlen(text), NULL, &d), d);
    return l;
}

static const char label_text[] = "src_ip,dst_ip,src_port,dst_port,proto,label\n"
                                 "10.0.0.1,11.0.0.2,1,80,17,apple\n"
                                 "10.0.0.1,11.0.0.2,2,80,17,pear\n"
                                 "10.0.0.1,11.0.0.2,3,80,17,apple\n"
                                 "10.0.0.1,11.0.0.2,4,80,17,zebra\n";

/* Flow 1: apple, 4 packets, answered apple from packet 2 on (3/4 right).
 * Flow 2: pear, 2 packets, answered apple on the second (1/2 unclaimed, 1/2 wrong).
 * Flow 3: apple, 1 packet, unclaimed; then after the timeout 2 packets answered pear on the second.
 * Flow 4: zebra, a class the plan does not know, 1 packet. Port 5: unlabelled. Port 9: ARP. */
static const struct one scene[] = {
    {1, 500, 0}, {2, 500, 1},  {1, 60, 2},   {9, 0, 3},    {3, 700, 4},    {1, 900, 5},   {2, 60, 6},
    {1, 60, 7},  {4, 100, 8},  {5, 60, 9},   {3, 700, 2000}, {3, 700, 2001},
};

static struct dune_replay *replay(const struct dune_plan *p, const char *path,
                                  const struct dune_replay_opts *o)
{
    struct dune_replay *r = NULL;
    struct dune_diag d = {0};

    assert_ok(dune_replay_run(&r, p, &path, 1, o, &d), d);
    return r;
}

static void near(double a, double b)
{
    if (a - b > 1e-9 || b - a > 1e-9)
        fail_msg("%.12f is not %.12f", a, b);
}

static void test_scores(void **state)
{
    struct dune_plan *p = small_plan();
    struct dune_labels *l = labels_of(label_text);
    struct dune_replay_opts o = {.labels = l, .verdicts_path = in_dir("v.csv")};
    struct dune_replay *r;
    const struct dune_confusion *c;
    const double one = DUNE_WEIGHT_ONE;

    write_pcap(in_dir("a.pcap"), scene, DUNE_ARRAY_LEN(scene));
    r = replay(p, in_dir("a.pcap"), &o);
    assert_int_equal(r->packets, 12);
    assert_int_equal(r->inferable, 11);
    assert_int_equal(r->not_inferable, 1);
    assert_int_equal(r->by_reason[DUNE_REASON_NOT_IP], 1);
    assert_int_equal(r->claimed, 5);
    assert_int_equal(r->unclaimed, 6);
    assert_int_equal(r->settled, 5);
    assert_int_equal(r->flows, 5);
    assert_int_equal(r->unlabelled_flows, 1);
    assert_int_equal(r->unlabelled_packets, 1);
    assert_int_equal(r->n_classes, 3);
    assert_string_equal(r->class_name[2], "zebra");
    c = &r->flow.confusion; /* columns apple, pear, zebra, unclaimed */
    near((double)c->cell[0] / one, 0.75);
    near((double)c->cell[1] / one, 0.5);
    near((double)c->cell[3] / one, 0.25 + 1 + 0.5);
    near((double)c->cell[4] / one, 0.5);
    near((double)c->cell[7] / one, 0.5);
    near((double)c->cell[11] / one, 1);
    near(r->flow.cls[0].f1, 2 * 0.75 / (1.25 + 3));
    near(r->flow.f1.macro, 2 * 0.75 / (1.25 + 3) / 3);
    near(r->flow.f1.micro, 0.75 / 5);
    near(r->flow.f1.coverage, 1.75 / 5);
    near(r->flow.fl, 1.75 / 5);
    c = &r->packet.confusion;
    assert_int_equal(c->cell[0], 3);
    assert_int_equal(c->cell[1], 1);
    assert_int_equal(c->cell[3], 3);
    assert_int_equal(c->cell[4], 1);
    assert_int_equal(c->cell[11], 1);
    near(r->packet.f1.micro, 3.0 / 10);
    assert_string_equal(r->bootstrap_over, "flows");
    assert_int_equal(r->bootstrap_groups, 5);
    assert_true(r->flow.macro.lo <= r->flow.f1.macro && r->flow.f1.macro <= r->flow.macro.hi);
    dune_replay_free(r);
    dune_labels_free(l);
    dune_plan_free(p);
    (void)state;
}

static void test_verdict_file(void **state)
{
    static const char want[] =
        "packet,capture,class,final,tentative,settled,phase,device,submodel,confidence\n"
        "0,a.pcap,,1,0,0,PL,d2,3,5\n"
        "1,a.pcap,,1,0,0,PL,d2,3,5\n"
        "2,a.pcap,apple,1,0,1,FL,d2,3,50\n"
        "3,a.pcap,,0,0,0,,,,\n"
        "4,a.pcap,,1,0,0,PL,d2,3,5\n"
        "5,a.pcap,apple,1,0,1,FL,d2,3,50\n";
    struct dune_plan *p = small_plan();
    struct dune_replay_opts o = {.verdicts_path = in_dir("v.csv")};
    struct dune_diag d = {0};
    char *text;
    size_t len;

    write_pcap(in_dir("a.pcap"), scene, DUNE_ARRAY_LEN(scene));
    dune_replay_free(replay(p, in_dir("a.pcap"), &o));
    assert_ok(dune_file_read(in_dir("v.csv"), &text, &len, &d), d);
    text[sizeof(want) - 1] = '\0';
    assert_string_equal(text, want);
    dune_mem_free(text);
    dune_plan_free(p);
    (void)state;
}

/* Bytes out = bytes in, with their times and lengths; or the shim in front of the payload. */
static void test_pcap_out(void **state)
{
    struct dune_plan *p = small_plan();

    for (int keep = 0; keep <= 1; keep++) {
        struct dune_replay_opts o = {.pcap_path = in_dir("out.pcap"), .chain.keep_shim = keep};
        struct dune_reader *a = NULL, *b = NULL;
        struct dune_record x, y;
        struct dune_diag d = {0};

        write_pcap(in_dir("a.pcap"), scene, DUNE_ARRAY_LEN(scene));
        dune_replay_free(replay(p, in_dir("a.pcap"), &o));
        assert_ok(dune_reader_open(&a, in_dir("a.pcap"), &d), d);
        assert_ok(dune_reader_open(&b, in_dir("out.pcap"), &d), d);
        while (dune_reader_next(a, &x, &d) == 1) {
            bool arp = x.data[12] == 8 && x.data[13] == 6;
            uint32_t grown = keep && !arp ? 8 : 0, l2 = x.data[12] == 0x88 ? 18 : 14;

            assert_int_equal(dune_reader_next(b, &y, &d), 1);
            assert_int_equal(y.ts_ns, x.ts_ns);
            assert_int_equal(y.cap_len, x.cap_len + grown);
            assert_int_equal(y.wire_len, x.wire_len + grown);
            assert_memory_equal(y.data, x.data, l2 - 2);
            assert_memory_equal(y.data + l2 - 2 + grown, x.data + l2 - 2, x.cap_len - l2 + 2);
            if (grown)
                assert_memory_equal(y.data + l2 - 2, "\x88\xb5", 2);
        }
        assert_int_equal(dune_reader_next(b, &y, &d), 0);
        dune_reader_close(a);
        dune_reader_close(b);
    }
    dune_plan_free(p);
    (void)state;
}

/* The same flow in two captures of one file, and in two files, is two flows with nothing in common. */
static void test_boundaries(void **state)
{
    static const struct one twice[] = {{1, 500, 0}, {1, 60, 1}, {1, 500, 2}, {1, 60, 3}};
    static const char list[] = "file,source_capture,packets\nb.pcap,first,3\nb.pcap,second,1\n";
    const char *paths[2];
    struct dune_plan *p = small_plan();
    struct dune_labels *l = labels_of(label_text);
    struct dune_captures *caps = NULL;
    struct dune_replay_opts o = {.labels = l, .chain.rules = true};
    struct dune_replay *r;
    struct dune_diag d = {0};

    paths[0] = in_dir("b.pcap");
    paths[1] = in_dir("c.pcap");
    write_pcap(paths[0], twice, 4);
    write_pcap(paths[1], twice, 4);
    r = replay(p, paths[0], &o);
    assert_int_equal(r->flows, 1);
    assert_int_equal(r->claimed, 3);
    assert_int_equal(r->rule_hits, 2);
    dune_replay_free(r);
    assert_ok(dune_replay_run(&r, p, paths, 2, &o, &d), d);
    assert_int_equal(r->flows, 2);
    assert_int_equal(r->captures, 2);
    assert_int_equal(r->claimed, 6);
    dune_replay_free(r);
    assert_ok(dune_captures_parse(&caps, "captures.csv", list, sizeof(list) - 1, &d), d);
    o.captures = caps;
    o.verdicts_path = in_dir("v.csv");
    r = replay(p, paths[0], &o);
    assert_int_equal(r->flows, 2);
    assert_int_equal(r->captures, 2);
    assert_int_equal(r->claimed, 2); /* packet 4 is the first of its capture */
    assert_int_equal(r->device[0].rules, 1);
    dune_replay_free(r);
    dune_captures_free(caps);
    dune_labels_free(l);
    dune_plan_free(p);
    (void)state;
}

static void refuse(const struct dune_plan *p, const struct dune_replay_opts *o, const char *path,
                   int code, const char *part)
{
    struct dune_replay *r = NULL;
    struct dune_diag d = {0};
    int rc = dune_replay_run(&r, p, &path, 1, o, &d);

    if (rc != code || !strstr(d.msg, part))
        fail_msg("code %d, want %d: %s", rc, code, d.msg);
    assert_false(dune_path_exists(in_dir("none.csv")));
    assert_false(dune_path_exists(in_dir("none.pcap")));
}

static void test_refusals(void **state)
{
    static const char listed[] = "file,packets\na.pcap,5\na.pcap,8\n", less[] = "file,packets\na.pcap,5\n";
    struct dune_plan *p = small_plan();
    struct dune_labels *l = labels_of("mac,label\n0a:00:00:00:00:09,a\n");
    struct dune_captures *more_caps = NULL, *less_caps = NULL;
    struct dune_replay_opts o = {.verdicts_path = in_dir("none.csv"), .pcap_path = in_dir("none.pcap")};
    struct dune_diag d = {0};
    char text[8] = "";

    write_pcap(in_dir("a.pcap"), scene, DUNE_ARRAY_LEN(scene));
    assert_ok(dune_captures_parse(&more_caps, "c.csv", listed, sizeof(listed) - 1, &d), d);
    assert_ok(dune_captures_parse(&less_caps, "c.csv", less, sizeof(less) - 1, &d), d);
    o.labels = l;
    refuse(p, &o, in_dir("a.pcap"), DUNE_E_INPUT, "label");
    o.labels = NULL;
    o.captures = more_caps;
    refuse(p, &o, in_dir("a.pcap"), DUNE_E_INPUT, "8 packets");
    o.captures = less_caps;
    refuse(p, &o, in_dir("a.pcap"), DUNE_E_INPUT, "ends after 5");
    refuse(p, &o, in_dir("b.pcap"), DUNE_E_INPUT, "not in the list");
    o.captures = NULL;
    refuse(p, &o, in_dir("absent.pcap"), DUNE_E_INPUT, "");
    assert_ok(dune_file_write(in_dir("empty.pcap"), text, 0, &d), d);
    refuse(p, &o, in_dir("empty.pcap"), DUNE_E_FORMAT, "empty");
    o.engine = "steam";
    refuse(p, &o, in_dir("a.pcap"), DUNE_E_USAGE, "reference");
    o.engine = NULL;
    o.chain.slots = 7;
    refuse(p, &o, in_dir("a.pcap"), DUNE_E_USAGE, "power of two");
    o.chain.slots = 0;
    dune_interrupt_request();
    refuse(p, &o, in_dir("a.pcap"), DUNE_E_INTERRUPTED, "interrupted");
    dune_captures_free(more_caps);
    dune_captures_free(less_caps);
    dune_labels_free(l);
    dune_plan_free(p);
    (void)state;
}

static void test_json(void **state)
{
    static const char *const keys[] = {"\"flow\"", "\"packet\"", "\"macro\"", "\"weighted\"", "\"micro\"",
                                       "\"coverage\"", "\"per_class\"", "\"ns_per_packet\"",
                                       "\"devices\"", "\"resources\"", "\"zebra\""};
    struct dune_plan *p = small_plan();
    struct dune_labels *l = labels_of(label_text);
    struct dune_replay_opts o = {.labels = l};
    struct dune_replay *r;
    struct dune_buf b = {0};
    struct dune_jsonw w;

    write_pcap(in_dir("a.pcap"), scene, DUNE_ARRAY_LEN(scene));
    r = replay(p, in_dir("a.pcap"), &o);
    dune_jsonw_init(&w, &b);
    dune_replay_json(r, p, &w);
    for (size_t i = 0; i < DUNE_ARRAY_LEN(keys); i++)
        if (!strstr(b.data, keys[i]))
            fail_msg("no %s in %s", keys[i], b.data);
    dune_buf_fini(&b);
    dune_replay_free(r);
    dune_labels_free(l);
    dune_plan_free(p);
    (void)state;
}

/* --- shared captures ------------------------------------------------------------------------------------- */

struct judge {
    const struct dune_plan *plan;
    struct naive_flows flows;
    char capture[256];
    struct dune_reader *reader;
    const char *file;
    uint64_t n;
};

/* Reads the same packet once more and decides it the slow way. */
static void judge_packet(void *ctx, const struct dune_replay_packet *p)
{
    struct judge *j = ctx;
    struct dune_record rec;
    struct dune_packet pkt;
    struct dune_verdict want;
    struct dune_diag d = {0};
    size_t w;

    if (j->file != p->file) {
        dune_reader_close(j->reader);
        assert_ok(dune_reader_open(&j->reader, p->file, &d), d);
        j->file = p->file;
    }
    if (strcmp(j->capture, p->capture) != 0) {
        naive_flows_free(&j->flows);
        snprintf(j->capture, sizeof(j->capture), "%s", p->capture);
    }
    assert_int_equal(dune_reader_next(j->reader, &rec, &d), 1);
    assert_int_equal(rec.index, p->index);
    j->n++;
    dune_packet_parse(&pkt, rec.data, rec.cap_len, &j->plan->parser, j->plan->shim_ethertype);
    assert_int_equal(p->verdict->inferable, pkt.reason == DUNE_REASON_OK);
    if (pkt.reason)
        return;
    w = naive_flow_of(&j->flows, &pkt, dune_tick(rec.ts_ns), j->plan->timeout);
    assert_int_equal(p->flow_pos, j->flows.data[w].q.len);
    want = naive_verdict(j->plan, j->flows.data[w].q.data, j->flows.data[w].q.len);
    naive_expect(p->verdict, &want, p->capture, p->index);
}

static void judge_set(const char *set, const char *label_file, bool captures, uint64_t timeout)
{
    const char *root = shared_data(set);
    struct dune_paths paths = {0};
    struct dune_labels *l = NULL;
    struct dune_captures *caps = NULL;
    struct dune_diag d = {0};
    char path[1100];

    if (!root)
        skip();
    snprintf(path, sizeof(path), "%s/test", root);
    assert_ok(dune_paths_add(&paths, path, &d), d);
    snprintf(path, sizeof(path), "%s/%s", root, label_file);
    assert_ok(dune_labels_read(&l, path, NULL, &d), d);
    snprintf(path, sizeof(path), "%s/captures.csv", root);
    if (captures)
        assert_ok(dune_captures_read(&caps, path, &d), d);
    for (uint64_t seed = 500; seed < 503; seed++) {
        struct dune_plan *p = random_plan(seed, 5, 5);
        struct judge j = {.plan = p};
        struct dune_replay_opts o = {.labels = l, .captures = caps, .on_packet = judge_packet,
                                     .on_packet_ctx = &j, .chain.check_keys = true,
                                     .chain.slots = 65536, .chain.ways = 8};
        struct dune_replay *r = NULL;

        p->timeout = timeout;
        assert_ok(dune_replay_run(&r, p, (const char *const *)paths.data, paths.len, &o, &d), d);
        assert_int_equal(j.n, r->packets);
        assert_int_equal(r->collided, 0);
        for (uint32_t i = 0; i < r->n_devices; i++)
            assert_int_equal(r->device[i].false_matches, 0);
        dune_replay_free(r);
        dune_reader_close(j.reader);
        naive_flows_free(&j.flows);
        dune_plan_free(p);
    }
    dune_captures_free(caps);
    dune_labels_free(l);
    dune_paths_fini(&paths);
}

static void test_shared_aalto(void **state)
{
    judge_set("aalto-iot-setup", "labels-grouped.csv", true, KIT_S(60));
    (void)state;
}

static void test_shared_ustc(void **state)
{
    judge_set("ustc-malware", "labels.csv", false, DUNE_TIMEOUT_NONE);
    (void)state;
}

/* The true flows of a replay are those of extraction: number, lengths, classes. */
static void test_flows_of_extraction(void **state)
{
    const char *root = shared_data("aalto-iot-setup");
    struct dune_inputs in = {0};
    struct dune_labels *l = NULL;
    struct dune_captures *caps = NULL;
    struct dune_dataset *ds = NULL;
    struct dune_extract_opts xo = {0};
    struct dune_extract_report rep;
    struct dune_plan *p = small_plan();
    struct dune_replay_opts o = {0};
    struct dune_replay *r = NULL;
    struct dune_diag d = {0};
    const char **path;
    uint64_t packets = 0;
    char text[1100];

    if (!root)
        skip();
    assert_ok(dune_inputs_add_tree(&in, root, &d), d);
    snprintf(text, sizeof(text), "%s/labels.csv", root);
    assert_ok(dune_labels_read(&l, text, NULL, &d), d);
    snprintf(text, sizeof(text), "%s/captures.csv", root);
    assert_ok(dune_captures_read(&caps, text, &d), d);
    xo.timeout = p->timeout;
    assert_ok(dune_extract(&ds, in.data, in.len, l, caps, &xo, &rep, &d), d);
    path = dune_mem_alloc(in.len, sizeof(*path));
    for (size_t i = 0; i < in.len; i++)
        path[i] = in.data[i].path;
    o.labels = l;
    o.captures = caps;
    assert_ok(dune_replay_run(&r, p, path, in.len, &o, &d), d);
    assert_int_equal(r->flows, ds->n_flows);
    assert_int_equal(r->captures, ds->n_captures);
    assert_int_equal(r->inferable, rep.by_reason[DUNE_REASON_OK]);
    for (uint64_t f = 0; f < ds->n_flows; f++)
        packets += ds->flow_len[f];
    for (uint32_t c = 0; c < r->n_classes; c++)
        packets -= (uint64_t)(r->packet.cls[c].support + 0.5);
    assert_int_equal(packets, 0);
    dune_mem_free(path);
    dune_replay_free(r);
    dune_dataset_free(ds);
    dune_captures_free(caps);
    dune_labels_free(l);
    dune_inputs_fini(&in);
    dune_plan_free(p);
    (void)state;
}

static int setup(void **state)
{
    snprintf(dir, sizeof(dir), "test_replay.XXXXXX");
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    struct dune_paths p = {0};

    if (dune_paths_add(&p, dir, NULL) == 0)
        for (size_t i = 0; i < p.len; i++)
            unlink(p.data[i]);
    dune_paths_fini(&p);
    (void)state;
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scores),
        cmocka_unit_test(test_verdict_file),
        cmocka_unit_test(test_pcap_out),
        cmocka_unit_test(test_boundaries),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_shared_aalto),
        cmocka_unit_test(test_shared_ustc),
        cmocka_unit_test(test_flows_of_extraction),
        cmocka_unit_test(test_refusals), /* last: ends with an interruption */
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, setup, teardown);
}
