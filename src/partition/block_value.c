/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of design section 4: Theta, Delta, gain, cost and totals of splits. */
#include "partition/partition_int.h"

#include <math.h>
#include <string.h>

void block_measure(const struct problem *p, const uint32_t *cls, uint32_t k, double *theta, double *delta)
{
    double share = (double)k / p->r, lo = p->f[cls[0]], hi = lo;

    *theta = 0;
    for (uint32_t j = 0; j < p->r; j++) {
        double sum = 0;

        for (uint32_t i = 0; i < k; i++)
            sum += p->w[(size_t)cls[i] * p->r + j];
        if (sum - share > 0)
            *theta += sum - share;
    }
    for (uint32_t i = 1; i < k; i++) {
        lo = fmin(lo, p->f[cls[i]]);
        hi = fmax(hi, p->f[cls[i]]);
    }
    *delta = k == 1 ? lo : hi - lo;
}

double combine_gain(double theta, double delta)
{
    return theta / (1.0 + delta);
}

double combine_cost(uint32_t m, double theta, double delta)
{
    return (m - theta) * delta;
}

double block_gain(const struct problem *p, const uint32_t *cls, uint32_t k)
{
    double theta, delta;

    block_measure(p, cls, k, &theta, &delta);
    return combine_gain(theta, delta);
}

double block_value(const struct problem *p, const uint32_t *cls, uint32_t k)
{
    double theta, delta;

    block_measure(p, cls, k, &theta, &delta);
    return p->ilp ? -combine_cost(p->m, theta, delta) : combine_gain(theta, delta);
}

double compactness(uint32_t m, uint32_t n_blocks)
{
    return m == 1 ? 1.0 : (double)(m - n_blocks) / (double)(m - 1);
}

double split_score(const struct problem *p, const struct split *s)
{
    uint32_t *cls = DUNE_NEW_N(uint32_t, p->m);
    double sum = 0;

    for (uint32_t q = 0; q < s->n; q++) {
        uint32_t k = split_members(s, p->m, q, cls);

        sum += block_value(p, cls, k);
    }
    dune_mem_free(cls);
    return p->ilp ? sum : compactness(p->m, s->n) * sum;
}

uint32_t min_blocks(const struct problem *p)
{
    return p->n_blocks ? p->n_blocks : p->ilp ? 2 : 1;
}

uint32_t max_blocks(const struct problem *p)
{
    return p->n_blocks ? p->n_blocks : p->ilp ? p->m - 1 : p->m;
}

bool blocks_allowed(const struct problem *p, uint32_t n)
{
    return n >= min_blocks(p) && n <= max_blocks(p);
}

void split_init(struct split *s, uint32_t m)
{
    s->block_of = DUNE_NEW_N(uint32_t, m);
    s->n = 1;
}

void split_fini(struct split *s)
{
    dune_mem_free(s->block_of);
    s->block_of = NULL;
}

void split_copy(struct split *to, const struct split *from, uint32_t m)
{
    memcpy(to->block_of, from->block_of, m * sizeof(*to->block_of));
    to->n = from->n;
}

void split_normalise(struct split *s, uint32_t m)
{
    uint32_t *map = dune_mem_alloc(m + (size_t)1, sizeof(*map)), n = 0;

    memset(map, 0xff, (m + (size_t)1) * sizeof(*map));
    for (uint32_t c = 0; c < m; c++) {
        if (map[s->block_of[c]] == UINT32_MAX)
            map[s->block_of[c]] = n++;
        s->block_of[c] = map[s->block_of[c]];
    }
    s->n = n;
    dune_mem_free(map);
}

/* The first class at which block q of the two differs decides: the block that has it goes on with a
 * smaller class there, unless the other one has ended, which makes that one a prefix. */
static int compare_block(const struct split *a, const struct split *b, uint32_t m, uint32_t q)
{
    for (uint32_t c = 0; c < m; c++) {
        bool in_a = a->block_of[c] == q, in_b = b->block_of[c] == q;
        const struct split *other = in_a ? b : a;

        if (in_a == in_b)
            continue;
        for (uint32_t e = c + 1; e < m; e++)
            if (other->block_of[e] == q)
                return in_a ? -1 : 1;
        return in_a ? 1 : -1;
    }
    return 0;
}

int split_compare(const struct split *a, const struct split *b, uint32_t m)
{
    for (uint32_t q = 0; q < DUNE_MIN(a->n, b->n); q++) {
        int cmp = compare_block(a, b, m, q);

        if (cmp)
            return cmp;
    }
    return 0;
}

uint32_t split_members(const struct split *s, uint32_t m, uint32_t q, uint32_t *cls)
{
    uint32_t k = 0;

    for (uint32_t c = 0; c < m; c++)
        if (s->block_of[c] == q)
            cls[k++] = c;
    return k;
}
