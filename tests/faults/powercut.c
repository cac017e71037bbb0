/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A power cut at a chosen point: preloaded, it counts what a program does to files, and kills it before number
 * $POWERCUT (half of the bytes, where it is a write). Without $POWERCUT it only counts. With $POWERCUT_COUNT it writes at
 * the end how many points there were. What stays in user space is lost with the process, as it should be.
 */
#undef _FILE_OFFSET_BITS /* both names are taken over, neither stands for the other */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static _Atomic long points;
static long cut_at;
static bool quiet; /* our own file */

__attribute__((constructor)) static void start(void)
{
    const char *text = getenv("POWERCUT");

    cut_at = text ? strtol(text, NULL, 10) : 0;
}

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("POWERCUT_COUNT");
    FILE *f;

    quiet = true;
    f = path ? fopen(path, "w") : NULL;
    if (!f)
        return;
    fprintf(f, "%ld\n", (long)points);
    fclose(f);
}

/* Is this the point? */
static bool is_now(void)
{
    return !quiet && atomic_fetch_add(&points, 1) + 1 == cut_at;
}

static void cut(void)
{
    kill(getpid(), SIGKILL);
    pause();
}

/* What this one stands before. */
#define NEXT(name) __extension__((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

FILE *fopen(const char *path, const char *mode)
{
    if (mode[0] != 'r' && is_now())
        cut();
    return NEXT(fopen)(path, mode);
}

FILE *fopen64(const char *path, const char *mode)
{
    if (mode[0] != 'r' && is_now())
        cut();
    return NEXT(fopen64)(path, mode);
}

size_t fwrite(const void *data, size_t size, size_t n, FILE *f)
{
    if (is_now()) {
        NEXT(fwrite)(data, 1, size * n / 2, f);
        fflush(f);
        cut();
    }
    return NEXT(fwrite)(data, size, n, f);
}

ssize_t write(int fd, const void *data, size_t n)
{
    if (fd > 2 && is_now()) {
        if (NEXT(write)(fd, data, n / 2) >= 0)
            cut();
        cut();
    }
    return NEXT(write)(fd, data, n);
}

/* SQLite's own way. */
ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
    if (is_now()) {
        if (NEXT(pwrite)(fd, data, n / 2, at) >= 0)
            cut();
        cut();
    }
    return NEXT(pwrite)(fd, data, n, at);
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at)
{
    if (is_now()) {
        if (NEXT(pwrite64)(fd, data, n / 2, at) >= 0)
            cut();
        cut();
    }
    return NEXT(pwrite64)(fd, data, n, at);
}

int fdatasync(int fd)
{
    if (is_now())
        cut();
    return NEXT(fdatasync)(fd);
}

int ftruncate64(int fd, off64_t n)
{
    if (is_now())
        cut();
    return NEXT(ftruncate64)(fd, n);
}

int fsync(int fd)
{
    if (is_now())
        cut();
    return NEXT(fsync)(fd);
}

int rename(const char *from, const char *to)
{
    int rc;

    if (is_now())
        cut();
    rc = NEXT(rename)(from, to);
    if (is_now())
        cut();
    return rc;
}

int unlink(const char *path)
{
    if (is_now())
        cut();
    return NEXT(unlink)(path);
}

int mkdir(const char *path, mode_t mode)
{
    if (is_now())
        cut();
    return NEXT(mkdir)(path, mode);
}
