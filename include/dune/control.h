/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What controller and devices say to each other (design section 8; docs/controller.md).
 *
 *   controller -- "dune.cmd.<device>": load, stamp, unload, rules, clear, drift --> agent -- device
 *   controller <-- "dune.rep.<device>": report, drift, refused ------------- agent
 *   controller <-- "dune.dig.<device>": digests, which give way to the others --- agent
 *
 * Every command carries (epoch, sequence, generation). An agent takes a command only when its
 * (epoch, sequence) is above the last one it took; commands are idempotent, and a report says what the
 * device holds, so that the controller compares and repeats: any message may be lost or come twice.
 */
#ifndef DUNE_CONTROL_H
#define DUNE_CONTROL_H

#include "dune/device.h"

#define DUNE_CTL_NAME 64          /* bytes of a device name with its end */
#define DUNE_CTL_BATCH 64         /* rules or digests in a message */
#define DUNE_CTL_PART 98304       /* bytes of plan text in a message */
#define DUNE_CTL_PLAN_MAX (64u << 20)
#define DUNE_CTL_MESSAGE_MAX (1u << 20)
#define DUNE_CTL_SHARE DUNE_STAMP_ALL

#define DUNE_CTL_KINDS(X)                                                                          \
    X(LOAD, "load")       /* hold one more generation: a part of its plan */                       \
    X(STAMP, "stamp")     /* new flows get this generation, or a share of them */                  \
    X(UNLOAD, "unload")   /* forget a generation */                                                \
    X(RULES, "rules")     /* known-flow rules */                                                   \
    X(CLEAR, "clear")     /* forget everything: the device forwards and strips */                  \
    X(SHADOW, "shadow")   /* run a plan beside the traffic: a part of it; 0 parts: stop */         \
    X(REPORT, "report")   /* what a device holds and has counted */                                \
    X(DIGESTS, "digests") /* verdicts of flows that are settled */                                 \
    X(DRIFT, "drift")     /* what sub-models have seen: counts for dune_drift_counts_parse; as a command, without */ \
                          /* counts: count and report, for the next minute */                      \
    X(REFUSED, "refused") /* a command that could not be done, and why */
enum dune_ctl_kind {
#define X(id, name) DUNE_CTL_##id,
    DUNE_CTL_KINDS(X)
#undef X
    DUNE_CTL_N_KINDS
};

struct dune_ctl_shadow { /* what the shadow plan of a device said so far */
    uint16_t generation; /* 0: none */
    uint64_t packets, claimed, settled, same; /* same: of the settled ones, class as digested */
    uint64_t compared;
};

struct dune_ctl_report {
    uint64_t boot;      /* drawn when the agent started: another one means it has forgotten everything */
    uint64_t tick;      /* the device's clock */
    uint32_t n_held;
    struct dune_ctl_held {
        uint16_t generation;
        uint32_t crc;   /* CRC-32 of the plan text */
    } held[2];
    uint16_t position;  /* in the chain, when something is held */
    uint16_t stamped;   /* 0: none */
    uint32_t share;     /* of DUNE_CTL_SHARE that gets stamped */
    uint64_t drain_until; /* the other generation is given to its live flows up to this tick */
    uint64_t stale;     /* commands ignored because they were old */
    uint64_t hop_p50_ns, hop_p90_ns, hop_p99_ns; /* time inside the device; 0: not measured */
    uint64_t lost;      /* packets the device could not take or send */
    struct dune_ctl_shadow shadow;
    struct dune_counters counters;
};

struct dune_ctl_msg {
    enum dune_ctl_kind kind;
    char device[DUNE_CTL_NAME];
    uint64_t epoch, seq;  /* of the command; in what a device says: the last one it took */
    uint16_t generation;  /* load, stamp, unload, shadow, drift; 0 elsewhere */
    uint16_t position;    /* load: of the device in the chain; digests: who saw it */
    uint32_t part, parts; /* load, shadow */
    uint32_t share;       /* stamp */
    char *text;           /* load, shadow: a part of the plan; refused: why; drift: counts. Owned */
    size_t text_len;
    int code;             /* refused: enum dune_err */
    uint32_t n_digests;   /* rules, digests */
    struct dune_digest digest[DUNE_CTL_BATCH];
    struct dune_ctl_report report;
};

/* Text of a message (JSON); the caller frees out. */
struct dune_buf;
void dune_ctl_format(const struct dune_ctl_msg *m, struct dune_buf *out);
/* Strict: unknown, missing and out-of-range members are errors that name their path. m->text is
 * allocated (dune_ctl_msg_fini). */
