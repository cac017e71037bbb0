/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Steps 6 to 8: the answers of the device's sub-models, their combination, the digest. */
#ifndef DUNE_TARGETS_XDP_BPF_ANSWER_H
#define DUNE_TARGETS_XDP_BPF_ANSWER_H

#include "targets/xdp/xdp_bpf_state.h"
#include "targets/core/dune_core_combine.h"
#include "targets/core/dune_core_forest.h"

/* --- trees ------------------------------------------------------------------------------------------------- */

static __always_inline const struct dune_core_node *get_nodes(uint32_t gen)
{
    struct xdp_nodes *n = bpf_map_lookup_elem(&nodes, &gen);

    return n ? n->node : (void *)0;
}

/*
 * A leaf goes to itself, so walks may go on when they have arrived; every STEPS steps is a look whether all have, because
 * a forest's deepest leaf lies far below most others.
 */
enum { STEPS = 5 };

/* What a node compares; 0: it is a leaf. */
static __always_inline uint32_t feat_of(const struct dune_core_node *node, uint32_t at)
{
    return DUNE_CORE_NODE_FEAT(&node[DUNE_CORE_NODE_AT(at)]);
}

/* What a tree says, and that it was this leaf (dr NULL: not counted). */
static __always_inline uint32_t arrive(struct xdp_drift *dr, const struct dune_core_node *node, uint32_t at)
{
    if (dr)
        dr->n[at & (XDP_DRIFT - 1)]++;
    return node[DUNE_CORE_NODE_AT(at)].threshold;
}

/* A packet without a slot sees features that are not its flow's. */
static __always_inline bool counts_here(const struct xdp_pass *p, const struct xdp_plan *plan)
{
    return counting && p->drift_side & XDP_DRIFT_ON && plan->counted && p->outcome != XDP_SLOT_COLLISION;
}

/* Where to count the answer of this packet; NULL: nowhere. */
static __always_inline struct xdp_drift *drift_of(const struct xdp_pass *p, const struct xdp_plan *plan, uint32_t gen)
{
    return counts_here(p, plan) ? get_drift(p, gen) : (void *)0;
}

static __always_inline void walk_one(struct xdp_pass *p, const struct xdp_sub *sub, const struct dune_core_node *node,
                                     struct xdp_drift *dr)
{
    uint32_t at = DUNE_CORE_IDX(sub->root[0], DUNE_CORE_NODE_MASK);

    for (uint32_t i = 0; i < XDP_MAX_DEPTH && i < sub->depth; i += STEPS) {
#pragma unroll
        for (int k = 0; k < STEPS; k++)
            at = dune_core_step(node, at, p->x);
        if (feat_of(node, at) == 0)
            break;
    }
    p->leaf[0] = arrive(dr, node, at);
}

/* Trees t to t + 3 in step: their loads do not wait for each other. */
static __always_inline void walk_four(struct xdp_pass *p, const struct xdp_sub *sub,
                                      const struct dune_core_node *node, struct xdp_drift *dr, uint32_t t)
{
    uint32_t a = DUNE_CORE_IDX(sub->root[t], DUNE_CORE_NODE_MASK), b = DUNE_CORE_IDX(sub->root[t + 1], DUNE_CORE_NODE_MASK),
             c = DUNE_CORE_IDX(sub->root[t + 2], DUNE_CORE_NODE_MASK),
             d = DUNE_CORE_IDX(sub->root[t + 3], DUNE_CORE_NODE_MASK);

    for (uint32_t i = 0; i < XDP_MAX_DEPTH && i < sub->depth; i += STEPS) {
#pragma unroll
        for (int k = 0; k < STEPS; k++) {
            a = dune_core_step(node, a, p->x);
            b = dune_core_step(node, b, p->x);
            c = dune_core_step(node, c, p->x);
            d = dune_core_step(node, d, p->x);
        }
        if ((feat_of(node, a) | feat_of(node, b) | feat_of(node, c) | feat_of(node, d)) == 0)
            break;
    }
    p->leaf[t] = arrive(dr, node, a);
    p->leaf[t + 1] = arrive(dr, node, b);
    p->leaf[t + 2] = arrive(dr, node, c);
    p->leaf[t + 3] = arrive(dr, node, d);
}

/* Most forests have three. What they say. */
static __always_inline uint32_t walk_three(struct xdp_pass *p, const struct xdp_sub *sub, const struct dune_core_node *node,
                                           struct xdp_drift *dr)
{
    uint32_t a = DUNE_CORE_IDX(sub->root[0], DUNE_CORE_NODE_MASK), b = DUNE_CORE_IDX(sub->root[1], DUNE_CORE_NODE_MASK),
             c = DUNE_CORE_IDX(sub->root[2], DUNE_CORE_NODE_MASK);

