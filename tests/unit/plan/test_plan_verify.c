/* SPDX-License-Identifier: Apache-2.0 */
/* The verifier against a stupid one: every input of a small domain, every row tried. */
#include "seven_nodes.h"

static void refused(struct dune_plan *p, int code, const char *place)
{
    struct dune_diag d = {0};
    int rc = dune_plan_verify(p, &d);

    if (rc != code || strcmp(d.place, place) != 0)
        fail_msg("code %d at '%s' (%s) instead of %d at '%s'", rc, d.place, d.msg, code, place);
}

static void in_memory(void **state)
{
    struct dune_plan *p = random_plan(3, 3, 2, 20);
    struct dune_diag d = {0};
    struct dune_node *node = p->sub[1].tree[1].node;
    uint8_t save;

    (void)state;
    assert_ok(dune_plan_verify(p, &d), d);
    p->sub[1].id = 10;
    refused(p, DUNE_E_INPUT, "submodels[1].id");
    p->sub[1].id = 11;
    p->sub[1].device = 0;
    p->sub[0].device = 1;
    refused(p, DUNE_E_INPUT, "submodels[1].device");
    p->sub[0].device = 0;
    p->sub[1].device = 1;
    node[0].threshold ^= 1;
    refused(p, DUNE_E_INPUT, "submodels[1].trees[1]");
    node[0].threshold ^= 1;
    save = p->sub[2].tree[0].leaf[0].conf;
    p->sub[2].tree[0].leaf[0].conf = 128; /* two trees: at most 127 each */
    refused(p, DUNE_E_INPUT, "submodels[2].trees[0].leaves[0].confidence");
    p->sub[2].tree[0].leaf[0].conf = save;
    p->sub[2].tree[0].key_bits--;
    refused(p, DUNE_E_INPUT, "submodels[2].trees[0].leaves");
    p->sub[2].tree[0].key_bits++;
    p->fallback = DUNE_FALLBACK_BEST;
    p->claim = DUNE_CLAIM_FIRST;
    refused(p, DUNE_E_INPUT, "fallback");
    p->fallback = DUNE_FALLBACK_NONE;
    p->claim = DUNE_CLAIM_VOTES; /* for other targets to refuse */
    assert_ok(dune_plan_verify(p, &d), d);
    p->device[1].budget.leaves_sum = 20;
    refused(p, DUNE_E_INFEASIBLE, "devices[1].leaves_sum");
    p->device[1].budget.leaves_sum = 40;
    assert_ok(dune_plan_verify(p, &d), d);
    p->version = 2;
    refused(p, DUNE_E_VERSION, "version");
    p->version = 1;
    dune_plan_free(p);
}

/* Rows of a tree over three features with a, b, c thresholds; patterns from ones-intervals. */
struct grid {
    uint32_t k[3];
    uint32_t n;
    uint32_t lo[64][3], hi[64][3];
};

static struct dune_plan *grid_plan(const struct grid *g)
{
    static const uint8_t feat[] = {DUNE_F_IP_TTL, DUNE_F_TCP_HDR_LEN, DUNE_F_SYN_COUNT};
    struct dune_plan *p = seven_nodes();
    struct dune_submodel *sm = p->sub;
    struct dune_plan_tree *tr;
    struct dune_submodel fresh = *sm;
    char *at;

