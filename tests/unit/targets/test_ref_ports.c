/* SPDX-License-Identifier: Apache-2.0 */
/* Shims on edge and chain ports: put, read, forged, bad, missing, too long, stripped exactly once. */
#include "unit/targets/chain_kit.h"

static const struct kit_packet A = {.src = 1, .dst = 2, .sport = 1000, .dport = 80, .frame_len = 60};

static struct dune_plan *two_devices(void)
{
    struct dune_plan *p = kit_plan(2, 2);

    kit_const(p, 1, 0, 1, DUNE_MODE_RUNNING, (struct dune_plan_leaf)KIT_OTHER(1, 9));
    kit_const(p, 5, 1, 2, DUNE_MODE_RUNNING, (struct dune_plan_leaf)KIT_CLAIM(2, 77));
    p->generation = 0x1234;
    return p;
}

static struct dune_ref_device *device(const struct dune_plan *p, uint16_t i,
                                      const struct dune_chain_opts *o)
{
    struct dune_ref_device *dev = NULL;
    struct dune_diag d = {0};

    assert_ok(dune_ref_device_new(&dev, p, i, o, &d), d);
    return dev;
}

static void pass(struct dune_ref_device *dev, const struct kit_frame *f, int in, int out_port,
                 struct dune_device_out *o)
{
    struct dune_device_in di = {.data = f->data, .cap_len = f->len, .wire_len = f->len,
                                .tick = 1, .port = in, .out_port = out_port};

    dune_ref_device_process(dev, &di, o);
}

static void done(struct dune_ref_device *dev)
{
    struct dune_diag d = {0};

    assert_ok(dune_counters_check(dune_ref_device_counters(dev), 1, false, &d), d);
    dune_ref_device_free(dev);
}

static void keep(struct kit_frame *f, const struct dune_device_out *o)
{
    assert_non_null(o->data);
    memmove(f->data, o->data, o->cap_len);
    f->len = o->cap_len;
}

/* Puts a shim by hand behind l2 bytes of addresses, tags and EtherType. */
static void shim_by_hand(struct kit_frame *f, unsigned l2, uint8_t first, uint16_t generation)
{
    memmove(f->data + l2 + 8, f->data + l2, f->len - l2);
    f->len += 8;
    memcpy(f->data + l2 + 6, f->data + l2 - 2, 2);
    memcpy(f->data + l2 - 2, "\x88\xb5", 2);
    f->data[l2] = first;
    memset(f->data + l2 + 1, 0, 3);
    f->data[l2 + 4] = (uint8_t)(generation >> 8);
    f->data[l2 + 5] = (uint8_t)generation;
}

static void test_fields(void **state)
{
    static const uint8_t bytes[8] = {0x3d, 0x07, 0xfe, 0x80, 0x12, 0x34, 0x86, 0xdd};
    struct dune_shim s = {1, 0x1d, 7, 254, 128, 0x1234, 0x86dd}, t;
    uint8_t out[8];

    dune_shim_put(out, &s);
    assert_memory_equal(out, bytes, 8);
    dune_shim_get(&t, bytes);
    memset(out, 0, 8);
    dune_shim_put(out, &t); /* fields one by one: structs have padding */
    assert_memory_equal(out, bytes, 8);
    assert_int_equal(t.generation, 0x1234);
    assert_int_equal(t.ethertype, 0x86dd);
    (void)state;
}

static void test_find(void **state)
{
    struct kit_packet k = A;
    uint32_t at;

    for (unsigned tags = 0; tags <= 3; tags++) {
        struct kit_frame f;

        k.n_vlan = tags;
        kit_make(&f, &k);
        assert_false(dune_shim_find(f.data, f.len, 2, 0x88b5, &at));
        shim_by_hand(&f, 14 + 4 * tags, 0x20, 1);
        for (uint8_t max = 0; max <= 2; max++) {
            assert_int_equal(dune_shim_find(f.data, f.len, max, 0x88b5, &at), tags <= max);
            if (tags <= max)
                assert_int_equal(at, 14 + 4 * tags);
        }
        for (uint32_t len = 0; len <= f.len; len++) {
            uint8_t *exact = dune_mem_alloc(len + !len, 1); /* the sanitizer sees reads too far */

            memcpy(exact, f.data, len);
            assert_int_equal(dune_shim_find(exact, len, 2, 0x88b5, &at),
                             tags <= 2 && len >= 14 + 4 * tags);
            dune_mem_free(exact);
        }
    }
    (void)state;
}

