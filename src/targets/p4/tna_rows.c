/* SPDX-License-Identifier: Apache-2.0 */
/* The entries of the TNA program. What decides is in them: see the tables of tna_*.p4t. */
#include "targets/p4/p4_int.h"

#include <string.h>

enum p4_match_kind p4_tna_feature_kind(uint8_t feat)
{
    uint32_t bits = dune_catalog[feat].bits;

    return bits == 1 ? P4_EXACT : bits < 8 || bits > P4_TNA_RANGE_BITS ? P4_TERNARY : P4_RANGE;
}

static uint32_t word(bool claim, uint32_t conf, uint32_t id, uint32_t cls)
{
    return (claim ? P4_TNA_CLAIM : 0) | conf << P4_TNA_CONF_SHIFT | (255 - id) << P4_TNA_ID_SHIFT |
           cls << P4_TNA_CLASS_SHIFT;
}

/* Tables of two generations have the set as their first key. */
static void key_set(struct p4_entries *e, const struct p4_shape *s, uint32_t g)
{
    if (s->gens > 1)
        p4_exact(e, "g", 1, g);
}

/* --- votes --------------------------------------------------------------------------------------------- */

struct vote_rows {
    struct dune_buf *b;
    uint32_t n_trees, zeros, equal; /* rows with so many trees without a class, so many pairs that agree */
    bool own;
};

static void vote_row(void *ctx, const uint8_t *group)
{
    const struct vote_rows *v = ctx;
    uint32_t zeros = 0, equal = 0, winners = p4_winners(v->n_trees, group);
    const char *sep = "";

    for (uint32_t t = 0; t < v->n_trees; t++) {
        zeros += group[t] == 0;
        for (uint32_t u = t + 1; u < v->n_trees; u++)
            equal += group[t] && group[t] == group[u];
    }
    if (zeros != v->zeros || equal != v->equal)
        return;
    dune_buf_puts(v->b, "            (");
    for (uint32_t t = 0; t < v->n_trees && v->own; t++, sep = ", ")
        dune_buf_printf(v->b, "%s%s", sep, group[t] ? "_" : "0");
    for (uint32_t t = 0; t < v->n_trees; t++)
        for (uint32_t u = t + 1; u < v->n_trees; u++, sep = ", ")
            dune_buf_printf(v->b, "%s%s", sep, group[t] && group[t] == group[u] ? "0" : "_");
    if (winners)
        dune_buf_printf(v->b, "): %strees_%u();\n", v->own ? "own_" : "", winners);
    else
        dune_buf_puts(v->b, "): NoAction();\n");
}

void p4_tna_vote_rows(struct dune_buf *b, uint32_t n_trees, bool own)
{
    uint32_t pairs = n_trees * (n_trees - 1) / 2;
    struct vote_rows v = {.b = b, .n_trees = n_trees, .own = own};

    for (uint32_t zeros = own ? n_trees + 1 : 1; zeros-- > 0;)
        for (uint32_t equal = pairs + 1; equal-- > 0;) {
            v.zeros = zeros;
            v.equal = equal;
            p4_patterns(n_trees, own, vote_row, &v);
        }
}

/* --- models -------------------------------------------------------------------------------------------- */

static void feature_begin(struct p4_entries *e, const struct p4_shape *s, uint32_t g, uint32_t k, uint32_t j)
{
    const struct p4_sub *sub = &s->sub[k];
    uint8_t feat = sub->feat[j].feat;
    char ident[32], name[48];

    p4_ident(ident, feat);
    snprintf(name, sizeof(name), "codes_%s", ident);
    p4_begin(e, name, "sub_%u.f_%s", k, ident);
    key_set(e, s, g);
    if (dune_catalog[feat].phase == DUNE_PHASE_FL && sub->sm->mode != DUNE_MODE_RUNNING)
        p4_ternary(e, "kind", 8, 2, 255); /* K_FL: others see 0, the default */
}

static void feature_words(struct p4_entries *e, const struct p4_sub *sub, uint32_t j, uint32_t r)
{
    const struct dune_plan_feature *pf = &sub->sm->feat[j];
    char name[16];

    for (uint32_t t = 0; t < sub->sm->n_trees; t++) {
        uint32_t n = pf->n_bits[t];

        snprintf(name, sizeof(name), "c%u", t);
        if (sub->feat[j].bits[t])
            p4_value_text(e, name, sub->feat[j].bits[t], pf->code[t] + (size_t)r * n, n);
    }
}

