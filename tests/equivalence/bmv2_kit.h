/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices on simple_switch beside reference devices, in a network namespace of the chain's own, so that what a
 * failed test leaves behind meets no later one:
 *
 *   test a<i> === p<i> port 0 [simple_switch i] port 1 q<i> === b<i> test
 *                              port 64 r<i> === c<i> test (digests);  ports 2 and 3: s<i> === d<i>, t<i> === e<i>
 *
 * Every device gets what the reference device before it sends, so that one difference stays one. Frames go in
 * windows; each must come out as the reference says, byte for byte, in order, at the right port. The test clock
 * gives the time: 8 bytes in front of every frame.
 */
#ifndef DUNE_TEST_BMV2_KIT_H
#define DUNE_TEST_BMV2_KIT_H

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dune/bmv2.h"
#include "dune/capture.h"
#include "unit/targets/random_chain.h"

#define BMV2_WINDOW 16 /* frames on their way: the switch reads from a ring of 2 MiB, which holds 31 of the largest */
#define BMV2_CLOCK 8
#define BMV2_PATIENCE 60000 /* ms; a busy machine is no difference */
#define BMV2_MIN_FRAME 6 /* less than Ethernet's 14 bytes with the clock cannot be sent */

enum { OUT_1, OUT_2, OUT_3, N_OUT };

struct bmv2_frame {
    uint8_t *data;
    size_t len;
};

struct bmv2_device {
    struct dune_bmv2 *sw;
    struct dune_ref_device *ref;
    int in_fd[2], out_fd[N_OUT];
    DUNE_VEC(struct bmv2_frame) send, expect[N_OUT];
    DUNE_VEC(struct dune_digest) want, got;
    uint64_t in;
};

struct bmv2_chain {
    const struct dune_plan *plan;
    const char *what;
    char dir[64];
    uint32_t n;
    struct bmv2_device dev[8];
    struct dune_chain_opts opts;
    bool release; /* flows that get a rule give up their slot there */
    unsigned waiting;
    struct dune_shim last; /* of the last packet, at the end of the chain */
    uint64_t packets, skipped, digests, hits, released, settled, inferable;
};

/* --- namespace and links --------------------------------------------------------------------------------- */

static inline void bmv2_sh(const char *fmt, ...)
{
    char command[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(command, sizeof(command), fmt, ap);
    va_end(ap);
    if (system(command) != 0)
        fail_msg("failed: %s", command);
}

/* NULL when the test can run. */
static inline const char *bmv2_why_not(void)
{
    const char *why = dune_bmv2_available();

    if (why)
        return why;
    if (geteuid() != 0)
        return "needs root";
    return system("command -v ip >/dev/null 2>&1") ? "the command ip is not installed" : NULL;
}

/* Switches of the chain that is open; of a failed test they are still here when the next one begins. */
static struct {
    struct dune_bmv2 *sw[8];
} bmv2_running;

static inline void bmv2_clean_up(void)
{
    for (size_t i = 0; i < DUNE_ARRAY_LEN(bmv2_running.sw); i++)
        if (bmv2_running.sw[i])
            dune_bmv2_stop(bmv2_running.sw[i]);
    memset(&bmv2_running, 0, sizeof(bmv2_running));
}

/* A new one, without the links of the last. */
static inline void bmv2_namespace(void)
{
    bmv2_clean_up();
    if (unshare(CLONE_NEWNET) != 0)
        fail_msg("no network namespace: %s", strerror(errno));
    bmv2_sh("ip link set lo up; sysctl -q -w net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 2>/dev/null; true");
}

static inline int bmv2_tap(const char *name)
{
    struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_protocol = htons(3)};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(3)), size = 64 << 20, one = 1;

    a.sll_ifindex = (int)if_nametoindex(name);
    assert_true(fd >= 0 && a.sll_ifindex);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
    return fd;
}

