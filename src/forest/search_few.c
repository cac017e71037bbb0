/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The best cut of a node with few rows: sorts their codes, in registers and on the stack. Sums are
 * doubles with a bound of their error; two cuts that it cannot tell apart are compared in whole numbers.
 */
#include "forest/forest_int.h"

#include <math.h>
#include <string.h>

/* Vectors stay inside this file, always inlined: there is no call whose ABI could differ. */
#pragma GCC diagnostic ignored "-Wpsabi"
typedef int32_t v8i __attribute__((vector_size(32), aligned(4)));

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
    double error; /* of a score times both weights, see scan_column */
    /* of the current column */
    uint32_t col;
    uint8_t order[MAX];
    uint32_t value[MAX]; /* in order: a number that grows with the value */
    int32_t edge[MAX];   /* in order: the code, or -1 where value is the value itself */
    /* the best cut so far */
    bool any;
    double num, den;     /* about: its score is num / den */
    double left[MAX];    /* [n_local] class weights on its left */
    uint32_t at, threshold;
    int32_t best_col, best_edge;
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
        f->code[i] = job->codes.code + p->item[i].row * job->codes.row_step;
        f->all[c] += f->w[i];
    }
    f->weight = (double)p->all;
    f->squares = (double)(uint64_t)(p->squares >> 64) * 0x1p64 + (double)(uint64_t)p->squares;
    f->error = f->squares * f->n * 0x1p-50 * f->weight;
    f->any = false;
}

/* The place of every key is the number of smaller ones: no branches, eight keys at a time. */
static inline __attribute__((always_inline)) void rank_body(const int32_t *key, uint32_t n, uint8_t *order)
{
    int32_t place[MAX];

    for (uint32_t i = 0; i < n; i += 8) {
        v8i count = {0}, k = *(const v8i *)(const void *)(key + i);

        for (uint32_t j = 0; j < n; j++)
            count -= (v8i)((v8i){0} + key[j] < k);
        *(v8i *)(void *)(place + i) = count;
    }
    for (uint32_t i = 0; i < n; i++)
        order[place[i]] = (uint8_t)i;
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static void rank_avx2(const int32_t *key, uint32_t n, uint8_t *order)
{
    rank_body(key, n, order);
}
#endif

static void rank_keys(const int32_t *key, uint32_t n, uint8_t *order)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2")) {
        rank_avx2(key, n, order);
        return;
    }
#endif
    rank_body(key, n, order);
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
    f->edge[to - 1] = f->code[f->order[to - 1]][f->job->code_col[f->col] * f->job->codes.col_step];
}

/* Brings the rows into the order of the column; false where they are all equal. */
static bool sort_column(struct few *f, uint32_t col)
{
    uint32_t c = f->job->code_col[col], lo = UINT32_MAX, hi = 0;
    size_t step = f->job->codes.col_step;
    int32_t key[MAX];

    f->col = col;
    for (uint32_t i = 0; i < f->n; i++) {
        uint32_t v = f->code[i][c * step];

        key[i] = (int32_t)(v << 8 | i);
        lo = DUNE_MIN(lo, v);
        hi = DUNE_MAX(hi, v);
    }
    if (lo == hi && f->job->codes.col[c].exact) {
        if (col < 64)
            *f->part->constant |= UINT64_C(1) << col;
        return false;
    }
    for (uint32_t i = f->n; i % 8; i++)
        key[i] = INT32_MAX;
    rank_keys(key, f->n, f->order);
    for (uint32_t i = 0; i < f->n; i++) {
        f->edge[i] = key[f->order[i]] >> 8;
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

/* In whole numbers: a cut of column col behind place at, with these class weights on its left. */
static struct dune_cut exact_cut(const struct few *f, const double *left, int32_t col, uint32_t at)
{
    struct dune_cut c = {.feat = col, .pos = at};

    for (uint32_t k = 0; k < f->n_local; k++) {
        uint64_t l = (uint64_t)left[k], r = (uint64_t)(f->all[k] - left[k]);

        c.lw += l;
        c.rw += r;
        c.ls += (dune_u128)l * l;
        c.rs += (dune_u128)r * r;
    }
    c.score = dune_cut_score(c.lw, c.ls, c.rw, c.rs);
    return c;
}

/* Is the cut behind place at of the current column, with score num / den, better than the best so far? */
static bool wins(const struct few *f, double num, double den, const double *left, uint32_t at)
{
    struct dune_cut a, b;

    if (!f->any || (num - f->error) * f->den > (f->num + f->error) * den * (1 + 0x1p-40))
        return true;
    a = exact_cut(f, left, (int32_t)f->col, at);
    b = exact_cut(f, f->left, f->best_col, f->at);
    return dune_cut_better(&a, &b);
}

static void take(struct few *f, double num, double den, const double *left, uint32_t i)
{
    f->any = true;
    f->num = num;
    f->den = den;
    for (uint32_t k = 0; k < f->n_local; k++)
        f->left[k] = left[k];
    f->best_col = (int32_t)f->col;
    f->best_edge = f->edge[i];
    f->at = i;
    f->threshold = f->value[i] + (f->value[i + 1] - f->value[i]) / 2;
}

/*
 * All places of the column where the value changes. ls and rs: sums of squared class weights. Every
 * update rounds them by at most 2^-52 of the largest, so ls rw + rs lw is off by less than f->error.
 */
static bool scan_column(struct few *f)
{
    double left[MAX], lw = 0, rw = f->weight, ls = 0, rs = f->squares;
    double least = (double)f->job->cfg->min_leaf_weight;
    bool found = false;

    for (uint32_t c = 0; c < f->n_local; c++)
        left[c] = 0;
    for (uint32_t i = 0; i + 1 < f->n; i++) {
        uint32_t c = f->cls[f->order[i]];
        double w = f->w[f->order[i]], l = left[c], num, den;

        ls += w * (2 * l + w);
        rs -= w * (2 * (f->all[c] - l) - w);
        left[c] = l + w;
        lw += w;
        rw -= w;
        if ((f->edge[i] >= 0 ? f->edge[i] == f->edge[i + 1] : f->value[i] == f->value[i + 1]) || lw < least ||
            rw < least)
            continue;
        found = true;
        num = ls * rw + rs * lw;
        den = lw * rw;
        if (f->any && (num + f->error) * f->den * (1 + 0x1p-40) < (f->num - f->error) * den)
            continue;
        if (wins(f, num, den, left, i))
            take(f, num, den, left, i);
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
            found |= scan_column(&f);
    if (found) {
        *best = exact_cut(&f, f.left, f.best_col, f.at);
        best->edge = f.best_edge;
        best->threshold = f.threshold;
    }
    return found;
}
