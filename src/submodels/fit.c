/* SPDX-License-Identifier: Apache-2.0 */
/* Fitting one small forest to a block of classes: relabelling, weights, feature choice, leaf shares. */
#include "dune/submodels.h"

#include <math.h>
#include <string.h>

#include "base/base.h"

#define NO_LABEL UINT16_MAX
#define WRAP_FROM 3 /* features above the limit from which each drop is tried out */
#define DUNE_CLASS_LIMIT (DUNE_MAX_CLASSES + 2)

/* The training problem of one block: labels and integer weights per table row. */
struct problem {
    const struct dune_space_view *view;
    const struct dune_soft *soft; /* or NULL: rows are listed once */
    uint16_t *cls;
    uint64_t *w;
    uint32_t n_labels;
    uint64_t total;
};

static void map_classes(struct dune_fit *fit, const struct dune_space *s, const uint8_t *block,
                        uint16_t *label)
{
    fit->cls = dune_mem_alloc(s->n_classes, sizeof(*fit->cls));
    for (uint32_t c = 0; c < s->n_classes; c++) {
        label[c] = NO_LABEL;
        if (block[c]) {
            label[c] = (uint16_t)fit->n_classes;
            fit->cls[fit->n_classes++] = (uint16_t)c;
        }
    }
    for (uint32_t c = 0; c < s->n_classes; c++) {
        if (label[c] == NO_LABEL)
            label[c] = (uint16_t)fit->n_classes;
    }
}

/* Weight of each class of the data set over the rows that are trained on. */
static uint64_t class_weights(const struct dune_space *s, const struct problem *p,
                              const uint8_t *train, uint64_t *of_class)
{
    uint64_t total = 0;

    memset(of_class, 0, s->n_classes * sizeof(*of_class));
    for (uint32_t k = 0; k < s->n_flows; k++) {
        if (train && !train[k])
            continue;
        for (uint32_t r = p->view->row0[k]; r < p->view->row0[k + 1]; r++) {
            of_class[p->view->table.cls[r]] += p->view->table.w[r];
            total += p->view->table.w[r];
        }
    }
    return total;
}

/*
 * factor[c] = (share of c)^-a, times other_weight outside the block, rescaled so that the weights
 * still sum to the number of flows. Shares are of the original classes, also inside Other: a rare
 * class that is claimed by mistake costs macro F1 as much as a frequent one.
 */
static void class_factors(const struct dune_space *s, const struct dune_fit *fit,
                          const uint16_t *label, const uint64_t *of_class, uint64_t total,
                          double *factor)
{
    double scaled = 0, other = fit->cfg.other_weight > 0 ? fit->cfg.other_weight : 1;

    for (uint32_t c = 0; c < s->n_classes; c++) {
        double share = total ? (double)of_class[c] / (double)total : 0;

        factor[c] = share > 0 && fit->cfg.balance != 0 ? pow(share, -fit->cfg.balance) : 1;
        if (label[c] == fit->n_classes)
            factor[c] *= other;
        scaled += factor[c] * (double)of_class[c];
    }
    for (uint32_t c = 0; c < s->n_classes; c++)
        factor[c] *= scaled > 0 ? (double)total / scaled : 1;
}

/* The part of a row that follows its soft label moves to the rival, with the rival's class weight: so a class
 * weighs what it would if the soft labels were drawn. */
static void soften_row(struct problem *p, uint32_t r, const uint16_t *label, const double *factor, double distil)
{
    const struct dune_table *t = &p->view->table;
    size_t again = t->n_rows + r;
    uint16_t rival = p->soft->rival[r];
    double moved = rival == DUNE_NO_CLASS ? 0 : distil * (double)p->soft->share[r];

    if (moved <= 0 || label[rival] >= p->n_labels)
        return;
    p->cls[again] = label[rival];
    p->w[again] = (uint64_t)llround((double)t->w[r] * factor[rival] * moved);
    p->w[r] = (uint64_t)llround((double)t->w[r] * factor[t->cls[r]] * (1 - moved));
    p->w[r] = DUNE_MAX(p->w[r], UINT64_C(1));
    p->total += p->w[again];
}

