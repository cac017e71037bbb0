/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast engine against the reference on random plans and random packets: verdicts, frames, traces and
 * counters. An argument is the number of packets (default 50,000).
 */
#include "equivalence/equal_wild.h"

static uint64_t n_packets = 50000;

/* --- tests ---------------------------------------------------------------------------------------------- */

/* Random everything; every walk in turn and what the calibration finds. */
static void test_random(void **state)
{
    enum { PER_PLAN = 1000 };
    struct totals t = {0};

    for (uint64_t seed = 1; t.packets < n_packets; seed++) {
        struct dune_plan *p = wild_plan(seed);
        struct dune_chain_opts o;
        struct dune_rng r;
        struct equal e;

        dune_rng_init(&r, seed, 47, 0, 0);
        o = vary_opts(&r);
        equal_open(&e, p, &o, seed % 4 == 0, "random plan", seed);
        if (seed % 5 < DUNE_FAST_N_WALKS)
            dune_fast_set_walk(e.fast, (enum dune_fast_walk)(seed % 5));
        equal_send(&e, seed, 1 + (uint32_t)dune_rng_below(&r, 200), PER_PLAN, dune_rng_below(&r, 2));
        add(&t, &e);
        equal_close(&e);
        dune_plan_free(p);
    }
    print_message("# %llu packets, %llu inferable, %llu collided, %llu settled, %llu dropped\n",
                  (unsigned long long)t.packets, (unsigned long long)t.inferable,
                  (unsigned long long)t.collided, (unsigned long long)t.settled,
                  (unsigned long long)t.dropped);
    assert_true(t.inferable > t.packets / 4 && t.collided > t.packets / 50 && t.settled > t.packets / 50);
    assert_true(t.dropped > 0);
    (void)state;
}

static void test_rules(void **state)
{
    static const uint64_t delays[] = {0, 7, 400, 1200, 3000000};
    struct totals t = {0};

    for (uint64_t seed = 500; t.packets < n_packets / 4; seed++) {
        struct dune_plan *p = seed % 2 ? wild_plan(seed) : random_plan(seed, 2, 2);
        struct dune_chain_opts o = {.rules = true, .rule_delay = delays[seed % DUNE_ARRAY_LEN(delays)],
                                    .rules_everywhere = seed % 3 == 0, .rules_max = seed % 4 ? 0 : 5,
                                    .slots = seed % 2 ? 64 : 0, .digest_rate = seed % 7 ? 0 : 3000};
        struct equal e;

        equal_open(&e, p, &o, seed % 4 == 0, "rules", seed);
        equal_send(&e, seed, 30, 1000, seed % 3 == 1);
        add(&t, &e);
        equal_close(&e);
        dune_plan_free(p);
    }
    assert_true(t.hits > t.packets / 50);
    (void)state;
}

static void test_threads(void **state)
{
    for (uint64_t seed = 700; seed < 700 + n_packets / 5000; seed++) {
        struct dune_plan *p = wild_plan(seed);
        struct dune_chain_opts o = {.threads = 2 + seed % 3, .slots = seed % 2 ? 8 : 256, .ways = 1 + seed % 4};
        struct equal e;

        equal_open(&e, p, &o, false, "threads", seed);
        equal_send(&e, seed, 60, 1000, seed % 2);
        equal_close(&e);
        dune_plan_free(p);
    }
    (void)state;
}

/* The straight way, whole runs of packets at a time by one worker or several; mostly plans whose devices are one for the
 * engine. In the middle an update may take them apart again. */
enum { RUN_MAX = 4000 };
struct run {
    struct kit_frame f[RUN_MAX];
    struct dune_chain_packet pkt[RUN_MAX];
    struct dune_verdict v[RUN_MAX];
};

static void send_run(struct equal *e, struct run *r, struct random_traffic *t, size_t n)
{
    struct dune_verdict w[DUNE_BURST_MAX];
    struct dune_diag d = {0};

    for (size_t i = 0; i < n; i++) {
        random_frame(t, &r->f[i]);
        spoil(&t->r, &r->f[i]);
        r->pkt[i] = (struct dune_chain_packet){r->f[i].data, r->f[i].len, r->f[i].len, random_tick(t)};
    }
    assert_ok(dune_fast_run(e->fast, r->pkt, n, r->v, NULL, &d), d);
    for (size_t at = 0; at < n; at += DUNE_BURST_MAX) {
        unsigned m = (unsigned)DUNE_MIN(n - at, (size_t)DUNE_BURST_MAX);

        assert_ok(e->ref->ops->burst(e->ref, r->pkt + at, m, w, NULL, &d), d);
        for (unsigned i = 0; i < m; i++, e->packets++) {
            equal_verdict(e, &w[i], &r->v[at + i]);
            e->inferable += w[i].inferable;
            e->settled += w[i].inferable && w[i].flags & DUNE_SHIM_SETTLED;
            e->collided += w[i].inferable && w[i].flags & DUNE_SHIM_COLLISION;
        }
    }
}

static void plain_plan(struct dune_plan *p, uint64_t seed)
{
    for (uint32_t c = 0; c < p->n_classes; c++)
        p->cls[c].action = DUNE_ACTION_FORWARD;
    if (seed % 4 == 0)
        return;
    p->claim = DUNE_CLAIM_BEST;
    p->early_exit = seed % 4 == 1 ? 200 : 256;
    for (uint32_t s = 0; s < p->n_submodels && seed % 2; s++) { /* one vector for all, a verdict kept in the slot */
        p->sub[s].mode = DUNE_MODE_RUNNING;
        p->sub[s].n = (uint8_t)(seed % 16 < 8 ? 3 : 1 + seed % 5);
    }
}

