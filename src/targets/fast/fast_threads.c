/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers that run one function at a time, the caller being worker 0. They spin a little before they
 * sleep: bursts follow each other within microseconds.
 */
#include "targets/fast/fast_int.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { SPINS = 2000 };

struct fast_pool {
    unsigned n;
    pthread_t *thread;
    unsigned started;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    _Atomic unsigned round, busy;
    _Atomic bool stop;
    void (*fn)(void *ctx, unsigned worker);
    void *ctx;
    struct entry {
        struct fast_pool *pool;
        unsigned index;
    } *entry;
};

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void wait_for_round(struct fast_pool *p, unsigned seen)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&p->round, memory_order_acquire) != seen)
            return;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    while (atomic_load_explicit(&p->round, memory_order_acquire) == seen)
        pthread_cond_wait(&p->wake, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

static void *work(void *arg)
{
    struct entry *e = arg;
    struct fast_pool *p = e->pool;
    unsigned seen = 0;

    for (;;) {
        wait_for_round(p, seen);
        seen++;
        if (atomic_load(&p->stop))
            return NULL;
        p->fn(p->ctx, e->index);
        atomic_fetch_sub_explicit(&p->busy, 1, memory_order_release);
    }
}

static void start_round(struct fast_pool *p)
{
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add_explicit(&p->round, 1, memory_order_release);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

struct fast_pool *dune_fast_pool_new(unsigned n_threads)
{
    struct fast_pool *p = DUNE_NEW(struct fast_pool);

    p->n = n_threads;
    p->thread = DUNE_NEW_N(pthread_t, n_threads);
    p->entry = DUNE_NEW_N(struct entry, n_threads);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    for (unsigned i = 1; i < n_threads; i++) {
        p->entry[i] = (struct entry){p, i};
        if (pthread_create(&p->thread[i], NULL, work, &p->entry[i]))
            break;
        p->started++;
    }
    return p;
}

void dune_fast_pool_run(struct fast_pool *p, void (*fn)(void *ctx, unsigned worker), void *ctx)
{
    unsigned spins = 0;

    p->fn = fn;
    p->ctx = ctx;
    atomic_store(&p->busy, p->started);
    start_round(p);
    fn(ctx, 0);
    for (unsigned i = p->started + 1; i < p->n; i++)
        fn(ctx, i); /* threads that could not be started: slower, not wrong */
    while (atomic_load_explicit(&p->busy, memory_order_acquire)) {
        relax();
        if (++spins % SPINS == 0)
            sched_yield();
    }
}

void dune_fast_pool_free(struct fast_pool *p)
{
    if (!p)
        return;
    atomic_store(&p->stop, true);
    start_round(p);
    for (unsigned i = 1; i <= p->started; i++)
        pthread_join(p->thread[i], NULL);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->wake);
    dune_mem_free(p->thread);
    dune_mem_free(p->entry);
    dune_mem_free(p);
}
