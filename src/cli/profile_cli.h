/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DUNE_CLI_PROFILE_CLI_H
#define DUNE_CLI_PROFILE_CLI_H

#include "dune/plan.h"

/* The profile of this name, or an error that says which ones there are. */
int cli_profile(const struct dune_profile **out, const char *name, struct dune_diag *d) DUNE_MUST_USE;

#endif
