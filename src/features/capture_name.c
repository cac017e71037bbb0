/* SPDX-License-Identifier: Apache-2.0 */
/* Names of captures: the same in data sets and verdict files, wherever the data lies. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "dune/dataset.h"

/* The last n components of a path. */
static const char *path_tail(const char *path, unsigned n)
{
    const char *p = path + strlen(path);

    while (p > path && (p[-1] != '/' || --n > 0))
        p--;
    return p;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

unsigned dune_capture_components(const char *const *paths, size_t n_paths)
{
    const char **tail = dune_mem_alloc(n_paths, sizeof(*tail));
    unsigned n = 1;

    for (bool clash = true; clash && n < 64; n += clash) {
        clash = false;
        for (size_t i = 0; i < n_paths; i++)
            tail[i] = path_tail(paths[i], n);
        qsort(tail, n_paths, sizeof(*tail), by_name);
        for (size_t i = 1; i < n_paths; i++)
            clash |= strcmp(tail[i - 1], tail[i]) == 0;
    }
    dune_mem_free(tail);
    return n;
}

char *dune_capture_name(const char *path, unsigned components, const struct dune_piece *piece)
{
    const char *file = path_tail(path, components), *base = dune_path_base(path), *name;
    size_t len = strlen(base);

    if (!piece)
        return dune_mem_strdup(file);
    name = piece->name;
    if (strncmp(name, base, len) == 0 && name[len] == '#')
        name += len + 1;
    return dune_mem_printf("%s#%s", file, name);
}
