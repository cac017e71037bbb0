/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sub-models of a device that is alone see (docs/drift.md): once per fresh answer the leaf of every tree, the range
 * row of every feature, the claim. Pass 3 says which answers were used; then their vectors, which are still there, are looked
 * at together.
 */
#include "dune/drift.h"
#include "targets/core/dune_core_model.h"
#include "targets/fast/fast_int.h"

#include <string.h>

static uint32_t count_on(const struct dune_plan *p, uint16_t device)
{
    uint32_t n = 0;

    for (uint32_t s = 0; s < p->n_submodels; s++)
        n += p->sub[s].device == device;
    return n;
}

static void init_sub(struct fast_drift_sub *o, const struct dune_submodel *sm, uint32_t index)
{
    o->index = index;
    o->n_trees = sm->n_trees;
    o->n_feats = sm->n_feats;
    o->leaf = DUNE_NEW_N(uint64_t *, sm->n_trees);
    for (uint32_t t = 0; t < sm->n_trees; t++)
        o->leaf[t] = DUNE_NEW_N(uint64_t, sm->tree[t].n_nodes);
    o->n_cuts = DUNE_NEW_N(uint32_t, sm->n_feats + 1);
    o->cut = DUNE_NEW_N(uint32_t *, sm->n_feats + 1);
    o->row = DUNE_NEW_N(uint64_t *, sm->n_feats + 1);
    for (uint32_t j = 0; j < sm->n_feats; j++) {
        const struct dune_plan_feature *f = &sm->feat[j];

        o->n_cuts[j] = f->n_rows - 1;
        o->cut[j] = DUNE_NEW_N(uint32_t, f->n_rows);
        o->row[j] = DUNE_NEW_N(uint64_t, f->n_rows);
        for (uint32_t r = 0; r < f->n_rows; r++)
            o->cut[j][r] = f->row[r].hi;
    }
}

struct fast_drift *dune_fast_drift_new(const struct dune_plan *p, uint16_t device)
{
    struct fast_drift *x = DUNE_NEW(struct fast_drift);
    uint32_t k = 0;

    x->plan = p;
    x->n_sub = count_on(p, device);
    x->sub = DUNE_NEW_N(struct fast_drift_sub, x->n_sub + 1);
    for (uint32_t s = 0; s < p->n_submodels; s++)
        if (p->sub[s].device == device)
            init_sub(&x->sub[k++], &p->sub[s], s);
    return x;
}

void dune_fast_drift_free(struct fast_drift *x)
{
    if (!x)
        return;
    for (uint32_t k = 0; k < x->n_sub; k++) {
        struct fast_drift_sub *o = &x->sub[k]; /* the plan may be gone */

        for (uint32_t t = 0; t < o->n_trees; t++)
            dune_mem_free(o->leaf[t]);
        for (uint32_t j = 0; j < o->n_feats; j++) {
            dune_mem_free(o->cut[j]);
            dune_mem_free(o->row[j]);
        }
        dune_mem_free(o->leaf);
        dune_mem_free(o->n_cuts);
        dune_mem_free(o->cut);
        dune_mem_free(o->row);
    }
    dune_mem_free(x->sub);
    dune_mem_free(x);
}

/* --- counting ------------------------------------------------------------------------------------------------ */

/* Cuts below the value, by halving without branches. */
static inline uint32_t find_row(const uint32_t *cut, uint32_t n, uint32_t value)
{
    uint32_t at = 0;

    while (n > 0) {
        uint32_t half = (n + 1) / 2;

        at += cut[at + half - 1] < value ? half : 0;
        n -= half;
    }
    return at;
}

static void count_one(struct fast_drift_sub *o, const struct fast_forest *f, const uint32_t *x, uint32_t a)
{
    uint32_t cls = DUNE_CORE_ANSWER_CLAIM(a) ? DUNE_CORE_ANSWER_CLS(a) : 0;

    o->claims[cls]++;
    o->confidence[cls] += cls ? DUNE_CORE_ANSWER_CONF(a) : 0;
    for (uint32_t j = 0; j < o->n_feats; j++)
        o->row[j][find_row(o->cut[j], o->n_cuts[j], x[f->at[j]])]++;
}

static void count_sub(struct fast_drift *d, const struct fast_worker *w, const struct fast_model *m, uint32_t k)
{
    const struct fast_sub *sub = &m->sub[k];
    struct fast_drift_sub *o = &d->sub[k];
    uint32_t from = m->shared ? 0 : k, n = d->n_asked[from];
    uint32_t place[DUNE_MAX_TREES * FAST_CHUNK];

    dune_fast_forest_places(&sub->forest, w->x[from].x, n, place, FAST_CHUNK);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = w->asked[from][i];

        if (!(d->fresh[k] >> at & 1))
            continue;
        for (uint32_t t = 0; t < o->n_trees; t++)
            o->leaf[t][place[t * FAST_CHUNK + i]]++;
        count_one(o, &sub->forest, w->x[from].x + i * sub->fields.stride, w->answer[k][at]);
    }
    d->fresh[k] = 0;
}

void dune_fast_drift_begin(struct fast_drift *d, const struct fast_worker *w, const struct fast_model *m)
{
    memcpy(d->n_asked, w->n_asked, m->n_sub * sizeof(*d->n_asked));
}

void dune_fast_drift_end(struct fast_drift *d, const struct fast_worker *w, const struct fast_model *m)
{
    for (uint32_t k = 0; k < m->n_sub; k++)
        if (d->fresh[k])
            count_sub(d, w, m, k);
}

/* --- reading ------------------------------------------------------------------------------------------------- */

static void add_sub(struct dune_drift_submodel *to, const struct fast_drift_sub *o, const struct dune_submodel *sm)
{
    for (uint32_t c = 0; c <= to->n_classes; c++) {
        to->answers += o->claims[c];
        to->claims[c] += o->claims[c];
        to->confidence[c] += o->confidence[c];
    }
    for (uint32_t j = 0; j < sm->n_feats; j++)
        for (uint32_t r = 0; r < sm->feat[j].n_rows; r++)
            to->hits[j][r] += o->row[j][r];
    for (uint32_t t = 0; t < sm->n_trees; t++)
        dune_core_tree_add_leaves(to->leaves[t], &sm->tree[t], o->leaf[t]);
}

void dune_fast_drift_add(const struct fast_drift *d, struct dune_drift_counts *out)
{
    for (uint32_t k = 0; k < d->n_sub; k++)
        add_sub(&out->sub[d->sub[k].index], &d->sub[k], &d->plan->sub[d->sub[k].index]);
}
