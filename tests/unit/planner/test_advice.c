/* SPDX-License-Identifier: Apache-2.0 */
/* A model from elsewhere in the planner: what it tells of every packet, and the partition it suggests. */
#include <unistd.h>

#include "dune/model.h"
#include "planner/planner_int.h"
#include "signal_dataset.h"
#include "testing.h"

enum { N_CLASSES = 6, N_FLOWS = 300 };
#define FOREST_FILE "test_advice.forest.json"

static struct dune_dataset *ds;

static int open_all(void **state)
{
    const struct signal_shape shape = {.classes = N_CLASSES, .captures = 8, .flows = N_FLOWS, .noise = 40, .seed = 5};
    struct dune_train_cfg tc = {.n_trees = 7, .max_depth = 6, .sqrt_features = true, .seed = 2, .threads = 1};
    struct dune_view view = {.n = 3, .mode = DUNE_MODE_RUNNING};
    struct dune_diag d = {0};
    struct dune_forest *f = NULL;
    struct dune_table t;

    (void)state;
    ds = signal_dataset(&shape);
    assert_ok(dune_feature_set_parse("all", 3, &view.features, &d), d);
    assert_ok(dune_table_build(&t, ds, &view, &d), d);
    assert_ok(dune_forest_train(&f, &t, &tc, &d), d);
    dune_forest_set_names(f, (const char *const *)ds->class_name);
    f->n = 3;
    f->mode = DUNE_MODE_RUNNING;
    assert_ok(dune_forest_write(f, FOREST_FILE, &d), d);
    dune_forest_free(f);
    dune_table_fini(&t);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    dune_dataset_free(ds);
    return unlink(FOREST_FILE);
}

static size_t place(uint32_t flow, unsigned packet)
{
    return (size_t)flow * DUNE_TOLD_PACKETS + packet - 1;
}

/* Against the probabilities themselves; flows that were not asked about stay untold. */
static void test_told(void **state)
{
    struct dune_diag d = {0};
    struct dune_told told;
    struct dune_model *m;
    struct dune_table t;
    uint8_t use[N_FLOWS];
    size_t rivals = 0;
    float *p;

    for (uint32_t f = 0; f < N_FLOWS; f++)
        use[f] = f % 3 != 0;
    dune_told_init(&told, ds);
    assert_ok(dune_model_open(&m, FOREST_FILE, NULL, ds, &d), d);
    assert_ok(dune_model_tell(m, ds, use, &told, &d), d);
    assert_ok(dune_model_table(&t, m, ds, NULL, NULL, &d), d);
    p = dune_mem_alloc(t.n_rows * m->n_classes, sizeof(*p));
    assert_ok(dune_model_proba(m, &t, p, &d), d);
    for (size_t r = 0; r < t.n_rows; r++) {
        const float *row = p + r * m->n_classes;
        size_t at = place(t.flow[r], t.pos[r]);
        float most = 0;

        if (!use[t.flow[r]]) {
            assert_int_equal(told.rival[at], DUNE_NO_CLASS);
            continue;
        }
        for (uint32_t c = 0; c < m->n_classes; c++)
            if (c != t.cls[r] && row[c] > most)
                most = row[c];
        if (most > 0) {
            assert_true(told.rival[at] != t.cls[r] && row[told.rival[at]] >= most);
            assert_true(told.share[at] == most / (most + row[t.cls[r]]));
            rivals++;
        } else {
            assert_int_equal(told.rival[at], DUNE_NO_CLASS);
        }
        if (t.pos[r] == 3) { /* what it said there holds for later packets */
            assert_int_equal(told.rival[place(t.flow[r], 4)], told.rival[at]);
            assert_true(told.share[place(t.flow[r], 15)] == told.share[at]);
        }
    }
    assert_true(rivals > t.n_rows / 10);
    dune_mem_free(p);
    dune_table_fini(&t);
    dune_model_free(m);
    dune_told_fini(&told);
    (void)state;
}

/* Every class is in one block; soft labels are the model's; without a model they cannot be asked for. */
static void test_search(void **state)
{
    struct dune_planner_cfg cfg = {.budget = {20, 4}, .devices = 3, .effort = DUNE_EFFORT_QUICK, .seed = 1, .threads = 1,
                                   .model = FOREST_FILE, .distil = DUNE_DISTIL_MODEL};
    struct dune_fit_cfg fit = {.n = 2, .mode = DUNE_MODE_PUBLISHED, .distil = 1};
    const struct dune_soft *soft;
    const struct dune_table *t;
    struct dune_search s;
    struct dune_diag d = {0};
    size_t rivals = 0;

    assert_ok(dune_search_open(&s, &cfg, ds, 4, &d), d);
    for (unsigned k = 2; k <= 3; k++) {
        struct dune_class_set block[DUNE_MAX_BLOCKS];

        assert_ok(dune_advice_partition(&s, k, block, &d), d);
        for (unsigned c = 0; c < N_CLASSES; c++) {
            unsigned n = 0;

            for (unsigned b = 0; b < k; b++)
                n += dune_class_set_has(&block[b], c);
            assert_int_equal(n, 1);
        }
    }
    assert_ok(dune_cv_prepare_soft(s.cv, s.space, &fit, &d), d);
    soft = dune_cv_soft(s.cv, &fit, 0);
    t = &s.space->view[2][DUNE_MODE_PUBLISHED]->table;
    for (size_t r = 0; r < t->n_rows; r++) {
        assert_int_equal(soft->rival[r], dune_advice_told(s.advice)->rival[place(t->flow[r], t->pos[r])]);
        rivals += soft->rival[r] != DUNE_NO_CLASS;
    }
    assert_true(rivals > 50);
    dune_search_close(&s);
    cfg.model = NULL;
    assert_int_equal(dune_search_open(&s, &cfg, ds, 4, &d), DUNE_E_USAGE);
    assert_non_null(strstr(d.msg, "--model"));
    dune_search_close(&s);
    (void)state;
}

static void test_names(void **state)
{
    (void)state;
    assert_int_equal(dune_distil_find("auto"), DUNE_DISTIL_AUTO);
    assert_int_equal(dune_distil_find("off"), DUNE_DISTIL_OFF);
    assert_int_equal(dune_distil_find("model"), DUNE_DISTIL_MODEL);
    assert_int_equal(dune_distil_find("always"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_told),
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_names),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, open_all, close_all);
}
