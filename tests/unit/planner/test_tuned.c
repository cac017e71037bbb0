/* SPDX-License-Identifier: Apache-2.0 */
/* Monoliths in tuned form keep what defines them, the budget and the number of evaluations. */
#include "dune/pareto.h"
#include "signal_dataset.h"
#include "testing.h"

static struct dune_dataset *some_data(void)
{
    const struct signal_shape shape = {.classes = 5, .captures = 8, .flows = 300, .noise = 30, .seed = 31};

    return signal_dataset(&shape);
}

static struct dune_solution_job some_job(const struct dune_dataset *ds, bool tuned, uint64_t evaluations)
{
    return (struct dune_solution_job){
        .ds = ds, .tuned = tuned, .evaluations = evaluations,
        .cfg = {.budget = {12, 3}, .devices = 3, .effort = DUNE_EFFORT_QUICK, .seed = 2, .threads = 2}};
}

static void check_form(const struct dune_solution_ops *ops, const struct dune_submodel *sm)
{
    uint32_t leaves = 0;

    for (uint32_t t = 0; t < sm->n_trees; t++)
        leaves += sm->tree[t].n_leaves;
    assert_true(leaves <= 12);
    assert_true(sm->n_feats <= 3);
    assert_int_equal(sm->n_classes, 5);
    if (ops == &dune_solution_mousika) {
        assert_int_equal(sm->mode, DUNE_MODE_PACKET);
        assert_int_equal(sm->n_trees, 1);
        for (uint32_t j = 0; j < sm->n_feats; j++)
            assert_int_equal(dune_catalog[sm->feat[j].feat].phase, DUNE_PHASE_PL);
    } else if (ops == &dune_solution_flowrest) {
        assert_int_equal(sm->mode, DUNE_MODE_FLOW);
    } else {
        assert_true(sm->mode == DUNE_MODE_RUNNING || sm->mode == DUNE_MODE_PUBLISHED);
    }
}

static void test_forms(void **state)
{
    static const struct dune_solution_ops *const ops[] = {&dune_solution_mousika, &dune_solution_jewel,
                                                          &dune_solution_flowrest};
    struct dune_dataset *ds = some_data();

    for (size_t i = 0; i < DUNE_ARRAY_LEN(ops); i++) {
        char *first = NULL;

        for (unsigned threads = 1; threads <= 2; threads++) {
            struct dune_solution_job job = some_job(ds, true, 120);
            struct dune_solution_result r = {0};
            struct dune_diag d = {0};
            char *text;
            size_t len;

            job.cfg.threads = threads;
            assert_ok(dune_solution_solve(ops[i], &job, &r, &d), d);
            assert_int_equal(r.plan->n_submodels, 1);
            assert_string_equal(r.plan->name, ops[i]->name);
            assert_in_range(r.evaluations, 30, 120);
            assert_true(r.train_macro > 0.1 && r.train_macro <= 1 && r.train_se > 0);
            assert_string_equal(r.judged_by, "4-fold cross-validation");
            check_form(ops[i], &r.plan->sub[0]);
            assert_ok(dune_plan_format(r.plan, &text, &len, &d), d);
            if (first)
                assert_string_equal(first, text);
            dune_mem_free(first);
            first = text;
            dune_solution_result_fini(&r);
        }
        dune_mem_free(first);
    }
    dune_dataset_free(ds);
    (void)state;
}

/* No more evaluations than allowed, and paper forms are what they were. */
static void test_evaluations(void **state)
{
    struct dune_dataset *ds = some_data();

    for (uint64_t n = 10; n <= 160; n *= 4) {
        struct dune_solution_job job = some_job(ds, true, n);
        struct dune_solution_result r = {0};
        struct dune_diag d = {0};

        assert_ok(dune_solution_solve(&dune_solution_jewel, &job, &r, &d), d);
        assert_true(r.evaluations <= n);
        assert_true(n > 40 ? r.evaluations > 40 : r.evaluations == n);
        dune_solution_result_fini(&r);
    }
    {
        struct dune_solution_job job = some_job(ds, false, 0);
        struct dune_solution_result r = {0};
        struct dune_diag d = {0};

        assert_ok(dune_solution_solve(&dune_solution_jewel, &job, &r, &d), d);
        assert_string_equal(r.judged_by, "validation split");
        dune_solution_result_fini(&r);
    }
    dune_dataset_free(ds);
    (void)state;
}

static void check_front(const struct dune_pareto *p)
{
    for (size_t i = 0; i < p->n; i++) {
        bool beaten = false;

        for (size_t j = 0; j < p->n; j++) {
            const struct dune_pareto_point *a = &p->point[j], *b = &p->point[i];
            bool better = a->macro > b->macro || a->used < b->used ||
                          a->published_blocks < b->published_blocks || a->state_bytes < b->state_bytes;

            beaten |= a->macro >= b->macro && a->used <= b->used &&
                      a->published_blocks <= b->published_blocks && a->state_bytes <= b->state_bytes &&
                      (better || j < i);
        }
        assert_int_equal(p->point[i].front, !beaten);
        assert_true(p->point[i].used <= p->point[i].devices);
        assert_true(p->point[i].leaves <= p->point[i].used * p->point[i].budget.leaves_sum);
    }
}

static void test_pareto(void **state)
{
    struct dune_dataset *ds = some_data();
    struct dune_solution_job job = some_job(ds, false, 0);
    struct dune_pareto p, q;
    struct dune_diag d = {0};
    struct dune_buf csv = {0};
    double want;

    job.cfg.budget = (struct dune_budget){4, 2};
    assert_ok(dune_pareto_plan(&p, &job, 0, &d), d);
    assert_int_equal(p.n, 3);
    check_front(&p);
    for (size_t i = 0; i < p.n; i++)
        assert_true(p.point[p.chosen].macro >= p.point[i].macro);
    dune_pareto_csv(&p, &csv);
    assert_memory_equal(csv.data, "devices,leaves_allowed,", 23);
    dune_buf_fini(&csv);

    want = p.point[0].macro; /* one device is enough */
    assert_ok(dune_pareto_plan(&q, &job, want, &d), d);
    assert_int_equal(q.point[q.chosen].used, 1);
    assert_true(q.point[q.chosen].macro >= want);
    dune_pareto_fini(&q);
    assert_int_equal(dune_pareto_plan(&q, &job, 1, &d), DUNE_E_INFEASIBLE);
    assert_int_equal(q.n, 3);
    dune_pareto_fini(&q);
    dune_pareto_fini(&p);
    dune_dataset_free(ds);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_evaluations),
        cmocka_unit_test(test_pareto),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
