/* SPDX-License-Identifier: Apache-2.0 */
/* The finalists: judged with the features of the plan, on several layouts; the rival is the baseline itself. */
#include "planner/planner_int.h"

#include "base/base.h"
#include "dune/solution.h"
#include "signal_dataset.h"
#include "testing.h"

#include <math.h>

static struct dune_dataset *some_data(unsigned noise)
{
    const struct signal_shape shape = {.classes = 5, .captures = 8, .flows = 400, .noise = noise, .seed = 41};

    return signal_dataset(&shape);
}

static struct dune_planner_cfg some_cfg(void)
{
    return (struct dune_planner_cfg){.budget = {8, 3}, .devices = 2, .effort = DUNE_EFFORT_QUICK, .seed = 6,
                                     .threads = 2};
}

static struct dune_chain_spec two_blocks(const struct dune_search *s)
{
    struct dune_fit_cfg cfg = dune_search_base_cfg(s);
    struct dune_chain_spec spec;

    dune_search_init_spec(s, &spec, 2, &cfg);
    dune_partition_random(s->cls, s->n_cls, 2, 3, spec.block);
    return spec;
}

static bool same_trees(const struct dune_fit *a, const struct dune_fit *b)
{
    for (uint32_t t = 0; t < a->forest->n_trees; t++) {
        const struct dune_tree *x = &a->forest->tree[t], *y = &b->forest->tree[t];

        if (x->n_nodes != y->n_nodes)
            return false;
        for (uint32_t v = 0; v < x->n_nodes; v++) {
            const struct dune_node *m = &x->node[v], *n = &y->node[v];

            if ((m->feat < 0) != (n->feat < 0) || m->threshold != n->threshold ||
                (m->feat >= 0 && a->forest->feat[m->feat] != b->forest->feat[n->feat]))
                return false;
        }
    }
    return a->used == b->used;
}

/* The plan is the same with frozen features, so judging them judges the plan. */
static void test_freeze(void **state)
{
    static const enum dune_select how[] = {DUNE_SELECT_RFE, DUNE_SELECT_NESTED, DUNE_SELECT_WRAP};
    struct dune_planner_cfg cfg = some_cfg();
    struct dune_dataset *ds = some_data(50);
    struct dune_search s;
    struct dune_diag d = {0};

    assert_ok(dune_search_open(&s, &cfg, ds, 4, &d), d);
    for (size_t i = 0; i < DUNE_ARRAY_LEN(how); i++) {
        struct dune_chain_spec spec = two_blocks(&s), frozen;

        for (unsigned b = 0; b < 2; b++) {
            spec.cfg[b].select = how[i];
            spec.cfg[b].spare = b ? 0.5 : 0;
            spec.cfg[b].distil = b ? 0 : 0.5;
        }
        frozen = spec;
        assert_ok(dune_search_freeze(&s, &frozen, &d), d);
        for (unsigned b = 0; b < 2; b++) {
            struct dune_fit *was, *now;

            assert_true((uint32_t)__builtin_popcountll(frozen.cfg[b].features) <= spec.cfg[b].max_features);
            assert_ok(dune_search_fit(&s, &spec, b, &was, &d), d);
            assert_ok(dune_search_fit(&s, &frozen, b, &now, &d), d);
            assert_true(same_trees(was, now));
            dune_fit_free(was);
            dune_fit_free(now);
        }
    }
    dune_search_close(&s);
    dune_dataset_free(ds);
    (void)state;
}

/* Judges see other folds than the search, and the last of them the order of time. */
static void test_layouts(void **state)
{
    struct dune_planner_cfg cfg = some_cfg();
    struct dune_dataset *ds = some_data(30);
    uint8_t *fold, *in_time = dune_mem_alloc(ds->n_flows, 1);
    struct dune_search s;
    struct dune_diag d = {0};
    uint32_t n;

    assert_ok(dune_search_open(&s, &cfg, ds, 4, &d), d);
    n = s.space->n_flows;
    fold = dune_mem_alloc(n, 1);
    memcpy(fold, dune_cv_fold(s.cv), n);
    for (unsigned i = 1; i <= DUNE_JUDGES; i++) {
        assert_ok(dune_search_change_folds(&s, i, &d), d);
        assert_int_not_equal(memcmp(fold, dune_cv_fold(s.cv), n), 0);
        memcpy(fold, dune_cv_fold(s.cv), n);
    }
    dune_folds_make(ds, 4, 0, in_time);
    for (uint32_t k = 0; k < n; k++)
        assert_int_equal(fold[k], in_time[s.space->flow[k]]);
    assert_ok(dune_search_change_folds(&s, 0, &d), d);
    assert_ptr_equal(s.cv, s.searched);
    dune_mem_free(fold);
    dune_mem_free(in_time);
    dune_search_close(&s);
    dune_dataset_free(ds);
    (void)state;
}

