/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XDP devices on veth pairs in a network namespace of their own:
 *
 *   s0 ---- d0 [device] d1 ---- k0        m0 ---- m1
 *   source   0          1       sink    2: mirror, steer
 */
#include "targets/xdp/dune_xdp.h"
#include "unit/targets/chain_kit.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <arpa/inet.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- links ---------------------------------------------------------------------------------------------------- */

static void shell(const char *command)
{
    if (system(command) != 0)
        fail_msg("%s", command);
}

/* A native program on the far end lets a veth take redirected frames. */
static int pass_program(void)
{
    static const struct bpf_insn pass[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
        {.code = BPF_JMP | BPF_EXIT},
    };
    LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = BPF_F_XDP_HAS_FRAGS);
    int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "pass", "GPL", pass, DUNE_ARRAY_LEN(pass), &opts);

    assert_true(fd >= 0);
    return fd;
}

static int make_links(void **state)
{
    static const char *const far[] = {"s0", "k0", "m1"};
    int fd;

    (void)state;
    shell("ip link add s0 type veth peer name d0 && ip link add d1 type veth peer name k0 && "
          "ip link add m0 type veth peer name m1");
    shell("for i in s0 d0 d1 k0 m0 m1; do sysctl -qw net.ipv6.conf.$i.disable_ipv6=1; ip link set $i up; done");
    fd = pass_program();
    for (size_t i = 0; i < DUNE_ARRAY_LEN(far); i++)
        assert_int_equal(bpf_xdp_attach((int)if_nametoindex(far[i]), fd, XDP_FLAGS_DRV_MODE, NULL), 0);
    close(fd);
    return 0;
}

static int remove_links(void **state)
{
    (void)state;
    shell("ip link del s0 && ip link del k0 && ip link del m0");
    return 0;
}

static int open_link(const char *name)
{
    struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
                            .sll_ifindex = (int)if_nametoindex(name)};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL));

    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
    return fd;
}

/* The next frame that came in, within a second; 0 bytes: none. */
static size_t receive(int fd, uint8_t *out, size_t room, int wait_ms)
{
    struct sockaddr_ll from;
    socklen_t n = sizeof(from);
    struct pollfd p = {.fd = fd, .events = POLLIN};

    while (poll(&p, 1, wait_ms) == 1) {
        ssize_t got = recvfrom(fd, out, room, 0, (struct sockaddr *)&from, &n);

        if (got > 0 && from.sll_pkttype != PACKET_OUTGOING)
            return (size_t)got;
    }
    return 0;
}

static void send_frame(int fd, const struct kit_frame *f)
{
    assert_int_equal(send(fd, f->data, f->len, 0), f->len);
}

/* --- devices ------------------------------------------------------------------------------------------------------ */

static const struct kit_packet plain_packet = {.src = 1, .dst = 2, .sport = 3, .dport = 4, .frame_len = 80};

static struct dune_xdp *device(const struct dune_plan *p, uint16_t index, enum dune_xdp_mode mode, int in, int out)
{
    struct dune_xdp_opts o = {.state_bytes = 1 << 16};
    struct dune_xdp_port a = {.number = 0, .ifname = "d0", .kind = in, .out = 1, .mode = mode};
    struct dune_xdp_port b = {.number = 1, .ifname = "d1", .kind = out, .out = 0, .mode = mode, .plain = true};
    struct dune_diag d = {0};
    struct dune_xdp *x;

    assert_ok(dune_xdp_open(&x, &o, &d), d);
    if (p)
        assert_ok(dune_xdp_hold(x, p, index, &d), d);
    assert_ok(dune_xdp_attach(x, &b, &d), d);
    assert_ok(dune_xdp_attach(x, &a, &d), d);
    return x;
}

/* Trees get their nodes when a plan is read. */
static struct dune_plan *with_nodes(struct dune_plan *p)
{
    struct dune_plan *read;
    struct dune_diag d = {0};
    char *text;
    size_t len;

