/* SPDX-License-Identifier: Apache-2.0 */
/* The TNA program of a device: constants, metadata, and the parts in order. */
#include "targets/p4/p4_int.h"

#include "dune/device.h"

#include <ctype.h>
#include <string.h>

#define IN1 "    "
#define IN2 "        "

/* Reasons are numbered as everywhere, from 128. Fates are below. */
static void constants(struct p4_vars *v)
{
    struct dune_buf b = {0};

    for (unsigned i = DUNE_REASON_OK + 1; i < DUNE_N_REASONS; i++)
        if (i != DUNE_REASON_SHORT_L2 && i != DUNE_REASON_SHORT_L3 && i != DUNE_REASON_SHORT_L4)
            p4_put_constant(&b, "P_", dune_reason_name((enum dune_reason)i), 128 + i);
    p4_set_buf(v, "REASONS", &b);
    for (unsigned i = 0; i < DUNE_N_FATES; i++)
        if (i != DUNE_FATE_DROPPED_BAD_SHIM)
            p4_put_constant(&b, "F_", dune_fate_name((enum dune_fate)i), i);
    p4_set_buf(v, "FATES", &b);
}

/* --- fields of the packet --------------------------------------------------------------------------- */

/* A field that models read, and where it comes from. */
static const struct packet_field {
    uint8_t feat;
    uint8_t bits;
    const char *v4, *v6, *tcp, *udp;
} packet_field[] = {
    {DUNE_F_IP_TTL, 8, "hdr.ipv4.ttl", "hdr.ipv6.hop_limit", NULL, NULL},
    {DUNE_F_IP_TOS, 8, "hdr.ipv4.tos", "tos_v6.get({ hdr.ipv6.traffic_class })", NULL, NULL},
    {DUNE_F_IP_HDR_LEN, 4, "5", "10", NULL, NULL}, /* options are not inferable here */
    {DUNE_F_TCP_WINDOW, 16, NULL, NULL, "hdr.tcp.window", NULL},
    {DUNE_F_TCP_HDR_LEN, 4, NULL, NULL, "hdr.tcp.data_offset", NULL},
    {DUNE_F_UDP_LENGTH, 16, NULL, NULL, NULL, "hdr.udp.length"},
};

static bool reads_udp_length(const struct p4_shape *s)
{
    return p4_uses(s, DUNE_F_UDP_LENGTH) || p4_uses(s, DUNE_F_UDP_MIN) || p4_uses(s, DUNE_F_UDP_MAX);
}

static bool reads_flags(const struct p4_shape *s)
{
    for (uint8_t id = 0; id < DUNE_N_FEATURES; id++)
        if (p4_uses(s, id) && ((id >= DUNE_F_TCP_SYN && id <= DUNE_F_TCP_CWR) ||
                               (id >= DUNE_F_SYN_COUNT && id <= DUNE_F_CWR_COUNT)))
            return true;
    return false;
}

static void copy_field(struct dune_buf *b, const char *name, const char *from)
{
    if (from)
        dune_buf_printf(b, IN2 "meta.%s = %s;\n", name, from);
}

static void packet_fields(struct p4_vars *v, const struct p4_shape *s)
{
    struct dune_buf fields = {0}, v4 = {0}, v6 = {0}, tcp = {0}, udp = {0};
    bool l4 = reads_flags(s);

    for (size_t i = 0; i < DUNE_ARRAY_LEN(packet_field); i++) {
        const struct packet_field *f = &packet_field[i];
        char ident[32];

        if (f->feat == DUNE_F_UDP_LENGTH ? !reads_udp_length(s) : !p4_uses(s, f->feat))
            continue;
        p4_ident(ident, f->feat);
        dune_buf_printf(&fields, IN1 "bit<%u>%*s%s;\n", f->bits, f->bits < 10 ? 3 : 2, "", ident);
        copy_field(&v4, ident, f->v4);
        copy_field(&v6, ident, f->v6);
        copy_field(&tcp, ident, f->tcp);
        copy_field(&udp, ident, f->udp);
        l4 |= f->tcp || f->udp;
    }
    if (reads_flags(s)) {
        dune_buf_puts(&fields, IN1 "bit<8>   tcp_flags;\n");
        copy_field(&tcp, "tcp_flags", "hdr.tcp.flags");
    }
    if (p4_uses(s, DUNE_F_DSTPORT_LOW))
        dune_buf_puts(&fields, IN1 "bit<16>  dport_low;  // 0 from 1024 on\n");
    p4_set_flag(v, "L4_FIELDS", l4);
    p4_set_flag(v, "DPORT_LOW", p4_uses(s, DUNE_F_DSTPORT_LOW));
    p4_set_flag(v, "V6_TOS", p4_uses(s, DUNE_F_IP_TOS));
    p4_set_buf(v, "PACKET_FIELDS", &fields);
    p4_set_buf(v, "FROM_IPV4", &v4);
    p4_set_buf(v, "FROM_IPV6", &v6);
    p4_set_buf(v, "FROM_TCP", &tcp);
    p4_set_buf(v, "FROM_UDP", &udp);
}