/* Of two variants the better one by the judges is picked, whatever the search thought of them. */
static void test_pick(void **state)
{
    struct dune_planner_cfg cfg = some_cfg();
    struct dune_dataset *ds = some_data(30);
    struct dune_variants v = {0};
    struct dune_chain_spec spec, best;
    struct dune_search s;
    struct dune_diag d = {0};
    double macro, alone;

    assert_ok(dune_search_open(&s, &cfg, ds, 4, &d), d);
    spec = two_blocks(&s);
    assert_ok(dune_variants_add(&s, &v, "x", &spec, -1, &d), d);
    for (unsigned b = 0; b < 2; b++)
        spec.cfg[b].max_leaves = 2;
    assert_ok(dune_variants_add(&s, &v, "x", &spec, -1, &d), d);
    assert_true(v.score[0] > v.score[1] + 0.05);
    v.score[1] = 1;
    assert_int_equal(dune_variants_best(&v), 1);
    assert_ok(dune_variants_pick(&s, &v, &best, &macro, &d), d);
    assert_int_equal(best.cfg[0].max_leaves, v.spec[0].cfg[0].max_leaves);
    assert_int_equal(s.layout, 1);
    v.n = 1;
    assert_ok(dune_variants_pick(&s, &v, &best, &alone, &d), d);
    assert_true(macro == alone);
    dune_search_close(&s);
    dune_dataset_free(ds);
    (void)state;
}

/* The candidate votes is the plan of the baseline votes: the same trees on the same features. */
static void test_votes(void **state)
{
    struct dune_dataset *ds = some_data(50);
    struct dune_solution_job job = {.ds = ds, .cfg = some_cfg()};
    struct dune_solution_result r = {0};
    struct dune_variants v;
    struct dune_search s;
    struct dune_diag d = {0};

    assert_ok(dune_solution_votes.solve(&job, &r, &d), d);
    assert_ok(dune_search_open(&s, &job.cfg, ds, 4, &d), d);
    assert_ok(dune_plan_votes(&s, &job, &v, &d), d);
    assert_int_equal(v.n, 1);
    assert_int_equal(v.spec[0].rule.claim, DUNE_CLAIM_VOTES);
    assert_int_equal(v.spec[0].n_blocks, r.plan->n_submodels);
    for (uint32_t i = 0; i < r.plan->n_submodels; i++) {
        const struct dune_submodel *sm = &r.plan->sub[i];
        dune_feature_mask used = 0;
        struct dune_fit *fit;

        for (uint32_t j = 0; j < sm->n_feats; j++)
            used |= UINT64_C(1) << sm->feat[j].feat;
        assert_int_equal(used, v.spec[0].cfg[i].features);
        assert_int_equal(sm->n, v.spec[0].cfg[i].n);
        assert_ok(dune_search_fit(&s, &v.spec[0], i, &fit, &d), d);
        assert_int_equal(dune_tree_n_leaves(&fit->forest->tree[0]), sm->tree[0].n_leaves);
        dune_fit_free(fit);
    }
    dune_search_close(&s);
    dune_solution_result_fini(&r);
    dune_dataset_free(ds);
    (void)state;
}

/* Exchanging features never makes the score on the search's folds worse, and keeps the limit. */
static void test_exchange(void **state)
{
    struct dune_planner_cfg cfg = some_cfg();
    struct dune_dataset *ds = some_data(60);
    struct dune_chain_spec spec;
    struct dune_search s;
    struct dune_f1 before, after;
    struct dune_diag d = {0};
    double score;

    assert_ok(dune_search_open(&s, &cfg, ds, 4, &d), d);
    spec = two_blocks(&s);
    for (unsigned b = 0; b < 2; b++) /* the worst there are */
        spec.cfg[b].features = UINT64_C(1) << DUNE_F_IP_TOS | UINT64_C(1) << DUNE_F_IP_PROTO | UINT64_C(1) << DUNE_F_COUNT;
    assert_ok(dune_search_score(&s, &spec, &before, &d), d);
    score = before.macro;
    assert_ok(dune_exchange_features(&s, &spec, &score, 3, &d), d);
    assert_ok(dune_search_score(&s, &spec, &after, &d), d);
    assert_true(after.macro == score);
    assert_true(score > before.macro + 0.05);
    for (unsigned b = 0; b < 2; b++)
        assert_in_range(__builtin_popcountll(spec.cfg[b].features), 1, 3);
    dune_search_close(&s);
    dune_dataset_free(ds);
    (void)state;
}

