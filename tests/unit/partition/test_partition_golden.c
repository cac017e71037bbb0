/* SPDX-License-Identifier: Apache-2.0 */
/* The published cases of expected.json: greedy, ilp and the exact optimum of the same objective. */
#include "testing.h"

#include <jansson.h>
#include <math.h>

#include "dune/partition.h"

enum { MAX_NAMES = 64 };

struct data {
    json_t *expected;
    struct dune_importance *w;
    struct dune_scores *f;
};

static bool load(struct data *x, bool unsw)
{
    const char *e = shared_data("published/expected.json");
    const char *w = shared_data(unsw ? "published/unsw-w-f-spp/importance_weights.csv"
                                     : "published/ton10-w-f-spp/importance_weights_ToN-IoT.csv");
    const char *f = shared_data(unsw ? "published/unsw-w-f-spp/score_per_class.csv"
                                     : "published/ton10-w-f-spp/ToN-IoT_score_per_class.csv");
    struct dune_diag d = {0};

    if (!e || !w || !f)
        return false;
    x->expected = json_load_file(e, 0, NULL);
    assert_non_null(x->expected);
    assert_ok(dune_importance_read(&x->w, w, &d), d);
    assert_ok(dune_scores_read(&x->f, f, &d), d);
    return true;
}

static void unload(struct data *x)
{
    json_decref(x->expected);
    dune_importance_free(x->w);
    dune_scores_free(x->f);
}

static uint32_t names_of(const json_t *list, const char **names)
{
    json_t *item;
    size_t i;

    assert_true(json_array_size(list) <= MAX_NAMES);
    json_array_foreach (list, i, item)
        names[i] = json_string_value(item);
    return (uint32_t)json_array_size(list);
}

static struct dune_blocks *solve(const struct data *x, const json_t *classes, enum dune_partition_method method)
{
    const char *names[MAX_NAMES];
    struct dune_partition_cfg cfg = {.method = method, .classes = names};
    struct dune_blocks *b;
    struct dune_diag d = {0};

    cfg.n_classes = names_of(classes, names);
    assert_ok(dune_partition(&b, x->w, x->f, &cfg, &d), d);
    return b;
}

static bool in_list(const json_t *list, const char *name)
{
    json_t *item;
    size_t i;

    json_array_foreach (list, i, item)
        if (strcmp(json_string_value(item), name) == 0)
            return true;
    return false;
}

/* Block and list have the same members. */
static bool same(const json_t *list, char *const *names, const uint32_t *ids, uint32_t n)
{
    if (json_array_size(list) != n)
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!in_list(list, names[ids[i]]))
            return false;
    return true;
}

static void check_blocks(const struct dune_blocks *b, const json_t *blocks)
{
    json_t *want;
    size_t i;

    assert_int_equal(b->n_blocks, json_array_size(blocks));
    json_array_foreach (blocks, i, want) {
        const json_t *classes = json_is_array(want) ? want : json_object_get(want, "classes");
        const struct dune_block *found = NULL;

        for (uint32_t q = 0; q < b->n_blocks; q++)
            if (same(classes, b->class_name, b->block[q].cls, b->block[q].n_classes))
                found = &b->block[q];
        assert_non_null(found);
        if (json_is_array(want))
            continue;
        assert_true(same(json_object_get(want, "features"), b->feat_name, found->feat, found->n_feats));
        if (json_object_get(want, "gain"))
            assert_true(fabs(found->gain - json_real_value(json_object_get(want, "gain"))) < 1e-12);
    }
}

static void check_greedy(const char *key, bool unsw)
{
    struct data x;
    struct dune_blocks *b;
    json_t *want, *levels;

    if (!load(&x, unsw))
        skip();
    want = json_object_get(x.expected, key);
    b = solve(&x, json_object_get(want, "classes"), DUNE_PART_GREEDY);
    assert_int_equal(b->n_feats, json_integer_value(json_object_get(want, "n_features")));
    assert_true(fabs(b->objective - json_real_value(json_object_get(want, "total_gain"))) < 1e-12);
    levels = json_object_get(want, "levels");
    assert_int_equal(b->n_levels, json_array_size(levels));
    for (uint32_t i = 0; i < b->n_levels; i++)
        assert_true(fabs(b->level[i] - json_real_value(json_array_get(levels, i))) < 1e-11);
    assert_int_equal(b->n_blocks, b->n_classes - 1 - json_integer_value(json_object_get(want, "best_level_index")));
    check_blocks(b, json_object_get(want, "blocks"));
    dune_blocks_free(b);
    unload(&x);
}

static void test_greedy_ton10(void **state)
{
    (void)state;
    check_greedy("greedy_ton10", false);
}

static void test_greedy_ton7(void **state)
{
    (void)state;
    check_greedy("greedy_ton7", false);
}

static void test_greedy_unsw24(void **state)
{
    (void)state;
    check_greedy("greedy_unsw24", true);
}

static void test_greedy_unsw20(void **state)
{
    (void)state;
    check_greedy("greedy_unsw20", true);
}

