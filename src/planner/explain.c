/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why the chosen chain looks as it does: what is in its blocks, what each sub-model is worth, which
 * mistakes of one device are gone, and what distribution gained. All scores are out of fold.
 */
#include <string.h>

#include "base/base.h"
#include "planner/planner_int.h"

enum { MAX_RESOLVED = 5 };

struct explain {
    struct dune_search *s;
    const struct dune_chain_spec *spec, *one;
    struct dune_confusion of_spec, of_one;
    struct dune_confusion of_open; /* of the chain without thresholds: refusing is no resolving */
    struct dune_fit *fit[DUNE_MAX_BLOCKS]; /* on all train flows, as in the plan */
    const struct dune_saving *saving;
    struct dune_jsonw w;
};

int dune_search_confusion(struct dune_search *s, const struct dune_chain_spec *spec,
                          struct dune_confusion *out, struct dune_diag *d)
{
    const struct dune_item_answer *col[DUNE_MAX_BLOCKS];
    uint8_t id[DUNE_MAX_BLOCKS];
    int rc = dune_search_columns(s, spec, col, d);

    for (unsigned b = 0; b < DUNE_MAX_BLOCKS; b++)
        id[b] = (uint8_t)b;
    dune_confusion_clear(out);
    if (rc == 0)
        dune_chain_confusion(s->space, col, id, spec->n_blocks, &spec->rule, dune_cv_scored(s->cv), false, out);
    return rc;
}

static const char *class_name(const struct explain *e, unsigned c)
{
    return e->s->space->ds->class_name[c];
}

static double flows(uint64_t w)
{
    return (double)w / (double)DUNE_WEIGHT_ONE;
}

static void put_number(struct dune_jsonw *w, const char *key, double v)
{
    dune_jsonw_key(w, key);
    dune_jsonw_fixed(w, v, 4);
}

static void put_f1(struct dune_jsonw *w, const char *key, const struct dune_confusion *c)
{
    struct dune_f1 f = dune_f1_score(c, DUNE_WEIGHT_ONE, NULL);

    dune_jsonw_key(w, key);
    dune_jsonw_obj_inline(w);
    put_number(w, "macro", f.macro);
    put_number(w, "weighted", f.weighted);
    put_number(w, "micro", f.micro);
    put_number(w, "coverage", f.coverage);
    dune_jsonw_end(w);
}

/* --- does distribution pay? ------------------------------------------------------------------------ */
static void put_verdict(struct explain *e, const struct dune_interval *gain, unsigned n)
{
    char *text;

    if (e->spec->n_blocks > 1)
        text = dune_mem_printf("%u devices are worth %.1f points of macro F1 (standard error %.1f)", n,
                               100 * gain->mean, 100 * gain->se);
    else if (n > 1)
        text = dune_mem_printf("distribution does not pay here: the best chain of %u gains %.1f points of "
                               "macro F1, less than two standard errors of %.1f", n, 100 * gain->mean,
                               100 * gain->se);
    else
        text = dune_mem_strdup("one device was all there was to choose");
    dune_jsonw_put_str(&e->w, "verdict", text);
    dune_mem_free(text);
}

static int put_distribution(struct explain *e, struct dune_diag *d)
{
    static const char *const claim[] = {"first", "best", "votes"};
    const struct dune_chain_spec *many = e->spec->n_blocks > 1 ? e->spec : e->s->rival;
    struct dune_chain_spec a = many ? *many : *e->one, b = *e->one;
    struct dune_interval gain = {0}, score;
    int rc = dune_search_compare(e->s, e->spec, NULL, &score, d);

    a.rule.min_confidence = b.rule.min_confidence = NULL; /* as they were compared */
    if (rc == 0 && many)
        rc = dune_search_compare(e->s, &a, &b, &gain, d);
    if (rc)
        return rc;
    dune_jsonw_key(&e->w, "distribution");
    dune_jsonw_obj(&e->w);
    dune_jsonw_put_str(&e->w, "claim", claim[e->spec->rule.claim]);
    dune_jsonw_put_uint(&e->w, "submodels", e->spec->n_blocks);
    dune_jsonw_put_uint(&e->w, "compared", many ? many->n_blocks : 1);
    put_number(&e->w, "gain", gain.mean);
    put_number(&e->w, "standard_error", gain.se);
    put_number(&e->w, "low", gain.lo);
    put_number(&e->w, "high", gain.hi);
    put_verdict(e, &gain, many ? many->n_blocks : 1);
    dune_jsonw_end(&e->w);
    put_f1(&e->w, "score", &e->of_spec);
    dune_jsonw_key(&e->w, "score_interval");
    dune_jsonw_obj_inline(&e->w);
    put_number(&e->w, "low", score.lo);
    put_number(&e->w, "high", score.hi);
    put_number(&e->w, "standard_error", score.se);
    dune_jsonw_end(&e->w);
    put_f1(&e->w, "one_device", &e->of_one);
    return 0;
}

