/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One device, a chunk of packets:
 *
 *   1. in packet order: slot, registers, the vectors of what has to be asked
 *   2. all forests, all vectors
 *   3. in packet order: stored answers, combination, digests, actions
 *
 * A slot that a packet of pass 1 takes over from an expired flow may still be written by pass 3 of
 * an earlier packet of the chunk; then passes 2 and 3 come before it, and a new round begins.
 */
#include "targets/fast/fast_int.h"

#include <string.h>

static const uint8_t done_bits = DUNE_SHIM_FINAL | DUNE_SHIM_SETTLED;

/* --- pass 1 -------------------------------------------------------------------------------------------- */

/* False: the slot is in use by an earlier packet of this round. */
static bool take_slot(struct fast_gen *g, struct fast_counts *n, uint32_t dev, struct fast_pkt *pk,
                      uint64_t keep)
{
    const struct fast_model *m = &g->model[dev];
    enum dune_slot_outcome outcome = DUNE_SLOT_NONE;
    uint32_t way = 0;
    bool busy = false;

    if (m->keeps_state) {
        struct fast_table *t = &g->table[dev];

        pk->slot = dune_fast_table_take(t, pk->index, pk->id, pk->now, keep, &outcome, &way, &busy);
        if (busy)
            return false;
        if (pk->slot) {
            uint64_t before = fast_slot_touch(pk->slot, pk->now);

            dune_fast_table_touch(t, pk->index, way, pk->slot, before);
            pk->count = pk->slot->count;
            fast_slot_registers(pk->slot, m, &pk->core, pk->now, before, pk->count);
            if (dune_core_is_half_open(pk->slot, &m->layout) && !(pk->shim.flags & DUNE_SHIM_FINAL))
                pk->shim.flags &= (uint8_t)~DUNE_SHIM_SETTLED;
        } else {
            pk->shim.flags |= DUNE_SHIM_COLLISION;
        }
    }
    pk->outcome = (uint8_t)outcome;
    pk->way = (uint8_t)way;
    n->slot[outcome]++;
    return true;
}

static bool first_pass(struct fast_chain *c, struct fast_worker *w, uint32_t dev, uint32_t at, uint64_t keep)
{
    struct fast_pkt *pk = w->live[at];
    struct fast_counts *n = &w->dev[dev];
    struct fast_gen *g = &c->gen[pk->gen];

    pk->arrived = pk->shim;
    pk->became_final = pk->digest = pk->mirrored = false;
    pk->slot = NULL;
    pk->count = 0;
    pk->outcome = DUNE_SLOT_NONE;
    if ((pk->shim.flags & done_bits) == done_bits) {
        pk->here = DUNE_FATE_PASSED_SETTLED;
        n->fate[DUNE_FATE_PASSED_SETTLED]++;
        return true;
    }
    if (c->alone >= 0 ? dune_fast_alone_rule(c, pk) : g->rules && dune_fast_rules_hit(c, w, dev, pk)) {
        pk->here = DUNE_FATE_RULE_HIT;
        pk->became_final = pk->rule_hit = true;
        n->fate[DUNE_FATE_RULE_HIT]++;
        return true;
    }
    pk->here = DUNE_FATE_INFERRED;
    if (!take_slot(g, n, dev, pk, keep))
        return false;
    fast_ask_for(w, &g->model[dev], &pk->core, pk->slot, pk->count, !(pk->shim.flags & DUNE_SHIM_FINAL), at);
    return true;
}

/* --- pass 2 -------------------------------------------------------------------------------------------- */

void dune_fast_ask_forests(struct fast_worker *w, const struct fast_model *m)
{
    uint32_t answer[FAST_CHUNK];

    for (uint32_t k = 0; k < m->n_sub; k++) {
        uint32_t from = m->shared ? 0 : k, n = w->n_asked[from];

        if (n == 0)
            continue;
        dune_fast_forest_ask(&m->sub[k].forest, w->x[from].x, n, answer);
        for (uint32_t i = 0; i < n; i++)
            w->answer[k][w->asked[from][i]] = answer[i];
        if (!m->shared || k + 1 == m->n_sub)
            w->n_asked[from] = 0;
    }
}

/* --- pass 3 -------------------------------------------------------------------------------------------- */

/* The final claim in a shim, or NULL: tentative and unclaimed packets get no action. */
static const struct dune_plan_class *claim_of(const struct dune_plan *plan, const struct dune_core_shim *s)
{
    if (!(s->flags & DUNE_SHIM_FINAL) || s->flags & DUNE_SHIM_TENTATIVE || s->cls == 0 ||
        s->cls > plan->n_classes)
        return NULL;
    return &plan->cls[s->cls - 1];
}

