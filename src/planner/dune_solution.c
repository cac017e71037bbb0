/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dune: our own planner. Blocks over several devices, best claim wins, everything chosen by grouped
 * cross-validation inside train; one device alone is always a candidate.
 */
#include <limits.h>
#include <string.h>

#include "base/ranks.h"
#include "dune/model.h"
#include "dune/solution.h"
#include "planner/planner_int.h"

enum { N_FOLDS = 4 };

/* The tables that the sub-models of a chain learn from, and soft labels where they are wanted. */
int dune_search_prepare(struct dune_search *s, const struct dune_chain_spec *spec, struct dune_diag *d)
{
    int rc = 0;

    for (unsigned b = 0; rc == 0 && b < spec->n_blocks; b++) {
        rc = dune_space_prepare(s->space, spec->cfg[b].n, spec->cfg[b].mode, d);
        if (rc == 0)
            rc = dune_cv_prepare_soft(s->cv, s->space, &spec->cfg[b], d);
        if (rc == 0 && s->cv != s->searched) /* those of the plan */
            rc = dune_cv_prepare_soft(s->searched, s->space, &spec->cfg[b], d);
    }
    return rc;
}

int dune_search_fit(const struct dune_search *s, const struct dune_chain_spec *spec, unsigned b, struct dune_fit **out,
                    struct dune_diag *d)
{
    const struct dune_fit_cfg *c = &spec->cfg[b];
    uint8_t member[DUNE_CLASS_WORDS * 64];

    for (unsigned i = 0; i < sizeof(member); i++)
        member[i] = dune_class_set_has(&spec->block[b], i);
    return dune_fit_train_soft(out, s->space, c, member, NULL, dune_cv_soft(s->searched, c, UINT_MAX), d);
}

int dune_search_columns(struct dune_search *s, const struct dune_chain_spec *spec,
                        const struct dune_item_answer **col, struct dune_diag *d)
{
    int rc = dune_search_prepare(s, spec, d);

    return rc ? rc : dune_cv_columns(s->cv, spec, col, d);
}

/* Scores that an earlier, interrupted run noted are taken from there: only macro is set then. */
int dune_search_score(struct dune_search *s, const struct dune_chain_spec *spec, struct dune_f1 *f1,
                      struct dune_diag *d)
{
    bool note = s->log && !spec->rule.min_confidence;
    char key[33];
    int rc;

    *f1 = (struct dune_f1){0};
    if (note) {
        dune_search_log_key(spec, s->layout, key);
        if (dune_search_log_find(s->log, key, &f1->macro)) {
            dune_cv_touch(s->cv, spec);
            return 0;
        }
    }
    rc = dune_search_prepare(s, spec, d);
    if (rc == 0)
        rc = dune_cv_score(s->cv, spec, f1, NULL, d);
    if (rc == 0 && note)
        dune_search_log_add(s->log, key, f1->macro);
    return rc;
}

int dune_search_try(struct dune_search *s, const struct dune_chain_spec *next, double min_gain,
                    struct dune_chain_spec *best, double *score, struct dune_diag *d)
{
    struct dune_f1 f1;
    int rc = dune_search_score(s, next, &f1, d);

    if (rc == 0 && f1.macro > *score + min_gain) {
        *best = *next;
        *score = f1.macro;
    }
    return rc;
}

void dune_search_note(struct dune_search *s, const char *what, unsigned n_blocks, double macro)
{
    if (s->n_steps < DUNE_ARRAY_LEN(s->step))
        s->step[s->n_steps++] = (struct dune_step){what, n_blocks, macro};
}

bool dune_search_late(const struct dune_search *s)
{
    return s->until_ns && dune_now_ns() > s->until_ns;
}

bool dune_search_exhausted(const struct dune_search *s)
{
    uint64_t n = dune_search_evaluations(s);

    if (s->max_evaluations ? n >= s->max_evaluations : dune_cv_work(s->searched) >= s->max_work * DUNE_WORK_COLUMN)
        return true;
    return dune_search_late(s);
}

