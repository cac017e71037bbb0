/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One device of a plan as an XDP program on the interfaces of this host (design sections 5, 6, 8).
 *
 *   dune_xdp_open -> dune_xdp_hold -> dune_xdp_port ... -> dune_xdp_attach -> dune_xdp_poll ... -> dune_xdp_close
 *
 * A device owns its maps and the programs it attached. Plans are compiled into the maps: they are not kept. Ports can
 * be attached before a plan is held: packets pass, shims are passed on or stripped. When the process dies, the
 * program stays on the interfaces with its maps and goes on; a new process takes them over by attaching.
 * Not thread-safe, but for dune_xdp_counters and dune_xdp_latency.
 */
#ifndef DUNE_TARGETS_DUNE_XDP_H
#define DUNE_TARGETS_DUNE_XDP_H

#include "dune/device.h"
#include "dune/trace.h"

struct dune_xdp; /* opaque */

/* NULL: XDP programs can be loaded here. Else what is missing: in this build, or on this machine. */
const char *dune_xdp_available(void);

/* Versions of libbpf, built with and loaded; false: not in this build. */
bool dune_xdp_library(const char **built, const char **loaded);

struct dune_xdp_opts { /* zero: defaults */
    uint32_t slots, ways;    /* instead of those of the plans */
    uint64_t state_bytes;    /* room for the slots of one generation; 0: 32 MiB. See dune_xdp_state_bytes */
    uint32_t rules_max;      /* flows with a rule, both generations together; 0: 65536 */
    uint32_t digest_rate;    /* digests per second; 0: no limit */
    uint32_t digest_burst;   /* 0: the rate */
    uint32_t ring_bytes;     /* digests not yet fetched; a power of two; 0: 1 MiB */
    bool drop_edge_shim;     /* forged shims at an edge: drop instead of wrapping */
    bool keep_shim;          /* leave the shim on at edge ports, for a testbed that reads it */
    bool shim_only;          /* for the benchmark: adds and strips shims and knows nothing */
    bool drift;              /* sub-models can count what they see (dune_xdp_count) */
    bool one_cpu;            /* all packets come by one CPU: buckets are not locked */
    bool trace;              /* every packet leaves a record, for dune_xdp_poll_trace */
    uint32_t trace_bytes;    /* records not yet fetched; a power of two; 0: 16 MiB */
    unsigned spread;         /* CPUs that packets are spread over by flow; 0: they stay where they arrive */
};

/* Loads the program. Errors: DUNE_E_ENV with the reason (privilege, kernel, not in this build). */
int dune_xdp_open(struct dune_xdp **out, const struct dune_xdp_opts *o, struct dune_diag *d) DUNE_MUST_USE;
/* What the slots of a device of this plan need, with the slots and ways of o (may be NULL). */
uint64_t dune_xdp_state_bytes(const struct dune_plan *p, uint16_t device, const struct dune_xdp_opts *o);
enum dune_xdp_end {
    DUNE_XDP_DETACH, /* interfaces as they were */
    DUNE_XDP_STRIP   /* a minimal program stays: forwards as before, takes the shim off at edge ports */
};
/* Undoes what attach did, or leaves the minimal program. Accepts NULL. */
void dune_xdp_close(struct dune_xdp *x, enum dune_xdp_end end);

/*
 * A script that starts it and a report for every device of a plan, and the dissector of the shim. Needs neither privilege nor
 * XDP in this build. DUNE_E_INFEASIBLE names device, limit and number when a device cannot hold the plan.
 */
struct dune_p4_files;
int dune_xdp_emit(const struct dune_plan *p, struct dune_p4_files *out, struct dune_diag *d) DUNE_MUST_USE;

/* --- generations, as dune_ref_device_load, _stamp, _unload ---------------------------------------------- */
/*
 * Holds one more generation of the plan's device `device`. The first one is stamped at once. Errors: DUNE_E_USAGE (held
 * already, two are held), DUNE_E_INFEASIBLE with limit and number when the plan does not fit the program or
 * the memory that was set up when the device was opened.
 */
