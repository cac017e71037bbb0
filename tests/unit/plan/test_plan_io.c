/* SPDX-License-Identifier: Apache-2.0 */
#include "seven_nodes.h"

static char *format(const struct dune_plan *p, size_t *len)
{
    struct dune_diag d = {0};
    char *text = NULL;

    assert_ok(dune_plan_format(p, &text, len, &d), d);
    return text;
}

static struct dune_plan *parse(const char *text, size_t len)
{
    struct dune_diag d = {0};
    struct dune_plan *p = NULL;

    assert_ok(dune_plan_parse(&p, "plan", text, len, &d), d);
    return p;
}

static void fill_everything(struct dune_plan *p)
{
    static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8};
    static const uint8_t v4[16] = {10, 1};

    p->generation = 65535;
    p->parser = (struct dune_parser_limits){1, 8, 1, 32, false};
    p->fallback = DUNE_FALLBACK_BEST;
    p->early_exit = 0;
    p->timeout = DUNE_TIMEOUT_NONE;
    for (int i = 0; i < 16; i++)
        p->hash_key[i] = (uint8_t)(i * 17);
    p->slots = 1;
    p->ways = 8;
    p->chain_mtu = 1600;
    p->filter.n_prefixes = 2;
    p->filter.prefix = DUNE_NEW_N(struct dune_prefix, 2);
    memcpy(p->filter.prefix[0].addr, v4, 16);
    p->filter.prefix[0].len = 16;
    memcpy(p->filter.prefix[1].addr, v6, 16);
    p->filter.prefix[1].len = 32;
    p->filter.prefix[1].ipv6 = true;
    p->filter.n_ports = 1;
    p->filter.port = DUNE_NEW(struct dune_port_range);
    p->filter.port[0] = (struct dune_port_range){80, 443};
    p->filter.n_protos = 2;
    p->filter.proto = dune_mem_alloc(2, 1);
    p->filter.proto[0] = 6;
    p->filter.proto[1] = 17;
    p->cls[0].action = DUNE_ACTION_DROP;
    p->cls[0].action_any = true;
    p->cls[0].min_confidence = 255;
    p->cls[1].action = DUNE_ACTION_MARK;
    p->cls[1].action_arg = 46;
    p->provenance.data_hash = dune_mem_strdup("0123456789abcdef");
    p->provenance.solution = dune_mem_strdup("a \"name\" \\ with\tmarks \xc3\xa9\x7f");
    p->provenance.options = dune_mem_strdup("{\"b\":[1,2.5,-0.0,true,null,\"x\"],\"a\":{}}");
    p->provenance.scores = dune_mem_strdup("0.1");
    p->provenance.seed = UINT64_MAX;
}

static void round_trip(void **state)
{
    (void)state;
    for (uint32_t k = 0; k < 8; k++) {
        struct dune_plan *p = random_plan(k, 1 + k % 4, 1 + k % 3, 1 + 7 * k), *q, *c;
        size_t len, len2, len3;
        char *a, *b, *e;
        struct dune_diag d = {0};

        if (k % 2)
            fill_everything(p);
        assert_ok(dune_plan_verify(p, &d), d);
        a = format(p, &len);
        q = parse(a, len);
        b = format(q, &len2);
        assert_int_equal(len, len2);
        assert_memory_equal(a, b, len);
        assert_ok(dune_plan_verify(q, &d), d);
        assert_int_equal(q->timeout, p->timeout);
        assert_int_equal(q->provenance.seed, p->provenance.seed);
        c = dune_plan_clone(q);
        dune_plan_free(q);
        assert_ok(dune_plan_verify(c, &d), d);
        e = format(c, &len3);
        assert_int_equal(len, len3);
        assert_memory_equal(a, e, len);
        dune_mem_free(a);
        dune_mem_free(b);
        dune_mem_free(e);
        dune_plan_free(c);
        dune_plan_free(p);
    }
}

