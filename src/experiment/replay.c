/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The replay: for each capture of each file, first its true flows, then its packets through the chain.
 *
 *   file -> records of one capture -> truth: flow number and label of every packet
 *                                  -> new_capture, bursts of 64 -> verdicts -> CSV, pcap, scores
 */
#include "experiment/replay_int.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct rec { /* what is kept of a record while its capture is replayed */
    const uint8_t *data;
    uint64_t ts_ns;
    uint32_t cap_len, wire_len;
};

struct timing {
    float ns; /* per packet, mean of the burst */
    uint32_t packets;
};

struct replay {
    const struct dune_plan *plan;
    const struct dune_replay_opts *o;
    struct dune_replay *r;
    struct dune_chain *chain;
    struct dune_truth *truth;
    struct rp_score score;
    struct rp_out out;
    struct rp_flows flows;
    struct dune_progress progress;
    DUNE_VEC(struct timing) timing;
    /* the capture under way */
    const char *file;
    unsigned components;           /* of the path that name a file */
    const struct dune_piece *piece; /* NULL: the file is one capture */
    const char *capture;           /* its name in outputs, in names */
    struct dune_arena names;
    uint64_t base; /* index of its first packet in the file */
    DUNE_VEC(struct rec) rec;
    DUNE_VEC(uint64_t) flow; /* [packets] */
    uint64_t flow0;          /* first flow of the capture */
    DUNE_VEC(uint64_t) pos;  /* [flows of the capture]: packets seen so far */
    DUNE_VEC(uint32_t) cls;  /* [flows of the capture]: UINT32_MAX: without a class, LEFT_OUT */
    uint64_t n_classed;      /* flows with a class so far */
};

/* --- one capture --------------------------------------------------------------------------------------- */

#define LEFT_OUT (UINT32_MAX - 1)

static uint64_t flow_of(struct replay *x, const struct rec *rec)
{
    struct dune_label_ctx ctx = {.file = x->file, .capture = x->piece ? x->piece->name : NULL,
                                 .ts_ns = rec->ts_ns};
    struct dune_packet p;
    bool conflict = false;
    uint32_t cls;

    if (dune_packet_parse(&p, rec->data, rec->cap_len, &dune_parser_limits_default, 0))
        return DUNE_NO_FLOW;
    cls = dune_labels_lookup(x->o->labels, &ctx, rec->data, &p, &conflict);
    x->r->label_conflicts += conflict;
    return dune_truth_add(x->truth, &p, dune_tick(rec->ts_ns), cls);
}

/* The class that a true flow is scored as. */
static uint32_t class_of(struct replay *x, uint64_t flow)
{
    uint32_t label = dune_truth_class(x->truth, flow);
    uint32_t cls = x->score.of_label[label == DUNE_LABEL_NONE ? x->score.n_labels : label];
    uint64_t i = x->n_classed;

    if (cls == UINT32_MAX)
        return cls;
    x->n_classed++;
    return x->o->flow_use && (i >= x->o->n_flow_use || !x->o->flow_use[i]) ? LEFT_OUT : cls;
}

static void find_truth(struct replay *x)
{
    x->flow.len = 0;
    if (!x->truth)
        return;
    x->flow0 = dune_truth_n_flows(x->truth);
    for (size_t i = 0; i < x->rec.len; i++)
        DUNE_VEC_PUSH(&x->flow, flow_of(x, &x->rec.data[i]));
    dune_truth_boundary(x->truth);
    x->pos.len = 0;
    x->cls.len = 0;
    for (uint64_t f = x->flow0; f < dune_truth_n_flows(x->truth); f++) {
        DUNE_VEC_PUSH(&x->pos, 0);
        DUNE_VEC_PUSH(&x->cls, class_of(x, f));
        x->r->unlabelled_flows += x->cls.data[f - x->flow0] == UINT32_MAX;
    }
}

static void count_verdict(struct dune_replay *r, const struct dune_verdict *v)
{
    r->packets++;
    r->by_reason[v->reason]++;
    r->not_inferable += v->fate == DUNE_FATE_NOT_INFERABLE || v->fate == DUNE_FATE_DROPPED_EDGE_SHIM;
    r->filtered += v->fate == DUNE_FATE_FILTERED;
    r->too_big += v->fate == DUNE_FATE_TOO_BIG;
    r->dropped += v->dropped;
    if (!v->inferable)
        return;
    r->inferable++;
    r->tentative += v->cls && v->flags & DUNE_SHIM_TENTATIVE;
    r->claimed += v->cls && !(v->flags & DUNE_SHIM_TENTATIVE);
    r->unclaimed += v->cls == 0;
    r->settled += (v->flags & DUNE_SHIM_FINAL) && (v->flags & DUNE_SHIM_SETTLED);
    r->rule_hits += v->rule_hit;
    r->collided += (v->flags & DUNE_SHIM_COLLISION) != 0;
}

