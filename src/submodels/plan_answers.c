/* SPDX-License-Identifier: Apache-2.0 */
/* Predictions of a compiled plan on the rows of a data set. */
#include "dune/submodels.h"

#include <string.h>

#include "base/base.h"

/* Feature vector of the row of packet `pos` of a flow as the sub-model sees it. */
static void row_features(const struct dune_dataset *ds, uint64_t row, bool flow_phase,
                         enum dune_mode mode, uint32_t *x)
{
    bool hide = mode == DUNE_MODE_PACKET || (mode == DUNE_MODE_PUBLISHED && !flow_phase);

    for (int f = 0; f < DUNE_N_FEATURES; f++)
        x[f] = hide && dune_catalog[f].phase == DUNE_PHASE_FL ? 0 : ds->col[f][row];
}

static struct dune_item_answer convert(const struct dune_sub_answer *a, const uint16_t *to_ds)
{
    return (struct dune_item_answer){
        .cls = a->cls ? to_ds[a->cls] : DUNE_NO_CLASS, .conf = a->conf, .claim = a->cls && a->claim};
}

/* Answers to packets 1..n_items of one flow; from packet n on the stored answer holds. */
static void answer_flow(const struct dune_submodel *sm, const struct dune_dataset *ds, uint32_t flow,
                        const uint16_t *to_ds, unsigned n_items, struct dune_item_answer *out)
{
    uint64_t row0 = ds->flow_row[flow];
    uint32_t x[DUNE_N_FEATURES];

    for (unsigned i = 1; i <= n_items; i++) {
        struct dune_sub_answer a = {0};
        bool stored = sm->mode != DUNE_MODE_PACKET && i > sm->n;

        if (stored) {
            out[i - 1] = out[sm->n - 1];
            continue;
        }
        if (sm->mode != DUNE_MODE_FLOW || i == sm->n) {
            row_features(ds, row0 + i - 1, i == sm->n, sm->mode, x);
            a = dune_submodel_walk(sm, x);
        }
        out[i - 1] = convert(&a, to_ds);
    }
}

int dune_plan_answer(const struct dune_plan *p, unsigned i, const struct dune_space *s,
                     struct dune_item_answer *out, struct dune_diag *d)
{
    const struct dune_submodel *sm = &p->sub[i];
    uint16_t to_ds[DUNE_MAX_CLASSES + 2];

    if (sm->n > s->max_n && sm->mode != DUNE_MODE_PACKET)
        return dune_diag_set(d, DUNE_E_INPUT, NULL,
                             "sub-model %u needs %u packets per flow, the data set keeps %u", sm->id,
                             sm->n, s->max_n);
    for (uint32_t c = 1; c <= p->n_classes; c++) {
        int id = dune_dataset_find_class(s->ds, p->cls[c - 1].name);

        to_ds[c] = (uint16_t)(id < 0 ? (int)s->n_classes : id); /* n_classes: not of this data set */
    }
    for (size_t item = 0; item < s->n_items;) {
        uint32_t k = s->item_flow[item];
        size_t end = item;

        while (end < s->n_items && s->item_flow[end] == k)
            end++;
        answer_flow(sm, s->ds, s->flow[k], to_ds, (unsigned)(end - item), out + item);
        item = end;
    }
    return 0;
}

int dune_plan_confusion(const struct dune_plan *p, const struct dune_space *s, bool packet_level,
                        struct dune_confusion *out, struct dune_diag *d)
{
    struct dune_item_answer *col[DUNE_MAX_SUBMODELS] = {0};
    uint8_t id[DUNE_MAX_SUBMODELS], *min_conf = DUNE_NEW_N(uint8_t, s->n_classes + 1);
    struct dune_chain_rule rule = {.claim = p->claim, .fallback = p->fallback,
                                   .early_exit = p->early_exit, .min_confidence = min_conf};
    int rc = 0;

    for (uint32_t c = 0; c < p->n_classes; c++) {
        int k = dune_dataset_find_class(s->ds, p->cls[c].name);

        if (k >= 0)
            min_conf[k] = (uint8_t)p->cls[c].min_confidence;
    }
    for (unsigned i = 0; rc == 0 && i < p->n_submodels; i++) {
        col[i] = dune_mem_alloc(s->n_items, sizeof(**col));
        id[i] = p->sub[i].id;
        rc = dune_plan_answer(p, i, s, col[i], d);
    }
    if (rc == 0)
        dune_chain_confusion(s, (const struct dune_item_answer *const *)col, id, p->n_submodels, &rule,
                             NULL, packet_level, out);
    for (unsigned i = 0; i < p->n_submodels; i++)
        dune_mem_free(col[i]);
    dune_mem_free(min_conf);
    return rc;
}
