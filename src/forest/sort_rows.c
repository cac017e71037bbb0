/* SPDX-License-Identifier: Apache-2.0 */
/* Sorting of 64-bit keys: insertion for a few, least significant digit first for more. */
#include "forest/forest_int.h"

#include <string.h>

static void insertion(uint64_t *key, size_t n, uint64_t mask)
{
    for (size_t i = 1; i < n; i++) {
        uint64_t k = key[i], m = k & mask;
        size_t j = i;

        for (; j && (key[j - 1] & mask) > m; j--)
            key[j] = key[j - 1];
        key[j] = k;
    }
}

enum { BITS = 8, BITS_MANY = 11, MANY = 4096 };

/* One stable pass over the digit of so many bits at shift. */
static inline __attribute__((always_inline)) void pass(const uint64_t *in, uint64_t *out, size_t n, unsigned shift,
                                                       const unsigned bits)
{
    uint32_t start[1 << BITS_MANY], sum = 0, last = (1u << bits) - 1;

    memset(start, 0, (last + 1) * sizeof(*start));
    for (size_t i = 0; i < n; i++)
        start[(in[i] >> shift) & last]++;
    for (uint32_t b = 0; b <= last; b++) {
        uint32_t c = start[b];

        start[b] = sum;
        sum += c;
    }
    for (size_t i = 0; i < n; i++)
        out[start[(in[i] >> shift) & last]++] = in[i];
}

void dune_sort_u64(uint64_t *key, uint64_t *tmp, size_t n, uint64_t mask)
{
    const unsigned bits = n < MANY ? BITS : BITS_MANY; /* wide digits: fewer passes, and more to add up in each */
    uint64_t differ = 0, *a = key, *b = tmp, *swap;

    if (n < 48) {
        insertion(key, n, mask);
        return;
    }
    for (size_t i = 1; i < n; i++)
        differ |= key[i] ^ key[0];
    differ &= mask;
    /* Digits start at the lowest bit that differs, not at byte borders: fewer passes. */
    while (differ) {
        unsigned shift = (unsigned)__builtin_ctzll(differ);

        if (bits == BITS)
            pass(a, b, n, shift, BITS);
        else
            pass(a, b, n, shift, BITS_MANY);
        differ &= shift + bits < 64 ? ~UINT64_C(0) << (shift + bits) : 0;
        swap = a, a = b, b = swap;
    }
    if (a != key)
        memcpy(key, a, n * sizeof(*key));
}
