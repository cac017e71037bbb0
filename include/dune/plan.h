/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan: the waist of the system. Everything left of it produces one, everything right consumes
 * one. Integers only. A plan owns everything it points to and is immutable once verified.
 *
 *   feature value --range rows--> code word per tree --ternary rows--> leaf --vote--> answer
 *
 * Per sub-model and feature, the sorted union of the trees' thresholds T1 < T2 < ... < Tm cuts the
 * domain [0, 2^bits - 1] into m + 1 range rows. Per tree t, the distinct thresholds of t on that
 * feature make a thermometer code word: bit i (leftmost first) is 1 iff value > threshold i of t. The
 * code key of t is the concatenation of its features' code words in feature order; one ternary row
 * per leaf matches it ('0', '1', '*').
 */
#ifndef DUNE_PLAN_H
#define DUNE_PLAN_H

#include "dune/features.h"
#include "dune/dataset.h"
#include "dune/forest.h"

#define DUNE_PLAN_VERSION 1
#define DUNE_MAX_CLASSES 254   /* class ids 1..254 in the shim */
#define DUNE_MAX_SUBMODELS 64
#define DUNE_MAX_TREES 64
#define DUNE_MAX_LEAVES 4096   /* per tree */
#define DUNE_MAX_DEVICES 255
#define DUNE_MAX_INFERENCE_POINT 255
#define DUNE_PLAN_OTHER 255    /* leaf class: none of the sub-model's own */

enum dune_claim_rule { DUNE_CLAIM_FIRST, DUNE_CLAIM_BEST, DUNE_CLAIM_VOTES };
enum dune_hash_kind { DUNE_HASH_CRC, DUNE_HASH_SIPHASH };
enum dune_fallback { DUNE_FALLBACK_NONE, DUNE_FALLBACK_BEST };
enum dune_action_kind {
    DUNE_ACTION_FORWARD, DUNE_ACTION_MARK, DUNE_ACTION_STEER, DUNE_ACTION_DROP, DUNE_ACTION_MIRROR
};

struct dune_range_row { /* lo <= value <= hi */
    uint32_t lo, hi;
};

/* One feature of a sub-model: its range rows in ascending order. */
struct dune_plan_feature {
    uint8_t feat; /* catalog id */
    uint32_t n_rows;
    struct dune_range_row *row;
    /* code[t] -> n_rows strings of n_bits[t] characters '0'/'1' (thermometer), concatenated */
    uint32_t *n_bits; /* [n_trees] */
    char **code;      /* [n_trees], each n_rows * n_bits[t] characters, not terminated */
};

struct dune_plan_leaf {
    uint8_t cls;      /* plan class id 1..n_classes or DUNE_PLAN_OTHER */
    uint8_t conf;
    uint8_t own;      /* plan class id or 0: none */
    uint8_t own_conf;
};

struct dune_plan_tree {
    uint32_t key_bits; /* sum of the features' n_bits of this tree */
    uint32_t n_leaves;
    char *match;       /* n_leaves rows of key_bits characters '0' '1' '*', not terminated */
    struct dune_plan_leaf *leaf;
    /* The same tree as nodes, derived from the rows when a plan is read or built; for fast engines.
     * feat is the index into the sub-model's features; leaf: feat = -1, left = leaf index. Preorder,
     * node 0 is the root. */
    uint32_t n_nodes;
    struct dune_node *node;
};

struct dune_submodel {
    uint8_t id;     /* given per block before sequencing; does not change with the order */
    uint8_t n;      /* inference point, >= 1 */
    enum dune_mode mode;
    uint32_t n_classes;
    uint8_t *cls;   /* plan class ids it owns, ascending */
    uint32_t n_feats;
    struct dune_plan_feature *feat;
    uint32_t n_trees;
    struct dune_plan_tree *tree;
    uint16_t device; /* index into devices */
};

/* Mode packet keeps no state: a flow feature is 0 for every packet, and hardware needs nothing for it. */
static inline bool dune_submodel_is_zero(const struct dune_submodel *sm, uint32_t j)
{
    return sm->mode == DUNE_MODE_PACKET && dune_catalog[sm->feat[j].feat].phase == DUNE_PHASE_FL;
}

struct dune_plan_class {
    char *name;
    uint16_t min_confidence; /* 0..255 */
    enum dune_action_kind action;
    uint32_t action_arg;     /* DSCP for mark, port for steer and mirror */
    bool action_any;         /* drop and mirror also on unsettled final claims */
};

struct dune_budget {
    uint32_t leaves_sum;        /* per device over all its sub-models; 0: no limit */
    uint32_t features_distinct; /* per device; 0: no limit */
};

struct dune_plan_device {
    char *name;
    char *profile; /* name in profiles/ */
    struct dune_budget budget;
};

