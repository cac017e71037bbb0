/* SPDX-License-Identifier: Apache-2.0 */
/* The emitted entries, read back from their text, against the reference engine: every verdict of every
 * packet, on random plans and on the shared captures; and properties of the encoding. */
#include "dune/capture.h"
#include "dune/device.h"
#include "dune/p4.h"
#include "unit/targets/random_chain.h"

/* --- emitting and reading back ---------------------------------------------------------------------- */

struct emitted {
    struct dune_p4_tables *dev[8];
    uint32_t n;
};

static struct emitted emit(const struct dune_plan *p, enum dune_p4_arch arch)
{
    struct dune_p4_files files;
    struct emitted e = {.n = p->n_devices};
    struct dune_diag d = {0};

    assert_ok(dune_p4_generate_for(p, arch, arch == DUNE_P4_TNA ? 0 : 1, &files, &d), d);
    for (uint32_t i = 0; i < p->n_devices; i++) {
        char name[64];
        const struct dune_p4_file *f;

        snprintf(name, sizeof(name), "%s/%s.%s", p->device[i].name, p->device[i].name,
                 arch == DUNE_P4_TNA ? "bfrt.json" : "cli.txt");
        f = dune_p4_file_find(&files, name);
        assert_non_null(f);
        assert_ok(dune_p4_tables_parse(&e.dev[i], arch, name, f->text, f->len, &d), d);
        dune_p4_tables_claim(e.dev[i], p->claim);
    }
    dune_p4_files_fini(&files);
    return e;
}

static void drop(struct emitted *e)
{
    for (uint32_t i = 0; i < e->n; i++)
        dune_p4_tables_free(e->dev[i]);
}

static void fit(struct dune_plan *p, const char *profile)
{
    p->hash = DUNE_HASH_CRC;
    p->ways = 1;
    for (uint32_t i = 0; i < p->n_devices; i++) {
        dune_mem_free(p->device[i].profile);
        p->device[i].profile = dune_mem_strdup(profile);
    }
}

/* --- a chain of interpreters beside the reference -------------------------------------------------------- */

#define MAX_SLOTS 65536

struct judge {
    const struct dune_plan *plan;
    struct dune_chain *chain;
    struct emitted e;
    struct dune_packet pkt;
    struct dune_shim shim;
    struct dune_sub_answer *stored[8]; /* per device: slot x sub-model */
    uint64_t inferred;
};

static enum dune_answer_kind kind_of(enum dune_mode mode, uint64_t count, uint32_t n)
{
    if (mode == DUNE_MODE_PACKET)
        return DUNE_ANSWER_PL;
    if (count >= n)
        return count > n ? DUNE_ANSWER_STORED : DUNE_ANSWER_FL;
    return mode == DUNE_MODE_FLOW ? DUNE_ANSWER_NONE : DUNE_ANSWER_PL;
}

static struct dune_sub_answer ask(struct judge *j, const struct dune_device_trace *t, uint32_t k,
                                  enum dune_mode mode, enum dune_answer_kind kind)
{
    struct dune_sub_answer *kept = &j->stored[t->device][(size_t)t->slot_index * 8 + k], a = {0};
    bool sees = kind == DUNE_ANSWER_FL || (t->count && mode == DUNE_MODE_RUNNING);
    uint32_t vec[DUNE_N_FEATURES];
    struct dune_slot_view view;
    struct dune_diag d = {0};

    if (kind == DUNE_ANSWER_STORED)
        return *kept;
    if (sees)
        assert_true(dune_ref_device_slot(dune_ref_chain_device(j->chain, t->device), t->generation,
                                         t->slot_index, t->way, &view));
    dune_feature_vector(&j->pkt, sees ? view.regs : NULL, vec);
    assert_ok(dune_p4_tables_answer(j->e.dev[t->device], 0, k, vec, &a, &d), d);
    if (kind == DUNE_ANSWER_FL)
        *kept = a;
    return a;
}

