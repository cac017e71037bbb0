/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/model_cli.h"

#include <string.h>

struct config {
    const char *out, *scores, *intervals;
    struct cli_model_config model;
    unsigned method; /* enum dune_model_method */
    uint32_t repeats;
};

static const struct cli_option options[] = {
    {"output", 'o', CLI_STR, offsetof(struct config, out), "W.csv", NULL,
     "importance: class, then one column per feature", true},
    {"scores", 's', CLI_STR, offsetof(struct config, scores), "F.csv", NULL,
     "scores: class,f1,support on the validation part"},
    {"method", 'm', CLI_CHOICE, offsetof(struct config, method), "native|gini|shap|permutation", "native",
     "decrease of impurity in trees, contributions in XGBoost's, or fall of F1 when a column is shuffled; native: the "
     "first of these that the model has"},
    {"repeats", 0, CLI_U32, offsetof(struct config, repeats), "N", "5", "shuffles per column", .min = 1},
    {"intervals", 0, CLI_STR, offsetof(struct config, intervals), "FILE", NULL,
     "permutation: the fall of F1 and its 95 % interval over the shuffles, as CSV"},
    CLI_MODEL_OPTIONS(offsetof(struct config, model)),
};

/* The model, and the validation rows as it sees them. */
struct job {
    struct dune_model *m;
    struct dune_model *judged; /* speaks on the validation rows: m, or trained as m without their flows */
    struct dune_dataset *ds;
    struct dune_table t;
    uint8_t *part;     /* [n_flows] of dune_validation_make */
    uint64_t left_out; /* validation flows of classes that the model does not know */
    bool honest;       /* judged has not seen the validation flows */
};

static int build_rows(struct job *j, struct dune_diag *d)
{
    uint8_t *use = DUNE_NEW_N(uint8_t, j->ds->n_flows);
    int rc;

    j->part = DUNE_NEW_N(uint8_t, j->ds->n_flows);
    dune_validation_make(j->ds, j->part);
    for (uint64_t i = 0; i < j->ds->n_flows; i++)
        use[i] = j->part[i] == 1;
    rc = dune_model_table(&j->t, j->m, j->ds, use, &j->left_out, d);
    dune_mem_free(use);
    if (rc == 0 && j->t.n_rows == 0)
        rc = dune_diag_set(d, DUNE_E_INPUT, NULL, "the rows hold no validation flow of a class of the model");
    return rc;
}

static int refit_forest(struct job *j, const uint8_t *use, struct dune_diag *d)
{
    const struct dune_forest *f = j->m->forest;
    struct dune_model_spec spec = {.n = f->n, .mode = f->mode, .balance = f->recipe.balance, .train = f->recipe.train};
    struct dune_forest *g = NULL;
    int rc;

    for (uint32_t i = 0; i < f->n_feats; i++)
        spec.features |= (dune_feature_mask)1 << f->feat[i];
    spec.train.threads = j->m->cfg.threads;
    rc = dune_model_fit(&g, j->ds, &spec, use, d);
    if (rc == 0 && (g->n_feats != f->n_feats || g->n_classes != f->n_classes || memcmp(g->feat, f->feat, f->n_feats) != 0))
        rc = dune_diag_set(d, DUNE_E_INPUT, NULL, "the forest says it was trained on these rows, but their "
                           "features and classes are not its own");
    if (rc) {
        dune_forest_free(g);
        return rc;
    }
    j->judged = dune_model_of_forest(g, &j->m->cfg);
    return 0;
}

static int refit_xgboost(struct job *j, const struct dune_xgb_cfg *cfg, const uint8_t *use, struct dune_diag *d)
{
    dune_feature_mask features = 0;
    char *text;
    size_t len;
    int rc;

    for (uint32_t i = 0; i < j->m->n_feats; i++)
        features |= (dune_feature_mask)1 << j->m->feat[i];
    rc = dune_xgb_train(&text, &len, j->ds, j->m->n, j->m->mode, features, cfg, use, d);
    if (rc == 0)
        rc = dune_model_xgb_parse(&j->judged, j->m->name, text, len, &j->m->cfg, j->ds, d);
    dune_mem_free(text);
    return rc;
}

/*
 * A model that was trained on these very rows has seen the validation flows: one trained in the same way
 * on the other train flows is judged in its place.
 */
