/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters are kept per worker, and only those that do not follow from others. On a chain all of whose
 * links work, every packet without shim has the same fate on all devices, and a settled one passes the
 * rest of them.
 */
#include "targets/fast/fast_int.h"

#include <string.h>

static void add_counts(struct fast_counts *sum, const struct fast_counts *n)
{
    uint64_t *to = (uint64_t *)(void *)sum;
    const uint64_t *from = (const uint64_t *)(const void *)n;

    _Static_assert(sizeof(*sum) % sizeof(uint64_t) == 0, "nothing but counters");
    for (size_t i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++)
        to[i] += from[i];
}

static uint64_t sum_of(const uint64_t *v, size_t n)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += v[i];
    return sum;
}

/* Answers of sub-model k of a stage: its own, and those of packets whose verdict was ready. */
static void add_answers(struct fast_counts *to, const struct fast_stage_counts *n, uint32_t k)
{
    for (int kind = 0; kind < 4; kind++)
        to->answers[kind] += n->answers[k][kind];
    to->claims += n->claims[k];
    for (uint32_t bits = 0; bits < DUNE_ARRAY_LEN(n->ready); bits++) {
        to->answers[DUNE_ANSWER_STORED] += n->ready[bits];
        to->claims += k < 8 && bits >> k & 1 ? n->ready[bits] : 0;
    }
}

/* The straight way's, a stage being one device. */
static void add_stage(struct fast_counts *to, const struct fast_model *m, const struct fast_stage_counts *n)
{
    for (size_t i = 0; i < DUNE_ARRAY_LEN(n->slot); i++)
        to->slot[i] += n->slot[i];
    for (uint32_t k = 0; k < m->n_sub; k++)
        add_answers(to, n, k);
    to->finals += n->finals;
    to->settled += n->settled;
    to->digests += n->digests;
}

/* The same where all devices are one stage: who saw what. */
static void add_fused(struct fast_counts *to, const struct fast_gen *g, uint32_t device, const struct fast_stage_counts *n)
{
    const struct dune_plan *p = g->plan;
    uint32_t last = p->n_submodels ? p->sub[p->n_submodels - 1].device : g->n_dev;
    uint64_t all = sum_of(n->slot, DUNE_ARRAY_LEN(n->slot));

    if (g->model[device].keeps_state)
        for (size_t i = 0; i < DUNE_ARRAY_LEN(n->slot); i++)
            to->slot[i] += n->slot[i];
    else
        to->slot[DUNE_SLOT_NONE] += device > last ? all - n->settled : all;
    for (uint32_t k = 0; k < g->whole.n_sub; k++)
        if (g->whole.sub[k].device == device)
            add_answers(to, n, k);
    if (device != last)
        return;
    to->finals += n->finals;
    to->settled += n->settled;
    to->digests += n->digests;
}

static void add_straight(const struct fast_chain *c, struct fast_counts *to, uint32_t device, const struct fast_worker *w)
{
    const struct fast_gen *g = &c->gen[c->stamp];

    if (g->fused)
        add_fused(to, g, device, &w->stage[0]);
    else
        add_stage(to, &g->model[device], &w->stage[device]);
}

void dune_fast_counters_fold(struct fast_chain *c)
{
    for (unsigned i = 0; i < c->n_workers; i++) {
        struct fast_worker *w = c->worker[i];

        for (uint32_t device = 0; device < c->n_dev; device++)
            add_straight(c, &w->dev[device], device, w);
        memset(w->stage, 0, c->n_dev * sizeof(*w->stage));
    }
}

static void gather(const struct fast_chain *c, uint32_t device, struct fast_counts *own,
                   struct fast_counts *plain, uint64_t *passed)
{
    memset(own, 0, sizeof(*own));
    memset(plain, 0, sizeof(*plain));
    *passed = 0;
    for (unsigned i = 0; i < c->n_workers; i++) {
        add_counts(own, &c->worker[i]->dev[device]);
        add_counts(plain, &c->worker[i]->plain);
        add_straight(c, own, device, c->worker[i]);
        for (uint32_t k = 0; k < device; k++)
            *passed += c->worker[i]->dev[k].settled_here;
    }
}

/* Of packets without shim, and of those whose shim wraps what is not inferable (returned). */
static uint64_t put_plain(struct dune_counters *o, const struct fast_counts *own,
                          const struct fast_counts *plain)
{
    uint64_t forged = 0;

    for (int r = 0; r < DUNE_N_REASONS; r++) {
        o->not_inferable[r] = plain->reason[r] + own->reason[r] + plain->forged[r];
        o->in += o->not_inferable[r];
        forged += plain->forged[r];
    }
    o->filtered = plain->fate[DUNE_FATE_FILTERED] + own->fate[DUNE_FATE_FILTERED];
    o->too_big = plain->fate[DUNE_FATE_TOO_BIG] + own->fate[DUNE_FATE_TOO_BIG];
    o->dropped_edge_shim = own->fate[DUNE_FATE_DROPPED_EDGE_SHIM];
    o->in += o->filtered + o->too_big + o->dropped_edge_shim;
    return forged;
}

void dune_fast_put_inferred(struct dune_counters *o, const struct fast_counts *own)
{
    o->slot_new = own->slot[DUNE_SLOT_NEW];
    o->slot_hit = own->slot[DUNE_SLOT_HIT];
    o->slot_expired = own->slot[DUNE_SLOT_EXPIRED];
    o->collisions = own->slot[DUNE_SLOT_COLLISION];
    o->stateless = own->slot[DUNE_SLOT_NONE];
    o->inferred = o->slot_new + o->slot_hit + o->slot_expired + o->collisions + o->stateless;
    o->answers_pl = own->answers[DUNE_ANSWER_PL];
    o->answers_fl = own->answers[DUNE_ANSWER_FL];
    o->answers_stored = own->answers[DUNE_ANSWER_STORED];
    o->claims = own->claims;
    o->finals = own->finals;
    o->settled = own->settled;
    o->digests = own->digests;
    o->digests_dropped = own->digests_dropped;
    o->rules = own->rules;
    o->rules_full = own->rules_full;
    o->rules_expired = own->rules_expired;
    o->mirrored = own->mirrored;
    o->steered = own->steered;
    o->marked = own->marked;
}

void dune_fast_counters(const struct dune_chain *base, uint32_t device, struct dune_counters *o)
{
    const struct fast_chain *c = (const struct fast_chain *)base;
    struct fast_counts own, plain;
    uint64_t forged, shims;

    memset(o, 0, sizeof(*o));
    if (device >= c->n_dev)
        return;
    gather(c, device, &own, &plain, &o->passed_settled);
    forged = put_plain(o, &own, &plain);
    dune_fast_put_inferred(o, &own);
    o->passed_settled += own.fate[DUNE_FATE_PASSED_SETTLED];
    o->rule_hit = own.fate[DUNE_FATE_RULE_HIT];
    shims = o->passed_settled + o->rule_hit + o->inferred + forged;
    o->in += shims - forged;
    o->dropped_action = own.dropped_action;
    o->out = o->in - o->dropped_action - o->dropped_edge_shim;
    o->shim_missing = own.shim_missing;
    o->shim_added = device == 0 ? shims : o->shim_missing;
    o->shim_read = shims - o->shim_added;
    o->shim_at_edge = device == 0 ? forged + o->dropped_edge_shim : 0;
    if (device + 1 == c->n_dev && !c->opts.keep_shim)
        o->shim_stripped = shims - o->dropped_action;
    else
        o->shim_kept = shims - o->dropped_action;
}
