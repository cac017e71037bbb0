/* SPDX-License-Identifier: Apache-2.0 */
/* The same packets, the same counts: rows of a data set against the devices of the reference engine. */
#include <unistd.h>

#include "dune/drift.h"
#include "dune/replay.h"
#include "dune/submodels.h"
#include "dune/synth.h"
#include "testing.h"

enum { N_SUB = 3, MAX_N = 4 };

struct data {
    char dir[64], labels_path[100];
    struct dune_inputs in;
    struct dune_labels *labels;
    struct dune_dataset *ds;
    struct dune_space *space;
};

static int setup(void **state)
{
    struct data *x = DUNE_NEW(struct data);
    struct dune_synth_cfg cfg = {.n_flows = 700, .train_captures = 2, .test_captures = 1, .seed = 5};
    struct dune_extract_opts xo = {.max_n = MAX_N, .unlabelled = "rest"};
    struct dune_extract_report rep;
    struct dune_synth_stats st;
    struct dune_synth *s;
    struct dune_diag d = {0};

    snprintf(x->dir, sizeof(x->dir), "/tmp/dune-drift-XXXXXX");
    assert_non_null(mkdtemp(x->dir));
    assert_ok(dune_synth_parse(&s, "default", dune_synth_default(), strlen(dune_synth_default()), &d), d);
    assert_ok(dune_synth_write(s, &cfg, x->dir, &st, &d), d);
    dune_synth_free(s);
    snprintf(x->labels_path, sizeof(x->labels_path), "%s/labels.csv", x->dir);
    assert_ok(dune_labels_read(&x->labels, x->labels_path, NULL, &d), d);
    assert_ok(dune_inputs_add_tree(&x->in, x->dir, &d), d);
    assert_ok(dune_extract(&x->ds, x->in.data, x->in.len, x->labels, NULL, &xo, &rep, &d), d);
    assert_ok(dune_space_new(&x->space, x->ds, DUNE_SPLIT_TRAIN, NULL, MAX_N, 1, &d), d);
    *state = x;
    return 0;
}

static int teardown(void **state)
{
    struct data *x = *state;
    char command[128];

    dune_space_free(x->space);
    dune_dataset_free(x->ds);
    dune_labels_free(x->labels);
    dune_inputs_fini(&x->in);
    snprintf(command, sizeof(command), "rm -r %s", x->dir);
    assert_int_equal(system(command), 0);
    dune_mem_free(x);
    return 0;
}

static struct dune_plan *make_plan(struct data *x, enum dune_claim_rule claim, uint16_t early_exit, unsigned variant)
{
    struct dune_chain_rule rule = {.claim = claim, .early_exit = early_exit};
    const struct dune_budget none = {0};
    struct dune_fit *fit[N_SUB] = {0};
    uint8_t id[N_SUB] = {0, 1, 2}, member[256];
    struct dune_plan *p;
    struct dune_diag d = {0};

    for (unsigned i = 0; i < N_SUB; i++) {
        struct dune_fit_cfg c = {.n = 2 + (i + variant) % 3, .mode = (enum dune_mode)((i + variant) % 2),
                                 .max_features = 5, .n_trees = claim == DUNE_CLAIM_VOTES ? 1 : 1 + 2 * (i % 2),
                                 .max_leaves = 40, .balance = 0.5, .seed = i + 1};

        if (variant == 2 && i == 1)
            c.mode = DUNE_MODE_FLOW;
        assert_ok(dune_feature_set_parse("all", c.n, &c.features, &d), d);
        for (uint32_t k = 0; k < x->ds->n_classes; k++)
            member[k] = claim == DUNE_CLAIM_VOTES || k % N_SUB == i;
        assert_ok(dune_space_prepare(x->space, c.n, c.mode, &d), d);
        assert_ok(dune_fit_train(&fit[i], x->space, &c, member, NULL, &d), d);
    }
    assert_ok(dune_plan_from_fits(&p, x->space, fit, id, N_SUB, N_SUB, &rule, &none, "engine", &d), d);
    if (variant == 1)
        p->sub[1].device = 0; /* two on one device */
    assert_ok(dune_plan_verify(p, &d), d);
    for (unsigned i = 0; i < N_SUB; i++)
        dune_fit_free(fit[i]);
    return p;
}

static void on_answer(void *ctx, const struct dune_plan *plan, uint32_t sub, const uint32_t *features,
                      const struct dune_sub_answer *a)
{
    dune_drift_note(ctx, plan, sub, features, a);
}

static void replay(struct data *x, const struct dune_plan *p, struct dune_drift_counts *c)
{
    struct dune_replay_opts o = {.chain = {.slots = 1u << 14, .ways = 8}, .on_answer = on_answer, .on_answer_ctx = c};
    struct dune_replay *r;
    const char *path[16];
    struct dune_diag d = {0};

    for (size_t i = 0; i < x->in.len; i++)
        path[i] = x->in.data[i].path;
    assert_ok(dune_replay_run(&r, p, path, x->in.len, &o, &d), d);
    assert_int_equal(r->collided, 0);
    dune_replay_free(r);
}

