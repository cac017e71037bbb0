/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training against a trainer that tries every threshold of every column from scratch, with
 * fractions compared exactly.
 */
#include "forest_random.h"

#include "forest/forest_int.h"

__extension__ typedef unsigned __int128 u128;

/* --- the naive trainer ---------------------------------------------------------------------------- */
enum { MAX_ROWS = 64, MAX_NODES = 2 * MAX_ROWS };
#define MAX_W 500 /* sums stay below 2^16, so that all products below fit 128 bits */

struct naive_node {
    bool in[MAX_ROWS];
    uint32_t depth;
    uint64_t path;
    bool split, has_cut;
    int32_t feat;
    uint32_t threshold;
    u128 num, den; /* decrease of the best cut */
};
struct naive {
    const struct dune_table *t;
    const struct dune_train_cfg *cfg;
    uint64_t w[MAX_ROWS];
    uint64_t tree;
    struct naive_node node[MAX_NODES];
    struct dune_tree out;
};

static void sums(const struct naive *nv, const bool *in, uint64_t *weight, u128 *sq, uint64_t *hist)
{
    uint64_t h[16] = {0};

    for (size_t r = 0; r < nv->t->n_rows; r++)
        if (in[r])
            h[nv->t->cls[r]] += nv->w[r];
    *weight = 0;
    *sq = 0;
    for (uint32_t c = 0; c < nv->t->n_classes; c++) {
        *weight += h[c];
        *sq += (u128)h[c] * h[c];
    }
    if (hist)
        memcpy(hist, h, nv->t->n_classes * sizeof(*h));
}

/* Tries "column c at most x"; the smallest value above x in the node is found first. */
static bool try_cut(const struct naive *nv, struct naive_node *n, uint32_t c, uint32_t x)
{
    bool left[MAX_ROWS] = {0}, right[MAX_ROWS] = {0}, any = false;
    uint64_t lw, rw, w;
    u128 ls, rs, s, num, den;
    uint32_t above = UINT32_MAX;

    for (size_t r = 0; r < nv->t->n_rows; r++) {
        if (!n->in[r])
            continue;
        left[r] = nv->t->col[c][r] <= x;
        right[r] = !left[r];
        if (right[r]) {
            above = DUNE_MIN(above, nv->t->col[c][r]);
            any = true;
        }
    }
    if (!any)
        return false;
    sums(nv, left, &lw, &ls, NULL);
    sums(nv, right, &rw, &rs, NULL);
    sums(nv, n->in, &w, &s, NULL);
    if (lw < nv->cfg->min_leaf_weight || rw < nv->cfg->min_leaf_weight)
        return false;
    num = (ls * rw + rs * lw) * w - s * lw * rw;
    den = (u128)lw * rw * w;
    x = (uint32_t)(((uint64_t)x + above) / 2);
    if (n->has_cut) {
        u128 a = num * n->den, b = n->num * den;

        if (a < b || (a == b && ((int32_t)c > n->feat || ((int32_t)c == n->feat && x >= n->threshold))))
            return true;
    }
    n->has_cut = true;
    n->feat = (int32_t)c;
    n->threshold = x;
    n->num = num;
    n->den = den;
    return true;
}

static void naive_cut(struct naive *nv, struct naive_node *n)
{
    uint64_t w;
    u128 s;
    uint32_t order[16], want = nv->t->n_cols, f = nv->t->n_cols;
    struct dune_rng rng;

    sums(nv, n->in, &w, &s, NULL);
    if (s == (u128)w * w || (nv->cfg->max_depth && n->depth == nv->cfg->max_depth))
        return;
    if (nv->cfg->sqrt_features)
        for (want = 1; (want + 1) * (want + 1) <= f;)
            want++;
    for (uint32_t i = 0; i < f; i++)
        order[i] = i;
    dune_rng_init(&rng, nv->cfg->seed, nv->tree, n->path, 0);
    for (uint32_t i = 0; i < f && (i < want || !n->has_cut); i++) {
        if (want < f) {
            uint32_t j = i + (uint32_t)dune_rng_below(&rng, f - i), d = order[j];

            order[j] = order[i];
            order[i] = d;
        }
        for (size_t r = 0; r < nv->t->n_rows; r++)
            if (n->in[r])
                try_cut(nv, n, order[i], nv->t->col[order[i]][r]);
    }
}

