/* SPDX-License-Identifier: Apache-2.0 */
/* What a model says about every row: class probabilities as a file. */
#include "cli/model_cli.h"

#include <string.h>

enum { OF_ALL, OF_TRAIN, OF_VALIDATION, OF_TEST };

struct config {
    const char *out;
    struct cli_model_config model;
    unsigned of;
};

static const struct cli_option options[] = {
    {"output", 'o', CLI_STR, offsetof(struct config, out), "FILE", NULL,
     "predictions: flow,packet, then one column per class", true},
    {"of", 0, CLI_CHOICE, offsetof(struct config, of), "all|train|validation|test", "all",
     "flows that are predicted; validation: the part of train that models are judged on"},
    CLI_MODEL_OPTIONS(offsetof(struct config, model)),
};

static void pick_flows(const struct dune_dataset *ds, unsigned of, uint8_t *use)
{
    if (of == OF_VALIDATION)
        dune_validation_make(ds, use);
    for (uint64_t f = 0; f < ds->n_flows; f++) {
        bool test = ds->flow_split[f] == DUNE_SPLIT_TEST;

        use[f] = of == OF_VALIDATION ? use[f] == 1 : of == OF_ALL || (of == OF_TEST) == test;
    }
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    const struct config *cfg = config;
    struct dune_dataset *ds = NULL;
    struct dune_model *m = NULL;
    struct dune_table t = {0};
    uint64_t left_out = 0;
    uint8_t *use = NULL;
    float *p = NULL;
    int rc = dune_dataset_read(&ds, ctx->args[1], d);

    if (rc == 0)
        rc = cli_model_open(ctx, &cfg->model, ctx->args[0], ds, &m, d);
    if (rc == 0) {
        use = DUNE_NEW_N(uint8_t, ds->n_flows);
        pick_flows(ds, cfg->of, use);
        rc = dune_model_table(&t, m, ds, use, &left_out, d);
    }
    if (rc == 0 && t.n_rows == 0)
        rc = dune_diag_set(d, DUNE_E_INPUT, ctx->args[1], "no flow to predict");
    if (rc == 0) {
        p = dune_mem_alloc(t.n_rows * m->n_classes, sizeof(*p));
        rc = dune_model_proba(m, &t, p, d);
    }
    if (rc == 0)
        rc = dune_predictions_write(m, &t, p, cfg->out, d);
    if (rc == 0 && !ctx->quiet && !ctx->json)
        cli_out(ctx, "%zu rows, %u classes, n = %u, phase %s: wrote %s\n", t.n_rows, m->n_classes, m->n,
                dune_mode_name(m->mode), cfg->out);
    if (rc == 0 && ctx->json)
        cli_out(ctx, "{\"rows\": %zu, \"classes\": %u, \"n\": %u, \"phase\": \"%s\", \"model\": \"%s\"}\n", t.n_rows, m->n_classes,
                m->n, dune_mode_name(m->mode), dune_model_kind_name(m->kind));
    if (left_out)
        cli_note(ctx, "%llu flows of classes that the model does not know are left out", (unsigned long long)left_out);
    if (t.feat)
        dune_table_fini(&t);
    dune_mem_free(p);
    dune_mem_free(use);
    dune_model_free(m);
    dune_dataset_free(ds);
    return rc;
}

const struct cli_command cmd_predict = {
    .name = "predict",
    .summary = "what a model says about every row",
    .args = "MODEL ROWS.dset",
    .min_args = 2,
    .max_args = 2,
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description = "Writes the class probabilities of a model for the rows of a data set, by flow and packet. The file\n"
                   "is a model itself: predictions:FILE.\n"
                   "\n"
                   CLI_MODEL_HELP,
    .examples = "dunectl predict forest.json rows.dset -o p.csv\n"
                "dunectl predict xgb.json rows.dset --of validation -o p.csv\n",
    .run = run,
};