/*
 * Aligned blocks in threshold order. Earlier rows have taken what is below lo, so the blocks of [0, hi]
 * that reach into the row are enough: at most one per bit.
 */
static void prefix_cover(struct p4_entries *e, const struct p4_shape *s, uint32_t g, uint32_t k, uint32_t j,
                         uint32_t r, uint32_t *priority)
{
    const struct dune_plan_feature *pf = &s->sub[k].sm->feat[j];
    uint64_t end = (uint64_t)pf->row[r].hi + 1, start = 0;
    uint32_t bits = dune_catalog[pf->feat].bits;
    char ident[32];

    p4_ident(ident, pf->feat);
    for (int bit = (int)bits; bit >= 0; bit--) {
        uint64_t size = UINT64_C(1) << bit;

        if (!(end & size))
            continue;
        if (start + size > pf->row[r].lo) {
            feature_begin(e, s, g, k, j);
            p4_ternary(e, ident, bits, start, ~(size - 1));
            feature_words(e, &s->sub[k], j, r);
            p4_priority(e, ++*priority);
        }
        start += size;
    }
}

static void feature_rows(struct p4_entries *e, const struct p4_shape *s, uint32_t g, uint32_t k, uint32_t j)
{
    const struct dune_plan_feature *pf = &s->sub[k].sm->feat[j];
    enum p4_match_kind kind = p4_tna_feature_kind(pf->feat);
    uint32_t bits = dune_catalog[pf->feat].bits, priority = 0;
    char ident[32];

    p4_ident(ident, pf->feat);
    for (uint32_t r = 0; r < pf->n_rows; r++) {
        if (kind == P4_TERNARY) {
            prefix_cover(e, s, g, k, j, r, &priority);
        } else if (kind == P4_RANGE) {
            feature_begin(e, s, g, k, j);
            p4_range(e, ident, bits, pf->row[r].lo, pf->row[r].hi);
            feature_words(e, &s->sub[k], j, r);
            p4_priority(e, ++priority);
        }
        for (uint32_t v = pf->row[r].lo; kind == P4_EXACT && v <= pf->row[r].hi; v++) {
            feature_begin(e, s, g, k, j);
            p4_exact(e, ident, bits, v);
            feature_words(e, &s->sub[k], j, r);
        }
    }
}

/* One tree: the leaf is the answer. */
static void leaf_values(struct p4_entries *e, const struct dune_submodel *sm, const struct dune_plan_leaf *l,
                        uint32_t t)
{
    bool other = l->cls == DUNE_PLAN_OTHER;

    if (sm->n_trees > 1) {
        p4_value(e, "cls", 8, l->cls);
        p4_value(e, "conf", 8, l->conf);
        p4_value(e, "own", 8, other ? l->own : 0); /* only trees that say Other have a second vote */
        p4_value(e, "own_conf", 8, other ? l->own_conf : 0);
        if (t == 0)
            p4_value(e, "id", 8, 255u - sm->id);
    } else if (!other) {
        p4_value(e, "answer", 32, word(true, l->conf, sm->id, l->cls));
    } else {
        p4_value(e, "answer", 32, l->own ? word(false, l->own_conf, sm->id, l->own) : 0);
    }
}

/* Can a packet reach this leaf, when some features are always 0? */
static bool is_reachable(const struct p4_sub *sub, uint32_t t, uint32_t i)
{
    const struct dune_plan_tree *tr = &sub->sm->tree[t];
    const char *match = tr->match + (size_t)i * tr->key_bits;

    for (uint32_t j = 0; j < sub->n_feats; j++) {
        uint32_t n = sub->sm->feat[j].n_bits[t];

        for (uint32_t b = 0; b < n && dune_submodel_is_zero(sub->sm, j); b++)
            if (match[b] != '*' && match[b] != sub->sm->feat[j].code[t][b]) /* of its first row */
                return false;
        match += n;
    }
    return true;
}

