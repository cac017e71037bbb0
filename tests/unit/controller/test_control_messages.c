/* SPDX-License-Identifier: Apache-2.0 */
/* Control messages: what is written reads back equal; what is wrong is refused with its path. */
#include "controller/ctl_int.h"
#include "dune/control.h"
#include "testing.h"

static void random_digest(struct dune_rng *r, struct dune_digest *dg)
{
    static const uint8_t flags[] = {0, DUNE_SHIM_FL, DUNE_SHIM_TENTATIVE, DUNE_SHIM_FL | DUNE_SHIM_TENTATIVE};

    memset(dg, 0, sizeof(*dg));
    dg->key.len = dune_rng_below(r, 2) ? 13 : 37;
    for (unsigned i = 0; i < dg->key.len; i++)
        dg->key.bytes[i] = (uint8_t)dune_rng_u64(r);
    dg->tick = dune_rng_u64(r) >> 2;
    dg->generation = (uint16_t)dune_rng_u64(r);
    dg->cls = (uint8_t)dune_rng_below(r, 255);
    dg->flags = flags[dune_rng_below(r, 4)];
    dg->submodel = (uint8_t)dune_rng_u64(r);
    dg->conf = (uint8_t)dune_rng_u64(r);
    dg->device = (uint16_t)dune_rng_u64(r);
}

static void random_report(struct dune_rng *r, struct dune_ctl_report *rep)
{
    uint64_t *c = (uint64_t *)&rep->counters;

    rep->boot = dune_rng_u64(r);
    rep->tick = dune_rng_u64(r);
    rep->n_held = (uint32_t)dune_rng_below(r, 3);
    for (uint32_t i = 0; i < rep->n_held; i++)
        rep->held[i] = (struct dune_ctl_held){(uint16_t)dune_rng_u64(r), (uint32_t)dune_rng_u64(r)};
    rep->position = (uint16_t)dune_rng_below(r, 255);
    rep->stamped = (uint16_t)dune_rng_u64(r);
    rep->share = (uint32_t)dune_rng_below(r, DUNE_CTL_SHARE + 1);
    rep->drain_until = UINT64_MAX - dune_rng_below(r, 3);
    rep->stale = dune_rng_u64(r);
    rep->shadow.same = dune_rng_u64(r);
    for (size_t i = 0; i < sizeof(rep->counters) / sizeof(*c); i++)
        c[i] = dune_rng_u64(r);
    rep->counters.not_inferable[DUNE_REASON_OK] = 0; /* no reason, not written */
}

static void random_message(struct dune_rng *r, struct dune_ctl_msg *m)
{
    static char text[] = "{\"a\": \"\\u00e9\\\\ \xc3\xa9\"}\n";

    memset(m, 0, sizeof(*m));
    m->kind = (enum dune_ctl_kind)dune_rng_below(r, DUNE_CTL_N_KINDS);
    snprintf(m->device, sizeof(m->device), "s-%u_x", (unsigned)dune_rng_below(r, 1000));
    m->epoch = dune_rng_u64(r);
    m->seq = dune_rng_u64(r);
    m->generation = (uint16_t)dune_rng_u64(r);
    m->text = m->kind == DUNE_CTL_LOAD || m->kind == DUNE_CTL_SHADOW || m->kind == DUNE_CTL_REFUSED ? text : NULL;
    m->text_len = m->text ? strlen(text) : 0;
    m->position = m->kind == DUNE_CTL_LOAD ? (uint16_t)dune_rng_below(r, 255) : 0;
    if (m->kind == DUNE_CTL_LOAD || m->kind == DUNE_CTL_SHADOW) {
        m->parts = 1 + (uint32_t)dune_rng_below(r, 5);
        m->part = (uint32_t)dune_rng_below(r, m->parts);
    }
    m->share = m->kind == DUNE_CTL_STAMP ? (uint32_t)dune_rng_below(r, DUNE_CTL_SHARE + 1) : 0;
    m->code = m->kind == DUNE_CTL_REFUSED ? DUNE_E_USAGE : 0;
    if (m->kind == DUNE_CTL_RULES || m->kind == DUNE_CTL_DIGESTS)
        m->n_digests = (uint32_t)dune_rng_below(r, DUNE_CTL_BATCH + 1);
    for (uint32_t i = 0; i < m->n_digests; i++)
        random_digest(r, &m->digest[i]);
    if (m->kind == DUNE_CTL_REPORT)
        random_report(r, &m->report);
}

