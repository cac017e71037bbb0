/* SPDX-License-Identifier: Apache-2.0 */
/* The order with the best chained score, against trying every order on every item. */
#include "testing.h"

#include "dune/sequence.h"
#include "dune/submodels.h"

enum { CLASSES = 9, ITEMS = 400 };

/* A space of one packet per flow, and answers of n sub-models; class c belongs to block c % n. */
struct scene {
    struct dune_space s;
    uint32_t flow[ITEMS];
    uint16_t cls[ITEMS];
    uint64_t w[ITEMS];
    uint8_t mask[ITEMS];
    struct dune_item_answer answer[DUNE_MAX_SUBMODELS][ITEMS];
    const struct dune_item_answer *col[DUNE_MAX_SUBMODELS];
    uint8_t id[DUNE_MAX_SUBMODELS], min_conf[CLASSES + 1];
    unsigned n;
};

static struct scene *make_scene(unsigned n, uint64_t seed)
{
    struct scene *x = DUNE_NEW(struct scene);
    struct dune_rng r;

    dune_rng_init(&r, seed, n, 0, 0);
    x->n = n;
    x->s = (struct dune_space){.n_flows = ITEMS, .n_classes = CLASSES, .n_items = ITEMS, .item_flow = x->flow,
                               .item_cls = x->cls, .item_w = x->w};
    for (uint32_t i = 0; i < ITEMS; i++) {
        x->flow[i] = i;
        x->cls[i] = (uint16_t)dune_rng_below(&r, CLASSES);
        x->w[i] = 1 + dune_rng_below(&r, DUNE_WEIGHT_ONE);
        x->mask[i] = dune_rng_below(&r, 5) > 0;
        for (unsigned k = 0; k < n; k++) {
            uint64_t what = dune_rng_below(&r, 4);
            uint16_t own = (uint16_t)(k + n * dune_rng_below(&r, CLASSES / n));

            x->answer[k][i] = (struct dune_item_answer){
                .cls = what == 0 ? DUNE_NO_CLASS : own, .claim = what > 1,
                .conf = what == 0 ? 0 : (uint8_t)(60 * dune_rng_below(&r, 5))};
        }
    }
    for (unsigned k = 0; k < n; k++) {
        x->col[k] = x->answer[k];
        x->id[k] = (uint8_t)(n - k);
    }
    for (unsigned c = 0; c < CLASSES; c++)
        x->min_conf[c] = (uint8_t)(50 * dune_rng_below(&r, 3));
    return x;
}

static double score(const struct scene *x, const struct dune_chain_rule *rule, const uint32_t *order)
{
    const struct dune_item_answer *col[DUNE_MAX_SUBMODELS];
    uint8_t id[DUNE_MAX_SUBMODELS];
    struct dune_confusion c;
    double macro;

    for (unsigned i = 0; i < x->n; i++) {
        col[i] = x->col[order[i]];
        id[i] = x->id[order[i]];
    }
    dune_confusion_init(&c, CLASSES);
    dune_chain_confusion(&x->s, col, id, x->n, rule, x->mask, false, &c);
    macro = dune_f1_score(&c, DUNE_WEIGHT_ONE, NULL).macro;
    dune_confusion_fini(&c);
    return macro;
}

/* Every order by recursion: best score, its first order, how many reach it. */
struct brute {
    const struct scene *x;
    const struct dune_chain_rule *rule;
    uint32_t order[8], best[8];
    double top;
    uint64_t ties;
};

static void recurse(struct brute *b, unsigned at)
{
    if (at == b->x->n) {
        double f = score(b->x, b->rule, b->order);

        if (f > b->top + 1e-12) {
            b->top = f;
            b->ties = 0;
            memcpy(b->best, b->order, sizeof(b->best));
        }
        b->ties += f >= b->top - 1e-12;
        return;
    }
    for (uint32_t k = 0; k < b->x->n; k++) {
        bool used = false;

        for (unsigned i = 0; i < at; i++)
            used |= b->order[i] == k;
        if (used)
            continue;
        b->order[at] = k;
        recurse(b, at + 1);
    }
}

static void compare(unsigned n, uint64_t seed, const struct dune_chain_rule *base, bool thresholds)
{
    struct scene *x = make_scene(n, seed);
    struct dune_chain_rule rule = *base;
    struct brute b = {.x = x, .rule = &rule, .top = -1};
    struct dune_diag d = {0};
    struct dune_order o;

    rule.min_confidence = thresholds ? x->min_conf : NULL;
    recurse(&b, 0);
    assert_ok(dune_sequence_end_to_end(&o, &x->s, x->col, x->id, n, &rule, x->mask, &d), d);
    assert_int_equal(o.n, n);
    assert_int_equal(o.optimal, 1);
    assert_true(o.objective == b.top);
    assert_int_equal(o.ties, b.ties);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(o.order[i], b.best[i]);
    dune_mem_free(x);
}

