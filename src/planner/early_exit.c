/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work that packets are spared: a claim of at least early_exit is final, so the sub-models behind it are not
 * asked. Chooses that threshold and the order that spares most, where it costs no F1 on any layout of the folds: on
 * one alone the lowest threshold is often the luckiest.
 */
#include <string.h>

#include "base/base.h"
#include "planner/planner_int.h"

enum { HIGHEST = 255, LOWEST = 128 };
#define DIP 0.001 /* a threshold counts only if none above it is worse than this */

struct saver {
    struct dune_search *s;
    const struct dune_chain_spec *spec;
    const struct dune_item_answer *col[DUNE_MAX_BLOCKS];
    uint64_t *stays; /* [2^n] packets that none of the sub-models of a set claims for good */
    unsigned n_layouts;
    unsigned layout[DUNE_JUDGES + 1]; /* that in use first */
    double base[DUNE_JUDGES + 1];     /* macro F1 there without early exit */
};

/* Packets by the set of sub-models that claim them for good; then summed over subsets of what is left. */
static void count_exits(const struct saver *v, unsigned early_exit)
{
    const struct dune_space *sp = v->s->space;
    const uint8_t *bar = v->spec->rule.min_confidence;
    unsigned n = v->spec->n_blocks;
    size_t all = (size_t)1 << n;

    memset(v->stays, 0, all * sizeof(*v->stays));
    for (size_t i = 0; i < sp->n_items; i++) {
        size_t mask = 0;

        if (!dune_cv_scored(v->s->cv)[sp->item_flow[i]])
            continue;
        for (unsigned b = 0; b < n; b++) {
            const struct dune_item_answer *a = &v->col[b][i];

            if (a->claim && a->conf >= DUNE_MAX(early_exit, bar ? bar[a->cls] : 0u))
                mask |= (size_t)1 << b;
        }
        v->stays[(all - 1) & ~mask] += sp->item_pkts[i];
    }
    for (unsigned b = 0; b < n; b++) /* stays[S]: packets whose mask has nothing of S */
        for (size_t m = all; m-- > 0;)
            if (!(m >> b & 1))
                v->stays[m] += v->stays[m | (size_t)1 << b];
}

/* The order with the fewest visits, by dynamic programming over sets. */
static uint64_t best_order(const struct saver *v, unsigned *order)
{
    unsigned n = v->spec->n_blocks;
    size_t all = (size_t)1 << n;
    uint64_t *cost = DUNE_NEW_N(uint64_t, all), visits;
    uint8_t *last = dune_mem_zalloc(all, 1);

    for (size_t m = 1; m < all; m++) {
        cost[m] = UINT64_MAX;
        for (unsigned b = 0; b < n; b++) {
            size_t before = m & ~((size_t)1 << b);
            uint64_t c;

            if (before == m)
                continue;
            c = cost[before] == UINT64_MAX ? UINT64_MAX : cost[before] + v->stays[before];
            if (c < cost[m]) {
                cost[m] = c;
                last[m] = (uint8_t)b;
            }
        }
    }
    visits = cost[all - 1];
    for (size_t m = all - 1, at = n; m; m &= ~((size_t)1 << last[m]))
        order[--at] = last[m];
    dune_mem_free(cost);
    dune_mem_free(last);
    return visits;
}

static struct dune_chain_spec reorder(const struct dune_chain_spec *spec, const unsigned *order, unsigned early_exit)
{
    struct dune_chain_spec out = *spec;

    for (unsigned b = 0; b < spec->n_blocks; b++) {
        out.block[b] = spec->block[order[b]];
        out.cfg[b] = spec->cfg[order[b]];
    }
    out.rule.early_exit = (uint16_t)early_exit;
    return out;
}

static int macro_on(struct saver *v, unsigned layout, const struct dune_chain_spec *spec, double *macro,
                    struct dune_diag *d)
{
    struct dune_confusion c;
    int rc = dune_search_change_folds(v->s, layout, d);

    if (rc)
        return rc;
    dune_confusion_init(&c, v->s->space->n_classes);
    rc = dune_search_confusion(v->s, spec, &c, d);
    *macro = rc ? 0 : dune_f1_score(&c, DUNE_WEIGHT_ONE, NULL).macro;
    dune_confusion_fini(&c);
    return rc;
}

/* The layouts that count, and what the chain scores there. */
static int measure_base(struct saver *v, struct dune_diag *d)
{
    unsigned in_use = v->s->layout, n = dune_search_n_judges(v->s);
    int rc = 0;

    v->layout[v->n_layouts++] = in_use;
    for (unsigned j = 1; j <= n; j++)
        if (j != in_use)
            v->layout[v->n_layouts++] = j;
    for (unsigned i = 0; rc == 0 && i < v->n_layouts; i++)
        rc = macro_on(v, v->layout[i], v->spec, &v->base[i], d);
    return rc;
}

/* The best order for a threshold, and what it gains (0: nothing, below: it costs) where it does worst. */
static int try_level(struct saver *v, unsigned early_exit, struct dune_chain_spec *next, uint64_t *visits,
                     double *gain, struct dune_diag *d)
{
    unsigned order[DUNE_MAX_BLOCKS] = {0};
    int rc = 0;

    count_exits(v, early_exit);
    *visits = best_order(v, order);
    *next = reorder(v->spec, order, early_exit);
    *gain = 1;
    for (unsigned i = 0; rc == 0 && i < v->n_layouts && *gain >= -DIP; i++) {
        double macro;

        rc = macro_on(v, v->layout[i], next, &macro, d);
        if (rc == 0)
            *gain = DUNE_MIN(*gain, macro - v->base[i]);
    }
    return rc;
}

static uint64_t count_packets(const struct dune_search *s)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < s->space->n_items; i++)
        sum += dune_cv_scored(s->cv)[s->space->item_flow[i]] ? s->space->item_pkts[i] : 0;
    return sum;
}

/* Thresholds from the highest on, until one costs F1. */
static int lower_threshold(struct saver *v, struct dune_chain_spec *spec, struct dune_saving *out, struct dune_diag *d)
{
    double packets = (double)DUNE_MAX(count_packets(v->s), UINT64_C(1));
    int rc = measure_base(v, d);

    for (unsigned t = HIGHEST; rc == 0 && t >= LOWEST; t--) {
        struct dune_chain_spec next;
        uint64_t visits;
        double gain;

        rc = dune_search_change_folds(v->s, v->layout[0], d);
        if (rc == 0)
            rc = try_level(v, t, &next, &visits, &gain, d);
        if (rc || gain < -DIP)
            break;
        if (gain >= 0) {
            *spec = next;
            out->visits = (double)visits / packets;
        }
    }
    return rc;
}

int dune_search_save_work(struct dune_search *s, struct dune_chain_spec *spec, struct dune_saving *out,
                          struct dune_diag *d)
{
    struct saver v = {.s = s};
    struct dune_chain_spec was = *spec;
    unsigned layout = s->layout;
    int rc;

    *out = (struct dune_saving){.visits = spec->n_blocks};
    if (spec->rule.claim != DUNE_CLAIM_BEST || spec->n_blocks < 2 || s->mixed)
        return 0; /* on unlike devices a block cannot change its place */
    v.spec = &was;
    rc = dune_search_columns(s, &was, v.col, d);
    if (rc)
        return rc;
    v.stays = DUNE_NEW_N(uint64_t, (size_t)1 << was.n_blocks);
    rc = lower_threshold(&v, spec, out, d);
    dune_mem_free(v.stays);
    return rc ? rc : dune_search_change_folds(s, layout, d);
}
