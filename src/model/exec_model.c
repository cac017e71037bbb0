/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program as a model. It is started once per batch of rows, gets them on stdin, answers on stdout:
 *
 *   rows ---- stdin ---> program ---- stdout ---> probabilities
 *                           `-------- stderr ---> its last line, for the message when it fails
 *
 * Both directions go on at the same time, so that neither side waits for the other for ever. No shell is
 * involved: whoever wants one writes exec:sh -c "...".
 */
#include "model/model_int.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_OUTPUT ((size_t)1 << 32)
enum { DEFAULT_BATCH = 400000, STDERR_KEPT = 300 };

struct dune_model_exec {
    char **word; /* NULL-terminated */
    bool npy;
};

/* --- words -------------------------------------------------------------------------------------------- */

/* One word from *p on into b; false: a quote is open. */
static bool take_word(const char **p, struct dune_buf *b)
{
    char quote = 0;

    for (; **p && (quote || (**p != ' ' && **p != '\t' && **p != '\n')); ++*p) {
        if (!quote && (**p == '\'' || **p == '"')) {
            quote = **p;
        } else if (**p == quote) {
            quote = 0;
        } else if (**p == '\\' && quote != '\'' && (*p)[1] && (!quote || (*p)[1] == '"' || (*p)[1] == '\\')) {
            ++*p;
            dune_buf_append(b, *p, 1);
        } else {
            dune_buf_append(b, *p, 1);
        }
    }
    return !quote;
}

char **exec_words(const char *command)
{
    DUNE_VEC(char *) list = {0};
    const char *p = command;

    for (;;) {
        struct dune_buf b = {0};
        bool ok;

        while (*p == ' ' || *p == '\t' || *p == '\n')
            p++;
        if (!*p)
            break;
        ok = take_word(&p, &b);
        DUNE_VEC_PUSH(&list, dune_mem_strdup(b.data ? b.data : ""));
        dune_buf_fini(&b);
        if (ok)
            continue;
        DUNE_VEC_PUSH(&list, NULL);
        exec_free_words(list.data);
        return NULL;
    }
    if (list.len)
        DUNE_VEC_PUSH(&list, NULL);
    return list.data;
}

void exec_free_words(char **word)
{
    for (size_t i = 0; word && word[i]; i++)
        dune_mem_free(word[i]);
    dune_mem_free(word);
}

int exec_open(struct dune_model_exec **out, const char *command, bool npy, struct dune_diag *d)
{
    struct dune_model_exec x = {exec_words(command), npy};

    if (!x.word)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "exec:%.100s: no command, or a quote is open", command);
    *out = DUNE_NEW(struct dune_model_exec);
    **out = x;
    return 0;
}

void exec_free(struct dune_model_exec *x)
{
    if (!x)
        return;
    exec_free_words(x->word);
    dune_mem_free(x);
}

/* --- rows in ------------------------------------------------------------------------------------------ */

static void put_csv(struct dune_buf *b, const struct dune_table *t, size_t first, size_t n)
{
    for (uint32_t j = 0; j < t->n_cols; j++) {
        dune_buf_puts(b, j ? "," : "");
        dune_csv_put(b, dune_catalog[t->feat[j]].published);
    }
    dune_buf_puts(b, "\n");
    for (size_t r = first; r < first + n; r++) {
        for (uint32_t j = 0; j < t->n_cols; j++) {
            bool time = dune_catalog[t->feat[j]].flags & DUNE_FF_TIME;

            dune_buf_printf(b, "%s%.*f", j ? "," : "", time ? 3 : 0, dune_model_value(t->feat[j], t->col[j][r]));
        }
        dune_buf_append(b, "\n", 1);
    }
}

/* Version 1.0 of NumPy's format: magic, length of the header, header padded to 64 bytes, float64 by rows. */
static void put_npy(struct dune_buf *b, const struct dune_table *t, size_t first, size_t n)
{
    char head[128];
    int len = snprintf(head, sizeof(head), "{'descr': '<f8', 'fortran_order': False, 'shape': (%zu, %u), }", n, t->n_cols);
    uint8_t start[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, 118, 0};

    memset(head + len, ' ', sizeof(head) - (size_t)len);
    head[117] = '\n';
    dune_buf_append(b, start, sizeof(start));
    dune_buf_append(b, head, 118);
    for (size_t r = first; r < first + n; r++)
        for (uint32_t j = 0; j < t->n_cols; j++) {
            double v = dune_model_value(t->feat[j], t->col[j][r]);

            dune_buf_append(b, &v, sizeof(v));
        }
}

/* --- the program ------------------------------------------------------------------------------------- */

struct process {
    pid_t pid;
    int in, out, err; /* our ends; -1: closed */
    struct dune_buf got, said;
    const struct dune_model *m;
    uint64_t until_ns;
    struct dune_diag *d;
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static _Noreturn void become(char **word, const int pipes[6])
{
    dup2(pipes[0], 0);
    dup2(pipes[3], 1);
    dup2(pipes[5], 2);
    signal(SIGPIPE, SIG_DFL);
    execvp(word[0], word);
    dprintf(2, "%s", strerror(errno));
    _exit(127);
}

static int start(struct process *p, char **word)
{
    int pipes[6]; /* stdin r, w; stdout r, w; stderr r, w */

    for (int i = 0; i < 6; i++)
        pipes[i] = -1;
    p->in = p->out = p->err = -1;
    p->pid = -1;
    if (pipe2(pipes, O_CLOEXEC) == 0 && pipe2(pipes + 2, O_CLOEXEC) == 0 && pipe2(pipes + 4, O_CLOEXEC) == 0)
        p->pid = fork();
    if (p->pid == 0)
        become(word, pipes);
    for (int i = 0; i < 6; i++)
        if (p->pid < 0 || i == 0 || i == 3 || i == 5)
            close_fd(&pipes[i]);
    if (p->pid < 0)
        return dune_diag_set(p->d, DUNE_E_ENV, p->m->name, "cannot be started: %s", strerror(errno));
    p->in = pipes[1];
    p->out = pipes[2];
    p->err = pipes[4];
    fcntl(p->in, F_SETFL, O_NONBLOCK);
    return 0;
}

/* false: the other side has closed. */
static bool take_output(int fd, struct dune_buf *b, bool last_only)
{
    char chunk[65536];
    ssize_t n = read(fd, chunk, sizeof(chunk));

    if (n < 0)
        return errno == EINTR || errno == EAGAIN;
    dune_buf_append(b, chunk, (size_t)n);
    if (last_only && b->len > STDERR_KEPT) {
        memmove(b->data, b->data + b->len - STDERR_KEPT, STDERR_KEPT);
        b->len = STDERR_KEPT;
    }
    return n > 0;
}

/* A program that has read enough may close its stdin: that is no error here. */
static void give_input(struct process *p, const struct dune_buf *rows, size_t *at)
{
    char piece[16384]; /* the kernel cannot read from an array that is closed (base/spill.h) */
    size_t len = DUNE_MIN(rows->len - *at, sizeof(piece));
    ssize_t n;

    memcpy(piece, rows->data + *at, len);
    n = write(p->in, piece, len);

    if (n > 0)
        *at += (size_t)n;
    if (*at == rows->len || (n < 0 && errno != EAGAIN && errno != EINTR))
        close_fd(&p->in);
}

static int limit_passed(struct process *p)
{
    if (dune_interrupted())
        return dune_diag_set(p->d, DUNE_E_INTERRUPTED, NULL, "interrupted");
    if (dune_now_ns() > p->until_ns)
        return dune_diag_set(p->d, DUNE_E_ENV, p->m->name, "the program took longer than %g s", p->m->cfg.timeout_s > 0
                             ? p->m->cfg.timeout_s : 600);
    if (p->got.len > MAX_OUTPUT)
        return dune_diag_set(p->d, DUNE_E_INPUT, p->m->name, "the program writes without end");
    return 0;
}

static int converse(struct process *p, const struct dune_buf *rows)
{
    size_t at = 0;

    while (p->out >= 0 || p->err >= 0) {
        struct pollfd f[3] = {{p->in, POLLOUT, 0}, {p->out, POLLIN, 0}, {p->err, POLLIN, 0}};
        int rc = limit_passed(p);

        if (rc)
            return rc;
        if (poll(f, 3, 200) <= 0)
            continue;
        if (f[0].revents)
            give_input(p, rows, &at);
        if (f[1].revents && !take_output(p->out, &p->got, false))
            close_fd(&p->out);
        if (f[2].revents && !take_output(p->err, &p->said, true))
            close_fd(&p->err);
    }
    return 0;
}

/* What it said last on stderr, in one line. */
static const char *last_words(struct process *p)
{
    char *s;

    dune_buf_append(&p->said, "", 1);
    s = p->said.data;
    for (size_t n = strlen(s); n > 0 && s[n - 1] == '\n'; n--)
        s[n - 1] = '\0';
    if (strrchr(s, '\n'))
        s = strrchr(s, '\n') + 1;
    for (char *c = s; *c; c++)
        *c = *c < ' ' && *c >= 0 ? ' ' : *c;
    return s;
}

static int reap(struct process *p, int rc)
{
    int status = 0;

    if (rc)
        kill(p->pid, SIGKILL);
    while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (rc)
        return rc;
    if (WIFSIGNALED(status))
        return dune_diag_set(p->d, DUNE_E_INPUT, p->m->name, "the program was ended by signal %d", WTERMSIG(status));
    if (WEXITSTATUS(status) == 127)
        return dune_diag_set(p->d, DUNE_E_ENV, p->m->name, "cannot be started: %s", last_words(p));
    if (WEXITSTATUS(status))
        return dune_diag_set(p->d, DUNE_E_INPUT, p->m->name, "the program ended with status %d: %s", WEXITSTATUS(status),
                             last_words(p));
    return 0;
}

static int ask(const struct dune_model *m, const struct dune_table *t, size_t first, size_t n, float *p, struct dune_diag *d)
{
    double limit = m->cfg.timeout_s > 0 ? m->cfg.timeout_s : 600;
    struct process x = {.m = m, .d = d, .until_ns = dune_now_ns() + (uint64_t)(limit * 1e9)};
    struct dune_buf rows = {0};
    struct sigaction old, ignore = {.sa_handler = SIG_IGN};
    int rc;

    if (m->exec->npy)
        put_npy(&rows, t, first, n);
    else
        put_csv(&rows, t, first, n);
    sigaction(SIGPIPE, &ignore, &old);
    rc = start(&x, m->exec->word);
    if (rc == 0)
        rc = reap(&x, converse(&x, &rows));
    sigaction(SIGPIPE, &old, NULL);
    if (rc == 0)
        rc = dune_exec_output_parse(m->name, x.got.data, x.got.len, n, m->class_name, m->n_classes, p, d);
    close_fd(&x.in);
    close_fd(&x.out);
    close_fd(&x.err);
    dune_buf_fini(&rows);
    dune_buf_fini(&x.got);
    dune_buf_fini(&x.said);
    return rc;
}

int exec_proba(const struct dune_model *m, const struct dune_table *t, float *p, struct dune_diag *d)
{
    size_t batch = m->cfg.batch_rows ? m->cfg.batch_rows : DEFAULT_BATCH;
    int rc = 0;

    for (size_t at = 0; at < t->n_rows && rc == 0; at += batch)
        rc = ask(m, t, at, DUNE_MIN(batch, t->n_rows - at), p + at * m->n_classes, d);
    return rc;
}
