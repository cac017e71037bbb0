/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One device on simple_switch: the switch forwards, this process is its agent. Digests come over a link of
 * its own, from the switch's CPU port.
 */
#include "live/live_int.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/confine.h"
#include "dune/bmv2_live.h"

struct bsw {
    const struct dune_switch_cfg *cfg;
    struct live_saved saved;
    struct dune_live *live;
    struct dune_agent *agent;
    char cpu[2][16]; /* ends of the CPU port's link; [0] is empty until it is made */
    char dir[64];
};

/* Names of interfaces are short: the process id makes them distinct. */
static int make_cpu_link(struct bsw *s, struct dune_diag *d)
{
    char a[16], b[16];
    int rc;

    snprintf(a, sizeof(a), "dcpu%d", (int)getpid() % 10000000);
    snprintf(b, sizeof(b), "dagt%d", (int)getpid() % 10000000);
    rc = NETNS_RUN(d, "ip", "link", "add", a, "type", "veth", "peer", "name", b);
    if (rc)
        return rc;
    memcpy(s->cpu[0], a, sizeof(a));
    memcpy(s->cpu[1], b, sizeof(b));
    rc = NETNS_RUN(d, "ip", "link", "set", a, "up", "arp", "off");
    if (rc == 0)
        rc = NETNS_RUN(d, "ip", "link", "set", b, "up", "arp", "off");
    return rc ? rc : NETNS_RUN(d, "ip", "link", "set", "lo", "up");
}

static int open_live(struct bsw *s, struct dune_diag *d)
{
    const struct dune_switch_cfg *cfg = s->cfg;
    struct dune_live_bmv2_cfg b = {.dir = s->dir, .cpu = s->cpu[0], .cpu_peer = s->cpu[1], .back = cfg->back,
                                   .release = cfg->release_slots,
                                   .keep_shim = cfg->opts.keep_shim, .drop_edge_shim = cfg->opts.drop_edge_shim,
                                   .digest_rate = cfg->opts.digest_rate, .digest_burst = cfg->opts.digest_burst};

    if (dune_bmv2_available())
        return dune_diag_set(d, DUNE_E_ENV, NULL, "engine bmv2: %s", dune_bmv2_available());
    if (cfg->opts.slots || cfg->opts.ways)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "engine bmv2: slots and ways are those of the plan");
    snprintf(s->dir, sizeof(s->dir), "/tmp/dune_bmv2.XXXXXX");
    if (!mkdtemp(s->dir)) {
        s->dir[0] = '\0'; /* whatever stands there now is not ours to remove */
        return dune_diag_set(d, DUNE_E_ENV, "/tmp", "cannot make a directory there: %s", strerror(errno));
    }
    for (uint32_t i = 0; i < cfg->n_in; i++) /* numbers 0, 2, 3 ...; 1 is the way out */
        b.port[b.n_ports++] = (struct dune_bmv2_port){(uint16_t)(i ? i + 1 : 0), cfg->in[i].kind, cfg->in[i].ifname};
    b.port[b.n_ports++] = (struct dune_bmv2_port){1, cfg->out.kind, cfg->out.ifname};
    s->live = dune_live_bmv2_new(&b);
    return 0;
}

static int loop(struct bsw *s, struct dune_bus *bus, struct dune_diag *d)
{
    int fd = bus->ops->fd(bus);

    while (!dune_interrupted()) {
        struct pollfd p = {.fd = fd, .events = POLLIN};

        dune_agent_step(s->agent, dune_live_now_ns());
        if (!dune_live_bmv2_alive(s->live))
            return dune_diag_set(d, DUNE_E_ENV, NULL, "device %s: simple_switch ended or does not answer", s->cfg->name);
        poll(&p, fd >= 0, 5);
    }
    return 0;
}

static void close_all(struct bsw *s)
{
    struct dune_diag ignored = {0};

    dune_agent_free(s->agent);
    if (s->live)
        s->live->ops->close(s->live);
    dune_live_restore_ports(&s->saved);
    if (s->cpu[0][0] && NETNS_RUN(&ignored, "ip", "link", "del", s->cpu[0]) && s->cfg->note)
        s->cfg->note(s->cfg->note_ctx, ignored.msg);
    if (s->dir[0] && NETNS_RUN(&ignored, "rm", "-rf", s->dir) && s->cfg->note)
        s->cfg->note(s->cfg->note_ctx, ignored.msg);
}

int dune_live_switch_bmv2(const struct dune_switch_cfg *cfg, struct dune_bus *bus, struct dune_diag *d)
{
    struct bsw s = {.cfg = cfg};
    struct dune_agent_cfg agent = {.device = cfg->name, .digest = cfg->digest, .digest_ctx = cfg->digest_ctx};
    int rc = dune_live_check_ports(cfg, false, &s.saved, d);

    if (rc == 0)
        rc = make_cpu_link(&s, d);
    if (rc == 0)
        rc = open_live(&s, d);
    if (rc == 0)
        rc = dune_agent_new(&s.agent, &agent, s.live, bus, d);
    if (rc == 0 && cfg->confine)
        rc = dune_confine_calls(true, d); /* it compiles plans that come later and starts its switch anew */
    if (rc == 0 && cfg->note)
        cfg->note(cfg->note_ctx, "waiting for a plan");
    if (rc == 0)
        rc = loop(&s, bus, d);
    close_all(&s);
    return rc;
}
