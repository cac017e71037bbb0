/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of operators that lack something, name what is not there, or are no requests: each is answered, none changes anything. */
#include "testing.h"

#include <string.h>

#include "base/base.h"
#include "dune/control.h"
#include "dune/controller.h"

struct desk {
    struct dune_bus_hub *hub;
    struct dune_bus *bus, *operator;
    struct dune_controller *ctl;
    uint64_t now;
    char answer[65536];
};

static void take(void *ctx, const char *subject, const void *data, size_t len)
{
    struct desk *k = ctx;

    (void)subject;
    assert_true(len < sizeof(k->answer));
    memcpy(k->answer, data, len);
    k->answer[len] = '\0';
}

static void open_desk(struct desk *k, struct dune_controller_cfg cfg)
{
    struct dune_diag d = {0};

    *k = (struct desk){.now = UINT64_C(1700000000000000000)};
    cfg.owner = "c1";
    cfg.lease_ns = 1000000000;
    assert_ok(dune_bus_hub_new(&k->hub, NULL, &d), d);
    k->bus = dune_bus_hub_join(k->hub);
    k->operator = dune_bus_hub_join(k->hub);
    assert_ok(dune_controller_new(&k->ctl, &cfg, k->bus, &d), d);
    assert_ok(dune_controller_serve(k->ctl, &d), d);
    assert_ok(k->operator->ops->subscribe(k->operator, "dune.answer.1", take, k, &d), d);
}

static void step(struct desk *k, int n)
{
    while (n-- > 0)
        dune_controller_step(k->ctl, k->now += 100000000);
}

static void close_desk(struct desk *k)
{
    dune_controller_free(k->ctl);
    k->bus->ops->close(k->bus);
    k->operator->ops->close(k->operator);
    dune_bus_hub_free(k->hub);
}

static const char *ask(struct desk *k, const char *request)
{
    struct dune_diag d = {0};

    k->answer[0] = '\0';
    assert_ok(k->operator->ops->publish(k->operator, "dune.op", request, strlen(request), &d), d);
    step(k, 1);
    assert_ok(k->operator->ops->poll(k->operator, 0, &d), d);
    return k->answer;
}

#define REQUEST(rest) "{\"op\": " rest ", \"answer_to\": \"dune.answer.1\"}"

static void test_refusals(void **state)
{
    static const struct dune_controller_device dev[] = {{"s1", 0}};
    static const char *const rows[][2] = {
        {REQUEST("\"fly\""), "unknown request fly"},
        {REQUEST("7"), "must be a string"},
        {REQUEST("\"status\", \"colour\": 1"), "unknown key colour"},
        {REQUEST("\"status\", \"device\": \"s9\""), "there is no device s9"},
        {REQUEST("\"status\", \"device\": 9"), "must be a string"},
        {REQUEST("\"apply\""), "needs a plan"},
        {REQUEST("\"apply\", \"plan\": \"{}\""), "code"},
        {REQUEST("\"apply\", \"plan\": \"{}\", \"share\": 1000000000"), "0 to 1024"},
        {REQUEST("\"apply\", \"plan\": \"{}\", \"profile\": \"{}\""), "code"},
        {REQUEST("\"profile\""), "needs a profile"},
        {REQUEST("\"profile\", \"profile\": \"{}\""), "no plan yet"},
        {REQUEST("\"promote\""), "code"},
        {REQUEST("\"rollback\""), "code"},
        {REQUEST("\"shadow\", \"plan\": \"{}\""), "code"},
        {REQUEST("\"pin\", \"what\": \"10.0.0.0/8\""), "needs a flow or prefix, and pin a class"},
        {REQUEST("\"pin\", \"class\": \"web\""), "needs a flow or prefix, and pin a class"},
        {REQUEST("\"exempt\""), "needs a flow or prefix, and pin a class"},
        {REQUEST("\"pin\", \"what\": \"10.0.0.0/99\", \"class\": \"web\""), "code"},
        {REQUEST("\"unpin\""), "needs a flow or prefix"},
        {REQUEST("\"unpin\", \"what\": \"10.0.0.0/8\""), "code"},
        {REQUEST("\"bare\""), "needs a device"},
        {REQUEST("\"unbare\", \"device\": \"s9\""), "there is no device s9"},
        {REQUEST("\"move\", \"device\": \"s1\""), "needs a device and a position"},
        {REQUEST("\"move\", \"device\": \"s9\", \"position\": 1"), "there is no device s9"},
        {REQUEST("\"move\", \"device\": \"s1\", \"position\": 70000"), "position: must be an integer of 0 to"},
    };
    struct desk k;
    struct dune_controller_stats s;
    int wrong = 0;

    open_desk(&k, (struct dune_controller_cfg){.device = dev, .n_devices = 1});
    step(&k, 40);
    for (size_t i = 0; i < DUNE_ARRAY_LEN(rows); i++) {
        const char *said = ask(&k, rows[i][0]);

        if (!strstr(said, "\"error\"") || !strstr(said, rows[i][1]))
            print_error("%s: %s\n", rows[i][0], said), wrong++;
    }
    assert_int_equal(wrong, 0);
    dune_controller_stats(k.ctl, &s);
    assert_true(s.leader);
    assert_int_equal(s.phase, DUNE_PHASE_EMPTY);
    assert_int_equal(s.updates, 0);
    close_desk(&k);
    (void)state;
}

