/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packet rates of three XDP switches in a row on veth pairs, beside three that only add and strip the shim:
 *
 *   a0 -- a1 [A] a2 -- a3 [B] a4 -- a5 [C] a6 -- a7      and the same with b for the other chain
 *
 * The kernel sends as fast as it can (BPF_PROG_TEST_RUN with live frames); a thread on another CPU serves the
 * digests, and installs rules where those are wanted.
 */
#include "bench/bench.h"
#include "bench/engine_load.h"
#include "io/net_dev.h"
#include "targets/xdp/dune_xdp.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DEVICES = 3, PACKETS = 2000000, PACKETS_QUICK = 500000, TRIES = 5 };

struct chain {
    char end[2 + 2 * DEVICES][8]; /* interfaces from source to sink */
    struct dune_xdp *x[DEVICES], *source;
    bool rules;
    pthread_t server;
    bool served;
    atomic_bool stop;
};

/* --- links ----------------------------------------------------------------------------------------------------- */

static int command(struct dune_diag *d, const char *text)
{
    int rc = system(text);

    if (rc == 0)
        return 0;
    return dune_diag_set(d, DUNE_E_ENV, NULL, "failed: %s", text);
}

static int make_links(struct chain *c, char letter, struct dune_diag *d)
{
    char text[256];
    int rc = 0;

    for (int i = 0; i < 2 + 2 * DEVICES; i++)
        snprintf(c->end[i], sizeof(c->end[i]), "%c%d", letter, i);
    for (int i = 0; rc == 0 && i < 2 + 2 * DEVICES; i += 2) {
        snprintf(text, sizeof(text), "ip link add %s mtu 1600 type veth peer name %s mtu 1600 && ip link set %s up && "
                 "ip link set %s up", c->end[i], c->end[i + 1], c->end[i], c->end[i + 1]);
        rc = command(d, text);
    }
    return rc;
}

/* --- devices ----------------------------------------------------------------------------------------------------- */

static int open_device(struct chain *c, int i, const struct dune_xdp_opts *o, struct dune_diag *d)
{
    struct dune_xdp_port in = {.number = 0, .ifname = c->end[2 * i + 1], .kind = i ? DUNE_PORT_CHAIN : DUNE_PORT_EDGE,
                               .out = 1, .mode = DUNE_XDP_NATIVE};
    struct dune_xdp_port out = {.number = 1, .ifname = c->end[2 * i + 2], .out = 0, .plain = true, .mode = DUNE_XDP_NATIVE,
                                .kind = i == DEVICES - 1 ? DUNE_PORT_EDGE : DUNE_PORT_CHAIN};
    int rc = dune_xdp_open(&c->x[i], o, d);

    if (rc == 0)
        rc = dune_xdp_attach(c->x[i], &out, d);
    return rc ? rc : dune_xdp_attach(c->x[i], &in, d);
}

/* Loading the programs takes longest, so that is done once. */
static int chain_open(struct chain *c, char letter, bool shims, bool rules, struct dune_diag *d)
{
    const struct dune_xdp_opts o = {.slots = 1 << 16, .ways = 4, .state_bytes = 64 << 20, .shim_only = shims};
    int rc;

    *c = (struct chain){.rules = rules};
    rc = make_links(c, letter, d);
    for (int i = 0; rc == 0 && i < DEVICES; i++)
        rc = open_device(c, i, &o, d);
    return rc;
}

/* A generation of its own for every load: slots and rules begin empty. p NULL: shims alone. */
static int chain_load(struct chain *c, const struct dune_plan *p, const struct dune_chain_packet *pkt, uint32_t n,
                      struct dune_diag *d)
{
    int rc = 0;

    for (int i = 0; p && rc == 0 && i < DEVICES; i++) {
        if (p->generation > 1)
            rc = dune_xdp_release(c->x[i], (uint16_t)(p->generation - 1), d);
        if (rc == 0)
            rc = dune_xdp_hold(c->x[i], p, (uint16_t)i, d);
    }
    dune_xdp_close(c->source, DUNE_XDP_DETACH);
    c->source = NULL;
    return rc ? rc : dune_xdp_source_open(&c->source, c->end[0], c->end[1 + 2 * DEVICES], pkt, n, d);
}

