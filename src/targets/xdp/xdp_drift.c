/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sub-models of the device see. Every CPU writes counters of its own, without locks, on the side that the settings
 * name. Numbers that are read while packets pass would not add up, so the host reads the other side, which the program left at
 * the call before, a second or more ago, and then sends it there.
 */
#include "targets/xdp/xdp_skel.h"

#include <string.h>

enum { REST = 976562 }; /* ticks that a side rests before it is read: no packet takes a second */

static struct xdp_drift *part(const struct dune_xdp *x, uint32_t cpu, uint32_t gen, uint32_t side)
{
    return &x->drift[(cpu * XDP_GENS + gen) * XDP_DRIFT_SIDES + side];
}

static uint32_t n_cpus(const struct dune_xdp *x)
{
    return x->n_drift / (XDP_GENS * XDP_DRIFT_SIDES);
}

void dune_xdp_drift_clear(struct dune_xdp *x, uint32_t gen)
{
    for (uint32_t cpu = 0; cpu < n_cpus(x); cpu++)
        for (uint32_t side = 0; side < XDP_DRIFT_SIDES; side++)
            memset(part(x, cpu, gen, side), 0, sizeof(struct xdp_drift));
    memset(&x->drift_sum[gen], 0, sizeof(x->drift_sum[gen]));
}

static void take(struct dune_xdp *x, uint32_t side)
{
    for (uint32_t gen = 0; gen < XDP_GENS; gen++)
        for (uint32_t cpu = 0; cpu < n_cpus(x); cpu++) {
            struct xdp_drift *from = part(x, cpu, gen, side);

            for (uint32_t i = 0; i < XDP_DRIFT; i++)
                x->drift_sum[gen].n[i] += from->n[i];
            memset(from, 0, sizeof(*from));
        }
}

/* In a test run no packet is under way. */
static void turn(struct dune_xdp *x)
{
    uint32_t rests = !(x->settings->drift_side & 1);
    uint64_t now = dune_xdp_now();

    if (!x->testing && now - x->drift_turned < REST)
        return;
    take(x, rests);
    if (x->testing)
        take(x, !rests);
    __atomic_store_n(&x->settings->drift_side, rests | (x->settings->drift_side & XDP_DRIFT_ON), __ATOMIC_SEQ_CST);
    x->drift_turned = now;
}

void dune_xdp_count(struct dune_xdp *x, bool on)
{
    uint32_t side = x->settings->drift_side & 1;

    __atomic_store_n(&x->settings->drift_side, side | (on ? XDP_DRIFT_ON : 0), __ATOMIC_SEQ_CST);
}

bool dune_xdp_drift(struct dune_xdp *x, const struct dune_plan *p, struct dune_drift_counts *out)
{
    int g = dune_xdp_position(x, p->generation);

    if (g < 0 || !x->gen[g].counted || !(x->settings->drift_side & XDP_DRIFT_ON))
        return false;
    turn(x);
    dune_xdp_add_drift(out, p, x->device, &x->drift_sum[g]);
    return true;
}
