/* SPDX-License-Identifier: Apache-2.0 */
/* The rival use of the same devices as a candidate: exactly what the baseline votes would plan for them. */
#include <string.h>

#include "base/base.h"
#include "dune/solution.h"
#include "planner/planner_int.h"

int dune_plan_votes(struct dune_search *s, const struct dune_solution_job *job, struct dune_variants *out,
                    struct dune_diag *d)
{
    struct dune_solution_job mine = *job;
    struct dune_chain_spec spec;
    struct dune_votes_choice chosen;
    int rc;

    memset(out, 0, sizeof(*out));
    mine.cfg.devices = s->n_devices;
    rc = dune_votes_choose(&mine, &spec, &chosen, d);
    for (unsigned t = 0; rc == 0 && s->mixed && t < spec.n_blocks; t++) { /* devices that differ */
        spec.cfg[t].max_leaves = s->budget[t].leaves_sum;
        spec.cfg[t].max_features = s->budget[t].features_distinct;
    }
    return rc ? rc : dune_variants_add(s, out, "elimination", &spec, -1, d);
}
