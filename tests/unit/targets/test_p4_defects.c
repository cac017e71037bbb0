/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Defects known from published data planes that show in the text of a program or its entries; ours must
 * not have them. The letters are those of test_ref_defects.c, which has what the reference can show, and of
 * tests/equivalence/test_bmv2.c, which sends packets through the programs. tests/cli/emit.sh looks for A1,
 * A3 to A6, B3, B7, B8 and B12 in the text.
 */
#include <jansson.h>

#include "dune/p4.h"
#include "unit/targets/random_chain.h"

static void fit(struct dune_plan *p, enum dune_p4_arch arch)
{
    const char *profile = arch == DUNE_P4_TNA ? "tofino2" : "bmv2";

    p->hash = DUNE_HASH_CRC;
    p->ways = 1;
    p->slots = 1024;
    p->timeout = 58593750;
    p->parser = dune_profile_find(profile)->parser;
    for (uint32_t i = 0; i < p->n_devices; i++) {
        dune_mem_free(p->device[i].profile);
        p->device[i].profile = dune_mem_strdup(profile);
    }
}

static const struct dune_p4_file *file_of(const struct dune_p4_files *f, const char *suffix)
{
    for (size_t i = 0; i < f->len; i++) {
        size_t n = strlen(f->data[i].name), m = strlen(suffix);

        if (n > m && strcmp(f->data[i].name + n - m, suffix) == 0)
            return &f->data[i];
    }
    fail_msg("no file %s", suffix);
    return NULL;
}

static const char *entries_suffix(enum dune_p4_arch arch)
{
    return arch == DUNE_P4_TNA ? ".bfrt.json" : ".cli.txt";
}

static struct dune_p4_tables *tables_of(const struct dune_plan *p, enum dune_p4_arch arch)
{
    struct dune_p4_tables *t = NULL;
    const struct dune_p4_file *f;
    struct dune_p4_files files;
    struct dune_diag d = {0};

    assert_ok(dune_p4_generate_for(p, arch, 1, &files, &d), d);
    f = file_of(&files, entries_suffix(arch));
    assert_ok(dune_p4_tables_parse(&t, arch, f->name, f->text, f->len, &d), d);
    dune_p4_files_fini(&files);
    return t;
}

/* A2: nothing says "classified" before somebody has: a first device without an answer of its own leaves the
 * packet neither final nor at flow level. */
static void test_a2_no_flag_by_default(void **state)
{
    (void)state;
    for (int arch = DUNE_P4_V1MODEL; arch <= DUNE_P4_TNA; arch++) {
        struct dune_plan *p = kit_plan(2, 2);
        struct dune_shim s = {.version = DUNE_SHIM_VERSION, .flags = DUNE_SHIM_SETTLED, .generation = 1};
        struct dune_sub_answer other = {0};
        struct dune_p4_tables *t;
        struct dune_diag d = {0};

        kit_const(p, 1, 0, 3, DUNE_MODE_RUNNING, (struct dune_plan_leaf)KIT_OTHER(0, 0));
        kit_const(p, 2, 1, 3, DUNE_MODE_RUNNING, (struct dune_plan_leaf)KIT_CLAIM(1, 9));
        fit(p, (enum dune_p4_arch)arch);
        t = tables_of(p, (enum dune_p4_arch)arch);
        assert_ok(dune_p4_tables_combine(t, 0, 0, &other, false, 1, &s, &d), d);
        assert_int_equal(s.cls, 0);
        assert_int_equal(s.flags, 0); /* and no longer settled */
        dune_p4_tables_free(t);
        dune_plan_free(p);
    }
}

/* B4: the header between switches carries no packet count that somebody would have to keep. */
static void test_b4_no_count_in_the_header(void **state)
{
    (void)state;
    for (int arch = DUNE_P4_V1MODEL; arch <= DUNE_P4_TNA; arch++) {
        struct dune_plan *p = random_plan(3, 2, 1);
        struct dune_p4_files files;
        struct dune_diag d = {0};
        const char *shim, *end, *count;

        fit(p, (enum dune_p4_arch)arch);
        assert_ok(dune_p4_generate_for(p, (enum dune_p4_arch)arch, 1, &files, &d), d);
        shim = strstr(file_of(&files, ".p4")->text, "header shim_t {");
        assert_non_null(shim);
        end = strchr(shim, '}');
        count = strstr(shim, "count");
        assert_true(!count || count > end);
        dune_p4_files_fini(&files);
        dune_plan_free(p);
    }
}

