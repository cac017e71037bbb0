/* SPDX-License-Identifier: Apache-2.0 */
/* The search against fits of its points one by one, and its resumption. */
#include "testing.h"

#include "../features/random_dataset.h"
#include "dune/forest_search.h"

#include <unistd.h>

static struct dune_dataset *dataset(void)
{
    return random_dataset((struct random_shape){.classes = 3, .captures = 5, .max_n = 4, .flows = 300,
                                                .max_len = 9, .seed = 1, .test_percent = 20});
}

static struct dune_search_cfg config(const char *csv)
{
    struct dune_search_cfg cfg = {.level = DUNE_SEARCH_DEFAULT, .csv = csv};

    cfg.base = (struct dune_model_spec){.n = 3, .mode = DUNE_MODE_RUNNING,
                                        .train = {.sqrt_features = true, .seed = 5, .threads = 2}};
    for (int f = 0; f < DUNE_N_FEATURES; f++)
        if (!dune_catalog[f].kth && f % 3)
            cfg.base.features |= UINT64_C(1) << f;
    return cfg;
}

/* Every point of the search is what a fit with these settings gets on validation. */
static void test_points(void **state)
{
    struct dune_dataset *ds = dataset();
    struct dune_search_cfg cfg = config(NULL);
    struct dune_search_point best, *top = DUNE_NEW_N(struct dune_search_point, 5000);
    uint8_t *part = DUNE_NEW_N(uint8_t, ds->n_flows), *train = DUNE_NEW_N(uint8_t, ds->n_flows);
    uint32_t n_top = 5000;
    struct dune_diag d = {0};

    (void)state;
    dune_validation_make(ds, part);
    for (uint64_t f = 0; f < ds->n_flows; f++) {
        train[f] = part[f] == 0;
        part[f] = part[f] == 1;
    }
    assert_ok(dune_forest_search(&best, top, &n_top, ds, &cfg, &d), d);
    assert_true(n_top > 500 && best.f1 == top[0].f1);
    for (uint32_t i = 0; i < n_top; i += i < 5 ? 1 : 97) {
        struct dune_model_spec spec = cfg.base;
        struct dune_forest *f;
        double f1;

        spec.n = top[i].n;
        spec.features = top[i].features;
        spec.train.max_depth = top[i].depth;
        spec.train.n_trees = top[i].n_trees;
        assert_ok(dune_model_fit(&f, ds, &spec, train, &d), d);
        assert_ok(dune_model_score(&f1, f, ds, part, 1, &d), d);
        assert_true(f1 == top[i].f1);
        assert_true(!i || top[i].f1 <= top[i - 1].f1);
        dune_forest_free(f);
    }
    dune_mem_free(top);
    dune_mem_free(part);
    dune_mem_free(train);
    dune_dataset_free(ds);
}

static void test_resume(void **state)
{
    struct dune_dataset *ds = dataset();
    char path[] = "/tmp/dune-search-XXXXXX", *text[2];
    struct dune_search_cfg cfg = config(path);
    struct dune_search_point best[3];
    struct dune_diag d = {0};
    size_t len[2];

    (void)state;
    close(mkstemp(path));
    assert_ok(dune_forest_search(&best[0], NULL, NULL, ds, &cfg, &d), d);
    assert_ok(dune_file_read(path, &text[0], &len[0], &d), d);
    assert_ok(dune_file_write(path, text[0], len[0] / 2, &d), d); /* ends inside a line */
    assert_ok(dune_forest_search(&best[1], NULL, NULL, ds, &cfg, &d), d);
    assert_ok(dune_file_read(path, &text[1], &len[1], &d), d);
    assert_memory_equal(&best[0], &best[1], sizeof(best[0]));
    assert_string_equal(text[0], text[1]);
    /* Another seed is another search: nothing of the file is believed. */
    cfg.base.train.seed = 6;
    assert_ok(dune_forest_search(&best[2], NULL, NULL, ds, &cfg, &d), d);
    dune_mem_free(text[1]);
    assert_ok(dune_file_read(path, &text[1], &len[1], &d), d);
    assert_string_not_equal(text[0], text[1]);
    unlink(path);
    dune_mem_free(text[0]);
    dune_mem_free(text[1]);
    dune_dataset_free(ds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_points),
        cmocka_unit_test(test_resume),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
