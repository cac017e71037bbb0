/* SPDX-License-Identifier: Apache-2.0 */
/* Generations: into a free position, visible at once, gone when nobody looks any more. */
#include "targets/xdp/xdp_skel.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "targets/target_int.h"

int dune_xdp_position(const struct dune_xdp *x, uint16_t generation)
{
    for (int i = 0; i < XDP_GENS; i++)
        if (x->gen[i].held && x->gen[i].generation == generation)
            return i;
    return -1;
}

static void publish(uint32_t *word, uint32_t v)
{
    __atomic_store_n(word, v, __ATOMIC_SEQ_CST);
}

/* An update of a map of maps returns when all programs that were running have ended. */
void dune_xdp_wait_for_packets(struct dune_xdp *x)
{
    uint32_t zero = 0;
    int fd = bpf_map__fd(x->skel->maps.nothing);

    bpf_map_update_elem(bpf_map__fd(x->skel->maps.grace), &zero, &fd, BPF_ANY);
}

static int free_position(const struct dune_xdp *x, const struct dune_plan *p, struct dune_diag *d)
{
    const struct xdp_settings *s = x->settings;
    bool first = !x->gen[0].held && !x->gen[1].held;

    if (dune_xdp_position(x, p->generation) >= 0)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "generation %u is held already", p->generation);
    if (!first && x->gen[!s->stamp].held)
        return dune_diag_set(d, DUNE_E_USAGE, NULL,
                             "two generations are held: generation %u waits until %u is drained", p->generation,
                             x->gen[!s->stamp].generation);
    if (!first && p->shim_ethertype != s->shim_ethertype)
        return dune_diag_set(d, DUNE_E_USAGE, NULL,
                             "generation %u has shim EtherType %04x, the device runs with %04x", p->generation,
                             p->shim_ethertype, s->shim_ethertype);
    return first ? (int)s->stamp : (int)!s->stamp;
}

static int put(struct dune_xdp *x, struct bpf_map *m, int at, const void *value, struct dune_diag *d)
{
    uint32_t key = (uint32_t)at;

    if (bpf_map_update_elem(bpf_map__fd(m), &key, value, BPF_ANY) == 0)
        return 0;
    (void)x;
    return dune_diag_set(d, DUNE_E_ENV, NULL, "cannot write map %s: %s", bpf_map__name(m), strerror(errno));
}

static void note_held(struct dune_xdp *x, int at, const struct xdp_compiled *c, const struct dune_plan *p)
{
    struct xdp_held *h = &x->gen[at];

    publish(&x->settings->share[at], DUNE_STAMP_ALL);
    *h = (struct xdp_held){.held = true, .counted = x->drift && c->plan->counted, .generation = p->generation, .timeout = p->timeout,
                           .state_bytes = c->state_bytes, .slots = c->plan->slot_mask + 1, .ways = c->plan->ways,
                           .slot_bytes = c->plan->slot_bytes, .layout = c->plan->layout};
    memcpy(h->where, c->where, sizeof(h->where));
    for (uint32_t i = 0; i < p->n_classes; i++)
        if (p->cls[i].action == DUNE_ACTION_MIRROR && p->cls[i].action_arg < XDP_MAX_PORTS)
            h->mirrors |= 1ull << p->cls[i].action_arg;
}

static void update_max_vlan(struct dune_xdp *x, const uint8_t max_vlan[XDP_GENS])
{
    uint32_t most = 0;

    for (int i = 0; i < XDP_GENS; i++)
        if (x->gen[i].held)
            most = DUNE_MAX(most, max_vlan[i]);
    publish(&x->settings->max_vlan, x->gen[0].held || x->gen[1].held ? most : 2);
}

/* The parser limit of every position, from its plan in the map. */
static void read_max_vlan(struct dune_xdp *x, uint8_t max_vlan[XDP_GENS])
{
    struct xdp_plan *p = DUNE_NEW(struct xdp_plan);

    for (uint32_t i = 0; i < XDP_GENS; i++)
        max_vlan[i] = bpf_map_lookup_elem(bpf_map__fd(x->skel->maps.plans), &i, p) ? 0 : p->max_vlan;
    dune_mem_free(p);
}

static int hold(struct dune_xdp *x, int at, const struct xdp_compiled *c, const struct dune_plan *p,
                struct dune_diag *d)
{
    struct xdp_settings *s = x->settings;
    uint8_t max_vlan[XDP_GENS];
    int rc;