static void test_round_trip(void **state)
{
    struct dune_ctl_msg *a = DUNE_NEW(struct dune_ctl_msg), *b = DUNE_NEW(struct dune_ctl_msg);
    struct dune_rng r;

    dune_rng_init(&r, 5, 0, 0, 0);
    for (int i = 0; i < 400; i++) {
        struct dune_buf text = {0}, again = {0};
        struct dune_diag d = {0};

        random_message(&r, a);
        dune_ctl_format(a, &text);
        assert_ok(dune_ctl_parse(b, text.data, text.len, &d), d);
        dune_ctl_format(b, &again);
        assert_string_equal(text.data, again.data);
        assert_int_equal(a->epoch, b->epoch);
        assert_memory_equal(&a->report, &b->report, sizeof(a->report));
        for (uint32_t k = 0; k < a->n_digests; k++) {
            assert_true(dune_flow_key_equal(&a->digest[k].key, &b->digest[k].key));
            assert_int_equal(a->digest[k].tick, b->digest[k].tick);
            assert_int_equal(a->digest[k].cls, b->digest[k].cls);
        }
        assert_int_equal(a->text_len, b->text_len);
        if (a->text)
            assert_memory_equal(a->text, b->text, a->text_len);
        dune_ctl_msg_fini(b);
        dune_buf_fini(&text);
        dune_buf_fini(&again);
    }
    dune_mem_free(a);
    dune_mem_free(b);
    (void)state;
}

/* With a space before it a message is read by the JSON reader, without it by the fast one where that can: both say the
 * same, whatever is changed. */
static void test_fast_read(void **state)
{
    struct dune_ctl_msg *a = DUNE_NEW(struct dune_ctl_msg), *b = DUNE_NEW(struct dune_ctl_msg);
    uint32_t n_good = 0;
    struct dune_rng r;

    dune_rng_init(&r, 6, 0, 0, 0);
    for (int i = 0; i < 6000; i++) {
        static const char some[] = "0123456789abcdef\"[], \n{}:x-.\0";
        struct dune_buf text = {0};
        struct dune_diag d = {0};
        int rc;

        do
            random_message(&r, a);
        while (a->kind != DUNE_CTL_RULES && a->kind != DUNE_CTL_DIGESTS);
        a->n_digests = DUNE_MIN(a->n_digests, i % 3 ? 3u : 64u);
        for (uint32_t k = 0; i % 8 == 0 && k < a->n_digests; k++)
            a->digest[k].tick >>= 20; /* as those of clocks are; the others are too long for the fast reader */
        a->epoch >>= dune_rng_below(&r, 64), a->seq >>= dune_rng_below(&r, 64);
        dune_buf_append(&text, " ", 1);
        dune_ctl_format(a, &text);
        for (uint32_t k = i % 4; k > 0; k--) /* a quarter stays as it is */
            text.data[1 + dune_rng_below(&r, text.len - 1)] = some[dune_rng_below(&r, sizeof(some) - 1)];
        if (i % 16 == 1)
            text.len -= dune_rng_below(&r, text.len / 2);
        rc = dune_ctl_parse(a, text.data, text.len, &d);
        d = (struct dune_diag){0};
        assert_int_equal(dune_ctl_parse(b, text.data + 1, text.len - 1, &d), rc);
        n_good += rc == 0;
        if (rc == 0)
            assert_memory_equal(a, b, sizeof(*a));
        if (i % 8 == 0 && a->n_digests && DUNE_MAX(a->epoch, a->seq) < UINT64_C(100000000000000000)) {
            memset(b, 0, sizeof(*b));
            assert_true(dune_ctl_fast_read(b, text.data + 1, text.len - 1));
        }
        dune_buf_fini(&text);
    }
    assert_true(n_good > 1500 && n_good < 5000);
    dune_mem_free(a);
    dune_mem_free(b);
    (void)state;
}

