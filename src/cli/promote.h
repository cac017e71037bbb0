/* SPDX-License-Identifier: Apache-2.0 */
/* A new plan through a controller that serves: shadow, share, all. */
#ifndef DUNE_CLI_PROMOTE_H
#define DUNE_CLI_PROMOTE_H

#include "cli/cli.h"

struct cli_promotion {
    const char *bus, *creds, *ca;
    const char *profile;   /* drift profile of the new plan, a file; NULL: none */
    double share;          /* percent of the new flows that get it at first; 100: all at once */
    uint32_t shadow_flows; /* flows to compare in shadow before; 0: no shadow */
    uint32_t share_flows;  /* digests of the new generation before all flows get it */
    double agree;          /* percent of the shadowed flows that must get the class they get now; 0: any */
    double wait_s;         /* for each step */
};
/* text: the plan file. Errors: DUNE_E_ENV for a step that does not end in time or a rollback by the controller,
 * DUNE_E_INFEASIBLE when shadow and running plan disagree too often; then nothing has changed. */
int cli_promote(struct cli_ctx *ctx, const struct cli_promotion *how, const char *text, struct dune_diag *d) DUNE_MUST_USE;

#endif
