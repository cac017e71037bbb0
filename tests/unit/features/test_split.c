/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include "random_dataset.h"

struct facts {
    uint64_t flows[8];
    uint32_t captures[8];
    bool seen[8][64];
};

/* Train flows and captures per class. */
static struct facts facts_of(const struct dune_dataset *ds)
{
    struct facts f = {0};

    for (uint64_t i = 0; i < ds->n_flows; i++) {
        if (ds->flow_split[i] != DUNE_SPLIT_TRAIN)
            continue;
        f.flows[ds->flow_class[i]]++;
        f.captures[ds->flow_class[i]] += !f.seen[ds->flow_class[i]][ds->flow_capture[i]];
        f.seen[ds->flow_class[i]][ds->flow_capture[i]] = true;
    }
    return f;
}

static bool whole(const struct facts *f, uint32_t c)
{
    return f->captures[c] >= 4 && f->flows[c] >= 4;
}

/* Captures are never cut for classes that have enough of them; flows are along time otherwise. */
static void check_parts(const struct dune_dataset *ds, const uint8_t *part, unsigned k, uint8_t uncut,
                        bool monotone)
{
    struct facts f = facts_of(ds);

    for (uint64_t i = 0; i < ds->n_flows; i++) {
        uint32_t c = ds->flow_class[i];

        if (ds->flow_split[i] == DUNE_SPLIT_TEST)
            assert_int_equal(part[i], 255);
        else if (f.flows[c] < 4)
            assert_int_equal(part[i], uncut);
        else
            assert_true(part[i] < k);
        for (uint64_t j = 0; j < ds->n_flows; j++) {
            uint32_t e = ds->flow_class[j];

            if (part[i] == 255 || part[j] == 255)
                continue;
            if (whole(&f, c) && whole(&f, e) && ds->flow_capture[i] == ds->flow_capture[j])
                assert_int_equal(part[i], part[j]);
            if (monotone && c == e && !whole(&f, c) && ds->flow_start[i] < ds->flow_start[j])
                assert_true(part[i] <= part[j]);
        }
    }
}

static void test_properties(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct random_shape s = {.classes = 2 + seed % 6, .captures = 1 + seed % 13, .max_n = 1,
                                 .flows = 15 + seed * 5, .max_len = 1, .seed = seed,
                                 .test_percent = seed % 3 * 15};
        struct dune_dataset *ds = random_dataset(s);
        uint8_t *a = dune_mem_alloc(ds->n_flows, 1), *b = dune_mem_alloc(ds->n_flows, 1);
        unsigned k = 2 + seed % 4;

        for (uint64_t fold_seed = 0; fold_seed < 3; fold_seed++) {
            dune_folds_make(ds, k, fold_seed, a);
            dune_folds_make(ds, k, fold_seed, b);
            assert_memory_equal(a, b, ds->n_flows);
            check_parts(ds, a, k, 255, fold_seed == 0);
        }
        dune_validation_make(ds, a);
        check_parts(ds, a, 2, 0, true);
        dune_mem_free(a);
        dune_mem_free(b);
        dune_dataset_free(ds);
    }
}

/* One class per capture: class i % 2 in capture i, capture i starts at time 1000 * i. */
static struct dune_dataset *one_class_captures(uint32_t captures)
{
    struct random_shape s = {.classes = 2, .captures = captures, .max_n = 1, .flows = captures * 3,
                             .max_len = 1};
    struct dune_dataset *ds = random_dataset(s);

    for (uint64_t i = 0; i < ds->n_flows; i++) {
        ((uint32_t *)ds->flow_capture)[i] = (uint32_t)(i / 3);
        ((uint16_t *)ds->flow_class)[i] = (uint16_t)(i / 3 % 2);
        ((uint64_t *)ds->flow_start)[i] = 1000 * (i / 3) + i % 3;
    }
    return ds;
}

