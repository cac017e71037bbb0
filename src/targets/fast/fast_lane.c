/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The straight way: one generation, no rules, trace, filter, digest rate or class actions. The same three passes
 * as fast_device.c on columns instead of struct fast_pkt, with everything left out that cannot
 * happen here. Whatever the quick parser does not take comes in through fast_parse.c.
 */
#include "targets/fast/fast_bucket.h"
#include "targets/fast/fast_quick_parse.h"

static const uint8_t done_bits = DUNE_SHIM_FINAL | DUNE_SHIM_SETTLED;

/* --- steps 1 and 2 ------------------------------------------------------------------------------------------ */

static void start_packets(struct fast_lane *l)
{
    for (uint32_t e = 0; e < l->n; e++) {
        l->index[e] = (uint32_t)l->hash[e];
        l->id[e] = (uint32_t)(l->hash[e] >> 32);
        l->shim[e] = (struct dune_core_shim){.flags = DUNE_SHIM_SETTLED};
        l->device[e] = UINT16_MAX;
        l->on[e] = (uint8_t)e;
    }
    l->n_on = l->n;
}

/* Packets without shim have their verdict at once. */
static void receive(struct fast_chain *c, struct fast_worker *w, struct fast_lane *l, const struct dune_chain_packet *in,
                    struct fast_pkt *pk, uint32_t n, struct dune_verdict *v)
{
    enum { AHEAD = 6 };
    const struct fast_gen *g = &c->gen[c->stamp];
    const uint32_t most = g->plan->chain_mtu ? g->plan->chain_mtu : UINT32_MAX;
    uint8_t odd[FAST_LANE];
    uint32_t m = 0, n_odd = 0, ports;

    for (uint32_t i = 0; i < n; i++) {
        if (i + AHEAD < n)
            __builtin_prefetch(in[i + AHEAD].data);
        l->now[m] = in[i].tick;
        l->from[m] = (uint8_t)i;
        if (fast_quick_parse(in[i].data, in[i].cap_len, &l->core[m], &l->addr[m], &ports) &&
            (l->core[m].w[DUNE_CORE_W_LEN] & 0xffff) + DUNE_SHIM_BYTES <= most) {
            l->rest[m] = ports | (uint64_t)(l->core[m].w[DUNE_CORE_W_PROTO] & 0xff) << 32;
            m++;
            continue;
        }
        dune_fast_receive(c, w, &in[i], &pk[i]);
        if (pk[i].state != FAST_LIVE) {
            dune_fast_verdict(c, &pk[i], &v[i]);
            continue;
        }
        l->core[m] = pk[i].core;
        l->addr[m] = l->rest[m] = 0;
        odd[n_odd++] = (uint8_t)m++;
    }
    for (l->n = m; m % 4; m++)
        l->addr[m] = l->rest[m] = 0;
    dune_fast_hash_many(&g->hash, l->addr, l->rest, l->hash, l->n);
    for (uint32_t k = 0; k < n_odd; k++) {
        const struct fast_pkt *p = &pk[l->from[odd[k]]];

        l->hash[odd[k]] = (uint64_t)p->id << 32 | p->index;
    }
    start_packets(l);
}

/* --- pass 1 ------------------------------------------------------------------------------------------------- */

/* Always inline: see fast_table_prefetch_bucket. */
DUNE_CORE_INLINE void prefetch_buckets(const struct fast_table *t, const struct fast_lane *l)
{
    for (uint32_t e = 0; e < l->n; e++)
        fast_table_prefetch_bucket(t, l->index[e]);
}

