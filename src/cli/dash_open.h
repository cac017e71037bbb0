/* SPDX-License-Identifier: Apache-2.0 */
/* The options of commands that can show what they do on a dashboard. */
#ifndef DUNE_CLI_DASH_OPEN_H
#define DUNE_CLI_DASH_OPEN_H

#include "cli/cli.h"
#include "dune/dash.h"

struct cli_dash_config {
    bool on;
    const char *listen, *token_file, *history, *flow_log;
};
/* Rows of a table of options; at: offset of the struct above in the command's config. */
#define CLI_DASH_OPTIONS(at)                                                                                          \
    {"dash", 0, CLI_FLAG, (at) + offsetof(struct cli_dash_config, on), NULL, NULL, "show it in a browser (docs/dashboard.md)"}, \
    {"dash-listen", 0, CLI_STR, (at) + offsetof(struct cli_dash_config, listen), "HOST:PORT", NULL,                    \
     "dashboard: where it listens (127.0.0.1:8321)"},                                                                  \
    {"dash-token-file", 0, CLI_STR, (at) + offsetof(struct cli_dash_config, token_file), "FILE", NULL,                 \
     "dashboard: the token for commands is its first line (drawn and printed)"},                                       \
    {"dash-history", 0, CLI_STR, (at) + offsetof(struct cli_dash_config, history), "FILE", NULL,                       \
     "dashboard: history in this SQLite file"},                                                                        \
    {"dash-flow-log", 0, CLI_STR, (at) + offsetof(struct cli_dash_config, flow_log), "FILE", NULL,                     \
     "dashboard: one JSON line per flow with its verdict"}

/* Starts it and says where it is; *out NULL when it was not asked for. cfg's own fields are set from o. */
int cli_dash_open(struct cli_ctx *ctx, const struct cli_dash_config *o, struct dune_dash_cfg *cfg, struct dune_dash **out,
                  struct dune_diag *d) DUNE_MUST_USE;
/* "max", "xTIMES" or packets per second. */
int cli_dash_pace(const char *text, struct dune_testbed_run_cfg *run, struct dune_diag *d) DUNE_MUST_USE;
/* Until somebody interrupts. */
void cli_dash_stay(struct cli_ctx *ctx, const struct dune_dash *dash);

#endif
