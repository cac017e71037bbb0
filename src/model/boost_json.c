/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON that XGBoost saves (1.6 and later): boosted trees of one class each. What is read is enough to give its
 * probabilities; sums are 32-bit floats in the order of the trees, as XGBoost adds them.
 *
 * XGBoost goes left where x < t. The integer that decides the same is found by dune_model_threshold; a split
 * that sends every possible value one way is left out.
 */
#include "model/model_int.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NODES (UINT64_C(1) << 28)

struct reader {
    struct dune_model *m;
    struct dune_boost *b;
    struct dune_diag *d;
    char place[64];
    uint64_t nodes; /* so far */
    /* the tree at hand */
    const json_t *left, *right, *index, *condition;
    size_t n;
    uint8_t *seen;
};

#define BAD(r, ...) dune_diag_set_place((r)->d, DUNE_E_INPUT, (r)->m->name, (r)->place, __VA_ARGS__)

void boost_free(struct dune_boost *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->n_trees; i++)
        dune_mem_free(b->tree[i].node);
    dune_mem_free(b->tree);
    dune_mem_free(b->raw);
    json_decref(b->attributes);
    dune_mem_free(b);
}

/* Numbers stand as text there, in newer files as a list of one in text. */
static bool number_text(const json_t *v, double *out)
{
    const char *s = json_string_value(v);
    char *end;

    if (json_is_number(v)) {
        *out = json_number_value(v);
        return isfinite(*out);
    }
    if (!s)
        return false;
    s += *s == '[';
    *out = strtod(s, &end);
    return end != s && (*end == '\0' || *end == ']' || *end == ',') && isfinite(*out);
}

static int read_objective(struct reader *r, const json_t *learner)
{
    const char *name = json_string_value(json_object_get(json_object_get(learner, "objective"), "name"));
    const json_t *param = json_object_get(learner, "learner_model_param");
    double base, n_class = 0;

    snprintf(r->place, sizeof(r->place), "learner");
    if (!name || (strcmp(name, "multi:softprob") != 0 && strcmp(name, "multi:softmax") != 0 &&
                  strcmp(name, "binary:logistic") != 0))
        return BAD(r, "the objective \"%.40s\" is no classifier that can be read: multi:softprob, multi:softmax or "
                   "binary:logistic", name ? name : "");
    if (!number_text(json_object_get(param, "base_score"), &base) ||
        !number_text(json_object_get(param, "num_class"), &n_class) || n_class < 0 || n_class >= UINT16_MAX)
        return BAD(r, "base_score or num_class is no number");
    if (strncmp(name, "binary", 6) == 0) {
        if (!(base > 0 && base < 1))
            return BAD(r, "base_score %g is no probability", base);
        r->b->n_groups = 1;
        r->b->base = -logf(1.0f / (float)base - 1.0f);
        return 0;
    }
    if (n_class < 2)
        return BAD(r, "num_class is %g", n_class);
    r->b->n_groups = (uint32_t)n_class;
    r->b->base = (float)base;
    return 0;
}

static int read_classes(struct reader *r, const struct dune_dataset *ds)
{
    const char *text = json_string_value(json_object_get(r->b->attributes, "dune_classes"));
    uint32_t n = r->b->n_groups == 1 ? 2 : r->b->n_groups;
    json_t *list;
    int rc = 0;

    if (!text)
        return model_name_classes(r->m, ds, n, r->d);
    snprintf(r->place, sizeof(r->place), "learner.attributes.dune_classes");
    list = json_loads(text, 0, NULL);
    if (json_array_size(list) != n)
        rc = BAD(r, "expected a list of %u class names, written as JSON", n);
    r->m->class_name = rc ? NULL : DUNE_NEW_N(char *, n);
    for (uint32_t c = 0; c < n && rc == 0; c++) {
        const char *s = json_string_value(json_array_get(list, c));

        if (!s || !*s)
            rc = BAD(r, "class %u has no name", c);
        for (uint32_t k = 0; k < c && rc == 0; k++)
            if (strcmp(s, r->m->class_name[k]) == 0)
                rc = BAD(r, "class \"%s\" is listed twice", s);
        if (rc == 0)
            r->m->class_name[r->m->n_classes++] = dune_mem_strdup(s);
    }
    json_decref(list);
    return rc;
}

