/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of a sub-model: by the tables as a switch would find them, and by the nodes. */
#include "plan/plan_int.h"

#include <string.h>

/*
 * The votes of the trees for one kind of class: most votes win, on a tie the tied class of the
 * earliest tree; confidence is the sum over the trees that voted for it. vote[t] = 0: abstains.
 */
static uint8_t count_votes(const uint8_t *vote, const uint8_t *weight, uint32_t n, uint8_t *conf)
{
    uint32_t best = 0, best_votes = 0, sum = 0;

    for (uint32_t t = 0; t < n; t++) {
        uint32_t votes = 0;

        for (uint32_t u = 0; u < n; u++)
            votes += vote[u] == vote[t];
        if (vote[t] && votes > best_votes) {
            best = vote[t];
            best_votes = votes;
        }
    }
    for (uint32_t t = 0; t < n; t++)
        sum += best && vote[t] == best ? weight[t] : 0;
    *conf = (uint8_t)DUNE_MIN(sum, 255);
    return (uint8_t)best;
}

struct dune_sub_answer dune_plan_vote(const struct dune_plan_leaf *const *leaf, uint32_t n_trees)
{
    struct dune_sub_answer a = {0};
    uint8_t vote[DUNE_MAX_TREES] = {0}, weight[DUNE_MAX_TREES] = {0};

    n_trees = DUNE_MIN(n_trees, DUNE_MAX_TREES);
    if (n_trees == 1) {
        a.claim = leaf[0]->cls != DUNE_PLAN_OTHER;
        a.cls = a.claim ? leaf[0]->cls : leaf[0]->own;
        a.conf = a.claim ? leaf[0]->conf : a.cls ? leaf[0]->own_conf : 0;
        return a;
    }
    for (uint32_t t = 0; t < n_trees; t++) {
        vote[t] = leaf[t]->cls;
        weight[t] = leaf[t]->conf;
    }
    a.cls = count_votes(vote, weight, n_trees, &a.conf);
    a.claim = a.cls != 0 && a.cls != DUNE_PLAN_OTHER;
    if (a.cls != DUNE_PLAN_OTHER)
        return a;
    for (uint32_t t = 0; t < n_trees; t++) {
        vote[t] = leaf[t]->cls == DUNE_PLAN_OTHER ? leaf[t]->own : 0;
        weight[t] = leaf[t]->own_conf;
    }
    a.cls = count_votes(vote, weight, n_trees, &a.conf);
    return a;
}

/* A value beyond the domain (the catalog's widths forbid it) falls into the last row. */
static uint32_t find_range(const struct dune_plan_feature *f, uint32_t value)
{
    for (uint32_t r = 0; r + 1 < f->n_rows; r++)
        if (value >= f->row[r].lo && value <= f->row[r].hi)
            return r;
    return f->n_rows - 1;
}

static bool bits_match(const char *pattern, const char *word, uint32_t n_bits)
{
    for (uint32_t i = 0; i < n_bits; i++)
        if (pattern[i] != '*' && pattern[i] != word[i])
            return false;
    return true;
}

static bool row_matches(const struct dune_submodel *sm, uint32_t t, uint32_t leaf,
                        const uint32_t *range)
{
    const char *pattern = sm->tree[t].match + (size_t)leaf * sm->tree[t].key_bits;

    for (uint32_t j = 0; j < sm->n_feats; j++) {
        const struct dune_plan_feature *f = &sm->feat[j];
        uint32_t n_bits = f->n_bits[t];

        if (n_bits == 0)
            continue;
        if (!bits_match(pattern, f->code[t] + (size_t)range[j] * n_bits, n_bits))
            return false;
        pattern += n_bits;
    }
    return true;
}

void dune_submodel_leaves(const struct dune_submodel *sm, const uint32_t *features,
                          const struct dune_plan_leaf **leaf)
{
    uint32_t range[DUNE_N_FEATURES];

    for (uint32_t j = 0; j < sm->n_feats; j++)
        range[j] = find_range(&sm->feat[j], features[sm->feat[j].feat]);
    for (uint32_t t = 0; t < sm->n_trees; t++) {
        const struct dune_plan_tree *tr = &sm->tree[t];
        uint32_t i = 0;

        while (i + 1 < tr->n_leaves && !row_matches(sm, t, i, range))
            i++;
        leaf[t] = &tr->leaf[i];
    }
}

struct dune_sub_answer dune_submodel_lookup(const struct dune_submodel *sm,
                                            const uint32_t *features)
{
    const struct dune_plan_leaf *leaf[DUNE_MAX_TREES];

    dune_submodel_leaves(sm, features, leaf);
    return dune_plan_vote(leaf, sm->n_trees);
}

struct dune_sub_answer dune_submodel_walk(const struct dune_submodel *sm, const uint32_t *features)
{
    const struct dune_plan_leaf *leaf[DUNE_MAX_TREES];

    for (uint32_t t = 0; t < sm->n_trees; t++) {
        const struct dune_node *base = sm->tree[t].node, *v = base;

        while (v->feat >= 0)
            v = base + (features[sm->feat[v->feat].feat] <= v->threshold ? v->left : v->right);
        leaf[t] = &sm->tree[t].leaf[v->left];
    }
    return dune_plan_vote(leaf, sm->n_trees);
}
