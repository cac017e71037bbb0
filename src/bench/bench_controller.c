/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller with many agents, over a NATS server: first plan, digests to rules, an update under load, kill -9 and a
 * new start. Server, controller and agents are three processes on this machine (agents: agent_sim.h).
 */
#include "bench/agent_sim.h"
#include "bench/bench.h"
#include "bench/engine_load.h"
#include "dune/controller.h"
#include "dune/plan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHAIN = 5, WAIT_S = 90 };

struct scene {
    struct bench *b;
    const char *title;
    struct agent_sim_cfg sim;
    uint64_t rate;
    unsigned seconds;
    char url[64];
    char *devices, *log;
    pid_t server, controller;
    struct dune_bus *bus;
    struct dune_asker *asker;
    struct agent_sim *agents;
};

/* --- processes ------------------------------------------------------------------------------------------------------- */

static int start(pid_t *pid, const char *log, const char *const *argv, struct dune_diag *d)
{
    char program[512];

    if (!bench_find_program(argv[0], program, sizeof(program)))
        return dune_diag_set(d, DUNE_E_ENV, NULL, "there is no program %s", argv[0]);
    *pid = fork();
    if (*pid == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

        if (fd >= 0) {
            dup2(fd, 1);
            dup2(fd, 2);
        }
        execv(program, (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    return *pid > 0 ? 0 : dune_diag_set(d, DUNE_E_ENV, NULL, "cannot start %s: %s", argv[0], strerror(errno));
}

static void end(pid_t *pid, int sig)
{
    if (*pid <= 0)
        return;
    kill(*pid, sig);
    while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
        ;
    *pid = 0;
}

/* CPU seconds and peak MiB of a process that lives. */
static double cpu_of(pid_t pid)
{
    char path[64], text[1024], *p;
    unsigned long long user = 0, sys = 0;
    size_t n;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
    f = fopen(path, "re");
    n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
    text[n] = '\0';
    if (f)
        fclose(f);
    p = strrchr(text, ')');
    if (p)
        sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &sys);
    return (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
}

static double peak_of(pid_t pid)
{
    char path[64], line[128];
    unsigned long long kib = 0;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
    f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "VmHWM: %llu kB", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return (double)kib / 1024;
}

static int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), port = 0;

    if (fd >= 0 && bind(fd, (struct sockaddr *)&a, len) == 0 && getsockname(fd, (struct sockaddr *)&a, &len) == 0)
        port = ntohs(a.sin_port);
    if (fd >= 0)
        close(fd);
    return port;
}

static int start_server(struct scene *s, struct dune_diag *d)
{
    char port[16], *store = bench_tmp(s->b, s->title);
    const char *argv[] = {"nats-server", "-a", "127.0.0.1", "-p", port, "-js", "-sd", store, NULL};
    struct dune_bus_nats_cfg cfg = {.url = s->url};
    int rc;

    snprintf(port, sizeof(port), "%d", free_port());
    snprintf(s->url, sizeof(s->url), "nats://127.0.0.1:%s", port);
    rc = start(&s->server, s->log, argv, d);
    for (int i = 0; rc == 0 && i < 100; i++) {
        memset(d, 0, sizeof(*d));
        rc = dune_bus_nats_connect(&s->bus, &cfg, d);
        if (rc == 0)
            break;
        usleep(100000);
        rc = i == 99 ? rc : 0;
    }
    dune_mem_free(store);
    return rc ? rc : dune_asker_new(&s->asker, s->bus, d);
}

static int start_controller(struct scene *s, struct dune_diag *d)
{
    const char *argv[] = {bench_cfg(s->b)->program, "controller", "serve", "--bus", s->url, "--owner", "bench", "--devices",
                          s->devices, "--rule-rate", "1000000", NULL};

    return start(&s->controller, s->log, argv, d);
}

static int write_devices(struct scene *s, struct dune_diag *d)
{
    struct dune_buf text = {0};
    char line[64];
    int rc;

    for (uint32_t i = 0; i < s->sim.n_agents; i++) {
        agent_sim_place(&s->sim, i, line, sizeof(line));
        dune_buf_printf(&text, "%s\n", line);
    }
    rc = dune_file_write(s->devices, text.data, text.len, d);
    dune_buf_fini(&text);
    return rc;
}

/* --- asking the controller ---------------------------------------------------------------------------------------------- */

struct answer {
    char phase[16];
    uint64_t base, n_ok, n_dropped; /* n_dropped: messages with digests that found the controller's queue full */
    bool leader;
};

static const char status_request[] = "{\"op\": \"status\"}";

static int ask(struct scene *s, const char *request, size_t len, struct answer *a, struct dune_diag *d)
{
    char *text = NULL;
    const char *phase;
    json_t *root;
    int rc = dune_asker_ask(s->asker, request, len, 1500, &text, d);

    *a = (struct answer){0};
    root = rc == 0 ? json_loads(text, 0, NULL) : NULL;
    phase = json_string_value(json_object_get(root, "phase"));
    snprintf(a->phase, sizeof(a->phase), "%s", phase ? phase : "");
    a->base = (uint64_t)json_integer_value(json_object_get(json_object_get(root, "base"), "generation"));
    a->n_ok = (uint64_t)json_integer_value(json_object_get(root, "n_ok"));
    a->n_dropped = (uint64_t)json_integer_value(json_object_get(root, "digest_messages_dropped"));
    a->leader = json_is_true(json_object_get(root, "leader"));
    json_decref(root);
    dune_mem_free(text);
    return rc;
}

/* Until the controller leads, hears all agents and, with generation, has this plan everywhere. */
static int wait_until(struct scene *s, uint64_t generation, double *seconds, struct dune_diag *d)
{
    uint64_t begin = dune_now_ns();
    struct answer a = {0};
    struct dune_diag why = {0};

    while (dune_now_ns() - begin < WAIT_S * UINT64_C(1000000000) && !dune_interrupted()) {
        memset(&why, 0, sizeof(why));
        if (ask(s, status_request, strlen(status_request), &a, &why) == 0 && a.leader && a.n_ok == s->sim.n_agents &&
            (!generation || (a.base == generation && strcmp(a.phase, "steady") == 0))) {
            *seconds = (double)(dune_now_ns() - begin) / 1e9;
            return 0;
        }
        usleep(20000);
    }
    return dune_diag_set(d, DUNE_E_INTERNAL, NULL, "after %d s: phase %s, generation %llu, %llu of %u agents there%s%s", WAIT_S,
                         a.phase, (unsigned long long)a.base, (unsigned long long)a.n_ok, s->sim.n_agents,
                         why.msg[0] ? "; " : "", why.msg);
}

static int apply(struct scene *s, uint32_t leaves, struct dune_diag *d)
{
    struct dune_plan *p = NULL;
    struct dune_buf request = {0};
    struct dune_jsonw w;
    struct answer a;
    char *text = NULL;
    size_t len;
    int rc = bench_load_plan(&p, 3, CHAIN, leaves, DUNE_HASH_SIPHASH, d);

    if (rc == 0)
        rc = dune_plan_format(p, &text, &len, d);
    if (rc == 0) {
        dune_jsonw_init(&w, &request);
        dune_jsonw_obj(&w);
        dune_jsonw_key(&w, "op"), dune_jsonw_str(&w, "apply");
        dune_jsonw_key(&w, "plan"), dune_jsonw_str(&w, text);
        dune_jsonw_end(&w);
        bench_add(s->b, s->title, "plan", "KiB", BENCH_NEITHER, (double)len / 1024);
        rc = ask(s, request.data, request.len, &a, d);
    }
    dune_buf_fini(&request);
    dune_mem_free(text);
    dune_plan_free(p);
    return rc;
}

/* --- measuring ---------------------------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static double part(const struct agent_sim_times *t, double share)
{
    size_t i = (size_t)((double)t->us.len * share);

    return t->us.len ? (double)t->us.data[DUNE_MIN(i, t->us.len - 1)] / 1000 : 0;
}

/* Digest to rule of what came since the last call. */
static void add_times(struct scene *s, const char *who)
{
    struct agent_sim_times t = {0};

    agent_sim_take(s->agents, &t);
    if (t.us.len) {
        qsort(t.us.data, t.us.len, sizeof(*t.us.data), by_value);
        bench_add(s->b, s->title, who, "p50 ms", BENCH_LOWER, part(&t, 0.5));
        bench_add(s->b, s->title, who, "p90 ms", BENCH_LOWER, part(&t, 0.9));
        bench_add(s->b, s->title, who, "p99 ms", BENCH_LOWER, part(&t, 0.99));
        bench_add(s->b, s->title, who, "p99.9 ms", BENCH_LOWER, part(&t, 0.999));
        bench_add(s->b, s->title, who, "max ms", BENCH_LOWER, part(&t, 1));
    }
    DUNE_VEC_FREE(&t.us);
}

static void nap(double seconds)
{
    for (uint64_t until = dune_now_ns() + (uint64_t)(seconds * 1e9); dune_now_ns() < until && !dune_interrupted();)
        usleep(10000);
}

static void measure_steady(struct scene *s)
{
    struct agent_sim_totals a, b;
    double cpu, agents, server, seconds;
    uint64_t begin;

    nap(2);
    add_times(s, "warm-up");
    agent_sim_totals(s->agents, &a);
    cpu = cpu_of(s->controller), agents = cpu_of(getpid()), server = cpu_of(s->server);
    begin = dune_now_ns();
    nap(s->seconds);
    seconds = (double)(dune_now_ns() - begin) / 1e9;
    agent_sim_totals(s->agents, &b);
    add_times(s, "digest to rule");
    bench_add(s->b, s->title, "agents", "digests per second", BENCH_HIGHER, (double)(b.digests - a.digests) / seconds);
    bench_add(s->b, s->title, "agents", "rules per second", BENCH_HIGHER, (double)(b.rules - a.rules) / seconds);
    bench_add(s->b, s->title, "agents", "CPU of a core", BENCH_LOWER, (cpu_of(getpid()) - agents) / seconds);
    bench_add(s->b, s->title, "NATS server", "CPU of a core", BENCH_LOWER, (cpu_of(s->server) - server) / seconds);
    bench_add(s->b, s->title, "controller", "CPU of a core", BENCH_LOWER, (cpu_of(s->controller) - cpu) / seconds);
    if (b.digests > a.digests)
        bench_add(s->b, s->title, "controller", "CPU us per digest", BENCH_LOWER,
                  (cpu_of(s->controller) - cpu) * 1e6 / (double)(b.digests - a.digests));
}

/* A plan to all agents. Their CPU time is that of as many devices: each of them reads it. */
static int measure_plan(struct scene *s, const char *who, uint32_t leaves, uint64_t generation, struct dune_diag *d)
{
    double seconds = 0, agents = cpu_of(getpid()), controller = cpu_of(s->controller);
    int rc = apply(s, leaves, d);

    if (rc == 0)
        rc = wait_until(s, generation, &seconds, d);
    if (rc)
        return rc;
    bench_add(s->b, s->title, who, "seconds", BENCH_LOWER, seconds);
    bench_add(s->b, s->title, who, "CPU s of agents", BENCH_LOWER, cpu_of(getpid()) - agents);
    bench_add(s->b, s->title, who, "CPU s of controller", BENCH_LOWER, cpu_of(s->controller) - controller);
    return 0;
}

static int measure_update(struct scene *s, struct dune_diag *d)
{
    int rc = measure_plan(s, "update under load", 40, 2, d);

    if (rc)
        return rc;
    add_times(s, "digest to rule during the update");
    return 0;
}

/* Killed, not stopped; the new one takes the lease, reads the desired state, and goes on. */
static int measure_restart(struct scene *s, struct dune_diag *d)
{
    struct agent_sim_totals t = {0};
    struct agent_sim_times gone = {0};
    struct dune_diag ignored = {0};
    struct answer a;
    uint64_t begin;
    double seconds = 0;
    int rc;

    bench_add(s->b, s->title, "controller", "peak MiB", BENCH_LOWER, peak_of(s->controller));
    if (ask(s, status_request, strlen(status_request), &a, &ignored) == 0)
        bench_add(s->b, s->title, "controller", "dropped messages", BENCH_LOWER, (double)a.n_dropped);
    end(&s->controller, SIGKILL);
    nap(0.3);
    begin = bench_wall_ns();
    rc = start_controller(s, d);
    while (rc == 0 && t.last_rule_ns <= begin) {
        agent_sim_totals(s->agents, &t);
        if (bench_wall_ns() - begin > WAIT_S * UINT64_C(1000000000))
            rc = dune_diag_set(d, DUNE_E_INTERNAL, NULL, "no rule %d s after the controller started again", WAIT_S);
        usleep(2000);
    }
    if (rc == 0)
        bench_add(s->b, s->title, "restart", "ms to the first rule", BENCH_LOWER, (double)(t.last_rule_ns - begin) / 1e6);
    if (rc == 0)
        rc = wait_until(s, 2, &seconds, d);
    if (rc == 0)
        bench_add(s->b, s->title, "restart", "ms to all agents", BENCH_LOWER, (double)(bench_wall_ns() - begin) / 1e6);
    agent_sim_take(s->agents, &gone);
    DUNE_VEC_FREE(&gone.us);
    return rc;
}

/* What was made in a quiet second must come back whole. */
static int measure_whole(struct scene *s, struct dune_diag *d)
{
    struct agent_sim_totals a, b, c;

    agent_sim_set_rate(s->agents, 0);
    nap(2);
    agent_sim_totals(s->agents, &a);
    agent_sim_set_rate(s->agents, s->rate / 4 + 1);
    nap(2);
    agent_sim_set_rate(s->agents, 0);
    nap(2);
    agent_sim_totals(s->agents, &b);
    bench_add(s->b, s->title, "quarter of the rate", "digests", BENCH_NEITHER, (double)(b.digests - a.digests));
    bench_add(s->b, s->title, "quarter of the rate", "rules", BENCH_NEITHER, (double)(b.rules - a.rules));
    c = b;
    if (c.rules - a.rules != c.digests - a.digests)
        return dune_diag_set(d, DUNE_E_INTERNAL, NULL, "%llu digests, but %llu rules",
                             (unsigned long long)(c.digests - a.digests), (unsigned long long)(c.rules - a.rules));
    return 0;
}

static int play(struct scene *s, struct dune_diag *d)
{
    double seconds = 0;
    int rc = write_devices(s, d);

    if (rc == 0)
        rc = start_server(s, d);
    if (rc == 0)
        rc = start_controller(s, d);
    if (rc == 0)
        rc = agent_sim_start(&s->agents, &s->sim, d);
    if (rc == 0)
        rc = wait_until(s, 0, &seconds, d);
    if (rc == 0) {
        bench_add(s->b, s->title, "start", "seconds to all agents", BENCH_LOWER, seconds);
        rc = measure_plan(s, "first plan", 41, 1, d);
    }
    if (rc)
        return rc;
    agent_sim_set_rate(s->agents, s->rate);
    measure_steady(s);
    rc = measure_update(s, d);
    if (rc == 0)
        rc = measure_restart(s, d);
    return rc ? rc : measure_whole(s, d);
}

static int run_scene(struct bench *b, const char *title, struct agent_sim_cfg sim, uint64_t rate, unsigned seconds,
                     struct dune_diag *d)
{
    struct scene s = {.b = b, .title = title, .sim = sim, .rate = rate, .seconds = seconds,
                      .devices = bench_tmp(b, "devices"), .log = bench_tmp(b, "log")};
    int rc;

    s.sim.url = s.url;
    bench_say(b, "%s", title);
    rc = play(&s, d);
    agent_sim_stop(s.agents);
    if (s.bus)
        s.bus->ops->close(s.bus);
    dune_asker_free(s.asker);
    end(&s.controller, SIGTERM);
    end(&s.server, SIGTERM);
    dune_mem_free(s.devices);
    dune_mem_free(s.log);
    return rc;
}

/* A connection takes two threads and a few descriptors. */
static void raise_limits(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &r);
    }
}

