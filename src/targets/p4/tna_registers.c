/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flow registers of the TNA program: only those that a sub-model here reads, in the order in which they
 * depend on each other.
 *
 *   slot {id, last} -> predicate -> {gap, last}, count, lengths, flags -> gap min, max, sum; k-th values
 *
 * Every register is accessed once per packet, by one of up to four actions that a small table chooses
 * on the predicate: first packet of the slot, later packet. A minimum of gaps starts with all ones and
 * is not read for the first packet; the duration is the sum of the gaps (time never runs backwards).
 */
#include "targets/p4/p4_int.h"

#include <assert.h>
#include <string.h>

#define IN1 "    "
#define IN2 "        "
#define IN3 "            "
#define IN4 "                "
/* As payloads of gateways the assembler for Tofino 2 refuses small constant tables. */
#define KEEP IN1 "@no_gateway_conversion\n" IN1

/* The duration too: here it is the sum of the gaps. */
static bool is_gap(uint8_t id)
{
    return id == DUNE_F_GAP_MIN || id == DUNE_F_GAP_MAX || id == DUNE_F_DURATION ||
           (id >= DUNE_F_GAP_2 && id <= DUNE_F_GAP_8);
}

uint32_t p4_tna_count_bits(const struct p4_shape *s)
{
    bool wide = p4_uses(s, DUNE_F_COUNT);

    for (uint32_t k = 0; k < s->n_sub; k++)
        wide |= s->sub[k].sm->n == UINT8_MAX; /* more than n must be seen too */
    return wide ? 16 : 8;
}

/* --- the slot and the gap -------------------------------------------------------------------------- */

/* Tofino 2 has no register of more than 32768 x 64 bits: two halves by the highest index bit. */
static bool is_split(const struct p4_shape *s)
{
    return s->chip == 2 && s->all_slots > 32768;
}

/*
 * Differences of ticks are compared with more than 32 bits, so a wrapped one does not look small. In
 * the lower half of the ticks' range numbers are taken as signed (what came before the wrap is negative),
 * in the upper half as unsigned: right for every age below 2^31.
 */
static const struct tick_half {
    const char *name, *age, *timeout, *later;
} tick_half[] = {
    {"early", "(int<32>)(meta.now - v.last)", "TIMEOUT_SIGNED", "(int<32>)meta.now > (int<32>)v.last"},
    {"late", "meta.now - v.last", "TIMEOUT", "meta.now > v.last"},
};

struct part {
    const char *suffix, *size, *at;
    uint32_t bits; /* of its index */
};

static void slot_part(struct dune_buf *b, const struct part *p)
{
    dune_buf_printf(b, IN1 "Register<slot_t, bit<%u>>(%s) r_slot%s;\n", p->bits, p->size, p->suffix);
    for (size_t i = 0; i < DUNE_ARRAY_LEN(tick_half); i++) {
        const struct tick_half *h = &tick_half[i];

        dune_buf_printf(b, IN1 "RegisterAction<slot_t, bit<%u>, bit<8>>(r_slot%s) slot_%s%s = {\n", p->bits,
                        p->suffix, h->name, p->suffix);
        dune_buf_printf(b, IN2 "void apply(inout slot_t v, out bit<8> rv) {\n"
                           IN3 "if (v.id == meta.id || %s > %s) {\n"
                           IN4 "v.id = meta.id;\n" IN4 "v.last = meta.now;\n" IN3 "}\n"
                           IN3 "rv = this.predicate(v.id == meta.id, %s > %s);\n" IN2 "}\n" IN1 "};\n",
                        h->age, h->timeout, h->age, h->timeout);
        dune_buf_printf(b, IN1 "action visit_%s%s() {\n" IN2 "meta.slot_case = slot_%s%s.execute(%s);\n" IN1 "}\n",
                        h->name, p->suffix, h->name, p->suffix, p->at);
    }
}

