/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans wilder than random_chain.h draws them, each one a plan that the verifier takes: every feature of the
 * catalog, inference points up to 8, up to 30 classes, 5 devices, 7 trees, filters, actions, all parser limits.
 * And packets with extension headers for them.
 */
#ifndef DUNE_TEST_WILD_CHAIN_H
#define DUNE_TEST_WILD_CHAIN_H

#include "unit/targets/random_chain.h"

/* What a target leaves to choose. */
struct wild_limits {
    const char *profile;
    uint8_t target; /* DUNE_ON_* */
    uint32_t max_trees, max_slots, max_leaves;
};

static inline uint32_t wild_pick(struct dune_rng *r, uint32_t n)
{
    return (uint32_t)dune_rng_below(r, n);
}

/* n distinct features in catalog order that a sub-model with inference point at least k may read. */
static inline uint32_t wild_features(struct dune_rng *r, uint8_t *feat, uint32_t want, uint32_t point, uint8_t target)
{
    dune_feature_mask used = 0;
    uint32_t n = 0;

    for (uint32_t k = 0; k < want; k++) {
        uint32_t f = wild_pick(r, DUNE_N_FEATURES);

        if (dune_catalog[f].targets & target && dune_catalog[f].kth <= point)
            used |= (dune_feature_mask)1 << f;
    }
    if (!used)
        used = (dune_feature_mask)1 << DUNE_F_IP_LEN;
    for (uint32_t f = 0; f < DUNE_N_FEATURES; f++)
        if (used >> f & 1)
            feat[n++] = (uint8_t)f;
    return n;
}

static inline void wild_submodel(struct dune_rng *r, struct dune_plan *p, uint8_t id, uint16_t dev,
                                 const struct wild_limits *lim)
{
    uint8_t feat[10], to_plan[32];
    uint32_t most = wild_pick(r, 3) ? 5 : 30, n_own = 1 + wild_pick(r, DUNE_MIN(p->n_classes, most)), first = 0;
    uint32_t point = 1 + wild_pick(r, 8);
    struct forest_shape shape = {.trees = wild_pick(r, 2) ? 1 : 1 + wild_pick(r, lim->max_trees),
                                 .leaves = 2 + wild_pick(r, wild_pick(r, 4) ? 20 : lim->max_leaves),
                                 .classes = n_own + 1, .feat = feat};
    struct dune_submodel *sm = kit_add(p, id, dev, (uint8_t)point, (enum dune_mode)wild_pick(r, DUNE_N_MODES));
    struct dune_forest f;
    struct dune_diag d = {0};

    shape.n_feats = wild_features(r, feat, 1 + wild_pick(r, 10), point, lim->target);
    if (p->n_classes > n_own)
        first = wild_pick(r, p->n_classes - n_own);
    sm->n_classes = n_own;
    for (uint32_t c = 0; c < n_own; c++)
        sm->cls[c] = to_plan[c] = (uint8_t)(1 + first + c);
    to_plan[n_own] = DUNE_PLAN_OTHER;
    random_forest(r, &f, &shape);
    assert_ok(dune_submodel_from_forest(sm, &f, shape.trees, 0, to_plan, &d), d);
    random_forest_fini(&f);
}

static inline void wild_filter(struct dune_rng *r, struct dune_plan *p)
{
    struct dune_filter *f = &p->filter;

    if (wild_pick(r, 2)) {
        f->n_prefixes = 3;
        f->prefix = DUNE_NEW_N(struct dune_prefix, 3);
        f->prefix[0] = (struct dune_prefix){.addr = {10}, .len = 28};
        f->prefix[1] = (struct dune_prefix){.addr = {11}, .len = (uint8_t)(8 + wild_pick(r, 2) * 8)};
        f->prefix[2] = (struct dune_prefix){.addr = {0xfd, (uint8_t)wild_pick(r, 2)}, .len = 16, .ipv6 = true};
    }
    if (wild_pick(r, 2)) {
        f->n_ports = 2;
        f->port = DUNE_NEW_N(struct dune_port_range, 2);
        f->port[0] = (struct dune_port_range){0, 400};
        f->port[1] = (struct dune_port_range){(uint16_t)(1000 + wild_pick(r, 9000)), (uint16_t)(20000 + wild_pick(r, 45535))};
    }
    if (wild_pick(r, 3) == 0) {
        f->n_protos = 1;
        f->proto = DUNE_NEW(uint8_t);
        f->proto[0] = wild_pick(r, 2) ? 6 : 17;
    }
}

static inline void wild_actions(struct dune_rng *r, struct dune_plan *p)
{
    for (uint32_t c = 0; c < p->n_classes; c++) {
        struct dune_plan_class *k = &p->cls[c];

        k->min_confidence = wild_pick(r, 3) ? 0 : (uint16_t)wild_pick(r, 256);
        if (wild_pick(r, 3))
            continue;
        k->action = (enum dune_action_kind)wild_pick(r, DUNE_ACTION_MIRROR + 1);
        if (k->action == DUNE_ACTION_MARK)
            k->action_arg = wild_pick(r, 64);
        else if (k->action == DUNE_ACTION_STEER || k->action == DUNE_ACTION_MIRROR)
            k->action_arg = 2 + wild_pick(r, 2);
        k->action_any = (k->action == DUNE_ACTION_DROP || k->action == DUNE_ACTION_MIRROR) && wild_pick(r, 2);
    }
}

