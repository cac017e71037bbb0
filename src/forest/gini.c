/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exact comparison of splits. Scores are compared in floating point first; only where they are too
 * close to tell, as whole numbers of up to seven 64-bit limbs. So the result does not depend on the
 * compiler or on the order in which sums were formed.
 */
#include "forest/forest_int.h"

#include <math.h>
#include <string.h>

static double to_double(dune_u128 x)
{
    return (double)(uint64_t)(x >> 64) * 0x1p64 + (double)(uint64_t)x;
}

double dune_cut_score(uint64_t lw, dune_u128 ls, uint64_t rw, dune_u128 rs)
{
    return to_double(ls) / (double)lw + to_double(rs) / (double)rw;
}

/* out[na + nb] = a * b */
static void mul(uint64_t *out, const uint64_t *a, int na, const uint64_t *b, int nb)
{
    memset(out, 0, (size_t)(na + nb) * sizeof(*out));
    for (int i = 0; i < na; i++) {
        uint64_t carry = 0;

        for (int j = 0; j < nb; j++) {
            dune_u128 t = (dune_u128)a[i] * b[j] + out[i + j] + carry;

            out[i + j] = (uint64_t)t;
            carry = (uint64_t)(t >> 64);
        }
        out[i + nb] = carry;
    }
}

/* a += b, or a -= b; both have n limbs. */
static void add(uint64_t *a, const uint64_t *b, int n)
{
    unsigned carry = 0;

    for (int i = 0; i < n; i++) {
        dune_u128 t = (dune_u128)a[i] + b[i] + carry;

        a[i] = (uint64_t)t;
        carry = (unsigned)(t >> 64);
    }
}

static void subtract(uint64_t *a, const uint64_t *b, int n)
{
    unsigned borrow = 0;

    for (int i = 0; i < n; i++) {
        dune_u128 t = (dune_u128)a[i] - b[i] - borrow;

        a[i] = (uint64_t)t;
        borrow = (unsigned)(t >> 64) & 1;
    }
}

static int compare(const uint64_t *a, const uint64_t *b, int n)
{
    while (n--)
        if (a[n] != b[n])
            return a[n] > b[n] ? 1 : -1;
    return 0;
}

static void split_u128(uint64_t out[2], dune_u128 x)
{
    out[0] = (uint64_t)x;
    out[1] = (uint64_t)(x >> 64);
}

/* num[4] = ls * rw + rs * lw, the score times lw * rw */
static void score_num(uint64_t num[4], const struct dune_cut *c)
{
    uint64_t s[2], t[4] = {0};

    memset(num, 0, 4 * sizeof(*num));
    split_u128(s, c->ls);
    mul(num, s, 2, &c->rw, 1);
    split_u128(s, c->rs);
    mul(t, s, 2, &c->lw, 1);
    add(num, t, 4);
}

static int compare_exactly(const struct dune_cut *a, const struct dune_cut *b)
{
    uint64_t na[4], nb[4], da[2], db[2], x[6], y[6];

    if (a->lw == b->lw && a->rw == b->rw && a->ls == b->ls && a->rs == b->rs)
        return 0;
    if (a->lw == b->rw && a->rw == b->lw && a->ls == b->rs && a->rs == b->ls)
        return 0;
    score_num(na, a);
    score_num(nb, b);
    split_u128(da, (dune_u128)a->lw * a->rw);
    split_u128(db, (dune_u128)b->lw * b->rw);
    mul(x, na, 4, db, 2);
    mul(y, nb, 4, da, 2);
    return compare(x, y, 6);
}

int dune_cut_cmp(const struct dune_cut *a, const struct dune_cut *b)
{
    double diff = a->score - b->score;

    if (fabs(diff) > DUNE_SCORE_EPS * a->score)
        return diff > 0 ? 1 : -1;
    return compare_exactly(a, b);
}

bool dune_cut_better(const struct dune_cut *a, const struct dune_cut *b)
{
    int c;

    if (b->feat < 0)
        return true;
    c = dune_cut_cmp(a, b);
    if (c)
        return c > 0;
    if (a->feat != b->feat)
        return a->feat < b->feat;
    return a->pos < b->pos;
}

/* With P = parent_squares and p = lw + rw: ls/lw + rs/rw - P/p over the common denominator. */
void dune_gain_make(struct dune_gain *g, const struct dune_cut *c, dune_u128 parent_squares)
{
    uint64_t p = c->lw + c->rw, s[2], lr[2], t[4], num[4], num_p[5];
    double n = 0, d = 0;

    score_num(num, c);
    mul(num_p, num, 4, &p, 1); /* below 2^245: the fifth limb is zero */
    memcpy(g->num, num_p, sizeof(g->num));
    split_u128(lr, (dune_u128)c->lw * c->rw);
    split_u128(s, parent_squares);
    mul(t, s, 2, lr, 2);
    subtract(g->num, t, 4);
    mul(g->den, lr, 2, &p, 1);
    for (int i = 3; i >= 0; i--)
        n = n * 0x1p64 + (double)g->num[i];
    for (int i = 2; i >= 0; i--)
        d = d * 0x1p64 + (double)g->den[i];
    g->approx = n / d;
}

int dune_gain_cmp(const struct dune_gain *a, const struct dune_gain *b)
{
    double diff = a->approx - b->approx;
    uint64_t x[7], y[7];

    if (fabs(diff) > DUNE_SCORE_EPS * a->approx)
        return diff > 0 ? 1 : -1;
    if (!memcmp(a->num, b->num, sizeof(a->num)) && !memcmp(a->den, b->den, sizeof(a->den)))
        return 0;
    mul(x, a->num, 4, b->den, 3);
    mul(y, b->num, 4, a->den, 3);
    return compare(x, y, 7);
}
