/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DUNE_CLI_DEMO_LIVE_H
#define DUNE_CLI_DEMO_LIVE_H

#include "cli/run_options.h"

struct cli_demo_live {
    const char *dir;    /* run directory: plans are in dir/plans, live.json goes there */
    const struct cli_run_config *run; /* labels, and how they are read */
    const char *engine;
    const struct cli_list *test, *solutions;
    uint32_t devices;
    double seconds;     /* of traffic per solution */
    const struct cli_dash_config *dash;
    const char *page;   /* the report of the run directory, written before a dashboard stays */
};
/* Runs the plans of a run directory live, one after the other, and prints the tables. The testbed's guard must be
 * there already (dune_testbed_guard). */
int cli_demo_live(struct cli_ctx *ctx, const struct cli_demo_live *cfg, struct dune_diag *d) DUNE_MUST_USE;

#endif
