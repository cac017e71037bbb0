/* SPDX-License-Identifier: Apache-2.0 */
/* Chains of answers against the claim rules written down a second time, word by word (design section 5,
 * step 7). */
#include "dune/submodels.h"
#include "testing.h"

enum { N_CLASSES = 5, MAX_SUB = 7 };

/* What travels with the packet. */
struct carried {
    bool any, claim, final;
    uint16_t cls;
    unsigned conf, id;
};

static bool replaces(const struct carried *c, const struct dune_item_answer *a, unsigned id)
{
    if (!c->any)
        return true;
    if (a->claim && !c->claim)
        return true;
    if (!a->claim && c->claim)
        return false;
    return a->conf > c->conf || (a->conf == c->conf && id < c->id);
}

static uint16_t naive_best(const struct dune_item_answer *a, const uint8_t *id, unsigned n,
                           const struct dune_chain_rule *rule)
{
    struct carried c = {0};
    unsigned bar = 0;

    for (unsigned s = 0; s < n && !c.final; s++) {
        if (a[s].cls != DUNE_NO_CLASS && replaces(&c, &a[s], id[s]))
            c = (struct carried){.any = true, .claim = a[s].claim, .cls = a[s].cls, .conf = a[s].conf,
                                 .id = id[s]};
        bar = c.any && rule->min_confidence ? rule->min_confidence[c.cls] : 0;
        c.final = c.any && c.claim && c.conf >= rule->early_exit && c.conf >= bar;
    }
    if (c.final)
        return c.cls;
    if (!c.any || c.conf < bar)
        return DUNE_NO_CLASS;
    if (!c.claim && rule->fallback == DUNE_FALLBACK_NONE)
        return DUNE_NO_CLASS;
    return c.cls;
}

static uint16_t naive_first(const struct dune_item_answer *a, unsigned n)
{
    for (unsigned s = 0; s < n; s++)
        if (a[s].cls != DUNE_NO_CLASS && a[s].claim)
            return a[s].cls;
    return DUNE_NO_CLASS;
}

static uint16_t naive_votes(const struct dune_item_answer *a, unsigned n, const struct dune_chain_rule *rule)
{
    unsigned counter[N_CLASSES] = {0}, winner = N_CLASSES;
    bool seen[N_CLASSES] = {false};

    for (unsigned s = 0; s < n; s++) {
        if (a[s].cls == DUNE_NO_CLASS)
            continue;
        counter[a[s].cls] += a[s].conf;
        seen[a[s].cls] = true;
    }
    for (unsigned c = N_CLASSES; c-- > 0;)
        if (seen[c] && (winner == N_CLASSES || counter[c] >= counter[winner]))
            winner = c;
    if (winner == N_CLASSES)
        return DUNE_NO_CLASS;
    if (rule->min_confidence && counter[winner] < rule->min_confidence[winner])
        return DUNE_NO_CLASS; /* thresholds are 8 bits: a saturated counter passes all of them */
    return (uint16_t)winner;
}

static uint16_t naive(const struct dune_item_answer *a, const uint8_t *id, unsigned n,
                      const struct dune_chain_rule *rule)
{
    if (rule->claim == DUNE_CLAIM_FIRST)
        return naive_first(a, n);
    return rule->claim == DUNE_CLAIM_VOTES ? naive_votes(a, n, rule) : naive_best(a, id, n, rule);
}

/* Few distinct confidences, so that ties are common. */
static struct dune_item_answer draw_answer(struct dune_rng *rng)
{
    struct dune_item_answer a = {.cls = DUNE_NO_CLASS};

    if (dune_rng_below(rng, 5) == 0)
        return a;
    a.cls = (uint16_t)dune_rng_below(rng, N_CLASSES);
    a.conf = (uint8_t)(dune_rng_below(rng, 6) * 51);
    a.claim = dune_rng_below(rng, 3) != 0;
    return a;
}

static void draw_ids(struct dune_rng *rng, uint8_t *id, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        id[i] = (uint8_t)(3 * i);
    for (unsigned i = n; i > 1; i--) {
        unsigned j = (unsigned)dune_rng_below(rng, i);
        uint8_t t = id[i - 1];

        id[i - 1] = id[j];
        id[j] = t;
    }
}

static void test_against_words(void **state)
{
    struct dune_rng rng;
    unsigned claimed = 0, open = 0;

    dune_rng_init(&rng, 1, 2, 3, 4);
    for (unsigned round = 0; round < 200000; round++) {
        unsigned n = 1 + (unsigned)dune_rng_below(&rng, MAX_SUB);
        struct dune_item_answer a[MAX_SUB];
        const struct dune_item_answer *col[MAX_SUB];
        uint8_t id[MAX_SUB], bar[N_CLASSES + 1];
        struct dune_chain_rule rule = {.claim = (enum dune_claim_rule)dune_rng_below(&rng, 3),
                                       .fallback = (enum dune_fallback)dune_rng_below(&rng, 2),
                                       .early_exit = (uint16_t)(dune_rng_below(&rng, 2) ? 256 : dune_rng_below(&rng, 257))};
        uint16_t got, want;

        for (unsigned s = 0; s < n; s++) {
            a[s] = draw_answer(&rng);
            col[s] = &a[s];
        }
        for (unsigned c = 0; c <= N_CLASSES; c++)
            bar[c] = (uint8_t)(dune_rng_below(&rng, 2) ? 0 : dune_rng_below(&rng, 256));
        rule.min_confidence = dune_rng_below(&rng, 3) ? bar : NULL;
        draw_ids(&rng, id, n);
        got = dune_chain_decide(col, 0, id, n, &rule);
        want = naive(a, id, n, &rule);
        if (got != want)
            fail_msg("round %u: rule %d of %u answers gives %u, in words %u", round, rule.claim, n, got, want);
        claimed += got != DUNE_NO_CLASS;
        open += got == DUNE_NO_CLASS;
    }
    assert_true(claimed > 50000 && open > 10000);
    (void)state;
}

/* Under `best` without early exit the order does not matter; ids stay with their answers. */
static void test_order_is_free(void **state)
{
    struct dune_rng rng;
    const struct dune_chain_rule rule = {.claim = DUNE_CLAIM_BEST, .fallback = DUNE_FALLBACK_BEST,
                                         .early_exit = 256};

    dune_rng_init(&rng, 5, 6, 7, 8);
    for (unsigned round = 0; round < 20000; round++) {
        struct dune_item_answer a[MAX_SUB];
        const struct dune_item_answer *col[MAX_SUB], *back[MAX_SUB];
        uint8_t id[MAX_SUB], back_id[MAX_SUB];

        draw_ids(&rng, id, MAX_SUB);
        for (unsigned s = 0; s < MAX_SUB; s++) {
            a[s] = draw_answer(&rng);
            col[s] = &a[s];
        }
        for (unsigned s = 0; s < MAX_SUB; s++) {
            back[s] = col[MAX_SUB - 1 - s];
            back_id[s] = id[MAX_SUB - 1 - s];
        }
        assert_int_equal(dune_chain_decide(col, 0, id, MAX_SUB, &rule),
                         dune_chain_decide(back, 0, back_id, MAX_SUB, &rule));
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_words),
        cmocka_unit_test(test_order_is_free),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
