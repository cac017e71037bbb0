/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that the P4 targets refuse, with device, limit and number. A refused plan writes nothing. The exit
 * statuses of the command are in tests/cli/emit.sh.
 */
#include "dune/p4.h"
#include "unit/plan/chain_model.h"
#include "unit/targets/random_chain.h"

static void set_profile(struct dune_plan *p, const char *profile)
{
    dune_mem_free(p->device[0].profile);
    p->device[0].profile = dune_mem_strdup(profile);
}

/* A plan that fits: one sub-model over six features. */
static struct dune_plan *good_plan(const char *profile)
{
    struct dune_plan *p = kit_plan(2, 1);

    p->hash = DUNE_HASH_CRC;
    p->ways = 1;
    p->slots = 16384;
    p->timeout = 58593750;
    p->parser = dune_profile_find(profile)->parser;
    set_profile(p, profile);
    p->n_submodels = 1;
    p->sub = DUNE_NEW_N(struct dune_submodel, 2);
    chain_submodel(&p->sub[0], tight_feat, 6, 1, 65);
    p->sub[0].id = 3;
    p->sub[0].n = 3;
    return p;
}

static void second_submodel(struct dune_plan *p)
{
    chain_submodel(&p->sub[1], tight_feat, 6, 1, 65);
    p->sub[1].id = 4;
    p->sub[1].n = 3;
    p->n_submodels = 2;
}

static void no_votes(struct dune_plan *p) { p->claim = DUNE_CLAIM_VOTES; }
static void no_siphash(struct dune_plan *p) { p->hash = DUNE_HASH_SIPHASH; }
static void no_syn_timeout(struct dune_plan *p) { p->syn_timeout = 1000; }
static void no_ways(struct dune_plan *p) { p->ways = 4; }
static void too_many_slots(struct dune_plan *p) { p->slots = 1u << 21; }
static void other_slots(struct dune_plan *p) { p->slots = 1u << 17; }
static void half_too_many(struct dune_plan *p) { p->slots = 65536; }
static void long_timeout(struct dune_plan *p) { p->timeout = UINT64_C(1) << 31; }
static void no_timeout(struct dune_plan *p) { p->timeout = DUNE_TIMEOUT_NONE; }
static void options(struct dune_plan *p) { p->parser.max_ipv4_options = 40; }
static void tags(struct dune_plan *p) { p->parser.max_vlan = 2; }
static void extensions(struct dune_plan *p) { p->parser.max_ipv6_ext = 1; }
static void engine(struct dune_plan *p) { set_profile(p, "engine"); }
static void bmv2(struct dune_plan *p) { set_profile(p, "bmv2"); }
static void tofino(struct dune_plan *p) { set_profile(p, "tofino2"); }

static void add_trees(struct dune_plan *p, uint32_t n)
{
    struct dune_submodel *sm = &p->sub[0];

    sm->tree = dune_mem_realloc(sm->tree, n, sizeof(*sm->tree));
    memset(sm->tree + sm->n_trees, 0, (n - sm->n_trees) * sizeof(*sm->tree));
    for (; sm->n_trees < n; sm->n_trees++) {
        struct dune_plan_tree *tr = &sm->tree[sm->n_trees];

        tr->n_leaves = 1;
        tr->match = dune_mem_strdup("");
        tr->leaf = DUNE_NEW(struct dune_plan_leaf);
        *tr->leaf = (struct dune_plan_leaf)KIT_CLAIM(1, 30);
        for (uint32_t j = 0; j < sm->n_feats; j++) {
            struct dune_plan_feature *f = &sm->feat[j];

            f->n_bits = dune_mem_realloc(f->n_bits, n, sizeof(*f->n_bits));
            f->code = dune_mem_realloc(f->code, n, sizeof(*f->code));
            f->n_bits[sm->n_trees] = 0;
            f->code[sm->n_trees] = dune_mem_strdup("");
        }
    }
}

static void three_trees(struct dune_plan *p) { add_trees(p, 3); }
static void five_trees(struct dune_plan *p) { add_trees(p, 5); }
static void nine_trees(struct dune_plan *p) { add_trees(p, 9); }

static void two_at_32k(struct dune_plan *p)
{
    second_submodel(p);
    p->slots = 32768;
    p->early_exit = 200; /* then each has a verdict of its own */
    p->parser.ipv6 = false;
}

static void wide_key(struct dune_plan *p)
{
    p->n_submodels = 2;
    chain_submodel(&p->sub[1], tight_feat, 6, 1, 520);
    p->sub[1].id = 4;
    p->sub[1].n = 3;
}

