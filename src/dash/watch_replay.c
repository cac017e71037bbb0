/* SPDX-License-Identifier: Apache-2.0 */
/* A replay as the dashboard sees it: every verdict by the looker, every device by the trace. */
#include "dash/dash_int.h"

#include <string.h>
#include <sys/stat.h>

enum { NO_DEVICE = UINT16_MAX };

struct watch {
    struct dune_dash_feed *feed;
    struct dash_hist chain, *hop; /* hop: [n_devices] */
    uint64_t trace_end_ns;        /* when the trace of the device before returned; 0: a burst begins */
    struct {
        uint64_t packet;          /* its running number */
        uint16_t device;
    } digest[DUNE_BURST_MAX];     /* that packets of the latest burst caused */
    uint64_t n_packets;
    uint32_t *filled;             /* [n_devices] slots that the latest burst filled */
    const char *capture;
    struct {                      /* of the true flows: whose verdict was noted */
        uint64_t *word;
        uint64_t n;
    } noted;
};

static bool note_once(struct watch *w, uint64_t flow)
{
    uint64_t at = flow / 64, bit = UINT64_C(1) << flow % 64;

    if (at >= w->noted.n) {
        uint64_t n = DUNE_MAX(w->noted.n * 2, at + 1024);

        w->noted.word = dune_mem_realloc(w->noted.word, n, sizeof(uint64_t));
        memset(w->noted.word + w->noted.n, 0, (n - w->noted.n) * sizeof(uint64_t));
        w->noted.n = n;
    }
    if (w->noted.word[at] & bit)
        return false;
    w->noted.word[at] |= bit;
    return true;
}

/* --- devices ----------------------------------------------------------------------------------------------------- */

static void on_trace(void *ctx, const struct dune_device_trace *t)
{
    struct watch *w = ctx;
    struct dash_board *b = &w->feed->board;
    uint64_t now = dune_now_ns();
    struct dash_dev *dev;

    if (t->device >= b->n_devices)
        return;
    dev = &b->dev[t->device];
    if (!w->trace_end_ns)
        memset(w->filled, 0, b->n_devices * sizeof(*w->filled));
    else
        dash_hist_add(&w->hop[t->device], now - w->trace_end_ns);
    dev->in++;
    dev->out += !t->dropped;
    dev->inferred += t->fate == DUNE_FATE_INFERRED;
    dev->passed += t->fate == DUNE_FATE_PASSED_SETTLED;
    dev->rule_hit += t->fate == DUNE_FATE_RULE_HIT;
    dev->collisions += t->slot == DUNE_SLOT_COLLISION;
    dev->slots_used += t->slot == DUNE_SLOT_NEW;
    w->filled[t->device] += t->slot == DUNE_SLOT_NEW;
    dev->digests += t->digest;
    dev->claims += t->became_final && t->shim.cls != 0;
    b->t.digests += t->digest;
    if (t->digest) {
        w->digest[t->packet % DUNE_BURST_MAX].packet = t->packet;
        w->digest[t->packet % DUNE_BURST_MAX].device = t->device;
    }
    w->trace_end_ns = dune_now_ns();
}

/* --- verdicts ---------------------------------------------------------------------------------------------------- */

static void note_flow(struct watch *w, const struct dune_replay_packet *p, uint16_t digest_from)
{
    struct dune_dash_feed *f = w->feed;
    const struct dune_verdict *v = p->verdict;
    bool settled = (v->flags & DUNE_SHIM_FINAL) && (v->flags & DUNE_SHIM_SETTLED);
    struct dash_flow flow = {.tick = p->tick, .cls = f->scene->of_plan[v->cls], .truth = p->truth, .capture = f->board.t.capture,
                             .device = v->device, .conf = v->conf, .submodel = v->submodel, .flags = v->flags,
                             .settled = settled, .packets = (uint32_t)DUNE_MIN(p->flow_pos, (uint64_t)UINT32_MAX)};
    struct dune_packet parsed;

    if (p->flow == DUNE_NO_FLOW) { /* no labels: flows are known by their digests */
        if (digest_from == NO_DEVICE)
            return;
    } else if (!(settled || p->flow_pos == p->flow_len) || !note_once(w, p->flow)) {
        return;
    }
    if (dune_packet_parse(&parsed, p->data, p->cap_len, &dune_parser_limits_default, 0) != DUNE_REASON_OK)
        return;
    flow.key = parsed.key;
    if (flow.device == UINT16_MAX && digest_from != NO_DEVICE)
        flow.device = digest_from;
    dash_feed_flow(f, &flow, v->cls);
}