static int fit_judged(struct job *j, struct dune_diag *d)
{
    const struct dune_forest *f = j->m->forest;
    struct dune_xgb_cfg xc;
    uint8_t *use;
    int rc = 0;

    j->judged = j->m;
    use = DUNE_NEW_N(uint8_t, j->ds->n_flows);
    for (uint64_t i = 0; i < j->ds->n_flows; i++)
        use[i] = j->part[i] == 0;
    if (f && f->recipe.known && strcmp(f->recipe.rows, j->ds->hash) == 0)
        rc = refit_forest(j, use, d);
    else if (dune_xgb_version() && dune_xgb_recipe(j->m, j->ds, &xc))
        rc = refit_xgboost(j, &xc, use, d);
    j->honest = j->judged != j->m || (f && f->recipe.known);
    dune_mem_free(use);
    return rc;
}

static int load(struct job *j, const struct config *cfg, struct cli_ctx *ctx, struct dune_diag *d)
{
    int rc = dune_dataset_read(&j->ds, ctx->args[1], d);

    if (!rc)
        rc = cli_model_open(ctx, &cfg->model, ctx->args[0], j->ds, &j->m, d);
    if (!rc)
        rc = build_rows(j, d);
    return rc ? rc : fit_judged(j, d);
}

/* Ids of the features of class c, heaviest first. */
static void rank(const struct dune_importance *w, uint32_t c, uint32_t *order)
{
    const double *row = w->w + (size_t)c * w->n_feats;

    for (uint32_t i = 0; i < w->n_feats; i++) {
        uint32_t k = i;

        for (; k > 0 && row[order[k - 1]] < row[i]; k--)
            order[k] = order[k - 1];
        order[k] = i;
    }
}

static void print_text(struct cli_ctx *ctx, const struct dune_importance *w, const struct dune_scores *s)
{
    uint32_t *order = DUNE_NEW_N(uint32_t, w->n_feats + (size_t)1);
    struct cli_table t;

    cli_table_init(&t, 4, (const char *[]){"class", ">F1", ">flows", "owes most to"});
    for (uint32_t c = 0; c < w->n_classes; c++) {
        struct dune_buf top = {0};

        rank(w, c, order);
        for (uint32_t i = 0; i < DUNE_MIN(w->n_feats, 4); i++)
            if (w->w[(size_t)c * w->n_feats + order[i]] > 0)
                dune_buf_printf(&top, "%s%s %.2f", i ? ", " : "", w->feat_name[order[i]],
                                w->w[(size_t)c * w->n_feats + order[i]]);
        cli_table_cell(&t, "%s", w->class_name[c]);
        cli_table_cell(&t, "%.3f", s->f1[c]);
        cli_table_cell(&t, "%.1f", s->support[c]);
        cli_table_cell(&t, "%s", top.data ? top.data : "nothing");
        dune_buf_fini(&top);
    }
    cli_print_table(ctx, &t);
    dune_mem_free(order);
}

static void print_json(struct cli_ctx *ctx, const struct dune_importance *w, const struct dune_scores *s)
{
    struct dune_buf text = {0};
    struct dune_jsonw jw;

    dune_jsonw_init(&jw, &text);
    dune_jsonw_obj(&jw);
    dune_jsonw_key(&jw, "classes");
    dune_jsonw_arr(&jw);
    for (uint32_t c = 0; c < w->n_classes; c++) {
        dune_jsonw_obj(&jw);
        dune_jsonw_key(&jw, "class");
        dune_jsonw_str(&jw, w->class_name[c]);
        dune_jsonw_key(&jw, "f1");
        dune_jsonw_double(&jw, s->f1[c]);
        dune_jsonw_key(&jw, "support");
        dune_jsonw_double(&jw, s->support[c]);
        dune_jsonw_key(&jw, "importance");
        dune_jsonw_obj_inline(&jw);
        for (uint32_t i = 0; i < w->n_feats; i++) {
            dune_jsonw_key(&jw, w->feat_name[i]);
            dune_jsonw_double(&jw, w->w[(size_t)c * w->n_feats + i]);
        }
        dune_jsonw_end(&jw);
        dune_jsonw_end(&jw);
    }
    dune_jsonw_end(&jw);
    dune_jsonw_end(&jw);
    cli_write_json(ctx, &text);
    dune_buf_fini(&text);
}

