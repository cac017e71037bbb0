/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Columns as ordered codes. Every value belongs to a slot, in ascending order: one slot per value where
 * the values span less than 65536 or are at most 65536 different ones; else slots are their leading bits.
 */
#include "forest/forest_int.h"

#include <string.h>

enum { SLOTS = 65536, MANTISSA = 11, PER_BIN = 256, BLOCK = 4096, NEAR_SLOTS = 2048 };
enum kind { DIRECT, RANKED, LEADING };

struct slots {
    enum kind kind;
    uint32_t base;   /* smallest value */
    uint32_t n;
    uint16_t *code;  /* [n] */
    uint32_t *value; /* [n] RANKED: the values */
    uint16_t *slot;  /* [n_rows] RANKED */
};
struct tally { /* per slot */
    uint32_t *count;
    uint32_t *used, n_used; /* slots with rows, ascending */
    uint32_t *lo, *hi; /* LEADING: smallest and largest value */
};
struct encoder {
    struct dune_codes *codes;
    const struct dune_table *t;
    struct slots *slots; /* [n_cols] */
    uint32_t max_bins;
};

/* The leading bits of d, as a number that does not fall when d grows; below 2^16. */
static inline uint32_t leading(uint32_t d)
{
    uint32_t shift;

    if (d < 2u << MANTISSA)
        return d;
    shift = 31 - (uint32_t)__builtin_clz(d) - MANTISSA;
    return (shift << MANTISSA) + (d >> shift);
}

/* Sorts rows by value; false where there are more than SLOTS different values. */
static bool rank_rows(struct slots *s, struct tally *y, const uint32_t *x, size_t n)
{
    uint64_t *key = dune_work_alloc(n, sizeof(*key)), *tmp = dune_work_alloc(n, sizeof(*tmp));
    size_t different = 1;

    for (size_t i = 0; i < n; i++)
        key[i] = (uint64_t)x[i] << 32 | i;
    dune_sort_u64(key, tmp, n, UINT64_C(0xffffffff) << 32);
    for (size_t i = 1; i < n; i++)
        different += key[i] >> 32 != key[i - 1] >> 32;
    if (different <= SLOTS && y) {
        s->n = 0;
        s->value = dune_work_alloc(different, sizeof(*s->value));
        s->slot = dune_work_alloc(n, sizeof(*s->slot));
        y->count = dune_work_zalloc(different, sizeof(*y->count));
        for (size_t i = 0; i < n; i++) {
            if (!i || key[i] >> 32 != key[i - 1] >> 32)
                s->value[s->n++] = (uint32_t)(key[i] >> 32);
            s->slot[(uint32_t)key[i]] = (uint16_t)(s->n - 1);
            y->count[s->n - 1]++;
        }
    }
    dune_work_free(key);
    dune_work_free(tmp);
    return different <= SLOTS;
}

/* Looks at some rows before it sorts all of them. */
static bool try_ranks(struct slots *s, struct tally *y, const uint32_t *x, size_t n)
{
    size_t some = 2 * SLOTS;

    return (n < 2 * some || rank_rows(s, NULL, x, some)) && rank_rows(s, y, x, n);
}

/* Neighbouring rows often have the same value, and an addition waits for the one before it in the same place: so
 * they take turns in several tables, as long as these stay in the nearest cache. */
static void count_direct(const struct slots *s, struct tally *y, const uint32_t *x, size_t n)
{
    const size_t turns = s->n <= NEAR_SLOTS ? 4 : 1, m = s->n;
    size_t i = 0;

    y->count = dune_work_zalloc(m * turns, sizeof(*y->count));
    for (; turns > 1 && i + 4 <= n; i += 4) {
        y->count[x[i] - s->base]++;
        y->count[m + x[i + 1] - s->base]++;
        y->count[2 * m + x[i + 2] - s->base]++;
        y->count[3 * m + x[i + 3] - s->base]++;
    }
    for (; i < n; i++)
        y->count[x[i] - s->base]++;
    for (const uint32_t *more = y->count + m; more < y->count + m * turns; more += m)
        for (size_t v = 0; v < m; v++)
            y->count[v] += more[v];
}

