/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The XDP program against the reference, packet by packet through BPF_PROG_TEST_RUN with the test clock: random
 * plans and packets, rules, updates, the registers of every slot, and what sub-models see. An argument is the number of packets.
 */
#include "equivalence/equal_drift.h"
#include "equivalence/equal_wild.h"
#include "targets/xdp/xdp_int.h"

static uint64_t n_packets = 4000;

/* --- registers ---------------------------------------------------------------------------------------------- */

static uint32_t load32(const uint8_t *p, uint32_t mask)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v & mask;
}

static void compare_slot(const struct equal *e, const struct xdp_held *h, const struct dune_slot_view *w,
                         const uint8_t *slot)
{
    const struct dune_core_slot *s = (const void *)slot;
    uint32_t want[DUNE_N_FEATURES];
    struct dune_packet none = {0};

    if (w->used != (s->id != 0))
        equal_fail(e, "slot in use", w->used, s->id != 0);
    if (!w->used)
        return;
    if (w->id != s->id)
        equal_fail(e, "id of a slot", w->id, s->id);
    if (w->regs->count != s->count || w->regs->last != s->last)
        equal_fail(e, "count or last of a slot", w->regs->count, s->count);
    dune_feature_vector(&none, w->regs, want);
    for (int f = DUNE_F_LEN_MIN; f < DUNE_N_FEATURES; f++)
        if (h->where[f] && load32(slot + h->where[f], dune_feature_max(f)) != want[f])
            equal_fail(e, dune_catalog[f].name, want[f], load32(slot + h->where[f], dune_feature_max(f)));
    if (h->layout.use & DUNE_CORE_DIGEST && w->digest_sent != ((slot[h->layout.flags] & DUNE_CORE_DIGEST_SENT) != 0))
        equal_fail(e, "digest mark", w->digest_sent, !w->digest_sent);
}

static void compare_table(const struct equal *e, uint32_t dev, const struct xdp_held *h, const uint8_t *base)
{
    struct dune_ref_device *ref = dune_ref_chain_device(e->ref, dev);
    struct dune_slot_view w;

    for (uint32_t i = 0; h->state_bytes && i < h->slots; i++)
        for (uint32_t way = 0; way < h->ways; way++) {
            assert_true(dune_ref_device_slot(ref, h->generation, i, way, &w));
            compare_slot(e, h, &w, base + ((size_t)i * h->ways + way) * h->slot_bytes);
        }
}

/* All registers of all devices and generations. */
static void compare_registers(const struct equal *e)
{
    for (uint32_t i = 0; i < e->plan->n_devices; i++) {
        const struct dune_xdp *x = dune_xdp_chain_device(e->fast, i);

        for (int g = 0; g < XDP_GENS; g++)
            if (x->gen[g].held)
                compare_table(e, i, &x->gen[g], x->arena + (size_t)g * x->arena_step);
    }
}

/* --- drift ------------------------------------------------------------------------------------------------------ */

static struct equal_drift drift[DUNE_MAX_DEVICES];

/* q: a plan that comes later, or NULL. */
static void watch_drift(const struct equal *e, const struct dune_plan *q)
{
    for (uint32_t i = 0; i < e->plan->n_devices; i++) {
        equal_drift_add(&drift[i], e->plan);
        if (q)
            equal_drift_add(&drift[i], q);
        dune_ref_device_on_answer(dune_ref_chain_device(e->ref, i), equal_drift_note, &drift[i]);
        dune_xdp_count(dune_xdp_chain_device(e->fast, i), true);
    }
}

/* Returns the answers that were compared. */
static uint64_t compare_drift(const struct equal *e)
{
    uint64_t answers = 0;

    for (uint32_t i = 0; i < e->plan->n_devices; i++) {
        drift[i].answers = 0;
        for (unsigned k = 0; k < drift[i].n; k++) {
            struct dune_drift_counts got;

            dune_drift_counts_init(&got, drift[i].plan[k]);
            assert_true(dune_xdp_drift(dune_xdp_chain_device(e->fast, i), drift[i].plan[k], &got));
            equal_drift_compare(&drift[i], k, &got);
            dune_drift_counts_fini(&got);
        }
        answers += drift[i].answers;
        equal_drift_fini(&drift[i]);
    }
    return answers;
}

/* --- tests ------------------------------------------------------------------------------------------------------ */

