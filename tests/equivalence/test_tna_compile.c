/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Emitted TNA programs through the compiler and the assembler, where they are installed: no warning, a
 * binary, and as many stages as the resource model says, give or take one.
 *
 *   test_tna_compile              the two programs that decide what fits
 *   test_tna_compile more         every other shape, and random ones
 *   test_tna_compile list         what the model says, nothing compiled
 *   test_tna_compile NAME         one shape
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

static const uint8_t small_feat[] = {DUNE_F_IP_TTL, DUNE_F_TCP_WINDOW, DUNE_F_UDP_MAX,
                                     DUNE_F_LEN_1,  DUNE_F_DURATION,   DUNE_F_SYN_COUNT};
static const uint8_t packet_feat[] = {DUNE_F_IP_LEN, DUNE_F_IP_TTL, DUNE_F_DSTPORT, DUNE_F_TCP_WINDOW, DUNE_F_TCP_PSH};
#define TIGHT .feat = tight_feat, .n_feats = DUNE_ARRAY_LEN(tight_feat)
#define LOOSE .feat = loose_feat, .n_feats = DUNE_ARRAY_LEN(loose_feat)
#define SMALL .feat = small_feat, .n_feats = DUNE_ARRAY_LEN(small_feat)
#define PACKET .feat = packet_feat, .n_feats = DUNE_ARRAY_LEN(packet_feat)

enum { MARK = 1, MIRROR = 2, ANY = 4, MTU = 8, NO_EXIT = 16, FIRST = 32 };

struct shape {
    const char *name, *profile;
    uint32_t slots, generations, subs, trees, leaves;
    const uint8_t *feat;
    uint32_t n_feats;
    bool ipv6, refused;
    enum dune_mode mode;
    unsigned flags;
};

/* The programs that have to fit come first: they are the short test. */
static const struct shape shapes[] = {
    {"tight-64k", "tofino1", 65536, 1, 1, 1, 129, TIGHT},
    {"tight-ipv6-32k", "tofino1", 32768, 1, 1, 1, 129, TIGHT, .ipv6 = true},
    {"two-generations-16k", "tofino1", 16384, 2, 1, 1, 129, TIGHT},
    {"two-submodels-32k", "tofino1", 32768, 1, 2, 1, 65, TIGHT, .refused = true},
    {"two-submodels-32k-no-exit", "tofino1", 32768, 1, 2, 1, 65, TIGHT, .flags = NO_EXIT},
    {"loose-32k", "tofino1", 32768, 1, 1, 1, 400, LOOSE},
    {"ipv6-64k-t2", "tofino2", 65536, 1, 1, 1, 129, TIGHT, .ipv6 = true},
    {"two-generations-32k-t2", "tofino2", 32768, 2, 1, 1, 129, TIGHT, .ipv6 = true},
    {"three-trees-t2", "tofino2", 65536, 1, 1, 3, 41, TIGHT},
    {"two-submodels-32k-t2", "tofino2", 32768, 1, 2, 1, 65, TIGHT},
    {"all-actions", "tofino1", 8192, 1, 1, 1, 41, SMALL, .flags = MARK | MIRROR | MTU},
    {"first-published", "tofino1", 8192, 1, 1, 1, 41, SMALL, .flags = MIRROR | ANY | FIRST,
     .mode = DUNE_MODE_PUBLISHED},
    {"packet", "tofino1", 8192, 1, 1, 1, 41, PACKET, .flags = MARK | NO_EXIT, .mode = DUNE_MODE_PACKET},
};
enum { N_SHORT = 2, N_RANDOM = 3 };

/* Marked, steered, dropped and mirrored classes. */
static void add_actions(struct dune_plan *p, unsigned flags)
{
    static const enum dune_action_kind action[2][2] = {{DUNE_ACTION_MARK, DUNE_ACTION_STEER},
                                                  {DUNE_ACTION_DROP, DUNE_ACTION_MIRROR}};
    uint32_t at = 0;

    for (int k = 0; k < 2; k++)
        for (int i = 0; i < 2 && flags & (k ? MIRROR : MARK); i++, at++) {
            p->cls[at].action = action[k][i];
            p->cls[at].action_arg = k || i ? 2 : 46;
            p->cls[at].action_any = k && flags & ANY;
        }
    p->chain_mtu = flags & MTU ? 1600 : 0;
}

