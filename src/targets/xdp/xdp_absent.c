/* SPDX-License-Identifier: Apache-2.0 */
/* In a build without libbpf, clang for BPF or bpftool: nothing can be opened, and the error says why. */
#include "targets/xdp/xdp_int.h"

#include <string.h>

const char *dune_xdp_available(void)
{
    return "this build has no XDP programs, because " DUNE_XDP_MISSING " was missing when it was made";
}

bool dune_xdp_library(const char **built, const char **loaded)
{
    (void)built;
    (void)loaded;
    return false;
}

static int missing(struct dune_diag *d)
{
    return dune_diag_set(d, DUNE_E_ENV, NULL, "%s", dune_xdp_available());
}

int dune_xdp_open(struct dune_xdp **out, const struct dune_xdp_opts *o, struct dune_diag *d)
{
    (void)o;
    *out = NULL;
    return missing(d);
}

int dune_xdp_clean(const char *ifname, struct dune_diag *d)
{
    (void)ifname;
    return missing(d);
}

static int open_chain(struct dune_chain **out, const struct dune_plan *p, const struct dune_chain_opts *o,
                      struct dune_diag *d)
{
    (void)p;
    (void)o;
    *out = NULL;
    return missing(d);
}

const struct dune_engine_ops dune_engine_xdp = {
    .name = "xdp",
    .available = dune_xdp_available,
    .open = open_chain,
};

/* Only reached with a device, and there is none. */
void dune_xdp_close(struct dune_xdp *x, enum dune_xdp_end end)
{
    (void)x;
    (void)end;
}

int dune_xdp_hold(struct dune_xdp *x, const struct dune_plan *p, uint16_t device, struct dune_diag *d)
{
    (void)x;
    (void)p;
    (void)device;
    return missing(d);
}

int dune_xdp_stamp(struct dune_xdp *x, uint16_t generation, uint32_t share, struct dune_diag *d)
{
    (void)x;
    (void)generation;
    (void)share;
    return missing(d);
}

int dune_xdp_release(struct dune_xdp *x, uint16_t generation, struct dune_diag *d)
{
    (void)x;
    (void)generation;
    return missing(d);
}

uint64_t dune_xdp_drain_until(const struct dune_xdp *x)
{
    (void)x;
    return 0;
}

uint64_t dune_xdp_live_slots(const struct dune_xdp *x, uint16_t generation, uint64_t now)
{
    (void)x;
    (void)generation;
    (void)now;
    return 0;
}

uint64_t dune_xdp_now(void)
{
    return 0;
}

int dune_xdp_attach(struct dune_xdp *x, const struct dune_xdp_port *p, struct dune_diag *d)
{
    (void)x;
    (void)p;
    return missing(d);
}

void dune_xdp_carry_counts(struct dune_xdp *x)
{
    (void)x;
}

uint64_t dune_xdp_refused(const struct dune_xdp *x)
{
    (void)x;
    return 0;
}

enum dune_xdp_mode dune_xdp_port_mode(const struct dune_xdp *x, uint32_t number)
{
    (void)x;
    (void)number;
    return DUNE_XDP_AUTO;
}

int dune_xdp_detach(struct dune_xdp *x, uint32_t number, struct dune_diag *d)
{
    (void)x;
    (void)number;
    return missing(d);
}

int dune_xdp_poll(struct dune_xdp *x, int timeout_ms, dune_digest_fn fn, void *ctx, struct dune_diag *d)
{
    (void)x;
    (void)timeout_ms;
    (void)fn;
    (void)ctx;
    return missing(d);
}

int dune_xdp_poll_trace(struct dune_xdp *x, dune_live_record_fn fn, void *ctx, struct dune_diag *d)
{
    (void)x;
    (void)fn;
    (void)ctx;
    return missing(d);
}

void dune_xdp_count(struct dune_xdp *x, bool on)
{
    (void)x;
    (void)on;
}

bool dune_xdp_drift(struct dune_xdp *x, const struct dune_plan *p, struct dune_drift_counts *out)
{
    (void)x;
    (void)p;
    (void)out;
    return false;
}

int dune_xdp_digest_fd(const struct dune_xdp *x)
{
    (void)x;
    return -1;
}

void dune_xdp_add_rule(struct dune_xdp *x, const struct dune_digest *dg, uint64_t from)
{
    (void)x;
    (void)dg;
    (void)from;
}

void dune_xdp_remove_rule(struct dune_xdp *x, uint16_t generation, const struct dune_flow_key *key)
{
    (void)x;
    (void)generation;
    (void)key;
}

uint32_t dune_xdp_sweep_rules(struct dune_xdp *x)
{
    (void)x;
    return 0;
}

void dune_xdp_list_rules(const struct dune_xdp *x, dune_digest_fn fn, void *ctx)
{
    (void)x;
    (void)fn;
    (void)ctx;
}

void dune_xdp_counters(const struct dune_xdp *x, struct dune_counters *out, struct dune_xdp_more *more)
{
    (void)x;
    (void)out;
    (void)more;
}

void dune_xdp_latency(const struct dune_xdp *x, uint64_t bin[DUNE_XDP_LATENCY_BINS])
{
    (void)x;
    (void)bin;
}

int dune_xdp_bench_open(struct dune_xdp **out, const struct dune_plan *p, const struct dune_xdp_opts *o,
                        const struct dune_chain_packet *pkt, uint32_t n, struct dune_diag *d)
{
    (void)p;
    (void)o;
    (void)pkt;
    (void)n;
    *out = NULL;
    return missing(d);
}

int dune_xdp_source_open(struct dune_xdp **out, const char *ifname, const char *sink, const struct dune_chain_packet *pkt,
                         uint32_t n, struct dune_diag *d)
{
    (void)out;
    (void)ifname;
    (void)sink;
    (void)pkt;
    (void)n;
    return missing(d);
}

int dune_xdp_source_send(struct dune_xdp *x, uint32_t n, struct dune_diag *d)
{
    (void)x;
    (void)n;
    return missing(d);
}

int dune_xdp_bench_run(struct dune_xdp *x, enum dune_xdp_bench_program what, uint32_t repeat, double *ns,
                       struct dune_diag *d)
{
    (void)x;
    (void)what;
    (void)repeat;
    *ns = 0;
    return missing(d);
}
