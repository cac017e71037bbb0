/* SPDX-License-Identifier: Apache-2.0 */
/* Which features the chain uses, and for what. */
#include <math.h>
#include <string.h>

#include "report/report_int.h"

enum { MAX_SUBS = 32 };

static void share_figure(const struct report_solution *s, struct report_doc *d)
{
    const json_t *list = json_object_get(s->notes, "features"), *f;
    struct chart_bar bar[DUNE_N_FEATURES];
    struct chart_bars c = {.title = "Feature use", .unit = "% of the impurity decrease, mean over sub-models", .bar = bar, .decimals = 1,
                           .desc = "Share of each feature in the impurity decrease."};
    struct dune_buf svg = {0};
    size_t i;

    json_array_foreach(list, i, f)
        if (i < DUNE_N_FEATURES)
            bar[c.n++] = (struct chart_bar){report_string(f, "feature"), 100 * report_number(f, "share"), 0};
    chart_bars_svg(&svg, &c);
    report_figure(d, "share", "Share of each feature in what the trees learn (impurity decrease), mean over the sub-models.", &svg);
}

/* Thresholds of every feature in every sub-model of the plan: what the tables hold. */
static void threshold_figure(const struct dune_plan *p, struct report_doc *d)
{
    size_t n_cols = DUNE_MIN(p->n_submodels, MAX_SUBS), n = 0;
    double *v = DUNE_NEW_N(double, DUNE_N_FEATURES * MAX_SUBS);
    const char *row[DUNE_N_FEATURES], *col[MAX_SUBS];
    char text[MAX_SUBS][24];
    struct dune_buf svg = {0};

    for (size_t k = 0; k < n_cols; k++) {
        snprintf(text[k], sizeof(text[k]), "sub-model %u", p->sub[k].id);
        col[k] = text[k];
    }
    for (unsigned f = 0; f < DUNE_N_FEATURES; f++) {
        bool used = false;

        for (size_t k = 0; k < n_cols; k++) {
            v[n * n_cols + k] = NAN;
            for (uint32_t j = 0; j < p->sub[k].n_feats; j++)
                if (p->sub[k].feat[j].feat == f) {
                    v[n * n_cols + k] = p->sub[k].feat[j].n_rows - 1;
                    used = true;
                }
        }
        if (used)
            row[n++] = dune_catalog[f].name;
    }
    chart_heat_svg(&svg, &(struct chart_heat){.title = "Thresholds per feature and sub-model", .unit = "thresholds", .n_rows = n,
                   .desc = "How many thresholds each sub-model has on each feature.", .n_cols = n_cols, .row = row, .col = col, .v = v,
                   .root = true});
    report_figure(d, "thresholds", "How finely each sub-model cuts each feature: its number of distinct thresholds, which is the number "
                                   "of rows of its feature table less one.", &svg);
    dune_mem_free(v);
}

static void feature_table(const struct report_solution *s, struct report_doc *d)
{
    static const char *const heads[] = {"feature", ">share %", ">sub-models", ">thresholds"};
    const json_t *list = json_object_get(s->notes, "features"), *f;
    size_t i;

    report_table(d, "Features of the chain, by use", DUNE_ARRAY_LEN(heads), heads);
    json_array_foreach(list, i, f) {
        const char *name = report_string(f, "feature");
        uint32_t thresholds = 0;

        if (i == DUNE_N_FEATURES)
            break;
        for (uint32_t k = 0; k < s->plan->n_submodels; k++)
            for (uint32_t j = 0; j < s->plan->sub[k].n_feats; j++)
                if (strcmp(dune_catalog[s->plan->sub[k].feat[j].feat].name, name) == 0)
                    thresholds += s->plan->sub[k].feat[j].n_rows - 1;
        report_cell(d, "%s", name);
        report_cell(d, "%s", report_percent(report_number(f, "share")));
        report_cell(d, "%zu", json_array_size(json_object_get(f, "blocks")));
        report_cell(d, "%u", thresholds);
    }
    report_table_end(d);
}

void report_features(const struct report *r, struct report_doc *d)
{
    const struct report_solution *s = r->chain >= 0 ? &r->sol[r->chain] : NULL;
    bool notes;

    if (!s || !s->plan || !s->plan->n_submodels) {
        report_lack(d, "features: there is no plan with sub-models in plans/.");
        return;
    }
    notes = json_object_get(json_array_get(json_object_get(s->notes, "features"), 0), "share") != NULL;
    report_row(d, true);
    if (notes)
        share_figure(s, d);
    threshold_figure(s->plan, d);
    report_row(d, false);
    if (notes)
        feature_table(s, d);
    else
        report_lack(d, "share of each feature: choice/%s.json has no notes of the planner.", s->name);
}