uint64_t dune_search_evaluations(const struct dune_search *s)
{
    return dune_cv_n_fits(s->searched);
}

struct dune_fit_cfg dune_search_base_cfg(const struct dune_search *s)
{
    const struct dune_planner_cfg *cfg = s->cfg;
    unsigned n = DUNE_MIN(3, s->space->max_n);

    return (struct dune_fit_cfg){
        .n = n, .mode = DUNE_MODE_RUNNING, .features = s->candidates,
        .max_features = s->budget[0].features_distinct, .n_trees = 1,
        .max_leaves = s->budget[0].leaves_sum, .balance = 0.5, .other_weight = 0.5, .leaf_other = 1,
        .smooth = 0.1, .min_leaf = 0, .seed = cfg->seed};
}

void dune_search_init_spec(const struct dune_search *s, struct dune_chain_spec *spec, unsigned k,
                           const struct dune_fit_cfg *cfg)
{
    memset(spec, 0, sizeof(*spec));
    spec->n_blocks = k;
    for (unsigned b = 0; b < k; b++) {
        spec->cfg[b] = *cfg;
        spec->cfg[b].max_features = s->budget[b].features_distinct;
        spec->cfg[b].max_leaves = s->budget[b].leaves_sum / DUNE_MAX(cfg->n_trees, 1);
    }
    spec->rule = (struct dune_chain_rule){.claim = DUNE_CLAIM_BEST, .fallback = DUNE_FALLBACK_NONE,
                                          .early_exit = 256};
}

/* Columns that may be fitted: by effort, fewer on data so large that a column takes long. */
static uint64_t work_limit(const struct dune_search *s)
{
    static const uint64_t columns[] = {150, 700, 3000};
    uint64_t at_ease = 40000, n = columns[s->cfg->effort];

    if (s->space->n_items > at_ease)
        n = DUNE_MAX(n * at_ease / s->space->n_items, n / 10);
    return n;
}

/* A layout of the folds per seed; 0: in order of time. */
static int make_folds(const struct dune_search *s, uint64_t seed, struct dune_cv **out, struct dune_diag *d)
{
    const struct dune_dataset *ds = s->space->ds;
    uint8_t *fold = dune_mem_alloc(ds->n_flows, 1), *mine = dune_mem_alloc(s->space->n_flows, 1);
    int rc;

    dune_folds_make(ds, N_FOLDS, seed, fold);
    for (uint32_t k = 0; k < s->space->n_flows; k++)
        mine[k] = fold[s->space->flow[k]];
    rc = dune_cv_new(out, s->space, mine, N_FOLDS, d);
    if (rc == 0)
        dune_cv_listen(*out, dune_advice_told(s->advice));
    dune_mem_free(fold);
    dune_mem_free(mine);
    return rc;
}

/* Does device a hold more than b? 0 is no limit. */
static bool larger(const struct dune_plan_device *a, const struct dune_plan_device *b)
{
    uint32_t la = a->budget.leaves_sum - 1, lb = b->budget.leaves_sum - 1; /* no limit: the largest */
    uint32_t fa = a->budget.features_distinct - 1, fb = b->budget.features_distinct - 1;

    return la != lb ? la > lb : fa > fb;
}

static bool is_engine(const char *profile)
{
    return !profile || strcmp(profile, "engine") == 0;
}

/* Block b lives on the b-th largest device; only the reference engine carries votes. */
static void list_devices(struct dune_search *s)
{
    const struct dune_planner_cfg *cfg = s->cfg;
    const struct dune_plan_device *dev = cfg->device;

    s->n_devices = DUNE_MIN(cfg->devices, DUNE_MAX_BLOCKS);
    s->votes = dev || is_engine(cfg->profile);
    for (unsigned i = 0; i < DUNE_MAX_BLOCKS; i++) {
        unsigned at = i;

        s->budget[i] = cfg->budget;
        s->device[i] = i;
        if (!dev || i >= s->n_devices)
            continue;
        s->votes &= is_engine(dev[i].profile);
        s->mixed |= larger(&dev[i], &dev[0]) || larger(&dev[0], &dev[i]);
        for (; at > 0 && larger(&dev[i], &dev[s->device[at - 1]]); at--)
            s->device[at] = s->device[at - 1];
        s->device[at] = i;
    }
    for (unsigned i = 0; dev && i < s->n_devices; i++)
        s->budget[i] = dev[s->device[i]].budget;
}

