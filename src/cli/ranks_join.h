/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of an MPI job: ranks_mpi.c, or ranks_alone.c in a build without MPI. */
#ifndef DUNE_CLI_RANKS_JOIN_H
#define DUNE_CLI_RANKS_JOIN_H

#include "base/ranks.h"

/* Joins the job that started this process. DUNE_E_ENV: there is no MPI in this build, or it does not start. */
int cli_ranks_join(struct dune_diag *d) DUNE_MUST_USE;
const char *cli_ranks_version(void); /* of MPI in this build, or NULL */

#endif