/* What cannot be answered is counted; answers go to subjects for answers and nowhere else. */
static void test_no_requests(void **state)
{
    static const struct dune_controller_device dev[] = {{"s1", 0}};
    static const char *const rows[] = {"", "[", "[]", "7", "{\"op\": \"status\"}", "{\"op\": \"status\", \"answer_to\": 4}",
                                       "{\"op\": \"status\", \"op\": \"apply\"}"};
    struct desk k;
    struct dune_controller_stats s;

    open_desk(&k, (struct dune_controller_cfg){.device = dev, .n_devices = 1});
    step(&k, 40);
    for (size_t i = 0; i < DUNE_ARRAY_LEN(rows); i++)
        assert_string_equal(ask(&k, rows[i]), "");
    dune_controller_stats(k.ctl, &s);
    assert_int_equal(s.bad_messages, DUNE_ARRAY_LEN(rows));
    ask(&k, "{\"op\": \"status\", \"answer_to\": \"dune.op\"}"); /* it would ask itself */
    assert_string_equal(k.answer, "");
    assert_non_null(strstr(ask(&k, REQUEST("\"status\", \"device\": \"s1\"")), "never seen"));
    close_desk(&k);
    (void)state;
}

/* Of many devices the answer has sums, and only those that need a look by name. */
static void test_many_devices(void **state)
{
    enum { MANY = 200 };
    static char name[MANY][8];
    struct dune_controller_device dev[MANY] = {{0}};
    struct desk k;
    const char *said;

    for (int i = 0; i < MANY; i++) {
        snprintf(name[i], sizeof(name[i]), "d%d", i);
        dev[i].name = name[i];
    }
    open_desk(&k, (struct dune_controller_cfg){.device = dev, .n_devices = MANY});
    step(&k, 40);
    said = ask(&k, REQUEST("\"status\""));
    assert_non_null(strstr(said, "\"look_at\""));
    assert_non_null(strstr(said, "\"lost_packets\": 0"));
    assert_non_null(strstr(said, "{\"name\": \"d199\", \"state\": \"never seen\"}"));
    assert_non_null(strstr(ask(&k, REQUEST("\"status\", \"device\": \"d199\"")), "\"d199\""));
    assert_non_null(strstr(ask(&k, REQUEST("\"bare\", \"device\": \"d199\"")), "\"look_at\""));
    close_desk(&k);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_no_requests),
        cmocka_unit_test(test_many_devices),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
