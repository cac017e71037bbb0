/* SPDX-License-Identifier: Apache-2.0 */
/* Counts against a profile: distances, and what exceeds its limit. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "drift/drift_int.h"

double dune_drift_ks(const uint64_t *a, const uint64_t *b, uint32_t n)
{
    uint64_t na = 0, nb = 0, sa = 0, sb = 0;
    double most = 0;

    for (uint32_t i = 0; i < n; i++) {
        na += a[i];
        nb += b[i];
    }
    if (na == 0 || nb == 0)
        return -1;
    for (uint32_t i = 0; i < n; i++) {
        sa += a[i];
        sb += b[i];
        most = DUNE_MAX(most, fabs((double)sa / (double)na - (double)sb / (double)nb));
    }
    return most;
}

double dune_drift_share(const struct dune_drift_submodel *a, const struct dune_drift_submodel *b, uint32_t cls)
{
    if (a->answers == 0 || b->answers == 0)
        return -1;
    return fabs((double)a->claims[cls] / (double)a->answers - (double)b->claims[cls] / (double)b->answers);
}

double dune_drift_mean(const struct dune_drift_submodel *a, const struct dune_drift_submodel *b, uint32_t cls)
{
    if (cls == 0 || a->claims[cls] < DRIFT_MIN_CLAIMS || b->claims[cls] < DRIFT_MIN_CLAIMS)
        return -1;
    return fabs((double)a->confidence[cls] / (double)a->claims[cls] -
                (double)b->confidence[cls] / (double)b->claims[cls]) / 255;
}

const char *dune_drift_kind_name(enum dune_drift_kind k)
{
    static const char *const name[] = {"feature", "leaves", "claims", "confidence"};

    return k < DUNE_ARRAY_LEN(name) ? name[k] : "?";
}

/* Most above its limit first, then as they were found. */
static int by_excess(const void *x, const void *y)
{
    const struct dune_drift_signal *a = x, *b = y;
    double ea = a->distance / DUNE_MAX(a->limit, 1e-9), eb = b->distance / DUNE_MAX(b->limit, 1e-9);

    if (a->moved != b->moved)
        return a->moved ? -1 : 1;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (ea != eb)
        return ea > eb ? -1 : 1;
    if (a->sub != b->sub)
        return a->sub < b->sub ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

static void add_signal(struct dune_drift_check *out, struct dune_drift_signal s, double grow)
{
    if (s.distance < 0)
        return;
    s.limit = DUNE_MIN(s.limit * grow, s.kind == DUNE_DRIFT_LEAVES ? DRIFT_LEAVES_MOST : 1.0);
    s.moved = out->enough && s.distance > s.limit;
    out->n_moved += s.moved;
    out->n_features_moved += s.moved && s.kind == DUNE_DRIFT_FEATURE;
    out->n_leaves_moved += s.moved && s.kind == DUNE_DRIFT_LEAVES;
    out->alarm |= s.moved && (s.kind == DUNE_DRIFT_FEATURE || s.kind == DUNE_DRIFT_LEAVES);
    out->signal[out->n++] = s;
}

static double share_of(const struct dune_drift_submodel *s, uint32_t c)
{
    return s->answers ? (double)s->claims[c] / (double)s->answers : 0;
}

static double mean_of(const struct dune_drift_submodel *s, uint32_t c)
{
    return s->claims[c] ? (double)s->confidence[c] / (double)s->claims[c] : 0;
}

static void compare_classes(struct dune_drift_check *out, const struct dune_drift_profile *f, const struct dune_plan *p,
                            uint32_t k, const struct dune_drift_submodel *seen, double grow)
{
    const struct dune_drift_submodel *exp = &f->expected.sub[k];

    for (uint32_t c = 0; c <= exp->n_classes; c++) {
        const char *name = c ? p->cls[c - 1].name : "no claim";

        if (exp->claims[c] == 0 && seen->claims[c] == 0)
            continue; /* not one of its classes */
        add_signal(out, (struct dune_drift_signal){
            .kind = DUNE_DRIFT_CLAIMS, .sub = k, .index = c, .name = name, .limit = f->limit[k].claims[c],
            .distance = dune_drift_share(exp, seen, c), .expected = share_of(exp, c), .seen = share_of(seen, c)}, grow);
        add_signal(out, (struct dune_drift_signal){
            .kind = DUNE_DRIFT_CONFIDENCE, .sub = k, .index = c, .name = name, .limit = f->limit[k].confidence[c],
            .distance = dune_drift_mean(exp, seen, c), .expected = mean_of(exp, c), .seen = mean_of(seen, c)}, grow);
    }
}

/* The features that make most of a divergence, down to a twentieth of it. */
static void blame(struct dune_drift_signal *s, const struct dune_submodel *sm, double *by)
{
    for (uint32_t i = 0; i < DUNE_DRIFT_BY; i++) {
        uint32_t best = 0;

        for (uint32_t j = 1; j < sm->n_feats; j++)
            best = by[j] > by[best] ? j : best;
        if (sm->n_feats == 0 || s->distance <= 0 || by[best] < s->distance / 20)
            break;
        s->by[i].name = dune_catalog[sm->feat[best].feat].name;
        s->by[i].share = by[best] / s->distance;
        by[best] = 0;
    }
    s->name = s->by[0].name ? s->by[0].name : "";
}

static void compare_leaves(struct dune_drift_check *out, const struct dune_drift_profile *f, const struct dune_plan *p,
                           uint32_t k, const struct dune_drift_submodel *seen, double grow)
{
    struct dune_drift_signal s = {.kind = DUNE_DRIFT_LEAVES, .sub = k, .limit = f->limit[k].leaves};
    double by[DUNE_N_FEATURES];

    s.distance = dune_drift_leaves(&p->sub[k], seen, &f->expected.sub[k], by);
    blame(&s, &p->sub[k], by);
    add_signal(out, s, grow);
}

void dune_drift_compare(struct dune_drift_check *out, const struct dune_drift_profile *f, const struct dune_plan *p,
                        const struct dune_drift_counts *seen)
{
    size_t room = 0;
    double grow;

    memset(out, 0, sizeof(*out));
    out->answers = dune_drift_answers(seen);
    out->enough = out->answers * 4 >= f->fold_answers && out->answers > 0;
    grow = out->answers && out->answers < f->fold_answers ? sqrt((double)f->fold_answers / (double)out->answers) : 1;
    for (uint32_t k = 0; k < seen->n; k++)
        room += seen->sub[k].n_feats + 2 * (seen->sub[k].n_classes + 1) + 1;
    out->signal = DUNE_NEW_N(struct dune_drift_signal, room + 1);
    for (uint32_t k = 0; k < seen->n; k++) {
        const struct dune_drift_submodel *s = &seen->sub[k], *exp = &f->expected.sub[k];

        for (uint32_t j = 0; j < s->n_feats; j++)
            add_signal(out, (struct dune_drift_signal){
                .kind = DUNE_DRIFT_FEATURE, .sub = k, .index = j, .name = dune_catalog[p->sub[k].feat[j].feat].name,
                .limit = f->limit[k].feature[j],
                .distance = dune_drift_ks(exp->hits[j], s->hits[j], s->n_rows[j])}, grow);
        if (f->has_leaves)
            compare_leaves(out, f, p, k, s, grow * grow);
        compare_classes(out, f, p, k, s, grow);
    }
    qsort(out->signal, out->n, sizeof(*out->signal), by_excess);
}

void dune_drift_check_fini(struct dune_drift_check *k)
{
    dune_mem_free(k->signal);
    memset(k, 0, sizeof(*k));
}

static bool named_before(const struct dune_drift_check *k, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (k->signal[j].moved && k->signal[j].kind == DUNE_DRIFT_FEATURE &&
            strcmp(k->signal[j].name, k->signal[i].name) == 0)
            return true;
    return false;
}

void dune_drift_names(const struct dune_drift_check *k, unsigned max, struct dune_buf *out)
{
    unsigned n = 0;

    dune_buf_puts(out, "");
    for (size_t i = 0; i < k->n && n < max; i++) {
        const struct dune_drift_signal *s = &k->signal[i];

        if (!s->moved || s->kind != DUNE_DRIFT_FEATURE || named_before(k, i))
            continue;
        dune_buf_printf(out, "%s%s (%.3f > %.3f)", n++ ? ", " : "", s->name, s->distance, s->limit);
    }
}

void dune_drift_moved(const struct dune_drift_check *k, const struct dune_plan *p, unsigned max, struct dune_buf *out)
{
    unsigned n = 0;

    dune_drift_names(k, max, out);
    for (size_t i = 0; i < k->n && n < max; i++) {
        const struct dune_drift_signal *s = &k->signal[i];

        if (!s->moved || s->kind != DUNE_DRIFT_LEAVES)
            continue;
        dune_buf_printf(out, "%sleaves of sub-model %u (%.3f > %.3f", n++ || k->n_features_moved ? ", " : "",
                        p->sub[s->sub].id, s->distance, s->limit);
        for (int b = 0; b < DUNE_DRIFT_BY && s->by[b].name; b++)
            dune_buf_printf(out, "%s%s %.0f %%", b ? ", " : ", by ", s->by[b].name, 100 * s->by[b].share);
        dune_buf_puts(out, ")");
    }
}
