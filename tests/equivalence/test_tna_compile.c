/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Emitted TNA programs through the compiler and the assembler, where they are installed: no warning, a
 * binary, and as many stages as the resource model says, give or take one.
 */
#include "dune/p4.h"
#include "unit/plan/chain_model.h"
#include "unit/targets/random_chain.h"

static bool installed(const char *tool)
{
    char command[128];

    snprintf(command, sizeof(command), "command -v %s >/dev/null 2>&1", tool);
    return system(command) == 0;
}

struct shape {
    const char *name, *profile;
    uint32_t slots, generations, subs, trees, leaves;
    bool loose, ipv6, refused;
};

static const struct shape shapes[] = {
    {"tight, IPv4, 64k", "tofino1", 65536, 1, 1, 1, 129, false, false},
    {"tight, IPv6, 32k", "tofino1", 32768, 1, 1, 1, 129, false, true},
};
static const struct shape more_shapes[] = {
    {"tight, two generations of 16k", "tofino1", 16384, 2, 1, 1, 129, false, false},
    {"two sub-models, 32k", "tofino1", 32768, 1, 2, 1, 65, false, false, true},
    {"loose, 32k", "tofino1", 32768, 1, 1, 1, 400, true, false},
    {"tight, IPv6, 64k, Tofino 2", "tofino2", 65536, 1, 1, 1, 129, false, true},
    {"two generations of 32k, Tofino 2", "tofino2", 32768, 2, 1, 1, 129, false, true},
    {"three trees, Tofino 2", "tofino2", 65536, 1, 1, 3, 41, false, false},
};

static struct dune_plan *plan_of(const struct shape *s)
{
    struct dune_plan *p = kit_plan(2, 1);

    p->hash = DUNE_HASH_CRC;
    p->ways = 1;
    p->slots = s->slots;
    p->timeout = 58593750;
    p->early_exit = 200;
    p->cls[0].min_confidence = 90;
    p->parser = (struct dune_parser_limits){1, 0, 0, 0, s->ipv6};
    dune_mem_free(p->device[0].profile);
    p->device[0].profile = dune_mem_strdup(s->profile);
    p->n_submodels = s->subs;
    p->sub = DUNE_NEW_N(struct dune_submodel, s->subs);
    for (uint32_t k = 0; k < s->subs; k++) {
        chain_submodel(&p->sub[k], s->loose ? loose_feat : tight_feat, s->loose ? 10 : 6, s->trees, s->leaves);
        p->sub[k].id = (uint8_t)(k + 1);
        p->sub[k].n = 3;
        p->sub[k].mode = DUNE_MODE_RUNNING;
    }
    return p;
}

static void compile(const struct shape *s)
{
    char dir[] = "/tmp/dune_tna.XXXXXX", command[512];
    struct dune_plan *p = plan_of(s);
    struct dune_p4_files files;
    struct dune_p4_compiled c;
    struct dune_resources r;
    struct dune_diag d = {0};

    dune_resources_estimate(p, 0, dune_profile_find(s->profile), s->generations, &r);
    if (s->refused) { /* the model says that it does not fit: then nothing may be written */
        assert_false(r.fits);
        assert_int_equal(dune_p4_generate_for(p, DUNE_P4_TNA, s->generations, &files, &d), DUNE_E_INFEASIBLE);
        dune_plan_free(p);
        return;
    }
    assert_non_null(mkdtemp(dir));
    assert_ok(dune_p4_generate_for(p, DUNE_P4_TNA, s->generations, &files, &d), d);
    assert_ok(dune_p4_files_write(&files, dir, &d), d);
    dune_p4_files_fini(&files);
    snprintf(command, sizeof(command), "%s/d1/compile.sh >%s/log 2>&1", dir, dir);
    if (system(command) != 0)
        fail_msg("%s: does not compile, see %s/log", s->name, dir);
    snprintf(command, sizeof(command), "! grep -qi warning %s/log", dir);
    if (system(command) != 0)
        fail_msg("%s: warnings, see %s/log", s->name, dir);
    assert_ok(dune_p4_compiled_read(&c, dir, "d1", &d), d);
    printf("# %s: model %u stages, compiler %u\n", s->name, r.stages, c.stages);
    assert_true(r.fits && c.has_stages);
    assert_true(c.stages <= r.stages + 1 && r.stages <= c.stages + 1);
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
    dune_plan_free(p);
}

static void test_shapes(void **state)
{
    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(shapes); i++)
        compile(&shapes[i]);
}

static void test_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(more_shapes); i++)
        compile(&more_shapes[i]);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(test_shapes)};
static const struct CMUnitTest more_tests[] = {cmocka_unit_test(test_more)};

int main(int argc, char **argv)
{
    (void)argv;
    if (!installed("p4c-barefoot") || !installed("bfas")) {
        printf("1..0 # SKIP p4c-barefoot and bfas are not installed\n");
        return 0;
    }
    cmocka_set_message_output(CM_OUTPUT_TAP);
    if (argc > 1)
        return cmocka_run_group_tests(more_tests, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
