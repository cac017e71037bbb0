/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the replay share. */
#ifndef DUNE_EXPERIMENT_REPLAY_INT_H
#define DUNE_EXPERIMENT_REPLAY_INT_H

#include "base/base.h"
#include "dune/feed.h"
#include "dune/replay.h"

/* --- replay_score.c: truth against verdicts ------------------------------------------------------------ */
struct rp_vote { /* one flow's weight that got one prediction, in one capture */
    uint64_t flow;
    uint32_t truth, pred;
    uint64_t w, packets;
};
typedef DUNE_VEC(struct dune_vote) rp_dune_votes;

struct rp_share { /* sums of weight, for the shares */
    uint64_t total, pl, fl, none, collision;
};

struct rp_score {
    uint32_t n_classes;
    char **class_name;
    uint32_t *of_label; /* label id -> class, [n_labels]: without a label; UINT32_MAX: not scored */
    uint32_t n_labels;
    uint32_t of_plan[256]; /* plan class id -> class */
    struct rp_share flow, packet;
    struct dune_replay_decided decided[256];
    DUNE_VEC(struct rp_vote) now; /* of the capture under way */
    rp_dune_votes by_flow[2], by_capture[2]; /* flow level, packet level */
    uint32_t n_captures, n_flows; /* with labelled flows */
};
/* Classes of the labels and of the plan, and unlabelled unless it is NULL, sorted; *n of them. */
char **dune_rp_class_list(const struct dune_labels *l, const struct dune_plan *p, const char *unlabelled, uint32_t *n);
void dune_rp_score_init(struct rp_score *s, const struct dune_plan *p, const struct dune_replay_opts *o);
void dune_rp_score_fini(struct rp_score *s);
/* pos: 1-based packet number within the flow. */
void dune_rp_score_add(struct rp_score *s, uint64_t flow, uint64_t pos, uint64_t len, uint32_t truth,
                       const struct dune_verdict *v);
void dune_rp_score_end_capture(struct rp_score *s);
/* Moves classes and scores into the result. */
void dune_rp_score_finish(struct rp_score *s, struct dune_replay *r, unsigned draws, uint64_t seed);

/* --- replay_out.c: verdict file, output capture ---------------------------------------------------------- */
struct rp_out {
    struct dune_outfile csv;
    struct dune_writer *pcap;
    const struct dune_plan *plan;
};
int dune_rp_out_open(struct rp_out *o, const struct dune_plan *p, const struct dune_replay_opts *opts,
                     struct dune_diag *d) DUNE_MUST_USE;
void dune_rp_out_verdict(struct rp_out *o, const struct dune_replay_packet *p);
int dune_rp_out_frame(struct rp_out *o, uint64_t ts_ns, const struct dune_chain_frame *f,
                      struct dune_diag *d) DUNE_MUST_USE;
int dune_rp_out_commit(struct rp_out *o, struct dune_diag *d) DUNE_MUST_USE;
void dune_rp_out_abort(struct rp_out *o);

/* --- replay_flows.c: the feed of flows that ended ---------------------------------------------------------- */
struct rp_flow {
    struct dune_flow_key key;
    uint64_t first_ns, last_ns, packets, bytes;
    struct dune_verdict last;
};
struct rp_flows {
    struct dune_feed *feed; /* NULL: nobody asked */
    const struct dune_plan *plan;
    struct dune_truth *truth;
    uint64_t first; /* flow of the capture */
    DUNE_VEC(struct rp_flow) flow;
};
int dune_rp_flows_open(struct rp_flows *x, const struct dune_plan *p, const char *spec, struct dune_diag *d) DUNE_MUST_USE;
void dune_rp_flows_add(struct rp_flows *x, const struct dune_chain_packet *in, uint64_t ts_ns,
                       const struct dune_verdict *v);
int dune_rp_flows_end_capture(struct rp_flows *x, const char *capture, struct dune_diag *d) DUNE_MUST_USE;
int dune_rp_flows_commit(struct rp_flows *x, struct dune_diag *d) DUNE_MUST_USE;
void dune_rp_flows_fini(struct rp_flows *x); /* what was not committed is thrown away */

#endif
