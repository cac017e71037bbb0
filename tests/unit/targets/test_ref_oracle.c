/* SPDX-License-Identifier: Apache-2.0 */
/* Random plans and traffic: the chain against the slow second opinion, and properties of verdicts. */
#include "unit/targets/naive_chain.h"
#include "unit/targets/random_chain.h"

#define N_PACKETS 3000

struct sent {
    struct kit_frame f;
    uint64_t tick;
    struct dune_verdict v;
    struct dune_chain_frame out;
};

static void no_collisions(struct dune_chain *c, uint32_t n_dev)
{
    for (uint32_t i = 0; i < n_dev; i++) {
        assert_int_equal(kit_count(c, i).collisions, 0);
        assert_int_equal(kit_count(c, i).false_matches, 0);
    }
}

/* Every verdict, computed again from the list of the flow's packets; bytes in = bytes out. */
static void test_against_naive(void **state)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct dune_plan *p = random_plan(seed, 1 + seed % 6, 1 + seed % 5);
        struct dune_chain_opts o = {.check_keys = true};
        struct dune_chain *c = kit_open(p, &o);
        struct naive_flows flows = {0};
        struct random_traffic t;
        struct kit_frame f;

        random_traffic_init(&t, seed, 40);
        for (uint64_t i = 0; i < N_PACKETS / 2; i++) {
            struct dune_chain_frame out;
            struct dune_verdict got, want;
            struct dune_packet pkt;
            uint64_t tick = random_tick(&t);
            size_t w;

            random_frame(&t, &f);
            got = kit_send_frame(c, &f, tick, &out);
            assert_int_equal(out.cap_len, f.len);
            assert_int_equal(out.wire_len, f.len);
            assert_memory_equal(out.data, f.data, f.len);
            dune_packet_parse(&pkt, f.data, f.len, &p->parser, p->shim_ethertype);
            assert_int_equal(got.reason, pkt.reason);
            assert_int_equal(got.inferable, pkt.reason == DUNE_REASON_OK);
            if (!got.inferable)
                continue;
            w = naive_flow_of(&flows, &pkt, tick, p->timeout);
            want = naive_verdict(p, flows.data[w].q.data, flows.data[w].q.len);
            naive_expect(&got, &want, "random plan", seed * 100000 + i);
        }
        no_collisions(c, p->n_devices);
        naive_flows_free(&flows);
        kit_close(c, p->n_devices);
        dune_plan_free(p);
    }
    (void)state;
}

static void fill(struct sent *s, size_t n, uint64_t seed, uint32_t flows, bool monotone)
{
    struct random_traffic t;

    random_traffic_init(&t, seed, flows);
    t.monotone = monotone;
    for (size_t i = 0; i < n; i++) {
        s[i].tick = random_tick(&t);
        random_frame(&t, &s[i].f);
    }
}

/* Verdicts without rules, kept in s. */
static void run_all(const struct dune_plan *p, const struct dune_chain_opts *o, struct sent *s, size_t n)
{
    struct dune_chain *c = kit_open(p, o);

    for (size_t i = 0; i < n; i++)
        s[i].v = kit_send_frame(c, &s[i].f, s[i].tick, NULL);
    kit_close(c, p->n_devices);
}

static bool same_verdict(const struct dune_verdict *a, const struct dune_verdict *b)
{
    return a->inferable == b->inferable && a->cls == b->cls && a->conf == b->conf &&
           a->submodel == b->submodel && a->flags == b->flags;
}

