/* SPDX-License-Identifier: Apache-2.0 */
/* Step 4 on a bucket of 8 ways: its words are looked at together. The words are described in fast_int.h. */
#ifndef DUNE_TARGETS_FAST_BUCKET_H
#define DUNE_TARGETS_FAST_BUCKET_H

#include "targets/fast/fast_int.h"

#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum { FAST_WORD_MAX = 0xffffff };

struct fast_bits { /* one bit per way */
    uint32_t same;  /* the tag is the flow's */
    uint32_t empty;
    uint32_t maybe; /* not empty and perhaps expired: the slot tells */
};

/* limit: words of 1 .. limit units may be of expired flows; FAST_WORD_MAX and 0 units say nothing. */
static inline struct fast_bits fast_bucket_look(const uint32_t *word, uint32_t tag, uint32_t limit)
{
    struct fast_bits b = {0, 0, 0};
#if defined(__SSE2__)
    const __m128i tags = _mm_set1_epi32((int)tag), none = _mm_setzero_si128(), max = _mm_set1_epi32(FAST_WORD_MAX),
                  lim = _mm_set1_epi32((int)limit + 1);
    __m128i w[2], same[2], empty[2], maybe[2];

    for (int i = 0; i < 2; i++) {
        __m128i u;

        w[i] = _mm_loadu_si128((const __m128i *)(const void *)(word + 4 * i));
        u = _mm_and_si128(w[i], max);
        same[i] = _mm_cmpeq_epi32(_mm_srli_epi32(w[i], 24), tags);
        empty[i] = _mm_cmpeq_epi32(w[i], none);
        maybe[i] = _mm_andnot_si128(empty[i], _mm_or_si128(_mm_cmpgt_epi32(lim, u), _mm_cmpeq_epi32(u, max)));
    }
    b.same = (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(_mm_packs_epi32(same[0], same[1]), none));
    b.empty = (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(_mm_packs_epi32(empty[0], empty[1]), none));
    b.maybe = (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(_mm_packs_epi32(maybe[0], maybe[1]), none));
#else
    for (uint32_t k = 0; k < 8; k++) {
        uint32_t u = word[k] & FAST_WORD_MAX;

        b.same |= (uint32_t)(word[k] >> 24 == tag) << k;
        b.empty |= (uint32_t)(word[k] == 0) << k;
        b.maybe |= (uint32_t)(word[k] && (u <= limit || u == FAST_WORD_MAX)) << k;
    }
#endif
    return b;
}

static inline uint32_t fast_tag_of(uint32_t id)
{
    return id >> 24 ? id >> 24 : 1;
}

static inline uint32_t fast_units_of(const struct fast_table *t, uint64_t last)
{
    uint64_t u;

    if (last < t->base)
        return 0; /* not known */
    u = ((last - t->base) >> t->shift) + 1;
    return u < FAST_WORD_MAX ? (uint32_t)u : FAST_WORD_MAX;
}

/* For fast_bucket_look: a word of u units is surely not expired where (u - 1) units reach `since`. */
static inline uint32_t fast_limit_of(const struct fast_table *t, uint64_t now)
{
    uint64_t units;

    if (t->timeout == DUNE_TIMEOUT_NONE || now <= t->base || now - t->base <= t->timeout)
        return 0;
    units = ((now - t->base - t->timeout) >> t->shift) + 1;
    return units < FAST_WORD_MAX ? (uint32_t)units : FAST_WORD_MAX - 1;
}

static inline uint8_t *fast_slot_bytes_at(const struct fast_table *t, uint32_t bucket, uint32_t way)
{
    return t->slot + way * t->way_bytes + (size_t)bucket * t->slot_bytes;
}

static inline struct dune_core_slot *fast_slot_at(const struct fast_table *t, uint32_t bucket, uint32_t way)
{
    return (struct dune_core_slot *)(void *)fast_slot_bytes_at(t, bucket, way);
}

/* What dune_fast_table_take does where the flow is there; NULL: ask that. */
static inline struct dune_core_slot *fast_bucket_hit(const struct fast_table *t, uint32_t bucket, uint32_t same,
                                                     uint32_t id, uint64_t now, uint32_t *way)
{
    for (; same; same &= same - 1) {
        uint32_t k = (uint32_t)__builtin_ctz(same);
        struct dune_core_slot *s = fast_slot_at(t, bucket, k);

        if (s->id == id && !dune_core_expired(now, s->last, t->timeout)) {
            *way = k;
            return s;
        }
    }
    return NULL;
}

/* The slot becomes that of a flow. */
static inline struct dune_core_slot *fast_slot_claim(struct fast_table *t, uint32_t bucket, uint32_t way, uint32_t id,
                                                     uint64_t now)
{
    struct dune_core_slot *s = fast_slot_at(t, bucket, way);

    if (t->word)
        t->word[(size_t)bucket * t->ways + way] = fast_tag_of(id) << 24 | fast_units_of(t, now);
    memset(s, 0, 64);
    if (t->slot_bytes > 64)
        memset((uint8_t *)s + 64, 0, t->slot_bytes - 64);
    s->id = id;
    return s;
}

/* before: what last of the slot was until now, which the word still says. */
static inline void fast_bucket_touch(struct fast_table *t, size_t i, const struct dune_core_slot *s, uint64_t before)
{
    uint32_t u;

    if (t->timeout == DUNE_TIMEOUT_NONE || (before - t->base) >> t->shift == (s->last - t->base) >> t->shift)
        return;
    u = fast_units_of(t, s->last);
    if ((t->word[i] & FAST_WORD_MAX) != u)
        t->word[i] = (t->word[i] & ~(uint32_t)FAST_WORD_MAX) | u;
}

#endif
