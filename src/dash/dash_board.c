/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of a scene in one block that is copied whole; F1 from sums per class; times in bins. */
#include "dash/dash_int.h"

#include <string.h>

void dash_board_init(struct dash_board *b, uint32_t n_devices, uint32_t n_classes)
{
    size_t dev = n_devices * (sizeof(struct dash_dev) / sizeof(uint64_t)), at = dev;

    memset(b, 0, sizeof(*b));
    b->n_devices = n_devices;
    b->n_classes = n_classes;
    b->words = dev + n_classes + 1 + (size_t)n_devices * 256 + (size_t)n_classes * DASH_N_LEVELS * DASH_N_SUMS;
    b->block = DUNE_NEW_N(uint64_t, b->words);
    b->dev = (struct dash_dev *)b->block;
    b->by_class = b->block + at, at += n_classes + 1;
    b->claims = b->block + at, at += (size_t)n_devices * 256;
    for (int l = 0; l < DASH_N_LEVELS; l++)
        for (int s = 0; s < DASH_N_SUMS; s++)
            b->sum[l][s] = b->block + at, at += n_classes;
}

void dash_board_fini(struct dash_board *b)
{
    dune_mem_free(b->block);
    memset(b, 0, sizeof(*b));
}

void dash_board_copy(struct dash_board *to, const struct dash_board *from)
{
    to->t = from->t;
    memcpy(to->block, from->block, from->words * sizeof(uint64_t));
}

void dash_board_vote(struct dash_board *b, enum dash_level level, uint32_t truth, uint32_t pred, uint64_t w)
{
    if (truth >= b->n_classes)
        return;
    b->sum[level][DASH_TRUE][truth] += w;
    if (pred >= b->n_classes)
        return;
    b->sum[level][DASH_PREDICTED][pred] += w;
    if (pred == truth)
        b->sum[level][DASH_TP][truth] += w;
}

static double ratio(uint64_t a, uint64_t b)
{
    return b ? (double)a / (double)b : 0;
}

struct dune_f1 dash_board_f1(const struct dash_board *b, enum dash_level level, const uint64_t *before, double *per_class)
{
    uint64_t total = 0, tp = 0, claimed = 0, v[DASH_N_SUMS];
    struct dune_f1 f = {0};
    uint32_t present = 0;

    for (uint32_t k = 0; k < b->n_classes; k++) {
        double f1;

        for (int s = 0; s < DASH_N_SUMS; s++)
            v[s] = b->sum[level][s][k] - (before ? before[(size_t)s * b->n_classes + k] : 0);
        claimed += v[DASH_PREDICTED];
        if (per_class)
            per_class[k] = -1;
        if (!v[DASH_TRUE])
            continue;
        f1 = ratio(2 * v[DASH_TP], v[DASH_PREDICTED] + v[DASH_TRUE]);
        if (per_class)
            per_class[k] = f1;
        present++;
        f.macro += f1;
        f.weighted += f1 * (double)v[DASH_TRUE];
        total += v[DASH_TRUE];
        tp += v[DASH_TP];
    }
    if (!total)
        return f;
    f.macro /= present;
    f.weighted /= (double)total;
    f.micro = ratio(tp, total);
    f.coverage = ratio(claimed, total);
    return f;
}

/* 0..3 exact, then four bins per power of two. */
void dash_hist_add(struct dash_hist *h, uint64_t ns)
{
    unsigned top = ns < 4 ? 0 : 63u - (unsigned)__builtin_clzll(ns);

    h->n++;
    h->bin[ns < 4 ? ns : (top - 1) * 4 + (ns >> (top - 2) & 3)]++;
}

uint64_t dash_hist_quantile(const struct dash_hist *h, double q)
{
    double want = q * (double)h->n, seen = 0;

    for (unsigned i = 0; h->n && i < DUNE_ARRAY_LEN(h->bin); i++) {
        unsigned top = i / 4 + 1;

        seen += (double)h->bin[i];
        if (h->bin[i] && seen >= want) /* the middle of the bin */
            return i < 4 ? i : ((uint64_t)(8 + 2 * (i % 4) + 1) << (top - 2)) / 2;
    }
    return 0;
}
