/* SPDX-License-Identifier: Apache-2.0 */
/* Searching blocks, and what submodels.json and sequence.json keep of it. */
#include "testing.h"

#include "../features/random_dataset.h"
#include "dune/placement.h"
#include "dune/submodel_set.h"

static const char blocks_text[] = "{\"blocks\": [{\"classes\": [\"A\", \"D\"], \"features\": [\"ip.len\", \"ttl\"]},"
                                  " {\"classes\": [\"B,\\\"x\\\"\", \"C c\"], \"features\": [\"dstport\"]}]}";

static struct dune_dataset *data(void)
{
    return random_dataset((struct random_shape){.classes = 4, .captures = 6, .max_n = 3, .flows = 160, .max_len = 6,
                                                .seed = 5, .test_percent = 20});
}

static struct dune_submodel_set *search(const struct dune_dataset *ds, unsigned threads, const char *partial,
                                        uint32_t *resumed)
{
    struct dune_submodel_search how = {.options = {.budget = {85, 4}, .mode = DUNE_MODE_RUNNING, .seed = 9,
                                                   .quick = true, .balance = 0.25},
                                       .threads = threads, .partial = partial};
    struct dune_submodel_set *set = NULL;
    struct dune_blocks *b;
    struct dune_diag d = {0};

    assert_ok(dune_feature_set_parse("pkt,len.max", 3, &how.options.features, &d), d);
    assert_ok(dune_blocks_parse(&b, "blocks", blocks_text, sizeof(blocks_text) - 1, &d), d);
    assert_ok(dune_submodels_search(&set, ds, b, &how, &d), d);
    dune_blocks_free(b);
    if (resumed)
        *resumed = how.n_resumed;
    return set;
}

static char *text_of(const struct dune_submodel_set *s, const struct dune_submodel_sequence *q, size_t *len)
{
    char *text;

    assert_int_equal(dune_submodels_format(s, q, &text, len), 0);
    return text;
}