int dune_ctl_parse(struct dune_ctl_msg *m, const char *text, size_t len, struct dune_diag *d) DUNE_MUST_USE;
void dune_ctl_msg_fini(struct dune_ctl_msg *m);
const char *dune_ctl_kind_name(enum dune_ctl_kind k);
/* Counters as the members of an open JSON object, and back. */
struct dune_jsonw;
void dune_counters_json(const struct dune_counters *c, struct dune_jsonw *w);
/* Names of devices go into subjects and file names: letters, digits, '-' and '_'. */
bool dune_ctl_name_ok(const char *name);

/* A plan may need fewer devices than the chain has: those behind pass on what they get. */
void dune_plan_stretch(struct dune_plan *p, uint32_t n_devices);

/* --- devices that are alive ------------------------------------------------------------------------ */
/*
 * One running device as its agent sees it, whatever runs it. Plans are borrowed from load to unload.
 * A device without a generation forwards, and its edges strip shims and let none in.
 */
struct dune_live_status {
    uint32_t n_held;
    uint16_t held[2];
    uint16_t position;
    uint16_t stamped; /* 0: none */
    uint32_t share;
    uint64_t drain_until, lost;
    uint64_t hop_p50_ns, hop_p90_ns, hop_p99_ns; /* 0: not measured */
};
struct dune_live {
    const struct dune_live_ops *ops;
};
struct dune_drift_counts;
struct dune_live_ops {
    const char *name;
    bool shares; /* can stamp a share of the new flows (canary) */
    bool sees_packets; /* packets pass the agent's process: a shadow plan can run beside them */
    int (*load)(struct dune_live *l, const struct dune_plan *p, uint16_t position, struct dune_diag *d);
    int (*stamp)(struct dune_live *l, uint16_t generation, uint32_t share, uint64_t now, struct dune_diag *d);
    /* Also the stamped one, when no other is held. */
    int (*unload)(struct dune_live *l, uint16_t generation, struct dune_diag *d);
    /* A rule, in place of one the flow may have. Counted, not an error, when there is no room. */
    void (*put_rule)(struct dune_live *l, const struct dune_digest *dg, uint64_t from);
    void (*on_digest)(struct dune_live *l, dune_digest_fn fn, void *ctx);
    /* Every fresh answer of a sub-model (dune/device.h), for drift, until fn is NULL; NULL: this device cannot tell. */
    void (*on_answer)(struct dune_live *l, dune_answer_fn fn, void *ctx);
    /* The same as counts (dune/drift.h) where the device itself keeps them: adds what the sub-models of a plan that is held have
     * seen since it was loaded, while counting was on (off at first: it costs time). False: this plan is not counted. NULL: it
     * keeps none. */
    void (*count)(struct dune_live *l, bool on);
    bool (*drift)(struct dune_live *l, const struct dune_plan *p, struct dune_drift_counts *out);
    void (*poll)(struct dune_live *l, uint64_t now); /* digests that wait in the kernel; may be NULL */
    void (*status)(const struct dune_live *l, struct dune_live_status *out);
    void (*counters)(const struct dune_live *l, struct dune_counters *out);
    void (*close)(struct dune_live *l);
};

/* The reference device, for tests and for AF_PACKET ports. o may be NULL. */
struct dune_live_ref; /* opaque; its struct dune_live is what dune_live_ref_new returns */
struct dune_live *dune_live_ref_new(const struct dune_chain_opts *o);
/* The same with the fast engine; what follows is for both. Traces come without answers. */
struct dune_live *dune_live_fast_new(const struct dune_chain_opts *o);
/* What the owner of the ports has measured, for the reports. */
void dune_live_ref_set_hop(struct dune_live *l, uint64_t p50_ns, uint64_t p90_ns, uint64_t p99_ns, uint64_t lost);
/* Of shims on its links: that of the plan it got last, before the first the default one. */
uint16_t dune_live_ref_ethertype(const struct dune_live *l);
/* One packet. in->port and in->out_port as for dune_ref_device_process. */
void dune_live_ref_process(struct dune_live *l, const struct dune_device_in *in, struct dune_device_out *out);
/* Up to DUNE_BURST_MAX packets; their frames are lent until the next call. */
void dune_live_ref_burst(struct dune_live *l, const struct dune_device_in *in, unsigned n, struct dune_device_out *out);

/* --- bus ------------------------------------------------------------------------------------------- */
/*
 * Publish and subscribe, and a small store with revisions. An end point belongs to one thread; poll
 * delivers what has arrived. Messages may be lost; a store that is not reachable is an error.
 */
