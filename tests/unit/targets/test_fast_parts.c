/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of the fast engine against plain implementations: hashes, quick parser, walks, slot layout. */
#include "targets/core/dune_core_model.h"
#include "targets/fast/fast_int.h"
#include "targets/fast/fast_quick_parse.h"
#include "unit/targets/random_chain.h"

static void expect_hash(const struct dune_plan *p, const struct fast_hash *h, const struct dune_flow_key *key)
{
    uint64_t got = dune_fast_hash_any(h, key->bytes, key->len), addr;
    uint32_t index, id, ports;

    dune_flow_slot(p, UINT32_C(1) << 31, key, &index, &id);
    assert_int_equal(got & 0x7fffffff, index);
    assert_int_equal(got >> 32, id);
    if (key->len == 13) {
        memcpy(&addr, key->bytes, 8);
        memcpy(&ports, key->bytes + 8, 4);
        assert_int_equal(dune_fast_hash_v4(h, addr, ports, key->bytes[12]), got);
    }
    if (p->hash == DUNE_HASH_CRC)
        assert_int_equal(dune_fast_crc_plain(key->bytes, key->len), got);
}

static void test_hashes(void **state)
{
    struct dune_plan *p = kit_plan(1, 1);
    struct dune_rng r;

    dune_rng_init(&r, 5, 0, 0, 0);
    for (int i = 0; i < 20000; i++) {
        struct dune_flow_key key = {.len = i % 3 ? 13 : 37};
        struct fast_hash h;

        p->hash = i % 2 ? DUNE_HASH_CRC : DUNE_HASH_SIPHASH;
        for (int k = 0; k < 16; k++)
            p->hash_key[k] = (uint8_t)dune_rng_u64(&r);
        for (int k = 0; k < key.len; k++)
            key.bytes[k] = i % 7 ? (uint8_t)dune_rng_u64(&r) : (uint8_t)(i % 2 ? 0 : 255);
        dune_fast_hash_init(&h, p);
        expect_hash(p, &h, &key);
        h.sse42 = false;
        expect_hash(p, &h, &key);
    }
    dune_plan_free(p);
    (void)state;
}

/* Many keys at a time, with and without vectors; any number of them. */
static void test_hash_many(void **state)
{
    struct dune_plan *p = kit_plan(1, 1);
    struct dune_rng r;

    dune_rng_init(&r, 6, 0, 0, 0);
    for (int i = 0; i < 400; i++) {
        uint64_t addr[FAST_CHUNK], rest[FAST_CHUNK], out[FAST_CHUNK];
        uint32_t n = (uint32_t)dune_rng_below(&r, FAST_CHUNK + 1);
        struct fast_hash h;

        p->hash = i % 3 ? DUNE_HASH_SIPHASH : DUNE_HASH_CRC;
        for (int k = 0; k < 16; k++)
            p->hash_key[k] = (uint8_t)dune_rng_u64(&r);
        dune_fast_hash_init(&h, p);
        h.avx2 = h.avx2 && i % 2;
        for (uint32_t k = 0; k < FAST_CHUNK; k++) {
            addr[k] = dune_rng_u64(&r);
            rest[k] = dune_rng_u64(&r) & UINT64_C(0xffffffffff);
        }
        dune_fast_hash_many(&h, addr, rest, out, n);
        for (uint32_t k = 0; k < n; k++)
            assert_int_equal(out[k], dune_fast_hash_v4(&h, addr[k], (uint32_t)rest[k], (uint8_t)(rest[k] >> 32)));
    }
    dune_plan_free(p);
    (void)state;
}

/* What the quick parser takes is what the parser of all targets finds. */
static void test_quick_parser(void **state)
{
    struct random_traffic t;
    uint32_t taken = 0;

    random_traffic_init(&t, 9, 100);
    for (int i = 0; i < 50000; i++) {
        struct kit_frame f;
        struct dune_packet p;
        struct dune_core_packet core;
        uint64_t addr;
        uint32_t ports;

        random_frame(&t, &f);
        if (!fast_quick_parse(f.data, f.len, &core, &addr, &ports))
            continue;
        taken++;
        assert_int_equal(dune_packet_parse(&p, f.data, f.len, &dune_parser_limits_default, 0x88b5), 0);
        assert_memory_equal(&addr, p.key.bytes, 8);
        assert_memory_equal(&ports, p.key.bytes + 8, 4);
        assert_int_equal(core.w[0], p.ip_len | (uint32_t)p.ttl << 16 | (uint32_t)p.tos << 24);
        assert_int_equal(core.w[1], p.proto | (uint32_t)p.ip_hdr_len << 8 | (uint32_t)p.tcp_flags << 16 |
                                        (uint32_t)p.tcp_hdr_len << 24);
        assert_int_equal(core.w[2], p.srcport | (uint32_t)p.dstport << 16);
        assert_int_equal(core.w[3], p.tcp_window | (uint32_t)p.udp_length << 16);
        assert_int_equal(core.w[4], p.dstport < 1024 ? p.dstport : 0);
    }
    assert_true(taken > 10000);
    (void)state;
}

