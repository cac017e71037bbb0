/* SPDX-License-Identifier: Apache-2.0 */
/* Networks from numbers, and what is derived of any network. */
#include "place/place_int.h"

#include <stdlib.h>
#include <string.h>

/* About one XDP device on the machine of docs/targets/xdp.md. */
enum { HOP_NS = 250, SUBMODEL_NS = 200 };

const char *const dune_tree_layer_names[] = {"leaf", "spine", "super_spine", "egress_spine", "egress_leaf", NULL};

static struct dune_topology *network_new(uint32_t n, const char *profile, const struct dune_budget *budget)
{
    struct dune_topology *t = DUNE_NEW(struct dune_topology);

    t->n = n;
    t->dev = DUNE_NEW_N(struct dune_topology_device, n);
    for (uint32_t i = 0; i < n; i++)
        t->dev[i] = (struct dune_topology_device){.profile = dune_mem_strdup(profile), .budget = *budget, .hosts = 1,
                                                  .hop_ns = HOP_NS, .submodel_ns = SUBMODEL_NS};
    return t;
}

struct dune_topology *place_network_new(uint32_t n, const char *profile, const struct dune_budget *budget)
{
    struct dune_topology *t = network_new(n, profile, budget);

    for (uint32_t i = 0; i < n; i++)
        t->dev[i].name = dune_mem_printf("s%u", i + 1);
    return t;
}

void dune_network_free(struct dune_topology *t)
{
    if (!t)
        return;
    for (uint32_t i = 0; i < t->n; i++) {
        dune_mem_free(t->dev[i].name);
        dune_mem_free(t->dev[i].profile);
    }
    dune_mem_free(t->dev);
    dune_mem_free(t->link);
    dune_mem_free(t->order);
    dune_mem_free(t->next_at);
    dune_mem_free(t->next);
    dune_mem_free(t->prev_at);
    dune_mem_free(t->prev);
    dune_mem_free(t);
}

/* --- neighbours and order ----------------------------------------------------------------------------------- */

static void neighbours(const struct dune_topology *t, bool forward, uint32_t **at, uint32_t **list)
{
    uint32_t *from = DUNE_NEW_N(uint32_t, (size_t)t->n + 2);

    *list = DUNE_NEW_N(uint32_t, (size_t)t->n_links + 1);
    for (uint32_t i = 0; i < t->n_links; i++)
        from[(forward ? t->link[i].from : t->link[i].to) + 2]++;
    for (uint32_t v = 0; v < t->n; v++)
        from[v + 2] += from[v + 1];
    for (uint32_t i = 0; i < t->n_links; i++)
        (*list)[from[(forward ? t->link[i].from : t->link[i].to) + 1]++] = forward ? t->link[i].to : t->link[i].from;
    *at = from;
}

static int by_ends(const void *x, const void *y)
{
    const struct dune_topology_link *a = x, *b = y;

    if (a->from != b->from)
        return a->from < b->from ? -1 : 1;
    return a->to < b->to ? -1 : a->to > b->to;
}

/* Links in order, each once. */
static void tidy_links(struct dune_topology *t)
{
    uint32_t n = 0;

    if (t->n_links)
        qsort(t->link, t->n_links, sizeof(*t->link), by_ends);
    for (uint32_t i = 0; i < t->n_links; i++)
        if (n == 0 || by_ends(&t->link[i], &t->link[n - 1]) != 0)
            t->link[n++] = t->link[i];
    t->n_links = n;
}

