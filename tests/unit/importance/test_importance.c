/* SPDX-License-Identifier: Apache-2.0 */
/* W by Gini decrease against a literal recomputation, and by permutation against a known model. */
#include "testing.h"

#include <math.h>

#include "dune/importance.h"

enum { FEATS = 4, CLASSES = 3, MAX_NODES = 31 };

struct toy {
    struct dune_forest f;
    struct dune_tree tree[3];
    struct dune_node node[3][MAX_NODES];
    uint64_t hist[3][MAX_NODES][CLASSES];
    uint8_t feat[FEATS];
    char *name[CLASSES];
};

/* Splits random leaves; children share the parent's weights at random. */
static void grow_random(struct toy *t, struct dune_rng *rng)
{
    static char names[CLASSES][8] = {"a", "Other", "c"};

    memset(t, 0, sizeof(*t));
    t->f = (struct dune_forest){.n_trees = 3, .n_feats = FEATS, .n_classes = CLASSES, .feat = t->feat,
                                .class_name = t->name, .tree = t->tree};
    for (int j = 0; j < FEATS; j++)
        t->feat[j] = (uint8_t)(j * 3);
    for (int c = 0; c < CLASSES; c++)
        t->name[c] = names[c];
    for (int i = 0; i < 3; i++) {
        uint32_t n = 1 + 2 * (uint32_t)dune_rng_below(rng, 15);

        t->tree[i] = (struct dune_tree){.n_nodes = n, .node = t->node[i], .hist = t->hist[i][0]};
        for (int c = 0; c < CLASSES; c++)
            t->hist[i][0][c] = 1 + dune_rng_below(rng, 50) * DUNE_WEIGHT_ONE;
        t->node[i][0] = (struct dune_node){.feat = -1, .parent = UINT32_MAX};
        for (uint32_t v = 1; v < n; v += 2) {
            uint32_t p;

            do
                p = (uint32_t)dune_rng_below(rng, v);
            while (t->node[i][p].feat >= 0);
            t->node[i][p].feat = (int32_t)dune_rng_below(rng, FEATS);
            t->node[i][p].left = v;
            t->node[i][p].right = v + 1;
            t->node[i][v] = t->node[i][v + 1] = (struct dune_node){.feat = -1, .parent = p};
            for (int c = 0; c < CLASSES; c++) {
                uint64_t all = t->hist[i][p][c];

                t->hist[i][v][c] = dune_rng_below(rng, 3) ? dune_rng_below(rng, all + 1) : 0;
                t->hist[i][v + 1][c] = all - t->hist[i][v][c];
            }
        }
    }
}

/* n * (1 - p^2 - (1-p)^2), straight from the definition. */
static double gini(const uint64_t *h, int c)
{
    double n = (double)(h[0] + h[1] + h[2]), p = n > 0 ? (double)h[c] / n : 0;

    return n * (1 - p * p - (1 - p) * (1 - p));
}

static int heaviest(const uint64_t *h)
{
    static const int order[CLASSES] = {0, 2, 1}; /* Other loses ties */
    int best = order[0];

    for (int i = 1; i < CLASSES; i++)
        if (h[order[i]] > h[best])
            best = order[i];
    return best;
}

static void literal(const struct toy *t, double w[CLASSES][FEATS])
{
    memset(w, 0, sizeof(double) * CLASSES * FEATS);
    for (int i = 0; i < 3; i++) {
        const uint64_t *root = t->hist[i][0];
        double weight = (double)(root[0] + root[1] + root[2]);

        for (int c = 0; c < CLASSES; c++) {
            bool seen[MAX_NODES] = {false};

            for (uint32_t leaf = 0; leaf < t->tree[i].n_nodes; leaf++)
                for (uint32_t v = leaf; t->node[i][leaf].feat < 0 && heaviest(t->hist[i][leaf]) == c;) {
                    const struct dune_node *nd = &t->node[i][v];

                    if (nd->feat >= 0 && !seen[v])
                        w[c][nd->feat] += (gini(t->hist[i][v], c) - gini(t->hist[i][nd->left], c) -
                                           gini(t->hist[i][nd->right], c)) / weight / 3;
                    seen[v] = true;
                    if (nd->parent == UINT32_MAX)
                        break;
                    v = nd->parent;
                }
        }
    }
    for (int c = 0; c < CLASSES; c++) {
        double sum = 0;

        for (int j = 0; j < FEATS; j++)
            sum += w[c][j];
        for (int j = 0; j < FEATS && sum > 1e-14; j++)
            w[c][j] /= sum;
    }
}

