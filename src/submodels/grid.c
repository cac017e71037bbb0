/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The published grid with shared work: one forest is grown per (n, trees, feature set) at the largest
 * leaf budget that fits, and every smaller budget is read from its prefix.
 */
#include "dune/submodels.h"

#include <string.h>

#include "base/ranks.h"

#define RANKING_TREES 17

static const uint32_t grid_trees[] = {1, 3, 5};
static const uint32_t grid_leaves[] = {41, 85, 129, 173, 217, 261, 305, 349, 393, 437, 481, 500};
static const uint32_t grid_n[] = {2, 3, 4};

struct search {
    struct dune_space *s;
    const struct dune_grid_cfg *cfg;
    const uint8_t *block, *train, *valid;
    struct dune_item_answer *col;
    struct dune_confusion conf;
    DUNE_VEC(struct dune_grid_point) points;
    uint64_t skipped, skipped_profile;
    char why[160]; /* the last point that the profile refused */
};

/* Flow-level macro F1 over the block's classes and Other, each alone as published. */
static double block_macro_f1(struct search *g)
{
    const struct dune_space *s = g->s;
    uint32_t other = s->n_classes;

    dune_confusion_clear(&g->conf);
    for (size_t i = 0; i < s->n_items; i++) {
        uint32_t truth = g->block[s->item_cls[i]] ? s->item_cls[i] : other;

        if (g->valid[s->item_flow[i]])
            dune_confusion_add(&g->conf, truth, g->col[i].claim ? g->col[i].cls : other, s->item_w[i]);
    }
    return dune_f1_score(&g->conf, DUNE_WEIGHT_ONE, NULL).macro;
}

static bool fits_budget(const struct dune_budget *b, uint32_t leaves_sum, uint32_t n_feats)
{
    return (!b->leaves_sum || leaves_sum <= b->leaves_sum) &&
           (!b->features_distinct || n_feats <= b->features_distinct);
}

/* Without a profile everything fits. */
static int fits_profile(struct search *g, const struct dune_fit *fit, bool *fits, struct dune_diag *d)
{
    struct dune_resources use;
    int rc;

    *fits = true;
    if (!g->cfg->profile)
        return 0;
    rc = dune_fit_resources(fit, g->s->ds->timeout, g->cfg->profile, &use, d);
    if (rc == 0 && !use.fits) {
        *fits = false;
        g->skipped_profile++;
        snprintf(g->why, sizeof(g->why), "%s", use.why);
    }
    return rc;
}

static int add_point(struct search *g, const struct dune_fit *full, uint32_t trees, uint32_t leaves,
                     uint32_t k, struct dune_diag *d)
{
    struct dune_fit *fit = dune_fit_prefix(full, trees, leaves);
    struct dune_grid_point p = {.trees = trees, .leaves = leaves, .n = full->cfg.n, .n_feats = k};
    uint8_t feats[DUNE_N_FEATURES];
    uint32_t n_used = 0, largest = 1;
    bool fits;
    int rc = fits_profile(g, fit, &fits, d);

    if (rc || !fits) {
        dune_fit_free(fit);
        return rc;
    }
    rc = dune_fit_answer(fit, g->s, g->valid, g->col, d);
    for (int j = 0; j < DUNE_N_FEATURES; j++)
        if (fit->used >> j & 1)
            feats[n_used++] = (uint8_t)j;
    for (uint32_t t = 0; t < fit->forest->n_trees; t++)
        largest = DUNE_MAX(largest, dune_tree_n_leaves(&fit->forest->tree[t]));
    p.features = full->cfg.features;
    p.macro_f1 = rc ? 0 : block_macro_f1(g);
    p.blocks = dune_published_blocks(feats, n_used, largest, trees);
    p.score = g->cfg->f1_only ? p.macro_f1 : 0.5 * p.macro_f1 + 0.5 * (1 - (double)p.blocks / 288);
    DUNE_VEC_PUSH(&g->points, p);
    dune_fit_free(fit);
    return rc;
}

/* The budgets that share one growth. The largest leaf count that fits decides what is grown. */
static int search_features(struct search *g, struct dune_fit_cfg fc, uint32_t trees, uint32_t k,
                           struct dune_diag *d)
{
    uint32_t top = 0, own = 0;
    struct dune_fit *fit = NULL;
    int rc;

