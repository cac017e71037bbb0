/* SPDX-License-Identifier: Apache-2.0 */
/* Slots, time, hashes, digests, rules, actions and generations, on scenarios computed by hand. */
#include "unit/targets/chain_kit.h"

static const struct kit_packet A = {.src = 1, .dst = 2, .sport = 1000, .dport = 80};
static const struct kit_packet B = {.src = 3, .dst = 4, .sport = 1001, .dport = 80};
#define FL DUNE_SHIM_FL
#define COLL DUNE_SHIM_COLLISION

/* Confidence tells the packet count: 1, 2, 3, 4 and more; PL answers below n. */
static struct dune_plan *counting(uint8_t n, uint64_t timeout)
{
    static const uint32_t thr[] = {0, 1, 2, 3};
    static const struct dune_plan_leaf leaf[] = {KIT_CLAIM(1, 100), KIT_CLAIM(1, 1), KIT_CLAIM(1, 2),
                                                 KIT_CLAIM(1, 3), KIT_CLAIM(1, 4)};
    struct dune_plan *p = kit_plan(3, 1);

    p->timeout = timeout;
    kit_sub(p, 1, 0, n, DUNE_MODE_RUNNING, DUNE_F_COUNT, 4, thr, leaf);
    return p;
}

static unsigned conf_at(struct dune_chain *c, const struct kit_packet *k, uint64_t tick)
{
    return kit_send(c, k, tick).conf;
}

/* --- time ---------------------------------------------------------------------------------------------- */