static void judge_device(void *ctx, const struct dune_device_trace *t)
{
    struct judge *j = ctx;
    struct dune_diag d = {0};
    uint32_t k = 0;

    if (t->device == 0)
        j->shim = (struct dune_shim){.version = DUNE_SHIM_VERSION, .flags = DUNE_SHIM_SETTLED,
                                     .generation = j->plan->generation};
    if (t->fate != DUNE_FATE_INFERRED)
        return;
    j->inferred++;
    if (t->slot == DUNE_SLOT_COLLISION)
        j->shim.flags |= DUNE_SHIM_COLLISION;
    for (uint32_t s = 0; s < j->plan->n_submodels; s++) {
        enum dune_mode mode = j->plan->sub[s].mode;
        struct dune_sub_answer a = {0};
        enum dune_answer_kind kind;
        uint32_t id, n;

        if (j->plan->sub[s].device != t->device)
            continue;
        dune_p4_tables_point(j->e.dev[t->device], 0, k, &id, &n);
        assert_true(id == t->answer[k].submodel || id == UINT32_MAX);
        kind = kind_of(mode, t->count, n);
        if (j->shim.flags & DUNE_SHIM_FINAL && kind != DUNE_ANSWER_FL)
            kind = DUNE_ANSWER_NONE;
        assert_int_equal(kind, t->answer[k].kind);
        if (kind != DUNE_ANSWER_NONE)
            a = ask(j, t, k, mode, kind);
        assert_int_equal(a.cls, t->answer[k].cls);
        assert_int_equal(a.conf, t->answer[k].conf);
        assert_int_equal(a.claim, t->answer[k].claim);
        assert_ok(dune_p4_tables_combine(j->e.dev[t->device], 0, k, kind ? &a : NULL,
                                         kind != DUNE_ANSWER_PL,
                                         mode == DUNE_MODE_PACKET ? 0 : t->count, &j->shim, &d), d);
        k++;
    }
    assert_int_equal(j->shim.flags, t->shim.flags);
    assert_int_equal(j->shim.cls, t->shim.cls);
    assert_int_equal(j->shim.conf, t->shim.conf);
    assert_int_equal(j->shim.submodel, t->shim.submodel);
}

static void judge_open(struct judge *j, const struct dune_plan *p, enum dune_p4_arch arch, uint32_t slots)
{
    struct dune_chain_opts o = {.trace = judge_device, .trace_ctx = j, .slots = slots};

    memset(j, 0, sizeof(*j));
    j->plan = p;
    j->e = emit(p, arch);
    j->chain = kit_open(p, &o);
    for (uint32_t i = 0; i < p->n_devices; i++)
        j->stored[i] = DUNE_NEW_N(struct dune_sub_answer, MAX_SLOTS * 8);
}

static void judge_send(struct judge *j, const uint8_t *data, uint32_t len, uint32_t wire_len, uint64_t tick)
{
    struct dune_chain_packet pkt = {data, len, wire_len, tick};
    struct dune_verdict v;
    struct dune_diag d = {0};

    dune_packet_parse(&j->pkt, data, len, &j->plan->parser, j->plan->shim_ethertype);
    assert_ok(j->chain->ops->burst(j->chain, &pkt, 1, &v, NULL, &d), d);
}

static void judge_close(struct judge *j)
{
    kit_close(j->chain, j->plan->n_devices);
    for (uint32_t i = 0; i < j->plan->n_devices; i++)
        dune_mem_free(j->stored[i]);
    drop(&j->e);
}

static void test_random_plans(void **state)
{
    for (uint64_t seed = 1; seed <= 25; seed++) {
        struct dune_plan *p = random_plan(seed, 1 + seed % 6, 1 + seed % 4);
        struct random_traffic t;
        struct kit_frame f;
        struct judge j;

        fit(p, "bmv2");
        judge_open(&j, p, DUNE_P4_V1MODEL, seed % 2 ? 16 : 4096);
        random_traffic_init(&t, seed, 40);
        for (int i = 0; i < 1500; i++) {
            uint64_t tick = random_tick(&t);

            random_frame(&t, &f);
            judge_send(&j, f.data, f.len, f.len, tick);
        }
        assert_true(j.inferred > 500);
        judge_close(&j);
        dune_plan_free(p);
    }
    (void)state;
}

/* A plan for Tofino 2: its parser and its trees; NULL when the profile has no room for it. */
static struct dune_plan *tofino_plan(uint64_t seed, uint32_t n_sub, uint32_t n_dev)
{
    const struct dune_profile *prof = dune_profile_find("tofino2");
    struct dune_plan *p = random_plan(seed, n_sub, n_dev);
    struct dune_resources r;
    bool fits = true;

    assert_non_null(prof);
    fit(p, "tofino2");
    p->parser = prof->parser;
    p->timeout = DUNE_MIN(p->timeout, prof->max_timeout);
    for (uint32_t i = 0; i < n_dev; i++) {
        dune_resources_estimate(p, i, prof, 1, &r);
        fits &= r.fits;
    }
    if (fits)
        return p;
    dune_plan_free(p);
    return NULL;
}

