/* SPDX-License-Identifier: Apache-2.0 */
/* Limits that hold without drift and are exceeded with it, by the features that moved and no others. */
#include <math.h>

#include "drift_world.h"
#include "dune/drift.h"

enum { FLOWS = 4000 };

struct world {
    struct dune_dataset *ds;
    struct dune_plan *plan;
    struct dune_drift_profile *profile;
};

static int setup(void **state)
{
    struct world *x = DUNE_NEW(struct world);
    struct dune_diag d = {0};

    x->ds = drift_data(1, FLOWS);
    x->plan = drift_plan(x->ds);
    assert_ok(dune_drift_learn(&x->profile, x->plan, x->ds, 300, &d), d);
    *state = x;
    return 0;
}

static int teardown(void **state)
{
    struct world *x = *state;

    dune_drift_profile_free(x->profile);
    dune_plan_free(x->plan);
    dune_dataset_free(x->ds);
    dune_mem_free(x);
    return 0;
}

static void check(const struct world *x, const struct dune_dataset *ds, const uint8_t *use, struct dune_drift_check *k)
{
    struct dune_drift_counts seen;
    struct dune_diag d = {0};

    dune_drift_counts_init(&seen, x->plan);
    assert_ok(dune_drift_count_flows(&seen, x->plan, ds, use, &d), d);
    dune_drift_compare(k, x->profile, x->plan, &seen);
    dune_drift_counts_fini(&seen);
}

/* Twenty windows of the same traffic: an alarm is rare. */
static void test_no_drift(void **state)
{
    struct world *x = *state;
    unsigned alarms = 0;

    assert_int_equal(x->profile->folds, 10);
    for (uint64_t seed = 100; seed < 120; seed++) {
        struct dune_dataset *ds = drift_data(seed, 300);
        struct dune_drift_check k;

        check(x, ds, NULL, &k);
        assert_true(k.enough);
        alarms += k.alarm;
        dune_drift_check_fini(&k);
        dune_dataset_free(ds);
    }
    assert_in_range(alarms, 0, 1);
}

/* A data set whose feature `f` is moved by a share of its domain. */
static struct dune_dataset *moved(uint64_t seed, int f, uint32_t by)
{
    struct dune_dataset *ds = drift_data(seed, 300);
    uint32_t *col = dune_mem_alloc(ds->n_rows, sizeof(*col));

    for (uint64_t r = 0; r < ds->n_rows; r++)
        col[r] = (uint32_t)DUNE_MIN((uint64_t)ds->col[f][r] + by, dune_feature_max(f));
    ds->col[f] = col; /* freed by the caller */
    return ds;
}

static void test_names_what_moved(void **state)
{
    static const int feature[] = {DUNE_F_IP_LEN, DUNE_F_TCP_WINDOW, DUNE_F_IP_TTL};
    struct world *x = *state;

    for (size_t i = 0; i < DUNE_ARRAY_LEN(feature); i++) {
        int f = feature[i];
        struct dune_dataset *ds = moved(200 + i, f, dune_feature_max(f) / 5);
        struct dune_drift_check k;
        struct dune_buf names = {0};

        check(x, ds, NULL, &k);
        assert_int_equal(k.n_features_moved, 1);
        assert_int_equal(k.signal[0].kind, DUNE_DRIFT_FEATURE);
        assert_string_equal(k.signal[0].name, dune_catalog[f].name);
        dune_drift_names(&k, 5, &names);
        assert_int_equal(strncmp(names.data, dune_catalog[f].name, strlen(dune_catalog[f].name)), 0);
        assert_null(strchr(names.data, ','));
        dune_buf_fini(&names);
        dune_drift_check_fini(&k);
        dune_mem_free((void *)(uintptr_t)ds->col[f]);
        dune_dataset_free(ds);
    }
}

/* The same values in another combination: no feature has moved by itself, and the leaves say so nevertheless. */
static void test_leaves_see_combinations(void **state)
{
    struct world *x = *state;
    struct dune_dataset *ds = drift_data(400, 300);
    uint32_t *col = dune_mem_alloc(ds->n_rows, sizeof(*col));
    struct dune_drift_check check_of;
    struct dune_buf text = {0};
    struct dune_rng r;

    memcpy(col, ds->col[DUNE_F_TCP_WINDOW], ds->n_rows * sizeof(*col));
    dune_rng_init(&r, 1, 2, 0, 0);
    for (uint64_t i = ds->n_rows; i > 1; i--) {
        uint64_t k = dune_rng_below(&r, i);
        uint32_t v = col[i - 1];

        col[i - 1] = col[k];
        col[k] = v;
    }
    ds->col[DUNE_F_TCP_WINDOW] = col;
    check(x, ds, NULL, &check_of);
    assert_int_equal(check_of.n_features_moved, 0);
    assert_int_equal(check_of.n_leaves_moved, 1);
    assert_true(check_of.alarm);
    assert_int_equal(check_of.signal[0].kind, DUNE_DRIFT_LEAVES);
    assert_true(check_of.signal[0].by[0].share >= check_of.signal[0].by[1].share && check_of.signal[0].by[0].share > 0.3);
    dune_drift_moved(&check_of, x->plan, 5, &text);
    assert_int_equal(strncmp(text.data, "leaves of sub-model 7 (", 23), 0);
    assert_non_null(strstr(text.data, ", by "));
    dune_buf_fini(&text);
    dune_drift_check_fini(&check_of);
    dune_mem_free(col);
    dune_dataset_free(ds);
}

