/* SPDX-License-Identifier: Apache-2.0 */
/* What the files about sets of sub-models share. */
#ifndef DUNE_SUBMODELS_INT_H
#define DUNE_SUBMODELS_INT_H

#include "dune/sequence.h"
#include "dune/submodel_set.h"

#define DUNE_SUBMODELS_FORMAT "dune-submodels"
#define DUNE_SEQUENCE_FORMAT "dune-sequence"
#define DUNE_SUBMODELS_VERSION 1
#define DUNE_SUBMODELS_MAX_BYTES (UINT64_C(256) << 20)
#define DUNE_SUBMODELS_JUDGED_ON "validation split of train"

/* Words of the format by value; NULL-terminated. */
extern const char *const dune_submodels_scores[], *const dune_submodels_efforts[],
    *const dune_submodels_methods[], *const dune_submodels_claims[], *const dune_submodels_fallbacks[];

/* The 32-bit numbers of struct dune_resources that are stored, in file order. */
struct dune_use_field {
    const char *key;
    size_t at;
};
extern const struct dune_use_field dune_use_fields[];
extern const size_t dune_n_use_fields;

void dune_submodel_entry_fini(struct dune_submodel_entry *e);
/* Settings that give the chosen point again. */
struct dune_grid_cfg dune_submodel_grid_cfg(const struct dune_submodel_options *o);

/* order_first.c: the best order of n <= DUNE_ORDER_FIRST_MAX sub-models under the rule `first`, as
 * dune_sequence_end_to_end has it; scores within tie are equal. */
enum { DUNE_ORDER_FIRST_MAX = 8 };
void dune_order_first(struct dune_order *out, const struct dune_space *s, const struct dune_item_answer *const *col,
                      unsigned n, const uint8_t *mask, double tie);

#endif
