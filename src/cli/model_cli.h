/* SPDX-License-Identifier: Apache-2.0 */
/* Models on the command line: what commands that take one share. */
#ifndef DUNE_CLI_MODEL_CLI_H
#define DUNE_CLI_MODEL_CLI_H

#include "cli/cli.h"
#include "dune/model.h"

struct cli_model_config {
    const char *features;
    uint32_t n, batch_rows;
    unsigned phase; /* enum dune_mode + 1 */
    double timeout_s;
};

#define CLI_MODEL_OPTIONS(at)                                                                     \
    {"n", 0, CLI_U32, (at) + offsetof(struct cli_model_config, n), "N", NULL,                     \
     "inference point of a model that does not say it (3)", false, 1, 0},                         \
    {"phase", 0, CLI_CHOICE, (at) + offsetof(struct cli_model_config, phase),                     \
     "model|running|published|packet|flow", "model",                                              \
     "how packets before packet n see flow features (what the model says, else running)"},        \
    {"features", 0, CLI_STR, (at) + offsetof(struct cli_model_config, features), "LIST", NULL,    \
     "columns of a model that does not name them (all)"},                                         \
    {"timeout", 0, CLI_DOUBLE, (at) + offsetof(struct cli_model_config, timeout_s), "SECONDS",    \
     "600", "exec: longest run of the program", false, 0.001, 0},                                 \
    {"batch-rows", 0, CLI_U32, (at) + offsetof(struct cli_model_config, batch_rows), "N",         \
     "400000", "exec: rows per run of the program", false, 1, 0}

/* In the order of enum dune_distil. */
#define CLI_DISTIL(at)                                                                            \
    {"distill", 0, CLI_CHOICE, at, "auto|off|model", "auto",                                      \
     "soft labels in dune: of forests of ours where the folds say so, never, or of --model"}

#define CLI_MODEL_HELP                                                                            \
    "MODEL is a file (a forest, XGBoost's JSON, trees of scikit-learn), exec:COMMAND (a program\n"  \
    "that reads rows as CSV and writes class probabilities; exec-npy: a NumPy array instead) or\n"   \
    "predictions:FILE. See docs/models.md.\n"

int cli_model_open(struct cli_ctx *ctx, const struct cli_model_config *cfg, const char *spec,
                   const struct dune_dataset *ds, struct dune_model **out, struct dune_diag *d) DUNE_MUST_USE;

/* train --model xgboost: the text of the model goes to path; prints what it is. score: on the test split, too. */
struct cli_xgb_job {
    const struct dune_dataset *ds;
    unsigned n;
    enum dune_mode mode;
    dune_feature_mask features;
    struct dune_xgb_cfg cfg;
    bool final;
};
int cli_train_xgboost(struct cli_ctx *ctx, const struct cli_xgb_job *job, const char *path, struct dune_diag *d) DUNE_MUST_USE;

#endif
