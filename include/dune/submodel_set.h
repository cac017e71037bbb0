/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Searched sub-models as a set: what submodels.json and sequence.json hold (docs/formats/submodels.md).
 * A set owns everything it points to. It knows classes by name and has the fitted forests, so a plan
 * can be made from it without the data set.
 */
#ifndef DUNE_SUBMODEL_SET_H
#define DUNE_SUBMODEL_SET_H

#include "dune/partition.h"
#include "dune/sequence.h"
#include "dune/submodels.h"

/* How sub-models are searched; recorded in the file. */
struct dune_submodel_options {
    struct dune_budget budget;
    const struct dune_profile *profile; /* NULL: any */
    dune_feature_mask features;         /* candidates */
    bool own_features;                  /* of these only the ones of the block */
    bool sqrt_features, f1_only, quick;
    enum dune_mode mode;
    double balance;
    uint64_t seed;
};

struct dune_submodel_use {
    char *profile;
    struct dune_resources use; /* published_share is not stored */
};

struct dune_submodel_entry {
    uint8_t id;                      /* number of its block */
    dune_feature_mask candidates;
    struct dune_grid_point chosen;
    uint64_t n_points, skipped, skipped_profile;
    uint32_t n_front;                /* Pareto front: F1 against published blocks */
    struct dune_grid_point *front;
    uint32_t n_uses;                 /* what it needs alone on a device, per profile */
    struct dune_submodel_use *use_of;
    struct dune_fit *fit;            /* on all train flows; cls are indices of the set's classes */
};

struct dune_submodel_set {
    char *data_hash;
    uint64_t timeout;                /* ticks or DUNE_TIMEOUT_NONE */
    uint32_t n_classes;              /* those of the train flows, ascending bytewise */
    char **class_name;
    struct dune_submodel_options options;
    uint32_t n;                      /* sub-models here, ids ascending */
    uint32_t n_blocks;               /* of which there are to be */
    struct dune_submodel_entry *sub;
};

/* An order of a set's sub-models. */
struct dune_submodel_sequence {
    bool lop;                  /* else end-to-end */
    struct dune_order order;   /* indices of set->sub */
    enum dune_claim_rule claim;
    enum dune_fallback fallback;
    uint16_t early_exit;
    double lop_cost, chained_macro; /* of this order; 0..1 */
};

void dune_submodel_set_free(struct dune_submodel_set *s);

struct dune_submodel_search {
    struct dune_submodel_options options;
    unsigned threads;    /* blocks searched at a time; never changes the result */
    const char *partial; /* file of finished blocks; NULL: none */
    uint32_t n_resumed;  /* out: blocks taken from it */
};
/*
 * Searches every block. Finished blocks are written to the partial file, and taken from it when it was
 * made from the same data, blocks and options; a search that fails removes it, one that is interrupted or
 * succeeds leaves it to the caller.
 * Errors: DUNE_E_INPUT for a class the train flows do not have or no validation flow, DUNE_E_INFEASIBLE
 * where no point of the grid fits (naming the block).
 */
int dune_submodels_search(struct dune_submodel_set **out, const struct dune_dataset *ds,
                          const struct dune_blocks *blocks, struct dune_submodel_search *how,
                          struct dune_diag *d) DUNE_MUST_USE;

/* Orders a set by one objective and states both. The sub-models are fitted again without the validation
 * flows. with[0] and with[1]: lop and end-to-end; *out is the one of the two that out->lop asks for;
 * claim, fallback and early_exit of *out are read. Errors: DUNE_E_INPUT for another data set. */
int dune_submodels_order(struct dune_submodel_sequence *out, struct dune_submodel_sequence with[2],
                         const struct dune_submodel_set *set, const struct dune_dataset *ds,
                         unsigned threads, struct dune_diag *d) DUNE_MUST_USE;

/* A plan of the sub-models in the order of seq, one device each, not yet verified; rule and budget as in
 * dune_plan_from_fits (min_confidence by class of the set). */
int dune_submodels_compile(struct dune_plan **out, const struct dune_submodel_set *set,
                           const struct dune_submodel_sequence *seq, const struct dune_chain_rule *rule,
                           const struct dune_budget *budget, const char *profile,
                           struct dune_diag *d) DUNE_MUST_USE;

/* submodels.json (seq NULL) and sequence.json. The writer is canonical. A partial set has n < n_blocks. */
int dune_submodels_format(const struct dune_submodel_set *s, const struct dune_submodel_sequence *seq,
                          char **text, size_t *len); /* *text is yours */
int dune_submodels_write(const struct dune_submodel_set *s, const struct dune_submodel_sequence *seq,
                         const char *path, struct dune_diag *d) DUNE_MUST_USE;
/* With seq the file must be a sequence.json, without a submodels.json. Partial ones only where partial
 * is true. */
int dune_submodels_parse(struct dune_submodel_set **out, struct dune_submodel_sequence *seq, bool partial,
                         const char *name, const char *text, size_t len, struct dune_diag *d) DUNE_MUST_USE;
int dune_submodels_read(struct dune_submodel_set **out, struct dune_submodel_sequence *seq,
                        const char *path, struct dune_diag *d) DUNE_MUST_USE;

#endif
