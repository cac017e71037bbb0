/* SPDX-License-Identifier: Apache-2.0 */
/* Topology files: a row of devices. */
#include <string.h>

#include "base/yaml_tree.h"
#include "plan/plan_int.h"

struct topology {
    const char *file;
    const char *profile; /* of devices that do not say */
    const struct dune_budget *budget;
    struct dune_diag *d;
};

#define BAD(t, at, ...) dune_diag_set_line((t)->d, DUNE_E_INPUT, (t)->file, (at)->line, __VA_ARGS__)

static int read_limit(struct topology *t, const struct dune_yaml *v, uint32_t *out)
{
    uint64_t n;

    if (v->kind != DUNE_YAML_SCALAR || !dune_parse_u64(v->text, &n) || n > UINT32_MAX)
        return BAD(t, v, "%s must be a whole number, 0 for no limit", v->key);
    *out = (uint32_t)n;
    return 0;
}

static int read_budget(struct topology *t, const struct dune_yaml *v, struct dune_budget *b)
{
    int rc = 0;

    if (v->kind == DUNE_YAML_SCALAR) {
        if (dune_budget_parse(v->text, b, NULL) != 0)
            rc = BAD(t, v, "budget \"%.64s\" is none of tight, tiny, loose, none, "
                     "leaves_sum=N,features_distinct=N", v->text);
        return rc;
    }
    if (v->kind != DUNE_YAML_MAP)
        return BAD(t, v, "a budget is a name or {leaves_sum: N, features_distinct: N}");
    memset(b, 0, sizeof(*b));
    for (size_t i = 0; rc == 0 && i < v->n; i++) {
        if (strcmp(v->item[i]->key, "leaves_sum") == 0)
            rc = read_limit(t, v->item[i], &b->leaves_sum);
        else if (strcmp(v->item[i]->key, "features_distinct") == 0)
            rc = read_limit(t, v->item[i], &b->features_distinct);
        else
            rc = BAD(t, v->item[i], "unknown key %.64s; a budget has leaves_sum and features_distinct",
                     v->item[i]->key);
    }
    return rc;
}

static int set_text(struct topology *t, const struct dune_yaml *v, char **out)
{
    if (v->kind != DUNE_YAML_SCALAR || !*v->text || strlen(v->text) > 255)
        return BAD(t, v, "%s must be a name of 1 to 255 bytes", v->key);
    dune_mem_free(*out);
    *out = dune_mem_strdup(v->text);
    return 0;
}

static int read_device(struct topology *t, const struct dune_yaml *v, struct dune_plan_device *dev)
{
    int rc = 0;

    if (v->kind != DUNE_YAML_MAP)
        return BAD(t, v, "a device is {name: ..., profile: ..., budget: ...}");
    for (size_t i = 0; rc == 0 && i < v->n; i++) {
        const struct dune_yaml *item = v->item[i];

        if (strcmp(item->key, "name") == 0)
            rc = set_text(t, item, &dev->name);
        else if (strcmp(item->key, "profile") == 0)
            rc = set_text(t, item, &dev->profile);
        else if (strcmp(item->key, "budget") == 0)
            rc = read_budget(t, item, &dev->budget);
        else
            rc = BAD(t, item, "unknown key %.64s; a device has name, profile and budget", item->key);
    }
    if (rc == 0 && !dune_profile_find(dev->profile))
        rc = BAD(t, v, "profile \"%.64s\" is not known", dev->profile);
    return rc;
}

static int read_devices(struct topology *t, const struct dune_yaml *list, struct dune_plan_device **out,
                        uint32_t *n)
{
    int rc = 0;

    if (list->kind != DUNE_YAML_SEQ || list->n < 1 || list->n > DUNE_MAX_DEVICES)
        return BAD(t, list, "devices must be a list of 1 to %d devices, first to last", DUNE_MAX_DEVICES);
    *out = DUNE_NEW_N(struct dune_plan_device, list->n);
    for (size_t i = 0; rc == 0 && i < list->n; i++) {
        struct dune_plan_device *dev = &(*out)[(*n)++];

        dev->name = dune_mem_printf("s%zu", i + 1);
        dev->profile = dune_mem_strdup(t->profile);
        dev->budget = *t->budget;
        rc = read_device(t, list->item[i], dev);
        for (size_t k = 0; rc == 0 && k < i; k++)
            if (strcmp((*out)[k].name, dev->name) == 0)
                rc = BAD(t, list->item[i], "two devices are called %.64s", dev->name);
    }
    return rc;
}

static int read_root(struct topology *t, const struct dune_yaml *root, struct dune_plan_device **out, uint32_t *n)
{
    const struct dune_yaml *list;

    if (root->kind != DUNE_YAML_MAP)
        return BAD(t, root, "a topology is a mapping with devices");
    list = dune_yaml_find(root, "devices");
    for (size_t i = 0; i < root->n; i++)
        if (root->item[i] != list)
            return BAD(t, root->item[i], "%.64s is not supported: a topology is a row of devices, listed from first "
                       "to last", root->item[i]->key);
    if (!list)
        return BAD(t, root, "devices is missing");
    return read_devices(t, list, out, n);
}

int dune_topology_parse(struct dune_plan_device **out, uint32_t *n, const char *name, const char *text, size_t len,
                        const char *profile, const struct dune_budget *budget, struct dune_diag *d)
{
    struct topology t = {.file = name, .profile = profile, .budget = budget, .d = d};
    struct dune_arena arena = {0};
    struct dune_yaml *root;
    int rc = dune_yaml_parse(&root, name, text, len, &arena, d);

    *out = NULL;
    *n = 0;
    if (rc == 0)
        rc = read_root(&t, root, out, n);
    if (rc) {
        dune_devices_free(*out, *n);
        *out = NULL;
        *n = 0;
    }
    dune_arena_fini(&arena);
    return rc;
}

int dune_topology_read(struct dune_plan_device **out, uint32_t *n, const char *path, const char *profile,
                       const struct dune_budget *budget, struct dune_diag *d)
{
    char *text;
    size_t len;
    int rc;

    *out = NULL;
    *n = 0;
    rc = dune_file_read(path, &text, &len, d);
    if (rc)
        return rc;
    rc = dune_topology_parse(out, n, path, text, len, profile, budget, d);
    dune_mem_free(text);
    return rc;
}

void dune_devices_free(struct dune_plan_device *devices, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        dune_mem_free(devices[i].name);
        dune_mem_free(devices[i].profile);
    }
    dune_mem_free(devices);
}
