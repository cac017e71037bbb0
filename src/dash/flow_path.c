/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a flow was judged: its packets are read again and sent alone through a chain of the reference, with the
 * features they had and the way through every tree. An answer is a function of the packet and of its flow's own
 * packets, so this is what the devices saw, but for flows that had no slot or met a rule.
 */
#include "dash/dash_int.h"

#include <string.h>

#include "dune/device.h"

enum { SHOWN_PACKETS = 12, KEPT_PACKETS = 64 };

struct walk {
    const struct dash_scene *s;
    const struct dune_flow_key *key;
    struct dune_jsonw w;
    struct dune_chain *chain;
    struct dune_flow_regs regs;
    bool started;
    unsigned n_shown;
    uint64_t n_packets;
    /* the packet under way */
    struct dune_device_trace trace[DUNE_MAX_DEVICES];
    unsigned n_traces;
};

static void on_trace(void *ctx, const struct dune_device_trace *t)
{
    struct walk *x = ctx;

    if (x->n_traces < DUNE_ARRAY_LEN(x->trace))
        x->trace[x->n_traces++] = *t;
}

/* --- one packet as JSON ------------------------------------------------------------------------------------------ */

static void put_leaf(struct walk *x, const struct dune_plan_leaf *leaf)
{
    const struct dune_plan *p = x->s->plan;

    dune_jsonw_key(&x->w, "leaf");
    dune_jsonw_str(&x->w, leaf->cls == DUNE_PLAN_OTHER ? "Other" : p->cls[leaf->cls - 1].name);
    dune_jsonw_key(&x->w, "confidence"), dune_jsonw_uint(&x->w, leaf->conf);
}

/* [feature, value, threshold, went left] from the root to the leaf. */
static void put_tree(struct walk *x, const struct dune_submodel *sm, const struct dune_plan_tree *tr, const uint32_t *value)
{
    uint32_t at = 0;

    dune_jsonw_obj_inline(&x->w);
    dune_jsonw_key(&x->w, "path");
    dune_jsonw_arr_inline(&x->w);
    while (tr->node[at].feat >= 0) {
        uint8_t feat = sm->feat[tr->node[at].feat].feat;
        bool left = value[feat] <= tr->node[at].threshold;

        dune_jsonw_arr_inline(&x->w);
        dune_jsonw_str(&x->w, dune_catalog[feat].name);
        dune_jsonw_uint(&x->w, value[feat]);
        dune_jsonw_uint(&x->w, tr->node[at].threshold);
        dune_jsonw_bool(&x->w, left);
        dune_jsonw_end(&x->w);
        at = left ? tr->node[at].left : tr->node[at].right;
    }
    dune_jsonw_end(&x->w);
    put_leaf(x, &tr->leaf[tr->node[at].left]);
    dune_jsonw_end(&x->w);
}

/* Features that were 0 for packets that are judged at packet level under mode published, or without state. */
static void features_of(const struct dune_submodel *sm, const struct dune_packet *p, const struct walk *x, uint8_t kind, uint32_t *out)
{
    bool flow = kind == DUNE_ANSWER_FL || (kind == DUNE_ANSWER_PL && sm->mode == DUNE_MODE_RUNNING);

    dune_feature_vector(p, flow ? &x->regs : NULL, out);
}

