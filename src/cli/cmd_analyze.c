/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "dune/forest_search.h"
#include "dune/importance.h"

#include <string.h>

enum { METHOD_GINI, METHOD_PERMUTATION };

struct config {
    const char *out, *scores;
    unsigned method;
    uint32_t repeats;
};

static const struct cli_option options[] = {
    {"output", 'o', CLI_STR, offsetof(struct config, out), "W.csv", NULL,
     "importance: class, then one column per feature", true},
    {"scores", 's', CLI_STR, offsetof(struct config, scores), "F.csv", NULL,
     "scores: class,f1,support on the validation part"},
    {"method", 'm', CLI_CHOICE, offsetof(struct config, method), "gini|permutation", "gini",
     "decrease of impurity in the forest, or fall of F1 when a column is shuffled"},
    {"repeats", 0, CLI_U32, offsetof(struct config, repeats), "N", "5", "shuffles per column", .min = 1},
};

/* The forest, and the validation rows as it sees them: its columns, its class ids. */
struct job {
    struct dune_forest *f;
    struct dune_forest *judged; /* speaks on the validation rows: f, or trained as f without their flows */
    struct dune_dataset *ds;
    struct dune_table t;
    unsigned threads;
    uint64_t left_out; /* validation flows of classes that the forest does not know */
};

