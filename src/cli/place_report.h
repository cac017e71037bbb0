/* SPDX-License-Identifier: Apache-2.0 */
/* A placement in words and numbers, for `place` and `compile`. */
#ifndef DUNE_CLI_PLACE_REPORT_H
#define DUNE_CLI_PLACE_REPORT_H

#include "cli/cli.h"
#include "dune/placement.h"

/* traffic may be NULL. */
void place_report_json(struct dune_buf *out, const struct dune_plan *p, const struct dune_topology *t,
                       const struct dune_placement *x, const struct dune_place_traffic *traffic);
void place_report_text(struct cli_ctx *ctx, const struct dune_plan *p, const struct dune_topology *t,
                       const struct dune_placement *x, const struct dune_place_traffic *traffic);

#endif
