/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Defects known from published data planes, one test each: ours must not have them. The letters are
 * those of the list of known defects; what other tests cover in full is only touched here.
 */
#include "unit/targets/chain_kit.h"

static const struct kit_packet A = {.src = 1, .dst = 2, .sport = 1000, .dport = 80};
static const struct kit_packet B = {.src = 3, .dst = 4, .sport = 1001, .dport = 80};
#define FL DUNE_SHIM_FL

static struct dune_plan *one_feature(int feat, uint32_t thr, uint8_t n)
{
    static const struct dune_plan_leaf leaf[] = {KIT_CLAIM(1, 10), KIT_CLAIM(2, 20)};
    struct dune_plan *p = kit_plan(2, 1);

    kit_sub(p, 1, 0, n, DUNE_MODE_RUNNING, feat, 1, &thr, leaf);
    return p;
}

/* A1, A5, A6: nothing is preloaded, nobody is dropped for being unknown or for a full table, slots of
 * flows that never reach n come free again, and a collision is told. */
static void test_unknown_flows(void **state)
{
    struct dune_chain_opts o = {.slots = 4, .ways = 1};
    struct dune_plan *p = one_feature(DUNE_F_COUNT, 0, 3);
    struct dune_chain *c = kit_open(p, &o);
    struct kit_packet k = A;
    unsigned collided = 0;

    p->timeout = 1000;
    for (uint32_t i = 0; i < 100; i++) {
        struct dune_verdict v;

        k.src = i;
        v = kit_send(c, &k, 5);
        assert_true(v.inferable && v.cls != 0 && !v.dropped);
        assert_int_equal(v.cls, v.flags & DUNE_SHIM_COLLISION ? 1 : 2);
        collided += (v.flags & DUNE_SHIM_COLLISION) != 0;
    }
    assert_int_equal(collided, 96);
    k.src = 5000;
    assert_int_equal(kit_send(c, &k, 1006).flags & DUNE_SHIM_COLLISION, 0);
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

/* A3: the answer is the vote of the trees, not the first tree's. */
static void test_vote_counts(void **state)
{
    struct dune_plan *p = one_feature(DUNE_F_IP_LEN, 100, 1);
    struct dune_submodel *sm = &p->sub[0];
    struct dune_plan_feature *pf = &sm->feat[0];
    struct dune_chain *c;

    sm->n_trees = 3; /* the same splits three times, trees 2 and 3 with other leaves */
    sm->tree = dune_mem_realloc(sm->tree, 3, sizeof(*sm->tree));
    pf->n_bits = dune_mem_realloc(pf->n_bits, 3, sizeof(*pf->n_bits));
    pf->code = dune_mem_realloc(pf->code, 3, sizeof(*pf->code));
    for (int t = 1; t < 3; t++) {
        sm->tree[t] = sm->tree[0];
        pf->n_bits[t] = pf->n_bits[0];
        pf->code[t] = dune_mem_strndup(pf->code[0], 2);
        sm->tree[t].match = dune_mem_strndup(sm->tree[0].match, 2);
        sm->tree[t].leaf = dune_mem_alloc(2, sizeof(struct dune_plan_leaf));
        sm->tree[t].leaf[0] = sm->tree[t].leaf[1] = (struct dune_plan_leaf)KIT_CLAIM(2, 7);
    }
    c = kit_open(p, NULL);
    kit_expect(kit_send(c, &A, 0), 2, KIT_DONE | FL, 1, 14, 0);
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

/* A4: the count is wide: packet 257 and 65537 of a flow do not infer again. */
static void test_counter_does_not_wrap(void **state)
{
    struct dune_plan *p = one_feature(DUNE_F_IP_LEN, 100, 2);
    struct kit_packet small = A, large = A;
    struct dune_chain *c = kit_open(p, NULL);

    small.ip_len = 40;
    large.ip_len = 1000;
    kit_send(c, &small, 0);
    kit_send(c, &small, 0);
    for (uint32_t i = 3; i < 65540; i++)
        kit_expect(kit_send(c, &large, i), 1, KIT_DONE | FL, 1, 10, 0);
    assert_int_equal(kit_count(c, 0).answers_fl, 1);
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

/* A4: tick 0 is a time, not the mark of an empty slot. */
static void test_tick_zero(void **state)
{
    struct dune_chain_opts o = {.slots = 1, .ways = 1};
    struct dune_plan *p = one_feature(DUNE_F_COUNT, 1, 9);
    struct dune_chain *c = kit_open(p, &o);

    kit_expect(kit_send(c, &A, 0), 1, DUNE_SHIM_FINAL, 1, 10, 0);
    assert_int_equal(kit_send(c, &B, 0).flags & DUNE_SHIM_COLLISION, DUNE_SHIM_COLLISION);
    kit_expect(kit_send(c, &A, 0), 2, DUNE_SHIM_FINAL, 1, 20, 0);
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

/* B1, B2: every device of the chain answers, the first one included, at packet level and at flow level;
 * a device whose sub-model says Other leaves the packet to the next. */
static void test_whole_chain_answers(void **state)
{
    struct dune_plan *p = kit_plan(4, 4);
    struct dune_chain *c;

    p->claim = DUNE_CLAIM_FIRST;
    for (uint16_t i = 0; i < 3; i++)
        kit_const(p, (uint8_t)(i + 1), i, 2, DUNE_MODE_RUNNING, (struct dune_plan_leaf)KIT_OTHER(1, 9));
    kit_const(p, 4, 3, 2, DUNE_MODE_RUNNING, (struct dune_plan_leaf)KIT_CLAIM(4, 9));
    c = kit_open(p, NULL);
    kit_expect(kit_send(c, &A, 0), 4, DUNE_SHIM_FINAL, 4, 9, 3);
    kit_expect(kit_send(c, &A, 1), 4, KIT_DONE | FL, 4, 9, 3);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(kit_count(c, i).answers_pl, 1);
        assert_int_equal(kit_count(c, i).answers_fl, 1);
    }
    assert_int_equal(kit_count(c, 3).digests, 1);
    kit_close(c, 4);
    dune_plan_free(p);
    (void)state;
}

/* B3: between packet n and the rule, packets carry the stored answer. */
static void test_window_before_the_rule(void **state)
{
    struct dune_chain_opts o = {.rules = true, .rule_delay = 100};
    struct dune_plan *p = one_feature(DUNE_F_COUNT, 1, 2);
    struct dune_chain *c = kit_open(p, &o);

    kit_send(c, &A, 0);
    for (uint64_t t = 1; t < 300; t += 3)
        kit_expect(kit_send(c, &A, t), 2, KIT_DONE | FL, 1, 20, 0);
    assert_true(kit_count(c, 0).answers_stored > 30 && kit_count(c, 0).rule_hit > 60);
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

/* B5: the minimum is a minimum. */
static void test_minimum(void **state)
{
    struct dune_plan *p = one_feature(DUNE_F_LEN_MIN, 50, 3);
    struct kit_packet k = A;
    struct dune_chain *c = kit_open(p, NULL);
    static const uint16_t len[] = {900, 40, 1400};

    for (int i = 0; i < 3; i++) {
        k.ip_len = len[i];
        assert_int_equal(kit_send(c, &k, 0).cls, i ? 1 : 2);
    }
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

/* B7, B13: a slot that is used again starts from nothing: counters, duration, digest mark, stored answers. */
static void test_reused_slot_is_empty(void **state)
{
    struct dune_chain_opts o = {.slots = 1, .ways = 1};
    struct dune_plan *p = one_feature(DUNE_F_SYN_COUNT, 0, 2);
    struct kit_packet syn = {.src = 7, .dst = 8, .sport = 9, .dport = 10, .tcp = true, .tcp_flags = 0xff};
    struct dune_chain *c;
    struct dune_slot_view s;

    p->timeout = 1000;
    c = kit_open(p, &o);
    kit_send(c, &syn, 0);
    kit_expect(kit_send(c, &syn, 900), 2, KIT_DONE | FL, 1, 20, 0);
    kit_send(c, &A, 2000);
    assert_true(dune_ref_device_slot(dune_ref_chain_device(c, 0), 1, 0, 0, &s));
    assert_int_equal(s.regs->count, 1);
    for (int id = DUNE_F_SYN_COUNT; id <= DUNE_F_DURATION; id++)
        assert_int_equal(s.regs->value[id], 0);
    assert_false(s.digest_sent);
    kit_expect(kit_send(c, &A, 2001), 1, KIT_DONE | FL, 1, 10, 0);
    assert_int_equal(kit_count(c, 0).digests, 2);
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

/* B8: a rule leaves the slots of other flows alone, on every device. */
static void test_rule_wipes_nobody(void **state)
{
    struct dune_chain_opts o = {.slots = 1, .ways = 2, .rules = true, .rules_everywhere = true};
    struct dune_plan *p = one_feature(DUNE_F_COUNT, 1, 2);
    struct dune_chain *c = kit_open(p, &o);
    struct dune_slot_view s;

    kit_send(c, &B, 0);
    kit_send(c, &A, 1);
    kit_send(c, &A, 2);
    assert_true(kit_send(c, &A, 3).rule_hit);
    assert_true(dune_ref_device_slot(dune_ref_chain_device(c, 0), 1, 0, 0, &s));
    assert_true(s.used);
    assert_int_equal(s.regs->count, 1);
    kit_expect(kit_send(c, &B, 4), 2, KIT_DONE | FL, 1, 20, 0);
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

/* B9: the index stays inside the table for every hash. */
static void test_index_in_table(void **state)
{
    struct dune_plan *p = kit_plan(1, 1);
    struct dune_flow_key key = {.len = 13};
    uint32_t index, id, seen = 0;

    for (uint32_t i = 0; i < 2000; i++) {
        memcpy(key.bytes, &i, 4);
        p->hash = i & 1 ? DUNE_HASH_CRC : DUNE_HASH_SIPHASH;
        dune_flow_slot(p, 8, &key, &index, &id);
        assert_true(index < 8 && id != 0);
        seen |= 1u << index;
    }
    assert_int_equal(seen, 0xff);
    dune_plan_free(p);
    (void)state;
}

/* B12: a rule hit is not overwritten by a sub-model. */
static void test_rule_hit_stands(void **state)
{
    struct dune_chain_opts o = {.rules = true};
    struct dune_plan *p = kit_plan(2, 2);
    struct dune_chain *c;

    p->early_exit = 5;
    kit_const(p, 1, 0, 1, DUNE_MODE_RUNNING, (struct dune_plan_leaf)KIT_CLAIM(1, 5));
    kit_const(p, 2, 1, 1, DUNE_MODE_RUNNING, (struct dune_plan_leaf)KIT_CLAIM(2, 250));
    c = kit_open(p, &o);
    for (int i = 0; i < 5; i++)
        kit_expect(kit_send(c, &A, (uint64_t)i), 1, KIT_DONE | FL, 1, 5, 0);
    assert_int_equal(kit_count(c, 0).rule_hit, 4);
    assert_int_equal(kit_count(c, 1).passed_settled, 5);
    kit_close(c, 2);
    dune_plan_free(p);
    (void)state;
}

/* B14: the total length does not wrap at 16 bits. */
static void test_total_length(void **state)
{
    struct dune_plan *p = one_feature(DUNE_F_LEN_TOTAL, 65535 + 100, 60);
    struct kit_packet k = A;
    struct dune_chain *c = kit_open(p, NULL);

    k.ip_len = 1500;
    for (int i = 1; i <= 60; i++)
        assert_int_equal(kit_send(c, &k, 0).cls, i * 1500 > 65635 ? 2 : 1);
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_flows),
        cmocka_unit_test(test_vote_counts),
        cmocka_unit_test(test_counter_does_not_wrap),
        cmocka_unit_test(test_tick_zero),
        cmocka_unit_test(test_whole_chain_answers),
        cmocka_unit_test(test_window_before_the_rule),
        cmocka_unit_test(test_minimum),
        cmocka_unit_test(test_reused_slot_is_empty),
        cmocka_unit_test(test_rule_wipes_nobody),
        cmocka_unit_test(test_index_in_table),
        cmocka_unit_test(test_rule_hit_stands),
        cmocka_unit_test(test_total_length),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
