/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an XDP device of a plan is made of, as files: how it is started and what it costs. The program itself is inside
 * dunectl, the plan reaches it by the controller: there is no source and there are no entries to write.
 */
#include "targets/p4/p4_int.h"
#include "targets/xdp/xdp_int.h"

#include <string.h>

static void start_script(struct dune_buf *b, const struct dune_plan *p, uint32_t device, const char *name)
{
    const char *in = device ? "chain" : "edge", *out = device + 1 < p->n_devices ? "chain" : "edge";

    dune_buf_printf(b,
                    "#!/bin/sh\n"
                    "# SPDX-License-Identifier: Apache-2.0\n"
                    "# Runs %s, device %u of %u, as an XDP program between two interfaces of this host. It gets its plan from the\n"
                    "# controller (dunectl controller) on BUS, unix:PATH or nats://HOST:PORT.\n"
                    "#     start.sh IF_IN IF_OUT [BUS [OPTIONS of dunectl switch]]\n"
                    "set -u\n"
                    "[ $# -ge 2 ] || { sed -n 3,5p \"$0\"; exit 2; }\n"
                    "in=$1 out=$2 bus=${3:-unix:/run/dune/bus}\n"
                    "shift 2\n"
                    "[ $# -eq 0 ] || shift\n"
                    "exec \"${DUNECTL:-dunectl}\" switch %s --engine xdp --in \"%s:$in\" --out \"%s:$out\" --bus \"$bus\" \"$@\"\n",
                    name, device + 1, p->n_devices, name, in, out);
}

static void row(struct dune_buf *b, const char *what, uint64_t n, uint64_t of)
{
    dune_buf_printf(b, "%-20s %llu", what, (unsigned long long)n);
    if (of)
        dune_buf_printf(b, " of %llu", (unsigned long long)of);
    dune_buf_puts(b, "\n");
}

static void report(struct dune_buf *b, const struct dune_plan *p, uint32_t device, const struct xdp_compiled *c)
{
    struct dune_resources r;
    uint32_t nodes = 1, depth = 0; /* node 0 is where trees that are not there end */

    dune_resources_estimate(p, device, NULL, 2, &r);
    for (uint32_t s = 0; s < p->n_submodels; s++)
        for (uint32_t t = 0; p->sub[s].device == device && t < p->sub[s].n_trees; t++)
            nodes += p->sub[s].tree[t].n_nodes;
    for (uint32_t s = 0; s < c->plan->n_sub; s++)
        depth = DUNE_MAX(depth, c->plan->sub[s].depth);
    dune_buf_printf(b, "device %s, XDP, two generations (docs/targets/xdp.md)\n\n", p->device[device].name);
    row(b, "sub-models", r.submodels, 0);
    row(b, "leaves", r.leaves, 0);
    row(b, "distinct features", r.features_distinct, 0);
    row(b, "trees, at most", r.trees, 0);
    row(b, "tree nodes", nodes, XDP_MAX_NODES);
    row(b, "steps down a tree", depth, XDP_MAX_DEPTH);
    row(b, "bytes of a slot", c->state_bytes ? c->plan->slot_bytes : 0, 0);
    row(b, "bytes of all slots", c->state_bytes, XDP_ARENA_MOST);
    dune_buf_printf(b, "published accounting %u of %d blocks (%.2f %%)\n", r.published_blocks, DUNE_PUBLISHED_BLOCKS,
                    100 * r.published_share);
    dune_buf_puts(b, "(per generation; measured time per packet: docs/performance.md)\n");
}

static int emit_device(struct dune_p4_files *out, const struct dune_plan *p, uint32_t device, struct dune_diag *d)
{
    struct xdp_compiled c;
    struct dune_diag why = {0};
    struct dune_buf b = {0};
    char name[80];
    int rc = dune_xdp_compile(&c, p, (uint16_t)device, 0, 0, &why);

    if (rc)
        return dune_diag_set(d, rc == DUNE_E_INPUT ? DUNE_E_INFEASIBLE : rc, NULL, "device %s: %s", p->device[device].name, why.msg);
    if (c.state_bytes > XDP_ARENA_MOST) {
        rc = dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "device %s: %llu bytes of slots, an XDP device has room for %llu",
                           p->device[device].name, (unsigned long long)c.state_bytes, (unsigned long long)XDP_ARENA_MOST);
    } else {
        dune_p4_device_name(name, p, device);
        start_script(&b, p, device, name);
        p4_file_add(out, &b, "%s/start.sh", name);
        report(&b, p, device, &c);
        p4_file_add(out, &b, "%s/report.txt", name);
    }
    dune_xdp_compiled_fini(&c);
    return rc;
}

int dune_xdp_emit(const struct dune_plan *p, struct dune_p4_files *out, struct dune_diag *d)
{
    int rc = 0;

    memset(out, 0, sizeof(*out));
    for (uint32_t i = 0; i < p->n_devices && rc == 0; i++)
        rc = emit_device(out, p, i, d);
    if (rc == 0)
        dune_p4_dissector(p, out);
    else
        dune_p4_files_fini(out);
    return rc;
}
