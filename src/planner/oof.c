/* SPDX-License-Identifier: Apache-2.0 */
/* Out-of-fold answer columns, cached by block and settings. */
#include "dune/planner.h"

#include <string.h>

#include "base/ranks.h"
#include "planner/planner_int.h"

struct entry {
    struct entry *next;
    struct dune_class_set block;
    struct dune_fit_cfg cfg;
    struct dune_item_answer *col;
};

enum { N_BUCKETS = 4096, MAX_FOLDS = 16 };

struct dune_cv {
    const struct dune_space *s;
    unsigned k;
    uint8_t *fold;             /* [n_flows] */
    uint8_t *train[MAX_FOLDS]; /* [n_flows] 1: trained on when this fold is held out */
    uint8_t *held[MAX_FOLDS];  /* [n_flows] 1: scored in this fold */
    uint8_t *scored;           /* [n_flows] in any fold */
    struct entry *bucket[N_BUCKETS];
    struct dune_soft *soft[16][DUNE_N_MODES]; /* [k + 1] per view, made when first wanted */
    const struct dune_told *told;             /* what they are made of; NULL: of forests of our own */
    uint64_t n_columns;
    uint64_t work;
};

int dune_cv_new(struct dune_cv **out, const struct dune_space *s, const uint8_t *fold, unsigned k,
                struct dune_diag *d)
{
    struct dune_cv *cv;

    *out = NULL;
    if (k < 2 || k > MAX_FOLDS)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "%u folds: 2 to %d are possible", k, MAX_FOLDS);
    cv = DUNE_NEW(struct dune_cv);
    cv->s = s;
    cv->k = k;
    cv->fold = dune_mem_alloc(s->n_flows, 1);
    memcpy(cv->fold, fold, s->n_flows);
    cv->scored = DUNE_NEW_N(uint8_t, s->n_flows);
    for (unsigned i = 0; i < k; i++) {
        cv->train[i] = DUNE_NEW_N(uint8_t, s->n_flows);
        cv->held[i] = DUNE_NEW_N(uint8_t, s->n_flows);
        for (uint32_t f = 0; f < s->n_flows; f++) {
            cv->train[i][f] = fold[f] != i;
            cv->held[i][f] = fold[f] == i;
            cv->scored[f] |= fold[f] == i;
        }
    }
    *out = cv;
    return 0;
}

void dune_cv_free(struct dune_cv *cv)
{
    if (!cv)
        return;
    for (size_t b = 0; b < N_BUCKETS; b++) {
        for (struct entry *e = cv->bucket[b], *next; e; e = next) {
            next = e->next;
            dune_mem_free(e->col);
            dune_mem_free(e);
        }
    }
    for (size_t n = 0; n < DUNE_ARRAY_LEN(cv->soft); n++)
        for (size_t m = 0; m < DUNE_N_MODES; m++) {
            for (unsigned i = 0; cv->soft[n][m] && i <= cv->k; i++)
                dune_soft_fini(&cv->soft[n][m][i]);
            dune_mem_free(cv->soft[n][m]);
        }
    for (unsigned i = 0; i < cv->k; i++) {
        dune_mem_free(cv->train[i]);
        dune_mem_free(cv->held[i]);
    }
    dune_mem_free(cv->fold);
    dune_mem_free(cv->scored);
    dune_mem_free(cv);
}

uint64_t dune_cv_n_fits(const struct dune_cv *cv)
{
    return cv->n_columns;
}

uint64_t dune_cv_work(const struct dune_cv *cv)
{
    return cv->work;
}

/* Trees are grown once for features that are given, many times where some of them are to go. */
static uint64_t work_of(const struct dune_fit_cfg *cfg)
{
    bool given = !cfg->max_features || (uint32_t)__builtin_popcountll(cfg->features) <= cfg->max_features;

    return given && cfg->max_features ? 1 : DUNE_WORK_COLUMN;
}

static bool same_cfg(const struct dune_fit_cfg *a, const struct dune_fit_cfg *b)
{
    return a->n == b->n && a->mode == b->mode && a->features == b->features &&
           a->max_features == b->max_features && a->select == b->select && a->n_trees == b->n_trees &&
           a->max_leaves == b->max_leaves && a->max_depth == b->max_depth &&
           a->min_leaf == b->min_leaf && a->balance == b->balance &&
           a->other_weight == b->other_weight && a->leaf_other == b->leaf_other &&
           a->smooth == b->smooth && a->shrink == b->shrink && a->distil == b->distil && a->spare == b->spare && a->sqrt_features == b->sqrt_features &&
           a->bootstrap == b->bootstrap && a->seed == b->seed;
}

