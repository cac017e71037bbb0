/* SPDX-License-Identifier: Apache-2.0 */
/* What a model tells the planners: W and f, and what it holds of every packet. */
#include "model/model_int.h"

#include <string.h>

#include "base/base.h"

bool dune_model_is_trained_here(const char *spec)
{
    return strcmp(spec, "xgboost") == 0;
}

int dune_model_for_planning(struct dune_model **out, const char *spec, const struct dune_model_cfg *mc, uint64_t seed,
                            const struct dune_dataset *ds, const uint8_t *train, struct dune_diag *d)
{
    const struct dune_xgb_cfg xc = {.seed = seed};
    const struct dune_model_cfg as_is = {.threads = mc->threads, .timeout_s = mc->timeout_s, .batch_rows = mc->batch_rows};
    char *text;
    size_t len;
    int rc;

    *out = NULL;
    if (!dune_model_is_trained_here(spec))
        return dune_model_open(out, spec, &as_is, ds, d);
    rc = dune_xgb_train(&text, &len, ds, mc->n, (enum dune_mode)(mc->mode - 1), mc->features, &xc, train, d);
    if (rc == 0)
        rc = dune_model_xgb_parse(out, spec, text, len, &as_is, ds, d);
    dune_mem_free(text);
    return rc;
}

int dune_model_explain(struct dune_importance **w, struct dune_scores **f, const struct dune_model *m, uint64_t seed,
                       const struct dune_dataset *ds, const uint8_t *use, struct dune_diag *d)
{
    const struct dune_permute_cfg pc = {.seed = seed};
    enum dune_model_method method = DUNE_MODEL_NATIVE;
    struct dune_table t = {0};
    int rc = dune_model_table(&t, m, ds, use, NULL, d);

    if (rc == 0)
        rc = dune_model_scores(f, m, &t, d);
    if (rc == 0)
        rc = dune_model_importance(w, m, &t, &method, &pc, NULL, d);
    if (t.feat)
        dune_table_fini(&t);
    return rc;
}

/* --- what it holds of every packet -------------------------------------------------------------------- */

void dune_told_init(struct dune_told *told, const struct dune_dataset *ds)
{
    size_t n = (size_t)ds->n_flows * DUNE_TOLD_PACKETS;

    told->rival = dune_mem_alloc(n, sizeof(*told->rival));
    told->share = DUNE_NEW_N(float, n);
    for (size_t i = 0; i < n; i++)
        told->rival[i] = DUNE_NO_CLASS;
}

void dune_told_fini(struct dune_told *told)
{
    dune_mem_free(told->rival);
    dune_mem_free(told->share);
    *told = (struct dune_told){0};
}

uint64_t dune_told_hash(const struct dune_told *told, const struct dune_dataset *ds)
{
    uint64_t h = 0;

    for (size_t i = 0; i < (size_t)ds->n_flows * DUNE_TOLD_PACKETS; i++)
        h = dune_mix64(h, ((uint64_t)told->rival[i] << 32) | (uint64_t)(told->share[i] * 1e6f));
    return h;
}

/* The strongest class besides the row's own, and its share of the two. of[c]: class c of the model in the data set. */
static void note_rival(struct dune_told *told, size_t at, const float *p, uint32_t own, const int *of, uint32_t n)
{
    uint32_t best = own;

    for (uint32_t c = 0; c < n; c++)
        if (c != own && of[c] >= 0 && p[c] > 0 && (best == own || p[c] > p[best]))
            best = c;
    told->rival[at] = best == own ? DUNE_NO_CLASS : (uint16_t)of[best];
    told->share[at] = best == own ? 0 : p[best] / (p[best] + p[own]);
}

/* What was said of the last packet asked about holds for the later ones, as an answer of a flow does. */
static void fill_forward(struct dune_told *told, const struct dune_table *t)
{
    for (size_t r = 0; r < t->n_rows; r++) {
        bool last = r + 1 == t->n_rows || t->flow[r + 1] != t->flow[r];
        size_t at = (size_t)t->flow[r] * DUNE_TOLD_PACKETS;

        for (unsigned k = t->pos[r]; last && k < DUNE_TOLD_PACKETS; k++) {
            told->rival[at + k] = told->rival[at + t->pos[r] - 1];
            told->share[at + k] = told->share[at + t->pos[r] - 1];
        }
    }
}

int dune_model_tell(const struct dune_model *m, const struct dune_dataset *ds, const uint8_t *use, struct dune_told *told,
                    struct dune_diag *d)
{
    int *of = DUNE_NEW_N(int, m->n_classes);
    struct dune_table t = {0};
    float *p = NULL;
    int rc = dune_model_table(&t, m, ds, use, NULL, d);

    for (uint32_t c = 0; c < m->n_classes; c++) {
        of[c] = -1;
        for (uint32_t k = 0; k < ds->n_classes; k++)
            if (strcmp(m->class_name[c], ds->class_name[k]) == 0)
                of[c] = (int)k;
    }
    if (rc == 0) {
        p = dune_mem_alloc(t.n_rows * m->n_classes, sizeof(*p));
        rc = dune_model_proba(m, &t, p, d);
    }
    for (size_t r = 0; rc == 0 && r < t.n_rows; r++)
        if (t.pos[r] <= DUNE_TOLD_PACKETS)
            note_rival(told, (size_t)t.flow[r] * DUNE_TOLD_PACKETS + t.pos[r] - 1, p + r * m->n_classes, t.cls[r], of,
                       m->n_classes);
    if (rc == 0)
        fill_forward(told, &t);
    if (t.feat)
        dune_table_fini(&t);
    dune_mem_free(p);
    dune_mem_free(of);
    return rc;
}
