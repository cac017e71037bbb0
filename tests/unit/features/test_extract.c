/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <unistd.h>

#include "dune/dataset.h"
#include "naive_features.h"
#include "traffic.h"

#define N_FILES 4
static const unsigned n_packets[N_FILES] = {700, 1, 260, 1500};
static char dir[] = "/tmp/dune-extract-XXXXXX";
static char *path[N_FILES];

static const char labels_csv[] = "mac,label\n02:00:00:00:00:00,zeta\n02:00:00:00:00:01,Alpha\n"
                                 "02:00:00:00:00:02,beta\n02:00:00:00:00:77,never\n";
/* files 0 and 3 hold several captures */
static const char captures_csv[] = "file,packets,source_capture\nf0.pcap,300,first\nf0.pcap,400,second\n"
                                   "f1.pcap,1,f1\nf2.pcap,260,f2\nf3.pcap,1,x\nf3.pcap,1499,y\n";

static int make_files(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    for (unsigned i = 0; i < N_FILES; i++) {
        path[i] = dune_mem_printf("%s/f%u.pcap", dir, i);
        write_traffic(path[i], n_packets[i], i);
    }
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    for (int i = 0; i < N_FILES; i++) {
        unlink(path[i]);
        dune_mem_free(path[i]);
    }
    return rmdir(dir);
}

static struct dune_labels *read_labels(const char *text)
{
    struct dune_labels_opts opts = {0};
    struct dune_diag d = {0};
    struct dune_labels *l;

    assert_ok(dune_labels_parse(&l, "labels.csv", text, strlen(text), &opts, &d), d);
    return l;
}

static struct dune_captures *read_captures(const char *text)
{
    struct dune_diag d = {0};
    struct dune_captures *c;

    assert_ok(dune_captures_parse(&c, "captures.csv", text, strlen(text), &d), d);
    return c;
}

/* --- the slow second opinion ---------------------------------------------------------------------- */

struct naive_flow {
    struct naive_packet *q;
    size_t n;
    uint32_t capture, cls;
    uint64_t last;
};
struct naive {
    struct naive_flow flow[4000];
    size_t n;
    uint64_t packets, reasons[DUNE_N_REASONS], labelled, changes, snapped, backwards;
};

static uint32_t naive_capture(unsigned file, uint64_t index, bool pieces)
{
    static const uint32_t first[N_FILES] = {0, 2, 3, 4};

    if (!pieces)
        return file;
    return first[file] + ((file == 0 && index >= 300) || (file == 3 && index >= 1));
}

static void naive_add(struct naive *x, const struct dune_packet *p, uint64_t tick, uint32_t capture,
                      uint32_t cls, uint64_t timeout)
{
    struct naive_flow *w = NULL;

    for (size_t i = 0; i < x->n; i++) /* the latest flow with this key in this capture */
        if (x->flow[i].capture == capture && dune_flow_key_equal(&x->flow[i].q[0].p.key, &p->key))
            w = &x->flow[i];
    if (w && timeout != DUNE_TIMEOUT_NONE && tick > w->last && tick - w->last > timeout)
        w = NULL;
    if (!w) {
        w = &x->flow[x->n++];
        assert_true(x->n < DUNE_ARRAY_LEN(x->flow));
        *w = (struct naive_flow){.capture = capture, .cls = cls, .last = tick};
    }
    w->q = dune_mem_realloc(w->q, w->n + 1, sizeof(*w->q));
    w->q[w->n].p = *p;
    w->q[w->n++].tick = tick;
    w->last = DUNE_MAX(w->last, tick);
    x->changes += cls != w->cls;
}

