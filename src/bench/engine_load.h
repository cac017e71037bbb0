/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traffic and plans to measure engines with. Packets are made from the number of their flow, a batch at a
 * time, into buffers that stay in the cache, as a network card's do; making them is not timed.
 */
#ifndef DUNE_BENCH_ENGINE_LOAD_H
#define DUNE_BENCH_ENGINE_LOAD_H

#include "base/base.h"
#include "dune/engine.h"

enum bench_mix {
    BENCH_ALL_INFERRED, /* every flow has LOAD_POINT packets: each one asks the forests */
    BENCH_STEADY        /* Zipf (s = 1), 20 packets a flow in the mean: most have their answer stored */
};
enum { LOAD_POINT = 3 /* inference point of the plans */, LOAD_BATCH = 2048, LOAD_CLASSES = 10 };

struct bench_load {
    uint32_t n_flows;
    uint64_t n;      /* packets of one pass; a pass begins with an empty table */
    uint32_t *order; /* [n] flow of each packet, shuffled */
};
void bench_load_init(struct bench_load *l, enum bench_mix mix, uint32_t n_flows, uint64_t seed);
void bench_load_fini(struct bench_load *l);

struct bench_batch {
    struct dune_chain_packet pkt[LOAD_BATCH];
    struct dune_verdict verdict[LOAD_BATCH];
    uint8_t frame[LOAD_BATCH][128];
};
/* Packets from number `at` on; returns how many, 0 at the end of the pass. */
size_t bench_load_fill(const struct bench_load *l, uint64_t at, struct bench_batch *b);

/* One pass as frames of 60 bytes that lie side by side, 2^20 at most. */
struct bench_frames {
    uint8_t *bytes; /* 64 for each */
    struct dune_chain_packet *pkt;
    uint32_t n;
};
void bench_frames_init(struct bench_frames *f, enum bench_mix mix, uint32_t n_flows);
void bench_frames_fini(struct bench_frames *f);

/* A verified chain of n_sub sub-models on as many devices (n_devices at least), each with 3 trees of `leaves` leaves
 * over 8 features, trained on such packets. */
int bench_load_plan(struct dune_plan **out, uint32_t n_sub, uint32_t n_devices, uint32_t leaves,
                    enum dune_hash_kind hash, struct dune_diag *d) DUNE_MUST_USE;
/* The same with trees of at most so many steps; 0: as deep as their leaves make them. */
int bench_load_plan_deep(struct dune_plan **out, uint32_t n_sub, uint32_t n_devices, uint32_t leaves, uint32_t depth,
                         enum dune_hash_kind hash, struct dune_diag *d) DUNE_MUST_USE;

#endif
