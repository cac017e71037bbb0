/* SPDX-License-Identifier: Apache-2.0 */
/* blocks.json: docs of the format are in dune/partition.h. */
#include "partition/partition_int.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

/* --- writing ------------------------------------------------------------------------------------------ */

static void put_names(struct dune_jsonw *w, const char *key, char *const *names, uint32_t n,
                      const uint32_t *which)
{
    dune_jsonw_key(w, key);
    dune_jsonw_arr_inline(w);
    for (uint32_t i = 0; i < n; i++)
        dune_jsonw_str(w, names[which ? which[i] : i]);
    dune_jsonw_end(w);
}

int dune_blocks_format(const struct dune_blocks *b, char **text, size_t *len)
{
    struct dune_buf out = {0};
    struct dune_jsonw w;

    dune_jsonw_init(&w, &out);
    dune_jsonw_obj(&w);
    dune_jsonw_key(&w, "method");
    dune_jsonw_str(&w, b->method);
    dune_jsonw_key(&w, "objective");
    dune_jsonw_double(&w, b->objective);
    dune_jsonw_key(&w, "blocks");
    dune_jsonw_arr(&w);
    for (uint32_t q = 0; q < b->n_blocks; q++) {
        dune_jsonw_obj(&w);
        put_names(&w, "classes", b->class_name, b->block[q].n_classes, b->block[q].cls);
        put_names(&w, "features", b->feat_name, b->block[q].n_feats, b->block[q].feat);
        dune_jsonw_key(&w, "gain");
        dune_jsonw_double(&w, b->block[q].gain);
        dune_jsonw_end(&w);
    }
    dune_jsonw_end(&w);
    dune_jsonw_key(&w, "optimal");
    dune_jsonw_bool(&w, b->optimal);
    dune_jsonw_key(&w, "gap");
    dune_jsonw_double(&w, b->gap);
    dune_jsonw_key(&w, "levels");
    dune_jsonw_arr_inline(&w);
    for (uint32_t i = 0; i < b->n_levels; i++)
        dune_jsonw_double(&w, b->level[i]);
    dune_jsonw_end(&w);
    put_names(&w, "classes", b->class_name, b->n_classes, NULL);
    put_names(&w, "features", b->feat_name, b->n_feats, NULL);
    dune_jsonw_end(&w);
    *text = out.data;
    *len = out.len;
    return 0;
}

int dune_blocks_write(const struct dune_blocks *b, const char *path, struct dune_diag *d)
{
    char *text;
    size_t len;
    int rc = dune_blocks_format(b, &text, &len);

    if (!rc)
        rc = dune_file_write(path, text, len, d);
    dune_mem_free(text);
    return rc;
}

/* --- reading ------------------------------------------------------------------------------------------ */

enum { MAX_JSON_NAMES = 4096 };

struct names {
    char **data;
    size_t len, cap;
};
struct reader {
    const char *file;
    struct names classes, feats;
    uint8_t *used; /* per class: already in a block */
    struct dune_diag *d;
};

static int wrong(struct reader *r, const char *place, const char *what)
{
    return dune_diag_set_place(r->d, DUNE_E_INPUT, r->file, place, "%s", what);
}

static int find_or_add(struct names *l, const char *name)
{
    for (size_t i = 0; i < l->len; i++)
        if (strcmp(l->data[i], name) == 0)
            return (int)i;
    if (l->len == MAX_JSON_NAMES)
        return -1;
    DUNE_VEC_PUSH(l, dune_mem_strdup(name));
    return (int)l->len - 1;
}

/* A list of different names, numbered by l; out has room for all (NULL: only fills l). */
static int read_names(struct reader *r, const char *place, const json_t *arr, struct names *l, uint32_t *out,
                      uint32_t *n)
{
    json_t *item;
    size_t i;

    *n = 0;
    if (!json_is_array(arr) || json_array_size(arr) > MAX_JSON_NAMES)
        return wrong(r, place, "must be a list of at most 4096 names");
    json_array_foreach (arr, i, item) {
        const char *name = json_string_value(item);
        int id;

        if (!name || !*name || strlen(name) != json_string_length(item))
            return wrong(r, place, "must hold names only, none of them empty");
        id = find_or_add(l, name);
        if (id < 0)
            return wrong(r, place, "more than 4096 names");
        if (!out && (size_t)id != i)
            return wrong(r, place, "a name appears twice");
        for (uint32_t j = 0; out && j < *n; j++)
            if (out[j] == (uint32_t)id)
                return wrong(r, place, "a name appears twice");
        if (out)
            out[(*n)++] = (uint32_t)id;
    }
    return 0;
}

static void sort_ids(uint32_t *v, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++)
        for (uint32_t j = i; j > 0 && v[j - 1] > v[j]; j--) {
            uint32_t tmp = v[j];

            v[j] = v[j - 1];
            v[j - 1] = tmp;
        }
}

static int read_number(struct reader *r, const json_t *obj, const char *key, const char *place, double missing,
                       double *out)
{
    const json_t *v = json_object_get(obj, key);

    *out = missing;
    if (!v || json_is_null(v))
        return 0;
    if (!json_is_number(v))
        return wrong(r, place, "must be a number");
    *out = json_number_value(v);
    return 0;
}

