/* SPDX-License-Identifier: Apache-2.0 */
/* Scores by sums per class against those of the whole confusion; times in bins; copies. */
#include "dash_kit.h"

enum { CLASSES = 7, VOTES = 3000 };

static void equals_the_confusion(void **state)
{
    struct dash_board b;
    struct dune_confusion c;
    struct dune_class_score score[CLASSES];
    struct dune_rng r;
    struct dune_f1 mine, want;
    double per_class[CLASSES];

    (void)state;
    dash_board_init(&b, 1, CLASSES);
    dune_confusion_init(&c, CLASSES);
    dune_rng_init(&r, 7, 0, 0, 0);
    for (int i = 0; i < VOTES; i++) {
        uint32_t truth = (uint32_t)dune_rng_below(&r, CLASSES - 1); /* the last one is never there */
        uint32_t pred = dune_rng_below(&r, 3) ? truth : (uint32_t)dune_rng_below(&r, CLASSES + 1);
        uint64_t w = 1 + dune_rng_below(&r, 1000);

        dash_board_vote(&b, DASH_FLOW_LEVEL, truth, pred < CLASSES ? pred : DASH_NONE, w);
        dune_confusion_add(&c, truth, pred, w);
    }
    dash_board_vote(&b, DASH_FLOW_LEVEL, DASH_NONE, 0, 5); /* no truth: does not count */
    mine = dash_board_f1(&b, DASH_FLOW_LEVEL, NULL, per_class);
    want = dune_f1_score(&c, DUNE_WEIGHT_ONE, score);
    assert_true(mine.macro == want.macro && mine.weighted == want.weighted && mine.micro == want.micro);
    assert_true(mine.coverage == want.coverage && mine.macro > 0.3);
    for (int k = 0; k < CLASSES; k++)
        assert_true(per_class[k] == (score[k].present ? score[k].f1 : -1));
    dune_confusion_fini(&c);
    dash_board_fini(&b);
}

/* A window is what came after its beginning. */
static void window_subtracts(void **state)
{
    struct dash_board b;
    uint64_t before[3 * 2];

    (void)state;
    dash_board_init(&b, 0, 2);
    for (int i = 0; i < 10; i++)
        dash_board_vote(&b, DASH_FLOW_LEVEL, 0, 1, 1); /* all wrong */
    memcpy(before, b.sum[DASH_FLOW_LEVEL][0], sizeof(before));
    dash_board_vote(&b, DASH_FLOW_LEVEL, 0, 0, 1);
    dash_board_vote(&b, DASH_FLOW_LEVEL, 1, 1, 1);
    assert_true(dash_board_f1(&b, DASH_FLOW_LEVEL, before, NULL).macro == 1);
    assert_true(dash_board_f1(&b, DASH_FLOW_LEVEL, NULL, NULL).micro < 0.2);
    assert_true(dash_board_f1(&b, DASH_PACKET_LEVEL, NULL, NULL).macro == 0);
    dash_board_fini(&b);
}

static void copies_are_whole(void **state)
{
    struct dash_board a, b;

    (void)state;
    dash_board_init(&a, 3, 4);
    dash_board_init(&b, 3, 4);
    for (size_t i = 0; i < a.words; i++)
        a.block[i] = i * 3 + 1;
    a.t.packets = 99;
    dash_board_copy(&b, &a);
    assert_memory_equal(a.block, b.block, a.words * sizeof(uint64_t));
    assert_int_equal(b.t.packets, 99);
    assert_int_equal(b.dev[2].in, a.dev[2].in);
    assert_int_equal(b.sum[1][2][3], a.sum[1][2][3]);
    assert_ptr_equal(&b.sum[1][2][3], b.block + b.words - 1); /* nothing behind the last sum */
    dash_board_fini(&a);
    dash_board_fini(&b);
}

static void times_in_bins(void **state)
{
    struct dash_hist h = {0};

    (void)state;
    assert_int_equal(dash_hist_quantile(&h, 0.5), 0);
    for (uint64_t v = 1; v <= 1000; v++)
        dash_hist_add(&h, v * 1000);
    for (int q = 1; q < 100; q++) {
        double want = q * 10000.0, got = (double)dash_hist_quantile(&h, q / 100.0);

        if (got < want * 0.85 || got > want * 1.15)
            fail_msg("%d %%: %.0f instead of about %.0f", q, got, want);
    }
    dash_hist_add(&h, 0);
    dash_hist_add(&h, UINT64_MAX);
    assert_true(dash_hist_quantile(&h, 1) > UINT64_C(1) << 62);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_the_confusion),
        cmocka_unit_test(window_subtracts),
        cmocka_unit_test(copies_are_whole),
        cmocka_unit_test(times_in_bins),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
