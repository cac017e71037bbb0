/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libdune on the recorded traffic: planner, packets in pieces of any size, captures, rows; results are those of the
 * reference chain. Also what it refuses.
 */
#include "dune/dune.h"

#include <stdlib.h>
#include <string.h>

#include "dune/capture.h"
#include "dune/features.h"
#include "dune/plan.h"
#include "testing.h"

static char *in_root(const char *name)
{
    return dune_mem_printf("%s/%s", getenv("DUNE_SOURCE_ROOT"), name);
}

static struct dune_dataset *recorded(void)
{
    char *dir = in_root("data/recorded"), *labels = in_root("data/recorded/labels.csv");
    const char *train[] = {dir};
    struct dune_dataset_options o = {.train = train, .n_train = 1, .labels = labels};
    struct dune_dataset *ds = NULL;
    struct dune_diag d = {0};

    assert_ok(dune_dataset_extract(&ds, &o, &d), d);
    dune_mem_free(dir);
    dune_mem_free(labels);
    return ds;
}

static struct dune_plan *planned(const char *solution)
{
    struct dune_plan_options o = {.solution = solution, .devices = 3, .effort = "quick", .threads = 1,
                                  .time_limit_s = 1};
    struct dune_dataset *ds = recorded();
    struct dune_plan *p = NULL;
    struct dune_diag d = {0};
    double macro = -1;

    assert_ok(dune_plan_make(&p, ds, &o, &macro, &d), d);
    assert_true(macro > 0.3 && macro <= 1);
    dune_dataset_free(ds);
    return p;
}

/* --- packets and captures --------------------------------------------------------------------------------- */

struct packets {
    struct dune_reader *reader;
    DUNE_VEC(struct dune_input) in;
};

static void load(struct packets *x)
{
    char *path = in_root("data/recorded/test/run-te1.pcap.gz");
    struct dune_diag d = {0};
    struct dune_record r;

    memset(x, 0, sizeof(*x));
    assert_ok(dune_reader_open(&x->reader, path, &d), d);
    while (dune_reader_next(x->reader, &r, &d) > 0)
        DUNE_VEC_PUSH(&x->in, ((struct dune_input){r.data, r.cap_len, r.wire_len, r.ts_ns}));
    assert_true(x->in.len > 1000);
    dune_mem_free(path);
}

static void unload(struct packets *x)
{
    dune_reader_close(x->reader);
    DUNE_VEC_FREE(&x->in);
}

static struct dune_result *results(const struct dune_plan *p, const char *engine, const struct packets *x, size_t step)
{
    struct dune_classifier_options o = {.engine = engine};
    struct dune_result *r = DUNE_NEW_N(struct dune_result, x->in.len);
    struct dune_classifier *c = NULL;
    struct dune_diag d = {0};

    assert_ok(dune_classifier_new(&c, p, &o, &d), d);
    for (size_t i = 0; i < x->in.len; i += step)
        assert_ok(dune_classify(c, x->in.data + i, DUNE_MIN(step, x->in.len - i), r + i, &d), d);
    dune_classifier_free(c);
    return r;
}

struct taken {
    const struct dune_result *expected;
    size_t n, enough;
};

static int take(void *ctx, const struct dune_input *in, const struct dune_result *r, size_t n)
{
    struct taken *t = ctx;

    assert_non_null(in[0].data);
    assert_memory_equal(r, t->expected + t->n, n * sizeof(*r));
    t->n += n;
    return t->enough && t->n >= t->enough;
}

static void capture_gives(const struct dune_plan *p, const struct dune_result *expected, size_t n)
{
    char *path = in_root("data/recorded/test/run-te1.pcap.gz");
    struct dune_classifier *c = NULL;
    struct dune_diag d = {0};
    struct taken t = {.expected = expected};

    assert_ok(dune_classifier_new(&c, p, NULL, &d), d);
    for (int i = 0; i < 2; i++) { /* the second time flows of the first are forgotten */
        t.n = 0;
        assert_ok(dune_classify_capture(c, path, take, &t, &d), d);
        assert_int_equal(t.n, n);
    }
    t = (struct taken){.expected = expected, .enough = 100};
    assert_int_equal(dune_classify_capture(c, path, take, &t, &d), DUNE_E_INTERRUPTED);
    assert_int_equal(t.n, 128);
    dune_classifier_free(c);
    dune_mem_free(path);
}

