/* SPDX-License-Identifier: Apache-2.0 */
/* Random plans and random traffic, from a seed. */
#ifndef DUNE_TEST_RANDOM_CHAIN_H
#define DUNE_TEST_RANDOM_CHAIN_H

#include "unit/plan/random_forest.h"
#include "unit/targets/chain_kit.h"

static const uint8_t random_feats[] = {
    DUNE_F_IP_LEN,    DUNE_F_IP_TTL,  DUNE_F_IP_TOS,  DUNE_F_DSTPORT,  DUNE_F_DSTPORT_LOW,
    DUNE_F_SRCPORT,   DUNE_F_TCP_SYN, DUNE_F_TCP_PSH, DUNE_F_TCP_FIN,  DUNE_F_TCP_WINDOW,
    DUNE_F_UDP_LENGTH,DUNE_F_LEN_MIN, DUNE_F_LEN_MAX, DUNE_F_UDP_MIN,  DUNE_F_SYN_COUNT,
    DUNE_F_ACK_COUNT, DUNE_F_GAP_MIN, DUNE_F_GAP_MAX, DUNE_F_DURATION, DUNE_F_COUNT,
    DUNE_F_LEN_1,     DUNE_F_LEN_2,   DUNE_F_GAP_2,   DUNE_F_LEN_TOTAL,
};

static inline void random_submodel(struct dune_rng *r, struct dune_plan *p, uint8_t id, uint16_t dev)
{
    uint8_t feat[8], to_plan[8];
    uint32_t n_own = 1 + (uint32_t)dune_rng_below(r, DUNE_MIN(p->n_classes, 4));
    struct forest_shape shape = {.trees = 1 + (uint32_t)dune_rng_below(r, 3),
                                 .leaves = 2 + (uint32_t)dune_rng_below(r, dune_rng_below(r, 8) ? 12 : 300),
                                 .classes = n_own + 1, .n_feats = 5, .feat = feat};
    struct dune_submodel *sm;
    struct dune_forest f;
    struct dune_diag d = {0};
    uint32_t first = (uint32_t)dune_rng_below(r, sizeof(random_feats));

    for (uint32_t j = 0; j < shape.n_feats; j++) /* 5 and 24 share no factor: all distinct */
        feat[j] = random_feats[(first + 5 * j) % sizeof(random_feats)];
    first = (uint32_t)dune_rng_below(r, p->n_classes);
    for (uint32_t c = 0; c < n_own; c++)
        to_plan[c] = (uint8_t)(1 + (first + c) % p->n_classes);
    to_plan[n_own] = DUNE_PLAN_OTHER;
    sm = kit_add(p, id, dev, (uint8_t)(1 + dune_rng_below(r, 4)),
                 (enum dune_mode)dune_rng_below(r, DUNE_N_MODES));
    random_forest(r, &f, &shape);
    assert_ok(dune_submodel_from_forest(sm, &f, shape.trees, 0, to_plan, &d), d);
    random_forest_fini(&f);
}

/* Any plan without claim rule votes; sub-models on random devices in order. */
static inline struct dune_plan *random_plan(uint64_t seed, uint32_t n_sub, uint32_t n_dev)
{
    struct dune_rng r;
    struct dune_plan *p;
    uint16_t dev = 0;

    dune_rng_init(&r, seed, 17, 0, 0);
    p = kit_plan(2 + (uint32_t)dune_rng_below(&r, 4), n_dev);
    for (uint32_t s = 0; s < n_sub; s++) {
        uint8_t id = (uint8_t)(7 * (n_sub - s) % 61 + 1);

        random_submodel(&r, p, id, dev);
        if (dev + 1u < n_dev && dune_rng_below(&r, 3))
            dev++;
    }
    p->claim = dune_rng_below(&r, 3) ? DUNE_CLAIM_BEST : DUNE_CLAIM_FIRST;
    p->early_exit = dune_rng_below(&r, 2) ? 256 : (uint16_t)dune_rng_below(&r, 256);
    p->fallback = dune_rng_below(&r, 2) ? DUNE_FALLBACK_BEST : DUNE_FALLBACK_NONE;
    for (uint32_t c = 0; c < p->n_classes; c++)
        p->cls[c].min_confidence = dune_rng_below(&r, 2) ? (uint16_t)dune_rng_below(&r, 200) : 0;
    p->hash = dune_rng_below(&r, 2) ? DUNE_HASH_CRC : DUNE_HASH_SIPHASH;
    p->timeout = dune_rng_below(&r, 4) ? 1000 : DUNE_TIMEOUT_NONE;
    p->slots = 4096;
    p->ways = 8;
    return p;
}

/* Random packets of few flows: gaps below, at and above a timeout of 1000 ticks, some back in time. */
struct random_traffic {
    struct dune_rng r;
    uint64_t tick;
    uint32_t n_flows;
    bool monotone;
};

static inline void random_traffic_init(struct random_traffic *t, uint64_t seed, uint32_t n_flows)
{
    dune_rng_init(&t->r, seed, 23, 0, 0);
    t->tick = 1000000;
    t->n_flows = n_flows;
    t->monotone = false;
}

static inline uint64_t random_tick(struct random_traffic *t)
{
    uint64_t pick = dune_rng_below(&t->r, 100);

    if (pick < 3 && !t->monotone)
        t->tick -= dune_rng_below(&t->r, 300);
    else if (pick < 6)
        t->tick += 995 + dune_rng_below(&t->r, 10);
    else
        t->tick += dune_rng_below(&t->r, 30);
    return t->tick;
}

static inline void random_frame(struct random_traffic *t, struct kit_frame *f)
{
    struct dune_rng *r = &t->r;
    uint32_t flow = (uint32_t)dune_rng_below(r, t->n_flows);
    struct kit_packet k = {
        .src = flow / 4, .dst = 500, .sport = (uint16_t)(1000 + flow * 977), .dport = (uint16_t)(flow * 31),
        .tcp = flow % 2, .ipv6 = flow % 5 == 0, .n_vlan = flow % 3 == 0 ? flow % 2 + 1 : 0,
        .ttl = (uint8_t)(1 + dune_rng_below(r, 255)), .tos = (uint8_t)dune_rng_u64(r),
        .tcp_flags = (uint8_t)dune_rng_u64(r), .window = (uint16_t)dune_rng_u64(r),
        .udp_len = (uint16_t)(8 + dune_rng_below(r, 65000)),
        .ip_len = (uint16_t)(60 + dune_rng_below(r, 65000)),
        .frame_len = (uint16_t)(60 + dune_rng_below(r, 200)),
        .options = flow % 7 ? 0 : (uint8_t)(4 * dune_rng_below(r, 11)),
    };

    if (dune_rng_below(r, 20) == 0)
        k.frag = (uint16_t)dune_rng_u64(r); /* mostly not the first fragment */
    kit_make(f, &k);
    if (dune_rng_below(r, 40) == 0)
        f->len = (uint32_t)dune_rng_below(r, f->len); /* cut short */
    else if (dune_rng_below(r, 40) == 0 && f->len > 13)
        f->data[12 + dune_rng_below(r, DUNE_MIN(f->len - 12, 24))] ^= (uint8_t)dune_rng_u64(r);
}

#endif