static void code_row(struct p4_entries *e, const struct p4_shape *s, uint32_t g, uint32_t k, uint32_t t, uint32_t i)
{
    const struct p4_sub *sub = &s->sub[k];
    const struct dune_plan_tree *tr = &sub->sm->tree[t];
    const char *match = tr->match + (size_t)i * tr->key_bits;
    char ident[32], name[48];
    bool any = false;

    if (!is_reachable(sub, t, i))
        return;
    snprintf(name, sizeof(name), "leaf_%u", t);
    p4_begin(e, name, "sub_%u.t_%u", k, t);
    key_set(e, s, g);
    for (uint32_t j = 0; j < sub->n_feats; j++) {
        uint32_t n = sub->sm->feat[j].n_bits[t];

        p4_ident(ident, sub->feat[j].feat);
        snprintf(name, sizeof(name), "w%u_%s", t, ident);
        if (sub->feat[j].bits[t] && !dune_submodel_is_zero(sub->sm, j)) {
            p4_ternary_text(e, name, sub->feat[j].bits[t], match, n);
            any = true;
        }
        match += n;
    }
    if (!any)
        p4_ternary(e, "parsed", 8, 0, 0);
    leaf_values(e, sub->sm, &tr->leaf[i], t);
    p4_priority(e, i + 1);
}

/* Which kind of answer by the count; a count of 0 is a packet without state. */
static void kind_rows(struct p4_entries *e, const struct p4_shape *s, uint32_t g, uint32_t k)
{
    const struct dune_submodel *sm = s->sub[k].sm;
    uint32_t bits = p4_tna_count_bits(s), max = bits == 8 ? 255 : 65535;
    const struct {
        uint32_t lo, hi, kind;
    } row[] = {{0, sm->n - 1u, sm->mode == DUNE_MODE_FLOW ? 0 : 1}, {sm->n, sm->n, 2}, {sm->n + 1u, max, 3}};

    for (uint32_t i = 0; i < DUNE_ARRAY_LEN(row); i++) {
        p4_begin(e, "kind_is", "sub_%u.kind", k);
        key_set(e, s, g);
        p4_range(e, "count", bits, row[i].lo, row[i].hi);
        p4_value(e, "kind", 8, row[i].kind);
        p4_priority(e, i + 1);
    }
}

/* --- verdicts ------------------------------------------------------------------------------------------- */

struct verdict {
    struct p4_entries *e;
    const struct p4_shape *s;
    uint32_t g, k, priority;
};

enum { ANY = -1, FL_FLAG = 1, TENTATIVE_FLAG = 8, FINAL_FLAG = 16 };

static void one_bit(struct p4_entries *e, const char *name, int value)
{
    p4_ternary(e, name, 1, value == ANY ? 0 : (uint64_t)value, value == ANY ? 0 : 1);
}

/* A row for flow-level answers and one for others: the flag goes into the shim with the rest. */
static void verdict_rows(struct verdict *v, const char *action, int final, int claim, int cls, uint32_t least,
                         uint32_t flags)
{
    bool last_here = v->k + 1 == v->s->n_sub;

    for (int fl = 0; fl < (last_here ? 2 : 1); fl++) {
        p4_begin(v->e, action, "claim_%u.verdict", v->k);
        key_set(v->e, v->s, v->g);
        p4_ternary(v->e, "flags", 8, final == 1 ? FINAL_FLAG : 0, final == ANY ? 0 : FINAL_FLAG);
        one_bit(v->e, "claim", claim);
        one_bit(v->e, "fl", last_here ? fl : ANY);
        p4_ternary(v->e, "cls", 8, cls == ANY ? 0 : (uint64_t)cls, cls == ANY ? 0 : 255);
        p4_range(v->e, "conf", 8, least, 255);
        p4_value(v->e, "flags", 8, flags | (last_here && fl ? FL_FLAG : 0));
        p4_priority(v->e, ++v->priority);
    }
}

/* What the flags say about an answer that is not (or was already) final. */
static void carried_rows(struct verdict *v, int final)
{
    verdict_rows(v, "set", final, 1, ANY, 0, 0);
    verdict_rows(v, "set", final, ANY, 0, 0, 0); /* no class */
    verdict_rows(v, "set", final, ANY, ANY, 0, TENTATIVE_FLAG);
}

