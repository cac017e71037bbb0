/* SPDX-License-Identifier: Apache-2.0 */
/* A plan's structure on other flows. */
#include "retrain/retrain_int.h"

#include <string.h>

#include "base/base.h"

enum { MEMBERS = DUNE_CLASS_WORDS * 64 };

/* member[k][c]: sub-model k owns class c of the data set. */
static int map_blocks(const struct dune_plan *old, const struct dune_space *s, uint8_t (*member)[MEMBERS],
                      struct dune_diag *d)
{
    bool present[MEMBERS] = {false}, owned[MEMBERS] = {false};
    unsigned smallest = 0;

    if (s->n_classes > DUNE_MAX_CLASSES)
        return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "%u classes: a plan holds at most %d", s->n_classes,
                             DUNE_MAX_CLASSES);
    for (uint32_t k = 0; k < s->n_flows; k++)
        present[s->ds->flow_class[s->flow[k]]] = true;
    for (uint32_t i = 0; i < old->n_submodels; i++) {
        const struct dune_submodel *sm = &old->sub[i];

        for (uint32_t j = 0; j < sm->n_classes; j++) {
            const char *name = old->cls[sm->cls[j] - 1].name;
            int c = dune_dataset_find_class(s->ds, name);

            if (c < 0 || !present[c])
                return dune_diag_set(d, DUNE_E_INPUT, NULL, "class \"%.100s\" of the plan has no flow to learn from: "
                                     "add older captures that have it", name);
            member[i][c] = 1;
            owned[c] = true;
        }
        if (sm->n_classes < old->sub[smallest].n_classes)
            smallest = i;
    }
    for (uint32_t c = 0; c < s->n_classes; c++)
        if (present[c] && !owned[c])
            member[smallest][c] = 1;
    return 0;
}

static struct dune_fit_cfg settings_of(const struct dune_submodel *sm, uint64_t seed)
{
    struct dune_fit_cfg c = {.n = sm->n, .mode = sm->mode, .max_features = sm->n_feats, .n_trees = sm->n_trees,
                             .balance = 0.5, .other_weight = 0.5, .leaf_other = 1, .smooth = 0.1, .seed = seed};

    for (uint32_t j = 0; j < sm->n_feats; j++)
        c.features |= UINT64_C(1) << sm->feat[j].feat;
    for (uint32_t t = 0; t < sm->n_trees; t++)
        c.max_leaves = DUNE_MAX(c.max_leaves, sm->tree[t].n_leaves);
    return c;
}

/* A tree without a split has no feature to learn with: all of them then. */
static int fit_one(struct dune_fit **out, struct dune_space *s, const struct dune_submodel *sm, const uint8_t *member,
                   uint64_t seed, struct dune_diag *d)
{
    struct dune_fit_cfg c = settings_of(sm, seed);
    int rc = c.features ? 0 : dune_feature_set_parse("all", c.n, &c.features, d);

    c.max_features = DUNE_MAX(c.max_features, 1u);
    c.max_leaves = DUNE_MAX(c.max_leaves, 2u);
    if (rc == 0)
        rc = dune_space_prepare(s, c.n, c.mode, d);
    return rc ? rc : dune_fit_train(out, s, &c, member, NULL, d);
}

static const struct dune_plan_class *class_named(const struct dune_plan *p, const char *name)
{
    for (uint32_t c = 0; c < p->n_classes; c++)
        if (strcmp(p->cls[c].name, name) == 0)
            return &p->cls[c];
    return NULL;
}

void dune_retrain_keep(struct dune_plan *p, const struct dune_plan *old)
{
    struct dune_plan *copy = dune_plan_clone(old);

    for (uint32_t c = 0; c < p->n_classes; c++) {
        const struct dune_plan_class *was = class_named(old, p->cls[c].name);

        if (was) {
            p->cls[c].action = was->action;
            p->cls[c].action_arg = was->action_arg;
            p->cls[c].action_any = was->action_any;
        }
    }
    p->filter = copy->filter;
    memset(&copy->filter, 0, sizeof(copy->filter));
    p->parser = old->parser;
    p->hash = old->hash;
    memcpy(p->hash_key, old->hash_key, sizeof(p->hash_key));
    p->slots = old->slots;
    p->ways = old->ways;
    p->syn_timeout = p->claim == DUNE_CLAIM_VOTES ? 0 : DUNE_MIN(old->syn_timeout, p->timeout);
    p->shim_ethertype = old->shim_ethertype;
    p->chain_mtu = old->chain_mtu;
    p->generation = old->generation == UINT16_MAX ? 1 : (uint16_t)(old->generation + 1);
    dune_plan_free(copy);
}

