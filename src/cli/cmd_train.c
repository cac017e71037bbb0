/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/model_cli.h"
#include "dune/forest_search.h"

#include <string.h>

struct config {
    const char *features, *out;
    uint32_t n, trees, depth, leaves;
    unsigned phase;  /* enum dune_mode */
    unsigned search; /* 0: off, else enum dune_search_level + 1 */
    double min_weight, balance, eta;
    uint32_t rounds;
    unsigned model; /* 0 forest, 1 xgboost */
    bool sqrt, bootstrap, final;
};

#define PHASES "running|published|packet|flow"

static const struct cli_option options[] = {
    {"output", 'o', CLI_STR, offsetof(struct config, out), "FILE", NULL, "the forest", true},
    {"model", 0, CLI_CHOICE, offsetof(struct config, model), "forest|xgboost", "forest",
     "what is trained; models of other programs need no training here, see analyze"},
    {"rounds", 0, CLI_U32, offsetof(struct config, rounds), "N", NULL, "xgboost: rounds (100)", false, 1, 100000},
    {"eta", 0, CLI_DOUBLE, offsetof(struct config, eta), "E", NULL, "xgboost: learning rate (0.3)", false, 0.0001, 1},
    {"n", 0, CLI_U32, offsetof(struct config, n), "N", "3", "inference point", false, 1, 0},
    {"phase", 0, CLI_CHOICE, offsetof(struct config, phase), PHASES, "running",
     "how packets before packet n see flow features"},
    {"features", 0, CLI_STR, offsetof(struct config, features), "LIST", "all",
     "sets and names of features, -NAME removes"},
    {"trees", 't', CLI_U32, offsetof(struct config, trees), "T", "1", "trees", false, 1, 100000},
    {"depth", 'd', CLI_U32, offsetof(struct config, depth), "D", NULL, "largest depth; without it, any"},
    {"leaves", 'l', CLI_U32, offsetof(struct config, leaves), "L", NULL,
     "most leaves per tree, grown best first; without it, any"},
    {"min-weight", 0, CLI_DOUBLE, offsetof(struct config, min_weight), "FLOWS", NULL,
     "least weight of a leaf, in flows", false, 0, 1e9},
    {"sqrt", 0, CLI_FLAG, offsetof(struct config, sqrt), NULL, NULL,
     "every split chooses among the square root of the features, drawn at random"},
    {"bootstrap", 0, CLI_FLAG, offsetof(struct config, bootstrap), NULL, NULL,
     "every tree sees rows drawn with replacement"},
    {"balance", 0, CLI_DOUBLE, offsetof(struct config, balance), "A", NULL,
     "rows weigh (class share)^-A more: 0 not at all, 1 all classes alike", false, 0, 4},
    {"search", 0, CLI_CHOICE, offsetof(struct config, search), "off|quick|default|full", "off",
     "choose n, features, depth and trees on a validation split"},
    {"final", 0, CLI_FLAG, offsetof(struct config, final), NULL, NULL,
     "also score the forest on the test split: for the last look, not for choosing"},
};

static void base_spec(const struct cli_ctx *ctx, const struct config *cfg, struct dune_model_spec *s)
{
    *s = (struct dune_model_spec){.n = cfg->n, .mode = (enum dune_mode)cfg->phase, .balance = cfg->balance};
    s->train = (struct dune_train_cfg){.n_trees = cfg->trees,
                                       .max_leaves = cfg->leaves,
                                       .max_depth = cfg->depth,
                                       .min_leaf_weight = (uint64_t)(cfg->min_weight * DUNE_WEIGHT_ONE),
                                       .sqrt_features = cfg->sqrt,
                                       .bootstrap = cfg->bootstrap,
                                       .seed = ctx->seed,
                                       .threads = ctx->threads};
}

/* search.csv beside the forest. */
static char *results_path(const char *out)
{
    return dune_mem_printf("%.*ssearch.csv", (int)(dune_path_base(out) - out), out);
}

enum { TOP = 10 };

static int search(struct cli_ctx *ctx, const struct config *cfg, const struct dune_dataset *ds,
                  struct dune_model_spec *spec, struct dune_search_point *top, uint32_t *n_top,
                  struct dune_diag *d)
{
    char *csv = results_path(cfg->out);
    struct dune_search_cfg s = {.level = (enum dune_search_level)(cfg->search - 1),
                                .feature_text = cfg->features, .one_n = cli_given(ctx, "n"), .csv = csv};
    struct dune_search_point best;
    int rc;