    for (size_t i = 0; i < DUNE_ARRAY_LEN(grid_leaves); i++) {
        if (fits_budget(&g->cfg->budget, grid_leaves[i] * trees, k))
            top = grid_leaves[i];
        else
            g->skipped++;
    }
    if (!top) /* below the smallest point of the grid: all leaves that the budget leaves to a tree */
        own = fits_budget(&g->cfg->budget, 2 * trees, k) ? g->cfg->budget.leaves_sum / trees : 0;
    if (!top && !own)
        return 0;
    fc.n_trees = trees;
    fc.max_leaves = top ? top : own;
    rc = dune_fit_train(&fit, g->s, &fc, g->block, g->train, d);
    if (rc == 0 && own)
        rc = add_point(g, fit, trees, own, k, d);
    for (size_t i = 0; rc == 0 && i < DUNE_ARRAY_LEN(grid_leaves) && grid_leaves[i] <= top; i++)
        rc = add_point(g, fit, trees, grid_leaves[i], k, d);
    dune_fit_free(fit);
    return rc;
}

/* Ranking by impurity decrease of a forest on all candidates; sets are its prefixes. One tree with
 * sampled features would rank by chance, so the ranking forest is larger. */
static int rank_features(struct search *g, const struct dune_fit_cfg *cfg, uint8_t *rank, uint32_t *n,
                         struct dune_diag *d)
{
    struct dune_fit_cfg fc = *cfg;
    dune_feature_mask left = fc.features;
    double gain[DUNE_N_FEATURES];
    struct dune_fit *fit = NULL;
    int rc;

    fc.n_trees = RANKING_TREES;
    rc = dune_fit_train(&fit, g->s, &fc, g->block, g->train, d);
    *n = 0;
    if (rc)
        return rc;
    dune_forest_feature_gain(fit->forest, gain);
    while (left) {
        int best = -1;

        for (int j = 0; j < DUNE_N_FEATURES; j++)
            if (left >> j & 1 && (best < 0 || gain[j] > gain[best]))
                best = j;
        left &= ~(UINT64_C(1) << best);
        if (gain[best] > 0)
            rank[(*n)++] = (uint8_t)best;
    }
    dune_fit_free(fit);
    return 0;
}

/* What the profile's targets can compute. */
static dune_feature_mask profile_features(const struct dune_profile *prof)
{
    dune_feature_mask m = 0;

    for (int j = 0; j < DUNE_N_FEATURES; j++)
        if (!prof || (dune_catalog[j].targets & prof->targets) == prof->targets)
            m |= UINT64_C(1) << j;
    return m;
}

static int search_n_trees(struct search *g, unsigned n, uint32_t trees, struct dune_diag *d)
{
    struct dune_fit_cfg fc = {.n = n, .mode = g->cfg->mode, .features = g->cfg->features,
                              .n_trees = trees, .sqrt_features = g->cfg->sqrt_features,
                              .balance = g->cfg->balance, .seed = g->cfg->seed};
    uint8_t rank[DUNE_N_FEATURES];
    uint32_t n_ranked, most;
    dune_feature_mask set = 0;
    int rc;

    if (g->cfg->block_features)
        fc.features &= *g->cfg->block_features;
    fc.features &= profile_features(g->cfg->profile);
    if (!fc.features)
        return dune_diag_set(d, DUNE_E_INPUT, NULL, "a block has 0 candidate features");
    fc.max_leaves = g->cfg->budget.leaves_sum ? DUNE_MAX(g->cfg->budget.leaves_sum / trees, 2) : 500;
    rc = rank_features(g, &fc, rank, &n_ranked, d);
    most = g->cfg->budget.features_distinct ? DUNE_MIN(n_ranked, g->cfg->budget.features_distinct)
                                            : n_ranked;
    g->skipped += (uint64_t)(n_ranked - most) * DUNE_ARRAY_LEN(grid_leaves);
    for (uint32_t k = 1; rc == 0 && k <= most; k++) {
        set |= UINT64_C(1) << rank[k - 1];
        fc.features = set;
        rc = search_features(g, fc, trees, k, d);
        if (rc == 0 && dune_interrupted())
            rc = dune_diag_set(d, DUNE_E_INTERRUPTED, NULL, "interrupted");
    }
    return rc;
}

