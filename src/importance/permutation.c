/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Permutation importance for any model: how much the F1 of a class falls when the values of one column
 * are dealt out to the rows at random. Draws are keyed by (seed, column, repeat), so the result does not
 * depend on how many shuffled copies a model is asked about at a time:
 *
 *   trial (column, repeat)   0,0  0,1  0,2 ...        one copy of all rows each
 *   call of predict          |---- batch_rows ----|
 */
#include "importance/importance_int.h"

#include <math.h>
#include <string.h>

struct trials {
    const struct dune_table *t;
    dune_predict_fn predict;
    void *ctx;
    unsigned repeats;
    uint64_t seed;
    size_t per_call; /* copies */
    uint16_t *pred;  /* [per_call][n_rows] */
    double *fall;    /* [n_cols][repeats][n_classes] */
    double *base;    /* [n_classes] */
    struct dune_class_score *per; /* [n_classes] */
};

/* F1 of every class on one copy. */
static void score(struct trials *k, const uint16_t *pred, double *f1)
{
    const struct dune_table *t = k->t;
    struct dune_confusion conf;

    dune_confusion_init(&conf, t->n_classes);
    for (size_t i = 0; i < t->n_rows; i++)
        dune_confusion_add(&conf, t->cls[i], pred[i], t->w ? t->w[i] : DUNE_WEIGHT_ONE);
    dune_f1_score(&conf, DUNE_WEIGHT_ONE, k->per);
    dune_confusion_fini(&conf);
    for (uint32_t c = 0; c < t->n_classes; c++)
        f1[c] = k->per[c].f1;
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

/* Trials first .. first + n - 1 as one table. */
static void make_copies(const struct trials *k, size_t first, size_t n, struct dune_table *copy)
{
    const struct dune_table *t = k->t;

    *copy = *t;
    copy->n_rows = n * t->n_rows;
    copy->cls = NULL; /* a model does not see them */
    copy->w = NULL;
    copy->flow = t->flow ? dune_mem_alloc(copy->n_rows, sizeof(*copy->flow)) : NULL;
    copy->pos = t->pos ? dune_mem_alloc(copy->n_rows, sizeof(*copy->pos)) : NULL;
    copy->col = DUNE_NEW_N(uint32_t *, t->n_cols);
    for (uint32_t j = 0; j < t->n_cols; j++)
        copy->col[j] = dune_mem_alloc(copy->n_rows, sizeof(**copy->col));
    for (size_t i = 0; i < n; i++) {
        uint32_t col = (uint32_t)((first + i) / k->repeats);
        size_t at = i * t->n_rows;

        for (uint32_t j = 0; j < t->n_cols; j++)
            memcpy(copy->col[j] + at, t->col[j], t->n_rows * sizeof(**copy->col));
        shuffle(copy->col[col] + at, t->n_rows, k->seed, col, (unsigned)((first + i) % k->repeats));
        if (t->flow)
            memcpy(copy->flow + at, t->flow, t->n_rows * sizeof(*copy->flow));
        if (t->pos)
            memcpy(copy->pos + at, t->pos, t->n_rows * sizeof(*copy->pos));
    }
}

static void free_copies(struct dune_table *copy)
{
    for (uint32_t j = 0; j < copy->n_cols; j++)
        dune_mem_free(copy->col[j]);
    dune_mem_free(copy->col);
    dune_mem_free(copy->flow);
    dune_mem_free(copy->pos);
}

static int try_some(struct trials *k, size_t first, size_t n, struct dune_diag *d)
{
    struct dune_table copy;
    int rc;

    if (dune_interrupted())
        return dune_diag_set(d, DUNE_E_INTERRUPTED, NULL, "interrupted");
    make_copies(k, first, n, &copy);
    rc = k->predict(k->ctx, &copy, k->pred, d);
    for (size_t i = 0; i < n && !rc; i++) {
        double *fall = k->fall + (first + i) * k->t->n_classes;

        score(k, k->pred + i * k->t->n_rows, fall);
        for (uint32_t c = 0; c < k->t->n_classes; c++)
            fall[c] = k->base[c] - fall[c];
    }
    free_copies(&copy);
    return rc;
}

/* Half the width of a 95 % interval of the mean of n draws, in standard errors. */
static double student(unsigned n)
{
    static const double t[] = {0, 0, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262};

    return n < DUNE_ARRAY_LEN(t) ? t[n] : 1.96 + 2.4 / (n - 1.0);
}

static void summarise(const struct trials *k, struct dune_importance *im, struct dune_importance_spread *s)
{
    uint32_t n_cols = k->t->n_cols, n_classes = k->t->n_classes;

    for (uint32_t c = 0; c < n_classes; c++)
        for (uint32_t j = 0; j < n_cols; j++) {
            const double *fall = k->fall + (size_t)j * k->repeats * n_classes + c;
            double sum = 0, square = 0, half;
            size_t at = (size_t)c * n_cols + j;

            for (unsigned r = 0; r < k->repeats; r++)
                sum += fall[(size_t)r * n_classes];
            im->w[at] = sum; /* the factor goes when rows are normalised */
            if (!s)
                continue;
            s->mean[at] = sum / k->repeats;
            for (unsigned r = 0; r < k->repeats; r++)
                square += pow(fall[(size_t)r * n_classes] - s->mean[at], 2);
            half = k->repeats > 1 ? student(k->repeats) * sqrt(square / (k->repeats - 1.0) / k->repeats) : INFINITY;
            s->low[at] = s->mean[at] - half;
            s->high[at] = s->mean[at] + half;
        }
}

static struct dune_importance_spread *spread_new(uint32_t n_classes, uint32_t n_feats)
{
    struct dune_importance_spread *s = DUNE_NEW(struct dune_importance_spread);
    size_t n = (size_t)n_classes * n_feats;

    *s = (struct dune_importance_spread){n_classes, n_feats, DUNE_NEW_N(double, n), DUNE_NEW_N(double, n),
                                         DUNE_NEW_N(double, n)};
    return s;
}

void dune_importance_spread_free(struct dune_importance_spread *s)
{
    if (!s)
        return;
    dune_mem_free(s->mean);
    dune_mem_free(s->low);
    dune_mem_free(s->high);
    dune_mem_free(s);
}

static int run_trials(struct trials *k, struct dune_diag *d)
{
    size_t n = (size_t)k->t->n_cols * k->repeats;
    int rc = k->predict(k->ctx, k->t, k->pred, d);

    if (!rc)
        score(k, k->pred, k->base);
    for (size_t i = 0; i < n && !rc; i += k->per_call)
        rc = try_some(k, i, DUNE_MIN(k->per_call, n - i), d);
    return rc;
}

int dune_importance_permute(struct dune_importance **out, struct dune_importance_spread **spread,
                            const struct dune_table *t, char *const *class_name, dune_predict_fn predict, void *ctx,
                            const struct dune_permute_cfg *cfg, struct dune_diag *d)
{
    struct trials k = {.t = t, .predict = predict, .ctx = ctx, .seed = cfg->seed};
    struct dune_importance *im;
    int rc;

    *out = NULL;
    if (!t->n_rows || !t->n_cols || !t->n_classes)
        return dune_diag_set(d, DUNE_E_INPUT, NULL, "the table has no rows, no features or no classes");
    k.repeats = cfg->repeats ? cfg->repeats : 5;
    k.per_call = DUNE_MAX(cfg->batch_rows / t->n_rows, (size_t)1);
    k.per_call = DUNE_MIN(k.per_call, (size_t)t->n_cols * k.repeats);
    k.pred = DUNE_NEW_N(uint16_t, k.per_call * t->n_rows);
    k.fall = DUNE_NEW_N(double, (size_t)t->n_cols * k.repeats * t->n_classes);
    k.base = DUNE_NEW_N(double, t->n_classes);
    k.per = DUNE_NEW_N(struct dune_class_score, t->n_classes);
    rc = run_trials(&k, d);
    if (!rc) {
        im = dune_importance_new(t->n_classes, class_name, t->n_cols, t->feat);
        if (spread)
            *spread = spread_new(t->n_classes, t->n_cols);
        summarise(&k, im, spread ? *spread : NULL);
        dune_importance_normalise(im);
        *out = im;
    }
    dune_mem_free(k.pred);
    dune_mem_free(k.fall);
    dune_mem_free(k.base);
    dune_mem_free(k.per);
    return rc;
}

int dune_importance_permutation(struct dune_importance **out, const struct dune_table *t,
                                char *const *class_name, dune_predict_fn predict, void *ctx,
                                unsigned repeats, uint64_t seed, struct dune_diag *d)
{
    struct dune_permute_cfg cfg = {.repeats = repeats, .seed = seed};

    return dune_importance_permute(out, NULL, t, class_name, predict, ctx, &cfg, d);
}
