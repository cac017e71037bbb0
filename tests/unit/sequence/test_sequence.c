/* SPDX-License-Identifier: Apache-2.0 */
/* The order of blocks: golden cases, and brute force over all permutations. */
#include "testing.h"

#include <jansson.h>
#include <math.h>
#include <unistd.h>

#include "dune/importance.h"
#include "dune/sequence.h"

/* --- brute force --------------------------------------------------------------------------------------- */

struct brute {
    uint32_t n;
    const double *c, *f;
    uint32_t order[8], best_order[8];
    double best, limit;
    uint64_t ties;
};

static double literal_cost(const struct brute *b)
{
    double cost = 0;

    for (uint32_t x = 0; x < b->n; x++)
        for (uint32_t y = x + 1; y < b->n; y++) {
            uint32_t i = b->order[x], j = b->order[y];
            double column = 0;

            for (uint32_t r = 0; r < b->n; r++)
                column += b->c[r * b->n + i];
            if (column > 0)
                cost += 100.0 * b->c[j * b->n + i] / column * (1 - b->f[i] / 100);
        }
    return cost;
}

/* Orders come in lexicographic order; pass 0 finds the optimum, pass 1 counts. */
static void visit(struct brute *b, uint32_t at, uint32_t used, int pass)
{
    double cost;

    for (uint32_t j = 0; at < b->n && j < b->n; j++)
        if (!(used >> j & 1)) {
            b->order[at] = j;
            visit(b, at + 1, used | 1u << j, pass);
        }
    if (at < b->n)
        return;
    cost = literal_cost(b);
    if (pass == 0 && cost < b->best)
        b->best = cost;
    if (pass == 1 && cost <= b->limit && b->ties++ == 0)
        memcpy(b->best_order, b->order, sizeof(b->order));
}

static void check_brute(uint32_t n, const double *c, const double *f)
{
    struct brute b = {.n = n, .c = c, .f = f, .best = INFINITY};
    struct dune_order o;
    struct dune_diag d = {0};

    visit(&b, 0, 0, 0);
    b.limit = b.best * (1 + 1e-9) + 1e-13;
    visit(&b, 0, 0, 1);
    assert_ok(dune_sequence_lop(&o, n, c, f, &d), d);
    assert_int_equal(o.n, n);
    assert_true(fabs(o.objective - b.best) <= b.best * 1e-9 + 1e-12);
    assert_memory_equal(o.order, b.best_order, n * sizeof(uint32_t));
    if (o.ties != b.ties)
        fail_msg("%llu ties, not %llu", (unsigned long long)o.ties, (unsigned long long)b.ties);
    assert_true(o.objective == dune_sequence_cost(n, c, f, o.order));
}

static void test_brute_force(void **state)
{
    struct dune_rng rng;

    (void)state;
    dune_rng_init(&rng, 5, 0, 0, 0);
    for (int round = 0; round < 120; round++) {
        uint32_t n = 1 + (uint32_t)dune_rng_below(&rng, round < 6 ? 8 : 7);
        double c[64], f[8];

        for (uint32_t i = 0; i < n * n; i++) /* small whole numbers and zeros make ties */
            c[i] = round % 2 ? dune_rng_unit(&rng) : (double)dune_rng_below(&rng, 3);
        for (uint32_t i = 0; i < n; i++)
            f[i] = round % 3 ? 100 * dune_rng_unit(&rng) : 50.0 * (double)dune_rng_below(&rng, 3);
        if (round % 5 == 0)
            for (uint32_t i = 0; i < n; i++)
                c[i * n] = 0; /* a block that never answers */
        check_brute(n, c, f);
    }
}

/* Two exchanges cost 0.6e-9 of the optimum each: both together are no tie. */
static void test_tolerance_does_not_pile_up(void **state)
{
    double c[25] = {0}, f[5] = {0};
    struct dune_order o;
    struct dune_diag d = {0};

    (void)state;
    /* in each of the pairs (0, 1) and (2, 3) one order is dearer by 0.6e-9 of the whole cost */
    for (int i = 0; i < 4; i += 2) {
        c[i * 5 + i + 1] = 50;
        c[(i + 1) * 5 + i] = 50 * (1 + 4 * 0.6e-9);
        c[i * 5 + i] = 50;
        c[(i + 1) * 5 + i + 1] = 50;
    }
    c[24] = 1;
    check_brute(5, c, f);
    assert_ok(dune_sequence_lop(&o, 5, c, f, &d), d);
    assert_int_equal(o.ties, 3 * 30); /* 3 of the 4 ways to order the pairs, interleaved, 4 anywhere */
}