/* What scores depend on besides the chain: the rows, the seed of the folds, the packets looked at, the teacher. */
static int open_log(struct dune_search *s, const struct dune_dataset *ds, struct dune_diag *d)
{
    const struct dune_told *told = dune_advice_told(s->advice);
    char *identity;
    int rc;

    if (!s->cfg->log)
        return 0;
    identity = dune_mem_printf("%s seed %llu packets %u flows %u%s%.0llx", ds->hash, (unsigned long long)s->cfg->seed,
                               s->space->max_n, s->space->n_flows, told ? " taught " : "",
                               told ? (unsigned long long)dune_told_hash(told, ds) : 0);
    rc = dune_search_log_open(&s->log, s->cfg->log, identity, d);
    dune_mem_free(identity);
    return rc;
}

int dune_search_open(struct dune_search *s, const struct dune_planner_cfg *cfg, const struct dune_dataset *ds,
                     unsigned max_n, struct dune_diag *d)
{
    int rc;

    memset(s, 0, sizeof(*s));
    s->cfg = cfg;
    if (cfg->time_limit_s > 0 && dune_ranks_n() > 1)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "several processes cannot agree on a limit of time: leave it out");
    if (cfg->time_limit_s > 0)
        s->until_ns = dune_now_ns() + (uint64_t)(cfg->time_limit_s * 1e9);
    list_devices(s);
    rc = dune_search_sample(s, ds, max_n, d);
    if (rc)
        return rc;
    s->n_cls = dune_present_classes(s->space, s->cls);
    s->max_work = work_limit(s);
    s->candidates = cfg->features;
    if (!s->candidates)
        rc = dune_feature_set_parse("all", 0, &s->candidates, d);
    if (rc == 0)
        rc = make_folds(s, cfg->seed ? cfg->seed : 1, &s->searched, d);
    if (rc == 0)
        rc = dune_advice_take(s, d);
    if (rc == 0)
        rc = open_log(s, ds, d);
    s->cv = s->searched;
    return rc;
}

/* Captures that lie one after the other make folds along time; flows of few captures would make four long
 * blocks, harder than any later traffic. */
static bool has_order(const struct dune_search *s)
{
    const struct dune_dataset *ds = s->space->ds;
    uint8_t *seen = dune_mem_zalloc(ds->n_captures, 1);
    unsigned n = 0;

    for (uint32_t k = 0; k < s->space->n_flows; k++) {
        n += !seen[ds->flow_capture[s->space->flow[k]]];
        seen[ds->flow_capture[s->space->flow[k]]] = 1;
    }
    dune_mem_free(seen);
    return n >= N_FOLDS;
}

unsigned dune_search_n_judges(const struct dune_search *s)
{
    return s->cfg->time_limit_s > 0 ? 1 : DUNE_JUDGES;
}

int dune_search_change_folds(struct dune_search *s, unsigned layout, struct dune_diag *d)
{
    struct dune_cv **to = layout ? &s->judge[layout - 1] : &s->searched;

    if (!*to) {
        uint64_t seed = (s->cfg->seed ? s->cfg->seed : 1) + 1000 * (uint64_t)layout;
        int rc = make_folds(s, layout == DUNE_JUDGES && has_order(s) ? 0 : seed, to, d);

        if (rc)
            return rc;
    }
    s->cv = *to;
    s->layout = layout;
    return 0;
}

