/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One device of the fast engine, alone between two links: frames in with or without shim, frames out, generations, rules
 * from a controller. Receiving and leaving follow src/targets/ref/ref_device.c line by line; steps 3 to 9 in between are
 * those of the chain (fast_device.c), for all packets of a burst together.
 */
#include "targets/fast/fast_int.h"
#include "targets/ref/ref_int.h"

#include <string.h>

#include "targets/target_int.h"

enum { HEADROOM = 16 };

struct parcel { /* a packet of the burst under way */
    size_t at;  /* where its frame begins in buf */
    uint32_t cap_len, wire_len, l2_len;
    int gen; /* -1: none */
    bool has_shim, send, live, ruled, missing;
    uint8_t fate, reason;
    uint16_t generation; /* of a shim that came with one */
    uint16_t ethertype;
    struct dune_core_shim rule; /* what a rule says */
    struct dune_packet pkt;
};
struct dune_fast_device {
    struct fast_chain *c;
    uint16_t index;
    uint32_t share;
    struct dune_counters count; /* what the chain does not count */
    struct ref_rules rules[2];
    struct parcel parcel[FAST_CHUNK];
    dune_digest_fn digest_fn;
    void *digest_ctx;
    uint8_t *buf;
    size_t buf_cap;
};

static struct fast_counts *counts(const struct dune_fast_device *dev)
{
    return &dev->c->worker[0]->dev[dev->index];
}

/* --- life ------------------------------------------------------------------------------------------------- */

static void on_digest(void *ctx, const struct fast_pkt *pk)
{
    struct dune_fast_device *dev = ctx;
    const struct parcel *p = &dev->parcel[pk - dev->c->pkt];
    struct dune_digest dg = {
        .device = dev->index, .generation = dev->c->gen[pk->gen].plan->generation, .tick = pk->now, .key = p->pkt.key,
        .cls = pk->shim.cls, .flags = pk->shim.flags & (DUNE_SHIM_TENTATIVE | DUNE_SHIM_FL),
        .submodel = pk->shim.submodel, .conf = pk->shim.conf,
    };

    if (dev->digest_fn)
        dev->digest_fn(dev->digest_ctx, &dg);
}

static void open_rules(struct dune_fast_device *dev, unsigned g)
{
    uint32_t max = dev->c->opts.rules_max ? dev->c->opts.rules_max : DUNE_RULES_MAX_DEFAULT;

    dune_ref_rules_init(&dev->rules[g], max, dev->c->gen[g].plan->timeout);
}

int dune_fast_device_new(struct dune_fast_device **out, const struct dune_plan *p, uint16_t index,
                         const struct dune_chain_opts *o, struct dune_diag *d)
{
    struct dune_fast_device *dev;
    struct dune_chain_opts own = {0};
    struct fast_chain *c;
    int rc;

    if (o)
        own = *o;
    own.rules = false; /* they come from the controller */
    own.trace = NULL;
    own.threads = 1;
    rc = dune_fast_open_alone(&c, p, index, &own, d);
    if (rc)
        return rc;
    dev = DUNE_NEW(struct dune_fast_device);
    dev->c = c;
    dev->index = index;
    dev->share = DUNE_STAMP_ALL;
    c->on_digest = on_digest;
    c->on_digest_ctx = dev;
    open_rules(dev, 0);
    *out = dev;
    return 0;
}

void dune_fast_device_free(struct dune_fast_device *dev)
{
    if (!dev)
        return;
    for (unsigned g = 0; g < 2; g++)
        if (dev->c->gen[g].held)
            dune_ref_rules_fini(&dev->rules[g]);
    dev->c->base.ops->close(&dev->c->base);
    dune_mem_free(dev->buf);
    dune_mem_free(dev);
}

void dune_fast_device_on_digest(struct dune_fast_device *dev, dune_digest_fn fn, void *ctx)
{
    dev->digest_fn = fn;
    dev->digest_ctx = ctx;
}