static void naive_file(struct naive *x, unsigned file, bool pieces, const struct dune_labels *labels,
                       uint64_t timeout)
{
    struct dune_label_ctx ctx = {.file = path[file]};
    struct dune_record rec;
    struct dune_reader *r;
    struct dune_diag d = {0};
    uint64_t prev = 0;
    uint32_t prev_capture = UINT32_MAX;

    assert_ok(dune_reader_open(&r, path[file], &d), d);
    while (dune_reader_next(r, &rec, &d) == 1) {
        uint32_t capture = naive_capture(file, rec.index, pieces), cls;
        struct dune_packet p;
        bool conflict;

        dune_packet_parse(&p, rec.data, rec.cap_len, &dune_parser_limits_default, 0);
        x->packets++;
        x->reasons[p.reason]++;
        x->snapped += rec.cap_len < rec.wire_len;
        x->backwards += capture == prev_capture && rec.ts_ns < prev;
        prev = rec.ts_ns;
        prev_capture = capture;
        if (p.reason != DUNE_REASON_OK)
            continue;
        cls = dune_labels_lookup(labels, &ctx, rec.data, &p, &conflict);
        x->labelled += cls != DUNE_LABEL_NONE;
        naive_add(x, &p, rec.ts_ns / 1024, capture, cls, timeout);
    }
    dune_reader_close(r);
}

static void naive_free(struct naive *x)
{
    for (size_t i = 0; i < x->n; i++)
        dune_mem_free(x->flow[i].q);
    dune_mem_free(x);
}

static void check_flow(const struct dune_dataset *ds, uint64_t f, const struct naive_flow *w,
                       const char *cls, uint64_t max_n)
{
    assert_string_equal(ds->class_name[ds->flow_class[f]], cls);
    assert_int_equal(ds->flow_capture[f], w->capture);
    assert_true(ds->flow_start[f] == w->q[0].tick);
    assert_int_equal(ds->flow_len[f], w->n);
    assert_int_equal(ds->flow_row[f + 1] - ds->flow_row[f], DUNE_MIN(w->n, max_n));
    for (size_t k = 0; k < DUNE_MIN(w->n, max_n); k++)
        for (int id = 0; id < DUNE_N_FEATURES; id++)
            if (ds->col[id][ds->flow_row[f] + k] != naive_feature(w->q, k + 1, id))
                fail_msg("flow %llu packet %zu: %s", (unsigned long long)f, k + 1,
                         dune_catalog[id].name);
}

static void check_report(const struct dune_extract_report *r, const struct naive *x, size_t unlabelled)
{
    uint64_t sum = 0;

    for (int i = 0; i < DUNE_N_REASONS; i++) {
        assert_int_equal(r->by_reason[i], x->reasons[i]);
        sum += r->by_reason[i];
    }
    assert_int_equal(r->packets, x->packets);
    assert_int_equal(sum, x->packets);
    assert_int_equal(r->labelled, x->labelled);
    assert_int_equal(r->labelled + r->unlabelled, r->by_reason[DUNE_REASON_OK]);
    assert_int_equal(r->flow_label_changes, x->changes);
    assert_int_equal(r->snapped, x->snapped);
    assert_int_equal(r->backwards, x->backwards);
    assert_int_equal(r->flows, x->n);
    assert_int_equal(r->unlabelled_flows, unlabelled);
}

static struct dune_extract_input *inputs(struct dune_extract_input in[N_FILES])
{
    for (int i = 0; i < N_FILES; i++)
        in[i] = (struct dune_extract_input){path[i], i == 2 ? DUNE_SPLIT_TEST : DUNE_SPLIT_TRAIN};
    return in;
}

static void compare(const struct dune_extract_opts *opts, bool pieces)
{
    struct dune_labels *labels = read_labels(labels_csv);
    struct dune_captures *captures = pieces ? read_captures(captures_csv) : NULL;
    struct naive *x = DUNE_NEW(struct naive);
    struct dune_extract_input in[N_FILES];
    struct dune_extract_report rep;
    struct dune_dataset *ds;
    struct dune_diag d = {0};
    uint64_t f = 0, max_n = opts->max_n ? opts->max_n : 4;
    size_t unlabelled = 0;

    for (unsigned i = 0; i < N_FILES; i++)
        naive_file(x, i, pieces, labels, opts->timeout ? opts->timeout : 60000000000u / 1024);
    assert_ok(dune_extract(&ds, inputs(in), N_FILES, labels, captures, opts, &rep, &d), d);
    for (size_t i = 0; i < x->n; i++) {
        const struct naive_flow *w = &x->flow[i];

        unlabelled += w->cls == DUNE_LABEL_NONE;
        if (w->cls == DUNE_LABEL_NONE && !opts->unlabelled)
            continue;
        assert_int_equal(ds->flow_split[f], w->capture == (pieces ? 3 : 2));
        check_flow(ds, f++, w, w->cls == DUNE_LABEL_NONE ? opts->unlabelled
                                                         : dune_labels_class(labels, w->cls), max_n);
    }
    assert_int_equal(f, ds->n_flows);
    check_report(&rep, x, unlabelled);
    assert_int_equal(ds->n_captures, pieces ? 6 : 4);
    assert_string_equal(ds->capture_name[0], pieces ? "f0.pcap#first" : "f0.pcap");
    assert_int_equal(ds->n_classes, opts->unlabelled && strcmp(opts->unlabelled, "beta") ? 4 : 3);
    naive_free(x);
    dune_dataset_free(ds);
    dune_captures_free(captures);
    dune_labels_free(labels);
}

