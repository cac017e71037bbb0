/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an unconstrained model from elsewhere is to the planner: a partition to start from, by its W and f, which is one
 * start among others; and, where that is asked for, the teacher of soft labels.
 *
 * Folds cannot judge its soft labels: it has seen the flows that judge, and what it says of others near them tells their
 * classes (docs/planner.md). So the search is on the labels as they are, and the chain that was chosen is fitted to soft ones
 * at the end. A model that is trained here tells every flow by one that has not seen the flow's own fold. One from elsewhere
 * is asked as it is: what it has learnt by heart, it says with certainty, and its labels soften nothing.
 */
#include <string.h>

#include "base/base.h"
#include "dune/model.h"
#include "planner/planner_int.h"

#define DISTIL_SHARE 0.5 /* of a row's weight that follows its soft label */

struct dune_advice {
    struct dune_importance *w;
    struct dune_scores *f;
    struct dune_told told;
};

int dune_distil_find(const char *name)
{
    static const char *const names[] = {"auto", "off", "model"};

    for (int i = 0; i < (int)DUNE_ARRAY_LEN(names); i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    return -1;
}
_Static_assert(DUNE_DISTIL_AUTO == 0 && DUNE_DISTIL_OFF == 1 && DUNE_DISTIL_MODEL == 2, "order of the names");

/* How a model that is trained here sees the flows. */
static struct dune_model_cfg view_of(const struct dune_search *s)
{
    return (struct dune_model_cfg){.threads = s->cfg->threads, .n = DUNE_MIN(3, s->space->max_n),
                                   .mode = DUNE_MODE_RUNNING + 1, .features = s->candidates};
}

/* Flows of the data set whose mark in the space is v, or is another one. */
static uint8_t *flows_where(const struct dune_space *s, const uint8_t *mark, uint8_t v, bool other)
{
    uint8_t *use = DUNE_NEW_N(uint8_t, s->ds->n_flows);

    for (uint32_t k = 0; k < s->n_flows; k++)
        use[s->flow[k]] = (mark[k] == v) != other;
    return use;
}

/* W and f on the flows of the validation split, which a model that is trained here has not seen. */
static int explain(struct dune_search *s, struct dune_advice *a, struct dune_diag *d)
{
    const struct dune_space *sp = s->space;
    uint8_t *train = DUNE_NEW_N(uint8_t, sp->n_flows), *valid = DUNE_NEW_N(uint8_t, sp->n_flows);
    const struct dune_model_cfg mc = view_of(s);
    uint8_t *learn, *judge;
    struct dune_model *m;
    int rc;

    dune_space_validation(sp, train, valid);
    learn = flows_where(sp, train, 1, false);
    judge = flows_where(sp, valid, 1, false);
    rc = dune_model_for_planning(&m, s->cfg->model, &mc, s->cfg->seed, sp->ds, learn, d);
    if (rc == 0)
        rc = dune_model_explain(&a->w, &a->f, m, s->cfg->seed, sp->ds, judge, d);
    dune_model_free(m);
    dune_mem_free(train);
    dune_mem_free(valid);
    dune_mem_free(learn);
    dune_mem_free(judge);
    return rc;
}

/* Flows of train that the search does not look at, and the plan does. */
static void add_unseen(const struct dune_space *s, uint8_t *use)
{
    uint8_t *seen = DUNE_NEW_N(uint8_t, s->ds->n_flows);

    for (uint32_t k = 0; k < s->n_flows; k++)
        seen[s->flow[k]] = 1;
    for (uint64_t f = 0; f < s->ds->n_flows; f++)
        use[f] |= !seen[f] && s->ds->flow_split[f] == DUNE_SPLIT_TRAIN;
    dune_mem_free(seen);
}

/* The flows of one fold by a model that has seen the others. */
static int tell_fold(struct dune_search *s, struct dune_advice *a, unsigned fold, struct dune_diag *d)
{
    const struct dune_model_cfg mc = view_of(s);
    const uint8_t *of = dune_cv_fold(s->searched);
    uint8_t *learn = flows_where(s->space, of, (uint8_t)fold, true);
    uint8_t *ask = flows_where(s->space, of, (uint8_t)fold, false);
    struct dune_model *m;
    int rc = dune_model_for_planning(&m, s->cfg->model, &mc, s->cfg->seed, s->space->ds, learn, d);

    if (fold == 0)
        add_unseen(s->space, ask);
    if (rc == 0)
        rc = dune_model_tell(m, s->space->ds, ask, &a->told, d);
    dune_model_free(m);
    dune_mem_free(learn);
    dune_mem_free(ask);
    return rc;
}

static int tell_as_is(struct dune_search *s, struct dune_advice *a, struct dune_diag *d)
{
    const struct dune_model_cfg mc = view_of(s);
    uint8_t *ask = flows_where(s->space, dune_cv_fold(s->searched), 255, true);
    struct dune_model *m;
    int rc = dune_model_for_planning(&m, s->cfg->model, &mc, s->cfg->seed, s->space->ds, NULL, d);

    add_unseen(s->space, ask);
    if (rc == 0)
        rc = dune_model_tell(m, s->space->ds, ask, &a->told, d);
    dune_model_free(m);
    dune_mem_free(ask);
    return rc;
}

static int tell(struct dune_search *s, struct dune_advice *a, struct dune_diag *d)
{
    int rc = 0;

    dune_told_init(&a->told, s->space->ds);
    if (!dune_model_is_trained_here(s->cfg->model))
        return tell_as_is(s, a, d);
    for (unsigned i = 0; rc == 0 && i < dune_cv_k(s->searched); i++)
        rc = tell_fold(s, a, i, d);
    return rc;
}

int dune_advice_take(struct dune_search *s, struct dune_diag *d)
{
    int rc;

    if (s->cfg->distil == DUNE_DISTIL_MODEL && !s->cfg->model)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "soft labels of a model need the model: --model MODEL");
    if (!s->cfg->model)
        return 0;
    s->advice = DUNE_NEW(struct dune_advice);
    rc = explain(s, s->advice, d);
    if (rc == 0 && s->cfg->distil == DUNE_DISTIL_MODEL) {
        rc = tell(s, s->advice, d);
        dune_cv_listen(s->searched, &s->advice->told);
    }
    return rc;
}

