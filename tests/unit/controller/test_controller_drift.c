/* SPDX-License-Identifier: Apache-2.0 */
/* Drift while a plan serves: agents count, the controller compares with the profile and names what moved. */
#include "../drift/drift_world.h"
#include "dune/controller.h"
#include "dune/drift.h"

enum { FLOWS = 4000, DEVICES = 2 };

/* A device whose sub-models are asked by the test. */
struct fake {
    struct dune_live live; /* first */
    const struct dune_plan *plan;
    dune_answer_fn fn;
    void *ctx;
    uint16_t position;
};

struct world {
    struct dune_dataset *ds;
    struct dune_plan *plan;
    char *text;
    size_t len;
    struct dune_buf profile;
    struct dune_bus_hub *hub;
    struct dune_bus *cbus, *bus[DEVICES];
    struct fake fake[DEVICES];
    struct dune_agent *agent[DEVICES];
    struct dune_controller *ctl;
    uint64_t now;
    char notes[8192];
};

static int load(struct dune_live *l, const struct dune_plan *p, uint16_t position, struct dune_diag *d)
{
    (void)d;
    ((struct fake *)l)->plan = p;
    ((struct fake *)l)->position = position;
    return 0;
}

static int stamp(struct dune_live *l, uint16_t generation, uint32_t share, uint64_t now, struct dune_diag *d)
{
    (void)l, (void)generation, (void)share, (void)now, (void)d;
    return 0;
}

static int unload(struct dune_live *l, uint16_t generation, struct dune_diag *d)
{
    (void)generation, (void)d;
    ((struct fake *)l)->plan = NULL;
    return 0;
}

static void put_rule(struct dune_live *l, const struct dune_digest *dg, uint64_t from)
{
    (void)l, (void)dg, (void)from;
}

static void on_digest(struct dune_live *l, dune_digest_fn fn, void *ctx)
{
    (void)l, (void)fn, (void)ctx;
}

static void on_answer(struct dune_live *l, dune_answer_fn fn, void *ctx)
{
    ((struct fake *)l)->fn = fn;
    ((struct fake *)l)->ctx = ctx;
}

static void status(const struct dune_live *l, struct dune_live_status *out)
{
    const struct fake *f = (const struct fake *)l;

    *out = (struct dune_live_status){.n_held = f->plan != NULL, .position = f->position, .share = DUNE_CTL_SHARE};
    if (f->plan)
        out->held[0] = out->stamped = f->plan->generation;
}

static void counters(const struct dune_live *l, struct dune_counters *out)
{
    (void)l;
    memset(out, 0, sizeof(*out));
}

static const struct dune_live_ops fake_ops = {
    .name = "fake", .load = load, .stamp = stamp, .unload = unload, .put_rule = put_rule, .on_digest = on_digest,
    .on_answer = on_answer, .status = status, .counters = counters,
};

static void note(void *ctx, const char *text)
{
    struct world *x = ctx;
    size_t len = strlen(x->notes);

    snprintf(x->notes + len, sizeof(x->notes) - len, "%s\n", text);
}

static void start_controller(struct world *x)
{
    static const struct dune_controller_device dev[DEVICES] = {{"s1", 0, 0}, {"s2", 0, 1}};
    struct dune_controller_cfg cfg = {.owner = "c", .device = dev, .n_devices = DEVICES, .note = note, .note_ctx = x,
                                      .drift_window_ns = 1000000000};
    struct dune_diag d = {0};

    x->cbus = dune_bus_hub_join(x->hub);
    assert_ok(dune_controller_new(&x->ctl, &cfg, x->cbus, &d), d);
}

static void stop_controller(struct world *x)
{
    dune_controller_free(x->ctl);
    x->cbus->ops->close(x->cbus);
}

static void start_agent(struct world *x, int i)
{
    const char *name[DEVICES] = {"s1", "s2"};
    struct dune_agent_cfg cfg = {.device = name[i], .drift_ns = 200000000};
    struct dune_diag d = {0};

    x->fake[i] = (struct fake){.live.ops = &fake_ops};
    x->bus[i] = dune_bus_hub_join(x->hub);
    assert_ok(dune_agent_new(&x->agent[i], &cfg, &x->fake[i].live, x->bus[i], &d), d);
}

static void stop_agent(struct world *x, int i)
{
    dune_agent_free(x->agent[i]);
    x->bus[i]->ops->close(x->bus[i]);
}

