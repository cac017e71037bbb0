/* SPDX-License-Identifier: Apache-2.0 */
/* The fast engine: opening, generations, bursts, counters. */
#include "targets/core/dune_core_model.h"
#include "targets/fast/fast_int.h"

#include <string.h>

#include "targets/target_int.h"

enum { BATCH = 2048, MAX_WORKERS = 64, SHARE_FROM = 256 /* packets; fewer are done before the others are awake */ };

static struct fast_chain *chain_of(struct dune_chain *c)
{
    return (struct fast_chain *)c;
}

static const char *available(void)
{
    return NULL;
}

/* --- generations ------------------------------------------------------------------------------------------ */

static int check_plan(const struct fast_chain *c, const struct dune_plan *p, struct dune_diag *d)
{
    uint32_t slots = c->opts.slots ? c->opts.slots : p->slots;
    uint32_t ways = c->opts.ways ? c->opts.ways : p->ways;
    int rc;

    if (p->n_devices == 0)
        return dune_diag_set(d, DUNE_E_INPUT, NULL, "the plan has no devices");
    if (c->alone >= (int)p->n_devices)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "the plan has %u devices, there is no device %d", p->n_devices, c->alone);
    if (p->claim == DUNE_CLAIM_VOTES)
        return dune_diag_set(d, DUNE_E_INPUT, NULL,
                             "claim rule votes needs the reference engine: its votes travel beside the packet");
    rc = dune_state_check(p, slots, ways, d);
    if (rc)
        return rc;
    if (p->shim_ethertype < 0x0600 || p->shim_ethertype == 0x0800 || p->shim_ethertype == 0x8100 ||
        p->shim_ethertype == 0x88A8)
        return dune_diag_set(d, DUNE_E_INPUT, NULL, "the shim's EtherType %04x means something else",
                             p->shim_ethertype);
    return 0;
}

static void release(struct fast_gen *g)
{
    for (uint32_t i = 0; g->model && i < g->n_dev; i++)
        dune_fast_model_fini(&g->model[i]);
    for (uint32_t i = 0; g->table && i < g->n_dev; i++)
        dune_fast_table_fini(&g->table[i]);
    dune_fast_model_fini(&g->whole);
    dune_fast_rules_close(g, g->n_dev);
    dune_fast_drift_free(g->drift);
    dune_mem_free(g->model);
    dune_mem_free(g->table);
    memset(g, 0, sizeof(*g));
}

static void make_table(const struct fast_chain *c, struct fast_gen *g, uint32_t i, const struct fast_model *m)
{
    const struct dune_plan *p = g->plan;

    dune_fast_table_init(&g->table[i], c->opts.slots ? c->opts.slots : p->slots, c->opts.ways ? c->opts.ways : p->ways,
                         m->layout.bytes, p->timeout);
    g->table[i].syn_timeout = p->syn_timeout;
    g->table[i].layout = &m->layout;
}

static int hold(struct fast_chain *c, struct fast_gen *g, const struct dune_plan *p, struct dune_diag *d)
{
    int rc = 0;

    *g = (struct fast_gen){.held = true, .plan = p, .n_dev = p->n_devices};
    dune_fast_hash_init(&g->hash, p);
    dune_core_rule_make(&g->rule, p);
    g->filters = p->filter.n_prefixes || p->filter.n_ports || p->filter.n_protos;
    for (uint32_t i = 0; i < p->n_classes; i++)
        g->acts |= p->cls[i].action != DUNE_ACTION_FORWARD;
    g->model = DUNE_NEW_N(struct fast_model, p->n_devices);
    g->table = DUNE_NEW_N(struct fast_table, p->n_devices);
    for (uint32_t i = 0; rc == 0 && i < p->n_devices; i++)
        if (c->alone < 0 || c->alone == (int)i)
            rc = dune_fast_model_init(&g->model[i], p, (uint16_t)i, d);
    g->fused = rc == 0 && c->alone < 0 && dune_fast_can_fuse(c, g);
    if (g->fused)
        rc = dune_fast_model_init(&g->whole, p, DUNE_CORE_ALL_DEVICES, d);
    if (rc == 0 && c->counting)
        g->drift = dune_fast_drift_new(p, (uint16_t)c->alone);
    if (g->fused && g->whole.keeps_state)
        make_table(c, g, 0, &g->whole);
    for (uint32_t i = 0; rc == 0 && !g->fused && i < p->n_devices; i++)
        if (g->model[i].keeps_state)
            make_table(c, g, i, &g->model[i]);
    if (rc)
        release(g);
    else if (c->opts.rules)
        dune_fast_rules_open(g, p->n_devices, c->opts.rules_max);
    return rc;
}

