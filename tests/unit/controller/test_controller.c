/* SPDX-License-Identifier: Apache-2.0 */
/* The controller in ordinary times: plans, updates under traffic, rules, canary, shadow, pins. */
#include "unit/controller/world.h"

/* --- updates under traffic ------------------------------------------------------------------------------- */

struct flow_watch {
    uint16_t generation;
    uint64_t tick;
};

/* A flow that goes on may change its generation only after the deadline that the first device has set for
 * the one it had. */
static void watch_flow(struct world *w, struct flow_watch *f, const struct sent *s, uint64_t *deadline)
{
    struct dune_live_status st;

    w->live[0]->ops->status(w->live[0], &st);
    if (st.n_held == 2)
        deadline[st.held[st.held[0] == st.stamped]] = st.drain_until;
    if (f->generation && f->generation != s->generation && s->tick - f->tick <= KIT_S(1) &&
        s->tick <= deadline[f->generation])
        fail_msg("flow %u: generation %u, then %u, %llu ticks before the deadline", s->flow, f->generation,
                 s->generation, (unsigned long long)(deadline[f->generation] - s->tick));
    f->generation = s->generation;
    f->tick = s->tick;
}

static void test_hundred_updates(void **state)
{
    struct world *w = world_new(3);
    struct flow_watch watch[WORLD_FLOWS] = {{0}};
    struct dune_counters c[WORLD_DEVICES];
    static uint64_t deadline[65536]; /* by generation; of a generation never drained: 0 */
    uint64_t judged = 0, by_rule = 0, with_shim = 0, updates;
    struct dune_diag d = {0};

    world_begin(w);
    w->keep = true;
    while ((updates = world_stats(w).updates) < 101) {
        uint32_t flow = (uint32_t)dune_rng_below(&w->rng, WORLD_FLOWS);
        struct sent s = world_send(w, flow);

        assert_true(s.arrived); /* nothing is lost or changed by an update */
        if (s.has_shim)
            watch_flow(w, &watch[flow], &s, deadline);
        if (world_stats(w).phase == DUNE_PHASE_STEADY)
            assert_ok(world_apply(w, world_plan(w->plans.len + 1), DUNE_CTL_SHARE, &d), d);
        world_step(w, 7000000);
        if (w->sent.len > 100000)
            fail_msg("after %llu updates: %s", (unsigned long long)updates, w->notes);
    }
    for (size_t i = 0; i < w->plans.len; i++)
        judged += world_judge(w, w->plans.data[i]);
    for (size_t i = 0; i < w->sent.len; i++) {
        by_rule += w->sent.data[i].rule_hit;
        with_shim += w->sent.data[i].has_shim;
    }
    assert_int_equal(judged, with_shim);
    assert_true(judged > 10000 && by_rule > 100); /* the test is about something */
    for (uint32_t i = 0; i < WORLD_DEVICES; i++)
        c[i] = world_count(w, i);
    assert_ok(dune_counters_check(c, WORLD_DEVICES, true, &d), d);
    assert_int_equal(world_stats(w).refused, 0);
    printf("# %zu packets, %llu judged, %llu by rule, %zu plans\n", w->sent.len, (unsigned long long)judged,
           (unsigned long long)by_rule, w->plans.len);
    world_free(w);
    (void)state;
}

/* A third generation waits until the oldest is drained. */
static void test_third_waits(void **state)
{
    struct world *w = world_new(4);
    struct dune_diag d = {0};
    uint16_t second;

    world_begin(w);
    assert_ok(world_apply(w, world_plan(2), DUNE_CTL_SHARE, &d), d);
    second = world_stats(w).next;
    world_wait(w, DUNE_PHASE_DRAINING);
    assert_ok(world_apply(w, world_plan(3), DUNE_CTL_SHARE, &d), d);
    assert_true(world_stats(w).pending);
    for (int i = 0; i < 100; i++) {
        struct dune_live_status st;

        world_step(w, 5000000);
        w->live[0]->ops->status(w->live[0], &st);
        assert_true(st.n_held <= 2);
    }
    assert_int_equal(world_stats(w).next, second); /* 0.5 s of 2 s: still draining */
    for (int i = 0; i < 1000 && world_stats(w).updates < 3; i++)
        world_step(w, 10000000);
    assert_int_equal(world_stats(w).updates, 3);
    assert_false(world_stats(w).pending);
    assert_true(world_stats(w).base != second);
    world_free(w);
    (void)state;
}