static void find_flow(struct replay *x, struct dune_replay_packet *p, size_t i)
{
    p->flow = x->truth ? x->flow.data[i] : DUNE_NO_FLOW;
    p->truth = UINT32_MAX;
    if (p->flow == DUNE_NO_FLOW)
        return;
    p->flow_pos = ++x->pos.data[p->flow - x->flow0];
    p->flow_len = dune_truth_len(x->truth, p->flow);
    p->truth = x->cls.data[p->flow - x->flow0];
    x->r->unlabelled_packets += p->truth == UINT32_MAX;
    p->truth = p->truth == LEFT_OUT ? UINT32_MAX : p->truth;
}

/* Target traffic is what the plan is asked about: what its filter leaves out is not scored. */
static void take_verdict(struct replay *x, size_t i, const struct dune_chain_packet *in, const struct dune_verdict *v)
{
    const struct rec *rec = &x->rec.data[i];
    struct dune_replay_packet p = {.file = x->file, .capture = x->capture, .index = x->base + i,
                                   .tick = dune_tick(rec->ts_ns), .verdict = v, .data = rec->data,
                                   .cap_len = rec->cap_len, .wire_len = rec->wire_len, .ts_ns = rec->ts_ns,
                                   .chain_ns = (double)x->timing.data[x->timing.len - 1].ns};

    find_flow(x, &p, i);
    count_verdict(x->r, v);
    if (p.truth != UINT32_MAX && v->fate != DUNE_FATE_FILTERED && !x->o->no_scores)
        dune_rp_score_add(&x->score, p.flow, p.flow_pos, p.flow_len, p.truth, v);
    dune_rp_out_verdict(&x->out, &p);
    dune_rp_flows_add(&x->flows, in, x->rec.data[i].ts_ns, v);
    if (x->o->on_packet)
        x->o->on_packet(x->o->on_packet_ctx, &p);
    if (x->o->look)
        x->o->look(x->o->look_ctx, &p);
}

static int run_burst(struct replay *x, size_t at, unsigned n, struct dune_diag *d)
{
    struct dune_chain_packet pkt[DUNE_BURST_MAX];
    struct dune_chain_frame frame[DUNE_BURST_MAX];
    struct dune_verdict v[DUNE_BURST_MAX];
    uint64_t start, bytes = 0;
    int rc;

    for (unsigned i = 0; i < n; i++) {
        const struct rec *rec = &x->rec.data[at + i];

        pkt[i] = (struct dune_chain_packet){rec->data, rec->cap_len, rec->wire_len,
                                            dune_tick(rec->ts_ns)};
        x->r->bytes += rec->wire_len;
        bytes += rec->cap_len + 16; /* as in the file */
    }
    start = dune_now_ns();
    rc = x->chain->ops->burst(x->chain, pkt, n, v, x->out.pcap ? frame : NULL, d);
    DUNE_VEC_PUSH(&x->timing, ((struct timing){(float)(dune_now_ns() - start) / (float)n, n}));
    dune_progress_add(&x->progress, bytes);
    for (unsigned i = 0; rc == 0 && i < n; i++) {
        take_verdict(x, at + i, &pkt[i], &v[i]);
        if (x->out.pcap)
            rc = dune_rp_out_frame(&x->out, x->rec.data[at + i].ts_ns, &frame[i], d);
    }
    return rc;
}

static void name_capture(struct replay *x)
{
    char *name = dune_capture_name(x->file, x->components, x->piece);

    x->capture = dune_arena_strdup(&x->names, name);
    dune_mem_free(name);
}

static int run_capture(struct replay *x, struct dune_diag *d)
{
    int rc = 0;

    name_capture(x);
    find_truth(x);
    x->chain->ops->new_capture(x->chain);
    for (size_t at = 0; rc == 0 && at < x->rec.len; at += DUNE_BURST_MAX) {
        if (dune_interrupted() || (x->o->stop && x->o->stop(x->o->stop_ctx)))
            return dune_diag_set(d, DUNE_E_INTERRUPTED, x->file, "interrupted");
        rc = run_burst(x, at, (unsigned)DUNE_MIN(x->rec.len - at, DUNE_BURST_MAX), d);
    }
    if (x->truth)
        dune_rp_score_end_capture(&x->score);
    x->r->captures++;
    return rc ? rc : dune_rp_flows_end_capture(&x->flows, x->capture, d);
}

/* --- files ------------------------------------------------------------------------------------------------ */

/* Reads up to max records; *more: the file may go on. */
static int read_records(struct replay *x, struct dune_reader *reader, uint64_t max, bool *more,
                        struct dune_diag *d)
{
    struct dune_record r;
    int rc = 1;

