/* SPDX-License-Identifier: Apache-2.0 */
/*
 * K devices linked in memory, and the simulated controller that turns digests into rules.
 *
 *   edge -> [device 0] -shim-> [device 1] -shim-> ... [device K-1] -> edge
 *                 ^ rules  <- controller (delay) <- digests of all devices
 */
#include "targets/ref/ref_int.h"
#include "targets/target_int.h"

#include <string.h>

struct ref_chain {
    struct dune_chain base; /* first: an engine's chain starts with its operations */
    struct dune_chain_opts opts;
    uint32_t n;
    struct dune_ref_device **dev;
    uint64_t packets;
    struct dune_ballot ballot;
    DUNE_VEC(struct dune_digest) digests; /* of the packet under way */
    uint8_t *frames; /* copies of a burst's output frames: every device has only one buffer */
    size_t frames_len, frames_cap;
    size_t frame_at[DUNE_BURST_MAX];
};

static struct ref_chain *chain_of(struct dune_chain *c)
{
    return (struct ref_chain *)c;
}

static const char *available(void)
{
    return NULL;
}

static void close_chain(struct dune_chain *base)
{
    struct ref_chain *c = chain_of(base);

    if (!c)
        return;
    for (uint32_t i = 0; i < c->n; i++)
        dune_ref_device_free(c->dev[i]);
    DUNE_VEC_FREE(&c->digests);
    dune_mem_free(c->frames);
    dune_mem_free(c->dev);
    dune_mem_free(c);
}

static void collect_digest(void *ctx, const struct dune_digest *dg)
{
    struct ref_chain *c = ctx;

    DUNE_VEC_PUSH(&c->digests, *dg);
}