/* Features' parts add up, and more of the same traffic says the same. */
static void test_divergence(void **state)
{
    struct world *x = *state;
    const struct dune_submodel *sm = &x->plan->sub[0];
    struct dune_dataset *ds = moved(500, DUNE_F_IP_TTL, 40);
    struct dune_drift_counts seen, none;
    double by[DUNE_N_FEATURES], sum = 0, whole;
    struct dune_diag d = {0};

    dune_drift_counts_init(&seen, x->plan);
    dune_drift_counts_init(&none, x->plan);
    assert_ok(dune_drift_count_flows(&seen, x->plan, ds, NULL, &d), d);
    whole = dune_drift_leaves(sm, &seen.sub[0], &x->profile->expected.sub[0], by);
    for (uint32_t j = 0; j < sm->n_feats; j++)
        sum += by[j];
    assert_true(whole > x->profile->limit[0].leaves && fabs(sum - whole) < 1e-9);
    dune_drift_counts_add(&seen, &seen, 1);
    assert_true(fabs(dune_drift_leaves(sm, &seen.sub[0], &x->profile->expected.sub[0], NULL) - whole) < 1e-9);
    assert_true(dune_drift_leaves(sm, &x->profile->expected.sub[0], &x->profile->expected.sub[0], NULL) < 1e-4);
    assert_true(dune_drift_leaves(sm, &none.sub[0], &x->profile->expected.sub[0], NULL) < 0);
    dune_drift_counts_fini(&seen);
    dune_drift_counts_fini(&none);
    dune_mem_free((void *)(uintptr_t)ds->col[DUNE_F_IP_TTL]);
    dune_dataset_free(ds);
}

/* Too few answers say nothing; a few more are judged with wider limits. */
static void test_small_windows(void **state)
{
    struct world *x = *state;
    struct dune_dataset *ds = moved(300, DUNE_F_IP_LEN, 60000);
    uint8_t *use = DUNE_NEW_N(uint8_t, ds->n_flows);
    struct dune_drift_check k;
    double limit = 0;

    for (uint64_t n = 10; n <= 300; n += 145) {
        for (uint64_t i = 0; i < ds->n_flows; i++)
            use[i] = i < n;
        check(x, ds, use, &k);
        assert_int_equal(k.enough, n > 10);
        assert_int_equal(k.n_moved > 0, n > 10);
        if (n == 155)
            limit = k.signal[0].limit;
        if (n == 300)
            assert_true(k.signal[0].limit < limit);
        dune_drift_check_fini(&k);
    }
    dune_mem_free(use);
    dune_mem_free((void *)(uintptr_t)ds->col[DUNE_F_IP_LEN]);
    dune_dataset_free(ds);
}

static void test_file(void **state)
{
    struct world *x = *state;
    struct dune_plan *other = dune_plan_clone(x->plan);
    struct dune_drift_profile *again;
    struct dune_buf text = {0}, twice = {0};
    struct dune_diag d = {0};
    char hash[33];

    dune_drift_profile_format(x->profile, x->plan, &text);
    assert_ok(dune_drift_profile_parse(&again, x->plan, "p", text.data, text.len, &d), d);
    dune_drift_profile_format(again, x->plan, &twice);
    assert_string_equal(text.data, twice.data);
    dune_drift_profile_free(again);
    /* Another generation is the same plan, other thresholds are not. */
    other->generation = 9;
    dune_drift_plan_hash(other, hash);
    assert_string_equal(hash, x->profile->plan_hash);
    other->cls[0].min_confidence++;
    assert_int_equal(dune_drift_profile_parse(&again, other, "p", text.data, text.len, &d), DUNE_E_INPUT);
    assert_non_null(strstr(d.msg, "another plan"));
    /* Counts that do not add up. */
    *strstr(text.data, "\"hits\": [") = 'x';
    memset(&d, 0, sizeof(d));
    assert_int_equal(dune_drift_profile_parse(&again, x->plan, "p", text.data, text.len, &d), DUNE_E_FORMAT);
    dune_plan_free(other);
    dune_buf_fini(&text);
    dune_buf_fini(&twice);
}

static void test_distances(void **state)
{
    (void)state;
    struct dune_drift_check k = {0};
    struct dune_buf b = {0};

    assert_string_equal(dune_drift_kind_name(DUNE_DRIFT_CLAIMS), "claims");
    assert_string_equal(dune_drift_kind_name((enum dune_drift_kind)9), "?");
    dune_drift_names(&k, 3, &b);
    assert_string_equal(b.data, "");
    dune_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_drift),
        cmocka_unit_test(test_names_what_moved),
        cmocka_unit_test(test_leaves_see_combinations),
        cmocka_unit_test(test_divergence),
        cmocka_unit_test(test_small_windows),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_distances),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, setup, teardown);
}