/* The same through bfrt JSON: narrow keys, 32-bit features as prefixes in threshold order. */
static void test_tna_random_plans(void **state)
{
    uint32_t used = 0;

    for (uint64_t seed = 1; seed <= 40; seed++) {
        uint32_t n_dev = 1 + seed % 4;
        struct dune_plan *p = tofino_plan(seed, n_dev, n_dev);
        struct random_traffic t;
        struct kit_frame f;
        struct judge j;

        if (!p)
            continue;
        used++;
        judge_open(&j, p, DUNE_P4_TNA, 4096);
        random_traffic_init(&t, seed, 40);
        for (int i = 0; i < 800; i++) {
            uint64_t tick = random_tick(&t);

            random_frame(&t, &f);
            judge_send(&j, f.data, f.len, f.len, tick);
        }
        judge_close(&j);
        dune_plan_free(p);
    }
    printf("# %u of 40 random plans fit Tofino 2\n", used);
    assert_true(used >= 5);
    (void)state;
}

/* Three trees on Tofino 1: refused with device and number. */
static void test_tna_refuses(void **state)
{
    struct dune_p4_files files;
    struct dune_diag d = {0};
    struct dune_plan *p = kit_plan(2, 1);
    struct dune_submodel *sm = kit_add(p, 4, 0, 3, DUNE_MODE_RUNNING);

    fit(p, "tofino1");
    p->parser = dune_profile_find("tofino1")->parser;
    p->timeout = 58593750;
    sm->n_trees = 3;
    sm->tree = DUNE_NEW_N(struct dune_plan_tree, 3);
    for (uint32_t t = 0; t < 3; t++) {
        sm->tree[t].n_leaves = 1;
        sm->tree[t].match = dune_mem_strdup("");
        sm->tree[t].leaf = DUNE_NEW(struct dune_plan_leaf);
        *sm->tree[t].leaf = (struct dune_plan_leaf)KIT_CLAIM(1, 80);
    }
    assert_int_equal(dune_p4_generate(p, DUNE_P4_TNA, &files, &d), DUNE_E_INFEASIBLE);
    assert_string_equal(d.msg, "device d1: profile tofino1: sub-model 4: 3 trees, at most 1");
    dune_plan_free(p);
    (void)state;
}

/* --- shared captures ---------------------------------------------------------------------------------------- */

static void judge_file(struct judge *j, const char *path)
{
    struct dune_reader *r = NULL;
    struct dune_record rec;
    struct dune_diag d = {0};
    int more;

    j->chain->ops->new_capture(j->chain);
    assert_ok(dune_reader_open(&r, path, &d), d);
    while ((more = dune_reader_next(r, &rec, &d)) > 0)
        judge_send(j, rec.data, rec.cap_len, rec.wire_len, dune_tick(rec.ts_ns));
    assert_ok(more, d);
    dune_reader_close(r);
}

static void shared(const char *set, enum dune_p4_arch arch)
{
    const char *root = shared_data(set);
    struct dune_plan *p;
    struct dune_paths paths = {0};
    struct dune_diag d = {0};
    struct judge j;

    if (!root)
        skip();
    for (int part = 0; part < 2; part++) {
        char path[1100];

        snprintf(path, sizeof(path), "%s/%s", root, part ? "test" : "train");
        assert_ok(dune_paths_add(&paths, path, &d), d);
    }
    if (arch == DUNE_P4_TNA) {
        p = NULL;
        for (uint64_t seed = 502; !p; seed++)
            p = tofino_plan(seed, 4, 4);
    } else {
        p = random_plan(502, 5, 5);
        fit(p, "bmv2");
    }
    p->timeout = 58593750;
    judge_open(&j, p, arch, MAX_SLOTS);
    for (size_t i = 0; i < paths.len; i++)
        judge_file(&j, paths.data[i]);
    printf("# %s: %llu verdicts on %zu captures\n", set, (unsigned long long)j.inferred, paths.len);
    assert_true(j.inferred > 1000);
    judge_close(&j);
    dune_plan_free(p);
    dune_paths_fini(&paths);
}

static void test_shared_aalto(void **state)
{
    (void)state;
    shared("aalto-iot-setup", DUNE_P4_V1MODEL);
    shared("aalto-iot-setup", DUNE_P4_TNA);
}

static void test_shared_ustc(void **state)
{
    (void)state;
    shared("ustc-malware", DUNE_P4_V1MODEL);
    shared("ustc-malware", DUNE_P4_TNA);
}