static inline void bmv2_link(char ours, char theirs, uint32_t i)
{
    bmv2_sh("ip link add %c%u type veth peer name %c%u && ip link set %c%u up mtu 65535 arp off && "
            "ip link set %c%u up mtu 65535 arp off", ours, i, theirs, i, ours, i, theirs, i);
}

static inline void bmv2_links(struct bmv2_device *x, uint32_t i)
{
    static const char ours[] = "abcde", theirs[] = "pqrst";
    char name[8];

    for (unsigned k = 0; k < 5; k++)
        bmv2_link(ours[k], theirs[k], i);
    snprintf(name, sizeof(name), "a%u", i);
    x->in_fd[0] = bmv2_tap(name);
    snprintf(name, sizeof(name), "b%u", i);
    x->in_fd[1] = x->out_fd[OUT_1] = bmv2_tap(name);
    snprintf(name, sizeof(name), "d%u", i);
    x->out_fd[OUT_2] = bmv2_tap(name);
    snprintf(name, sizeof(name), "e%u", i);
    x->out_fd[OUT_3] = bmv2_tap(name);
}

/* --- opening ------------------------------------------------------------------------------------------------ */

static inline void bmv2_want_digest(void *ctx, const struct dune_digest *dg)
{
    struct bmv2_device *x = ctx;

    DUNE_VEC_PUSH(&x->want, *dg);
}

static inline void bmv2_got_digest(void *ctx, const struct dune_digest *dg)
{
    struct bmv2_device *x = ctx;

    DUNE_VEC_PUSH(&x->got, *dg);
}

/* All devices at the same time: the compiler is the slowest part. */
static inline void bmv2_compile(struct bmv2_chain *c)
{
    pid_t pid[8];

    fflush(stdout);

    for (uint32_t i = 0; i < c->n; i++) {
        pid[i] = fork();
        if (pid[i] == 0) {
            char dir[96], *json;
            struct dune_diag d = {0};
            int rc;

            snprintf(dir, sizeof(dir), "%s/%u", c->dir, i);
            rc = dune_bmv2_compile(c->plan, i, dir, true, &json, &d);
            if (rc)
                printf("# %s, device %u: %s\n", c->what, i, d.msg);
            fflush(stdout);
            _exit(rc ? 1 : 0);
        }
    }
    for (uint32_t i = 0; i < c->n; i++) {
        int status = 1;

        assert_true(waitpid(pid[i], &status, 0) == pid[i]);
        assert_int_equal(status, 0);
    }
}

static inline void bmv2_device_open(struct bmv2_chain *c, uint32_t i)
{
    struct bmv2_device *x = &c->dev[i];
    char log[128], json[192];
    struct dune_diag d = {0};
    struct dune_bmv2_cfg cfg = {.device = (uint16_t)i, .n_ports = 5, .drop_edge_shim = c->opts.drop_edge_shim,
                                .digest_rate = c->opts.digest_rate, .digest_burst = c->opts.digest_burst,
                                .test_clock = true};
    char port[5][8], digests[8];
    static const uint16_t number[] = {0, 1, DUNE_BMV2_CPU_PORT, 2, 3};

    bmv2_links(x, i);
    for (unsigned k = 0; k < 5; k++) {
        snprintf(port[k], sizeof(port[k]), "%c%u", "pqrst"[k], i);
        cfg.port[k].number = number[k];
        cfg.port[k].kind = (number[k] == 0 && i > 0) || (number[k] == 1 && i + 1 < c->n) ? DUNE_PORT_CHAIN : DUNE_PORT_EDGE;
        cfg.port[k].ifname = port[k];
    }
    snprintf(digests, sizeof(digests), "c%u", i);
    snprintf(json, sizeof(json), "%s/%u/%s/%s.json", c->dir, i, c->plan->device[i].name, c->plan->device[i].name);
    snprintf(log, sizeof(log), "%s/%u.log", c->dir, i);
    cfg.digests = digests;
    cfg.log = log;
    cfg.json = json;
    assert_ok(dune_bmv2_start(&x->sw, &cfg, c->plan, &d), d);
    bmv2_running.sw[i] = x->sw;
    assert_ok(dune_bmv2_load(x->sw, c->plan, &d), d);
    assert_ok(dune_bmv2_stamp(x->sw, c->plan->generation, 0, &d), d);
    assert_ok(dune_ref_device_new(&x->ref, c->plan, (uint16_t)i, &c->opts, &d), d);
    dune_ref_device_on_digest(x->ref, bmv2_want_digest, x);
}

