/* SPDX-License-Identifier: Apache-2.0 */
/* Notes of a choice: numbers agree with each other and with the plan. */
#include <jansson.h>

#include "dune/solution.h"
#include "signal_dataset.h"
#include "testing.h"

static void solve(unsigned noise, bool open_world, double precision, struct dune_solution_result *r)
{
    const struct signal_shape shape = {.classes = 6, .captures = 8, .flows = 400, .noise = noise, .seed = 21};
    struct dune_dataset *ds = signal_dataset(&shape);
    struct dune_solution_job job = {
        .ds = ds, .cfg = {.budget = {noise == 100 ? 40 : 4, 2}, .devices = 3, .effort = DUNE_EFFORT_QUICK,
                          .seed = 5, .threads = 2, .open_world = open_world, .want_precision = precision,
                          .background = "F"}};
    struct dune_diag d = {0};

    assert_ok(dune_solution_dune.solve(&job, r, &d), d);
    assert_non_null(r->notes);
    dune_dataset_free(ds);
}

static json_t *notes_of(const struct dune_solution_result *r)
{
    json_t *root = json_loads(r->notes, 0, NULL);

    assert_non_null(root);
    return root;
}

static double number(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);

    if (!json_is_number(v))
        fail_msg("no number %s", key);
    return json_number_value(v);
}

static const json_t *at(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);

    if (!v)
        fail_msg("no %s", key);
    return v;
}

static void close_to(double a, double b)
{
    if (a > b + 0.00011 || b > a + 0.00011)
        fail_msg("%f is not %f", a, b);
}

static void check_blocks(const struct dune_solution_result *r, const json_t *root)
{
    const json_t *b, *blocks = at(root, "blocks");
    double whole = number(at(root, "score"), "macro");
    size_t i;

    assert_int_equal(json_array_size(blocks), r->plan->n_submodels);
    json_array_foreach(blocks, i, b) {
        const struct dune_submodel *sm = &r->plan->sub[i];
        uint32_t leaves = 0;

        for (uint32_t t = 0; t < sm->n_trees; t++)
            leaves += sm->tree[t].n_leaves;
        assert_int_equal((int)number(b, "id"), sm->id);
        assert_int_equal((int)number(b, "leaves"), leaves);
        assert_int_equal(json_array_size(at(b, "classes")), sm->n_classes);
        assert_int_equal(json_array_size(at(b, "features")), sm->n_feats);
        for (uint32_t c = 0; c < sm->n_classes; c++)
            assert_string_equal(json_string_value(json_array_get(at(b, "classes"), c)),
                                r->plan->cls[sm->cls[c] - 1].name);
        close_to(number(b, "worth") + number(b, "macro_without"), whole);
    }
}

static void test_chain(void **state)
{
    struct dune_solution_result r = {0};
    struct dune_buf text = {0};
    struct dune_diag d = {0};
    const json_t *c;
    double mean = 0, share = 0;
    json_t *root;
    size_t i;

    solve(5, false, 0, &r);
    root = notes_of(&r);
    assert_true(r.plan->n_submodels > 1);
    check_blocks(&r, root);
    close_to(number(at(root, "score"), "macro"), r.train_macro);
    assert_true(number(at(root, "distribution"), "gain") > 0);
    json_array_foreach(at(root, "classes"), i, c)
        mean += number(c, "f1") / (double)json_array_size(at(root, "classes"));
    assert_true(mean - r.train_macro < 0.001 && r.train_macro - mean < 0.001);
    json_array_foreach(at(root, "features"), i, c)
        share += number(c, "share");
    assert_true(share > 0.99 && share < 1.01);
    assert_true(json_array_size(at(json_array_get(at(root, "blocks"), 0), "resolves")) > 0);
    assert_ok(dune_explain_text(r.notes, &text, &d), d);
    assert_non_null(strstr(text.data, "devices are worth"));
    dune_buf_fini(&text);
    json_decref(root);
    dune_solution_result_fini(&r);
    (void)state;
}

static void test_does_not_pay(void **state)
{
    struct dune_solution_result r = {0};
    const char *verdict;
    json_t *root;

    solve(100, false, 0, &r);
    root = notes_of(&r);
    verdict = json_string_value(at(at(root, "distribution"), "verdict"));
    assert_int_equal(r.plan->n_submodels, 1);
    assert_non_null(strstr(verdict, "distribution does not pay here"));
    assert_non_null(strstr(r.notes, "\"first search\"")); /* the single device was worth a second one */
    check_blocks(&r, root);
    json_decref(root);
    dune_solution_result_fini(&r);
    (void)state;
}

/* A higher bar never covers more; left-out classes are all there; the background is marked. */
static void test_open_world(void **state)
{
    struct dune_solution_result r = {0};
    struct dune_buf csv = {0};
    struct dune_diag d = {0};
    const json_t *open, *p;
    double last = 2, claimed = 2, first, mean = 0;
    json_t *root;
    size_t i;
    bool background = false;

    solve(30, true, 0.9, &r);
    root = notes_of(&r);
    open = at(root, "open_world");
    json_array_foreach(at(open, "curve"), i, p) {
        assert_true(number(p, "coverage") <= last);
        last = number(p, "coverage");
        assert_true(number(p, "false_claims") <= claimed);
        claimed = number(p, "false_claims");
    }
    first = number(json_array_get(at(open, "curve"), 0), "false_claims");
    assert_int_equal(json_array_size(at(open, "left_out")), 6);
    json_array_foreach(at(open, "left_out"), i, p) {
        assert_true(number(p, "false_claims") >= 0 && number(p, "false_claims") <= 1);
        assert_true(number(p, "mostly_as_share") <= number(p, "false_claims") + 0.0001);
        assert_string_not_equal(json_string_value(at(p, "class")),
                                json_is_string(at(p, "mostly_as")) ? json_string_value(at(p, "mostly_as")) : "");
        mean += number(p, "false_claims") / 6;
        background |= json_is_true(json_object_get(p, "background"));
    }
    assert_true(background);
    assert_true(mean <= first + 0.001 && first > claimed); /* the plan has thresholds, the curve starts without */
    for (uint32_t c = 0; c < r.plan->n_classes; c++)
        assert_int_equal((int)number(at(open, "min_confidence"), r.plan->cls[c].name),
                         r.plan->cls[c].min_confidence);
    assert_true(number(at(open, "reached"), "precision") > 0);
    assert_ok(dune_explain_curve_csv(r.notes, &csv, &d), d);
    assert_memory_equal(csv.data, "min_confidence,coverage,precision,macro,false_claims\n", 53);
    dune_buf_fini(&csv);
    json_decref(root);
    dune_solution_result_fini(&r);
    (void)state;
}

static void test_other_notes(void **state)
{
    struct dune_buf text = {0};
    struct dune_diag d = {0};

    assert_int_equal(dune_explain_text("{}", &text, &d), DUNE_E_INPUT);
    assert_int_equal(dune_explain_text("not json", &text, &d), DUNE_E_INPUT);
    assert_int_equal(dune_explain_curve_csv("[]", &text, &d), DUNE_E_INPUT);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_does_not_pay),
        cmocka_unit_test(test_open_world),
        cmocka_unit_test(test_other_notes),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
