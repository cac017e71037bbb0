/* SPDX-License-Identifier: Apache-2.0 */
/* forest.json: docs/formats/forest.md. */
#include "base/format.h"
#include "forest/forest_int.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <string.h>

#define FORMAT "dune-forest"
enum { VERSION = 1, MAX_CLASSES = UINT16_MAX - 1, MAX_TREES = 100000 };
#define MAX_HIST (UINT64_C(1) << 29) /* nodes x classes of a forest: bounds the memory of a file */

/* --- writing --------------------------------------------------------------------------------------- */
static void write_leaf(struct dune_jsonw *w, const uint64_t *hist, uint32_t n_classes)
{
    for (uint32_t c = 0; c < n_classes; c++)
        if (hist[c]) {
            dune_jsonw_uint(w, c);
            dune_jsonw_uint(w, hist[c]);
        }
}

static void write_tree(struct dune_jsonw *w, const struct dune_tree *t, uint32_t n_classes)
{
    dune_jsonw_obj(w);
    dune_jsonw_key(w, "nodes");
    dune_jsonw_arr(w);
    for (uint32_t v = 0; v < t->n_nodes; v++) {
        dune_jsonw_arr_inline(w);
        if (t->node[v].feat >= 0) {
            dune_jsonw_uint(w, (uint64_t)t->node[v].feat);
            dune_jsonw_uint(w, t->node[v].threshold);
            dune_jsonw_uint(w, t->node[v].left);
        }
        dune_jsonw_end(w);
    }
    dune_jsonw_end(w);
    dune_jsonw_key(w, "leaves");
    dune_jsonw_arr(w);
    for (uint32_t v = 0; v < t->n_nodes; v++) {
        if (t->node[v].feat >= 0)
            continue;
        dune_jsonw_arr_inline(w);
        write_leaf(w, t->hist + (size_t)v * n_classes, n_classes);
        dune_jsonw_end(w);
    }
    dune_jsonw_end(w);
    dune_jsonw_end(w);
}

static void write_recipe(struct dune_jsonw *w, const struct dune_forest_recipe *r)
{
    char seed[24];

    snprintf(seed, sizeof(seed), "%" PRIu64, r->train.seed);
    dune_jsonw_key(w, "trained");
    dune_jsonw_obj_inline(w);
    dune_jsonw_key(w, "rows");
    dune_jsonw_str(w, r->rows);
    dune_jsonw_key(w, "trees");
    dune_jsonw_uint(w, r->train.n_trees);
    dune_jsonw_key(w, "leaves");
    dune_jsonw_uint(w, r->train.max_leaves);
    dune_jsonw_key(w, "depth");
    dune_jsonw_uint(w, r->train.max_depth);
    dune_jsonw_key(w, "min_leaf_weight");
    dune_jsonw_uint(w, r->train.min_leaf_weight);
    dune_jsonw_key(w, "sqrt");
    dune_jsonw_bool(w, r->train.sqrt_features);
    dune_jsonw_key(w, "bootstrap");
    dune_jsonw_bool(w, r->train.bootstrap);
    dune_jsonw_key(w, "balance");
    dune_jsonw_double(w, r->balance);
    dune_jsonw_key(w, "seed"); /* as text: 64 bits */
    dune_jsonw_str(w, seed);
    dune_jsonw_end(w);
}

void dune_forest_put(const struct dune_forest *f, struct dune_jsonw *w)
{
    dune_jsonw_obj(w);
    dune_jsonw_key(w, "format");
    dune_jsonw_str(w, FORMAT);
    dune_jsonw_key(w, "version");
    dune_jsonw_uint(w, VERSION);
    dune_jsonw_key(w, "n");
    dune_jsonw_uint(w, f->n);
    dune_jsonw_key(w, "phase");
    dune_jsonw_str(w, dune_mode_name(f->mode));
    dune_jsonw_key(w, "features");
    dune_jsonw_arr_inline(w);
    for (uint32_t c = 0; c < f->n_feats; c++)
        dune_jsonw_str(w, dune_catalog[f->feat[c]].name);
    dune_jsonw_end(w);
    dune_jsonw_key(w, "classes");
    dune_jsonw_arr_inline(w);
    for (uint32_t c = 0; c < f->n_classes; c++)
        dune_jsonw_str(w, f->class_name[c]);
    dune_jsonw_end(w);
    if (f->recipe.known)
        write_recipe(w, &f->recipe);
    dune_jsonw_key(w, "trees");
    dune_jsonw_arr(w);
    for (uint32_t i = 0; i < f->n_trees; i++)
        write_tree(w, &f->tree[i], f->n_classes);
    dune_jsonw_end(w);
    dune_jsonw_end(w);
}

