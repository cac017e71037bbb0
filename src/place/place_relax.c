/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bound on the number of devices from a linear relaxation, by sequential tree-reweighted message passing (TRW-S).
 *
 * Every device v has two nodes with a label of 0 ... m, in(v) and out(v). An edge in(v) - out(v) costs 1 where the label
 * grows, as far as the device reaches, and BIG where that is not possible; an edge out(u) - in(v) costs BIG where the
 * label grows. Messages move cost between nodes and edges and never change the cost of a labelling. Whatever they
 * are, the nodes and edges fall apart into chains, and the sum of the chains' cheapest labellings is a bound: chains_cost
 * computes that in integers, so that rounding inside the message passing cannot spoil the proof.
 */
#include "place/place_int.h"

#include <math.h>
#include <string.h>

#define BIG 1024.0 /* in devices; less than endless is still a bound */
enum { LABELS = DUNE_MAX_SUBMODELS + 1, LOOK_EVERY = 32 };
#define MOST_WORK 3e9 /* messages times labels */

struct relax {
    const struct place_net *p;
    uint32_t l, n_edges; /* edges: n of devices, then links in the order of t->next */
    uint32_t *of_prev;   /* link at a place of t->prev */
    double *later, *earlier; /* [n_edges * l]: messages to the two ends */
};

static double device_cost(const struct place_net *p, uint32_t v, uint32_t in, uint32_t out)
{
    return out == in ? 0 : out > in && out <= place_reach(p, v, in) ? 1 : BIG;
}

/* What a label costs at a node without messages: sources have met nothing, sinks must have met all. */
static double own_cost(const struct place_net *p, uint32_t v, bool out, uint32_t x)
{
    const struct dune_topology *t = p->t;

    if (out)
        return place_is_sink(t, v) && x < p->m ? BIG : 0;
    return t->prev_at[v] == t->prev_at[v + 1] && x > 0 ? BIG : 0;
}

static void relax_init(struct relax *r, const struct place_net *p)
{
    const struct dune_topology *t = p->t;
    uint32_t *fill = DUNE_NEW_N(uint32_t, (size_t)t->n + 1);

    *r = (struct relax){.p = p, .l = p->m + 1, .n_edges = t->n + t->n_links};
    r->of_prev = DUNE_NEW_N(uint32_t, (size_t)t->n_links + 1);
    r->later = DUNE_NEW_N(double, (size_t)r->n_edges * r->l);
    r->earlier = DUNE_NEW_N(double, (size_t)r->n_edges * r->l);
    memcpy(fill, t->prev_at, t->n * sizeof(*fill));
    for (uint32_t e = 0; e < t->n_links; e++) /* both lists have a device's neighbours in the order of the links */
        r->of_prev[fill[t->next[e]]++] = t->n + e;
    dune_mem_free(fill);
}

static void relax_fini(struct relax *r)
{
    dune_mem_free(r->of_prev);
    dune_mem_free(r->later);
    dune_mem_free(r->earlier);
}

/* --- messages ------------------------------------------------------------------------------------------------ */

static double *msg(const struct relax *r, double *of, uint32_t edge)
{
    return of + (size_t)edge * r->l;
}

/* Cost of the labels of a node with all messages to it, divided by the chains that pass. */
static void gather(const struct relax *r, uint32_t v, bool out, double share[LABELS])
{
    const struct dune_topology *t = r->p->t;
    uint32_t from = out ? t->next_at[v] : t->prev_at[v], to = out ? t->next_at[v + 1] : t->prev_at[v + 1];
    double least = HUGE_VAL;

    for (uint32_t x = 0; x < r->l; x++)
        share[x] = own_cost(r->p, v, out, x) + msg(r, out ? r->later : r->earlier, v)[x];
    for (uint32_t e = from; e < to; e++) {
        const double *m = out ? msg(r, r->earlier, t->n + e) : msg(r, r->later, r->of_prev[e]);

        for (uint32_t x = 0; x < r->l; x++)
            share[x] += m[x];
    }
    for (uint32_t x = 0; x < r->l; x++)
        least = DUNE_MIN(least, share[x]);
    for (uint32_t x = 0; x < r->l; x++)
        share[x] = (share[x] - least) / DUNE_MAX(to - from, 1u);
}

static void level(const struct relax *r, double *m)
{
    double least = HUGE_VAL;

    for (uint32_t x = 0; x < r->l; x++)
        least = DUNE_MIN(least, m[x]);
    for (uint32_t x = 0; x < r->l; x++)
        m[x] -= least;
}

static void send_device(const struct relax *r, uint32_t v, bool forward, const double *share)
{
    const double *back = msg(r, forward ? r->earlier : r->later, v);
    double *m = msg(r, forward ? r->later : r->earlier, v);

    for (uint32_t y = 0; y < r->l; y++) {
        double least = HUGE_VAL;

        for (uint32_t x = 0; x < r->l; x++) {
            double cost = forward ? device_cost(r->p, v, x, y) : device_cost(r->p, v, y, x);

            least = DUNE_MIN(least, share[x] - back[x] + cost);
        }
        m[y] = least;
    }
    level(r, m);
}

/* The label may fall along a link, or grow at the price of BIG. */
static void send_link(const struct relax *r, uint32_t edge, bool forward, const double *share)
{
    const double *back = msg(r, forward ? r->earlier : r->later, edge);
    double *m = msg(r, forward ? r->later : r->earlier, edge), least = HUGE_VAL;

    for (uint32_t i = 0; i < r->l; i++) {
        uint32_t x = forward ? r->l - 1 - i : i;

        least = DUNE_MIN(least, share[x] - back[x]);
        m[x] = least;
    }
    for (uint32_t x = 0; x < r->l; x++)
        m[x] = DUNE_MIN(m[x], least + BIG);
    level(r, m);
}

