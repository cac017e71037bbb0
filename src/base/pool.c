/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

struct job {
    _Atomic size_t next;
    size_t n;
    dune_job_fn fn;
    void *ctx;
};

static void *work(void *arg)
{
    struct job *job = arg;
    size_t i;

    while ((i = atomic_fetch_add(&job->next, 1)) < job->n)
        job->fn(job->ctx, i);
    return NULL;
}

unsigned dune_n_cpus(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n > 0 ? (unsigned)n : 1;
}

void dune_parallel_for(unsigned n_threads, size_t n, dune_job_fn fn, void *ctx)
{
    enum { MAX_THREADS = 256 };
    pthread_t thread[MAX_THREADS];
    struct job job = {.n = n, .fn = fn, .ctx = ctx};
    unsigned started = 0;

    if (!n_threads)
        n_threads = dune_n_cpus();
    if (n_threads > MAX_THREADS)
        n_threads = MAX_THREADS;
    /* The caller works too; a thread that cannot be started only makes it slower. */
    while (started + 1 < n_threads && started + 1 < n &&
           pthread_create(&thread[started], NULL, work, &job) == 0)
        started++;
    work(&job);
    while (started)
        pthread_join(thread[--started], NULL);
}
