/* SPDX-License-Identifier: Apache-2.0 */
/* The controller in bad times: everything that can be killed, lost, repeated or filled up. */
#include "unit/controller/world.h"

/* Traffic never stops, the state never gets lost: the end of most tests. */
static void expect_healthy(struct world *w)
{
    struct dune_counters c;
    struct dune_diag d = {0};

    for (uint32_t i = 0; i < WORLD_DEVICES; i++) {
        c = world_count(w, i);
        assert_ok(dune_counters_check(&c, 1, false, &d), d);
    }
}

static void no_traffic(struct world *w, int ms)
{
    for (int i = 0; i < ms / 10; i++)
        world_step(w, 10000000);
}

static void test_controller_killed(void **state)
{
    static const enum dune_ctl_phase when[] = {DUNE_PHASE_LOADING, DUNE_PHASE_SWITCHING, DUNE_PHASE_DRAINING,
                                               DUNE_PHASE_STEADY};
    struct world *w = world_new(21);
    struct dune_diag d = {0};

    world_begin(w);
    w->keep = true;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(when); i++) {
        uint64_t epoch = world_stats(w).epoch;
        uint16_t next;

        assert_ok(world_apply(w, world_plan(10 + i), DUNE_CTL_SHARE, &d), d);
        next = world_stats(w).next;
        world_wait(w, when[i]);
        world_kill_controller(w);
        world_run(w, 400000000, 7000000); /* devices go on without it */
        world_start_controller(w);
        world_run(w, 3200000000u, 7000000);
        world_wait(w, DUNE_PHASE_STEADY);
        assert_int_equal(world_stats(w).base, next); /* it finished what the other had begun */
        assert_true(world_stats(w).epoch > epoch);
    }
    for (size_t i = 0; i < w->plans.len; i++)
        world_judge(w, w->plans.data[i]);
    expect_healthy(w);
    world_free(w);
    (void)state;
}

static void keep_alarm(void *ctx, const char *text)
{
    if (strncmp(text, "alarm: ", 7) == 0)
        snprintf(ctx, 256, "%s", text);
}

/* A controller that cannot read the desired state lets go of the lease, says so, and lets others try. */
static void test_unreadable_state(void **state)
{
    static const struct dune_controller_device dev[] = {{"s1", 0}};
    char alarm[256] = "";
    struct dune_controller_cfg cfg = {.owner = "c1", .device = dev, .n_devices = 1, .lease_ns = 1000000000,
                                      .note = keep_alarm, .note_ctx = alarm};
    struct dune_buf lease = {0};
    struct dune_bus_hub *hub;
    struct dune_bus *bus, *other;
    struct dune_controller *c;
    struct dune_diag d = {0};
    uint64_t revision = 0, now = UINT64_C(1700000000000000000);

    assert_ok(dune_bus_hub_new(&hub, NULL, &d), d);
    bus = dune_bus_hub_join(hub);
    other = dune_bus_hub_join(hub);
    assert_ok(other->ops->put(other, "desired", "{\"phase\": 7", 11, &revision, &d), d);
    assert_ok(dune_controller_new(&c, &cfg, bus, &d), d);
    for (int i = 0; i < 28; i++)
        dune_controller_step(c, now += 100000000);
    assert_string_equal(alarm, "");
    for (int i = 0; i < 12; i++)
        dune_controller_step(c, now += 100000000);
    assert_non_null(strstr(alarm, "the desired state cannot be read"));
    for (int i = 0; i < 10; i++) /* and it does not take it back at once */
        dune_controller_step(c, now += 100000000);
    assert_ok(other->ops->get(other, "lease", &lease, &revision, &d), d);
    dune_buf_append(&lease, "", 1);
    assert_non_null(strstr(lease.data, "\"until\": 0}"));
    for (int i = 0; i < 30; i++) /* where nobody else did, it tries again */
        dune_controller_step(c, now += 100000000);
    lease.len = 0;
    assert_ok(other->ops->get(other, "lease", &lease, &revision, &d), d);
    dune_buf_append(&lease, "", 1);
    assert_null(strstr(lease.data, "\"until\": 0}"));
    dune_buf_fini(&lease);
    dune_controller_free(c);
    bus->ops->close(bus);
    other->ops->close(other);
    dune_bus_hub_free(hub);
    (void)state;
}

