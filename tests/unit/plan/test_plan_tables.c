/* SPDX-License-Identifier: Apache-2.0 */
/* Tables from trees answer like the trees: exhaustively, on boundaries, at random. */
#include "random_forest.h"

static void check_point(const struct dune_submodel *sm, const struct dune_forest *f,
                        uint32_t max_leaves, const uint8_t *to_plan, const uint32_t *x)
{
    struct dune_sub_answer want = naive_answer(f, sm->n_trees, max_leaves, to_plan, x);

    assert_same_answer(dune_submodel_lookup(sm, x), want);
    assert_same_answer(dune_submodel_walk(sm, x), want);
}

/* 1, 1, 4 and 4 bits: all 1024 inputs. */
static void exhaustive(void **state)
{
    static const uint8_t feat[] = {DUNE_F_TCP_HDR_LEN, DUNE_F_TCP_SYN, DUNE_F_IP_HDR_LEN,
                                   DUNE_F_TCP_ACK};
    static const uint32_t trees[] = {1, 2, 3, 5, 8};
    uint8_t to_plan[4];

    (void)state;
    other_last(to_plan, 4, 7);
    for (uint32_t k = 0; k < 60; k++) {
        struct forest_shape s = {trees[k % 5], 1 + k % 23, 4, 4, feat, k % 2 ? 300 : 0};
        struct dune_submodel sm = {0};
        struct dune_forest f;
        struct dune_rng r;
        struct dune_diag d = {0};
        uint32_t x[DUNE_N_FEATURES] = {0};

        dune_rng_init(&r, 11, k, 0, 0);
        random_forest(&r, &f, &s);
        assert_ok(dune_submodel_from_forest(&sm, &f, s.trees, 0, to_plan, &d), d);
        for (uint32_t i = 0; i < 1024; i++) {
            x[DUNE_F_TCP_HDR_LEN] = i & 15;
            x[DUNE_F_IP_HDR_LEN] = i >> 4 & 15;
            x[DUNE_F_TCP_SYN] = i >> 8 & 1;
            x[DUNE_F_TCP_ACK] = i >> 9;
            check_point(&sm, &f, 0, to_plan, x);
        }
        dune_submodel_fini(&sm);
        random_forest_fini(&f);
    }
}

static uint32_t near_threshold(struct dune_rng *r, const struct dune_plan_feature *pf)
{
    const struct dune_range_row *row = &pf->row[dune_rng_below(r, pf->n_rows)];

    return dune_rng_below(r, 2) ? row->lo : row->hi;
}

static void boundaries_and_random(void **state)
{
    static const uint8_t feat[] = {DUNE_F_GAP_MAX, DUNE_F_IP_LEN,    DUNE_F_TCP_SYN,
                                   DUNE_F_IP_TTL,  DUNE_F_LEN_TOTAL, DUNE_F_ACK_COUNT};
    uint8_t to_plan[6];

    (void)state;
    other_last(to_plan, 6, 1);
    for (uint32_t k = 0; k < 12; k++) {
        struct forest_shape s = {1 + k % 5, 20 + 30 * k, 6, 6, feat, 50};
        uint32_t max_leaves = k % 3 ? 0 : 10 + k, trees = 1 + k % 3 % s.trees;
        struct dune_submodel sm = {0};
        struct dune_forest f;
        struct dune_rng r;
        struct dune_diag d = {0};
        uint32_t x[DUNE_N_FEATURES] = {0};

        dune_rng_init(&r, 12, k, 0, 0);
        random_forest(&r, &f, &s);
        assert_ok(dune_submodel_from_forest(&sm, &f, trees, max_leaves, to_plan, &d), d);
        for (uint32_t t = 0; max_leaves && t < trees; t++)
            assert_true(sm.tree[t].n_leaves <= max_leaves);
        for (uint32_t i = 0; i < 2000; i++) {
            for (uint32_t j = 0; j < 6; j++)
                x[feat[j]] = (uint32_t)dune_rng_below(&r, (uint64_t)dune_feature_max(feat[j]) + 1);
            for (uint32_t j = 0; j < sm.n_feats; j++)
                if (i % 3 || dune_rng_below(&r, 2))
                    x[sm.feat[j].feat] = near_threshold(&r, &sm.feat[j]);
            check_point(&sm, &f, max_leaves, to_plan, x);
        }
        dune_submodel_fini(&sm);
        random_forest_fini(&f);
    }
}

