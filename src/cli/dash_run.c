/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/dash_run.h"

#include <pthread.h>

struct cli_dash_run {
    struct cli_ctx *ctx;
    const char *dir, *use_case, *engine;
    struct dune_dash *dash;
    struct dune_dash_feed *feed;
    pthread_mutex_t lock;            /* of player */
    struct dune_dash_player *player; /* once the run has ended */
};

static int start(void *ctx, const char *use_case, const char *solution, const char *pace, struct dune_diag *d)
{
    struct cli_dash_run *r = ctx;
    int rc;

    pthread_mutex_lock(&r->lock);
    rc = r->player ? dune_dash_player_start(r->player, use_case, solution, pace, d)
                   : dune_diag_set(d, DUNE_E_USAGE, NULL, "the run is still under way: replays can be started when it has ended");
    pthread_mutex_unlock(&r->lock);
    return rc;
}

static int stop(void *ctx, struct dune_diag *d)
{
    struct cli_dash_run *r = ctx;
    int rc;

    pthread_mutex_lock(&r->lock);
    rc = r->player ? dune_dash_player_halt(r->player, d)
                   : dune_diag_set(d, DUNE_E_USAGE, NULL, "the run is still under way: press Ctrl-C where it was started");
    pthread_mutex_unlock(&r->lock);
    return rc;
}

static void end_feed(struct cli_dash_run *r, enum dune_dash_run_state state)
{
    dune_dash_feed_close(r->feed, state, NULL);
    r->feed = NULL;
}

static void before_replay(void *ctx, const struct dune_plan *p, const char *solution, const char *const *test, size_t n_test,
                          struct dune_replay_opts *o)
{
    struct cli_dash_run *r = ctx;
    struct dune_dash_scene scene = {.use_case = r->use_case, .solution = solution, .source = "replay", .plan = p,
                                    .labels = o->labels, .captures = o->captures, .pcaps = test, .n_pcaps = n_test,
                                    .pace = "max"};

    end_feed(r, DUNE_DASH_FINISHED);
    r->feed = dune_dash_feed_open(r->dash, &scene);
    dune_dash_watch_replay(r->feed, o);
}

static void note(void *ctx, const char *text)
{
    struct cli_dash_run *r = ctx;

    cli_note_text(r->ctx, text);
    dune_dash_note(r->dash, text);
}

int cli_dash_run_open(struct cli_dash_run **out, struct cli_ctx *ctx, const struct cli_dash_config *cfg,
                      const struct dune_experiment *e, const char *dir, struct dune_run_opts *o, struct dune_diag *d)
{
    struct cli_dash_run *r;
    struct dune_dash_control control;
    struct dune_dash_case use_case = {e->name, dir, (const char *const *)e->solutions.data, e->solutions.len};
    struct dune_dash_cfg dc = {.title = "dunectl run", .control = &control, .cases = &use_case, .n_cases = 1};
    int rc;

    *out = NULL;
    if (!cfg->on)
        return 0;
    r = DUNE_NEW(struct cli_dash_run);
    r->ctx = ctx;
    r->dir = dir;
    r->use_case = e->name;
    r->engine = o->engine;
    pthread_mutex_init(&r->lock, NULL);
    control = (struct dune_dash_control){start, stop, r};
    rc = cli_dash_open(ctx, cfg, &dc, &r->dash, d);
    if (rc) {
        pthread_mutex_destroy(&r->lock);
        dune_mem_free(r);
        return rc;
    }
    o->note = note;
    o->note_ctx = r;
    o->before_replay = before_replay;
    o->before_replay_ctx = r;
    *out = r;
    return 0;
}

static void offer_replays(struct cli_dash_run *r)
{
    struct dune_dash_player *p = NULL;
    struct dune_diag d = {0};

    if (dune_dash_player_new(&p, &r->dir, 1, r->engine, &d)) {
        dune_dash_note(r->dash, d.msg);
        return;
    }
    dune_dash_player_attach(p, r->dash);
    pthread_mutex_lock(&r->lock);
    r->player = p;
    pthread_mutex_unlock(&r->lock);
}

void cli_dash_run_close(struct cli_dash_run *r, int rc)
{
    if (!r)
        return;
    end_feed(r, rc == 0 ? DUNE_DASH_FINISHED : rc == DUNE_E_INTERRUPTED ? DUNE_DASH_STOPPED : DUNE_DASH_FAILED);
    if (rc == 0) {
        dune_progress_set_quiet(true);
        dune_dash_note(r->dash, "the run has ended");
        offer_replays(r);
        cli_dash_stay(r->ctx, r->dash);
    }
    if (r->player)
        dune_dash_player_stop(r->player);
    dune_dash_stop(r->dash);
    dune_dash_player_free(r->player);
    pthread_mutex_destroy(&r->lock);
    dune_mem_free(r);
}
