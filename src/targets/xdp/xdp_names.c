/* SPDX-License-Identifier: Apache-2.0 */
/* What needs no BPF: sizes, names, latency bins. */
#include "targets/xdp/xdp_int.h"

uint64_t dune_xdp_state_bytes(const struct dune_plan *p, uint16_t device, const struct dune_xdp_opts *o)
{
    uint64_t slots = o && o->slots ? o->slots : p->slots, ways = o && o->ways ? o->ways : p->ways;
    uint16_t where[DUNE_N_FEATURES];
    struct dune_core_layout l;

    dune_core_layout_make(&l, where, p, device);
    return slots * ways * l.bytes;
}

const char *dune_xdp_mode_name(enum dune_xdp_mode m)
{
    return m == DUNE_XDP_NATIVE ? "native" : m == DUNE_XDP_GENERIC ? "generic" : "auto";
}

/* Upper end of a bin. Bins 0..3 are 0..3 ns; then four per power of two: 4, 5, 6, 7, 8-9, 10-11, ... */
static uint64_t latency_ns(uint32_t bin)
{
    if (bin < 4)
        return bin;
    return ((bin % 4 + 5ull) << (bin / 4 - 1)) - 1;
}

uint64_t dune_xdp_latency_quantile(const uint64_t bin[DUNE_XDP_LATENCY_BINS], double q)
{
    uint64_t total = 0, sum = 0;

    for (uint32_t i = 0; i < DUNE_XDP_LATENCY_BINS; i++)
        total += bin[i];
    for (uint32_t i = 0; i < DUNE_XDP_LATENCY_BINS; i++) {
        sum += bin[i];
        if (total && (double)sum >= q * (double)total)
            return latency_ns(i);
    }
    return 0;
}
