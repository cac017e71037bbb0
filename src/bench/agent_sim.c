/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/agent_sim.h"
#include "bench/bench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { DRAIN_NS = 200000000, BURST_MAX = 4096, NAP_US = 1000 };

struct sim_agent {
    struct dune_live live; /* first */
    struct dune_bus bus;   /* what the agent sees of its thread's connection */
    struct sim_thread *thread;
    struct dune_bus *connection;
    struct dune_agent *agent;
    dune_digest_fn digest_fn;
    void *digest_ctx;
    char name[24];
    uint32_t number;
    uint16_t held[2], position, stamped, n_classes;
    uint32_t n_held, share;
    uint64_t drain_until, n_digests;
};

struct sim_thread {
    struct agent_sim *sim;
    pthread_t thread;
    bool started;
    struct sim_agent *agent;
    uint32_t n_agents, at; /* at: whose turn it is to make a digest */
    struct dune_bus **connection;
    uint32_t n_connections;
    _Atomic uint64_t digests, rules, loads, last_rule_ns;
    pthread_mutex_t lock; /* of the times */
    struct agent_sim_times times;
};

struct agent_sim {
    struct agent_sim_cfg cfg;
    struct sim_thread *thread;
    _Atomic uint64_t rate;
    _Atomic bool stop;
};

static struct sim_agent *of_live(struct dune_live *l)
{
    return (struct sim_agent *)l;
}

/* --- a device without packets ------------------------------------------------------------------------------------- */

static int load(struct dune_live *l, const struct dune_plan *p, uint16_t position, struct dune_diag *d)
{
    struct sim_agent *a = of_live(l);

    if (a->n_held == 2)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "two generations are held");
    a->held[a->n_held++] = p->generation;
    a->position = position;
    a->n_classes = (uint16_t)p->n_classes;
    if (!a->stamped) {
        a->stamped = p->generation;
        a->share = DUNE_CTL_SHARE;
    }
    atomic_fetch_add(&a->thread->loads, 1);
    return 0;
}

static int stamp(struct dune_live *l, uint16_t generation, uint32_t share, uint64_t now, struct dune_diag *d)
{
    struct sim_agent *a = of_live(l);

    (void)d;
    a->stamped = generation;
    a->share = share;
    a->drain_until = now + dune_tick(DRAIN_NS);
    return 0;
}

static int unload(struct dune_live *l, uint16_t generation, struct dune_diag *d)
{
    struct sim_agent *a = of_live(l);

    (void)d;
    for (uint32_t i = 0; i < a->n_held; i++)
        if (a->held[i] == generation)
            a->held[i--] = a->held[--a->n_held];
    if (a->stamped == generation)
        a->stamped = a->n_held ? a->held[0] : 0;
    return 0;
}

static void put_rule(struct dune_live *l, const struct dune_digest *dg, uint64_t from)
{
    struct sim_thread *t = of_live(l)->thread;
    uint64_t now = bench_wall_ns(), tick = dune_tick(now);
    uint64_t us = (tick > from ? tick - from : 0) * 1024 / 1000;

    (void)dg;
    atomic_fetch_add(&t->rules, 1);
    atomic_store(&t->last_rule_ns, now);
    pthread_mutex_lock(&t->lock);
    DUNE_VEC_PUSH(&t->times.us, (uint32_t)DUNE_MIN(us, (uint64_t)UINT32_MAX));
    pthread_mutex_unlock(&t->lock);
}

static void on_digest(struct dune_live *l, dune_digest_fn fn, void *ctx)
{
    of_live(l)->digest_fn = fn;
    of_live(l)->digest_ctx = ctx;
}

static void status(const struct dune_live *l, struct dune_live_status *out)
{
    const struct sim_agent *a = (const struct sim_agent *)l;

    *out = (struct dune_live_status){.n_held = a->n_held, .held = {a->held[0], a->held[1]}, .position = a->position,
                                     .stamped = a->stamped, .share = a->share, .drain_until = a->drain_until};
}

static void counters(const struct dune_live *l, struct dune_counters *out)
{
    const struct sim_agent *a = (const struct sim_agent *)l;

    *out = (struct dune_counters){.in = a->n_digests * 20, .out = a->n_digests * 20, .inferred = a->n_digests * 3,
                                  .settled = a->n_digests, .digests = a->n_digests};
}