static void put_answer(struct walk *x, const struct dune_trace_answer *a, const struct dune_packet *p)
{
    static const char *const kinds[] = {"none", "PL", "FL", "stored"};
    const struct dune_plan *plan = x->s->plan;
    const struct dune_submodel *sm = NULL;
    uint32_t value[DUNE_N_FEATURES];

    for (uint32_t i = 0; i < plan->n_submodels; i++)
        if (plan->sub[i].id == a->submodel)
            sm = &plan->sub[i];
    dune_jsonw_obj(&x->w);
    dune_jsonw_key(&x->w, "submodel"), dune_jsonw_uint(&x->w, a->submodel);
    dune_jsonw_key(&x->w, "kind"), dune_jsonw_str(&x->w, a->kind < 4 ? kinds[a->kind] : "?");
    dune_jsonw_key(&x->w, "class"), dune_jsonw_str(&x->w, a->cls ? plan->cls[a->cls - 1].name : NULL);
    dune_jsonw_key(&x->w, "confidence"), dune_jsonw_uint(&x->w, a->conf);
    dune_jsonw_key(&x->w, "claim"), dune_jsonw_bool(&x->w, a->claim);
    dune_jsonw_key(&x->w, "took_part"), dune_jsonw_bool(&x->w, a->combined);
    if (sm && (a->kind == DUNE_ANSWER_PL || a->kind == DUNE_ANSWER_FL)) {
        features_of(sm, p, x, a->kind, value);
        dune_jsonw_key(&x->w, "features");
        dune_jsonw_obj_inline(&x->w);
        for (uint32_t i = 0; i < sm->n_feats; i++) {
            dune_jsonw_key(&x->w, dune_catalog[sm->feat[i].feat].name);
            dune_jsonw_uint(&x->w, value[sm->feat[i].feat]);
        }
        dune_jsonw_end(&x->w);
        dune_jsonw_key(&x->w, "trees");
        dune_jsonw_arr(&x->w);
        for (uint32_t t = 0; t < sm->n_trees; t++)
            put_tree(x, sm, &sm->tree[t], value);
        dune_jsonw_end(&x->w);
    }
    dune_jsonw_end(&x->w);
}

static void put_device(struct walk *x, const struct dune_device_trace *t, const struct dune_packet *p)
{
    dune_jsonw_obj(&x->w);
    dune_jsonw_key(&x->w, "device");
    dune_jsonw_str(&x->w, t->device < x->s->plan->n_devices ? x->s->plan->device[t->device].name : "?");
    dune_jsonw_key(&x->w, "did"), dune_jsonw_str(&x->w, dune_fate_name(t->fate));
    dune_jsonw_key(&x->w, "decided"), dune_jsonw_bool(&x->w, t->became_final);
    dune_jsonw_key(&x->w, "digest"), dune_jsonw_bool(&x->w, t->digest);
    dune_jsonw_key(&x->w, "answers");
    dune_jsonw_arr(&x->w);
    for (unsigned i = 0; i < t->n_answers; i++)
        put_answer(x, &t->answer[i], p);
    dune_jsonw_end(&x->w);
    dune_jsonw_end(&x->w);
}

static void put_verdict(struct walk *x, const struct dune_verdict *v)
{
    const struct dune_plan *p = x->s->plan;

    dune_jsonw_key(&x->w, "class"), dune_jsonw_str(&x->w, v->cls ? p->cls[v->cls - 1].name : NULL);
    dune_jsonw_key(&x->w, "confidence"), dune_jsonw_uint(&x->w, v->conf);
    dune_jsonw_key(&x->w, "phase"), dune_jsonw_str(&x->w, v->flags & DUNE_SHIM_FL ? "FL" : "PL");
    dune_jsonw_key(&x->w, "final"), dune_jsonw_bool(&x->w, (v->flags & DUNE_SHIM_FINAL) != 0);
    dune_jsonw_key(&x->w, "settled"), dune_jsonw_bool(&x->w, (v->flags & DUNE_SHIM_SETTLED) != 0);
    dune_jsonw_key(&x->w, "submodel"), dune_jsonw_uint(&x->w, v->submodel);
    dune_jsonw_key(&x->w, "device");
    dune_jsonw_str(&x->w, v->device < p->n_devices ? p->device[v->device].name : NULL);
}

static int put_packet(struct walk *x, const struct dune_record *r, const struct dune_packet *p, struct dune_diag *d)
{
    struct dune_chain_packet pkt = {r->data, r->cap_len, r->wire_len, dune_tick(r->ts_ns)};
    struct dune_verdict v;
    int rc;

    x->n_traces = 0;
    rc = x->chain->ops->burst(x->chain, &pkt, 1, &v, NULL, d);
    if (rc || x->n_shown++ >= SHOWN_PACKETS)
        return rc;
    dune_jsonw_obj(&x->w);
    dune_jsonw_key(&x->w, "number"), dune_jsonw_uint(&x->w, x->n_packets);
    dune_jsonw_key(&x->w, "in_file"), dune_jsonw_big(&x->w, r->index);
    dune_jsonw_key(&x->w, "at_us"), dune_jsonw_big(&x->w, (pkt.tick - x->regs.first) * 1024 / 1000);
    put_verdict(x, &v);
    dune_jsonw_key(&x->w, "devices");
    dune_jsonw_arr(&x->w);
    for (unsigned i = 0; i < x->n_traces; i++)
        put_device(x, &x->trace[i], p);
    dune_jsonw_end(&x->w);
    dune_jsonw_end(&x->w);
    return 0;
}

