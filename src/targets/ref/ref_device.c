/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One device: the nine steps of design section 5, one function each, in order. This is the judge of
 * every other target; read it beside the design.
 */
#include "targets/ref/ref_int.h"

#include <string.h>

enum { HEADROOM = 16 }; /* in front of a frame: room for one shim */

/* What a step says about the packet. */
enum next {
    NEXT, /* go on with the next step */
    SEND, /* no state, no inference: on to step 9 */
    DROP
};

static struct ref_generation *find_generation(struct dune_ref_device *dev, uint16_t generation)
{
    for (unsigned i = 0; i < 2; i++)
        if (dev->gen[i].held && dev->gen[i].plan->generation == generation)
            return &dev->gen[i];
    return NULL;
}

/* --- frames: adding and removing the shim --------------------------------------------------------- */

static void reserve(struct dune_ref_device *dev, size_t len)
{
    if (len + HEADROOM <= dev->buf_cap)
        return;
    dev->buf_cap = (len + HEADROOM) * 2;
    dev->buf = dune_mem_realloc(dev->buf, dev->buf_cap, 1);
}

/* The addresses and tags move back to the original EtherType. */
static void remove_shim(struct ref_pass *p)
{
    memmove(p->frame + DUNE_SHIM_BYTES, p->frame, p->l2_len - 2);
    p->frame += DUNE_SHIM_BYTES;
    p->cap_len -= DUNE_SHIM_BYTES;
    p->wire_len -= DUNE_MIN(p->wire_len, DUNE_SHIM_BYTES);
}

/* Order, payload, checksums and IP lengths stay as they are. */
static void insert_shim(struct ref_pass *p)
{
    uint16_t type = p->dev->shim_ethertype;
    uint8_t *l2_end = p->frame + p->l2_len;

    p->shim.ethertype = (uint16_t)(l2_end[-2] << 8 | l2_end[-1]);
    p->frame -= DUNE_SHIM_BYTES;
    memmove(p->frame, p->frame + DUNE_SHIM_BYTES, p->l2_len - 2);
    l2_end = p->frame + p->l2_len;
    l2_end[-2] = (uint8_t)(type >> 8);
    l2_end[-1] = (uint8_t)type;
    dune_shim_put(l2_end, &p->shim);
    p->cap_len += DUNE_SHIM_BYTES;
    p->wire_len += DUNE_SHIM_BYTES;
}

/* Settled starts as 1 at an edge, as 0 where packets of the flow may have been missed. */
static void fresh_shim(struct ref_pass *p, const struct ref_generation *gen, bool settled)
{
    p->has_shim = true;
    p->shim = (struct dune_shim){
        .version = DUNE_SHIM_VERSION,
        .flags = settled ? DUNE_SHIM_SETTLED : 0,
        .generation = gen->plan->generation,
    };
    p->arrived = p->shim;
    p->dev->count.shim_added++;
}

/* --- step 1: Ethernet, VLAN tags, shim ------------------------------------------------------------- */

static bool sees_shim(struct ref_pass *p)
{
    return dune_shim_find(p->frame, p->cap_len, p->dev->max_vlan, p->dev->shim_ethertype,
                          &p->l2_len);
}

/* A shim where none may be: inside a fresh one it cannot be mistaken for ours. */
static enum next wrap_forged(struct ref_pass *p)
{
    struct dune_ref_device *dev = p->dev;

    dev->count.shim_at_edge++;
    if (dev->opts.drop_edge_shim) {
        p->trace->reason = DUNE_REASON_SHIM_INSIDE;
        p->trace->fate = DUNE_FATE_DROPPED_EDGE_SHIM;
        dev->count.dropped_edge_shim++;
        return DROP;
    }
    p->gen = &dev->gen[dev->stamp];
    fresh_shim(p, p->gen, p->in->port == DUNE_PORT_EDGE);
    return NEXT;
}

static enum next read_shim(struct ref_pass *p)
{
    struct dune_ref_device *dev = p->dev;

