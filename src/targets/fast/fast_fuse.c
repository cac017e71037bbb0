/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chain as one device. Where no verdict can become final before the last sub-model, every device sees every
 * packet of every flow; their tables then hold the same flows in the same places, with the same times and
 * counts. So one slot can hold the registers and stored answers of all of them, and a packet looks for it once.
 */
#include "targets/core/dune_core_model.h"
#include "targets/fast/fast_bucket.h"

#include <string.h>

bool dune_fast_can_fuse(const struct fast_chain *c, const struct fast_gen *g)
{
    const struct dune_plan *p = g->plan;
    bool keeps = false, keeps_not = false;

    for (uint32_t s = 1; s < p->n_submodels; s++)
        if (p->sub[s].device < p->sub[s - 1].device)
            return false;
    for (uint32_t i = 0; i < g->n_dev; i++) {
        keeps |= g->model[i].n_sub && g->model[i].keeps_state;
        keeps_not |= g->model[i].n_sub && !g->model[i].keeps_state;
    }
    return g->n_dev > 1 && !(keeps && keeps_not) && p->claim == DUNE_CLAIM_BEST && p->early_exit > 255 && !p->syn_timeout && !g->filters &&
           !g->acts && !c->opts.rules && !c->opts.trace && !c->opts.digest_rate && g == &c->gen[c->stamp];
}

/* The registers of one device out of the slot of all. first: of its sub-models in the chain. */
static void split_slot(struct dune_core_slot *to, struct dune_core_slot *from, const struct fast_model *m,
                       const struct fast_model *whole, uint32_t first)
{
    const struct dune_core_layout *l = &m->layout, *all = &whole->layout;

    memset(to, 0, l->bytes);
    to->last = from->last;
    to->id = from->id;
    to->count = from->count;
    for (int f = 0; f < DUNE_N_FEATURES; f++)
        if (m->where[f])
            memcpy(dune_core_at(to, m->where[f]), dune_core_at(from, whole->where[f]), dune_core_register_bytes(f));
    if (l->first)
        *dune_core_at64(to, l->first) = *dune_core_at64(from, all->first);
    *dune_core_at(to, l->flags) = *dune_core_at(from, all->flags) & DUNE_CORE_UDP_SEEN;
    if (m->digests) {
        *dune_core_at(to, l->flags) = *dune_core_at(from, all->flags);
        *dune_core_at64(to, l->digest_tick) = *dune_core_at64(from, all->digest_tick);
    }
    for (uint32_t k = 0; k < m->n_sub; k++)
        *dune_core_at32(to, l->stored + 4 * k) = *dune_core_at32(from, all->stored + 4 * (first + k));
}

static void split_table(struct fast_table *to, const struct fast_table *from, const struct fast_model *m,
                        const struct fast_model *whole, uint32_t first)
{
    size_t n = ((size_t)from->mask + 1) * from->ways;

    dune_fast_table_init(to, from->mask + 1, from->ways, m->layout.bytes, from->timeout);
    to->base = from->base;
    to->started = from->started;
    for (size_t i = 0; i < n; i++) {
        const uint32_t bucket = (uint32_t)(i / from->ways), way = (uint32_t)(i % from->ways);
        bool used = from->word ? from->word[i] != 0 : fast_slot_at(from, bucket, way)->id != 0;

        if (!used)
            continue;
        if (from->word)
            to->word[i] = from->word[i];
        split_slot(fast_slot_at(to, bucket, way), fast_slot_at(from, bucket, way), m, whole, first);
    }
}

void dune_fast_unfuse(struct fast_chain *c, struct fast_gen *g)
{
    struct fast_table all = g->table[0];
    uint32_t first = 0;

    memset(&g->table[0], 0, sizeof(g->table[0]));
    for (uint32_t i = 0; i < c->n_dev; i++) {
        if (g->model[i].keeps_state)
            split_table(&g->table[i], &all, &g->model[i], &g->whole, first);
        first += g->model[i].n_sub;
    }
    dune_fast_table_fini(&all);
    dune_fast_model_fini(&g->whole);
    g->fused = false;
}
