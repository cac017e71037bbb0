/* SPDX-License-Identifier: Apache-2.0 */
/* A capture file in rounds: records, parsed and labelled packets, flows. See extract_int.h. */
#include <string.h>

#include "features/extract_int.h"

struct raw { /* a record */
    const uint8_t *data;
    uint64_t ts_ns;
    uint32_t cap_len, capture;
};

/* What one chunk of a round comes to. */
struct chunk {
    size_t n;                             /* inferable packets */
    uint16_t start[XT_MAX_SHARDS + 1];    /* of each shard in pick */
    uint16_t pick[XT_CHUNK];              /* entries by shard, in order within each */
    uint64_t by_reason[DUNE_N_REASONS], labelled, conflicts;
};

struct reading {
    struct xt_file *f;
    struct dune_reader *r;
    uint32_t capture;    /* of the next packet */
    uint64_t piece_left; /* packets of the current piece */
    uint64_t prev_ns, reported, first_index;
    bool has_prev;
    size_t round, n_raw, n_chunks; /* round: records at a time */
    struct raw *raw;          /* [round] */
    struct xt_entry *entry;   /* [round] those of chunk c from c * XT_CHUNK on */
    struct chunk *chunk;      /* [round / XT_CHUNK] */
};

/* --- records: one after the other ---------------------------------------------------------------- */