int dune_forest_write(const struct dune_forest *f, const char *path, struct dune_diag *d)
{
    struct dune_buf text = {0};
    struct dune_jsonw w;
    int rc;

    if (!f->class_name)
        return dune_diag_set(d, DUNE_E_INTERNAL, path, "a forest without class names cannot be written");
    dune_jsonw_init(&w, &text);
    dune_forest_put(f, &w);
    rc = dune_file_write(path, text.data, text.len, d);
    dune_buf_fini(&text);
    return rc;
}

/* --- reading --------------------------------------------------------------------------------------- */
struct reader {
    const char *name;
    const char *at; /* JSON path of the forest: "$" when it is the whole file */
    struct dune_diag *d;
    struct dune_forest *f;
    char place[128];
};

/* Remembers where we are; the place is the JSON path of messages. */
static void at(struct reader *r, const char *fmt, ...) DUNE_PRINTF(2, 3);
static void at(struct reader *r, const char *fmt, ...)
{
    va_list ap;
    int n = snprintf(r->place, sizeof(r->place), "%.60s", r->at);

    va_start(ap, fmt);
    vsnprintf(r->place + n, sizeof(r->place) - (size_t)n, fmt, ap);
    va_end(ap);
}

#define BAD(r, ...) dune_diag_set_place((r)->d, DUNE_E_INPUT, (r)->name, (r)->place, __VA_ARGS__)

static bool read_uint(const json_t *v, uint64_t max, uint64_t *out)
{
    if (!json_is_integer(v) || json_integer_value(v) < 0 || (uint64_t)json_integer_value(v) > max)
        return false;
    *out = (uint64_t)json_integer_value(v);
    return true;
}

static int read_features(struct reader *r, const json_t *list)
{
    bool seen[DUNE_N_FEATURES] = {false};
    struct dune_forest *f = r->f;
    size_t n = json_array_size(list);

    at(r, ".features");
    if (!json_is_array(list) || !n || n > DUNE_N_FEATURES)
        return BAD(r, "expected a list of 1 to %d feature names", (int)DUNE_N_FEATURES);
    f->feat = DUNE_NEW_N(uint8_t, n);
    for (size_t i = 0; i < n; i++) {
        const char *s = json_string_value(json_array_get(list, i));
        int id = s ? dune_feature_find(s) : -1;

        at(r, ".features[%zu]", i);
        if (id < 0)
            return BAD(r, "\"%s\" is not a feature of the catalog", s ? s : "(not a string)");
        if (seen[id])
            return BAD(r, "feature \"%s\" is listed twice", s);
        seen[id] = true;
        f->feat[f->n_feats++] = (uint8_t)id;
    }
    return 0;
}

static int read_classes(struct reader *r, const json_t *list)
{
    struct dune_forest *f = r->f;
    size_t n = json_array_size(list);
    json_t *seen;
    int rc = 0;

    at(r, ".classes");
    if (!json_is_array(list) || !n || n > MAX_CLASSES)
        return BAD(r, "expected a list of 1 to %d class names", MAX_CLASSES);
    f->class_name = DUNE_NEW_N(char *, n);
    seen = json_object();
    for (size_t i = 0; i < n && !rc; i++) {
        const char *s = json_string_value(json_array_get(list, i));

        at(r, ".classes[%zu]", i);
        if (!s || !*s)
            rc = BAD(r, "expected a class name");
        else if (json_object_get(seen, s))
            rc = BAD(r, "class \"%s\" is listed twice", s);
        else if (json_object_set_new(seen, s, json_true()))
            rc = BAD(r, "class \"%s\" cannot be stored", s);
        else
            f->class_name[f->n_classes++] = dune_mem_strdup(s);
    }
    json_decref(seen);
    return rc;
}

