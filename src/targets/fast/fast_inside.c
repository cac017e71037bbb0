/* SPDX-License-Identifier: Apache-2.0 */
/* Looks inside a chain: for the bench and for tests. */
#include "targets/fast/fast_bucket.h"
#include "targets/fast/fast_quick_parse.h"

static void set_walk(struct fast_model *m, enum dune_fast_walk walk)
{
    for (uint32_t k = 0; k < m->n_sub; k++)
        if (dune_fast_forest_can(&m->sub[k].forest, walk))
            m->sub[k].forest.walk = walk;
}

void dune_fast_set_walk(struct dune_chain *base, enum dune_fast_walk walk)
{
    struct fast_chain *c = (struct fast_chain *)base;

    for (unsigned g = 0; g < 2; g++) {
        set_walk(&c->gen[g].whole, walk);
        for (uint32_t i = 0; i < c->gen[g].n_dev; i++)
            set_walk(&c->gen[g].model[i], walk);
    }
}

enum dune_fast_walk dune_fast_walk_of(const struct dune_chain *base, uint32_t device, uint32_t k,
                                      double ns[DUNE_FAST_N_WALKS])
{
    const struct fast_chain *c = (const struct fast_chain *)base;
    const struct fast_forest *f = &c->gen[c->stamp].model[device].sub[k].forest;

    for (int w = 0; w < DUNE_FAST_N_WALKS; w++)
        ns[w] = f->ns[w];
    return f->walk;
}

uint64_t dune_fast_table_bytes(const struct dune_chain *base)
{
    const struct fast_chain *c = (const struct fast_chain *)base;
    uint64_t sum = 0;

    for (unsigned g = 0; g < 2; g++)
        for (uint32_t i = 0; i < c->gen[g].n_dev; i++) {
            const struct fast_table *t = &c->gen[g].table[i];
            uint64_t n = ((uint64_t)t->mask + 1) * t->ways;

            if (t->slot)
                sum += n * t->slot_bytes + (t->word ? n * sizeof(*t->word) : 0);
        }
    return sum;
}

uint32_t dune_fast_slot_bytes(const struct dune_chain *base, uint32_t device)
{
    const struct fast_chain *c = (const struct fast_chain *)base;

    return c->gen[c->stamp].fused ? c->gen[c->stamp].whole.layout.bytes : c->gen[c->stamp].model[device].layout.bytes;
}

/* --- bare limits -------------------------------------------------------------------------------------------- */

/* Any slot of the table, as the flow's hash has it. */
static uint64_t *limit_slot(const struct fast_table *t, uint64_t h)
{
    return (uint64_t *)(void *)fast_slot_bytes_at(t, (uint32_t)h & t->mask, (uint32_t)(h >> 32) % t->ways);
}

static uint64_t touch_slots(const struct fast_table *t, const uint64_t *hash, uint32_t n)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < n; i++) {
        uint64_t *slot = limit_slot(t, hash[i]);

        sum += slot[7];
        slot[7] = sum & 1; /* bytes 56..63; the limit is measured on a chain of its own */
    }
    return sum;
}

uint64_t dune_fast_limit(struct dune_chain *base, const struct dune_chain_packet *pkt, size_t n, bool touch)
{
    const struct fast_chain *c = (const struct fast_chain *)base;
    const struct fast_gen *g = &c->gen[c->stamp];
    const struct fast_table *t = &g->table[0];
    uint64_t sum = 0;

    for (size_t at = 0; at < n; at += FAST_CHUNK) {
        uint32_t m = (uint32_t)DUNE_MIN(n - at, FAST_CHUNK);
        uint64_t hash[FAST_CHUNK];

        for (uint32_t i = 0; i < m; i++) {
            struct dune_core_packet core = {0};
            uint64_t addr, h = 0;
            uint32_t ports;

            if (at + i + 6 < n)
                __builtin_prefetch(pkt[at + i + 6].data);
            if (fast_quick_parse(pkt[at + i].data, pkt[at + i].cap_len, &core, &addr, &ports))
                h = dune_fast_hash_v4(&g->hash, addr, ports, (uint8_t)core.w[DUNE_CORE_W_PROTO]);
            sum += h ^ core.w[DUNE_CORE_W_LEN];
            hash[i] = h;
            if (touch)
                __builtin_prefetch(limit_slot(t, h), 1);
        }
        if (touch)
            sum += touch_slots(t, hash, m);
    }
    return sum;
}
