/* SPDX-License-Identifier: Apache-2.0 */
/* Sub-models of the TNA program: feature tables, code tables, votes, what becomes of a claim. */
#include "targets/p4/p4_int.h"

#include <string.h>

#define IN1 "    "
#define IN2 "        "
#define IN3 "            "
#define IN4 "                "
/* As payloads of gateways the assembler for Tofino 2 refuses small constant tables. */
#define KEEP IN1 "@no_gateway_conversion\n" IN1

/* Where the program keeps the value of a feature. */
static void value_of(char out[48], const struct p4_shape *s, uint8_t feat)
{
    static const char *const fixed[DUNE_N_FEATURES] = {
        [DUNE_F_IP_PROTO] = "meta.proto", [DUNE_F_SRCPORT] = "hdr.l4.sport",
        [DUNE_F_DSTPORT] = "hdr.l4.dport", [DUNE_F_DSTPORT_LOW] = "meta.dport_low",
        [DUNE_F_TCP_SYN] = "meta.tcp_flags[1:1]", [DUNE_F_TCP_ACK] = "meta.tcp_flags[4:4]",
        [DUNE_F_TCP_PSH] = "meta.tcp_flags[3:3]", [DUNE_F_TCP_FIN] = "meta.tcp_flags[0:0]",
        [DUNE_F_TCP_RST] = "meta.tcp_flags[2:2]", [DUNE_F_TCP_URG] = "meta.tcp_flags[5:5]",
        [DUNE_F_TCP_ECE] = "meta.tcp_flags[6:6]", [DUNE_F_TCP_CWR] = "meta.tcp_flags[7:7]",
        [DUNE_F_COUNT] = "meta.count",
    };
    char ident[32];

    (void)s;
    p4_ident(ident, feat);
    if (fixed[feat])
        snprintf(out, 48, "%s", fixed[feat]);
    else
        snprintf(out, 48, "meta.%s%s", dune_catalog[feat].phase == DUNE_PHASE_FL ? "r_" : "", ident);
}

/* Packets before n must not see this feature: without a row they get the words of 0. */
static bool is_hidden(const struct p4_sub *sub, uint8_t feat)
{
    return dune_catalog[feat].phase == DUNE_PHASE_FL && sub->sm->mode != DUNE_MODE_RUNNING;
}

/* --- feature and code tables ------------------------------------------------------------------------ */

static uint32_t feature_size(const struct p4_shape *s, const struct p4_sub *sub, uint32_t j)
{
    const struct p4_feature *f = &sub->feat[j];
    enum p4_match_kind kind = p4_tna_feature_kind(f->feat);
    uint32_t rows = kind == P4_TERNARY
                        ? dune_range_rows_ternary(sub->sm->feat[j].row, sub->sm->feat[j].n_rows)
                        : f->rows;

    /* Exact tables have no more rows than keys. */
    return kind == P4_EXACT ? s->gens << dune_catalog[f->feat].bits : p4_round_up(rows * s->gens, 64);
}

