/* SPDX-License-Identifier: Apache-2.0 */
/* What run, compare and demo take, and what they do with it. */
#ifndef DUNE_CLI_RUN_OPTIONS_H
#define DUNE_CLI_RUN_OPTIONS_H

#include "cli/dash_open.h"
#include "cli/labels_cli.h"
#include "cli/model_cli.h"
#include "cli/run_table.h"

struct cli_run_config {
    const char *name; /* of the experiment, or NULL */
    const char *out, *budget, *profile, *features, *timeout, *labels, *captures, *gateway, *label_field,
        *unlabelled, *engine, *split, *model;
    struct cli_list train, test, solutions;
    uint32_t devices, max_n, min_flows;
    unsigned distil; /* enum dune_distil */
    bool tuned, verdicts, final, ablation, pareto;
    struct cli_dash_config dash;
    const char *page; /* the report, written when the run has ended and before a dashboard stays; or NULL */
    bool quick; /* effort quick, where neither file nor command line says another */
};

#define CLI_RUN_AT(field) offsetof(struct cli_run_config, field)
/* Rows of a table of options. */
#define CLI_RUN_INPUTS                                                                            \
    {"train", 0, CLI_LIST, CLI_RUN_AT(train), "PATH", NULL,                                       \
     "training captures: a file, directory or glob"},                                             \
    {"test", 0, CLI_LIST, CLI_RUN_AT(test), "PATH", NULL, "test captures"},                       \
    {"split", 0, CLI_STR, CLI_RUN_AT(split), "captures|time:SHARE", NULL,                         \
     "without --test: the latest quarter of each class's captures (or flows, below 4 captures), or "\
     "its latest flows beyond a share, are test"}
#define CLI_RUN_OPTIONS                                                                           \
    {"labels", 'l', CLI_STR, CLI_RUN_AT(labels), "FILE|ndpi", NULL,                                \
     "label file, or what nDPI says: ndpi, ndpi-protocol, ndpi-category"},                        \
    CLI_MIN_FLOWS(CLI_RUN_AT(min_flows)),                                                         \
    {"captures", 0, CLI_STR, CLI_RUN_AT(captures), "FILE", NULL, "capture boundaries"},           \
    {"label-field", 0, CLI_STR, CLI_RUN_AT(label_field), "NAME", NULL,                            \
     "log of Zeek or Suricata: the field that is the class"},                                     \
    {"gateway", 0, CLI_STR, CLI_RUN_AT(gateway), "MAC", NULL,                                     \
     "gateway of the UNSW device list"},                                                          \
    {"unlabelled", 0, CLI_STR, CLI_RUN_AT(unlabelled), "CLASS", NULL,                             \
     "class of unlabelled flows instead of dropping them"},                                       \
    {"solutions", 's', CLI_NAMES, CLI_RUN_AT(solutions), "A,B", NULL, "solutions to compare"},    \
    {"devices", 'd', CLI_U32, CLI_RUN_AT(devices), "K", NULL, "devices in the chain", false, 1,   \
     DUNE_MAX_BLOCKS},                                                                            \
    {"budget", 'b', CLI_STR, CLI_RUN_AT(budget), "BUDGET", NULL,                                  \
     "per device: tight, tiny, loose or leaves_sum=N,features_distinct=N"},                       \
    {"profile", 'p', CLI_STR, CLI_RUN_AT(profile), "NAME", NULL, "device profile"},               \
    {"features", 'f', CLI_STR, CLI_RUN_AT(features), "SET", NULL, "candidate features"},          \
    {"timeout", 't', CLI_STR, CLI_RUN_AT(timeout), "SECONDS", NULL,                               \
     "idle gap that ends a flow, or none"},                                                       \
    {"max-n", 0, CLI_U32, CLI_RUN_AT(max_n), "N", NULL, "packets kept per flow", false, 2, 15},   \
    {"model", 0, CLI_STR, CLI_RUN_AT(model), "MODEL", NULL,                                       \
     "unconstrained model: xgboost, a file, exec:COMMAND or predictions:FILE (docs/models.md)"},  \
    CLI_DISTIL(CLI_RUN_AT(distil)),                                                               \
    {"tuned", 0, CLI_FLAG, CLI_RUN_AT(tuned), NULL, NULL, "monoliths in tuned form"},             \
    {"ablation", 0, CLI_FLAG, CLI_RUN_AT(ablation), NULL, NULL,                                   \
     "dune again with robust features, and without each feature that may be a shortcut"},         \
    {"pareto", 0, CLI_FLAG, CLI_RUN_AT(pareto), NULL, NULL,                                       \
     "DIR/pareto.json: what 1 device, 2, up to all would do, each planned at quick effort"},      \
    {"engine", 0, CLI_STR, CLI_RUN_AT(engine), "NAME", "reference", "replay engine"},             \
    {"verdicts", 0, CLI_FLAG, CLI_RUN_AT(verdicts), NULL, NULL,                                   \
     "write DIR/verdicts/SOLUTION.csv"}

/* The experiment in the file of the first argument, or the defaults, and what cfg says on top of it, run
 * in cfg->out; prints the comparison. final: the test captures are read. */
int cli_run_experiment(struct cli_ctx *ctx, const struct cli_run_config *cfg, bool final,
                       struct dune_diag *d) DUNE_MUST_USE;
/* The report of a run directory as a page (cmd_report.c). */
int cli_report_page(struct cli_ctx *ctx, const char *dir, const char *path, struct dune_diag *d) DUNE_MUST_USE;

#endif