static void want_words(uint32_t words[DUNE_MAX_SUBMODELS], const struct fast_model *m)
{
    for (uint32_t k = 0; k < m->n_sub; k++)
        words[k] = DUNE_MAX(words[k], m->sub[k].fields.stride);
}

static void size_vectors(struct fast_chain *c, struct fast_worker *w)
{
    uint32_t words[DUNE_MAX_SUBMODELS] = {0};

    for (unsigned g = 0; g < 2; g++) {
        want_words(words, &c->gen[g].whole);
        for (uint32_t i = 0; i < c->gen[g].n_dev; i++)
            want_words(words, &c->gen[g].model[i]);
    }
    for (uint32_t k = 0; k < DUNE_MAX_SUBMODELS; k++) {
        dune_fast_vectors_fini(&w->x[k]);
        if (words[k])
            dune_fast_vectors_init(&w->x[k], FAST_CHUNK, words[k]);
    }
}

/* What follows from the generations that are held. */
static void settle_in(struct fast_chain *c)
{
    bool two = c->gen[0].held && c->gen[1].held;

    c->max_vlan = 0;
    for (unsigned g = 0; g < 2; g++)
        if (c->gen[g].held)
            c->max_vlan = DUNE_MAX(c->max_vlan, c->gen[g].plan->parser.max_vlan);
    c->one_by_one = c->opts.rules || c->opts.trace || two;
    c->full_parse = c->one_by_one || c->gen[c->stamp].filters;
    c->straight = !c->full_parse && !c->opts.digest_rate && !c->gen[c->stamp].acts;
    for (unsigned i = 0; i < c->n_workers; i++)
        size_vectors(c, c->worker[i]);
}

int dune_fast_hold_other(struct fast_chain *c, const struct dune_plan *p, struct dune_diag *d)
{
    const struct dune_plan *now = c->gen[c->stamp].plan;
    unsigned next = !c->stamp;
    int rc = check_plan(c, p, d);

    if (rc)
        return rc;
    if (p->generation == now->generation || (c->gen[next].held && p->generation == c->gen[next].plan->generation))
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "generation %u is held already", p->generation);
    if (c->gen[next].held)
        return dune_diag_set(d, DUNE_E_USAGE, NULL,
                             "two generations are held: generation %u waits until %u is drained",
                             p->generation, c->gen[next].plan->generation);
    if (p->shim_ethertype != c->shim_ethertype)
        return dune_diag_set(d, DUNE_E_USAGE, NULL,
                             "generation %u has shim EtherType %04x, the chain runs with %04x",
                             p->generation, p->shim_ethertype, c->shim_ethertype);
    rc = hold(c, &c->gen[next], p, d);
    if (rc)
        return rc;
    dune_fast_counters_fold(c);
    if (c->gen[c->stamp].fused)
        dune_fast_unfuse(c, &c->gen[c->stamp]);
    settle_in(c);
    return 0;
}

void dune_fast_set_stamp(struct fast_chain *c, unsigned gen)
{
    dune_fast_counters_fold(c);
    c->stamp = gen;
    settle_in(c);
}