/* Tables that were read answer like those that were built. */
static void same_answers(void **state)
{
    struct dune_plan *p = random_plan(5, 2, 3, 40), *q;
    struct dune_rng r;
    size_t len;
    char *text = format(p, &len);

    (void)state;
    q = parse(text, len);
    dune_rng_init(&r, 6, 0, 0, 0);
    for (uint32_t i = 0; i < 3000; i++) {
        uint32_t x[DUNE_N_FEATURES];

        for (int j = 0; j < DUNE_N_FEATURES; j++)
            x[j] = (uint32_t)dune_rng_below(&r, (uint64_t)dune_feature_max(j) + 1);
        for (uint32_t s = 0; s < 2; s++) {
            struct dune_sub_answer want = dune_submodel_lookup(&p->sub[s], x);

            assert_same_answer(dune_submodel_lookup(&q->sub[s], x), want);
            assert_same_answer(dune_submodel_walk(&q->sub[s], x), want);
        }
    }
    dune_mem_free(text);
    dune_plan_free(p);
    dune_plan_free(q);
}

static void golden(void **state)
{
    struct dune_plan *p = seven_nodes();
    const char *root = getenv("DUNE_SOURCE_ROOT");
    char path[1024], *text, *want;
    size_t len, want_len;
    struct dune_diag d = {0};

    (void)state;
    snprintf(path, sizeof(path), "%s/tests/golden/plan/seven_nodes.json", root ? root : ".");
    text = format(p, &len);
    if (getenv("DUNE_GOLDEN_WRITE"))
        assert_ok(dune_file_write(path, text, len, &d), d);
    assert_ok(dune_file_read(path, &want, &want_len, &d), d);
    assert_string_equal(text, want);
    dune_mem_free(text);
    dune_mem_free(want);
    dune_plan_free(p);
}

static char *replace(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);

    if (!at)
        fail_msg("the golden plan has no '%s'", from);
    return dune_mem_printf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

