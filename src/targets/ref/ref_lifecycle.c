/* SPDX-License-Identifier: Apache-2.0 */
/* A device's life: opening, generations, captures, rules and registers from outside. */
#include "targets/ref/ref_int.h"

#include <string.h>

#include "targets/target_int.h"

static uint32_t slots_of(const struct dune_ref_device *dev, const struct dune_plan *p)
{
    return dev->opts.slots ? dev->opts.slots : p->slots;
}

static uint32_t ways_of(const struct dune_ref_device *dev, const struct dune_plan *p)
{
    return dev->opts.ways ? dev->opts.ways : p->ways;
}

static int check(const struct dune_ref_device *dev, const struct dune_plan *p, struct dune_diag *d)
{
    uint32_t slots = slots_of(dev, p), ways = ways_of(dev, p);

    if (dev->index >= p->n_devices)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "the plan has %u devices, there is no device %u",
                             p->n_devices, dev->index);
    return dune_state_check(p, slots, ways, d);
}

/* Which sub-models are here, and does one of them need state? A device without sub-models, or with
 * mode packet alone, has no registers: nothing would read them. */
static void place(struct dune_ref_device *dev, struct ref_generation *g)
{
    uint32_t n_trees = 0;

    for (uint32_t s = 0; s < g->plan->n_submodels; s++) {
        const struct dune_submodel *sm = &g->plan->sub[s];

        if (sm->device != dev->index)
            continue;
        dune_ref_match_init(&g->match[g->n_sub], sm);
        g->tree0[g->n_sub] = n_trees;
        g->sub[g->n_sub++] = s;
        g->keeps_state |= sm->mode != DUNE_MODE_PACKET;
        n_trees += sm->n_trees;
    }
    if (g->plan->claim != DUNE_CLAIM_VOTES)
        n_trees = 0;
    if (g->keeps_state)
        dune_ref_flowtab_init(&g->tab, g->plan, slots_of(dev, g->plan), ways_of(dev, g->plan),
                              g->n_sub, n_trees, dev->opts.check_keys);
}

static void hold(struct dune_ref_device *dev, unsigned i, const struct dune_plan *p)
{
    struct ref_generation *g = &dev->gen[i];
    uint32_t max = dev->opts.rules_max ? dev->opts.rules_max : DUNE_RULES_MAX_DEFAULT;

    memset(g, 0, sizeof(*g));
    g->held = true;
    g->plan = p;
    place(dev, g);
    dune_ref_rules_init(&g->rules, max, p->timeout);
}

static void update_max_vlan(struct dune_ref_device *dev)
{
    dev->max_vlan = 0;
    for (unsigned i = 0; i < 2; i++)
        if (dev->gen[i].held)
            dev->max_vlan = DUNE_MAX(dev->max_vlan, dev->gen[i].plan->parser.max_vlan);
}

static void release(struct dune_ref_device *dev, unsigned i)
{
    if (!dev->gen[i].held)
        return;
    for (uint32_t k = 0; k < dev->gen[i].n_sub; k++)
        dune_ref_match_fini(&dev->gen[i].match[k]);
    dune_ref_flowtab_fini(&dev->gen[i].tab);
    dune_ref_rules_fini(&dev->gen[i].rules);
    dev->gen[i].held = false;
}

int dune_ref_device_new(struct dune_ref_device **out, const struct dune_plan *p, uint16_t index,
                        const struct dune_chain_opts *o, struct dune_diag *d)
{
    struct dune_ref_device *dev = DUNE_NEW(struct dune_ref_device);
    int rc;

    dev->index = index;
    if (o)
        dev->opts = *o;
    dev->shim_ethertype = p->shim_ethertype;
    dev->share = DUNE_STAMP_ALL;
    rc = check(dev, p, d);
    if (rc) {
        dune_mem_free(dev);
        return rc;
    }
    hold(dev, 0, p);
    update_max_vlan(dev);
    *out = dev;
    return 0;
}

void dune_ref_device_free(struct dune_ref_device *dev)
{
    if (!dev)
        return;
    release(dev, 0);
    release(dev, 1);
    dune_mem_free(dev->buf);
    dune_mem_free(dev);
}

void dune_ref_device_new_capture(struct dune_ref_device *dev)
{
    for (unsigned i = 0; i < 2; i++) {
        if (!dev->gen[i].held)
            continue;
        if (dev->gen[i].keeps_state)
            dune_ref_flowtab_clear(&dev->gen[i].tab);
        dune_ref_rules_clear(&dev->gen[i].rules);
    }
    dev->bucket_started = false;
}

void dune_ref_device_on_answer(struct dune_ref_device *dev, dune_answer_fn fn, void *ctx)
{
    dev->answer_fn = fn;
    dev->answer_ctx = ctx;
}

void dune_ref_device_on_digest(struct dune_ref_device *dev, dune_digest_fn fn, void *ctx)
{
    dev->digest_fn = fn;
    dev->digest_ctx = ctx;
}

const struct dune_counters *dune_ref_device_counters(const struct dune_ref_device *dev)
{
    return &dev->count;
}

/* --- generations ----------------------------------------------------------------------------------- */

