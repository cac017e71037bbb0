/* SPDX-License-Identifier: Apache-2.0 */
/* The bus between processes: clients of a server that comes and goes, and somebody who talks nonsense. */
#include "dune/control.h"
#include "testing.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char dir[] = "/tmp/dune-bus-XXXXXX", path[64];

static int group_setup(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return 1;
    snprintf(path, sizeof(path), "%s/bus", dir);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

struct got {
    int n;
    size_t len;
    char first;
};

static void on_message(void *ctx, const char *subject, const void *data, size_t len)
{
    struct got *g = ctx;

    (void)subject;
    g->n++;
    g->len = len;
    g->first = len ? *(const char *)data : 0;
}

/* Sends until it arrives: a subscription takes a moment to reach the server. */
static bool arrives(struct dune_bus *from, struct dune_bus *to, struct got *g, const void *data, size_t len)
{
    int before = g->n;

    for (int i = 0; i < 200 && g->n == before; i++) {
        struct dune_diag ignored = {0};

        if (from->ops->publish(from, "dune.rep.s1", data, len, &ignored) ||
            to->ops->poll(to, 20, &ignored))
            usleep(20000);
    }
    return g->n > before;
}

static void test_messages(void **state)
{
    struct dune_bus_hub *hub;
    struct dune_bus_server *server, *second;
    struct dune_bus *inside, *a, *b;
    struct got in = {0}, out = {0};
    char *big = dune_mem_zalloc(DUNE_CTL_MESSAGE_MAX, 1);
    struct dune_diag d = {0};
    uint64_t revision = 0;

    (void)state;
    assert_ok(dune_bus_hub_new(&hub, NULL, &d), d);
    assert_ok(dune_bus_unix_connect(&a, path, &d), d); /* before there is a server */
    assert_int_equal(a->ops->publish(a, "dune.rep.s1", "x", 1, &d), DUNE_E_ENV);
    d = (struct dune_diag){0};
    assert_ok(dune_bus_server_start(&server, hub, path, &d), d);
    assert_int_equal(dune_bus_server_start(&second, hub, path, &d), DUNE_E_ENV); /* taken */
    d = (struct dune_diag){0};
    inside = dune_bus_hub_join(hub);
    assert_ok(dune_bus_unix_connect(&b, path, &d), d);
    assert_ok(inside->ops->subscribe(inside, "dune.rep.*", on_message, &in, &d), d);
    assert_ok(b->ops->subscribe(b, "dune.rep.*", on_message, &out, &d), d);
    assert_true(arrives(a, inside, &in, "hello", 5)); /* client to the hub */
    assert_int_equal(in.len, 5);
    assert_true(arrives(a, b, &out, "hello", 5)); /* client to client */
    memset(big, 'x', DUNE_CTL_MESSAGE_MAX);
    for (int i = 0; i < 100 && out.len != DUNE_CTL_MESSAGE_MAX; i++) /* repeats of "hello" may come first */
        assert_true(arrives(inside, b, &out, big, DUNE_CTL_MESSAGE_MAX));
    assert_int_equal(out.len, DUNE_CTL_MESSAGE_MAX);
    assert_int_equal(a->ops->publish(a, "dune.rep.s1", big, DUNE_CTL_MESSAGE_MAX + 1, &d), DUNE_E_INPUT);
    assert_int_equal(a->ops->put(a, "lease", "x", 1, &revision, &d), DUNE_E_ENV); /* the store is elsewhere */
    dune_bus_server_stop(server); /* it goes and comes back: clients subscribe again by themselves */
    d = (struct dune_diag){0};
    assert_int_equal(b->ops->poll(b, 50, &d), DUNE_E_ENV);
    d = (struct dune_diag){0};
    assert_ok(dune_bus_server_start(&server, hub, path, &d), d);
    assert_true(arrives(a, b, &out, "again", 5));
    a->ops->close(a);
    b->ops->close(b);
    inside->ops->close(inside);
    dune_bus_server_stop(server);
    dune_bus_hub_free(hub);
    dune_mem_free(big);
}

/* Whoever sends something else is cut off, and nobody else notices. */
static void test_nonsense(void **state)
{
    static const uint8_t bad[][8] = {{0xff, 0xff, 0xff, 0xff, 'P', 1, 'x', 0}, {0, 0, 0, 1, 'P', 9, 0, 0},
                                     {0, 0, 0, 8, 'Q', 1, 'x', 0}, {0, 0, 0, 3, 'S', 200, 'x', 0}};
    struct dune_bus_hub *hub;
    struct dune_bus_server *server;
    struct dune_bus *a, *b;
    struct got out = {0};
    struct dune_diag d = {0};

    (void)state;
    assert_ok(dune_bus_hub_new(&hub, NULL, &d), d);
    assert_ok(dune_bus_server_start(&server, hub, path, &d), d);
    assert_ok(dune_bus_unix_connect(&a, path, &d), d);
    assert_ok(dune_bus_unix_connect(&b, path, &d), d);
    assert_ok(b->ops->subscribe(b, "dune.rep.*", on_message, &out, &d), d);
    for (size_t i = 0; i < DUNE_ARRAY_LEN(bad); i++) {
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        char byte;

        memcpy(to.sun_path, path, sizeof(path));
        assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
        assert_int_equal(send(fd, bad[i], 8, MSG_NOSIGNAL), 8);
        assert_true(recv(fd, &byte, 1, 0) <= 0); /* cut off, or reset */
        close(fd);
        assert_true(arrives(a, b, &out, "fine", 4));
    }
    a->ops->close(a);
    b->ops->close(b);
    dune_bus_server_stop(server);
    dune_bus_hub_free(hub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_nonsense),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
