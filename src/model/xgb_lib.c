/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libxgboost, for what its files do not hold: training, and contributions of features to classes (SHAP values).
 * One thread: sums of floats then have one order, and the same seed gives the same bytes.
 */
#include "base/lazy.h"
#include "model/model_int.h"
#include "model/xgb_file.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <xgboost/c_api.h>

#define XGB_API(F)                                                                                           \
    F(XGBGetLastError) F(XGBoostVersion) F(XGBoosterCreate) F(XGBoosterFree) F(XGBoosterLoadModelFromBuffer) \
    F(XGBoosterPredictFromDMatrix) F(XGBoosterSaveModelToBuffer) F(XGBoosterSetAttr) F(XGBoosterSetParam)    \
    F(XGBoosterSetStrFeatureInfo) F(XGBoosterUpdateOneIter) F(XGDMatrixCreateFromMat) F(XGDMatrixFree)       \
    F(XGDMatrixSetFloatInfo)
DUNE_LAZY_LIBRARY(xgb_api, XGB_API, DUNE_XGB_FILE, "XGBoost");

enum { CHUNK = 8192, PREDICT_CONTRIBUTIONS = 2 };

struct xgb {
    DMatrixHandle rows;
    BoosterHandle booster;
    const char *name; /* for messages */
    struct dune_diag *d;
};

/* 0, or an error with XGBoost's words. */
static int check(struct xgb *x, int rc)
{
    char words[200];

    if (rc == 0)
        return 0;
    snprintf(words, sizeof(words), "%s", xgb_api.XGBGetLastError());
    words[strcspn(words, "\n")] = '\0';
    return dune_diag_set(x->d, DUNE_E_INPUT, x->name, "XGBoost: %s", words);
}

static void fini(struct xgb *x)
{
    if (x->booster)
        (void)xgb_api.XGBoosterFree(x->booster);
    if (x->rows)
        (void)xgb_api.XGDMatrixFree(x->rows);
}

static int make_rows(struct xgb *x, const struct dune_table *t, size_t first, size_t n)
{
    float *v = dune_mem_alloc(n * t->n_cols, sizeof(*v));
    int rc;

    for (size_t r = 0; r < n; r++)
        for (uint32_t j = 0; j < t->n_cols; j++)
            v[r * t->n_cols + j] = (float)dune_model_value(t->feat[j], t->col[j][first + r]);
    rc = check(x, xgb_api.XGDMatrixCreateFromMat(v, n, t->n_cols, NAN, &x->rows));
    dune_mem_free(v);
    return rc;
}

static int set_floats(struct xgb *x, const char *field, const struct dune_table *t, bool weight)
{
    float *v = dune_mem_alloc(t->n_rows, sizeof(*v));
    int rc;

    for (size_t r = 0; r < t->n_rows; r++)
        v[r] = weight ? (float)((double)t->w[r] / (double)DUNE_WEIGHT_ONE) : (float)t->cls[r];
    rc = check(x, xgb_api.XGDMatrixSetFloatInfo(x->rows, field, v, t->n_rows));
    dune_mem_free(v);
    return rc;
}

static int set_param(struct xgb *x, const char *name, const char *fmt, double v)
{
    char text[40];

    snprintf(text, sizeof(text), fmt, v);
    return check(x, xgb_api.XGBoosterSetParam(x->booster, name, text));
}

static int set_params(struct xgb *x, const struct dune_xgb_cfg *c, uint32_t n_classes)
{
    int rc = check(x, xgb_api.XGBoosterSetParam(x->booster, "objective", "multi:softprob"));

    if (rc == 0)
        rc = check(x, xgb_api.XGBoosterSetParam(x->booster, "tree_method", "hist"));
    if (rc == 0)
        rc = set_param(x, "num_class", "%.0f", n_classes);
    if (rc == 0)
        rc = set_param(x, "nthread", "%.0f", 1);
    if (rc == 0)
        rc = set_param(x, "verbosity", "%.0f", 0);
    if (rc == 0)
        rc = set_param(x, "max_depth", "%.0f", c->max_depth ? c->max_depth : 6);
    if (rc == 0)
        rc = set_param(x, "eta", "%.9g", c->eta > 0 ? c->eta : 0.3);
    return rc ? rc : set_param(x, "seed", "%.0f", (double)(c->seed & INT32_MAX));
}

