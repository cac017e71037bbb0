/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From packets to flows, in bursts: the passes over a burst let the memory latency of the flow table
 * overlap.
 *
 *   1        ask for the slot
 *   2        ask for the flow that the slot names
 *   3        look up, expire, count, keep
 */
#include <string.h>
#include <sys/mman.h>

#include "base/spill.h"
#include "features/extract_int.h"

#define MIN_SLOTS 4096u

static uint64_t load(const void *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

uint32_t dune_xt_hash(const struct dune_flow_key *k)
{
    uint64_t h = dune_mix64(load(k->bytes), load(k->bytes + 5));

    if (k->len == 37)
        h = dune_mix64(h ^ load(k->bytes + 13), load(k->bytes + 21) ^ (load(k->bytes + 29) << 1));
    return (uint32_t)(h >> 32);
}

/* --- table --------------------------------------------------------------------------------------- */

static void table_new(struct xt_shard *s, uint32_t n_slots)
{
    s->slot = dune_mem_alloc_big(n_slots, sizeof(*s->slot));
    memset(s->slot, 0xff, n_slots * sizeof(*s->slot));
    s->mask = n_slots - 1;
    s->used = 0;
}

/* Empties the table for the next capture; a large one would be slow to clear again and again. */
static void table_reset(struct xt_shard *s)
{
    if (s->slot && s->used == 0)
        return;
    dune_mem_free(s->slot);
    table_new(s, MIN_SLOTS);
}

static void table_grow(struct xt_shard *s)
{
    struct xt_slot *old = s->slot;
    uint32_t n_old = s->mask + 1, used = s->used;

    table_new(s, n_old * 2);
    s->used = used;
    for (uint32_t i = 0; i < n_old; i++) {
        uint32_t at = old[i].hash & s->mask;

        if (old[i].flow == XT_NONE)
            continue;
        while (s->slot[at].flow != XT_NONE)
            at = (at + 1) & s->mask;
        s->slot[at] = old[i];
    }
    dune_mem_free(old);
}

static bool same_key(const struct xt_shard *s, const struct xt_flow *w, const struct dune_flow_key *k)
{
    if (w->key_len != k->len)
        return false;
    if (k->len == sizeof(w->key))
        return memcmp(w->key, k->bytes, sizeof(w->key)) == 0;
    return memcmp(s->keys6.data[w->v6].bytes, k->bytes, sizeof(struct xt_key6)) == 0;
}

/* The slot of a key: of its flow or the empty one where it belongs. */
static struct xt_slot *find_slot(const struct xt_shard *s, const struct dune_flow_key *k, uint32_t hash)
{
    uint32_t at = hash & s->mask;

    while (s->slot[at].flow != XT_NONE &&
           (s->slot[at].hash != hash || !same_key(s, &s->flows.data[s->slot[at].flow], k)))
        at = (at + 1) & s->mask;
    return &s->slot[at];
}

/* --- flows --------------------------------------------------------------------------------------- */

/* Appends a flow for entry e and returns its index. */
static uint32_t new_flow(struct xt_shard *s, const struct xt_entry *e)
{
    struct xt_flow w = {.first = e->tick, .last = e->tick, .row = XT_NONE, .last_row = XT_NONE,
                        .cls = e->cls, .capture = e->capture, .key_len = e->p.key.len};
    uint32_t n_labels = dune_labels_n_classes(s->f->labels);

    if (e->p.key.len == sizeof(w.key)) {
        memcpy(w.key, e->p.key.bytes, sizeof(w.key));
    } else {
        struct xt_key6 k;

        memcpy(k.bytes, e->p.key.bytes, sizeof(k.bytes));
        w.v6 = (uint32_t)s->keys6.len;
        DUNE_VEC_PUSH(&s->keys6, k);
    }
    s->occurs[e->cls == DUNE_LABEL_NONE ? n_labels : e->cls] = true;
    s->unlabelled_flows += e->cls == DUNE_LABEL_NONE;
    if (s->f->n_shards > 1)
        DUNE_VEC_PUSH(&s->born, e->index);
    DUNE_VEC_PUSH(&s->flows, w);
    return (uint32_t)s->flows.len - 1;
}

/* The flow of entry e: known and alive, or a new one. */
static struct xt_flow *flow_of(struct xt_shard *s, const struct xt_entry *e)
{
    struct xt_slot *at = find_slot(s, &e->p.key, e->hash);

    if (at->flow == XT_NONE) {
        at->hash = e->hash;
        at->flow = new_flow(s, e);
        if (++s->used * 2 > s->mask)
            table_grow(s);
        return &s->flows.data[s->flows.len - 1];
    }
    if (dune_expired(e->tick, s->flows.data[at->flow].last, s->f->timeout))
        at->flow = new_flow(s, e);
    return &s->flows.data[at->flow];
}

static void keep_packet(struct xt_shard *s, struct xt_flow *w, const struct xt_entry *e)
{
    struct xt_row row = {.tick = e->tick, .next = XT_NONE, .ip_len = e->p.ip_len,
                         .window = e->p.tcp_window, .udp_length = e->p.udp_length, .ttl = e->p.ttl,
                         .tos = e->p.tos, .ip_hdr_len = e->p.ip_hdr_len,
                         .tcp_flags = e->p.tcp_flags, .tcp_hdr_len = e->p.tcp_hdr_len};
    uint32_t at = (uint32_t)s->rows.len;

    DUNE_VEC_PUSH(&s->rows, row);
    if (w->row == XT_NONE)
        w->row = at;
    else
        s->rows.data[w->last_row].next = at;
    w->last_row = at;
}

static void track(struct xt_shard *s, const struct xt_entry *e)
{
    struct xt_flow *w;

    if (e->capture != s->table_capture) {
        table_reset(s);
        s->table_capture = e->capture;
    }
    w = flow_of(s, e);
    w->len++;
    if (e->tick > w->last)
        w->last = e->tick;
    s->label_changes += e->cls != w->cls;
    if (w->len <= s->f->max_n && (w->cls != DUNE_LABEL_NONE || s->f->keep_unlabelled))
        keep_packet(s, w, e);
}

/* The flow that most likely is the one: the first with this hash. */
static inline void ask_flow(const struct xt_shard *s, uint32_t hash)
{
    uint32_t at = hash & s->mask;

    while (s->slot[at].flow != XT_NONE && s->slot[at].hash != hash)
        at = (at + 1) & s->mask;
    if (s->slot[at].flow != XT_NONE)
        __builtin_prefetch(&s->flows.data[s->slot[at].flow], 1);
}

/* Long lists in huge pages where there are any: packets of many flows touch them all over. */
static void hint_huge(const void *p, size_t bytes)
{
    const uintptr_t huge = (uintptr_t)2 << 20, from = ((uintptr_t)p + huge - 1) / huge * huge;
    const uintptr_t end = ((uintptr_t)p + bytes) / huge * huge;

    if (from < end && !dune_spill_on())
        (void)madvise((void *)from, end - from, MADV_HUGEPAGE); /* without such pages it is slower, nothing else */
}

static void make_room(struct xt_shard *s, size_t n)
{
    if (s->flows.len + n > s->flows.cap) {
        DUNE_VEC_RESERVE(&s->flows, s->flows.len + n);
        hint_huge(s->flows.data, s->flows.cap * sizeof(*s->flows.data));
    }
    if (s->rows.len + n > s->rows.cap) {
        DUNE_VEC_RESERVE(&s->rows, s->rows.len + n);
        hint_huge(s->rows.data, s->rows.cap * sizeof(*s->rows.data));
    }
}

int dune_xt_track(struct xt_shard *s, const struct xt_entry *e, const uint16_t *pick, size_t n)
{
    if (s->flows.len + n >= XT_MAX_FLOWS || s->rows.len + n >= XT_NONE - 1)
        return dune_diag_set(&s->d, DUNE_E_INFEASIBLE, s->f->path,
                             "more than a billion flows or 4 billion kept packets in one file: "
                             "split it");
    make_room(s, n);
    for (size_t i = 0; i < n; i++)
        __builtin_prefetch(&s->slot[e[pick[i]].hash & s->mask]);
    for (size_t i = 0; i < n; i++)
        ask_flow(s, e[pick[i]].hash);
    for (size_t i = 0; i < n; i++)
        track(s, &e[pick[i]]);
    return 0;
}

/* --- life ---------------------------------------------------------------------------------------- */

void dune_xt_shard_init(struct xt_shard *s, const struct xt_file *f)
{
    s->f = f;
    s->occurs = DUNE_NEW_N(bool, (size_t)dune_labels_n_classes(f->labels) + 1);
    table_reset(s);
}

void dune_xt_shard_end(struct xt_shard *s)
{
    dune_mem_free(s->slot);
    s->slot = NULL;
}

void dune_xt_shard_fini(struct xt_shard *s)
{
    DUNE_VEC_FREE(&s->flows);
    DUNE_VEC_FREE(&s->born);
    DUNE_VEC_FREE(&s->rows);
    DUNE_VEC_FREE(&s->keys6);
    dune_mem_free(s->occurs);
    dune_mem_free(s->slot);
}