static void test_two_controllers(void **state)
{
    struct world *w = world_new(22), other;
    struct dune_controller_cfg cfg = w->cfg;
    struct dune_controller_stats s;
    struct dune_bus *bus2 = dune_bus_hub_join(w->hub);
    struct dune_controller *second;
    struct dune_diag d = {0};

    memset(&other, 0, sizeof(other));
    world_begin(w);
    cfg.owner = "c2";
    cfg.note = NULL;
    assert_ok(dune_controller_new(&second, &cfg, bus2, &d), d);
    for (int i = 0; i < 300; i++) { /* both run: one leads */
        world_step(w, 10000000);
        dune_controller_step(second, w->now_ns);
    }
    dune_controller_stats(second, &s);
    assert_true(world_stats(w).leader && !s.leader);
    assert_int_equal(dune_controller_rollback(second, &d), DUNE_E_ENV);
    for (int i = 0; i < 700; i++) { /* the first one hangs for longer than the lease */
        w->now_ns += 10000000;
        for (uint32_t k = 0; k < WORLD_DEVICES; k++)
            dune_agent_step(w->agent[k], w->now_ns);
        dune_controller_step(second, w->now_ns);
    }
    dune_controller_stats(second, &s);
    assert_true(s.leader);
    assert_int_equal(s.base, 1); /* with the state of the first */
    no_traffic(w, 100);          /* the first one comes back, and sees that it has lost the lease */
    assert_false(world_stats(w).leader);
    assert_int_equal(world_count(w, 0).shim_bad, 0);
    dune_controller_free(second);
    bus2->ops->close(bus2);
    expect_healthy(w);
    world_free(w);
    (void)state;
}

/* Commands of an older epoch or an older sequence are ignored. */
static void test_old_commands(void **state)
{
    struct world *w = world_new(23);
    struct dune_bus *b = dune_bus_hub_join(w->hub);
    struct dune_ctl_msg *m = DUNE_NEW(struct dune_ctl_msg);
    struct dune_buf text = {0};
    struct dune_agent_stats before, after;
    struct dune_live_status st;
    struct dune_diag d = {0};

    world_begin(w);
    m->kind = DUNE_CTL_CLEAR;
    snprintf(m->device, sizeof(m->device), "s1");
    m->epoch = world_stats(w).epoch;
    m->seq = 1; /* the controller has sent more */
    dune_ctl_format(m, &text);
    dune_agent_stats(w->agent[0], &before);
    assert_ok(b->ops->publish(b, "dune.cmd.s1", text.data, text.len, &d), d);
    text.len = 0;
    m->epoch--;
    m->seq = 1u << 30;
    dune_ctl_format(m, &text);
    assert_ok(b->ops->publish(b, "dune.cmd.s1", text.data, text.len, &d), d);
    assert_ok(b->ops->publish(b, "dune.cmd.s1", "nonsense", 8, &d), d);
    no_traffic(w, 50);
    dune_agent_stats(w->agent[0], &after);
    assert_int_equal(after.stale, before.stale + 2);
    assert_int_equal(after.bad_messages, before.bad_messages + 1);
    w->live[0]->ops->status(w->live[0], &st);
    assert_int_equal(st.n_held, 1);
    dune_buf_fini(&text);
    dune_mem_free(m);
    b->ops->close(b);
    world_free(w);
    (void)state;
}

