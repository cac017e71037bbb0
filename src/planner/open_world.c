/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traffic of no known class: thresholds for a wanted precision, what coverage they cost, and how often a
 * class that nobody learnt is claimed as another one.
 */
#include <string.h>

#include "base/base.h"
#include "planner/planner_int.h"

enum { CURVE_STEP = 8, LEVELS = 256 };
/* Wrong pseudo-flows on top of what was seen: a few lucky flows are no precision. */
#define DOUBT (2 * (double)DUNE_WEIGHT_ONE)

/* Weight that class c was given at each confidence, out of fold; right: where that is the truth. */
struct levels {
    uint64_t said[LEVELS], right[LEVELS];
};

/* Confidence of the answer that wins where nothing is refused; votes add up, in 8 bits. */
static unsigned winning_conf(const struct dune_item_answer *const *col, size_t item, unsigned n, uint16_t cls,
                             enum dune_claim_rule rule)
{
    unsigned claim = 0, any = 0, sum = 0;
    bool claimed = false;

    for (unsigned b = 0; b < n; b++) {
        const struct dune_item_answer *a = &col[b][item];

        if (a->cls != cls)
            continue;
        any = DUNE_MAX(any, a->conf);
        sum += a->conf;
        if (a->claim) {
            claim = DUNE_MAX(claim, a->conf);
            claimed = true;
        }
    }
    if (rule == DUNE_CLAIM_VOTES)
        return DUNE_MIN(sum, LEVELS - 1);
    return claimed ? claim : any;
}

/* fold: 255 takes all folds, else all but that one. */
static int count_levels(struct dune_search *s, const struct dune_chain_spec *spec, unsigned without,
                        struct levels *of_class, struct dune_diag *d)
{
    const struct dune_item_answer *col[DUNE_MAX_BLOCKS];
    struct dune_chain_rule open = spec->rule;
    const uint8_t *fold = dune_cv_fold(s->cv);
    uint8_t id[DUNE_MAX_BLOCKS];
    int rc = dune_search_columns(s, spec, col, d);

    if (rc)
        return rc;
    for (unsigned b = 0; b < DUNE_MAX_BLOCKS; b++)
        id[b] = (uint8_t)b;
    open.min_confidence = NULL;
    memset(of_class, 0, s->space->n_classes * sizeof(*of_class));
    for (size_t i = 0; i < s->space->n_items; i++) {
        uint32_t k = s->space->item_flow[i];
        uint16_t cls;
        unsigned conf;

        if (!dune_cv_scored(s->cv)[k] || fold[k] == without)
            continue;
        cls = dune_chain_decide(col, i, id, spec->n_blocks, &open);
        if (cls == DUNE_NO_CLASS)
            continue;
        conf = winning_conf(col, i, spec->n_blocks, cls, open.claim);
        of_class[cls].said[conf] += s->space->item_w[i];
        of_class[cls].right[conf] += cls == s->space->item_cls[i] ? s->space->item_w[i] : 0;
    }
    return 0;
}

/* The lowest threshold that reaches the precision; where none does, the one with the highest. */
static uint8_t choose_level(const struct levels *l, double precision, bool *reached)
{
    uint64_t said = 0, right = 0;
    double best = -1;
    unsigned best_at = 0, at = LEVELS;

    for (unsigned t = LEVELS; t-- > 0;) {
        double p;

        said += l->said[t];
        right += l->right[t];
        p = (double)right / ((double)said + DOUBT);
        if (p >= precision)
            at = t;
        if (l->said[t] && p > best) {
            best = p;
            best_at = t;
        }
    }
    *reached = at < LEVELS;
    return (uint8_t)(*reached ? at : best_at);
}

int dune_search_thresholds(struct dune_search *s, const struct dune_chain_spec *spec, unsigned without,
                           double precision, uint8_t *min_confidence, uint8_t *reached, struct dune_diag *d)
{
    struct levels *l = DUNE_NEW_N(struct levels, s->space->n_classes);
    int rc = count_levels(s, spec, without, l, d);

    memset(min_confidence, 0, s->space->n_classes + 1);
    for (unsigned c = 0; rc == 0 && c < s->space->n_classes; c++) {
        bool enough;

        min_confidence[c] = choose_level(&l[c], precision, &enough);
        if (reached)
            reached[c] = enough;
    }
    dune_mem_free(l);
    return rc;
}