void dune_search_close(struct dune_search *s)
{
    dune_cv_free(s->searched);
    for (unsigned i = 0; i < DUNE_JUDGES; i++)
        dune_cv_free(s->judge[i]);
    dune_advice_free(s->advice);
    dune_space_free(s->space);
    dune_search_log_close(s->log);
}

/* The devices are those that were given; a sub-model sits where its block does. */
static int put_devices(const struct dune_search *s, struct dune_plan *p, struct dune_diag *d)
{
    const struct dune_plan_device *dev = s->cfg->device;

    if (!dev)
        return 0;
    if (p->n_submodels > s->n_devices)
        return dune_diag_set(d, DUNE_E_INTERNAL, NULL, "more sub-models than devices");
    for (uint32_t i = 0; i < p->n_devices; i++) {
        dune_mem_free(p->device[i].name);
        dune_mem_free(p->device[i].profile);
    }
    p->n_devices = s->n_devices;
    p->device = dune_mem_realloc(p->device, p->n_devices, sizeof(*p->device));
    for (uint32_t i = 0; i < p->n_devices; i++)
        p->device[i] = (struct dune_plan_device){.name = dune_mem_strdup(dev[i].name), .budget = dev[i].budget,
                                                 .profile = dune_mem_strdup(dev[i].profile)};
    for (uint32_t i = 0; i < p->n_devices; i++)
        if (dune_profile_find(dev[i].profile))
            dune_plan_retarget(p, dune_profile_find(dev[i].profile), 2);
    return 0;
}