struct dune_filter { /* target traffic: a packet must match one entry of every non-empty list */
    uint32_t n_prefixes, n_ports, n_protos;
    struct dune_prefix {
        uint8_t addr[16];
        uint8_t len;
        bool ipv6;
    } *prefix;             /* source or destination in it */
    struct dune_port_range {
        uint16_t lo, hi;
    } *port;               /* source or destination port */
    uint8_t *proto;
};

struct dune_provenance { /* strings, may be NULL */
    char *data_hash, *solution, *options, *scores; /* options and scores are JSON texts */
    uint64_t seed;
};

struct dune_plan {
    uint32_t version;
    char *name;
    uint16_t generation;
    struct dune_parser_limits parser;
    uint32_t n_classes;            /* plan class id c is cls[c - 1] */
    struct dune_plan_class *cls;
    enum dune_claim_rule claim;
    uint16_t early_exit;           /* 0..256, 256 = never */
    enum dune_fallback fallback;
    uint64_t timeout;              /* ticks or DUNE_TIMEOUT_NONE */
    uint64_t syn_timeout;          /* ticks after which another flow may take the slot of a flow of which only SYN without
                                      ACK was seen; such a flow is not settled. 0: as any other */
    enum dune_hash_kind hash;
    uint8_t hash_key[16];          /* siphash only */
    uint32_t slots;                /* a power of two */
    uint32_t ways;                 /* 1..8 */
    uint16_t shim_ethertype;
    uint32_t chain_mtu;            /* 0: no limit */
    struct dune_filter filter;
    uint32_t n_submodels;          /* in chain order */
    struct dune_submodel *sub;
    uint32_t n_devices;            /* in chain order */
    struct dune_plan_device *device;
    struct dune_provenance provenance;
};

void dune_plan_free(struct dune_plan *p);
struct dune_plan *dune_plan_clone(const struct dune_plan *p);
/* An empty plan with every default (timeout 60 s, siphash, 65536 slots x 4 ways, best, generation 1). */
struct dune_plan *dune_plan_new(void);
void dune_plan_set_name(struct dune_plan *p, const char *name);

/* Notes the seed and draws the key of a keyed flow hash from it, so that nobody who does not know the
 * plan can aim flows at one slot. */
void dune_plan_set_seed(struct dune_plan *p, uint64_t seed);

/* plan.json: docs/formats/plan.md. The writer is canonical: reading and writing gives the same bytes. */
int dune_plan_write(const struct dune_plan *p, const char *path, struct dune_diag *d) DUNE_MUST_USE;
int dune_plan_format(const struct dune_plan *p, char **text, size_t *len, struct dune_diag *d) DUNE_MUST_USE;
/* Reads and verifies. */
int dune_plan_read(struct dune_plan **out, const char *path, struct dune_diag *d) DUNE_MUST_USE;
int dune_plan_parse(struct dune_plan **out, const char *name, const char *text, size_t len,
                    struct dune_diag *d) DUNE_MUST_USE;
/*
 * Verifier: ranges cover each domain without gap or overlap, code words are thermometers of the range
 * rows, exactly one code row per reachable code key, ids, budgets, limits. On failure d->place is the
 * JSON path that is wrong, code DUNE_E_INPUT (DUNE_E_INFEASIBLE for a budget, DUNE_E_VERSION).
 */
int dune_plan_verify(const struct dune_plan *p, struct dune_diag *d) DUNE_MUST_USE;

/* --- building tables from trees --------------------------------------------------------------- */
/*
 * Fills sm->feat and sm->tree from a forest: classes of the forest are mapped to plan class ids by
 * to_plan[forest class] (DUNE_PLAN_OTHER for Other, 0 only for a class without weight). Only features
 * some tree splits on become features of the sub-model; equal thresholds are merged. max_leaves cuts
 * each tree (0: whole).
 */
int dune_submodel_from_forest(struct dune_submodel *sm, const struct dune_forest *f,
                              uint32_t n_trees, uint32_t max_leaves, const uint8_t *to_plan,
                              struct dune_diag *d) DUNE_MUST_USE;
void dune_submodel_fini(struct dune_submodel *sm);

/* One answer of a sub-model to a feature vector (all catalog features), by plain table look-up: linear
 * scan of range rows, then of code rows. The judge's own implementation. */
struct dune_sub_answer {
    uint8_t cls;  /* plan class id of claim or tentative answer; 0: none */
    uint8_t conf;
    bool claim;   /* false: tentative or none */
};
struct dune_sub_answer dune_submodel_lookup(const struct dune_submodel *sm, const uint32_t *features);
/* The leaf of every tree by the same scan, for claim rule votes; leaf has n_trees. */
void dune_submodel_leaves(const struct dune_submodel *sm, const uint32_t *features,
                          const struct dune_plan_leaf **leaf);
