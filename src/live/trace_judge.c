/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Live verdicts before their judge. A reference device per device and generation is fed with the packets of the trace that
 * carried this generation; packets that hit a known-flow rule are not inferred and change no slot, here as there: their
 * verdict must be that of a digest of the same flow.
 */
#include "live/live_int.h"

#include <stdlib.h>
#include <string.h>

#include "dune/trace.h"

struct verdict_of { /* a digest on its way to a rule */
    struct dune_flow_key key;
    uint16_t generation;
    uint8_t cls, flags, submodel, conf;
};
struct judge {
    const struct dune_plan *const *plans;
    size_t n_plans;
    uint32_t n_positions;              /* devices in the chain, as far as the traces tell */
    DUNE_VEC(struct dune_plan *) made; /* as the controller sends them: for all positions, the single one under any number */
    DUNE_VEC(struct verdict_of) digest;
    DUNE_VEC(uint16_t) seen;
    struct dune_judgement *out;
};

/* --- plans --------------------------------------------------------------------------------------------------- */

static const struct dune_plan *plan_of(struct judge *j, uint16_t generation)
{
    const struct dune_plan *from = j->n_plans == 1 ? j->plans[0] : NULL;
    struct dune_plan *p;

    for (size_t i = 0; i < j->made.len; i++)
        if (j->made.data[i]->generation == generation)
            return j->made.data[i];
    for (size_t i = 0; i < j->n_plans; i++)
        if (j->plans[i]->generation == generation)
            from = j->plans[i];
    if (!from)
        return NULL;
    p = dune_plan_clone(from);
    p->generation = generation;
    dune_plan_stretch(p, j->n_positions);
    DUNE_VEC_PUSH(&j->made, p);
    return p;
}

static void note_generation(struct judge *j, uint16_t generation)
{
    for (size_t i = 0; i < j->seen.len; i++)
        if (j->seen.data[i] == generation)
            return;
    DUNE_VEC_PUSH(&j->seen, generation);
}

/* --- rule hits ------------------------------------------------------------------------------------------------- */

/* The flow of a packet that came with or without a shim. */
static bool flow_of(const struct dune_live_record *r, const struct dune_plan *p, struct dune_flow_key *key)
{
    uint8_t frame[DUNE_TRACE_FRAME];
    uint32_t at, len = r->cap_len;
    struct dune_packet parsed;

    memcpy(frame, r->frame, len);
    if (dune_shim_find(frame, len, 2, p->shim_ethertype, &at) && len - at >= DUNE_SHIM_BYTES) {
        len -= DUNE_SHIM_BYTES;
        memmove(frame + at - 2, frame + at + DUNE_SHIM_BYTES - 2, len - at + 2);
    }
    if (dune_packet_parse(&parsed, frame, len, &p->parser, p->shim_ethertype) != DUNE_REASON_OK)
        return false;
    *key = parsed.key;
    return true;
}

static struct verdict_of verdict_in(const struct dune_live_record *r, const struct dune_flow_key *key)
{
    struct verdict_of v;

    memset(&v, 0, sizeof(v)); /* compared as bytes */
    v.generation = r->generation;
    v.key.len = key->len;
    memcpy(v.key.bytes, key->bytes, key->len);
    v.cls = r->shim_cls;
    v.flags = r->shim_flags & (DUNE_SHIM_TENTATIVE | DUNE_SHIM_FL);
    v.submodel = r->shim_submodel;
    v.conf = r->shim_conf;
    return v;
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct verdict_of));
}

/* By generation and flow alone: is there any digest of this flow? */
static bool any_digest(const struct judge *j, const struct verdict_of *v)
{
    for (size_t i = 0; i < j->digest.len; i++)
        if (j->digest.data[i].generation == v->generation && dune_flow_key_equal(&j->digest.data[i].key, &v->key))
            return true;
    return false;
}

static int collect_digests(struct judge *j, const struct dune_trace *t, struct dune_diag *d)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct dune_live_record *r = &t->rec[i];
        const struct dune_plan *p;
        struct dune_flow_key key;

        if (!r->digest)
            continue;
        p = plan_of(j, r->generation);
        if (!p)
            return dune_diag_set(d, DUNE_E_INPUT, NULL, "device %s used generation %u: no plan of that number is given",
                                 t->head.device, r->generation);
        if (flow_of(r, p, &key))
            DUNE_VEC_PUSH(&j->digest, verdict_in(r, &key));
    }
    return 0;
}

static void differ(struct judge *j, const struct dune_trace *t, size_t i, const char *what, uint64_t want, uint64_t got)
{
    if (j->out->different++ == 0)
        snprintf(j->out->first, sizeof(j->out->first), "device %s, record %zu (tick %llu, generation %u): %s is %llu, the "
                 "reference has %llu", t->head.device, i, (unsigned long long)t->rec[i].tick, t->rec[i].generation, what,
                 (unsigned long long)got, (unsigned long long)want);
}

static void judge_rule_hit(struct judge *j, const struct dune_trace *t, size_t i, const struct dune_plan *p)
{
    const uint8_t done = DUNE_SHIM_FINAL | DUNE_SHIM_SETTLED;
    const struct dune_live_record *r = &t->rec[i];
    struct dune_flow_key key;
    struct verdict_of v;

    j->out->rule_hits++;
    if (!flow_of(r, p, &key)) {
        differ(j, t, i, "a rule hit without a flow", 0, 1);
        return;
    }
    if ((r->shim_flags & done) != done)
        differ(j, t, i, "final and settled after a rule hit", done, r->shim_flags & done);
    v = verdict_in(r, &key);
    if (j->digest.len && bsearch(&v, j->digest.data, j->digest.len, sizeof(v), by_bytes))
        return;
    if (any_digest(j, &v))
        differ(j, t, i, "class by a rule that no digest asked for", 0, r->shim_cls);
    else
        j->out->pinned++;
}

