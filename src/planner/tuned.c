/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Monoliths in tuned form: each keeps what defines it (its features and when it answers) and gets our
 * search: the same folds, the same knobs as our single device, forward selection among the candidates,
 * and as many candidate evaluations as the planner itself may spend.
 */
#include <string.h>

#include "base/base.h"
#include "dune/solution.h"
#include "planner/planner_int.h"

enum { MAX_RESTARTS = 64 };

/* What makes the baseline what it is. */
struct monolith {
    const struct dune_solution_ops *ops;
    const char *features;
    unsigned n_modes;
    enum dune_mode mode[2];
    unsigned max_n; /* packets that are scored one by one */
    bool by_n;      /* has an inference point to choose */
    bool many_trees;
};

static const struct monolith monoliths[] = {
    /* Every packet by itself, one tree; grown on the labels, not distilled. */
    {&dune_solution_mousika, "pkt", 1, {DUNE_MODE_PACKET}, 15, false, false},
    {&dune_solution_jewel, "all", 2, {DUNE_MODE_RUNNING, DUNE_MODE_PUBLISHED}, 8, true, true},
    {&dune_solution_flowrest, "all", 1, {DUNE_MODE_FLOW}, 8, true, true},
};

struct tuning {
    const struct monolith *m;
    struct dune_search s;
    dune_feature_mask candidates;
    struct dune_chain_spec best;
    double score;
};

enum knob { KNOB_N, KNOB_BALANCE, KNOB_MIN_LEAF, KNOB_MODE, KNOB_TREES, KNOB_SPARE, KNOB_SELECT, N_KNOBS };

static unsigned n_values(const struct tuning *t, enum knob k)
{
    switch (k) {
    case KNOB_N:
        return t->m->by_n ? dune_n_points(t->s.space->max_n) : 0;
    case KNOB_BALANCE:
        return 5;
    case KNOB_MIN_LEAF:
        return 3;
    case KNOB_MODE:
        return t->m->n_modes;
    case KNOB_TREES:
        return t->m->many_trees && t->s.cfg->budget.leaves_sum != 1 ? 2 : 0;
    case KNOB_SPARE:
        return 3;
    default:
        return 2;
    }
}

static void set_knob(const struct tuning *t, struct dune_fit_cfg *c, enum knob k, unsigned i)
{
    static const double min_leaf[] = {0, 1, 3};
    static const uint32_t trees[] = {1, 3};

    switch (k) {
    case KNOB_N:
        c->n = dune_inference_points[i];
        break;
    case KNOB_BALANCE:
        c->balance = 0.25 * i;
        break;
    case KNOB_MIN_LEAF:
        c->min_leaf = min_leaf[i];
        break;
    case KNOB_MODE:
        c->mode = t->m->mode[i];
        break;
    case KNOB_TREES:
        c->n_trees = trees[i];
        c->max_leaves = t->s.cfg->budget.leaves_sum / trees[i];
        break;
    case KNOB_SPARE:
        c->spare = 0.25 * i;
        break;
    default:
        c->select = i ? DUNE_SELECT_WRAP : DUNE_SELECT_RFE;
        break;
    }
}

static int try_cfg(struct tuning *t, const struct dune_fit_cfg *cfg, struct dune_chain_spec *spec,
                   double *score, struct dune_diag *d)
{
    struct dune_chain_spec next = *spec;
    struct dune_f1 f1;
    int rc;

    next.cfg[0] = *cfg;
    rc = dune_search_score(&t->s, &next, &f1, d);
    if (rc == 0 && f1.macro > *score + 1e-9) {
        *spec = next;
        *score = f1.macro;
    }
    return rc;
}

static void keep(struct tuning *t, const struct dune_chain_spec *spec, double score)
{
    if (score > t->score) {
        t->best = *spec;
        t->score = score;
    }
}

/* One knob after the other until a round gains nothing. */
static int descend(struct tuning *t, struct dune_chain_spec *spec, double *score, struct dune_diag *d)
{
    double before;
    int rc = 0;

    do {
        before = *score;
        for (unsigned k = 0; rc == 0 && k < N_KNOBS; k++)
            for (unsigned i = 0; rc == 0 && i < n_values(t, k) && !dune_search_exhausted(&t->s); i++) {
                struct dune_fit_cfg c = spec->cfg[0];

                set_knob(t, &c, k, i);
                rc = try_cfg(t, &c, spec, score, d);
            }
    } while (rc == 0 && *score > before && !dune_search_exhausted(&t->s));
    keep(t, spec, *score);
    return rc;
}

static int forward(struct tuning *t, struct dune_chain_spec *spec, double *score, struct dune_diag *d)
{
    int rc = dune_forward_select(&t->s, t->candidates, spec, score, d);

    keep(t, spec, *score);
    return rc;
}

