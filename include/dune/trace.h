/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a live device did with every packet, on request, and the judgement of that: the reference is fed with the packets
 * of a trace, at their ticks and under their generations, and must say the same.
 */
#ifndef DUNE_TRACE_H
#define DUNE_TRACE_H

#include "dune/plan.h"

enum { DUNE_TRACE_FRAME = 256 }; /* bytes of a frame that are kept: more than the headers of any inferable one */

struct dune_live_record {
    uint64_t serial; /* the order in which packets took their slots; the order in the trace may differ a little */
    uint64_t tick, count;
    uint32_t wire_len, slot_index;
    uint16_t cap_len, generation, position;
    uint8_t in_port, out_port; /* DUNE_PORT_* */
    uint8_t fate, reason, slot, way;
    uint8_t has_shim, digest, became_final, dropped;
    uint8_t shim_flags, shim_submodel, shim_cls, shim_conf; /* as it left */
    uint8_t frame[DUNE_TRACE_FRAME]; /* as it came in, cap_len bytes */
};
typedef void (*dune_live_record_fn)(void *ctx, const struct dune_live_record *r);

/* --- files ------------------------------------------------------------------------------------------------- */
struct dune_trace_head {
    char device[64];
    uint32_t slots, ways;      /* instead of the plan's; 0: the plan's */
    uint32_t drop_edge_shim;
};
struct dune_trace_writer; /* opaque */
int dune_trace_create(struct dune_trace_writer **out, const char *path, const struct dune_trace_head *head,
                      struct dune_diag *d) DUNE_MUST_USE;
void dune_trace_put(struct dune_trace_writer *w, const struct dune_live_record *r);
/* lost: records that did not fit on their way. Reports what went wrong since the start. Accepts NULL. */
int dune_trace_close(struct dune_trace_writer *w, uint64_t lost, struct dune_diag *d) DUNE_MUST_USE;

struct dune_trace { /* in memory, ordered by serial */
    struct dune_trace_head head;
    struct dune_live_record *rec;
    size_t n;
    uint64_t lost;
    bool complete; /* its writer came to its end */
};
int dune_trace_parse(struct dune_trace *t, const char *name, const void *data, size_t len, struct dune_diag *d) DUNE_MUST_USE;
int dune_trace_read(struct dune_trace *t, const char *path, struct dune_diag *d) DUNE_MUST_USE;
void dune_trace_fini(struct dune_trace *t);

/* --- judgement ----------------------------------------------------------------------------------------------- */
struct dune_judgement {
    uint64_t records, judged; /* judged: the reference said the same, or did not */
    uint64_t rule_hits;       /* compared with the digest of their flow, on whatever device that was sent */
    uint64_t pinned;          /* rule hits without a digest: pins, or digests before the trace began */
    uint64_t no_generation;   /* the device did not hold their generation */
    uint64_t different, lost;
    uint32_t generations;     /* seen */
    bool complete;
    char first[400];          /* the first difference in words */
};
/*
 * Traces of the devices of one chain. plans: one for every generation seen; a single one stands for all of them. Errors:
 * DUNE_E_INPUT for a generation without plan. Differences are no error: look at them.
 */
int dune_trace_judge(const struct dune_trace *t, size_t n, const struct dune_plan *const *plans, size_t n_plans,
                     struct dune_judgement *out, struct dune_diag *d) DUNE_MUST_USE;

#endif
