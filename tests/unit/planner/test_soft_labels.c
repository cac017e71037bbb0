/* SPDX-License-Identifier: Apache-2.0 */
/* Soft labels: who tells a row has not seen it, wrong labels are doubted, and trees learn from them. */
#include "dune/planner.h"
#include "signal_dataset.h"
#include "testing.h"

enum { N_CLASSES = 4, N_FLOWS = 400, N_PARTS = 4 };

struct bench {
    struct dune_dataset *ds;
    struct dune_space *space;
    uint8_t *part;
    struct dune_soft soft[N_PARTS + 1];
};

static void bench_open(struct bench *b, const uint16_t *label, unsigned threads)
{
    const struct signal_shape shape = {.classes = N_CLASSES, .captures = 4, .flows = N_FLOWS, .noise = 20,
                                       .seed = 3, .label = label};
    struct dune_diag d = {0};

    b->ds = signal_dataset(&shape);
    assert_ok(dune_space_new(&b->space, b->ds, DUNE_SPLIT_TRAIN, NULL, 4, threads, &d), d);
    b->part = dune_mem_alloc(b->space->n_flows, 1);
    for (uint32_t k = 0; k < b->space->n_flows; k++)
        b->part[k] = k % 29 == 0 ? 255 : (uint8_t)(dune_mix64(b->space->flow[k], 4) % N_PARTS);
    assert_ok(dune_soft_make(b->soft, b->space, 3, DUNE_MODE_RUNNING, b->part, N_PARTS, 9, &d), d);
}

static void bench_close(struct bench *b)
{
    for (unsigned i = 0; i <= N_PARTS; i++)
        dune_soft_fini(&b->soft[i]);
    dune_mem_free(b->part);
    dune_space_free(b->space);
    dune_dataset_free(b->ds);
}

static const struct dune_space_view *view(const struct bench *b)
{
    return b->space->view[3][DUNE_MODE_RUNNING];
}

static void copy_labels(const struct bench *b, uint16_t *label)
{
    for (uint32_t f = 0; f < N_FLOWS; f++)
        label[f] = b->ds->flow_class[f];
}

/* Other labels in part i: labels for who does not see it stay, on all rows outside of it. */
static void test_unseen(void **state)
{
    struct bench was, now;
    uint16_t label[N_FLOWS];
    size_t changed = 0;

    bench_open(&was, NULL, 1);
    copy_labels(&was, label);
    for (uint32_t k = 0; k < was.space->n_flows; k++)
        if (was.part[k] == 2)
            label[was.space->flow[k]] = (uint16_t)((label[was.space->flow[k]] + 1) % N_CLASSES);
    bench_open(&now, label, 2);
    for (uint32_t k = 0; k < was.space->n_flows; k++)
        for (uint32_t r = view(&was)->row0[k]; r < view(&was)->row0[k + 1]; r++) {
            if (was.part[k] == 255)
                assert_int_equal(was.soft[0].rival[r], DUNE_NO_CLASS);
            if (was.part[k] == 2)
                continue;
            if (was.soft[2].rival[r] != now.soft[2].rival[r] || was.soft[2].share[r] != now.soft[2].share[r])
                fail_msg("row %u was told by somebody who had seen part 2", r);
            changed += was.soft[N_PARTS].share[r] != now.soft[N_PARTS].share[r];
        }
    assert_true(changed > 100);
    bench_close(&was);
    bench_close(&now);
    (void)state;
}

/* Rows with a wrong label are doubted more than others, and the rival is mostly the true class. */
static void test_doubt(void **state)
{
    struct bench clean, b;
    uint16_t label[N_FLOWS];
    double doubt[2] = {0};
    size_t rows[2] = {0}, found = 0;

    bench_open(&clean, NULL, 1);
    copy_labels(&clean, label);
    for (uint32_t f = 0; f < N_FLOWS; f += 10)
        label[f] = (uint16_t)((label[f] + 1) % N_CLASSES);
    bench_open(&b, label, 1);
    for (uint32_t k = 0; k < b.space->n_flows; k++)
        for (uint32_t r = view(&b)->row0[k]; b.part[k] != 255 && r < view(&b)->row0[k + 1]; r++) {
            bool wrong = b.space->flow[k] % 10 == 0;

            rows[wrong]++;
            doubt[wrong] += (double)b.soft[N_PARTS].share[r];
            found += wrong && b.soft[N_PARTS].rival[r] == clean.ds->flow_class[b.space->flow[k]];
        }
    assert_true(doubt[1] / (double)rows[1] > doubt[0] / (double)rows[0] + 0.3);
    assert_true(found * 4 > rows[1] * 3);
    bench_close(&clean);
    bench_close(&b);
    (void)state;
}

static uint64_t class_weight(const struct dune_fit *f, uint32_t c)
{
    return f->forest->tree[0].hist[c];
}

/* Nothing changes without labels or without a share; with them weight moves, and none is lost. */
static void test_fit(void **state)
{
    struct dune_fit_cfg cfg = {.n = 3, .mode = DUNE_MODE_RUNNING, .max_leaves = 20, .n_trees = 1, .seed = 1};
    const uint8_t block[N_CLASSES] = {1, 1, 0, 0};
    struct dune_fit *plain, *same, *soft;
    struct dune_diag d = {0};
    uint64_t total[2] = {0};
    struct bench b;

    bench_open(&b, NULL, 1);
    if (dune_feature_set_parse("all", 3, &cfg.features, NULL) != 0)
        fail();
    assert_ok(dune_fit_train(&plain, b.space, &cfg, block, NULL, &d), d);
    assert_ok(dune_fit_train_soft(&same, b.space, &cfg, block, NULL, &b.soft[N_PARTS], &d), d);
    cfg.distil = 1;
    assert_ok(dune_fit_train_soft(&soft, b.space, &cfg, block, NULL, &b.soft[N_PARTS], &d), d);
    assert_int_equal(plain->forest->n_classes, soft->forest->n_classes);
    for (uint32_t c = 0; c < plain->forest->n_classes; c++) {
        assert_int_equal(class_weight(plain, c), class_weight(same, c));
        total[0] += class_weight(plain, c);
        total[1] += class_weight(soft, c);
    }
    assert_true(class_weight(plain, 0) != class_weight(soft, 0));
    assert_true(total[0] > total[1] ? total[0] - total[1] < total[0] / 1000 : total[1] - total[0] < total[0] / 1000);
    dune_fit_free(plain);
    dune_fit_free(same);
    dune_fit_free(soft);
    bench_close(&b);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unseen),
        cmocka_unit_test(test_doubt),
        cmocka_unit_test(test_fit),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