static void gap_part(struct dune_buf *b, const struct part *p)
{
    const char *x = p->suffix;

    dune_buf_printf(b, "\n" IN1 "Register<gap_t, bit<%u>>(%s) r_gap%s;\n", p->bits, p->size, x);
    dune_buf_printf(b, IN1 "RegisterAction<gap_t, bit<%u>, bit<32>>(r_gap%s) gap_first%s = {\n", p->bits, x, x);
    dune_buf_puts(b, IN2 "void apply(inout gap_t v) {\n" IN3 "v.gap = 0;\n" IN3 "v.last = meta.now;\n" IN2
                         "}\n" IN1 "};\n");
    dune_buf_printf(b, IN1 "action first_gap%s() {\n" IN2 "gap_first%s.execute(%s);\n" IN1 "}\n", x, x, p->at);
    for (size_t i = 0; i < DUNE_ARRAY_LEN(tick_half); i++) {
        const struct tick_half *h = &tick_half[i];

        dune_buf_printf(b, IN1 "RegisterAction<gap_t, bit<%u>, bit<32>>(r_gap%s) gap_%s%s = {\n", p->bits, x,
                        h->name, x);
        dune_buf_printf(b, IN2 "void apply(inout gap_t v, out bit<32> rv) {\n" IN3 "if (%s) {\n"
                           IN4 "v.gap = meta.now - v.last;\n" IN4 "v.last = meta.now;\n"
                           IN3 "} else {\n" IN4 "v.gap = 0;\n" IN3 "}\n" IN3 "rv = v.gap;\n" IN2 "}\n" IN1
                           "};\n", h->later);
        dune_buf_printf(b, IN1 "action next_gap_%s%s() {\n" IN2 "meta.gap = gap_%s%s.execute(%s);\n" IN1 "}\n",
                        h->name, x, h->name, x, p->at);
    }
}

/* A table per register: a table cannot choose between two. */
static void slot_table(struct dune_buf *b, const struct part *p)
{
    const char *x = p->suffix;

    dune_buf_printf(b, KEEP "table slot%s {\n" IN2 "key = { meta.late: exact; }\n" IN2
                       "actions = { visit_early%s; visit_late%s; @defaultonly NoAction; }\n" IN2
                       "const entries = {\n" IN3 "0: visit_early%s();\n" IN3 "1: visit_late%s();\n" IN2 "}\n" IN2
                       "const default_action = NoAction();\n" IN2 "size = 2;\n" IN1 "}\n", x, x, x, x, x);
}

static void gap_table(struct dune_buf *b, const struct part *p)
{
    const char *x = p->suffix;

    dune_buf_printf(b, KEEP "table gap%s {\n" IN2 "key = {\n" IN3 "meta.slot_case: ternary;\n" IN3
                       "meta.late: ternary;\n" IN2 "}\n" IN2
                       "actions = { first_gap%s; next_gap_early%s; next_gap_late%s; @defaultonly NoAction; }\n" IN2
                       "const entries = {\n", x, x, x, x);
    for (int h = 0; h < 2; h++)
        dune_buf_printf(b, IN3 "(CASE_SAME, %d): next_gap_%s%s();\n", h, tick_half[h].name, x);
    dune_buf_printf(b, IN3 "(8w4 &&& 8w4, _): first_gap%s();\n" IN3 "(8w8 &&& 8w8, _): first_gap%s();\n" IN2 "}\n" IN2
                       "const default_action = NoAction();\n" IN2 "size = 8;\n" IN1 "}\n\n", x, x);
}

/* Applies a table, or that of the half. */
static void apply_part(struct p4_vars *v, const char *var, const struct p4_shape *s, const char *table, size_t n)
{
    uint32_t top = s->at_bits - 1;

    if (n == 1)
        p4_set(v, var, "        %s.apply();", table);
    else
        p4_set(v, var, "        if (meta.at[%u:%u] == 0) {\n            %s_a.apply();\n        } else {\n"
                       "            %s_b.apply();\n        }", top, top, table, table);
}

