/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trees of scikit-learn and XGBoost: thresholds against the comparison of floats they stand for, imported
 * models against a walk over the numbers of the file, files that are refused.
 */
#include "testing.h"

#include <math.h>
#include <unistd.h>

#include "dune/model.h"

enum { ROWS = 400, NODES = 31, CLASSES = 3, TREES = 4 };
static struct dune_diag diag;

/* --- thresholds -------------------------------------------------------------------------------------------- */

/* A value near an edge of the feature, a power of two (where floats get coarse) or anywhere. */
static uint32_t some_value(struct dune_rng *rng, int feat)
{
    uint32_t max = dune_feature_max(feat), v = (uint32_t)dune_rng_u64(rng);

    switch (dune_rng_below(rng, 4)) {
    case 0:
        return v % 5 > max ? max : v % 5;
    case 1:
        return max - v % 3 % (max + (max == 0));
    case 2:
        v = (uint32_t)1 << dune_rng_below(rng, 32);
        v += (uint32_t)dune_rng_below(rng, 5);
        return v > max ? max : v;
    default:
        return v & max;
    }
}

static bool left(int feat, uint32_t v, double t, bool strict)
{
    float x = (float)dune_model_value(feat, v);

    return strict ? (double)x < t : (double)x <= t;
}

static void test_threshold(void **state)
{
    struct dune_rng rng;

    (void)state;
    dune_rng_init(&rng, 1, 2, 3, 4);
    for (int i = 0; i < 200000; i++) {
        int feat = (int)dune_rng_below(&rng, DUNE_N_FEATURES);
        uint32_t at = some_value(&rng, feat), other = some_value(&rng, feat), v = 0;
        double value = dune_model_value(feat, at);
        double t = i % 4 == 0   ? value
                   : i % 4 == 1 ? (double)(float)value
                   : i % 4 == 2 ? value + 0.5 - dune_rng_unit(&rng)
                                : (value + dune_model_value(feat, other)) / 2 - 1 + 2 * dune_rng_unit(&rng);
        bool strict = dune_rng_below(&rng, 2), some = dune_model_threshold(feat, t, strict, &v);

        for (int k = 0; k < 4; k++) { /* x <= v decides the same for every x */
            uint32_t x = k == 0 ? at : k == 1 ? other : k == 2 ? v : v + 1;

            if (x > dune_feature_max(feat) || (k == 3 && v == UINT32_MAX))
                continue;
            if (left(feat, x, t, strict) != (some && x <= v))
                fail_msg("feature %s, t %.17g, %s: value %u goes %s, the threshold is %u", dune_catalog[feat].name, t,
                         strict ? "<" : "<=", x, left(feat, x, t, strict) ? "left" : "right", v);
        }
    }
}

/* --- files ------------------------------------------------------------------------------------------------- */

static const int feats[] = {DUNE_F_IP_LEN, DUNE_F_LEN_TOTAL, DUNE_F_GAP_MIN, DUNE_F_TCP_SYN};

struct tree { /* as in the files */
    int n, left[NODES], right[NODES], feature[NODES];
    float threshold[NODES]; /* of a leaf of XGBoost: its value */
    double value[NODES][CLASSES];
};

/* Grows at random; thresholds may be such that all values go one way. */
static void grow(struct tree *t, struct dune_rng *rng)
{
    memset(t, 0, sizeof(*t));
    t->n = 1;
    t->left[0] = t->right[0] = -1;
    while (t->n + 2 <= NODES && dune_rng_below(rng, 12)) {
        int v;

        do
            v = (int)dune_rng_below(rng, (uint64_t)t->n);
        while (t->left[v] >= 0);
        t->left[v] = t->n++;
        t->right[v] = t->n++;
        t->left[t->left[v]] = t->left[t->right[v]] = t->right[t->left[v]] = t->right[t->right[v]] = -1;
    }
    for (int v = 0; v < t->n; v++) {
        int feat = feats[t->feature[v] = (int)dune_rng_below(rng, 4)];

        t->threshold[v] = (float)(dune_model_value(feat, some_value(rng, feat)) + (dune_rng_below(rng, 3) ? 0.5 : -0.5));
        if (t->left[v] < 0)
            t->threshold[v] = (float)(2 * dune_rng_unit(rng) - 1);
        for (int c = 0; c < CLASSES; c++)
            t->value[v][c] = dune_rng_below(rng, 3) ? (double)dune_rng_below(rng, 100) / 8 : 0;
        t->value[v][1] += 0.25;
    }
}

static void put_ints(struct dune_buf *b, const char *key, const int *v, int n)
{
    dune_buf_printf(b, "\"%s\": [", key);
    for (int i = 0; i < n; i++)
        dune_buf_printf(b, "%s%d", i ? ", " : "", v[i]);
    dune_buf_puts(b, "], ");
}

