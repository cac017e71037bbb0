/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chains of blocks: a partition to start from, moves of classes, then features, settings, leaves and further homes of
 * classes, block by block.
 */
#include <string.h>

#include "base/base.h"
#include "planner/planner_int.h"

enum { MAX_STARTS = 12, ADVISED = MAX_STARTS };
#define BLOCK_GAIN 0.001 /* settings of one block: gains below this are noise */

/* Trees grown beyond the budget, whose leaves that tell least are merged back: not where the budget does not
 * bind. Tried last, on what was found without. */
static int choose_spare(struct dune_search *s, struct dune_chain_spec *spec, double *score, struct dune_diag *d)
{
    static const double spare[] = {0.25, 0.5};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < DUNE_ARRAY_LEN(spare) && !dune_search_late(s); i++) {
        struct dune_chain_spec next = *spec;

        for (unsigned b = 0; b < next.n_blocks; b++)
            next.cfg[b].spare = spare[i];
        rc = dune_search_try(s, &next, 0, spec, score, d);
    }
    return rc;
}

static int choose_fallback(struct dune_search *s, struct dune_chain_spec *spec, double *score,
                           struct dune_diag *d)
{
    struct dune_chain_spec next = *spec;

    next.rule.fallback = DUNE_FALLBACK_BEST;
    return dune_search_try(s, &next, 0, spec, score, d);
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

/* Partition starts for k blocks: confused together, apart, then random ones; what a model from elsewhere advises. */
static int make_start(struct dune_search *s, const struct dune_confusion *conf, unsigned i,
                      struct dune_chain_spec *spec, struct dune_diag *d)
{
    if (i == ADVISED)
        return dune_advice_partition(s, spec->n_blocks, spec->block, d);
    if (i < 2)
        dune_partition_confused(conf, s->cls, s->n_cls, spec->n_blocks, i == 0, spec->block);
    else
        dune_partition_random(s->cls, s->n_cls, spec->n_blocks, s->cfg->seed + i, spec->block);
    return 0;
}

static const char *start_name(unsigned i)
{
    return i == 0 ? "confused together" : i == 1 ? "confused apart" : "random";
}

/* The best of the first starts for k blocks with the settings of `like`. */
static int best_start(struct dune_search *s, const struct dune_confusion *conf, unsigned k, unsigned n_starts,
                      const struct dune_chain_spec *like, struct dune_chain_spec *best, double *score,
                      struct dune_diag *d)
{
    unsigned n = n_starts + (s->advice ? 1 : 0);
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < n && !dune_search_late(s); i++) {
        struct dune_chain_spec spec = *like;
        struct dune_f1 f1 = {0};

        dune_search_init_spec(s, &spec, k, &like->cfg[0]);
        spec.rule = like->rule;
        rc = make_start(s, conf, i < n_starts ? i : (unsigned)ADVISED, &spec, d);
        if (rc == 0)
            rc = dune_search_score(s, &spec, &f1, d);
        if (rc == 0)
            dune_search_note(s, i < n_starts ? start_name(i) : "by the model", k, f1.macro);
        if (rc == 0 && f1.macro > *score) {
            *best = spec;
            *score = f1.macro;
        }
    }
    return rc;
}

/* Work of cheap columns, on top of what was spent so far. */
static void allow(struct dune_search *s, uint64_t columns)
{
    s->max_work = dune_cv_work(s->searched) / DUNE_WORK_COLUMN + columns;
}

/* The best so far with settings of every block. */
static int add_tuned(struct dune_search *s, struct dune_variants *v, struct dune_diag *d)
{
    unsigned from = dune_variants_best(v);
    struct dune_chain_spec spec = v->spec[from];
    double score = v->score[from];
    int rc = dune_tune_blocks(s, &spec, &score, BLOCK_GAIN, d);

    return rc ? rc : dune_variants_add_better(s, v, "settings by block", &spec, score, d);
}

/* With classes in several blocks. */
static int add_homes(struct dune_search *s, struct dune_variants *v, unsigned rounds, struct dune_diag *d)
{
    unsigned from = dune_variants_best(v);
    struct dune_chain_spec spec = v->spec[from];
    double score = v->score[from];
    int rc = dune_second_homes(s, &spec, &score, BLOCK_GAIN, rounds, d);

    return rc ? rc : dune_variants_add_better(s, v, "second homes", &spec, score, d);
}

