/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/model_cli.h"

int cli_model_open(struct cli_ctx *ctx, const struct cli_model_config *cfg, const char *spec,
                   const struct dune_dataset *ds, struct dune_model **out, struct dune_diag *d)
{
    struct dune_model_cfg c = {.n = cfg->n, .mode = (int)cfg->phase, .threads = ctx->threads, .timeout_s = cfg->timeout_s,
                               .batch_rows = cfg->batch_rows};
    unsigned max_k = cfg->n ? cfg->n : 3;
    int rc = 0;

    *out = NULL;
    if (cfg->features)
        rc = dune_feature_set_parse(cfg->features, cfg->phase == DUNE_MODE_PACKET + 1 ? 0 : max_k, &c.features, d);
    return rc ? rc : dune_model_open(out, spec, &c, ds, d);
}

static int score(struct cli_ctx *ctx, const struct cli_xgb_job *job, const char *text, size_t len, double *macro,
                 struct dune_diag *d)
{
    struct dune_model_cfg c = {.threads = ctx->threads};
    uint8_t *use = DUNE_NEW_N(uint8_t, job->ds->n_flows);
    struct dune_model *m = NULL;
    struct dune_scores *s = NULL;
    struct dune_table t = {0};
    uint32_t present = 0;
    int rc = dune_model_xgb_parse(&m, "xgboost", text, len, &c, job->ds, d);

    for (uint64_t f = 0; f < job->ds->n_flows; f++)
        use[f] = job->ds->flow_split[f] == DUNE_SPLIT_TEST;
    if (rc == 0)
        rc = dune_model_table(&t, m, job->ds, use, NULL, d);
    if (rc == 0 && t.n_rows == 0)
        rc = dune_diag_set(d, DUNE_E_INPUT, ctx->args[0], "--final: the data set has no test split");
    if (rc == 0)
        rc = dune_model_scores(&s, m, &t, d);
    *macro = 0;
    for (uint32_t k = 0; rc == 0 && k < s->n_classes; k++) {
        present += s->support[k] > 0;
        *macro += s->support[k] > 0 ? s->f1[k] : 0;
    }
    if (present)
        *macro /= present;
    if (t.feat)
        dune_table_fini(&t);
    dune_scores_free(s);
    dune_model_free(m);
    dune_mem_free(use);
    return rc;
}

int cli_train_xgboost(struct cli_ctx *ctx, const struct cli_xgb_job *job, const char *path, struct dune_diag *d)
{
    uint64_t start = dune_now_ns();
    char *text;
    size_t len;
    double macro = -1, seconds;
    int rc = dune_xgb_train(&text, &len, job->ds, job->n, job->mode, job->features, &job->cfg, NULL, d);

    seconds = (double)(dune_now_ns() - start) / 1e9;
    if (rc == 0 && job->final)
        rc = score(ctx, job, text, len, &macro, d);
    if (rc == 0)
        rc = dune_file_write(path, text, len, d);
    if (rc == 0 && ctx->json)
        cli_out(ctx, "{\"model\": \"xgboost\", \"version\": \"%s\", \"bytes\": %zu, \"test_macro\": %.6f, \"seconds\": "
                "%.3f}\n", dune_xgb_version(), len, macro < 0 ? 0 : macro / 100, seconds);
    else if (rc == 0)
        cli_out(ctx, "XGBoost %s: %u classes, n = %u, phase %s, %zu bytes, %.2f s\n", dune_xgb_version(), job->ds->n_classes,
                job->n, dune_mode_name(job->mode), len, seconds);
    if (rc == 0 && !ctx->json && macro >= 0)
        cli_out(ctx, "macro F1 on test, by flows: %.2f %%\n", macro);
    dune_mem_free(text);
    return rc;
}