static void put_floats(struct dune_buf *b, const char *key, const float *v, int n)
{
    dune_buf_printf(b, "\"%s\": [", key);
    for (int i = 0; i < n; i++)
        dune_buf_printf(b, "%s%.17g", i ? ", " : "", (double)v[i]);
    dune_buf_puts(b, "]");
}

static void put_sklearn(struct dune_buf *b, const struct tree *t)
{
    dune_buf_puts(b, "{\"format\": \"dune-sklearn\", \"version\": 1, \"n\": 2, \"phase\": \"published\", \"features\": "
                     "[\"ip.len\", \"Packet Length Total\", \"Flow IAT Min\", \"syn\"], \"classes\": [\"c\", \"a\", \"b\"], "
                     "\"trees\": [");
    for (int i = 0; i < TREES; i++) {
        dune_buf_puts(b, i ? ", {" : "{");
        put_ints(b, "left", t[i].left, t[i].n);
        put_ints(b, "right", t[i].right, t[i].n);
        put_ints(b, "feature", t[i].feature, t[i].n);
        put_floats(b, "threshold", t[i].threshold, t[i].n);
        dune_buf_puts(b, ", \"value\": [");
        for (int v = 0; v < t[i].n; v++)
            dune_buf_printf(b, "%s[%g, %g, %g]", v ? ", " : "", t[i].value[v][0], t[i].value[v][1], t[i].value[v][2]);
        dune_buf_puts(b, "]}");
    }
    dune_buf_puts(b, "]}");
}

static void put_xgboost(struct dune_buf *b, const struct tree *t, const char *base)
{
    dune_buf_puts(b, "{\"learner\": {\"attributes\": {\"dune_classes\": \"[\\\"c\\\", \\\"a\\\", \\\"b\\\"]\", \"dune_n\": \"2\"}, "
                     "\"feature_names\": [\"ip.len\", \"Packet Length Total\", \"Flow IAT Min\", \"syn\"], "
                     "\"gradient_booster\": {\"name\": \"gbtree\", \"model\": {\"tree_info\": [0, 1, 2, 0], \"trees\": [");
    for (int i = 0; i < TREES; i++) {
        dune_buf_puts(b, i ? ", {" : "{");
        put_ints(b, "left_children", t[i].left, t[i].n);
        put_ints(b, "right_children", t[i].right, t[i].n);
        put_ints(b, "split_indices", t[i].feature, t[i].n);
        put_floats(b, "split_conditions", t[i].threshold, t[i].n);
        dune_buf_puts(b, "}");
    }
    dune_buf_printf(b, "]}}, \"learner_model_param\": {\"base_score\": %s, \"num_class\": \"3\", \"num_feature\": \"4\"}, "
                       "\"objective\": {\"name\": \"multi:softprob\"}}}", base);
}

struct rows {
    struct dune_table t;
    uint32_t value[4][ROWS], *col[4];
    uint8_t feat[4];
};

static void make_rows(struct rows *r, struct dune_rng *rng)
{
    r->t = (struct dune_table){.n_rows = ROWS, .n_cols = 4, .n_classes = CLASSES, .feat = r->feat, .col = r->col};
    for (int j = 0; j < 4; j++) {
        r->col[j] = r->value[j];
        r->feat[j] = (uint8_t)feats[j];
        for (int i = 0; i < ROWS; i++)
            r->value[j][i] = some_value(rng, feats[j]);
    }
}

/* The leaf, by the comparison that the other program makes. */
static int walk(const struct tree *t, const struct rows *r, int row, bool strict)
{
    int v = 0;

    while (t->left[v] >= 0) {
        float x = (float)dune_model_value(feats[t->feature[v]], r->value[t->feature[v]][row]);
        bool l = strict ? x < t->threshold[v] : x <= t->threshold[v];

        v = l ? t->left[v] : t->right[v];
    }
    return v;
}

static struct dune_model *open_text(const char *text, const char *name)
{
    char path[64];
    struct dune_model *m;

    snprintf(path, sizeof(path), "/tmp/dune-test-%d-%s", (int)getpid(), name);
    assert_ok(dune_file_write(path, text, strlen(text), &diag), diag);
    assert_ok(dune_model_open(&m, path, NULL, NULL, &diag), diag);
    remove(path);
    return m;
}

