/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The slow second opinion on a whole chain with tables that never collide. No devices, no slots, no
 * shim: for every flow the list of its packets; for every packet all answers from scratch, by the
 * nodes of the trees instead of the tables; then the claim rule written down once more.
 */
#ifndef DUNE_TEST_NAIVE_CHAIN_H
#define DUNE_TEST_NAIVE_CHAIN_H

#include "unit/features/naive_features.h"
#include "unit/targets/chain_kit.h"

struct naive_flow {
    struct dune_flow_key key;
    uint64_t last;
    bool ended;
    DUNE_VEC(struct naive_packet) q;
};
struct naive_flows {
    struct naive_flow *data;
    size_t len, cap;
};

static inline void naive_flows_free(struct naive_flows *f)
{
    for (size_t i = 0; i < f->len; i++)
        DUNE_VEC_FREE(&f->data[i].q);
    DUNE_VEC_FREE(f);
}

/* The index of the packet's flow, which now ends with this packet. */
static inline size_t naive_flow_of(struct naive_flows *f, const struct dune_packet *p, uint64_t tick,
                                   uint64_t timeout)
{
    size_t i = 0;

    while (i < f->len && (f->data[i].ended || !dune_flow_key_equal(&f->data[i].key, &p->key)))
        i++;
    if (i < f->len && timeout != DUNE_TIMEOUT_NONE && tick > f->data[i].last &&
        tick - f->data[i].last > timeout) {
        f->data[i].ended = true;
        i = f->len;
    }
    if (i == f->len) {
        struct naive_flow w = {.key = p->key, .last = tick};

        DUNE_VEC_PUSH(f, w);
        i = f->len - 1;
    }
    DUNE_VEC_PUSH(&f->data[i].q, ((struct naive_packet){*p, tick}));
    if (tick > f->data[i].last)
        f->data[i].last = tick;
    return i;
}

struct naive_said {
    struct dune_sub_answer a;
    bool any, fl, stable; /* stable: no later packet of the flow gets another one */
};

/* Features of packet number at (1-based) as sub-model sm sees them. */
static inline struct dune_sub_answer naive_ask(const struct dune_submodel *sm,
                                               const struct naive_packet *q, size_t at, bool regs)
{
    uint32_t v[DUNE_N_FEATURES];

    for (int id = 0; id < DUNE_N_FEATURES; id++)
        v[id] = dune_catalog[id].phase == DUNE_PHASE_FL && !regs ? 0 : naive_feature(q, at, id);
    return dune_submodel_walk(sm, v);
}

static inline struct naive_said naive_answer_of(const struct dune_submodel *sm,
                                                  const struct naive_packet *q, size_t i)
{
    if (sm->mode == DUNE_MODE_PACKET)
        return (struct naive_said){naive_ask(sm, q, i, false), true, false, false};
    if (i >= sm->n)
        return (struct naive_said){naive_ask(sm, q, sm->n, true), true, true, true};
    if (sm->mode == DUNE_MODE_FLOW)
        return (struct naive_said){0};
    return (struct naive_said){naive_ask(sm, q, i, sm->mode == DUNE_MODE_RUNNING), true, false,
                                 false};
}

/* Is answer x of sub-model i better than y of sub-model j? */
static inline bool naive_better(struct dune_sub_answer x, int i, struct dune_sub_answer y, int j)
{
    if (x.cls == 0 || y.cls == 0)
        return x.cls != 0 && y.cls == 0;
    return x.claim != y.claim ? x.claim : x.conf != y.conf ? x.conf > y.conf : i < j;
}

/* The verdict for the last packet of the list q[0 .. n). */
static inline struct dune_verdict naive_verdict(const struct dune_plan *p,
                                                const struct naive_packet *q, size_t n)
{
    struct naive_said a[DUNE_MAX_SUBMODELS];
    int best = -1, last = (int)p->n_submodels - 1, stop = last;
    bool exited = false, settled = true;
    struct dune_verdict v = {.inferable = true};

    for (int s = 0; s <= last; s++)
        a[s] = naive_answer_of(&p->sub[s], q, n);
    for (int s = 0; s <= last && !exited; s++) {
        const struct dune_sub_answer *x = &a[s].a;

        if (p->claim == DUNE_CLAIM_FIRST) {
            exited = x->claim;
            best = exited ? s : -1;
        } else if (x->cls && (best < 0 || naive_better(*x, p->sub[s].id, a[best].a, p->sub[best].id))) {
            best = s;
        }
        if (p->claim == DUNE_CLAIM_BEST && best >= 0 && a[best].a.claim &&
            a[best].a.conf >= p->early_exit &&
            a[best].a.conf >= p->cls[a[best].a.cls - 1].min_confidence)
            exited = true;
        stop = s;
    }
    for (int s = 0; s <= stop; s++)
        settled = settled && a[s].stable;
    v.flags = DUNE_SHIM_FINAL | (settled ? DUNE_SHIM_SETTLED : 0);
    v.device = p->sub[stop].device;
    if (best < 0)
        return v;
    v.conf = a[best].a.conf;
    v.submodel = p->sub[best].id;
    v.flags |= a[best].fl ? DUNE_SHIM_FL : 0;
    if (!exited && (v.conf < p->cls[a[best].a.cls - 1].min_confidence ||
                    (!a[best].a.claim && p->fallback == DUNE_FALLBACK_NONE)))
        return v;
    v.cls = a[best].a.cls;
    v.flags |= a[best].a.claim ? 0 : DUNE_SHIM_TENTATIVE;
    return v;
}

static inline void naive_expect(const struct dune_verdict *got, const struct dune_verdict *want,
                                const char *what, uint64_t packet)
{
    if (got->cls != want->cls || got->conf != want->conf || got->submodel != want->submodel ||
        got->flags != want->flags || got->device != want->device)
        fail_msg("%s, packet %llu: class %u conf %u sub-model %u flags %02x device %u, want %u %u %u "
                 "%02x %u",
                 what, (unsigned long long)packet, got->cls, got->conf, got->submodel, got->flags,
                 got->device, want->cls, want->conf, want->submodel, want->flags, want->device);
}

#endif
