/* SPDX-License-Identifier: Apache-2.0 */
#include "base/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    MAX_REGIONS = 16384,
    LEAST_CHUNK = 1 << 16,
    MAX_OPEN = 4096,       /* chunks: more than fit, whatever the bound; the last of an array may be small */
    MAX_SPARE = 64,        /* files kept for later arrays: making one costs more than filling it */
    MIN_OPEN = 64,         /* so that every thread has what one instruction touches */
    MEASURE_EVERY = 8,     /* times chunks are opened */
    AHEAD = 8,             /* chunks opened or closed at once where neighbours follow each other */
    RESERVE = 4 << 20,     /* libraries and heap may grow that much between two faults */
};

struct region {
    uint8_t *p;
    size_t bytes, mapped;
    uint8_t *open; /* one bit per chunk */
    unsigned n_open;
    bool own; /* else somebody else's mapping, to read */
};
struct chunk {
    uint8_t *p;
    size_t len;
};

static struct {
    _Atomic bool on;
    uint64_t limit;
    size_t chunk, page;
    char *dir;
    int statm;
    uint64_t libraries; /* resident pages of other files, in bytes, at least */
    struct sigaction before[2]; /* what SEGV and BUS did */
    pthread_mutex_t lock;
    /* below: under the lock */
    struct region region[MAX_REGIONS]; /* by address */
    unsigned n;
    uint64_t bytes, opened;
    struct chunk queue[MAX_OPEN]; /* a ring */
    unsigned first, n_queue;
    uint64_t open_bytes;
    struct spare { /* closed mappings of arrays that are gone, oldest first */
        uint8_t *p;
        size_t mapped;
    } spare[MAX_SPARE];
    unsigned n_spare;
    uint64_t room; /* for all open chunks together, as last measured */
} spill = {.lock = PTHREAD_MUTEX_INITIALIZER, .statm = -1};

bool dune_spill_on(void)
{
    return atomic_load_explicit(&spill.on, memory_order_relaxed);
}

uint64_t dune_spill_bytes(void)
{
    return spill.bytes;
}

uint64_t dune_spill_opened(void)
{
    return spill.opened;
}

/* --- regions ----------------------------------------------------------------------------------------------------- */

/* The first region that begins behind p. */
static unsigned upper(const void *p)
{
    unsigned lo = 0, hi = spill.n;

    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;

        if ((const uint8_t *)p < spill.region[mid].p)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

/* The region that holds p. */
static struct region *holder(const void *p)
{
    unsigned i = upper(p);
    struct region *r = i ? &spill.region[i - 1] : NULL;

    return r && (size_t)((const uint8_t *)p - r->p) < r->mapped ? r : NULL;
}

static struct region *find(const void *p)
{
    struct region *r = holder(p);

    return r && r->p == p ? r : NULL;
}

static size_t n_chunks(size_t mapped)
{
    return (mapped + spill.chunk - 1) / spill.chunk;
}

/* False: there is no place for it. The mapping is closed from here on. */
static bool add(uint8_t *p, size_t bytes, size_t mapped, bool own)
{
    uint8_t *open = calloc(1, n_chunks(mapped) / 8 + 1);
    bool ok = false;

    pthread_mutex_lock(&spill.lock);
    if (open && spill.n < MAX_REGIONS && mprotect(p, mapped, PROT_NONE) == 0) {
        unsigned at = upper(p);

        memmove(&spill.region[at + 1], &spill.region[at], (spill.n - at) * sizeof(*spill.region));
        spill.region[at] = (struct region){p, bytes, mapped, open, 0, own};
        spill.n++;
        spill.bytes += own ? mapped : 0;
        ok = true;
    }
    pthread_mutex_unlock(&spill.lock);
    if (!ok)
        free(open);
    return ok;
}

/* Their places in the queue are given up, too: many short-lived arrays would fill it. */
static void forget_chunks(const struct region *r)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < spill.n_queue && r->n_open; i++) {
        const struct chunk c = spill.queue[(spill.first + i) % MAX_OPEN];

        if (c.p >= r->p && c.p < r->p + r->mapped)
            spill.open_bytes -= c.len;
        else
            spill.queue[(spill.first + kept++) % MAX_OPEN] = c;
    }
    spill.n_queue = r->n_open ? kept : spill.n_queue;
}

