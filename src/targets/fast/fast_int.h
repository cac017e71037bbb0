/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the fast engine share. A chain owns its models and tables and borrows its plans.
 *
 *   burst -> parse + hash + prefetch -> per device: [slot, registers, vectors] [forests] [combine] -> verdicts
 *
 * Packets of a chunk go through a device together, in three passes in packet order, so that the
 * forests see many vectors at a time. Only registers are written in the first pass and only answers and
 * digest marks in the third, which is why the passes give what one packet after the other gives; the
 * one exception, a slot taken over inside a chunk, ends the chunk early (fast_device.c).
 */
#ifndef DUNE_TARGETS_FAST_INT_H
#define DUNE_TARGETS_FAST_INT_H

#include "base/base.h"
#include "dune/device.h"
#include "dune/engine.h"
#include "targets/core/dune_core_combine.h"
#include "targets/core/dune_core_flow.h"
#include "targets/core/dune_core_forest.h"
#include "targets/fast/dune_fast.h"

enum { FAST_CHUNK = 64, FAST_X_SLACK = 16 /* words behind the last vector that may be read */ };

/* --- fast_hash.c ------------------------------------------------------------------------------------- */
struct fast_hash {
    enum dune_hash_kind kind;
    uint8_t key[16];
    uint64_t v[4]; /* SipHash state after the key */
    bool sse42, avx2;
};
bool dune_fast_has_avx2(void); /* this processor */
void dune_fast_hash_init(struct fast_hash *h, const struct dune_plan *p);
/* The low 32 bits give the slot index, the high ones the id (never 0). */
uint64_t dune_fast_hash_any(const struct fast_hash *h, const uint8_t *key, uint32_t len);
/* The same for 13 bytes: addresses (8), ports (4) as they lie in memory, protocol. */
uint64_t dune_fast_hash_v4(const struct fast_hash *h, uint64_t addr, uint32_t ports, uint8_t proto);
/* The same for n <= FAST_CHUNK keys; rest: ports, protocol << 32. Reads and writes up to 3 entries more. */
void dune_fast_hash_many(const struct fast_hash *h, const uint64_t *addr, const uint64_t *rest, uint64_t *out,
                         uint32_t n);
/* Plain C, whatever the processor has; for tests. */
uint64_t dune_fast_crc_plain(const uint8_t *key, uint32_t len);

/* --- fast_walk.c, fast_quick.c: the forest of one sub-model -------------------------------------------- */
struct fast_tree {
    const struct dune_core_node *node;
    uint32_t n_nodes, depth; /* depth: steps from the root to the deepest leaf */
};
struct fast_quick; /* bit vectors per range, fast_quick.c */
struct fast_wide;  /* blocks of nodes, fast_wide.c */
struct fast_forest {
    uint32_t n_trees, stride; /* stride: words from one vector to the next, 16 or 64 */
    bool avx2;
    struct fast_tree tree[DUNE_MAX_TREES];
    uint8_t at[DUNE_N_FEATURES]; /* entry of the vector of every feature of the sub-model */
    struct fast_quick *quick; /* NULL: too large for it */
    struct fast_wide *wide;   /* NULL: too large for it, or no AVX2 */
    enum dune_fast_walk walk; /* the one in use */
    double ns[DUNE_FAST_N_WALKS]; /* measured by the calibration, per vector; 0: not */
};
/* Answers n <= FAST_CHUNK vectors that lie f->stride words apart; answer has room for FAST_CHUNK. */
void dune_fast_forest_ask(const struct fast_forest *f, const uint32_t *x, uint32_t n, uint32_t *answer);
/* The nodes that n <= FAST_CHUNK vectors arrive at: of vector i in tree t in place[t * tree_step + i]. */
void dune_fast_forest_places(const struct fast_forest *f, const uint32_t *x, uint32_t n, uint32_t *place, uint32_t tree_step);
bool dune_fast_forest_can(const struct fast_forest *f, enum dune_fast_walk walk);
void dune_fast_quick_free(struct fast_quick *q);
void dune_fast_quick_ask(const struct fast_quick *q, const uint32_t *x, uint32_t stride, uint32_t n,
                         uint32_t *leaf, uint32_t tree_step);
