/* SPDX-License-Identifier: Apache-2.0 */
/* The bus over a real nats-server: messages, store, and a controller with its devices, also when it is away. */
#include "unit/controller/world.h"

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char dir[] = "/tmp/dune-nats-XXXXXX", url[64], port_text[16];
static pid_t server;

static bool installed(void)
{
    return access("/usr/sbin/nats-server", X_OK) == 0 || access("/usr/bin/nats-server", X_OK) == 0;
}

static void start_server(void)
{
    server = fork();
    if (server == 0) {
        const char *path = access("/usr/sbin/nats-server", X_OK) == 0 ? "/usr/sbin/nats-server" : "/usr/bin/nats-server";

        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
            _exit(1);
        execl(path, "nats-server", "-a", "127.0.0.1", "-p", port_text, "-js", "-sd", dir, (char *)NULL);
        _exit(1);
    }
}

static void stop_server(void)
{
    if (server > 0) {
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
    }
    server = 0;
}

static int group_setup(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    (void)state;
    if (!installed() || !dune_bus_nats_version())
        return 0;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    close(fd);
    snprintf(port_text, sizeof(port_text), "%u", ntohs(a.sin_port));
    snprintf(url, sizeof(url), "nats://127.0.0.1:%s", port_text);
    start_server();
    return 0;
}

static int group_teardown(void **state)
{
    char command[128];

    (void)state;
    stop_server();
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return url[0] ? system(command) : 0;
}

static void need_server(void)
{
    if (!dune_bus_nats_version()) {
        printf("# skip: this build has no NATS client\n");
        skip();
    }
    if (!installed()) {
        printf("# skip: nats-server is not installed\n");
        skip();
    }
}

static struct dune_bus *join(void)
{
    struct dune_bus_nats_cfg cfg = {.url = url};
    struct dune_bus *b = NULL;
    struct dune_diag d = {0};

    for (int i = 0; i < 100 && dune_bus_nats_connect(&b, &cfg, &d); i++) {
        d = (struct dune_diag){0};
        usleep(100000);
    }
    assert_non_null(b);
    return b;
}

struct got {
    int n;
    char last[64];
};

static void on_message(void *ctx, const char *subject, const void *data, size_t len)
{
    struct got *g = ctx;

    g->n++;
    snprintf(g->last, sizeof(g->last), "%s=%.*s", subject, (int)len, (const char *)data);
}