    assert_ok(dune_plan_format(p, &text, &len, &d), d);
    assert_ok(dune_plan_parse(&read, "test", text, len, &d), d);
    dune_mem_free(text);
    dune_plan_free(p);
    return read;
}

static struct dune_plan *plan_with(enum dune_action_kind action, uint32_t arg)
{
    static const struct dune_plan_leaf first[2] = {{2, 99, 2, 99}, {1, 200, 1, 200}};
    static const struct dune_plan_leaf second[2] = {{1, 99, 1, 99}, {2, 220, 2, 220}};
    const uint32_t threshold = 5; /* all packets are longer */
    struct dune_plan *p = kit_plan(2, 2);

    kit_sub(p, 1, 0, 2, DUNE_MODE_RUNNING, DUNE_F_IP_LEN, 1, &threshold, first);
    kit_sub(p, 2, 1, 2, DUNE_MODE_RUNNING, DUNE_F_IP_LEN, 1, &threshold, second);
    p->cls[0].action = p->cls[1].action = action;
    p->cls[0].action_arg = p->cls[1].action_arg = arg;
    p->cls[0].action_any = p->cls[1].action_any = action == DUNE_ACTION_DROP || action == DUNE_ACTION_MIRROR;
    p->slots = 64;
    return with_nodes(p);
}

static bool attached(const char *ifname)
{
    LIBBPF_OPTS(bpf_xdp_query_opts, q);

    assert_int_equal(bpf_xdp_query((int)if_nametoindex(ifname), 0, &q), 0);
    return q.attach_mode != XDP_ATTACHED_NONE;
}

static void check_counters(const struct dune_xdp *x, uint64_t in)
{
    struct dune_counters c;
    struct dune_diag d = {0};

    dune_xdp_counters(x, &c, NULL);
    assert_ok(dune_counters_check(&c, 1, false, &d), d);
    assert_int_equal(c.in, in);
}

/* --- tests ---------------------------------------------------------------------------------------------------------- */

/* First device: the frames that leave are the frames of the reference. */
static void run_first(enum dune_xdp_mode mode)
{
    struct dune_plan *p = plan_with(DUNE_ACTION_FORWARD, 0);
    struct dune_xdp *x = device(p, 0, mode, DUNE_PORT_EDGE, DUNE_PORT_CHAIN);
    int src = open_link("s0"), dst = open_link("k0");
    struct dune_ref_device *ref;
    struct dune_diag d = {0};
    struct kit_frame f;
    uint8_t got[2048];

    assert_ok(dune_ref_device_new(&ref, p, 0, NULL, &d), d);
    for (int i = 0; i < 6; i++) {
        struct kit_packet k = plain_packet;
        struct dune_device_in in = {.tick = (uint64_t)i, .port = DUNE_PORT_EDGE, .out_port = DUNE_PORT_CHAIN};
        struct dune_device_out out;

        k.n_vlan = i % 3 == 2;
        kit_make(&f, &k);
        send_frame(src, &f);
        in.data = f.data;
        in.cap_len = in.wire_len = f.len;
        dune_ref_device_process(ref, &in, &out);
        /* The kernel takes a tag off before it hands a frame to a socket. */
        assert_int_equal(receive(dst, got, sizeof(got), 1000) + 4 * k.n_vlan, out.cap_len);
        assert_memory_equal(got, out.data, 12);
        assert_memory_equal(got + 12, out.data + 12 + 4 * k.n_vlan, out.cap_len - 12 - 4 * k.n_vlan);
    }
    check_counters(x, 6);
    assert_int_equal(dune_xdp_port_mode(x, 0), mode);
    dune_xdp_close(x, DUNE_XDP_DETACH);
    assert_false(attached("d0") || attached("d1"));
    dune_ref_device_free(ref);
    close(src);
    close(dst);
    dune_plan_free(p);
}

static void test_native(void **state)
{
    run_first(DUNE_XDP_NATIVE);
    (void)state;
}

static void test_generic(void **state)
{
    run_first(DUNE_XDP_GENERIC);
    (void)state;
}