/* Clocks of all devices and of the controller are set, forwards and back, also while an update is under way. */
static void test_clock_jumps(void **state)
{
    static const int64_t jump_s[] = {3600, -3600, -5, 86400, -40000, 10, -1};
    struct world *w = world_new(31);
    struct dune_diag d = {0};

    world_begin(w);
    for (size_t i = 0; i < DUNE_ARRAY_LEN(jump_s); i++) {
        w->now_ns += (uint64_t)(jump_s[i] * 1000000000);
        for (int k = 0; k < 800; k++) /* four seconds */
            world_step(w, 5000000);
        assert_true(world_stats(w).leader);
        assert_int_equal(world_stats(w).n_lost, 0);
        memset(&d, 0, sizeof(d));
        assert_ok(world_apply(w, world_plan(2 + i % 2), DUNE_CTL_SHARE, &d), d);
        if (jump_s[i] > 0) { /* in the middle of it */
            world_wait(w, DUNE_PHASE_DRAINING);
            w->now_ns += (uint64_t)jump_s[i] * 1000000000;
        }
        world_wait(w, DUNE_PHASE_STEADY);
    }
    /* A lease that was given before the clock was set back does not keep the next controller waiting for an hour. */
    world_kill_controller(w);
    w->now_ns -= UINT64_C(3600000000000);
    w->cfg.owner = "another";
    world_start_controller(w);
    for (int k = 0; k < 800; k++)
        world_step(w, 5000000);
    assert_true(world_stats(w).leader);
    assert_int_equal(world_stats(w).n_lost, 0);
    world_free(w);
    (void)state;
}

static void test_agent_killed(void **state)
{
    struct world *w = world_new(24);
    struct dune_diag d = {0};
    struct dune_live_status st;

    world_begin(w);
    for (uint32_t i = 0; i < WORLD_DEVICES; i++) {
        world_run(w, 300000000, 5000000);
        world_kill_agent(w, i);
        world_start_agent(w, i); /* bare: forwards and strips until the controller has loaded it */
        world_run(w, 1000000000, 5000000);
        w->live[i]->ops->status(w->live[i], &st);
        assert_int_equal(st.n_held, 1);
        assert_int_equal(st.stamped, world_stats(w).base);
    }
    /* in the middle of an update: the one that comes back gets both generations */
    assert_ok(world_apply(w, world_plan(2), DUNE_CTL_SHARE, &d), d);
    world_wait(w, DUNE_PHASE_DRAINING);
    world_kill_agent(w, 1);
    world_start_agent(w, 1);
    world_run(w, 600000000, 5000000);
    w->live[1]->ops->status(w->live[1], &st);
    assert_int_equal(st.n_held, 2);
    assert_int_equal(st.stamped, world_stats(w).next);
    world_run(w, 3000000000u, 5000000);
    world_wait(w, DUNE_PHASE_STEADY);
    assert_non_null(strstr(w->notes, "has started again"));
    expect_healthy(w);
    world_free(w);
    (void)state;
}

/* After a restart of the controller, digests that repeat bring missing rules back within a second of
 * the flow's next packets. */
static void test_rules_come_back(void **state)
{
    struct world *w = world_new(25);
    struct sent s = {0};
    uint32_t hits = 0, flows = 0;

    world_begin(w);
    world_run(w, 600000000, 2000000);
    world_kill_agent(w, 0); /* its rules are gone */
    world_start_agent(w, 0);
    world_kill_controller(w);
    world_start_controller(w);
    no_traffic(w, 1000);
    for (uint32_t flow = 0; flow < 40; flow++) {
        bool settled = false;

        for (int i = 0; i < 12; i++) { /* 0.12 s between packets */
            s = world_send(w, 700 + flow);
            settled |= s.has_shim && (s.shim.flags & DUNE_SHIM_SETTLED) && (s.shim.flags & DUNE_SHIM_FINAL);
            no_traffic(w, 120);
        }
        flows += settled;
        hits += s.rule_hit;
    }
    assert_true(flows > 20);
    assert_int_equal(hits, flows);
    world_free(w);
    (void)state;
}

/* 30 s without the bus: the lease runs out, forwarding goes on, afterwards all is as before. */
static void test_bus_down(void **state)
{
    struct world *w = world_new(26);
    struct dune_bus_faults down = {.down = true}, up = {0};
    struct dune_diag d = {0};

    world_begin(w);
    w->keep = true;
    assert_ok(world_apply(w, world_plan(2), DUNE_CTL_SHARE, &d), d);
    world_wait(w, DUNE_PHASE_SWITCHING);
    dune_bus_hub_set_faults(w->hub, &down);
    world_run(w, 30000000000u, 20000000);
    assert_false(world_stats(w).leader);
    dune_bus_hub_set_faults(w->hub, &up);
    world_run(w, 4000000000u, 7000000);
    world_wait(w, DUNE_PHASE_STEADY);
    assert_int_equal(world_stats(w).base, w->plans.data[1]->generation);
    for (size_t i = 0; i < w->plans.len; i++)
        world_judge(w, w->plans.data[i]);
    expect_healthy(w);
    world_free(w);
    (void)state;
}