static int read_view(struct reader *r)
{
    const char *n = json_string_value(json_object_get(r->b->attributes, "dune_n"));
    const char *phase = json_string_value(json_object_get(r->b->attributes, "dune_phase"));
    uint64_t v = r->m->cfg.n ? r->m->cfg.n : 3;
    int mode = r->m->cfg.mode ? r->m->cfg.mode - 1 : DUNE_MODE_RUNNING;

    snprintf(r->place, sizeof(r->place), "learner.attributes");
    if (n && (!dune_parse_u64(n, &v) || v < 1 || v > UINT16_MAX))
        return BAD(r, "dune_n is no inference point");
    if (phase)
        mode = dune_mode_find(phase);
    if (mode < 0)
        return BAD(r, "dune_phase is none of running, published, packet and flow");
    r->m->n = (unsigned)v;
    r->m->mode = (enum dune_mode)mode;
    return 0;
}

static int read_features(struct reader *r, const json_t *learner)
{
    const json_t *names = json_object_get(learner, "feature_names");
    const json_t *param = json_object_get(learner, "learner_model_param");
    double n;

    if (json_array_size(names))
        return model_set_features(r->m, names, r->d);
    snprintf(r->place, sizeof(r->place), "learner.feature_names");
    if (!r->m->cfg.features)
        return BAD(r, "the columns have no names: train with names of features, or say which they are (--features; in the "
                   "order of the catalog)");
    for (unsigned f = 0; f < DUNE_N_FEATURES; f++)
        if (r->m->cfg.features >> f & 1)
            r->m->feat[r->m->n_feats++] = (uint8_t)f;
    if (!number_text(json_object_get(param, "num_feature"), &n) || (uint32_t)n != r->m->n_feats)
        return BAD(r, "the model does not have %u columns", r->m->n_feats);
    return 0;
}

static int open_tree(struct reader *r, const json_t *t, size_t i)
{
    const char *const key[] = {"left_children", "right_children", "split_indices", "split_conditions"};
    const json_t **list[] = {&r->left, &r->right, &r->index, &r->condition};
    const json_t *type = json_object_get(t, "split_type");

    snprintf(r->place, sizeof(r->place), "learner.gradient_booster.model.trees[%zu]", i);
    r->n = json_array_size(json_object_get(t, "left_children"));
    for (size_t k = 0; k < DUNE_ARRAY_LEN(key); k++) {
        *list[k] = json_object_get(t, key[k]);
        if (!json_is_array(*list[k]) || json_array_size(*list[k]) != r->n || r->n == 0)
            return BAD(r, "\"%s\" is no list with one entry per node", key[k]);
    }
    r->nodes += r->n;
    if (r->n > INT32_MAX || r->nodes > MAX_NODES)
        return BAD(r, "more nodes than can be kept");
    for (size_t v = 0; v < json_array_size(type); v++)
        if (json_integer_value(json_array_get(type, v)) != 0)
            return BAD(r, "node %zu splits by categories, which features here are not", v);
    return 0;
}

/* The number of a leaf stands where others have their condition. */
static int read_leaf(struct reader *r, size_t v, struct boost_node *node)
{
    const json_t *t = json_array_get(r->condition, v);

    node->value = (float)json_number_value(t);
    if (!json_is_number(t) || !isfinite(node->value))
        return BAD(r, "node %zu: the condition is no number", v);
    return 0;
}

static int read_nodes(struct reader *r, struct boost_tree *t, size_t *at)
{
    const struct tree_walk walk = {.name = r->m->name, .place = r->place, .d = r->d, .left = r->left, .right = r->right,
                                   .feature = r->index, .threshold = r->condition, .n = r->n, .seen = r->seen,
                                   .feat = r->m->feat, .n_feats = r->m->n_feats, .single = true};
    int rc = 0;

    t->n_nodes = 1;
    for (uint32_t v = 0; v < t->n_nodes && rc == 0; v++) {
        struct boost_node *node = &t->node[v];
        int64_t kid[2];

        rc = tree_walk_settle(&walk, &at[v], kid, &node->feat, &node->threshold);
        if (rc == 0 && node->feat < 0)
            rc = read_leaf(r, at[v], node);
        if (rc || node->feat < 0)
            continue;
        if (t->n_nodes + 2 > r->n)
            return BAD(r, "more children than nodes");
        node->left = t->n_nodes;
        node->right = t->n_nodes + 1;
        at[node->left] = (size_t)kid[0];
        at[node->right] = (size_t)kid[1];
        t->n_nodes += 2;
    }
    return rc;
}

