/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The best cut of a node by histograms over bins, still exact.
 *
 * The score of a cut, sum L_c^2 / L + sum R_c^2 / R, is first computed at the edges of the bins. A cut
 * inside a bin can be better only if the bin holds several values and several classes (the score is
 * convex in the class weights, so along one class the ends are best) and an upper bound over all ways
 * to divide the bin's weights reaches the best score so far. Only the rows of such bins are sorted.
 *
 * Sums are doubles holding whole numbers below 2^52; a cut that is about to win, or to tie, is
 * recomputed in whole numbers, so rounding never decides.
 */
#include "forest/bins_int.h"

#include <endian.h>
#include <math.h>
#include <string.h>

/* Vectors stay inside this file, always inlined: there is no call whose ABI could differ. */
#pragma GCC diagnostic ignored "-Wpsabi"
typedef double v4d __attribute__((vector_size(32), aligned(8)));
typedef uint64_t v4u __attribute__((vector_size(32), aligned(8)));

enum { BINS = DUNE_BINS, GATHER = 16 };
/* Relative slack of every bound: far above the rounding of sums over thousands of classes. */
#define SLACK 1e-10

struct column { /* what is known about one searched column */
    uint32_t col;
    const struct dune_coded *coded;
    const uint16_t *code; /* of row r: code[r * step of the codes] */
    const uint16_t *gathered; /* the same in the order of the node's rows, or NULL */
    const uint64_t *hist; /* [bin][stride] */
    uint32_t n_seen;
    uint8_t seen[BINS]; /* bins with rows in the node, ascending */
    double weight[BINS];    /* weight up to and including seen bin i */
    double lterm[BINS], rterm[BINS]; /* sum L_c^2 / L and sum R_c^2 / R at its upper edge */
};
struct dune_bin_search {
    const struct dune_grow_job *job;
    uint64_t *key, *tmp;
    struct column *column;      /* [n_cols] */
    struct dune_bin_hist fresh; /* of the node being searched; zero in between */
    uint16_t *local_of;         /* [n_classes] */
    uint16_t *class_of;         /* of the node's histograms */
    uint32_t n_local, stride;
    double squares;             /* of the node's class weights */
    v4d *all, *left;            /* [stride / 4] class weights of the node, and left of a place */
    uint64_t *exact;            /* [3][n_local] */
    uint16_t *gathered;         /* codes of the node's rows, column after column */
    uint32_t n_gathered;        /* columns in it now */
    uint32_t room;              /* columns it is for, all rows of the tree; 0: none */
    bool avx2;
};

struct dune_bin_search *dune_bin_search_new(const struct dune_grow_job *job, uint64_t *key, uint64_t *tmp, size_t n_items,
                                            uint32_t want)
{
    struct dune_bin_search *s = DUNE_NEW(struct dune_bin_search);
    size_t vectors = (job->n_classes + 3) / 4;

    s->job = job;
    s->key = key;
    s->tmp = tmp;
    s->column = dune_mem_alloc(job->n_cols, sizeof(*s->column));
    dune_bin_hist_init(&s->fresh, job);
    s->local_of = DUNE_NEW_N(uint16_t, job->n_classes);
    s->all = dune_mem_alloc(vectors, sizeof(v4d));
    s->left = dune_mem_alloc(vectors, sizeof(v4d));
    s->exact = DUNE_NEW_N(uint64_t, 3 * job->n_classes);
    s->room = job->codes.row_step > 1 && want < job->n_cols && want <= GATHER ? want : 0;
    s->gathered = s->room ? dune_work_alloc(n_items, s->room * sizeof(*s->gathered)) : NULL;
#ifdef __x86_64__
    s->avx2 = __builtin_cpu_supports("avx2");
#endif
    return s;
}

void dune_bin_search_free(struct dune_bin_search *s)
{
    if (!s)
        return;
    dune_mem_free(s->column);
    dune_bin_hist_fini(&s->fresh);
    dune_mem_free(s->local_of);
    dune_mem_free(s->all);
    dune_mem_free(s->left);
    dune_mem_free(s->exact);
    dune_work_free(s->gathered);
    dune_mem_free(s);
}