static void test_random(void **state)
{
    enum { PER_PLAN = 400 };
    struct totals t = {0};
    uint64_t answers = 0;

    for (uint64_t seed = 1; t.packets < n_packets; seed++) {
        struct dune_plan *p = wild_plan(seed);
        struct dune_chain_opts o;
        struct dune_rng r;
        struct equal e;

        dune_rng_init(&r, seed, 47, 0, 0);
        o = vary_opts(&r);
        equal_open(&e, p, &o, true, "random plan", seed);
        watch_drift(&e, NULL);
        equal_send(&e, seed, 1 + (uint32_t)dune_rng_below(&r, 100), PER_PLAN, true);
        answers += compare_drift(&e);
        compare_registers(&e);
        add(&t, &e);
        equal_close(&e);
        dune_plan_free(p);
    }
    print_message("# %llu packets, %llu inferable, %llu collided, %llu settled, %llu dropped\n",
                  (unsigned long long)t.packets, (unsigned long long)t.inferable, (unsigned long long)t.collided,
                  (unsigned long long)t.settled, (unsigned long long)t.dropped);
    assert_true(t.inferable > t.packets / 4 && t.collided > t.packets / 50 && t.settled > t.packets / 50);
    assert_true(t.dropped > 0 && answers > t.packets / 4);
    (void)state;
}

static void test_rules(void **state)
{
    static const uint64_t delays[] = {0, 7, 400, 1200, 3000000};
    struct totals t = {0};

    for (uint64_t seed = 500; t.packets < n_packets / 2; seed++) {
        struct dune_plan *p = seed % 2 ? wild_plan(seed) : random_plan(seed, 2, 2);
        struct dune_chain_opts o = {.rules = true, .rule_delay = delays[seed % DUNE_ARRAY_LEN(delays)],
                                    .rules_everywhere = seed % 3 == 0, .rules_max = seed % 4 ? 0 : 5, .slots = 64,
                                    .digest_rate = seed % 7 ? 0 : 3000};
        struct equal e;

        equal_open(&e, p, &o, true, "rules", seed);
        equal_send(&e, seed, 30, 500, seed % 3 == 1);
        compare_registers(&e);
        add(&t, &e);
        equal_close(&e);
        dune_plan_free(p);
    }
    assert_true(t.hits > t.packets / 50);
    (void)state;
}

static void stamp_share(struct equal *e, uint32_t share, uint64_t now)
{
    struct dune_diag d = {0};

    assert_ok(dune_ref_device_stamp_share(dune_ref_chain_device(e->ref, 0), 2, share, now, &d), d);
    assert_ok(dune_xdp_stamp_at(dune_xdp_chain_device(e->fast, 0), 2, share, now, &d), d);
}

/* An update in the middle: flows stay with their generation while it lives. */
static void test_update(void **state)
{
    uint64_t inferable = 0;

    for (uint64_t seed = 900; seed < 900 + n_packets / 1500; seed++) {
        struct dune_plan *p = random_plan(seed, 3, 2), *q = random_plan(seed + 5000, 4, 2);
        struct dune_chain_opts o = {.slots = 32, .ways = 1 + seed % 2, .rules = seed % 3 == 0, .rule_delay = 20};
        struct dune_diag d = {0};
        struct stream *s = DUNE_NEW(struct stream);
        struct dune_rng r;
        struct equal e;

        dune_rng_init(&r, seed, 53, 0, 0);
        vary(&r, p);
        vary(&r, q);
        q->generation = 2;
        equal_open(&e, p, &o, true, "update", seed);
        watch_drift(&e, q);
        random_traffic_init(&s->t, seed, 40);
        for (int i = 0; i < 24; i++) {
            unsigned n = fill(s, 64);

            equal_burst(&e, s->pkt, n, true);
            if (i == 12 || i == 18) /* a canary on the first device, and its promotion */
                stamp_share(&e, i == 12 ? 100 + (uint32_t)seed % 800 : DUNE_STAMP_ALL, s->t.tick);
            if (i != 8)
                continue;
            assert_ok(dune_ref_chain_update(e.ref, q, s->t.tick, &d), d);
            assert_ok(dune_xdp_chain_update(e.fast, q, s->t.tick, &d), d);
            assert_int_equal(dune_xdp_chain_update(e.fast, q, s->t.tick, &d), DUNE_E_USAGE);
            d = (struct dune_diag){0};
        }
        compare_registers(&e);
        compare_drift(&e);
        inferable += e.inferable;
        equal_close(&e);
        dune_plan_free(p);
        dune_plan_free(q);
        dune_mem_free(s);
    }
    assert_true(inferable > 0);
    (void)state;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_update),
    };

    if (argc > 1 && !dune_parse_u64(argv[1], &n_packets))
        return 2;
    if (!equal_with("xdp"))
        return 0;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