static int read_block(struct reader *r, const json_t *obj, uint32_t q, struct dune_block *b)
{
    const json_t *feats = json_object_get(obj, "features");
    char place[64];
    int rc;

    snprintf(place, sizeof(place), "blocks[%u]", q);
    if (!json_is_object(obj))
        return wrong(r, place, "must be an object");
    b->cls = DUNE_NEW_N(uint32_t, json_array_size(json_object_get(obj, "classes")) + 1);
    b->feat = DUNE_NEW_N(uint32_t, json_array_size(feats) + 1);
    snprintf(place, sizeof(place), "blocks[%u].classes", q);
    rc = read_names(r, place, json_object_get(obj, "classes"), &r->classes, b->cls, &b->n_classes);
    if (!rc && !b->n_classes)
        rc = wrong(r, place, "a block needs a class");
    for (uint32_t i = 0; !rc && i < b->n_classes; i++) {
        if (r->used[b->cls[i]])
            rc = dune_diag_set_place(r->d, DUNE_E_INPUT, r->file, place, "class \"%.200s\" is in two blocks",
                                     r->classes.data[b->cls[i]]);
        r->used[b->cls[i]] = 1;
    }
    sort_ids(b->cls, b->n_classes);
    snprintf(place, sizeof(place), "blocks[%u].features", q);
    if (!rc && feats)
        rc = read_names(r, place, feats, &r->feats, b->feat, &b->n_feats);
    sort_ids(b->feat, b->n_feats);
    snprintf(place, sizeof(place), "blocks[%u].gain", q);
    return rc ? rc : read_number(r, obj, "gain", place, NAN, &b->gain);
}

static int compare_blocks(const void *a, const void *b)
{
    uint32_t x = ((const struct dune_block *)a)->cls[0], y = ((const struct dune_block *)b)->cls[0];

    return (x > y) - (x < y);
}

static int read_blocks(struct reader *r, const json_t *root, struct dune_blocks *b)
{
    const json_t *arr = json_object_get(root, "blocks");
    json_t *item;
    size_t i;

    if (!json_is_array(arr) || !json_array_size(arr) || json_array_size(arr) > MAX_JSON_NAMES)
        return wrong(r, "blocks", "must be a list of 1 to 4096 blocks");
    b->block = DUNE_NEW_N(struct dune_block, json_array_size(arr));
    json_array_foreach (arr, i, item) {
        int rc;

        b->n_blocks++;
        rc = read_block(r, item, (uint32_t)i, &b->block[i]);
        if (rc)
            return rc;
    }
    qsort(b->block, b->n_blocks, sizeof(*b->block), compare_blocks);
    for (i = 0; i < r->classes.len; i++)
        if (!r->used[i])
            return dune_diag_set_place(r->d, DUNE_E_INPUT, r->file, "blocks",
                                       "class \"%.200s\" is in no block", r->classes.data[i]);
    return 0;
}

static int read_levels(struct reader *r, const json_t *arr, struct dune_blocks *b)
{
    json_t *item;
    size_t i;

    if (!arr)
        return 0;
    if (!json_is_array(arr) || json_array_size(arr) > MAX_JSON_NAMES)
        return wrong(r, "levels", "must be a list of at most 4096 numbers");
    b->level = DUNE_NEW_N(double, json_array_size(arr));
    json_array_foreach (arr, i, item) {
        if (!json_is_number(item))
            return wrong(r, "levels", "must hold numbers only");
        b->level[b->n_levels++] = json_number_value(item);
    }
    return 0;
}

static int read_root(struct reader *r, const json_t *root, struct dune_blocks *b)
{
    const json_t *method = json_object_get(root, "method"), *list;
    uint32_t n;
    int rc = 0;

    if (!json_is_object(root))
        return wrong(r, "", "must be an object with \"blocks\"");
    if (method && !json_is_string(method))
        return wrong(r, "method", "must be a name");
    b->method = dune_mem_strdup(method ? json_string_value(method) : "given");
    if ((list = json_object_get(root, "classes")))
        rc = read_names(r, "classes", list, &r->classes, NULL, &n);
    if (!rc && (list = json_object_get(root, "features")))
        rc = read_names(r, "features", list, &r->feats, NULL, &n);
    if (!rc)
        rc = read_number(r, root, "objective", "objective", NAN, &b->objective);
    if (!rc)
        rc = read_number(r, root, "gap", "gap", -1, &b->gap);
    b->optimal = json_is_true(json_object_get(root, "optimal"));
    if (!rc)
        rc = read_levels(r, json_object_get(root, "levels"), b);
    return rc ? rc : read_blocks(r, root, b);
}

int dune_blocks_parse(struct dune_blocks **out, const char *name, const char *text, size_t len,
                      struct dune_diag *d)
{
    struct reader r = {.file = name, .d = d};
    struct dune_blocks *b;
    json_error_t err;
    json_t *root;
    int rc;

    *out = NULL;
    root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &err);
    if (!root)
        return dune_diag_set_line(d, DUNE_E_FORMAT, name, err.line > 0 ? (uint64_t)err.line : 0, "%s",
                                  err.text);
    b = DUNE_NEW(struct dune_blocks);
    r.used = DUNE_NEW_N(uint8_t, MAX_JSON_NAMES);
    rc = read_root(&r, root, b);
    json_decref(root);
    dune_mem_free(r.used);
    b->class_name = r.classes.data;
    b->n_classes = (uint32_t)r.classes.len;
    b->feat_name = r.feats.data;
    b->n_feats = (uint32_t)r.feats.len;
    if (rc) {
        dune_blocks_free(b);
        return rc;
    }
    *out = b;
    return 0;
}

int dune_blocks_read(struct dune_blocks **out, const char *path, struct dune_diag *d)
{
    char *text;
    size_t len;
    int rc;

    *out = NULL;
    rc = dune_file_read(path, &text, &len, d);
    if (rc)
        return rc;
    rc = dune_blocks_parse(out, path, text, len, d);
    dune_mem_free(text);
    return rc;
}