static void test_extremes(void **state)
{
    double *c = DUNE_NEW_N(double, 25 * 25), f[25] = {0};
    struct dune_order o;
    struct dune_diag d = {0};

    (void)state;
    assert_ok(dune_sequence_lop(&o, 1, c, f, &d), d);
    assert_true(o.ties == 1 && o.objective == 0);
    assert_ok(dune_sequence_lop(&o, 20, c, f, &d), d);
    assert_true(o.ties == UINT64_C(2432902008176640000)); /* 20! */
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(o.order[i], i);
    assert_ok(dune_sequence_lop(&o, 21, c, f, &d), d);
    assert_true(o.ties == UINT64_MAX);
    assert_int_equal(dune_sequence_lop(&o, 25, c, f, &d), DUNE_E_INFEASIBLE);
    memset(&d, 0, sizeof(d));
    assert_int_equal(dune_sequence_lop(&o, 0, c, f, &d), DUNE_E_INPUT);
    c[3] = NAN;
    memset(&d, 0, sizeof(d));
    assert_int_equal(dune_sequence_lop(&o, 3, c, f, &d), DUNE_E_INPUT);
    c[3] = 0;
    f[1] = 101;
    memset(&d, 0, sizeof(d));
    assert_int_equal(dune_sequence_lop(&o, 3, c, f, &d), DUNE_E_INPUT);
    dune_mem_free(c);
}

/* --- published cases ------------------------------------------------------------------------------------ */

struct golden {
    uint32_t n, order[16];
    double objective;
    uint64_t ties;
};

static bool load_golden(const char *name, const char *key, struct golden *g)
{
    const char *path = shared_data("published/expected.json");
    json_t *root, *o, *list, *v;

    if (!path)
        return false;
    root = json_load_file(path, 0, NULL);
    assert_non_null(root);
    o = json_object_get(json_object_get(root, "order"), name);
    list = json_object_get(o, "order_first_to_last");
    g->n = (uint32_t)json_array_size(list);
    for (uint32_t i = 0; i < g->n; i++)
        g->order[i] = (uint32_t)json_integer_value(json_array_get(list, i));
    v = json_object_get(o, "free_position_cluster"); /* may stand anywhere: put it last */
    if (v)
        g->order[g->n++] = (uint32_t)json_integer_value(v);
    g->objective = json_real_value(json_object_get(o, key));
    g->ties = (uint64_t)json_integer_value(json_object_get(o, "ties"));
    json_decref(root);
    return true;
}

static void check_golden(const struct golden *g, uint32_t n, const double *c, const double *f, double eps)
{
    struct dune_order o;
    struct dune_diag d = {0};

    assert_int_equal(n, g->n);
    assert_ok(dune_sequence_lop(&o, n, c, f, &d), d);
    printf("# objective %.16g, expected %.16g, ties %llu\n", o.objective, g->objective,
           (unsigned long long)o.ties);
    assert_true(fabs(o.objective - g->objective) <= eps * g->objective);
    assert_true(fabs(dune_sequence_cost(n, c, f, g->order) - o.objective) <= 1e-9 * o.objective);
    assert_true(o.ties == g->ties);
    if (g->ties == 1)
        assert_memory_equal(o.order, g->order, n * sizeof(uint32_t));
}

static void run_golden(const char *name, const char *c_csv, const char *f_csv, const char *key, double eps)
{
    const char *cp = shared_data(c_csv), *fp = shared_data(f_csv);
    struct golden g;
    struct dune_diag d = {0};
    double *c, *f;
    char **names;
    uint32_t n;

    if (!cp || !fp || !load_golden(name, key, &g))
        skip();
    assert_ok(dune_sequence_read(cp, fp, &n, &names, &c, &f, &d), d);
    check_golden(&g, n, c, f, eps);
    for (uint32_t i = 0; i < n; i++)
        dune_mem_free(names[i]);
    dune_mem_free(names);
    dune_mem_free(c);
    dune_mem_free(f);
}

static void test_golden_ton6(void **state)
{
    (void)state;
    run_golden("ton10-6cl-tsp", "published/ton10-6cl-tsp/CM_matrix_Cluster_after_clustering_6CL.csv",
               "published/ton10-6cl-tsp/Best_models_perCluster_with_others_6CL.csv", "objective_percent", 1e-9);
}

static void test_golden_unsw8(void **state)
{
    (void)state;
    run_golden("unsw24-8cl-tsp", "published/unsw24-8cl-tsp/CM_matrix_Cluster_after_clustering.csv",
               "published/unsw24-8cl-tsp/Best_models_perCluster_with_others.csv", "objective_percent", 1e-9);
}

