/* SPDX-License-Identifier: Apache-2.0 */
/* Three devices, their agents and a controller on one bus, under a clock of the test. */
#ifndef DUNE_TEST_WORLD_H
#define DUNE_TEST_WORLD_H

#include "dune/controller.h"
#include "unit/targets/random_chain.h"

enum { WORLD_DEVICES = 3, WORLD_FLOWS = 120 };

struct sent { /* one packet and what became of it */
    struct kit_frame frame;
    uint64_t tick;
    uint32_t flow;
    uint16_t generation;
    bool has_shim, rule_hit, arrived;
    struct dune_shim shim;
};

struct world {
    struct dune_bus_hub *hub;
    struct dune_bus *bus[WORLD_DEVICES], *cbus;
    struct dune_live *live[WORLD_DEVICES];
    struct dune_agent *agent[WORLD_DEVICES];
    struct dune_controller *ctl;
    struct dune_controller_cfg cfg;
    struct dune_chain_opts opts;
    uint64_t now_ns;
    struct dune_rng rng;
    bool keep; /* packets are kept for the comparison */
    uint32_t order[WORLD_DEVICES]; /* device at each position, as cabled */
    DUNE_VEC(struct sent) sent;
    DUNE_VEC(struct dune_plan *) plans; /* by order of use, generation as given */
    char notes[16384];
};

static const struct dune_controller_device world_devices[] = {{"s1", 0}, {"s2", 1}, {"s3", 2}};

static inline void world_note(void *ctx, const char *text)
{
    struct world *w = ctx;
    size_t len = strlen(w->notes);

    if (len + strlen(text) + 2 > sizeof(w->notes)) /* the newest matter */
        len = 0;
    snprintf(w->notes + len, sizeof(w->notes) - len, "%s\n", text);
}

static inline void world_start_agent(struct world *w, uint32_t i)
{
    struct dune_agent_cfg cfg = {.device = world_devices[i].name, .report_ns = 100000000};
    struct dune_diag d = {0};

    w->bus[i] = dune_bus_hub_join(w->hub);
    w->live[i] = i % 2 ? dune_live_fast_new(&w->opts) : dune_live_ref_new(&w->opts); /* both kinds in a chain */
    assert_ok(dune_agent_new(&w->agent[i], &cfg, w->live[i], w->bus[i], &d), d);
}

/* As after kill -9: nothing is said, all state is gone. */
static inline void world_kill_agent(struct world *w, uint32_t i)
{
    dune_agent_free(w->agent[i]);
    w->live[i]->ops->close(w->live[i]);
    w->bus[i]->ops->close(w->bus[i]);
    w->agent[i] = NULL;
    w->live[i] = NULL;
}

static inline void world_start_controller(struct world *w)
{
    struct dune_diag d = {0};

    w->cbus = dune_bus_hub_join(w->hub);
    assert_ok(dune_controller_new(&w->ctl, &w->cfg, w->cbus, &d), d);
}

static inline void world_kill_controller(struct world *w)
{
    dune_controller_free(w->ctl);
    w->cbus->ops->close(w->cbus);
    w->ctl = NULL;
}

static inline struct world *world_new(uint64_t seed)
{
    struct world *w = DUNE_NEW(struct world);
    struct dune_diag d = {0};

    w->now_ns = 1700000000000000000u;
    w->cfg = (struct dune_controller_cfg){.owner = "c1", .device = world_devices, .n_devices = WORLD_DEVICES,
                                          .no_auto_rollback = true, .note = world_note, .note_ctx = w};
    dune_rng_init(&w->rng, seed, 31, 0, 0);
    assert_ok(dune_bus_hub_new(&w->hub, NULL, &d), d);
    for (uint32_t i = 0; i < WORLD_DEVICES; i++) {
        w->order[i] = i;
        world_start_agent(w, i);
    }
    world_start_controller(w);
    return w;
}

static inline void world_free(struct world *w)
{
    if (w->ctl)
        world_kill_controller(w);
    for (uint32_t i = 0; i < WORLD_DEVICES; i++)
        if (w->agent[i])
            world_kill_agent(w, i);
    dune_bus_hub_free(w->hub);
    for (size_t i = 0; i < w->plans.len; i++)
        dune_plan_free(w->plans.data[i]);
    DUNE_VEC_FREE(&w->plans);
    DUNE_VEC_FREE(&w->sent);
    dune_mem_free(w);
}