static void refuse(const char *text, const char *place, const char *words)
{
    struct dune_ctl_msg *m = DUNE_NEW(struct dune_ctl_msg);
    struct dune_diag d = {0};

    if (dune_ctl_parse(m, text, strlen(text), &d) == 0)
        fail_msg("accepted: %s", text);
    if (strcmp(d.place, place) != 0 || !strstr(d.msg, words))
        fail_msg("%s: place \"%s\" message \"%s\", wanted \"%s\" and \"%s\"", text, d.place, d.msg, place, words);
    dune_mem_free(m);
}

#define HEAD "{\"v\":1,\"type\":\"%s\",\"device\":\"s1\",\"epoch\":1,\"seq\":2,\"generation\":3"
static const char *with(const char *type, const char *rest)
{
    static char text[1024];
    int n = snprintf(text, sizeof(text), HEAD, type);

    snprintf(text + n, sizeof(text) - (size_t)n, "%s}", rest);
    return text;
}

static void test_refused(void **state)
{
    struct dune_ctl_msg *m = DUNE_NEW(struct dune_ctl_msg);
    struct dune_diag d = {0};
    char *big = dune_mem_alloc(DUNE_CTL_MESSAGE_MAX + 1, 1);

    refuse("", "", "control message");
    refuse("[1]", "", "is an object");
    refuse("{\"v\":2}", "v", "version 2.0, made by a newer program; this one reads version 1");
    refuse("{\"v\":0}", "v", "version 0.0; this program reads version 1");
    refuse("{\"v\":1,\"minor\":-1}", "minor", "minor version");
    refuse("{\"v\":1,\"type\":\"dance\"}", "type", "none of the known");
    refuse("{\"v\":1,\"type\":\"clear\",\"device\":\"../x\",\"epoch\":1,\"seq\":1,\"generation\":0}", "", "device name");
    refuse(with("stamp", ""), "", "'share' is missing");
    refuse(with("stamp", ",\"share\":1025"), "share", "0 to 1024");
    refuse(with("clear", ",\"x\":1"), "x", "unknown key");
    refuse(with("load", ",\"position\":0,\"part\":2,\"parts\":2,\"plan\":\"\""), "", "part 2 of 2");
    refuse(with("load", ",\"position\":0,\"part\":0,\"parts\":0,\"plan\":\"\""), "", "part 0 of 0");
    refuse(with("rules", ",\"rules\":[[1]]"), "rules[0]", "a digest is");
    refuse(with("rules", ",\"rules\":[[\"00\",1,1,1,0,1,1,1]]"), "rules[0]", "26 or 74");
    refuse(with("rules", ",\"rules\":[[\"0000000000000000000000000g\",1,1,1,0,1,1,1]]"), "rules[0]", "hex");
    refuse(with("rules", ",\"rules\":[[\"00000000000000000000000000\",1,1,255,0,1,1,1]]"), "rules[0][3]", "0 to 254");
    refuse(with("rules", ",\"rules\":[[\"00000000000000000000000000\",1,1,1,2,1,1,1]]"), "rules[0]", "flags");
    refuse(with("refused", ",\"code\":0,\"why\":\"x\""), "", "error code");
    memset(big, ' ', DUNE_CTL_MESSAGE_MAX + 1);
    assert_int_equal(dune_ctl_parse(m, big, DUNE_CTL_MESSAGE_MAX + 1, &d), DUNE_E_INPUT);
    dune_mem_free(big);
    dune_mem_free(m);
    (void)state;
}

