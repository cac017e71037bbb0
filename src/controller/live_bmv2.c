/* SPDX-License-Identifier: Apache-2.0 */
/* simple_switch as a live device: compile and start with the first plan, then entries only. */
#include "controller/ctl_int.h"

#include <string.h>
#include <time.h>

#include "dune/bmv2_live.h"

struct live_bmv2 {
    struct dune_live base; /* first */
    struct dune_live_bmv2_cfg cfg;
    struct dune_bmv2 *sw; /* NULL: not started */
    uint64_t offset;      /* of CLOCK_REALTIME to the switch's clock, ticks */
    uint16_t position, stamped, held[2];
    uint32_t n_held;
    uint64_t timeout[2], drain_until;
    uint64_t failures;    /* rules and readings the switch did not take or give */
    dune_digest_fn fn;
    void *ctx;
    struct dune_counters last;
};

static struct live_bmv2 *bmv2_of(struct dune_live *l)
{
    return (struct live_bmv2 *)l;
}

static uint64_t real_tick(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return dune_tick((uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec);
}

static int start(struct live_bmv2 *b, const struct dune_plan *p, uint16_t position, struct dune_diag *d)
{
    struct dune_bmv2_cfg cfg = {.device = position, .n_ports = b->cfg.n_ports, .digests = b->cfg.cpu_peer,
                                .digest_rate = b->cfg.digest_rate, .digest_burst = b->cfg.digest_burst,
                                .back = b->cfg.back, .keep_shim = b->cfg.keep_shim,
                                .drop_edge_shim = b->cfg.drop_edge_shim};
    char *json = NULL, *log;
    uint64_t now = 0;
    int rc = dune_bmv2_compile(p, position, b->cfg.dir, false, &json, d);

    if (rc)
        return rc;
    log = dune_mem_printf("%s/switch.log", b->cfg.dir);
    memcpy(cfg.port, b->cfg.port, sizeof(b->cfg.port));
    if (b->cfg.cpu)
        cfg.port[cfg.n_ports++] = (struct dune_bmv2_port){DUNE_BMV2_CPU_PORT, DUNE_PORT_EDGE, b->cfg.cpu};
    cfg.json = json;
    cfg.log = log;
    rc = dune_bmv2_start(&b->sw, &cfg, p, d);
    if (rc == 0)
        rc = dune_bmv2_now(b->sw, &now, d);
    b->offset = real_tick() - now;
    b->position = position;
    dune_mem_free(json);
    dune_mem_free(log);
    return rc;
}

static int load(struct dune_live *l, const struct dune_plan *p, uint16_t position, struct dune_diag *d)
{
    struct live_bmv2 *b = bmv2_of(l);
    uint64_t now = 0;
    int rc = 0;

    if (b->sw && position != b->position)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "this device is at position %u, the plan wants it at %u",
                             b->position, position);
    if (!b->sw)
        rc = start(b, p, position, d);
    if (rc == 0)
        rc = dune_bmv2_load(b->sw, p, d);
    if (rc == 0 && b->n_held == 0) {
        rc = dune_bmv2_now(b->sw, &now, d);
        if (rc == 0)
            rc = dune_bmv2_stamp(b->sw, p->generation, now, d);
        b->stamped = p->generation;
    }
    if (rc == 0) {
        b->timeout[b->n_held] = p->timeout;
        b->held[b->n_held++] = p->generation;
    }
    return rc;
}

static int stamp(struct dune_live *l, uint16_t generation, uint32_t share, uint64_t now, struct dune_diag *d)
{
    struct live_bmv2 *b = bmv2_of(l);
    uint64_t timeout, local = 0;
    int rc;

    if (!b->sw)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "generation %u is not held", generation);
    if (share != DUNE_CTL_SHARE)
        return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "bmv2 stamps all new flows or none");
    if (generation == b->stamped)
        return 0;
    rc = dune_bmv2_now(b->sw, &local, d);
    if (rc == 0)
        rc = dune_bmv2_stamp(b->sw, generation, local, d);
    if (rc)
        return rc;
    timeout = b->timeout[b->held[0] != b->stamped];
    b->stamped = generation;
    b->drain_until = timeout > (UINT64_MAX - now) / 2 ? UINT64_MAX : now + 2 * timeout;
    return 0;
}

