/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replay: captures through the chain of a plan, packet by packet, to verdicts, scores and counters.
 *
 * Every file, and every capture of captures.csv, is a new capture: slots, rules and pending digests
 * are emptied before it. With labels the true flows are found by their exact definition (directed
 * 5-tuple, the plan's timeout, capture boundary; default parser limits, so that a plan with narrower
 * ones is scored on the same traffic); the class of a flow is the label of its first packet.
 */
#ifndef DUNE_REPLAY_H
#define DUNE_REPLAY_H

#include "dune/capture.h"
#include "dune/device.h"
#include "dune/labels.h"
#include "dune/metrics.h"

#define DUNE_NO_FLOW UINT64_MAX

/* One packet after the chain, for callers that look at every verdict. Borrowed for the call, except
 * file and capture: they last as long as the replay, and every capture has an address of its own. */
struct dune_replay_packet {
    const char *file, *capture; /* capture: as dune_capture_name says */
    uint64_t index;             /* 0-based within the file */
    uint64_t tick;
    const struct dune_verdict *verdict;
    uint64_t flow;              /* true flow, numbered over all captures; DUNE_NO_FLOW: none */
    uint64_t flow_pos, flow_len;/* packet number within it (1..) and its packets */
    uint32_t truth;             /* index into class_name; UINT32_MAX: unlabelled */
    const uint8_t *data;        /* the packet as captured */
    uint32_t cap_len, wire_len;
    uint64_t ts_ns;             /* as in the file */
    double chain_ns;            /* time in the chain, mean of its burst */
};
typedef void (*dune_replay_fn)(void *ctx, const struct dune_replay_packet *p);

struct dune_replay_opts { /* zero: the default */
    const char *engine;                  /* NULL: "reference" */
    struct dune_chain_opts chain;
    const struct dune_labels *labels;    /* NULL: no truth, no scores */
    const struct dune_captures *captures;/* NULL: every file is one capture */
    const char *unlabelled;              /* the class of flows without a label; NULL: they are not scored */
    const char *const *classes;          /* [n_classes]: labels of other classes count as none; NULL: all count */
    uint32_t n_classes;
    const uint8_t *flow_use;             /* [n_flow_use] by flow with a class, in their order: is it scored?
                                            NULL: all are */
    uint64_t n_flow_use;
    const char *verdicts_path;           /* CSV, one row per packet; NULL: none */
    const char *pcap_path;               /* packets as they left; NULL: none. With their shim if
                                            chain.keep_shim */
    const char *feed;                    /* json:FILE or csv:FILE, one line per flow (dune/feed.h); NULL: none */
    unsigned bootstrap_draws;            /* 0: 1000 */
    uint64_t seed;                       /* of the bootstrap */
    dune_replay_fn on_packet;
    void *on_packet_ctx;
    dune_answer_fn on_answer;            /* every fresh answer of every device; engine reference only */
    void *on_answer_ctx;
    dune_replay_fn look;                 /* the same for somebody who only looks on; may take its time */
    void *look_ctx;
    bool no_scores;                      /* labels say the truth of packets to on_packet and look, nothing more */
    bool (*stop)(void *ctx);             /* asked before every burst; true: DUNE_E_INTERRUPTED */
    void *stop_ctx;
};

/* Scores at one level. */
struct dune_replay_level {
    struct dune_f1 f1;
    struct dune_interval macro;    /* bootstrap; mean is that of the draws */
    struct dune_class_score *cls;  /* [n_classes] */
    struct dune_confusion confusion;
    double pl, fl, none;           /* shares of the weight whose verdict is packet-level, flow-level,
                                      or carries no answer */
    double collision;              /* share with the collision flag */
};

struct dune_replay {
    char *solution;          /* the plan's solution or name */
    const char *engine;
    uint32_t n_devices;
    struct dune_counters *device;    /* [n_devices] */
    char **device_name;
    /* packets: every one is in exactly one of these four */
    uint64_t packets, not_inferable, filtered, too_big, inferable;
    uint64_t by_reason[DUNE_N_REASONS];
    uint64_t bytes, captures;
    uint64_t claimed, tentative, unclaimed, settled, rule_hits, dropped, mirrored, collided;
    /* truth: all zero without labels */
    bool scored;
    uint32_t n_classes;      /* classes of the labels and of the plan, sorted bytewise */
    char **class_name;
    uint64_t flows, unlabelled_flows, unlabelled_packets;
    uint64_t label_conflicts;
    struct dune_replay_level flow, packet;
    const char *bootstrap_over; /* "captures", or "flows" when fewer than 4 captures hold labelled flows */
    uint32_t bootstrap_groups;
    struct dune_replay_decided { /* weight at flow level of what this sub-model's answer decided */
        uint64_t right, wrong;
    } decided[256]; /* by sub-model id */
    /* time spent in the chain, per packet, over bursts (weighted by packets) */
    double ns_mean, ns_p50, ns_p99;
};

/*
 * Runs the files in order. Errors leave no partial output: DUNE_E_INPUT for captures that do not match
 * their list or hold no labelled flow although labels are given, DUNE_E_ENV for an engine that is
 * not there, DUNE_E_INTERRUPTED. The counters' identities are checked at the end (DUNE_E_INTERNAL).
 */
int dune_replay_run(struct dune_replay **out, const struct dune_plan *p, const char *const *paths,
                    size_t n_paths, const struct dune_replay_opts *o, struct dune_diag *d) DUNE_MUST_USE;
void dune_replay_free(struct dune_replay *r);

struct dune_jsonw;
/* The value of "solutions"[NAME] (design section 10) into an open JSON writer. */
void dune_replay_json(const struct dune_replay *r, const struct dune_plan *p, struct dune_jsonw *w);
/* Of this its key "resources" and the value: what every device of the plan needs. */
void dune_plan_resources_json(const struct dune_plan *p, struct dune_jsonw *w);

/* --- the true flows of one capture (replay_truth.c) --------------------------------------------------- */
struct dune_truth; /* opaque */
struct dune_truth *dune_truth_new(uint64_t timeout);
void dune_truth_free(struct dune_truth *t);
/* The flow of an inferable packet: its number since dune_truth_new (never reused). cls is the packet's
 * label; the first packet's decides. */
uint64_t dune_truth_add(struct dune_truth *t, const struct dune_packet *p, uint64_t tick, uint32_t cls);
/* A capture boundary: no flow goes on. */
void dune_truth_boundary(struct dune_truth *t);
uint64_t dune_truth_n_flows(const struct dune_truth *t);
uint64_t dune_truth_len(const struct dune_truth *t, uint64_t flow);
uint32_t dune_truth_class(const struct dune_truth *t, uint64_t flow);

#endif
