/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders under the rule `first`, by sets. What a sub-model adds to the score depends only on which
 * sub-models stand before it, not on their order:
 *
 *   add[T][i]   weight that i claims, per class (and how much of it rightly), over the items whose claims
 *               are all within the set T, and one of them i's
 *   order a b c adds add[all][a] + add[all - a][b] + add[all - a - b][c]
 *
 * So one pass over the items fills add by exact set of claims, sums over subsets follow, and an order
 * costs n short sums, however many items there are.
 */
#include "submodels/submodels_int.h"

#include <string.h>

#include "base/base.h"
#include "dune/submodels.h"

enum { SLICES = 64 };

struct by_set {
    unsigned n;
    uint32_t n_cls;
    size_t width;     /* of add[set][i]: claimed, then rightly claimed, per class */
    uint64_t *add;    /* [2^n][n][width] */
    uint64_t *truth;  /* [n_cls] */
};

struct filling {
    const struct dune_space *s;
    const struct dune_item_answer *const *col;
    const uint8_t *mask;
    unsigned n_slices;
    struct by_set *part; /* [n_slices] */
};

static size_t n_words(const struct by_set *b)
{
    return ((size_t)b->n << b->n) * b->width;
}

static void init(struct by_set *b, unsigned n, uint32_t n_cls)
{
    *b = (struct by_set){.n = n, .n_cls = n_cls, .width = 2 * (size_t)n_cls};
    b->add = DUNE_NEW_N(uint64_t, n_words(b));
    b->truth = DUNE_NEW_N(uint64_t, n_cls);
}

static void fini(struct by_set *b)
{
    dune_mem_free(b->add);
    dune_mem_free(b->truth);
}

static void add_item(struct by_set *b, const struct filling *f, size_t item)
{
    uint16_t truth = f->s->item_cls[item];
    uint64_t w = f->s->item_w[item];
    unsigned set = 0;

    b->truth[truth] += w;
    for (unsigned i = 0; i < b->n; i++)
        set |= (unsigned)(f->col[i][item].claim && f->col[i][item].cls != DUNE_NO_CLASS) << i;
    for (unsigned left = set; left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctz(left);
        uint16_t said = f->col[i][item].cls;
        uint64_t *add = b->add + ((size_t)set * b->n + i) * b->width;

        if (said >= b->n_cls) /* a class that the data does not have is nobody's */
            continue;
        add[said] += w;
        add[b->n_cls + said] += said == truth ? w : 0;
    }
}

static void fill_slice(void *ctx, size_t k)
{
    const struct filling *f = ctx;
    size_t begin = f->s->n_items * k / f->n_slices, end = f->s->n_items * (k + 1) / f->n_slices;

    for (size_t item = begin; item < end; item++)
        if (!f->mask || f->mask[f->s->item_flow[item]])
            add_item(&f->part[k], f, item);
}

/* From exact sets to all sets within. */
static void sum_subsets(struct by_set *b)
{
    size_t words = (size_t)b->n * b->width;

    for (unsigned bit = 0; bit < b->n; bit++)
        for (size_t set = 0; set < (size_t)1 << b->n; set++)
            if (set >> bit & 1)
                for (size_t k = 0; k < words; k++)
                    b->add[set * words + k] += b->add[(set ^ (size_t)1 << bit) * words + k];
}

static void fill(struct by_set *b, const struct dune_space *s, const struct dune_item_answer *const *col, unsigned n,
                 const uint8_t *mask)
{
    unsigned threads = s->threads ? s->threads : 1;
    struct filling f = {.s = s, .col = col, .mask = mask, .n_slices = s->n_items < 4096 ? 1 : DUNE_MIN(threads, (unsigned)SLICES)};

    f.part = dune_mem_alloc(f.n_slices, sizeof(*f.part));
    for (unsigned k = 0; k < f.n_slices; k++)
        init(&f.part[k], n, s->n_classes);
    dune_parallel_for(threads, f.n_slices, fill_slice, &f);
    *b = f.part[0];
    for (unsigned k = 1; k < f.n_slices; k++) { /* whole numbers: the same sums on any number of threads */
        for (size_t i = 0; i < n_words(b); i++)
            b->add[i] += f.part[k].add[i];
        for (uint32_t c = 0; c < b->n_cls; c++)
            b->truth[c] += f.part[k].truth[c];
        fini(&f.part[k]);
    }
    dune_mem_free(f.part);
    sum_subsets(b);
}

/* Macro F1 as dune_f1_score computes it from the confusion. */
static double macro_f1(const struct by_set *b, const uint64_t *sum)
{
    double macro = 0;
    unsigned present = 0;

    for (uint32_t c = 0; c < b->n_cls; c++) {
        if (!b->truth[c])
            continue;
        present++;
        macro += (double)(2 * sum[b->n_cls + c]) / (double)(sum[c] + b->truth[c]);
    }
    return present ? macro / present : 0;
}

/* Every order, in lexicographic order: place by place, with the sums of what stands before. */
struct walk {
    const struct by_set *b;
    struct dune_order *out;
    double tie;
    uint32_t order[DUNE_ORDER_FIRST_MAX];
    uint64_t *sum; /* [n + 1][width] */
};

static void take(struct walk *w, double f1)
{
    if (f1 > w->out->objective + w->tie) {
        w->out->objective = f1;
        w->out->ties = 0;
        memcpy(w->out->order, w->order, w->b->n * sizeof(*w->order));
    }
    w->out->ties += f1 >= w->out->objective - w->tie;
}

static void place(struct walk *w, unsigned at, unsigned left)
{
    const struct by_set *b = w->b;
    uint64_t *now = w->sum + (size_t)(at + 1) * b->width;
    const uint64_t *before = w->sum + (size_t)at * b->width;

    if (!left) {
        take(w, macro_f1(b, before));
        return;
    }
    for (unsigned i = 0; i < b->n; i++) {
        const uint64_t *add = b->add + ((size_t)left * b->n + i) * b->width;

        if (!(left >> i & 1))
            continue;
        for (size_t k = 0; k < b->width; k++)
            now[k] = before[k] + add[k];
        w->order[at] = i;
        place(w, at + 1, left & ~(1u << i));
    }
}

void dune_order_first(struct dune_order *out, const struct dune_space *s, const struct dune_item_answer *const *col,
                      unsigned n, const uint8_t *mask, double tie)
{
    struct by_set b;
    struct walk w = {.b = &b, .out = out, .tie = tie};

    fill(&b, s, col, n, mask);
    w.sum = DUNE_NEW_N(uint64_t, (n + 1) * b.width);
    out->objective = -1;
    place(&w, 0, (1u << n) - 1);
    out->optimal = 1;
    dune_mem_free(w.sum);
    fini(&b);
}
