/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Columns as ordered codes. Every value belongs to a slot, in ascending order: one slot per value where
 * the values span less than 65536 or are at most 65536 different ones; else slots are their leading bits.
 */
#include "forest/forest_int.h"

#include <string.h>

enum { SLOTS = 65536, MANTISSA = 11, PER_BIN = 256, BLOCK = 4096 };
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
    uint64_t *key = dune_mem_alloc(n, sizeof(*key)), *tmp = dune_mem_alloc(n, sizeof(*tmp));
    size_t different = 1;

    for (size_t i = 0; i < n; i++)
        key[i] = (uint64_t)x[i] << 32 | i;
    dune_sort_u64(key, tmp, n, UINT64_C(0xffffffff) << 32);
    for (size_t i = 1; i < n; i++)
        different += key[i] >> 32 != key[i - 1] >> 32;
    if (different <= SLOTS && y) {
        s->n = 0;
        s->value = dune_mem_alloc(different, sizeof(*s->value));
        s->slot = dune_mem_alloc(n, sizeof(*s->slot));
        y->count = DUNE_NEW_N(uint32_t, different);
        for (size_t i = 0; i < n; i++) {
            if (!i || key[i] >> 32 != key[i - 1] >> 32)
                s->value[s->n++] = (uint32_t)(key[i] >> 32);
            s->slot[(uint32_t)key[i]] = (uint16_t)(s->n - 1);
            y->count[s->n - 1]++;
        }
    }
    dune_mem_free(key);
    dune_mem_free(tmp);
    return different <= SLOTS;
}

/* Looks at some rows before it sorts all of them. */
static bool try_ranks(struct slots *s, struct tally *y, const uint32_t *x, size_t n)
{
    size_t some = 2 * SLOTS;

    return (n < 2 * some || rank_rows(s, NULL, x, some)) && rank_rows(s, y, x, n);
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
        y->count = DUNE_NEW_N(uint32_t, s->n);
        for (size_t i = 0; i < n; i++)
            y->count[x[i] - lo]++;
    } else if (!try_ranks(s, y, x, n)) {
        s->kind = LEADING;
        s->n = leading(hi - lo) + 1;
        y->count = DUNE_NEW_N(uint32_t, s->n);
        y->lo = dune_mem_alloc(s->n, sizeof(*y->lo));
        y->hi = DUNE_NEW_N(uint32_t, s->n);
        memset(y->lo, 0xff, s->n * sizeof(*y->lo));
        for (size_t i = 0; i < n; i++) {
            uint32_t k = leading(x[i] - lo);

            y->count[k]++;
            y->lo[k] = DUNE_MIN(y->lo[k], x[i]);
            y->hi[k] = DUNE_MAX(y->hi[k], x[i]);
        }
    }
    s->code = dune_mem_alloc(s->n, sizeof(*s->code));
}

static uint32_t value_of(const struct slots *s, const struct tally *y, uint32_t slot)
{
    if (s->kind == DIRECT)
        return s->base + slot;
    return s->kind == RANKED ? s->value[slot] : y->lo[slot];
}

/* One bin, slots from..to-1 of which used have rows: numbers them within the bin. */
static void number_slots(struct slots *s, const struct tally *y, struct dune_coded *k, uint32_t from,
                         uint32_t to, uint32_t used, uint32_t *n_values)
{
    uint32_t bin = k->n_bins++, i = 0;

    k->multi[bin] = used > 1;
    k->exact &= used <= PER_BIN;
    k->first[bin] = *n_values;
    for (; from < to; from++) {
        if (!y->count[from])
            continue;
        s->code[from] = (uint16_t)(bin << 8 | (used <= PER_BIN ? i : i * PER_BIN / used));
        i++;
        k->value[(*n_values)++] = value_of(s, y, from);
        if (s->kind == LEADING && y->lo[from] != y->hi[from]) {
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
    uint32_t left = 0, from = 0, used = 0, n_values = 0;
    bool few;

    *k = (struct dune_coded){.exact = true};
    for (uint32_t v = 0; v < s->n; v++)
        left += y->count[v] > 0;
    few = left <= bins;
    k->value = dune_mem_alloc(left, sizeof(*k->value));
    for (uint32_t v = 0; v < s->n; v++) {
        uint32_t add = y->count[v], bins_left = bins - k->n_bins; /* with the one being filled */
        bool full = few || used == PER_BIN || in_bin + add / 2 > rows_left / bins_left;

        if (!add)
            continue;
        if (used && bins_left > 1 && full && (used == PER_BIN || left <= (bins_left - 1) * PER_BIN)) {
            number_slots(s, y, k, from, v, used, &n_values);
            rows_left -= in_bin;
            in_bin = used = 0;
            from = v;
        }
        in_bin += add;
        used++;
        left--;
    }
    number_slots(s, y, k, from, s->n, used, &n_values);
    if (!k->exact) {
        dune_mem_free(k->value);
        k->value = NULL;
    }
}

static void plan_column(void *ctx, size_t i)
{
    struct encoder *e = ctx;
    struct tally y = {0};

    count_slots(&e->slots[i], &y, e->t->col[i], e->t->n_rows);
    cut_slots(&e->slots[i], &y, &e->codes->col[i], e->t->n_rows, e->max_bins);
    dune_mem_free(y.count);
    dune_mem_free(y.lo);
    dune_mem_free(y.hi);
}

static void encode_block(void *ctx, size_t b)
{
    struct encoder *e = ctx;
    size_t end = DUNE_MIN(e->t->n_rows, (b + 1) * BLOCK), step = e->codes->row_step;

    for (uint32_t c = 0; c < e->t->n_cols; c++) {
        const struct slots *s = &e->slots[c];
        const uint32_t *x = e->t->col[c];
        uint16_t *to = e->codes->code + c * e->codes->col_step;

        for (size_t r = b * BLOCK; r < end; r++) {
            uint32_t d = x[r] - s->base;

            to[r * step] = s->code[s->kind == DIRECT ? d : s->kind == RANKED ? s->slot[r] : leading(d)];
        }
    }
}

void dune_codes_make(struct dune_codes *c, const struct dune_table *t, uint32_t max_bins, bool by_column, unsigned threads)
{
    struct encoder e = {.codes = c, .t = t, .max_bins = max_bins};

    c->n_cols = t->n_cols;
    c->row_step = by_column ? 1 : (t->n_cols + 3) / 4 * 4;
    c->col_step = by_column ? t->n_rows : 1;
    c->code = dune_mem_alloc_big(t->n_rows, (by_column ? t->n_cols : c->row_step) * sizeof(*c->code));
    c->col = DUNE_NEW_N(struct dune_coded, t->n_cols);
    e.slots = DUNE_NEW_N(struct slots, t->n_cols);
    dune_parallel_for(threads, t->n_cols, plan_column, &e);
    dune_parallel_for(threads, (t->n_rows + BLOCK - 1) / BLOCK, encode_block, &e);
    for (uint32_t i = 0; i < t->n_cols; i++) {
        dune_mem_free(e.slots[i].code);
        dune_mem_free(e.slots[i].value);
        dune_mem_free(e.slots[i].slot);
    }
    dune_mem_free(e.slots);
}

void dune_codes_fini(struct dune_codes *c)
{
    for (uint32_t i = 0; i < c->n_cols; i++)
        dune_mem_free(c->col[i].value);
    dune_mem_free(c->code);
    dune_mem_free(c->col);
}
