/* SPDX-License-Identifier: Apache-2.0 */
/* Emitted v1model programs through the compilers that are installed; a warning is an error. */
#include "dune/bmv2.h"
#include "unit/targets/random_chain.h"

static bool installed(const char *tool)
{
    char command[128];

    snprintf(command, sizeof(command), "command -v %s >/dev/null 2>&1", tool);
    return system(command) == 0;
}

static void fit(struct dune_plan *p)
{
    p->hash = DUNE_HASH_CRC;
    p->ways = 1;
    for (uint32_t i = 0; i < p->n_devices; i++) {
        dune_mem_free(p->device[i].profile);
        p->device[i].profile = dune_mem_strdup("bmv2");
    }
}

/* Every limit of the parser at least once at either end. */
static struct dune_parser_limits limits(uint64_t k)
{
    static const struct dune_parser_limits some[] = {
        {2, 40, 2, 64, true}, {0, 0, 0, 0, false}, {1, 40, 1, 8, true}, {2, 4, 2, 12, true},
        {0, 40, 2, 0, true},  {1, 0, 0, 0, true},  {2, 20, 1, 16, true}, {1, 8, 2, 60, true},
    };

    return some[k % DUNE_ARRAY_LEN(some)];
}

/* The P4Runtime entries of the program beside what the compiler says its tables are. */
static void check_entries(const char *dir, const char *what, uint32_t device)
{
    const char *root = getenv("DUNE_SOURCE_ROOT");
    char command[600];

    snprintf(command, sizeof(command), "for f in %s/*/*.p4info.json; do [ ! -e $f ] || python3 %s/tests/cli/p4info.py $f "
             "${f%%.p4info.json}.p4runtime.txt || exit 1; done", dir, root ? root : ".");
    if (installed("python3") && system(command) != 0)
        fail_msg("%s, device %u: the P4Runtime entries are not those of the program", what, device);
}

static void take(const struct dune_plan *p, uint32_t device, const char *what)
{
    char dir[] = "/tmp/dune_p4.XXXXXX", command[400];
    struct dune_diag d = {0};
    char *json = NULL;
    int rc;

    assert_non_null(mkdtemp(dir));
    rc = dune_bmv2_compile(p, device, dir, device % 2, &json, &d);
    if (rc)
        fail_msg("%s, device %u: %s", what, device, d.msg);
    dune_mem_free(json);
    check_entries(dir, what, device);
    snprintf(command, sizeof(command), "for f in %s/*/*.p4; do p4test --std p4-16 \"$f\" >%s/log 2>&1 || exit 1; ! grep . %s/log || exit 1; done", dir,
             dir, dir);
    if (installed("p4test") && system(command) != 0)
        fail_msg("%s, device %u: p4test", what, device);
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

static void compile_random(uint64_t first, uint64_t last)
{
    for (uint64_t seed = first; seed <= last; seed++) {
        struct dune_plan *p = random_plan(seed, 1 + seed % 6, 1 + seed % 3);
        char what[48];

        fit(p);
        p->parser = limits(seed);
        snprintf(what, sizeof(what), "random plan %llu", (unsigned long long)seed);
        for (uint32_t i = 0; i < p->n_devices; i++)
            take(p, i, what);
        dune_plan_free(p);
    }
}

static void test_random_plans(void **state)
{
    (void)state;
    compile_random(1, 4);
}

static void test_more(void **state)
{
    (void)state;
    compile_random(5, 60);
}

/* All features of the catalog, each with one threshold and with many; every mode; 1, 3, 5 and 7 trees. */
static void test_shapes(void **state)
{
    static const struct dune_plan_leaf leaf[] = {KIT_CLAIM(1, 30), KIT_OTHER(2, 20)};

    (void)state;
    for (int mode = 0; mode < DUNE_N_MODES; mode++) {
        struct dune_plan *p = kit_plan(2, 1);
        uint32_t half = 0;

        for (int f = 0; f < DUNE_N_FEATURES; f++) {
            half = dune_feature_max(f) / 2;
            if (dune_catalog[f].targets & DUNE_ON_V1MODEL && f % DUNE_N_MODES == mode)
                kit_sub(p, (uint8_t)(f + 1), 0, 2, (enum dune_mode)mode, f, 1, &half, leaf);
        }
        kit_const(p, 99, 0, 1, (enum dune_mode)mode, leaf[0]);
        p->claim = mode % 2 ? DUNE_CLAIM_FIRST : DUNE_CLAIM_BEST;
        fit(p);
        take(p, 0, dune_mode_name((enum dune_mode)mode));
        dune_plan_free(p);
    }
}

static void test_trees(void **state)
{
    (void)state;
    for (uint32_t trees = 5; trees <= 7; trees += 2) {
        struct forest_shape shape = {.trees = trees, .leaves = 40, .classes = 3, .n_feats = 5, .feat = random_feats};
        uint8_t to_plan[] = {1, 2, DUNE_PLAN_OTHER};
        struct dune_plan *p = kit_plan(2, 2);
        struct dune_submodel *sm = kit_add(p, 1, 0, 3, DUNE_MODE_RUNNING);
        struct dune_forest f;
        struct dune_diag d = {0};
        struct dune_rng r;

        dune_rng_init(&r, trees, 0, 0, 0);
        random_forest(&r, &f, &shape);
        assert_ok(dune_submodel_from_forest(sm, &f, trees, 0, to_plan, &d), d);
        random_forest_fini(&f);
        fit(p);
        take(p, 0, "many trees");
        take(p, 1, "a device without sub-models");
        dune_plan_free(p);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_random_plans),
    cmocka_unit_test(test_shapes),
    cmocka_unit_test(test_trees),
};
static const struct CMUnitTest more_tests[] = {cmocka_unit_test(test_more)};

int main(int argc, char **argv)
{
    (void)argv;
    if (!installed("p4c-bm2-ss")) {
        printf("1..0 # SKIP p4c-bm2-ss is not installed\n");
        return 0;
    }
    cmocka_set_message_output(CM_OUTPUT_TAP);
    if (argc > 1)
        return cmocka_run_group_tests(more_tests, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
