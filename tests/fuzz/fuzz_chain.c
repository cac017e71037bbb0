/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any packets, on any ports, through a random plan: nothing crashes, counters add up after every packet,
 * and what goes through the edges of a chain comes out byte for byte.
 *
 *   plan seed | options | then per packet: kind, tick step, flow or length, bytes
 */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

#define DUNE_TESTING_H /* no test framework here: a check that fails is a crash */
#define assert_ok(rc, d)                                                                           \
    do {                                                                                           \
        if ((rc) != 0 || (d).code != 0)                                                            \
            abort();                                                                               \
    } while (0)
#define fail_msg(...) abort()
#define assert_int_equal(a, b)                                                                     \
    do {                                                                                           \
        if ((a) != (b))                                                                            \
            abort();                                                                               \
    } while (0)

#include "unit/targets/random_chain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { OPT_SMALL = 1, OPT_RULES = 2, OPT_DROP = 4, OPT_KEEP = 8, OPT_MTU = 16, OPT_VOTES = 32,
       OPT_ACTIONS = 64, OPT_LIMITS = 128 };

struct fuzz {
    const uint8_t *p, *end;
    struct dune_plan *plan, *next;
    uint8_t opt;
    uint64_t tick;
    struct dune_chain *chain;
    struct kit_frame f;
};

static uint8_t take(struct fuzz *z)
{
    return z->p < z->end ? *z->p++ : 0;
}

static void bend_plan(struct dune_plan *p, uint8_t opt)
{
    p->slots = opt & OPT_SMALL ? 2 : 64;
    p->ways = 1;
    p->chain_mtu = opt & OPT_MTU ? 1000 : 0;
    if (opt & OPT_VOTES)
        p->claim = DUNE_CLAIM_VOTES;
    if (opt & OPT_LIMITS)
        p->parser = (struct dune_parser_limits){1, 8, 1, 16, true};
    for (uint32_t c = 0; opt & OPT_ACTIONS && c < p->n_classes; c++) {
        p->cls[c].action = (enum dune_action_kind)(c % 5);
        p->cls[c].action_any = c % 2;
        p->cls[c].action_arg = c;
    }
}

/* A packet that parses, a packet with one byte changed, or any bytes. */
static void make_frame(struct fuzz *z, uint8_t kind)
{
    uint8_t flow = take(z);
    struct kit_packet k = {.src = flow % 8, .dst = 1, .sport = flow, .dport = 80, .tcp = flow & 1,
                           .ipv6 = flow & 2, .n_vlan = flow % 5 ? 0 : flow % 4, .ttl = flow,
                           .ip_len = (uint16_t)(flow * 257), .tcp_flags = flow};

    if (kind & 1) {
        z->f.len = 0;
        for (unsigned n = flow % 96; n > 0 && z->p < z->end; n--)
            z->f.data[z->f.len++] = take(z);
        return;
    }
    kit_make(&z->f, &k);
    if (kind & 2)
        z->f.data[take(z) % z->f.len] = take(z);
    if (kind & 4)
        z->f.len = take(z) % (z->f.len + 1);
    if (kind & 8 && z->f.len > 16)
        memcpy(z->f.data + 12, "\x88\xb5", 2);
}

static void check_counters(const struct fuzz *z, bool chained)
{
    struct dune_counters c[8];
    struct dune_diag d = {0};

    for (uint32_t i = 0; i < z->plan->n_devices; i++)
        z->chain->ops->counters(z->chain, i, &c[i]);
    assert_ok(dune_counters_check(c, z->plan->n_devices, chained, &d), d);
}

static void through_the_chain(struct fuzz *z)
{
    struct dune_chain_frame out;
    struct dune_verdict v = kit_send_frame(z->chain, &z->f, z->tick, &out);

    check_counters(z, true);
    if (v.dropped ? out.data != NULL : out.data == NULL)
        abort();
    if (v.inferable && !(v.flags & DUNE_SHIM_FINAL))
        abort(); /* the last sub-model makes every verdict final */
    if (v.dropped || z->opt & (OPT_KEEP | OPT_ACTIONS))
        return;
    if (out.cap_len != z->f.len || memcmp(out.data, z->f.data, z->f.len) != 0)
        abort();
}

/* One device alone, with ports at will: a chain port believes shims of version 1. */
static void through_a_device(struct fuzz *z, uint8_t kind)
{
    struct dune_ballot ballot = {0};
    struct dune_device_in in = {.data = z->f.data, .cap_len = z->f.len, .wire_len = z->f.len,
                                .tick = z->tick, .port = kind >> 5 & 1, .out_port = kind >> 6 & 1,
                                .ballot = &ballot};
    struct dune_device_out out;

    dune_ref_device_process(dune_ref_chain_device(z->chain, take(z) % z->plan->n_devices), &in, &out);
    check_counters(z, false);
    if (out.data && out.cap_len > z->f.len + DUNE_SHIM_BYTES)
        abort();
}

static void run(struct fuzz *z)
{
    bool alone = false;

    while (z->p < z->end) {
        uint8_t kind = take(z);

        z->tick += (uint64_t)(int64_t)(int8_t)take(z) * (kind & 16 ? 100 : 1);
        make_frame(z, kind);
        if (kind >= 0xfc)
            z->chain->ops->new_capture(z->chain);
        else if (kind >= 0xf8 && dune_ref_chain_update(z->chain, z->next, z->tick, NULL) == 0)
            continue;
        alone |= kind >= 0x80; /* after that neighbours need not agree */
        if (kind >= 0x80)
            through_a_device(z, kind);
        else if (!alone)
            through_the_chain(z);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz z = {.p = data, .end = data + len, .tick = 100000};
    struct dune_chain_opts o = {.check_keys = true, .rule_delay = 50, .rules_max = 4, .digest_rate = 5};
    uint8_t seed = take(&z);

    z.opt = take(&z);
    o.rules = z.opt & OPT_RULES;
    o.drop_edge_shim = z.opt & OPT_DROP;
    o.keep_shim = z.opt & OPT_KEEP;
    z.plan = random_plan(seed, 1 + seed % 4, 1 + seed % 3);
    z.next = random_plan(seed + 256u, 2, 1 + seed % 3);
    z.next->generation = 2;
    bend_plan(z.plan, z.opt);
    bend_plan(z.next, z.opt);
    z.chain = kit_open(z.plan, &o);
    run(&z);
    z.chain->ops->close(z.chain);
    dune_plan_free(z.plan);
    dune_plan_free(z.next);
    return 0;
}