    if (p->cap_len - p->l2_len < DUNE_SHIM_BYTES) {
        p->trace->fate = DUNE_FATE_DROPPED_BAD_SHIM;
        dev->count.shim_bad++;
        dev->count.dropped_bad_shim++;
        return DROP;
    }
    dune_shim_get(&p->shim, p->frame + p->l2_len);
    remove_shim(p);
    if (p->shim.version != DUNE_SHIM_VERSION) {
        p->shim = (struct dune_shim){0};
        dev->count.shim_bad++;
        return sees_shim(p) ? wrap_forged(p) : NEXT;
    }
    p->has_shim = true;
    p->arrived = p->shim;
    dev->count.shim_read++;
    p->gen = find_generation(dev, p->shim.generation);
    if (p->gen)
        return NEXT;
    p->trace->fate = DUNE_FATE_GENERATION_MISSING;
    dev->count.generation_missing++;
    return SEND;
}

static enum next step1_receive(struct ref_pass *p)
{
    if (!sees_shim(p))
        return NEXT;
    return p->in->port == DUNE_PORT_EDGE ? wrap_forged(p) : read_shim(p);
}

/* --- step 2: the rest of the packet ----------------------------------------------------------------- */

static bool parse_as(struct ref_pass *p, const struct ref_generation *gen)
{
    return dune_packet_parse(&p->pkt, p->frame, p->cap_len, &gen->plan->parser,
                             p->dev->shim_ethertype) == DUNE_REASON_OK;
}

/* Section 8: does the older generation still have this flow? Parsed by its own plan. */
static bool still_older(struct ref_pass *p, struct ref_generation *old)
{
    uint32_t index, id;

    if (!old->held || p->now > p->dev->drain_until || !parse_as(p, old) ||
        !dune_filter_match(&old->plan->filter, &p->pkt))
        return false;
    if (dune_ref_rules_find(&old->rules, &p->pkt.key, p->now, &p->dev->count.rules_expired))
        return true;
    if (!old->keeps_state)
        return false;
    dune_flow_slot(old->plan, old->tab.slots, &p->pkt.key, &index, &id);
    return dune_ref_flowtab_find(&old->tab, index, id, p->now) != NULL;
}

/* A canary: is this flow among those that keep the other generation although they are new? */
static bool outside_share(const struct ref_pass *p)
{
    return p->pkt.reason == DUNE_REASON_OK && !dune_stamp_in_share(&p->pkt.key, p->dev->share);
}

/* The generation this device stamps on a packet without shim; leaves p->pkt parsed by its plan. */
static void choose_generation(struct ref_pass *p)
{
    struct ref_generation *older = &p->dev->gen[!p->dev->stamp];

    if (still_older(p, older)) {
        p->gen = older;
        return;
    }
    p->gen = &p->dev->gen[p->dev->stamp];
    parse_as(p, p->gen);
    if (older->held && outside_share(p)) {
        p->gen = older;
        parse_as(p, older);
    }
}

static enum next refuse(struct ref_pass *p, enum dune_fate fate, uint64_t *counter)
{
    p->trace->fate = (uint8_t)fate;
    ++*counter;
    return SEND;
}

static enum next step2_parse(struct ref_pass *p)
{
    struct dune_counters *c = &p->dev->count;
    uint32_t mtu;

    if (p->has_shim)
        parse_as(p, p->gen);
    else
        choose_generation(p);
    p->trace->reason = (uint8_t)p->pkt.reason;
    if (p->pkt.reason != DUNE_REASON_OK)
        return refuse(p, DUNE_FATE_NOT_INFERABLE, &c->not_inferable[p->pkt.reason]);
    if (!dune_filter_match(&p->gen->plan->filter, &p->pkt))
        return refuse(p, DUNE_FATE_FILTERED, &c->filtered);
    if (p->has_shim)
        return NEXT;
    mtu = p->gen->plan->chain_mtu;
    if (mtu && (uint32_t)p->pkt.ip_len + DUNE_SHIM_BYTES > mtu)
        return refuse(p, DUNE_FATE_TOO_BIG, &c->too_big);
    if (p->in->port == DUNE_PORT_CHAIN)
        c->shim_missing++;
    p->l2_len = p->pkt.l2_len;
    fresh_shim(p, p->gen, p->in->port == DUNE_PORT_EDGE);
    return NEXT;
}

/* --- step 3: what is known already ------------------------------------------------------------------- */

static enum next step3_known(struct ref_pass *p)
{
    const uint8_t done = DUNE_SHIM_FINAL | DUNE_SHIM_SETTLED;
    struct dune_counters *c = &p->dev->count;
    struct ref_rule *rule;

