/* SPDX-License-Identifier: Apache-2.0 */
/* The grid with shared work against its points fitted one by one, and the same choice from both. */
#include "../planner/signal_dataset.h"
#include "dune/submodels.h"
#include "testing.h"

struct scene {
    struct dune_dataset *ds;
    struct dune_space *s;
    uint8_t *train, *valid, block[16];
};

static void make(struct scene *x, uint64_t seed)
{
    const struct signal_shape shape = {.classes = 5, .captures = 8, .flows = 400, .noise = 40, .seed = seed};
    struct dune_diag d = {0};

    x->ds = signal_dataset(&shape);
    assert_ok(dune_space_new(&x->s, x->ds, DUNE_SPLIT_TRAIN, NULL, 4, 1, &d), d);
    x->train = dune_mem_zalloc(x->s->n_flows, 1);
    x->valid = dune_mem_zalloc(x->s->n_flows, 1);
    dune_space_validation(x->s, x->train, x->valid);
    for (unsigned c = 0; c < 16; c++)
        x->block[c] = c < 5 && (c + seed) % 2;
}

static void unmake(struct scene *x)
{
    dune_mem_free(x->train);
    dune_mem_free(x->valid);
    dune_space_free(x->s);
    dune_dataset_free(x->ds);
}

/* Flow-level macro F1 of a fit over the block's classes and Other, on the validation flows. */
static double plain_f1(const struct scene *x, const struct dune_fit *f)
{
    struct dune_item_answer *a = dune_mem_zalloc(x->s->n_items, sizeof(*a));
    struct dune_confusion c;
    struct dune_diag d = {0};
    double macro;

    dune_confusion_init(&c, x->s->n_classes + 1);
    assert_ok(dune_fit_answer(f, x->s, NULL, a, &d), d);
    for (size_t i = 0; i < x->s->n_items; i++)
        if (x->valid[x->s->item_flow[i]])
            dune_confusion_add(&c, x->block[x->s->item_cls[i]] ? x->s->item_cls[i] : x->s->n_classes,
                               a[i].claim ? a[i].cls : x->s->n_classes, x->s->item_w[i]);
    macro = dune_f1_score(&c, DUNE_WEIGHT_ONE, NULL).macro;
    dune_confusion_fini(&c);
    dune_mem_free(a);
    return macro;
}

static void compare(uint64_t seed, struct dune_grid_cfg cfg)
{
    struct scene x;
    struct dune_grid g;
    struct dune_diag d = {0};
    size_t best = 0;
    double *score;

    make(&x, seed);
    assert_ok(dune_grid_prepare(x.s, &cfg, &d), d);
    assert_ok(dune_grid_search(&g, x.s, &cfg, x.block, x.train, x.valid, &d), d);
    assert_true(g.n_points > 20);
    score = DUNE_NEW_N(double, g.n_points);
    for (size_t i = 0; i < g.n_points; i++) {
        const struct dune_grid_point *p = &g.point[i];
        struct dune_fit_cfg fc = dune_grid_fit_cfg(&cfg, p);
        struct dune_fit *f;

        assert_ok(dune_fit_train(&f, x.s, &fc, x.block, x.train, &d), d);
        assert_true(plain_f1(&x, f) == p->macro_f1);
        score[i] = cfg.f1_only ? plain_f1(&x, f) : 0.5 * plain_f1(&x, f) + 0.5 * (1 - (double)p->blocks / 288);
        if (score[i] > score[best] || (score[i] == score[best] && p->blocks < g.point[best].blocks))
            best = i;
        dune_fit_free(f);
    }
    assert_int_equal(best, g.best);
    dune_mem_free(score);
    dune_grid_fini(&g);
    unmake(&x);
}

static dune_feature_mask some_features(void)
{
    return UINT64_C(1) << DUNE_F_IP_LEN | UINT64_C(1) << DUNE_F_TCP_WINDOW | UINT64_C(1) << DUNE_F_LEN_MAX |
           UINT64_C(1) << DUNE_F_DSTPORT | UINT64_C(1) << DUNE_F_COUNT;
}

static void test_published(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed++)
        compare(seed, (struct dune_grid_cfg){.features = some_features(), .mode = DUNE_MODE_PUBLISHED,
                                             .sqrt_features = true, .seed = seed});
}

static void test_budgets(void **state)
{
    (void)state;
    compare(3, (struct dune_grid_cfg){.features = some_features(), .mode = DUNE_MODE_RUNNING, .balance = 0.5, .seed = 9,
                                      .budget = {.leaves_sum = 270, .features_distinct = 3}, .f1_only = true});
    compare(4, (struct dune_grid_cfg){.features = some_features(), .mode = DUNE_MODE_RUNNING, .seed = 9, .quick = true});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published),
        cmocka_unit_test(test_budgets),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
