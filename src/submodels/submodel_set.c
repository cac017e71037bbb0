/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of sub-models: their end, their order on the validation split, their plan. */
#include "dune/submodel_set.h"

#include <string.h>

#include "base/base.h"
#include "submodels/submodels_int.h"

void dune_submodel_entry_fini(struct dune_submodel_entry *e)
{
    for (uint32_t i = 0; e->use_of && i < e->n_uses; i++)
        dune_mem_free(e->use_of[i].profile);
    dune_mem_free(e->use_of);
    dune_mem_free(e->front);
    dune_fit_free(e->fit);
    memset(e, 0, sizeof(*e));
}

void dune_submodel_set_free(struct dune_submodel_set *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->n; i++)
        dune_submodel_entry_fini(&s->sub[i]);
    for (uint32_t c = 0; c < s->n_classes; c++)
        dune_mem_free(s->class_name[c]);
    dune_mem_free(s->class_name);
    dune_mem_free(s->data_hash);
    dune_mem_free(s->sub);
    dune_mem_free(s);
}

struct dune_grid_cfg dune_submodel_grid_cfg(const struct dune_submodel_options *o)
{
    return (struct dune_grid_cfg){.budget = o->budget, .features = o->features, .mode = o->mode,
                                  .sqrt_features = o->sqrt_features, .f1_only = o->f1_only, .quick = o->quick,
                                  .balance = o->balance, .seed = o->seed, .profile = o->profile};
}

/* --- order -------------------------------------------------------------------------------------------- */

/* What ordering works on: every sub-model's answers to the validation flows, fitted without them. */
struct judged {
    const struct dune_submodel_set *set;
    struct dune_space *space;
    uint8_t *train, *valid, *member;
    struct dune_item_answer *col[DUNE_MAX_SUBMODELS];
    struct dune_diag diag[DUNE_MAX_SUBMODELS];
    double *confusion;
    double f1[DUNE_MAX_SUBMODELS]; /* percent */
    uint8_t id[DUNE_MAX_SUBMODELS];
};

static void fit_one(void *ctx, size_t i)
{
    struct judged *j = ctx;
    struct dune_fit *fit = NULL;
    int rc = dune_fit_train(&fit, j->space, &j->set->sub[i].fit->cfg,
                            j->member + i * j->space->n_classes, j->train, &j->diag[i]);

    j->col[i] = dune_mem_zalloc(j->space->n_items, sizeof(**j->col));
    if (rc == 0 && dune_interrupted())
        rc = dune_diag_set(&j->diag[i], DUNE_E_INTERRUPTED, NULL, "interrupted");
    if (rc == 0)
        rc = dune_fit_answer(fit, j->space, j->valid, j->col[i], &j->diag[i]);
    j->diag[i].code = rc;
    dune_fit_free(fit);
}

/* Class ids of the data set for those of the set. */
static int map_members(struct judged *j, const struct dune_dataset *ds, struct dune_diag *d)
{
    j->member = DUNE_NEW_N(uint8_t, (size_t)j->set->n * ds->n_classes);
    for (uint32_t i = 0; i < j->set->n; i++) {
        const struct dune_submodel_entry *e = &j->set->sub[i];

        for (uint32_t c = 0; c < e->fit->n_classes; c++) {
            int k = dune_dataset_find_class(ds, j->set->class_name[e->fit->cls[c]]);

            if (k < 0)
                return dune_diag_set(d, DUNE_E_INPUT, NULL, "class \"%.200s\" is not in the data set",
                                     j->set->class_name[e->fit->cls[c]]);
            j->member[(size_t)i * ds->n_classes + (size_t)k] = 1;
        }
        j->f1[i] = 100 * e->chosen.macro_f1;
        j->id[i] = e->id;
    }
    return 0;
}

static int judge(struct judged *j, const struct dune_dataset *ds, unsigned threads, struct dune_diag *d)
{
    const struct dune_submodel_set *set = j->set;
    int rc;

    if (strcmp(set->data_hash, ds->hash) != 0)
        return dune_diag_set(d, DUNE_E_INPUT, NULL, "the sub-models were searched on another data set (%.40s, "
                             "this one is %s)", set->data_hash, ds->hash);
    rc = dune_space_new(&j->space, ds, DUNE_SPLIT_TRAIN, NULL, ds->max_n ? DUNE_MIN(ds->max_n, 4) : 4, threads, d);
    if (rc == 0)
        rc = map_members(j, ds, d);
    for (uint32_t i = 0; rc == 0 && i < set->n; i++)
        rc = dune_space_prepare(j->space, set->sub[i].chosen.n, set->options.mode, d);
    if (rc)
        return rc;
    j->train = DUNE_NEW_N(uint8_t, j->space->n_flows);
    j->valid = DUNE_NEW_N(uint8_t, j->space->n_flows);
    dune_space_validation(j->space, j->train, j->valid);
    dune_parallel_for(threads, set->n, fit_one, j);
    for (uint32_t i = 0; i < set->n; i++)
        if (j->diag[i].code)
            return dune_diag_set(d, j->diag[i].code, NULL, "sub-model %u: %s", j->id[i], j->diag[i].msg);
    j->confusion = DUNE_NEW_N(double, (size_t)set->n * set->n);
    dune_block_confusion(j->space, set->n, j->member, (const struct dune_item_answer *const *)j->col, j->valid,
                         j->confusion);
    return 0;
}