/* at: see fast_forest. NULL where it cannot be. */
struct fast_quick *dune_fast_quick_new(const struct dune_submodel *sm, const uint8_t *at);
struct fast_wide *dune_fast_wide_new(const struct dune_submodel *sm, const uint8_t *at);
void dune_fast_wide_free(struct fast_wide *w);
/* The leaf of vector i in tree t goes to leaf[t * tree_step + i * leaf_step]. */
void dune_fast_wide_ask(const struct fast_wide *w, const uint32_t *x, uint32_t stride, uint32_t n, uint32_t *leaf,
                        uint32_t n_trees, uint32_t tree_step, uint32_t leaf_step);
/* Measures the walks on synthetic vectors and keeps the fastest. */
void dune_fast_calibrate(struct fast_forest *f, const struct dune_submodel *sm);

/* --- fast_model.c: a plan compiled for one device ------------------------------------------------------ */
struct fast_fields { /* how a vector is made */
    struct dune_core_fields plain;
    uint32_t stride; /* words from one vector to the next, 16 or 64 */
    bool simd;       /* packet features by vector instructions: */
    uint32_t n_simd; /* times eight entries, 1 or 2 */
    int32_t at[16], shift[16], mask[16]; /* of entries 1 to 16: as struct dune_core_field */
};
struct fast_sub {
    uint8_t id, n;
    enum dune_mode mode;
    uint16_t device;
    bool last; /* the last of the chain */
    struct fast_fields fields;
    struct fast_forest forest;
};
/* How a sub-model answers packet `count` of a flow; 0: without state. */
static inline enum dune_answer_kind fast_kind(const struct fast_sub *sub, uint32_t count)
{
    if (sub->mode == DUNE_MODE_PACKET)
        return DUNE_ANSWER_PL;
    if (count > sub->n)
        return DUNE_ANSWER_STORED;
    if (count == sub->n)
        return DUNE_ANSWER_FL;
    return sub->mode == DUNE_MODE_FLOW ? DUNE_ANSWER_NONE : DUNE_ANSWER_PL;
}
struct fast_model {
    uint32_t n_sub;
    struct fast_sub *sub;
    bool keeps_state, digests; /* digests: a verdict can become final here */
    uint32_t last_read;        /* number of the last packet of a flow whose registers are read */
    uint32_t last_asked;       /* and of the last one that asks a forest; UINT32_MAX: all do */
    bool shared;               /* all sub-models are asked together, with one vector: fields of the first */
    bool all_fresh;            /* shared, all sub-models of the chain, no verdict before the last, rule best */
    uint16_t ready;            /* where a slot keeps the verdict that all later packets get, 0: nowhere */
    struct dune_core_layout layout;
    uint16_t where[DUNE_N_FEATURES]; /* offsets of registers */
    struct dune_core_node *node; /* all trees of all sub-models */
};
/* device DUNE_CORE_ALL_DEVICES: all of them as one, which is right only if none of them can see a packet that
 * another one does not (fast_fuse.c). */
int dune_fast_model_init(struct fast_model *m, const struct dune_plan *p, uint16_t device, struct dune_diag *d) DUNE_MUST_USE;
/* fast_vector.c */
void dune_fast_fields_make(struct fast_fields *f, const struct dune_submodel *sm, const uint16_t where[DUNE_N_FEATURES]);
/* x: f->stride words, and FAST_X_SLACK behind them. s NULL: without state. */
void dune_fast_vector(uint32_t *x, const struct fast_fields *f, const struct dune_core_packet *p,
                      struct dune_core_slot *s, uint32_t count);
/* Zeroed room for n vectors and FAST_X_SLACK. Entries 1 to 16 of a vector of 16 words lie in one line. */
struct fast_vectors {
    uint32_t *x;
    void *room;
};
void dune_fast_vectors_init(struct fast_vectors *v, size_t n, uint32_t stride);
void dune_fast_vectors_fini(struct fast_vectors *v);
void dune_fast_model_fini(struct fast_model *m);