int dune_network_finish(struct dune_topology *t, const char *file, struct dune_diag *d)
{
    uint32_t *waits = DUNE_NEW_N(uint32_t, t->n), head = 0, tail = 0;
    int rc = 0;

    tidy_links(t);
    neighbours(t, true, &t->next_at, &t->next);
    neighbours(t, false, &t->prev_at, &t->prev);
    t->order = DUNE_NEW_N(uint32_t, t->n);
    for (uint32_t v = 0; v < t->n; v++) {
        waits[v] = t->prev_at[v + 1] - t->prev_at[v];
        if (waits[v] == 0)
            t->order[tail++] = v;
    }
    for (; head < tail; head++) {
        uint32_t v = t->order[head];

        for (uint32_t e = t->next_at[v]; e < t->next_at[v + 1]; e++) {
            uint32_t w = t->next[e];

            t->dev[w].layer = DUNE_MAX(t->dev[w].layer, t->dev[v].layer + 1);
            if (--waits[w] == 0)
                t->order[tail++] = w;
        }
    }
    for (uint32_t v = 0; rc == 0 && tail < t->n && v < t->n; v++)
        if (waits[v])
            rc = dune_diag_set(d, DUNE_E_INPUT, file, "the links go in a circle near device %.64s: packets would never "
                               "leave", t->dev[v].name);
    dune_mem_free(waits);
    return rc;
}

static struct dune_topology *finished(struct dune_topology *t)
{
    struct dune_diag d = {0};

    if (dune_network_finish(t, NULL, &d)) { /* generators make no circles */
        dune_network_free(t);
        return NULL;
    }
    return t;
}

/* --- a fat tree ------------------------------------------------------------------------------------------------ */

static void link_up(struct dune_topology *t, uint32_t from, uint32_t to)
{
    t->link[t->n_links++] = (struct dune_topology_link){from, to};
}

static void name_layer(struct dune_topology *t, uint32_t *at, uint32_t n, uint32_t layer, uint32_t pod)
{
    static const char *const word[] = {"leaf", "spine", "super", "espine", "eleaf"};

    for (uint32_t i = 0; i < n; i++, ++*at) {
        t->dev[*at].name = layer <= DUNE_TREE_SPINE ? dune_mem_printf("p%u-%s%u", pod + 1, word[layer], i + 1)
                                                    : dune_mem_printf("%s%u", word[layer], i + 1);
        t->dev[*at].layer = layer;
    }
}

static void link_pod(struct dune_topology *t, const struct dune_fat_tree *f, uint32_t pod)
{
    uint32_t first = pod * (f->leafs + f->spines), super = f->pods * (f->leafs + f->spines);

    for (uint32_t s = 0; s < f->spines; s++) {
        for (uint32_t l = 0; l < f->leafs; l++)
            link_up(t, first + l, first + f->leafs + s);
        for (uint32_t u = 0; u < f->super_spines; u++)
            link_up(t, first + f->leafs + s, super + u);
    }
}

struct dune_topology *dune_network_fat_tree(const struct dune_fat_tree *f, const char *profile,
                                            const struct dune_budget *budget)
{
    uint32_t super = f->pods * (f->leafs + f->spines), espine = super + f->super_spines,
             eleaf = espine + f->egress_spines, at = 0;
    struct dune_topology *t = network_new(eleaf + f->egress_leafs, profile, budget);

    t->link = DUNE_NEW_N(struct dune_topology_link,
                         (size_t)f->pods * f->spines * (f->leafs + f->super_spines) +
                             (size_t)f->egress_spines * (f->super_spines + f->egress_leafs) + 1);
    for (uint32_t p = 0; p < f->pods; p++) {
        name_layer(t, &at, f->leafs, DUNE_TREE_LEAF, p);
        name_layer(t, &at, f->spines, DUNE_TREE_SPINE, p);
        link_pod(t, f, p);
    }
    name_layer(t, &at, f->super_spines, DUNE_TREE_SUPER, 0);
    name_layer(t, &at, f->egress_spines, DUNE_TREE_EGRESS_SPINE, 0);
    name_layer(t, &at, f->egress_leafs, DUNE_TREE_EGRESS_LEAF, 0);
    for (uint32_t s = 0; s < f->egress_spines; s++) {
        for (uint32_t u = 0; u < f->super_spines; u++)
            link_up(t, super + u, espine + s);
        for (uint32_t l = 0; l < f->egress_leafs; l++)
            link_up(t, espine + s, eleaf + l);
    }
    for (uint32_t i = 0; i < t->n; i++)
        t->dev[i].hosts = f->hosts;
    return finished(t);
}

