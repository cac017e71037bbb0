/* SPDX-License-Identifier: Apache-2.0 */
/* What only the files of the plan stage share. */
#ifndef DUNE_PLAN_PLAN_INT_H
#define DUNE_PLAN_PLAN_INT_H

#include "base/base.h"
#include "dune/plan.h"

/*
 * Checks that the code rows of tree t partition its reachable code keys and are those of a decision
 * tree, and derives its nodes in preorder (the most balanced cut first; so they are a function of
 * the rows alone). path is the JSON path of the tree. *node is the caller's; unset on failure. The
 * range rows and code words of sm must have been checked (or built) before.
 */
int dune_plan_tree_derive(const struct dune_submodel *sm, uint32_t t, const char *path,
                          struct dune_node **node, uint32_t *n_nodes,
                          struct dune_diag *d) DUNE_MUST_USE;

/* dune_plan_verify. With fill (the same plan) the trees' nodes are derived and stored, else those
 * of p must be what the rows give. */
int dune_plan_check(const struct dune_plan *p, struct dune_plan *fill,
                    struct dune_diag *d) DUNE_MUST_USE;

/* The canonical text of a JSON value (jansson's json_t), for provenance.options and .scores. */
struct json_t;
int dune_plan_json_text(const struct json_t *v, const char *place, char **out,
                        struct dune_diag *d) DUNE_MUST_USE;

/* Made from profiles/ at build time, sorted by name. */
extern const struct dune_profile dune_profiles[];
extern const size_t dune_n_profiles;

/* Stages, memories and hash bits of the TNA program of a device, into out; slots: of all generations.
 * out->submodels is known. */
void dune_pipeline_estimate(const struct dune_plan *p, uint32_t device, const struct dune_profile *prof,
                            uint32_t generations, uint32_t slots, struct dune_resources *out);
/* It does not fit, and why; the first reason stays. */
void dune_resources_refuse(struct dune_resources *out, const char *fmt, ...) DUNE_PRINTF(2, 3);

/* What a set of sub-models uses on one device. */
struct dune_use {
    uint64_t leaves;
    dune_feature_mask features;
};
void dune_use_add(struct dune_use *use, const struct dune_submodel *sm);
uint32_t dune_use_features(const struct dune_use *use);

/* prefix.c: "10.0.0.0/8", "2001:db8::/32", a bare address is a host; false: it is none. Bits beyond the length are let through. */
bool dune_prefix_parse(struct dune_prefix *out, const char *text);
bool dune_prefix_has_host_bits(const struct dune_prefix *x);

/* Words of the file format, in the order of the enums; NULL-terminated. */
extern const char *const dune_plan_claim_words[], *const dune_plan_hash_words[],
                                                      *const dune_plan_fallback_words[],
                                                          *const dune_plan_action_words[];

#define DUNE_PLAN_FORMAT "dune-plan"
#define DUNE_PLAN_MAX_BYTES (UINT64_C(256) << 20)
#define DUNE_PLAN_MAX_JSON_DEPTH 12 /* of provenance.options and .scores */
#define DUNE_PLAN_MAX_SLOTS (1u << 24)
#define DUNE_PLAN_MAX_FILTER 4096 /* entries of each list */

/* Ones in the code word of range row r of feature f for tree t, for a checked thermometer. */
static inline uint32_t dune_code_ones(const struct dune_plan_feature *f, uint32_t t, uint32_t r)
{
    const char *word = f->code[t] + (size_t)r * f->n_bits[t];
    uint32_t ones = 0;

    while (ones < f->n_bits[t] && word[ones] == '1')
        ones++;
    return ones;
}

#endif
