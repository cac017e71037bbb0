/* SPDX-License-Identifier: Apache-2.0 */
/* Leaves, votes and answers of forests. */
#include "forest_random.h"

static struct dune_answer vote(const struct dune_leaf *leaf, uint32_t n, uint16_t other)
{
    const struct dune_leaf *p[16];

    for (uint32_t i = 0; i < n; i++)
        p[i] = &leaf[i];
    return dune_vote(p, n, other);
}

static void assert_leaf(struct dune_leaf l, uint16_t cls, uint16_t own, uint8_t conf, uint8_t own_conf)
{
    assert_int_equal(l.cls, cls);
    assert_int_equal(l.own, own);
    assert_int_equal(l.conf, conf);
    assert_int_equal(l.own_conf, own_conf);
}

static void test_leaf(void **state)
{
    uint64_t h[3] = {10, 30, 60}, big[2] = {UINT64_C(1) << 59, UINT64_C(1) << 59}, none[2] = {0, 0};
    uint64_t only[2] = {5, 0};

    (void)state;
    assert_leaf(dune_leaf_make(h, 3, DUNE_NO_CLASS, 1), 2, 2, 153, 153);
    assert_leaf(dune_leaf_make(h, 3, 2, 1), 2, 1, 153, 76);
    assert_leaf(dune_leaf_make(h, 3, 2, 3), 2, 1, 51, 25);
    assert_leaf(dune_leaf_make(big, 2, DUNE_NO_CLASS, 1), 0, 0, 127, 127);
    assert_leaf(dune_leaf_make(big, 2, 0, 1), 1, 1, 127, 127); /* Other last in ties */
    assert_leaf(dune_leaf_make(only, 2, 0, 1), 0, DUNE_NO_CLASS, 255, 0);
    assert_leaf(dune_leaf_make(none, 2, 0, 1), 1, DUNE_NO_CLASS, 0, 0);
    assert_leaf(dune_leaf_make(none, 2, 1, 1), 0, DUNE_NO_CLASS, 0, 0);
    assert_leaf(dune_leaf_make(h, 3, DUNE_NO_CLASS, 300), 2, 2, 0, 0);
}

static void test_vote(void **state)
{
    struct dune_leaf majority[3] = {{0, 0, 80, 80}, {1, 1, 20, 20}, {1, 1, 30, 30}};
    struct dune_leaf tie[4] = {{2, 2, 60, 60}, {1, 1, 50, 50}, {0, 0, 9, 9}, {1, 1, 1, 1}};
    struct dune_leaf early[2] = {{3, 3, 1, 1}, {0, 0, 99, 99}};
    struct dune_leaf other[4] = {{9, 2, 40, 10}, {9, 1, 40, 12}, {2, 2, 50, 50}, {9, DUNE_NO_CLASS, 63, 0}};
    struct dune_leaf nobody[1] = {{9, DUNE_NO_CLASS, 255, 0}};
    struct dune_answer a;

    (void)state;
    a = vote(majority, 3, DUNE_NO_CLASS);
    assert_true(a.claim && a.cls == 1 && a.own == 1 && a.conf == 50);
    a = vote(tie, 4, DUNE_NO_CLASS);
    assert_true(a.claim && a.cls == 1 && a.conf == 51);
    a = vote(early, 2, DUNE_NO_CLASS);
    assert_true(a.claim && a.cls == 3 && a.conf == 1);
    /* Other wins; 2 and 1 are tied among the trees that voted Other, tree 0 decides. The tree that
     * voted 2 outright did not vote Other and adds nothing. */
    a = vote(other, 4, 9);
    assert_true(!a.claim && a.cls == 9 && a.own == 2 && a.conf == 10);
    a = vote(nobody, 1, 9);
    assert_true(!a.claim && a.cls == 9 && a.own == DUNE_NO_CLASS && a.conf == 0);
}

/* The same rules once more, by counting into tables. */
static struct dune_answer slow_vote(const struct dune_leaf *leaf, uint32_t n, uint16_t other)
{
    unsigned votes[16] = {0}, conf[16] = {0}, most = 0;
    struct dune_answer a = {.own = DUNE_NO_CLASS};

