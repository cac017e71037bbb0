/* SPDX-License-Identifier: Apache-2.0 */
/* From fitted sub-models to a plan. */
#include "dune/submodels.h"

#include <string.h>

#include "base/base.h"

/* Plan class ids 1..n over the present classes, in order; 0: absent. */
static int number_classes(struct dune_plan *p, const struct dune_plan_source *src, uint8_t *plan_id,
                          struct dune_diag *d)
{
    for (uint32_t c = 0; c < src->n_classes; c++)
        p->n_classes += !src->present || src->present[c];
    if (p->n_classes > DUNE_MAX_CLASSES)
        return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "%u classes: a plan holds at most %d",
                             p->n_classes, DUNE_MAX_CLASSES);
    for (uint32_t c = 0, id = 0; c < src->n_classes; c++)
        plan_id[c] = !src->present || src->present[c] ? (uint8_t)++id : 0;
    return 0;
}

static void fill_classes(struct dune_plan *p, const struct dune_plan_source *src, const uint8_t *plan_id,
                         const struct dune_chain_rule *rule)
{
    p->cls = DUNE_NEW_N(struct dune_plan_class, p->n_classes);
    for (uint32_t c = 0; c < src->n_classes; c++) {
        struct dune_plan_class *pc;

        if (!plan_id[c])
            continue;
        pc = &p->cls[plan_id[c] - 1];
        pc->name = dune_mem_strdup(src->class_name[c]);
        pc->min_confidence = rule->min_confidence ? rule->min_confidence[c] : 0;
        pc->action = DUNE_ACTION_FORWARD;
    }
}

static int fill_submodel(struct dune_submodel *sm, const struct dune_fit *f, uint8_t id,
                         const uint8_t *plan_id, struct dune_diag *d)
{
    uint8_t to_plan[DUNE_MAX_CLASSES + 2];

    sm->id = id;
    sm->n = (uint8_t)f->cfg.n;
    sm->mode = f->cfg.mode;
    sm->cls = DUNE_NEW_N(uint8_t, f->n_classes);
    for (uint32_t c = 0; c < f->n_classes; c++) {
        to_plan[c] = plan_id[f->cls[c]];
        if (to_plan[c])
            sm->cls[sm->n_classes++] = to_plan[c];
    }
    to_plan[f->n_classes] = DUNE_PLAN_OTHER;
    return dune_submodel_from_forest(sm, f->forest, f->forest->n_trees, 0, to_plan, d);
}

static void add_devices(struct dune_plan *p, unsigned n, const struct dune_budget *budget,
                        const char *profile)
{
    p->n_devices = n;
    p->device = DUNE_NEW_N(struct dune_plan_device, n);
    for (unsigned i = 0; i < n; i++) {
        p->device[i].name = dune_mem_printf("s%u", i + 1);
        p->device[i].profile = dune_mem_strdup(profile);
        p->device[i].budget = *budget;
    }
}

int dune_plan_build(struct dune_plan **out, const struct dune_plan_source *src, struct dune_fit *const *fit,
                    const uint8_t *id, unsigned n_fits, unsigned n_devices, const struct dune_chain_rule *rule,
                    const struct dune_budget *budget, const char *profile, struct dune_diag *d)
{
    uint8_t *plan_id = DUNE_NEW_N(uint8_t, src->n_classes);
    struct dune_plan *p = dune_plan_new();
    int rc = number_classes(p, src, plan_id, d);

    *out = NULL;
    if (rc)
        p->n_classes = 0; /* none are there to be freed */
    else
        fill_classes(p, src, plan_id, rule);
    p->claim = rule->claim;
    p->fallback = rule->fallback;
    p->early_exit = rule->early_exit;
    p->timeout = src->timeout;
    p->n_submodels = n_fits;
    p->sub = DUNE_NEW_N(struct dune_submodel, n_fits);
    add_devices(p, DUNE_MAX(n_fits, n_devices), budget, profile);
    for (unsigned i = 0; rc == 0 && i < n_fits; i++) {
        rc = fill_submodel(&p->sub[i], fit[i], id[i], plan_id, d);
        p->sub[i].device = (uint16_t)i;
    }
    dune_mem_free(plan_id);
    if (rc) {
        dune_plan_free(p);
        return rc;
    }
    p->provenance.data_hash = src->data_hash ? dune_mem_strdup(src->data_hash) : NULL;
    if (dune_profile_find(profile))
        dune_plan_retarget(p, dune_profile_find(profile), 2);
    *out = p;
    return 0;
}

int dune_plan_from_fits(struct dune_plan **out, const struct dune_space *s, struct dune_fit *const *fit,
                        const uint8_t *id, unsigned n_fits, unsigned n_devices,
                        const struct dune_chain_rule *rule, const struct dune_budget *budget,
                        const char *profile, struct dune_diag *d)
{
    uint8_t *present = DUNE_NEW_N(uint8_t, s->n_classes);
    const struct dune_plan_source src = {.n_classes = s->n_classes, .class_name = s->ds->class_name,
                                         .present = present, .timeout = s->ds->timeout,
                                         .data_hash = s->ds->hash};
    int rc;

    for (uint32_t k = 0; k < s->n_flows; k++)
        present[s->ds->flow_class[s->flow[k]]] = 1;
    rc = dune_plan_build(out, &src, fit, id, n_fits, n_devices, rule, budget, profile, d);
    dune_mem_free(present);
    return rc;
}

int dune_fit_resources(const struct dune_fit *f, uint64_t timeout, const struct dune_profile *prof,
                       struct dune_resources *out, struct dune_diag *d)
{
    const struct dune_plan_source src = {.n_classes = f->n_classes, .timeout = timeout,
                                         .class_name = (const char *const *)f->forest->class_name};
    const struct dune_chain_rule rule = {.claim = DUNE_CLAIM_BEST, .early_exit = 256};
    const struct dune_budget none = {0};
    struct dune_fit alone = *f;
    struct dune_fit *one = &alone;
    struct dune_plan *p;
    uint8_t id = 0;
    int rc;

    alone.cls = DUNE_NEW_N(uint16_t, f->n_classes);
    for (uint32_t c = 0; c < f->n_classes; c++)
        alone.cls[c] = (uint16_t)c;
    rc = dune_plan_build(&p, &src, &one, &id, 1, 1, &rule, &none, prof->name, d);
    dune_mem_free(alone.cls);
    if (rc)
        return rc;
    dune_plan_retarget(p, prof, 2);
    dune_resources_estimate(p, 0, prof, 2, out);
    dune_plan_free(p);
    return 0;
}
