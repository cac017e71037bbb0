/* SPDX-License-Identifier: Apache-2.0 */
#include "chain_model.h"
#include "random_plan.h"

/* The five sub-models of the published ToN-IoT tutorial run. */
static void published(void **state)
{
    static const struct {
        uint32_t feats, leaves, blocks;
    } run[] = {{5, 85, 7}, {10, 173, 14}, {11, 129, 14}, {9, 129, 12}, {9, 41, 10}};
    uint8_t feats[16];
    uint32_t sum = 0;

    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(run); i++) {
        for (uint32_t j = 0; j < run[i].feats; j++)
            feats[j] = j % 2 ? DUNE_F_IP_LEN : DUNE_F_TCP_SYN; /* up to 16 bits are one block */
        assert_int_equal(dune_published_blocks(feats, run[i].feats, run[i].leaves, 1),
                         run[i].blocks);
        sum += run[i].blocks;
    }
    assert_int_equal(sum, 57); /* 19.79 % of 288 */
    feats[0] = DUNE_F_GAP_MAX;
    feats[1] = DUNE_F_LEN_TOTAL; /* published with 16 bits */
    assert_int_equal(dune_published_blocks(feats, 2, 88, 3), 2 + 1 + 3 * 3);
}

/* Prefixes in order must give every value its row. */
static uint32_t naive_prefixes(uint32_t lo, uint32_t hi)
{
    uint32_t n = 0, need = lo;

    /* Largest aligned block inside [0, hi] that holds the lowest value not yet matched. */
    while (need <= hi) {
        uint32_t size = 1;

        while (size < 65536 && (need & ~(2 * size - 1)) + 2 * size - 1 <= hi)
            size *= 2;
        need = (need & ~(size - 1)) + size;
        n++;
    }
    return n;
}

static void ternary(void **state)
{
    struct dune_range_row row;
    struct dune_range_row wide[] = {{0, 0}, {1, UINT32_MAX - 1}, {UINT32_MAX, UINT32_MAX}};

    (void)state;
    for (row.lo = 0; row.lo < 128; row.lo++)
        for (row.hi = row.lo; row.hi < 128; row.hi++)
            assert_int_equal(dune_range_rows_ternary(&row, 1), naive_prefixes(row.lo, row.hi));
    assert_int_equal(dune_range_rows_ternary(wide, 3), 1 + 32 + 1);
}

static void profiles(void **state)
{
    (void)state;
    for (size_t i = 0; dune_profile_at(i); i++)
        assert_ptr_equal(dune_profile_find(dune_profile_at(i)->name), dune_profile_at(i));
    assert_null(dune_profile_find("tofino"));
    assert_int_equal(dune_profile_find("tofino1")->stages, 12);
    assert_int_equal(dune_profile_find("xdp")->targets, DUNE_ON_XDP);
}

/*
 * Programs that were compiled for the switch, and the estimate; SRAM and TCAM as reported. Those with 0 there are
 * prototypes written by hand, without filter, thresholds and early exit: only their stages are compared.
 */
static const struct compiled {
    const char *profile;
    uint32_t slots, generations, subs, trees, leaves;
    bool loose, ipv6;
    uint32_t stages, sram, tcam;
} compiled[] = {
    {"tofino1", 65536, 1, 1, 1, 129, false, false, 12, 250, 27},
    {"tofino1", 32768, 1, 1, 1, 129, false, true, 12, 187, 32},
    {"tofino1", 16384, 2, 1, 1, 129, false, false, 12, 174, 30},
    {"tofino2", 65536, 1, 1, 1, 129, false, true, 15, 289, 33},
    {"tofino2", 32768, 2, 1, 1, 129, false, true, 14, 289, 35},
    {"tofino2", 65536, 1, 1, 3, 41, false, false, 18, 270, 35},
    {"tofino1", 32768, 1, 1, 1, 129, false, false, 12, 0, 0},
    {"tofino1", 65536, 2, 1, 1, 129, false, false, 16, 0, 0},
    {"tofino1", 32768, 2, 1, 1, 129, false, false, 13, 0, 0},
    {"tofino2", 32768, 2, 1, 1, 129, false, false, 14, 0, 0},
    {"tofino1", 65536, 1, 2, 1, 65, false, false, 13, 0, 0},
    {"tofino1", 32768, 1, 2, 1, 65, false, false, 12, 0, 0},
    {"tofino1", 65536, 1, 1, 3, 41, false, false, 17, 0, 0},
    {"tofino1", 65536, 1, 1, 1, 500, true, false, 12, 0, 0},
    {"tofino2", 65536, 1, 1, 1, 400, true, false, 12, 0, 0},
};

static bool is_near(uint32_t have, uint32_t want, uint32_t slack)
{
    return want == 0 || (have <= want + slack && want <= have + slack);
}

static void against_the_compiler(void **state)
{
    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(compiled); i++) {
        const struct compiled *c = &compiled[i];
        struct dune_plan *p = dune_plan_new();
        struct dune_resources e;
        const struct dune_profile *prof = dune_profile_find(c->profile);

        add_devices(p, 1);
        p->hash = DUNE_HASH_CRC;
        p->ways = 1;
        p->slots = c->slots;
        p->parser = (struct dune_parser_limits){1, 0, 0, 0, c->ipv6};
        p->n_submodels = c->subs;
        p->sub = DUNE_NEW_N(struct dune_submodel, c->subs);
        for (uint32_t s = 0; s < c->subs; s++)
            chain_submodel(&p->sub[s], c->loose ? loose_feat : tight_feat, c->loose ? 10 : 6,
                           c->trees, c->leaves);
        dune_resources_estimate(p, 0, prof, c->generations, &e);
        printf("# %s: stages %u/%u sram %u/%u tcam %u/%u %s\n", c->profile, e.stages, c->stages,
               e.sram_blocks, c->sram, e.tcam_blocks, c->tcam, e.why);
        assert_true(is_near(e.stages, c->stages, 1));
        assert_true(is_near(e.sram_blocks, c->sram, c->sram / 20));
        assert_true(is_near(e.tcam_blocks, c->tcam, 5));
        dune_plan_free(p);
    }
}