/* While versions differ on a bus, what a newer minor has added is passed over; what is known is still checked. */
static void test_newer_minor(void **state)
{
    struct dune_ctl_msg *m = DUNE_NEW(struct dune_ctl_msg);
    struct dune_diag d = {0};
    const char *text = with("stamp", ",\"minor\":3,\"share\":7,\"colour\":{\"x\":1}");

    assert_ok(dune_ctl_parse(m, text, strlen(text), &d), d);
    assert_int_equal(m->share, 7);
    refuse(with("stamp", ",\"minor\":3,\"colour\":1"), "", "'share' is missing");
    refuse(with("stamp", ",\"minor\":0,\"share\":7,\"colour\":1"), "colour", "unknown key");
    dune_mem_free(m);
    (void)state;
}

/* DUNE_WRITE_MESSAGES: makes the golden file of a version (tests/golden/formats/make.sh). */
static void write_messages(const char *path)
{
    struct dune_ctl_msg *m = DUNE_NEW(struct dune_ctl_msg);
    struct dune_buf text = {0};
    struct dune_diag d = {0};
    struct dune_rng r;

    dune_rng_init(&r, 7, 0, 0, 0);
    for (int kind = 0; kind < DUNE_CTL_N_KINDS;) {
        random_message(&r, m);
        if ((int)m->kind != kind)
            continue;
        m->n_digests = DUNE_MIN(m->n_digests, 2u);
        dune_ctl_format(m, &text);
        dune_buf_puts(&text, "\n");
        kind++;
    }
    assert_ok(dune_file_write(path, text.data, text.len, &d), d);
    dune_buf_fini(&text);
    dune_mem_free(m);
}

/* Messages as version 1.0 writes them, one per kind, with an empty line between them. */
static void test_golden(void **state)
{
    char *path = dune_mem_printf("%s/tests/golden/formats/1.0/messages.txt", getenv("DUNE_SOURCE_ROOT")), *text;
    struct dune_ctl_msg *m = DUNE_NEW(struct dune_ctl_msg);
    struct dune_diag d = {0};
    unsigned n = 0;
    size_t len;

    if (getenv("DUNE_WRITE_MESSAGES"))
        write_messages(getenv("DUNE_WRITE_MESSAGES"));
    assert_ok(dune_file_read(path, &text, &len, &d), d);
    for (char *at = text, *end; (end = strstr(at, "\n\n")) != NULL; at = end + 2, n++) {
        struct dune_buf again = {0};

        end[1] = '\0';
        assert_ok(dune_ctl_parse(m, at, strlen(at), &d), d);
        assert_int_equal(m->kind, n);
        dune_ctl_format(m, &again);
        assert_string_equal(again.data, at);
        dune_buf_fini(&again);
        dune_ctl_msg_fini(m);
    }
    assert_int_equal(n, DUNE_CTL_N_KINDS);
    dune_mem_free(text);
    dune_mem_free(path);
    dune_mem_free(m);
    (void)state;
}

static void test_subjects(void **state)
{
    assert_true(dune_bus_subject_match("dune.rep.*", "dune.rep.s1"));
    assert_false(dune_bus_subject_match("dune.rep.*", "dune.rep."));
    assert_false(dune_bus_subject_match("dune.rep.*", "dune.rep.a.b"));
    assert_false(dune_bus_subject_match("dune.rep.*", "dune.reports"));
    assert_true(dune_bus_subject_match("dune.op", "dune.op"));
    assert_false(dune_bus_subject_match("dune.op", "dune.op2"));
    assert_true(dune_ctl_name_ok("leaf-1_a"));
    assert_false(dune_ctl_name_ok(""));
    assert_false(dune_ctl_name_ok("a.b"));
    assert_false(dune_ctl_name_ok("a/b"));
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_fast_read),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_newer_minor),
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_subjects),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
