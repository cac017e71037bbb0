/* SPDX-License-Identifier: Apache-2.0 */
/* No inference: the devices only forward; the floor of cost and F1. */
#include "baselines/baselines_int.h"

#include "base/base.h"

static int solve_none(const struct dune_solution_job *job, struct dune_solution_result *out,
                      struct dune_diag *d)
{
    const struct dune_chain_rule rule = {.claim = DUNE_CLAIM_BEST, .early_exit = 256};
    struct dune_baseline b;
    int rc = dune_baseline_open(&b, job, job->ds, 1, d);

    if (rc == 0)
        rc = dune_baseline_finish(&b, NULL, NULL, 0, &rule, "none", out, d);
    out->judged_by = "nothing was chosen";
    dune_baseline_close(&b);
    return rc;
}

const struct dune_solution_ops dune_solution_none = {
    .name = "none",
    .summary = "no inference, packets are only forwarded",
    .solve = solve_none,
};
