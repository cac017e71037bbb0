/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"
#include "dune/controller.h"
#include "dune/live.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What a controller reads: its own state, the lease, reports, requests; and the topology of a testbed. The
 * first byte says which. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const struct dune_controller_device dev[] = {{"s1", 0}, {"s2", 1}};
    struct dune_controller_cfg cfg = {.owner = "fuzz", .device = dev, .n_devices = 2};
    struct dune_bus_hub *hub;
    struct dune_bus *bus, *other;
    struct dune_controller *c;
    struct dune_testbed_cfg tb;
    struct dune_controller_stats s;
    struct dune_buf status = {0};
    struct dune_diag d = {0};
    uint64_t revision = 0, now = UINT64_C(1700000000000000000);
    int kind;

    if (len == 0)
        return 0;
    kind = data[0] % 5;
    data++, len--;
    if (kind == 4) {
        int rc = dune_testbed_parse(&tb, "fuzz", (const char *)data, len, &d);

        if (rc == 0 && (tb.tree.pods * tb.tree.spines > DUNE_SWITCH_PORTS || tb.tree.super_spines > DUNE_SWITCH_PORTS ||
                        tb.tree.leafs > DUNE_SWITCH_PORTS || tb.tree.egress_spines > DUNE_SWITCH_PORTS ||
                        tb.tree.egress_leafs > DUNE_SWITCH_PORTS))
            abort();
        if (rc == 0 &&
            (tb.n_levels < 1 || tb.n_levels > DUNE_TESTBED_LEVELS || !dune_ctl_name_ok(tb.name)))
            abort();
        return 0;
    }
    if (dune_bus_hub_new(&hub, NULL, &d))
        abort();
    bus = dune_bus_hub_join(hub);
    other = dune_bus_hub_join(hub);
    if (dune_controller_new(&c, &cfg, bus, &d) || dune_controller_serve(c, &d))
        abort();
    if (kind < 2 && other->ops->put(other, kind ? "lease" : "desired", data, len, &revision, &d))
        abort();
    dune_controller_step(c, now);
    if (kind >= 2 && len <= DUNE_CTL_MESSAGE_MAX &&
        (other->ops->publish(other, kind == 2 ? "dune.rep.s1" : "dune.op", data, len, &d) ||
         (kind == 2 && other->ops->publish(other, "dune.dig.s1", data, len, &d))))
        abort();
    for (int i = 0; i < 4; i++)
        dune_controller_step(c, now += 400000000);
    dune_controller_stats(c, &s);
    dune_controller_status(c, &status);
    if (s.phase >= DUNE_N_PHASES || status.len == 0)
        abort();
    dune_buf_fini(&status);
    dune_controller_free(c);
    bus->ops->close(bus);
    other->ops->close(other);
    dune_bus_hub_free(hub);
    return 0;
}
