/* SPDX-License-Identifier: Apache-2.0 */
/* Choices on a part of the flows: which ones, what they weigh, and that the plan is fitted to all. */
#include "dune/solution.h"
#include "planner/planner_int.h"
#include "signal_dataset.h"
#include "testing.h"

enum { N_FLOWS = 6000, N_CLASSES = 4, RARE = 3, N_RARE = 90, WANTED = 3000 };

static struct dune_dataset *some_data(uint16_t *label)
{
    const struct signal_shape shape = {.classes = N_CLASSES, .captures = 8, .flows = N_FLOWS, .noise = 30, .seed = 21,
                                       .label = label};
    struct dune_rng rng;

    dune_rng_init(&rng, 5, 0, 0, 0);
    for (unsigned i = 0; i < N_FLOWS; i++) /* two large classes, one small, one rare */
        label[i] = i % (N_FLOWS / N_RARE) == 0 ? RARE : (uint16_t)(dune_rng_below(&rng, 10) / 4);
    return signal_dataset(&shape);
}

static void open_search(struct dune_search *s, struct dune_planner_cfg *cfg, const struct dune_dataset *ds, uint64_t rows,
                        uint64_t seed)
{
    struct dune_diag d = {0};

    *cfg = (struct dune_planner_cfg){.budget = {8, 3}, .devices = 2, .effort = DUNE_EFFORT_QUICK, .seed = seed,
                                     .threads = 1, .search_rows = rows};
    assert_ok(dune_search_open(s, cfg, ds, 4, &d), d);
}

/* Flows and their weight per class, as the search sees them, beside all train flows. */
struct census {
    uint64_t flows[N_CLASSES], all[N_CLASSES];
    double weight[N_CLASSES], rows, all_rows;
};

static struct census count(const struct dune_search *s, const struct dune_dataset *ds)
{
    struct census c = {0};

    for (uint32_t k = 0; k < s->space->n_flows; k++)
        c.flows[ds->flow_class[s->space->flow[k]]]++;
    for (size_t i = 0; i < s->space->n_items; i++)
        c.weight[s->space->item_cls[i]] += (double)s->space->item_w[i] / DUNE_WEIGHT_ONE;
    c.rows = (double)s->space->n_items;
    for (uint64_t f = 0; f < ds->n_flows; f++) {
        if (ds->flow_split[f] != DUNE_SPLIT_TRAIN)
            continue;
        c.all[ds->flow_class[f]]++;
        c.all_rows += (double)(ds->flow_row[f + 1] - ds->flow_row[f]);
    }
    return c;
}

static void test_drawn(void **state)
{
    static uint16_t label[N_FLOWS];
    struct dune_dataset *ds = some_data(label);
    struct dune_planner_cfg cfg;
    struct dune_search s;
    struct dune_diag d = {0};
    struct census c;
    double rate;

    open_search(&s, &cfg, ds, WANTED, 1);
    c = count(&s, ds);
    rate = WANTED / c.all_rows;
    assert_true(c.rows < 1.2 * WANTED && c.rows > 0.8 * WANTED);
    assert_int_equal(c.flows[RARE], c.all[RARE]); /* so few that all are kept */
    for (unsigned k = 0; k < N_CLASSES; k++) { /* and every class weighs its share */
        assert_true(c.all[k] > 0 && c.flows[k] <= c.all[k]);
        assert_float_equal(c.weight[k], rate * (double)c.all[k], 1 + 0.01 * rate * (double)c.all[k]);
    }
    assert_ok(dune_space_prepare(s.space, 3, DUNE_MODE_RUNNING, &d), d);
    for (unsigned k = 0; k < N_CLASSES; k++) { /* in training as well */
        const struct dune_table *t = &s.space->view[3][DUNE_MODE_RUNNING]->table;
        double w = 0;

        for (size_t r = 0; r < t->n_rows; r++)
            w += t->cls[r] == k ? (double)t->w[r] / DUNE_WEIGHT_ONE : 0;
        assert_float_equal(w, c.weight[k], 0.01 * c.weight[k]);
    }
    dune_search_close(&s);
    dune_dataset_free(ds);
    (void)state;
}

static void test_whole(void **state)
{
    static uint16_t label[N_FLOWS];
    struct dune_dataset *ds = some_data(label);
    struct dune_planner_cfg cfg;
    struct dune_search s, whole;
    struct dune_diag d = {0};
    struct census c;

    open_search(&s, &cfg, ds, WANTED, 1);
    assert_ok(dune_search_whole(&whole, &s, &d), d);
    c = count(&whole, ds);
    for (unsigned k = 0; k < N_CLASSES; k++)
        assert_float_equal(c.weight[k], (double)c.all[k], 0.001 * (double)c.all[k]);
    dune_search_whole_close(&whole, &s);
    dune_search_close(&s);

    open_search(&s, &cfg, ds, UINT64_MAX, 1); /* nothing to draw: the search itself */
    assert_ok(dune_search_whole(&whole, &s, &d), d);
    assert_ptr_equal(whole.space, s.space);
    assert_null(s.space->weight);
    dune_search_whole_close(&whole, &s);
    dune_search_close(&s);
    dune_dataset_free(ds);
    (void)state;
}

/* Another seed draws others; the same seed the same, on any number of threads: same plan, of all flows. */
static void test_seeds_and_threads(void **state)
{
    static uint16_t label[N_FLOWS];
    struct dune_dataset *ds = some_data(label);
    struct dune_planner_cfg cfg;
    struct dune_search a, b;
    char *plan[2] = {0};
    size_t len[2];

    open_search(&a, &cfg, ds, WANTED, 1);
    open_search(&b, &cfg, ds, WANTED, 2);
    assert_memory_not_equal(a.space->flow, b.space->flow, DUNE_MIN(a.space->n_flows, b.space->n_flows) * sizeof(*a.space->flow));
    dune_search_close(&a);
    dune_search_close(&b);
    for (unsigned i = 0; i < 2; i++) {
        struct dune_solution_job job = {.ds = ds, .cfg = cfg};
        struct dune_solution_result r = {0};
        struct dune_diag d = {0};

        job.cfg.threads = 1 + i;
        assert_ok(dune_solution_dune.solve(&job, &r, &d), d);
        assert_ok(dune_plan_format(r.plan, &plan[i], &len[i], &d), d);
        assert_non_null(strstr(r.notes, "\"flows\": {\"searched\": "));
        dune_solution_result_fini(&r);
    }
    assert_int_equal(len[0], len[1]);
    assert_memory_equal(plan[0], plan[1], len[0]);
    dune_mem_free(plan[0]);
    dune_mem_free(plan[1]);
    dune_dataset_free(ds);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drawn),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_seeds_and_threads),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
