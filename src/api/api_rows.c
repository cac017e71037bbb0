/* SPDX-License-Identifier: Apache-2.0 */
/* libdune: rows of features through the sub-models of a plan, without flows or devices. */
#include "dune/dune.h"

#include <string.h>

#include "base/base.h"
#include "dune/engine.h"
#include "targets/core/dune_core_combine.h"
#include "targets/core/dune_core_model.h"

struct table {
    const struct dune_plan *plan;
    struct dune_core_rule rule;
    int feat[DUNE_N_FEATURES]; /* column of a feature; -1: not there */
};

static int find_columns(struct table *t, const char *const *column, size_t n, struct dune_diag *d)
{
    for (int f = 0; f < DUNE_N_FEATURES; f++)
        t->feat[f] = -1;
    for (size_t i = 0; i < n; i++) {
        int f = dune_feature_find(column[i]);

        if (f < 0)
            return dune_diag_set(d, DUNE_E_USAGE, NULL, "column %zu: there is no feature \"%.64s\"", i, column[i]);
        if (t->feat[f] >= 0)
            return dune_diag_set(d, DUNE_E_USAGE, NULL, "columns %d and %zu are both feature %s", t->feat[f], i,
                                 dune_catalog[f].name);
        t->feat[f] = (int)i;
    }
    for (uint32_t s = 0; s < t->plan->n_submodels; s++)
        for (uint32_t j = 0; j < t->plan->sub[s].n_feats; j++)
            if (t->feat[t->plan->sub[s].feat[j].feat] < 0)
                return dune_diag_set(d, DUNE_E_USAGE, NULL, "the plan reads feature %s, which is no column",
                                     dune_catalog[t->plan->sub[s].feat[j].feat].name);
    return 0;
}

/* How a sub-model takes the row: DUNE_ANSWER_NONE, PL or FL. */
static enum dune_answer_kind kind_of(const struct table *t, const struct dune_submodel *sm, const uint32_t *row)
{
    int at = t->feat[DUNE_F_COUNT];

    if (sm->mode == DUNE_MODE_PACKET)
        return DUNE_ANSWER_PL;
    if (at < 0 || row[at] >= sm->n)
        return DUNE_ANSWER_FL;
    return sm->mode == DUNE_MODE_FLOW ? DUNE_ANSWER_NONE : DUNE_ANSWER_PL;
}

static uint32_t ask(const struct table *t, const struct dune_submodel *sm, enum dune_answer_kind kind,
                    const uint32_t *row)
{
    bool hide = kind == DUNE_ANSWER_PL && sm->mode != DUNE_MODE_RUNNING;
    uint32_t x[DUNE_N_FEATURES] = {0};
    struct dune_sub_answer a;

    for (uint32_t j = 0; j < sm->n_feats; j++) {
        int f = sm->feat[j].feat;
        uint32_t v = row[t->feat[f]];

        x[f] = hide && dune_catalog[f].phase == DUNE_PHASE_FL ? 0 : DUNE_MIN(v, dune_feature_max(f));
    }
    a = dune_submodel_walk(sm, x);
    return DUNE_CORE_ANSWER(a.cls, a.conf, a.claim);
}

static struct dune_result judge(const struct table *t, const uint32_t *row)
{
    struct dune_core_shim s = {.flags = DUNE_CORE_SETTLED};
    struct dune_result r = {.device = DUNE_RESULT_NOWHERE, .flags = DUNE_RESULT_INFERABLE};
    const struct dune_plan *p = t->plan;

    for (uint32_t i = 0; i < p->n_submodels && !(s.flags & DUNE_CORE_FINAL); i++) {
        const struct dune_submodel *sm = &p->sub[i];
        enum dune_answer_kind kind = kind_of(t, sm, row);

        r.device = sm->device;
        if (kind != DUNE_ANSWER_FL)
            s.flags &= (uint8_t)~DUNE_CORE_SETTLED;
        if (kind != DUNE_ANSWER_NONE)
            dune_core_combine(&s, &t->rule, sm->id, ask(t, sm, kind, row), kind == DUNE_ANSWER_FL);
    }
    if (p->n_submodels && !(s.flags & DUNE_CORE_FINAL))
        dune_core_finish(&s, &t->rule);
    r.cls = s.cls;
    r.confidence = s.conf;
    r.submodel = s.submodel;
    r.flags |= s.flags & DUNE_CORE_FINAL ? DUNE_RESULT_FINAL : 0;
    r.flags |= s.flags & DUNE_CORE_TENTATIVE ? DUNE_RESULT_TENTATIVE : 0;
    r.flags |= s.flags & DUNE_CORE_SETTLED ? DUNE_RESULT_SETTLED : 0;
    r.flags |= s.flags & DUNE_CORE_FL ? DUNE_RESULT_FLOW_LEVEL : 0;
    return r;
}

int dune_classify_rows(const struct dune_plan *p, const char *const *column, size_t n_columns, const uint32_t *rows,
                       size_t n_rows, struct dune_result *out, struct dune_diag *d)
{
    struct table t = {.plan = p};
    int rc;

    if (p->claim == DUNE_CLAIM_VOTES)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "claim rule votes carries counters beside packets: classify "
                             "packets with engine reference");
    rc = find_columns(&t, column, n_columns, d);
    if (rc)
        return rc;
    dune_core_rule_make(&t.rule, p);
    for (size_t i = 0; i < n_rows; i++)
        out[i] = judge(&t, rows + i * n_columns);
    return 0;
}
