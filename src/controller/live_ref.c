/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device in this process, reference or fast, as a live one: it may hold no plan at all, then it forwards, strips shims at
 * its edges and lets none in. Counters outlive the plans.
 */
#include "controller/ctl_int.h"
#include "targets/fast/dune_fast.h"

#include <string.h>

/* What runs a plan: dune/device.h and its twin of the fast engine. */
struct kind {
    int (*new)(void **out, const struct dune_plan *p, uint16_t index, const struct dune_chain_opts *o, struct dune_diag *d);
    void (*free)(void *dev);
    void (*on_digest)(void *dev, dune_digest_fn fn, void *ctx);
    int (*load)(void *dev, const struct dune_plan *p, struct dune_diag *d);
    int (*stamp)(void *dev, uint16_t generation, uint32_t share, uint64_t now, struct dune_diag *d);
    uint64_t (*drain_until)(const void *dev);
    int (*unload)(void *dev, uint16_t generation, struct dune_diag *d);
    void (*put_rule)(void *dev, const struct dune_digest *dg, uint64_t from);
    void (*counters)(const void *dev, struct dune_counters *out);
    void (*process)(void *dev, const struct dune_device_in *in, struct dune_device_out *out);
    void (*burst)(void *dev, const struct dune_device_in *in, unsigned n, struct dune_device_out *out); /* NULL: one by one */
};
#define KIND(prefix)                                                                                                       \
    static int prefix##_new(void **out, const struct dune_plan *p, uint16_t i, const struct dune_chain_opts *o,           \
                            struct dune_diag *d)                                                                           \
    {                                                                                                                      \
        struct dune_##prefix##_device *dev = NULL;                                                                         \
        int rc = dune_##prefix##_device_new(&dev, p, i, o, d);                                                             \
                                                                                                                           \
        *out = dev;                                                                                                        \
        return rc;                                                                                                         \
    }                                                                                                                      \
    static void prefix##_free(void *dev)                                                                                   \
    {                                                                                                                      \
        dune_##prefix##_device_free(dev);                                                                                  \
    }                                                                                                                      \
    static void prefix##_on_digest(void *dev, dune_digest_fn fn, void *ctx)                                                \
    {                                                                                                                      \
        dune_##prefix##_device_on_digest(dev, fn, ctx);                                                                    \
    }                                                                                                                      \
    static int prefix##_load(void *dev, const struct dune_plan *p, struct dune_diag *d)                                    \
    {                                                                                                                      \
        return dune_##prefix##_device_load(dev, p, d);                                                                     \
    }                                                                                                                      \
    static int prefix##_stamp(void *dev, uint16_t g, uint32_t share, uint64_t now, struct dune_diag *d)                    \
    {                                                                                                                      \
        return dune_##prefix##_device_stamp_share(dev, g, share, now, d);                                                  \
    }                                                                                                                      \
    static uint64_t prefix##_drain_until(const void *dev)                                                                  \
    {                                                                                                                      \
        return dune_##prefix##_device_drain_until(dev);                                                                    \
    }                                                                                                                      \
    static int prefix##_unload(void *dev, uint16_t g, struct dune_diag *d)                                                 \
    {                                                                                                                      \
        return dune_##prefix##_device_unload(dev, g, d);                                                                   \
    }                                                                                                                      \
    static void prefix##_put_rule(void *dev, const struct dune_digest *dg, uint64_t from)                                  \
    {                                                                                                                      \
        dune_##prefix##_device_put_rule(dev, dg, from);                                                                    \
    }                                                                                                                      \
    static void prefix##_process(void *dev, const struct dune_device_in *in, struct dune_device_out *out)                  \
    {                                                                                                                      \
        dune_##prefix##_device_process(dev, in, out);                                                                      \
    }
KIND(ref)
KIND(fast)

static void ref_counters(const void *dev, struct dune_counters *out)
{
    *out = *dune_ref_device_counters(dev);
}

static void fast_counters(const void *dev, struct dune_counters *out)
{
    dune_fast_device_counters(dev, out);
}

