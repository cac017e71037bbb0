/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which captures a capture file holds, one after another. Rows of one file need not stand together;
 * their order is the order inside the file.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture/columns_int.h"
#include "dune/capture.h"

struct row {
    const char *split, *file, *name; /* "" without a split; name NULL: file#k */
    uint64_t n_packets, line;
};

struct group { /* the pieces of one file */
    const char *split, *file;
    size_t first, n;
};

struct dune_captures {
    struct dune_arena arena;
    struct dune_piece *piece;
    DUNE_VEC(struct group) groups;
};

struct reading {
    struct columns col;
    int split, file, name, packets;
    DUNE_VEC(struct row) rows;
};

static int find_columns(struct reading *g, struct dune_diag *d)
{
    int twice = columns_twice(&g->col);

    if (twice >= 0 && g->col.name[twice][0])
        return COLUMNS_BAD(&g->col, d, "column \"%s\" stands twice", g->col.name[twice]);
    g->split = columns_find(&g->col, "split");
    g->file = columns_find(&g->col, "file");
    g->name = columns_find(&g->col, "source_capture");
    g->packets = columns_find(&g->col, "packets");
    if (g->file < 0 || g->packets < 0)
        return COLUMNS_BAD(&g->col, d, "no column \"%s\": a list of captures has the columns file "
                           "and packets, and may have split and source_capture",
                           g->file < 0 ? "file" : "packets");
    return 0;
}

static int read_row(struct dune_captures *c, struct reading *g, struct dune_diag *d)
{
    char **f = g->col.csv.field;
    struct row r = {.split = "", .line = g->col.csv.line};

    if (!f[g->file][0])
        return COLUMNS_BAD(&g->col, d, "no file name");
    if (!dune_parse_u64(f[g->packets], &r.n_packets) || r.n_packets > (uint64_t)1 << 48)
        return COLUMNS_BAD(&g->col, d, "\"%s\" is not a number of packets", f[g->packets]);
    r.file = dune_arena_strdup(&c->arena, f[g->file]);
    if (g->split >= 0)
        r.split = dune_arena_strdup(&c->arena, f[g->split]);
    if (g->name >= 0 && f[g->name][0])
        r.name = dune_arena_strdup(&c->arena, f[g->name]);
    DUNE_VEC_PUSH(&g->rows, r);
    return 0;
}

static int same_file(const struct row *a, const struct row *b)
{
    int c = strcmp(a->split, b->split);

    return c ? c : strcmp(a->file, b->file);
}

static int by_file(const void *pa, const void *pb)
{
    const struct row *a = pa, *b = pb;
    int c = same_file(a, b);

    return c ? c : (a->line > b->line) - (a->line < b->line);
}

static int by_name(const void *pa, const void *pb)
{
    const struct row *a = pa, *b = pb;
    int c = same_file(a, b);

    if (c == 0)
        c = !a->name || !b->name ? (a->name != NULL) - (b->name != NULL) : strcmp(a->name, b->name);
    return c ? c : (a->line > b->line) - (a->line < b->line);
}

/* A capture listed twice in one file; the message names the earliest second one. */
static int check_names(struct reading *g, struct dune_diag *d)
{
    const struct row *bad = NULL, *first = NULL;

    qsort(g->rows.data, g->rows.len, sizeof(struct row), by_name);
    for (size_t i = 1; i < g->rows.len; i++) {
        const struct row *a = &g->rows.data[i - 1], *b = a + 1;

        if (!a->name || !b->name || same_file(a, b) != 0 || strcmp(a->name, b->name) != 0)
            continue;
        if (!bad || b->line < bad->line) {
            first = a;
            bad = b;
        }
    }
    if (!bad)
        return 0;
    return dune_diag_set_line(d, DUNE_E_FORMAT, g->col.csv.file, bad->line,
                              "capture \"%s\" of file \"%s\" is listed twice, first on line %llu",
                              bad->name, bad->file, (unsigned long long)first->line);
}

static void build(struct dune_captures *c, struct reading *g)
{
    qsort(g->rows.data, g->rows.len, sizeof(struct row), by_file);
    c->piece = dune_arena_alloc(&c->arena, g->rows.len, sizeof(*c->piece));
    for (size_t i = 0; i < g->rows.len; i++) {
        const struct row *r = &g->rows.data[i];
        struct dune_piece *p = &c->piece[i];
        struct group *last;

        if (i == 0 || same_file(r - 1, r) != 0) {
            struct group fresh = {r->split, r->file, i, 0};

            DUNE_VEC_PUSH(&c->groups, fresh);
        }
        last = &c->groups.data[c->groups.len - 1];
        last->n++;
        p->split = r->split;
        p->n_packets = r->n_packets;
        p->name = r->name;
        if (!p->name) {
            char *name = dune_mem_printf("%s#%zu", r->file, last->n);

            p->name = dune_arena_strdup(&c->arena, name);
            dune_mem_free(name);
        }
    }
}

