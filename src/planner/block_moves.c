/* SPDX-License-Identifier: Apache-2.0 */
/* Local search over partitions: move one class, swap two, on cross-validated chained F1. */
#include <string.h>

#include "base/base.h"
#include "planner/planner_int.h"

static unsigned block_of(const struct dune_chain_spec *spec, unsigned c)
{
    unsigned b = 0;

    while (b < spec->n_blocks && !dune_class_set_has(&spec->block[b], c))
        b++;
    return b;
}

/* A random neighbour: move a class to another block, or swap two classes of different blocks. */
static bool neighbour(struct dune_rng *rng, const uint16_t *cls, unsigned n, struct dune_chain_spec *spec)
{
    unsigned a = cls[dune_rng_below(rng, n)], from = block_of(spec, a);

    if (dune_rng_below(rng, 2)) {
        unsigned to = (unsigned)dune_rng_below(rng, spec->n_blocks);

        if (to == from || dune_class_set_size(&spec->block[from]) < 2)
            return false;
        dune_class_set_flip(&spec->block[from], a);
        dune_class_set_flip(&spec->block[to], a);
    } else {
        unsigned b = cls[dune_rng_below(rng, n)], to = block_of(spec, b);

        if (to == from)
            return false;
        dune_class_set_flip(&spec->block[from], a);
        dune_class_set_flip(&spec->block[to], a);
        dune_class_set_flip(&spec->block[to], b);
        dune_class_set_flip(&spec->block[from], b);
    }
    return true;
}

int dune_local_search(struct dune_search *s, struct dune_chain_spec *spec, double *score, unsigned tries,
                      uint64_t key, struct dune_diag *d)
{
    struct dune_rng rng;

    if (spec->n_blocks < 2)
        return 0;
    dune_rng_init(&rng, s->cfg->seed, UINT64_C(0x6c6f63616c), key, 0);
    for (unsigned i = 0; i < tries && !dune_search_exhausted(s); i++) {
        struct dune_chain_spec next = *spec;
        int rc;

        if (!neighbour(&rng, s->cls, s->n_cls, &next))
            continue;
        rc = dune_search_try(s, &next, 0, spec, score, d);
        if (rc)
            return rc;
    }
    return 0;
}