static const struct refusal {
    const char *profile;
    enum dune_p4_arch arch;
    uint32_t generations;
    void (*spoil)(struct dune_plan *p);
    const char *why; /* behind "device d1: " */
} refusals[] = {
    {"bmv2", DUNE_P4_V1MODEL, 2, no_votes, "claim rule votes runs in the reference engine only"},
    {"bmv2", DUNE_P4_V1MODEL, 2, no_siphash, "flow_state.hash is siphash, this target computes crc only"},
    {"bmv2", DUNE_P4_V1MODEL, 2, no_syn_timeout, "flow_state.syn_timeout, this target has one time-out for all flows"},
    {"bmv2", DUNE_P4_V1MODEL, 2, no_ways, "4 ways, a register holds 1"},
    {"bmv2", DUNE_P4_V1MODEL, 2, nine_trees, "sub-model 3 has 9 trees, the vote table holds at most 7"},
    {"bmv2", DUNE_P4_V1MODEL, 2, too_many_slots, "profile bmv2: 2097152 slots, at most 1048576"},
    {"bmv2", DUNE_P4_V1MODEL, 2, tofino, "profile tofino2 is not one of p4-v1model; compile the plan for bmv2"},
    {"bmv2", DUNE_P4_V1MODEL, 2, engine, "profile engine is not one of p4-v1model; compile the plan for bmv2"},
    {"tofino1", DUNE_P4_TNA, 1, no_votes, "claim rule votes runs in the reference engine only"},
    {"tofino1", DUNE_P4_TNA, 1, no_siphash, "flow_state.hash is siphash, this target computes crc only"},
    {"tofino1", DUNE_P4_TNA, 1, no_syn_timeout, "flow_state.syn_timeout, this target has one time-out for all flows"},
    {"tofino1", DUNE_P4_TNA, 1, no_ways, "4 ways, a register holds 1"},
    {"tofino1", DUNE_P4_TNA, 1, bmv2, "profile bmv2 is not one of p4-tna; compile the plan for tofino1 or tofino2"},
    {"tofino1", DUNE_P4_TNA, 1, three_trees, "profile tofino1: sub-model 3: 3 trees, at most 1"},
    {"tofino2", DUNE_P4_TNA, 1, five_trees, "profile tofino2: sub-model 3: 5 trees, at most 3"},
    {"tofino2", DUNE_P4_TNA, 1, nine_trees, "sub-model 3 has 9 trees, the vote table holds at most 7"},
    {"tofino1", DUNE_P4_TNA, 1, wide_key, "profile tofino1: sub-model 4: code key of 519 bits, at most 499"},
    {"tofino1", DUNE_P4_TNA, 1, other_slots, "profile tofino1: 131072 slots, at most 65536"},
    {"tofino1", DUNE_P4_TNA, 2, half_too_many, "profile tofino1: 2 x 65536 slots, an index reaches 65536"},
    {"tofino1", DUNE_P4_TNA, 1, two_at_32k, "profile tofino1: 13 stages, there are 12"},
    {"tofino1", DUNE_P4_TNA, 1, long_timeout, "profile tofino1: time-out above 2147483647 ticks"},
    {"tofino2", DUNE_P4_TNA, 1, no_timeout, "profile tofino2: time-out above 2147483647 ticks"},
    {"tofino1", DUNE_P4_TNA, 1, options, "profile tofino1: parser limits wider than the profile's"},
    {"tofino1", DUNE_P4_TNA, 1, tags, "profile tofino1: parser limits wider than the profile's"},
    {"tofino2", DUNE_P4_TNA, 1, extensions, "profile tofino2: parser limits wider than the profile's"},
};

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(refusals); i++) {
        const struct refusal *x = &refusals[i];
        struct dune_plan *p = good_plan(x->profile);
        struct dune_p4_files files = {0};
        struct dune_diag d = {0};
        char want[200];

        snprintf(want, sizeof(want), "device d1: %s", x->why);
        x->spoil(p);
        if (dune_p4_generate_for(p, x->arch, x->generations, &files, &d) != DUNE_E_INFEASIBLE)
            fail_msg("not refused: %s", x->why);
        assert_string_equal(d.msg, want);
        assert_int_equal(files.len, 0);
        dune_plan_free(p);
    }
}

/* And what it must not refuse: the same plans before they were spoilt. */
static void test_accepted(void **state)
{
    static const char *const profile[] = {"bmv2", "tofino1", "tofino2"};

    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(profile); i++) {
        struct dune_plan *p = good_plan(profile[i]);
        struct dune_p4_files files;
        struct dune_diag d = {0};

        assert_ok(dune_p4_generate_for(p, i ? DUNE_P4_TNA : DUNE_P4_V1MODEL, 1, &files, &d), d);
        dune_p4_files_fini(&files);
        dune_plan_free(p);
    }
}

/* A feature that a target cannot compute is refused by name, from the catalog. Today there is none: every feature
 * of the catalog has an emitted program. */
static void test_every_feature(void **state)
{
    static const struct dune_plan_leaf leaf[] = {KIT_CLAIM(1, 200), KIT_CLAIM(2, 100)};

    (void)state;
    for (int f = 0; f < DUNE_N_FEATURES; f++)
        for (int arch = DUNE_P4_V1MODEL; arch <= DUNE_P4_TNA; arch++) {
            struct dune_plan *p = kit_plan(2, 1);
            uint32_t thr = dune_feature_max(f) / 2;
            struct dune_p4_files files;
            struct dune_diag d = {0};
            const char *profile = arch == DUNE_P4_TNA ? "tofino2" : "bmv2";
            bool can = dune_catalog[f].targets & (arch == DUNE_P4_TNA ? DUNE_ON_TNA : DUNE_ON_V1MODEL);

            kit_sub(p, 1, 0, 8, DUNE_MODE_RUNNING, f, 1, &thr, leaf);
            p->hash = DUNE_HASH_CRC;
            p->ways = 1;
            p->timeout = 58593750;
            p->parser = dune_profile_find(profile)->parser;
            set_profile(p, profile);
            assert_int_equal(dune_p4_generate_for(p, (enum dune_p4_arch)arch, 1, &files, &d), can ? 0 : DUNE_E_INFEASIBLE);
            assert_true(can || strstr(d.msg, dune_catalog[f].name));
            if (can)
                dune_p4_files_fini(&files);
            dune_plan_free(p);
        }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_refusals),
    cmocka_unit_test(test_accepted),
    cmocka_unit_test(test_every_feature),
};
RUN_TESTS(tests)
