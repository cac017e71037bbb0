/* SPDX-License-Identifier: Apache-2.0 */
/* Hand-made plans, frames and packets for tests of engines. */
#ifndef DUNE_TEST_CHAIN_KIT_H
#define DUNE_TEST_CHAIN_KIT_H

#include "dune/device.h"
#include "testing.h"

#define KIT_S(seconds) dune_tick((uint64_t)(seconds) * 1000000000u)

/* --- frames ------------------------------------------------------------------------------------------ */
struct kit_frame {
    uint8_t data[2048];
    uint32_t len;
};

static inline void kit_put(struct kit_frame *f, const void *p, size_t n)
{
    memcpy(f->data + f->len, p, n);
    f->len += (uint32_t)n;
}
static inline void kit_put16(struct kit_frame *f, unsigned v)
{
    f->data[f->len++] = (uint8_t)(v >> 8);
    f->data[f->len++] = (uint8_t)v;
}
static inline void kit_zero(struct kit_frame *f, size_t n)
{
    memset(f->data + f->len, 0, n);
    f->len += (uint32_t)n;
}

/* What a packet is made of; zero fields have defaults. */
struct kit_packet {
    uint32_t src, dst;        /* last bits of the addresses */
    uint16_t sport, dport;
    bool tcp, ipv6;
    uint16_t ip_len;          /* 0: what fits */
    uint16_t frame_len;       /* padded up to this */
    uint8_t ttl, tos, tcp_flags, options; /* options: bytes, a multiple of 4 */
    uint16_t window, frag, udp_len; /* udp_len 0: what fits */
    unsigned n_vlan;
};

static inline uint16_t kit_sum(const uint8_t *p, size_t n)
{
    uint32_t s = 0;

    for (size_t i = 0; i < n; i += 2)
        s += (uint32_t)(p[i] << 8 | p[i + 1]);
    while (s >> 16)
        s = (s & 0xffff) + (s >> 16);
    return (uint16_t)~s;
}

static inline void kit_ip4(struct kit_frame *f, const struct kit_packet *k, unsigned l4)
{
    uint32_t at = f->len, ihl = 5 + k->options / 4u;
    uint16_t sum;

    f->data[f->len++] = (uint8_t)(0x40 | ihl);
    f->data[f->len++] = k->tos;
    kit_put16(f, k->ip_len ? k->ip_len : ihl * 4 + l4);
    kit_put16(f, 7);
    kit_put16(f, k->frag);
    f->data[f->len++] = k->ttl ? k->ttl : 64;
    f->data[f->len++] = k->tcp ? 6 : 17;
    kit_put16(f, 0);
    kit_put16(f, 0x0a00 | k->src >> 16);
    kit_put16(f, k->src & 0xffff);
    kit_put16(f, 0x0b00 | k->dst >> 16);
    kit_put16(f, k->dst & 0xffff);
    memset(f->data + f->len, 1, k->options);
    f->len += k->options;
    sum = kit_sum(f->data + at, ihl * 4);
    f->data[at + 10] = (uint8_t)(sum >> 8);
    f->data[at + 11] = (uint8_t)sum;
}

static inline void kit_ip6(struct kit_frame *f, const struct kit_packet *k, unsigned l4)
{
    kit_put16(f, 0x6000 | k->tos << 4);
    kit_put16(f, 0x1234);
    kit_put16(f, k->ip_len ? k->ip_len - 40u : l4);
    f->data[f->len++] = k->tcp ? 6 : 17;
    f->data[f->len++] = k->ttl ? k->ttl : 64;
    for (int side = 0; side < 2; side++) {
        uint32_t a = side ? k->dst : k->src;

        kit_put16(f, side ? 0xfd01 : 0xfd00);
        kit_zero(f, 10);
        kit_put16(f, a >> 16);
        kit_put16(f, a & 0xffff);
    }
}

