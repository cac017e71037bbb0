/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP by libmicrohttpd: one thread polls all connections; what reads files is done by a second one while
 * its connection is parked. A reader of events has a pointer to the text it is being sent and nothing else:
 * when it is slow it skips to the newest one, when it takes nothing for some seconds it is dropped.
 */
#include "base/lazy.h"
#include "dash/dash_int.h"
#include "dash/microhttpd_file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MHD_API(F)                                                                                       \
    F(MHD_add_response_header) F(MHD_create_response_from_buffer) F(MHD_create_response_from_callback)   \
    F(MHD_destroy_response) F(MHD_get_connection_info) F(MHD_get_version) F(MHD_lookup_connection_value) \
    F(MHD_queue_response) F(MHD_resume_connection) F(MHD_start_daemon) F(MHD_stop_daemon)                \
    F(MHD_suspend_connection)
DUNE_LAZY_LIBRARY(mhd, MHD_API, DUNE_MICROHTTPD_FILE, "libmicrohttpd");

enum { QUEUE = 64, HEADER_BYTES = 32768, SEND_BYTES = 65536 };

struct request { /* of a connection, from its first header to the last byte of the answer */
    struct dash_http *h;
    struct MHD_Connection *con;
    char method[16], *path;
    struct dune_buf body;
    bool too_big, queued, done;
    struct dash_answer answer;
    struct request *next; /* waiting for the worker */
};

struct reader { /* of events */
    struct dash_http *h;
    struct MHD_Connection *con;
    uint64_t seen[DASH_N_EVENTS];
    struct dash_event *now; /* being sent */
    size_t at;
    uint64_t since_ns;
    bool parked;
    struct reader *next, *prev;
};

struct dash_http {
    struct dune_dash *dash;
    struct MHD_Daemon *mhd;
    /* of the dashboard's lock */
    struct reader *readers;
    bool stopping;
    /* worker */
    pthread_t worker;
    bool worker_runs;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    struct request *first, **last;
    unsigned n_queued;
    bool worker_stop;
};

const char *dune_dash_http_library(void)
{
    return dune_lazy_open(&mhd_lib, NULL) ? NULL : mhd.MHD_get_version();
}

/* --- answers ---------------------------------------------------------------------------------------------------- */

static void add_headers(struct MHD_Response *r, const struct dash_answer *a)
{
    char disposition[128];

    mhd.MHD_add_response_header(r, "Content-Type", a->type);
    mhd.MHD_add_response_header(r, "Content-Security-Policy", a->csp ? a->csp : dash_csp);
    mhd.MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    mhd.MHD_add_response_header(r, "Referrer-Policy", "no-referrer");
    mhd.MHD_add_response_header(r, "Cross-Origin-Resource-Policy", "same-origin");
    mhd.MHD_add_response_header(r, "Cross-Origin-Opener-Policy", "same-origin");
    mhd.MHD_add_response_header(r, "X-Frame-Options", a->csp ? "SAMEORIGIN" : "DENY");
    mhd.MHD_add_response_header(r, "Cache-Control", a->asset ? "no-cache" : "no-store");
    if (a->status == 401)
        mhd.MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
    if (a->status == 405)
        mhd.MHD_add_response_header(r, "Allow", "GET, HEAD, POST");
    if (a->download) {
        snprintf(disposition, sizeof(disposition), "attachment; filename=\"%s\"", a->download);
        mhd.MHD_add_response_header(r, "Content-Disposition", disposition);
    }
}

static enum MHD_Result send_answer(struct dash_http *h, struct MHD_Connection *con, struct dash_answer *a)
{
    struct MHD_Response *r;
    enum MHD_Result ok;

    if (a->asset)
        r = mhd.MHD_create_response_from_buffer(a->asset_len, (void *)(uintptr_t)a->asset, MHD_RESPMEM_PERSISTENT);
    else
        r = mhd.MHD_create_response_from_buffer(a->body.len, a->body.data, MHD_RESPMEM_MUST_COPY);
    if (!r)
        return MHD_NO;
    add_headers(r, a);
    if (a->status >= 400) {
        pthread_mutex_lock(&h->dash->lock);
        h->dash->n_refused++;
        pthread_mutex_unlock(&h->dash->lock);
    }
    ok = mhd.MHD_queue_response(con, (unsigned)a->status, r);
    mhd.MHD_destroy_response(r);
    return ok;
}

static enum MHD_Result refuse(struct dash_http *h, struct MHD_Connection *con, int status, const char *text)
{
    struct dash_answer a = {0};
    enum MHD_Result ok;