static void test_brute_force(void **state)
{
    static const struct dune_chain_rule rules[] = {
        {.claim = DUNE_CLAIM_FIRST, .early_exit = 256},
        {.claim = DUNE_CLAIM_BEST, .early_exit = 120},
        {.claim = DUNE_CLAIM_BEST, .early_exit = 200, .fallback = DUNE_FALLBACK_BEST},
        {.claim = DUNE_CLAIM_BEST, .early_exit = 256, .fallback = DUNE_FALLBACK_BEST},
    };

    (void)state;
    for (unsigned n = 1; n <= 5; n++)
        for (size_t r = 0; r < DUNE_ARRAY_LEN(rules); r++)
            for (uint64_t seed = 0; seed < 4; seed++)
                compare(n, seed, &rules[r], r > 0 && seed % 2);
}

/* Without early exit the best claim does not depend on the order. */
static void test_best_is_free_of_order(void **state)
{
    struct scene *x = make_scene(5, 7);
    const struct dune_chain_rule rule = {.claim = DUNE_CLAIM_BEST, .early_exit = 256};
    struct dune_diag d = {0};
    struct dune_order o;

    (void)state;
    assert_ok(dune_sequence_end_to_end(&o, &x->s, x->col, x->id, 5, &rule, x->mask, &d), d);
    assert_int_equal(o.ties, 120);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(o.order[i], i);
    dune_mem_free(x);
}

/* Above 8 sub-models: a permutation whose score is the one stated, and no single move improves it. */
static void test_insertion(void **state)
{
    struct scene *x = make_scene(9, 3);
    const struct dune_chain_rule rule = {.claim = DUNE_CLAIM_FIRST, .early_exit = 256};
    struct dune_diag d = {0};
    struct dune_order o;
    uint32_t seen = 0;

    (void)state;
    assert_ok(dune_sequence_end_to_end(&o, &x->s, x->col, x->id, 9, &rule, x->mask, &d), d);
    assert_int_equal(o.optimal, 0);
    for (unsigned i = 0; i < 9; i++)
        seen |= 1u << o.order[i];
    assert_int_equal(seen, 0x1ff);
    assert_true(o.objective == score(x, &rule, o.order));
    for (unsigned from = 0; from < 9; from++)
        for (unsigned to = 0; to < 9; to++) {
            uint32_t v[9], k = 0, b = o.order[from];

            for (unsigned i = 0; i < 9; i++)
                if (i != from)
                    v[k++] = o.order[i];
            memmove(v + to + 1, v + to, (8 - to) * sizeof(*v));
            v[to] = b;
            assert_true(score(x, &rule, v) <= o.objective + 1e-12);
        }
    dune_mem_free(x);
}

static void test_limits(void **state)
{
    struct scene *x = make_scene(1, 1);
    const struct dune_chain_rule rule = {.claim = DUNE_CLAIM_FIRST, .early_exit = 256};
    struct dune_diag d = {0};
    struct dune_order o;

    (void)state;
    assert_int_equal(dune_sequence_end_to_end(&o, &x->s, x->col, x->id, 0, &rule, NULL, &d), DUNE_E_INFEASIBLE);
    assert_int_equal(dune_sequence_end_to_end(&o, &x->s, x->col, x->id, DUNE_MAX_SUBMODELS + 1, &rule, NULL, NULL),
                     DUNE_E_INFEASIBLE);
    dune_mem_free(x);
}

/* Confusion between blocks against a plain count in floating point. */
static void test_block_confusion(void **state)
{
    struct scene *x = make_scene(3, 5);
    uint8_t member[3][CLASSES] = {{0}};
    double got[9], want[9] = {0};

    (void)state;
    for (unsigned c = 0; c < CLASSES; c++)
        member[c % 3][c] = 1;
    dune_block_confusion(&x->s, 3, &member[0][0], x->col, x->mask, got);
    for (uint32_t i = 0; i < ITEMS; i++)
        for (unsigned k = 0; k < 3; k++)
            if (x->mask[i] && x->answer[k][i].claim)
                want[x->cls[i] % 3 * 3 + k] += (double)x->w[i] / (double)DUNE_WEIGHT_ONE;
    for (unsigned i = 0; i < 9; i++)
        assert_true(got[i] > want[i] - 1e-9 && got[i] < want[i] + 1e-9);
    dune_mem_free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_brute_force), cmocka_unit_test(test_best_is_free_of_order),
        cmocka_unit_test(test_insertion),   cmocka_unit_test(test_limits),
        cmocka_unit_test(test_block_confusion),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