static void naive_split(struct naive *nv, uint32_t v)
{
    struct naive_node *n = &nv->node[v];
    uint32_t k = nv->out.n_nodes;

    for (uint32_t s = 0; s < 2; s++) {
        struct naive_node *c = &nv->node[k + s];
        uint64_t w;
        u128 sq;

        *c = (struct naive_node){.depth = n->depth + 1, .path = dune_mix64(n->path, s + 1)};
        for (size_t r = 0; r < nv->t->n_rows; r++)
            c->in[r] = n->in[r] && (nv->t->col[n->feat][r] > n->threshold) == (s == 1);
        sums(nv, c->in, &w, &sq, nv->out.hist + (size_t)(k + s) * nv->t->n_classes);
        nv->out.node[k + s] = (struct dune_node){.feat = -1, .parent = v};
        naive_cut(nv, c);
    }
    n->split = true;
    nv->out.node[v].feat = n->feat;
    nv->out.node[v].threshold = n->threshold;
    nv->out.node[v].left = k;
    nv->out.node[v].right = k + 1;
    nv->out.n_nodes += 2;
}

static void naive_depth_first(struct naive *nv, uint32_t v)
{
    if (!nv->node[v].has_cut)
        return;
    naive_split(nv, v);
    naive_depth_first(nv, nv->out.node[v].left);
    naive_depth_first(nv, nv->out.node[v].right);
}

static void naive_best_first(struct naive *nv)
{
    while (nv->out.n_nodes < 2 * nv->cfg->max_leaves - 1) {
        int best = -1;

        for (uint32_t v = 0; v < nv->out.n_nodes; v++) {
            struct naive_node *n = &nv->node[v], *b = best < 0 ? NULL : &nv->node[best];

            if (n->has_cut && !n->split && (!b || n->num * b->den > b->num * n->den))
                best = (int)v;
        }
        if (best < 0)
            return;
        naive_split(nv, (uint32_t)best);
    }
}

static void naive_grow(struct naive *nv, const struct dune_table *t, const struct dune_train_cfg *cfg,
                       uint64_t tree)
{
    struct dune_rng rng;
    uint64_t w;
    u128 s;

    *nv = (struct naive){.t = t, .cfg = cfg, .tree = tree};
    nv->out.node = DUNE_NEW_N(struct dune_node, MAX_NODES);
    nv->out.hist = DUNE_NEW_N(uint64_t, MAX_NODES * t->n_classes);
    dune_rng_init(&rng, cfg->seed, tree, 0, 1);
    for (size_t r = 0; r < t->n_rows; r++) {
        size_t drawn = cfg->bootstrap ? dune_rng_below(&rng, t->n_rows) : r;

        nv->w[drawn] += t->w[drawn];
    }
    for (size_t r = 0; r < t->n_rows; r++)
        nv->node[0].in[r] = nv->w[r] > 0;
    nv->out.n_nodes = 1;
    nv->out.node[0] = (struct dune_node){.feat = -1, .parent = UINT32_MAX};
    sums(nv, nv->node[0].in, &w, &s, nv->out.hist);
    naive_cut(nv, &nv->node[0]);
    if (cfg->max_leaves)
        naive_best_first(nv);
    else
        naive_depth_first(nv, 0);
}

/* --- tests ------------------------------------------------------------------------------------------ */
static void check_against_naive(const struct dune_table *t, const struct dune_train_cfg *cfg,
                                const struct dune_tuning *tune)
{
    static struct naive nv;
    struct dune_diag d = {0};
    struct dune_trainer *tr;
    struct dune_forest *f;

    assert_ok(dune_trainer_new_tuned(&tr, t, 1, tune, &d), d);
    assert_ok(dune_trainer_fit(tr, &f, NULL, 0, NULL, 0, cfg, &d), d);
    dune_trainer_free(tr);
    assert_int_equal(f->n_trees, cfg->n_trees ? cfg->n_trees : 1);
    for (uint32_t i = 0; i < f->n_trees; i++) {
        naive_grow(&nv, t, cfg, i);
        assert_same_trees(&f->tree[i], &nv.out, t->n_classes);
        dune_mem_free(nv.out.node);
        dune_mem_free(nv.out.hist);
    }
    dune_forest_free(f);
}

