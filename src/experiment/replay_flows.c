/* SPDX-License-Identifier: Apache-2.0 */
/* The feed of a replay: every flow of target traffic once, at its end, with the verdict of its last packet. */
#include "experiment/replay_int.h"

#include <string.h>

int dune_rp_flows_open(struct rp_flows *x, const struct dune_plan *p, const char *spec, struct dune_diag *d)
{
    int rc;

    memset(x, 0, sizeof(*x));
    if (!spec)
        return 0;
    rc = dune_feed_open(&x->feed, spec, true, d);
    if (rc == 0) {
        x->plan = p;
        x->truth = dune_truth_new(p->timeout);
    }
    return rc;
}

void dune_rp_flows_add(struct rp_flows *x, const struct dune_chain_packet *in, uint64_t ts_ns,
                       const struct dune_verdict *v)
{
    struct dune_packet p;
    struct rp_flow *f;
    uint64_t at;

    if (!x->feed || !v->inferable || dune_packet_parse(&p, in->data, in->cap_len, &x->plan->parser, 0))
        return;
    at = dune_truth_add(x->truth, &p, in->tick, 0) - x->first;
    while (x->flow.len <= at)
        DUNE_VEC_PUSH(&x->flow, ((struct rp_flow){.key = p.key, .first_ns = ts_ns}));
    f = &x->flow.data[at];
    f->last_ns = ts_ns;
    f->packets++;
    f->bytes += in->wire_len;
    f->last = *v;
}

int dune_rp_flows_end_capture(struct rp_flows *x, const char *capture, struct dune_diag *d)
{
    const struct dune_plan *p = x->plan;
    int rc = 0;

    if (!x->feed)
        return 0;
    for (size_t i = 0; rc == 0 && i < x->flow.len; i++) {
        const struct rp_flow *f = &x->flow.data[i];
        const struct dune_verdict *v = &f->last;
        struct dune_feed_event e = {
            .kind = DUNE_FEED_FLOW, .time_ns = f->last_ns, .key = f->key, .conf = v->conf, .submodel = v->submodel,
            .cls = v->cls && v->cls <= p->n_classes ? p->cls[v->cls - 1].name : NULL,
            .flow_level = v->flags & DUNE_SHIM_FL, .tentative = v->flags & DUNE_SHIM_TENTATIVE,
            .settled = (v->flags & DUNE_SHIM_FINAL) && (v->flags & DUNE_SHIM_SETTLED),
            .device = v->device < p->n_devices ? p->device[v->device].name : NULL, .generation = v->generation,
            .capture = capture, .first_ns = f->first_ns, .packets = f->packets, .bytes = f->bytes};

        rc = dune_feed_put(x->feed, &e, d);
    }
    x->flow.len = 0;
    dune_truth_boundary(x->truth);
    x->first = dune_truth_n_flows(x->truth);
    return rc;
}

int dune_rp_flows_commit(struct rp_flows *x, struct dune_diag *d)
{
    int rc = x->feed ? dune_feed_commit(x->feed, d) : 0;

    x->feed = NULL;
    return rc;
}

void dune_rp_flows_fini(struct rp_flows *x)
{
    dune_feed_abort(x->feed);
    dune_truth_free(x->truth);
    DUNE_VEC_FREE(&x->flow);
}
