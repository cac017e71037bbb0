/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work memory. A page that a process touches for the first time costs microseconds, a thousand times what it takes to
 * fill it; forests are grown by the thousand and each wants the same few megabytes. So blocks are cut from regions of huge
 * pages and stay when they are given back, for the next who wants that size:
 *
 *     region   |h block |h block     |h block |.... not cut yet ....|     h: header, where the block goes back to
 *                  |                     |
 *     idle   size class 17 -> block -> block        eight classes for every doubling
 *
 * Blocks above LARGEST have a mapping each. What idles beyond KEEP is given back to the system.
 */
#include "base/base.h"
#include "base/spill.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

enum { STEPS = 8, LEAST_LOG = 15, CLASSES = (64 - LEAST_LOG) * STEPS, PLAIN = CLASSES };
static const size_t huge = (size_t)2 << 20, region_bytes = (size_t)64 << 20, largest = (size_t)8 << 20,
                    keep = (size_t)64 << 20, page = 4096;

struct block {
    size_t bytes; /* with this header */
    unsigned cls; /* PLAIN: of dune_mem_alloc */
    bool counted; /* in idle_bytes */
    struct block *next;
};
union header { /* data is aligned to a line of the cache */
    struct block b;
    char room[64];
};

static struct {
    pthread_mutex_t lock;
    struct block *idle[CLASSES];
    size_t idle_bytes;
    char *at, *end; /* what is left of the newest region */
} work = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void before_fork(void)
{
    pthread_mutex_lock(&work.lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&work.lock);
}

static void once(void)
{
    pthread_atfork(before_fork, after_fork, after_fork);
}

/* Rounds up to the size of its class. */
static unsigned class_of(size_t *bytes)
{
    unsigned log = 63 - (unsigned)__builtin_clzll(*bytes);
    size_t step = ((size_t)1 << log) / STEPS, up = (*bytes + step - 1) / step * step;

    log = 63 - (unsigned)__builtin_clzll(up);
    *bytes = up;
    return (log - LEAST_LOG) * STEPS + (unsigned)((up - ((size_t)1 << log)) / (((size_t)1 << log) / STEPS));
}

/* Aligned to huge pages, all zero; NULL: there is none. */
static char *map(size_t bytes)
{
    char *p = mmap(NULL, bytes + huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), *from;

    if (p == MAP_FAILED)
        return NULL;
    from = (char *)(((uintptr_t)p + huge - 1) / huge * huge);
    if (from > p)
        munmap(p, (size_t)(from - p));
    munmap(from + bytes, (size_t)(p + huge - from));
    (void)madvise(from, bytes, MADV_HUGEPAGE); /* without such pages it is slower, nothing else */
    return from;
}

static struct block *fresh(size_t bytes, unsigned cls)
{
    struct block *b;

    if (bytes > largest) {
        bytes = (bytes + huge - 1) / huge * huge;
        b = (struct block *)map(bytes);
    } else {
        if ((size_t)(work.end - work.at) < bytes) {
            work.at = map(region_bytes);
            work.end = work.at ? work.at + region_bytes : NULL;
        }
        b = (struct block *)work.at;
        if (b)
            work.at += bytes;
    }
    if (b)
        *b = (struct block){.bytes = bytes, .cls = cls};
    return b;
}

static struct block *reuse(unsigned cls)
{
    struct block *b = work.idle[cls];

    if (b) {
        work.idle[cls] = b->next;
        work.idle_bytes -= b->counted ? b->bytes : 0;
    }
    return b;
}

static bool pooled(size_t bytes)
{
#ifdef __SANITIZE_ADDRESS__
    (void)bytes; /* it shall see every block */
    return false;
#else
    return bytes >= (size_t)1 << LEAST_LOG && bytes < SIZE_MAX / 4 && !dune_spill_on();
#endif
}

static void *plain(size_t bytes, bool zero)
{
    union header *h = zero ? dune_mem_zalloc(1, bytes) : dune_mem_alloc(1, bytes);

    h->b = (struct block){.bytes = bytes, .cls = PLAIN};
    return h + 1;
}

static void *take(size_t n, size_t elem_bytes, bool zero)
{
    static pthread_once_t begun = PTHREAD_ONCE_INIT;
    size_t bytes;
    struct block *b;
    unsigned cls;
    bool used;

    if (__builtin_mul_overflow(n, elem_bytes, &bytes) || bytes > SIZE_MAX - sizeof(union header))
        return dune_mem_alloc(n, elem_bytes); /* tells that there is not so much */
    bytes += sizeof(union header);
    if (!pooled(bytes))
        return plain(bytes, zero);
    pthread_once(&begun, once);
    cls = class_of(&bytes);
    pthread_mutex_lock(&work.lock);
    b = reuse(cls);
    used = b != NULL;
    if (!used)
        b = fresh(bytes, cls);
    pthread_mutex_unlock(&work.lock);
    if (!b)
        return plain(bytes, zero);
    if (zero && used)
        memset((union header *)b + 1, 0, n * elem_bytes);
    return (union header *)b + 1;
}

void *dune_work_alloc(size_t n, size_t elem_bytes)
{
    return take(n, elem_bytes, false);
}

void *dune_work_zalloc(size_t n, size_t elem_bytes)
{
    return take(n, elem_bytes, true);
}

/* Its pages go, its addresses stay. */
static void empty(struct block *b)
{
    uintptr_t from = ((uintptr_t)(b + 1) + page - 1) / page * page, to = ((uintptr_t)b + b->bytes) / page * page;

    if (from < to)
        (void)madvise((void *)from, to - from, MADV_DONTNEED);
}

static void keep_block(struct block *b, bool full)
{
    if (full)
        empty(b);
    b->counted = !full;
    work.idle_bytes += full ? 0 : b->bytes;
    b->next = work.idle[b->cls];
    work.idle[b->cls] = b;
}

void dune_work_free(void *p)
{
    struct block *b = p ? &((union header *)p - 1)->b : NULL;
    bool full, kept;

    if (!b)
        return;
    if (b->cls == PLAIN) {
        dune_mem_free(b);
        return;
    }
    pthread_mutex_lock(&work.lock);
    full = b->bytes > keep || work.idle_bytes > keep - b->bytes;
    kept = !full || b->bytes <= largest;
    if (kept)
        keep_block(b, full);
    pthread_mutex_unlock(&work.lock);
    if (!kept)
        munmap(b, b->bytes);
}
