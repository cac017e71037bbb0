/* SPDX-License-Identifier: Apache-2.0 */
/* libdune: packets and captures through the devices of a plan. */
#include "dune/dune.h"

#include "base/base.h"
#include "dune/capture.h"
#include "dune/engine.h"

struct dune_classifier {
    struct dune_chain *chain;
};

const char *dune_result_reason(unsigned reason)
{
    return reason < DUNE_N_REASONS ? dune_reason_name((enum dune_reason)reason) : NULL;
}

int dune_classifier_new(struct dune_classifier **out, const struct dune_plan *p,
                        const struct dune_classifier_options *o, struct dune_diag *d)
{
    struct dune_chain_opts opts = {.slots = o ? o->slots : 0, .ways = o ? o->ways : 0, .threads = 1};
    const struct dune_engine_ops *ops;
    struct dune_chain *chain;
    int rc = dune_engine_get(&ops, o && o->engine ? o->engine : "fast", d);

    if (rc == 0)
        rc = ops->open(&chain, p, &opts, d);
    if (rc)
        return rc;
    *out = DUNE_NEW(struct dune_classifier);
    (*out)->chain = chain;
    return 0;
}

void dune_classifier_free(struct dune_classifier *c)
{
    if (!c)
        return;
    c->chain->ops->close(c->chain);
    dune_mem_free(c);
}

void dune_classifier_reset(struct dune_classifier *c)
{
    c->chain->ops->new_capture(c->chain);
}

static struct dune_result result_of(const struct dune_verdict *v)
{
    struct dune_result r = {.reason = v->reason, .device = DUNE_RESULT_NOWHERE};

    r.flags = v->dropped ? DUNE_RESULT_DROPPED : 0;
    if (!v->inferable)
        return r;
    r.cls = v->cls;
    r.confidence = v->conf;
    r.submodel = v->submodel;
    r.device = v->device;
    r.flags |= DUNE_RESULT_INFERABLE;
    r.flags |= v->flags & DUNE_SHIM_FINAL ? DUNE_RESULT_FINAL : 0;
    r.flags |= v->flags & DUNE_SHIM_TENTATIVE ? DUNE_RESULT_TENTATIVE : 0;
    r.flags |= v->flags & DUNE_SHIM_SETTLED ? DUNE_RESULT_SETTLED : 0;
    r.flags |= v->flags & DUNE_SHIM_COLLISION ? DUNE_RESULT_COLLISION : 0;
    r.flags |= v->flags & DUNE_SHIM_FL ? DUNE_RESULT_FLOW_LEVEL : 0;
    return r;
}

static int classify_burst(struct dune_classifier *c, const struct dune_input *in, unsigned n, struct dune_result *out,
                          struct dune_diag *d)
{
    struct dune_chain_packet pkt[DUNE_BURST_MAX] = {{0}};
    struct dune_verdict v[DUNE_BURST_MAX];
    int rc;

    for (unsigned i = 0; i < n; i++)
        pkt[i] = (struct dune_chain_packet){in[i].data, in[i].cap_len, in[i].wire_len ? in[i].wire_len : in[i].cap_len,
                                            dune_tick(in[i].ts_ns)};
    rc = c->chain->ops->burst(c->chain, pkt, n, v, NULL, d);
    for (unsigned i = 0; rc == 0 && i < n; i++)
        out[i] = result_of(&v[i]);
    return rc;
}

int dune_classify(struct dune_classifier *c, const struct dune_input *in, size_t n, struct dune_result *out,
                  struct dune_diag *d)
{
    int rc = 0;

    for (size_t at = 0; rc == 0 && at < n; at += DUNE_BURST_MAX)
        rc = classify_burst(c, in + at, (unsigned)DUNE_MIN(n - at, DUNE_BURST_MAX), out + at, d);
    return rc;
}

/* --- captures ------------------------------------------------------------------------------------------- */

static int hand_over(struct dune_classifier *c, const struct dune_input *in, unsigned n, dune_result_fn fn, void *ctx,
                     struct dune_diag *d)
{
    struct dune_result r[DUNE_BURST_MAX];
    int rc = n ? classify_burst(c, in, n, r, d) : 0;

    if (rc == 0 && n && fn(ctx, in, r, n))
        rc = dune_diag_set(d, DUNE_E_INTERRUPTED, NULL, "the caller had enough");
    return rc;
}

int dune_classify_capture(struct dune_classifier *c, const char *path, dune_result_fn fn, void *ctx,
                          struct dune_diag *d)
{
    struct dune_input in[DUNE_BURST_MAX];
    struct dune_reader *reader = NULL;
    struct dune_record rec;
    unsigned n = 0;
    int rc = dune_reader_open(&reader, path, d), got = 1;

    dune_classifier_reset(c);
    while (rc == 0 && (got = dune_reader_next(reader, &rec, d)) > 0) {
        in[n++] = (struct dune_input){rec.data, rec.cap_len, rec.wire_len, rec.ts_ns};
        if (n < DUNE_BURST_MAX)
            continue;
        rc = hand_over(c, in, n, fn, ctx, d);
        dune_reader_recycle(reader);
        n = 0;
    }
    if (rc == 0 && got < 0)
        rc = got;
    if (rc == 0)
        rc = hand_over(c, in, n, fn, ctx, d);
    dune_reader_close(reader);
    return rc;
}