/* The features that blocks have in the plan, exchanged one for one, then settings block by block, leaves and homes of
 * classes; then the same again, for blocks are others then, while it helps. All of few features, so it is little work
 * and comes on top of the limit. */
static int refine_blocks(struct dune_search *s, struct dune_variants *v, struct dune_diag *d)
{
    static const unsigned cycles[] = {2, 3, 5}, exchanges[] = {1, 3, 6}, homes[] = {1, 2, 4};
    uint64_t limit = s->max_work;
    unsigned effort = s->cfg->effort, before = v->n - 1;
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < cycles[effort] && v->n > before; i++) {
        before = v->n;
        allow(s, limit / 4);
        rc = dune_variants_add_exchanged(s, v, exchanges[effort], d);
        if (rc == 0)
            rc = add_tuned(s, v, d);
        if (rc == 0 && i == 0)
            rc = dune_variants_add_distilled(s, v, d);
        if (rc == 0 && i == 0)
            rc = dune_variants_add_shrunk(s, v, d);
        allow(s, homes[effort] * s->n_cls);
        if (rc == 0)
            rc = add_homes(s, v, homes[effort], d);
    }
    s->max_work = limit;
    return rc;
}

/* A partition to the end: moves of classes, features by regrowing, leaves merged back, fallback; then the refinement,
 * whose steps are variants of their own. */
static int finish_blocks(struct dune_search *s, struct dune_chain_spec *best, double score, struct dune_variants *out,
                         struct dune_diag *d)
{
    int rc = dune_local_search(s, best, &score, 2000, best->n_blocks, d);

    dune_search_note(s, "classes moved", best->n_blocks, score);
    if (rc == 0)
        rc = dune_refine_features(s, best, &score, d);
    dune_search_note(s, "features", best->n_blocks, score);
    if (rc == 0)
        rc = choose_spare(s, best, &score, d);
    dune_search_note(s, "leaves merged back", best->n_blocks, score);
    if (rc == 0)
        rc = choose_fallback(s, best, &score, d);
    dune_search_note(s, "fallback", best->n_blocks, score);
    out->from = out->n;
    if (rc == 0)
        rc = dune_variants_add(s, out, "elimination", best, score, d);
    if (rc == 0)
        rc = refine_blocks(s, out, d);
    out->from = 0;
    return rc;
}

/*
 * Settings on one random partition, then starts for every number of blocks. The best of them is carried to the end;
 * where it has fewer blocks than there are devices, so is the best that uses all: before the refinement, which makes
 * most of many blocks, scores of few and of many differ by chance.
 */
int dune_plan_blocks(struct dune_search *s, const struct dune_chain_spec *one, unsigned k, struct dune_variants *out,
                     struct dune_diag *d)
{
    static const unsigned n_starts[] = {3, 6, MAX_STARTS};
    struct dune_confusion conf;
    struct dune_chain_spec tuned, best, all;
    struct dune_fit_cfg cfg = dune_search_base_cfg(s);
    double score = -1, score_all;
    int rc = confusion_of(s, one, &conf, d);

    memset(out, 0, sizeof(*out));
    dune_search_init_spec(s, &tuned, k, &cfg);
    if (rc == 0)
        rc = make_start(s, &conf, 2, &tuned, d);
    if (rc == 0) {
        rc = dune_tune_common(s, &tuned, &score, 1, d);
        dune_search_note(s, "settings", k, score);
    }
    all = tuned;
    score_all = score;
    if (rc == 0)
        rc = best_start(s, &conf, k, n_starts[s->cfg->effort], &tuned, &all, &score_all, d);
    best = all;
    score = score_all;
    for (unsigned b = k - 1; rc == 0 && b >= 2; b--)
        rc = best_start(s, &conf, b, 2, &tuned, &best, &score, d);
    if (rc == 0)
        rc = finish_blocks(s, &best, score, out, d);
    if (rc == 0 && best.n_blocks < k && !dune_search_late(s))
        rc = finish_blocks(s, &all, score_all, out, d);
    dune_confusion_fini(&conf);
    return rc;
}