static int set_names(struct xgb *x, const struct dune_table *t)
{
    const char *name[DUNE_N_FEATURES];

    for (uint32_t j = 0; j < t->n_cols; j++)
        name[j] = dune_catalog[t->feat[j]].published;
    return check(x, xgb_api.XGBoosterSetStrFeatureInfo(x->booster, "feature_name", name, t->n_cols));
}

static int set_attributes(struct xgb *x, const struct dune_dataset *ds, unsigned n, enum dune_mode mode,
                          const struct dune_xgb_cfg *c)
{
    json_t *list = json_array();
    char *classes, text[160];
    int rc;

    for (uint32_t k = 0; k < ds->n_classes; k++)
        json_array_append_new(list, json_string(ds->class_name[k]));
    classes = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    rc = check(x, xgb_api.XGBoosterSetAttr(x->booster, "dune_classes", classes));
    free(classes);
    snprintf(text, sizeof(text), "%u", n);
    if (rc == 0)
        rc = check(x, xgb_api.XGBoosterSetAttr(x->booster, "dune_n", text));
    if (rc == 0)
        rc = check(x, xgb_api.XGBoosterSetAttr(x->booster, "dune_phase", dune_mode_name(mode)));
    if (rc == 0)
        rc = check(x, xgb_api.XGBoosterSetAttr(x->booster, "dune_rows", ds->hash));
    snprintf(text, sizeof(text), "%u %u %.17g %.17g %llu", c->rounds, c->max_depth, c->eta, c->balance,
             (unsigned long long)c->seed);
    return rc ? rc : check(x, xgb_api.XGBoosterSetAttr(x->booster, "dune_trained", text));
}

static int train(struct xgb *x, const struct dune_table *t, const struct dune_xgb_cfg *c)
{
    uint32_t rounds = c->rounds ? c->rounds : 100;
    int rc = make_rows(x, t, 0, t->n_rows);

    if (rc == 0)
        rc = set_floats(x, "label", t, false);
    if (rc == 0)
        rc = set_floats(x, "weight", t, true);
    if (rc == 0)
        rc = check(x, xgb_api.XGBoosterCreate(&x->rows, 1, &x->booster));
    if (rc == 0)
        rc = set_params(x, c, t->n_classes);
    for (uint32_t i = 0; i < rounds && rc == 0; i++)
        rc = dune_interrupted() ? dune_diag_set(x->d, DUNE_E_INTERRUPTED, NULL, "interrupted")
                                : check(x, xgb_api.XGBoosterUpdateOneIter(x->booster, (int)i, x->rows));
    return rc ? rc : set_names(x, t);
}

static int save(struct xgb *x, char **text, size_t *len)
{
    const char *bytes = NULL;
    bst_ulong n = 0;
    int rc = check(x, xgb_api.XGBoosterSaveModelToBuffer(x->booster, "{\"format\": \"json\"}", &n, &bytes));

    if (rc)
        return rc;
    *text = dune_mem_alloc(n + 1, 1);
    memcpy(*text, bytes, n);
    (*text)[n] = '\0';
    *len = n;
    return 0;
}

int dune_xgb_train(char **text, size_t *len, const struct dune_dataset *ds, unsigned n, enum dune_mode mode,
                   dune_feature_mask features, const struct dune_xgb_cfg *cfg, const uint8_t *use, struct dune_diag *d)
{
    struct xgb x = {.d = d};
    uint8_t *train_flows = dune_mem_alloc(ds->n_flows, 1);
    struct dune_view v = {.n = n, .mode = mode, .features = features, .flow_use = use ? use : train_flows};
    struct dune_table t;
    int rc;

    for (uint64_t f = 0; f < ds->n_flows; f++)
        train_flows[f] = ds->flow_split[f] == DUNE_SPLIT_TRAIN;
    *text = NULL;
    rc = dune_lazy_open(&xgb_api_lib, d);
    if (rc == 0)
        rc = dune_table_build(&t, ds, &v, d);
    dune_mem_free(train_flows);
    if (rc)
        return rc;
    dune_table_balance(&t, cfg->balance);
    rc = train(&x, &t, cfg);
    if (rc == 0)
        rc = set_attributes(&x, ds, n, mode, cfg);
    if (rc == 0)
        rc = save(&x, text, len);
    fini(&x);
    dune_table_fini(&t);
    return rc;
}

