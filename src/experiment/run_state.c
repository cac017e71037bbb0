/* SPDX-License-Identifier: Apache-2.0 */
/* DIR/state.json: which file of a run directory was made from what, so that a run can continue. */
#include "experiment/experiment_int.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

void dune_run_key_init(struct dune_run_key *k)
{
    memset(k, 0, sizeof(*k));
}

void dune_run_key_text(struct dune_run_key *k, const char *text)
{
    dune_buf_puts(&k->text, text ? text : "-");
    dune_buf_append(&k->text, "", 1);
}

void dune_run_key_u64(struct dune_run_key *k, uint64_t v)
{
    dune_buf_printf(&k->text, "%llu", (unsigned long long)v);
    dune_buf_append(&k->text, "", 1);
}

int dune_run_key_file(struct dune_run_key *k, const char *path, struct dune_diag *d)
{
    struct dune_map m;
    char hash[33];
    int rc = dune_map_open(&m, path, d);

    if (rc)
        return rc;
    dune_content_hash(m.data, m.len, hash);
    dune_map_close(&m);
    dune_run_key_text(k, path);
    dune_run_key_text(k, hash);
    return 0;
}

void dune_run_key_finish(struct dune_run_key *k, char out[33])
{
    dune_content_hash(k->text.data, k->text.len, out);
    dune_buf_fini(&k->text);
}

static char *state_path(const char *dir)
{
    return dune_mem_printf("%s/state.json", dir);
}

/* A state that cannot be read only means that the work is done again. */
static json_t *load(const char *dir)
{
    char *path = state_path(dir);
    json_t *root = json_load_file(path, 0, NULL);

    dune_mem_free(path);
    if (!json_is_object(root)) {
        json_decref(root);
        root = json_object();
    }
    return root;
}

bool dune_run_is_done(const char *dir, const char *file, const char *key)
{
    json_t *root = load(dir);
    const char *known = json_string_value(json_object_get(root, file));
    char *path = dune_mem_printf("%s/%s", dir, file);
    bool done = known && strcmp(known, key) == 0 && dune_path_exists(path);

    json_decref(root);
    dune_mem_free(path);
    return done;
}

int dune_run_mark_done(const char *dir, const char *file, const char *key, struct dune_diag *d)
{
    json_t *root = load(dir);
    char *path = state_path(dir), *text;
    int rc;

    json_object_set_new(root, file, json_string(key));
    text = json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS);
    rc = text ? dune_file_write(path, text, strlen(text), d)
              : dune_diag_set(d, DUNE_E_NOMEM, path, "out of memory");
    free(text);
    json_decref(root);
    dune_mem_free(path);
    return rc;
}
