/* SPDX-License-Identifier: Apache-2.0 */
/* The bound and the proof for many classes, against the subset DP where that is possible. */
#include "testing.h"

#include <math.h>

#include "partition/partition_int.h"

static void make_problem(struct problem *p, struct dune_rng *rng, uint32_t m, bool coarse)
{
    *p = (struct problem){.m = m, .r = 3 + (uint32_t)dune_rng_below(rng, 4), .threads = 2};
    p->w = DUNE_NEW_N(double, (size_t)m * p->r);
    p->f = DUNE_NEW_N(double, m);
    for (uint32_t c = 0; c < m; c++) {
        double sum = 0;

        for (uint32_t j = 0; j < p->r; j++)
            sum += p->w[c * p->r + j] = dune_rng_unit(rng) * dune_rng_unit(rng);
        for (uint32_t j = 0; j < p->r; j++)
            p->w[c * p->r + j] /= sum;
        p->f[c] = coarse ? 20.0 * (double)dune_rng_below(rng, 6) : 100 * dune_rng_unit(rng);
    }
}

static void free_problem(struct problem *p)
{
    dune_mem_free(p->w);
    dune_mem_free(p->f);
}

static void test_bound_holds_and_proves(void **state)
{
    struct dune_rng rng;
    unsigned proven = 0, relaxed_proven = 0;

    (void)state;
    dune_rng_init(&rng, 21, 0, 0, 0);
    for (int round = 0; round < 24; round++) {
        struct split best, found;
        struct dune_diag d = {0};
        struct problem p;
        double optimum, bound;
        bool optimal;

        make_problem(&p, &rng, 12, round % 3 == 0);
        p.ilp = round % 2;
        p.n_blocks = round % 4 < 2 ? 0 : 2 + (uint32_t)dune_rng_below(&rng, 8);
        split_init(&best, p.m);
        split_init(&found, p.m);
        start_split(&p, &found);
        assert_ok(subset_dp(&p, split_score(&p, &found), &best, &d), d);
        optimum = split_score(&p, &best);
        for (int enumerate = 0; enumerate < 2; enumerate++) {
            p.memory_limit = enumerate ? 0 : 1; /* too little for all blocks */
            start_split(&p, &found);
            if (enumerate)
                improve_split(&p, &found, 3);
            bound = upper_bound(&p, &found, &optimal);
            assert_true(bound >= optimum - 1e-9 * fmax(1, fabs(optimum)));
            assert_true(split_score(&p, &found) <= optimum + tie_of(optimum));
            if (optimal)
                assert_true(split_score(&p, &found) >= optimum - 1e-9 * fmax(1, fabs(optimum)));
            if (optimal && enumerate)
                assert_int_equal(split_compare(&found, &best, p.m), 0);
            *(enumerate ? &proven : &relaxed_proven) += optimal;
        }
        split_fini(&best);
        split_fini(&found);
        free_problem(&p);
    }
    printf("# proven: %u of 24 with all blocks, %u without\n", proven, relaxed_proven);
    assert_int_equal(proven, 24);
}

/* Local search alone finds most optima of this size. */
static void test_local_search(void **state)
{
    struct dune_rng rng;
    unsigned hit = 0;

    (void)state;
    dune_rng_init(&rng, 22, 0, 0, 0);
    for (int round = 0; round < 20; round++) {
        struct split best, found;
        struct dune_diag d = {0};
        struct problem p;

        make_problem(&p, &rng, 11, false);
        p.ilp = round % 2;
        split_init(&best, p.m);
        split_init(&found, p.m);
        start_split(&p, &found);
        improve_split(&p, &found, 200);
        assert_ok(subset_dp(&p, split_score(&p, &found), &best, &d), d);
        assert_true(split_score(&p, &found) <= split_score(&p, &best) + 1e-9);
        hit += split_compare(&found, &best, p.m) == 0;
        split_fini(&best);
        split_fini(&found);
        free_problem(&p);
    }
    printf("# %u of 20\n", hit);
    assert_true(hit >= 16);
}

/* More than 20 classes through the public door: stated gap, the same on any number of threads. */
static void test_many_classes(void **state)
{
    static const uint32_t sizes[] = {21, 30, 70};
    struct dune_rng rng;

    (void)state;
    dune_rng_init(&rng, 23, 0, 0, 0);
    for (size_t i = 0; i < DUNE_ARRAY_LEN(sizes); i++) {
        struct problem p;
        struct dune_importance w = {.n_classes = sizes[i]};
        struct dune_scores f = {.n_classes = sizes[i]};
        struct dune_partition_cfg cfg = {.method = DUNE_PART_EXACT};
        char *name[70], *feat[8], *first = NULL;

        make_problem(&p, &rng, sizes[i], false);
        w.n_feats = p.r;
        for (uint32_t c = 0; c < sizes[i]; c++)
            name[c] = dune_mem_printf("class %u", c);
        for (uint32_t j = 0; j < p.r; j++)
            feat[j] = dune_mem_printf("feature %u", j);
        w.class_name = f.class_name = name;
        w.feat_name = feat;
        w.w = p.w;
        f.f1 = p.f;
        for (cfg.threads = 1; cfg.threads <= 2; cfg.threads++) {
            struct dune_blocks *b;
            struct dune_diag d = {0};
            char *text;
            size_t len;

            assert_ok(dune_partition(&b, &w, &f, &cfg, &d), d);
            assert_true(b->optimal == (b->gap == 0) && b->gap >= 0 && isfinite(b->gap));
            printf("# %u classes: %.6f, gap %.4f\n", sizes[i], b->objective, b->gap);
            dune_blocks_format(b, &text, &len);
            dune_blocks_free(b);
            if (first)
                assert_string_equal(text, first);
            dune_mem_free(first);
            first = text;
        }
        dune_mem_free(first);
        for (uint32_t c = 0; c < sizes[i]; c++)
            dune_mem_free(name[c]);
        for (uint32_t j = 0; j < p.r; j++)
            dune_mem_free(feat[j]);
        free_problem(&p);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_bound_holds_and_proves),
    cmocka_unit_test(test_local_search),
    cmocka_unit_test(test_many_classes),
};
RUN_TESTS(tests)