static void only_used_features(void **state)
{
    static const uint8_t feat[] = {DUNE_F_IP_TTL, DUNE_F_IP_LEN, DUNE_F_DSTPORT};
    struct dune_node node[] = {
        {1, 100, 1, 2, UINT32_MAX}, {-1, 0, 0, 0, 0}, {1, 100, 3, 4, 0}, {-1, 0, 0, 0, 2},
        {0, 64, 5, 6, 2},           {-1, 0, 0, 0, 4}, {-1, 0, 0, 0, 4}};
    uint64_t hist[7 * 2] = {0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, 3, 2, 2};
    struct dune_tree tree = {7, node, hist};
    struct dune_forest f = {
        .n_trees = 1, .n_feats = 3, .n_classes = 2, .feat = (uint8_t *)feat, .tree = &tree};
    const uint8_t to_plan[] = {9, DUNE_PLAN_OTHER};
    struct dune_submodel sm = {0};
    struct dune_diag d = {0};

    (void)state;
    assert_ok(dune_submodel_from_forest(&sm, &f, 1, 0, to_plan, &d), d);
    assert_int_equal(sm.n_feats, 2);
    assert_int_equal(sm.feat[0].feat, DUNE_F_IP_LEN); /* by catalog id */
    assert_int_equal(sm.feat[1].feat, DUNE_F_IP_TTL);
    assert_int_equal(sm.tree[0].n_leaves, 3); /* node 3 cannot be reached */
    assert_int_equal(sm.tree[0].key_bits, 2);
    assert_memory_equal(sm.tree[0].match, "0*1011", 6);
    assert_int_equal(sm.tree[0].leaf[0].cls, 9);
    assert_int_equal(sm.tree[0].leaf[0].conf, 255);
    assert_int_equal(sm.tree[0].leaf[1].cls, DUNE_PLAN_OTHER);
    assert_int_equal(sm.tree[0].leaf[1].own, 0);
    assert_int_equal(sm.tree[0].leaf[2].cls, 9); /* on a tie Other comes last */
    assert_int_equal(sm.tree[0].leaf[2].conf, 127);
    dune_submodel_fini(&sm);
}

static void merged_classes(void **state)
{
    struct dune_node node = {-1, 0, 0, 0, UINT32_MAX};
    uint64_t hist[4] = {3, 2, 2, 2};
    struct dune_tree tree = {1, &node, hist};
    struct dune_forest f = {.n_trees = 1, .n_classes = 4, .tree = &tree};
    const uint8_t to_plan[] = {5, DUNE_PLAN_OTHER, 6, DUNE_PLAN_OTHER};
    struct dune_submodel sm = {0};
    struct dune_diag d = {0};
    uint32_t x[DUNE_N_FEATURES] = {0};
    struct dune_sub_answer a;

    (void)state;
    assert_ok(dune_submodel_from_forest(&sm, &f, 1, 0, to_plan, &d), d);
    assert_int_equal(sm.n_feats, 0);
    a = dune_submodel_lookup(&sm, x);
    assert_false(a.claim);
    assert_int_equal(a.cls, 5);
    assert_int_equal(a.conf, 3 * 255 / 9);
    dune_submodel_fini(&sm);
}

static void refusals(void **state)
{
    struct dune_node node[3] = {{0, 5, 1, 1, UINT32_MAX}, {-1, 0, 0, 0, 0}, {-1, 0, 0, 0, 0}};
    uint64_t hist[6] = {1, 1, 1, 1, 1, 1};
    uint8_t feat[2] = {DUNE_F_IP_LEN, DUNE_F_IP_LEN};
    struct dune_tree tree = {3, node, hist};
    struct dune_forest f = {
        .n_trees = 1, .n_feats = 1, .n_classes = 2, .feat = feat, .tree = &tree};
    uint8_t to_plan[2] = {1, DUNE_PLAN_OTHER};
    struct dune_submodel sm = {0};
    struct dune_diag d = {0};

    (void)state;
    assert_int_equal(dune_submodel_from_forest(&sm, &f, 2, 0, to_plan, &d), DUNE_E_USAGE);
    node[0].right = 0; /* a loop */
    assert_int_equal(dune_submodel_from_forest(&sm, &f, 1, 0, to_plan, NULL), DUNE_E_INPUT);
    node[0].right = 2;
    f.n_feats = 2;
    assert_int_equal(dune_submodel_from_forest(&sm, &f, 1, 0, to_plan, NULL), DUNE_E_INPUT);
    f.n_feats = 1;
    to_plan[0] = 0;
    assert_int_equal(dune_submodel_from_forest(&sm, &f, 1, 0, to_plan, NULL), DUNE_E_USAGE);
    dune_submodel_fini(&sm);
}