    for (uint32_t i = 0; i < XDP_MAX_DEPTH && i < sub->depth; i += STEPS) {
#pragma unroll
        for (int k = 0; k < STEPS; k++) {
            a = dune_core_step(node, a, p->x);
            b = dune_core_step(node, b, p->x);
            c = dune_core_step(node, c, p->x);
        }
        if ((feat_of(node, a) | feat_of(node, b) | feat_of(node, c)) == 0)
            break;
    }
    return dune_core_vote_three(arrive(dr, node, a), arrive(dr, node, b), arrive(dr, node, c));
}

/* Trees t to t + 3 of sub-model k, for forests of more than four. */
__attribute__((noinline)) int walk_more(uint32_t gen, uint32_t k, uint32_t t)
{
    struct xdp_pass *p = get_pass();
    struct xdp_plan *plan = get_plan(gen);
    const struct dune_core_node *node = get_nodes(gen);

    if (p && plan && node)
        walk_four(p, &plan->sub[k & (XDP_MAX_SUBS - 1)], node, drift_of(p, plan, gen), t & (DUNE_CORE_MAX_TREES - 1));
    return 0;
}

/* What the trees say; leaves are in p->leaf, zeroes up to the next of 1, 4, 8, 64. */
__attribute__((noinline)) int vote_eight(void)
{
    struct xdp_pass *p = get_pass();

    if (!p)
        return 0;
    return (int)dune_core_vote(p->leaf, 8);
}

/* Votes for a class, and the sum of their weights << 8. */
__attribute__((noinline)) int votes_for(uint32_t shift, uint32_t only, uint32_t cls)
{
    struct xdp_pass *p = get_pass();
    uint32_t votes = 0, sum = 0;

    if (!p)
        return 0;
    shift &= 16;
    for (uint32_t t = 0; t < DUNE_CORE_MAX_TREES; t++) {
        uint32_t same = dune_core_same(dune_core_named(p->leaf[t], shift, only), cls);

        votes += same;
        sum += -same & (p->leaf[t] >> (shift + 8) & 0xff);
    }
    return (int)(votes | sum << 8);
}

/* dune_core_count_votes for as many leaves as there may be, in pieces that a verifier looks through quickly. */
static __always_inline uint32_t count_many(const struct xdp_pass *p, uint32_t shift, uint32_t only, uint32_t *conf)
{
    uint32_t best = 0, most = 0, sum = 0;

    for (uint32_t t = 0; t < DUNE_CORE_MAX_TREES; t++) {
        uint32_t cls = dune_core_named(p->leaf[t], shift, only), v;

        if (cls == 0 || cls == best)
            continue;
        v = (uint32_t)votes_for(shift, only, cls);
        if ((v & 0xff) <= most)
            continue;
        best = cls;
        most = v & 0xff;
        sum = v >> 8;
    }
    *conf = sum > 255 ? 255 : sum;
    return best;
}

__attribute__((noinline)) int vote_many(void)
{
    struct xdp_pass *p = get_pass();
    uint32_t cls, conf;

    if (!p)
        return 0;
    cls = count_many(p, 0, 0, &conf);
    if (cls != DUNE_CORE_OTHER)
        return (int)DUNE_CORE_ANSWER(cls, conf, cls != 0);
    cls = count_many(p, 16, DUNE_CORE_OTHER, &conf);
    return (int)DUNE_CORE_ANSWER(cls, conf, 0);
}

/* Leaves that no tree writes abstain. */
__attribute__((noinline)) int clear_leaves(void)
{
    struct xdp_pass *p = get_pass();

    if (p)
        __builtin_memset(p->leaf, 0, sizeof(p->leaf));
    return 0;
}

/* What the forest of sub-model k says. slot: the registers its vector has; NULL: none. */
static __always_inline uint32_t ask_forest(struct xdp_pass *p, const struct xdp_plan *plan, const struct xdp_sub *sub,
                                           uint32_t gen, uint32_t k, struct dune_core_slot *slot)
{
    const struct dune_core_node *node = get_nodes(gen);
    struct xdp_drift *dr = drift_of(p, plan, gen);

    if (!node)
        return 0;
    dune_core_take_all(p->x, &sub->takes, &p->pkt, slot);
    if (sub->n_trees == 1) {
        walk_one(p, sub, node, dr);
        return dune_core_vote(p->leaf, 1);
    }
    if (sub->n_trees <= 3)
        return walk_three(p, sub, node, dr);
    if (sub->n_trees > 8)
        clear_leaves();
    walk_four(p, sub, node, dr, 0);
    if (sub->n_trees <= 4)
        return dune_core_vote(p->leaf, 4);
    for (uint32_t t = 4; t < DUNE_CORE_MAX_TREES && t < sub->n_trees; t += 4)
        walk_more(gen, k, t);
    return (uint32_t)(sub->n_trees <= 8 ? vote_eight() : vote_many());
}