/* Every message may be lost, come twice or late. */
static void test_bad_bus(void **state)
{
    struct world *w = world_new(27);
    struct dune_bus_faults bad = {.seed = 9, .lose = 250, .twice = 250, .late = 250};
    struct dune_diag d = {0};

    world_begin(w);
    w->keep = true;
    dune_bus_hub_set_faults(w->hub, &bad);
    for (int i = 0; i < 10; i++) {
        assert_ok(world_apply(w, world_plan(20 + (uint64_t)i), DUNE_CTL_SHARE, &d), d);
        world_run(w, 4000000000u, 9000000);
        world_wait(w, DUNE_PHASE_STEADY);
    }
    for (size_t i = 0; i < w->plans.len; i++)
        world_judge(w, w->plans.data[i]);
    assert_true(world_stats(w).duplicates > 0);
    assert_int_equal(world_stats(w).refused, 0);
    expect_healthy(w);
    world_free(w);
    (void)state;
}

static void test_device_lost(void **state)
{
    struct world *w = world_new(28);
    struct dune_diag d = {0};

    world_begin(w);
    world_kill_agent(w, 1); /* cabled through: traffic passes it like a wire */
    world_run(w, 4000000000u, 9000000);
    assert_int_equal(world_stats(w).n_lost, 1);
    assert_non_null(strstr(w->notes, "device s2 is lost: the classes of its sub-models stay unclaimed: "));
    for (uint32_t s = 0; s < w->plans.data[0]->n_submodels; s++) { /* by name */
        const struct dune_submodel *sm = &w->plans.data[0]->sub[s];

        if (sm->device == 1)
            assert_non_null(strstr(w->notes, w->plans.data[0]->cls[sm->cls[0] - 1].name));
    }
    /* an update waits for it, and can be taken back */
    assert_ok(world_apply(w, world_plan(2), DUNE_CTL_SHARE, &d), d);
    world_run(w, 3000000000u, 9000000);
    assert_int_equal(world_stats(w).phase, DUNE_PHASE_LOADING);
    assert_ok(dune_controller_rollback(w->ctl, &d), d);
    world_run(w, 500000000u, 9000000);
    world_start_agent(w, 1);
    world_run(w, 3000000000u, 9000000);
    world_wait(w, DUNE_PHASE_STEADY);
    assert_int_equal(world_stats(w).n_lost, 0);
    assert_int_equal(world_stats(w).base, 1);
    world_free(w);
    (void)state;
}

/* The last device without its plan still strips; no shim leaves, no verdict of the others changes. */
static void test_plan_removed(void **state)
{
    struct world *w = world_new(29);
    struct dune_diag d = {0};
    struct dune_live_status st;

    world_begin(w);
    assert_ok(dune_controller_set_bare(w->ctl, "s3", true, &d), d);
    no_traffic(w, 500);
    w->live[2]->ops->status(w->live[2], &st);
    assert_int_equal(st.n_held, 0);
    world_run(w, 1000000000, 5000000); /* asserts that frames arrive as they were sent */
    assert_true(world_count(w, 2).shim_stripped > 100);
    assert_ok(dune_controller_set_bare(w->ctl, "s3", false, &d), d);
    no_traffic(w, 500);
    w->live[2]->ops->status(w->live[2], &st);
    assert_int_equal(st.n_held, 1);
    world_run(w, 1000000000, 5000000);
    expect_healthy(w);
    world_free(w);
    (void)state;
}

