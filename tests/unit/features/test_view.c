/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>

#include "random_dataset.h"

#define ALL_FEATURES ((UINT64_C(1) << DUNE_N_FEATURES) - 1)

/* What the design says about packet i (1-based) of a flow: its weight in 2^-24 flows and whether it
 * sees flow features; weight 0: no row. rows: packets stored. */
static uint64_t naive_weight(enum dune_mode mode, uint64_t n, uint64_t i, uint64_t rows, uint64_t len,
                             bool *sees)
{
    uint64_t w = 0;

    *sees = mode == DUNE_MODE_RUNNING || (mode != DUNE_MODE_PACKET && i == n);
    if (mode == DUNE_MODE_PACKET)
        w = (i < rows ? 1 : len - rows + 1) * DUNE_WEIGHT_ONE / len;
    else if (i == n)
        w = (len - n + 1) * DUNE_WEIGHT_ONE / len;
    else if (i < n && mode != DUNE_MODE_FLOW)
        w = DUNE_WEIGHT_ONE / len;
    else
        return 0;
    return w ? w : 1;
}

static void check_row(const struct dune_dataset *ds, const struct dune_table *t, size_t at,
                      uint64_t flow, uint64_t i, uint64_t w, bool sees)
{
    assert_true(t->w[at] == w);
    assert_int_equal(t->flow[at], flow);
    assert_int_equal(t->pos[at], i);
    assert_int_equal(t->cls[at], ds->flow_class[flow]);
    for (uint32_t c = 0; c < t->n_cols; c++) {
        int f = t->feat[c];
        bool fl = dune_catalog[f].phase == DUNE_PHASE_FL;

        assert_int_equal(t->col[c][at], fl && !sees ? 0 : ds->col[f][ds->flow_row[flow] + i - 1]);
    }
}

static void check_view(const struct dune_dataset *ds, const struct dune_view *v)
{
    struct dune_diag d = {0};
    struct dune_table t;
    size_t at = 0;

    assert_ok(dune_table_build(&t, ds, v, &d), d);
    assert_int_equal(t.n_cols, __builtin_popcountll(v->features));
    for (uint64_t f = 0; f < ds->n_flows; f++) {
        uint64_t rows = ds->flow_row[f + 1] - ds->flow_row[f];

        for (uint64_t i = 1; i <= rows && (!v->flow_use || v->flow_use[f]); i++) {
            bool sees;
            uint64_t w = naive_weight(v->mode, v->n, i, rows, ds->flow_len[f], &sees);

            if (!w)
                continue;
            check_row(ds, &t, at++, f, i, w, sees);
            if (!v->collision_per_mille)
                continue;
            w = w * v->collision_per_mille / 1000;
            check_row(ds, &t, at++, f, i, w ? w : 1, false);
        }
    }
    assert_int_equal(at, t.n_rows);
    dune_table_fini(&t);
}

static void test_views_match_naive(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        struct random_shape s = {.classes = 4, .captures = 3, .max_n = seed & 1 ? 0 : 4, .flows = 60,
                                 .max_len = seed & 2 ? 6 : 100, .seed = seed};
        struct dune_dataset *ds = random_dataset(s);
        uint8_t use[60];

        for (int i = 0; i < 60; i++)
            use[i] = (uint8_t)(i % 3);
        for (int mode = 0; mode < DUNE_N_MODES; mode++)
            for (unsigned n = 1; n <= 4; n++) {
                struct dune_view v = {.n = n, .mode = (enum dune_mode)mode, .features = ALL_FEATURES};

                check_view(ds, &v);
                v.flow_use = use;
                v.features = 0x0f0f0f0f0f;
                v.collision_per_mille = 50;
                check_view(ds, &v);
            }
        dune_dataset_free(ds);
    }
}

