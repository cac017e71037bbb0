/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller of a chain of devices (design section 8; docs/controller.md): what every device should
 * hold, digests to known-flow rules, updates that keep flows whole, health.
 *
 *             apply                all hold it            all first devices stamp it     drained
 *   steady ---------> loading ----------------> switching ------------------> draining --------> steady
 *                        \--> canary --promote--^  |                             |
 *                                  \---rollback----+------------> back <---------/      (back -> steady)
 *
 * It compares what devices report with what they should hold and sends commands until the two agree; so
 * a lost message costs time and nothing else. Its own state lies in the bus's store: a controller that is
 * killed is replaced by one that reads it. Time is an input.
 */
#ifndef DUNE_CONTROLLER_H
#define DUNE_CONTROLLER_H

#include "dune/control.h"

struct dune_controller_device {
    const char *name;
    uint16_t position; /* in the chain; several devices may stand at one position (leaves of a tree) */
    uint32_t chain;    /* which one, of many under one controller: rules go to the first devices of a flow's chain */
};

struct dune_controller_cfg { /* zero: the default */
    const char *owner;           /* of the lease; the same name takes it over at once; required */
    const struct dune_controller_device *device; /* copied */
    uint32_t n_devices;
    uint64_t lease_ns;           /* 5 s */
    uint64_t lost_ns;            /* a device that has not reported for so long is lost; 3 s */
    uint64_t resend_ns;          /* a command without effect is sent again; 0.3 s */
    uint64_t grace_ns;           /* packets on the way when a generation is drained; 0.1 s */
    bool no_rules;               /* digests are counted and nothing else */
    bool feed;                   /* publish what flows are on DUNE_FEED_SUBJECT (dune/feed.h) */
    bool rules_everywhere;       /* rules also behind the first devices */
    uint32_t rule_rate, rule_burst; /* rules per second; 20000, half a second of them */
    bool no_auto_rollback;
    uint32_t coverage_drop;      /* rolls back: share of claimed flows lower by so many 1/1000; 100 */
    uint32_t min_flows;          /* digests of either generation before coverage is compared; 200 */
    uint32_t error_share;        /* rolls back: packets with a shim error, 1/1000; 10 */
    uint64_t drift_window_ns;    /* what devices saw in so long is compared with the plan's profile; 300 s */
    uint32_t collision_alarm;    /* alarm: packets without a slot in a second, 1/1000; 50 */
    void (*note)(void *ctx, const char *text); /* one line per event; may be NULL */
    void *note_ctx;
};

#define DUNE_CTL_PHASES(X)                                                                         \
    X(EMPTY, "empty") X(STEADY, "steady") X(LOADING, "loading") X(CANARY, "canary")                \
    X(SWITCHING, "switching") X(DRAINING, "draining") X(BACK, "back")
enum dune_ctl_phase {
#define X(id, name) DUNE_PHASE_##id,
    DUNE_CTL_PHASES(X)
#undef X
    DUNE_N_PHASES
};
const char *dune_ctl_phase_name(enum dune_ctl_phase p);

struct dune_controller; /* opaque */
/* bus is borrowed and must outlive the controller. */
int dune_controller_new(struct dune_controller **out, const struct dune_controller_cfg *cfg,
                        struct dune_bus *bus, struct dune_diag *d) DUNE_MUST_USE;
void dune_controller_free(struct dune_controller *c); /* keeps the lease and the state in the store */
/* Messages, lease, updates, rules. now: ns since the epoch. Never fails: what goes wrong is noted and
 * tried again. */
void dune_controller_step(struct dune_controller *c, uint64_t now_ns);
/* Gives the lease back, for an orderly stop. */
void dune_controller_release(struct dune_controller *c);

/* --- operators. Errors: DUNE_E_ENV without the lease, DUNE_E_USAGE when it does not fit the phase. ---- */
/* Replaces the plan. text: a plan file; its generation is given here. share below DUNE_CTL_SHARE: a canary,
 * which waits for promote or rollback. While an update is under way the plan waits (the newest one). */
int dune_controller_apply(struct dune_controller *c, const char *name, const char *text, size_t len,
                          uint32_t share, struct dune_diag *d) DUNE_MUST_USE;
int dune_controller_promote(struct dune_controller *c, struct dune_diag *d) DUNE_MUST_USE;
/* Back to the plan before, also when that is no longer held. */
int dune_controller_rollback(struct dune_controller *c, struct dune_diag *d) DUNE_MUST_USE;
/* What the plan's sub-models saw in training (dune/drift.h): drift is watched from here on. plan: the plan it belongs to;
 * NULL: that which holds or comes. Kept in the store, for two plans. */
