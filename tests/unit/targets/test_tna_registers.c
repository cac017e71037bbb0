/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registers of emitted TNA programs, executed: this file reads tables, actions and register actions out of
 * the program's text and runs them packet by packet beside the registers of the reference, through flows that
 * start, go on, collide and give their slot away. It knows the few statements that the generator writes and fails
 * on any other. Published programs had a maximum for a minimum (B5), counters that wrapped (A4, B14), slots that
 * were used again as they were (B7, B13).
 */
#include <ctype.h>

#include "dune/p4.h"
#include "unit/targets/random_chain.h"

struct state { /* of one packet, and one slot */
    uint64_t reg, field; /* the register of the slot; meta.r_NAME */
    uint64_t ip_len, udp_length, gap, flags, parsed, slot_case, count;
};

enum { P_TCP = 1, P_UDP = 2 };
enum { COLLISION = 1, SAME = 2, EXPIRED = 4, EXPIRED_SAME = 8 };

/* --- reading the text ---------------------------------------------------------------------------------------- */

/* Copies from behind `from` (searched from text on) up to `to`; NULL: not there. */
static const char *between(const char *text, const char *from, const char *to, char *out, size_t size)
{
    const char *a = text ? strstr(text, from) : NULL, *b = a ? strstr(a + strlen(from), to) : NULL;
    size_t n;

    if (!b)
        return NULL;
    a += strlen(from);
    n = (size_t)(b - a);
    assert_true(n < size);
    memcpy(out, a, n);
    out[n] = '\0';
    return b;
}

static const char *skip_space(const char *p)
{
    while (isspace((unsigned char)*p))
        p++;
    return p;
}

/* A number, or the name of one. */
static uint64_t atom(const char *p, const struct state *s)
{
    static const struct {
        const char *name;
        uint64_t value;
    } constant[] = {{"CASE_SAME", SAME}, {"CASE_EXPIRED_SAME", EXPIRED_SAME}, {"CASE_EXPIRED", EXPIRED},
                    {"P_UDP", P_UDP}, {"P_TCP", P_TCP}};

    p = skip_space(p);
    if (strncmp(p, "(bit<32>)", 9) == 0)
        p += 9;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(constant); i++)
        if (strncmp(p, constant[i].name, strlen(constant[i].name)) == 0)
            return constant[i].value;
    if (strncmp(p, "8w", 2) == 0)
        p += 2;
    if (isdigit((unsigned char)*p))
        return strtoull(p, NULL, 0);
    if (*p == 'v' && !isalnum((unsigned char)p[1]))
        return s->reg;
    if (strncmp(p, "meta.ip_len", 11) == 0)
        return s->ip_len;
    if (strncmp(p, "meta.udp_length", 15) == 0)
        return s->udp_length;
    if (strncmp(p, "meta.gap", 8) == 0)
        return s->gap;
    if (strncmp(p, "meta.slot_case", 14) == 0)
        return s->slot_case;
    if (strncmp(p, "meta.tcp_flags", 14) == 0)
        return s->flags;
    if (strncmp(p, "meta.parsed", 11) == 0)
        return s->parsed;
    if (strncmp(p, "meta.count", 10) == 0)
        return s->count;
    fail_msg("what is %.30s?", p);
    return 0;
}

/* --- register actions ------------------------------------------------------------------------------------------ */

static uint64_t expression(const char *p, const struct state *s, unsigned bits)
{
    const char *plus = strstr(p, "|+|"), *comma = strchr(p, ',');
    uint64_t max = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1, a, b;

    p = skip_space(p);
    if (plus) {
        a = atom(p, s) + atom(plus + 3, s);
        return DUNE_MIN(a, max);
    }
    if (strncmp(p, "min(", 4) == 0 || strncmp(p, "max(", 4) == 0) {
        a = atom(p + 4, s);
        b = atom(comma + 1, s);
        return p[1] == 'i' ? DUNE_MIN(a, b) : DUNE_MAX(a, b);
    }
    return atom(p, s) & max;
}

/* The statements of a register action; *rv is what it hands on. */
static void run_body(const char *body, struct state *s, unsigned bits, uint64_t *rv)
{
    static const char udp_min[] = "if (v == 0xFFFF) { rv = 0; } else { rv = v; }";
    const char *p = skip_space(body);

    if (strncmp(p, udp_min, sizeof(udp_min) - 1) == 0) {
        *rv = s->reg == 0xFFFF ? 0 : s->reg;
        return;
    }
    while (*p && *p != '}') {
        char statement[200];
        const char *end = strchr(p, ';');

        assert_true(end && (size_t)(end - p) < sizeof(statement));
        memcpy(statement, p, (size_t)(end - p));
        statement[end - p] = '\0';
        if (strncmp(statement, "v = ", 4) == 0)
            s->reg = expression(statement + 4, s, bits);
        else if (strcmp(statement, "rv = v") == 0)
            *rv = s->reg;
        else
            fail_msg("what does %s do?", statement);
        p = skip_space(end + 1);
    }
}