static void chain_close(struct chain *c)
{
    char text[64];

    dune_xdp_close(c->source, DUNE_XDP_DETACH);
    for (int i = 0; i < DEVICES; i++)
        dune_xdp_close(c->x[i], DUNE_XDP_DETACH);
    for (int i = 0; i < 2 + 2 * DEVICES; i += 2) {
        struct dune_diag ignored = {0};

        snprintf(text, sizeof(text), "ip link del %s 2>/dev/null", c->end[i]);
        (void)!command(&ignored, text);
    }
}

static void on_digest(void *ctx, const struct dune_digest *dg)
{
    struct chain *c = ctx;

    if (c->rules)
        dune_xdp_add_rule(c->x[0], dg, dg->tick);
}

static void *serve(void *ctx)
{
    struct chain *c = ctx;
    struct dune_diag ignored = {0};

    while (!atomic_load(&c->stop)) {
        for (int i = 0; i < DEVICES; i++)
            (void)!dune_xdp_poll(c->x[i], 0, on_digest, c, &ignored);
        usleep(500);
    }
    return NULL;
}

/* --- a run ------------------------------------------------------------------------------------------------------- */

static uint64_t arrived_at(const struct chain *c)
{
    return dune_net_dev(c->end[1 + 2 * DEVICES], DUNE_NET_DEV_RX_PACKETS);
}

/*
 * The source stays on one CPU: queues of a veth hold 256 frames, are emptied on the CPU that filled them, and when the
 * sender moves on to another CPU in between, what it sends from there overruns them.
 */
static void stay_here(cpu_set_t *before)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    if (sched_getaffinity(0, sizeof(*before), before) != 0)
        CPU_ZERO(before);
    else
        (void)!sched_setaffinity(0, sizeof(one), &one);
}

/* Packets per second that came out at the far end; *lost: share of those sent that did not. */
static int run_chain(struct chain *c, uint32_t n, double *mpps, double *lost, struct dune_diag *d)
{
    uint64_t before = arrived_at(c), begin, end, got;
    cpu_set_t cpus;
    int rc;

    atomic_store(&c->stop, false);
    c->served = pthread_create(&c->server, NULL, serve, c) == 0;
    stay_here(&cpus);
    begin = dune_now_ns();
    rc = dune_xdp_source_send(c->source, n, d);
    end = dune_now_ns();
    if (CPU_COUNT(&cpus))
        (void)!sched_setaffinity(0, sizeof(cpus), &cpus);
    usleep(2000);
    atomic_store(&c->stop, true);
    if (c->served)
        pthread_join(c->server, NULL);
    got = arrived_at(c) - before;
    *mpps = (double)got * 1e3 / (double)(end - begin);
    *lost = 1 - (double)got / n;
    return rc;
}

enum { SHIM, PLAN, RULES, CHAINS };
static const char *const who[CHAINS] = {"shim alone", "three sub-models", "three sub-models, rules"};

/* One round of every chain; *lost: the largest share that one of them lost. */
static int one_round(struct chain c[CHAINS], uint32_t n, double mpps[CHAINS], double *lost, struct dune_diag *d)
{
    int rc = 0;

    *lost = 0;
    for (int i = 0; rc == 0 && i < CHAINS; i++) {
        double part;

        rc = run_chain(&c[i], n, &mpps[i], &part, d);
        *lost = DUNE_MAX(*lost, part);
    }
    return rc;
}

/*
 * The source sends without looking, so that a queue overruns when its CPU is away for a while. What was lost cost less than what
 * arrived: such a round is repeated, for all chains, and counts only when all of TRIES lost packets.
 */
