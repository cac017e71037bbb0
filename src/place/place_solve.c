/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Placements: costs that add up in one cut; the fewest devices by cuts of whole runs of sub-models, then without what is
 * not needed, then exactly where the network is small.
 */
#include "place/place_int.h"

#include <string.h>

/* Cells (devices x runs) that all cuts together may have. */
enum { CUT_CELLS = 500000, STATES = 100000 };
/* Steps of improvement, and devices that one of them may change. */
enum { STEPS = 5000, BALL = 12 };

bool place_greedy(const struct place_net *p, const bool *used, uint8_t *in, uint8_t *out)
{
    const struct dune_topology *t = p->t;
    bool good = true;

    for (uint32_t i = 0; i < t->n; i++) {
        uint32_t v = t->order[i];

        in[v] = place_in(t, v, out, 0);
        out[v] = !used || used[v] ? place_reach(p, v, in[v]) : in[v];
        good &= !place_is_sink(t, v) || out[v] == p->m;
    }
    return good;
}

static uint32_t count_used(uint32_t n, const uint8_t *in, const uint8_t *out)
{
    uint32_t used = 0;

    for (uint32_t v = 0; v < n; v++)
        used += out[v] > in[v];
    return used;
}

/* --- runs of sub-models, one to a device ------------------------------------------------------------------ */

struct runs {
    const struct place_net *p;
    uint8_t far[DUNE_MAX_SUBMODELS + 1]; /* where a run that begins here ends at most, on some device */
    uint8_t start[DUNE_MAX_SUBMODELS + 1];
    int64_t *one; /* weights */
    uint8_t *reach, *level;
    uint64_t cells;
    uint32_t best;
    uint8_t *in, *out; /* of the best */
};

static void runs_init(struct runs *r, const struct place_net *p, uint8_t *in, uint8_t *out)
{
    size_t cells = (size_t)p->t->n * (p->m + 1);

    *r = (struct runs){.p = p, .best = UINT32_MAX, .in = in, .out = out};
    for (uint32_t i = 0; i < p->m; i++)
        for (uint32_t v = 0; v < p->t->n; v++)
            r->far[i] = DUNE_MAX(r->far[i], place_reach(p, v, i));
    r->one = DUNE_NEW_N(int64_t, cells);
    for (size_t i = 0; i < cells; i++)
        r->one[i] = 1;
    r->reach = DUNE_NEW_N(uint8_t, cells);
    r->level = DUNE_NEW_N(uint8_t, p->t->n);
}

static void runs_fini(struct runs *r)
{
    dune_mem_free(r->one);
    dune_mem_free(r->reach);
    dune_mem_free(r->level);
}

/* The fewest devices when run i is start[i] ... start[i + 1] - 1 and a device holds one run. */
static void cut_runs(struct runs *r, uint32_t n_runs)
{
    const struct place_net *p = r->p;
    struct place_net q = {p->t, n_runs, r->reach};
    int64_t cost;

    for (uint32_t v = 0; v < p->t->n; v++) {
        uint8_t *mine = r->reach + (size_t)v * (n_runs + 1);

        for (uint32_t i = 0; i < n_runs; i++)
            mine[i] = (uint8_t)(i + (place_reach(p, v, r->start[i]) >= r->start[i + 1]));
        mine[n_runs] = (uint8_t)n_runs;
    }
    r->cells += (uint64_t)p->t->n * n_runs;
    cost = place_cut(&q, r->one, NULL, r->level);
    if (cost < 0 || (uint64_t)cost >= r->best)
        return;
    r->best = (uint32_t)cost;
    for (uint32_t i = 0; i < p->t->n; i++) {
        uint32_t v = p->t->order[i];

        r->out[v] = r->start[r->level[v]];
        r->in[v] = place_in(p->t, v, r->out, 0);
    }
}

/* All divisions into n_runs runs, as far as there is time. */
static void divide(struct runs *r, uint32_t run, uint32_t n_runs, uint64_t enough)
{
    const struct place_net *p = r->p;
    uint32_t at = r->start[run];

    if (r->best <= enough || r->cells > CUT_CELLS)
        return;
    if (run == n_runs) {
        if (at == p->m)
            cut_runs(r, n_runs);
        return;
    }
    for (uint32_t end = r->far[at]; at < p->m && end > at; end--) {
        if (p->m - end < n_runs - run - 1)
            continue;
        r->start[run + 1] = (uint8_t)end;
        divide(r, run + 1, n_runs, enough);
    }
}

static uint32_t one_each(const struct place_net *p, uint8_t *in, uint8_t *out)
{
    struct runs r;
    uint32_t best;

    runs_init(&r, p, in, out);
    for (uint32_t i = 0; i <= p->m; i++)
        r.start[i] = (uint8_t)i;
    cut_runs(&r, p->m);
    best = r.best;
    runs_fini(&r);
    return best;
}