static bool acts(const struct dune_plan *plan, const struct dune_core_shim *s)
{
    const struct dune_plan_class *cls = claim_of(plan, s);

    return cls && (cls->action == DUNE_ACTION_DROP || cls->action == DUNE_ACTION_MIRROR) &&
           (cls->action_any || s->flags & DUNE_SHIM_SETTLED);
}

void dune_fast_act_last(const struct fast_gen *g, struct fast_counts *n, struct fast_pkt *pk)
{
    const struct dune_plan_class *cls = claim_of(g->plan, &pk->shim);

    if (cls && cls->action == DUNE_ACTION_MARK)
        n->marked++; /* the bytes: fast_output.c */
    if (cls && cls->action == DUNE_ACTION_STEER) {
        pk->steer_port = cls->action_arg;
        n->steered++;
    }
}

/* Step 9's class actions. */
static void act(struct fast_chain *c, struct fast_worker *w, uint32_t dev, struct fast_pkt *pk)
{
    const struct fast_gen *g = &c->gen[pk->gen];
    struct fast_counts *n = &w->dev[dev];
    const struct dune_plan_class *cls = claim_of(g->plan, &pk->shim);

    if (dev + 1 == g->n_dev)
        dune_fast_act_last(g, n, pk);
    if (!acts(g->plan, &pk->shim) || acts(g->plan, &pk->arrived))
        return;
    if (cls->action == DUNE_ACTION_DROP) {
        pk->dropped = true;
        n->dropped_action++;
        return;
    }
    pk->mirrored = true;
    pk->mirror_port = cls->action_arg;
    n->mirrored++;
}

/* A settled verdict passes all devices behind this one, which may be said at once. */
static void pass_through(struct fast_chain *c, struct fast_worker *w, uint32_t dev, struct fast_pkt *pk)
{
    w->dev[dev].settled_here++;
    pk->state = FAST_GONE;
    if (c->gen[pk->gen].acts)
        dune_fast_act_last(&c->gen[pk->gen], &w->dev[c->n_dev - 1], pk);
}

static void third_pass(struct fast_chain *c, struct fast_worker *w, uint32_t dev, uint32_t at)
{
    struct fast_pkt *pk = w->live[at];

    if (pk->here == DUNE_FATE_INFERRED)
        dune_fast_answers(c, w, dev, pk, at);
    if (pk->became_final)
        pk->device = (uint16_t)dev;
    if (dev == 0)
        pk->fate = pk->here;
    if (c->gen[pk->gen].acts)
        act(c, w, dev, pk);
    if (pk->dropped)
        pk->state = FAST_GONE;
    else if (c->alone < 0 && dev + 1 < c->n_dev && (pk->shim.flags & done_bits) == done_bits && !c->opts.trace)
        pass_through(c, w, dev, pk);
}

/* --- rounds -------------------------------------------------------------------------------------------- */

static void prefetch_slots(struct fast_chain *c, struct fast_worker *w, uint32_t dev)
{
    for (uint32_t i = 0; i < w->n_live; i++) {
        const struct fast_pkt *pk = w->live[i];
        const struct fast_gen *g = &c->gen[pk->gen];

        if (g->model[dev].keeps_state)
            dune_fast_table_prefetch_slot(&g->table[dev], pk->index, pk->id);
    }
}

static void drop_gone(struct fast_worker *w)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < w->n_live; i++)
        if (w->live[i]->state == FAST_LIVE)
            w->live[n++] = w->live[i];
    w->n_live = n;
}

void dune_fast_device_run(struct fast_chain *c, struct fast_worker *w, uint32_t dev)
{
    uint64_t oldest = UINT64_MAX;
    uint32_t from = 0;

    for (uint32_t i = 0; i < w->n_live; i++)
        oldest = DUNE_MIN(oldest, w->live[i]->now);
    if (w->n_live > 1)
        prefetch_slots(c, w, dev);
    while (from < w->n_live) {
        uint32_t to = from;
        unsigned gen = w->live[from]->gen;
        struct fast_drift *drift;

        /* The first packet of a round finds no slot in use. */
        while (to < w->n_live && w->live[to]->gen == gen &&
               first_pass(c, w, dev, to, to == from ? UINT64_MAX : oldest))
            to++;
        drift = c->gen[gen].drift;
        if (drift)
            dune_fast_drift_begin(drift, w, &c->gen[gen].model[dev]);
        dune_fast_ask_forests(w, &c->gen[gen].model[dev]);
        for (uint32_t i = from; i < to; i++)
            third_pass(c, w, dev, i);
        if (drift)
            dune_fast_drift_end(drift, w, &c->gen[gen].model[dev]);
        from = to;
    }
    drop_gone(w);
}
