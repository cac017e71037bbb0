/* SPDX-License-Identifier: Apache-2.0 */
/* The v1model program of a device: constants, parser cases, and the parts in order. */
#include "targets/p4/p4_int.h"

#include "dune/device.h"

#include <ctype.h>
#include <string.h>

/* --- parser ------------------------------------------------------------------------------------------- */

/* Values lo..hi of an 8-bit field as masked cases that lead to state. */
static void range_cases(struct dune_buf *b, uint32_t lo, uint32_t hi, const char *state)
{
    while (lo <= hi) {
        uint32_t size = 1;

        while (lo % (size * 2) == 0 && lo + size * 2 - 1 <= hi)
            size *= 2;
        if (size == 1)
            dune_buf_printf(b, "            %u: %s;\n", lo, state);
        else
            dune_buf_printf(b, "            8w%u &&& 8w%u: %s;\n", lo, 256 - size, state);
        lo += size;
    }
}

/* Where the extension headers lead behind n of them. */
static void ext_cases(struct dune_buf *b, uint32_t n, uint32_t max)
{
    static const struct {
        unsigned number;
        const char *state;
    } kind[] = {{0, "options"}, {43, "options"}, {60, "options"}, {44, "fragment"}, {51, "auth"}};

    for (size_t i = 0; i < DUNE_ARRAY_LEN(kind); i++) {
        if (n < max)
            dune_buf_printf(b, "            %u: ext_%u_%s;\n", kind[i].number, n, kind[i].state);
        else
            dune_buf_printf(b, "            %u: ext_headers;\n", kind[i].number);
    }
}

static void ext_states(struct dune_buf *out, const struct dune_parser_limits *l, uint32_t i)
{
    uint32_t len = l->max_ipv6_ext_len;
    struct p4_vars v = {0};
    struct dune_buf b = {0};
    char state[32];

    p4_set(&v, "I", "%u", i);
    p4_set_flag(&v, "FRAGMENT_FITS", len >= 8);
    p4_set_flag(&v, "EXT_REST", len >= 16);
    p4_set_flag(&v, "AUTH_REST", len >= 12);
    snprintf(state, sizeof(state), "ext_%u_next", i);
    if (len >= 8)
        range_cases(&b, 0, 0, state);
    snprintf(state, sizeof(state), "ext_%u_options_rest", i);
    if (len >= 16)
        range_cases(&b, 1, len / 8 - 1, state);
    p4_set_buf(&v, "OPTION_CASES", &b);
    snprintf(state, sizeof(state), "ext_%u_next", i);
    if (len >= 8)
        range_cases(&b, 0, 0, state);
    snprintf(state, sizeof(state), "ext_%u_auth_rest", i);
    if (len >= 12)
        range_cases(&b, 1, len / 4 - 2, state);
    p4_set_buf(&v, "AUTH_CASES", &b);
    ext_cases(&b, i + 1, l->max_ipv6_ext);
    p4_set_buf(&v, "EXT_CASES", &b);
    p4_expand(out, p4_v1_ext, &v);
    p4_vars_fini(&v);
}

static void parser_vars(struct p4_vars *v, const struct p4_shape *s)
{
    const struct dune_parser_limits *l = &s->plan->parser;
    bool ext = l->ipv6 && l->max_ipv6_ext > 0, next = l->max_ipv6_ext_len >= 8; /* no header fits into less */
    struct dune_buf b = {0};

    p4_set_flag(v, "VLAN", l->max_vlan >= 1);
    p4_set_flag(v, "VLAN2", l->max_vlan >= 2);
    p4_set(v, "TAG_AFTER_0", "%s", l->max_vlan >= 1 ? "first_tag" : "too_many_tags");
    p4_set(v, "TAG_AFTER_1", "%s", l->max_vlan >= 2 ? "second_tag" : "too_many_tags");
    for (uint32_t n = 0; n < l->max_vlan; n++)
        dune_buf_printf(&b, "            (TYPE_VLAN, %u): tag_in_shim;\n            (TYPE_QINQ, %u): tag_in_shim;\n", n, n);
    p4_set_buf(v, "TAGS_IN_SHIM", &b);
    p4_set_flag(v, "IPV4_OPTIONS", l->max_ipv4_options > 0);
    p4_set(v, "IPV4_OPTION_BITS", "%u", l->max_ipv4_options * 8u);
    p4_set_flag(v, "IPV6", l->ipv6);
    p4_set_flag(v, "EXT", ext);
    p4_set_flag(v, "EXT2", ext && next && l->max_ipv6_ext > 1);
    p4_set_flag(v, "EXT_REST", ext && l->max_ipv6_ext_len >= 12);
    p4_set(v, "EXT_REST_BITS", "%u", l->max_ipv6_ext_len >= 12 ? (l->max_ipv6_ext_len - 8) * 8 : 0);
    for (uint32_t ihl = 6; ihl <= 5u + l->max_ipv4_options / 4; ihl++)
        dune_buf_printf(&b, "            %u: ipv4_options;\n", ihl);
    p4_set_buf(v, "IHL_CASES", &b);
    ext_cases(&b, 0, ext ? l->max_ipv6_ext : 0);
    p4_set_buf(v, "EXT_CASES_0", &b);
    for (uint32_t i = 0; ext && i < (next ? l->max_ipv6_ext : 1u); i++)
        ext_states(&b, l, i);
    p4_set_buf(v, "EXT_STATES", &b);
}

