/* SPDX-License-Identifier: Apache-2.0 */
/* forest.json: what is written reads back the same; what is wrong is named by its JSON path. */
#include "forest_random.h"

#include <unistd.h>

static void test_round_trip(void **state)
{
    static const char *const name[9] = {"a", "b \"quoted\"", "Other", "\xc3\xa4", "e", "f", "g", "h", "i"};
    char path[] = "/tmp/dune-forest-XXXXXX", *text[2];
    size_t len[2];
    struct dune_rng r;
    struct dune_diag d = {0};

    (void)state;
    close(mkstemp(path));
    dune_rng_init(&r, 1, 0, 0, 0);
    for (int k = 0; k < 100; k++) {
        struct dune_table t;
        struct dune_train_cfg cfg;
        struct dune_forest *a, *b;

        random_table(&t, &r, 300, 7, 9, DUNE_WEIGHT_ONE);
        random_cfg(&cfg, &r, DUNE_WEIGHT_ONE);
        assert_ok(dune_forest_train(&a, &t, &cfg, &d), d);
        dune_forest_set_names(a, name);
        a->n = 3;
        a->mode = (enum dune_mode)(k % DUNE_N_MODES);
        a->recipe = (struct dune_forest_recipe){.known = k % 3 > 0, .rows = "0123456789abcdef0123456789abcdef",
                                                .balance = k / 32.0, .train = cfg};
        assert_ok(dune_forest_write(a, path, &d), d);
        assert_ok(dune_file_read(path, &text[0], &len[0], &d), d);
        assert_ok(dune_forest_read(&b, path, &d), d);
        assert_same_forests(a, b);
        assert_int_equal(b->n, 3);
        assert_int_equal(b->mode, a->mode);
        assert_int_equal(b->recipe.known, a->recipe.known);
        if (a->recipe.known) {
            assert_string_equal(b->recipe.rows, a->recipe.rows);
            assert_true(b->recipe.balance == a->recipe.balance && b->recipe.train.seed == cfg.seed);
            assert_int_equal(b->recipe.train.max_leaves, cfg.max_leaves);
            assert_int_equal(b->recipe.train.sqrt_features, cfg.sqrt_features);
        }
        for (uint32_t c = 0; c < a->n_classes; c++)
            assert_string_equal(b->class_name[c], name[c]);
        assert_ok(dune_forest_write(b, path, &d), d);
        assert_ok(dune_file_read(path, &text[1], &len[1], &d), d);
        assert_string_equal(text[0], text[1]);
        dune_mem_free(text[0]);
        dune_mem_free(text[1]);
        dune_forest_free(a);
        dune_forest_free(b);
        free_table(&t);
    }
    unlink(path);
}

#define HEAD "{\"format\":\"dune-forest\",\"version\":1,\"n\":3,\"phase\":\"running\","
#define NAMES "\"features\":[\"ip.len\",\"ip.ttl\"],\"classes\":[\"a\",\"b\"],"

#define TRAINED(balance, seed)                                                                                  \
    "\"trained\":{\"rows\":\"0123456789abcdef0123456789abcdef\",\"trees\":1,\"leaves\":0,\"depth\":3,"                 \
    "\"min_leaf_weight\":0,\"sqrt\":true,\"bootstrap\":false,\"balance\":" balance ",\"seed\":" seed "},"

