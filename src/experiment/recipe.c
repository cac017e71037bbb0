/* SPDX-License-Identifier: Apache-2.0 */
/* Published data sets: what belongs to each (recipe_kinds.c), found in a directory, as an experiment. */
#include "experiment/recipe_int.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/spill.h"

/* --- helpers of the kinds ------------------------------------------------------------------------------ */

bool recipe_is_capture(const char *path)
{
    static const char *const suffix[] = {".pcap", ".pcapng", ".pcap.gz", ".pcapng.gz", ".pcap.zst", ".cap"};
    size_t n = strlen(path);

    for (size_t i = 0; i < DUNE_ARRAY_LEN(suffix); i++) {
        size_t k = strlen(suffix[i]);

        if (n > k && strcasecmp(path + n - k, suffix[i]) == 0)
            return true;
    }
    return false;
}

const char *recipe_below(const struct dune_recipe *r, const char *path)
{
    size_t n = strlen(r->dir);

    if (strncmp(path, r->dir, n) == 0 && path[n] == '/')
        return path + n + 1;
    return path;
}

void recipe_item(struct dune_recipe *r, bool ok, const char *what, const char *where, char *found)
{
    DUNE_VEC_PUSH(&r->items, ((struct dune_recipe_item){dune_mem_strdup(what), dune_mem_strdup(where), found, ok}));
}

void recipe_use(struct dune_recipe *r, const char *path)
{
    DUNE_VEC_PUSH(&r->captures, dune_mem_strdup(path));
}

void recipe_label(struct dune_recipe *r, const char *path)
{
    DUNE_VEC_PUSH(&r->label_files, dune_mem_strdup(path));
}

void recipe_class(struct dune_recipe *r, const char *tail, const char *label)
{
    dune_csv_put(&r->file_labels, tail);
    dune_buf_puts(&r->file_labels, ",");
    dune_csv_put(&r->file_labels, label);
    dune_buf_puts(&r->file_labels, "\n");
}

void recipe_list(struct dune_buf *b, const char *name)
{
    if (b->len > 400) {
        if (b->data[b->len - 1] != '.')
            dune_buf_puts(b, " ...");
        return;
    }
    dune_buf_printf(b, "%s%s", b->len ? ", " : "", name);
}

/* --- life ------------------------------------------------------------------------------------------------ */

static const struct recipe_kind *find_kind(const char *name)
{
    for (size_t i = 0; recipe_kinds[i].name; i++)
        if (strcmp(recipe_kinds[i].name, name) == 0)
            return &recipe_kinds[i];
    return NULL;
}

int dune_recipe_open(struct dune_recipe **out, const char *name, const char *dir, struct dune_diag *d)
{
    const struct recipe_kind *kind = find_kind(name);
    struct dune_recipe *r;
    struct dune_diag none = {0};

    *out = NULL;
    if (!kind)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "no recipe \"%.40s\"; there are unsw, ton-iot, cic-iot-2023, iot-23 and "
                             "ustc", name);
    if (!dune_path_is_dir(dir))
        return dune_diag_set(d, DUNE_E_INPUT, dir, "no such directory: make it and put the files of %s there (%s)",
                             kind->title, kind->source);
    r = DUNE_NEW(struct dune_recipe);
    r->kind = kind;
    r->dir = dune_mem_strdup(dir);
    for (size_t n = strlen(r->dir); n > 1 && r->dir[n - 1] == '/'; n--)
        r->dir[n - 1] = '\0';
    if (dune_paths_add(&r->files, r->dir, &none) != 0)
        r->files.len = 0; /* an empty directory: all is missing */
    kind->look(r);
    *out = r;
    return 0;
}

static void free_list(char **data, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dune_mem_free(data[i]);
    dune_mem_free(data);
}

void dune_recipe_free(struct dune_recipe *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->items.len; i++) {
        dune_mem_free(r->items.data[i].what);
        dune_mem_free(r->items.data[i].where);
        dune_mem_free(r->items.data[i].found);
    }
    DUNE_VEC_FREE(&r->items);
    free_list(r->captures.data, r->captures.len);
    free_list(r->label_files.data, r->label_files.len);
    dune_buf_fini(&r->file_labels);
    dune_paths_fini(&r->files);
    dune_mem_free(r->dir);
    dune_mem_free(r);
}

const char *dune_recipe_title(const struct dune_recipe *r)
{
    return r->kind->title;
}

const char *dune_recipe_source(const struct dune_recipe *r)
{
    return r->kind->source;
}

const char *dune_recipe_remark(const struct dune_recipe *r)
{
    return r->kind->remark;
}

size_t dune_recipe_n_items(const struct dune_recipe *r)
{
    return r->items.len;
}

const struct dune_recipe_item *dune_recipe_item(const struct dune_recipe *r, size_t i)
{
    return &r->items.data[i];
}