/* Bytes between two devices, and the original bytes behind the last, with 0, 1 and 2 VLAN tags. */
static void test_bytes_on_the_chain(void **state)
{
    for (unsigned tags = 0; tags <= 2; tags++)
        for (int v6 = 0; v6 <= 1; v6++) {
            struct dune_plan *p = two_devices();
            struct dune_ref_device *d0 = device(p, 0, NULL), *d1 = device(p, 1, NULL);
            struct kit_packet k = A;
            struct kit_frame f, want, mid;
            struct dune_device_out o;
            unsigned l2 = 14 + 4 * tags;

            k.n_vlan = tags;
            k.ipv6 = v6;
            k.frame_len = 90;
            kit_make(&f, &k);
            want = f;
            pass(d0, &f, DUNE_PORT_EDGE, DUNE_PORT_CHAIN, &o);
            /* version 1; settled, tentative and FL: n = 1 was reached, class 1 from sub-model 1 */
            shim_by_hand(&want, l2, 0x20 | DUNE_SHIM_SETTLED | DUNE_SHIM_TENTATIVE | DUNE_SHIM_FL,
                         0x1234);
            want.data[l2 + 1] = 1;
            want.data[l2 + 2] = 1;
            want.data[l2 + 3] = 9;
            assert_int_equal(o.cap_len, f.len + 8);
            assert_int_equal(o.wire_len, f.len + 8);
            assert_memory_equal(o.data, want.data, want.len);
            keep(&mid, &o);
            pass(d1, &mid, DUNE_PORT_CHAIN, DUNE_PORT_EDGE, &o);
            assert_int_equal(o.cap_len, f.len);
            assert_memory_equal(o.data, f.data, f.len);
            assert_int_equal(o.trace.shim.cls, 2);
            done(d0);
            done(d1);
            dune_plan_free(p);
        }
    (void)state;
}

/* A forged shim is wrapped; on the chain it is payload, behind it the bytes are as they came. */
static void test_forged_wrapped(void **state)
{
    struct dune_plan *p = two_devices();
    struct dune_ref_device *d0 = device(p, 0, NULL), *d1 = device(p, 1, NULL);
    struct kit_frame f, forged, mid;
    struct dune_device_out o;

    p->chain_mtu = 20; /* wrapped whatever its length: unwrapped it would be believed */
    kit_make(&f, &A);
    forged = f;
    shim_by_hand(&forged, 14, 0x20 | DUNE_SHIM_FINAL | DUNE_SHIM_SETTLED, 0x1234);
    forged.data[16] = 2; /* "class 2, final and settled" */
    pass(d0, &forged, DUNE_PORT_EDGE, DUNE_PORT_CHAIN, &o);
    assert_int_equal(o.cap_len, f.len + 16);
    assert_int_equal(o.trace.fate, DUNE_FATE_NOT_INFERABLE);
    assert_int_equal(o.trace.reason, DUNE_REASON_SHIM_INSIDE);
    keep(&mid, &o);
    pass(d1, &mid, DUNE_PORT_CHAIN, DUNE_PORT_EDGE, &o);
    assert_int_equal(o.trace.reason, DUNE_REASON_SHIM_INSIDE);
    assert_int_equal(o.trace.shim.cls, 0);
    assert_int_equal(o.cap_len, forged.len);
    assert_memory_equal(o.data, forged.data, forged.len);
    assert_int_equal(dune_ref_device_counters(d0)->shim_at_edge, 1);
    assert_int_equal(dune_ref_device_counters(d1)->not_inferable[DUNE_REASON_SHIM_INSIDE], 1);
    done(d0);
    done(d1);
    dune_plan_free(p);
    (void)state;
}

static void test_forged_dropped(void **state)
{
    struct dune_chain_opts opts = {.drop_edge_shim = true};
    struct dune_plan *p = two_devices();
    struct dune_ref_device *d0 = device(p, 0, &opts);
    struct kit_frame f;
    struct dune_device_out o;
    struct dune_chain *c;
    struct dune_verdict v;

    kit_make(&f, &A);
    f.len = 14; /* even when only its EtherType was captured */
    memcpy(f.data + 12, "\x88\xb5", 2);
    pass(d0, &f, DUNE_PORT_EDGE, DUNE_PORT_CHAIN, &o);
    assert_null(o.data);
    assert_int_equal(o.trace.fate, DUNE_FATE_DROPPED_EDGE_SHIM);
    assert_int_equal(dune_ref_device_counters(d0)->dropped_edge_shim, 1);
    done(d0);
    c = kit_open(p, &opts);
    v = kit_send_frame(c, &f, 0, NULL);
    assert_true(v.dropped && !v.inferable);
    kit_close(c, 2);
    dune_plan_free(p);
    (void)state;
}

