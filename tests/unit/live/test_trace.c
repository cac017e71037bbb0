/* SPDX-License-Identifier: Apache-2.0 */
/* Traces of live devices: files, and a judge that finds what is wrong. */
#include "testing.h"

#include <unistd.h>

#include "../targets/chain_kit.h"
#include "dune/trace.h"

static const struct dune_plan_leaf kit_leaf[2] = {{1, 99, 1, 99}, {2, 200, 2, 200}};

static struct dune_plan *make_plan(uint16_t generation)
{
    struct dune_plan *p = kit_plan(2, 1);
    const uint32_t threshold = 60;

    kit_sub(p, 1, 0, 2, DUNE_MODE_RUNNING, DUNE_F_IP_LEN, 1, &threshold, kit_leaf);
    p->generation = generation;
    return p;
}

/* A trace as a device of this plan would leave it: flows of different lengths, three packets each. */
static struct dune_trace make_trace(const struct dune_plan *p, uint32_t n)
{
    struct dune_trace t = {.complete = true, .rec = DUNE_NEW_N(struct dune_live_record, n)};
    struct dune_ref_device *dev;
    struct dune_diag d = {0};

    snprintf(t.head.device, sizeof(t.head.device), "s1");
    assert_ok(dune_ref_device_new(&dev, p, 0, NULL, &d), d);
    for (uint32_t i = 0; i < n; i++) {
        struct kit_packet k = {.src = 1, .dst = 2, .sport = (uint16_t)(i / 3), .frame_len = (uint16_t)(60 + i % 40)};
        struct dune_device_in in = {.tick = i, .port = DUNE_PORT_EDGE, .out_port = DUNE_PORT_CHAIN};
        struct dune_live_record *r = &t.rec[t.n++];
        struct dune_device_out out;
        struct kit_frame f;

        k.ip_len = (uint16_t)(k.frame_len - 14u);
        kit_make(&f, &k);
        in.data = f.data;
        in.cap_len = in.wire_len = f.len;
        dune_ref_device_process(dev, &in, &out);
        *r = (struct dune_live_record){
            .serial = i, .tick = i, .count = out.trace.count, .wire_len = f.len, .slot_index = out.trace.slot_index,
            .cap_len = (uint16_t)f.len, .generation = p->generation, .in_port = DUNE_PORT_EDGE, .out_port = DUNE_PORT_CHAIN,
            .fate = out.trace.fate, .reason = out.trace.reason, .slot = out.trace.slot, .way = out.trace.way,
            .has_shim = out.trace.has_shim, .digest = out.trace.digest, .became_final = out.trace.became_final,
            .dropped = out.trace.dropped, .shim_flags = out.trace.shim.flags, .shim_submodel = out.trace.shim.submodel,
            .shim_cls = out.trace.shim.cls, .shim_conf = out.trace.shim.conf};
        memcpy(r->frame, f.data, f.len);
    }
    dune_ref_device_free(dev);
    return t;
}

static struct dune_judgement judged(const struct dune_trace *t, const struct dune_plan *p)
{
    struct dune_judgement j;
    struct dune_diag d = {0};

    assert_ok(dune_trace_judge(t, 1, &p, 1, &j, &d), d);
    return j;
}

static void equal_and_not(void **state)
{
    struct dune_plan *p = make_plan(7);
    struct dune_trace t = make_trace(p, 60);
    struct dune_judgement j = judged(&t, p);

    (void)state;
    assert_int_equal(j.records, 60);
    assert_int_equal(j.judged, 60);
    assert_int_equal(j.different, 0);
    assert_int_equal(j.generations, 1);
    t.rec[20].shim_cls ^= 3; /* one verdict */
    j = judged(&t, p);
    assert_int_equal(j.different, 1);
    assert_non_null(strstr(j.first, "device s1, record 20 (tick 20, generation 7): class is"));
    t.rec[20].shim_cls ^= 3;
    t.rec[30].count++; /* one register */
    assert_int_equal(judged(&t, p).different, 1);
    t.rec[30].count--;
    t.rec[4].tick += p->timeout + 1; /* a slot that expired for the judge */
    assert_true(judged(&t, p).different > 0);
    dune_trace_fini(&t);
    dune_plan_free(p);
}

