/* SPDX-License-Identifier: Apache-2.0 */
/* Partitions to start from: every class once, no block empty, sizes as promised, moves keep all that. */
#include "planner/planner_int.h"
#include "testing.h"

enum { N_IDS = 60 };

static unsigned size_of(const struct dune_class_set *s)
{
    unsigned n = 0;

    for (unsigned c = 0; c < DUNE_CLASS_WORDS * 64; c++)
        n += dune_class_set_has(s, c);
    return n;
}

/* Each class of the list in one block, nothing else anywhere, no block empty. */
static void check(const struct dune_class_set *block, const uint16_t *cls, unsigned n, unsigned k,
                  const char *what)
{
    unsigned total = 0;

    for (unsigned b = 0; b < k; b++) {
        if (size_of(&block[b]) == 0)
            fail_msg("%s: block %u of %u is empty (%u classes)", what, b, k, n);
        total += size_of(&block[b]);
    }
    assert_int_equal(total, n);
    for (unsigned i = 0; i < n; i++) {
        unsigned in = 0;

        for (unsigned b = 0; b < k; b++)
            in += dune_class_set_has(&block[b], cls[i]);
        assert_int_equal(in, 1);
    }
}

/* n classes out of N_IDS, ascending. */
static unsigned draw_classes(struct dune_rng *rng, uint16_t *cls)
{
    unsigned n = 0, percent = 5 + (unsigned)dune_rng_below(rng, 60);

    for (uint16_t c = 0; c < N_IDS; c++)
        if (dune_rng_below(rng, 100) < percent)
            cls[n++] = c;
    if (n < 2) {
        cls[0] = 3;
        cls[1] = 40;
        n = 2;
    }
    return n;
}

static void test_random(void **state)
{
    struct dune_class_set block[DUNE_MAX_BLOCKS], again[DUNE_MAX_BLOCKS];
    struct dune_rng rng;

    dune_rng_init(&rng, 4, 4, 4, 4);
    for (unsigned round = 0; round < 500; round++) {
        uint16_t cls[N_IDS];
        unsigned n = draw_classes(&rng, cls), k = 1 + (unsigned)dune_rng_below(&rng, DUNE_MIN(n, DUNE_MAX_BLOCKS));

        dune_partition_random(cls, n, k, round, block);
        check(block, cls, n, k, "random");
        for (unsigned b = 0; b < k; b++)
            assert_in_range(size_of(&block[b]), n / k, (n + k - 1) / k);
        dune_partition_random(cls, n, k, round, again);
        assert_memory_equal(block, again, k * sizeof(*block));
    }
    (void)state;
}

static void test_confused(void **state)
{
    struct dune_class_set block[DUNE_MAX_BLOCKS];
    struct dune_confusion conf;
    struct dune_rng rng;

    dune_rng_init(&rng, 5, 4, 4, 4);
    dune_confusion_init(&conf, N_IDS);
    for (unsigned round = 0; round < 300; round++) {
        uint16_t cls[N_IDS];
        unsigned n = draw_classes(&rng, cls), k = 1 + (unsigned)dune_rng_below(&rng, DUNE_MIN(n, DUNE_MAX_BLOCKS));

        dune_confusion_clear(&conf);
        for (unsigned i = 0; i < 80; i++)
            dune_confusion_add(&conf, cls[dune_rng_below(&rng, n)], cls[dune_rng_below(&rng, n)],
                               dune_rng_below(&rng, 5));
        for (int together = 0; together < 2; together++) {
            dune_partition_confused(&conf, cls, n, k, together, block);
            check(block, cls, n, k, together ? "together" : "apart");
            for (unsigned b = 0; b < k; b++)
                assert_true(size_of(&block[b]) <= (n + k - 1) / k);
        }
    }
    dune_confusion_fini(&conf);
    (void)state;
}

/* Two pairs that are mistaken for each other: one block each, or one of each per block. */
static void test_pairs(void **state)
{
    const uint16_t cls[4] = {2, 5, 7, 9};
    struct dune_class_set block[2];
    struct dune_confusion conf;

    dune_confusion_init(&conf, 10);
    dune_confusion_add(&conf, 2, 7, 100);
    dune_confusion_add(&conf, 9, 5, 80);
    dune_partition_confused(&conf, cls, 4, 2, true, block);
    for (unsigned b = 0; b < 2; b++) {
        assert_int_equal(dune_class_set_has(&block[b], 2), dune_class_set_has(&block[b], 7));
        assert_int_equal(dune_class_set_has(&block[b], 5), dune_class_set_has(&block[b], 9));
    }
    dune_partition_confused(&conf, cls, 4, 2, false, block);
    for (unsigned b = 0; b < 2; b++) {
        assert_int_equal(dune_class_set_has(&block[b], 2), !dune_class_set_has(&block[b], 7));
        assert_int_equal(dune_class_set_has(&block[b], 5), !dune_class_set_has(&block[b], 9));
    }
    dune_confusion_fini(&conf);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_confused),
        cmocka_unit_test(test_pairs),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
