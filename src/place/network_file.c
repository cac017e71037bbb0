/* SPDX-License-Identifier: Apache-2.0 */
/* Topology files: a row of devices, devices with links, or a generator. */
#include "place/place_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/yaml_tree.h"

struct reader {
    const char *file;
    const char *profile; /* of devices that do not say */
    const struct dune_budget *budget;
    struct dune_diag *d;
};

#define BAD(t, at, ...) dune_diag_set_line((t)->d, DUNE_E_INPUT, (t)->file, (at)->line, __VA_ARGS__)

static int read_limit(struct reader *t, const struct dune_yaml *v, uint32_t *out)
{
    uint64_t n;

    if (v->kind != DUNE_YAML_SCALAR || !dune_parse_u64(v->text, &n) || n > UINT32_MAX)
        return BAD(t, v, "%s must be a whole number, 0 for no limit", v->key);
    *out = (uint32_t)n;
    return 0;
}

static int read_budget(struct reader *t, const struct dune_yaml *v, struct dune_budget *b)
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

static int set_text(struct reader *t, const struct dune_yaml *v, char **out)
{
    if (v->kind != DUNE_YAML_SCALAR || !*v->text || strlen(v->text) > 255)
        return BAD(t, v, "%s must be a name of 1 to 255 bytes", v->key);
    dune_mem_free(*out);
    *out = dune_mem_strdup(v->text);
    return 0;
}

static int read_number(struct reader *t, const struct dune_yaml *v, uint32_t least, uint32_t most, uint32_t *out)
{
    uint64_t n;

    if (v->kind != DUNE_YAML_SCALAR || !dune_parse_u64(v->text, &n) || n < least || n > most)
        return BAD(t, v, "%s must be a whole number of %u to %u", v->key, least, most);
    *out = (uint32_t)n;
    return 0;
}

static int read_plain(struct reader *t, const struct dune_yaml *v, bool *out)
{
    if (v->kind != DUNE_YAML_SCALAR || (strcmp(v->text, "true") != 0 && strcmp(v->text, "false") != 0))
        return BAD(t, v, "plain must be true or false");
    *out = v->text[0] == 't';
    return 0;
}

/* name: the entry may have one. */
static int read_item(struct reader *t, const struct dune_yaml *item, struct dune_topology_device *dev, bool name)
{
    const char *key = item->key;

    if (name && strcmp(key, "name") == 0)
        return set_text(t, item, &dev->name);
    if (strcmp(key, "profile") == 0) {
        dev->fits_profile = true;
        return set_text(t, item, &dev->profile);
    }
    if (strcmp(key, "budget") == 0)
        return read_budget(t, item, &dev->budget);
    if (strcmp(key, "plain") == 0)
        return read_plain(t, item, &dev->plain);
    if (strcmp(key, "hosts") == 0)
        return read_number(t, item, 0, 1000000, &dev->hosts);
    if (strcmp(key, "hop_ns") == 0)
        return read_number(t, item, 0, 1000000, &dev->hop_ns);
    if (strcmp(key, "submodel_ns") == 0)
        return read_number(t, item, 0, 1000000, &dev->submodel_ns);
    return BAD(t, item, "unknown key %.64s; a device has name, profile, budget, plain, hosts, hop_ns and submodel_ns", key);
}

static int read_device(struct reader *t, const struct dune_yaml *v, struct dune_topology_device *dev, bool name)
{
    int rc = 0;

    if (v->kind != DUNE_YAML_MAP)
        return BAD(t, v, "a device is {name: ..., profile: ..., budget: ...}");
    for (size_t i = 0; rc == 0 && i < v->n; i++)
        rc = read_item(t, v->item[i], dev, name);
    if (rc == 0 && !dune_profile_find(dev->profile))
        rc = BAD(t, v, "profile \"%.64s\" is not known", dev->profile);
    return rc;
}

/* --- a list of devices ---------------------------------------------------------------------------------------- */

