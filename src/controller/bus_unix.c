/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bus between processes of one machine: a Unix socket in front of a hub. The server thread gives every
 * connection an end point of the hub; a client that loses the server tries again and subscribes anew.
 *
 *   record: length (4 bytes, of what follows) | 'S' or 'P' | length of subject | subject | data
 */
#include "controller/ctl_int.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { HEAD = 6, CONNECTIONS = 64, OUT_MAX = 8 << 20, CLIENT_SUBS = 32, RETRY_NS = 200000000 };

struct stream {
    int fd; /* -1: not connected */
    struct dune_buf in, out;
};

/* --- records ------------------------------------------------------------------------------------------- */

static void put_record(struct dune_buf *b, char type, const char *subject, const void *data, size_t len)
{
    size_t n = strlen(subject);
    uint32_t total = (uint32_t)(2 + n + len);
    uint8_t head[HEAD] = {(uint8_t)(total >> 24), (uint8_t)(total >> 16), (uint8_t)(total >> 8), (uint8_t)total,
                          (uint8_t)type, (uint8_t)n};

    dune_buf_append(b, head, HEAD);
    dune_buf_append(b, subject, n);
    dune_buf_append(b, data, len);
}

/* The next whole record of the input: 1, 0: not yet, -1: not one of ours. */
static int next_record(const struct dune_buf *b, size_t at, char *type, char subject[256], const char **data,
                       size_t *len, size_t *used)
{
    const uint8_t *p = (const uint8_t *)b->data + at;
    size_t left = b->len - at, total, n;

    if (left < HEAD)
        return 0;
    total = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    n = p[5];
    if (total > DUNE_CTL_MESSAGE_MAX + 300 || total < 2 + n || (p[4] != 'S' && p[4] != 'P'))
        return -1;
    if (left < 4 + total)
        return 0;
    *type = (char)p[4];
    memcpy(subject, p + HEAD, n);
    subject[n] = '\0';
    *data = (const char *)p + HEAD + n;
    *len = total - 2 - n;
    *used = 4 + total;
    return 1;
}

static void drop_front(struct dune_buf *b, size_t n)
{
    if (n == 0)
        return;
    memmove(b->data, b->data + n, b->len - n);
    b->len -= n;
}

/* False: the other side is gone. */
static bool flush_stream(struct stream *s)
{
    size_t done = 0;

    while (done < s->out.len) {
        ssize_t n = send(s->fd, s->out.data + done, s->out.len - done, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n > 0) {
            done += (size_t)n;
            continue;
        }
        if (errno == EINTR)
            continue;
        drop_front(&s->out, done);
        return errno == EAGAIN || errno == EWOULDBLOCK;
    }
    s->out.len = 0;
    return true;
}

static bool fill_stream(struct stream *s)
{
    char chunk[65536];

    for (;;) {
        ssize_t n = recv(s->fd, chunk, sizeof(chunk), MSG_DONTWAIT);

        if (n > 0)
            dune_buf_append(&s->in, chunk, (size_t)n);
        else if (n == 0)
            return false;
        else if (errno != EINTR)
            return errno == EAGAIN || errno == EWOULDBLOCK;
    }
}

static void close_stream(struct stream *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    dune_buf_fini(&s->in);
    dune_buf_fini(&s->out);
}

static int make_address(struct sockaddr_un *a, const char *path, struct dune_diag *d)
{
    memset(a, 0, sizeof(*a));
    a->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof(a->sun_path))
        return dune_diag_set(d, DUNE_E_USAGE, path, "the path of a socket has at most %zu bytes",
                             sizeof(a->sun_path) - 1);
    memcpy(a->sun_path, path, strlen(path) + 1);
    return 0;
}

/* --- server -------------------------------------------------------------------------------------------- */

struct connection {
    struct stream s;
    struct dune_bus *end; /* NULL: free */
};

struct dune_bus_server {
    struct dune_bus_hub *hub;
    char *path;
    int listener;
    pthread_t thread;
    atomic_bool stop;
    struct connection conn[CONNECTIONS];
};

/* From the hub to the socket. A reader that does not read loses messages. */
static void forward(void *ctx, const char *subject, const void *data, size_t len)
{
    struct connection *c = ctx;

    if (c->s.out.len + len < OUT_MAX)
        put_record(&c->s.out, 'P', subject, data, len);
}

static void close_connection(struct connection *c)
{
    close_stream(&c->s);
    c->end->ops->close(c->end);
    c->end = NULL;
}

/* Only root and the user that runs the server may talk to it, whatever the permissions of directories. */
static bool is_friend(int fd)
{
    struct ucred u;
    socklen_t len = sizeof(u);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &len) == 0 && (u.uid == 0 || u.uid == geteuid());
}

static void accept_one(struct dune_bus_server *s)
{
    int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        return;
    for (int i = 0; is_friend(fd) && i < CONNECTIONS; i++)
        if (!s->conn[i].end) {
            s->conn[i].s = (struct stream){.fd = fd};
            s->conn[i].end = dune_bus_hub_join(s->hub);
            return;
        }
    close(fd);
}