DUNE_CORE_INLINE void prefetch_slots(const struct fast_table *t, const struct fast_lane *l)
{
    for (uint32_t i = 0; i < l->n_on; i++) {
        uint32_t e = l->on[i];

        if (t->ways == 8) {
            size_t at = (size_t)(l->index[e] & t->mask) * 8;
            struct fast_bits b = fast_bucket_look(&t->word[at], fast_tag_of(l->id[e]), 0);
            uint32_t k = b.same ? b.same : b.empty | 1u << 7;
            const uint8_t *s = t->slot + (at + (uint32_t)__builtin_ctz(k)) * t->slot_bytes;

            for (uint32_t byte = 0; byte < t->slot_bytes; byte += 64)
                __builtin_prefetch(s + byte, 1);
        } else {
            dune_fast_table_prefetch_slot(t, l->index[e], l->id[e]);
        }
    }
}

static inline struct dune_core_slot *take(struct fast_table *t, const struct fast_lane *l, uint32_t e, uint64_t keep,
                                          enum dune_slot_outcome *outcome, bool *busy, size_t *word)
{
    struct dune_core_slot *s;
    uint32_t way = 0;
    size_t at = (size_t)(l->index[e] & t->mask) * t->ways;

    if (t->ways == 8) {
        struct fast_bits b = fast_bucket_look(&t->word[at], fast_tag_of(l->id[e]), 0);

        s = fast_bucket_hit(t, at, b.same, l->id[e], l->now[e], &way);
        if (s) {
            *outcome = DUNE_SLOT_HIT;
            *word = at + way;
            return s;
        }
    }
    s = dune_fast_table_take(t, l->index[e], l->id[e], l->now[e], keep, outcome, &way, busy);
    *word = at + way;
    return s;
}

static void ask_for(struct fast_worker *w, const struct fast_lane *l, const struct fast_model *m, uint32_t e)
{
    bool open = !(l->shim[e].flags & DUNE_SHIM_FINAL);

    for (uint32_t k = 0; k < m->n_sub; k++) {
        const struct fast_sub *sub = &m->sub[k];
        enum dune_answer_kind kind = fast_kind(sub, l->count[e]);
        bool regs = kind == DUNE_ANSWER_FL || sub->mode == DUNE_MODE_RUNNING;
        uint32_t i = w->n_asked[k];

        if (kind != DUNE_ANSWER_FL && !(kind == DUNE_ANSWER_PL && open))
            continue;
        dune_core_vector(w->x[k] + i * sub->forest.stride, &sub->fields, &l->core[e], regs ? l->slot[e] : NULL);
        w->asked[k][i] = (uint8_t)e;
        w->n_asked[k]++;
    }
}

/* False: the slot is in use by an earlier packet of this round. */
static bool first_pass(struct fast_worker *w, struct fast_lane *l, const struct fast_model *m, struct fast_table *t,
                       struct fast_counts *n, uint32_t e, uint64_t keep)
{
    enum dune_slot_outcome outcome = DUNE_SLOT_NONE;
    struct dune_core_slot *s = NULL;
    bool busy = false;
    size_t word;

    l->count[e] = 0;
    if (m->keeps_state) {
        s = take(t, l, e, keep, &outcome, &busy, &word);
        if (busy)
            return false;
        if (s) {
            fast_slot_update(s, m, &l->core[e], l->now[e]);
            if (t->word)
                fast_bucket_touch(t, word, s);
            l->count[e] = s->count;
        } else {
            l->shim[e].flags |= DUNE_SHIM_COLLISION;
        }
    }
    l->slot[e] = s;
    n->slot[outcome]++;
    if (l->count[e] <= m->last_asked)
        ask_for(w, l, m, e);
    return true;
}

/* --- pass 3 ------------------------------------------------------------------------------------------------- */

static inline void digest(struct fast_counts *n, const struct fast_model *m, struct dune_core_slot *s, uint64_t now)
{
    uint8_t *flags = dune_core_at(s, m->layout.flags);
    dune_core_u64 *tick = dune_core_at64(s, m->layout.digest_tick);

    if (*flags & DUNE_CORE_DIGEST_SENT && !(now > *tick && now - *tick >= DUNE_DIGEST_REPEAT))
        return;
    *flags |= DUNE_CORE_DIGEST_SENT;
    *tick = now;
    n->digests++;
}

