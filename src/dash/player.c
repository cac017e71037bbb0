/* SPDX-License-Identifier: Apache-2.0 */
/* Replays of run directories at the press of a button, one at a time, at a given pace. */
#include "dash/dash_int.h"

#include <string.h>
#include <time.h>

#include "dune/experiment.h"

#define SLICE_NS UINT64_C(50000000)  /* of a wait, between questions whether to stop */
#define GAP_NS UINT64_C(2000000000)  /* longer silence in a capture is cut to this */

struct use_case {
    char *name, *dir;
    struct dune_run_source *src;
};

struct dune_dash_player {
    struct use_case *cases;
    size_t n;
    struct dune_dash_case *offer;
    struct dune_dash_control control;
    const char *engine;
    struct dune_dash *dash;
    /* the replay under way */
    pthread_mutex_t lock;
    pthread_t thread;
    bool started; /* a thread is there to be joined */
    bool closed;  /* nothing starts any more */
    _Atomic bool stop, running;
    const struct use_case *at;
    char solution[64], pace[32];
    double times, pps; /* 0: not by this */
    /* its pace: the thread's */
    dune_replay_fn look;
    void *look_ctx;
    const char *capture;
    uint64_t begin_ns, first_ts, last_ts, cut_ns, packets;
};

/* --- use cases ------------------------------------------------------------------------------------------------------ */

/* The name of the experiment, with the directory when two have the same. */
static char *case_name(const struct dune_dash_player *p, const struct dune_run_source *src, const char *dir)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->cases[i].name, src->name) == 0)
            return dune_mem_printf("%.60s (%.60s)", src->name, dir);
    return dune_mem_printf("%.120s", src->name);
}

static int add_case(struct dune_dash_player *p, const char *dir, struct dune_diag *d)
{
    struct use_case *c = &p->cases[p->n];
    char *below = dune_mem_printf("%s/run", dir), *file = dune_mem_printf("%s/inputs.json", below);
    int rc;

    if (dune_path_exists(file)) /* what demo makes */
        dir = below;
    rc = dune_run_source_read(&c->src, dir, d);
    if (rc == 0) {
        c->name = case_name(p, c->src, dir);
        c->dir = dune_mem_strdup(dir);
        p->offer[p->n] = (struct dune_dash_case){c->name, c->dir, (const char *const *)c->src->solutions.data,
                                                 c->src->solutions.len};
        p->n++;
    }
    dune_mem_free(file);
    dune_mem_free(below);
    return rc;
}

int dune_dash_player_new(struct dune_dash_player **out, const char *const *dirs, size_t n, const char *engine,
                         struct dune_diag *d)
{
    struct dune_dash_player *p = DUNE_NEW(struct dune_dash_player);
    int rc = 0;

    pthread_mutex_init(&p->lock, NULL);
    p->engine = engine;
    p->cases = DUNE_NEW_N(struct use_case, n + 1);
    p->offer = DUNE_NEW_N(struct dune_dash_case, n + 1);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = add_case(p, dirs[i], d);
    if (rc)
        dune_dash_player_free(p);
    else
        *out = p;
    return rc;
}

/* --- pace ----------------------------------------------------------------------------------------------------------- */

static bool parse_pace(struct dune_dash_player *p, const char *text)
{
    double v = 0;

    p->times = p->pps = 0;
    snprintf(p->pace, sizeof(p->pace), "%s", *text ? text : "max");
    if (!*text || strcmp(text, "max") == 0)
        return true;
    if (text[0] == 'x' && dune_parse_double(text + 1, &v) && v >= 0.001 && v <= 1e6)
        p->times = v;
    else if (dune_parse_double(text, &v) && v >= 0.1 && v <= 1e9)
        p->pps = v;
    return p->times > 0 || p->pps > 0;
}

static void wait_until(struct dune_dash_player *p, uint64_t ns)
{
    for (uint64_t now = dune_now_ns(); now < ns && !atomic_load(&p->stop) && !dune_interrupted(); now = dune_now_ns()) {
        uint64_t some = DUNE_MIN(ns - now, SLICE_NS);
        struct timespec t = {0, (long)some};

        nanosleep(&t, NULL);
    }
}