static void test_packets(void **state)
{
    struct dune_plan *p = planned("dune");
    struct packets x;
    struct dune_result *judge, *r;
    size_t claimed = 0;

    (void)state;
    load(&x);
    judge = results(p, "reference", &x, 1000);
    for (size_t step = 1; step <= 100; step += 33) {
        r = results(p, NULL, &x, step);
        assert_memory_equal(judge, r, x.in.len * sizeof(*r));
        dune_mem_free(r);
    }
    for (size_t i = 0; i < x.in.len; i++)
        claimed += judge[i].cls != 0;
    assert_true(claimed > x.in.len / 2);
    capture_gives(p, judge, x.in.len);
    dune_mem_free(judge);
    unload(&x);
    dune_plan_free(p);
}

/* --- rows --------------------------------------------------------------------------------------------------- */

struct flow {
    struct dune_flow_key key;
    struct dune_flow_regs regs;
};

/* The flow of a packet, as extraction and devices see it. */
static struct flow *flow_of(struct flow *f, size_t *n, const struct dune_packet *p, uint64_t tick, uint64_t timeout)
{
    for (size_t i = 0; i < *n; i++)
        if (dune_flow_key_equal(&f[i].key, &p->key)) {
            if (dune_expired(tick, f[i].regs.last, timeout))
                memset(&f[i].regs, 0, sizeof(f[i].regs));
            return &f[i];
        }
    f[*n] = (struct flow){.key = p->key};
    return &f[(*n)++];
}

static unsigned smallest_n(const struct dune_plan *p)
{
    unsigned n = 255;

    for (uint32_t i = 0; i < p->n_submodels; i++)
        n = DUNE_MIN(n, p->sub[i].n);
    return n;
}

/* Rows of a flow's first packets get the verdicts of those packets. */
static void rows_like_packets(const char *solution)
{
    struct dune_plan *p = planned(solution);
    struct packets x;
    const char *column[DUNE_N_FEATURES];
    struct dune_result *judge, r;
    struct dune_diag d = {0};
    struct flow *f;
    size_t n_flows = 0, n = 0;

    load(&x);
    judge = results(p, "reference", &x, 64);
    f = DUNE_NEW_N(struct flow, x.in.len);
    for (unsigned i = 0; i < DUNE_N_FEATURES; i++)
        column[i] = i % 2 ? dune_catalog[i].name : dune_catalog[i].published; /* any name will do */
    for (size_t i = 0; i < x.in.len; i++) {
        uint32_t row[DUNE_N_FEATURES];
        struct dune_packet pkt;
        struct flow *at;

        if (dune_packet_parse(&pkt, x.in.data[i].data, x.in.data[i].cap_len, &p->parser, p->shim_ethertype))
            continue;
        at = flow_of(f, &n_flows, &pkt, dune_tick(x.in.data[i].ts_ns), p->timeout);
        dune_flow_update(&at->regs, &pkt, dune_tick(x.in.data[i].ts_ns));
        if (at->regs.count > smallest_n(p))
            continue;
        dune_feature_vector(&pkt, &at->regs, row);
        assert_ok(dune_classify_rows(p, column, DUNE_N_FEATURES, row, 1, &r, &d), d);
        assert_memory_equal(&r, &judge[i], sizeof(r));
        n++;
    }
    assert_true(n > 200);
    dune_mem_free(f);
    dune_mem_free(judge);
    unload(&x);
    dune_plan_free(p);
}

static void test_rows(void **state)
{
    (void)state;
    rows_like_packets("dune");
    rows_like_packets("dune-paper");
    rows_like_packets("flowrest");
}

static void test_rows_refused(void **state)
{
    char *path = in_root("tests/golden/plan/seven_nodes.json");
    const char *unknown[] = {"ip.len", "colour"}, *twice[] = {"ip.len", "ip.ttl", "ip.len"}, *few[] = {"tcp.window"};
    uint32_t row[3] = {0};
    struct dune_result r;
    struct dune_plan *p;
    struct dune_diag d = {0};

    (void)state;
    assert_ok(dune_plan_read(&p, path, &d), d);
    assert_int_equal(dune_classify_rows(p, unknown, 2, row, 1, &r, &d), DUNE_E_USAGE);
    assert_non_null(strstr(d.msg, "colour"));
    d = (struct dune_diag){0};
    assert_int_equal(dune_classify_rows(p, twice, 3, row, 1, &r, &d), DUNE_E_USAGE);
    assert_non_null(strstr(d.msg, "columns 0 and 2 are both feature ip.len"));
    d = (struct dune_diag){0};
    assert_int_equal(dune_classify_rows(p, few, 1, row, 1, &r, &d), DUNE_E_USAGE);
    assert_non_null(strstr(d.msg, "which is no column"));
    dune_plan_free(p);
    dune_mem_free(path);
}

/* --- data sets, plans, scores ------------------------------------------------------------------------------- */