/* Takes the region out; p NULL when there is none. */
static struct region take_out(const void *p, bool own)
{
    struct region out = {0}, *r;

    pthread_mutex_lock(&spill.lock);
    r = find(p);
    if (r && r->own == own) {
        out = *r;
        forget_chunks(r);
        spill.n--;
        memmove(r, r + 1, (size_t)(&spill.region[spill.n] - r) * sizeof(*r));
        spill.bytes -= own ? out.mapped : 0;
    }
    pthread_mutex_unlock(&spill.lock);
    free(out.open);
    return out;
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

/* A closed mapping of that many bytes, or somewhat more, whose file holds what the array before had; NULL: none. */
static uint8_t *take_spare(size_t *mapped)
{
    uint8_t *p = NULL;

    pthread_mutex_lock(&spill.lock);
    for (unsigned i = spill.n_spare; i-- > 0 && !p;)
        if (spill.spare[i].mapped >= *mapped && spill.spare[i].mapped <= *mapped + *mapped / 4) {
            p = spill.spare[i].p;
            *mapped = spill.spare[i].mapped;
            spill.n_spare--;
            memmove(&spill.spare[i], &spill.spare[i + 1], (spill.n_spare - i) * sizeof(*spill.spare));
        }
    pthread_mutex_unlock(&spill.lock);
    return p;
}

/* Keeps the mapping of an array that is gone; the oldest of those kept makes room. */
static void keep_spare(uint8_t *p, size_t mapped)
{
    struct spare gone = {0};

    if (mprotect(p, mapped, PROT_NONE) != 0 || madvise(p, mapped, MADV_DONTNEED) != 0) {
        munmap(p, mapped);
        return;
    }
    pthread_mutex_lock(&spill.lock);
    if (spill.n_spare == MAX_SPARE) {
        gone = spill.spare[0];
        memmove(&spill.spare[0], &spill.spare[1], --spill.n_spare * sizeof(*spill.spare));
    }
    spill.spare[spill.n_spare++] = (struct spare){p, mapped};
    pthread_mutex_unlock(&spill.lock);
    if (gone.p)
        munmap(gone.p, gone.mapped);
}

static void *map_file(size_t mapped)
{
    int fd = make_file(mapped);
    void *p = fd < 0 ? MAP_FAILED : mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (fd >= 0)
        close(fd); /* the mapping keeps the file */
    return p == MAP_FAILED ? NULL : p;
}

void *dune_spill_alloc(size_t bytes, bool zero)
{
    size_t mapped;
    void *p;

    if (!dune_spill_on() || bytes < DUNE_SPILL_LEAST || bytes > SIZE_MAX - spill.page)
        return NULL;
    mapped = (bytes + spill.page - 1) / spill.page * spill.page;
    p = zero ? NULL : take_spare(&mapped);
    p = p ? p : map_file(mapped);
    if (!p || add(p, bytes, mapped, true))
        return p;
    munmap(p, mapped);
    return NULL;
}

static bool page_aligned(const void *p)
{
    return ((uintptr_t)p & (spill.page - 1)) == 0;
}

size_t dune_spill_size(const void *p)
{
    const struct region *r;
    size_t bytes = 0;

    if (!dune_spill_on() || !p || !page_aligned(p))
        return 0;
    pthread_mutex_lock(&spill.lock);
    r = find(p);
    if (r && r->own)
        bytes = r->bytes;
    pthread_mutex_unlock(&spill.lock);
    return bytes;
}

bool dune_spill_free(void *p)
{
    struct region r;

    if (!dune_spill_on() || !p || !page_aligned(p))
        return false;
    r = take_out(p, true);
    if (!r.p)
        return false;
    if (r.mapped <= spill.limit / MAX_SPARE)
        keep_spare(r.p, r.mapped);
    else
        munmap(r.p, r.mapped);
    return true;
}

void dune_spill_add_map(void *p, size_t len)
{
    if (dune_spill_on() && p && len)
        (void)add(p, len, len, false);
}

void dune_spill_drop_map(void *p)
{
    struct region r = {0};

    if (dune_spill_on() && p)
        r = take_out(p, false);
    if (r.p)
        (void)mprotect(r.p, r.mapped, PROT_READ);
}

/* --- opening and closing, under the lock ------------------------------------------------------------------------- */

/* Resident bytes: all, and those that belong to files. */
static void resident(uint64_t *all, uint64_t *files)
{
    char text[128];
    unsigned long long v[3] = {0};
    ssize_t n = pread(spill.statm, text, sizeof(text) - 1, 0);
    const char *p = text;

    text[n > 0 ? n : 0] = '\0';
    for (int i = 0; i < 3; i++) {
        while (*p == ' ')
            p++;
        for (; *p >= '0' && *p <= '9'; p++)
            v[i] = v[i] * 10 + (unsigned long long)(*p - '0');
    }
    *all = v[1] * spill.page;
    *files = v[2] * spill.page;
}

static void mark(struct region *r, size_t at, bool open)
{
    size_t i = at / spill.chunk;

    if (open)
        r->open[i / 8] |= (uint8_t)(1u << i % 8);
    else
        r->open[i / 8] &= (uint8_t)~(1u << i % 8);
    r->n_open += open ? 1 : -1u;
}

static bool is_open(const struct region *r, size_t at)
{
    size_t i = at / spill.chunk;

    return r->open[i / 8] >> i % 8 & 1;
}

/* The chunk behind c in its region, if that is the next one in the queue: both are closed with one call. */
static bool take_next(struct chunk *c, struct region *r)
{
    const struct chunk *next = &spill.queue[spill.first];

    if (!spill.n_queue || next->p != c->p + c->len || next->p >= r->p + r->mapped)
        return false;
    mark(r, (size_t)(next->p - r->p), false);
    c->len += next->len;
    spill.first = (spill.first + 1) % MAX_OPEN;
    spill.n_queue--;
    return true;
}

/* The file, or the page cache, keeps the content. Closed first: nobody may touch it in between. */
static void close_oldest(void)
{
    struct chunk c = spill.queue[spill.first];
    struct region *r = holder(c.p);

    spill.first = (spill.first + 1) % MAX_OPEN;
    spill.n_queue--;
    if (!r)
        return;
    mark(r, (size_t)(c.p - r->p), false);
    for (int more = 1; more < AHEAD && spill.n_queue > MIN_OPEN && take_next(&c, r); more++)
        continue;
    (void)mprotect(c.p, c.len, PROT_NONE);
    (void)madvise(c.p, c.len, MADV_DONTNEED);
    spill.open_bytes -= c.len;
}

/* What all open chunks may hold together, now that the heap is what it is. The reserve is for its growth in between. */
static uint64_t room(void)
{
    uint64_t all, files, taken;

    if (spill.opened % MEASURE_EVERY == 0) {
        resident(&all, &files);
        if (files > spill.open_bytes) /* libraries that were opened since the start */
            spill.libraries = DUNE_MAX(spill.libraries, files - spill.open_bytes);
        taken = all - DUNE_MIN(files, all) + spill.libraries + RESERVE;
        spill.room = taken < spill.limit ? spill.limit - taken : 0;
    }
    return spill.room;
}

/* How many chunks from `at` on to open: several where the array is read on and on, while there is much room. */
static size_t n_to_open(const struct region *r, size_t at, uint64_t most)
{
    size_t n = 1;

    if (at < spill.chunk || !is_open(r, at - spill.chunk) || most < 4 * AHEAD * (uint64_t)spill.chunk)
        return 1;
    while (n < AHEAD && at + n * spill.chunk < r->mapped && !is_open(r, at + n * spill.chunk))
        n++;
    return n;
}

static bool open_chunk(struct region *r, const uint8_t *p)
{
    size_t at = (size_t)(p - r->p) / spill.chunk * spill.chunk, n, len;
    uint64_t most;

    if (is_open(r, at)) /* another thread was faster */
        return true;
    most = room();
    n = n_to_open(r, at, most);
    len = DUNE_MIN(n * spill.chunk, r->mapped - at);
    while (spill.n_queue + n > MAX_OPEN || (spill.n_queue > MIN_OPEN && spill.open_bytes + len > most))
        close_oldest();
    if (mprotect(r->p + at, len, PROT_READ | (r->own ? PROT_WRITE : 0)) != 0)
        return false;
    for (size_t i = 0; i < n; i++) {
        size_t from = at + i * spill.chunk;

        mark(r, from, true);
        spill.queue[(spill.first + spill.n_queue++) % MAX_OPEN] =
            (struct chunk){r->p + from, DUNE_MIN(spill.chunk, r->mapped - from)};
    }
    spill.open_bytes += len;
    spill.opened++;
    return true;
}

/* The same place again and again is a write to what is only read: a bug, which the old handler shall meet. */
static bool is_stuck(const void *p)
{
    static _Thread_local const void *last;
    static _Thread_local unsigned times;

    times = p == last ? times + 1 : 0;
    last = p;
    return times > 100000;
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
    static const char full[] = "dunectl: no room is left for what does not fit into memory (TMPDIR names another directory)\n";
    int kept = errno;
    struct region *r;
    bool ok = false;

    (void)context;
    pthread_mutex_lock(&spill.lock);
    r = holder(info->si_addr);
    if (r && sig == SIGSEGV)
        ok = !is_stuck(info->si_addr) && open_chunk(r, info->si_addr);
    if (r && sig == SIGBUS && r->own) { /* the disk is full; nothing sensible is left to do */
        if (write(STDERR_FILENO, full, sizeof(full) - 1) < 0)
            _exit(5);
        _exit(5);
    }
    pthread_mutex_unlock(&spill.lock);
    errno = kept;
    if (!ok) /* it faults again, and ends as it would without us */
        sigaction(sig, &spill.before[sig == SIGBUS], NULL);
}

/* --- the start --------------------------------------------------------------------------------------------------- */

static int catch_faults(void)
{
    struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_RESTART};

