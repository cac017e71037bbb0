/* SPDX-License-Identifier: Apache-2.0 */
/* Models of other programs as sub-models. */
#include "dune/submodels.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "dune/model.h"

struct names {
    char **data; /* borrowed */
    size_t len, cap;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All classes but Other, sorted, each once. */
static void list_classes(struct names *out, struct dune_model *const *model, unsigned n)
{
    size_t kept = 0;

    for (unsigned i = 0; i < n; i++)
        for (uint32_t c = 0; c < model[i]->n_classes; c++)
            if (strcmp(model[i]->class_name[c], "Other") != 0)
                DUNE_VEC_PUSH(out, model[i]->class_name[c]);
    if (out->len)
        qsort(out->data, out->len, sizeof(*out->data), by_name);
    for (size_t i = 0; i < out->len; i++)
        if (!kept || strcmp(out->data[kept - 1], out->data[i]) != 0)
            out->data[kept++] = out->data[i];
    out->len = kept;
}

static uint16_t class_id(const struct names *all, const char *name)
{
    return (uint16_t)((char **)bsearch(&name, all->data, all->len, sizeof(*all->data), by_name) - all->data);
}

/* Brings the classes of f into the order of the plan's, Other last; own: how many are not Other. */
static void order_classes(struct dune_forest *f, const struct names *all, uint16_t *cls, uint32_t *own)
{
    uint32_t n = f->n_classes, at = 0;
    uint32_t *to = DUNE_NEW_N(uint32_t, n);
    char **name = DUNE_NEW_N(char *, n);
    uint64_t *row = DUNE_NEW_N(uint64_t, n);

    for (size_t i = 0; i < all->len; i++) /* ascending ids */
        for (uint32_t c = 0; c < n; c++)
            if (strcmp(f->class_name[c], all->data[i]) == 0) {
                cls[at] = class_id(all, f->class_name[c]);
                to[c] = at++;
            }
    *own = at;
    for (uint32_t c = 0; c < n; c++)
        if (strcmp(f->class_name[c], "Other") == 0)
            to[c] = at;
    for (uint32_t c = 0; c < n; c++)
        name[to[c]] = f->class_name[c];
    memcpy(f->class_name, name, n * sizeof(*name));
    for (uint32_t i = 0; i < f->n_trees; i++)
        for (uint32_t v = 0; v < f->tree[i].n_nodes; v++) {
            uint64_t *h = f->tree[i].hist + (size_t)v * n;

            for (uint32_t c = 0; c < n; c++)
                row[to[c]] = h[c];
            memcpy(h, row, n * sizeof(*h));
        }
    dune_mem_free(to);
    dune_mem_free(name);
    dune_mem_free(row);
}

static int check_budget(const struct dune_model *m, const struct dune_fit *f, const struct dune_budget *b, struct dune_diag *d)
{
    uint32_t leaves = 0, features = 0;

    for (uint32_t i = 0; i < f->forest->n_trees; i++)
        leaves += dune_tree_n_leaves(&f->forest->tree[i]);
    for (dune_feature_mask used = f->used; used; used &= used - 1)
        features++;
    if ((b->leaves_sum && leaves > b->leaves_sum) || (b->features_distinct && features > b->features_distinct))
        return dune_diag_set(d, DUNE_E_INFEASIBLE, m->name, "%u leaves and %u features do not fit a budget of %u and %u", leaves,
                             features, b->leaves_sum, b->features_distinct);
    return 0;
}

static int make_fit(struct dune_fit **out, const struct dune_model *m, const struct names *all, const struct dune_budget *b,
                    struct dune_diag *d)
{
    struct dune_fit *f = DUNE_NEW(struct dune_fit);
    int rc = dune_model_as_forest(&f->forest, m, b->leaves_sum, d);

    *out = f;
    if (rc)
        return rc;
    f->cfg.n = m->n;
    f->cfg.mode = m->mode;
    f->cls = DUNE_NEW_N(uint16_t, f->forest->n_classes);
    order_classes(f->forest, all, f->cls, &f->n_classes);
    f->has_other = f->n_classes < f->forest->n_classes;
    for (uint32_t i = 0; i < f->forest->n_trees; i++)
        for (uint32_t v = 0; v < f->forest->tree[i].n_nodes; v++)
            if (f->forest->tree[i].node[v].feat >= 0)
                f->used |= (dune_feature_mask)1 << f->forest->feat[f->forest->tree[i].node[v].feat];
    if (m->n < 1 || m->n > 15)
        return dune_diag_set(d, DUNE_E_INFEASIBLE, m->name, "inference point %u: a plan has 1 to 15", m->n);
    return check_budget(m, f, b, d);
}

int dune_plan_import(struct dune_plan **out, struct dune_model *const *model, unsigned n_models,
                     const struct dune_chain_rule *rule, const struct dune_budget *budget, const char *profile,
                     uint64_t timeout, struct dune_diag *d)
{
    struct dune_fit **fit = DUNE_NEW_N(struct dune_fit *, n_models);
    uint8_t *id = DUNE_NEW_N(uint8_t, n_models);
    struct names all = {0};
    struct dune_plan_source src = {.timeout = timeout};
    int rc = 0;

    *out = NULL;
    list_classes(&all, model, n_models);
    for (unsigned i = 0; i < n_models && rc == 0; i++) {
        id[i] = (uint8_t)i;
        rc = make_fit(&fit[i], model[i], &all, budget, d);
    }
    src.n_classes = (uint32_t)all.len;
    src.class_name = (const char *const *)all.data;
    if (rc == 0)
        rc = dune_plan_build(out, &src, fit, id, n_models, n_models, rule, budget, profile, d);
    if (rc == 0)
        rc = dune_plan_verify(*out, d);
    if (rc) {
        dune_plan_free(*out);
        *out = NULL;
    }
    for (unsigned i = 0; i < n_models; i++)
        dune_fit_free(fit[i]);
    dune_mem_free(fit);
    dune_mem_free(id);
    DUNE_VEC_FREE(&all);
    return rc;
}
