/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One device of the reference engine, alone: what a test compares another target with, packet by
 * packet and register by register (design section 5).
 *
 * A device lives at one position of the plan's chain. It holds up to two generations; plans are
 * borrowed and must outlive their generation on the device. It is not thread-safe.
 */
#ifndef DUNE_DEVICE_H
#define DUNE_DEVICE_H

#include "dune/engine.h"

struct dune_ref_device; /* opaque */

#define DUNE_DIGEST_REPEAT 976562 /* ticks until an unanswered digest is sent again (about 1 s) */
#define DUNE_RULES_MAX_DEFAULT 65536

/* The verdict of a flow on its way to the controller, and from there into a known-flow rule. */
struct dune_digest {
    uint16_t device, generation;
    uint64_t tick; /* of the packet that caused it */
    struct dune_flow_key key;
    uint8_t cls;   /* 0: unclaimed */
    uint8_t flags; /* DUNE_SHIM_TENTATIVE and DUNE_SHIM_FL */
    uint8_t submodel, conf;
};
typedef void (*dune_digest_fn)(void *ctx, const struct dune_digest *dg);

/* Errors: DUNE_E_USAGE for slots that are no power of two, ways outside 1..8, a device index beyond
 * the plan. o may be NULL. The first generation of the device is p's. */
int dune_ref_device_new(struct dune_ref_device **out, const struct dune_plan *p, uint16_t index,
                        const struct dune_chain_opts *o, struct dune_diag *d) DUNE_MUST_USE;
void dune_ref_device_free(struct dune_ref_device *dev);
/* A new capture: slots, rules and digest marks are emptied; counters stay. */
void dune_ref_device_new_capture(struct dune_ref_device *dev);
/* Where digests go; NULL: nowhere (they are counted all the same). */
void dune_ref_device_on_digest(struct dune_ref_device *dev, dune_digest_fn fn, void *ctx);
/* Every fresh answer: packet-level or flow-level, not a stored one, not in a collision. sub: position in
 * plan->sub; features: all of the catalog. NULL: nobody listens. */
typedef void (*dune_answer_fn)(void *ctx, const struct dune_plan *plan, uint32_t sub, const uint32_t *features,
                               const struct dune_sub_answer *a);
void dune_ref_device_on_answer(struct dune_ref_device *dev, dune_answer_fn fn, void *ctx);

/* --- generations ----------------------------------------------------------------------------------- */
/* Holds one more generation. Errors: DUNE_E_USAGE when it is held already, two are held, or the shim's
 * EtherType differs. */
int dune_ref_device_load(struct dune_ref_device *dev, const struct dune_plan *p,
                         struct dune_diag *d) DUNE_MUST_USE;
/* From now on packets without shim get this generation; flows with a live slot or rule of the other
 * one keep that until tick now + 2 x its timeout. */
int dune_ref_device_stamp(struct dune_ref_device *dev, uint16_t generation, uint64_t now,
                          struct dune_diag *d) DUNE_MUST_USE;
/* The same for a share of the new flows, told by their 5-tuples: a flow is in it or not on every device.
 * The others get the other generation, as long as that is held; nothing drains. */
#define DUNE_STAMP_ALL 1024
int dune_ref_device_stamp_share(struct dune_ref_device *dev, uint16_t generation, uint32_t share, uint64_t now,
                                struct dune_diag *d) DUNE_MUST_USE;
bool dune_stamp_in_share(const struct dune_flow_key *key, uint32_t share);
/* Up to which tick flows of the other generation keep it. */
uint64_t dune_ref_device_drain_until(const struct dune_ref_device *dev);
/* Forgets a generation with its slots, rules and digests. The one that is stamped cannot go. */
int dune_ref_device_unload(struct dune_ref_device *dev, uint16_t generation,
                           struct dune_diag *d) DUNE_MUST_USE;

/* --- packets --------------------------------------------------------------------------------------- */
/* Class votes of claim rule `votes`, which travel beside the packet in memory: how many trees voted
 * for a class, and the sum of their leaf confidences, which decides. All zero at the edge. */
struct dune_ballot {
    uint16_t votes[DUNE_MAX_CLASSES + 1];
    uint32_t conf[DUNE_MAX_CLASSES + 1];
    uint16_t answers, fl; /* sub-models that voted; of these with a flow-level or stored answer */
};

struct dune_device_in {
    const uint8_t *data; /* as it arrives on the wire, with shim on a chain port */
    uint32_t cap_len, wire_len;
    uint64_t tick;
    int port, out_port; /* DUNE_PORT_*: where it comes in and where forwarding sends it */
    struct dune_ballot *ballot; /* claim rule votes: carried from device to device; else NULL */
};
struct dune_device_out {
    const uint8_t *data; /* lent until the next call; NULL: dropped */
    uint32_t cap_len, wire_len;
    struct dune_device_trace trace;
};
void dune_ref_device_process(struct dune_ref_device *dev, const struct dune_device_in *in,
                             struct dune_device_out *out);
const struct dune_counters *dune_ref_device_counters(const struct dune_ref_device *dev);

/* --- rules ----------------------------------------------------------------------------------------- */
/* A rule from a digest, for packets with tick >= from. Ignored for a generation that is not held;
 * counted in rules_full when there is no room. */
void dune_ref_device_add_rule(struct dune_ref_device *dev, const struct dune_digest *dg, uint64_t from);

/* The same in place of the rules the flow has: what a controller says twice changes nothing. */
void dune_ref_device_put_rule(struct dune_ref_device *dev, const struct dune_digest *dg, uint64_t from);
/* Empties the slot of a flow that has a rule, if it is still that flow's: compare (generation, id) and clear. Slots expire by
 * themselves; this only lets another flow have it sooner. Nothing for a generation that is not held. */
void dune_ref_device_release(struct dune_ref_device *dev, uint16_t generation, const struct dune_flow_key *key);

/* --- registers ------------------------------------------------------------------------------------- */
/* A slot as another target would hold it. used = false: empty. */
struct dune_slot_view {
    bool used;
    uint32_t id;
    const struct dune_flow_regs *regs;
    bool digest_sent;
    uint64_t digest_tick;
    uint32_t n_stored; /* sub-models of this device, in chain order */
    const struct dune_sub_answer *stored; /* valid where count >= n of the sub-model */
};
/* false when the generation is not held or index or way are out of range. */
bool dune_ref_device_slot(const struct dune_ref_device *dev, uint16_t generation, uint32_t index,
                          uint32_t way, struct dune_slot_view *out);
/* Slot index and id of a flow under a plan's hash. */
void dune_flow_slot(const struct dune_plan *p, uint32_t slots, const struct dune_flow_key *key,
                    uint32_t *index, uint32_t *id);

/* --- the reference chain beyond struct dune_engine_ops ---------------------------------------------- */
/* Device i of a chain opened by dune_engine_reference. */
struct dune_ref_device *dune_ref_chain_device(struct dune_chain *c, uint32_t i);
/* Two-phase update: load on all devices, then stamp on the first. */
int dune_ref_chain_update(struct dune_chain *c, const struct dune_plan *p, uint64_t now,
                          struct dune_diag *d) DUNE_MUST_USE;

#endif
