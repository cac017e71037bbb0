/* SPDX-License-Identifier: Apache-2.0 */
/* Testbeds and controllers as the dashboard sees them: reports of the devices, digests, scores of the sink. */
#include "dash/dash_int.h"

#include <jansson.h>
#include <string.h>

/* --- devices by their reports -------------------------------------------------------------------------------------- */

static void take_report(struct dash_dev *dev, const struct dune_ctl_report *r)
{
    const struct dune_counters *c = &r->counters;

    dev->in = c->in;
    dev->out = c->out;
    dev->inferred = c->inferred;
    dev->passed = c->passed_settled;
    dev->rule_hit = c->rule_hit;
    dev->claims = c->claims;
    dev->collisions = c->collisions;
    dev->digests = c->digests;
    dev->digests_dropped = c->digests_dropped;
    dev->lost = r->lost;
    dev->slots_used = dev->slots ? DUNE_MIN(c->slot_new, dev->slots) : c->slot_new;
    dev->hop_p50_ns = r->hop_p50_ns;
    dev->hop_p90_ns = r->hop_p90_ns;
    dev->hop_p99_ns = r->hop_p99_ns;
}

static enum dash_health health(const char *state)
{
    return strcmp(state, "ok") == 0 ? DASH_OK : strcmp(state, "lost") == 0 ? DASH_LOST
           : strcmp(state, "bare") == 0 ? DASH_BARE : DASH_SILENT;
}

static uint64_t slots_of(const struct dune_plan *p)
{
    return p ? (uint64_t)p->slots * p->ways : 0;
}

/* --- testbed ----------------------------------------------------------------------------------------------------------- */

/* The sums of a confusion, which is what the board scores by. */
static void take_confusion(struct dash_board *b, enum dash_level level, const struct dune_confusion *c)
{
    size_t stride = (size_t)c->n_classes + 1;

    if (c->n_classes != b->n_classes)
        return;
    for (int s = 0; s < DASH_N_SUMS; s++)
        memset(b->sum[level][s], 0, b->n_classes * sizeof(uint64_t));
    for (uint32_t i = 0; i < c->n_classes; i++) {
        for (uint32_t k = 0; k < stride; k++) {
            uint64_t w = c->cell[i * stride + k];

            b->sum[level][DASH_TRUE][i] += w;
            if (k < c->n_classes)
                b->sum[level][DASH_PREDICTED][k] += w;
        }
        b->sum[level][DASH_TP][i] += c->cell[i * stride + i];
    }
}

void dune_dash_watch_testbed(void *feed, const struct dune_testbed_look *look)
{
    struct dune_dash_feed *f = feed;
    struct dash_board *b = &f->board;

    if (!dash_feed_due(f))
        return;
    b->t.packets = look->arrived;
    b->t.packets_expected = look->packets;
    b->t.bytes = look->bytes;
    b->t.inferable = look->inferable;
    b->t.claimed = look->claimed;
    b->t.unclaimed = look->inferable - DUNE_MIN(look->inferable, look->claimed);
    b->t.settled = look->settled;
    b->t.fl = look->fl;
    b->t.pl = look->inferable - DUNE_MIN(look->inferable, look->fl);
    b->t.collided = look->collided;
    b->t.digests = look->digests;
    b->t.chain_p50_ns = look->chain_p50_ns;
    b->t.chain_p90_ns = look->chain_p90_ns;
    b->t.chain_p99_ns = look->chain_p99_ns;
    take_confusion(b, DASH_FLOW_LEVEL, look->flow);
    take_confusion(b, DASH_PACKET_LEVEL, look->packet);
    b->t.lost = 0;
    for (uint32_t i = 0; i < b->n_devices; i++) {
        struct dune_ctl_report r;

        b->dev[i].slots = slots_of(f->scene->plan);
        if (dune_controller_report(look->controller, f->scene->device[i].name, &r))
            take_report(&b->dev[i], &r);
        b->dev[i].state = health(dune_controller_device_state(look->controller, f->scene->device[i].name));
        b->t.lost += b->dev[i].lost;
    }
    dash_feed_publish(f, false);
}

/* A digest names the position; of the devices that stand there the first one gets the flow. */
static uint16_t device_at(const struct dash_scene *s, uint16_t position)
{
    for (uint32_t i = 0; i < s->n_devices; i++)
        if (s->device[i].position == position)
            return (uint16_t)i;
    return UINT16_MAX;
}

void dune_dash_watch_testbed_digest(void *feed, const struct dune_digest *dg, const char *cls)
{
    struct dune_dash_feed *f = feed;
    const struct dune_plan *p = f->scene->plan;
    struct dash_flow flow = {.key = dg->key, .tick = dg->tick, .cls = f->scene->of_plan[dg->cls], .truth = DASH_NONE,
                             .capture = DASH_NONE, .device = device_at(f->scene, dg->device), .conf = dg->conf,
                             .submodel = dg->submodel, .flags = dg->flags, .settled = true};

    if (!cls || (p && dg->cls > p->n_classes))
        flow.cls = DASH_NONE;
    dash_feed_flow(f, &flow, flow.cls == DASH_NONE ? 0 : dg->cls);
}

/* --- controller ---------------------------------------------------------------------------------------------------------- */

struct dune_dash_watcher {
    struct dune_dash *dash;
    struct dune_controller *c;
    struct dune_dash_feed *feed;
    char *plan;              /* what the scene was made from: plan text and devices */
    uint64_t looked_ns, checked_ns;
};