static void put_slot(struct p4_vars *v, const struct p4_shape *s, bool gaps)
{
    struct part part[2] = {{"", "ALL_SLOTS", s->at_text, s->at_bits},
                           {"_b", "ALL_SLOTS / 2", s->half_text, s->at_bits - 1}};
    size_t n = is_split(s) ? 2 : 1;
    struct dune_buf slot = {0}, gap = {0};

    if (n > 1)
        part[0] = (struct part){"_a", "ALL_SLOTS / 2", s->half_text, s->at_bits - 1};
    for (size_t i = 0; i < n; i++) {
        slot_part(&slot, &part[i]);
        slot_table(&slot, &part[i]);
    }
    for (size_t i = 0; gaps && i < n; i++) {
        gap_part(&gap, &part[i]);
        gap_table(&gap, &part[i]);
    }
    apply_part(v, "SLOT_APPLY", s, "slot", n);
    apply_part(v, "GAP_APPLY", s, "gap", n);
    p4_set_buf(v, "SLOT", &slot);
    p4_set_buf(v, "GAP", &gap);
}

/* --- one register per feature ------------------------------------------------------------------------ */

struct reg {
    const struct p4_shape *s;
    struct dune_buf *b;
    char name[32];
    uint32_t bits;
};

/* body: the statements, without rv; reads: the new value is handed on. */
static void reg_action(const struct reg *r, const char *action, const char *body, bool reads)
{
    dune_buf_printf(r->b, IN1 "RegisterAction<bit<%u>, bit<%u>, bit<%u>>(r_%s) %s_%s = {\n", r->bits,
                    r->s->at_bits, r->bits, r->name, r->name, action);
    dune_buf_printf(r->b, IN2 "void apply(inout bit<%u> v%s", r->bits, reads ? ", out " : ") {\n");
    if (reads)
        dune_buf_printf(r->b, "bit<%u> rv) {\n", r->bits);
    if (*body)
        dune_buf_printf(r->b, IN3 "%s\n", body);
    if (reads && !strstr(body, "rv ="))
        dune_buf_puts(r->b, IN3 "rv = v;\n");
    dune_buf_puts(r->b, IN2 "}\n" IN1 "};\n");
    dune_buf_printf(r->b, IN1 "action %s_%s() {\n" IN2, action, r->name);
    if (reads)
        dune_buf_printf(r->b, "meta.r_%s = ", r->name);
    dune_buf_printf(r->b, "%s_%s.execute(%s);\n" IN1 "}\n", r->name, action, r->s->at_text);
}

static void reg_begin(const struct reg *r)
{
    dune_buf_printf(r->b, IN1 "Register<bit<%u>, bit<%u>>(ALL_SLOTS) r_%s;\n", r->bits, r->s->at_bits, r->name);
}

/* The table that chooses: on the slot's case, and with_flag on a TCP flag. */
static void reg_table(const struct reg *r)
{
    dune_buf_printf(r->b, KEEP "table %s {\n" IN2 "key = { meta.slot_case: exact; }\n" IN2
                          "actions = { first_%s; next_%s; @defaultonly NoAction; }\n" IN2 "const entries = {\n"
                          IN3 "CASE_SAME: next_%s();\n" IN3 "CASE_EXPIRED: first_%s();\n" IN3
                          "CASE_EXPIRED_SAME: first_%s();\n" IN2 "}\n" IN2
                          "const default_action = NoAction();\n" IN2 "size = 4;\n" IN1 "}\n\n",
                    r->name, r->name, r->name, r->name, r->name, r->name);
}

static void two_actions(const struct reg *r, const char *first, bool first_reads, const char *next)
{
    reg_begin(r);
    reg_action(r, "first", first, first_reads);
    reg_action(r, "next", next, true);
    reg_table(r);
}