/* A split makes the next two nodes of the tree: together the splits name every node but the root. */
static int read_node(struct reader *r, struct dune_tree *t, uint32_t v, const json_t *item)
{
    uint64_t feat, threshold, left;

    if (!json_is_array(item) || (json_array_size(item) != 0 && json_array_size(item) != 3))
        return BAD(r, "expected [] (a leaf) or [feature, threshold, left]");
    t->node[v].feat = -1;
    if (!json_array_size(item))
        return 0;
    if (t->n_nodes < 3)
        return BAD(r, "a tree of one node is a leaf: expected []");
    if (!read_uint(json_array_get(item, 0), r->f->n_feats - 1, &feat))
        return BAD(r, "expected a feature index from 0 to %u", r->f->n_feats - 1);
    if (!read_uint(json_array_get(item, 1), UINT32_MAX, &threshold))
        return BAD(r, "expected a threshold from 0 to %" PRIu32, UINT32_MAX);
    if (!read_uint(json_array_get(item, 2), t->n_nodes - 2, &left) || left % 2 == 0 || left <= v)
        return BAD(r, "expected the left child: an odd node number from %u to %u", v + 1, t->n_nodes - 2);
    if (t->node[left].parent != UINT32_MAX)
        return BAD(r, "node %u is already a child of node %u", (unsigned)left, t->node[left].parent);
    t->node[v].feat = (int32_t)feat;
    t->node[v].threshold = (uint32_t)threshold;
    t->node[v].left = (uint32_t)left;
    t->node[v].right = (uint32_t)left + 1;
    t->node[left].parent = t->node[left + 1].parent = v;
    return 0;
}

static int read_nodes(struct reader *r, struct dune_tree *t, size_t i, const json_t *nodes)
{
    int rc;

    for (uint32_t v = 0; v < t->n_nodes; v++)
        t->node[v].parent = UINT32_MAX;
    for (uint32_t v = 0; v < t->n_nodes; v++) {
        at(r, ".trees[%zu].nodes[%u]", i, v);
        if (v && t->node[v].parent == UINT32_MAX)
            return BAD(r, "no earlier node has this one as its child");
        rc = read_node(r, t, v, json_array_get(nodes, v));
        if (rc)
            return rc;
    }
    return 0;
}

static int read_leaf(struct reader *r, uint64_t *hist, const json_t *item, uint64_t *sum)
{
    size_t n = json_array_size(item);
    uint64_t cls, weight, next = 0;

    if (!json_is_array(item) || n % 2)
        return BAD(r, "expected pairs of class number and weight");
    for (size_t k = 0; k < n; k += 2) {
        if (!read_uint(json_array_get(item, k), r->f->n_classes - 1, &cls) || cls < next)
            return BAD(r, "expected ascending class numbers from 0 to %u", r->f->n_classes - 1);
        if (!read_uint(json_array_get(item, k + 1), DUNE_MAX_WEIGHT - *sum, &weight) || !weight)
            return BAD(r, "expected a weight of at least 1, at most 2^60 in the whole tree");
        hist[cls] = weight;
        *sum += weight;
        next = cls + 1;
    }
    return 0;
}

static int read_leaves(struct reader *r, struct dune_tree *t, size_t i, const json_t *leaves)
{
    uint32_t k = r->f->n_classes;
    uint64_t sum = 0;
    size_t next = 0;
    int rc;

    at(r, ".trees[%zu].leaves", i);
    if (!json_is_array(leaves) || json_array_size(leaves) != (t->n_nodes + 1) / 2)
        return BAD(r, "expected a list of %u leaves", (t->n_nodes + 1) / 2);
    for (uint32_t v = 0; v < t->n_nodes; v++) {
        if (t->node[v].feat >= 0)
            continue;
        at(r, ".trees[%zu].leaves[%zu]", i, next);
        rc = read_leaf(r, t->hist + (size_t)v * k, json_array_get(leaves, next++), &sum);
        if (rc)
            return rc;
    }
    for (uint32_t v = t->n_nodes; --v;) /* children come after parents */
        for (uint32_t c = 0; c < k; c++)
            t->hist[(size_t)t->node[v].parent * k + c] += t->hist[(size_t)v * k + c];
    return 0;
}