/* False: it has to go. */
static bool take_records(struct connection *c)
{
    struct dune_diag ignored = {0};
    char subject[256], type;
    const char *data;
    size_t at = 0, len, used;
    int rc;

    while ((rc = next_record(&c->s.in, at, &type, subject, &data, &len, &used)) == 1) {
        if (type == 'S')
            (void)!c->end->ops->subscribe(c->end, subject, forward, c, &ignored);
        else
            (void)!c->end->ops->publish(c->end, subject, data, len, &ignored);
        ignored = (struct dune_diag){0}; /* a bus that is down loses messages */
        at += used;
    }
    drop_front(&c->s.in, at);
    return rc >= 0;
}

static void serve_connection(struct connection *c, short events)
{
    struct dune_diag ignored = {0};
    bool ok = true;

    if (events & (POLLIN | POLLHUP | POLLERR)) {
        ok = fill_stream(&c->s);
        ok = take_records(c) && ok;
    }
    ok = c->end->ops->poll(c->end, 0, &ignored) == 0 && ok;
    ok = flush_stream(&c->s) && ok;
    if (!ok)
        close_connection(c);
}

static void *serve(void *ctx)
{
    struct dune_bus_server *s = ctx;

    while (!atomic_load(&s->stop)) {
        struct pollfd p[1 + 2 * CONNECTIONS];
        struct connection *who[CONNECTIONS];
        nfds_t n = 0;
        int k = 0;

        p[n++] = (struct pollfd){.fd = s->listener, .events = POLLIN};
        for (int i = 0; i < CONNECTIONS; i++) {
            struct connection *c = &s->conn[i];

            if (!c->end)
                continue;
            who[k++] = c;
            p[n++] = (struct pollfd){.fd = c->s.fd, .events = (short)(POLLIN | (c->s.out.len ? POLLOUT : 0))};
            p[n++] = (struct pollfd){.fd = c->end->ops->fd(c->end), .events = POLLIN};
        }
        poll(p, n, 100);
        for (int i = 0; i < k; i++)
            serve_connection(who[i], p[1 + 2 * i].revents);
        if (p[0].revents)
            accept_one(s);
    }
    return NULL;
}

static int listen_at(struct dune_bus_server *s, struct dune_diag *d)
{
    struct sockaddr_un a;
    mode_t old;
    int rc = make_address(&a, s->path, d);

    if (rc)
        return rc;
    s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->listener >= 0 && connect(s->listener, (struct sockaddr *)&a, sizeof(a)) == 0)
        return dune_diag_set(d, DUNE_E_ENV, s->path, "another controller serves this socket");
    if (s->listener >= 0)
        close(s->listener);
    s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    unlink(s->path); /* of a server that was killed */
    old = umask(0177);
    rc = s->listener < 0 || bind(s->listener, (struct sockaddr *)&a, sizeof(a)) || listen(s->listener, 16);
    umask(old);
    return rc ? dune_diag_set(d, DUNE_E_ENV, s->path, "cannot listen there: %s", strerror(errno)) : 0;
}

int dune_bus_server_start(struct dune_bus_server **out, struct dune_bus_hub *hub, const char *path, struct dune_diag *d)
{
    struct dune_bus_server *s = DUNE_NEW(struct dune_bus_server);
    int rc;

    s->hub = hub;
    s->path = dune_mem_strdup(path);
    s->listener = -1;
    rc = listen_at(s, d);
    if (rc == 0 && pthread_create(&s->thread, NULL, serve, s) != 0)
        rc = dune_diag_set(d, DUNE_E_ENV, NULL, "no thread for the bus");
    if (rc) {
        if (s->listener >= 0)
            close(s->listener);
        dune_mem_free(s->path);
        dune_mem_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

void dune_bus_server_stop(struct dune_bus_server *s)
{
    if (!s)
        return;
    atomic_store(&s->stop, true);
    pthread_join(s->thread, NULL);
    for (int i = 0; i < CONNECTIONS; i++)
        if (s->conn[i].end)
            close_connection(&s->conn[i]);
    close(s->listener);
    unlink(s->path);
    dune_mem_free(s->path);
    dune_mem_free(s);
}

/* --- client -------------------------------------------------------------------------------------------- */

struct client {
    struct dune_bus base; /* first */
    struct stream s;
    struct sockaddr_un address;
    uint64_t tried_ns;
    unsigned n_subs;
    struct {
        char *subject;
        dune_bus_fn fn;
        void *ctx;
    } sub[CLIENT_SUBS];
};

static struct client *client_of(struct dune_bus *b)
{
    return (struct client *)b;
}

/* Connects when it is time to; true when connected. */
static bool connect_client(struct client *c)
{
    uint64_t now = dune_now_ns();

    if (c->s.fd >= 0)
        return true;
    if (c->tried_ns && now - c->tried_ns < RETRY_NS)
        return false;
    c->tried_ns = now;
    c->s.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->s.fd < 0 || connect(c->s.fd, (struct sockaddr *)&c->address, sizeof(c->address))) {
        close_stream(&c->s);
        return false;
    }
    for (unsigned i = 0; i < c->n_subs; i++)
        put_record(&c->s.out, 'S', c->sub[i].subject, "", 0);
    if (!flush_stream(&c->s))
        close_stream(&c->s);
    return c->s.fd >= 0;
}

static int lost(struct client *c, struct dune_diag *d)
{
    close_stream(&c->s);
    return dune_diag_set(d, DUNE_E_ENV, c->address.sun_path, "the controller is not there");
}

static int client_publish(struct dune_bus *b, const char *subject, const void *data, size_t len, struct dune_diag *d)
{
    struct client *c = client_of(b);

    if (len > DUNE_CTL_MESSAGE_MAX || strlen(subject) > 255)
        return dune_diag_set(d, DUNE_E_INPUT, NULL, "a message of %zu bytes, the bus carries up to %u", len,
                             DUNE_CTL_MESSAGE_MAX);
    if (!connect_client(c))
        return lost(c, d);
    if (c->s.out.len + len > OUT_MAX)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "the controller does not read");
    put_record(&c->s.out, 'P', subject, data, len);
    return flush_stream(&c->s) ? 0 : lost(c, d);
}

