/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the command, runs it, prints its error once and turns it into an exit status. */
#include "cli/cli.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio_ext.h>
#include <string.h>
#include <unistd.h>

#include "base/spill.h"
#include "cli/ranks_join.h"

const struct cli_entry cli_entries[] = {
#define CLI_COMMAND(name, group, summary) {#name, group, summary, &cmd_##name},
#include "cli/commands.def"
#undef CLI_COMMAND
};
const size_t cli_n_entries = DUNE_ARRAY_LEN(cli_entries);

/*
 * The first signal asks for a clean stop, a later one kills. One press may arrive twice: `timeout` and
 * some shells signal the process and then its group; what follows within half a second is the same press.
 */
static void on_signal(int sig)
{
    static volatile sig_atomic_t asked;
    static uint64_t first_ns;

    if (!asked) {
        first_ns = dune_now_ns();
        asked = 1;
        dune_interrupt_request();
    } else if (dune_now_ns() - first_ns > UINT64_C(500000000)) {
        signal(sig, SIG_DFL);
        raise(sig);
    }
}

static void set_signals(void)
{
    struct sigaction sa = {.sa_handler = on_signal};

    sigemptyset(&sa.sa_mask); /* SIGINT and SIGTERM must not interrupt each other's handler */
    sigaddset(&sa.sa_mask, SIGINT);
    sigaddset(&sa.sa_mask, SIGTERM);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    /* A closed pipe is then a failed write, which is noticed like a full disk. */
    signal(SIGPIPE, SIG_IGN);
}

const struct cli_command *cli_find(const char *name, struct dune_diag *d)
{
    const char *names[64], *near;
    size_t i;

    for (i = 0; i < cli_n_entries; i++) {
        names[i] = cli_entries[i].name;
        if (strcmp(name, cli_entries[i].name) == 0)
            return cli_entries[i].cmd;
    }
    near = cli_nearest(name, names, cli_n_entries);
    if (near)
        dune_diag_set(d, DUNE_E_USAGE, NULL, "unknown command \"%s\"; did you mean %s?", name, near);
    else
        dune_diag_set(d, DUNE_E_USAGE, NULL, "unknown command \"%s\"; see dunectl --help", name);
    return NULL;
}

static int print_error(const char *command, int rc, struct dune_diag *d)
{
    char text[1400];

    if (dune_ranks_me()) /* all fail alike: the first one should be heard before the launcher ends everybody */
        usleep(500000);
    if (rc == DUNE_E_INTERRUPTED && !d->msg[0])
        dune_diag_set(d, rc, NULL, "interrupted; the same command goes on where it stopped");
    dune_diag_format(d, text, sizeof(text));
    fflush(stdout);
    fprintf(stderr, "dunectl%s%s: %s\n", command ? " " : "", command ? command : "", text);
    return dune_err_exit_code(rc);
}

/* Nobody may believe that output which never arrived was written. */
static int close_stdout(int status)
{
    bool failed = ferror(stdout) != 0, pending = __fpending(stdout) > 0;

    errno = 0;
    if (fclose(stdout) != 0 && (pending || errno != EBADF)) /* closed and never used is no error */
        failed = true;
    if (!failed)
        return status;
    if (errno != EPIPE)
        fprintf(stderr, "dunectl: cannot write to standard output: %s\n",
                errno ? strerror(errno) : "write error");
    return status ? status : dune_err_exit_code(DUNE_E_IO);
}

/* Offline commands work on files and arrays; what meets the network gives its buffers to the kernel. */
static bool is_offline(const char *name)
{
    static const char *const also[] = {"replay", "emit", "drift", "report"};
    bool ok = false;

    for (size_t i = 0; i < cli_n_entries; i++)
        if (strcmp(cli_entries[i].name, name) == 0)
            ok = cli_entries[i].group == CLI_JOB || cli_entries[i].group == CLI_STAGE || cli_entries[i].group == CLI_DATA;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(also); i++)
        ok |= strcmp(also[i], name) == 0;
    return ok;
}

/* Searches take and give back the same arrays again and again: a tenth of their time went into new pages. */
static void keep_memory(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, 32 << 20); /* where it cannot be done it is only slower */
    (void)mallopt(M_TRIM_THRESHOLD, 512 << 20);
}