static inline uint32_t answer_of(const struct fast_worker *w, const struct fast_lane *l, const struct fast_model *m, uint32_t k,
                                 enum dune_answer_kind kind, uint32_t e)
{
    dune_core_u32 *stored;

    if (kind == DUNE_ANSWER_NONE)
        return 0;
    if (kind == DUNE_ANSWER_PL)
        return w->answer[k][e];
    stored = dune_core_at32(l->slot[e], m->layout.stored + 4 * k);
    if (kind == DUNE_ANSWER_FL)
        *stored = w->answer[k][e];
    return *stored;
}

/* dune_fast_answers for what can happen here; n_sub is a constant where that pays. */
DUNE_CORE_INLINE void third_pass(const struct dune_core_rule *rule, struct fast_worker *w, struct fast_lane *l,
                                 const struct fast_model *m, uint32_t n_sub, uint32_t dev, uint32_t e)
{
    struct fast_counts *n = &w->dev[dev];
    struct dune_core_shim shim = l->shim[e];
    uint32_t count = l->count[e];
    bool final = false;

    for (uint32_t k = 0; k < n_sub; k++) {
        const struct fast_sub *sub = &m->sub[k];
        enum dune_answer_kind kind = fast_kind(sub, count);
        bool open = !(shim.flags & DUNE_SHIM_FINAL);
        uint32_t a;

        if (!open && kind != DUNE_ANSWER_FL)
            kind = DUNE_ANSWER_NONE;
        a = answer_of(w, l, m, k, kind, e);
        n->answers[kind]++;
        n->claims += DUNE_CORE_ANSWER_CLAIM(a);
        if (!open)
            continue;
        if (sub->mode == DUNE_MODE_PACKET || count < sub->n)
            shim.flags &= (uint8_t)~DUNE_SHIM_SETTLED;
        if (kind != DUNE_ANSWER_NONE && dune_core_combine(&shim, rule, sub->id, a, kind != DUNE_ANSWER_PL)) {
            final = true;
        } else if (sub->last) {
            dune_core_finish(&shim, rule);
            final = true;
        }
    }
    l->shim[e] = shim;
    if (!final)
        return;
    l->device[e] = (uint16_t)dev;
    n->finals++;
    if (shim.flags & DUNE_SHIM_SETTLED) {
        n->settled++;
        if (l->slot[e])
            digest(n, m, l->slot[e], l->now[e]);
    }
}

/* A settled verdict passes all devices behind this one, which is said at once. */
static void drop_settled(struct fast_chain *c, struct fast_worker *w, struct fast_lane *l, uint32_t dev)
{
    uint32_t n = 0;

    if (dev + 1 == c->n_dev)
        return;
    for (uint32_t i = 0; i < l->n_on; i++)
        if ((l->shim[l->on[i]].flags & done_bits) != done_bits)
            l->on[n++] = l->on[i];
    w->dev[dev].settled_here += l->n_on - n;
    l->n_on = n;
}

static void run_device(struct fast_chain *c, struct fast_worker *w, struct fast_lane *l, uint32_t dev)
{
    struct fast_gen *g = &c->gen[c->stamp];
    const struct fast_model *m = &g->model[dev];
    struct fast_table *t = &g->table[dev];
    uint64_t oldest = UINT64_MAX;
    uint32_t from = 0;

    for (uint32_t i = 0; i < l->n_on; i++)
        oldest = DUNE_MIN(oldest, l->now[l->on[i]]);
    while (from < l->n_on) {
        uint32_t to = from;

        /* The first packet of a round finds no slot in use. */
        while (to < l->n_on && first_pass(w, l, m, t, &w->dev[dev], l->on[to], to == from ? UINT64_MAX : oldest))
            to++;
        dune_fast_ask_forests(w, m);
        if (m->n_sub == 1)
            for (uint32_t i = from; i < to; i++)
                third_pass(&g->rule, w, l, m, 1, dev, l->on[i]);
        else
            for (uint32_t i = from; i < to; i++)
                third_pass(&g->rule, w, l, m, m->n_sub, dev, l->on[i]);
        from = to;
    }
    drop_settled(c, w, l, dev);
}

