/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dashboard: what a chain does, live, over HTTP (docs/dashboard.md).
 *
 *   producer: replay, testbed or controller          dash                          readers
 *   board (its own counters) --copy, 10/s at most--> slot --> state, series --> events, pages, /metrics
 *   flows ------------------ring that may drop-----> table, history, log
 *
 * The producer never waits: a slot that is taken just now is filled the next time, a full ring drops and
 * counts. Readers see finished texts only. One producer at a time; functions of a feed belong to its thread.
 */
#ifndef DUNE_DASH_H
#define DUNE_DASH_H

#include "dune/controller.h"
#include "dune/live.h"
#include "dune/replay.h"

struct dune_dash;      /* opaque */
struct dune_dash_feed; /* opaque: one scene's counters, of one producer */

enum dune_dash_run_state { DUNE_DASH_IDLE, DUNE_DASH_RUNNING, DUNE_DASH_FINISHED, DUNE_DASH_STOPPED, DUNE_DASH_FAILED };

/* --- the server --------------------------------------------------------------------------------------- */
/* What the buttons do; called in a thread of the dashboard, one call at a time. Errors go to who pressed. */
struct dune_dash_control {
    /* pace: "max", "x2.5" (times the captured speed) or "1000" (packets per second). */
    int (*start)(void *ctx, const char *use_case, const char *solution, const char *pace, struct dune_diag *d);
    int (*stop)(void *ctx, struct dune_diag *d);
    void *ctx;
};
struct dune_dash_case { /* a use case to choose: a run directory */
    const char *name, *dir;
    const char *const *solutions;
    size_t n_solutions;
};
struct dune_dash_cfg { /* zero: the default */
    const char *title;
    const char *listen;     /* HOST:PORT, :PORT or PORT; NULL: 127.0.0.1:8321; port 0: any that is free */
    const char *token_file; /* the token is in its first line; NULL: drawn */
    const char *history;    /* SQLite file; NULL: none */
    const char *flow_log;   /* JSON lines, one per flow; NULL: none */
    uint32_t history_runs;    /* kept; 0: 100 */
    uint32_t history_digests; /* kept per run; 0: 100000 */
    uint32_t max_readers;   /* of events; 0: 1024 */
    uint32_t idle_s;        /* a reader that takes nothing for so long is dropped; 0: 20 */
    const struct dune_dash_control *control; /* copied; NULL: looks on only */
    const struct dune_dash_case *cases;      /* copied */
    size_t n_cases;
};
/* DUNE_E_ENV: the build has no libmicrohttpd, the address is taken. Starts its threads. */
int dune_dash_start(struct dune_dash **out, const struct dune_dash_cfg *cfg, struct dune_diag *d) DUNE_MUST_USE;
/* Feeds must be closed before. NULL is fine. */
void dune_dash_stop(struct dune_dash *dash);
const char *dune_dash_url(const struct dune_dash *dash);   /* http://127.0.0.1:8321/ */
const char *dune_dash_token(const struct dune_dash *dash);
void dune_dash_note(struct dune_dash *dash, const char *text); /* a line for people; any thread */
const char *dune_dash_http_library(void);    /* version; NULL: not in this build */
const char *dune_dash_history_library(void);

/* --- scenes --------------------------------------------------------------------------------------------- */
enum { DUNE_DASH_SINK = UINT16_MAX };
struct dune_dash_place { /* a device where it stands */
    const char *name;
    uint16_t position; /* of the plan's chain, from 0 */
    uint16_t next;     /* device that it sends to; DUNE_DASH_SINK: none */
};
struct dune_dash_scene { /* everything is copied */
    const char *use_case, *solution; /* may be NULL */
    const char *source;              /* "replay", "testbed", "controller" */
    const struct dune_plan *plan;    /* may be NULL: devices without sub-models */
    const struct dune_dash_place *device; /* NULL: the plan's, in a row */
    uint32_t n_devices;
    const struct dune_labels *labels;     /* borrowed while the feed is open; NULL: no truth */
    const char *const *pcaps;        /* where the packets can be read again (flow view); may be NULL */
    size_t n_pcaps;
    const struct dune_captures *captures; /* borrowed while the feed is open; may be NULL */
    const char *pace;                /* to be shown */
};
/* The scene that is shown from now on. The last state of the one before stays in the history. */
struct dune_dash_feed *dune_dash_feed_open(struct dune_dash *dash, const struct dune_dash_scene *scene);
/* The end of it: its last numbers, and how it ended. text may be NULL. */
void dune_dash_feed_close(struct dune_dash_feed *f, enum dune_dash_run_state state, const char *text);

/* A replay as seen by its looker: fills look, chain.trace and their contexts of o. */
void dune_dash_watch_replay(struct dune_dash_feed *f, struct dune_replay_opts *o);
/* A testbed run as seen by dune_testbed_run_cfg.look; ctx: the feed. */
void dune_dash_watch_testbed(void *feed, const struct dune_testbed_look *look);
void dune_dash_watch_testbed_digest(void *feed, const struct dune_digest *dg, const char *cls);
/* A controller, between its steps. The scene follows what the controller knows. */
struct dune_dash_watcher; /* opaque */
struct dune_dash_watcher *dune_dash_watch_controller(struct dune_dash *dash, struct dune_controller *c);
void dune_dash_watcher_step(struct dune_dash_watcher *w, uint64_t now_ns);
void dune_dash_watcher_free(struct dune_dash_watcher *w);

/* --- replays at the press of a button --------------------------------------------------------------------- */
struct dune_dash_player; /* opaque */
/* Run directories (dunectl run) as use cases. engine NULL: reference. */
int dune_dash_player_new(struct dune_dash_player **out, const char *const *dirs, size_t n, const char *engine,
                         struct dune_diag *d) DUNE_MUST_USE;
/* Fills cases and control of a configuration; the player lends them. */
void dune_dash_player_offer(struct dune_dash_player *p, struct dune_dash_cfg *cfg);
void dune_dash_player_attach(struct dune_dash_player *p, struct dune_dash *dash);
/* As the button does. */
int dune_dash_player_start(struct dune_dash_player *p, const char *use_case, const char *solution, const char *pace,
                           struct dune_diag *d) DUNE_MUST_USE;
int dune_dash_player_halt(struct dune_dash_player *p, struct dune_diag *d) DUNE_MUST_USE;
void dune_dash_player_stop(struct dune_dash_player *p); /* before the dashboard stops */
void dune_dash_player_free(struct dune_dash_player *p);

#endif
