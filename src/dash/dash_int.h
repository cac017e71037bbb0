/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the dashboard share. */
#ifndef DUNE_DASH_DASH_INT_H
#define DUNE_DASH_DASH_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/base.h"
#include "dune/dash.h"

enum {
    DASH_WINDOW_S = 10,        /* of the F1 over the last window */
    DASH_POINTS = 3600,        /* seconds of series that are kept */
    DASH_FLOWS = 1 << 16,      /* flows that can be searched */
    DASH_RING = 1 << 14,       /* flows between two looks of the ticker */
    DASH_NOTES = 50,
    DASH_TICK_MS = 100,
    DASH_TOP = 64,             /* classes in a state; the rest is added up */
    DASH_TOP_CLAIMS = 12,      /* classes of a device in a state */
    DASH_BODY_MAX = 65536,     /* bytes of a request */
    DASH_URL_MAX = 2048
};
#define DASH_NONE UINT32_MAX /* no class, no capture */

/* --- dash_board.c: counters of a scene ------------------------------------------------------------------- */
struct dash_dev {
    uint64_t in, out, inferred, passed, rule_hit, claims, collisions, digests, digests_dropped, lost;
    uint64_t flows;            /* whose verdict was made here */
    uint64_t slots_used, slots;
    uint64_t hop_p50_ns, hop_p90_ns, hop_p99_ns;
    uint64_t state;            /* enum dash_health */
};
enum dash_health { DASH_OK, DASH_SILENT, DASH_LOST, DASH_BARE };
struct dash_totals {
    double seconds;
    uint64_t packets, packets_expected, bytes, inferable, claimed, tentative, unclaimed, settled, rule_hits, collided,
        dropped, lost, pl, fl; /* pl, fl: inferable packets whose verdict is of that phase */
    uint64_t flows, flows_claimed, digests, flows_dropped; /* dropped: did not fit the ring */
    uint64_t chain_p50_ns, chain_p90_ns, chain_p99_ns;
    uint64_t state;            /* enum dune_dash_run_state */
    uint32_t capture;          /* number of the capture under way in the scene's list */
    uint64_t controller_lost;  /* devices */
};
enum dash_level { DASH_FLOW_LEVEL, DASH_PACKET_LEVEL, DASH_N_LEVELS };
enum dash_sum { DASH_TP, DASH_TRUE, DASH_PREDICTED, DASH_N_SUMS };
struct dash_board {
    struct dash_totals t;
    uint32_t n_devices, n_classes;
    size_t words;
    uint64_t *block;           /* everything below */
    struct dash_dev *dev;      /* [n_devices] */
    uint64_t *by_class;        /* [n_classes + 1] flows; the last: unclaimed */
    uint64_t *claims;          /* [n_devices][256] flows by plan class id; 0: unclaimed */
    uint64_t *sum[DASH_N_LEVELS][DASH_N_SUMS]; /* [n_classes] weights, for F1 */
};
void dash_board_init(struct dash_board *b, uint32_t n_devices, uint32_t n_classes);
void dash_board_fini(struct dash_board *b);
void dash_board_copy(struct dash_board *to, const struct dash_board *from); /* of the same size */
void dash_board_vote(struct dash_board *b, enum dash_level level, uint32_t truth, uint32_t pred, uint64_t w);
/* Scores of the sums of a level since `before` (its sums, one after the other; NULL: from the start); per_class
 * may be NULL: F1 of class k, negative where it is not in the truth. Equal to dune_f1_score of the same votes. */
struct dune_f1 dash_board_f1(const struct dash_board *b, enum dash_level level, const uint64_t *before, double *per_class);

struct dash_hist {
    uint64_t n, bin[256];
};
void dash_hist_add(struct dash_hist *h, uint64_t ns);
uint64_t dash_hist_quantile(const struct dash_hist *h, double q);

/* --- dash_flows.c ------------------------------------------------------------------------------------------ */
struct dash_flow {
    struct dune_flow_key key;
    uint64_t tick, seq;        /* seq: running number in the scene */
    uint32_t cls, truth;       /* of the scene's classes; DASH_NONE */
    uint32_t packets;          /* of the flow so far; 0: not known */
    uint32_t capture;          /* of the scene's list; DASH_NONE */
    uint16_t device;           /* UINT16_MAX: nowhere */
    uint8_t conf, submodel, flags;
    bool settled;
};
/* From the producer to the ticker; neither waits. */
struct dash_ring {
    struct dash_flow *slot;    /* [DASH_RING] */
    _Atomic uint64_t head, tail;
    uint64_t dropped;          /* producer */
};
void dash_ring_init(struct dash_ring *r);
void dash_ring_fini(struct dash_ring *r);
void dash_ring_put(struct dash_ring *r, const struct dash_flow *f);
size_t dash_ring_take(struct dash_ring *r, struct dash_flow *out, size_t max);
struct dash_flow_table {       /* the latest flows */
    struct dash_flow *flow;    /* [DASH_FLOWS] */
    uint64_t n;                /* ever put */
};
/* "tcp 10.0.0.1:80 10.0.0.2:4000", "udp [fd00::1]:53 [fd00::2]:9000" */
enum { DASH_KEY_TEXT = 128 };
void dash_key_text(const struct dune_flow_key *k, char out[DASH_KEY_TEXT]);
bool dash_key_parse(struct dune_flow_key *k, const char *text);
struct dash_scene;
/* Flows whose text has every word of the query, newest first. */
void dash_flows_json(struct dash_flow *flow, size_t n, const struct dash_scene *s, const char *query,
                     uint32_t limit, struct dune_buf *out);