static void test_sklearn_walk(void **state)
{
    static struct tree t[TREES];
    static struct rows r;
    static float p[ROWS * CLASSES];
    struct dune_rng rng;

    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct dune_buf b = {0};
        struct dune_model *m;

        dune_rng_init(&rng, seed, 7, 0, 0);
        for (int i = 0; i < TREES; i++)
            grow(&t[i], &rng);
        make_rows(&r, &rng);
        put_sklearn(&b, t);
        m = open_text(b.data, "sk.json");
        assert_int_equal(m->kind, DUNE_MODEL_SKLEARN);
        assert_int_equal(m->n, 2);
        assert_int_equal(m->mode, DUNE_MODE_PUBLISHED);
        assert_string_equal(m->class_name[2], "b");
        assert_ok(dune_model_proba(m, &r.t, p, &diag), diag);
        for (int i = 0; i < ROWS; i++) {
            double want[CLASSES] = {0};

            for (int k = 0; k < TREES; k++) {
                const double *h = t[k].value[walk(&t[k], &r, i, false)];

                for (int c = 0; c < CLASSES; c++)
                    want[c] += h[c] / (h[0] + h[1] + h[2]) / TREES;
            }
            for (int c = 0; c < CLASSES; c++)
                assert_true(fabs(want[c] - (double)p[i * CLASSES + c]) < 1e-5);
        }
        dune_model_free(m);
        dune_buf_fini(&b);
    }
}

/* Boosted trees as one tree: the same class for every row, or an error that says that it takes too many leaves. */
static void check_one_tree(const struct dune_model *m, const struct rows *r, const float *p)
{
    static struct dune_answer a[ROWS];
    struct dune_forest *f, *none;
    uint32_t leaves;

    assert_ok(dune_model_as_forest(&f, m, 0, &diag), diag);
    assert_int_equal(f->n_trees, 1);
    dune_forest_answer(f, &r->t, DUNE_NO_CLASS, 1, a);
    for (int i = 0; i < ROWS; i++) {
        int best = 0;

        for (int c = 1; c < CLASSES; c++)
            best = p[i * CLASSES + c] > p[i * CLASSES + best] ? c : best;
        assert_int_equal(a[i].cls, best);
    }
    leaves = dune_tree_n_leaves(&f->tree[0]);
    dune_forest_free(f);
    if (leaves < 2)
        return;
    memset(&diag, 0, sizeof(diag));
    assert_int_equal(dune_model_as_forest(&none, m, leaves - 1, &diag), DUNE_E_INFEASIBLE);
    assert_null(none);
    memset(&diag, 0, sizeof(diag));
}

static void test_xgboost_walk(void **state)
{
    static struct tree t[TREES];
    static struct rows r;
    static float p[ROWS * CLASSES];
    struct dune_rng rng;

    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct dune_buf b = {0};
        struct dune_model *m;

        dune_rng_init(&rng, seed, 8, 0, 0);
        for (int i = 0; i < TREES; i++)
            grow(&t[i], &rng);
        make_rows(&r, &rng);
        put_xgboost(&b, t, seed % 2 ? "\"5E-1\"" : "\"[5E-1,5E-1,5E-1]\"");
        m = open_text(b.data, "xgb.json");
        assert_int_equal(m->kind, DUNE_MODEL_XGBOOST);
        assert_int_equal(m->n, 2);
        assert_ok(dune_model_proba(m, &r.t, p, &diag), diag);
        for (int i = 0; i < ROWS; i++) {
            double margin[CLASSES] = {0}, sum = 0;

            for (int k = 0; k < TREES; k++)
                margin[k % 3] += (double)t[k].threshold[walk(&t[k], &r, i, true)];
            for (int c = 0; c < CLASSES; c++)
                sum += exp(margin[c]);
            for (int c = 0; c < CLASSES; c++)
                assert_true(fabs(exp(margin[c]) / sum - (double)p[i * CLASSES + c]) < 1e-5);
        }
        check_one_tree(m, &r, p);
        dune_model_free(m);
        dune_buf_fini(&b);
    }
}

/* --- refusals ------------------------------------------------------------------------------------------------ */

#define SK(trees) "{\"format\": \"dune-sklearn\", \"version\": 1, \"features\": [\"ip.len\", \"ttl\"], \"classes\": [\"a\", \"b\"], " \
                  "\"trees\": [" trees "]}"
#define TREE(l, r, f, t, v) "{\"left\": " l ", \"right\": " r ", \"feature\": " f ", \"threshold\": " t ", \"value\": " v "}"

static void refuse_sklearn(const char *text, const char *what)
{
    struct dune_forest *f;

    memset(&diag, 0, sizeof(diag));
    assert_int_not_equal(dune_sklearn_parse(&f, "m.json", text, strlen(text), &diag), 0);
    assert_null(f);
    if (!strstr(diag.msg, what) && !strstr(diag.place, what))
        fail_msg("\"%s\" is not in \"%s\" (%s)", what, diag.msg, diag.place);
}

