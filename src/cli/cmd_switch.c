/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

#include "base/confine.h"
#include "cli/bus_open.h"
#include "dune/feed.h"
#include "dune/live.h"

struct config {
    const char *bus, *creds, *ca;
    const char *engine, *feed, *trace, *route;
    struct cli_list in, out;
    uint32_t slots, ways, rules_max, digest_rate;
    unsigned edge_shim;
    bool back, fix, keep_shim, unconfined, release_slots;
};

static const struct cli_option options[] = {
    {"bus", 'b', CLI_STR, offsetof(struct config, bus), "BUS", "unix:/run/dune/bus",
     "where the controller is: unix:PATH, or nats://HOST:PORT"},
    {"creds", 0, CLI_STR, offsetof(struct config, creds), "FILE", NULL, "NATS credentials"},
    {"ca", 0, CLI_STR, offsetof(struct config, ca), "FILE", NULL, "NATS: certificates to trust (the system's)"},
    {"in", 'i', CLI_LIST, offsetof(struct config, in), "KIND:IFACE", NULL,
     "a port where frames come in, edge:IFACE or chain:IFACE"},
    {"out", 'o', CLI_LIST, offsetof(struct config, out), "KIND:IFACE", NULL,
     "the port where they leave, chain:IFACE or edge:IFACE; several with --route", true},
    {"route", 0, CLI_STR, offsetof(struct config, route), "N,N,...", NULL,
     "for every --in the number of the --out where its frames leave, from 0 (all by the first)"},
    {"engine", 0, CLI_STR, offsetof(struct config, engine), "reference|fast|xdp|bmv2", "reference", "what runs the plan"},
    {"back", 0, CLI_FLAG, offsetof(struct config, back), NULL, NULL,
     "frames that come in at the out port leave by the first in port, as they are (else they are dropped)"},
    {"fix", 0, CLI_FLAG, offsetof(struct config, fix), NULL, NULL,
     "set MTU and offloads that are wrong, and set them back at the end"},
    {"edge-shim", 0, CLI_CHOICE, offsetof(struct config, edge_shim), "wrap|drop", "wrap",
     "what an edge port does with packets that already carry a shim"},
    {"keep-shim", 0, CLI_FLAG, offsetof(struct config, keep_shim), NULL, NULL,
     "leave the shim on packets at an edge out port (for a sink that reads verdicts)"},
    {"release-slots", 0, CLI_FLAG, offsetof(struct config, release_slots), NULL, NULL,
     "bmv2: a flow that gets a rule here gives up its slot (it expires otherwise)"},
    {"unconfined", 0, CLI_FLAG, offsetof(struct config, unconfined), NULL, NULL,
     "keep all privileges and system calls (done by itself for dpdk ports)"},
    {"feed", 0, CLI_STR, offsetof(struct config, feed), "json:FILE|csv:FILE", NULL,
     "append a line for every flow that is settled here (docs/feeds.md); FILE may be a pipe or /dev/stdout"},
    {"trace", 0, CLI_STR, offsetof(struct config, trace), "FILE", NULL,
     "write what became of every packet, for `dunectl judge`; for tests, it slows the device down"},
    {"slots", 0, CLI_U32, offsetof(struct config, slots), "N", NULL, "flow table slots instead of the plan's", false, 1, 0},
    {"ways", 0, CLI_U32, offsetof(struct config, ways), "N", NULL, "ways instead of the plan's", false, 1, 8},
    {"rules-max", 0, CLI_U32, offsetof(struct config, rules_max), "N", NULL, "rules it holds (65536)", false, 1, 0},
    {"digest-rate", 0, CLI_U32, offsetof(struct config, digest_rate), "N", "20000", "digests per second it may send",
     false, 1, 0},
};

static int parse_port(const char *text, struct dune_switch_port *p, struct dune_diag *d)
{
    if (strncmp(text, "edge:", 5) == 0 && text[5])
        *p = (struct dune_switch_port){text + 5, DUNE_PORT_EDGE};
    else if (strncmp(text, "chain:", 6) == 0 && text[6])
        *p = (struct dune_switch_port){text + 6, DUNE_PORT_CHAIN};
    else
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "a port is edge:IFACE or chain:IFACE, not \"%.64s\"", text);
    return 0;
}

static int parse_outs(const struct config *cfg, struct dune_switch_cfg *s, struct dune_diag *d)
{
    const char *at = cfg->route;
    int rc = parse_port(cfg->out.data[0], &s->out, d);

    if (rc == 0 && cfg->out.len > DUNE_SWITCH_PORTS)
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "--out: up to %d ports", DUNE_SWITCH_PORTS);
    for (size_t i = 1; rc == 0 && i < cfg->out.len; i++)
        rc = parse_port(cfg->out.data[i], &s->more_out[s->n_more_out++], d);
    for (size_t i = 0; rc == 0 && at && i < cfg->in.len; i++) {
        char *end;
        unsigned long n = strtoul(at, &end, 10);

        if (end == at || n >= cfg->out.len || *end != (i + 1 < cfg->in.len ? ',' : '\0'))
            return dune_diag_set(d, DUNE_E_USAGE, NULL, "--route needs for each of %zu --in a number of 0 to %zu, not \"%s\"",
                                 cfg->in.len, cfg->out.len - 1, cfg->route);
        s->way[i] = (uint8_t)n;
        at = end + 1;
    }
    return rc;
}

