/* SPDX-License-Identifier: Apache-2.0 */
/* A build without MPI. */
#include "cli/ranks_join.h"

int cli_ranks_join(struct dune_diag *d)
{
    return dune_diag_set(d, DUNE_E_ENV, NULL, "this is one of several processes of an MPI job, but this build has no MPI: "
                         "./run setup mpi, then build again");
}

const char *cli_ranks_version(void)
{
    return NULL;
}
