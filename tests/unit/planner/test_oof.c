/* SPDX-License-Identifier: Apache-2.0 */
/* Out-of-fold answers: what is held out never speaks for itself, and nothing is fitted twice. */
#include "dune/planner.h"
#include "signal_dataset.h"
#include "testing.h"

enum { N_CLASSES = 5, N_FLOWS = 400, N_FOLDS = 4 };

struct bench {
    struct dune_dataset *ds;
    struct dune_space *space;
    struct dune_cv *cv;
    uint8_t *fold; /* [n_flows of the space] */
};

static void bench_open(struct bench *b, const uint16_t *label, unsigned threads)
{
    const struct signal_shape shape = {.classes = N_CLASSES, .captures = 8, .flows = N_FLOWS, .noise = 40,
                                       .seed = 3, .label = label};
    struct dune_diag d = {0};

    b->ds = signal_dataset(&shape);
    assert_ok(dune_space_new(&b->space, b->ds, DUNE_SPLIT_TRAIN, NULL, 4, threads, &d), d);
    b->fold = dune_mem_alloc(b->space->n_flows, 1);
    for (uint32_t k = 0; k < b->space->n_flows; k++)
        b->fold[k] = k % 23 == 0 ? 255 : (uint8_t)(dune_mix64(k, 4) % N_FOLDS);
    assert_ok(dune_space_prepare(b->space, 3, DUNE_MODE_RUNNING, &d), d);
    assert_ok(dune_cv_new(&b->cv, b->space, b->fold, N_FOLDS, &d), d);
}

static void bench_close(struct bench *b)
{
    dune_cv_free(b->cv);
    dune_space_free(b->space);
    dune_dataset_free(b->ds);
    dune_mem_free(b->fold);
}

static struct dune_fit_cfg some_cfg(void)
{
    struct dune_fit_cfg c = {.n = 3, .max_leaves = 25, .max_features = 5, .balance = 0.5, .smooth = 0.1,
                             .n_trees = 3, .select = DUNE_SELECT_WRAP, .seed = 8};

    if (dune_feature_set_parse("all", 3, &c.features, NULL) != 0)
        fail();
    return c;
}

static struct dune_class_set some_block(void)
{
    struct dune_class_set s = {{0}};

    dune_class_set_flip(&s, 1);
    dune_class_set_flip(&s, 3);
    return s;
}

static const struct dune_item_answer *column(struct bench *b)
{
    struct dune_class_set block = some_block();
    struct dune_fit_cfg cfg = some_cfg();
    const struct dune_item_answer *col;
    struct dune_diag d = {0};

    assert_ok(dune_cv_column(b->cv, &block, &cfg, &col, &d), d);
    return col;
}

static bool same(const struct dune_item_answer *a, const struct dune_item_answer *b)
{
    return a->cls == b->cls && a->conf == b->conf && a->claim == b->claim;
}

/* Other labels in one fold: its own answers stay, those of other folds do not. */
static void check_fold(struct bench *was, unsigned fold)
{
    uint16_t label[N_FLOWS];
    const struct dune_item_answer *a = column(was), *b;
    struct bench now;
    size_t held = 0, elsewhere = 0;

    for (uint32_t f = 0; f < N_FLOWS; f++)
        label[f] = was->ds->flow_class[f];
    for (uint32_t k = 0; k < was->space->n_flows; k++)
        if (was->fold[k] == fold)
            label[was->space->flow[k]] = (uint16_t)((label[was->space->flow[k]] + 1 + k % 3) % N_CLASSES);
    bench_open(&now, label, 1);
    b = column(&now);
    for (size_t i = 0; i < was->space->n_items; i++) {
        bool mine = was->fold[was->space->item_flow[i]] == fold;

        if (mine && !same(&a[i], &b[i]))
            fail_msg("fold %u: labels of held-out flows changed their own answers (item %zu)", fold, i);
        held += mine;
        elsewhere += !mine && !same(&a[i], &b[i]);
    }
    assert_true(held > 50);
    assert_true(elsewhere > 50);
    bench_close(&now);
}

static void test_held_out(void **state)
{
    struct bench b;

    bench_open(&b, NULL, 1);
    for (unsigned fold = 0; fold < N_FOLDS; fold++)
        check_fold(&b, fold);
    bench_close(&b);
    (void)state;
}

/* A column by hand: one fit per fold on everything else. Flows outside all folds say nothing. */
static void test_by_hand(void **state)
{
    struct bench b;
    const struct dune_item_answer *col;
    struct dune_item_answer *hand;
    struct dune_fit_cfg cfg = some_cfg();
    uint8_t block[N_CLASSES] = {0, 1, 0, 1, 0}, *train, *held;
    struct dune_diag d = {0};

    bench_open(&b, NULL, 1);
    col = column(&b);
    hand = dune_mem_alloc(b.space->n_items, sizeof(*hand));
    train = dune_mem_alloc(b.space->n_flows, 1);
    held = dune_mem_alloc(b.space->n_flows, 1);
    for (size_t i = 0; i < b.space->n_items; i++)
        hand[i] = (struct dune_item_answer){.cls = DUNE_NO_CLASS};
    for (unsigned fold = 0; fold < N_FOLDS; fold++) {
        struct dune_fit *fit;

        for (uint32_t k = 0; k < b.space->n_flows; k++) {
            held[k] = b.fold[k] == fold;
            train[k] = !held[k];
        }
        assert_ok(dune_fit_train(&fit, b.space, &cfg, block, train, &d), d);
        assert_ok(dune_fit_answer(fit, b.space, held, hand, &d), d);
        dune_fit_free(fit);
    }
    for (size_t i = 0; i < b.space->n_items; i++)
        assert_true(same(&col[i], &hand[i]));
    dune_mem_free(hand);
    dune_mem_free(train);
    dune_mem_free(held);
    bench_close(&b);
    (void)state;
}