static int whole_round(struct bench *b, struct chain c[CHAINS], const char *title, uint32_t n, unsigned *repeated, struct dune_diag *d)
{
    double mpps[CHAINS] = {0}, lost = 1;
    int rc = 0;

    for (int try = 0; rc == 0 && try < TRIES && lost > 0; try++) {
        *repeated += try > 0;
        rc = one_round(c, n, mpps, &lost, d);
    }
    for (int i = 0; rc == 0 && i < CHAINS; i++)
        bench_add(b, title, who[i], "M packets/s", BENCH_HIGHER, mpps[i]);
    if (rc == 0)
        bench_add(b, title, "the chain that lost most", "% lost", BENCH_LOWER, 100 * lost);
    return rc;
}

static int rounds(struct bench *b, struct chain c[CHAINS], const char *title, struct dune_diag *d)
{
    uint32_t n = bench_cfg(b)->quick ? PACKETS_QUICK : PACKETS;
    double mpps[CHAINS], lost;
    unsigned repeated = 0, k = bench_rounds(b, 7);
    int rc = one_round(c, n, mpps, &lost, d); /* tables filled, rules there */

    for (unsigned r = 0; rc == 0 && r < k; r++)
        rc = whole_round(b, c, title, n, &repeated, d);
    if (rc == 0)
        bench_note(b, "%s: %u rounds, %u more that lost packets were repeated", title, k, repeated);
    return rc;
}

static int with_flows(struct bench *b, struct chain *c, struct dune_plan *p, const char *title, uint32_t n_flows, double bar,
                      struct dune_diag *d)
{
    struct bench_frames t;
    char text[128];
    int rc = 0;

    bench_frames_init(&t, BENCH_STEADY, n_flows);
    for (int i = 0; rc == 0 && i < CHAINS; i++)
        rc = chain_load(&c[i], i == SHIM ? NULL : p, t.pkt, t.n, d);
    p->generation++;
    if (rc == 0)
        rc = rounds(b, c, title, d);
    for (int i = 1; rc == 0 && i < CHAINS; i++) {
        snprintf(text, sizeof(text), "%s, %s: rate / that of shims alone", title, i == PLAN ? "without rules" : "with rules");
        bench_goal_min(b, text, 1 / bench_ratio(b, title, who[SHIM], who[i], "M packets/s").median, bar, 0);
    }
    bench_frames_fini(&t);
    return rc;
}

static int all_flows(struct bench *b, struct dune_diag *d)
{
    struct chain *c = DUNE_NEW_N(struct chain, CHAINS);
    struct dune_plan *p = NULL;
    int rc = bench_load_plan(&p, DEVICES, DEVICES, 500, DUNE_HASH_SIPHASH, d);

    for (int i = 0; rc == 0 && i < CHAINS; i++)
        rc = chain_open(&c[i], (char)('a' + i), i == SHIM, i == RULES, d);
    if (rc == 0)
        rc = with_flows(b, c, p, "256 flows", 256, 0.8, d);
    if (rc == 0)
        rc = with_flows(b, c, p, "64k flows", 65536, 0.5, d);
    for (int i = 0; i < CHAINS; i++)
        if (c[i].end[0][0])
            chain_close(&c[i]);
    dune_plan_free(p);
    dune_mem_free(c);
    return rc;
}

/* In a namespace of its own: no interface of this machine is touched, and all is gone with the namespace. */
static int run_rates(struct bench *b, struct dune_diag *d)
{
    const char *why = dune_xdp_available();

    if (!why && unshare(CLONE_NEWNET) != 0)
        why = "no network namespaces here";
    if (!why && system("ip link set lo up") != 0)
        why = "ip is not installed";
    if (why) {
        bench_skip(b, "256 flows", who[SHIM], "%s", why);
        return 0;
    }
    return all_flows(b, d);
}

const struct bench_entry bench_chain[] = {
    {"live.chain", "three XDP switches on veth pairs, one sub-model of 3 trees with 500 leaves each, beside three that only "
                   "add and strip the shim", run_rates},
    {NULL, NULL, NULL},
};