static const struct bad {
    const char *from, *to, *place;
    int code;
} bad[] = {
    {"dune-plan", "plan", "format", DUNE_E_INPUT},
    {"\"version\": 1", "\"version\": 2", "version", DUNE_E_VERSION},
    {"\"name\": \"plan\"", "\"nane\": \"plan\"", "nane", DUNE_E_INPUT},
    {"\"generation\": 1", "\"generation\": 65536", "generation", DUNE_E_INPUT},
    {"\"generation\": 1", "\"generation\": 1.0", "generation", DUNE_E_INPUT},
    {"\"claim\": \"best\"", "\"claim\": \"worst\"", "claim", DUNE_E_INPUT},
    {"\"early_exit\": 256", "\"early_exit\": 257", "early_exit", DUNE_E_INPUT},
    {"\"early_exit\": 256,", "", "", DUNE_E_INPUT},
    {"\"ipv6\": true", "\"ipv6\": 1", "parser.ipv6", DUNE_E_INPUT},
    {"\"max_ipv4_options\": 40", "\"max_ipv4_options\": 39", "parser.max_ipv4_options",
     DUNE_E_INPUT},
    {"\"slots\": 65536", "\"slots\": 65535", "flow_state.slots", DUNE_E_INPUT},
    {"\"ways\": 4", "\"ways\": 9", "flow_state.ways", DUNE_E_INPUT},
    {"\"timeout\": 58593750", "\"timeout\": 0", "flow_state.timeout", DUNE_E_INPUT},
    {"\"hash_key\": \"0", "\"hash_key\": \"", "flow_state.hash_key", DUNE_E_INPUT},
    {"\"hash_key\": \"0", "\"hash_key\": \"G", "flow_state.hash_key", DUNE_E_INPUT},
    {"\"siphash\"", "\"crc\"", "flow_state.hash_key", DUNE_E_INPUT},
    {"34997", "2048", "shim.ethertype", DUNE_E_INPUT},
    {"\"chain_mtu\": 0", "\"chain_mtu\": 20", "shim.chain_mtu", DUNE_E_INPUT},
    {"\"prefixes\": []", "\"prefixes\": [\"10.0.0.1/8\"]", "filter.prefixes[0]", DUNE_E_INPUT},
    {"\"prefixes\": []", "\"prefixes\": [\"10.0.0.0/08\"]", "filter.prefixes[0]", DUNE_E_INPUT},
    {"\"ports\": []", "\"ports\": [[5, 4]]", "filter.ports[0]", DUNE_E_INPUT},
    {"\"id\": 2", "\"id\": 3", "classes[1].id", DUNE_E_INPUT},
    {"\"name\": \"lock\"", "\"name\": \"camera\"", "classes[1].name", DUNE_E_INPUT},
    {"\"action\": \"forward\"", "\"action\": \"eat\"", "classes[0].action", DUNE_E_INPUT},
    {"\"action_arg\": 0", "\"action_arg\": 1", "classes[0].action_arg", DUNE_E_INPUT},
    {"\"action_any\": false", "\"action_any\": true", "classes[0].action_any", DUNE_E_INPUT},
    {"\"profile\": \"engine\"", "\"profile\": \"abacus\"", "devices[0].profile", DUNE_E_INPUT},
    {"\"leaves_sum\": 129", "\"leaves_sum\": 3", "devices[0].leaves_sum", DUNE_E_INFEASIBLE},
    {"\"features_distinct\": 6", "\"features_distinct\": 2", "devices[0].features_distinct",
     DUNE_E_INFEASIBLE},
    {"\"n\": 3", "\"n\": 0", "submodels[0].n", DUNE_E_INPUT},
    {"\"phase\": \"running\"", "\"phase\": \"walking\"", "submodels[0].phase", DUNE_E_INPUT},
    {"\"device\": 0", "\"device\": 1", "submodels[0].device", DUNE_E_INPUT},
    {"\"classes\": [1, 2]", "\"classes\": [2, 1]", "submodels[0].classes[1]", DUNE_E_INPUT},
    {"\"classes\": [1, 2]", "\"classes\": [1, 3]", "submodels[0].classes[1]", DUNE_E_INPUT},
    {"\"feature\": \"ip.len\"", "\"feature\": \"ip.long\"", "submodels[0].features[0].feature",
     DUNE_E_INPUT},
    {"\"feature\": \"ip.len\"", "\"feature\": \"length\"", "submodels[0].features[0].feature",
     DUNE_E_INPUT},
    {"\"feature\": \"ip.ttl\"", "\"feature\": \"ip.len\"", "submodels[0].features[1].feature",
     DUNE_E_INPUT},
    {"\"feature\": \"len.max\"", "\"feature\": \"len.4\"", "submodels[0].features[2].feature",
     DUNE_E_INPUT},
    {"\"lo\": 101", "\"lo\": 102", "submodels[0].features[0].rows[1].lo", DUNE_E_INPUT},
    {"\"lo\": 101", "\"lo\": 100", "submodels[0].features[0].rows[1].lo", DUNE_E_INPUT},
    {"\"hi\": 255", "\"hi\": 256", "submodels[0].features[1].rows[1].hi", DUNE_E_INPUT},
    {"\"hi\": 255", "\"hi\": 254", "submodels[0].features[1].rows[1].hi", DUNE_E_INPUT},
    {"[\"1\"]", "[\"0\"]", "submodels[0].features[0].rows[1].codes[0]", DUNE_E_INPUT},
    {"[\"0\"]", "[\"1\"]", "submodels[0].features[0].rows[0].codes[0]", DUNE_E_INPUT},
    {"[\"1\"]", "[\"10\"]", "submodels[0].features[0].rows", DUNE_E_INPUT},
    {"[\"1\"]", "[\"1\", \"1\"]", "submodels[0].features[0].rows", DUNE_E_INPUT},
    {"\"00*\"", "\"00\"", "submodels[0].trees[0].leaves[0].match", DUNE_E_INPUT},
    {"\"00*\"", "\"00x\"", "submodels[0].trees[0].leaves[0].match", DUNE_E_INPUT},
    {"\"00*\"", "\"0**\"", "submodels[0].trees[0].leaves[1].match", DUNE_E_INPUT}, /* overlap */
    {"\"00*\"", "\"000\"", "submodels[0].trees[0].leaves", DUNE_E_INPUT},          /* gap */
    {"\"00*\"", "\"01*\"", "submodels[0].trees[0].leaves", DUNE_E_INPUT},          /* leaf twice */
    {"{\"match\": \"00*\", \"class\": 1, \"confidence\": 191, \"own\": 1, \"own_confidence\": "
     "191},\n",
     "", "submodels[0].trees[0].leaves", DUNE_E_INPUT}, /* a row missing */
    {"{\"match\": \"00*\"",
     "{\"match\": \"00*\", \"class\": 255, \"confidence\": 0, \"own\": 0, "
     "\"own_confidence\": 0}, {\"match\": \"00*\"",
     "submodels[0].trees[0].leaves[1].match", DUNE_E_INPUT}, /* a row too many */
    {"\"class\": 1", "\"class\": 3", "submodels[0].trees[0].leaves[0].class", DUNE_E_INPUT},
    {"\"own\": 1", "\"own\": 2", "submodels[0].trees[0].leaves[0].own", DUNE_E_INPUT},
    {"\"confidence\": 191", "\"confidence\": 256", "submodels[0].trees[0].leaves[0].confidence",
     DUNE_E_INPUT},
    {"\"seed\": 0", "\"seed\": \"7\"", "provenance.seed", DUNE_E_INPUT},
    {"\"options\": null", "\"options\": [[[[[[[[[[[[[[1]]]]]]]]]]]]]]", "provenance.options",
     DUNE_E_INPUT},
};

