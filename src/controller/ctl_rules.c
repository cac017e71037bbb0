/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digests to known-flow rules. A digest that comes again within a moment is a duplicate; later it means
 * that no rule hits, and the rule is sent again. A token bucket bounds what a storm can cost.
 */
#include "controller/controller_int.h"

#include <string.h>

enum {
    DUPLICATE_NS = 400000000, /* devices repeat after about 1 s */
    RULES_NS = 20000000,      /* between messages to a device that are not full */
    RULES_EACH_NS = 100000,   /* or so long for every device there is: many devices must not mean as many messages */
};

/* --- sending ----------------------------------------------------------------------------------------------- */

static void flush(struct dune_controller *c, struct ctl_device *dev)
{
    struct dune_ctl_msg *m;
    uint64_t sent_ns = dev->sent_ns, sent_seq = dev->sent_seq;

    if (dev->n_rules == 0)
        return;
    dev->rules_ns = c->now_ns;
    m = DUNE_NEW(struct dune_ctl_msg);
    m->kind = DUNE_CTL_RULES;
    m->n_digests = dev->n_rules;
    memcpy(m->digest, dev->rule, dev->n_rules * sizeof(*dev->rule));
    if (dune_ctl_send(c, dev, m))
        c->stats.rules_sent += dev->n_rules;
    dev->n_rules = 0; /* a rule that is lost is asked for again by the digest */
    dev->sent_ns = sent_ns; /* rules are not waited for */
    dev->sent_seq = sent_seq;
    dune_mem_free(m);
}

static void to_device(struct dune_controller *c, struct ctl_device *dev, const struct dune_digest *dg)
{
    if (dev->bare || dev->lost || !dev->reported)
        return;
    dev->rule[dev->n_rules++] = *dg;
    if (dev->n_rules == DUNE_CTL_BATCH)
        flush(c, dev);
}

/* The first of c->by_chain that is not before this chain. */
static uint32_t chain_begin(const struct dune_controller *c, uint32_t chain)
{
    uint32_t lo = 0, hi = c->n_devices;

    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;

        if (c->device[c->by_chain[mid]].chain < chain)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void to_chain(struct dune_controller *c, uint32_t chain, const struct dune_digest *dg)
{
    for (uint32_t i = chain_begin(c, chain); i < c->n_devices && c->device[c->by_chain[i]].chain == chain; i++) {
        struct ctl_device *dev = &c->device[c->by_chain[i]];

        if (ctl_is_first(dev) || c->cfg.rules_everywhere)
            to_device(c, dev, dg);
    }
}

static void to_devices(struct dune_controller *c, const struct dune_digest *dg)
{
    for (uint32_t i = 0; i < c->n_devices; i++)
        if (ctl_is_first(&c->device[i]) || c->cfg.rules_everywhere)
            to_device(c, &c->device[i], dg);
}

/* --- pins -------------------------------------------------------------------------------------------------- */

static struct ctl_plan *plan_of(struct dune_controller *c, uint16_t generation)
{
    if (generation && c->base.generation == generation)
        return &c->base;
    return generation && c->next.generation == generation ? &c->next : NULL;
}

static bool in_prefix(const struct dune_prefix *f, const struct dune_flow_key *key)
{
    unsigned bytes = f->ipv6 ? 16 : 4, whole = f->len / 8, rest = f->len % 8;

    if ((key->len == 37) != f->ipv6)
        return false;
    for (unsigned side = 0; side < 2; side++) {
        const uint8_t *addr = key->bytes + side * bytes;

        if (memcmp(f->addr, addr, whole) == 0 &&
            (rest == 0 || ((f->addr[whole] ^ addr[whole]) & (0xff00 >> rest) & 0xff) == 0))
            return true;
    }
    return false;
}

/* Flows before prefixes, longer prefixes before shorter ones. */
static const struct ctl_pin *find_pin(const struct dune_controller *c, const struct dune_flow_key *key)
{
    const struct ctl_pin *best = NULL;

    for (uint32_t i = 0; i < c->n_pins; i++) {
        const struct ctl_pin *p = &c->pin[i];

        if (p->is_flow && dune_flow_key_equal(&p->key, key))
            return p;
        if (!p->is_flow && in_prefix(&p->prefix, key) && (!best || p->prefix.len > best->prefix.len))
            best = p;
    }
    return best;
}

static uint8_t class_id(const struct ctl_plan *p, const char *cls)
{
    for (uint32_t i = 0; cls && i < p->plan->n_classes; i++)
        if (strcmp(p->plan->cls[i].name, cls) == 0)
            return (uint8_t)(i + 1);
    return 0;
}

static void set_pinned(const struct ctl_plan *p, const struct ctl_pin *pin, struct dune_digest *dg)
{
    dg->cls = class_id(p, pin->cls);
    dg->flags = DUNE_SHIM_FL;
    dg->submodel = 0;
    dg->conf = dg->cls ? 255 : 0;
}

/* A rule for a flow that may not have begun: sent again before it would expire. */
static void send_pin(struct dune_controller *c, struct ctl_pin *pin, const struct ctl_plan *p)
{
    struct dune_digest dg = {.generation = p->generation, .tick = dune_tick(c->now_ns), .key = pin->key};

    if (!p->generation)
        return;
    set_pinned(p, pin, &dg);
    to_devices(c, &dg);
}

static uint64_t refresh_ns(const struct dune_controller *c)
{
    uint64_t ticks = DUNE_MIN(c->base.plan ? c->base.plan->timeout : UINT64_MAX,
                              c->next.plan ? c->next.plan->timeout : UINT64_MAX);

    return ticks > (UINT64_MAX >> 12) ? 60000000000u : DUNE_MAX(ticks * 1024 / 3, 1000000u);
}

void dune_ctl_rules_step(struct dune_controller *c)
{
    uint64_t pause = refresh_ns(c), gap = DUNE_MAX((uint64_t)RULES_NS, (uint64_t)RULES_EACH_NS * c->n_devices);

    for (uint32_t i = 0; i < c->n_pins; i++) {
        struct ctl_pin *pin = &c->pin[i];

        if (!pin->is_flow || (pin->sent_ns && c->now_ns - pin->sent_ns < pause))
            continue;
        pin->sent_ns = c->now_ns;
        send_pin(c, pin, &c->base);
        send_pin(c, pin, &c->next);
    }
    for (uint32_t i = 0; i < c->n_devices; i++) {
        struct ctl_device *dev = &c->device[i];

        if (c->now_ns - dev->rules_ns >= gap || c->now_ns < dev->rules_ns)
            flush(c, dev);
    }
}

int dune_controller_pin(struct dune_controller *c, const char *what, const char *cls, struct dune_diag *d)
{
    struct dune_diag old = {0};
    struct ctl_pin p;
    int rc = dune_ctl_need_lease(c, d);

    if (rc)
        return rc;
    if (cls && c->base.plan && !class_id(&c->base, cls))
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "the plan has no class \"%.100s\"", cls);
    if (c->n_pins == MAX_PINS)
        return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "more than %d pins", MAX_PINS);
    rc = dune_ctl_pin_parse(&p, what, cls, d);
    if (rc)
        return rc;
    if (dune_controller_unpin(c, what, &old) == DUNE_E_IO) { /* that it was not pinned is no error */
        dune_mem_free(p.what);
        dune_mem_free(p.cls);
        *d = old;
        return d->code;
    }
    c->pin[c->n_pins++] = p;
    return dune_ctl_state_save(c, d);
}