static void assert_same(const struct dune_drift_counts *a, const struct dune_drift_counts *b)
{
    for (uint32_t k = 0; k < a->n; k++) {
        assert_true(a->sub[k].answers > 100);
        assert_int_equal(a->sub[k].answers, b->sub[k].answers);
        for (uint32_t c = 0; c <= a->sub[k].n_classes; c++) {
            assert_int_equal(a->sub[k].claims[c], b->sub[k].claims[c]);
            assert_int_equal(a->sub[k].confidence[c], b->sub[k].confidence[c]);
        }
        for (uint32_t j = 0; j < a->sub[k].n_feats; j++)
            for (uint32_t r = 0; r < a->sub[k].n_rows[j]; r++)
                assert_int_equal(a->sub[k].hits[j][r], b->sub[k].hits[j][r]);
        for (uint32_t t = 0; t < a->sub[k].n_trees; t++)
            for (uint32_t i = 0; i < a->sub[k].n_leaves[t]; i++)
                assert_int_equal(a->sub[k].leaves[t][i], b->sub[k].leaves[t][i]);
    }
}

static void test_rows_count_as_packets(void **state)
{
    static const struct {
        enum dune_claim_rule claim;
        uint16_t early_exit;
    } rule[] = {{DUNE_CLAIM_BEST, 256}, {DUNE_CLAIM_BEST, 40}, {DUNE_CLAIM_FIRST, 256}, {DUNE_CLAIM_VOTES, 256}};
    struct data *x = *state;
    struct dune_diag d = {0};

    for (unsigned i = 0; i < DUNE_ARRAY_LEN(rule) * 3; i++) {
        struct dune_drift_counts rows, packets;
        struct dune_plan *p = make_plan(x, rule[i / 3].claim, rule[i / 3].early_exit, i % 3);

        dune_drift_counts_init(&rows, p);
        dune_drift_counts_init(&packets, p);
        assert_ok(dune_drift_count_flows(&rows, p, x->ds, NULL, &d), d);
        replay(x, p, &packets);
        assert_same(&rows, &packets);
        dune_drift_counts_fini(&rows);
        dune_drift_counts_fini(&packets);
        dune_plan_free(p);
    }
}

/* Sums and differences of counts, and that hits add up. */
static void test_arithmetic(void **state)
{
    struct data *x = *state;
    struct dune_plan *p = make_plan(x, DUNE_CLAIM_BEST, 256, 0);
    struct dune_drift_counts all, half[2];
    uint8_t *use = dune_mem_alloc(x->ds->n_flows, 1);
    struct dune_diag d = {0};

    dune_drift_counts_init(&all, p);
    assert_ok(dune_drift_count_flows(&all, p, x->ds, NULL, &d), d);
    for (unsigned i = 0; i < 2; i++) {
        dune_drift_counts_init(&half[i], p);
        for (uint64_t k = 0; k < x->ds->n_flows; k++)
            use[k] = k % 2 == i;
        assert_ok(dune_drift_count_flows(&half[i], p, x->ds, use, &d), d);
    }
    dune_drift_counts_add(&half[0], &half[1], 1);
    assert_same(&all, &half[0]);
    dune_drift_counts_add(&all, &half[1], -1);
    assert_int_equal(all.sub[0].answers + half[1].sub[0].answers, half[0].sub[0].answers);
    for (uint32_t k = 0; k < all.n; k++) {
        uint64_t claims = 0, hits = 0, leaves = 0;

        for (uint32_t c = 0; c <= all.sub[k].n_classes; c++)
            claims += all.sub[k].claims[c];
        for (uint32_t r = 0; r < all.sub[k].n_rows[0]; r++)
            hits += all.sub[k].hits[0][r];
        assert_int_equal(claims, all.sub[k].answers);
        assert_int_equal(hits, all.sub[k].answers);
        for (uint32_t i = 0; i < all.sub[k].n_leaves[0]; i++)
            leaves += all.sub[k].leaves[0][i];
        assert_int_equal(leaves, all.sub[k].answers);
    }
    for (unsigned i = 0; i < 2; i++)
        dune_drift_counts_fini(&half[i]);
    dune_drift_counts_fini(&all);
    dune_mem_free(use);
    dune_plan_free(p);
}

/* Only the reference engine tells its answers. */
static void test_other_engines_refuse(void **state)
{
    struct data *x = *state;
    struct dune_plan *p = make_plan(x, DUNE_CLAIM_BEST, 256, 0);
    struct dune_drift_counts c;
    struct dune_replay_opts o = {.engine = "fast", .on_answer = on_answer, .on_answer_ctx = &c};
    struct dune_replay *r;
    struct dune_diag d = {0};

    dune_drift_counts_init(&c, p);
    assert_int_equal(dune_replay_run(&r, p, &x->in.data[0].path, 1, &o, &d), DUNE_E_USAGE);
    dune_drift_counts_fini(&c);
    dune_plan_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_count_as_packets),
        cmocka_unit_test(test_arithmetic),
        cmocka_unit_test(test_other_engines_refuse),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, setup, teardown);
}
