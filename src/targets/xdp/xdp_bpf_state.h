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

/* The flow's first rule is nearly always the one that hits, and needs no call. */
static __always_inline bool use_rule(struct xdp_pass *p, const struct xdp_plan *plan)
{
    struct xdp_flow_rules *f = bpf_map_lookup_elem(&rules, &p->key);
    struct xdp_rule *r;

    if (!f)
        return false;
    r = &f->rule[0];
    if (!r->live || dune_core_expired(p->now, r->last_hit, plan->timeout) || p->now < r->from)
        return find_rule(p->key.gen, 1);
    take_rule(p, r);
    return true;
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
    return &lock_words[at & (XDP_LOCKS - 1)];
}

struct spin {
    uint32_t at, got;
};

static long spin_once(uint32_t i, void *ctx)
{
    struct spin *s = ctx;
    uint64_t *w = lock_word(s->at);

    (void)i;
    if (*(volatile uint64_t *)w != 0 || __sync_lock_test_and_set(w, 1) != 0)
        return 0;
    s->got = 1;
    return 1;
}

static __always_inline bool lock(uint32_t at)
{
    struct spin s = {at, 0};

    if (__sync_lock_test_and_set(lock_word(at), 1) == 0)
        return true;
    bpf_loop(LOCK_TRIES, spin_once, &s, 0);
    return s.got;
}

static __always_inline void unlock(uint32_t at)
{
    uint64_t *w = lock_word(at);

    if (ordered) {
        asm volatile("" ::: "memory");
        *(volatile uint64_t *)w = 0;
    } else {
        __sync_lock_test_and_set(w, 0);
    }
}

/* --- slots --------------------------------------------------------------------------------------------------- */

/* May another flow take it? Only SYN without ACK was seen of a half-open one. */
static __always_inline bool may_be_taken(struct dune_core_slot *s, const struct xdp_plan *plan, uint64_t now)
{
    if (dune_core_expired(now, s->last, plan->timeout))
        return true;
    return plan->syn_timeout && dune_core_is_half_open(s, &plan->layout) &&
           dune_core_expired(now, s->last, plan->syn_timeout);
}

/*
 * The flow's slot: the way that is live with its id, else the first that is empty or may be taken. One look at every
 * way, and none behind an empty one: ways fill in order and none becomes empty again. NULL: no room.
 */
static __always_inline struct dune_core_slot *find_slot(struct xdp_pass *p, const struct xdp_plan *plan, uint8_t *base)
{
    uint32_t at = p->index * plan->bucket_bytes, free_at = 0, free_way = 0, outcome = XDP_SLOT_COLLISION;

    for (uint32_t w = 0; w < 8 && w < plan->ways; w++) {
        struct dune_core_slot *s = (struct dune_core_slot *)(void *)(base + (at & arena_mask));

        if (s->id == p->id && !dune_core_expired(p->now, s->last, plan->timeout)) {
            p->outcome = XDP_SLOT_HIT;
            p->way = (uint8_t)w;
            p->slot_at = at;
            return s;
        }
        if (outcome == XDP_SLOT_COLLISION && (s->id == 0 || may_be_taken(s, plan, p->now))) {
            outcome = s->id == 0 ? XDP_SLOT_NEW : XDP_SLOT_EXPIRED;
            free_at = at;
            free_way = w;
        }
        if (s->id == 0)
            break;
        at += plan->slot_bytes;
    }
    p->outcome = (uint8_t)outcome;
    if (outcome == XDP_SLOT_COLLISION)
        return (void *)0;
    p->way = (uint8_t)free_way;
    p->slot_at = free_at;
    return (struct dune_core_slot *)(void *)(base + (free_at & arena_mask));
}

static __always_inline void reset_slot(const struct xdp_pass *p, const struct xdp_plan *plan, struct dune_core_slot *s)
{
    uint64_t *word = (uint64_t *)(void *)s;

    for (uint32_t i = 0; i < DUNE_CORE_SLOT_MAX / 64 && i < plan->slot_bytes / 64; i++, word += 8)
        word[0] = word[1] = word[2] = word[3] = word[4] = word[5] = word[6] = word[7] = 0;
    s->id = p->id;
}

/* Does a live slot of the parsed packet exist at position gen? Changes nothing. */
__attribute__((noinline)) int has_live_slot(uint32_t gen)
{
    struct xdp_pass *p = get_pass();
    struct xdp_plan *plan = get_plan(gen);
    uint32_t at;

    if (!p || !plan || !plan->keeps_state)
        return 0;
    hash_flow(gen);
    at = p->index * plan->bucket_bytes;
    for (uint32_t w = 0; w < 8 && w < plan->ways; w++) {
        struct dune_core_slot *s = get_slot(gen, at);

        if (s && s->id == p->id && !dune_core_expired(p->now, s->last, plan->timeout))
            return 1;
        at += plan->slot_bytes;
    }
    return 0;
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

/* Steps 4 and 5, under the lock of the bucket. The slot, or NULL: there is none. */
static __always_inline struct dune_core_slot *take_slot(struct xdp_pass *p, const struct xdp_plan *plan,
                                                        struct xdp_counts *n, uint32_t gen)
{
    uint8_t *base = get_arena(gen);
    struct dune_core_slot *s = base ? find_slot(p, plan, base) : (void *)0;

    count_slot(n, p->outcome);
    if (!s) {
        p->shim.flags |= DUNE_CORE_COLLISION;
        return s;
    }
    if (p->outcome != XDP_SLOT_HIT)
        reset_slot(p, plan, s);
    p->has_slot = 1;
    dune_core_update(s, &plan->layout, &p->pkt, p->now);
    p->count = s->count;
    if (dune_core_is_half_open(s, &plan->layout) && !(p->shim.flags & DUNE_CORE_FINAL))
        p->shim.flags &= (uint8_t)~DUNE_CORE_SETTLED;
    return s;
}

#endif