static int find_name(char *const *names, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

/* Brings the columns of t into the forest's order. */
static int order_columns(struct job *j, struct dune_diag *d)
{
    for (uint32_t to = 0; to < j->f->n_feats; to++) {
        uint32_t from = to;
        uint32_t *col;

        while (from < j->t.n_cols && j->t.feat[from] != j->f->feat[to])
            from++;
        if (from == j->t.n_cols)
            return dune_diag_set(d, DUNE_E_INPUT, NULL, "the rows have no feature %s",
                                 dune_catalog[j->f->feat[to]].name);
        col = j->t.col[from];
        j->t.col[from] = j->t.col[to];
        j->t.col[to] = col;
        j->t.feat[from] = j->t.feat[to];
        j->t.feat[to] = j->f->feat[to];
    }
    return 0;
}

static int build_rows(struct job *j, const int *class_of, struct dune_diag *d)
{
    uint8_t *use = DUNE_NEW_N(uint8_t, j->ds->n_flows);
    struct dune_view view = {.n = j->f->n, .mode = j->f->mode, .flow_use = use};
    uint64_t flows = 0;
    int rc;

    for (uint32_t i = 0; i < j->f->n_feats; i++)
        view.features |= (dune_feature_mask)1 << j->f->feat[i];
    dune_validation_make(j->ds, use);
    for (uint64_t i = 0; i < j->ds->n_flows; i++) {
        bool known = class_of[j->ds->flow_class[i]] >= 0;

        j->left_out += use[i] == 1 && !known;
        use[i] = use[i] == 1 && known;
        flows += use[i];
    }
    rc = flows ? dune_table_build(&j->t, j->ds, &view, d)
               : dune_diag_set(d, DUNE_E_INPUT, NULL,
                               "the rows hold no validation flow of a class of the forest");
    dune_mem_free(use);
    if (rc)
        return rc;
    for (size_t i = 0; i < j->t.n_rows; i++)
        j->t.cls[i] = (uint16_t)class_of[j->t.cls[i]];
    j->t.n_classes = j->f->n_classes;
    return order_columns(j, d);
}

/*
 * A forest that was trained on these very rows has seen the validation flows: one trained in the same way
 * on the other train flows is judged in its place. Its columns and classes are those of f.
 */
static int fit_judged(struct job *j, struct dune_diag *d)
{
    const struct dune_forest_recipe *r = &j->f->recipe;
    struct dune_model_spec spec = {.n = j->f->n, .mode = j->f->mode, .balance = r->balance, .train = r->train};
    uint8_t *use;
    int rc;

    if (!r->known || strcmp(r->rows, j->ds->hash) != 0) {
        j->judged = j->f;
        return 0;
    }
    for (uint32_t i = 0; i < j->f->n_feats; i++)
        spec.features |= (dune_feature_mask)1 << j->f->feat[i];
    spec.train.threads = j->threads;
    use = DUNE_NEW_N(uint8_t, j->ds->n_flows);
    dune_validation_make(j->ds, use);
    for (uint64_t i = 0; i < j->ds->n_flows; i++)
        use[i] = use[i] == 0;
    rc = dune_model_fit(&j->judged, j->ds, &spec, use, d);
    dune_mem_free(use);
    if (rc == 0 && (j->judged->n_feats != j->f->n_feats || j->judged->n_classes != j->f->n_classes ||
                    memcmp(j->judged->feat, j->f->feat, j->f->n_feats) != 0))
        rc = dune_diag_set(d, DUNE_E_INPUT, NULL, "the forest says it was trained on these rows, but their "
                           "features and classes are not its own");
    return rc;
}

static int load(struct job *j, const char *forest, const char *rows, struct dune_diag *d)
{
    int *class_of, rc = dune_forest_read(&j->f, forest, d);

    if (!rc)
        rc = dune_dataset_read(&j->ds, rows, d);
    if (rc)
        return rc;
    class_of = DUNE_NEW_N(int, j->ds->n_classes + (size_t)1);
    for (uint32_t c = 0; c < j->ds->n_classes; c++)
        class_of[c] = find_name(j->f->class_name, j->f->n_classes, j->ds->class_name[c]);
    rc = build_rows(j, class_of, d);
    dune_mem_free(class_of);
    return rc ? rc : fit_judged(j, d);
}

static int predict(void *ctx, const struct dune_table *t, uint16_t *out, struct dune_diag *d)
{
    struct job *j = ctx;

    (void)d;
    dune_forest_predict(j->judged, t, j->threads, out);
    return 0;
}

static struct dune_scores *score(struct job *j)
{
    uint16_t *pred = DUNE_NEW_N(uint16_t, j->t.n_rows);
    struct dune_confusion conf;
    struct dune_scores *s;

    dune_confusion_init(&conf, j->f->n_classes);
    dune_forest_predict(j->judged, &j->t, j->threads, pred);
    for (size_t i = 0; i < j->t.n_rows; i++)
        dune_confusion_add(&conf, j->t.cls[i], pred[i], j->t.w[i]);
    s = dune_scores_make(&conf, j->f->class_name, DUNE_WEIGHT_ONE);
    dune_confusion_fini(&conf);
    dune_mem_free(pred);
    return s;
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
    if (!j->f->recipe.known)
        cli_note(ctx, "the forest does not say how it was trained: if that was on these flows, its scores "
                      "are too good");
    if (j->left_out)
        cli_note(ctx, "%llu validation flows have classes that the forest does not know",
                 (unsigned long long)j->left_out);
    for (uint32_t c = 0; c < s->n_classes; c++)
        if (!(s->support[c] > 0))
            cli_note(ctx, "class \"%s\" has no validation flow: its F1 counts as 0", s->class_name[c]);
    return 0;
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    struct config *cfg = config;
    struct job j = {.threads = ctx->threads};
    struct dune_importance *w = NULL;
    struct dune_scores *s = NULL;
    int rc = load(&j, ctx->args[0], ctx->args[1], d);

    if (!rc && cfg->method == METHOD_GINI)
        rc = dune_importance_gini(&w, j.f, d);
    else if (!rc)
        rc = dune_importance_permutation(&w, &j.t, j.f->class_name, predict, &j, cfg->repeats, ctx->seed, d);
    if (!rc) {
        s = score(&j);
        rc = report(ctx, cfg, &j, w, s, d);
    }
    dune_importance_free(w);
    dune_scores_free(s);
    dune_table_fini(&j.t);
    if (j.judged != j.f)
        dune_forest_free(j.judged);
    dune_forest_free(j.f);
    dune_dataset_free(j.ds);
    return rc;
}

const struct cli_command cmd_analyze = {
    .name = "analyze",
    .summary = "a forest to feature importance and scores per class",
    .args = "FOREST.json ROWS.dset",
    .min_args = 2,
    .max_args = 2,
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description =
        "Writes how much every feature explains every class, and how well the forest recognises the\n"
        "classes: F1 at flow level, in percent, on the validation part of the train flows (per class the\n"
        "latest captures or flows). A forest that train made from the same rows has seen them: the scores,\n"
        "and importance by permutation, are those of one trained in the same way without them.\n",
    .examples = "dunectl analyze forest.json rows.dset -o W.csv --scores f.csv\n"
                "dunectl analyze forest.json rows.dset -o W.csv --method permutation --seed 3\n",
    .run = run,
};