static int setup(void **state)
{
    struct world *x = DUNE_NEW(struct world);
    struct dune_drift_profile *f;
    struct dune_diag d = {0};

    x->now = UINT64_C(1700000000000000000);
    x->ds = drift_data(1, FLOWS);
    x->plan = drift_plan(x->ds);
    assert_ok(dune_plan_format(x->plan, &x->text, &x->len, &d), d);
    assert_ok(dune_drift_learn(&f, x->plan, x->ds, 300, &d), d);
    dune_drift_profile_format(f, x->plan, &x->profile);
    dune_drift_profile_free(f);
    assert_ok(dune_bus_hub_new(&x->hub, NULL, &d), d);
    start_controller(x);
    for (int i = 0; i < DEVICES; i++)
        start_agent(x, i);
    *state = x;
    return 0;
}

static int teardown(void **state)
{
    struct world *x = *state;

    stop_controller(x);
    for (int i = 0; i < DEVICES; i++)
        stop_agent(x, i);
    dune_bus_hub_free(x->hub);
    dune_buf_fini(&x->profile);
    dune_mem_free(x->text);
    dune_plan_free(x->plan);
    dune_dataset_free(x->ds);
    dune_mem_free(x);
    return 0;
}

static void run(struct world *x, double seconds)
{
    for (uint64_t end = x->now + (uint64_t)(seconds * 1e9); x->now < end; x->now += 20000000) {
        dune_controller_step(x->ctl, x->now);
        for (int i = 0; i < DEVICES; i++)
            dune_agent_step(x->agent[i], x->now);
    }
}

/* Every packet up to the inference point is a fresh answer; flows go to the two devices in turn. */
static void feed(struct world *x, const struct dune_dataset *ds)
{
    for (uint64_t i = 0; i < ds->n_flows; i++) {
        struct fake *f = &x->fake[i % DEVICES];

        for (uint64_t row = ds->flow_row[i]; row < ds->flow_row[i + 1] && row < ds->flow_row[i] + 3; row++) {
            uint32_t v[DUNE_N_FEATURES];
            struct dune_sub_answer a;

            for (int k = 0; k < DUNE_N_FEATURES; k++)
                v[k] = ds->col[k][row];
            a = dune_submodel_walk(&f->plan->sub[0], v);
            f->fn(f->ctx, f->plan, 0, v, &a);
        }
    }
}

static void feed_new(struct world *x, uint64_t seed, int moved)
{
    struct dune_dataset *ds = drift_data(seed, 600);
    uint32_t *col = dune_mem_alloc(ds->n_rows, sizeof(*col));

    if (moved >= 0) {
        for (uint64_t r = 0; r < ds->n_rows; r++)
            col[r] = (uint32_t)DUNE_MIN((uint64_t)ds->col[moved][r] + dune_feature_max(moved) / 5, dune_feature_max(moved));
        ds->col[moved] = col;
    }
    feed(x, ds);
    dune_mem_free(col);
    dune_dataset_free(ds);
}

static bool status_has(const struct world *x, const char *what)
{
    struct dune_buf b = {0};
    bool has;

    dune_controller_status(x->ctl, &b);
    has = strstr(b.data, what) != NULL;
    dune_buf_fini(&b);
    return has;
}

static void apply(struct world *x)
{
    struct dune_diag d = {0};

    run(x, 2);
    assert_ok(dune_controller_profile(x->ctl, x->profile.data, x->profile.len, x->text, x->len, &d), d);
    assert_ok(dune_controller_apply(x->ctl, "p", x->text, x->len, DUNE_CTL_SHARE, &d), d);
    run(x, 3);
    assert_true(status_has(x, "\"profile\": true"));
    assert_true(status_has(x, "\"devices\": 2,\n    \"answers\""));
}

static void test_alarm_names_features(void **state)
{
    struct world *x = *state;

    apply(x);
    feed_new(x, 50, -1);
    run(x, 2);
    assert_true(status_has(x, "\"windows\": 1"));
    assert_null(strstr(x->notes, "drift of generation"));
    feed_new(x, 51, DUNE_F_TCP_WINDOW);
    run(x, 2);
    assert_non_null(strstr(x->notes, "alarm: drift of generation 1: moved: tcp.window ("));
    assert_null(strstr(x->notes, "ip.ttl ("));
    assert_true(status_has(x, "\"alarm\": true"));
    assert_true(status_has(x, "\"moved\": \"tcp.window ("));
    feed_new(x, 52, DUNE_F_TCP_WINDOW); /* goes on: said once */
    run(x, 2);
    assert_true(status_has(x, "\"alarms\": 1"));
    feed_new(x, 53, -1);
    run(x, 2);
    assert_non_null(strstr(x->notes, "over: drift of generation 1"));
    assert_true(status_has(x, "\"alarm\": false"));
}

