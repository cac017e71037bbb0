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
    size_t rows = from ? from->n : job->n_rows, cols = job->codes.row_step == 1 ? job->n_cols : job->codes.n_cols;
    size_t bytes = cols * sizeof(uint16_t); /* of one row */

    if (dune_spill_on()) /* smaller copies would fill the heap */
        return n <= rows / SPARSE_FILES && n * bytes >= DUNE_SPILL_LEAST;
    if (job->codes.row_step == 1 && job->cfg->sqrt_features) /* all columns would be copied for the few that a node looks at */
        return false;
    return n > job->tune.few_rows && n <= rows / SPARSE &&
           rows * bytes > job->tune.near_bytes;
}

/* From codes by row: each row is fetched once. */
static void copy_rows(struct dune_codes *to, const struct dune_grow_job *job, const struct dune_item *item, size_t n)
{
    const struct dune_codes *from = &job->codes;

    for (size_t i = 0; i < n; i++) {
        const uint16_t *code = from->code + item[i].row * from->row_step;
        uint16_t *out = to->code + i * to->row_step;

        if (i + DUNE_AHEAD < n) {
            const uint16_t *far = from->code + item[i + DUNE_AHEAD].row * from->row_step;

            __builtin_prefetch(far);
            __builtin_prefetch(far + from->row_step - 1);
        }
        if (to->col_step == 1)
            memcpy(out, code, from->row_step * sizeof(*out));
        else
            for (uint32_t j = 0; j < job->n_cols; j++)
                out[job->code_col[j] * to->col_step] = code[job->code_col[j]];
    }
}

/* From codes by column. The others of the table are left out: nobody asks, and their memory is not even touched. */
static void copy_columns(struct dune_codes *to, const struct dune_grow_job *job, const struct dune_item *item, size_t n)
{
    for (uint32_t j = 0; j < job->n_cols; j++) {
        const uint16_t *code = dune_codes_column(&job->codes, job->code_col[j]);
        uint16_t *out = to->code + job->code_col[j] * to->col_step;

        for (size_t i = 0; i < n; i++)
            out[i] = code[item[i].row];
    }
}

struct dune_near *dune_near_new(const struct dune_near *from, const struct dune_grow_job *job, struct dune_item *item, size_t n)
{
    struct dune_near *k = DUNE_NEW(struct dune_near);

    k->users = 1;
    k->n = n;
    k->codes = job->codes;
    if (n <= job->tune.column_rows) {
        k->codes.row_step = 1;
        k->codes.col_step = n;
    }
    k->codes.code = dune_work_alloc(n, DUNE_MAX(k->codes.row_step, (size_t)k->codes.n_cols) * sizeof(*k->codes.code));
    k->global = dune_work_alloc(n, sizeof(*k->global));
    if (job->codes.row_step == 1)
        copy_columns(&k->codes, job, item, n);
    else
        copy_rows(&k->codes, job, item, n);
    for (size_t i = 0; i < n; i++) {
        k->global[i] = from ? from->global[item[i].row] : item[i].row;
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
    dune_work_free(k->codes.code);
    dune_work_free(k->global);
    dune_mem_free(k);
}