static inline void world_step(struct world *w, uint64_t ns)
{
    w->now_ns += ns;
    for (uint32_t i = 0; i < WORLD_DEVICES; i++)
        if (w->agent[i])
            dune_agent_step(w->agent[i], w->now_ns);
    if (w->ctl)
        dune_controller_step(w->ctl, w->now_ns);
}

static inline struct dune_controller_stats world_stats(const struct world *w)
{
    struct dune_controller_stats s;

    dune_controller_stats(w->ctl, &s);
    return s;
}

static inline struct dune_counters world_count(const struct world *w, uint32_t i)
{
    struct dune_counters c;

    w->live[i]->ops->counters(w->live[i], &c);
    return c;
}

/* --- plans ------------------------------------------------------------------------------------------- */

/* A plan with one sub-model per device; the first keeps state. Time-out 1 s. */
static inline struct dune_plan *world_try_plan(uint64_t seed, uint64_t attempt)
{
    struct dune_rng r;
    struct dune_plan *p = kit_plan(4, WORLD_DEVICES);

    dune_rng_init(&r, seed, 41, attempt, 0);
    for (uint16_t i = 0; i < WORLD_DEVICES; i++) {
        random_submodel(&r, p, (uint8_t)(i + 1), i);
        p->sub[i].n = (uint8_t)(2 + dune_rng_below(&r, 3));
    }
    p->sub[0].mode = dune_rng_below(&r, 2) ? DUNE_MODE_RUNNING : DUNE_MODE_PUBLISHED;
    p->timeout = KIT_S(1);
    p->slots = 4096;
    p->ways = 8;
    p->hash = DUNE_HASH_SIPHASH;
    return p;
}

/* Random plans may break a rule of the verifier: the first that does not. */
static inline struct dune_plan *world_plan(uint64_t seed)
{
    for (uint64_t attempt = 0;; attempt++) {
        struct dune_plan *p = world_try_plan(seed, attempt);
        struct dune_diag d = {0};

        if (dune_plan_verify(p, &d) == 0)
            return p;
        dune_plan_free(p);
        if (attempt == 1000)
            fail_msg("no plan: %s: %s", d.place, d.msg);
    }
}

/* A plan whose sub-models say one thing to every packet: a class, or Other for 0. */
static inline struct dune_plan *world_saying(uint8_t cls)
{
    static const uint32_t thr[] = {100};
    struct dune_plan_leaf leaf[2] = {KIT_OTHER(1, 10), KIT_OTHER(1, 11)};
    struct dune_plan *p = kit_plan(4, WORLD_DEVICES);

    p->timeout = KIT_S(1);
    for (int i = 0; cls && i < 2; i++)
        leaf[i] = (struct dune_plan_leaf)KIT_CLAIM(cls, 100);
    for (uint16_t i = 0; i < WORLD_DEVICES; i++)
        kit_sub(p, (uint8_t)(i + 1), i, 2, DUNE_MODE_RUNNING, DUNE_F_IP_LEN, 1, thr, leaf);
    return p;
}

/* Applies it; w->plans remembers it under the generation that it gets. */
static inline int world_apply(struct world *w, struct dune_plan *p, uint32_t share, struct dune_diag *d)
{
    char *text = NULL;
    size_t len;
    int rc = dune_plan_format(p, &text, &len, d);

    if (rc == 0)
        rc = dune_controller_apply(w->ctl, "test", text, len, share, d);
    dune_mem_free(text);
    p->generation = world_stats(w).next ? world_stats(w).next : world_stats(w).base;
    DUNE_VEC_PUSH(&w->plans, p);
    return rc;
}

static inline void world_wait(struct world *w, enum dune_ctl_phase phase)
{
    for (int i = 0; i < 4000 && world_stats(w).phase != phase; i++)
        world_step(w, 5000000);
    if (world_stats(w).phase != phase)
        fail_msg("phase %s, wanted %s; notes:\n%s", dune_ctl_phase_name(world_stats(w).phase),
                 dune_ctl_phase_name(phase), w->notes);
}

static inline void world_begin(struct world *w)
{
    struct dune_diag d = {0};

    for (int i = 0; i < 200 && !world_stats(w).leader; i++)
        world_step(w, 5000000);
    assert_ok(world_apply(w, world_plan(1), DUNE_CTL_SHARE, &d), d);
    world_wait(w, DUNE_PHASE_STEADY);
}

/* --- traffic ----------------------------------------------------------------------------------------- */

