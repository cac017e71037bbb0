/* SPDX-License-Identifier: (Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only) */
/*
 * The per-packet core of compiled targets: what it works on. These headers are plain C for gcc and for
 * clang -target bpf: integers only, no libc, no recursion, every loop bounded by a constant, every
 * index masked where a verifier has to see it. The reference engine does not use them: it judges them.
 *
 *   dune_core_flow.h     registers of a flow, and the feature vector of a sub-model
 *   dune_core_forest.h   nodes, one branch-free step, the vote of the trees
 *   dune_core_combine.h  claim rules, settling, the final verdict
 */
#ifndef DUNE_TARGETS_CORE_TYPES_H
#define DUNE_TARGETS_CORE_TYPES_H

#include <stdint.h>

#define DUNE_CORE_INLINE static inline __attribute__((always_inline, unused))

/* A verifier wants to see that an index stays inside its array; elsewhere the mask costs time. */
#ifdef __BPF__
#define DUNE_CORE_IDX(i, mask) ((i) & (mask))
/* Nor may arithmetic become a branch again: a verifier walks both ways. */
#define DUNE_CORE_OPAQUE(v) asm volatile("" : "+r"(v))
#else
#define DUNE_CORE_IDX(i, mask) (i)
#define DUNE_CORE_OPAQUE(v) (void)(v)
#endif

/* --- a packet: every field that a feature is made of ------------------------------------------------ */
enum { DUNE_CORE_W_LEN, DUNE_CORE_W_PROTO, DUNE_CORE_W_PORTS, DUNE_CORE_W_L4, DUNE_CORE_W_PORT_LOW,
       DUNE_CORE_PKT_WORDS = 8 };
/*
 *          bits 31..24   23..16       15..8      7..0
 *   w[0]   tos           ttl          ip length
 *   w[1]   tcp hdr_len   tcp flags    ip hdr_len ip proto
 *   w[2]   destination port           source port
 *   w[3]   udp length                 tcp window
 *   w[4]   0                          destination port below 1024
 */
struct dune_core_packet {
    uint32_t w[DUNE_CORE_PKT_WORDS];
};

/* --- a slot: the registers of one flow -------------------------------------------------------------- */
/*
 *   0        8    12      16                                              bytes (64, 128 ...)
 *   +--------+----+-------+-----------------------------------------------+
 *   | last   | id | count | registers of the plan, widest first | stored  |
 *   +--------+----+-------+-----------------------------------------------+
 * Only registers that some sub-model of the device reads are there, in the widths of the catalog.
 */
struct dune_core_slot {
    uint64_t last; /* tick; never decreases */
    uint32_t id;   /* 0: empty */
    uint32_t count; /* packets of the flow, saturating */
    uint8_t reg[48]; /* and more: reg is addressed by offsets from the slot's start */
};
#define DUNE_CORE_SLOT_MAX 1024 /* bytes; a power of two */

enum { /* which registers a layout keeps */
    DUNE_CORE_LEN_MIN = 1, DUNE_CORE_LEN_MAX = 2, DUNE_CORE_LEN_TOTAL = 4, DUNE_CORE_UDP_MIN = 8,
    DUNE_CORE_UDP_MAX = 16, DUNE_CORE_GAP_MIN = 32, DUNE_CORE_GAP_MAX = 64, DUNE_CORE_DURATION = 128,
    DUNE_CORE_KTH = 256, DUNE_CORE_COUNTS = 512, DUNE_CORE_DIGEST = 1024, DUNE_CORE_SYN = 2048,
    DUNE_CORE_GAPS = DUNE_CORE_GAP_MIN | DUNE_CORE_GAP_MAX,
    DUNE_CORE_LENS = DUNE_CORE_LEN_MIN | DUNE_CORE_LEN_MAX | DUNE_CORE_LEN_TOTAL,
    DUNE_CORE_UDPS = DUNE_CORE_UDP_MIN | DUNE_CORE_UDP_MAX
};
enum { DUNE_CORE_KTH_MAX = 8, DUNE_CORE_N_FLAGS = 8 };
enum { DUNE_CORE_UDP_SEEN = 1, DUNE_CORE_DIGEST_SENT = 2, DUNE_CORE_HALF_OPEN = 4 }; /* bits of the flags byte */