    if ((p->shim.flags & done) == done)
        return refuse(p, DUNE_FATE_PASSED_SETTLED, &c->passed_settled);
    rule = dune_ref_rules_find(&p->gen->rules, &p->pkt.key, p->now, &c->rules_expired);
    if (!rule)
        return NEXT;
    rule->last_hit = DUNE_MAX(rule->last_hit, p->now);
    p->shim.cls = rule->cls;
    p->shim.submodel = rule->submodel;
    p->shim.conf = rule->conf;
    p->shim.flags = (p->shim.flags & DUNE_SHIM_COLLISION) | rule->flags | done;
    p->trace->became_final = true;
    return refuse(p, DUNE_FATE_RULE_HIT, &c->rule_hit);
}

/* --- steps 4 and 5: the slot and its registers -------------------------------------------------------- */

static void step4_slot(struct ref_pass *p)
{
    struct dune_counters *c = &p->dev->count;
    struct ref_flowtab *t = &p->gen->tab;
    enum dune_slot_outcome outcome = DUNE_SLOT_NONE;
    uint32_t id;

    p->trace->fate = DUNE_FATE_INFERRED;
    c->inferred++;
    if (!p->gen->keeps_state) {
        c->stateless++;
        return;
    }
    dune_flow_slot(p->gen->plan, t->slots, &p->pkt.key, &p->trace->slot_index, &id);
    p->slot = dune_ref_flowtab_take(t, p->trace->slot_index, id, p->now, &outcome);
    p->trace->slot = (uint8_t)outcome;
    c->slot_new += outcome == DUNE_SLOT_NEW;
    c->slot_hit += outcome == DUNE_SLOT_HIT;
    c->slot_expired += outcome == DUNE_SLOT_EXPIRED;
    c->collisions += outcome == DUNE_SLOT_COLLISION;
    if (p->slot) {
        c->false_matches += dune_ref_flowtab_false_match(t, p->slot, &p->pkt.key, outcome);
        p->trace->way = (uint8_t)((p->slot - t->slot) % t->ways);
    } else {
        p->collision = true;
        p->shim.flags |= DUNE_SHIM_COLLISION;
    }
}

/* Its slot may be lost before the flow goes on: nothing about it is settled. */
static void note_half_open(struct ref_pass *p)
{
    bool syn = p->pkt.is_tcp && (p->pkt.tcp_flags & (DUNE_TCP_SYN | DUNE_TCP_ACK)) == DUNE_TCP_SYN;
    struct ref_slot *s = p->slot;

    if (!p->gen->plan->syn_timeout)
        return;
    s->half_open = syn && (s->regs.count == 0 || s->half_open);
    if (s->half_open && !(p->shim.flags & DUNE_SHIM_FINAL))
        p->shim.flags &= (uint8_t)~DUNE_SHIM_SETTLED;
}

static void step5_update(struct ref_pass *p)
{
    if (!p->slot)
        return;
    note_half_open(p);
    dune_flow_update(&p->slot->regs, &p->pkt, p->now);
    p->trace->count = p->slot->regs.count;
}

/* --- step 8, second half: the digest ------------------------------------------------------------------ */

/* Tokens are counted in units of 1 / DUNE_DIGEST_REPEAT, so that the refill is exact. */
static bool take_token(struct dune_ref_device *dev, uint64_t now)
{
    uint64_t rate = dev->opts.digest_rate;
    uint64_t full = (dev->opts.digest_burst ? dev->opts.digest_burst : rate) * DUNE_DIGEST_REPEAT;

    if (rate == 0)
        return true;
    if (!dev->bucket_started) {
        dev->bucket_started = true;
        dev->bucket = full;
        dev->bucket_tick = now;
    }
    if (now > dev->bucket_tick) {
        uint64_t passed = DUNE_MIN(now - dev->bucket_tick, full / rate + 1);

        dev->bucket = DUNE_MIN(full, dev->bucket + passed * rate);
        dev->bucket_tick = now;
    }
    if (dev->bucket < DUNE_DIGEST_REPEAT)
        return false;
    dev->bucket -= DUNE_DIGEST_REPEAT;
    return true;
}