static struct dune_plan *empty_plan(const char *profile, uint32_t slots, bool ipv6)
{
    struct dune_plan *p = kit_plan(4, 1);

    p->hash = DUNE_HASH_CRC;
    p->ways = 1;
    p->slots = slots;
    p->timeout = 58593750;
    p->parser = (struct dune_parser_limits){1, 0, 0, 0, ipv6};
    dune_mem_free(p->device[0].profile);
    p->device[0].profile = dune_mem_strdup(profile);
    return p;
}

static struct dune_plan *plan_of(const struct shape *s)
{
    struct dune_plan *p = empty_plan(s->profile, s->slots, s->ipv6);

    p->early_exit = s->flags & NO_EXIT ? 256 : 200;
    p->cls[0].min_confidence = 90;
    if (s->flags & FIRST)
        p->claim = DUNE_CLAIM_FIRST;
    add_actions(p, s->flags);
    p->n_submodels = s->subs;
    p->sub = DUNE_NEW_N(struct dune_submodel, s->subs);
    for (uint32_t k = 0; k < s->subs; k++) {
        chain_submodel(&p->sub[k], s->feat, s->n_feats, s->trees, s->leaves);
        p->sub[k].id = (uint8_t)(k + 1);
        p->sub[k].n = 3;
        p->sub[k].mode = s->mode;
    }
    return p;
}

/* The first plan from seed on that the model says fits: features, modes, claim rule and trees at random. */
static struct dune_plan *random_tofino(uint64_t seed, char name[48])
{
    for (uint64_t k = seed;; k++) {
        const char *profile = k % 2 ? "tofino2" : "tofino1";
        struct dune_plan *p = random_plan(k, 1 + k / 2 % 2, 1), *fresh = empty_plan(profile, 4096, k / 4 % 2);
        struct dune_resources r;
        bool ok = true;

        p->hash = fresh->hash;
        p->ways = fresh->ways;
        p->slots = fresh->slots;
        p->timeout = fresh->timeout;
        p->parser = fresh->parser;
        dune_plan_free(fresh);
        dune_mem_free(p->device[0].profile);
        p->device[0].profile = dune_mem_strdup(profile);
        for (uint32_t s = 0; s < p->n_submodels; s++)
            for (uint32_t j = 0; j < p->sub[s].n_feats; j++)
                ok = ok && dune_catalog[p->sub[s].feat[j].feat].targets & DUNE_ON_TNA;
        dune_resources_estimate(p, 0, dune_profile_find(profile), 1, &r);
        snprintf(name, 48, "random-%llu", (unsigned long long)k);
        if (ok && r.fits)
            return p;
        dune_plan_free(p);
    }
}

static bool listing;

/* Of the assembler's remarks docs/targets/p4.md names the harmless ones; any other fails. */
static void check_remarks(const char *dir, const char *name)
{
    char command[800];

    snprintf(command, sizeof(command), "! grep -Ev 'duplicate hash group|previous definition here|mergeable conflict in stage|"
             "conflicting hash group definition here|Conflicting instruction slot usage for non-exlusive|warning: and table|"
             "hashtable [0-9]+ does not exist in table' %s/d1/d1.out/assembler.log", dir);
    if (system(command) != 0)
        fail_msg("%s: an unknown remark of the assembler", name);
}

static void read_and_compare(const char *dir, const char *name, const struct dune_resources *r)
{
    struct dune_p4_compiled c;
    struct dune_diag d = {0};

    assert_ok(dune_p4_compiled_read(&c, dir, "d1", &d), d);
    printf("# %s: compiler %u stages, %u SRAM, %u map RAMs, %u TCAM, %u cycles\n", name, c.stages, c.sram_blocks,
           c.map_rams, c.tcam_blocks, c.latency_cycles);
    assert_true(c.has_stages);
    if (c.stages > r->stages + 1 || r->stages > c.stages + 1)
        fail_msg("%s: %u stages, the model says %u", name, c.stages, r->stages);
}