    fresh.n_feats = 0;
    fresh.feat = DUNE_NEW_N(struct dune_plan_feature, 3);
    fresh.tree = tr = DUNE_NEW(struct dune_plan_tree);
    fresh.cls = dune_mem_alloc(2, 1);
    memcpy(fresh.cls, sm->cls, 2);
    dune_submodel_fini(sm);
    *sm = fresh;
    for (uint32_t j = 0; j < 3; j++) {
        struct dune_plan_feature *f = &sm->feat[sm->n_feats];
        uint32_t k = g->k[j];

        if (k == 0)
            continue;
        sm->n_feats++;
        tr->key_bits += k;
        f->feat = feat[j];
        f->n_rows = k + 1;
        f->row = DUNE_NEW_N(struct dune_range_row, k + 1);
        f->n_bits = DUNE_NEW(uint32_t);
        f->n_bits[0] = k;
        f->code = DUNE_NEW(char *);
        f->code[0] = dune_mem_alloc(k + 1, k);
        for (uint32_t r = 0; r <= k; r++) {
            f->row[r].lo = r ? 2 * r : 0;
            f->row[r].hi = r < k ? 2 * r + 1 : dune_feature_max(f->feat);
            memset(f->code[0] + r * k, '1', r);
            memset(f->code[0] + r * k + r, '0', k - r);
        }
    }
    tr->n_leaves = g->n;
    tr->leaf = DUNE_NEW_N(struct dune_plan_leaf, g->n);
    tr->match = at = tr->key_bits ? dune_mem_alloc(g->n, tr->key_bits) : NULL;
    for (uint32_t i = 0; i < g->n; i++) {
        tr->leaf[i] = (struct dune_plan_leaf){1, 9, 1, 9};
        for (uint32_t j = 0; j < 3; j++) {
            if (g->k[j])
                memset(at, '*', g->k[j]);
            if (g->lo[i][j])
                at[g->lo[i][j] - 1] = '1';
            if (g->hi[i][j] < g->k[j])
                at[g->hi[i][j]] = '0';
            at += g->k[j];
        }
    }
    return p;
}

/* Cuts a random box of the grid until there are n boxes: a tree. */
static void cut_boxes(struct dune_rng *r, struct grid *g, uint32_t n)
{
    g->n = 1;
    for (uint32_t j = 0; j < 3; j++) {
        g->lo[0][j] = 0;
        g->hi[0][j] = g->k[j];
    }
    for (uint32_t tries = 0; g->n < n && tries < 500; tries++) {
        uint32_t i = (uint32_t)dune_rng_below(r, g->n), j = (uint32_t)dune_rng_below(r, 3), at;

        if (g->lo[i][j] == g->hi[i][j])
            continue;
        at = g->lo[i][j] + (uint32_t)dune_rng_below(r, g->hi[i][j] - g->lo[i][j]);
        memcpy(g->lo[g->n], g->lo[i], sizeof(g->lo[0]));
        memcpy(g->hi[g->n], g->hi[i], sizeof(g->hi[0]));
        g->hi[i][j] = at;
        g->lo[g->n++][j] = at + 1;
    }
}

/* Every point in exactly one box? */
static bool is_partition(const struct grid *g)
{
    for (uint32_t a = 0; a <= g->k[0]; a++)
        for (uint32_t b = 0; b <= g->k[1]; b++)
            for (uint32_t c = 0; c <= g->k[2]; c++) {
                uint32_t x[3] = {a, b, c}, hits = 0;

                for (uint32_t i = 0; i < g->n; i++) {
                    bool in = true;

                    for (uint32_t j = 0; j < 3; j++)
                        in &= x[j] >= g->lo[i][j] && x[j] <= g->hi[i][j];
                    hits += in;
                }
                if (hits != 1)
                    return false;
            }
    return true;
}

static int verify_grid(const struct grid *g)
{
    struct dune_plan *p = grid_plan(g), *q = NULL;
    struct dune_diag d = {0};
    char *text = NULL;
    size_t len = 0;
    int rc;

    assert_ok(dune_plan_format(p, &text, &len, &d), d);
    rc = dune_plan_parse(&q, "grid", text, len, &d);
    if (rc == 0)
        assert_int_equal(q->sub[0].tree[0].n_nodes, 2 * g->n - 1);
    else if (strncmp(d.place, "submodels[0].trees[0].leaves", 28) != 0)
        fail_msg("unexpected: %s: %s", d.place, d.msg);
    dune_mem_free(text);
    dune_plan_free(p);
    dune_plan_free(q);
    return rc;
}