/* Step 5, in two: last and count, of which it returns what last was before; then the registers, `count` being the packet's number.
 * Once all answers of the device are stored, nothing reads them. */
static inline uint64_t fast_slot_touch(struct dune_core_slot *s, uint64_t now)
{
    uint64_t before = s->last;

    s->last = now > before ? now : before;
    s->count += s->count != UINT32_MAX;
    return before;
}
static inline void fast_slot_registers(struct dune_core_slot *s, const struct fast_model *m, const struct dune_core_packet *core,
                                       uint64_t now, uint64_t before, uint32_t count)
{
    if (count <= m->last_read)
        dune_core_registers(s, &m->layout, core, now, before, count - 1);
}

/* --- fast_table.c: slots x ways of one generation on one device ------------------------------------------ */
/*
 * ways 1: the slots alone. More: before them one word per way, so that a bucket's words lie in one line:
 *
 *   bits 31..24  of the id (0: empty)   23..0  last, in units of about timeout / 64 from the capture's start
 *
 * The words only spare looks into slots; where they are not sure the slot decides.
 */
struct fast_table {
    uint32_t mask, ways; /* mask: slots - 1 */
    uint32_t slot_bytes;
    size_t way_bytes; /* all slots of one way */
    uint64_t timeout;
    uint64_t syn_timeout; /* of flows with only SYN without ACK; 0: none */
    const struct dune_core_layout *layout;
    uint8_t *slot;
    uint32_t *word;   /* NULL for 1 way */
    uint64_t base;    /* tick that 0 of a word stands for */
    bool started;     /* base is set */
    unsigned shift;   /* unit = 2^shift ticks */
    size_t slot_map, word_map; /* bytes mapped */
};
void dune_fast_table_init(struct fast_table *t, uint32_t slots, uint32_t ways, uint32_t slot_bytes,
                          uint64_t timeout);
void dune_fast_table_fini(struct fast_table *t);
void dune_fast_table_clear(struct fast_table *t);
/* Step 4. keep: a slot that was used at this tick or later is not taken over yet, *busy is set instead. */
/* Sets the time base at the first packet; workers find it set, so that none of them writes it. */
void dune_fast_table_start(struct fast_table *t, uint64_t now);
struct dune_core_slot *dune_fast_table_take(struct fast_table *t, uint32_t index, uint32_t id, uint64_t now,
                                            uint64_t keep, enum dune_slot_outcome *outcome, uint32_t *way,
                                            bool *busy);
/* The same where no way holds the flow: the first empty or expired one of those in `look` (bits). */
struct dune_core_slot *dune_fast_table_take_free(struct fast_table *t, uint32_t bucket, uint32_t look, uint32_t id,
                                                 uint64_t now, uint64_t keep, enum dune_slot_outcome *outcome,
                                                 uint32_t *way, bool *busy);
/* A live slot of that id, or NULL; changes nothing. */
struct dune_core_slot *dune_fast_table_find(const struct fast_table *t, uint32_t index, uint32_t id,
                                            uint64_t now);
/* After the registers: the word of the slot follows last. */
void dune_fast_table_touch(struct fast_table *t, uint32_t index, uint32_t way,
                           const struct dune_core_slot *s, uint64_t before);
void dune_fast_table_prefetch_slot(const struct fast_table *t, uint32_t index, uint32_t id);
/* Always inline, as all that only prefetch: a compiler may think it has no effect and drop the call. */
DUNE_CORE_INLINE void fast_table_prefetch_bucket(const struct fast_table *t, uint32_t index)
{
    index &= t->mask;
    if (t->word)
        __builtin_prefetch(&t->word[(size_t)index * t->ways], 1);
    else
        __builtin_prefetch(t->slot + (size_t)index * t->slot_bytes, 1);
}