/* Emits and compiles a plan of one device. What the model refuses must not be written. */
static void take(const struct dune_plan *p, const char *name, uint32_t generations, bool refused)
{
    char dir[] = "/tmp/dune_tna.XXXXXX", command[512];
    struct dune_p4_files files;
    struct dune_resources r;
    struct dune_diag d = {0};

    dune_resources_estimate(p, 0, dune_profile_find(p->device[0].profile), generations, &r);
    printf("# %s, %s, %u x %u slots: model %u stages, %u SRAM, %u map RAMs, %u TCAM, %u cycles %s\n", name,
           p->device[0].profile, generations, p->slots, r.stages, r.sram_blocks, r.map_rams, r.tcam_blocks,
           r.latency_cycles, r.why);
    fflush(stdout);
    if (listing)
        return;
    if (refused) {
        assert_false(r.fits);
        assert_int_equal(dune_p4_generate_for(p, DUNE_P4_TNA, generations, &files, &d), DUNE_E_INFEASIBLE);
        return;
    }
    assert_true(r.fits);
    assert_non_null(mkdtemp(dir));
    assert_ok(dune_p4_generate_for(p, DUNE_P4_TNA, generations, &files, &d), d);
    assert_ok(dune_p4_files_write(&files, dir, &d), d);
    dune_p4_files_fini(&files);
    snprintf(command, sizeof(command), "%s/d1/compile.sh >%s/log 2>&1", dir, dir);
    if (system(command) != 0)
        fail_msg("%s: does not compile, see %s/log", name, dir);
    snprintf(command, sizeof(command), "! grep -qi warning %s/log", dir);
    if (system(command) != 0)
        fail_msg("%s: warnings, see %s/log", name, dir);
    check_remarks(dir, name);
    read_and_compare(dir, name, &r);
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

static void take_shape(const struct shape *s)
{
    struct dune_plan *p = plan_of(s);

    take(p, s->name, s->generations, s->refused);
    dune_plan_free(p);
}

static void take_random(uint64_t seed)
{
    char name[48];
    struct dune_plan *p = random_tofino(seed, name);

    take(p, name, 1, false);
    dune_plan_free(p);
}

static void test_short(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SHORT; i++)
        take_shape(&shapes[i]);
}

static void test_more(void **state)
{
    (void)state;
    for (size_t i = N_SHORT; i < DUNE_ARRAY_LEN(shapes); i++)
        take_shape(&shapes[i]);
}

static void test_random(void **state)
{
    (void)state;
    for (uint64_t k = 1; k <= N_RANDOM; k++)
        take_random(100 * k);
}

static const char *wanted;

static void test_wanted(void **state)
{
    bool found = strncmp(wanted, "random-", 7) == 0;

    (void)state;
    if (found)
        take_random(strtoull(wanted + 7, NULL, 10));
    for (size_t i = 0; i < DUNE_ARRAY_LEN(shapes) && !found; i++) {
        found = strcmp(shapes[i].name, wanted) == 0;
        if (found)
            take_shape(&shapes[i]);
    }
    assert_true(found);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(test_short)};
static const struct CMUnitTest more_tests[] = {cmocka_unit_test(test_more), cmocka_unit_test(test_random)};
static const struct CMUnitTest all_tests[] = {cmocka_unit_test(test_short), cmocka_unit_test(test_more),
                                              cmocka_unit_test(test_random)};
static const struct CMUnitTest one_test[] = {cmocka_unit_test(test_wanted)};

int main(int argc, char **argv)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    listing = argc > 1 && strcmp(argv[1], "list") == 0;
    if (listing)
        return cmocka_run_group_tests(all_tests, NULL, NULL);
    if (!installed("p4c-barefoot") || !installed("bfas")) {
        printf("1..0 # SKIP p4c-barefoot and bfas are not installed\n");
        return 0;
    }
    if (argc == 1)
        return cmocka_run_group_tests(tests, NULL, NULL);
    if (strcmp(argv[1], "more") == 0)
        return cmocka_run_group_tests(more_tests, NULL, NULL);
    wanted = argv[1];
    return cmocka_run_group_tests(one_test, NULL, NULL);
}
