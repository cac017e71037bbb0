/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scikit-learn's trees (docs/formats/models.md) as a forest of ours. Leaf weights become integers scaled by 2^24,
 * thresholds the integers that decide the same, nodes are numbered in the order of our growth: the k-th split, level
 * by level, has children 2k+1 and 2k+2. A split that sends every possible value one way is left out.
 */
#include "base/format.h"
#include "model/model_int.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

enum { MAX_TREES = 100000, MAX_NAME = 255 };
#define MAX_CELLS (UINT64_C(1) << 28) /* nodes x classes over all trees */
#define MAX_WEIGHT 1e9                /* of a tree, in rows: no sum leaves 2^60 */

struct reader {
    const char *name;
    struct dune_diag *d;
    struct dune_forest *f;
    char place[64];
    /* the tree at hand */
    const json_t *left, *right, *feature, *threshold, *value;
    size_t n;
    uint8_t *seen;
    uint64_t cells; /* so far */
};

#define BAD(r, ...) dune_diag_set_place((r)->d, DUNE_E_INPUT, (r)->name, (r)->place, __VA_ARGS__)

static int read_names(struct reader *r, const json_t *root)
{
    const json_t *features = json_object_get(root, "features"), *classes = json_object_get(root, "classes");
    struct dune_model m = {.name = (char *)(uintptr_t)r->name};
    size_t n = json_array_size(classes);
    int rc = model_set_features(&m, features, r->d);

    if (rc)
        return rc;
    r->f->n_feats = m.n_feats;
    r->f->feat = dune_mem_alloc(m.n_feats, 1);
    memcpy(r->f->feat, m.feat, m.n_feats);
    snprintf(r->place, sizeof(r->place), "classes");
    if (n < 1 || n >= UINT16_MAX)
        return BAD(r, "expected a list of class names");
    r->f->class_name = DUNE_NEW_N(char *, n);
    for (size_t c = 0; c < n; c++) {
        const char *s = json_string_value(json_array_get(classes, c));

        if (!s || !*s || strlen(s) > MAX_NAME)
            return BAD(r, "class %zu has no name of 1 to %d bytes", c, MAX_NAME);
        for (size_t k = 0; k < c; k++)
            if (strcmp(r->f->class_name[k], s) == 0)
                return BAD(r, "class \"%s\" is listed twice", s);
        r->f->class_name[r->f->n_classes++] = dune_mem_strdup(s);
    }
    return 0;
}

static int read_view(struct reader *r, const json_t *root)
{
    const json_t *n = json_object_get(root, "n"), *phase = json_object_get(root, "phase");
    int mode;

    snprintf(r->place, sizeof(r->place), "n");
    if (n && (!json_is_integer(n) || json_integer_value(n) < 1 || json_integer_value(n) > UINT16_MAX))
        return BAD(r, "expected the inference point, a whole number from 1 on");
    snprintf(r->place, sizeof(r->place), "phase");
    mode = json_is_string(phase) ? dune_mode_find(json_string_value(phase)) : phase ? -1 : DUNE_MODE_RUNNING;
    if (mode < 0)
        return BAD(r, "expected running, published, packet or flow");
    r->f->n = n ? (unsigned)json_integer_value(n) : 0;
    r->f->mode = (enum dune_mode)mode;
    return 0;
}

static int open_tree(struct reader *r, const json_t *t, size_t i)
{
    const char *const key[] = {"left", "right", "feature", "threshold", "value"};
    const json_t **list[] = {&r->left, &r->right, &r->feature, &r->threshold, &r->value};

    snprintf(r->place, sizeof(r->place), "trees[%zu]", i);
    r->n = json_array_size(json_object_get(t, "left"));
    for (size_t k = 0; k < DUNE_ARRAY_LEN(key); k++) {
        *list[k] = json_object_get(t, key[k]);
        if (!json_is_array(*list[k]) || json_array_size(*list[k]) != r->n || r->n == 0)
            return BAD(r, "\"%s\" is no list with one entry per node", key[k]);
    }
    r->cells += (uint64_t)r->n * r->f->n_classes;
    if (r->n > INT32_MAX || r->cells > MAX_CELLS)
        return BAD(r, "more nodes and classes than can be kept");
    return 0;
}

static int read_leaf(struct reader *r, size_t v, uint64_t *hist, double *sum)
{
    const json_t *list = json_array_get(r->value, v);
    double total = 0;

    if (json_array_size(list) != r->f->n_classes)
        return BAD(r, "node %zu: value is no list with one weight per class", v);
    for (uint32_t c = 0; c < r->f->n_classes; c++) {
        double w = json_number_value(json_array_get(list, c));

        if (!json_is_number(json_array_get(list, c)) || !(w >= 0 && w <= MAX_WEIGHT))
            return BAD(r, "node %zu: a weight that is no number from 0 to %g", v, MAX_WEIGHT);
        total += w;
        hist[c] = (uint64_t)llround(w * (double)DUNE_WEIGHT_ONE);
    }
    *sum += total;
    if (*sum > MAX_WEIGHT)
        return BAD(r, "the leaves weigh more than %g rows", MAX_WEIGHT);
    for (uint32_t c = 0; c < r->f->n_classes; c++)
        if (hist[c])
            return 0;
    return BAD(r, "leaf %zu weighs nothing", v);
}