struct dune_chain_spec dune_search_as_planned(const struct dune_search *s, const struct dune_chain_spec *spec)
{
    struct dune_chain_spec planned = *spec;

    for (unsigned b = 0; dune_advice_told(s->advice) && spec->rule.claim != DUNE_CLAIM_VOTES && b < spec->n_blocks; b++)
        planned.cfg[b].distil = DISTIL_SHARE;
    return planned;
}

const struct dune_told *dune_advice_told(const struct dune_advice *a)
{
    return a && a->told.rival ? &a->told : NULL;
}

void dune_advice_free(struct dune_advice *a)
{
    if (!a)
        return;
    dune_importance_free(a->w);
    dune_scores_free(a->f);
    dune_told_fini(&a->told);
    dune_mem_free(a);
}

int dune_advice_partition(const struct dune_search *s, unsigned k, struct dune_class_set *block, struct dune_diag *d)
{
    const struct dune_dataset *ds = s->space->ds;
    const char **name = DUNE_NEW_N(const char *, s->n_cls);
    struct dune_partition_cfg pc = {.method = DUNE_PART_GREEDY, .seed = s->cfg->seed, .n_blocks = k, .classes = name,
                                    .n_classes = s->n_cls};
    struct dune_blocks *b = NULL;
    int rc;

    for (unsigned i = 0; i < s->n_cls; i++)
        name[i] = ds->class_name[s->cls[i]];
    memset(block, 0, k * sizeof(*block));
    rc = dune_partition(&b, s->advice->w, s->advice->f, &pc, d);
    for (uint32_t i = 0; rc == 0 && i < b->n_blocks; i++)
        for (uint32_t j = 0; j < b->block[i].n_classes; j++)
            for (unsigned c = 0; c < s->n_cls; c++)
                if (strcmp(b->class_name[b->block[i].cls[j]], name[c]) == 0)
                    dune_class_set_flip(&block[i], s->cls[c]);
    dune_blocks_free(b);
    dune_mem_free(name);
    return rc;
}
