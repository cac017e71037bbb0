/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DUNE_BASELINES_INT_H
#define DUNE_BASELINES_INT_H

#include "dune/solution.h"

/* A space over the train flows and its validation split, as flow masks of the space. */
struct dune_baseline {
    const struct dune_solution_job *job;
    struct dune_space *space;
    uint8_t *train, *valid; /* [n_flows] */
    uint8_t *block;         /* [n_classes] the classes of train: a monolith's block */
};
int dune_baseline_open(struct dune_baseline *b, const struct dune_solution_job *job,
                       const struct dune_dataset *ds, unsigned max_n, struct dune_diag *d) DUNE_MUST_USE;
void dune_baseline_close(struct dune_baseline *b);
/* Flow-level macro F1 of a chain over the flows of mask. */
double dune_baseline_macro(const struct dune_baseline *b, const struct dune_item_answer *const *col,
                           unsigned n_sub, const struct dune_chain_rule *rule, const uint8_t *mask);
/* A named set, cut to the candidates of the job. */
dune_feature_mask dune_baseline_features(const struct dune_solution_job *job, const char *set,
                                         unsigned max_k);
/* Compiles, names and verifies the plan. */
int dune_baseline_finish(const struct dune_baseline *b, struct dune_fit *const *fit, const uint8_t *id,
                         unsigned n_fits, const struct dune_chain_rule *rule, const char *name,
                         struct dune_solution_result *out, struct dune_diag *d) DUNE_MUST_USE;

/* --- paper_notes.c: what dune-paper did, step by step (docs/formats/choice.md) --------------------------- */
struct dune_paper_steps {
    const struct dune_blocks *blocks;
    const struct dune_importance *w;
    const struct dune_scores *f;
    unsigned n;
    const struct dune_block_fit *sub; /* [n] */
    const double *confusion, *f1;     /* [n][n], [n] */
    const struct dune_order *order;
};
char *dune_paper_notes(const struct dune_paper_steps *s); /* JSON; yours */

#endif
