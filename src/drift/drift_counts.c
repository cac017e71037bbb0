/* SPDX-License-Identifier: Apache-2.0 */
/* The counts themselves. */
#include "dune/drift.h"

#include <string.h>

#include "base/base.h"

static void init_submodel(struct dune_drift_submodel *s, const struct dune_submodel *sm, uint32_t n_classes)
{
    s->n_classes = n_classes;
    s->claims = DUNE_NEW_N(uint64_t, n_classes + 1);
    s->confidence = DUNE_NEW_N(uint64_t, n_classes + 1);
    s->n_feats = sm->n_feats;
    s->n_rows = DUNE_NEW_N(uint32_t, sm->n_feats + 1);
    s->hits = DUNE_NEW_N(uint64_t *, sm->n_feats + 1);
    for (uint32_t j = 0; j < sm->n_feats; j++) {
        s->n_rows[j] = sm->feat[j].n_rows;
        s->hits[j] = DUNE_NEW_N(uint64_t, sm->feat[j].n_rows);
    }
    s->n_trees = sm->n_trees;
    s->n_leaves = DUNE_NEW_N(uint32_t, sm->n_trees + 1);
    s->leaves = DUNE_NEW_N(uint64_t *, sm->n_trees + 1);
    for (uint32_t t = 0; t < sm->n_trees; t++) {
        s->n_leaves[t] = sm->tree[t].n_leaves;
        s->leaves[t] = DUNE_NEW_N(uint64_t, sm->tree[t].n_leaves);
    }
}

void dune_drift_counts_init(struct dune_drift_counts *c, const struct dune_plan *p)
{
    c->n = p->n_submodels;
    c->sub = DUNE_NEW_N(struct dune_drift_submodel, p->n_submodels);
    for (uint32_t k = 0; k < c->n; k++)
        init_submodel(&c->sub[k], &p->sub[k], p->n_classes);
}

void dune_drift_counts_fini(struct dune_drift_counts *c)
{
    for (uint32_t k = 0; k < c->n; k++) {
        struct dune_drift_submodel *s = &c->sub[k];

        for (uint32_t j = 0; s->hits && j < s->n_feats; j++)
            dune_mem_free(s->hits[j]);
        for (uint32_t t = 0; s->leaves && t < s->n_trees; t++)
            dune_mem_free(s->leaves[t]);
        dune_mem_free(s->leaves);
        dune_mem_free(s->n_leaves);
        dune_mem_free(s->hits);
        dune_mem_free(s->n_rows);
        dune_mem_free(s->claims);
        dune_mem_free(s->confidence);
    }
    dune_mem_free(c->sub);
    memset(c, 0, sizeof(*c));
}

void dune_drift_counts_clear(struct dune_drift_counts *c)
{
    for (uint32_t k = 0; k < c->n; k++) {
        struct dune_drift_submodel *s = &c->sub[k];

        s->answers = 0;
        memset(s->claims, 0, (s->n_classes + 1) * sizeof(*s->claims));
        memset(s->confidence, 0, (s->n_classes + 1) * sizeof(*s->confidence));
        for (uint32_t j = 0; j < s->n_feats; j++)
            memset(s->hits[j], 0, s->n_rows[j] * sizeof(**s->hits));
        for (uint32_t t = 0; t < s->n_trees; t++)
            memset(s->leaves[t], 0, s->n_leaves[t] * sizeof(**s->leaves));
    }
}

static void add_array(uint64_t *to, const uint64_t *from, uint32_t n, bool subtract)
{
    for (uint32_t i = 0; i < n; i++)
        to[i] = subtract ? to[i] - from[i] : to[i] + from[i];
}

void dune_drift_counts_add(struct dune_drift_counts *c, const struct dune_drift_counts *more, int sign)
{
    for (uint32_t k = 0; k < c->n; k++) {
        struct dune_drift_submodel *s = &c->sub[k];
        const struct dune_drift_submodel *m = &more->sub[k];

        add_array(&s->answers, &m->answers, 1, sign < 0);
        add_array(s->claims, m->claims, s->n_classes + 1, sign < 0);
        add_array(s->confidence, m->confidence, s->n_classes + 1, sign < 0);
        for (uint32_t j = 0; j < s->n_feats; j++)
            add_array(s->hits[j], m->hits[j], s->n_rows[j], sign < 0);
        for (uint32_t t = 0; t < s->n_trees; t++)
            add_array(s->leaves[t], m->leaves[t], s->n_leaves[t], sign < 0);
    }
}

/* The range row of a value: rows ascend and cover the domain. */
static uint32_t row_of(const struct dune_plan_feature *f, uint32_t value)
{
    uint32_t lo = 0, hi = f->n_rows - 1;

    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;

        if (value <= f->row[mid].hi)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

static uint32_t leaf_of(const struct dune_submodel *sm, const struct dune_plan_tree *tr, const uint32_t *features)
{
    const struct dune_node *v = &tr->node[0];

    while (v->feat >= 0)
        v = &tr->node[features[sm->feat[v->feat].feat] <= v->threshold ? v->left : v->right];
    return v->left;
}

void dune_drift_note(struct dune_drift_counts *c, const struct dune_plan *p, uint32_t k, const uint32_t *features,
                     const struct dune_sub_answer *a)
{
    struct dune_drift_submodel *s = &c->sub[k];
    const struct dune_submodel *sm = &p->sub[k];
    uint8_t cls = a->claim ? a->cls : 0;

    s->answers++;
    s->claims[cls]++;
    s->confidence[cls] += cls ? a->conf : 0;
    for (uint32_t j = 0; j < sm->n_feats; j++)
        s->hits[j][row_of(&sm->feat[j], features[sm->feat[j].feat])]++;
    for (uint32_t t = 0; t < sm->n_trees; t++)
        s->leaves[t][leaf_of(sm, &sm->tree[t], features)]++;
}

uint64_t dune_drift_answers(const struct dune_drift_counts *c)
{
    uint64_t most = 0;

    for (uint32_t k = 0; k < c->n; k++)
        most = DUNE_MAX(most, c->sub[k].answers);
    return most;
}
