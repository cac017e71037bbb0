/* SPDX-License-Identifier: Apache-2.0 */
#ifdef __SSE2__
#include <emmintrin.h>
#endif
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/ranks.h"
#include "features/dataset_int.h"
#include "features/extract_int.h"

#define DEFAULT_MAX_N 4
#define DEFAULT_TIMEOUT (UINT64_C(60000000000) >> 10)
#define MAX_CLASSES UINT16_MAX
#define BLOCK_ROWS 32 /* of 4 bytes: two cache lines */
#define AHEAD 16u     /* flows */

/* Consecutive flows of a file, written by one job. */
struct stretch {
    size_t file;
    uint64_t begin, end;  /* flows of the file */
    uint64_t kept, rows;  /* of them */
    uint64_t flow, row;   /* where they go */
};

struct extraction {
    struct xt_file *file;
    size_t n;
    const struct dune_labels *labels;
    const struct dune_extract_opts *opts;
    uint32_t max_n;
    uint64_t timeout;
    /* classes: label id -> class id, for labels that occur; the last entry is "unlabelled" */
    uint32_t *class_of;
    const char **class_name;
    uint32_t n_classes;
    /* merged positions: [n + 1] */
    uint64_t *first_flow, *first_row;
    uint32_t *first_capture;
    DUNE_VEC(struct stretch) stretch;
    struct dune_dset_parts parts;
};

/* --- inputs -------------------------------------------------------------------------------------- */

static int check_opts(const struct dune_extract_input *in, size_t n,
                      const struct dune_extract_opts *o, struct dune_diag *d)
{
    if (n == 0)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "no capture file is given");
    if (o->captures_split && o->time_split != 0)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "split by captures or by time, not both");
    if (o->time_split != 0 && !(o->time_split > 0 && o->time_split < 1))
        return dune_diag_set(d, DUNE_E_USAGE, NULL,
                             "the train share of a time split is between 0 and 1, not %g",
                             o->time_split);
    if (o->unlabelled && !*o->unlabelled)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "the class of unlabelled flows has no name");
    for (size_t i = 0; i < n && (o->captures_split || o->time_split != 0); i++)
        if (in[i].split == DUNE_SPLIT_TEST)
            return dune_diag_set(d, DUNE_E_USAGE, in[i].path,
                                 "test files are given, so there is nothing to split");
    return 0;
}

static int find_pieces(struct xt_file *f, const struct dune_captures *captures, struct dune_diag *d)
{
    int rc;

    if (!captures)
        return 0;
    rc = dune_captures_pieces(captures, f->path, &f->pieces, &f->n_pieces);
    if (rc)
        return dune_diag_set(d, rc, f->path,
                             "several splits of the list of captures name a file like this, and its "
                             "directory is none of them");
    if (f->n_pieces == 0)
        return dune_diag_set(d, DUNE_E_INPUT, f->path, "not in the list of captures");
    return 0;
}

static int open_files(struct extraction *x, const struct dune_extract_input *in, size_t n,
                      const struct dune_captures *captures, struct dune_progress *progress,
                      struct dune_diag *d)
{
    uint64_t total = 0;
    int rc = 0;

    x->file = DUNE_NEW_N(struct xt_file, n);
    x->n = n;
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct xt_file *f = &x->file[i];
        struct stat st;

        f->path = in[i].path;
        f->split = in[i].split;
        f->labels = x->labels;
        f->timeout = x->timeout;
        f->max_n = x->max_n == DUNE_MAX_N_ALL ? UINT64_MAX : x->max_n;
        f->keep_unlabelled = x->opts->unlabelled != NULL;
        f->progress = progress;
        f->file_bytes = stat(f->path, &st) == 0 ? (uint64_t)st.st_size : 0;
        total += f->file_bytes;
        rc = find_pieces(f, captures, d);
    }
    dune_progress_start(progress, "extract", total);
    return rc;
}

/* Files with all threads one after the other, then the others side by side. */
static void read_alone(void *ctx, size_t i)
{
    struct xt_file *f = &((struct extraction *)ctx)->file[i];

    if (f->n_shards <= 1)
        dune_xt_read(f); /* files in parts have more */
}

#define SHARD_BYTES (UINT64_C(8) << 20) /* below, starting threads costs more than it brings */

static void put_file(void *ctx, size_t i, struct dune_buf *out)
{
    const struct xt_file *f = &((struct extraction *)ctx)->file[i];

    if (!f->n_parts)
        dune_xt_put(f, out);
}

