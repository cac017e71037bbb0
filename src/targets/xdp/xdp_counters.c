/* SPDX-License-Identifier: Apache-2.0 */
/* Counters and latencies, summed over the CPUs and over the programs that were replaced. */
#include "targets/xdp/xdp_skel.h"

#include <string.h>

bool dune_xdp_add_counts(int map, struct xdp_counts *out)
{
    int n = libbpf_num_possible_cpus();
    struct xdp_counts *per_cpu = n > 0 ? DUNE_NEW_N(struct xdp_counts, n) : NULL;
    uint64_t *sum = (uint64_t *)out;
    uint32_t zero = 0;
    bool ok = per_cpu && bpf_map_lookup_elem(map, &zero, per_cpu) == 0;

    _Static_assert(sizeof(*out) % sizeof(uint64_t) == 0, "nothing but counters");
    for (int i = 0; ok && i < n; i++)
        for (size_t k = 0; k < sizeof(*out) / sizeof(*sum); k++)
            sum[k] += ((const uint64_t *)&per_cpu[i])[k];
    dune_mem_free(per_cpu);
    return ok;
}

void dune_xdp_read_counts(const struct dune_xdp *x, struct xdp_counts *out)
{
    *out = x->settings->carried;
    (void)dune_xdp_add_counts(bpf_map__fd(x->skel->maps.counts), out);
}

void dune_xdp_counters(const struct dune_xdp *x, struct dune_counters *out, struct dune_xdp_more *more)
{
    struct xdp_counts c;

    dune_xdp_read_counts(x, &c);
    memcpy(out, &c, sizeof(*out));
    out->rules = x->rules;
    out->rules_full = x->rules_full;
    out->rules_expired += x->swept;
    if (more)
        *more = (struct dune_xdp_more){c.lock_timeouts, c.ring_full, c.no_room, c.no_port, c.no_mirror, c.no_steer,
                                       c.spread, c.events_lost, c.plain, c.plain_dropped};
}

void dune_xdp_latency(const struct dune_xdp *x, uint64_t bin[DUNE_XDP_LATENCY_BINS])
{
    struct xdp_counts c;

    _Static_assert((int)DUNE_XDP_LATENCY_BINS == (int)XDP_LATENCY_BINS, "as many bins");
    dune_xdp_read_counts(x, &c);
    memcpy(bin, c.latency, sizeof(c.latency));
}