static inline void bmv2_open(struct bmv2_chain *c, const struct dune_plan *p, const struct dune_chain_opts *o,
                             const char *what)
{
    memset(c, 0, sizeof(*c));
    c->plan = p;
    c->what = what;
    c->n = p->n_devices;
    if (o)
        c->opts = *o;
    bmv2_namespace();
    snprintf(c->dir, sizeof(c->dir), "/tmp/dune_bmv2.XXXXXX");
    assert_non_null(mkdtemp(c->dir));
    bmv2_compile(c);
    for (uint32_t i = 0; i < c->n; i++)
        bmv2_device_open(c, i);
}

/* --- comparing ---------------------------------------------------------------------------------------------- */

static inline void bmv2_hex(char *out, size_t size, const uint8_t *p, size_t n)
{
    size_t at = 0;

    out[0] = '\0';
    for (size_t i = 0; i < n && at + 3 < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%02x", p[i]);
}

static inline void bmv2_compare(const struct bmv2_chain *c, uint32_t i, unsigned port, const struct bmv2_frame *w,
                                const uint8_t *got, size_t n)
{
    char want_text[200], got_text[200];

    if (w->len == n && memcmp(w->data, got, n) == 0)
        return;
    bmv2_hex(want_text, sizeof(want_text), w->data, w->len);
    bmv2_hex(got_text, sizeof(got_text), got, n);
    fail_msg("%s: device %u, port %u, near packet %llu: %zu bytes %s, the reference has %zu bytes %s", c->what, i,
             port + 1, (unsigned long long)c->packets, n, got_text, w->len, want_text);
}

static inline void bmv2_collect(struct bmv2_chain *c, uint32_t i, unsigned port)
{
    static uint8_t buf[70000];
    struct bmv2_device *x = &c->dev[i];

    for (size_t k = 0; k < x->expect[port].len; k++) {
        struct pollfd p = {.fd = x->out_fd[port], .events = POLLIN};
        ssize_t n;

        if (poll(&p, 1, BMV2_PATIENCE) <= 0)
            fail_msg("%s: device %u, port %u, near packet %llu: %zu of %zu frames did not come", c->what, i,
                     port + 1, (unsigned long long)c->packets, x->expect[port].len - k, x->expect[port].len);
        n = recv(x->out_fd[port], buf, sizeof(buf), 0);
        assert_true(n >= 0);
        bmv2_compare(c, i, port, &x->expect[port].data[k], buf, (size_t)n);
        dune_mem_free(x->expect[port].data[k].data);
    }
    x->expect[port].len = 0;
}

static inline bool bmv2_same_digest(const struct dune_digest *a, const struct dune_digest *b)
{
    return a->device == b->device && a->generation == b->generation && a->tick == b->tick && a->cls == b->cls &&
           a->flags == b->flags && a->submodel == b->submodel && a->conf == b->conf &&
           dune_flow_key_equal(&a->key, &b->key);
}

static inline void bmv2_collect_digests(struct bmv2_chain *c, uint32_t i)
{
    struct bmv2_device *x = &c->dev[i];

    while (x->got.len < x->want.len) {
        struct pollfd p = {.fd = dune_bmv2_digest_fd(x->sw), .events = POLLIN};

        if (poll(&p, 1, BMV2_PATIENCE) <= 0)
            fail_msg("%s: device %u, near packet %llu: %zu digests did not come", c->what, i,
                     (unsigned long long)c->packets, x->want.len - x->got.len);
        dune_bmv2_digests(x->sw, bmv2_got_digest, x);
    }
    assert_int_equal(x->got.len, x->want.len);
    for (size_t k = 0; k < x->want.len; k++)
        if (!bmv2_same_digest(&x->want.data[k], &x->got.data[k])) {
            char w[90], g[90];

            bmv2_hex(w, sizeof(w), x->want.data[k].key.bytes, x->want.data[k].key.len);
            bmv2_hex(g, sizeof(g), x->got.data[k].key.bytes, x->got.data[k].key.len);
            printf("# flow %s, generation %u, confidence %u; the reference has %s, %u, %u\n", g,
                   x->got.data[k].generation, x->got.data[k].conf, w, x->want.data[k].generation, x->want.data[k].conf);
            fail_msg("%s: device %u, near packet %llu: digest class %u, sub-model %u, flags %02x, tick %llu; the "
                     "reference has %u, %u, %02x, %llu", c->what, i, (unsigned long long)c->packets,
                     x->got.data[k].cls, x->got.data[k].submodel, x->got.data[k].flags,
                     (unsigned long long)x->got.data[k].tick, x->want.data[k].cls, x->want.data[k].submodel,
                     x->want.data[k].flags, (unsigned long long)x->want.data[k].tick);
        }
    c->digests += x->want.len;
}

/* What is in the slots of the reference is in those of the switch. */
static inline bool bmv2_same_slot(struct bmv2_chain *c, uint32_t i, uint32_t index)
{
    struct dune_slot_view v;
    struct dune_diag d = {0};
    uint32_t id;

    assert_true(dune_ref_device_slot(c->dev[i].ref, c->plan->generation, index, 0, &v));
    assert_ok(dune_bmv2_slot_id(c->dev[i].sw, c->plan->generation, index, &id, &d), d);
    return id == (v.used ? v.id : 0);
}

/* Empties the slot of a flow on both sides. The packet goes another way than those of the traffic: wait until it is there. */
static inline void bmv2_release(struct bmv2_chain *c, uint32_t i, const struct dune_flow_key *key)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    struct dune_slot_view v;
    struct dune_diag d = {0};
    uint32_t index, id;
    int ms = 0;

    dune_flow_slot(c->plan, c->plan->slots, key, &index, &id);
    if (!dune_ref_device_slot(c->dev[i].ref, c->plan->generation, index, 0, &v)) /* keeps none */
        return;
    c->released += v.used && v.id == id;
    dune_ref_device_release(c->dev[i].ref, c->plan->generation, key);
    assert_ok(dune_bmv2_release(c->dev[i].sw, c->plan->generation, key, &d), d);
    while (!bmv2_same_slot(c, i, index) && ms++ < BMV2_PATIENCE)
        nanosleep(&pause, NULL);
    if (ms >= BMV2_PATIENCE)
        fail_msg("%s: device %u, near packet %llu: slot %u was not released", c->what, i, (unsigned long long)c->packets, index);
}