/* --- drift --------------------------------------------------------------------------------------------------- */

/* How many of the cuts of a feature lie below the value. */
static __always_inline uint32_t find_row(const struct xdp_cuts *c, uint32_t base, uint32_t n, uint32_t value)
{
    uint32_t at = 0;

    for (int i = 0; i < 16 && n; i++) {
        uint32_t half = (n + 1) / 2;
        uint64_t difference = (uint64_t)c->hi[(base + at + half - 1) & (XDP_DRIFT - 1)] - value;

        DUNE_CORE_OPAQUE(difference);
        at += half & -(uint32_t)(difference >> 63);
        n -= half;
    }
    return at;
}

/* The claim and the range rows of an answer of sub-model k; its vector is in p->x still. */
__attribute__((noinline)) int count_answer(uint32_t gen, uint32_t k, uint32_t a)
{
    struct xdp_pass *p = get_pass();
    struct xdp_plan *plan = get_plan(gen);
    struct xdp_drift *dr = p ? get_drift(p, gen) : (void *)0;
    struct xdp_cuts *c = get_cuts(gen);
    struct xdp_sub *sub;
    uint32_t cls;

    if (!p || !plan || !dr || !c)
        return 0;
    sub = &plan->sub[k & (XDP_MAX_SUBS - 1)];
    cls = DUNE_CORE_ANSWER_CLAIM(a) ? DUNE_CORE_ANSWER_CLS(a) : 0;
    dr->n[(sub->claims_at + 2 * cls) & (XDP_DRIFT - 1)]++;
    dr->n[(sub->claims_at + 2 * cls + 1) & (XDP_DRIFT - 1)] += cls ? DUNE_CORE_ANSWER_CONF(a) : 0;
    for (uint32_t j = 0; j < DUNE_CORE_X_MAX - 1 && j < sub->n_feats; j++) {
        uint32_t base = sub->row_at[j], row = find_row(c, base, sub->n_rows[j] - 1, p->x[j + 1]);

        dr->n[(base + row) & (XDP_DRIFT - 1)]++;
    }
    return 0;
}

/* --- one sub-model ------------------------------------------------------------------------------------------- */

static __always_inline uint32_t kind_of(const struct xdp_sub *sub, uint32_t count, bool open)
{
    uint32_t kind = XDP_KIND_PL;

    if (sub->mode == XDP_MODE_PACKET)
        kind = XDP_KIND_PL;
    else if (count > sub->n)
        kind = XDP_KIND_STORED;
    else if (count == sub->n)
        kind = XDP_KIND_FL;
    else if (sub->mode == XDP_MODE_FLOW)
        kind = XDP_KIND_NONE;
    return open || kind == XDP_KIND_FL ? kind : XDP_KIND_NONE;
}

static __always_inline dune_core_u32 *stored_answer(struct dune_core_slot *s, const struct xdp_plan *plan, uint32_t k)
{
    return dune_core_at32(s, plan->layout.stored + 4 * k);
}

static __always_inline void trace_answer(struct xdp_pass *p, const struct xdp_sub *sub, uint32_t k, uint32_t kind,
                                         uint32_t a, bool combined)
{
    struct xdp_trace *t = get_trace();

    if (!t)
        return;
    t->answer[k & (XDP_MAX_SUBS - 1)] = (struct xdp_trace_answer){
        .submodel = sub->id, .kind = (uint8_t)kind, .claim = DUNE_CORE_ANSWER_CLAIM(a),
        .combined = combined, .cls = DUNE_CORE_ANSWER_CLS(a), .conf = DUNE_CORE_ANSWER_CONF(a)};
    p->n_answers = k + 1;
}

static __always_inline void make_final(struct xdp_pass *p, struct xdp_counts *n)
{
    p->became_final = 1;
    n->finals++;
    n->settled += (p->shim.flags & DUNE_CORE_SETTLED) != 0;
}

