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

/* One stable pass over the 8 bits at shift. */
static void pass(const uint64_t *in, uint64_t *out, size_t n, unsigned shift)
{
    uint32_t start[256] = {0}, sum = 0;

    for (size_t i = 0; i < n; i++)
        start[(in[i] >> shift) & 255]++;
    for (int b = 0; b < 256; b++) {
        uint32_t c = start[b];

        start[b] = sum;
        sum += c;
    }
    for (size_t i = 0; i < n; i++)
        out[start[(in[i] >> shift) & 255]++] = in[i];
}

void dune_sort_u64(uint64_t *key, uint64_t *tmp, size_t n, uint64_t mask)
{
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

        pass(a, b, n, shift);
        differ &= shift + 8 < 64 ? ~UINT64_C(0) << (shift + 8) : 0;
        swap = a, a = b, b = swap;
    }
    if (a != key)
        memcpy(key, a, n * sizeof(*key));
}
