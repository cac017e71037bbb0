/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One device on ports of any kind: frames in, the reference or the fast device, frames out; between bursts the agent.
 * Forwarding never waits for the controller.
 */
#include "live/live_int.h"

#include <poll.h>
#include <string.h>

#include "base/confine.h"

/* A block of the ring is used up every millisecond, however few frames came: the ring bridges 128 ms in which
 * nobody runs us. */
enum { TX_TRIES = 200, AGENT_NS = 1000000, RING_BYTES = 32 << 20 };

struct lsw {
    const struct dune_switch_cfg *cfg;
    struct dune_port *in[DUNE_SWITCH_PORTS], *out, *more_out[DUNE_SWITCH_PORTS];
    struct live_saved saved;
    struct dune_live *live;
    struct dune_agent *agent;
    struct live_hist hop;
    uint64_t lost, last_agent_ns, last_hop_ns;
    struct dune_trace_writer *trace;
    uint64_t traced;
    struct dune_device_out out_of[DUNE_IO_BURST_MAX]; /* of the burst under way */
};

/* --- ports --------------------------------------------------------------------------------------------- */

static bool is_spec(const struct dune_switch_port *p)
{
    return strchr(p->ifname, ':') != NULL;
}

/* The interface behind a port that is named as dune_port_open wants it, "" for one that is no interface of Linux
 * (dpdk:net_memif0,role=server): MTU and offloads of such a port are its owner's business. */
static const char *iface_of(const struct dune_switch_port *p, char name[64])
{
    static const char *const kinds[] = {"af_packet:", "af_xdp:"};

    if (!is_spec(p))
        return p->ifname;
    *name = '\0';
    for (size_t i = 0; i < DUNE_ARRAY_LEN(kinds); i++)
        if (strncmp(p->ifname, kinds[i], strlen(kinds[i])) == 0)
            snprintf(name, 64, "%.*s", (int)strcspn(p->ifname + strlen(kinds[i]), ","), p->ifname + strlen(kinds[i]));
    return name;
}

/* All of its ports, 0 to n_in + n_more_out: those in, out, more out. */
static const struct dune_switch_port *port_at(const struct dune_switch_cfg *cfg, uint32_t i)
{
    return i < cfg->n_in ? &cfg->in[i] : i == cfg->n_in ? &cfg->out : &cfg->more_out[i - cfg->n_in - 1];
}

bool dune_switch_on(const struct dune_switch_cfg *cfg, const char *kind)
{
    size_t len = strlen(kind);
    bool on = false;

    for (uint32_t i = 0; i <= cfg->n_in + cfg->n_more_out; i++) {
        const char *name = port_at(cfg, i)->ifname;

        on |= strncmp(name, kind, len) == 0 && name[len] == ':';
    }
    return on;
}

/* The widest frame that can come in without shim decides what chain links must carry. */
static int edge_mtu(const struct dune_switch_cfg *cfg, uint32_t *mtu, struct dune_diag *d)
{
    char name[64];
    uint32_t one;
    int rc = 0;

    *mtu = 0;
    for (uint32_t i = 0; rc == 0 && i < cfg->n_in; i++)
        if (cfg->in[i].kind == DUNE_PORT_EDGE && *iface_of(&cfg->in[i], name)) {
            rc = dune_iface_mtu(iface_of(&cfg->in[i], name), &one, d);
            *mtu = rc == 0 ? DUNE_MAX(*mtu, one) : *mtu;
        }
    if (rc == 0 && cfg->out.kind == DUNE_PORT_EDGE && *mtu == 0 && *iface_of(&cfg->out, name))
        rc = dune_iface_mtu(iface_of(&cfg->out, name), mtu, d);
    if (cfg->opts.keep_shim && cfg->in[0].kind == DUNE_PORT_CHAIN) /* frames leave with their shim */
        *mtu -= DUNE_MIN(*mtu, DUNE_SHIM_BYTES);
    if (rc == 0 && *mtu == 0)
        *mtu = 1500;
    return rc;
}

int dune_live_check_ports(const struct dune_switch_cfg *cfg, bool specs, struct live_saved *s, struct dune_diag *d)
{
    char name[64];
    uint32_t mtu;
    int rc = edge_mtu(cfg, &mtu, d);

    for (uint32_t i = 0; rc == 0 && i <= cfg->n_in + cfg->n_more_out; i++) {
        const struct dune_switch_port *p = port_at(cfg, i);
        const char *iface = specs ? iface_of(p, name) : p->ifname;

        if (!*iface)
            continue;
        rc = dune_iface_check(iface, p->kind == DUNE_PORT_CHAIN ? mtu + DUNE_SHIM_BYTES : 0, cfg->fix, &s->iface[s->n], d);
        s->n += rc == 0;
    }
    return rc;
}

