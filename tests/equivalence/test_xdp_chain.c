/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three XDP devices in a row on veth pairs, and a plan that is replaced a hundred times while packets pass:
 *
 *   s0 ---- d0 [A] d1 ---- e0 [B] e1 ---- f0 [C] f1 ---- k0
 *
 * No packet is lost, no flow with a slot is judged by two generations before the drain deadline, and every verdict is
 * that of the reference fed with the packets of its generation. Argument "long": a time-out of one second.
 */
#include "targets/xdp/dune_xdp.h"
#include "unit/targets/chain_kit.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DEVICES = 3, UPDATES = 100, ACTIVE = 48 };

static uint64_t timeout_ticks = 19531; /* 20 ms */
static unsigned pause_us = 300;

static const char *const in_if[] = {"d0", "e0", "f0"}, *const out_if[] = {"d1", "e1", "f1"};

/* --- links and devices ---------------------------------------------------------------------------------------- */

static void shell(const char *command)
{
    if (system(command) != 0)
        fail_msg("%s", command);
}

static void pass_at(const char *ifname)
{
    static const struct bpf_insn pass[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
        {.code = BPF_JMP | BPF_EXIT},
    };
    LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = BPF_F_XDP_HAS_FRAGS);
    int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "pass", "GPL", pass, DUNE_ARRAY_LEN(pass), &opts);

    assert_true(fd >= 0);
    assert_int_equal(bpf_xdp_attach((int)if_nametoindex(ifname), fd, XDP_FLAGS_DRV_MODE, NULL), 0);
    close(fd);
}

static void make_links(void)
{
    shell("ip link add s0 type veth peer name d0 && ip link add d1 type veth peer name e0 && "
          "ip link add e1 type veth peer name f0 && ip link add f1 type veth peer name k0");
    shell("for i in s0 d0 d1 e0 e1 f0 f1 k0; do sysctl -qw net.ipv6.conf.$i.disable_ipv6=1; ip link set $i mtu 1600 up; "
          "done");
    pass_at("s0");
    pass_at("k0");
}

static struct dune_plan *make_plan(uint16_t generation)
{
    struct dune_plan *p = kit_plan(3, DEVICES), *read;
    const bool odd = generation & 1;
    const uint32_t threshold[3] = {odd ? 70 : 90, odd ? 110 : 80, odd ? 60 : 100};
    const struct dune_plan_leaf leaf[3][2] = {{{1, 60, 1, 60}, {DUNE_PLAN_OTHER, 90, 1, 20}},
                                              {{DUNE_PLAN_OTHER, 50, 2, 40}, {2, 120, 2, 120}},
                                              {{3, 80, 3, 80}, {3, 30, 3, 30}}};
    struct dune_diag d = {0};
    char *text;
    size_t len;

    for (uint8_t k = 0; k < 3; k++)
        kit_sub(p, (uint8_t)(k + 1), k, (uint8_t)(2 + k), DUNE_MODE_RUNNING, k == 1 ? DUNE_F_LEN_MAX : DUNE_F_IP_LEN, 1,
                &threshold[k], leaf[k]);
    p->generation = generation;
    p->timeout = timeout_ticks;
    p->slots = 64;
    p->ways = 2;
    assert_ok(dune_plan_format(p, &text, &len, &d), d);
    assert_ok(dune_plan_parse(&read, "test", text, len, &d), d); /* trees get their nodes */
    dune_mem_free(text);
    dune_plan_free(p);
    return read;
}

static struct dune_xdp *open_device(int i)
{
    struct dune_xdp_opts o = {.state_bytes = 1 << 16, .trace = true, .trace_bytes = 32 << 20};
    struct dune_xdp_port in = {.number = 0, .ifname = in_if[i], .kind = i ? DUNE_PORT_CHAIN : DUNE_PORT_EDGE, .out = 1};
    struct dune_xdp_port out = {.number = 1, .ifname = out_if[i], .kind = i == 2 ? DUNE_PORT_EDGE : DUNE_PORT_CHAIN,
                                .out = 0, .plain = true};
    struct dune_diag d = {0};
    struct dune_xdp *x;

    assert_ok(dune_xdp_open(&x, &o, &d), d);
    assert_ok(dune_xdp_attach(x, &out, &d), d);
    assert_ok(dune_xdp_attach(x, &in, &d), d);
    return x;
}

/* --- traffic ------------------------------------------------------------------------------------------------------ */

static atomic_bool stop_sending;
static _Atomic uint64_t sent;

