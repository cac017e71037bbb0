/* SPDX-License-Identifier: Apache-2.0 */
/* The flow table of one generation on one device: slots x ways, id 0 is empty. */
#include "targets/ref/ref_int.h"

#include <string.h>

void dune_flow_slot(const struct dune_plan *p, uint32_t slots, const struct dune_flow_key *key,
                    uint32_t *index, uint32_t *id)
{
    if (p->hash == DUNE_HASH_CRC) {
        *index = dune_crc32c(key->bytes, key->len) & (slots - 1);
        *id = dune_crc32(key->bytes, key->len);
    } else {
        uint64_t h = dune_siphash(p->hash_key, key->bytes, key->len);

        *index = (uint32_t)h & (slots - 1);
        *id = (uint32_t)(h >> 32);
    }
    if (*id == 0)
        *id = 1;
}

void dune_ref_flowtab_init(struct ref_flowtab *t, const struct dune_plan *p, uint32_t slots,
                           uint32_t ways, uint32_t n_stored, uint32_t n_trees, bool check_keys)
{
    size_t n = (size_t)slots * ways;

    *t = (struct ref_flowtab){.plan = p, .slots = slots, .ways = ways, .epoch = 1,
                              .n_stored = n_stored, .n_trees = n_trees};
    t->slot = DUNE_NEW_N(struct ref_slot, n);
    t->stored = dune_mem_zalloc(n, n_stored * sizeof(*t->stored));
    if (n_trees)
        t->leaf = dune_mem_zalloc(n, n_trees * sizeof(const struct dune_plan_leaf *));
    if (check_keys)
        t->key = DUNE_NEW_N(struct dune_flow_key, n);
}

void dune_ref_flowtab_fini(struct ref_flowtab *t)
{
    dune_mem_free(t->slot);
    dune_mem_free(t->stored);
    dune_mem_free(t->leaf);
    dune_mem_free(t->key);
    memset(t, 0, sizeof(*t));
}

void dune_ref_flowtab_clear(struct ref_flowtab *t)
{
    t->epoch++;
    if (t->epoch == 0) { /* 2^32 captures later: old epochs would look new */
        memset(t->slot, 0, (size_t)t->slots * t->ways * sizeof(*t->slot));
        t->epoch = 1;
    }
}

static bool is_empty(const struct ref_flowtab *t, const struct ref_slot *s)
{
    return s->id == 0 || s->epoch != t->epoch;
}

static bool is_expired(const struct ref_flowtab *t, const struct ref_slot *s, uint64_t now)
{
    return dune_expired(now, s->regs.last, t->plan->timeout);
}

/* A flow that never got beyond its SYN keeps its slot for a shorter time when others want it. */
static bool may_be_taken(const struct ref_flowtab *t, const struct ref_slot *s, uint64_t now)
{
    return is_expired(t, s, now) ||
           (t->plan->syn_timeout && s->half_open && dune_expired(now, s->regs.last, t->plan->syn_timeout));
}

struct ref_slot *dune_ref_flowtab_find(const struct ref_flowtab *t, uint32_t index, uint32_t id,
                                       uint64_t now)
{
    struct ref_slot *s = t->slot + (size_t)index * t->ways;

    for (uint32_t w = 0; w < t->ways; w++)
        if (!is_empty(t, &s[w]) && s[w].id == id && !is_expired(t, &s[w], now))
            return &s[w];
    return NULL;
}

struct ref_slot *dune_ref_flowtab_take(struct ref_flowtab *t, uint32_t index, uint32_t id,
                                       uint64_t now, enum dune_slot_outcome *outcome)
{
    struct ref_slot *s = dune_ref_flowtab_find(t, index, id, now);

    if (s) {
        *outcome = DUNE_SLOT_HIT;
        return s;
    }
    s = t->slot + (size_t)index * t->ways;
    for (uint32_t w = 0; w < t->ways; w++, s++) {
        bool empty = is_empty(t, s);

        if (!empty && !may_be_taken(t, s, now))
            continue;
        *outcome = empty ? DUNE_SLOT_NEW : DUNE_SLOT_EXPIRED;
        memset(s, 0, sizeof(*s));
        s->id = id;
        s->epoch = t->epoch;
        return s;
    }
    *outcome = DUNE_SLOT_COLLISION;
    return NULL;
}

bool dune_ref_flowtab_false_match(struct ref_flowtab *t, const struct ref_slot *s,
                                  const struct dune_flow_key *key, enum dune_slot_outcome outcome)
{
    struct dune_flow_key *k = t->key ? &t->key[s - t->slot] : NULL;

    if (!k)
        return false;
    if (outcome == DUNE_SLOT_HIT)
        return !dune_flow_key_equal(k, key);
    *k = *key;
    return false;
}
