/* SPDX-License-Identifier: Apache-2.0 */
/* Work in other processes: our own, for their peak memory, and the peers. */
#include "bench/bench_int.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds_of(const struct rusage *u)
{
    return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) +
           (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) / 1e6;
}

double bench_cpu_seconds(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return seconds_of(&u);
}

uint64_t bench_wall_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* What the child sends back. */
struct message {
    double value[BENCH_VALUES];
    struct dune_diag d;
    int code;
};

static void child_work(int to, bench_child_fn fn, void *arg)
{
    struct message m = {0};
    const char *p = (const char *)&m;
    size_t left = sizeof(m);

    m.code = fn(arg, m.value, &m.d);
    while (left) {
        ssize_t n = write(to, p, left);

        if (n < 0 && errno != EINTR)
            _exit(1);
        if (n > 0)
            p += n, left -= (size_t)n;
    }
    _exit(0);
}

static bool read_message(int from, struct message *m)
{
    char *p = (char *)m;
    size_t have = 0;

    while (have < sizeof(*m)) {
        ssize_t n = read(from, p + have, sizeof(*m) - have);

        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        if (n > 0)
            have += (size_t)n;
    }
    return true;
}

static void wait_for(pid_t pid, int *status, struct rusage *u)
{
    while (wait4(pid, status, 0, u) < 0 && errno == EINTR)
        ;
}

int bench_in_child(struct bench_child *out, bench_child_fn fn, void *arg, struct dune_diag *d)
{
    struct message m = {0};
    struct rusage u = {0};
    int fd[2], status = 0;
    bool told;
    pid_t pid;

    memset(out, 0, sizeof(*out));
    if (pipe(fd) != 0)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "cannot make a pipe: %s", strerror(errno));
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        close(fd[0]);
        child_work(fd[1], fn, arg);
    }
    close(fd[1]);
    if (pid < 0) {
        close(fd[0]);
        return dune_diag_set(d, DUNE_E_ENV, NULL, "cannot start a process: %s", strerror(errno));
    }
    told = read_message(fd[0], &m);
    close(fd[0]);
    wait_for(pid, &status, &u);
    if (!told)
        return dune_diag_set(d, DUNE_E_INTERNAL, NULL, "a measured process ended early (wait status %d)", status);
    if (m.code) {
        *d = m.d;
        return m.code;
    }
    memcpy(out->value, m.value, sizeof(out->value));
    out->cpu = seconds_of(&u);
    out->rss_mb = (double)u.ru_maxrss / 1024;
    return 0;
}

/* --- peers ----------------------------------------------------------------------------------------- */
bool bench_find_program(const char *name, char *out, size_t out_bytes)
{
    const char *path = getenv("PATH");

    if (strchr(name, '/')) {
        size_t n = strlen(name);

        if (n >= out_bytes)
            return false;
        memcpy(out, name, n + 1);
        return access(name, X_OK) == 0;
    }
    while (path && *path) {
        size_t len = strcspn(path, ":");

        snprintf(out, out_bytes, "%.*s/%s", (int)len, path, name);
        if (len && access(out, X_OK) == 0 && !dune_path_is_dir(out))
            return true;
        path += len + (path[len] == ':');
    }
    return false;
}

/* Reads until the end or the deadline; keeps what fits. False at the deadline. */
static bool drain(int from, struct dune_buf *b, uint64_t deadline)
{
    char part[4096];

    for (;;) {
        struct pollfd p = {.fd = from, .events = POLLIN};
        uint64_t now = dune_now_ns();
        ssize_t n;

        if (dune_interrupted() || (deadline && now >= deadline))
            return false;
        if (poll(&p, 1, 200) <= 0)
            continue;
        n = read(from, part, sizeof(part));
        if (n == 0 || (n < 0 && errno != EINTR))
            return true;
        if (n > 0 && b->len < 1u << 20)
            dune_buf_append(b, part, (size_t)n);
    }
}

static void last_line(const struct dune_buf *b, char *out, size_t bytes)
{
    const char *end = b->data ? b->data + b->len : NULL, *start;

    out[0] = '\0';
    while (end && end > b->data && (end[-1] == '\n' || end[-1] == '\r'))
        end--;
    for (start = end; start && start > b->data && start[-1] != '\n'; start--)
        ;
    if (start && (size_t)(end - start) < bytes)
        snprintf(out, bytes, "%.*s", (int)(end - start), start);
}

/* What a peer says when it fails. */
static void read_errors(int errors, char *out, size_t bytes)
{
    off_t end = errors < 0 ? 0 : lseek(errors, 0, SEEK_END), from = end > 4096 ? end - 4096 : 0;
    char text[4096];
    ssize_t n = end > 0 ? pread(errors, text, sizeof(text), from) : 0;

    last_line(&(struct dune_buf){.data = text, .len = n > 0 ? (size_t)n : 0}, out, bytes);
}

static void child_exec(int to, int errors, const char *program, const char *const *argv)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    setpgid(0, 0); /* so that what it starts can be ended with it */
    dup2(null, 0);
    dup2(errors < 0 ? null : errors, 2);
    dup2(to, 1);
    execv(program, (char *const *)(uintptr_t)argv);
    _exit(127);
}

static void read_skip(struct bench_peer *out)
{
    json_error_t err;
    json_t *o = json_loads(out->line, 0, &err);
    const char *skip = json_string_value(json_object_get(o, "skip"));

    if (skip)
        snprintf(out->skip, sizeof(out->skip), "%s", skip);
    json_decref(o);
}

void bench_peer_run(struct bench_peer *out, const char *const *argv, unsigned seconds)
{
    char program[512], why[256];
    struct dune_buf b = {0};
    struct rusage u = {0};
    int fd[2], status = 0, errors = memfd_create("peer-errors", MFD_CLOEXEC);
    uint64_t start = dune_now_ns();
    bool ended;
    pid_t pid;

    memset(out, 0, sizeof(*out));
    if (!bench_find_program(argv[0], program, sizeof(program))) {
        snprintf(out->skip, sizeof(out->skip), "there is no program %s", argv[0]);
        close(errors);
        return;
    }
    if (pipe2(fd, O_CLOEXEC) != 0 || (pid = fork()) < 0) {
        snprintf(out->skip, sizeof(out->skip), "cannot start it: %s", strerror(errno));
        close(errors);
        return;
    }
    if (pid == 0)
        child_exec(fd[1], errors, program, argv);
    close(fd[1]);
    ended = drain(fd[0], &b, seconds ? start + seconds * UINT64_C(1000000000) : 0);
    if (!ended)
        kill(-pid, SIGKILL);
    close(fd[0]);
    wait_for(pid, &status, &u);
    out->wall = (double)(dune_now_ns() - start) / 1e9;
    out->cpu = seconds_of(&u);
    out->rss_mb = (double)u.ru_maxrss / 1024;
    last_line(&b, out->line, sizeof(out->line));
    dune_buf_fini(&b);
    read_errors(errors, why, sizeof(why));
    close(errors);
    if (!ended)
        snprintf(out->skip, sizeof(out->skip), "stopped after %u s", seconds);
    else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        snprintf(out->skip, sizeof(out->skip), "it failed (wait status %d)%s%.200s", status, why[0] ? ": " : "", why);
    else
        read_skip(out);
}

double bench_peer_number(const struct bench_peer *p, const char *key)
{
    json_error_t err;
    json_t *o = json_loads(p->line, 0, &err);
    const json_t *v = json_object_get(o, key);
    double x = json_is_number(v) ? json_number_value(v) : NAN;

    json_decref(o);
    return x;
}
