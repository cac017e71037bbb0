/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leaf occupancy. A tree is a sequence of choices, so how far its leaves' shares are from those of training is told
 * choice by choice: at every inner node, the share of those that come by and go right against the expected one. So the
 * features that moved have names, which leaves have not:
 *
 *            1000 / 1000
 *           ip.len <= 90          expected: 50 % right, seen: 52 %
 *          /            \
 *     480 / 500      520 / 500
 *                  ttl <= 60      expected: 10 % right, seen: 70 %: by[ttl] has nearly all of it
 *                 /         \
 *            156 / 450    364 / 50
 */
#include <math.h>
#include <string.h>

#include "drift/drift_int.h"

enum { POOL = 20 };

/* Of every node: answers that came by. */
static void add_up(const struct dune_plan_tree *tr, const uint64_t *leaves, double *at)
{
    for (uint32_t i = tr->n_nodes; i-- > 0;) { /* preorder: children lie behind */
        const struct dune_node *v = &tr->node[i];

        at[i] = v->feat < 0 ? (double)leaves[v->left] : at[v->left] + at[v->right];
    }
}

/*
 * Of two ways, taken with shares s and e: (s - e)^2 / (s + e), summed over both (triangular discrimination, 0 to 2). Times
 * twice the answers it is as the chi-square and G statistics of that choice where s is near e, and needs no logarithm, whose
 * last bits differ between machines.
 */
static double choice(double s, double e)
{
    double gap = (s - e) * (s - e);

    return gap == 0 ? 0 : gap / (s + e) + gap / (2 - s - e);
}

static double tree_divergence(const struct dune_plan_tree *tr, const double *seen, const double *expected, double *by)
{
    double sum = 0;

    for (uint32_t i = 0; i < tr->n_nodes; i++) {
        const struct dune_node *v = &tr->node[i];
        double d;

        if (v->feat < 0 || seen[i] <= 0 || expected[i] < POOL)
            continue;
        /* Half an answer more on each way, so that a leaf which training never reached is rare, not impossible. */
        d = choice(seen[v->right] / seen[i], (expected[v->right] + 0.5) / (expected[i] + 1)) * seen[i] / seen[0];
        sum += d;
        if (by)
            by[v->feat] += d;
    }
    return sum;
}

double dune_drift_leaves(const struct dune_submodel *sm, const struct dune_drift_submodel *seen,
                         const struct dune_drift_submodel *expected, double *by)
{
    double sum = 0;

    if (by)
        memset(by, 0, sm->n_feats * sizeof(*by));
    if (seen->answers == 0 || expected->answers == 0 || sm->n_trees == 0)
        return -1;
    for (uint32_t t = 0; t < sm->n_trees; t++) {
        const struct dune_plan_tree *tr = &sm->tree[t];
        double *at = dune_mem_alloc(2 * (size_t)tr->n_nodes, sizeof(*at)), d = -1;

        add_up(tr, seen->leaves[t], at);
        add_up(tr, expected->leaves[t], at + tr->n_nodes);
        if (at[0] > 0)
            d = tree_divergence(tr, at, at + tr->n_nodes, by);
        dune_mem_free(at);
        if (d < 0) /* from a device that does not count leaves */
            return -1;
        sum += d;
    }
    for (uint32_t j = 0; by && j < sm->n_feats; j++)
        by[j] /= sm->n_trees;
    return sum / sm->n_trees;
}

/* --- the limit ---------------------------------------------------------------------------------------------- */

/* How many standard deviations a normal variable exceeds with probability DUNE_DRIFT_LEAF_ALARMS / n. */
static double deviations(uint32_t n)
{
    static const struct {
        uint32_t n;
        double z;
    } table[] = {{1, 2.3263}, {2, 2.5758}, {3, 2.7131}, {4, 2.8070}, {5, 2.8782}, {8, 3.0233}, {16, 3.2272}, {32, 3.4205}};

    for (size_t i = 0; i < DUNE_ARRAY_LEN(table); i++)
        if (n <= table[i].n)
            return table[i].z;
    return 3.6021; /* of 64, the most there are */
}

double dune_drift_quantile(double mean, double variance, uint32_t n)
{
    double df, part, root;

    if (mean <= 0 || variance <= 0)
        return mean;
    df = 2 * mean * mean / variance; /* mean / df times chi-square with df has this mean and variance */
    part = 2 / (9 * df);             /* its quantile after Wilson and Hilferty */
    root = 1 - part + deviations(n) * sqrt(part);
    return mean * root * root * root;
}
