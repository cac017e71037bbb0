/* SPDX-License-Identifier: Apache-2.0 */
/* Parses arguments after the option tables: permuted, --name=value, -nvalue, -- ends the options. */
#include "cli/cli.h"

#include <limits.h>
#include <string.h>

#include "base/ranks.h"

const struct cli_option cli_common[] = {
    {"json", 0, CLI_FLAG, offsetof(struct cli_ctx, json), NULL, NULL, "results as JSON on stdout"},
    {"seed", 0, CLI_U64, offsetof(struct cli_ctx, seed), "N", "1",
     "seed of every random choice; same seed, same bytes"},
    {"threads", 'j', CLI_U32, offsetof(struct cli_ctx, threads), "N", NULL,
     "worker threads (default: all cores)", .max = 1024},
    {"memory", 0, CLI_STR, offsetof(struct cli_ctx, memory), "BYTES", NULL,
     "bound on resident memory, like 2G; what does not fit waits in files in TMPDIR"},
    {"effort", 0, CLI_CHOICE, offsetof(struct cli_ctx, effort), "quick|default|full", "default",
     "how hard to search"},
    {"quiet", 'q', CLI_FLAG, offsetof(struct cli_ctx, quiet), NULL, NULL,
     "no progress, no remarks; most commands print no more than --json and errors then"},
    {"help", 'h', CLI_FLAG, offsetof(struct cli_ctx, help), NULL, NULL, "this text"},
};
const size_t cli_n_common = DUNE_ARRAY_LEN(cli_common);

/* What the parser works on: one option of one of the two tables, and the struct it writes to. */
struct match {
    const struct cli_option *opt;
    void *base;
    int table; /* 0 command, 1 common */
    size_t idx;
};

struct parser {
    struct cli_ctx *ctx;
    const struct cli_command *cmd;
    void *config;
    struct dune_diag *d;
};

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;

    return m < c ? m : c;
}

/* Edit distance of two short names. */
static size_t distance(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b), row[65], i, j, diag, up;

    if (la > 64 || lb > 64)
        return 64;
    for (j = 0; j <= lb; j++)
        row[j] = j;
    for (i = 1; i <= la; i++) {
        diag = row[0];
        row[0] = i;
        for (j = 1; j <= lb; j++) {
            up = row[j];
            row[j] = min3(row[j] + 1, row[j - 1] + 1, diag + (a[i - 1] != b[j - 1]));
            diag = up;
        }
    }
    return row[lb];
}

const char *cli_nearest(const char *text, const char *const *names, size_t n)
{
    const char *best = NULL;
    size_t best_dist = SIZE_MAX, len = strlen(text), i, dist;

    for (i = 0; i < n; i++) {
        dist = distance(text, names[i]);
        if (len >= 3 && strncmp(names[i], text, len) == 0)
            dist = 1;
        if (dist < best_dist && dist <= 1 + len / 3) {
            best = names[i];
            best_dist = dist;
        }
    }
    return best;
}

bool cli_choice(const char *choices, unsigned i, char *out, size_t out_bytes)
{
    size_t len;

    while (i > 0) {
        choices = strchr(choices, '|');
        if (!choices)
            return false;
        choices++;
        i--;
    }
    len = strcspn(choices, "|");
    snprintf(out, out_bytes, "%.*s", (int)len, choices);
    return true;
}

bool cli_given(const struct cli_ctx *ctx, const char *name)
{
    size_t i;

    for (i = 0; ctx->cmd && i < ctx->cmd->n_options; i++)
        if (strcmp(ctx->cmd->options[i].name, name) == 0)
            return ctx->given[0] >> i & 1;
    for (i = 0; i < cli_n_common; i++)
        if (strcmp(cli_common[i].name, name) == 0)
            return ctx->given[1] >> i & 1;
    return false;
}

static void list_add(struct cli_ctx *ctx, struct cli_list *l, const char *s)
{
    if (l->len + 1 >= l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 16;
        const char **data = dune_arena_alloc(&ctx->arena, cap, sizeof(*data));
        if (l->len)
            memcpy(data, l->data, l->len * sizeof(*data));
        l->data = data;
        l->cap = cap;
    }
    l->data[l->len++] = s;
}

static int bad_value(struct parser *p, const struct cli_option *o, const char *value,
                     const char *wants)
{
    return dune_diag_set(p->d, DUNE_E_USAGE, NULL, "--%s needs %s, not \"%s\"", o->name, wants, value);
}

