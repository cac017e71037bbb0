/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles: the counts of the training flows, and how far folds of them are from the rest. */
#include <math.h>
#include <string.h>

#include "drift/drift_int.h"

enum { WINDOW = 500, MIN_FOLDS = 8, MAX_FOLDS = 16 };

struct dune_drift_limits *dune_drift_limits_new(const struct dune_drift_counts *c)
{
    struct dune_drift_limits *l = DUNE_NEW_N(struct dune_drift_limits, c->n);

    for (uint32_t k = 0; k < c->n; k++) {
        l[k].feature = DUNE_NEW_N(double, c->sub[k].n_feats + 1);
        l[k].claims = DUNE_NEW_N(double, c->sub[k].n_classes + 1);
        l[k].confidence = DUNE_NEW_N(double, c->sub[k].n_classes + 1);
    }
    return l;
}

static void limits_free(struct dune_drift_limits *l, const struct dune_drift_counts *c)
{
    for (uint32_t k = 0; l && k < c->n; k++) {
        dune_mem_free(l[k].feature);
        dune_mem_free(l[k].claims);
        dune_mem_free(l[k].confidence);
    }
    dune_mem_free(l);
}

void dune_drift_profile_free(struct dune_drift_profile *f)
{
    if (!f)
        return;
    limits_free(f->limit, &f->expected);
    dune_drift_counts_fini(&f->expected);
    dune_mem_free(f->data_hash);
    dune_mem_free(f);
}

void dune_drift_plan_hash(const struct dune_plan *p, char hash[33])
{
    struct dune_plan copy = *p;
    struct dune_diag ignored = {0};
    char *text = NULL;
    size_t len = 0;

    copy.generation = 1;
    copy.n_devices = 0; /* a longer chain adds devices without sub-models */
    for (uint32_t k = 0; k < p->n_submodels; k++)
        copy.n_devices = DUNE_MAX(copy.n_devices, p->sub[k].device + 1u);
    copy.n_devices = DUNE_MIN(copy.n_devices, p->n_devices);
    if (dune_plan_format(&copy, &text, &len, &ignored))
        len = 0;
    dune_content_hash(text ? text : "", len, hash);
    dune_mem_free(text);
}

/* --- limits ---------------------------------------------------------------------------------------------- */

struct moments {
    double sum, squares, most;
    unsigned n;
};

static void add(struct moments *m, double x)
{
    if (x < 0)
        return;
    m->sum += x;
    m->squares += x * x;
    m->most = DUNE_MAX(m->most, x);
    m->n++;
}

static double variance_of(const struct moments *m)
{
    double mean = m->sum / m->n;

    return DUNE_MAX(m->squares / m->n - mean * mean, 0.0) * m->n / (m->n - 1);
}

/* 1 where too few folds had anything to compare: nothing can exceed it. */
static double limit_of(const struct moments *m)
{
    if (m->n < 2)
        return 1;
    return DUNE_MIN(DUNE_MAX(m->most, m->sum / m->n + 3 * sqrt(variance_of(m))), 1.0);
}

struct learning {
    unsigned k;
    struct dune_drift_counts *fold, *rest; /* [k] */
};

static double fold_distance(const struct learning *l, unsigned i, enum dune_drift_kind kind, uint32_t sub, uint32_t at)
{
    const struct dune_drift_submodel *a = &l->fold[i].sub[sub], *b = &l->rest[i].sub[sub];

    if (kind == DUNE_DRIFT_FEATURE)
        return dune_drift_ks(a->hits[at], b->hits[at], a->n_rows[at]);
    return kind == DUNE_DRIFT_CLAIMS ? dune_drift_share(a, b, at) : dune_drift_mean(a, b, at);
}

static double find_limit(const struct learning *l, enum dune_drift_kind kind, uint32_t sub, uint32_t at)
{
    struct moments m = {0};

    for (unsigned i = 0; i < l->k; i++)
        add(&m, fold_distance(l, i, kind, sub, at));
    return limit_of(&m);
}

static double find_leaves_limit(const struct learning *l, const struct dune_plan *p, uint32_t sub)
{
    struct moments m = {0};

    for (unsigned i = 0; i < l->k; i++)
        add(&m, dune_drift_leaves(&p->sub[sub], &l->fold[i].sub[sub], &l->rest[i].sub[sub], NULL));
    if (m.n < 2)
        return DRIFT_LEAVES_MOST;
    return DUNE_MIN(DUNE_MAX(m.most, dune_drift_quantile(m.sum / m.n, variance_of(&m), p->n_submodels)), DRIFT_LEAVES_MOST);
}

