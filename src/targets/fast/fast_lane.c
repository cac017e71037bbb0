/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The straight way: one generation, no rules, trace, filter, digest rate or class actions. Packets are kept as columns
 * instead of struct fast_pkt; fast_stage.c has the passes. Whatever the quick parser does not take comes in
 * through fast_parse.c.
 */
#include "targets/fast/fast_bucket.h"
#include "targets/fast/fast_quick_parse.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* --- steps 1 and 2 ------------------------------------------------------------------------------------------ */

void dune_fast_lane_start(struct fast_lane *l)
{
    for (uint32_t e = 0; e < l->n; e++) {
        l->shim[e] = (struct dune_core_shim){.flags = DUNE_SHIM_SETTLED};
        l->device[e] = UINT16_MAX;
        l->hit[e] = false;
        l->on[e] = (uint8_t)e;
    }
    l->n_on = l->n;
    l->has_likely = false;
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

/* A packet's slot where its bucket has eight ways; for a new flow the first empty one, or else the first that may have
 * expired. likely: of the first stage, which will look
 * where this has looked. */
DUNE_CORE_INLINE void fetch_one(const struct fast_table *t, struct fast_lane *l, uint32_t e, struct fast_bits b, bool likely)
{
    uint32_t bucket = l->index[e] & t->mask, way;
    uint8_t *s;

    if (!(b.same | b.empty))
        b.empty = fast_bucket_look(&t->word[(size_t)bucket * 8], 0, fast_limit_of(t, l->now[e])).maybe | 1u << 7;
    way = (uint32_t)__builtin_ctz(b.same ? b.same : b.empty);
    s = fast_slot_bytes_at(t, bucket, way);

    if (likely) {
        l->likely[e] = (struct dune_core_slot *)(void *)s;
        l->likely_way[e] = (uint8_t)way;
        l->hit[e] = b.same != 0; /* an empty way's slot may be of any capture before this one */
    }
    for (uint32_t byte = 0; byte < t->slot_bytes; byte += 64)
        __builtin_prefetch(s + byte, 1);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void fetch_eight_ways_avx2(const struct fast_table *t, struct fast_lane *l, bool likely)
{
    const __m256i none = _mm256_setzero_si256();

    for (uint32_t e = 0; e < l->n; e++) {
        const uint32_t *word = &t->word[(size_t)(l->index[e] & t->mask) * 8];
        __m256i w = _mm256_loadu_si256((const __m256i *)(const void *)word);
        __m256i same = _mm256_cmpeq_epi32(_mm256_srli_epi32(w, 24), _mm256_set1_epi32((int)fast_tag_of(l->id[e])));
        struct fast_bits b = {.same = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(same)),
                              .empty = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(w, none)))};

        fetch_one(t, l, e, b, likely);
    }
}
#endif

static void fetch_eight_ways(const struct fast_table *t, struct fast_lane *l, bool likely, bool avx2)
{
#if defined(__x86_64__)
    if (avx2) {
        fetch_eight_ways_avx2(t, l, likely);
        return;
    }
#endif
    (void)avx2;
    for (uint32_t e = 0; e < l->n; e++) {
        const uint32_t *word = &t->word[(size_t)(l->index[e] & t->mask) * 8];

        fetch_one(t, l, e, fast_bucket_look(word, fast_tag_of(l->id[e]), 0), likely);
    }
}

/* Of stages that many packets reach; a settled one does not come as far as the last. */
void dune_fast_lane_fetch_slots(const struct fast_chain *c, const struct fast_worker *w, struct fast_lane *l)
{
    for (uint32_t stage = 0; stage < fast_n_stages(c); stage++) {
        const struct fast_table *t = table_of(&c->gen[c->stamp], stage);

        if (!t || (stage > 0 && w->reached[stage] <= FAST_LANE / 4))
            continue;
        if (t->ways == 8) {
            fetch_eight_ways(t, l, stage == 0, c->gen[c->stamp].hash.avx2);
            l->has_likely |= stage == 0;
            continue;
        }
        for (uint32_t e = 0; e < l->n; e++)
            dune_fast_table_prefetch_slot(t, l->index[e], l->id[e]);
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

    w->newest = 0;
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