static void chain_end_rows(struct verdict *v)
{
    const struct dune_plan *p = v->s->plan;
    bool fallback = p->fallback == DUNE_FALLBACK_BEST && p->claim == DUNE_CLAIM_BEST;

    for (uint32_t c = 1; c <= p->n_classes; c++)
        verdict_rows(v, "set", 0, 1, (int)c, p->cls[c - 1].min_confidence, FINAL_FLAG);
    for (uint32_t c = 1; c <= p->n_classes && fallback; c++)
        verdict_rows(v, "set", 0, 0, (int)c, p->cls[c - 1].min_confidence, FINAL_FLAG | TENTATIVE_FLAG);
    verdict_rows(v, "unclaimed", 0, ANY, ANY, 0, FINAL_FLAG);
}

static void bar_rows(struct verdict *v)
{
    const struct dune_plan *p = v->s->plan;

    for (uint32_t c = 1; c <= p->n_classes; c++) {
        uint32_t bar = DUNE_MAX(p->early_exit, p->cls[c - 1].min_confidence);

        if (p->claim == DUNE_CLAIM_FIRST)
            bar = 0;
        if (bar <= 255)
            verdict_rows(v, "set", 0, 1, (int)c, bar, FINAL_FLAG);
    }
}

bool p4_tna_has_verdict(const struct p4_shape *s, uint32_t k)
{
    return k + 1 == s->n_sub || s->plan->claim == DUNE_CLAIM_FIRST || s->plan->early_exit <= 255;
}

static void claim_rows(struct p4_entries *e, const struct p4_shape *s, uint32_t g, uint32_t k)
{
    struct verdict v = {e, s, g, k, 0};

    p4_comment(e, "verdict behind sub-model %u", s->sub[k].sm->id);
    if (k + 1 == s->n_sub)
        carried_rows(&v, 1);
    if (s->sub[k].last) {
        /* Of claim rule first, a claim is final whatever its confidence. */
        if (s->plan->claim == DUNE_CLAIM_FIRST)
            bar_rows(&v);
        chain_end_rows(&v);
        return;
    }
    bar_rows(&v);
    if (k + 1 == s->n_sub)
        carried_rows(&v, 0);
}

static void model_rows(struct p4_entries *e, const struct p4_shape *s, uint32_t g, uint32_t k)
{
    const struct dune_submodel *sm = s->sub[k].sm;

    p4_comment(e, "sub-model %u: n %u, %s", sm->id, sm->n, dune_mode_name(sm->mode));
    if (s->sub[k].stores)
        kind_rows(e, s, g, k);
    for (uint32_t j = 0; j < sm->n_feats; j++) {
        if (dune_submodel_is_zero(s->sub[k].sm, j))
            continue;
        p4_comment(e, "%s -> code words", dune_catalog[sm->feat[j].feat].name);
        feature_rows(e, s, g, k, j);
    }
    for (uint32_t t = 0; t < sm->n_trees; t++) {
        p4_comment(e, "tree %u: code words -> leaf", t);
        for (uint32_t i = 0; i < sm->tree[t].n_leaves; i++)
            code_row(e, s, g, k, t, i);
    }
    claim_rows(e, s, g, k);
}

/* --- settings of the device ----------------------------------------------------------------------------- */

/* Port 0 looks to the start of the chain, port 1 to its end; inner links are chain ports. */
static void port_rows(struct p4_entries *e, const struct p4_shape *s)
{
    bool first = s->device == 0, last = s->device + 1 == s->plan->n_devices;

    for (uint32_t port = 0; port < 2; port++) {
        p4_begin(e, "", "$PORT_METADATA");
        p4_exact(e, "ig_intr_md.ingress_port", 9, port);
        p4_value(e, "chain_in", 8, port == 0 ? !first : !last);
        p4_value(e, "chain_out", 8, port == 0 ? !last : !first);
        p4_value(e, "out_port", 9, 1 - port);
    }
}

