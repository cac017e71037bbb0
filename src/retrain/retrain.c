/* SPDX-License-Identifier: Apache-2.0 */
/* A candidate from the earlier flows, judged on the later ones, then fitted on all. */
#include "retrain/retrain_int.h"

#include <string.h>

#include "base/base.h"
#include "dune/solution.h"

/* The planner looks at the train flows: those of part 0 only. */
static int search(struct dune_plan **out, const struct dune_plan *old, const struct dune_dataset *ds,
                  const uint8_t *part, const struct dune_retrain_cfg *cfg, struct dune_diag *d)
{
    uint8_t *split = dune_mem_alloc(ds->n_flows, 1);
    struct dune_dataset earlier = *ds;
    struct dune_solution_result r = {0};
    struct dune_solution_job job = {.ds = &earlier};
    int rc;

    for (uint64_t k = 0; k < ds->n_flows; k++)
        split[k] = part[k] == 0 ? DUNE_SPLIT_TRAIN : DUNE_SPLIT_TEST;
    earlier.flow_split = split;
    job.cfg = (struct dune_planner_cfg){.budget = old->device[0].budget, .devices = old->n_devices,
                                        .profile = old->device[0].profile, .effort = cfg->effort, .seed = cfg->seed,
                                        .threads = cfg->threads, .device = old->device};
    if (old->n_devices > DUNE_MAX_BLOCKS)
        rc = dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "%u devices: the planner searches for at most %d", old->n_devices,
                           DUNE_MAX_BLOCKS);
    else
        rc = dune_solution_solve(&dune_solution_dune, &job, &r, d);
    *out = r.plan;
    r.plan = NULL;
    dune_solution_result_fini(&r);
    dune_mem_free(split);
    return rc;
}

static int make_candidate(struct dune_plan **out, const struct dune_plan *old, const struct dune_dataset *ds,
                          const uint8_t *part, const struct dune_retrain_cfg *cfg, struct dune_diag *d)
{
    uint8_t *use = dune_mem_alloc(ds->n_flows, 1);
    int rc;

    for (uint64_t k = 0; k < ds->n_flows; k++)
        use[k] = part[k] == 0;
    rc = cfg->search ? search(out, old, ds, part, cfg, d)
                     : dune_refit(out, old, ds, use, cfg->seed, cfg->threads, d);
    if (rc == 0 && cfg->search)
        dune_retrain_keep(*out, old);
    dune_mem_free(use);
    return rc;
}

int dune_retrain(struct dune_retrained *out, const struct dune_plan *old, const struct dune_dataset *ds,
                 const struct dune_retrain_cfg *cfg, struct dune_diag *d)
{
    uint8_t *part = dune_mem_alloc(ds->n_flows, 1), *later = dune_mem_alloc(ds->n_flows, 1);
    struct dune_plan *candidate = NULL;
    uint64_t n = 0;
    int rc = 0;

    memset(out, 0, sizeof(*out));
    dune_validation_make(ds, part);
    for (uint64_t k = 0; k < ds->n_flows; k++) {
        later[k] = part[k] == 1;
        n += later[k];
    }
    if (n == 0)
        rc = dune_diag_set(d, DUNE_E_INPUT, NULL, "too few train flows to judge a new plan on the later quarter of them");
    if (rc == 0)
        rc = make_candidate(&candidate, old, ds, part, cfg, d);
    if (rc == 0)
        rc = dune_plans_judge(&out->judged, old, candidate, ds, later, cfg->seed, d);
    if (rc == 0)
        rc = dune_refit(&out->plan, candidate, ds, NULL, cfg->seed, cfg->threads, d);
    if (rc == 0) {
        out->plan->generation = candidate->generation;
        out->better = out->judged.gain.lo > 0;
    }
    dune_plan_free(candidate);
    dune_mem_free(part);
    dune_mem_free(later);
    return rc;
}
