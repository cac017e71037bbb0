/* SPDX-License-Identifier: Apache-2.0 */
/* True flows: directed 5-tuple, ended by an idle gap above the timeout or a capture boundary. */
#include "dune/replay.h"

#include <string.h>

#include "base/base.h"

struct live { /* the latest flow of a 5-tuple in this capture */
    struct dune_flow_key key;
    uint64_t flow, last;
    uint32_t epoch; /* of another capture: free */
};

struct dune_truth {
    uint64_t timeout;
    struct live *tab; /* open addressing, linear */
    uint64_t n_tab, used;
    uint32_t epoch;
    DUNE_VEC(uint64_t) len;
    DUNE_VEC(uint32_t) cls;
};

struct dune_truth *dune_truth_new(uint64_t timeout)
{
    struct dune_truth *t = DUNE_NEW(struct dune_truth);

    t->timeout = timeout;
    t->epoch = 1;
    t->n_tab = 1024;
    t->tab = DUNE_NEW_N(struct live, t->n_tab);
    return t;
}

void dune_truth_free(struct dune_truth *t)
{
    if (!t)
        return;
    DUNE_VEC_FREE(&t->len);
    DUNE_VEC_FREE(&t->cls);
    dune_mem_free(t->tab);
    dune_mem_free(t);
}

void dune_truth_boundary(struct dune_truth *t)
{
    t->epoch++;
    t->used = 0;
}

static uint64_t hash_key(const struct dune_flow_key *k)
{
    static const uint8_t no_key[16];

    return dune_siphash(no_key, k->bytes, k->len);
}

/* The entry of this key, or the free one where it belongs. */
static struct live *find(struct dune_truth *t, const struct dune_flow_key *key)
{
    uint64_t i = hash_key(key) & (t->n_tab - 1);

    while (t->tab[i].epoch == t->epoch && !dune_flow_key_equal(&t->tab[i].key, key))
        i = (i + 1) & (t->n_tab - 1);
    return &t->tab[i];
}

static void grow(struct dune_truth *t)
{
    struct live *old = t->tab;
    uint64_t n = t->n_tab;

    t->n_tab *= 2;
    t->tab = DUNE_NEW_N(struct live, t->n_tab);
    for (uint64_t i = 0; i < n; i++)
        if (old[i].epoch == t->epoch)
            *find(t, &old[i].key) = old[i];
    dune_mem_free(old);
}

uint64_t dune_truth_add(struct dune_truth *t, const struct dune_packet *p, uint64_t tick, uint32_t cls)
{
    struct live *l = find(t, &p->key);
    bool known = l->epoch == t->epoch;

    if (!known || dune_expired(tick, l->last, t->timeout)) {
        *l = (struct live){.key = p->key, .flow = t->len.len, .last = tick, .epoch = t->epoch};
        DUNE_VEC_PUSH(&t->len, 0);
        DUNE_VEC_PUSH(&t->cls, cls);
    }
    l->last = DUNE_MAX(l->last, tick);
    t->len.data[l->flow]++;
    if (known || ++t->used * 2 < t->n_tab)
        return l->flow;
    grow(t);
    return t->len.len - 1;
}

uint64_t dune_truth_n_flows(const struct dune_truth *t)
{
    return t->len.len;
}

uint64_t dune_truth_len(const struct dune_truth *t, uint64_t flow)
{
    return t->len.data[flow];
}

uint32_t dune_truth_class(const struct dune_truth *t, uint64_t flow)
{
    return t->cls.data[flow];
}