static void move_a_side(struct dune_rng *r, struct grid *g)
{
    uint32_t i = (uint32_t)dune_rng_below(r, g->n), j = (uint32_t)dune_rng_below(r, 3);

    switch (dune_rng_below(r, 4)) {
    case 0:
        g->lo[i][j] = (uint32_t)dune_rng_below(r, g->hi[i][j] + 1);
        break;
    case 1:
        g->hi[i][j] = g->lo[i][j] + (uint32_t)dune_rng_below(r, g->k[j] - g->lo[i][j] + 1);
        break;
    case 2: /* a row less */
        g->n--;
        memcpy(g->lo[i], g->lo[g->n], sizeof(g->lo[0]));
        memcpy(g->hi[i], g->hi[g->n], sizeof(g->hi[0]));
        break;
    default: /* a row more */
        memcpy(g->lo[g->n], g->lo[i], sizeof(g->lo[0]));
        memcpy(g->hi[g->n], g->hi[i], sizeof(g->hi[0]));
        g->n++;
    }
}

static void against_brute_force(void **state)
{
    struct dune_rng r;
    uint32_t accepted = 0, rejected = 0;

    (void)state;
    dune_rng_init(&r, 21, 0, 0, 0);
    for (uint32_t k = 0; k < 700; k++) {
        struct grid g = {.k = {1 + (uint32_t)dune_rng_below(&r, 5), (uint32_t)dune_rng_below(&r, 5),
                               (uint32_t)dune_rng_below(&r, 4)}};
        bool ok;

        cut_boxes(&r, &g, 2 + (uint32_t)dune_rng_below(&r, 20));
        if (g.n < 2)
            continue;
        assert_int_equal(verify_grid(&g), 0);
        move_a_side(&r, &g);
        ok = is_partition(&g);
        assert_int_equal(verify_grid(&g), ok ? 0 : DUNE_E_INPUT);
        accepted += ok;
        rejected += !ok;
    }
    assert_true(accepted > 25 && rejected > 250);
}

/* Five boxes around a centre cover all and are not those of any tree. */
static void pinwheel(void **state)
{
    struct grid g = {.k = {2, 2, 0},
                     .n = 5,
                     .lo = {{0, 0, 0}, {2, 0, 0}, {1, 2, 0}, {0, 1, 0}, {1, 1, 0}},
                     .hi = {{1, 0, 0}, {2, 1, 0}, {2, 2, 0}, {0, 2, 0}, {1, 1, 0}}};

    (void)state;
    assert_true(is_partition(&g));
    assert_int_equal(verify_grid(&g), DUNE_E_INPUT);
}

/* A chain of cuts as deep as a tree may be. */
static void deep(void **state)
{
    uint32_t leaves = DUNE_MAX_LEAVES, n = 2 * leaves - 1;
    struct dune_tree tree = {n, DUNE_NEW_N(struct dune_node, n), DUNE_NEW_N(uint64_t, 2 * n)};
    uint8_t feat[] = {DUNE_F_GAP_MAX, DUNE_F_LEN_TOTAL};
    struct dune_forest f = {
        .n_trees = 1, .n_feats = 2, .n_classes = 2, .feat = feat, .tree = &tree};
    const uint8_t to_plan[] = {1, DUNE_PLAN_OTHER};
    struct dune_plan *p = seven_nodes();
    struct dune_submodel sm = *p->sub;
    struct dune_diag d = {0};
    uint32_t at = 0;

    (void)state;
    for (uint32_t i = 0; i < n; i++) {
        tree.node[i].feat = -1;
        tree.hist[2 * i + i % 2] = 1;
    }
    for (uint32_t k = 0; k + 1 < leaves; k++) { /* alternating: cannot be balanced */
        tree.node[at] =
            (struct dune_node){(int32_t)(k % 2), 1000 * (k + 1), 2 * k + 1, 2 * k + 2, 0};
        at = 2 * k + 2;
    }
    sm.feat = NULL;
    sm.tree = NULL;
    sm.cls = dune_mem_alloc(2, 1);
    memcpy(sm.cls, p->sub->cls, 2);
    dune_submodel_fini(p->sub);
    assert_ok(dune_submodel_from_forest(&sm, &f, 1, 0, to_plan, &d), d);
    *p->sub = sm;
    p->device[0].budget = (struct dune_budget){0, 0};
    assert_ok(dune_plan_verify(p, &d), d);
    dune_mem_free(tree.node);
    dune_mem_free(tree.hist);
    dune_plan_free(p);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(in_memory),
    cmocka_unit_test(against_brute_force),
    cmocka_unit_test(pinwheel),
    cmocka_unit_test(deep),
};

RUN_TESTS(tests)
