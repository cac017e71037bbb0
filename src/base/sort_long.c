/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"

#include <stdlib.h>
#include <string.h>

enum { FEW = 16 * 1024 }; /* bytes: qsort may take such room on the side */

struct sorting {
    uint8_t *tmp;
    size_t size;
    int (*cmp)(const void *, const void *);
};

/* [0, middle) and [middle, n) are in order. */
static void merge(const struct sorting *s, uint8_t *a, size_t middle, size_t n)
{
    const uint8_t *left = s->tmp, *left_end = s->tmp + middle * s->size, *right = a + middle * s->size, *end = a + n * s->size;

    memcpy(s->tmp, a, middle * s->size);
    while (left < left_end) {
        bool from_right = right < end && s->cmp(left, right) > 0;

        memcpy(a, from_right ? right : left, s->size);
        right += from_right ? s->size : 0;
        left += from_right ? 0 : s->size;
        a += s->size;
    }
}

static void sort(const struct sorting *s, uint8_t *a, size_t n)
{
    size_t middle = n / 2;

    if (n * s->size <= FEW) {
        qsort(a, n, s->size, s->cmp);
        return;
    }
    sort(s, a, middle);
    sort(s, a + middle * s->size, n - middle);
    if (s->cmp(a + (middle - 1) * s->size, a + middle * s->size) > 0)
        merge(s, a, middle, n);
}

void dune_sort(void *base, size_t n, size_t size, int (*cmp)(const void *, const void *))
{
    struct sorting s = {.size = size, .cmp = cmp};

    if (n > 1 && n * size > FEW)
        s.tmp = dune_mem_alloc(n / 2, size);
    if (n > 1)
        sort(&s, base, n);
    dune_mem_free(s.tmp);
}
