/* SPDX-License-Identifier: Apache-2.0 */
/* What the baselines share: spaces, the validation split as masks, finishing a plan, the end of a result. */
#include "baselines/baselines_int.h"

#include <string.h>

#include "base/base.h"

int dune_baseline_open(struct dune_baseline *b, const struct dune_solution_job *job,
                       const struct dune_dataset *ds, unsigned max_n, struct dune_diag *d)
{
    int rc;

    memset(b, 0, sizeof(*b));
    b->job = job;
    rc = dune_space_new(&b->space, ds, DUNE_SPLIT_TRAIN, NULL, max_n, job->cfg.threads, d);
    if (rc)
        return rc;
    b->train = DUNE_NEW_N(uint8_t, b->space->n_flows);
    b->valid = DUNE_NEW_N(uint8_t, b->space->n_flows);
    b->block = DUNE_NEW_N(uint8_t, ds->n_classes);
    for (uint32_t k = 0; k < b->space->n_flows; k++) /* classes that only test has cannot be learnt */
        b->block[ds->flow_class[b->space->flow[k]]] = 1;
    dune_space_validation(b->space, b->train, b->valid);
    return 0;
}

void dune_baseline_close(struct dune_baseline *b)
{
    dune_space_free(b->space);
    dune_mem_free(b->train);
    dune_mem_free(b->valid);
    dune_mem_free(b->block);
    memset(b, 0, sizeof(*b));
}

double dune_baseline_macro(const struct dune_baseline *b, const struct dune_item_answer *const *col,
                           unsigned n_sub, const struct dune_chain_rule *rule, const uint8_t *mask)
{
    uint8_t id[DUNE_MAX_SUBMODELS];
    struct dune_confusion c;
    double macro;

    for (unsigned i = 0; i < DUNE_MAX_SUBMODELS; i++)
        id[i] = (uint8_t)i;
    dune_confusion_init(&c, b->space->n_classes);
    dune_chain_confusion(b->space, col, id, n_sub, rule, mask, false, &c);
    macro = dune_f1_score(&c, DUNE_WEIGHT_ONE, NULL).macro;
    dune_confusion_fini(&c);
    return macro;
}

dune_feature_mask dune_baseline_features(const struct dune_solution_job *job, const char *set,
                                         unsigned max_k)
{
    dune_feature_mask m = 0;

    if (dune_feature_set_parse(set, max_k, &m, NULL) != 0)
        m = 0;
    return job->cfg.features ? m & job->cfg.features : m;
}

int dune_baseline_finish(const struct dune_baseline *b, struct dune_fit *const *fit, const uint8_t *id,
                         unsigned n_fits, const struct dune_chain_rule *rule, const char *name,
                         struct dune_solution_result *out, struct dune_diag *d)
{
    const struct dune_planner_cfg *cfg = &b->job->cfg;
    int rc = dune_plan_from_fits(&out->plan, b->space, fit, id, n_fits, n_fits ? n_fits : cfg->devices, rule, &cfg->budget,
                                 cfg->profile ? cfg->profile : "engine", d);

    if (rc)
        return rc;
    dune_plan_set_name(out->plan, name);
    out->plan->provenance.solution = dune_mem_strdup(name);
    dune_plan_set_seed(out->plan, cfg->seed);
    return dune_plan_verify(out->plan, d);
}

void dune_solution_result_fini(struct dune_solution_result *r)
{
    dune_plan_free(r->plan);
    dune_mem_free(r->notes);
    memset(r, 0, sizeof(*r));
}