static void feature_table(struct dune_buf *b, const struct p4_shape *s, uint32_t k, uint32_t j)
{
    static const char *const kind[] = {"exact", "ternary", "range"};
    const struct p4_sub *sub = &s->sub[k];
    const struct p4_feature *f = &sub->feat[j];
    struct dune_buf zero = {0};
    const char *sep = "";
    char ident[32], value[48];

    p4_ident(ident, f->feat);
    value_of(value, s, f->feat);
    dune_buf_printf(b, IN1 "action codes_%s(", ident);
    for (uint32_t t = 0; t < sub->sm->n_trees; t++) {
        if (!f->bits[t])
            continue;
        dune_buf_printf(b, "%sbit<%u> c%u", sep, f->bits[t], t);
        dune_buf_printf(&zero, "%s0", sep);
        sep = ", ";
    }
    dune_buf_puts(b, ") {\n");
    for (uint32_t t = 0; t < sub->sm->n_trees; t++)
        if (f->bits[t])
            dune_buf_printf(b, IN2 "w%u_%s = c%u;\n", t, ident, t);
    dune_buf_printf(b, IN1 "}\n" IN1 "table f_%s {\n" IN2 "key = {\n", ident);
    if (s->gens > 1)
        dune_buf_puts(b, IN3 "meta.g: exact @name(\"g\");\n");
    if (is_hidden(sub, f->feat))
        dune_buf_printf(b, IN3 "meta.kind_%u: ternary @name(\"kind\");\n", k);
    dune_buf_printf(b, IN3 "%s: %s @name(\"%s\");\n" IN2 "}\n", value, kind[p4_tna_feature_kind(f->feat)], ident);
    dune_buf_printf(b, IN2 "actions = { codes_%s; }\n" IN2 "const default_action = codes_%s(%s); // as of 0\n" IN2
                           "size = %u;\n" IN1 "}\n",
                    ident, ident, zero.data ? zero.data : "", feature_size(s, sub, j));
    dune_buf_fini(&zero);
}

static void words(struct dune_buf *b, const struct p4_sub *sub)
{
    char ident[32];

    for (uint32_t j = 0; j < sub->n_feats; j++)
        for (uint32_t t = 0; t < sub->sm->n_trees; t++) {
            p4_ident(ident, sub->feat[j].feat);
            if (sub->feat[j].bits[t] && !dune_submodel_is_zero(sub->sm, j))
                dune_buf_printf(b, IN1 "bit<%u> w%u_%s;\n", sub->feat[j].bits[t], t, ident);
        }
}

static void code_table(struct dune_buf *b, const struct p4_shape *s, uint32_t k, uint32_t t)
{
    const struct p4_sub *sub = &s->sub[k];
    const char *zero = sub->sm->n_trees == 1 ? "0" : t ? "0, 0, 0, 0" : "0, 0, 0, 0, 0";
    bool any = false;
    char ident[32];

    if (sub->sm->n_trees == 1) {
        dune_buf_printf(b, IN1 "action leaf_0(bit<32> answer) {\n" IN2 "meta.ans_%u = answer;\n" IN1 "}\n", k);
    } else {
        dune_buf_printf(b, IN1 "action leaf_%u(bit<8> cls, bit<8> conf, bit<8> own, bit<8> own_conf%s) {\n", t,
                        t ? "" : ", bit<8> id");
        dune_buf_printf(b, IN2 "cls_%u = cls;\n" IN2 "conf_%u = conf;\n" IN2 "own_%u = own;\n" IN2
                               "own_conf_%u = own_conf;\n%s" IN1 "}\n", t, t, t, t, t ? "" : IN2 "id_flipped = id;\n");
    }
    dune_buf_printf(b, IN1 "table t_%u {\n" IN2 "key = {\n", t);
    if (s->gens > 1)
        dune_buf_puts(b, IN3 "meta.g: exact @name(\"g\");\n");
    for (uint32_t j = 0; j < sub->n_feats; j++) {
        p4_ident(ident, sub->feat[j].feat);
        if (!sub->feat[j].bits[t] || dune_submodel_is_zero(sub->sm, j))
            continue;
        dune_buf_printf(b, IN3 "w%u_%s: ternary @name(\"w%u_%s\");\n", t, ident, t, ident);
        any = true;
    }
    if (!any) /* a tree of one leaf */
        dune_buf_puts(b, IN3 "meta.parsed: ternary @name(\"parsed\");\n");
    dune_buf_printf(b, IN2 "}\n" IN2 "actions = { leaf_%u; }\n" IN2 "const default_action = leaf_%u(%s);\n" IN2
                           "size = %u;\n" IN1 "}\n", t, t, zero, p4_round_up(sub->sm->tree[t].n_leaves * s->gens, 64));
}

/* --- votes -------------------------------------------------------------------------------------------- */

