/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dune: our own planner. Blocks over several devices, best claim wins, everything chosen by grouped
 * cross-validation inside train; one device alone is always a candidate.
 */
#include <string.h>

#include "base/base.h"
#include "dune/solution.h"
#include "planner/planner_int.h"

enum { N_FOLDS = 4, MAX_STARTS = 12 };

int dune_search_score(struct dune_search *s, const struct dune_chain_spec *spec, struct dune_f1 *f1,
                      struct dune_diag *d)
{
    for (unsigned b = 0; b < spec->n_blocks; b++) {
        int rc = dune_space_prepare(s->space, spec->cfg[b].n, spec->cfg[b].mode, d);

        if (rc)
            return rc;
    }
    return dune_cv_score(s->cv, spec, f1, NULL, d);
}

bool dune_search_exhausted(const struct dune_search *s)
{
    return dune_cv_n_fits(s->cv) >= s->max_columns;
}

struct dune_fit_cfg dune_search_base_cfg(const struct dune_search *s)
{
    const struct dune_planner_cfg *cfg = s->cfg;
    unsigned n = DUNE_MIN(3, s->space->max_n);
    dune_feature_mask all = 0;

    if (dune_feature_set_parse("all", 0, &all, NULL) != 0)
        all = 0;
    return (struct dune_fit_cfg){
        .n = n, .mode = DUNE_MODE_RUNNING, .features = cfg->features ? cfg->features : all,
        .max_features = cfg->budget.features_distinct, .n_trees = 1,
        .max_leaves = cfg->budget.leaves_sum, .balance = 0.5, .other_weight = 0.5, .leaf_other = 1,
        .smooth = 0.1, .min_leaf = 0, .seed = cfg->seed};
}

static void init_spec(struct dune_chain_spec *spec, unsigned k, const struct dune_fit_cfg *cfg)
{
    memset(spec, 0, sizeof(*spec));
    spec->n_blocks = k;
    for (unsigned b = 0; b < k; b++)
        spec->cfg[b] = *cfg;
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

/* A layout of the folds per seed. */
static int make_folds(const struct dune_search *s, uint64_t seed, struct dune_cv **out, struct dune_diag *d)
{
    const struct dune_dataset *ds = s->space->ds;
    uint8_t *fold = dune_mem_alloc(ds->n_flows, 1), *mine = dune_mem_alloc(s->space->n_flows, 1);
    int rc;

    dune_folds_make(ds, N_FOLDS, seed ? seed : 1, fold);
    for (uint32_t k = 0; k < s->space->n_flows; k++)
        mine[k] = fold[s->space->flow[k]];
    rc = dune_cv_new(out, s->space, mine, N_FOLDS, d);
    dune_mem_free(fold);
    dune_mem_free(mine);
    return rc;
}

int dune_search_open(struct dune_search *s, const struct dune_planner_cfg *cfg, const struct dune_dataset *ds,
                     unsigned max_n, struct dune_diag *d)
{
    int rc;

    memset(s, 0, sizeof(*s));
    s->cfg = cfg;
    rc = dune_space_new(&s->space, ds, DUNE_SPLIT_TRAIN, NULL, max_n, cfg->threads, d);
    if (rc)
        return rc;
    s->n_cls = dune_present_classes(s->space, s->cls);
    s->max_columns = work_limit(s);
    return make_folds(s, cfg->seed, &s->cv, d);
}

int dune_search_change_folds(struct dune_search *s, struct dune_diag *d)
{
    struct dune_cv *searched = s->cv;

    if (!s->other) {
        int rc = make_folds(s, s->cfg->seed + 1000, &s->other, d);

        if (rc)
            return rc;
    }
    s->cv = s->other;
    s->other = searched;
    return 0;
}

void dune_search_close(struct dune_search *s)
{
    dune_cv_free(s->cv);
    dune_cv_free(s->other);
    dune_space_free(s->space);
}

/* The last features of every block are chosen by regrowing without each of them: dearer and better than
 * by impurity alone, so it comes after the blocks and settings are found. */
static int refine_features(struct dune_search *s, struct dune_chain_spec *spec, double *score,
                           struct dune_diag *d)
{
    struct dune_chain_spec next = *spec;
    struct dune_f1 f1;
    int rc;

    for (unsigned b = 0; b < next.n_blocks; b++)
        next.cfg[b].select = DUNE_SELECT_WRAP;
    rc = dune_search_score(s, &next, &f1, d);
    if (rc == 0 && f1.macro > *score) {
        *spec = next;
        *score = f1.macro;
    }
    return rc;
}

static int choose_fallback(struct dune_search *s, struct dune_chain_spec *spec, double *score,
                           struct dune_diag *d)
{
    struct dune_chain_spec next = *spec;
    struct dune_f1 f1;
    int rc;

    next.rule.fallback = DUNE_FALLBACK_BEST;
    rc = dune_search_score(s, &next, &f1, d);
    if (rc == 0 && f1.macro > *score) {
        *spec = next;
        *score = f1.macro;
    }
    return rc;
}

/* The best single device. */
static int plan_one(struct dune_search *s, struct dune_chain_spec *spec, double *score, struct dune_diag *d)
{
    struct dune_fit_cfg cfg = dune_search_base_cfg(s);
    int rc;

    init_spec(spec, 1, &cfg);
    for (unsigned i = 0; i < s->n_cls; i++)
        dune_class_set_flip(&spec->block[0], s->cls[i]);
    rc = dune_tune_common(s, spec, score, 2, d);
    return rc ? rc : refine_features(s, spec, score, d);
}

/* Out-of-fold confusion of a chain, for the confusion-driven starts. */
static int confusion_of(struct dune_search *s, const struct dune_chain_spec *spec, struct dune_confusion *c,
                        struct dune_diag *d)
{
    const struct dune_item_answer *col[DUNE_MAX_BLOCKS];
    uint8_t id[DUNE_MAX_BLOCKS];
    int rc = dune_cv_columns(s->cv, spec, col, d);

    for (unsigned b = 0; b < DUNE_MAX_BLOCKS; b++)
        id[b] = (uint8_t)b;
    dune_confusion_init(c, s->space->n_classes);
    if (rc == 0)
        dune_chain_confusion(s->space, col, id, spec->n_blocks, &spec->rule, dune_cv_scored(s->cv), false, c);
    return rc;
}

/* Partition starts for k blocks: confused together, apart, then random ones. */
static void make_start(struct dune_search *s, const struct dune_confusion *conf, unsigned i,
                       struct dune_chain_spec *spec)
{
    if (i < 2)
        dune_partition_confused(conf, s->cls, s->n_cls, spec->n_blocks, i == 0, spec->block);
    else
        dune_partition_random(s->cls, s->n_cls, spec->n_blocks, s->cfg->seed + i, spec->block);
}

/* The best of the first starts for k blocks with the settings of `like`. */
static int best_start(struct dune_search *s, const struct dune_confusion *conf, unsigned k, unsigned n_starts,
                      const struct dune_chain_spec *like, struct dune_chain_spec *best, double *score,
                      struct dune_diag *d)
{
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < n_starts; i++) {
        struct dune_chain_spec spec = *like;
        struct dune_f1 f1;

        init_spec(&spec, k, &like->cfg[0]);
        spec.rule = like->rule;
        make_start(s, conf, i, &spec);
        rc = dune_search_score(s, &spec, &f1, d);
        if (rc == 0 && f1.macro > *score) {
            *best = spec;
            *score = f1.macro;
        }
    }
    return rc;
}