/* Too few answers: the window waits for more. */
static void test_waits_for_enough(void **state)
{
    struct world *x = *state;
    struct dune_dataset *ds = drift_data(60, 8);

    apply(x);
    feed(x, ds);
    run(x, 5);
    assert_true(status_has(x, "\"windows\": 0"));
    feed_new(x, 61, DUNE_F_IP_LEN);
    run(x, 2);
    assert_true(status_has(x, "\"windows\": 1"));
    assert_non_null(strstr(x->notes, "ip.len ("));
    dune_dataset_free(ds);
}

/* An agent that starts again counts from nothing; a controller that does finds the profile in the store. */
static void test_restarts(void **state)
{
    struct world *x = *state;

    apply(x);
    feed_new(x, 70, -1);
    run(x, 0.5);
    stop_agent(x, 0);
    start_agent(x, 0);
    run(x, 3);
    feed_new(x, 71, -1);
    run(x, 2);
    assert_null(strstr(x->notes, "drift of generation"));
    stop_controller(x);
    start_controller(x);
    run(x, 3);
    assert_true(status_has(x, "\"profile\": true"));
    feed_new(x, 72, DUNE_F_IP_TTL);
    run(x, 2);
    assert_non_null(strstr(x->notes, "moved: ip.ttl ("));
}

static void test_refusals(void **state)
{
    struct world *x = *state;
    struct dune_plan *other = dune_plan_clone(x->plan);
    struct dune_diag d = {0};
    char *text;
    size_t len;

    run(x, 2);
    assert_int_equal(dune_controller_profile(x->ctl, x->profile.data, x->profile.len, NULL, 0, &d), DUNE_E_USAGE);
    assert_non_null(strstr(d.msg, "no plan yet"));
    other->cls[0].min_confidence++;
    assert_ok(dune_plan_format(other, &text, &len, &d), d);
    memset(&d, 0, sizeof(d));
    assert_int_equal(dune_controller_profile(x->ctl, x->profile.data, x->profile.len, text, len, &d), DUNE_E_INPUT);
    assert_non_null(strstr(d.msg, "another plan"));
    memset(&d, 0, sizeof(d));
    assert_ok(dune_controller_apply(x->ctl, "p", x->text, x->len, DUNE_CTL_SHARE, &d), d);
    run(x, 3);
    assert_true(status_has(x, "\"profile\": false"));
    assert_ok(dune_controller_profile(x->ctl, x->profile.data, x->profile.len, NULL, 0, &d), d); /* of the plan that holds */
    run(x, 1);
    assert_true(status_has(x, "\"profile\": true"));
    dune_mem_free(text);
    dune_plan_free(other);
}

/* Counts as text: there and back, and what does not have the plan's shape. */
static void test_counts_text(void **state)
{
    struct world *x = *state;
    struct dune_drift_counts c, again;
    struct dune_buf text = {0}, twice = {0};
    struct dune_diag d = {0};
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"", "an array of sub-models"},
        {"{}", "an array of sub-models"},
        {"[{}]", "key 'sub' is missing"},
        {"[{\"sub\": 0, \"answers\": 1, \"claims\": [1], \"confidence\": [0], \"hits\": []}]", "key 'leaves' is missing"},
        {"[{\"sub\": 9, \"answers\": 1, \"claims\": [], \"confidence\": [], \"hits\": [], \"leaves\": []}]", "must be an integer of"},
        {"[{\"sub\": 0, \"answers\": 1, \"claims\": [1], \"confidence\": [0], \"hits\": [], \"leaves\": []}]", "claims must be"},
    };

    dune_drift_counts_init(&c, x->plan);
    dune_drift_counts_init(&again, x->plan);
    assert_ok(dune_drift_count_flows(&c, x->plan, x->ds, NULL, &d), d);
    dune_drift_counts_format(&c, &text);
    assert_ok(dune_drift_counts_parse(&again, text.data, text.len, &d), d);
    dune_drift_counts_format(&again, &twice);
    assert_string_equal(text.data, twice.data);
    for (size_t i = 0; i < DUNE_ARRAY_LEN(bad); i++) {
        memset(&d, 0, sizeof(d));
        assert_true(dune_drift_counts_parse(&again, bad[i].text, strlen(bad[i].text), &d) < 0);
        assert_non_null(strstr(d.msg, bad[i].why));
    }
    dune_buf_fini(&text);
    dune_buf_fini(&twice);
    dune_drift_counts_fini(&c);
    dune_drift_counts_fini(&again);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(test_alarm_names_features, setup, teardown),
    cmocka_unit_test_setup_teardown(test_waits_for_enough, setup, teardown),
    cmocka_unit_test_setup_teardown(test_restarts, setup, teardown),
    cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
    cmocka_unit_test_setup_teardown(test_counts_text, setup, teardown),
};
RUN_TESTS(tests)
