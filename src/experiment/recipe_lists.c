/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of flows in several files as one. Their columns are not the same everywhere (of the 23 lists of ToN-IoT one has a
 * column more, and the order differs), so the ones that are wanted are picked by name.
 */
#include "experiment/recipe_int.h"

#include <string.h>

#include "base/spill.h"

enum { MAX_COLUMNS = 256 };

struct line {
    size_t n;
    const char *field[MAX_COLUMNS]; /* with their quotes */
    size_t len[MAX_COLUMNS];
};

/* The fields of the line at p; returns where the next one begins. A quoted field may hold commas and line ends. */
static const char *split(struct line *l, const char *p, const char *end)
{
    l->n = 0;
    for (;;) {
        const char *from = p;
        bool quoted = false;

        for (; p < end && (quoted || (*p != ',' && *p != '\n')); p++)
            quoted ^= *p == '"';
        if (l->n < MAX_COLUMNS) {
            l->field[l->n] = from;
            l->len[l->n] = (size_t)(p - from) - (p > from && p[-1] == '\r');
        }
        l->n++;
        if (p == end || *p == '\n')
            return p < end ? p + 1 : end;
        p++;
    }
}

static bool is_named(const struct line *l, size_t i, const char *name)
{
    size_t bom = i == 0 && l->len[0] >= 3 && memcmp(l->field[0], "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

    return l->len[i] - bom == strlen(name) && memcmp(l->field[i] + bom, name, l->len[i] - bom) == 0;
}

static int find_columns(const struct line *head, const char *const *want, size_t n, size_t *at, const char *path,
                        struct dune_diag *d)
{
    if (head->n > MAX_COLUMNS)
        return dune_diag_set_line(d, DUNE_E_INPUT, path, 1, "more than %d columns", MAX_COLUMNS);
    for (size_t k = 0; k < n; k++) {
        for (at[k] = 0; at[k] < head->n && !is_named(head, at[k], want[k]); at[k]++)
            ;
        if (at[k] == head->n)
            return dune_diag_set_line(d, DUNE_E_INPUT, path, 1, "it has no column %s", want[k]);
    }
    return 0;
}

int recipe_append_columns(FILE *out, const char *path, const char *const *want, size_t n, struct dune_diag *d)
{
    struct line *l = DUNE_NEW(struct line);
    size_t at[MAX_COLUMNS] = {0};
    uint64_t number = 2;
    struct dune_map m;
    int rc = dune_map_open(&m, path, d);

    if (rc == 0) {
        const char *p = (const char *)m.data, *end = p + m.len;

        p = split(l, p, end);
        rc = find_columns(l, want, n, at, path, d);
        for (; rc == 0 && p < end; number++) {
            p = split(l, p, end);
            if (l->n == 1 && l->len[0] == 0)
                continue;
            for (size_t k = 0; k < n && rc == 0; k++) {
                if (at[k] >= l->n)
                    rc = dune_diag_set_line(d, DUNE_E_INPUT, path, number, "it ends before column %s", want[k]);
                else if (k)
                    (void)fputc(',', out);
                if (rc == 0)
                    (void)dune_spill_fwrite(l->field[at[k]], l->len[at[k]], out);
            }
            if (rc == 0)
                (void)fputc('\n', out);
        }
        dune_map_close(&m);
    }
    dune_mem_free(l);
    return rc;
}
