/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fewest devices, exactly: devices are decided one after the other along the links, used or not, and all that matters
 * of the decisions so far is what packets have met on arrival at those that follow.
 *
 * - A used device takes all it can: with more behind it a packet needs no more devices than with less, because what is left
 *   of any run of sub-models still fits.
 * - Devices with the same followers count together: only the least of their out matters.
 * - A state that has met no more, anywhere, than another of no higher cost is dropped; so is one whose cost and bound on
 *   the rest (place_cut, with the weights of place_bound) do not stay below the best placement that is known.
 */
#include "place/place_int.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_TO_BOUND = 32, COMPARE = 256 };

struct state {
    uint8_t met[DUNE_PLACE_EXACT]; /* by group of devices with the same followers: the least out */
    uint16_t cost;
    bool used;
    uint32_t from; /* state of the step before */
};
struct trail {
    uint32_t from;
    bool used;
};
struct search {
    const struct place_net *p;
    const int64_t *weight;
    uint32_t n_groups, max_states, best; /* best: the fewest that are known */
    uint32_t group[DUNE_PLACE_EXACT], order[DUNE_PLACE_EXACT], step_of[DUNE_PLACE_EXACT];
    uint32_t last[DUNE_PLACE_EXACT]; /* step after which nobody asks for a group any more */
    struct state *now, *then;
    size_t n_now, n_then, cap;
    struct trail *trail[DUNE_PLACE_EXACT];
};

static bool same_followers(const struct dune_topology *t, uint32_t a, uint32_t b)
{
    uint32_t n = t->next_at[a + 1] - t->next_at[a];

    return n && n == t->next_at[b + 1] - t->next_at[b] &&
           memcmp(&t->next[t->next_at[a]], &t->next[t->next_at[b]], n * sizeof(*t->next)) == 0;
}

static void make_groups(struct search *s)
{
    const struct dune_topology *t = s->p->t;

    for (uint32_t v = 0; v < t->n; v++) {
        s->group[v] = UINT32_MAX;
        for (uint32_t u = 0; u < v && s->group[v] == UINT32_MAX; u++)
            if (same_followers(t, u, v))
                s->group[v] = s->group[u];
        if (s->group[v] == UINT32_MAX)
            s->group[v] = s->n_groups++;
    }
}

/* How many groups would have to be remembered if v came next. */
static uint32_t width_after(const struct search *s, const bool *done, uint32_t v)
{
    const struct dune_topology *t = s->p->t;
    bool open[DUNE_PLACE_EXACT] = {false};
    uint32_t n = 0;

    for (uint32_t u = 0; u < t->n; u++) {
        if (!done[u] && u != v)
            continue;
        for (uint32_t e = t->next_at[u]; e < t->next_at[u + 1]; e++)
            open[s->group[u]] |= !done[t->next[e]] && t->next[e] != v;
    }
    for (uint32_t g = 0; g < s->n_groups; g++)
        n += open[g];
    return n;
}

static bool is_ready(const struct dune_topology *t, const bool *done, uint32_t v)
{
    if (done[v])
        return false;
    for (uint32_t e = t->prev_at[v]; e < t->prev_at[v + 1]; e++)
        if (!done[t->prev[e]])
            return false;
    return true;
}

static void make_order(struct search *s)
{
    const struct dune_topology *t = s->p->t;
    bool done[DUNE_PLACE_EXACT] = {false};

    for (uint32_t i = 0; i < t->n; i++) {
        uint32_t pick = UINT32_MAX, least = UINT32_MAX;

        for (uint32_t v = 0; v < t->n; v++) {
            uint32_t w = is_ready(t, done, v) ? width_after(s, done, v) : UINT32_MAX;

            if (w < least) {
                least = w;
                pick = v;
            }
        }
        assert(pick < t->n); /* a topology has no cycles */
        s->order[i] = pick;
        s->step_of[pick] = i;
        done[pick] = true;
    }
    for (uint32_t v = 0; v < t->n; v++)
        for (uint32_t e = t->next_at[v]; e < t->next_at[v + 1]; e++)
            s->last[s->group[v]] = DUNE_MAX(s->last[s->group[v]], s->step_of[t->next[e]]);
}

static uint8_t arrival(const struct search *s, const struct state *a, uint32_t v)
{
    const struct dune_topology *t = s->p->t;
    uint8_t met = (uint8_t)(t->prev_at[v] == t->prev_at[v + 1] ? 0 : s->p->m);

    for (uint32_t e = t->prev_at[v]; e < t->prev_at[v + 1]; e++)
        met = DUNE_MIN(met, a->met[s->group[t->prev[e]]]);
    return met;
}

