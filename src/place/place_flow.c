/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cheapest placement for costs that add up, as a minimum cut.
 *
 * Two nodes per device v and sub-model k: in(v,k) and out(v,k), on the far side of the cut when every packet has met k on
 * arrival, on departure. Cut arcs cost; arcs without end forbid:
 *
 *   in(v,k) -> out(v,k)     cost of k on v: not met before, met after
 *   out(u,k) -> in(v,k)     for a link u -> v: met on arrival only if met on all departures
 *   out(v,k) -> in(v,k)     nothing is forgotten
 *   out(v,k) -> out(v,k+1)  and in alike: in order
 *   in(v,a) -> out(v,b)     b is the first that does not fit any more when v begins with a
 *   source -> in(v,0), out(v,m-1) -> sink
 */
#include "place/place_int.h"

#include <string.h>

#define ENDLESS ((int64_t)1 << 60)

struct arc {
    uint32_t to, back; /* back: index of the reverse arc */
    int64_t room;
};
struct flow {
    uint32_t n;
    DUNE_VEC(struct arc) arc;
    uint32_t *from; /* [arcs], while building */
    size_t from_cap;
    uint32_t *at, *list; /* arcs of a node */
    uint32_t *level, *next, *queue, *path;
};

static void add(struct flow *f, uint32_t a, uint32_t b, int64_t room)
{
    uint32_t i = (uint32_t)f->arc.len;

    if (i + 2 > f->from_cap) {
        f->from_cap = f->from_cap ? f->from_cap * 2 : 1024;
        f->from = dune_mem_realloc(f->from, f->from_cap, sizeof(*f->from));
    }
    f->from[i] = a;
    f->from[i + 1] = b;
    DUNE_VEC_PUSH(&f->arc, ((struct arc){b, i + 1, room}));
    DUNE_VEC_PUSH(&f->arc, ((struct arc){a, i, 0}));
}

static void sort_arcs(struct flow *f)
{
    f->at = DUNE_NEW_N(uint32_t, (size_t)f->n + 2);
    f->list = DUNE_NEW_N(uint32_t, f->arc.len);
    for (size_t i = 0; i < f->arc.len; i++)
        f->at[f->from[i] + 2]++;
    for (uint32_t v = 0; v < f->n; v++)
        f->at[v + 2] += f->at[v + 1];
    for (size_t i = 0; i < f->arc.len; i++)
        f->list[f->at[f->from[i] + 1]++] = (uint32_t)i;
    f->level = DUNE_NEW_N(uint32_t, f->n);
    f->next = DUNE_NEW_N(uint32_t, f->n);
    f->queue = DUNE_NEW_N(uint32_t, f->n);
    f->path = DUNE_NEW_N(uint32_t, f->n);
}

/* Distances from the source where there is room; 0: not reached. */
static bool spread(struct flow *f, uint32_t s, uint32_t t)
{
    uint32_t head = 0, tail = 0;

    memset(f->level, 0, f->n * sizeof(*f->level));
    f->level[s] = 1;
    f->queue[tail++] = s;
    while (head < tail) {
        uint32_t v = f->queue[head++];

        for (uint32_t e = f->at[v]; e < f->at[v + 1]; e++) {
            const struct arc *a = &f->arc.data[f->list[e]];

            if (a->room > 0 && !f->level[a->to]) {
                f->level[a->to] = f->level[v] + 1;
                f->queue[tail++] = a->to;
            }
        }
    }
    return f->level[t] != 0;
}

/* One more path on the levels; 0: none. Nodes that lead nowhere are left for good. */
static int64_t push(struct flow *f, uint32_t s, uint32_t t)
{
    uint32_t depth = 0, v = s;
    int64_t room = ENDLESS;

    while (v != t) {
        uint32_t e = f->next[v];
        const struct arc *a;

        for (; e < f->at[v + 1]; e++) {
            a = &f->arc.data[f->list[e]];
            if (a->room > 0 && f->level[a->to] == f->level[v] + 1)
                break;
        }
        f->next[v] = e;
        if (e < f->at[v + 1]) {
            f->path[depth++] = f->list[e];
            v = f->arc.data[f->list[e]].to;
        } else if (depth == 0) {
            return 0;
        } else {
            v = f->arc.data[f->arc.data[f->path[--depth]].back].to;
            f->next[v]++;
        }
    }
    for (uint32_t i = 0; i < depth; i++)
        room = DUNE_MIN(room, f->arc.data[f->path[i]].room);
    for (uint32_t i = 0; i < depth; i++) {
        struct arc *a = &f->arc.data[f->path[i]];

        a->room -= room;
        f->arc.data[a->back].room += room;
    }
    return room;
}