static bool digest_is_due(const struct ref_pass *p)
{
    const uint8_t done = DUNE_SHIM_FINAL | DUNE_SHIM_SETTLED;
    const struct ref_slot *s = p->slot;

    if (!s || !p->trace->became_final || (p->shim.flags & done) != done)
        return false;
    return !s->digest_sent ||
           (p->now > s->digest_tick && p->now - s->digest_tick >= DUNE_DIGEST_REPEAT);
}

static void step8_digest(struct ref_pass *p)
{
    struct dune_ref_device *dev = p->dev;
    struct dune_digest dg;

    if (!digest_is_due(p))
        return;
    if (!take_token(dev, p->now)) {
        dev->count.digests_dropped++; /* the slot's next packet tries again */
        return;
    }
    p->slot->digest_sent = true;
    p->slot->digest_tick = p->now;
    p->trace->digest = true;
    dev->count.digests++;
    dg = (struct dune_digest){
        .device = dev->index, .generation = p->shim.generation, .tick = p->now, .key = p->pkt.key,
        .cls = p->shim.cls, .flags = p->shim.flags & (DUNE_SHIM_TENTATIVE | DUNE_SHIM_FL),
        .submodel = p->shim.submodel, .conf = p->shim.conf,
    };
    if (dev->digest_fn)
        dev->digest_fn(dev->digest_ctx, &dg);
}

/* --- step 9: actions and leaving ----------------------------------------------------------------------- */

static void leave(struct ref_pass *p, struct dune_device_out *out)
{
    struct dune_counters *c = &p->dev->count;
    bool keep = p->in->out_port == DUNE_PORT_CHAIN || p->dev->opts.keep_shim;

    if (p->has_shim && keep) {
        insert_shim(p);
        c->shim_kept++;
    } else if (p->has_shim) {
        c->shim_stripped++;
    }
    c->out++;
    out->data = p->frame;
    out->cap_len = p->cap_len;
    out->wire_len = p->wire_len;
}

static void finish_trace(struct ref_pass *p)
{
    struct dune_device_trace *t = p->trace;

    t->has_shim = p->has_shim;
    t->shim = p->shim;
    if (p->has_shim)
        t->generation = p->shim.generation;
}

static void step9_send(struct ref_pass *p, struct dune_device_out *out)
{
    if (dune_ref_step_act(p)) {
        leave(p, out);
    } else {
        p->trace->dropped = true;
        p->dev->count.dropped_action++;
    }
}

/* --- all steps ------------------------------------------------------------------------------------------ */

static void begin(struct ref_pass *p, struct dune_ref_device *dev, const struct dune_device_in *in,
                  struct dune_device_out *out)
{
    memset(out, 0, offsetof(struct dune_device_out, trace.answer));
    out->trace.tick = in->tick;
    out->trace.device = dev->index;
    out->trace.steer_port = out->trace.mirror_port = DUNE_NO_PORT;
    reserve(dev, in->cap_len);
    p->dev = dev;
    p->gen = NULL;
    p->in = in;
    p->trace = &out->trace;
    p->frame = dev->buf + HEADROOM;
    p->cap_len = in->cap_len;
    p->wire_len = in->wire_len;
    p->now = in->tick;
    p->has_shim = p->collision = p->vec_made[0] = p->vec_made[1] = false;
    p->shim = p->arrived = (struct dune_shim){0};
    p->pkt.reason = DUNE_REASON_SHORT_L2; /* until parsed */
    p->slot = NULL;
    if (in->cap_len)
        memcpy(p->frame, in->data, in->cap_len);
    dev->count.in++;
}

void dune_ref_device_process(struct dune_ref_device *dev, const struct dune_device_in *in,
                             struct dune_device_out *out)
{
    struct ref_pass p;
    enum next next;

    begin(&p, dev, in, out);
    next = step1_receive(&p);
    if (next == NEXT)
        next = step2_parse(&p);
    if (next == NEXT)
        next = step3_known(&p);
    if (next == NEXT) {
        step4_slot(&p);
        step5_update(&p);
        dune_ref_step_answers(&p); /* 6, 7, 8 */
        step8_digest(&p);
    }
    if (next != DROP)
        step9_send(&p, out);
    else
        out->trace.dropped = true;
    finish_trace(&p);
}