/* action NAME() { [meta.F = ]REGISTER_ACTION.execute(...); } */
static void run_action(const char *text, const char *name, struct state *s)
{
    char from[96], body[200], call[96], code[400];
    const char *execute, *value;
    unsigned bits = 0;
    uint64_t rv = 0;

    if (strcmp(name, "NoAction") == 0)
        return;
    snprintf(from, sizeof(from), "    action %s() {", name);
    assert_non_null(between(text, from, "\n    }", body, sizeof(body)));
    value = strchr(body, '=');
    execute = strstr(body, ".execute(");
    assert_non_null(execute);
    value = skip_space(value ? value + 1 : body);
    snprintf(call, sizeof(call), " %.*s = {", (int)(execute - value), value);
    assert_non_null(between(text, call, "\n    };", code, sizeof(code)));
    assert_true(sscanf(strstr(code, "inout bit<"), "inout bit<%u>", &bits) == 1);
    run_body(strchr(code, '{') + 1, s, bits, &rv);
    if (strchr(body, '='))
        s->field = rv;
}

/* --- tables ------------------------------------------------------------------------------------------------------ */

static bool matches(const char *pattern, uint64_t value, const struct state *s)
{
    const char *mask = strstr(pattern, "&&&");

    pattern = skip_space(pattern);
    if (*pattern == '_')
        return true;
    if (mask)
        return (value & atom(mask + 3, s)) == (atom(pattern, s) & atom(mask + 3, s));
    return value == atom(pattern, s);
}

/* One row "(a, b): action();"; true when it matches. */
static bool row_matches(char *row, char *keys, const struct state *s)
{
    char *next_key = NULL, *next = NULL, key_copy[200];
    const char *key;
    char *part;

    snprintf(key_copy, sizeof(key_copy), "%s", keys);
    key = strtok_r(key_copy, ";", &next_key);
    for (part = strtok_r(row, "(),", &next); part; part = strtok_r(NULL, "(),", &next)) {
        if (!*skip_space(part))
            continue;
        assert_non_null(key);
        if (!matches(part, atom(key, s), s))
            return false;
        key = strtok_r(NULL, ";", &next_key);
    }
    return true;
}

