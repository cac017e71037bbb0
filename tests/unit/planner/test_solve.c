/* SPDX-License-Identifier: Apache-2.0 */
/* The whole search on small data: same bytes on any number of threads, budgets kept, classes covered. */
#include "dune/solution.h"
#include "signal_dataset.h"
#include "testing.h"

static struct dune_dataset *some_data(unsigned noise)
{
    const struct signal_shape shape = {.classes = 6, .captures = 8, .flows = 300, .noise = noise, .seed = 11};

    return signal_dataset(&shape);
}

static struct dune_solution_job some_job(const struct dune_dataset *ds, unsigned threads)
{
    return (struct dune_solution_job){
        .ds = ds, .cfg = {.budget = {4, 2}, .devices = 3, .effort = DUNE_EFFORT_QUICK, .seed = 5,
                          .threads = threads}};
}

static void test_threads(void **state)
{
    struct dune_dataset *ds = some_data(10);
    char *first = NULL, *notes = NULL;
    size_t first_len = 0;

    for (unsigned threads = 1; threads <= 3; threads++) {
        struct dune_solution_job job = some_job(ds, threads);
        struct dune_solution_result r = {0};
        struct dune_diag d = {0};
        char *text;
        size_t len;

        assert_ok(dune_solution_dune.solve(&job, &r, &d), d);
        assert_ok(dune_plan_format(r.plan, &text, &len, &d), d);
        if (!first) {
            first = text;
            first_len = len;
            notes = r.notes ? dune_mem_strdup(r.notes) : NULL;
        } else {
            assert_int_equal(len, first_len);
            assert_memory_equal(text, first, len);
            assert_true(!notes == !r.notes);
            if (notes)
                assert_string_equal(notes, r.notes);
            dune_mem_free(text);
        }
        dune_solution_result_fini(&r);
    }
    dune_mem_free(first);
    dune_mem_free(notes);
    dune_dataset_free(ds);
    (void)state;
}

/* Every class is owned once; no sub-model exceeds the budget; the score is one. */
static void check_plan(const struct dune_solution_result *r, const struct dune_budget *budget)
{
    unsigned owners[16] = {0};

    for (uint32_t i = 0; i < r->plan->n_submodels; i++) {
        const struct dune_submodel *sm = &r->plan->sub[i];
        uint32_t leaves = 0;

        for (uint32_t t = 0; t < sm->n_trees; t++)
            leaves += sm->tree[t].n_leaves;
        assert_true(leaves <= budget->leaves_sum);
        assert_true(sm->n_feats <= budget->features_distinct);
        assert_true(sm->n_classes > 0);
        for (uint32_t c = 0; c < sm->n_classes; c++)
            owners[sm->cls[c]]++;
    }
    for (unsigned c = 1; c <= 6; c++)
        assert_int_equal(owners[c], r->plan->claim == DUNE_CLAIM_VOTES ? r->plan->n_submodels : 1);
    assert_true(r->train_macro > 0 && r->train_macro <= 1);
    assert_true(r->evaluations > 0);
}

static void test_budget(void **state)
{
    for (unsigned noise = 0; noise <= 100; noise += 100) {
        struct dune_dataset *ds = some_data(noise);
        struct dune_solution_job job = some_job(ds, 2);
        struct dune_solution_result r = {0};
        struct dune_diag d = {0};

        if (noise == 100)
            job.cfg.budget = (struct dune_budget){40, 4}; /* room for every class on one device */
        assert_ok(dune_solution_dune.solve(&job, &r, &d), d);
        check_plan(&r, &job.cfg.budget);
        if (noise == 100) /* nothing to learn: nothing to distribute */
            assert_int_equal(r.plan->n_submodels, 1);
        if (noise == 0)
            assert_true(r.plan->n_submodels > 1);
        dune_solution_result_fini(&r);
        dune_dataset_free(ds);
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_budget),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
