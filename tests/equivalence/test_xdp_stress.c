/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two CPUs, one table of few slots, more flows than slots: no slot ever mixes two flows. Every flow has a length of
 * its own, so a slot of one flow has len.min == len.max == that length and len.total == count * length, and
 * nothing is lost: the counts of all slots together are the packets that found one.
 */
#include "targets/xdp/xdp_int.h"
#include "unit/targets/chain_kit.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

enum { FLOWS = 8, SLOTS = 1, WAYS = 2, ROUNDS = 8, REPEAT = 5000 };

static struct dune_plan *make_plan(void)
{
    static const struct dune_plan_leaf leaf[2] = {{1, 200, 1, 200}, {2, 200, 2, 200}};
    static const int feats[] = {DUNE_F_LEN_MIN, DUNE_F_LEN_MAX, DUNE_F_LEN_TOTAL};
    struct dune_plan *p = kit_plan(2, 1), *read;
    const uint32_t threshold = 500;
    struct dune_diag d = {0};
    char *text;
    size_t len;

    for (uint8_t i = 0; i < DUNE_ARRAY_LEN(feats); i++)
        kit_sub(p, i + 1, 0, 200, DUNE_MODE_RUNNING, feats[i], 1, &threshold, leaf);
    p->slots = SLOTS;
    p->ways = WAYS;
    p->timeout = DUNE_TIMEOUT_NONE;
    assert_ok(dune_plan_format(p, &text, &len, &d), d);
    assert_ok(dune_plan_parse(&read, "stress", text, len, &d), d);
    dune_mem_free(text);
    dune_plan_free(p);
    return read;
}

struct worker {
    pthread_t thread;
    struct dune_xdp *x;
    int cpu;
    uint64_t sent;
    int rc;
    struct dune_diag d;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    struct xdp_test_meta m = {.tick = 1000, .in_kind = DUNE_PORT_EDGE, .out_kind = DUNE_PORT_EDGE};
    struct kit_frame f;
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(w->cpu, &set);
    sched_setaffinity(0, sizeof(set), &set);
    for (int r = 0; r < ROUNDS && w->rc == 0; r++)
        for (uint32_t i = 0; i < FLOWS && w->rc == 0; i++) {
            struct xdp_run run = {.in = f.data, .repeat = REPEAT};
            uint32_t flow = (i * 7 + (uint32_t)(w->cpu ? r : 3 * r)) % FLOWS;

            kit_make(&f, &(struct kit_packet){.src = flow, .dst = 1, .sport = 5, .dport = 6,
                                              .ip_len = (uint16_t)(100 + flow)});
            run.in_len = f.len;
            w->rc = dune_xdp_test_run(w->x, &run, &m, &w->d);
            w->sent += REPEAT;
        }
    return NULL;
}

static uint32_t flow_of(const struct dune_plan *p, uint32_t id)
{
    for (uint32_t flow = 0; flow < FLOWS; flow++) {
        struct kit_frame f;
        struct dune_packet pkt;
        uint32_t index, got;

        kit_make(&f, &(struct kit_packet){.src = flow, .dst = 1, .sport = 5, .dport = 6});
        dune_packet_parse(&pkt, f.data, f.len, &p->parser, 0);
        dune_flow_slot(p, SLOTS, &pkt.key, &index, &got);
        if (got == id)
            return flow;
    }
    fail_msg("no flow has id %08x", id);
    return 0;
}

static uint32_t reg32(const uint8_t *slot, uint16_t at)
{
    uint32_t v;

    memcpy(&v, slot + at, sizeof(v));
    return v;
}

/* Packets of all slots; fails where one holds more than its flow. */
static uint64_t check_slots(const struct dune_xdp *x, const struct dune_plan *p)
{
    const struct xdp_held *h = &x->gen[x->settings->stamp];
    const uint8_t *base = x->arena + x->settings->stamp * x->arena_step;
    uint64_t sum = 0;

    for (uint32_t i = 0; i < SLOTS * WAYS; i++) {
        const uint8_t *slot = base + (size_t)i * h->slot_bytes;
        const struct dune_core_slot *s = (const void *)slot;
        uint32_t length;

        if (s->id == 0)
            continue;
        length = 100 + flow_of(p, s->id);
        assert_int_equal(reg32(slot, h->where[DUNE_F_LEN_MIN]) & 0xffff, length);
        assert_int_equal(reg32(slot, h->where[DUNE_F_LEN_MAX]) & 0xffff, length);
        assert_int_equal(reg32(slot, h->where[DUNE_F_LEN_TOTAL]), (uint64_t)s->count * length);
        sum += s->count;
    }
    return sum;
}

static void test_two_cpus(void **state)
{
    struct dune_plan *p = make_plan();
    struct dune_xdp_opts o = {.state_bytes = 1 << 16};
    struct worker w[2] = {{.cpu = 0}, {.cpu = 1}};
    struct dune_counters c;
    struct dune_xdp_more more;
    struct dune_xdp *x;
    struct dune_diag d = {0};

    assert_ok(dune_xdp_open_as(&x, &o, true, 0, &d), d);
    assert_ok(dune_xdp_hold(x, p, 0, &d), d);
    for (int i = 0; i < 2; i++) {
        w[i].x = x;
        assert_int_equal(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(w[i].thread, NULL);
        assert_ok(w[i].rc, w[i].d);
    }
    dune_xdp_counters(x, &c, &more);
    assert_ok(dune_counters_check(&c, 1, false, &d), d);
    assert_int_equal(c.in, w[0].sent + w[1].sent);
    assert_int_equal(more.lock_timeouts, 0);
    assert_int_equal(check_slots(x, p), c.slot_new + c.slot_hit);
    assert_true(c.slot_new > 0 && c.slot_new <= SLOTS * WAYS && c.collisions > 0);
    print_message("# %llu packets from two CPUs, %llu found a slot, %llu collided\n", (unsigned long long)c.in,
                  (unsigned long long)(c.slot_new + c.slot_hit), (unsigned long long)c.collisions);
    dune_xdp_close(x, DUNE_XDP_DETACH);
    dune_plan_free(p);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_two_cpus)};
    const char *why = dune_xdp_available();

    if (!why && sysconf(_SC_NPROCESSORS_ONLN) < 2)
        why = "there is one CPU only";
    if (why) {
        printf("1..0 # SKIP %s\n", why);
        return 0;
    }
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