    dash_answer_error(&a, status, "%s", text);
    ok = send_answer(h, con, &a);
    dash_answer_fini(&a);
    return ok;
}

/* --- events ------------------------------------------------------------------------------------------------------- */

/* With the lock held: the next text this reader has not had. */
static struct dash_event *next_event(struct reader *r)
{
    struct dune_dash *dash = r->h->dash;

    for (int k = 0; k < DASH_N_EVENTS; k++) {
        struct dash_event *e = dash->event[k];

        if (!e || e->seq == r->seen[k])
            continue;
        r->seen[k] = e->seq;
        atomic_fetch_add(&e->refs, 1);
        return e;
    }
    return NULL;
}

static void count_dropped(struct dash_http *h)
{
    pthread_mutex_lock(&h->dash->lock);
    h->dash->n_readers_dropped++;
    pthread_mutex_unlock(&h->dash->lock);
}

static ssize_t read_events(void *ctx, uint64_t pos, char *buf, size_t max)
{
    struct reader *r = ctx;
    uint64_t now = dune_now_ns();
    size_t n;

    (void)pos;
    if (r->now && now - r->since_ns > r->h->dash->idle_s * UINT64_C(1000000000))
        return count_dropped(r->h), MHD_CONTENT_READER_END_WITH_ERROR;
    if (!r->now) {
        pthread_mutex_lock(&r->h->dash->lock);
        if (r->h->stopping) {
            pthread_mutex_unlock(&r->h->dash->lock);
            return MHD_CONTENT_READER_END_OF_STREAM;
        }
        r->now = next_event(r);
        if (!r->now) {
            r->parked = true;
            mhd.MHD_suspend_connection(r->con);
        }
        pthread_mutex_unlock(&r->h->dash->lock);
        r->at = 0;
        r->since_ns = now;
        if (!r->now)
            return 0;
    }
    n = DUNE_MIN(max, r->now->len - r->at);
    memcpy(buf, r->now->text + r->at, n);
    r->at += n;
    if (r->at == r->now->len) {
        dash_event_unref(r->now);
        r->now = NULL;
    }
    return (ssize_t)n;
}

static void free_reader(void *ctx)
{
    struct reader *r = ctx;
    struct dune_dash *dash = r->h->dash;

    pthread_mutex_lock(&dash->lock);
    *(r->prev ? &r->prev->next : &r->h->readers) = r->next;
    if (r->next)
        r->next->prev = r->prev;
    dash->n_readers--;
    pthread_mutex_unlock(&dash->lock);
    dash_event_unref(r->now);
    dune_mem_free(r);
}

/* By the ticker, with the dashboard's lock held. */
static void wake(struct dash_http *h)
{
    for (struct reader *r = h->readers; r; r = r->next) {
        if (!r->parked)
            continue;
        r->parked = false;
        mhd.MHD_resume_connection(r->con);
    }
}

