/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame of the command line. A command is one file, cmd_<name>.c, with a config struct, a table
 * of options that says where in that struct each option goes, and a run function:
 *
 *     struct config {
 *         const char *out;           CLI_STR     (NULL when not given and without default)
 *         uint32_t max_n;            CLI_U32
 *         unsigned method;           CLI_CHOICE  (index into the choices)
 *         bool csv;                  CLI_FLAG
 *         struct cli_list classes;   CLI_NAMES
 *     };
 *     static const struct cli_option options[] = {
 *         {"output", 'o', CLI_STR, offsetof(struct config, out), "FILE", NULL, "the data set", true},
 *         {"max-n", 0, CLI_U32, offsetof(struct config, max_n), "N", "4", "packets kept per flow"},
 *         {"method", 0, CLI_CHOICE, offsetof(struct config, method), "greedy|exact", "greedy", "..."},
 *     };
 *     static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
 *     {
 *         struct config *cfg = config;       zeroed, then defaults, then what the user gave
 *         ... ctx->args[0 .. ctx->n_args-1]  positional arguments
 *         if (...) return dune_diag_set(d, DUNE_E_USAGE, NULL, "--blocks needs --method exact");
 *         cli_out(ctx, "%d rows\n", n);      never printf; never print errors: fill *d, return the code
 *         return 0;
 *     }
 *     const struct cli_command cmd_extract = {
 *         .name = "extract", .summary = "captures and labels to a data set", .args = "PCAP...",
 *         .min_args = 1, .max_args = -1, CLI_CONFIG(struct config), CLI_OPTIONS(options),
 *         .description = "...", .examples = "dunectl extract a.pcap --labels l.csv -o rows.dset\n",
 *         .run = run,
 *     };
 *
 * To add it: a line CLI_COMMAND(extract, ...) in commands.def, and 'cmd_extract.c' in meson.build. Parsing,
 * --help, man page and shell completion come from the table.
 *
 * The frame prints the diagnostic once, on stderr, as "dunectl COMMAND: file:line: place: message",
 * and exits with dune_err_exit_code(). Every command also takes --json --seed --threads --memory --quiet
 * --effort and --help; their values are in struct cli_ctx.
 */
#ifndef DUNE_CLI_CLI_H
#define DUNE_CLI_CLI_H

#include "base/base.h"

enum cli_type {
    CLI_FLAG,   /* bool; --name sets it */
    CLI_STR,    /* const char * */
    CLI_U32,    /* uint32_t */
    CLI_U64,    /* uint64_t */
    CLI_DOUBLE, /* double */
    CLI_CHOICE, /* unsigned: index into arg, "one|two|three" */
    CLI_LIST,   /* struct cli_list; may be given several times, one entry each */
    CLI_NAMES   /* struct cli_list; may be given several times, each splits at commas */
};

struct cli_list {
    const char **data; /* lives as long as the command runs */
    size_t len, cap;
};

struct cli_option {
    const char *name; /* without the dashes */
    char letter;      /* short form, 0 for none; h, q and j are taken */
    enum cli_type type;
    size_t offset;   /* of the field in the config struct */
    const char *arg; /* name of the argument in help, or the choices */
    const char *def; /* default, parsed like a given value; NULL: the field stays zero */
    const char *help;
    bool required;
    double min, max; /* numbers: refused below min; above max unless max is 0 */
};

enum cli_group { CLI_JOB, CLI_STAGE, CLI_RUN, CLI_DATA, CLI_TOOL, CLI_N_GROUPS };
enum cli_effort { CLI_QUICK, CLI_DEFAULT, CLI_FULL };

struct cli_ctx {
    const struct cli_command *cmd;
    /* common options */
    bool json, quiet, help;
    uint64_t seed;         /* default 1 */
    uint32_t threads;      /* never 0 when run() is called */
    const char *memory;    /* bound on resident memory, NULL: none */
    unsigned effort;       /* enum cli_effort */
    struct cli_list rest;  /* the positional arguments, NULL-terminated */
    const char **args;     /* = rest.data */
    int n_args;            /* = rest.len */
    const char *program;   /* argv[0] */
    uint64_t given[2];     /* see cli_given */
    struct dune_arena arena; /* freed after run() */
};

