/* SPDX-License-Identifier: Apache-2.0 */
/* Which capture files a data set is made of, and the split of each. */
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/base.h"
#include "dune/dataset.h"

static bool is_document(const char *path)
{
    static const char *const suffix[] = {"md", "txt", "csv", "json", "yaml", "yml", "html", "pdf"};
    const char *dot = strrchr(dune_path_base(path), '.');

    for (size_t i = 0; dot && i < DUNE_ARRAY_LEN(suffix); i++)
        if (strcasecmp(dot + 1, suffix[i]) == 0)
            return true;
    return false;
}

int dune_split_parse(const char *text, struct dune_extract_opts *o, struct dune_diag *d)
{
    if (strcmp(text, "captures") == 0) {
        o->captures_split = true;
        return 0;
    }
    if (strncmp(text, "time:", 5) == 0 && dune_parse_double(text + 5, &o->time_split) &&
        o->time_split > 0 && o->time_split < 1)
        return 0;
    return dune_diag_set(d, DUNE_E_USAGE, NULL,
                         "--split wants captures or time:SHARE with a share of train between 0 and 1, "
                         "like time:0.7, not \"%s\"", text);
}

int dune_inputs_add(struct dune_inputs *in, const char *spec, enum dune_split split,
                    struct dune_diag *d)
{
    struct dune_paths p = {0};
    bool named = dune_path_exists(spec) && !dune_path_is_dir(spec);
    size_t before = in->len;
    int rc = dune_paths_add(&p, spec, d);

    for (size_t i = 0; i < p.len && rc == 0; i++) {
        struct dune_extract_input input = {NULL, split};

        if (!named && is_document(p.data[i]))
            continue;
        input.path = dune_mem_strdup(p.data[i]);
        DUNE_VEC_PUSH(in, input);
    }
    if (rc == 0 && in->len == before)
        rc = dune_diag_set(d, DUNE_E_INPUT, spec, "no capture file here");
    dune_paths_fini(&p);
    return rc;
}

int dune_inputs_add_tree(struct dune_inputs *in, const char *spec, struct dune_diag *d)
{
    char *train = dune_mem_printf("%s/train", spec), *test = dune_mem_printf("%s/test", spec);
    int rc;

    if (dune_path_is_dir(train)) {
        rc = dune_inputs_add(in, train, DUNE_SPLIT_TRAIN, d);
        if (rc == 0 && dune_path_is_dir(test))
            rc = dune_inputs_add(in, test, DUNE_SPLIT_TEST, d);
    } else {
        rc = dune_inputs_add(in, spec, DUNE_SPLIT_TRAIN, d);
    }
    dune_mem_free(train);
    dune_mem_free(test);
    return rc;
}

int dune_inputs_check(const struct dune_inputs *in, struct dune_diag *d)
{
    struct stat *st = DUNE_NEW_N(struct stat, in->len);
    int rc = 0;

    if (in->len == 0)
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "no capture file is given");
    for (size_t i = 0; i < in->len && rc == 0; i++) {
        if (stat(in->data[i].path, &st[i]) != 0)
            continue; /* whoever opens it says so */
        for (size_t j = 0; j < i && rc == 0; j++)
            if (st[j].st_ino == st[i].st_ino && st[j].st_dev == st[i].st_dev)
                rc = dune_diag_set(d, DUNE_E_USAGE, in->data[i].path, "%s: the same file as %s",
                                   in->data[i].split == in->data[j].split ? "given twice"
                                                                         : "in train and in test",
                                   in->data[j].path);
    }
    dune_mem_free(st);
    return rc;
}

void dune_inputs_fini(struct dune_inputs *in)
{
    for (size_t i = 0; i < in->len; i++)
        dune_mem_free((char *)in->data[i].path);
    DUNE_VEC_FREE(in);
}