/* --- B6 ------------------------------------------------------------------------------------------------- */

/* The size that the program gives a table, "sub_0.t_0"; 0 when it gives none. */
static unsigned size_in(const char *text, const char *name)
{
    char control[64], table[96];
    unsigned k, size = 0;
    const char *p = text, *end;

    snprintf(table, sizeof(table), "table %s {", strchr(name, '.') ? strchr(name, '.') + 1 : name);
    if (sscanf(name, "sub_%u.", &k) == 1) {
        snprintf(control, sizeof(control), "control SubModel_%u(", k);
        p = strstr(text, control);
    }
    p = p ? strstr(p, table) : NULL;
    end = p ? strstr(p, "\n    }") : NULL;
    p = p ? strstr(p, "size = ") : NULL;
    if (p && end && p < end)
        sscanf(p, "size = %u;", &size);
    return size;
}

/* Entries of a table, in either form. */
static unsigned rows_in(const char *entries, enum dune_p4_arch arch, const char *name)
{
    char line[128];
    unsigned n = 0;

    if (arch == DUNE_P4_TNA)
        snprintf(line, sizeof(line), "\"table_name\": \"DuneIngress.%s\"", name);
    else
        snprintf(line, sizeof(line), "table_add DuneIngress.%s ", name);
    for (const char *p = entries; (p = strstr(p, line)) != NULL; p++)
        n++;
    return n;
}

/* B6: every table has room for the rows it gets: code tables for all leaves, feature tables for all rows. */
static void test_b6_tables_have_room(void **state)
{
    unsigned checked = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        enum dune_p4_arch arch = seed % 2 ? DUNE_P4_V1MODEL : DUNE_P4_TNA;
        struct dune_plan *p = random_plan(seed, 1 + seed % 3, 1);
        struct dune_p4_files files;
        struct dune_diag d = {0};
        const char *text, *entries;

        fit(p, arch);
        if (dune_p4_generate_for(p, arch, 1, &files, &d)) { /* too many stages */
            dune_plan_free(p);
            continue;
        }
        text = file_of(&files, ".p4")->text;
        entries = file_of(&files, entries_suffix(arch))->text;
        for (uint32_t k = 0; k < p->n_submodels; k++)
            for (uint32_t j = 0; j < p->sub[k].n_feats + p->sub[k].n_trees; j++) {
                uint32_t t = j - p->sub[k].n_feats;
                char name[64];

                if (j < p->sub[k].n_feats)
                    snprintf(name, sizeof(name), "sub_%u.f_%s", k, dune_catalog[p->sub[k].feat[j].feat].name);
                else
                    snprintf(name, sizeof(name), "sub_%u.t_%u", k, t);
                for (char *c = strchr(name, '.') + 1; *c; c++)
                    *c = *c == '.' ? '_' : *c;
                if (arch == DUNE_P4_TNA && p->sub[k].mode == DUNE_MODE_PACKET)
                    continue; /* has no rows for what it never sees: test_tna_text.c */
                if (j >= p->sub[k].n_feats)
                    assert_int_equal(rows_in(entries, arch, name), p->sub[k].tree[t].n_leaves);
                assert_true(rows_in(entries, arch, name) > 0);
                assert_true(rows_in(entries, arch, name) <= size_in(text, name));
                checked++;
            }
        dune_p4_files_fini(&files);
        dune_plan_free(p);
    }
    assert_true(checked > 60);
}