static void test_expiry(void **state)
{
    struct dune_plan *p = counting(9, 1000);
    struct dune_chain *c = kit_open(p, NULL);

    assert_int_equal(conf_at(c, &A, 5000), 1);
    assert_int_equal(conf_at(c, &A, 6000), 2); /* exactly the timeout: alive */
    assert_int_equal(conf_at(c, &A, 7001), 1); /* one tick more: a new flow */
    assert_int_equal(kit_count(c, 0).slot_expired, 1);
    kit_close(c, 1);
    p->timeout = DUNE_TIMEOUT_NONE;
    c = kit_open(p, NULL);
    assert_int_equal(conf_at(c, &A, 0), 1);
    assert_int_equal(conf_at(c, &A, UINT64_MAX), 2); /* never expires */
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

/* A flow of which only SYNs were seen gives its slot to others sooner, is never settled, and is an ordinary flow from its
 * first ACK on. It finds its own slot up to the ordinary time-out. */
static void test_half_open(void **state)
{
    const struct kit_packet syn = {.src = 1, .dst = 2, .sport = 1, .dport = 80, .tcp = true, .tcp_flags = DUNE_TCP_SYN};
    const struct kit_packet other = {.src = 9, .dst = 2, .sport = 5, .dport = 80, .tcp = true, .tcp_flags = DUNE_TCP_ACK};
    struct kit_packet ack = syn;
    struct dune_plan *p = counting(2, 1000);
    struct dune_chain_opts o = {.slots = 1, .ways = 1};
    struct dune_chain *c;

    ack.tcp_flags = DUNE_TCP_ACK;
    p->syn_timeout = 100;
    c = kit_open(p, &o);
    assert_int_equal(kit_send(c, &syn, 5000).flags & DUNE_SHIM_SETTLED, 0);
    assert_int_equal(kit_send(c, &other, 5100).flags & COLL, COLL); /* exactly the time-out: it stays */
    assert_int_equal(kit_send(c, &syn, 5101).flags & DUNE_SHIM_SETTLED, 0); /* packet n, but of a half-open flow */
    assert_int_equal(kit_send(c, &other, 5202).flags & COLL, 0);     /* one tick more: taken */
    assert_int_equal(kit_count(c, 0).slot_expired, 1);
    assert_int_equal(kit_send(c, &syn, 5203).flags & COLL, COLL);
    assert_int_equal(kit_send(c, &syn, 6203).conf, 1); /* the other one has expired */
    assert_int_equal(kit_send(c, &syn, 7000).conf, 2); /* idle beyond 100, and still its own */
    assert_true(kit_send(c, &ack, 7001).flags & DUNE_SHIM_SETTLED);
    assert_int_equal(kit_send(c, &other, 7200).flags & COLL, COLL); /* answered: the ordinary time-out */
    assert_int_equal(kit_send(c, &syn, 7201).flags & DUNE_SHIM_SETTLED, DUNE_SHIM_SETTLED);
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

/* last_seen never decreases: a packet back in time neither expires nor ages the flow. */
static void test_time_backwards(void **state)
{
    struct dune_plan *p = counting(9, 1000);
    struct dune_chain *c = kit_open(p, NULL);

    assert_int_equal(conf_at(c, &A, 50000), 1);
    assert_int_equal(conf_at(c, &A, 10), 2);
    assert_int_equal(conf_at(c, &A, 51000), 3); /* from 50000, not from 10 */
    assert_int_equal(conf_at(c, &A, 52001), 1);
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

/* 32-bit clocks would wrap here; tick 0 is a time like any other. */
static void test_wide_clock(void **state)
{
    struct dune_plan *p = counting(9, UINT64_C(1) << 40);
    struct dune_chain *c = kit_open(p, NULL);

    assert_int_equal(conf_at(c, &A, 0), 1);
    assert_int_equal(conf_at(c, &A, (UINT64_C(1) << 32)), 2);
    assert_int_equal(conf_at(c, &A, (UINT64_C(1) << 40)), 3);
    assert_int_equal(conf_at(c, &A, (UINT64_C(1) << 41) + 1), 1);
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

/* An expired slot goes to whoever comes; its registers start from nothing. */
static void test_takeover(void **state)
{
    struct dune_chain_opts o = {.slots = 1, .ways = 1};
    struct dune_plan *p = counting(9, 1000);
    struct dune_chain *c = kit_open(p, &o);
    struct dune_slot_view s;

    conf_at(c, &A, 0);
    conf_at(c, &A, 1);
    assert_int_equal(conf_at(c, &B, 1001), 100); /* collision: A's last packet was at 1 */
    assert_int_equal(conf_at(c, &B, 1002), 1);   /* expired now */
    assert_true(dune_ref_device_slot(dune_ref_chain_device(c, 0), 1, 0, 0, &s));
    assert_true(s.used);
    assert_int_equal(s.regs->count, 1);
    assert_int_equal(s.regs->first, 1002);
    assert_int_equal(s.regs->value[DUNE_F_DURATION], 0);
    assert_int_equal(s.regs->value[DUNE_F_LEN_TOTAL], 28);
    assert_int_equal(conf_at(c, &A, 1003), 100);
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

/* Same id in a later way is found before an earlier expired way is taken. */
static void test_ways_prefer_own_id(void **state)
{
    struct dune_chain_opts o = {.slots = 1, .ways = 2};
    struct dune_plan *p = counting(9, 1000);
    struct dune_chain *c = kit_open(p, &o);
    struct kit_packet third = {.src = 9, .dst = 9, .sport = 9, .dport = 9};

    conf_at(c, &A, 0);
    conf_at(c, &B, 500);
    assert_int_equal(conf_at(c, &B, 1200), 2); /* A in way 0 is expired, B stays in way 1 */
    assert_int_equal(conf_at(c, &third, 1200), 1);
    assert_int_equal(conf_at(c, &A, 1200), 100);
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

static void test_new_capture(void **state)
{
    struct dune_chain_opts o = {.rules = true};
    struct dune_plan *p = counting(2, DUNE_TIMEOUT_NONE);
    struct dune_chain *c = kit_open(p, &o);

    conf_at(c, &A, 0);
    conf_at(c, &A, 1);
    assert_true(kit_send(c, &A, 2).rule_hit);
    c->ops->new_capture(c);
    kit_expect(kit_send(c, &A, 3), 1, KIT_FINAL, 1, 1, 0); /* no slot, no rule */
    assert_int_equal(kit_count(c, 0).in, 4);               /* counters stay */
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

/* --- hashes ---------------------------------------------------------------------------------------------- */

static struct dune_flow_key key_of(const struct kit_packet *k)
{
    struct dune_packet p;
    struct kit_frame f;

    kit_make(&f, k);
    dune_packet_parse(&p, f.data, f.len, &dune_parser_limits_default, 0);
    return p.key;
}

/* A released slot is empty for whoever comes; one that another flow has, or of another generation, is left alone. */
static void test_release(void **state)
{
    struct dune_chain_opts o = {.slots = 1, .ways = 1};
    struct dune_plan *p = counting(9, 1000);
    struct dune_chain *c = kit_open(p, &o);
    struct dune_ref_device *dev = dune_ref_chain_device(c, 0);
    struct dune_flow_key a = key_of(&A), b = key_of(&B);

    conf_at(c, &A, 0);
    conf_at(c, &A, 1);
    dune_ref_device_release(dev, p->generation, &b);
    dune_ref_device_release(dev, (uint16_t)(p->generation + 1), &a);
    assert_int_equal(conf_at(c, &B, 2), 100); /* collision */
    dune_ref_device_release(dev, p->generation, &a);
    assert_int_equal(conf_at(c, &B, 3), 1); /* its first packet */
    assert_int_equal(dune_ref_device_counters(dev)->slot_new, 2);
    assert_int_equal(conf_at(c, &A, 4), 100);
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

static void test_hash(void **state)
{
    struct dune_plan *p = kit_plan(1, 1);
    struct dune_flow_key k = key_of(&A);
    uint32_t index, id;
    uint64_t h;

    assert_int_equal(k.len, 13);
    p->hash = DUNE_HASH_CRC;
    dune_flow_slot(p, 65536, &k, &index, &id);
    assert_int_equal(index, dune_crc32c(k.bytes, 13) & 65535);
    assert_int_equal(id, dune_crc32(k.bytes, 13));
    p->hash = DUNE_HASH_SIPHASH;
    p->hash_key[3] = 9;
    h = dune_siphash(p->hash_key, k.bytes, 13);
    dune_flow_slot(p, 1024, &k, &index, &id);
    assert_int_equal(index, h & 1023);
    assert_int_equal(id, h >> 32);
    dune_plan_free(p);
    (void)state;
}

/* CRC-32 is linear: solve for the source address that makes the id 0, which becomes 1. */
static void test_hash_zero(void **state)
{
    struct dune_plan *p = kit_plan(1, 1);
    struct dune_flow_key k = key_of(&A);
    uint32_t row[32], mask[32], base, want, x = 0, index, id;

    memset(k.bytes, 0, 4);
    base = dune_crc32(k.bytes, k.len);
    for (int i = 0; i < 32; i++) {
        memset(k.bytes, 0, 4);
        k.bytes[i / 8] = (uint8_t)(1 << i % 8);
        row[i] = dune_crc32(k.bytes, k.len) ^ base;
        mask[i] = 1u << i;
    }
    want = base;
    for (int bit = 31, done = 0; bit >= 0; bit--) { /* Gauss: one pivot per bit */
        int pivot = done;

        while (pivot < 32 && !(row[pivot] >> bit & 1))
            pivot++;
        assert_true(pivot < 32);
        uint32_t r = row[pivot], m = mask[pivot];

        row[pivot] = row[done];
        mask[pivot] = mask[done];
        row[done] = r;
        mask[done++] = m;
        for (int i = done; i < 32; i++)
            if (row[i] >> bit & 1) {
                row[i] ^= r;
                mask[i] ^= m;
            }
        if (want >> bit & 1) {
            want ^= r;
            x ^= m;
        }
    }
    for (int i = 0; i < 32; i++)
        k.bytes[i / 8] = (uint8_t)((k.bytes[i / 8] & ~(1 << i % 8)) | (x >> i & 1) << i % 8);
    assert_int_equal(dune_crc32(k.bytes, k.len), 0);
    p->hash = DUNE_HASH_CRC;
    dune_flow_slot(p, 16, &k, &index, &id);
    assert_int_equal(id, 1);
    dune_plan_free(p);
    (void)state;
}

/* --- digests and rules --------------------------------------------------------------------------------------- */

struct heard {
    int n;
    struct dune_digest last;
};

static void hear(void *ctx, const struct dune_digest *dg)
{
    struct heard *h = ctx;

    h->n++;
    h->last = *dg;
}

static void test_digest_repeat(void **state)
{
    struct dune_plan *p = counting(2, KIT_S(60));
    struct dune_chain *c = kit_open(p, NULL);
    struct heard h = {0};
    uint64_t t = 100;

    dune_ref_device_on_digest(dune_ref_chain_device(c, 0), hear, &h);
    conf_at(c, &A, t);
    assert_int_equal(h.n, 0); /* final, not settled */
    conf_at(c, &A, t);
    assert_int_equal(h.n, 1);
    assert_int_equal(h.last.tick, t);
    assert_int_equal(h.last.cls, 1);
    assert_int_equal(h.last.conf, 2);
    assert_int_equal(h.last.submodel, 1);
    assert_int_equal(h.last.flags, FL);
    assert_int_equal(h.last.generation, p->generation);
    conf_at(c, &A, t + DUNE_DIGEST_REPEAT - 1);
    assert_int_equal(h.n, 1);
    conf_at(c, &A, t + DUNE_DIGEST_REPEAT);
    assert_int_equal(h.n, 2);
    conf_at(c, &A, t + DUNE_DIGEST_REPEAT + 5);
    assert_int_equal(h.n, 2);
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

static void test_token_bucket(void **state)
{
    struct dune_chain_opts o = {.digest_rate = 2, .digest_burst = 3};
    struct dune_plan *p = counting(1, KIT_S(60));
    struct dune_chain *c = kit_open(p, &o);
    struct kit_packet k = A;

    for (int i = 0; i < 5; i++, k.sport++)
        conf_at(c, &k, 0);
    assert_int_equal(kit_count(c, 0).digests, 3);
    assert_int_equal(kit_count(c, 0).digests_dropped, 2);
    k.sport--;
    conf_at(c, &k, DUNE_DIGEST_REPEAT / 2 - 1); /* a dropped digest is tried again: no token yet */
    assert_int_equal(kit_count(c, 0).digests, 3);
    conf_at(c, &k, DUNE_DIGEST_REPEAT / 2);
    assert_int_equal(kit_count(c, 0).digests, 4);
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

static void test_rule_delay(void **state)
{
    struct dune_chain_opts o = {.rules = true, .rule_delay = 50};
    struct dune_plan *p = counting(2, 1000);
    struct dune_chain *c = kit_open(p, &o);
    struct dune_verdict v;

    kit_send(c, &A, 0);
    kit_send(c, &A, 100); /* settled: digest at 100, rule from 150 on */
    assert_false(kit_send(c, &A, 149).rule_hit);
    v = kit_send(c, &A, 150);
    assert_true(v.rule_hit);
    kit_expect(v, 1, KIT_DONE | FL, 1, 2, 0);
    assert_false(kit_send(c, &A, 149).rule_hit); /* not before its time, in capture order */
    assert_false(kit_send(c, &B, 160).rule_hit);
    assert_int_equal(kit_count(c, 0).rules, 1);
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

/* Delay 0: the packet that sent the digest is not a later packet, the next one is, in the same tick. */
static void test_rule_delay_zero(void **state)
{
    struct dune_chain_opts o = {.rules = true};
    struct dune_plan *p = counting(1, 1000);
    struct dune_chain *c = kit_open(p, &o);

    assert_false(kit_send(c, &A, 7).rule_hit);
    assert_true(kit_send(c, &A, 7).rule_hit);
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

/* A rule lives on hits: timeout after the last one it is gone, and so is the slot. */
static void test_rule_expiry(void **state)
{
    struct dune_chain_opts o = {.rules = true};
    struct dune_plan *p = counting(2, 1000);
    struct dune_chain *c = kit_open(p, &o);

    kit_send(c, &A, 0);
    kit_send(c, &A, 0);
    for (uint64_t t = 1000; t <= 10000; t += 1000)
        assert_true(kit_send(c, &A, t).rule_hit);
    kit_expect(kit_send(c, &A, 11001), 1, KIT_FINAL, 1, 1, 0);
    assert_int_equal(kit_count(c, 0).rules_expired, 1);
    assert_int_equal(kit_count(c, 0).slot_expired, 1); /* no hit refreshed the slot */
    kit_close(c, 1);
    /* before any hit, last_hit is the tick of the digest's packet, not of its installation */
    o.rule_delay = 900;
    c = kit_open(p, &o);
    kit_send(c, &A, 0);
    kit_send(c, &A, 0);
    assert_true(kit_send(c, &A, 1000).rule_hit);
    kit_close(c, 1);
    c = kit_open(p, &o);
    kit_send(c, &A, 0);
    kit_send(c, &A, 0);
    assert_false(kit_send(c, &A, 1001).rule_hit);
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

static void test_rule_table_limit(void **state)
{
    struct dune_chain_opts o = {.rules = true, .rules_max = 2};
    struct dune_plan *p = counting(1, 1000);
    struct dune_chain *c = kit_open(p, &o);
    struct kit_packet k = A;

    for (int i = 0; i < 4; i++, k.sport++)
        kit_send(c, &k, 10);
    assert_int_equal(kit_count(c, 0).rules, 2);
    assert_int_equal(kit_count(c, 0).rules_full, 2);
    k.sport = 1000;
    assert_true(kit_send(c, &k, 600).rule_hit); /* sport 1000 stays, 1001 expires */
    k.sport = 5000;
    kit_send(c, &k, 1011);
    assert_int_equal(kit_count(c, 0).rules, 3);
    assert_int_equal(kit_count(c, 0).rules_expired, 1);
    assert_true(kit_send(c, &k, 1012).rule_hit);
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

/* A rule spares other flows a collision: after its slot expired they may have it. */
static void test_rule_frees_the_slot(void **state)
{
    struct dune_chain_opts o = {.rules = true, .slots = 1, .ways = 1};
    struct dune_plan *p = counting(1, 1000);
    struct dune_chain *c = kit_open(p, &o);

    kit_send(c, &A, 0);
    kit_send(c, &A, 900);
    assert_int_equal(kit_send(c, &B, 1000).flags & COLL, COLL);
    kit_expect(kit_send(c, &B, 1001), 1, KIT_DONE | FL, 1, 1, 0);
    assert_true(kit_send(c, &A, 1500).rule_hit); /* A goes on by its rule */
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

static void test_rules_everywhere(void **state)
{
    struct dune_chain_opts o = {.rules = true, .rules_everywhere = true};
    struct dune_plan *p = kit_plan(2, 2);
    struct dune_chain *c;

    kit_const(p, 1, 1, 1, DUNE_MODE_RUNNING, (struct dune_plan_leaf)KIT_CLAIM(2, 50));
    c = kit_open(p, &o);
    kit_expect(kit_send(c, &A, 0), 2, KIT_DONE | FL, 1, 50, 1);
    kit_expect(kit_send(c, &A, 1), 2, KIT_DONE | FL, 1, 50, 0);
    assert_int_equal(kit_count(c, 0).stateless, 1); /* a device without sub-models has no slots */
    assert_int_equal(kit_count(c, 1).rules, 1);
    assert_int_equal(kit_count(c, 1).passed_settled, 1);
    kit_close(c, 2);
    dune_plan_free(p);
    (void)state;
}

/* --- class actions ---------------------------------------------------------------------------------------- */

static void test_mark(void **state)
{
    struct dune_plan *p = counting(2, 1000);
    struct dune_chain *c;
    struct dune_chain_frame out;
    struct kit_frame f;
    struct kit_packet k = A;

    p->cls[0].action = DUNE_ACTION_MARK;
    p->cls[0].action_arg = 46;
    c = kit_open(p, NULL);
    for (unsigned tos = 0; tos < 256; tos++) {
        k.tos = (uint8_t)tos;
        kit_make(&f, &k);
        kit_send_frame(c, &f, 0, &out);
        assert_int_equal(out.data[15], 46 << 2 | (tos & 3));
        assert_int_equal(kit_sum(out.data + 14, 20), 0); /* the checksum is right again */
        f.data[15] = out.data[15];
        memcpy(f.data + 24, out.data + 24, 2);
        assert_memory_equal(out.data, f.data, f.len); /* and nothing else changed */
    }
    k.ipv6 = true;
    kit_make(&f, &k);
    kit_send_frame(c, &f, 0, &out);
    f.data[14] = (uint8_t)(0x60 | (46 << 2 | 3) >> 4);
    f.data[15] = (uint8_t)(((46 << 2 | 3) & 15) << 4);
    assert_memory_equal(out.data, f.data, f.len);
    assert_int_equal(kit_count(c, 0).marked, 257);
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

/* Two devices: marks only at the last, so that sub-models behind the claim still see the packet's own
 * TOS. Drop and mirror where the verdict becomes final, on settled claims, or on any. */
static struct dune_plan *acting(enum dune_action_kind action, bool any)
{
    struct dune_plan *p = kit_plan(2, 2);

    p->early_exit = 10;
    kit_const(p, 1, 0, 2, DUNE_MODE_RUNNING, (struct dune_plan_leaf)KIT_CLAIM(1, 10));
    kit_const(p, 2, 1, 2, DUNE_MODE_RUNNING, (struct dune_plan_leaf)KIT_CLAIM(2, 99));
    p->cls[0].action = action;
    p->cls[0].action_arg = 3;
    p->cls[0].action_any = any;
    return p;
}

static void test_drop_and_mirror(void **state)
{
    for (int any = 0; any <= 1; any++) {
        struct dune_plan *p = acting(DUNE_ACTION_DROP, any);
        struct dune_chain *c = kit_open(p, NULL);

        assert_int_equal(kit_send(c, &A, 0).dropped, any); /* final, not settled */
        assert_true(kit_send(c, &A, 1).dropped);
        assert_int_equal(kit_count(c, 0).dropped_action, 1 + any);
        assert_int_equal(kit_count(c, 1).in, 1 - any);
        kit_close(c, 2);
        dune_plan_free(p);
        p = acting(DUNE_ACTION_MIRROR, any);
        c = kit_open(p, NULL);
        assert_false(kit_send(c, &A, 0).dropped);
        assert_false(kit_send(c, &A, 1).dropped);
        assert_int_equal(kit_count(c, 0).mirrored, 1 + any);
        assert_int_equal(kit_count(c, 1).mirrored, 0);
        kit_close(c, 2);
        dune_plan_free(p);
    }
    (void)state;
}

static void test_mark_and_steer_at_the_last(void **state)
{
    struct dune_plan *p = acting(DUNE_ACTION_STEER, false);
    struct dune_chain *c = kit_open(p, NULL);

    assert_int_equal(kit_send(c, &A, 0).steer_port, 3); /* final is enough */
    assert_int_equal(kit_count(c, 0).steered, 0);
    assert_int_equal(kit_count(c, 1).steered, 1);
    kit_close(c, 2);
    dune_plan_free(p);
    p = acting(DUNE_ACTION_MARK, false);
    c = kit_open(p, NULL);
    kit_send(c, &A, 0);
    kit_send(c, &A, 1); /* settled at the first device, marked at the last all the same */
    assert_int_equal(kit_count(c, 0).marked, 0);
    assert_int_equal(kit_count(c, 1).marked, 2);
    kit_close(c, 2);
    dune_plan_free(p);
    (void)state;
}

/* Tentative and unclaimed verdicts get no action, not even with fallback. */
static void test_no_action_on_tentative(void **state)
{
    struct dune_plan *p = kit_plan(1, 1);
    struct dune_chain *c;

    p->fallback = DUNE_FALLBACK_BEST;
    p->cls[0].action = DUNE_ACTION_DROP;
    p->cls[0].action_any = true;
    kit_const(p, 1, 0, 1, DUNE_MODE_RUNNING, (struct dune_plan_leaf)KIT_OTHER(1, 99));
    c = kit_open(p, NULL);
    kit_expect(kit_send(c, &A, 0), 1, KIT_DONE | FL | DUNE_SHIM_TENTATIVE, 1, 99, 0);
    assert_int_equal(kit_count(c, 0).dropped_action, 0);
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

/* Dropped flows stay dropped by their rule, which is settled as well. */
static void test_drop_by_rule(void **state)
{
    struct dune_chain_opts o = {.rules = true};
    struct dune_plan *p = acting(DUNE_ACTION_DROP, false);
    struct dune_chain *c = kit_open(p, &o);
    struct dune_verdict v;

    kit_send(c, &A, 0);
    kit_send(c, &A, 1);
    v = kit_send(c, &A, 2);
    assert_true(v.rule_hit && v.dropped);
    kit_close(c, 2);
    dune_plan_free(p);
    (void)state;
}

/* --- generations --------------------------------------------------------------------------------------------- */

static void test_update_is_consistent_per_flow(void **state)
{
    struct dune_plan *old = counting(3, 1000), *new = counting(1, 1000), *third = counting(1, 1000);
    struct dune_chain *c = kit_open(old, NULL);
    struct dune_ref_device *dev = dune_ref_chain_device(c, 0);
    struct dune_diag d = {0};
    struct dune_verdict v;

    new->generation = 2;
    third->generation = 3;
    kit_send(c, &A, 0);
    assert_ok(dune_ref_chain_update(c, new, 100, &d), d);
    v = kit_send(c, &A, 200); /* has a live slot: stays with the old plan, packet 2 of 3 */
    assert_int_equal(v.generation, 1);
    kit_expect(v, 1, KIT_FINAL, 1, 2, 0);
    v = kit_send(c, &B, 200); /* a new flow: the new plan, whose n is 1 */
    assert_int_equal(v.generation, 2);
    kit_expect(v, 1, KIT_DONE | FL, 1, 1, 0);
    assert_int_equal(dune_ref_device_load(dev, third, &d), DUNE_E_USAGE); /* a third one waits */
    v = kit_send(c, &A, 1201); /* the old flow ended: its successor is new */
    assert_int_equal(v.generation, 2);
    memset(&d, 0, sizeof(d));
    assert_ok(dune_ref_device_unload(dev, 1, &d), d);
    assert_ok(dune_ref_device_load(dev, third, &d), d);
    assert_int_equal(dune_ref_device_unload(dev, 2, &d), DUNE_E_USAGE); /* it is being stamped */
    kit_close(c, 1);
    dune_plan_free(old);
    dune_plan_free(new);
    dune_plan_free(third);
    (void)state;
}

static void test_drain_deadline(void **state)
{
    struct dune_plan *old = counting(200, 1000), *new = counting(200, 1000);
    struct dune_chain *c = kit_open(old, NULL);
    struct dune_diag d = {0};

    new->generation = 2;
    kit_send(c, &A, 0);
    assert_ok(dune_ref_chain_update(c, new, 100, &d), d);
    for (uint64_t t = 500; t <= 2000; t += 500)
        assert_int_equal(kit_send(c, &A, t).generation, 1);
    assert_int_equal(kit_send(c, &A, 2100).generation, 1); /* 100 + 2 x 1000 */
    assert_int_equal(kit_send(c, &A, 2101).generation, 2);
    kit_close(c, 1);
    dune_plan_free(old);
    dune_plan_free(new);
    (void)state;
}

/* A flow that lives by its rule keeps its generation; a collided one is stamped with the newest. */
static void test_rules_and_collisions_at_update(void **state)
{
    struct dune_chain_opts o = {.rules = true, .slots = 1, .ways = 1};
    struct dune_plan *old = counting(1, 1000), *new = counting(1, 1000);
    struct dune_chain *c = kit_open(old, &o);
    struct dune_diag d = {0};
    struct dune_verdict v;

    new->generation = 2;
    new->cls[0].min_confidence = 200; /* the new plan claims nothing */
    kit_send(c, &A, 0);
    for (uint64_t t = 600; t <= 1800; t += 600)
        assert_true(kit_send(c, &A, t).rule_hit);
    kit_send(c, &B, 1800); /* takes A's expired slot; A has only its rule now */
    assert_ok(dune_ref_chain_update(c, new, 1900, &d), d);
    v = kit_send(c, &A, 2000);
    assert_int_equal(v.generation, 1);
    assert_true(v.rule_hit && v.cls == 1);
    v = kit_send(c, &B, 2000);
    assert_int_equal(v.generation, 1);
    kit_close(c, 1);
    c = kit_open(old, &(struct dune_chain_opts){.slots = 1, .ways = 1});
    kit_send(c, &A, 0);
    assert_int_equal(kit_send(c, &B, 0).flags & COLL, COLL);
    assert_ok(dune_ref_chain_update(c, new, 1, &d), d);
    assert_int_equal(kit_send(c, &A, 2).generation, 1);
    v = kit_send(c, &B, 2);
    assert_int_equal(v.generation, 2);
    assert_int_equal(v.flags & COLL, 0); /* slots belong to a generation */
    assert_int_equal(v.cls, 0);
    kit_close(c, 1);
    dune_plan_free(old);
    dune_plan_free(new);
    (void)state;
}

static void test_update_refused(void **state)
{
    struct dune_plan *old = counting(1, 1000), *new = counting(1, 1000);
    struct dune_chain *c = kit_open(old, NULL);
    struct dune_ref_device *dev = dune_ref_chain_device(c, 0);
    struct dune_diag d = {0};

    assert_int_equal(dune_ref_chain_update(c, new, 0, NULL), DUNE_E_USAGE); /* same number */
    new->generation = 2;
    new->shim_ethertype = 0x88B6;
    assert_int_equal(dune_ref_chain_update(c, new, 0, NULL), DUNE_E_USAGE);
    assert_int_equal(dune_ref_device_stamp(dev, 2, 0, &d), DUNE_E_USAGE); /* not held */
    assert_int_equal(dune_ref_device_unload(dev, 7, NULL), DUNE_E_USAGE);
    kit_close(c, 1);
    dune_plan_free(old);
    dune_plan_free(new);
    (void)state;
}

/* --- registers and traces -------------------------------------------------------------------------------------- */

struct traced {
    int n;
    struct dune_device_trace t[4];
};

static void trace(void *ctx, const struct dune_device_trace *t)
{
    struct traced *x = ctx;

    x->t[x->n++ & 3] = *t;
}

static void test_trace_and_registers(void **state)
{
    struct traced x = {0};
    struct dune_chain_opts o = {.trace = trace, .trace_ctx = &x};
    struct dune_plan *p = kit_plan(2, 2);
    struct dune_flow_key k = key_of(&A);
    struct dune_slot_view s;
    struct dune_chain *c;
    uint32_t index, id;

    kit_const(p, 4, 0, 1, DUNE_MODE_RUNNING, (struct dune_plan_leaf)KIT_CLAIM(1, 10));
    kit_const(p, 3, 0, 2, DUNE_MODE_FLOW, (struct dune_plan_leaf)KIT_OTHER(2, 20));
    kit_const(p, 2, 1, 1, DUNE_MODE_PACKET, (struct dune_plan_leaf)KIT_CLAIM(2, 11));
    c = kit_open(p, &o);
    kit_send(c, &A, 77);
    assert_int_equal(x.n, 2);
    assert_int_equal(x.t[0].slot, DUNE_SLOT_NEW);
    assert_int_equal(x.t[0].count, 1);
    assert_int_equal(x.t[0].n_answers, 2);
    assert_int_equal(x.t[0].answer[0].kind, DUNE_ANSWER_FL);
    assert_int_equal(x.t[0].answer[0].submodel, 4);
    assert_int_equal(x.t[0].answer[0].cls, 1);
    assert_int_equal(x.t[0].answer[1].kind, DUNE_ANSWER_NONE);
    assert_int_equal(x.t[1].slot, DUNE_SLOT_NONE);
    assert_int_equal(x.t[1].answer[0].kind, DUNE_ANSWER_PL);
    assert_int_equal(x.t[1].shim.cls, 2);
    assert_true(x.t[1].became_final && !x.t[0].became_final);
    assert_int_equal(x.t[1].tick, 77);
    kit_send(c, &A, 80);
    assert_int_equal(x.t[2].packet, 1);
    assert_int_equal(x.t[2].answer[0].kind, DUNE_ANSWER_STORED);
    assert_int_equal(x.t[2].answer[1].kind, DUNE_ANSWER_FL);
    dune_flow_slot(p, p->slots, &k, &index, &id);
    assert_int_equal(x.t[2].slot_index, index);
    assert_true(dune_ref_device_slot(dune_ref_chain_device(c, 0), p->generation, index, 0, &s));
    assert_true(s.used);
    assert_int_equal(s.id, id);
    assert_int_equal(s.regs->count, 2);
    assert_int_equal(s.regs->first, 77);
    assert_int_equal(s.regs->last, 80);
    assert_int_equal(s.n_stored, 2);
    assert_int_equal(s.stored[0].cls, 1);
    assert_int_equal(s.stored[1].cls, 2);
    assert_false(s.stored[1].claim);
    assert_false(dune_ref_device_slot(dune_ref_chain_device(c, 1), p->generation, index, 0, &s));
    assert_false(dune_ref_device_slot(dune_ref_chain_device(c, 0), p->generation, p->slots, 0, &s));
    assert_false(dune_ref_device_slot(dune_ref_chain_device(c, 0), 9, index, 0, &s));
    kit_close(c, 2);
    dune_plan_free(p);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half_open), cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_time_backwards),
        cmocka_unit_test(test_wide_clock),
        cmocka_unit_test(test_takeover),
        cmocka_unit_test(test_release),
        cmocka_unit_test(test_ways_prefer_own_id),
        cmocka_unit_test(test_new_capture),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_hash_zero),
        cmocka_unit_test(test_digest_repeat),
        cmocka_unit_test(test_token_bucket),
        cmocka_unit_test(test_rule_delay),
        cmocka_unit_test(test_rule_delay_zero),
        cmocka_unit_test(test_rule_expiry),
        cmocka_unit_test(test_rule_table_limit),
        cmocka_unit_test(test_rule_frees_the_slot),
        cmocka_unit_test(test_rules_everywhere),
        cmocka_unit_test(test_mark),
        cmocka_unit_test(test_drop_and_mirror),
        cmocka_unit_test(test_mark_and_steer_at_the_last),
        cmocka_unit_test(test_no_action_on_tentative),
        cmocka_unit_test(test_drop_by_rule),
        cmocka_unit_test(test_update_is_consistent_per_flow),
        cmocka_unit_test(test_drain_deadline),
        cmocka_unit_test(test_rules_and_collisions_at_update),
        cmocka_unit_test(test_update_refused),
        cmocka_unit_test(test_trace_and_registers),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