static void test_latest_captures(void **state)
{
    struct dune_dataset *ds = one_class_captures(24); /* 12 per class: the latest 3 of each */
    uint8_t part[72], fold[72], other[72];
    int per_fold[4] = {0};

    (void)state;
    dune_validation_make(ds, part);
    for (int i = 0; i < 72; i++)
        assert_int_equal(part[i], i >= 54);
    dune_folds_make(ds, 4, 0, fold);
    for (int i = 0; i < 72; i++)
        assert_int_equal(fold[i], i / 18);
    dune_folds_make(ds, 4, 9, other);
    assert_memory_not_equal(fold, other, 72);
    for (int i = 0; i < 72; i++)
        per_fold[other[i]]++;
    for (int i = 0; i < 4; i++)
        assert_int_equal(per_fold[i], 18);
    dune_dataset_free(ds);
}

/* One capture only: flows by start time, a quarter rounded down. */
static void test_latest_flows(void **state)
{
    struct random_shape s = {.classes = 1, .captures = 1, .max_n = 1, .flows = 11, .max_len = 1};
    struct dune_dataset *ds = random_dataset(s);
    uint8_t part[11], fold[11];
    int late = 0, per_fold[5] = {0};

    (void)state;
    dune_validation_make(ds, part);
    for (int i = 0; i < 11; i++) {
        int later = 0;

        for (int j = 0; j < 11; j++)
            later += ds->flow_start[j] > ds->flow_start[i];
        assert_int_equal(part[i], later < 2);
        late += part[i];
    }
    assert_int_equal(late, 2);
    for (uint64_t seed = 0; seed < 5; seed++) {
        memset(per_fold, 0, sizeof(per_fold));
        dune_folds_make(ds, 5, seed, fold);
        for (int i = 0; i < 11; i++)
            per_fold[fold[i]]++;
        for (int i = 0; i < 5; i++)
            assert_true(per_fold[i] == 2 || per_fold[i] == 3);
    }
    dune_dataset_free(ds);
}

/* Every class occurs in every capture: one of them ranks the captures, nobody is left without. */
static void test_shared_captures(void **state)
{
    struct random_shape s = {.classes = 4, .captures = 8, .max_n = 1, .flows = 320, .max_len = 1};
    struct dune_dataset *ds = random_dataset(s);
    uint8_t part[320], late[8] = {0};
    int n = 0;

    (void)state;
    for (int i = 0; i < 320; i++)
        ((uint64_t *)ds->flow_start)[i] = (uint64_t)i;
    dune_validation_make(ds, part);
    for (int i = 0; i < 320; i++)
        late[ds->flow_capture[i]] |= part[i];
    for (int i = 0; i < 8; i++)
        n += late[i];
    assert_int_equal(n, 2);
    assert_true(late[6] && late[7]);
    dune_dataset_free(ds);
}

static void test_share(void **state)
{
    enum { N = 31 };
    uint16_t cls[N];
    uint32_t capture[N] = {0};
    uint64_t start[N];
    uint8_t use[N], part[N];
    struct dune_dset_flows f = {N, 3, 1, cls, capture, start, use};

    (void)state;
    for (int i = 0; i < N; i++) { /* 20 of class 0, 10 of class 1, one of class 2 */
        cls[i] = i == 30 ? 2 : i % 3 == 2;
        start[i] = (uint64_t)(100 - i);
        use[i] = 1;
    }
    dune_dset_cut_share(&f, 0.7, part);
    for (int i = 0, seen[3] = {0}; i < N; i++) { /* the latest come first here */
        int test = cls[i] == 0 ? 6 : cls[i] == 1 ? 3 : 0;

        assert_int_equal(part[i], seen[cls[i]]++ < test);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_properties),      cmocka_unit_test(test_latest_captures),
    cmocka_unit_test(test_latest_flows),    cmocka_unit_test(test_shared_captures),
    cmocka_unit_test(test_share),
};
RUN_TESTS(tests)
