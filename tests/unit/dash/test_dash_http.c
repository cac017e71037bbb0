/* SPDX-License-Identifier: Apache-2.0 */
/* The server over sockets: headers, limits, a thousand readers, readers that do not read, the end, the cost. */
#include "dash_kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { READERS = 60 };
#else
enum { READERS = 1000 };
#endif

static struct dune_dash *begin(uint32_t readers, uint32_t idle_s, const char *token_file)
{
    struct dune_dash_cfg cfg = {.listen = "127.0.0.1:0", .max_readers = readers, .idle_s = idle_s, .token_file = token_file};
    struct dune_dash *dash = NULL;
    struct dune_diag d = {0};

    assert_ok(dune_dash_start(&dash, &cfg, &d), d);
    return dash;
}

static int dial(const struct dune_dash *dash, int receive_bytes)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval t = {10, 0};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    at.sin_port = htons((uint16_t)atoi(strrchr(dune_dash_url(dash), ':') + 1));
    assert_true(fd >= 0);
    if (receive_bytes)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
    if (connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0)
        fail_msg("connect: %s", strerror(errno));
    return fd;
}

static void put(int fd, const char *text, size_t len)
{
    while (len) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

        if (n <= 0)
            return; /* it hung up: the answer says why */
        text += n;
        len -= (size_t)n;
    }
}

/* Until `until` has come, the other side closes, or 10 s; yours. */
static char *take(int fd, const char *until)
{
    struct dune_buf b = {0};
    char part[4096];
    ssize_t n;

    dune_buf_puts(&b, "");
    while ((!until || !strstr(b.data, until)) && (n = recv(fd, part, sizeof(part), 0)) > 0)
        dune_buf_append(&b, part, (size_t)n);
    return b.data;
}

static char *talk(const struct dune_dash *dash, const char *request, size_t len)
{
    int fd = dial(dash, 0);
    char *answer;

    put(fd, request, len);
    shutdown(fd, SHUT_WR);
    answer = take(fd, NULL);
    close(fd);
    return answer;
}

static void expect(const struct dune_dash *dash, const char *request, const char *status, const char *also)
{
    char *answer = talk(dash, request, strlen(request));

    if (!strstr(answer, status) || (also && !strstr(answer, also)))
        fail_msg("no %s and %s in the answer to %.60s: %.400s", status, also ? also : "", request, answer);
    dune_mem_free(answer);
}

static void headers(void **state)
{
    struct dune_dash *dash = begin(10, 0, NULL);

    (void)state;
    expect(dash, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "200 OK", "Content-Security-Policy: default-src 'none'; script-src 'self'");
    expect(dash, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "X-Content-Type-Options: nosniff", "Referrer-Policy: no-referrer");
    expect(dash, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "frame-ancestors 'none'", "<title>DUNE</title>");
    expect(dash, "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", " 421 ", "not to");
    expect(dash, "GET /none HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", " 404 ", "error");
    expect(dash, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "text/plain; version=0.0.4", "dune_dashboard_readers 0");
    expect(dash, "GET /api/flow?key=tcp%2010.0.0.1:1%2010.0.0.2:2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", " 404 ", "nothing has run");
    expect(dash, "POST /api/stop HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", " 401 ", "token");
    expect(dash, "DELETE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", " 405 ", "Allow: GET, HEAD, POST");
    dune_dash_stop(dash);
}