static void put_variants(struct explain *e, const struct dune_candidate *c)
{
    dune_jsonw_key(&e->w, "variants");
    dune_jsonw_arr_inline(&e->w);
    for (unsigned i = 0; i < c->n_variants; i++) {
        dune_jsonw_obj_inline(&e->w);
        dune_jsonw_put_str(&e->w, "step", c->variant[i].step);
        put_number(&e->w, "search", c->variant[i].score);
        put_number(&e->w, "macro", c->variant[i].judged);
        dune_jsonw_end(&e->w);
    }
    dune_jsonw_end(&e->w);
}

/* The finalists on the folds that judge. */
static void put_candidates(struct explain *e)
{
    dune_jsonw_key(&e->w, "candidates");
    dune_jsonw_arr(&e->w);
    for (unsigned i = 0; i < e->s->n_candidates; i++) {
        const struct dune_candidate *c = &e->s->candidate[i];

        dune_jsonw_obj_inline(&e->w);
        dune_jsonw_put_str(&e->w, "candidate", c->name);
        dune_jsonw_put_uint(&e->w, "submodels", c->n_blocks);
        put_number(&e->w, "macro", c->macro);
        put_number(&e->w, "gain", c->gain.mean);
        put_number(&e->w, "standard_error", c->gain.se);
        dune_jsonw_key(&e->w, "taken");
        dune_jsonw_bool(&e->w, c->taken);
        if (c->barred)
            dune_jsonw_put_str(&e->w, "barred", c->barred);
        put_variants(e, c);
        dune_jsonw_end(&e->w);
    }
    dune_jsonw_end(&e->w);
}

static void put_saving(struct explain *e)
{
    dune_jsonw_key(&e->w, "work");
    dune_jsonw_obj_inline(&e->w);
    dune_jsonw_put_uint(&e->w, "early_exit", e->spec->rule.early_exit);
    put_number(&e->w, "submodels_asked", e->saving->visits);
    dune_jsonw_put_uint(&e->w, "submodels", e->spec->n_blocks);
    dune_jsonw_end(&e->w);
}

/* --- blocks ------------------------------------------------------------------------------------------ */
void dune_notes_settings(struct dune_jsonw *w, const struct dune_fit_cfg *c)
{
    static const char *const select[] = {"rfe", "nested", "wrap"};

    dune_jsonw_key(w, "settings");
    dune_jsonw_obj_inline(w);
    dune_jsonw_put_uint(w, "n", c->n);
    dune_jsonw_put_str(w, "phase", dune_mode_name(c->mode));
    dune_jsonw_put_uint(w, "trees", c->n_trees ? c->n_trees : 1);
    dune_jsonw_put_uint(w, "max_leaves", c->max_leaves);
    dune_jsonw_put_uint(w, "max_features", c->max_features);
    dune_jsonw_put_str(w, "select", select[c->select]);
    put_number(w, "min_leaf", c->min_leaf);
    put_number(w, "balance", c->balance);
    put_number(w, "other_weight", c->other_weight > 0 ? c->other_weight : 1);
    put_number(w, "leaf_other", c->leaf_other > 0 ? c->leaf_other : 1);
    put_number(w, "smooth", c->smooth);
    put_number(w, "shrink", c->shrink);
    put_number(w, "spare", c->spare);
    put_number(w, "distil", c->distil);
    dune_jsonw_end(w);
}

