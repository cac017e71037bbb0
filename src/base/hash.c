/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"

#include <pthread.h>
#include <string.h>

static uint32_t crc_table[2][256];
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

static void crc_init(void)
{
    static const uint32_t poly[2] = {0xedb88320u, 0x82f63b78u}; /* reflected IEEE, Castagnoli */

    for (int k = 0; k < 2; k++) {
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t c = i;

            for (int bit = 0; bit < 8; bit++)
                c = (c >> 1) ^ (c & 1 ? poly[k] : 0);
            crc_table[k][i] = c;
        }
    }
}

static uint32_t crc(int k, const void *data, size_t len)
{
    const uint8_t *p = data;
    uint32_t c = UINT32_MAX;

    pthread_once(&crc_once, crc_init);
    while (len--)
        c = (c >> 8) ^ crc_table[k][(c ^ *p++) & 0xff];
    return ~c;
}

uint32_t dune_crc32(const void *data, size_t len)
{
    return crc(0, data, len);
}

uint32_t dune_crc32c(const void *data, size_t len)
{
    return crc(1, data, len);
}

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

static inline uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

/* The state lives in registers: a macro, since compilers keep arrays in memory. */
#define SIP_ROUND                                                                                  \
    do {                                                                                           \
        v0 += v1;                                                                                  \
        v1 = rotl(v1, 13) ^ v0;                                                                    \
        v0 = rotl(v0, 32);                                                                         \
        v2 += v3;                                                                                  \
        v3 = rotl(v3, 16) ^ v2;                                                                    \
        v0 += v3;                                                                                  \
        v3 = rotl(v3, 21) ^ v0;                                                                    \
        v2 += v1;                                                                                  \
        v1 = rotl(v1, 17) ^ v2;                                                                    \
        v2 = rotl(v2, 32);                                                                         \
    } while (0)

/* J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012. */
uint64_t dune_siphash(const uint8_t key[16], const void *data, size_t len)
{
    const uint8_t *p = data;
    uint64_t k0 = load64(key), k1 = load64(key + 8);
    uint64_t v0 = k0 ^ UINT64_C(0x736f6d6570736575), v1 = k1 ^ UINT64_C(0x646f72616e646f6d);
    uint64_t v2 = k0 ^ UINT64_C(0x6c7967656e657261), v3 = k1 ^ UINT64_C(0x7465646279746573);
    uint64_t last = (uint64_t)len << 56;
    size_t rest = len & 7;

    for (const uint8_t *end = p + (len - rest); p < end; p += 8) {
        uint64_t m = load64(p);

        v3 ^= m;
        SIP_ROUND;
        SIP_ROUND;
        v0 ^= m;
    }
    for (size_t i = 0; i < rest; i++)
        last |= (uint64_t)p[i] << (8 * i);
    v3 ^= last;
    SIP_ROUND;
    SIP_ROUND;
    v0 ^= last;
    v2 ^= 0xff;
    for (int i = 0; i < 4; i++)
        SIP_ROUND;
    return v0 ^ v1 ^ v2 ^ v3;
}

/* --- four at a time ------------------------------------------------------------------------------- */
typedef uint64_t lanes __attribute__((vector_size(32)));

#define ROTL4(x, k) ((x) << (k) | (x) >> (64 - (k)))
#define SIP_ROUND4                                                                                 \
    do {                                                                                           \
        v0 += v1;                                                                                  \
        v1 = ROTL4(v1, 13) ^ v0;                                                                   \
        v0 = ROTL4(v0, 32);                                                                        \
        v2 += v3;                                                                                  \
        v3 = ROTL4(v3, 16) ^ v2;                                                                   \
        v0 += v3;                                                                                  \
        v3 = ROTL4(v3, 21) ^ v0;                                                                   \
        v2 += v1;                                                                                  \
        v1 = ROTL4(v1, 17) ^ v2;                                                                   \
        v2 = ROTL4(v2, 32);                                                                        \
    } while (0)

static inline __attribute__((always_inline)) void sip_four(const uint8_t key[16], const uint8_t *const p[4],
                                                           size_t len, uint64_t out[4])
{
    uint64_t k0 = load64(key), k1 = load64(key + 8), last = (uint64_t)len << 56;
    uint64_t a = k0 ^ UINT64_C(0x736f6d6570736575), b = k1 ^ UINT64_C(0x646f72616e646f6d);
    uint64_t c = k0 ^ UINT64_C(0x6c7967656e657261), d = k1 ^ UINT64_C(0x7465646279746573);
    lanes v0 = {a, a, a, a}, v1 = {b, b, b, b}, v2 = {c, c, c, c}, v3 = {d, d, d, d}, m;
    size_t rest = len & 7, at = 0;

    for (; at < len - rest; at += 8) {
        m = (lanes){load64(p[0] + at), load64(p[1] + at), load64(p[2] + at), load64(p[3] + at)};
        v3 ^= m;
        SIP_ROUND4;
        SIP_ROUND4;
        v0 ^= m;
    }
    m = (lanes){last, last, last, last};
    for (size_t i = 0; i < rest; i++)
        m |= (lanes){p[0][at + i], p[1][at + i], p[2][at + i], p[3][at + i]} << (8 * i);
    v3 ^= m;
    SIP_ROUND4;
    SIP_ROUND4;
    v0 ^= m;
    v2 ^= (lanes){0xff, 0xff, 0xff, 0xff};
    for (int i = 0; i < 4; i++)
        SIP_ROUND4;
    v0 ^= v1 ^ v2 ^ v3;
    for (int i = 0; i < 4; i++)
        out[i] = v0[i];
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static void sip_four_avx2(const uint8_t key[16], const uint8_t *const p[4],
                                                          size_t len, uint64_t out[4])
{
    sip_four(key, p, len, out);
}
#endif

void dune_siphash_four(const uint8_t key[16], const void *const data[4], size_t len, uint64_t out[4])
{
    const uint8_t *const p[4] = {data[0], data[1], data[2], data[3]};

#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2")) {
        sip_four_avx2(key, p, len, out);
        return;
    }
#endif
    sip_four(key, p, len, out);
}

void dune_content_hash(const void *data, size_t len, char out[33])
{
    static const uint8_t key[2][16] = {"dune content  a", "dune content  b"};

    for (int i = 0; i < 2; i++)
        snprintf(out + 16 * i, 17, "%016llx", (unsigned long long)dune_siphash(key[i], data, len));
}