static void keep_digest(void *ctx, const struct dune_digest *dg)
{
    *(struct dune_digest *)ctx = *dg;
}

/* Last device, edge to edge for the test: digest, rule, rule hit, removal; latency. */
static void test_digest_and_rule(void **state)
{
    struct dune_plan *p = plan_with(DUNE_ACTION_FORWARD, 0);
    struct dune_xdp *x = device(p, 1, DUNE_XDP_AUTO, DUNE_PORT_EDGE, DUNE_PORT_EDGE);
    int src = open_link("s0"), dst = open_link("k0");
    uint64_t bin[DUNE_XDP_LATENCY_BINS];
    struct dune_digest dg = {0}, listed = {0};
    struct dune_counters c;
    struct dune_diag d = {0};
    struct kit_frame f;
    uint8_t got[2048];

    kit_make(&f, &plain_packet);
    for (int i = 0; i < 4; i++) {
        send_frame(src, &f);
        assert_int_equal(receive(dst, got, sizeof(got), 1000), f.len);
        assert_memory_equal(got, f.data, f.len);
    }
    assert_int_equal(dune_xdp_poll(x, 1000, keep_digest, &dg, &d), 1);
    assert_int_equal(dg.cls, 2);
    assert_int_equal(dg.conf, 220);
    assert_true(dg.tick <= dune_xdp_now() && dune_xdp_now() - dg.tick < 100000000);
    assert_int_equal(dune_xdp_live_slots(x, p->generation, dune_xdp_now()), 1);
    dune_xdp_add_rule(x, &dg, 0);
    send_frame(src, &f);
    assert_int_equal(receive(dst, got, sizeof(got), 1000), f.len);
    dune_xdp_counters(x, &c, NULL);
    assert_int_equal(c.rule_hit, 1);
    dune_xdp_list_rules(x, keep_digest, &listed);
    assert_true(listed.cls == 2 && dune_flow_key_equal(&listed.key, &dg.key));
    assert_int_equal(dune_xdp_sweep_rules(x), 1);
    dune_xdp_remove_rule(x, p->generation, &dg.key);
    assert_int_equal(dune_xdp_sweep_rules(x), 0);
    dune_xdp_latency(x, bin);
    assert_true(dune_xdp_latency_quantile(bin, 0.5) > 0);
    check_counters(x, 5);
    dune_xdp_close(x, DUNE_XDP_DETACH);
    close(src);
    close(dst);
    dune_plan_free(p);
    (void)state;
}

static void expect_action(enum dune_action_kind action, bool at_sink, bool at_mirror)
{
    struct dune_plan *p = plan_with(action, action == DUNE_ACTION_DROP ? 0 : 2);
    struct dune_xdp *x = device(p, 1, DUNE_XDP_NATIVE, DUNE_PORT_EDGE, DUNE_PORT_EDGE);
    struct dune_xdp_port m = {.number = 2, .ifname = "m0", .kind = DUNE_PORT_EDGE, .out = 1};
    int src = open_link("s0"), dst = open_link("k0"), far = open_link("m1");
    struct dune_diag d = {0};
    struct kit_frame f;
    uint8_t got[2048];

    assert_ok(dune_xdp_attach(x, &m, &d), d);
    kit_make(&f, &plain_packet);
    send_frame(src, &f);
    assert_int_equal(receive(dst, got, sizeof(got), at_sink ? 1000 : 100), at_sink ? f.len : 0);
    if (action == DUNE_ACTION_MARK)
        assert_int_equal(got[15], 2 << 2);
    assert_int_equal(receive(far, got, sizeof(got), at_mirror ? 1000 : 100), at_mirror ? f.len : 0);
    check_counters(x, 1);
    dune_xdp_close(x, DUNE_XDP_DETACH);
    close(src);
    close(dst);
    close(far);
    dune_plan_free(p);
}

static void test_actions(void **state)
{
    expect_action(DUNE_ACTION_MARK, true, false);
    expect_action(DUNE_ACTION_STEER, false, true);
    expect_action(DUNE_ACTION_DROP, false, false);
    expect_action(DUNE_ACTION_MIRROR, true, true);
    (void)state;
}

