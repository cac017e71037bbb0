/* SPDX-License-Identifier: Apache-2.0 */
/* New generations: the structure stays, what is better is known before, and F1 over time. */
#include "../planner/signal_dataset.h"
#include "dune/retrain.h"
#include "testing.h"

enum { CLASSES = 4, FLOWS = 1600 };

/* Traffic that changes in the second half: every value of the telling features moves by half the domain. */
static struct dune_dataset *changing(bool changes)
{
    const struct signal_shape shape = {.classes = CLASSES, .captures = 16, .flows = FLOWS, .noise = 15, .seed = 4};
    struct dune_dataset *ds = signal_dataset(&shape);
    uint8_t *split = (uint8_t *)(uintptr_t)ds->flow_split;

    for (uint64_t k = 0; k < ds->n_flows; k++) {
        split[k] = DUNE_SPLIT_TRAIN;
        if (!changes || k < FLOWS / 2)
            continue;
        for (unsigned i = 0; i < sizeof(signal_feat); i++) {
            uint32_t *col = (uint32_t *)(uintptr_t)ds->col[signal_feat[i]], max = dune_feature_max(signal_feat[i]);

            for (uint64_t r = ds->flow_row[k]; r < ds->flow_row[k + 1]; r++)
                col[r] = (uint32_t)(((uint64_t)col[r] + max / 2) % ((uint64_t)max + 1));
        }
    }
    return ds;
}

static uint8_t *flows(const struct dune_dataset *ds, uint64_t from, uint64_t to)
{
    uint8_t *use = DUNE_NEW_N(uint8_t, ds->n_flows);

    for (uint64_t k = from; k < to; k++)
        use[k] = 1;
    return use;
}

static struct dune_plan *old_plan(const struct dune_dataset *ds, const uint8_t *use)
{
    const struct dune_chain_rule rule = {.claim = DUNE_CLAIM_BEST, .early_exit = 256};
    const struct dune_budget budget = {.leaves_sum = 41, .features_distinct = 4};
    struct dune_space *s;
    struct dune_fit *fit[2];
    struct dune_plan *p;
    uint8_t id[2] = {3, 1};
    struct dune_diag d = {0};

    assert_ok(dune_space_new(&s, ds, DUNE_SPLIT_TRAIN, use, 3, 1, &d), d);
    assert_ok(dune_space_prepare(s, 3, DUNE_MODE_RUNNING, &d), d);
    for (unsigned i = 0; i < 2; i++) {
        struct dune_fit_cfg c = {.n = 3, .mode = DUNE_MODE_RUNNING, .n_trees = 1, .max_leaves = 41, .max_features = 4,
                                 .balance = 0.5, .other_weight = 0.5, .leaf_other = 1, .smooth = 0.1, .seed = 1};
        uint8_t member[CLASSES] = {i == 0, i == 0, i == 1, i == 1};

        assert_ok(dune_feature_set_parse("ip.len,tcp.window,ip.ttl,srcport,dstport,len.max", 3, &c.features, &d), d);
        assert_ok(dune_fit_train(&fit[i], s, &c, member, NULL, &d), d);
    }
    assert_ok(dune_plan_from_fits(&p, s, fit, id, 2, 3, &rule, &budget, "engine", &d), d);
    p->cls[1].action = DUNE_ACTION_MARK;
    p->cls[1].action_arg = 10;
    p->generation = 6;
    p->slots = 1024;
    p->syn_timeout = 1000;
    p->chain_mtu = 1508;
    p->filter.proto = dune_mem_alloc(1, 1);
    p->filter.proto[0] = 6;
    p->filter.n_protos = 1;
    p->sub[1].device = 2;
    dune_plan_set_name(p, "lab");
    assert_ok(dune_plan_verify(p, &d), d);
    for (unsigned i = 0; i < 2; i++)
        dune_fit_free(fit[i]);
    dune_space_free(s);
    return p;
}

/* What old_plan said of the network. */
static void assert_kept(const struct dune_plan *p)
{
    assert_int_equal(p->generation, 7);
    assert_int_equal(p->slots, 1024);
    assert_int_equal(p->syn_timeout, 1000);
    assert_int_equal(p->chain_mtu, 1508);
    assert_int_equal(p->filter.n_protos, 1);
    assert_int_equal(p->filter.proto[0], 6);
    assert_int_equal(p->cls[1].action, DUNE_ACTION_MARK);
    assert_int_equal(p->cls[1].action_arg, 10);
}