/* --- the fewest devices ----------------------------------------------------------------------------------- */

/* Takes devices away as long as the others suffice, those that hold little first. */
static uint32_t take_away(const struct place_net *p, uint8_t *in, uint8_t *out)
{
    uint32_t n = p->t->n, left = 0;
    bool *used = DUNE_NEW_N(bool, n);
    uint8_t *load = DUNE_NEW_N(uint8_t, n);

    for (uint32_t v = 0; v < n; v++) {
        used[v] = out[v] > in[v];
        load[v] = (uint8_t)(out[v] - in[v]);
        left += used[v];
    }
    for (uint32_t size = 1; size <= p->m; size++)
        for (uint32_t v = 0; v < n; v++) {
            if (!used[v] || load[v] != size)
                continue;
            used[v] = false;
            if (place_greedy(p, used, in, out))
                left--;
            else
                used[v] = true;
        }
    place_greedy(p, used, in, out);
    dune_mem_free(used);
    dune_mem_free(load);
    return left;
}

static void keep_if_fewer(const struct place_net *p, struct dune_place_answer *a, const uint8_t *in, const uint8_t *out)
{
    uint32_t n = count_used(p->t->n, in, out);

    if (n >= a->cost)
        return;
    a->cost = n;
    memcpy(a->in, in, p->t->n);
    memcpy(a->out, out, p->t->n);
}

static void try_all(const struct place_net *p, struct dune_place_answer *a)
{
    uint32_t n = p->t->n;
    uint8_t *in = DUNE_NEW_N(uint8_t, n), *out = DUNE_NEW_N(uint8_t, n);
    struct runs r;

    runs_init(&r, p, in, out);
    for (uint32_t k = 1; k <= p->m; k++)
        divide(&r, 0, k, a->bound);
    if (r.best != UINT32_MAX)
        keep_if_fewer(p, a, in, out);
    runs_fini(&r);
    if (a->cost > a->bound) {
        if (a->cost != UINT64_MAX) {
            memcpy(in, a->in, n);
            memcpy(out, a->out, n);
        } else {
            place_greedy(p, NULL, in, out);
        }
        take_away(p, in, out);
        keep_if_fewer(p, a, in, out);
    }
    dune_mem_free(in);
    dune_mem_free(out);
}

/* Up to BALL devices around a random one, in random order. */
static uint32_t draw_ball(const struct dune_topology *t, struct dune_rng *r, bool *seen, uint32_t ball[BALL])
{
    uint32_t n = 0;

    ball[n++] = (uint32_t)dune_rng_below(r, t->n);
    seen[ball[0]] = true;
    for (uint32_t head = 0; head < n && n < BALL; head++) {
        uint32_t v = ball[head];

        for (uint32_t e = t->prev_at[v]; e < t->prev_at[v + 1] && n < BALL; e++)
            if (!seen[t->prev[e]])
                seen[ball[n++] = t->prev[e]] = true;
        for (uint32_t e = t->next_at[v]; e < t->next_at[v + 1] && n < BALL; e++)
            if (!seen[t->next[e]])
                seen[ball[n++] = t->next[e]] = true;
    }
    for (uint32_t i = n; i > 0; i--) {
        uint32_t k = (uint32_t)dune_rng_below(r, i), x = ball[i - 1];

        ball[i - 1] = ball[k];
        ball[k] = x;
        seen[ball[i - 1]] = false;
    }
    return n;
}

/*
 * All devices of a neighbourhood are used, then taken away again in random order where the rest suffices; as many as
 * before are as good. Keeps the best in a.
 */
static void improve(const struct place_net *p, struct dune_place_answer *a)
{
    uint32_t n = p->t->n, now = (uint32_t)a->cost, ball[BALL];
    bool *used = DUNE_NEW_N(bool, n), *was = DUNE_NEW_N(bool, n), *seen = DUNE_NEW_N(bool, n);
    uint8_t *in = DUNE_NEW_N(uint8_t, n), *out = DUNE_NEW_N(uint8_t, n);
    struct dune_rng r;

    dune_rng_init(&r, 1, UINT64_C(0x706c616365), n, p->m);
    for (uint32_t v = 0; v < n; v++)
        used[v] = a->out[v] > a->in[v];
    for (uint32_t step = 0; step < STEPS && now > a->bound; step++) {
        uint32_t k = draw_ball(p->t, &r, seen, ball), then = now;

        memcpy(was, used, n * sizeof(*used));
        for (uint32_t i = 0; i < k; i++) {
            then += !used[ball[i]];
            used[ball[i]] = true;
        }
        for (uint32_t i = 0; i < k; i++) {
            used[ball[i]] = false;
            if (place_greedy(p, used, in, out))
                then--;
            else
                used[ball[i]] = true;
        }
        if (then <= now)
            now = then;
        else
            memcpy(used, was, n * sizeof(*used));
    }
    place_greedy(p, used, in, out);
    keep_if_fewer(p, a, in, out);
    dune_mem_free(used);
    dune_mem_free(was);
    dune_mem_free(seen);
    dune_mem_free(in);
    dune_mem_free(out);
}

