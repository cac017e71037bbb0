/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bus over NATS: subjects for messages, a JetStream key-value bucket for the store. libnats keeps the
 * connection and its threads; messages wait in its queues until poll asks for them.
 */
#include "base/lazy.h"
#include "controller/ctl_int.h"
#include "controller/nats_file.h"

#include <nats/nats.h>
#include <string.h>
#include <unistd.h>

#define NATS_API(F)                                                                                              \
    F(jsCtx_Destroy) F(jsOptions_Init) F(js_CreateKeyValue) F(js_KeyValue) F(kvConfig_Init) F(kvEntry_Destroy)   \
    F(kvEntry_Revision) F(kvEntry_Value) F(kvEntry_ValueLen) F(kvStore_Create) F(kvStore_Destroy) F(kvStore_Get) \
    F(kvStore_Update) F(natsConnection_Connect) F(natsConnection_Destroy) F(natsConnection_FlushTimeout)         \
    F(natsConnection_JetStream) F(natsConnection_Publish) F(natsConnection_Status)                               \
    F(natsConnection_SubscribeSync) F(natsMsg_Destroy) F(natsMsg_GetData) F(natsMsg_GetDataLength)               \
    F(natsMsg_GetSubject) F(natsOptions_Create) F(natsOptions_Destroy) F(natsOptions_LoadCATrustedCertificates)  \
    F(natsOptions_SetAllowReconnect) F(natsOptions_SetMaxReconnect) F(natsOptions_SetName)                       \
    F(natsOptions_SetNoEcho) F(natsOptions_SetReconnectWait) F(natsOptions_SetRetryOnFailedConnect) F(natsOptions_SetSecure)              \
    F(natsOptions_SetTimeout)                                                                                    \
    F(natsOptions_SetURL) F(natsOptions_SetUserCredentialsFromFiles) F(natsStatus_GetText)                       \
    F(natsSubscription_Destroy) F(natsSubscription_NextMsg) F(natsSubscription_SetPendingLimits)                   \
    F(nats_GetLastError) F(nats_GetVersion)
DUNE_LAZY_LIBRARY(nats, NATS_API, DUNE_NATS_FILE, "NATS");

enum {
    SUBS_MAX = 4096,
    WAIT_MS = 500,
    POLL_BURST = 1024,
    QUEUED_MAX = 1 << 19, /* messages of one subscription; the library drops what comes beyond */
};
#define BUCKET "dune"

struct nats_bus {
    struct dune_bus base; /* first */
    natsConnection *nc;
    jsCtx *js;
    kvStore *kv; /* NULL until it is needed and there */
    unsigned n_subs;
    struct nats_sub {
        natsSubscription *sub;
        dune_bus_fn fn;
        void *ctx;
    } *sub;
};

static struct nats_bus *nats_of(struct dune_bus *b)
{
    return (struct nats_bus *)b;
}

static int fail(struct dune_diag *d, natsStatus s, const char *what)
{
    const char *more = nats.nats_GetLastError(NULL);

    return dune_diag_set(d, DUNE_E_ENV, NULL, "NATS: %s: %s%s%s", what, nats.natsStatus_GetText(s), more ? ": " : "",
                         more ? more : "");
}

static bool connected(struct nats_bus *b, struct dune_diag *d)
{
    if (nats.natsConnection_Status(b->nc) == NATS_CONN_STATUS_CONNECTED)
        return true;
    dune_diag_set(d, DUNE_E_ENV, NULL, "NATS: not connected, trying again");
    return false;
}

/* --- messages ------------------------------------------------------------------------------------------ */

static int publish(struct dune_bus *base, const char *subject, const void *data, size_t len, struct dune_diag *d)
{
    struct nats_bus *b = nats_of(base);
    natsStatus s;

    if (len > DUNE_CTL_MESSAGE_MAX)
        return dune_diag_set(d, DUNE_E_INPUT, NULL, "a message of %zu bytes, the bus carries up to %u", len,
                             DUNE_CTL_MESSAGE_MAX);
    if (!connected(b, d))
        return DUNE_E_ENV;
    s = nats.natsConnection_Publish(b->nc, subject, data, (int)len);
    if (s == NATS_MAX_PAYLOAD)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "NATS: a message of %zu bytes is above the server's max_payload", len);
    return s == NATS_OK ? 0 : fail(d, s, subject);
}