static double total_of(const struct data *x, const struct dune_blocks *b)
{
    struct dune_importance w = {.n_classes = b->n_classes, .n_feats = x->w->n_feats};
    uint32_t block_of[MAX_NAMES];
    double total;

    w.class_name = b->class_name;
    w.feat_name = x->w->feat_name;
    w.w = DUNE_NEW_N(double, (size_t)w.n_classes * w.n_feats);
    for (uint32_t i = 0; i < w.n_classes; i++)
        for (uint32_t c = 0; c < x->w->n_classes; c++)
            if (strcmp(x->w->class_name[c], b->class_name[i]) == 0)
                memcpy(w.w + (size_t)i * w.n_feats, x->w->w + (size_t)c * w.n_feats,
                       w.n_feats * sizeof(double));
    for (uint32_t q = 0; q < b->n_blocks; q++)
        for (uint32_t i = 0; i < b->block[q].n_classes; i++)
            block_of[b->block[q].cls[i]] = q;
    total = dune_partition_total(&w, x->f, block_of, b->n_blocks);
    dune_mem_free(w.w);
    return total;
}

static void check_ilp(const char *key, const char *greedy, bool unsw)
{
    struct data x;
    struct dune_blocks *b;
    json_t *want, *sibling;

    if (!load(&x, unsw))
        skip();
    want = json_object_get(x.expected, key);
    sibling = json_object_get(x.expected, greedy);
    b = solve(&x, json_object_get(sibling, "classes"), DUNE_PART_ILP);
    assert_true(fabs(b->objective / json_real_value(json_object_get(want, "value")) - 1) < 1e-12);
    assert_true(b->optimal && b->gap == 0);
    check_blocks(b, json_object_get(want, "blocks"));
    assert_true(fabs(total_of(&x, b) - json_real_value(json_object_get(sibling,
                     "published_ilp_partition_scored_with_this_objective"))) < 1e-12);
    dune_blocks_free(b);
    unload(&x);
}

static void test_ilp_ton10(void **state)
{
    (void)state;
    check_ilp("ilp_c4_ton10", "greedy_ton10", false);
}

static void test_ilp_unsw20(void **state)
{
    (void)state;
    check_ilp("ilp_c4_unsw20", "greedy_unsw20", true);
}

static void check_exact(const char *greedy, bool unsw, double eps)
{
    struct data x;
    struct dune_blocks *b;
    json_t *sibling, *want;

    if (!load(&x, unsw))
        skip();
    sibling = json_object_get(x.expected, greedy);
    want = json_object_get(sibling, "exact_optimum_same_objective");
    b = solve(&x, json_object_get(sibling, "classes"), DUNE_PART_EXACT);
    assert_true(fabs(b->objective - json_real_value(json_object_get(want, "total_gain"))) < eps);
    assert_true(fabs(b->objective - total_of(&x, b)) < 1e-12);
    assert_true(b->optimal && b->gap == 0);
    if (json_object_get(want, "blocks"))
        check_blocks(b, json_object_get(want, "blocks"));
    else
        assert_int_equal(b->n_blocks, json_integer_value(json_object_get(want, "n_blocks")));
    dune_blocks_free(b);
    unload(&x);
}

static void test_exact_ton10(void **state)
{
    (void)state;
    check_exact("greedy_ton10", false, 1e-12);
}

static void test_exact_unsw20(void **state)
{
    (void)state;
    check_exact("greedy_unsw20", true, 5e-9);
}

static void test_threads_change_nothing(void **state)
{
    const char *names[MAX_NAMES];
    struct data x;
    struct dune_partition_cfg cfg = {.classes = names, .n_classes = 15};
    char *first = NULL;

    (void)state;
    if (!load(&x, true))
        skip();
    for (uint32_t i = 0; i < cfg.n_classes; i++)
        names[i] = x.w->class_name[i];
    for (cfg.method = DUNE_PART_EXACT; cfg.method <= DUNE_PART_ILP; cfg.method++) {
        for (cfg.threads = 1; cfg.threads <= 3; cfg.threads++) {
            struct dune_blocks *b;
            struct dune_diag d = {0};
            char *text;
            size_t len;

            assert_ok(dune_partition(&b, x.w, x.f, &cfg, &d), d);
            dune_blocks_format(b, &text, &len);
            dune_blocks_free(b);
            if (cfg.threads == 1) {
                first = text;
                continue;
            }
            assert_string_equal(text, first);
            dune_mem_free(text);
        }
        dune_mem_free(first);
    }
    unload(&x);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_greedy_ton10),  cmocka_unit_test(test_greedy_ton7),
    cmocka_unit_test(test_greedy_unsw24), cmocka_unit_test(test_greedy_unsw20),
    cmocka_unit_test(test_ilp_ton10),     cmocka_unit_test(test_ilp_unsw20),
    cmocka_unit_test(test_exact_ton10),   cmocka_unit_test(test_exact_unsw20),
    cmocka_unit_test(test_threads_change_nothing),
};
RUN_TESTS(tests)
