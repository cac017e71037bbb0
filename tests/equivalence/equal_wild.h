/* SPDX-License-Identifier: Apache-2.0 */
/* Random plans over the whole catalog, random packets with bad ones among them, random options. */
#ifndef DUNE_TEST_EQUAL_WILD_H
#define DUNE_TEST_EQUAL_WILD_H

#include "equivalence/equal_kit.h"

/* --- plans ---------------------------------------------------------------------------------------------- */

/* Up to 40 features of the whole catalog, trees of any size and shape. */
static inline void wild_submodel(struct dune_rng *r, struct dune_plan *p, uint8_t id, uint16_t dev)
{
    uint8_t feat[DUNE_N_FEATURES], to_plan[DUNE_MAX_CLASSES + 1];
    uint32_t n_own = 1 + (uint32_t)dune_rng_below(r, p->n_classes), n = 0;
    uint64_t rare = 1 + dune_rng_below(r, 8);
    struct forest_shape shape = {.trees = 1 + (uint32_t)dune_rng_below(r, dune_rng_below(r, 8) ? 4 : 12),
                                 .leaves = 1 + (uint32_t)dune_rng_below(r, dune_rng_below(r, 3) ? 40 : 300),
                                 .classes = n_own + 1, .feat = feat,
                                 .wild = dune_rng_below(r, 2) ? 0 : 100};
    struct dune_submodel *sm;
    struct dune_forest f;
    struct dune_diag d = {0};

    for (int i = 0; i < DUNE_N_FEATURES; i++)
        if (dune_rng_below(r, rare) == 0)
            feat[n++] = (uint8_t)i;
    if (n == 0)
        feat[n++] = DUNE_F_GAP_2;
    shape.n_feats = n;
    other_last(to_plan, n_own + 1, 1);
    sm = kit_add(p, id, dev, (uint8_t)(1 + dune_rng_below(r, dune_rng_below(r, 8) ? 5 : 255)),
                 (enum dune_mode)dune_rng_below(r, DUNE_N_MODES));
    random_forest(r, &f, &shape);
    assert_ok(dune_submodel_from_forest(sm, &f, shape.trees, 0, to_plan, &d), d);
    random_forest_fini(&f);
}

static inline void vary_filter(struct dune_rng *r, struct dune_filter *f)
{
    f->n_ports = 2;
    f->port = DUNE_NEW_N(struct dune_port_range, 2);
    f->port[0] = (struct dune_port_range){0, 600};
    f->port[1] = (struct dune_port_range){1000, (uint16_t)(3000 + dune_rng_below(r, 40000))};
    if (dune_rng_below(r, 2)) {
        f->n_protos = 1;
        f->proto = DUNE_NEW(uint8_t);
        f->proto[0] = dune_rng_below(r, 2) ? 6 : 17;
    }
}

static inline void vary(struct dune_rng *r, struct dune_plan *p)
{
    for (uint32_t c = 0; c < p->n_classes && dune_rng_below(r, 2); c++) {
        p->cls[c].action = (enum dune_action_kind)dune_rng_below(r, 5);
        p->cls[c].action_arg = (uint32_t)dune_rng_below(r, 64);
        p->cls[c].action_any = dune_rng_below(r, 2);
    }
    if (dune_rng_below(r, 4) == 0)
        p->chain_mtu = 1000 + (uint32_t)dune_rng_below(r, 60000);
    if (dune_rng_below(r, 4) == 0)
        vary_filter(r, &p->filter);
    if (dune_rng_below(r, 4) == 0)
        p->parser = (struct dune_parser_limits){(uint8_t)dune_rng_below(r, 3), (uint8_t)(4 * dune_rng_below(r, 11)),
                                                (uint8_t)dune_rng_below(r, 3), 16, dune_rng_below(r, 2)};
    for (int i = 0; i < 16; i++)
        p->hash_key[i] = (uint8_t)dune_rng_u64(r);
}