static void test_matches_naive(void **state)
{
    struct dune_extract_opts opts = {.threads = 1};

    (void)state;
    compare(&opts, false);
    compare(&opts, true);
    opts.max_n = UINT32_MAX;
    opts.timeout = DUNE_TIMEOUT_NONE;
    compare(&opts, true);
    opts.timeout = 1000; /* a millisecond */
    opts.unlabelled = "rest";
    compare(&opts, false);
    opts.unlabelled = "beta"; /* a class of the labels as well */
    opts.max_n = 1;
    compare(&opts, true);
    opts.unlabelled = "AAA";
    opts.max_n = 9;
    compare(&opts, false);
    opts.shard_bytes = 1; /* every file by three shards */
    opts.threads = 3;
    compare(&opts, false);
    compare(&opts, true);
}

static void test_threads_same_bytes(void **state)
{
    struct dune_labels *labels = read_labels(labels_csv);
    struct dune_captures *captures = read_captures(captures_csv);
    struct dune_extract_input in[N_FILES];
    struct dune_diag d = {0};
    enum { N = 7 }; /* 1 to 3 threads, files side by side; then 1 to 4 of them on every file */
    char *bytes[N], *out = dune_mem_printf("%s/out.dset", dir);
    size_t len[N];

    (void)state;
    for (unsigned t = 1; t <= N; t++) {
        struct dune_extract_opts opts = {.threads = t <= 3 ? t : t - 3, .shard_bytes = t > 3};
        struct dune_dataset *ds;

        assert_ok(dune_extract(&ds, inputs(in), N_FILES, labels, captures, &opts, NULL, &d), d);
        assert_ok(dune_dataset_write(ds, out, &d), d);
        assert_ok(dune_file_read(out, &bytes[t - 1], &len[t - 1], &d), d);
        dune_dataset_free(ds);
    }
    for (int i = 1; i < N; i++) {
        assert_int_equal(len[0], len[i]);
        assert_memory_equal(bytes[0], bytes[i], len[0]);
    }
    for (int i = 0; i < N; i++)
        dune_mem_free(bytes[i]);
    unlink(out);
    dune_mem_free(out);
    dune_captures_free(captures);
    dune_labels_free(labels);
}

static void test_splits(void **state)
{
    struct dune_labels *labels = read_labels(labels_csv);
    struct dune_extract_input in[1] = {{path[3], DUNE_SPLIT_TRAIN}};
    struct dune_extract_opts opts = {.threads = 1, .time_split = 0.7};
    struct dune_dataset *ds;
    struct dune_diag d = {0};

    (void)state;
    for (int s = 0; s < 2; s++) { /* one capture only: --split captures cuts by start time, too */
        opts.time_split = s ? 0 : 0.7;
        opts.captures_split = s;
        assert_ok(dune_extract(&ds, in, 1, labels, NULL, &opts, NULL, &d), d);
        for (uint32_t c = 0; c < ds->n_classes; c++) {
            uint64_t n[2] = {0}, latest_train = 0, first_test = UINT64_MAX;

            for (uint64_t f = 0; f < ds->n_flows; f++) {
                if (ds->flow_class[f] != c)
                    continue;
                n[ds->flow_split[f]]++;
                if (ds->flow_split[f] == DUNE_SPLIT_TRAIN)
                    latest_train = DUNE_MAX(latest_train, ds->flow_start[f]);
                else
                    first_test = DUNE_MIN(first_test, ds->flow_start[f]);
            }
            assert_true(latest_train <= first_test);
            assert_int_equal(n[1], s ? (n[0] + n[1]) / 4 : n[0] + n[1] - (n[0] + n[1]) * 7 / 10);
        }
        dune_dataset_free(ds);
    }
    dune_labels_free(labels);
}