static void test_refit_keeps_the_structure(void **state)
{
    (void)state;
    struct dune_dataset *ds = changing(false);
    uint8_t *first = flows(ds, 0, FLOWS / 2);
    struct dune_plan *old = old_plan(ds, first), *p, *again;
    struct dune_diag d = {0};
    char *text[2];
    size_t len[2];

    assert_ok(dune_refit(&p, old, ds, NULL, 1, 2, &d), d);
    assert_kept(p);
    assert_string_equal(p->name, "lab");
    assert_int_equal(p->n_devices, 3);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(p->sub[i].id, old->sub[i].id);
        assert_int_equal(p->sub[i].device, old->sub[i].device);
        assert_int_equal(p->sub[i].n, 3);
        assert_int_equal(p->sub[i].n_classes, old->sub[i].n_classes);
        assert_memory_equal(p->sub[i].cls, old->sub[i].cls, p->sub[i].n_classes);
        assert_true(p->sub[i].tree[0].n_leaves <= 41);
    }
    /* The same bytes on any number of threads. */
    assert_ok(dune_refit(&again, old, ds, NULL, 1, 1, &d), d);
    assert_ok(dune_plan_format(p, &text[0], &len[0], &d), d);
    assert_ok(dune_plan_format(again, &text[1], &len[1], &d), d);
    assert_string_equal(text[0], text[1]);
    /* On the old flows it is the old plan, but for its number. */
    dune_plan_free(again);
    assert_ok(dune_refit(&again, old, ds, first, 1, 1, &d), d);
    assert_memory_equal(again->sub[0].tree[0].leaf, old->sub[0].tree[0].leaf,
                        old->sub[0].tree[0].n_leaves * sizeof(*old->sub[0].tree[0].leaf));
    for (int i = 0; i < 2; i++)
        dune_mem_free(text[i]);
    dune_plan_free(again);
    dune_plan_free(p);
    dune_plan_free(old);
    dune_mem_free(first);
    dune_dataset_free(ds);
}

static void test_refit_errors(void **state)
{
    (void)state;
    struct dune_dataset *ds = changing(false);
    struct dune_plan *old = old_plan(ds, NULL), *p;
    uint8_t *use = flows(ds, 0, FLOWS);
    struct dune_diag d = {0};

    for (uint64_t k = 0; k < FLOWS; k++)
        use[k] = ds->flow_class[k] != 2;
    assert_int_equal(dune_refit(&p, old, ds, use, 1, 1, &d), DUNE_E_INPUT);
    assert_non_null(strstr(d.msg, "class \"C\""));
    memset(use, 0, FLOWS);
    memset(&d, 0, sizeof(d));
    assert_int_equal(dune_refit(&p, old, ds, use, 1, 1, &d), DUNE_E_INPUT);
    old->timeout++;
    memset(&d, 0, sizeof(d));
    assert_int_equal(dune_refit(&p, old, ds, NULL, 1, 1, &d), DUNE_E_INPUT);
    assert_non_null(strstr(d.msg, "idle time"));
    dune_mem_free(use);
    dune_plan_free(old);
    dune_dataset_free(ds);
}

/* A class that appears later goes into the smallest block. */
static void test_new_class(void **state)
{
    (void)state;
    struct dune_dataset *ds = changing(false);
    uint8_t *use = flows(ds, 0, FLOWS);
    struct dune_plan *old, *p;
    struct dune_diag d = {0};
    uint32_t classes = 0;

    for (uint64_t k = 0; k < FLOWS; k++)
        use[k] = ds->flow_class[k] != 3;
    old = old_plan(ds, use);
    assert_int_equal(old->n_classes, 3);
    assert_ok(dune_refit(&p, old, ds, NULL, 1, 1, &d), d);
    assert_int_equal(p->n_classes, 4);
    for (uint32_t i = 0; i < p->n_submodels; i++)
        classes += p->sub[i].n_classes;
    assert_int_equal(classes, 4);
    dune_plan_free(p);
    dune_plan_free(old);
    dune_mem_free(use);
    dune_dataset_free(ds);
}

