/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the XDP program and its host agree on: the values of its maps. Plain C for both.
 *
 *   settings   written by the host while packets pass
 *   plans      per generation: everything compiled from a plan but the nodes
 *   nodes      per generation: the trees of all sub-models of the device, indices absolute
 *   arena      per generation: slots x ways, as the layout of the plan says; mapped by the host
 *   rules      (generation, 5-tuple) -> verdict
 *   counts     per CPU
 *   drift      per CPU, generation and side: what sub-models see; cuts: upper ends of range rows, per generation
 *
 * A generation lives at position 0 or 1 of plans, nodes and arena. Its values are written while nobody
 * looks at the position; settings.held makes it visible.
 */
#ifndef DUNE_TARGETS_XDP_SHARED_H
#define DUNE_TARGETS_XDP_SHARED_H

#include "targets/core/dune_core_types.h"

enum {
    XDP_GENS = 2,
    XDP_MAX_SUBS = 64,
    XDP_MAX_NODES = 65536,   /* of one device and generation */
    XDP_MAX_DEPTH = 256,     /* steps down a tree */
    XDP_MAX_FILTER = 32,     /* prefixes, port ranges */
    XDP_MAX_PORTS = 64,      /* port numbers 0..63 */
    XDP_PORT_HASH = 256,     /* places for interfaces, by index */
    XDP_PORT_PROBES = 4,
    XDP_MIRRORS = 4,         /* pairs (out, mirror) of port numbers */
    XDP_LOCKS = 1024,        /* a bucket's lock: low bits of its index */
    XDP_ARENA_SLACK = 4096,  /* bytes behind the last slot that offsets may still reach */
    XDP_RULES_PER_FLOW = 4,
    XDP_N_REASONS = 14,
    XDP_LATENCY_BINS = 128,  /* 4 per power of two of ns */
    XDP_LATENCY_EVERY = 64,  /* one packet in so many is timed */
    XDP_MAX_CPUS = 128,
    XDP_STAMP_ALL = 1024,
    XDP_DRIFT = 16384,       /* counters of what sub-models see; a power of two */
    XDP_X_BYTES = 4,         /* of an entry of a vector: a node's feat is a multiple of it, which saves a shift per step */
    XDP_X = 66,              /* entries of a vector: any byte is the offset of one */
    XDP_DIGEST_REPEAT = 976562
};
enum { XDP_EDGE, XDP_CHAIN };
enum { XDP_HASH_CRC, XDP_HASH_SIPHASH };
enum { XDP_MODE_RUNNING, XDP_MODE_PUBLISHED, XDP_MODE_PACKET, XDP_MODE_FLOW };
enum { XDP_KIND_NONE, XDP_KIND_PL, XDP_KIND_FL, XDP_KIND_STORED };
enum { XDP_SLOT_NONE, XDP_SLOT_NEW, XDP_SLOT_HIT, XDP_SLOT_EXPIRED, XDP_SLOT_COLLISION };
enum {
    XDP_FATE_NOT_INFERABLE, XDP_FATE_FILTERED, XDP_FATE_TOO_BIG, XDP_FATE_GENERATION_MISSING,
    XDP_FATE_PASSED_SETTLED, XDP_FATE_RULE_HIT, XDP_FATE_INFERRED, XDP_FATE_DROPPED_EDGE_SHIM,
    XDP_FATE_DROPPED_BAD_SHIM
};
enum { /* in the order of enum dune_reason */
    XDP_OK, XDP_SHORT_L2, XDP_VLAN_DEPTH, XDP_NOT_IP, XDP_SHIM_INSIDE, XDP_SHORT_L3, XDP_BAD_VERSION,
    XDP_BAD_IHL, XDP_OPTIONS, XDP_EXT_HEADERS, XDP_FRAGMENT, XDP_NOT_TCP_UDP, XDP_SHORT_L4,
    XDP_BAD_DATA_OFFSET
};
enum { XDP_FORWARD, XDP_MARK, XDP_STEER, XDP_DROP_CLASS, XDP_MIRROR };
#define XDP_NO_PORT UINT32_MAX
#define XDP_SETTINGS_MAP ".data.settings" /* of at most 15 characters, for the kernel */