static void test_sklearn_refused(void **state)
{
    (void)state;
    refuse_sklearn("{", "bad JSON");
    refuse_sklearn("{}", "no trees of scikit-learn");
    refuse_sklearn("{\"format\": \"dune-sklearn\", \"version\": 2}", "reads version 1");
    refuse_sklearn(SK(""), "1 to 100000 trees");
    refuse_sklearn(SK(TREE("[1, -1]", "[2, -1]", "[0, 0]", "[1, 1]", "[[1, 1], [1, 1]]")), "child that is no node");
    refuse_sklearn(SK(TREE("[1, -1, -1]", "[1, -1, -1]", "[0, 0, 0]", "[1, 1, 1]", "[[1, 1], [1, 1], [1, 1]]")),
                   "child of two nodes");
    refuse_sklearn(SK(TREE("[1, 0, -1]", "[2, 2, -1]", "[0, 0, 0]", "[1, 1, 1]", "[[1, 1], [1, 1], [1, 1]]")), "node");
    refuse_sklearn(SK(TREE("[1, -1, -1]", "[-1, -1, -1]", "[0, 0, 0]", "[1, 1, 1]", "[[1, 1], [1, 1], [1, 1]]")), "one child");
    refuse_sklearn(SK(TREE("[1, -1, -1]", "[2, -1, -1]", "[2, 0, 0]", "[1, 1, 1]", "[[1, 1], [1, 1], [1, 1]]")), "from 0 to 1");
    refuse_sklearn(SK(TREE("[1, -1, -1]", "[2, -1, -1]", "[0, 0, 0]", "[1, 1, 1]", "[[1, 1], [0, 0], [1, 1]]")),
                   "weighs nothing");
    refuse_sklearn(SK(TREE("[1, -1, -1]", "[2, -1, -1]", "[0, 0, 0]", "[1, 1, 1]", "[[1, 1], [-1, 0], [1, 1]]")), "weight");
    refuse_sklearn(SK(TREE("[1, -1, -1]", "[2, -1, -1]", "[0, 0, 0]", "[1, 1]", "[[1, 1], [1, 0], [1, 1]]")), "one entry per node");
    refuse_sklearn("{\"format\": \"dune-sklearn\", \"version\": 1, \"features\": [\"speed\"], \"classes\": [\"a\"], \"trees\": []}",
                   "not a feature");
    refuse_sklearn("{\"format\": \"dune-sklearn\", \"version\": 1, \"features\": [\"ttl\"], \"classes\": [\"a\", \"a\"], "
                   "\"trees\": []}", "listed twice");
}

static void test_xgboost_refused(void **state)
{
    static const struct {
        const char *from, *to, *what;
    } list[] = {
        {"\"gbtree\"", "\"dart\"", "only gbtree"},
        {"multi:softprob", "rank:pairwise", "objective"},
        {"\"tree_info\": [0", "\"tree_info\": [3", "tree_info"},
        {"\"tree_info\": [0, ", "\"tree_info\": [", "tree_info"},
        {"\"num_class\": \"3\"", "\"num_class\": \"x\"", "num_class"},
        {"ip.len", "speed", "not a feature"},
        {"\\\"c\\\", ", "", "3 class names"},
        {"\\\"c\\\"", "\\\"a\\\"", "listed twice"},
        {"\"dune_n\": \"2\"", "\"dune_n\": \"0\"", "dune_n"},
        {"\"left_children\": [", "\"left_children\": [77, ", "one entry per node"},
    };
    static struct tree t[TREES];
    struct dune_buf b = {0};
    struct dune_rng rng;

    (void)state;
    dune_rng_init(&rng, 3, 8, 0, 0);
    for (int i = 0; i < TREES; i++)
        grow(&t[i], &rng);
    put_xgboost(&b, t, "\"5E-1\"");
    for (size_t i = 0; i < DUNE_ARRAY_LEN(list); i++) {
        const char *at = strstr(b.data, list[i].from);
        char *text = dune_mem_printf("%.*s%s%s", (int)(at - b.data), b.data, list[i].to, at + strlen(list[i].from));
        struct dune_model *m;

        memset(&diag, 0, sizeof(diag));
        assert_int_not_equal(dune_model_xgb_parse(&m, "m.json", text, strlen(text), NULL, NULL, &diag), 0);
        assert_null(m);
        if (!strstr(diag.msg, list[i].what) && !strstr(diag.place, list[i].what))
            fail_msg("\"%s\" is not in \"%s\" (%s)", list[i].what, diag.msg, diag.place);
        dune_mem_free(text);
    }
    dune_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threshold),       cmocka_unit_test(test_sklearn_walk),
        cmocka_unit_test(test_xgboost_walk),    cmocka_unit_test(test_sklearn_refused),
        cmocka_unit_test(test_xgboost_refused),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
