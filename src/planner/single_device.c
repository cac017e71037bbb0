/* SPDX-License-Identifier: Apache-2.0 */
/* The best single device, and features by forward selection. */
#include "base/base.h"
#include "planner/planner_int.h"

enum { FORWARD_UNLIMITED = 12 };

static int try_features(struct dune_search *s, dune_feature_mask mask, struct dune_chain_spec *spec, double *score,
                        struct dune_diag *d)
{
    struct dune_chain_spec next = *spec;
    struct dune_f1 f1;
    int rc;

    next.cfg[0].features = mask;
    next.cfg[0].select = DUNE_SELECT_RFE;
    rc = dune_search_score(s, &next, &f1, d);
    if (rc == 0 && f1.macro > *score + 1e-9) {
        *spec = next;
        *score = f1.macro;
    }
    return rc;
}

int dune_forward_select(struct dune_search *s, dune_feature_mask candidates, struct dune_chain_spec *spec,
                        double *score, struct dune_diag *d)
{
    unsigned limit = s->budget[0].features_distinct ? s->budget[0].features_distinct : FORWARD_UNLIMITED;
    dune_feature_mask have = 0;
    int rc = 0;

    *score = -1;
    for (unsigned k = 0; rc == 0 && k < limit && !dune_search_exhausted(s); k++) {
        double before = *score;

        for (int j = 0; rc == 0 && j < DUNE_N_FEATURES && !dune_search_exhausted(s); j++)
            if ((candidates & ~have) >> j & 1 && dune_catalog[j].kth <= spec->cfg[0].n)
                rc = try_features(s, have | UINT64_C(1) << j, spec, score, d);
        have = spec->cfg[0].features;
        if (*score <= before)
            break;
    }
    return rc;
}

/* The last features of every block are chosen by regrowing without each of them: dearer and better than
 * by impurity alone, so it comes after the blocks and settings are found. */
int dune_refine_features(struct dune_search *s, struct dune_chain_spec *spec, double *score, struct dune_diag *d)
{
    struct dune_chain_spec next = *spec;
    struct dune_f1 f1;
    int rc;

    if (dune_search_late(s))
        return 0;
    for (unsigned b = 0; b < next.n_blocks; b++)
        next.cfg[b].select = DUNE_SELECT_WRAP;
    rc = dune_search_score(s, &next, &f1, d);
    if (rc == 0 && f1.macro > *score) {
        *spec = next;
        *score = f1.macro;
    }
    return rc;
}

/* A single tree with few leaves hangs on its features: the other way to choose them, and then the settings. */
static int from_nothing(struct dune_search *s, struct dune_chain_spec *spec, double *score, struct dune_diag *d)
{
    struct dune_chain_spec next = *spec;
    double reached;
    int rc = dune_forward_select(s, spec->cfg[0].features, &next, &reached, d);

    if (rc == 0)
        rc = dune_tune_common(s, &next, &reached, 1, d);
    if (rc == 0 && reached > *score) {
        *spec = next;
        *score = reached;
    }
    return rc;
}

int dune_plan_one(struct dune_search *s, struct dune_chain_spec *spec, double *score, struct dune_diag *d)
{
    struct dune_fit_cfg cfg = dune_search_base_cfg(s);
    uint64_t had;
    int rc;

    dune_search_init_spec(s, spec, 1, &cfg);
    for (unsigned i = 0; i < s->n_cls; i++)
        dune_class_set_flip(&spec->block[0], s->cls[i]);
    rc = dune_tune_common(s, spec, score, 2, d);
    if (rc == 0)
        rc = dune_refine_features(s, spec, score, d);
    if (rc == 0)
        rc = dune_choose_spare(s, spec, score, d);
    if (rc == 0 && s->cfg->effort != DUNE_EFFORT_QUICK) {
        had = dune_cv_n_fits(s->cv);
        rc = from_nothing(s, spec, score, d);
        s->max_columns += dune_cv_n_fits(s->cv) - had; /* cheap ones, of few features: on top of the rest */
    }
    return rc;
}
