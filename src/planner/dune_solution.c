/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dune: our own planner. Blocks over several devices, best claim wins, everything chosen by grouped
 * cross-validation inside train; one device alone is always a candidate.
 */
#include <string.h>

#include "base/ranks.h"
#include "dune/solution.h"
#include "planner/planner_int.h"

enum { N_FOLDS = 4, MAX_STARTS = 12 };

/* The tables that the sub-models of a chain learn from. */
int dune_search_prepare(struct dune_search *s, const struct dune_chain_spec *spec, struct dune_diag *d)
{
    int rc = 0;

    for (unsigned b = 0; rc == 0 && b < spec->n_blocks; b++)
        rc = dune_space_prepare(s->space, spec->cfg[b].n, spec->cfg[b].mode, d);
    return rc;
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
        dune_search_log_key(spec, s->judging, key);
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

bool dune_search_late(const struct dune_search *s)
{
    return s->until_ns && dune_now_ns() > s->until_ns;
}

bool dune_search_exhausted(const struct dune_search *s)
{
    return dune_cv_n_fits(s->cv) >= s->max_columns || dune_search_late(s);
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

/* What scores depend on besides the chain: the rows, the seed of the folds, the packets looked at. */
static int open_log(struct dune_search *s, const struct dune_dataset *ds, struct dune_diag *d)
{
    char *identity;
    int rc;

    if (!s->cfg->log)
        return 0;
    identity = dune_mem_printf("%s seed %llu packets %u", ds->hash, (unsigned long long)s->cfg->seed, s->space->max_n);
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
    rc = dune_space_new(&s->space, ds, DUNE_SPLIT_TRAIN, NULL, max_n, cfg->threads, d);
    if (rc)
        return rc;
    s->n_cls = dune_present_classes(s->space, s->cls);
    s->max_columns = work_limit(s);
    rc = open_log(s, ds, d);
    return rc ? rc : make_folds(s, cfg->seed, &s->cv, d);
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
    s->judging = !s->judging;
    return 0;
}

void dune_search_close(struct dune_search *s)
{
    dune_cv_free(s->cv);
    dune_cv_free(s->other);
    dune_space_free(s->space);
    dune_search_log_close(s->log);
}

/* Trees grown beyond the budget, whose leaves that tell least are merged back: not where the budget does not
 * bind. Tried last, on what was found without. */
int dune_choose_spare(struct dune_search *s, struct dune_chain_spec *spec, double *score, struct dune_diag *d)
{
    static const double spare[] = {0.25, 0.5};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < DUNE_ARRAY_LEN(spare) && !dune_search_late(s); i++) {
        struct dune_chain_spec next = *spec;
        struct dune_f1 f1;

        for (unsigned b = 0; b < next.n_blocks; b++)
            next.cfg[b].spare = spare[i];
        rc = dune_search_score(s, &next, &f1, d);
        if (rc == 0 && f1.macro > *score) {
            *spec = next;
            *score = f1.macro;
        }
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

/* Out-of-fold confusion of a chain, for the confusion-driven starts. */
static int confusion_of(struct dune_search *s, const struct dune_chain_spec *spec, struct dune_confusion *c,
                        struct dune_diag *d)
{
    const struct dune_item_answer *col[DUNE_MAX_BLOCKS];
    uint8_t id[DUNE_MAX_BLOCKS];
    int rc = dune_search_columns(s, spec, col, d);

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

    for (unsigned i = 0; rc == 0 && i < n_starts && !dune_search_late(s); i++) {
        struct dune_chain_spec spec = *like;
        struct dune_f1 f1;

        dune_search_init_spec(s, &spec, k, &like->cfg[0]);
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
    dune_search_init_spec(s, &tuned, k, &cfg);
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
        rc = dune_refine_features(s, best, score, d);
    if (rc == 0)
        rc = dune_choose_spare(s, best, score, d);
    if (rc == 0)
        rc = choose_fallback(s, best, score, d);
    dune_confusion_fini(&conf);
    return rc;
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

static int finish(struct dune_search *s, const struct dune_solution_job *job, const struct dune_chain_spec *spec,
                  struct dune_solution_result *out, struct dune_diag *d)
{
    struct dune_fit *fit[DUNE_MAX_BLOCKS] = {0};
    uint8_t id[DUNE_MAX_BLOCKS];
    unsigned order[DUNE_MAX_BLOCKS];
    int rc = dune_search_prepare(s, spec, d);

    chain_order(s, spec->n_blocks, order);
    for (unsigned i = 0; rc == 0 && i < spec->n_blocks; i++) {
        unsigned b = order[i];
        uint8_t member[DUNE_CLASS_WORDS * 64];

        for (unsigned c = 0; c < sizeof(member); c++)
            member[c] = dune_class_set_has(&spec->block[b], c);
        id[i] = (uint8_t)b;
        rc = dune_fit_train(&fit[i], s->space, &spec->cfg[b], member, NULL, d);
    }
    if (rc == 0)
        rc = dune_plan_from_fits(&out->plan, s->space, fit, id, spec->n_blocks, spec->n_blocks, &spec->rule,
                                 &job->cfg.budget,
                                 job->cfg.profile ? job->cfg.profile : "engine", d);
    for (unsigned b = 0; b < spec->n_blocks; b++)
        dune_fit_free(fit[b]);
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

/* The choice so far, with its score on the judging folds. */
struct choice {
    struct dune_chain_spec one, spec;
    double score;
    struct dune_chain_spec rival; /* the best chain that was tried, taken or not */
    double rival_score;
};

/* A finalist that challenges the choice. */
struct rival {
    const char *name;
    struct dune_chain_spec spec;
    const char *barred; /* why it cannot be taken */
};

/* A rival replaces the choice only when its paired gain exceeds two standard errors. */
static int challenge(struct dune_search *s, struct choice *c, const struct rival *r, struct dune_diag *d)
{
    struct dune_candidate *note = &s->candidate[s->n_candidates++];
    struct dune_interval gain = {0};
    struct dune_f1 f1;
    int rc = dune_search_score(s, &r->spec, &f1, d);

    *note = (struct dune_candidate){.name = r->name, .n_blocks = r->spec.n_blocks, .macro = f1.macro,
                                    .barred = r->barred};
    if (rc == 0)
        rc = dune_search_compare(s, &r->spec, &c->one, &note->gain, d);
    if (rc || r->barred)
        return rc;
    if (f1.macro > c->rival_score) {
        c->rival = r->spec;
        c->rival_score = f1.macro;
    }
    rc = dune_search_compare(s, &r->spec, &c->spec, &gain, d);
    if (rc == 0 && f1.macro > c->score && gain.mean > 2 * gain.se) {
        for (unsigned i = 0; i < s->n_candidates; i++)
            s->candidate[i].taken = false;
        note->taken = true;
        c->spec = r->spec;
        c->score = f1.macro;
    }
    return rc;
}

/* Judges on folds that the search has not seen: the best of many candidates looks better on the folds
 * it was chosen on than it is. From here on all scores are of these folds. */
static int judge(struct dune_search *s, struct choice *c, const struct rival *rival, unsigned n,
                 struct dune_diag *d)
{
    struct dune_f1 f1;
    int rc = dune_search_change_folds(s, d);

    if (rc == 0)
        rc = dune_search_score(s, &c->spec, &f1, d);
    c->score = rc ? 0 : f1.macro;
    s->candidate[s->n_candidates++] = (struct dune_candidate){.name = "one device", .n_blocks = 1, .taken = true,
                                                              .macro = c->score};
    for (unsigned i = 0; rc == 0 && i < n; i++)
        rc = challenge(s, c, &rival[i], d);
    return rc;
}

static int choose_chain(struct dune_search *s, struct choice *c, struct dune_diag *d)
{
    unsigned n = 0;
    struct rival rival[2] = {{.name = "blocks"}, {.name = "votes"}};
    double score;
    int rc = dune_plan_one(s, &c->one, &score, d);

    c->spec = c->one;
    if (rc == 0 && s->n_devices > 1 && s->n_cls > 1) {
        rc = plan_blocks(s, &c->one, DUNE_MIN(s->n_devices, s->n_cls), &rival[n++].spec, &score, d);
        if (rc == 0)
            rc = dune_plan_votes(s, &c->one, s->n_devices, &rival[n++].spec, &score, d);
        if (!s->votes)
            rival[1].barred = "only the engine carries votes: scored for comparison";
    }
    return rc ? rc : judge(s, c, rival, n, d);
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
    out->notes = notes.data; /* yours from here on */
    return rc;
}

static int solve_dune(const struct dune_solution_job *job, struct dune_solution_result *out, struct dune_diag *d)
{
    struct dune_search s;
    struct choice c;
    unsigned max_n = job->ds->max_n ? DUNE_MIN(job->ds->max_n, 8) : 8;
    int rc = dune_search_open(&s, &job->cfg, job->ds, max_n, d);

    memset(&c, 0, sizeof(c));
    if (rc == 0)
        rc = choose_chain(&s, &c, d);
    if (rc == 0) {
        s.rival = c.rival_score > 0 ? &c.rival : NULL;
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
