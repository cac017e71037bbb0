/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call that fails: preloaded, it counts the calls of one kind ($FAIL_KIND: alloc, read, write, map, socket) and lets number
 * $FAIL_AT fail as the kernel would. With $FAIL_COUNT it writes at the end how many there were. Calls before main are not counted.
 */
#undef _FILE_OFFSET_BITS /* both names are taken over, neither stands for the other */
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum kind { NONE, ALLOC, READ, WRITE, MAP, SOCKET };
static const char *const names[] = {"", "alloc", "read", "write", "map", "socket"};

static _Atomic long calls;
static long fail_at;
static enum kind kind;
static bool on;

__attribute__((constructor)) static void start(void)
{
    const char *text = getenv("FAIL_AT"), *name = getenv("FAIL_KIND");

    fail_at = text ? strtol(text, NULL, 10) : 0;
    for (int k = ALLOC; name && k <= SOCKET; k++)
        if (strcmp(name, names[k]) == 0)
            kind = (enum kind)k;
    on = true;
}

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("FAIL_COUNT");
    FILE *f;

    on = false;
    f = path ? fopen(path, "w") : NULL;
    if (!f)
        return;
    fprintf(f, "%ld\n", (long)calls);
    fclose(f);
}

static bool fails(enum kind k, int code)
{
    if (!on || k != kind || atomic_fetch_add(&calls, 1) + 1 != fail_at)
        return false;
    errno = code;
    return true;
}

/* A failed transfer marks its stream. */
static size_t broken(FILE *f)
{
    f->_flags |= 0x20; /* what ferror looks at */
    return 0;
}

#define NEXT(name) __extension__((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))
#pragma GCC diagnostic ignored "-Wpedantic" /* addresses of sockets are transparent unions in the headers */

/* dlsym allocates: the allocator goes by its inner names. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

void *malloc(size_t n)
{
    return fails(ALLOC, ENOMEM) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    return fails(ALLOC, ENOMEM) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    return fails(ALLOC, ENOMEM) ? NULL : __libc_realloc(p, n);
}

void *aligned_alloc(size_t align, size_t n)
{
    return fails(ALLOC, ENOMEM) ? NULL : __libc_memalign(align, n);
}

ssize_t read(int fd, void *to, size_t n)
{
    return fails(READ, EIO) ? -1 : NEXT(read)(fd, to, n);
}

size_t fread(void *to, size_t size, size_t n, FILE *f)
{
    return fails(READ, EIO) ? broken(f) : NEXT(fread)(to, size, n, f);
}

ssize_t pread(int fd, void *to, size_t n, off_t at)
{
    return fails(READ, EIO) ? -1 : NEXT(pread)(fd, to, n, at);
}

FILE *fopen(const char *path, const char *mode)
{
    return fails(mode[0] == 'r' ? READ : WRITE, EMFILE) ? NULL : NEXT(fopen)(path, mode);
}

FILE *fopen64(const char *path, const char *mode)
{
    return fails(mode[0] == 'r' ? READ : WRITE, EMFILE) ? NULL : NEXT(fopen64)(path, mode);
}

ssize_t write(int fd, const void *from, size_t n)
{
    return fd > 2 && fails(WRITE, ENOSPC) ? -1 : NEXT(write)(fd, from, n);
}

size_t fwrite(const void *from, size_t size, size_t n, FILE *f)
{
    return f != stdout && f != stderr && fails(WRITE, ENOSPC) ? broken(f) : NEXT(fwrite)(from, size, n, f);
}

int fsync(int fd)
{
    return fails(WRITE, EIO) ? -1 : NEXT(fsync)(fd);
}

int rename(const char *from, const char *to)
{
    return fails(WRITE, EACCES) ? -1 : NEXT(rename)(from, to);
}

int ftruncate(int fd, off_t n)
{
    return fails(WRITE, ENOSPC) ? -1 : NEXT(ftruncate)(fd, n);
}

void *mmap(void *addr, size_t n, int prot, int flags, int fd, off_t at)
{
    return fails(MAP, ENOMEM) ? MAP_FAILED : NEXT(mmap)(addr, n, prot, flags, fd, at);
}

void *mmap64(void *addr, size_t n, int prot, int flags, int fd, off64_t at)
{
    return fails(MAP, ENOMEM) ? MAP_FAILED : NEXT(mmap64)(addr, n, prot, flags, fd, at);
}

int socket(int domain, int type, int protocol)
{
    return fails(SOCKET, EMFILE) ? -1 : NEXT(socket)(domain, type, protocol);
}

int bind(int fd, const struct sockaddr *a, socklen_t n)
{
    return fails(SOCKET, EADDRINUSE) ? -1 : NEXT(bind)(fd, a, n);
}

int listen(int fd, int n)
{
    return fails(SOCKET, EADDRINUSE) ? -1 : NEXT(listen)(fd, n);
}

int connect(int fd, const struct sockaddr *a, socklen_t n)
{
    return fails(SOCKET, ECONNREFUSED) ? -1 : NEXT(connect)(fd, a, n);
}

int accept(int fd, struct sockaddr *restrict a, socklen_t *restrict n)
{
    return fails(SOCKET, ECONNABORTED) ? -1 : NEXT(accept)(fd, a, n);
}

int accept4(int fd, struct sockaddr *restrict a, socklen_t *restrict n, int flags)
{
    return fails(SOCKET, ECONNABORTED) ? -1 : NEXT(accept4)(fd, a, n, flags);
}

int setsockopt(int fd, int level, int name, const void *v, socklen_t n)
{
    return fails(SOCKET, EPERM) ? -1 : NEXT(setsockopt)(fd, level, name, v, n);
}

ssize_t send(int fd, const void *from, size_t n, int flags)
{
    return fails(SOCKET, ENOBUFS) ? -1 : NEXT(send)(fd, from, n, flags);
}

ssize_t sendto(int fd, const void *from, size_t n, int flags, const struct sockaddr *a, socklen_t len)
{
    return fails(SOCKET, ENOBUFS) ? -1 : NEXT(sendto)(fd, from, n, flags, a, len);
}

ssize_t recv(int fd, void *to, size_t n, int flags)
{
    return fails(SOCKET, ECONNRESET) ? -1 : NEXT(recv)(fd, to, n, flags);
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list ap;
    void *arg;

    va_start(ap, request);
    arg = va_arg(ap, void *);
    va_end(ap);
    return fails(SOCKET, EPERM) ? -1 : NEXT(ioctl)(fd, request, arg);
}