/* --- one packet under way ---------------------------------------------------------------------------------- */
enum fast_state {
    FAST_PLAIN, /* no shim, and none to come with a single generation */
    FAST_LIVE,  /* carries a shim and is inferable */
    FAST_FORGED,/* carries a shim around what is not inferable */
    FAST_GONE   /* dropped, or settled and through with all that can change anything */
};
struct fast_pkt {
    struct dune_core_packet core;
    uint64_t now;
    uint32_t index, id;
    struct dune_core_slot *slot; /* on the device in hand; NULL: no state */
    uint32_t count;              /* with this packet, 0 without state */
    struct dune_core_shim shim, arrived;
    uint8_t state, gen, outcome, way;
    uint8_t reason, reason_here; /* enum dune_reason on the first device, on the device in hand */
    uint8_t fate, here; /* enum dune_fate on the first device, on the device in hand */
    bool inferable, rule_hit, dropped, became_final, digest, mirrored;
    uint16_t device;     /* where the verdict became final */
    uint16_t fresh_at;   /* device that added the shim */
    uint32_t steer_port, mirror_port;
};

/* --- a chain ------------------------------------------------------------------------------------------------ */
struct ref_rules;
/* --- fast_drift.c: what sub-models see -------------------------------------------------------------------------- */
struct fast_drift_sub {
    uint32_t index, n_trees, n_feats; /* index: in the plan */
    uint64_t claims[256], confidence[256]; /* by class; 0: no claim */
    uint64_t **leaf; /* [n_trees], by node */
    uint32_t *n_cuts, **cut; /* [n_feats]: upper ends of the range rows but the last */
    uint64_t **row;  /* [n_feats][n_cuts + 1] */
};
struct fast_drift {
    const struct dune_plan *plan;
    uint32_t n_sub; /* on the device, in the order of its model */
    struct fast_drift_sub *sub;
    uint32_t n_asked[DUNE_MAX_SUBMODELS]; /* of the round under way */
    uint64_t fresh[DUNE_MAX_SUBMODELS];   /* bits: live packets whose answer pass 3 has used, without collision */
};
struct fast_worker;
struct dune_drift_counts;
struct fast_drift *dune_fast_drift_new(const struct dune_plan *p, uint16_t device);
void dune_fast_drift_free(struct fast_drift *x);
/* Before the forests are asked, and after pass 3 of the same packets. */
void dune_fast_drift_begin(struct fast_drift *d, const struct fast_worker *w, const struct fast_model *m);
void dune_fast_drift_end(struct fast_drift *d, const struct fast_worker *w, const struct fast_model *m);
void dune_fast_drift_add(const struct fast_drift *d, struct dune_drift_counts *out);

struct fast_gen {
    bool held;
    const struct dune_plan *plan;
    struct fast_hash hash;
    struct dune_core_rule rule;
    bool filters, acts;         /* acts: some class does more than forward */
    uint32_t n_dev;
    struct fast_model *model;   /* [n_dev] */
    struct fast_table *table;   /* [n_dev]; when fused, the first one serves all devices */
    bool fused;
    struct fast_model whole;    /* when fused: all devices as one */
    struct ref_rules *rules;    /* [n_dev], only with opts.rules */
    struct fast_drift *drift;   /* NULL: nothing is counted */
};

struct fast_counts { /* of one device, of one worker; what adds up from these is left out */
    uint64_t fate[DUNE_N_FATES];
    uint64_t forged[DUNE_N_REASONS];
    uint64_t reason[DUNE_N_REASONS]; /* not inferable, without shim */
    uint64_t slot[5];                /* by enum dune_slot_outcome; NONE: stateless */
    uint64_t answers[4];             /* by enum dune_answer_kind */
    uint64_t claims, finals, settled, digests, digests_dropped, rules, rules_full, rules_expired;
    uint64_t dropped_action, mirrored, steered, marked, shim_missing, settled_here;
};