/* --- histograms ------------------------------------------------------------------------------------- */
static void set_local(struct dune_bin_search *s, const struct dune_part *p, const struct dune_bin_hist *h)
{
    double *all = (double *)s->all;

    s->squares = (double)p->squares;
    s->n_local = h->n_local;
    s->stride = h->stride;
    s->class_of = h->class_of;
    for (uint32_t c = 0; c < h->stride; c++) {
        all[c] = c < h->n_local ? (double)p->hist[h->class_of[c]] : 0;
        if (c < h->n_local)
            s->local_of[h->class_of[c]] = (uint16_t)c;
    }
    for (size_t i = 0; i < p->n; i++)
        p->item[i].local = s->local_of[p->item[i].cls];
}

/* Bins without rows are left out; in a difference of histograms the flags are those of the parent. */
static void set_column(struct dune_bin_search *s, const struct dune_part *p, const struct dune_bin_hist *h, uint32_t i,
                       bool kept)
{
    const struct dune_codes *codes = &s->job->codes;
    const uint8_t *has = h->has + (size_t)i * BINS;
    struct column *k = &s->column[i];

    k->col = h->col[i];
    k->coded = &codes->col[s->job->code_col[k->col]];
    k->code = dune_codes_column(codes, s->job->code_col[k->col]);
    k->gathered = s->n_gathered ? s->gathered + i * p->n : NULL;
    k->hist = h->data + h->offset[i];
    k->n_seen = 0;
    for (uint32_t b = 0; b < k->coded->n_bins; b += 8) { /* eight flags at a time, most are 0 */
        uint64_t flags;

        memcpy(&flags, has + b, 8);
        for (flags = le64toh(flags); flags; flags &= flags - 1) {
            uint32_t bin = b + (uint32_t)__builtin_ctzll(flags) / 8;

            if (!kept || dune_bin_has_rows(k->hist + (size_t)bin * s->stride, s->stride))
                k->seen[k->n_seen++] = (uint8_t)bin;
        }
    }
}

/* Leaves the histograms zero for the next node. */
static void clear(struct dune_bin_search *s, uint32_t n)
{
    const v4u zero = {0};

    for (uint32_t c = 0; c < n; c++) {
        const struct column *k = &s->column[c];
        uint64_t *data = s->fresh.data + s->fresh.offset[c];

        for (uint32_t i = 0; i < k->n_seen; i++)
            for (uint32_t j = 0; j < s->stride; j += 4) /* too short for memset */
                *(v4u *)(void *)(data + (size_t)k->seen[i] * s->stride + j) = zero;
    }
}

/* --- edges ------------------------------------------------------------------------------------------ */
/* Whole numbers below 2^52 to doubles by their bits: vector units before AVX-512 have no such step. */
static inline __attribute__((always_inline)) v4d to_doubles(const uint64_t *h)
{
    const uint64_t magic = UINT64_C(0x4330000000000000);
    v4u u = *(const v4u *)(const void *)h | magic;
    v4d d = (v4d)u;

    return d - 0x1p52;
}

#define SUM4(v) (((v)[0] + (v)[1]) + ((v)[2] + (v)[3]))