static void grow(struct search *s, uint32_t from, bool use, uint32_t step)
{
    const struct place_net *p = s->p;
    struct state *a = &s->now[from], *b;
    uint32_t v = s->order[step];
    uint8_t met = arrival(s, a, v), end = use ? place_reach(p, v, met) : met;

    if ((use && end == met) || (place_is_sink(p->t, v) && end < p->m) || a->cost + (uint32_t)use >= s->best)
        return;
    if (s->n_then == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 1024;
        s->then = dune_mem_realloc(s->then, s->cap, sizeof(*s->then));
    }
    b = &s->then[s->n_then++];
    *b = *a;
    b->cost = (uint16_t)(a->cost + use);
    b->from = from;
    b->used = use;
    if (!place_is_sink(p->t, v))
        b->met[s->group[v]] = DUNE_MIN(b->met[s->group[v]], end);
    for (uint32_t g = 0; g < s->n_groups; g++)
        if (s->last[g] <= step)
            b->met[g] = (uint8_t)p->m; /* forgotten: all alike */
}

/* Cheaper first, then by what was met, so that equal ones lie together and the better ones in front. */
static int by_cost(const void *x, const void *y)
{
    const struct state *a = x, *b = y;
    int met = memcmp(b->met, a->met, sizeof(a->met));

    return a->cost != b->cost ? (a->cost < b->cost ? -1 : 1) : met;
}

static bool covers(const struct search *s, const struct state *a, const struct state *b)
{
    for (uint32_t g = 0; g < s->n_groups; g++)
        if (a->met[g] < b->met[g])
            return false;
    return true;
}

static bool is_covered(const struct search *s, size_t kept, const struct state *b)
{
    size_t most = DUNE_MIN(kept, (size_t)COMPARE);

    for (size_t i = 0; i < most; i++)
        if (covers(s, &s->then[i], b) || covers(s, &s->then[kept - 1 - i], b))
            return true;
    return false;
}

static bool hopeless(const struct search *s, const struct state *a, uint32_t step)
{
    uint8_t fixed[DUNE_PLACE_EXACT];
    int64_t rest;

    for (uint32_t v = 0; v < s->p->t->n; v++)
        fixed[v] = s->step_of[v] <= step ? a->met[s->group[v]] : PLACE_FREE;
    rest = place_cut(s->p, s->weight, fixed, NULL);
    return rest < 0 || a->cost + (uint64_t)((rest + PLACE_UNIT - 1) / PLACE_UNIT) >= s->best;
}

static void thin_out(struct search *s, uint32_t step)
{
    size_t kept = 0;
    bool bound = s->n_then >= LEAST_TO_BOUND;

    if (s->n_then)
        qsort(s->then, s->n_then, sizeof(*s->then), by_cost);
    for (size_t i = 0; i < s->n_then; i++) {
        if (is_covered(s, kept, &s->then[i]) || (bound && hopeless(s, &s->then[i], step)))
            continue;
        s->then[kept++] = s->then[i];
    }
    s->n_then = kept;
}

static void keep_trail(struct search *s, uint32_t step)
{
    struct state *swap = s->now;

    s->trail[step] = DUNE_NEW_N(struct trail, s->n_then + 1);
    for (size_t i = 0; i < s->n_then; i++)
        s->trail[step][i] = (struct trail){s->then[i].from, s->then[i].used};
    s->now = dune_mem_realloc(swap, s->n_then + 1, sizeof(*s->now));
    memcpy(s->now, s->then, s->n_then * sizeof(*s->now));
    s->n_now = s->n_then;
    s->n_then = 0;
}

/* The cheapest of the last states, if there is any, is better than what was known. */
static void read_trail(const struct search *s, bool *used, uint32_t *cost)
{
    uint32_t at = 0;

    if (!s->n_now)
        return;
    *cost = s->now[0].cost;
    for (uint32_t i = s->p->t->n; i-- > 0;) {
        used[s->order[i]] = s->trail[i][at].used;
        at = s->trail[i][at].from;
    }
}

bool place_exact(const struct place_net *p, const int64_t *weight, uint32_t max_states, bool *used, uint32_t *cost)
{
    struct search *s = DUNE_NEW(struct search);
    bool ended = true;

    s->p = p;
    s->weight = weight;
    s->max_states = max_states;
    s->best = *cost;
    make_groups(s);
    make_order(s);
    s->now = DUNE_NEW_N(struct state, 1);
    memset(s->now[0].met, (int)p->m, sizeof(s->now[0].met));
    s->n_now = 1;
    for (uint32_t i = 0; ended && i < p->t->n; i++) {
        for (uint32_t k = 0; k < s->n_now; k++) {
            grow(s, k, false, i);
            grow(s, k, true, i);
        }
        thin_out(s, i);
        keep_trail(s, i);
        ended = s->n_now <= max_states;
    }
    if (ended)
        read_trail(s, used, cost);
    for (uint32_t i = 0; i < p->t->n; i++)
        dune_mem_free(s->trail[i]);
    dune_mem_free(s->now);
    dune_mem_free(s->then);
    dune_mem_free(s);
    return ended;
}
