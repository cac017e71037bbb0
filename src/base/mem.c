/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The one place where a library of ours ends the process: there is nothing sensible left to do. */
static void out_of_memory(size_t n, size_t elem_bytes)
{
    char text[128];
    int len = snprintf(text, sizeof(text), "dune: out of memory (%zu x %zu bytes wanted)\n", n,
                       elem_bytes);

    if (write(STDERR_FILENO, text, (size_t)len) < 0)
        _exit(5);
    _exit(5);
}

static size_t total_bytes(size_t n, size_t elem_bytes)
{
    size_t total;

    if (__builtin_mul_overflow(n, elem_bytes, &total))
        out_of_memory(n, elem_bytes);
    return total ? total : 1;
}

void *dune_mem_alloc(size_t n, size_t elem_bytes)
{
    void *p = malloc(total_bytes(n, elem_bytes));

    if (!p)
        out_of_memory(n, elem_bytes);
    return p;
}

/* Random access to many megabytes spends its time on page tables; 2 MiB pages make them small. */
void *dune_mem_alloc_big(size_t n, size_t elem_bytes)
{
    const size_t huge = (size_t)2 << 20;
    size_t total = total_bytes(n, elem_bytes);
    void *p;

    if (total < 2 * huge || total > SIZE_MAX - huge)
        return dune_mem_alloc(n, elem_bytes);
    total = (total + huge - 1) / huge * huge;
    p = aligned_alloc(huge, total);
    if (!p)
        out_of_memory(n, elem_bytes);
    (void)madvise(p, total, MADV_HUGEPAGE); /* without such pages it is slower, nothing else */
    return p;
}

void *dune_mem_zalloc(size_t n, size_t elem_bytes)
{
    void *p = calloc(1, total_bytes(n, elem_bytes));

    if (!p)
        out_of_memory(n, elem_bytes);
    return p;
}

void *dune_mem_realloc(void *p, size_t n, size_t elem_bytes)
{
    void *q = realloc(p, total_bytes(n, elem_bytes));

    if (!q)
        out_of_memory(n, elem_bytes);
    return q;
}

void dune_mem_free(void *p)
{
    free(p);
}

char *dune_mem_strndup(const char *s, size_t len)
{
    char *copy = dune_mem_alloc(len + 1, 1);

    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

char *dune_mem_strdup(const char *s)
{
    return dune_mem_strndup(s, strlen(s));
}

char *dune_mem_printf(const char *fmt, ...)
{
    va_list ap;
    int len;
    char *s;

    va_start(ap, fmt);
    len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    s = dune_mem_alloc((size_t)(len < 0 ? 0 : len) + 1, 1);
    va_start(ap, fmt);
    vsnprintf(s, (size_t)(len < 0 ? 0 : len) + 1, fmt, ap);
    va_end(ap);
    return s;
}
