/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "dune/features.h"

#define BIT(id) ((dune_feature_mask)1 << (id))

static dune_feature_mask parse(const char *text, unsigned max_k)
{
    struct dune_diag d = {0};
    dune_feature_mask m = 0;

    assert_ok(dune_feature_set_parse(text, max_k, &m, &d), d);
    return m;
}

/* Every accepted name leads to one feature only, in any case. */
static void test_names_are_unique(void **state)
{
    (void)state;
    for (int i = 0; i < DUNE_N_FEATURES; i++) {
        const struct dune_feature *f = &dune_catalog[i];
        char *copy = dune_mem_strdup(f->aliases), *rest = copy, *alias;

        assert_int_equal(dune_feature_find(f->name), i);
        assert_int_equal(dune_feature_find(f->published), i);
        while ((alias = strsep(&rest, "|")) != NULL) {
            if (*alias)
                assert_int_equal(dune_feature_find(alias), i);
            for (char *p = alias; *p; p++)
                *p = *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p;
            if (*alias)
                assert_int_equal(dune_feature_find(alias), i);
        }
        dune_mem_free(copy);
    }
    assert_int_equal(dune_feature_find(""), -1);
    assert_int_equal(dune_feature_find("|"), -1);
    assert_int_equal(dune_feature_find("ttl|"), -1);
    assert_int_equal(dune_feature_find("Packet Length Mean"), -1);
    assert_int_equal(dune_feature_find("flow iat min"), DUNE_F_GAP_MIN);
}

static void test_table(void **state)
{
    (void)state;
    for (int i = 0; i < DUNE_N_FEATURES; i++) {
        const struct dune_feature *f = &dune_catalog[i];
        unsigned k = 0;

        if (strncmp(f->name, "len.", 4) == 0 || strncmp(f->name, "gap.", 4) == 0)
            k = (unsigned)atoi(f->name + 4);
        assert_int_equal(f->kth, k);
        assert_int_equal((f->flags & DUNE_FF_KTH) != 0, k != 0);
        assert_int_equal(f->phase, i < DUNE_F_LEN_MIN ? DUNE_PHASE_PL : DUNE_PHASE_FL);
        assert_true(dune_feature_max(i) == (f->bits == 32 ? UINT32_MAX : (1u << f->bits) - 1));
        assert_int_equal(f->targets, 31);
    }
}

static void test_sets(void **state)
{
    (void)state;
    assert_true(parse("all", 0) == (BIT(DUNE_N_FEATURES) - 1 - BIT(DUNE_F_DSTPORT_LOW)));
    assert_true(parse("easy", 3) == parse("all", 3));
    assert_true(parse("pkt,flow", 2) == parse("all", 2));
    assert_true((parse("pkt", 0) & parse("flow", 0)) == 0);
    assert_true(parse("all", 3) & BIT(DUNE_F_GAP_3));
    assert_false(parse("all", 3) & BIT(DUNE_F_GAP_4));
    assert_false(parse("all", 3) & BIT(DUNE_F_LEN_4));
    assert_false(parse("notime", 0) & BIT(DUNE_F_DURATION));
    assert_false(parse("notime", 0) & BIT(DUNE_F_GAP_8));
    assert_true(parse("robust", 0) ==
                ((parse("all", 0) | BIT(DUNE_F_DSTPORT_LOW)) &
                 ~parse("ip.ttl,srcport,dstport,tcp.window", 0)));
    assert_int_equal(__builtin_popcountll(parse("paper", 0)), 28);
}

static void test_lists(void **state)
{
    struct dune_diag d = {0};
    dune_feature_mask m;

    (void)state;
    assert_true(parse("srcport, Flow Duration ,ecn", 0) ==
                (BIT(DUNE_F_SRCPORT) | BIT(DUNE_F_DURATION) | BIT(DUNE_F_TCP_ECE)));
    assert_true(parse("all,-srcport", 0) == (parse("all", 0) & ~BIT(DUNE_F_SRCPORT)));
    assert_true(parse("all,len.8", 2) == (parse("all", 2) | BIT(DUNE_F_LEN_8)));
    assert_true(parse("all,len.8,-flow", 2) == parse("pkt", 0));
    assert_int_equal(dune_feature_set_parse("all,nonsense", 0, &m, &d), DUNE_E_USAGE);
    assert_non_null(strstr(d.msg, "nonsense"));
    assert_int_equal(dune_feature_set_parse("", 0, &m, NULL), DUNE_E_USAGE);
    assert_int_equal(dune_feature_set_parse("all,", 0, &m, NULL), DUNE_E_USAGE);
    assert_int_equal(dune_feature_set_parse("pkt,-pkt", 0, &m, NULL), DUNE_E_USAGE);
}

static void test_timeouts(void **state)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } good[] = {{"60", 60000000000u}, {"1.5", 1500000000u},        {"0.000002", 2000},
                {"007", 7000000000u}, {"0.0000010249999", 1024}, {"1000000000", 1000000000000000000u}};
    static const char *const bad[] = {"", "0", "-1", "1e3", "1.", ".5", "0.0000001", "60s", "None",
                                      "1000000001", "99999999999999999999999999", " 1", "1 ", "nan"};
    uint64_t t;

    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(good); i++) {
        assert_int_equal(dune_timeout_parse(good[i].text, &t, NULL), 0);
        assert_true(t == good[i].ns / 1024);
    }
    assert_int_equal(dune_timeout_parse("none", &t, NULL), 0);
    assert_true(t == DUNE_TIMEOUT_NONE);
    for (size_t i = 0; i < DUNE_ARRAY_LEN(bad); i++)
        assert_int_equal(dune_timeout_parse(bad[i], &t, NULL), DUNE_E_USAGE);
    assert_false(dune_expired(UINT64_MAX, 0, DUNE_TIMEOUT_NONE));
    assert_false(dune_expired(10, 0, 10));
    assert_true(dune_expired(11, 0, 10));
    assert_false(dune_expired(5, 100, 10));
    assert_true(dune_expired(UINT64_MAX - 1, 0, UINT64_C(1) << 40));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_names_are_unique), cmocka_unit_test(test_table),
    cmocka_unit_test(test_sets),             cmocka_unit_test(test_lists),
    cmocka_unit_test(test_timeouts),
};
RUN_TESTS(tests)
