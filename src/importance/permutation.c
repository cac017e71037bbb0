/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Permutation importance for any model: how much the F1 of a class falls when the values of one column
 * are dealt out to the rows at random. Draws are keyed by (seed, column, repeat).
 */
#include "importance/importance_int.h"

#include <string.h>

struct trial {
    const struct dune_table *t;
    dune_predict_fn predict;
    void *ctx;
    uint16_t *pred;
    double *f1;                   /* [n_classes] */
    struct dune_class_score *per; /* [n_classes] */
};

static int score(struct trial *k, const struct dune_table *t, struct dune_diag *d)
{
    struct dune_confusion conf;
    int rc = k->predict(k->ctx, t, k->pred, d);

    if (rc)
        return rc;
    dune_confusion_init(&conf, t->n_classes);
    for (size_t i = 0; i < t->n_rows; i++)
        dune_confusion_add(&conf, t->cls[i], k->pred[i], t->w ? t->w[i] : DUNE_WEIGHT_ONE);
    dune_f1_score(&conf, DUNE_WEIGHT_ONE, k->per);
    dune_confusion_fini(&conf);
    for (uint32_t c = 0; c < t->n_classes; c++)
        k->f1[c] = k->per[c].f1;
    return 0;
}

static void shuffle(uint32_t *v, size_t n, uint64_t seed, uint32_t col, unsigned repeat)
{
    struct dune_rng rng;

    dune_rng_init(&rng, seed, 0x7065726d, col, repeat);
    for (size_t i = n; i > 1; i--) {
        size_t j = dune_rng_below(&rng, i);
        uint32_t tmp = v[i - 1];

        v[i - 1] = v[j];
        v[j] = tmp;
    }
}

/* Adds the fall of every class to column j of w. */
static int try_column(struct trial *k, uint32_t j, unsigned repeats, uint64_t seed, const double *base,
                      double *w, struct dune_diag *d)
{
    const struct dune_table *t = k->t;
    struct dune_table copy = *t;
    uint32_t **col = DUNE_NEW_N(uint32_t *, t->n_cols);
    uint32_t *values = DUNE_NEW_N(uint32_t, t->n_rows);
    int rc = 0;

    memcpy(col, t->col, t->n_cols * sizeof(*col));
    col[j] = values;
    copy.col = col;
    for (unsigned r = 0; !rc && r < repeats; r++) {
        memcpy(values, t->col[j], t->n_rows * sizeof(*values));
        shuffle(values, t->n_rows, seed, j, r);
        rc = dune_interrupted() ? dune_diag_set(d, DUNE_E_INTERRUPTED, NULL, "interrupted")
                                : score(k, &copy, d);
        for (uint32_t c = 0; !rc && c < t->n_classes; c++)
            w[(size_t)c * t->n_cols + j] += base[c] - k->f1[c];
    }
    dune_mem_free(col);
    dune_mem_free(values);
    return rc;
}

int dune_importance_permutation(struct dune_importance **out, const struct dune_table *t,
                                char *const *class_name, dune_predict_fn predict, void *ctx,
                                unsigned repeats, uint64_t seed, struct dune_diag *d)
{
    struct trial k = {.t = t, .predict = predict, .ctx = ctx};
    struct dune_importance *im;
    double *base;
    int rc;

    *out = NULL;
    if (!t->n_rows || !t->n_cols || !t->n_classes)
        return dune_diag_set(d, DUNE_E_INPUT, NULL, "the table has no rows, no features or no classes");
    if (!repeats)
        repeats = 5;
    im = importance_new(t->n_classes, class_name, t->n_cols, t->feat);
    base = DUNE_NEW_N(double, t->n_classes);
    k.pred = DUNE_NEW_N(uint16_t, t->n_rows);
    k.f1 = DUNE_NEW_N(double, t->n_classes);
    k.per = DUNE_NEW_N(struct dune_class_score, t->n_classes);
    rc = score(&k, t, d);
    memcpy(base, k.f1, t->n_classes * sizeof(*base));
    for (uint32_t j = 0; !rc && j < t->n_cols; j++)
        rc = try_column(&k, j, repeats, seed, base, im->w, d);
    dune_mem_free(base);
    dune_mem_free(k.pred);
    dune_mem_free(k.f1);
    dune_mem_free(k.per);
    if (rc) {
        dune_importance_free(im);
        return rc;
    }
    importance_normalise(im);
    *out = im;
    return 0;
}
