/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 5-tuples: a key may have several entries, each with a range of time. The entries of a key stand
 * together, by start:
 *
 *   start    10        20        30     40
 *   end      15        90        35     45
 *   max_end  15        90        90     90      search for 42: back from 40 while max_end >= 42
 *
 * Most keys have one entry without a range: their class stands in the table itself.
 */
#include "capture/labels_int.h"

#include <stdlib.h>
#include <string.h>

struct tuple { /* a flow key and the number of its capture, 0 = any */
    uint8_t bytes[41];
    size_t len;
};

static struct tuple make_tuple(const struct dune_flow_key *k, uint32_t capture)
{
    struct tuple t;

    memcpy(t.bytes, k->bytes, k->len);
    memcpy(t.bytes + k->len, &capture, 4);
    t.len = k->len + 4u;
    return t;
}

void spans_add(struct dune_labels *l, const struct dune_flow_key *k, uint32_t capture,
               const struct label_span *s)
{
    struct tuple t = make_tuple(k, capture);

    spans_add_key(l, t.bytes, t.len, s);
}

void spans_add_key(struct dune_labels *l, const void *key, size_t len, const struct label_span *s)
{
    struct keytab_value v;
    bool fresh;

    v = keytab_add(&l->keys, key, len, &fresh);
    DUNE_VEC_PUSH(&l->spans, *s);
    l->spans.data[l->spans.len - 1].next = *v.value;
    *v.value = (uint32_t)l->spans.len;
    ++*v.count;
}

static int by_start(const void *pa, const void *pb)
{
    const struct label_span *a = pa, *b = pb;

    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    return (a->line > b->line) - (a->line < b->line);
}

static bool unbounded(const struct label_span *s)
{
    return s->start == 0 && s->end == UINT64_MAX;
}

/* Sorts the entries of one key; *repeat is lowered to the line of a repeated unbounded entry. */
static void finish_group(struct label_span *s, uint32_t n, uint32_t *repeat, uint32_t *first_line)
{
    const struct label_span *open = NULL;
    uint64_t max_end = 0;
    bool agree = true;

    if (n > 1)
        qsort(s, n, sizeof(*s), by_start);
    for (uint32_t i = 0; i < n; i++) {
        max_end = DUNE_MAX(max_end, s[i].end);
        s[i].max_end = max_end;
        agree &= s[i].cls == s[0].cls;
        if (!unbounded(&s[i]))
            continue;
        if (open && (*repeat == 0 || s[i].line < *repeat)) {
            *repeat = s[i].line;
            *first_line = open->line;
        }
        open = &s[i];
    }
    for (uint32_t i = 0; i < n; i++)
        s[i].agree = agree;
}

/* Whether the class of a key depends neither on the time nor on another entry. */
static bool is_plain(const struct dune_labels *l, const struct label_span *s, uint32_t n)
{
    if (labels_both_ways(l))
        return s->agree;
    return n == 1 && unbounded(s) && !l->has_captures;
}

uint32_t spans_finish(struct dune_labels *l, uint32_t *first_line)
{
    struct label_span *sorted = DUNE_NEW_N(struct label_span, l->spans.len);
    uint32_t out = 0, repeat = 0;
    struct keytab_value v;
    size_t pos = 0;

    while (keytab_walk(&l->keys, &pos, &v)) {
        uint32_t first = out;

        for (uint32_t at = *v.value; at; at = l->spans.data[at - 1].next)
            sorted[out++] = l->spans.data[at - 1];
        finish_group(sorted + first, *v.count, &repeat, first_line);
        *v.value = first;
        if (is_plain(l, sorted + first, *v.count)) {
            *v.value = sorted[first].cls;
            *v.count = 0; /* the value is the class */
            out = first;
        }
    }
    dune_mem_free(l->spans.data);
    l->spans.data = dune_mem_realloc(sorted, DUNE_MAX(out, 1), sizeof(*sorted));
    l->spans.len = l->spans.cap = out;
    return repeat;
}

/* The best entry so far. */
struct pick {
    const struct label_span *s;
    bool conflict;
};

static void offer(struct pick *p, const struct label_span *s)
{
    if (p->s && p->s->cls != s->cls)
        p->conflict = true;
    if (!p->s || s->line < p->s->line)
        p->s = s;
}

/* Offers the entries whose range holds t. */
static void stab(struct pick *p, const struct label_span *s, uint32_t n, uint64_t t)
{
    uint32_t lo = 0, hi = n; /* first entry that starts after t */

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (s[mid].start <= t)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo > 0 && s[lo - 1].max_end >= t; lo--)
        if (s[lo - 1].end >= t)
            offer(p, &s[lo - 1]);
}