static void fast_burst(void *dev, const struct dune_device_in *in, unsigned n, struct dune_device_out *out)
{
    dune_fast_device_burst(dev, in, n, out);
}

static const struct kind ref_kind = {ref_new, ref_free, ref_on_digest, ref_load, ref_stamp, ref_drain_until, ref_unload,
                                     ref_put_rule, ref_counters, ref_process, NULL};
static const struct kind fast_kind = {fast_new, fast_free, fast_on_digest, fast_load, fast_stamp, fast_drain_until,
                                      fast_unload, fast_put_rule, fast_counters, fast_process, fast_burst};

struct dune_live_ref {
    struct dune_live base; /* first */
    struct dune_chain_opts opts;
    const struct kind *kind;
    void *dev; /* NULL: bare */
    struct dune_counters before; /* of devices that are gone, and of bare times */
    uint32_t n_held;
    uint16_t held[2], stamped, position;
    uint32_t share;
    uint16_t ethertype; /* of shims, also when bare */
    dune_digest_fn fn;
    void *ctx;
    dune_answer_fn answer_fn;
    void *answer_ctx;
    bool counting;
    uint64_t hop_p50_ns, hop_p90_ns, hop_p99_ns, lost;
    uint8_t *buf; /* frames of a bare device */
    size_t buf_cap;
    uint8_t *lent; /* frames of a burst that was done one by one */
    size_t lent_cap;
};

static struct dune_live_ref *ref_of(struct dune_live *l)
{
    return (struct dune_live_ref *)l;
}

/* --- generations --------------------------------------------------------------------------------------- */

static int load_first(struct dune_live_ref *r, const struct dune_plan *p, uint16_t position, struct dune_diag *d)
{
    int rc = r->kind->new(&r->dev, p, position, &r->opts, d);

    if (rc)
        return rc;
    r->kind->on_digest(r->dev, r->fn, r->ctx);
    if (r->kind == &ref_kind)
        dune_ref_device_on_answer(r->dev, r->answer_fn, r->answer_ctx);
    else
        dune_fast_device_count(r->dev, r->counting);
    r->position = position;
    r->stamped = p->generation;
    r->share = DUNE_CTL_SHARE;
    r->ethertype = p->shim_ethertype;
    return 0;
}

static int load(struct dune_live *l, const struct dune_plan *p, uint16_t position, struct dune_diag *d)
{
    struct dune_live_ref *r = ref_of(l);
    int rc;

    if (r->dev && position != r->position)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "this device is at position %u, the plan wants it at %u",
                             r->position, position);
    rc = r->dev ? r->kind->load(r->dev, p, d) : load_first(r, p, position, d);
    if (rc == 0)
        r->held[r->n_held++] = p->generation;
    return rc;
}

static int stamp(struct dune_live *l, uint16_t generation, uint32_t share, uint64_t now, struct dune_diag *d)
{
    struct dune_live_ref *r = ref_of(l);
    int rc = r->dev ? r->kind->stamp(r->dev, generation, share, now, d)
                    : dune_diag_set(d, DUNE_E_USAGE, NULL, "generation %u is not held", generation);

    if (rc == 0) {
        r->stamped = generation;
        r->share = share;
    }
    return rc;
}

static void become_bare(struct dune_live_ref *r)
{
    struct dune_counters c;

    r->kind->counters(r->dev, &c);
    dune_ctl_counters_add(&r->before, &c);
    r->kind->free(r->dev);
    r->dev = NULL;
    r->n_held = 0;
    r->stamped = 0;
}

static int unload(struct dune_live *l, uint16_t generation, struct dune_diag *d)
{
    struct dune_live_ref *r = ref_of(l);
    int rc = 0;

    if (r->n_held == 1 && r->held[0] == generation) {
        become_bare(r);
        return 0;
    }
    rc = r->dev ? r->kind->unload(r->dev, generation, d)
                : dune_diag_set(d, DUNE_E_USAGE, NULL, "generation %u is not held", generation);
    if (rc == 0) {
        r->held[0] = r->held[0] == generation ? r->held[1] : r->held[0];
        r->n_held = 1;
    }
    return rc;
}

