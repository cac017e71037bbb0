/* SPDX-License-Identifier: Apache-2.0 */
/* What the planner's own files share. */
#ifndef DUNE_PLANNER_INT_H
#define DUNE_PLANNER_INT_H

#include "dune/planner.h"

/* Columns of all blocks of a chain, lent from the cache. */
int dune_cv_columns(struct dune_cv *cv, const struct dune_chain_spec *spec,
                    const struct dune_item_answer **col, struct dune_diag *d) DUNE_MUST_USE;
const struct dune_space *dune_cv_space(const struct dune_cv *cv);
const uint8_t *dune_cv_scored(const struct dune_cv *cv); /* [n_flows of the space] */
unsigned dune_cv_k(const struct dune_cv *cv);
const uint8_t *dune_cv_fold(const struct dune_cv *cv);

/* --- a search: what all its steps share -------------------------------------------------------- */
struct dune_search {
    const struct dune_planner_cfg *cfg;
    struct dune_space *space;
    struct dune_cv *cv;
    uint16_t cls[DUNE_CLASS_WORDS * 64]; /* classes present, ascending */
    unsigned n_cls;
    uint64_t max_columns; /* work limit: counted, not timed, so that results do not depend on speed */
};
/* Paired bootstrap of macro F1, a minus b (b NULL: a alone). */
int dune_search_compare(struct dune_search *s, const struct dune_chain_spec *a,
                        const struct dune_chain_spec *b, struct dune_interval *out,
                        struct dune_diag *d) DUNE_MUST_USE;
int dune_search_score(struct dune_search *s, const struct dune_chain_spec *spec, struct dune_f1 *f1,
                      struct dune_diag *d) DUNE_MUST_USE;
bool dune_search_exhausted(const struct dune_search *s);

unsigned dune_present_classes(const struct dune_space *s, uint16_t *cls);
void dune_partition_random(const uint16_t *cls, unsigned n, unsigned k, uint64_t seed,
                           struct dune_class_set *block);
void dune_partition_confused(const struct dune_confusion *conf, const uint16_t *cls, unsigned n,
                             unsigned k, bool together, struct dune_class_set *block);

/* Settings common to all blocks; then per block, accepting only gains above min_gain. */
int dune_tune_common(struct dune_search *s, struct dune_chain_spec *spec, double *score, unsigned rounds,
                     struct dune_diag *d) DUNE_MUST_USE;
int dune_tune_blocks(struct dune_search *s, struct dune_chain_spec *spec, double *score, double min_gain,
                     struct dune_diag *d) DUNE_MUST_USE;
/* The best of a few forests spread over k devices, with the settings of the single device. */
int dune_plan_votes(struct dune_search *s, const struct dune_chain_spec *one, unsigned k,
                    struct dune_chain_spec *best, double *score, struct dune_diag *d) DUNE_MUST_USE;
int dune_local_search(struct dune_search *s, struct dune_chain_spec *spec, double *score, unsigned tries,
                      uint64_t key, struct dune_diag *d) DUNE_MUST_USE;

#endif
