/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The straight way with several workers, in three rounds:
 *
 *   1 parse    every worker parses a share of the packets and sorts them by the worker that owns their slot
 *   2 run      every worker takes what is its own, share after share, so in the order of the packets
 *   3 collect  every worker fetches the verdicts of its share
 *
 * Workers own ranges of slots, the same on all devices. In a round each of them writes only memory of its own; verdicts
 * too are first written side by side by their owner, since neighbours in the caller's array have different owners.
 */
#include "targets/fast/fast_int.h"

#include <string.h>

enum { SHARE_BATCH = 2048, NOBODY = 255 };

struct parsed { /* what a lane needs of a packet */
    struct dune_core_packet core;
    uint64_t now;
    uint32_t index, id;
    uint32_t unused[4];
};
_Static_assert(sizeof(struct parsed) == 64, "one line");

struct fast_share {
    uint32_t room;            /* packets of a share, at most */
    struct parsed *parsed;    /* [n_workers][room]: by owner */
    uint32_t *n_parsed;       /* [n_workers] */
    uint8_t *owner;           /* [room] of the packets of the share; NOBODY: has its verdict */
    struct dune_verdict *done; /* [SHARE_BATCH] of the packets owned, in order */
};

struct batch {
    struct fast_chain *c;
    const struct dune_chain_packet *in;
    struct dune_verdict *v;
    size_t n;
};

static struct fast_share *new_share(const struct fast_chain *c)
{
    struct fast_share *s = DUNE_NEW(struct fast_share);

    s->room = SHARE_BATCH / c->n_workers + 1;
    s->parsed = dune_mem_alloc((size_t)c->n_workers * s->room, sizeof(*s->parsed));
    s->n_parsed = DUNE_NEW_N(uint32_t, c->n_workers);
    s->owner = dune_mem_alloc(s->room, 1);
    s->done = dune_mem_alloc(SHARE_BATCH, sizeof(*s->done));
    return s;
}

void dune_fast_share_free(struct fast_share *s)
{
    if (!s)
        return;
    dune_mem_free(s->parsed);
    dune_mem_free(s->n_parsed);
    dune_mem_free(s->owner);
    dune_mem_free(s->done);
    dune_mem_free(s);
}

static size_t share_start(const struct batch *b, unsigned worker)
{
    return b->n * worker / b->c->n_workers;
}

/* --- round 1 ------------------------------------------------------------------------------------------------ */

static void sort_lane(struct fast_share *s, const struct fast_lane *l, uint32_t n_workers, uint32_t slots)
{
    for (uint32_t e = 0; e < l->n; e++) {
        uint32_t owner = (uint32_t)((uint64_t)(l->index[e] & (slots - 1)) * n_workers / slots);
        struct parsed *p = &s->parsed[(size_t)owner * s->room + s->n_parsed[owner]++];

        p->core = l->core[e];
        p->now = l->now[e];
        p->index = l->index[e];
        p->id = l->id[e];
        s->owner[l->from[e]] = (uint8_t)owner;
    }
}

static void parse_share(void *ctx, unsigned worker)
{
    struct batch *b = ctx;
    struct fast_chain *c = b->c;
    struct fast_worker *w = c->worker[worker];
    struct fast_share *s = w->share;
    size_t from = share_start(b, worker), n = share_start(b, worker + 1) - from;
    uint32_t slots = c->opts.slots ? c->opts.slots : c->gen[c->stamp].plan->slots;

    memset(s->n_parsed, 0, c->n_workers * sizeof(*s->n_parsed));
    memset(s->owner, NOBODY, n);
    for (size_t at = 0; at < n; at += FAST_LANE) {
        dune_fast_lane_receive(c, w, &w->lane[0], b->in + from + at, c->pkt + (size_t)worker * FAST_LANE,
                               (uint32_t)DUNE_MIN(n - at, (size_t)FAST_LANE), (uint32_t)at, b->v + from + at);
        sort_lane(s, &w->lane[0], c->n_workers, slots);
    }
}