static void put_rule(struct dune_live *l, const struct dune_digest *dg, uint64_t from)
{
    if (ref_of(l)->dev)
        ref_of(l)->kind->put_rule(ref_of(l)->dev, dg, from);
}

static void on_digest(struct dune_live *l, dune_digest_fn fn, void *ctx)
{
    struct dune_live_ref *r = ref_of(l);

    r->fn = fn;
    r->ctx = ctx;
    if (r->dev)
        r->kind->on_digest(r->dev, fn, ctx);
}

static void on_answer(struct dune_live *l, dune_answer_fn fn, void *ctx)
{
    struct dune_live_ref *r = ref_of(l);

    r->answer_fn = fn;
    r->answer_ctx = ctx;
    if (r->dev)
        dune_ref_device_on_answer(r->dev, fn, ctx);
}

static void fast_count(struct dune_live *l, bool on)
{
    struct dune_live_ref *r = ref_of(l);

    r->counting = on;
    if (r->dev)
        dune_fast_device_count(r->dev, on);
}

static bool fast_drift(struct dune_live *l, const struct dune_plan *p, struct dune_drift_counts *out)
{
    const struct dune_live_ref *r = ref_of(l);

    return r->dev && dune_fast_device_drift(r->dev, p->generation, out);
}

static void status(const struct dune_live *l, struct dune_live_status *out)
{
    const struct dune_live_ref *r = (const struct dune_live_ref *)l;

    memset(out, 0, sizeof(*out));
    out->n_held = r->n_held;
    memcpy(out->held, r->held, sizeof(out->held));
    out->position = r->position;
    out->hop_p50_ns = r->hop_p50_ns;
    out->hop_p90_ns = r->hop_p90_ns;
    out->hop_p99_ns = r->hop_p99_ns;
    out->lost = r->lost;
    out->stamped = r->stamped;
    out->share = r->dev ? r->share : 0;
    out->drain_until = r->dev && r->n_held == 2 ? r->kind->drain_until(r->dev) : 0;
}

static void counters(const struct dune_live *l, struct dune_counters *out)
{
    const struct dune_live_ref *r = (const struct dune_live_ref *)l;
    struct dune_counters c;

    *out = r->before;
    if (!r->dev)
        return;
    r->kind->counters(r->dev, &c);
    dune_ctl_counters_add(out, &c);
}

static void close_live(struct dune_live *l)
{
    if (!l)
        return;
    if (ref_of(l)->dev)
        ref_of(l)->kind->free(ref_of(l)->dev);
    dune_mem_free(ref_of(l)->buf);
    dune_mem_free(ref_of(l)->lent);
    dune_mem_free(l);
}

uint16_t dune_live_ref_ethertype(const struct dune_live *l)
{
    return ((const struct dune_live_ref *)l)->ethertype;
}

void dune_live_ref_set_hop(struct dune_live *l, uint64_t p50_ns, uint64_t p90_ns, uint64_t p99_ns, uint64_t lost)
{
    struct dune_live_ref *r = ref_of(l);

    r->hop_p50_ns = p50_ns;
    r->hop_p90_ns = p90_ns;
    r->hop_p99_ns = p99_ns;
    r->lost = lost;
}

/* --- packets ------------------------------------------------------------------------------------------- */

/*
 * Without a plan. On the way from an edge into the chain a shim can only be forged: dropped, because
 * without a plan there is no generation to wrap it in. On the way out of the chain one shim is removed.
 */