/* Everything about the old plan that training does not decide. */
static void take_over(struct dune_plan *p, const struct dune_plan *old)
{
    struct dune_plan *copy = dune_plan_clone(old);
    struct dune_plan_device *dev = p->device;
    uint32_t n_dev = p->n_devices;

    dune_retrain_keep(p, old);
    for (uint32_t c = 0; c < p->n_classes; c++) {
        const struct dune_plan_class *was = class_named(old, p->cls[c].name);

        if (was)
            p->cls[c].min_confidence = was->min_confidence;
    }
    p->device = copy->device, copy->device = dev;
    p->n_devices = copy->n_devices, copy->n_devices = n_dev;
    for (uint32_t i = 0; i < p->n_submodels; i++)
        p->sub[i].device = old->sub[i].device;
    dune_plan_set_name(p, old->name);
    p->provenance.seed = old->provenance.seed;
    if (old->provenance.solution)
        p->provenance.solution = dune_mem_strdup(old->provenance.solution);
    dune_plan_free(copy);
}

static int fit_all(struct dune_plan **out, const struct dune_plan *old, struct dune_space *s, uint64_t seed,
                   struct dune_diag *d)
{
    uint8_t (*member)[MEMBERS] = dune_mem_zalloc(old->n_submodels, sizeof(*member));
    struct dune_fit **fit = DUNE_NEW_N(struct dune_fit *, old->n_submodels);
    struct dune_chain_rule rule = {.claim = old->claim, .fallback = old->fallback, .early_exit = old->early_exit};
    uint8_t id[DUNE_MAX_SUBMODELS];
    struct dune_plan *p = NULL;
    int rc = map_blocks(old, s, member, d);

    for (uint32_t i = 0; rc == 0 && i < old->n_submodels; i++) {
        id[i] = old->sub[i].id;
        rc = fit_one(&fit[i], s, &old->sub[i], member[i], seed, d);
    }
    if (rc == 0)
        rc = dune_plan_from_fits(&p, s, fit, id, old->n_submodels, old->n_devices, &rule, &old->device[0].budget,
                                 old->device[0].profile, d);
    for (uint32_t i = 0; i < old->n_submodels; i++)
        dune_fit_free(fit[i]);
    dune_mem_free(fit);
    dune_mem_free(member);
    if (rc)
        return rc;
    take_over(p, old);
    rc = dune_plan_verify(p, d);
    if (rc)
        dune_plan_free(p);
    else
        *out = p;
    return rc;
}

int dune_refit(struct dune_plan **out, const struct dune_plan *old, const struct dune_dataset *ds, const uint8_t *use,
               uint64_t seed, unsigned threads, struct dune_diag *d)
{
    struct dune_space *s;
    unsigned most = 1;
    int rc;

    *out = NULL;
    if (ds->timeout != old->timeout)
        return dune_diag_set(d, DUNE_E_INPUT, NULL, "the flows of the data set end after another idle time than those "
                             "of the plan: extract them with the plan's --timeout");
    if (old->n_submodels == 0)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "the plan has no sub-model");
    for (uint32_t i = 0; i < old->n_submodels; i++)
        if (old->sub[i].mode != DUNE_MODE_PACKET)
            most = DUNE_MAX(most, old->sub[i].n);
    rc = dune_space_new(&s, ds, DUNE_SPLIT_TRAIN, use, most, threads, d);
    if (rc)
        return rc;
    rc = s->n_flows ? fit_all(out, old, s, seed, d)
                    : dune_diag_set(d, DUNE_E_INPUT, NULL, "there is no flow to learn from");
    dune_space_free(s);
    return rc;
}
