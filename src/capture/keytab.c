/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/labels_int.h"

#include <string.h>

/* Words in front of a key in the pool. */
enum { HEAD_VALUE, HEAD_COUNT, HEAD_LEN, HEAD_WORDS };

static inline uint64_t fold(uint64_t a, uint64_t b)
{
    uint64_t x = (a ^ UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);

    x ^= x >> 32;
    return (x ^ b) * UINT64_C(0x94d049bb133111eb);
}

/* The last 0 to 7 bytes as a number; loads of fixed size, as a copy of unknown length is a call. */
static inline uint64_t load_rest(const uint8_t *p, size_t len)
{
    uint32_t lo, hi;

    if (len >= 4) {
        memcpy(&lo, p, 4);
        memcpy(&hi, p + len - 4, 4);
        return (uint64_t)hi << 32 | lo;
    }
    return len ? (uint64_t)p[0] | (uint64_t)p[len / 2] << 8 | (uint64_t)p[len - 1] << 16 : 0;
}

static inline uint64_t hash_key(const uint8_t *p, size_t len)
{
    uint64_t h = len, w;

    for (; len >= 8; p += 8, len -= 8) {
        memcpy(&w, p, 8);
        h = fold(h, w);
    }
    h = fold(h, load_rest(p, len));
    h ^= h >> 29;
    h *= UINT64_C(0xbf58476d1ce4e5b9);
    return h ^ h >> 32;
}

static bool same(const uint32_t *rec, const uint8_t *key, size_t len)
{
    return rec[HEAD_LEN] == len && memcmp(rec + HEAD_WORDS, key, len) == 0;
}

/* The slot of the key, or the empty one where it belongs. */
static struct keytab_slot *probe(const struct keytab *t, uint64_t h, const uint8_t *key, size_t len)
{
    size_t mask = t->n_slots - 1;

    for (size_t i = (size_t)h & mask;; i = (i + 1) & mask) {
        struct keytab_slot *s = &t->slot[i];

        if (s->at == 0 || (s->tag == (uint32_t)(h >> 32) && same(t->pool.data + s->at, key, len)))
            return s;
    }
}

static void grow(struct keytab *t)
{
    struct keytab_slot *old = t->slot;
    size_t n_old = t->n_slots;

    t->n_slots = n_old ? n_old * 2 : 64;
    t->slot = DUNE_NEW_N(struct keytab_slot, t->n_slots);
    for (size_t i = 0; i < n_old; i++) {
        const uint32_t *rec = t->pool.data + old[i].at;
        const uint8_t *key = (const uint8_t *)(rec + HEAD_WORDS);

        if (old[i].at)
            *probe(t, hash_key(key, rec[HEAD_LEN]), key, rec[HEAD_LEN]) = old[i];
    }
    dune_mem_free(old);
}

static struct keytab_value value_of(const struct keytab *t, size_t at)
{
    uint32_t *rec = t->pool.data + at;

    return (struct keytab_value){rec + HEAD_VALUE, rec + HEAD_COUNT};
}

struct keytab_value keytab_find(const struct keytab *t, const void *key, size_t len)
{
    return keytab_look(t, hash_key(key, len), key, len);
}

uint64_t keytab_ask(const struct keytab *t, const void *key, size_t len)
{
    uint64_t h = hash_key(key, len);

    if (t->n_keys)
        __builtin_prefetch(&t->slot[h & (t->n_slots - 1)]);
    return h;
}

void keytab_ask_record(const struct keytab *t, uint64_t hash)
{
    const struct keytab_slot *s = t->n_keys ? &t->slot[hash & (t->n_slots - 1)] : NULL;

    if (s && s->at) { /* a record may lie across two cache lines */
        __builtin_prefetch(t->pool.data + s->at);
        __builtin_prefetch(t->pool.data + s->at + HEAD_WORDS + 4);
    }
}

struct keytab_value keytab_look(const struct keytab *t, uint64_t hash, const void *key, size_t len)
{
    const struct keytab_slot *s = t->n_keys ? probe(t, hash, key, len) : NULL;

    return s && s->at ? value_of(t, s->at) : (struct keytab_value){0};
}

struct keytab_value keytab_add(struct keytab *t, const void *key, size_t len, bool *fresh)
{
    size_t words = HEAD_WORDS + (len + 3) / 4;
    uint64_t h = hash_key(key, len);
    struct keytab_slot *s;
    uint32_t *rec;

    if (t->n_keys * 2 >= t->n_slots)
        grow(t);
    s = probe(t, h, key, len);
    *fresh = s->at == 0;
    if (!*fresh)
        return value_of(t, s->at);
    if (t->pool.len == 0)
        t->pool.len = 1; /* offset 0 means empty */
    DUNE_VEC_RESERVE(&t->pool, t->pool.len + words);
    rec = t->pool.data + t->pool.len;
    memset(rec, 0, words * sizeof(*rec));
    rec[HEAD_LEN] = (uint32_t)len;
    memcpy(rec + HEAD_WORDS, key, len);
    s->tag = (uint32_t)(h >> 32);
    s->at = (uint32_t)t->pool.len;
    t->pool.len += words;
    t->n_keys++;
    return value_of(t, s->at);
}

const uint8_t *keytab_key(struct keytab_value v)
{
    return (const uint8_t *)(v.value - HEAD_VALUE + HEAD_WORDS);
}

size_t keytab_key_len(struct keytab_value v)
{
    return v.value[HEAD_LEN - HEAD_VALUE];
}

bool keytab_walk(const struct keytab *t, size_t *pos, struct keytab_value *v)
{
    if (*pos == 0)
        *pos = 1;
    if (*pos >= t->pool.len)
        return false;
    *v = value_of(t, *pos);
    *pos += HEAD_WORDS + (t->pool.data[*pos + HEAD_LEN] + 3) / 4;
    return true;
}

bool keytab_is_full(const struct keytab *t)
{
    return t->pool.len > UINT32_MAX - HEAD_WORDS - LABEL_MAX_KEY;
}

void keytab_fini(struct keytab *t)
{
    dune_mem_free(t->slot);
    DUNE_VEC_FREE(&t->pool);
    memset(t, 0, sizeof(*t));
}
