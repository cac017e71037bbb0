/* SPDX-License-Identifier: Apache-2.0 */
/* Flow tables in memory that may be huge pages, and step 4 with few looks at slots. */
#include "targets/fast/fast_bucket.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { UNITS_PER_TIMEOUT = 64, UNIT_SHIFT_MAX = 39 /* 24 + 39 bits fit */ };
#define HUGE_PAGE ((size_t)2 << 20)

/* Zeroed and aligned to a cache line; *map is what to unmap, 0 for memory of the heap. */
static void *get_memory(size_t bytes, size_t *map)
{
    void *p;

    *map = 0;
    if (bytes >= 2 * HUGE_PAGE) {
        size_t whole = (bytes + 2 * HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);

        p = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p != MAP_FAILED) {
            uint8_t *at = (uint8_t *)(((uintptr_t)p + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));

            /* Cut to the aligned part, so that its start is all that has to be remembered. */
            if (at != p)
                munmap(p, (size_t)(at - (uint8_t *)p));
            *map = whole - (size_t)(at - (uint8_t *)p);
            madvise(at, *map, MADV_HUGEPAGE);
            return at;
        }
    }
    p = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    if (!p)
        return dune_mem_zalloc(SIZE_MAX, 1); /* stops with the message of all allocations */
    memset(p, 0, bytes);
    return p;
}

static void give_back(void *p, size_t map)
{
    if (map)
        munmap(p, map);
    else
        free(p);
}

static size_t n_ways(const struct fast_table *t)
{
    return ((size_t)t->mask + 1) * t->ways;
}

void dune_fast_table_init(struct fast_table *t, uint32_t slots, uint32_t ways, uint32_t slot_bytes,
                          uint64_t timeout)
{
    uint64_t unit = timeout == DUNE_TIMEOUT_NONE ? 0 : timeout / UNITS_PER_TIMEOUT;

    *t = (struct fast_table){.mask = slots - 1, .ways = ways, .slot_bytes = slot_bytes, .timeout = timeout};
    while (unit >> t->shift > 1 && t->shift < UNIT_SHIFT_MAX)
        t->shift++;
    t->way_bytes = (size_t)slots * slot_bytes;
    t->slot = get_memory(ways * t->way_bytes, &t->slot_map);
    if (ways > 1)
        t->word = get_memory(n_ways(t) * sizeof(*t->word), &t->word_map);
}

void dune_fast_table_fini(struct fast_table *t)
{
    if (t->slot)
        give_back(t->slot, t->slot_map);
    if (t->word)
        give_back(t->word, t->word_map);
    memset(t, 0, sizeof(*t));
}

void dune_fast_table_clear(struct fast_table *t)
{
    if (!t->started)
        return;
    t->started = false;
    if (t->word)
        memset(t->word, 0, n_ways(t) * sizeof(*t->word));
    else
        memset(t->slot, 0, t->ways * t->way_bytes);
}

/* Is the flow of that way surely or really expired? Units 0 and FAST_WORD_MAX say nothing. */
static bool way_expired(const struct fast_table *t, uint32_t bucket, uint32_t way, uint64_t now)
{
    uint32_t u = t->word[(size_t)bucket * t->ways + way] & FAST_WORD_MAX;
    uint64_t since;

    if (t->timeout == DUNE_TIMEOUT_NONE)
        return false;
    if (u > 0 && u < FAST_WORD_MAX) {
        if (now <= t->base || now - t->base <= t->timeout)
            return false;
        since = now - t->base - t->timeout; /* last - base below this: expired */
        if ((uint64_t)u << t->shift <= since)
            return true;
        if ((uint64_t)(u - 1) << t->shift >= since)
            return false;
    }
    return dune_core_expired(now, fast_slot_at(t, bucket, way)->last, t->timeout);
}

/* Only SYN without ACK was seen, and that long ago: others may take the slot. */
static bool half_open_expired(const struct fast_table *t, uint32_t bucket, uint32_t way, uint64_t now)
{
    struct dune_core_slot *s = fast_slot_at(t, bucket, way);

    return t->syn_timeout && dune_core_is_half_open(s, t->layout) && dune_core_expired(now, s->last, t->syn_timeout);
}

static struct dune_core_slot *take_only_way(struct fast_table *t, uint32_t bucket, uint32_t id, uint64_t now,
                                            uint64_t keep, enum dune_slot_outcome *outcome, bool *busy)
{
    struct dune_core_slot *s = fast_slot_at(t, bucket, 0);
    bool expired = s->id && dune_core_expired(now, s->last, t->timeout);

    if (s->id == id && !expired) {
        *outcome = DUNE_SLOT_HIT;
        return s;
    }
    expired = expired || (s->id && half_open_expired(t, bucket, 0, now));
    if (s->id && !expired) {
        *outcome = DUNE_SLOT_COLLISION;
        return NULL;
    }
    *outcome = expired ? DUNE_SLOT_EXPIRED : DUNE_SLOT_NEW;
    *busy = expired && s->last >= keep;
    return *busy ? NULL : fast_slot_claim(t, bucket, 0, id, now);
}