static int read_tree(struct reader *r, const json_t *item, const json_t *group, size_t i)
{
    struct boost_tree *t = &r->b->tree[i];
    size_t *at;
    int rc = open_tree(r, item, i);

    if (rc)
        return rc;
    if (!json_is_integer(group) || json_integer_value(group) < 0 || json_integer_value(group) >= r->b->n_groups)
        return BAD(r, "tree_info names no class for it");
    t->group = (uint32_t)json_integer_value(group);
    t->node = DUNE_NEW_N(struct boost_node, r->n);
    at = DUNE_NEW_N(size_t, r->n);
    r->seen = DUNE_NEW_N(uint8_t, r->n);
    rc = read_nodes(r, t, at);
    dune_mem_free(at);
    dune_mem_free(r->seen);
    return rc;
}

static int read_trees(struct reader *r, const json_t *learner)
{
    const json_t *booster = json_object_get(learner, "gradient_booster"), *model = json_object_get(booster, "model");
    const json_t *trees = json_object_get(model, "trees"), *info = json_object_get(model, "tree_info");
    const char *name = json_string_value(json_object_get(booster, "name"));
    size_t n = json_array_size(trees);
    int rc = 0;

    snprintf(r->place, sizeof(r->place), "learner.gradient_booster");
    if (!name || strcmp(name, "gbtree") != 0)
        return BAD(r, "the booster \"%.20s\" cannot be read, only gbtree", name ? name : "");
    if (n == 0 || json_array_size(info) != n)
        return BAD(r, "no trees, or not one entry of tree_info for each");
    r->b->tree = DUNE_NEW_N(struct boost_tree, n);
    for (; r->b->n_trees < n && rc == 0; r->b->n_trees++)
        rc = read_tree(r, json_array_get(trees, r->b->n_trees), json_array_get(info, r->b->n_trees), r->b->n_trees);
    return rc;
}

int boost_from_json(struct dune_model *m, const struct json_t *root, const struct dune_dataset *ds, struct dune_diag *d)
{
    const json_t *learner = json_object_get(root, "learner");
    struct reader r = {.m = m, .b = DUNE_NEW(struct dune_boost), .d = d};
    int rc;

    m->boost = r.b;
    r.b->attributes = json_incref(json_object_get(learner, "attributes"));
    rc = read_objective(&r, learner);
    if (rc == 0)
        rc = read_view(&r);
    if (rc == 0)
        rc = read_features(&r, learner);
    if (rc == 0)
        rc = read_classes(&r, ds);
    return rc ? rc : read_trees(&r, learner);
}

static float leaf_of(const struct boost_tree *t, uint32_t *const *col, size_t row)
{
    const struct boost_node *v = t->node;

    while (v->feat >= 0)
        v = &t->node[col[v->feat][row] <= v->threshold ? v->left : v->right];
    return v->value;
}

void boost_squash(const struct dune_boost *b, float *p)
{
    float most = p[0], sum = 0;

    if (b->n_groups == 1) {
        p[1] = 1.0f / (1.0f + expf(-p[0]));
        p[0] = 1.0f - p[1];
        return;
    }
    for (uint32_t g = 1; g < b->n_groups; g++)
        most = DUNE_MAX(most, p[g]);
    for (uint32_t g = 0; g < b->n_groups; g++)
        sum += p[g] = expf(p[g] - most);
    for (uint32_t g = 0; g < b->n_groups; g++)
        p[g] /= sum;
}

void boost_proba(const struct dune_model *m, const struct dune_table *t, size_t row, float *p)
{
    const struct dune_boost *b = m->boost;

    for (uint32_t g = 0; g < b->n_groups; g++)
        p[g] = b->base;
    for (size_t i = 0; i < b->n_trees; i++)
        p[b->tree[i].group] += leaf_of(&b->tree[i], t->col, row);
    boost_squash(b, p);
}