/* The axes of the search: inference points that the space has, numbers of trees. */
static unsigned axis_n(const struct dune_grid_cfg *cfg, const struct dune_space *s, uint32_t *n)
{
    unsigned len = 0;

    for (size_t i = 0; i < DUNE_ARRAY_LEN(grid_n); i++)
        if (grid_n[i] <= s->max_n && (!cfg->quick || grid_n[i] == DUNE_MIN(3, s->max_n)))
            n[len++] = grid_n[i];
    return len;
}

static unsigned axis_trees(const struct dune_grid_cfg *cfg)
{
    return cfg->quick ? 1 : DUNE_ARRAY_LEN(grid_trees);
}

unsigned dune_grid_steps(const struct dune_grid_cfg *cfg, const struct dune_space *s)
{
    uint32_t n[DUNE_ARRAY_LEN(grid_n)];

    return axis_n(cfg, s, n) * axis_trees(cfg);
}

int dune_grid_prepare(struct dune_space *s, const struct dune_grid_cfg *cfg, struct dune_diag *d)
{
    uint32_t n[DUNE_ARRAY_LEN(grid_n)];
    unsigned len = axis_n(cfg, s, n);
    int rc = 0;

    if (!len)
        return dune_diag_set(d, DUNE_E_INPUT, NULL, "the data set keeps %u packet per flow; the grid "
                             "needs at least 2 (extract --max-n)", s->max_n);
    for (unsigned i = 0; rc == 0 && i < len; i++)
        rc = dune_space_prepare(s, n[i], cfg->mode, d);
    return rc;
}

static void finish(struct search *g, struct dune_grid *out)
{
    out->point = g->points.data;
    out->n_points = g->points.len;
    out->skipped = g->skipped;
    out->skipped_profile = g->skipped_profile;
    for (size_t i = 0; i < out->n_points; i++) {
        struct dune_grid_point *p = &out->point[i], *best = &out->point[out->best];

        if (p->score > best->score || (p->score == best->score && p->blocks < best->blocks))
            out->best = i;
        p->pareto = true;
        for (size_t j = 0; j < out->n_points && p->pareto; j++) {
            const struct dune_grid_point *q = &out->point[j];

            p->pareto = !(q->macro_f1 >= p->macro_f1 && q->blocks < p->blocks) &&
                        !(q->macro_f1 > p->macro_f1 && q->blocks == p->blocks);
        }
    }
}

static int nothing_fits(const struct search *g, struct dune_diag *d)
{
    const struct dune_budget *b = &g->cfg->budget;

    if (g->skipped_profile)
        return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "no point of the grid fits profile %s: %s",
                             g->cfg->profile->name, g->why);
    return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "no point of the grid fits %u leaves and %u features",
                         b->leaves_sum, b->features_distinct);
}

/* One (n, number of trees): an item of work. */
struct grid_item {
    uint32_t n, trees;
    struct search g;
    int rc;
    struct dune_diag d;
};

struct grid_work {
    struct grid_item *item;
};

static void run_item(void *ctx, size_t i)
{
    struct grid_item *it = &((struct grid_work *)ctx)->item[i];
    struct search *g = &it->g;

    g->col = dune_mem_zalloc(g->s->n_items, sizeof(*g->col));
    dune_confusion_init(&g->conf, g->s->n_classes + 1);
    it->rc = search_n_trees(g, it->n, it->trees, &it->d);
    dune_confusion_fini(&g->conf);
    dune_mem_free(g->col);
    g->col = NULL;
    if (g->cfg->progress)
        dune_progress_add(g->cfg->progress, 1);
}

/* What an item found, as other processes need it. */
struct grid_found {
    int rc;
    struct dune_diag d;
    uint64_t skipped, skipped_profile, n_points;
    char why[160];
};