static int bound_memory(const struct cli_ctx *ctx, struct dune_diag *d)
{
    uint64_t bytes;
    int rc;

    if (!ctx->memory) {
        if (is_offline(ctx->cmd->name))
            keep_memory();
        return 0;
    }
    if (!is_offline(ctx->cmd->name))
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "--memory bounds offline commands; run %s in a control group with "
                             "MemoryMax", ctx->cmd->name);
    rc = dune_bytes_parse(ctx->memory, &bytes, d);
    return rc ? rc : dune_spill_start(bytes, NULL, d);
}

static void say_if_passed(struct cli_ctx *ctx)
{
    uint64_t peak = dune_spill_passed();

    if (peak)
        cli_warn(ctx, "%llu MiB were resident, more than --memory %s: what is small and many does not wait in files",
                 (unsigned long long)(peak >> 20), ctx->memory);
}

/* Joins the other processes of an MPI job; only the first prints. */
static int join_others(const char *name, struct dune_diag *d)
{
    int rc = dune_ranks_launched() && dune_ranks_n() == 1 ? cli_ranks_join(d) : 0;

    if (rc || dune_ranks_n() == 1)
        return rc;
    for (size_t i = 0; i < cli_n_entries; i++)
        if (strcmp(cli_entries[i].name, name) == 0 && cli_entries[i].group != CLI_JOB && cli_entries[i].group != CLI_STAGE)
            return dune_diag_set(d, DUNE_E_USAGE, NULL, "%s does not run as several processes of an MPI job", name);
    if (dune_ranks_me() && !freopen("/dev/null", "w", stdout))
        return dune_diag_set(d, DUNE_E_ENV, NULL, "cannot open /dev/null");
    return 0;
}

/* One process that fails ends them all. The first one says why; another waits a moment, because it
 * usually fails for the same reason. */
static void end_others(int status)
{
    if (status && dune_ranks_n() > 1)
        dune_ranks_abort(status);
    dune_ranks_finish();
}

static int run_command(struct cli_ctx *ctx, const struct cli_command *cmd, int argc, char **argv)
{
    void *config = dune_mem_zalloc(1, cmd->config_bytes ? cmd->config_bytes : 1);
    struct dune_diag d = {0};
    struct dune_buf help = {0};
    int rc = join_others(cmd->name, &d), status = 0;

    if (rc == 0)
        rc = cli_parse(ctx, cmd, config, argc, argv, NULL, &d);

    if (rc == 0 && ctx->help) {
        cli_help_command(&help, cmd);
        cli_out(ctx, "%s", help.data);
    } else if (rc == 0) {
        dune_progress_set_quiet(ctx->quiet || dune_ranks_me());
        rc = bound_memory(ctx, &d);
        if (rc == 0)
            rc = cmd->run(ctx, config, &d);
        say_if_passed(ctx);
    }
    if (rc != 0)
        status = print_error(cmd->name, rc, &d);
    end_others(status);
    dune_buf_fini(&help);
    dune_mem_free(config);
    return status;
}

static int print_help(bool asked)
{
    struct dune_buf help = {0};

    cli_help_all(&help);
    fputs(help.data, asked ? stdout : stderr);
    dune_buf_fini(&help);
    return asked ? 0 : dune_err_exit_code(DUNE_E_USAGE);
}

int main(int argc, char **argv)
{
    char version[] = "version";
    struct cli_ctx ctx = {.program = argv[0]};
    const struct cli_command *cmd = NULL;
    struct dune_diag d = {0};
    int used = 0, rc = 0, status;

    set_signals();
    if (argc > 1 && strcmp(argv[1], "--version") == 0)
        argv[1] = version;
    if (argc > 1)
        rc = cli_parse(&ctx, NULL, NULL, argc - 1, argv + 1, &used, &d);
    if (rc == 0 && used + 1 < argc && !ctx.help)
        cmd = cli_find(argv[used + 1], &d);
    if (cmd)
        status = run_command(&ctx, cmd, argc - used - 2, argv + used + 2);
    else if (d.code)
        status = print_error(NULL, d.code, &d);
    else
        status = print_help(ctx.help);
    dune_arena_fini(&ctx.arena);
    return close_stdout(status);
}
