/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Emitted TNA programs through the compiler and the assembler, where they are installed: no warning, a
 * binary, and as many stages as the resource model says, give or take one.
 *
 *   test_tna_compile              the two programs that decide what fits
 *   test_tna_compile more         every other shape, and random ones
 *   test_tna_compile list         what the model says, nothing compiled
 *   test_tna_compile NAME         one shape; random-SEED, wild-SEED: one random plan
 *   test_tna_compile PLAN.json    every device of a plan; with a further word only what the model says
 */
#include <sys/wait.h>

#include "dune/p4.h"
#include "unit/plan/chain_model.h"
#include "unit/targets/wild_chain.h"

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
enum { N_SHORT = 2, BROKEN = 5 };

/* The first plan of a seed and after that fits. */
struct draw {
    uint64_t seed;
    bool wild;
};

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

/* The same of the wildest plans: every feature of the catalog that the target computes. */
static struct dune_plan *wild_tofino(uint64_t seed, char name[48])
{
    for (uint64_t k = seed;; k += 1000) {
        static const struct wild_limits lim[2] = {{"tofino1", DUNE_ON_TNA, 1, 32768, 150},
                                                  {"tofino2", DUNE_ON_TNA, 3, 32768, 150}};
        struct dune_plan *p = wild_plan(k, 1, &lim[k % 2]);
        struct dune_resources r;

        dune_resources_estimate(p, 0, dune_profile_find(lim[k % 2].profile), 1, &r);
        snprintf(name, 48, "wild-%llu", (unsigned long long)k);
        if (r.fits)
            return p;
        dune_plan_free(p);
    }
}

static bool listing;

/* compile.sh says that this compiler breaks parsers: what it placed is compared nevertheless, and the test skipped. */
static bool broken_compiler;

/* Of the assembler's remarks docs/targets/p4.md names the harmless ones; any other fails. */
static void check_remarks(const char *dir, const char *device, const char *name)
{
    char command[800];

    snprintf(command, sizeof(command), "! grep -Ev 'duplicate hash group|previous definition here|mergeable conflict in stage|"
             "conflicting hash group definition here|Conflicting instruction slot usage for non-exlusive|warning: and table|"
             "hashtable [0-9]+ does not exist in table%s' %s/%s/%s.out/assembler.log",
             broken_compiler ? "|Can.t match parser state" : "", dir, device, device);
    if (system(command) != 0)
        fail_msg("%s: an unknown remark of the assembler", name);
}

static void skip_if_broken(void)
{
    if (!broken_compiler)
        return;
    printf("# this p4c-barefoot loses what a parser selects on (pull request 5063, until 5753); stages and blocks agree\n");
    skip();
}

static void read_and_compare(const char *dir, const char *device, const char *name, const struct dune_resources *r)
{
    struct dune_p4_compiled c;
    struct dune_diag d = {0};

    assert_ok(dune_p4_compiled_read(&c, dir, device, &d), d);
    printf("# %s %s: compiler %u stages, %u SRAM, %u map RAMs, %u TCAM, %u cycles\n", name, device, c.stages, c.sram_blocks,
           c.map_rams, c.tcam_blocks, c.latency_cycles);
    assert_true(c.has_stages);
    if (c.stages > r->stages + 1 || r->stages > c.stages + 1)
        fail_msg("%s: %u stages, the model says %u", name, c.stages, r->stages);
}