static void fill_rows(const struct dune_space *s, struct problem *p, const uint8_t *train,
                      const uint16_t *label, const double *factor, double distil)
{
    const struct dune_table *t = &p->view->table;
    size_t n = p->soft ? 2 * t->n_rows : t->n_rows;

    p->cls = dune_mem_zalloc(n, sizeof(*p->cls));
    p->w = dune_mem_zalloc(n, sizeof(*p->w));
    for (uint32_t k = 0; k < s->n_flows; k++) {
        for (uint32_t r = p->view->row0[k]; r < p->view->row0[k + 1]; r++) {
            p->cls[r] = label[t->cls[r]];
            if (train && !train[k])
                continue;
            p->w[r] = (uint64_t)llround((double)t->w[r] * factor[t->cls[r]]);
            p->w[r] = DUNE_MAX(p->w[r], UINT64_C(1));
            if (p->soft)
                soften_row(p, r, label, factor, distil);
            p->total += p->w[r];
        }
    }
}

static int make_problem(const struct dune_space *s, struct dune_fit *fit, const uint8_t *block,
                        const uint8_t *train, struct problem *p, struct dune_diag *d)
{
    uint16_t *label = dune_mem_alloc(s->n_classes, sizeof(*label));
    uint64_t *of_class = dune_mem_alloc(s->n_classes, sizeof(*of_class));
    double *factor = dune_mem_alloc(s->n_classes, sizeof(*factor));
    uint64_t total;

    map_classes(fit, s, block, label);
    total = class_weights(s, p, train, of_class);
    for (uint32_t c = 0; c < s->n_classes; c++)
        fit->has_other |= label[c] == fit->n_classes && of_class[c] > 0;
    p->n_labels = fit->n_classes + (fit->has_other ? 1 : 0);
    class_factors(s, fit, label, of_class, total, factor);
    fill_rows(s, p, train, label, factor, fit->cfg.distil);
    dune_mem_free(label);
    dune_mem_free(of_class);
    dune_mem_free(factor);
    if (!fit->n_classes || !p->total)
        return dune_diag_set(d, DUNE_E_INPUT, NULL, "a block has no training packet");
    return 0;
}

static struct dune_train_cfg train_cfg(const struct dune_fit_cfg *c)
{
    struct dune_train_cfg t = {
        .n_trees = c->n_trees ? c->n_trees : 1,
        .max_leaves = c->max_leaves + (uint32_t)(c->spare * c->max_leaves),
        .max_depth = c->max_depth,
        .min_leaf_weight = (uint64_t)(c->min_leaf * (double)DUNE_WEIGHT_ONE),
        .sqrt_features = c->sqrt_features,
        .seed = c->seed,
        .threads = 1,
    };

    t.bootstrap = c->bootstrap || (t.n_trees > 1 && !c->sqrt_features); /* else all trees would be the same tree */
    return t;
}

static double impurity(const uint64_t *hist, uint32_t n_classes)
{
    double sum = 0, squares = 0;

    for (uint32_t c = 0; c < n_classes; c++) {
        sum += (double)hist[c];
        squares += (double)hist[c] * (double)hist[c];
    }
    return sum > 0 ? sum - squares / sum : 0; /* n * Gini */
}

/* Impurity decrease per catalog feature, summed over all splits of all trees. */
void dune_forest_feature_gain(const struct dune_forest *f, double *gain)
{
    for (int j = 0; j < DUNE_N_FEATURES; j++)
        gain[j] = 0;
    for (uint32_t t = 0; t < f->n_trees; t++) {
        const struct dune_tree *tr = &f->tree[t];

        for (uint32_t v = 0; v < tr->n_nodes; v++) {
            const struct dune_node *node = &tr->node[v];

            if (node->feat < 0)
                continue;
            gain[f->feat[node->feat]] +=
                impurity(tr->hist + (size_t)v * f->n_classes, f->n_classes) -
                impurity(tr->hist + (size_t)node->left * f->n_classes, f->n_classes) -
                impurity(tr->hist + (size_t)node->right * f->n_classes, f->n_classes);
        }
    }
}

