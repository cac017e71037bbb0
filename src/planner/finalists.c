/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The finalists of a search, judged on folds that it has not seen: the best of many candidates looks better
 * on the folds it was chosen on than it is. Several layouts judge, as one small tree more or less is a matter
 * of luck; where captures lie in order, one layout holds out the earliest, ..., the latest of them, as time
 * does. And everyone is judged with the features of the plan: chosen anew in every fold, on less data, they
 * would be others, and worse.
 */
#include "base/base.h"
#include "planner/planner_int.h"

#define EQUAL 0.0005 /* scores that differ less are equal: then the worst layout decides */

struct freezing {
    struct dune_search *s;
    struct dune_chain_spec *spec;
    struct dune_diag diag[DUNE_MAX_BLOCKS];
};

static void freeze_block(void *ctx, size_t b)
{
    struct freezing *f = ctx;
    struct dune_fit_cfg *c = &f->spec->cfg[b];
    struct dune_fit *fit = NULL;

    if (!c->max_features) /* nothing is chosen */
        return;
    f->diag[b].code = dune_search_fit(f->s, f->spec, (unsigned)b, &fit, &f->diag[b]);
    if (fit && fit->used) {
        c->features = fit->used;
        c->select = DUNE_SELECT_RFE;
    }
    dune_fit_free(fit);
}

int dune_search_freeze(struct dune_search *s, struct dune_chain_spec *spec, struct dune_diag *d)
{
    struct freezing f = {.s = s, .spec = spec};
    int rc = dune_interrupted() ? dune_diag_set(d, DUNE_E_INTERRUPTED, NULL, "interrupted")
                                : dune_search_prepare(s, spec, d);

    if (rc)
        return rc;
    dune_parallel_for(s->space->threads, spec->n_blocks, freeze_block, &f);
    for (unsigned b = 0; b < spec->n_blocks; b++) {
        if (f.diag[b].code) {
            if (d && !d->code)
                *d = f.diag[b];
            return f.diag[b].code;
        }
    }
    return 0;
}

int dune_variants_add(struct dune_search *s, struct dune_variants *v, const char *step,
                      const struct dune_chain_spec *spec, double score, struct dune_diag *d)
{
    struct dune_chain_spec *to = &v->spec[v->n];
    struct dune_f1 f1 = {.macro = score};
    int rc;

    *to = *spec;
    rc = dune_search_freeze(s, to, d);
    /* Scored with these features, also where the limit of work is reached: the steps that follow compare with it, and
     * the score of features that every fold chose for itself is that of something else. */
    if (rc == 0 && (score < 0 || !(s->max_evaluations ? dune_search_exhausted(s) : dune_search_late(s))))
        rc = dune_search_score(s, to, &f1, d);
    if (rc)
        return rc;
    v->step[v->n] = step;
    v->score[v->n++] = f1.macro;
    return 0;
}

int dune_variants_add_better(struct dune_search *s, struct dune_variants *v, const char *step,
                             const struct dune_chain_spec *spec, double score, struct dune_diag *d)
{
    return score > v->score[dune_variants_best(v)] ? dune_variants_add(s, v, step, spec, score, d) : 0;
}

int dune_variants_add_exchanged(struct dune_search *s, struct dune_variants *v, unsigned rounds, struct dune_diag *d)
{
    unsigned from = dune_variants_best(v);
    struct dune_chain_spec spec = v->spec[from];
    double score = v->score[from];
    int rc = dune_exchange_features(s, &spec, &score, rounds, d);

    return rc ? rc : dune_variants_add_better(s, v, "exchange", &spec, score, d);
}

/* One setting of all blocks of the best so far in other values: a variant if that is better. */
static int add_with(struct dune_search *s, struct dune_variants *v, const char *step,
                    void (*set)(struct dune_fit_cfg *c, double value), const double *value, size_t n_values,
                    struct dune_diag *d)
{
    unsigned from = dune_variants_best(v);
    struct dune_chain_spec best = v->spec[from];
    double score = v->score[from];
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < n_values && !dune_search_late(s); i++) {
        struct dune_chain_spec next = v->spec[from];

        for (unsigned b = 0; b < next.n_blocks; b++)
            set(&next.cfg[b], value[i]);
        rc = dune_search_try(s, &next, 0, &best, &score, d);
    }
    return rc ? rc : dune_variants_add_better(s, v, step, &best, score, d);
}

static void set_distil(struct dune_fit_cfg *c, double share)
{
    c->distil = share;
}

