/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bus inside one process. Publishing copies the message into the queue of every end point that has
 * subscribed; the store is a table in memory, and a directory where one is given.
 */
#include "controller/ctl_int.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { QUEUE_MAX = 65536, SUBS_MAX = 32 };

struct item {
    char *subject;
    void *data;
    size_t len;
};

struct end_point {
    struct dune_bus base; /* first */
    struct dune_bus_hub *hub;
    struct end_point *next;
    int event;
    unsigned n_subs;
    struct sub {
        char *pattern;
        dune_bus_fn fn;
        void *ctx;
    } sub[SUBS_MAX];
    DUNE_VEC(struct item) queue;
};

struct entry {
    char *key;
    void *data;
    size_t len;
    uint64_t revision;
};

struct dune_bus_hub {
    pthread_mutex_t lock;
    struct end_point *first;
    char *dir;
    DUNE_VEC(struct entry) store;
    uint64_t revision;
    struct dune_bus_faults faults;
    struct dune_rng rng;
};

static struct end_point *end_of(struct dune_bus *b)
{
    return (struct end_point *)b;
}

bool dune_bus_subject_match(const char *pattern, const char *subject)
{
    size_t n = strlen(pattern);

    if (n >= 2 && strcmp(pattern + n - 2, ".*") == 0)
        return strncmp(pattern, subject, n - 1) == 0 && subject[n - 1] && !strchr(subject + n - 1, '.');
    return strcmp(pattern, subject) == 0;
}

/* --- messages ------------------------------------------------------------------------------------------ */

static void free_item(struct item *i)
{
    dune_mem_free(i->subject);
    dune_mem_free(i->data);
}

static bool wants(const struct end_point *e, const char *subject)
{
    for (unsigned i = 0; i < e->n_subs; i++)
        if (dune_bus_subject_match(e->sub[i].pattern, subject))
            return true;
    return false;
}

static void enqueue(struct end_point *e, const char *subject, const void *data, size_t len)
{
    struct item i = {.len = len};
    uint64_t one = 1;

    if (e->queue.len >= QUEUE_MAX) /* a reader that sleeps loses, nobody waits for it */
        return;
    i.subject = dune_mem_strdup(subject);
    i.data = dune_mem_alloc(len + 1, 1);
    memcpy(i.data, data, len);
    ((char *)i.data)[len] = '\0';
    DUNE_VEC_PUSH(&e->queue, i);
    if (write(e->event, &one, sizeof(one)) < 0)
        return; /* the counter is full: poll wakes up all the same */
}

static bool chance(struct dune_bus_hub *h, uint32_t thousandth)
{
    return thousandth && dune_rng_below(&h->rng, 1000) < thousandth;
}

static void deliver(struct dune_bus_hub *h, struct end_point *e, const char *subject, const void *data,
                    size_t len)
{
    if (chance(h, h->faults.lose))
        return;
    enqueue(e, subject, data, len);
    if (chance(h, h->faults.twice))
        enqueue(e, subject, data, len);
    if (chance(h, h->faults.late) && e->queue.len >= 2) {
        struct item last = e->queue.data[e->queue.len - 1];

        e->queue.data[e->queue.len - 1] = e->queue.data[e->queue.len - 2];
        e->queue.data[e->queue.len - 2] = last;
    }
}

static int publish(struct dune_bus *b, const char *subject, const void *data, size_t len, struct dune_diag *d)
{
    struct dune_bus_hub *h = end_of(b)->hub;
    int rc = 0;

    if (len > DUNE_CTL_MESSAGE_MAX)
        return dune_diag_set(d, DUNE_E_INPUT, NULL, "a message of %zu bytes, the bus carries up to %u", len,
                             DUNE_CTL_MESSAGE_MAX);
    pthread_mutex_lock(&h->lock);
    if (h->faults.down)
        rc = dune_diag_set(d, DUNE_E_ENV, NULL, "the bus is down");
    for (struct end_point *e = h->first; rc == 0 && e; e = e->next)
        if (e != end_of(b) && wants(e, subject))
            deliver(h, e, subject, data, len);
    pthread_mutex_unlock(&h->lock);
    return rc;
}