static int subscribe(struct dune_bus *base, const char *subject, dune_bus_fn fn, void *ctx, struct dune_diag *d)
{
    struct nats_bus *b = nats_of(base);
    natsStatus s;

    if (b->n_subs == SUBS_MAX)
        return dune_diag_set(d, DUNE_E_INTERNAL, NULL, "more than %d subscriptions", SUBS_MAX);
    b->sub = dune_mem_realloc(b->sub, b->n_subs + 1, sizeof(*b->sub));
    s = nats.natsConnection_SubscribeSync(&b->sub[b->n_subs].sub, b->nc, subject);
    if (s != NATS_OK)
        return fail(d, s, subject);
    (void)nats.natsSubscription_SetPendingLimits(b->sub[b->n_subs].sub, QUEUED_MAX, -1);
    b->sub[b->n_subs].fn = fn;
    b->sub[b->n_subs++].ctx = ctx;
    return 0;
}

/* What waits on one subscription; true when there was something. */
static bool drain(struct nats_bus *b, unsigned i, int timeout_ms)
{
    natsMsg *m = NULL;
    bool any = false;

    for (int n = 0; n < POLL_BURST && nats.natsSubscription_NextMsg(&m, b->sub[i].sub, timeout_ms) == NATS_OK; n++) {
        b->sub[i].fn(b->sub[i].ctx, nats.natsMsg_GetSubject(m), nats.natsMsg_GetData(m), (size_t)nats.natsMsg_GetDataLength(m));
        nats.natsMsg_Destroy(m);
        any = true;
        timeout_ms = 0;
    }
    return any;
}

static int poll_nats(struct dune_bus *base, int timeout_ms, struct dune_diag *d)
{
    struct nats_bus *b = nats_of(base);
    uint64_t end = dune_now_ns() + (uint64_t)DUNE_MAX(timeout_ms, 0) * 1000000u;
    bool any = false;

    do {
        for (unsigned i = 0; i < b->n_subs; i++)
            any |= drain(b, i, 0);
        if (!any && timeout_ms > 0)
            usleep(1000);
    } while (!any && dune_now_ns() < end);
    return connected(b, d) ? 0 : DUNE_E_ENV;
}

/* --- store --------------------------------------------------------------------------------------------- */

static int open_store(struct nats_bus *b, struct dune_diag *d)
{
    kvConfig cfg;
    natsStatus s;

    if (b->kv)
        return 0;
    if (!connected(b, d))
        return DUNE_E_ENV;
    s = nats.js_KeyValue(&b->kv, b->js, BUCKET);
    if (s != NATS_OK) {
        nats.kvConfig_Init(&cfg);
        cfg.Bucket = BUCKET;
        cfg.History = 1;
        s = nats.js_CreateKeyValue(&b->kv, b->js, &cfg);
    }
    return s == NATS_OK ? 0 : fail(d, s, "the key-value store (does the server run with JetStream, -js?)");
}

static int get(struct dune_bus *base, const char *key, struct dune_buf *out, uint64_t *revision, struct dune_diag *d)
{
    struct nats_bus *b = nats_of(base);
    kvEntry *e = NULL;
    natsStatus s;
    int rc = open_store(b, d);

    *revision = 0;
    if (rc)
        return rc;
    if (!connected(b, d))
        return DUNE_E_ENV;
    s = nats.kvStore_Get(&e, b->kv, key);
    if (s == NATS_NOT_FOUND)
        return 0;
    if (s != NATS_OK)
        return fail(d, s, key);
    dune_buf_append(out, nats.kvEntry_Value(e), (size_t)DUNE_MAX(nats.kvEntry_ValueLen(e), 0));
    *revision = nats.kvEntry_Revision(e);
    nats.kvEntry_Destroy(e);
    return 0;
}

/* A refused write and a failed one look alike: somebody was faster when the revision is another one now. */
static int why_not(struct nats_bus *b, const char *key, uint64_t expected, natsStatus s, struct dune_diag *d)
{
    char what[100];
    struct dune_buf text = {0};
    struct dune_diag ignored = {0}, why = {0};
    uint64_t now = 0;
    int rc;

    snprintf(what, sizeof(what), "writing %.80s", key);
    rc = fail(&why, s, what); /* before the next call changes what the library says of its last one */
    if (get(&b->base, key, &text, &now, &ignored) == 0 && now != expected)
        rc = 1;
    else if (d && !d->code)
        *d = why;
    dune_buf_fini(&text);
    return rc;
}

static int put(struct dune_bus *base, const char *key, const void *data, size_t len, uint64_t *revision,
               struct dune_diag *d)
{
    struct nats_bus *b = nats_of(base);
    uint64_t now = 0;
    natsStatus s;
    int rc = open_store(b, d);

    if (rc)
        return rc;
    if (!connected(b, d))
        return DUNE_E_ENV;
    s = *revision ? nats.kvStore_Update(&now, b->kv, key, data, (int)len, *revision)
                  : nats.kvStore_Create(&now, b->kv, key, data, (int)len);
    if (s != NATS_OK)
        return why_not(b, key, *revision, s, d);
    *revision = now;
    return 0;
}

