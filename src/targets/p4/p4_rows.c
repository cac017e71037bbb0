/* SPDX-License-Identifier: Apache-2.0 */
/* The entries of a plan on one device: models, votes, settings. Programs of both architectures use the
 * same tables in the same order, so that one interpreter reads both. */
#include "targets/p4/p4_int.h"

#include "dune/device.h"

#include <string.h>

/* --- votes ------------------------------------------------------------------------------------------- */

static void patterns(uint8_t *group, uint32_t at, uint32_t n, uint8_t groups, bool partial,
                     p4_pattern_fn fn, void *ctx)
{
    if (at == n) {
        fn(ctx, group);
        return;
    }
    for (uint8_t v = partial ? 0 : 1; v <= groups + 1; v++) {
        group[at] = v;
        patterns(group, at + 1, n, DUNE_MAX(groups, v), partial, fn, ctx);
    }
}

void p4_patterns(uint32_t n_trees, bool partial, p4_pattern_fn fn, void *ctx)
{
    uint8_t group[DUNE_P4_MAX_TREES] = {0};

    patterns(group, 0, n_trees, 0, partial, fn, ctx);
}

uint32_t p4_winners(uint32_t n_trees, const uint8_t *group)
{
    uint32_t best = 0;

    for (uint32_t t = 0; t < n_trees; t++) {
        uint32_t mask = 0;

        for (uint32_t u = 0; u < n_trees && group[t]; u++)
            mask |= (uint32_t)(group[u] == group[t]) << u;
        if (__builtin_popcount(mask) > __builtin_popcount(best))
            best = mask; /* a later group needs more votes: ties stay with the earliest tree */
    }
    return best;
}

struct vote_rows {
    struct p4_entries *e;
    uint32_t k, n_trees;
    bool own;
};

static void vote_row(void *ctx, const uint8_t *group)
{
    struct vote_rows *v = ctx;
    char name[32];

    p4_begin(v->e, v->own ? "set_own_winner" : "set_winner", "sub_%u.%s", v->k,
             v->own ? "own_winner" : "winner");
    for (uint32_t t = 0; t < v->n_trees && v->own; t++) {
        snprintf(name, sizeof(name), "p_%u", t);
        p4_exact(v->e, name, 1, group[t] != 0);
    }
    for (uint32_t t = 0; t < v->n_trees; t++)
        for (uint32_t u = t + 1; u < v->n_trees; u++) {
            snprintf(name, sizeof(name), "%c_%u_%u", v->own ? 'o' : 'e', t, u);
            p4_exact(v->e, name, 1, group[t] && group[t] == group[u]);
        }
    p4_value(v->e, "trees", v->n_trees, p4_winners(v->n_trees, group));
}

void p4_rows_votes(struct p4_entries *e, const struct p4_shape *s)
{
    for (uint32_t k = 0; k < s->n_sub; k++) {
        struct vote_rows v = {e, k, s->sub[k].sm->n_trees, false};

        if (v.n_trees == 1)
            continue;
        p4_comment(e, "votes of %u trees: which agree -> trees of the winner", v.n_trees);
        p4_patterns(v.n_trees, false, vote_row, &v);
        v.own = true;
        p4_comment(e, "the same among trees that said Other and have a class of their own");
        p4_patterns(v.n_trees, true, vote_row, &v);
    }
}

/* --- models ------------------------------------------------------------------------------------------ */

/* Key of a feature row: everything but the value. */
static void feature_begin(struct p4_entries *e, uint32_t g, uint32_t k, const char *ident)
{
    char name[48];

    snprintf(name, sizeof(name), "codes_%s", ident);
    p4_begin(e, name, "sub_%u.f_%s", k, ident);
    p4_exact(e, "meta.g", 1, g);
}

static void feature_words(struct p4_entries *e, const struct p4_sub *sub, uint32_t j, uint32_t r,
                          uint32_t priority)
{
    int32_t from = sub->feat[j].from;
    char name[16];

    for (uint32_t t = 0; t < sub->n_trees; t++) {
        const struct dune_plan_feature *pf = from < 0 ? NULL : &sub->sm->feat[from];
        uint32_t n = pf ? pf->n_bits[t] : 0;

        snprintf(name, sizeof(name), "c%u", t);
        if (sub->feat[j].bits[t])
            p4_value_text(e, name, sub->feat[j].bits[t], n ? pf->code[t] + (size_t)r * n : "", n);
    }
    p4_priority(e, priority);
}