static void judged_fini(struct judged *j)
{
    for (uint32_t i = 0; i < j->set->n; i++)
        dune_mem_free(j->col[i]);
    dune_mem_free(j->train);
    dune_mem_free(j->valid);
    dune_mem_free(j->member);
    dune_mem_free(j->confusion);
    dune_space_free(j->space);
}

/* Both objectives of an order. */
static void state_both(const struct judged *j, const struct dune_chain_rule *rule, struct dune_submodel_sequence *q)
{
    const struct dune_item_answer *col[DUNE_MAX_SUBMODELS];
    uint8_t id[DUNE_MAX_SUBMODELS];
    struct dune_confusion c;

    for (uint32_t i = 0; i < q->order.n; i++) {
        col[i] = j->col[q->order.order[i]];
        id[i] = j->id[q->order.order[i]];
    }
    dune_confusion_init(&c, j->space->n_classes);
    dune_chain_confusion(j->space, col, id, q->order.n, rule, j->valid, false, &c);
    q->chained_macro = dune_f1_score(&c, DUNE_WEIGHT_ONE, NULL).macro;
    dune_confusion_fini(&c);
    q->lop_cost = dune_sequence_cost(q->order.n, j->confusion, j->f1, q->order.order);
}

/* lop is exact up to 24 blocks; where it is not asked for, more are no error. */
static int order_by_lop(const struct judged *j, bool asked, struct dune_order *o, struct dune_diag *d)
{
    struct dune_diag ignored = {0};
    int rc = dune_sequence_lop(o, j->set->n, j->confusion, j->f1, asked ? d : &ignored);

    if (rc == DUNE_E_INFEASIBLE && !asked) {
        memset(o, 0, sizeof(*o));
        return 0;
    }
    return rc;
}

int dune_submodels_order(struct dune_submodel_sequence *out, struct dune_submodel_sequence with[2],
                         const struct dune_submodel_set *set, const struct dune_dataset *ds,
                         unsigned threads, struct dune_diag *d)
{
    const struct dune_chain_rule rule = {.claim = out->claim, .fallback = out->fallback,
                                         .early_exit = out->early_exit};
    struct judged *j = DUNE_NEW(struct judged);
    int rc;

    j->set = set;
    with[0] = with[1] = *out;
    with[0].lop = true;
    with[1].lop = false;
    rc = judge(j, ds, threads, d);
    if (rc == 0)
        rc = order_by_lop(j, out->lop, &with[0].order, d);
    if (rc == 0)
        rc = dune_sequence_end_to_end(&with[1].order, j->space, (const struct dune_item_answer *const *)j->col,
                                      j->id, set->n, &rule, j->valid, d);
    for (int i = 0; rc == 0 && i < 2; i++)
        if (with[i].order.n)
            state_both(j, &rule, &with[i]);
    if (rc == 0)
        *out = with[out->lop ? 0 : 1];
    judged_fini(j);
    dune_mem_free(j);
    return rc;
}

int dune_submodels_compile(struct dune_plan **out, const struct dune_submodel_set *set,
                           const struct dune_submodel_sequence *seq, const struct dune_chain_rule *rule,
                           const struct dune_budget *budget, const char *profile, struct dune_diag *d)
{
    const struct dune_plan_source src = {.n_classes = set->n_classes, .timeout = set->timeout,
                                         .class_name = (const char *const *)set->class_name,
                                         .data_hash = set->data_hash};
    struct dune_fit *fit[DUNE_MAX_SUBMODELS];
    uint8_t id[DUNE_MAX_SUBMODELS];

    for (uint32_t i = 0; i < seq->order.n; i++) {
        fit[i] = set->sub[seq->order.order[i]].fit;
        id[i] = set->sub[seq->order.order[i]].id;
    }
    return dune_plan_build(out, &src, fit, id, seq->order.n, seq->order.n, rule, budget, profile, d);
}