static void test_same_as_naive(void **state)
{
    struct dune_rng r;
    struct dune_table t;
    struct dune_train_cfg cfg;

    (void)state;
    dune_rng_init(&r, 1, 0, 0, 0);
    for (int k = 0; k < 4000; k++) {
        uint64_t max_weight = k % 3 ? MAX_W : 1;
        struct dune_tuning tune = {.max_bins = 1u << dune_rng_below(&r, 9),
                                   .few_rows = 1u << dune_rng_below(&r, 8),
                                   .column_rows = 1u << dune_rng_below(&r, 8),
                                   .near_bytes = dune_rng_below(&r, 2) ? 1 : 0};

        random_table(&t, &r, MAX_ROWS, 7, 5, max_weight);
        random_cfg(&cfg, &r, max_weight);
        check_against_naive(&t, &cfg, &tune);
        free_table(&t);
    }
}

/* Weights times a constant give the same tree, up to the largest sum allowed. */
static void test_scale_of_weights(void **state)
{
    struct dune_rng r;
    struct dune_diag d = {0};

    (void)state;
    dune_rng_init(&r, 2, 0, 0, 0);
    for (int k = 0; k < 300; k++) {
        struct dune_table t;
        struct dune_train_cfg cfg;
        struct dune_forest *a, *b;

        random_table(&t, &r, 200, 7, 9, MAX_W);
        random_cfg(&cfg, &r, MAX_W);
        cfg.bootstrap = false;
        assert_ok(dune_forest_train(&a, &t, &cfg, &d), d);
        for (size_t i = 0; i < t.n_rows; i++)
            t.w[i] <<= 43;
        cfg.min_leaf_weight <<= 43;
        assert_ok(dune_forest_train(&b, &t, &cfg, &d), d);
        for (uint32_t i = 0; i < b->n_trees; i++)
            for (size_t h = 0; h < (size_t)b->tree[i].n_nodes * b->n_classes; h++)
                b->tree[i].hist[h] >>= 43;
        assert_same_forests(a, b);
        dune_forest_free(a);
        dune_forest_free(b);
        free_table(&t);
    }
}

static void test_prefix(void **state)
{
    struct dune_rng r;
    struct dune_diag d = {0};

    (void)state;
    dune_rng_init(&r, 3, 0, 0, 0);
    for (int k = 0; k < 200; k++) {
        struct dune_table t;
        struct dune_train_cfg cfg;
        struct dune_forest *big, *small, *cut;

        random_table(&t, &r, 300, 7, 9, MAX_W);
        random_cfg(&cfg, &r, MAX_W);
        cfg.max_leaves = 60;
        cfg.n_trees = 5;
        assert_ok(dune_forest_train(&big, &t, &cfg, &d), d);
        cfg.max_leaves = 1 + (uint32_t)dune_rng_below(&r, 60);
        cfg.n_trees = 1 + (uint32_t)dune_rng_below(&r, 5);
        assert_ok(dune_forest_train(&small, &t, &cfg, &d), d);
        cut = dune_forest_prefix(big, cfg.n_trees, cfg.max_leaves);
        assert_same_forests(small, cut);
        for (size_t i = 0; i < t.n_rows; i++)
            assert_int_equal(dune_tree_leaf(&big->tree[0], t.col, i, cfg.max_leaves),
                             dune_tree_leaf(&cut->tree[0], t.col, i, 0));
        dune_forest_free(big);
        dune_forest_free(small);
        dune_forest_free(cut);
        free_table(&t);
    }
}

static void test_threads(void **state)
{
    struct dune_rng r;
    struct dune_diag d = {0};

    (void)state;
    dune_rng_init(&r, 4, 0, 0, 0);
    for (int k = 0; k < 20; k++) {
        struct dune_table t;
        struct dune_train_cfg cfg;
        struct dune_forest *f[3];

        random_table(&t, &r, 3000, 9, 9, MAX_W);
        random_cfg(&cfg, &r, MAX_W);
        cfg.n_trees = 7;
        for (unsigned i = 0; i < 3; i++) {
            cfg.threads = i + 1;
            assert_ok(dune_forest_train(&f[i], &t, &cfg, &d), d);
            assert_same_forests(f[0], f[i]);
        }
        for (unsigned i = 0; i < 3; i++)
            dune_forest_free(f[i]);
        free_table(&t);
    }
}

