/* SPDX-License-Identifier: Apache-2.0 */
/* A primal simplex for a few dozen rows. The basis is factored anew in every step: at this size that is
 * cheap, and errors cannot pile up. */
#include "partition/bound_int.h"

#include <math.h>
#include <string.h>

enum { MAX_ROWS = LP_CLASSES + 1, MAX_STEPS = 20000 };
#define EPS 1e-9
#define ARTIFICIAL (-1e6)

struct factors {
    unsigned n;
    double a[MAX_ROWS][MAX_ROWS]; /* L below the diagonal, U on and above */
    unsigned row[MAX_ROWS];       /* row i of LU is row[i] of the matrix */
};

void small_lp_init(struct small_lp *lp, unsigned m)
{
    memset(lp, 0, sizeof(*lp));
    lp->m = m;
}

void small_lp_fini(struct small_lp *lp)
{
    dune_mem_free(lp->col);
    lp->col = NULL;
}

bool small_lp_add(struct small_lp *lp, uint64_t mask, double value)
{
    for (size_t i = 0; i < lp->len; i++)
        if (lp->col[i].mask == mask)
            return false;
    if (lp->len == lp->cap) {
        lp->cap = lp->cap ? lp->cap * 2 : 256;
        lp->col = dune_mem_realloc(lp->col, lp->cap, sizeof(*lp->col));
    }
    lp->col[lp->len++] = (struct lp_column){mask, value};
    return true;
}

void small_lp_restart(struct small_lp *lp, uint32_t n_blocks)
{
    struct dune_rng rng;

    dune_rng_init(&rng, 0, 0x6c70, lp->m, n_blocks);
    for (unsigned r = 0; r <= lp->m; r++) {
        lp->basis[r] = -1 - (int32_t)r;
        lp->rhs[r] = (r < lp->m ? 1.0 : n_blocks) + 1e-6 * dune_rng_unit(&rng);
    }
}

void mask_sums_make(struct mask_sums *ms, const double *y, unsigned m)
{
    for (unsigned i = 0; i < 8; i++)
        for (unsigned s = 0; s < 256; s++) {
            unsigned bit = s ? (unsigned)__builtin_ctz(s) : 0;

            ms->t[i][s] = s ? ms->t[i][s & (s - 1)] + (8 * i + bit < m ? y[8 * i + bit] : 0.0) : 0.0;
        }
}

static double entry(const struct small_lp *lp, int32_t col, unsigned row)
{
    if (col < 0)
        return row == (unsigned)(-1 - col);
    return row == lp->m ? 1.0 : (double)(lp->col[col].mask >> row & 1);
}

/* Gauss with row exchange; false when the basis is singular. */
static bool factor(struct factors *f, const struct small_lp *lp)
{
    f->n = lp->m + 1;
    for (unsigned i = 0; i < f->n; i++) {
        f->row[i] = i;
        for (unsigned j = 0; j < f->n; j++)
            f->a[i][j] = entry(lp, lp->basis[j], i);
    }
    for (unsigned k = 0; k < f->n; k++) {
        unsigned best = k, tmp;

        for (unsigned i = k + 1; i < f->n; i++)
            if (fabs(f->a[i][k]) > fabs(f->a[best][k]))
                best = i;
        if (fabs(f->a[best][k]) < 1e-12)
            return false;
        if (best != k) {
            double swap[MAX_ROWS];

            memcpy(swap, f->a[k], sizeof(swap));
            memcpy(f->a[k], f->a[best], sizeof(swap));
            memcpy(f->a[best], swap, sizeof(swap));
            tmp = f->row[k];
            f->row[k] = f->row[best];
            f->row[best] = tmp;
        }
        for (unsigned i = k + 1; i < f->n; i++) {
            double l = f->a[i][k] /= f->a[k][k];

            for (unsigned j = k + 1; l != 0 && j < f->n; j++)
                f->a[i][j] -= l * f->a[k][j];
        }
    }
    return true;
}

static void solve_column(const struct factors *f, const double *b, double *x)
{
    for (unsigned i = 0; i < f->n; i++) {
        x[i] = b[f->row[i]];
        for (unsigned j = 0; j < i; j++)
            x[i] -= f->a[i][j] * x[j];
    }
    for (unsigned i = f->n; i-- > 0;) {
        for (unsigned j = i + 1; j < f->n; j++)
            x[i] -= f->a[i][j] * x[j];
        x[i] /= f->a[i][i];
    }
}

/* y with y B = c. */
static void solve_row(const struct factors *f, const double *c, double *y)
{
    double x[MAX_ROWS];

    for (unsigned j = 0; j < f->n; j++) {
        x[j] = c[j];
        for (unsigned i = 0; i < j; i++)
            x[j] -= f->a[i][j] * x[i];
        x[j] /= f->a[j][j];
    }
    for (unsigned j = f->n; j-- > 0;)
        for (unsigned i = j + 1; i < f->n; i++)
            x[j] -= f->a[i][j] * x[i];
    for (unsigned i = 0; i < f->n; i++)
        y[f->row[i]] = x[i];
}

static size_t entering(const struct small_lp *lp)
{
    size_t best = lp->len;
    double best_gain = EPS;
    struct mask_sums ms;

    mask_sums_make(&ms, lp->dual, lp->m);
    for (size_t i = 0; i < lp->len; i++) {
        double gain = lp->col[i].value - mask_sum(&ms, lp->col[i].mask) - lp->dual[lp->m];

        if (gain > best_gain) {
            best_gain = gain;
            best = i;
        }
    }
    return best;
}

/* The row that first reaches 0; of equals the one with the largest pivot. */
static unsigned leaving(const struct factors *f, const double *x, const double *dir)
{
    unsigned out = f->n;
    double least = INFINITY;

    for (unsigned i = 0; i < f->n; i++) {
        double ratio;

        if (dir[i] <= EPS)
            continue;
        ratio = fmax(x[i], 0.0) / dir[i];
        if (ratio < least - 1e-12 || (ratio <= least + 1e-12 && (out == f->n || dir[i] > dir[out]))) {
            least = fmin(least, ratio);
            out = i;
        }
    }
    return out;
}

void small_lp_solve(struct small_lp *lp)
{
    struct factors *f = DUNE_NEW(struct factors);

    for (int step = 0; step < MAX_STEPS && !dune_interrupted(); step++) {
        double cost[MAX_ROWS], a[MAX_ROWS], x[MAX_ROWS], dir[MAX_ROWS];
        unsigned out;
        size_t in;

        if (!factor(f, lp))
            break;
        for (unsigned i = 0; i <= lp->m; i++)
            cost[i] = lp->basis[i] < 0 ? ARTIFICIAL : lp->col[lp->basis[i]].value;
        solve_row(f, cost, lp->dual);
        in = entering(lp);
        if (in == lp->len)
            break;
        for (unsigned i = 0; i <= lp->m; i++)
            a[i] = entry(lp, (int32_t)in, i);
        solve_column(f, lp->rhs, x);
        solve_column(f, a, dir);
        out = leaving(f, x, dir);
        if (out == f->n)
            break;
        lp->basis[out] = (int32_t)in;
    }
    dune_mem_free(f);
}