static dune_feature_mask used_features(const struct dune_forest *f)
{
    dune_feature_mask m = 0;

    for (uint32_t t = 0; t < f->n_trees; t++)
        for (uint32_t v = 0; v < f->tree[t].n_nodes; v++)
            if (f->tree[t].node[v].feat >= 0)
                m |= UINT64_C(1) << f->feat[f->tree[t].node[v].feat];
    return m;
}

/* The `keep` features with the largest gain; ties to the lower id; features without gain go. */
static dune_feature_mask best_features(const double *gain, dune_feature_mask from, uint32_t keep)
{
    dune_feature_mask m = 0;

    while (keep--) {
        int best = -1;

        for (int j = 0; j < DUNE_N_FEATURES; j++)
            if ((from & ~m) >> j & 1 && gain[j] > 0 && (best < 0 || gain[j] > gain[best]))
                best = j;
        if (best < 0)
            break;
        m |= UINT64_C(1) << best;
    }
    return m ? m : from & -from;
}

static uint32_t next_size(enum dune_select how, uint32_t now, uint32_t want)
{
    uint32_t smaller = now > 24 ? now * 2 / 3 : now - DUNE_MAX(now / 6, 1);

    return how == DUNE_SELECT_NESTED ? want : DUNE_MAX(smaller, want);
}

/* Impurity that is left in the leaves: what growth minimises. */
static double leaf_impurity(const struct dune_forest *f)
{
    double sum = 0;

    for (uint32_t t = 0; t < f->n_trees; t++)
        for (uint32_t v = 0; v < f->tree[t].n_nodes; v++)
            if (f->tree[t].node[v].feat < 0)
                sum += impurity(f->tree[t].hist + (size_t)v * f->n_classes, f->n_classes);
    return sum;
}

/* A forest and how it grew; growing again without some of its features starts from there. */
struct grown {
    struct dune_forest *f;
    struct dune_grown *how;
};

static void grown_free(struct grown *g)
{
    dune_grown_free(g->how);
    dune_forest_free(g->f);
    *g = (struct grown){0};
}

static int grow_from(const struct problem *p, const struct dune_train_cfg *tc, dune_feature_mask mask,
                     const struct grown *from, struct grown *out, struct dune_diag *d)
{
    const struct dune_trainer *tr = p->soft ? p->view->soft_trainer : p->view->trainer;

    return dune_trainer_fit_from(tr, &out->f, p->cls, p->n_labels, p->w, mask, tc,
                                 from ? from->how : NULL, &out->how, d);
}

/* Drops the one feature of the forest without which the regrown forest is purest. */
static int drop_one(const struct problem *p, const struct dune_train_cfg *tc, struct grown *g,
                    struct dune_diag *d)
{
    dune_feature_mask used = used_features(g->f);
    struct grown best = {0};
    double best_left = 0;

    for (int j = 0; j < DUNE_N_FEATURES; j++) {
        struct grown next = {0};
        double left;
        int rc;

        if (!(used >> j & 1))
            continue;
        rc = grow_from(p, tc, used & ~(UINT64_C(1) << j), g, &next, d);
        if (rc) {
            grown_free(&best);
            return rc;
        }
        left = leaf_impurity(next.f);
        if (!best.f || left < best_left) {
            grown_free(&best);
            best = next;
            best_left = left;
        } else {
            grown_free(&next);
        }
    }
    grown_free(g);
    *g = best;
    return 0;
}

static int drop_last(const struct problem *p, const struct dune_fit_cfg *cfg, const struct dune_train_cfg *tc,
                     struct grown *g, struct dune_diag *d)
{
    int rc = 0;

    while (rc == 0 && (uint32_t)__builtin_popcountll(used_features(g->f)) > cfg->max_features)
        rc = drop_one(p, tc, g, d);
    return rc;
}