/* --- head --------------------------------------------------------------------------------------------- */

static void constants(struct p4_vars *v)
{
    struct dune_buf b = {0};

    for (unsigned i = 0; i < DUNE_N_REASONS; i++)
        p4_put_constant(&b, "R_", dune_reason_name((enum dune_reason)i), i);
    p4_set_buf(v, "REASONS", &b);
    for (unsigned i = 0; i < DUNE_N_FATES; i++)
        p4_put_constant(&b, "F_", dune_fate_name((enum dune_fate)i), i);
    p4_set_buf(v, "FATES", &b);
}

void p4_shape_comment(struct p4_vars *v, const struct p4_shape *s)
{
    struct dune_buf b = {0};

    for (uint32_t k = 0; k < s->n_sub; k++) {
        const struct p4_sub *sub = &s->sub[k];

        dune_buf_printf(&b, " *   sub_%u: %u trees, %s;", k, sub->sm->n_trees,
                        dune_mode_name(sub->sm->mode));
        for (uint32_t j = 0; j < sub->n_feats; j++)
            dune_buf_printf(&b, " %s", dune_catalog[sub->feat[j].feat].name);
        dune_buf_puts(&b, "\n");
    }
    if (s->n_sub == 0)
        dune_buf_puts(&b, " *   none: this device carries the shim on\n");
    p4_set_buf(v, "SHAPE_COMMENT", &b);
}

static void instances(struct p4_vars *v, const struct p4_shape *s)
{
    static const char *const answers[] = {"answers_pl", "answers_fl", "answers_stored", "claims"};
    struct dune_buf b = {0};

    for (uint32_t k = 0; k < s->n_sub; k++)
        dune_buf_printf(&b, "    SubModel_%u() sub_%u;\n", k, k);
    p4_set_buf(v, "SUB_INSTANCES", &b);
    for (uint32_t k = 0; k < s->n_sub; k++)
        dune_buf_printf(&b, "            sub_%u.apply(meta);\n", k);
    p4_set_buf(v, "SUB_APPLY", &b);
    for (uint32_t i = 0; i < 4; i++)
        for (uint32_t k = 0; k < s->n_sub; k++)
            dune_buf_printf(&b, "        if (meta.%s > %u) {\n            counts.count(%u);\n        }\n",
                            answers[i], k, 96 + i);
    p4_set_buf(v, "COUNT_ANSWERS", &b);
}

/* P4Runtime ids stand in front of tables and actions; they are made from the names. */
static void add_ids(struct dune_buf *out, const char *text)
{
    char scope[32] = "", name[64], full[128];

    while (*text) {
        size_t n = strcspn(text, "\n");
        unsigned k;

        if (sscanf(text, "control SubModel_%u(", &k) == 1)
            snprintf(scope, sizeof(scope), "sub_%u", k);
        else if (sscanf(text, "control %29[A-Za-z0-9](", name) == 1)
            snprintf(scope, sizeof(scope), "%c%.29s", tolower((unsigned char)name[0]), name + 1);
        if (strncmp(text, "    table ", 10) == 0 &&
            sscanf(text + 10, "%60[a-z0-9_] {", name) == 1) {
            snprintf(full, sizeof(full), "%s.%s", scope, name);
            dune_buf_printf(out, "    @id(0x%08X)\n", p4_id(2, full));
        } else if (strncmp(text, "    action ", 11) == 0 &&
                   sscanf(text + 11, "%60[a-z0-9_](", name) == 1) {
            snprintf(full, sizeof(full), "%s.%s", scope, name);
            dune_buf_printf(out, "    @id(0x%08X)\n", p4_id(1, full));
        }
        dune_buf_append(out, text, n);
        dune_buf_puts(out, "\n");
        text += n + (text[n] == '\n');
    }
}

void p4_v1_program(struct dune_buf *out, const struct p4_shape *s)
{
    const struct dune_plan *p = s->plan;
    struct p4_vars v = {0};
    struct dune_buf text = {0};

    p4_set(&v, "DEVICE", "%s", p->device[s->device].name);
    p4_set(&v, "DEVICE_INDEX", "%u", s->device);
    p4_set(&v, "SHIM_TYPE", "0x%04X", p->shim_ethertype);
    p4_set(&v, "SLOTS", "%u", p->slots);
    p4_set(&v, "ALL_SLOTS", "%u", p->slots * 2);
    p4_set(&v, "RULES", "%d", DUNE_RULES_MAX_DEFAULT);
    p4_set_flag(&v, "STATE", s->state);
    constants(&v);
    p4_shape_comment(&v, s);
    parser_vars(&v, s);
    p4_v1_registers(&v, s);
    instances(&v, s);
    p4_expand(&text, p4_v1_head, &v);
    p4_expand(&text, p4_v1_parser, &v);
    p4_expand(&text, p4_v1_arrive, &v);
    p4_expand(&text, p4_v1_state, &v);
    p4_v1_submodels(&text, s);
    p4_expand(&text, p4_v1_leave, &v);
    p4_vars_fini(&v);
    p4_drop_unused(&text);
    add_ids(out, text.data);
    dune_buf_fini(&text);
}