static void retrained(bool changes, bool search, struct dune_retrained *out)
{
    struct dune_dataset *ds = changing(changes);
    uint8_t *first = flows(ds, 0, FLOWS / 2);
    struct dune_plan *old = old_plan(ds, first);
    const struct dune_retrain_cfg cfg = {.seed = 1, .threads = 2, .search = search, .effort = DUNE_EFFORT_QUICK};
    struct dune_diag d = {0};

    assert_ok(dune_retrain(out, old, ds, &cfg, &d), d);
    dune_plan_free(old);
    dune_mem_free(first);
    dune_dataset_free(ds);
}

static void test_retrain_is_better_after_a_change(void **state)
{
    (void)state;
    struct dune_retrained r;

    retrained(true, false, &r);
    assert_true(r.better);
    assert_true(r.judged.macro[1] > r.judged.macro[0] + 0.1);
    assert_int_equal(r.plan->generation, 7);
    dune_plan_free(r.plan);
}

static void test_retrain_without_a_change(void **state)
{
    (void)state;
    struct dune_retrained r;

    retrained(false, false, &r);
    assert_true(r.judged.gain.lo < 0.1);
    assert_true(r.judged.flows > FLOWS / 8);
    dune_plan_free(r.plan);
}

/* The planner makes the new one, and the network wants of it what it wanted before. */
static void test_search_keeps_the_settings(void **state)
{
    (void)state;
    struct dune_retrained r;

    retrained(true, true, &r);
    assert_kept(r.plan);
    dune_plan_free(r.plan);
}

static void test_judge_of_equals(void **state)
{
    (void)state;
    struct dune_dataset *ds = changing(false);
    struct dune_plan *p = old_plan(ds, NULL);
    struct dune_judged j;
    struct dune_diag d = {0};

    assert_ok(dune_plans_judge(&j, p, p, ds, NULL, 1, &d), d);
    assert_true(j.macro[0] == j.macro[1]);
    assert_true(j.gain.lo == 0 && j.gain.hi == 0);
    assert_int_equal(j.flows, FLOWS);
    dune_plan_free(p);
    dune_dataset_free(ds);
}

static void test_timeline(void **state)
{
    (void)state;
    struct dune_dataset *ds = changing(true);
    struct dune_timeline_cfg cfg = {.windows = 8, .first = 3, .history = 1,
                                    .plan = {.budget = {.leaves_sum = 41, .features_distinct = 4}, .devices = 1, .seed = 1,
                                             .threads = 2, .effort = DUNE_EFFORT_QUICK}};
    struct dune_timeline t;
    struct dune_buf csv = {0}, svg = {0};
    struct dune_diag d = {0};

    assert_ok(dune_timeline_run(&t, ds, &cfg, &d), d);
    assert_int_equal(t.n, 5);
    assert_int_equal(t.point[0].window, 3);
    assert_false(t.point[0].alarm);  /* before the change */
    assert_true(t.point[2].alarm && t.point[4].alarm);
    assert_true(t.point[0].fixed > 0.6);
    for (size_t i = 2; i < t.n; i++) /* from the second window after the change */
        assert_true(t.point[i].retrained > t.point[i].fixed + 0.1);
    dune_timeline_csv(&t, &csv);
    assert_int_equal(strncmp(csv.data, "window,flows,f1_fixed,f1_retrained,features_moved,claims_moved,alarm\n4,", 71), 0);
    dune_timeline_svg(&t, "over time", &svg);
    assert_non_null(strstr(svg.data, "<svg"));
    dune_buf_fini(&csv);
    dune_buf_fini(&svg);
    dune_timeline_fini(&t);
    cfg.first = 8;
    assert_int_equal(dune_timeline_run(&t, ds, &cfg, &d), DUNE_E_USAGE);
    dune_dataset_free(ds);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_refit_keeps_the_structure),
    cmocka_unit_test(test_refit_errors),
    cmocka_unit_test(test_new_class),
    cmocka_unit_test(test_retrain_is_better_after_a_change),
    cmocka_unit_test(test_retrain_without_a_change),
    cmocka_unit_test(test_search_keeps_the_settings),
        cmocka_unit_test(test_judge_of_equals),
    cmocka_unit_test(test_timeline),
};
RUN_TESTS(tests)