struct dune_core_layout { /* offsets from the start of the slot; 0: not kept */
    uint32_t use;         /* DUNE_CORE_* */
    uint32_t bytes;       /* of a slot, a multiple of 64 */
    uint16_t first, digest_tick;                  /* 8 bytes each */
    uint16_t len_total, gap_min, gap_max, duration; /* 4 bytes each */
    uint16_t stored;                              /* 4 bytes per sub-model of the device */
    uint16_t len_min, len_max, udp_min, udp_max;  /* 2 bytes each */
    uint16_t flags;                               /* 1 byte */
    uint16_t end;                                 /* behind the last register */
    uint16_t kth_len[DUNE_CORE_KTH_MAX];          /* of packet k + 1, 2 bytes */
    uint16_t kth_gap[DUNE_CORE_KTH_MAX];          /* before packet k + 1, 4 bytes */
    uint32_t n_counts;
    struct dune_core_count {
        uint16_t at; /* 1 byte */
        uint16_t bit; /* number of the TCP flag */
    } count[DUNE_CORE_N_FLAGS];
};

/* --- a sub-model ------------------------------------------------------------------------------------- */
/* Entry 0 of a vector is always 0: leaves compare it, so that they stay where they are. */
enum { DUNE_CORE_X_MAX = 64 };
struct dune_core_field { /* where a feature comes from: (word at `at` >> shift) & mask */
    uint16_t at;         /* packet: index of w; slot: offset */
    uint8_t shift;       /* packet only */
    uint8_t x;           /* index in the vector */
    uint32_t mask;
};
struct dune_core_fields {
    uint32_t n_packet, n_flow;
    uint32_t count_x; /* index in the vector of the packet count; 0: not used */
    struct dune_core_field packet[32];
    struct dune_core_field flow[DUNE_CORE_X_MAX];
};

/*
 * The same for a target that is compiled to plain loads, where every instruction counts: offsets in bytes, shifts instead
 * of a mask, registers by their width, so that no load needs to be put together from bytes.
 */
struct dune_core_take {
    uint8_t from, x; /* offsets in the packet's words and in the vector */
    uint8_t up, down; /* shifts: (word << up) >> down */
};
struct dune_core_reg {
    uint16_t at; /* in the slot */
    uint8_t x, unused;
};
struct dune_core_takes {
    uint32_t n_packet, n4, n2, n1; /* registers of 4 bytes, then of 2, then of 1 */
    uint32_t count_x;
    struct dune_core_take packet[32];
    struct dune_core_reg reg[DUNE_CORE_X_MAX];
};

/* 8 bytes. A leaf: feat = 0, left = itself, threshold = its payload (see dune_core_forest.h). */
struct dune_core_node {
    uint32_t threshold;
    uint16_t left; /* x[feat] <= threshold; the right child is the next node */
    uint16_t feat; /* index in the vector */
};
enum { DUNE_CORE_MAX_TREES = 64, DUNE_CORE_NODE_MASK = 65535 }; /* left has 16 bits */

/* The answer of a sub-model: class, confidence, claim bit. 0: none. */
#define DUNE_CORE_ANSWER(cls, conf, claim) ((uint32_t)(cls) | (uint32_t)(conf) << 8 | (uint32_t)(claim) << 16)
#define DUNE_CORE_ANSWER_CLS(a) ((uint8_t)(a))
#define DUNE_CORE_ANSWER_CONF(a) ((uint8_t)((a) >> 8))
#define DUNE_CORE_ANSWER_CLAIM(a) ((a) >> 16 & 1)

/* --- the verdict under way: the shim's content --------------------------------------------------------- */
enum { /* as enum DUNE_SHIM_* of dune/engine.h */
    DUNE_CORE_FINAL = 0x10, DUNE_CORE_TENTATIVE = 0x08, DUNE_CORE_SETTLED = 0x04,
    DUNE_CORE_COLLISION = 0x02, DUNE_CORE_FL = 0x01
};
struct dune_core_shim {
    uint8_t flags, submodel, cls, conf;
};
enum { DUNE_CORE_RULE_FIRST, DUNE_CORE_RULE_BEST };
struct dune_core_rule {
    uint8_t claim;          /* DUNE_CORE_RULE_* */
    uint8_t tentative_ends; /* fallback best: a tentative answer may become the verdict */
    uint16_t min_conf[256]; /* by class; 0 where the plan says nothing */
    uint16_t bar[256];      /* confidence from which a claim is final at once */
};

#endif