static void put_number(struct dune_jsonw *w, const char *key, double v)
{
    dune_jsonw_key(w, key);
    dune_jsonw_fixed(w, v, 4);
}

/* Share of the claimed weight that is right. */
static double precision_of(const struct dune_confusion *c)
{
    uint64_t said = 0, right = 0;

    for (uint32_t t = 0; t < c->n_classes; t++)
        for (uint32_t p = 0; p < c->n_classes; p++) {
            said += c->cell[(size_t)t * (c->n_classes + 1) + p];
            right += t == p ? c->cell[(size_t)t * (c->n_classes + 1) + p] : 0;
        }
    return said ? (double)right / (double)said : 0;
}

/* false_claims: of classes that nobody learnt; below 0: not known. */
static void put_point(struct dune_jsonw *w, const char *key, unsigned at, const struct dune_confusion *c,
                      double false_claims)
{
    struct dune_f1 f = dune_f1_score(c, DUNE_WEIGHT_ONE, NULL);

    dune_jsonw_obj_inline(w);
    if (key) {
        dune_jsonw_key(w, key);
        dune_jsonw_uint(w, at);
    }
    put_number(w, "coverage", f.coverage);
    put_number(w, "precision", precision_of(c));
    put_number(w, "macro", f.macro);
    if (false_claims >= 0)
        put_number(w, "false_claims", false_claims);
    dune_jsonw_end(w);
}

/* One threshold for all classes, from none to the highest; false_claims: of each point, or NULL. */
static int put_curve(struct dune_search *s, const struct dune_chain_spec *spec, const double *false_claims,
                     struct dune_jsonw *w, struct dune_diag *d)
{
    uint8_t *bar = DUNE_NEW_N(uint8_t, s->space->n_classes + 1);
    struct dune_chain_spec next = *spec;
    struct dune_confusion c;
    int rc = 0;

    next.rule.min_confidence = bar;
    dune_confusion_init(&c, s->space->n_classes);
    dune_jsonw_key(w, "curve");
    dune_jsonw_arr(w);
    for (unsigned t = 0; rc == 0 && t < LEVELS; t += CURVE_STEP) {
        memset(bar, (int)t, s->space->n_classes + 1);
        rc = dune_search_confusion(s, &next, &c, d);
        if (rc == 0)
            put_point(w, "min_confidence", t, &c, false_claims ? false_claims[t / CURVE_STEP] : -1);
    }
    dune_jsonw_end(w);
    dune_confusion_fini(&c);
    dune_mem_free(bar);
    return rc;
}

/* What thresholds for this precision give on folds they were not chosen on. */
static int put_wanted(struct dune_search *s, const struct dune_chain_spec *spec, double precision,
                      struct dune_jsonw *w, struct dune_diag *d)
{
    const struct dune_space *sp = s->space;
    uint8_t *bar = DUNE_NEW_N(uint8_t, sp->n_classes + 1), *mask = dune_mem_zalloc((size_t)sp->n_flows + sp->n_classes, 1);
    const struct dune_item_answer *col[DUNE_MAX_BLOCKS];
    struct dune_chain_rule rule = spec->rule;
    uint8_t id[DUNE_MAX_BLOCKS];
    struct dune_confusion c;
    int rc = dune_search_columns(s, spec, col, d);

    for (unsigned b = 0; b < DUNE_MAX_BLOCKS; b++)
        id[b] = (uint8_t)b;
    rule.min_confidence = bar;
    dune_confusion_init(&c, sp->n_classes);
    for (unsigned f = 0; rc == 0 && f < dune_cv_k(s->cv); f++) {
        rc = dune_search_thresholds(s, spec, f, precision, bar, NULL, d);
        for (uint32_t k = 0; k < sp->n_flows; k++)
            mask[k] = dune_cv_fold(s->cv)[k] == f;
        if (rc == 0)
            dune_chain_confusion(sp, col, id, spec->n_blocks, &rule, mask, false, &c);
    }
    if (rc == 0) {
        put_number(w, "wanted_precision", precision);
        dune_jsonw_key(w, "reached");
        put_point(w, NULL, 0, &c, -1);
        rc = dune_search_thresholds(s, spec, 255, precision, bar, mask, d); /* mask: room for the classes */
    }
    if (rc == 0) {
        dune_jsonw_key(w, "not_reached");
        dune_jsonw_arr_inline(w);
        for (unsigned i = 0; i < s->n_cls; i++)
            if (!mask[s->cls[i]])
                dune_jsonw_str(w, sp->ds->class_name[s->cls[i]]);
        dune_jsonw_end(w);
    }
    dune_confusion_fini(&c);
    dune_mem_free(bar);
    dune_mem_free(mask);
    return rc;
}