/* --- canary, rollback, shadow ------------------------------------------------------------------------------ */

static void test_canary(void **state)
{
    struct world *w = world_new(5);
    struct dune_diag d = {0};
    uint16_t base, next;
    uint32_t n_next = 0;

    world_begin(w);
    assert_ok(world_apply(w, world_plan(2), DUNE_CTL_SHARE / 4, &d), d);
    world_wait(w, DUNE_PHASE_CANARY);
    base = world_stats(w).base;
    next = world_stats(w).next;
    world_run(w, 1500000000, 5000000); /* flows of before end */
    for (uint32_t flow = 1000; flow < 2000; flow++) {
        struct sent a = world_send(w, flow), b = world_send(w, flow);

        assert_int_equal(a.generation, b.generation);
        assert_true(!a.has_shim || a.generation == base || a.generation == next);
        n_next += a.generation == next;
    }
    assert_in_range(n_next, 200, 300); /* a quarter of 1000 flows */
    assert_ok(dune_controller_promote(w->ctl, &d), d);
    world_wait(w, DUNE_PHASE_DRAINING);
    for (uint32_t flow = 3000; flow < 3100; flow++)
        assert_int_equal(world_send(w, flow).generation, next);
    world_wait(w, DUNE_PHASE_STEADY);
    assert_int_equal(world_stats(w).base, next);
    /* without a canary there is nothing to promote */
    assert_int_equal(dune_controller_promote(w->ctl, &d), DUNE_E_USAGE);
    world_free(w);
    (void)state;
}

static void test_rollback(void **state)
{
    struct world *w = world_new(6);
    struct dune_diag d = {0};
    uint16_t base, next;
    struct sent s;

    world_begin(w);
    w->keep = true;
    base = world_stats(w).base;
    assert_int_equal(dune_controller_rollback(w->ctl, &d), DUNE_E_USAGE); /* nothing before the first */
    d = (struct dune_diag){0};
    assert_ok(world_apply(w, world_plan(2), DUNE_CTL_SHARE, &d), d);
    next = world_stats(w).next;
    world_wait(w, DUNE_PHASE_DRAINING);
    s = world_send(w, 5000);
    assert_int_equal(s.generation, next);
    assert_ok(dune_controller_rollback(w->ctl, &d), d);
    for (int i = 0; i < 20; i++)
        world_step(w, 10000000);
    assert_int_equal(world_send(w, 5000).generation, next); /* it has a slot there */
    assert_int_equal(world_send(w, 5001).generation, base);
    world_wait(w, DUNE_PHASE_STEADY);
    assert_int_equal(world_stats(w).base, base);
    assert_int_equal(world_stats(w).next, 0);
    /* later, when the plan before is no longer held: again under a new number */
    assert_ok(world_apply(w, world_plan(3), DUNE_CTL_SHARE, &d), d);
    world_wait(w, DUNE_PHASE_LOADING);
    world_wait(w, DUNE_PHASE_STEADY);
    assert_ok(dune_controller_rollback(w->ctl, &d), d);
    world_wait(w, DUNE_PHASE_STEADY);
    w->plans.data[0]->generation = world_stats(w).base;
    w->sent.len = 0;
    world_run(w, 500000000, 5000000);
    assert_true(world_judge(w, w->plans.data[0]) > 50); /* the first plan's verdicts */
    world_free(w);
    (void)state;
}

static void test_automatic_rollback(void **state)
{
    struct world *w = world_new(7);
    struct dune_diag d = {0};
    uint16_t base;

    world_kill_controller(w);
    w->cfg.no_auto_rollback = false;
    w->cfg.min_flows = 50;
    world_start_controller(w);
    for (int i = 0; i < 200 && !world_stats(w).leader; i++)
        world_step(w, 5000000);
    assert_ok(world_apply(w, world_saying(1), DUNE_CTL_SHARE, &d), d);
    world_wait(w, DUNE_PHASE_STEADY);
    base = world_stats(w).base;
    for (uint32_t flow = 0; flow < 300; flow++) {
        world_send(w, 100 + flow / 3);
        world_step(w, 5000000);
    }
    assert_true(world_stats(w).claimed[0] >= 90);
    assert_ok(world_apply(w, world_saying(0), DUNE_CTL_SHARE / 2, &d), d); /* claims nothing */
    world_wait(w, DUNE_PHASE_CANARY);
    for (uint32_t flow = 0; flow < 1200 && world_stats(w).phase == DUNE_PHASE_CANARY; flow++) {
        world_send(w, 10000 + flow / 3);
        world_step(w, 5000000);
    }
    assert_int_equal(world_stats(w).phase, DUNE_PHASE_BACK);
    assert_int_equal(world_stats(w).rollbacks, 1);
    assert_non_null(strstr(w->notes, "fewer flows are claimed"));
    world_wait(w, DUNE_PHASE_STEADY);
    assert_int_equal(world_stats(w).base, base);
    world_free(w);
    (void)state;
}