/* --- life ---------------------------------------------------------------------------------------------- */

static int no_fd(struct dune_bus *base)
{
    (void)base;
    return -1;
}

static void close_nats(struct dune_bus *base)
{
    struct nats_bus *b = nats_of(base);

    if (!b)
        return;
    if (b->nc && nats.natsConnection_Status(b->nc) == NATS_CONN_STATUS_CONNECTED)
        nats.natsConnection_FlushTimeout(b->nc, WAIT_MS);
    for (unsigned i = 0; i < b->n_subs; i++)
        nats.natsSubscription_Destroy(b->sub[i].sub);
    nats.kvStore_Destroy(b->kv);
    nats.jsCtx_Destroy(b->js);
    nats.natsConnection_Destroy(b->nc);
    dune_mem_free(b->sub);
    dune_mem_free(b);
}

static const struct dune_bus_ops nats_ops = {
    .name = "nats", .publish = publish, .subscribe = subscribe, .poll = poll_nats, .get = get, .put = put,
    .fd = no_fd, .close = close_nats,
};

static natsStatus set_options(natsOptions *o, const struct dune_bus_nats_cfg *cfg)
{
    natsStatus s = nats.natsOptions_SetURL(o, cfg->url);

    if (s == NATS_OK)
        s = nats.natsOptions_SetName(o, "dune");
    if (s == NATS_OK)
        s = nats.natsOptions_SetNoEcho(o, true);
    if (s == NATS_OK)
        s = nats.natsOptions_SetAllowReconnect(o, true);
    if (s == NATS_OK)
        s = nats.natsOptions_SetMaxReconnect(o, -1); /* for ever */
    if (s == NATS_OK)
        s = nats.natsOptions_SetReconnectWait(o, 200);
    if (s == NATS_OK)
        s = nats.natsOptions_SetTimeout(o, 2000);
    if (s == NATS_OK && cfg->creds)
        s = nats.natsOptions_SetUserCredentialsFromFiles(o, cfg->creds, NULL);
    if (s == NATS_OK && (cfg->ca || strncmp(cfg->url, "tls://", 6) == 0))
        s = nats.natsOptions_SetSecure(o, true);
    if (s == NATS_OK && cfg->ca)
        s = nats.natsOptions_LoadCATrustedCertificates(o, cfg->ca);
    return s;
}

/* With a function to call the library connects by itself when the server comes. */
static void is_there(natsConnection *nc, void *ctx)
{
    (void)nc;
    (void)ctx;
}

static natsStatus connect_later(struct nats_bus *b, natsOptions *o)
{
    natsStatus s = nats.natsOptions_SetRetryOnFailedConnect(o, true, is_there, NULL);

    if (s == NATS_OK)
        s = nats.natsConnection_Connect(&b->nc, o);
    return s == NATS_NOT_YET_CONNECTED ? NATS_OK : s;
}

static natsStatus connect_nats(struct nats_bus *b, const struct dune_bus_nats_cfg *cfg)
{
    natsOptions *o = NULL;
    jsOptions js;
    natsStatus s = nats.natsOptions_Create(&o);

    if (s == NATS_OK)
        s = set_options(o, cfg);
    if (s == NATS_OK)
        s = nats.natsConnection_Connect(&b->nc, o);
    if (s == NATS_NO_SERVER && cfg->may_be_late)
        s = connect_later(b, o);
    nats.natsOptions_Destroy(o);
    nats.jsOptions_Init(&js);
    js.Wait = WAIT_MS;
    return s == NATS_OK ? nats.natsConnection_JetStream(&b->js, b->nc, &js) : s;
}

int dune_bus_nats_connect(struct dune_bus **out, const struct dune_bus_nats_cfg *cfg, struct dune_diag *d)
{
    struct nats_bus *b;
    natsStatus s;
    int rc = dune_bus_nats_check(cfg, d);

    if (rc == 0)
        rc = dune_lazy_open(&nats_lib, d);
    if (rc)
        return rc;
    b = DUNE_NEW(struct nats_bus);
    b->base.ops = &nats_ops;
    s = connect_nats(b, cfg);
    if (s != NATS_OK) {
        rc = fail(d, s, dune_bus_nats_shown(cfg->url));
        close_nats(&b->base);
        return rc;
    }
    *out = &b->base;
    return 0;
}

const char *dune_bus_nats_version(void)
{
    return dune_lazy_open(&nats_lib, NULL) ? NULL : nats.nats_GetVersion();
}