/* Two devices change places in the rack. Edges guard the chain; told where they stand, all is well. */
static void test_devices_swapped(void **state)
{
    struct world *w = world_new(30);
    struct dune_diag d = {0};

    world_begin(w);
    w->order[1] = 2;
    w->order[2] = 1;
    world_run(w, 1000000000, 5000000); /* verdicts differ, but nothing is lost or leaks */
    expect_healthy(w);
    assert_ok(dune_controller_set_position(w->ctl, "s2", 2, &d), d);
    assert_ok(dune_controller_set_position(w->ctl, "s3", 1, &d), d);
    no_traffic(w, 3000);
    w->keep = true;
    world_run(w, 1500000000, 5000000);
    assert_true(world_judge(w, w->plans.data[0]) > 100);
    expect_healthy(w);
    world_free(w);
    (void)state;
}

/* A loop: what leaves comes in again, and again. A frame never grows and never keeps a shim. */
static void test_loop(void **state)
{
    struct world *w = world_new(31);
    struct kit_frame f;

    world_begin(w);
    world_make(w, 1, &f);
    for (int i = 0; i < 300; i++) {
        assert_true(world_send_frame(w, &f, 1).arrived);
        world_step(w, 100000);
    }
    /* and inside the chain, from a chain port back to a chain port */
    {
        struct dune_device_in in = {.data = f.data, .cap_len = f.len, .wire_len = f.len, .port = DUNE_PORT_EDGE,
                                    .out_port = DUNE_PORT_CHAIN};
        struct dune_device_out o;
        uint8_t copy[2048];

        for (int i = 0; i < 300; i++) {
            in.tick = dune_tick(w->now_ns);
            dune_live_ref_process(w->live[i % 2], &in, &o);
            assert_int_equal(o.cap_len, f.len + DUNE_SHIM_BYTES);
            memcpy(copy, o.data, o.cap_len);
            in = (struct dune_device_in){.data = copy, .cap_len = o.cap_len, .wire_len = o.wire_len,
                                         .port = DUNE_PORT_CHAIN, .out_port = DUNE_PORT_CHAIN};
        }
    }
    expect_healthy(w);
    world_free(w);
    (void)state;
}

/* Shims from outside: forged at the edge, of another generation, of another version, cut short. */
static void test_foreign_shims(void **state)
{
    struct world *w = world_new(32);
    struct kit_frame f, forged;

    world_begin(w);
    for (int i = 0; i < 400; i++) {
        struct dune_shim s = {.version = i % 3 ? DUNE_SHIM_VERSION : (uint8_t)(i % 8),
                              .flags = DUNE_SHIM_FINAL | DUNE_SHIM_SETTLED, .cls = 2, .conf = 255,
                              .generation = (uint16_t)(i % 4)};
        struct dune_device_in in = {.port = DUNE_PORT_CHAIN, .out_port = DUNE_PORT_CHAIN};
        struct dune_device_out o;

        world_make(w, 2, &f); /* flow 2: no VLAN, IPv4 */
        forged.len = 0;
        kit_put(&forged, f.data, 12);
        kit_put16(&forged, DUNE_ETHERTYPE_SHIM_DEFAULT);
        s.ethertype = 0x0800;
        dune_shim_put(forged.data + forged.len, &s);
        forged.len += DUNE_SHIM_BYTES;
        kit_put(&forged, f.data + 14, f.len - 14);
        if (i % 10 == 9)
            forged.len = 14 + (uint32_t)i % 8;
        assert_true(world_send_frame(w, &forged, 2).arrived || i % 10 == 9);
        in.data = forged.data;
        in.cap_len = in.wire_len = forged.len;
        in.tick = dune_tick(w->now_ns);
        dune_live_ref_process(w->live[1], &in, &o); /* inside the chain */
        world_step(w, 1000000);
    }
    assert_true(world_count(w, 0).shim_at_edge >= 400);
    assert_true(world_count(w, 1).shim_bad > 0);
    assert_true(world_count(w, 1).generation_missing > 0);
    expect_healthy(w);
    world_free(w);
    (void)state;
}