static void rules_need_digests(void **state)
{
    struct dune_plan *p = make_plan(7);
    struct dune_trace t = make_trace(p, 9);
    struct dune_judgement j;
    uint32_t sent = 0;

    (void)state;
    for (size_t i = 0; i < t.n; i++)
        sent += t.rec[i].digest;
    assert_int_equal(sent, 3);
    for (size_t i = 2; i < t.n; i += 3) { /* the third packets by rule, as their second ones were digested */
        t.rec[i].fate = DUNE_FATE_RULE_HIT;
        t.rec[i].slot = DUNE_SLOT_NONE;
    }
    j = judged(&t, p);
    assert_true(j.rule_hits == 3 && j.different == 0 && j.pinned == 0);
    t.rec[2].shim_cls ^= 3;
    assert_int_equal(judged(&t, p).different, 1);
    t.rec[2].shim_cls ^= 3;
    t.rec[1].digest = 0; /* nobody asked for this rule: a pin */
    j = judged(&t, p);
    assert_true(j.different == 0 && j.pinned == 1);
    dune_trace_fini(&t);
    dune_plan_free(p);
}

static void generations(void **state)
{
    struct dune_plan *p = make_plan(7), *q = make_plan(9);
    const struct dune_plan *both[2] = {p, q};
    struct dune_trace t = make_trace(p, 6);
    struct dune_judgement j;
    struct dune_diag d = {0};

    (void)state;
    for (size_t i = 3; i < 6; i++)
        t.rec[i].generation = 8;
    j = judged(&t, p); /* one plan for all */
    assert_true(j.generations == 2 && j.different == 0);
    assert_int_equal(dune_trace_judge(&t, 1, both, 2, &j, &d), DUNE_E_INPUT);
    assert_non_null(strstr(d.msg, "generation 8"));
    dune_trace_fini(&t);
    dune_plan_free(p);
    dune_plan_free(q);
}

static void files(void **state)
{
    struct dune_plan *p = make_plan(7);
    struct dune_trace t = make_trace(p, 20), back;
    struct dune_trace_writer *w;
    struct dune_diag d = {0};
    char path[64], *text;
    size_t len;

    (void)state;
    snprintf(path, sizeof(path), "/tmp/dune-trace-%ld", (long)getpid());
    assert_ok(dune_trace_create(&w, path, &t.head, &d), d);
    for (size_t i = t.n; i-- > 0;) /* in any order */
        dune_trace_put(w, &t.rec[i]);
    assert_ok(dune_trace_close(w, 5, &d), d);
    assert_ok(dune_trace_read(&back, path, &d), d);
    assert_true(back.n == 20 && back.lost == 5 && back.complete);
    for (size_t i = 0; i < 20; i++)
        assert_memory_equal(&back.rec[i], &t.rec[i], sizeof(t.rec[i]));
    dune_trace_fini(&back);
    assert_ok(dune_file_read(path, &text, &len, &d), d);
    for (size_t cut = 0; cut < len; cut += 7) { /* whole records are kept, the rest is an error */
        struct dune_diag e = {0};

        if (dune_trace_parse(&back, "cut", text, cut, &e) == 0) {
            assert_false(back.complete);
            dune_trace_fini(&back);
        }
    }
    text[0] = 'x';
    assert_int_equal(dune_trace_parse(&back, "bad", text, len, &d), DUNE_E_FORMAT);
    unlink(path);
    dune_mem_free(text);
    dune_trace_fini(&t);
    dune_plan_free(p);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_and_not), cmocka_unit_test(rules_need_digests), cmocka_unit_test(generations),
        cmocka_unit_test(files),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
