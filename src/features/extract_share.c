/* SPDX-License-Identifier: Apache-2.0 */
/* What a capture file became, sent from the process that read it to the others. */
#include <string.h>

#include "features/extract_int.h"

struct head {
    int rc;
    struct dune_diag d;
    struct dune_extract_report report;
    uint64_t n_flows, n_rows;
    uint32_t n_shards;
    bool ordered;
};

struct shard_head {
    uint64_t flows, born, rows, keys6, label_changes, unlabelled_flows;
};

static size_t n_occurs(const struct xt_file *f)
{
    return (size_t)dune_labels_n_classes(f->labels) + 1;
}

static void put_shard(const struct xt_file *f, const struct xt_shard *s, struct dune_buf *out)
{
    const struct shard_head h = {s->flows.len, s->born.len,     s->rows.len,
                                 s->keys6.len, s->label_changes, s->unlabelled_flows};

    dune_buf_append(out, &h, sizeof(h));
    dune_buf_append(out, s->flows.data, s->flows.len * sizeof(*s->flows.data));
    dune_buf_append(out, s->born.data, s->born.len * sizeof(*s->born.data));
    dune_buf_append(out, s->rows.data, s->rows.len * sizeof(*s->rows.data));
    dune_buf_append(out, s->keys6.data, s->keys6.len * sizeof(*s->keys6.data));
    dune_buf_append(out, s->occurs, n_occurs(f) * sizeof(*s->occurs));
}

void dune_xt_add_report(struct dune_extract_report *sum, const struct dune_extract_report *r)
{
    sum->packets += r->packets;
    sum->bytes += r->bytes;
    for (int k = 0; k < DUNE_N_REASONS; k++)
        sum->by_reason[k] += r->by_reason[k];
    sum->labelled += r->labelled;
    sum->unlabelled += r->unlabelled;
    sum->conflicts += r->conflicts;
    sum->flow_label_changes += r->flow_label_changes;
    sum->snapped += r->snapped;
    sum->backwards += r->backwards;
    sum->unlabelled_flows += r->unlabelled_flows;
}

static void fill_head(struct head *h, const struct xt_file *f)
{
    memset(h, 0, sizeof(*h));
    h->rc = f->rc;
    h->d = f->d;
    h->report = f->report;
    h->n_flows = f->n_flows;
    h->n_rows = f->n_rows;
    h->n_shards = f->n_shards;
    h->ordered = f->order != NULL;
}

void dune_xt_put(const struct xt_file *f, struct dune_buf *out)
{
    struct head h;

    fill_head(&h, f);
    h.n_shards = f->rc ? 0 : f->n_shards;
    dune_buf_append(out, &h, sizeof(h));
    for (unsigned s = 0; s < h.n_shards; s++)
        put_shard(f, &f->shard[s], out);
    if (h.n_shards && h.ordered)
        dune_buf_append(out, f->order, f->n_flows * sizeof(*f->order));
}

/* --- the other side ---------------------------------------------------------------------------------------- */

struct bytes {
    const uint8_t *p;
    size_t left;
    bool bad;
};

static void get(struct bytes *b, void *out, uint64_t n, size_t each)
{
    if (b->bad || n > b->left / each) {
        b->bad = true;
        return;
    }
    if (n)
        memcpy(out, b->p, (size_t)n * each);
    b->p += n * each;
    b->left -= (size_t)n * each;
}

#define GET_VEC(b, v, n)                                                                           \
    do {                                                                                           \
        if (!(b)->bad && (n) <= (b)->left / sizeof(*(v)->data)) {                                  \
            (v)->data = dune_mem_alloc((size_t)(n), sizeof(*(v)->data));                           \
            (v)->len = (v)->cap = (size_t)(n);                                                     \
        }                                                                                          \
        get((b), (v)->data, (n), sizeof(*(v)->data));                                              \
    } while (0)

static void take_shard(struct xt_file *f, struct xt_shard *s, struct bytes *b)
{
    struct shard_head h = {0};

    s->f = f;
    get(b, &h, 1, sizeof(h));
    GET_VEC(b, &s->flows, h.flows);
    GET_VEC(b, &s->born, h.born);
    GET_VEC(b, &s->rows, h.rows);
    GET_VEC(b, &s->keys6, h.keys6);
    s->label_changes = h.label_changes;
    s->unlabelled_flows = h.unlabelled_flows;
    s->occurs = DUNE_NEW_N(bool, n_occurs(f));
    get(b, s->occurs, n_occurs(f), sizeof(*s->occurs));
}

bool dune_xt_take(struct xt_file *f, const uint8_t *data, size_t len)
{
    struct bytes b = {data, len, false};
    struct head h = {0};

    get(&b, &h, 1, sizeof(h));
    if (b.bad || h.n_shards > XT_MAX_SHARDS)
        return false;
    f->rc = h.rc;
    f->d = h.d;
    f->report = h.report;
    f->n_flows = h.n_flows;
    f->n_rows = h.n_rows;
    f->n_shards = h.n_shards;
    f->shard = DUNE_NEW_N(struct xt_shard, h.n_shards + 1u);
    for (unsigned s = 0; s < h.n_shards; s++)
        take_shard(f, &f->shard[s], &b);
    if (h.n_shards && h.ordered && !b.bad && h.n_flows <= b.left / sizeof(*f->order)) {
        f->order = dune_mem_alloc((size_t)h.n_flows, sizeof(*f->order));
        get(&b, f->order, h.n_flows, sizeof(*f->order));
    }
    return !b.bad && b.left == 0;
}

/* --- parts of a file --------------------------------------------------------------------------------------- */

void dune_xt_put_part(const struct xt_file *f, struct dune_buf *out)
{
    struct head h;

    fill_head(&h, f);
    dune_buf_append(out, &h, sizeof(h));
    for (unsigned s = f->part; s < f->n_shards && !f->rc; s += f->n_parts)
        put_shard(f, &f->shard[s], out);
}

bool dune_xt_take_part(struct xt_file *f, unsigned part, const uint8_t *data, size_t len)
{
    struct bytes b = {data, len, false};
    struct head h = {0};

    get(&b, &h, 1, sizeof(h));
    if (b.bad || h.n_shards != f->n_shards)
        return false;
    if (!f->shard) /* a process without a part: there are more of them than shards */
        f->shard = DUNE_NEW_N(struct xt_shard, f->n_shards);
    dune_xt_add_report(&f->report, &h.report);
    if (h.rc && (!f->rc || part < f->failed)) { /* the first part that failed, in all processes */
        f->failed = part;
        f->rc = h.rc;
        f->d = h.d;
    }
    for (unsigned s = part; s < f->n_shards && !h.rc; s += f->n_parts) {
        dune_xt_shard_fini(&f->shard[s]);
        f->shard[s] = (struct xt_shard){0};
        take_shard(f, &f->shard[s], &b);
    }
    return !b.bad && b.left == 0;
}
