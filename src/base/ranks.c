/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ranks.h"

#include <stdlib.h>
#include <string.h>

static struct {
    unsigned me, n;
    const struct dune_ranks_ops *ops;
} ranks = {0, 1, NULL};

void dune_ranks_set(unsigned me, unsigned n, const struct dune_ranks_ops *ops)
{
    ranks.me = me;
    ranks.n = n ? n : 1;
    ranks.ops = ops;
}

unsigned dune_ranks_me(void)
{
    return ranks.me;
}

unsigned dune_ranks_n(void)
{
    return ranks.n;
}

void dune_ranks_barrier(void)
{
    if (ranks.n > 1)
        ranks.ops->barrier();
}

void dune_ranks_sum(uint64_t *v, size_t n)
{
    if (ranks.n > 1)
        ranks.ops->sum(v, n);
}

void dune_ranks_abort(int status)
{
    if (ranks.n > 1)
        ranks.ops->abort(status);
}

void dune_ranks_finish(void)
{
    if (ranks.ops)
        ranks.ops->finish();
    dune_ranks_set(0, 1, NULL);
}

/* Of Open MPI, of Slurm, of other process managers. */
static uint64_t from_env(const char *const *name)
{
    uint64_t v;

    for (; *name; name++) {
        const char *text = getenv(*name);

        if (text && dune_parse_u64(text, &v))
            return v;
    }
    return 0;
}

unsigned dune_ranks_cpus(void)
{
    static const char *const here[] = {"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "SLURM_NTASKS_PER_NODE", NULL};
    uint64_t n = ranks.n > 1 ? from_env(here) : 1;

    return DUNE_MAX(dune_n_cpus() / (unsigned)DUNE_MIN(DUNE_MAX(n, 1u), 4096u), 1u);
}

bool dune_ranks_launched(void)
{
    static const char *const size[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", NULL};

    return from_env(size) > 1;
}

/* --- work ---------------------------------------------------------------------------------------------------- */

struct part {
    const struct dune_ranks_work *work;
    void *ctx;
};

static void run_mine(void *ctx, size_t k)
{
    const struct part *p = ctx;

    p->work->fn(p->ctx, k * ranks.n + ranks.me);
}

/* Item number, length, bytes; all little-endian as everything here is. */
static void pack(const struct part *p, size_t n, struct dune_buf *out)
{
    struct dune_buf one = {0};

    for (size_t i = ranks.me; i < n; i += ranks.n) {
        uint64_t head[2] = {i};

        one.len = 0;
        p->work->put(p->ctx, i, &one);
        head[1] = one.len;
        dune_buf_append(out, head, sizeof(head));
        dune_buf_append(out, one.data, one.len);
    }
    dune_buf_fini(&one);
}

static bool unpack(const struct part *p, size_t n, unsigned rank, const uint8_t *data, size_t len)
{
    for (size_t i = rank; i < n; i += ranks.n) {
        uint64_t head[2];

        if (len < sizeof(head))
            return false;
        memcpy(head, data, sizeof(head));
        data += sizeof(head);
        len -= sizeof(head);
        if (head[0] != i || head[1] > len || !p->work->take(p->ctx, i, data, (size_t)head[1]))
            return false;
        data += head[1];
        len -= (size_t)head[1];
    }
    return len == 0;
}

int dune_ranks_for(unsigned threads, size_t n, const struct dune_ranks_work *work, void *ctx, struct dune_diag *d)
{
    struct part p = {work, ctx};
    struct dune_buf mine = {0};
    uint8_t *all = NULL;
    size_t *offset, share = n / ranks.n + (ranks.me < n % ranks.n);
    bool ok = true;

    if (ranks.n == 1) {
        dune_parallel_for(threads, n, work->fn, ctx);
        return 0;
    }
    dune_parallel_for(threads, share, run_mine, &p);
    pack(&p, n, &mine);
    offset = DUNE_NEW_N(size_t, ranks.n + 1);
    ranks.ops->gather(mine.data, mine.len, &all, offset);
    for (unsigned r = 0; ok && r < ranks.n; r++)
        ok = r == ranks.me || unpack(&p, n, r, all + offset[r], offset[r + 1] - offset[r]);
    dune_buf_fini(&mine);
    dune_mem_free(all);
    dune_mem_free(offset);
    return ok ? 0 : dune_diag_set(d, DUNE_E_INTERNAL, NULL, "process %u cannot read what the others have found: are all of "
                                  "them the same program on the same files?", ranks.me);
}