static int64_t run_flow(struct flow *f, uint32_t s, uint32_t t)
{
    int64_t sum = 0, more;

    while (sum < ENDLESS && spread(f, s, t)) {
        memcpy(f->next, f->at, f->n * sizeof(*f->next));
        while (sum < ENDLESS && (more = push(f, s, t)) > 0)
            sum += more;
    }
    return sum;
}

static void flow_fini(struct flow *f)
{
    DUNE_VEC_FREE(&f->arc);
    dune_mem_free(f->from);
    dune_mem_free(f->at);
    dune_mem_free(f->list);
    dune_mem_free(f->level);
    dune_mem_free(f->next);
    dune_mem_free(f->queue);
    dune_mem_free(f->path);
}

static uint32_t node(const struct place_net *p, uint32_t v, uint32_t k, uint32_t out)
{
    return 2 + 2 * (v * p->m + k) + out;
}

static void add_device(struct flow *f, const struct place_net *p, uint32_t v, const int64_t *cost)
{
    for (uint32_t k = 0; k < p->m; k++) {
        uint32_t end = place_reach(p, v, k), in = node(p, v, k, 0), out = node(p, v, k, 1);

        add(f, in, out, end == k ? ENDLESS : cost[(size_t)v * p->m + k]);
        add(f, out, in, ENDLESS);
        if (end > k && end < p->m)
            add(f, in, node(p, v, end, 1), ENDLESS);
        if (k + 1 < p->m) {
            add(f, in, node(p, v, k + 1, 0), ENDLESS);
            add(f, out, node(p, v, k + 1, 1), ENDLESS);
        }
    }
    if (place_is_sink(p->t, v))
        add(f, node(p, v, p->m - 1, 1), 1, ENDLESS);
}

/* Where packets come from outside: from hosts, or from devices that are decided. */
static void add_arrivals(struct flow *f, const struct place_net *p, uint32_t v, const uint8_t *fixed)
{
    const struct dune_topology *t = p->t;
    uint32_t met = t->prev_at[v] == t->prev_at[v + 1] ? 0 : p->m;

    for (uint32_t e = t->prev_at[v]; e < t->prev_at[v + 1]; e++) {
        uint32_t u = t->prev[e];

        if (fixed && fixed[u] != PLACE_FREE) {
            met = DUNE_MIN(met, fixed[u]);
            continue;
        }
        for (uint32_t k = 0; k < p->m; k++)
            add(f, node(p, u, k, 1), node(p, v, k, 0), ENDLESS);
    }
    if (met < p->m)
        add(f, 0, node(p, v, met, 0), ENDLESS);
}

static void read_cut(const struct flow *f, const struct place_net *p, const uint8_t *fixed, uint8_t *out)
{
    for (uint32_t v = 0; v < p->t->n; v++) {
        if (fixed && fixed[v] != PLACE_FREE) {
            out[v] = fixed[v];
            continue;
        }
        out[v] = 0;
        for (uint32_t k = 0; k < p->m; k++)
            out[v] = (uint8_t)(out[v] + (f->level[node(p, v, k, 1)] == 0));
    }
    /* the side of a node that nothing reaches is free: progress never falls on the way */
    for (uint32_t i = 0; i < p->t->n; i++) {
        uint32_t v = p->t->order[i];

        out[v] = DUNE_MAX(out[v], place_in(p->t, v, out, 0));
    }
}

int64_t place_cut(const struct place_net *p, const int64_t *cost, const uint8_t *fixed, uint8_t *out)
{
    struct flow f = {.n = 2 + 2 * p->t->n * p->m};
    int64_t sum;

    for (uint32_t v = 0; v < p->t->n; v++) {
        if (fixed && fixed[v] != PLACE_FREE)
            continue;
        add_device(&f, p, v, cost);
        add_arrivals(&f, p, v, fixed);
    }
    sort_arcs(&f);
    sum = run_flow(&f, 0, 1);
    if (sum >= ENDLESS)
        sum = -1;
    else if (out)
        read_cut(&f, p, fixed, out);
    flow_fini(&f);
    return sum;
}
