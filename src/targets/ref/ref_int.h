/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the reference engine share. Nothing here is meant for other stages. */
#ifndef DUNE_TARGETS_REF_INT_H
#define DUNE_TARGETS_REF_INT_H

#include "base/base.h"
#include "dune/device.h"

/* --- ref_flowtab.c: slots x ways of one generation --------------------------------------------------- */
/*
 * One slot. The stored answers, the votes and the exact key lie in arrays beside it, same index.
 *
 *   +----+-------+------------------------------+----------------+   +----------------------------+
 *   | id | epoch | first last count value[52]   | digest, tick   |   | answer per sub-model here  |
 *   +----+-------+------------------------------+----------------+   +----------------------------+
 *    id 0: empty   dune_flow_regs: catalog order  sent? when?         written when count = its n
 *    epoch of an earlier capture: empty as well, so that emptying the table costs nothing
 */
struct ref_slot {
    uint32_t id;
    uint32_t epoch;
    struct dune_flow_regs regs; /* regs.last is last_seen */
    uint64_t digest_tick;
    bool digest_sent;
    bool half_open; /* only SYN without ACK was seen */
};

struct ref_flowtab {
    const struct dune_plan *plan;
    uint32_t slots, ways, epoch;
    uint32_t n_stored; /* answers per slot */
    uint32_t n_trees;  /* leaves per slot, claim rule votes only */
    struct ref_slot *slot;
    struct dune_sub_answer *stored;
    const struct dune_plan_leaf **leaf; /* NULL unless votes */
    struct dune_flow_key *key;          /* NULL unless keys are checked */
};

void dune_ref_flowtab_init(struct ref_flowtab *t, const struct dune_plan *p, uint32_t slots,
                           uint32_t ways, uint32_t n_stored, uint32_t n_trees, bool check_keys);
void dune_ref_flowtab_fini(struct ref_flowtab *t);
void dune_ref_flowtab_clear(struct ref_flowtab *t);
/* The slot that holds a live flow with this id, or NULL. Changes nothing. */
struct ref_slot *dune_ref_flowtab_find(const struct ref_flowtab *t, uint32_t index, uint32_t id,
                                       uint64_t now);
/* Step 4: the flow's slot, or the first empty or expired one (emptied, id set), or NULL: collision. */
struct ref_slot *dune_ref_flowtab_take(struct ref_flowtab *t, uint32_t index, uint32_t id,
                                       uint64_t now, enum dune_slot_outcome *outcome);
/* Counts and remembers exact keys: true when the slot's flow has another 5-tuple. */
bool dune_ref_flowtab_false_match(struct ref_flowtab *t, const struct ref_slot *s,
                                  const struct dune_flow_key *key, enum dune_slot_outcome outcome);
static inline struct dune_sub_answer *ref_stored(const struct ref_flowtab *t, const struct ref_slot *s)
{
    return t->stored + (size_t)(s - t->slot) * t->n_stored;
}
static inline const struct dune_plan_leaf **ref_leaves(const struct ref_flowtab *t,
                                                       const struct ref_slot *s)
{
    return t->leaf + (size_t)(s - t->slot) * t->n_trees;
}

/* --- ref_rules.c: known-flow rules of one generation -------------------------------------------------- */
struct ref_rule {
    struct dune_flow_key key;
    uint8_t cls, flags, submodel, conf;
    uint64_t from;     /* hits only packets with tick >= from */
    uint64_t last_hit; /* starts as the tick of the digest's packet */
    uint32_t next;     /* in its hash chain, UINT32_MAX: end */
    bool live;
};
struct ref_rules {
    struct ref_rule *rule;
    uint32_t n, cap, max, n_live;
    uint32_t free_head;
    uint32_t *head; /* [n_heads] */
    uint32_t n_heads;
    uint64_t timeout;
    uint64_t oldest_hit; /* no live rule has a smaller last_hit */
};
void dune_ref_rules_init(struct ref_rules *r, uint32_t max, uint64_t timeout);
void dune_ref_rules_fini(struct ref_rules *r);
void dune_ref_rules_clear(struct ref_rules *r);
/* false: no room. Removes expired rules first when the table is full; *expired grows by their number. */
bool dune_ref_rules_add(struct ref_rules *r, const struct dune_digest *dg, uint64_t from,
                        uint64_t *expired);