static void generation_rows(struct p4_entries *e, const struct p4_shape *s, uint32_t g)
{
    const struct dune_plan *p = s->plan;

    for (int settled = 1; settled >= 0; settled--) { /* final and settled goes first */
        p4_begin(e, settled ? "carry_settled" : "carry_on", "arrive.generations");
        p4_ternary(e, "shim", 1, 1, 1);
        p4_ternary(e, "generation", 16, p->generation, 0xFFFF);
        p4_ternary(e, "flags", 8, settled ? 0x14 : 0, settled ? 0x14 : 0);
        p4_ternary(e, "chain_in", 8, 0, 0);
        p4_ternary(e, "shim_bad", 1, 0, 0);
        if (s->gens > 1 && !settled)
            p4_value(e, "g", 1, g);
        p4_priority(e, 2 * g + 1 + !settled);
    }
    for (uint32_t i = 0; i < 3; i++) { /* a shim taken off counts apart */
        bool chain = i > 0;

        p4_begin(e, "stamp", "arrive.generations");
        p4_ternary(e, "shim", 1, 0, 1);
        p4_ternary(e, "generation", 16, 0, 0);
        p4_ternary(e, "flags", 8, 0, 0);
        p4_ternary(e, "chain_in", 8, chain, 255);
        p4_ternary(e, "shim_bad", 1, i == 2, 1);
        if (s->gens > 1)
            p4_value(e, "g", 1, g);
        p4_value(e, "generation", 16, p->generation);
        p4_value(e, "flags", 8, chain ? 0x20 : 0x24); /* version; settled from an edge */
        p4_value(e, "drop_forged", 1, 0);
        p4_priority(e, 8);
    }
}

static void prefix_rows(struct p4_entries *e, const struct p4_shape *s, uint32_t g, bool ipv6)
{
    const struct dune_plan *p = s->plan;
    uint32_t bits = ipv6 ? 128 : 32;
    uint8_t zero[16] = {0};

    for (uint32_t i = 0; i < DUNE_MAX(p->filter.n_prefixes, 1u); i++) {
        const struct dune_prefix *f = p->filter.n_prefixes ? &p->filter.prefix[i] : NULL;
        uint8_t mask[16] = {0};

        if (f && f->ipv6 != ipv6)
            continue;
        for (uint32_t b = 0; f && b < f->len; b++)
            mask[b / 8] |= (uint8_t)(0x80 >> b % 8);
        for (int side = 0; side < (f ? 2 : 1); side++) { /* source in it, destination in it */
            p4_begin(e, "in_prefix", "filter.prefixes_%s", ipv6 ? "v6" : "v4");
            key_set(e, s, g);
            p4_ternary_bytes(e, "src", bits, f ? f->addr : zero, side == 0 ? mask : zero);
            p4_ternary_bytes(e, "dst", bits, f ? f->addr : zero, side == 1 ? mask : zero);
            p4_priority(e, 2 * i + (uint32_t)side + 1);
        }
    }
}

static void filter_rows(struct p4_entries *e, const struct p4_shape *s, uint32_t g)
{
    const struct dune_filter *f = &s->plan->filter;

    p4_comment(e, "target traffic; an empty list is one row for all");
    prefix_rows(e, s, g, false);
    if (s->plan->parser.ipv6)
        prefix_rows(e, s, g, true);
    for (uint32_t i = 0; i < DUNE_MAX(f->n_ports, 1u); i++)
        for (uint32_t side = 0; side < (f->n_ports ? 2u : 1u); side++) {
            uint32_t lo = f->n_ports ? f->port[i].lo : 0, hi = f->n_ports ? f->port[i].hi : 65535;

            p4_begin(e, "in_ports", "filter.ports");
            key_set(e, s, g);
            p4_range(e, "sport", 16, side ? 0 : lo, side ? 65535 : hi);
            p4_range(e, "dport", 16, side ? lo : 0, side ? hi : 65535);
            p4_priority(e, 2 * i + side + 1);
        }
    for (uint32_t i = 0; i < 2; i++) { /* as the parser says: 1 TCP, 2 UDP */
        bool wanted = f->n_protos == 0;

        for (uint32_t j = 0; j < f->n_protos; j++)
            wanted |= f->proto[j] == (i ? 17 : 6);
        if (!wanted)
            continue;
        p4_begin(e, "in_protos", "filter.protos");
        key_set(e, s, g);
        p4_ternary(e, "parsed", 8, i + 1, 255);
        p4_priority(e, i + 1);
    }
}

