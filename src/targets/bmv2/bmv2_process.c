/* SPDX-License-Identifier: Apache-2.0 */
/* Compiler and switch as processes: looking for them, running the one, starting and ending the other. */
#include "targets/bmv2/bmv2_int.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dune/p4.h"

static bool on_path(const char *tool)
{
    const char *path = getenv("PATH");
    char file[1024];

    while (path && *path) {
        size_t n = strcspn(path, ":");

        snprintf(file, sizeof(file), "%.*s/%s", (int)n, path, tool);
        if (access(file, X_OK) == 0)
            return true;
        path += n + (path[n] == ':');
    }
    return false;
}

const char *dune_bmv2_available(void)
{
    if (!on_path("p4c-bm2-ss"))
        return "p4c-bm2-ss is not installed";
    return on_path("simple_switch") ? NULL : "simple_switch is not installed";
}

/* In the child: everything it says goes to the log. It ends with the thread that started it. */
static void become(const char *const *argv, const char *log, pid_t parent)
{
    int in = open("/dev/null", O_RDONLY), out = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    sigset_t none;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || in < 0 || out < 0)
        _exit(126);
    dup2(in, 0);
    dup2(out, 1);
    dup2(out, 2);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

int bmv2_spawn(pid_t *pid, const char *const *argv, const char *log, struct dune_diag *d)
{
    pid_t self = getpid();

    *pid = fork();
    if (*pid == 0)
        become(argv, log ? log : "/dev/null", self);
    if (*pid < 0)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "%s: cannot start: %s", argv[0], strerror(errno));
    return 0;
}

/* Exit status, or 128 + signal. */
static int wait_for(pid_t pid)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool bmv2_running(pid_t pid)
{
    return pid > 0 && waitpid(pid, NULL, WNOHANG) == 0;
}

void bmv2_kill(pid_t pid)
{
    if (pid <= 0)
        return;
    kill(pid, SIGKILL); /* it keeps nothing that would be lost */
    wait_for(pid);
}

/* The first line of a log that says what is wrong; else its last line. */
void bmv2_log_line(const char *log, char *out, size_t n)
{
    struct dune_diag ignored = {0};
    char *text = NULL, *line, *next;
    bool found = false;
    size_t len;

    snprintf(out, n, "it says nothing");
    if (!log || dune_file_read(log, &text, &len, &ignored))
        return;
    for (line = text; line && *line && !found; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        found = strstr(line, "error") || strstr(line, "warning");
        if (*line)
            snprintf(out, n, "%s", line);
    }
    dune_mem_free(text);
}

static int compile(const char *source, const char *json, const char *info, const char *log, bool test_clock,
                   struct dune_diag *d)
{
    const char *argv[] = {"p4c-bm2-ss", "--std", "p4-16", "--Werror", "--p4runtime-files", info, "-o", json, source,
                          test_clock ? "-DDUNE_TEST_CLOCK" : NULL, NULL};
    char line[600];
    pid_t pid;
    int rc = bmv2_spawn(&pid, argv, log, d), status;

    if (rc)
        return rc;
    status = wait_for(pid);
    if (status == 127)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "p4c-bm2-ss is not installed");
    bmv2_log_line(log, line, sizeof(line));
    if (status == 0 && !strstr(line, "warning")) /* not every one becomes an error */
        return 0;
    return dune_diag_set(d, DUNE_E_INTERNAL, source, "p4c-bm2-ss: %s", line);
}

static const char *program_of(const struct dune_p4_files *f)
{
    for (size_t i = 0; i < f->len; i++) {
        size_t n = strlen(f->data[i].name);

        if (n > 3 && strcmp(f->data[i].name + n - 3, ".p4") == 0)
            return f->data[i].name;
    }
    return NULL;
}

int dune_bmv2_compile(const struct dune_plan *p, uint32_t device, const char *dir, bool test_clock,
                      char **json, struct dune_diag *d)
{
    struct dune_p4_files files = {0};
    char *source = NULL, *log = NULL, *info = NULL, *stem = NULL;
    int rc = dune_p4_generate_device(p, device, DUNE_P4_V1MODEL, &files, d);

    *json = NULL;
    if (rc == 0)
        rc = dune_p4_files_write(&files, dir, d);
    if (rc == 0) {
        source = dune_mem_printf("%s/%s", dir, program_of(&files));
        stem = dune_mem_strndup(source, strlen(source) - 3);
        *json = dune_mem_printf("%s.json", stem);
        log = dune_mem_printf("%s.compile.log", stem);
        info = dune_mem_printf("%s.p4info.json", stem);
        rc = compile(source, *json, info, log, test_clock, d);
    }
    dune_p4_files_fini(&files);
    dune_mem_free(source);
    dune_mem_free(log);
    dune_mem_free(info);
    dune_mem_free(stem);
    if (rc) {
        dune_mem_free(*json);
        *json = NULL;
    }
    return rc;
}