/* The chain without sub-model b. */
static int put_drop(struct explain *e, unsigned b, struct dune_diag *d)
{
    double whole = dune_f1_score(&e->of_spec, DUNE_WEIGHT_ONE, NULL).macro, macro = 0;
    struct dune_chain_spec rest = *e->spec;
    struct dune_confusion c;
    int rc = 0;

    rest.n_blocks--;
    for (unsigned i = b; i < rest.n_blocks; i++) {
        rest.block[i] = rest.block[i + 1];
        rest.cfg[i] = rest.cfg[i + 1];
    }
    dune_confusion_init(&c, e->s->space->n_classes);
    if (rest.n_blocks)
        rc = dune_search_confusion(e->s, &rest, &c, d);
    if (rc == 0 && rest.n_blocks)
        macro = dune_f1_score(&c, DUNE_WEIGHT_ONE, NULL).macro;
    dune_confusion_fini(&c);
    if (rc)
        return rc;
    put_number(&e->w, "macro_without", macro);
    put_number(&e->w, "worth", whole - macro);
    return 0;
}

static uint64_t cell(const struct dune_confusion *c, unsigned truth, unsigned said)
{
    return c->cell[(size_t)truth * (c->n_classes + 1) + said];
}

/* Flows of `truth` taken for `said` by one device and no longer by the chain. */
static int64_t fall(const struct explain *e, unsigned truth, unsigned said)
{
    return (int64_t)cell(&e->of_one, truth, said) - (int64_t)cell(&e->of_open, truth, said);
}

/* The mistakes about classes of block b that fell most against one device. */
static void put_resolved(struct explain *e, unsigned b)
{
    unsigned n = e->s->space->n_classes;
    uint8_t *done = DUNE_NEW_N(uint8_t, (size_t)n * n);

    dune_jsonw_key(&e->w, "resolves");
    dune_jsonw_arr(&e->w);
    for (unsigned k = 0; e->spec->rule.claim != DUNE_CLAIM_VOTES && k < MAX_RESOLVED; k++) {
        unsigned t = 0, p = 0;
        int64_t most = (int64_t)(DUNE_WEIGHT_ONE / 2);

        for (unsigned i = 0; i < n; i++)
            for (unsigned j = 0; dune_class_set_has(&e->spec->block[b], i) && j < n; j++)
                if (i != j && !done[i * n + j] && fall(e, i, j) > most) {
                    most = fall(e, t = i, p = j);
                }
        if (t == p)
            break;
        done[t * n + p] = 1;
        dune_jsonw_obj_inline(&e->w);
        dune_jsonw_put_str(&e->w, "class", class_name(e, t));
        dune_jsonw_put_str(&e->w, "taken_for", class_name(e, p));
        put_number(&e->w, "one_device_flows", flows(cell(&e->of_one, t, p)));
        put_number(&e->w, "flows", flows(cell(&e->of_open, t, p)));
        dune_jsonw_end(&e->w);
    }
    dune_jsonw_end(&e->w);
    dune_mem_free(done);
}

static int put_block(struct explain *e, unsigned b, struct dune_diag *d)
{
    const struct dune_fit *f = e->fit[b];
    struct dune_chain_spec planned;
    uint32_t leaves = 0;
    int rc;

    for (uint32_t t = 0; t < f->forest->n_trees; t++)
        leaves += dune_tree_n_leaves(&f->forest->tree[t]);
    dune_jsonw_obj(&e->w);
    dune_jsonw_put_uint(&e->w, "id", b);
    dune_jsonw_key(&e->w, "classes");
    dune_jsonw_arr_inline(&e->w);
    for (uint32_t c = 0; c < f->n_classes; c++)
        dune_jsonw_str(&e->w, class_name(e, f->cls[c]));
    dune_jsonw_end(&e->w);
    dune_jsonw_key(&e->w, "features");
    dune_jsonw_arr_inline(&e->w);
    for (int j = 0; j < DUNE_N_FEATURES; j++)
        if (f->used >> j & 1)
            dune_jsonw_str(&e->w, dune_catalog[j].name);
    dune_jsonw_end(&e->w);
    dune_jsonw_put_uint(&e->w, "leaves", leaves);
    planned = dune_search_as_planned(e->s, e->spec);
    dune_notes_settings(&e->w, &planned.cfg[b]);
    rc = put_drop(e, b, d);
    put_resolved(e, b);
    if (rc == 0)
        rc = dune_notes_sizes(e->s, e->spec, b, &e->w, d);
    dune_jsonw_end(&e->w);
    return rc;
}

