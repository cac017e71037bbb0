/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The straight way: one generation, no rules, trace, filter, digest rate or class actions. Packets are kept as columns
 * instead of struct fast_pkt; fast_stage.c has the passes. Whatever the quick parser does not take comes in
 * through fast_parse.c.
 */
#include "targets/fast/fast_bucket.h"
#include "targets/fast/fast_quick_parse.h"

/* --- steps 1 and 2 ------------------------------------------------------------------------------------------ */

void dune_fast_lane_start(struct fast_lane *l)
{
    for (uint32_t e = 0; e < l->n; e++) {
        l->shim[e] = (struct dune_core_shim){.flags = DUNE_SHIM_SETTLED};
        l->device[e] = UINT16_MAX;
        l->on[e] = (uint8_t)e;
    }
    l->n_on = l->n;
}

void dune_fast_lane_receive(struct fast_chain *c, struct fast_worker *w, struct fast_lane *l,
                            const struct dune_chain_packet *in, struct fast_pkt *pk, uint32_t n, uint32_t first,
                            struct dune_verdict *v)
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
        l->from[m] = first + i;
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
        const struct fast_pkt *p = &pk[l->from[odd[k]] - first];

        l->hash[odd[k]] = (uint64_t)p->id << 32 | p->index;
    }
    for (uint32_t e = 0; e < l->n; e++) {
        l->index[e] = (uint32_t)l->hash[e];
        l->id[e] = (uint32_t)(l->hash[e] >> 32);
    }
    dune_fast_lane_start(l);
}

/* --- memory on its way -------------------------------------------------------------------------------------- */

/* Of a stage that keeps state; else NULL. */
static const struct fast_table *table_of(const struct fast_gen *g, uint32_t stage)
{
    return g->table[stage].slot ? &g->table[stage] : NULL;
}

/* Always inline: see fast_table_prefetch_bucket. */
DUNE_CORE_INLINE void prefetch_buckets(const struct fast_table *t, const struct fast_lane *l)
{
    for (uint32_t e = 0; e < l->n; e++)
        fast_table_prefetch_bucket(t, l->index[e]);
}

void dune_fast_lane_fetch(const struct fast_chain *c, const struct fast_lane *l)
{
    for (uint32_t stage = 0; stage < fast_n_stages(c); stage++) {
        const struct fast_table *t = table_of(&c->gen[c->stamp], stage);

        if (t)
            prefetch_buckets(t, l);
    }
}

DUNE_CORE_INLINE void prefetch_slots(const struct fast_table *t, const struct fast_lane *l)
{
    for (uint32_t e = 0; e < l->n; e++) {
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

/* Of stages that many packets reach; a settled one does not come as far as the last. */
void dune_fast_lane_fetch_slots(const struct fast_chain *c, const struct fast_worker *w, const struct fast_lane *l)
{
    for (uint32_t stage = 0; stage < fast_n_stages(c); stage++) {
        const struct fast_table *t = table_of(&c->gen[c->stamp], stage);

        if (t && (stage == 0 || w->reached[stage] > FAST_LANE / 4))
            prefetch_slots(t, l);
    }
}

/* --- all of it ---------------------------------------------------------------------------------------------- */

void dune_fast_lane_finish(struct fast_chain *c, struct fast_worker *w, struct fast_lane *l)
{
    for (uint32_t stage = 0; stage < fast_n_stages(c); stage++) {
        w->reached[stage] = l->n_on;
        if (l->n_on)
            dune_fast_stage_run(c, w, l, stage);
    }
}

void dune_fast_lane_verdicts(const struct fast_chain *c, const struct fast_lane *l, struct dune_verdict *v)
{
    const uint16_t generation = c->gen[c->stamp].plan->generation;

    for (uint32_t e = 0; e < l->n; e++) {
        struct dune_core_shim s = l->shim[e];
        uint8_t cls = s.flags & DUNE_SHIM_FINAL ? s.cls : 0;

        v[l->from[e]] = (struct dune_verdict){.cls = cls, .conf = s.conf, .submodel = s.submodel, .flags = s.flags,
                                              .reason = DUNE_REASON_OK, .fate = DUNE_FATE_INFERRED, .inferable = true,
                                              .answered = cls != 0, .device = l->device[e], .generation = generation,
                                              .steer_port = DUNE_NO_PORT};
    }
}

/* What dune_fast_frame reads. */
static void put_pkts(const struct fast_chain *c, const struct fast_lane *l, struct fast_pkt *pk)
{
    for (uint32_t e = 0; e < l->n; e++) {
        struct fast_pkt *p = &pk[l->from[e]];

        p->shim = l->shim[e];
        p->state = FAST_LIVE;
        p->gen = (uint8_t)c->stamp;
        p->inferable = true;
        p->dropped = false;
        p->fresh_at = 0;
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

            dune_fast_lane_receive(c, w, l, in + at, frames ? pk + at : pk, (uint32_t)DUNE_MIN(n - at, (size_t)FAST_LANE), 0,
                                   v + at);
            dune_fast_lane_fetch(c, l);
        }
        if (k >= 1 && k <= n_lanes)
            dune_fast_lane_fetch_slots(c, w, &w->lane[(k - 1) % FAST_LANES]);
        if (k >= 2) {
            struct fast_lane *l = &w->lane[(k - 2) % FAST_LANES];

            dune_fast_lane_finish(c, w, l);
            dune_fast_lane_verdicts(c, l, v + back);
            if (frames)
                put_pkts(c, l, pk + back);
        }
    }
}