static int check_range(struct parser *p, const struct cli_option *o, double v, const char *value)
{
    if (v < o->min || (o->max > 0 && v > o->max)) {
        if (o->max > 0)
            return dune_diag_set(p->d, DUNE_E_USAGE, NULL, "--%s is %s, allowed are %g to %g", o->name,
                                 value, o->min, o->max);
        return dune_diag_set(p->d, DUNE_E_USAGE, NULL, "--%s is %s, at least %g is needed", o->name,
                             value, o->min);
    }
    return 0;
}

static int store_number(struct parser *p, const struct match *m, const char *value)
{
    const struct cli_option *o = m->opt;
    void *field = (char *)m->base + o->offset;
    uint64_t u = 0;
    double v;

    if (o->type == CLI_DOUBLE) {
        if (!dune_parse_double(value, &v))
            return bad_value(p, o, value, "a number");
        *(double *)field = v;
        return check_range(p, o, v, value);
    }
    if (!dune_parse_u64(value, &u))
        return bad_value(p, o, value, "a whole number");
    if (o->type == CLI_U32 && u > UINT32_MAX)
        return bad_value(p, o, value, "a number below 4294967296");
    if (o->type == CLI_U32)
        *(uint32_t *)field = (uint32_t)u;
    else
        *(uint64_t *)field = u;
    return check_range(p, o, (double)u, value);
}

static int store_choice(struct parser *p, const struct match *m, const char *value)
{
    char name[64], wants[256];
    unsigned i;

    for (i = 0; cli_choice(m->opt->arg, i, name, sizeof(name)); i++) {
        if (strcmp(name, value) == 0) {
            *(unsigned *)((char *)m->base + m->opt->offset) = i;
            return 0;
        }
    }
    snprintf(wants, sizeof(wants), "one of %s", m->opt->arg);
    return bad_value(p, m->opt, value, wants);
}

static int store_names(struct parser *p, const struct match *m, const char *value)
{
    struct cli_list *l = (struct cli_list *)((char *)m->base + m->opt->offset);
    char *copy = dune_arena_strdup(&p->ctx->arena, value), *end;

    for (;;) {
        end = strchr(copy, ',');
        if (end)
            *end = '\0';
        if (!*copy)
            return bad_value(p, m->opt, value, "names between its commas");
        list_add(p->ctx, l, copy);
        if (!end)
            return 0;
        copy = end + 1;
    }
}

static int store(struct parser *p, const struct match *m, const char *value)
{
    void *field = (char *)m->base + m->opt->offset;

    switch (m->opt->type) {
    case CLI_FLAG:
        *(bool *)field = true;
        return 0;
    case CLI_STR:
        *(const char **)field = value;
        return 0;
    case CLI_CHOICE:
        return store_choice(p, m, value);
    case CLI_LIST:
        list_add(p->ctx, field, value);
        return 0;
    case CLI_NAMES:
        return store_names(p, m, value);
    default:
        return store_number(p, m, value);
    }
}

static bool find_option(struct parser *p, const char *name, size_t len, char letter, struct match *m)
{
    int table;
    size_t i, n;

    for (table = 0; table < 2; table++) {
        const struct cli_option *opts = table ? cli_common : p->cmd ? p->cmd->options : NULL;
        n = table ? cli_n_common : p->cmd ? p->cmd->n_options : 0;
        for (i = 0; i < n; i++) {
            bool hit = name ? strlen(opts[i].name) == len && memcmp(opts[i].name, name, len) == 0
                            : opts[i].letter == letter;
            if (hit) {
                *m = (struct match){&opts[i], table ? (void *)p->ctx : p->config, table, i};
                return true;
            }
        }
    }
    return false;
}

static int unknown_option(struct parser *p, const char *arg, size_t len)
{
    const char *names[64 + 16], *near;
    char name[64];
    size_t n = 0, i;

    for (i = 0; p->cmd && i < p->cmd->n_options && n < 64; i++)
        names[n++] = p->cmd->options[i].name;
    for (i = 0; i < cli_n_common; i++)
        names[n++] = cli_common[i].name;
    snprintf(name, sizeof(name), "%.*s", (int)DUNE_MIN(len, (size_t)60), arg);
    near = arg[1] == '-' ? cli_nearest(name + 2, names, n) : NULL;
    if (near)
        return dune_diag_set(p->d, DUNE_E_USAGE, NULL, "unknown option %s; did you mean --%s?", name,
                             near);
    return dune_diag_set(p->d, DUNE_E_USAGE, NULL, "unknown option %s; see dunectl %s%s--help", name,
                         p->cmd ? p->cmd->name : "", p->cmd ? " " : "");
}

static int take(struct parser *p, const struct match *m, const char *value)
{
    uint64_t bit = UINT64_C(1) << m->idx;
    bool again = p->ctx->given[m->table] & bit;

    if (again && m->opt->type != CLI_LIST && m->opt->type != CLI_NAMES && m->opt->type != CLI_FLAG)
        return dune_diag_set(p->d, DUNE_E_USAGE, NULL, "--%s is given twice", m->opt->name);
    p->ctx->given[m->table] |= bit;
    return store(p, m, value);
}