/* --- properties of the encoding ------------------------------------------------------------------------------- */

/* Every value of a small domain hits one range row and one code row (the interpreter counts), and the
 * answer is the one of the nodes; wide domains at every edge of a row. */
static void test_every_value(void **state)
{
    for (uint64_t seed = 100; seed < 130; seed++) {
        struct dune_plan *p = random_plan(seed, 1, 1);
        const struct dune_submodel *sm = &p->sub[0];
        uint32_t vec[DUNE_N_FEATURES] = {0};
        struct dune_diag d = {0};
        struct emitted e;
        struct dune_rng r;

        dune_rng_init(&r, seed, 0, 0, 0);
        fit(p, "bmv2");
        e = emit(p, DUNE_P4_V1MODEL);
        for (uint32_t j = 0; j < sm->n_feats; j++) {
            const struct dune_plan_feature *f = &sm->feat[j];
            uint32_t max = dune_feature_max(f->feat), n = max < 256 ? max + 1 : 3 * f->n_rows;

            for (uint32_t i = 0; i < n; i++) {
                const struct dune_range_row *row = &f->row[i / 3 % f->n_rows];
                struct dune_sub_answer a, b;

                for (uint32_t q = 0; q < sm->n_feats; q++) {
                    uint32_t id = sm->feat[q].feat;

                    vec[id] = (uint32_t)dune_rng_below(&r, (uint64_t)dune_feature_max((int)id) + 1);
                }
                vec[f->feat] = max < 256 ? i : i % 3 == 0 ? row->lo : i % 3 == 1 ? row->hi
                                                            : row->lo + (row->hi - row->lo) / 2;
                assert_ok(dune_p4_tables_answer(e.dev[0], 0, 0, vec, &a, &d), d);
                b = dune_submodel_walk(sm, vec);
                assert_int_equal(a.cls, b.cls);
                assert_int_equal(a.conf, b.conf);
                assert_int_equal(a.claim, b.claim);
            }
        }
        drop(&e);
        dune_plan_free(p);
    }
    (void)state;
}

/* The vote tables against the rule itself: all leaves of up to 4 trees over 2 classes and Other. */
static void test_votes(void **state)
{
    for (uint32_t n = 2; n <= 4; n++) {
        struct dune_plan *p = kit_plan(2, 1);
        struct dune_submodel *sm = kit_add(p, 1, 0, 1, DUNE_MODE_PACKET);
        static const struct dune_plan_leaf kinds[] = {
            {1, 9, 1, 9}, {2, 11, 2, 11}, {255, 13, 0, 0}, {255, 17, 1, 3}, {255, 19, 2, 5}};

        fit(p, "bmv2");
        sm->n_trees = n;
        sm->tree = DUNE_NEW_N(struct dune_plan_tree, n);
        for (uint32_t t = 0; t < n; t++) {
            sm->tree[t].n_leaves = 1;
            sm->tree[t].match = dune_mem_strdup("");
            sm->tree[t].leaf = DUNE_NEW(struct dune_plan_leaf);
        }
        for (uint32_t all = 0; all < (n == 2 ? 25u : n == 3 ? 125u : 625u); all++) {
            const struct dune_plan_leaf *leaf[4];
            uint32_t vec[DUNE_N_FEATURES] = {0}, rest = all;
            struct dune_sub_answer a, b;
            struct dune_diag d = {0};
            struct emitted e;

            for (uint32_t t = 0; t < n; t++, rest /= 5) {
                *sm->tree[t].leaf = kinds[rest % 5];
                leaf[t] = sm->tree[t].leaf;
            }
            e = emit(p, DUNE_P4_V1MODEL);
            assert_ok(dune_p4_tables_answer(e.dev[0], 0, 0, vec, &a, &d), d);
            b = dune_plan_vote(leaf, n);
            assert_int_equal(a.cls, b.cls);
            assert_int_equal(a.conf, b.conf);
            assert_int_equal(a.claim, b.claim);
            drop(&e);
        }
        dune_plan_free(p);
    }
    (void)state;
}