/* --- variables of all parts ---------------------------------------------------------------------------- */

void p4_tna_common_vars(struct p4_vars *v, const struct p4_shape *s)
{
    bool two = s->gens > 1;

    p4_set_flag(v, "TOFINO2", s->chip == 2);
    p4_set_flag(v, "TWO", two);
    p4_set_flag(v, "IPV6", s->plan->parser.ipv6);
    p4_set_flag(v, "VLAN", s->plan->parser.max_vlan > 0);
    p4_set_flag(v, "STATE", s->state);
    p4_set(v, "AT", "%s", s->at_text);
    p4_set(v, "AT_BITS", "%u", s->at_bits);
    p4_set(v, "GEN_KEY", "%s", two ? "            meta.g: exact @name(\"g\");" : "");
    p4_set(v, "GEN_PARAM", "%s", two ? "bit<1> g" : "");
    p4_set(v, "GEN_PARAM_FIRST", "%s", two ? "bit<1> g, " : "");
}

static void instances(struct p4_vars *v, const struct p4_shape *s)
{
    struct dune_buf b = {0};

    for (uint32_t k = 0; k < s->n_sub; k++)
        dune_buf_printf(&b, IN1 "SubModel_%u() sub_%u;\n" IN1 "Claim_%u() claim_%u;\n", k, k, k, k);
    p4_set_buf(v, "SUB_INSTANCES", &b);
    for (uint32_t k = 0; k < s->n_sub; k++)
        dune_buf_printf(&b, "            sub_%u.apply(hdr, meta);\n", k);
    p4_set_buf(v, "SUB_APPLY", &b);
    for (uint32_t k = 0; k < s->n_sub; k++)
        dune_buf_printf(&b, "            claim_%u.apply(hdr, meta);\n", k);
    p4_set_buf(v, "CLAIM_APPLY", &b);
    for (uint32_t k = 0; k < s->n_sub; k++)
        dune_buf_printf(&b, IN1 "bit<32>  ans_%u;      // of sub_%u\n" IN1 "bit<8>   kind_%u;     // K_\n", k, k, k);
    if (s->rules)
        dune_buf_puts(&b, IN1 "bit<32>  rule_answer;\n");
    if (s->state)
        dune_buf_puts(&b, IN1 "bit<8>   digest;     // DIGEST_DUE: send one\n");
    p4_set_buf(v, "ANSWER_FIELDS", &b);
}

static void actions(struct p4_vars *v, const struct p4_shape *s)
{
    const struct dune_plan *p = s->plan;
    bool last = s->device + 1 == p->n_devices, mark = false, mirror = false, any = false;

    for (uint32_t i = 0; i < p->n_classes; i++) {
        enum dune_action_kind a = p->cls[i].action;

        mark |= a == DUNE_ACTION_MARK && last;
        mirror |= a == DUNE_ACTION_MIRROR;
        any |= a == DUNE_ACTION_MIRROR || a == DUNE_ACTION_DROP || (last && a != DUNE_ACTION_FORWARD);
    }
    p4_set_flag(v, "ACTIONS", any);
    p4_set_flag(v, "MARK", mark);
    p4_set_flag(v, "MIRROR", mirror);
    p4_set(v, "MARK_MIRROR", "%s%s", mark ? " do_mark;" : "", mirror ? " do_mirror;" : "");
}