struct dune_core_slot *dune_fast_table_take_free(struct fast_table *t, uint32_t bucket, uint32_t look, uint32_t id,
                                                 uint64_t now, uint64_t keep, enum dune_slot_outcome *outcome,
                                                 uint32_t *way, bool *busy)
{
    const size_t i = (size_t)bucket * t->ways;

    for (; look; look &= look - 1) {
        uint32_t k = (uint32_t)__builtin_ctz(look);
        bool empty = t->word[i + k] == 0;

        if (!empty && !way_expired(t, bucket, k, now) && !half_open_expired(t, bucket, k, now))
            continue;
        *outcome = empty ? DUNE_SLOT_NEW : DUNE_SLOT_EXPIRED;
        *busy = !empty && fast_slot_at(t, bucket, k)->last >= keep;
        if (*busy)
            return NULL;
        *way = k;
        return fast_slot_claim(t, bucket, k, id, now);
    }
    *outcome = DUNE_SLOT_COLLISION;
    return NULL;
}

void dune_fast_table_start(struct fast_table *t, uint64_t now)
{
    uint64_t slack = t->timeout > UINT64_MAX / 16 ? UINT64_MAX : 16 * t->timeout;

    if (t->started)
        return;
    t->base = now > slack ? now - slack : 0; /* packets may be older than the first one */
    t->started = true;
}

/* Bits of the ways that may be free; half-open flows are told by their slots only. */
static uint32_t ways_to_take(const struct fast_table *t, uint32_t bucket, uint64_t now)
{
    struct fast_bits b;

    if (t->ways < 8 || t->syn_timeout)
        return (1u << t->ways) - 1;
    b = fast_bucket_look(&t->word[(size_t)bucket * 8], 0, fast_limit_of(t, now));
    return b.empty | b.maybe;
}

struct dune_core_slot *dune_fast_table_take(struct fast_table *t, uint32_t index, uint32_t id, uint64_t now,
                                            uint64_t keep, enum dune_slot_outcome *outcome, uint32_t *way,
                                            bool *busy)
{
    const uint32_t bucket = index & t->mask, tag = fast_tag_of(id);

    *way = 0;
    *busy = false;
    dune_fast_table_start(t, now);
    if (!t->word)
        return take_only_way(t, bucket, id, now, keep, outcome, busy);
    for (uint32_t k = 0; k < t->ways; k++) {
        struct dune_core_slot *s;

        if (t->word[(size_t)bucket * t->ways + k] >> 24 != tag)
            continue;
        s = fast_slot_at(t, bucket, k);
        if (s->id == id && !dune_core_expired(now, s->last, t->timeout)) {
            *outcome = DUNE_SLOT_HIT;
            *way = k;
            return s;
        }
    }
    return dune_fast_table_take_free(t, bucket, ways_to_take(t, bucket, now), id, now, keep, outcome, way, busy);
}

struct dune_core_slot *dune_fast_table_find(const struct fast_table *t, uint32_t index, uint32_t id,
                                            uint64_t now)
{
    const uint32_t bucket = index & t->mask;

    for (uint32_t k = 0; k < t->ways; k++) {
        struct dune_core_slot *s = fast_slot_at(t, bucket, k);

        if ((!t->word || t->word[(size_t)bucket * t->ways + k]) && s->id == id && !dune_core_expired(now, s->last, t->timeout))
            return s;
    }
    return NULL;
}

void dune_fast_table_touch(struct fast_table *t, uint32_t index, uint32_t way, const struct dune_core_slot *s,
                           uint64_t before)
{
    if (t->word)
        fast_bucket_touch(t, (size_t)(index & t->mask) * t->ways + way, s, before);
}

void dune_fast_table_prefetch_slot(const struct fast_table *t, uint32_t index, uint32_t id)
{
    const uint32_t bucket = index & t->mask, tag = fast_tag_of(id);
    const size_t i = (size_t)bucket * t->ways;
    uint32_t k = 0;
    const uint8_t *s;

    if (t->word) {
        while (k < t->ways && t->word[i + k] >> 24 != tag)
            k++;
        if (k == t->ways) /* a new flow: most likely the first empty way */
            for (k = 0; k + 1 < t->ways && t->word[i + k]; k++)
                ;
        __builtin_prefetch(fast_slot_at(t, bucket, k), 1);
    }
    s = fast_slot_bytes_at(t, bucket, k);
    for (uint32_t at = 64; at < t->slot_bytes; at += 64)
        __builtin_prefetch(s + at, 1);
}
