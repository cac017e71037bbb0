/* SPDX-License-Identifier: Apache-2.0 */
/* The data sets of a run: extracted once, reused while inputs and settings are the same. */
#include <string.h>

#include "dune/labels.h"
#include "experiment/experiment_int.h"

static int add_inputs(const struct dune_string_list *specs, struct dune_paths *paths, struct dune_diag *d)
{
    for (size_t i = 0; i < specs->len; i++) {
        int rc = dune_paths_add(paths, specs->data[i], d);

        if (rc)
            return rc;
    }
    return 0;
}

static int open_labels(struct dune_run_inputs *in, const struct dune_experiment *e, const struct dune_labels_opts *lo,
                       struct dune_diag *d)
{
    size_t n = in->train.len + in->test.len;
    const char **path = dune_mem_alloc(n, sizeof(*path));
    int rc;

    for (size_t i = 0; i < n; i++)
        path[i] = i < in->train.len ? in->train.data[i] : in->test.data[i - in->train.len];
    rc = dune_labels_open(&in->labels, e->labels, lo, path, n, in->captures, &in->ndpi, d);
    dune_mem_free(path);
    return rc;
}

static uint32_t min_flows(const struct dune_experiment *e)
{
    return e->min_flows != UINT32_MAX ? e->min_flows : dune_labels_are_ndpi(e->labels) ? 20 : 0;
}

int dune_run_inputs_open(struct dune_run_inputs *in, const struct dune_experiment *e, struct dune_diag *d)
{
    struct dune_labels_opts lo = {.gateway_mac = e->gateway, .field = e->label_field};
    int rc = add_inputs(&e->train, &in->train, d);

    if (rc == 0)
        rc = add_inputs(&e->test, &in->test, d);
    if (rc == 0 && e->captures)
        rc = dune_captures_read(&in->captures, e->captures, d);
    return rc ? rc : open_labels(in, e, &lo, d);
}

void dune_run_inputs_close(struct dune_run_inputs *in)
{
    dune_paths_fini(&in->train);
    dune_paths_fini(&in->test);
    dune_labels_free(in->labels);
    dune_captures_free(in->captures);
    memset(in, 0, sizeof(*in));
}

static int data_key(const struct dune_experiment *e, const struct dune_run_inputs *in, uint32_t max_n,
                    char out[33], struct dune_diag *d)
{
    struct dune_run_key k;
    int rc = 0;

    dune_run_key_init(&k);
    dune_run_key_text(&k, "data 1");
    for (size_t i = 0; rc == 0 && i < in->train.len; i++)
        rc = dune_run_key_file(&k, in->train.data[i], d);
    dune_run_key_text(&k, "test");
    for (size_t i = 0; rc == 0 && i < in->test.len; i++)
        rc = dune_run_key_file(&k, in->test.data[i], d);
    if (rc == 0 && !dune_labels_are_ndpi(e->labels))
        rc = dune_run_key_file(&k, e->labels, d);
    else if (rc == 0) {
        dune_run_key_text(&k, e->labels);
        dune_run_key_text(&k, dune_ndpi_version());
    }
    if (rc == 0 && e->captures)
        rc = dune_run_key_file(&k, e->captures, d);
    dune_run_key_text(&k, e->gateway);
    dune_run_key_text(&k, e->label_field);
    dune_run_key_text(&k, e->unlabelled);
    dune_run_key_text(&k, e->test.len ? "" : e->split ? e->split : "captures");
    dune_run_key_u64(&k, min_flows(e));
    dune_run_key_u64(&k, e->timeout);
    dune_run_key_u64(&k, max_n);
    dune_run_key_finish(&k, out);
    return rc;
}

static int extract(struct dune_dataset **out, const struct dune_experiment *e,
                   const struct dune_run_inputs *in, uint32_t max_n, unsigned threads,
                   struct dune_extract_report *report, struct dune_diag *d)
{
    size_t n = in->train.len + in->test.len;
    struct dune_extract_input *list = DUNE_NEW_N(struct dune_extract_input, n);
    struct dune_extract_opts o = {.max_n = max_n, .timeout = e->timeout, .unlabelled = e->unlabelled,
                                  .threads = threads, .min_flows = min_flows(e),
                                  .captures_split = !e->test.len && !e->split};
    int rc = !e->test.len && e->split ? dune_split_parse(e->split, &o, d) : 0;

    for (size_t i = 0; i < n; i++) {
        bool train = i < in->train.len;

        list[i].path = train ? in->train.data[i] : in->test.data[i - in->train.len];
        list[i].split = train ? DUNE_SPLIT_TRAIN : DUNE_SPLIT_TEST;
    }
    if (rc == 0)
        rc = dune_extract(out, list, n, in->labels, in->captures, &o, report, d);
    dune_mem_free(list);
    return rc;
}

int dune_run_dataset(struct dune_dataset **out, const struct dune_experiment *e,
                     const struct dune_run_inputs *in, const char *dir, const char *file, uint32_t max_n,
                     unsigned threads, struct dune_extract_report *report, bool *reused,
                     struct dune_diag *d)
{
    char *path = dune_mem_printf("%s/%s", dir, file), key[33];
    int rc = data_key(e, in, max_n, key, d);

    *out = NULL;
    *reused = false;
    if (rc == 0 && dune_run_is_done(dir, file, key)) {
        struct dune_diag ignored = {0};

        *reused = dune_dataset_read(out, path, &ignored) == 0; /* a damaged file is made again */
    }
    if (rc == 0 && !*reused) {
        rc = extract(out, e, in, max_n, threads, report, d);
        if (rc == 0)
            rc = dune_dataset_write(*out, path, d);
        if (rc == 0)
            rc = dune_run_mark_done(dir, file, key, d);
    }
    dune_mem_free(path);
    return rc;
}