/* Some packets on the straight way (fast_lane.c), by column. */
enum { FAST_LANE = 32, FAST_LANES = 3 };
struct fast_lane {
    uint32_t n;                 /* live */
    uint32_t from[FAST_LANE];   /* which of those that came */
    uint32_t index[FAST_LANE], id[FAST_LANE], count[FAST_LANE];
    uint64_t now[FAST_LANE];
    bool has_likely;                          /* on the first stage: */
    struct dune_core_slot *likely[FAST_LANE]; /* where it was when memory was fetched */
    uint8_t likely_way[FAST_LANE];
    bool hit[FAST_LANE];                      /* it was there, and still is */
    struct dune_core_slot *slot[FAST_LANE]; /* on the device in hand; NULL: no state */
    uint64_t before[FAST_LANE];             /* last of the slot before this packet */
    struct dune_core_shim shim[FAST_LANE];
    uint16_t device[FAST_LANE]; /* where the verdict became final */
    struct dune_core_packet core[FAST_LANE];
    uint64_t addr[FAST_LANE], rest[FAST_LANE], hash[FAST_LANE]; /* of the key */
    uint8_t young[FAST_LANE], old[FAST_LANE]; /* of the round: those that ask a forest and those that do not */
    uint32_t n_young, n_old;
    uint8_t on[FAST_LANE];      /* those that a device still has to look at */
    uint32_t n_on;
};

/* Of one stage of the straight way: a device, or all of them. What follows from these is left out. */
struct fast_stage_counts {
    uint64_t slot[5];
    uint64_t answers[DUNE_MAX_SUBMODELS][4], claims[DUNE_MAX_SUBMODELS]; /* by sub-model of the stage */
    uint64_t ready[256]; /* packets whose verdict was ready, by the sub-models that claim (bits) */
    uint64_t finals, settled, digests;
};
struct fast_stage { /* what its passes work on */
    const struct fast_model *m;
    struct fast_table *t;
    uint16_t dev; /* that a verdict made here becomes final on */
};

struct fast_worker { /* what one thread writes */
    struct fast_lane lane[FAST_LANES];
    uint32_t reached[DUNE_MAX_DEVICES]; /* packets of the last lane that a device looked at */
    uint64_t newest; /* time of those that went through the first stage since the lanes began */
    struct fast_pkt *live[FAST_CHUNK]; /* packets of the chunk that carry a shim */
    uint32_t n_live;
    struct fast_counts plain; /* packets without shim: the same on every device */
    struct fast_counts *dev;  /* [n_dev] */
    struct fast_stage_counts *stage; /* [n_dev] */
    struct fast_vectors x[DUNE_MAX_SUBMODELS]; /* vectors asked of sub-model k of the device in hand */
    uint32_t n_asked[DUNE_MAX_SUBMODELS];
    uint8_t asked[DUNE_MAX_SUBMODELS][FAST_CHUNK]; /* by which of the live packets */
    uint32_t answer[DUNE_MAX_SUBMODELS][FAST_CHUNK]; /* of sub-model and live packet */
    struct fast_share *share; /* packets parsed for the other workers: fast_share.c */
};

struct fast_bucket { /* digest tokens of one device, in units of 1 / DUNE_DIGEST_REPEAT */
    uint64_t level, tick;
    bool started;
};

struct fast_pool;
struct fast_share;
struct fast_chain {
    struct dune_chain base; /* first */
    struct dune_chain_opts opts;
    uint32_t n_dev;
    struct fast_gen gen[2];
    unsigned stamp;
    uint64_t drain_until;
    uint16_t shim_ethertype;
    uint8_t max_vlan;
    bool one_by_one; /* rules or a trace: chunks of one packet */
    bool straight;   /* one generation and nothing that needs struct fast_pkt: fast_lane.c */
    int alone;       /* -1, or the only device that is here (fast_alone.c) */
    bool counting;   /* for drift; only a device that is alone */
    void (*on_digest)(void *ctx, const struct fast_pkt *pk); /* fast_alone.c */
    void *on_digest_ctx;
    bool full_parse; /* someone needs struct dune_packet: a filter, rules, a second generation */
    unsigned n_workers;
    struct fast_worker **worker;
    struct fast_pool *pool; /* NULL: one worker */
    struct fast_bucket *bucket; /* [n_dev] */
    uint64_t packets;
    struct fast_pkt *pkt; /* [n_pkt] of the batch under way */
    size_t n_pkt;
    DUNE_VEC(struct dune_digest) digests;
    struct dune_packet full[2]; /* of the packet under way, by generation; with full_parse */
    struct dune_trace_answer said[DUNE_MAX_SUBMODELS]; /* for the trace */
    uint32_t n_said;
    uint8_t *frames;
    size_t frames_len, frames_cap;
};