static struct keytab_value find(const struct dune_labels *l, const struct dune_flow_key *k,
                                uint32_t capture)
{
    struct tuple t = make_tuple(k, capture);

    return keytab_find(&l->keys, t.bytes, t.len);
}

/* From what the table has of a key on. */
static uint32_t decide(const struct dune_labels *l, struct keytab_value v, const struct dune_flow_key *k,
                       uint32_t capture, uint64_t ts_ns, bool *conflict)
{
    struct pick p = {0};

    *conflict = false;
    if (v.value && *v.count == 0)
        return *v.value;
    if (v.value)
        stab(&p, l->spans.data + *v.value, *v.count, ts_ns);
    if (capture && (v = find(l, k, capture)).value)
        stab(&p, l->spans.data + *v.value, *v.count, ts_ns);
    *conflict = p.conflict;
    return p.s ? p.s->cls : DUNE_LABEL_NONE;
}

uint32_t spans_lookup(const struct dune_labels *l, const struct dune_flow_key *k, uint32_t capture,
                      uint64_t ts_ns, bool *conflict)
{
    return decide(l, find(l, k, 0), k, capture, ts_ns, conflict);
}

uint32_t spans_lookup_key(const struct dune_labels *l, const void *key, size_t len, uint64_t ts_ns, bool *conflict)
{
    return decide(l, keytab_find(&l->keys, key, len), NULL, 0, ts_ns, conflict);
}

struct dune_flow_key spans_both_ways(const struct dune_flow_key *k)
{
    size_t ip = k->len == 13 ? 4 : 16;
    struct dune_flow_key r = {.len = k->len};

    memcpy(r.bytes, k->bytes + ip, ip);
    memcpy(r.bytes + ip, k->bytes, ip);
    memcpy(r.bytes + 2 * ip, k->bytes + 2 * ip + 2, 2);
    memcpy(r.bytes + 2 * ip + 2, k->bytes + 2 * ip, 2);
    r.bytes[k->len - 1] = k->bytes[k->len - 1];
    return memcmp(k->bytes, r.bytes, k->len) <= 0 ? *k : r;
}

/* Time is asked only where the entries of a flow disagree. */
static uint32_t decide_both(const struct dune_labels *l, struct keytab_value v, uint64_t ts_ns, bool *conflict)
{
    struct pick p = {0};

    *conflict = false;
    if (!v.value)
        return DUNE_LABEL_NONE;
    if (*v.count == 0)
        return *v.value;
    stab(&p, l->spans.data + *v.value, *v.count, ts_ns);
    *conflict = p.conflict || !p.s;
    return p.s ? p.s->cls : DUNE_LABEL_NONE;
}

uint32_t spans_lookup_both(const struct dune_labels *l, const struct dune_flow_key *k, uint32_t capture,
                           uint64_t ts_ns, bool *conflict)
{
    struct dune_flow_key both = spans_both_ways(k);

    return decide_both(l, find(l, &both, capture), ts_ns, conflict);
}

/* Each pass over a burst asks for what the next one reads. */
void spans_lookup_many(const struct dune_labels *l, uint32_t capture, struct dune_label_query *q, size_t n)
{
    enum { BURST = 32 };
    bool both = labels_both_ways(l);
    uint32_t in = l->kind == LABEL_NDPI ? capture : 0;
    struct tuple t[BURST];
    uint64_t hash[BURST];

    for (; n; q += DUNE_MIN(n, (size_t)BURST), n -= DUNE_MIN(n, (size_t)BURST)) {
        size_t some = DUNE_MIN(n, (size_t)BURST);

        for (size_t i = 0; i < some; i++) {
            struct dune_flow_key k = both ? spans_both_ways(&q[i].p->key) : q[i].p->key;

            t[i] = make_tuple(&k, in);
            hash[i] = keytab_ask(&l->keys, t[i].bytes, t[i].len);
        }
        for (size_t i = 0; i < some; i++)
            keytab_ask_record(&l->keys, hash[i]);
        for (size_t i = 0; i < some; i++) {
            struct keytab_value v = keytab_look(&l->keys, hash[i], t[i].bytes, t[i].len);

            q[i].cls = both ? decide_both(l, v, q[i].ts_ns, &q[i].conflict)
                            : decide(l, v, &q[i].p->key, capture, q[i].ts_ns, &q[i].conflict);
        }
    }
}