int dune_controller_unpin(struct dune_controller *c, const char *what, struct dune_diag *d)
{
    int rc = dune_ctl_need_lease(c, d);

    if (rc)
        return rc;
    for (uint32_t i = 0; i < c->n_pins; i++) {
        if (strcmp(c->pin[i].what, what) != 0)
            continue;
        dune_mem_free(c->pin[i].what);
        dune_mem_free(c->pin[i].cls);
        c->pin[i] = c->pin[--c->n_pins];
        return dune_ctl_state_save(c, d);
    }
    return dune_diag_set(d, DUNE_E_USAGE, NULL, "\"%.100s\" is not pinned", what);
}

/* --- digests ----------------------------------------------------------------------------------------------- */

static bool is_duplicate(struct dune_controller *c, const struct dune_digest *dg, bool *first)
{
    struct ctl_known *k = &c->known[dune_crc32c(dg->key.bytes, dg->key.len) % KNOWN_FLOWS];
    bool same = k->generation == dg->generation && dune_flow_key_equal(&k->key, &dg->key);

    if (same && c->now_ns - k->sent_ns < DUPLICATE_NS)
        return true;
    *first = !same;
    *k = (struct ctl_known){dg->key, dg->generation, c->now_ns};
    return false;
}

static bool take_token(struct dune_controller *c)
{
    uint64_t full = (uint64_t)c->cfg.rule_burst * 1000000000u;

    if (c->bucket_ns == 0)
        c->bucket = full;
    else if (c->now_ns > c->bucket_ns)
        c->bucket = DUNE_MIN(full, c->bucket + DUNE_MIN(c->now_ns - c->bucket_ns, 1000000000u) * c->cfg.rule_rate);
    c->bucket_ns = c->now_ns;
    if (c->bucket < 1000000000u)
        return false;
    c->bucket -= 1000000000u;
    return true;
}

static void take_one(struct dune_controller *c, const struct ctl_device *from, const struct dune_digest *in)
{
    struct ctl_plan *p = plan_of(c, in->generation);
    struct dune_digest dg = *in;
    const struct ctl_pin *pin;
    bool first = false;

    c->stats.digests++;
    if (!p || in->cls > p->plan->n_classes) /* of a generation that is gone */
        return;
    if (is_duplicate(c, in, &first)) {
        c->stats.duplicates++;
        return;
    }
    if (first) {
        p->flows++;
        p->claimed += in->cls && !(in->flags & DUNE_SHIM_TENTATIVE);
        p->by_class[in->cls]++;
        if (c->digest_fn)
            c->digest_fn(c->digest_ctx, in, in->cls ? p->plan->cls[in->cls - 1].name : NULL);
    }
    pin = find_pin(c, &dg.key);
    if (pin)
        set_pinned(p, pin, &dg);
    if (first)
        dune_ctl_tell_flow(c, &dg, dg.cls ? p->plan->cls[dg.cls - 1].name : NULL, pin != NULL);
    if (c->cfg.no_rules)
        return;
    if (!take_token(c)) {
        c->stats.rules_limited++;
        return;
    }
    to_chain(c, from->chain, &dg);
}

void dune_ctl_take_digests(struct dune_controller *c, const struct ctl_device *from, const struct dune_ctl_msg *m)
{
    for (uint32_t i = 0; i < m->n_digests; i++)
        take_one(c, from, &m->digest[i]);
}