/* When this packet is due, counted from the begin of its capture. */
static uint64_t due(struct dune_dash_player *p, const struct dune_replay_packet *pkt)
{
    uint64_t gap, since;

    if (pkt->capture != p->capture) {
        p->capture = pkt->capture;
        p->begin_ns = dune_now_ns();
        p->first_ts = p->last_ts = pkt->ts_ns;
        p->cut_ns = p->packets = 0;
    }
    p->packets++;
    if (p->pps > 0)
        return p->begin_ns + (uint64_t)((double)p->packets * 1e9 / p->pps);
    gap = pkt->ts_ns > p->last_ts ? (uint64_t)((double)(pkt->ts_ns - p->last_ts) / p->times) : 0;
    p->cut_ns += gap > GAP_NS ? gap - GAP_NS : 0;
    p->last_ts = DUNE_MAX(p->last_ts, pkt->ts_ns);
    since = (uint64_t)((double)(p->last_ts - p->first_ts) / p->times);
    return p->begin_ns + since - DUNE_MIN(since, p->cut_ns);
}

static void paced_look(void *ctx, const struct dune_replay_packet *pkt)
{
    struct dune_dash_player *p = ctx;

    if (p->pps > 0 || p->times > 0)
        wait_until(p, due(p, pkt));
    p->look(p->look_ctx, pkt);
}

static bool asked_to_stop(void *ctx)
{
    return atomic_load(&((struct dune_dash_player *)ctx)->stop);
}

/* --- a replay ---------------------------------------------------------------------------------------------------------- */

struct inputs {
    struct dune_plan *plan;
    struct dune_labels *labels;
    struct dune_captures *captures;
};

static int open_inputs(const struct dune_dash_player *p, struct inputs *in, struct dune_diag *d)
{
    const struct dune_run_source *src = p->at->src;
    struct dune_labels_opts lo = {.gateway_mac = src->gateway, .field = src->label_field};
    struct dune_ndpi_report report;
    char *path = dune_mem_printf("%s/plans/%s.json", p->at->dir, p->solution);
    int rc = dune_plan_read(&in->plan, path, d);

    dune_mem_free(path);
    if (rc == 0 && src->captures)
        rc = dune_captures_read(&in->captures, src->captures, d);
    if (rc == 0 && src->labels)
        rc = dune_labels_open(&in->labels, src->labels, &lo, (const char *const *)src->test.data, src->test.len, in->captures,
                              &report, d);
    return rc;
}

static int replay(struct dune_dash_player *p, const struct inputs *in, struct dune_diag *d)
{
    const struct dune_run_source *src = p->at->src;
    const char *const *test = (const char *const *)src->test.data;
    struct dune_dash_scene scene = {.use_case = p->at->name, .solution = p->solution, .source = "replay", .plan = in->plan,
                                    .labels = in->labels, .captures = in->captures, .pcaps = test,
                                    .n_pcaps = src->test.len, .pace = p->pace};
    struct dune_dash_feed *feed = dune_dash_feed_open(p->dash, &scene);
    struct dune_replay_opts o = {.engine = p->engine, .labels = in->labels, .captures = in->captures, .no_scores = true,
                                 .stop = asked_to_stop, .stop_ctx = p};
    const char **known = dune_mem_alloc(in->plan->n_classes, sizeof(*known));
    struct dune_replay *result = NULL;
    char text[1400] = "";
    int rc;

    /* What nDPI says too rarely was no class when the plan was made, and is none here. */
    for (uint32_t i = 0; i < in->plan->n_classes; i++)
        known[i] = in->plan->cls[i].name;
    if (src->labels && dune_labels_are_ndpi(src->labels)) {
        o.classes = known;
        o.n_classes = in->plan->n_classes;
    }

    dune_dash_watch_replay(feed, &o);
    p->look = o.look;
    p->look_ctx = o.look_ctx;
    o.look = paced_look;
    o.look_ctx = p;
    p->capture = NULL;
    rc = dune_replay_run(&result, in->plan, test, src->test.len, &o, d);
    dune_replay_free(result);
    dune_mem_free(known);
    if (rc && rc != DUNE_E_INTERRUPTED)
        dune_diag_format(d, text, sizeof(text));
    dune_dash_feed_close(feed, rc == 0 ? DUNE_DASH_FINISHED : rc == DUNE_E_INTERRUPTED ? DUNE_DASH_STOPPED : DUNE_DASH_FAILED,
                         text);
    return rc;
}