int dune_xdp_hold(struct dune_xdp *x, const struct dune_plan *p, uint16_t device, struct dune_diag *d) DUNE_MUST_USE;
/* Packets without shim get this generation, or a share (of DUNE_STAMP_ALL) of the new flows does; flows of the other one keep
 * it until they end, at most 2 x its timeout when all are to get this one. */
int dune_xdp_stamp(struct dune_xdp *x, uint16_t generation, uint32_t share, struct dune_diag *d) DUNE_MUST_USE;
/* Forgets a generation with its slots and rules; returns when no packet is using it any more. The stamped one can
 * only go when it is the last. */
int dune_xdp_release(struct dune_xdp *x, uint16_t generation, struct dune_diag *d) DUNE_MUST_USE;
/* The tick up to which the older generation is stamped for its flows; 0: no update is under way. */
uint64_t dune_xdp_drain_until(const struct dune_xdp *x);
/* Live slots of a generation at this tick (reads the whole table). */
uint64_t dune_xdp_live_slots(const struct dune_xdp *x, uint16_t generation, uint64_t now);
/* The clock of the program, in ticks. */
uint64_t dune_xdp_now(void);

/* --- ports ----------------------------------------------------------------------------------------------- */
enum dune_xdp_mode { DUNE_XDP_AUTO, DUNE_XDP_NATIVE, DUNE_XDP_GENERIC };
const char *dune_xdp_mode_name(enum dune_xdp_mode m);
#define DUNE_XDP_TO_HOST UINT32_MAX
struct dune_xdp_port {
    uint32_t number;     /* 0..63: what actions steer and mirror name */
    const char *ifname;
    int kind;            /* DUNE_PORT_EDGE, DUNE_PORT_CHAIN */
    uint32_t out;        /* number of the port where its packets leave, or DUNE_XDP_TO_HOST: this host's stack */
    enum dune_xdp_mode mode;
    bool plain;          /* the way back: packets pass as they are, frames with a shim are dropped */
};
/*
 * Attaches the device to an interface. The port it sends to may be attached later: until then packets are dropped.
 * AUTO tries native and falls back to generic; dune_xdp_port_mode tells. An interface with somebody else's XDP
 * program is refused; a program that an earlier dunectl left is replaced without a gap. Errors: DUNE_E_ENV (no such
 * interface, mode not possible), DUNE_E_USAGE (number in use). MTU and offloads: dune_iface_check.
 */
int dune_xdp_attach(struct dune_xdp *x, const struct dune_xdp_port *p, struct dune_diag *d) DUNE_MUST_USE;
/*
 * Call it once when all ports are attached. Goes on counting where the program stopped that was replaced, whose process may have been
 * killed. A program of another version of the tool, whose maps look different, is not continued.
 */
void dune_xdp_carry_counts(struct dune_xdp *x);
/* Frames that the ports out refused since the device was first attached, by the kernel's own count: no room at the other end. */
uint64_t dune_xdp_refused(const struct dune_xdp *x);
enum dune_xdp_mode dune_xdp_port_mode(const struct dune_xdp *x, uint32_t number);
int dune_xdp_detach(struct dune_xdp *x, uint32_t number, struct dune_diag *d) DUNE_MUST_USE;
/* Removes any program of ours that an earlier process left on the interface. 0: none is there any more. */
int dune_xdp_clean(const char *ifname, struct dune_diag *d) DUNE_MUST_USE;

/* --- digests and rules ------------------------------------------------------------------------------------ */
/* Calls fn for every digest under way; waits up to timeout_ms for the first. Returns how many, or an error. */
int dune_xdp_poll(struct dune_xdp *x, int timeout_ms, dune_digest_fn fn, void *ctx, struct dune_diag *d) DUNE_MUST_USE;
/* Calls fn for every record of the trace that waits; some may be lost, which is counted. */
int dune_xdp_poll_trace(struct dune_xdp *x, dune_live_record_fn fn, void *ctx, struct dune_diag *d) DUNE_MUST_USE;
/* For poll(2) in an event loop. */
int dune_xdp_digest_fd(const struct dune_xdp *x);
/* A known-flow rule; one of the same flow is replaced. Counted as rules, or rules_full. from: for packets at
 * this tick or later. Ignored for a generation that is not held. */