void dash_flow_line(struct dune_buf *out, const struct dash_scene *s, const struct dash_flow *f); /* of the log */

/* --- scenes ------------------------------------------------------------------------------------------------- */
struct dash_scene {
    _Atomic int refs;
    uint64_t id;
    char *use_case, *solution, *source, *pace;
    struct dune_plan *plan;
    uint32_t n_devices;
    struct dash_place {
        char *name;
        uint16_t position, next;
    } *device;
    uint32_t n_classes;        /* of labels and plan, sorted bytewise */
    char **class_name;
    uint32_t of_plan[256];     /* plan class id -> class; DASH_NONE */
    uint32_t *of_label;
    const struct dune_labels *labels;     /* the producer's thread only */
    const struct dune_captures *captures;
    char **pcap;
    size_t n_pcaps;
    struct dash_piece {        /* captures in the order of the files */
        uint32_t file;
        uint64_t packets;      /* UINT64_MAX: to the end */
        char *name;
    } *piece;
    size_t n_pieces;
    uint64_t started_ns;       /* since the epoch */
    /* from the producer */
    pthread_mutex_t slot_lock;
    struct dash_board slot;
    bool slot_fresh, ended;
    char end_text[256];
    struct dash_ring ring;
    /* the ticker's */
    struct dash_board shown;
    uint64_t *past;            /* [DASH_WINDOW_S][3 * n_classes] sums of flow level */
    uint32_t n_past;
    int64_t run;               /* in the history; 0: none */
};
struct dash_scene *dash_scene_new(const struct dune_dash_scene *from);
struct dash_scene *dash_scene_ref(struct dash_scene *s);
void dash_scene_unref(struct dash_scene *s); /* NULL is fine */
struct dune_f1 dash_scene_window(const struct dash_scene *s);

struct dune_dash_feed {
    struct dune_dash *dash;
    struct dash_scene *scene;
    struct dash_board board;
    uint64_t start_ns, published_ns;
    void *watch;               /* of who fills it */
    void (*watch_free)(void *watch);
};
/* At most every DASH_TICK_MS, unless now. */
void dash_feed_publish(struct dune_dash_feed *f, bool now);
bool dash_feed_due(const struct dune_dash_feed *f);
void dash_feed_flow(struct dune_dash_feed *f, const struct dash_flow *flow, uint32_t plan_class);

/* --- events: finished texts ------------------------------------------------------------------------------------ */
enum dash_event_kind { DASH_EV_SCENE, DASH_EV_NOTE, DASH_EV_SERIES, DASH_EV_STATE, DASH_N_EVENTS };
struct dash_event {
    _Atomic int refs;
    uint64_t seq;
    size_t len;
    char text[];               /* "event: ...\ndata: ...\n\n" */
};
void dash_event_unref(struct dash_event *e);

struct dash_point {            /* of the series */
    double t, f1[2][3];        /* [overall, inst][weighted, micro, macro] */
    bool scored;
    uint64_t latency_ns, packets, bytes, flows, claimed;
    double coverage, pps;
};

struct dash_store;
struct dash_http;
struct dash_waiter {           /* who wants to know of new events */
    void (*wake)(void *ctx);
    void *ctx;
};
struct dune_dash {
    /* fixed after start */
    char *title, *url, *token, boot[17];
    struct dune_dash_control control;
    bool has_control;
    struct dash_case {
        char *name, *dir, **solution;
        size_t n_solutions;
    } *cases;
    size_t n_cases;
    uint32_t max_readers, idle_s;
    uint64_t start_ns;
    /* of the lock, which is never held for long */
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool stop;
    struct dash_scene *scene;
    uint64_t n_scenes;
    struct dash_event *event[DASH_N_EVENTS];
    uint64_t event_seq;
    struct dash_point *point;  /* [DASH_POINTS], a ring */
    uint64_t n_points;
    struct dash_flow_table flows;
    struct dash_note {
        uint64_t at_ns;
        char text[256];
    } note[DASH_NOTES];
    uint64_t n_notes;
    void (*wake)(struct dash_http *h); /* called with the lock held */
    struct dash_http *http;
    uint32_t n_readers;
    uint64_t n_requests, n_refused, n_readers_dropped, n_events;
    /* the ticker's */
    pthread_t ticker;
    bool ticker_runs;
    uint64_t last_state_ns, last_point_ns, last_packets;
    struct dash_store *store;
    FILE *flow_log;
    char *flow_log_path;
    bool flow_log_failed;
    pthread_mutex_t control_lock;
};
void dash_note_json(const struct dune_dash *dash, struct dune_buf *out); /* with the lock held */

