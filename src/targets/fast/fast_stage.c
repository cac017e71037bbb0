/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One stage of the straight way: the three passes of fast_device.c on columns, with everything left out that
 * cannot happen there. A stage is one device, or the whole chain where that is fused (fast_fuse.c).
 */
#include "targets/fast/fast_bucket.h"

#include <string.h>

static const uint8_t done_bits = DUNE_SHIM_FINAL | DUNE_SHIM_SETTLED;

/* --- pass 1 ------------------------------------------------------------------------------------------------- */

/*
 * Where a flow was when its memory was fetched, it still is, unless it expired since; then it may be elsewhere, and live here
 * again only where time runs backwards, or another flow is here, which its id tells (find_slot). All looks together, so
 * that one does not wait for another's memory.
 */
static void look_at_likely(const struct fast_table *t, struct fast_lane *l, uint32_t from)
{
    for (uint32_t i = from; i < l->n_on; i++) {
        uint32_t e = l->on[i];
        struct dune_core_slot *s = l->likely[e];

        l->hit[e] = l->hit[e] & (s->id == l->id[e]) & !dune_core_expired(l->now[e], s->last, t->timeout);
    }
}

static inline struct dune_core_slot *take(struct fast_table *t, const struct fast_lane *l, uint32_t e, uint64_t keep,
                                          enum dune_slot_outcome *outcome, bool *busy, size_t *word)
{
    const uint32_t bucket = l->index[e] & t->mask, id = l->id[e];
    const uint64_t now = l->now[e];
    struct dune_core_slot *s;
    uint32_t way = 0;

    if (t->ways == 8) {
        struct fast_bits b;

        dune_fast_table_start(t, now);
        b = fast_bucket_look(&t->word[(size_t)bucket * 8], fast_tag_of(id), fast_limit_of(t, now));
        *outcome = DUNE_SLOT_HIT;
        s = fast_bucket_hit(t, bucket, b.same, id, now, &way);
        if (!s)
            s = dune_fast_table_take_free(t, bucket, t->syn_timeout ? 255 : b.empty | b.maybe, id, now, keep, outcome, &way, busy);
    } else {
        s = dune_fast_table_take(t, l->index[e], id, now, keep, outcome, &way, busy);
    }
    *word = (size_t)bucket * t->ways + way;
    return s;
}

/* The slot, last and count. False: the slot is in use by an earlier packet of this round. */
DUNE_CORE_INLINE bool find_slot(struct fast_lane *l, struct fast_table *t, struct fast_stage_counts *n, uint32_t e,
                                uint64_t newest, uint64_t keep)
{
    enum dune_slot_outcome outcome = DUNE_SLOT_HIT;
    struct dune_core_slot *s = l->likely[e];
    bool busy = false;
    size_t word = (size_t)(l->index[e] & t->mask) * t->ways + l->likely_way[e];

    if (!(l->hit[e] && s->id == l->id[e] && l->now[e] >= newest))
        s = take(t, l, e, keep, &outcome, &busy, &word);
    if (busy)
        return false;
    l->slot[e] = s;
    l->count[e] = 0;
    if (s) {
        l->before[e] = fast_slot_touch(s, l->now[e]);
        l->count[e] = s->count;
        if (t->word)
            fast_bucket_touch(t, word, s, l->before[e]);
    }
    n->slot[outcome]++;
    return true;
}

/* Of a round that begins at packet `from`; returns where it ends. */
static uint32_t find_slots(struct fast_worker *w, struct fast_lane *l, struct fast_table *t, struct fast_stage_counts *n,
                           uint32_t from)
{
    uint64_t oldest = UINT64_MAX, newest = w->newest;
    uint32_t i;

    for (i = from; i < l->n_on; i++)
        oldest = DUNE_MIN(oldest, l->now[l->on[i]]);
    if (l->has_likely)
        look_at_likely(t, l, from);
    /* The first packet of a round finds no slot in use. */
    for (i = from; i < l->n_on; i++) {
        uint64_t now = l->now[l->on[i]];

        /* Whether a slot is half open is not known before the registers are written. */
        if (i > from && t->syn_timeout && now - oldest > t->syn_timeout)
            break;
        if (!find_slot(l, t, n, l->on[i], newest, i == from ? UINT64_MAX : oldest))
            break;
        newest = DUNE_MAX(newest, now);
    }
    w->newest = newest;
    return i;
}

static void no_slots(struct fast_lane *l, struct fast_stage_counts *n)
{
    for (uint32_t i = 0; i < l->n_on; i++) {
        l->slot[l->on[i]] = NULL;
        l->count[l->on[i]] = 0;
    }
    n->slot[DUNE_SLOT_NONE] += l->n_on;
}

