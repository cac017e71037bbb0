/* SPDX-License-Identifier: Apache-2.0 */
/* Network namespaces and programs in them. */
#include "live/live_int.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- commands ------------------------------------------------------------------------------------------ */

static void child_exec(int out, const char *const *argv)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    dup2(null, 0);
    dup2(out, 1);
    dup2(out, 2);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    dprintf(2, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

int dune_netns_command(struct dune_diag *d, const char *const *argv)
{
    int fd[2], status = 0;
    char text[300] = "";
    size_t len = 0;
    pid_t pid;

    if (pipe2(fd, O_CLOEXEC) != 0)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "no pipe: %s", strerror(errno));
    pid = fork();
    if (pid == 0)
        child_exec(fd[1], argv);
    close(fd[1]);
    for (ssize_t n; pid > 0;) {
        char drop[256];

        n = len < sizeof(text) - 1 ? read(fd[0], text + len, sizeof(text) - 1 - len) : read(fd[0], drop, sizeof(drop));
        if (n <= 0 && errno != EINTR)
            break;
        if (n > 0 && len < sizeof(text) - 1)
            len += (size_t)n;
        if (n == 0)
            break;
    }
    close(fd[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    text[len] = '\0';
    text[strcspn(text, "\n")] = '\0';
    if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    return dune_diag_set(d, DUNE_E_ENV, NULL, "%s %s %s %s failed: %s", argv[0], argv[1] ? argv[1] : "",
                         argv[1] && argv[2] ? argv[2] : "", argv[1] && argv[2] && argv[3] ? argv[3] : "",
                         pid < 0 ? "no process" : text[0] ? text : "it says nothing");
}

/* --- namespaces ------------------------------------------------------------------------------------------ */

static int set_namespace(const char *name, struct dune_diag *d)
{
    char path[128];
    int fd, rc = 0;

    snprintf(path, sizeof(path), "/run/netns/%s", name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) != 0)
        rc = dune_diag_set(d, DUNE_E_ENV, NULL, "namespace %s: %s", name, strerror(errno));
    if (fd >= 0)
        close(fd);
    return rc;
}

int dune_netns_enter(const char *name, int *old, struct dune_diag *d)
{
    int rc;

    *old = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (*old < 0)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "/proc/thread-self/ns/net: %s", strerror(errno));
    rc = set_namespace(name, d);
    if (rc) {
        close(*old);
        *old = -1;
    }
    return rc;
}

void dune_netns_leave(int old)
{
    if (old < 0)
        return;
    if (setns(old, CLONE_NEWNET) != 0) /* it was there a moment ago */
        _exit(1);
    close(old);
}

int dune_netns_open_port(struct dune_port **out, const char *netns, const char *ifname, struct dune_diag *d)
{
    struct dune_port_opts o = {.promiscuous = true, .ring_bytes = 32 << 20};
    char spec[64];
    int old, rc = dune_netns_enter(netns, &old, d);

    if (rc)
        return rc;
    snprintf(spec, sizeof(spec), "af_packet:%s", ifname);
    rc = dune_port_open(out, spec, &o, d);
    dune_netns_leave(old);
    return rc;
}

/* --- programs ---------------------------------------------------------------------------------------------- */

static void run_child(const char *netns, const char *out, const char *const *argv)
{
    int fd = open(out ? out : "/dev/null", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    struct dune_diag ignored = {0};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (netns && set_namespace(netns, &ignored)) {
        dprintf(fd, "%s\n", ignored.msg);
        _exit(126);
    }
    child_exec(fd, argv);
}

int dune_netns_spawn(pid_t *pid, const char *netns, const char *out, const char *const *argv, struct dune_diag *d)
{
    *pid = fork();
    if (*pid < 0)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "no process: %s", strerror(errno));
    if (*pid == 0)
        run_child(netns, out, argv);
    return 0;
}

void dune_netns_stop(pid_t pid, int *status)
{
    if (pid <= 0)
        return;
    kill(pid, SIGTERM);
    for (int i = 0; i < 200; i++) {
        if (waitpid(pid, status, WNOHANG) != 0)
            return;
        usleep(10000);
    }
    kill(pid, SIGKILL);
    while (waitpid(pid, status, 0) < 0 && errno == EINTR)
        ;
}