/* --- random networks ---------------------------------------------------------------------------------------------- */

struct dune_topology *dune_network_random(uint32_t devices, uint32_t layers, uint32_t degree, uint64_t seed,
                                          const char *profile, const struct dune_budget *budget)
{
    struct dune_topology *t = place_network_new(devices, profile, budget);
    struct dune_rng r;

    dune_rng_init(&r, seed, UINT64_C(0x6e6574), devices, layers);
    layers = DUNE_MIN(layers, devices);
    t->link = DUNE_NEW_N(struct dune_topology_link, (size_t)devices * (degree + 1) + 1);
    for (uint32_t l = 0; l + 1 < layers; l++) {
        uint32_t here = (uint32_t)((uint64_t)devices * l / layers), next = (uint32_t)((uint64_t)devices * (l + 1) / layers),
                 end = (uint32_t)((uint64_t)devices * (l + 2) / layers);

        for (uint32_t v = here; v < next; v++)
            for (uint32_t k = 0, n = 1 + (uint32_t)dune_rng_below(&r, degree); k < n; k++)
                link_up(t, v, next + (uint32_t)dune_rng_below(&r, end - next));
        for (uint32_t w = next; w < end; w++) /* nobody begins in the middle */
            link_up(t, here + (uint32_t)dune_rng_below(&r, next - here), w);
    }
    return finished(t);
}

/* --- the row that a plan is made for ---------------------------------------------------------------------------------- */

static uint32_t least_limit(uint32_t a, uint32_t b)
{
    return a == 0 ? b : b == 0 ? a : DUNE_MIN(a, b);
}

/* Devices that can hold something on the way with the fewest; *sink: where it ends. */
static uint32_t shortest_way(const struct dune_topology *t, uint32_t *sink)
{
    uint32_t *way = DUNE_NEW_N(uint32_t, t->n), fewest = UINT32_MAX;

    for (uint32_t i = 0; i < t->n; i++) {
        uint32_t v = t->order[i], before = t->prev_at[v] == t->prev_at[v + 1] ? 0 : UINT32_MAX;

        for (uint32_t e = t->prev_at[v]; e < t->prev_at[v + 1]; e++)
            before = DUNE_MIN(before, way[t->prev[e]]);
        way[v] = before + !t->dev[v].plain;
        if (place_is_sink(t, v) && way[v] < fewest) {
            fewest = way[v];
            *sink = v;
        }
    }
    dune_mem_free(way);
    return fewest;
}

int dune_network_narrowest(const struct dune_topology *t, struct dune_plan_device **out, uint32_t *n, struct dune_diag *d)
{
    struct dune_budget least = {0, 0};
    const char *profile = NULL;
    uint32_t sink = 0, devices = shortest_way(t, &sink);

    *out = NULL;
    *n = 0;
    if (devices == 0)
        return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "a way to %.64s has plain devices only: nothing can be placed on it",
                             t->dev[sink].name);
    for (uint32_t v = 0; v < t->n; v++) {
        if (t->dev[v].plain)
            continue;
        profile = profile ? profile : t->dev[v].profile;
        least.leaves_sum = least_limit(least.leaves_sum, t->dev[v].budget.leaves_sum);
        least.features_distinct = least_limit(least.features_distinct, t->dev[v].budget.features_distinct);
    }
    *n = DUNE_MIN(devices, (uint32_t)DUNE_MAX_DEVICES);
    *out = DUNE_NEW_N(struct dune_plan_device, *n);
    for (uint32_t i = 0; i < *n; i++)
        (*out)[i] = (struct dune_plan_device){.name = dune_mem_printf("p%u", i + 1), .profile = dune_mem_strdup(profile),
                                              .budget = least};
    return 0;
}