/* All orders of four sub-models on three devices give the same verdicts under best without early exit. */
static void test_orders(void **state)
{
    struct sent *s = DUNE_NEW_N(struct sent, N_PACKETS), *u = DUNE_NEW_N(struct sent, N_PACKETS);

    for (uint64_t seed = 100; seed < 104; seed++) {
        struct dune_plan *p = random_plan(seed, 4, 3);
        struct dune_submodel sub[4];
        int orders = 0;

        p->claim = DUNE_CLAIM_BEST;
        p->early_exit = 256;
        memcpy(sub, p->sub, sizeof(sub));
        fill(s, N_PACKETS, seed, 40, false);
        memcpy(u, s, N_PACKETS * sizeof(*s));
        run_all(p, NULL, s, N_PACKETS);
        for (int code = 0; code < 256; code++) {
            int at[4] = {code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6};

            if ((1 << at[0] | 1 << at[1] | 1 << at[2] | 1 << at[3]) != 15)
                continue;
            orders++;
            for (int k = 0; k < 4; k++) {
                p->sub[k] = sub[at[k]];
                p->sub[k].device = (uint16_t)(k * 3 / 4);
            }
            run_all(p, NULL, u, N_PACKETS);
            for (size_t i = 0; i < N_PACKETS; i++)
                if (!same_verdict(&s[i].v, &u[i].v))
                    fail_msg("seed %llu order %d%d%d%d: packet %zu", (unsigned long long)seed, at[0],
                             at[1], at[2], at[3], i);
        }
        assert_int_equal(orders, 24);
        memcpy(p->sub, sub, sizeof(sub));
        dune_plan_free(p);
    }
    dune_mem_free(s);
    dune_mem_free(u);
    (void)state;
}

/* A rule never changes a verdict of its own flow, whatever the delay and wherever rules live. */
static void test_rules_change_nothing(void **state)
{
    static const uint64_t delays[] = {0, 7, 400, 1200, 3000000};
    struct sent *s = DUNE_NEW_N(struct sent, N_PACKETS), *u = DUNE_NEW_N(struct sent, N_PACKETS);
    uint64_t hits = 0;

    for (uint64_t seed = 200; seed < 220; seed++) {
        struct dune_plan *p = random_plan(seed, 1 + seed % 4, 1 + seed % 3);

        fill(s, N_PACKETS, seed, 12, true);
        memcpy(u, s, N_PACKETS * sizeof(*s));
        run_all(p, NULL, s, N_PACKETS);
        for (size_t k = 0; k < DUNE_ARRAY_LEN(delays); k++) {
            struct dune_chain_opts o = {.rules = true, .rule_delay = delays[k],
                                        .rules_everywhere = seed % 2, .rules_max = seed % 3 ? 0 : 5};

            run_all(p, &o, u, N_PACKETS);
            for (size_t i = 0; i < N_PACKETS; i++) {
                hits += u[i].v.rule_hit;
                if (!same_verdict(&s[i].v, &u[i].v))
                    fail_msg("seed %llu delay %llu: packet %zu", (unsigned long long)seed,
                             (unsigned long long)delays[k], i);
            }
        }
        dune_plan_free(p);
    }
    assert_true(hits > 10000);
    dune_mem_free(s);
    dune_mem_free(u);
    (void)state;
}

/* With collisions, only packets of flows that collided somewhere so far may get another verdict. (If
 * time ran backwards, a flow could also find its slot taken over as expired.) */
static void test_collisions_stay_inside_their_flows(void **state)
{
    struct sent *s = DUNE_NEW_N(struct sent, N_PACKETS), *u = DUNE_NEW_N(struct sent, N_PACKETS);
    uint64_t differ = 0, collided = 0;

    for (uint64_t seed = 300; seed < 320; seed++) {
        struct dune_plan *p = random_plan(seed, 1 + seed % 4, 1 + seed % 3);
        struct dune_chain_opts small = {.slots = 8, .ways = 1 + seed % 3};
        struct naive_flows flows = {0};
        bool *hurt = DUNE_NEW_N(bool, N_PACKETS);

        fill(s, N_PACKETS, seed, 40, true);
        memcpy(u, s, N_PACKETS * sizeof(*s));
        run_all(p, NULL, s, N_PACKETS);
        run_all(p, &small, u, N_PACKETS);
        for (size_t i = 0; i < N_PACKETS; i++) {
            struct dune_packet pkt;
            size_t w;

            if (dune_packet_parse(&pkt, s[i].f.data, s[i].f.len, &p->parser, p->shim_ethertype))
                continue;
            w = naive_flow_of(&flows, &pkt, s[i].tick, p->timeout);
            hurt[w] |= u[i].v.flags & DUNE_SHIM_COLLISION;
            collided += (u[i].v.flags & DUNE_SHIM_COLLISION) != 0;
            if (same_verdict(&s[i].v, &u[i].v))
                continue;
            differ++;
            assert_true(hurt[w]);
        }
        naive_flows_free(&flows);
        dune_mem_free(hurt);
        dune_plan_free(p);
    }
    assert_true(differ > 100 && collided >= differ / 4);
    dune_mem_free(s);
    dune_mem_free(u);
    (void)state;
}

