/* SPDX-License-Identifier: Apache-2.0 */
/* Columns in bins. Values are first put into 65536 cells, exactly or by leading bits. */
#include "forest/forest_int.h"

#include <string.h>

enum { CELLS = 65536, MANTISSA = 11 };

struct cells {
    uint32_t base; /* smallest value */
    bool exact;    /* one value per cell */
    uint32_t count[CELLS];
    uint8_t bin[CELLS];
};

static inline uint32_t cell_of(const struct cells *c, uint32_t v)
{
    uint32_t d = v - c->base, shift;

    if (c->exact || d < 2u << MANTISSA)
        return d;
    shift = 31 - (uint32_t)__builtin_clz(d) - MANTISSA;
    return (shift << MANTISSA) + (d >> shift);
}

static void count_cells(struct cells *c, const uint32_t *x, size_t n)
{
    uint32_t lo = x[0], hi = x[0];

    for (size_t i = 1; i < n; i++) {
        lo = DUNE_MIN(lo, x[i]);
        hi = DUNE_MAX(hi, x[i]);
    }
    c->base = lo;
    c->exact = hi - lo < CELLS;
    for (size_t i = 0; i < n; i++)
        c->count[cell_of(c, x[i])]++;
}

/* Cells with rows become bins of about equally many rows; with few cells, one each. */
static uint32_t cut_cells(struct cells *c, size_t n, uint32_t bins)
{
    size_t left = n, in_bin = 0;
    uint32_t used = 0, bin = 0;

    for (uint32_t k = 0; k < CELLS; k++)
        used += c->count[k] > 0;
    for (uint32_t k = 0; k < CELLS; k++) {
        uint32_t add = c->count[k];

        if (!add)
            continue;
        if (in_bin && bin + 1 < bins && (used <= bins || in_bin + add / 2 > left / (bins - bin))) {
            left -= in_bin;
            in_bin = 0;
            bin++;
        }
        in_bin += add;
        c->bin[k] = (uint8_t)bin;
    }
    return bin + 1;
}

void dune_coded_make(struct dune_coded *c, const uint32_t *x, size_t n, uint32_t max_bins)
{
    struct cells *cells = DUNE_NEW(struct cells);

    count_cells(cells, x, n);
    c->n_bins = cut_cells(cells, n, max_bins);
    c->code = dune_mem_alloc(n, 1);
    memset(c->lo, 0xff, sizeof(c->lo));
    memset(c->hi, 0, sizeof(c->hi));
    for (size_t i = 0; i < n; i++) {
        uint8_t b = cells->bin[cell_of(cells, x[i])];

        c->code[i] = b;
        if (x[i] < c->lo[b])
            c->lo[b] = x[i];
        if (x[i] > c->hi[b])
            c->hi[b] = x[i];
    }
    dune_mem_free(cells);
}