static void put_thresholds(const struct dune_search *s, const struct dune_chain_spec *spec,
                           struct dune_jsonw *w)
{
    dune_jsonw_key(w, "min_confidence");
    dune_jsonw_obj(w);
    for (unsigned i = 0; i < s->n_cls; i++) {
        dune_jsonw_key(w, s->space->ds->class_name[s->cls[i]]);
        dune_jsonw_uint(w, spec->rule.min_confidence ? spec->rule.min_confidence[s->cls[i]] : 0);
    }
    dune_jsonw_end(w);
}

/* --- classes nobody learnt --------------------------------------------------------------------------- */
/* The chain without class c anywhere; sub-models that owned nothing else are gone. */
static struct dune_chain_spec forget(const struct dune_chain_spec *spec, unsigned c)
{
    struct dune_chain_spec out = *spec;

    out.n_blocks = 0;
    for (unsigned b = 0; b < spec->n_blocks; b++) {
        struct dune_class_set left = spec->block[b];
        uint64_t any = 0;

        if (dune_class_set_has(&left, c))
            dune_class_set_flip(&left, c);
        for (int i = 0; i < DUNE_CLASS_WORDS; i++)
            any |= left.word[i];
        if (!any)
            continue;
        out.block[out.n_blocks] = left;
        out.cfg[out.n_blocks++] = spec->cfg[b];
    }
    return out;
}

/* A class that was left out: its weight by the class it is claimed as, [n_classes + 1] (last: not at all), and what is
 * claimed at each point of the curve. */
struct unknown {
    unsigned cls;
    uint64_t *as;
    uint64_t claimed[LEVELS / CURVE_STEP];
};

static void count_claims(const struct dune_space *sp, const struct dune_chain_spec *spec,
                         struct dune_item_answer *const *col, const uint8_t *held, struct unknown *u)
{
    const struct dune_item_answer *const *answer = (const struct dune_item_answer *const *)col;
    uint8_t *bar = DUNE_NEW_N(uint8_t, sp->n_classes + 1), id[DUNE_MAX_BLOCKS];
    struct dune_chain_rule at = spec->rule;

    for (unsigned b = 0; b < DUNE_MAX_BLOCKS; b++)
        id[b] = (uint8_t)b;
    for (size_t i = 0; i < sp->n_items; i++)
        if (held[sp->item_flow[i]]) {
            uint16_t said = dune_chain_decide(answer, i, id, spec->n_blocks, &spec->rule);

            u->as[DUNE_MIN(said, sp->n_classes)] += sp->item_w[i];
        }
    at.min_confidence = bar;
    for (unsigned t = 0; t < LEVELS; t += CURVE_STEP) {
        memset(bar, (int)t, sp->n_classes + 1);
        for (size_t i = 0; i < sp->n_items; i++)
            if (held[sp->item_flow[i]] && dune_chain_decide(answer, i, id, spec->n_blocks, &at) != DUNE_NO_CLASS)
                u->claimed[t / CURVE_STEP] += sp->item_w[i];
    }
    dune_mem_free(bar);
}

static uint64_t weight_of(const struct dune_space *sp, const struct unknown *u)
{
    uint64_t total = 0;

    for (unsigned k = 0; k <= sp->n_classes; k++)
        total += u->as[k];
    return total;
}