static void test_cache(void **state)
{
    struct bench b;
    struct dune_class_set block = some_block();
    struct dune_fit_cfg cfg = some_cfg();
    const struct dune_item_answer *first, *again;
    struct dune_diag d = {0};

    bench_open(&b, NULL, 1);
    first = column(&b);
    assert_int_equal(dune_cv_n_fits(b.cv), 1);
    assert_ptr_equal(first, column(&b));
    assert_int_equal(dune_cv_n_fits(b.cv), 1);
    cfg.smooth = 0.2; /* anything else is another column */
    assert_ok(dune_cv_column(b.cv, &block, &cfg, &again, &d), d);
    assert_ptr_not_equal(first, again);
    dune_class_set_flip(&block, 0);
    assert_ok(dune_cv_column(b.cv, &block, &cfg, &again, &d), d);
    assert_int_equal(dune_cv_n_fits(b.cv), 3);
    assert_ptr_equal(first, column(&b));
    bench_close(&b);
    (void)state;
}

static void test_threads(void **state)
{
    struct bench b[3];
    const struct dune_item_answer *col[3];

    for (unsigned t = 0; t < 3; t++) {
        bench_open(&b[t], NULL, t + 1);
        col[t] = column(&b[t]);
    }
    for (size_t i = 0; i < b[0].space->n_items; i++)
        assert_true(same(&col[0][i], &col[1][i]) && same(&col[0][i], &col[2][i]));
    for (unsigned t = 0; t < 3; t++)
        bench_close(&b[t]);
    (void)state;
}

/* Scores are those of the combined columns, over scored flows only, in total and per fold. */
static void test_score(void **state)
{
    struct bench b;
    struct dune_chain_spec spec = {.n_blocks = 2, .rule = {.claim = DUNE_CLAIM_BEST, .early_exit = 256}};
    const struct dune_item_answer *col[2];
    const uint8_t id[2] = {0, 1};
    struct dune_confusion all, part[N_FOLDS];
    struct dune_f1 f1;
    double per_fold[N_FOLDS];
    struct dune_diag d = {0};

    bench_open(&b, NULL, 1);
    for (unsigned c = 0; c < N_CLASSES; c++)
        dune_class_set_flip(&spec.block[c & 1], c);
    spec.cfg[0] = spec.cfg[1] = some_cfg();
    assert_ok(dune_cv_score(b.cv, &spec, &f1, per_fold, &d), d);
    dune_confusion_init(&all, N_CLASSES);
    for (unsigned i = 0; i < 2; i++)
        assert_ok(dune_cv_column(b.cv, &spec.block[i], &spec.cfg[i], &col[i], &d), d);
    for (unsigned f = 0; f < N_FOLDS; f++)
        dune_confusion_init(&part[f], N_CLASSES);
    for (size_t i = 0; i < b.space->n_items; i++) {
        uint8_t fold = b.fold[b.space->item_flow[i]];
        uint16_t said = dune_chain_decide(col, i, id, 2, &spec.rule);

        if (fold == 255)
            continue;
        dune_confusion_add(&all, b.space->item_cls[i], said, b.space->item_w[i]);
        dune_confusion_add(&part[fold], b.space->item_cls[i], said, b.space->item_w[i]);
    }
    assert_true(f1.macro == dune_f1_score(&all, DUNE_WEIGHT_ONE, NULL).macro);
    assert_true(f1.macro > 0.3);
    for (unsigned f = 0; f < N_FOLDS; f++) {
        assert_true(per_fold[f] == dune_f1_score(&part[f], DUNE_WEIGHT_ONE, NULL).macro);
        dune_confusion_fini(&part[f]);
    }
    dune_confusion_fini(&all);
    bench_close(&b);
    (void)state;
}

static void test_bad_folds(void **state)
{
    struct bench b;
    struct dune_cv *cv;
    struct dune_diag d = {0};

    bench_open(&b, NULL, 1);
    assert_int_equal(dune_cv_new(&cv, b.space, b.fold, 1, &d), DUNE_E_USAGE);
    assert_int_equal(dune_cv_new(&cv, b.space, b.fold, 99, &d), DUNE_E_USAGE);
    dune_cv_free(NULL);
    bench_close(&b);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_held_out), cmocka_unit_test(test_by_hand), cmocka_unit_test(test_cache),
        cmocka_unit_test(test_threads),  cmocka_unit_test(test_score),   cmocka_unit_test(test_bad_folds),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
