/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"

#include <string.h>

struct dune_arena_chunk {
    struct dune_arena_chunk *next;
    size_t used, cap;
    _Alignas(16) uint8_t data[];
};

#define CHUNK_BYTES ((size_t)64 << 10)

void *dune_arena_alloc(struct dune_arena *a, size_t n, size_t elem_bytes)
{
    struct dune_arena_chunk *c = a->head;
    size_t bytes;
    void *p;

    if (__builtin_mul_overflow(n, elem_bytes, &bytes) || bytes > SIZE_MAX / 2)
        bytes = SIZE_MAX - 64; /* the allocator below reports it */
    else
        bytes = (bytes + 15) & ~(size_t)15;
    if (!c || c->cap - c->used < bytes) {
        size_t cap = DUNE_MAX(bytes, CHUNK_BYTES);

        c = dune_mem_zalloc(sizeof(*c) + cap, 1);
        c->cap = cap;
        c->next = a->head;
        a->head = c;
    }
    p = c->data + c->used;
    c->used += bytes;
    return p;
}

char *dune_arena_strdup(struct dune_arena *a, const char *s)
{
    size_t len = strlen(s) + 1;
    char *copy = dune_arena_alloc(a, len, 1);

    memcpy(copy, s, len);
    return copy;
}

void dune_arena_fini(struct dune_arena *a)
{
    struct dune_arena_chunk *c = a->head;

    while (c) {
        struct dune_arena_chunk *next = c->next;

        dune_mem_free(c);
        c = next;
    }
    a->head = NULL;
}