/* --name, --name=value, --name value. Advances *i over a separate value. */
static int parse_long(struct parser *p, int argc, char **argv, int *i)
{
    char *arg = argv[*i];
    size_t len = strcspn(arg + 2, "=");
    const char *value = arg[2 + len] ? arg + 3 + len : NULL;
    struct match m;

    if (!find_option(p, arg + 2, len, 0, &m))
        return unknown_option(p, arg, len + 2);
    if (m.opt->type == CLI_FLAG && value)
        return dune_diag_set(p->d, DUNE_E_USAGE, NULL, "--%s takes no value", m.opt->name);
    if (m.opt->type != CLI_FLAG && !value) {
        if (*i + 1 >= argc)
            return dune_diag_set(p->d, DUNE_E_USAGE, NULL, "--%s needs a value: %s", m.opt->name,
                                 m.opt->arg);
        value = argv[++*i];
    }
    return take(p, &m, value);
}

/* -q, -qj4, -j 4, -ofile. */
static int parse_short(struct parser *p, int argc, char **argv, int *i)
{
    char *s = argv[*i] + 1;
    struct match m;
    int rc;

    for (; *s; s++) {
        if (!find_option(p, NULL, 0, *s, &m))
            return unknown_option(p, argv[*i], strlen(argv[*i]));
        if (m.opt->type == CLI_FLAG) {
            rc = take(p, &m, NULL);
            if (rc)
                return rc;
            continue;
        }
        if (s[1])
            return take(p, &m, s + 1);
        if (*i + 1 >= argc)
            return dune_diag_set(p->d, DUNE_E_USAGE, NULL, "-%c needs a value: %s", *s, m.opt->arg);
        return take(p, &m, argv[++*i]);
    }
    return 0;
}

/* Defaults are stored where the user gave nothing, so that lists do not keep theirs. */
static int fill_defaults(struct parser *p)
{
    int table, rc;
    size_t i, n;

    for (table = 0; table < 2; table++) {
        const struct cli_option *opts = table ? cli_common : p->cmd ? p->cmd->options : NULL;
        n = table ? cli_n_common : p->cmd ? p->cmd->n_options : 0;
        for (i = 0; i < n; i++) {
            struct match m = {&opts[i], table ? (void *)p->ctx : p->config, table, i};
            if (opts[i].def && !(p->ctx->given[table] >> i & 1) &&
                (rc = store(p, &m, opts[i].def)) != 0)
                return rc;
        }
    }
    if (p->ctx->threads == 0)
        p->ctx->threads = dune_ranks_cpus();
    return 0;
}

static int check_given(struct parser *p)
{
    const struct cli_command *c = p->cmd;
    struct cli_ctx *ctx = p->ctx;
    size_t i;

    for (i = 0; i < c->n_options; i++)
        if (c->options[i].required && !(ctx->given[0] >> i & 1))
            return dune_diag_set(p->d, DUNE_E_USAGE, NULL, "--%s is missing: %s", c->options[i].name,
                                 c->options[i].help);
    if (ctx->n_args < c->min_args)
        return dune_diag_set(p->d, DUNE_E_USAGE, NULL, "an argument is missing: %s", c->args);
    if (c->max_args >= 0 && ctx->n_args > c->max_args)
        return dune_diag_set(p->d, DUNE_E_USAGE, NULL, "one argument too many: \"%s\"",
                             ctx->args[c->max_args]);
    return 0;
}

int cli_parse(struct cli_ctx *ctx, const struct cli_command *cmd, void *config, int argc, char **argv,
              int *used, struct dune_diag *d)
{
    struct parser p = {ctx, cmd, config, d};
    bool only_args = false;
    int i, rc = 0;

    ctx->cmd = cmd;
    for (i = 0; i < argc && rc == 0; i++) {
        if (only_args || argv[i][0] != '-' || !argv[i][1]) {
            if (!cmd)
                break;
            list_add(ctx, &ctx->rest, argv[i]);
        } else if (strcmp(argv[i], "--") == 0) {
            only_args = true;
        } else if (argv[i][1] == '-') {
            rc = parse_long(&p, argc, argv, &i);
        } else {
            rc = parse_short(&p, argc, argv, &i);
        }
    }
    if (used)
        *used = i;
    ctx->args = ctx->rest.data;
    ctx->n_args = (int)ctx->rest.len;
    if (rc || ctx->help || !cmd)
        return rc;
    rc = fill_defaults(&p);
    return rc ? rc : check_given(&p);
}