/* fast_engine.c: for a device that is alone. */
int dune_fast_open_alone(struct fast_chain **out, const struct dune_plan *p, uint16_t index, const struct dune_chain_opts *o,
                         struct dune_diag *d) DUNE_MUST_USE;
int dune_fast_hold_other(struct fast_chain *c, const struct dune_plan *p, struct dune_diag *d) DUNE_MUST_USE;
void dune_fast_set_stamp(struct fast_chain *c, unsigned gen);
/* fast_alone.c: does a rule of the controller say what the packet is? Then its shim says so, too. */
bool dune_fast_alone_rule(struct fast_chain *c, struct fast_pkt *pk);
/* fast_device.c: class actions of the last device, but for the bytes of a mark; fast_output.c: those. */
void dune_fast_act_last(const struct fast_gen *g, struct fast_counts *n, struct fast_pkt *pk);
void dune_fast_mark(struct fast_chain *c, const struct fast_pkt *pk, uint8_t *frame, uint32_t len);
void dune_fast_fill_core(struct dune_core_packet *out, const struct dune_packet *p);
/* fast_counters.c: what steps 4 to 9 counted. */
void dune_fast_put_inferred(struct dune_counters *o, const struct fast_counts *own);
/* fast_parse.c: steps 1 and 2 on the first device. */
void dune_fast_receive(struct fast_chain *c, struct fast_worker *w, const struct dune_chain_packet *in,
                       struct fast_pkt *pk);
/* Step 2 on a later device for a packet without shim, with two generations held. */
void dune_fast_receive_plain(struct fast_chain *c, struct fast_worker *w, const struct dune_chain_packet *in,
                             uint32_t dev, struct fast_pkt *pk);
/* fast_device.c: steps 3 to 9 of device dev for the live packets of the worker; those that nothing can
 * change any more leave the list. */
void dune_fast_device_run(struct fast_chain *c, struct fast_worker *w, uint32_t dev);
void dune_fast_ask_forests(struct fast_worker *w, const struct fast_model *m);
/* Pass 1: the vectors of what a packet has to ask; at: its number among the live ones. */
static inline void fast_ask_for(struct fast_worker *w, const struct fast_model *m, const struct dune_core_packet *core,
                                struct dune_core_slot *slot, uint32_t count, bool open, uint32_t at)
{
    for (uint32_t k = 0; k < (m->shared ? 1 : m->n_sub); k++) {
        const struct fast_sub *sub = &m->sub[k];
        enum dune_answer_kind kind = fast_kind(sub, count);
        bool regs = kind == DUNE_ANSWER_FL || sub->mode == DUNE_MODE_RUNNING;
        uint32_t i = w->n_asked[k];

        if (kind != DUNE_ANSWER_FL && !(kind == DUNE_ANSWER_PL && open))
            continue;
        dune_fast_vector(w->x[k].x + i * sub->fields.stride, &sub->fields, core, regs ? slot : NULL, count);
        w->asked[k][i] = (uint8_t)at;
        w->n_asked[k]++;
    }
}
/* fast_lane.c: n packets all the way; verdicts to v. frames: to pk[n] what dune_fast_frame needs; else pk[FAST_LANE]
 * is only scratch. */
void dune_fast_lane_run(struct fast_chain *c, struct fast_worker *w, const struct dune_chain_packet *in,
                        struct fast_pkt *pk, size_t n, struct dune_verdict *v, bool frames);
