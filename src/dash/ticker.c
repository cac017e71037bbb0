/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ten times a second: the slot of the scene is copied, flows are taken from its ring, a state is written as
 * text once for all readers. Once a second: a point of the series, the history.
 */
#include "dash/ticker.h"

#include <errno.h>
#include <string.h>
#include <time.h>

enum { FLOWS_AT_ONCE = 2048 };
#define SECOND_NS UINT64_C(1000000000)

/* --- events ---------------------------------------------------------------------------------------------------- */

void dash_event_unref(struct dash_event *e)
{
    if (e && atomic_fetch_sub(&e->refs, 1) == 1)
        dune_mem_free(e);
}

/* With the lock held. json is used up. */
static void put_event(struct dune_dash *dash, enum dash_event_kind kind, struct dune_buf *json)
{
    static const char *const names[] = {"scene", "note", "series", "state"};
    struct dash_event *e, *old = dash->event[kind];
    char head[64];
    int n;

    dash_one_line(json);
    n = snprintf(head, sizeof(head), "event: %s\ndata: ", names[kind]);
    e = dune_mem_alloc(sizeof(*e) + (size_t)n + json->len + 3, 1);
    atomic_init(&e->refs, 1);
    e->seq = ++dash->event_seq;
    e->len = (size_t)n + json->len + 2;
    memcpy(e->text, head, (size_t)n);
    memcpy(e->text + n, json->data, json->len);
    memcpy(e->text + (size_t)n + json->len, "\n\n", 3);
    dash->event[kind] = e;
    dash->n_events++;
    dash_event_unref(old);
    dune_buf_fini(json);
    if (dash->wake)
        dash->wake(dash->http);
}

/* --- flows ------------------------------------------------------------------------------------------------------ */

static void log_failed(struct dune_dash *dash)
{
    char text[300];

    snprintf(text, sizeof(text), "the flow log %.120s cannot be written (%s): it ends here", dash->flow_log_path,
             strerror(errno));
    fclose(dash->flow_log);
    dash->flow_log = NULL;
    dash->flow_log_failed = true;
    dune_dash_note(dash, text);
}

static void log_flows(struct dune_dash *dash, const struct dash_scene *s, const struct dash_flow *f, size_t n)
{
    struct dune_buf b = {0};

    if (!dash->flow_log)
        return;
    for (size_t i = 0; i < n; i++)
        dash_flow_line(&b, s, &f[i]);
    if (b.len && (fwrite(b.data, 1, b.len, dash->flow_log) != b.len || fflush(dash->flow_log) != 0))
        log_failed(dash);
    dune_buf_fini(&b);
}

static void take_flows(struct dune_dash *dash, struct dash_scene *s)
{
    struct dash_flow *f = dune_mem_alloc(FLOWS_AT_ONCE, sizeof(*f));
    size_t n;

    while ((n = dash_ring_take(&s->ring, f, FLOWS_AT_ONCE)) > 0) {
        pthread_mutex_lock(&dash->lock);
        for (size_t i = 0; i < n && dash->scene == s; i++)
            dash->flows.flow[dash->flows.n++ % DASH_FLOWS] = f[i];
        pthread_mutex_unlock(&dash->lock);
        log_flows(dash, s, f, n);
        if (dash->store)
            dash_store_flows(dash->store, s, f, n);
        if (n < FLOWS_AT_ONCE)
            break;
    }
    dune_mem_free(f);
}

/* --- points ------------------------------------------------------------------------------------------------------ */

static void make_point(struct dune_dash *dash, struct dash_scene *s, uint64_t now, struct dash_point *p)
{
    const struct dash_totals *t = &s->shown.t;
    struct dune_f1 f[2] = {dash_board_f1(&s->shown, DASH_FLOW_LEVEL, NULL, NULL), dash_scene_window(s)};
    double dt = (double)(now - dash->last_point_ns) / 1e9;

    memset(p, 0, sizeof(*p));
    p->t = t->seconds;
    for (uint32_t k = 0; k < s->n_classes && !p->scored; k++)
        p->scored = s->shown.sum[DASH_FLOW_LEVEL][DASH_TRUE][k] > 0;
    for (int i = 0; i < 2; i++) {
        p->f1[i][0] = f[i].weighted;
        p->f1[i][1] = f[i].micro;
        p->f1[i][2] = f[i].macro;
    }
    p->latency_ns = t->chain_p50_ns;
    p->packets = t->packets;
    p->bytes = t->bytes;
    p->flows = t->flows;
    p->claimed = t->flows_claimed;
    p->coverage = s->labels ? f[0].coverage : t->inferable ? (double)t->claimed / (double)t->inferable : 0;
    if (dt < 0.5 && dash->n_points) /* the last piece of a second says little */
        p->pps = dash->point[(dash->n_points - 1) % DASH_POINTS].pps;
    else
        p->pps = dt > 0.05 && t->packets >= dash->last_packets ? (double)(t->packets - dash->last_packets) / dt : 0;
}

/* One second of the series, and the sums that the window will subtract later. */
static void add_point(struct dune_dash *dash, struct dash_scene *s, uint64_t now)
{
    size_t row = (size_t)DASH_N_SUMS * s->n_classes;
    struct dune_buf json = {0};
    struct dash_point p;

    make_point(dash, s, now, &p);
    if (row)
        memcpy(s->past + (s->n_past % DASH_WINDOW_S) * row, s->shown.sum[0][0], row * sizeof(uint64_t));
    s->n_past++;
    dash->last_point_ns = now;
    dash->last_packets = s->shown.t.packets;
    if (dash->store)
        dash_store_point(dash->store, s->run, &p);
    pthread_mutex_lock(&dash->lock);
    if (dash->scene == s) {
        dash_point_json(&p, dash->n_points, &json);
        dash->point[dash->n_points++ % DASH_POINTS] = p;
        put_event(dash, DASH_EV_SERIES, &json);
    }
    pthread_mutex_unlock(&dash->lock);
}

