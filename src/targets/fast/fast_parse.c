/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps 1 and 2: the common packet (IPv4 without options, TCP or UDP, untagged) in a few loads, any
 * other one by the parser of all targets.
 */
#include "targets/fast/fast_int.h"
#include "targets/fast/fast_quick_parse.h"

#include <string.h>

void dune_fast_fill_core(struct dune_core_packet *out, const struct dune_packet *p)
{
    out->w[DUNE_CORE_W_LEN] = p->ip_len | (uint32_t)p->ttl << 16 | (uint32_t)p->tos << 24;
    out->w[DUNE_CORE_W_PROTO] = p->proto | (uint32_t)p->ip_hdr_len << 8 | (uint32_t)p->tcp_flags << 16 |
                                (uint32_t)p->tcp_hdr_len << 24;
    out->w[DUNE_CORE_W_PORTS] = p->srcport | (uint32_t)p->dstport << 16;
    out->w[DUNE_CORE_W_L4] = p->tcp_window | (uint32_t)p->udp_length << 16;
    out->w[DUNE_CORE_W_PORT_LOW] = p->dstport < 1024 ? p->dstport : 0;
}

static void set_hash(struct fast_pkt *pk, uint64_t h)
{
    pk->index = (uint32_t)h;
    pk->id = (uint32_t)(h >> 32);
}

static bool parse_as(struct fast_chain *c, const struct dune_chain_packet *in, unsigned gen,
                     struct dune_packet *p)
{
    return dune_packet_parse(p, in->data, in->cap_len, &c->gen[gen].plan->parser, c->shim_ethertype) ==
           DUNE_REASON_OK;
}

/* Section 8: does the older generation still have this flow on device dev? */
static bool still_older(struct fast_chain *c, struct fast_worker *w, const struct dune_chain_packet *in,
                        uint32_t dev, struct fast_pkt *pk)
{
    unsigned old = !c->stamp;
    struct fast_gen *g = &c->gen[old];
    struct dune_packet *p = &c->full[old];

    if (!g->held || pk->now > c->drain_until || !parse_as(c, in, old, p) ||
        !dune_filter_match(&g->plan->filter, p))
        return false;
    if (dune_fast_rules_live(c, w, dev, pk, old))
        return true;
    if (!g->model[dev].keeps_state)
        return false;
    set_hash(pk, dune_fast_hash_any(&g->hash, p->key.bytes, p->key.len));
    return dune_fast_table_find(&g->table[dev], pk->index, pk->id, pk->now) != NULL;
}

static void stay_plain(struct fast_pkt *pk, struct fast_counts *n, enum dune_fate fate)
{
    pk->state = FAST_PLAIN;
    pk->here = (uint8_t)fate;
    n->fate[fate]++;
    if (fate == DUNE_FATE_NOT_INFERABLE)
        n->reason[pk->reason]++;
}

/* Step 2 after the parser: fate, filter, MTU, a fresh shim. counts: where a plain packet is counted. */
static void admit(struct fast_chain *c, struct fast_pkt *pk, const struct dune_packet *p,
                  struct fast_counts *counts, bool settled)
{
    const struct fast_gen *g = &c->gen[pk->gen];
    uint32_t mtu = g->plan->chain_mtu;

    pk->reason = (uint8_t)p->reason;
    if (p->reason != DUNE_REASON_OK) {
        stay_plain(pk, counts, DUNE_FATE_NOT_INFERABLE);
    } else if (!dune_filter_match(&g->plan->filter, p)) {
        stay_plain(pk, counts, DUNE_FATE_FILTERED);
    } else if (mtu && (uint32_t)p->ip_len + DUNE_SHIM_BYTES > mtu) {
        stay_plain(pk, counts, DUNE_FATE_TOO_BIG);
    } else {
        dune_fast_fill_core(&pk->core, p);
        set_hash(pk, dune_fast_hash_any(&g->hash, p->key.bytes, p->key.len));
        pk->shim = (struct dune_core_shim){.flags = settled ? DUNE_SHIM_SETTLED : 0};
        pk->state = FAST_LIVE;
        pk->inferable = true;
    }
}

