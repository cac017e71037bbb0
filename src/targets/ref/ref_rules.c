/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Known-flow rules: exact match on the 5-tuple. Two digests of one flow can be under way at the same
 * time, so a flow may have several rules; the earliest that is valid hits.
 */
#include "targets/ref/ref_int.h"

#include <string.h>

#define NIL UINT32_MAX

void dune_ref_rules_init(struct ref_rules *r, uint32_t max, uint64_t timeout)
{
    *r = (struct ref_rules){.max = max, .timeout = timeout, .free_head = NIL};
}

void dune_ref_rules_fini(struct ref_rules *r)
{
    dune_mem_free(r->rule);
    dune_mem_free(r->head);
    memset(r, 0, sizeof(*r));
}

void dune_ref_rules_clear(struct ref_rules *r)
{
    r->n = r->n_live = 0;
    r->free_head = NIL;
    for (uint32_t i = 0; i < r->n_heads; i++)
        r->head[i] = NIL;
}

static uint32_t *chain_of(const struct ref_rules *r, const struct dune_flow_key *key)
{
    return &r->head[dune_crc32c(key->bytes, key->len) & (r->n_heads - 1)];
}

/* Appends at the end of the hash chain: rules of one flow stay in the order of their digests. */
static void link_rule(struct ref_rules *r, uint32_t i)
{
    uint32_t *at = chain_of(r, &r->rule[i].key);

    while (*at != NIL)
        at = &r->rule[*at].next;
    *at = i;
    r->rule[i].next = NIL;
}

/* Doubles the hash heads with the rules, which keeps the chains short. Rules of one flow are in one
 * old chain, so walking the old chains keeps their order. */
static void grow(struct ref_rules *r)
{
    uint32_t cap = r->cap ? r->cap * 2 : 64, n_old = r->n_heads;
    uint32_t *old = r->head;

    r->rule = dune_mem_realloc(r->rule, cap, sizeof(*r->rule));
    r->head = dune_mem_alloc(cap, sizeof(*r->head));
    r->cap = r->n_heads = cap;
    for (uint32_t i = 0; i < cap; i++)
        r->head[i] = NIL;
    for (uint32_t h = 0; h < n_old; h++)
        for (uint32_t i = old[h], next; i != NIL; i = next) {
            next = r->rule[i].next;
            link_rule(r, i);
        }
    dune_mem_free(old);
}

/* Unlinks the rule that *at points to; *at is then its successor. */
static void remove_at(struct ref_rules *r, uint32_t *at)
{
    uint32_t i = *at;

    *at = r->rule[i].next;
    r->rule[i].live = false;
    r->rule[i].next = r->free_head;
    r->free_head = i;
    r->n_live--;
}

/* Removes expired rules. None expires before the oldest last_hit does, so a full table of rules in
 * use is not walked again for every digest. */
static void sweep(struct ref_rules *r, uint64_t now, uint64_t *expired)
{
    uint64_t oldest = UINT64_MAX;

    if (!dune_expired(now, r->oldest_hit, r->timeout))
        return;
    for (uint32_t h = 0; h < r->n_heads; h++)
        for (uint32_t *at = &r->head[h]; *at != NIL;) {
            struct ref_rule *rule = &r->rule[*at];

            if (dune_expired(now, rule->last_hit, r->timeout)) {
                remove_at(r, at);
                ++*expired;
            } else {
                oldest = DUNE_MIN(oldest, rule->last_hit);
                at = &rule->next;
            }
        }
    r->oldest_hit = oldest;
}

static uint32_t take_entry(struct ref_rules *r)
{
    uint32_t i = r->free_head;

    if (i != NIL) {
        r->free_head = r->rule[i].next;
        return i;
    }
    if (r->n == r->cap)
        grow(r);
    return r->n++;
}

bool dune_ref_rules_add(struct ref_rules *r, const struct dune_digest *dg, uint64_t from,
                        uint64_t *expired)
{
    uint32_t i;

    if (r->n_live >= r->max)
        sweep(r, dg->tick, expired);
    if (r->n_live >= r->max)
        return false;
    i = take_entry(r);
    r->rule[i] = (struct ref_rule){
        .key = dg->key, .cls = dg->cls, .flags = dg->flags, .submodel = dg->submodel,
        .conf = dg->conf, .from = from, .last_hit = dg->tick, .live = true,
    };
    r->oldest_hit = r->n_live++ ? DUNE_MIN(r->oldest_hit, dg->tick) : dg->tick;
    link_rule(r, i);
    return true;
}

void dune_ref_rules_drop(struct ref_rules *r, const struct dune_flow_key *key)
{
    uint32_t *at;

    if (r->n_live == 0)
        return;
    at = chain_of(r, key);
    while (*at != NIL)
        if (dune_flow_key_equal(&r->rule[*at].key, key))
            remove_at(r, at);
        else
            at = &r->rule[*at].next;
}

struct ref_rule *dune_ref_rules_find(struct ref_rules *r, const struct dune_flow_key *key,
                                     uint64_t now, uint64_t *expired)
{
    uint32_t *at;

    if (r->n_live == 0)
        return NULL;
    at = chain_of(r, key);
    while (*at != NIL) {
        struct ref_rule *rule = &r->rule[*at];

        if (!dune_flow_key_equal(&rule->key, key)) {
            at = &rule->next;
        } else if (dune_expired(now, rule->last_hit, r->timeout)) {
            remove_at(r, at); /* dead for good, even if time runs backwards later */
            ++*expired;
        } else if (now >= rule->from) {
            return rule;
        } else {
            at = &rule->next;
        }
    }
    return NULL;
}