static void refuse(const char *labels_text, const char *captures_text, struct dune_extract_opts opts,
                   int n, int code, const char *words)
{
    struct dune_labels *labels = read_labels(labels_text);
    struct dune_captures *captures = captures_text ? read_captures(captures_text) : NULL;
    struct dune_extract_input in[N_FILES];
    struct dune_dataset *ds;
    struct dune_diag d = {0};
    char text[1300];

    opts.threads = 2;
    assert_int_equal(dune_extract(&ds, inputs(in), (size_t)n, labels, captures, &opts, NULL, &d), code);
    assert_null(ds);
    dune_diag_format(&d, text, sizeof(text));
    if (!strstr(text, words))
        fail_msg("\"%s\" does not say \"%s\"", text, words);
    dune_captures_free(captures);
    dune_labels_free(labels);
}

static void test_refusals(void **state)
{
    struct dune_extract_opts none = {0}, both = {.captures_split = true, .time_split = 0.5};
    struct dune_extract_opts share = {.time_split = 1.5}, time = {.time_split = 0.5};

    (void)state;
    refuse("mac,label\n0a:00:00:00:00:00,a\n", NULL, none, 4, DUNE_E_INPUT, "and 1 more");
    refuse("mac,label\n0a:00:00:00:00:00,a\n", NULL, none, 1, DUNE_E_INPUT, "kind mac");
    refuse("mac,label\n02:00:00:00:00:00,a\n", NULL, none, 3, DUNE_E_INPUT, "it takes 2 classes");
    refuse(labels_csv, "file,packets\nf0.pcap,700\n", none, 2, DUNE_E_INPUT, "f1.pcap: not in the list");
    refuse(labels_csv, "file,packets\nf0.pcap,699\n", none, 1, DUNE_E_INPUT, "ends after 699 packets");
    refuse(labels_csv, "file,packets\nf0.pcap,800\n", none, 1, DUNE_E_INPUT, "100 packets more");
    refuse(labels_csv, NULL, both, 1, DUNE_E_USAGE, "not both");
    refuse(labels_csv, NULL, share, 1, DUNE_E_USAGE, "between 0 and 1");
    refuse(labels_csv, NULL, time, 3, DUNE_E_USAGE, "f2.pcap");
    refuse(labels_csv, NULL, none, 0, DUNE_E_USAGE, "no capture file");
}

/* --- the shared captures -------------------------------------------------------------------------- */

static uint64_t read_number(const char *text, int column)
{
    for (int i = 0; i < column && text; i++)
        text = strchr(text + 1, '|');
    return text ? strtoull(text + 1, NULL, 10) : UINT64_MAX;
}

/* Compares packets, flows and flows with >= 2 and >= 3 packets with the README's table. columns: of
 * packets, flows, >=2, >=3 in either split, 0: not in the table. */
static void check_readme(const struct dune_dataset *ds, const char *readme, const int columns[2][4])
{
    struct dune_diag d = {0};
    char *text;
    size_t len;

    assert_ok(dune_file_read(readme, &text, &len, &d), d);
    for (uint32_t c = 0; c < ds->n_classes; c++) {
        uint64_t count[2][4] = {0};
        char *head = dune_mem_printf("\n| %s |", ds->class_name[c]), *line = strstr(text, head);

        assert_non_null(line);
        for (uint64_t f = 0; f < ds->n_flows; f++) {
            uint64_t *n = count[ds->flow_split[f]];

            if (ds->flow_class[f] != c)
                continue;
            n[0] += ds->flow_len[f];
            n[1]++;
            n[2] += ds->flow_len[f] >= 2;
            n[3] += ds->flow_len[f] >= 3;
        }
        for (int s = 0; s < 2; s++)
            for (int k = 0; k < 4; k++)
                if (columns[s][k])
                    assert_int_equal(count[s][k], read_number(line + 1, columns[s][k]));
        dune_mem_free(head);
    }
    dune_mem_free(text);
}

