/* SPDX-License-Identifier: Apache-2.0 */
/* Answers, claim rules and the settled flag, on scenarios computed by hand. */
#include "unit/targets/chain_kit.h"

static const struct kit_packet A = {.src = 1, .dst = 2, .sport = 1000, .dport = 80};
static const struct kit_packet B = {.src = 3, .dst = 4, .sport = 1001, .dport = 80};
#define FL DUNE_SHIM_FL
#define COLL DUNE_SHIM_COLLISION
#define TENT DUNE_SHIM_TENTATIVE

/* Leaf by packet count: 0 (no state), 1, 2, 3 and more. */
static void by_count(struct dune_plan *p, uint8_t id, uint16_t dev, uint8_t n, enum dune_mode mode)
{
    static const uint32_t thr[] = {0, 1, 2};
    static const struct dune_plan_leaf leaf[] = {KIT_CLAIM(1, 10), KIT_CLAIM(1, 11), KIT_CLAIM(1, 12),
                                                 KIT_CLAIM(2, 13)};

    kit_sub(p, id, dev, n, mode, DUNE_F_COUNT, 3, thr, leaf);
}

static void test_phases_running(void **state)
{
    struct dune_plan *p = kit_plan(2, 1);
    struct dune_chain *c;

    by_count(p, 7, 0, 3, DUNE_MODE_RUNNING);
    c = kit_open(p, NULL);
    kit_expect(kit_send(c, &A, 0), 1, KIT_FINAL, 7, 11, 0);
    kit_expect(kit_send(c, &A, 1), 1, KIT_FINAL, 7, 12, 0);
    kit_expect(kit_send(c, &A, 2), 2, KIT_DONE | FL, 7, 13, 0); /* packet n */
    kit_expect(kit_send(c, &A, 3), 2, KIT_DONE | FL, 7, 13, 0); /* stored */
    kit_expect(kit_send(c, &B, 4), 1, KIT_FINAL, 7, 11, 0);
    assert_int_equal(kit_count(c, 0).answers_pl, 3);
    assert_int_equal(kit_count(c, 0).answers_fl, 1);
    assert_int_equal(kit_count(c, 0).answers_stored, 1);
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

static void test_phases_published(void **state)
{
    struct dune_plan *p = kit_plan(2, 1);
    struct dune_chain *c;

    by_count(p, 7, 0, 3, DUNE_MODE_PUBLISHED);
    c = kit_open(p, NULL);
    kit_expect(kit_send(c, &A, 0), 1, KIT_FINAL, 7, 10, 0); /* sees count 0 */
    kit_expect(kit_send(c, &A, 1), 1, KIT_FINAL, 7, 10, 0);
    kit_expect(kit_send(c, &A, 2), 2, KIT_DONE | FL, 7, 13, 0);
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

static void test_phases_packet_and_flow(void **state)
{
    struct dune_plan *p = kit_plan(2, 1), *q = kit_plan(2, 1);
    struct dune_chain *c;

    by_count(p, 7, 0, 2, DUNE_MODE_PACKET);
    c = kit_open(p, NULL);
    for (int i = 0; i < 4; i++) /* never stored, never settled, no state */
        kit_expect(kit_send(c, &A, (uint64_t)i), 1, KIT_FINAL, 7, 10, 0);
    assert_int_equal(kit_count(c, 0).stateless, 4);
    kit_close(c, 1);
    by_count(q, 7, 0, 2, DUNE_MODE_FLOW);
    c = kit_open(q, NULL);
    kit_expect(kit_send(c, &A, 0), 0, KIT_FINAL, 0, 0, 0); /* no answer before n: unclaimed */
    kit_expect(kit_send(c, &A, 1), 1, KIT_DONE | FL, 7, 12, 0);
    kit_expect(kit_send(c, &A, 2), 1, KIT_DONE | FL, 7, 12, 0);
    kit_close(c, 1);
    dune_plan_free(p);
    dune_plan_free(q);
    (void)state;
}

/* The stored answer comes from packet n, whatever later packets look like. */
static void test_stored_answer(void **state)
{
    static const uint32_t thr[] = {100};
    static const struct dune_plan_leaf leaf[] = {KIT_CLAIM(1, 50), KIT_CLAIM(2, 60)};
    struct kit_packet small = A, large = A;
    struct dune_plan *p = kit_plan(2, 1);
    struct dune_chain *c;

    small.ip_len = 40;
    large.ip_len = 1400;
    kit_sub(p, 1, 0, 2, DUNE_MODE_RUNNING, DUNE_F_IP_LEN, 1, thr, leaf);
    c = kit_open(p, NULL);
    kit_expect(kit_send(c, &small, 0), 1, KIT_FINAL, 1, 50, 0);
    kit_expect(kit_send(c, &large, 1), 2, KIT_DONE | FL, 1, 60, 0);
    for (int i = 0; i < 300; i++) /* no 8-bit counter wraps here */
        kit_expect(kit_send(c, &small, 2), 2, KIT_DONE | FL, 1, 60, 0);
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

static void test_first_claims(void **state)
{
    struct dune_plan *p = kit_plan(3, 3);
    struct dune_chain *c;

    p->claim = DUNE_CLAIM_FIRST;
    kit_const(p, 1, 0, 1, DUNE_MODE_RUNNING, (struct dune_plan_leaf)KIT_OTHER(1, 200));
    kit_const(p, 2, 1, 2, DUNE_MODE_RUNNING, (struct dune_plan_leaf)KIT_CLAIM(2, 3));
    kit_const(p, 3, 2, 1, DUNE_MODE_RUNNING, (struct dune_plan_leaf)KIT_CLAIM(3, 250));
    c = kit_open(p, NULL);
    kit_expect(kit_send(c, &A, 0), 2, KIT_FINAL, 2, 3, 1);
    kit_expect(kit_send(c, &A, 1), 2, KIT_DONE | FL, 2, 3, 1);
    /* Device 3 saw packet 1 with a final but unsettled claim: it counted it and stored its answer. */
    assert_int_equal(kit_count(c, 2).slot_new, 1);
    assert_int_equal(kit_count(c, 2).answers_fl, 1);
    assert_int_equal(kit_count(c, 2).passed_settled, 1);
    kit_close(c, 3);
    dune_plan_free(p);
    (void)state;
}

static void test_first_unclaimed(void **state)
{
    struct dune_plan *p = kit_plan(2, 2);
    struct dune_chain *c;

    p->claim = DUNE_CLAIM_FIRST;
    p->fallback = DUNE_FALLBACK_BEST; /* of rule best only */
    kit_const(p, 1, 0, 1, DUNE_MODE_RUNNING, (struct dune_plan_leaf)KIT_OTHER(1, 200));
    kit_const(p, 2, 1, 2, DUNE_MODE_RUNNING, (struct dune_plan_leaf)KIT_OTHER(2, 200));
    c = kit_open(p, NULL);
    kit_expect(kit_send(c, &A, 0), 0, KIT_FINAL, 0, 0, 1);
    kit_expect(kit_send(c, &A, 1), 0, KIT_DONE, 0, 0, 1);
    kit_close(c, 2);
    dune_plan_free(p);
    (void)state;
}

/* Three constant sub-models under best; returns the verdict of packet 1 (all have n = 1). */
static struct dune_verdict best_of(struct dune_plan *p, const uint8_t *id,
                                   const struct dune_plan_leaf *leaf)
{
    struct dune_chain *c;
    struct dune_verdict v;

    for (uint16_t i = 0; i < 3; i++)
        kit_const(p, id[i], i, 1, DUNE_MODE_RUNNING, leaf[i]);
    c = kit_open(p, NULL);
    v = kit_send(c, &A, 0);
    kit_close(c, 3);
    return v;
}

#define BEST(id0, id1, id2, ...)                                                                   \
    best_of(p, (const uint8_t[]){id0, id1, id2}, (const struct dune_plan_leaf[]){__VA_ARGS__})

static void test_best_order(void **state)
{
    struct dune_plan *p = kit_plan(3, 3);

    /* a claim outranks a tentative answer of higher confidence */
    kit_expect(BEST(1, 2, 3, KIT_OTHER(3, 255), KIT_CLAIM(2, 1), KIT_OTHER(1, 200)), 2,
               KIT_DONE | FL, 2, 1, 2);
    dune_plan_free(p);
    p = kit_plan(3, 3);
    /* then confidence */
    kit_expect(BEST(1, 2, 3, KIT_CLAIM(3, 7), KIT_CLAIM(2, 9), KIT_CLAIM(1, 8)), 2, KIT_DONE | FL, 2,
               9, 2);
    dune_plan_free(p);
    p = kit_plan(3, 3);
    /* then the lower sub-model id, wherever it sits */
    kit_expect(BEST(9, 4, 5, KIT_CLAIM(3, 7), KIT_CLAIM(2, 7), KIT_CLAIM(1, 7)), 2, KIT_DONE | FL, 4,
               7, 2);
    dune_plan_free(p);
    p = kit_plan(3, 3);
    /* no claim: the best tentative answer is carried, but unclaimed without fallback */
    kit_expect(BEST(1, 2, 3, KIT_OTHER(3, 5), KIT_OTHER(2, 9), KIT_OTHER(0, 0)), 0, KIT_DONE | FL, 2,
               9, 2);
    dune_plan_free(p);
    (void)state;
}

static void test_fallback_and_min_confidence(void **state)
{
    struct dune_plan *p = kit_plan(3, 3);

    p->fallback = DUNE_FALLBACK_BEST;
    p->cls[1].min_confidence = 9;
    kit_expect(BEST(1, 2, 3, KIT_OTHER(3, 5), KIT_OTHER(2, 9), KIT_OTHER(0, 0)), 2,
               KIT_DONE | FL | TENT, 2, 9, 2);
    dune_plan_free(p);
    p = kit_plan(3, 3);
    p->fallback = DUNE_FALLBACK_BEST;
    p->cls[1].min_confidence = 10; /* the runner-up of class 3 does not inherit */
    kit_expect(BEST(1, 2, 3, KIT_OTHER(3, 5), KIT_OTHER(2, 9), KIT_OTHER(0, 0)), 0, KIT_DONE | FL, 2,
               9, 2);
    dune_plan_free(p);
    p = kit_plan(3, 3);
    p->cls[2].min_confidence = 201; /* a claim below its bar is unclaimed at the end */
    kit_expect(BEST(1, 2, 3, KIT_CLAIM(3, 200), KIT_CLAIM(2, 9), KIT_OTHER(1, 250)), 0,
               KIT_DONE | FL, 1, 200, 2);
    dune_plan_free(p);
    (void)state;
}

static void test_early_exit(void **state)
{
    struct dune_plan *p = kit_plan(3, 3);

    p->early_exit = 100;
    kit_expect(BEST(1, 2, 3, KIT_CLAIM(3, 99), KIT_CLAIM(2, 100), KIT_CLAIM(1, 255)), 2,
               KIT_DONE | FL, 2, 100, 1);
    dune_plan_free(p);
    p = kit_plan(3, 3);
    p->early_exit = 100;
    p->cls[1].min_confidence = 101; /* the higher bar counts */
    kit_expect(BEST(1, 2, 3, KIT_CLAIM(3, 99), KIT_CLAIM(2, 100), KIT_CLAIM(1, 255)), 1,
               KIT_DONE | FL, 3, 255, 2);
    dune_plan_free(p);
    p = kit_plan(3, 3);
    p->early_exit = 0; /* a tentative answer never exits */
    kit_expect(BEST(1, 2, 3, KIT_OTHER(3, 255), KIT_CLAIM(2, 0), KIT_CLAIM(1, 255)), 2,
               KIT_DONE | FL, 2, 0, 1);
    dune_plan_free(p);
    p = kit_plan(3, 3);
    p->early_exit = 256; /* never, not even 255 */
    kit_expect(BEST(3, 2, 1, KIT_CLAIM(3, 255), KIT_CLAIM(2, 255), KIT_CLAIM(1, 3)), 2,
               KIT_DONE | FL, 2, 255, 2);
    dune_plan_free(p);
    (void)state;
}

/* Several sub-models on one device: early exit holds for the later ones of the same device, but
 * their answer of packet n is still stored. */
static void test_early_exit_on_one_device(void **state)
{
    static const uint32_t thr[] = {1};
    static const struct dune_plan_leaf exits_on_2[] = {KIT_CLAIM(1, 10), KIT_CLAIM(1, 200)};
    struct dune_plan *p = kit_plan(2, 1);
    struct dune_chain *c;

    p->early_exit = 200;
    kit_sub(p, 1, 0, 3, DUNE_MODE_RUNNING, DUNE_F_COUNT, 1, thr, exits_on_2);
    kit_const(p, 2, 0, 2, DUNE_MODE_RUNNING, (struct dune_plan_leaf)KIT_CLAIM(2, 100));
    c = kit_open(p, NULL);
    kit_expect(kit_send(c, &A, 0), 2, KIT_FINAL, 2, 100, 0);
    kit_expect(kit_send(c, &A, 1), 1, KIT_FINAL, 1, 200, 0); /* count 2 < 3: not settled */
    assert_int_equal(kit_count(c, 0).answers_fl, 1);         /* sub-model 2, for later */
    kit_expect(kit_send(c, &A, 2), 1, KIT_DONE | FL, 1, 200, 0);
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

/* Settled needs every sub-model up to the claiming one to be past its n; those behind do not matter. */
static void test_settled_spans_the_chain(void **state)
{
    struct dune_plan *p = kit_plan(3, 3);
    struct dune_chain *c;

    p->early_exit = 50;
    kit_const(p, 1, 0, 3, DUNE_MODE_RUNNING, (struct dune_plan_leaf)KIT_OTHER(1, 9));
    kit_const(p, 2, 1, 1, DUNE_MODE_RUNNING, (struct dune_plan_leaf)KIT_CLAIM(2, 50));
    kit_const(p, 3, 2, 9, DUNE_MODE_RUNNING, (struct dune_plan_leaf)KIT_CLAIM(3, 99));
    c = kit_open(p, NULL);
    kit_expect(kit_send(c, &A, 0), 2, KIT_FINAL | FL, 2, 50, 1);
    kit_expect(kit_send(c, &A, 1), 2, KIT_FINAL | FL, 2, 50, 1);
    kit_expect(kit_send(c, &A, 2), 2, KIT_DONE | FL, 2, 50, 1);
    assert_int_equal(kit_count(c, 2).inferred, 2);
    assert_int_equal(kit_count(c, 2).passed_settled, 1);
    assert_int_equal(kit_count(c, 2).answers_pl, 0);
    kit_close(c, 3);
    dune_plan_free(p);
    (void)state;
}

/* Unclaimed settles as well, and spares the flow all later inference through its rule. */
static void test_unclaimed_settles(void **state)
{
    struct dune_plan *p = kit_plan(2, 2);
    struct dune_chain_opts o = {.rules = true, .rule_delay = 0};
    struct dune_chain *c;

    kit_const(p, 1, 0, 1, DUNE_MODE_RUNNING, (struct dune_plan_leaf)KIT_OTHER(1, 9));
    kit_const(p, 2, 1, 2, DUNE_MODE_RUNNING, (struct dune_plan_leaf)KIT_OTHER(2, 10));
    c = kit_open(p, &o);
    kit_expect(kit_send(c, &A, 0), 0, KIT_FINAL, 2, 10, 1);
    kit_expect(kit_send(c, &A, 1), 0, KIT_DONE | FL, 2, 10, 1);
    kit_expect(kit_send(c, &A, 2), 0, KIT_DONE | FL, 2, 10, 0);
    assert_int_equal(kit_count(c, 0).rule_hit, 1);
    kit_close(c, 2);
    dune_plan_free(p);
    (void)state;
}

static void test_collision(void **state)
{
    struct dune_chain_opts o = {.slots = 1, .ways = 1};
    struct dune_plan *p = kit_plan(2, 2);
    struct dune_chain *c;

    by_count(p, 1, 0, 2, DUNE_MODE_RUNNING);
    kit_const(p, 2, 1, 1, DUNE_MODE_RUNNING, (struct dune_plan_leaf)KIT_OTHER(2, 10));
    c = kit_open(p, &o);
    kit_expect(kit_send(c, &A, 0), 1, KIT_FINAL, 1, 11, 1);
    for (int i = 0; i < 3; i++) /* B finds A's slot taken: state 0, flag set, never settled */
        kit_expect(kit_send(c, &B, 1), 1, KIT_FINAL | COLL, 1, 10, 1);
    kit_expect(kit_send(c, &A, 2), 1, KIT_DONE | FL, 1, 12, 1); /* A's slot is untouched */
    assert_int_equal(kit_count(c, 0).collisions, 3);
    assert_int_equal(kit_count(c, 1).collisions, 3);
    kit_close(c, 2);
    dune_plan_free(p);
    (void)state;
}

static void test_two_ways(void **state)
{
    struct dune_chain_opts o = {.slots = 1, .ways = 2, .check_keys = true};
    struct kit_packet third = {.src = 9, .dst = 9, .sport = 9, .dport = 9};
    struct dune_plan *p = kit_plan(2, 1);
    struct dune_chain *c;

    by_count(p, 1, 0, 2, DUNE_MODE_RUNNING);
    c = kit_open(p, &o);
    kit_expect(kit_send(c, &A, 0), 1, KIT_FINAL, 1, 11, 0);
    kit_expect(kit_send(c, &B, 0), 1, KIT_FINAL, 1, 11, 0);
    kit_expect(kit_send(c, &third, 0), 1, KIT_FINAL | COLL, 1, 10, 0);
    kit_expect(kit_send(c, &A, 1), 1, KIT_DONE | FL, 1, 12, 0);
    kit_expect(kit_send(c, &B, 1), 1, KIT_DONE | FL, 1, 12, 0);
    assert_int_equal(kit_count(c, 0).false_matches, 0);
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

/* Each direction is a flow of its own. */
static void test_directions(void **state)
{
    struct kit_packet back = {.src = 2, .dst = 1, .sport = 80, .dport = 1000};
    struct dune_plan *p = kit_plan(2, 1);
    struct dune_chain *c;

    by_count(p, 1, 0, 2, DUNE_MODE_RUNNING);
    c = kit_open(p, NULL);
    kit_expect(kit_send(c, &A, 0), 1, KIT_FINAL, 1, 11, 0);
    kit_expect(kit_send(c, &back, 0), 1, KIT_FINAL, 1, 11, 0);
    kit_expect(kit_send(c, &A, 0), 1, KIT_DONE | FL, 1, 12, 0);
    kit_close(c, 1);
    dune_plan_free(p);
    (void)state;
}

/* Votes: 2 + 1 trees; tie by confidence; the ballot travels, stored leaves go on voting. */
static void test_votes(void **state)
{
    static const uint32_t thr[] = {1};
    static const struct dune_plan_leaf a[] = {KIT_CLAIM(1, 5), KIT_CLAIM(2, 20)};
    struct dune_plan *p = kit_plan(2, 2);
    struct dune_chain *c;

    p->claim = DUNE_CLAIM_VOTES;
    kit_const(p, 1, 0, 1, DUNE_MODE_RUNNING, (struct dune_plan_leaf)KIT_CLAIM(1, 10));
    kit_sub(p, 2, 1, 2, DUNE_MODE_RUNNING, DUNE_F_COUNT, 1, thr, a);
    c = kit_open(p, NULL);
    kit_expect(kit_send(c, &A, 0), 1, KIT_FINAL, 2, 15, 1);     /* both say 1 */
    kit_expect(kit_send(c, &A, 1), 2, KIT_DONE | FL, 2, 20, 1); /* 1 : 1, higher confidence */
    kit_expect(kit_send(c, &A, 2), 2, KIT_DONE | FL, 2, 20, 1);
    kit_close(c, 2);
    dune_plan_free(p);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_phases_running),
        cmocka_unit_test(test_phases_published),
        cmocka_unit_test(test_phases_packet_and_flow),
        cmocka_unit_test(test_stored_answer),
        cmocka_unit_test(test_first_claims),
        cmocka_unit_test(test_first_unclaimed),
        cmocka_unit_test(test_best_order),
        cmocka_unit_test(test_fallback_and_min_confidence),
        cmocka_unit_test(test_early_exit),
        cmocka_unit_test(test_early_exit_on_one_device),
        cmocka_unit_test(test_settled_spans_the_chain),
        cmocka_unit_test(test_unclaimed_settles),
        cmocka_unit_test(test_collision),
        cmocka_unit_test(test_two_ways),
        cmocka_unit_test(test_directions),
        cmocka_unit_test(test_votes),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