static bool take_file(void *ctx, size_t i, const uint8_t *data, size_t len)
{
    struct xt_file *f = &((struct extraction *)ctx)->file[i];

    return f->n_parts ? len == 0 : dune_xt_take(f, data, len);
}

static void read_part(void *ctx, size_t i)
{
    (void)i;
    dune_xt_read(ctx);
}

static void put_part(void *ctx, size_t i, struct dune_buf *out)
{
    (void)i;
    dune_xt_put_part(ctx, out);
}

static bool take_part(void *ctx, size_t i, const uint8_t *data, size_t len)
{
    return dune_xt_take_part(ctx, (unsigned)i, data, len);
}

/* A file that all processes read, each for the flows of its shards. */
static int read_together(struct xt_file *f, unsigned threads, struct dune_diag *d)
{
    static const struct dune_ranks_work work = {read_part, put_part, take_part};
    int rc;

    f->n_parts = DUNE_MIN(dune_ranks_n(), (unsigned)XT_MAX_SHARDS);
    f->part = dune_ranks_me();
    f->n_shards = f->n_parts * DUNE_MAX(DUNE_MIN(threads, XT_MAX_SHARDS / f->n_parts), 1u);
    rc = dune_ranks_for(1, f->n_parts, &work, f, d);
    dune_xt_join(f);
    return rc;
}

/* Dealing out whole files leaves processes idle where one file is more than a process's share. */
static bool is_shared(const struct xt_file *f, uint64_t total, uint64_t least)
{
    return dune_ranks_n() > 1 && f->file_bytes >= least && f->file_bytes > total / dune_ranks_n();
}

static int read_files(struct extraction *x, struct dune_diag *d)
{
    static const struct dune_ranks_work work = {read_alone, put_file, take_file};

    uint64_t least = x->opts->shard_bytes ? x->opts->shard_bytes : SHARD_BYTES, total = 0;
    unsigned threads = x->opts->threads ? x->opts->threads : dune_n_cpus();
    int rc = 0;

    for (size_t i = 0; i < x->n; i++)
        total += x->file[i].file_bytes;
    for (size_t i = 0; i < x->n && rc == 0; i++) {
        struct xt_file *f = &x->file[i];

        f->n_shards = f->file_bytes >= least ? DUNE_MIN(threads, (unsigned)XT_MAX_SHARDS) : 1;
        if (is_shared(f, total, least))
            rc = read_together(f, threads, d);
        else if (f->n_shards > 1 && i % dune_ranks_n() == dune_ranks_me())
            dune_xt_read(f);
    }
    return rc ? rc : dune_ranks_for(threads, x->n, &work, x, d);
}

/* The first file in order that failed, whichever was noticed first. */
static int first_error(const struct extraction *x, struct dune_diag *d)
{
    for (size_t i = 0; i < x->n; i++) {
        if (x->file[i].rc && d && !d->code)
            *d = x->file[i].d;
        if (x->file[i].rc)
            return x->file[i].rc;
    }
    return 0;
}

static void add_reports(const struct extraction *x, struct dune_extract_report *sum)
{
    memset(sum, 0, sizeof(*sum));
    for (size_t i = 0; i < x->n; i++) {
        dune_xt_add_report(sum, &x->file[i].report);
        sum->flows += x->file[i].n_flows;
    }
}

/* --- classes ------------------------------------------------------------------------------------- */

/* Index into class_of for a label id. */
static uint32_t label_index(const struct extraction *x, uint32_t cls)
{
    return cls == DUNE_LABEL_NONE ? dune_labels_n_classes(x->labels) : cls;
}

static bool is_kept(const struct extraction *x, const struct xt_flow *w)
{
    return x->class_of[label_index(x, w->cls)] != XT_NONE;
}

/* rare[i]: label i has flows, but fewer than min_flows in the files of train. */
static void find_rare(const struct extraction *x, const bool *occurs, bool *rare, struct dune_extract_report *rep)
{
    uint32_t n = dune_labels_n_classes(x->labels);
    uint64_t *flows = DUNE_NEW_N(uint64_t, (size_t)n + 1), *all = DUNE_NEW_N(uint64_t, (size_t)n + 1);
    size_t at = 0;

    for (size_t i = 0; i < x->n && x->opts->min_flows; i++)
        for (uint64_t k = 0; k < x->file[i].n_flows; k++) {
            const struct xt_shard *s;
            uint32_t id = label_index(x, xt_flow_at(&x->file[i], k, &s)->cls);

            all[id]++;
            flows[id] += x->file[i].split == DUNE_SPLIT_TRAIN;
        }
    for (uint32_t i = 0; i < n && x->opts->min_flows; i++) {
        rare[i] = occurs[i] && flows[i] < x->opts->min_flows;
        if (!rare[i])
            continue;
        rep->rare_classes++;
        rep->rare_flows += all[i];
        if (at < sizeof(rep->rare))
            at += (size_t)snprintf(rep->rare + at, sizeof(rep->rare) - at, "%s%s", at ? ", " : "",
                                   dune_labels_class(x->labels, i));
    }
    dune_mem_free(flows);
    dune_mem_free(all);
}

