/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench_data.h"

#include <string.h>

static const struct {
    const char *name, *dir, *labels, *captures;
} sets[] = {
    {"aalto16", "aalto-iot-setup", "labels-grouped.csv", "captures.csv"},
    {"aalto21", "aalto-iot-setup", "labels.csv", "captures.csv"},
    {"ustc", "ustc-malware", "labels.csv", NULL},
};

static int add_split(struct dune_inputs *in, const char *dir, const char *part, enum dune_split split,
                     struct dune_diag *d)
{
    char *spec = dune_mem_printf("%s/%s", dir, part);
    int rc = dune_inputs_add(in, spec, split, d);

    dune_mem_free(spec);
    return rc;
}

static int extract(const char *dir, size_t s, const char *out, unsigned threads, struct dune_diag *d)
{
    char *labels_path = dune_mem_printf("%s/%s", dir, sets[s].labels);
    char *captures_path = dune_mem_printf("%s/%s", dir, sets[s].captures ? sets[s].captures : "");
    struct dune_labels *labels = NULL;
    struct dune_captures *captures = NULL;
    struct dune_dataset *ds = NULL;
    struct dune_inputs in = {0};
    struct dune_extract_opts opts = {.threads = threads};
    struct dune_extract_report report;
    int rc = dune_labels_read(&labels, labels_path, NULL, d);

    if (rc == 0 && sets[s].captures)
        rc = dune_captures_read(&captures, captures_path, d);
    if (rc == 0)
        rc = add_split(&in, dir, "train", DUNE_SPLIT_TRAIN, d);
    if (rc == 0)
        rc = add_split(&in, dir, "test", DUNE_SPLIT_TEST, d);
    if (rc == 0)
        rc = dune_extract(&ds, in.data, in.len, labels, captures, &opts, &report, d);
    if (rc == 0)
        rc = dune_dataset_write(ds, out, d);
    dune_dataset_free(ds);
    dune_inputs_fini(&in);
    dune_captures_free(captures);
    dune_labels_free(labels);
    dune_mem_free(labels_path);
    dune_mem_free(captures_path);
    return rc;
}

int bench_shared_dataset(struct bench *b, const char *set, char **path, struct dune_diag *d)
{
    const struct bench_cfg *cfg = bench_cfg(b);
    char name[64], *dir;
    int rc = 0;

    *path = NULL;
    for (size_t s = 0; s < DUNE_ARRAY_LEN(sets) && cfg->data; s++) {
        if (strcmp(set, sets[s].name) != 0)
            continue;
        dir = dune_mem_printf("%s/%s", cfg->data, sets[s].dir);
        if (dune_path_is_dir(dir)) {
            snprintf(name, sizeof(name), "%s.dset", set);
            *path = bench_tmp(b, name);
            if (!dune_path_exists(*path))
                rc = extract(dir, s, *path, cfg->threads, d);
        }
        dune_mem_free(dir);
    }
    return rc;
}