static int client_subscribe(struct dune_bus *b, const char *subject, dune_bus_fn fn, void *ctx, struct dune_diag *d)
{
    struct client *c = client_of(b);

    if (c->n_subs == CLIENT_SUBS || strlen(subject) > 255)
        return dune_diag_set(d, DUNE_E_INTERNAL, NULL, "more than %d subscriptions", CLIENT_SUBS);
    c->sub[c->n_subs].subject = dune_mem_strdup(subject);
    c->sub[c->n_subs].fn = fn;
    c->sub[c->n_subs++].ctx = ctx;
    if (c->s.fd >= 0)
        put_record(&c->s.out, 'S', subject, "", 0);
    else
        connect_client(c);
    return 0;
}

static int client_dispatch(struct client *c)
{
    char subject[256], type;
    const char *data;
    size_t at = 0, len, used;
    int rc;

    while ((rc = next_record(&c->s.in, at, &type, subject, &data, &len, &used)) == 1) {
        char *copy = dune_mem_strndup(data, len); /* a callback may publish; data must not move */

        for (unsigned i = 0; i < c->n_subs; i++)
            if (dune_bus_subject_match(c->sub[i].subject, subject))
                c->sub[i].fn(c->sub[i].ctx, subject, copy, len);
        dune_mem_free(copy);
        at += used;
        if (c->s.fd < 0) /* lost while answering */
            return 0;
    }
    drop_front(&c->s.in, at);
    return rc;
}

static int client_poll(struct dune_bus *b, int timeout_ms, struct dune_diag *d)
{
    struct client *c = client_of(b);
    struct pollfd p;
    bool ok;

    if (!connect_client(c)) {
        if (timeout_ms > 0)
            usleep((useconds_t)DUNE_MIN(timeout_ms, 50) * 1000);
        return lost(c, d);
    }
    p = (struct pollfd){.fd = c->s.fd, .events = (short)(POLLIN | (c->s.out.len ? POLLOUT : 0))};
    if (timeout_ms > 0)
        poll(&p, 1, timeout_ms);
    ok = flush_stream(&c->s);
    ok = fill_stream(&c->s) && ok;
    if (client_dispatch(c) < 0 || !ok)
        return lost(c, d);
    return 0;
}

static int client_get(struct dune_bus *b, const char *key, struct dune_buf *out, uint64_t *revision, struct dune_diag *d)
{
    (void)out;
    *revision = 0;
    return dune_diag_set(d, DUNE_E_ENV, client_of(b)->address.sun_path,
                         "the store of this bus is the controller's directory: %s is out of reach here", key);
}

static int client_put(struct dune_bus *b, const char *key, const void *data, size_t len, uint64_t *revision,
                      struct dune_diag *d)
{
    (void)data, (void)len;
    return client_get(b, key, NULL, revision, d);
}

static int client_fd(struct dune_bus *b)
{
    return client_of(b)->s.fd;
}

static void client_close(struct dune_bus *b)
{
    struct client *c = client_of(b);

    if (!b)
        return;
    if (c->s.fd >= 0)
        flush_stream(&c->s);
    close_stream(&c->s);
    for (unsigned i = 0; i < c->n_subs; i++)
        dune_mem_free(c->sub[i].subject);
    dune_mem_free(c);
}

static const struct dune_bus_ops client_ops = {
    .name = "unix", .publish = client_publish, .subscribe = client_subscribe, .poll = client_poll,
    .get = client_get, .put = client_put, .fd = client_fd, .close = client_close,
};

int dune_bus_unix_connect(struct dune_bus **out, const char *path, struct dune_diag *d)
{
    struct client *c = DUNE_NEW(struct client);
    int rc = make_address(&c->address, path, d);

    c->base.ops = &client_ops;
    c->s.fd = -1;
    if (rc) {
        dune_mem_free(c);
        return rc;
    }
    *out = &c->base;
    return 0;
}
