/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How few devices can there be? Give sub-models weights on devices, such that no run that a device can take weighs more
 * than one unit: then any placement has at least as many devices as it has weight, and the placement of least weight is a
 * minimum cut. Good weights are marks, which no run can have two of. On networks of equal devices this bound is
 * the least number itself; on others place_relax.c has a better one.
 */
#include "place/place_int.h"

#include <string.h>

/* Marks of v: the first at `from`, the next where a run that has the last one cannot reach. */
static void mark(const struct place_net *p, uint32_t v, uint32_t from, int64_t *w)
{
    for (uint32_t k = from; k < p->m;) {
        uint32_t end = place_reach(p, v, k);

        w[k] = PLACE_UNIT;
        k = DUNE_MAX(end, k + 1);
    }
}

uint64_t place_bound(const struct place_net *p, int64_t *weight)
{
    size_t cells = (size_t)p->t->n * p->m;
    int64_t *w = DUNE_NEW_N(int64_t, cells), best = -1;
    uint32_t widest = 1;

    for (uint32_t v = 0; v < p->t->n; v++)
        for (uint32_t i = 0; i < p->m; i++)
            widest = DUNE_MAX(widest, (uint32_t)place_reach(p, v, i) - i);
    for (uint32_t from = 0; from < widest; from++) {
        int64_t sum;

        memset(w, 0, cells * sizeof(*w));
        for (uint32_t v = 0; v < p->t->n; v++)
            mark(p, v, from, w + (size_t)v * p->m);
        sum = place_cut(p, w, NULL, NULL);
        if (sum <= best)
            continue;
        best = sum;
        memcpy(weight, w, cells * sizeof(*w));
    }
    dune_mem_free(w);
    return best < 0 ? 0 : (uint64_t)(best / PLACE_UNIT);
}