/* A retrained model of the same shape: the program is the same text, the entries are not. */
static void test_program_is_shape_only(void **state)
{
    static const struct dune_plan_leaf leaf[] = {KIT_CLAIM(1, 200), KIT_CLAIM(2, 100)};
    static const struct dune_plan_leaf other[] = {KIT_CLAIM(2, 90), KIT_OTHER(1, 7)};
    struct dune_p4_files f[2];
    struct dune_diag d = {0};

    for (uint32_t i = 0; i < 2; i++) {
        struct dune_plan *p = kit_plan(2, 1);
        uint32_t thr = i ? 77 : 1200;

        kit_sub(p, (uint8_t)(1 + i), 0, (uint8_t)(2 + i), DUNE_MODE_RUNNING, DUNE_F_LEN_MAX, 1, &thr,
                i ? other : leaf);
        fit(p, "bmv2");
        p->timeout = 5000 + i;
        p->generation = (uint16_t)(3 + i);
        assert_ok(dune_p4_generate(p, DUNE_P4_V1MODEL, &f[i], &d), d);
        dune_plan_free(p);
    }
    assert_string_equal(dune_p4_file_find(&f[0], "d1/d1.p4")->text, dune_p4_file_find(&f[1], "d1/d1.p4")->text);
    assert_string_not_equal(dune_p4_file_find(&f[0], "d1/d1.cli.txt")->text,
                            dune_p4_file_find(&f[1], "d1/d1.cli.txt")->text);
    dune_p4_files_fini(&f[0]);
    dune_p4_files_fini(&f[1]);
    (void)state;
}

/* A model with fewer thresholds, and without one of the features, in the program of a larger one: the same
 * text, and entries that answer as the model does. */
static void test_retrained_model(void **state)
{
    static const uint8_t feat[] = {DUNE_F_IP_LEN, DUNE_F_IP_TTL, DUNE_F_LEN_MAX, DUNE_F_SRCPORT};
    uint8_t to_plan[] = {1, 2, DUNE_PLAN_OTHER};

    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct dune_plan *p[2];
        struct dune_p4_files f;
        struct dune_p4_tables *t = NULL;
        struct dune_diag d = {0};
        struct dune_rng r;
        int rc;

        dune_rng_init(&r, seed, 5, 0, 0);
        for (uint32_t k = 0; k < 2; k++) {
            struct forest_shape shape = {.trees = 1 + 2 * (seed % 2), .leaves = k ? 1 + seed : 400, .classes = 3,
                                         .n_feats = k ? 1 + seed % 4 : 4, .feat = feat};
            struct dune_forest forest;

            p[k] = kit_plan(2, 1);
            random_forest(&r, &forest, &shape);
            assert_ok(dune_submodel_from_forest(kit_add(p[k], 3, 0, 2, DUNE_MODE_RUNNING), &forest, shape.trees, 0,
                                                to_plan, &d), d);
            random_forest_fini(&forest);
            fit(p[k], "bmv2");
        }
        rc = dune_p4_generate_entries(p[1], p[0], &f, &d);
        assert_ok(rc, d);
        assert_ok(dune_p4_tables_parse(&t, DUNE_P4_V1MODEL, "d1", f.data[0].text, f.data[0].len, &d), d);
        for (int i = 0; i < 300; i++) {
            uint32_t vec[DUNE_N_FEATURES];
            struct dune_sub_answer a, b = {0};

            for (int q = 0; q < DUNE_N_FEATURES; q++)
                vec[q] = (uint32_t)dune_rng_below(&r, (uint64_t)dune_feature_max(q) + 1);
            assert_ok(dune_p4_tables_answer(t, 0, 0, vec, &a, &d), d);
            b = dune_submodel_walk(&p[1]->sub[0], vec);
            assert_int_equal(a.cls, b.cls);
            assert_int_equal(a.conf, b.conf);
            assert_int_equal(a.claim, b.claim);
        }
        dune_p4_tables_free(t);
        dune_p4_files_fini(&f);
        assert_int_equal(dune_p4_generate_entries(p[0], p[1], &f, &d), DUNE_E_INFEASIBLE);
        assert_non_null(strstr(d.msg, "device d1: sub-model 3 "));
        d = (struct dune_diag){0};
        p[1]->slots *= 2;
        assert_int_equal(dune_p4_generate_entries(p[1], p[0], &f, &d), DUNE_E_INFEASIBLE);
        assert_non_null(strstr(d.msg, "slots"));
        dune_plan_free(p[0]);
        dune_plan_free(p[1]);
    }
    (void)state;
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_random_plans),
    cmocka_unit_test(test_tna_random_plans),
    cmocka_unit_test(test_tna_refuses),
    cmocka_unit_test(test_every_value),
    cmocka_unit_test(test_votes),
    cmocka_unit_test(test_program_is_shape_only),
    cmocka_unit_test(test_retrained_model),
    cmocka_unit_test(test_shared_aalto),
    cmocka_unit_test(test_shared_ustc),
};
RUN_TESTS(tests)
