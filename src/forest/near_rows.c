/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Codes of a node's rows, brought together. The rows of a deep node lie all over the table, a line of memory each, and every
 * search, partition and histogram of its subtree reads them again; once they are side by side these read on and on.
 *
 *   table  |..a....b.......c...d......e..|      items: rows of the table
 *   near   |abcde|                              items: rows of this copy, global: where they came from
 */
#include "base/spill.h"
#include "forest/forest_int.h"

#include <string.h>

enum {
    SPARSE = 16,
    SPARSE_FILES = 2, /* under --memory the codes are in files, and reading a few here and there opens all of them */
};

bool dune_near_pays(const struct dune_near *from, size_t n, const struct dune_grow_job *job)
{
    size_t rows = from ? from->n : job->n_rows, bytes = job->codes.stride * sizeof(uint16_t);

    if (dune_spill_on()) /* smaller copies would fill the heap */
        return n <= rows / SPARSE_FILES && n * bytes >= DUNE_SPILL_LEAST;
    return n > job->tune.few_rows && n <= rows / SPARSE &&
           rows * bytes > job->tune.near_bytes;
}

struct dune_near *dune_near_new(const struct dune_near *from, const uint16_t *table, const struct dune_grow_job *job,
                                struct dune_item *item, size_t n)
{
    const uint16_t *code = from ? from->code : table;
    size_t stride = job->codes.stride, bytes = stride * sizeof(*code);
    struct dune_near *k = DUNE_NEW(struct dune_near);

    k->users = 1;
    k->n = n;
    k->code = dune_mem_alloc(n, bytes);
    k->global = dune_mem_alloc(n, sizeof(*k->global));
    for (size_t i = 0; i < n; i++) {
        uint32_t row = item[i].row;

        if (i + DUNE_AHEAD < n) {
            const char *far = (const char *)(code + item[i + DUNE_AHEAD].row * stride);

            __builtin_prefetch(far);
            __builtin_prefetch(far + bytes - 1);
        }
        memcpy(k->code + i * stride, code + row * stride, bytes);
        k->global[i] = from ? from->global[row] : row;
        item[i].row = (uint32_t)i;
    }
    return k;
}

struct dune_near *dune_near_share(struct dune_near *k)
{
    if (k)
        k->users++;
    return k;
}

void dune_near_drop(struct dune_near *k)
{
    if (!k || --k->users)
        return;
    dune_mem_free(k->code);
    dune_mem_free(k->global);
    dune_mem_free(k);
}