int dune_fast_update(struct dune_chain *base, const struct dune_plan *p, uint64_t now, struct dune_diag *d)
{
    struct fast_chain *c = chain_of(base);
    const struct dune_plan *old = c->gen[c->stamp].plan;
    int rc;

    if (p->n_devices != c->n_dev)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "the chain has %u devices, the new plan %u", c->n_dev,
                             p->n_devices);
    rc = dune_fast_hold_other(c, p, d);
    if (rc)
        return rc;
    dune_fast_set_stamp(c, !c->stamp);
    c->drain_until = dune_drain_deadline(now, old->timeout);
    return 0;
}

int dune_fast_unload(struct dune_chain *base, uint16_t generation, struct dune_diag *d)
{
    struct fast_chain *c = chain_of(base);

    if (c->gen[c->stamp].plan->generation == generation)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "generation %u is being stamped", generation);
    if (!c->gen[!c->stamp].held || c->gen[!c->stamp].plan->generation != generation)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "generation %u is not held", generation);
    dune_fast_counters_fold(c);
    release(&c->gen[!c->stamp]);
    settle_in(c);
    return 0;
}

/* --- opening and closing ---------------------------------------------------------------------------------- */

static void free_worker(struct fast_worker *w)
{
    for (uint32_t k = 0; k < DUNE_MAX_SUBMODELS; k++)
        dune_fast_vectors_fini(&w->x[k]);
    dune_fast_share_free(w->share);
    dune_mem_free(w->stage);
    dune_mem_free(w->dev);
    dune_mem_free(w);
}

static void close_chain(struct dune_chain *base)
{
    struct fast_chain *c = chain_of(base);

    if (!c)
        return;
    dune_fast_pool_free(c->pool);
    for (unsigned i = 0; i < c->n_workers; i++)
        free_worker(c->worker[i]);
    release(&c->gen[0]);
    release(&c->gen[1]);
    DUNE_VEC_FREE(&c->digests);
    dune_mem_free(c->worker);
    dune_mem_free(c->bucket);
    dune_mem_free(c->pkt);
    dune_mem_free(c->frames);
    dune_mem_free(c);
}

/* Rules, digest tokens and a trace belong to the whole device: one worker. */
static unsigned workers_for(const struct dune_chain_opts *o)
{
    unsigned n = DUNE_MIN(o->threads, MAX_WORKERS);

    return n < 2 || o->rules || o->trace || o->digest_rate ? 1 : n;
}

static int open_with(struct fast_chain **out, const struct dune_plan *p, int alone, const struct dune_chain_opts *o,
                     struct dune_diag *d)
{
    struct fast_chain *c = DUNE_NEW(struct fast_chain);
    int rc;

    c->base.ops = &dune_engine_fast;
    c->alone = alone;
    if (o)
        c->opts = *o;
    c->n_dev = p->n_devices;
    c->shim_ethertype = p->shim_ethertype;
    rc = check_plan(c, p, d);
    if (rc == 0)
        rc = hold(c, &c->gen[0], p, d);
    if (rc) {
        close_chain(&c->base);
        return rc;
    }
    c->bucket = DUNE_NEW_N(struct fast_bucket, c->n_dev);
    c->n_workers = workers_for(&c->opts);
    c->worker = DUNE_NEW_N(struct fast_worker *, c->n_workers);
    for (unsigned i = 0; i < c->n_workers; i++) {
        c->worker[i] = DUNE_NEW(struct fast_worker);
        c->worker[i]->dev = DUNE_NEW_N(struct fast_counts, c->n_dev);
        c->worker[i]->stage = DUNE_NEW_N(struct fast_stage_counts, c->n_dev);
    }
    if (c->n_workers > 1)
        c->pool = dune_fast_pool_new(c->n_workers);
    c->n_pkt = c->n_workers > 1 ? BATCH : FAST_CHUNK;
    c->pkt = DUNE_NEW_N(struct fast_pkt, c->n_pkt);
    settle_in(c);
    *out = c;
    return 0;
}