    memset(x->arena + (size_t)at * x->arena_step, 0, c->state_bytes);
    if (x->drift)
        dune_xdp_drift_clear(x, (uint32_t)at);
    c->plan->serial = ++x->serial;
    rc = put(x, x->skel->maps.plans, at, c->plan, d);
    if (rc == 0)
        rc = put(x, x->skel->maps.nodes, at, c->node, d);
    if (rc == 0 && x->drift)
        rc = put(x, x->skel->maps.cuts, at, c->cuts, d);
    if (rc)
        return rc;
    note_held(x, at, c, p);
    read_max_vlan(x, max_vlan);
    publish(&s->shim_ethertype, p->shim_ethertype);
    publish(&s->rules_on[at], 0);
    publish(&s->generation[at], p->generation);
    update_max_vlan(x, max_vlan);
    dune_xdp_refresh_mirrors(x);
    publish(&s->held[at], 1);
    return 0;
}

int dune_xdp_hold(struct dune_xdp *x, const struct dune_plan *p, uint16_t device, struct dune_diag *d)
{
    struct xdp_compiled c;
    int at = free_position(x, p, d), rc;

    if (at < 0)
        return at;
    rc = dune_xdp_compile(&c, p, device, x->opts.slots, x->opts.ways, d);
    if (rc)
        return rc;
    if (c.state_bytes > x->capacity)
        rc = dune_diag_set(d, DUNE_E_INFEASIBLE, NULL,
                           "the plan's slots take %llu bytes, the device was opened with room for %llu",
                           (unsigned long long)c.state_bytes, (unsigned long long)x->capacity);
    if (rc == 0)
        rc = hold(x, at, &c, p, d);
    if (rc == 0)
        x->device = device;
    dune_xdp_compiled_fini(&c);
    return rc;
}

/* now: the tick of the switch, from the test or the clock. */
int dune_xdp_stamp_at(struct dune_xdp *x, uint16_t generation, uint32_t share, uint64_t now, struct dune_diag *d)
{
    struct xdp_settings *s = x->settings;
    int i = dune_xdp_position(x, generation);
    uint64_t timeout;

    if (i < 0)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "generation %u is not held", generation);
    if (share > DUNE_STAMP_ALL)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "a share of %u, at most %u", share, DUNE_STAMP_ALL);
    if ((uint32_t)i == s->stamp && share == s->share[i])
        return 0;
    timeout = x->gen[!i].held && share == DUNE_STAMP_ALL ? x->gen[!i].timeout : UINT64_MAX;
    /* The deadline first: a packet in between finds its flows in the generation it would stamp anyway. */
    __atomic_store_n(&s->drain_until, dune_drain_deadline(now, timeout), __ATOMIC_SEQ_CST);
    publish(&s->share[i], share);
    publish(&s->stamp, (uint32_t)i);
    return 0;
}

int dune_xdp_stamp(struct dune_xdp *x, uint16_t generation, uint32_t share, struct dune_diag *d)
{
    return dune_xdp_stamp_at(x, generation, share, dune_xdp_now(), d);
}

int dune_xdp_release(struct dune_xdp *x, uint16_t generation, struct dune_diag *d)
{
    struct xdp_settings *s = x->settings;
    int i = dune_xdp_position(x, generation);
    uint8_t max_vlan[XDP_GENS];

    if (i < 0)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "generation %u is not held", generation);
    if ((uint32_t)i == s->stamp && x->gen[!i].held)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "generation %u is being stamped", generation);
    publish(&s->held[i], 0);
    dune_xdp_wait_for_packets(x);
    x->gen[i].held = false;
    publish(&s->rules_on[i], 0);
    dune_xdp_drop_rules(x, (uint32_t)i);
    read_max_vlan(x, max_vlan);
    update_max_vlan(x, max_vlan);
    return 0;
}

uint64_t dune_xdp_drain_until(const struct dune_xdp *x)
{
    return x->gen[!x->settings->stamp].held ? x->settings->drain_until : 0;
}

uint64_t dune_xdp_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return dune_tick((uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec);
}

uint64_t dune_xdp_live_slots(const struct dune_xdp *x, uint16_t generation, uint64_t now)
{
    int i = dune_xdp_position(x, generation);
    const struct xdp_held *h = &x->gen[i < 0 ? 0 : i];
    uint64_t n = 0;

    for (uint64_t at = 0; i >= 0 && at < h->state_bytes; at += h->slot_bytes) {
        const struct dune_core_slot *s = (const void *)(x->arena + (size_t)i * x->arena_step + at);

        n += s->id != 0 && !(h->timeout != UINT64_MAX && now > s->last && now - s->last > h->timeout);
    }
    return n;
}

void dune_xdp_clear(struct dune_xdp *x)
{
    for (int i = 0; i < XDP_GENS; i++) {
        if (!x->gen[i].held)
            continue;
        memset(x->arena + (size_t)i * x->arena_step, 0, x->gen[i].state_bytes);
        x->settings->rules_on[i] = 0;
        dune_xdp_drop_rules(x, (uint32_t)i);
    }
    x->settings->bucket_started = 0;
}