static void expect_walks(const struct dune_submodel *sm, struct fast_forest *f, struct dune_rng *r)
{
    uint32_t x[FAST_CHUNK * DUNE_CORE_X_MAX + FAST_X_SLACK] = {0}, answer[FAST_CHUNK];
    struct dune_sub_answer want[FAST_CHUNK];
    uint32_t n = 1 + (uint32_t)dune_rng_below(r, FAST_CHUNK);

    for (uint32_t i = 0; i < n; i++) {
        uint32_t v[DUNE_N_FEATURES] = {0};

        for (uint32_t j = 0; j < sm->n_feats; j++) {
            const struct dune_plan_feature *pf = &sm->feat[j];
            uint32_t row = (uint32_t)dune_rng_below(r, pf->n_rows);

            v[pf->feat] = dune_rng_below(r, 2) ? pf->row[row].lo : pf->row[row].hi;
            x[i * f->stride + j + 1] = v[pf->feat];
        }
        want[i] = dune_submodel_walk(sm, v);
    }
    for (int w = 0; w < DUNE_FAST_N_WALKS; w++) {
        if (!dune_fast_forest_can(f, (enum dune_fast_walk)w))
            continue;
        f->walk = (enum dune_fast_walk)w;
        dune_fast_forest_ask(f, x, n, answer);
        for (uint32_t i = 0; i < n; i++) {
            assert_int_equal(DUNE_CORE_ANSWER_CLS(answer[i]), want[i].cls);
            assert_int_equal(DUNE_CORE_ANSWER_CONF(answer[i]), want[i].conf);
            assert_int_equal(DUNE_CORE_ANSWER_CLAIM(answer[i]), want[i].claim);
        }
    }
}

static void test_walks(void **state)
{
    struct dune_rng r;

    dune_rng_init(&r, 77, 0, 0, 0);
    for (int i = 0; i < 300; i++) {
        uint8_t feat[DUNE_N_FEATURES], to_plan[8];
        struct forest_shape shape = {.trees = 1 + (uint32_t)dune_rng_below(&r, i % 20 ? 8 : 64),
                                     .leaves = 1 + (uint32_t)dune_rng_below(&r, i % 10 ? 100 : 4000),
                                     .classes = 5, .n_feats = 1 + (uint32_t)dune_rng_below(&r, 30),
                                     .feat = feat};
        struct fast_model m = {0};
        struct dune_plan *p = kit_plan(4, 1);
        struct dune_submodel *sm = kit_add(p, 1, 0, 3, DUNE_MODE_RUNNING);
        struct dune_diag d = {0};
        struct dune_forest f;

        if (shape.trees > 8)
            shape.leaves = DUNE_MIN(shape.leaves, 60);
        for (uint32_t j = 0; j < shape.n_feats; j++)
            feat[j] = (uint8_t)(j * 52 / shape.n_feats);
        other_last(to_plan, 5, 1);
        random_forest(&r, &f, &shape);
        assert_ok(dune_submodel_from_forest(sm, &f, shape.trees, 0, to_plan, &d), d);
        assert_ok(dune_fast_model_init(&m, p, 0, &d), d);
        for (int k = 0; k < 5; k++)
            expect_walks(sm, &m.sub[0].forest, &r);
        dune_fast_model_fini(&m);
        random_forest_fini(&f);
        dune_plan_free(p);
    }
    (void)state;
}

