/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices and chains of devices (design sections 5, 6, 8): the operations every engine offers.
 *
 * A chain is the K devices of a plan linked in memory: a packet enters the edge port of the first
 * device, meets the devices in order with the shim between them, and leaves the edge port of the last
 * without it. The reference chain is the judge.
 */
#ifndef DUNE_ENGINE_H
#define DUNE_ENGINE_H

#include "dune/plan.h"

/* The shim's content, and the verdict it carries. */
enum { /* flag bits inside the shim's second five bits */
    DUNE_SHIM_FINAL = 0x10, DUNE_SHIM_TENTATIVE = 0x08, DUNE_SHIM_SETTLED = 0x04,
    DUNE_SHIM_COLLISION = 0x02, DUNE_SHIM_FL = 0x01
};
#define DUNE_SHIM_BYTES 8
#define DUNE_SHIM_VERSION 1
struct dune_shim {
    uint8_t version;    /* 3 bits */
    uint8_t flags;      /* 5 bits, DUNE_SHIM_* */
    uint8_t submodel;   /* whose answer */
    uint8_t cls;        /* plan class id, 0: none */
    uint8_t conf;
    uint16_t generation;
    uint16_t ethertype; /* original */
};
void dune_shim_put(uint8_t out[DUNE_SHIM_BYTES], const struct dune_shim *s);
void dune_shim_get(struct dune_shim *s, const uint8_t in[DUNE_SHIM_BYTES]);

/*
 * Where the shim is: true when the frame's EtherType, behind up to max_vlan VLAN tags, is ethertype;
 * *at is then the offset of the shim's 8 bytes (14, 18 or 22; fewer than 8 may be captured).
 */
bool dune_shim_find(const uint8_t *frame, size_t cap_len, uint8_t max_vlan, uint16_t ethertype,
                    uint32_t *at);

/* Is this inferable packet target traffic? It must match one entry of every non-empty list. */
bool dune_filter_match(const struct dune_filter *f, const struct dune_packet *p);

/* What one device did with a packet: every input of a device has exactly one fate. */
#define DUNE_FATES(X)                                                                              \
    X(NOT_INFERABLE, "not_inferable")           /* no state, no inference; see reason */           \
    X(FILTERED, "filtered")                     /* outside the target traffic */                   \
    X(TOO_BIG, "too_big")                       /* above chain_mtu - 8: travels without shim */    \
    X(GENERATION_MISSING, "generation_missing") /* the shim's generation is not held here */       \
    X(PASSED_SETTLED, "passed_settled")         /* arrived with a final settled verdict */         \
    X(RULE_HIT, "rule_hit")                     /* a known-flow rule wrote the verdict */          \
    X(INFERRED, "inferred")                     /* went through steps 4 to 8 */                    \
    X(DROPPED_EDGE_SHIM, "dropped_edge_shim")   /* shim on an edge port, --edge-shim drop */       \
    X(DROPPED_BAD_SHIM, "dropped_bad_shim")     /* captured bytes end inside the shim */
enum dune_fate {
#define X(id, name) DUNE_FATE_##id,
    DUNE_FATES(X)
#undef X
    DUNE_N_FATES
};
const char *dune_fate_name(enum dune_fate f); /* "?" when out of range */

/* What happened to a packet on the whole chain. */
struct dune_verdict {
    uint8_t cls;         /* plan class id; 0: unclaimed, not final or not inferable */
    uint8_t conf;        /* of the answer; for an unclaimed packet of the best one that fell short */
    uint8_t submodel;    /* id whose answer it is */
    uint8_t flags;       /* DUNE_SHIM_* as the packet left the last device that saw it */
    uint8_t reason;      /* enum dune_reason of the first device */
    uint8_t fate;        /* enum dune_fate on the first device */
    bool inferable;      /* got a shim: parsed, inside the filter, below the MTU limit; else nothing
                            else here applies */
    bool dropped;        /* by a class action, or a forged shim with --edge-shim drop */
    bool answered;       /* a class is carried: cls != 0 */
    uint16_t device;     /* where the verdict became final; UINT16_MAX: nowhere */
    uint16_t generation; /* stamped */
    bool rule_hit;       /* a known-flow rule supplied it */
    uint32_t steer_port; /* DUNE_NO_PORT: ordinary forwarding */
};
#define DUNE_NO_PORT UINT32_MAX

/*
 * Counters of one device. These identities hold after every packet (dune_counters_check):
 *   in = out + dropped_action + dropped_edge_shim + dropped_bad_shim
 *   in = sum of the fates: not_inferable[1..] + filtered + too_big + generation_missing +
 *        passed_settled + rule_hit + inferred + dropped_edge_shim + dropped_bad_shim
 *   inferred = slot_new + slot_hit + slot_expired + collisions + stateless
 *   shim_read + shim_added = shim_stripped + shim_kept + dropped_action
 */
struct dune_counters {
    uint64_t in, out, dropped_action, dropped_edge_shim, dropped_bad_shim;
    uint64_t not_inferable[DUNE_N_REASONS];
    uint64_t filtered, too_big;
    uint64_t shim_read;     /* good shims that came in by a chain port */
    uint64_t shim_added;    /* fresh shims, edge or chain port */
    uint64_t shim_stripped; /* left by an edge port without it */
    uint64_t shim_kept;     /* left with a shim */
    uint64_t shim_missing;  /* inferable target packets without shim on a chain port */
    uint64_t shim_bad;      /* other version: removed; too short: dropped */
    uint64_t shim_at_edge;  /* forged: wrapped or dropped */
    uint64_t generation_missing;
    uint64_t passed_settled, rule_hit, inferred;
    uint64_t slot_new, slot_hit, slot_expired, collisions, stateless;
    uint64_t answers_pl, answers_fl, answers_stored, claims, finals, settled;
    uint64_t digests, digests_dropped, rules, rules_full, rules_expired;
    uint64_t mirrored, steered, marked;
    uint64_t false_matches; /* reference only: equal id, different 5-tuple */
};
/* Checks the identities of every device, and of the links between neighbours when chained: what one
 * sends the next receives. DUNE_E_INTERNAL names the device and the identity. */
