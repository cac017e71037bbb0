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
#include <string.h>

/* Vectors stay inside this file, always inlined: there is no call whose ABI could differ. */
#pragma GCC diagnostic ignored "-Wpsabi"
typedef double v4d __attribute__((vector_size(32), aligned(8)));
typedef uint64_t v4u __attribute__((vector_size(32), aligned(8)));

enum { BINS = DUNE_BINS };
/* Relative slack of every bound: far above the rounding of sums over thousands of classes. */
#define SLACK 1e-10

struct column { /* what is known about one searched column */
    uint32_t col;
    const struct dune_coded *coded;
    const uint16_t *code; /* of row r: code[r * stride of the codes] */
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
    v4d *all, *left;            /* [stride / 4] class weights of the node, and left of a place */
    uint64_t *exact;            /* [3][n_local] */
    double *scratch;            /* [4][stride] */
    bool avx2;
};

struct dune_bin_search *dune_bin_search_new(const struct dune_grow_job *job, uint64_t *key, uint64_t *tmp)
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
    s->scratch = DUNE_NEW_N(double, 16 * vectors);
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
    dune_mem_free(s->scratch);
    dune_mem_free(s);
}

/* --- histograms ------------------------------------------------------------------------------------- */
static void set_local(struct dune_bin_search *s, const struct dune_part *p, const struct dune_bin_hist *h)
{
    double *all = (double *)s->all;

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
static bool is_empty(const struct column *k, uint32_t bin, uint32_t stride)
{
    const uint64_t *h = k->hist + (size_t)bin * stride;
    uint64_t any = 0;

    for (uint32_t j = 0; j < stride; j++)
        any |= h[j];
    return !any;
}

static void set_column(struct dune_bin_search *s, const struct dune_bin_hist *h, uint32_t i, bool kept)
{
    const struct dune_codes *codes = &s->job->codes;
    const uint8_t *has = h->has + (size_t)i * BINS;
    struct column *k = &s->column[i];

    k->col = h->col[i];
    k->coded = &codes->col[s->job->code_col[k->col]];
    k->code = codes->code + s->job->code_col[k->col];
    k->hist = h->data + h->offset[i];
    k->n_seen = 0;
    for (uint32_t b = 0; b < k->coded->n_bins; b += 8) { /* eight flags at a time, most are 0 */
        uint64_t flags;

        memcpy(&flags, has + b, 8);
        for (flags = le64toh(flags); flags; flags &= flags - 1) {
            uint32_t bin = b + (uint32_t)__builtin_ctzll(flags) / 8;

            if (!kept || !is_empty(k, bin, s->stride))
                k->seen[k->n_seen++] = (uint8_t)bin;
        }
    }
}

/* Leaves the histograms zero for the next node. */
static void clear(struct dune_bin_search *s, uint32_t n)
{
    for (uint32_t c = 0; c < n; c++) {
        const struct column *k = &s->column[c];
        uint64_t *data = s->fresh.data + s->fresh.offset[c];

        for (uint32_t i = 0; i < k->n_seen; i++)
            memset(data + (size_t)k->seen[i] * s->stride, 0, s->stride * sizeof(*data));
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
    uint32_t vectors = s->stride / 4;

    for (uint32_t j = 0; j < vectors; j++)
        s->left[j] = (v4d){0};
    for (uint32_t i = 0; i < k->n_seen; i++) {
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
        k->lterm[i] = SUM4(ls) / k->weight[i];
        k->rterm[i] = k->weight[i] < all ? SUM4(rs) / (all - k->weight[i]) : 0;
    }
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
        struct dune_cut c = {.feat = (int32_t)k->col, .edge = k->seen[i] << 8 | 255,
                             .pos = (uint64_t)k->seen[i] << 33 | UINT64_C(1) << 32};
        uint64_t *left, *right;

        if (k->lterm[i] + k->rterm[i] < top * (1 - SLACK) || !edge_allowed(s, k, i, all))
            continue;
        exact_before(s, p, k, i + 1, &left, &right);
        finish_cut(&c, left, right, s->n_local);
        if (dune_cut_better(&c, best))
            *best = c;
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
 * and likewise from the upper edge with the sides exchanged.
 */
static double bound_from(const double *near_l, const double *near_r, const double *b, uint32_t n, double l,
                         double r, double weight, double lterm, double rterm)
{
    double shift = rterm / (r - weight) - lterm / (l + weight), sum = lterm + rterm;

    for (uint32_t j = 0; j < n; j++) {
        double slope = (2 * near_l[j] + b[j]) / l - (2 * near_r[j] - b[j]) / r + shift;

        if (slope > 0)
            sum += b[j] * slope;
    }
    return sum;
}

/* Whether the bin's weights could be divided better than *best; left: class weights before it. */
static bool worth_opening(const struct dune_bin_search *s, const struct column *k, uint32_t i, double all,
                          const double *left, const struct dune_cut *best, double *scratch)
{
    const uint64_t *h = k->hist + (size_t)k->seen[i] * s->stride;
    double least = (double)s->job->cfg->min_leaf_weight, goal = best->score * (1 - SLACK);
    double before = i ? k->weight[i - 1] : 0, after = all - k->weight[i], weight = k->weight[i] - before;
    double *b = scratch, *far_l = scratch + s->stride, *near_r = scratch + 2 * s->stride;
    double *far_r = scratch + 3 * s->stride;
    uint32_t classes = 0;

    if (!k->coded->multi[k->seen[i]])
        return false;
    if (k->weight[i] < least || all - before < least)
        return false;
    if ((i ? k->lterm[i - 1] : 0) + k->rterm[i] + weight < goal)
        return false;
    for (uint32_t j = 0; j < s->n_local; j++) {
        b[j] = (double)h[j];
        classes += h[j] > 0;
        far_l[j] = left[j] + b[j];
        near_r[j] = ((const double *)s->all)[j] - left[j];
        far_r[j] = near_r[j] - b[j];
    }
    if (classes == 1 && (!i || before >= least) && (i + 1 == k->n_seen || after >= least))
        return false;
    if (best->feat < 0 || !i || i + 1 == k->n_seen)
        return true;
    return bound_from(left, near_r, b, s->n_local, before, all - before, weight, k->lterm[i - 1],
                      k->rterm[i - 1]) >= goal &&
           bound_from(far_r, far_l, b, s->n_local, after, k->weight[i], weight, k->rterm[i],
                      k->lterm[i]) >= goal;
}

/* Marks the seen bins to open; returns how many. */
static uint32_t mark_bins(struct dune_bin_search *s, const struct column *k, double all,
                          const struct dune_cut *best, uint8_t open[BINS])
{
    double *left = (double *)s->left;
    uint32_t n = 0;

    memset(open, 0, BINS);
    memset(left, 0, s->stride * sizeof(*left));
    for (uint32_t i = 0; i < k->n_seen; i++) {
        const uint64_t *h = k->hist + (size_t)k->seen[i] * s->stride;

        if (worth_opening(s, k, i, all, left, best, s->scratch)) {
            open[k->seen[i]] = 1;
            n++;
        }
        for (uint32_t j = 0; j < s->n_local; j++)
            left[j] += (double)h[j];
    }
    return n;
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

/* The values inside the sorted rows of one bin; before: class weights left of it. */
static bool search_values(struct dune_bin_search *s, const struct dune_part *p, const struct column *k,
                          const uint64_t *key, size_t n, uint8_t bin, const uint64_t *before,
                          struct dune_cut *best)
{
    uint64_t *left = s->exact, *right = s->exact + s->n_local;
    uint64_t least = s->job->cfg->min_leaf_weight;
    struct dune_cut c = {.feat = (int32_t)k->col, .edge = -1};
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
        c.score = dune_cut_score(c.lw, c.ls, c.rw, c.rs);
        if (c.score < best->score * (1 - DUNE_SCORE_EPS))
            continue;
        c.edge = k->coded->exact ? (int32_t)a : -1;
        c.threshold = a + (b - a) / 2; /* means nothing where a and b are codes */
        c.pos = (uint64_t)bin << 33 | a;
        if (dune_cut_better(&c, best))
            *best = c;
    }
    return found;
}

/* Rows of the opened bins, sorted by value: by code where that says the same. */
static size_t sort_open(struct dune_bin_search *s, const struct dune_part *p, const struct column *k,
                        const uint8_t *open)
{
    size_t n = 0, stride = s->job->codes.stride;

    for (size_t i = 0; i < p->n; i++) {
        uint32_t row = p->item[i].row, code = k->code[row * stride];

        if (i + DUNE_AHEAD < p->n)
            __builtin_prefetch(k->code + p->item[i + DUNE_AHEAD].row * stride);
        if (open[code >> 8])
            s->key[n++] = (uint64_t)(k->coded->exact ? code : dune_value(s->job, k->col, row)) << 32 | i;
    }
    dune_sort_u64(s->key, s->tmp, n, UINT64_C(0xffffffff) << 32);
    return n;
}

static bool search_inside(struct dune_bin_search *s, const struct dune_part *p, const struct column *k,
                          struct dune_cut *best)
{
    size_t n, from = 0, stride = s->job->codes.stride;
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
            while (to < n && k->code[p->item[(uint32_t)s->key[to]].row * stride] >> 8 == k->seen[i])
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

    if (h) {
        set_local(s, p, h);
        return h;
    }
    h = &s->fresh;
    dune_bin_hist_plan(h, s->job, p, col, n);
    set_local(s, p, h);
    dune_bin_hist_add(h, s->job, p->item, p->n);
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

        set_column(s, h, i, h != &s->fresh);
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