/* --- round 2 ------------------------------------------------------------------------------------------------ */

struct reader { /* the packets of one owner, in order */
    struct fast_chain *c;
    unsigned owner, source;
    uint32_t at, taken; /* of the source; of all */
};

/* The next packets as a lane; false: there are none. */
static bool fill_lane(struct reader *r, struct fast_lane *l)
{
    l->n = 0;
    while (l->n < FAST_LANE && r->source < r->c->n_workers) {
        const struct fast_share *s = r->c->worker[r->source]->share;
        uint32_t e = l->n;

        if (r->at == s->n_parsed[r->owner]) {
            r->source++;
            r->at = 0;
            continue;
        }
        const struct parsed *p = &s->parsed[(size_t)r->owner * s->room + r->at++];

        l->core[e] = p->core;
        l->now[e] = p->now;
        l->index[e] = p->index;
        l->id[e] = p->id;
        l->from[e] = r->taken++;
        l->n++;
    }
    dune_fast_lane_start(l);
    return l->n > 0;
}

static void run_owned(void *ctx, unsigned worker)
{
    struct batch *b = ctx;
    struct fast_chain *c = b->c;
    struct fast_worker *w = c->worker[worker];
    struct reader r = {.c = c, .owner = worker};
    uint32_t n_lanes = UINT32_MAX - 2;

    w->newest = 0;
    for (uint32_t k = 0; k < n_lanes + 2; k++) {
        if (k < n_lanes) {
            struct fast_lane *l = &w->lane[k % FAST_LANES];

            if (fill_lane(&r, l))
                dune_fast_lane_fetch(c, l);
            else
                n_lanes = k;
        }
        if (k >= 1 && k <= n_lanes)
            dune_fast_lane_fetch_slots(c, w, &w->lane[(k - 1) % FAST_LANES]);
        if (k >= 2) {
            dune_fast_lane_finish(c, w, &w->lane[(k - 2) % FAST_LANES]);
            dune_fast_lane_verdicts(c, &w->lane[(k - 2) % FAST_LANES], w->share->done);
        }
    }
}

/* --- round 3 ------------------------------------------------------------------------------------------------ */

static void collect(void *ctx, unsigned worker)
{
    struct batch *b = ctx;
    struct fast_chain *c = b->c;
    const struct fast_share *s = c->worker[worker]->share;
    size_t from = share_start(b, worker), n = share_start(b, worker + 1) - from;
    const struct dune_verdict *next[NOBODY];

    for (unsigned owner = 0; owner < c->n_workers; owner++) {
        next[owner] = c->worker[owner]->share->done;
        for (unsigned source = 0; source < worker; source++)
            next[owner] += c->worker[source]->share->n_parsed[owner];
    }
    for (size_t i = 0; i < n; i++)
        if (s->owner[i] != NOBODY)
            b->v[from + i] = *next[s->owner[i]]++;
}

void dune_fast_share_run(struct fast_chain *c, const struct dune_chain_packet *in, size_t n, struct dune_verdict *v)
{
    for (unsigned i = 0; i < c->n_workers; i++)
        if (!c->worker[i]->share)
            c->worker[i]->share = new_share(c);
    for (size_t at = 0; at < n; at += SHARE_BATCH) {
        struct batch b = {c, in + at, v + at, DUNE_MIN(n - at, (size_t)SHARE_BATCH)};

        for (uint32_t i = 0; at == 0 && i < c->n_dev; i++)
            if (c->gen[c->stamp].table[i].slot)
                dune_fast_table_start(&c->gen[c->stamp].table[i], in[0].tick);
        dune_fast_pool_run(c->pool, parse_share, &b);
        dune_fast_pool_run(c->pool, run_owned, &b);
        dune_fast_pool_run(c->pool, collect, &b);
    }
}