/*
 * Settings on one random partition, then starts for every number of blocks, then moves of classes on the
 * best of them, then the features, the fallback, and settings block by block.
 */
static int plan_blocks(struct dune_search *s, const struct dune_chain_spec *one, unsigned k,
                       struct dune_chain_spec *best, double *score, struct dune_diag *d)
{
    static const unsigned n_starts[] = {3, 6, MAX_STARTS};
    struct dune_confusion conf;
    struct dune_chain_spec tuned;
    struct dune_fit_cfg cfg = dune_search_base_cfg(s);
    int rc = confusion_of(s, one, &conf, d);

    *score = -1;
    init_spec(&tuned, k, &cfg);
    if (rc == 0) {
        make_start(s, &conf, 2, &tuned);
        rc = dune_tune_common(s, &tuned, score, 1, d);
        *best = tuned;
    }
    for (unsigned b = k; rc == 0 && b >= 2; b--)
        rc = best_start(s, &conf, b, b == k ? n_starts[s->cfg->effort] : 2, &tuned, best, score, d);
    if (rc == 0)
        rc = dune_local_search(s, best, score, 2000, k, d);
    if (rc == 0)
        rc = refine_features(s, best, score, d);
    if (rc == 0)
        rc = choose_fallback(s, best, score, d);
    dune_confusion_fini(&conf);
    return rc;
}

static int finish(struct dune_search *s, const struct dune_solution_job *job, const struct dune_chain_spec *spec,
                  struct dune_solution_result *out, struct dune_diag *d)
{
    struct dune_fit *fit[DUNE_MAX_BLOCKS] = {0};
    uint8_t id[DUNE_MAX_BLOCKS];
    int rc = 0;

