/* SPDX-License-Identifier: Apache-2.0 */
/* What devices count for drift, against a note after every answer of the reference. */
#ifndef DUNE_TEST_EQUAL_DRIFT_H
#define DUNE_TEST_EQUAL_DRIFT_H

#include "dune/drift.h"
#include "unit/targets/random_chain.h"

enum { EQUAL_PLANS = 4 };
struct equal_drift { /* of one device */
    const struct dune_plan *plan[EQUAL_PLANS];
    struct dune_drift_counts want[EQUAL_PLANS];
    unsigned n;
    uint64_t answers; /* of all comparisons */
};

static inline void equal_drift_add(struct equal_drift *x, const struct dune_plan *p)
{
    x->plan[x->n] = p;
    dune_drift_counts_init(&x->want[x->n++], p);
}

static inline void equal_drift_fini(struct equal_drift *x)
{
    for (unsigned i = 0; i < x->n; i++)
        dune_drift_counts_fini(&x->want[i]);
    x->n = 0;
}

/* As dune_answer_fn of a reference device. */
static inline void equal_drift_note(void *ctx, const struct dune_plan *plan, uint32_t sub, const uint32_t *features,
                                    const struct dune_sub_answer *a)
{
    struct equal_drift *x = ctx;

    for (unsigned i = 0; i < x->n; i++)
        if (x->plan[i] == plan)
            dune_drift_note(&x->want[i], plan, sub, features, a);
}

/* A plan that is loaded begins at nothing. */
static inline void equal_drift_loaded(struct equal_drift *x, const struct dune_plan *plan)
{
    for (unsigned i = 0; i < x->n; i++)
        if (x->plan[i] == plan)
            dune_drift_counts_clear(&x->want[i]);
}

static inline void equal_drift_array(const char *what, const uint64_t *want, const uint64_t *got, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (want[i] != got[i])
            fail_msg("drift: %s %u: %llu, the reference has %llu", what, i, (unsigned long long)got[i],
                     (unsigned long long)want[i]);
}

static inline void equal_drift_compare(struct equal_drift *x, unsigned i, const struct dune_drift_counts *got)
{
    for (uint32_t k = 0; k < got->n; k++) {
        const struct dune_drift_submodel *w = &x->want[i].sub[k], *g = &got->sub[k];

        equal_drift_array("answers", &w->answers, &g->answers, 1);
        equal_drift_array("claims of class", w->claims, g->claims, w->n_classes + 1);
        equal_drift_array("confidence of class", w->confidence, g->confidence, w->n_classes + 1);
        for (uint32_t j = 0; j < w->n_feats; j++)
            equal_drift_array("range row", w->hits[j], g->hits[j], w->n_rows[j]);
        for (uint32_t t = 0; t < w->n_trees; t++)
            equal_drift_array("leaf", w->leaves[t], g->leaves[t], w->n_leaves[t]);
        x->answers += g->answers;
    }
}

#endif