static int read_tree(struct reader *r, size_t i, json_t *item, uint64_t *room)
{
    struct dune_tree *t = &r->f->tree[i];
    const json_t *nodes = json_object_get(item, "nodes");
    size_t n = json_array_size(nodes);
    int rc;

    at(r, ".trees[%zu]", i);
    if (!json_is_object(item) || json_object_size(item) != 2)
        return BAD(r, "expected an object with \"nodes\" and \"leaves\"");
    at(r, ".trees[%zu].nodes", i);
    if (!json_is_array(nodes) || n % 2 == 0 || n > UINT32_MAX / 2)
        return BAD(r, "expected an odd number of nodes");
    if (n * r->f->n_classes > *room)
        return BAD(r, "the forest is too large: more than 2^29 nodes times classes");
    *room -= n * r->f->n_classes;
    t->n_nodes = (uint32_t)n;
    t->node = DUNE_NEW_N(struct dune_node, n);
    t->hist = DUNE_NEW_N(uint64_t, n * r->f->n_classes);
    rc = read_nodes(r, t, i, nodes);
    return rc ? rc : read_leaves(r, t, i, json_object_get(item, "leaves"));
}

static int read_trees(struct reader *r, const json_t *list)
{
    uint64_t room = MAX_HIST;
    size_t n = json_array_size(list);
    int rc = 0;

    at(r, ".trees");
    if (!json_is_array(list) || !n || n > MAX_TREES)
        return BAD(r, "expected a list of 1 to %d trees", MAX_TREES);
    r->f->tree = DUNE_NEW_N(struct dune_tree, n);
    r->f->n_trees = (uint32_t)n;
    for (size_t i = 0; i < n && !rc; i++)
        rc = read_tree(r, i, json_array_get(list, i), &room);
    return rc;
}

static int read_recipe(struct reader *r, json_t *v)
{
    struct dune_forest_recipe *to = &r->f->recipe;
    const json_t *balance = json_object_get(v, "balance");
    const char *rows = json_string_value(json_object_get(v, "rows"));
    const char *seed = json_string_value(json_object_get(v, "seed"));
    uint64_t trees, leaves, depth;

    if (!v)
        return 0;
    at(r, ".trained");
    if (!json_is_object(v) || json_object_size(v) != 9)
        return BAD(r, "expected rows, trees, leaves, depth, min_leaf_weight, sqrt, bootstrap, balance and seed");
    if (!rows || strlen(rows) != 32)
        return BAD(r, "expected rows, the hash of a data set: 32 digits");
    if (!read_uint(json_object_get(v, "trees"), MAX_TREES, &trees) ||
        !read_uint(json_object_get(v, "leaves"), UINT32_MAX, &leaves) ||
        !read_uint(json_object_get(v, "depth"), UINT32_MAX, &depth) ||
        !read_uint(json_object_get(v, "min_leaf_weight"), DUNE_MAX_WEIGHT, &to->train.min_leaf_weight))
        return BAD(r, "expected whole numbers for trees, leaves, depth and min_leaf_weight");
    if (!json_is_boolean(json_object_get(v, "sqrt")) || !json_is_boolean(json_object_get(v, "bootstrap")))
        return BAD(r, "expected true or false for sqrt and bootstrap");
    if (!json_is_number(balance) || json_number_value(balance) < 0 || json_number_value(balance) > 4)
        return BAD(r, "expected a balance from 0 to 4");
    if (!seed || !dune_parse_u64(seed, &to->train.seed))
        return BAD(r, "expected a seed, a whole number as text");
    memcpy(to->rows, rows, sizeof(to->rows));
    to->balance = json_number_value(balance);
    to->train.n_trees = (uint32_t)trees;
    to->train.max_leaves = (uint32_t)leaves;
    to->train.max_depth = (uint32_t)depth;
    to->train.sqrt_features = json_is_true(json_object_get(v, "sqrt"));
    to->train.bootstrap = json_is_true(json_object_get(v, "bootstrap"));
    to->known = true;
    return 0;
}

