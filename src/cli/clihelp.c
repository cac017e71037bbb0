/* SPDX-License-Identifier: Apache-2.0 */
/* Help texts and manual pages, made from the option tables. */
#include "cli/cli.h"

#include <string.h>

#define HELP_COL 30
#define HELP_WIDTH 98

const char *const cli_group_titles[CLI_N_GROUPS] = {
    "The whole job", "The stages, one by one", "Running a plan", "Data and speed", "This tool",
};

/* Appends text broken at words; the first line starts at column col, others are indented to it. */
static void wrap(struct dune_buf *b, const char *text, size_t col)
{
    size_t at = col, len;

    while (*text) {
        len = strcspn(text, " ");
        if (at > col && at + 1 + len > HELP_WIDTH) {
            dune_buf_printf(b, "\n%*s", (int)col, "");
            at = col;
        } else if (at > col) {
            dune_buf_puts(b, " ");
            at++;
        }
        dune_buf_append(b, text, len);
        at += len;
        text += len;
        text += strspn(text, " ");
    }
    dune_buf_puts(b, "\n");
}

/* "see also" part of an option: default, required, repeatable. */
static void help_text(struct dune_buf *b, const struct cli_option *o)
{
    dune_buf_puts(b, o->help);
    if (o->required)
        dune_buf_puts(b, " (required)");
    if (o->def)
        dune_buf_printf(b, " (default %s)", o->def);
    if (o->type == CLI_LIST)
        dune_buf_puts(b, " (may be repeated)");
    if (o->type == CLI_NAMES)
        dune_buf_puts(b, " (comma-separated)");
}

static void option_left(struct dune_buf *b, const struct cli_option *o)
{
    if (o->letter)
        dune_buf_printf(b, "-%c, --%s", o->letter, o->name);
    else
        dune_buf_printf(b, "    --%s", o->name);
    if (o->type != CLI_FLAG)
        dune_buf_printf(b, " %s", o->arg);
}

/* A command's own option stands for the common one of that name. */
static bool is_own(const struct cli_command *c, const struct cli_option *common)
{
    for (size_t i = 0; c && i < c->n_options; i++)
        if (strcmp(c->options[i].name, common->name) == 0)
            return true;
    return false;
}

/* but: the command whose own options are left out; NULL: none. */
static void help_options(struct dune_buf *b, const char *title, const struct cli_option *o, size_t n,
                         const struct cli_command *but)
{
    struct dune_buf left = {0}, text = {0};
    size_t i;

    dune_buf_printf(b, "\n%s:\n", title);
    for (i = 0; i < n; i++) {
        if (is_own(but, &o[i]))
            continue;
        left.len = text.len = 0;
        option_left(&left, &o[i]);
        help_text(&text, &o[i]);
        dune_buf_printf(b, "  %-*s", HELP_COL - 3, left.data);
        if (left.len > HELP_COL - 4)
            dune_buf_printf(b, "\n%*s", HELP_COL, "");
        else
            dune_buf_puts(b, " ");
        wrap(b, text.data, HELP_COL);
    }
    dune_buf_fini(&left);
    dune_buf_fini(&text);
}

static void usage_line(struct dune_buf *b, const struct cli_command *c)
{
    size_t i;

    dune_buf_printf(b, "dunectl %s", c->name);
    if (c->args && *c->args)
        dune_buf_printf(b, " %s", c->args);
    for (i = 0; i < c->n_options; i++)
        if (c->options[i].required && c->options[i].letter)
            dune_buf_printf(b, " -%c %s", c->options[i].letter, c->options[i].arg);
        else if (c->options[i].required)
            dune_buf_printf(b, " --%s %s", c->options[i].name, c->options[i].arg);
    dune_buf_puts(b, " [OPTIONS]\n");
}

static void each_line(struct dune_buf *b, const char *text, const char *before, const char *after)
{
    size_t len;

    while (text && *text) {
        len = strcspn(text, "\n");
        dune_buf_puts(b, before);
        dune_buf_append(b, text, len);
        dune_buf_puts(b, after);
        text += len + (text[len] == '\n');
    }
}

void cli_help_command(struct dune_buf *b, const struct cli_command *c)
{
    dune_buf_printf(b, "dunectl %s - %s\n\nUsage: ", c->name, c->summary);
    usage_line(b, c);
    if (c->description)
        dune_buf_printf(b, "\n%s", c->description);
    if (c->n_options)
        help_options(b, "Options", c->options, c->n_options, NULL);
    help_options(b, "Common options", cli_common, cli_n_common, c);
    if (c->examples) {
        dune_buf_puts(b, "\nExamples:\n");
        each_line(b, c->examples, "    ", "\n");
    }
}

