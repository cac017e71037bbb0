/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The best cut of a node with few rows: sorts their codes, in registers and on the stack. Sums are
 * doubles with a bound of their error; what could win or tie is recomputed in whole numbers.
 */
#include "forest/forest_int.h"

#include <math.h>
#include <string.h>

/* Vectors stay inside this file, always inlined: there is no call whose ABI could differ. */
#pragma GCC diagnostic ignored "-Wpsabi"
typedef uint32_t v8u __attribute__((vector_size(32), aligned(4)));

enum { MAX = DUNE_FEW_ROWS };

struct few {
    const struct dune_grow_job *job;
    const struct dune_part *part;
    uint32_t n, n_local;
    const uint16_t *code[MAX]; /* the codes of each row */
    double w[MAX];
    uint8_t cls[MAX];          /* local class */
    double all[MAX];           /* [n_local] class weights of the node */
    double squares, weight;
    /* of the current column */
    uint32_t col;
    uint8_t order[MAX];
    uint32_t value[MAX]; /* in order: a number that grows with the value */
    int32_t edge[MAX];   /* in order: the code, or -1 where value is the value itself */
};

static void begin(struct few *f, const struct dune_grow_job *job, const struct dune_part *p)
{
    uint16_t of[MAX];

    f->job = job;
    f->part = p;
    f->n = (uint32_t)p->n;
    f->n_local = 0;
    for (uint32_t i = 0; i < f->n; i++) {
        uint32_t c = 0;

        while (c < f->n_local && of[c] != p->item[i].cls)
            c++;
        if (c == f->n_local) {
            of[f->n_local++] = p->item[i].cls;
            f->all[c] = 0;
        }
        f->cls[i] = (uint8_t)c;
        f->w[i] = (double)p->item[i].w;
        f->code[i] = job->codes.code + p->item[i].row * job->codes.stride;
        f->all[c] += f->w[i];
    }
    f->weight = (double)p->all;
    f->squares = (double)(uint64_t)(p->squares >> 64) * 0x1p64 + (double)(uint64_t)p->squares;
}

/* The place of every key is the number of smaller ones: no branches, eight comparisons at a time. */
static inline __attribute__((always_inline)) void rank_body(const uint32_t *key, uint32_t n, uint32_t padded,
                                                            uint8_t *order)
{
    for (uint32_t i = 0; i < n; i++) {
        v8u count = {0}, k = (v8u){0} + key[i];

        for (uint32_t j = 0; j < padded; j += 8)
            count -= (v8u)(*(const v8u *)(const void *)(key + j) < k);
        order[count[0] + count[1] + count[2] + count[3] + count[4] + count[5] + count[6] + count[7]] = (uint8_t)i;
    }
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static void rank_avx2(const uint32_t *key, uint32_t n, uint32_t padded,
                                                      uint8_t *order)
{
    rank_body(key, n, padded, order);
}
#endif

static void rank_keys(const uint32_t *key, uint32_t n, uint32_t padded, uint8_t *order)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2")) {
        rank_avx2(key, n, padded, order);
        return;
    }
#endif
    rank_body(key, n, padded, order);
}

static void insert_keys(const uint32_t *key, uint32_t n, uint8_t *order)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t j = i;

        for (; j && key[order[j - 1]] > key[i]; j--)
            order[j] = order[j - 1];
        order[j] = (uint8_t)i;
    }
}

/* Rows from..to-1 of the order share a code: sorts them by value where they differ in class. */
static void open_run(struct few *f, uint32_t from, uint32_t to)
{
    bool differ = f->job->cfg->min_leaf_weight > 0;

    for (uint32_t i = from + 1; i < to; i++)
        differ |= f->cls[f->order[i]] != f->cls[f->order[from]];
    if (!differ)
        return;
    for (uint32_t i = from; i < to; i++) {
        uint8_t o = f->order[i];
        uint32_t v = dune_value(f->job, f->col, f->part->item[o].row), j = i;

        for (; j > from && f->value[j - 1] > v; j--) {
            f->value[j] = f->value[j - 1];
            f->order[j] = f->order[j - 1];
        }
        f->value[j] = v;
        f->order[j] = o;
        f->edge[i] = -1;
    }
    f->edge[to - 1] = f->code[f->order[to - 1]][f->job->code_col[f->col]];
}