/* From drawn settings on, as long as evaluations are left. */
static int restart(struct tuning *t, uint64_t round, struct dune_diag *d)
{
    struct dune_chain_spec spec = t->best;
    struct dune_rng rng;
    double score = -1;
    int rc;

    dune_rng_init(&rng, t->s.cfg->seed, UINT64_C(0x74756e6564), round, 0);
    spec.cfg[0].features = t->candidates;
    for (unsigned k = 0; k < N_KNOBS; k++)
        if (n_values(t, k))
            set_knob(t, &spec.cfg[0], k, (unsigned)dune_rng_below(&rng, n_values(t, k)));
    rc = round & 1 ? forward(t, &spec, &score, d) : try_cfg(t, &spec.cfg[0], &spec, &score, d);
    return rc ? rc : descend(t, &spec, &score, d);
}

static int search_settings(struct tuning *t, struct dune_diag *d)
{
    struct dune_chain_spec spec = {.n_blocks = 1, .rule = {.claim = DUNE_CLAIM_FIRST, .early_exit = 256}};
    double score = -1;
    int rc;

    for (unsigned i = 0; i < t->s.n_cls; i++)
        dune_class_set_flip(&spec.block[0], t->s.cls[i]);
    spec.cfg[0] = dune_search_base_cfg(&t->s);
    spec.cfg[0].n = t->m->by_n ? spec.cfg[0].n : 1;
    spec.cfg[0].mode = t->m->mode[0];
    spec.cfg[0].features = t->candidates;
    t->score = -1;
    rc = try_cfg(t, &spec.cfg[0], &spec, &score, d);
    if (rc == 0)
        rc = descend(t, &spec, &score, d);
    if (rc == 0 && !dune_search_exhausted(&t->s)) {
        rc = forward(t, &spec, &score, d);
        if (rc == 0)
            rc = descend(t, &spec, &score, d);
    }
    for (uint64_t r = 0; rc == 0 && r < MAX_RESTARTS && !dune_search_exhausted(&t->s); r++)
        rc = restart(t, r, d);
    return rc;
}

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
    uint8_t member[DUNE_CLASS_WORDS * 64], id = 0;
    struct dune_interval score;
    struct dune_fit *fit = NULL;
    struct dune_f1 f1;
    int rc = dune_search_change_folds(&t->s, d); /* judged like the planner's own choice */

    if (rc == 0)
        rc = dune_search_score(&t->s, &t->best, &f1, d);
    if (rc == 0)
        rc = dune_search_compare(&t->s, &t->best, NULL, &score, d);
    for (unsigned c = 0; c < sizeof(member); c++)
        member[c] = dune_class_set_has(&t->best.block[0], c);
    if (rc == 0)
        rc = dune_fit_train(&fit, t->s.space, &t->best.cfg[0], member, NULL, d);
    if (rc == 0)
        rc = dune_plan_from_fits(&out->plan, t->s.space, &fit, &id, 1, 1, &t->best.rule, &job->cfg.budget,
                                 job->cfg.profile ? job->cfg.profile : "engine", d);
    dune_fit_free(fit);
    if (rc)
        return rc;
    dune_plan_set_name(out->plan, t->m->ops->name);
    out->plan->provenance.solution = dune_mem_strdup(t->m->ops->name);
    dune_plan_set_seed(out->plan, job->cfg.seed);
    out->train_macro = f1.macro;
    out->train_se = score.se;
    out->judged_by = "4-fold cross-validation";
    out->evaluations = dune_cv_n_fits(t->s.other);
    out->notes = notes_of(t);
    return dune_plan_verify(out->plan, d);
}

static int solve_tuned(const struct monolith *m, const struct dune_solution_job *job,
                       struct dune_solution_result *out, struct dune_diag *d)
{
    const struct dune_dataset *ds = m->ops->needs_all_packets && job->all ? job->all : job->ds;
    unsigned max_n = ds->max_n ? DUNE_MIN(ds->max_n, m->max_n) : m->max_n;
    struct tuning t = {.m = m};
    int rc = dune_feature_set_parse(m->features, 0, &t.candidates, d);

    if (rc)
        return rc;
    if (job->cfg.features)
        t.candidates &= job->cfg.features;
    if (!t.candidates)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "%s has none of these features", m->ops->name);
    rc = dune_search_open(&t.s, &job->cfg, ds, max_n, d);
    if (rc == 0 && job->evaluations)
        t.s.max_columns = job->evaluations;
    if (rc == 0)
        rc = search_settings(&t, d);
    if (rc == 0)
        rc = finish(&t, job, out, d);
    dune_search_close(&t.s);
    return rc;
}

int dune_solution_solve(const struct dune_solution_ops *ops, const struct dune_solution_job *job,
                        struct dune_solution_result *out, struct dune_diag *d)
{
    for (size_t i = 0; job->tuned && i < DUNE_ARRAY_LEN(monoliths); i++)
        if (monoliths[i].ops == ops)
            return solve_tuned(&monoliths[i], job, out, d);
    return ops->solve(job, out, d);
}
