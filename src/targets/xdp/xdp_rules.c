/* SPDX-License-Identifier: Apache-2.0 */
/* Digests out, known-flow rules in. */
#include "targets/xdp/xdp_skel.h"

#include <errno.h>
#include <string.h>

/* --- digests ------------------------------------------------------------------------------------------------ */

int dune_xdp_poll(struct dune_xdp *x, int timeout_ms, dune_digest_fn fn, void *ctx, struct dune_diag *d)
{
    int n;

    x->digest_fn = fn;
    x->digest_ctx = ctx;
    n = timeout_ms ? ring_buffer__poll(x->ring, timeout_ms) : ring_buffer__consume(x->ring);
    if (n >= 0)
        return n;
    if (n == -EINTR)
        return 0;
    return dune_diag_set(d, DUNE_E_ENV, NULL, "cannot read digests: %s", strerror(-n));
}

int dune_xdp_digest_fd(const struct dune_xdp *x)
{
    return ring_buffer__epoll_fd(x->ring);
}

/* --- rules ---------------------------------------------------------------------------------------------------- */

static int rules_fd(const struct dune_xdp *x)
{
    return bpf_map__fd(x->skel->maps.rules);
}

static void make_key(struct xdp_rule_key *k, const struct dune_flow_key *key, uint32_t gen)
{
    memset(k, 0, sizeof(*k));
    memcpy(k->tuple, key->bytes, DUNE_MIN(key->len, sizeof(key->bytes)));
    k->len = key->len;
    k->gen = gen;
}

static struct xdp_rule make_rule(const struct dune_digest *dg, uint64_t from)
{
    return (struct xdp_rule){.from = from, .last_hit = dg->tick, .cls = dg->cls, .flags = dg->flags,
                             .submodel = dg->submodel, .conf = dg->conf, .live = 1};
}

static bool put_rule(struct dune_xdp *x, const struct xdp_rule_key *k, const struct xdp_flow_rules *f)
{
    if (bpf_map_update_elem(rules_fd(x), k, f, BPF_ANY))
        return false;
    __atomic_store_n(&x->settings->rules_on[k->gen], 1, __ATOMIC_SEQ_CST);
    return true;
}

void dune_xdp_add_rule(struct dune_xdp *x, const struct dune_digest *dg, uint64_t from)
{
    int i = dune_xdp_position(x, dg->generation);
    struct xdp_flow_rules f = {.rule = {make_rule(dg, from)}};
    struct xdp_rule_key k;

    if (i < 0)
        return;
    make_key(&k, &dg->key, (uint32_t)i);
    if (put_rule(x, &k, &f)) {
        x->rules++;
        return;
    }
    dune_xdp_sweep_rules(x);
    if (put_rule(x, &k, &f))
        x->rules++;
    else
        x->rules_full++;
}

void dune_xdp_remove_rule(struct dune_xdp *x, uint16_t generation, const struct dune_flow_key *key)
{
    int i = dune_xdp_position(x, generation);
    struct xdp_rule_key k;

    if (i < 0)
        return;
    make_key(&k, key, (uint32_t)i);
    bpf_map_delete_elem(rules_fd(x), &k);
}

/* Visits all flows with rules; the key after the one at hand is fetched first, so that fn may delete it. */
static void each_flow(const struct dune_xdp *x, void (*fn)(void *ctx, const struct xdp_rule_key *k,
                                                           struct xdp_flow_rules *f), void *ctx)
{
    struct xdp_rule_key k, next;
    struct xdp_flow_rules f;
    bool more = bpf_map_get_next_key(rules_fd(x), NULL, &next) == 0;

    while (more) {
        k = next;
        more = bpf_map_get_next_key(rules_fd(x), &k, &next) == 0;
        if (bpf_map_lookup_elem(rules_fd(x), &k, &f) == 0)
            fn(ctx, &k, &f);
    }
}

struct drop {
    struct dune_xdp *x;
    uint32_t gen;
};

static void drop_flow(void *ctx, const struct xdp_rule_key *k, struct xdp_flow_rules *f)
{
    struct drop *w = ctx;

    (void)f;
    if (k->gen == w->gen)
        bpf_map_delete_elem(rules_fd(w->x), k);
}

