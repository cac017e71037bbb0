/* SPDX-License-Identifier: Apache-2.0 */
/* From a plan to what the per-packet core works on; for the hosts of compiled targets, not for BPF. */
#ifndef DUNE_TARGETS_CORE_MODEL_H
#define DUNE_TARGETS_CORE_MODEL_H

#include "dune/plan.h"
#include "targets/core/dune_core_types.h"

/* The slot of a device: the registers its sub-models read, one stored answer for each of them, the digest
 * mark. where[f]: offset of the register of flow feature f, 0: none (the count has its own place). */
void dune_core_layout_make(struct dune_core_layout *l, uint16_t where[DUNE_N_FEATURES],
                           const struct dune_plan *p, uint16_t device);
/* device DUNE_CORE_ALL_DEVICES: one slot for all devices of the chain, stored answers in chain order. */
enum { DUNE_CORE_ALL_DEVICES = UINT16_MAX };
/* Bytes of the register of a flow feature other than the count. */
uint32_t dune_core_register_bytes(int feat);
/* Vector entry j + 1 is feature j of the sub-model. */
void dune_core_fields_make(struct dune_core_fields *f, const struct dune_submodel *sm,
                           const uint16_t where[DUNE_N_FEATURES]);
/* The same vector for dune_core_take_all. */
void dune_core_takes_make(struct dune_core_takes *t, const struct dune_core_fields *f);
/* tr->n_nodes nodes, the root first; returns how many. depth: steps from the root to the deepest leaf. */
uint32_t dune_core_tree_make(struct dune_core_node *out, const struct dune_plan_tree *tr, uint32_t *depth);
/* to[leaf of the plan's tree] += from[its node there]. */
void dune_core_tree_add_leaves(uint64_t *to, const struct dune_plan_tree *tr, const uint64_t *from);
void dune_core_rule_make(struct dune_core_rule *r, const struct dune_plan *p);

#endif