static void find_limits(struct dune_drift_profile *f, const struct learning *l, const struct dune_plan *p)
{
    for (uint32_t k = 0; k < f->expected.n; k++) {
        const struct dune_drift_submodel *s = &f->expected.sub[k];

        for (uint32_t j = 0; j < s->n_feats; j++)
            f->limit[k].feature[j] = find_limit(l, DUNE_DRIFT_FEATURE, k, j);
        for (uint32_t c = 0; c <= s->n_classes; c++) {
            f->limit[k].claims[c] = find_limit(l, DUNE_DRIFT_CLAIMS, k, c);
            f->limit[k].confidence[c] = find_limit(l, DUNE_DRIFT_CONFIDENCE, k, c);
        }
        f->limit[k].leaves = find_leaves_limit(l, p, k);
    }
}

/* --- counting ---------------------------------------------------------------------------------------------- */

static int count_folds(struct learning *l, struct dune_drift_profile *f, const struct dune_plan *p,
                       const struct dune_dataset *ds, struct dune_diag *d)
{
    uint8_t *fold = dune_mem_alloc(ds->n_flows, 1), *use = dune_mem_alloc(ds->n_flows, 1);
    int rc = 0;

    dune_folds_make(ds, l->k, 1, fold);
    for (unsigned i = 0; rc == 0 && i < l->k; i++) {
        for (uint64_t k = 0; k < ds->n_flows; k++)
            use[k] = fold[k] == i;
        rc = dune_drift_count_flows(&l->fold[i], p, ds, use, d);
        if (rc == 0)
            dune_drift_counts_add(&f->expected, &l->fold[i], 1);
    }
    for (uint64_t k = 0; k < ds->n_flows; k++) /* classes with too few flows for folds */
        use[k] = fold[k] == 255 && ds->flow_split[k] == DUNE_SPLIT_TRAIN;
    if (rc == 0)
        rc = dune_drift_count_flows(&f->expected, p, ds, use, d);
    for (unsigned i = 0; i < l->k; i++) {
        dune_drift_counts_add(&l->rest[i], &f->expected, 1);
        dune_drift_counts_add(&l->rest[i], &l->fold[i], -1);
        f->fold_answers += dune_drift_answers(&l->fold[i]);
    }
    f->fold_answers /= l->k;
    dune_mem_free(fold);
    dune_mem_free(use);
    return rc;
}

int dune_drift_learn(struct dune_drift_profile **out, const struct dune_plan *p, const struct dune_dataset *ds,
                     uint64_t window, struct dune_diag *d)
{
    struct dune_drift_profile *f = DUNE_NEW(struct dune_drift_profile);
    struct learning l = {0};
    uint64_t n = 0;
    int rc;

    for (uint64_t k = 0; k < ds->n_flows; k++)
        n += ds->flow_split[k] == DUNE_SPLIT_TRAIN;
    n /= window ? window : WINDOW;
    l.k = (unsigned)DUNE_MIN(DUNE_MAX(n, MIN_FOLDS), MAX_FOLDS);
    l.fold = DUNE_NEW_N(struct dune_drift_counts, l.k);
    l.rest = DUNE_NEW_N(struct dune_drift_counts, l.k);
    for (unsigned i = 0; i < l.k; i++) {
        dune_drift_counts_init(&l.fold[i], p);
        dune_drift_counts_init(&l.rest[i], p);
    }
    dune_drift_counts_init(&f->expected, p);
    dune_drift_plan_hash(p, f->plan_hash);
    f->data_hash = dune_mem_strdup(ds->hash);
    f->folds = l.k;
    f->has_leaves = true;
    f->limit = dune_drift_limits_new(&f->expected);
    rc = count_folds(&l, f, p, ds, d);
    if (rc == 0 && f->fold_answers == 0)
        rc = dune_diag_set(d, DUNE_E_INPUT, NULL, "too few train flows for a profile: %u folds are needed", l.k);
    if (rc == 0)
        find_limits(f, &l, p);
    for (unsigned i = 0; i < l.k; i++) {
        dune_drift_counts_fini(&l.fold[i]);
        dune_drift_counts_fini(&l.rest[i]);
    }
    dune_mem_free(l.fold);
    dune_mem_free(l.rest);
    if (rc)
        dune_drift_profile_free(f);
    else
        *out = f;
    return rc;
}
