/* SPDX-License-Identifier: Apache-2.0 */
/* The TNA program where no compiler is: its arithmetic of time against the wide clock, its vote tables
 * against the rule, what it refuses, and the reports of a compiler. */
#include "dune/device.h"
#include "dune/p4.h"
#include "unit/targets/random_chain.h"

/* --- programs -------------------------------------------------------------------------------------------- */

static void fit(struct dune_plan *p, const char *profile)
{
    p->hash = DUNE_HASH_CRC;
    p->ways = 1;
    p->slots = 16384;
    p->parser = dune_profile_find(profile)->parser;
    p->timeout = 58593750;
    for (uint32_t i = 0; i < p->n_devices; i++) {
        dune_mem_free(p->device[i].profile);
        p->device[i].profile = dune_mem_strdup(profile);
    }
}

static char *program_of(const struct dune_plan *p, uint32_t generations)
{
    struct dune_p4_files files;
    struct dune_diag d = {0};
    char *text;

    assert_ok(dune_p4_generate_for(p, DUNE_P4_TNA, generations, &files, &d), d);
    text = dune_mem_strdup(dune_p4_file_find(&files, "d1/d1.p4")->text);
    dune_p4_files_fini(&files);
    return text;
}

/* A model with gaps, so that all registers of time are there. */
static struct dune_plan *timed_plan(void)
{
    static const struct dune_plan_leaf leaf[] = {KIT_CLAIM(1, 200), KIT_CLAIM(2, 100)};
    struct dune_plan *p = kit_plan(2, 1);
    uint32_t thr = 1000;

    kit_sub(p, 1, 0, 2, DUNE_MODE_RUNNING, DUNE_F_GAP_MAX, 1, &thr, leaf);
    fit(p, "tofino1");
    return p;
}

static void has_text(const char *text, const char *part)
{
    if (!strstr(text, part))
        print_error("not in the program: %s\n", part);
    assert_non_null(strstr(text, part));
}

/* --- time ------------------------------------------------------------------------------------------------- */

#define TIMEOUT 58593750
#define REPEAT 976562
#define MODEL_SLOTS 8

/* What the comparing unit of the switch gets: 34 bits, sign- or zero-extended. */
static int64_t difference(uint32_t now, uint32_t then)
{
    bool late = now >> 31;

    return late ? (int64_t)now - (int64_t)then : (int64_t)(int32_t)now - (int64_t)(int32_t)then;
}

/* One slot as the program keeps it, and as the reference does. */
struct slot {
    uint32_t id, last, gap_last, gap, sum, digest; /* 32-bit ticks */
    uint32_t wide_id;
    uint64_t wide_last, wide_first, wide_digest;
    bool wide_sent;
};

enum { COLLISION = 1, SAME = 2, EXPIRED = 4, EXPIRED_SAME = 8 };

static int visit(struct slot *s, uint32_t id, uint32_t now)
{
    bool same = s->id == id, expired = difference(now, s->last) > TIMEOUT;

    if (same || expired) {
        s->id = id;
        s->last = now;
    }
    return 1 << (same + 2 * expired);
}

static void check_gap(struct slot *s, uint64_t tick, bool first)
{
    uint32_t now = (uint32_t)tick;
    uint64_t want = first ? 0 : tick - s->wide_last;

    if (first) {
        s->gap = s->sum = 0;
        s->gap_last = now;
    } else if (difference(now, s->gap_last) > 0) {
        s->gap = now - s->gap_last;
        s->gap_last = now;
    } else {
        s->gap = 0;
    }
    s->sum = (uint32_t)DUNE_MIN((uint64_t)s->sum + s->gap, UINT32_MAX);
    if (first)
        s->wide_first = tick;
    s->wide_last = tick;
    assert_int_equal(s->gap, want);
    assert_int_equal(s->sum, DUNE_MIN(tick - s->wide_first, UINT32_MAX)); /* the duration */
}

static void check_digest(struct slot *s, uint64_t tick, bool first, bool settled)
{
    uint32_t now = (uint32_t)tick;
    bool send = false, want;

    if (first)
        s->wide_sent = false;
    want = settled && (!s->wide_sent || tick - s->wide_digest >= REPEAT);
    if (first) {
        send = settled;
        s->digest = settled ? now : now - REPEAT;
    } else if (settled) {
        send = difference(now, s->digest) >= REPEAT;
        s->digest = send ? now : s->digest;
    }
    assert_int_equal(send, want);
    if (want) {
        s->wide_sent = true;
        s->wide_digest = tick;
    }
}

static void sweep(struct slot *slot, uint32_t now)
{
    for (uint32_t i = 0; i < MODEL_SLOTS; i++)
        if (difference(now, slot[i].last) > TIMEOUT) {
            slot[i].id = 0;
            slot[i].last = now - TIMEOUT - 1;
        }
}

