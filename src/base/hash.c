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

/* --- several at a time ---------------------------------------------------------------------------- */
typedef uint64_t lanes __attribute__((vector_size(32)));
typedef uint32_t halves __attribute__((vector_size(32)));

/* Eight messages: two groups of four lanes, whose steps overlap. The state lives in registers, hence macros. */
#define ROTL4(x, k) ((x) << (k) | (x) >> (64 - (k)))
#define ROTL4_32(x) ((lanes)__builtin_shufflevector((halves)(x), (halves)(x), 1, 0, 3, 2, 5, 4, 7, 6))
#define SIP_HALF4(a, b, c, d, k)                                                                   \
    (a) += (b);                                                                                    \
    (c) += (d);                                                                                    \
    (b) = ROTL4(b, k) ^ (a)
#define SIP_ROUND4(v0, v1, v2, v3)                                                                 \
    do {                                                                                           \
        SIP_HALF4(v0, v1, v2, v3, 13);                                                             \
        (v3) = ROTL4(v3, 16) ^ (v2);                                                               \
        (v0) = ROTL4_32(v0);                                                                       \
        SIP_HALF4(v2, v1, v0, v3, 17);                                                             \
        (v3) = ROTL4(v3, 21) ^ (v0);                                                               \
        (v2) = ROTL4_32(v2);                                                                       \
    } while (0)
#define SIP_ROUND8                                                                                 \
    do {                                                                                           \
        SIP_ROUND4(v0, v1, v2, v3);                                                                \
        SIP_ROUND4(w0, w1, w2, w3);                                                                \
    } while (0)
#define SIP_WORD8(m, n)                                                                            \
    do {                                                                                           \
        v3 ^= (m);                                                                                 \
        w3 ^= (n);                                                                                 \
        SIP_ROUND8;                                                                                \
        SIP_ROUND8;                                                                                \
        v0 ^= (m);                                                                                 \
        w0 ^= (n);                                                                                 \
    } while (0)

/* 32 bytes of each of four messages become four words of all of them. */
static inline __attribute__((always_inline)) void load_four(const uint8_t *const p[4], size_t at, lanes m[4])
{
    lanes a, b, c, d, ab_lo, ab_hi, cd_lo, cd_hi;

    memcpy(&a, p[0] + at, sizeof(a));
    memcpy(&b, p[1] + at, sizeof(b));
    memcpy(&c, p[2] + at, sizeof(c));
    memcpy(&d, p[3] + at, sizeof(d));
    ab_lo = __builtin_shufflevector(a, b, 0, 4, 2, 6);
    ab_hi = __builtin_shufflevector(a, b, 1, 5, 3, 7);
    cd_lo = __builtin_shufflevector(c, d, 0, 4, 2, 6);
    cd_hi = __builtin_shufflevector(c, d, 1, 5, 3, 7);
    m[0] = __builtin_shufflevector(ab_lo, cd_lo, 0, 1, 4, 5);
    m[1] = __builtin_shufflevector(ab_hi, cd_hi, 0, 1, 4, 5);
    m[2] = __builtin_shufflevector(ab_lo, cd_lo, 2, 3, 6, 7);
    m[3] = __builtin_shufflevector(ab_hi, cd_hi, 2, 3, 6, 7);
}

static inline __attribute__((always_inline)) void word_of_four(const uint8_t *const p[4], size_t at, lanes *m)
{
    *m = (lanes){load64(p[0] + at), load64(p[1] + at), load64(p[2] + at), load64(p[3] + at)};
}

static inline __attribute__((always_inline)) void rest_of_four(const uint8_t *const p[4], size_t at, size_t len, lanes *m)
{
    uint64_t last = (uint64_t)len << 56;

    *m = (lanes){last, last, last, last};
    for (size_t i = 0; i < (len & 7); i++)
        *m |= (lanes){p[0][at + i], p[1][at + i], p[2][at + i], p[3][at + i]} << (8 * i);
}

static inline __attribute__((always_inline)) void sip_eight(const uint8_t key[16], const uint8_t *const p[8], size_t len,
                                                            uint64_t out[8])
{
    uint64_t k0 = load64(key), k1 = load64(key + 8);
    uint64_t a = k0 ^ UINT64_C(0x736f6d6570736575), b = k1 ^ UINT64_C(0x646f72616e646f6d);
    uint64_t c = k0 ^ UINT64_C(0x6c7967656e657261), d = k1 ^ UINT64_C(0x7465646279746573);
    lanes v0 = {a, a, a, a}, v1 = {b, b, b, b}, v2 = {c, c, c, c}, v3 = {d, d, d, d};
    lanes w0 = v0, w1 = v1, w2 = v2, w3 = v3, m[4] = {{0}}, n[4] = {{0}};
    const lanes end = {0xff, 0xff, 0xff, 0xff};
    size_t at = 0;

    for (; at + 32 <= len; at += 32) {
        load_four(p, at, m);
        load_four(p + 4, at, n);
        SIP_WORD8(m[0], n[0]);
        SIP_WORD8(m[1], n[1]);
        SIP_WORD8(m[2], n[2]);
        SIP_WORD8(m[3], n[3]);
    }
    for (; at + 8 <= len; at += 8) {
        word_of_four(p, at, &m[0]);
        word_of_four(p + 4, at, &n[0]);
        SIP_WORD8(m[0], n[0]);
    }
    rest_of_four(p, at, len, &m[0]);
    rest_of_four(p + 4, at, len, &n[0]);
    SIP_WORD8(m[0], n[0]);
    v2 ^= end;
    w2 ^= end;
    for (int i = 0; i < 4; i++)
        SIP_ROUND8;
    v0 ^= v1 ^ v2 ^ v3;
    w0 ^= w1 ^ w2 ^ w3;
    for (int i = 0; i < 4; i++) {
        out[i] = v0[i];
        out[4 + i] = w0[i];
    }
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static void sip_eight_avx2(const uint8_t key[16], const uint8_t *const p[8], size_t len,
                                                           uint64_t out[8])
{
    sip_eight(key, p, len, out);
}
#endif

void dune_siphash_eight(const uint8_t key[16], const void *const data[8], size_t len, uint64_t out[8])
{
    const uint8_t *p[8];

    for (int i = 0; i < 8; i++)
        p[i] = data[i];
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2")) {
        sip_eight_avx2(key, p, len, out);
        return;
    }
#endif
    sip_eight(key, p, len, out);
}

void dune_content_hash(const void *data, size_t len, char out[33])
{
    static const uint8_t key[2][16] = {"dune content  a", "dune content  b"};

    for (int i = 0; i < 2; i++)
        snprintf(out + 16 * i, 17, "%016llx", (unsigned long long)dune_siphash(key[i], data, len));
}
