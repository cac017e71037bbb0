/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engine "xdp": the devices of a plan as loaded XDP programs, linked by the host: every packet goes through
 * BPF_PROG_TEST_RUN of each of them, with the tick in front of the frame. Slow, and exactly the program that
 * runs on interfaces but for clock and ports.
 */
#include "targets/target_int.h"
#include "targets/xdp/xdp_skel.h"

#include <string.h>

enum { LEAST = 14, LARGEST = 60000, ROOM = 64 }; /* bytes of a frame in a test run; what lies behind is carried beside it */

struct xdp_chain {
    struct dune_chain base; /* first */
    struct dune_chain_opts opts;
    uint32_t n;
    struct dune_xdp **dev;
    uint64_t packets;
    DUNE_VEC(struct dune_digest) digests; /* of the packet under way */
    uint8_t *buf[2]; /* the frame before and behind the device in hand */
    size_t buf_cap;
    uint8_t *frames;
    size_t frames_len, frames_cap;
    size_t frame_at[DUNE_BURST_MAX];
};

/* The packet between two devices. */
struct moving {
    const uint8_t *data;
    uint32_t cap_len, wire_len;
};

static struct xdp_chain *chain_of(struct dune_chain *c)
{
    return (struct xdp_chain *)c;
}

static void close_chain(struct dune_chain *base)
{
    struct xdp_chain *c = chain_of(base);

    if (!c)
        return;
    for (uint32_t i = 0; i < c->n; i++)
        dune_xdp_close(c->dev[i], DUNE_XDP_DETACH);
    DUNE_VEC_FREE(&c->digests);
    dune_mem_free(c->buf[0]);
    dune_mem_free(c->buf[1]);
    dune_mem_free(c->frames);
    dune_mem_free(c->dev);
    dune_mem_free(c);
}

static struct dune_xdp_opts device_opts(const struct dune_chain_opts *o, const struct dune_plan *p, uint16_t device)
{
    struct dune_xdp_opts x = {.slots = o->slots, .ways = o->ways, .rules_max = o->rules ? o->rules_max : 1,
                              .digest_rate = o->digest_rate, .digest_burst = o->digest_burst, .ring_bytes = 4096,
                              .drop_edge_shim = o->drop_edge_shim, .drift = true};

    /* An update may need another layout of slots. */
    x.state_bytes = 2 * dune_xdp_state_bytes(p, device, &x);
    return x;
}

static int open_chain(struct dune_chain **out, const struct dune_plan *p, const struct dune_chain_opts *o,
                      struct dune_diag *d)
{
    struct xdp_chain *c = DUNE_NEW(struct xdp_chain);
    int rc = 0;

    c->base.ops = &dune_engine_xdp;
    if (o)
        c->opts = *o;
    if (p->n_devices == 0)
        rc = dune_diag_set(d, DUNE_E_INPUT, NULL, "the plan has no devices");
    c->dev = DUNE_NEW_N(struct dune_xdp *, p->n_devices + 1);
    while (rc == 0 && c->n < p->n_devices) {
        struct dune_xdp_opts x = device_opts(&c->opts, p, (uint16_t)c->n);

        rc = dune_xdp_open_as(&c->dev[c->n], &x, true, 0, d);
        if (rc == 0)
            rc = dune_xdp_hold(c->dev[c->n], p, (uint16_t)c->n, d);
        c->n += c->dev[c->n] != NULL;
    }
    if (rc) {
        close_chain(&c->base);
        return rc;
    }
    *out = &c->base;
    return 0;
}

static void new_capture(struct dune_chain *base)
{
    struct xdp_chain *c = chain_of(base);

    for (uint32_t i = 0; i < c->n; i++)
        dune_xdp_clear(c->dev[i]);
    c->digests.len = 0;
}

/* --- what is reported ---------------------------------------------------------------------------------------- */

static void put_answers(struct dune_device_trace *t, const struct xdp_trace *x)
{
    t->n_answers = (uint8_t)x->n_answers;
    for (uint32_t k = 0; k < x->n_answers; k++)
        t->answer[k] = (struct dune_trace_answer){
            .submodel = x->answer[k].submodel, .kind = x->answer[k].kind, .claim = x->answer[k].claim,
            .combined = x->answer[k].combined, .cls = x->answer[k].cls, .conf = x->answer[k].conf};
}

