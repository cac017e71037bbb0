/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a Tofino compiler refuses or warns of, looked for in the text of emitted programs, so that it also shows where
 * no such compiler is: fields that nobody declared, variables that nobody reads, default actions that visit a
 * register, keys without a name, exact tables with more rows than keys. And what no compiler sees: class actions
 * must look at the shim before it is taken off.
 */
#include <ctype.h>

#include "dune/p4.h"
#include "unit/targets/wild_chain.h"

static const struct wild_limits limits[2] = {{"tofino1", DUNE_ON_TNA, 1, 32768, 150}, {"tofino2", DUNE_ON_TNA, 3, 32768, 150}};

/* Text of the first device's program; NULL: the model says that it does not fit. */
static char *program_of(const struct dune_plan *p, uint32_t generations)
{
    struct dune_p4_files files;
    struct dune_diag d = {0};
    char *text = NULL;

    if (dune_p4_generate_for(p, DUNE_P4_TNA, generations, &files, &d)) {
        assert_int_equal(d.code, DUNE_E_INFEASIBLE);
        return NULL;
    }
    for (size_t i = 0; i < files.len && !text; i++) {
        size_t n = strlen(files.data[i].name);

        if (n > 3 && strcmp(files.data[i].name + n - 3, ".p4") == 0)
            text = dune_mem_strdup(files.data[i].text);
    }
    dune_p4_files_fini(&files);
    assert_non_null(text);
    return text;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* How often a whole word of n characters stands in the text, up to end. */
static unsigned times(const char *text, const char *end, const char *word, size_t n)
{
    unsigned found = 0;

    for (const char *p = text; p + n <= end; p++)
        found += strncmp(p, word, n) == 0 && !is_word(p[n]) && (p == text || !is_word(p[-1]));
    return found;
}

/* --- the checks ------------------------------------------------------------------------------------------ */

static void check_fields(const char *text, const char *what)
{
    const char *fields = strstr(text, "struct meta_t {"), *end = fields ? strstr(fields, "\n}") : NULL;

    assert_non_null(end);
    for (const char *p = text; (p = strstr(p, "meta.")) != NULL; p += 5) {
        size_t n = 0;

        if (p > text && is_word(p[-1]))
            continue;
        while (is_word(p[5 + n]))
            n++;
        if (times(fields, end, p + 5, n) == 0)
            fail_msg("%s: no field %.*s", what, (int)n, p + 5);
    }
}

/* "    bit<8> NAME = 0;": somebody must read it. */
static void check_variables(const char *text, const char *what)
{
    const char *end = text + strlen(text);

    for (const char *p = text; (p = strstr(p, "\n    bit<")) != NULL; p++) {
        char name[48];
        unsigned bits;
        int n = 0; /* all of it is there */

        if (sscanf(p, "\n    bit<%u> %47[a-z0-9_] = 0;%n", &bits, name, &n) == 2 && n && times(text, end, name, strlen(name)) < 2)
            fail_msg("%s: nobody reads %s", what, name);
    }
}

static void check_defaults(const char *text, const char *what)
{
    for (const char *p = text; (p = strstr(p, "const default_action = ")) != NULL; p++) {
        char name[64], action[80];
        const char *body, *end, *visit;

        assert_int_equal(sscanf(p, "const default_action = %63[A-Za-z0-9_]", name), 1);
        snprintf(action, sizeof(action), "action %s(", name);
        body = strstr(text, action);
        end = body ? strstr(body, "\n    }") : NULL;
        visit = body ? strstr(body, ".execute(") : NULL;
        if (visit && visit < end)
            fail_msg("%s: the default action %s visits a register", what, name);
    }
}

static void check_keys(const char *text, const char *what)
{
    static const char *const kind[] = {"]: exact;", "]: ternary;", "]: range;"};

    for (size_t i = 0; i < DUNE_ARRAY_LEN(kind); i++)
        if (strstr(text, kind[i]))
            fail_msg("%s: a key that is cut out of a field has no name: %.60s", what, strstr(text, kind[i]) - 40);
}

/* Tables of single flags. */
static void check_sizes(const char *text, const char *what, uint32_t generations)
{
    for (const char *p = text; (p = strstr(p, "table f_tcp_flags_")) != NULL; p++) {
        const char *size = strstr(p, "size = ");

        assert_non_null(size);
        if (strtoul(size + 7, NULL, 10) != 2 * generations)
            fail_msg("%s: %.30s has %.12s", what, p, size);
    }
}

static bool check_actions(const char *text, const char *what)
{
    const char *act = strstr(text, "actions_of_class.apply();"), *off = strstr(text, "            drop_shim();");

    if (act && off && act > off)
        fail_msg("%s: the shim is gone before the class actions look at it", what);
    return act != NULL;
}

static bool check(const struct dune_plan *p, uint32_t generations, const char *what)
{
    char *text = program_of(p, generations);
    bool acts = false;

    if (text) {
        check_fields(text, what);
        check_variables(text, what);
        check_defaults(text, what);
        check_keys(text, what);
        check_sizes(text, what, generations);
        acts = check_actions(text, what);
    }
    dune_mem_free(text);
    return acts;
}

/* --- programs ---------------------------------------------------------------------------------------------- */

static struct dune_plan *small_plan(const char *profile)
{
    struct dune_plan *p = kit_plan(2, 1);

    p->hash = DUNE_HASH_CRC;
    p->ways = 1;
    p->slots = 1024;
    p->timeout = 58593750;
    p->parser = dune_profile_find(profile)->parser;
    dune_mem_free(p->device[0].profile);
    p->device[0].profile = dune_mem_strdup(profile);
    return p;
}

/* Every feature in every mode, by itself, under both claim rules and with one and two generations. */
static void test_features(void **state)
{
    static const struct dune_plan_leaf leaf[] = {KIT_CLAIM(1, 200), KIT_CLAIM(2, 100)};

    (void)state;
    for (int f = 0; f < DUNE_N_FEATURES; f++)
        for (int mode = 0; mode < DUNE_N_MODES; mode++) {
            struct dune_plan *p = small_plan("tofino2");
            uint32_t half = dune_feature_max(f) / 2;
            char what[80];

            if (dune_catalog[f].targets & DUNE_ON_TNA) {
                kit_sub(p, 1, 0, 8, (enum dune_mode)mode, f, 1, &half, leaf);
                p->claim = mode % 2 ? DUNE_CLAIM_FIRST : DUNE_CLAIM_BEST;
                snprintf(what, sizeof(what), "%s, mode %s", dune_catalog[f].name, dune_mode_name((enum dune_mode)mode));
                check(p, 1 + (uint32_t)f % 2, what);
            }
            dune_plan_free(p);
        }
}

static void test_trees(void **state)
{
    (void)state;
    for (uint32_t trees = 1; trees <= 3; trees++) {
        struct forest_shape shape = {.trees = trees, .leaves = 20, .classes = 3, .n_feats = 5, .feat = random_feats};
        uint8_t to_plan[] = {1, 2, DUNE_PLAN_OTHER};
        struct dune_plan *p = small_plan("tofino2");
        struct dune_submodel *sm = kit_add(p, 1, 0, 3, DUNE_MODE_RUNNING);
        struct dune_forest f;
        struct dune_diag d = {0};
        struct dune_rng r;
        char what[32], *text;

        dune_rng_init(&r, trees, 0, 0, 0);
        random_forest(&r, &f, &shape);
        assert_ok(dune_submodel_from_forest(sm, &f, trees, 0, to_plan, &d), d);
        random_forest_fini(&f);
        snprintf(what, sizeof(what), "%u trees", trees);
        text = program_of(p, 1);
        assert_non_null(text);
        dune_mem_free(text);
        check(p, 1, what);
        dune_plan_free(p);
    }
}

static void test_wild_plans(void **state)
{
    unsigned acts = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct dune_plan *p = wild_plan(seed, 1, &limits[seed % 2]);
        char what[32];

        snprintf(what, sizeof(what), "wild plan %llu", (unsigned long long)seed);
        acts += check(p, 1, what);
        dune_plan_free(p);
    }
    assert_true(acts > 5);
}