/* --- contributions -------------------------------------------------------------------------------------- */

/* weight[c]: what a row counts for class c: half for its own rows together, half for the others. */
static double *class_weights(const struct dune_table *t)
{
    double *w = DUNE_NEW_N(double, t->n_classes + (size_t)1);

    for (size_t r = 0; r < t->n_rows; r++) {
        w[t->cls[r]] += (double)t->w[r];
        w[t->n_classes] += (double)t->w[r];
    }
    return w;
}

static void add_chunk(const struct dune_model *m, const struct dune_table *t, size_t first, size_t n, const float *phi,
                      const double *total, double *w)
{
    uint32_t groups = m->boost->n_groups, cols = m->n_feats;

    for (size_t r = 0; r < n; r++)
        for (uint32_t c = 0; c < m->n_classes; c++) {
            const float *row = phi + (r * groups + (groups == 1 ? 0 : c)) * (cols + 1);
            bool own = t->cls[first + r] == c;
            double all = own ? total[c] : total[m->n_classes] - total[c];
            double share = all > 0 ? (double)t->w[first + r] / all : 0;

            for (uint32_t j = 0; j < cols; j++)
                w[(size_t)c * cols + j] += share * fabs((double)row[j]);
        }
}

static int contribute(struct xgb *x, const struct dune_model *m, const struct dune_table *t, size_t first, size_t n,
                      const double *total, double *w)
{
    const float *phi = NULL;
    const bst_ulong *shape = NULL;
    bst_ulong dim = 0;
    char how[160];
    int rc = make_rows(x, t, first, n);

    snprintf(how, sizeof(how), "{\"type\": %d, \"training\": false, \"iteration_begin\": 0, \"iteration_end\": 0, "
             "\"strict_shape\": true}", PREDICT_CONTRIBUTIONS);
    if (rc == 0)
        rc = check(x, xgb_api.XGBoosterPredictFromDMatrix(x->booster, x->rows, how, &shape, &dim, &phi));
    if (rc == 0 && (dim != 3 || shape[0] != n || shape[1] != m->boost->n_groups || shape[2] != m->n_feats + 1))
        rc = dune_diag_set(x->d, DUNE_E_INTERNAL, m->name, "contributions of XGBoost have another shape than expected");
    if (rc == 0)
        add_chunk(m, t, first, n, phi, total, w);
    if (x->rows)
        (void)xgb_api.XGDMatrixFree(x->rows);
    x->rows = NULL;
    return rc;
}

int xgb_contributions(const struct dune_model *m, const struct dune_table *t, double *w, struct dune_diag *d)
{
    struct xgb x = {.d = d, .name = m->name};
    double *total;
    int rc = dune_lazy_open(&xgb_api_lib, d);

    if (rc)
        return rc;
    total = class_weights(t);
    rc = check(&x, xgb_api.XGBoosterCreate(NULL, 0, &x.booster));
    if (rc == 0)
        rc = check(&x, xgb_api.XGBoosterLoadModelFromBuffer(x.booster, m->boost->raw, m->boost->raw_len));
    if (rc == 0)
        rc = check(&x, xgb_api.XGBoosterSetParam(x.booster, "nthread", "1"));
    for (size_t at = 0; at < t->n_rows && rc == 0; at += CHUNK)
        rc = dune_interrupted() ? dune_diag_set(d, DUNE_E_INTERRUPTED, NULL, "interrupted")
                                : contribute(&x, m, t, at, DUNE_MIN(t->n_rows - at, (size_t)CHUNK), total, w);
    fini(&x);
    dune_mem_free(total);
    return rc;
}

const char *dune_xgb_version(void)
{
    static char text[32];
    int a, b, c;

    if (dune_lazy_open(&xgb_api_lib, NULL))
        return NULL;
    xgb_api.XGBoostVersion(&a, &b, &c);
    snprintf(text, sizeof(text), "%d.%d.%d", a, b, c);
    return text;
}