static void vote_locals(struct dune_buf *b, uint32_t n)
{
    for (uint32_t t = 0; t < n; t++)
        dune_buf_printf(b, IN1 "bit<8> cls_%u;\n" IN1 "bit<8> conf_%u;\n" IN1 "bit<8> own_%u;\n" IN1
                           "bit<8> own_conf_%u;\n", t, t, t, t);
    dune_buf_puts(b, IN1 "bit<8> id_flipped;\n");
    for (uint32_t t = 0; t < n; t++)
        for (uint32_t u = t + 1; u < n; u++)
            dune_buf_printf(b, IN1 "bit<8> e_%u_%u = 0;\n" IN1 "bit<8> o_%u_%u = 0;\n", t, u, t, u);
    for (int own = 0; own < 2; own++) {
        const char *o = own ? "own_" : "";

        dune_buf_printf(b, IN1 "bit<8> a_%scls = 0;\n" IN1 "bit<8> a_%sconf = 0;\n", o, o);
        if (n > 2) /* the second sum */
            dune_buf_printf(b, IN1 "bit<8> a_%smore = 0;\n", o);
    }
}

/* Class of the earliest tree; confidences in two sums of at most two trees each. */
static void winner_action(struct dune_buf *b, uint32_t n, uint32_t mask, bool own)
{
    const char *o = own ? "own_" : "", *c = own ? "own" : "cls";
    uint32_t at = 0;

    dune_buf_printf(b, IN1 "action %strees_%u() {\n", o, mask);
    for (uint32_t t = 0; t < n; t++) {
        if (!(mask >> t & 1))
            continue;
        if (at == 0)
            dune_buf_printf(b, IN2 "a_%scls = %s_%u;\n", o, c, t);
        if (at % 2)
            dune_buf_printf(b, " + %sconf_%u", o, t);
        else
            dune_buf_printf(b, "%s" IN2 "a_%s%s = %sconf_%u", at ? ";\n" : "", o, at ? "more" : "conf", o, t);
        at++;
    }
    dune_buf_puts(b, ";\n" IN1 "}\n");
}

/* Sets of trees that can win, as masks. */
struct winner_sets {
    uint32_t n_trees;
    bool seen[1 << DUNE_P4_MAX_TREES];
};

static void note_set(void *ctx, const uint8_t *group)
{
    struct winner_sets *w = ctx;

    w->seen[p4_winners(w->n_trees, group)] = true;
}

static void count_row(void *ctx, const uint8_t *group)
{
    (void)group;
    ++*(uint32_t *)ctx;
}

static uint32_t vote_rows(uint32_t n, bool own)
{
    uint32_t rows = 0;

    p4_patterns(n, own, count_row, &rows);
    return rows;
}

static void vote_table(struct dune_buf *b, uint32_t n, bool own)
{
    struct winner_sets w = {.n_trees = n};
    const char *o = own ? "own_" : "";

    p4_patterns(n, own, note_set, &w);
    for (uint32_t m = 1; m < 1u << n; m++)
        if (w.seen[m])
            winner_action(b, n, m, own);
    dune_buf_printf(b, KEEP "table %swinner {\n" IN2 "key = {\n", o);
    for (uint32_t t = 0; t < n && own; t++)
        dune_buf_printf(b, IN3 "own_%u: ternary;\n", t);
    for (uint32_t t = 0; t < n; t++)
        for (uint32_t u = t + 1; u < n; u++)
            dune_buf_printf(b, IN3 "%c_%u_%u: ternary;\n", own ? 'o' : 'e', t, u);
    dune_buf_puts(b, IN2 "}\n" IN2 "actions = {");
    for (uint32_t m = 1; m < 1u << n; m++)
        if (w.seen[m])
            dune_buf_printf(b, " %strees_%u;", o, m);
    dune_buf_puts(b, " NoAction; }\n" IN2 "const entries = {\n");
    p4_tna_vote_rows(b, n, own);
    dune_buf_printf(b, IN2 "}\n" IN2 "const default_action = NoAction();\n" IN2 "size = %u;\n" IN1 "}\n", vote_rows(n, own));
}