bool dune_recipe_complete(const struct dune_recipe *r)
{
    bool ok = true;

    for (size_t i = 0; i < r->items.len; i++)
        ok &= r->items.data[i].ok;
    return ok;
}

/* --- the experiment ---------------------------------------------------------------------------------------- */

static int append(struct dune_outfile *o, const char *path, struct dune_diag *d)
{
    struct dune_map m;
    int rc = dune_map_open(&m, path, d);

    if (rc)
        return rc;
    if (m.len)
        (void)dune_spill_fwrite(m.data, m.len, o->f); /* commit says when it failed */
    if (m.len && m.data[m.len - 1] != '\n')
        (void)fputc('\n', o->f);
    dune_map_close(&m);
    return 0;
}

/* The lists of flows as one, with the columns that are needed of each. */
static int append_lists(const struct dune_recipe *r, struct dune_outfile *o, struct dune_diag *d)
{
    const char *const *column = r->kind->columns;
    size_t n = 0;
    int rc = 0;

    for (; column[n]; n++)
        (void)fprintf(o->f, "%s%s", n ? "," : "", column[n]);
    (void)fputc('\n', o->f);
    for (size_t i = 0; i < r->label_files.len && rc == 0; i++)
        rc = recipe_append_columns(o->f, r->label_files.data[i], column, n, d);
    return rc;
}

static int write_labels(const struct dune_recipe *r, const char *path, struct dune_diag *d)
{
    struct dune_outfile o = {0};
    int rc = dune_outfile_open(&o, path, d);

    if (rc)
        return rc;
    if (r->file_labels.len) {
        (void)fputs("file,label\n", o.f);
        (void)dune_spill_fwrite(r->file_labels.data, r->file_labels.len, o.f);
    }
    if (r->kind->columns)
        rc = append_lists(r, &o, d);
    for (size_t i = 0; !r->kind->columns && i < r->label_files.len && rc == 0; i++)
        rc = append(&o, r->label_files.data[i], d);
    if (rc == 0)
        return dune_outfile_commit(&o, d);
    dune_outfile_abort(&o);
    return rc;
}

static char *absolute(const char *path)
{
    char *real = realpath(path, NULL), *copy = dune_mem_strdup(real ? real : path);

    free(real);
    return copy;
}

static void put(struct dune_jsonw *w, const char *key, const char *value)
{
    dune_jsonw_key(w, key);
    dune_jsonw_str(w, value);
}

/* JSON is YAML, and quotes whatever stands in a path. */
static void put_experiment(const struct dune_recipe *r, const char *labels, struct dune_jsonw *w)
{
    char *path = absolute(labels);

    dune_jsonw_obj(w);
    put(w, "name", r->kind->name);
    dune_jsonw_key(w, "data");
    dune_jsonw_obj(w);
    dune_jsonw_key(w, "train");
    dune_jsonw_arr(w);
    for (size_t i = 0; i < r->captures.len; i++) {
        char *capture = absolute(r->captures.data[i]);

        dune_jsonw_str(w, capture);
        dune_mem_free(capture);
    }
    dune_jsonw_end(w);
    put(w, "labels", path);
    put(w, "split", "captures");
    if (r->kind->label_field)
        put(w, "label_field", r->kind->label_field);
    dune_jsonw_key(w, "min_flows");
    dune_jsonw_uint(w, 8);
    dune_jsonw_end(w);
    dune_jsonw_end(w);
    dune_mem_free(path);
}

int dune_recipe_prepare(const struct dune_recipe *r, const char *out, struct dune_diag *d)
{
    bool own = r->file_labels.len || r->label_files.len > 1 || r->kind->label_field;
    char *labels, *path;
    struct dune_buf text = {0};
    struct dune_jsonw w;
    int rc;

    for (size_t i = 0; i < r->items.len; i++)
        if (!r->items.data[i].ok)
            return dune_diag_set(d, DUNE_E_INPUT, r->dir, "%s: %s; expected there: %s", r->items.data[i].what,
                                 r->items.data[i].found, r->items.data[i].where);
    rc = dune_mkdirs(out, d);
    if (rc)
        return rc;
    labels = own ? dune_mem_printf("%s/labels.%s", out, r->kind->label_field ? "log" : "csv")
                 : dune_mem_strdup(r->label_files.data[0]);
    path = dune_mem_printf("%s/experiment.yaml", out);
    rc = own ? write_labels(r, labels, d) : 0;
    if (rc == 0) {
        dune_jsonw_init(&w, &text);
        put_experiment(r, labels, &w);
        dune_buf_puts(&text, "\n");
        rc = dune_file_write(path, text.data, text.len, d);
    }
    dune_buf_fini(&text);
    dune_mem_free(labels);
    dune_mem_free(path);
    return rc;
}
