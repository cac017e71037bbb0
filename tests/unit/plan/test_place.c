/* SPDX-License-Identifier: Apache-2.0 */
#include "random_plan.h"

static void budgets(void **state)
{
    struct dune_budget b;
    struct dune_diag d = {0};

    (void)state;
    assert_ok(dune_budget_parse("tight", &b, &d), d);
    assert_true(b.leaves_sum == 129 && b.features_distinct == 6);
    assert_ok(dune_budget_parse("tiny", &b, &d), d);
    assert_true(b.leaves_sum == 41 && b.features_distinct == 4);
    assert_ok(dune_budget_parse("loose", &b, &d), d);
    assert_true(b.leaves_sum == 500 && b.features_distinct == 10);
    assert_ok(dune_budget_parse("features_distinct=7,leaves_sum=12", &b, &d), d);
    assert_true(b.leaves_sum == 12 && b.features_distinct == 7);
    assert_ok(dune_budget_parse("leaves_sum=5", &b, &d), d);
    assert_true(b.leaves_sum == 5 && b.features_distinct == 0);
    assert_int_equal(dune_budget_parse("leaves=5", &b, NULL), DUNE_E_USAGE);
    assert_int_equal(dune_budget_parse("", &b, NULL), DUNE_E_USAGE);
    assert_int_equal(dune_budget_parse("leaves_sum=4294967296", &b, NULL), DUNE_E_USAGE);
    assert_int_equal(dune_budget_parse("tight,", &b, &d), DUNE_E_USAGE);
    assert_non_null(strstr(d.msg, "tight,"));
}

static uint32_t leaves_of(const struct dune_submodel *sm)
{
    uint32_t n = 0;

    for (uint32_t t = 0; t < sm->n_trees; t++)
        n += sm->tree[t].n_leaves;
    return n;
}

/* All ways to put the sub-models, in order; returns the fewest devices in use, or UINT32_MAX. */
static uint32_t brute_force(const struct dune_plan *p, uint32_t s, uint32_t device, uint32_t *use)
{
    uint32_t best = UINT32_MAX, n = 0;

    if (s == p->n_submodels) {
        for (uint32_t i = 0; i < p->n_devices; i++)
            n += use[i] != 0;
        return n;
    }
    for (uint32_t i = device; i < p->n_devices; i++) {
        uint32_t b = p->device[i].budget.leaves_sum, more = leaves_of(&p->sub[s]);

        use[i] += more;
        if (b == 0 || use[i] <= b)
            best = DUNE_MIN(best, brute_force(p, s + 1, i, use));
        use[i] -= more;
    }
    return best;
}

static void linear(void **state)
{
    struct dune_rng r;

    (void)state;
    dune_rng_init(&r, 31, 0, 0, 0);
    for (uint32_t k = 0; k < 200; k++) {
        struct dune_plan *p = random_plan(k, 5, 1, 6 + k % 5);
        uint32_t use[8] = {0}, want, got = 0;
        struct dune_diag d = {0};
        int rc;

        for (uint32_t i = 0; i < 5; i++)
            p->device[i].budget.leaves_sum = 4 + (uint32_t)dune_rng_below(&r, 24);
        want = brute_force(p, 0, 0, use);
        rc = dune_place_linear(p, &d);
        assert_int_equal(rc, want == UINT32_MAX ? DUNE_E_INFEASIBLE : 0);
        if (rc == 0) {
            assert_ok(dune_plan_verify(p, &d), d);
            for (uint32_t i = 0; i < 5; i++)
                got += i == 0 || p->sub[i].device != p->sub[i - 1].device;
            assert_int_equal(got, want);
        } else {
            assert_memory_equal(d.place, "submodels[", 10);
        }
        dune_plan_free(p);
    }
}

static void fills_the_first(void **state)
{
    struct dune_plan *p = random_plan(1, 4, 1, 5);
    struct dune_diag d = {0};
    uint32_t all = 0;

    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        all += leaves_of(&p->sub[i]);
    assert_ok(dune_place_linear(p, &d), d); /* no budgets: all on the first */
    assert_int_equal(p->sub[3].device, 0);
    p->device[0].budget.leaves_sum = all - 1;
    assert_ok(dune_place_linear(p, &d), d); /* the second takes all: one device */
    assert_int_equal(p->sub[0].device, 1);
    p->device[0].budget.features_distinct = p->device[1].budget.features_distinct = 1;
    p->device[2].budget.features_distinct = p->device[3].budget.features_distinct = 1;
    assert_int_equal(dune_place_linear(p, &d), DUNE_E_INFEASIBLE);
    assert_string_equal(d.place, "submodels[0]");
    assert_non_null(strstr(d.msg, "features_distinct 1"));
    dune_plan_free(p);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(budgets),
    cmocka_unit_test(linear),
    cmocka_unit_test(fills_the_first),
};

RUN_TESTS(tests)
