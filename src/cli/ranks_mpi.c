/* SPDX-License-Identifier: Apache-2.0 */
/* Processes of one MPI job. All calls are made by the main thread. */
#include <mpi.h>
#include <stdlib.h>
#include <string.h>

#include "base/lazy.h"
#include "base/spill.h"
#include "cli/ranks_join.h"

#ifdef OPEN_MPI
#include "cli/mpi_file.h"
#define MPI_API(F)                                                                                            \
    F(MPI_Abort) F(MPI_Allgather) F(MPI_Allreduce) F(MPI_Barrier) F(MPI_Bcast) F(MPI_Comm_rank) F(MPI_Comm_size) \
    F(MPI_Finalize) F(MPI_Get_library_version) F(MPI_Init_thread) F(ompi_mpi_comm_world) F(ompi_mpi_uint64_t)  \
    F(ompi_mpi_byte) F(ompi_mpi_op_sum)
DUNE_LAZY_LIBRARY(mpi, MPI_API, DUNE_MPI_FILE, "MPI");
#define WORLD ((MPI_Comm)(void *)mpi.ompi_mpi_comm_world)
#define A_U64 ((MPI_Datatype)(void *)mpi.ompi_mpi_uint64_t)
#define A_BYTE ((MPI_Datatype)(void *)mpi.ompi_mpi_byte)
#define A_SUM ((MPI_Op)(void *)mpi.ompi_mpi_op_sum)
#define CALL(f) mpi.f

static int load(struct dune_diag *d)
{
    mpi_lib.global = true; /* its plug-ins look for its symbols */
    return dune_lazy_open(&mpi_lib, d);
}
#else /* others have no types with addresses: they are linked */
#define WORLD MPI_COMM_WORLD
#define A_U64 MPI_UINT64_T
#define A_BYTE MPI_BYTE
#define A_SUM MPI_SUM
#define CALL(f) f

static int load(struct dune_diag *d)
{
    (void)d;
    return 0;
}
#endif

enum {
    PIECE = 1 << 28,      /* bytes at a time: counts of MPI are ints */
    COPIED = 1 << 20,     /* where arrays may be closed to the kernel (base/spill.h) */
};

/* The part of all that process r has, to everybody. */
static void share(uint8_t *part, size_t len, int r, bool mine)
{
    size_t step = dune_spill_on() ? COPIED : PIECE;
    uint8_t *copy = dune_spill_on() ? malloc(COPIED) : NULL;

    for (size_t at = 0; at < len; at += step) {
        size_t n = DUNE_MIN(len - at, step);

        if (copy && mine)
            memcpy(copy, part + at, n);
        CALL(MPI_Bcast)(copy ? copy : part + at, (int)n, A_BYTE, r, WORLD);
        if (copy && !mine)
            memcpy(part + at, copy, n);
    }
    free(copy);
}

static void gather(const void *mine, size_t len, uint8_t **all, size_t *offset)
{
    int n = (int)dune_ranks_n(), me = (int)dune_ranks_me();
    uint64_t own = len, *each = dune_mem_alloc((size_t)n, sizeof(*each));

    CALL(MPI_Allgather)(&own, 1, A_U64, each, 1, A_U64, WORLD);
    offset[0] = 0;
    for (int r = 0; r < n; r++)
        offset[r + 1] = offset[r] + (size_t)each[r];
    *all = dune_mem_alloc(offset[n], 1);
    if (len)
        memcpy(*all + offset[me], mine, len);
    for (int r = 0; r < n; r++)
        share(*all + offset[r], offset[r + 1] - offset[r], r, r == me);
    dune_mem_free(each);
}

static void sum(uint64_t *v, size_t n)
{
    enum { NUMBERS = COPIED / sizeof(uint64_t) };
    uint64_t *others = malloc(COPIED); /* not an array that may be closed to the kernel */

    for (size_t at = 0; at < n; at += NUMBERS) {
        size_t len = DUNE_MIN(n - at, (size_t)NUMBERS);

        memcpy(others, v + at, len * sizeof(*v));
        CALL(MPI_Allreduce)(MPI_IN_PLACE, others, (int)len, A_U64, A_SUM, WORLD);
        memcpy(v + at, others, len * sizeof(*v));
    }
    free(others);
}

static void barrier(void)
{
    CALL(MPI_Barrier)(WORLD);
}

static void stop_all(int status)
{
    CALL(MPI_Abort)(WORLD, status);
}

static void finish(void)
{
    CALL(MPI_Finalize)();
}

static const struct dune_ranks_ops mpi_ops = {gather, sum, barrier, stop_all, finish};

int cli_ranks_join(struct dune_diag *d)
{
    int provided, me, n, rc = load(d);

    if (rc)
        return rc;
    if (CALL(MPI_Init_thread)(NULL, NULL, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS || provided < MPI_THREAD_FUNNELED)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "MPI cannot be started");
    CALL(MPI_Comm_rank)(WORLD, &me);
    CALL(MPI_Comm_size)(WORLD, &n);
    dune_ranks_set((unsigned)me, (unsigned)n, &mpi_ops);
    return 0;
}

const char *cli_ranks_version(void)
{
    static char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int len = 0;

    if (load(NULL))
        return NULL;
    if (CALL(MPI_Get_library_version)(text, &len) != MPI_SUCCESS)
        return "?";
    text[strcspn(text, ",\n")] = '\0';
    return text;
}
