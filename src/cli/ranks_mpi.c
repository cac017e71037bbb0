/* SPDX-License-Identifier: Apache-2.0 */
/* Processes of one MPI job. All calls are made by the main thread. */
#include <mpi.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ranks_join.h"

enum { PIECE = 1 << 28 }; /* bytes at a time: counts of MPI are ints */

static void gather(const void *mine, size_t len, uint8_t **all, size_t *offset)
{
    int n = (int)dune_ranks_n(), me = (int)dune_ranks_me();
    uint64_t own = len, *each = dune_mem_alloc((size_t)n, sizeof(*each));

    MPI_Allgather(&own, 1, MPI_UINT64_T, each, 1, MPI_UINT64_T, MPI_COMM_WORLD);
    offset[0] = 0;
    for (int r = 0; r < n; r++)
        offset[r + 1] = offset[r] + (size_t)each[r];
    *all = dune_mem_alloc(offset[n], 1);
    if (len)
        memcpy(*all + offset[me], mine, len);
    for (int r = 0; r < n; r++)
        for (size_t at = offset[r]; at < offset[r + 1]; at += PIECE)
            MPI_Bcast(*all + at, (int)DUNE_MIN(offset[r + 1] - at, (size_t)PIECE), MPI_BYTE, r, MPI_COMM_WORLD);
    dune_mem_free(each);
}

static void barrier(void)
{
    MPI_Barrier(MPI_COMM_WORLD);
}

static void stop_all(int status)
{
    MPI_Abort(MPI_COMM_WORLD, status);
}

static void finish(void)
{
    MPI_Finalize();
}

static const struct dune_ranks_ops mpi_ops = {gather, barrier, stop_all, finish};

int cli_ranks_join(struct dune_diag *d)
{
    int provided, me, n;

    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS || provided < MPI_THREAD_FUNNELED)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "MPI cannot be started");
    MPI_Comm_rank(MPI_COMM_WORLD, &me);
    MPI_Comm_size(MPI_COMM_WORLD, &n);
    dune_ranks_set((unsigned)me, (unsigned)n, &mpi_ops);
    return 0;
}

const char *cli_ranks_version(void)
{
    static char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int len = 0;

    if (MPI_Get_library_version(text, &len) != MPI_SUCCESS)
        return "?";
    text[strcspn(text, ",\n")] = '\0';
    return text;
}