static int open_chain(struct dune_chain **out, const struct dune_plan *p, const struct dune_chain_opts *o,
                      struct dune_diag *d)
{
    struct fast_chain *c;
    int rc = open_with(&c, p, -1, o, d);

    if (rc == 0)
        *out = &c->base;
    return rc;
}

int dune_fast_open_alone(struct fast_chain **out, const struct dune_plan *p, uint16_t index, const struct dune_chain_opts *o,
                         struct dune_diag *d)
{
    if (index >= p->n_devices)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "the plan has %u devices, there is no device %u", p->n_devices, index);
    return open_with(out, p, index, o, d);
}

static void new_capture(struct dune_chain *base)
{
    struct fast_chain *c = chain_of(base);

    for (unsigned g = 0; g < 2; g++) {
        for (uint32_t i = 0; i < c->gen[g].n_dev; i++)
            if (c->gen[g].table[i].slot)
                dune_fast_table_clear(&c->gen[g].table[i]);
        dune_fast_rules_clear(&c->gen[g], c->gen[g].n_dev);
    }
    for (uint32_t i = 0; i < c->n_dev; i++)
        c->bucket[i].started = false;
    c->digests.len = 0;
}

/* --- packets ------------------------------------------------------------------------------------------------ */

static void receive(struct fast_chain *c, struct fast_worker *w, const struct dune_chain_packet *in,
                    struct fast_pkt *pk, size_t n)
{
    enum { AHEAD = 6 };
    const struct fast_gen *g = &c->gen[c->stamp];

    for (size_t i = 0; i < n; i++) {
        if (i + AHEAD < n)
            __builtin_prefetch(in[i + AHEAD].data);
        dune_fast_receive(c, w, &in[i], &pk[i]);
        if (pk[i].state != FAST_LIVE)
            continue;
        for (uint32_t dev = 0; dev < c->n_dev; dev++)
            if (g->model[dev].keeps_state)
                fast_table_prefetch_bucket(&g->table[dev], pk[i].index);
    }
}

/* All devices for the live packets of the worker. */
static void run_devices(struct fast_chain *c, struct fast_worker *w)
{
    for (uint32_t dev = 0; dev < c->n_dev && w->n_live; dev++)
        dune_fast_device_run(c, w, dev);
    w->n_live = 0;
}

/* One packet at a time: rules, a trace, or two generations. */
static void run_one(struct fast_chain *c, struct fast_worker *w, const struct dune_chain_packet *in,
                    struct fast_pkt *pk)
{
    bool two = c->gen[0].held && c->gen[1].held;

    dune_fast_receive(c, w, in, pk);
    for (uint32_t dev = 0; dev < c->n_dev; dev++) {
        if (dev && two && pk->state == FAST_PLAIN)
            dune_fast_receive_plain(c, w, in, dev, pk);
        if (pk->state == FAST_LIVE) {
            w->live[0] = pk;
            w->n_live = 1;
            dune_fast_device_run(c, w, dev);
        }
        if (c->opts.trace)
            dune_fast_trace(c, in, pk, dev);
        if (pk->state == FAST_GONE)
            break;
    }
    w->n_live = 0;
    if (c->opts.rules)
        dune_fast_rules_install(c, w);
}

static void run_chunk(struct fast_chain *c, const struct dune_chain_packet *in, size_t n)
{
    struct fast_worker *w = c->worker[0];

    receive(c, w, in, c->pkt, n);
    for (size_t i = 0; i < n; i++)
        if (c->pkt[i].state == FAST_LIVE)
            w->live[w->n_live++] = &c->pkt[i];
    run_devices(c, w);
}

struct batch {
    struct fast_chain *c;
    const struct dune_chain_packet *in;
    size_t n;
};

static void receive_share(void *ctx, unsigned worker)
{
    struct batch *b = ctx;
    size_t from = b->n * worker / b->c->n_workers, to = b->n * (worker + 1) / b->c->n_workers;

    receive(b->c, b->c->worker[worker], b->in + from, b->c->pkt + from, to - from);
}