/* A shim where none may be (the first device's port is an edge). */
static void forged(struct fast_chain *c, struct fast_worker *w, const struct dune_chain_packet *in,
                   struct fast_pkt *pk)
{
    struct dune_packet p;

    if (c->opts.drop_edge_shim) {
        pk->reason = DUNE_REASON_SHIM_INSIDE;
        pk->here = DUNE_FATE_DROPPED_EDGE_SHIM;
        pk->state = FAST_GONE;
        pk->dropped = true;
        w->dev[0].fate[DUNE_FATE_DROPPED_EDGE_SHIM]++;
        return;
    }
    parse_as(c, in, pk->gen, &p);
    pk->reason = (uint8_t)p.reason;
    pk->here = DUNE_FATE_NOT_INFERABLE;
    pk->state = FAST_FORGED;
    w->plain.forged[pk->reason]++;
}

static void receive_any(struct fast_chain *c, struct fast_worker *w, const struct dune_chain_packet *in,
                        struct fast_pkt *pk)
{
    struct dune_packet local, *p = c->one_by_one ? &c->full[c->stamp] : &local;
    uint32_t at;

    if (dune_shim_find(in->data, in->cap_len, c->max_vlan, c->shim_ethertype, &at)) {
        forged(c, w, in, pk);
        return;
    }
    if (c->gen[!c->stamp].held && still_older(c, w, in, 0, pk)) {
        pk->gen = (uint8_t)!c->stamp;
        p = &c->full[pk->gen];
    } else {
        parse_as(c, in, pk->gen, p);
    }
    admit(c, pk, p, c->gen[!c->stamp].held ? &w->dev[0] : &w->plain, true);
}

void dune_fast_receive(struct fast_chain *c, struct fast_worker *w, const struct dune_chain_packet *in,
                       struct fast_pkt *pk)
{
    const struct fast_gen *g = &c->gen[c->stamp];
    uint64_t addr;
    uint32_t ports, mtu = g->plan->chain_mtu;

    pk->now = in->tick;
    pk->gen = (uint8_t)c->stamp;
    pk->inferable = pk->rule_hit = pk->dropped = pk->mirrored = false;
    pk->device = UINT16_MAX;
    pk->fresh_at = 0;
    pk->steer_port = DUNE_NO_PORT;
    if (c->full_parse || !fast_quick_parse(in->data, in->cap_len, &pk->core, &addr, &ports) ||
        (mtu && (pk->core.w[DUNE_CORE_W_LEN] & 0xffff) + DUNE_SHIM_BYTES > mtu)) {
        receive_any(c, w, in, pk);
    } else {
        set_hash(pk, dune_fast_hash_v4(&g->hash, addr, ports, (uint8_t)pk->core.w[DUNE_CORE_W_PROTO]));
        pk->shim = (struct dune_core_shim){.flags = DUNE_SHIM_SETTLED};
        pk->reason = DUNE_REASON_OK;
        pk->state = FAST_LIVE;
        pk->inferable = true;
    }
    pk->reason_here = pk->reason;
    pk->fate = pk->here; /* of live packets the first device decides */
}

void dune_fast_receive_plain(struct fast_chain *c, struct fast_worker *w, const struct dune_chain_packet *in,
                             uint32_t dev, struct fast_pkt *pk)
{
    struct dune_packet *p = &c->full[c->stamp];
    uint8_t first_reason = pk->reason;

    pk->gen = (uint8_t)c->stamp;
    if (c->gen[!c->stamp].held && still_older(c, w, in, dev, pk)) {
        pk->gen = (uint8_t)!c->stamp;
        p = &c->full[pk->gen];
    } else {
        parse_as(c, in, pk->gen, p);
    }
    admit(c, pk, p, &w->dev[dev], false);
    if (pk->state == FAST_LIVE) {
        pk->fresh_at = (uint16_t)dev;
        w->dev[dev].shim_missing++;
    }
    pk->reason_here = pk->reason;
    pk->reason = first_reason; /* the verdict tells what the first device found */
}