/* Steps 1 and 2 of up to FAST_LANE packets, which get numbers from `first` on; verdicts of those without shim to v. */
void dune_fast_lane_receive(struct fast_chain *c, struct fast_worker *w, struct fast_lane *l,
                            const struct dune_chain_packet *in, struct fast_pkt *pk, uint32_t n, uint32_t first,
                            struct dune_verdict *v);
/* What every packet begins with; number, time, index, id and fields are there. */
void dune_fast_lane_start(struct fast_lane *l);
void dune_fast_lane_fetch(const struct fast_chain *c, const struct fast_lane *l);
void dune_fast_lane_fetch_slots(const struct fast_chain *c, const struct fast_worker *w, struct fast_lane *l);
void dune_fast_lane_finish(struct fast_chain *c, struct fast_worker *w, struct fast_lane *l);
void dune_fast_lane_verdicts(const struct fast_chain *c, const struct fast_lane *l, struct dune_verdict *v);
/* fast_stage.c: one stage for the packets of a lane that it has to look at. */
void dune_fast_stage_run(struct fast_chain *c, struct fast_worker *w, struct fast_lane *l, uint32_t stage);
static inline uint32_t fast_n_stages(const struct fast_chain *c)
{
    return c->gen[c->stamp].fused ? 1 : c->n_dev;
}
/* fast_share.c: any number of packets on the straight way by all workers. */
void dune_fast_share_run(struct fast_chain *c, const struct dune_chain_packet *in, size_t n, struct dune_verdict *v);
void dune_fast_share_free(struct fast_share *s);
/* fast_fuse.c: may all devices be one? And back to a table for each device. */
bool dune_fast_can_fuse(const struct fast_chain *c, const struct fast_gen *g);
void dune_fast_unfuse(struct fast_chain *c, struct fast_gen *g);
/* fast_answers.c: steps 6 to 8 of one packet, its fresh answers being in w->answer. */
void dune_fast_answers(struct fast_chain *c, struct fast_worker *w, uint32_t dev, struct fast_pkt *pk,
                       uint32_t at);
/* fast_rules.c */
void dune_fast_rules_open(struct fast_gen *g, uint32_t n_dev, uint32_t max);
void dune_fast_rules_close(struct fast_gen *g, uint32_t n_dev);
void dune_fast_rules_clear(struct fast_gen *g, uint32_t n_dev);
bool dune_fast_rules_live(struct fast_chain *c, struct fast_worker *w, uint32_t dev, struct fast_pkt *pk,
                          unsigned gen);
bool dune_fast_rules_hit(struct fast_chain *c, struct fast_worker *w, uint32_t dev, struct fast_pkt *pk);
void dune_fast_rules_install(struct fast_chain *c, struct fast_worker *w);
/* fast_output.c: the verdict, the trace of one device, the frame as it leaves. */
void dune_fast_verdict(const struct fast_chain *c, const struct fast_pkt *pk, struct dune_verdict *v);
void dune_fast_trace(struct fast_chain *c, const struct dune_chain_packet *in, const struct fast_pkt *pk,
                     uint32_t dev);
void dune_fast_frame(struct fast_chain *c, const struct dune_chain_packet *in, const struct fast_pkt *pk,
                     struct dune_chain_frame *out);
/* After the last frame of a burst: where they are. */
void dune_fast_lend_frames(const struct fast_chain *c, struct dune_chain_frame *out, size_t n);
/* fast_counters.c */
void dune_fast_counters(const struct dune_chain *c, uint32_t device, struct dune_counters *out);
/* What the straight way counted to the counts of the devices: before the generation in use changes. */
void dune_fast_counters_fold(struct fast_chain *c);
/* fast_threads.c */
struct fast_pool *dune_fast_pool_new(unsigned n_threads);
void dune_fast_pool_run(struct fast_pool *p, void (*fn)(void *ctx, unsigned worker), void *ctx);
void dune_fast_pool_free(struct fast_pool *p);

#endif