    if (!cli_given(ctx, "bootstrap")) /* a forest of equal trees is no forest */
        spec->train.sqrt_features = true;
    s.base = *spec;
    rc = dune_forest_search(&best, top, n_top, ds, &s, d);
    if (!rc) {
        spec->n = best.n;
        spec->features = best.features;
        spec->train.max_leaves = 0;
        spec->train.max_depth = best.depth;
        spec->train.n_trees = best.n_trees;
        cli_note(ctx, "all results are in %s", csv);
    }
    dune_mem_free(csv);
    return rc;
}

static void print_top(struct cli_ctx *ctx, const struct dune_search_point *top, uint32_t n)
{
    struct cli_table t;

    cli_out(ctx, "Best on validation (macro F1 by flows, percent):\n\n");
    cli_table_init(&t, 5, (const char *[]){">F1", ">n", ">features", ">trees", ">depth"});
    for (uint32_t i = 0; i < n; i++) {
        cli_table_cell(&t, "%.2f", 100 * top[i].f1);
        cli_table_cell(&t, "%u", top[i].n);
        cli_table_cell(&t, "%u", top[i].n_feats);
        cli_table_cell(&t, "%u", top[i].n_trees);
        cli_table_cell(&t, "%u", top[i].depth);
    }
    cli_print_table(ctx, &t);
    cli_out(ctx, "\n");
}

struct result {
    const struct dune_forest *f;
    const struct dune_model_spec *spec;
    const struct dune_search_point *top;
    uint32_t n_top;
    double seconds, test; /* test < 0: not scored */
};

static void print_json(struct cli_ctx *ctx, const struct result *r, uint64_t leaves, uint32_t depth)
{
    struct dune_buf text = {0};
    struct dune_jsonw w;

    dune_jsonw_init(&w, &text);
    dune_jsonw_obj(&w);
    dune_jsonw_key(&w, "n");
    dune_jsonw_uint(&w, r->spec->n);
    dune_jsonw_key(&w, "phase");
    dune_jsonw_str(&w, dune_mode_name(r->spec->mode));
    dune_jsonw_key(&w, "features");
    dune_jsonw_arr_inline(&w);
    for (uint32_t i = 0; i < r->f->n_feats; i++)
        dune_jsonw_str(&w, dune_catalog[r->f->feat[i]].name);
    dune_jsonw_end(&w);
    dune_jsonw_key(&w, "trees");
    dune_jsonw_uint(&w, r->f->n_trees);
    dune_jsonw_key(&w, "leaves");
    dune_jsonw_uint(&w, leaves);
    dune_jsonw_key(&w, "depth");
    dune_jsonw_uint(&w, depth);
    if (r->n_top) {
        dune_jsonw_key(&w, "validation_macro");
        dune_jsonw_fixed(&w, r->top[0].f1, 6);
    }
    if (r->test >= 0) {
        dune_jsonw_key(&w, "test_macro");
        dune_jsonw_fixed(&w, r->test, 6);
    }
    dune_jsonw_key(&w, "seconds");
    dune_jsonw_fixed(&w, r->seconds, 3);
    dune_jsonw_end(&w);
    cli_write_json(ctx, &text);
    dune_buf_fini(&text);
}

static void print_result(struct cli_ctx *ctx, const struct result *r)
{
    uint64_t leaves = 0;
    uint32_t depth = 0;

    for (uint32_t i = 0; i < r->f->n_trees; i++) {
        leaves += dune_tree_n_leaves(&r->f->tree[i]);
        depth = DUNE_MAX(depth, dune_tree_depth(&r->f->tree[i]));
    }
    if (ctx->json) {
        print_json(ctx, r, leaves, depth);
        return;
    }
    if (r->n_top)
        print_top(ctx, r->top, r->n_top);
    cli_out(ctx, "%u trees, %llu leaves, depth %u, n = %u, phase %s, %u features, %u classes, %.2f s\n",
            r->f->n_trees, (unsigned long long)leaves, depth, r->spec->n, dune_mode_name(r->spec->mode),
            r->f->n_feats, r->f->n_classes, r->seconds);
    if (r->test >= 0)
        cli_out(ctx, "macro F1 on test, by flows: %.2f %%\n", 100 * r->test);
}

static int score_test(struct cli_ctx *ctx, const struct dune_dataset *ds, const struct dune_forest *f,
                      double *macro, struct dune_diag *d)
{
    uint8_t *use = DUNE_NEW_N(uint8_t, ds->n_flows);
    uint64_t n = 0;
    int rc;

    for (uint64_t i = 0; i < ds->n_flows; i++)
        n += use[i] = ds->flow_split[i] == DUNE_SPLIT_TEST;
    rc = n ? dune_model_score(macro, f, ds, use, ctx->threads, d)
           : dune_diag_set(d, DUNE_E_INPUT, ctx->args[0], "--final: the data set has no test split");
    dune_mem_free(use);
    return rc;
}