static void put_item(void *ctx, size_t i, struct dune_buf *out)
{
    const struct grid_item *it = &((struct grid_work *)ctx)->item[i];
    struct grid_found f;

    memset(&f, 0, sizeof(f));
    f.rc = it->rc;
    f.d = it->d;
    f.skipped = it->g.skipped;
    f.skipped_profile = it->g.skipped_profile;
    f.n_points = it->g.points.len;
    memcpy(f.why, it->g.why, sizeof(f.why));
    dune_buf_append(out, &f, sizeof(f));
    if (f.n_points)
        dune_buf_append(out, it->g.points.data, (size_t)f.n_points * sizeof(*it->g.points.data));
}

static bool take_item(void *ctx, size_t i, const uint8_t *data, size_t len)
{
    struct grid_item *it = &((struct grid_work *)ctx)->item[i];
    struct dune_grid_point p;
    struct grid_found f;

    if (len < sizeof(f))
        return false;
    memcpy(&f, data, sizeof(f));
    it->rc = f.rc;
    it->d = f.d;
    it->g.skipped = f.skipped;
    it->g.skipped_profile = f.skipped_profile;
    memcpy(it->g.why, f.why, sizeof(it->g.why));
    if (len - sizeof(f) != f.n_points * sizeof(p))
        return false;
    for (uint64_t k = 0; k < f.n_points; k++) {
        memcpy(&p, data + sizeof(f) + k * sizeof(p), sizeof(p));
        DUNE_VEC_PUSH(&it->g.points, p);
    }
    return true;
}

/* The items one after another, up to the first that failed, as one search. */
static int join_items(struct search *g, struct grid_item *item, unsigned n, struct dune_diag *d)
{
    for (unsigned i = 0; i < n; i++) {
        const struct search *part = &item[i].g;

        if (item[i].rc) {
            if (d && !d->code)
                *d = item[i].d;
            return item[i].rc;
        }
        g->skipped += part->skipped;
        g->skipped_profile += part->skipped_profile;
        if (part->why[0])
            memcpy(g->why, part->why, sizeof(g->why));
        for (size_t k = 0; k < part->points.len; k++)
            DUNE_VEC_PUSH(&g->points, part->points.data[k]);
    }
    return 0;
}

int dune_grid_search(struct dune_grid *out, struct dune_space *s, const struct dune_grid_cfg *cfg,
                     const uint8_t *block, const uint8_t *train, const uint8_t *valid,
                     struct dune_diag *d)
{
    static const struct dune_ranks_work work = {run_item, put_item, take_item};
    struct search g = {.s = s, .cfg = cfg, .block = block, .train = train, .valid = valid};
    struct grid_item item[DUNE_ARRAY_LEN(grid_n) * DUNE_ARRAY_LEN(grid_trees)];
    struct grid_work w = {item};
    uint32_t n[DUNE_ARRAY_LEN(grid_n)];
    unsigned n_len = axis_n(cfg, s, n), n_items = 0;
    int rc = dune_grid_prepare(s, cfg, d);

    memset(out, 0, sizeof(*out));
    for (unsigned i = 0; i < n_len; i++)
        for (unsigned t = 0; t < axis_trees(cfg); t++)
            item[n_items++] = (struct grid_item){.n = n[i], .trees = grid_trees[t], .g = g};
    if (rc == 0)
        rc = dune_ranks_for(dune_ranks_n() > 1 ? s->threads : 1, n_items, &work, &w, d);
    if (rc == 0)
        rc = join_items(&g, item, n_items, d);
    for (unsigned i = 0; i < n_items; i++)
        DUNE_VEC_FREE(&item[i].g.points);
    if (rc == 0 && !g.points.len)
        rc = nothing_fits(&g, d);
    finish(&g, out);
    if (rc)
        dune_grid_fini(out);
    return rc;
}

void dune_grid_fini(struct dune_grid *g)
{
    dune_mem_free(g->point);
    memset(g, 0, sizeof(*g));
}

struct dune_fit_cfg dune_grid_fit_cfg(const struct dune_grid_cfg *cfg, const struct dune_grid_point *p)
{
    return (struct dune_fit_cfg){
        .n = p->n, .mode = cfg->mode, .features = p->features, .n_trees = p->trees,
        .max_leaves = p->leaves, .sqrt_features = cfg->sqrt_features, .balance = cfg->balance,
        .seed = cfg->seed};
}
