/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Steps 3 to 5: known-flow rules, the lock of a bucket, the slot and its registers. */
#ifndef DUNE_TARGETS_XDP_BPF_STATE_H
#define DUNE_TARGETS_XDP_BPF_STATE_H

#include "targets/xdp/xdp_bpf_hash.h"
/* after what xdp_bpf.h says about registers */
#include "targets/core/dune_core_flow.h"

/* --- known-flow rules ------------------------------------------------------------------------------------ */

/* A rule that has expired is dead for good, even if time runs backwards later. */
static __always_inline bool rule_dies(struct xdp_rule *r, uint64_t now, uint64_t timeout)
{
    if (!r->live || !dune_core_expired(now, r->last_hit, timeout))
        return false;
    r->live = 0;
    return true;
}

static __always_inline void take_rule(struct xdp_pass *p, struct xdp_rule *r)
{
    if (p->now > r->last_hit)
        r->last_hit = p->now;
    p->shim.cls = r->cls;
    p->shim.submodel = r->submodel;
    p->shim.conf = r->conf;
    p->shim.flags = (uint8_t)((p->shim.flags & DUNE_CORE_COLLISION) | r->flags | DUNE_CORE_FINAL |
                              DUNE_CORE_SETTLED);
}

/* Does a rule of the flow at position gen hit? use: it writes the verdict. */
__attribute__((noinline)) int find_rule(uint32_t gen, uint32_t use)
{
    struct xdp_pass *p = get_pass();
    struct xdp_counts *n = get_counts();
    struct xdp_plan *plan = get_plan(gen);
    struct xdp_flow_rules *f;
    uint32_t live = 0, hit = 0;

    if (!p || !n || !plan)
        return 0;
    p->key.gen = gen;
    f = bpf_map_lookup_elem(&rules, &p->key);
    if (!f)
        return 0;
    for (int i = 0; i < XDP_RULES_PER_FLOW; i++) {
        struct xdp_rule *r = &f->rule[i];

        if (hit)
            break;
        if (rule_dies(r, p->now, plan->timeout))
            n->rules_expired++;
        live |= r->live;
        hit = r->live && p->now >= r->from;
        if (hit && use)
            take_rule(p, r);
    }
    for (int i = 0; i < XDP_RULES_PER_FLOW; i++)
        live |= f->rule[i].live;
    if (!live)
        bpf_map_delete_elem(&rules, &p->key);
    return (int)hit;
}

/* --- the lock of a bucket ---------------------------------------------------------------------------------- */
/*
 * The verifier allows no function calls under a bpf_spin_lock, and a sub-model is a function; so this is a lock
 * of our own: a word, taken by exchange, given back by a store. Programs run to their end on their CPU, so
 * it is held for the time of one packet. Who cannot get it gives up and answers as in a collision.
 */
enum { LOCK_TRIES = 1 << 20 };

static __always_inline uint64_t *lock_word(uint32_t at)
{
    uint32_t zero = 0;
    struct xdp_locks *l = bpf_map_lookup_elem(&locks, &zero);

    return l ? &l->word[(at & (XDP_LOCKS - 1)) * 8] : (void *)0;
}

struct spin {
    uint32_t at, got;
};

static long spin_once(uint32_t i, void *ctx)
{
    struct spin *s = ctx;
    uint64_t *w = lock_word(s->at);

    (void)i;
    if (!w)
        return 1;
    if (*(volatile uint64_t *)w != 0 || __sync_lock_test_and_set(w, 1) != 0)
        return 0;
    s->got = 1;
    return 1;
}

static __always_inline bool lock(uint32_t at)
{
    struct spin s = {at, 0};
    uint64_t *w = lock_word(at);

    if (!w)
        return false;
    if (__sync_lock_test_and_set(w, 1) == 0)
        return true;
    bpf_loop(LOCK_TRIES, spin_once, &s, 0);
    return s.got;
}

static __always_inline void unlock(uint32_t at)
{
    uint64_t *w = lock_word(at);

    if (!w)
        return;
    if (ordered) {
        asm volatile("" ::: "memory");
        *(volatile uint64_t *)w = 0;
    } else {
        __sync_lock_test_and_set(w, 0);
    }
}

/* --- slots --------------------------------------------------------------------------------------------------- */