static void feature_rows(struct p4_entries *e, const struct p4_shape *s, uint32_t g, uint32_t k,
                         uint32_t j)
{
    const struct p4_sub *sub = &s->sub[k];
    uint8_t feat = sub->feat[j].feat;
    const struct dune_range_row all = {0, dune_feature_max(feat)};
    const struct dune_range_row *row = sub->feat[j].from < 0 ? &all : sub->sm->feat[sub->feat[j].from].row;
    char ident[32];

    p4_ident(ident, feat);
    for (uint32_t r = 0; r < sub->feat[j].rows; r++) {
        feature_begin(e, g, k, ident);
        p4_range(e, ident, dune_catalog[feat].bits, row[r].lo, row[r].hi);
        feature_words(e, sub, j, r, r + 1);
    }
}

/* Where the code words of a feature start in the key of a tree. */
static uint32_t key_offset(const struct dune_submodel *sm, uint32_t from, uint32_t t)
{
    uint32_t bits = 0;

    for (uint32_t j = 0; j < from; j++)
        bits += sm->feat[j].n_bits[t];
    return bits;
}

static void code_row(struct p4_entries *e, const struct p4_shape *s, uint32_t g, uint32_t k, uint32_t t,
                     uint32_t i)
{
    const struct p4_sub *sub = &s->sub[k];
    const struct dune_plan_tree *tr = &sub->sm->tree[t];
    const char *match = tr->match + (size_t)i * tr->key_bits;
    char ident[32], name[48];
    bool ternary = false;

    snprintf(name, sizeof(name), "leaf_%u", t);
    p4_begin(e, name, "sub_%u.t_%u", k, t);
    p4_exact(e, "meta.g", 1, g);
    for (uint32_t j = 0; j < sub->n_feats; j++) {
        int32_t from = sub->feat[j].from;
        uint32_t n = from < 0 ? 0 : sub->sm->feat[from].n_bits[t];

        if (sub->feat[j].bits[t] == 0)
            continue;
        ternary = true;
        p4_ident(ident, sub->feat[j].feat);
        snprintf(name, sizeof(name), "w%u_%s", t, ident);
        p4_ternary_text(e, name, sub->feat[j].bits[t], n ? match + key_offset(sub->sm, (uint32_t)from, t) : "", n);
    }
    p4_value(e, "cls", 8, tr->leaf[i].cls);
    p4_value(e, "conf", 8, tr->leaf[i].conf);
    p4_value(e, "own", 8, tr->leaf[i].own);
    p4_value(e, "own_conf", 8, tr->leaf[i].own_conf);
    if (ternary) /* the table of a tree of one leaf is exact */
        p4_priority(e, i + 1);
}

static void confidence_rows(struct p4_entries *e, const struct p4_shape *s, uint32_t g, uint32_t k)
{
    const struct dune_plan *p = s->plan;

    for (uint32_t c = 1; c <= p->n_classes && p->claim == DUNE_CLAIM_BEST; c++) {
        p4_begin(e, "bar_is", "sub_%u.bars", k);
        p4_exact(e, "meta.g", 1, g);
        p4_exact(e, "cls", 8, c);
        p4_value(e, "confidence", 9, DUNE_MAX(p->early_exit, p->cls[c - 1].min_confidence));
    }
    for (uint32_t c = 1; c <= p->n_classes && s->sub[k].last; c++) {
        p4_begin(e, "least_is", "sub_%u.limits", k);
        p4_exact(e, "meta.g", 1, g);
        p4_exact(e, "cls", 8, c);
        p4_value(e, "confidence", 8, p->cls[c - 1].min_confidence);
    }
}

