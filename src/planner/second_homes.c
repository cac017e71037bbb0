/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classes at home in other blocks, and in more than one. Two sub-models that know a class see it with other features
 * and beside other neighbours; the one that is surer speaks. That takes leaves from the classes a block had, so it
 * pays where leaves are plenty, and the folds say where.
 */
#include "base/base.h"
#include "planner/planner_int.h"

static unsigned n_homes(const struct dune_chain_spec *spec, unsigned c)
{
    unsigned n = 0;

    for (unsigned b = 0; b < spec->n_blocks; b++)
        n += dune_class_set_has(&spec->block[b], c);
    return n;
}

/* The chain in which class c leaves block `from` and enters block `to` (n_blocks: no block), if it is better. */
static int try_home(struct dune_search *s, const struct dune_chain_spec *was, unsigned c, unsigned from, unsigned to,
                    struct dune_chain_spec *best, double *score, struct dune_diag *d)
{
    struct dune_chain_spec next = *was;

    if (dune_search_exhausted(s))
        return 0;
    if (from < was->n_blocks)
        dune_class_set_flip(&next.block[from], c);
    if (to < was->n_blocks)
        dune_class_set_flip(&next.block[to], c);
    return dune_search_try(s, &next, 0, best, score, d);
}

/* The best chain in which class c has one home more, another one, or one less; score: that to beat, then its score.
 * Blocks with c and without are fitted once, so moves cost hardly more than additions. */
static int best_home(struct dune_search *s, unsigned c, struct dune_chain_spec *spec, double *score, struct dune_diag *d)
{
    const struct dune_chain_spec was = *spec;
    unsigned k = was.n_blocks, homes = n_homes(&was, c);
    int rc = 0;

    for (unsigned from = 0; from <= k; from++) { /* k: it leaves none */
        if (from < k && (!dune_class_set_has(&was.block[from], c) || dune_class_set_size(&was.block[from]) < 2))
            continue;
        for (unsigned to = 0; rc == 0 && to < k; to++)
            if (!dune_class_set_has(&was.block[to], c))
                rc = try_home(s, &was, c, from, to, spec, score, d);
        if (rc == 0 && from < k && homes > 1)
            rc = try_home(s, &was, c, from, k, spec, score, d);
    }
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
