/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of a node on both sides of its cut. */
#include "forest/forest_int.h"

#include <string.h>

struct cutting {
    const struct dune_grow_job *job;
    struct dune_item *item, *spare;
    size_t n;
    const uint16_t *gathered; /* codes of the cut's column in the order of the items, or NULL */
    const uint16_t *code;     /* the same of row r: code[r * step] */
    size_t step;
    int32_t below, above;     /* largest code on the left, smallest on the right */
};

/* Stable and without unpredictable branches; returns how many items are on the left. */
static size_t cut_codes(struct cutting *c, int32_t edge)
{
    struct dune_item *left = c->item, *right = c->spare;
    int32_t below = -1, above = UINT16_MAX + 1;

    for (size_t i = 0; i < c->n; i++) {
        struct dune_item it = c->item[i];
        int32_t code = c->gathered ? c->gathered[i] : c->code[it.row * c->step], l, r;
        bool goes_left = code <= edge;

        if (!c->gathered && i + DUNE_AHEAD < c->n)
            __builtin_prefetch(c->code + c->item[i + DUNE_AHEAD].row * c->step);

        l = goes_left ? code : -1;
        r = goes_left ? UINT16_MAX + 1 : code;
        below = DUNE_MAX(below, l);
        above = DUNE_MIN(above, r);
        *left = it;
        *right = it;
        left += goes_left;
        right += !goes_left;
    }
    memcpy(left, c->spare, (size_t)(right - c->spare) * sizeof(*left));
    c->below = below;
    c->above = above;
    return (size_t)(left - c->item);
}

static size_t cut_values(const struct cutting *c, uint32_t col, uint32_t threshold)
{
    struct dune_item *left = c->item, *right = c->spare;

    for (size_t i = 0; i < c->n; i++) {
        struct dune_item it = c->item[i];
        bool goes_left = dune_value(c->job, col, it.row) <= threshold;

        *left = it;
        *right = it;
        left += goes_left;
        right += !goes_left;
    }
    memcpy(left, c->spare, (size_t)(right - c->spare) * sizeof(*left));
    return (size_t)(left - c->item);
}

/* The values next to a cut between codes: from the table of values, or from the rows at the border. */
static uint32_t border_threshold(const struct cutting *c, uint32_t col, size_t n_left)
{
    const struct dune_coded *coded = &c->job->codes.col[c->job->code_col[col]];
    uint32_t lo = 0, hi = UINT32_MAX;

    if (coded->exact) {
        lo = coded->value[coded->first[c->below >> 8] + (uint32_t)(c->below & 255)];
        hi = coded->value[coded->first[c->above >> 8] + (uint32_t)(c->above & 255)];
        return lo + (hi - lo) / 2;
    }
    for (size_t i = 0; i < n_left; i++)
        if (c->code[c->item[i].row * c->step] == c->below)
            lo = DUNE_MAX(lo, dune_value(c->job, col, c->item[i].row));
    for (size_t i = n_left; i < c->n; i++)
        if (c->code[c->item[i].row * c->step] == c->above)
            hi = DUNE_MIN(hi, dune_value(c->job, col, c->item[i].row));
    return lo + (hi - lo) / 2;
}

size_t dune_cut_rows(const struct dune_grow_job *job, struct dune_item *item, struct dune_item *spare, size_t n,
                     const uint16_t *gathered, struct dune_cut *cut)
{
    uint32_t col = (uint32_t)cut->feat;
    struct cutting c = {.job = job, .item = item, .spare = spare, .n = n, .gathered = gathered,
                        .code = dune_codes_column(&job->codes, job->code_col[col]), .step = job->codes.row_step};
    size_t n_left;

    if (cut->edge < 0)
        return cut_values(&c, col, cut->threshold);
    n_left = cut_codes(&c, cut->edge);
    cut->threshold = border_threshold(&c, col, n_left);
    return n_left;
}
