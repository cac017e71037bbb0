/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two hashes of design section 5 on keys of 13 or 37 bytes. The CRCs are sums of table entries,
 * one per byte and its distance from the end, so that the look-ups do not wait for each other; CRC-32C
 * uses the processor's instruction where there is one.
 */
#include "targets/fast/fast_int.h"

#include <pthread.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

#include "targets/target_int.h"

enum { SLICES = DUNE_CRC_SLICES };
static uint32_t table[2][SLICES][256]; /* CRC-32, CRC-32C: of a byte with k zero bytes behind it */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_tables(void)
{
    static const uint32_t poly[2] = {0xedb88320u, 0x82f63b78u};

    for (int k = 0; k < 2; k++)
        dune_crc_slices(poly[k], table[k]);
}

/* One round over 4 to 16 bytes. */
static inline uint32_t slice(int k, uint32_t crc, const uint8_t *p, uint32_t n)
{
    uint32_t out = 0;

    for (uint32_t i = 0; i < 4; i++)
        out ^= table[k][n - 1 - i][p[i] ^ (crc >> (8 * i) & 0xff)];
    for (uint32_t i = 4; i < n; i++)
        out ^= table[k][n - 1 - i][p[i]];
    return out;
}

/* Keys have 13 or 37 bytes: 37 = 16 + 16 + 5. */
static uint32_t crc_plain(int k, const uint8_t *p, uint32_t len)
{
    uint32_t crc = UINT32_MAX;

    while (len > SLICES) {
        crc = slice(k, crc, p, SLICES);
        p += SLICES;
        len -= SLICES;
    }
    return ~slice(k, crc, p, len);
}

static uint64_t join(uint32_t index, uint32_t id)
{
    return (uint64_t)(id ? id : 1) << 32 | index;
}

uint64_t dune_fast_crc_plain(const uint8_t *key, uint32_t len)
{
    pthread_once(&once, make_tables);
    return join(crc_plain(1, key, len), crc_plain(0, key, len));
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(const uint8_t *p, uint32_t len)
{
    uint64_t crc = UINT32_MAX, word;

    for (; len >= 8; p += 8, len -= 8) {
        memcpy(&word, p, 8);
        crc = _mm_crc32_u64(crc, word);
    }
    if (len >= 4) {
        uint32_t half;

        memcpy(&half, p, 4);
        crc = _mm_crc32_u32((uint32_t)crc, half);
        p += 4;
        len -= 4;
    }
    while (len--)
        crc = _mm_crc32_u8((uint32_t)crc, *p++);
    return ~(uint32_t)crc;
}

static bool has_sse42(void)
{
    return __builtin_cpu_supports("sse4.2");
}
#else
static uint32_t crc32c_sse42(const uint8_t *p, uint32_t len)
{
    return crc_plain(1, p, len);
}

static bool has_sse42(void)
{
    return false;
}
#endif

/* --- SipHash-2-4 ------------------------------------------------------------------------------------- */

static inline uint64_t rotl(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

#define SIP_ROUND(v0, v1, v2, v3)                                                                  \
    do {                                                                                           \
        v0 += v1;                                                                                  \
        v2 += v3;                                                                                  \
        v1 = rotl(v1, 13) ^ v0;                                                                    \
        v3 = rotl(v3, 16) ^ v2;                                                                    \
        v0 = rotl(v0, 32);                                                                         \
        v2 += v1;                                                                                  \
        v0 += v3;                                                                                  \
        v1 = rotl(v1, 17) ^ v2;                                                                    \
        v3 = rotl(v3, 21) ^ v0;                                                                    \
        v2 = rotl(v2, 32);                                                                         \
    } while (0)

static inline uint64_t sip_end(uint64_t v0, uint64_t v1, uint64_t v2, uint64_t v3, uint64_t last)
{
    v3 ^= last;
    SIP_ROUND(v0, v1, v2, v3);
    SIP_ROUND(v0, v1, v2, v3);
    v0 ^= last;
    v2 ^= 0xff;
    for (int i = 0; i < 4; i++)
        SIP_ROUND(v0, v1, v2, v3);
    return v0 ^ v1 ^ v2 ^ v3;
}

static inline uint64_t sip13(const struct fast_hash *h, uint64_t addr, uint64_t rest)
{
    uint64_t v0 = h->v[0], v1 = h->v[1], v2 = h->v[2], v3 = h->v[3] ^ addr;

    SIP_ROUND(v0, v1, v2, v3);
    SIP_ROUND(v0, v1, v2, v3);
    v0 ^= addr;
    return sip_end(v0, v1, v2, v3, (uint64_t)13 << 56 | rest);
}

static uint64_t id_not_zero(uint64_t h)
{
    return h >> 32 ? h : h | (uint64_t)1 << 32;
}

static uint64_t load64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, 8);
    return v; /* little-endian, see below */
}