/* --- all of it ---------------------------------------------------------------------------------------------- */

static inline void put_verdict(const struct fast_lane *l, uint32_t e, uint16_t generation, struct dune_verdict *v)
{
    struct dune_core_shim s = l->shim[e];
    uint8_t cls = s.flags & DUNE_SHIM_FINAL ? s.cls : 0;

    *v = (struct dune_verdict){.cls = cls, .conf = s.conf, .submodel = s.submodel, .flags = s.flags,
                               .reason = DUNE_REASON_OK, .fate = DUNE_FATE_INFERRED, .inferable = true,
                               .answered = cls != 0, .device = l->device[e], .generation = generation,
                               .steer_port = DUNE_NO_PORT};
}

/* What dune_fast_frame reads. */
static void put_pkt(const struct fast_chain *c, const struct fast_lane *l, uint32_t e, struct fast_pkt *pk)
{
    pk->shim = l->shim[e];
    pk->state = FAST_LIVE;
    pk->gen = (uint8_t)c->stamp;
    pk->inferable = true;
    pk->dropped = false;
    pk->fresh_at = 0;
}

DUNE_CORE_INLINE void prefetch_all_buckets(const struct fast_chain *c, const struct fast_lane *l)
{
    const struct fast_gen *g = &c->gen[c->stamp];

    for (uint32_t dev = 0; dev < c->n_dev; dev++)
        if (g->model[dev].keeps_state)
            prefetch_buckets(&g->table[dev], l);
}

/* Of devices that many packets reach; a settled one does not come as far as the last. */
DUNE_CORE_INLINE void prefetch_all_slots(const struct fast_chain *c, const struct fast_worker *w, const struct fast_lane *l)
{
    const struct fast_gen *g = &c->gen[c->stamp];

    for (uint32_t dev = 0; dev < c->n_dev; dev++)
        if (g->model[dev].keeps_state && (dev == 0 || w->reached[dev] > FAST_LANE / 4))
            prefetch_slots(&g->table[dev], l);
}

static void finish(struct fast_chain *c, struct fast_worker *w, struct fast_lane *l, struct dune_verdict *v,
                   struct fast_pkt *frames)
{
    uint16_t generation = c->gen[c->stamp].plan->generation;

    for (uint32_t dev = 0; dev < c->n_dev; dev++) {
        w->reached[dev] = l->n_on;
        if (l->n_on)
            run_device(c, w, l, dev);
    }
    for (uint32_t e = 0; e < l->n; e++) {
        put_verdict(l, e, generation, &v[l->from[e]]);
        if (frames)
            put_pkt(c, l, e, &frames[l->from[e]]);
    }
}

/*
 * Three lanes are under way, so that memory has time: while one looks at its slots, those of the next are
 * on their way, and so are the bucket words of the one behind.
 */
void dune_fast_lane_run(struct fast_chain *c, struct fast_worker *w, const struct dune_chain_packet *in,
                        struct fast_pkt *pk, size_t n, struct dune_verdict *v, bool frames)
{
    size_t n_lanes = (n + FAST_LANE - 1) / FAST_LANE;

    for (size_t k = 0; k < n_lanes + 2; k++) {
        size_t at = k * FAST_LANE, back = (k - 2) * FAST_LANE;

        if (k < n_lanes) {
            struct fast_lane *l = &w->lane[k % FAST_LANES];

            receive(c, w, l, in + at, frames ? pk + at : pk, (uint32_t)DUNE_MIN(n - at, (size_t)FAST_LANE), v + at);
            prefetch_all_buckets(c, l);
        }
        if (k >= 1 && k <= n_lanes)
            prefetch_all_slots(c, w, &w->lane[(k - 1) % FAST_LANES]);
        if (k >= 2)
            finish(c, w, &w->lane[(k - 2) % FAST_LANES], v + back, frames ? pk + back : NULL);
    }
}