static int subscribe(struct dune_bus *b, const char *subject, dune_bus_fn fn, void *ctx, struct dune_diag *d)
{
    struct end_point *e = end_of(b);
    int rc = 0;

    pthread_mutex_lock(&e->hub->lock);
    if (e->n_subs == SUBS_MAX)
        rc = dune_diag_set(d, DUNE_E_INTERNAL, NULL, "more than %d subscriptions", SUBS_MAX);
    else
        e->sub[e->n_subs++] = (struct sub){dune_mem_strdup(subject), fn, ctx};
    pthread_mutex_unlock(&e->hub->lock);
    return rc;
}

static void dispatch(struct end_point *e, const struct item *i)
{
    for (unsigned k = 0; k < e->n_subs; k++)
        if (dune_bus_subject_match(e->sub[k].pattern, i->subject))
            e->sub[k].fn(e->sub[k].ctx, i->subject, i->data, i->len);
}

static void wait_event(struct end_point *e, int timeout_ms)
{
    struct pollfd p = {.fd = e->event, .events = POLLIN};
    uint64_t count;

    if (poll(&p, 1, timeout_ms) > 0 && read(e->event, &count, sizeof(count)) < 0)
        return; /* somebody else took it: what matters is the queue */
}

static int poll_end(struct dune_bus *b, int timeout_ms, struct dune_diag *d)
{
    struct end_point *e = end_of(b);
    struct item *got;
    size_t n;

    wait_event(e, timeout_ms);
    pthread_mutex_lock(&e->hub->lock);
    got = e->queue.data;
    n = e->queue.len;
    e->queue.data = NULL;
    e->queue.len = e->queue.cap = 0;
    pthread_mutex_unlock(&e->hub->lock);
    for (size_t i = 0; i < n; i++) {
        dispatch(e, &got[i]);
        free_item(&got[i]);
    }
    dune_mem_free(got);
    (void)d;
    return 0;
}

static int event_fd(struct dune_bus *b)
{
    return end_of(b)->event;
}

/* --- store --------------------------------------------------------------------------------------------- */

static struct entry *find(struct dune_bus_hub *h, const char *key)
{
    for (size_t i = 0; i < h->store.len; i++)
        if (strcmp(h->store.data[i].key, key) == 0)
            return &h->store.data[i];
    return NULL;
}

static struct entry *add_entry(struct dune_bus_hub *h, const char *key, const void *data, size_t len)
{
    struct entry e = {dune_mem_strdup(key), dune_mem_alloc(len + 1, 1), len, ++h->revision};

    memcpy(e.data, data, len);
    DUNE_VEC_PUSH(&h->store, e);
    return &h->store.data[h->store.len - 1];
}

/* What an earlier process left in the directory. */
static int load_entry(struct dune_bus_hub *h, const char *key, struct entry **out, struct dune_diag *d)
{
    char *path, *text;
    size_t len;
    int rc = 0;

    *out = find(h, key);
    if (*out || !h->dir)
        return 0;
    path = dune_mem_printf("%s/%s", h->dir, key);
    if (dune_path_exists(path)) {
        rc = dune_file_read(path, &text, &len, d);
        if (rc == 0) {
            *out = add_entry(h, key, text, len);
            dune_mem_free(text);
        }
    }
    dune_mem_free(path);
    return rc;
}

static bool key_ok(const char *key)
{
    return dune_ctl_name_ok(key) || (strncmp(key, "plan.", 5) == 0 && dune_ctl_name_ok(key + 5));
}

static int get(struct dune_bus *b, const char *key, struct dune_buf *out, uint64_t *revision, struct dune_diag *d)
{
    struct dune_bus_hub *h = end_of(b)->hub;
    struct entry *e = NULL;
    int rc = 0;

    *revision = 0;
    pthread_mutex_lock(&h->lock);
    if (h->faults.down)
        rc = dune_diag_set(d, DUNE_E_ENV, NULL, "the store is down");
    else if (!key_ok(key))
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "\"%.64s\" cannot be the key of a value", key);
    if (rc == 0)
        rc = load_entry(h, key, &e, d);
    if (rc == 0 && e) {
        dune_buf_append(out, e->data, e->len);
        *revision = e->revision;
    }
    pthread_mutex_unlock(&h->lock);
    return rc;
}