/* --- four keys at a time: the rounds of one wait for each other, those of four do not -------------------- */

typedef uint64_t four __attribute__((vector_size(32), aligned(8), may_alias));

#define ROTL4(x, k) ((x) << (k) | (x) >> (64 - (k)))
#define SIP_ROUND4(v0, v1, v2, v3)                                                                 \
    do {                                                                                           \
        v0 += v1;                                                                                  \
        v2 += v3;                                                                                  \
        v1 = ROTL4(v1, 13) ^ v0;                                                                   \
        v3 = ROTL4(v3, 16) ^ v2;                                                                   \
        v0 = ROTL4(v0, 32);                                                                        \
        v2 += v1;                                                                                  \
        v0 += v3;                                                                                  \
        v1 = ROTL4(v1, 17) ^ v2;                                                                   \
        v3 = ROTL4(v3, 21) ^ v0;                                                                   \
        v2 = ROTL4(v2, 32);                                                                        \
    } while (0)

DUNE_CORE_INLINE void sip13_many(const struct fast_hash *h, const uint64_t *addr, const uint64_t *rest, uint64_t *out,
                                 uint32_t n)
{
    for (uint32_t i = 0; i < n; i += 4) {
        const four a = *(const four *)(const void *)(addr + i), zero = {0};
        const four last = *(const four *)(const void *)(rest + i) | (uint64_t)13 << 56;
        four v0 = zero + h->v[0], v1 = zero + h->v[1], v2 = zero + h->v[2], v3 = a ^ h->v[3], r;

        SIP_ROUND4(v0, v1, v2, v3);
        SIP_ROUND4(v0, v1, v2, v3);
        v0 ^= a;
        v3 ^= last;
        SIP_ROUND4(v0, v1, v2, v3);
        SIP_ROUND4(v0, v1, v2, v3);
        v0 ^= last;
        v2 ^= (uint64_t)0xff;
        SIP_ROUND4(v0, v1, v2, v3);
        SIP_ROUND4(v0, v1, v2, v3);
        SIP_ROUND4(v0, v1, v2, v3);
        SIP_ROUND4(v0, v1, v2, v3);
        r = v0 ^ v1 ^ v2 ^ v3;
        r |= (four)((r >> 32) == zero) & (uint64_t)1 << 32; /* an id is not 0 */
        *(four *)(void *)(out + i) = r;
    }
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void sip13_avx2(const struct fast_hash *h, const uint64_t *addr,
                                                       const uint64_t *rest, uint64_t *out, uint32_t n)
{
    sip13_many(h, addr, rest, out, n);
}
#endif

/* --- the interface ------------------------------------------------------------------------------------- */

bool dune_fast_has_avx2(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2");
#else
    return false;
#endif
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words of a key are read as they lie");

void dune_fast_hash_init(struct fast_hash *h, const struct dune_plan *p)
{
    uint64_t k0 = load64(p->hash_key), k1 = load64(p->hash_key + 8);

    pthread_once(&once, make_tables);
    *h = (struct fast_hash){.kind = p->hash, .sse42 = has_sse42(), .avx2 = dune_fast_has_avx2(),
                            .v = {k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d),
                                  k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573)}};
    memcpy(h->key, p->hash_key, sizeof(h->key));
}

uint64_t dune_fast_hash_any(const struct fast_hash *h, const uint8_t *key, uint32_t len)
{
    if (h->kind != DUNE_HASH_CRC)
        return id_not_zero(dune_siphash(h->key, key, len));
    return join(h->sse42 ? crc32c_sse42(key, len) : crc_plain(1, key, len), crc_plain(0, key, len));
}

uint64_t dune_fast_hash_v4(const struct fast_hash *h, uint64_t addr, uint32_t ports, uint8_t proto)
{
    uint8_t key[13];

    if (h->kind != DUNE_HASH_CRC)
        return id_not_zero(sip13(h, addr, (uint64_t)proto << 32 | ports));
    memcpy(key, &addr, 8);
    memcpy(key + 8, &ports, 4);
    key[12] = proto;
    return dune_fast_hash_any(h, key, sizeof(key));
}

void dune_fast_hash_many(const struct fast_hash *h, const uint64_t *addr, const uint64_t *rest, uint64_t *out,
                         uint32_t n)
{
    if (h->kind == DUNE_HASH_CRC) {
        for (uint32_t i = 0; i < n; i++)
            out[i] = dune_fast_hash_v4(h, addr[i], (uint32_t)rest[i], (uint8_t)(rest[i] >> 32));
        return;
    }
#if defined(__x86_64__)
    if (h->avx2) {
        sip13_avx2(h, addr, rest, out, n);
        return;
    }
#endif
    sip13_many(h, addr, rest, out, n);
}