static void with_shim(struct kit_frame *f)
{
    kit_make(f, &plain_packet);
    memmove(f->data + 22, f->data + 14, f->len - 14);
    memcpy(f->data + 12, "\x88\xb5\x34\x01\x01\xff\x00\x01\x08\x00", 10);
    f->len += 8;
}

static void expect_strip(int src, int dst, int back_from, int back_to)
{
    struct kit_frame f, plain;
    uint8_t got[2048];

    with_shim(&f);
    kit_make(&plain, &plain_packet);
    send_frame(src, &f);
    assert_int_equal(receive(dst, got, sizeof(got), 1000), plain.len);
    assert_memory_equal(got, plain.data, plain.len);
    send_frame(back_from, &f); /* has no business there */
    send_frame(back_from, &plain);
    assert_int_equal(receive(back_to, got, sizeof(got), 1000), plain.len);
}

/* Without a plan, with the minimal program alone, and after taking over what an earlier process left. */
static void test_strip(void **state)
{
    struct dune_xdp *x = device(NULL, 0, DUNE_XDP_AUTO, DUNE_PORT_CHAIN, DUNE_PORT_EDGE);
    int src = open_link("s0"), dst = open_link("k0");
    struct dune_diag d = {0};
    int fd;

    expect_strip(src, dst, dst, src);
    dune_xdp_close(x, DUNE_XDP_STRIP);
    assert_true(attached("d0") && attached("d1"));
    expect_strip(src, dst, dst, src);
    x = device(NULL, 0, DUNE_XDP_AUTO, DUNE_PORT_CHAIN, DUNE_PORT_EDGE);
    expect_strip(src, dst, dst, src);
    dune_xdp_close(x, DUNE_XDP_STRIP);
    assert_ok(dune_xdp_clean("d0", &d), d);
    assert_ok(dune_xdp_clean("d1", &d), d);
    assert_false(attached("d0") || attached("d1"));
    fd = pass_program(); /* somebody else's */
    assert_int_equal(bpf_xdp_attach((int)if_nametoindex("d0"), fd, XDP_FLAGS_DRV_MODE, NULL), 0);
    assert_ok(dune_xdp_open(&x, NULL, &d), d);
    assert_int_equal(dune_xdp_attach(x, &(struct dune_xdp_port){.ifname = "d0", .out = 1}, &d), DUNE_E_ENV);
    assert_non_null(strstr(d.msg, "somebody else"));
    dune_xdp_close(x, DUNE_XDP_DETACH);
    assert_true(attached("d0"));
    bpf_xdp_detach((int)if_nametoindex("d0"), XDP_FLAGS_DRV_MODE, NULL);
    close(fd);
    close(src);
    close(dst);
    (void)state;
}

static void pass_frames(int src, int dst, int n)
{
    struct kit_frame f;
    uint8_t got[2048];

    kit_make(&f, &plain_packet);
    for (int i = 0; i < n; i++) {
        send_frame(src, &f);
        assert_true(receive(dst, got, sizeof(got), 1000) > 0);
    }
}

/* A program whose process is gone counts on; the third life of a device knows what all three have seen. */
static void test_carried_counts(void **state)
{
    struct dune_plan *p = plan_with(DUNE_ACTION_FORWARD, 0);
    struct dune_xdp *life[3];
    int src = open_link("s0"), dst = open_link("k0");

    for (int i = 0; i < 3; i++) {
        life[i] = device(p, 0, DUNE_XDP_NATIVE, DUNE_PORT_EDGE, DUNE_PORT_CHAIN);
        check_counters(life[i], 0);
        dune_xdp_carry_counts(life[i]);
        check_counters(life[i], 5u * (unsigned)i);
        assert_int_equal(dune_xdp_refused(life[i]), 0);
        pass_frames(src, dst, 5);
        check_counters(life[i], 5u * (unsigned)i + 5);
    }
    check_counters(life[0], 5); /* each only what passed until it was replaced */
    for (int i = 2; i >= 0; i--)
        dune_xdp_close(life[i], DUNE_XDP_DETACH);
    assert_false(attached("d0") || attached("d1"));
    close(src);
    close(dst);
    dune_plan_free(p);
    (void)state;
}