static void votes(void **state)
{
    struct dune_rng r;

    (void)state;
    dune_rng_init(&r, 13, 0, 0, 0);
    for (uint32_t k = 0; k < 20000; k++) {
        uint32_t n = 1 + (uint32_t)dune_rng_below(&r, 7);
        struct dune_plan_leaf leaf[8];
        const struct dune_plan_leaf *ptr[8];
        uint8_t cls[8], conf[8], own[8], own_conf[8];
        struct dune_sub_answer want;

        for (uint32_t t = 0; t < n; t++) {
            bool other = dune_rng_below(&r, 2);
            uint8_t c = (uint8_t)(1 + dune_rng_below(&r, 4));

            leaf[t].cls = other ? DUNE_PLAN_OTHER : c;
            leaf[t].own = other && dune_rng_below(&r, 4) == 0 ? 0 : c;
            leaf[t].conf = (uint8_t)dune_rng_below(&r, 255 / n + 1);
            leaf[t].own_conf = leaf[t].own ? (uint8_t)dune_rng_below(&r, 255 / n + 1) : 0;
            ptr[t] = &leaf[t];
            cls[t] = leaf[t].cls;
            conf[t] = leaf[t].conf;
            own[t] = other ? leaf[t].own : 0;
            own_conf[t] = leaf[t].own_conf;
        }
        want.cls = naive_vote(cls, conf, n, &want.conf);
        want.claim = want.cls != DUNE_PLAN_OTHER;
        if (!want.claim)
            want.cls = naive_vote(own, own_conf, n, &want.conf);
        assert_same_answer(dune_plan_vote(ptr, n), want);
    }
}

/* The forest stage's vote, on leaves in its own terms: class 4 is Other. */
static void votes_of_the_forest_stage(void **state)
{
    struct dune_rng r;

    (void)state;
    dune_rng_init(&r, 14, 0, 0, 0);
    for (uint32_t k = 0; k < 20000; k++) {
        uint32_t n = 1 + (uint32_t)dune_rng_below(&r, 7);
        struct dune_plan_leaf pl[8];
        struct dune_leaf fl[8];
        const struct dune_plan_leaf *pp[8];
        const struct dune_leaf *fp[8];
        struct dune_sub_answer a;
        struct dune_answer b;

        for (uint32_t t = 0; t < n; t++) {
            bool other = dune_rng_below(&r, 2), none = other && dune_rng_below(&r, 4) == 0;
            uint16_t c = (uint16_t)dune_rng_below(&r, 4);

            fl[t] = (struct dune_leaf){other ? 4 : c, none ? DUNE_NO_CLASS : c,
                                       (uint8_t)dune_rng_below(&r, 255 / n + 1),
                                       none ? 0 : (uint8_t)dune_rng_below(&r, 255 / n + 1)};
            pl[t] = (struct dune_plan_leaf){other ? DUNE_PLAN_OTHER : (uint8_t)(c + 1), fl[t].conf,
                                            none ? 0 : (uint8_t)(c + 1), fl[t].own_conf};
            pp[t] = &pl[t];
            fp[t] = &fl[t];
        }
        a = dune_plan_vote(pp, n);
        b = dune_vote(fp, n, 4);
        assert_int_equal(a.claim, b.claim);
        assert_int_equal(a.cls, b.own == DUNE_NO_CLASS ? 0 : b.own + 1);
        assert_int_equal(a.conf, b.own == DUNE_NO_CLASS ? 0 : b.conf);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(exhaustive),
    cmocka_unit_test(boundaries_and_random),
    cmocka_unit_test(only_used_features),
    cmocka_unit_test(merged_classes),
    cmocka_unit_test(refusals),
    cmocka_unit_test(votes),
    cmocka_unit_test(votes_of_the_forest_stage),
};

RUN_TESTS(tests)