/* Larger tables, where bins hold many values: every way to search gives the tree of plain sorting. */
static void test_tunings(void **state)
{
    static const struct dune_tuning tune[] = {{.plain = true}, {0}, {.max_bins = 7}, {.max_bins = 60, .few_rows = 1},
                                                {.near_bytes = 1}, {.max_bins = 60, .few_rows = 2, .near_bytes = 1},
                                                {.split_rows = 70, .few_rows = 8},
                                                {.split_rows = 70, .few_rows = 2, .near_bytes = 1}, {.column_rows = 1}, {.split_rows = 70, .column_rows = 1},
                                                {.column_rows = 200, .few_rows = 2, .near_bytes = 1}};
    struct dune_rng r;
    struct dune_diag d = {0};

    (void)state;
    dune_rng_init(&r, 7, 0, 0, 0);
    for (int k = 0; k < 60; k++) {
        struct dune_table t;
        struct dune_train_cfg cfg;
        struct dune_forest *f[DUNE_ARRAY_LEN(tune)];
        uint64_t max_weight = k % 3 ? DUNE_WEIGHT_ONE : 1;

        random_table(&t, &r, 6000, 9, k % 2 ? 4 : 30, max_weight);
        random_cfg(&cfg, &r, max_weight);
        for (size_t i = 0; i < DUNE_ARRAY_LEN(tune); i++) {
            struct dune_trainer *tr;

            cfg.threads = tune[i].split_rows ? 5 * cfg.n_trees : 1; /* threads without a tree help to count rows */
            assert_ok(dune_trainer_new_tuned(&tr, &t, 1, &tune[i], &d), d);
            assert_ok(dune_trainer_fit(tr, &f[i], NULL, 0, NULL, 0, &cfg, &d), d);
            dune_trainer_free(tr);
            assert_same_forests(f[0], f[i]);
        }
        for (size_t i = 0; i < DUNE_ARRAY_LEN(tune); i++)
            dune_forest_free(f[i]);
        free_table(&t);
    }
}

/* The sub-table a fit should be equal to. */
static void take_part(struct dune_table *p, const struct dune_table *t, const uint16_t *cls,
                      uint32_t n_classes, const uint64_t *w, dune_feature_mask cols)
{
    *p = (struct dune_table){.n_classes = n_classes};
    p->feat = DUNE_NEW_N(uint8_t, t->n_cols);
    p->col = DUNE_NEW_N(uint32_t *, t->n_cols);
    p->cls = DUNE_NEW_N(uint16_t, t->n_rows);
    p->w = DUNE_NEW_N(uint64_t, t->n_rows);
    for (uint32_t c = 0; c < t->n_cols; c++) {
        if (!(cols >> c & 1))
            continue;
        p->feat[p->n_cols] = (uint8_t)c;
        p->col[p->n_cols] = DUNE_NEW_N(uint32_t, t->n_rows);
        for (size_t r = 0, k = 0; r < t->n_rows; r++)
            if (w[r])
                p->col[p->n_cols][k++] = t->col[c][r];
        p->n_cols++;
    }
    for (size_t r = 0; r < t->n_rows; r++)
        if (w[r]) {
            p->cls[p->n_rows] = cls[r];
            p->w[p->n_rows++] = w[r];
        }
}

static void test_trainer(void **state)
{
    struct dune_rng r;
    struct dune_diag d = {0};

    (void)state;
    dune_rng_init(&r, 5, 0, 0, 0);
    for (int k = 0; k < 60; k++) {
        struct dune_table t, part;
        struct dune_train_cfg cfg;
        struct dune_trainer *tr;
        struct dune_forest *a, *b;
        uint16_t cls[400];
        uint64_t w[400];

        random_table(&t, &r, 400, 9, 9, MAX_W);
        assert_ok(dune_trainer_new(&tr, &t, 1, &d), d);
        for (int m = 0; m < 5; m++) {
            dune_feature_mask cols = dune_rng_below(&r, UINT64_C(1) << t.n_cols) | 1;

            random_cfg(&cfg, &r, MAX_W);
            for (size_t i = 0; i < t.n_rows; i++) {
                cls[i] = t.cls[i] % 4;
                w[i] = dune_rng_below(&r, 3) ? 1 + dune_rng_below(&r, 99) : 0;
            }
            w[0] = 7;
            assert_ok(dune_trainer_fit(tr, &a, cls, 4, w, cols, &cfg, &d), d);
            take_part(&part, &t, cls, 4, w, cols);
            assert_ok(dune_forest_train(&b, &part, &cfg, &d), d);
            assert_same_forests(a, b);
            dune_forest_free(a);
            dune_forest_free(b);
            free_table(&part);
        }
        dune_trainer_free(tr);
        free_table(&t);
    }
}