/* The same through the nodes (fast path and planner); equality is a test. */
struct dune_sub_answer dune_submodel_walk(const struct dune_submodel *sm, const uint32_t *features);
/* The answer from the leaves the trees reached (design section 4); the rule of dune_vote. */
struct dune_sub_answer dune_plan_vote(const struct dune_plan_leaf *const *leaf, uint32_t n_trees);

/* --- resources ----------------------------------------------------------------------------------- */
struct dune_profile { /* profiles/<name>.json, compiled in; 0 stands for no limit */
    const char *name;
    const char *description;
    uint32_t stages;                     /* 0: not a pipeline, the hardware columns are not estimated */
    uint32_t tcam_blocks, tcam_block_bits, tcam_block_rows;
    uint32_t sram_blocks, sram_block_bytes;
    uint32_t map_rams_per_stage, stateful_alus_per_stage;
    uint32_t rules, rules_ipv6;          /* known-flow rules the program has room for */
    uint32_t max_trees, max_code_bits, max_range_bits; /* wider keys become ternary prefixes */
    uint32_t max_ways, slots;            /* slots: most per generation */
    uint64_t max_timeout;                /* ticks */
    uint8_t targets; /* DUNE_ON_* bit of the catalog */
    struct dune_parser_limits parser;    /* widest */
    enum dune_hash_kind hash;            /* DUNE_HASH_CRC: no other; siphash: both */
};
const struct dune_profile *dune_profile_find(const char *name); /* NULL: unknown */
const struct dune_profile *dune_profile_at(size_t i);           /* NULL past the end */
/* "tight" 129/6, "tiny" 41/4, "loose" 500/10, "none", or "leaves_sum=129,features_distinct=6". */
int dune_budget_parse(const char *text, struct dune_budget *b, struct dune_diag *d) DUNE_MUST_USE;

#define DUNE_PUBLISHED_BLOCKS 288
struct dune_resources { /* of one device; how: docs/resources.md */
    uint32_t submodels, leaves, features_distinct, trees; /* trees: of the largest sub-model */
    uint32_t published_blocks;      /* design section 4 (a) */
    double published_share;         /* of 288 blocks */
    uint32_t range_rows;            /* rows of all feature tables, equal thresholds merged */
    uint32_t range_as_ternary_rows; /* the same as ternary rows, in threshold order */
    uint32_t ternary_rows;          /* code rows of all trees */
    uint32_t code_bits;             /* widest code key */
    uint32_t vote_rows;             /* of a table over all answers of the trees; 0 for one tree */
    uint64_t register_bits;         /* all slots, both generations */
    uint32_t tcam_blocks, sram_blocks, map_rams, stages; /* (b) by profile, of so many generations */
    uint32_t stateful_alus, hash_bits;
    uint32_t latency_cycles;        /* estimate of the way through the stages */
    uint64_t software_bytes;        /* (c) tables, and packed slots of both generations */
    bool fits;                      /* profile limits (budgets are the verifier's) */
    char why[160];                  /* first limit exceeded */
};
/* Resources of the sub-models of a plan that sit on a device, under a profile (NULL: the device's own).
 * generations: 2, or 1 for a device that is never updated while traffic runs. */
void dune_resources_estimate(const struct dune_plan *p, uint32_t device, const struct dune_profile *prof,
                             uint32_t generations, struct dune_resources *out);
/* Bends hash, ways, slots and parser limits of a plan to a profile; slots are halved (to 4096 at least)
 * until every device fits, if that helps, else IPv6 is given up if that helps. What it cannot bend (trees, time-out ...) stays as it is. */
void dune_plan_retarget(struct dune_plan *p, const struct dune_profile *prof, uint32_t generations);
/* Ternary rows for the ranges of a feature in order: row r only has to match what rows before it do
 * not, so it may match anything in [0, hi] as long as it matches [lo, hi]. */
uint32_t dune_range_rows_ternary(const struct dune_range_row *row, uint32_t n_rows);
/* Published accounting of a forest shape: sum_j (floor(2*bits_j/44)+1) + (floor(L/44)+1)*trees. */
uint32_t dune_published_blocks(const uint8_t *feats, uint32_t n_feats, uint32_t max_leaves, uint32_t trees);

/* Linear placement: sub-models in chain order on devices [0, n_devices), in order, several per device
 * where their budgets allow, fewest devices, the first ones filled first. Sets sub[].device.
 * DUNE_E_INFEASIBLE names sub-model and budget. */
int dune_place_linear(struct dune_plan *p, struct dune_diag *d) DUNE_MUST_USE;

void dune_devices_free(struct dune_plan_device *devices, uint32_t n);

#endif