typedef void (*dune_bus_fn)(void *ctx, const char *subject, const void *data, size_t len);
struct dune_bus {
    const struct dune_bus_ops *ops;
};
struct dune_bus_ops {
    const char *name;
    int (*publish)(struct dune_bus *b, const char *subject, const void *data, size_t len, struct dune_diag *d);
    /* subject: exact, or with a last token '*' that stands for any one token. */
    int (*subscribe)(struct dune_bus *b, const char *subject, dune_bus_fn fn, void *ctx, struct dune_diag *d);
    /* Waits up to timeout_ms for the first message. */
    int (*poll)(struct dune_bus *b, int timeout_ms, struct dune_diag *d);
    /* *revision 0: the key is not there. */
    int (*get)(struct dune_bus *b, const char *key, struct dune_buf *out, uint64_t *revision, struct dune_diag *d);
    /* Writes when the key still has *revision, which becomes the new one. 1: somebody was faster. */
    int (*put)(struct dune_bus *b, const char *key, const void *data, size_t len, uint64_t *revision,
               struct dune_diag *d);
    int (*fd)(struct dune_bus *b); /* readable when poll has something to do; -1: ask poll */
    void (*close)(struct dune_bus *b);
};
bool dune_bus_subject_match(const char *pattern, const char *subject);

/* In one process. The store is kept in dir when it is not NULL (one file per key, renamed into place). */
struct dune_bus_hub; /* opaque; thread-safe */
int dune_bus_hub_new(struct dune_bus_hub **out, const char *dir, struct dune_diag *d) DUNE_MUST_USE;
void dune_bus_hub_free(struct dune_bus_hub *h); /* after all of its end points */
struct dune_bus *dune_bus_hub_join(struct dune_bus_hub *h);
/* For tests: what happens to messages. Keyed by seed; probabilities in 1/1000. down: nothing passes and
 * the store fails. */
struct dune_bus_faults {
    uint64_t seed;
    uint32_t lose, twice, late; /* late: changes places with the next one */
    bool down;
};
void dune_bus_hub_set_faults(struct dune_bus_hub *h, const struct dune_bus_faults *f);

/* A hub for other processes of this machine, behind a Unix socket that only root and this user may use. */
struct dune_bus_server; /* opaque */
int dune_bus_server_start(struct dune_bus_server **out, struct dune_bus_hub *hub, const char *path,
                          struct dune_diag *d) DUNE_MUST_USE;
void dune_bus_server_stop(struct dune_bus_server *s); /* NULL is fine */
/* An end point of that hub. The server need not be there yet, and may come and go. No store. */
int dune_bus_unix_connect(struct dune_bus **out, const char *path, struct dune_diag *d) DUNE_MUST_USE;

/* Over NATS; the server runs with JetStream. A server that is not on this machine must ask for credentials. */
struct dune_bus_nats_cfg {
    const char *url;   /* nats://[USER:PASSWORD@]HOST:PORT, tls://... with TLS */
    const char *creds; /* credentials file; may be NULL */
    const char *ca;    /* certificates to trust instead of the system's; may be NULL */
    bool may_be_late;  /* the server need not be there yet: until then it is as after a failure of the bus */
};
int dune_bus_nats_check(const struct dune_bus_nats_cfg *cfg, struct dune_diag *d) DUNE_MUST_USE;
/* DUNE_E_ENV: not part of this build, no server (unless it may be late), or one that refuses us. Afterwards the connection comes back by itself. */
int dune_bus_nats_connect(struct dune_bus **out, const struct dune_bus_nats_cfg *cfg, struct dune_diag *d) DUNE_MUST_USE;
const char *dune_bus_nats_shown(const char *url); /* a URL without user and password, for messages: they end in logs */
const char *dune_bus_nats_version(void); /* of the library; NULL: not part of this build */

/* --- agent ----------------------------------------------------------------------------------------- */
struct dune_agent_cfg { /* zero: the default */
    const char *device;         /* its name; required */
    uint64_t report_ns;         /* between reports; 0: 0.5 s */
    uint64_t drift_ns;          /* between counts for drift; 0: 2 s */
    uint64_t boot;              /* 0: drawn */
    /* every digest of the device, with its class name (NULL: unclaimed), sent again while no rule hits; or NULL */
    void (*digest)(void *ctx, const struct dune_digest *dg, const char *cls);
    void *digest_ctx;
};
struct dune_agent; /* opaque */
/* live and bus are borrowed and must outlive the agent. */
int dune_agent_new(struct dune_agent **out, const struct dune_agent_cfg *cfg, struct dune_live *live,
                   struct dune_bus *bus, struct dune_diag *d) DUNE_MUST_USE;
/* The device keeps what it holds only as long as the agent lives: plans are the agent's. */
void dune_agent_free(struct dune_agent *a);
/* Takes commands, sends digests and reports. now: ns since the epoch, as the ticks of packets. Errors of
 * the bus are counted and tried again, forwarding never waits for it. */
void dune_agent_step(struct dune_agent *a, uint64_t now_ns);
struct dune_agent_stats {
    uint64_t commands, stale, refused, digests, digests_lost, bus_errors, bad_messages;
};
void dune_agent_stats(const struct dune_agent *a, struct dune_agent_stats *out);
/* Packets that entered at an edge, for a shadow plan; cheap when there is none. */
void dune_agent_shadow(struct dune_agent *a, const struct dune_chain_packet *pkt);

#endif
