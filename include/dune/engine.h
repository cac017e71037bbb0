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

/* What happened to a packet on the whole chain. */
struct dune_verdict {
    uint8_t cls;         /* plan class id; 0: unclaimed or not inferable */
    uint8_t conf;
    uint8_t submodel;    /* id whose answer is carried (valid when answered) */
    uint8_t flags;       /* DUNE_SHIM_* as the packet left the last device */
    uint8_t reason;      /* enum dune_reason; not OK: nothing below applies */
    bool inferable;      /* got a shim: parsed, inside the filter, below the MTU limit */
    bool dropped;        /* by a class action */
    bool answered;       /* some answer is carried */
    uint16_t device;     /* where the verdict became final */
    uint16_t generation; /* stamped */
    bool rule_hit;       /* a known-flow rule supplied it */
};

/* Counters of one device. in = out + dropped_*; every input is counted in exactly one of
 * not_inferable[reason], filtered, too_big, held_generation_missing, rule_hit, passed_settled,
 * inferred. */
struct dune_counters {
    uint64_t in, out, dropped_action, dropped_edge_shim;
    uint64_t not_inferable[DUNE_N_REASONS];
    uint64_t filtered, too_big;
    uint64_t shim_added, shim_stripped, shim_missing, shim_bad, shim_at_edge, generation_missing;
    uint64_t passed_settled, rule_hit, inferred;
    uint64_t slot_new, slot_hit, slot_expired, collisions;
    uint64_t answers_pl, answers_fl, answers_stored, claims, finals, settled;
    uint64_t digests, digests_dropped, rules, rules_full, rules_expired;
    uint64_t mirrored, steered, marked;
    uint64_t false_matches; /* reference only: equal id, different 5-tuple */
};

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
    unsigned threads;       /* fast engine */
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

/* Operations of an engine; one struct per kind: "reference", "fast", "xdp". */
struct dune_chain;
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
const struct dune_engine_ops *dune_engine_find(const char *name); /* NULL: unknown */
extern const struct dune_engine_ops dune_engine_reference;

#endif
