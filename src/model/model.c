/* SPDX-License-Identifier: Apache-2.0 */
/* Models of every kind: opening, the rows they see, their probabilities. */
#include "model/model_int.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

static const char *const kind_name[] = {"forest", "scikit-learn", "xgboost", "exec", "predictions"};

const char *dune_model_kind_name(enum dune_model_kind k)
{
    return kind_name[k];
}

/* The text behind a prefix, or NULL. */
static const char *after(const char *spec, const char *prefix)
{
    size_t n = strlen(prefix);

    return strncmp(spec, prefix, n) == 0 ? spec + n : NULL;
}

const char *dune_model_file(const char *spec)
{
    const char *path = after(spec, "predictions:");

    if (path)
        return path;
    return after(spec, "exec:") || after(spec, "exec-npy:") ? NULL : spec;
}

/* --- what models share -------------------------------------------------------------------------------- */

int model_set_features(struct dune_model *m, const struct json_t *list, struct dune_diag *d)
{
    size_t n = json_array_size(list);
    bool seen[DUNE_N_FEATURES] = {false};

    if (!n || n > DUNE_N_FEATURES)
        return dune_diag_set_place(d, DUNE_E_INPUT, m->name, "features", "expected a list of 1 to %d names of features",
                                   (int)DUNE_N_FEATURES);
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        int id = name ? dune_feature_find(name) : -1;

        if (id < 0 || seen[id])
            return dune_diag_set_place(d, DUNE_E_INPUT, m->name, "features", "\"%.60s\" %s", name ? name : "",
                                       id < 0 ? "is not a feature of the catalog" : "is listed twice");
        seen[id] = true;
        m->feat[m->n_feats++] = (uint8_t)id;
    }
    return 0;
}

int model_name_classes(struct dune_model *m, const struct dune_dataset *ds, uint32_t expected, struct dune_diag *d)
{
    if (!ds)
        return dune_diag_set(d, DUNE_E_INPUT, m->name, "the model has no names for its classes, and there is no data set "
                             "to take them from");
    if (expected && ds->n_classes != expected)
        return dune_diag_set(d, DUNE_E_INPUT, m->name, "the model has %u classes without names, the data set %u", expected,
                             ds->n_classes);
    m->named_here = true;
    m->n_classes = ds->n_classes;
    m->class_name = DUNE_NEW_N(char *, m->n_classes);
    for (uint32_t c = 0; c < m->n_classes; c++)
        m->class_name[c] = dune_mem_strdup(ds->class_name[c]);
    return 0;
}

int model_default_view(struct dune_model *m, struct dune_diag *d)
{
    unsigned n = m->cfg.n ? m->cfg.n : 3;
    dune_feature_mask set = m->cfg.features;
    int rc = set ? 0 : dune_feature_set_parse("all", DUNE_MIN(n, (unsigned)DUNE_KTH_MAX), &set, d);

    m->n = n;
    m->mode = m->cfg.mode ? (enum dune_mode)(m->cfg.mode - 1) : DUNE_MODE_RUNNING;
    for (unsigned f = 0; f < DUNE_N_FEATURES && rc == 0; f++)
        if (set >> f & 1)
            m->feat[m->n_feats++] = (uint8_t)f;
    return rc;
}

bool model_normalise(float *p, uint32_t n)
{
    double sum = 0;

    for (uint32_t c = 0; c < n; c++) {
        if (!(p[c] >= 0 && p[c] <= 1.001f))
            return false;
        sum += (double)p[c];
    }
    if (!(sum > 0.98 && sum < 1.02))
        return false;
    for (uint32_t c = 0; c < n && fabs(sum - 1) > 1e-5; c++) /* what was rounded before */
        p[c] = (float)((double)p[c] / sum);
    return true;
}

/* --- opening ------------------------------------------------------------------------------------------ */

static void take_forest(struct dune_model *m, struct dune_forest *f)
{
    m->forest = f;
    m->n = f->n;
    m->mode = f->mode;
    if (!f->n) { /* the file does not say */
        m->n = m->cfg.n ? m->cfg.n : 3;
        m->mode = m->cfg.mode ? (enum dune_mode)(m->cfg.mode - 1) : DUNE_MODE_RUNNING;
        f->n = m->n;
        f->mode = m->mode;
    }
    m->n_feats = f->n_feats;
    memcpy(m->feat, f->feat, f->n_feats);
    m->n_classes = f->n_classes;
    m->class_name = DUNE_NEW_N(char *, f->n_classes);
    for (uint32_t c = 0; c < f->n_classes; c++)
        m->class_name[c] = dune_mem_strdup(f->class_name[c]);
}

static int bad_file(const struct dune_model *m, struct dune_diag *d)
{
    return dune_diag_set(d, DUNE_E_INPUT, m->name, "no model: expected a forest of dunectl train, trees of "
                         "tools/dump_sklearn.py, or XGBoost's JSON");
}