/* Grows with all candidates, then drops the least useful features until at most max_features are used. */
static int grow(const struct problem *p, const struct dune_fit_cfg *cfg, struct dune_forest **out,
                struct dune_diag *d)
{
    struct dune_train_cfg tc = train_cfg(cfg);
    struct grown g = {0};
    dune_feature_mask mask = cfg->features;
    double gain[DUNE_N_FEATURES];
    int rc = grow_from(p, &tc, mask, NULL, &g, d);

    while (rc == 0) {
        struct grown next = {0};
        uint32_t n_used;

        mask = used_features(g.f);
        n_used = (uint32_t)__builtin_popcountll(mask);
        if (!cfg->max_features || n_used <= cfg->max_features)
            break;
        if (cfg->select == DUNE_SELECT_WRAP && n_used <= cfg->max_features + WRAP_FROM) {
            rc = drop_last(p, cfg, &tc, &g, d);
            break;
        }
        dune_forest_feature_gain(g.f, gain);
        mask = best_features(gain, mask, next_size(cfg->select, n_used, cfg->max_features));
        rc = grow_from(p, &tc, mask, &g, &next, d);
        grown_free(&g);
        g = next;
    }
    dune_grown_free(g.how);
    if (rc)
        dune_forest_free(g.f);
    else
        *out = g.f;
    return rc;
}

/*
 * A leaf of few flows knows its shares badly, and the split that made it was the best of many. So every step
 * down the tree moves the shares only by the part 1 / (1 + shrink / weight of the node that was split): leaves of
 * small and of large trees, and so sub-models, become comparable.
 */
static void shrink_shares(struct dune_tree *t, uint32_t n_classes, double shrink)
{
    double *was = DUNE_NEW_N(double, (size_t)t->n_nodes * n_classes); /* shares as grown, then shrunk */
    double *now = DUNE_NEW_N(double, (size_t)t->n_nodes * n_classes), *total = DUNE_NEW_N(double, t->n_nodes);

    for (uint32_t v = 0; v < t->n_nodes; v++) { /* parents come before children */
        const uint64_t *h = &t->hist[(size_t)v * n_classes];
        size_t up = v ? (size_t)t->node[v].parent * n_classes : 0, at = (size_t)v * n_classes;
        double step;

        for (uint32_t c = 0; c < n_classes; c++)
            total[v] += (double)h[c];
        step = v ? 1 / (1 + shrink * (double)DUNE_WEIGHT_ONE / total[t->node[v].parent]) : 1;
        for (uint32_t c = 0; c < n_classes; c++) {
            was[at + c] = total[v] > 0 ? (double)h[c] / total[v] : 0;
            now[at + c] = v ? now[up + c] + (was[at + c] - was[up + c]) * step : was[at + c];
        }
    }
    for (uint32_t v = 0; v < t->n_nodes; v++)
        for (uint32_t c = 0; c < n_classes; c++)
            t->hist[(size_t)v * n_classes + c] = (uint64_t)llround(now[(size_t)v * n_classes + c] * total[v]);
    dune_mem_free(was);
    dune_mem_free(now);
    dune_mem_free(total);
}

/* Scales Other and adds pseudo-flows of the prior in every node, so that leaves are comparable between
 * sub-models whatever their size. */
static void adjust_shares(struct dune_fit *fit)
{
    struct dune_forest *f = fit->forest;
    double other = fit->cfg.leaf_other > 0 ? fit->cfg.leaf_other : 1;

    if (other == 1 && fit->cfg.smooth <= 0)
        return;
    for (uint32_t t = 0; t < f->n_trees; t++) {
        uint64_t *hist = f->tree[t].hist, total = 0;
        double prior[DUNE_CLASS_LIMIT];

        for (uint32_t c = 0; c < f->n_classes; c++)
            total += hist[c];
        for (uint32_t c = 0; c < f->n_classes; c++)
            prior[c] = fit->cfg.smooth * (double)DUNE_WEIGHT_ONE * (double)hist[c] / (double)total;
        for (uint32_t v = 0; v < f->tree[t].n_nodes; v++) {
            for (uint32_t c = 0; c < f->n_classes; c++) {
                uint64_t *h = &hist[(size_t)v * f->n_classes + c];
                double k = fit->has_other && c == fit->n_classes ? other : 1;

                *h = (uint64_t)llround((double)*h * k + prior[c] * k);
            }
        }
    }
}