static int report(struct cli_ctx *ctx, const struct config *cfg, const struct job *j,
                  const struct dune_importance *w, const struct dune_scores *s, struct dune_diag *d)
{
    int rc = dune_importance_write(w, cfg->out, d);

    if (!rc && cfg->scores)
        rc = dune_scores_write(s, cfg->scores, d);
    if (rc)
        return rc;
    if (ctx->json)
        print_json(ctx, w, s);
    else
        print_text(ctx, w, s);
    if (!j->honest)
        cli_note(ctx, "the model does not say how it was trained: if that was on these flows, its scores "
                      "are too good");
    if (j->m->named_here && j->m->kind == DUNE_MODEL_XGBOOST)
        cli_note(ctx, "the model has no names for its classes: taken to be those of the rows, sorted");
    if (j->left_out)
        cli_note(ctx, "%llu validation flows have classes that the model does not know",
                 (unsigned long long)j->left_out);
    for (uint32_t c = 0; c < s->n_classes; c++)
        if (!(s->support[c] > 0))
            cli_note(ctx, "class \"%s\" has no validation flow: its F1 counts as 0", s->class_name[c]);
    return 0;
}

/* class,feature,mean,low,high in points of F1 (0..1). */
static int write_intervals(const struct dune_model *m, const struct dune_importance_spread *sp, const char *path,
                           struct dune_diag *d)
{
    struct dune_buf b = {0};
    int rc;

    dune_buf_puts(&b, "class,feature,mean,low,high\n");
    for (uint32_t c = 0; c < sp->n_classes; c++)
        for (uint32_t k = 0; k < sp->n_feats; k++) {
            size_t at = (size_t)c * sp->n_feats + k;

            dune_csv_put(&b, m->class_name[c]);
            dune_buf_printf(&b, ",%s,%.6f,%.6f,%.6f\n", dune_catalog[m->feat[k]].name, sp->mean[at], sp->low[at],
                            sp->high[at]);
        }
    rc = dune_file_write(path, b.data, b.len, d);
    dune_buf_fini(&b);
    return rc;
}

static int analyze(struct cli_ctx *ctx, const struct config *cfg, struct job *j, struct dune_diag *d)
{
    struct dune_permute_cfg pc = {.repeats = cfg->repeats, .seed = ctx->seed};
    enum dune_model_method method = (enum dune_model_method)cfg->method;
    struct dune_importance_spread *spread = NULL;
    struct dune_importance *w = NULL;
    struct dune_scores *s = NULL;
    int rc = load(j, cfg, ctx, d);

    if (!rc) /* shuffled rows must not be rows that were learnt; what trees hold is that of the whole model */
        rc = dune_model_importance(&w, method == DUNE_MODEL_PERMUTATION ? j->judged : j->m, &j->t, &method, &pc, &spread, d);
    if (!rc)
        rc = dune_model_scores(&s, j->judged, &j->t, d);
    if (!rc && cfg->intervals && !spread)
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "--intervals are those of --method permutation, this is %s",
                           dune_model_method_name(method));
    if (!rc && cfg->intervals)
        rc = write_intervals(j->m, spread, cfg->intervals, d);
    if (!rc)
        rc = report(ctx, cfg, j, w, s, d);
    dune_importance_free(w);
    dune_importance_spread_free(spread);
    dune_scores_free(s);
    return rc;
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    struct job j = {0};
    int rc = analyze(ctx, config, &j, d);

    if (j.t.feat)
        dune_table_fini(&j.t);
    if (j.judged != j.m)
        dune_model_free(j.judged);
    dune_model_free(j.m);
    dune_dataset_free(j.ds);
    dune_mem_free(j.part);
    return rc;
}

const struct cli_command cmd_analyze = {
    .name = "analyze",
    .summary = "a model to feature importance and scores per class",
    .args = "MODEL ROWS.dset",
    .min_args = 2,
    .max_args = 2,
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description =
        "Writes how much every feature explains every class, and how well the model recognises the\n"
        "classes: F1 at flow level, in percent, on the validation part of the train flows (per class the\n"
        "latest captures or flows). A model that train made from the same rows has seen them: the scores,\n"
        "and importance by permutation, are those of one trained in the same way without them.\n"
        "\n"
        CLI_MODEL_HELP,
    .examples = "dunectl analyze forest.json rows.dset -o W.csv --scores f.csv\n"
                "dunectl analyze forest.json rows.dset -o W.csv --method permutation --seed 3\n"
                "dunectl analyze \"exec:python3 model.py\" rows.dset -o W.csv --scores f.csv --intervals i.csv\n"
                "dunectl analyze predictions:p.csv rows.dset -o W.csv --scores f.csv\n",
    .run = run,
};
