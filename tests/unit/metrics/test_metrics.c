/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>

#include "dune/metrics.h"

#define assert_near(a, b) assert_true(fabs((a) - (b)) < 1e-12)

/* F1 from lists of (truth, prediction) with equal weights, by the textbook. */
static struct dune_f1 naive_f1(const int *truth, const int *pred, int n, int n_classes)
{
    struct dune_f1 f = {0};
    int present = 0;

    for (int k = 0; k < n_classes; k++) {
        double tp = 0, fp = 0, fn = 0, p, r;

        for (int i = 0; i < n; i++) {
            tp += truth[i] == k && pred[i] == k;
            fp += truth[i] != k && pred[i] == k;
            fn += truth[i] == k && pred[i] != k;
        }
        if (tp + fn == 0)
            continue;
        p = tp + fp > 0 ? tp / (tp + fp) : 0;
        r = tp / (tp + fn);
        present++;
        f.macro += p + r > 0 ? 2 * p * r / (p + r) : 0;
        f.weighted += (p + r > 0 ? 2 * p * r / (p + r) : 0) * (tp + fn) / n;
        f.micro += tp / n;
    }
    for (int i = 0; i < n; i++)
        f.coverage += pred[i] < n_classes ? 1.0 / n : 0;
    f.macro /= present;
    return f;
}

static void test_f1_matches_naive(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        enum { N = 60 };
        int truth[N], pred[N], n_classes;
        struct dune_confusion c;
        struct dune_f1 want, got;
        struct dune_rng rng;

        dune_rng_init(&rng, seed, 1, 2, 3);
        n_classes = 1 + (int)dune_rng_below(&rng, 9);
        dune_confusion_init(&c, (uint32_t)n_classes);
        for (int i = 0; i < N; i++) {
            truth[i] = (int)dune_rng_below(&rng, (uint64_t)n_classes);
            truth[i] -= truth[i] == 3; /* class 3 is never in the truth */
            pred[i] = dune_rng_below(&rng, 2) ? truth[i]
                                              : (int)dune_rng_below(&rng, (uint64_t)n_classes + 2);
            dune_confusion_add(&c, (uint32_t)truth[i], (uint32_t)pred[i], UINT64_C(1) << 24);
        }
        want = naive_f1(truth, pred, N, n_classes);
        got = dune_f1_score(&c, UINT64_C(1) << 24, NULL);
        assert_near(got.macro, want.macro);
        assert_near(got.weighted, want.weighted);
        assert_near(got.micro, want.micro);
        assert_near(got.coverage, want.coverage);
        dune_confusion_fini(&c);
    }
}

static void test_per_class(void **state)
{
    struct dune_class_score s[3];
    struct dune_confusion c;
    struct dune_f1 f;

    (void)state;
    dune_confusion_init(&c, 3);
    dune_confusion_add(&c, 0, 0, 30);
    dune_confusion_add(&c, 0, 1, 10);
    dune_confusion_add(&c, 1, 77, 20); /* unclaimed */
    f = dune_f1_score(&c, 10, s);
    assert_near(s[0].precision, 1);
    assert_near(s[0].recall, 0.75);
    assert_near(s[0].f1, 2 * 0.75 / 1.75);
    assert_near(s[0].support, 4);
    assert_near(s[1].f1, 0);
    assert_near(s[1].support, 2);
    assert_false(s[2].present);
    assert_near(f.macro, s[0].f1 / 2);
    assert_near(f.micro, 0.5);
    assert_near(f.coverage, 40.0 / 60);
    dune_confusion_clear(&c);
    f = dune_f1_score(&c, 10, s);
    assert_near(f.macro + f.weighted + f.micro + f.coverage, 0);
    dune_confusion_fini(&c);
}

/* n_groups confusions of 2 classes; better: share of right answers in percent. */
static struct dune_confusion *draw_groups(uint32_t n, unsigned right, uint64_t seed)
{
    struct dune_confusion *c = DUNE_NEW_N(struct dune_confusion, n);

    for (uint32_t g = 0; g < n; g++) {
        struct dune_rng rng;

        dune_rng_init(&rng, seed, g, 0, 0);
        dune_confusion_init(&c[g], 2);
        for (int i = 0; i < 20; i++) {
            uint32_t t = (uint32_t)i & 1;

            dune_confusion_add(&c[g], t, dune_rng_below(&rng, 100) < right ? t : 1 - t, 1);
        }
    }
    return c;
}

static void free_groups(struct dune_confusion *c, uint32_t n)
{
    for (uint32_t g = 0; g < n; g++)
        dune_confusion_fini(&c[g]);
    dune_mem_free(c);
}

static void test_bootstrap(void **state)
{
    enum { N = 30 };
    struct dune_confusion *a = draw_groups(N, 80, 1), *b = draw_groups(N, 70, 2), sum;
    struct dune_interval ia, again, diff, self;
    double all;

    (void)state;
    dune_confusion_init(&sum, 2);
    for (int g = 0; g < N; g++)
        for (int k = 0; k < 6; k++)
            sum.cell[k] += a[g].cell[k];
    all = dune_f1_score(&sum, 1, NULL).macro;
    ia = dune_f1_bootstrap(a, NULL, N, 400, 5);
    again = dune_f1_bootstrap(a, NULL, N, 400, 5);
    assert_memory_equal(&ia, &again, sizeof(ia));
    assert_true(ia.lo < all && all < ia.hi && fabs(ia.mean - all) < 0.01);
    /* 600 answers at 0.8: standard error near sqrt(.16 / 600) = 0.016 */
    assert_true(ia.se > 0.008 && ia.se < 0.03);
    diff = dune_f1_bootstrap(a, b, N, 400, 5);
    assert_true(diff.lo > 0 && diff.mean > 0.04 && diff.mean < 0.16);
    self = dune_f1_bootstrap(a, a, N, 400, 5);
    assert_true(self.lo == 0 && self.hi == 0 && self.se == 0); /* paired: the same draws */
    ia = dune_f1_bootstrap(a, NULL, 1, 10, 5);
    assert_true(ia.lo == ia.hi);
    ia = dune_f1_bootstrap(a, NULL, 0, 10, 5);
    assert_true(ia.mean == 0);
    dune_confusion_fini(&sum);
    free_groups(a, N);
    free_groups(b, N);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_f1_matches_naive),
    cmocka_unit_test(test_per_class),
    cmocka_unit_test(test_bootstrap),
};
RUN_TESTS(tests)
