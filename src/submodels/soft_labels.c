/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Soft labels: what a large forest, which has not seen a row's part of the data, holds of its class. A small
 * tree that learns from them spends no leaf on rows that nobody could tell apart.
 *
 * Rows have the label they came with and one rival; so a table for soft labels lists every row twice.
 */
#include <string.h>

#include "base/base.h"
#include "dune/model.h"
#include "submodels/submodels_int.h"

enum { TEACHER_TREES = 15, MAX_PARTS = 16 };
#define TEACHER_KEY UINT64_C(0x7465616368)

struct pair { /* a teacher that has not seen parts a and b (b = n_parts: only a) */
    unsigned a, b;
};
struct school {
    const struct dune_space *s;
    const struct dune_space_view *v;
    const uint8_t *part;
    unsigned n_parts;
    uint64_t seed;
    struct pair *pair;
    struct dune_soft *out; /* [n_parts + 1] */
    struct dune_diag *diag;
};

/* Class shares of a row, mean over the trees. */
static void ask(const struct dune_forest *f, uint32_t *const *col, size_t r, double *share)
{
    memset(share, 0, f->n_classes * sizeof(*share));
    for (uint32_t t = 0; t < f->n_trees; t++) {
        const uint64_t *h = f->tree[t].hist + (size_t)dune_tree_leaf(&f->tree[t], col, r, 0) * f->n_classes;
        double sum = 0;

        for (uint32_t c = 0; c < f->n_classes; c++)
            sum += (double)h[c];
        for (uint32_t c = 0; sum > 0 && c < f->n_classes; c++)
            share[c] += (double)h[c] / sum / f->n_trees;
    }
}

/* The strongest class besides the row's own, and its share of the two. */
static void note_rival(struct dune_soft *soft, size_t r, uint16_t own, const double *share, uint32_t n)
{
    uint16_t best = DUNE_NO_CLASS;

    for (uint32_t c = 0; c < n; c++)
        if (c != own && share[c] > 0 && (best == DUNE_NO_CLASS || share[c] > share[best]))
            best = (uint16_t)c;
    soft->rival[r] = best;
    soft->share[r] = best == DUNE_NO_CLASS ? 0 : (float)(share[best] / (share[best] + share[own]));
}

static void tell(const struct school *sc, const struct dune_forest *f, unsigned part, struct dune_soft *soft)
{
    const struct dune_table *t = &sc->v->table;
    uint32_t **col = DUNE_NEW_N(uint32_t *, f->n_feats);
    double *share = DUNE_NEW_N(double, f->n_classes);

    for (uint32_t j = 0; j < f->n_feats; j++)
        for (uint32_t c = 0; c < t->n_cols; c++)
            if (t->feat[c] == f->feat[j])
                col[j] = t->col[c];
    for (uint32_t k = 0; k < sc->s->n_flows; k++)
        for (uint32_t r = sc->v->row0[k]; sc->part[k] == part && r < sc->v->row0[k + 1]; r++) {
            ask(f, col, r, share);
            note_rival(soft, r, t->cls[r], share, f->n_classes);
        }
    dune_mem_free(col);
    dune_mem_free(share);
}

static void teach(void *ctx, size_t i)
{
    const struct school *sc = ctx;
    const struct dune_table *t = &sc->v->table;
    const struct pair *p = &sc->pair[i];
    struct dune_train_cfg cfg = {.n_trees = TEACHER_TREES, .sqrt_features = true, .bootstrap = true, .threads = 1,
                                 .seed = dune_mix64(sc->seed, TEACHER_KEY + i)};
    uint64_t *w = dune_mem_zalloc(t->n_rows, sizeof(*w)), sum = 0;
    struct dune_forest *f = NULL;
    struct dune_diag *d = &sc->diag[i];

    for (uint32_t k = 0; k < sc->s->n_flows; k++)
        for (uint32_t r = sc->v->row0[k]; r < sc->v->row0[k + 1]; r++) {
            w[r] = sc->part[k] == p->a || sc->part[k] == p->b ? 0 : t->w[r];
            sum += w[r];
        }
    if (sum && dune_trainer_fit(sc->v->trainer, &f, t->cls, sc->s->n_classes, w, 0, &cfg, d) == 0) {
        tell(sc, f, p->a, &sc->out[p->b]);
        if (p->b < sc->n_parts)
            tell(sc, f, p->b, &sc->out[p->a]);
    }
    dune_forest_free(f);
    dune_mem_free(w);
}

int dune_soft_make(struct dune_soft *out, struct dune_space *s, unsigned n, enum dune_mode mode, const uint8_t *part,
                   unsigned n_parts, uint64_t seed, struct dune_diag *d)
{
    struct school sc = {.s = s, .part = part, .n_parts = n_parts, .seed = seed, .out = out};
    size_t n_pairs = 0, all = (size_t)n_parts * (n_parts + 1) / 2;
    int rc;

    memset(out, 0, (n_parts + 1) * sizeof(*out));
    if (n_parts < 3 || n_parts > MAX_PARTS)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "soft labels need 3 to %d parts", MAX_PARTS);
    rc = dune_space_prepare_soft(s, n, mode, d);
    if (rc)
        return rc;
    sc.v = s->view[n][mode];
    for (unsigned i = 0; i <= n_parts; i++) {
        out[i].rival = dune_mem_alloc(sc.v->table.n_rows, sizeof(*out[i].rival));
        out[i].share = DUNE_NEW_N(float, sc.v->table.n_rows);
        for (size_t r = 0; r < sc.v->table.n_rows; r++)
            out[i].rival[r] = DUNE_NO_CLASS;
    }
    sc.pair = DUNE_NEW_N(struct pair, all);
    sc.diag = DUNE_NEW_N(struct dune_diag, all);
    for (unsigned a = 0; a < n_parts; a++)
        for (unsigned b = a + 1; b <= n_parts; b++)
            sc.pair[n_pairs++] = (struct pair){a, b};
    dune_parallel_for(s->threads, n_pairs, teach, &sc);
    for (size_t i = 0; rc == 0 && i < n_pairs; i++) {
        rc = sc.diag[i].code;
        if (rc && d && !d->code)
            *d = sc.diag[i];
    }
    dune_mem_free(sc.pair);
    dune_mem_free(sc.diag);
    return rc;
}

int dune_soft_told(struct dune_soft *out, struct dune_space *s, unsigned n, enum dune_mode mode, unsigned n_parts,
                   const struct dune_told *told, struct dune_diag *d)
{
    const struct dune_table *t;
    int rc;

    memset(out, 0, (n_parts + 1) * sizeof(*out));
    rc = dune_space_prepare_soft(s, n, mode, d);
    if (rc)
        return rc;
    t = &s->view[n][mode]->table;
    for (unsigned i = 0; i <= n_parts; i++) {
        out[i].rival = dune_mem_alloc(t->n_rows, sizeof(*out[i].rival));
        out[i].share = DUNE_NEW_N(float, t->n_rows);
        for (size_t r = 0; r < t->n_rows; r++) {
            size_t at = (size_t)t->flow[r] * DUNE_TOLD_PACKETS + DUNE_MIN(t->pos[r], (uint32_t)DUNE_TOLD_PACKETS) - 1;

            out[i].rival[r] = told->rival[at];
            out[i].share[r] = told->share[at];
        }
    }
    return 0;
}

void dune_soft_fini(struct dune_soft *soft)
{
    dune_mem_free(soft->rival);
    dune_mem_free(soft->share);
    memset(soft, 0, sizeof(*soft));
}