/* Asks the forest of sub-model k; the answer of packet n is stored. */
__attribute__((noinline)) int ask(uint32_t gen, uint32_t k, uint32_t kind)
{
    struct xdp_pass *p = get_pass();
    struct xdp_plan *plan = get_plan(gen);
    struct xdp_counts *n = get_counts();
    struct dune_core_slot *s;
    struct xdp_sub *sub;
    uint32_t a;

    if (!p || !plan || !n)
        return 0;
    sub = &plan->sub[k & (XDP_MAX_SUBS - 1)];
    s = p->has_slot && (kind == XDP_KIND_FL || sub->mode == XDP_MODE_RUNNING) ? get_slot(gen, p->slot_at) : (void *)0;
    a = ask_forest(p, plan, sub, gen, k, s);
    if (counts_here(p, plan))
        count_answer(gen, k, a);
    if (kind == XDP_KIND_PL) {
        n->answers_pl++;
        return (int)a;
    }
    n->answers_fl++;
    s = get_slot(gen, p->slot_at);
    if (s)
        *stored_answer(s, plan, k) = a;
    return (int)a;
}

/* A number of which the verifier then knows nothing: else it follows every way on which it came about to the end. */
static __always_inline uint32_t forget(struct xdp_pass *p, uint32_t v)
{
    *(volatile uint32_t *)&p->leaf[0] = v;
    return *(volatile uint32_t *)&p->leaf[0];
}

/* The same of two or three trees, inside: a call costs as much as the vector. s: the flow's slot, or NULL. */
static __always_inline uint32_t ask_few(struct xdp_pass *p, const struct xdp_plan *plan, struct xdp_counts *n, uint32_t gen,
                                        uint32_t k, uint32_t kind, struct dune_core_slot *s)
{
    const struct xdp_sub *sub = &plan->sub[k & (XDP_MAX_SUBS - 1)];
    const struct dune_core_node *node = get_nodes(gen);
    uint32_t a;

    if (!node)
        return 0;
    dune_core_take_all(p->x, &sub->takes, &p->pkt, kind == XDP_KIND_FL || sub->mode == XDP_MODE_RUNNING ? s : (void *)0);
    a = forget(p, walk_three(p, sub, node, (void *)0));
    if (kind == XDP_KIND_PL) {
        n->answers_pl++;
        return a;
    }
    n->answers_fl++;
    if (s)
        *stored_answer(s, plan, k) = a;
    return a;
}

/* s: the flow's slot, or NULL. few: a constant, a small forest may be asked inside. */
static __always_inline void answer(struct xdp_pass *p, struct xdp_plan *plan, struct xdp_counts *n, uint32_t gen,
                                   uint32_t k, struct dune_core_slot *s, bool few)
{
    struct xdp_sub *sub = &plan->sub[k & (XDP_MAX_SUBS - 1)];
    bool open = !(p->shim.flags & DUNE_CORE_FINAL);
    uint32_t kind = kind_of(sub, p->count, open), a = 0;

    if (kind == XDP_KIND_STORED) {
        n->answers_stored++;
        a = s ? *stored_answer(s, plan, k) : 0;
    } else if (kind != XDP_KIND_NONE) {
        /* With the test clock the verifier has too much to look at. */
        if (few && !testing && sub->n_trees - 2 < 2 && !counts_here(p, plan))
            a = ask_few(p, plan, n, gen, k, forget(p, kind), s);
        else
            a = (uint32_t)ask(gen, k, kind);
    }
    n->claims += DUNE_CORE_ANSWER_CLAIM(a);
    if (testing)
        trace_answer(p, sub, k, kind, a, open && kind != XDP_KIND_NONE);
    if (!open)
        return;
    if (sub->mode == XDP_MODE_PACKET || p->count < sub->n)
        p->shim.flags &= (uint8_t)~DUNE_CORE_SETTLED;
    if (kind != XDP_KIND_NONE && dune_core_combine(&p->shim, &plan->rule, sub->id, a, kind != XDP_KIND_PL))
        make_final(p, n);
    if (sub->last && !(p->shim.flags & DUNE_CORE_FINAL)) {
        dune_core_finish(&p->shim, &plan->rule);
        make_final(p, n);
    }
}

/* The first sub-model of a device is answered without a call, which most devices then never need. */
__attribute__((noinline)) int answer_next(uint32_t gen, uint32_t k)
{
    struct xdp_pass *p = get_pass();
    struct xdp_plan *plan = get_plan(gen);
    struct xdp_counts *n = get_counts();

    if (p && plan && n)
        answer(p, plan, n, gen, k, p->has_slot ? get_slot(gen, p->slot_at) : (void *)0, false);
    return 0;
}

/* --- the digest ------------------------------------------------------------------------------------------------ */

