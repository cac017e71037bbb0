/* SPDX-License-Identifier: Apache-2.0 */
/* What flows are, told once per flow and generation: to who asked in this process, and on the bus. */
#include "controller/controller_int.h"

#include "dune/feed.h"

void dune_controller_on_flow(struct dune_controller *c, dune_controller_flow_fn fn, void *ctx)
{
    c->flow_fn = fn;
    c->flow_ctx = ctx;
}

static const char *device_of(const struct dune_controller *c, const struct dune_digest *dg)
{
    for (uint32_t i = 0; i < c->n_devices; i++)
        if (c->device[i].position == dg->device)
            return c->device[i].name;
    return NULL;
}

/* Who listens is not known; a message that nobody takes costs little, and one that is lost is lost. */
void dune_ctl_tell_flow(struct dune_controller *c, const struct dune_digest *dg, const char *cls, bool pinned)
{
    struct dune_feed_event e = {.kind = DUNE_FEED_DIGEST, .time_ns = c->now_ns, .key = dg->key, .cls = cls,
                                .conf = dg->conf, .submodel = dg->submodel, .flow_level = dg->flags & DUNE_SHIM_FL,
                                .tentative = dg->flags & DUNE_SHIM_TENTATIVE, .settled = true, .pinned = pinned,
                                .device = device_of(c, dg), .generation = dg->generation};
    struct dune_buf line = {0};
    struct dune_diag ignored = {0};

    if (c->flow_fn)
        c->flow_fn(c->flow_ctx, &e);
    if (!c->cfg.feed)
        return;
    dune_feed_json(&e, &line);
    c->stats.bus_errors += c->bus->ops->publish(c->bus, DUNE_FEED_SUBJECT, line.data, line.len, &ignored) != 0;
    dune_buf_fini(&line);
}
