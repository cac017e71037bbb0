/* SPDX-License-Identifier: Apache-2.0 */
/* What no partition can beat, for more classes than the subset DP takes. */
#include "partition/partition_int.h"

#include <math.h>

/* The distance of f of class c to the nearest other class: no block of two or more with c has a smaller
 * Delta. */
static double least_delta(const struct problem *p, uint32_t c)
{
    double least = INFINITY;

    for (uint32_t e = 0; e < p->m; e++)
        if (e != c)
            least = fmin(least, fabs(p->f[c] - p->f[e]));
    return least;
}

/* Theta of a block is at most the sum of its classes' own, so each class brings at most this much gain. */
static double most_gain(const struct problem *p, uint32_t c)
{
    double theta, delta;

    block_measure(p, &c, 1, &theta, &delta);
    return theta / (1.0 + fmin(delta, least_delta(p, c)));
}

double upper_bound(const struct problem *p, const struct split *s, bool *optimal)
{
    double sum = 0;

    (void)s;
    *optimal = false;
    if (p->ilp)
        return 0; /* no cost is negative: m >= Theta, Delta >= 0 */
    for (uint32_t c = 0; c < p->m; c++)
        sum += most_gain(p, c);
    return compactness(p->m, min_blocks(p)) * sum;
}
