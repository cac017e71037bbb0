/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Simulated known-flow rules. They are the reference's own rule tables: with rules packets go one by
 * one, and looking one up costs more than the table's plainness.
 */
#include "targets/fast/fast_int.h"
#include "targets/ref/ref_int.h"

void dune_fast_rules_open(struct fast_gen *g, uint32_t n_dev, uint32_t max)
{
    g->rules = DUNE_NEW_N(struct ref_rules, n_dev);
    for (uint32_t i = 0; i < n_dev; i++)
        dune_ref_rules_init(&g->rules[i], max ? max : DUNE_RULES_MAX_DEFAULT, g->plan->timeout);
}

void dune_fast_rules_close(struct fast_gen *g, uint32_t n_dev)
{
    for (uint32_t i = 0; g->rules && i < n_dev; i++)
        dune_ref_rules_fini(&g->rules[i]);
    dune_mem_free(g->rules);
    g->rules = NULL;
}

void dune_fast_rules_clear(struct fast_gen *g, uint32_t n_dev)
{
    for (uint32_t i = 0; g->rules && i < n_dev; i++)
        dune_ref_rules_clear(&g->rules[i]);
}

bool dune_fast_rules_live(struct fast_chain *c, struct fast_worker *w, uint32_t dev, struct fast_pkt *pk,
                          unsigned gen)
{
    return c->gen[gen].rules && dune_ref_rules_find(&c->gen[gen].rules[dev], &c->full[gen].key, pk->now,
                                                    &w->dev[dev].rules_expired);
}

bool dune_fast_rules_hit(struct fast_chain *c, struct fast_worker *w, uint32_t dev, struct fast_pkt *pk)
{
    struct ref_rule *rule;

    if (!c->gen[pk->gen].rules)
        return false;
    rule = dune_ref_rules_find(&c->gen[pk->gen].rules[dev], &c->full[pk->gen].key, pk->now,
                               &w->dev[dev].rules_expired);
    if (!rule)
        return false;
    rule->last_hit = DUNE_MAX(rule->last_hit, pk->now);
    pk->shim.cls = rule->cls;
    pk->shim.submodel = rule->submodel;
    pk->shim.conf = rule->conf;
    pk->shim.flags = (uint8_t)((pk->shim.flags & DUNE_SHIM_COLLISION) | rule->flags | DUNE_SHIM_FINAL |
                               DUNE_SHIM_SETTLED);
    return true;
}

static void add_rule(struct fast_chain *c, struct fast_worker *w, uint32_t dev, const struct dune_digest *dg,
                     uint64_t from)
{
    for (unsigned g = 0; g < 2; g++) {
        if (!c->gen[g].held || c->gen[g].plan->generation != dg->generation)
            continue;
        if (dune_ref_rules_add(&c->gen[g].rules[dev], dg, from, &w->dev[dev].rules_expired))
            w->dev[dev].rules++;
        else
            w->dev[dev].rules_full++;
    }
}

void dune_fast_rules_install(struct fast_chain *c, struct fast_worker *w)
{
    uint32_t n = c->opts.rules_everywhere ? c->n_dev : 1;

    for (size_t k = 0; k < c->digests.len; k++) {
        const struct dune_digest *dg = &c->digests.data[k];
        uint64_t delay = DUNE_MIN(c->opts.rule_delay, UINT64_MAX - dg->tick);

        for (uint32_t i = 0; i < n; i++)
            add_rule(c, w, i, dg, dg->tick + delay);
    }
    c->digests.len = 0;
}