/* ACTIVE flows at a time, of random lengths; a flow is its source port. Now and then one ends and another begins. */
static void *send_packets(void *ctx)
{
    struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
                            .sll_ifindex = (int)if_nametoindex("s0")};
    int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
    struct dune_rng r;
    uint16_t first = 1;

    (void)ctx;
    dune_rng_init(&r, 11, 0, 0, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
        return NULL;
    while (!atomic_load(&stop_sending)) {
        struct kit_packet k = {.src = 1, .dst = 2, .dport = 9, .frame_len = (uint16_t)(60 + dune_rng_below(&r, 80))};
        struct kit_frame f;

        k.ip_len = (uint16_t)(k.frame_len - 14u);
        first = (uint16_t)(first + (dune_rng_below(&r, 8) == 0));
        k.sport = (uint16_t)(first + dune_rng_below(&r, ACTIVE));
        kit_make(&f, &k);
        if (send(fd, f.data, f.len, 0) == (ssize_t)f.len)
            atomic_fetch_add(&sent, 1);
        usleep(pause_us);
    }
    close(fd);
    return NULL;
}

static uint64_t packets_at(const char *ifname)
{
    char line[512];
    unsigned long long bytes, packets = 0;
    FILE *f = fopen("/proc/self/net/dev", "r");

    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        char *colon = strchr(line, ':');

        if (colon && strstr(line, ifname) && sscanf(colon + 1, "%llu %llu", &bytes, &packets) == 2)
            break;
    }
    fclose(f);
    return packets;
}

/* --- what the agents and the controller do ------------------------------------------------------------------------- */

struct world {
    struct dune_xdp *x[DEVICES];
    struct dune_trace trace[DEVICES];
    size_t cap[DEVICES];
    struct dune_plan *plan[UPDATES + 2];
    uint64_t drain[UPDATES + 3]; /* up to when flows may keep the generation before this one */
};

static void keep(void *ctx, const struct dune_live_record *r)
{
    struct dune_trace *t = ctx;

    if ((t->n & (t->n - 1)) == 0)
        t->rec = dune_mem_realloc(t->rec, t->n ? t->n * 2 : 1, sizeof(*t->rec));
    t->rec[t->n++] = *r;
}

static void to_first(void *ctx, const struct dune_digest *dg)
{
    struct world *w = ctx;

    dune_xdp_add_rule(w->x[0], dg, dg->tick);
}

static void serve(struct world *w)
{
    struct dune_diag d = {0};

    for (int i = 0; i < DEVICES; i++) {
        assert_true(dune_xdp_poll(w->x[i], 0, to_first, w, &d) >= 0);
        assert_ok(dune_xdp_poll_trace(w->x[i], keep, &w->trace[i], &d), d);
    }
    usleep(500);
}

/* Whether one of the last packets of the first device was of generation g. */
static bool has_packet_of(const struct world *w, uint16_t g)
{
    const struct dune_trace *t = &w->trace[0];

    for (size_t i = t->n; i > 0 && t->n - i < 1000; i--)
        if (t->rec[i - 1].generation == g)
            return true;
    return false;
}

static void update(struct world *w, uint16_t g)
{
    struct dune_diag d = {0};

    w->plan[g] = make_plan(g);
    for (int i = DEVICES; i-- > 0;)
        assert_ok(dune_xdp_hold(w->x[i], w->plan[g], (uint16_t)i, &d), d);
    if (g == 1)
        return;
    serve(w);
    assert_ok(dune_xdp_stamp(w->x[0], g, DUNE_STAMP_ALL, &d), d);
    for (int i = 1; i < DEVICES; i++)
        assert_ok(dune_xdp_stamp(w->x[i], g, DUNE_STAMP_ALL, &d), d);
    w->drain[g] = dune_xdp_drain_until(w->x[0]);
    while (dune_xdp_now() <= w->drain[g])
        serve(w);
    for (int i = 0; i < 10000 && !has_packet_of(w, g); i++) /* on a busy machine the sender may wait longer than a generation lives */
        serve(w);
    for (int i = 0; i < 4; i++) /* what is still on the way */
        serve(w);
    for (int i = 0; i < DEVICES; i++)
        assert_ok(dune_xdp_release(w->x[i], (uint16_t)(g - 1), &d), d);
}

/* --- judgement ------------------------------------------------------------------------------------------------------ */

static int by_serial(const void *x, const void *y)
{
    const struct dune_live_record *a = x, *b = y;

    return a->serial < b->serial ? -1 : a->serial > b->serial;
}

