/* SPDX-License-Identifier: Apache-2.0 */
/* DIR/inputs.json: from which files a run directory was made (docs/formats/inputs.md). */
#include <stdlib.h>
#include <string.h>

#include "experiment/experiment_int.h"
#include "plan/json_reader.h"

enum { MAX_FILES = 1 << 20, MAX_SOLUTIONS = 64 };

/* --- writing --------------------------------------------------------------------------------------------- */

static void put_path(struct dune_jsonw *w, const char *path)
{
    char *real = path ? realpath(path, NULL) : NULL;

    dune_jsonw_str(w, real ? real : path);
    free(real);
}

static void put_paths(struct dune_jsonw *w, const char *key, const struct dune_paths *p)
{
    dune_jsonw_key(w, key);
    dune_jsonw_arr(w);
    for (size_t i = 0; i < p->len; i++)
        put_path(w, p->data[i]);
    dune_jsonw_end(w);
}

int dune_run_inputs_write(const struct dune_run_inputs *in, const struct dune_experiment *e, const char *dir,
                          struct dune_diag *d)
{
    char *path = dune_mem_printf("%s/inputs.json", dir);
    struct dune_buf b = {0};
    struct dune_jsonw w;
    int rc;

    dune_jsonw_init(&w, &b);
    dune_jsonw_obj(&w);
    dune_jsonw_key(&w, "name"), dune_jsonw_str(&w, e->name);
    put_paths(&w, "train", &in->train);
    put_paths(&w, "test", &in->test);
    dune_jsonw_key(&w, "labels");
    if (dune_labels_are_ndpi(e->labels))
        dune_jsonw_str(&w, e->labels);
    else
        put_path(&w, e->labels);
    dune_jsonw_key(&w, "captures"), put_path(&w, e->captures);
    dune_jsonw_key(&w, "gateway"), dune_jsonw_str(&w, e->gateway);
    dune_jsonw_key(&w, "label_field"), dune_jsonw_str(&w, e->label_field);
    dune_jsonw_key(&w, "solutions");
    dune_jsonw_arr_inline(&w);
    for (size_t i = 0; i < e->solutions.len; i++)
        dune_jsonw_str(&w, e->solutions.data[i]);
    dune_jsonw_end(&w);
    dune_jsonw_end(&w);
    rc = dune_file_write(path, b.data, b.len, d);
    dune_buf_fini(&b);
    dune_mem_free(path);
    return rc;
}

/* --- reading --------------------------------------------------------------------------------------------- */

static void read_list(struct dune_json_reader *r, const json_t *root, const char *key, uint32_t max,
                      struct dune_string_list *out)
{
    uint32_t n;
    size_t at;
    const json_t *list = dune_json_array(r, root, key, max, &n, &at);

    for (uint32_t i = 0; i < n; i++) {
        const char *text = json_string_value(json_array_get(list, i));

        if (!text)
            dune_json_fail(r, "entry %u is not a text", i);
        else
            DUNE_VEC_PUSH(out, dune_mem_strdup(text));
    }
    dune_json_leave(r, at);
}

int dune_run_source_parse(struct dune_run_source **out, const char *file, const char *text, size_t len,
                          struct dune_diag *d)
{
    static const struct dune_format known = {"a list of inputs", 1, 0, false};
    struct dune_run_source *s;
    struct dune_json_reader r = {.d = d};
    json_error_t err;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &err);

    *out = NULL;
    if (!root)
        return dune_diag_set_line(d, DUNE_E_FORMAT, file, (uint64_t)DUNE_MAX(err.line, 1), "%s", err.text);
    s = DUNE_NEW(struct dune_run_source);
    if (json_object_get(root, "version")) /* it has none yet: version 1 */
        r.rc = dune_format_check_json(&known, root, "version", NULL, NULL, d);
    json_object_del(root, "version");
    if (dune_json_is_object(&r, root, "name train test labels captures gateway label_field solutions")) {
        s->name = dune_json_dup(&r, root, "name", false);
        read_list(&r, root, "train", MAX_FILES, &s->train);
        read_list(&r, root, "test", MAX_FILES, &s->test);
        s->labels = dune_json_dup(&r, root, "labels", true);
        s->captures = dune_json_dup(&r, root, "captures", true);
        s->gateway = dune_json_dup(&r, root, "gateway", true);
        s->label_field = dune_json_dup(&r, root, "label_field", true);
        read_list(&r, root, "solutions", MAX_SOLUTIONS, &s->solutions);
    }
    json_decref(root);
    if (r.rc) {
        if (d)
            snprintf(d->file, sizeof(d->file), "%s", file);
        dune_run_source_free(s);
        return r.rc;
    }
    *out = s;
    return 0;
}

int dune_run_source_read(struct dune_run_source **out, const char *dir, struct dune_diag *d)
{
    char *path = dune_mem_printf("%s/inputs.json", dir), *text = NULL;
    size_t len = 0;
    int rc;

    *out = NULL;
    if (!dune_path_exists(path))
        rc = dune_diag_set(d, DUNE_E_INPUT, path, "not there; dunectl run on that directory writes it, and uses again "
                           "whatever else is there already");
    else
        rc = dune_file_read(path, &text, &len, d);
    if (rc == 0)
        rc = dune_run_source_parse(out, path, text, len, d);
    dune_mem_free(text);
    dune_mem_free(path);
    return rc;
}

static void free_list(struct dune_string_list *l)
{
    for (size_t i = 0; i < l->len; i++)
        dune_mem_free(l->data[i]);
    DUNE_VEC_FREE(l);
}

void dune_run_source_free(struct dune_run_source *s)
{
    if (!s)
        return;
    free_list(&s->train);
    free_list(&s->test);
    free_list(&s->solutions);
    dune_mem_free(s->name);
    dune_mem_free(s->labels);
    dune_mem_free(s->captures);
    dune_mem_free(s->gateway);
    dune_mem_free(s->label_field);
    dune_mem_free(s);
}