/* --- finding the packets -------------------------------------------------------------------------------------------- */

static int take_packet(struct walk *x, const struct dune_record *r, struct dune_diag *d)
{
    struct dune_packet p;
    uint64_t tick = dune_tick(r->ts_ns);

    if (dune_packet_parse(&p, r->data, r->cap_len, &x->s->plan->parser, x->s->plan->shim_ethertype) != DUNE_REASON_OK ||
        !dune_flow_key_equal(&p.key, x->key))
        return 0;
    if (!x->started || dune_expired(tick, x->regs.last, x->s->plan->timeout))
        memset(&x->regs, 0, sizeof(x->regs));
    x->started = true;
    x->n_packets++;
    dune_flow_update(&x->regs, &p, tick);
    return x->n_packets <= KEPT_PACKETS ? put_packet(x, r, &p, d) : 0;
}

/* The packets of one capture, the record's number in its file kept. */
static int read_piece(struct walk *x, size_t i, struct dune_diag *d)
{
    const struct dash_piece *piece = &x->s->piece[i];
    uint64_t skip = 0, n = 0;
    struct dune_reader *reader;
    struct dune_record rec;
    int rc = dune_reader_open(&reader, x->s->pcap[piece->file], d);

    if (rc)
        return rc;
    for (size_t k = i; k-- > 0 && x->s->piece[k].file == piece->file;)
        skip += x->s->piece[k].packets;
    while (n < piece->packets && (rc = dune_reader_next(reader, &rec, d)) == 1 && !dune_interrupted()) {
        if (skip) {
            skip--;
            dune_reader_recycle(reader);
            continue;
        }
        n++;
        rc = take_packet(x, &rec, d);
        dune_reader_recycle(reader);
        if (rc)
            break;
    }
    dune_reader_close(reader);
    return rc < 0 ? rc : 0;
}

static int walk_pieces(struct walk *x, const char *capture, struct dune_diag *d)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < x->s->n_pieces && x->n_packets == 0; i++) {
        if (capture && strcmp(capture, x->s->piece[i].name) != 0)
            continue;
        dune_jsonw_key(&x->w, "capture");
        dune_jsonw_str(&x->w, x->s->piece[i].name);
        dune_jsonw_key(&x->w, "packets");
        dune_jsonw_arr(&x->w);
        rc = read_piece(x, i, d);
        dune_jsonw_end(&x->w);
        if (x->n_packets == 0 && rc == 0) { /* not in this capture: its members are written anew */
            dune_buf_fini(x->w.out);
            dune_jsonw_init(&x->w, x->w.out);
            dune_jsonw_obj(&x->w);
        }
    }
    return rc;
}

int dash_flow_path(const struct dash_scene *s, const struct dune_flow_key *key, const char *capture, struct dune_buf *out,
                   struct dune_diag *d)
{
    struct walk *x = DUNE_NEW(struct walk);
    struct dune_chain_opts o = {.trace = on_trace, .trace_ctx = x};
    char text[DASH_KEY_TEXT];
    int rc = 0;

    x->s = s;
    x->key = key;
    dash_key_text(key, text);
    if (!s->plan || s->n_pieces == 0)
        rc = dune_diag_set(d, DUNE_E_INPUT, NULL, "the packets of this run cannot be read again here: only its digests are known");
    if (rc == 0)
        rc = dune_engine_reference.open(&x->chain, s->plan, &o, d);
    dune_jsonw_init(&x->w, out);
    if (rc == 0) {
        dune_jsonw_obj(&x->w);
        rc = walk_pieces(x, capture, d);
    }
    if (rc == 0 && x->n_packets == 0)
        rc = dune_diag_set(d, DUNE_E_INPUT, NULL, "no capture of this run has the flow %s", text);
    if (rc == 0) {
        dune_jsonw_key(&x->w, "flow"), dune_jsonw_str(&x->w, text);
        dune_jsonw_key(&x->w, "n_packets"), dune_jsonw_big(&x->w, x->n_packets);
        dune_jsonw_end(&x->w);
    }
    if (x->chain)
        x->chain->ops->close(x->chain);
    dune_mem_free(x);
    return rc;
}