static inline void world_make(struct world *w, uint32_t flow, struct kit_frame *f)
{
    struct kit_packet k = {
        .src = flow / 4, .dst = 500, .sport = (uint16_t)(1000 + flow), .dport = (uint16_t)(flow * 31 % 2000),
        .tcp = flow % 2, .ipv6 = flow % 5 == 0, .n_vlan = flow % 3 == 0 ? flow % 2 + 1 : 0,
        .ttl = (uint8_t)(1 + dune_rng_below(&w->rng, 255)), .tos = (uint8_t)dune_rng_u64(&w->rng),
        .tcp_flags = (uint8_t)dune_rng_u64(&w->rng), .window = (uint16_t)dune_rng_u64(&w->rng),
        .udp_len = (uint16_t)(8 + dune_rng_below(&w->rng, 65000)),
        .ip_len = (uint16_t)(60 + dune_rng_below(&w->rng, 65000)),
        .frame_len = (uint16_t)(60 + dune_rng_below(&w->rng, 60)),
    };

    kit_make(f, &k);
}

/* One frame through the devices as they are cabled; a missing agent forwards like a wire. */
static inline struct sent world_send_frame(struct world *w, const struct kit_frame *f, uint32_t flow)
{
    struct sent s = {.frame = *f, .tick = dune_tick(w->now_ns), .flow = flow};
    struct dune_device_in in = {.data = s.frame.data, .cap_len = f->len, .wire_len = f->len, .tick = s.tick,
                                .port = DUNE_PORT_EDGE};
    struct dune_device_out o = {.data = s.frame.data, .cap_len = f->len};

    for (uint32_t i = 0; i < WORLD_DEVICES && o.data; i++) {
        struct dune_live *l = w->live[w->order[i]];

        if (!l)
            continue;
        in.out_port = i + 1 == WORLD_DEVICES ? DUNE_PORT_EDGE : DUNE_PORT_CHAIN;
        dune_live_ref_process(l, &in, &o);
        if (o.trace.has_shim && o.trace.reason == DUNE_REASON_OK) {
            s.shim = o.trace.shim;
            s.generation = o.trace.generation;
            s.has_shim = true;
            s.rule_hit |= o.trace.fate == DUNE_FATE_RULE_HIT;
        }
        in.data = o.data;
        in.cap_len = o.cap_len;
        in.wire_len = o.wire_len;
        in.port = DUNE_PORT_CHAIN;
    }
    s.arrived = o.data && o.cap_len == f->len && memcmp(o.data, f->data, f->len) == 0;
    if (w->keep)
        DUNE_VEC_PUSH(&w->sent, s);
    return s;
}

static inline struct sent world_send(struct world *w, uint32_t flow)
{
    struct kit_frame f;

    world_make(w, flow, &f);
    return world_send_frame(w, &f, flow);
}

/* Traffic of random flows for a while; every packet must arrive as it was sent. */
static inline void world_run(struct world *w, uint64_t ns, uint64_t gap_ns)
{
    for (uint64_t end = w->now_ns + ns; w->now_ns < end;) {
        struct sent s = world_send(w, (uint32_t)dune_rng_below(&w->rng, WORLD_FLOWS));

        assert_true(s.arrived);
        world_step(w, gap_ns);
    }
}

/* --- judging ----------------------------------------------------------------------------------------- */

static inline bool world_same(const struct sent *s, const struct dune_verdict *v)
{
    uint8_t flags = s->shim.flags & (uint8_t)~DUNE_SHIM_COLLISION;

    return (s->shim.flags & DUNE_SHIM_FINAL ? s->shim.cls : 0) == v->cls && s->shim.conf == v->conf &&
           s->shim.submodel == v->submodel && flags == (v->flags & (uint8_t)~DUNE_SHIM_COLLISION);
}

/* Every packet stamped with the plan's generation, through a reference chain of its own. Returns how many. */
static inline uint64_t world_judge(const struct world *w, const struct dune_plan *p)
{
    struct dune_chain *c = kit_open(p, NULL);
    uint64_t n = 0;

    for (size_t i = 0; i < w->sent.len; i++) {
        const struct sent *s = &w->sent.data[i];
        struct dune_verdict v;

        if (!s->has_shim || s->generation != p->generation)
            continue;
        v = kit_send_frame(c, &s->frame, s->tick, NULL);
        if (!v.inferable || !world_same(s, &v))
            fail_msg("packet %zu of flow %u, generation %u: class %u flags %02x sub-model %u conf %u%s, the "
                     "reference says %u %02x %u %u", i, s->flow, s->generation, s->shim.cls, s->shim.flags,
                     s->shim.submodel, s->shim.conf, s->rule_hit ? " by rule" : "", v.cls, v.flags, v.submodel,
                     v.conf);
        n++;
    }
    c->ops->close(c);
    return n;
}

#endif
