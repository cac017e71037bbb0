/* SPDX-License-Identifier: Apache-2.0 */
/* The dashboard of an experiment that runs. */
#ifndef DUNE_CLI_DASH_RUN_H
#define DUNE_CLI_DASH_RUN_H

#include "cli/dash_open.h"
#include "dune/experiment.h"

struct cli_dash_run;
/* Starts it, and has o show every replay; *out NULL when it was not asked for. */
int cli_dash_run_open(struct cli_dash_run **out, struct cli_ctx *ctx, const struct cli_dash_config *cfg,
                      const struct dune_experiment *e, const char *dir, struct dune_run_opts *o, struct dune_diag *d) DUNE_MUST_USE;
/* After a run that worked the dashboard stays until Ctrl-C, and its buttons replay. */
void cli_dash_run_close(struct cli_dash_run *r, int rc);

#endif