static inline void wild_settings(struct dune_rng *r, struct dune_plan *p, const struct wild_limits *lim)
{
    const struct dune_profile *prof = dune_profile_find(lim->profile);

    assert_non_null(prof);
    p->parser = prof->parser;
    p->parser.max_vlan = (uint8_t)wild_pick(r, p->parser.max_vlan + 1u);
    p->parser.max_ipv4_options = (uint8_t)(4 * wild_pick(r, p->parser.max_ipv4_options / 4u + 1));
    p->parser.max_ipv6_ext = (uint8_t)wild_pick(r, p->parser.max_ipv6_ext + 1u);
    p->parser.max_ipv6_ext_len = (uint8_t)(8 * wild_pick(r, p->parser.max_ipv6_ext_len / 8u + 1));
    p->parser.ipv6 = p->parser.ipv6 && wild_pick(r, 3);
    p->claim = wild_pick(r, 3) ? DUNE_CLAIM_BEST : DUNE_CLAIM_FIRST;
    p->early_exit = wild_pick(r, 3) ? (uint16_t)wild_pick(r, 257) : 256;
    p->fallback = p->claim == DUNE_CLAIM_BEST && wild_pick(r, 2) ? DUNE_FALLBACK_BEST : DUNE_FALLBACK_NONE;
    p->timeout = prof->max_timeout || wild_pick(r, 4) ? 1000 : DUNE_TIMEOUT_NONE;
    p->slots = 1u << wild_pick(r, 13);
    p->slots = DUNE_MIN(p->slots, lim->max_slots);
    p->ways = 1;
    p->hash = DUNE_HASH_CRC;
    p->generation = (uint16_t)(1 + wild_pick(r, 65535));
    p->chain_mtu = wild_pick(r, 3) ? 0 : 2000 + wild_pick(r, 60000);
    p->shim_ethertype = wild_pick(r, 4) ? p->shim_ethertype : 0x9abc;
    for (uint32_t i = 0; i < p->n_devices; i++) {
        dune_mem_free(p->device[i].profile);
        p->device[i].profile = dune_mem_strdup(lim->profile);
    }
}

/* A plan of seed; the verifier takes it, and every device of it has at most 3 sub-models. */
static inline struct dune_plan *wild_plan(uint64_t seed, uint32_t n_dev, const struct wild_limits *lim)
{
    struct dune_rng r;
    struct dune_plan *p;
    struct dune_diag d = {0};
    uint32_t id = 61;

    dune_rng_init(&r, seed, 29, 0, 0);
    p = kit_plan(wild_pick(&r, 3) ? 2 + wild_pick(&r, 5) : 30, n_dev);
    for (uint32_t c = 0; c < p->n_classes; c++) { /* bytewise order */
        dune_mem_free(p->cls[c].name);
        p->cls[c].name = dune_mem_printf("class%02u", c + 1);
    }
    for (uint32_t i = 0; i < n_dev; i++)
        for (uint32_t k = wild_pick(&r, 4) + (i + 1 == n_dev && p->n_submodels == 0); k > 0; k--, id -= 2)
            wild_submodel(&r, p, (uint8_t)(wild_pick(&r, 2) + id), (uint16_t)i, lim);
    wild_settings(&r, p, lim);
    wild_filter(&r, p);
    wild_actions(&r, p);
    assert_ok(dune_plan_verify(p, &d), d);
    return p;
}

/* Puts up to three extension headers between an IPv6 header and what follows it. */
static inline void wild_extend(struct dune_rng *r, struct kit_frame *f)
{
    static const uint8_t kind[] = {0, 43, 60, 44, 51, 135};
    uint32_t at = 12;

    while (at + 4 < f->len && (f->data[at] == 0x81 || f->data[at] == 0x88) && f->data[at + 1] != 0xB5)
        at += 4;
    if (f->len < at + 42 || f->data[at] != 0x86 || f->data[at + 1] != 0xDD)
        return;
    at += 2;
    for (uint32_t n = wild_pick(r, 4); n > 0; n--) {
        uint32_t size = 8 * (1 + wild_pick(r, wild_pick(r, 4) ? 2 : 9));
        uint8_t *next = &f->data[at + 6], *head = &f->data[at + 40];

        if (f->len + size > sizeof(f->data))
            return;
        memmove(head + size, head, f->len - at - 40);
        memset(head, 0, size);
        head[0] = *next;
        head[1] = (uint8_t)(size / 8 - 1);
        *next = kind[wild_pick(r, sizeof(kind))];
        f->len += size;
    }
}

static inline void wild_frame(struct random_traffic *t, struct kit_frame *f)
{
    random_frame(t, f);
    if (wild_pick(&t->r, 3) == 0)
        wild_extend(&t->r, f);
}

#endif
