/* SPDX-License-Identifier: Apache-2.0 */
/* Sub-models of the v1model program: feature tables, code tables, votes, the kind of an answer. */
#include "targets/p4/p4_int.h"

#include <string.h>

#define IN1 "        "
#define IN2 "            "

/* Where the program keeps the value of a feature. */
static void value_of(char out[48], uint8_t feat)
{
    static const char *const fixed[DUNE_N_FEATURES] = {
        [DUNE_F_IP_PROTO] = "meta.proto", [DUNE_F_SRCPORT] = "meta.sport",
        [DUNE_F_DSTPORT] = "meta.dport", [DUNE_F_DSTPORT_LOW] = "meta.dport_low",
        [DUNE_F_TCP_SYN] = "meta.flag_syn", [DUNE_F_TCP_ACK] = "meta.flag_ack",
        [DUNE_F_TCP_PSH] = "meta.flag_psh", [DUNE_F_TCP_FIN] = "meta.flag_fin",
        [DUNE_F_TCP_RST] = "meta.flag_rst", [DUNE_F_TCP_URG] = "meta.flag_urg",
        [DUNE_F_TCP_ECE] = "meta.flag_ece", [DUNE_F_TCP_CWR] = "meta.flag_cwr",
        [DUNE_F_COUNT] = "meta.count",
    };
    char ident[32];

    p4_ident(ident, feat);
    if (fixed[feat])
        snprintf(out, 48, "%s", fixed[feat]);
    else
        snprintf(out, 48, "meta.%s%s", dune_catalog[feat].phase == DUNE_PHASE_FL ? "r_" : "", ident);
}

/* Flow features that packets before n must not see go through a local that stays 0 for them. */
static bool has_view(const struct p4_sub *sub, uint8_t feat)
{
    return dune_catalog[feat].phase == DUNE_PHASE_FL && sub->mode != DUNE_MODE_RUNNING;
}

static void locals(struct dune_buf *b, const struct p4_sub *sub)
{
    uint32_t n = sub->n_trees;
    char ident[32];

    for (uint32_t j = 0; j < sub->n_feats; j++) {
        p4_ident(ident, sub->feat[j].feat);
        if (has_view(sub, sub->feat[j].feat))
            dune_buf_printf(b, "    bit<%u> x_%s = 0;\n", dune_catalog[sub->feat[j].feat].bits, ident);
        for (uint32_t t = 0; t < n; t++)
            if (sub->feat[j].bits[t])
                dune_buf_printf(b, "    bit<%u> w%u_%s = 0;\n", sub->feat[j].bits[t], t, ident);
    }
    for (uint32_t t = 0; t < n; t++)
        dune_buf_printf(b, "    bit<8> cls_%u = OTHER;\n    bit<8> conf_%u = 0;\n"
                           "    bit<8> own_%u = 0;\n    bit<8> own_conf_%u = 0;\n", t, t, t, t);
    if (n == 1)
        return;
    for (uint32_t t = 0; t < n; t++) {
        dune_buf_printf(b, "    bit<1> p_%u = 0;\n", t);
        for (uint32_t u = t + 1; u < n; u++)
            dune_buf_printf(b, "    bit<1> e_%u_%u = 0;\n    bit<1> o_%u_%u = 0;\n", t, u, t, u);
    }
    dune_buf_printf(b, "    bit<%u> trees = 0;\n    bit<%u> own_trees = 0;\n", n, n);
}

static void feature_table(struct dune_buf *b, const struct p4_sub *sub, const struct p4_feature *f)
{
    const char *sep = "";
    char ident[32], value[48];

    p4_ident(ident, f->feat);
    value_of(value, f->feat);
    dune_buf_printf(b, "    action codes_%s(", ident);
    for (uint32_t t = 0; t < sub->n_trees; t++) {
        if (!f->bits[t])
            continue;
        dune_buf_printf(b, "%sbit<%u> c%u", sep, f->bits[t], t);
        sep = ", ";
    }
    dune_buf_puts(b, ") {\n");
    for (uint32_t t = 0; t < sub->n_trees; t++)
        if (f->bits[t])
            dune_buf_printf(b, IN1 "w%u_%s = c%u;\n", t, ident, t);
    dune_buf_printf(b, "    }\n    table f_%s {\n" IN1 "key = { meta.g: exact; ", ident);
    if (has_view(sub, f->feat))
        dune_buf_printf(b, "x_%s: range; }\n", ident);
    else
        dune_buf_printf(b, "%s: range; }\n", value);
    dune_buf_printf(b, IN1 "actions = { codes_%s; NoAction; }\n" IN1 "size = %u;\n" IN1
                           "default_action = NoAction();\n    }\n",
                    ident, p4_round_up(2 * f->room, 64));
}