static void count_slots(struct slots *s, struct tally *y, const uint32_t *x, size_t n)
{
    uint32_t lo = x[0], hi = x[0];

    for (size_t i = 1; i < n; i++) {
        lo = DUNE_MIN(lo, x[i]);
        hi = DUNE_MAX(hi, x[i]);
    }
    s->base = lo;
    s->kind = hi - lo < SLOTS ? DIRECT : RANKED;
    if (s->kind == DIRECT) {
        s->n = hi - lo + 1;
        count_direct(s, y, x, n);
    } else if (!try_ranks(s, y, x, n)) {
        s->kind = LEADING;
        s->n = leading(hi - lo) + 1;
        y->count = dune_work_zalloc(s->n, sizeof(*y->count));
        y->lo = dune_work_alloc(s->n, sizeof(*y->lo));
        y->hi = dune_work_zalloc(s->n, sizeof(*y->hi));
        memset(y->lo, 0xff, s->n * sizeof(*y->lo));
        for (size_t i = 0; i < n; i++) {
            uint32_t k = leading(x[i] - lo);

            y->count[k]++;
            y->lo[k] = DUNE_MIN(y->lo[k], x[i]);
            y->hi[k] = DUNE_MAX(y->hi[k], x[i]);
        }
    }
    s->code = dune_work_alloc(s->n, sizeof(*s->code));
}

/* Few of many slots have rows: pairs without any are passed at once. */
static void list_slots(struct tally *y, uint32_t n)
{
    uint32_t v = 0;

    y->used = dune_work_alloc((size_t)n + 2, sizeof(*y->used)); /* the last pair writes ahead */
    for (; v + 2 <= n; v += 2) {
        uint64_t pair;

        memcpy(&pair, y->count + v, sizeof(pair));
        if (!pair)
            continue;
        y->used[y->n_used] = v;
        y->n_used += y->count[v] > 0;
        y->used[y->n_used] = v + 1;
        y->n_used += y->count[v + 1] > 0;
    }
    if (v < n && y->count[v])
        y->used[y->n_used++] = v;
}

static uint32_t value_of(const struct slots *s, const struct tally *y, uint32_t slot)
{
    if (s->kind == DIRECT)
        return s->base + slot;
    return s->kind == RANKED ? s->value[slot] : y->lo[slot];
}

/* One bin, the used slots from..to-1: numbers them within the bin. */
static void number_slots(struct slots *s, const struct tally *y, struct dune_coded *k, uint32_t from, uint32_t to)
{
    uint32_t bin = k->n_bins++, n = to - from;

    k->multi[bin] = n > 1;
    k->exact &= n <= PER_BIN;
    k->first[bin] = from;
    for (uint32_t i = from; i < to; i++) {
        uint32_t v = y->used[i], at = i - from;

        s->code[v] = (uint16_t)(bin << 8 | (n <= PER_BIN ? at : at * PER_BIN / n));
        k->value[i] = value_of(s, y, v);
        if (s->kind == LEADING && y->lo[v] != y->hi[v]) {
            k->multi[bin] = 1;
            k->exact = false;
        }
    }
}

/*
 * Slots with rows become bins of about equally many rows, and of at most 256 values each as long as that
 * leaves room for the rest; with few slots, one bin each.
 */