int dune_captures_parse(struct dune_captures **out, const char *name, const void *data, size_t len,
                        struct dune_diag *d)
{
    struct dune_captures *c = DUNE_NEW(struct dune_captures);
    struct reading g = {0};
    int rc = columns_open(&g.col, name, data, len, d);

    *out = NULL;
    if (rc == 0)
        rc = find_columns(&g, d);
    while (rc == 0) {
        rc = columns_next(&g.col, false, d);
        if (rc <= 0)
            break;
        rc = read_row(c, &g, d);
    }
    if (rc == 0 && g.rows.len == 0)
        rc = COLUMNS_BAD(&g.col, d, "no captures below the header");
    if (rc == 0)
        rc = check_names(&g, d);
    if (rc == 0) {
        build(c, &g);
        *out = c;
        c = NULL;
    }
    columns_fini(&g.col);
    DUNE_VEC_FREE(&g.rows);
    dune_captures_free(c);
    return rc;
}

int dune_captures_read(struct dune_captures **out, const char *path, struct dune_diag *d)
{
    char *data;
    size_t len;
    int rc = dune_file_read(path, &data, &len, d);

    *out = NULL;
    if (rc)
        return rc;
    rc = dune_captures_parse(out, path, data, len, d);
    dune_mem_free(data);
    return rc;
}

void dune_captures_free(struct dune_captures *c)
{
    if (!c)
        return;
    DUNE_VEC_FREE(&c->groups);
    dune_arena_fini(&c->arena);
    dune_mem_free(c);
}

static bool ends_with(const char *s, size_t len, const char *tail)
{
    size_t n = strlen(tail);

    return len >= n && memcmp(s + len - n, tail, n) == 0;
}

/* Whether the last components of path[0..len) are file. */
static bool tail_is(const char *path, size_t len, const char *file)
{
    size_t n = strlen(file);

    return ends_with(path, len, file) && (len == n || path[len - n - 1] == '/');
}

/* Length of the path without a packer's suffix, or 0 if it has none. */
static size_t without_suffix(const char *path)
{
    size_t len = strlen(path);

    if (ends_with(path, len, ".gz"))
        return len - 3;
    return ends_with(path, len, ".zst") ? len - 4 : 0;
}

/* Whether the directory in front of file is the split. */
static bool in_split(const char *path, size_t len, const struct group *g)
{
    size_t dir = len - strlen(g->file);

    return g->split[0] && dir && tail_is(path, dir - 1, g->split);
}

/* The group of path[0..len); DUNE_E_INPUT if several splits list it and the directory is none of
 * them. */
static int find_group(const struct dune_captures *c, const char *path, size_t len,
                      const struct group **out)
{
    const char *slash = memrchr(path, '/', len);
    size_t dir_len = slash ? (size_t)(slash - path) : 0, n = 0;
    bool dir_is_split = false;

    *out = NULL;
    for (size_t i = 0; i < c->groups.len; i++) {
        const struct group *g = &c->groups.data[i];

        dir_is_split |= g->split[0] && dir_len && tail_is(path, dir_len, g->split);
        if (!tail_is(path, len, g->file))
            continue;
        *out = g;
        if (in_split(path, len, g))
            return 0;
        n++;
    }
    if (n && dir_is_split && (*out)->split[0])
        *out = NULL; /* its directory is a split that does not list it */
    return n > 1 && *out ? DUNE_E_INPUT : 0;
}

int dune_captures_pieces(const struct dune_captures *c, const char *path,
                         const struct dune_piece **pieces, size_t *n)
{
    char here[PATH_MAX] = "";
    const struct group *g = NULL;
    char *full = NULL;
    size_t plain;
    int rc;

    *pieces = NULL;
    *n = 0;
    if (!strchr(path, '/') && getcwd(here, sizeof(here)))
        path = full = dune_mem_printf("%s/%s", here, path); /* the directory may be a split */
    rc = find_group(c, path, strlen(path), &g);
    plain = without_suffix(path);
    if (rc == 0 && !g && plain)
        rc = find_group(c, path, plain, &g);
    if (rc == 0 && g) {
        *pieces = c->piece + g->first;
        *n = g->n;
    }
    dune_mem_free(full);
    return rc;
}
