/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Monoliths in tuned form: each keeps what defines it (its features and when it answers) and gets our
 * search: the same folds and judges, the same knobs and ways to find features as our single device, and as
 * many candidate evaluations as the planner itself may spend.
 */
#include "base/base.h"
#include "dune/solution.h"
#include "planner/planner_int.h"

/* Mousika answers every packet by itself with one tree; here it is grown on the labels, not distilled. */
static const struct dune_monolith monoliths[] = {
    {&dune_solution_mousika, "pkt", 1, {DUNE_MODE_PACKET}, 15, false, false},
    {&dune_solution_jewel, "all", 2, {DUNE_MODE_RUNNING, DUNE_MODE_PUBLISHED}, 8, true, true},
    {&dune_solution_flowrest, "all", 1, {DUNE_MODE_FLOW}, 8, true, true},
};

struct tuning {
    const struct dune_monolith *m;
    struct dune_search s;
    struct dune_chain_spec best;
    double macro;
};

static char *notes_of(const struct tuning *t)
{
    struct dune_buf b = {0};
    struct dune_jsonw w;

    dune_jsonw_init(&w, &b);
    dune_jsonw_obj(&w);
    dune_jsonw_key(&w, "form");
    dune_jsonw_str(&w, "tuned");
    dune_notes_settings(&w, &t->best.cfg[0]);
    dune_jsonw_key(&w, "candidates");
    dune_jsonw_arr_inline(&w);
    for (int j = 0; j < DUNE_N_FEATURES; j++)
        if (t->best.cfg[0].features >> j & 1)
            dune_jsonw_str(&w, dune_catalog[j].name);
    dune_jsonw_end(&w);
    dune_jsonw_end(&w);
    return b.data;
}

static int finish(struct tuning *t, const struct dune_solution_job *job, struct dune_solution_result *out,
                  struct dune_diag *d)
{
    struct dune_chain_spec alone = t->best;
    struct dune_interval score;
    int rc = dune_search_compare(&t->s, &t->best, NULL, &score, d);

    alone.rule = (struct dune_chain_rule){.claim = DUNE_CLAIM_FIRST, .early_exit = 256};
    if (rc == 0)
        rc = dune_search_plan(&t->s, &alone, (const unsigned[]){0}, job, &out->plan, d);
    if (rc)
        return rc;
    dune_plan_set_name(out->plan, t->m->ops->name);
    out->plan->provenance.solution = dune_mem_strdup(t->m->ops->name);
    dune_plan_set_seed(out->plan, job->cfg.seed);
    out->train_macro = t->macro;
    out->train_se = score.se;
    out->judged_by = "4-fold cross-validation";
    out->evaluations = dune_search_evaluations(&t->s);
    out->notes = notes_of(t);
    return dune_plan_verify(out->plan, d);
}

static int solve_tuned(const struct dune_monolith *m, const struct dune_solution_job *job,
                       struct dune_solution_result *out, struct dune_diag *d)
{
    const struct dune_dataset *ds = m->ops->needs_all_packets && job->all ? job->all : job->ds;
    unsigned max_n = ds->max_n ? DUNE_MIN(ds->max_n, m->max_n) : m->max_n;
    struct tuning t = {.m = m};
    struct dune_variants found;
    dune_feature_mask candidates;
    int rc = dune_feature_set_parse(m->features, 0, &candidates, d);

    if (rc)
        return rc;
    if (job->cfg.features)
        candidates &= job->cfg.features;
    if (!candidates)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "%s has none of these features", m->ops->name);
    rc = dune_search_open(&t.s, &job->cfg, ds, max_n, d);
    if (rc == 0)
        t.s.max_evaluations = job->evaluations;
    if (rc == 0)
        rc = dune_plan_one(&t.s, m, candidates, true, &found, d);
    if (rc == 0)
        rc = dune_variants_pick(&t.s, &found, &t.best, &t.macro, d); /* like the planner's own choice */
    if (rc == 0)
        rc = finish(&t, job, out, d);
    dune_search_close(&t.s);
    return rc;
}

int dune_solution_solve(const struct dune_solution_ops *ops, const struct dune_solution_job *job,
                        struct dune_solution_result *out, struct dune_diag *d)
{
    bool takes_model = ops == &dune_solution_dune || ops == &dune_solution_dune_paper;

    if (job->cfg.model && !takes_model)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "%s has no use for an unconstrained model: dune and dune-paper have",
                             ops->name);
    if (job->cfg.distil != DUNE_DISTIL_AUTO && ops != &dune_solution_dune)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "%s learns the labels as they are: soft labels are for dune", ops->name);
    for (size_t i = 0; job->tuned && i < DUNE_ARRAY_LEN(monoliths); i++)
        if (monoliths[i].ops == ops)
            return solve_tuned(&monoliths[i], job, out, d);
    return ops->solve(job, out, d);
}