    x->rec.len = 0;
    while (x->rec.len < max) {
        rc = dune_reader_next(reader, &r, d);
        if (rc <= 0)
            break;
        DUNE_VEC_PUSH(&x->rec, ((struct rec){r.data, r.ts_ns, r.cap_len, r.wire_len}));
    }
    *more = rc == 1;
    return rc < 0 ? rc : 0;
}

static int whole_file(struct replay *x, struct dune_reader *reader, struct dune_diag *d)
{
    bool more;
    int rc = read_records(x, reader, UINT64_MAX, &more, d);

    x->piece = NULL;
    x->base = 0;
    return rc ? rc : run_capture(x, d);
}

static int by_pieces(struct replay *x, struct dune_reader *reader, const struct dune_piece *piece,
                     size_t n, struct dune_diag *d)
{
    bool more = true;
    int rc = 0;

    x->base = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = read_records(x, reader, piece[i].n_packets, &more, d);
        if (rc == 0 && x->rec.len < piece[i].n_packets)
            return dune_diag_set(d, DUNE_E_INPUT, x->file,
                                 "capture \"%s\" has %llu packets in the list of captures, the file "
                                 "ends after %zu of them",
                                 piece[i].name, (unsigned long long)piece[i].n_packets, x->rec.len);
        x->piece = &piece[i];
        if (rc == 0)
            rc = run_capture(x, d);
        x->base += piece[i].n_packets;
    }
    if (rc == 0)
        rc = read_records(x, reader, 1, &more, d);
    if (rc == 0 && x->rec.len)
        return dune_diag_set(d, DUNE_E_INPUT, x->file,
                             "the list of captures ends after %llu packets, the file does not",
                             (unsigned long long)x->base);
    return rc;
}

static int run_file(struct replay *x, const char *path, struct dune_diag *d)
{
    const struct dune_piece *piece = NULL;
    struct dune_reader *reader = NULL;
    size_t n = 0;
    int rc = 0;

    x->file = path;
    if (x->o->captures)
        rc = dune_captures_pieces(x->o->captures, path, &piece, &n);
    if (rc)
        return dune_diag_set(d, rc, path, "the list of captures names it in several splits");
    if (x->o->captures && n == 0)
        return dune_diag_set(d, DUNE_E_INPUT, path, "not in the list of captures");
    rc = dune_reader_open(&reader, path, d);
    if (rc == 0)
        rc = n ? by_pieces(x, reader, piece, n, d) : whole_file(x, reader, d);
    dune_reader_close(reader);
    return rc;
}

/* --- the result --------------------------------------------------------------------------------------------- */

static int by_ns(const void *a, const void *b)
{
    float x = ((const struct timing *)a)->ns, y = ((const struct timing *)b)->ns;

    return (x > y) - (x < y);
}

static double quantile_ns(const struct replay *x, double q)
{
    double want = q * (double)x->r->packets, seen = 0;

    for (size_t i = 0; i < x->timing.len; i++) {
        seen += x->timing.data[i].packets;
        if (seen >= want)
            return (double)x->timing.data[i].ns;
    }
    return 0;
}

static void finish_timing(struct replay *x)
{
    double sum = 0;

    if (x->r->packets == 0)
        return;
    for (size_t i = 0; i < x->timing.len; i++)
        sum += (double)x->timing.data[i].ns * x->timing.data[i].packets;
    qsort(x->timing.data, x->timing.len, sizeof(*x->timing.data), by_ns);
    x->r->ns_mean = sum / (double)x->r->packets;
    x->r->ns_p50 = quantile_ns(x, 0.50);
    x->r->ns_p99 = quantile_ns(x, 0.99);
}

static int finish(struct replay *x, struct dune_diag *d)
{
    struct dune_replay *r = x->r;
    int rc;

    r->device = DUNE_NEW_N(struct dune_counters, r->n_devices);
    for (uint32_t i = 0; i < r->n_devices; i++) {
        x->chain->ops->counters(x->chain, i, &r->device[i]);
        r->mirrored += r->device[i].mirrored;
    }
    rc = dune_counters_check(r->device, r->n_devices, true, d);
    if (rc == 0 && (r->device[0].in != r->packets ||
                    r->packets != r->not_inferable + r->filtered + r->too_big + r->inferable))
        rc = dune_diag_set(d, DUNE_E_INTERNAL, NULL, "the packets of the replay do not add up");
    if (rc == 0 && x->o->flow_use && x->n_classed != x->o->n_flow_use)
        rc = dune_diag_set(d, DUNE_E_INTERNAL, NULL, "%llu flows of the captures have a class, not the %llu of the "
                           "data set", (unsigned long long)x->n_classed, (unsigned long long)x->o->n_flow_use);
    if (rc == 0 && x->truth && !x->o->no_scores && x->score.n_flows == 0)
        rc = dune_diag_set(d, DUNE_E_INPUT, NULL,
                           r->unlabelled_flows == dune_truth_n_flows(x->truth)
                               ? "no packet of the captures has a label: do labels and captures "
                                 "belong together?"
                               : "the plan's filter leaves out every labelled packet");
    if (rc)
        return rc;
    finish_timing(x);
    if (x->truth && !x->o->no_scores)
        dune_rp_score_finish(&x->score, r, x->o->bootstrap_draws ? x->o->bootstrap_draws : 1000,
                             x->o->seed);
    rc = dune_rp_out_commit(&x->out, d);
    return rc ? rc : dune_rp_flows_commit(&x->flows, d);
}