/* What the kernel keeps for a reader that does not read stays small. */
static void bound_buffer(struct MHD_Connection *con)
{
    const union MHD_ConnectionInfo *info = mhd.MHD_get_connection_info(con, MHD_CONNECTION_INFO_CONNECTION_FD);
    int bytes = SEND_BYTES;

    if (info)
        setsockopt(info->connect_fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

static enum MHD_Result send_events(struct dash_http *h, struct MHD_Connection *con)
{
    static const struct dash_answer stream = {.type = "text/event-stream", .status = 200};
    struct reader *r;
    struct MHD_Response *resp;
    enum MHD_Result ok;
    bool full;

    pthread_mutex_lock(&h->dash->lock);
    full = h->dash->n_readers >= h->dash->max_readers;
    h->dash->n_readers += !full;
    pthread_mutex_unlock(&h->dash->lock);
    if (full)
        return refuse(h, con, 503, "as many readers as this dashboard takes are there already; try again later");
    r = DUNE_NEW(struct reader);
    r->h = h;
    r->con = con;
    pthread_mutex_lock(&h->dash->lock);
    r->next = h->readers;
    if (r->next)
        r->next->prev = r;
    h->readers = r;
    pthread_mutex_unlock(&h->dash->lock);
    bound_buffer(con);
    resp = mhd.MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 8192, read_events, r, free_reader);
    if (!resp) {
        free_reader(r);
        return MHD_NO;
    }
    add_headers(resp, &stream);
    ok = mhd.MHD_queue_response(con, 200, resp);
    mhd.MHD_destroy_response(resp);
    return ok;
}

/* --- requests ------------------------------------------------------------------------------------------------------ */

static const char *query_value(void *ctx, const char *key)
{
    struct request *q = ctx;

    return mhd.MHD_lookup_connection_value(q->con, MHD_GET_ARGUMENT_KIND, key);
}

static void work(struct request *q)
{
    struct MHD_Connection *con = q->con;
    struct dash_request r = {.method = q->method, .path = q->path,
                             .host = mhd.MHD_lookup_connection_value(con, MHD_HEADER_KIND, "Host"),
                             .origin = mhd.MHD_lookup_connection_value(con, MHD_HEADER_KIND, "Origin"),
                             .authorization = mhd.MHD_lookup_connection_value(con, MHD_HEADER_KIND, "Authorization"),
                             .content_type = mhd.MHD_lookup_connection_value(con, MHD_HEADER_KIND, "Content-Type"),
                             .query = query_value, .query_ctx = q, .body = q->body.data, .body_len = q->body.len};

    dash_api_handle(q->h->dash, &r, &q->answer);
    q->done = true;
}

static void *worker(void *ctx)
{
    struct dash_http *h = ctx;

    pthread_mutex_lock(&h->lock);
    while (!h->worker_stop || h->first) {
        struct request *q = h->first;

        if (!q) {
            pthread_cond_wait(&h->cond, &h->lock);
            continue;
        }
        h->first = q->next;
        if (!h->first)
            h->last = &h->first;
        h->n_queued--;
        pthread_mutex_unlock(&h->lock);
        work(q);
        mhd.MHD_resume_connection(q->con);
        pthread_mutex_lock(&h->lock);
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

/* Parks the connection until the worker has its answer; false: too many wait already. */
static bool enqueue(struct dash_http *h, struct request *q)
{
    bool room;

    pthread_mutex_lock(&h->lock);
    room = h->n_queued < QUEUE && !h->worker_stop;
    if (room) {
        q->queued = true;
        mhd.MHD_suspend_connection(q->con);
        *h->last = q;
        h->last = &q->next;
        h->n_queued++;
        pthread_cond_signal(&h->cond);
    }
    pthread_mutex_unlock(&h->lock);
    return room;
}

static enum MHD_Result begin(struct dash_http *h, struct MHD_Connection *con, const char *url, const char *method, void **cls)
{
    const char *len = mhd.MHD_lookup_connection_value(con, MHD_HEADER_KIND, "Content-Length");
    struct request *q = DUNE_NEW(struct request);
    uint64_t bytes = 0;

    q->h = h;
    q->con = con;
    snprintf(q->method, sizeof(q->method), "%s", method);
    q->path = dune_mem_strndup(url, DASH_URL_MAX + 1);
    *cls = q;
    pthread_mutex_lock(&h->dash->lock);
    h->dash->n_requests++;
    pthread_mutex_unlock(&h->dash->lock);
    if (len && (!dune_parse_u64(len, &bytes) || bytes > DASH_BODY_MAX))
        return refuse(h, con, 413, "the body of a command is at most 65536 bytes long");
    return MHD_YES;
}

static enum MHD_Result handle(void *ctx, struct MHD_Connection *con, const char *url, const char *method,
                              const char *version, const char *data, size_t *len, void **cls)
{
    struct dash_http *h = ctx;
    struct request *q = *cls;

    (void)version;
    if (!q)
        return begin(h, con, url, method, cls);
    if (*len) {
        q->too_big |= q->body.len + *len > DASH_BODY_MAX;
        if (!q->too_big)
            dune_buf_append(&q->body, data, *len);
        *len = 0;
        return MHD_YES;
    }
    if (q->too_big)
        return refuse(h, con, 413, "the body of a command is at most 65536 bytes long");
    if (!q->queued && dash_api_is_slow(q->path)) {
        if (enqueue(h, q))
            return MHD_YES;
        return refuse(h, con, 503, "too many requests wait already; try again later");
    }
    if (!q->done)
        work(q);
    return q->answer.events ? send_events(h, con) : send_answer(h, con, &q->answer);
}

static void completed(void *ctx, struct MHD_Connection *con, void **cls, enum MHD_RequestTerminationCode why)
{
    struct request *q = *cls;

    (void)ctx;
    (void)con;
    if (!q)
        return;
    if (q->answer.events && why == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED)
        count_dropped(q->h);
    dash_answer_fini(&q->answer);
    dune_buf_fini(&q->body);
    dune_mem_free(q->path);
    dune_mem_free(q);
    *cls = NULL;
}

/* --- start and stop ---------------------------------------------------------------------------------------------------- */

static void say_nothing(void *ctx, const char *fmt, va_list ap)
{
    (void)ctx;
    (void)fmt;
    (void)ap;
}

static int open_socket(const char *host, uint16_t port, int *fd, struct dune_diag *d)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_PASSIVE, .ai_socktype = SOCK_STREAM}, *ai = NULL;
    char number[8];
    int on = 1;

    snprintf(number, sizeof(number), "%u", port);
    if (getaddrinfo(host, number, &hints, &ai) != 0)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "\"%s\" is no address of this machine; the dashboard listens on one like "
                             "127.0.0.1 or ::1", host);
    *fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd >= 0)
        setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (*fd < 0 || bind(*fd, ai->ai_addr, ai->ai_addrlen) != 0 || listen(*fd, 1024) != 0) {
        dune_diag_set(d, DUNE_E_ENV, NULL, "the dashboard cannot listen on %s port %u: %s", host, port, strerror(errno));
        if (*fd >= 0)
            close(*fd);
        *fd = -1;
    }
    freeaddrinfo(ai);
    return *fd < 0 ? DUNE_E_ENV : 0;
}

