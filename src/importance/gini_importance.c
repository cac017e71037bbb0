/* SPDX-License-Identifier: Apache-2.0 */
/* Per-class feature importance by Gini decrease (PCFI): which features a class owes its leaves to. */
#include "importance/importance_int.h"

#include <string.h>

/* Heaviest class; ties to the lower id, Other last. */
static uint32_t majority(const uint64_t *hist, uint32_t n_classes, uint32_t other)
{
    uint32_t best = 0;

    for (uint32_t c = 1; c < n_classes; c++)
        if (hist[c] > hist[best] || (hist[c] == hist[best] && best == other))
            best = c;
    return best;
}

static uint64_t weight_of(const uint64_t *hist, uint32_t n_classes)
{
    uint64_t sum = 0;

    for (uint32_t c = 0; c < n_classes; c++)
        sum += hist[c];
    return sum;
}

/* n(v) times the Gini impurity 2p(1-p) of "c versus rest". */
static double impurity(const struct dune_tree *tr, const uint64_t *weight, uint32_t n_classes, uint32_t v,
                       uint32_t c)
{
    uint64_t in = tr->hist[(size_t)v * n_classes + c];

    return weight[v] ? 2.0 * (double)in * ((double)(weight[v] - in) / (double)weight[v]) : 0.0;
}

/* Marks the inner nodes above leaves of class c. */
static void mark_paths(const struct dune_tree *tr, const uint32_t *leaf_class, uint32_t c, uint8_t *mark)
{
    memset(mark, 0, tr->n_nodes);
    for (uint32_t v = 0; v < tr->n_nodes; v++) {
        if (tr->node[v].feat >= 0 || leaf_class[v] != c)
            continue;
        for (uint32_t u = tr->node[v].parent; u != UINT32_MAX && !mark[u]; u = tr->node[u].parent)
            mark[u] = 1;
    }
}

static void add_tree(const struct dune_forest *f, const struct dune_tree *tr, uint32_t other, double *w)
{
    uint64_t *weight = DUNE_NEW_N(uint64_t, tr->n_nodes);
    uint32_t *leaf_class = DUNE_NEW_N(uint32_t, tr->n_nodes);
    uint8_t *mark = DUNE_NEW_N(uint8_t, tr->n_nodes);

    for (uint32_t v = 0; v < tr->n_nodes; v++) {
        weight[v] = weight_of(tr->hist + (size_t)v * f->n_classes, f->n_classes);
        leaf_class[v] = majority(tr->hist + (size_t)v * f->n_classes, f->n_classes, other);
    }
    for (uint32_t c = 0; c < f->n_classes && weight[0]; c++) {
        double *row = w + (size_t)c * f->n_feats;

        mark_paths(tr, leaf_class, c, mark);
        for (uint32_t v = 0; v < tr->n_nodes; v++) {
            const struct dune_node *nd = &tr->node[v];

            if (mark[v])
                row[nd->feat] += (impurity(tr, weight, f->n_classes, v, c) -
                                  impurity(tr, weight, f->n_classes, nd->left, c) -
                                  impurity(tr, weight, f->n_classes, nd->right, c)) /
                                 (double)weight[0];
        }
    }
    dune_mem_free(weight);
    dune_mem_free(leaf_class);
    dune_mem_free(mark);
}

struct dune_importance *dune_importance_new(uint32_t n_classes, char *const *class_name, uint32_t n_feats,
                                       const uint8_t *feat)
{
    struct dune_importance *im = DUNE_NEW(struct dune_importance);

    im->n_classes = n_classes;
    im->n_feats = n_feats;
    im->class_name = DUNE_NEW_N(char *, n_classes);
    im->feat_name = DUNE_NEW_N(char *, n_feats);
    im->w = DUNE_NEW_N(double, (size_t)n_classes * n_feats);
    for (uint32_t c = 0; c < n_classes; c++)
        im->class_name[c] = dune_mem_strdup(class_name[c]);
    for (uint32_t j = 0; j < n_feats; j++)
        im->feat_name[j] = dune_mem_strdup(dune_catalog[feat[j]].name);
    return im;
}

/* Rows to sum 1. Rounding may leave a decrease a hair below 0; a row of a class that decides nothing
 * stays 0. */
void dune_importance_normalise(struct dune_importance *im)
{
    for (uint32_t c = 0; c < im->n_classes; c++) {
        double *row = im->w + (size_t)c * im->n_feats, sum = 0;

        for (uint32_t j = 0; j < im->n_feats; j++) {
            row[j] = DUNE_MAX(row[j], 0.0);
            sum += row[j];
        }
        for (uint32_t j = 0; sum > 0 && j < im->n_feats; j++)
            row[j] /= sum;
    }
}

int dune_importance_gini(struct dune_importance **out, const struct dune_forest *f, struct dune_diag *d)
{
    struct dune_importance *im;
    int other;

    *out = NULL;
    if (!f->n_trees || !f->n_feats || !f->n_classes)
        return dune_diag_set(d, DUNE_E_INPUT, NULL, "the forest has no trees, no features or no classes");
    im = dune_importance_new(f->n_classes, f->class_name, f->n_feats, f->feat);
    other = name_list_find(f->class_name, f->n_classes, "Other");
    for (uint32_t t = 0; t < f->n_trees; t++)
        add_tree(f, &f->tree[t], other < 0 ? UINT32_MAX : (uint32_t)other, im->w);
    for (size_t i = 0; i < (size_t)f->n_classes * f->n_feats; i++)
        im->w[i] /= f->n_trees;
    dune_importance_normalise(im);
    *out = im;
    return 0;
}