/* Another version: removed, counted, and the packet is new here; settled stays 0. */
static void test_bad_version(void **state)
{
    struct dune_plan *p = two_devices();
    struct dune_ref_device *d1 = device(p, 1, NULL);
    struct kit_frame f, g;
    struct dune_device_out o;

    kit_make(&f, &A);
    for (int i = 0; i < 3; i++) {
        g = f;
        shim_by_hand(&g, 14, 0x40 | DUNE_SHIM_FINAL | DUNE_SHIM_SETTLED, 0x1234);
        pass(d1, &g, DUNE_PORT_CHAIN, DUNE_PORT_EDGE, &o);
        assert_int_equal(o.cap_len, f.len);
        assert_memory_equal(o.data, f.data, f.len);
        assert_int_equal(o.trace.fate, DUNE_FATE_INFERRED);
        assert_int_equal(o.trace.shim.flags, DUNE_SHIM_FINAL | (i >= 1 ? DUNE_SHIM_FL : 0));
    }
    assert_int_equal(dune_ref_device_counters(d1)->shim_bad, 3);
    assert_int_equal(dune_ref_device_counters(d1)->shim_added, 3);
    /* a shim inside a bad shim is not believed either */
    g = f;
    shim_by_hand(&g, 14, 0x20 | DUNE_SHIM_FINAL | DUNE_SHIM_SETTLED, 0x1234);
    f = g;
    shim_by_hand(&g, 14, 0x40, 0x1234);
    pass(d1, &g, DUNE_PORT_CHAIN, DUNE_PORT_EDGE, &o);
    assert_int_equal(o.trace.reason, DUNE_REASON_SHIM_INSIDE);
    assert_memory_equal(o.data, f.data, f.len);
    pass(d1, &g, DUNE_PORT_CHAIN, DUNE_PORT_CHAIN, &o); /* the next device must not meet it bare */
    assert_int_equal(o.cap_len, f.len + 8);
    assert_int_equal(o.data[14], DUNE_SHIM_VERSION << 5);
    assert_memory_equal(o.data + 20, "\x88\xb5", 2);
    assert_memory_equal(o.data + 22, f.data + 14, f.len - 14);
    done(d1);
    dune_plan_free(p);
    (void)state;
}

static void test_missing_and_short(void **state)
{
    struct dune_plan *p = two_devices();
    struct dune_ref_device *d1 = device(p, 1, NULL);
    struct kit_frame f;
    struct dune_device_out o;

    kit_make(&f, &A);
    pass(d1, &f, DUNE_PORT_CHAIN, DUNE_PORT_CHAIN, &o);
    assert_int_equal(o.cap_len, f.len + 8);
    assert_int_equal(o.trace.shim.flags, DUNE_SHIM_FINAL); /* never settled */
    assert_int_equal(dune_ref_device_counters(d1)->shim_missing, 1);
    memcpy(f.data + 12, "\x08\x06", 2); /* ARP never has a shim: nothing is missing */
    pass(d1, &f, DUNE_PORT_CHAIN, DUNE_PORT_CHAIN, &o);
    assert_int_equal(dune_ref_device_counters(d1)->shim_missing, 1);
    assert_int_equal(o.cap_len, f.len);
    memcpy(f.data + 12, "\x88\xb5", 2); /* cut inside the shim: unreadable, never let out */
    f.len = 21;
    pass(d1, &f, DUNE_PORT_CHAIN, DUNE_PORT_EDGE, &o);
    assert_null(o.data);
    assert_int_equal(dune_ref_device_counters(d1)->dropped_bad_shim, 1);
    f.len = 22; /* the whole shim and nothing behind it */
    f.data[14] = 0x20;
    memcpy(f.data + 18, "\x12\x34\x08\x00", 4);
    pass(d1, &f, DUNE_PORT_CHAIN, DUNE_PORT_EDGE, &o);
    assert_int_equal(o.cap_len, 14);
    assert_int_equal(o.trace.reason, DUNE_REASON_SHORT_L3);
    done(d1);
    dune_plan_free(p);
    (void)state;
}