static size_t bucket_of(const struct dune_class_set *block, const struct dune_fit_cfg *cfg)
{
    uint64_t h = dune_mix64(cfg->features, ((uint64_t)cfg->n << 32) | cfg->max_leaves);

    for (int i = 0; i < DUNE_CLASS_WORDS; i++)
        h = dune_mix64(h, block->word[i]);
    return h % N_BUCKETS;
}

const struct dune_soft *dune_cv_soft(const struct dune_cv *cv, const struct dune_fit_cfg *cfg, unsigned without)
{
    const struct dune_soft *all = cv->soft[cfg->n][cfg->mode];

    return cfg->distil > 0 && all ? &all[without < cv->k ? without : cv->k] : NULL;
}

int dune_cv_prepare_soft(struct dune_cv *cv, struct dune_space *s, const struct dune_fit_cfg *cfg, struct dune_diag *d)
{
    struct dune_soft **at = &cv->soft[cfg->n][cfg->mode];

    if (cfg->distil <= 0 || *at)
        return 0;
    *at = DUNE_NEW_N(struct dune_soft, cv->k + 1);
    if (cv->told)
        return dune_soft_told(*at, s, cfg->n, cfg->mode, cv->k, cv->told, d);
    return dune_soft_make(*at, s, cfg->n, cfg->mode, cv->fold, cv->k, cfg->seed, d);
}

void dune_cv_listen(struct dune_cv *cv, const struct dune_told *told)
{
    cv->told = told;
}

/* One fold of one column per item: column i / k, fold i % k. */
struct fold_job {
    struct dune_cv *cv;
    struct entry **entry;
    struct dune_diag *diag; /* [items] */
};

static void run_fold(void *ctx, size_t i)
{
    struct fold_job *job = ctx;
    const struct entry *e = job->entry[i / job->cv->k];
    unsigned fold = (unsigned)(i % job->cv->k);
    struct dune_fit *fit = NULL;
    struct dune_diag *d = &job->diag[i];
    uint8_t member[DUNE_CLASS_WORDS * 64];

    for (unsigned c = 0; c < sizeof(member); c++)
        member[c] = dune_class_set_has(&e->block, c);
    if (dune_fit_train_soft(&fit, job->cv->s, &e->cfg, member, job->cv->train[fold],
                            dune_cv_soft(job->cv, &e->cfg, fold), d) == 0)
        d->code = dune_fit_answer(fit, job->cv->s, job->cv->held[fold], e->col, d);
    dune_fit_free(fit);
}

/* Its error, or the answers to the flows it held out, for the other processes. */
static void put_fold(void *ctx, size_t i, struct dune_buf *out)
{
    const struct fold_job *job = ctx;
    const struct dune_space *s = job->cv->s;
    const uint8_t *held = job->cv->held[i % job->cv->k];
    const struct entry *e = job->entry[i / job->cv->k];

    dune_buf_append(out, &job->diag[i], sizeof(job->diag[i]));
    for (size_t k = 0; k < s->n_items; k++)
        if (held[s->item_flow[k]])
            dune_buf_append(out, &e->col[k], sizeof(e->col[k]));
}

static bool take_fold(void *ctx, size_t i, const uint8_t *data, size_t len)
{
    struct fold_job *job = ctx;
    const struct dune_space *s = job->cv->s;
    const uint8_t *held = job->cv->held[i % job->cv->k];
    const struct entry *e = job->entry[i / job->cv->k];

    if (len < sizeof(job->diag[i]))
        return false;
    memcpy(&job->diag[i], data, sizeof(job->diag[i]));
    data += sizeof(job->diag[i]);
    len -= sizeof(job->diag[i]);
    for (size_t k = 0; k < s->n_items; k++) {
        if (!held[s->item_flow[k]])
            continue;
        if (len < sizeof(e->col[k]))
            return false;
        memcpy(&e->col[k], data, sizeof(e->col[k]));
        data += sizeof(e->col[k]);
        len -= sizeof(e->col[k]);
    }
    return len == 0;
}

/* Fills the columns of entries that have none. */
static int fit_columns(struct dune_cv *cv, struct entry **entry, unsigned n, struct dune_diag *d)
{
    static const struct dune_ranks_work work = {run_fold, put_fold, take_fold};
    struct fold_job job = {.cv = cv, .entry = entry};
    size_t items = (size_t)n * cv->k;
    int rc;

    job.diag = DUNE_NEW_N(struct dune_diag, items);
    for (unsigned e = 0; e < n; e++) {
        entry[e]->col = dune_mem_alloc(cv->s->n_items, sizeof(*entry[e]->col));
        for (size_t i = 0; i < cv->s->n_items; i++)
            entry[e]->col[i] = (struct dune_item_answer){.cls = DUNE_NO_CLASS};
    }
    rc = dune_ranks_for(cv->s->threads, items, &work, &job, d);
    for (size_t i = 0; rc == 0 && i < items; i++) {
        rc = job.diag[i].code;
        if (rc && d && !d->code)
            *d = job.diag[i];
    }
    for (unsigned e = 0; rc && e < n; e++) {
        dune_mem_free(entry[e]->col);
        entry[e]->col = NULL;
    }
    dune_mem_free(job.diag);
    return rc;
}

