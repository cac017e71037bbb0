/* SPDX-License-Identifier: Apache-2.0 */
/* What a model explains its classes with, and how well it recognises them. */
#include "model/model_int.h"

#include <jansson.h>
#include <string.h>

enum { SURROGATE_TREES = 17, SURROGATE_DEPTH = 24 };

const char *dune_model_method_name(enum dune_model_method m)
{
    static const char *const name[] = {"native", "gini", "shap", "permutation"};

    return name[m];
}

/*
 * Predictions cannot be asked about rows that were not predicted. A forest learns what they say, and its Gini decrease
 * tells what the classes can be told apart by.
 */
static int surrogate(struct dune_forest **out, const struct dune_model *m, const struct dune_table *t, struct dune_diag *d)
{
    struct dune_train_cfg tc = {.n_trees = SURROGATE_TREES, .max_depth = SURROGATE_DEPTH, .sqrt_features = true, .seed = 1,
                                .threads = m->cfg.threads};
    struct dune_table said = *t;
    int rc;

    said.cls = dune_mem_alloc(t->n_rows, sizeof(*said.cls));
    rc = dune_model_predict((void *)(uintptr_t)m, t, said.cls, d);
    if (rc == 0)
        rc = dune_forest_train(out, &said, &tc, d);
    if (rc == 0)
        dune_forest_set_names(*out, (const char *const *)m->class_name);
    dune_mem_free(said.cls);
    return rc;
}

static int by_gini(struct dune_importance **out, const struct dune_model *m, const struct dune_table *t, struct dune_diag *d)
{
    struct dune_forest *f = NULL;
    int rc;

    if (m->forest)
        return dune_importance_gini(out, m->forest, d);
    if (m->kind != DUNE_MODEL_PREDICTIONS)
        return dune_diag_set(d, DUNE_E_USAGE, m->name, "there is no Gini impurity in a model of kind %s",
                             dune_model_kind_name(m->kind));
    rc = surrogate(&f, m, t, d);
    if (rc == 0)
        rc = dune_importance_gini(out, f, d);
    dune_forest_free(f);
    return rc;
}

static int by_shap(struct dune_importance **out, const struct dune_model *m, const struct dune_table *t, struct dune_diag *d)
{
    struct dune_importance *w;
    int rc;

    if (m->kind != DUNE_MODEL_XGBOOST)
        return dune_diag_set(d, DUNE_E_USAGE, m->name, "contributions are known of models of XGBoost only");
    w = dune_importance_new(m->n_classes, m->class_name, m->n_feats, m->feat);
    rc = xgb_contributions(m, t, w->w, d);
    if (rc == 0)
        dune_importance_normalise(w);
    *out = rc ? NULL : w;
    if (rc)
        dune_importance_free(w);
    return rc;
}

static int by_permutation(struct dune_importance **out, const struct dune_model *m, const struct dune_table *t,
                          const struct dune_permute_cfg *pc, struct dune_importance_spread **spread, struct dune_diag *d)
{
    struct dune_permute_cfg c = *pc;

    if (m->kind == DUNE_MODEL_PREDICTIONS)
        return dune_diag_set(d, DUNE_E_USAGE, m->name, "predictions cannot be asked about shuffled rows: --method gini");
    if (m->kind == DUNE_MODEL_EXEC && !c.batch_rows)
        c.batch_rows = m->cfg.batch_rows ? m->cfg.batch_rows : 400000;
    return dune_importance_permute(out, spread, t, m->class_name, dune_model_predict, (void *)(uintptr_t)m, &c, d);
}

static enum dune_model_method native(const struct dune_model *m)
{
    switch (m->kind) {
    case DUNE_MODEL_XGBOOST:
        return dune_xgb_version() ? DUNE_MODEL_SHAP : DUNE_MODEL_PERMUTATION;
    case DUNE_MODEL_EXEC:
        return DUNE_MODEL_PERMUTATION;
    case DUNE_MODEL_FOREST:
    case DUNE_MODEL_SKLEARN:
    case DUNE_MODEL_PREDICTIONS:
        break;
    }
    return DUNE_MODEL_GINI;
}

int dune_model_importance(struct dune_importance **out, const struct dune_model *m, const struct dune_table *t,
                          enum dune_model_method *method, const struct dune_permute_cfg *pc,
                          struct dune_importance_spread **spread, struct dune_diag *d)
{
    *out = NULL;
    if (*method == DUNE_MODEL_NATIVE)
        *method = native(m);
    if (*method == DUNE_MODEL_GINI)
        return by_gini(out, m, t, d);
    if (*method == DUNE_MODEL_SHAP)
        return by_shap(out, m, t, d);
    return by_permutation(out, m, t, pc, spread, d);
}

int dune_model_scores(struct dune_scores **out, const struct dune_model *m, const struct dune_table *t, struct dune_diag *d)
{
    uint16_t *pred = dune_mem_alloc(t->n_rows, sizeof(*pred));
    struct dune_confusion conf;
    int rc = dune_model_predict((void *)(uintptr_t)m, t, pred, d);

    if (rc == 0) {
        dune_confusion_init(&conf, m->n_classes);
        for (size_t i = 0; i < t->n_rows; i++)
            dune_confusion_add(&conf, t->cls[i], pred[i], t->w[i]);
        *out = dune_scores_make(&conf, m->class_name, DUNE_WEIGHT_ONE);
        dune_confusion_fini(&conf);
    }
    dune_mem_free(pred);
    return rc;
}

bool dune_xgb_recipe(const struct dune_model *m, const struct dune_dataset *ds, struct dune_xgb_cfg *cfg)
{
    const char *rows, *how;
    unsigned long long seed;

    if (m->kind != DUNE_MODEL_XGBOOST)
        return false;
    rows = json_string_value(json_object_get(m->boost->attributes, "dune_rows"));
    how = json_string_value(json_object_get(m->boost->attributes, "dune_trained"));
    if (!rows || !how || strcmp(rows, ds->hash) != 0 ||
        sscanf(how, "%u %u %lf %lf %llu", &cfg->rounds, &cfg->max_depth, &cfg->eta, &cfg->balance, &seed) != 5)
        return false;
    cfg->seed = seed;
    return cfg->rounds <= 100000 && cfg->max_depth <= 64 && cfg->eta <= 1 && cfg->balance >= 0 && cfg->balance <= 4;
}