/* --- features, classes ----------------------------------------------------------------------------------- */
/* Share of each feature in the impurity decrease, mean over the sub-models, largest first. */
static void put_features(struct explain *e)
{
    double share[DUNE_N_FEATURES] = {0};
    dune_feature_mask done = 0;

    for (unsigned b = 0; b < e->spec->n_blocks; b++) {
        double gain[DUNE_N_FEATURES], sum = 0;

        dune_forest_feature_gain(e->fit[b]->forest, gain);
        for (int j = 0; j < DUNE_N_FEATURES; j++)
            sum += gain[j];
        for (int j = 0; sum > 0 && j < DUNE_N_FEATURES; j++)
            share[j] += gain[j] / sum / e->spec->n_blocks;
    }
    dune_jsonw_key(&e->w, "features");
    dune_jsonw_arr(&e->w);
    for (;;) {
        int best = -1;

        for (int j = 0; j < DUNE_N_FEATURES; j++)
            if (!(done >> j & 1) && share[j] > 0 && (best < 0 || share[j] > share[best]))
                best = j;
        if (best < 0)
            break;
        done |= UINT64_C(1) << best;
        dune_jsonw_obj_inline(&e->w);
        dune_jsonw_put_str(&e->w, "feature", dune_catalog[best].name);
        put_number(&e->w, "share", share[best]);
        dune_jsonw_key(&e->w, "blocks");
        dune_jsonw_arr_inline(&e->w);
        for (unsigned b = 0; b < e->spec->n_blocks; b++)
            if (e->fit[b]->used >> best & 1)
                dune_jsonw_uint(&e->w, b);
        dune_jsonw_end(&e->w);
        dune_jsonw_end(&e->w);
    }
    dune_jsonw_end(&e->w);
}

static void put_classes(struct explain *e)
{
    unsigned n = e->s->space->n_classes;
    struct dune_class_score *a = DUNE_NEW_N(struct dune_class_score, n);
    struct dune_class_score *b = DUNE_NEW_N(struct dune_class_score, n);

    dune_f1_score(&e->of_spec, DUNE_WEIGHT_ONE, a);
    dune_f1_score(&e->of_one, DUNE_WEIGHT_ONE, b);
    dune_jsonw_key(&e->w, "classes");
    dune_jsonw_arr(&e->w);
    for (unsigned c = 0; c < n; c++) {
        if (!a[c].present)
            continue;
        dune_jsonw_obj_inline(&e->w);
        dune_jsonw_put_str(&e->w, "class", class_name(e, c));
        put_number(&e->w, "flows", a[c].support);
        put_number(&e->w, "precision", a[c].precision);
        put_number(&e->w, "recall", a[c].recall);
        put_number(&e->w, "f1", a[c].f1);
        put_number(&e->w, "f1_one_device", b[c].f1);
        dune_jsonw_end(&e->w);
    }
    dune_jsonw_end(&e->w);
    dune_mem_free(a);
    dune_mem_free(b);
}

