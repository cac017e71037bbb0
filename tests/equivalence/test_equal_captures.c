/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both engines on the shared captures, under plans trained from them: as planned, on tables with 8 and 64
 * slots, with rules. Arguments: "all" takes every capture, else the smaller set; the engine (fast).
 */
#include "dune/capture.h"
#include "dune/dataset.h"
#include "dune/submodels.h"
#include "equivalence/equal_kit.h"

static bool all_captures;

struct set {
    const char *name, *labels, *captures;
};
static const struct set sets[] = {
    {"ustc-malware", "labels.csv", NULL},
    {"aalto-iot-setup", "labels-grouped.csv", "captures.csv"},
};

/* --- a plan of two or three blocks ------------------------------------------------------------------------ */

static struct dune_dataset *extract(const struct set *s, struct dune_inputs *in)
{
    struct dune_captures *captures = NULL;
    struct dune_extract_opts opts = {.max_n = 4};
    struct dune_extract_report report;
    struct dune_labels *labels;
    struct dune_dataset *ds;
    struct dune_diag d = {0};
    char path[1200];

    assert_ok(dune_inputs_add_tree(in, shared_data(s->name), &d), d);
    snprintf(path, sizeof(path), "%s/%s", shared_data(s->name), s->labels);
    assert_ok(dune_labels_read(&labels, path, NULL, &d), d);
    snprintf(path, sizeof(path), "%s/%s", shared_data(s->name), s->captures ? s->captures : "");
    if (s->captures)
        assert_ok(dune_captures_read(&captures, path, &d), d);
    assert_ok(dune_extract(&ds, in->data, in->len, labels, captures, &opts, &report, &d), d);
    dune_captures_free(captures);
    dune_labels_free(labels);
    return ds;
}

static struct dune_fit *fit_block(struct dune_space *s, unsigned k, unsigned n_blocks)
{
    static const enum dune_mode modes[] = {DUNE_MODE_RUNNING, DUNE_MODE_PUBLISHED, DUNE_MODE_FLOW};
    struct dune_fit_cfg cfg = {.n = 2 + k % 3, .mode = modes[k % 3], .max_features = 8, .n_trees = 3,
                               .max_leaves = 200, .bootstrap = true, .seed = k};
    uint8_t *block = DUNE_NEW_N(uint8_t, s->n_classes);
    struct dune_fit *f;
    struct dune_diag d = {0};

    assert_ok(dune_feature_set_parse("all", cfg.n, &cfg.features, &d), d);
    for (uint32_t c = 0; c < s->n_classes; c++)
        block[c] = c % n_blocks == k;
    assert_ok(dune_space_prepare(s, cfg.n, cfg.mode, &d), d);
    assert_ok(dune_fit_train(&f, s, &cfg, block, NULL, &d), d);
    dune_mem_free(block);
    return f;
}

static struct dune_plan *train(const struct dune_dataset *ds, enum dune_claim_rule claim)
{
    enum { BLOCKS = 3 };
    const uint8_t id[BLOCKS] = {2, 1, 3};
    struct dune_chain_rule rule = {.claim = claim, .fallback = DUNE_FALLBACK_BEST, .early_exit = 230};
    struct dune_budget none = {0};
    struct dune_fit *fit[BLOCKS];
    struct dune_space *s;
    struct dune_plan *p;
    struct dune_diag d = {0};

    assert_ok(dune_space_new(&s, ds, DUNE_SPLIT_TRAIN, NULL, 4, 1, &d), d);
    for (unsigned k = 0; k < BLOCKS; k++)
        fit[k] = fit_block(s, k, BLOCKS);
    assert_ok(dune_plan_from_fits(&p, s, fit, id, BLOCKS, BLOCKS, &rule, &none, "engine", &d), d);
    for (unsigned k = 0; k < BLOCKS; k++)
        dune_fit_free(fit[k]);
    dune_space_free(s);
    return p;
}

/* --- replay ----------------------------------------------------------------------------------------------- */

static void replay(struct equal *e, const char *path)
{
    struct dune_chain_packet pkt[DUNE_BURST_MAX];
    struct dune_reader *reader;
    struct dune_record rec;
    struct dune_diag d = {0};
    unsigned n = 0;
    int rc;

    assert_ok(dune_reader_open(&reader, path, &d), d);
    equal_new_capture(e);
    while ((rc = dune_reader_next(reader, &rec, &d)) == 1) {
        pkt[n++] = (struct dune_chain_packet){rec.data, rec.cap_len, rec.wire_len, dune_tick(rec.ts_ns)};
        if (n == DUNE_BURST_MAX) {
            equal_burst(e, pkt, n, true);
            n = 0;
        }
    }
    assert_int_equal(rc, 0);
    equal_burst(e, pkt, n, true);
    dune_reader_close(reader);
}

static void replay_all(const struct dune_plan *p, const struct dune_inputs *in, const struct dune_chain_opts *o,
                       const char *what)
{
    struct equal e;

    equal_open(&e, p, o, false, what, o->slots);
    for (size_t i = 0; i < in->len; i++)
        replay(&e, in->data[i].path);
    print_message("# %s, %u slots: %llu packets, %llu inferable, %llu collided, %llu settled\n", what, o->slots,
                  (unsigned long long)e.packets, (unsigned long long)e.inferable,
                  (unsigned long long)e.collided, (unsigned long long)e.settled);
    assert_true(e.inferable > 0 && e.settled > 0);
    equal_close(&e);
}

static void run_set(const struct set *s)
{
    static const struct dune_chain_opts opts[] = {
        {.ways = 4}, {.slots = 8, .ways = 1}, {.slots = 64, .ways = 8, .keep_shim = true},
        {.slots = 64, .ways = 2, .rules = true, .rule_delay = 1000}, {.slots = 64, .ways = 4, .threads = 2},
    };
    struct dune_inputs in = {0};
    struct dune_dataset *ds;

    ds = extract(s, &in);
    for (int claim = all_captures ? DUNE_CLAIM_FIRST : DUNE_CLAIM_BEST; claim <= DUNE_CLAIM_BEST; claim++) {
        struct dune_plan *p = train(ds, (enum dune_claim_rule)claim);

        for (size_t k = 0; k < (all_captures ? DUNE_ARRAY_LEN(opts) : 2); k++)
            replay_all(p, &in, &opts[k], s->name);
        dune_plan_free(p);
    }
    dune_dataset_free(ds);
    dune_inputs_fini(&in);
}

static void test_ustc(void **state)
{
    run_set(&sets[0]);
    (void)state;
}

static void test_aalto(void **state)
{
    run_set(&sets[1]);
    (void)state;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest one[] = {cmocka_unit_test(test_ustc)};
    const struct CMUnitTest both[] = {cmocka_unit_test(test_ustc), cmocka_unit_test(test_aalto)};

    all_captures = argc > 1 && strcmp(argv[1], "all") == 0;
    for (size_t i = 0; i < (all_captures ? 2 : 1); i++)
        if (!shared_data(sets[i].name)) {
            printf("1..0 # SKIP the shared captures are not here\n");
            return 0;
        }
    if (argc > 2 && !equal_with(argv[2]))
        return 0;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return all_captures ? cmocka_run_group_tests(both, NULL, NULL) : cmocka_run_group_tests(one, NULL, NULL);
}
