/* SPDX-License-Identifier: Apache-2.0 */
/* From fitted sub-models to a plan. */
#include "dune/submodels.h"

#include <string.h>

#include "base/base.h"

/* Plan class ids 1..n over the classes that the space's flows have, in name order; 0: absent. */
static uint32_t number_classes(const struct dune_space *s, uint8_t *plan_id, struct dune_diag *d)
{
    uint8_t *present = DUNE_NEW_N(uint8_t, s->n_classes);
    uint32_t n = 0;

    for (uint32_t k = 0; k < s->n_flows; k++)
        present[s->ds->flow_class[s->flow[k]]] = 1;
    for (uint32_t c = 0; c < s->n_classes; c++)
        n += present[c];
    if (n > DUNE_MAX_CLASSES) {
        dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "%u classes: a plan holds at most %d", n,
                      DUNE_MAX_CLASSES);
        n = 0;
    } else {
        uint8_t id = 0;

        for (uint32_t c = 0; c < s->n_classes; c++)
            plan_id[c] = present[c] ? ++id : 0;
    }
    dune_mem_free(present);
    return n;
}

static void fill_classes(struct dune_plan *p, const struct dune_space *s, const uint8_t *plan_id,
                         const struct dune_chain_rule *rule)
{
    p->cls = DUNE_NEW_N(struct dune_plan_class, p->n_classes);
    for (uint32_t c = 0; c < s->n_classes; c++) {
        struct dune_plan_class *pc;

        if (!plan_id[c])
            continue;
        pc = &p->cls[plan_id[c] - 1];
        pc->name = dune_mem_strdup(s->ds->class_name[c]);
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

int dune_plan_from_fits(struct dune_plan **out, const struct dune_space *s, struct dune_fit *const *fit,
                        const uint8_t *id, unsigned n_fits, unsigned n_devices,
                        const struct dune_chain_rule *rule, const struct dune_budget *budget,
                        const char *profile, struct dune_diag *d)
{
    uint8_t *plan_id = DUNE_NEW_N(uint8_t, s->n_classes);
    struct dune_plan *p = dune_plan_new();
    int rc = 0;

    *out = NULL;
    p->n_classes = number_classes(s, plan_id, d);
    if (!p->n_classes)
        rc = DUNE_E_INFEASIBLE;
    else
        fill_classes(p, s, plan_id, rule);
    p->claim = rule->claim;
    p->fallback = rule->fallback;
    p->early_exit = rule->early_exit;
    p->timeout = s->ds->timeout;
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
    p->provenance.data_hash = dune_mem_strdup(s->ds->hash);
    *out = p;
    return 0;
}