static void put_vote(struct dune_buf *b, uint32_t k, uint32_t n)
{
    dune_buf_puts(b, IN1 "// Votes: which trees agree? 0 where two do. The winner table gives the class and adds\n" IN1
                     "// the confidences of its trees; among trees that say Other the same with their own classes.\n");
    dune_buf_puts(b, IN1 "action compare() {\n");
    for (uint32_t t = 0; t < n; t++)
        for (uint32_t u = t + 1; u < n; u++)
            dune_buf_printf(b, IN2 "e_%u_%u = cls_%u ^ cls_%u;\n" IN2 "o_%u_%u = own_%u ^ own_%u;\n", t, u, t, u, t,
                            u, t, u);
    dune_buf_puts(b, IN1 "}\n");
    vote_table(b, n, false);
    vote_table(b, n, true);
    if (n > 2)
        dune_buf_puts(b, IN1 "action add_rest() {\n" IN2 "a_conf = a_conf + a_more;\n" IN2
                         "a_own_conf = a_own_conf + a_own_more;\n" IN1 "}\n");
    dune_buf_printf(b, IN1 "Hash<bit<32>>(HashAlgorithm_t.IDENTITY) claim_word;\n" IN1
                           "Hash<bit<32>>(HashAlgorithm_t.IDENTITY) tentative_word;\n" IN1 "action claims() {\n" IN2
                           "meta.ans_%u = claim_word.get({ 1w1, a_conf, id_flipped, a_cls, 7w0 });\n" IN1 "}\n" IN1
                           "action tentative() {\n" IN2
                           "meta.ans_%u = tentative_word.get({ 1w0, a_own_conf, id_flipped, a_own_cls, 7w0 });\n" IN1
                           "}\n", k, k);
}

/* --- claims ------------------------------------------------------------------------------------------- */

static void claim_rows(struct dune_buf *b, const struct p4_shape *s, uint32_t k)
{
    const struct p4_sub *sub = &s->sub[k];
    bool best = s->plan->claim == DUNE_CLAIM_BEST, rule = k == 0 && s->rules;
    const char *r = rule ? "_, " : "", *open = "8w0 &&& 8w0x10";

    if (rule)
        dune_buf_printf(b, IN3 "(1, _%s%s): take_rule();\n", sub->stores ? ", _" : "", best ? "" : ", _");
    if (best && sub->stores)
        dune_buf_printf(b, IN3 "(%s%s, K_PL): combine_unsettled();\n" IN3 "(%s%s, K_NONE): unsettle();\n" IN3
                           "(%s%s, _): combine();\n", r, open, r, open, r, open);
    else if (best)
        dune_buf_printf(b, IN3 "%s%s%s%s: combine_unsettled();\n", rule ? "(" : "", r, open, rule ? ")" : "");
    else if (sub->stores)
        dune_buf_printf(b, IN3 "(%s%s, K_PL, 1): combine_unsettled();\n" IN3 "(%s%s, K_PL, 0): unsettle();\n" IN3
                           "(%s%s, K_NONE, _): unsettle();\n" IN3 "(%s%s, _, 1): combine();\n", r, open, r, open, r,
                        open, r, open);
    else
        dune_buf_printf(b, IN3 "(%s%s, 1): combine_unsettled();\n" IN3 "(%s%s, 0): unsettle();\n", r, open, r, open);
}