void dune_xdp_drop_rules(struct dune_xdp *x, uint32_t gen)
{
    struct drop w = {x, gen};

    each_flow(x, drop_flow, &w);
    x->live_rules = 0;
}

struct sweep {
    struct dune_xdp *x;
    uint64_t now;
    uint32_t left, died;
};

static void sweep_flow(void *ctx, const struct xdp_rule_key *k, struct xdp_flow_rules *f)
{
    struct sweep *w = ctx;
    uint64_t timeout = w->x->gen[k->gen].timeout;
    uint32_t live = 0, died = 0;

    for (int i = 0; i < XDP_RULES_PER_FLOW; i++) {
        struct xdp_rule *r = &f->rule[i];

        if (r->live && timeout != UINT64_MAX && w->now > r->last_hit && w->now - r->last_hit > timeout) {
            r->live = 0;
            died++;
        }
        live += r->live;
    }
    w->left += live;
    w->died += died;
    if (!live)
        bpf_map_delete_elem(rules_fd(w->x), k);
    else if (died)
        bpf_map_update_elem(rules_fd(w->x), k, f, BPF_EXIST);
}

static uint32_t sweep(struct dune_xdp *x, uint64_t now)
{
    struct sweep w = {.x = x, .now = now};

    each_flow(x, sweep_flow, &w);
    x->swept += w.died;
    return w.left;
}

uint32_t dune_xdp_sweep_rules(struct dune_xdp *x)
{
    return sweep(x, dune_xdp_now());
}

struct list {
    const struct dune_xdp *x;
    dune_digest_fn fn;
    void *ctx;
};

static void list_flow(void *ctx, const struct xdp_rule_key *k, struct xdp_flow_rules *f)
{
    struct list *w = ctx;
    struct dune_digest dg = {.device = w->x->device, .generation = w->x->gen[k->gen].generation,
                             .key.len = (uint8_t)k->len};

    memcpy(dg.key.bytes, k->tuple, DUNE_MIN(k->len, sizeof(dg.key.bytes)));
    for (int i = 0; i < XDP_RULES_PER_FLOW; i++) {
        const struct xdp_rule *r = &f->rule[i];

        if (!r->live)
            continue;
        dg.tick = r->last_hit;
        dg.cls = r->cls;
        dg.flags = r->flags;
        dg.submodel = r->submodel;
        dg.conf = r->conf;
        w->fn(w->ctx, &dg);
    }
}

void dune_xdp_list_rules(const struct dune_xdp *x, dune_digest_fn fn, void *ctx)
{
    struct list w = {x, fn, ctx};

    each_flow(x, list_flow, &w);
}

/* --- the simulated controller of the reference ------------------------------------------------------------------ */

/* Live rules of the device: those that the program let die are in its counters. */
static uint64_t n_live(struct dune_xdp *x)
{
    struct xdp_counts c;

    dune_xdp_read_counts(x, &c);
    x->live_rules -= c.rules_expired - x->seen_expired;
    x->seen_expired = c.rules_expired;
    return x->live_rules;
}

static bool append_rule(struct xdp_flow_rules *f, const struct xdp_rule *r)
{
    int n = 0;

    for (int i = 0; i < XDP_RULES_PER_FLOW; i++)
        if (f->rule[i].live)
            f->rule[n++] = f->rule[i];
    if (n == XDP_RULES_PER_FLOW)
        return false;
    f->rule[n++] = *r;
    for (; n < XDP_RULES_PER_FLOW; n++)
        f->rule[n].live = 0;
    return true;
}

void dune_xdp_queue_rule(struct dune_xdp *x, const struct dune_digest *dg, uint64_t from, uint32_t max)
{
    int i = dune_xdp_position(x, dg->generation);
    struct xdp_rule r = make_rule(dg, from);
    struct xdp_flow_rules f = {0};
    struct xdp_rule_key k;

    if (i < 0)
        return;
    if (n_live(x) >= max)
        x->live_rules = sweep(x, dg->tick);
    make_key(&k, &dg->key, (uint32_t)i);
    if (bpf_map_lookup_elem(rules_fd(x), &k, &f))
        memset(&f, 0, sizeof(f));
    if (x->live_rules >= max || !append_rule(&f, &r) || !put_rule(x, &k, &f)) {
        x->rules_full++;
        return;
    }
    x->live_rules++;
    x->rules++;
}