int dune_counters_check(const struct dune_counters *c, uint32_t n, bool chained,
                        struct dune_diag *d) DUNE_MUST_USE;

/* How a sub-model came to its answer. */
enum dune_answer_kind {
    DUNE_ANSWER_NONE,    /* mode flow before packet n, or spared by an earlier final claim */
    DUNE_ANSWER_PL, DUNE_ANSWER_FL, DUNE_ANSWER_STORED
};
enum dune_slot_outcome {
    DUNE_SLOT_NONE,      /* not asked: see fate; or a device that keeps no flow state */
    DUNE_SLOT_NEW, DUNE_SLOT_HIT, DUNE_SLOT_EXPIRED, DUNE_SLOT_COLLISION
};

/* One packet on one device: enough to find the first difference between two targets. */
struct dune_device_trace {
    uint64_t packet; /* running number of the packet in the chain, from 0 */
    uint64_t tick;
    uint16_t device, generation;
    uint8_t fate;    /* enum dune_fate */
    uint8_t reason;  /* enum dune_reason */
    uint8_t slot;    /* enum dune_slot_outcome */
    bool has_shim, digest, became_final, dropped;
    bool mirrored;
    uint32_t mirror_port, steer_port;
    uint32_t slot_index; /* of the hash, also for collisions */
    uint8_t way;
    uint64_t count;      /* packets of the flow in the slot with this one, 0 without state */
    struct dune_shim shim; /* as the packet left, carried or just stripped; valid with has_shim */
    uint8_t n_answers;
    struct dune_trace_answer {
        uint8_t submodel, kind; /* id; enum dune_answer_kind */
        bool claim, combined;   /* combined: took part, false after a final claim */
        uint8_t cls, conf;
    } answer[DUNE_MAX_SUBMODELS];
};
typedef void (*dune_trace_fn)(void *ctx, const struct dune_device_trace *t);

enum { /* ports of dune_chain_packet: normal use is EDGE in, EDGE out */
    DUNE_PORT_EDGE, DUNE_PORT_CHAIN
};

struct dune_chain_opts {
    uint32_t slots, ways;   /* 0: the plan's */
    bool rules;             /* simulate the controller: digests become rules after rule_delay */
    uint64_t rule_delay;    /* ticks */
    bool drop_edge_shim;    /* --edge-shim drop */
    bool check_keys;        /* count false matches (reference) */
    bool keep_shim;         /* output frames keep the shim at the last device (--pcap-out shim) */
    bool rules_everywhere;  /* rules also on the devices behind the first */
    uint32_t rules_max;     /* rules a device holds; 0: 65536 */
    uint32_t digest_rate;   /* digests per second and device; 0: no limit */
    uint32_t digest_burst;  /* token bucket depth; 0: the rate */
    unsigned threads;       /* fast engine */
    dune_trace_fn trace;    /* called per packet and device, in order; NULL: no trace */
    void *trace_ctx;
};

struct dune_chain_packet {
    const uint8_t *data;
    uint32_t cap_len, wire_len;
    uint64_t tick;
};
struct dune_chain_frame {
    const uint8_t *data;
    uint32_t cap_len, wire_len;
};

/* Every engine's chain starts with its operations. */
struct dune_chain {
    const struct dune_engine_ops *ops;
};
/* Operations of an engine; one struct per kind: "reference", "fast", "xdp". */
struct dune_engine_ops {
    const char *name;
    const char *(*available)(void); /* NULL: yes; else the reason why not */
    int (*open)(struct dune_chain **out, const struct dune_plan *p, const struct dune_chain_opts *o,
                struct dune_diag *d);
    /* A new capture: slots, rules and pending digests of all devices are emptied. Counters stay. */
    void (*new_capture)(struct dune_chain *c);
    /* Up to 64 packets at their ticks, in order; verdicts in the same order. out_frame (may be NULL)
     * lends the frame as it left the chain until the next call: data NULL when dropped. */
    int (*burst)(struct dune_chain *c, const struct dune_chain_packet *pkt, unsigned n,
                 struct dune_verdict *v, struct dune_chain_frame *out_frame, struct dune_diag *d);
    void (*counters)(const struct dune_chain *c, uint32_t device, struct dune_counters *out);
    void (*close)(struct dune_chain *c);
};
#define DUNE_BURST_MAX 64
/* The engine of that name, or NULL: unknown, or not part of this build. */
const struct dune_engine_ops *dune_engine_find(const char *name);
/* The same with the reason: DUNE_E_USAGE for an unknown name (lists what there is), DUNE_E_ENV for an
 * engine that this build or this machine does not have. */
int dune_engine_get(const struct dune_engine_ops **out, const char *name,
                    struct dune_diag *d) DUNE_MUST_USE;
extern const struct dune_engine_ops dune_engine_reference;
extern const struct dune_engine_ops dune_engine_fast;
extern const struct dune_engine_ops dune_engine_xdp;

#endif