/* --- one look ------------------------------------------------------------------------------------------------------ */

static void show_scene(struct dune_dash *dash, struct dash_scene *s)
{
    struct dune_buf json = {0};

    dash_scene_json(dash, s, &json);
    pthread_mutex_lock(&dash->lock);
    put_event(dash, DASH_EV_SCENE, &json);
    pthread_mutex_unlock(&dash->lock);
}

static void show_state(struct dune_dash *dash, struct dash_scene *s, uint64_t now)
{
    struct dune_buf json = {0};

    dash_state_json(dash, s, &json);
    dash->last_state_ns = now;
    pthread_mutex_lock(&dash->lock);
    if (dash->scene == s)
        put_event(dash, DASH_EV_STATE, &json);
    pthread_mutex_unlock(&dash->lock);
    dune_buf_fini(&json);
}

static void show_notes(struct dune_dash *dash)
{
    struct dune_buf json = {0};

    pthread_mutex_lock(&dash->lock);
    dash_note_json(dash, &json);
    put_event(dash, DASH_EV_NOTE, &json);
    pthread_mutex_unlock(&dash->lock);
}

static void end_scene(struct dune_dash *dash, struct dash_scene *s, uint64_t now)
{
    struct dune_f1 f = dash_board_f1(&s->shown, DASH_FLOW_LEVEL, NULL, NULL);

    add_point(dash, s, now);
    if (dash->store)
        dash_store_end(dash->store, s, &f);
    show_state(dash, s, now);
    pthread_mutex_lock(&dash->lock);
    s->ended = true;
    pthread_cond_broadcast(&dash->cond);
    pthread_mutex_unlock(&dash->lock);
}

static bool take_slot(struct dune_dash *dash, struct dash_scene *s)
{
    bool fresh;

    pthread_mutex_lock(&s->slot_lock);
    fresh = s->slot_fresh;
    s->slot_fresh = false;
    if (fresh) {
        pthread_mutex_lock(&dash->lock); /* readers of the numbers hold it */
        dash_board_copy(&s->shown, &s->slot);
        pthread_mutex_unlock(&dash->lock);
    }
    pthread_mutex_unlock(&s->slot_lock);
    return fresh;
}

static void look(struct dune_dash *dash, struct dash_scene *s, uint64_t *shown_id)
{
    uint64_t now = dune_now_ns();
    bool fresh;

    if (s->id != *shown_id) {
        *shown_id = s->id;
        dash->last_point_ns = now;
        dash->last_packets = 0;
        if (dash->store)
            s->run = dash_store_run(dash->store, s, dash->title);
        show_scene(dash, s);
    }
    if (s->ended)
        return;
    fresh = take_slot(dash, s);
    take_flows(dash, s);
    if (s->shown.t.state != DUNE_DASH_RUNNING) {
        end_scene(dash, s, now);
        return;
    }
    if (now - dash->last_point_ns >= SECOND_NS)
        add_point(dash, s, now);
    if (fresh)
        show_state(dash, s, now);
}

/* A broken connection shows only when something is sent. */
static void heartbeat(struct dune_dash *dash, struct dash_scene *s)
{
    uint64_t now = dune_now_ns();

    if (now - dash->last_state_ns < SECOND_NS)
        return;
    if (s)
        show_state(dash, s, now);
    else
        show_scene(dash, NULL);
    dash->last_state_ns = now;
}

static void wait_tick(struct dune_dash *dash)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += DASH_TICK_MS * 1000000L;
    if (t.tv_nsec >= 1000000000L) {
        t.tv_nsec -= 1000000000L;
        t.tv_sec++;
    }
    pthread_cond_timedwait(&dash->cond, &dash->lock, &t);
}

static void *ticker(void *ctx)
{
    struct dune_dash *dash = ctx;
    uint64_t shown_id = 0, notes = 0;

    pthread_mutex_lock(&dash->lock);
    while (!dash->stop) {
        struct dash_scene *s = dash_scene_ref(dash->scene);
        bool news = dash->n_notes != notes;

        notes = dash->n_notes;
        pthread_mutex_unlock(&dash->lock);
        if (s)
            look(dash, s, &shown_id);
        if (news)
            show_notes(dash);
        heartbeat(dash, s);
        dash_scene_unref(s);
        pthread_mutex_lock(&dash->lock);
        if (!dash->stop)
            wait_tick(dash);
    }
    pthread_mutex_unlock(&dash->lock);
    return NULL;
}

int dash_ticker_start(struct dune_dash *dash, struct dune_diag *d)
{
    int rc = pthread_create(&dash->ticker, NULL, ticker, dash);

    if (rc)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "no thread for the dashboard: %s", strerror(rc));
    dash->ticker_runs = true;
    return 0;
}

void dash_ticker_stop(struct dune_dash *dash)
{
    pthread_mutex_lock(&dash->lock);
    dash->stop = true;
    pthread_cond_broadcast(&dash->cond);
    pthread_mutex_unlock(&dash->lock);
    if (dash->ticker_runs)
        pthread_join(dash->ticker, NULL);
    dash->ticker_runs = false;
}