/* --- generations ------------------------------------------------------------------------------------------- */

static int position(const struct dune_fast_device *dev, uint16_t generation)
{
    for (int g = 0; g < 2; g++)
        if (dev->c->gen[g].held && dev->c->gen[g].plan->generation == generation)
            return g;
    return -1;
}

int dune_fast_device_load(struct dune_fast_device *dev, const struct dune_plan *p, struct dune_diag *d)
{
    int rc = dune_fast_hold_other(dev->c, p, d);

    if (rc == 0)
        open_rules(dev, !dev->c->stamp);
    return rc;
}

int dune_fast_device_stamp_share(struct dune_fast_device *dev, uint16_t generation, uint32_t share, uint64_t now,
                                 struct dune_diag *d)
{
    struct fast_chain *c = dev->c;
    int g = position(dev, generation);
    uint64_t timeout;

    if (g < 0)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "generation %u is not held", generation);
    if (share > DUNE_STAMP_ALL)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "a share of %u, at most %u", share, DUNE_STAMP_ALL);
    if ((unsigned)g == c->stamp && share == dev->share)
        return 0;
    timeout = c->gen[!g].held ? c->gen[!g].plan->timeout : 0;
    dune_fast_set_stamp(c, (unsigned)g);
    dev->share = share;
    c->drain_until = share < DUNE_STAMP_ALL ? UINT64_MAX : dune_drain_deadline(now, timeout);
    return 0;
}

uint64_t dune_fast_device_drain_until(const struct dune_fast_device *dev)
{
    return dev->c->drain_until;
}

int dune_fast_device_unload(struct dune_fast_device *dev, uint16_t generation, struct dune_diag *d)
{
    int g = position(dev, generation), rc = dune_fast_unload(&dev->c->base, generation, d);

    if (rc == 0)
        dune_ref_rules_fini(&dev->rules[g]);
    return rc;
}

void dune_fast_device_put_rule(struct dune_fast_device *dev, const struct dune_digest *dg, uint64_t from)
{
    struct fast_counts *n = counts(dev);
    int g = position(dev, dg->generation);

    if (g < 0)
        return;
    dune_ref_rules_drop(&dev->rules[g], &dg->key);
    if (dune_ref_rules_add(&dev->rules[g], dg, from, &n->rules_expired))
        n->rules++;
    else
        n->rules_full++;
}

/* --- steps 1 and 2 ------------------------------------------------------------------------------------------- */

static uint8_t *frame_of(const struct dune_fast_device *dev, const struct parcel *p)
{
    return dev->buf + p->at;
}

static bool sees_shim(struct dune_fast_device *dev, struct parcel *p)
{
    return dune_shim_find(frame_of(dev, p), p->cap_len, dev->c->max_vlan, dev->c->shim_ethertype, &p->l2_len);
}

static void remove_shim(struct dune_fast_device *dev, struct parcel *p)
{
    uint8_t *frame = frame_of(dev, p);

    memmove(frame + DUNE_SHIM_BYTES, frame, p->l2_len - 2);
    p->at += DUNE_SHIM_BYTES;
    p->cap_len -= DUNE_SHIM_BYTES;
    p->wire_len -= DUNE_MIN(p->wire_len, DUNE_SHIM_BYTES);
}

static void fresh_shim(struct dune_fast_device *dev, struct parcel *p, struct fast_pkt *pk, bool settled)
{
    p->has_shim = true;
    p->ethertype = 0;
    pk->shim = (struct dune_core_shim){.flags = settled ? DUNE_SHIM_SETTLED : 0};
    dev->count.shim_added++;
}

