/* SPDX-License-Identifier: Apache-2.0 */
/* The dashboard's life, and feeds: how numbers come in. */
#include "dash/dash_int.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "dash/ticker.h"

enum { TOKEN_BYTES = 24, TOKEN_MIN = 16, TOKEN_MAX = 256 };

/* --- start and stop --------------------------------------------------------------------------------------------- */

static void random_hex(char *out, size_t bytes)
{
    uint8_t raw[64];

    while (getrandom(raw, bytes, 0) != (ssize_t)bytes)
        ;
    for (size_t i = 0; i < bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", raw[i]);
}

static int take_token(struct dune_dash *dash, const char *file, struct dune_diag *d)
{
    char hex[2 * TOKEN_BYTES + 1], *text = NULL;
    size_t len;
    int rc;

    if (!file) {
        random_hex(hex, TOKEN_BYTES);
        dash->token = dune_mem_strdup(hex);
        return 0;
    }
    rc = dune_file_read(file, &text, &len, d);
    if (rc)
        return rc;
    text[strcspn(text, "\r\n")] = '\0';
    len = strlen(text);
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~')
            rc = DUNE_E_INPUT;
    if (rc || len < TOKEN_MIN || len > TOKEN_MAX)
        rc = dune_diag_set(d, DUNE_E_INPUT, file, "the first line must be a token of %d to %d printable characters "
                           "without spaces", TOKEN_MIN, TOKEN_MAX);
    if (rc == 0)
        dash->token = dune_mem_strdup(text);
    dune_mem_free(text);
    return rc;
}

static void take_cases(struct dune_dash *dash, const struct dune_dash_cfg *cfg)
{
    dash->n_cases = cfg->n_cases;
    dash->cases = DUNE_NEW_N(struct dash_case, cfg->n_cases + 1);
    for (size_t i = 0; i < cfg->n_cases; i++) {
        const struct dune_dash_case *from = &cfg->cases[i];
        struct dash_case *to = &dash->cases[i];

        to->name = dune_mem_strdup(from->name);
        to->dir = from->dir ? dune_mem_strdup(from->dir) : NULL;
        to->n_solutions = from->n_solutions;
        to->solution = DUNE_NEW_N(char *, from->n_solutions + 1);
        for (size_t k = 0; k < from->n_solutions; k++)
            to->solution[k] = dune_mem_strdup(from->solutions[k]);
    }
}

static int open_log(struct dune_dash *dash, const char *path, struct dune_diag *d)
{
    if (!path)
        return 0;
    dash->flow_log_path = dune_mem_strdup(path);
    dash->flow_log = fopen(path, "ae");
    return dash->flow_log ? 0 : dune_diag_set(d, DUNE_E_IO, path, "%s", strerror(errno));
}

int dune_dash_start(struct dune_dash **out, const struct dune_dash_cfg *cfg, struct dune_diag *d)
{
    struct dune_dash *dash = DUNE_NEW(struct dune_dash);
    int rc;

    pthread_mutex_init(&dash->lock, NULL);
    pthread_mutex_init(&dash->control_lock, NULL);
    pthread_cond_init(&dash->cond, NULL);
    dash->title = dune_mem_strdup(cfg->title ? cfg->title : "dunectl");
    dash->has_control = cfg->control != NULL;
    if (cfg->control)
        dash->control = *cfg->control;
    dash->max_readers = cfg->max_readers ? cfg->max_readers : 1024;
    dash->idle_s = cfg->idle_s ? cfg->idle_s : 20;
    dash->start_ns = dune_now_ns();
    dash->point = DUNE_NEW_N(struct dash_point, DASH_POINTS);
    dash->flows.flow = DUNE_NEW_N(struct dash_flow, DASH_FLOWS);
    random_hex(dash->boot, 8);
    take_cases(dash, cfg);
    rc = take_token(dash, cfg->token_file, d);
    if (rc == 0)
        rc = open_log(dash, cfg->flow_log, d);
    if (rc == 0 && cfg->history)
        rc = dash_store_open(&dash->store, cfg->history, cfg->history_runs ? cfg->history_runs : 100,
                             cfg->history_digests ? cfg->history_digests : 100000, d);
    if (rc == 0)
        rc = dash_http_start(dash, cfg->listen ? cfg->listen : "127.0.0.1:8321", d);
    if (rc == 0)
        rc = dash_ticker_start(dash, d);
    if (rc)
        dune_dash_stop(dash);
    else
        *out = dash;
    return rc;
}

static void free_cases(struct dune_dash *dash)
{
    for (size_t i = 0; i < dash->n_cases; i++) {
        for (size_t k = 0; k < dash->cases[i].n_solutions; k++)
            dune_mem_free(dash->cases[i].solution[k]);
        dune_mem_free(dash->cases[i].solution);
        dune_mem_free(dash->cases[i].name);
        dune_mem_free(dash->cases[i].dir);
    }
    dune_mem_free(dash->cases);
}

void dune_dash_stop(struct dune_dash *dash)
{
    if (!dash)
        return;
    dash_ticker_stop(dash);
    dash_http_stop(dash);
    dash_store_close(dash->store);
    if (dash->flow_log)
        fclose(dash->flow_log);
    for (int k = 0; k < DASH_N_EVENTS; k++)
        dash_event_unref(dash->event[k]);
    dash_scene_unref(dash->scene);
    free_cases(dash);
    dune_mem_free(dash->flow_log_path);
    dune_mem_free(dash->point);
    dune_mem_free(dash->flows.flow);
    dune_mem_free(dash->title);
    dune_mem_free(dash->url);
    dune_mem_free(dash->token);
    pthread_mutex_destroy(&dash->lock);
    pthread_mutex_destroy(&dash->control_lock);
    pthread_cond_destroy(&dash->cond);
    dune_mem_free(dash);
}

const char *dune_dash_url(const struct dune_dash *dash)
{
    return dash->url;
}

const char *dune_dash_token(const struct dune_dash *dash)
{
    return dash->token;
}

void dune_dash_note(struct dune_dash *dash, const char *text)
{
    struct timespec now;
    struct dash_note *n;

    clock_gettime(CLOCK_REALTIME, &now);
    pthread_mutex_lock(&dash->lock);
    n = &dash->note[dash->n_notes++ % DASH_NOTES];
    n->at_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    snprintf(n->text, sizeof(n->text), "%s", text);
    pthread_mutex_unlock(&dash->lock);
}

/* --- feeds ---------------------------------------------------------------------------------------------------------- */

struct dune_dash_feed *dune_dash_feed_open(struct dune_dash *dash, const struct dune_dash_scene *scene)
{
    struct dune_dash_feed *f = DUNE_NEW(struct dune_dash_feed);
    struct dash_scene *s = dash_scene_new(scene), *old;

    f->dash = dash;
    f->scene = dash_scene_ref(s);
    dash_board_init(&f->board, s->n_devices, s->n_classes);
    f->start_ns = dune_now_ns();
    f->board.t.state = DUNE_DASH_RUNNING;
    f->board.t.capture = DASH_NONE;
    for (uint32_t i = 0; i < s->n_devices && strcmp(s->source, "replay") != 0; i++)
        s->shown.dev[i].state = f->board.dev[i].state = DASH_SILENT; /* until it reports */
    s->slot.t = s->shown.t = f->board.t; /* the ticker may look before the first numbers come */
    pthread_mutex_lock(&dash->lock);
    s->id = ++dash->n_scenes;
    old = dash->scene;
    dash->scene = s;
    dash->n_points = 0;
    dash->flows.n = 0;
    pthread_cond_broadcast(&dash->cond);
    pthread_mutex_unlock(&dash->lock);
    dash_scene_unref(old);
    dash_feed_publish(f, true);
    return f;
}

bool dash_feed_due(const struct dune_dash_feed *f)
{
    return dune_now_ns() - f->published_ns >= DASH_TICK_MS * UINT64_C(1000000);
}

void dash_feed_publish(struct dune_dash_feed *f, bool now)
{
    uint64_t t = dune_now_ns();

    if (!now && !dash_feed_due(f))
        return;
    if (now)
        pthread_mutex_lock(&f->scene->slot_lock);
    else if (pthread_mutex_trylock(&f->scene->slot_lock) != 0)
        return; /* a reader copies just now: next time */
    f->published_ns = t;
    f->board.t.seconds = (double)(t - f->start_ns) / 1e9;
    f->board.t.flows_dropped = f->scene->ring.dropped;
    dash_board_copy(&f->scene->slot, &f->board);
    f->scene->slot_fresh = true;
    pthread_mutex_unlock(&f->scene->slot_lock);
}

/* The verdict of a flow, once per flow. */
/* Whose answer it is: under the rule `best` the last device makes most verdicts final, whoever claimed. */
static uint16_t claimed_by(const struct dash_scene *s, const struct dash_flow *flow, uint32_t plan_class)
{
    for (uint32_t i = 0; plan_class && s->plan && i < s->plan->n_submodels; i++)
        if (s->plan->sub[i].id == flow->submodel)
            return (uint16_t)s->plan->sub[i].device;
    return flow->device;
}

void dash_feed_flow(struct dune_dash_feed *f, const struct dash_flow *flow, uint32_t plan_class)
{
    uint16_t device = claimed_by(f->scene, flow, plan_class);
    struct dash_board *b = &f->board;
    struct dash_flow copy = *flow;

    copy.seq = b->t.flows++;
    b->t.flows_claimed += flow->cls < b->n_classes;
    b->by_class[DUNE_MIN(flow->cls, b->n_classes)]++;
    if (device < b->n_devices) {
        b->dev[device].flows++;
        b->claims[(size_t)device * 256 + plan_class % 256]++;
    }
    dash_ring_put(&f->scene->ring, &copy);
}

void dune_dash_feed_close(struct dune_dash_feed *f, enum dune_dash_run_state state, const char *text)
{
    struct dune_dash *dash;
    struct timespec until;

    if (!f)
        return;
    dash = f->dash;
    f->board.t.state = state;
    dash_feed_publish(f, true);
    pthread_mutex_lock(&f->scene->slot_lock);
    snprintf(f->scene->end_text, sizeof(f->scene->end_text), "%s", text ? text : "");
    pthread_mutex_unlock(&f->scene->slot_lock);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 2;
    pthread_mutex_lock(&dash->lock); /* the next scene must not take the ticker's last look away */
    pthread_cond_broadcast(&dash->cond);
    while (dash->scene == f->scene && !f->scene->ended && !dash->stop)
        if (pthread_cond_timedwait(&dash->cond, &dash->lock, &until))
            break;
    pthread_mutex_unlock(&dash->lock);
    if (f->watch_free)
        f->watch_free(f->watch);
    dash_board_fini(&f->board);
    dash_scene_unref(f->scene);
    dune_mem_free(f);
}