/* Emits and compiles device i of a plan. What the model refuses must not be written. */
static void take(const struct dune_plan *p, uint32_t i, const char *name, uint32_t generations, bool refused)
{
    char dir[] = "/tmp/dune_tna.XXXXXX", command[512];
    const char *device = p->device[i].name;
    struct dune_p4_files files;
    struct dune_resources r;
    struct dune_diag d = {0};
    int status;

    dune_resources_estimate(p, i, dune_profile_find(p->device[i].profile), generations, &r);
    printf("# %s, %s, %u x %u slots: model %u stages, %u SRAM, %u map RAMs, %u TCAM, %u cycles %s\n", name,
           p->device[i].profile, generations, p->slots, r.stages, r.sram_blocks, r.map_rams, r.tcam_blocks,
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
    snprintf(command, sizeof(command), "%s/%s/compile.sh >%s/log 2>&1", dir, device, dir);
    status = system(command);
    broken_compiler |= WIFEXITED(status) && WEXITSTATUS(status) == BROKEN;
    if (status != 0 && !broken_compiler)
        fail_msg("%s: does not compile, see %s/log", name, dir);
    snprintf(command, sizeof(command), "! grep -qi warning %s/log", dir);
    if (system(command) != 0)
        fail_msg("%s: warnings, see %s/log", name, dir);
    check_remarks(dir, device, name);
    read_and_compare(dir, device, name, &r);
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

static void take_shape(void **state)
{
    const struct shape *s = *state;
    struct dune_plan *p = plan_of(s);

    take(p, 0, s->name, s->generations, s->refused);
    dune_plan_free(p);
    skip_if_broken();
}

static void take_drawn(void **state)
{
    const struct draw *draw = *state;
    char name[48];
    struct dune_plan *p = draw->wild ? wild_tofino(draw->seed, name) : random_tofino(draw->seed, name);

    take(p, 0, name, 1, false);
    dune_plan_free(p);
    skip_if_broken();
}

/* Every device of a plan, with as many generations as fit. */
static void take_plan(void **state)
{
    struct dune_plan *p;
    struct dune_diag d = {0};

    assert_ok(dune_plan_read(&p, *state, &d), d);
    for (uint32_t i = 0; i < p->n_devices; i++) {
        struct dune_resources two;

        dune_resources_estimate(p, i, dune_profile_find(p->device[i].profile), 2, &two);
        take(p, i, p->device[i].name, two.fits ? 2 : 1, false);
    }
    dune_plan_free(p);
    skip_if_broken();
}

static const struct draw draws[] = {{100}, {200}, {300}, {1, true}, {2, true}, {3, true}};
enum { N_SHAPES = DUNE_ARRAY_LEN(shapes), N_DRAWS = DUNE_ARRAY_LEN(draws) };

static struct CMUnitTest test_of(const char *name, CMUnitTestFunction fn, const void *state)
{
    return (struct CMUnitTest){name, fn, NULL, NULL, (void *)(uintptr_t)state};
}

/* The tests of an argument, one for each program. */
static size_t choose(const char *what, struct CMUnitTest *test, struct draw *one)
{
    bool all = what && strcmp(what, "list") == 0, more = all || (what && strcmp(what, "more") == 0);
    size_t n = 0;

    for (size_t i = 0; i < N_SHAPES; i++)
        if (all || (more && i >= N_SHORT) || (!what && i < N_SHORT) || (what && strcmp(what, shapes[i].name) == 0))
            test[n++] = test_of(shapes[i].name, take_shape, &shapes[i]);
    for (size_t i = 0; i < N_DRAWS && more; i++)
        test[n++] = test_of(draws[i].wild ? "wild" : "random", take_drawn, &draws[i]);
    if (n || !what)
        return n;
    one->wild = strncmp(what, "wild-", 5) == 0;
    if (one->wild || strncmp(what, "random-", 7) == 0) {
        one->seed = strtoull(strchr(what, '-') + 1, NULL, 10);
        test[n++] = test_of(what, take_drawn, one);
    } else {
        test[n++] = test_of(what, take_plan, what);
    }
    return n;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : NULL;
    struct CMUnitTest test[N_SHAPES + N_DRAWS];
    struct draw one = {0};
    size_t n = choose(what, test, &one);

    cmocka_set_message_output(CM_OUTPUT_TAP);
    listing = (what && strcmp(what, "list") == 0) || argc > 2;
    if (!listing && (!installed("p4c-barefoot") || !installed("bfas"))) {
        printf("1..0 # SKIP p4c-barefoot and bfas are not installed\n");
        return 0;
    }
    return _cmocka_run_group_tests("programs", test, n, NULL, NULL);
}