int dune_variants_add_distilled(struct dune_search *s, struct dune_variants *v, struct dune_diag *d)
{
    static const double share[] = {0.5, 1};

    if (s->cfg->distil != DUNE_DISTIL_AUTO)
        return 0;
    return add_with(s, v, "soft labels", set_distil, share, DUNE_ARRAY_LEN(share), d);
}

/* Instead of the pseudo-flows of the prior, which do the same with less sense. */
static void set_shrink(struct dune_fit_cfg *c, double flows)
{
    c->shrink = flows;
    c->smooth = DUNE_MIN(c->smooth, 0.1);
}

int dune_variants_add_shrunk(struct dune_search *s, struct dune_variants *v, struct dune_diag *d)
{
    static const double flows[] = {4, 15, 40};

    return add_with(s, v, "shrunk leaves", set_shrink, flows, DUNE_ARRAY_LEN(flows), d);
}

unsigned dune_variants_best(const struct dune_variants *v)
{
    unsigned best = v->from;

    for (unsigned i = v->from + 1; i < v->n; i++)
        if (v->score[i] > v->score[best])
            best = i;
    return best;
}

/* Mean over the layouts, and the worst of them. */
static int judged(struct dune_search *s, const struct dune_chain_spec *spec, double *mean, double *worst,
                  struct dune_diag *d)
{
    unsigned n = dune_search_n_judges(s);
    int rc = 0;

    *mean = 0;
    *worst = 1;
    for (unsigned i = n; rc == 0 && i >= 1; i--) {
        struct dune_f1 f1 = {0};

        rc = dune_search_change_folds(s, i, d);
        if (rc == 0)
            rc = dune_search_score(s, spec, &f1, d);
        *mean += f1.macro / n;
        *worst = DUNE_MIN(*worst, f1.macro);
    }
    return rc;
}

int dune_variants_pick(struct dune_search *s, struct dune_variants *v, struct dune_chain_spec *best,
                       double *macro, struct dune_diag *d)
{
    double worst = 0;
    int rc = 0;

    *macro = -1;
    for (unsigned i = 0; rc == 0 && i < v->n; i++) {
        double mean, low;

        rc = judged(s, &v->spec[i], &mean, &low, d);
        v->judged[i] = mean;
        if (i == 0 || mean > *macro + EQUAL || (mean > *macro - EQUAL && low > worst)) {
            *best = v->spec[i];
            *macro = mean;
            worst = low;
        }
    }
    return rc;
}

static void note_variants(const struct dune_variants *v, struct dune_candidate *note)
{
    note->n_variants = v->n;
    for (unsigned i = 0; i < v->n; i++) {
        note->variant[i].step = v->step[i];
        note->variant[i].score = v->score[i];
        note->variant[i].judged = v->judged[i];
    }
}

int dune_choice_start(struct dune_search *s, struct dune_choice *c, struct dune_variants *one,
                      struct dune_diag *d)
{
    int rc = dune_variants_pick(s, one, &c->one, &c->score, d);

    c->spec = c->one;
    s->candidate[s->n_candidates] = (struct dune_candidate){.name = "one device", .n_blocks = 1, .taken = true,
                                                            .macro = c->score};
    note_variants(one, &s->candidate[s->n_candidates++]);
    return rc;
}

int dune_choice_challenge(struct dune_search *s, struct dune_choice *c, const char *name,
                          struct dune_variants *rival, const char *barred, struct dune_diag *d)
{
    struct dune_candidate *note = &s->candidate[s->n_candidates++];
    struct dune_interval gain = {0};
    struct dune_chain_spec spec;
    double macro;
    int rc = dune_variants_pick(s, rival, &spec, &macro, d);

    *note = (struct dune_candidate){.name = name, .n_blocks = spec.n_blocks, .macro = macro, .barred = barred};
    note_variants(rival, note);
    if (rc == 0)
        rc = dune_search_compare(s, &spec, &c->one, &note->gain, d);
    if (rc || barred)
        return rc;
    if (macro > c->rival_score) {
        c->rival = spec;
        c->rival_score = macro;
    }
    rc = dune_search_compare(s, &spec, &c->spec, &gain, d);
    if (rc == 0 && macro > c->score && gain.mean > 2 * gain.se) {
        for (unsigned i = 0; i < s->n_candidates; i++)
            s->candidate[i].taken = false;
        note->taken = true;
        c->spec = spec;
        c->score = macro;
    }
    return rc;
}