static void visit(const struct relax *r, uint32_t v, bool out, bool forward)
{
    const struct dune_topology *t = r->p->t;
    double share[LABELS];

    gather(r, v, out, share);
    if (out != forward)
        send_device(r, v, forward, share);
    else if (forward)
        for (uint32_t e = t->next_at[v]; e < t->next_at[v + 1]; e++)
            send_link(r, t->n + e, true, share);
    else
        for (uint32_t e = t->prev_at[v]; e < t->prev_at[v + 1]; e++)
            send_link(r, r->of_prev[e], false, share);
}

static void sweep(const struct relax *r)
{
    const struct dune_topology *t = r->p->t;

    for (uint32_t i = 0; i < t->n; i++) {
        visit(r, t->order[i], false, true);
        visit(r, t->order[i], true, true);
    }
    for (uint32_t i = t->n; i-- > 0;) {
        visit(r, t->order[i], true, false);
        visit(r, t->order[i], false, false);
    }
}

/* --- the proof ----------------------------------------------------------------------------------------------------- */

static int64_t fixed(double v)
{
    return llround(v * (double)PLACE_UNIT);
}

static int64_t least_of(const struct relax *r, const int64_t *v)
{
    int64_t least = INT64_MAX;

    for (uint32_t x = 0; x < r->l; x++)
        least = DUNE_MIN(least, v[x]);
    return least;
}

/* A chain goes on along an edge; begin: its cost so far by the label of the earlier end. */
static void along(const struct relax *r, uint32_t edge, const int64_t *begin, int64_t *end)
{
    const double *later = msg(r, r->later, edge), *earlier = msg(r, r->earlier, edge);

    for (uint32_t y = 0; y < r->l; y++) {
        int64_t least = INT64_MAX;

        for (uint32_t x = 0; x < r->l; x++) {
            double cost = edge < r->p->t->n ? device_cost(r->p, edge, x, y) : y <= x ? 0 : BIG;

            least = DUNE_MIN(least, begin[x] - fixed(earlier[x]) + fixed(cost));
        }
        end[y] = least - fixed(later[y]);
    }
}

/* The part of a node's cost that each of the chains that pass it bears, rounded down. */
static void bear(const struct relax *r, uint32_t v, bool out, int64_t part[LABELS])
{
    const struct dune_topology *t = r->p->t;
    uint32_t from = out ? t->next_at[v] : t->prev_at[v], to = out ? t->next_at[v + 1] : t->prev_at[v + 1];
    int64_t n = (int64_t)DUNE_MAX(to - from, 1u);

    for (uint32_t x = 0; x < r->l; x++) {
        int64_t sum = fixed(own_cost(r->p, v, out, x)) + fixed(msg(r, out ? r->later : r->earlier, v)[x]);

        for (uint32_t e = from; e < to; e++)
            sum += fixed(out ? msg(r, r->earlier, t->n + e)[x] : msg(r, r->later, r->of_prev[e])[x]);
        part[x] = sum / n - (sum % n < 0);
    }
}

static void add_to(const struct relax *r, int64_t *sum, const int64_t *more)
{
    for (uint32_t x = 0; x < r->l; x++)
        sum[x] += more[x];
}

/* The first link in goes on through the device and along the first link out; the others end and begin there. */
static int64_t chains_cost(const struct relax *r)
{
    const struct dune_topology *t = r->p->t;
    int64_t *at = DUNE_NEW_N(int64_t, ((size_t)t->n_links + 1) * r->l); /* of a link, at its later end */
    int64_t part[LABELS], here[LABELS], sum = 0;

    for (uint32_t i = 0; i < t->n; i++) {
        uint32_t v = t->order[i], n_in = t->prev_at[v + 1] - t->prev_at[v], n_out = t->next_at[v + 1] - t->next_at[v];
        int64_t through[LABELS] = {0};

        bear(r, v, false, part);
        for (uint32_t e = 0; e < n_in; e++) {
            int64_t *come = at + (size_t)(r->of_prev[t->prev_at[v] + e] - t->n) * r->l;

            add_to(r, come, part);
            if (e == 0)
                memcpy(through, come, r->l * sizeof(*come));
            else
                sum += least_of(r, come);
        }
        if (n_in == 0)
            add_to(r, through, part);
        along(r, v, through, here);
        bear(r, v, true, part);
        add_to(r, here, part);
        if (n_out == 0)
            sum += least_of(r, here);
        for (uint32_t e = 0; e < n_out; e++)
            along(r, t->next_at[v] + e + t->n, e ? part : here, at + (size_t)(t->next_at[v] + e) * r->l);
    }
    dune_mem_free(at);
    return sum;
}

uint64_t place_relax(const struct place_net *p, uint64_t enough)
{
    double work = 2.0 * p->t->n * (p->m + 1) * (p->m + 1) + 2.0 * p->t->n_links * (p->m + 1);
    uint64_t best = 0, rounds = (uint64_t)DUNE_MAX(MOST_WORK / 8 / work, (double)LOOK_EVERY);
    int64_t last = INT64_MIN;
    struct relax r;

    relax_init(&r, p);
    for (uint64_t i = 1; i <= rounds && best < enough; i++) {
        int64_t now;

        sweep(&r);
        if (i % LOOK_EVERY)
            continue;
        now = chains_cost(&r);
        if (now > 0)
            best = DUNE_MAX(best, (uint64_t)((now + PLACE_UNIT - 1) / PLACE_UNIT));
        if (last != INT64_MIN && now - last < PLACE_UNIT / 256)
            break;
        last = now;
    }
    relax_fini(&r);
    return best;
}
