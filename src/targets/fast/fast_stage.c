/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One stage of the straight way: the three passes of fast_device.c on columns, with everything left out that
 * cannot happen there. A stage is one device, or the whole chain where that is fused (fast_fuse.c).
 */
#include "targets/fast/fast_bucket.h"

static const uint8_t done_bits = DUNE_SHIM_FINAL | DUNE_SHIM_SETTLED;

/* --- pass 1 ------------------------------------------------------------------------------------------------- */

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

/* False: the slot is in use by an earlier packet of this round. */
DUNE_CORE_INLINE bool first_pass(struct fast_worker *w, struct fast_lane *l, const struct fast_model *m,
                                 struct fast_table *t, struct fast_stage_counts *n, uint32_t e, uint64_t keep)
{
    enum dune_slot_outcome outcome = DUNE_SLOT_NONE;
    struct dune_core_slot *s = NULL;
    bool busy = false;
    uint32_t count = 0;
    size_t word;

    if (m->keeps_state) {
        s = take(t, l, e, keep, &outcome, &busy, &word);
        if (busy)
            return false;
        if (s) {
            fast_slot_update(s, m, &l->core[e], l->now[e]);
            if (t->word)
                fast_bucket_touch(t, word, s);
            count = s->count;
            if (dune_core_is_half_open(s, &m->layout) && !(l->shim[e].flags & DUNE_SHIM_FINAL))
                l->shim[e].flags &= (uint8_t)~DUNE_SHIM_SETTLED;
        } else {
            l->shim[e].flags |= DUNE_SHIM_COLLISION;
        }
    }
    l->count[e] = count;
    l->slot[e] = s;
    n->slot[outcome]++;
    if (count <= m->last_asked)
        fast_ask_for(w, m, &l->core[e], s, count, !(l->shim[e].flags & DUNE_SHIM_FINAL), e);
    return true;
}

/* --- pass 3 ------------------------------------------------------------------------------------------------- */

static inline void digest(struct fast_stage_counts *n, const struct fast_model *m, struct dune_core_slot *s, uint64_t now)
{
    uint8_t *flags = dune_core_at(s, m->layout.flags);
    dune_core_u64 *tick = dune_core_at64(s, m->layout.digest_tick);

    if (*flags & DUNE_CORE_DIGEST_SENT && !(now > *tick && now - *tick >= DUNE_DIGEST_REPEAT))
        return;
    *flags |= DUNE_CORE_DIGEST_SENT;
    *tick = now;
    n->digests++;
}

static inline uint32_t answer_of(const struct fast_worker *w, struct dune_core_slot *s, const struct fast_model *m,
                                 uint32_t k, enum dune_answer_kind kind, uint32_t e)
{
    dune_core_u32 *stored;

    if (kind == DUNE_ANSWER_NONE)
        return 0;
    if (kind == DUNE_ANSWER_PL)
        return w->answer[k][e];
    stored = dune_core_at32(s, m->layout.stored + 4 * k);
    if (kind == DUNE_ANSWER_FL)
        *stored = w->answer[k][e];
    return *stored;
}

static inline void made_final(struct fast_stage_counts *n, const struct fast_stage *st, struct fast_lane *l, uint32_t e)
{
    l->device[e] = st->dev;
    n->finals++;
    if (l->shim[e].flags & DUNE_SHIM_SETTLED) {
        n->settled++;
        if (l->slot[e])
            digest(n, st->m, l->slot[e], l->now[e]);
    }
}

/* The verdict that the slot keeps; false: not yet. */
static inline bool use_ready(const struct fast_stage *st, struct fast_stage_counts *n, struct fast_lane *l, uint32_t e)
{
    struct dune_core_shim *kept = (struct dune_core_shim *)(void *)dune_core_at(l->slot[e], st->m->ready);

    if (!(kept->flags & DUNE_SHIM_FINAL))
        return false;
    l->shim[e] = *kept;
    n->ready[*dune_core_at(l->slot[e], st->m->ready + 4u)]++;
    made_final(n, st, l, e);
    return true;
}

static inline void keep_ready(const struct fast_stage *st, const struct fast_lane *l, uint32_t e, uint32_t claims)
{
    *(struct dune_core_shim *)(void *)dune_core_at(l->slot[e], st->m->ready) = l->shim[e];
    *dune_core_at(l->slot[e], st->m->ready + 4u) = (uint8_t)claims;
}

/* An answer as a number: the one that outranks the other (dune_core_outranks) is larger; 0: none. */
static inline uint32_t rank_of(uint32_t a, uint32_t id)
{
    return DUNE_CORE_ANSWER_CLS(a) ? DUNE_CORE_ANSWER_CLAIM(a) << 24 | DUNE_CORE_ANSWER_CONF(a) << 16 | (255 - id) << 8 |
                                         DUNE_CORE_ANSWER_CLS(a) : 0;
}

/* dune_core_combine and dune_core_finish where all answers are there; the carried one is found without branches, since
 * nobody could foresee them. */
static inline struct dune_core_shim best_of(const struct dune_core_rule *rule, struct dune_core_shim shim, uint32_t rank,
                                            bool flow_level)
{
    bool tentative = rank && !(rank >> 24), fails;

    shim.cls = (uint8_t)rank;
    shim.conf = (uint8_t)(rank >> 16);
    shim.submodel = rank ? (uint8_t)~(rank >> 8) : 0;
    fails = (shim.conf < rule->min_conf[shim.cls]) | (tentative & !rule->tentative_ends);
    shim.cls = fails ? 0 : shim.cls;
    shim.flags |= (uint8_t)(DUNE_SHIM_FINAL | ((tentative & !fails) ? DUNE_SHIM_TENTATIVE : 0) |
                            (rank && flow_level ? DUNE_SHIM_FL : 0));
    return shim;
}