static int open_text(struct dune_model *m, const char *text, size_t len, const struct dune_dataset *ds, struct dune_diag *d)
{
    json_error_t e;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
    const char *format = json_string_value(json_object_get(root, "format"));
    struct dune_forest *f = NULL;
    int rc;

    if (!root)
        return dune_diag_set_line(d, DUNE_E_FORMAT, m->name, e.line > 0 ? (uint64_t)e.line : 1, "bad JSON: %s", e.text);
    if (json_object_get(root, "learner")) {
        m->kind = DUNE_MODEL_XGBOOST;
        rc = boost_from_json(m, root, ds, d);
        if (rc == 0) {
            m->boost->raw = dune_mem_alloc(len, 1);
            memcpy(m->boost->raw, text, len);
            m->boost->raw_len = len;
        }
    } else if (format && strcmp(format, "dune-sklearn") == 0) {
        m->kind = DUNE_MODEL_SKLEARN;
        rc = dune_sklearn_parse(&f, m->name, text, len, d);
    } else if (format) {
        rc = dune_forest_from_json(&f, m->name, "$", root, d);
    } else {
        rc = bad_file(m, d);
    }
    json_decref(root);
    if (rc == 0 && f)
        take_forest(m, f);
    return rc;
}

static int open_file(struct dune_model *m, const char *path, const struct dune_dataset *ds, struct dune_diag *d)
{
    char *text;
    size_t len;
    int rc = dune_file_read(path, &text, &len, d);

    if (rc)
        return rc;
    rc = open_text(m, text, len, ds, d);
    dune_mem_free(text);
    return rc;
}

static int open_exec(struct dune_model *m, const char *command, bool npy, const struct dune_dataset *ds, struct dune_diag *d)
{
    int rc = model_name_classes(m, ds, 0, d);

    m->kind = DUNE_MODEL_EXEC;
    if (rc == 0)
        rc = model_default_view(m, d);
    return rc ? rc : exec_open(&m->exec, command, npy, d);
}

static struct dune_model *model_new(const char *name, const struct dune_model_cfg *cfg)
{
    struct dune_model *m = DUNE_NEW(struct dune_model);

    m->name = dune_mem_strdup(name);
    if (cfg)
        m->cfg = *cfg;
    return m;
}

struct dune_model *dune_model_of_forest(struct dune_forest *f, const struct dune_model_cfg *cfg)
{
    struct dune_model *m = model_new("forest", cfg);

    take_forest(m, f);
    return m;
}

/* Settings that contradict what the model says of itself. */
static int check_view(const struct dune_model *m, struct dune_diag *d)
{
    if (m->cfg.n && m->cfg.n != m->n)
        return dune_diag_set(d, DUNE_E_USAGE, m->name, "the model answers at n = %u, not %u", m->n, m->cfg.n);
    if (m->cfg.mode && m->cfg.mode - 1 != (int)m->mode)
        return dune_diag_set(d, DUNE_E_USAGE, m->name, "the model is of phase %s", dune_mode_name(m->mode));
    return 0;
}

static int finish(struct dune_model **out, struct dune_model *m, int rc, struct dune_diag *d)
{
    if (rc == 0)
        rc = check_view(m, d);
    *out = rc ? NULL : m;
    if (rc)
        dune_model_free(m);
    return rc;
}

int dune_model_open(struct dune_model **out, const char *spec, const struct dune_model_cfg *cfg,
                    const struct dune_dataset *ds, struct dune_diag *d)
{
    const char *csv = after(spec, "exec:"), *npy = after(spec, "exec-npy:"), *pred = after(spec, "predictions:");
    struct dune_model *m = model_new(csv ? csv : npy ? npy : pred ? pred : spec, cfg);
    int rc;

    if (csv || npy)
        rc = open_exec(m, m->name, npy != NULL, ds, d);
    else if (pred)
        rc = predictions_open(m, pred, ds, d);
    else
        rc = open_file(m, spec, ds, d);
    return finish(out, m, rc, d);
}

int dune_model_xgb_parse(struct dune_model **out, const char *name, const char *text, size_t len,
                         const struct dune_model_cfg *cfg, const struct dune_dataset *ds, struct dune_diag *d)
{
    struct dune_model *m = model_new(name, cfg);
    int rc = open_text(m, text, len, ds, d);

    if (rc == 0 && m->kind != DUNE_MODEL_XGBOOST)
        rc = dune_diag_set(d, DUNE_E_INPUT, name, "this is no model of XGBoost");
    return finish(out, m, rc, d);
}

void dune_model_free(struct dune_model *m)
{
    if (!m)
        return;
    for (uint32_t c = 0; m->class_name && c < m->n_classes; c++)
        dune_mem_free(m->class_name[c]);
    dune_mem_free(m->class_name);
    dune_mem_free(m->name);
    dune_forest_free(m->forest);
    boost_free(m->boost);
    exec_free(m->exec);
    dune_predictions_free(m->pred);
    dune_mem_free(m);
}

/* --- rows --------------------------------------------------------------------------------------------- */