/* Columns go one after the other: growing from what was there gives what growing anew gives. */
static void check_regrowth(const struct dune_trainer *tr, const struct dune_table *t,
                           const struct dune_train_cfg *cfg, struct dune_rng *r, unsigned *taken)
{
    dune_feature_mask cols = (UINT64_C(1) << t->n_cols) - 1;
    struct dune_forest *old = NULL;
    struct dune_grown *how = NULL;

    while (cols) {
        struct dune_forest *f, *anew;
        struct dune_grown *next;
        struct dune_diag d = {0};

        assert_ok(dune_trainer_fit_from(tr, &f, NULL, 0, NULL, cols, cfg, how, &next, &d), d);
        assert_ok(dune_trainer_fit(tr, &anew, NULL, 0, NULL, cols, cfg, &d), d);
        assert_same_forests(f, anew);
        assert_int_equal(next != NULL, cfg->max_leaves && !cfg->sqrt_features && (cfg->bootstrap || cfg->n_trees < 2));
        *taken += how != NULL;
        dune_forest_free(anew);
        dune_grown_free(how);
        dune_forest_free(old);
        old = f;
        how = next;
        for (uint32_t k = 1 + (uint32_t)dune_rng_below(r, 2); k; k--)
            cols &= ~(UINT64_C(1) << dune_rng_below(r, t->n_cols));
    }
    dune_grown_free(how);
    dune_forest_free(old);
}

static void test_regrowth(void **state)
{
    struct dune_rng r;
    unsigned taken = 0;

    dune_rng_init(&r, 31, 0, 0, 0);
    for (int round = 0; round < 300; round++) {
        struct dune_table t;
        struct dune_train_cfg cfg;
        struct dune_trainer *tr;
        struct dune_diag d = {0};

        const struct dune_tuning near = {.few_rows = 4, .near_bytes = 1, .column_rows = 1}, usual = {0};

        random_table(&t, &r, round % 3 ? 120 : 1500, 12, 6, 500);
        random_cfg(&cfg, &r, 500);
        assert_ok(dune_trainer_new_tuned(&tr, &t, 1, round % 2 ? &near : &usual, &d), d);
        check_regrowth(tr, &t, &cfg, &r, &taken);
        dune_trainer_free(tr);
        free_table(&t);
    }
    assert_true(taken > 200);
    (void)state;
}

static void test_bad_tables(void **state)
{
    struct dune_rng r;
    struct dune_table t;
    struct dune_train_cfg cfg = {0};
    struct dune_diag d = {0};
    struct dune_forest *f;
    size_t rows;
    uint32_t cols;

    (void)state;
    dune_rng_init(&r, 6, 0, 0, 0);
    random_table(&t, &r, 50, 5, 3, 9);
    rows = t.n_rows;
    t.n_rows = 0;
    assert_int_equal(dune_forest_train(&f, &t, &cfg, &d), DUNE_E_INPUT);
    assert_null(f);
    t.n_rows = rows;
    cols = t.n_cols;
    t.n_cols = 0;
    assert_int_equal(dune_forest_train(&f, &t, &cfg, &d), DUNE_E_INPUT);
    t.n_cols = cols;
    t.cls[rows / 2] = 77;
    memset(&d, 0, sizeof(d));
    assert_int_equal(dune_forest_train(&f, &t, &cfg, &d), DUNE_E_INPUT);
    assert_non_null(strstr(d.msg, "class 77"));
    t.cls[rows / 2] = 0;
    t.w[0] = (UINT64_C(1) << 60) + 1;
    assert_int_equal(dune_forest_train(&f, &t, &cfg, &d), DUNE_E_INPUT);
    memset(t.w, 0, t.n_rows * sizeof(*t.w));
    assert_int_equal(dune_forest_train(&f, &t, &cfg, &d), DUNE_E_INPUT);
    free_table(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_as_naive), cmocka_unit_test(test_scale_of_weights),
        cmocka_unit_test(test_prefix),        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_tunings),       cmocka_unit_test(test_trainer),
        cmocka_unit_test(test_regrowth),      cmocka_unit_test(test_bad_tables),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