/* A packet that has asked all sub-models of the chain, none of which can end it early. */
DUNE_CORE_INLINE void third_pass_fresh(const struct dune_core_rule *rule, struct fast_worker *w, struct fast_lane *l,
                                       const struct fast_stage *st, struct fast_stage_counts *n, uint32_t n_sub, uint32_t e)
{
    const struct fast_model *m = st->m;
    bool flow_level = l->count[e] == m->last_asked;
    struct dune_core_shim shim = l->shim[e];
    uint32_t best = 0, claims = 0;

    for (uint32_t k = 0; k < n_sub; k++) {
        uint32_t a = w->answer[k][e];

        best = DUNE_MAX(best, rank_of(a, m->sub[k].id));
        n->claims[k] += DUNE_CORE_ANSWER_CLAIM(a);
        claims |= DUNE_CORE_ANSWER_CLAIM(a) << (k & 31);
        n->answers[k][flow_level ? DUNE_ANSWER_FL : DUNE_ANSWER_PL]++;
    }
    shim.flags &= (uint8_t)~(flow_level ? 0 : DUNE_SHIM_SETTLED);
    l->shim[e] = best_of(rule, shim, best, flow_level);
    if (flow_level) {
        for (uint32_t k = 0; k < n_sub; k++)
            *dune_core_at32(l->slot[e], m->layout.stored + 4 * k) = w->answer[k][e];
        if (m->ready)
            keep_ready(st, l, e, claims);
    }
    made_final(n, st, l, e);
}

/* dune_fast_answers for what can happen here; n_sub is a constant where that pays. */
DUNE_CORE_INLINE void third_pass(const struct dune_core_rule *rule, struct fast_worker *w, struct fast_lane *l,
                                 const struct fast_stage *st, struct fast_stage_counts *n, uint32_t n_sub, uint32_t e)
{
    const struct fast_model *m = st->m;
    struct dune_core_shim shim = l->shim[e];
    uint32_t count = l->count[e], claims = 0;
    bool final = false;

    if (m->ready && count > m->last_asked && use_ready(st, n, l, e))
        return;
    if (m->all_fresh && count <= m->last_asked) {
        third_pass_fresh(rule, w, l, st, n, n_sub, e);
        return;
    }
    for (uint32_t k = 0; k < n_sub; k++) {
        const struct fast_sub *sub = &m->sub[k];
        enum dune_answer_kind kind = fast_kind(sub, count);
        bool open = !(shim.flags & DUNE_SHIM_FINAL);
        uint32_t a;

        if (!open && kind != DUNE_ANSWER_FL)
            kind = DUNE_ANSWER_NONE;
        a = answer_of(w, l->slot[e], m, k, kind, e);
        n->answers[k][kind]++;
        n->claims[k] += DUNE_CORE_ANSWER_CLAIM(a);
        claims |= DUNE_CORE_ANSWER_CLAIM(a) << (k & 31);
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
    if (m->ready && count >= m->last_asked)
        keep_ready(st, l, e, claims);
    if (final)
        made_final(n, st, l, e);
}

/* A settled verdict passes all devices behind this one, which is said at once. */
static void drop_settled(struct fast_chain *c, struct fast_worker *w, struct fast_lane *l, uint32_t dev)
{
    uint32_t n = 0;

    if (dev + 1 >= c->n_dev)
        return;
    for (uint32_t i = 0; i < l->n_on; i++)
        if ((l->shim[l->on[i]].flags & done_bits) != done_bits)
            l->on[n++] = l->on[i];
    w->dev[dev].settled_here += l->n_on - n;
    l->n_on = n;
}

/* --- rounds ------------------------------------------------------------------------------------------------- */

static struct fast_stage stage_of(struct fast_chain *c, uint32_t stage)
{
    struct fast_gen *g = &c->gen[c->stamp];
    const struct dune_plan *p = g->plan;

    if (!g->fused)
        return (struct fast_stage){&g->model[stage], &g->table[stage], (uint16_t)stage};
    return (struct fast_stage){&g->whole, &g->table[0],
                               p->n_submodels ? p->sub[p->n_submodels - 1].device : (uint16_t)(c->n_dev - 1)};
}

void dune_fast_stage_run(struct fast_chain *c, struct fast_worker *w, struct fast_lane *l, uint32_t stage)
{
    const struct fast_stage st = stage_of(c, stage);
    const struct dune_core_rule *rule = &c->gen[c->stamp].rule;
    struct fast_stage_counts *n = &w->stage[stage];
    const struct fast_model *m = st.m;
    uint64_t oldest = UINT64_MAX;
    uint32_t from = 0;

    for (uint32_t i = 0; i < l->n_on; i++)
        oldest = DUNE_MIN(oldest, l->now[l->on[i]]);
    while (from < l->n_on) {
        uint32_t to = from;

        /* The first packet of a round finds no slot in use. */
        while (to < l->n_on && first_pass(w, l, m, st.t, n, l->on[to], to == from ? UINT64_MAX : oldest))
            to++;
        dune_fast_ask_forests(w, m);
        if (m->n_sub == 1)
            for (uint32_t i = from; i < to; i++)
                third_pass(rule, w, l, &st, n, 1, l->on[i]);
        else
            for (uint32_t i = from; i < to; i++)
                third_pass(rule, w, l, &st, n, m->n_sub, l->on[i]);
        from = to;
    }
    drop_settled(c, w, l, st.dev);
}