static void read_trace(const struct xdp_chain *c, uint32_t dev, struct dune_device_trace *t)
{
    const struct xdp_trace *x = c->dev[dev]->traces;

    memset(t, 0, sizeof(*t));
    t->packet = c->packets;
    t->tick = x->tick;
    t->device = (uint16_t)dev;
    t->fate = x->fate;
    t->reason = x->reason;
    t->slot = x->slot;
    t->has_shim = x->has_shim;
    t->digest = x->digest;
    t->became_final = x->became_final;
    t->dropped = x->dropped;
    t->mirrored = x->mirrored;
    t->mirror_port = x->mirror_port;
    t->steer_port = x->steer_port;
    t->slot_index = x->slot_index;
    t->way = x->way;
    t->count = x->count;
    put_answers(t, x);
    if (!x->has_shim)
        return;
    t->generation = x->generation;
    t->shim = (struct dune_shim){.version = DUNE_SHIM_VERSION, .flags = x->shim_flags, .submodel = x->shim_submodel,
                                 .cls = x->shim_cls, .conf = x->shim_conf, .generation = x->generation,
                                 .ethertype = x->ethertype};
}

/* --- packets --------------------------------------------------------------------------------------------------- */

static void reserve(struct xdp_chain *c, size_t bytes)
{
    if (bytes <= c->buf_cap)
        return;
    c->buf_cap = bytes * 2;
    for (int i = 0; i < 2; i++)
        c->buf[i] = dune_mem_realloc(c->buf[i], c->buf_cap, 1);
}

static bool keeps(const struct xdp_chain *c, uint32_t dev)
{
    return dev + 1 < c->n || c->opts.keep_shim;
}

/* Frames below 14 bytes do not exist for a network card: they are filled up, and the program is told. */
static int run_device(struct xdp_chain *c, uint32_t dev, uint64_t tick, struct moving *m, struct dune_diag *d)
{
    uint32_t body = DUNE_MIN(m->cap_len, LARGEST), tail = m->cap_len - body;
    struct xdp_test_meta meta = {.tick = tick, .in_kind = dev ? DUNE_PORT_CHAIN : DUNE_PORT_EDGE,
                                 .out_kind = keeps(c, dev) ? DUNE_PORT_CHAIN : DUNE_PORT_EDGE,
                                 .cut = m->cap_len < LEAST};
    uint8_t small[LEAST] = {0}, *out;
    struct xdp_run r = {.in = m->data, .in_len = body};
    int rc;

    out = c->buf[dev & 1];
    r.out = out;
    r.room = body + ROOM;
    if (meta.cut) {
        if (body)
            memcpy(small, m->data, body);
        r.in = small;
        r.in_len = LEAST;
    }
    rc = dune_xdp_test_run(c->dev[dev], &r, &meta, d);
    if (rc)
        return rc;
    if (tail)
        memcpy(out + r.out_len, m->data + body, tail);
    m->data = out;
    m->cap_len = meta.cut ? body : r.out_len + tail;
    return 0;
}

/* Every link adds 8 bytes and the next device takes them away again, in 32 bits. */
static uint32_t wire_len(const struct xdp_chain *c, uint32_t dev, const struct dune_device_trace *t, uint32_t len)
{
    if (c->dev[dev]->traces->shim_came)
        len -= DUNE_MIN(len, DUNE_SHIM_BYTES);
    return t->has_shim && keeps(c, dev) ? len + DUNE_SHIM_BYTES : len;
}

static void collect_digest(void *ctx, const struct dune_digest *dg)
{
    struct xdp_chain *c = ctx;

    if (c->opts.rules)
        DUNE_VEC_PUSH(&c->digests, *dg);
}

static void install_rules(struct xdp_chain *c)
{
    uint32_t n = c->opts.rules_everywhere ? c->n : 1;
    uint32_t max = c->opts.rules_max ? c->opts.rules_max : DUNE_RULES_MAX_DEFAULT;

    for (size_t k = 0; k < c->digests.len; k++) {
        const struct dune_digest *dg = &c->digests.data[k];
        uint64_t delay = DUNE_MIN(c->opts.rule_delay, UINT64_MAX - dg->tick);

        for (uint32_t i = 0; i < n; i++)
            dune_xdp_queue_rule(c->dev[i], dg, dg->tick + delay, max);
    }
    c->digests.len = 0;
}

static int run_packet(struct xdp_chain *c, const struct dune_chain_packet *pkt, struct dune_verdict *v,
                      struct moving *m, struct dune_diag *d)
{
    struct dune_device_trace t;