/* Removes the rules of a flow. */
void dune_ref_rules_drop(struct ref_rules *r, const struct dune_flow_key *key);
/* The rule that hits this packet, or NULL. Rules of the flow found expired are removed. */
struct ref_rule *dune_ref_rules_find(struct ref_rules *r, const struct dune_flow_key *key,
                                     uint64_t now, uint64_t *expired);

/* --- ref_match.c: the tables of a sub-model, packed -------------------------------------------------- */
struct ref_tree {
    uint32_t n_leaves, n_words;
    uint64_t **code;       /* [feature]: [range row][word]; NULL where the tree does not split on it */
    uint64_t *value, *mask; /* [leaf][word] */
    const struct dune_plan_leaf *leaf;
};
struct ref_match {
    const struct dune_submodel *sm;
    struct ref_tree *tree;
};
void dune_ref_match_init(struct ref_match *m, const struct dune_submodel *sm);
void dune_ref_match_fini(struct ref_match *m);
/* The leaf of every tree; leaf has n_trees. */
void dune_ref_match_leaves(const struct ref_match *m, const uint32_t *features,
                           const struct dune_plan_leaf **leaf);
struct dune_sub_answer dune_ref_match_answer(const struct ref_match *m, const uint32_t *features);

/* --- ref_device.c, ref_verdict.c: the nine steps ------------------------------------------------------ */
struct ref_generation {
    bool held;
    const struct dune_plan *plan;
    uint32_t n_sub;
    uint32_t sub[DUNE_MAX_SUBMODELS];      /* positions in plan->sub, chain order */
    uint32_t tree0[DUNE_MAX_SUBMODELS];    /* first tree of sub k in the slot's leaves */
    struct ref_match match[DUNE_MAX_SUBMODELS];
    bool keeps_state; /* some sub-model here reads or stores per-flow state */
    struct ref_flowtab tab;
    struct ref_rules rules;
};

struct dune_ref_device {
    uint16_t index;
    struct dune_chain_opts opts;
    struct ref_generation gen[2];
    unsigned stamp;       /* index into gen: what packets without shim get */
    uint64_t drain_until; /* the other generation is stamped for its live flows up to this tick */
    uint32_t share;       /* of DUNE_STAMP_ALL that new flows get it; the others get the other one */
    uint16_t shim_ethertype;
    uint8_t max_vlan;
    struct dune_counters count;
    uint8_t *buf;
    size_t buf_cap;
    uint64_t bucket, bucket_tick; /* digest tokens x DUNE_DIGEST_REPEAT */
    bool bucket_started;
    dune_digest_fn digest_fn;
    void *digest_ctx;
    dune_answer_fn answer_fn;
    void *answer_ctx;
};

/* One packet on its way through one device. */
struct ref_pass {
    struct dune_ref_device *dev;
    struct ref_generation *gen;
    const struct dune_device_in *in;
    struct dune_device_trace *trace;
    uint8_t *frame; /* without shim while inside the device */
    uint32_t cap_len, wire_len;
    uint64_t now;
    bool has_shim;
    uint32_t l2_len; /* addresses, tags and EtherType, where has_shim */
    struct dune_shim shim;     /* what the packet carries */
    struct dune_shim arrived;  /* what it carried when it came in */
    struct dune_packet pkt;
    bool collision;
    struct ref_slot *slot; /* NULL: no state */
    uint32_t vec[2][DUNE_N_FEATURES]; /* feature vector without and with flow registers */
    bool vec_made[2];
};

/* Steps 6, 7 and 8 for all sub-models of the device. */
void dune_ref_step_answers(struct ref_pass *p);
/* Claim rule votes: adds the votes of sub-model k; leaves of count = n are kept in the slot. */
void dune_ref_votes_add(struct ref_pass *p, uint32_t k, enum dune_answer_kind kind);
/* The class with most votes becomes the carried answer. */
void dune_ref_votes_decide(struct ref_pass *p);
/* The feature vector of this packet, with the flow's registers or with zeroes. */
const uint32_t *dune_ref_vector(struct ref_pass *p, bool with_registers);
/* Step 9's class actions. False: the packet is dropped. */
bool dune_ref_step_act(struct ref_pass *p);

#endif
