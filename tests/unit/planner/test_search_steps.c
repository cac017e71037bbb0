/* SPDX-License-Identifier: Apache-2.0 */
/* Steps of the search: work that is saved, a search that goes on, devices that differ. */
#include "planner/planner_int.h"

#include "base/base.h"
#include "dune/solution.h"
#include "signal_dataset.h"
#include "testing.h"

#include <math.h>
#include <unistd.h>

static struct dune_dataset *some_data(void)
{
    const struct signal_shape shape = {.classes = 6, .captures = 8, .flows = 300, .noise = 20, .seed = 11};

    return signal_dataset(&shape);
}

static struct dune_planner_cfg some_cfg(void)
{
    return (struct dune_planner_cfg){.budget = {6, 2}, .devices = 3, .effort = DUNE_EFFORT_QUICK, .seed = 5,
                                     .threads = 1};
}

/* --- early exit against every order -------------------------------------------------------------- */
static double macro_of(struct dune_search *s, const struct dune_chain_spec *spec)
{
    struct dune_confusion c;
    struct dune_diag d = {0};
    double macro;

    dune_confusion_init(&c, s->space->n_classes);
    assert_ok(dune_search_confusion(s, spec, &c, &d), d);
    macro = dune_f1_score(&c, DUNE_WEIGHT_ONE, NULL).macro;
    dune_confusion_fini(&c);
    return macro;
}

/* Sub-models asked per packet, packet by packet. */
static double visits_of(struct dune_search *s, const struct dune_chain_spec *spec)
{
    const struct dune_item_answer *col[DUNE_MAX_BLOCKS];
    struct dune_diag d = {0};
    uint64_t asked = 0, packets = 0;

    assert_ok(dune_cv_columns(s->cv, spec, col, &d), d);
    for (size_t i = 0; i < s->space->n_items; i++) {
        unsigned b = 0;

        if (!dune_cv_scored(s->cv)[s->space->item_flow[i]])
            continue;
        while (b + 1 < spec->n_blocks && !(col[b][i].claim && col[b][i].conf >= spec->rule.early_exit))
            b++;
        asked += (b + 1) * s->space->item_pkts[i];
        packets += s->space->item_pkts[i];
    }
    return (double)asked / (double)packets;
}

static void permute(struct dune_search *s, const struct dune_chain_spec *spec, unsigned at, double *least)
{
    if (at == spec->n_blocks)
        *least = DUNE_MIN(*least, visits_of(s, spec));
    for (unsigned b = at; b < spec->n_blocks; b++) {
        struct dune_chain_spec next = *spec;

        next.block[at] = spec->block[b];
        next.cfg[at] = spec->cfg[b];
        next.block[b] = spec->block[at];
        next.cfg[b] = spec->cfg[at];
        permute(s, &next, at + 1, least);
    }
}

static void test_early_exit(void **state)
{
    struct dune_planner_cfg cfg = some_cfg();
    struct dune_dataset *ds = some_data();
    struct dune_diag d = {0};
    unsigned saved = 0;

    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct dune_search s;
        struct dune_chain_spec spec, was;
        struct dune_saving saving;
        struct dune_fit_cfg fc;
        double least = 99;

        cfg.seed = seed;
        assert_ok(dune_search_open(&s, &cfg, ds, 4, &d), d);
        fc = dune_search_base_cfg(&s);
        dune_search_init_spec(&s, &spec, 4, &fc);
        dune_partition_random(s.cls, s.n_cls, 4, seed, spec.block);
        assert_ok(dune_search_prepare(&s, &spec, &d), d);
        was = spec;
        assert_ok(dune_search_save_work(&s, &spec, &saving, &d), d);
        for (unsigned layout = DUNE_JUDGES + 1; layout-- > 0;) { /* it costs nothing on any of them */
            assert_ok(dune_search_change_folds(&s, layout, &d), d);
            assert_true(macro_of(&s, &spec) >= macro_of(&s, &was));
        }
        assert_true(fabs(saving.visits - visits_of(&s, &spec)) < 1e-9);
        permute(&s, &spec, 0, &least);
        assert_true(fabs(saving.visits - least) < 1e-9);
        saved += spec.rule.early_exit < 256;
        dune_search_close(&s);
    }
    assert_true(saved > 0);
    dune_dataset_free(ds);
    (void)state;
}