/* A shim where none may be; false: dropped. */
static bool wrap_forged(struct dune_fast_device *dev, struct parcel *p, struct fast_pkt *pk, int port)
{
    dev->count.shim_at_edge++;
    if (dev->c->opts.drop_edge_shim) {
        p->reason = DUNE_REASON_SHIM_INSIDE;
        p->fate = DUNE_FATE_DROPPED_EDGE_SHIM;
        dev->count.dropped_edge_shim++;
        return false;
    }
    p->gen = (int)dev->c->stamp;
    fresh_shim(dev, p, pk, port == DUNE_PORT_EDGE);
    return true;
}

/* False: dropped. */
static bool read_shim(struct dune_fast_device *dev, struct parcel *p, struct fast_pkt *pk, int port)
{
    struct dune_shim s;

    if (p->cap_len - p->l2_len < DUNE_SHIM_BYTES) {
        p->fate = DUNE_FATE_DROPPED_BAD_SHIM;
        dev->count.shim_bad++;
        dev->count.dropped_bad_shim++;
        return false;
    }
    dune_shim_get(&s, frame_of(dev, p) + p->l2_len);
    remove_shim(dev, p);
    if (s.version != DUNE_SHIM_VERSION) {
        dev->count.shim_bad++;
        return sees_shim(dev, p) ? wrap_forged(dev, p, pk, port) : true;
    }
    p->has_shim = true;
    p->generation = s.generation;
    p->ethertype = s.ethertype;
    pk->shim = (struct dune_core_shim){.flags = s.flags, .submodel = s.submodel, .cls = s.cls, .conf = s.conf};
    dev->count.shim_read++;
    p->gen = position(dev, s.generation);
    if (p->gen >= 0)
        return true;
    p->missing = true;
    p->fate = DUNE_FATE_GENERATION_MISSING;
    dev->count.generation_missing++;
    return true;
}

static bool parse_as(struct dune_fast_device *dev, struct parcel *p, unsigned g)
{
    return dune_packet_parse(&p->pkt, frame_of(dev, p), p->cap_len, &dev->c->gen[g].plan->parser,
                             dev->c->shim_ethertype) == DUNE_REASON_OK;
}

static uint64_t hash_of(const struct fast_gen *g, const struct dune_packet *p)
{
    return dune_fast_hash_any(&g->hash, p->key.bytes, p->key.len);
}

static bool still_older(struct dune_fast_device *dev, struct parcel *p, unsigned old, uint64_t now)
{
    const struct fast_gen *g = &dev->c->gen[old];
    uint64_t h;

    if (!g->held || now > dev->c->drain_until || !parse_as(dev, p, old) || !dune_filter_match(&g->plan->filter, &p->pkt))
        return false;
    if (dune_ref_rules_find(&dev->rules[old], &p->pkt.key, now, &counts(dev)->rules_expired))
        return true;
    if (!g->model[dev->index].keeps_state)
        return false;
    h = hash_of(g, &p->pkt);
    return dune_fast_table_find(&g->table[dev->index], (uint32_t)h, (uint32_t)(h >> 32), now) != NULL;
}

static void choose_generation(struct dune_fast_device *dev, struct parcel *p, uint64_t now)
{
    unsigned older = !dev->c->stamp;

    if (still_older(dev, p, older, now)) {
        p->gen = (int)older;
        return;
    }
    p->gen = (int)dev->c->stamp;
    parse_as(dev, p, dev->c->stamp);
    if (dev->c->gen[older].held && p->pkt.reason == DUNE_REASON_OK && !dune_stamp_in_share(&p->pkt.key, dev->share)) {
        p->gen = (int)older;
        parse_as(dev, p, older);
    }
}

static void refuse(struct parcel *p, enum dune_fate fate, uint64_t *counter)
{
    p->fate = (uint8_t)fate;
    ++*counter;
}

