/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One device as an XDP program: the kernel forwards, this process is its agent. When it is killed the program
 * stays on the interfaces and goes on; a new one takes it over, with what it has counted.
 */
#include "live/live_int.h"

#include <poll.h>
#include <string.h>

#include "base/confine.h"
#include "targets/xdp/dune_xdp.h"

enum { NOWHERE = 63 }; /* number of a port that is never attached */

struct xsw {
    struct dune_live base; /* first */
    const struct dune_switch_cfg *cfg;
    struct dune_xdp *x;
    uint32_t n_held;
    uint16_t held[2], stamped, position;
    uint32_t share;
    uint64_t timeout, swept;
    dune_digest_fn fn;
    void *ctx;
    struct live_saved saved;
    struct dune_agent *agent;
    struct dune_trace_writer *trace;
};

static struct xsw *xsw_of(struct dune_live *l)
{
    return (struct xsw *)l;
}

/* --- the device as its agent sees it ------------------------------------------------------------------------ */

static int load(struct dune_live *l, const struct dune_plan *p, uint16_t position, struct dune_diag *d)
{
    struct xsw *s = xsw_of(l);
    int rc;

    if (s->n_held && position != s->position)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "this device is at position %u, the plan wants it at %u",
                             s->position, position);
    rc = dune_xdp_hold(s->x, p, position, d);
    if (rc)
        return rc;
    if (s->n_held == 0) {
        s->stamped = p->generation;
        s->share = DUNE_STAMP_ALL;
    }
    s->position = position;
    s->timeout = p->timeout;
    s->held[s->n_held++] = p->generation;
    return 0;
}

static int stamp(struct dune_live *l, uint16_t generation, uint32_t share, uint64_t now, struct dune_diag *d)
{
    struct xsw *s = xsw_of(l);
    int rc;

    (void)now; /* the program has its own clock */
    rc = dune_xdp_stamp(s->x, generation, share, d);
    if (rc == 0) {
        s->stamped = generation;
        s->share = share;
    }
    return rc;
}

static int unload(struct dune_live *l, uint16_t generation, struct dune_diag *d)
{
    struct xsw *s = xsw_of(l);
    int rc = dune_xdp_release(s->x, generation, d);

    if (rc)
        return rc;
    if (s->n_held == 2)
        s->held[0] = s->held[s->held[0] == generation];
    s->n_held--;
    s->stamped = s->n_held ? s->stamped : 0;
    return 0;
}

/* The tick of a digest counts only where it can come from a clock like ours: another host's runs from its own start. */
static void put_rule(struct dune_live *l, const struct dune_digest *dg, uint64_t from)
{
    struct xsw *s = xsw_of(l);
    struct dune_digest mine = *dg;
    uint64_t now = dune_xdp_now();

    if (mine.tick > now || now - mine.tick > s->timeout / 2)
        mine.tick = now;
    dune_xdp_add_rule(s->x, &mine, DUNE_MIN(from, now));
}

static void on_digest(struct dune_live *l, dune_digest_fn fn, void *ctx)
{
    xsw_of(l)->fn = fn;
    xsw_of(l)->ctx = ctx;
}

static void drop_digest(void *ctx, const struct dune_digest *dg)
{
    (void)ctx, (void)dg;
}

static void keep_record(void *ctx, const struct dune_live_record *r)
{
    dune_trace_put(ctx, r);
}

static void fetch_trace(struct xsw *s)
{
    struct dune_diag ignored = {0};

    if (s->trace && dune_xdp_poll_trace(s->x, keep_record, s->trace, &ignored) && s->cfg->note)
        s->cfg->note(s->cfg->note_ctx, ignored.msg);
}

static void poll_live(struct dune_live *l, uint64_t now)
{
    struct xsw *s = xsw_of(l);
    struct dune_diag ignored = {0};

    if (dune_xdp_poll(s->x, 0, s->fn ? s->fn : drop_digest, s->ctx, &ignored) < 0 && s->cfg->note)
        s->cfg->note(s->cfg->note_ctx, ignored.msg);
    fetch_trace(s);
    if (now - s->swept >= DUNE_DIGEST_REPEAT) {
        s->swept = now;
        dune_xdp_sweep_rules(s->x);
    }
}

static void count(struct dune_live *l, bool on)
{
    dune_xdp_count(xsw_of(l)->x, on);
}

static bool drift(struct dune_live *l, const struct dune_plan *p, struct dune_drift_counts *out)
{
    return dune_xdp_drift(xsw_of(l)->x, p, out);
}

static void status(const struct dune_live *l, struct dune_live_status *out)
{
    const struct xsw *s = (const struct xsw *)l;
    uint64_t bin[DUNE_XDP_LATENCY_BINS];

    memset(out, 0, sizeof(*out));
    out->n_held = s->n_held;
    memcpy(out->held, s->held, sizeof(out->held));
    out->position = s->position;
    out->stamped = s->stamped;
    out->share = s->n_held ? s->share : 0;
    out->lost = dune_xdp_refused(s->x);
    out->drain_until = s->n_held == 2 ? dune_xdp_drain_until(s->x) : 0;
    dune_xdp_latency(s->x, bin);
    out->hop_p50_ns = dune_xdp_latency_quantile(bin, 0.5);
    out->hop_p90_ns = dune_xdp_latency_quantile(bin, 0.9);
    out->hop_p99_ns = dune_xdp_latency_quantile(bin, 0.99);
}

