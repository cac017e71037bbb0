/* SPDX-License-Identifier: Apache-2.0 */
/* What a fitted sub-model answers is what the plan made of it answers, item by item. */
#include "../planner/signal_dataset.h"
#include "dune/submodels.h"
#include "testing.h"

enum { N_SUB = 3, MAX_N = 4 };

static struct dune_dataset *draw_data(uint64_t seed)
{
    const struct signal_shape shape = {.classes = 4 + (uint32_t)(seed % 5), .captures = 8, .flows = 300,
                                       .noise = (unsigned)(seed * 17 % 90), .seed = seed};

    return signal_dataset(&shape);
}

static struct dune_fit_cfg draw_cfg(struct dune_rng *rng)
{
    static const enum dune_mode modes[] = {DUNE_MODE_RUNNING, DUNE_MODE_PUBLISHED, DUNE_MODE_FLOW};
    struct dune_fit_cfg c = {.n = 1 + (unsigned)dune_rng_below(rng, MAX_N),
                             .mode = modes[dune_rng_below(rng, 3)],
                             .max_features = (uint32_t)dune_rng_below(rng, 8),
                             .select = (enum dune_select)dune_rng_below(rng, 3),
                             .n_trees = 1 + (uint32_t)dune_rng_below(rng, 3),
                             .max_leaves = 2 + (uint32_t)dune_rng_below(rng, 40),
                             .balance = (double)dune_rng_below(rng, 3) / 2,
                             .other_weight = 0.5, .leaf_other = 1.3,
                             .smooth = (double)dune_rng_below(rng, 3) / 4,
                             .seed = dune_rng_u64(rng)};

    if (dune_feature_set_parse("all", c.n, &c.features, NULL) != 0)
        fail();
    return c;
}

/* Classes dealt to the sub-models at random; each gets one at least. */
static void draw_blocks(struct dune_rng *rng, uint32_t n_classes, uint8_t block[N_SUB][16])
{
    memset(block, 0, N_SUB * sizeof(*block));
    for (uint32_t c = 0; c < n_classes; c++)
        block[c < N_SUB ? c : dune_rng_below(rng, N_SUB)][c] = 1;
}

static void compare_columns(const struct dune_space *s, const struct dune_item_answer *a,
                            const struct dune_item_answer *b, uint64_t seed, unsigned sub)
{
    for (size_t i = 0; i < s->n_items; i++)
        if (a[i].cls != b[i].cls || a[i].conf != b[i].conf || a[i].claim != b[i].claim)
            fail_msg("seed %llu, sub-model %u, item %zu: the fit says %u %u %u, the plan %u %u %u",
                     (unsigned long long)seed, sub, i, a[i].cls, a[i].conf, a[i].claim, b[i].cls, b[i].conf,
                     b[i].claim);
}