void dune_live_restore_ports(struct live_saved *s)
{
    for (uint32_t i = 0; i < s->n; i++)
        dune_iface_restore(&s->iface[i]);
}

int dune_live_open_trace(const struct dune_switch_cfg *cfg, struct dune_trace_writer **out, struct dune_diag *d)
{
    struct dune_trace_head head = {.slots = cfg->opts.slots, .ways = cfg->opts.ways,
                                   .drop_edge_shim = cfg->opts.drop_edge_shim};

    if (!cfg->trace)
        return 0;
    snprintf(head.device, sizeof(head.device), "%s", cfg->name);
    return dune_trace_create(out, cfg->trace, &head, d);
}

static int open_port(struct dune_port **out, const struct dune_switch_port *p, struct dune_diag *d)
{
    struct dune_port_opts o = {.promiscuous = true, .ring_bytes = RING_BYTES};
    char spec[64];

    snprintf(spec, sizeof(spec), "af_packet:%s", p->ifname);
    return dune_port_open(out, is_spec(p) ? p->ifname : spec, &o, d);
}

static int open_ports(struct lsw *s, struct dune_diag *d)
{
    const struct dune_switch_cfg *cfg = s->cfg;
    int rc = dune_live_check_ports(cfg, true, &s->saved, d);

    for (uint32_t i = 0; rc == 0 && i < cfg->n_in; i++)
        rc = open_port(&s->in[i], &cfg->in[i], d);
    for (uint32_t i = 0; rc == 0 && i < cfg->n_more_out; i++)
        rc = open_port(&s->more_out[i], &cfg->more_out[i], d);
    return rc ? rc : open_port(&s->out, &cfg->out, d);
}

/* --- frames --------------------------------------------------------------------------------------------- */

static int send_all(struct lsw *s, struct dune_port *to, const struct dune_frame *f, unsigned n, struct dune_diag *d)
{
    unsigned done = 0, sent;
    int rc = 0;

    for (int tries = 0; rc == 0 && done < n && tries < TX_TRIES; tries++) {
        sent = 0;
        rc = dune_port_tx(to, f + done, n - done, &sent, d);
        done += sent;
    }
    s->lost += n - done;
    return rc;
}

static void trace_packet(struct lsw *s, const struct dune_device_in *in, const struct dune_device_trace *t)
{
    struct dune_live_status now;
    struct dune_live_record r = {
        .serial = s->traced++, .tick = in->tick, .count = t->count, .wire_len = in->wire_len,
        .slot_index = t->slot_index, .cap_len = (uint16_t)DUNE_MIN(in->cap_len, (uint32_t)DUNE_TRACE_FRAME),
        .generation = t->generation, .in_port = (uint8_t)in->port, .out_port = (uint8_t)in->out_port, .fate = t->fate,
        .reason = t->reason, .slot = t->slot, .way = t->way, .has_shim = t->has_shim, .digest = t->digest,
        .became_final = t->became_final, .dropped = t->dropped, .shim_flags = t->shim.flags,
        .shim_submodel = t->shim.submodel, .shim_cls = t->shim.cls, .shim_conf = t->shim.conf};

    s->live->ops->status(s->live, &now);
    r.position = now.position;
    memcpy(r.frame, in->data, r.cap_len);
    dune_trace_put(s->trace, &r);
}

static unsigned process(struct lsw *s, uint32_t port, const struct dune_frame *f, unsigned n, struct dune_frame *to_send)
{
    const struct dune_switch_port *p = &s->cfg->in[port];
    struct dune_device_in in[DUNE_IO_BURST_MAX];
    unsigned k = 0;

    for (unsigned i = 0; i < n; i++) {
        struct dune_chain_packet copy = {f[i].data, f[i].cap_len, f[i].wire_len, f[i].tick};

        in[i] = (struct dune_device_in){.data = f[i].data, .cap_len = f[i].cap_len, .wire_len = f[i].wire_len,
                                        .tick = f[i].tick, .port = p->kind, .out_port = s->cfg->out.kind};
        if (p->kind == DUNE_PORT_EDGE)
            dune_agent_shadow(s->agent, &copy);
    }
    dune_live_ref_burst(s->live, in, n, s->out_of);
    for (unsigned i = 0; i < n; i++) {
        const struct dune_device_out *o = &s->out_of[i];

        if (s->trace)
            trace_packet(s, &in[i], &o->trace);
        if (o->data)
            to_send[k++] = (struct dune_frame){.data = o->data, .cap_len = o->cap_len, .wire_len = o->wire_len,
                                               .ts_ns = f[i].ts_ns};
    }
    return k;
}