static void counters(const struct dune_live *l, struct dune_counters *out)
{
    struct dune_xdp_more more;

    dune_xdp_counters(((const struct xsw *)l)->x, out, &more);
}

static void close_live(struct dune_live *l)
{
    dune_xdp_close(xsw_of(l)->x, DUNE_XDP_DETACH);
}

static const struct dune_live_ops xdp_ops = {
    .name = "xdp", .shares = true, .load = load, .stamp = stamp, .unload = unload, .put_rule = put_rule, .on_digest = on_digest,
    .count = count, .drift = drift, .poll = poll_live, .status = status, .counters = counters, .close = close_live,
};

/* --- ports --------------------------------------------------------------------------------------------------- */

/* Ports in are 0 ... n - 1, the ways out are n and on; actions name these numbers. */
static int attach_ports(struct xsw *s, struct dune_diag *d)
{
    const struct dune_switch_cfg *cfg = s->cfg;
    struct dune_xdp_port out = {.number = cfg->n_in, .ifname = cfg->out.ifname, .kind = cfg->out.kind,
                                .out = cfg->back ? 0 : NOWHERE, .plain = true};
    int rc = dune_xdp_attach(s->x, &out, d);

    for (uint32_t i = 0; rc == 0 && i < cfg->n_more_out; i++) {
        struct dune_xdp_port more = {.number = cfg->n_in + 1 + i, .ifname = cfg->more_out[i].ifname,
                                     .kind = cfg->more_out[i].kind, .out = NOWHERE, .plain = true};

        rc = dune_xdp_attach(s->x, &more, d);
    }
    for (uint32_t i = 0; rc == 0 && i < cfg->n_in; i++) {
        struct dune_xdp_port in = {.number = i, .ifname = cfg->in[i].ifname, .kind = cfg->in[i].kind,
                                   .out = cfg->n_in + cfg->way[i]};

        rc = dune_xdp_attach(s->x, &in, d);
    }
    return rc;
}

static int open_device(struct xsw *s, struct dune_diag *d)
{
    const struct dune_chain_opts *c = &s->cfg->opts;
    struct dune_xdp_opts o = {.slots = c->slots, .ways = c->ways, .rules_max = c->rules_max,
                              .digest_rate = c->digest_rate, .digest_burst = c->digest_burst,
                              .drop_edge_shim = c->drop_edge_shim, .keep_shim = c->keep_shim,
                              .trace = s->cfg->trace != NULL, .drift = true};

    if (dune_xdp_available())
        return dune_diag_set(d, DUNE_E_ENV, NULL, "engine xdp: %s", dune_xdp_available());
    return dune_xdp_open(&s->x, &o, d);
}

static int close_trace(struct xsw *s, struct dune_diag *d)
{
    struct dune_counters c;
    struct dune_xdp_more more;

    if (!s->trace)
        return 0;
    fetch_trace(s);
    dune_xdp_counters(s->x, &c, &more);
    return dune_trace_close(s->trace, more.events_lost, d);
}

/* --- the loop ------------------------------------------------------------------------------------------------ */

static void loop(struct xsw *s, struct dune_bus *bus)
{
    while (!dune_interrupted()) {
        struct pollfd p[2] = {{.fd = dune_xdp_digest_fd(s->x), .events = POLLIN},
                              {.fd = bus->ops->fd(bus), .events = POLLIN}};

        dune_agent_step(s->agent, dune_xdp_now() << 10); /* the program's clock is the device's */
        poll(p, p[1].fd >= 0 ? 2 : 1, 5);
    }
}

int dune_live_switch_xdp(const struct dune_switch_cfg *cfg, struct dune_bus *bus, struct dune_diag *d)
{
    struct xsw *s = DUNE_NEW(struct xsw);
    struct dune_agent_cfg agent = {.device = cfg->name, .digest = cfg->digest, .digest_ctx = cfg->digest_ctx};
    int rc;

    s->base.ops = &xdp_ops;
    s->cfg = cfg;
    rc = dune_live_check_ports(cfg, false, &s->saved, d);
    if (rc == 0)
        rc = dune_live_open_trace(s->cfg, &s->trace, d);
    if (rc == 0)
        rc = open_device(s, d);
    if (rc == 0)
        rc = attach_ports(s, d);
    if (rc == 0)
        dune_xdp_carry_counts(s->x);
    if (rc == 0)
        rc = dune_agent_new(&s->agent, &agent, &s->base, bus, d);
    if (rc == 0 && cfg->confine)
        rc = dune_confine_caps(DUNE_CAP_NET | DUNE_CAP_BPF, d);
    if (rc == 0 && cfg->confine)
        rc = dune_confine_calls(false, d);
    if (rc == 0 && cfg->note)
        cfg->note(cfg->note_ctx, dune_xdp_port_mode(s->x, 0) == DUNE_XDP_NATIVE ? "forwarding, XDP native mode"
                                                                                : "forwarding, XDP generic mode");
    if (rc == 0)
        loop(s, bus);
    dune_agent_free(s->agent);
    if (s->x && close_trace(s, rc ? NULL : d) && rc == 0)
        rc = d->code;
    if (s->x)
        close_live(&s->base);
    dune_live_restore_ports(&s->saved);
    dune_mem_free(s);
    return rc;
}