static void code_table(struct dune_buf *b, const struct p4_sub *sub, uint32_t t)
{
    char ident[32];

    dune_buf_printf(b, "    action leaf_%u(bit<8> cls, bit<8> conf, bit<8> own, bit<8> own_conf) {\n", t);
    dune_buf_printf(b, IN1 "cls_%u = cls;\n" IN1 "conf_%u = conf;\n" IN1 "own_%u = own;\n" IN1
                           "own_conf_%u = own_conf;\n    }\n", t, t, t, t);
    dune_buf_printf(b, "    table t_%u {\n" IN1 "key = {\n" IN2 "meta.g: exact;\n", t);
    for (uint32_t j = 0; j < sub->n_feats; j++) {
        p4_ident(ident, sub->feat[j].feat);
        if (sub->feat[j].bits[t])
            dune_buf_printf(b, IN2 "w%u_%s: ternary;\n", t, ident);
    }
    dune_buf_printf(b, IN1 "}\n" IN1 "actions = { leaf_%u; NoAction; }\n" IN1 "size = %u;\n" IN1
                           "default_action = NoAction();\n    }\n",
                    t, p4_round_up(2 * sub->leaves[t], 64));
}

static void vote_table(struct dune_buf *b, uint32_t n, bool own)
{
    const char *o = own ? "own_" : "";

    dune_buf_printf(b, "    action set_%swinner(bit<%u> winners) {\n" IN1 "%strees = winners;\n    }\n", o, n, o);
    dune_buf_printf(b, "    table %swinner {\n" IN1 "key = {\n", o);
    for (uint32_t t = 0; t < n && own; t++)
        dune_buf_printf(b, IN2 "p_%u: exact;\n", t);
    for (uint32_t t = 0; t < n; t++)
        for (uint32_t u = t + 1; u < n; u++)
            dune_buf_printf(b, IN2 "%c_%u_%u: exact;\n", own ? 'o' : 'e', t, u);
    dune_buf_printf(b, IN1 "}\n" IN1 "actions = { set_%swinner; NoAction; }\n" IN1 "size = %u;\n" IN1
                           "default_action = NoAction();\n    }\n",
                    o, own ? 8192 : 1024);
}

/* --- the apply block ------------------------------------------------------------------------------------ */

static void kind_text(struct dune_buf *b, enum dune_mode mode)
{
    if (mode == DUNE_MODE_PACKET) {
        dune_buf_puts(b, IN1 "kind = K_PL; // every packet on its own\n");
        return;
    }
    dune_buf_puts(b, IN1 "if (meta.count > n) {\n" IN2 "kind = K_STORED;\n"
                     IN1 "} else if (meta.count == n) {\n" IN2 "kind = K_FL;\n" IN1 "} else {\n");
    dune_buf_printf(b, IN2 "kind = %s\n" IN1 "}\n",
                    mode == DUNE_MODE_FLOW ? "K_NONE; // no answer before packet n" : "K_PL;");
}

static void views_text(struct dune_buf *b, const struct p4_sub *sub)
{
    bool any = false;
    char ident[32], value[48];

    for (uint32_t j = 0; j < sub->n_feats; j++) {
        uint8_t feat = sub->feat[j].feat;

        if (!has_view(sub, feat) || sub->mode == DUNE_MODE_PACKET)
            continue;
        if (!any)
            dune_buf_puts(b, IN2 "if (kind == K_FL) { // packets before see flow features 0\n");
        any = true;
        p4_ident(ident, feat);
        value_of(value, feat);
        dune_buf_printf(b, IN2 "    x_%s = %s;\n", ident, value);
    }
    if (any)
        dune_buf_puts(b, IN2 "}\n");
}

static void apply_text(struct dune_buf *b, const struct p4_sub *sub)
{
    char ident[32];

    for (uint32_t j = 0; j < sub->n_feats; j++) {
        p4_ident(ident, sub->feat[j].feat);
        dune_buf_printf(b, IN2 "f_%s.apply();\n", ident);
    }
    for (uint32_t t = 0; t < sub->n_trees; t++)
        dune_buf_printf(b, IN2 "t_%u.apply();\n", t);
}