/* Shares of class c in node v by the definition: from the root down, every step taken in part. */
static double shrunk_share(const struct dune_fit *f, uint32_t v, uint32_t c, double shrink)
{
    const struct dune_tree *t = &f->forest->tree[0];
    uint32_t n = f->forest->n_classes, path[64], depth = 0;
    double share = 0, above = 0, weight = 0;

    for (path[depth] = v; path[depth]; depth++)
        path[depth + 1] = t->node[path[depth]].parent;
    for (int i = (int)depth; i >= 0; i--) {
        const uint64_t *h = &t->hist[(size_t)path[i] * n];
        double sum = 0, mine;

        for (uint32_t k = 0; k < n; k++)
            sum += (double)h[k];
        mine = (double)h[c] / sum;
        share = i == (int)depth ? mine : share + (mine - above) / (1 + shrink * (double)DUNE_WEIGHT_ONE / weight);
        above = mine;
        weight = sum;
    }
    return share;
}

/* Shrunk leaves are those of the same tree, and the shares are what the definition says. */
static void test_shrink(void **state)
{
    static const double flows[] = {1, 15, 1e9};
    struct dune_planner_cfg cfg = some_cfg();
    struct dune_dataset *ds = some_data(50);
    struct dune_chain_spec spec;
    struct dune_fit *plain, *f;
    struct dune_search s;
    struct dune_diag d = {0};

    assert_ok(dune_search_open(&s, &cfg, ds, 4, &d), d);
    spec = two_blocks(&s);
    spec.cfg[0].smooth = 0;
    assert_ok(dune_search_prepare(&s, &spec, &d), d);
    assert_ok(dune_search_fit(&s, &spec, 0, &plain, &d), d);
    for (size_t i = 0; i < DUNE_ARRAY_LEN(flows); i++) {
        const struct dune_tree *t;
        uint32_t n = plain->forest->n_classes;

        spec.cfg[0].shrink = flows[i];
        assert_ok(dune_search_fit(&s, &spec, 0, &f, &d), d);
        assert_true(same_trees(plain, f));
        t = &f->forest->tree[0];
        for (uint32_t v = 0; v < t->n_nodes; v++) {
            double sum = 0;

            for (uint32_t c = 0; c < n; c++)
                sum += (double)t->hist[(size_t)v * n + c];
            for (uint32_t c = 0; c < n; c++)
                assert_true(fabs((double)t->hist[(size_t)v * n + c] / sum - shrunk_share(plain, v, c, flows[i])) < 1e-6);
        }
        dune_fit_free(f);
    }
    dune_fit_free(plain);
    dune_search_close(&s);
    dune_dataset_free(ds);
    (void)state;
}

static unsigned n_homes(const struct dune_search *s, const struct dune_chain_spec *spec)
{
    unsigned n = 0;

    for (unsigned b = 0; b < spec->n_blocks; b++)
        for (unsigned i = 0; i < s->n_cls; i++)
            n += dune_class_set_has(&spec->block[b], s->cls[i]);
    return n;
}

/* Other and further homes never make the score worse and leave no class without one. */
static void test_homes(void **state)
{
    struct dune_planner_cfg cfg = some_cfg();
    struct dune_dataset *ds = some_data(50);
    struct dune_chain_spec spec;
    struct dune_search s;
    struct dune_f1 before, after;
    struct dune_diag d = {0};
    double score;

    assert_ok(dune_search_open(&s, &cfg, ds, 4, &d), d);
    spec = two_blocks(&s);
    assert_ok(dune_search_score(&s, &spec, &before, &d), d);
    score = before.macro;
    assert_ok(dune_second_homes(&s, &spec, &score, 1, 2, &d), d);
    assert_int_equal(n_homes(&s, &spec), s.n_cls); /* nothing gains so much */
    assert_ok(dune_second_homes(&s, &spec, &score, 0, 2, &d), d);
    assert_ok(dune_search_score(&s, &spec, &after, &d), d);
    assert_true(after.macro == score);
    assert_true(score > before.macro);
    assert_true(n_homes(&s, &spec) > s.n_cls);
    for (unsigned i = 0; i < s.n_cls; i++)
        assert_true(dune_class_set_has(&spec.block[0], s.cls[i]) || dune_class_set_has(&spec.block[1], s.cls[i]));
    dune_search_close(&s);
    dune_dataset_free(ds);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_freeze), cmocka_unit_test(test_layouts),  cmocka_unit_test(test_pick),
        cmocka_unit_test(test_votes),  cmocka_unit_test(test_exchange),
        cmocka_unit_test(test_shrink), cmocka_unit_test(test_homes),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