/* Digests of all devices to rules of the first (all with rules_everywhere), as the reference chain does. */
static inline void bmv2_install(struct bmv2_chain *c)
{
    struct dune_diag d = {0};
    bool added;

    for (uint32_t i = 0; i < c->n; i++)
        for (size_t k = 0; k < c->dev[i].want.len && c->opts.rules; k++)
            for (uint32_t to = 0; to < (c->opts.rules_everywhere ? c->n : 1); to++) {
                const struct dune_digest *dg = &c->dev[i].want.data[k];

                dune_ref_device_add_rule(c->dev[to].ref, dg, dg->tick);
                assert_ok(dune_bmv2_put_rule(c->dev[to].sw, dg, &added, &d), d);
                if (c->release)
                    bmv2_release(c, to, &dg->key);
            }
    for (uint32_t i = 0; i < c->n; i++)
        c->dev[i].want.len = c->dev[i].got.len = 0;
}

/* Sends what waits to all devices, takes what comes out. */
static inline void bmv2_flush(struct bmv2_chain *c)
{
    for (uint32_t i = 0; i < c->n; i++) {
        for (size_t k = 0; k < c->dev[i].send.len; k++) {
            struct bmv2_frame *f = &c->dev[i].send.data[k];

            if (send(c->dev[i].in_fd[0], f->data, f->len, 0) != (ssize_t)f->len)
                fail_msg("%s: cannot send %zu bytes: %s", c->what, f->len, strerror(errno));
            dune_mem_free(f->data);
        }
        c->dev[i].send.len = 0;
    }
    for (uint32_t i = 0; i < c->n; i++) {
        for (unsigned port = 0; port < N_OUT; port++)
            bmv2_collect(c, i, port);
        bmv2_collect_digests(c, i);
    }
    bmv2_install(c);
    c->waiting = 0;
}