/* Packets in another order, and a flow that is routed around the first device in its middle. */
static void test_reorder_and_reroute(void **state)
{
    struct world *w = world_new(33);
    struct sent s;

    world_begin(w);
    for (int i = 0; i < 1000; i++) {
        w->now_ns += i % 5 ? 3000000 : (uint64_t)-2000000; /* back in time now and then */
        assert_true(world_send(w, (uint32_t)dune_rng_below(&w->rng, 50)).arrived);
        if (i % 50 == 0)
            world_step(w, 1000000);
    }
    world_step(w, 2000000000);
    s = world_send(w, 300);
    world_step(w, 1000000);
    w->order[0] = 1; /* s2 is the edge now: the flow is new there */
    w->order[1] = 0;
    s = world_send(w, 300);
    assert_true(s.arrived && s.has_shim);
    expect_healthy(w);
    world_free(w);
    (void)state;
}

/* No room for rules: counted, an alarm, verdicts as without rules. */
static void test_full_rules(void **state)
{
    struct world *w = world_new(34);

    for (uint32_t i = 0; i < WORLD_DEVICES; i++)
        world_kill_agent(w, i);
    w->opts.rules_max = 8;
    for (uint32_t i = 0; i < WORLD_DEVICES; i++)
        world_start_agent(w, i);
    world_begin(w);
    w->keep = true;
    world_run(w, 5000000000u, 4000000);
    assert_true(world_count(w, 0).rules_full > 0);
    assert_non_null(strstr(w->notes, "rule table is full"));
    assert_true(world_judge(w, w->plans.data[0]) > 500);
    expect_healthy(w);
    world_free(w);
    (void)state;
}

/* A flood of new flows fills the slots: packets without one are forwarded, flagged, and there is an alarm. */
static void test_full_slots(void **state)
{
    struct world *w = world_new(35);
    struct dune_plan *p = world_plan(9);
    struct dune_diag d = {0};

    p->slots = 64;
    p->ways = 1;
    for (int i = 0; i < 200 && !world_stats(w).leader; i++)
        world_step(w, 5000000);
    assert_ok(world_apply(w, p, DUNE_CTL_SHARE, &d), d);
    world_wait(w, DUNE_PHASE_STEADY);
    for (uint32_t i = 0; i < 6000; i++) {
        assert_true(world_send(w, 1000 + i % 3000).arrived);
        world_step(w, 500000);
    }
    assert_true(world_count(w, 0).collisions > 1000);
    assert_non_null(strstr(w->notes, "find no slot"));
    expect_healthy(w);
    world_free(w);
    (void)state;
}

/* A storm of digests meets the token bucket; what is refused comes again later. */
static void test_digest_storm(void **state)
{
    struct world *w = world_new(36);

    world_kill_controller(w);
    w->cfg.rule_rate = 50;
    w->cfg.rule_burst = 10;
    world_start_controller(w);
    world_begin(w);
    for (uint32_t i = 0; i < 2000; i++) {
        world_send(w, 2000 + i / 5);
        world_step(w, 500000);
    }
    assert_true(world_stats(w).rules_limited > 50);
    assert_true(world_stats(w).rules_sent <= 10 + 50 * 3);
    expect_healthy(w);
    world_free(w);
    (void)state;
}

/* Messages that are full of digests, each of a flow of its own. */
static void flood(struct world *w, struct dune_bus *from, uint32_t n, uint64_t *flow)
{
    struct dune_ctl_msg *m = DUNE_NEW(struct dune_ctl_msg);
    struct dune_diag d = {0};

    m->kind = DUNE_CTL_DIGESTS;
    m->n_digests = DUNE_CTL_BATCH;
    memcpy(m->device, "s1", 3);
    for (uint32_t i = 0; i < n; i++) {
        struct dune_buf text = {0};

        for (uint32_t k = 0; k < DUNE_CTL_BATCH; k++) {
            m->digest[k] = (struct dune_digest){.generation = world_stats(w).base, .tick = dune_tick(w->now_ns), .cls = 1};
            m->digest[k].key.len = 13;
            memcpy(m->digest[k].key.bytes, flow, 8);
            ++*flow;
        }
        dune_ctl_format(m, &text);
        assert_ok(from->ops->publish(from, "dune.dig.s1", text.data, text.len, &d), d);
        dune_buf_fini(&text);
    }
    dune_mem_free(m);
}