static const struct {
    const char *text, *place, *msg;
    int code;
} bad[] = {
    {"{", "", "bad JSON", DUNE_E_FORMAT},
    {"[]", "$", "not a forest", DUNE_E_INPUT},
    {"{\"format\":\"dune-plan\"}", "$", "not a forest", DUNE_E_INPUT},
    {"{\"format\":\"dune-forest\",\"version\":2}", "$.version", "version 2", DUNE_E_VERSION},
    {HEAD "\"more\":1," NAMES "\"trees\":[]}", "$.more", "unknown key", DUNE_E_INPUT},
    {HEAD NAMES "\"trees\":[]}", "$.trees", "list of 1", DUNE_E_INPUT},
    {HEAD "\"trained\":{}," NAMES "\"trees\":[]}", "$.trained", "expected rows", DUNE_E_INPUT},
    {HEAD TRAINED("1", "\"x1\"") NAMES "\"trees\":[]}", "$.trained", "seed", DUNE_E_INPUT},
    {HEAD TRAINED("9", "\"1\"") NAMES "\"trees\":[]}", "$.trained", "balance", DUNE_E_INPUT},
    {HEAD TRAINED("0.5", "\"1\"") NAMES "\"trees\":[]}", "$.trees", "list of 1", DUNE_E_INPUT},
    {HEAD "\"features\":[\"nope\"]}", "$.features[0]", "nope", DUNE_E_INPUT},
    {HEAD "\"features\":[\"ip.ttl\",\"ttl\"]}", "$.features[1]", "twice", DUNE_E_INPUT},
    {HEAD "\"features\":[\"ip.ttl\"],\"classes\":[\"a\",\"a\"]}", "$.classes[1]", "twice", DUNE_E_INPUT},
    {HEAD NAMES "\"trees\":[{\"nodes\":[[],[]],\"leaves\":[]}]}", "$.trees[0].nodes", "odd", DUNE_E_INPUT},
    {HEAD NAMES "\"trees\":[{\"nodes\":[[0,1,2],[],[]],\"leaves\":[]}]}", "$.trees[0].nodes[0]", "left child",
     DUNE_E_INPUT},
    {HEAD NAMES "\"trees\":[{\"nodes\":[[2,1,1],[],[]],\"leaves\":[]}]}", "$.trees[0].nodes[0]",
     "feature index from 0 to 1", DUNE_E_INPUT},
    {HEAD NAMES "\"trees\":[{\"nodes\":[[0,-1,1],[],[]],\"leaves\":[]}]}", "$.trees[0].nodes[0]",
     "threshold", DUNE_E_INPUT},
    {HEAD NAMES "\"trees\":[{\"nodes\":[[],[],[]],\"leaves\":[]}]}", "$.trees[0].nodes[1]", "no earlier",
     DUNE_E_INPUT},
    {HEAD NAMES "\"trees\":[{\"nodes\":[[0,1,1],[1,1,3],[1,1,3],[],[]],\"leaves\":[]}]}",
     "$.trees[0].nodes[2]", "already a child", DUNE_E_INPUT},
    {HEAD NAMES "\"trees\":[{\"nodes\":[[]],\"leaves\":[]}]}", "$.trees[0].leaves", "1 leaves", DUNE_E_INPUT},
    {HEAD NAMES "\"trees\":[{\"nodes\":[[]],\"leaves\":[[0]]}]}", "$.trees[0].leaves[0]", "pairs", DUNE_E_INPUT},
    {HEAD NAMES "\"trees\":[{\"nodes\":[[]],\"leaves\":[[1,5,0,5]]}]}", "$.trees[0].leaves[0]", "ascending",
     DUNE_E_INPUT},
    {HEAD NAMES "\"trees\":[{\"nodes\":[[]],\"leaves\":[[0,0]]}]}", "$.trees[0].leaves[0]", "at least 1",
     DUNE_E_INPUT},
    {HEAD NAMES "\"trees\":[{\"nodes\":[[]],\"leaves\":[[0,1152921504606846976,1,1]]}]}",
     "$.trees[0].leaves[0]", "2^60", DUNE_E_INPUT},
};

static void test_bad_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(bad); i++) {
        struct dune_diag d = {0};
        struct dune_forest *f;

        assert_int_equal(dune_forest_parse(&f, "x.json", bad[i].text, strlen(bad[i].text), &d), bad[i].code);
        assert_null(f);
        assert_string_equal(d.place, bad[i].place);
        assert_non_null(strstr(d.msg, bad[i].msg));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_bad_files),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