static int position(const struct dune_ref_device *dev, uint16_t generation)
{
    for (int i = 0; i < 2; i++)
        if (dev->gen[i].held && dev->gen[i].plan->generation == generation)
            return i;
    return -1;
}

int dune_ref_device_load(struct dune_ref_device *dev, const struct dune_plan *p, struct dune_diag *d)
{
    unsigned i = !dev->stamp;
    int rc = check(dev, p, d);

    if (rc)
        return rc;
    if (position(dev, p->generation) >= 0)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "generation %u is held already", p->generation);
    if (dev->gen[i].held)
        return dune_diag_set(d, DUNE_E_USAGE, NULL,
                             "two generations are held: generation %u waits until %u is drained",
                             p->generation, dev->gen[i].plan->generation);
    if (p->shim_ethertype != dev->shim_ethertype)
        return dune_diag_set(d, DUNE_E_USAGE, NULL,
                             "generation %u has shim EtherType %04x, the device runs with %04x",
                             p->generation, p->shim_ethertype, dev->shim_ethertype);
    hold(dev, i, p);
    update_max_vlan(dev);
    return 0;
}

int dune_ref_device_stamp(struct dune_ref_device *dev, uint16_t generation, uint64_t now,
                          struct dune_diag *d)
{
    return dune_ref_device_stamp_share(dev, generation, DUNE_STAMP_ALL, now, d);
}

int dune_ref_device_stamp_share(struct dune_ref_device *dev, uint16_t generation, uint32_t share,
                                uint64_t now, struct dune_diag *d)
{
    int i = position(dev, generation);
    uint64_t timeout;

    if (i < 0)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "generation %u is not held", generation);
    if (share > DUNE_STAMP_ALL)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "a share of %u, at most %u", share, DUNE_STAMP_ALL);
    if ((unsigned)i == dev->stamp && share == dev->share)
        return 0;
    timeout = dev->gen[!i].held ? dev->gen[!i].plan->timeout : 0;
    dev->stamp = (unsigned)i;
    dev->share = share;
    dev->drain_until = share < DUNE_STAMP_ALL ? UINT64_MAX : dune_drain_deadline(now, timeout);
    return 0;
}

uint64_t dune_ref_device_drain_until(const struct dune_ref_device *dev)
{
    return dev->drain_until;
}

bool dune_stamp_in_share(const struct dune_flow_key *key, uint32_t share)
{
    return share >= DUNE_STAMP_ALL || dune_crc32(key->bytes, key->len) % DUNE_STAMP_ALL < share;
}

int dune_ref_device_unload(struct dune_ref_device *dev, uint16_t generation, struct dune_diag *d)
{
    int i = position(dev, generation);

    if (i < 0)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "generation %u is not held", generation);
    if ((unsigned)i == dev->stamp)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "generation %u is being stamped", generation);
    release(dev, (unsigned)i);
    update_max_vlan(dev);
    return 0;
}

/* --- from outside ------------------------------------------------------------------------------------ */

void dune_ref_device_add_rule(struct dune_ref_device *dev, const struct dune_digest *dg, uint64_t from)
{
    int i = position(dev, dg->generation);

    if (i < 0)
        return;
    if (dune_ref_rules_add(&dev->gen[i].rules, dg, from, &dev->count.rules_expired))
        dev->count.rules++;
    else
        dev->count.rules_full++;
}

void dune_ref_device_put_rule(struct dune_ref_device *dev, const struct dune_digest *dg, uint64_t from)
{
    int i = position(dev, dg->generation);

    if (i < 0)
        return;
    dune_ref_rules_drop(&dev->gen[i].rules, &dg->key);
    dune_ref_device_add_rule(dev, dg, from);
}

void dune_ref_device_release(struct dune_ref_device *dev, uint16_t generation, const struct dune_flow_key *key)
{
    int i = position(dev, generation);
    struct ref_flowtab *t = i < 0 ? NULL : &dev->gen[i].tab;
    uint32_t index, id;

    if (!t || !dev->gen[i].keeps_state)
        return;
    dune_flow_slot(dev->gen[i].plan, t->slots, key, &index, &id);
    for (uint32_t w = 0; w < t->ways; w++)
        if (t->slot[(size_t)index * t->ways + w].id == id)
            t->slot[(size_t)index * t->ways + w].id = 0;
}

bool dune_ref_device_slot(const struct dune_ref_device *dev, uint16_t generation, uint32_t index,
                          uint32_t way, struct dune_slot_view *out)
{
    int i = position(dev, generation);
    const struct ref_flowtab *t = i < 0 ? NULL : &dev->gen[i].tab;
    const struct ref_slot *s;

    memset(out, 0, sizeof(*out));
    if (!t || index >= t->slots || way >= t->ways)
        return false;
    s = &t->slot[(size_t)index * t->ways + way];
    if (s->id == 0 || s->epoch != t->epoch)
        return true;
    *out = (struct dune_slot_view){
        .used = true, .id = s->id, .regs = &s->regs, .digest_sent = s->digest_sent,
        .digest_tick = s->digest_tick, .n_stored = t->n_stored, .stored = ref_stored(t, s),
    };
    return true;
}