/* Random arrivals over several wraps, denser at the wrap and at its half, sweeps as often as demanded. */
static void test_wrap(void **state)
{
    const uint64_t period = (UINT64_C(1) << 31) - 2 * TIMEOUT;
    uint32_t outcome[9] = {0};

    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct slot slot[MODEL_SLOTS] = {0};
        uint64_t tick = seed << 27, swept = tick, end = tick + (UINT64_C(5) << 32);
        struct dune_rng r;

        dune_rng_init(&r, seed, 77, 0, 0);
        for (uint32_t i = 0; i < MODEL_SLOTS; i++)
            slot[i].last = (uint32_t)tick - TIMEOUT - 1;
        while (tick < end) {
            struct slot *s = &slot[dune_rng_below(&r, MODEL_SLOTS)];
            uint32_t id = 1 + (uint32_t)dune_rng_below(&r, 3), near = (uint32_t)tick & 0x7fffffff;
            bool live = s->wide_id && tick - s->wide_last <= TIMEOUT;
            int want = !live ? EXPIRED : s->wide_id == id ? SAME : COLLISION, have = visit(s, id, (uint32_t)tick);

            if (have == EXPIRED_SAME) /* an expired slot starts again, whoever had it */
                have = EXPIRED;
            assert_int_equal(have, want);
            outcome[have]++;
            if (have != COLLISION) {
                s->wide_id = id;
                check_gap(s, tick, have == EXPIRED);
                check_digest(s, tick, have == EXPIRED, dune_rng_below(&r, 3) == 0);
            }
            if (near > 0x7f000000 || near < 0x8000000)
                tick += dune_rng_below(&r, TIMEOUT / 8); /* around the two edges */
            else
                tick += dune_rng_below(&r, 4 * (uint64_t)TIMEOUT);
            while (tick - swept >= period) {
                swept += period;
                sweep(slot, (uint32_t)swept);
            }
        }
    }
    printf("# %u hits, %u expired or empty, %u collisions\n", outcome[SAME], outcome[EXPIRED], outcome[COLLISION]);
    assert_true(outcome[SAME] > 300 && outcome[EXPIRED] > 300 && outcome[COLLISION] > 300);
}

/* A slot that is never swept looks young again: the rule is needed. */
static void test_unswept(void **state)
{
    struct slot s = {.id = 7, .last = 1000};

    (void)state;
    assert_int_equal(visit(&s, 8, 1000 + TIMEOUT + 1), EXPIRED);
    s = (struct slot){.id = 7, .last = 1000};
    assert_int_equal(visit(&s, 8, 1001), COLLISION); /* 2^32 ticks later */
}

/* The model above is what the program says. */
static void test_time_in_program(void **state)
{
    struct dune_plan *p = timed_plan();
    char *text = program_of(p, 1);

    (void)state;
    has_text(text, "if (v.id == meta.id || (int<32>)(meta.now - v.last) > TIMEOUT_SIGNED) {");
    has_text(text, "if (v.id == meta.id || meta.now - v.last > TIMEOUT) {");
    has_text(text, "            0: visit_early();\n            1: visit_late();\n");
    has_text(text, "(CASE_SAME, 0): next_gap_early();");
    has_text(text, "if ((int<32>)meta.now > (int<32>)v.last) {");
    has_text(text, "v.gap = meta.now - v.last;");
    has_text(text, "v = meta.now - DIGEST_REPEAT;");
    has_text(text, "rv = this.predicate((int<32>)(meta.now - v) >= DIGEST_REPEAT_SIGNED);");
    has_text(text, "const bit<32> TIMEOUT = 58593750;");
    has_text(text, "v = max(v, meta.gap);");
    has_text(text, "ig_intr_md.ingress_mac_tstamp[41:10]");
    dune_mem_free(text);
    dune_plan_free(p);
}

/* --- votes ------------------------------------------------------------------------------------------------ */

/* The first row that matches, of a table in the text: "(_, 0, _): trees_3();" -> 3. */
static uint32_t vote_of(const char *text, const char *table, const uint8_t *key, uint32_t n)
{
    const char *p = strstr(text, table);

    assert_non_null(p);
    p = strstr(p, "const entries = {\n");
    for (p = strchr(p, '\n') + 1; strncmp(p, "            (", 13) == 0; p = strchr(p, '\n') + 1) {
        const char *c = p + 13;
        bool hit = true;
        unsigned mask;

        for (uint32_t i = 0; i < n; i++, c += 3)
            hit &= *c == '_' || key[i] == 0;
        c = strstr(p, "): ") + 3;
        if (!hit)
            continue;
        if (sscanf(c, "own_trees_%u", &mask) == 1 || sscanf(c, "trees_%u", &mask) == 1)
            return mask;
        return 0; /* NoAction */
    }
    return 0;
}