/* The clone of a digest is parsed anew, with whatever metadata an older packet left: what the parser chooses by is set. */
static void test_clones_start_anew(void **state)
{
    struct dune_plan *p = random_plan(1, 1, 1);
    struct dune_p4_files files;
    struct dune_diag d = {0};
    const char *text, *start, *end, *tags;

    (void)state;
    fit(p, DUNE_P4_V1MODEL);
    assert_ok(dune_p4_generate(p, DUNE_P4_V1MODEL, &files, &d), d);
    text = file_of(&files, ".p4")->text;
    start = strstr(text, "    state start {");
    end = start ? strstr(start, "\n    }") : NULL;
    tags = start ? strstr(start, "meta.tags = 0;") : NULL;
    assert_true(end && tags && tags < end);
    dune_p4_files_fini(&files);
    dune_plan_free(p);
}

/* --- B10, B11 ------------------------------------------------------------------------------------------- */

/* B10: no name of a device is special, and none leaves its directory. */
static void test_b10_any_device_name(void **state)
{
    static const char *const name[] = {"s1", "spine-0", "leaf_1", "1", "pod 2/leaf", "..", "", "s", "\"q\"", "s1"};
    struct dune_plan *p = kit_plan(2, DUNE_ARRAY_LEN(name));
    struct dune_p4_files files;
    struct dune_diag d = {0};

    (void)state;
    for (uint16_t i = 0; i < DUNE_ARRAY_LEN(name); i++) {
        kit_const(p, (uint8_t)(i + 1), i, 3, DUNE_MODE_RUNNING, (struct dune_plan_leaf)KIT_CLAIM(1, 9));
        dune_mem_free(p->device[i].name);
        p->device[i].name = dune_mem_strdup(name[i]);
    }
    fit(p, DUNE_P4_V1MODEL);
    assert_ok(dune_p4_generate(p, DUNE_P4_V1MODEL, &files, &d), d);
    for (size_t i = 0; i < files.len; i++) {
        const char *slash = strchr(files.data[i].name, '/');

        assert_true(files.data[i].name[0] != '.' && files.data[i].name[0] != '/');
        assert_true(!slash || !strchr(slash + 1, '/'));
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(files.data[i].name, files.data[j].name);
    }
    dune_p4_files_fini(&files);
    dune_plan_free(p);
}

/* B11: entries that are JSON are JSON; and a value at the threshold is below it, not above. */
static void test_b11_json_and_directions(void **state)
{
    static const struct dune_plan_leaf leaf[] = {KIT_CLAIM(1, 10), KIT_CLAIM(2, 20)};
    const uint32_t thr = 700;

    (void)state;
    for (int arch = DUNE_P4_V1MODEL; arch <= DUNE_P4_TNA; arch++) {
        struct dune_plan *p = kit_plan(2, 1);
        uint32_t value[DUNE_N_FEATURES] = {0};
        struct dune_p4_files files;
        struct dune_p4_tables *t;
        struct dune_diag d = {0};

        kit_sub(p, 1, 0, 3, DUNE_MODE_RUNNING, DUNE_F_IP_LEN, 1, &thr, leaf);
        fit(p, (enum dune_p4_arch)arch);
        t = tables_of(p, (enum dune_p4_arch)arch);
        for (uint32_t v = thr - 2; v <= thr + 2; v++) {
            struct dune_sub_answer a = {0};

            value[DUNE_F_IP_LEN] = v;
            assert_ok(dune_p4_tables_answer(t, 0, 0, value, &a, &d), d);
            assert_int_equal(a.cls, v <= thr ? 1 : 2);
        }
        assert_ok(dune_p4_generate_for(p, DUNE_P4_V1MODEL + arch, 1, &files, &d), d);
        if (arch == DUNE_P4_TNA) {
            const struct dune_p4_file *f = file_of(&files, ".bfrt.json");
            json_t *json = json_loadb(f->text, f->len, JSON_REJECT_DUPLICATES, NULL);

            assert_true(json_is_array(json) && json_array_size(json) > 10);
            json_decref(json);
        }
        dune_p4_files_fini(&files);
        dune_p4_tables_free(t);
        dune_plan_free(p);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a2_no_flag_by_default), cmocka_unit_test(test_b4_no_count_in_the_header),
    cmocka_unit_test(test_b6_tables_have_room),   cmocka_unit_test(test_b10_any_device_name),
    cmocka_unit_test(test_b11_json_and_directions), cmocka_unit_test(test_clones_start_anew),
};
RUN_TESTS(tests)