/* Registers of the published features and one answer fit a cache line; all of the catalog need more. */
static void test_layout(void **state)
{
    static const uint8_t eight[] = {DUNE_F_LEN_MIN, DUNE_F_LEN_MAX, DUNE_F_LEN_TOTAL, DUNE_F_GAP_MIN,
                                    DUNE_F_GAP_MAX, DUNE_F_DURATION, DUNE_F_SYN_COUNT, DUNE_F_ACK_COUNT};
    uint8_t all[DUNE_N_FEATURES];

    for (int i = 0; i < DUNE_N_FEATURES; i++)
        all[i] = (uint8_t)i;
    for (int wide = 0; wide < 2; wide++) {
        struct fast_model m = {0};
        struct dune_plan *p = kit_plan(1, 1);
        struct dune_submodel *sm = kit_add(p, 1, 0, 3, DUNE_MODE_RUNNING);
        struct forest_shape shape = {.trees = 1, .leaves = wide ? 1500 : 200, .classes = 2,
                                     .n_feats = wide ? DUNE_N_FEATURES : 8, .feat = wide ? all : eight};
        uint8_t to_plan[2] = {1, DUNE_PLAN_OTHER};
        struct dune_diag d = {0};
        struct dune_forest f;
        struct dune_rng r;

        dune_rng_init(&r, 3, 0, 0, 0);
        random_forest(&r, &f, &shape);
        assert_ok(dune_submodel_from_forest(sm, &f, 1, 0, to_plan, &d), d);
        assert_ok(dune_fast_model_init(&m, p, 0, &d), d);
        assert_int_equal(sm->n_feats, shape.n_feats);
        assert_int_equal(m.layout.bytes, wide ? 128 : 64);
        dune_fast_model_fini(&m);
        random_forest_fini(&f);
        dune_plan_free(p);
    }
    (void)state;
}

/* The vote of three leaves in registers is that of three in memory. */
static void test_vote_of_three(void **state)
{
    static const uint8_t cls[] = {0, 1, 2, 3, DUNE_CORE_OTHER};
    struct dune_rng r;

    dune_rng_init(&r, 7, 0, 0, 0);
    for (int i = 0; i < 200000; i++) {
        uint32_t leaf[3];

        for (int t = 0; t < 3; t++)
            leaf[t] = cls[dune_rng_below(&r, 5)] | (uint32_t)dune_rng_below(&r, 256) << 8 |
                      (uint32_t)cls[dune_rng_below(&r, 4)] << 16 | (uint32_t)dune_rng_below(&r, 256) << 24;
        assert_int_equal(dune_core_vote_three(leaf[0], leaf[1], leaf[2]), dune_core_vote(leaf, 3));
    }
    (void)state;
}

/* The vector by loads of the registers' widths is the vector by masks. */
static void test_vector_by_width(void **state)
{
    struct dune_rng r;
    uint32_t compared = 0;

    dune_rng_init(&r, 11, 0, 0, 0);
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct dune_plan *p = random_plan(seed, 3, 1);
        struct dune_core_layout l;
        uint16_t where[DUNE_N_FEATURES];
        uint64_t slot[DUNE_CORE_SLOT_MAX / 8];
        struct dune_core_packet pkt;
        uint32_t count;

        dune_core_layout_make(&l, where, p, 0);
        for (size_t i = 0; i < DUNE_ARRAY_LEN(slot); i++)
            slot[i] = dune_rng_u64(&r);
        for (int i = 0; i < DUNE_CORE_PKT_WORDS; i++)
            pkt.w[i] = (uint32_t)dune_rng_u64(&r);
        pkt.w[DUNE_CORE_W_PORT_LOW] &= UINT16_MAX;
        memcpy(&count, (uint8_t *)slot + offsetof(struct dune_core_slot, count), sizeof(count));
        for (int i = 0; i < 6; i++) {
            struct dune_core_slot *s = i % 2 ? (struct dune_core_slot *)(void *)slot : NULL;
            uint32_t want[DUNE_CORE_X_MAX + 1] = {0}, got[DUNE_CORE_X_MAX + 1] = {0};
            struct dune_core_fields f;
            struct dune_core_takes t;

            dune_core_fields_make(&f, &p->sub[i / 2], where);
            dune_core_takes_make(&t, &f);
            dune_core_vector(want, &f, &pkt, s, count);
            dune_core_take_all(got, &t, &pkt, s);
            assert_memory_equal(got, want, sizeof(want));
            compared += t.n2 + t.n1 > 0 && s;
        }
        dune_plan_free(p);
    }
    assert_true(compared > 300);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vote_of_three),
        cmocka_unit_test(test_vector_by_width),
        cmocka_unit_test(test_hashes),
        cmocka_unit_test(test_hash_many),
        cmocka_unit_test(test_quick_parser),
        cmocka_unit_test(test_walks),
        cmocka_unit_test(test_layout),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