static void put_flag(const struct reg *r, uint8_t id)
{
    static const char *const bit[] = {"0x02", "0x10", "0x08", "0x01", "0x04", "0x20", "0x40", "0x80"};
    const char *f = bit[id - DUNE_F_SYN_COUNT];

    reg_begin(r);
    reg_action(r, "first", "v = 0;", true);
    reg_action(r, "first_set", "v = 1;", true);
    reg_action(r, "next", "", true);
    reg_action(r, "next_set", "v = v |+| 1;", true);
    dune_buf_printf(r->b, KEEP "table %s {\n" IN2 "key = {\n" IN3 "meta.slot_case: ternary;\n" IN3
                          "meta.tcp_flags: ternary;\n" IN2 "}\n" IN2
                          "actions = { first_%s; first_set_%s; next_%s; next_set_%s; @defaultonly NoAction; }\n" IN2
                          "const entries = {\n", r->name, r->name, r->name, r->name, r->name);
    dune_buf_printf(r->b, IN3 "(CASE_SAME, %s &&& %s): next_set_%s();\n" IN3 "(CASE_SAME, _): next_%s();\n", f, f,
                    r->name, r->name);
    dune_buf_printf(r->b, IN3 "(8w4 &&& 8w4, %s &&& %s): first_set_%s();\n" IN3 "(8w4 &&& 8w4, _): first_%s();\n",
                    f, f, r->name, r->name);
    dune_buf_printf(r->b, IN3 "(8w8 &&& 8w8, %s &&& %s): first_set_%s();\n" IN3 "(8w8 &&& 8w8, _): first_%s();\n",
                    f, f, r->name, r->name);
    dune_buf_puts(r->b, IN2 "}\n" IN2 "const default_action = NoAction();\n" IN2 "size = 8;\n" IN1 "}\n\n");
}

/* All ones: no UDP packet yet. */
static void put_udp_min(const struct reg *r)
{
    reg_begin(r);
    reg_action(r, "first_udp", "v = meta.udp_length;", true);
    reg_action(r, "first_tcp", "v = 0xFFFF;", false);
    reg_action(r, "next_udp", "v = min(v, meta.udp_length);", true);
    reg_action(r, "next_tcp", "if (v == 0xFFFF) { rv = 0; } else { rv = v; }", true);
    dune_buf_printf(r->b, KEEP "table %s {\n" IN2 "key = {\n" IN3 "meta.slot_case: ternary;\n" IN3
                          "meta.parsed: ternary;\n" IN2 "}\n" IN2
                          "actions = { first_udp_%s; first_tcp_%s; next_udp_%s; next_tcp_%s; @defaultonly NoAction; }\n"
                          IN2 "const entries = {\n", r->name, r->name, r->name, r->name, r->name);
    dune_buf_printf(r->b, IN3 "(CASE_SAME, P_UDP): next_udp_%s();\n" IN3 "(CASE_SAME, _): next_tcp_%s();\n" IN3
                          "(8w4 &&& 8w4, P_UDP): first_udp_%s();\n" IN3 "(8w8 &&& 8w8, P_UDP): first_udp_%s();\n" IN3
                          "(8w4 &&& 8w4, _): first_tcp_%s();\n" IN3 "(8w8 &&& 8w8, _): first_tcp_%s();\n",
                    r->name, r->name, r->name, r->name, r->name, r->name);
    dune_buf_puts(r->b, IN2 "}\n" IN2 "const default_action = NoAction();\n" IN2 "size = 8;\n" IN1 "}\n\n");
}

/*
 * The k-th value is written when the count says so, and read behind it. Reading is a row and not the default:
 * a default action cannot have the hash unit that its index needs.
 */