static void test_unknown_generation(void **state)
{
    struct dune_plan *p = two_devices();
    struct dune_ref_device *d1 = device(p, 1, NULL);
    struct kit_frame f, g;
    struct dune_device_out o;

    kit_make(&f, &A);
    g = f;
    shim_by_hand(&g, 14, 0x20 | DUNE_SHIM_SETTLED, 0x1235);
    pass(d1, &g, DUNE_PORT_CHAIN, DUNE_PORT_CHAIN, &o);
    assert_int_equal(o.trace.fate, DUNE_FATE_GENERATION_MISSING);
    assert_int_equal(o.cap_len, g.len);
    assert_memory_equal(o.data, g.data, g.len); /* shim kept as it is */
    pass(d1, &g, DUNE_PORT_CHAIN, DUNE_PORT_EDGE, &o);
    assert_int_equal(o.cap_len, f.len);
    assert_memory_equal(o.data, f.data, f.len); /* and stripped at an edge */
    assert_int_equal(dune_ref_device_counters(d1)->slot_new, 0);
    done(d1);
    dune_plan_free(p);
    (void)state;
}

static void test_chain_mtu(void **state)
{
    struct dune_plan *p = two_devices();
    struct kit_packet k = A;
    struct dune_chain *c;
    struct dune_verdict v;

    p->chain_mtu = 1500;
    c = kit_open(p, NULL);
    k.ip_len = 1492;
    v = kit_send(c, &k, 0);
    assert_true(v.inferable);
    k.ip_len = 1493;
    v = kit_send(c, &k, 1);
    assert_true(!v.inferable && v.fate == DUNE_FATE_TOO_BIG && v.reason == DUNE_REASON_OK);
    assert_int_equal(kit_count(c, 0).too_big, 1);
    assert_int_equal(kit_count(c, 1).too_big, 1);
    assert_int_equal(kit_count(c, 1).shim_missing, 0);
    assert_int_equal(kit_count(c, 0).slot_new + kit_count(c, 0).slot_hit, 1);
    kit_close(c, 2);
    dune_plan_free(p);
    (void)state;
}

static void test_keep_shim(void **state)
{
    struct dune_chain_opts o = {.keep_shim = true};
    struct dune_plan *p = two_devices();
    struct dune_chain *c = kit_open(p, &o);
    struct dune_chain_frame out;
    struct kit_frame f;
    struct dune_shim s;

    kit_make(&f, &A);
    kit_send_frame(c, &f, 0, &out);
    assert_int_equal(out.cap_len, f.len + 8);
    dune_shim_get(&s, out.data + 14);
    assert_int_equal(s.cls, 2);
    assert_int_equal(s.submodel, 5);
    assert_int_equal(s.conf, 77);
    assert_int_equal(s.ethertype, 0x0800);
    kit_close(c, 2);
    dune_plan_free(p);
    (void)state;
}

/* Filter: one entry of every list that is not empty. */
static void test_filter(void **state)
{
    struct dune_prefix prefix[] = {{{0x0a, 0, 0}, 23, false}, {{0xfd, 0x01}, 16, true}};
    struct dune_port_range port[] = {{80, 80}, {8000, 8010}};
    uint8_t proto = 17;
    struct dune_filter f = {0};
    struct dune_plan *p = two_devices();
    struct kit_packet k = A;
    struct dune_chain *c;

    f = (struct dune_filter){2, 2, 1, prefix, port, &proto};
    p->filter = f;
    c = kit_open(p, NULL);
    assert_true(kit_send(c, &k, 0).inferable);
    k.src = 0x1ff; /* 10.0.1.255 is in 10.0.0.0/23, 10.0.2.0 is not */
    assert_true(kit_send(c, &k, 0).inferable);
    k.src = 0x200;
    assert_int_equal(kit_send(c, &k, 0).fate, DUNE_FATE_FILTERED);
    k.ipv6 = true; /* the destination is in fd01::/16 */
    assert_true(kit_send(c, &k, 0).inferable);
    k.sport = 8010;
    k.dport = 81;
    assert_true(kit_send(c, &k, 0).inferable);
    k.sport = 8011;
    assert_int_equal(kit_send(c, &k, 0).fate, DUNE_FATE_FILTERED);
    k = A;
    k.tcp = true;
    assert_int_equal(kit_send(c, &k, 0).fate, DUNE_FATE_FILTERED);
    assert_int_equal(kit_count(c, 0).filtered, 3);
    assert_int_equal(kit_count(c, 0).shim_added, 4);
    kit_close(c, 2);
    memset(&p->filter, 0, sizeof(p->filter));
    dune_plan_free(p);
    (void)state;
}