static void run_table(const char *text, const char *name, struct state *s)
{
    char from[64], table[2000], keys[200], rows[1200], chosen[64] = "";
    char *line, *next = NULL;

    snprintf(from, sizeof(from), "    table %s {", name);
    if (!between(text, from, "\n    }", table, sizeof(table)))
        fail_msg("no table %s", name);
    assert_non_null(between(table, "key = {", "}", keys, sizeof(keys)));
    assert_non_null(between(table, "const entries = {", "}", rows, sizeof(rows)));
    assert_non_null(between(table, "default_action = ", "(", chosen, sizeof(chosen)));
    for (line = strtok_r(rows, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
        char *colon = strstr(line, "): "), action[64];

        if (!*skip_space(line))
            continue;
        colon = colon ? colon + 1 : strchr(line, ':');
        assert_non_null(colon);
        *colon = '\0';
        assert_int_equal(sscanf(colon + 1, " %63[a-z_0-9A-Z]", action), 1);
        if (row_matches(line, keys, s)) {
            strcpy(chosen, action);
            break;
        }
    }
    run_action(text, chosen, s);
}

/* --- against the reference --------------------------------------------------------------------------------------- */

static char *program_with(uint8_t feature)
{
    static const struct dune_plan_leaf leaf[] = {KIT_CLAIM(1, 200), KIT_CLAIM(2, 100)};
    struct dune_plan *p = kit_plan(2, 1);
    struct dune_p4_files files;
    struct dune_diag d = {0};
    uint32_t thr = 100;
    char *text;

    kit_sub(p, 1, 0, 4, DUNE_MODE_RUNNING, feature, 1, &thr, leaf);
    p->hash = DUNE_HASH_CRC;
    p->ways = 1;
    p->timeout = 58593750;
    p->parser = dune_profile_find("tofino2")->parser;
    dune_mem_free(p->device[0].profile);
    p->device[0].profile = dune_mem_strdup("tofino2");
    assert_ok(dune_p4_generate_for(p, DUNE_P4_TNA, 1, &files, &d), d);
    text = dune_mem_strdup(dune_p4_file_find(&files, "d1/d1.p4")->text);
    dune_p4_files_fini(&files);
    dune_plan_free(p);
    return text;
}

static void random_fields(struct dune_rng *r, struct dune_packet *p, bool udp)
{
    static const uint16_t some[] = {0, 1, 20, 40, 1500, 65534, 65535};

    memset(p, 0, sizeof(*p));
    p->is_tcp = !udp;
    p->ip_len = dune_rng_below(r, 3) ? (uint16_t)dune_rng_u64(r) : some[dune_rng_below(r, DUNE_ARRAY_LEN(some))];
    p->tcp_flags = udp ? 0 : (uint8_t)dune_rng_u64(r);
    p->udp_length = udp ? (uint16_t)dune_rng_below(r, 65535) : 0;
}

/* The same packet in the program: the count first, then the feature's register. */
static void run_packet(const char *text, const char *table, const struct dune_packet *p, uint64_t slot_case, uint64_t gap,
                       struct state *count, struct state *reg)
{
    struct state *both[] = {count, reg};

    for (int i = 0; i < 2; i++) {
        both[i]->ip_len = p->ip_len;
        both[i]->udp_length = p->udp_length;
        both[i]->flags = p->tcp_flags;
        both[i]->parsed = p->is_tcp ? P_TCP : P_UDP;
        both[i]->gap = gap;
        both[i]->slot_case = slot_case;
        both[i]->field = 0;
        both[i]->count = count->field;
        if (i == 0 || strcmp(table, "count") != 0)
            run_table(text, i ? table : "count", both[i]);
    }
}

/* Flows of one slot, one after the other, the first longer than any counter of 8 bits; in between packets of others. */
static void run_feature(uint8_t feature)
{
    struct state count = {0}, reg = {.reg = UINT64_C(0xA5A5A5A5) & dune_feature_max(feature)};
    char *text = program_with(feature), table[32];
    uint32_t out[DUNE_N_FEATURES];
    struct dune_rng r;

    snprintf(table, sizeof(table), "%s", feature == DUNE_F_COUNT ? "count" : dune_catalog[feature].name);
    for (char *c = table; *c; c++)
        *c = *c == '.' ? '_' : *c;
    dune_rng_init(&r, feature, 41, 0, 0);
    for (int flow = 0; flow < 24; flow++) {
        struct dune_flow_regs want = {0};
        uint64_t now = 1000 + dune_rng_below(&r, 1u << 20), packets = flow ? 1 + dune_rng_below(&r, 20) : 700;

        for (uint64_t k = 0; k < packets; k++) {
            bool collides = k && dune_rng_below(&r, 8) == 0;
            uint64_t then = now;
            struct dune_packet p;

            random_fields(&r, &p, flow % 2);
            now += k ? dune_rng_below(&r, flow % 3 ? 1000 : 30000000) : 0;
            run_packet(text, table, &p, collides ? COLLISION : k ? SAME : flow % 4 ? EXPIRED : EXPIRED_SAME,
                       k ? now - then : 0, &count, &reg);
            if (collides) {
                assert_int_equal(reg.field, 0);
                now = then;
                continue;
            }
            dune_flow_update(&want, &p, now);
            dune_feature_vector(&p, &want, out);
            if (feature == DUNE_F_COUNT)
                assert_int_equal(count.field, out[feature]);
            else if (reg.field != out[feature])
                fail_msg("%s: flow %d, packet %llu: the program has %llu, the reference %u", dune_catalog[feature].name, flow,
                         (unsigned long long)k + 1, (unsigned long long)reg.field, out[feature]);
        }
    }
    dune_mem_free(text);
}

static void test_registers(void **state)
{
    unsigned n = 0;

    (void)state;
    for (int f = 0; f < DUNE_N_FEATURES; f++)
        if (dune_catalog[f].phase == DUNE_PHASE_FL && dune_catalog[f].targets & DUNE_ON_TNA) {
            run_feature((uint8_t)f);
            n++;
        }
    assert_true(n > 20);
}

/* A4, B14: the sum of lengths stays at its maximum. */
static void test_sum_saturates(void **state)
{
    struct state count = {0}, reg = {.reg = UINT32_MAX - 100};
    struct dune_packet p = {.is_tcp = true, .ip_len = 65535};
    char *text = program_with(DUNE_F_LEN_TOTAL);

    (void)state;
    run_packet(text, "len_total", &p, SAME, 0, &count, &reg);
    assert_int_equal(reg.field, UINT32_MAX);
    run_packet(text, "len_total", &p, EXPIRED, 0, &count, &reg);
    assert_int_equal(reg.field, 65535);
    dune_mem_free(text);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_registers),
    cmocka_unit_test(test_sum_saturates),
};
RUN_TESTS(tests)