static bool can_run(struct bench *b)
{
    char program[512];

    if (!bench_find_program("nats-server", program, sizeof(program)) || !dune_bus_nats_version()) {
        bench_skip(b, "agents", "controller", "%s", dune_bus_nats_version() ? "nats-server is not installed"
                                                                            : "this build has no NATS client");
        return false;
    }
    raise_limits();
    bench_note(b, "chains of %d devices; agents, server and controller share this machine; every digest is a flow of its "
               "own", CHAIN);
    return true;
}

/* Few enough agents that their digests share messages. */
static int run_rate(struct bench *b, struct dune_diag *d)
{
    const struct agent_sim_cfg sim = {NULL, 200, CHAIN, 32, 2};
    int rc = 0;

    if (!can_run(b))
        return 0;
    for (unsigned r = 0; rc == 0 && r < bench_rounds(b, 1); r++)
        rc = run_scene(b, "200 agents, 50,000 digests per second", sim, 50000, bench_cfg(b)->quick ? 3 : 20, d);
    return rc;
}

static int run_scale(struct bench *b, struct dune_diag *d)
{
    const struct agent_sim_cfg few = {NULL, 50, CHAIN, 4, 2}, some = {NULL, 200, CHAIN, 64, 4},
                               many = {NULL, 1000, CHAIN, 64, 4};
    int rc = 0;

    if (!can_run(b))
        return 0;
    if (bench_cfg(b)->quick)
        return run_scene(b, "50 agents, 2,500 digests per second", few, 2500, 3, d);
    for (unsigned r = 0; rc == 0 && r < bench_rounds(b, 1); r++) {
        rc = run_scene(b, "200 agents, 10,000 digests per second", some, 10000, 10, d);
        if (rc == 0)
            rc = run_scene(b, "1,000 agents, 20,000 digests per second", many, 20000, 20, d);
    }
    return rc;
}

static int run_thousand(struct bench *b, struct dune_diag *d)
{
    const struct agent_sim_cfg many = {NULL, 1000, CHAIN, 64, 4};
    int rc = 0;

    if (!can_run(b))
        return 0;
    for (unsigned r = 0; rc == 0 && r < bench_rounds(b, 1); r++)
        rc = run_scene(b, "1,000 agents, 50,000 digests per second", many, 50000, bench_cfg(b)->quick ? 3 : 20, d);
    return rc;
}

const struct bench_entry bench_controller[] = {
    {"controller.scale", "the controller with 200 and 1,000 agents: digests to rules, an update, a restart", run_scale},
    {"controller.thousand", "the controller with 1,000 agents and 50,000 digests per second", run_thousand},
    {"controller.rate", "the controller with 200 agents and 50,000 digests per second", run_rate},
    {NULL},
};