static __always_inline bool refill_and_take(struct xdp_settings *s, uint64_t now)
{
    uint64_t passed;

    if (!s->bucket_started) {
        s->bucket_started = 1;
        s->bucket = s->digest_full;
        s->bucket_tick = now;
    }
    if (now > s->bucket_tick) {
        passed = now - s->bucket_tick;
        if (passed > s->digest_full / s->digest_rate + 1)
            passed = s->digest_full / s->digest_rate + 1;
        s->bucket += passed * s->digest_rate;
        if (s->bucket > s->digest_full)
            s->bucket = s->digest_full;
        s->bucket_tick = now;
    }
    if (s->bucket < XDP_DIGEST_REPEAT)
        return false;
    s->bucket -= XDP_DIGEST_REPEAT;
    return true;
}

/* Tokens belong to the device; whoever finds another CPU at the bucket does without one this time. */
static __always_inline bool take_token(uint64_t now)
{
    struct xdp_settings *s = get_settings();
    bool got;

    if (!s || s->digest_rate == 0)
        return true;
    if (__sync_lock_test_and_set(&s->bucket_lock, 1) != 0)
        return false;
    got = refill_and_take(s, now);
    __sync_lock_test_and_set(&s->bucket_lock, 0);
    return got;
}

static __always_inline bool emit_digest(const struct xdp_pass *p)
{
    struct xdp_digest *d = bpf_ringbuf_reserve(&digests, sizeof(*d), 0);

    if (!d)
        return false;
    __builtin_memset(d, 0, sizeof(*d));
    d->tick = p->now;
    __builtin_memcpy(d->tuple, p->key.tuple, sizeof(d->tuple));
    d->len = p->key.len;
    d->generation = p->generation;
    d->cls = p->shim.cls;
    d->flags = p->shim.flags & (DUNE_CORE_TENTATIVE | DUNE_CORE_FL);
    d->submodel = p->shim.submodel;
    d->conf = p->shim.conf;
    bpf_ringbuf_submit(d, 0);
    return true;
}

/* Once per slot, and again after a second while nobody answered. */
static __always_inline bool digest_is_due(const struct xdp_pass *p, const struct xdp_plan *plan, struct dune_core_slot *s)
{
    const uint8_t done = DUNE_CORE_FINAL | DUNE_CORE_SETTLED;
    dune_core_u64 *tick;

    if (!s || !p->became_final || (p->shim.flags & done) != done || !plan->digests)
        return false;
    tick = dune_core_at64(s, plan->layout.digest_tick);
    return !(*dune_core_at(s, plan->layout.flags) & DUNE_CORE_DIGEST_SENT) ||
           (p->now > *tick && p->now - *tick >= XDP_DIGEST_REPEAT);
}

__attribute__((noinline)) int send_digest(uint32_t gen)
{
    struct xdp_pass *p = get_pass();
    struct xdp_plan *plan = get_plan(gen);
    struct xdp_counts *n = get_counts();
    struct dune_core_slot *s;
    dune_core_u64 *tick;
    uint8_t *flags;

    if (!p || !plan || !n)
        return 0;
    s = get_slot(gen, p->slot_at);
    if (!s)
        return 0;
    flags = dune_core_at(s, plan->layout.flags);
    tick = dune_core_at64(s, plan->layout.digest_tick);
    if (!take_token(p->now)) {
        n->digests_dropped++;
        return 0;
    }
    if (!emit_digest(p)) {
        n->digests_dropped++;
        n->ring_full++;
        return 0;
    }
    *flags |= DUNE_CORE_DIGEST_SENT;
    *tick = p->now;
    p->digest = 1;
    n->digests++;
    return 0;
}

/* Steps 4 to 8 for a packet with a shim that is not known. */
static __always_inline void infer(struct xdp_pass *p, struct xdp_plan *plan, struct xdp_counts *n, uint32_t gen)
{
    struct dune_core_slot *slot = (void *)0;
    bool got = false;

    p->fate = XDP_FATE_INFERRED;
    n->inferred++;
    if (!plan->keeps_state) {
        n->stateless++;
    } else {
        hash_here(p, plan);
        got = !locked || lock(p->index);
        if (got) {
            slot = take_slot(p, plan, n, gen);
        } else {
            p->shim.flags |= DUNE_CORE_COLLISION;
            p->outcome = XDP_SLOT_COLLISION;
            n->collisions++;
            n->lock_timeouts++;
        }
    }
    if (plan->n_sub)
        answer(p, plan, n, gen, 0, slot, true);
    for (uint32_t k = 1; k < XDP_MAX_SUBS && k < plan->n_sub; k++)
        answer_next(gen, k);
    if (digest_is_due(p, plan, slot))
        send_digest(gen);
    if (tracing)
        p->serial = __sync_fetch_and_add(&event_serial, 1);
    if (locked && got)
        unlock(p->index);
}

#endif
