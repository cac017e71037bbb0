/* SPDX-License-Identifier: Apache-2.0 */
#include "base/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { MAX_REGIONS = 900, LEAST = 1 << 18 };

struct region {
    uint8_t *p;
    size_t bytes, mapped;
    int fd; /* -1: somebody else's mapping */
};

static struct {
    _Atomic bool on;
    uint64_t limit;
    char *dir;
    pthread_mutex_t lock;
    struct region region[MAX_REGIONS];
    unsigned n;
    uint64_t bytes;
} spill = {.lock = PTHREAD_MUTEX_INITIALIZER};

bool dune_spill_on(void)
{
    return atomic_load_explicit(&spill.on, memory_order_relaxed);
}

uint64_t dune_spill_bytes(void)
{
    return spill.bytes;
}

static int make_file(size_t bytes)
{
    char *name;
    int fd = open(spill.dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0) { /* a file system without files that never had a name */
        name = dune_mem_printf("%s/dune-spill-XXXXXX", spill.dir);
        fd = mkostemp(name, O_CLOEXEC);
        if (fd >= 0)
            unlink(name);
        dune_mem_free(name);
    }
    if (fd >= 0 && ftruncate(fd, (off_t)bytes) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

void *dune_spill_alloc(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), mapped = (bytes + page - 1) / page * page;
    void *p = NULL;
    int fd;

    if (!dune_spill_on() || bytes < LEAST || mapped < bytes)
        return NULL;
    fd = make_file(mapped);
    if (fd < 0)
        return NULL;
    pthread_mutex_lock(&spill.lock);
    if (spill.n < MAX_REGIONS)
        p = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p && p != MAP_FAILED) {
        spill.region[spill.n++] = (struct region){p, bytes, mapped, fd};
        spill.bytes += mapped;
    }
    pthread_mutex_unlock(&spill.lock);
    if (p && p != MAP_FAILED)
        return p;
    close(fd);
    return NULL;
}

static struct region *find(const void *p)
{
    for (unsigned i = 0; i < spill.n; i++)
        if (spill.region[i].p == p)
            return &spill.region[i];
    return NULL;
}

static bool page_aligned(const void *p)
{
    return ((uintptr_t)p & 4095) == 0;
}

size_t dune_spill_size(const void *p)
{
    const struct region *r;
    size_t bytes = 0;

    if (!dune_spill_on() || !p || !page_aligned(p))
        return 0;
    pthread_mutex_lock(&spill.lock);
    r = find(p);
    if (r && r->fd >= 0)
        bytes = r->bytes;
    pthread_mutex_unlock(&spill.lock);
    return bytes;
}

/* Takes the region out; fd -2 when there is none. */
static struct region take_out(const void *p, bool own)
{
    struct region out = {.fd = -2}, *r;

    pthread_mutex_lock(&spill.lock);
    r = find(p);
    if (r && (r->fd >= 0) == own) {
        out = *r;
        *r = spill.region[--spill.n];
        spill.bytes -= own ? out.mapped : 0;
    }
    pthread_mutex_unlock(&spill.lock);
    return out;
}

bool dune_spill_free(void *p)
{
    struct region r;

    if (!dune_spill_on() || !p || !page_aligned(p))
        return false;
    r = take_out(p, true);
    if (r.fd < 0)
        return false;
    munmap(r.p, r.mapped);
    close(r.fd);
    return true;
}

void dune_spill_add_map(void *p, size_t len)
{
    if (!dune_spill_on() || !p)
        return;
    pthread_mutex_lock(&spill.lock);
    if (spill.n < MAX_REGIONS)
        spill.region[spill.n++] = (struct region){p, len, len, -1};
    pthread_mutex_unlock(&spill.lock);
}

void dune_spill_drop_map(void *p)
{
    if (dune_spill_on() && p)
        (void)take_out(p, false);
}

/* --- the bound --------------------------------------------------------------------------------------------------- */

static uint64_t resident(int fd)
{
    char text[128];
    unsigned long long size, rss;
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

    if (n <= 0)
        return 0;
    text[n] = '\0';
    if (sscanf(text, "%llu %llu", &size, &rss) != 2)
        return 0;
    return rss * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Pages of file mappings keep their content when they are given back: the file has it. */
static void give_back(void)
{
    pthread_mutex_lock(&spill.lock);
    for (unsigned i = 0; i < spill.n; i++)
        (void)madvise(spill.region[i].p, spill.region[i].mapped, MADV_DONTNEED);
    pthread_mutex_unlock(&spill.lock);
}

/* A third of the bound is the mark: while this thread waits for a core, others go on touching pages. */
static void *watch(void *arg)
{
    const struct timespec nap = {.tv_nsec = 500000};
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

    (void)arg;
    (void)setpriority(PRIO_PROCESS, 0, -19); /* this thread only, where that is allowed */
    while (fd >= 0) {
        if (resident(fd) > spill.limit / 3)
            give_back();
        nanosleep(&nap, NULL);
    }
    return NULL;
}

int dune_spill_start(uint64_t bytes, const char *dir, struct dune_diag *d)
{
    const char *tmp = getenv("TMPDIR");
    pthread_t thread;
    int fd;

    if (bytes < (32u << 20))
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "%llu bytes of memory are too few: 32M at least",
                             (unsigned long long)bytes);
    spill.limit = bytes;
    dune_mem_free(spill.dir); /* of an attempt that failed */
    spill.dir = dune_mem_strdup(dir ? dir : tmp && *tmp ? tmp : "/var/tmp");
    fd = make_file(4096);
    if (fd < 0)
        return dune_diag_set(d, DUNE_E_ENV, spill.dir, "cannot hold what does not fit into memory: %s (TMPDIR names another "
                             "directory)", strerror(errno));
    close(fd);
    if (access("/proc/self/statm", R_OK) != 0 || pthread_create(&thread, NULL, watch, NULL) != 0)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "the memory of this process cannot be watched");
    pthread_detach(thread);
    /* This thread, and those that it will start, wait while the watch wants a core. */
    if (nice(2) == -1)
        errno = 0;
    atomic_store(&spill.on, true);
    return 0;
}

int dune_bytes_parse(const char *text, uint64_t *out, struct dune_diag *d)
{
    static const char unit[] = "KMGT";
    char *copy = dune_mem_strdup(text), *end = copy + strlen(copy);
    const char *u = end > copy ? strchr(unit, end[-1]) : NULL;
    unsigned shift = u ? 10 * (unsigned)(u - unit + 1) : 0;
    uint64_t v = 0;
    bool ok;

    if (u)
        end[-1] = '\0';
    ok = dune_parse_u64(copy, &v) && v <= UINT64_MAX >> shift;
    dune_mem_free(copy);
    if (!ok)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "\"%.32s\" is no amount of memory: a number, perhaps with K, M, G or T",
                             text);
    *out = v << shift;
    return 0;
}