struct named {
    const char *name;
    uint32_t at;
};

static int by_name(const void *x, const void *y)
{
    const struct named *a = x, *b = y;
    int c = strcmp(a->name, b->name);

    return c ? c : (a->at < b->at ? -1 : a->at > b->at);
}

static struct named *index_names(const struct dune_topology *net)
{
    struct named *list = DUNE_NEW_N(struct named, net->n);

    for (uint32_t i = 0; i < net->n; i++)
        list[i] = (struct named){net->dev[i].name, i};
    qsort(list, net->n, sizeof(*list), by_name);
    return list;
}

static int read_end(struct reader *t, const struct dune_yaml *v, const struct named *list, uint32_t n, uint32_t *out)
{
    uint32_t low = 0, high = n;

    while (v->kind == DUNE_YAML_SCALAR && low < high) {
        uint32_t mid = low + (high - low) / 2;
        int c = strcmp(list[mid].name, v->text);

        if (c == 0) {
            *out = list[mid].at;
            return 0;
        }
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return BAD(t, v, "a link is [from, to], names of devices; %.64s is none",
               v->kind == DUNE_YAML_SCALAR ? v->text : "this");
}

static int read_links(struct reader *t, const struct dune_yaml *v, const struct named *list, struct dune_topology *net)
{
    int rc = 0;

    if (v->kind != DUNE_YAML_SEQ || v->n > DUNE_TOPOLOGY_LINKS)
        return BAD(t, v, "links must be a list of up to %d links, [from, to]", DUNE_TOPOLOGY_LINKS);
    net->link = DUNE_NEW_N(struct dune_topology_link, v->n + 1);
    for (size_t i = 0; rc == 0 && i < v->n; i++) {
        const struct dune_yaml *l = v->item[i];
        struct dune_topology_link *link = &net->link[net->n_links];

        if (l->kind != DUNE_YAML_SEQ || l->n != 2)
            return BAD(t, l, "a link is [from, to], names of devices");
        rc = read_end(t, l->item[0], list, net->n, &link->from);
        if (rc == 0)
            rc = read_end(t, l->item[1], list, net->n, &link->to);
        net->n_links += rc == 0;
    }
    return rc;
}

static void link_row(struct dune_topology *net)
{
    net->row = true;
    net->link = DUNE_NEW_N(struct dune_topology_link, net->n);
    for (uint32_t i = 0; i + 1 < net->n; i++)
        net->link[net->n_links++] = (struct dune_topology_link){i, i + 1};
}

static int read_list(struct reader *t, const struct dune_yaml *list, const struct dune_yaml *links,
                     struct dune_topology **out)
{
    struct dune_topology *net;
    struct named *names;
    int rc = 0;

    if (list->kind != DUNE_YAML_SEQ || list->n < 1 || list->n > DUNE_TOPOLOGY_DEVICES)
        return BAD(t, list, "devices must be a list of 1 to %d devices", DUNE_TOPOLOGY_DEVICES);
    net = *out = place_network_new((uint32_t)list->n, t->profile, t->budget);
    for (size_t i = 0; rc == 0 && i < list->n; i++)
        rc = read_device(t, list->item[i], &net->dev[i], true);
    if (rc)
        return rc;
    names = index_names(net);
    for (uint32_t i = 1; rc == 0 && i < net->n; i++)
        if (strcmp(names[i].name, names[i - 1].name) == 0)
            rc = BAD(t, list->item[names[i].at], "two devices are called %.64s", names[i].name);
    if (rc == 0 && links)
        rc = read_links(t, links, names, net);
    else if (rc == 0)
        link_row(net);
    dune_mem_free(names);
    return rc;
}

/* --- generators ---------------------------------------------------------------------------------------------------- */

struct number {
    const char *key;
    uint32_t least, most, *out;
};

static int read_numbers(struct reader *t, const struct dune_yaml *v, const struct number *want, size_t n)
{
    int rc = 0;

    if (v->kind != DUNE_YAML_MAP)
        return BAD(t, v, "%s is a mapping of numbers", v->key);
    for (size_t i = 0; rc == 0 && i < v->n; i++) {
        size_t k = 0;

        while (k < n && strcmp(want[k].key, v->item[i]->key) != 0)
            k++;
        if (k == n)
            return BAD(t, v->item[i], "%s has no %.64s", v->key, v->item[i]->key);
        rc = read_number(t, v->item[i], want[k].least, want[k].most, want[k].out);
    }
    return rc;
}

static int read_fat_tree(struct reader *t, const struct dune_yaml *v, struct dune_topology **out)
{
    struct dune_fat_tree f = {1, 1, 1, 1, 1, 0, 0};
    const struct number want[] = {{"pods", 1, 4096, &f.pods}, {"leafs", 1, 4096, &f.leafs},
                                  {"spines", 1, 4096, &f.spines}, {"super_spines", 1, 4096, &f.super_spines},
                                  {"hosts", 0, 1000000, &f.hosts}, {"egress_leafs", 1, 4096, &f.egress_leafs},
                                  {"egress_spines", 1, 4096, &f.egress_spines}};
    uint64_t devices, links;
    int rc = read_numbers(t, v, want, DUNE_ARRAY_LEN(want));

    if (rc)
        return rc;
    f.egress_leafs = f.egress_leafs ? f.egress_leafs : f.leafs;
    f.egress_spines = f.egress_spines ? f.egress_spines : f.spines;
    devices = (uint64_t)f.pods * (f.leafs + f.spines) + f.super_spines + f.egress_leafs + f.egress_spines;
    links = (uint64_t)f.pods * f.spines * (f.leafs + f.super_spines) +
            (uint64_t)f.egress_spines * (f.super_spines + f.egress_leafs);
    if (devices > DUNE_TOPOLOGY_DEVICES || links > DUNE_TOPOLOGY_LINKS)
        return BAD(t, v, "%llu devices and %llu links; up to %d and %d", (unsigned long long)devices,
                   (unsigned long long)links, DUNE_TOPOLOGY_DEVICES, DUNE_TOPOLOGY_LINKS);
    *out = dune_network_fat_tree(&f, t->profile, t->budget);
    return 0;
}

static int read_random(struct reader *t, const struct dune_yaml *v, struct dune_topology **out)
{
    uint32_t devices = 0, layers = 4, degree = 2, seed = 1;
    const struct number want[] = {{"devices", 1, DUNE_TOPOLOGY_DEVICES, &devices}, {"layers", 1, 1000, &layers},
                                  {"degree", 1, 40, &degree}, {"seed", 0, UINT32_MAX, &seed}};
    int rc = read_numbers(t, v, want, DUNE_ARRAY_LEN(want));

    if (rc == 0 && devices == 0)
        rc = BAD(t, v, "random needs devices: N");
    if (rc == 0)
        *out = dune_network_random(devices, layers, degree, seed, t->profile, t->budget);
    return rc;
}

/* What all devices of a layer of the fat tree have. */
static int read_layer(struct reader *t, const struct dune_yaml *v, struct dune_topology *net)
{
    uint32_t layer = 0;
    int rc = 0;

    while (dune_tree_layer_names[layer] && strcmp(dune_tree_layer_names[layer], v->key) != 0)
        layer++;
    if (layer == DUNE_TREE_LAYERS)
        return BAD(t, v, "unknown layer %.64s; a fat tree has leaf, spine, super_spine, egress_spine and egress_leaf",
                   v->key);
    for (uint32_t i = 0; rc == 0 && i < net->n; i++)
        if (net->dev[i].layer == layer)
            rc = read_device(t, v, &net->dev[i], false);
    return rc;
}

static int read_layers(struct reader *t, const struct dune_yaml *v, struct dune_topology *net)
{
    int rc = 0;

    if (v->kind != DUNE_YAML_MAP)
        return BAD(t, v, "layers is {leaf: {budget: ...}, spine: {plain: true}, ...}");
    for (size_t i = 0; rc == 0 && i < v->n; i++)
        rc = read_layer(t, v->item[i], net);
    return rc;
}

/* --- the file --------------------------------------------------------------------------------------------------------- */

static int read_root(struct reader *t, const struct dune_yaml *root, struct dune_topology **out)
{
    static const char *const known[] = {"devices", "links", "fat_tree", "layers", "random"};
    const struct dune_yaml *v[DUNE_ARRAY_LEN(known)] = {NULL};
    int rc;

    if (root->kind != DUNE_YAML_MAP)
        return BAD(t, root, "a topology is a mapping with devices, fat_tree or random");
    for (size_t k = 0; k < DUNE_ARRAY_LEN(known); k++)
        v[k] = dune_yaml_find(root, known[k]);
    for (size_t i = 0; i < root->n; i++) {
        size_t k = 0;

        while (k < DUNE_ARRAY_LEN(known) && root->item[i] != v[k])
            k++;
        if (k == DUNE_ARRAY_LEN(known))
            return BAD(t, root->item[i], "unknown key %.64s; a topology has devices and links, fat_tree and layers, or "
                       "random", root->item[i]->key);
    }
    if (!v[0] + !v[2] + !v[4] != 2)
        return BAD(t, root, "a topology has one of devices, fat_tree and random");
    if ((v[1] && !v[0]) || (v[3] && !v[2]))
        return BAD(t, root, "links go with devices, layers with fat_tree");
    if (v[0])
        return read_list(t, v[0], v[1], out);
    if (v[4])
        return read_random(t, v[4], out);
    rc = read_fat_tree(t, v[2], out);
    return rc == 0 && v[3] ? read_layers(t, v[3], *out) : rc;
}

int dune_network_parse(struct dune_topology **out, const char *name, const char *text, size_t len, const char *profile,
                       const struct dune_budget *budget, struct dune_diag *d)
{
    struct reader t = {.file = name, .profile = profile, .budget = budget, .d = d};
    struct dune_arena arena = {0};
    struct dune_yaml *root;
    int rc = dune_yaml_parse(&root, name, text, len, &arena, d);

    *out = NULL;
    if (rc == 0)
        rc = read_root(&t, root, out);
    if (rc == 0 && !(*out)->order)
        rc = dune_network_finish(*out, name, d);
    if (rc) {
        dune_network_free(*out);
        *out = NULL;
    }
    dune_arena_fini(&arena);
    return rc;
}

int dune_network_read(struct dune_topology **out, const char *path, const char *profile,
                      const struct dune_budget *budget, struct dune_diag *d)
{
    char *text;
    size_t len;
    int rc = dune_file_read(path, &text, &len, d);

    *out = NULL;
    if (rc)
        return rc;
    rc = dune_network_parse(out, path, text, len, profile, budget, d);
    dune_mem_free(text);
    return rc;
}

int dune_network_row(const struct dune_topology *t, struct dune_plan_device **out, uint32_t *n, struct dune_diag *d)
{
    *out = NULL;
    *n = 0;
    if (!t->row || t->n > DUNE_MAX_DEVICES)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "this takes a row of up to %d devices, without links or generator",
                             DUNE_MAX_DEVICES);
    for (uint32_t i = 0; i < t->n; i++)
        if (t->dev[i].plain)
            return dune_diag_set(d, DUNE_E_USAGE, NULL, "device %.64s is plain: a row lists only devices that can hold "
                                 "sub-models", t->dev[i].name);
    *n = t->n;
    *out = DUNE_NEW_N(struct dune_plan_device, t->n);
    for (uint32_t i = 0; i < t->n; i++)
        (*out)[i] = (struct dune_plan_device){.name = dune_mem_strdup(t->dev[i].name), .budget = t->dev[i].budget,
                                              .profile = dune_mem_strdup(t->dev[i].profile)};
    return 0;
}