/* Limits of the plan's parser hold, fragments after the first and long options are left alone. */
static void test_parser_limits(void **state)
{
    struct dune_plan *p = two_devices();
    struct kit_packet k = A;
    struct dune_chain *c = kit_open(p, NULL);

    k.options = 40;
    assert_true(kit_send(c, &k, 0).inferable);
    k.frag = 0x2000; /* first fragment */
    assert_true(kit_send(c, &k, 0).inferable);
    k.frag = 0x0001;
    assert_int_equal(kit_send(c, &k, 0).reason, DUNE_REASON_FRAGMENT);
    k = A;
    k.n_vlan = 3;
    assert_int_equal(kit_send(c, &k, 0).reason, DUNE_REASON_VLAN_DEPTH);
    kit_close(c, 2);
    p->parser = (struct dune_parser_limits){0, 4, 0, 0, false};
    c = kit_open(p, NULL);
    k = A;
    k.options = 8;
    assert_int_equal(kit_send(c, &k, 0).reason, DUNE_REASON_OPTIONS);
    k = A;
    k.n_vlan = 1;
    assert_int_equal(kit_send(c, &k, 0).reason, DUNE_REASON_VLAN_DEPTH);
    k = A;
    k.ipv6 = true;
    assert_int_equal(kit_send(c, &k, 0).reason, DUNE_REASON_NOT_IP);
    kit_close(c, 2);
    dune_plan_free(p);
    (void)state;
}

static void test_registry(void **state)
{
    const struct dune_engine_ops *ops;
    struct dune_diag d = {0};

    assert_ptr_equal(dune_engine_find("reference"), &dune_engine_reference);
    assert_null(dune_engine_find("slow"));
    assert_int_equal(dune_engine_get(&ops, "reference", &d), 0);
    assert_int_equal(dune_engine_get(&ops, "slow", &d), DUNE_E_USAGE);
    assert_non_null(strstr(d.msg, "reference"));
    assert_string_equal(dune_fate_name(DUNE_FATE_TOO_BIG), "too_big");
    assert_string_equal(dune_fate_name(DUNE_N_FATES), "?");
    (void)state;
}

/* The identities are really looked at. */
static void test_counters_check(void **state)
{
    struct dune_counters c[2] = {{.in = 5, .out = 5, .inferred = 5, .slot_hit = 5, .shim_added = 5,
                                  .shim_kept = 5},
                                 {.in = 5, .out = 5, .passed_settled = 5, .shim_read = 5,
                                  .shim_stripped = 5}};
    uint64_t *const at[] = {&c[0].in, &c[0].out, &c[0].inferred, &c[0].slot_hit, &c[0].shim_added,
                            &c[0].shim_kept, &c[0].filtered, &c[0].not_inferable[3],
                            &c[0].dropped_action, &c[0].finals, &c[1].shim_read};

    assert_int_equal(dune_counters_check(c, 2, true, NULL), 0);
    for (size_t i = 0; i < DUNE_ARRAY_LEN(at); i++) {
        struct dune_diag d = {0};

        *at[i] += 10;
        assert_int_equal(dune_counters_check(c, 2, true, &d), DUNE_E_INTERNAL);
        *at[i] -= 10;
    }
    c[1].in = c[1].out = c[1].passed_settled = 4;
    c[1].shim_read = c[1].shim_stripped = 4;
    assert_int_equal(dune_counters_check(c, 2, false, NULL), 0);
    assert_int_equal(dune_counters_check(c, 2, true, NULL), DUNE_E_INTERNAL);
    (void)state;
}

static void test_refused(void **state)
{
    struct dune_plan *p = two_devices();
    struct dune_chain_opts bad[] = {{.slots = 3}, {.ways = 9}};
    struct dune_ref_device *dev;
    struct dune_chain *c;
    struct dune_verdict v[1];
    struct dune_diag d = {0};

    for (size_t i = 0; i < DUNE_ARRAY_LEN(bad); i++)
        assert_int_equal(dune_engine_reference.open(&c, p, &bad[i], NULL), DUNE_E_USAGE);
    assert_int_equal(dune_ref_device_new(&dev, p, 2, NULL, &d), DUNE_E_USAGE);
    c = kit_open(p, NULL);
    assert_int_equal(c->ops->burst(c, NULL, DUNE_BURST_MAX + 1, v, NULL, NULL), DUNE_E_USAGE);
    kit_close(c, 2);
    dune_plan_free(p);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_bytes_on_the_chain),
        cmocka_unit_test(test_forged_wrapped),
        cmocka_unit_test(test_forged_dropped),
        cmocka_unit_test(test_bad_version),
        cmocka_unit_test(test_missing_and_short),
        cmocka_unit_test(test_unknown_generation),
        cmocka_unit_test(test_chain_mtu),
        cmocka_unit_test(test_keep_shim),
        cmocka_unit_test(test_filter),
        cmocka_unit_test(test_parser_limits),
        cmocka_unit_test(test_registry),
        cmocka_unit_test(test_counters_check),
        cmocka_unit_test(test_refused),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