static void fewest(const struct dune_place_job *job, const struct place_net *p, struct dune_place_answer *a)
{
    int64_t *weight = DUNE_NEW_N(int64_t, (size_t)p->t->n * p->m);
    uint32_t cost;

    a->cost = UINT64_MAX;
    a->bound = place_bound(p, weight);
    try_all(p, a);
    if (a->cost > a->bound)
        a->bound = DUNE_MAX(a->bound, place_relax(p, a->cost));
    if (a->cost > a->bound)
        improve(p, a);
    a->exact = a->cost == a->bound;
    if (!a->exact && p->t->n <= DUNE_PLACE_EXACT) {
        bool *used = DUNE_NEW_N(bool, p->t->n);

        cost = (uint32_t)a->cost;
        a->exact = place_exact(p, weight, job->max_states ? job->max_states : STATES, used, &cost);
        if (a->exact && cost < a->cost)
            place_greedy(p, used, a->in, a->out);
        if (a->exact)
            a->cost = a->bound = cost;
        dune_mem_free(used);
    }
    dune_mem_free(weight);
}

/* --- costs that add up -------------------------------------------------------------------------------------- */

static void cheapest(const struct dune_place_job *job, const struct place_net *p, struct dune_place_answer *a)
{
    size_t cells = (size_t)p->t->n * p->m;
    int64_t *cost = DUNE_NEW_N(int64_t, cells);

    for (size_t i = 0; i < cells; i++)
        cost[i] = job->weight[i];
    a->cost = (uint64_t)place_cut(p, cost, NULL, a->out);
    for (uint32_t v = 0; v < p->t->n; v++)
        a->in[v] = place_in(p->t, v, a->out, 0);
    a->bound = a->cost;
    a->exact = true;
    dune_mem_free(cost);
}

/* --- none ---------------------------------------------------------------------------------------------------- */

/* Back from the sink that is missing most, always to the device before that has met least. */
static void find_stuck(const struct place_net *p, const uint8_t *out, uint32_t *stuck)
{
    const struct dune_topology *t = p->t;
    uint32_t v = UINT32_MAX, n = 0;

    for (uint32_t i = 0; i < t->n; i++)
        if (place_is_sink(t, i) && (v == UINT32_MAX || out[i] < out[v]))
            v = i;
    for (;;) {
        uint32_t least = UINT32_MAX;

        stuck[n++] = v;
        for (uint32_t e = t->prev_at[v]; e < t->prev_at[v + 1]; e++)
            if (least == UINT32_MAX || out[t->prev[e]] < out[least])
                least = t->prev[e];
        if (least == UINT32_MAX)
            break;
        v = least;
    }
    for (uint32_t i = 0; i < n / 2; i++) {
        uint32_t x = stuck[i];

        stuck[i] = stuck[n - 1 - i];
        stuck[n - 1 - i] = x;
    }
    stuck[n] = UINT32_MAX;
}

int dune_place_solve(const struct dune_place_job *job, struct dune_place_answer *a, uint32_t *stuck,
                     struct dune_diag *d)
{
    struct place_net p = {job->net, job->m, job->reach};
    uint32_t n = job->net->n;
    uint8_t *in, *out;

    *a = (struct dune_place_answer){.in = DUNE_NEW_N(uint8_t, n), .out = DUNE_NEW_N(uint8_t, n)};
    if (job->m < 1 || job->m > DUNE_MAX_SUBMODELS)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "%u sub-models; 1 to %d can be placed", job->m, DUNE_MAX_SUBMODELS);
    if (!place_greedy(&p, NULL, a->in, a->out)) {
        if (stuck)
            find_stuck(&p, a->out, stuck);
        return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "the sub-models do not fit the devices of every path");
    }
    in = DUNE_NEW_N(uint8_t, n);
    out = DUNE_NEW_N(uint8_t, n);
    a->single = one_each(&p, in, out);
    dune_mem_free(in);
    dune_mem_free(out);
    if (job->weight)
        cheapest(job, &p, a);
    else
        fewest(job, &p, a);
    return 0;
}

void dune_place_answer_fini(struct dune_place_answer *a)
{
    dune_mem_free(a->in);
    dune_mem_free(a->out);
    *a = (struct dune_place_answer){0};
}
