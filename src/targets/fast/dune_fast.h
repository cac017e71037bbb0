/* SPDX-License-Identifier: Apache-2.0 */
/* The fast engine beyond struct dune_engine_ops: for the bench, tests and live use. */
#ifndef DUNE_TARGETS_DUNE_FAST_H
#define DUNE_TARGETS_DUNE_FAST_H

#include "dune/device.h"
#include "dune/engine.h"

/* How the forests of a sub-model are asked; results are the same. */
enum dune_fast_walk {
    DUNE_FAST_WALK_PACKETS, /* eight packets down one tree in step */
    DUNE_FAST_WALK_TREES,   /* one packet down all trees in step */
    DUNE_FAST_WALK_QUICK,   /* ranges, bit vectors of leaves */
    DUNE_FAST_WALK_WIDE,    /* seven nodes at once, with AVX2 */
    DUNE_FAST_N_WALKS
};
const char *dune_fast_walk_name(enum dune_fast_walk w);

/* burst without its limit on n. */
int dune_fast_run(struct dune_chain *c, const struct dune_chain_packet *pkt, size_t n,
                  struct dune_verdict *v, struct dune_chain_frame *out_frame, struct dune_diag *d) DUNE_MUST_USE;
/* Two-phase update as dune_ref_chain_update. */
int dune_fast_update(struct dune_chain *c, const struct dune_plan *p, uint64_t now,
                     struct dune_diag *d) DUNE_MUST_USE;
/* Forgets a generation that is drained, with its slots and rules; the one that is stamped cannot go. Then another can
 * be loaded, and packets go the straight way again. */
int dune_fast_unload(struct dune_chain *c, uint16_t generation, struct dune_diag *d) DUNE_MUST_USE;
/* Uses one walk for all sub-models that can be asked that way, instead of what the calibration chose. */
void dune_fast_set_walk(struct dune_chain *c, enum dune_fast_walk walk);
/* What is in use for sub-model k of a device, and the measured ns per vector of every walk (0: none). */
enum dune_fast_walk dune_fast_walk_of(const struct dune_chain *c, uint32_t device, uint32_t k,
                                      double ns[DUNE_FAST_N_WALKS]);
/* Bytes of slots and bucket words of all devices; bytes of one slot on a device, which the others share where the
 * chain is one for the engine. */
uint64_t dune_fast_table_bytes(const struct dune_chain *c);
uint32_t dune_fast_slot_bytes(const struct dune_chain *c, uint32_t device);

/* The bare limits: what every packet costs before any state is touched. Returns a value that depends on
 * every packet. touch: also reads and writes one slot of the first device, prefetched. */
uint64_t dune_fast_limit(struct dune_chain *c, const struct dune_chain_packet *pkt, size_t n, bool touch);

/*
 * One device, alone: dune/device.h with the fast engine behind it. Traces come without answers. Plans are borrowed until
 * their generation goes.
 */
struct dune_fast_device; /* opaque */
int dune_fast_device_new(struct dune_fast_device **out, const struct dune_plan *p, uint16_t index,
                         const struct dune_chain_opts *o, struct dune_diag *d) DUNE_MUST_USE;
void dune_fast_device_free(struct dune_fast_device *dev);
void dune_fast_device_on_digest(struct dune_fast_device *dev, dune_digest_fn fn, void *ctx);
int dune_fast_device_load(struct dune_fast_device *dev, const struct dune_plan *p, struct dune_diag *d) DUNE_MUST_USE;
int dune_fast_device_stamp_share(struct dune_fast_device *dev, uint16_t generation, uint32_t share, uint64_t now,
                                 struct dune_diag *d) DUNE_MUST_USE;
uint64_t dune_fast_device_drain_until(const struct dune_fast_device *dev);
int dune_fast_device_unload(struct dune_fast_device *dev, uint16_t generation, struct dune_diag *d) DUNE_MUST_USE;
void dune_fast_device_put_rule(struct dune_fast_device *dev, const struct dune_digest *dg, uint64_t from);
/* Up to DUNE_BURST_MAX packets; all frames of out are lent until the next call. */
void dune_fast_device_burst(struct dune_fast_device *dev, const struct dune_device_in *in, unsigned n,
                            struct dune_device_out *out);
void dune_fast_device_process(struct dune_fast_device *dev, const struct dune_device_in *in, struct dune_device_out *out);
/* Sub-models count what they see, of all generations, for dune_fast_device_drift; off at first, and off forgets. */
void dune_fast_device_count(struct dune_fast_device *dev, bool on);
/* Adds what its sub-models of a generation have answered while they counted (dune/drift.h), exactly as
 * dune_drift_note after every answer of the reference would. False: not held or not counting. */
struct dune_drift_counts;
bool dune_fast_device_drift(const struct dune_fast_device *dev, uint16_t generation, struct dune_drift_counts *out);
void dune_fast_device_counters(const struct dune_fast_device *dev, struct dune_counters *out);

#endif