static inline struct dune_plan *wild_plan(uint64_t seed)
{
    struct dune_rng r;
    struct dune_plan *p;
    uint32_t n_dev, extra;

    dune_rng_init(&r, seed, 31, 0, 0);
    n_dev = 1 + (uint32_t)dune_rng_below(&r, 4);
    p = random_plan(seed, (uint32_t)dune_rng_below(&r, 4), n_dev);
    p->syn_timeout = seed % 3 ? 0 : 300;
    extra = 1 + (uint32_t)dune_rng_below(&r, 3);
    for (uint32_t k = 0; k < extra; k++)
        wild_submodel(&r, p, (uint8_t)(100 + k), (uint16_t)(n_dev - 1));
    vary(&r, p);
    return p;
}

/* --- packets -------------------------------------------------------------------------------------------- */

struct stream {
    struct random_traffic t;
    struct kit_frame f[DUNE_BURST_MAX];
    struct dune_chain_packet pkt[DUNE_BURST_MAX];
};

static inline void spoil(struct dune_rng *r, struct kit_frame *f)
{
    uint64_t pick = dune_rng_below(r, 60);

    if (pick == 0 && f->len > 14) { /* a forged shim */
        f->data[12] = 0x88;
        f->data[13] = 0xb5;
    } else if (pick == 1 && f->len > 18 && f->data[12] != 0x08) { /* behind a tag */
        f->data[16] = 0x88;
        f->data[17] = 0xb5;
    } else if (pick == 2) {
        f->len = (uint32_t)dune_rng_below(r, 60);
    } else if (pick == 3 && f->len) {
        f->data[dune_rng_below(r, f->len)] = (uint8_t)dune_rng_u64(r);
    }
}

static inline unsigned fill(struct stream *s, uint64_t left)
{
    unsigned n = 1 + (unsigned)dune_rng_below(&s->t.r, DUNE_BURST_MAX);

    n = (unsigned)DUNE_MIN(n, left);
    for (unsigned i = 0; i < n; i++) {
        random_frame(&s->t, &s->f[i]);
        spoil(&s->t.r, &s->f[i]);
        s->pkt[i] = (struct dune_chain_packet){s->f[i].data, s->f[i].len, s->f[i].len, random_tick(&s->t)};
        if (dune_rng_below(&s->t.r, 50) == 0)
            s->pkt[i].wire_len = (uint32_t)dune_rng_u64(&s->t.r);
    }
    return n;
}

static inline void equal_send(struct equal *e, uint64_t seed, uint32_t flows, uint64_t packets, bool frames)
{
    struct stream *s = DUNE_NEW(struct stream);

    random_traffic_init(&s->t, seed, flows);
    while (packets) {
        unsigned n = fill(s, packets);

        equal_burst(e, s->pkt, n, frames);
        if (dune_rng_below(&s->t.r, 300) == 0)
            equal_new_capture(e);
        packets -= n;
    }
    dune_mem_free(s);
}

static inline struct dune_chain_opts vary_opts(struct dune_rng *r)
{
    static const uint32_t slots[] = {8, 64, 1, 4096, 256};

    return (struct dune_chain_opts){
        .slots = slots[dune_rng_below(r, DUNE_ARRAY_LEN(slots))], .ways = 1 + (uint32_t)dune_rng_below(r, 8),
        .drop_edge_shim = dune_rng_below(r, 2), .keep_shim = dune_rng_below(r, 2),
        .digest_rate = dune_rng_below(r, 3) ? 0 : 1 + (uint32_t)dune_rng_below(r, 5000),
        .digest_burst = (uint32_t)dune_rng_below(r, 3),
    };
}

struct totals {
    uint64_t packets, inferable, collided, settled, hits, dropped;
};

static inline void add(struct totals *t, const struct equal *e)
{
    t->packets += e->packets;
    t->inferable += e->inferable;
    t->collided += e->collided;
    t->settled += e->settled;
    t->hits += e->hits;
    t->dropped += e->dropped;
}

#endif
