/* SPDX-License-Identifier: Apache-2.0 */
/* Partitions of the classes to start the search from. */
#include <string.h>

#include "base/base.h"
#include "planner/planner_int.h"

/* Classes that the space's flows have, ascending. */
unsigned dune_present_classes(const struct dune_space *s, uint16_t *cls)
{
    uint8_t *present = DUNE_NEW_N(uint8_t, s->n_classes);
    unsigned n = 0;

    for (uint32_t k = 0; k < s->n_flows; k++)
        present[s->ds->flow_class[s->flow[k]]] = 1;
    for (uint32_t c = 0; c < s->n_classes; c++)
        if (present[c])
            cls[n++] = (uint16_t)c;
    dune_mem_free(present);
    return n;
}

/* Shuffled classes dealt out in turn: sizes differ by one at most. */
void dune_partition_random(const uint16_t *cls, unsigned n, unsigned k, uint64_t seed,
                           struct dune_class_set *block)
{
    uint16_t order[DUNE_CLASS_WORDS * 64];
    struct dune_rng rng;

    memset(block, 0, k * sizeof(*block));
    memcpy(order, cls, n * sizeof(*order));
    dune_rng_init(&rng, seed, UINT64_C(0x7061727473), k, 0);
    for (unsigned i = n; i > 1; i--) {
        unsigned j = (unsigned)dune_rng_below(&rng, i);
        uint16_t t = order[i - 1];

        order[i - 1] = order[j];
        order[j] = t;
    }
    for (unsigned i = 0; i < n; i++)
        dune_class_set_flip(&block[i % k], order[i]);
}

/* Symmetric confusion between two classes, from a classes x (classes + 1) matrix. */
static uint64_t mixed(const struct dune_confusion *c, unsigned a, unsigned b)
{
    return c->cell[(size_t)a * (c->n_classes + 1) + b] + c->cell[(size_t)b * (c->n_classes + 1) + a];
}

static uint64_t affinity(const struct dune_confusion *conf, const struct dune_class_set *block,
                         const uint16_t *cls, unsigned n, unsigned c)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < n; i++)
        if (cls[i] != c && dune_class_set_has(block, cls[i]))
            sum += mixed(conf, c, cls[i]);
    return sum;
}

/* One class at a time, most confused first, into the block with the most (together) or least (apart)
 * confusion with it that still has room. */
void dune_partition_confused(const struct dune_confusion *conf, const uint16_t *cls, unsigned n,
                             unsigned k, bool together, struct dune_class_set *block)
{
    bool done[DUNE_CLASS_WORDS * 64] = {false};

    memset(block, 0, k * sizeof(*block));
    for (unsigned step = 0; step < n; step++) {
        struct dune_class_set all = {{0}};
        unsigned pick = 0, to = 0;
        uint64_t most = 0, best = 0;
        bool any = false;

        for (unsigned i = 0; i < n; i++)
            dune_class_set_flip(&all, cls[i]);
        for (unsigned i = 0; i < n; i++) {
            uint64_t a = affinity(conf, &all, cls, n, cls[i]);

            if (!done[i] && (!any || a > most)) {
                pick = i;
                most = a;
                any = true;
            }
        }
        done[pick] = true;
        any = false;
        for (unsigned b = 0; b < k; b++) {
            uint64_t a = affinity(conf, &block[b], cls, n, cls[pick]);

            if (dune_class_set_size(&block[b]) >= n / k + (b < n % k))
                continue; /* sizes differ by one at most, so no block stays empty */
            if (!any || (together ? a > best : a < best) ||
                (a == best && dune_class_set_size(&block[b]) < dune_class_set_size(&block[to]))) {
                to = b;
                best = a;
                any = true;
            }
        }
        dune_class_set_flip(&block[to], cls[pick]);
    }
}