struct named {
    const char *name;
    uint32_t index;
};

static int by_class_name(const void *a, const void *b)
{
    return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

/* Numbers the classes that occur, sorted bytewise; the name for unlabelled flows may be one of them. */
static void number_classes(struct extraction *x, struct dune_extract_report *rep)
{
    uint32_t n = dune_labels_n_classes(x->labels), n_named = 0;
    struct named *named = dune_mem_alloc((size_t)n + 1, sizeof(*named));
    bool *occurs = DUNE_NEW_N(bool, (size_t)n + 1), *rare = DUNE_NEW_N(bool, (size_t)n + 1);

    for (size_t i = 0; i < x->n; i++)
        for (unsigned s = 0; s < x->file[i].n_shards; s++)
            for (uint32_t k = 0; k <= n; k++)
                occurs[k] |= x->file[i].shard[s].occurs[k];
    find_rare(x, occurs, rare, rep);
    occurs[n] |= rep->rare_classes > 0;
    for (uint32_t i = 0; i <= n; i++)
        if (occurs[i] && !rare[i] && (i < n || x->opts->unlabelled))
            named[n_named++] = (struct named){
                i < n ? dune_labels_class(x->labels, i) : x->opts->unlabelled, i};
    qsort(named, n_named, sizeof(*named), by_class_name);
    x->class_of = dune_mem_alloc((size_t)n + 1, sizeof(*x->class_of));
    memset(x->class_of, 0xff, ((size_t)n + 1) * sizeof(*x->class_of));
    x->class_name = dune_mem_alloc((size_t)n + 1, sizeof(*x->class_name));
    for (uint32_t i = 0; i < n_named; i++) {
        if (i == 0 || strcmp(named[i - 1].name, named[i].name) != 0)
            x->class_name[x->n_classes++] = named[i].name;
        x->class_of[named[i].index] = x->n_classes - 1;
    }
    for (uint32_t i = 0; i < n; i++)
        if (rare[i])
            x->class_of[i] = x->class_of[n];
    dune_mem_free(occurs);
    dune_mem_free(rare);
    dune_mem_free(named);
}

/* "a.pcap, b.pcap and 3 more" */
static void name_files(const struct extraction *x, char *out, size_t bytes)
{
    size_t at = 0;

    *out = '\0';
    for (size_t i = 0; i < x->n && i < 3 && at < bytes; i++)
        at += (size_t)snprintf(out + at, bytes - at, "%s%s", i ? ", " : "", x->file[i].path);
    if (x->n > 3 && at < bytes)
        snprintf(out + at, bytes - at, " and %zu more", x->n - 3);
}

static int check_classes(const struct extraction *x, const struct dune_extract_report *rep,
                         struct dune_diag *d)
{
    const char *kind = dune_labels_kind(x->labels);
    char files[300];

    name_files(x, files, sizeof(files));
    if (rep->labelled == 0)
        return dune_diag_set(d, DUNE_E_INPUT, files,
                             "none of %llu inferable packets has a label (label file of kind %s): do "
                             "labels and captures belong together?",
                             (unsigned long long)rep->by_reason[DUNE_REASON_OK], kind);
    if (x->n_classes < 2 && rep->rare_classes)
        return dune_diag_set(d, DUNE_E_INPUT, files,
                             "fewer than 2 classes have %u flows or more in train; too few have %s (--min-flows)",
                             x->opts->min_flows, rep->rare);
    if (x->n_classes < 2)
        return dune_diag_set(d, DUNE_E_INPUT, files,
                             "all flows are of class \"%s\" (label file of kind %s); it takes 2 classes",
                             x->n_classes ? x->class_name[0] : "", kind);
    if (x->n_classes > MAX_CLASSES)
        return dune_diag_set(d, DUNE_E_INFEASIBLE, files, "%u classes; at most %d are supported",
                             x->n_classes, MAX_CLASSES);
    return 0;
}

/* --- captures ------------------------------------------------------------------------------------ */

static unsigned tail_components(const struct extraction *x)
{
    const char **path = dune_mem_alloc(x->n, sizeof(*path));
    unsigned n;

    for (size_t i = 0; i < x->n; i++)
        path[i] = x->file[i].path;
    n = dune_capture_components(path, x->n);
    dune_mem_free(path);
    return n;
}

static char *capture_name(const struct xt_file *f, size_t piece, unsigned components)
{
    return dune_capture_name(f->path, components, f->n_pieces ? &f->pieces[piece] : NULL);
}

/* --- columns ------------------------------------------------------------------------------------- */

/* Rows on their way into the columns: a block fills whole cache lines of each. */
struct block {
    uint64_t row; /* of the first */
    uint32_t n;
    uint32_t v[BLOCK_ROWS][DUNE_N_FEATURES];
};

typedef uint32_t four __attribute__((vector_size(16)));

/* Past the caches where the processor can: nobody reads the columns again before they are all written. */
static inline void put_four(uint32_t *to, four v)
{
#ifdef __SSE2__
    _mm_stream_si128((__m128i *)(void *)to, (__m128i)v);
#else
    memcpy(to, &v, sizeof(v));
#endif
}

/* Four values of each of four rows become four rows of each of four columns. */
static inline void turn_four(uint32_t *col0, uint32_t *col1, uint32_t *col2, uint32_t *col3, uint64_t row,
                             const uint32_t (*v)[DUNE_N_FEATURES], int k)
{
    four a, b, c, d, ab_lo, ab_hi, cd_lo, cd_hi;

    memcpy(&a, &v[0][k], sizeof(a));
    memcpy(&b, &v[1][k], sizeof(b));
    memcpy(&c, &v[2][k], sizeof(c));
    memcpy(&d, &v[3][k], sizeof(d));
    ab_lo = __builtin_shufflevector(a, b, 0, 4, 1, 5);
    ab_hi = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    cd_lo = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    cd_hi = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    a = __builtin_shufflevector(ab_lo, cd_lo, 0, 1, 4, 5);
    b = __builtin_shufflevector(ab_lo, cd_lo, 2, 3, 6, 7);
    c = __builtin_shufflevector(ab_hi, cd_hi, 0, 1, 4, 5);
    d = __builtin_shufflevector(ab_hi, cd_hi, 2, 3, 6, 7);
    put_four(col0 + row, a);
    put_four(col1 + row, b);
    put_four(col2 + row, c);
    put_four(col3 + row, d);
}

static void flush(const struct extraction *x, struct block *b)
{
    uint32_t *const *col = x->parts.col;
    uint32_t n = b->row % 4 ? 0 : b->n & ~3u; /* rows in fours, which are aligned then */
    int k = 0;

    for (; k + 4 <= DUNE_N_FEATURES; k += 4) {
        uint32_t *col0 = col[k], *col1 = col[k + 1], *col2 = col[k + 2], *col3 = col[k + 3];

        for (uint32_t i = 0; i < n; i += 4)
            turn_four(col0, col1, col2, col3, b->row + i, (const uint32_t (*)[DUNE_N_FEATURES])&b->v[i], k);
    }
    for (; k < DUNE_N_FEATURES; k++)
        for (uint32_t i = 0; i < n; i++)
            col[k][b->row + i] = b->v[i][k];
    for (k = 0; k < DUNE_N_FEATURES; k++)
        for (uint32_t i = n; i < b->n; i++)
            col[k][b->row + i] = b->v[i][k];
    b->row += b->n;
    b->n = 0;
}

/* Kept packets of a flow lie where they came, between those of others: they are asked for ahead, of several flows at a
 * time, the first few of each. */
static void ask_rows(const struct extraction *x, const struct xt_file *f, uint64_t k, uint64_t end)
{
    const struct xt_row *rows[AHEAD];
    uint32_t at[AHEAD], n = 0;

    for (; k < end && n < AHEAD; k++) {
        const struct xt_shard *s;
        const struct xt_flow *w = xt_flow_at(f, k, &s);

        if (!is_kept(x, w))
            continue;
        rows[n] = s->rows.data;
        at[n++] = w->row;
    }
    for (int step = 0; step < 4; step++)
        for (uint32_t i = 0; i < n; i++) {
            if (step && at[i] != XT_NONE)
                at[i] = rows[i][at[i]].next;
            if (at[i] != XT_NONE)
                __builtin_prefetch(&rows[i][at[i]]);
        }
}

/* Replays the kept packets of a flow. */
static void write_rows(const struct extraction *x, const struct xt_shard *s, const struct xt_flow *w,
                       struct block *b)
{
    const uint8_t *key = w->key_len == 13 ? w->key : s->keys6.data[w->v6].bytes;
    const uint8_t *ports = key + (w->key_len == 13 ? 8 : 32);
    struct dune_flow_regs regs = {0};
    struct dune_packet p = {.proto = ports[4], .is_tcp = ports[4] == 6, .is_ipv6 = w->key_len != 13,
                            .srcport = (uint16_t)(ports[0] << 8 | ports[1]),
                            .dstport = (uint16_t)(ports[2] << 8 | ports[3])};

    for (uint32_t at = w->row; at != XT_NONE; at = s->rows.data[at].next) {
        const struct xt_row *r = &s->rows.data[at];

        p.ip_len = r->ip_len;
        p.tcp_window = r->window;
        p.udp_length = r->udp_length;
        p.ttl = r->ttl;
        p.tos = r->tos;
        p.ip_hdr_len = r->ip_hdr_len;
        p.tcp_flags = r->tcp_flags;
        p.tcp_hdr_len = r->tcp_hdr_len;
        dune_flow_update(&regs, &p, r->tick);
        dune_feature_vector(&p, &regs, b->v[b->n++]);
        if (b->n == BLOCK_ROWS - b->row % BLOCK_ROWS)
            flush(x, b);
    }
}

static void write_stretch(void *ctx, size_t i)
{
    const struct extraction *x = ctx;
    const struct stretch *st = &x->stretch.data[i];
    const struct xt_file *f = &x->file[st->file];
    uint64_t flow = st->flow;
    struct block b = {.row = st->row};

    for (uint64_t k = st->begin; k < st->end; k++) {
        const struct xt_shard *s;
        const struct xt_flow *w;

        if ((k - st->begin) % AHEAD == 0)
            ask_rows(x, f, k, st->end);
        w = xt_flow_at(f, k, &s);
        if (!is_kept(x, w))
            continue;
        x->parts.flow_class[flow] = (uint16_t)x->class_of[label_index(x, w->cls)];
        x->parts.flow_split[flow] = (uint8_t)f->split;
        x->parts.flow_capture[flow] = x->first_capture[st->file] + w->capture;
        x->parts.flow_start[flow] = w->first;
        x->parts.flow_len[flow] = w->len;
        x->parts.flow_row[flow] = b.row + b.n;
        write_rows(x, s, w, &b);
        flow++;
    }
    flush(x, &b);
#ifdef __SSE2__
    _mm_sfence(); /* before another thread reads */
#endif
}

/* What a stretch will write. */
static void measure_stretch(void *ctx, size_t i)
{
    const struct extraction *x = ctx;
    struct stretch *st = &x->stretch.data[i];
    const struct xt_file *f = &x->file[st->file];

    for (uint64_t k = st->begin; k < st->end; k++) {
        const struct xt_shard *s;
        const struct xt_flow *w = xt_flow_at(f, k, &s);

        if (!is_kept(x, w))
            continue;
        st->kept++;
        st->rows += DUNE_MIN(w->len, f->max_n);
    }
}

#define STRETCH 8192u /* flows */

static void place_files(struct extraction *x)
{
    uint64_t flow = 0, row = 0;
    size_t at = 0;

    for (size_t i = 0; i < x->n; i++)
        for (uint64_t k = 0; k < x->file[i].n_flows; k += STRETCH)
            DUNE_VEC_PUSH(&x->stretch, ((struct stretch){.file = i, .begin = k,
                                                         .end = DUNE_MIN(k + STRETCH, x->file[i].n_flows)}));
    dune_parallel_for(x->opts->threads, x->stretch.len, measure_stretch, x);
    x->first_flow = DUNE_NEW_N(uint64_t, x->n + 1);
    x->first_row = DUNE_NEW_N(uint64_t, x->n + 1);
    x->first_capture = DUNE_NEW_N(uint32_t, x->n + 1);
    for (size_t i = 0; i < x->n; i++) {
        const struct xt_file *f = &x->file[i];

        for (; at < x->stretch.len && x->stretch.data[at].file == i; at++) {
            x->stretch.data[at].flow = flow;
            x->stretch.data[at].row = row;
            flow += x->stretch.data[at].kept;
            row += x->stretch.data[at].rows;
        }
        x->first_flow[i + 1] = flow;
        x->first_row[i + 1] = row;
        x->first_capture[i + 1] =
            x->first_capture[i] + (uint32_t)(f->n_pieces ? f->n_pieces : 1);
    }
}

static void apply_split(const struct extraction *x, const struct dune_dset_shape *s)
{
    struct dune_dset_flows f = {s->n_flows, s->n_classes, s->n_captures, x->parts.flow_class,
                                x->parts.flow_capture, x->parts.flow_start, NULL};
    uint8_t *use = dune_mem_alloc(s->n_flows, 1);

    memset(use, 1, s->n_flows);
    f.use = use;
    if (x->opts->captures_split)
        dune_dset_cut_latest(&f, x->parts.flow_split);
    else if (x->opts->time_split != 0)
        dune_dset_cut_share(&f, x->opts->time_split, x->parts.flow_split);
    dune_mem_free(use);
}

/* A capture is of the split of its first flow, or of its file when it has none. */
static void split_captures(const struct extraction *x, const struct dune_dset_shape *s)
{
    for (size_t i = 0; i < x->n; i++)
        memset(x->parts.capture_split + x->first_capture[i], x->file[i].split,
               x->first_capture[i + 1] - x->first_capture[i]);
    for (uint64_t f = s->n_flows; f-- > 0;)
        x->parts.capture_split[x->parts.flow_capture[f]] = x->parts.flow_split[f];
}

static struct dune_dataset *build(struct extraction *x)
{
    unsigned components = tail_components(x);
    struct dune_dset_shape s = {.n_classes = x->n_classes, .class_name = x->class_name,
                                .timeout = x->timeout, .max_n = x->max_n};
    struct dune_dataset *ds;
    const char **names;

    place_files(x);
    s.n_flows = x->first_flow[x->n];
    s.n_rows = x->first_row[x->n];
    s.n_captures = x->first_capture[x->n];
    names = dune_mem_alloc(s.n_captures, sizeof(*names));
    for (size_t i = 0; i < x->n; i++)
        for (uint32_t k = x->first_capture[i]; k < x->first_capture[i + 1]; k++)
            names[k] = capture_name(&x->file[i], k - x->first_capture[i], components);
    s.capture_name = names;
    ds = dune_dset_new(&s, &x->parts);
    dune_parallel_for(x->opts->threads, x->stretch.len, write_stretch, x);
    x->parts.flow_row[s.n_flows] = s.n_rows;
    apply_split(x, &s);
    split_captures(x, &s);
    dune_dset_seal(ds, x->opts->threads);
    for (uint32_t k = 0; k < s.n_captures; k++)
        dune_mem_free((char *)names[k]);
    dune_mem_free(names);
    return ds;
}

static void fini(struct extraction *x)
{
    for (size_t i = 0; i < x->n; i++)
        dune_xt_fini(&x->file[i]);
    DUNE_VEC_FREE(&x->stretch);
    dune_mem_free(x->file);
    dune_mem_free(x->class_of);
    dune_mem_free(x->class_name);
    dune_mem_free(x->first_flow);
    dune_mem_free(x->first_row);
    dune_mem_free(x->first_capture);
}

int dune_extract(struct dune_dataset **out, const struct dune_extract_input *in, size_t n_in,
                 const struct dune_labels *labels, const struct dune_captures *captures,
                 const struct dune_extract_opts *opts, struct dune_extract_report *report,
                 struct dune_diag *d)
{
    static const struct dune_extract_opts defaults = {0};
    struct extraction x = {.labels = labels, .opts = opts ? opts : &defaults};
    struct dune_extract_report ignored;
    struct dune_progress progress = {0};
    int rc = check_opts(in, n_in, x.opts, d);

    *out = NULL;
    if (rc)
        return rc;
    report = report ? report : &ignored;
    x.max_n = x.opts->max_n == UINT32_MAX ? DUNE_MAX_N_ALL
              : x.opts->max_n             ? x.opts->max_n
                                          : DEFAULT_MAX_N;
    x.timeout = x.opts->timeout ? x.opts->timeout : DEFAULT_TIMEOUT;
    rc = open_files(&x, in, n_in, captures, &progress, d);
    if (rc == 0) {
        rc = read_files(&x, d);
        rc = rc ? rc : first_error(&x, d);
    }
    dune_progress_end(&progress);
    add_reports(&x, report);
    if (rc == 0) {
        number_classes(&x, report);
        rc = check_classes(&x, report, d);
    }
    if (rc == 0)
        *out = build(&x);
    fini(&x);
    return rc;
}