/* --- packets ------------------------------------------------------------------------------------------------ */

static inline struct bmv2_frame bmv2_clocked(const uint8_t *data, size_t len, uint64_t tick)
{
    struct bmv2_frame f = {dune_mem_alloc(len + BMV2_CLOCK, 1), len + BMV2_CLOCK};

    for (unsigned i = 0; i < BMV2_CLOCK; i++)
        f.data[i] = (uint8_t)(tick >> (56 - 8 * i));
    if (len)
        memcpy(f.data + BMV2_CLOCK, data, len);
    return f;
}

static inline unsigned bmv2_port(uint32_t port)
{
    return port == DUNE_NO_PORT || port == 1 ? OUT_1 : port == 2 ? OUT_2 : OUT_3;
}

/* One packet into device i at its port towards the start. False: dropped. */
static inline bool bmv2_device_packet(struct bmv2_chain *c, uint32_t i, const uint8_t *data, uint32_t len,
                                      uint64_t tick, struct dune_device_out *o)
{
    struct bmv2_device *x = &c->dev[i];
    struct dune_device_in in = {.data = data, .cap_len = len, .wire_len = len, .tick = tick,
                                .port = i ? DUNE_PORT_CHAIN : DUNE_PORT_EDGE,
                                .out_port = i + 1 < c->n ? DUNE_PORT_CHAIN : DUNE_PORT_EDGE};

    DUNE_VEC_PUSH(&x->send, bmv2_clocked(data, len, tick));
    x->in++;
    dune_ref_device_process(x->ref, &in, o);
    c->hits += o->trace.fate == DUNE_FATE_RULE_HIT;
    if (!o->data)
        return false;
    DUNE_VEC_PUSH(&x->expect[bmv2_port(o->trace.steer_port)], bmv2_clocked(o->data, o->cap_len, tick));
    if (o->trace.mirrored)
        DUNE_VEC_PUSH(&x->expect[bmv2_port(o->trace.mirror_port)], bmv2_clocked(o->data, o->cap_len, tick));
    return true;
}

static inline void bmv2_packet(struct bmv2_chain *c, const uint8_t *data, uint32_t len, uint64_t tick)
{
    struct dune_device_out o;
    size_t digests = 0;

    c->packets++;
    if (len < BMV2_MIN_FRAME) {
        c->skipped++;
        return;
    }
    for (uint32_t i = 0; i < c->n; i++) {
        if (!bmv2_device_packet(c, i, data, len, tick, &o))
            break;
        data = o.data;
        len = o.cap_len;
    }
    c->last = o.trace.shim;
    c->inferable += o.trace.has_shim && o.trace.reason == DUNE_REASON_OK;
    c->settled += o.trace.has_shim && o.trace.shim.flags & DUNE_SHIM_SETTLED && o.trace.shim.flags & DUNE_SHIM_FINAL;
    for (uint32_t i = 0; i < c->n; i++)
        digests += c->dev[i].want.len;
    if (++c->waiting >= BMV2_WINDOW || (c->opts.rules && digests))
        bmv2_flush(c);
}