/* --- packets -------------------------------------------------------------------------------------------------------- */

static void compare(struct judge *j, const struct dune_trace *t, size_t i, const struct dune_device_trace *w)
{
    const struct dune_live_record *r = &t->rec[i];

#define FIELD(name, want, got)                                                                                         \
    if ((uint64_t)(want) != (uint64_t)(got)) {                                                                         \
        differ(j, t, i, name, (uint64_t)(want), (uint64_t)(got));                                                      \
        return;                                                                                                        \
    }
    FIELD("fate", w->fate, r->fate)
    FIELD("reason", w->reason, r->reason)
    FIELD("has_shim", w->has_shim, r->has_shim)
    FIELD("slot", w->slot, r->slot)
    FIELD("count", w->count, r->count)
    if (w->slot != DUNE_SLOT_NONE) {
        FIELD("slot_index", w->slot_index, r->slot_index)
        if (w->slot != DUNE_SLOT_COLLISION)
            FIELD("way", w->way, r->way)
    }
    if (w->has_shim) {
        FIELD("class", w->shim.cls, r->shim_cls)
        FIELD("flags", w->shim.flags, r->shim_flags)
        FIELD("confidence", w->shim.conf, r->shim_conf)
        FIELD("sub-model", w->shim.submodel, r->shim_submodel)
    }
    FIELD("became_final", w->became_final, r->became_final)
    FIELD("dropped", w->dropped, r->dropped)
#undef FIELD
}

struct referee { /* one device and generation */
    uint16_t generation, position;
    struct dune_ref_device *dev;
};

static int referee_for(struct judge *j, const struct dune_trace *t, const struct dune_live_record *r, struct referee **list,
                       size_t *n, struct referee **out, struct dune_diag *d)
{
    struct dune_chain_opts o = {.slots = t->head.slots, .ways = t->head.ways, .drop_edge_shim = t->head.drop_edge_shim};
    const struct dune_plan *p = plan_of(j, r->generation);
    int rc;

    for (size_t i = *n; i-- > 0;)
        if ((*list)[i].generation == r->generation && (*list)[i].position == r->position) {
            *out = &(*list)[i];
            return 0;
        }
    if (!p)
        return dune_diag_set(d, DUNE_E_INPUT, NULL, "device %s used generation %u: no plan of that number is given",
                             t->head.device, r->generation);
    *list = dune_mem_realloc(*list, *n + 1, sizeof(**list));
    (*list)[*n] = (struct referee){.generation = r->generation, .position = r->position};
    rc = dune_ref_device_new(&(*list)[*n].dev, p, r->position, &o, d);
    if (rc)
        return rc;
    *out = &(*list)[(*n)++];
    return 0;
}

static int judge_device(struct judge *j, const struct dune_trace *t, struct dune_diag *d)
{
    struct referee *list = NULL, *ref = NULL;
    size_t n = 0;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < t->n; i++) {
        const struct dune_live_record *r = &t->rec[i];
        struct dune_device_in in = {.data = r->frame, .cap_len = r->cap_len, .wire_len = r->wire_len, .tick = r->tick,
                                    .port = r->in_port, .out_port = r->out_port};
        struct dune_device_out out;

        if (r->fate == DUNE_FATE_GENERATION_MISSING) {
            j->out->no_generation++;
            continue;
        }
        rc = referee_for(j, t, r, &list, &n, &ref, d);
        if (rc)
            break;
        note_generation(j, r->generation);
        if (r->fate == DUNE_FATE_RULE_HIT) {
            judge_rule_hit(j, t, i, plan_of(j, r->generation));
            continue;
        }
        dune_ref_device_process(ref->dev, &in, &out);
        j->out->judged++;
        compare(j, t, i, &out.trace);
    }
    for (size_t i = 0; i < n; i++)
        dune_ref_device_free(list[i].dev);
    dune_mem_free(list);
    return rc;
}

int dune_trace_judge(const struct dune_trace *t, size_t n, const struct dune_plan *const *plans, size_t n_plans,
                     struct dune_judgement *out, struct dune_diag *d)
{
    struct judge j = {.plans = plans, .n_plans = n_plans, .out = out};
    int rc = 0;

    *out = (struct dune_judgement){.complete = true};
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < t[i].n; k++)
            j.n_positions = DUNE_MAX(j.n_positions, t[i].rec[k].position + 1u);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = collect_digests(&j, &t[i], d);
    if (j.digest.len)
        qsort(j.digest.data, j.digest.len, sizeof(*j.digest.data), by_bytes);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        out->records += t[i].n;
        out->lost += t[i].lost;
        out->complete &= t[i].complete;
        rc = judge_device(&j, &t[i], d);
    }
    out->generations = (uint32_t)j.seen.len;
    for (size_t i = 0; i < j.made.len; i++)
        dune_plan_free(j.made.data[i]);
    DUNE_VEC_FREE(&j.made);
    DUNE_VEC_FREE(&j.digest);
    DUNE_VEC_FREE(&j.seen);
    return rc;
}