static void cut_slots(struct slots *s, const struct tally *y, struct dune_coded *k, size_t n, uint32_t bins)
{
    size_t rows_left = n, in_bin = 0;
    uint32_t from = 0;
    bool few = y->n_used <= bins;

    *k = (struct dune_coded){.exact = true};
    k->value = dune_mem_alloc(y->n_used, sizeof(*k->value));
    for (uint32_t i = 0; i < y->n_used; i++) {
        uint32_t add = y->count[y->used[i]], left = y->n_used - i;
        uint32_t bins_left = bins - k->n_bins; /* with the one being filled */
        bool full = few || i - from == PER_BIN || in_bin + add / 2 > rows_left / bins_left;

        if (i > from && bins_left > 1 && full && (i - from == PER_BIN || left <= (bins_left - 1) * PER_BIN)) {
            number_slots(s, y, k, from, i);
            rows_left -= in_bin;
            in_bin = 0;
            from = i;
        }
        in_bin += add;
    }
    number_slots(s, y, k, from, y->n_used);
    if (!k->exact) {
        dune_mem_free(k->value);
        k->value = NULL;
    }
}

static void plan_column(struct encoder *e, size_t i)
{
    struct tally y = {0};

    count_slots(&e->slots[i], &y, e->t->col[i], e->t->n_rows);
    list_slots(&y, e->slots[i].n);
    cut_slots(&e->slots[i], &y, &e->codes->col[i], e->t->n_rows, e->max_bins);
    dune_work_free(y.count);
    dune_work_free(y.used);
    dune_work_free(y.lo);
    dune_work_free(y.hi);
}

static void encode_rows(const struct encoder *e, uint32_t c, size_t from, size_t to)
{
    const struct slots *s = &e->slots[c];
    const uint32_t *x = e->t->col[c];
    uint16_t *out = e->codes->code + c * e->codes->col_step;
    size_t step = e->codes->row_step;

    if (s->kind == DIRECT)
        for (size_t r = from; r < to; r++)
            out[r * step] = s->code[x[r] - s->base];
    else if (s->kind == RANKED)
        for (size_t r = from; r < to; r++)
            out[r * step] = s->code[s->slot[r]];
    else
        for (size_t r = from; r < to; r++)
            out[r * step] = s->code[leading(x[r] - s->base)];
}

static void free_slots(struct slots *s)
{
    dune_work_free(s->code);
    dune_work_free(s->value);
    dune_work_free(s->slot);
    *s = (struct slots){0};
}

/* By column: the values are still in a cache when they become codes, and the next column gets the same memory. */
static void encode_column(void *ctx, size_t c)
{
    struct encoder *e = ctx;

    plan_column(e, c);
    if (e->codes->row_step > 1)
        return;
    encode_rows(e, (uint32_t)c, 0, e->t->n_rows);
    free_slots(&e->slots[c]);
}

/* By row: all columns of a block. */
static void encode_block(void *ctx, size_t b)
{
    struct encoder *e = ctx;

    for (uint32_t c = 0; c < e->t->n_cols; c++)
        encode_rows(e, c, b * BLOCK, DUNE_MIN(e->t->n_rows, (b + 1) * BLOCK));
}

void dune_codes_make(struct dune_codes *c, const struct dune_table *t, uint32_t max_bins, bool by_column, unsigned threads)
{
    struct encoder e = {.codes = c, .t = t, .max_bins = max_bins};

    c->n_cols = t->n_cols;
    c->row_step = by_column ? 1 : (t->n_cols + 3) / 4 * 4;
    c->col_step = by_column ? t->n_rows : 1;
    c->code = dune_work_alloc(t->n_rows, (by_column ? t->n_cols : c->row_step) * sizeof(*c->code));
    c->col = DUNE_NEW_N(struct dune_coded, t->n_cols);
    e.slots = DUNE_NEW_N(struct slots, t->n_cols);
    dune_parallel_for(threads, t->n_cols, encode_column, &e);
    if (c->row_step > 1)
        dune_parallel_for(threads, (t->n_rows + BLOCK - 1) / BLOCK, encode_block, &e);
    for (uint32_t i = 0; i < t->n_cols; i++)
        free_slots(&e.slots[i]);
    dune_mem_free(e.slots);
}

void dune_codes_fini(struct dune_codes *c)
{
    for (uint32_t i = 0; i < c->n_cols; i++)
        dune_mem_free(c->col[i].value);
    dune_work_free(c->code);
    dune_mem_free(c->col);
}