void dune_xdp_add_rule(struct dune_xdp *x, const struct dune_digest *dg, uint64_t from);
void dune_xdp_remove_rule(struct dune_xdp *x, uint16_t generation, const struct dune_flow_key *key);
/* Removes rules that have expired; returns how many are left. Call it now and then. */
uint32_t dune_xdp_sweep_rules(struct dune_xdp *x);
/* All rules, for a controller that lost them. fn gets the digest each was made from, its tick being the last hit. */
void dune_xdp_list_rules(const struct dune_xdp *x, dune_digest_fn fn, void *ctx);

/* --- counters ----------------------------------------------------------------------------------------------- */
struct dune_xdp_more { /* beyond struct dune_counters */
    uint64_t lock_timeouts; /* answered as a collision: another CPU did not let go of the bucket */
    uint64_t ring_full;     /* of digests_dropped: nobody fetched digests */
    uint64_t no_room;       /* no headroom for a shim: sent without */
    uint64_t no_port;       /* came in by an interface that is not a port: passed to the stack */
    uint64_t no_mirror, no_steer; /* the port of the action is not attached */
    uint64_t spread;        /* handed to another CPU */
    uint64_t events_lost; /* records of the trace that nobody fetched in time */
    uint64_t plain, plain_dropped; /* on the way back; of these dropped for their shim */
};
void dune_xdp_counters(const struct dune_xdp *x, struct dune_counters *out, struct dune_xdp_more *more);
/* With opts.drift: sub-models count what they see, of all generations; off at first. */
void dune_xdp_count(struct dune_xdp *x, bool on);
/* Adds what the sub-models of a plan that is held have answered while they counted (dune/drift.h), exactly as dune_drift_note after
 * every answer of the reference would, but for those since the call before the last that was a second or more after another:
 * these come with a later call. False: not counting, without opts.drift, or a plan that takes more than the program's 16384
 * counters (one per node, range row, class). */
struct dune_drift_counts;
bool dune_xdp_drift(struct dune_xdp *x, const struct dune_plan *p, struct dune_drift_counts *out);
#define DUNE_XDP_LATENCY_BINS 128
/* ns spent in the program, of one packet in 64: bin counts, four bins per power of two. */
void dune_xdp_latency(const struct dune_xdp *x, uint64_t bin[DUNE_XDP_LATENCY_BINS]);
/* The ns below which a share q (0..1) of the packets was; 0: no packet. */
uint64_t dune_xdp_latency_quantile(const uint64_t bin[DUNE_XDP_LATENCY_BINS], double q);

/* --- for the benchmark ---------------------------------------------------------------------------------------- */
enum dune_xdp_bench_program {
    DUNE_XDP_EMPTY,  /* does nothing: the floor */
    DUNE_XDP_FEED,   /* takes the next frame from a map into the packet, and no more */
    DUNE_XDP_FED,    /* the device on the next frame from the map */
    DUNE_XDP_DEVICE  /* the device on one and the same frame */
};
/* Device 0 of the plan with live clock, edge port to edge port, and n frames of at most 64 bytes in a map. */
int dune_xdp_bench_open(struct dune_xdp **out, const struct dune_plan *p, const struct dune_xdp_opts *o,
                        const struct dune_chain_packet *pkt, uint32_t n, struct dune_diag *d) DUNE_MUST_USE;
/*
 * A source of packets out of an interface, from frames in a map, and a sink that drops them: the ends of a chain of
 * veth pairs. dune_xdp_source_send returns when all are sent; they are dealt with on this CPU.
 */
int dune_xdp_source_open(struct dune_xdp **out, const char *ifname, const char *sink, const struct dune_chain_packet *pkt,
                         uint32_t n, struct dune_diag *d) DUNE_MUST_USE;
int dune_xdp_source_send(struct dune_xdp *x, uint32_t n, struct dune_diag *d) DUNE_MUST_USE;
/* Empties all slots, then runs a program `repeat` times inside the kernel; ns per run. */
int dune_xdp_bench_run(struct dune_xdp *x, enum dune_xdp_bench_program what, uint32_t repeat, double *ns,
                       struct dune_diag *d) DUNE_MUST_USE;

#endif