void p4_rows_model(struct p4_entries *e, const struct p4_shape *s, uint32_t g)
{
    for (uint32_t k = 0; k < s->n_sub; k++) {
        const struct dune_submodel *sm = s->sub[k].sm;

        p4_comment(e, "sub-model %u: n %u, %s", sm->id, sm->n, dune_mode_name(sm->mode));
        p4_begin(e, "point", "sub_%u.model", k);
        p4_exact(e, "meta.g", 1, g);
        p4_value(e, "submodel", 8, sm->id);
        if (sm->mode != DUNE_MODE_PACKET)
            p4_value(e, "inference_point", 16, sm->n);
        for (uint32_t j = 0; j < s->sub[k].n_feats; j++) {
            p4_comment(e, "%s -> code words", dune_catalog[s->sub[k].feat[j].feat].name);
            feature_rows(e, s, g, k, j);
        }
        for (uint32_t t = 0; t < sm->n_trees; t++) {
            p4_comment(e, "tree %u: code words -> class, confidence, own class, its confidence", t);
            for (uint32_t i = 0; i < sm->tree[t].n_leaves; i++)
                code_row(e, s, g, k, t, i);
        }
        confidence_rows(e, s, g, k);
    }
}

/* --- settings of the device -------------------------------------------------------------------------- */

static void prefix_rows(struct p4_entries *e, const struct dune_plan *p, uint32_t g, bool ipv6)
{
    const char *table = ipv6 ? "prefixes_v6" : "prefixes_v4";
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
            p4_begin(e, "in_prefix", "filter.%s", table);
            p4_exact(e, "meta.g", 1, g);
            p4_ternary_bytes(e, "src", bits, f ? f->addr : zero, side == 0 ? mask : zero);
            p4_ternary_bytes(e, "dst", bits, f ? f->addr : zero, side == 1 ? mask : zero);
            p4_priority(e, 2 * i + (uint32_t)side + 1);
        }
    }
}

static void filter_rows(struct p4_entries *e, const struct dune_plan *p, uint32_t g)
{
    const struct dune_filter *f = &p->filter;

    p4_comment(e, "target traffic; an empty list is one row for all");
    prefix_rows(e, p, g, false);
    if (p->parser.ipv6)
        prefix_rows(e, p, g, true);
    for (uint32_t i = 0; i < DUNE_MAX(f->n_ports, 1u); i++)
        for (uint32_t side = 0; side < (f->n_ports ? 2u : 1u); side++) {
            uint32_t lo = f->n_ports ? f->port[i].lo : 0, hi = f->n_ports ? f->port[i].hi : 65535;

            p4_begin(e, "in_ports", "filter.ports");
            p4_exact(e, "meta.g", 1, g);
            p4_range(e, "sport", 16, side ? 0 : lo, side ? 65535 : hi);
            p4_range(e, "dport", 16, side ? lo : 0, side ? hi : 65535);
            p4_priority(e, 2 * i + side + 1);
        }
    for (uint32_t i = 0; i < DUNE_MAX(f->n_protos, 1u); i++) {
        p4_begin(e, "in_protos", "filter.protos");
        p4_exact(e, "meta.g", 1, g);
        p4_ternary(e, "proto", 8, f->n_protos ? f->proto[i] : 0, f->n_protos ? 255 : 0);
        p4_priority(e, i + 1);
    }
}

static void class_row(struct p4_entries *e, const char *table, const char *action, uint32_t g, uint32_t c)
{
    p4_begin(e, action, "act.%s", table);
    p4_exact(e, "meta.g", 1, g);
    p4_exact(e, "cls", 8, c);
}

/* Clone sessions of mirrored classes: 200 + class; start.sh points them at the port. */
static void action_rows(struct p4_entries *e, const struct p4_shape *s, uint32_t g)
{
    const struct dune_plan *p = s->plan;
    bool last = s->device + 1 == p->n_devices;

    p4_comment(e, "class actions");
    for (uint32_t i = 0; i < p->n_classes; i++) {
        const struct dune_plan_class *c = &p->cls[i];

        if (c->action == DUNE_ACTION_MARK && last) {
            class_row(e, "last_actions", "do_mark", g, i + 1);
            p4_value(e, "dscp", 6, c->action_arg);
        } else if (c->action == DUNE_ACTION_STEER && last) {
            class_row(e, "last_actions", "do_steer", g, i + 1);
            p4_value(e, "port", 9, c->action_arg);
        } else if (c->action == DUNE_ACTION_DROP || c->action == DUNE_ACTION_MIRROR) {
            bool drop = c->action == DUNE_ACTION_DROP;

            class_row(e, "guard_actions", drop ? "do_drop" : "do_mirror", g, i + 1);
            p4_value(e, "unsettled", 1, c->action_any);
            if (!drop)
                p4_value(e, "clone_session", 32, 200 + i + 1);
            class_row(e, "arrived_actions", "was_guarded", g, i + 1);
            p4_value(e, "unsettled", 1, c->action_any);
        }
    }
}

