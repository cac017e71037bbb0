/* SPDX-License-Identifier: Apache-2.0 */
/* Is a more complex chain really better? Paired bootstrap over captures of the out-of-fold answers. */
#include "base/base.h"
#include "planner/planner_int.h"

enum { MAX_GROUPS = 512, SLICES = 25, DRAWS = 400 };

/* Neighbours in time are alike, so without captures a group is a slice of time, the same share of every
 * class: single flows as groups would promise far too small errors. */
static uint32_t slice_flows(const struct dune_space *s, uint32_t *group)
{
    const struct dune_dataset *ds = s->ds;
    uint64_t *total = DUNE_NEW_N(uint64_t, s->n_classes), *seen = DUNE_NEW_N(uint64_t, s->n_classes);

    for (uint32_t k = 0; k < s->n_flows; k++)
        total[ds->flow_class[s->flow[k]]]++;
    for (uint32_t k = 0; k < s->n_flows; k++) { /* flows are in order of their first packet */
        uint16_t c = ds->flow_class[s->flow[k]];

        group[k] = (uint32_t)(seen[c]++ * SLICES / total[c]);
    }
    dune_mem_free(total);
    dune_mem_free(seen);
    return SLICES;
}

/* Group of every space flow: its capture, or with fewer than 4 captures a slice of time. */
static uint32_t make_groups(const struct dune_space *s, uint32_t *group)
{
    const struct dune_dataset *ds = s->ds;
    uint32_t *number = DUNE_NEW_N(uint32_t, ds->n_captures), n = 0;

    for (uint32_t k = 0; k < s->n_flows; k++)
        number[ds->flow_capture[s->flow[k]]] = 1;
    for (uint32_t c = 0; c < ds->n_captures; c++)
        if (number[c])
            number[c] = ++n;
    if (n >= 4) {
        for (uint32_t k = 0; k < s->n_flows; k++)
            group[k] = (number[ds->flow_capture[s->flow[k]]] - 1) % MAX_GROUPS;
        n = DUNE_MIN(n, MAX_GROUPS);
    } else {
        n = slice_flows(s, group);
    }
    dune_mem_free(number);
    return n;
}

/* Adds the answers on the folds in use. */
static int add_confusions(struct dune_search *se, const struct dune_chain_spec *spec,
                          const uint32_t *group, struct dune_confusion *out, struct dune_diag *d)
{
    const struct dune_space *s = se->space;
    const struct dune_item_answer *col[DUNE_MAX_BLOCKS];
    const uint8_t *scored = dune_cv_scored(se->cv);
    uint8_t id[DUNE_MAX_BLOCKS];
    int rc = dune_search_columns(se, spec, col, d);

    for (unsigned b = 0; b < DUNE_MAX_BLOCKS; b++)
        id[b] = (uint8_t)b;
    for (size_t i = 0; rc == 0 && i < s->n_items; i++) {
        uint32_t k = s->item_flow[i];

        if (scored[k])
            dune_confusion_add(&out[group[k]], s->item_cls[i],
                               dune_chain_decide(col, i, id, spec->n_blocks, &spec->rule), s->item_w[i]);
    }
    return rc;
}

/* On the folds of the search, or on those of all judges together. */
static int group_confusions(struct dune_search *s, const struct dune_chain_spec *spec, const uint32_t *group,
                            uint32_t n_groups, struct dune_confusion *out, struct dune_diag *d)
{
    unsigned was = s->layout;
    int rc = 0;

    for (uint32_t g = 0; g < n_groups; g++)
        dune_confusion_init(&out[g], s->space->n_classes);
    if (!was)
        return add_confusions(s, spec, group, out, d);
    for (unsigned i = 1; rc == 0 && i <= dune_search_n_judges(s); i++) {
        rc = dune_search_change_folds(s, i, d);
        if (rc == 0)
            rc = add_confusions(s, spec, group, out, d);
    }
    return rc ? rc : dune_search_change_folds(s, was, d);
}

int dune_search_compare(struct dune_search *s, const struct dune_chain_spec *a,
                        const struct dune_chain_spec *b, struct dune_interval *out, struct dune_diag *d)
{
    uint32_t *group = dune_mem_alloc(s->space->n_flows, sizeof(*group));
    uint32_t n = make_groups(s->space, group);
    struct dune_confusion *ca = DUNE_NEW_N(struct dune_confusion, n);
    struct dune_confusion *cb = b ? DUNE_NEW_N(struct dune_confusion, n) : NULL;
    int rc = group_confusions(s, a, group, n, ca, d);

    if (rc == 0 && b)
        rc = group_confusions(s, b, group, n, cb, d);
    if (rc == 0)
        *out = dune_f1_bootstrap(ca, cb, n, DRAWS, s->cfg->seed);
    for (uint32_t g = 0; g < n; g++) {
        dune_confusion_fini(&ca[g]);
        if (cb)
            dune_confusion_fini(&cb[g]);
    }
    dune_mem_free(ca);
    dune_mem_free(cb);
    dune_mem_free(group);
    return rc;
}