static struct entry *entry_of(struct dune_cv *cv, const struct dune_class_set *block, const struct dune_fit_cfg *cfg)
{
    size_t b = bucket_of(block, cfg);
    struct entry *e = cv->bucket[b];

    while (e && (memcmp(&e->block, block, sizeof(*block)) != 0 || !same_cfg(&e->cfg, cfg)))
        e = e->next;
    if (!e) {
        e = DUNE_NEW(struct entry);
        e->block = *block;
        e->cfg = *cfg;
        e->next = cv->bucket[b];
        cv->bucket[b] = e;
        cv->n_columns++;
        cv->work += work_of(cfg);
    }
    return e;
}

void dune_cv_touch(struct dune_cv *cv, const struct dune_chain_spec *spec)
{
    for (unsigned b = 0; b < spec->n_blocks; b++)
        entry_of(cv, &spec->block[b], &spec->cfg[b]);
}

/* Those of the entries that have no column yet are fitted together. */
static int fill(struct dune_cv *cv, struct entry **entry, unsigned n, struct dune_diag *d)
{
    struct entry *missing[DUNE_MAX_BLOCKS];
    unsigned m = 0;

    for (unsigned i = 0; i < n; i++) {
        bool again = entry[i]->col != NULL;

        for (unsigned j = 0; j < m; j++)
            again |= missing[j] == entry[i];
        if (!again)
            missing[m++] = entry[i];
    }
    if (m == 0)
        return 0;
    if (dune_interrupted())
        return dune_diag_set(d, DUNE_E_INTERRUPTED, NULL, "interrupted");
    return fit_columns(cv, missing, m, d);
}

int dune_cv_column(struct dune_cv *cv, const struct dune_class_set *block, const struct dune_fit_cfg *cfg,
                   const struct dune_item_answer **col, struct dune_diag *d)
{
    struct entry *e = entry_of(cv, block, cfg);
    int rc = fill(cv, &e, 1, d);

    if (rc == 0)
        *col = e->col;
    return rc;
}

int dune_cv_columns(struct dune_cv *cv, const struct dune_chain_spec *spec,
                    const struct dune_item_answer **col, struct dune_diag *d)
{
    struct entry *e[DUNE_MAX_BLOCKS];
    int rc;

    for (unsigned b = 0; b < spec->n_blocks; b++)
        e[b] = entry_of(cv, &spec->block[b], &spec->cfg[b]);
    rc = fill(cv, e, spec->n_blocks, d);
    for (unsigned b = 0; rc == 0 && b < spec->n_blocks; b++)
        col[b] = e[b]->col;
    return rc;
}

int dune_cv_score(struct dune_cv *cv, const struct dune_chain_spec *spec, struct dune_f1 *f1,
                  double *per_fold, struct dune_diag *d)
{
    const struct dune_item_answer *col[DUNE_MAX_BLOCKS];
    uint8_t id[DUNE_MAX_BLOCKS];
    struct dune_confusion c;
    int rc = dune_cv_columns(cv, spec, col, d);

    if (rc)
        return rc;
    for (unsigned b = 0; b < spec->n_blocks; b++)
        id[b] = (uint8_t)b;
    dune_confusion_init(&c, cv->s->n_classes);
    dune_chain_confusion(cv->s, col, id, spec->n_blocks, &spec->rule, cv->scored, false, &c);
    *f1 = dune_f1_score(&c, DUNE_WEIGHT_ONE, NULL);
    for (unsigned i = 0; per_fold && i < cv->k; i++) {
        dune_confusion_clear(&c);
        dune_chain_confusion(cv->s, col, id, spec->n_blocks, &spec->rule, cv->held[i], false, &c);
        per_fold[i] = dune_f1_score(&c, DUNE_WEIGHT_ONE, NULL).macro;
    }
    dune_confusion_fini(&c);
    return 0;
}

const uint8_t *dune_cv_scored(const struct dune_cv *cv)
{
    return cv->scored;
}

unsigned dune_cv_k(const struct dune_cv *cv)
{
    return cv->k;
}

const uint8_t *dune_cv_fold(const struct dune_cv *cv)
{
    return cv->fold;
}