/* Step 2; p->live where the chain's steps have to see it. */
static void admit(struct dune_fast_device *dev, struct parcel *p, struct fast_pkt *pk, const struct dune_device_in *in)
{
    const struct fast_gen *g;
    uint32_t mtu;

    if (p->has_shim)
        parse_as(dev, p, (unsigned)p->gen);
    else
        choose_generation(dev, p, in->tick);
    g = &dev->c->gen[p->gen];
    p->reason = (uint8_t)p->pkt.reason;
    if (p->pkt.reason != DUNE_REASON_OK) {
        refuse(p, DUNE_FATE_NOT_INFERABLE, &dev->count.not_inferable[p->pkt.reason]);
        return;
    }
    if (!dune_filter_match(&g->plan->filter, &p->pkt)) {
        refuse(p, DUNE_FATE_FILTERED, &dev->count.filtered);
        return;
    }
    mtu = g->plan->chain_mtu;
    if (!p->has_shim && mtu && (uint32_t)p->pkt.ip_len + DUNE_SHIM_BYTES > mtu) {
        refuse(p, DUNE_FATE_TOO_BIG, &dev->count.too_big);
        return;
    }
    if (!p->has_shim) {
        dev->count.shim_missing += in->port == DUNE_PORT_CHAIN;
        p->l2_len = p->pkt.l2_len;
        fresh_shim(dev, p, pk, in->port == DUNE_PORT_EDGE);
    }
    p->live = true;
}

/* Step 3's rules; they change between bursts only. */
static void look_up_rule(struct dune_fast_device *dev, struct parcel *p, const struct fast_pkt *pk)
{
    const uint8_t done = DUNE_SHIM_FINAL | DUNE_SHIM_SETTLED;
    struct ref_rule *rule;

    if ((pk->shim.flags & done) == done)
        return;
    rule = dune_ref_rules_find(&dev->rules[p->gen], &p->pkt.key, pk->now, &counts(dev)->rules_expired);
    if (!rule)
        return;
    rule->last_hit = DUNE_MAX(rule->last_hit, pk->now);
    p->ruled = true;
    p->rule = (struct dune_core_shim){.flags = (uint8_t)((pk->shim.flags & DUNE_SHIM_COLLISION) | rule->flags | done),
                                      .submodel = rule->submodel, .cls = rule->cls, .conf = rule->conf};
}

bool dune_fast_alone_rule(struct fast_chain *c, struct fast_pkt *pk)
{
    const struct dune_fast_device *dev = c->on_digest_ctx;
    const struct parcel *p = &dev->parcel[pk - c->pkt];

    if (p->ruled)
        pk->shim = p->rule;
    return p->ruled;
}

static void receive(struct dune_fast_device *dev, unsigned i, const struct dune_device_in *in)
{
    struct parcel *p = &dev->parcel[i];
    struct fast_pkt *pk = &dev->c->pkt[i];
    uint64_t h;

    dev->count.in++;
    pk->now = in->tick;
    pk->shim = pk->arrived = (struct dune_core_shim){0};
    pk->inferable = pk->rule_hit = pk->dropped = pk->mirrored = pk->became_final = pk->digest = false;
    pk->steer_port = pk->mirror_port = DUNE_NO_PORT;
    pk->state = FAST_PLAIN;
    pk->outcome = DUNE_SLOT_NONE;
    pk->count = 0;
    p->send = true;
    if (sees_shim(dev, p))
        p->send = in->port == DUNE_PORT_EDGE ? wrap_forged(dev, p, pk, in->port) : read_shim(dev, p, pk, in->port);
    if (p->send && !p->missing)
        admit(dev, p, pk, in);
    if (p->gen >= 0)
        pk->gen = (uint8_t)p->gen;
    if (!p->live)
        return;
    look_up_rule(dev, p, pk);
    dune_fast_fill_core(&pk->core, &p->pkt);
    h = hash_of(&dev->c->gen[p->gen], &p->pkt);
    pk->index = (uint32_t)h;
    pk->id = (uint32_t)(h >> 32);
    pk->inferable = true;
    pk->state = FAST_LIVE;
    if (dev->c->gen[p->gen].model[dev->index].keeps_state)
        fast_table_prefetch_bucket(&dev->c->gen[p->gen].table[dev->index], pk->index);
}