static int open_chain(struct dune_chain **out, const struct dune_plan *p,
                      const struct dune_chain_opts *o, struct dune_diag *d)
{
    struct ref_chain *c;
    int rc = 0;

    if (p->n_devices == 0)
        return dune_diag_set(d, DUNE_E_INPUT, NULL, "the plan has no %s",
                             p->n_devices ? "sub-models" : "devices");
    c = DUNE_NEW(struct ref_chain);
    c->base.ops = &dune_engine_reference;
    if (o)
        c->opts = *o;
    c->dev = DUNE_NEW_N(struct dune_ref_device *, p->n_devices);
    while (rc == 0 && c->n < p->n_devices) {
        struct dune_chain_opts one = c->opts;

        one.keep_shim = c->opts.keep_shim && c->n + 1 == p->n_devices;
        rc = dune_ref_device_new(&c->dev[c->n], p, (uint16_t)c->n, &one, d);
        if (rc == 0)
            dune_ref_device_on_digest(c->dev[c->n++], c->opts.rules ? collect_digest : NULL, c);
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
    struct ref_chain *c = chain_of(base);

    for (uint32_t i = 0; i < c->n; i++)
        dune_ref_device_new_capture(c->dev[i]);
    c->digests.len = 0;
}

/* Rules for later packets; the edge device's are required, those further down optional. */
static void install_rules(struct ref_chain *c)
{
    uint32_t n = c->opts.rules_everywhere ? c->n : 1;

    for (size_t k = 0; k < c->digests.len; k++) {
        const struct dune_digest *dg = &c->digests.data[k];
        uint64_t delay = DUNE_MIN(c->opts.rule_delay, UINT64_MAX - dg->tick);

        for (uint32_t i = 0; i < n; i++)
            dune_ref_device_add_rule(c->dev[i], dg, dg->tick + delay);
    }
    c->digests.len = 0;
}

static void run_packet(struct ref_chain *c, const struct dune_chain_packet *pkt,
                       struct dune_verdict *v, struct dune_device_out *o)
{
    struct dune_device_in in = {
        .data = pkt->data, .cap_len = pkt->cap_len, .wire_len = pkt->wire_len, .tick = pkt->tick,
        .port = DUNE_PORT_EDGE, .ballot = &c->ballot,
    };

    memset(&c->ballot, 0, sizeof(c->ballot));
    for (uint32_t i = 0; i < c->n; i++) {
        in.out_port = i + 1 == c->n ? DUNE_PORT_EDGE : DUNE_PORT_CHAIN;
        dune_ref_device_process(c->dev[i], &in, o);
        o->trace.packet = c->packets;
        dune_verdict_add(v, &o->trace, i == 0);
        if (c->opts.trace)
            c->opts.trace(c->opts.trace_ctx, &o->trace);
        if (!o->data)
            break;
        in.data = o->data;
        in.cap_len = o->cap_len;
        in.wire_len = o->wire_len;
        in.port = DUNE_PORT_CHAIN;
    }
    install_rules(c);
    c->packets++;
}

static void keep_frame(struct ref_chain *c, unsigned i, const struct dune_device_out *o,
                       struct dune_chain_frame *f)
{
    *f = (struct dune_chain_frame){.cap_len = o->cap_len, .wire_len = o->wire_len};
    c->frame_at[i] = o->data ? c->frames_len : SIZE_MAX;
    if (!o->data)
        return;
    if (c->frames_len + o->cap_len >= c->frames_cap) { /* >=: a frame of no bytes has an address too */
        c->frames_cap = (c->frames_len + o->cap_len + 1) * 2;
        c->frames = dune_mem_realloc(c->frames, c->frames_cap, 1);
    }
    memcpy(c->frames + c->frames_len, o->data, o->cap_len);
    c->frames_len += o->cap_len;
}

static int burst(struct dune_chain *base, const struct dune_chain_packet *pkt, unsigned n,
                 struct dune_verdict *v, struct dune_chain_frame *out_frame, struct dune_diag *d)
{
    struct ref_chain *c = chain_of(base);
    struct dune_device_out o;

    if (n > DUNE_BURST_MAX)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "burst of %u packets, at most %d", n,
                             DUNE_BURST_MAX);
    c->frames_len = 0;
    for (unsigned i = 0; i < n; i++) {
        run_packet(c, &pkt[i], &v[i], &o);
        if (out_frame)
            keep_frame(c, i, &o, &out_frame[i]);
    }
    for (unsigned i = 0; out_frame && i < n; i++)
        if (c->frame_at[i] != SIZE_MAX)
            out_frame[i].data = c->frames + c->frame_at[i];
    return 0;
}

static void counters(const struct dune_chain *base, uint32_t device, struct dune_counters *out)
{
    const struct ref_chain *c = (const struct ref_chain *)base;

    if (device < c->n)
        *out = *dune_ref_device_counters(c->dev[device]);
    else
        memset(out, 0, sizeof(*out));
}

struct dune_ref_device *dune_ref_chain_device(struct dune_chain *base, uint32_t i)
{
    struct ref_chain *c = chain_of(base);

    return i < c->n ? c->dev[i] : NULL;
}

int dune_ref_chain_update(struct dune_chain *base, const struct dune_plan *p, uint64_t now,
                          struct dune_diag *d)
{
    struct ref_chain *c = chain_of(base);

    if (p->n_devices != c->n)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "the chain has %u devices, the new plan %u",
                             c->n, p->n_devices);
    for (uint32_t i = 0; i < c->n; i++) {
        int rc = dune_ref_device_load(c->dev[i], p, d);

        if (rc) { /* all or none */
            struct dune_diag ignored = {0};

            while (i-- > 0)
                if (dune_ref_device_unload(c->dev[i], p->generation, &ignored))
                    return DUNE_E_INTERNAL;
            return rc;
        }
    }
    for (uint32_t i = 0; i < c->n; i++) {
        int rc = dune_ref_device_stamp(c->dev[i], p->generation, now, d);

        if (rc)
            return rc;
    }
    return 0;
}

const struct dune_engine_ops dune_engine_reference = {
    .name = "reference",
    .available = available,
    .open = open_chain,
    .new_capture = new_capture,
    .burst = burst,
    .counters = counters,
    .close = close_chain,
};