static void put_claims(const struct dune_space *sp, const struct unknown *u, bool background, struct dune_jsonw *w)
{
    uint64_t total = weight_of(sp, u);
    unsigned most = 0;

    for (unsigned k = 0; k < sp->n_classes; k++)
        most = u->as[k] > u->as[most] ? k : most;
    dune_jsonw_obj_inline(w);
    dune_jsonw_key(w, "class");
    dune_jsonw_str(w, sp->ds->class_name[u->cls]);
    put_number(w, "flows", (double)total / (double)DUNE_WEIGHT_ONE);
    put_number(w, "false_claims", total ? 1 - (double)u->as[sp->n_classes] / (double)total : 0);
    dune_jsonw_key(w, "mostly_as");
    dune_jsonw_str(w, u->as[most] ? sp->ds->class_name[most] : NULL);
    put_number(w, "mostly_as_share", total ? (double)u->as[most] / (double)total : 0);
    if (background) {
        dune_jsonw_key(w, "background");
        dune_jsonw_bool(w, true);
    }
    dune_jsonw_end(w);
}

static int leave_out(struct dune_search *s, const struct dune_chain_spec *spec, struct unknown *u, struct dune_diag *d)
{
    const struct dune_space *sp = s->space;
    struct dune_chain_spec rest = forget(spec, u->cls);
    uint8_t *train = dune_mem_alloc(sp->n_flows, 1), *held = dune_mem_alloc(sp->n_flows, 1);
    struct dune_item_answer *col[DUNE_MAX_BLOCKS];
    int rc;

    for (uint32_t k = 0; k < sp->n_flows; k++) {
        held[k] = sp->ds->flow_class[sp->flow[k]] == u->cls;
        train[k] = !held[k];
    }
    for (unsigned b = 0; b < rest.n_blocks; b++)
        col[b] = dune_mem_alloc(sp->n_items, sizeof(*col[b]));
    rc = dune_search_fit_parts(s, &rest, 1, &train, &held, col, d);
    if (rc == 0)
        count_claims(sp, &rest, col, held, u);
    for (unsigned b = 0; b < rest.n_blocks; b++)
        dune_mem_free(col[b]);
    dune_mem_free(train);
    dune_mem_free(held);
    return rc;
}

/* False claims of each point of the curve: mean over the classes that were left out, each weighs the same. */
static void mean_claims(const struct dune_space *sp, const struct unknown *u, unsigned n, double *mean)
{
    for (unsigned i = 0; i < n; i++)
        for (unsigned t = 0; t < LEVELS / CURVE_STEP; t++)
            mean[t] += (double)u[i].claimed[t] / (double)weight_of(sp, &u[i]) / n;
}

static bool is_background(const struct dune_search *s, unsigned c)
{
    return s->cfg->background && strcmp(s->space->ds->class_name[c], s->cfg->background) == 0;
}

/* The classes to leave out, each measured. */
static int measure_unknown(struct dune_search *s, const struct dune_chain_spec *spec, struct unknown *u, unsigned *n,
                           struct dune_diag *d)
{
    int rc = 0;

    *n = 0;
    for (unsigned i = 0; rc == 0 && i < s->n_cls && s->n_cls > 2; i++) {
        if (!s->cfg->open_world && !is_background(s, s->cls[i]))
            continue;
        u[*n].cls = s->cls[i];
        u[*n].as = DUNE_NEW_N(uint64_t, s->space->n_classes + 1);
        rc = leave_out(s, spec, &u[(*n)++], d);
    }
    return rc;
}

int dune_search_open_world(struct dune_search *s, const struct dune_chain_spec *spec, struct dune_jsonw *w,
                           struct dune_diag *d)
{
    struct unknown *u = DUNE_NEW_N(struct unknown, s->n_cls);
    double mean[LEVELS / CURVE_STEP] = {0};
    unsigned n;
    int rc = measure_unknown(s, spec, u, &n, d);

    mean_claims(s->space, u, rc ? 0 : n, mean);
    dune_jsonw_obj(w);
    put_thresholds(s, spec, w);
    if (rc == 0 && s->cfg->want_precision > 0)
        rc = put_wanted(s, spec, s->cfg->want_precision, w, d);
    if (rc == 0)
        rc = put_curve(s, spec, n ? mean : NULL, w, d);
    if (rc == 0) {
        dune_jsonw_key(w, "left_out");
        dune_jsonw_arr(w);
        for (unsigned i = 0; i < n; i++)
            put_claims(s->space, &u[i], is_background(s, u[i].cls), w);
        dune_jsonw_end(w);
        dune_jsonw_end(w);
    }
    for (unsigned i = 0; i < n; i++)
        dune_mem_free(u[i].as);
    dune_mem_free(u);
    return rc;
}