    for (uint32_t i = 0; i < n; i++) {
        votes[leaf[i].cls]++;
        conf[leaf[i].cls] += leaf[i].conf;
        most = DUNE_MAX(most, votes[leaf[i].cls]);
    }
    for (uint32_t i = n; i--;)
        if (votes[leaf[i].cls] == most)
            a.cls = leaf[i].cls;
    if (a.cls != other) {
        a.own = a.cls;
        a.conf = (uint8_t)conf[a.cls];
        a.claim = true;
        return a;
    }
    memset(votes, 0, sizeof(votes));
    memset(conf, 0, sizeof(conf));
    most = 0;
    for (uint32_t i = 0; i < n; i++)
        if (leaf[i].cls == other && leaf[i].own != DUNE_NO_CLASS) {
            votes[leaf[i].own]++;
            conf[leaf[i].own] += leaf[i].own_conf;
            most = DUNE_MAX(most, votes[leaf[i].own]);
        }
    for (uint32_t i = n; i-- && most;)
        if (leaf[i].cls == other && leaf[i].own != DUNE_NO_CLASS && votes[leaf[i].own] == most)
            a.own = leaf[i].own;
    a.conf = a.own == DUNE_NO_CLASS ? 0 : (uint8_t)conf[a.own];
    return a;
}

static void test_vote_random(void **state)
{
    struct dune_rng r;

    (void)state;
    dune_rng_init(&r, 1, 0, 0, 0);
    for (int k = 0; k < 20000; k++) {
        uint32_t n = 1 + (uint32_t)dune_rng_below(&r, 9), classes = 1 + (uint32_t)dune_rng_below(&r, 4);
        uint16_t other = (uint16_t)dune_rng_below(&r, 5);
        struct dune_leaf leaf[16];
        struct dune_answer a, b;

        for (uint32_t i = 0; i < n; i++) {
            uint64_t h[4];

            for (uint32_t c = 0; c < classes; c++)
                h[c] = dune_rng_below(&r, 3);
            leaf[i] = dune_leaf_make(h, classes, other < classes ? other : DUNE_NO_CLASS, n);
        }
        a = vote(leaf, n, other < classes ? other : DUNE_NO_CLASS);
        b = slow_vote(leaf, n, other < classes ? other : DUNE_NO_CLASS);
        assert_true(a.cls == b.cls && a.own == b.own && a.conf == b.conf && a.claim == b.claim);
    }
}

/* x: 0 0 1 1 2 2, class = x: a tree gets every row right; the depth and the leaves are known. */
static void test_answers(void **state)
{
    uint32_t x[6] = {0, 0, 10, 10, 21, 21}, y[6] = {5, 5, 5, 5, 5, 5}, *col[2] = {y, x};
    uint16_t cls[6] = {0, 0, 1, 1, 2, 2}, soft[6];
    uint64_t w[6] = {1, 1, 1, 1, 1, 1};
    uint8_t feat[2] = {3, 4};
    struct dune_table t = {.n_rows = 6, .n_cols = 2, .n_classes = 3, .feat = feat, .col = col, .cls = cls,
                           .w = w};
    struct dune_train_cfg cfg = {.n_trees = 3};
    struct dune_answer a[6];
    struct dune_diag d = {0};
    struct dune_forest *f;

    (void)state;
    assert_ok(dune_forest_train(&f, &t, &cfg, &d), d);
    assert_int_equal(dune_tree_n_leaves(&f->tree[2]), 3);
    assert_int_equal(dune_tree_depth(&f->tree[2]), 2);
    assert_int_equal(f->tree[0].node[0].feat, 1);
    assert_int_equal(f->tree[0].node[0].threshold, 5);
    assert_int_equal(f->tree[0].node[2].threshold, 15);
    dune_forest_predict(f, &t, 2, soft);
    assert_memory_equal(soft, cls, sizeof(cls));
    dune_forest_answer(f, &t, 2, 2, a);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(a[i].cls, cls[i]);
        assert_int_equal(a[i].claim, cls[i] != 2);
        assert_int_equal(a[i].conf, cls[i] == 2 ? 0 : 255);
        assert_int_equal(a[i].own, cls[i] == 2 ? DUNE_NO_CLASS : cls[i]);
    }
    dune_forest_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leaf),
        cmocka_unit_test(test_vote),
        cmocka_unit_test(test_vote_random),
        cmocka_unit_test(test_answers),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