static void on_digest(void *ctx, const struct dune_digest *dg, const char *cls)
{
    struct dune_dash_watcher *w = ctx;

    if (w->feed)
        dune_dash_watch_testbed_digest(w->feed, dg, cls);
}

struct dune_dash_watcher *dune_dash_watch_controller(struct dune_dash *dash, struct dune_controller *c)
{
    struct dune_dash_watcher *w = DUNE_NEW(struct dune_dash_watcher);

    w->dash = dash;
    w->c = c;
    dune_controller_on_digest(c, on_digest, w);
    return w;
}

/* Devices in the order of their positions; each sends to the first one behind it. */
static uint32_t places(const json_t *list, struct dune_dash_place *out, uint32_t max)
{
    uint32_t n = 0;

    for (uint16_t pos = 1; pos <= DUNE_MAX_DEVICES && n < max; pos++)
        for (size_t i = 0; i < json_array_size(list) && n < max; i++) {
            const json_t *dev = json_array_get(list, i);

            if (json_integer_value(json_object_get(dev, "position")) == pos)
                out[n++] = (struct dune_dash_place){json_string_value(json_object_get(dev, "name")), (uint16_t)(pos - 1),
                                                    DUNE_DASH_SINK};
        }
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = n; k-- > i + 1;)
            if (out[k].position > out[i].position)
                out[i].next = (uint16_t)k;
    return n;
}

static char *identity(const json_t *status, const char *plan, const struct dune_dash_place *at, uint32_t n)
{
    struct dune_buf b = {0};

    dune_buf_printf(&b, "%lld ", (long long)json_integer_value(json_object_get(json_object_get(status, "base"), "generation")));
    dune_buf_printf(&b, "%s ", plan ? plan : "");
    for (uint32_t i = 0; i < n; i++)
        dune_buf_printf(&b, "%s:%u ", at[i].name, at[i].position);
    return b.data;
}

/* A new scene when plan or devices are others than before. */
static void follow(struct dune_dash_watcher *w)
{
    struct dune_dash_place at[DUNE_MAX_DEVICES];
    struct dune_buf status = {0};
    char *now;
    const char *name;
    json_t *root;
    uint32_t n;

    dune_controller_status(w->c, &status);
    root = json_loadb(status.data, status.len, 0, NULL);
    n = places(json_object_get(root, "devices"), at, DUNE_ARRAY_LEN(at));
    name = json_string_value(json_object_get(json_object_get(root, "base"), "name"));
    now = identity(root, name, at, n);
    if (!w->plan || strcmp(now, w->plan) != 0) {
        struct dune_dash_scene scene = {.source = "controller", .solution = name, .device = at, .n_devices = n,
                                        .plan = dune_controller_plan(w->c)};

        dune_dash_feed_close(w->feed, DUNE_DASH_FINISHED, "another plan took over");
        w->feed = dune_dash_feed_open(w->dash, &scene);
        dune_mem_free(w->plan);
        w->plan = now;
        now = NULL;
    }
    dune_mem_free(now);
    json_decref(root);
    dune_buf_fini(&status);
}

/* Packets of the chain are those of its first devices. */
static void take_totals(struct dash_board *b, const struct dash_scene *s, uint32_t i, const struct dune_counters *c)
{
    if (s->device[i].position == 0) {
        b->t.packets += c->in;
        b->t.inferable += c->passed_settled + c->rule_hit + c->inferred;
        b->t.rule_hits += c->rule_hit;
    }
    b->t.claimed += c->finals;
    b->t.settled += c->settled;
    b->t.fl += c->answers_fl + c->answers_stored;
    b->t.pl += c->answers_pl;
    b->t.collided += c->collisions;
}

static void take_status(struct dune_dash_watcher *w)
{
    struct dash_board *b = &w->feed->board;
    const struct dash_scene *s = w->feed->scene;
    struct dune_controller_stats st;
    uint64_t flows = b->t.flows, flows_claimed = b->t.flows_claimed;

    memset(&b->t, 0, sizeof(b->t));
    b->t.state = DUNE_DASH_RUNNING;
    b->t.capture = DASH_NONE;
    b->t.flows = flows;
    b->t.flows_claimed = flows_claimed;
    dune_controller_stats(w->c, &st);
    b->t.digests = st.digests;
    b->t.controller_lost = st.n_lost;
    for (uint32_t i = 0; i < b->n_devices; i++) {
        struct dune_ctl_report r;
        bool known = dune_controller_report(w->c, s->device[i].name, &r);

        b->dev[i].slots = slots_of(s->plan);
        b->dev[i].state = health(dune_controller_device_state(w->c, s->device[i].name));
        if (!known)
            continue;
        take_report(&b->dev[i], &r);
        take_totals(b, s, i, &r.counters);
        b->t.lost += r.lost;
    }
}

void dune_dash_watcher_step(struct dune_dash_watcher *w, uint64_t now_ns)
{
    if (!w->feed || now_ns - w->checked_ns > 1000000000u) {
        w->checked_ns = now_ns;
        follow(w);
    }
    if (now_ns - w->looked_ns < 100000000u)
        return;
    w->looked_ns = now_ns;
    take_status(w);
    dash_feed_publish(w->feed, false);
}

void dune_dash_watcher_free(struct dune_dash_watcher *w)
{
    if (!w)
        return;
    dune_controller_on_digest(w->c, NULL, NULL);
    dune_dash_feed_close(w->feed, DUNE_DASH_STOPPED, "the controller has stopped");
    dune_mem_free(w->plan);
    dune_mem_free(w);
}
