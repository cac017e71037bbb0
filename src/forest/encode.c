/* SPDX-License-Identifier: Apache-2.0 */
/* Columns as ordered codes. Values are first put into 65536 cells, exactly or by leading bits. */
#include "forest/forest_int.h"

#include <string.h>

enum { CELLS = 65536, MANTISSA = 11, BLOCK = 4096 };

struct cells {
    uint32_t base; /* smallest value */
    bool exact;    /* one value per cell */
    uint32_t n;    /* cells in use: 0..n-1 */
    uint16_t *code;
};
struct tally {
    uint32_t *count;
    uint32_t *lo, *hi; /* values of the cell, where it may have several */
};
struct encoder {
    struct dune_codes *codes;
    const struct dune_table *t;
    struct cells *cells; /* [n_cols] */
    uint32_t max_bins;
};

static inline uint32_t cell_of(const struct cells *c, uint32_t v)
{
    uint32_t d = v - c->base, shift;

    if (c->exact || d < 2u << MANTISSA)
        return d;
    shift = 31 - (uint32_t)__builtin_clz(d) - MANTISSA;
    return (shift << MANTISSA) + (d >> shift);
}

static void count_cells(struct cells *c, struct tally *y, const uint32_t *x, size_t n)
{
    uint32_t lo = x[0], hi = x[0];

    for (size_t i = 1; i < n; i++) {
        lo = DUNE_MIN(lo, x[i]);
        hi = DUNE_MAX(hi, x[i]);
    }
    c->base = lo;
    c->exact = hi - lo < CELLS;
    c->n = cell_of(c, hi) + 1;
    c->code = dune_mem_alloc(c->n, sizeof(*c->code));
    y->count = DUNE_NEW_N(uint32_t, c->n);
    if (c->exact) {
        for (size_t i = 0; i < n; i++)
            y->count[x[i] - lo]++;
        return;
    }
    y->lo = dune_mem_alloc(c->n, sizeof(*y->lo));
    y->hi = DUNE_NEW_N(uint32_t, c->n);
    memset(y->lo, 0xff, c->n * sizeof(*y->lo));
    for (size_t i = 0; i < n; i++) {
        uint32_t k = cell_of(c, x[i]);

        y->count[k]++;
        y->lo[k] = DUNE_MIN(y->lo[k], x[i]);
        y->hi[k] = DUNE_MAX(y->hi[k], x[i]);
    }
}

/* One bin, cells from..to-1 of which used have rows: numbers them within the bin, at most 256. */
static void number_cells(struct cells *c, const struct tally *y, struct dune_coded *k, uint32_t from,
                         uint32_t to, uint32_t used, uint32_t *n_values)
{
    uint32_t bin = k->n_bins++, i = 0;

    k->multi[bin] = used > 1;
    k->exact &= used <= 256;
    k->first[bin] = *n_values;
    for (; from < to; from++) {
        if (!y->count[from])
            continue;
        c->code[from] = (uint16_t)(bin << 8 | (used <= 256 ? i : i * 256 / used));
        i++;
        k->value[(*n_values)++] = c->exact ? c->base + from : y->lo[from];
        if (!c->exact && y->lo[from] != y->hi[from]) {
            k->multi[bin] = 1;
            k->exact = false;
        }
    }
}

/* Cells with rows become bins of about equally many rows; with few cells, one each. */
static void cut_cells(struct cells *c, const struct tally *y, struct dune_coded *k, size_t n, uint32_t bins)
{
    size_t left = n, in_bin = 0;
    uint32_t all = 0, from = 0, used = 0, n_values = 0;

    *k = (struct dune_coded){.exact = true};
    for (uint32_t v = 0; v < c->n; v++)
        all += y->count[v] > 0;
    k->value = dune_mem_alloc(all, sizeof(*k->value));
    for (uint32_t v = 0; v < c->n; v++) {
        uint32_t add = y->count[v];

        if (!add)
            continue;
        if (used && k->n_bins + 1 < bins &&
            (all <= bins || in_bin + add / 2 > left / (bins - k->n_bins))) {
            number_cells(c, y, k, from, v, used, &n_values);
            left -= in_bin;
            in_bin = used = 0;
            from = v;
        }
        in_bin += add;
        used++;
    }
    number_cells(c, y, k, from, c->n, used, &n_values);
    if (!k->exact) {
        dune_mem_free(k->value);
        k->value = NULL;
    }
}

static void plan_column(void *ctx, size_t i)
{
    struct encoder *e = ctx;
    struct tally y = {0};

    count_cells(&e->cells[i], &y, e->t->col[i], e->t->n_rows);
    cut_cells(&e->cells[i], &y, &e->codes->col[i], e->t->n_rows, e->max_bins);
    dune_mem_free(y.count);
    dune_mem_free(y.lo);
    dune_mem_free(y.hi);
}

static void encode_block(void *ctx, size_t b)
{
    struct encoder *e = ctx;
    size_t end = DUNE_MIN(e->t->n_rows, (b + 1) * BLOCK), stride = e->codes->stride;

    for (uint32_t c = 0; c < e->t->n_cols; c++) {
        const struct cells *cells = &e->cells[c];
        const uint32_t *x = e->t->col[c];

        for (size_t r = b * BLOCK; r < end; r++)
            e->codes->code[r * stride + c] = cells->code[cell_of(cells, x[r])];
    }
}

void dune_codes_make(struct dune_codes *c, const struct dune_table *t, uint32_t max_bins, unsigned threads)
{
    struct encoder e = {.codes = c, .t = t, .max_bins = max_bins};

    c->stride = (t->n_cols + 3) / 4 * 4;
    c->code = dune_mem_alloc_big(t->n_rows, c->stride * sizeof(*c->code));
    c->col = DUNE_NEW_N(struct dune_coded, t->n_cols);
    e.cells = DUNE_NEW_N(struct cells, t->n_cols);
    dune_parallel_for(threads, t->n_cols, plan_column, &e);
    dune_parallel_for(threads, (t->n_rows + BLOCK - 1) / BLOCK, encode_block, &e);
    for (uint32_t i = 0; i < t->n_cols; i++)
        dune_mem_free(e.cells[i].code);
    dune_mem_free(e.cells);
}

void dune_codes_fini(struct dune_codes *c, uint32_t n_cols)
{
    for (uint32_t i = 0; i < n_cols; i++)
        dune_mem_free(c->col[i].value);
    dune_mem_free(c->code);
    dune_mem_free(c->col);
}
