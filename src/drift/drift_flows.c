/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the devices of a plan count on the flows of a data set: steps 3 to 8 of a device (design section 5)
 * for one flow at a time, with the rows of the data set as registers. Only who is asked matters here, so no
 * frames and no slots; tests compare with the reference engine.
 */
#include "dune/drift.h"

#include <string.h>

#include "base/base.h"

/* What a packet carries between the devices. */
struct carried {
    bool final, settled, claim;
    uint8_t cls, conf, id;
};

struct flow_pass {
    const struct dune_plan *p;
    struct dune_drift_counts *c;
    uint64_t count[DUNE_MAX_DEVICES]; /* packets each device has seen of this flow */
    struct dune_sub_answer stored[DUNE_MAX_SUBMODELS];
};

static void row_features(const struct dune_dataset *ds, uint64_t row, bool hide, uint32_t *x)
{
    for (int f = 0; f < DUNE_N_FEATURES; f++)
        x[f] = hide && dune_catalog[f].phase == DUNE_PHASE_FL ? 0 : ds->col[f][row];
}

static bool outranks(const struct dune_sub_answer *a, uint8_t id, const struct carried *s)
{
    if (s->cls == 0)
        return true;
    if (a->claim != s->claim)
        return a->claim;
    return a->conf != s->conf ? a->conf > s->conf : id < s->id;
}

static void combine(const struct dune_plan *p, const struct dune_sub_answer *a, uint8_t id, struct carried *s)
{
    if (p->claim == DUNE_CLAIM_VOTES) /* final after the last sub-model only */
        return;
    if (p->claim == DUNE_CLAIM_FIRST) {
        s->final = a->claim;
        return;
    }
    if (a->cls && outranks(a, id, s)) {
        s->cls = a->cls;
        s->conf = a->conf;
        s->claim = a->claim;
        s->id = id;
    }
    if (s->cls && s->claim)
        s->final = s->conf >= DUNE_MAX(p->early_exit, p->cls[s->cls - 1].min_confidence);
}

/* Sub-model k is met with a packet that is the count-th of its flow here. */
static void meet(struct flow_pass *f, uint32_t k, const struct dune_dataset *ds, uint64_t row, uint64_t count,
                 struct carried *s)
{
    const struct dune_submodel *sm = &f->p->sub[k];
    bool open = !s->final, packet = sm->mode == DUNE_MODE_PACKET;
    bool fl = !packet && count == sm->n, stored = !packet && count > sm->n;
    bool asked = fl || (open && !stored && (packet || sm->mode != DUNE_MODE_FLOW));
    struct dune_sub_answer a = stored ? f->stored[k] : (struct dune_sub_answer){0};
    uint32_t x[DUNE_N_FEATURES];

    if (asked) {
        row_features(ds, row, packet || (!fl && sm->mode != DUNE_MODE_RUNNING), x);
        a = dune_submodel_walk(sm, x);
        dune_drift_note(f->c, f->p, k, x, &a);
    }
    if (fl)
        f->stored[k] = a;
    if (!open)
        return;
    if (packet || count < sm->n)
        s->settled = false;
    if (asked || stored)
        combine(f->p, &a, sm->id, s);
}

static void run_packet(struct flow_pass *f, const struct dune_dataset *ds, uint64_t row)
{
    struct carried s = {.settled = true};
    const struct dune_plan *p = f->p;

    for (uint32_t k = 0; k < p->n_submodels;) {
        uint16_t device = p->sub[k].device;
        bool passed = s.final && s.settled; /* neither state nor inference */
        uint64_t count = passed ? 0 : ++f->count[device];

        for (; k < p->n_submodels && p->sub[k].device == device; k++)
            if (!passed)
                meet(f, k, ds, row, count, &s);
    }
}

static int check_plan(const struct dune_plan *p, const struct dune_dataset *ds, struct dune_diag *d)
{
    for (uint32_t k = 0; k < p->n_submodels; k++)
        if (ds->max_n != DUNE_MAX_N_ALL && p->sub[k].n > ds->max_n)
            return dune_diag_set(d, DUNE_E_INPUT, NULL, "sub-model %u needs %u packets per flow, the data set keeps %u",
                                 p->sub[k].id, p->sub[k].n, ds->max_n);
    return 0;
}

int dune_drift_count_flows(struct dune_drift_counts *c, const struct dune_plan *p, const struct dune_dataset *ds,
                           const uint8_t *use, struct dune_diag *d)
{
    struct flow_pass *f;
    int rc = check_plan(p, ds, d);

    if (rc)
        return rc;
    f = DUNE_NEW(struct flow_pass);
    f->p = p;
    f->c = c;
    for (uint64_t i = 0; i < ds->n_flows; i++) {
        if (use && !use[i])
            continue;
        memset(f->count, 0, sizeof(f->count));
        for (uint64_t row = ds->flow_row[i]; row < ds->flow_row[i + 1]; row++)
            run_packet(f, ds, row);
    }
    dune_mem_free(f);
    return 0;
}