static void *play(void *ctx)
{
    struct dune_dash_player *p = ctx;
    struct inputs in = {0};
    struct dune_diag d = {0};
    char text[1600], why[1400];
    int rc = open_inputs(p, &in, &d);

    if (rc == 0)
        rc = replay(p, &in, &d);
    if (rc == 0)
        snprintf(text, sizeof(text), "%s: the replay has ended", p->solution);
    else if (rc == DUNE_E_INTERRUPTED)
        snprintf(text, sizeof(text), "%s: the replay was stopped", p->solution);
    else {
        dune_diag_format(&d, why, sizeof(why));
        snprintf(text, sizeof(text), "%s: %s", p->solution, why);
    }
    dune_dash_note(p->dash, text);
    dune_plan_free(in.plan);
    dune_labels_free(in.labels);
    dune_captures_free(in.captures);
    atomic_store(&p->running, false);
    return NULL;
}

/* --- buttons -------------------------------------------------------------------------------------------------------------- */

static void join(struct dune_dash_player *p)
{
    if (p->started)
        pthread_join(p->thread, NULL);
    p->started = false;
}

static int choose(struct dune_dash_player *p, const char *use_case, const char *solution, struct dune_diag *d)
{
    p->at = NULL;
    for (size_t i = 0; i < p->n && !p->at; i++)
        if (!*use_case || strcmp(p->cases[i].name, use_case) == 0)
            p->at = &p->cases[i];
    if (!p->at)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "there is no use case \"%.100s\"", use_case);
    for (size_t i = 0; i < p->at->src->solutions.len; i++)
        if (strcmp(p->at->src->solutions.data[i], solution) == 0) {
            snprintf(p->solution, sizeof(p->solution), "%s", solution);
            return 0;
        }
    return dune_diag_set(d, DUNE_E_USAGE, NULL, "%.60s has no solution \"%.60s\"", p->at->name, solution);
}

static int start(void *ctx, const char *use_case, const char *solution, const char *pace, struct dune_diag *d)
{
    struct dune_dash_player *p = ctx;
    int rc = 0;

    pthread_mutex_lock(&p->lock);
    if (atomic_load(&p->running)) /* the one that runs makes room */
        atomic_store(&p->stop, true);
    join(p);
    atomic_store(&p->stop, false);
    if (p->closed)
        rc = dune_diag_set(d, DUNE_E_ENV, NULL, "the dashboard is about to end");
    if (rc == 0)
        rc = choose(p, use_case, solution, d);
    if (rc == 0 && !parse_pace(p, pace))
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "the pace is max, xTIMES like x10, or packets per second like 1000, not "
                           "\"%.30s\"", pace);
    if (rc == 0) {
        atomic_store(&p->running, true);
        p->started = pthread_create(&p->thread, NULL, play, p) == 0;
        if (!p->started) {
            atomic_store(&p->running, false);
            rc = dune_diag_set(d, DUNE_E_ENV, NULL, "no thread for the replay");
        }
    }
    pthread_mutex_unlock(&p->lock);
    return rc;
}

static int stop(void *ctx, struct dune_diag *d)
{
    struct dune_dash_player *p = ctx;
    int rc = 0;

    pthread_mutex_lock(&p->lock);
    if (!atomic_load(&p->running))
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "no replay is running");
    atomic_store(&p->stop, true);
    join(p);
    pthread_mutex_unlock(&p->lock);
    return rc;
}

void dune_dash_player_offer(struct dune_dash_player *p, struct dune_dash_cfg *cfg)
{
    p->control = (struct dune_dash_control){start, stop, p};
    cfg->control = &p->control;
    cfg->cases = p->offer;
    cfg->n_cases = p->n;
}

void dune_dash_player_attach(struct dune_dash_player *p, struct dune_dash *dash)
{
    p->dash = dash;
}

int dune_dash_player_start(struct dune_dash_player *p, const char *use_case, const char *solution, const char *pace,
                           struct dune_diag *d)
{
    return start(p, use_case ? use_case : "", solution, pace ? pace : "", d);
}

int dune_dash_player_halt(struct dune_dash_player *p, struct dune_diag *d)
{
    return stop(p, d);
}

void dune_dash_player_stop(struct dune_dash_player *p)
{
    struct dune_diag ignored = {0};

    pthread_mutex_lock(&p->lock);
    p->closed = true;
    pthread_mutex_unlock(&p->lock);
    if (stop(p, &ignored))
        return; /* there was none */
}

void dune_dash_player_free(struct dune_dash_player *p)
{
    if (!p)
        return;
    dune_dash_player_stop(p);
    for (size_t i = 0; i < p->n; i++) {
        dune_mem_free(p->cases[i].name);
        dune_mem_free(p->cases[i].dir);
        dune_run_source_free(p->cases[i].src);
    }
    dune_mem_free(p->cases);
    dune_mem_free(p->offer);
    pthread_mutex_destroy(&p->lock);
    dune_mem_free(p);
}
