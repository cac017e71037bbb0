/* SPDX-License-Identifier: Apache-2.0 */
/* The options and the table that run, compare and demo share. */
#ifndef DUNE_CLI_RUN_TABLE_H
#define DUNE_CLI_RUN_TABLE_H

#include "cli/cli.h"
#include "dune/experiment.h"

void cli_print_run(struct cli_ctx *ctx, const struct dune_run *r);

#endif