static void put_kth(const struct reg *r, uint8_t id)
{
    uint32_t k = dune_catalog[id].kth;
    const char *value = is_gap(id) ? "v = meta.gap;" : "v = meta.ip_len;";

    reg_begin(r);
    reg_action(r, "set", value, true);
    reg_action(r, "read", "", true);
    dune_buf_printf(r->b, KEEP "table %s {\n" IN2 "key = { meta.count: ternary; }\n" IN2
                          "actions = { set_%s; read_%s; NoAction; }\n" IN2 "const entries = {\n", r->name,
                    r->name, r->name);
    for (uint32_t i = 0; i < k; i++)
        dune_buf_printf(r->b, IN3 "%u: NoAction();\n", i);
    dune_buf_printf(r->b, IN3 "%u: set_%s();\n" IN3 "_: read_%s();\n" IN2 "}\n" IN2
                          "const default_action = NoAction();\n" IN2 "size = 16;\n" IN1 "}\n\n", k, r->name, r->name);
}

static void put_feature(const struct reg *r, uint8_t id)
{
    if (id == DUNE_F_LEN_1)
        two_actions(r, "v = meta.ip_len;", true, "");
    else if (dune_catalog[id].kth)
        put_kth(r, id);
    else if (id >= DUNE_F_SYN_COUNT && id <= DUNE_F_CWR_COUNT)
        put_flag(r, id);
    else if (id == DUNE_F_LEN_MIN)
        two_actions(r, "v = meta.ip_len;", true, "v = min(v, meta.ip_len);");
    else if (id == DUNE_F_LEN_MAX)
        two_actions(r, "v = meta.ip_len;", true, "v = max(v, meta.ip_len);");
    else if (id == DUNE_F_LEN_TOTAL)
        two_actions(r, "v = (bit<32>)meta.ip_len;", true, "v = v |+| (bit<32>)meta.ip_len;");
    else if (id == DUNE_F_UDP_MIN)
        put_udp_min(r);
    else if (id == DUNE_F_UDP_MAX)
        two_actions(r, "v = meta.udp_length;", true, "v = max(v, meta.udp_length);");
    else if (id == DUNE_F_GAP_MIN)
        two_actions(r, "v = 0xFFFFFFFF;", false, "v = min(v, meta.gap);");
    else if (id == DUNE_F_GAP_MAX)
        two_actions(r, "v = 0;", false, "v = max(v, meta.gap);");
    else if (id == DUNE_F_DURATION)
        two_actions(r, "v = 0;", false, "v = v |+| meta.gap;");
    else
        assert(!"a register that no packet changes: a feature of the catalog is missing here");
}

void p4_tna_registers(struct p4_vars *v, const struct p4_shape *s)
{
    struct dune_buf fields = {0}, declare = {0}, apply = {0};
    bool gaps = false;

    for (uint8_t id = 0; id < DUNE_N_FEATURES; id++)
        gaps |= p4_uses(s, id) && is_gap(id);
    if (gaps)
        dune_buf_puts(&fields, IN1 "bit<32>  gap;        // before this packet\n");
    for (uint8_t id = 0; id < DUNE_N_FEATURES; id++) {
        struct reg r = {.s = s, .b = &declare, .bits = dune_catalog[id].bits};

        if (!p4_uses(s, id) || !p4_is_register(id))
            continue;
        p4_ident(r.name, id);
        dune_buf_printf(&fields, IN1 "bit<%u>%*sr_%s;\n", r.bits, r.bits < 10 ? 3 : 2, "", r.name);
        put_feature(&r, id);
        dune_buf_printf(&apply, IN2 "%s.apply();\n", r.name);
    }
    p4_set_flag(v, "GAPS", gaps);
    put_slot(v, s, gaps);
    p4_set(v, "COUNT_BITS", "%u", p4_tna_count_bits(s));
    p4_set_buf(v, "REGISTER_FIELDS", &fields);
    p4_set_buf(v, "REGISTERS", &declare);
    p4_set_buf(v, "REGISTERS_APPLY", &apply);
}
