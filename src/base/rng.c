/* SPDX-License-Identifier: Apache-2.0 */
/* xoshiro256** by D. Blackman and S. Vigna (public domain algorithm), seeded through splitmix64. */
#include "base/base.h"

static uint64_t splitmix(uint64_t *x)
{
    uint64_t z = (*x += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t dune_mix64(uint64_t a, uint64_t b)
{
    uint64_t x = a ^ (b * UINT64_C(0xd6e8feb86659fd93));

    return splitmix(&x);
}

void dune_rng_init(struct dune_rng *r, uint64_t seed, uint64_t key1, uint64_t key2, uint64_t key3)
{
    uint64_t x = dune_mix64(dune_mix64(dune_mix64(seed, key1), key2), key3);

    for (int i = 0; i < 4; i++)
        r->s[i] = splitmix(&x);
}

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t dune_rng_u64(struct dune_rng *r)
{
    uint64_t *s = r->s, result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t dune_rng_below(struct dune_rng *r, uint64_t n)
{
    uint64_t limit = UINT64_MAX - UINT64_MAX % n, x; /* rejection keeps it unbiased */

    do
        x = dune_rng_u64(r);
    while (x >= limit);
    return x % n;
}

double dune_rng_unit(struct dune_rng *r)
{
    return (double)(dune_rng_u64(r) >> 11) * 0x1.0p-53;
}