static int forward(struct lsw *s, uint32_t port, bool *busy, struct dune_diag *d)
{
    struct dune_frame f[DUNE_IO_BURST_MAX], out[DUNE_IO_BURST_MAX];
    unsigned got = 0, k;
    uint64_t now;
    int rc = dune_port_rx(s->in[port], f, DUNE_IO_BURST_MAX, &got, d);

    if (rc || got == 0)
        return rc;
    *busy = true;
    k = process(s, port, f, got, out);
    rc = send_all(s, s->cfg->way[port] ? s->more_out[s->cfg->way[port] - 1] : s->out, out, k, d);
    now = dune_live_now_ns();
    for (unsigned i = 0; i < k; i++)
        dune_live_hist_add(&s->hop, now > out[i].ts_ns ? now - out[i].ts_ns : 0);
    return rc;
}

/* Backwards frames pass as they are; a shim in them can only be forged. */
static int backward(struct lsw *s, bool *busy, struct dune_diag *d)
{
    struct dune_frame f[DUNE_IO_BURST_MAX];
    unsigned got = 0, k = 0;
    uint16_t ethertype = dune_live_ref_ethertype(s->live);
    uint32_t at;
    int rc = dune_port_rx(s->out, f, DUNE_IO_BURST_MAX, &got, d);

    if (rc || got == 0)
        return rc;
    *busy = true;
    for (unsigned i = 0; i < got; i++)
        if (s->cfg->back && !dune_shim_find(f[i].data, f[i].cap_len, 2, ethertype, &at))
            f[k++] = f[i];
    return k ? send_all(s, s->in[0], f, k, d) : 0;
}

/* --- the loop --------------------------------------------------------------------------------------------- */

static void measure(struct lsw *s, uint64_t now)
{
    struct dune_port_stats st;
    uint64_t lost = s->lost;

    if (now - s->last_hop_ns < 250000000)
        return;
    s->last_hop_ns = now;
    for (uint32_t i = 0; i < s->cfg->n_in; i++) {
        dune_port_stats(s->in[i], &st);
        lost += st.rx_dropped;
    }
    for (uint32_t i = 0; i <= s->cfg->n_more_out; i++) {
        dune_port_stats(i ? s->more_out[i - 1] : s->out, &st);
        lost += st.tx_refused + st.tx_lost;
    }
    dune_live_ref_set_hop(s->live, dune_live_hist_quantile(&s->hop, 0.5), dune_live_hist_quantile(&s->hop, 0.9),
                          dune_live_hist_quantile(&s->hop, 0.99), lost);
}

static void wait_for_work(struct lsw *s, struct dune_bus *bus)
{
    struct pollfd p[DUNE_SWITCH_PORTS + 2];
    nfds_t n = 0;
    int fd = bus->ops->fd(bus);
    bool asks = s->out->fd < 0 && !s->out->ended; /* a port that has to be asked again and again */

    for (uint32_t i = 0; i < s->cfg->n_in; i++)
        p[n++] = (struct pollfd){.fd = s->in[i]->fd, .events = POLLIN};
    for (uint32_t i = 0; i < s->cfg->n_in; i++)
        asks |= s->in[i]->fd < 0 && !s->in[i]->ended;
    p[n++] = (struct pollfd){.fd = s->out->fd, .events = POLLIN};
    if (fd >= 0)
        p[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
    poll(p, n, asks ? 0 : 20);
}

static int loop(struct lsw *s, struct dune_bus *bus, struct dune_diag *d)
{
    int rc = 0;

    while (rc == 0 && !dune_interrupted()) {
        bool busy = false;
        uint64_t now;

        for (uint32_t i = 0; rc == 0 && i < s->cfg->n_in; i++)
            rc = forward(s, i, &busy, d);
        if (rc == 0)
            rc = backward(s, &busy, d);
        now = dune_live_now_ns();
        if (now - s->last_agent_ns >= AGENT_NS) {
            s->last_agent_ns = now;
            measure(s, now);
            dune_agent_step(s->agent, now);
        }
        if (!busy)
            wait_for_work(s, bus);
    }
    return rc;
}

int dune_switch_can(const char *engine, bool trace, bool release_slots, struct dune_diag *d)
{
    const char *name = engine ? engine : "reference";
    bool bmv2 = strcmp(name, "bmv2") == 0;

    if (!bmv2 && strcmp(name, "reference") != 0 && strcmp(name, "fast") != 0 && strcmp(name, "xdp") != 0)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "a switch runs engine \"reference\", \"fast\", \"xdp\" or \"bmv2\", not "
                             "\"%.32s\"", name);
    if (bmv2 && trace)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "engine bmv2 writes no trace of packets");
    if (!bmv2 && release_slots)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "only engine bmv2 releases slots, %s lets them expire", name);
    return 0;
}