/* A device whose packets do not pass its agent says no, once, and is not asked again; the rest goes on. */
static void test_shadow_refused(void **state)
{
    struct world *w = world_new(9);
    struct dune_live_ops blind = *w->live[0]->ops;
    struct dune_diag d = {0};
    struct dune_plan *p = world_saying(2);
    struct dune_ctl_report r;
    char *text;
    size_t len;

    blind.sees_packets = false;
    w->live[0]->ops = &blind;
    world_begin(w);
    assert_ok(dune_plan_format(p, &text, &len, &d), d);
    assert_ok(dune_controller_shadow(w->ctl, "s", text, len, &d), d);
    world_run(w, 3000000000u, 5000000);
    assert_int_equal(world_stats(w).refused, 1);
    assert_true(dune_controller_report(w->ctl, world_devices[0].name, &r));
    assert_int_equal(r.shadow.generation, 0);
    assert_ok(dune_controller_shadow(w->ctl, NULL, NULL, 0, &d), d);
    world_run(w, 500000000, 5000000);
    assert_int_equal(world_stats(w).phase, DUNE_PHASE_STEADY);
    dune_mem_free(text);
    dune_plan_free(p);
    world_free(w);
    (void)state;
}

static void test_shadow(void **state)
{
    struct world *w = world_new(8);
    struct dune_ctl_report r;
    struct dune_diag d = {0};
    struct dune_plan *p = world_saying(2);
    char *text;
    size_t len;

    world_begin(w);
    assert_ok(dune_plan_format(p, &text, &len, &d), d);
    assert_ok(dune_controller_shadow(w->ctl, "shadow", text, len, &d), d);
    for (int i = 0; i < 100; i++)
        world_step(w, 10000000);
    w->keep = true;
    for (uint32_t i = 0; i < 300; i++) { /* the port hands over copies of what comes in at the edge */
        struct sent s = world_send(w, i % 30);
        struct dune_chain_packet pkt = {s.frame.data, s.frame.len, s.frame.len, s.tick};

        dune_agent_shadow(w->agent[0], &pkt);
        world_step(w, 5000000);
    }
    for (int i = 0; i < 50; i++)
        world_step(w, 10000000);
    assert_true(dune_controller_report(w->ctl, "s1", &r));
    assert_int_equal(r.shadow.packets, 300);
    assert_int_equal(r.shadow.claimed, 300);
    assert_true(r.shadow.compared > 0 && r.shadow.same <= r.shadow.compared);
    world_judge(w, w->plans.data[0]); /* the traffic does not notice */
    assert_ok(dune_controller_shadow(w->ctl, NULL, NULL, 0, &d), d);
    for (int i = 0; i < 100; i++)
        world_step(w, 10000000);
    assert_true(dune_controller_report(w->ctl, "s1", &r));
    assert_int_equal(r.shadow.generation, 0);
    dune_mem_free(text);
    dune_plan_free(p);
    world_free(w);
    (void)state;
}

/* --- pins --------------------------------------------------------------------------------------------------- */