/* --- learning curve ---------------------------------------------------------------------------------------- */
static int put_learning(struct explain *e, struct dune_diag *d)
{
    static const double shares[][4] = {{0}, {0.25, 0.5, 0}, {0.125, 0.25, 0.5, 0.75}};
    const double *share = shares[e->s->cfg->effort];

    dune_jsonw_key(&e->w, "learning_curve");
    dune_jsonw_arr(&e->w);
    for (unsigned i = 0; i <= DUNE_ARRAY_LEN(shares[0]); i++) {
        bool all = i == DUNE_ARRAY_LEN(shares[0]);
        double macro = dune_f1_score(&e->of_spec, DUNE_WEIGHT_ONE, NULL).macro;
        int rc;

        if (!all && share[i] == 0)
            continue;
        if (!all) {
            rc = dune_search_learn(e->s, e->spec, share[i], &macro, d);
            if (rc)
                return rc;
        }
        dune_jsonw_obj_inline(&e->w);
        put_number(&e->w, "share", all ? 1 : share[i]);
        put_number(&e->w, "macro", macro);
        dune_jsonw_end(&e->w);
    }
    dune_jsonw_end(&e->w);
    return 0;
}

static int fit_blocks(struct explain *e, struct dune_diag *d)
{
    const struct dune_chain_spec planned = dune_search_as_planned(e->s, e->spec);
    int rc = dune_search_prepare(e->s, &planned, d);

    for (unsigned b = 0; rc == 0 && b < planned.n_blocks; b++)
        rc = dune_search_fit(e->s, &planned, b, &e->fit[b], d);
    return rc;
}

static void put_flows(struct explain *e)
{
    dune_jsonw_key(&e->w, "flows");
    dune_jsonw_obj_inline(&e->w);
    dune_jsonw_put_uint(&e->w, "searched", e->s->space->n_flows);
    dune_jsonw_put_uint(&e->w, "train", e->s->n_train);
    dune_jsonw_end(&e->w);
}

static int put_all(struct explain *e, struct dune_diag *d)
{
    int rc;

    dune_jsonw_obj(&e->w);
    put_flows(e);
    rc = put_distribution(e, d);
    if (rc)
        return rc;
    dune_notes_search(e->s, &e->w);
    put_candidates(e);
    put_saving(e);
    dune_jsonw_key(&e->w, "blocks");
    dune_jsonw_arr(&e->w);
    for (unsigned b = 0; rc == 0 && b < e->spec->n_blocks; b++)
        rc = put_block(e, b, d);
    if (rc)
        return rc;
    dune_jsonw_end(&e->w);
    put_features(e);
    rc = dune_notes_importance(e->s, e->fit, e->spec->n_blocks, &e->w, d);
    if (rc)
        return rc;
    put_classes(e);
    dune_jsonw_key(&e->w, "shortcuts");
    rc = dune_search_shortcuts(e->s, e->spec, dune_f1_score(&e->of_spec, DUNE_WEIGHT_ONE, NULL).macro, &e->w, d);
    if (rc == 0)
        rc = put_learning(e, d);
    if (rc == 0) {
        dune_jsonw_key(&e->w, "open_world");
        rc = dune_search_open_world(e->s, e->spec, &e->w, d);
    }
    if (rc == 0)
        dune_jsonw_end(&e->w);
    return rc;
}

int dune_search_explain(struct dune_search *s, const struct dune_chain_spec *chosen,
                        const struct dune_chain_spec *one, const struct dune_saving *saving,
                        struct dune_buf *json, struct dune_diag *d)
{
    struct explain e = {.s = s, .spec = chosen, .one = one, .saving = saving};
    struct dune_chain_spec open = *chosen;
    int rc;

    open.rule.min_confidence = NULL;
    dune_jsonw_init(&e.w, json);
    dune_confusion_init(&e.of_spec, s->space->n_classes);
    dune_confusion_init(&e.of_one, s->space->n_classes);
    dune_confusion_init(&e.of_open, s->space->n_classes);
    rc = dune_search_confusion(s, chosen, &e.of_spec, d);
    if (rc == 0)
        rc = dune_search_confusion(s, one, &e.of_one, d);
    if (rc == 0)
        rc = dune_search_confusion(s, &open, &e.of_open, d);
    if (rc == 0)
        rc = fit_blocks(&e, d);
    if (rc == 0)
        rc = put_all(&e, d);
    for (unsigned b = 0; b < chosen->n_blocks; b++)
        dune_fit_free(e.fit[b]);
    dune_confusion_fini(&e.of_spec);
    dune_confusion_fini(&e.of_one);
    dune_confusion_fini(&e.of_open);
    return rc;
}