static int check_cfg(const struct dune_switch_cfg *cfg, struct dune_diag *d)
{
    if (cfg->n_in == 0 || cfg->n_in > DUNE_SWITCH_PORTS || !cfg->out.ifname)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "a switch has 1 to %d ports where frames come in, and one where "
                             "they leave", DUNE_SWITCH_PORTS);
    for (uint32_t i = 0; i < cfg->n_in; i++)
        if (strcmp(cfg->in[i].ifname, cfg->out.ifname) == 0)
            return dune_diag_set(d, DUNE_E_USAGE, NULL, "%s is named twice: frames would go back where they came from",
                                 cfg->out.ifname);
    for (uint32_t i = 0; i < cfg->n_more_out; i++)
        if (cfg->more_out[i].kind != cfg->out.kind || cfg->back || (cfg->engine && strcmp(cfg->engine, "bmv2") == 0))
            return dune_diag_set(d, DUNE_E_USAGE, NULL, "several ports out are all edge or all chain, without a way back, and "
                                 "not for bmv2");
    for (uint32_t i = 0; i < cfg->n_in; i++)
        if (cfg->way[i] > cfg->n_more_out)
            return dune_diag_set(d, DUNE_E_USAGE, NULL, "port in %u leaves by port out %u, which there is not", i, cfg->way[i]);
    return dune_switch_can(cfg->engine, cfg->trace, cfg->release_slots, d);
}

/* What was sent to files, on the way back too. */
static int finish_ports(struct lsw *s, struct dune_diag *d)
{
    int rc = s->out ? dune_port_finish(s->out, d) : 0;

    for (uint32_t i = 0; rc == 0 && i < s->cfg->n_more_out; i++)
        rc = dune_port_finish(s->more_out[i], d);
    for (uint32_t i = 0; rc == 0 && i < s->cfg->n_in; i++)
        rc = dune_port_finish(s->in[i], d);
    return rc;
}

static void close_ports(struct lsw *s)
{
    for (uint32_t i = 0; i < s->cfg->n_in; i++)
        dune_port_close(s->in[i]);
    dune_port_close(s->out);
    for (uint32_t i = 0; i < s->cfg->n_more_out; i++)
        dune_port_close(s->more_out[i]);
    dune_live_restore_ports(&s->saved);
}

int dune_switch_run(const struct dune_switch_cfg *cfg, struct dune_bus *bus, struct dune_diag *d)
{
    struct lsw *s;
    struct dune_agent_cfg agent = {.device = cfg->name, .digest = cfg->digest, .digest_ctx = cfg->digest_ctx};
    bool fast = cfg->engine && strcmp(cfg->engine, "fast") == 0;
    int rc = check_cfg(cfg, d);

    if (rc)
        return rc;
    if (cfg->engine && strcmp(cfg->engine, "bmv2") == 0)
        return dune_live_switch_bmv2(cfg, bus, d);
    if (cfg->engine && strcmp(cfg->engine, "xdp") == 0)
        return dune_live_switch_xdp(cfg, bus, d);
    s = DUNE_NEW(struct lsw);
    s->cfg = cfg;
    s->live = fast ? dune_live_fast_new(&cfg->opts) : dune_live_ref_new(&cfg->opts);
    rc = open_ports(s, d);
    if (rc == 0)
        rc = dune_live_open_trace(s->cfg, &s->trace, d);
    if (rc == 0)
        rc = dune_agent_new(&s->agent, &agent, s->live, bus, d);
    if (rc == 0 && cfg->confine && dune_switch_on(cfg, "af_xdp")) /* its programs are loaded */
        rc = dune_confine_caps(DUNE_CAP_NET, d);
    if (rc == 0 && cfg->confine)
        rc = dune_confine_calls(false, d);
    if (rc == 0 && cfg->note)
        cfg->note(cfg->note_ctx, "forwarding");
    if (rc == 0)
        rc = loop(s, bus, d);
    if (rc == 0)
        rc = finish_ports(s, d);
    if (dune_trace_close(s->trace, 0, rc ? NULL : d) && rc == 0)
        rc = d->code;
    close_ports(s);
    dune_agent_free(s->agent);
    s->live->ops->close(s->live);
    dune_mem_free(s);
    return rc;
}