static void test_messages_and_store(void **state)
{
    struct dune_bus *a, *b;
    struct got got = {0};
    struct dune_buf text = {0};
    struct dune_diag d = {0};
    uint64_t rev = 0, rev2 = 0, stale;

    (void)state;
    need_server();
    a = join();
    b = join();
    assert_ok(b->ops->subscribe(b, "dune.rep.*", on_message, &got, &d), d);
    for (int i = 0; i < 50 && got.n == 0; i++) { /* the subscription has to arrive first */
        assert_ok(a->ops->publish(a, "dune.rep.s1", "hello", 5, &d), d);
        assert_ok(b->ops->poll(b, 100, &d), d);
    }
    assert_string_equal(got.last, "dune.rep.s1=hello");
    for (int i = 0; i < 100 && a->ops->get(a, "probe", &text, &rev, &d); i++) { /* JetStream takes a moment */
        d = (struct dune_diag){0};
        usleep(100000);
    }
    assert_int_equal(rev, 0);
    assert_ok(a->ops->put(a, "probe", "one", 3, &rev, &d), d);
    assert_true(rev > 0);
    assert_int_equal(b->ops->put(b, "probe", "two", 3, &rev2, &d), 1); /* it is not new */
    assert_ok(b->ops->get(b, "probe", &text, &rev2, &d), d);
    assert_true(text.len == 3 && memcmp(text.data, "one", 3) == 0 && rev2 == rev);
    stale = rev;
    assert_ok(b->ops->put(b, "probe", "three", 5, &rev2, &d), d);
    assert_int_equal(a->ops->put(a, "probe", "four", 4, &stale, &d), 1);
    dune_buf_fini(&text);
    a->ops->close(a);
    b->ops->close(b);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void steps(struct world *w, struct dune_bus **bus, int ms)
{
    for (uint64_t end = now_ns() + (uint64_t)ms * 1000000u; now_ns() < end; usleep(2000)) {
        w->now_ns = now_ns();
        for (uint32_t i = 0; i < WORLD_DEVICES; i++)
            dune_agent_step(w->agent[i], w->now_ns);
        if (w->ctl)
            dune_controller_step(w->ctl, w->now_ns);
    }
    (void)bus;
}

/* The whole of it, with a restart of the controller and of the server. */
static void test_controller(void **state)
{
    struct world *w;
    struct dune_bus *bus[WORLD_DEVICES];
    struct dune_diag d = {0};

    (void)state;
    need_server();
    w = DUNE_NEW(struct world);
    w->cfg = (struct dune_controller_cfg){.owner = "c1", .device = world_devices, .n_devices = WORLD_DEVICES,
                                          .lease_ns = 2000000000, .note = world_note, .note_ctx = w};
    for (uint32_t i = 0; i < WORLD_DEVICES; i++) {
        struct dune_agent_cfg cfg = {.device = world_devices[i].name, .report_ns = 50000000};

        bus[i] = join();
        w->live[i] = dune_live_ref_new(NULL);
        assert_ok(dune_agent_new(&w->agent[i], &cfg, w->live[i], bus[i], &d), d);
    }
    w->cbus = join();
    assert_ok(dune_controller_new(&w->ctl, &w->cfg, w->cbus, &d), d);
    for (int i = 0; i < 100 && !world_stats(w).leader; i++)
        steps(w, bus, 100);
    assert_ok(world_apply(w, world_plan(1), DUNE_CTL_SHARE, &d), d);
    for (int i = 0; i < 100 && world_stats(w).phase != DUNE_PHASE_STEADY; i++)
        steps(w, bus, 100);
    assert_int_equal(world_stats(w).phase, DUNE_PHASE_STEADY);
    dune_controller_free(w->ctl); /* killed */
    w->cbus->ops->close(w->cbus);
    w->ctl = NULL;
    stop_server(); /* and the bus is down for a while */
    steps(w, bus, 500);
    start_server();
    w->cbus = join();
    assert_ok(dune_controller_new(&w->ctl, &w->cfg, w->cbus, &d), d);
    for (int i = 0; i < 150 && !(world_stats(w).leader && world_stats(w).n_lost == 0); i++)
        steps(w, bus, 100);
    assert_int_equal(world_stats(w).phase, DUNE_PHASE_STEADY); /* from the store */
    assert_int_equal(world_stats(w).base, w->plans.data[0]->generation);
    assert_true(world_stats(w).epoch >= 2);
    assert_int_equal(world_stats(w).n_lost, 0);
    dune_controller_free(w->ctl);
    w->cbus->ops->close(w->cbus);
    for (uint32_t i = 0; i < WORLD_DEVICES; i++) {
        dune_agent_free(w->agent[i]);
        w->live[i]->ops->close(w->live[i]);
        bus[i]->ops->close(bus[i]);
    }
    dune_plan_free(w->plans.data[0]);
    DUNE_VEC_FREE(&w->plans);
    dune_mem_free(w);
}

static int check(const char *text, const char *creds, struct dune_diag *d)
{
    struct dune_bus_nats_cfg cfg = {.url = text, .creds = creds};

    *d = (struct dune_diag){0};
    return dune_bus_nats_check(&cfg, d);
}

/* A device that starts before the server is there joins when it comes; one that needs it now is told. */
static void test_server_is_late(void **state)
{
    struct dune_bus_nats_cfg cfg = {.url = url, .may_be_late = true}, now = {.url = url};
    struct dune_bus *early = NULL, *other;
    struct got g = {0};
    struct dune_diag d = {0};

    (void)state;
    need_server();
    stop_server();
    assert_int_equal(dune_bus_nats_connect(&early, &now, &d), DUNE_E_ENV);
    assert_null(early);
    d = (struct dune_diag){0};
    assert_ok(dune_bus_nats_connect(&early, &cfg, &d), d);
    assert_ok(early->ops->subscribe(early, "late.x", on_message, &g, &d), d);
    assert_int_equal(early->ops->poll(early, 0, &d), DUNE_E_ENV);
    start_server();
    other = join();
    for (int i = 0; i < 100 && g.n == 0; i++) {
        d = (struct dune_diag){0};
        assert_ok(other->ops->publish(other, "late.x", "there", 5, &d), d);
        (void)early->ops->poll(early, 100, &d);
    }
    assert_true(g.n > 0);
    assert_string_equal(g.last, "late.x=there");
    other->ops->close(other);
    early->ops->close(early);
}

/* Everything that is not this machine needs credentials. */
static void test_credentials(void **state)
{
    struct dune_diag d;

    (void)state;
    assert_int_equal(check("nats://127.0.0.1:4222", NULL, &d), 0);
    assert_int_equal(check("nats://localhost", NULL, &d), 0);
    assert_int_equal(check("nats://[::1]:4222", NULL, &d), 0);
    assert_int_equal(check("nats://10.0.0.1:4222", NULL, &d), DUNE_E_USAGE);
    assert_non_null(strstr(d.msg, "credentials"));
    assert_int_equal(check("tls://bus.example", NULL, &d), DUNE_E_USAGE);
    assert_int_equal(check("tls://bus.example", "dune.creds", &d), 0);
    assert_int_equal(check("nats://a:b@bus.example:4222", NULL, &d), 0);
    assert_int_equal(check("nats://127.0.0.1@bus.example.evil,nats://x", NULL, &d), DUNE_E_USAGE);
    assert_int_equal(check("nats://127.0.0.1.evil.example", NULL, &d), DUNE_E_USAGE);
    assert_int_equal(check("http://localhost", NULL, &d), DUNE_E_USAGE);
}

/* Messages end in logs. */
static void test_no_password_is_shown(void **state)
{
    struct dune_bus_nats_cfg cfg = {.url = "nats://user:geheim@127.0.0.1:1"}; /* nobody listens there */
    struct dune_bus *bus = NULL;
    struct dune_diag d = {0};

    (void)state;
    assert_int_equal(dune_bus_nats_connect(&bus, &cfg, &d), DUNE_E_ENV);
    assert_null(strstr(d.msg, "geheim"));
    assert_int_equal(check("nats://user:geheim@a.example,nats://b.example", NULL, &d), DUNE_E_USAGE);
    assert_null(strstr(d.msg, "geheim"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_credentials),
        cmocka_unit_test(test_no_password_is_shown),
        cmocka_unit_test(test_messages_and_store),
        cmocka_unit_test(test_controller),
        cmocka_unit_test(test_server_is_late),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