/* During an update, the oracle for generation g is a chain of that plan alone, fed with the packets
 * stamped g: small tables, collisions and all. */
static void test_update_oracle(void **state)
{
    struct sent *s = DUNE_NEW_N(struct sent, N_PACKETS);
    uint64_t stamped[2] = {0};

    for (uint64_t seed = 400; seed < 430; seed++) {
        struct dune_plan *plan[2] = {random_plan(seed, 3, 2), random_plan(seed + 1000, 4, 2)};
        struct dune_chain_opts o = {.slots = 32, .ways = 1, .rules = seed % 2, .rule_delay = 20};
        struct dune_chain *both, *one;
        struct dune_diag d = {0};

        plan[0]->timeout = plan[1]->timeout = 1000;
        plan[1]->generation = 2;
        both = kit_open(plan[0], &o);
        fill(s, N_PACKETS, seed, 40, false);
        for (size_t i = 0; i < N_PACKETS; i++) {
            if (i == N_PACKETS / 3)
                assert_ok(dune_ref_chain_update(both, plan[1], s[i].tick, &d), d);
            s[i].v = kit_send_frame(both, &s[i].f, s[i].tick, NULL);
        }
        kit_close(both, 2);
        for (unsigned g = 0; g < 2; g++) {
            one = kit_open(plan[g], &o);
            for (size_t i = 0; i < N_PACKETS; i++) {
                struct dune_verdict v;

                if (!s[i].v.inferable || s[i].v.generation != plan[g]->generation)
                    continue;
                stamped[g] += i > N_PACKETS / 3;
                v = kit_send_frame(one, &s[i].f, s[i].tick, NULL);
                naive_expect(&v, &s[i].v, "after an update", seed * 100000 + i);
            }
            kit_close(one, 2);
            dune_plan_free(plan[g]);
        }
    }
    assert_true(stamped[0] > 100 && stamped[1] > 1000);
    dune_mem_free(s);
    (void)state;
}

/* Bursts of any size are one packet after the other; same frames, same verdicts, twice. */
static void test_bursts(void **state)
{
    struct sent *s = DUNE_NEW_N(struct sent, N_PACKETS);
    struct dune_plan *p = random_plan(5, 5, 5);
    struct dune_chain *c = kit_open(p, NULL);
    struct dune_diag d = {0};
    size_t at = 0;

    fill(s, N_PACKETS, 5, 40, false);
    run_all(p, NULL, s, N_PACKETS);
    for (unsigned n = 1; at < N_PACKETS; n = n % DUNE_BURST_MAX + 1) {
        struct dune_chain_packet pkt[DUNE_BURST_MAX];
        struct dune_chain_frame out[DUNE_BURST_MAX];
        struct dune_verdict v[DUNE_BURST_MAX];
        unsigned m = (unsigned)DUNE_MIN(n, N_PACKETS - at);

        for (unsigned i = 0; i < m; i++)
            pkt[i] = (struct dune_chain_packet){s[at + i].f.data, s[at + i].f.len, s[at + i].f.len,
                                                s[at + i].tick};
        assert_ok(c->ops->burst(c, pkt, m, v, out, &d), d);
        for (unsigned i = 0; i < m; i++) {
            assert_true(same_verdict(&v[i], &s[at + i].v));
            assert_memory_equal(out[i].data, s[at + i].f.data, s[at + i].f.len);
        }
        at += m;
    }
    kit_close(c, p->n_devices);
    dune_plan_free(p);
    dune_mem_free(s);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_naive),
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_rules_change_nothing),
        cmocka_unit_test(test_collisions_stay_inside_their_flows),
        cmocka_unit_test(test_update_oracle),
        cmocka_unit_test(test_bursts),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
