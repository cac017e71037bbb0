/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles as JSON (docs/formats/drift.md). */
#include <string.h>

#include "drift/drift_int.h"
#include "plan/json_reader.h"

#define FORMAT "dune-drift-profile"
#define KEYS   "id answers claims claims_limits confidence confidence_limits features"
enum { VERSION = 1, MINOR = 1 /* leaves */ };

/* --- writing ---------------------------------------------------------------------------------------------- */

static void put_counts(struct dune_jsonw *w, const char *key, const uint64_t *v, uint32_t n)
{
    dune_jsonw_key(w, key);
    dune_jsonw_arr_inline(w);
    for (uint32_t i = 0; i < n; i++)
        dune_jsonw_uint(w, v[i]);
    dune_jsonw_end(w);
}

static void put_limits(struct dune_jsonw *w, const char *key, const double *v, uint32_t n)
{
    dune_jsonw_key(w, key);
    dune_jsonw_arr_inline(w);
    for (uint32_t i = 0; i < n; i++)
        dune_jsonw_double(w, v[i]);
    dune_jsonw_end(w);
}

static void put_leaves(struct dune_jsonw *w, const struct dune_drift_submodel *s, double limit)
{
    dune_jsonw_key(w, "leaves_limit"), dune_jsonw_double(w, limit);
    dune_jsonw_key(w, "leaves");
    dune_jsonw_arr(w);
    for (uint32_t t = 0; t < s->n_trees; t++) {
        dune_jsonw_arr_inline(w);
        for (uint32_t i = 0; i < s->n_leaves[t]; i++)
            dune_jsonw_uint(w, s->leaves[t][i]);
        dune_jsonw_end(w);
    }
    dune_jsonw_end(w);
}

static void put_submodel(struct dune_jsonw *w, const struct dune_submodel *sm, const struct dune_drift_submodel *s,
                         const struct dune_drift_limits *l, bool leaves)
{
    dune_jsonw_obj(w);
    dune_jsonw_key(w, "id"), dune_jsonw_uint(w, sm->id);
    dune_jsonw_key(w, "answers"), dune_jsonw_uint(w, s->answers);
    put_counts(w, "claims", s->claims, s->n_classes + 1);
    put_limits(w, "claims_limits", l->claims, s->n_classes + 1);
    put_counts(w, "confidence", s->confidence, s->n_classes + 1);
    put_limits(w, "confidence_limits", l->confidence, s->n_classes + 1);
    dune_jsonw_key(w, "features");
    dune_jsonw_arr(w);
    for (uint32_t j = 0; j < s->n_feats; j++) {
        dune_jsonw_obj(w);
        dune_jsonw_key(w, "name"), dune_jsonw_str(w, dune_catalog[sm->feat[j].feat].name);
        dune_jsonw_key(w, "limit"), dune_jsonw_double(w, l->feature[j]);
        put_counts(w, "hits", s->hits[j], s->n_rows[j]);
        dune_jsonw_end(w);
    }
    dune_jsonw_end(w);
    if (leaves)
        put_leaves(w, s, l->leaves);
    dune_jsonw_end(w);
}

void dune_drift_profile_format(const struct dune_drift_profile *f, const struct dune_plan *p, struct dune_buf *out)
{
    struct dune_jsonw w;

    dune_jsonw_init(&w, out);
    dune_jsonw_obj(&w);
    dune_jsonw_key(&w, "format"), dune_jsonw_str(&w, FORMAT);
    dune_jsonw_key(&w, "version"), dune_jsonw_uint(&w, VERSION);
    if (f->has_leaves)
        dune_jsonw_key(&w, "minor"), dune_jsonw_uint(&w, MINOR);
    dune_jsonw_key(&w, "plan"), dune_jsonw_str(&w, f->plan_hash);
    dune_jsonw_key(&w, "data"), dune_jsonw_str(&w, f->data_hash);
    dune_jsonw_key(&w, "folds"), dune_jsonw_uint(&w, f->folds);
    dune_jsonw_key(&w, "fold_answers"), dune_jsonw_uint(&w, f->fold_answers);
    dune_jsonw_key(&w, "submodels");
    dune_jsonw_arr(&w);
    for (uint32_t k = 0; k < f->expected.n; k++)
        put_submodel(&w, &p->sub[k], &f->expected.sub[k], &f->limit[k], f->has_leaves);
    dune_jsonw_end(&w);
    dune_jsonw_end(&w);
    dune_buf_puts(out, "\n");
}

