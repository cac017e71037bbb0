/* SPDX-License-Identifier: Apache-2.0 */
/* blocks.json: written, read back, and refused with its place. */
#include "testing.h"

#include <math.h>
#include <unistd.h>

#include "dune/partition.h"

static void test_round_trip(void **state)
{
    static const char w_text[] = "class,z,a,\"q \"\"x\"\"\"\nb,0.6,0.2,0.2\na,0.1,0.3,0.6\nc,0,1,0\nd,1,0,0\n";
    static const char f_text[] = "class,f1\na,1\nb,2\nc,99\nd,98.5\n";
    struct dune_partition_cfg cfg = {.method = DUNE_PART_GREEDY};
    char path[] = "/tmp/dune-blocks-XXXXXX", *one, *two;
    struct dune_importance *w;
    struct dune_scores *f;
    struct dune_blocks *b, *back;
    struct dune_diag d = {0};
    size_t len1, len2;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    assert_ok(dune_importance_parse(&w, "W", w_text, sizeof(w_text) - 1, &d), d);
    assert_ok(dune_scores_parse(&f, "f", f_text, sizeof(f_text) - 1, &d), d);
    assert_ok(dune_partition(&b, w, f, &cfg, &d), d);
    assert_ok(dune_blocks_write(b, path, &d), d);
    assert_ok(dune_blocks_read(&back, path, &d), d);
    dune_blocks_format(b, &one, &len1);
    dune_blocks_format(back, &two, &len2);
    assert_int_equal(len1, len2);
    assert_string_equal(one, two);
    assert_string_equal(back->class_name[0], "b");
    assert_int_equal(back->n_levels, 3);
    dune_mem_free(one);
    dune_mem_free(two);
    dune_blocks_free(b);
    dune_blocks_free(back);
    dune_importance_free(w);
    dune_scores_free(f);
    unlink(path);
}

static int parse(const char *text, struct dune_blocks **b, struct dune_diag *d)
{
    memset(d, 0, sizeof(*d));
    return dune_blocks_parse(b, "blocks.json", text, strlen(text), d);
}

static void test_least_file(void **state)
{
    struct dune_blocks *b;
    struct dune_diag d;

    (void)state;
    assert_ok(parse("{\"blocks\": [{\"classes\": [\"y\", \"x\"]}, {\"classes\": [\"z\"], "
                    "\"features\": [\"p\", \"q\"], \"gain\": null}]}", &b, &d), d);
    assert_string_equal(b->method, "given");
    assert_true(isnan(b->objective) && isnan(b->block[0].gain));
    assert_true(b->gap == -1 && !b->optimal && b->n_levels == 0);
    assert_int_equal(b->n_classes, 3);
    assert_string_equal(b->class_name[0], "y");
    assert_int_equal(b->block[0].n_feats, 0);
    assert_int_equal(b->block[1].n_feats, 2);
    dune_blocks_free(b);
}

static void test_refused(void **state)
{
    static const struct {
        const char *text, *place;
    } bad[] = {
        {"", ""},
        {"[]", ""},
        {"{\"blocks\": 1}", "blocks"},
        {"{\"blocks\": []}", "blocks"},
        {"{\"blocks\": [1]}", "blocks[0]"},
        {"{\"blocks\": [{}]}", "blocks[0].classes"},
        {"{\"blocks\": [{\"classes\": []}]}", "blocks[0].classes"},
        {"{\"blocks\": [{\"classes\": [\"a\", 1]}]}", "blocks[0].classes"},
        {"{\"blocks\": [{\"classes\": [\"\"]}]}", "blocks[0].classes"},
        {"{\"blocks\": [{\"classes\": [\"a\", \"a\"]}]}", "blocks[0].classes"},
        {"{\"blocks\": [{\"classes\": [\"a\"]}, {\"classes\": [\"a\"]}]}", "blocks[1].classes"},
        {"{\"blocks\": [{\"classes\": [\"a\"], \"features\": \"x\"}]}", "blocks[0].features"},
        {"{\"blocks\": [{\"classes\": [\"a\"], \"gain\": \"x\"}]}", "blocks[0].gain"},
        {"{\"method\": 1, \"blocks\": [{\"classes\": [\"a\"]}]}", "method"},
        {"{\"gap\": [], \"blocks\": [{\"classes\": [\"a\"]}]}", "gap"},
        {"{\"levels\": [\"x\"], \"blocks\": [{\"classes\": [\"a\"]}]}", "levels"},
        {"{\"classes\": [\"a\", \"b\"], \"blocks\": [{\"classes\": [\"a\"]}]}", "blocks"},
        {"{\"classes\": [\"a\", \"a\"], \"blocks\": [{\"classes\": [\"a\"]}]}", "classes"},
    };
    struct dune_blocks *b;
    struct dune_diag d;

    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(bad); i++) {
        assert_int_equal(dune_err_exit_code(parse(bad[i].text, &b, &d)), 3);
        assert_null(b);
        assert_string_equal(d.place, bad[i].place);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_round_trip),
    cmocka_unit_test(test_least_file),
    cmocka_unit_test(test_refused),
};
RUN_TESTS(tests)