/* Packets of a flow that still has its slot or rule keep its generation up to the deadline. */
static uint32_t check_generations(const struct world *w)
{
    struct {
        uint64_t tick;
        uint16_t generation;
    } *last = dune_mem_zalloc(65536, sizeof(*last));
    const struct dune_trace *t = &w->trace[0];
    uint32_t kept = 0;

    for (size_t i = 0; i < t->n; i++) {
        const struct dune_live_record *r = &t->rec[i];
        uint16_t flow = (uint16_t)(r->frame[34] << 8 | r->frame[35]);
        bool holds = r->fate == DUNE_FATE_RULE_HIT || (r->fate == DUNE_FATE_INFERRED && r->slot != DUNE_SLOT_COLLISION);

        assert_int_not_equal(r->fate, DUNE_FATE_GENERATION_MISSING);
        if (last[flow].generation && r->tick - last[flow].tick <= timeout_ticks) {
            uint64_t deadline = w->drain[last[flow].generation + 1]; /* set when the next one was stamped */

            kept += r->generation == last[flow].generation;
            if (r->generation != last[flow].generation && r->tick <= deadline)
                fail_msg("flow %u: generation %u after %u, %llu ticks before the deadline", flow, r->generation,
                         last[flow].generation, (unsigned long long)(deadline - r->tick));
        }
        last[flow].tick = r->tick;
        last[flow].generation = holds ? r->generation : 0;
    }
    dune_mem_free(last);
    return kept;
}

static void check_traces(struct world *w)
{
    struct dune_judgement j;
    struct dune_diag d = {0};

    for (int i = 0; i < DEVICES; i++) {
        snprintf(w->trace[i].head.device, sizeof(w->trace[i].head.device), "device %c", 'A' + i);
        w->trace[i].complete = true;
        qsort(w->trace[i].rec, w->trace[i].n, sizeof(*w->trace[i].rec), by_serial);
    }
    assert_ok(dune_trace_judge(w->trace, DEVICES, (const struct dune_plan *const *)w->plan + 1, UPDATES + 1, &j, &d), d);
    printf("# %llu records of %u generations: %llu judged by the reference, %llu by digests, %llu differ\n",
           (unsigned long long)j.records, j.generations, (unsigned long long)j.judged, (unsigned long long)j.rule_hits,
           (unsigned long long)j.different);
    if (j.different)
        fail_msg("%s", j.first);
    assert_int_equal(j.generations, UPDATES + 1);
    assert_int_equal(j.no_generation, 0);
    assert_int_equal(j.pinned, 0);
    assert_true(j.rule_hits > 100 && j.judged > 1000);
}

static void hundred_updates(void **state)
{
    struct world *w = DUNE_NEW(struct world);
    struct dune_counters c[DEVICES];
    struct dune_xdp_more more;
    uint64_t before;
    uint32_t kept;
    pthread_t sender;

    (void)state;
    make_links();
    for (int i = 0; i < DEVICES; i++)
        w->x[i] = open_device(i);
    update(w, 1);
    before = packets_at("k0");
    assert_int_equal(pthread_create(&sender, NULL, send_packets, NULL), 0);
    while (w->trace[2].n < 100) /* some under the first plan */
        serve(w);
    for (uint16_t g = 2; g <= UPDATES + 1; g++)
        update(w, g);
    atomic_store(&stop_sending, true);
    pthread_join(sender, NULL);
    for (int i = 0; i < 100; i++)
        serve(w);
    for (int i = 0; i < DEVICES; i++) {
        dune_xdp_counters(w->x[i], &c[i], &more);
        assert_int_equal(more.events_lost, 0);
        assert_int_equal(more.lock_timeouts, 0);
        assert_int_equal(c[i].in, atomic_load(&sent)); /* none is lost on the way to it */
        assert_int_equal(c[i].out, c[i].in);
        assert_int_equal(w->trace[i].n, c[i].in);
    }
    assert_int_equal(packets_at("k0") - before, atomic_load(&sent));
    check_traces(w);
    kept = check_generations(w);
    printf("# %llu packets, %u right after another of their flow\n", (unsigned long long)atomic_load(&sent), kept);
    assert_true(kept > 500);
    for (int i = 0; i < DEVICES; i++) {
        dune_xdp_close(w->x[i], DUNE_XDP_DETACH);
        dune_trace_fini(&w->trace[i]);
    }
    for (uint32_t g = 1; g <= UPDATES + 1; g++)
        dune_plan_free(w->plan[g]);
    dune_mem_free(w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(hundred_updates)};
    const char *why = dune_xdp_available();

    if (argc > 1 && strcmp(argv[1], "long") == 0) {
        timeout_ticks = 976562;
        pause_us = 2000;
    }
    if (!why && unshare(CLONE_NEWNET) != 0)
        why = "no network namespaces here";
    if (!why && system("ip link set lo up") != 0)
        why = "ip is not installed";
    if (why) {
        printf("1..0 # SKIP %s\n", why);
        return 0;
    }
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