static inline __attribute__((always_inline)) void scan_body(struct dune_bin_search *s, struct column *k,
                                                            double all)
{
    uint32_t vectors = s->stride / 4, i;

    for (uint32_t j = 0; j < vectors; j++)
        s->left[j] = (v4d){0};
    for (i = 0; i < k->n_seen; i++) {
        const uint64_t *h = k->hist + (size_t)k->seen[i] * s->stride;
        v4d lw = {0}, ls = {0}, rs = {0};

        for (uint32_t j = 0; j < vectors; j++) {
            v4d l = s->left[j] + to_doubles(h + 4 * (size_t)j), r = s->all[j] - l;

            s->left[j] = l;
            lw += l;
            ls += l * l;
            rs += r * r;
        }
        k->weight[i] = SUM4(lw);
        k->lterm[i] = SUM4(ls);
        k->rterm[i] = SUM4(rs);
    }
    k->rterm[i - 1] = 0;
    k->weight[i - 1] = 0; /* so that the last division is harmless */
    for (uint32_t j = i; j % 4; j++) {
        k->weight[j] = 1;
        k->lterm[j] = k->rterm[j] = 0;
    }
    for (uint32_t j = 0; j < i; j += 4) { /* four divisions at a time */
        v4d w = *(const v4d *)(k->weight + j);

        *(v4d *)(k->rterm + j) /= all - w;
        *(v4d *)(k->lterm + j) /= w;
    }
    k->weight[i - 1] = all;
    k->lterm[i - 1] = s->squares / all;
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static void scan_avx2(struct dune_bin_search *s, struct column *k, double all)
{
    scan_body(s, k, all);
}
#endif

static void scan(struct dune_bin_search *s, struct column *k, double all)
{
#ifdef __x86_64__
    if (s->avx2) {
        scan_avx2(s, k, all);
        return;
    }
#endif
    scan_body(s, k, all);
}

static void finish_cut(struct dune_cut *c, const uint64_t *left, const uint64_t *right, uint32_t n)
{
    for (uint32_t j = 0; j < n; j++) {
        c->lw += left[j];
        c->rw += right[j];
        c->ls += (dune_u128)left[j] * left[j];
        c->rs += (dune_u128)right[j] * right[j];
    }
    c->score = dune_cut_score(c->lw, c->ls, c->rw, c->rs);
}

/* Class weights left and right of seen bin i's lower edge, in whole numbers. */
static void exact_before(struct dune_bin_search *s, const struct dune_part *p, const struct column *k,
                         uint32_t i, uint64_t **left, uint64_t **right)
{
    *left = s->exact;
    *right = s->exact + s->n_local;
    memset(*left, 0, s->n_local * sizeof(**left));
    for (uint32_t m = 0; m < i; m++)
        for (uint32_t j = 0; j < s->n_local; j++)
            (*left)[j] += k->hist[(size_t)k->seen[m] * s->stride + j];
    for (uint32_t j = 0; j < s->n_local; j++)
        (*right)[j] = p->hist[s->class_of[j]] - (*left)[j];
}

static bool edge_allowed(const struct dune_bin_search *s, const struct column *k, uint32_t i, double all)
{
    double least = (double)s->job->cfg->min_leaf_weight;

    return k->weight[i] >= least && all - k->weight[i] >= least;
}

static void try_edge(struct dune_bin_search *s, const struct dune_part *p, const struct column *k, uint32_t i,
                     struct dune_cut *best)
{
    struct dune_cut c = {.feat = (int32_t)k->col, .edge = k->seen[i] << 8 | 255,
                         .pos = (uint64_t)k->seen[i] << 33 | UINT64_C(1) << 32};
    uint64_t *left, *right;

    exact_before(s, p, k, i + 1, &left, &right);
    finish_cut(&c, left, right, s->n_local);
    if (dune_cut_better(&c, best))
        *best = c;
}

/* The best edge of a column; only those that floating point cannot tell from the best are exact. */
static bool search_edges(struct dune_bin_search *s, const struct dune_part *p, struct column *k,
                         struct dune_cut *best)
{
    double all = (double)p->all, top = 0;
    bool found = false;

    for (uint32_t i = 0; i + 1 < k->n_seen; i++)
        if (edge_allowed(s, k, i, all)) {
            top = DUNE_MAX(top, k->lterm[i] + k->rterm[i]);
            found = true;
        }
    if (!found || top < best->score * (1 - SLACK))
        return found;
    for (uint32_t i = 0; i + 1 < k->n_seen; i++) {
        if (k->lterm[i] + k->rterm[i] >= top * (1 - SLACK) && edge_allowed(s, k, i, all))
            try_edge(s, p, k, i, best);
    }
    return found;
}

/* --- inside bins ------------------------------------------------------------------------------------ */
/*
 * Upper bounds of the score when any x, 0 <= x_c <= b_c, of the bin goes left. L, R: class weights left
 * and right of the bin, l and r their sums, B the bin's sum.
 *
 * Taking the bin apart into classes of their own only helps: score <= S_L/l + S_R/r + B.
 * With R' = R + b, r' = r + B, x_c^2 <= x_c b_c and 1/(l + X) <= 1/l - X/(l (l + B)), from the lower edge:
 *   score <= S_L/l + S_R'/r' + sum b_c max(0, (2L_c + b_c)/l - (2R'_c - b_c)/r' - S_L/(l (l+B)) + S_R'/(r' r))
 * and from the upper edge, with L' = L + b, l' = l + B:
 *   score <= S_L'/l' + S_R/r + sum b_c max(0, (2R_c + b_c)/r - (2L'_c - b_c)/l' - S_R/(r (r+B)) + S_L'/(l' l))
 * where 2R'_c - b_c = 2R_c + b_c and 2L'_c - b_c = 2L_c + b_c.
 */
struct around { /* a bin and what lies beside it */
    double l, r, weight;       /* L, R, B */
    double sl, sr, sl_in, sr_in; /* S_L/l, S_R/r, S_L'/l', S_R'/r' */
};

/* The smaller of the two bounds. */
static inline __attribute__((always_inline)) double bound(const struct dune_bin_search *s, const uint64_t *h,
                                                          const struct around *a)
{
    double l2 = a->l + a->weight, r2 = a->r + a->weight;
    v4d il = (v4d){0} + 1 / a->l, ir = (v4d){0} + 1 / a->r, il2 = (v4d){0} + 1 / l2, ir2 = (v4d){0} + 1 / r2;
    v4d up = (v4d){0} + (a->sr_in / a->r - a->sl / l2), down = (v4d){0} + (a->sl_in / a->l - a->sr / r2);
    v4d sum1 = {0}, sum2 = {0}, zero = {0};

    for (uint32_t j = 0; j < s->stride / 4; j++) {
        v4d b = to_doubles(h + 4 * (size_t)j), p = 2 * s->left[j] + b, q = 2 * (s->all[j] - s->left[j]) - b;
        v4d t1 = p * il - q * ir2 + up, t2 = q * ir - p * il2 + down;

        t1 = (v4d)((v4u)t1 & (v4u)(t1 > zero));
        t2 = (v4d)((v4u)t2 & (v4u)(t2 > zero));
        sum1 += b * t1;
        sum2 += b * t2;
    }
    return DUNE_MIN(a->sl + a->sr_in + SUM4(sum1), a->sl_in + a->sr + SUM4(sum2));
}

static uint32_t count_classes(const uint64_t *h, uint32_t n)
{
    uint32_t classes = 0;

    for (uint32_t j = 0; j < n; j++)
        classes += h[j] > 0;
    return classes;
}

/* Whether the bin's weights could be divided better than *best; s->left: class weights before it. */
static inline __attribute__((always_inline)) bool worth_opening(const struct dune_bin_search *s,
                                                                const struct column *k, uint32_t i, double all,
                                                                const struct dune_cut *best)
{
    const uint64_t *h = k->hist + (size_t)k->seen[i] * s->stride;
    double least = (double)s->job->cfg->min_leaf_weight, goal = best->score * (1 - SLACK);
    double before = i ? k->weight[i - 1] : 0, after = all - k->weight[i];
    struct around a = {.l = before, .r = after, .weight = k->weight[i] - before, .sl = i ? k->lterm[i - 1] : 0,
                       .sr = k->rterm[i], .sl_in = k->lterm[i], .sr_in = i ? k->rterm[i - 1] : s->squares / all};

    if (!k->coded->multi[k->seen[i]] || k->weight[i] < least || all - before < least ||
        a.sl + a.sr + a.weight < goal)
        return false;
    if (best->feat >= 0 && i && i + 1 < k->n_seen && bound(s, h, &a) < goal)
        return false;
    /* Along a single class the score is convex: the ends are better, where they are allowed. */
    return (i && before < least) || (i + 1 < k->n_seen && after < least) || count_classes(h, s->n_local) > 1;
}

static inline __attribute__((always_inline)) uint32_t mark_body(struct dune_bin_search *s, const struct column *k,
                                                                double all, const struct dune_cut *best,
                                                                uint8_t *open)
{
    uint32_t n = 0;

    for (uint32_t j = 0; j < s->stride / 4; j++)
        s->left[j] = (v4d){0};
    for (uint32_t i = 0; i < k->n_seen; i++) {
        const uint64_t *h = k->hist + (size_t)k->seen[i] * s->stride;
        bool yes = worth_opening(s, k, i, all, best);

        open[k->seen[i]] = yes;
        n += yes;
        for (uint32_t j = 0; j < s->stride / 4; j++)
            s->left[j] += to_doubles(h + 4 * (size_t)j);
    }
    return n;
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static uint32_t mark_avx2(struct dune_bin_search *s, const struct column *k,
                                                          double all, const struct dune_cut *best, uint8_t *open)
{
    return mark_body(s, k, all, best, open);
}
#endif

/* Marks the seen bins to open; returns how many. */
static uint32_t mark_bins(struct dune_bin_search *s, const struct column *k, double all,
                          const struct dune_cut *best, uint8_t open[BINS])
{
    memset(open, 0, BINS);
#ifdef __x86_64__
    if (s->avx2)
        return mark_avx2(s, k, all, best, open);
#endif
    return mark_body(s, k, all, best, open);
}

/* Cheap test of a whole column before its bins are looked at one by one. */
static bool worth_marking(const struct column *k, const struct dune_cut *best)
{
    double goal = best->score * (1 - SLACK);

    for (uint32_t i = 0; i < k->n_seen; i++) {
        double weight = k->weight[i] - (i ? k->weight[i - 1] : 0);

        if (k->coded->multi[k->seen[i]] &&
            (i ? k->lterm[i - 1] : 0) + k->rterm[i] + weight >= goal)
            return true;
    }
    return false;
}

static double approx(dune_u128 squares, int shift)
{
    return (double)(int64_t)(squares >> shift);
}

/* The values inside the sorted rows of one bin; before: class weights left of it. */
static bool search_values(struct dune_bin_search *s, const struct dune_part *p, const struct column *k,
                          const uint64_t *key, size_t n, uint8_t bin, const uint64_t *before,
                          struct dune_cut *best)
{
    uint64_t *left = s->exact, *right = s->exact + s->n_local;
    uint64_t least = s->job->cfg->min_leaf_weight;
    struct dune_cut c = {.feat = (int32_t)k->col, .edge = -1};
    /* Squares in units of 2^shift fit 62 bits: cheap to convert, and wrong by less than one unit. */
    int shift = DUNE_MAX(66 - 2 * __builtin_clzll(p->all), 0);
    double unit = ldexp(1, shift), slack = 2 * (double)p->all, goal = best->score * (1 - SLACK) / unit;
    bool found = false;

    for (uint32_t j = 0; j < s->n_local; j++) {
        left[j] = before[j];
        right[j] = p->hist[s->class_of[j]] - before[j];
    }
    finish_cut(&c, left, right, s->n_local);
    for (size_t i = 0; i + 1 < n; i++) {
        const struct dune_item *it = &p->item[(uint32_t)key[i]];
        uint32_t a = (uint32_t)(key[i] >> 32), b = (uint32_t)(key[i + 1] >> 32);

        c.ls += (dune_u128)it->w * (2 * left[it->local] + it->w);
        c.rs -= (dune_u128)it->w * (2 * right[it->local] - it->w);
        left[it->local] += it->w;
        right[it->local] -= it->w;
        c.lw += it->w;
        c.rw -= it->w;
        if (a == b || c.lw < least || c.rw < least)
            continue;
        found = true;
        if (approx(c.ls, shift) * (double)c.rw + approx(c.rs, shift) * (double)c.lw + slack <
            goal * (double)c.lw * (double)c.rw)
            continue;
        c.score = dune_cut_score(c.lw, c.ls, c.rw, c.rs);
        c.edge = k->coded->exact ? (int32_t)a : -1;
        c.threshold = a + (b - a) / 2; /* means nothing where a and b are codes */
        c.pos = (uint64_t)bin << 33 | a;
        if (dune_cut_better(&c, best)) {
            *best = c;
            goal = best->score * (1 - SLACK) / unit;
        }
    }
    return found;
}

static inline uint32_t code_at(const struct column *k, const struct dune_part *p, size_t i, size_t step)
{
    return k->gathered ? k->gathered[i] : k->code[p->item[i].row * step];
}

/* Rows of the opened bins, sorted by value: by code where that says the same. */
static size_t sort_open(struct dune_bin_search *s, const struct dune_part *p, const struct column *k,
                        const uint8_t *open)
{
    size_t n = 0, step = s->job->codes.row_step;

    for (size_t i = 0; i < p->n && k->gathered && k->coded->exact; i++) { /* without unpredictable branches */
        s->key[n] = (uint64_t)k->gathered[i] << 32 | i;
        n += open[k->gathered[i] >> 8];
    }
    for (size_t i = 0; i < p->n && !(k->gathered && k->coded->exact); i++) {
        uint32_t code = code_at(k, p, i, step);

        if (!k->gathered && i + DUNE_AHEAD < p->n)
            __builtin_prefetch(k->code + p->item[i + DUNE_AHEAD].row * step);
        if (open[code >> 8])
            s->key[n++] = (uint64_t)(k->coded->exact ? code : dune_value(s->job, k->col, p->item[i].row)) << 32 | i;
    }
    dune_sort_u64(s->key, s->tmp, n, UINT64_C(0xffffffff) << 32);
    return n;
}

static bool search_inside(struct dune_bin_search *s, const struct dune_part *p, const struct column *k,
                          struct dune_cut *best)
{
    size_t n, from = 0, step = s->job->codes.row_step;
    uint64_t *before = s->exact + 2 * s->n_local; /* class weights left of the bin */
    uint8_t open[BINS];
    bool found = false;

    if (!worth_marking(k, best) || !mark_bins(s, k, (double)p->all, best, open))
        return false;
    n = sort_open(s, p, k, open);
    memset(before, 0, s->n_local * sizeof(*before));
    for (uint32_t i = 0; i < k->n_seen && from < n; i++) {
        size_t to = from;

        if (open[k->seen[i]]) {
            while (to < n && code_at(k, p, (uint32_t)s->key[to], step) >> 8 == k->seen[i])
                to++;
            if (s->key[from] >> 32 != s->key[to - 1] >> 32)
                found |= search_values(s, p, k, s->key + from, to - from, k->seen[i], before, best);
            from = to;
        }
        for (uint32_t j = 0; j < s->n_local; j++)
            before[j] += k->hist[(size_t)k->seen[i] * s->stride + j];
    }
    return found;
}

/* The node's histograms: those it was given, or counted. */
static struct dune_bin_hist *histograms(struct dune_bin_search *s, const struct dune_part *p, const uint32_t *col,
                                        uint32_t n)
{
    struct dune_bin_hist *h = p->kept ? *p->kept : NULL;

    s->n_gathered = 0;
    if (h) {
        set_local(s, p, h);
        return h;
    }
    h = &s->fresh;
    dune_bin_hist_plan(h, s->job, p, col, n);
    set_local(s, p, h);
    s->n_gathered = s->job->codes.row_step > 1 && h->n_cols <= s->room && !dune_bin_hist_dealt(s->job, p->n) ? h->n_cols : 0;
    dune_bin_hist_count(h, s->job, p->item, p->n, s->n_gathered ? s->gathered : NULL);
    if (p->kept && dune_bin_hist_pays(h, p->n, p->n_tree)) { /* hands them over, begins new ones */
        *p->kept = dune_mem_alloc(1, sizeof(*h));
        **p->kept = *h;
        dune_bin_hist_init(h, s->job);
        h = *p->kept;
        s->class_of = h->class_of;
    }
    return h;
}

bool dune_search_bins(struct dune_bin_search *s, const struct dune_part *p, const uint32_t *col, uint32_t n,
                      struct dune_cut *best)
{
    struct dune_bin_hist *h = histograms(s, p, col, n);
    bool found = false;

    for (uint32_t i = 0; i < h->n_cols; i++) {
        struct column *k = &s->column[i];

        set_column(s, p, h, i, h != &s->fresh);
        if (k->n_seen == 1 && !k->coded->multi[k->seen[0]] && k->col < 64)
            *p->constant |= UINT64_C(1) << k->col;
        scan(s, k, (double)p->all);
        found |= search_edges(s, p, k, best);
    }
    for (uint32_t i = 0; i < h->n_cols; i++)
        found |= search_inside(s, p, &s->column[i], best);
    if (h == &s->fresh)
        clear(s, h->n_cols);
    return found;
}

const uint16_t *dune_bin_search_codes(const struct dune_bin_search *s, int32_t col)
{
    for (uint32_t i = 0; i < s->n_gathered; i++)
        if ((int32_t)s->column[i].col == col)
            return s->column[i].gathered;
    return NULL;
}
