/* SPDX-License-Identifier: Apache-2.0 */
/* The search behind a chain, for the notes: its steps, what explains the classes, and what smaller sub-models would do. */
#include <string.h>

#include "base/base.h"
#include "planner/planner_int.h"

static void put_number(struct dune_jsonw *w, const char *key, double v, int decimals)
{
    dune_jsonw_key(w, key);
    dune_jsonw_fixed(w, v, decimals);
}

void dune_notes_search(const struct dune_search *s, struct dune_jsonw *w)
{
    static const char *const distil[] = {"auto", "off", "model"};

    if (s->cfg->model)
        dune_jsonw_put_str(w, "model", s->cfg->model);
    dune_jsonw_put_str(w, "distill", distil[s->cfg->distil]);
    dune_jsonw_key(w, "search");
    dune_jsonw_arr(w);
    for (unsigned i = 0; i < s->n_steps; i++) {
        dune_jsonw_obj_inline(w);
        dune_jsonw_put_str(w, "step", s->step[i].what);
        dune_jsonw_put_uint(w, "submodels", s->step[i].n_blocks);
        put_number(w, "macro", s->step[i].macro, 4);
        dune_jsonw_end(w);
    }
    dune_jsonw_end(w);
}

/* --- importance ---------------------------------------------------------------------------------------- */
struct matrix {
    uint32_t n_rows;
    uint16_t cls[DUNE_CLASS_WORDS * 64];
    double w[DUNE_CLASS_WORDS * 64][DUNE_N_FEATURES];
    dune_feature_mask used;
};

/* Rows of a sub-model's own classes; its answer "none of mine" is no class. */
static int add_rows(struct matrix *m, const struct dune_fit *f, struct dune_diag *d)
{
    struct dune_importance *im;
    int rc = dune_importance_gini(&im, f->forest, d);

    if (rc)
        return rc;
    for (uint32_t c = 0; c < f->n_classes && m->n_rows < DUNE_ARRAY_LEN(m->cls); c++) {
        m->cls[m->n_rows] = f->cls[c];
        for (uint32_t j = 0; j < im->n_feats; j++)
            m->w[m->n_rows][f->forest->feat[j]] = im->w[(size_t)c * im->n_feats + j];
        m->n_rows++;
    }
    m->used |= f->used;
    dune_importance_free(im);
    return 0;
}

static void put_matrix(const struct dune_search *s, const struct matrix *m, struct dune_jsonw *w)
{
    dune_jsonw_key(w, "importance");
    dune_jsonw_obj(w);
    dune_jsonw_key(w, "classes");
    dune_jsonw_arr_inline(w);
    for (uint32_t i = 0; i < m->n_rows; i++)
        dune_jsonw_str(w, s->space->ds->class_name[m->cls[i]]);
    dune_jsonw_end(w);
    dune_jsonw_key(w, "features");
    dune_jsonw_arr_inline(w);
    for (int j = 0; j < DUNE_N_FEATURES; j++)
        if (m->used >> j & 1)
            dune_jsonw_str(w, dune_catalog[j].name);
    dune_jsonw_end(w);
    dune_jsonw_key(w, "w");
    dune_jsonw_arr(w);
    for (uint32_t i = 0; i < m->n_rows; i++) {
        dune_jsonw_arr_inline(w);
        for (int j = 0; j < DUNE_N_FEATURES; j++)
            if (m->used >> j & 1)
                dune_jsonw_fixed(w, m->w[i][j], 6);
        dune_jsonw_end(w);
    }
    dune_jsonw_end(w);
    dune_jsonw_end(w);
}

int dune_notes_importance(const struct dune_search *s, struct dune_fit *const *fit, unsigned n, struct dune_jsonw *w,
                          struct dune_diag *d)
{
    struct matrix *m = DUNE_NEW(struct matrix);
    int rc = 0;

    for (unsigned b = 0; rc == 0 && b < n; b++) /* where every device knows all classes, the first tells */
        if (b == 0 || fit[b]->has_other)
            rc = add_rows(m, fit[b], d);
    if (rc == 0)
        put_matrix(s, m, w);
    dune_mem_free(m);
    return rc;
}

/* --- sizes --------------------------------------------------------------------------------------------- */
static int put_size(struct dune_search *s, const struct dune_chain_spec *spec, unsigned b, uint32_t leaves, bool chosen,
                    struct dune_jsonw *w, struct dune_diag *d)
{
    struct dune_chain_spec next = *spec;
    struct dune_f1 f1;
    int rc;

    next.cfg[b].max_leaves = leaves;
    rc = dune_search_score(s, &next, &f1, d);
    if (rc)
        return rc;
    dune_jsonw_obj_inline(w);
    dune_jsonw_put_uint(w, "leaves", leaves * DUNE_MAX(next.cfg[b].n_trees, 1));
    put_number(w, "macro", f1.macro, 4);
    if (chosen) {
        dune_jsonw_key(w, "chosen");
        dune_jsonw_bool(w, true);
    }
    dune_jsonw_end(w);
    return 0;
}

int dune_notes_sizes(struct dune_search *s, const struct dune_chain_spec *spec, unsigned b, struct dune_jsonw *w,
                     struct dune_diag *d)
{
    uint32_t all = spec->cfg[b].max_leaves;
    int rc = 0;

    dune_jsonw_key(w, "sizes");
    dune_jsonw_arr_inline(w);
    for (unsigned eighths = 1; rc == 0 && all >= 16 && eighths <= 4 && spec->rule.claim != DUNE_CLAIM_VOTES; eighths *= 2)
        rc = put_size(s, spec, b, all * eighths / 8, false, w, d);
    if (rc == 0)
        rc = put_size(s, spec, b, all, true, w, d);
    dune_jsonw_end(w);
    return rc;
}