struct cli_command {
    const char *name;
    const char *summary; /* one line, no capital, no full stop */
    const char *args;    /* positional arguments for the usage line, "" or NULL for none */
    int min_args, max_args; /* max_args -1: any number */
    size_t config_bytes;
    const struct cli_option *options;
    size_t n_options; /* at most 64 */
    const char *description; /* paragraphs of text, newline-terminated; may be NULL */
    const char *examples;    /* one command per line, newline-terminated */
    int (*run)(struct cli_ctx *ctx, void *config, struct dune_diag *d);
};
#define CLI_CONFIG(type) .config_bytes = sizeof(type)
#define CLI_OPTIONS(table) .options = (table), .n_options = DUNE_ARRAY_LEN(table)

/* Was this option (of the command or common) on the command line? Defaults do not count. */
bool cli_given(const struct cli_ctx *ctx, const char *name);

/* --- output (cliout.c) ------------------------------------------------------------------------- */
/* Results: stdout. Write errors are noticed at exit, which is then 5. */
void cli_out(struct cli_ctx *ctx, const char *fmt, ...) DUNE_PRINTF(2, 3);
/* A remark on stderr, "dunectl COMMAND: text", silenced by --quiet. No newline needed. */
void cli_note(struct cli_ctx *ctx, const char *fmt, ...) DUNE_PRINTF(2, 3);
/* The same for stages that have something to say: ctx is the struct cli_ctx. */
void cli_note_text(void *ctx, const char *text);
/* A warning on stderr, "dunectl COMMAND: warning: text", printed also with --quiet. */
void cli_warn(struct cli_ctx *ctx, const char *fmt, ...) DUNE_PRINTF(2, 3);
/* The finished text of a dune_jsonw to stdout, with a newline at the end. */
void cli_write_json(struct cli_ctx *ctx, const struct dune_buf *text);

/* Aligned text tables: cells are filled row by row; a column whose head starts with '>' is aligned
 * right (the '>' is not printed). Widths count UTF-8 characters.
 *
 *     struct cli_table t;
 *     cli_table_init(&t, 2, (const char *[]){"class", ">F1"});
 *     cli_table_cell(&t, "%s", name); cli_table_cell(&t, "%.3f", f1);
 *     cli_print_table(ctx, &t);       prints and frees
 */
struct cli_table {
    size_t n_cols;
    bool right[32];
    struct {
        char **data;
        size_t len, cap;
    } cells;
};
void cli_table_init(struct cli_table *t, size_t n_cols, const char *const *heads);
void cli_table_cell(struct cli_table *t, const char *fmt, ...) DUNE_PRINTF(2, 3);
void cli_print_table(struct cli_ctx *ctx, struct cli_table *t);

/* --- the frame itself (optable.c, clihelp.c, main.c) ------------------------------------------- */
extern const struct cli_option cli_common[];
extern const size_t cli_n_common;
extern const char *const cli_group_titles[CLI_N_GROUPS];

/* The list of commands. */
struct cli_entry {
    const char *name;
    enum cli_group group;
    const char *summary;
    const struct cli_command *cmd;
};
extern const struct cli_entry cli_entries[];
extern const size_t cli_n_entries;
/* NULL with a diagnostic, which has a suggestion where a name is near. */
const struct cli_command *cli_find(const char *name, struct dune_diag *d);

/* Parses argv[0 .. argc) (without program and command) into config and ctx. With cmd NULL only the
 * common options are known and parsing stops at the first other argument; *used says where. */
int cli_parse(struct cli_ctx *ctx, const struct cli_command *cmd, void *config, int argc, char **argv,
              int *used, struct dune_diag *d) DUNE_MUST_USE;
/* The candidate that is nearest to text, or NULL if none is near. */
const char *cli_nearest(const char *text, const char *const *names, size_t n);
/* The names in "a|b|c": copies number i into out (false when there are fewer). */
bool cli_choice(const char *choices, unsigned i, char *out, size_t out_bytes);

void cli_help_all(struct dune_buf *out);
void cli_help_command(struct dune_buf *out, const struct cli_command *cmd);
void cli_man_command(struct dune_buf *out, const struct cli_command *cmd);
void cli_man_all(struct dune_buf *out);

#define CLI_COMMAND(name, group, summary) extern const struct cli_command cmd_##name;
#include "cli/commands.def"
#undef CLI_COMMAND

#endif
