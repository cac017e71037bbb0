/* SPDX-License-Identifier: Apache-2.0 */
/* What the host files of the XDP target share. */
#ifndef DUNE_TARGETS_XDP_INT_H
#define DUNE_TARGETS_XDP_INT_H

#include <net/if.h>

#include "base/base.h"
#include "targets/core/dune_core_model.h"
#include "targets/xdp/dune_xdp.h"
#include "targets/xdp/xdp_shared.h"

/* --- xdp_plan.c: a plan compiled for one device; needs no BPF --------------------------------------------- */
struct xdp_compiled {
    struct xdp_plan *plan;
    struct dune_core_node *node; /* XDP_MAX_NODES + 1 */
    struct xdp_cuts *cuts;
    uint16_t where[DUNE_N_FEATURES]; /* offset of each register in a slot */
    uint64_t state_bytes; /* slots x ways; 0: the device keeps no state */
};
/* slots, ways: 0: the plan's. Errors: DUNE_E_INFEASIBLE, DUNE_E_USAGE, DUNE_E_INPUT. */
int dune_xdp_compile(struct xdp_compiled *c, const struct dune_plan *p, uint16_t device, uint32_t slots, uint32_t ways,
                     struct dune_diag *d) DUNE_MUST_USE;
void dune_xdp_compiled_fini(struct xdp_compiled *c);
/* Adds what was counted of a plan that the device counts (xdp_plan.counted). */
void dune_xdp_add_drift(struct dune_drift_counts *out, const struct dune_plan *p, uint16_t device, const struct xdp_drift *from);
void dune_xdp_crc_tables(uint32_t table[2][16][256]);

#define XDP_ARENA_MOST ((uint64_t)256 << 20) /* bytes of all slots; offsets that a verifier follows end at 512 MiB */

/* --- a device ------------------------------------------------------------------------------------------------ */
struct dune_device_bpf;
struct ring_buffer;
struct xdp_held {
    bool held, counted; /* counted: for drift */
    uint16_t generation;
    uint64_t timeout, state_bytes;
    uint64_t mirrors; /* port numbers that actions mirror to */
    uint32_t slots, ways, slot_bytes;
    struct dune_core_layout layout;
    uint16_t where[DUNE_N_FEATURES];
};
struct xdp_attached; /* xdp_ports.c */
struct xdp_replaced { /* maps of the program that was on the ports; the ids tell that it was one */
    uint32_t counts_id;
    int counts, settings; /* descriptors; valid with counts_id */
};
struct dune_xdp {
    struct dune_xdp_opts opts;
    struct dune_device_bpf *skel;
    int prog_fd;
    bool testing;
    uint32_t bench; /* frames of the benchmark; 0: none */
    uint64_t capacity; /* bytes of one generation in the arena */
    struct xdp_settings *settings; /* the skeleton's */
    struct xdp_trace *traces;      /* mapped */
    uint8_t *arena;                /* mapped */
    size_t arena_step;             /* from one generation to the other */
    struct xdp_drift *drift;       /* mapped: [n_drift], by CPU, generation, side; NULL: not counted */
    uint32_t n_drift;
    uint64_t drift_turned;         /* tick at which the program was sent to the other side */
    struct xdp_drift *drift_sum;   /* [XDP_GENS] what was read from the sides */
    struct xdp_held gen[XDP_GENS];
    uint64_t serial; /* of the plan held last */
    struct ring_buffer *ring, *trace_ring; /* trace_ring: NULL without trace */
    dune_live_record_fn trace_fn;
    void *trace_ctx;
    uint64_t rules, rules_full, swept; /* counted here; those the program expires are in its counters */
    uint64_t live_rules, seen_expired; /* of the simulated controller */
    dune_digest_fn digest_fn;
    void *digest_ctx;
    uint16_t device;
    struct xdp_attached *port; /* [XDP_MAX_PORTS] */
    struct xdp_replaced old;
};
/* testing: the program takes tick and ports from the test and writes a trace. bench: room for so many frames. */
int dune_xdp_open_as(struct dune_xdp **out, const struct dune_xdp_opts *o, bool testing, uint32_t bench,
                     struct dune_diag *d) DUNE_MUST_USE;
/* Position of a generation, -1: not held. */
int dune_xdp_position(const struct dune_xdp *x, uint16_t generation);
/* Returns when all packets that were under way in a program have left it. */
void dune_xdp_wait_for_packets(struct dune_xdp *x);
int dune_xdp_stamp_at(struct dune_xdp *x, uint16_t generation, uint32_t share, uint64_t now, struct dune_diag *d) DUNE_MUST_USE;
/* xdp_drift.c: nothing counted for a position; no packet sees it. */
void dune_xdp_drift_clear(struct dune_xdp *x, uint32_t gen);
/* Removes the rules of a position. */
void dune_xdp_drop_rules(struct dune_xdp *x, uint32_t gen);
/* Slots, rules and digest tokens empty; no packet may be under way. */
void dune_xdp_clear(struct dune_xdp *x);
/* xdp_carry.c: remembers the maps of a program of ours that was replaced; the last one counts. */
void dune_xdp_note_replaced(struct dune_xdp *x, int prog_fd);
void dune_xdp_forget_replaced(struct dune_xdp *x);
/* xdp_ports.c */
void dune_xdp_refresh_mirrors(struct dune_xdp *x);
/* The interface of an attached port; false: there is none of this number. */
bool dune_xdp_port_name(const struct dune_xdp *x, uint32_t number, char name[IF_NAMESIZE]);
void dune_xdp_end_ports(struct dune_xdp *x, enum dune_xdp_end end);
int dune_xdp_set_cpus(struct dune_xdp *x, struct dune_diag *d) DUNE_MUST_USE;
/* Adds what a map of counters holds, of all CPUs; false: it cannot be read. */
bool dune_xdp_add_counts(int map, struct xdp_counts *out);
/* Counted by the program and those it replaced, summed over the CPUs. */
void dune_xdp_read_counts(const struct dune_xdp *x, struct xdp_counts *out);
/* One test run: the frame in, the frame out (room: its capacity); the program's return value. */
struct xdp_run {
    const uint8_t *in;
    uint32_t in_len;
    uint8_t *out;
    uint32_t room, out_len;
    uint32_t retval, duration; /* ns per run */
    uint32_t repeat;
};
int dune_xdp_test_run(struct dune_xdp *x, struct xdp_run *r, const struct xdp_test_meta *m, struct dune_diag *d) DUNE_MUST_USE;
/* Several rules per flow, each for packets from its tick on, as the simulated controller makes them. */
void dune_xdp_queue_rule(struct dune_xdp *x, const struct dune_digest *dg, uint64_t from, uint32_t max);

/* --- xdp_engine.c, for tests ----------------------------------------------------------------------------------- */
int dune_xdp_chain_update(struct dune_chain *c, const struct dune_plan *p, uint64_t now, struct dune_diag *d) DUNE_MUST_USE;
struct dune_xdp *dune_xdp_chain_device(struct dune_chain *c, uint32_t i);

#endif