static int write_entry(struct dune_bus_hub *h, const char *key, const void *data, size_t len, struct dune_diag *d)
{
    char *path;
    int rc;

    if (!h->dir)
        return 0;
    path = dune_mem_printf("%s/%s", h->dir, key);
    rc = dune_file_write(path, data, len, d);
    dune_mem_free(path);
    return rc;
}

static int put_entry(struct dune_bus_hub *h, const char *key, const void *data, size_t len, uint64_t *revision,
                     struct dune_diag *d)
{
    struct entry *e;
    int rc = load_entry(h, key, &e, d);

    if (rc == 0 && (e ? e->revision : 0) != *revision)
        return 1;
    if (rc == 0)
        rc = write_entry(h, key, data, len, d);
    if (rc)
        return rc;
    if (e) {
        dune_mem_free(e->data);
        e->data = dune_mem_alloc(len + 1, 1);
        memcpy(e->data, data, len);
        e->len = len;
        e->revision = ++h->revision;
    } else {
        e = add_entry(h, key, data, len);
    }
    *revision = e->revision;
    return 0;
}

static int put(struct dune_bus *b, const char *key, const void *data, size_t len, uint64_t *revision,
               struct dune_diag *d)
{
    struct dune_bus_hub *h = end_of(b)->hub;
    int rc;

    pthread_mutex_lock(&h->lock);
    if (h->faults.down)
        rc = dune_diag_set(d, DUNE_E_ENV, NULL, "the store is down");
    else if (!key_ok(key))
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "\"%.64s\" cannot be the key of a value", key);
    else
        rc = put_entry(h, key, data, len, revision, d);
    pthread_mutex_unlock(&h->lock);
    return rc;
}

/* --- life ---------------------------------------------------------------------------------------------- */

static void close_end(struct dune_bus *b)
{
    struct end_point *e = end_of(b), **at;

    if (!b)
        return;
    pthread_mutex_lock(&e->hub->lock);
    for (at = &e->hub->first; *at != e; at = &(*at)->next)
        ;
    *at = e->next;
    pthread_mutex_unlock(&e->hub->lock);
    for (size_t i = 0; i < e->queue.len; i++)
        free_item(&e->queue.data[i]);
    DUNE_VEC_FREE(&e->queue);
    for (unsigned i = 0; i < e->n_subs; i++)
        dune_mem_free(e->sub[i].pattern);
    close(e->event);
    dune_mem_free(e);
}

static const struct dune_bus_ops hub_ops = {
    .name = "in-process", .publish = publish, .subscribe = subscribe, .poll = poll_end, .get = get, .put = put,
    .fd = event_fd, .close = close_end,
};

int dune_bus_hub_new(struct dune_bus_hub **out, const char *dir, struct dune_diag *d)
{
    struct dune_bus_hub *h;
    int rc = dir ? dune_mkdirs(dir, d) : 0;

    if (rc)
        return rc;
    h = DUNE_NEW(struct dune_bus_hub);
    pthread_mutex_init(&h->lock, NULL);
    h->dir = dir ? dune_mem_strdup(dir) : NULL;
    *out = h;
    return 0;
}

void dune_bus_hub_free(struct dune_bus_hub *h)
{
    if (!h)
        return;
    for (size_t i = 0; i < h->store.len; i++) {
        dune_mem_free(h->store.data[i].key);
        dune_mem_free(h->store.data[i].data);
    }
    DUNE_VEC_FREE(&h->store);
    dune_mem_free(h->dir);
    pthread_mutex_destroy(&h->lock);
    dune_mem_free(h);
}

struct dune_bus *dune_bus_hub_join(struct dune_bus_hub *h)
{
    struct end_point *e = DUNE_NEW(struct end_point);

    e->base.ops = &hub_ops;
    e->hub = h;
    e->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_mutex_lock(&h->lock);
    e->next = h->first;
    h->first = e;
    pthread_mutex_unlock(&h->lock);
    return &e->base;
}

void dune_bus_hub_set_faults(struct dune_bus_hub *h, const struct dune_bus_faults *f)
{
    pthread_mutex_lock(&h->lock);
    h->faults = *f;
    dune_rng_init(&h->rng, f->seed, 71, 0, 0);
    pthread_mutex_unlock(&h->lock);
}