static void close_nothing(struct dune_live *l)
{
    (void)l;
}

static const struct dune_live_ops live_ops = {
    .name = "simulated", .shares = true, .load = load, .stamp = stamp, .unload = unload, .put_rule = put_rule,
    .on_digest = on_digest, .status = status, .counters = counters, .close = close_nothing,
};

/* --- a connection that agents share: the thread polls it, not each of them ------------------------------------------ */

static struct sim_agent *of_bus(struct dune_bus *b)
{
    return (struct sim_agent *)((char *)b - offsetof(struct sim_agent, bus));
}

static int publish(struct dune_bus *b, const char *subject, const void *data, size_t len, struct dune_diag *d)
{
    struct dune_bus *c = of_bus(b)->connection;

    return c->ops->publish(c, subject, data, len, d);
}

static int subscribe(struct dune_bus *b, const char *subject, dune_bus_fn fn, void *ctx, struct dune_diag *d)
{
    struct dune_bus *c = of_bus(b)->connection;

    return c->ops->subscribe(c, subject, fn, ctx, d);
}

static int poll_nothing(struct dune_bus *b, int timeout_ms, struct dune_diag *d)
{
    (void)b, (void)timeout_ms, (void)d;
    return 0;
}

static const struct dune_bus_ops bus_ops = {.name = "shared", .publish = publish, .subscribe = subscribe,
                                            .poll = poll_nothing};

/* --- threads -------------------------------------------------------------------------------------------------------- */

/* A flow that nobody else has: agent and number in its addresses and ports. */
static void make_digest(struct sim_agent *a, uint64_t now)
{
    struct dune_digest dg = {.generation = a->stamped, .tick = dune_tick(now), .flags = DUNE_SHIM_FL, .conf = 200,
                             .device = a->position};
    uint64_t flow = a->n_digests++;

    if (!a->digest_fn)
        return;
    dg.cls = (uint8_t)(1 + flow % DUNE_MAX(a->n_classes, 1u));
    dg.key.len = 13;
    dg.key.bytes[0] = 10;
    memcpy(dg.key.bytes + 1, &a->number, 3);
    memcpy(dg.key.bytes + 4, &flow, 8);
    dg.key.bytes[12] = 17;
    a->digest_fn(a->digest_ctx, &dg);
    atomic_fetch_add(&a->thread->digests, 1);
}

static void make_digests(struct sim_thread *t, uint64_t n, uint64_t now)
{
    for (uint32_t skipped = 0; n && skipped < t->n_agents;) {
        struct sim_agent *a = &t->agent[t->at++ % t->n_agents];

        if (!a->stamped) {
            skipped++;
            continue;
        }
        skipped = 0;
        make_digest(a, now);
        n--;
    }
}

static void *run_thread(void *arg)
{
    struct sim_thread *t = arg;
    struct dune_diag ignored = {0};
    uint64_t last = bench_wall_ns();
    double due = 0;

    while (!atomic_load(&t->sim->stop)) {
        uint64_t now = bench_wall_ns();
        uint64_t n;

        for (uint32_t i = 0; i < t->n_connections; i++)
            (void)t->connection[i]->ops->poll(t->connection[i], 0, &ignored);
        due += (double)(now - last) / 1e9 * (double)atomic_load(&t->sim->rate) * t->n_agents / t->sim->cfg.n_agents;
        last = now;
        n = (uint64_t)due;
        due -= (double)n;
        make_digests(t, DUNE_MIN(n, (uint64_t)BURST_MAX), now);
        for (uint32_t i = 0; i < t->n_agents; i++)
            dune_agent_step(t->agent[i].agent, now);
        usleep(NAP_US);
    }
    return NULL;
}

void agent_sim_place(const struct agent_sim_cfg *cfg, uint32_t i, char *out, size_t bytes)
{
    snprintf(out, bytes, "a%05u:%u:%u", i, i % cfg->chain_length + 1, i / cfg->chain_length);
}

static int open_connections(struct sim_thread *t, uint32_t n, struct dune_diag *d)
{
    struct dune_bus_nats_cfg cfg = {.url = t->sim->cfg.url};
    int rc = 0;

    t->connection = DUNE_NEW_N(struct dune_bus *, n);
    while (rc == 0 && t->n_connections < n) {
        rc = dune_bus_nats_connect(&t->connection[t->n_connections], &cfg, d);
        t->n_connections += rc == 0;
    }
    return rc;
}