static void mutations(void **state)
{
    struct dune_plan *p = seven_nodes(), *q;
    size_t len;
    char *text = format(p, &len);

    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(bad); i++) {
        char *changed = replace(text, bad[i].from, bad[i].to);
        struct dune_diag d = {0};
        int rc = dune_plan_parse(&q, "some.json", changed, strlen(changed), &d);

        if (rc != bad[i].code || strcmp(d.place, bad[i].place) != 0)
            fail_msg("%s -> %s: code %d at '%s' (%s)", bad[i].from, bad[i].to, rc, d.place, d.msg);
        assert_string_equal(d.file, "some.json");
        assert_null(q);
        dune_mem_free(changed);
    }
    dune_mem_free(text);
    dune_plan_free(p);
}

static void syntax(void **state)
{
    struct dune_diag d = {0};
    struct dune_plan *q;

    (void)state;
    assert_int_equal(dune_plan_parse(&q, "x", "{\n\"a\": }", 8, &d), DUNE_E_FORMAT);
    assert_int_equal(d.line, 2);
    assert_int_equal(dune_plan_parse(&q, "x", NULL, 0, NULL), DUNE_E_FORMAT);
    assert_int_equal(dune_plan_parse(&q, "x", "[]", 2, NULL), DUNE_E_INPUT);
    assert_int_equal(dune_plan_parse(&q, "x", "{\"a\": 1, \"a\": 1}", 16, NULL), DUNE_E_FORMAT);
    memset(&d, 0, sizeof(d));
    assert_true(dune_plan_read(&q, "/no/such/plan.json", &d) < 0);
}

static void bad_provenance(void **state)
{
    struct dune_plan *p = seven_nodes();
    struct dune_diag d = {0};
    char *text = NULL;
    size_t len;

    (void)state;
    p->provenance.scores = dune_mem_strdup("{no json");
    assert_int_equal(dune_plan_format(p, &text, &len, &d), DUNE_E_INPUT);
    assert_string_equal(d.place, "provenance.scores");
    assert_null(text);
    dune_plan_free(p);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(round_trip), cmocka_unit_test(same_answers),   cmocka_unit_test(golden),
    cmocka_unit_test(mutations),  cmocka_unit_test(bad_provenance), cmocka_unit_test(syntax),
};

RUN_TESTS(tests)
