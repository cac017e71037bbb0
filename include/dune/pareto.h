/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a deployment costs and what it gives: the best macro F1 out of fold for up to 1, 2 ... K devices,
 * and the smallest deployment that reaches a wanted F1.
 */
#ifndef DUNE_PARETO_H
#define DUNE_PARETO_H

#include "dune/solution.h"

struct dune_pareto_point {
    unsigned devices;          /* allowed */
    struct dune_budget budget; /* per device, allowed */
    unsigned used;             /* devices that the plan needs */
    double macro;              /* out of fold, 0..1 */
    uint32_t leaves;           /* of all devices together, as all below */
    uint32_t published_blocks;
    uint64_t state_bytes;      /* flow state, two generations */
    uint64_t software_bytes;
    uint64_t evaluations;
    bool front;                /* nothing has its F1 with no more devices, blocks and state */
    struct dune_plan *plan;
};
struct dune_pareto {
    size_t n;
    struct dune_pareto_point *point;
    size_t chosen; /* the highest F1; with a wanted F1 the fewest devices, then leaves, that reach it */
};
/*
 * Plans with solution dune for 1..job->cfg.devices devices. want_f1 (0: none): stops at the first number of
 * devices that reaches it, then takes leaves away while it still does; DUNE_E_INFEASIBLE names the best
 * F1 when nothing reaches it. Free with dune_pareto_fini, also after an error.
 */
int dune_pareto_plan(struct dune_pareto *out, const struct dune_solution_job *job, double want_f1,
                     struct dune_diag *d) DUNE_MUST_USE;
void dune_pareto_fini(struct dune_pareto *p);
struct dune_buf;
void dune_pareto_csv(const struct dune_pareto *p, struct dune_buf *out);
void dune_pareto_json(const struct dune_pareto *p, struct dune_buf *out);

#endif