static void test_dataset(void **state)
{
    struct dune_dataset *ds = recorded();
    const uint64_t *row = dune_dataset_flow_row(ds), *len = dune_dataset_flow_len(ds);
    const uint32_t *count = dune_dataset_column(ds, "count");

    (void)state;
    assert_non_null(count);
    assert_null(dune_dataset_column(ds, "colour"));
    assert_null(dune_dataset_class_name(ds, dune_dataset_n_classes(ds)));
    assert_int_equal(row[dune_dataset_n_flows(ds)], dune_dataset_n_rows(ds));
    for (uint64_t f = 0; f < dune_dataset_n_flows(ds); f++) {
        assert_true(dune_dataset_flow_class(ds)[f] < dune_dataset_n_classes(ds));
        assert_true(dune_dataset_flow_test(ds)[f] <= 1);
        assert_true(row[f + 1] - row[f] == DUNE_MIN(len[f], 4));
        for (uint64_t i = row[f]; i < row[f + 1]; i++)
            assert_int_equal(count[i], i - row[f] + 1);
    }
    dune_dataset_free(ds);
}

static void test_refused(void **state)
{
    struct dune_dataset *ds = recorded();
    struct dune_plan_options bad[] = {{.solution = "x"}, {.budget = "x"}, {.features = "x"}, {.profile = "x"},
                                      {.effort = "x"}, {.devices = 17}};
    struct dune_dataset_options none = {0};
    struct dune_classifier_options engine = {.engine = "x"};
    struct dune_classifier *c = NULL;
    struct dune_score_options so = {0};
    struct dune_plan *p = NULL;
    struct dune_plan_scores s;

    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(bad); i++) {
        struct dune_diag d = {0};

        assert_int_equal(dune_plan_make(&p, ds, &bad[i], NULL, &d), DUNE_E_USAGE);
        assert_true(d.msg[0]);
    }
    assert_int_equal(dune_dataset_extract(&ds, &none, NULL), DUNE_E_USAGE);
    assert_int_equal(dune_plan_read(&p, "/nowhere/plan.json", NULL), DUNE_E_INPUT);
    p = dune_plan_new();
    assert_int_equal(dune_classifier_new(&c, p, &engine, NULL), DUNE_E_USAGE);
    assert_int_equal(dune_plan_score(&s, p, NULL, 0, &so, NULL), DUNE_E_USAGE);
    dune_plan_free(p);
    dune_dataset_free(ds);
}

static void test_score(void **state)
{
    char *test = in_root("data/recorded/test"), *labels = in_root("data/recorded/labels.csv");
    struct dune_score_options o = {.labels = labels};
    const char *path[] = {test};
    struct dune_plan *p = planned("dune");
    struct dune_plan_scores fast, reference;
    struct dune_diag d = {0};

    (void)state;
    assert_ok(dune_plan_score(&fast, p, path, 1, &o, &d), d);
    o.engine = "reference";
    assert_ok(dune_plan_score(&reference, p, path, 1, &o, &d), d);
    assert_memory_equal(&fast, &reference, sizeof(fast));
    assert_true(fast.flow.macro > 0.4 && fast.flow.macro <= 1 && fast.packets > fast.inferable && fast.flows > 100);
    dune_plan_free(p);
    dune_mem_free(test);
    dune_mem_free(labels);
}

static void test_names(void **state)
{
    char *path = in_root("tests/golden/plan/seven_nodes.json");
    struct dune_plan *p;
    struct dune_diag d = {0};

    (void)state;
    assert_int_equal(dune_api_version(), DUNE_API_VERSION);
    assert_true(dune_version()[0]);
    assert_null(dune_feature_name(dune_n_features()));
    for (unsigned i = 0; i < dune_n_features(); i++)
        assert_true(dune_feature_name(i)[0]);
    assert_string_equal(dune_result_reason(0), "ok");
    assert_null(dune_result_reason(1000));
    assert_ok(dune_plan_read(&p, path, &d), d);
    assert_string_equal(dune_plan_class_name(p, 0), "");
    assert_null(dune_plan_class_name(p, dune_plan_n_classes(p) + 1));
    assert_true(dune_plan_class_name(p, 1)[0]);
    assert_false(dune_plan_reads(p, "colour"));
    assert_true(dune_plan_n_devices(p) >= 1 && dune_plan_n_submodels(p) >= 1);
    dune_plan_free(p);
    dune_mem_free(path);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_names), cmocka_unit_test(test_dataset), cmocka_unit_test(test_packets),
    cmocka_unit_test(test_rows), cmocka_unit_test(test_rows_refused), cmocka_unit_test(test_refused),
    cmocka_unit_test(test_score),
};
RUN_TESTS(tests)