static void test_pins(void **state)
{
    struct world *w = world_new(9);
    struct dune_diag d = {0};
    struct kit_packet k = {.src = 7, .dst = 9, .sport = 4000, .dport = 80, .tcp = true};
    struct kit_packet k6 = {.src = 7, .dst = 9, .sport = 4000, .dport = 53, .ipv6 = true};
    struct kit_frame f;
    struct sent s;

    for (int i = 0; i < 200 && !world_stats(w).leader; i++)
        world_step(w, 5000000);
    assert_ok(world_apply(w, world_saying(1), DUNE_CTL_SHARE, &d), d);
    world_wait(w, DUNE_PHASE_STEADY);
    assert_ok(dune_controller_pin(w->ctl, "tcp 10.0.0.7:4000 11.0.0.9:80", "class3", &d), d);
    assert_ok(dune_controller_pin(w->ctl, "fd00::/16", NULL, &d), d);
    for (int i = 0; i < 500; i++) /* longer than the time-out: the pin is kept alive */
        world_step(w, 10000000);
    kit_make(&f, &k);
    s = world_send_frame(w, &f, 0);
    assert_true(s.rule_hit && s.shim.cls == 3);
    kit_make(&f, &k6); /* exempt once the flow is settled */
    for (int i = 0; i < 5; i++) {
        s = world_send_frame(w, &f, 1);
        world_step(w, 20000000);
    }
    assert_true(s.rule_hit && s.shim.cls == 0 && (s.shim.flags & DUNE_SHIM_FINAL));
    assert_int_equal(dune_controller_pin(w->ctl, "10.0.0.0/8", "no such class", &d), DUNE_E_USAGE);
    assert_int_equal(dune_controller_pin(w->ctl, "10.0.0.0/33", "class1", &d), DUNE_E_USAGE);
    assert_int_equal(dune_controller_pin(w->ctl, "tcp 10.0.0.1:80 [fd00::1]:80", "class1", &d), DUNE_E_USAGE);
    d = (struct dune_diag){0};
    assert_ok(dune_controller_unpin(w->ctl, "tcp 10.0.0.7:4000 11.0.0.9:80", &d), d);
    for (int i = 0; i < 200; i++)
        world_step(w, 10000000);
    kit_make(&f, &k);
    assert_int_equal(world_send_frame(w, &f, 0).shim.cls, 1);
    world_free(w);
    (void)state;
}

/* --- operators over the bus ---------------------------------------------------------------------------------- */

static void test_requests(void **state)
{
    struct world *w = world_new(10);
    struct dune_diag d = {0};
    struct dune_bus *b = dune_bus_hub_join(w->hub);
    struct dune_asker *asker;
    char *answer;
    const char *bad = "{\"op\": \"rollback\"}";

    world_begin(w);
    assert_ok(dune_controller_serve(w->ctl, &d), d);
    assert_ok(dune_asker_new(&asker, b, &d), d);
    /* nobody steps the controller while we wait: no answer in time, however often we ask */
    for (int i = 0; i < 40; i++) {
        memset(&d, 0, sizeof(d));
        assert_int_equal(dune_asker_ask(asker, bad, strlen(bad), 1, &answer, &d), DUNE_E_ENV);
        assert_non_null(strstr(d.msg, "no controller answered"));
    }
    /* answers that come late are not taken for those of the next request */
    world_step(w, 100000000);
    assert_int_equal(dune_asker_ask(asker, bad, strlen(bad), 1, &answer, &d), DUNE_E_ENV);
    b->ops->close(b);
    dune_asker_free(asker);
    world_free(w);
    (void)state;
}

/* Who forwards past the device, on the way back, has to know its shims. */
static void test_shim_ethertype(void **state)
{
    struct dune_live *live[] = {dune_live_ref_new(NULL), dune_live_fast_new(NULL)};
    struct dune_plan *p = world_plan(1);
    struct dune_diag d = {0};

    p->generation = 1;
    p->shim_ethertype = 0x88B6;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(live); i++) {
        assert_int_equal(dune_live_ref_ethertype(live[i]), DUNE_ETHERTYPE_SHIM_DEFAULT);
        assert_ok(live[i]->ops->load(live[i], p, 0, &d), d);
        assert_int_equal(dune_live_ref_ethertype(live[i]), 0x88B6);
        live[i]->ops->close(live[i]);
    }
    dune_plan_free(p);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shim_ethertype),
        cmocka_unit_test(test_hundred_updates),
        cmocka_unit_test(test_third_waits),
        cmocka_unit_test(test_canary),
        cmocka_unit_test(test_rollback),
        cmocka_unit_test(test_automatic_rollback),
        cmocka_unit_test(test_shadow), cmocka_unit_test(test_shadow_refused),
        cmocka_unit_test(test_pins),
        cmocka_unit_test(test_requests),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
