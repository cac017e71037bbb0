/* SPDX-License-Identifier: Apache-2.0 */
/* dunectl search: blocks and rows to the best sub-models that fit. */
#include "cli/cli.h"

#include <string.h>
#include <unistd.h>

#include "cli/profile_cli.h"
#include "dune/submodel_set.h"

struct config {
    const char *out, *budget, *profile, *features;
    unsigned phase, score;
    double balance;
    bool own_features, sqrt, full_features, paper;
};

static const struct cli_option options[] = {
    {"output", 'o', CLI_STR, offsetof(struct config, out), "FILE", NULL, "the sub-models (submodels.json)", true},
    {"budget", 'b', CLI_STR, offsetof(struct config, budget), "BUDGET", "tight",
     "per device: tight, tiny, loose, none or leaves_sum=N,features_distinct=N"},
    {"profile", 'p', CLI_STR, offsetof(struct config, profile), "NAME", NULL,
     "only sub-models that fit on such a device, alone"},
    {"phase", 0, CLI_CHOICE, offsetof(struct config, phase), "running|published", "running",
     "what packets before packet n know of their flow"},
    {"features", 'f', CLI_STR, offsetof(struct config, features), "SET", "all",
     "candidate features: a set, names, or both"},
    {"own-features", 0, CLI_FLAG, offsetof(struct config, own_features), NULL, NULL,
     "of the candidates only those of the block"},
    {"sqrt", 0, CLI_FLAG, offsetof(struct config, sqrt), NULL, NULL,
     "every node draws among the square root of the features"},
    {"full-features", 0, CLI_FLAG, offsetof(struct config, full_features), NULL, NULL,
     "every node sees all features (the default)"},
    {"balance", 0, CLI_DOUBLE, offsetof(struct config, balance), "A", "0",
     "rows weigh (class share)^-A more: 0 not at all, 1 all classes alike", .max = 4},
    {"score", 0, CLI_CHOICE, offsetof(struct config, score), "published|f1", "published",
     "0.5 macro F1 + 0.5 free TCAM share, or macro F1 alone"},
    {"paper", 0, CLI_FLAG, offsetof(struct config, paper), NULL, NULL,
     "as published: --phase published --features paper --own-features --sqrt"},
};

static int check_flags(struct cli_ctx *ctx, struct config *cfg, struct dune_diag *d)
{
    static const char *const fixed[] = {"phase", "features", "full-features", "balance", "score"};

    if (cfg->sqrt && cfg->full_features)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "either --sqrt or --full-features");
    for (size_t i = 0; cfg->paper && i < DUNE_ARRAY_LEN(fixed); i++)
        if (cli_given(ctx, fixed[i]))
            return dune_diag_set(d, DUNE_E_USAGE, NULL, "--paper fixes --%s", fixed[i]);
    if (!cfg->paper)
        return 0;
    cfg->phase = 1;
    cfg->features = "paper";
    cfg->own_features = cfg->sqrt = true;
    return 0;
}

static int fill_options(struct cli_ctx *ctx, struct config *cfg, struct dune_submodel_options *o, struct dune_diag *d)
{
    int rc = check_flags(ctx, cfg, d);

    if (rc == 0)
        rc = dune_budget_parse(cfg->budget, &o->budget, d);
    if (rc == 0)
        rc = dune_feature_set_parse(cfg->features, 4, &o->features, d);
    if (rc == 0 && !o->features)
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "--features \"%s\" leaves 0 features", cfg->features);
    if (rc == 0 && cfg->profile)
        rc = cli_profile(&o->profile, cfg->profile, d);
    o->own_features = cfg->own_features;
    o->sqrt_features = cfg->sqrt;
    o->f1_only = cfg->score == 1;
    o->quick = ctx->effort == CLI_QUICK;
    o->mode = cfg->phase ? DUNE_MODE_PUBLISHED : DUNE_MODE_RUNNING;
    o->balance = cfg->balance;
    o->seed = ctx->seed;
    return rc;
}

/* Names that the catalog does not have cannot be used here. */
static void warn_features(struct cli_ctx *ctx, const struct dune_blocks *b)
{
    for (uint32_t j = 0; j < b->n_feats; j++)
        if (dune_feature_find(b->feat_name[j]) < 0)
            cli_warn(ctx, "feature \"%s\" is not in the catalog; no sub-model uses it", b->feat_name[j]);
    for (uint32_t i = 0; i < b->n_blocks; i++)
        if (!dune_block_features(b, i))
            cli_warn(ctx, "block %u has no feature of the catalog; it may use all candidates", i);
}

static void print_json(struct cli_ctx *ctx, const struct dune_submodel_set *s, const char *path)
{
    struct dune_buf b = {0};
    struct dune_jsonw w;

    dune_jsonw_init(&w, &b);
    dune_jsonw_obj(&w);
    dune_jsonw_key(&w, "output");
    dune_jsonw_str(&w, path);
    dune_jsonw_key(&w, "submodels");
    dune_jsonw_arr(&w);
    for (uint32_t i = 0; i < s->n; i++) {
        const struct dune_submodel_entry *e = &s->sub[i];

        dune_jsonw_obj_inline(&w);
        dune_jsonw_key(&w, "id"), dune_jsonw_uint(&w, e->id);
        dune_jsonw_key(&w, "classes"), dune_jsonw_uint(&w, e->fit->n_classes);
        dune_jsonw_key(&w, "trees"), dune_jsonw_uint(&w, e->chosen.trees);
        dune_jsonw_key(&w, "leaves"), dune_jsonw_uint(&w, e->chosen.leaves);
        dune_jsonw_key(&w, "n"), dune_jsonw_uint(&w, e->chosen.n);
        dune_jsonw_key(&w, "features"), dune_jsonw_uint(&w, e->chosen.n_feats);
        dune_jsonw_key(&w, "macro_f1"), dune_jsonw_double(&w, e->chosen.macro_f1);
        dune_jsonw_key(&w, "published_blocks"), dune_jsonw_uint(&w, e->chosen.blocks);
        dune_jsonw_key(&w, "score"), dune_jsonw_double(&w, e->chosen.score);
        dune_jsonw_key(&w, "points"), dune_jsonw_uint(&w, e->n_points);
        dune_jsonw_key(&w, "skipped"), dune_jsonw_uint(&w, e->skipped + e->skipped_profile);
        dune_jsonw_end(&w);
    }
    dune_jsonw_end(&w);
    dune_jsonw_end(&w);
    cli_write_json(ctx, &b);
    dune_buf_fini(&b);
}