static int open_agents(struct sim_thread *t, uint32_t first, uint32_t n, struct dune_diag *d)
{
    int rc = 0;

    t->agent = DUNE_NEW_N(struct sim_agent, n);
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        struct sim_agent *a = &t->agent[i];
        struct dune_agent_cfg cfg = {.device = a->name};

        a->live.ops = &live_ops;
        a->bus.ops = &bus_ops;
        a->thread = t;
        a->connection = t->connection[i % t->n_connections];
        a->number = first + i;
        snprintf(a->name, sizeof(a->name), "a%05u", a->number);
        rc = dune_agent_new(&a->agent, &cfg, &a->live, &a->bus, d);
        t->n_agents += rc == 0;
    }
    return rc;
}

int agent_sim_start(struct agent_sim **out, const struct agent_sim_cfg *cfg, struct dune_diag *d)
{
    struct agent_sim *s = DUNE_NEW(struct agent_sim);
    uint32_t done = 0;
    int rc = 0;

    s->cfg = *cfg;
    s->thread = DUNE_NEW_N(struct sim_thread, cfg->n_threads);
    for (uint32_t i = 0; rc == 0 && i < cfg->n_threads; i++) {
        struct sim_thread *t = &s->thread[i];
        uint32_t n = cfg->n_agents / cfg->n_threads + (i < cfg->n_agents % cfg->n_threads);

        t->sim = s;
        pthread_mutex_init(&t->lock, NULL);
        rc = open_connections(t, DUNE_MAX(cfg->n_connections / cfg->n_threads, 1u), d);
        if (rc == 0)
            rc = open_agents(t, done, n, d);
        done += n;
        if (rc == 0 && pthread_create(&t->thread, NULL, run_thread, t) != 0)
            rc = dune_diag_set(d, DUNE_E_ENV, NULL, "cannot start a thread");
        t->started = rc == 0;
    }
    *out = s;
    if (rc) {
        agent_sim_stop(s);
        *out = NULL;
    }
    return rc;
}

void agent_sim_stop(struct agent_sim *s)
{
    if (!s)
        return;
    atomic_store(&s->stop, true);
    for (uint32_t i = 0; i < s->cfg.n_threads; i++) {
        struct sim_thread *t = &s->thread[i];

        if (t->started)
            pthread_join(t->thread, NULL);
        for (uint32_t k = 0; k < t->n_agents; k++)
            dune_agent_free(t->agent[k].agent);
        for (uint32_t k = 0; k < t->n_connections; k++)
            t->connection[k]->ops->close(t->connection[k]);
        if (t->sim)
            pthread_mutex_destroy(&t->lock);
        DUNE_VEC_FREE(&t->times.us);
        dune_mem_free(t->agent);
        dune_mem_free(t->connection);
    }
    dune_mem_free(s->thread);
    dune_mem_free(s);
}

void agent_sim_set_rate(struct agent_sim *s, uint64_t per_second)
{
    atomic_store(&s->rate, per_second);
}

void agent_sim_totals(struct agent_sim *s, struct agent_sim_totals *out)
{
    *out = (struct agent_sim_totals){0};
    for (uint32_t i = 0; i < s->cfg.n_threads; i++) {
        struct sim_thread *t = &s->thread[i];

        out->digests += atomic_load(&t->digests);
        out->rules += atomic_load(&t->rules);
        out->loads += atomic_load(&t->loads);
        out->last_rule_ns = DUNE_MAX(out->last_rule_ns, atomic_load(&t->last_rule_ns));
    }
}

void agent_sim_take(struct agent_sim *s, struct agent_sim_times *out)
{
    for (uint32_t i = 0; i < s->cfg.n_threads; i++) {
        struct sim_thread *t = &s->thread[i];

        pthread_mutex_lock(&t->lock);
        for (size_t k = 0; k < t->times.us.len; k++)
            DUNE_VEC_PUSH(&out->us, t->times.us.data[k]);
        t->times.us.len = 0;
        pthread_mutex_unlock(&t->lock);
    }
}