    for (unsigned b = 0; rc == 0 && b < spec->n_blocks; b++) {
        uint8_t member[DUNE_CLASS_WORDS * 64];

        for (unsigned c = 0; c < sizeof(member); c++)
            member[c] = dune_class_set_has(&spec->block[b], c);
        id[b] = (uint8_t)b;
        rc = dune_fit_train(&fit[b], s->space, &spec->cfg[b], member, NULL, d);
    }
    if (rc == 0)
        rc = dune_plan_from_fits(&out->plan, s->space, fit, id, spec->n_blocks, spec->n_blocks, &spec->rule,
                                 &job->cfg.budget,
                                 job->cfg.profile ? job->cfg.profile : "engine", d);
    for (unsigned b = 0; b < spec->n_blocks; b++)
        dune_fit_free(fit[b]);
    if (rc)
        return rc;
    dune_plan_set_name(out->plan, "dune");
    out->plan->provenance.solution = dune_mem_strdup("dune");
    dune_plan_set_seed(out->plan, job->cfg.seed);
    return dune_plan_verify(out->plan, d);
}

/* The choice so far, with its score on the judging folds. */
struct choice {
    struct dune_chain_spec one, spec;
    double score;
    struct dune_chain_spec rival; /* the best chain that was tried, taken or not */
    double rival_score;
};

/* A rival replaces the choice only when its paired gain exceeds two standard errors. */
static int challenge(struct dune_search *s, struct choice *c, const struct dune_chain_spec *rival,
                     struct dune_diag *d)
{
    struct dune_interval gain = {0};
    struct dune_f1 f1;
    int rc = dune_search_score(s, rival, &f1, d);

    if (rc == 0 && f1.macro > c->rival_score) {
        c->rival = *rival;
        c->rival_score = f1.macro;
    }
    if (rc == 0)
        rc = dune_search_compare(s, rival, &c->spec, &gain, d);
    if (rc == 0 && f1.macro > c->score && gain.mean > 2 * gain.se) {
        c->spec = *rival;
        c->score = f1.macro;
    }
    return rc;
}

/* Judges on folds that the search has not seen: the best of many candidates looks better on the folds
 * it was chosen on than it is. From here on all scores are of these folds. */
static int judge(struct dune_search *s, struct choice *c, const struct dune_chain_spec *rival, unsigned n,
                 struct dune_diag *d)
{
    struct dune_f1 f1;
    int rc = dune_search_change_folds(s, d);

    if (rc == 0)
        rc = dune_search_score(s, &c->spec, &f1, d);
    c->score = rc ? 0 : f1.macro;
    for (unsigned i = 0; rc == 0 && i < n; i++)
        rc = challenge(s, c, &rival[i], d);
    return rc;
}

static int choose_chain(struct dune_search *s, struct choice *c, struct dune_diag *d)
{
    unsigned k = DUNE_MIN(s->cfg->devices, DUNE_MAX_BLOCKS), n = 0;
    struct dune_chain_spec rival[2];
    double score;
    int rc = plan_one(s, &c->one, &score, d);

    c->spec = c->one;
    if (rc == 0 && k > 1 && s->n_cls > 1) {
        rc = plan_blocks(s, &c->one, DUNE_MIN(k, s->n_cls), &rival[n++], &score, d);
        /* only the reference engine carries votes */
        if (rc == 0 && (!s->cfg->profile || strcmp(s->cfg->profile, "engine") == 0))
            rc = dune_plan_votes(s, &c->one, k, &rival[n++], &score, d);
    }
    return rc ? rc : judge(s, c, rival, n, d);
}

/* Thresholds where they are wanted, the plan, and the notes. */
static int conclude(struct dune_search *s, const struct dune_solution_job *job, struct dune_chain_spec *chosen,
                    const struct dune_chain_spec *one, struct dune_solution_result *out, struct dune_diag *d)
{
    uint8_t bar[DUNE_CLASS_WORDS * 64 + 1];
    struct dune_buf notes = {0};
    int rc = 0;

    if (job->cfg.want_precision > 0) {
        struct dune_f1 f1;

        rc = dune_search_thresholds(s, chosen, 255, job->cfg.want_precision, bar, NULL, d);
        chosen->rule.min_confidence = bar;
        if (rc == 0)
            rc = dune_search_score(s, chosen, &f1, d);
        if (rc == 0)
            out->train_macro = f1.macro;
    }
    if (rc == 0)
        rc = finish(s, job, chosen, out, d);
    if (rc == 0)
        rc = dune_search_explain(s, chosen, one, &notes, d);
    if (rc)
        dune_buf_fini(&notes);
    out->notes = notes.data; /* yours from here on */
    return rc;
}

static int solve_dune(const struct dune_solution_job *job, struct dune_solution_result *out, struct dune_diag *d)
{
    struct dune_search s;
    struct choice c;
    unsigned max_n = job->ds->max_n ? DUNE_MIN(job->ds->max_n, 4) : 4;
    int rc = dune_search_open(&s, &job->cfg, job->ds, max_n, d);

    memset(&c, 0, sizeof(c));
    if (rc == 0)
        rc = choose_chain(&s, &c, d);
    if (rc == 0) {
        s.rival = c.rival_score > 0 ? &c.rival : NULL;
        out->train_macro = c.score;
        out->judged_by = "4-fold cross-validation";
        out->evaluations = dune_cv_n_fits(s.other);
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