void cli_help_all(struct dune_buf *b)
{
    size_t g, i;

    dune_buf_puts(b, "dunectl - splits one traffic classifier over a row of programmable devices\n\n"
                     "Usage: dunectl COMMAND [ARGUMENTS] [OPTIONS]\n");
    for (g = 0; g < CLI_N_GROUPS; g++) {
        bool titled = false;
        for (i = 0; i < cli_n_entries; i++) {
            if (cli_entries[i].group != g)
                continue;
            if (!titled)
                dune_buf_printf(b, "\n%s:\n", cli_group_titles[g]);
            titled = true;
            dune_buf_printf(b, "  %-12s %s\n", cli_entries[i].name, cli_entries[i].summary);
        }
    }
    help_options(b, "Common options", cli_common, cli_n_common, NULL);
    dune_buf_puts(b, "\nExit status: 0 done, 1 a bug, 2 wrong usage, 3 bad input, 4 does not fit, 5 the machine,\n"
                     "130 interrupted (the same command goes on where it stopped).\n"
                     "\nExamples:\n    dunectl help version\n    dunectl doctor\n");
}

/* --- manual pages ------------------------------------------------------------------------------ */

/* roff: backslashes and dashes are escaped, a line never starts with a control character. */
static void roff_text(struct dune_buf *b, const char *s)
{
    bool start = true;

    for (; *s; s++) {
        if (start && (*s == '.' || *s == '\''))
            dune_buf_puts(b, "\\&");
        if (*s == '\\')
            dune_buf_puts(b, "\\e");
        else if (*s == '-')
            dune_buf_puts(b, "\\-");
        else
            dune_buf_append(b, s, 1);
        start = *s == '\n';
    }
}

static void roff_options(struct dune_buf *b, const char *title, const struct cli_option *o, size_t n,
                         const struct cli_command *but)
{
    struct dune_buf text = {0};
    size_t i;

    dune_buf_printf(b, ".SH %s\n", title);
    for (i = 0; i < n; i++) {
        if (is_own(but, &o[i]))
            continue;
        dune_buf_puts(b, ".TP\n.B ");
        if (o[i].letter)
            dune_buf_printf(b, "\\-%c, ", o[i].letter);
        dune_buf_puts(b, "\\-\\-");
        roff_text(b, o[i].name);
        if (o[i].type != CLI_FLAG) {
            dune_buf_puts(b, " ");
            roff_text(b, o[i].arg);
        }
        dune_buf_puts(b, "\n");
        text.len = 0;
        help_text(&text, &o[i]);
        roff_text(b, text.data);
        dune_buf_puts(b, "\n");
    }
    dune_buf_fini(&text);
}

static void roff_exit_status(struct dune_buf *b)
{
    dune_buf_puts(b, ".SH EXIT STATUS\n0 done, 1 a bug, 2 wrong usage, 3 bad input, 4 does not fit, 5 the "
                     "machine, 130 interrupted.\n");
}

void cli_man_all(struct dune_buf *b)
{
    dune_buf_puts(b, ".TH DUNECTL 1 \"\" \"dune\"\n.SH NAME\ndunectl \\- splits one traffic classifier over a row of "
                     "programmable devices\n.SH SYNOPSIS\n.B dunectl\nCOMMAND [ARGUMENTS] [OPTIONS]\n.SH DESCRIPTION\n"
                     "From labelled captures to a classifier that runs inside the network: a large model is broken into "
                     "sub\\-models, each of which fits one device; packets meet one after another, and what the devices know "
                     "is combined on the way. Each command has a page of its own.\n.SH COMMANDS\n");
    for (size_t g = 0; g < CLI_N_GROUPS; g++) {
        bool titled = false;

        for (size_t i = 0; i < cli_n_entries; i++) {
            if (cli_entries[i].group != g)
                continue;
            if (!titled)
                dune_buf_printf(b, ".SS %s\n", cli_group_titles[g]);
            titled = true;
            dune_buf_printf(b, ".TP\n.BR dunectl\\-%s (1)\n", cli_entries[i].name);
            roff_text(b, cli_entries[i].summary);
            dune_buf_puts(b, "\n");
        }
    }
    roff_options(b, "COMMON OPTIONS", cli_common, cli_n_common, NULL);
    roff_exit_status(b);
    dune_buf_puts(b, ".SH EXAMPLES\n.nf\ndunectl demo \\-o DIR\ndunectl help plan\ndunectl doctor\n.fi\n");
}

void cli_man_command(struct dune_buf *b, const struct cli_command *c)
{
    struct dune_buf usage = {0};

    usage_line(&usage, c);
    dune_buf_printf(b, ".TH DUNECTL\\-%s 1 \"\" \"dune\"\n.SH NAME\ndunectl\\-%s \\- ", c->name, c->name);
    roff_text(b, c->summary);
    dune_buf_puts(b, "\n.SH SYNOPSIS\n");
    roff_text(b, usage.data);
    if (c->description) {
        dune_buf_puts(b, ".SH DESCRIPTION\n.nf\n");
        roff_text(b, c->description);
        dune_buf_puts(b, ".fi\n");
    }
    if (c->n_options)
        roff_options(b, "OPTIONS", c->options, c->n_options, NULL);
    roff_options(b, "COMMON OPTIONS", cli_common, cli_n_common, c);
    if (c->examples) {
        dune_buf_puts(b, ".SH EXAMPLES\n.nf\n");
        roff_text(b, c->examples);
        dune_buf_puts(b, ".fi\n");
    }
    roff_exit_status(b);
    dune_buf_fini(&usage);
}