static void check_seed(uint64_t seed)
{
    static const uint8_t id[N_SUB] = {2, 0, 1};
    const struct dune_chain_rule rule = {.claim = DUNE_CLAIM_BEST, .early_exit = 256};
    const struct dune_budget budget = {0};
    struct dune_dataset *ds = draw_data(seed);
    struct dune_space *train = NULL, *test = NULL;
    struct dune_fit *fit[N_SUB];
    struct dune_plan *plan = NULL;
    struct dune_diag d = {0};
    uint8_t block[N_SUB][16];
    struct dune_rng rng;

    dune_rng_init(&rng, seed, 9, 9, 9);
    draw_blocks(&rng, ds->n_classes, block);
    assert_ok(dune_space_new(&train, ds, DUNE_SPLIT_TRAIN, NULL, MAX_N, 1, &d), d);
    assert_ok(dune_space_new(&test, ds, DUNE_SPLIT_TEST, NULL, MAX_N, 1, &d), d);
    for (unsigned i = 0; i < N_SUB; i++) {
        struct dune_fit_cfg cfg = draw_cfg(&rng);

        assert_ok(dune_space_prepare(train, cfg.n, cfg.mode, &d), d);
        assert_ok(dune_space_prepare(test, cfg.n, cfg.mode, &d), d);
        assert_ok(dune_fit_train(&fit[i], train, &cfg, block[i], NULL, &d), d);
        assert_true(!cfg.max_features || __builtin_popcountll(fit[i]->used) <= (int)cfg.max_features);
    }
    assert_ok(dune_plan_from_fits(&plan, train, fit, id, N_SUB, N_SUB, &rule, &budget, "engine", &d), d);
    assert_ok(dune_plan_verify(plan, &d), d);
    for (unsigned i = 0; i < N_SUB; i++) {
        struct dune_item_answer *a = dune_mem_zalloc(test->n_items, sizeof(*a));
        struct dune_item_answer *b = dune_mem_zalloc(test->n_items, sizeof(*b));

        assert_ok(dune_fit_answer(fit[i], test, NULL, a, &d), d);
        assert_ok(dune_plan_answer(plan, i, test, b, &d), d);
        compare_columns(test, a, b, seed, i);
        dune_mem_free(a);
        dune_mem_free(b);
        dune_fit_free(fit[i]);
    }
    dune_plan_free(plan);
    dune_space_free(train);
    dune_space_free(test);
    dune_dataset_free(ds);
}

static void test_fits_and_plans(void **state)
{
    for (uint64_t seed = 1; seed <= 40; seed++)
        check_seed(seed);
    (void)state;
}

/* Confusions of a plan are those of its sub-models' answers, combined. */
static void test_plan_confusion(void **state)
{
    const struct signal_shape shape = {.classes = 6, .captures = 8, .flows = 400, .noise = 20, .seed = 77};
    const struct dune_chain_rule rule = {.claim = DUNE_CLAIM_BEST, .early_exit = 256};
    const struct dune_budget budget = {0};
    struct dune_dataset *ds = signal_dataset(&shape);
    struct dune_space *s = NULL;
    struct dune_fit_cfg cfg = {.n = 3, .max_leaves = 40};
    struct dune_fit *fit = NULL;
    struct dune_plan *plan = NULL;
    struct dune_item_answer *col;
    const struct dune_item_answer *cols[1];
    struct dune_confusion a, b;
    struct dune_diag d = {0};
    uint8_t all[16], id = 0;

    memset(all, 1, sizeof(all));
    assert_ok(dune_feature_set_parse("all", 3, &cfg.features, &d), d);
    assert_ok(dune_space_new(&s, ds, DUNE_SPLIT_TRAIN, NULL, MAX_N, 1, &d), d);
    assert_ok(dune_space_prepare(s, 3, DUNE_MODE_RUNNING, &d), d);
    assert_ok(dune_fit_train(&fit, s, &cfg, all, NULL, &d), d);
    assert_ok(dune_plan_from_fits(&plan, s, &fit, &id, 1, 1, &rule, &budget, "engine", &d), d);
    col = dune_mem_zalloc(s->n_items, sizeof(*col));
    cols[0] = col;
    assert_ok(dune_fit_answer(fit, s, NULL, col, &d), d);
    for (int packet = 0; packet < 2; packet++) {
        dune_confusion_init(&a, ds->n_classes);
        dune_confusion_init(&b, ds->n_classes);
        dune_chain_confusion(s, cols, &id, 1, &rule, NULL, packet, &a);
        assert_ok(dune_plan_confusion(plan, s, packet, &b, &d), d);
        assert_memory_equal(a.cell, b.cell, 6 * 7 * sizeof(*a.cell));
        dune_confusion_fini(&a);
        dune_confusion_fini(&b);
    }
    dune_mem_free(col);
    dune_fit_free(fit);
    dune_plan_free(plan);
    dune_space_free(s);
    dune_dataset_free(ds);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fits_and_plans),
        cmocka_unit_test(test_plan_confusion),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