/* The forest carries the names that plans and model files show. */
static void name_classes(struct dune_fit *fit, const struct dune_space *s)
{
    const char *name[DUNE_CLASS_LIMIT];

    for (uint32_t c = 0; c < fit->forest->n_classes; c++)
        name[c] = c < fit->n_classes ? s->ds->class_name[fit->cls[c]] : "Other";
    dune_forest_set_names(fit->forest, name);
    fit->forest->n = fit->cfg.n;
    fit->forest->mode = fit->cfg.mode;
}

int dune_fit_train(struct dune_fit **out, const struct dune_space *s, const struct dune_fit_cfg *cfg,
                   const uint8_t *block, const uint8_t *train, struct dune_diag *d)
{
    return dune_fit_train_soft(out, s, cfg, block, train, NULL, d);
}

int dune_fit_train_soft(struct dune_fit **out, const struct dune_space *s, const struct dune_fit_cfg *cfg,
                        const uint8_t *block, const uint8_t *train, const struct dune_soft *soft, struct dune_diag *d)
{
    struct problem p = {.view = s->view[cfg->n][cfg->mode], .soft = cfg->distil > 0 ? soft : NULL};
    struct dune_fit *fit;
    int rc;

    *out = NULL;
    if (!p.view)
        return dune_diag_set(d, DUNE_E_INTERNAL, NULL, "space has no view for n = %u", cfg->n);
    if (p.soft && !p.view->soft_trainer)
        return dune_diag_set(d, DUNE_E_INTERNAL, NULL, "space has no table for soft labels");
    if (s->n_classes >= DUNE_CLASS_LIMIT)
        return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "%u classes: at most %d can be planned",
                             s->n_classes, DUNE_MAX_CLASSES);
    fit = DUNE_NEW(struct dune_fit);
    fit->cfg = *cfg;
    rc = make_problem(s, fit, block, train, &p, d);
    if (rc == 0)
        rc = grow(&p, cfg, &fit->forest, d);
    dune_mem_free(p.cls);
    dune_mem_free(p.w);
    if (rc) {
        dune_fit_free(fit);
        return rc;
    }
    for (uint32_t t = 0; cfg->spare > 0 && cfg->max_leaves && t < fit->forest->n_trees; t++)
        dune_tree_merge_leaves(&fit->forest->tree[t], fit->forest->n_classes, cfg->max_leaves);
    fit->used = used_features(fit->forest);
    name_classes(fit, s);
    for (uint32_t t = 0; cfg->shrink > 0 && t < fit->forest->n_trees; t++)
        shrink_shares(&fit->forest->tree[t], fit->forest->n_classes, cfg->shrink);
    adjust_shares(fit);
    *out = fit;
    return 0;
}

void dune_fit_free(struct dune_fit *f)
{
    if (!f)
        return;
    dune_forest_free(f->forest);
    dune_mem_free(f->cls);
    dune_mem_free(f);
}

struct dune_fit *dune_fit_prefix(const struct dune_fit *f, uint32_t n_trees, uint32_t max_leaves)
{
    struct dune_fit *p = DUNE_NEW(struct dune_fit);

    *p = *f;
    p->cls = dune_mem_alloc(f->n_classes, sizeof(*p->cls));
    memcpy(p->cls, f->cls, f->n_classes * sizeof(*p->cls));
    p->forest = dune_forest_prefix(f->forest, n_trees, max_leaves);
    p->cfg.n_trees = p->forest->n_trees;
    p->cfg.max_leaves = max_leaves;
    p->used = used_features(p->forest);
    return p;
}
