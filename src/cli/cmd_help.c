/* SPDX-License-Identifier: Apache-2.0 */
/* help, man and completion: texts made from the tables of all commands. */
#include "cli/cli.h"

#include <string.h>

static int run_help(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    struct dune_buf b = {0};
    const struct cli_command *c;

    (void)config;
    if (ctx->n_args == 0) {
        cli_help_all(&b);
    } else {
        c = cli_find(ctx->args[0], d);
        if (!c)
            return d->code;
        cli_help_command(&b, c);
    }
    cli_out(ctx, "%s", b.data);
    dune_buf_fini(&b);
    return 0;
}

const struct cli_command cmd_help = {
    .name = "help",
    .summary = "help on a command",
    .args = "[COMMAND]",
    .max_args = 1,
    .examples = "dunectl help doctor\n",
    .run = run_help,
};

static int run_man(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    struct dune_buf b = {0};
    const struct cli_command *c = ctx->n_args ? cli_find(ctx->args[0], d) : NULL;

    (void)config;
    if (ctx->n_args && !c)
        return d->code;
    if (c)
        cli_man_command(&b, c);
    else
        cli_man_all(&b);
    cli_out(ctx, "%s", b.data);
    dune_buf_fini(&b);
    return 0;
}

const struct cli_command cmd_man = {
    .name = "man",
    .summary = "the manual page of a command, or of dunectl",
    .args = "[COMMAND]",
    .max_args = 1,
    .description = "Prints the page in roff, made from the same table as --help.\n",
    .examples = "dunectl man | man -l -\ndunectl man doctor | man -l -\n",
    .run = run_man,
};

static void put_options(struct dune_buf *b, const struct cli_option *o, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        dune_buf_printf(b, " --%s", o[i].name);
}

/* Lines of a shell case: which words may follow an option that takes one of several. */
static void put_choices(struct dune_buf *b, const char *command, const struct cli_option *o, size_t n)
{
    size_t i;
    const char *s;

    for (i = 0; i < n; i++) {
        if (o[i].type != CLI_CHOICE)
            continue;
        dune_buf_printf(b, "    %s--%s) words=\"", command, o[i].name);
        for (s = o[i].arg; *s; s++)
            dune_buf_append(b, *s == '|' ? " " : s, 1);
        dune_buf_puts(b, "\" ;;\n");
    }
}

static void completion_bash(struct dune_buf *b)
{
    size_t i;

    dune_buf_puts(b, "# bash completion of dunectl; load with: source <(dunectl completion bash)\n"
                     "_dunectl() {\n"
                     "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=\n"
                     "    local cmd=${COMP_WORDS[1]}\n"
                     "    if [ \"$COMP_CWORD\" = 1 ]; then words=\"--help --version");
    for (i = 0; i < cli_n_entries; i++)
        dune_buf_printf(b, " %s", cli_entries[i].name);
    dune_buf_puts(b, "\"\n    else case $cmd$prev in\n");
    put_choices(b, "*", cli_common, cli_n_common);
    for (i = 0; i < cli_n_entries; i++)
        put_choices(b, cli_entries[i].name, cli_entries[i].cmd->options, cli_entries[i].cmd->n_options);
    dune_buf_puts(b, "    *) [ \"${cur:0:1}\" = - ] && case $cmd in\n");
    for (i = 0; i < cli_n_entries; i++) {
        dune_buf_printf(b, "        %s) words=\"", cli_entries[i].name);
        put_options(b, cli_entries[i].cmd->options, cli_entries[i].cmd->n_options);
        put_options(b, cli_common, cli_n_common);
        dune_buf_puts(b, "\" ;;\n");
    }
    dune_buf_puts(b, "        esac ;;\n    esac; fi\n"
                     "    [ -n \"$words\" ] && mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
                     "}\ncomplete -o default -F _dunectl dunectl\n");
}

static int run_completion(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    struct dune_buf b = {0};

    (void)config;
    if (strcmp(ctx->args[0], "bash") != 0)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "no completion for \"%s\"; there is one for bash",
                             ctx->args[0]);
    completion_bash(&b);
    cli_out(ctx, "%s", b.data);
    dune_buf_fini(&b);
    return 0;
}

const struct cli_command cmd_completion = {
    .name = "completion",
    .summary = "the completion script of a shell",
    .args = "SHELL",
    .min_args = 1,
    .max_args = 1,
    .description = "SHELL is bash.\n",
    .examples = "dunectl completion bash >/etc/bash_completion.d/dunectl\n",
    .run = run_completion,
};
