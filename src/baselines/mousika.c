/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mousika (G. Xie, Q. Li et al., "Mousika: Enable General In-Network Intelligence in Programmable
 * Switches by Knowledge Distillation", IEEE INFOCOM 2022): packet features only, one tree distilled
 * from a packet-level forest on the first device, every packet answered by itself.
 */
#include "baselines/baselines_int.h"

#include <string.h>

#include "base/base.h"

#define TEACHER_TREES 20

/* Labels of every row as the teacher predicts them. */
static int teach(const struct dune_baseline *b, const struct dune_space_view *v, dune_feature_mask set,
                 double *gain, uint16_t *label, uint64_t *w, struct dune_diag *d)
{
    struct dune_train_cfg tc = {.n_trees = TEACHER_TREES, .sqrt_features = true, .max_depth = 24,
                                .seed = b->job->cfg.seed, .threads = b->job->cfg.threads};
    struct dune_forest *forest = NULL;
    struct dune_table cols = v->table;
    uint32_t **col;
    int rc;

    memcpy(w, v->table.w, v->table.n_rows * sizeof(*w));
    rc = dune_trainer_fit(v->trainer, &forest, v->table.cls, v->table.n_classes, w, set, &tc, d);
    if (rc)
        return rc;
    dune_forest_feature_gain(forest, gain);
    col = DUNE_NEW_N(uint32_t *, forest->n_feats);
    for (uint32_t j = 0; j < forest->n_feats; j++)
        for (uint32_t c = 0; c < v->table.n_cols; c++)
            if (v->table.feat[c] == forest->feat[j])
                col[j] = v->table.col[c];
    cols.n_cols = forest->n_feats;
    cols.feat = forest->feat;
    cols.col = col;
    dune_forest_predict(forest, &cols, b->job->cfg.threads, label);
    dune_mem_free(col);
    dune_forest_free(forest);
    return 0;
}

static dune_feature_mask top_features(const double *gain, dune_feature_mask set, uint32_t keep)
{
    dune_feature_mask m = 0;

    for (; keep; keep--) {
        int best = -1;

        for (int j = 0; j < DUNE_N_FEATURES; j++)
            if ((set & ~m) >> j & 1 && gain[j] > 0 && (best < 0 || gain[j] > gain[best]))
                best = j;
        if (best < 0)
            break;
        m |= UINT64_C(1) << best;
    }
    return m;
}

/* A fit made of the distilled tree, as if it had been trained on the true labels. */
static struct dune_fit *wrap(const struct dune_baseline *b, struct dune_forest *forest)
{
    struct dune_fit *fit = DUNE_NEW(struct dune_fit);
    const struct dune_dataset *ds = b->space->ds;

    fit->cfg = (struct dune_fit_cfg){.n = 1, .mode = DUNE_MODE_PACKET, .n_trees = 1};
    fit->n_classes = ds->n_classes;
    fit->cls = dune_mem_alloc(ds->n_classes, sizeof(*fit->cls));
    for (uint32_t c = 0; c < ds->n_classes; c++)
        fit->cls[c] = (uint16_t)c;
    dune_forest_set_names(forest, ds->class_name);
    forest->n = 1;
    forest->mode = DUNE_MODE_PACKET;
    fit->forest = forest;
    for (uint32_t i = 0; i < forest->tree[0].n_nodes; i++)
        if (forest->tree[0].node[i].feat >= 0)
            fit->used |= UINT64_C(1) << forest->feat[forest->tree[0].node[i].feat];
    return fit;
}

static int distil(const struct dune_baseline *b, struct dune_fit **out, struct dune_diag *d)
{
    const struct dune_space_view *v = b->space->view[1][DUNE_MODE_PACKET];
    const struct dune_budget *budget = &b->job->cfg.budget;
    dune_feature_mask set = dune_baseline_features(b->job, "pkt", 1);
    struct dune_train_cfg tc = {.n_trees = 1, .max_leaves = budget->leaves_sum, .seed = b->job->cfg.seed};
    uint16_t *label = dune_mem_alloc(v->table.n_rows, sizeof(*label));
    uint64_t *w = dune_mem_alloc(v->table.n_rows, sizeof(*w));
    struct dune_forest *forest = NULL;
    double gain[DUNE_N_FEATURES];
    int rc = teach(b, v, set, gain, label, w, d);

    if (rc == 0 && budget->features_distinct)
        set = top_features(gain, set, budget->features_distinct);
    if (rc == 0)
        rc = dune_trainer_fit(v->trainer, &forest, label, v->table.n_classes, w, set, &tc, d);
    if (rc == 0)
        *out = wrap(b, forest);
    dune_mem_free(label);
    dune_mem_free(w);
    return rc;
}

static int solve_mousika(const struct dune_solution_job *job, struct dune_solution_result *out,
                         struct dune_diag *d)
{
    const struct dune_chain_rule rule = {.claim = DUNE_CLAIM_FIRST, .early_exit = 256};
    struct dune_baseline b;
    struct dune_fit *fit = NULL;
    uint8_t id = 0;
    int rc = dune_baseline_open(&b, job, job->all ? job->all : job->ds, 1, d);

    if (rc == 0)
        rc = dune_space_prepare(b.space, 1, DUNE_MODE_PACKET, d);
    if (rc == 0)
        rc = distil(&b, &fit, d);
    if (rc == 0)
        rc = dune_baseline_finish(&b, &fit, &id, 1, &rule, "mousika", out, d);
    out->judged_by = "nothing was chosen";
    out->evaluations = 1;
    dune_fit_free(fit);
    dune_baseline_close(&b);
    return rc;
}

const struct dune_solution_ops dune_solution_mousika = {
    .name = "mousika",
    .summary = "one packet-level tree distilled from a forest, on the first device",
    .needs_all_packets = true,
    .solve = solve_mousika,
};