/* --- dash_json.c -------------------------------------------------------------------------------------------------- */
void dash_scene_json(const struct dune_dash *dash, const struct dash_scene *s, struct dune_buf *out);
void dash_state_json(const struct dune_dash *dash, const struct dash_scene *s, struct dune_buf *out);
void dash_series_json(const struct dash_point *p, size_t n, struct dune_buf *out);
void dash_point_json(const struct dash_point *p, uint64_t index, struct dune_buf *out);
void dash_classes_json(const struct dash_scene *s, uint32_t offset, uint32_t limit, struct dune_buf *out);
void dash_one_line(struct dune_buf *b); /* line ends inside JSON text become spaces */
const char *dash_state_name(uint64_t state);

/* --- dash_metrics.c: Prometheus ------------------------------------------------------------------------------------ */
void dash_metrics_text(struct dune_dash *dash, struct dune_buf *out);

/* --- flow_path.c: how a flow was judged ------------------------------------------------------------------------------ */
int dash_flow_path(const struct dash_scene *s, const struct dune_flow_key *key, const char *capture, struct dune_buf *out,
                   struct dune_diag *d) DUNE_MUST_USE;

/* --- dash_api.c: requests ----------------------------------------------------------------------------------------------- */
struct dash_request {
    const char *method, *path; /* path without the query */
    const char *host, *origin, *authorization, *content_type; /* headers; may be NULL */
    const char *(*query)(void *ctx, const char *key); /* decoded; NULL: not there */
    void *query_ctx;
    const char *body;
    size_t body_len;
};
struct dash_answer {
    int status;
    const char *type;
    struct dune_buf body;
    const char *asset;         /* instead of body */
    size_t asset_len;
    const char *download;      /* file name */
    bool events;               /* a stream of events */
    const char *csp;           /* instead of the usual one */
};
void dash_api_handle(struct dune_dash *dash, const struct dash_request *q, struct dash_answer *a);
bool dash_api_is_slow(const char *path); /* reads files or the history */
void dash_answer_error(struct dash_answer *a, int status, const char *fmt, ...) DUNE_PRINTF(3, 4);
void dash_answer_fini(struct dash_answer *a);
extern const char dash_csp[];
/* HOST:PORT, [V6]:PORT, :PORT, PORT. */
int dash_listen_parse(const char *text, char host[64], uint16_t *port, struct dune_diag *d) DUNE_MUST_USE;

/* --- dash_assets.c ------------------------------------------------------------------------------------------------------- */
struct dash_asset {
    const char *path, *type, *data;
    size_t len;
};
bool dash_asset_find(const char *path, struct dash_asset *out);

/* --- dash_http.c, http_none.c --------------------------------------------------------------------------------------------- */
int dash_http_start(struct dune_dash *dash, const char *listen, struct dune_diag *d) DUNE_MUST_USE;
void dash_http_stop(struct dune_dash *dash);

/* --- dash_store.c, store_none.c: history ----------------------------------------------------------------------------------- */
int dash_store_open(struct dash_store **out, const char *path, uint32_t runs, uint32_t digests, struct dune_diag *d) DUNE_MUST_USE;
void dash_store_close(struct dash_store *s);
/* Writes of the ticker; an error is noted once and ends the writing. */
int64_t dash_store_run(struct dash_store *s, const struct dash_scene *scene, const char *title);
void dash_store_end(struct dash_store *s, const struct dash_scene *scene, const struct dune_f1 *f1);
void dash_store_point(struct dash_store *s, int64_t run, const struct dash_point *p);
void dash_store_flows(struct dash_store *s, const struct dash_scene *scene, const struct dash_flow *f, size_t n);
const char *dash_store_error(const struct dash_store *s); /* NULL: none */
/* Reads, from any thread; what: "runs", "series", "digests". */
int dash_store_read(struct dash_store *s, const char *what, int64_t run, uint32_t limit, const char *query,
                    struct dune_buf *out, struct dune_diag *d) DUNE_MUST_USE;

#endif
