/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"
#include "base/spill.h"

#include <malloc.h>
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
    size_t total = total_bytes(n, elem_bytes);
    void *p = dune_spill_on() ? dune_spill_alloc(total, false) : NULL;

    p = p ? p : malloc(total);
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

    if (total < 2 * huge || total > SIZE_MAX - huge || dune_spill_on())
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
    size_t total = total_bytes(n, elem_bytes);
    void *p = dune_spill_on() ? dune_spill_alloc(total, true) : NULL;

    p = p ? p : calloc(1, total);
    if (!p)
        out_of_memory(n, elem_bytes);
    return p;
}

/* From or to a file; NULL: neither. */
static void *spill_realloc(void *p, size_t total)
{
    size_t was = dune_spill_size(p);
    void *q = dune_spill_alloc(total, false);

    if (!was && !q)
        return NULL;
    if (!was && p)
        was = malloc_usable_size(p);
    q = q ? q : malloc(total);
    if (!q)
        out_of_memory(total, 1);
    if (p)
        memcpy(q, p, was < total ? was : total);
    dune_mem_free(p);
    return q;
}

void *dune_mem_realloc(void *p, size_t n, size_t elem_bytes)
{
    size_t total = total_bytes(n, elem_bytes);
    void *q = dune_spill_on() ? spill_realloc(p, total) : NULL;

    q = q ? q : realloc(p, total);

    if (!q)
        out_of_memory(n, elem_bytes);
    return q;
}

void dune_mem_free(void *p)
{
    if (!dune_spill_on() || !dune_spill_free(p))
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

char *dune_mem_vprintf(const char *fmt, va_list ap)
{
    va_list again;
    char *s;
    int len;

    va_copy(again, ap);
    len = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    s = dune_mem_alloc((size_t)DUNE_MAX(len, 0) + 1, 1);
    vsnprintf(s, (size_t)DUNE_MAX(len, 0) + 1, fmt, ap);
    return s;
}

char *dune_mem_printf(const char *fmt, ...)
{
    va_list ap;
    char *s;

    va_start(ap, fmt);
    s = dune_mem_vprintf(fmt, ap);
    va_end(ap);
    return s;
}