static int train(struct cli_ctx *ctx, const struct config *cfg, const struct dune_dataset *ds,
                 struct dune_model_spec *spec, struct dune_diag *d)
{
    struct dune_search_point top[TOP];
    struct dune_forest *f = NULL;
    struct result r = {.spec = spec, .top = top, .test = -1};
    uint64_t start;
    int rc = 0;

    if (cfg->search) {
        r.n_top = TOP;
        rc = search(ctx, cfg, ds, spec, top, &r.n_top, d);
    }
    start = dune_now_ns();
    if (!rc)
        rc = dune_model_fit(&f, ds, spec, NULL, d);
    r.seconds = (double)(dune_now_ns() - start) / 1e9;
    r.f = f;
    if (!rc && cfg->final)
        rc = score_test(ctx, ds, f, &r.test, d);
    if (!rc)
        rc = dune_forest_write(f, cfg->out, d);
    if (!rc)
        print_result(ctx, &r);
    dune_forest_free(f);
    return rc;
}

static int train_xgboost(struct cli_ctx *ctx, const struct config *cfg, const struct dune_dataset *ds,
                         const struct dune_model_spec *spec, struct dune_diag *d)
{
    struct cli_xgb_job job = {.ds = ds, .n = spec->n, .mode = spec->mode, .features = spec->features, .final = cfg->final,
                              .cfg = {.rounds = cfg->rounds, .max_depth = cfg->depth, .eta = cfg->eta,
                                      .balance = cfg->balance, .seed = ctx->seed}};

    return cli_train_xgboost(ctx, &job, cfg->out, d);
}

/* Options of one model that the other does not have. */
static int check_model(struct cli_ctx *ctx, const struct config *cfg, struct dune_diag *d)
{
    static const char *const forest[] = {"trees", "leaves", "min-weight", "sqrt", "bootstrap", "search"};
    static const char *const xgboost[] = {"rounds", "eta"};

    for (size_t i = 0; cfg->model == 1 && i < DUNE_ARRAY_LEN(forest); i++)
        if (cli_given(ctx, forest[i]))
            return dune_diag_set(d, DUNE_E_USAGE, NULL, "--%s is about --model forest", forest[i]);
    for (size_t i = 0; cfg->model == 0 && i < DUNE_ARRAY_LEN(xgboost); i++)
        if (cli_given(ctx, xgboost[i]))
            return dune_diag_set(d, DUNE_E_USAGE, NULL, "--%s is about --model xgboost", xgboost[i]);
    return 0;
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    struct config *cfg = config;
    struct dune_model_spec spec;
    struct dune_dataset *ds = NULL;
    unsigned max_k = cfg->phase == DUNE_MODE_PACKET ? 0 : DUNE_MIN(cfg->n, (unsigned)DUNE_KTH_MAX);
    int rc;

    rc = check_model(ctx, cfg, d);
    if (rc)
        return rc;
    if (cfg->search && (cli_given(ctx, "trees") || cli_given(ctx, "depth") || cli_given(ctx, "leaves")))
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "--search chooses --trees, --depth and --leaves itself");
    if (!cfg->model && !cfg->search && cfg->trees > 1 && !cfg->sqrt && !cfg->bootstrap)
        cli_warn(ctx, "all %u trees will be the same: give --sqrt or --bootstrap", cfg->trees);
    base_spec(ctx, cfg, &spec);
    rc = dune_feature_set_parse(cfg->features, max_k, &spec.features, d);
    if (!rc)
        rc = dune_dataset_read(&ds, ctx->args[0], d);
    if (!rc && cfg->model)
        rc = train_xgboost(ctx, cfg, ds, &spec, d);
    else if (!rc)
        rc = train(ctx, cfg, ds, &spec, d);
    dune_dataset_free(ds);
    return rc;
}

const struct cli_command cmd_train = {
    .name = "train",
    .summary = "a data set to a forest",
    .args = "ROWS.dset",
    .min_args = 1,
    .max_args = 1,
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description =
        "Trains a forest on the train split: CART with Gini impurity, exact splits on whole numbers. The\n"
        "same seed gives the same forest on any number of threads. With --leaves trees grow best first,\n"
        "and a smaller budget is a prefix of a larger one.\n"
        "\n"
        "--search chooses inference point, features, depth and number of trees by macro F1 of flows on a\n"
        "validation split cut from train, then trains on all of train. The table of results, search.csv\n"
        "beside the forest, lets an interrupted search resume. Give --n to search at one inference point.\n",
    .examples = "dunectl train rows.dset --trees 17 --depth 24 --sqrt -o forest.json\n"
                "dunectl train rows.dset --leaves 129 --features robust -o tree.json\n"
                "dunectl train rows.dset --search quick -o forest.json\n"
                "dunectl train rows.dset --model xgboost --rounds 100 --depth 6 -o xgb.json\n",
    .run = run,
};
