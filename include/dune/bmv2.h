/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bmv2's simple_switch as a device: compile a plan's program, start the switch on interfaces, load
 * generations, install rules, read digests and counters (docs/targets/p4.md).
 *
 *   dune_bmv2_compile -> dune_bmv2_start -> load, stamp ... -> dune_bmv2_stop
 *
 * A switch belongs to one thread. It runs in the network namespace of the thread that starts it and is
 * reached over the loopback interface there. Plans are borrowed from load to unload. Everything that asks
 * the switch returns DUNE_E_ENV when it is gone.
 */
#ifndef DUNE_BMV2_H
#define DUNE_BMV2_H

#include "dune/device.h"

#define DUNE_BMV2_CPU_PORT 64 /* digests leave here, packets that release slots come in */
#define DUNE_BMV2_MAX_PORTS 36
#define DUNE_BMV2_DIGEST_BYTES 58

/* NULL: compiler and switch are on PATH; else what is missing. */
const char *dune_bmv2_available(void);

/* Writes program and scripts of the device below dir and compiles it; *json (dune_mem_free) is what the
 * switch takes. test_clock: time from 8 bytes in front of Ethernet. A warning of the compiler is an error:
 * DUNE_E_INTERNAL with its first line. DUNE_E_INFEASIBLE as for dune_p4_generate. */
int dune_bmv2_compile(const struct dune_plan *p, uint32_t device, const char *dir, bool test_clock,
                      char **json, struct dune_diag *d) DUNE_MUST_USE;

struct dune_bmv2_cfg {
    const char *json;
    uint16_t device;      /* position in the chain */
    uint16_t thrift_port; /* 0: one that is free */
    uint32_t n_ports;
    struct dune_bmv2_port {
        uint16_t number; /* 1: towards the end of the chain; others: towards its start */
        int kind;        /* DUNE_PORT_EDGE, DUNE_PORT_CHAIN */
        const char *ifname;
    } port[DUNE_BMV2_MAX_PORTS];
    const char *digests;  /* the other end of the CPU port's link; NULL: nobody listens */
    const char *log;      /* what the switch says; NULL: nowhere */
    bool drop_edge_shim;
    bool keep_shim; /* also on packets that leave by an edge port */
    bool back;      /* what comes in at port 1 leaves by port 0 as it is; shims are dropped */
    uint32_t digest_rate, digest_burst; /* as in struct dune_chain_opts */
    bool test_clock; /* the program was compiled with it */
};
struct dune_bmv2; /* opaque */
/* Starts a switch for programs of p's shape. It holds no generation yet: it forwards, its edges strip shims
 * and let none in. p is not kept. DUNE_E_ENV: it does not start, with the last line it said. */
int dune_bmv2_start(struct dune_bmv2 **out, const struct dune_bmv2_cfg *cfg, const struct dune_plan *p,
                    struct dune_diag *d) DUNE_MUST_USE;
void dune_bmv2_stop(struct dune_bmv2 *sw); /* accepts NULL */

/* Holds one more generation, in the free one of two sets of tables. DUNE_E_INFEASIBLE when the program
 * has another shape. */
int dune_bmv2_load(struct dune_bmv2 *sw, const struct dune_plan *p, struct dune_diag *d) DUNE_MUST_USE;
/* As dune_ref_device_stamp. now: in ticks of dune_bmv2_now, or of the test clock. */
int dune_bmv2_stamp(struct dune_bmv2 *sw, uint16_t generation, uint64_t now, struct dune_diag *d) DUNE_MUST_USE;
/* Also the stamped one, when it is the only one. */
int dune_bmv2_unload(struct dune_bmv2 *sw, uint16_t generation, struct dune_diag *d) DUNE_MUST_USE;
/* A new capture: slots, rules and digest marks are emptied. */
int dune_bmv2_new_capture(struct dune_bmv2 *sw, struct dune_diag *d) DUNE_MUST_USE;
/* A rule, in place of one the flow may have. *added false: no room, also after expired ones went. Nothing
 * for a generation that is not held. */
int dune_bmv2_put_rule(struct dune_bmv2 *sw, const struct dune_digest *dg, bool *added,
                       struct dune_diag *d) DUNE_MUST_USE;
/*
 * Has the flow's slot of that generation emptied by a packet injected at the CPU port: compare (generation, id) and clear, as
 * dune_ref_device_release. For a flow whose rule was put: its packets need the slot no more, another flow may have it. The
 * switch does it when the packet gets there; one that finds no room on the link is not sent, then the slot expires by itself.
 * DUNE_E_USAGE: nobody listens at the CPU port.
 */
int dune_bmv2_release(struct dune_bmv2 *sw, uint16_t generation, const struct dune_flow_key *key,
                      struct dune_diag *d) DUNE_MUST_USE;
/* The id in a slot; 0: empty, or the generation is not held. */
int dune_bmv2_slot_id(struct dune_bmv2 *sw, uint16_t generation, uint32_t index, uint32_t *id,
                      struct dune_diag *d) DUNE_MUST_USE;
int dune_bmv2_counters(struct dune_bmv2 *sw, struct dune_counters *out, struct dune_diag *d) DUNE_MUST_USE;
/* The switch's clock in ticks. */
int dune_bmv2_now(struct dune_bmv2 *sw, uint64_t *tick, struct dune_diag *d) DUNE_MUST_USE;
bool dune_bmv2_alive(struct dune_bmv2 *sw);

/* Calls fn for every digest that waits at the CPU port. Returns how many. */
unsigned dune_bmv2_digests(struct dune_bmv2 *sw, dune_digest_fn fn, void *ctx);
int dune_bmv2_digest_fd(const struct dune_bmv2 *sw); /* readable when one waits; -1: nobody listens */
/* One frame of the CPU port. false: it is none. */
bool dune_bmv2_digest_parse(const uint8_t *frame, size_t len, struct dune_digest *dg);

#endif
