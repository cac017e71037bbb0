/* SPDX-License-Identifier: Apache-2.0 */
/* Budgets, and linear placement under them. */
#include "plan/plan_int.h"

#include <stdlib.h>
#include <string.h>

void dune_use_add(struct dune_use *use, const struct dune_submodel *sm)
{
    for (uint32_t t = 0; t < sm->n_trees; t++)
        use->leaves += sm->tree[t].n_leaves;
    for (uint32_t j = 0; j < sm->n_feats; j++)
        use->features |= UINT64_C(1) << sm->feat[j].feat;
}

uint32_t dune_use_features(const struct dune_use *use)
{
    return (uint32_t)__builtin_popcountll(use->features);
}

static bool within(const struct dune_use *use, const struct dune_budget *b)
{
    return (b->leaves_sum == 0 || use->leaves <= b->leaves_sum) &&
           (b->features_distinct == 0 || dune_use_features(use) <= b->features_distinct);
}

static bool parse_limit(const char *text, const char *key, uint32_t *out)
{
    size_t n = strlen(key);
    uint64_t v;

    if (strncmp(text, key, n) != 0 || text[n] != '=' || !dune_parse_u64(text + n + 1, &v) ||
        v > UINT32_MAX)
        return false;
    *out = (uint32_t)v;
    return true;
}

int dune_budget_parse(const char *text, struct dune_budget *b, struct dune_diag *d)
{
    static const struct {
        const char *name;
        struct dune_budget budget;
    } known[] = {{"tight", {129, 6}}, {"tiny", {41, 4}}, {"loose", {500, 10}}, {"none", {0, 0}}};
    struct dune_budget parsed = {0};
    char *copy, *save = NULL;
    bool ok = *text != '\0';

    for (size_t i = 0; i < DUNE_ARRAY_LEN(known); i++)
        if (strcmp(text, known[i].name) == 0) {
            *b = known[i].budget;
            return 0;
        }
    copy = dune_mem_strdup(text);
    for (char *w = strtok_r(copy, ",", &save); ok && w; w = strtok_r(NULL, ",", &save))
        ok = parse_limit(w, "leaves_sum", &parsed.leaves_sum) ||
             parse_limit(w, "features_distinct", &parsed.features_distinct);
    dune_mem_free(copy);
    if (!ok)
        return dune_diag_set(d, DUNE_E_USAGE, NULL,
                             "budget '%s' is none of tight, tiny, loose, none, "
                             "leaves_sum=N,features_distinct=N",
                             text);
    *b = parsed;
    return 0;
}

#define NEVER UINT32_MAX

/*
 * cost[d][i]: fewest devices among d, d+1 ... that take the sub-models i, i+1 ... Filled from the
 * end. reach: first sub-model that device d cannot take any more when it starts with i.
 */
static uint32_t reach(const struct dune_plan *p, uint32_t d, uint32_t i)
{
    struct dune_use use = {0};

    for (; i < p->n_submodels; i++) {
        dune_use_add(&use, &p->sub[i]);
        if (!within(&use, &p->device[d].budget))
            break;
    }
    return i;
}

static uint32_t best_end(const struct dune_plan *p, const uint32_t *next, uint32_t d, uint32_t i,
                         uint32_t *cost)
{
    uint32_t best = i;

    *cost = next[i]; /* this device stays empty */
    for (uint32_t end = reach(p, d, i); end > i; end--)
        if (next[end] != NEVER && next[end] + 1 <= *cost && (best == i || next[end] + 1 < *cost)) {
            best = end;
            *cost = next[end] + 1;
        }
    return best;
}

/* The devices are filled as far as they go; what comes next fits no device, or not the room that is left. */
static int fail_placement(const struct dune_plan *p, struct dune_diag *d)
{
    uint32_t i = 0, last = 0, from = 0;
    struct dune_use alone = {0}, with = {0};
    const struct dune_plan_device *dev;
    bool fits = false;
    char place[32];

    for (uint32_t k = 0; k < p->n_devices && i < p->n_submodels; k++) {
        last = k;
        from = i;
        i = reach(p, k, i);
    }
    dev = &p->device[last];
    snprintf(place, sizeof(place), "submodels[%u]", i);
    dune_use_add(&alone, &p->sub[i]);
    for (uint32_t k = from; k <= i; k++)
        dune_use_add(&with, &p->sub[k]);
    for (uint32_t k = 0; k < p->n_devices; k++)
        fits |= within(&alone, &p->device[k].budget);
    if (fits)
        return dune_diag_set_place(d, DUNE_E_INFEASIBLE, NULL, place,
                                   "sub-model %u has no room: the %u devices take %u of %u sub-models; with it %s "
                                   "would hold %llu leaves and %u features, the budget is leaves_sum %u, "
                                   "features_distinct %u", p->sub[i].id, p->n_devices, i, p->n_submodels, dev->name,
                                   (unsigned long long)with.leaves, dune_use_features(&with),
                                   dev->budget.leaves_sum, dev->budget.features_distinct);
    return dune_diag_set_place(d, DUNE_E_INFEASIBLE, NULL, place,
                               "sub-model %u: %llu leaves and %u features exceed the budget of every device "
                               "(leaves_sum %u, features_distinct %u on %s)", p->sub[i].id,
                               (unsigned long long)alone.leaves, dune_use_features(&alone),
                               dev->budget.leaves_sum, dev->budget.features_distinct, dev->name);
}

int dune_place_linear(struct dune_plan *p, struct dune_diag *d)
{
    uint32_t n = p->n_submodels, width = n + 1, i = 0, unused;
    uint32_t *cost;
    int rc = 0;

    if (p->n_devices == 0)
        return dune_diag_set_place(d, DUNE_E_INFEASIBLE, NULL, "devices", "there is no device");
    cost = DUNE_NEW_N(uint32_t, (size_t)(p->n_devices + 1) * width);
    for (uint32_t k = 0; k < n; k++)
        cost[(size_t)p->n_devices * width + k] = NEVER;
    for (uint32_t k = p->n_devices; k-- > 0;)
        for (uint32_t s = 0; s <= n; s++)
            best_end(p, cost + (size_t)(k + 1) * width, k, s, &cost[(size_t)k * width + s]);
    if (cost[0] == NEVER)
        rc = fail_placement(p, d);
    for (uint32_t k = 0; rc == 0 && k < p->n_devices; k++) {
        uint32_t end = best_end(p, cost + (size_t)(k + 1) * width, k, i, &unused);

        for (; i < end; i++)
            p->sub[i].device = (uint16_t)k;
    }
    dune_mem_free(cost);
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
