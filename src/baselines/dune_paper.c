/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DUNE as published (INFOCOM 2025): unconstrained forest -> importance -> greedy partition -> the
 * published grid per block over the block's own features -> order by the linear ordering problem ->
 * first claim wins. Everything is chosen on the validation split, never on test.
 */
#include "baselines/baselines_int.h"

#include <string.h>

#include "base/base.h"
#include "dune/sequence.h"

struct paper {
    struct dune_baseline b;
    struct dune_importance *w;
    struct dune_scores *f;
    struct dune_blocks *blocks;
    struct dune_fit *fit[DUNE_MAX_BLOCKS]; /* trained without the validation flows */
    struct dune_fit *final_fit[DUNE_MAX_BLOCKS];
    struct dune_item_answer *col[DUNE_MAX_BLOCKS];
    double f1[DUNE_MAX_BLOCKS]; /* percent, with Other */
    uint8_t *member;            /* [n_blocks][n_classes] */
    unsigned n_blocks;
    struct dune_order order;
};

/* f: per-class flow-level F1 of the big forest on the validation flows, percent. */
static void score_classes(struct paper *p, const struct dune_item_answer *col)
{
    const struct dune_space *s = p->b.space;
    struct dune_class_score *per = DUNE_NEW_N(struct dune_class_score, s->n_classes);
    const struct dune_chain_rule rule = {.claim = DUNE_CLAIM_FIRST, .early_exit = 256};
    struct dune_confusion c;
    uint8_t id = 0;

    dune_confusion_init(&c, s->n_classes);
    dune_chain_confusion(s, &col, &id, 1, &rule, p->b.valid, false, &c);
    dune_f1_score(&c, DUNE_WEIGHT_ONE, per);
    p->f = DUNE_NEW(struct dune_scores);
    p->f->n_classes = s->n_classes;
    p->f->class_name = DUNE_NEW_N(char *, s->n_classes);
    p->f->f1 = DUNE_NEW_N(double, s->n_classes);
    for (uint32_t k = 0; k < s->n_classes; k++) {
        p->f->class_name[k] = dune_mem_strdup(s->ds->class_name[k]);
        p->f->f1[k] = 100 * per[k].f1;
    }
    dune_confusion_fini(&c);
    dune_mem_free(per);
}

static int big_forest(struct paper *p, struct dune_diag *d)
{
    unsigned n = DUNE_MIN(3, p->b.space->max_n);
    struct dune_fit_cfg fc = {.n = n, .mode = DUNE_MODE_PUBLISHED, .n_trees = 17, .max_depth = 24,
                              .features = dune_baseline_features(p->b.job, "paper", n),
                              .sqrt_features = true, .seed = p->b.job->cfg.seed};
    struct dune_item_answer *col = dune_mem_zalloc(p->b.space->n_items, sizeof(*col));
    struct dune_fit *fit = NULL;
    int rc = dune_space_prepare(p->b.space, n, DUNE_MODE_PUBLISHED, d);

    if (rc == 0)
        rc = dune_fit_train(&fit, p->b.space, &fc, p->b.block, p->b.train, d);
    if (rc == 0)
        rc = dune_fit_answer(fit, p->b.space, p->b.valid, col, d);
    if (rc == 0)
        score_classes(p, col);
    if (rc == 0)
        rc = dune_importance_gini(&p->w, fit->forest, d);
    dune_fit_free(fit);
    dune_mem_free(col);
    return rc;
}

static int class_index(const struct dune_dataset *ds, const char *name)
{
    return dune_dataset_find_class(ds, name);
}

/* Greedy blocks; more blocks than devices are cut to as many blocks as there are devices. */
static int make_blocks(struct paper *p, struct dune_diag *d)
{
    const struct dune_dataset *ds = p->b.space->ds;
    struct dune_partition_cfg pc = {.method = DUNE_PART_GREEDY, .seed = p->b.job->cfg.seed};
    unsigned devices = DUNE_MIN(p->b.job->cfg.devices, DUNE_MAX_BLOCKS);
    int rc = dune_partition(&p->blocks, p->w, p->f, &pc, d);

    if (rc == 0 && p->blocks->n_blocks > devices) {
        dune_blocks_free(p->blocks);
        p->blocks = NULL;
        pc.n_blocks = devices;
        rc = dune_partition(&p->blocks, p->w, p->f, &pc, d);
    }
    if (rc)
        return rc;
    p->n_blocks = p->blocks->n_blocks;
    p->member = DUNE_NEW_N(uint8_t, (size_t)p->n_blocks * ds->n_classes);
    for (unsigned i = 0; i < p->n_blocks; i++) {
        for (uint32_t k = 0; k < p->blocks->block[i].n_classes; k++) {
            const char *name = p->blocks->class_name[p->blocks->block[i].cls[k]];
            int c = class_index(ds, name);

            if (c >= 0)
                p->member[(size_t)i * ds->n_classes + (size_t)c] = 1;
        }
    }
    return 0;
}