static void test_gini_is_the_definition(void **state)
{
    struct dune_rng rng;
    struct toy *t = DUNE_NEW(struct toy);

    (void)state;
    dune_rng_init(&rng, 11, 0, 0, 0);
    for (int round = 0; round < 300; round++) {
        double want[CLASSES][FEATS];
        struct dune_importance *im;
        struct dune_diag d = {0};

        grow_random(t, &rng);
        literal(t, want);
        assert_ok(dune_importance_gini(&im, &t->f, &d), d);
        assert_int_equal(im->n_classes, CLASSES);
        assert_string_equal(im->feat_name[1], dune_catalog[3].name);
        for (int c = 0; c < CLASSES; c++) {
            double sum = 0;

            for (int j = 0; j < FEATS; j++) {
                sum += im->w[c * FEATS + j];
                if (fabs(im->w[c * FEATS + j] - want[c][j]) > 1e-9)
                    fail_msg("round %d: W[%d][%d] = %.17g, not %.17g", round, c, j,
                             im->w[c * FEATS + j], want[c][j]);
            }
            assert_true(sum == 0 || fabs(sum - 1) < 1e-12);
        }
        dune_importance_free(im);
    }
    dune_mem_free(t);
}

static void test_gini_refuses_nothing_to_read(void **state)
{
    struct dune_forest f = {0};
    struct dune_importance *im;
    struct dune_diag d = {0};

    (void)state;
    assert_int_equal(dune_importance_gini(&im, &f, &d), DUNE_E_INPUT);
    assert_null(im);
}

/* A model that looks at column 1 alone. */
static int by_column_1(void *ctx, const struct dune_table *t, uint16_t *out, struct dune_diag *d)
{
    if (*(int *)ctx < 0)
        return dune_diag_set(d, DUNE_E_INTERNAL, NULL, "broken");
    for (size_t i = 0; i < t->n_rows; i++)
        out[i] = (uint16_t)(t->col[1][i] % 2);
    return 0;
}

static void test_permutation(void **state)
{
    enum { ROWS = 200 };
    uint32_t a[ROWS], b[ROWS], *col[2] = {a, b};
    uint16_t cls[ROWS];
    uint64_t w[ROWS];
    uint8_t feat[2] = {0, 1};
    char x[] = "x", y[] = "y", z[] = "z", *names[] = {x, y, z};
    struct dune_table t = {.n_rows = ROWS, .n_cols = 2, .n_classes = 3, .feat = feat, .col = col,
                           .cls = cls, .w = w};
    struct dune_importance *im, *again;
    struct dune_diag d = {0};
    int ctx = 0;

    (void)state;
    for (uint32_t i = 0; i < ROWS; i++) {
        a[i] = i;
        b[i] = i % 2;
        cls[i] = (uint16_t)(i % 2);
        w[i] = DUNE_WEIGHT_ONE;
    }
    assert_ok(dune_importance_permutation(&im, &t, names, by_column_1, &ctx, 3, 7, &d), d);
    assert_true(im->w[0] == 0 && im->w[1] == 1); /* class x owes all to column 1 */
    assert_true(im->w[2] == 0 && im->w[3] == 1);
    assert_true(im->w[4] == 0 && im->w[5] == 0); /* class z is never there */
    assert_ok(dune_importance_permutation(&again, &t, names, by_column_1, &ctx, 3, 7, &d), d);
    assert_memory_equal(im->w, again->w, 6 * sizeof(double));
    for (uint32_t i = 0; i < ROWS; i++)
        assert_true(b[i] == i % 2); /* the table is as it was */
    dune_importance_free(im);
    dune_importance_free(again);
    ctx = -1;
    assert_int_equal(dune_importance_permutation(&im, &t, names, by_column_1, &ctx, 3, 7, &d),
                     DUNE_E_INTERNAL);
    assert_null(im);
}

static void test_scores_from_confusion(void **state)
{
    char x[] = "x", y[] = "y", *names[] = {x, y};
    struct dune_confusion c;
    struct dune_scores *s;

    (void)state;
    dune_confusion_init(&c, 2);
    dune_confusion_add(&c, 0, 0, 3 * DUNE_WEIGHT_ONE);
    dune_confusion_add(&c, 0, 2, 1 * DUNE_WEIGHT_ONE); /* unclaimed */
    dune_confusion_add(&c, 1, 0, 2 * DUNE_WEIGHT_ONE);
    s = dune_scores_make(&c, names, DUNE_WEIGHT_ONE);
    /* precision 3/5, recall 3/4 */
    assert_true(fabs(s->f1[0] - 100.0 * 2 * 0.6 * 0.75 / 1.35) < 1e-9);
    assert_true(s->f1[1] == 0);
    assert_true(s->support[0] == 4 && s->support[1] == 2);
    assert_string_equal(s->class_name[1], "y");
    dune_scores_free(s);
    dune_confusion_fini(&c);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_gini_is_the_definition),
    cmocka_unit_test(test_gini_refuses_nothing_to_read),
    cmocka_unit_test(test_permutation),
    cmocka_unit_test(test_scores_from_confusion),
};
RUN_TESTS(tests)