static void print_text(struct cli_ctx *ctx, const struct dune_submodel_set *s)
{
    struct cli_table t;

    cli_table_init(&t, 11, (const char *[]){">block", ">F1", ">score", ">trees", ">leaves", ">n", ">features",
                                            ">TCAM", ">tried", ">skipped", "classes"});
    for (uint32_t i = 0; i < s->n; i++) {
        const struct dune_submodel_entry *e = &s->sub[i];
        struct dune_buf names = {0};

        for (uint32_t c = 0; c < e->fit->n_classes; c++)
            dune_buf_printf(&names, "%s%s", c ? ", " : "", s->class_name[e->fit->cls[c]]);
        cli_table_cell(&t, "%u", e->id);
        cli_table_cell(&t, "%.2f", 100 * e->chosen.macro_f1);
        cli_table_cell(&t, "%.4f", e->chosen.score);
        cli_table_cell(&t, "%u", e->chosen.trees);
        cli_table_cell(&t, "%u", e->chosen.leaves);
        cli_table_cell(&t, "%u", e->chosen.n);
        cli_table_cell(&t, "%u", e->chosen.n_feats);
        cli_table_cell(&t, "%u", e->chosen.blocks);
        cli_table_cell(&t, "%llu", (unsigned long long)e->n_points);
        cli_table_cell(&t, "%llu", (unsigned long long)e->skipped + e->skipped_profile);
        cli_table_cell(&t, "%s", names.data);
        dune_buf_fini(&names);
    }
    cli_print_table(ctx, &t);
}

static int search(struct cli_ctx *ctx, const struct config *cfg, const struct dune_submodel_options *o,
                  const struct dune_blocks *blocks, const struct dune_dataset *ds, struct dune_diag *d)
{
    bool device = strncmp(cfg->out, "/dev/", 5) == 0;
    char *partial = device ? NULL : dune_mem_printf("%s.partial", cfg->out);
    struct dune_submodel_search how = {.options = *o, .threads = ctx->threads, .partial = partial};
    struct dune_submodel_set *set;
    int rc = dune_submodels_search(&set, ds, blocks, &how, d);

    if (how.n_resumed)
        cli_note(ctx, "took %u finished blocks from %s", how.n_resumed, partial);
    if (rc == 0)
        rc = dune_submodels_write(set, NULL, cfg->out, d);
    if (rc == 0 && partial)
        unlink(partial);
    if (rc == 0 && ctx->json)
        print_json(ctx, set, cfg->out);
    else if (rc == 0 && !ctx->quiet)
        print_text(ctx, set);
    if (rc == 0)
        cli_note(ctx, "wrote %s", cfg->out);
    dune_submodel_set_free(set);
    dune_mem_free(partial);
    return rc;
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    struct config *cfg = config;
    struct dune_submodel_options o = {0};
    struct dune_blocks *blocks = NULL;
    struct dune_dataset *ds = NULL;
    int rc = fill_options(ctx, cfg, &o, d);

    if (rc == 0)
        rc = dune_blocks_read(&blocks, ctx->args[0], d);
    if (rc == 0)
        rc = dune_dataset_read(&ds, ctx->args[1], d);
    if (rc == 0) {
        if (o.own_features)
            warn_features(ctx, blocks);
        rc = search(ctx, cfg, &o, blocks, ds, d);
        if (rc == DUNE_E_INPUT && d && !d->file[0])
            snprintf(d->file, sizeof(d->file), "%s", d->place[0] ? ctx->args[0] : ctx->args[1]);
    }
    dune_blocks_free(blocks);
    dune_dataset_free(ds);
    return rc;
}

const struct cli_command cmd_search = {
    .name = "search",
    .summary = "blocks to the best sub-models that fit the devices",
    .args = "BLOCKS.json ROWS.dset",
    .min_args = 2,
    .max_args = 2,
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description =
        "One small forest per block, over its classes and Other: trees 1, 3, 5 x leaves per tree 41 to 500\n"
        "x inference points 2, 3, 4 x the k most useful features. Points beyond the budget or the limits of\n"
        "--profile are skipped and counted. Every point is judged on the validation split of the train\n"
        "flows; the chosen one is then fitted on all of them. Test flows are never looked at.\n"
        "--effort quick tries one tree and n = 3 only.\n"
        "\n"
        "Finished blocks are kept in FILE.partial until FILE is written; the same command goes on with them.\n",
    .examples = "dunectl search blocks.json rows.dset --budget tight -o submodels.json\n"
                "dunectl search blocks.json rows.dset --paper -o submodels.json\n"
                "dunectl search blocks.json rows.dset --profile tofino1 --score f1 --balance 0.5 -o submodels.json\n",
    .run = run,
};