/* DPDK maps devices and starts helpers in ways of its own. The program of an AF_XDP port is loaded once; then what that
 * takes is given up, too. */
static int confine(struct dune_switch_cfg *s, const struct config *cfg, struct dune_diag *d)
{
    bool xdp = strcmp(cfg->engine, "xdp") == 0;

    s->confine = !cfg->unconfined && !dune_switch_on(s, "dpdk");
    if (!s->confine)
        return 0;
    return dune_confine_caps(DUNE_CAP_NET | (xdp || dune_switch_on(s, "af_xdp") ? DUNE_CAP_BPF : 0) |
                             (dune_switch_on(s, "af_xdp") ? DUNE_CAP_LOCK : 0) | (xdp ? DUNE_CAP_TAKEOVER : 0), d);
}

struct feeding {
    struct cli_ctx *ctx;
    struct dune_feed *feed;
    const char *device;
    bool failed; /* said once */
};

/* A feed that cannot be written costs its lines and nothing else. */
static void feed_digest(void *ctx, const struct dune_digest *dg, const char *cls)
{
    struct feeding *f = ctx;
    struct dune_diag d = {0};

    if (dune_feed_put_digest(f->feed, dg, cls, f->device, &d) == 0 || f->failed)
        return;
    f->failed = true;
    cli_warn(f->ctx, "%s: %s", d.file, d.msg);
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    struct config *cfg = config;
    struct dune_switch_cfg s = {.name = ctx->args[0], .engine = cfg->engine, .back = cfg->back, .fix = cfg->fix, .trace = cfg->trace,
                                .release_slots = cfg->release_slots,
                                .note = cli_note_text, .note_ctx = ctx};
    struct feeding feeding = {.ctx = ctx, .device = ctx->args[0]};
    struct dune_bus *bus = NULL;
    struct dune_diag late = {0};
    int rc;

    if (cfg->in.len < 1 || cfg->in.len > DUNE_SWITCH_PORTS)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "--in is needed, 1 to %d times", DUNE_SWITCH_PORTS);
    rc = dune_switch_can(cfg->engine, cfg->trace, cfg->release_slots, d);
    if (rc)
        return rc;
    s.opts = (struct dune_chain_opts){.slots = cfg->slots, .ways = cfg->ways, .rules_max = cfg->rules_max,
                                      .digest_rate = cfg->digest_rate, .keep_shim = cfg->keep_shim,
                                      .drop_edge_shim = cfg->edge_shim == 1};
    rc = parse_outs(cfg, &s, d);
    for (size_t i = 0; rc == 0 && i < cfg->in.len; i++)
        rc = parse_port(cfg->in.data[i], &s.in[s.n_in++], d);
    if (rc == 0 && cfg->feed) {
        rc = dune_feed_open(&feeding.feed, cfg->feed, false, d);
        s.digest = feed_digest;
        s.digest_ctx = &feeding;
    }
    if (rc == 0)
        rc = confine(&s, cfg, d);
    if (rc == 0)
        rc = cli_bus_open(&bus, cfg->bus, cfg->creds, cfg->ca, true, d); /* it forwards without one */
    if (rc == 0 && bus->ops->poll(bus, 0, &late))
        cli_warn(ctx, "%s", late.msg);
    if (rc == 0)
        rc = dune_switch_run(&s, bus, d);
    dune_feed_abort(feeding.feed);
    if (bus)
        bus->ops->close(bus);
    return rc;
}

const struct cli_command cmd_switch = {
    .name = "switch",
    .summary = "runs one device on real interfaces",
    .args = "NAME",
    .min_args = 1,
    .max_args = 1,
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description =
        "Runs the device NAME of a chain: frames that come in leave by the out port with what this device and\n"
        "those before it know about them. It gets its plan and rules from the controller and goes on forwarding\n"
        "without one. Edge ports face hosts, chain ports other devices: chain links carry a shim of 8 bytes and\n"
        "need an MTU that is larger by so much, and no offload that merges or splits frames.\n"
        "\n"
        "IFACE is a network interface, or a port as docs/ports.md names them: af_xdp:IFACE, dpdk:DEVICE, pcap:IN[,OUT].\n"
        "\n"
        "Ends on SIGINT or SIGTERM. Needs root or CAP_NET_RAW and CAP_NET_ADMIN; for xdp and af_xdp also CAP_BPF,\n"
        "CAP_PERFMON, CAP_SYS_RESOURCE, for af_xdp CAP_IPC_LOCK, and for xdp to take over from one that was killed\n"
        "CAP_SYS_ADMIN, until it is attached. All other capabilities are given up at the start. Once it forwards it can\n"
        "no longer start programs (bmv2 can), trace, mount, change namespaces or load modules.\n",
    .examples = "dunectl switch s1 --in edge:eth0 --out chain:eth1\n"
                "dunectl switch s2 --in chain:eth0 --in chain:eth1 --out edge:eth2 --fix\n"
                "dunectl switch s1 --engine fast --in edge:af_xdp:eth0 --out chain:af_xdp:eth1\n"
                "dunectl switch s1 --in edge:dpdk:0000:01:00.0 --out chain:dpdk:0000:01:00.1\n",
    .run = run,
};
