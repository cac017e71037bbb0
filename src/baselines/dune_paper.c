/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DUNE as published (INFOCOM 2025): unconstrained forest -> importance -> greedy partition -> the
 * published grid per block over the block's own features -> order by the linear ordering problem ->
 * first claim wins. Everything is chosen on the validation split, never on test.
 */
#include "baselines/baselines_int.h"

#include <string.h>

#include "base/base.h"
#include "dune/model.h"
#include "dune/sequence.h"

struct paper {
    struct dune_baseline b;
    struct dune_importance *w;
    struct dune_scores *f;
    struct dune_blocks *blocks;
    struct dune_block_fit sub[DUNE_MAX_BLOCKS];
    uint8_t *member;            /* [n_blocks][n_classes] */
    unsigned n_blocks;
    struct dune_order order;
    double confusion[DUNE_MAX_BLOCKS * DUNE_MAX_BLOCKS], f1[DUNE_MAX_BLOCKS]; /* what the order is from */
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

/* Flows of the data set that are 1 in a mask of the space. */
static uint8_t *flows_of(const struct dune_space *s, const uint8_t *mask)
{
    uint8_t *use = DUNE_NEW_N(uint8_t, s->ds->n_flows);

    for (uint32_t k = 0; k < s->n_flows; k++)
        use[s->flow[k]] = mask[k];
    return use;
}

/* W and f from a model of the user's, on the validation flows. */
static int big_model(struct paper *p, struct dune_diag *d)
{
    const struct dune_solution_job *job = p->b.job;
    unsigned n = DUNE_MIN(3, p->b.space->max_n);
    const struct dune_model_cfg mc = {.threads = job->cfg.threads, .n = n, .mode = DUNE_MODE_PUBLISHED + 1,
                                      .features = dune_baseline_features(job, "paper", n)};
    uint8_t *train = flows_of(p->b.space, p->b.train), *valid = flows_of(p->b.space, p->b.valid);
    struct dune_model *m = NULL;
    int rc = dune_model_for_planning(&m, job->cfg.model, &mc, job->cfg.seed, p->b.space->ds, train, d);

    if (rc == 0)
        rc = dune_model_explain(&p->w, &p->f, m, job->cfg.seed, p->b.space->ds, valid, d);
    dune_model_free(m);
    dune_mem_free(train);
    dune_mem_free(valid);
    return rc;
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

/* Classes without a train flow cannot be learnt and are in no block. */
static int divide(struct paper *p, uint32_t n_blocks, struct dune_diag *d)
{
    const struct dune_space *s = p->b.space;
    const char **name = DUNE_NEW_N(const char *, s->n_classes);
    struct dune_partition_cfg pc = {.method = DUNE_PART_GREEDY, .seed = p->b.job->cfg.seed, .n_blocks = n_blocks,
                                    .classes = name};
    uint8_t *present = DUNE_NEW_N(uint8_t, s->n_classes);
    int rc;

    for (uint32_t k = 0; k < s->n_flows; k++)
        present[s->ds->flow_class[s->flow[k]]] = 1;
    for (uint32_t c = 0; c < s->n_classes; c++)
        if (present[c])
            name[pc.n_classes++] = s->ds->class_name[c];
    dune_blocks_free(p->blocks);
    p->blocks = NULL;
    rc = dune_partition(&p->blocks, p->w, p->f, &pc, d);
    dune_mem_free(present);
    dune_mem_free(name);
    return rc;
}

/* Greedy blocks; more blocks than devices are cut to as many blocks as there are devices. */
static int make_blocks(struct paper *p, struct dune_diag *d)
{
    const struct dune_dataset *ds = p->b.space->ds;
    unsigned devices = DUNE_MIN(p->b.job->cfg.devices, DUNE_MAX_BLOCKS);
    int rc = divide(p, 0, d);

    if (rc == 0 && p->blocks->n_blocks > devices)
        rc = divide(p, devices, d);
    if (rc)
        return rc;
    p->n_blocks = p->blocks->n_blocks;
    p->member = DUNE_NEW_N(uint8_t, (size_t)p->n_blocks * ds->n_classes);
    for (unsigned i = 0; rc == 0 && i < p->n_blocks; i++)
        rc = dune_block_members(p->blocks, i, ds, p->member + (size_t)i * ds->n_classes, d);
    return rc;
}

static int search_block(struct paper *p, unsigned i, struct dune_solution_result *out, struct dune_diag *d)
{
    dune_feature_mask own = dune_block_features(p->blocks, i);
    struct dune_grid_cfg gc = {.budget = p->b.job->cfg.budget, .mode = DUNE_MODE_PUBLISHED,
                               .features = dune_baseline_features(p->b.job, "paper", 4),
                               .block_features = own ? &own : NULL, .sqrt_features = true,
                               .seed = p->b.job->cfg.seed};
    int rc = dune_block_fit_search(&p->sub[i], p->b.space, &gc,
                                   p->member + (size_t)i * p->b.space->n_classes, p->b.train, p->b.valid, d);

    out->evaluations += p->sub[i].grid.n_points;
    return rc;
}

static int order_blocks(struct paper *p, struct dune_diag *d)
{
    const struct dune_item_answer *col[DUNE_MAX_BLOCKS];

    for (unsigned i = 0; i < p->n_blocks; i++) {
        col[i] = p->sub[i].col;
        p->f1[i] = 100 * p->sub[i].grid.point[p->sub[i].grid.best].macro_f1;
    }
    dune_block_confusion(p->b.space, p->n_blocks, p->member, col, p->b.valid, p->confusion);
    return dune_sequence_lop(&p->order, p->n_blocks, p->confusion, p->f1, d);
}

static int build(struct paper *p, struct dune_solution_result *out, struct dune_diag *d)
{
    const struct dune_chain_rule rule = {.claim = DUNE_CLAIM_FIRST, .early_exit = 256};
    struct dune_fit *fit[DUNE_MAX_BLOCKS];
    const struct dune_item_answer *col[DUNE_MAX_BLOCKS];
    uint8_t id[DUNE_MAX_BLOCKS];

    for (unsigned i = 0; i < p->n_blocks; i++) {
        id[i] = (uint8_t)p->order.order[i];
        fit[i] = p->sub[id[i]].final;
        col[i] = p->sub[id[i]].col;
    }
    out->train_macro = dune_baseline_macro(&p->b, col, p->n_blocks, &rule, p->b.valid);
    out->judged_by = "validation split";
    out->notes = dune_paper_notes(&(struct dune_paper_steps){
        .blocks = p->blocks, .w = p->w, .f = p->f, .n = p->n_blocks, .sub = p->sub, .confusion = p->confusion,
        .f1 = p->f1, .order = &p->order});
    return dune_baseline_finish(&p->b, fit, id, p->n_blocks, &rule, "dune-paper", out, d);
}

static void close_paper(struct paper *p)
{
    for (unsigned i = 0; i < DUNE_MAX_BLOCKS; i++)
        dune_block_fit_fini(&p->sub[i]);
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
        rc = job->cfg.model ? big_model(&p, d) : big_forest(&p, d);
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