int dune_drift_profile_write(const struct dune_drift_profile *f, const struct dune_plan *p, const char *path,
                             struct dune_diag *d)
{
    struct dune_buf b = {0};
    int rc;

    dune_drift_profile_format(f, p, &b);
    rc = dune_file_write(path, b.data, b.len, d);
    dune_buf_fini(&b);
    return rc;
}

/* --- reading ----------------------------------------------------------------------------------------------- */

static bool right_length(struct dune_json_reader *r, const char *key, uint32_t n, uint32_t want)
{
    if (r->rc == 0 && n != want)
        dune_json_fail(r, "%s has %u numbers, the plan wants %u", key, n, want);
    return r->rc == 0;
}

static uint64_t read_counts(struct dune_json_reader *r, const json_t *obj, const char *key, uint64_t *out, uint32_t want)
{
    uint64_t sum = 0;
    uint32_t n;
    size_t at;
    const json_t *a = dune_json_array(r, obj, key, 1u << 20, &n, &at);

    if (r->rc == 0)
        sum = drift_read_counts(r, a, key, out, want);
    dune_json_leave(r, at);
    return sum;
}

static double read_limit(struct dune_json_reader *r, const json_t *v, double most)
{
    double x = json_number_value(v);

    if (r->rc == 0 && (!json_is_number(v) || !(x >= 0 && x <= most)))
        dune_json_fail(r, "a limit is a number from 0 to %.0f", most);
    return r->rc ? 0 : x;
}

static void read_limits(struct dune_json_reader *r, const json_t *obj, const char *key, double *out, uint32_t want)
{
    uint32_t n;
    size_t at;
    const json_t *a = dune_json_array(r, obj, key, 1u << 20, &n, &at);

    if (right_length(r, key, n, want))
        for (uint32_t i = 0; i < n; i++)
            out[i] = read_limit(r, json_array_get(a, i), 1);
    dune_json_leave(r, at);
}

static void read_feature(struct dune_json_reader *r, const json_t *v, const struct dune_plan_feature *pf,
                         struct dune_drift_submodel *s, struct dune_drift_limits *l, uint32_t j)
{
    const char *name;
    uint64_t sum;

    if (!dune_json_is_object(r, v, "name limit hits"))
        return;
    name = dune_json_text(r, v, "name", false);
    if (r->rc == 0 && strcmp(name, dune_catalog[pf->feat].name) != 0)
        dune_json_fail(r, "feature %.40s is not what the plan has here, %s", name, dune_catalog[pf->feat].name);
    l->feature[j] = read_limit(r, json_object_get(v, "limit"), 1);
    sum = read_counts(r, v, "hits", s->hits[j], s->n_rows[j]);
    if (r->rc == 0 && sum != s->answers)
        dune_json_fail(r, "the hits of a feature must add up to the answers");
}

static void read_leaves(struct dune_json_reader *r, const json_t *v, struct dune_drift_submodel *s)
{
    uint32_t n;
    size_t at;
    const json_t *a = dune_json_array(r, v, "leaves", DUNE_MAX_TREES, &n, &at);

    if (right_length(r, "leaves", n, s->n_trees))
        for (uint32_t t = 0; r->rc == 0 && t < n; t++) {
            size_t old = dune_json_enter_index(r, t);

            if (drift_read_counts(r, json_array_get(a, t), "leaves", s->leaves[t], s->n_leaves[t]) != s->answers && r->rc == 0)
                dune_json_fail(r, "the leaves of a tree must add up to the answers");
            dune_json_leave(r, old);
        }
    dune_json_leave(r, at);
}

static void read_submodel(struct dune_json_reader *r, const json_t *v, const struct dune_submodel *sm,
                          struct dune_drift_profile *f, uint32_t k)
{
    struct dune_drift_submodel *s = &f->expected.sub[k];
    struct dune_drift_limits *l = &f->limit[k];
    uint32_t n;
    size_t at;
    const json_t *a;

