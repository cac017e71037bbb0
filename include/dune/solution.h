/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Solutions: ways to turn a data set and a budget into a plan. One operations struct per solution;
 * baselines and the planner's own methods look the same to the experiment.
 */
#ifndef DUNE_SOLUTION_H
#define DUNE_SOLUTION_H

#include "dune/planner.h"

struct dune_solution_job {
    const struct dune_dataset *ds;      /* first packets of every flow, train and test */
    const struct dune_dataset *all;     /* every packet (packet-level baselines); NULL: use ds */
    struct dune_planner_cfg cfg;
    bool tuned;                         /* monoliths: our search and folds instead of the paper's form */
    uint64_t evaluations;               /* tuned: candidate evaluations allowed; 0: by effort */
};

/* What was chosen and how good it looked without the test flows. */
struct dune_solution_result {
    struct dune_plan *plan;  /* yours */
    double train_macro;      /* out-of-fold or validation macro F1 of the choice, flow level; 0..1 */
    double train_se;         /* its standard error over captures; 0 unknown */
    const char *judged_by;   /* "4-fold cross-validation", "validation split" */
    uint64_t evaluations;    /* candidate evaluations spent */
    char *notes;             /* JSON object text with choices; yours */
};
void dune_solution_result_fini(struct dune_solution_result *r);

struct dune_solution_ops {
    const char *name;
    const char *summary;
    bool needs_all_packets;
    int (*solve)(const struct dune_solution_job *job, struct dune_solution_result *out,
                 struct dune_diag *d);
};
/* Solves in the form the job asks for: with job->tuned, mousika, jewel and flowrest keep their features
 * and when they answer and get our search; everything else is ops->solve. */
int dune_solution_solve(const struct dune_solution_ops *ops, const struct dune_solution_job *job,
                        struct dune_solution_result *out, struct dune_diag *d) DUNE_MUST_USE;
const struct dune_solution_ops *dune_solution_find(const char *name); /* NULL: unknown */
/* The same with an error that says which ones there are. */
int dune_solution_get(const struct dune_solution_ops **out, const char *name, struct dune_diag *d) DUNE_MUST_USE;

/* What the baseline votes plans, as a chain of one tree per device: chosen on the validation split. */
struct dune_votes_choice {
    double macro; /* on the validation split */
    uint64_t evaluations;
};
int dune_votes_choose(const struct dune_solution_job *job, struct dune_chain_spec *spec,
                      struct dune_votes_choice *out, struct dune_diag *d) DUNE_MUST_USE;

extern const struct dune_solution_ops dune_solution_none, dune_solution_mousika, dune_solution_jewel,
    dune_solution_flowrest, dune_solution_votes, dune_solution_dune_paper, dune_solution_dune;

#endif