/* Which of the round ask a forest: without branches, since nobody could foresee them. A flow's young packets come before its old
 * ones, so that all of the former may be done first. */
static void split_by_age(struct fast_lane *l, uint32_t from, uint32_t to, uint32_t last_asked)
{
    l->n_young = l->n_old = 0;
    for (uint32_t i = from; i < to; i++) {
        uint8_t e = l->on[i];
        bool young = l->count[e] <= last_asked;

        l->young[l->n_young] = l->old[l->n_old] = e;
        l->n_young += young;
        l->n_old += !young;
    }
}

static inline void write_registers(struct fast_lane *l, const struct fast_model *m, uint32_t e)
{
    struct dune_core_slot *s = l->slot[e];

    if (s) {
        fast_slot_registers(s, m, &l->core[e], l->now[e], l->before[e], l->count[e]);
        if (dune_core_is_half_open(s, &m->layout) && !(l->shim[e].flags & DUNE_SHIM_FINAL))
            l->shim[e].flags &= (uint8_t)~DUNE_SHIM_SETTLED;
    } else if (m->keeps_state) {
        l->shim[e].flags |= DUNE_SHIM_COLLISION;
    }
}

static void update(struct fast_worker *w, struct fast_lane *l, const struct fast_model *m)
{
    for (uint32_t i = 0; i < l->n_young; i++) {
        uint32_t e = l->young[i];

        write_registers(l, m, e);
        if (m->all_fresh) { /* fast_ask_for with nothing to decide, which is worth 4 % where all packets ask */
            dune_fast_vector(w->x[0].x + i * m->sub[0].fields.stride, &m->sub[0].fields, &l->core[e], l->slot[e], l->count[e]);
            w->asked[0][i] = (uint8_t)e;
            w->n_asked[0] = i + 1;
            continue;
        }
        fast_ask_for(w, m, &l->core[e], l->slot[e], l->count[e], !(l->shim[e].flags & DUNE_SHIM_FINAL), e);
    }
    if (m->last_read > m->last_asked)
        for (uint32_t i = 0; i < l->n_old; i++)
            write_registers(l, m, l->old[i]);
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

/* The verdict that the slot keeps, which is settled; false: not yet. */
static inline bool use_ready(const struct fast_stage *st, struct fast_stage_counts *n, struct fast_lane *l, uint32_t e)
{
    struct dune_core_shim *kept = (struct dune_core_shim *)(void *)dune_core_at(l->slot[e], st->m->ready);

    if (!(kept->flags & DUNE_SHIM_FINAL))
        return false;
    l->shim[e] = *kept;
    l->device[e] = st->dev;
    n->ready[*dune_core_at(l->slot[e], st->m->ready + 4u)]++;
    digest(n, st->m, l->slot[e], l->now[e]);
    return true;
}

/* That of a half-open flow is not settled, and becomes so without a word of its sub-models. */
static inline void keep_ready(const struct fast_stage *st, const struct fast_lane *l, uint32_t e, uint32_t claims)
{
    if (!(l->shim[e].flags & DUNE_SHIM_SETTLED))
        return;
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

DUNE_CORE_INLINE void third_passes(const struct dune_core_rule *rule, struct fast_worker *w, struct fast_lane *l,
                                   const struct fast_stage *st, struct fast_stage_counts *n, uint32_t n_sub)
{
    const struct fast_model *m = st->m;
    uint32_t n_ready = 0;

    if (m->all_fresh)
        for (uint32_t i = 0; i < l->n_young; i++)
            third_pass_fresh(rule, w, l, st, n, n_sub, l->young[i]);
    else
        for (uint32_t i = 0; i < l->n_young; i++)
            third_pass(rule, w, l, st, n, n_sub, l->young[i]);
    for (uint32_t i = 0; i < l->n_old; i++)
        if (m->ready && use_ready(st, n, l, l->old[i]))
            n_ready++;
        else
            third_pass(rule, w, l, st, n, n_sub, l->old[i]);
    n->finals += n_ready;
    n->settled += n_ready;
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
    uint32_t from = 0;

    if (stage > 0 && l->has_likely) {
        memset(l->hit, 0, sizeof(l->hit));
        l->has_likely = false;
    }
    if (!m->keeps_state)
        no_slots(l, n);
    while (from < l->n_on) {
        uint32_t to = m->keeps_state ? find_slots(w, l, st.t, n, from) : l->n_on;

        split_by_age(l, from, to, m->last_asked);
        update(w, l, m);
        dune_fast_ask_forests(w, m);
        if (m->n_sub == 1)
            third_passes(rule, w, l, &st, n, 1);
        else
            third_passes(rule, w, l, &st, n, m->n_sub);
        from = to;
    }
    drop_settled(c, w, l, st.dev);
}