/* Plans come and go while packets pass: none is lost, each carries a generation that was held. */
static void test_swap(void **state)
{
    struct dune_plan *p = plan_with(DUNE_ACTION_FORWARD, 0);
    struct dune_xdp *x = device(p, 0, DUNE_XDP_NATIVE, DUNE_PORT_EDGE, DUNE_PORT_CHAIN);
    int src = open_link("s0"), dst = open_link("k0");
    struct dune_diag d = {0};
    struct kit_frame f;
    uint8_t got[2048];

    p->timeout = 1;
    for (uint16_t g = 2; g < 40; g++) {
        struct kit_packet k = plain_packet;

        k.sport = g;
        kit_make(&f, &k);
        p->generation = g;
        assert_ok(dune_xdp_hold(x, p, 0, &d), d);
        assert_ok(dune_xdp_stamp(x, g, DUNE_STAMP_ALL, &d), d);
        send_frame(src, &f);
        assert_int_equal(receive(dst, got, sizeof(got), 1000), f.len + 8);
        assert_int_equal(got[18] << 8 | got[19], g);
        assert_int_equal(dune_xdp_hold(x, p, 0, &d), DUNE_E_USAGE);
        d = (struct dune_diag){0};
        assert_ok(dune_xdp_release(x, g - 1u, &d), d);
    }
    check_counters(x, 38);
    dune_xdp_close(x, DUNE_XDP_DETACH);
    close(src);
    close(dst);
    dune_plan_free(p);
    (void)state;
}

/* Packets with a shim, handed to other CPUs by slot: all arrive, each judged once. */
static void test_spread(void **state)
{
    enum { FLOWS = 40 };
    struct dune_plan *p = plan_with(DUNE_ACTION_FORWARD, 0);
    struct dune_xdp_opts o = {.state_bytes = 1 << 16, .spread = 1 + (sysconf(_SC_NPROCESSORS_ONLN) > 1)};
    struct dune_xdp_port in = {.ifname = "d0", .kind = DUNE_PORT_CHAIN, .out = 1, .mode = DUNE_XDP_NATIVE};
    struct dune_xdp_port out = {.number = 1, .ifname = "d1", .kind = DUNE_PORT_EDGE, .out = 0, .plain = true,
                                .mode = DUNE_XDP_NATIVE};
    int src = open_link("s0"), dst = open_link("k0");
    struct dune_xdp_more more;
    struct dune_xdp *x;
    struct dune_diag d = {0};
    struct kit_frame f;
    uint8_t got[2048];

    assert_ok(dune_xdp_open(&x, &o, &d), d);
    assert_ok(dune_xdp_hold(x, p, 1, &d), d);
    assert_ok(dune_xdp_attach(x, &out, &d), d);
    assert_ok(dune_xdp_attach(x, &in, &d), d);
    for (uint32_t i = 0; i < FLOWS; i++) {
        with_shim(&f);
        f.data[37] = (uint8_t)i; /* of the source port */
        send_frame(src, &f);
        assert_int_equal(receive(dst, got, sizeof(got), 1000), f.len - 8);
    }
    check_counters(x, FLOWS);
    dune_xdp_counters(x, &(struct dune_counters){0}, &more);
    assert_int_equal(more.spread, FLOWS);
    dune_xdp_close(x, DUNE_XDP_DETACH);
    close(src);
    close(dst);
    dune_plan_free(p);
    (void)state;
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, make_links, remove_links)
    const struct CMUnitTest tests[] = {T(test_native), T(test_generic), T(test_digest_and_rule), T(test_actions),
                                       T(test_strip), T(test_carried_counts), T(test_swap),
                                       T(test_spread)};
    const char *why = dune_xdp_available();

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