static dune_feature_mask block_mask(const struct paper *p, unsigned i)
{
    dune_feature_mask m = 0;

    for (uint32_t k = 0; k < p->blocks->block[i].n_feats; k++) {
        int f = dune_feature_find(p->blocks->feat_name[p->blocks->block[i].feat[k]]);

        if (f >= 0)
            m |= UINT64_C(1) << f;
    }
    return m;
}

static int search_block(struct paper *p, unsigned i, struct dune_solution_result *out, struct dune_diag *d)
{
    const uint8_t *member = p->member + (size_t)i * p->b.space->n_classes;
    dune_feature_mask own = block_mask(p, i);
    struct dune_grid_cfg gc = {.budget = p->b.job->cfg.budget, .mode = DUNE_MODE_PUBLISHED,
                               .features = dune_baseline_features(p->b.job, "paper", 4),
                               .block_features = own ? &own : NULL, .sqrt_features = true,
                               .seed = p->b.job->cfg.seed};
    struct dune_grid grid;
    struct dune_fit_cfg fc;
    int rc = dune_grid_search(&grid, p->b.space, &gc, member, p->b.train, p->b.valid, d);

    if (rc)
        return rc;
    out->evaluations += grid.n_points;
    p->f1[i] = 100 * grid.point[grid.best].macro_f1;
    fc = dune_grid_fit_cfg(&gc, &grid.point[grid.best]);
    p->col[i] = dune_mem_zalloc(p->b.space->n_items, sizeof(**p->col));
    rc = dune_fit_train(&p->fit[i], p->b.space, &fc, member, p->b.train, d);
    if (rc == 0)
        rc = dune_fit_answer(p->fit[i], p->b.space, p->b.valid, p->col[i], d);
    if (rc == 0)
        rc = dune_fit_train(&p->final_fit[i], p->b.space, &fc, member, NULL, d);
    dune_grid_fini(&grid);
    return rc;
}

/* Confusion between blocks: each sub-model alone, Other left out, flow-weighted on validation. */
static int order_blocks(struct paper *p, struct dune_diag *d)
{
    const struct dune_space *s = p->b.space;
    double confusion[DUNE_MAX_BLOCKS * DUNE_MAX_BLOCKS] = {0};

    for (size_t item = 0; item < s->n_items; item++) {
        if (!p->b.valid[s->item_flow[item]])
            continue;
        for (unsigned truth = 0; truth < p->n_blocks; truth++) {
            if (!p->member[(size_t)truth * s->n_classes + s->item_cls[item]])
                continue;
            for (unsigned i = 0; i < p->n_blocks; i++)
                if (p->col[i][item].claim)
                    confusion[truth * p->n_blocks + i] += (double)s->item_w[item] / (double)DUNE_WEIGHT_ONE;
        }
    }
    return dune_sequence_lop(&p->order, p->n_blocks, confusion, p->f1, d);
}

static int build(struct paper *p, struct dune_solution_result *out, struct dune_diag *d)
{
    const struct dune_chain_rule rule = {.claim = DUNE_CLAIM_FIRST, .early_exit = 256};
    struct dune_fit *fit[DUNE_MAX_BLOCKS];
    const struct dune_item_answer *col[DUNE_MAX_BLOCKS];
    uint8_t id[DUNE_MAX_BLOCKS];

    for (unsigned i = 0; i < p->n_blocks; i++) {
        id[i] = (uint8_t)p->order.order[i];
        fit[i] = p->final_fit[id[i]];
        col[i] = p->col[id[i]];
    }
    out->train_macro = dune_baseline_macro(&p->b, col, p->n_blocks, &rule, p->b.valid);
    out->judged_by = "validation split";
    return dune_baseline_finish(&p->b, fit, id, p->n_blocks, &rule, "dune-paper", out, d);
}

static void close_paper(struct paper *p)
{
    for (unsigned i = 0; i < DUNE_MAX_BLOCKS; i++) {
        dune_fit_free(p->fit[i]);
        dune_fit_free(p->final_fit[i]);
        dune_mem_free(p->col[i]);
    }
    dune_mem_free(p->member);
    dune_blocks_free(p->blocks);
    dune_scores_free(p->f);
    dune_importance_free(p->w);
    dune_baseline_close(&p->b);
}

static int solve_paper(const struct dune_solution_job *job, struct dune_solution_result *out,
                       struct dune_diag *d)
{
    struct paper p;
    unsigned max_n = job->ds->max_n ? DUNE_MIN(job->ds->max_n, 4) : 4;
    int rc;

    memset(&p, 0, sizeof(p));
    rc = dune_baseline_open(&p.b, job, job->ds, max_n, d);
    if (rc == 0)
        rc = big_forest(&p, d);
    if (rc == 0)
        rc = make_blocks(&p, d);
    for (unsigned i = 0; rc == 0 && i < p.n_blocks; i++)
        rc = search_block(&p, i, out, d);
    if (rc == 0)
        rc = order_blocks(&p, d);
    if (rc == 0)
        rc = build(&p, out, d);
    close_paper(&p);
    return rc;
}

const struct dune_solution_ops dune_solution_dune_paper = {
    .name = "dune-paper",
    .summary = "DUNE as published: greedy partition, published score, ordering problem, first claim",
    .solve = solve_paper,
};