/* Workers own ranges of slots, the same on all devices; so no two of them ever touch one slot. */
static void run_share(void *ctx, unsigned worker)
{
    struct batch *b = ctx;
    struct fast_chain *c = b->c;
    struct fast_worker *w = c->worker[worker];
    const struct fast_gen *g = &c->gen[c->stamp];
    uint32_t slots = c->opts.slots ? c->opts.slots : g->plan->slots;

    for (size_t i = 0; i < b->n; i++) {
        struct fast_pkt *pk = &c->pkt[i];

        /* the owner first: another worker may be writing the state of its own packet */
        if (((uint64_t)(pk->index & (slots - 1)) * c->n_workers) / slots != worker ||
            pk->state != FAST_LIVE)
            continue;
        w->live[w->n_live++] = pk;
        if (w->n_live == FAST_CHUNK)
            run_devices(c, w);
    }
    run_devices(c, w);
}

static void run_batch(struct fast_chain *c, const struct dune_chain_packet *in, size_t n)
{
    struct batch b = {c, in, n};

    dune_fast_pool_run(c->pool, receive_share, &b);
    for (size_t g = 0; g < DUNE_ARRAY_LEN(c->gen); g++)
        for (uint32_t i = 0; c->gen[g].held && i < c->gen[g].n_dev; i++)
            dune_fast_table_start(&c->gen[g].table[i], in[0].tick);
    dune_fast_pool_run(c->pool, run_share, &b);
}

int dune_fast_run(struct dune_chain *base, const struct dune_chain_packet *pkt, size_t n,
                  struct dune_verdict *v, struct dune_chain_frame *out_frame, struct dune_diag *d)
{
    struct fast_chain *c = chain_of(base);
    size_t step;

    (void)d;
    c->frames_len = 0;
    for (size_t at = 0; at < n; at += step) {
        step = c->one_by_one ? 1 : c->straight && !out_frame ? n - at : DUNE_MIN(n - at, c->n_pkt);
        if (c->straight && c->pool && !out_frame && n >= SHARE_FROM) {
            dune_fast_share_run(c, pkt + at, step, v + at);
            c->packets += step;
            continue;
        }
        if (c->straight) {
            dune_fast_lane_run(c, c->worker[0], pkt + at, c->pkt, step, v + at, out_frame);
            c->packets += step;
            for (size_t i = 0; out_frame && i < step; i++)
                dune_fast_frame(c, &pkt[at + i], &c->pkt[i], &out_frame[at + i]);
            continue;
        }
        if (c->one_by_one)
            run_one(c, c->worker[0], &pkt[at], c->pkt);
        else if (c->pool)
            run_batch(c, pkt + at, step);
        else
            run_chunk(c, pkt + at, step);
        c->packets += step;
        for (size_t i = 0; i < step; i++) {
            dune_fast_verdict(c, &c->pkt[i], &v[at + i]);
            if (out_frame)
                dune_fast_frame(c, &pkt[at + i], &c->pkt[i], &out_frame[at + i]);
        }
    }
    if (out_frame)
        dune_fast_lend_frames(c, out_frame, n);
    return 0;
}

static int burst(struct dune_chain *base, const struct dune_chain_packet *pkt, unsigned n,
                 struct dune_verdict *v, struct dune_chain_frame *out_frame, struct dune_diag *d)
{
    if (n > DUNE_BURST_MAX)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "burst of %u packets, at most %d", n, DUNE_BURST_MAX);
    return dune_fast_run(base, pkt, n, v, out_frame, d);
}

const struct dune_engine_ops dune_engine_fast = {
    .name = "fast",
    .available = available,
    .open = open_chain,
    .new_capture = new_capture,
    .burst = burst,
    .counters = dune_fast_counters,
    .close = close_chain,
};
