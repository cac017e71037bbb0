/* SPDX-License-Identifier: Apache-2.0 */
/* Two plans on the same flows. */
#include <string.h>

#include "base/base.h"
#include "dune/retrain.h"

enum { MAX_GROUPS = 512, SLICES = 20, DRAWS = 400 };

/* Group of every flow of the space: its capture, or with fewer than 4 of them a slice of time of its class. */
static uint32_t make_groups(const struct dune_space *s, uint32_t *group)
{
    const struct dune_dataset *ds = s->ds;
    uint32_t *number = DUNE_NEW_N(uint32_t, ds->n_captures), n = 0;
    uint64_t *total = DUNE_NEW_N(uint64_t, ds->n_classes), *seen = DUNE_NEW_N(uint64_t, ds->n_classes);

    for (uint32_t k = 0; k < s->n_flows; k++) {
        uint32_t c = ds->flow_capture[s->flow[k]];

        if (!number[c])
            number[c] = ++n;
        total[ds->flow_class[s->flow[k]]]++;
    }
    for (uint32_t k = 0; k < s->n_flows; k++) {
        uint16_t c = ds->flow_class[s->flow[k]];

        group[k] = n >= 4 ? (number[ds->flow_capture[s->flow[k]]] - 1) % MAX_GROUPS
                          : (uint32_t)(seen[c]++ * SLICES / total[c]);
    }
    dune_mem_free(number);
    dune_mem_free(total);
    dune_mem_free(seen);
    return n >= 4 ? DUNE_MIN(n, MAX_GROUPS) : SLICES;
}

static int plan_groups(const struct dune_plan *p, const struct dune_space *s, const uint32_t *group,
                       struct dune_confusion *out, struct dune_diag *d)
{
    struct dune_item_answer *col[DUNE_MAX_SUBMODELS] = {0};
    uint8_t id[DUNE_MAX_SUBMODELS], *bar = DUNE_NEW_N(uint8_t, s->n_classes + 1);
    struct dune_chain_rule rule = {.claim = p->claim, .fallback = p->fallback, .early_exit = p->early_exit,
                                   .min_confidence = bar};
    int rc = 0;

    for (uint32_t c = 0; c < p->n_classes; c++) {
        int k = dune_dataset_find_class(s->ds, p->cls[c].name);

        if (k >= 0)
            bar[k] = (uint8_t)p->cls[c].min_confidence;
    }
    for (uint32_t i = 0; rc == 0 && i < p->n_submodels; i++) {
        col[i] = dune_mem_alloc(s->n_items, sizeof(**col));
        id[i] = p->sub[i].id;
        rc = dune_plan_answer(p, i, s, col[i], d);
    }
    for (size_t i = 0; rc == 0 && i < s->n_items; i++)
        dune_confusion_add(&out[group[s->item_flow[i]]], s->item_cls[i],
                           dune_chain_decide((const struct dune_item_answer *const *)col, i, id, p->n_submodels, &rule),
                           s->item_w[i]);
    for (uint32_t i = 0; i < p->n_submodels; i++)
        dune_mem_free(col[i]);
    dune_mem_free(bar);
    return rc;
}

static double macro_of(const struct dune_confusion *g, uint32_t n, uint32_t n_classes)
{
    struct dune_confusion all;
    double macro;

    dune_confusion_init(&all, n_classes);
    for (uint32_t i = 0; i < n; i++)
        for (size_t c = 0; c < (size_t)n_classes * (n_classes + 1); c++)
            all.cell[c] += g[i].cell[c];
    macro = dune_f1_score(&all, DUNE_WEIGHT_ONE, NULL).macro;
    dune_confusion_fini(&all);
    return macro;
}

static unsigned packets_needed(const struct dune_plan *a, const struct dune_plan *b)
{
    unsigned most = 1;

    for (uint32_t i = 0; i < a->n_submodels; i++)
        most = DUNE_MAX(most, a->sub[i].n);
    for (uint32_t i = 0; i < b->n_submodels; i++)
        most = DUNE_MAX(most, b->sub[i].n);
    return most;
}

int dune_plans_judge(struct dune_judged *out, const struct dune_plan *a, const struct dune_plan *b,
                     const struct dune_dataset *ds, const uint8_t *use, uint64_t seed, struct dune_diag *d)
{
    struct dune_confusion *conf[2];
    struct dune_space *s;
    uint32_t *group, n;
    int rc = dune_space_new(&s, ds, DUNE_SPLIT_TRAIN, use, packets_needed(a, b), 1, d);

    memset(out, 0, sizeof(*out));
    if (rc)
        return rc;
    group = dune_mem_alloc(s->n_flows + 1u, sizeof(*group));
    n = make_groups(s, group);
    for (int i = 0; i < 2; i++) {
        conf[i] = DUNE_NEW_N(struct dune_confusion, n);
        for (uint32_t g = 0; g < n; g++)
            dune_confusion_init(&conf[i][g], s->n_classes);
        if (rc == 0)
            rc = plan_groups(i ? b : a, s, group, conf[i], d);
        out->macro[i] = macro_of(conf[i], n, s->n_classes);
    }
    out->flows = s->n_flows;
    if (rc == 0)
        out->gain = dune_f1_bootstrap(conf[1], conf[0], n, DRAWS, seed);
    for (int i = 0; i < 2; i++) {
        for (uint32_t g = 0; g < n; g++)
            dune_confusion_fini(&conf[i][g]);
        dune_mem_free(conf[i]);
    }
    dune_mem_free(group);
    dune_space_free(s);
    return rc;
}