/* Inner nodes weigh what their leaves do; parents come before their children. */
static void add_up(struct dune_tree *t, uint32_t n_classes)
{
    for (uint32_t v = t->n_nodes; v-- > 1;)
        for (uint32_t c = 0; c < n_classes; c++)
            t->hist[(size_t)t->node[v].parent * n_classes + c] += t->hist[(size_t)v * n_classes + c];
}

/* Level by level: at[i] is the node of the file that becomes node i. */
static int grow(struct reader *r, struct dune_tree *t, size_t *at)
{
    const struct tree_walk walk = {.name = r->name, .place = r->place, .d = r->d, .left = r->left, .right = r->right,
                                   .feature = r->feature, .threshold = r->threshold, .n = r->n, .seen = r->seen,
                                   .feat = r->f->feat, .n_feats = r->f->n_feats};
    uint32_t n = 1;
    double sum = 0;
    int rc = 0;

    t->node[0].parent = UINT32_MAX;
    for (uint32_t v = 0; v < n && rc == 0; v++) {
        struct dune_node *node = &t->node[v];
        int64_t kid[2];

        rc = tree_walk_settle(&walk, &at[v], kid, &node->feat, &node->threshold);
        if (rc == 0 && node->feat < 0) {
            node->threshold = 0;
            rc = read_leaf(r, at[v], t->hist + (size_t)v * r->f->n_classes, &sum);
        } else if (rc == 0) {
            if (n + 2 > r->n)
                return BAD(r, "more children than nodes");
            node->left = n;
            node->right = n + 1;
            for (int k = 0; k < 2; k++) {
                t->node[n + (uint32_t)k].parent = v;
                at[n + (uint32_t)k] = (size_t)kid[k];
            }
            n += 2;
        }
    }
    t->n_nodes = n;
    if (rc == 0)
        add_up(t, r->f->n_classes);
    return rc;
}

static int read_tree(struct reader *r, const json_t *item, size_t i)
{
    struct dune_tree *t = &r->f->tree[i];
    size_t *at;
    int rc = open_tree(r, item, i);

    if (rc)
        return rc;
    t->node = DUNE_NEW_N(struct dune_node, r->n);
    t->hist = DUNE_NEW_N(uint64_t, r->n * r->f->n_classes);
    at = DUNE_NEW_N(size_t, r->n);
    r->seen = DUNE_NEW_N(uint8_t, r->n);
    rc = grow(r, t, at);
    dune_mem_free(at);
    dune_mem_free(r->seen);
    return rc;
}

static int read_all(struct reader *r, json_t *root)
{
    static const struct dune_format known = {"trees of scikit-learn", 1, 0, false};
    const json_t *trees = json_object_get(root, "trees");
    size_t n = json_array_size(trees);
    int rc;

    if (!json_is_object(root) || !json_string_value(json_object_get(root, "format")) ||
        strcmp(json_string_value(json_object_get(root, "format")), "dune-sklearn") != 0)
        return BAD(r, "no trees of scikit-learn: \"format\" should be \"dune-sklearn\"");
    rc = dune_format_check_json(&known, root, "version", NULL, r->name, r->d);
    if (rc == 0)
        rc = read_view(r, root);
    if (rc == 0)
        rc = read_names(r, root);
    if (rc)
        return rc;
    snprintf(r->place, sizeof(r->place), "trees");
    if (n < 1 || n > MAX_TREES)
        return BAD(r, "expected a list of 1 to %d trees", MAX_TREES);
    r->f->tree = DUNE_NEW_N(struct dune_tree, n);
    r->f->n_trees = (uint32_t)n;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = read_tree(r, json_array_get(trees, i), i);
    return rc;
}

int dune_sklearn_parse(struct dune_forest **out, const char *name, const char *text, size_t len, struct dune_diag *d)
{
    struct reader r = {.name = name, .d = d, .f = DUNE_NEW(struct dune_forest)};
    json_error_t e;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
    int rc = root ? read_all(&r, root)
                  : dune_diag_set_line(d, DUNE_E_FORMAT, name, e.line > 0 ? (uint64_t)e.line : 1, "bad JSON: %s", e.text);

    json_decref(root);
    *out = rc ? NULL : r.f;
    if (rc)
        dune_forest_free(r.f);
    return rc;
}