static void test_golden_unsw11(void **state)
{
    (void)state;
    run_golden("unsw24-11cl-tsp", "published/unsw24-11cl-tsp/normalized_confusion.csv",
               "published/unsw24-11cl-tsp/clusters.csv", "objective_percent", 1e-6);
}

static void test_golden_ton7(void **state)
{
    (void)state;
    run_golden("ton7-tutorial", "published/ton7-tutorial/normalized_confusion.csv",
               "published/ton7-tutorial/clusters.csv", "objective_percent", 1e-6);
    run_golden("ton7-tutorial", "published/ton7-tutorial/normalized_confusion.csv",
               "published/ton7-tutorial/clusters.csv", "objective_from_rounded_inputs", 1e-8);
}

/* The confusion of the four blocks is published per class: sum it first. */
static void test_golden_ton4(void **state)
{
    static const char *const block[4] = {" mitm normal xss ", " injection password ", " ddos ransomware ",
                                         " backdoor dos scanning "};
    const char *cp = shared_data("published/ton10-4cl-spp-tsp/CM_matrix_all_classes_after_clustering_6CL_SPP.csv");
    const char *fp = shared_data("published/ton10-4cl-spp-tsp/Best_models_perCluster_with_others_4CL_SPP.csv");
    uint32_t of[10] = {0};
    double c[16] = {0};
    struct dune_square *s;
    struct dune_scores *f;
    struct dune_diag d = {0};
    struct golden g;

    (void)state;
    if (!cp || !fp || !load_golden("ton10-4cl-spp-tsp", "objective_percent", &g))
        skip();
    assert_ok(dune_square_read(&s, cp, &d), d);
    assert_ok(dune_scores_read(&f, fp, &d), d);
    assert_int_equal(s->n, 10);
    assert_int_equal(f->n_classes, 4);
    for (uint32_t i = 0; i < 10; i++) {
        char word[32];

        snprintf(word, sizeof(word), " %s ", s->name[i]);
        while (!strstr(block[of[i]], word))
            of[i]++;
    }
    for (uint32_t i = 0; i < 10; i++)
        for (uint32_t j = 0; j < 10; j++)
            c[of[i] * 4 + of[j]] += s->v[i * 10 + j];
    check_golden(&g, 4, c, f->f1, 1e-9);
    dune_square_free(s);
    dune_scores_free(f);
}

/* --- files ---------------------------------------------------------------------------------------------- */

static void write_text(const char *path, const char *text)
{
    struct dune_diag d = {0};

    assert_ok(dune_file_write(path, text, strlen(text), &d), d);
}

static void test_files(void **state)
{
    char dir[] = "/tmp/dune-seq-XXXXXX", cp[64], fp[64], **names, *text;
    static const char *const bad_f[] = {"block,f1\nb,1\n", "block,f1\na,1\nb,1\nz,1\n", "block,f1\na,1\nb,x\n"};
    struct dune_diag d = {0};
    struct dune_order o;
    double *c, *f;
    size_t len;
    uint32_t n;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(cp, sizeof(cp), "%s/c", dir);
    snprintf(fp, sizeof(fp), "%s/f", dir);
    write_text(cp, "block,a,b\na,1,2\nb,3,4\n");
    write_text(fp, "block,f1\nb,60\na,40\n");
    assert_ok(dune_sequence_read(cp, fp, &n, &names, &c, &f, &d), d);
    assert_true(n == 2 && f[0] == 40 && f[1] == 60 && c[1] == 2);
    assert_ok(dune_sequence_lop(&o, n, c, f, &d), d);
    dune_sequence_format(&o, "lop", names, &text, &len);
    assert_non_null(strstr(text, "\"order\": [\"b\", \"a\"],\n  \"ties\": 1"));
    dune_mem_free(text);
    dune_mem_free(names[0]);
    dune_mem_free(names[1]);
    dune_mem_free(names);
    dune_mem_free(c);
    dune_mem_free(f);
    for (size_t i = 0; i < DUNE_ARRAY_LEN(bad_f); i++) {
        write_text(fp, bad_f[i]);
        memset(&d, 0, sizeof(d));
        assert_int_equal(dune_sequence_read(cp, fp, &n, &names, &c, &f, &d), DUNE_E_INPUT);
        assert_null(names);
    }
    unlink(cp);
    unlink(fp);
    rmdir(dir);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_brute_force),   cmocka_unit_test(test_tolerance_does_not_pile_up),
    cmocka_unit_test(test_extremes),      cmocka_unit_test(test_golden_ton6),
    cmocka_unit_test(test_golden_ton4),   cmocka_unit_test(test_golden_unsw8),
    cmocka_unit_test(test_golden_unsw11), cmocka_unit_test(test_golden_ton7),
    cmocka_unit_test(test_files),
};
RUN_TESTS(tests)