/* --- going on ------------------------------------------------------------------------------------- */
static char *plan_text(const struct dune_dataset *ds, const char *log, uint64_t *evaluations, char **notes)
{
    struct dune_solution_job job = {.ds = ds, .cfg = some_cfg()};
    struct dune_solution_result r = {0};
    struct dune_diag d = {0};
    char *text;
    size_t len;

    job.cfg.log = log;
    assert_ok(dune_solution_dune.solve(&job, &r, &d), d);
    assert_ok(dune_plan_format(r.plan, &text, &len, &d), d);
    *evaluations = r.evaluations;
    *notes = dune_mem_strdup(r.notes);
    dune_solution_result_fini(&r);
    return text;
}

static size_t count_lines(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void check_resumed(const struct dune_dataset *ds, const char *path, const char *plan, const char *notes,
                          uint64_t evaluations)
{
    uint64_t again;
    char *told, *text = plan_text(ds, path, &again, &told);

    assert_string_equal(text, plan);
    assert_string_equal(told, notes);
    assert_int_equal(again, evaluations);
    dune_mem_free(text);
    dune_mem_free(told);
}

static void test_resume(void **state)
{
    struct dune_dataset *ds = some_data();
    char path[] = "/tmp/dune-search-XXXXXX", *plan, *log, *notes, *after;
    uint64_t evaluations;
    struct dune_diag d = {0};
    size_t len, now;

    close(mkstemp(path));
    plan = plan_text(ds, path, &evaluations, &notes);
    assert_ok(dune_file_read(path, &log, &len, &d), d);
    assert_true(count_lines(log) > 50);
    check_resumed(ds, path, plan, notes, evaluations); /* everything is known */
    assert_ok(dune_file_read(path, &after, &now, &d), d);
    assert_true(count_lines(after) <= count_lines(log) + 1);
    dune_mem_free(after);
    for (unsigned part = 1; part <= 3; part++) { /* cut in the middle of a line */
        assert_ok(dune_file_write(path, log, len * part / 4 + part, &d), d);
        check_resumed(ds, path, plan, notes, evaluations);
    }
    assert_ok(dune_file_write(path, "dune-search 1 of other rows\n0 0x1p-1\n", 38, &d), d);
    check_resumed(ds, path, plan, notes, evaluations);
    unlink(path);
    dune_mem_free(plan);
    dune_mem_free(notes);
    dune_mem_free(log);
    dune_dataset_free(ds);
    (void)state;
}

static void test_log_lines(void **state)
{
    char path[] = "/tmp/dune-search-XXXXXX", key[33] = "0123456789abcdef0123456789abcdef";
    const char *text = "dune-search 1 x\n"
                       "0123456789abcdef0123456789abcdef 0x1p-1\n"
                       "1123456789abcdef0123456789abcdef 0x1p+1\n"
                       "2123456789abcdef0123456789abcdef nan\n"
                       "3123456789abcdef0123456789abcdef 0x1p-1 more\n"
                       "4123456789abcdef0123456789abcdef 0x1p-";
    struct dune_search_log *log;
    struct dune_diag d = {0};
    double macro;

    close(mkstemp(path));
    assert_ok(dune_file_write(path, text, strlen(text), &d), d);
    assert_ok(dune_search_log_open(&log, path, "x", &d), d);
    assert_true(dune_search_log_find(log, key, &macro) && macro == 0.5);
    for (key[0] = '1'; key[0] <= '4'; key[0]++)
        assert_false(dune_search_log_find(log, key, &macro));
    dune_search_log_add(log, key, 0.1);
    dune_search_log_close(log);
    assert_ok(dune_search_log_open(&log, path, "x", &d), d);
    assert_true(dune_search_log_find(log, key, &macro) && macro == 0.1);
    dune_search_log_close(log);
    assert_int_equal(dune_search_log_open(&log, "/nowhere/at/all", "x", &d), DUNE_E_IO);
    unlink(path);
    (void)state;
}

/* --- leaves merged back ----------------------------------------------------------------------------- */
/* Every tree is a whole one, its inner nodes are the sums of their children, and rows that reach a leaf in
 * it reach one below the same node in the grown tree: merging only cuts. */
static void check_merged(const struct dune_tree *t, const struct dune_tree *grown, uint32_t n_classes)
{
    uint32_t pair[2] = {0, 0}, *same = DUNE_NEW_N(uint32_t, t->n_nodes);

    for (uint32_t v = 0; v < t->n_nodes; v++) {
        const struct dune_node *n = &t->node[v], *g = &grown->node[same[v]];

        assert_memory_equal(t->hist + (size_t)v * n_classes, grown->hist + (size_t)same[v] * n_classes,
                            n_classes * sizeof(*t->hist));
        if (n->feat < 0)
            continue;
        assert_int_equal(n->feat, g->feat);
        assert_int_equal(n->threshold, g->threshold);
        assert_true(n->left % 2 == 1 && n->right == n->left + 1 && n->left > v && n->right < t->n_nodes);
        assert_int_equal(t->node[n->left].parent, v);
        assert_int_equal(t->node[n->right].parent, v);
        same[n->left] = g->left;
        same[n->right] = g->right;
        pair[0]++;
    }
    for (uint32_t v = 1; v < t->n_nodes; v += 2) /* splits are numbered in the order of the grown tree */
        pair[1] += v == 1 || same[v] > same[v - 2];
    assert_int_equal(2 * pair[0] + 1, t->n_nodes);
    assert_int_equal(pair[1], pair[0]);
    dune_mem_free(same);
}

static void test_merged_leaves(void **state)
{
    struct dune_dataset *ds = some_data();
    struct dune_planner_cfg cfg = some_cfg();
    uint8_t member[DUNE_CLASS_WORDS * 64] = {1, 1, 1, 1, 1, 1};
    struct dune_search s;
    struct dune_diag d = {0};

    assert_ok(dune_search_open(&s, &cfg, ds, 4, &d), d);
    assert_ok(dune_space_prepare(s.space, 3, DUNE_MODE_RUNNING, &d), d);
    for (uint32_t leaves = 1; leaves <= 21; leaves += 4) {
        struct dune_fit_cfg fc = dune_search_base_cfg(&s);
        struct dune_fit *grown, *merged;

        fc.smooth = 0;
        fc.max_features = 0;
        fc.max_leaves = leaves;
        fc.spare = 1;
        assert_ok(dune_fit_train(&merged, s.space, &fc, member, NULL, &d), d);
        fc.max_leaves = 2 * leaves;
        fc.spare = 0;
        assert_ok(dune_fit_train(&grown, s.space, &fc, member, NULL, &d), d);
        assert_int_equal(dune_tree_n_leaves(&merged->forest->tree[0]), leaves);
        check_merged(&merged->forest->tree[0], &grown->forest->tree[0], grown->forest->n_classes);
        dune_fit_free(grown);
        dune_fit_free(merged);
    }
    dune_search_close(&s);
    dune_dataset_free(ds);
    (void)state;
}

/* --- devices that differ --------------------------------------------------------------------------- */
static void test_mixed_devices(void **state)
{
    struct dune_plan_device dev[3] = {{.name = (char *)"small", .profile = (char *)"engine", .budget = {2, 1}},
                                      {.name = (char *)"large", .profile = (char *)"engine", .budget = {4, 2}},
                                      {.name = (char *)"mid", .profile = (char *)"engine", .budget = {3, 2}}};
    struct dune_dataset *ds = some_data();
    struct dune_solution_job job = {.ds = ds, .cfg = some_cfg()};
    struct dune_solution_result r = {0};
    struct dune_diag d = {0};

    job.cfg.device = dev;
    assert_ok(dune_solution_dune.solve(&job, &r, &d), d);
    assert_int_equal(r.plan->n_devices, 3);
    assert_true(r.plan->n_submodels > 1);
    for (uint32_t i = 0; i < r.plan->n_submodels; i++) {
        const struct dune_submodel *sm = &r.plan->sub[i];
        const struct dune_plan_device *on = &r.plan->device[sm->device];
        uint32_t leaves = 0;

        for (uint32_t t = 0; t < sm->n_trees; t++)
            leaves += sm->tree[t].n_leaves;
        assert_true(leaves <= on->budget.leaves_sum && sm->n_feats <= on->budget.features_distinct);
        assert_true(i == 0 || r.plan->sub[i - 1].device < sm->device);
    }
    assert_string_equal(r.plan->device[1].name, "large");
    dune_solution_result_fini(&r);
    dune_dataset_free(ds);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_early_exit),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_log_lines),
        cmocka_unit_test(test_merged_leaves),
        cmocka_unit_test(test_mixed_devices),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