static void head_vars(struct p4_vars *v, const struct p4_shape *s)
{
    const struct dune_plan *p = s->plan;
    const struct dune_profile *prof = dune_profile_find(p->device[s->device].profile);
    bool v4 = s->rules && prof->rules, v6 = s->rules && p->parser.ipv6 && prof->rules_ipv6;

    p4_set(v, "DEVICE", "%s", p->device[s->device].name);
    p4_set(v, "CHIP", "Tofino %u", s->chip);
    p4_set(v, "SHIM_TYPE", "0x%04X", p->shim_ethertype);
    p4_set(v, "ALL_SLOTS", "%u", s->all_slots);
    p4_set(v, "SLOTS_TEXT", "%s", s->gens > 1 ? "of both generations: the generation is the highest index bit"
                                              : "of the one generation");
    p4_set(v, "TIMEOUT", "%llu", (unsigned long long)p->timeout);
    p4_set(v, "TAG", "%s", p->parser.max_vlan ? "first_tag" : "too_many_tags");
    p4_set_flag(v, "SUBMODELS", s->n_sub > 0);
    p4_set(v, "INFER", "%s", s->n_sub ? "infer()" : "refuse(F_INFERRED, SHIM_WRITE)");
    p4_set_flag(v, "MTU", p->chain_mtu != 0);
    p4_set(v, "MTU_ANY", "%s", p->chain_mtu ? ", _" : "");
    p4_set(v, "NOT_BIG", "%s", p->chain_mtu ? " && meta.too_big == 0" : "");
    p4_set(v, "NO_RULE", "%s", s->rules ? " &&\n            meta.rule == 0" : "");
    p4_set_flag(v, "RULES", s->rules);
    p4_set_flag(v, "RULES_V4", v4);
    p4_set(v, "RULES_V4", "%u", v4 ? prof->rules : 0);
    p4_set_flag(v, "RULES_V6", v6);
    p4_set(v, "RULES_V6", "%u", v6 ? prof->rules_ipv6 : 0);
    p4_set(v, "FILTER_SIZE", "%u", p4_round_up(4 * DUNE_MAX(p->filter.n_prefixes, p->filter.n_ports), 128));
    p4_set_flag(v, "DIGESTS", s->state);
    p4_set(v, "AT_LOWER", "0x%04X", (s->all_slots / 2 - 1) & 0xFFFF);
    p4_set(v, "AT_UPPER", "0x%04X", (s->all_slots / 2) & 0xFFFF);
}

/* Every field of the metadata starts as 0, except those of the port table. */
static void meta_zero(struct p4_vars *v, const char *head)
{
    const char *p = strstr(head, "struct meta_t {"), *end = p ? strstr(p, "\n}") : NULL;
    struct dune_buf b = {0};
    char name[48];

    for (p = p ? strchr(p, '\n') + 1 : NULL; p && p < end; p = strchr(p, '\n') + 1) {
        if (sscanf(p, " %*s %47[a-z0-9_];", name) == 1 && strncmp(p, "    ", 4) == 0 && p[4] != '/' &&
            strcmp(name, "port") != 0)
            dune_buf_printf(&b, IN2 "meta.%s = 0;\n", name);
    }
    p4_set_buf(v, "META_ZERO", &b);
}

/* Is the constant of this line, "const TYPE NAME = ...", used anywhere else? */
static bool is_used(const char *text, const char *line)
{
    char name[48];
    size_t n = 0;

    if (sscanf(line, "const %*s %47[A-Z0-9_a-z]", name) != 1)
        return true;
    for (const char *p = text; (p = strstr(p, name)) != NULL; p++) {
        char before = p == text ? ' ' : p[-1], after = p[strlen(name)];

        n += !isalnum((unsigned char)before) && before != '_' && !isalnum((unsigned char)after) && after != '_';
    }
    return n > 1;
}

/* Compilers warn of what is not used. */
static void without_unused(struct dune_buf *out, const char *text)
{
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, "\n");

        if (strncmp(p, "const ", 6) != 0 || is_used(text, p)) {
            dune_buf_append(out, p, n);
            dune_buf_puts(out, "\n");
        }
        p += n + (p[n] == '\n');
    }
}

void p4_tna_program(struct dune_buf *out, const struct p4_shape *s)
{
    struct p4_vars v = {0};
    struct dune_buf head = {0}, text = {0};

    p4_tna_common_vars(&v, s);
    head_vars(&v, s);
    constants(&v);
    p4_shape_comment(&v, s);
    packet_fields(&v, s);
    if (s->state)
        p4_tna_registers(&v, s);
    instances(&v, s);
    actions(&v, s);
    p4_expand(&head, p4_tna_head, &v);
    meta_zero(&v, head.data);
    dune_buf_append(&text, head.data, head.len);
    p4_expand(&text, p4_tna_parser, &v);
    p4_expand(&text, p4_tna_arrive, &v);
    p4_expand(&text, p4_tna_flow, &v);
    p4_tna_submodels(&text, s);
    p4_expand(&text, p4_tna_leave, &v);
    without_unused(out, text.data);
    p4_vars_fini(&v);
    dune_buf_fini(&head);
    dune_buf_fini(&text);
}