/* Moves on to the piece that the next packet belongs to; false: the file has more packets than listed. */
static bool next_piece(struct reading *g)
{
    const struct xt_file *f = g->f;

    while (g->piece_left == 0) {
        if (g->capture + 1 >= f->n_pieces)
            return false;
        g->capture++;
        g->piece_left = f->pieces[g->capture].n_packets;
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

static void report_progress(struct reading *g, uint64_t offset)
{
    uint64_t at = DUNE_MIN(offset, g->f->file_bytes);

    if (at > g->reported + (1 << 20) || at == g->f->file_bytes) {
        dune_progress_add(g->f->progress, at - g->reported);
        g->reported = at;
    }
}

/* Fills a round. 1: more to come, 0: the file ends, negative: error. */
static int take(struct reading *g, struct dune_diag *d)
{
    struct dune_record rec = {0};
    int rc = 1;

    dune_reader_recycle(g->r);
    for (g->n_raw = 0; g->n_raw < g->round;) {
        rc = dune_reader_next(g->r, &rec, d);
        if (rc <= 0)
            break;
        rc = count_packet(g, &rec, d);
        if (rc)
            break;
        rc = 1;
        if (g->n_raw == 0)
            g->first_index = rec.index;
        g->raw[g->n_raw++] = (struct raw){rec.data, rec.ts_ns, rec.cap_len, g->capture};
    }
    if (rc == 1)
        report_progress(g, rec.offset);
    return rc;
}

/* --- packets: chunks at the same time --------------------------------------------------------------- */

/* Look-ups of packets of one capture go together; captures change rarely. */
static void label(const struct reading *g, struct xt_entry *e, struct dune_label_query *q, struct chunk *c)
{
    struct dune_label_ctx ctx = {.file = g->f->path};
    size_t from = 0;

    for (size_t i = 1; i <= c->n; i++) {
        if (i < c->n && e[i].capture == e[from].capture)
            continue;
        ctx.capture = g->f->n_pieces ? g->f->pieces[e[from].capture].name : NULL;
        dune_labels_lookup_many(g->f->labels, &ctx, q + from, i - from);
        from = i;
    }
    for (size_t i = 0; i < c->n; i++) {
        e[i].cls = q[i].cls;
        c->conflicts += q[i].conflict;
        c->labelled += q[i].cls != DUNE_LABEL_NONE;
    }
}

/* Entries by shard. */
static void deal(const struct reading *g, const struct xt_entry *e, struct chunk *c)
{
    unsigned shards = g->f->n_shards;
    uint16_t at[XT_MAX_SHARDS] = {0};
    uint8_t of[XT_CHUNK];

    if (shards == 1) {
        for (size_t i = 0; i < c->n; i++)
            c->pick[i] = (uint16_t)i;
        c->start[1] = (uint16_t)c->n;
        return;
    }
    for (size_t i = 0; i < c->n; i++) {
        of[i] = (uint8_t)dune_xt_shard_of(e[i].hash, shards);
        at[of[i]]++;
    }
    for (unsigned s = 0; s < shards; s++) {
        c->start[s + 1] = (uint16_t)(c->start[s] + at[s]);
        at[s] = c->start[s];
    }
    for (size_t i = 0; i < c->n; i++)
        c->pick[at[of[i]]++] = (uint16_t)i;
}

static void parse_chunk(void *ctx, size_t k)
{
    const struct reading *g = ctx;
    const struct raw *raw = g->raw + k * XT_CHUNK;
    size_t n = DUNE_MIN(g->n_raw - k * XT_CHUNK, (size_t)XT_CHUNK);
    struct xt_entry *e = g->entry + k * XT_CHUNK;
    struct dune_label_query q[XT_CHUNK];
    struct chunk *c = &g->chunk[k];

    memset(c, 0, sizeof(*c));
    for (size_t i = 0; i < n; i++) {
        struct xt_entry *to = &e[c->n];

        dune_packet_parse(&to->p, raw[i].data, raw[i].cap_len, &dune_parser_limits_default, 0);
        c->by_reason[to->p.reason]++;
        if (to->p.reason != DUNE_REASON_OK)
            continue;
        to->tick = dune_tick(raw[i].ts_ns);
        to->index = g->first_index + k * XT_CHUNK + i;
        to->capture = raw[i].capture;
        to->hash = dune_xt_hash(&to->p.key);
        if (g->f->n_parts && !xt_is_mine(g->f, dune_xt_shard_of(to->hash, g->f->n_shards)))
            continue;
        q[c->n++] = (struct dune_label_query){.frame = raw[i].data, .p = &to->p, .ts_ns = raw[i].ts_ns};
    }
    label(g, e, q, c);
    deal(g, e, c);
}

static void add_counters(struct reading *g)
{
    struct dune_extract_report *rep = &g->f->report;

    for (size_t k = 0; k < g->n_chunks; k++) {
        const struct chunk *c = &g->chunk[k];

        for (int r = 0; r < DUNE_N_REASONS; r++)
            rep->by_reason[r] += c->by_reason[r];
        rep->labelled += c->labelled;
        rep->unlabelled += c->n - c->labelled;
        rep->conflicts += c->conflicts;
    }
}

/* --- flows: shards at the same time ------------------------------------------------------------------ */

static void track_shard(void *ctx, size_t s)
{
    const struct reading *g = ctx;
    struct xt_shard *shard = &g->f->shard[s];

    for (size_t k = 0; k < g->n_chunks && shard->rc == 0; k++) {
        const struct chunk *c = &g->chunk[k];

        shard->rc = dune_xt_track(shard, g->entry + k * XT_CHUNK, c->pick + c->start[s],
                                  (size_t)(c->start[s + 1] - c->start[s]));
    }
}

static int shard_error(const struct xt_file *f, struct dune_diag *d)
{
    for (unsigned s = 0; s < f->n_shards; s++)
        if (f->shard[s].rc) {
            if (!d->code)
                *d = f->shard[s].d;
            return f->shard[s].rc;
        }
    return 0;
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
    unsigned shards = g->f->n_shards, threads = g->f->n_parts ? DUNE_MAX(shards / g->f->n_parts, 1u) : shards;
    int more = 1, rc = 0;

    while (rc == 0 && more == 1) {
        more = take(g, d);
        if (dune_interrupted())
            return dune_diag_set(d, DUNE_E_INTERRUPTED, g->f->path, "interrupted");
        g->n_chunks = (g->n_raw + XT_CHUNK - 1) / XT_CHUNK;
        dune_parallel_for(threads, g->n_chunks, parse_chunk, g);
        dune_parallel_for(threads, shards, track_shard, g);
        add_counters(g);
        rc = shard_error(g->f, d);
    }
    if (rc == 0)
        rc = more;
    return rc ? rc : check_pieces(g, d);
}

/* Flows of all shards in order of their first packet. */
static void put_in_order(struct xt_file *f)
{
    size_t at[XT_MAX_SHARDS] = {0};

    for (unsigned s = 0; s < f->n_shards; s++) {
        f->n_flows += f->shard[s].flows.len;
        f->n_rows += f->shard[s].rows.len;
    }
    if (f->n_shards == 1)
        return;
    f->order = dune_mem_alloc(f->n_flows, sizeof(*f->order));
    for (uint64_t i = 0; i < f->n_flows; i++) {
        uint64_t best = UINT64_MAX;
        unsigned from = 0;

        for (unsigned s = 0; s < f->n_shards; s++)
            if (at[s] < f->shard[s].flows.len && f->shard[s].born.data[at[s]] < best) {
                best = f->shard[s].born.data[at[s]];
                from = s;
            }
        f->order[i] = (uint64_t)from << 32 | at[from]++;
    }
    for (unsigned s = 0; s < f->n_shards; s++)
        DUNE_VEC_FREE(&f->shard[s].born);
}

/* What all processes that read the file have counted alike, the first one tells. */
static void leave_counts(struct dune_extract_report *rep)
{
    rep->packets = rep->bytes = rep->snapped = rep->backwards = 0;
    memset(rep->by_reason, 0, sizeof(rep->by_reason));
}

void dune_xt_join(struct xt_file *f)
{
    if (f->rc == 0)
        put_in_order(f);
}

void dune_xt_read(struct xt_file *f)
{
    struct reading *g = DUNE_NEW(struct reading);

    f->n_shards = f->n_shards ? f->n_shards : 1;
    f->failed = f->part;
    f->shard = DUNE_NEW_N(struct xt_shard, f->n_shards);
    for (unsigned s = 0; s < f->n_shards; s++)
        dune_xt_shard_init(&f->shard[s], f);
    g->f = f;
    g->round = f->n_shards > 1 ? XT_ROUND : XT_CHUNK;
    g->raw = dune_mem_alloc(g->round, sizeof(*g->raw));
    g->entry = dune_mem_alloc(g->round, sizeof(*g->entry));
    g->chunk = dune_mem_alloc(g->round / XT_CHUNK, sizeof(*g->chunk));
    if (f->n_pieces)
        g->piece_left = f->pieces[0].n_packets;
    f->rc = dune_reader_open(&g->r, f->path, &f->d);
    if (f->rc == 0)
        f->rc = read_all(g, &f->d);
    report_progress(g, f->file_bytes);
    for (unsigned s = 0; s < f->n_shards; s++) {
        dune_xt_shard_end(&f->shard[s]);
        f->report.flow_label_changes += f->shard[s].label_changes;
        f->report.unlabelled_flows += f->shard[s].unlabelled_flows;
    }
    if (!f->n_parts)
        put_in_order(f);
    else if (f->part)
        leave_counts(&f->report);
    dune_reader_close(g->r);
    dune_mem_free(g->raw);
    dune_mem_free(g->entry);
    dune_mem_free(g->chunk);
    dune_mem_free(g);
}

void dune_xt_fini(struct xt_file *f)
{
    for (unsigned s = 0; s < f->n_shards && f->shard; s++)
        dune_xt_shard_fini(&f->shard[s]);
    dune_mem_free(f->shard);
    dune_mem_free(f->order);
}
