/* SPDX-License-Identifier: Apache-2.0 */
/* Two engines side by side: the same packets to both, and every difference fails. */
#ifndef DUNE_TEST_EQUAL_KIT_H
#define DUNE_TEST_EQUAL_KIT_H

#include "targets/fast/dune_fast.h"
#include "unit/targets/random_chain.h"

/* The engine that is compared with the reference. */
static const struct dune_engine_ops *equal_engine = &dune_engine_fast;

/* Sets it by name. False: it cannot run here, and a skip with the reason is printed. */
static inline bool equal_with(const char *name)
{
    struct dune_diag d = {0};

    if (dune_engine_get(&equal_engine, name, &d) == 0)
        return true;
    printf("1..0 # SKIP %s\n", d.msg);
    return false;
}

struct equal {
    const struct dune_plan *plan;
    struct dune_chain *ref, *fast;
    DUNE_VEC(struct dune_device_trace) trace; /* of the reference, of the burst under way */
    size_t at;                                /* next one to compare */
    uint64_t packets, inferable, collided, settled, hits, dropped;
    const char *what;
    uint64_t seed;
};

static inline void equal_fail(const struct equal *e, const char *field, uint64_t want, uint64_t got)
{
    fail_msg("%s, seed %llu, packet %llu: %s is %llu, the reference has %llu", e->what,
             (unsigned long long)e->seed, (unsigned long long)e->packets, field, (unsigned long long)got,
             (unsigned long long)want);
}