/* Packets above chain_mtu - 8 travel without shim; the field of IPv6 counts without its header. */
static void size_rows(struct p4_entries *e, const struct p4_shape *s)
{
    uint32_t max = s->plan->chain_mtu - DUNE_MIN(s->plan->chain_mtu, DUNE_SHIM_BYTES);

    for (uint32_t ipv6 = 0; s->plan->chain_mtu && ipv6 < (s->plan->parser.ipv6 ? 2u : 1u); ipv6++) {
        uint32_t most = ipv6 ? max - DUNE_MIN(max, 40u) : max;

        if (most >= 65535)
            continue;
        p4_begin(e, "too_big", "filter.sizes");
        p4_exact(e, "shim", 1, 0);
        p4_exact(e, "ipv4", 1, !ipv6);
        p4_range(e, "total_len", 16, ipv6 ? 0 : most + 1, 65535);
        if (s->plan->parser.ipv6) {
            p4_exact(e, "ipv6", 1, ipv6);
            p4_range(e, "payload_len", 16, ipv6 ? most + 1 : 0, 65535);
        }
        p4_priority(e, ipv6 + 1);
    }
}

/* --- class actions ----------------------------------------------------------------------------------------- */

struct act_row {
    const char *action;
    int cls, arrived_cls;
    bool any, arrived_any; /* also unsettled */
};

static void act_row(struct p4_entries *e, const struct p4_shape *s, uint32_t g, const struct act_row *r,
                    uint32_t *priority)
{
    bool arrived = r->arrived_cls != ANY;
    uint32_t now = r->cls == ANY ? 0 : r->any ? 0x18 : 0x1C, before = !arrived ? 0 : r->arrived_any ? 0x18 : 0x1C;

    p4_begin(e, r->action, "leave.actions_of_class");
    key_set(e, s, g);
    p4_ternary(e, "shim_job", 8, 0, 0);
    p4_ternary(e, "unclaimed", 1, 0, r->cls == ANY ? 0 : 1);
    p4_ternary(e, "flags", 8, now & 0x14, now); /* final, not tentative, settled */
    p4_ternary(e, "cls", 8, r->cls == ANY ? 0 : (uint64_t)r->cls, r->cls == ANY ? 0 : 255);
    p4_ternary(e, "shim", 1, arrived, arrived);
    p4_ternary(e, "arrived_flags", 8, before & 0x14, before);
    p4_ternary(e, "arrived_cls", 8, arrived ? (uint64_t)r->arrived_cls : 0, arrived ? 255 : 0);
    p4_priority(e, ++*priority);
}

static bool guards(const struct dune_plan_class *c)
{
    return c->action == DUNE_ACTION_DROP || c->action == DUNE_ACTION_MIRROR;
}

/* First those that acted on a device before, then those that act here. */
static void action_rows(struct p4_entries *e, const struct p4_shape *s, uint32_t g)
{
    const struct dune_plan *p = s->plan;
    bool last = s->device + 1 == p->n_devices;
    uint32_t priority = 0;

    p4_comment(e, "class actions");
    for (uint32_t i = 0; i < p->n_classes; i++) {
        const struct dune_plan_class *c = &p->cls[i];
        struct act_row r = {"NoAction", ANY, (int)i + 1, false, c->action_any};

        if (guards(c))
            act_row(e, s, g, &r, &priority);
    }
    for (uint32_t i = 0; i < p->n_classes; i++) {
        const struct dune_plan_class *c = &p->cls[i];
        struct act_row r = {NULL, (int)i + 1, ANY, true, false};

        if (guards(c)) {
            r.any = c->action_any;
            r.action = c->action == DUNE_ACTION_DROP ? "do_drop" : "do_mirror";
            act_row(e, s, g, &r, &priority);
            if (c->action == DUNE_ACTION_MIRROR)
                p4_value(e, "session", 10, i + 1);
        } else if (last && c->action == DUNE_ACTION_MARK) {
            r.action = "do_mark";
            act_row(e, s, g, &r, &priority);
            p4_value(e, "dscp", 6, c->action_arg);
        } else if (last && c->action == DUNE_ACTION_STEER) {
            r.action = "do_steer";
            act_row(e, s, g, &r, &priority);
            p4_value(e, "port", 9, c->action_arg);
        }
    }
}

void p4_tna_rows(struct p4_entries *e, const struct p4_shape *s, uint32_t g)
{
    p4_comment(e, "ports: 0 towards the start of the chain, 1 towards its end");
    port_rows(e, s);
    p4_comment(e, "generation %u in set %u of the tables", s->plan->generation, g);
    generation_rows(e, s, g);
    filter_rows(e, s, g);
    size_rows(e, s);
    action_rows(e, s, g);
    for (uint32_t k = 0; k < s->n_sub; k++)
        model_rows(e, s, g, k);
}