/* Blocks in the order of their devices: block order[i] is the i-th of the chain. */
static void chain_order(const struct dune_search *s, unsigned n, unsigned *order)
{
    for (unsigned i = 0; i < n; i++) {
        unsigned at = i;

        for (; at > 0 && s->device[order[at - 1]] > s->device[i]; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

static int finish(const struct dune_search *s, const struct dune_solution_job *job, const struct dune_chain_spec *spec,
                  struct dune_solution_result *out, struct dune_diag *d)
{
    const struct dune_chain_spec planned = dune_search_as_planned(s, spec); /* soft labels come in here */
    unsigned order[DUNE_MAX_BLOCKS];
    int rc;

    chain_order(s, spec->n_blocks, order);
    rc = dune_search_plan(s, &planned, order, job, &out->plan, d);
    if (rc == 0)
        rc = put_devices(s, out->plan, d);
    if (rc)
        return rc;
    for (unsigned i = 0; s->cfg->device && i < spec->n_blocks; i++)
        out->plan->sub[i].device = (uint16_t)s->device[order[i]];
    dune_plan_set_name(out->plan, "dune");
    out->plan->provenance.solution = dune_mem_strdup("dune");
    dune_plan_set_seed(out->plan, job->cfg.seed);
    return dune_plan_verify(out->plan, d);
}

/* One device, then what several make of it. */
static int judge_all(struct dune_search *s, struct dune_choice *c, struct dune_variants *found, struct dune_diag *d)
{
    int rc;

    s->n_candidates = 0;
    memset(c, 0, sizeof(*c));
    rc = dune_choice_start(s, c, &found[0], d);
    if (rc == 0 && found[1].n)
        rc = dune_choice_challenge(s, c, "blocks", &found[1], NULL, d);
    if (rc == 0 && found[2].n)
        rc = dune_choice_challenge(s, c, "votes", &found[2],
                                   s->votes ? NULL : "only the engine carries votes: scored for comparison", d);
    return rc;
}

/* One device it is: then that is worth as many evaluations again, so that a tuned baseline, which gets as many as the
 * planner spent, finds nothing better. What was found before stays a variant. */
static int search_on(struct dune_search *s, const struct dune_choice *c, struct dune_variants *one, struct dune_diag *d)
{
    int rc = dune_search_change_folds(s, 0, d);

    s->max_evaluations = 2 * dune_search_evaluations(s);
    if (rc == 0)
        rc = dune_plan_one(s, &dune_monolith_any, s->candidates, true, one, d);
    if (rc == 0)
        rc = dune_variants_add(s, one, "first search", &c->one, -1, d);
    s->max_evaluations = 0;
    return rc;
}

/* Single devices, blocks and votes are all found on the same folds; then the judges see them. */
static int choose_chain(struct dune_search *s, const struct dune_solution_job *job, struct dune_choice *c,
                        struct dune_diag *d)
{
    struct dune_variants *found = DUNE_NEW_N(struct dune_variants, 3);
    bool several = s->n_devices > 1 && s->n_cls > 1;
    uint64_t limit = s->max_work;
    int rc;

    s->max_work = limit / 2;
    rc = dune_plan_one(s, &dune_monolith_any, s->candidates, false, &found[0], d);
    s->max_work = dune_cv_work(s->searched) / DUNE_WORK_COLUMN + limit * 3 / 4;
    if (rc == 0 && several)
        rc = dune_plan_blocks(s, &found[0].spec[dune_variants_best(&found[0])], DUNE_MIN(s->n_devices, s->n_cls),
                              &found[1], d);
    if (rc == 0 && several && !dune_search_late(s))
        rc = dune_plan_votes(s, job, &found[2], d);
    if (rc == 0)
        rc = judge_all(s, c, found, d);
    if (rc == 0 && c->spec.n_blocks == 1 && !s->until_ns && s->cfg->distil != DUNE_DISTIL_MODEL) {
        rc = search_on(s, c, &found[0], d);
        if (rc == 0)
            rc = judge_all(s, c, found, d);
    }
    dune_mem_free(found);
    return rc;
}

/* Thresholds where they are wanted, the plan, and the notes. */
static int conclude(struct dune_search *s, const struct dune_solution_job *job, struct dune_chain_spec *chosen,
                    const struct dune_chain_spec *one, struct dune_solution_result *out, struct dune_diag *d)
{
    uint8_t bar[DUNE_CLASS_WORDS * 64 + 1];
    struct dune_saving saving;
    struct dune_buf notes = {0};
    struct dune_f1 f1;
    int rc = dune_search_prepare(s, chosen, d);

    if (rc == 0 && job->cfg.want_precision > 0) {
        rc = dune_search_thresholds(s, chosen, 255, job->cfg.want_precision, bar, NULL, d);
        chosen->rule.min_confidence = bar;
    }
    if (rc == 0)
        rc = dune_search_save_work(s, chosen, &saving, d);
    if (rc == 0)
        rc = dune_search_score(s, chosen, &f1, d);
    if (rc == 0)
        out->train_macro = f1.macro;
    if (rc == 0)
        rc = finish(s, job, chosen, out, d);
    if (rc == 0)
        rc = dune_search_explain(s, chosen, one, &saving, &notes, d);
    if (rc)
        dune_buf_fini(&notes);
    chosen->rule.min_confidence = NULL; /* the plan has its own */
    out->notes = notes.data; /* yours from here on */
    return rc;
}

static int solve_dune(const struct dune_solution_job *job, struct dune_solution_result *out, struct dune_diag *d)
{
    struct dune_search s;
    struct dune_choice c;
    unsigned max_n = job->ds->max_n ? DUNE_MIN(job->ds->max_n, 8) : 8;
    int rc = dune_search_open(&s, &job->cfg, job->ds, max_n, d);

    memset(&c, 0, sizeof(c));
    if (rc == 0)
        rc = choose_chain(&s, job, &c, d);
    if (rc == 0) {
        s.rival = c.rival_score > 0 ? &c.rival : NULL;
        out->judged_by = "4-fold cross-validation";
        out->evaluations = dune_search_evaluations(&s);
        rc = conclude(&s, job, &c.spec, &c.one, out, d);
    }
    dune_search_close(&s);
    return rc;
}

const struct dune_solution_ops dune_solution_dune = {
    .name = "dune",
    .summary = "blocks chosen by cross-validation, best claim wins",
    .solve = solve_dune,
};
