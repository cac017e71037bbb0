/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the planner predicts from the data set is what the chain does with the captures: every packet of
 * every test flow, for all claim rules and phase modes, with tables that do not collide.
 */
#include <unistd.h>

#include "dune/replay.h"
#include "dune/submodels.h"
#include "dune/synth.h"
#include "testing.h"

#define N_SUB 4
#define MAX_N 4

struct data {
    struct dune_inputs in, test;
    struct dune_labels *labels;
    struct dune_captures *captures;
    struct dune_dataset *ds;
    struct dune_space *train, *unseen;
};

static void load(struct data *x, const char *root, const char *labels, uint64_t timeout)
{
    struct dune_extract_opts xo = {.max_n = MAX_N, .timeout = timeout};
    struct dune_extract_report rep;
    struct dune_diag d = {0};
    char path[1100];

    snprintf(path, sizeof(path), "%s/%s", root, labels);
    assert_ok(dune_labels_read(&x->labels, path, NULL, &d), d);
    snprintf(path, sizeof(path), "%s/captures.csv", root);
    if (dune_path_exists(path))
        assert_ok(dune_captures_read(&x->captures, path, &d), d);
    assert_ok(dune_inputs_add_tree(&x->in, root, &d), d);
    snprintf(path, sizeof(path), "%s/test", root);
    assert_ok(dune_inputs_add(&x->test, path, DUNE_SPLIT_TEST, &d), d);
    assert_ok(dune_extract(&x->ds, x->in.data, x->in.len, x->labels, x->captures, &xo, &rep, &d), d);
    assert_ok(dune_space_new(&x->train, x->ds, DUNE_SPLIT_TRAIN, NULL, MAX_N, 0, &d), d);
    assert_ok(dune_space_new(&x->unseen, x->ds, DUNE_SPLIT_TEST, NULL, MAX_N, 0, &d), d);
}

static void unload(struct data *x)
{
    dune_space_free(x->train);
    dune_space_free(x->unseen);
    dune_dataset_free(x->ds);
    dune_captures_free(x->captures);
    dune_labels_free(x->labels);
    dune_inputs_fini(&x->in);
    dune_inputs_fini(&x->test);
}

/* Sub-model i: every fourth class, its own n and mode. */
static struct dune_fit *fit_one(struct data *x, unsigned i, enum dune_claim_rule claim, uint64_t seed)
{
    struct dune_fit_cfg cfg = {.n = 2 + (i + (unsigned)seed) % 3, .mode = (enum dune_mode)((i + seed) % 3),
                               .features = ~UINT64_C(0), .max_features = 6,
                               .n_trees = claim == DUNE_CLAIM_VOTES ? 1 : 1 + 2 * (i % 2),
                               .max_leaves = 60, .balance = 0.5, .seed = seed * 10 + i};
    struct dune_fit *f = NULL;
    struct dune_diag d = {0};
    uint8_t *block = DUNE_NEW_N(uint8_t, x->ds->n_classes);

    if (cfg.mode == DUNE_MODE_PACKET) /* mode packet needs every packet in the data set */
        cfg.mode = DUNE_MODE_FLOW;
    assert_ok(dune_feature_set_parse("all", cfg.n, &cfg.features, &d), d);
    for (uint32_t c = 0; c < x->ds->n_classes; c++)
        block[c] = claim == DUNE_CLAIM_VOTES || c % N_SUB == i;
    assert_ok(dune_space_prepare(x->train, cfg.n, cfg.mode, &d), d);
    assert_ok(dune_space_prepare(x->unseen, cfg.n, cfg.mode, &d), d);
    assert_ok(dune_fit_train(&f, x->train, &cfg, block, NULL, &d), d);
    dune_mem_free(block);
    return f;
}

struct check {
    const struct data *x;
    const struct dune_plan *plan;
    uint16_t *pred;   /* [items] data-set class or DUNE_NO_CLASS */
    uint64_t *item0;  /* [test flows] first item */
    DUNE_VEC(uint64_t) number; /* replay counts unlabelled flows, the data set does not have them */
    uint64_t labelled, packets, claimed;
};

static void compare(void *ctx, const struct dune_replay_packet *p)
{
    struct check *c = ctx;
    unsigned pos = (unsigned)DUNE_MIN(p->flow_pos, MAX_N);
    uint16_t want;

    if (p->flow == DUNE_NO_FLOW)
        return;
    while (c->number.len <= p->flow)
        DUNE_VEC_PUSH(&c->number, DUNE_NO_FLOW);
    if (p->truth == UINT32_MAX)
        return;
    if (p->flow_pos == 1)
        c->number.data[p->flow] = c->labelled++;
    want = c->pred[c->item0[c->number.data[p->flow]] + pos - 1];
    c->packets++;
    c->claimed += want != DUNE_NO_CLASS;
    if ((p->verdict->cls == 0) != (want == DUNE_NO_CLASS) ||
        (want != DUNE_NO_CLASS &&
         strcmp(c->plan->cls[p->verdict->cls - 1].name, c->x->ds->class_name[want]) != 0))
        fail_msg("%s packet %llu (%llu of its flow): verdict %u, predicted %u", p->capture,
                 (unsigned long long)p->index, (unsigned long long)p->flow_pos, p->verdict->cls, want);
}