static struct dune_replay *new_result(const struct dune_plan *p, const struct dune_engine_ops *ops)
{
    struct dune_replay *r = DUNE_NEW(struct dune_replay);

    r->solution = dune_mem_strdup(p->provenance.solution ? p->provenance.solution
                                  : p->name              ? p->name
                                                         : "plan");
    r->engine = ops->name;
    r->n_devices = p->n_devices;
    r->device_name = DUNE_NEW_N(char *, p->n_devices);
    for (uint32_t i = 0; i < p->n_devices; i++)
        r->device_name[i] = dune_mem_strdup(p->device[i].name);
    r->bootstrap_over = "captures";
    return r;
}

static int listen(struct replay *x, const struct dune_engine_ops *ops, struct dune_diag *d)
{
    if (!x->o->on_answer)
        return 0;
    if (ops != &dune_engine_reference)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "only the reference engine tells every answer, not %s", ops->name);
    for (uint32_t i = 0; i < x->plan->n_devices; i++)
        dune_ref_device_on_answer(dune_ref_chain_device(x->chain, i), x->o->on_answer, x->o->on_answer_ctx);
    return 0;
}

static uint64_t total_bytes(const char *const *paths, size_t n)
{
    uint64_t sum = 0;
    struct stat st;

    for (size_t i = 0; i < n; i++)
        sum += stat(paths[i], &st) == 0 ? (uint64_t)st.st_size : 0;
    return sum;
}

static void fini(struct replay *x)
{
    if (x->chain)
        x->chain->ops->close(x->chain);
    dune_rp_out_abort(&x->out);
    dune_rp_flows_fini(&x->flows);
    dune_truth_free(x->truth);
    dune_rp_score_fini(&x->score);
    dune_arena_fini(&x->names);
    DUNE_VEC_FREE(&x->timing);
    DUNE_VEC_FREE(&x->rec);
    DUNE_VEC_FREE(&x->flow);
    DUNE_VEC_FREE(&x->pos);
    DUNE_VEC_FREE(&x->cls);
}

int dune_replay_run(struct dune_replay **out, const struct dune_plan *p, const char *const *paths,
                    size_t n_paths, const struct dune_replay_opts *o, struct dune_diag *d)
{
    static const struct dune_replay_opts defaults;
    struct replay x = {.plan = p, .o = o ? o : &defaults};
    const struct dune_engine_ops *ops;
    int rc = dune_engine_get(&ops, x.o->engine ? x.o->engine : "reference", d);

    if (rc)
        return rc;
    x.r = new_result(p, ops);
    rc = ops->open(&x.chain, p, &x.o->chain, d);
    if (rc == 0)
        rc = listen(&x, ops, d);
    if (rc == 0)
        rc = dune_rp_out_open(&x.out, p, x.o, d);
    if (rc == 0)
        rc = dune_rp_flows_open(&x.flows, p, x.o->feed, d);
    if (x.o->labels) {
        x.truth = dune_truth_new(p->timeout);
        dune_rp_score_init(&x.score, p, x.o);
    }
    x.components = dune_capture_components(paths, n_paths);
    dune_progress_start(&x.progress, "replay", total_bytes(paths, n_paths));
    for (size_t i = 0; rc == 0 && i < n_paths; i++)
        rc = run_file(&x, paths[i], d);
    dune_progress_end(&x.progress);
    if (rc == 0)
        rc = finish(&x, d);
    fini(&x);
    if (rc == 0)
        *out = x.r;
    else
        dune_replay_free(x.r);
    return rc;
}

static void free_names(char **name, uint32_t n)
{
    for (uint32_t i = 0; name && i < n; i++)
        dune_mem_free(name[i]);
    dune_mem_free(name);
}

static void fini_level(struct dune_replay_level *l)
{
    dune_mem_free(l->cls);
    dune_confusion_fini(&l->confusion);
}

void dune_replay_free(struct dune_replay *r)
{
    if (!r)
        return;
    free_names(r->class_name, r->n_classes);
    free_names(r->device_name, r->n_devices);
    fini_level(&r->flow);
    fini_level(&r->packet);
    dune_mem_free(r->device);
    dune_mem_free(r->solution);
    dune_mem_free(r);
}