static uint32_t naive_winners(const uint8_t *cls, uint32_t n)
{
    uint32_t best = 0, most = 0;

    for (uint32_t t = 0; t < n; t++) {
        uint32_t mask = 0, votes = 0;

        for (uint32_t u = 0; u < n && cls[t]; u++)
            if (cls[u] == cls[t]) {
                mask |= 1u << u;
                votes++;
            }
        if (votes > most) {
            most = votes;
            best = mask;
        }
    }
    return best;
}

/* All answers of three trees over three classes, also among trees without a class of their own. */
static void test_votes(void **state)
{
    struct dune_plan *p = kit_plan(2, 1);
    struct dune_submodel *sm = kit_add(p, 1, 0, 3, DUNE_MODE_RUNNING);
    char *text;

    (void)state;
    fit(p, "tofino2");
    sm->n_trees = 3;
    sm->tree = DUNE_NEW_N(struct dune_plan_tree, 3);
    for (uint32_t t = 0; t < 3; t++) {
        sm->tree[t].n_leaves = 1;
        sm->tree[t].match = dune_mem_strdup("");
        sm->tree[t].leaf = DUNE_NEW(struct dune_plan_leaf);
        *sm->tree[t].leaf = (struct dune_plan_leaf)KIT_CLAIM(1, 80);
    }
    text = program_of(p, 1);
    for (uint32_t all = 0; all < 64; all++) {
        uint8_t c[] = {all & 3, all >> 2 & 3, (uint8_t)(all >> 4)};
        uint8_t key[] = {c[0], c[1], c[2], c[0] ^ c[1], c[0] ^ c[2], c[1] ^ c[2]};

        assert_int_equal(vote_of(text, "table own_winner", key, 6), naive_winners(c, 3));
        if (c[0] && c[1] && c[2])
            assert_int_equal(vote_of(text, "table winner", key + 3, 3), naive_winners(c, 3));
    }
    dune_mem_free(text);
    dune_plan_free(p);
}

/* --- shape, refusals ---------------------------------------------------------------------------------------- */

/* A retrained model of the same shape is only new entries. */
static void test_shape_only(void **state)
{
    static const struct dune_plan_leaf leaf[] = {KIT_CLAIM(1, 200), KIT_CLAIM(2, 100)};
    static const struct dune_plan_leaf other[] = {KIT_CLAIM(2, 90), KIT_OTHER(1, 7)};
    char *text[2];

    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        struct dune_plan *p = kit_plan(2, 1);
        uint32_t thr = i ? 77 : 1200;

        kit_sub(p, (uint8_t)(1 + i), 0, (uint8_t)(2 + i), DUNE_MODE_RUNNING, DUNE_F_LEN_MAX, 1, &thr,
                i ? other : leaf);
        fit(p, "tofino1");
        p->generation = (uint16_t)(3 + i);
        text[i] = program_of(p, 2);
        dune_plan_free(p);
    }
    assert_string_equal(text[0], text[1]);
    has_text(text[0], "ALL_SLOTS = 32768");
    dune_mem_free(text[0]);
    dune_mem_free(text[1]);
}

static void refused(struct dune_plan *p, uint32_t generations, const char *why)
{
    struct dune_p4_files files;
    struct dune_diag d = {0};

    assert_int_equal(dune_p4_generate_for(p, DUNE_P4_TNA, generations, &files, &d), DUNE_E_INFEASIBLE);
    assert_string_equal(d.msg, why);
    dune_plan_free(p);
}

static void test_refusals(void **state)
{
    struct dune_plan *p = timed_plan();

    (void)state;
    p->slots = 65536;
    refused(p, 2, "device d1: profile tofino1: 2 x 65536 slots, an index reaches 65536");
    p = timed_plan();
    p->timeout = UINT64_C(1) << 31;
    refused(p, 1, "device d1: profile tofino1: time-out above 2147483647 ticks");
    p = timed_plan();
    p->hash = DUNE_HASH_SIPHASH;
    refused(p, 1, "device d1: flow_state.hash is siphash, this target computes crc only");
    p = timed_plan();
    p->parser.max_ipv4_options = 4;
    refused(p, 1, "device d1: profile tofino1: parser limits wider than the profile's");
}

/* --- the compiler's reports ---------------------------------------------------------------------------------- */

static const char metrics[] =
    "{\"mau\": {\"srams\": 242, \"tcams\": 17, \"map_rams\": 198, \"latency\": ["
    "{\"gress\": \"ingress\", \"cycles\": 290}, {\"gress\": \"egress\", \"cycles\": 40}]}}";