/* --- step 9 ------------------------------------------------------------------------------------------------- */

static void insert_shim(struct dune_fast_device *dev, struct parcel *p, const struct fast_pkt *pk)
{
    uint16_t type = dev->c->shim_ethertype;
    uint8_t *end = frame_of(dev, p) + p->l2_len, *frame;
    struct dune_shim s = {.version = DUNE_SHIM_VERSION, .flags = pk->shim.flags, .submodel = pk->shim.submodel,
                          .cls = pk->shim.cls, .conf = pk->shim.conf,
                          .generation = p->gen >= 0 ? dev->c->gen[p->gen].plan->generation : p->generation};

    s.ethertype = p->ethertype = (uint16_t)(end[-2] << 8 | end[-1]);
    p->at -= DUNE_SHIM_BYTES;
    frame = frame_of(dev, p);
    memmove(frame, frame + DUNE_SHIM_BYTES, p->l2_len - 2);
    end = frame + p->l2_len;
    end[-2] = (uint8_t)(type >> 8);
    end[-1] = (uint8_t)type;
    dune_shim_put(end, &s);
    p->cap_len += DUNE_SHIM_BYTES;
    p->wire_len += DUNE_SHIM_BYTES;
}

static void leave(struct dune_fast_device *dev, struct parcel *p, struct fast_pkt *pk, const struct dune_device_in *in,
                  struct dune_device_out *out)
{
    bool keep = in->out_port == DUNE_PORT_CHAIN || dev->c->opts.keep_shim;
    const struct fast_gen *g = p->gen >= 0 ? &dev->c->gen[p->gen] : NULL;

    if (g && p->has_shim && p->pkt.reason == DUNE_REASON_OK && dev->index + 1u == g->n_dev) {
        if (!p->live)
            dune_fast_act_last(g, counts(dev), pk), pk->inferable = true;
        dune_fast_mark(dev->c, pk, frame_of(dev, p), p->cap_len);
    }
    if (p->has_shim && keep) {
        insert_shim(dev, p, pk);
        dev->count.shim_kept++;
    } else if (p->has_shim) {
        dev->count.shim_stripped++;
    }
    dev->count.out++;
    out->data = frame_of(dev, p);
    out->cap_len = p->cap_len;
    out->wire_len = p->wire_len;
}

static void fill_trace(const struct dune_fast_device *dev, const struct parcel *p, const struct fast_pkt *pk,
                       struct dune_device_trace *t)
{
    memset(t, 0, offsetof(struct dune_device_trace, answer));
    t->tick = pk->now;
    t->device = dev->index;
    t->fate = p->live ? pk->here : p->fate;
    t->reason = p->reason;
    t->steer_port = pk->steer_port;
    t->mirror_port = pk->mirrored ? pk->mirror_port : DUNE_NO_PORT;
    t->mirrored = pk->mirrored;
    t->dropped = !p->send || pk->dropped;
    t->digest = pk->digest;
    t->became_final = pk->became_final;
    t->has_shim = p->has_shim;
    if (p->has_shim) {
        t->generation = p->gen >= 0 ? dev->c->gen[p->gen].plan->generation : p->generation;
        t->shim = (struct dune_shim){.version = DUNE_SHIM_VERSION, .flags = pk->shim.flags, .submodel = pk->shim.submodel,
                                     .cls = pk->shim.cls, .conf = pk->shim.conf, .generation = t->generation,
                                     .ethertype = p->ethertype};
    }
    if (t->fate == DUNE_FATE_INFERRED && dev->c->gen[p->gen].model[dev->index].keeps_state) {
        t->slot = pk->outcome;
        t->slot_index = pk->index & dev->c->gen[p->gen].table[dev->index].mask;
        t->way = pk->way;
        t->count = pk->count;
    }
}

/* --- bursts -------------------------------------------------------------------------------------------------- */