/* --- counters -------------------------------------------------------------------------------------------- */
struct xdp_counts { /* the members of struct dune_counters, in its order */
    uint64_t in, out, dropped_action, dropped_edge_shim, dropped_bad_shim;
    uint64_t not_inferable[XDP_N_REASONS];
    uint64_t filtered, too_big;
    uint64_t shim_read, shim_added, shim_stripped, shim_kept, shim_missing, shim_bad, shim_at_edge;
    uint64_t generation_missing;
    uint64_t passed_settled, rule_hit, inferred;
    uint64_t slot_new, slot_hit, slot_expired, collisions, stateless;
    uint64_t answers_pl, answers_fl, answers_stored, claims, finals, settled;
    uint64_t digests, digests_dropped, rules, rules_full, rules_expired;
    uint64_t mirrored, steered, marked;
    uint64_t false_matches;
    /* beyond them */
    uint64_t lock_timeouts; /* answered as a collision: another CPU did not let go of the bucket */
    uint64_t ring_full;     /* of digests_dropped: the host did not fetch digests */
    uint64_t no_room;       /* no headroom for a shim: sent without, inside the chain */
    uint64_t no_port;       /* came in by an interface that is not a port */
    uint64_t no_mirror, no_steer; /* port of the action is not attached */
    uint64_t spread;        /* handed to another CPU */
    uint64_t plain, plain_dropped;
    uint64_t events_lost;   /* records of a live trace that the host did not fetch in time */
    uint64_t latency[XDP_LATENCY_BINS];
};

/* --- settings ------------------------------------------------------------------------------------------ */
struct xdp_port { /* by interface index */
    uint32_t ifindex; /* 0: free */
    uint8_t in_kind, out_kind; /* XDP_EDGE, XDP_CHAIN: of this port, of where its packets go */
    uint8_t to_host;  /* packets go to this host's stack instead of out */
    uint8_t plain;    /* as it is, without a shim */
    uint32_t out;     /* port number where its packets leave */
};
struct xdp_settings {
    uint32_t held[XDP_GENS];
    uint32_t generation[XDP_GENS];
    uint32_t rules_on[XDP_GENS]; /* some rule may exist */
    uint32_t stamp;              /* position that packets without shim get */
    uint32_t share[XDP_GENS];    /* of XDP_STAMP_ALL: new flows that get the position when it is the stamped one */
    uint32_t max_vlan;
    uint64_t drain_until;        /* tick up to which flows of the other position keep it */
    uint32_t shim_ethertype;
    uint32_t drop_edge_shim;
    uint32_t drift_side;         /* where counters of drift go; with XDP_DRIFT_ON, else nothing is counted */
    uint32_t pad;
    uint64_t digest_rate, digest_full; /* per second; depth of the bucket x XDP_DIGEST_REPEAT */
    uint64_t bucket_lock, bucket, bucket_tick, bucket_started; /* written by the program */
    uint32_t mirror_pair[XDP_MIRRORS]; /* out << 16 | mirror, UINT32_MAX: free */
    uint32_t n_cpus;                   /* spreading: CPUs to choose from */
    uint32_t cpu[XDP_MAX_CPUS];
    struct xdp_port port[XDP_PORT_HASH + XDP_PORT_PROBES];
    /* For the host alone: what programs counted that were replaced here, and what ports out had refused before the first. */
    struct xdp_counts carried;
    uint64_t refused_before;
};

/* --- a plan compiled for the device -------------------------------------------------------------------- */
struct xdp_sub {
    uint8_t id, n, mode, last; /* last: of the chain */
    uint32_t n_trees, depth;
    uint32_t root[DUNE_CORE_MAX_TREES + 4]; /* node indices; a harmless leaf behind the last */
    struct dune_core_takes takes;
    /* Counters: claims of class c and the sum of their confidence at claims_at + 2 * c, row r of feature j at row_at[j] + r;
     * before all of these, those of the nodes. */
    uint32_t claims_at, n_feats;
    uint32_t row_at[DUNE_CORE_X_MAX], n_rows[DUNE_CORE_X_MAX];
};
struct xdp_prefix {
    uint32_t addr[4], mask[4]; /* network order */
};
struct xdp_filter { /* a packet must match one entry of every list that has some */
    uint32_t n_v4, n_v6, n_ports, n_protos;
    struct xdp_prefix v4[XDP_MAX_FILTER], v6[XDP_MAX_FILTER];
    uint32_t lo[XDP_MAX_FILTER], hi[XDP_MAX_FILTER];
    uint32_t proto[8]; /* bit per protocol */
};
struct xdp_plan {
    uint64_t serial; /* another one for every plan that is held */
    uint8_t max_vlan, max_ipv4_options, max_ipv6_ext, max_ipv6_ext_len;
    uint8_t ipv6, hash, keeps_state, last_device;
    uint8_t filters, acts, digests, counted; /* counted: for drift */
    uint32_t chain_mtu;
    uint64_t timeout, syn_timeout; /* syn_timeout 0: none */
    uint64_t sip[4];      /* SipHash state after the key */
    uint32_t slot_mask, ways, slot_bytes, bucket_bytes;
    uint32_t n_sub, pad1;
    struct dune_core_layout layout;
    struct dune_core_rule rule;
    uint8_t action[256], action_any[256]; /* by class id */
    uint32_t action_arg[256];
    struct xdp_filter filter;
    struct xdp_sub sub[XDP_MAX_SUBS];
};