/* The counters are read until all packets went through: a dropped one leaves no other sign. */
static inline void bmv2_settle(struct bmv2_chain *c, uint32_t i, struct dune_counters *got)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    struct dune_diag d = {0};

    for (int k = 0; k < BMV2_PATIENCE / 5; k++) {
        assert_ok(dune_bmv2_counters(c->dev[i].sw, got, &d), d);
        if (got->in >= c->dev[i].in)
            break;
        nanosleep(&pause, NULL);
    }
}

static inline void bmv2_new_capture(struct bmv2_chain *c)
{
    struct dune_counters got;
    struct dune_diag d = {0};

    bmv2_flush(c);
    for (uint32_t i = 0; i < c->n; i++) {
        bmv2_settle(c, i, &got);
        assert_ok(dune_bmv2_new_capture(c->dev[i].sw, &d), d);
        dune_ref_device_new_capture(c->dev[i].ref);
    }
}

/* A capture's packets, at most max (0: all). */
static inline void bmv2_capture(struct bmv2_chain *c, const char *path, uint64_t max)
{
    struct dune_reader *r = NULL;
    struct dune_record rec;
    struct dune_diag d = {0};
    uint64_t n = 0;
    int more;

    bmv2_new_capture(c);
    assert_ok(dune_reader_open(&r, path, &d), d);
    while ((more = dune_reader_next(r, &rec, &d)) > 0 && (max == 0 || n++ < max))
        bmv2_packet(c, rec.data, rec.cap_len, dune_tick(rec.ts_ns));
    if (more < 0)
        assert_ok(more, d);
    dune_reader_close(r);
    bmv2_flush(c);
}

/* --- closing ------------------------------------------------------------------------------------------------ */

static inline void bmv2_counters_equal(struct bmv2_chain *c, uint32_t i)
{
    struct dune_counters w = *dune_ref_device_counters(c->dev[i].ref), g;
    const uint64_t *a = (const uint64_t *)&w, *b = (const uint64_t *)&g;

    bmv2_settle(c, i, &g);
    /* false matches are the reference's own; rules are counted where they are added */
    g.false_matches = w.false_matches;
    g.rules = w.rules;
    g.rules_full = w.rules_full;
    g.rules_expired = w.rules_expired;
    for (size_t k = 0; k < sizeof(w) / sizeof(*a); k++)
        if (a[k] != b[k])
            fail_msg("%s: counter %zu of device %u is %llu, the reference has %llu", c->what, k, i,
                     (unsigned long long)b[k], (unsigned long long)a[k]);
}

static inline void bmv2_close(struct bmv2_chain *c)
{
    bmv2_flush(c);
    for (uint32_t i = 0; i < c->n; i++) {
        struct bmv2_device *x = &c->dev[i];

        bmv2_counters_equal(c, i);
        for (unsigned port = 0; port < N_OUT; port++) {
            struct pollfd p = {.fd = x->out_fd[port], .events = POLLIN};

            if (poll(&p, 1, 0) > 0)
                fail_msg("%s: device %u sent more than the reference", c->what, i);
            close(x->out_fd[port]);
            DUNE_VEC_FREE(&x->expect[port]);
        }
        close(x->in_fd[0]);
        dune_bmv2_stop(x->sw);
        bmv2_running.sw[i] = NULL;
        dune_ref_device_free(x->ref);
        DUNE_VEC_FREE(&x->send);
        DUNE_VEC_FREE(&x->want);
        DUNE_VEC_FREE(&x->got);
    }
    bmv2_sh("rm -rf %s", c->dir);
    printf("# %s: %llu packets on %u devices, %llu inferable, %llu settled, %llu digests, %llu rule hits\n", c->what,
           (unsigned long long)(c->packets - c->skipped), c->n, (unsigned long long)c->inferable,
           (unsigned long long)c->settled, (unsigned long long)c->digests, (unsigned long long)c->hits);
}

#endif