/* Frames lie behind each other with room for a shim in front. */
static void take_frames(struct dune_fast_device *dev, const struct dune_device_in *in, unsigned n)
{
    size_t at = 0, want = 0;

    for (unsigned i = 0; i < n; i++)
        want += in[i].cap_len + HEADROOM;
    if (want + 1 > dev->buf_cap) {
        dev->buf_cap = 2 * want + 1;
        dev->buf = dune_mem_realloc(dev->buf, dev->buf_cap, 1);
    }
    for (unsigned i = 0; i < n; i++) {
        struct parcel *p = &dev->parcel[i];

        at += HEADROOM;
        memset(p, 0, offsetof(struct parcel, pkt));
        p->pkt.reason = DUNE_REASON_SHORT_L2; /* until parsed */
        p->gen = -1;
        p->at = at;
        p->cap_len = in[i].cap_len;
        p->wire_len = in[i].wire_len;
        if (in[i].cap_len)
            memcpy(dev->buf + at, in[i].data, in[i].cap_len);
        at += in[i].cap_len;
    }
}

static void run(struct dune_fast_device *dev, const struct dune_device_in *in, unsigned from, unsigned to)
{
    struct fast_worker *w = dev->c->worker[0];

    for (unsigned i = from; i < to; i++)
        receive(dev, i, &in[i]);
    for (unsigned i = from; i < to; i++)
        if (dev->c->pkt[i].state == FAST_LIVE)
            w->live[w->n_live++] = &dev->c->pkt[i];
    if (w->n_live)
        dune_fast_device_run(dev->c, w, dev->index);
    w->n_live = 0;
}

void dune_fast_device_burst(struct dune_fast_device *dev, const struct dune_device_in *in, unsigned n,
                            struct dune_device_out *out)
{
    bool two = dev->c->gen[0].held && dev->c->gen[1].held;

    take_frames(dev, in, n);
    if (two) /* which generation a packet gets depends on the slots that those before it left */
        for (unsigned i = 0; i < n; i++)
            run(dev, in, i, i + 1);
    else
        run(dev, in, 0, n);
    for (unsigned i = 0; i < n; i++) {
        struct parcel *p = &dev->parcel[i];
        struct fast_pkt *pk = &dev->c->pkt[i];

        out[i].data = NULL;
        out[i].cap_len = out[i].wire_len = 0;
        if (p->send && !pk->dropped)
            leave(dev, p, pk, &in[i], &out[i]);
        fill_trace(dev, p, pk, &out[i].trace);
    }
}

void dune_fast_device_process(struct dune_fast_device *dev, const struct dune_device_in *in, struct dune_device_out *out)
{
    dune_fast_device_burst(dev, in, 1, out);
}

void dune_fast_device_count(struct dune_fast_device *dev, bool on)
{
    struct fast_chain *c = dev->c;

    c->counting = on;
    for (unsigned g = 0; g < 2; g++)
        if (c->gen[g].held && on != (c->gen[g].drift != NULL)) {
            dune_fast_drift_free(c->gen[g].drift);
            c->gen[g].drift = on ? dune_fast_drift_new(c->gen[g].plan, dev->index) : NULL;
        }
}

bool dune_fast_device_drift(const struct dune_fast_device *dev, uint16_t generation, struct dune_drift_counts *out)
{
    int g = position(dev, generation);

    if (g < 0 || !dev->c->gen[g].drift)
        return false;
    dune_fast_drift_add(dev->c->gen[g].drift, out);
    return true;
}

void dune_fast_device_counters(const struct dune_fast_device *dev, struct dune_counters *out)
{
    const struct fast_counts *n = counts(dev);

    *out = dev->count;
    dune_fast_put_inferred(out, n);
    out->passed_settled = n->fate[DUNE_FATE_PASSED_SETTLED];
    out->rule_hit = n->fate[DUNE_FATE_RULE_HIT];
    out->dropped_action = n->dropped_action;
}