static void bare(struct dune_live_ref *r, const struct dune_device_in *in, struct dune_device_out *out)
{
    struct dune_counters *c = &r->before;
    uint32_t at;
    bool shim = dune_shim_find(in->data, in->cap_len, 2, r->ethertype, &at);

    memset(out, 0, sizeof(*out));
    out->trace.tick = in->tick;
    out->trace.steer_port = out->trace.mirror_port = DUNE_NO_PORT;
    out->trace.reason = DUNE_REASON_SHIM_INSIDE;
    c->in++;
    if (shim && in->port == DUNE_PORT_EDGE) {
        c->shim_at_edge++;
        c->dropped_edge_shim++;
        out->trace.fate = DUNE_FATE_DROPPED_EDGE_SHIM;
        out->trace.dropped = true;
        return;
    }
    if (shim && in->cap_len - at < DUNE_SHIM_BYTES) {
        c->shim_bad++;
        c->dropped_bad_shim++;
        out->trace.fate = DUNE_FATE_DROPPED_BAD_SHIM;
        out->trace.dropped = true;
        return;
    }
    out->trace.fate = DUNE_FATE_GENERATION_MISSING;
    c->generation_missing++;
    c->out++;
    if (in->cap_len + 1 > r->buf_cap) {
        r->buf_cap = (in->cap_len + 1) * 2;
        r->buf = dune_mem_realloc(r->buf, r->buf_cap, 1);
    }
    memcpy(r->buf, in->data, in->cap_len);
    *out = (struct dune_device_out){.data = r->buf, .cap_len = in->cap_len, .wire_len = in->wire_len,
                                    .trace = out->trace};
    if (!shim)
        return;
    c->shim_read++;
    if (in->out_port == DUNE_PORT_CHAIN || r->opts.keep_shim) {
        c->shim_kept++;
        return;
    }
    c->shim_stripped++;
    memmove(r->buf + DUNE_SHIM_BYTES, r->buf, at - 2);
    out->data = r->buf + DUNE_SHIM_BYTES;
    out->cap_len -= DUNE_SHIM_BYTES;
    out->wire_len -= DUNE_MIN(out->wire_len, DUNE_SHIM_BYTES);
}

void dune_live_ref_process(struct dune_live *l, const struct dune_device_in *in, struct dune_device_out *out)
{
    struct dune_live_ref *r = ref_of(l);

    if (r->dev)
        r->kind->process(r->dev, in, out);
    else
        bare(r, in, out);
}

void dune_live_ref_burst(struct dune_live *l, const struct dune_device_in *in, unsigned n, struct dune_device_out *out)
{
    struct dune_live_ref *r = ref_of(l);
    size_t want = 0, at = 0;

    if (r->dev && r->kind->burst) {
        r->kind->burst(r->dev, in, n, out);
        return;
    }
    for (unsigned i = 0; i < n; i++)
        want += in[i].cap_len + (size_t)DUNE_SHIM_BYTES + 1;
    if (want > r->lent_cap) {
        r->lent_cap = 2 * want;
        r->lent = dune_mem_realloc(r->lent, r->lent_cap, 1);
    }
    for (unsigned i = 0; i < n; i++) {
        dune_live_ref_process(l, &in[i], &out[i]);
        if (!out[i].data)
            continue;
        memcpy(r->lent + at, out[i].data, out[i].cap_len);
        out[i].data = r->lent + at;
        at += out[i].cap_len;
    }
}

static const struct dune_live_ops ref_ops = {
    .name = "reference", .shares = true, .sees_packets = true, .load = load, .stamp = stamp, .unload = unload, .put_rule = put_rule,
    .on_digest = on_digest, .on_answer = on_answer, .status = status, .counters = counters, .close = close_live,
};

static const struct dune_live_ops fast_ops = {
    .name = "fast", .shares = true, .sees_packets = true, .load = load, .stamp = stamp, .unload = unload, .put_rule = put_rule,
    .on_digest = on_digest, .count = fast_count, .drift = fast_drift, .status = status, .counters = counters, .close = close_live,
};

static struct dune_live *new_live(const struct dune_live_ops *ops, const struct kind *kind, const struct dune_chain_opts *o)
{
    struct dune_live_ref *r = DUNE_NEW(struct dune_live_ref);

    r->base.ops = ops;
    r->kind = kind;
    r->ethertype = DUNE_ETHERTYPE_SHIM_DEFAULT;
    if (o)
        r->opts = *o;
    return &r->base;
}

struct dune_live *dune_live_ref_new(const struct dune_chain_opts *o)
{
    return new_live(&ref_ops, &ref_kind, o);
}

struct dune_live *dune_live_fast_new(const struct dune_chain_opts *o)
{
    return new_live(&fast_ops, &fast_kind, o);
}