static const char stages[] = "-----\n"
                             "| Stage Number | SRAM | TCAM | Logical TableID |\n-----\n"
                             "|      0       |  80  |  4   |        5        |\n"
                             "|      1       |  33  |  0   |        2        |\n"
                             "|      2       |  0   |  0   |        0        |\n"
                             "|              |      |      |                 |\n"
                             "|    Totals    | 113  |  4   |        7        |\n-----\n"
                             "| Stage Number | SRAM | TCAM | Logical TableID |\n-----\n"
                             "|      0       | 9%   |  4   |       31        |\n"
                             "|      2       | 9%   |  4   |       31        |\n";

/* What a compiler without the summaries leaves behind. */
static const char resources[] =
    "{\"resources\": {\"mau\": {\"mau_stages\": ["
    "{\"stage_number\": 0, \"rams\": {\"srams\": [{}, {}, {}]}, \"map_rams\": {\"maprams\": [{}, {}]},"
    " \"tcams\": {\"tcams\": [{}]}, \"logical_tables\": {\"ids\": [{}]}},"
    "{\"stage_number\": 1, \"rams\": {\"srams\": [{}]}, \"logical_tables\": {\"ids\": [{}]}},"
    "{\"stage_number\": 2, \"logical_tables\": {\"ids\": []}}]}}}";
static const char power[] = "{\"total_latency\": [{\"gress\": \"egress\", \"latency\": 9}, {\"gress\": \"ingress\", \"latency\": 77}]}";

static void test_compiled_parts(void **state)
{
    struct dune_p4_compiled c = {0};
    struct dune_diag d = {0};

    (void)state;
    assert_ok(dune_p4_compiled_resources(&c, "resources.json", resources, strlen(resources), &d), d);
    assert_ok(dune_p4_compiled_power(&c, "power.json", power, strlen(power), &d), d);
    assert_true(c.has_stages && c.has_metrics);
    assert_int_equal(c.stages, 2);
    assert_int_equal(c.sram_blocks, 4);
    assert_int_equal(c.map_rams, 2);
    assert_int_equal(c.tcam_blocks, 1);
    assert_int_equal(c.latency_cycles, 77);
    c = (struct dune_p4_compiled){0}; /* a summary is not overwritten */
    assert_ok(dune_p4_compiled_metrics(&c, "metrics.json", metrics, strlen(metrics), &d), d);
    assert_ok(dune_p4_compiled_resources(&c, "resources.json", resources, strlen(resources), &d), d);
    assert_ok(dune_p4_compiled_power(&c, "power.json", power, strlen(power), &d), d);
    assert_int_equal(c.stages, 2);
    assert_int_equal(c.sram_blocks, 242);
    assert_int_equal(c.latency_cycles, 290);
    assert_int_equal(dune_p4_compiled_resources(&c, "r", "{}", 2, &d), DUNE_E_FORMAT);
    assert_int_equal(dune_p4_compiled_resources(&c, "r", "[", 1, &d), DUNE_E_FORMAT);
    assert_int_equal(dune_p4_compiled_power(&c, "p", "{}", 2, &d), DUNE_E_FORMAT);
    assert_int_equal(dune_p4_compiled_power(&c, "p", "[", 1, &d), DUNE_E_FORMAT);
}

static void test_compiled(void **state)
{
    struct dune_p4_compiled c = {0};
    struct dune_diag d = {0};
    struct dune_plan *p = timed_plan();
    struct dune_buf b = {0};

    (void)state;
    assert_ok(dune_p4_compiled_metrics(&c, "metrics.json", metrics, strlen(metrics), &d), d);
    assert_ok(dune_p4_compiled_stages(&c, "mau.resources.log", stages, strlen(stages), &d), d);
    assert_int_equal(c.stages, 2);
    assert_int_equal(c.sram_blocks, 242);
    assert_int_equal(c.tcam_blocks, 17);
    assert_int_equal(c.map_rams, 198);
    assert_int_equal(c.latency_cycles, 290);
    dune_p4_report(&b, p, 0, 1, &c);
    has_text(b.data, "model        compiler\n");
    has_text(b.data, " of 12     2\n");
    has_text(b.data, "latency, cycles      ");
    has_text(b.data, " 290\n");
    dune_buf_fini(&b);
    assert_int_equal(dune_p4_compiled_metrics(&c, "m", "{}", 2, &d), DUNE_E_FORMAT);
    assert_int_equal(dune_p4_compiled_metrics(&c, "m", "[", 1, &d), DUNE_E_FORMAT);
    assert_int_equal(dune_p4_compiled_stages(&c, "s", "| a |\n", 6, &d), DUNE_E_FORMAT);
    dune_plan_free(p);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_wrap),       cmocka_unit_test(test_unswept),  cmocka_unit_test(test_time_in_program),
    cmocka_unit_test(test_votes),      cmocka_unit_test(test_shape_only), cmocka_unit_test(test_refusals),
    cmocka_unit_test(test_compiled),   cmocka_unit_test(test_compiled_parts),
};
RUN_TESTS(tests)