    if (!dune_json_is_object(r, v, f->has_leaves ? KEYS " leaves_limit leaves" : KEYS))
        return;
    if (dune_json_uint(r, v, "id", 255) != sm->id && r->rc == 0)
        dune_json_fail(r, "sub-models are in the order of the plan: %u is expected", sm->id);
    s->answers = dune_json_uint(r, v, "answers", DRIFT_MOST);
    if (read_counts(r, v, "claims", s->claims, s->n_classes + 1) != s->answers && r->rc == 0)
        dune_json_fail(r, "the claims must add up to the answers");
    read_limits(r, v, "claims_limits", l->claims, s->n_classes + 1);
    read_counts(r, v, "confidence", s->confidence, s->n_classes + 1);
    read_limits(r, v, "confidence_limits", l->confidence, s->n_classes + 1);
    a = dune_json_array(r, v, "features", DUNE_N_FEATURES, &n, &at);
    if (right_length(r, "features", n, s->n_feats))
        for (uint32_t j = 0; r->rc == 0 && j < n; j++) {
            size_t old = dune_json_enter_index(r, j);

            read_feature(r, json_array_get(a, j), &sm->feat[j], s, l, j);
            dune_json_leave(r, old);
        }
    dune_json_leave(r, at);
    if (!f->has_leaves)
        return;
    l->leaves = read_limit(r, json_object_get(v, "leaves_limit"), DRIFT_LEAVES_MOST);
    read_leaves(r, v, s);
}

static void read_profile(struct dune_json_reader *r, json_t *root, const struct dune_plan *p, struct dune_drift_profile *f)
{
    static const struct dune_format profile_format = {"a drift profile", VERSION, MINOR, false};
    const char *text;
    uint32_t n;
    size_t at;
    const json_t *a;

    text = json_string_value(json_object_get(root, "format"));
    if (!text || strcmp(text, FORMAT) != 0)
        dune_json_fail(r, "not a " FORMAT);
    f->has_leaves = json_integer_value(json_object_get(root, "minor")) > 0;
    if (r->rc == 0)
        r->rc = dune_format_check_json(&profile_format, root, "version", NULL, NULL, r->d);
    if (!dune_json_is_object(r, root, "format version plan data folds fold_answers submodels"))
        return;
    text = dune_json_text(r, root, "plan", false);
    if (r->rc == 0 && strcmp(text, f->plan_hash) != 0)
        dune_json_fail(r, "this profile belongs to another plan");
    f->data_hash = dune_json_dup(r, root, "data", true);
    f->folds = (uint32_t)dune_json_uint(r, root, "folds", 1000);
    f->fold_answers = dune_json_uint(r, root, "fold_answers", DRIFT_MOST);
    a = dune_json_array(r, root, "submodels", DUNE_MAX_SUBMODELS, &n, &at);
    if (right_length(r, "submodels", n, p->n_submodels))
        for (uint32_t k = 0; r->rc == 0 && k < n; k++) {
            size_t old = dune_json_enter_index(r, k);

            read_submodel(r, json_array_get(a, k), &p->sub[k], f, k);
            dune_json_leave(r, old);
        }
    dune_json_leave(r, at);
}

int dune_drift_profile_parse(struct dune_drift_profile **out, const struct dune_plan *p, const char *name,
                             const char *text, size_t len, struct dune_diag *d)
{
    struct dune_drift_profile *f;
    struct dune_json_reader r = {.d = d};
    json_error_t error;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);

    if (!root)
        return dune_diag_set_line(d, DUNE_E_FORMAT, name, error.line > 0 ? (uint64_t)error.line : 0, "%s", error.text);
    f = DUNE_NEW(struct dune_drift_profile);
    dune_drift_plan_hash(p, f->plan_hash);
    dune_drift_counts_init(&f->expected, p);
    f->limit = dune_drift_limits_new(&f->expected);
    read_profile(&r, root, p, f);
    json_decref(root);
    if (r.rc) {
        dune_drift_profile_free(f);
        if (d && d->code && !d->file[0])
            snprintf(d->file, sizeof(d->file), "%s", name);
        return r.rc;
    }
    *out = f;
    return 0;
}

int dune_drift_profile_read(struct dune_drift_profile **out, const struct dune_plan *p, const char *path,
                            struct dune_diag *d)
{
    char *text;
    size_t len;
    int rc = dune_file_read(path, &text, &len, d);

    if (rc)
        return rc;
    rc = dune_drift_profile_parse(out, p, path, text, len, d);
    dune_mem_free(text);
    return rc;
}