static void next_capture(struct watch *w, const struct dune_replay_packet *p)
{
    struct dash_board *b = &w->feed->board;

    w->capture = p->capture;
    b->t.capture++; /* none becomes the first */
    for (uint32_t i = 0; i < b->n_devices; i++)
        b->dev[i].slots_used = w->filled[i]; /* the boundary before this burst emptied them */
}

static void count(struct dash_totals *t, const struct dune_verdict *v, uint32_t wire_len)
{
    bool fl = (v->flags & DUNE_SHIM_FL) != 0, answered = v->answered || v->conf || fl;

    t->packets++;
    t->bytes += wire_len;
    t->dropped += v->dropped;
    if (!v->inferable)
        return;
    t->inferable++;
    t->tentative += v->cls && v->flags & DUNE_SHIM_TENTATIVE;
    t->claimed += v->cls && !(v->flags & DUNE_SHIM_TENTATIVE);
    t->unclaimed += v->cls == 0;
    t->settled += (v->flags & DUNE_SHIM_FINAL) && (v->flags & DUNE_SHIM_SETTLED);
    t->rule_hits += v->rule_hit;
    t->collided += (v->flags & DUNE_SHIM_COLLISION) != 0;
    t->fl += answered && fl;
    t->pl += answered && !fl;
}

static void publish(struct watch *w)
{
    struct dash_board *b = &w->feed->board;

    if (!dash_feed_due(w->feed))
        return;
    b->t.chain_p50_ns = dash_hist_quantile(&w->chain, 0.5);
    b->t.chain_p90_ns = dash_hist_quantile(&w->chain, 0.9);
    b->t.chain_p99_ns = dash_hist_quantile(&w->chain, 0.99);
    for (uint32_t i = 0; i < b->n_devices; i++) {
        b->dev[i].hop_p50_ns = dash_hist_quantile(&w->hop[i], 0.5);
        b->dev[i].hop_p90_ns = dash_hist_quantile(&w->hop[i], 0.9);
        b->dev[i].hop_p99_ns = dash_hist_quantile(&w->hop[i], 0.99);
    }
    dash_feed_publish(w->feed, false);
}

static void look(void *ctx, const struct dune_replay_packet *p)
{
    struct watch *w = ctx;
    struct dash_board *b = &w->feed->board;
    const struct dune_verdict *v = p->verdict;
    uint64_t at = w->n_packets % DUNE_BURST_MAX;
    uint16_t digest_from = w->digest[at].packet == w->n_packets ? w->digest[at].device : (uint16_t)NO_DEVICE;

    w->trace_end_ns = 0; /* the next trace follows other work than a device's */
    if (p->capture != w->capture)
        next_capture(w, p);
    count(&b->t, v, p->wire_len);
    dash_hist_add(&w->chain, (uint64_t)p->chain_ns);
    if (p->truth != UINT32_MAX && v->fate != DUNE_FATE_FILTERED) {
        uint64_t share = DUNE_WEIGHT_ONE * p->flow_pos / p->flow_len - DUNE_WEIGHT_ONE * (p->flow_pos - 1) / p->flow_len;

        dash_board_vote(b, DASH_FLOW_LEVEL, p->truth, w->feed->scene->of_plan[v->cls], share);
        dash_board_vote(b, DASH_PACKET_LEVEL, p->truth, w->feed->scene->of_plan[v->cls], 1);
    }
    if (v->inferable)
        note_flow(w, p, digest_from);
    w->n_packets++;
    publish(w);
}

static void free_watch(void *ctx)
{
    struct watch *w = ctx;

    dune_mem_free(w->hop);
    dune_mem_free(w->filled);
    dune_mem_free(w->noted.word);
    dune_mem_free(w);
}

void dune_dash_watch_replay(struct dune_dash_feed *f, struct dune_replay_opts *o)
{
    struct watch *w = DUNE_NEW(struct watch);
    const struct dune_plan *p = f->scene->plan;

    w->feed = f;
    w->hop = DUNE_NEW_N(struct dash_hist, f->board.n_devices + 1);
    w->filled = DUNE_NEW_N(uint32_t, f->board.n_devices + 1);
    for (int i = 0; i < DUNE_BURST_MAX; i++)
        w->digest[i].packet = UINT64_MAX;
    f->watch = w;
    f->watch_free = free_watch;
    for (uint32_t i = 0; p && i < f->board.n_devices; i++)
        f->board.dev[i].slots = (uint64_t)(o->chain.slots ? o->chain.slots : p->slots) *
                                (o->chain.ways ? o->chain.ways : p->ways);
    o->chain.trace = on_trace;
    o->chain.trace_ctx = w;
    o->look = look;
    o->look_ctx = w;
}