int dune_controller_profile(struct dune_controller *c, const char *text, size_t len, const char *plan, size_t plan_len,
                            struct dune_diag *d) DUNE_MUST_USE;
/* Runs a plan beside the traffic of the first devices; NULL: stops it. */
int dune_controller_shadow(struct dune_controller *c, const char *name, const char *text, size_t len,
                           struct dune_diag *d) DUNE_MUST_USE;
/* What a flow or the flows of a prefix are, whatever the plan says; cls NULL: exempt, never claimed.
 * what: "10.0.0.0/8", "fd00::/16" or "tcp 10.0.0.1:80 10.0.0.2:4000" (directed). A flow's rule is there
 * before its next packet, a prefix takes effect when a flow of it is settled. */
int dune_controller_pin(struct dune_controller *c, const char *what, const char *cls,
                        struct dune_diag *d) DUNE_MUST_USE;
int dune_controller_unpin(struct dune_controller *c, const char *what, struct dune_diag *d) DUNE_MUST_USE;
/* Takes the plan away from a device, or gives it back: a bare device forwards and strips. */
int dune_controller_set_bare(struct dune_controller *c, const char *device, bool bare,
                             struct dune_diag *d) DUNE_MUST_USE;
int dune_controller_set_position(struct dune_controller *c, const char *device, uint16_t position,
                                 struct dune_diag *d) DUNE_MUST_USE;

/* --- looking on --------------------------------------------------------------------------------------- */
struct dune_controller_stats {
    enum dune_ctl_phase phase;
    bool leader, pending;
    uint64_t epoch;
    uint16_t base, next; /* generations; 0: none */
    uint32_t share;
    uint32_t n_devices, n_lost;
    uint64_t digests, duplicates, rules_sent, rules_limited, bad_messages, bus_errors, refused;
    uint64_t digest_messages_dropped; /* they found too many waiting; devices repeat */
    uint64_t updates, rollbacks, alarms;
    uint64_t flows[2], claimed[2]; /* of base and next: digests, and those with a claim */
};
void dune_controller_stats(const struct dune_controller *c, struct dune_controller_stats *out);
/* The last report of a device; false: none yet. */
bool dune_controller_report(const struct dune_controller *c, const char *device, struct dune_ctl_report *out);
/* "ok", "lost", "bare" or "never seen". */
const char *dune_controller_device_state(const struct dune_controller *c, const char *device);
/* The plan that holds (of generation base); NULL: none. Borrowed until the next step. */
const struct dune_plan *dune_controller_plan(const struct dune_controller *c);
/* Everything, as JSON, for people and the dashboard. */
void dune_controller_status(const struct dune_controller *c, struct dune_buf *out);
/* The same about one device; or, device NULL, with the sums of all devices and by name only those that need a look. */
void dune_controller_status_of(const struct dune_controller *c, const char *device, struct dune_buf *out);
/* Every digest that is not a duplicate, with its class name (NULL: unclaimed). */
typedef void (*dune_controller_digest_fn)(void *ctx, const struct dune_digest *dg, const char *cls);
/* The same as events of a feed, pins applied. */
struct dune_feed_event;
typedef void (*dune_controller_flow_fn)(void *ctx, const struct dune_feed_event *e);
void dune_controller_on_flow(struct dune_controller *c, dune_controller_flow_fn fn, void *ctx);
void dune_controller_on_digest(struct dune_controller *c, dune_controller_digest_fn fn, void *ctx);

/* --- operators elsewhere ------------------------------------------------------------------------------- */
/* Serves requests {"op": ...} on the subject "dune.op" and answers on the one they name. */
int dune_controller_serve(struct dune_controller *c, struct dune_diag *d) DUNE_MUST_USE;
/* Asks it: many requests one after another over one bus, on which the asker is told the answers until it is closed. */
struct dune_asker; /* opaque */
int dune_asker_new(struct dune_asker **out, struct dune_bus *bus, struct dune_diag *d) DUNE_MUST_USE;
void dune_asker_free(struct dune_asker *a); /* after its bus is closed */
/* Sends a request and waits for the answer; *answer is yours. The controller's error becomes ours. */
int dune_asker_ask(struct dune_asker *a, const char *request, size_t len, unsigned timeout_ms, char **answer,
                   struct dune_diag *d) DUNE_MUST_USE;

#endif