/* Brings the rows into the order of the column; false where they are all equal. */
static bool sort_column(struct few *f, uint32_t col)
{
    uint32_t key[MAX], c = f->job->code_col[col], padded = (f->n + 7) / 8 * 8, lo = UINT32_MAX, hi = 0;

    f->col = col;
    for (uint32_t i = 0; i < f->n; i++) {
        uint32_t v = f->code[i][c];

        key[i] = v << 8 | i;
        lo = DUNE_MIN(lo, v);
        hi = DUNE_MAX(hi, v);
    }
    if (lo == hi && f->job->codes.col[c].exact) {
        if (col < 64)
            *f->part->constant |= UINT64_C(1) << col;
        return false;
    }
    for (uint32_t i = f->n; i < padded; i++)
        key[i] = UINT32_MAX;
    if (f->n <= 12)
        insert_keys(key, f->n, f->order);
    else
        rank_keys(key, f->n, padded, f->order);
    for (uint32_t i = 0; i < f->n; i++) {
        f->edge[i] = (int32_t)(key[f->order[i]] >> 8);
        f->value[i] = (uint32_t)f->edge[i];
    }
    if (f->job->codes.col[c].exact)
        return true;
    for (uint32_t i = 0, j; i < f->n; i = j) {
        for (j = i + 1; j < f->n && f->edge[j] == f->edge[i];)
            j++;
        if (j > i + 1)
            open_run(f, i, j);
    }
    return true;
}

/* The cut behind place i, in whole numbers. */
static void take(const struct few *f, uint32_t i, const double *left, struct dune_cut *best)
{
    struct dune_cut c = {.feat = (int32_t)f->col, .edge = f->edge[i], .pos = i};

    for (uint32_t k = 0; k < f->n_local; k++) {
        uint64_t l = (uint64_t)left[k], r = (uint64_t)(f->all[k] - left[k]);

        c.lw += l;
        c.rw += r;
        c.ls += (dune_u128)l * l;
        c.rs += (dune_u128)r * r;
    }
    c.score = dune_cut_score(c.lw, c.ls, c.rw, c.rs);
    if (c.edge < 0)
        c.threshold = f->value[i] + (f->value[i + 1] - f->value[i]) / 2;
    if (dune_cut_better(&c, best))
        *best = c;
}

static bool scan_column(const struct few *f, struct dune_cut *best)
{
    double left[MAX], lw = 0, rw = f->weight, ls = 0, rs = f->squares;
    double least = (double)f->job->cfg->min_leaf_weight;
    /* Every update rounds by at most 2^-52 of the largest sum of squares. */
    double slack = f->squares * f->n * 0x1p-50, goal = best->feat < 0 ? -1 : best->score * (1 - 0x1p-40);
    bool found = false;

    for (uint32_t c = 0; c < f->n_local; c++)
        left[c] = 0;
    for (uint32_t i = 0; i + 1 < f->n; i++) {
        uint32_t c = f->cls[f->order[i]];
        double w = f->w[f->order[i]], l = left[c];

        ls += w * (2 * l + w);
        rs -= w * (2 * (f->all[c] - l) - w);
        left[c] = l + w;
        lw += w;
        rw -= w;
        if ((f->edge[i] == f->edge[i + 1] && f->edge[i] >= 0) || (f->edge[i] < 0 && f->value[i] == f->value[i + 1]) ||
            lw < least || rw < least)
            continue;
        found = true;
        if ((ls + slack) * rw + (rs + slack) * lw < goal * lw * rw)
            continue;
        take(f, i, left, best);
        goal = best->score * (1 - 0x1p-40);
    }
    return found;
}

bool dune_search_few(const struct dune_grow_job *job, const struct dune_part *p, const uint32_t *col,
                     uint32_t n, struct dune_cut *best)
{
    struct few f;
    bool found = false;

    begin(&f, job, p);
    for (uint32_t i = 0; i < n; i++)
        if (!(col[i] < 64 && *p->constant >> col[i] & 1) && sort_column(&f, col[i]))
            found |= scan_column(&f, best);
    return found;
}