static inline void kit_make(struct kit_frame *f, const struct kit_packet *k)
{
    unsigned l4 = k->tcp ? 20 : 8;

    f->len = 0;
    kit_put(f, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02", 12);
    for (unsigned i = 0; i < k->n_vlan; i++) {
        kit_put16(f, i ? 0x8100 : 0x88A8);
        kit_put16(f, 100 + i);
    }
    kit_put16(f, k->ipv6 ? 0x86DD : 0x0800);
    if (k->ipv6)
        kit_ip6(f, k, l4);
    else
        kit_ip4(f, k, l4);
    kit_put16(f, k->sport);
    kit_put16(f, k->dport);
    if (k->tcp) {
        kit_zero(f, 8);
        kit_put16(f, 0x5000 | k->tcp_flags);
        kit_put16(f, k->window);
        kit_zero(f, 4);
    } else {
        kit_put16(f, k->udp_len ? k->udp_len : l4);
        kit_put16(f, 0);
    }
    if (f->len < k->frame_len)
        kit_zero(f, k->frame_len - f->len);
}

/* --- plans ------------------------------------------------------------------------------------------- */
#define KIT_CLAIM(c, conf) {(c), (conf), (c), (conf)}
#define KIT_OTHER(own, own_conf) {DUNE_PLAN_OTHER, 1, (own), (own_conf)}

static inline struct dune_plan *kit_plan(uint32_t n_classes, uint32_t n_devices)
{
    struct dune_plan *p = dune_plan_new();

    p->n_classes = n_classes;
    p->cls = DUNE_NEW_N(struct dune_plan_class, n_classes);
    for (uint32_t c = 0; c < n_classes; c++)
        p->cls[c].name = dune_mem_printf("class%u", c + 1);
    p->n_devices = n_devices;
    p->device = DUNE_NEW_N(struct dune_plan_device, n_devices);
    for (uint32_t i = 0; i < n_devices; i++) {
        p->device[i].name = dune_mem_printf("d%u", i + 1);
        p->device[i].profile = dune_mem_strdup("engine");
    }
    p->slots = 1024;
    return p;
}

static inline struct dune_submodel *kit_add(struct dune_plan *p, uint8_t id, uint16_t device,
                                            uint8_t n, enum dune_mode mode)
{
    struct dune_submodel *sm;

    p->sub = dune_mem_realloc(p->sub, p->n_submodels + 1, sizeof(*p->sub));
    sm = &p->sub[p->n_submodels++];
    memset(sm, 0, sizeof(*sm));
    sm->id = id;
    sm->device = device;
    sm->n = n;
    sm->mode = mode;
    sm->n_classes = p->n_classes;
    sm->cls = DUNE_NEW_N(uint8_t, p->n_classes);
    for (uint32_t c = 0; c < p->n_classes; c++)
        sm->cls[c] = (uint8_t)(c + 1);
    return sm;
}

/* One tree on one feature: leaf i answers values in (thr[i - 1], thr[i]]. */
static inline void kit_sub(struct dune_plan *p, uint8_t id, uint16_t device, uint8_t n,
                           enum dune_mode mode, int feat, uint32_t n_thr, const uint32_t *thr,
                           const struct dune_plan_leaf *leaf)
{
    struct dune_submodel *sm = kit_add(p, id, device, n, mode);
    struct dune_plan_tree *tr = sm->tree = DUNE_NEW(struct dune_plan_tree);
    struct dune_plan_feature *pf = sm->feat = DUNE_NEW(struct dune_plan_feature);

    sm->n_feats = sm->n_trees = 1;
    pf->feat = (uint8_t)feat;
    pf->n_rows = tr->n_leaves = n_thr + 1;
    pf->row = DUNE_NEW_N(struct dune_range_row, n_thr + 1);
    pf->n_bits = DUNE_NEW(uint32_t);
    pf->code = DUNE_NEW(char *);
    pf->n_bits[0] = tr->key_bits = n_thr;
    pf->code[0] = dune_mem_alloc((n_thr + 1) * n_thr + 1, 1);
    tr->match = dune_mem_alloc((n_thr + 1) * n_thr + 1, 1);
    tr->leaf = dune_mem_alloc(n_thr + 1, sizeof(*leaf));
    memcpy(tr->leaf, leaf, (n_thr + 1) * sizeof(*leaf));
    for (uint32_t r = 0; r <= n_thr; r++) {
        pf->row[r].lo = r ? thr[r - 1] + 1 : 0;
        pf->row[r].hi = r < n_thr ? thr[r] : dune_feature_max(feat);
        for (uint32_t b = 0; b < n_thr; b++) {
            pf->code[0][r * n_thr + b] = b < r ? '1' : '0';
            tr->match[r * n_thr + b] = b + 1 == r ? '1' : b == r ? '0' : '*';
        }
    }
}

/* A sub-model that always says the same. */
static inline void kit_const(struct dune_plan *p, uint8_t id, uint16_t device, uint8_t n,
                             enum dune_mode mode, struct dune_plan_leaf leaf)
{
    kit_sub(p, id, device, n, mode, DUNE_F_IP_LEN, 0, NULL, &leaf);
}

/* --- running ----------------------------------------------------------------------------------------- */
static inline struct dune_chain *kit_open(const struct dune_plan *p, const struct dune_chain_opts *o)
{
    struct dune_chain *c = NULL;
    struct dune_diag d = {0};

    assert_ok(dune_engine_reference.open(&c, p, o, &d), d);
    return c;
}

static inline struct dune_verdict kit_send_frame(struct dune_chain *c, const struct kit_frame *f,
                                                 uint64_t tick, struct dune_chain_frame *out)
{
    struct dune_chain_packet pkt = {f->data, f->len, f->len, tick};
    struct dune_verdict v;
    struct dune_diag d = {0};

    assert_ok(c->ops->burst(c, &pkt, 1, &v, out, &d), d);
    return v;
}

static inline struct dune_verdict kit_send(struct dune_chain *c, const struct kit_packet *k,
                                           uint64_t tick)
{
    struct kit_frame f;

    kit_make(&f, k);
    return kit_send_frame(c, &f, tick, NULL);
}

/* Closes the chain after checking that its counters add up. */
static inline void kit_close(struct dune_chain *c, uint32_t n_devices)
{
    struct dune_counters *all = DUNE_NEW_N(struct dune_counters, n_devices);
    struct dune_diag d = {0};

    for (uint32_t i = 0; i < n_devices; i++)
        c->ops->counters(c, i, &all[i]);
    assert_ok(dune_counters_check(all, n_devices, true, &d), d);
    dune_mem_free(all);
    c->ops->close(c);
}

static inline struct dune_counters kit_count(struct dune_chain *c, uint32_t device)
{
    struct dune_counters out;

    c->ops->counters(c, device, &out);
    return out;
}

#define KIT_FINAL DUNE_SHIM_FINAL
#define KIT_DONE (DUNE_SHIM_FINAL | DUNE_SHIM_SETTLED)

static inline void kit_expect(struct dune_verdict v, unsigned cls, unsigned flags, unsigned submodel,
                              unsigned conf, unsigned device)
{
    if (v.cls != cls || v.flags != flags || v.submodel != submodel || v.conf != conf ||
        v.device != device)
        fail_msg("class %u flags %02x sub-model %u conf %u device %u, want %u %02x %u %u %u", v.cls,
                 v.flags, v.submodel, v.conf, v.device, cls, flags, submodel, conf, device);
}

#endif
