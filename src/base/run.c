/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;
static _Atomic bool quiet;
static pthread_mutex_t print_lock = PTHREAD_MUTEX_INITIALIZER;

void dune_interrupt_request(void)
{
    interrupted = 1;
}

bool dune_interrupted(void)
{
    return interrupted != 0;
}

uint64_t dune_now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

void dune_progress_set_quiet(bool q)
{
    quiet = q;
}

void dune_progress_start(struct dune_progress *p, const char *what, uint64_t total)
{
    p->what = what;
    p->total = total ? total : 1;
    atomic_store(&p->done, 0);
    p->start_ns = p->last_ns = dune_now_ns();
    p->on = !quiet && isatty(STDERR_FILENO);
}

void dune_progress_add(struct dune_progress *p, uint64_t n)
{
    uint64_t done = atomic_fetch_add(&p->done, n) + n, now;
    double share, eta;

    if (!p->on || pthread_mutex_trylock(&print_lock) != 0)
        return;
    now = dune_now_ns();
    if (now - p->last_ns > UINT64_C(200000000)) {
        p->last_ns = now;
        share = (double)done / (double)p->total;
        eta = (double)(now - p->start_ns) / 1e9 * (1 - share) / share;
        fprintf(stderr, "\r%-40.40s %5.1f %%  ETA %.0f s   ", p->what,
                100 * DUNE_MIN(share, 1.0), eta > 0 ? eta : 0);
        fflush(stderr);
    }
    pthread_mutex_unlock(&print_lock);
}

void dune_progress_end(struct dune_progress *p)
{
    if (p->on)
        fprintf(stderr, "\r%-70s\r", "");
    p->on = false;
}