static uint32_t steps_to(struct world *w, enum dune_ctl_phase phase, struct dune_bus *from, uint64_t *flow)
{
    uint32_t n = 0;

    for (; n < 400 && world_stats(w).phase != phase; n++) {
        struct dune_controller_stats before = world_stats(w), after;

        if (from)
            flood(w, from, 200, flow);
        world_step(w, 5000000);
        after = world_stats(w);
        assert_true(after.digests - before.digests <= 2048 + DUNE_CTL_BATCH); /* then control messages have their turn */
    }
    assert_int_equal(world_stats(w).phase, phase);
    return n;
}

/* However many digests come, an update takes as many steps as without them: 12,800 a step here, 2048 are served. */
static void test_digest_flood(void **state)
{
    uint32_t steps[2];
    struct dune_diag d = {0};
    uint64_t flow = 0;

    for (int with = 0; with < 2; with++) {
        struct world *w = world_new(37);
        struct dune_bus *from = dune_bus_hub_join(w->hub);

        world_begin(w);
        if (with)
            flood(w, from, 20000, &flow); /* more than may wait */
        assert_ok(world_apply(w, world_plan(11), DUNE_CTL_SHARE, &d), d);
        steps[with] = steps_to(w, DUNE_PHASE_DRAINING, with ? from : NULL, &flow);
        assert_true(!with == !world_stats(w).digest_messages_dropped);
        if (with)
            assert_true(world_stats(w).rules_sent > 2048);
        world_wait(w, DUNE_PHASE_STEADY);
        expect_healthy(w);
        from->ops->close(from);
        world_free(w);
    }
    assert_true(steps[1] <= steps[0] + 2);
    (void)state;
}

/* The store on disk: a new hub, as after a restart of the machine's bus, finds everything. */
static void test_store_on_disk(void **state)
{
    char dir[] = "/tmp/dune-store-XXXXXX", path[64];
    struct dune_bus_hub *h;
    struct dune_bus *b;
    struct dune_buf text = {0};
    struct dune_diag d = {0};
    uint64_t revision = 0, wrong = 0;

    assert_non_null(mkdtemp(dir));
    for (int round = 0; round < 2; round++) {
        assert_ok(dune_bus_hub_new(&h, dir, &d), d);
        b = dune_bus_hub_join(h);
        text.len = 0;
        assert_ok(b->ops->get(b, "plan.base", &text, &revision, &d), d);
        assert_true(round ? revision != 0 && text.len == 5 && memcmp(text.data, "hello", 5) == 0 : revision == 0);
        assert_ok(b->ops->put(b, "plan.base", "hello", 5, &revision, &d), d);
        assert_int_equal(b->ops->put(b, "plan.base", "other", 5, &wrong, &d), 1);
        assert_int_equal(b->ops->get(b, "../passwd", &text, &wrong, &d), DUNE_E_USAGE);
        d = (struct dune_diag){0};
        wrong = 0;
        b->ops->close(b);
        dune_bus_hub_free(h);
    }
    snprintf(path, sizeof(path), "%s/plan.base", dir);
    assert_int_equal(remove(path), 0);
    assert_int_equal(remove(dir), 0);
    dune_buf_fini(&text);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_controller_killed),
        cmocka_unit_test(test_unreadable_state),
        cmocka_unit_test(test_two_controllers),
        cmocka_unit_test(test_old_commands),
        cmocka_unit_test(test_clock_jumps),
        cmocka_unit_test(test_agent_killed),
        cmocka_unit_test(test_rules_come_back),
        cmocka_unit_test(test_bus_down),
        cmocka_unit_test(test_bad_bus),
        cmocka_unit_test(test_device_lost),
        cmocka_unit_test(test_plan_removed),
        cmocka_unit_test(test_devices_swapped),
        cmocka_unit_test(test_loop),
        cmocka_unit_test(test_foreign_shims),
        cmocka_unit_test(test_reorder_and_reroute),
        cmocka_unit_test(test_full_rules),
        cmocka_unit_test(test_full_slots),
        cmocka_unit_test(test_digest_storm),
        cmocka_unit_test(test_digest_flood),
        cmocka_unit_test(test_store_on_disk),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