/* Where a live slot of the flow is: offset + 1, or 0. */
static __always_inline uint32_t live_slot(const struct xdp_pass *p, const struct xdp_plan *plan, uint32_t gen,
                                          uint32_t *way)
{
    uint32_t at = p->index * plan->bucket_bytes;

    for (uint32_t w = 0; w < 8 && w < plan->ways; w++) {
        struct dune_core_slot *s = get_slot(gen, at);

        if (!s)
            return 0;
        if (s->id == p->id && !dune_core_expired(p->now, s->last, plan->timeout)) {
            *way = w;
            return at + 1;
        }
        at += plan->slot_bytes;
    }
    return 0;
}

/* May another flow take it? Only SYN without ACK was seen of a half-open one. */
static __always_inline bool may_be_taken(struct dune_core_slot *s, const struct xdp_plan *plan, uint64_t now)
{
    if (dune_core_expired(now, s->last, plan->timeout))
        return true;
    return plan->syn_timeout && dune_core_is_half_open(s, &plan->layout) &&
           dune_core_expired(now, s->last, plan->syn_timeout);
}

/* The first way that is empty or may be taken. */
static __always_inline uint32_t free_slot(struct xdp_pass *p, const struct xdp_plan *plan, uint32_t gen)
{
    uint32_t at = p->index * plan->bucket_bytes;

    for (uint32_t w = 0; w < 8 && w < plan->ways; w++) {
        struct dune_core_slot *s = get_slot(gen, at);

        if (!s)
            return 0;
        if (s->id == 0 || may_be_taken(s, plan, p->now)) {
            p->way = (uint8_t)w;
            p->outcome = s->id == 0 ? XDP_SLOT_NEW : XDP_SLOT_EXPIRED;
            return at + 1;
        }
        at += plan->slot_bytes;
    }
    return 0;
}

static __always_inline void reset_slot(const struct xdp_pass *p, const struct xdp_plan *plan, uint32_t at)
{
    uint64_t *word = (uint64_t *)(void *)get_slot(p->key.gen, at);

    if (!word)
        return;
    for (uint32_t i = 0; i < DUNE_CORE_SLOT_MAX / 8 && i < plan->slot_bytes / 8; i++)
        word[i] = 0;
    ((struct dune_core_slot *)(void *)word)->id = p->id;
}

/* Does a live slot of the parsed packet exist at position gen? Changes nothing. */
__attribute__((noinline)) int has_live_slot(uint32_t gen)
{
    struct xdp_pass *p = get_pass();
    struct xdp_plan *plan = get_plan(gen);
    uint32_t way;

    if (!p || !plan || !plan->keeps_state)
        return 0;
    hash_flow(gen);
    return live_slot(p, plan, gen, &way) != 0;
}

static __always_inline void count_slot(struct xdp_counts *n, uint32_t outcome)
{
    if (outcome == XDP_SLOT_HIT)
        n->slot_hit++;
    else if (outcome == XDP_SLOT_NEW)
        n->slot_new++;
    else if (outcome == XDP_SLOT_EXPIRED)
        n->slot_expired++;
    else
        n->collisions++;
}

/* Steps 4 and 5, under the lock of the bucket. */
static __always_inline void take_slot(struct xdp_pass *p, const struct xdp_plan *plan, struct xdp_counts *n,
                                      uint32_t gen)
{
    struct dune_core_slot *s;
    uint32_t at, way = 0;

    at = live_slot(p, plan, gen, &way);
    if (at) {
        p->outcome = XDP_SLOT_HIT;
        p->way = (uint8_t)way;
    } else {
        p->outcome = XDP_SLOT_COLLISION;
        at = free_slot(p, plan, gen);
        if (at)
            reset_slot(p, plan, at - 1);
    }
    count_slot(n, p->outcome);
    if (!at) {
        p->shim.flags |= DUNE_CORE_COLLISION;
        return;
    }
    p->slot_at = at - 1;
    p->has_slot = 1;
    s = get_slot(gen, p->slot_at);
    if (!s)
        return;
    dune_core_update(s, &plan->layout, &p->pkt, p->now);
    p->count = s->count;
    if (dune_core_is_half_open(s, &plan->layout) && !(p->shim.flags & DUNE_CORE_FINAL))
        p->shim.flags &= (uint8_t)~DUNE_CORE_SETTLED;
}

#endif