/* --- rules and digests ---------------------------------------------------------------------------------- */
struct xdp_rule_key {
    uint64_t tuple[5]; /* src|dst|sport|dport|proto as hashed, zeroes behind it */
    uint32_t len;      /* 13 or 37 */
    uint32_t gen;      /* position */
};
struct xdp_rule { /* hits packets with tick >= from while now - last_hit <= timeout */
    uint64_t from, last_hit;
    uint8_t cls, flags, submodel, conf;
    uint8_t live, pad[3];
};
struct xdp_flow_rules { /* two digests of one flow can be under way: the first that is valid hits */
    struct xdp_rule rule[XDP_RULES_PER_FLOW];
};
struct xdp_digest {
    uint64_t tick;
    uint64_t tuple[5];
    uint32_t len;
    uint16_t generation;
    uint8_t cls, flags, submodel, conf, pad[6];
};

/* --- drift ------------------------------------------------------------------------------------------------ */
/* The program writes the side that settings name; the host reads the other one. */
enum { XDP_DRIFT_SIDES = 2, XDP_DRIFT_ON = 2 };
struct xdp_drift {
    uint64_t n[XDP_DRIFT];
};
struct xdp_cuts { /* row r of a feature ends at hi[row_at + r] */
    uint32_t hi[XDP_DRIFT];
};

/* --- test clock and trace --------------------------------------------------------------------------------- */
struct xdp_test_meta { /* in front of the frame in test runs */
    uint64_t tick;
    uint8_t in_kind, out_kind, cut, pad; /* cut: fewer than 14 bytes were captured */
    uint32_t pad2;
};
struct xdp_trace {
    uint64_t tick, count;
    uint8_t fate, reason, slot, has_shim, digest, became_final, dropped, mirrored;
    uint8_t shim_flags, shim_submodel, shim_cls, shim_conf;
    uint16_t generation, ethertype; /* ethertype: of a shim that came in */
    uint32_t mirror_port, steer_port, slot_index, way;
    uint32_t n_answers, shim_came;
    struct xdp_trace_answer {
        uint8_t submodel, kind, claim, combined, cls, conf;
    } answer[XDP_MAX_SUBS];
};

/* --- live trace: struct dune_live_record without the position in the chain -------------------------------------- */
enum { XDP_EVENT_FRAME = 256 };
struct xdp_event {
    uint64_t serial, tick, count;
    uint32_t wire_len, slot_index;
    uint16_t cap_len, generation;
    uint8_t in_kind, out_kind, fate, reason, slot, way, has_shim, digest, became_final, dropped;
    uint8_t shim_flags, shim_submodel, shim_cls, shim_conf;
    uint8_t pad[6];
    uint8_t frame[XDP_EVENT_FRAME];
};
struct xdp_snap { /* the packet as it came in */
    uint32_t len, cap;
    uint8_t frame[XDP_EVENT_FRAME];
};

/* --- one packet on its way through the device; one per CPU -------------------------------------------------- */
struct xdp_pass {
    uint64_t now;     /* tick */
    uint64_t started; /* ns, of packets that are timed; else 0 */
    uint64_t serial;  /* of a live trace: taken while the bucket is locked */
    struct xdp_rule_key key; /* key.gen: position of the packet's generation */
    struct dune_core_packet pkt;
    /* from here to l3_off all zero when a packet comes in; multiples of 8 bytes */
    union { /* written as a word, read by bytes; the other way round would wait for the bytes */
        struct dune_core_shim shim;
        uint32_t shim_word;
    };
    union {
        struct dune_core_shim arrived;
        uint32_t arrived_word;
    };
    uint16_t generation;  /* in the shim */
    uint16_t ethertype;   /* behind the shim that came in */
    uint8_t in_kind, out_kind, has_shim, gen_ok; /* gen_ok: the generation is held */
    uint8_t shim_at;      /* where a shim lies in the frame now; 0: nowhere */
    uint8_t l2_len;       /* where a fresh one goes */
    uint8_t is_ipv6, reason;
    uint8_t fate, outcome, became_final, digest;
    uint8_t dropped, mirrored, cut, way;
    uint8_t plain, to_host, has_slot, drift_side;
    uint32_t count, n_answers;
    uint64_t timed;       /* now is known */
    uint32_t l3_off;      /* in the frame as it is now */
    uint32_t index, id;   /* of the hash */
    uint32_t slot_at;     /* byte offset in the arena */
    uint32_t out, mirror_port, steer_port;
    /* the flow that was hashed last on this CPU, under the plan with this serial number: packets come in trains */
    uint32_t hashed_len, hashed_index, hashed_id;
    uint64_t hashed_serial, hashed[5];
    uint32_t x[XDP_X];
    uint32_t leaf[DUNE_CORE_MAX_TREES + 4];
};

#endif
