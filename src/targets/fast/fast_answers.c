/* SPDX-License-Identifier: Apache-2.0 */
/* Steps 6 to 8 of one packet on one device, once the forests have answered; and the digest. */
#include "targets/fast/fast_int.h"

static void make_final(struct fast_counts *n, struct fast_pkt *pk)
{
    pk->became_final = true;
    n->finals++;
    n->settled += (pk->shim.flags & DUNE_SHIM_SETTLED) != 0;
}

static void note(struct fast_chain *c, const struct fast_sub *sub, uint32_t a, enum dune_answer_kind kind,
                 bool combined)
{
    c->said[c->n_said++] = (struct dune_trace_answer){
        .submodel = sub->id, .kind = (uint8_t)kind, .claim = DUNE_CORE_ANSWER_CLAIM(a),
        .combined = combined, .cls = DUNE_CORE_ANSWER_CLS(a), .conf = DUNE_CORE_ANSWER_CONF(a),
    };
}

static inline uint32_t answer_of(const struct fast_worker *w, const struct fast_model *m, uint32_t k,
                                 enum dune_answer_kind kind, struct fast_pkt *pk, uint32_t at)
{
    dune_core_u32 *stored;

    if (kind == DUNE_ANSWER_NONE)
        return 0;
    if (kind == DUNE_ANSWER_PL)
        return w->answer[k][at];
    stored = dune_core_at32(pk->slot, m->layout.stored + 4 * k);
    if (kind == DUNE_ANSWER_FL)
        *stored = w->answer[k][at];
    return *stored;
}

/* Tokens are counted in units of 1 / DUNE_DIGEST_REPEAT, so that the refill is exact. */
static bool take_token(const struct fast_chain *c, struct fast_bucket *b, uint64_t now)
{
    uint64_t rate = c->opts.digest_rate;
    uint64_t full = (c->opts.digest_burst ? c->opts.digest_burst : rate) * DUNE_DIGEST_REPEAT;

    if (rate == 0)
        return true;
    if (!b->started)
        *b = (struct fast_bucket){.level = full, .tick = now, .started = true};
    if (now > b->tick) {
        uint64_t passed = DUNE_MIN(now - b->tick, full / rate + 1);

        b->level = DUNE_MIN(full, b->level + passed * rate);
        b->tick = now;
    }
    if (b->level < DUNE_DIGEST_REPEAT)
        return false;
    b->level -= DUNE_DIGEST_REPEAT;
    return true;
}

static void digest(struct fast_chain *c, struct fast_counts *n, uint32_t dev, const struct fast_model *m,
                   struct fast_pkt *pk)
{
    uint8_t *flags = dune_core_at(pk->slot, m->layout.flags);
    dune_core_u64 *tick = dune_core_at64(pk->slot, m->layout.digest_tick);

    if (*flags & DUNE_CORE_DIGEST_SENT && !(pk->now > *tick && pk->now - *tick >= DUNE_DIGEST_REPEAT))
        return;
    if (!take_token(c, &c->bucket[dev], pk->now)) {
        n->digests_dropped++;
        return;
    }
    *flags |= DUNE_CORE_DIGEST_SENT;
    *tick = pk->now;
    pk->digest = true;
    n->digests++;
    if (c->on_digest)
        c->on_digest(c->on_digest_ctx, pk);
    if (c->opts.rules)
        DUNE_VEC_PUSH(&c->digests, ((struct dune_digest){
            .device = (uint16_t)dev, .generation = c->gen[pk->gen].plan->generation, .tick = pk->now,
            .key = c->full[pk->gen].key, .cls = pk->shim.cls,
            .flags = pk->shim.flags & (DUNE_SHIM_TENTATIVE | DUNE_SHIM_FL),
            .submodel = pk->shim.submodel, .conf = pk->shim.conf}));
}

void dune_fast_answers(struct fast_chain *c, struct fast_worker *w, uint32_t dev, struct fast_pkt *pk,
                       uint32_t at)
{
    const uint8_t done = DUNE_SHIM_FINAL | DUNE_SHIM_SETTLED;
    const struct fast_gen *g = &c->gen[pk->gen];
    const struct fast_model *m = &g->model[dev];
    struct fast_counts *n = &w->dev[dev];

    for (uint32_t k = 0; k < m->n_sub; k++) {
        const struct fast_sub *sub = &m->sub[k];
        enum dune_answer_kind kind = fast_kind(sub, pk->count);
        bool open = !(pk->shim.flags & DUNE_SHIM_FINAL);
        uint32_t a;

        if (!open && kind != DUNE_ANSWER_FL)
            kind = DUNE_ANSWER_NONE;
        a = answer_of(w, m, k, kind, pk, at);
        if (g->drift && (kind == DUNE_ANSWER_PL || kind == DUNE_ANSWER_FL) && pk->outcome != DUNE_SLOT_COLLISION)
            g->drift->fresh[k] |= (uint64_t)1 << at;
        n->answers[kind]++;
        n->claims += DUNE_CORE_ANSWER_CLAIM(a);
        if (c->opts.trace)
            note(c, sub, a, kind, open && kind != DUNE_ANSWER_NONE);
        if (!open)
            continue;
        if (sub->mode == DUNE_MODE_PACKET || pk->count < sub->n)
            pk->shim.flags &= (uint8_t)~DUNE_SHIM_SETTLED;
        if (kind != DUNE_ANSWER_NONE &&
            dune_core_combine(&pk->shim, &g->rule, sub->id, a, kind != DUNE_ANSWER_PL))
            make_final(n, pk);
        if (sub->last && !(pk->shim.flags & DUNE_SHIM_FINAL)) {
            dune_core_finish(&pk->shim, &g->rule);
            make_final(n, pk);
        }
    }
    if (pk->became_final && pk->slot && (pk->shim.flags & done) == done)
        digest(c, n, dev, m, pk);
}