static int read_head(struct reader *r, json_t *root)
{
    static const struct dune_format forest_format = {"a forest", VERSION, 0, false};
    static const char *const known[] = {"format",   "version", "n",       "phase",
                                        "features", "classes", "trained", "trees"};
    const char *format = json_string_value(json_object_get(root, "format"));
    const char *phase = json_string_value(json_object_get(root, "phase")), *key;
    json_t *value;
    uint64_t n, minor = 0;
    int rc;

    at(r, "%s", "");
    if (!json_is_object(root) || !format || strcmp(format, FORMAT) != 0)
        return BAD(r, "this is not a forest: \"format\" should be \"%s\"", FORMAT);
    at(r, ".version");
    if (!read_uint(json_object_get(root, "version"), INT32_MAX, &n) ||
        (json_object_get(root, "minor") && !read_uint(json_object_get(root, "minor"), INT32_MAX, &minor)))
        return BAD(r, "expected a version number");
    rc = dune_format_check(&forest_format, n, minor, r->name, r->place, r->d);
    if (rc)
        return rc;
    json_object_del(root, "minor");
    json_object_foreach(root, key, value) {
        bool ok = false;

        for (size_t i = 0; i < DUNE_ARRAY_LEN(known); i++)
            ok |= !strcmp(key, known[i]);
        at(r, ".%.100s", key);
        if (!ok)
            return BAD(r, "unknown key");
    }
    at(r, ".n");
    if (!read_uint(json_object_get(root, "n"), UINT32_MAX, &n))
        return BAD(r, "expected the inference point, a whole number");
    r->f->n = (unsigned)n;
    at(r, ".phase");
    if (!phase || dune_mode_find(phase) < 0)
        return BAD(r, "expected running, published, packet or flow");
    r->f->mode = (enum dune_mode)dune_mode_find(phase);
    return read_recipe(r, json_object_get(root, "trained"));
}

int dune_forest_from_json(struct dune_forest **out, const char *name, const char *place,
                          const struct json_t *v, struct dune_diag *d)
{
    json_t *root = (json_t *)(uintptr_t)v; /* jansson's iterators want it writable */
    struct reader r = {.name = name, .at = place, .d = d};
    int rc;

    *out = NULL;
    r.f = DUNE_NEW(struct dune_forest);
    rc = read_head(&r, root);
    if (!rc)
        rc = read_features(&r, json_object_get(root, "features"));
    if (!rc)
        rc = read_classes(&r, json_object_get(root, "classes"));
    if (!rc)
        rc = read_trees(&r, json_object_get(root, "trees"));
    if (rc) {
        dune_forest_free(r.f);
        return rc;
    }
    *out = r.f;
    return 0;
}

int dune_forest_parse(struct dune_forest **out, const char *name, const char *text, size_t len,
                      struct dune_diag *d)
{
    json_error_t e;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
    int rc;

    *out = NULL;
    if (!root)
        return dune_diag_set_line(d, DUNE_E_FORMAT, name, e.line > 0 ? (uint64_t)e.line : 1,
                                  "bad JSON: %s", e.text);
    rc = dune_forest_from_json(out, name, "$", root, d);
    json_decref(root);
    return rc;
}

int dune_forest_read(struct dune_forest **out, const char *path, struct dune_diag *d)
{
    char *text;
    size_t len;
    int rc;

    *out = NULL;
    rc = dune_file_read(path, &text, &len, d);
    if (rc)
        return rc;
    rc = dune_forest_parse(out, path, text, len, d);
    dune_mem_free(text);
    return rc;
}