void p4_row_port_in(struct p4_entries *e, uint32_t port, bool chain)
{
    p4_begin(e, "port_in", "arrive.ports");
    p4_exact(e, "port", 9, port);
    p4_value(e, "chain", 1, chain);
    p4_value(e, "out_port", 9, 1);
}

void p4_row_port_back(struct p4_entries *e, uint32_t port, uint32_t to)
{
    p4_begin(e, "pass_back", "arrive.ports");
    p4_exact(e, "port", 9, port);
    p4_value(e, "out_port", 9, to);
}

void p4_row_port_release(struct p4_entries *e, uint32_t port)
{
    p4_begin(e, "release_in", "arrive.ports");
    p4_exact(e, "port", 9, port);
}

void p4_row_port_out(struct p4_entries *e, uint32_t port, bool chain)
{
    p4_begin(e, "port_out", "leave.out_ports");
    p4_exact(e, "port", 9, port);
    p4_value(e, "chain", 1, chain);
}

/* Port 0 looks to the start of the chain, port 1 to its end; inner links are chain ports; the agent is at its own. */
static void port_rows(struct p4_entries *e, const struct p4_shape *s)
{
    p4_comment(e, "ports: 0 towards the start of the chain, 1 towards its end; back from there as it is");
    p4_row_port_in(e, 0, s->device != 0);
    p4_row_port_back(e, 1, 0);
    p4_row_port_out(e, 1, s->device + 1 != s->plan->n_devices);
    p4_comment(e, "the CPU port: packets of the agent that release slots");
    p4_row_port_release(e, P4_CPU_PORT);
}

void p4_row_stamp(struct p4_entries *e, uint16_t generation, bool drop_forged, bool draining,
                  uint16_t older, uint64_t drain_until)
{
    p4_begin(e, "stamp_with", "arrive.stamp");
    p4_value(e, "generation", 16, generation);
    p4_value(e, "drop_forged", 1, drop_forged);
    p4_value(e, "draining", 1, draining);
    p4_value(e, "older", 16, older);
    p4_value(e, "drain_until", 64, drain_until);
}

void p4_row_digest_rate(struct p4_entries *e, uint32_t rate, uint32_t burst)
{
    uint64_t full = (uint64_t)(burst ? burst : rate) * DUNE_DIGEST_REPEAT;

    p4_begin(e, "limit", "digests.limits");
    p4_value(e, "per_second", 64, rate);
    p4_value(e, "capacity", 64, full);
    p4_value(e, "most_ticks", 64, rate ? full / rate + 1 : 0);
}

void p4_rows_generation(struct p4_entries *e, const struct p4_shape *s, uint32_t g)
{
    const struct dune_plan *p = s->plan;
    uint64_t max_len = p->chain_mtu ? p->chain_mtu - DUNE_MIN(p->chain_mtu, DUNE_SHIM_BYTES) : UINT32_MAX;

    p4_comment(e, "generation %u in set %u of the tables", p->generation, g);
    p4_begin(e, "hold", "arrive.generations");
    p4_exact(e, "generation", 16, p->generation);
    p4_value(e, "g", 1, g);
    p4_value(e, "timeout", 64, p->timeout);
    p4_value(e, "early_exit", 9, p->early_exit);
    p4_value(e, "fallback", 1, p->fallback == DUNE_FALLBACK_BEST && p->claim == DUNE_CLAIM_BEST);
    p4_value(e, "max_ip_len", 32, max_len);
    filter_rows(e, p, g);
    action_rows(e, s, g);
}

void p4_rows_device(struct p4_entries *e, const struct p4_shape *s, uint32_t g)
{
    port_rows(e, s);
    p4_comment(e, "what packets without shim get");
    p4_row_stamp(e, s->plan->generation, false, false, 0, 0);
    p4_rows_generation(e, s, g);
}