static void put_submodel(struct dune_buf *out, const struct p4_shape *s, uint32_t k)
{
    const struct p4_sub *sub = &s->sub[k];
    bool last_here = k + 1 == s->n_sub;
    struct p4_vars v = {0};
    struct dune_buf b = {0};
    char ident[32];

    p4_tna_common_vars(&v, s);
    p4_set(&v, "K", "%u", k);
    p4_set(&v, "PLURAL", "%s", sub->sm->n_trees > 1 ? "s" : "");
    p4_set(&v, "SUMMARY", "%u %s, %u features, mode %s", sub->sm->n_trees, sub->sm->n_trees == 1 ? "tree" : "trees",
           sub->n_feats, dune_mode_name(sub->sm->mode));
    p4_set_flag(&v, "STORES", sub->stores);
    p4_set_flag(&v, "BEST", s->plan->claim == DUNE_CLAIM_BEST);
    p4_set_flag(&v, "FIRST_HERE", k == 0 && s->rules);
    p4_set(&v, "TAKE_RULE", "%s", k == 0 && s->rules ? " take_rule;" : "");
    p4_set_flag(&v, "LAST_HERE", last_here);
    p4_set_flag(&v, "VERDICT", p4_tna_has_verdict(s, k));
    p4_set(&v, "UNCLAIMED", "%s", last_here ? " unclaimed;" : "");
    p4_set_flag(&v, "FLOW_MODE", sub->sm->mode == DUNE_MODE_FLOW);
    p4_set(&v, "NO_ANSWER", "%s", sub->sm->mode == DUNE_MODE_FLOW ? " no_answer;" : "");
    p4_set(&v, "VERDICT_TEXT", "%s",
           sub->last ? "The chain ends here: what falls short of its class's least confidence is unclaimed."
                     : "A claim that reaches its class's bar (early exit, least confidence) is final at once.");
    p4_set(&v, "VERDICT_SIZE", "%u", p4_round_up((4 * s->plan->n_classes + 16) * s->gens, 128));
    words(&b, sub);
    if (sub->sm->n_trees > 1)
        vote_locals(&b, sub->sm->n_trees);
    for (uint32_t j = 0; j < sub->n_feats; j++)
        if (!dune_submodel_is_zero(sub->sm, j))
            feature_table(&b, s, k, j);
    p4_set_buf(&v, "FEATURE_TABLES", &b);
    if (sub->sm->n_trees > 1)
        put_vote(&b, k, sub->sm->n_trees);
    p4_set_buf(&v, "VOTE", &b);
    for (uint32_t t = 0; t < sub->sm->n_trees; t++)
        code_table(&b, s, k, t);
    p4_set_buf(&v, "CODE_TABLES", &b);
    for (uint32_t j = 0; j < sub->n_feats; j++) {
        p4_ident(ident, sub->feat[j].feat);
        if (!dune_submodel_is_zero(sub->sm, j))
            dune_buf_printf(&b, IN2 "f_%s.apply();\n", ident);
    }
    p4_set_buf(&v, "FEATURES_APPLY", &b);
    for (uint32_t t = 0; t < sub->sm->n_trees; t++)
        dune_buf_printf(&b, IN2 "t_%u.apply();\n", t);
    if (sub->sm->n_trees > 1)
        dune_buf_printf(&b, IN2 "compare();\n" IN2 "winner.apply();\n" IN2 "own_winner.apply();\n%s" IN2
                            "if (a_cls != 255) {\n" IN3 "claims();\n" IN2
                            "} else if (a_own_cls != 0) { // Other, with a class of its own\n" IN3 "tentative();\n" IN2
                            "}\n", sub->sm->n_trees > 2 ? IN2 "add_rest();\n" : "");
    p4_set_buf(&v, "CODES_APPLY", &b);
    claim_rows(&b, s, k);
    p4_set_buf(&v, "CLAIM_ROWS", &b);
    p4_expand(out, p4_tna_submodel, &v);
    p4_vars_fini(&v);
}

void p4_tna_submodels(struct dune_buf *out, const struct p4_shape *s)
{
    for (uint32_t k = 0; k < s->n_sub; k++)
        put_submodel(out, s, k);
}