#define EQUAL_FIELD(e, want, got, field)                                                           \
    do {                                                                                           \
        if ((want)->field != (got)->field)                                                         \
            equal_fail(e, #field, (uint64_t)(want)->field, (uint64_t)(got)->field);                \
    } while (0)

static inline void equal_verdict(const struct equal *e, const struct dune_verdict *w, const struct dune_verdict *g)
{
    EQUAL_FIELD(e, w, g, reason);
    EQUAL_FIELD(e, w, g, fate);
    EQUAL_FIELD(e, w, g, inferable);
    EQUAL_FIELD(e, w, g, dropped);
    EQUAL_FIELD(e, w, g, flags);
    EQUAL_FIELD(e, w, g, cls);
    EQUAL_FIELD(e, w, g, conf);
    EQUAL_FIELD(e, w, g, submodel);
    EQUAL_FIELD(e, w, g, answered);
    EQUAL_FIELD(e, w, g, device);
    EQUAL_FIELD(e, w, g, generation);
    EQUAL_FIELD(e, w, g, rule_hit);
    EQUAL_FIELD(e, w, g, steer_port);
}

static inline void equal_frame(const struct equal *e, const struct dune_chain_frame *w,
                               const struct dune_chain_frame *g)
{
    if (!w->data != !g->data)
        equal_fail(e, "a frame", w->data != NULL, g->data != NULL);
    EQUAL_FIELD(e, w, g, cap_len);
    EQUAL_FIELD(e, w, g, wire_len);
    for (uint32_t i = 0; w->data && i < w->cap_len; i++)
        if (w->data[i] != g->data[i])
            fail_msg("%s, seed %llu, packet %llu: byte %u of the frame is %02x, the reference has %02x",
                     e->what, (unsigned long long)e->seed, (unsigned long long)e->packets, i, g->data[i],
                     w->data[i]);
}

static inline void equal_shim(const struct equal *e, const struct dune_shim *w, const struct dune_shim *g)
{
    EQUAL_FIELD(e, w, g, version);
    EQUAL_FIELD(e, w, g, flags);
    EQUAL_FIELD(e, w, g, submodel);
    EQUAL_FIELD(e, w, g, cls);
    EQUAL_FIELD(e, w, g, conf);
    EQUAL_FIELD(e, w, g, generation);
    EQUAL_FIELD(e, w, g, ethertype);
}

static inline void equal_trace_keep(void *ctx, const struct dune_device_trace *t)
{
    struct equal *e = ctx;

    DUNE_VEC_PUSH(&e->trace, *t);
}

/* What a device did with a packet, but for the sub-models' answers. */
static inline void equal_trace_fields(struct equal *e, const struct dune_device_trace *w, const struct dune_device_trace *g)
{
    EQUAL_FIELD(e, w, g, tick);
    EQUAL_FIELD(e, w, g, device);
    EQUAL_FIELD(e, w, g, fate);
    EQUAL_FIELD(e, w, g, reason);
    EQUAL_FIELD(e, w, g, slot);
    EQUAL_FIELD(e, w, g, has_shim);
    EQUAL_FIELD(e, w, g, generation);
    EQUAL_FIELD(e, w, g, slot_index);
    EQUAL_FIELD(e, w, g, way);
    EQUAL_FIELD(e, w, g, count);
    EQUAL_FIELD(e, w, g, digest);
    EQUAL_FIELD(e, w, g, became_final);
    EQUAL_FIELD(e, w, g, dropped);
    EQUAL_FIELD(e, w, g, mirrored);
    EQUAL_FIELD(e, w, g, mirror_port);
    EQUAL_FIELD(e, w, g, steer_port);
    if (w->has_shim)
        equal_shim(e, &w->shim, &g->shim);
}

static inline void equal_trace_check(void *ctx, const struct dune_device_trace *g)
{
    struct equal *e = ctx;
    const struct dune_device_trace *w = &e->trace.data[e->at++];

    assert_true(e->at <= e->trace.len);
    EQUAL_FIELD(e, w, g, packet);
    equal_trace_fields(e, w, g);
    EQUAL_FIELD(e, w, g, n_answers);
    for (uint32_t k = 0; k < w->n_answers; k++) {
        EQUAL_FIELD(e, w, g, answer[k].submodel);
        EQUAL_FIELD(e, w, g, answer[k].kind);
        EQUAL_FIELD(e, w, g, answer[k].cls);
        EQUAL_FIELD(e, w, g, answer[k].conf);
        EQUAL_FIELD(e, w, g, answer[k].claim);
        EQUAL_FIELD(e, w, g, answer[k].combined);
    }
}

/* traced: compares every device's trace as well. */
static inline void equal_open(struct equal *e, const struct dune_plan *p, const struct dune_chain_opts *o,
                              bool traced, const char *what, uint64_t seed)
{
    struct dune_chain_opts ref = o ? *o : (struct dune_chain_opts){0}, fast = ref;
    struct dune_diag d = {0};

    memset(e, 0, sizeof(*e));
    e->plan = p;
    e->what = what;
    e->seed = seed;
    if (traced) {
        ref.trace = equal_trace_keep;
        fast.trace = equal_trace_check;
        ref.trace_ctx = fast.trace_ctx = e;
    }
    assert_ok(dune_engine_reference.open(&e->ref, p, &ref, &d), d);
    assert_ok(equal_engine->open(&e->fast, p, &fast, &d), d);
}

static inline void equal_burst(struct equal *e, const struct dune_chain_packet *pkt, unsigned n, bool frames)
{
    struct dune_verdict w[DUNE_BURST_MAX], g[DUNE_BURST_MAX];
    struct dune_chain_frame wf[DUNE_BURST_MAX], gf[DUNE_BURST_MAX];
    struct dune_diag d = {0};

    e->trace.len = e->at = 0;
    assert_ok(e->ref->ops->burst(e->ref, pkt, n, w, frames ? wf : NULL, &d), d);
    assert_ok(e->fast->ops->burst(e->fast, pkt, n, g, frames ? gf : NULL, &d), d);
    assert_int_equal(e->at, e->trace.len);
    for (unsigned i = 0; i < n; i++, e->packets++) {
        equal_verdict(e, &w[i], &g[i]);
        if (frames)
            equal_frame(e, &wf[i], &gf[i]);
        e->inferable += w[i].inferable;
        e->collided += w[i].inferable && w[i].flags & DUNE_SHIM_COLLISION;
        e->settled += w[i].inferable && w[i].flags & DUNE_SHIM_SETTLED;
        e->hits += w[i].rule_hit;
        e->dropped += w[i].dropped;
    }
}

static inline void equal_new_capture(struct equal *e)
{
    e->ref->ops->new_capture(e->ref);
    e->fast->ops->new_capture(e->fast);
}

/* Counters of all devices, but for what only the reference counts. */
static inline void equal_counters(const struct equal *e)
{
    for (uint32_t i = 0; i < e->plan->n_devices; i++) {
        struct dune_counters w, g;
        const uint64_t *a = (const uint64_t *)&w, *b = (const uint64_t *)&g;

        e->ref->ops->counters(e->ref, i, &w);
        e->fast->ops->counters(e->fast, i, &g);
        g.false_matches = w.false_matches;
        for (size_t k = 0; k < sizeof(w) / sizeof(*a); k++)
            if (a[k] != b[k])
                fail_msg("%s, seed %llu: counter %zu of device %u is %llu, the reference has %llu", e->what,
                         (unsigned long long)e->seed, k, i, (unsigned long long)b[k],
                         (unsigned long long)a[k]);
    }
}

static inline void equal_close(struct equal *e)
{
    equal_counters(e);
    DUNE_VEC_FREE(&e->trace);
    kit_close(e->ref, e->plan->n_devices);
    kit_close(e->fast, e->plan->n_devices);
}

#endif
