/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the placement stage share. */
#ifndef DUNE_PLACE_PLACE_INT_H
#define DUNE_PLACE_PLACE_INT_H

#include "base/base.h"
#include "dune/placement.h"

#define PLACE_UNIT ((int64_t)1 << 20) /* one device, in the weights of a bound */
#define PLACE_FREE 255                /* of a fixed value: not fixed */

/* A network with what its devices can take; m may count sub-models or whole runs of them. */
struct place_net {
    const struct dune_topology *t;
    uint32_t m;
    const uint8_t *reach;
};
static inline uint8_t place_reach(const struct place_net *p, uint32_t v, uint32_t i)
{
    return p->reach[(size_t)v * (p->m + 1) + i];
}
static inline bool place_is_sink(const struct dune_topology *t, uint32_t v)
{
    return t->next_at[v] == t->next_at[v + 1];
}
/* The least out of the devices before v. */
static inline uint8_t place_in(const struct dune_topology *t, uint32_t v, const uint8_t *out, uint8_t at_source)
{
    uint8_t least = at_source;

    for (uint32_t e = t->prev_at[v]; e < t->prev_at[v + 1]; e++)
        if (e == t->prev_at[v] || out[t->prev[e]] < least)
            least = out[t->prev[e]];
    return least;
}

/* network_make.c: devices s1, s2 ... without links. */
struct dune_topology *place_network_new(uint32_t n, const char *profile, const struct dune_budget *budget);

/*
 * place_flow.c: the cheapest out[] for costs that add up over devices and sub-models, cost[v * m + k] >= 0. fixed (NULL:
 * none): out of devices that are decided already, PLACE_FREE elsewhere; a decided device costs nothing here and whatever
 * is before one is decided too. Returns the cost, or -1: there is no placement. out may be NULL.
 */
int64_t place_cut(const struct place_net *p, const int64_t *cost, const uint8_t *fixed, uint8_t *out);

/* place_bound.c: weights of which every run of sub-models that a device can take has at most PLACE_UNIT, so that
 * their cheapest placement is below any number of devices. Fills weight[n * m]. */
uint64_t place_bound(const struct place_net *p, int64_t *weight);

/* place_relax.c: a better bound where devices differ; it is not looked for any further once it is enough. */
uint64_t place_relax(const struct place_net *p, uint64_t enough);

/* place_exact.c: fewer devices than *cost, or the proof that there is none. used: [n], in and out. False: too many states. */
bool place_exact(const struct place_net *p, const int64_t *weight, uint32_t max_states, bool *used, uint32_t *cost);

/* place_solve.c: every device that is used takes what it can. False: a sink lacks sub-models. */
bool place_greedy(const struct place_net *p, const bool *used, uint8_t *in, uint8_t *out);

#endif