static int class_in_model(const struct dune_model *m, const char *name)
{
    for (uint32_t c = 0; c < m->n_classes; c++)
        if (strcmp(m->class_name[c], name) == 0)
            return (int)c;
    return -1;
}

/* Brings the columns of t into the model's order. */
static int order_columns(struct dune_table *t, const struct dune_model *m, struct dune_diag *d)
{
    for (uint32_t to = 0; to < m->n_feats; to++) {
        uint32_t from = to;
        uint32_t *col;

        while (from < t->n_cols && t->feat[from] != m->feat[to])
            from++;
        if (from == t->n_cols)
            return dune_diag_set(d, DUNE_E_INPUT, m->name, "the rows have no feature %s", dune_catalog[m->feat[to]].name);
        col = t->col[from];
        t->col[from] = t->col[to];
        t->col[to] = col;
        t->feat[from] = t->feat[to];
        t->feat[to] = m->feat[to];
    }
    return 0;
}

int dune_model_table(struct dune_table *t, const struct dune_model *m, const struct dune_dataset *ds, const uint8_t *use,
                     uint64_t *left_out, struct dune_diag *d)
{
    int *class_of = DUNE_NEW_N(int, ds->n_classes + (size_t)1);
    uint8_t *mine = DUNE_NEW_N(uint8_t, ds->n_flows);
    struct dune_view view = {.n = m->n, .mode = m->mode, .flow_use = mine};
    uint64_t unknown = 0;
    int rc;

    for (uint32_t c = 0; c < ds->n_classes; c++)
        class_of[c] = class_in_model(m, ds->class_name[c]);
    for (uint32_t i = 0; i < m->n_feats; i++)
        view.features |= (dune_feature_mask)1 << m->feat[i];
    for (uint64_t f = 0; f < ds->n_flows; f++) {
        mine[f] = (!use || use[f]) && class_of[ds->flow_class[f]] >= 0;
        unknown += (!use || use[f]) && class_of[ds->flow_class[f]] < 0;
    }
    rc = dune_table_build(t, ds, &view, d);
    for (size_t i = 0; rc == 0 && i < t->n_rows; i++)
        t->cls[i] = (uint16_t)class_of[t->cls[i]];
    if (rc == 0) {
        t->n_classes = m->n_classes;
        rc = order_columns(t, m, d);
        if (rc)
            dune_table_fini(t);
    }
    if (left_out)
        *left_out = unknown;
    dune_mem_free(class_of);
    dune_mem_free(mine);
    return rc;
}

/* --- probabilities -------------------------------------------------------------------------------------- */

enum { BLOCK = 1024 }; /* rows per job */

struct asking {
    const struct dune_model *m;
    const struct dune_table *t;
    float *p;
};

/* Mean of the shares in the leaves, as scikit-learn has it. */
static void forest_proba(const struct dune_forest *f, const struct dune_table *t, size_t row, float *p)
{
    for (uint32_t i = 0; i < f->n_trees; i++) {
        const uint64_t *h = f->tree[i].hist + (size_t)dune_tree_leaf(&f->tree[i], t->col, row, 0) * f->n_classes;
        uint64_t total = 0;

        for (uint32_t c = 0; c < f->n_classes; c++)
            total += h[c];
        for (uint32_t c = 0; c < f->n_classes && total; c++)
            p[c] += (float)((double)h[c] / (double)total / f->n_trees);
    }
}

static void ask_block(void *ctx, size_t b)
{
    const struct asking *a = ctx;
    size_t end = DUNE_MIN(a->t->n_rows, (b + 1) * BLOCK);

    for (size_t r = b * BLOCK; r < end; r++) {
        float *p = a->p + r * a->m->n_classes;

        memset(p, 0, a->m->n_classes * sizeof(*p));
        if (a->m->forest)
            forest_proba(a->m->forest, a->t, r, p);
        else
            boost_proba(a->m, a->t, r, p);
    }
}

int dune_model_proba(const struct dune_model *m, const struct dune_table *t, float *p, struct dune_diag *d)
{
    struct asking a = {m, t, p};

    if (m->kind == DUNE_MODEL_EXEC)
        return exec_proba(m, t, p, d);
    if (m->kind == DUNE_MODEL_PREDICTIONS)
        return predictions_proba(m, t, p, d);
    dune_parallel_for(m->cfg.threads, (t->n_rows + BLOCK - 1) / BLOCK, ask_block, &a);
    return 0;
}

int dune_model_predict(void *model, const struct dune_table *t, uint16_t *out, struct dune_diag *d)
{
    const struct dune_model *m = model;
    float *p = dune_mem_alloc(t->n_rows * m->n_classes, sizeof(*p));
    int rc = dune_model_proba(m, t, p, d);

    for (size_t r = 0; rc == 0 && r < t->n_rows; r++) {
        const float *row = p + r * m->n_classes;
        uint32_t best = 0;

        for (uint32_t c = 1; c < m->n_classes; c++)
            if (row[c] > row[best])
                best = c;
        out[r] = (uint16_t)best;
    }
    dune_mem_free(p);
    return rc;
}