static char *url_of(int fd)
{
    struct sockaddr_storage at = {0};
    socklen_t len = sizeof(at);
    char host[64], port[16];

    if (getsockname(fd, (struct sockaddr *)&at, &len) ||
        getnameinfo((struct sockaddr *)&at, len, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV))
        return dune_mem_strdup("http://?/");
    return dune_mem_printf(at.ss_family == AF_INET6 ? "http://[%s]:%s/" : "http://%s:%s/", host, port);
}

/* Every reader is a file of this process. */
static void allow_files(uint32_t n)
{
    struct rlimit lim;

    if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < n) {
        lim.rlim_cur = DUNE_MIN(lim.rlim_max, (rlim_t)n);
        setrlimit(RLIMIT_NOFILE, &lim);
    }
}

int dash_http_start(struct dune_dash *dash, const char *listen_on, struct dune_diag *d)
{
    struct dash_http *h;
    char host[64];
    uint16_t port;
    int fd = -1, rc = dash_listen_parse(listen_on, host, &port, d);

    if (rc == 0)
        rc = dune_lazy_open(&mhd_lib, d);
    if (rc == 0)
        rc = open_socket(host, port, &fd, d);
    if (rc)
        return rc;
    allow_files(dash->max_readers + 1024);
    h = dash->http = DUNE_NEW(struct dash_http);
    h->dash = dash;
    h->last = &h->first;
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->cond, NULL);
    dash->url = url_of(fd);
    h->mhd = mhd.MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL,
                              handle, h, MHD_OPTION_EXTERNAL_LOGGER, say_nothing, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
                              MHD_OPTION_CONNECTION_LIMIT, dash->max_readers + 256u, MHD_OPTION_CONNECTION_TIMEOUT,
                              (unsigned)dash->idle_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_BYTES,
                              MHD_OPTION_NOTIFY_COMPLETED, completed, NULL, MHD_OPTION_END);
    if (!h->mhd) {
        close(fd);
        return dune_diag_set(d, DUNE_E_ENV, NULL, "libmicrohttpd does not start");
    }
    h->worker_runs = pthread_create(&h->worker, NULL, worker, h) == 0;
    pthread_mutex_lock(&dash->lock);
    dash->wake = wake;
    pthread_mutex_unlock(&dash->lock);
    return h->worker_runs ? 0 : dune_diag_set(d, DUNE_E_ENV, NULL, "no thread for the dashboard");
}

void dash_http_stop(struct dune_dash *dash)
{
    struct dash_http *h = dash->http;

    if (!h)
        return;
    pthread_mutex_lock(&h->lock);
    h->worker_stop = true;
    pthread_cond_broadcast(&h->cond);
    pthread_mutex_unlock(&h->lock);
    if (h->worker_runs)
        pthread_join(h->worker, NULL);
    pthread_mutex_lock(&dash->lock);
    h->stopping = true;
    dash->wake = NULL;
    wake(h);
    pthread_mutex_unlock(&dash->lock);
    if (h->mhd)
        mhd.MHD_stop_daemon(h->mhd);
    pthread_mutex_destroy(&h->lock);
    pthread_cond_destroy(&h->cond);
    dune_mem_free(h);
    dash->http = NULL;
}
