/* SPDX-License-Identifier: Apache-2.0 */
#include "live/live_int.h"

#include <time.h>

/* 0..3 exact, then four bins per power of two. */
static unsigned bin_of(uint64_t ns)
{
    unsigned top;

    if (ns < 4)
        return (unsigned)ns;
    top = 63u - (unsigned)__builtin_clzll(ns);
    return (top - 1) * 4 + (unsigned)(ns >> (top - 2) & 3);
}

static uint64_t end_of(unsigned bin)
{
    unsigned top = bin / 4 + 1;

    if (bin < 4)
        return bin;
    return top >= 62 ? UINT64_MAX : ((uint64_t)(4 + bin % 4 + 1) << (top - 2)) - 1;
}

void dune_live_hist_add(struct live_hist *h, uint64_t ns)
{
    h->n++;
    h->bin[bin_of(ns)]++;
}

uint64_t dune_live_hist_quantile(const struct live_hist *h, double q)
{
    double want = q * (double)h->n, seen = 0;

    for (unsigned i = 0; h->n && i < LIVE_BINS; i++) {
        seen += (double)h->bin[i];
        if (h->bin[i] && seen >= want)
            return end_of(i);
    }
    return 0;
}

uint64_t dune_live_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