static int unload(struct dune_live *l, uint16_t generation, struct dune_diag *d)
{
    struct live_bmv2 *b = bmv2_of(l);
    int rc = b->sw ? dune_bmv2_unload(b->sw, generation, d)
                   : dune_diag_set(d, DUNE_E_USAGE, NULL, "generation %u is not held", generation);

    if (rc)
        return rc;
    if (b->n_held == 2 && b->held[0] == generation) {
        b->held[0] = b->held[1];
        b->timeout[0] = b->timeout[1];
    }
    b->n_held--;
    if (b->n_held == 0)
        b->stamped = 0;
    return 0;
}

/* A digest of another device comes with the tick of CLOCK_REALTIME, the switch compares with its own. */
static void put_rule(struct dune_live *l, const struct dune_digest *dg, uint64_t from)
{
    struct live_bmv2 *b = bmv2_of(l);
    struct dune_digest local = *dg;
    struct dune_diag d = {0};
    bool added = false;

    (void)from; /* it is past when it arrives here */
    local.tick -= DUNE_MIN(local.tick, b->offset);
    if (b->sw && dune_bmv2_put_rule(b->sw, &local, &added, &d))
        b->failures++;
    else if (added && b->cfg.release && dune_bmv2_release(b->sw, dg->generation, &dg->key, &d))
        b->failures++;
}

static void on_digest(struct dune_live *l, dune_digest_fn fn, void *ctx)
{
    bmv2_of(l)->fn = fn;
    bmv2_of(l)->ctx = ctx;
}

static void forward_digest(void *ctx, const struct dune_digest *dg)
{
    struct live_bmv2 *b = ctx;
    struct dune_digest real = *dg;

    real.tick += b->offset;
    if (b->fn)
        b->fn(b->ctx, &real);
}

static void poll_digests(struct dune_live *l, uint64_t now)
{
    struct live_bmv2 *b = bmv2_of(l);

    (void)now;
    if (b->sw)
        dune_bmv2_digests(b->sw, forward_digest, b);
}

static void status(const struct dune_live *l, struct dune_live_status *out)
{
    const struct live_bmv2 *b = (const struct live_bmv2 *)l;

    memset(out, 0, sizeof(*out));
    out->n_held = b->n_held;
    memcpy(out->held, b->held, sizeof(out->held));
    out->position = b->position;
    out->stamped = b->stamped;
    out->share = b->n_held ? DUNE_CTL_SHARE : 0;
    out->drain_until = b->n_held == 2 ? b->drain_until : 0;
    out->lost = b->failures;
}

/* What it said last when it does not answer. */
static void counters(const struct dune_live *l, struct dune_counters *out)
{
    struct live_bmv2 *b = (struct live_bmv2 *)(uintptr_t)l;
    struct dune_counters now;
    struct dune_diag d = {0};

    if (b->sw && dune_bmv2_counters(b->sw, &now, &d) == 0)
        b->last = now;
    *out = b->last;
}

static void close_live(struct dune_live *l)
{
    struct live_bmv2 *b = bmv2_of(l);

    if (!l)
        return;
    dune_bmv2_stop(b->sw);
    dune_mem_free((char *)(uintptr_t)b->cfg.dir);
    for (uint32_t i = 0; i < b->cfg.n_ports; i++)
        dune_mem_free((char *)(uintptr_t)b->cfg.port[i].ifname);
    dune_mem_free((char *)(uintptr_t)b->cfg.cpu);
    dune_mem_free((char *)(uintptr_t)b->cfg.cpu_peer);
    dune_mem_free(b);
}

static const struct dune_live_ops ops = {
    .name = "bmv2",
    .load = load,
    .stamp = stamp,
    .unload = unload,
    .put_rule = put_rule,
    .on_digest = on_digest,
    .poll = poll_digests,
    .status = status,
    .counters = counters,
    .close = close_live,
};

static const char *copy(const char *s)
{
    return s ? dune_mem_strdup(s) : NULL;
}

struct dune_live *dune_live_bmv2_new(const struct dune_live_bmv2_cfg *cfg)
{
    struct live_bmv2 *b = DUNE_NEW(struct live_bmv2);

    b->base.ops = &ops;
    b->cfg = *cfg;
    b->cfg.dir = copy(cfg->dir);
    b->cfg.n_ports = DUNE_MIN(cfg->n_ports, (uint32_t)DUNE_ARRAY_LEN(cfg->port));
    for (uint32_t i = 0; i < b->cfg.n_ports; i++)
        b->cfg.port[i].ifname = copy(cfg->port[i].ifname);
    b->cfg.cpu = copy(cfg->cpu);
    b->cfg.cpu_peer = copy(cfg->cpu_peer);
    return &b->base;
}

bool dune_live_bmv2_alive(struct dune_live *l)
{
    return !bmv2_of(l)->sw || dune_bmv2_alive(bmv2_of(l)->sw);
}