    reserve(c, (size_t)pkt->cap_len + ROOM + DUNE_SHIM_BYTES);
    *m = (struct moving){pkt->data, pkt->cap_len, pkt->wire_len};
    for (uint32_t i = 0; i < c->n; i++) {
        int rc = run_device(c, i, pkt->tick, m, d);

        if (rc)
            return rc;
        read_trace(c, i, &t);
        dune_verdict_add(v, &t, i == 0);
        if (c->opts.trace)
            c->opts.trace(c->opts.trace_ctx, &t);
        rc = t.digest ? dune_xdp_poll(c->dev[i], 0, collect_digest, c, d) : 0;
        if (rc < 0)
            return rc;
        m->wire_len = wire_len(c, i, &t, m->wire_len);
        if (t.dropped) {
            m->data = NULL;
            break;
        }
    }
    install_rules(c);
    c->packets++;
    return 0;
}

static void keep_frame(struct xdp_chain *c, unsigned i, const struct moving *m, struct dune_chain_frame *f)
{
    *f = (struct dune_chain_frame){0};
    c->frame_at[i] = m->data ? c->frames_len : SIZE_MAX;
    if (!m->data)
        return;
    f->cap_len = m->cap_len;
    f->wire_len = m->wire_len;
    if (c->frames_len + m->cap_len >= c->frames_cap) { /* >=: a frame of no bytes has an address too */
        c->frames_cap = (c->frames_len + m->cap_len + 1) * 2;
        c->frames = dune_mem_realloc(c->frames, c->frames_cap, 1);
    }
    memcpy(c->frames + c->frames_len, m->data, m->cap_len);
    c->frames_len += m->cap_len;
}

static int burst(struct dune_chain *base, const struct dune_chain_packet *pkt, unsigned n, struct dune_verdict *v,
                 struct dune_chain_frame *out_frame, struct dune_diag *d)
{
    struct xdp_chain *c = chain_of(base);
    struct moving m;

    if (n > DUNE_BURST_MAX)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "burst of %u packets, at most %d", n, DUNE_BURST_MAX);
    c->frames_len = 0;
    for (unsigned i = 0; i < n; i++) {
        int rc = run_packet(c, &pkt[i], &v[i], &m, d);

        if (rc)
            return rc;
        if (out_frame)
            keep_frame(c, i, &m, &out_frame[i]);
    }
    for (unsigned i = 0; out_frame && i < n; i++)
        if (c->frame_at[i] != SIZE_MAX)
            out_frame[i].data = c->frames + c->frame_at[i];
    return 0;
}

static void counters(const struct dune_chain *base, uint32_t device, struct dune_counters *out)
{
    const struct xdp_chain *c = (const struct xdp_chain *)base;

    memset(out, 0, sizeof(*out));
    if (device < c->n)
        dune_xdp_counters(c->dev[device], out, NULL);
}

/* --- for tests ---------------------------------------------------------------------------------------------------- */

int dune_xdp_chain_update(struct dune_chain *base, const struct dune_plan *p, uint64_t now, struct dune_diag *d)
{
    struct xdp_chain *c = chain_of(base);

    if (p->n_devices != c->n)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "the chain has %u devices, the new plan %u", c->n, p->n_devices);
    for (uint32_t i = 0; i < c->n; i++) {
        int rc = dune_xdp_hold(c->dev[i], p, (uint16_t)i, d);

        if (rc == 0)
            continue;
        while (i-- > 0) { /* all or none */
            struct dune_diag ignored = {0};

            if (dune_xdp_release(c->dev[i], p->generation, &ignored))
                return DUNE_E_INTERNAL;
        }
        return rc;
    }
    for (uint32_t i = 0; i < c->n; i++) {
        int rc = dune_xdp_stamp_at(c->dev[i], p->generation, DUNE_STAMP_ALL, now, d);

        if (rc)
            return rc;
    }
    return 0;
}

struct dune_xdp *dune_xdp_chain_device(struct dune_chain *base, uint32_t i)
{
    struct xdp_chain *c = chain_of(base);

    return i < c->n ? c->dev[i] : NULL;
}

const struct dune_engine_ops dune_engine_xdp = {
    .name = "xdp",
    .available = dune_xdp_available,
    .open = open_chain,
    .new_capture = new_capture,
    .burst = burst,
    .counters = counters,
    .close = close_chain,
};