static void too_much(void **state)
{
    struct dune_dash *dash = begin(10, 0, NULL);
    struct dune_buf b = {0};
    char *answer;

    (void)state;
    expect(dash, "POST /api/stop HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 99999999999\r\n\r\n", " 413 ", "at most");
    dune_mem_free(talk(dash, "nonsense\r\n\r\n", 12)); /* no answer, no harm */
    expect(dash, "POST /api/stop HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n", "HTTP/1.1 4", NULL);
    expect(dash, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", "HTTP/1.1 4", NULL); /* no host */
    dune_buf_puts(&b, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: ");
    for (int i = 0; i < 5000; i++)
        dune_buf_puts(&b, "0123456789");
    dune_buf_puts(&b, "\r\n\r\n");
    answer = talk(dash, b.data, b.len);
    assert_true(strncmp(answer, "HTTP/1.1 4", 10) == 0);
    dune_mem_free(answer);
    dune_buf_fini(&b);
    dune_buf_puts(&b, "POST /api/token HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 20; i++)
        dune_buf_printf(&b, "1000\r\n%04096d\r\n", 0);
    dune_buf_puts(&b, "0\r\n\r\n");
    answer = talk(dash, b.data, b.len);
    assert_non_null(strstr(answer, " 413 "));
    dune_mem_free(answer);
    dune_buf_fini(&b);
    dune_dash_stop(dash);
}

static struct dune_dash_feed *open_feed(struct dune_dash *dash, struct dune_plan *p)
{
    struct dune_dash_scene scene = {.solution = "kit", .plan = p};

    return dune_dash_feed_open(dash, &scene);
}

static const char events[] = "GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n";

/* A thousand readers get the news; one more is refused with a sentence; the end comes at once. */
static void many_readers(void **state)
{
    struct dune_dash *dash = begin(READERS, 0, NULL);
    struct dune_plan *p = kit_plan();
    struct dune_dash_feed *f = open_feed(dash, p);
    int *fd = DUNE_NEW_N(int, READERS), one;
    uint64_t slowest = 0, start;
    char *text;

    (void)state;
    for (int i = 0; i < READERS; i++) {
        fd[i] = dial(dash, 0);
        put(fd[i], events, strlen(events));
    }
    for (int i = 0; i < READERS; i++) {
        text = take(fd[i], "event: state");
        assert_non_null(strstr(text, "event: scene"));
        dune_mem_free(text);
    }
    one = dial(dash, 0);
    put(one, events, strlen(events));
    text = take(one, "error");
    assert_non_null(strstr(text, " 503 "));
    dune_mem_free(text);
    close(one);
    f->board.t.packets = 4711;
    for (int i = 0; i < 20; i++) { /* the producer does not wait for a thousand readers */
        f->published_ns = 0;
        start = dune_now_ns();
        dash_feed_publish(f, false);
        slowest = DUNE_MAX(slowest, dune_now_ns() - start);
        usleep(5000);
    }
    printf("# slowest publish with %d readers: %llu us\n", READERS, (unsigned long long)slowest / 1000);
    for (int i = 0; i < READERS; i++) {
        text = take(fd[i], "\"packets\": 4711");
        assert_non_null(strstr(text, "4711"));
        dune_mem_free(text);
    }
    dune_dash_feed_close(f, DUNE_DASH_FINISHED, NULL);
    start = dune_now_ns();
    dune_dash_stop(dash);
    assert_true(dune_now_ns() - start < UINT64_C(8000000000));
    for (int i = 0; i < READERS; i++)
        close(fd[i]);
    dune_mem_free(fd);
    dune_plan_free(p);
}

static struct dune_plan *wide_plan(uint32_t n)
{
    struct dune_plan *p = kit_plan();

    p->device = dune_mem_realloc(p->device, n, sizeof(*p->device));
    for (uint32_t i = p->n_devices; i < n; i++)
        p->device[i] = (struct dune_plan_device){dune_mem_printf("device-%u", i), dune_mem_strdup("engine"), {0, 0}};
    p->n_devices = n;
    return p;
}

/* Somebody who asks and never reads is dropped; others and the producer do not notice. */
static void slow_reader(void **state)
{
    struct dune_dash *dash = begin(10, 1, NULL);
    struct dune_plan *p = wide_plan(250);
    struct dune_dash_feed *f = open_feed(dash, p);
    int slow = dial(dash, 4096), good = dial(dash, 0);
    uint64_t end = dune_now_ns() + UINT64_C(20000000000), dropped = 0;
    char *text;

    (void)state;
    put(slow, events, strlen(events));
    put(good, events, strlen(events));
    while (!dropped && dune_now_ns() < end) {
        f->board.t.packets++;
        dash_feed_publish(f, false);
        text = take(good, "event: state");
        assert_non_null(strstr(text, "event: state"));
        dune_mem_free(text);
        pthread_mutex_lock(&dash->lock);
        dropped = dash->n_readers_dropped;
        pthread_mutex_unlock(&dash->lock);
    }
    assert_int_equal(dropped, 1);
    pthread_mutex_lock(&dash->lock);
    assert_int_equal(dash->n_readers, 1);
    pthread_mutex_unlock(&dash->lock);
    dune_dash_feed_close(f, DUNE_DASH_STOPPED, "it was stopped");
    dune_dash_stop(dash);
    close(slow);
    close(good);
    dune_plan_free(p);
}

/* 32 devices, 30 classes. */
static struct dune_plan *busy_plan(void)
{
    struct dune_plan *p = wide_plan(32);

    p->cls = dune_mem_realloc(p->cls, 30, sizeof(*p->cls));
    for (uint32_t k = p->n_classes; k < 30; k++)
        p->cls[k] = (struct dune_plan_class){.name = dune_mem_printf("class-%u", k)};
    p->n_classes = 30;
    return p;
}

static void fill_board(struct dash_board *b, uint64_t step)
{
    b->t.packets = 1234 * step;
    b->t.flows = 100 * step;
    for (uint32_t i = 0; i < b->n_devices; i++) {
        b->dev[i].in = (900 + i) * step;
        b->dev[i].flows = (3 + i) * step;
        b->dev[i].slots = 32768;
        b->dev[i].slots_used = (7 + i) * step % 32768;
        for (uint32_t k = 0; k <= 30; k++)
            b->claims[(size_t)i * 256 + k] = (i + k) % 7 * step;
    }
    for (uint32_t k = 0; k < b->n_classes; k++) {
        b->by_class[k] = (k + 1) * step;
        dash_board_vote(b, DASH_FLOW_LEVEL, k, step % 5 ? k : 0, 1000);
    }
}

/* Takes all that comes until the other side closes. */
static pid_t fork_reader(int fd)
{
    static char part[65536];
    pid_t pid = fork();

    if (pid == 0) {
        while (recv(fd, part, sizeof(part), 0) > 0)
            ;
        _exit(0);
    }
    close(fd);
    return pid;
}

static double cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Ten states a second of 32 devices and 30 classes to three readers: 1 to 2 % of a core, the producer's part included; up to 7
 * where others use the caches. A loop without a pause would be all of it. */
static void cost(void **state)
{
    struct dune_dash *dash = begin(10, 0, NULL);
    struct dune_plan *p = busy_plan();
    struct dune_dash_feed *f = open_feed(dash, p);
    double before = 0, wall = 0, part;
    pid_t reader[3];

    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(reader); i++) {
        int fd = dial(dash, 0);

        put(fd, events, strlen(events));
        reader[i] = fork_reader(fd);
        assert_true(reader[i] > 0);
    }
    for (uint64_t step = 1; step <= 40; step++) {
        if (step == 11) { /* readers and caches are warm */
            before = cpu_seconds();
            wall = (double)dune_now_ns();
        }
        fill_board(&f->board, step);
        dash_feed_publish(f, false);
        usleep(100000);
    }
    part = 100 * (cpu_seconds() - before) / (((double)dune_now_ns() - wall) / 1e9);
    printf("# ten states a second of 32 devices and 30 classes, three readers: %.2f %% of a core\n", part);
    pthread_mutex_lock(&dash->lock);
    assert_true(dash->n_events > 30);
    pthread_mutex_unlock(&dash->lock);
    if (READERS == 1000) /* not under a sanitizer */
        assert_true(part < 15);
    dune_dash_feed_close(f, DUNE_DASH_FINISHED, NULL);
    dune_dash_stop(dash);
    for (size_t i = 0; i < DUNE_ARRAY_LEN(reader); i++)
        assert_int_equal(waitpid(reader[i], NULL, 0), reader[i]);
    dune_plan_free(p);
}

static void addresses_and_tokens(void **state)
{
    struct dune_dash *dash = begin(1, 0, NULL), *second = NULL;
    struct dune_dash_cfg cfg = {0};
    struct dune_diag d = {0};
    char at[64], path[] = "/tmp/dash-token-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_int_equal(strlen(dune_dash_token(dash)), 48);
    snprintf(at, sizeof(at), "%s", dune_dash_url(dash) + strlen("http://"));
    at[strlen(at) - 1] = '\0';
    cfg.listen = at;
    assert_int_equal(dune_dash_start(&second, &cfg, &d), DUNE_E_ENV); /* taken */
    assert_non_null(strstr(d.msg, "cannot listen"));
    memset(&d, 0, sizeof(d));
    cfg.listen = "no.such.name.example:0";
    assert_int_equal(dune_dash_start(&second, &cfg, &d), DUNE_E_USAGE);
    cfg.listen = "127.0.0.1:0";
    cfg.token_file = path;
    memset(&d, 0, sizeof(d));
    assert_int_equal(dune_dash_start(&second, &cfg, &d), DUNE_E_INPUT); /* empty */
    assert_true(write(fd, "a token of sixteen\n", 19) == 19);
    memset(&d, 0, sizeof(d));
    assert_int_equal(dune_dash_start(&second, &cfg, &d), DUNE_E_INPUT); /* blanks */
    assert_true(ftruncate(fd, 0) == 0 && pwrite(fd, "0123456789abcdef\r\nmore", 22, 0) == 22);
    memset(&d, 0, sizeof(d));
    assert_ok(dune_dash_start(&second, &cfg, &d), d);
    assert_string_equal(dune_dash_token(second), "0123456789abcdef");
    dune_dash_stop(second);
    dune_dash_stop(dash);
    close(fd);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers),     cmocka_unit_test(too_much),           cmocka_unit_test(many_readers),
        cmocka_unit_test(slow_reader), cmocka_unit_test(addresses_and_tokens), cmocka_unit_test(cost),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
