/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From packets to flows, in bursts: the three passes over a burst let the memory latency of the flow
 * table overlap.
 *
 *   take     read, parse, label, hash; ask for the slot
 *   peek     ask for the flow the slot names
 *   track    look up, expire, count, keep
 */
#include <string.h>

#include "features/extract_int.h"

#define BURST 32
#define MIN_SLOTS 4096u

struct entry {
    uint64_t tick;
    uint32_t hash, cls, capture;
    struct dune_packet p;
};

struct reading {
    struct xt_file *f;
    struct dune_reader *r;
    struct dune_label_ctx ctx;
    uint32_t capture;      /* of the next packet */
    uint64_t piece_left;   /* packets of the current piece */
    uint32_t table_capture;
    uint64_t prev_ns, reported;
    bool has_prev;
    size_t n;
    struct entry e[BURST];
};

static uint64_t load(const void *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static uint32_t hash_key(const struct dune_flow_key *k)
{
    uint64_t h = dune_mix64(load(k->bytes), load(k->bytes + 5));

    if (k->len == 37)
        h = dune_mix64(h ^ load(k->bytes + 13), load(k->bytes + 21) ^ (load(k->bytes + 29) << 1));
    return (uint32_t)(h >> 32);
}

/* --- table --------------------------------------------------------------------------------------- */

static void table_new(struct xt_file *f, uint32_t n_slots)
{
    f->slot = dune_mem_alloc(n_slots, sizeof(*f->slot));
    memset(f->slot, 0xff, n_slots * sizeof(*f->slot));
    f->mask = n_slots - 1;
    f->used = 0;
}

/* Empties the table for the next capture; a large one would be slow to clear again and again. */
static void table_reset(struct xt_file *f)
{
    if (f->slot && f->used == 0)
        return;
    dune_mem_free(f->slot);
    table_new(f, MIN_SLOTS);
}

static void table_grow(struct xt_file *f)
{
    struct xt_slot *old = f->slot;
    uint32_t n_old = f->mask + 1, used = f->used;

    table_new(f, n_old * 2);
    f->used = used;
    for (uint32_t i = 0; i < n_old; i++) {
        uint32_t at = old[i].hash & f->mask;

        if (old[i].flow == XT_NONE)
            continue;
        while (f->slot[at].flow != XT_NONE)
            at = (at + 1) & f->mask;
        f->slot[at] = old[i];
    }
    dune_mem_free(old);
}

static bool same_key(const struct xt_file *f, const struct xt_flow *w, const struct dune_flow_key *k)
{
    if (w->key_len != k->len)
        return false;
    if (k->len == sizeof(w->key))
        return memcmp(w->key, k->bytes, sizeof(w->key)) == 0;
    return memcmp(f->keys6.data[w->v6].bytes, k->bytes, sizeof(struct xt_key6)) == 0;
}

/* The slot of a key: of its flow or the empty one where it belongs. */
static struct xt_slot *find_slot(const struct xt_file *f, const struct dune_flow_key *k, uint32_t hash)
{
    uint32_t at = hash & f->mask;

    while (f->slot[at].flow != XT_NONE &&
           (f->slot[at].hash != hash || !same_key(f, &f->flows.data[f->slot[at].flow], k)))
        at = (at + 1) & f->mask;
    return &f->slot[at];
}

/* --- flows --------------------------------------------------------------------------------------- */

/* Appends a flow for entry e and returns its index. */
static uint32_t new_flow(struct xt_file *f, const struct entry *e)
{
    struct xt_flow w = {.first = e->tick, .last = e->tick, .row = XT_NONE, .last_row = XT_NONE,
                        .cls = e->cls, .capture = e->capture, .key_len = e->p.key.len};

    if (e->p.key.len == sizeof(w.key)) {
        memcpy(w.key, e->p.key.bytes, sizeof(w.key));
    } else {
        struct xt_key6 k;

        memcpy(k.bytes, e->p.key.bytes, sizeof(k.bytes));
        w.v6 = (uint32_t)f->keys6.len;
        DUNE_VEC_PUSH(&f->keys6, k);
    }
    DUNE_VEC_PUSH(&f->flows, w);
    return (uint32_t)f->flows.len - 1;
}

/* The flow of entry e: known and alive, or a new one. */
static struct xt_flow *flow_of(struct xt_file *f, const struct entry *e)
{
    struct xt_slot *s = find_slot(f, &e->p.key, e->hash);

    if (s->flow == XT_NONE) {
        s->hash = e->hash;
        s->flow = new_flow(f, e);
        if (++f->used * 2 > f->mask)
            table_grow(f);
        return &f->flows.data[f->flows.len - 1];
    }
    if (dune_expired(e->tick, f->flows.data[s->flow].last, f->timeout))
        s->flow = new_flow(f, e);
    return &f->flows.data[s->flow];
}

static void keep_packet(struct xt_file *f, struct xt_flow *w, const struct entry *e)
{
    struct xt_row row = {.tick = e->tick, .next = XT_NONE, .ip_len = e->p.ip_len,
                         .window = e->p.tcp_window, .udp_length = e->p.udp_length, .ttl = e->p.ttl,
                         .tos = e->p.tos, .ip_hdr_len = e->p.ip_hdr_len,
                         .tcp_flags = e->p.tcp_flags, .tcp_hdr_len = e->p.tcp_hdr_len};
    uint32_t at = (uint32_t)f->rows.len;

    DUNE_VEC_PUSH(&f->rows, row);
    if (w->row == XT_NONE)
        w->row = at;
    else
        f->rows.data[w->last_row].next = at;
    w->last_row = at;
}

static int track(struct reading *g, const struct entry *e, struct dune_diag *d)
{
    struct xt_file *f = g->f;
    struct xt_flow *w;

    if (e->capture != g->table_capture) {
        table_reset(f);
        g->table_capture = e->capture;
    }
    if (f->flows.len >= XT_MAX_FLOWS || f->rows.len >= XT_NONE - 1)
        return dune_diag_set(d, DUNE_E_INFEASIBLE, f->path,
                             "more than a billion flows or 4 billion kept packets in one file: "
                             "split it");
    w = flow_of(f, e);
    w->len++;
    if (e->tick > w->last)
        w->last = e->tick;
    f->report.flow_label_changes += e->cls != w->cls;
    if (w->len <= f->max_n && (w->cls != DUNE_LABEL_NONE || f->keep_unlabelled))
        keep_packet(f, w, e);
    return 0;
}

/* --- packets ------------------------------------------------------------------------------------- */

/* Moves on to the piece that the next packet belongs to; false: the file has more packets than listed. */
static bool next_piece(struct reading *g)
{
    const struct xt_file *f = g->f;

    while (g->piece_left == 0) {
        if (g->capture + 1 >= f->n_pieces)
            return false;
        g->capture++;
        g->piece_left = f->pieces[g->capture].n_packets;
        g->ctx.capture = f->pieces[g->capture].name;
        g->has_prev = false;
    }
    return true;
}

static int count_packet(struct reading *g, const struct dune_record *rec, struct dune_diag *d)
{
    struct dune_extract_report *rep = &g->f->report;

    if (g->f->n_pieces) {
        if (!next_piece(g))
            return dune_diag_set(d, DUNE_E_INPUT, g->f->path,
                                 "the list of captures ends after %llu packets, the file does not",
                                 (unsigned long long)rec->index);
        g->piece_left--;
    }
    rep->packets++;
    rep->bytes += rec->wire_len;
    rep->snapped += rec->cap_len < rec->wire_len;
    rep->backwards += g->has_prev && rec->ts_ns < g->prev_ns;
    g->prev_ns = rec->ts_ns;
    g->has_prev = true;
    return 0;
}

static void label_packet(struct reading *g, struct entry *e, const struct dune_record *rec)
{
    struct dune_extract_report *rep = &g->f->report;
    bool conflict = false;

    g->ctx.ts_ns = rec->ts_ns;
    e->cls = dune_labels_lookup(g->f->labels, &g->ctx, rec->data, &e->p, &conflict);
    rep->conflicts += conflict;
    rep->labelled += e->cls != DUNE_LABEL_NONE;
    rep->unlabelled += e->cls == DUNE_LABEL_NONE;
}

static void report_progress(struct reading *g, uint64_t offset)
{
    uint64_t at = DUNE_MIN(offset, g->f->file_bytes);

    if (at > g->reported + (1 << 20) || at == g->f->file_bytes) {
        dune_progress_add(g->f->progress, at - g->reported);
        g->reported = at;
    }
}

/* Fills a burst with inferable packets. 1: more to come, 0: the file ends, negative: error. */
static int take(struct reading *g, struct dune_diag *d)
{
    struct dune_record rec;
    int rc = 1;

    for (g->n = 0; g->n < BURST;) {
        struct entry *e = &g->e[g->n];

        rc = dune_reader_next(g->r, &rec, d);
        if (rc <= 0)
            break;
        rc = count_packet(g, &rec, d);
        if (rc)
            break;
        rc = 1;
        dune_packet_parse(&e->p, rec.data, rec.cap_len, &dune_parser_limits_default, 0);
        g->f->report.by_reason[e->p.reason]++;
        if (e->p.reason != DUNE_REASON_OK)
            continue;
        label_packet(g, e, &rec);
        e->tick = dune_tick(rec.ts_ns);
        e->capture = g->capture;
        e->hash = hash_key(&e->p.key);
        __builtin_prefetch(&g->f->slot[e->hash & g->f->mask]);
        g->n++;
    }
    if (rc == 1)
        report_progress(g, rec.offset);
    return rc;
}

static void peek(const struct reading *g)
{
    const struct xt_file *f = g->f;

    for (size_t i = 0; i < g->n; i++) {
        const struct xt_slot *s = &f->slot[g->e[i].hash & f->mask];

        if (s->flow != XT_NONE)
            __builtin_prefetch(&f->flows.data[s->flow], 1);
    }
}

/* The listed captures must end where the file ends. */
static int check_pieces(const struct reading *g, struct dune_diag *d)
{
    const struct xt_file *f = g->f;
    uint64_t left = f->n_pieces ? g->piece_left : 0;

    for (size_t i = g->capture + 1; i < f->n_pieces; i++)
        left += f->pieces[i].n_packets;
    if (left)
        return dune_diag_set(d, DUNE_E_INPUT, f->path,
                             "the list of captures has %llu packets more than the file",
                             (unsigned long long)left);
    return 0;
}

static int read_all(struct reading *g, struct dune_diag *d)
{
    int more = 1, rc = 0;

    while (rc == 0 && more == 1) {
        more = take(g, d);
        if (dune_interrupted())
            return dune_diag_set(d, DUNE_E_INTERRUPTED, g->f->path, "interrupted");
        peek(g);
        for (size_t i = 0; rc == 0 && i < g->n; i++)
            rc = track(g, &g->e[i], d);
    }
    if (rc == 0)
        rc = more;
    return rc ? rc : check_pieces(g, d);
}

void dune_xt_read(struct xt_file *f)
{
    struct reading *g = DUNE_NEW(struct reading);

    g->f = f;
    g->ctx.file = f->path;
    if (f->n_pieces) {
        g->ctx.capture = f->pieces[0].name;
        g->piece_left = f->pieces[0].n_packets;
    }
    table_reset(f);
    f->rc = dune_reader_open(&g->r, f->path, &f->d);
    if (f->rc == 0)
        f->rc = read_all(g, &f->d);
    report_progress(g, f->file_bytes);
    dune_reader_close(g->r);
    dune_mem_free(g);
    dune_mem_free(f->slot);
    f->slot = NULL;
}

void dune_xt_fini(struct xt_file *f)
{
    DUNE_VEC_FREE(&f->flows);
    DUNE_VEC_FREE(&f->rows);
    DUNE_VEC_FREE(&f->keys6);
    dune_mem_free(f->slot);
    f->slot = NULL;
}