/* In mode packet flow features are 0: no table, no register, and no leaf behind a larger value. */
static void test_packet_mode(void **state)
{
    static const struct dune_plan_leaf leaf[] = {KIT_CLAIM(1, 200), KIT_CLAIM(2, 100)};
    struct dune_plan *p = small_plan("tofino1");
    struct dune_p4_tables *t = NULL;
    struct dune_p4_files files;
    struct dune_diag d = {0};
    uint32_t thr = 40, value[DUNE_N_FEATURES] = {0};
    const struct dune_p4_file *f;
    struct dune_sub_answer a = {0};

    (void)state;
    kit_sub(p, 1, 0, 3, DUNE_MODE_PACKET, DUNE_F_LEN_MAX, 1, &thr, leaf);
    assert_ok(dune_p4_generate_for(p, DUNE_P4_TNA, 1, &files, &d), d);
    f = dune_p4_file_find(&files, "d1/d1.p4");
    assert_null(strstr(f->text, "len_max"));
    assert_null(strstr(f->text, "Register<"));
    f = dune_p4_file_find(&files, "d1/d1.bfrt.json");
    assert_null(strstr(f->text, "len_max"));
    assert_ok(dune_p4_tables_parse(&t, DUNE_P4_TNA, f->name, f->text, f->len, &d), d);
    value[DUNE_F_LEN_MAX] = 1500; /* nobody reads it */
    assert_ok(dune_p4_tables_answer(t, 0, 0, value, &a, &d), d);
    assert_int_equal(a.cls, 1);
    dune_p4_tables_free(t);
    dune_p4_files_fini(&files);
    dune_plan_free(p);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_features),
    cmocka_unit_test(test_trees),
    cmocka_unit_test(test_wild_plans),
    cmocka_unit_test(test_packet_mode),
};
RUN_TESTS(tests)