    sigemptyset(&sa.sa_mask);
    /* What a stop does must not interrupt a thread that holds the lock. */
    sigaddset(&sa.sa_mask, SIGINT);
    sigaddset(&sa.sa_mask, SIGTERM);
    return sigaction(SIGSEGV, &sa, &spill.before[0]) || sigaction(SIGBUS, &sa, &spill.before[1]) ? -1 : 0;
}

static void set_sizes(uint64_t limit)
{
    uint64_t all;

    spill.page = (size_t)sysconf(_SC_PAGESIZE);
    spill.limit = limit;
    for (spill.chunk = LEAST_CHUNK; spill.chunk < limit / 1024; spill.chunk *= 2)
        continue;
    resident(&all, &spill.libraries);
}

int dune_spill_start(uint64_t bytes, const char *dir, struct dune_diag *d)
{
    const char *tmp = getenv("TMPDIR");
    int fd;

    if (bytes < (32u << 20))
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "%llu bytes of memory are too few: 32M at least",
                             (unsigned long long)bytes);
    dune_mem_free(spill.dir); /* of an attempt that failed */
    spill.dir = dune_mem_strdup(dir ? dir : tmp && *tmp ? tmp : "/var/tmp");
    fd = make_file(4096);
    if (fd < 0)
        return dune_diag_set(d, DUNE_E_ENV, spill.dir, "cannot hold what does not fit into memory: %s (TMPDIR names another "
                             "directory)", strerror(errno));
    close(fd);
    spill.statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (spill.statm < 0)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "the memory of this process cannot be measured: there is no /proc");
    set_sizes(bytes);
    if (catch_faults() != 0)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "faults cannot be handled: %s", strerror(errno));
    atomic_store(&spill.on, true);
    return 0;
}

size_t dune_spill_fwrite(const void *data, size_t len, FILE *f)
{
    char piece[16384];
    size_t done = 0;

    if (!dune_spill_on())
        return fwrite(data, 1, len, f);
    while (done < len) {
        size_t n = DUNE_MIN(len - done, sizeof(piece)), got;

        memcpy(piece, (const char *)data + done, n);
        got = fwrite(piece, 1, n, f);
        done += got;
        if (got < n)
            break;
    }
    return done;
}

uint64_t dune_spill_passed(void)
{
    char line[128];
    unsigned long long kib = 0;
    FILE *f = dune_spill_on() ? fopen("/proc/self/status", "re") : NULL;

    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "VmHWM: %llu kB", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib * 1024 > spill.limit ? kib * 1024 : 0;
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