static void test_round_trip(void **state)
{
    struct dune_dataset *ds = data();
    struct dune_submodel_set *set = search(ds, 1, NULL, NULL), *again, *back;
    struct dune_submodel_sequence seq = {.claim = DUNE_CLAIM_BEST, .early_exit = 200,
                                         .fallback = DUNE_FALLBACK_BEST}, with[2], read;
    struct dune_diag d = {0};
    size_t n, m;
    char *a, *b;

    (void)state;
    a = text_of(set, NULL, &n);
    again = search(ds, 3, NULL, NULL);
    b = text_of(again, NULL, &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n); /* threads change nothing */
    dune_mem_free(b);
    dune_submodel_set_free(again);
    assert_ok(dune_submodels_parse(&back, NULL, false, "a", a, n, &d), d);
    b = text_of(back, NULL, &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    dune_mem_free(a);
    dune_mem_free(b);
    assert_ok(dune_submodels_order(&seq, with, back, ds, 2, &d), d);
    assert_int_equal(seq.order.n, 2);
    assert_true(with[1].chained_macro == with[1].order.objective);
    assert_true(with[0].lop_cost <= with[1].lop_cost + 1e-9);
    dune_submodel_set_free(back);
    a = text_of(set, &seq, &n);
    assert_ok(dune_submodels_parse(&back, &read, false, "q", a, n, &d), d);
    b = text_of(back, &read, &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    assert_int_equal(dune_submodels_parse(&again, NULL, false, "q", a, n, &d), DUNE_E_INPUT);
    dune_mem_free(a);
    dune_mem_free(b);
    dune_submodel_set_free(back);
    dune_submodel_set_free(set);
    dune_dataset_free(ds);
}

/* The plan made from the file answers like the fit that was searched. */
static void test_compile(void **state)
{
    struct dune_dataset *ds = data();
    struct dune_submodel_set *set = search(ds, 2, NULL, NULL);
    struct dune_submodel_sequence seq = {.order = {.n = 2, .order = {1, 0}}};
    const struct dune_chain_rule rule = {.claim = DUNE_CLAIM_FIRST, .early_exit = 256};
    const struct dune_budget budget = {85, 4};
    struct dune_item_answer *got, *want;
    struct dune_space *s;
    struct dune_plan *p;
    struct dune_diag d = {0};

    (void)state;
    assert_ok(dune_submodels_compile(&p, set, &seq, &rule, &budget, "engine", &d), d);
    dune_plan_set_name(p, "test");
    assert_ok(dune_plan_verify(p, &d), d);
    assert_ok(dune_space_new(&s, ds, DUNE_SPLIT_TEST, NULL, 3, 1, &d), d);
    assert_ok(dune_space_prepare(s, set->sub[1].chosen.n, DUNE_MODE_RUNNING, &d), d);
    got = DUNE_NEW_N(struct dune_item_answer, s->n_items);
    want = DUNE_NEW_N(struct dune_item_answer, s->n_items);
    assert_int_equal(p->sub[0].id, 1);
    assert_ok(dune_plan_answer(p, 0, s, got, &d), d);
    assert_ok(dune_fit_answer(set->sub[1].fit, s, NULL, want, &d), d); /* all classes are in train: same ids */
    for (size_t i = 0; i < s->n_items; i++) {
        assert_int_equal(got[i].claim, want[i].claim);
        assert_int_equal(got[i].conf, want[i].conf);
        assert_int_equal(got[i].cls, want[i].cls);
    }
    dune_mem_free(got);
    dune_mem_free(want);
    dune_plan_free(p);
    dune_space_free(s);
    dune_submodel_set_free(set);
    dune_dataset_free(ds);
}

/* A file of one finished block is taken over, one with other options is not. */
static void test_resume(void **state)
{
    struct dune_dataset *ds = data();
    struct dune_submodel_set *set = search(ds, 1, NULL, NULL), *again;
    char partial[] = "/tmp/dune-submodels-XXXXXX", *a, *b;
    struct dune_diag d = {0};
    uint32_t resumed;
    size_t n, m;
    int fd = mkstemp(partial);

    (void)state;
    assert_true(fd >= 0);
    a = text_of(set, NULL, &n);
    set->n = 1;
    assert_ok(dune_submodels_write(set, NULL, partial, &d), d);
    again = search(ds, 1, partial, &resumed);
    assert_int_equal(resumed, 1);
    b = text_of(again, NULL, &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    dune_mem_free(b);
    dune_submodel_set_free(again);
    set->options.seed++;
    assert_ok(dune_submodels_write(set, NULL, partial, &d), d);
    again = search(ds, 1, partial, &resumed);
    assert_int_equal(resumed, 0);
    b = text_of(again, NULL, &m);
    assert_memory_equal(a, b, n);
    dune_mem_free(a);
    dune_mem_free(b);
    set->n = 2;
    dune_submodel_set_free(again);
    dune_submodel_set_free(set);
    dune_dataset_free(ds);
    remove(partial);
}

/* Replaces the first `from` by `to` and parses; the place of the error must begin with `place`. */
static void refuse(const char *text, const char *from, const char *to, int code, const char *place)
{
    const char *at = strstr(text, from);
    struct dune_buf b = {0};
    struct dune_submodel_set *s;
    struct dune_diag d = {0};

    assert_non_null(at);
    dune_buf_append(&b, text, (size_t)(at - text));
    dune_buf_puts(&b, to);
    dune_buf_puts(&b, at + strlen(from));
    assert_int_equal(dune_submodels_parse(&s, NULL, false, "x.json", b.data, b.len, &d), code);
    assert_null(s);
    assert_string_equal(d.file, "x.json");
    if (strncmp(d.place, place, strlen(place)) != 0)
        fail_msg("place %s instead of %s: %s", d.place, place, d.msg);
    dune_buf_fini(&b);
}

static void test_refusals(void **state)
{
    struct dune_dataset *ds = data();
    struct dune_submodel_set *set = search(ds, 1, NULL, NULL);
    size_t n;
    char *t = text_of(set, NULL, &n);

    (void)state;
    refuse(t, "{", "{{", DUNE_E_FORMAT, "");
    refuse(t, "dune-submodels", "dune-plan", DUNE_E_INPUT, "format");
    refuse(t, "\"version\": 1", "\"version\": 2", DUNE_E_VERSION, "version");
    refuse(t, "\"data_hash\"", "\"hash\"", DUNE_E_INPUT, "hash");
    refuse(t, "\"A\", ", "\"Z\", ", DUNE_E_INPUT, "classes[1]");
    refuse(t, "\"leaves_sum\": 85", "\"leaves_sum\": -1", DUNE_E_INPUT, "options.budget.leaves_sum");
    refuse(t, "\"profile\": null", "\"profile\": \"abacus\"", DUNE_E_INPUT, "options.profile");
    refuse(t, "\"phase\": \"running\"", "\"phase\": \"flow\"", DUNE_E_INPUT, "options.phase");
    refuse(t, "\"balance\": 0.25", "\"balance\": \"a\"", DUNE_E_INPUT, "options.balance");
    refuse(t, "\"blocks\": 2", "\"blocks\": 3", DUNE_E_INPUT, "submodels");
    refuse(t, "\"id\": 1", "\"id\": 0", DUNE_E_INPUT, "submodels[1].id");
    refuse(t, "\"classes\": [\"A\", \"D\"]", "\"classes\": [\"D\", \"A\"]", DUNE_E_INPUT, "submodels[0].classes[1]");
    refuse(t, "\"classes\": [\"A\", \"D\"]", "\"classes\": [\"A\"]", DUNE_E_INPUT, "submodels[0].forest");
    refuse(t, "\"macro_f1\": 0", "\"macro_f1\": 7", DUNE_E_INPUT, "submodels[0].chosen.macro_f1");
    refuse(t, "\"candidates\": [\"", "\"candidates\": [\"x", DUNE_E_INPUT, "submodels[0].candidates[0]");
    refuse(t, "\"trees\": [\n", "\"trees\": [[],\n", DUNE_E_INPUT, "submodels[0].forest.trees[0]");
    dune_mem_free(t);
    dune_submodel_set_free(set);
    dune_dataset_free(ds);
}

static void test_topology(void **state)
{
    static const char good[] = "devices:\n  - {name: a, budget: tiny}\n  - profile: bmv2\n"
                               "  - {budget: {leaves_sum: 7}}\n";
    static const struct {
        const char *text;
        uint64_t line;
    } bad[] = {{"[a]", 1},
               {"name: x", 1},
               {"devices: []", 1},
               {"devices: [a]", 1},
               {"devices:\n - {name: a}\n - {name: a}", 3},
               {"devices:\n - {colour: a}", 2},
               {"devices:\n - {profile: abacus}", 2},
               {"devices:\n - {budget: {leaves_sum: -3}}", 2},
               {"devices:\n - {budget: [1]}", 2},
               {"devices:\n - {name: a}\nlinks: [[a, b]]", 3},
               {"devices: [{name: ''}]", 1}};
    const struct dune_budget tight = {129, 6};
    struct dune_topology *t;
    struct dune_diag d = {0};

    (void)state;
    assert_ok(dune_network_parse(&t, "t", good, sizeof(good) - 1, "engine", &tight, &d), d);
    assert_int_equal(t->n, 3);
    assert_true(t->row);
    assert_string_equal(t->dev[0].name, "a");
    assert_string_equal(t->dev[1].name, "s2");
    assert_string_equal(t->dev[0].profile, "engine");
    assert_string_equal(t->dev[1].profile, "bmv2");
    assert_int_equal(t->dev[0].budget.leaves_sum, 41);
    assert_int_equal(t->dev[1].budget.features_distinct, 6);
    assert_int_equal(t->dev[2].budget.leaves_sum, 7);
    assert_int_equal(t->dev[2].budget.features_distinct, 0);
    dune_network_free(t);
    for (size_t i = 0; i < DUNE_ARRAY_LEN(bad); i++) {
        memset(&d, 0, sizeof(d));
        assert_int_equal(dune_network_parse(&t, "t", bad[i].text, strlen(bad[i].text), "engine", &tight, &d),
                         DUNE_E_INPUT);
        assert_int_equal(d.line, bad[i].line);
        assert_null(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_compile),  cmocka_unit_test(test_resume),
        cmocka_unit_test(test_refusals),   cmocka_unit_test(test_topology),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