/* What has to fit, with filter, thresholds and early exit, and what has not. */
static const struct target {
    const char *profile;
    uint32_t slots, generations, trees, leaves;
    bool ipv6, fits;
} target[] = {
    {"tofino1", 65536, 1, 1, 129, false, true}, {"tofino1", 32768, 1, 1, 129, true, true},
    {"tofino1", 65536, 1, 1, 129, true, false}, {"tofino1", 16384, 2, 1, 129, false, true},
    {"tofino1", 32768, 2, 1, 129, false, false}, {"tofino1", 65536, 1, 3, 41, false, false},
    {"tofino2", 32768, 2, 1, 129, false, true}, {"tofino2", 65536, 1, 1, 129, true, true},
    {"tofino2", 65536, 1, 3, 41, false, true},
};

static void targets(void **state)
{
    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(target); i++) {
        const struct target *c = &target[i];
        struct dune_plan *p = dune_plan_new();
        const struct dune_profile *prof = dune_profile_find(c->profile);
        struct dune_resources e;

        add_devices(p, 1);
        p->hash = DUNE_HASH_CRC;
        p->ways = 1;
        p->slots = c->slots;
        p->early_exit = 200;
        p->parser = (struct dune_parser_limits){1, 0, 0, 0, c->ipv6};
        p->n_submodels = 1;
        p->sub = DUNE_NEW(struct dune_submodel);
        chain_submodel(&p->sub[0], tight_feat, 6, c->trees, c->leaves);
        dune_resources_estimate(p, 0, prof, c->generations, &e);
        printf("# %s, %u x %u slots, %u trees%s: %u stages, %u SRAM, %u TCAM, %u map RAMs, %u cycles %s\n",
               c->profile, c->generations, c->slots, c->trees, c->ipv6 ? ", IPv6" : "", e.stages,
               e.sram_blocks, e.tcam_blocks, e.map_rams, e.latency_cycles, e.why);
        assert_int_equal(e.fits, c->fits);
        assert_true(e.fits || strlen(e.why) > 0);
        dune_plan_free(p);
    }
}

static void refusals(void **state)
{
    struct dune_plan *p = random_plan(9, 2, 3, 20);
    struct dune_resources e;

    (void)state;
    dune_resources_estimate(p, 0, NULL, 2, &e);
    assert_true(e.fits);
    assert_int_equal(e.stages, 0);
    assert_int_equal(e.trees, 3);
    assert_true(e.leaves <= 60 && e.ternary_rows == e.leaves && e.range_rows > 0);
    assert_int_equal(e.vote_rows, 64);
    assert_true(e.software_bytes > 65536 * 4 * 2 * 24);
    dune_resources_estimate(p, 0, dune_profile_find("tofino1"), 2, &e);
    assert_false(e.fits);
    assert_string_equal(e.why, "hash siphash; this profile computes crc only");
    p->hash = DUNE_HASH_CRC;
    dune_resources_estimate(p, 0, dune_profile_find("bmv2"), 2, &e);
    assert_string_equal(e.why, "4 ways, at most 1");
    p->ways = 1;
    dune_resources_estimate(p, 0, dune_profile_find("bmv2"), 2, &e);
    assert_true(e.fits);
    p->parser = (struct dune_parser_limits){1, 0, 0, 0, false};
    dune_resources_estimate(p, 0, dune_profile_find("tofino1"), 2, &e);
    assert_string_equal(e.why, "sub-model 10: 3 trees, at most 1");
    p->claim = DUNE_CLAIM_VOTES;
    dune_resources_estimate(p, 0, dune_profile_find("xdp"), 2, &e);
    assert_false(e.fits);
    dune_resources_estimate(p, 0, dune_profile_find("engine"), 2, &e);
    assert_true(e.fits);
    dune_plan_free(p);
}

static void retarget(void **state)
{
    struct dune_plan *p = random_plan(9, 2, 1, 20);
    struct dune_resources e;

    (void)state;
    dune_plan_retarget(p, dune_profile_find("engine"), 2);
    assert_true(p->hash == DUNE_HASH_SIPHASH && p->slots == 65536 && p->ways == 4 &&
                p->parser.ipv6);
    dune_plan_retarget(p, dune_profile_find("tofino1"), 2);
    assert_true(p->hash == DUNE_HASH_CRC && p->ways == 1 && p->parser.ipv6 && p->parser.max_vlan == 1);
    assert_true(p->slots < 65536);
    dune_resources_estimate(p, 1, dune_profile_find("tofino1"), 2, &e);
    assert_true(e.fits);
    dune_plan_free(p);
    p = random_plan(9, 1, 3, 20); /* too many trees for any number of slots */
    dune_plan_retarget(p, dune_profile_find("tofino1"), 2);
    assert_int_equal(p->slots, 65536);
    dune_plan_free(p);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(published), cmocka_unit_test(ternary),
    cmocka_unit_test(profiles),  cmocka_unit_test(against_the_compiler),
    cmocka_unit_test(targets),   cmocka_unit_test(refusals),
    cmocka_unit_test(retarget),
};

RUN_TESTS(tests)