/* Sums fit 8 bits: confidences are at most 255 / trees. */
static void vote_text(struct dune_buf *b, uint32_t n)
{
    if (n == 1) {
        dune_buf_puts(b, IN2 "if (cls_0 != OTHER) {\n" IN2 "    a_claim = 1;\n" IN2 "    a_cls = cls_0;\n"
                         IN2 "    a_conf = conf_0;\n" IN2 "} else if (own_0 != 0) {\n"
                         IN2 "    a_cls = own_0;\n" IN2 "    a_conf = own_conf_0;\n" IN2 "}\n");
        return;
    }
    for (uint32_t t = 0; t < n; t++)
        for (uint32_t u = t + 1; u < n; u++)
            dune_buf_printf(b, IN2 "if (cls_%u == cls_%u) {\n" IN2 "    e_%u_%u = 1;\n" IN2 "}\n", t, u, t, u);
    dune_buf_puts(b, IN2 "winner.apply();\n");
    for (uint32_t t = 0; t < n; t++)
        dune_buf_printf(b, IN2 "if (trees[%u:%u] == 1) {\n" IN2 "    a_cls = cls_%u;\n" IN2
                               "    a_conf = a_conf + conf_%u;\n" IN2 "}\n", t, t, t, t);
    dune_buf_puts(b, IN2 "a_claim = 1;\n" IN2 "if (a_cls == OTHER) { // the same rule among their own classes\n"
                     IN2 "    a_claim = 0;\n" IN2 "    a_cls = 0;\n" IN2 "    a_conf = 0;\n");
    for (uint32_t t = 0; t < n; t++)
        dune_buf_printf(b, IN2 "    if (cls_%u == OTHER && own_%u != 0) {\n" IN2 "        p_%u = 1;\n" IN2
                               "    }\n", t, t, t);
    for (uint32_t t = 0; t < n; t++)
        for (uint32_t u = t + 1; u < n; u++)
            dune_buf_printf(b, IN2 "    if (p_%u == 1 && p_%u == 1 && own_%u == own_%u) {\n" IN2
                                   "        o_%u_%u = 1;\n" IN2 "    }\n", t, u, t, u, t, u);
    dune_buf_puts(b, IN2 "    own_winner.apply();\n");
    for (uint32_t t = 0; t < n; t++)
        dune_buf_printf(b, IN2 "    if (own_trees[%u:%u] == 1) {\n" IN2 "        a_cls = own_%u;\n" IN2
                               "        a_conf = a_conf + own_conf_%u;\n" IN2 "    }\n", t, t, t, t);
    dune_buf_puts(b, IN2 "}\n");
}

static void settle_text(struct dune_buf *b, enum dune_mode mode)
{
    if (mode == DUNE_MODE_PACKET)
        dune_buf_puts(b, IN2 "meta.v_settled = 0;\n");
    else
        dune_buf_puts(b, IN2 "if (meta.count < n) { // also without state: the count is 0\n" IN2
                         "    meta.v_settled = 0;\n" IN2 "}\n");
}

static void summary(struct p4_vars *v, const struct p4_sub *sub)
{
    p4_set(v, "SUMMARY", "%u %s, %u features, mode %s", sub->n_trees,
           sub->n_trees == 1 ? "tree" : "trees", sub->n_feats, dune_mode_name(sub->mode));
}

static void carry_text(struct dune_buf *b)
{
    dune_buf_puts(b, IN2 "    meta.v_cls = a_cls;\n" IN2 "    meta.v_conf = a_conf;\n" IN2
                     "    meta.v_submodel = id;\n" IN2 "    meta.v_fl = 0;\n" IN2
                     "    if (kind != K_PL) {\n" IN2 "        meta.v_fl = 1;\n" IN2 "    }\n");
}

static void put_submodel(struct dune_buf *out, const struct p4_shape *s, uint32_t k)
{
    const struct p4_sub *sub = &s->sub[k];
    struct p4_vars v = {0};
    struct dune_buf b = {0};

    p4_set(&v, "K", "%u", k);
    summary(&v, sub);
    p4_set_flag(&v, "STORES", sub->stores);
    p4_set_flag(&v, "COUNTS", sub->mode != DUNE_MODE_PACKET);
    p4_set_flag(&v, "BEST", s->plan->claim == DUNE_CLAIM_BEST);
    p4_set_flag(&v, "LAST", sub->last);
    locals(&b, sub);
    p4_set_buf(&v, "SUB_LOCALS", &b);
    for (uint32_t j = 0; j < sub->n_feats; j++)
        feature_table(&b, sub, &sub->feat[j]);
    p4_set_buf(&v, "FEATURE_TABLES", &b);
    for (uint32_t t = 0; t < sub->n_trees; t++)
        code_table(&b, sub, t);
    p4_set_buf(&v, "CODE_TABLES", &b);
    if (sub->n_trees > 1) {
        dune_buf_puts(&b, "    // Votes: which trees agree -> the trees of the winner.\n");
        vote_table(&b, sub->n_trees, false);
        vote_table(&b, sub->n_trees, true);
    }
    p4_set_buf(&v, "VOTE_TABLES", &b);
    kind_text(&b, sub->mode);
    p4_set_buf(&v, "KIND", &b);
    views_text(&b, sub);
    p4_set_buf(&v, "VIEWS", &b);
    apply_text(&b, sub);
    p4_set_buf(&v, "APPLY_TABLES", &b);
    vote_text(&b, sub->n_trees);
    p4_set_buf(&v, "VOTE", &b);
    settle_text(&b, sub->mode);
    p4_set_buf(&v, "SETTLE", &b);
    carry_text(&b);
    p4_set_buf(&v, "CARRY", &b);
    p4_expand(out, p4_v1_submodel, &v);
    p4_vars_fini(&v);
}

void p4_v1_submodels(struct dune_buf *out, const struct p4_shape *s)
{
    for (uint32_t k = 0; k < s->n_sub; k++)
        put_submodel(out, s, k);
}