/* A flow of a million packets and a collision share of it: never weight 0. */
static void test_weights_never_vanish(void **state)
{
    struct random_shape s = {.classes = 2, .captures = 1, .max_n = 2, .flows = 3,
                             .max_len = 1, .seed = 1};
    struct dune_dataset *ds = random_dataset(s);
    struct dune_view v = {.n = 1, .mode = DUNE_MODE_PACKET, .features = 1,
                          .collision_per_mille = 1};
    uint64_t len[3] = {UINT64_C(1) << 39, 1, 3};
    struct dune_diag d = {0};
    struct dune_table t;

    (void)state;
    ds->flow_len = len; /* the last row stands for the rest */
    assert_ok(dune_table_build(&t, ds, &v, &d), d);
    assert_int_equal(t.n_rows, 6);
    assert_true(t.w[0] == DUNE_WEIGHT_ONE);
    assert_true(t.w[1] == DUNE_WEIGHT_ONE / 1000);
    for (size_t i = 0; i < t.n_rows; i++)
        assert_true(t.w[i] > 0);
    dune_table_fini(&t);
    dune_dataset_free(ds);
}

static void test_refusals(void **state)
{
    struct random_shape s = {.classes = 2, .captures = 1, .max_n = 4, .flows = 5, .max_len = 9};
    struct dune_dataset *ds = random_dataset(s);
    struct dune_view v = {.n = 5, .mode = DUNE_MODE_RUNNING, .features = 1};
    struct dune_diag d = {0};
    struct dune_table t;

    (void)state;
    assert_int_equal(dune_table_build(&t, ds, &v, &d), DUNE_E_USAGE);
    assert_non_null(strstr(d.msg, "--max-n 5"));
    v.n = 0;
    assert_int_equal(dune_table_build(&t, ds, &v, NULL), DUNE_E_USAGE);
    v.n = 4;
    v.features = 0;
    assert_int_equal(dune_table_build(&t, ds, &v, NULL), DUNE_E_USAGE);
    dune_table_fini(&t); /* a refused table is empty */
    assert_int_equal(dune_mode_find("published"), DUNE_MODE_PUBLISHED);
    assert_int_equal(dune_mode_find("x"), -1);
    assert_string_equal(dune_mode_name(DUNE_MODE_FLOW), "flow");
    dune_dataset_free(ds);
}

static void test_balance(void **state)
{
    struct random_shape s = {.classes = 3, .captures = 1, .max_n = 3, .flows = 200, .max_len = 9};
    struct dune_dataset *ds = random_dataset(s);
    struct dune_view v = {.n = 3, .mode = DUNE_MODE_RUNNING, .features = 1};
    static const double exponent[] = {0, 0.5, 1};
    struct dune_diag d = {0};

    (void)state;
    for (int e = 0; e < 3; e++) {
        double old[3] = {0}, new[3] = {0}, total = 0, total_new = 0, want[3], want_sum = 0;
        struct dune_table t;

        assert_ok(dune_table_build(&t, ds, &v, &d), d);
        for (size_t i = 0; i < t.n_rows; i++) {
            t.cls[i] = i < 300 ? 0 : i < 400 ? 1 : 2; /* shares far apart */
            old[t.cls[i]] += (double)t.w[i];
            total += (double)t.w[i];
        }
        dune_table_balance(&t, exponent[e]);
        for (size_t i = 0; i < t.n_rows; i++) {
            new[t.cls[i]] += (double)t.w[i];
            total_new += (double)t.w[i];
        }
        for (int c = 0; c < 3; c++)
            want_sum += want[c] = old[c] * pow(old[c] / total, -exponent[e]);
        assert_true(fabs(total_new / total - 1) < 1e-6);
        for (int c = 0; c < 3; c++)
            assert_true(fabs(new[c] / total_new - want[c] / want_sum) < 1e-6);
        dune_table_fini(&t);
    }
    dune_dataset_free(ds);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_views_match_naive),
    cmocka_unit_test(test_weights_never_vanish),
    cmocka_unit_test(test_refusals),
    cmocka_unit_test(test_balance),
};
RUN_TESTS(tests)