static struct dune_dataset *extract_shared(const char *name, bool pieces, unsigned threads,
                                           struct dune_extract_report *rep)
{
    struct dune_extract_opts opts = {.timeout = DUNE_TIMEOUT_NONE, .threads = threads};
    struct dune_paths p = {0};
    struct dune_extract_input *in;
    struct dune_captures *captures = NULL;
    struct dune_labels *labels;
    struct dune_labels_opts lo = {0};
    struct dune_dataset *ds;
    struct dune_diag d = {0};
    char sub[128];
    size_t n_train;

    snprintf(sub, sizeof(sub), "%s/train", name);
    assert_ok(dune_paths_add(&p, shared_data(sub), &d), d);
    n_train = p.len;
    snprintf(sub, sizeof(sub), "%s/test", name);
    assert_ok(dune_paths_add(&p, shared_data(sub), &d), d);
    in = DUNE_NEW_N(struct dune_extract_input, p.len);
    for (size_t i = 0; i < p.len; i++)
        in[i] = (struct dune_extract_input){p.data[i], i >= n_train};
    snprintf(sub, sizeof(sub), "%s/labels.csv", name);
    assert_ok(dune_labels_read(&labels, shared_data(sub), &lo, &d), d);
    snprintf(sub, sizeof(sub), "%s/captures.csv", name);
    if (pieces)
        assert_ok(dune_captures_read(&captures, shared_data(sub), &d), d);
    assert_ok(dune_extract(&ds, in, p.len, labels, captures, &opts, rep, &d), d);
    dune_captures_free(captures);
    dune_labels_free(labels);
    dune_mem_free(in);
    dune_paths_fini(&p);
    return ds;
}

static void test_aalto(void **state)
{
    static const int columns[2][4] = {{2, 3, 0, 4}, {6, 7, 0, 8}};
    struct dune_extract_report rep;
    struct dune_dataset *ds, *again;

    (void)state;
    if (!shared_data("aalto-iot-setup")) {
        skip();
        return;
    }
    ds = extract_shared("aalto-iot-setup", true, 1, &rep);
    check_readme(ds, shared_data("aalto-iot-setup/README.md"), columns);
    assert_int_equal(ds->n_classes, 21);
    assert_int_equal(ds->n_captures, 283 + 94);
    assert_int_equal(rep.packets, 110633 + 36507);
    assert_int_equal(rep.by_reason[DUNE_REASON_OK], rep.packets);
    assert_int_equal(rep.flows, 16229 + 5654);
    assert_int_equal(rep.unlabelled + rep.conflicts + rep.flow_label_changes, 0);
    again = extract_shared("aalto-iot-setup", true, 3, &rep);
    assert_string_equal(ds->hash, again->hash);
    dune_dataset_free(ds);
    dune_dataset_free(again);
}

static void test_ustc(void **state)
{
    static const int columns[2][4] = {{1, 2, 3, 4}, {5, 6, 7, 8}};
    struct dune_extract_report rep;
    struct dune_dataset *ds;

    (void)state;
    if (!shared_data("ustc-malware")) {
        skip();
        return;
    }
    ds = extract_shared("ustc-malware", false, 2, &rep);
    check_readme(ds, shared_data("ustc-malware/README.md"), columns);
    assert_int_equal(ds->n_classes, 10);
    assert_int_equal(rep.packets, 30047 + 10037);
    assert_int_equal(rep.flows, 8284 + 2755);
    assert_int_equal(rep.unlabelled, 0);
    dune_dataset_free(ds);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_matches_naive), cmocka_unit_test(test_threads_same_bytes),
    cmocka_unit_test(test_splits),        cmocka_unit_test(test_refusals),
    cmocka_unit_test(test_aalto),         cmocka_unit_test(test_ustc),
};

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