static void test_runs(void **state)
{
    struct run *r = DUNE_NEW(struct run);
    struct totals t = {0};

    for (uint64_t seed = 1100; t.packets < 2 * n_packets; seed++) {
        struct dune_plan *p = seed % 3 ? random_plan(seed, 1 + seed % 4, 1 + seed % 3) : wild_plan(seed);
        struct dune_plan *q = random_plan(seed + 7000, 3, p->n_devices);
        struct dune_chain_opts o = {.threads = 1 + seed % 5, .slots = 8u << seed % 6, .ways = seed % 2 ? 8 : 1 + seed % 8};
        struct dune_diag d = {0};
        struct random_traffic traffic;
        struct equal e;

        plain_plan(p, seed);
        q->generation = 2;
        equal_open(&e, p, &o, false, "runs", seed);
        random_traffic_init(&traffic, seed, 1 + seed % 300);
        for (int i = 0; i < 4; i++) {
            send_run(&e, r, &traffic, 1 + (size_t)dune_rng_below(&traffic.r, RUN_MAX));
            if (i == 1 && seed % 3 == 1) {
                assert_ok(dune_ref_chain_update(e.ref, q, traffic.tick, &d), d);
                assert_ok(dune_fast_update(e.fast, q, traffic.tick, &d), d);
            } else if (i == 1 && seed % 3 == 2) {
                equal_new_capture(&e);
            }
            equal_counters(&e);
        }
        add(&t, &e);
        equal_close(&e);
        dune_plan_free(p);
        dune_plan_free(q);
    }
    assert_true(t.collided > t.packets / 50 && t.settled > t.packets / 50);
    dune_mem_free(r);
    (void)state;
}

/* Flows of a few SYN and then more: their verdicts may be kept in the slot only once they are settled. */
static void test_half_open(void **state)
{
    struct run *r = DUNE_NEW(struct run);
    struct totals t = {0};

    for (uint64_t seed = 1500; seed < 1520; seed++) {
        struct dune_plan *p = random_plan(seed, 1 + seed % 3, 1 + seed % 2);
        struct dune_chain_opts o = {.threads = 1 + seed % 2, .slots = 64, .ways = seed % 3 ? 8 : 1};
        struct random_traffic traffic;
        struct equal e;

        plain_plan(p, 1);
        p->early_exit = 256;
        p->timeout = seed % 4 ? p->timeout : DUNE_TIMEOUT_NONE;
        p->syn_timeout = DUNE_MIN(p->timeout, (uint64_t)300);
        for (uint32_t s = 0; s < p->n_submodels; s++)
            p->sub[s].n = 2;
        equal_open(&e, p, &o, false, "half open", seed);
        random_traffic_init(&traffic, seed, 40);
        for (int i = 0; i < 3; i++) {
            send_run(&e, r, &traffic, 1000);
            equal_counters(&e);
        }
        add(&t, &e);
        equal_close(&e);
        dune_plan_free(p);
    }
    assert_true(t.settled > t.packets / 50);
    dune_mem_free(r);
    (void)state;
}

/* The older generation goes on all devices of both; the one that is stamped cannot. */
static void drop_older(struct equal *e, uint16_t generation)
{
    struct dune_diag d = {0};

    for (uint32_t k = 0; k < e->plan->n_devices; k++)
        assert_ok(dune_ref_device_unload(dune_ref_chain_device(e->ref, k), generation, &d), d);
    assert_int_equal(dune_fast_unload(e->fast, (uint16_t)(generation + 1), &d), DUNE_E_USAGE);
    d = (struct dune_diag){0};
    assert_ok(dune_fast_unload(e->fast, generation, &d), d);
    assert_int_equal(dune_fast_unload(e->fast, generation, &d), DUNE_E_USAGE);
}

/* Updates, small tables: flows stay with their generation while it lives; once it is gone another one comes. */
static void test_update(void **state)
{
    uint64_t stamped[3] = {0};

    for (uint64_t seed = 900; seed < 900 + n_packets / 2000; seed++) {
        struct dune_plan *p = random_plan(seed, 3, 2), *q = random_plan(seed + 5000, 4, 2);
        struct dune_plan *third = random_plan(seed + 6000, 2, 2);
        struct dune_chain_opts o = {.slots = 32, .ways = 1 + seed % 2, .rules = seed % 3 == 0, .rule_delay = 20};
        struct dune_diag d = {0};
        struct stream *s = DUNE_NEW(struct stream);
        struct dune_rng r;
        struct equal e;

        dune_rng_init(&r, seed, 53, 0, 0);
        vary(&r, p);
        vary(&r, q);
        q->generation = 2;
        third->generation = 3;
        equal_open(&e, p, &o, seed % 2, "update", seed);
        random_traffic_init(&s->t, seed, 40);
        for (int i = 0; i < 60; i++) {
            unsigned n = fill(s, 64);

            equal_burst(&e, s->pkt, n, true);
            if (i == 35)
                drop_older(&e, p->generation);
            if (i != 20 && i != 40)
                continue;
            assert_ok(dune_ref_chain_update(e.ref, i == 20 ? q : third, s->t.tick, &d), d);
            assert_ok(dune_fast_update(e.fast, i == 20 ? q : third, s->t.tick, &d), d);
            assert_int_equal(dune_fast_update(e.fast, q, s->t.tick, &d), DUNE_E_USAGE);
            d = (struct dune_diag){0};
        }
        stamped[2] += e.inferable;
        equal_close(&e);
        dune_plan_free(p);
        dune_plan_free(q);
        dune_plan_free(third);
        dune_mem_free(s);
    }
    assert_true(stamped[2] > 0);
    (void)state;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_half_open),
        cmocka_unit_test(test_update),
    };

    if (argc > 1 && !dune_parse_u64(argv[1], &n_packets))
        return 2;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
