/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classes at home in more than one block. Two sub-models that know a class see it with other features and beside
 * other neighbours; the one that is surer speaks. That takes leaves from the classes a block had, so it pays where
 * leaves are plenty, and the folds say where.
 */
#include "base/base.h"
#include "planner/planner_int.h"

/* The best chain in which class c has one home more; score: that to beat, then its score. */
static int best_home(struct dune_search *s, unsigned c, struct dune_chain_spec *spec, double *score, struct dune_diag *d)
{
    struct dune_chain_spec best = *spec;
    int rc = 0;

    for (unsigned b = 0; rc == 0 && b < spec->n_blocks && !dune_search_exhausted(s); b++) {
        struct dune_chain_spec next = *spec;
        struct dune_f1 f1;

        if (dune_class_set_has(&spec->block[b], c))
            continue;
        dune_class_set_flip(&next.block[b], c);
        rc = dune_search_score(s, &next, &f1, d);
        if (rc == 0 && f1.macro > *score) {
            best = next;
            *score = f1.macro;
        }
    }
    *spec = best;
    return rc;
}

int dune_second_homes(struct dune_search *s, struct dune_chain_spec *spec, double *score, double min_gain,
                      unsigned rounds, struct dune_diag *d)
{
    int rc = 0;

    for (unsigned r = 0; rc == 0 && spec->n_blocks > 1 && r < rounds; r++) {
        double before = *score;

        for (unsigned i = 0; rc == 0 && i < s->n_cls; i++) {
            struct dune_chain_spec next = *spec;
            double found = *score + min_gain;

            rc = best_home(s, s->cls[i], &next, &found, d);
            if (rc == 0 && found > *score + min_gain) {
                *spec = next;
                *score = found;
            }
        }
        if (*score <= before)
            break;
    }
    return rc;
}