/* From the tables of the plan, which must say what the fits say. */
static void predict(struct check *c, struct dune_fit **fit, const uint8_t *id,
                    const struct dune_chain_rule *rule)
{
    const struct dune_space *s = c->x->unseen;
    struct dune_item_answer *col[N_SUB], *fitted = dune_mem_zalloc(s->n_items, sizeof(*fitted));
    struct dune_diag d = {0};

    c->pred = dune_mem_alloc(s->n_items, sizeof(*c->pred));
    c->item0 = dune_mem_alloc(s->n_flows, sizeof(*c->item0));
    for (unsigned i = 0; i < N_SUB; i++) {
        col[i] = dune_mem_zalloc(s->n_items, sizeof(**col));
        assert_ok(dune_plan_answer(c->plan, i, s, col[i], &d), d);
        assert_ok(dune_fit_answer(fit[i], s, NULL, fitted, &d), d);
        for (size_t k = 0; k < s->n_items; k++)
            assert_true(fitted[k].cls == col[i][k].cls && fitted[k].conf == col[i][k].conf &&
                        fitted[k].claim == col[i][k].claim);
    }
    for (size_t k = s->n_items; k-- > 0;) {
        c->pred[k] = dune_chain_decide((const struct dune_item_answer *const *)col, k, id, N_SUB, rule);
        c->item0[s->item_flow[k]] = k;
    }
    for (unsigned i = 0; i < N_SUB; i++)
        dune_mem_free(col[i]);
    dune_mem_free(fitted);
}

static void check_rule(struct data *x, const struct dune_chain_rule *rule, uint64_t seed)
{
    static const uint8_t id[N_SUB] = {2, 0, 3, 1};
    const struct dune_budget budget = {0};
    struct check c = {.x = x};
    struct dune_fit *fit[N_SUB];
    struct dune_replay_opts o = {.labels = x->labels, .captures = x->captures, .on_packet = compare,
                                 .on_packet_ctx = &c, .chain.slots = 65536, .chain.ways = 8};
    struct dune_plan *plan = NULL;
    struct dune_replay *r = NULL;
    struct dune_diag d = {0};
    const char **path = dune_mem_alloc(x->test.len, sizeof(*path));

    for (size_t i = 0; i < x->test.len; i++)
        path[i] = x->test.data[i].path;
    for (unsigned i = 0; i < N_SUB; i++)
        fit[i] = fit_one(x, i, rule->claim, seed);
    assert_ok(dune_plan_from_fits(&plan, x->train, fit, id, N_SUB, N_SUB, rule, &budget, "engine", &d), d);
    assert_ok(dune_plan_verify(plan, &d), d);
    c.plan = plan;
    predict(&c, fit, id, rule);
    assert_ok(dune_replay_run(&r, plan, path, x->test.len, &o, &d), d);
    assert_int_equal(r->collided, 0);
    assert_int_equal(r->flows, x->unseen->n_flows);
    assert_int_equal(c.labelled, x->unseen->n_flows);
    assert_int_equal(c.packets, r->inferable - r->unlabelled_packets);
    DUNE_VEC_FREE(&c.number);
    assert_true(c.claimed > c.packets / 4);
    dune_replay_free(r);
    dune_plan_free(plan);
    for (unsigned i = 0; i < N_SUB; i++)
        dune_fit_free(fit[i]);
    dune_mem_free(path);
    dune_mem_free(c.pred);
    dune_mem_free(c.item0);
}

static void check_set(const char *root, const char *labels, uint64_t timeout)
{
    struct data x = {0};
    uint8_t *bar;

    load(&x, root, labels, timeout);
    bar = DUNE_NEW_N(uint8_t, x.ds->n_classes + 1);
    for (uint32_t c = 0; c < x.ds->n_classes; c++)
        bar[c] = (uint8_t)(c * 37 % 120);
    const struct dune_chain_rule rules[] = {
        {.claim = DUNE_CLAIM_FIRST, .early_exit = 256},
        {.claim = DUNE_CLAIM_BEST, .early_exit = 256, .fallback = DUNE_FALLBACK_BEST},
        {.claim = DUNE_CLAIM_BEST, .early_exit = 150, .min_confidence = bar},
        {.claim = DUNE_CLAIM_BEST, .early_exit = 90, .min_confidence = bar,
         .fallback = DUNE_FALLBACK_BEST},
        {.claim = DUNE_CLAIM_VOTES, .early_exit = 256},
        {.claim = DUNE_CLAIM_VOTES, .early_exit = 256, .min_confidence = bar},
    };
    for (size_t i = 0; i < DUNE_ARRAY_LEN(rules); i++)
        check_rule(&x, &rules[i], i + 1);
    dune_mem_free(bar);
    unload(&x);
}

static void test_synthetic(void **state)
{
    const struct dune_synth_cfg cfg = {.n_flows = 1500, .train_captures = 5, .test_captures = 2, .seed = 3};
    struct dune_synth_stats stats;
    struct dune_synth *profile;
    struct dune_diag d = {0};
    char dir[] = "/tmp/dune-predictions-XXXXXX", *rm;

    assert_non_null(mkdtemp(dir));
    assert_ok(dune_synth_parse(&profile, "default", dune_synth_default(), strlen(dune_synth_default()), &d), d);
    assert_ok(dune_synth_write(profile, &cfg, dir, &stats, &d), d);
    check_set(dir, "labels.csv", 0);
    dune_synth_free(profile);
    rm = dune_mem_printf("rm -rf %s", dir);
    assert_int_equal(system(rm), 0);
    dune_mem_free(rm);
    (void)state;
}

static void test_aalto(void **state)
{
    const char *root = shared_data("aalto-iot-setup");

    if (!root)
        skip();
    check_set(root, "labels-grouped.csv", 0);
    (void)state;
}

static void test_ustc(void **state)
{
    const char *root = shared_data("ustc-malware");

    if (!root)
        skip();
    check_set(root, "labels.csv", DUNE_TIMEOUT_NONE);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_synthetic),
        cmocka_unit_test(test_aalto),
        cmocka_unit_test(test_ustc),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
