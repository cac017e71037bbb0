/* SPDX-License-Identifier: Apache-2.0 */
/* Every method against a literal one on random instances, ties, threads, and what is refused. */
#include "testing.h"

#include <math.h>

#include "dune/partition.h"

enum { MAX_M = 8, MAX_R = 5 };

struct instance {
    uint32_t m, r;
    double w[MAX_M][MAX_R], f[MAX_M];
    struct dune_importance *im;
    struct dune_scores *sc;
};

/* Files in, so that the readers are on the way; f in another order than W. */
static void make_instance(struct instance *x, struct dune_rng *rng, uint32_t m, bool coarse)
{
    struct dune_buf w = {0}, f = {0};
    struct dune_diag d = {0};

    x->m = m;
    x->r = 1 + (uint32_t)dune_rng_below(rng, MAX_R);
    dune_buf_puts(&w, "class");
    dune_buf_puts(&f, "class,f1\n");
    for (uint32_t j = 0; j < x->r; j++)
        dune_buf_printf(&w, ",feat %u", j);
    for (uint32_t c = 0; c < m; c++) {
        dune_buf_printf(&w, "\nc%u", c);
        for (uint32_t j = 0; j < x->r; j++) { /* coarse numbers are exact in binary and tie often */
            x->w[c][j] = coarse ? 0.25 * (double)dune_rng_below(rng, 4) : dune_rng_unit(rng);
            dune_buf_printf(&w, ",%.17g", x->w[c][j]);
        }
        x->f[c] = coarse ? 25.0 * (double)dune_rng_below(rng, 4) : 100 * dune_rng_unit(rng);
    }
    for (uint32_t c = m; c-- > 0;)
        dune_buf_printf(&f, "c%u,%.17g\n", c, x->f[c]);
    assert_ok(dune_importance_parse(&x->im, "W", w.data, w.len, &d), d);
    assert_ok(dune_scores_parse(&x->sc, "f", f.data, f.len, &d), d);
    dune_buf_fini(&w);
    dune_buf_fini(&f);
}

static void free_instance(struct instance *x)
{
    dune_importance_free(x->im);
    dune_scores_free(x->sc);
}

/* --- the literal formulas ------------------------------------------------------------------------------- */

static void literal_block(const struct instance *x, uint32_t set, double *theta, double *delta)
{
    double lo = INFINITY, hi = -INFINITY;
    int k = __builtin_popcount(set);

    *theta = 0;
    for (uint32_t j = 0; j < x->r; j++) {
        double net = 0;

        for (uint32_t c = 0; c < x->m; c++)
            if (set >> c & 1)
                net += x->w[c][j];
        net -= (double)k / x->r;
        *theta += net > 0 ? net : 0;
    }
    for (uint32_t c = 0; c < x->m; c++)
        if (set >> c & 1) {
            lo = fmin(lo, x->f[c]);
            hi = fmax(hi, x->f[c]);
        }
    *delta = k == 1 ? lo : hi - lo;
}

static double literal_gain(const struct instance *x, uint32_t set)
{
    double theta, delta;

    literal_block(x, set, &theta, &delta);
    return theta / (1 + delta);
}

struct sets {
    uint32_t n, set[MAX_M]; /* by smallest class */
};

static double literal_total(const struct instance *x, const struct sets *p)
{
    double sum = 0;

    for (uint32_t q = 0; q < p->n; q++)
        sum += literal_gain(x, p->set[q]);
    return x->m == 1 ? sum : (double)(x->m - p->n) / (x->m - 1) * sum;
}

static double literal_cost(const struct instance *x, const struct sets *p)
{
    double sum = 0;

    for (uint32_t q = 0; q < p->n; q++) {
        double theta, delta;

        literal_block(x, p->set[q], &theta, &delta);
        sum += (x->m - theta) * delta;
    }
    return sum;
}

/* "01!2!34!": compares like the lists of blocks, for the end of a block is below every digit. */
static void as_text(const struct sets *p, char *out)
{
    for (uint32_t q = 0; q < p->n; q++) {
        for (uint32_t c = 0; c < MAX_M; c++)
            if (p->set[q] >> c & 1)
                *out++ = (char)('0' + c);
        *out++ = '!';
    }
    *out = '\0';
}

static void sort_sets(struct sets *p)
{
    for (uint32_t i = 1; i < p->n; i++)
        for (uint32_t j = i; j > 0 && (p->set[j - 1] & -p->set[j - 1]) > (p->set[j] & -p->set[j]); j--) {
            uint32_t tmp = p->set[j];

            p->set[j] = p->set[j - 1];
            p->set[j - 1] = tmp;
        }
}

static void from_result(const struct dune_blocks *b, struct sets *p)
{
    memset(p, 0, sizeof(*p));
    p->n = b->n_blocks;
    for (uint32_t q = 0; q < b->n_blocks; q++)
        for (uint32_t i = 0; i < b->block[q].n_classes; i++)
            p->set[q] |= 1u << b->block[q].cls[i];
}

/* --- brute force over all set partitions ---------------------------------------------------------------- */

struct brute {
    const struct instance *x;
    bool ilp;
    uint32_t n_blocks;
    int pass;
    double best;
    struct sets now, found;
    char found_text[32];
    bool any;
};

static void consider(struct brute *b)
{
    uint32_t m = b->x->m, n = b->now.n;
    struct sets sorted = b->now;
    char text[32];
    double v;

    if ((b->n_blocks && n != b->n_blocks) || (b->ilp && (n < 2 || n > m - 1)))
        return;
    sort_sets(&sorted);
    v = b->ilp ? -literal_cost(b->x, &sorted) : literal_total(b->x, &sorted);
    if (b->pass == 0) {
        b->best = fmax(b->best, v);
        return;
    }
    if (v < b->best - 1e-12 * fmax(1, fabs(b->best)))
        return;
    as_text(&sorted, text);
    if (!b->any || strcmp(text, b->found_text) < 0) {
        b->any = true;
        strcpy(b->found_text, text);
        b->found = sorted;
    }
}

static void visit(struct brute *b, uint32_t c)
{
    if (c == b->x->m) {
        consider(b);
        return;
    }
    for (uint32_t q = 0; q <= b->now.n; q++) {
        bool fresh = q == b->now.n;

        b->now.set[q] = (fresh ? 0 : b->now.set[q]) | 1u << c;
        b->now.n += fresh;
        visit(b, c + 1);
        b->now.n -= fresh;
        b->now.set[q] &= ~(1u << c);
    }
}

static void check_optimum(const struct instance *x, bool ilp, uint32_t n_blocks)
{
    struct brute b = {.x = x, .ilp = ilp, .n_blocks = n_blocks, .best = -INFINITY};
    struct dune_partition_cfg cfg = {.method = ilp ? DUNE_PART_ILP : DUNE_PART_EXACT, .n_blocks = n_blocks,
                                     .threads = 2};
    struct dune_blocks *out;
    struct dune_diag d = {0};
    struct sets got;
    char text[32];

    visit(&b, 0);
    b.pass = 1;
    visit(&b, 0);
    assert_true(b.any);
    assert_ok(dune_partition(&out, x->im, x->sc, &cfg, &d), d);
    from_result(out, &got);
    as_text(&got, text);
    assert_string_equal(text, b.found_text);
    assert_true(fabs(out->objective - (ilp ? -b.best : b.best)) <= 1e-9 * fmax(1, fabs(b.best)));
    assert_true(out->optimal && out->gap == 0);
    for (uint32_t q = 0; q < out->n_blocks; q++)
        assert_true(fabs(out->block[q].gain - literal_gain(x, got.set[q])) < 1e-12);
    dune_blocks_free(out);
}

static void test_exact_and_ilp_are_optimal(void **state)
{
    struct dune_rng rng;
    struct instance x;

    (void)state;
    dune_rng_init(&rng, 3, 0, 0, 0);
    for (int round = 0; round < 150; round++) {
        uint32_t m = 1 + (uint32_t)dune_rng_below(&rng, round < 20 ? 8 : 7);

        make_instance(&x, &rng, m, round % 2);
        check_optimum(&x, false, 0);
        check_optimum(&x, false, 1 + (uint32_t)dune_rng_below(&rng, m));
        if (m > 2) {
            check_optimum(&x, true, 0);
            check_optimum(&x, true, 2 + (uint32_t)dune_rng_below(&rng, m - 2));
        }
        free_instance(&x);
    }
}

/* --- greedy, by its definition --------------------------------------------------------------------------- */

static void literal_greedy(const struct instance *x, uint32_t n_blocks, struct sets *best, double *level)
{
    struct sets now = {.n = x->m};
    double best_total = -INFINITY;

    for (uint32_t c = 0; c < x->m; c++)
        now.set[c] = 1u << c;
    if (x->m == 1 || n_blocks == x->m)
        *best = now;
    for (uint32_t step = 0; now.n > 1; step++) {
        uint32_t pick_a = 0, pick_b = 0;
        double gain = -INFINITY, total;
        char pick[32] = "", text[32], best_text[32];

        for (uint32_t a = 0; a < now.n; a++)
            for (uint32_t b = a + 1; b < now.n; b++)
                gain = fmax(gain, literal_gain(x, now.set[a] | now.set[b]));
        for (uint32_t a = 0; a < now.n; a++)
            for (uint32_t b = a + 1; b < now.n; b++) {
                struct sets u = {1, {now.set[a] | now.set[b]}};

                as_text(&u, text);
                if (literal_gain(x, u.set[0]) >= gain - 1e-12 && (!*pick || strcmp(text, pick) < 0)) {
                    strcpy(pick, text);
                    pick_a = a;
                    pick_b = b;
                }
            }
        now.set[pick_a] |= now.set[pick_b];
        now.set[pick_b] = now.set[--now.n];
        sort_sets(&now);
        total = literal_total(x, &now);
        level[step] = total;
        as_text(&now, text);
        as_text(best, best_text);
        if (n_blocks ? now.n == n_blocks
                     : total > best_total + 1e-12 ||
                           (total >= best_total - 1e-12 && strcmp(text, best_text) < 0)) {
            *best = now;
            best_total = total;
        }
    }
}

static void test_greedy_is_its_definition(void **state)
{
    struct dune_rng rng;
    struct instance x;

    (void)state;
    dune_rng_init(&rng, 4, 0, 0, 0);
    for (int round = 0; round < 400; round++) {
        uint32_t m = 1 + (uint32_t)dune_rng_below(&rng, MAX_M);
        struct dune_partition_cfg cfg = {.method = DUNE_PART_GREEDY};
        struct sets want = {0}, got;
        double level[MAX_M];
        struct dune_blocks *out;
        struct dune_diag d = {0};
        char a[32], b[32];

        make_instance(&x, &rng, m, round % 2);
        cfg.n_blocks = round % 3 ? 0 : 1 + (uint32_t)dune_rng_below(&rng, m);
        literal_greedy(&x, cfg.n_blocks, &want, level);
        assert_ok(dune_partition(&out, x.im, x.sc, &cfg, &d), d);
        from_result(out, &got);
        as_text(&want, a);
        as_text(&got, b);
        assert_string_equal(a, b);
        assert_int_equal(out->n_levels, m - 1);
        for (uint32_t i = 0; i + 1 < m; i++)
            assert_true(fabs(out->level[i] - level[i]) < 1e-12);
        assert_true(fabs(out->objective - literal_total(&x, &got)) < 1e-12);
        assert_true(!out->optimal && out->gap == -1);
        dune_blocks_free(out);
        free_instance(&x);
    }
}

/* --- equal-size methods ----------------------------------------------------------------------------------- */

static void check_sizes(const struct dune_blocks *b, uint32_t m, uint32_t n)
{
    assert_int_equal(b->n_blocks, n);
    for (uint32_t q = 0; q < n; q++) {
        uint32_t k = b->block[q].n_classes;

        assert_true(k == m / n || (m % n && k == m / n + 1));
        assert_true(q == 0 || b->block[q - 1].cls[0] < b->block[q].cls[0]);
    }
}

static void test_random(void **state)
{
    struct dune_partition_cfg cfg = {.method = DUNE_PART_RANDOM, .n_blocks = 3};
    struct dune_blocks *a, *b;
    struct dune_rng rng;
    struct instance x;
    struct dune_diag d = {0};
    unsigned different = 0;

    (void)state;
    dune_rng_init(&rng, 9, 0, 0, 0);
    make_instance(&x, &rng, 8, false);
    for (cfg.seed = 0; cfg.seed < 20; cfg.seed++) {
        struct sets p, q;

        assert_ok(dune_partition(&a, x.im, x.sc, &cfg, &d), d);
        cfg.threads = 2;
        assert_ok(dune_partition(&b, x.im, x.sc, &cfg, &d), d);
        check_sizes(a, 8, 3);
        from_result(a, &p);
        from_result(b, &q);
        assert_memory_equal(&p, &q, sizeof(p));
        assert_true(fabs(a->objective - literal_total(&x, &p)) < 1e-12);
        dune_blocks_free(b);
        cfg.seed++;
        assert_ok(dune_partition(&b, x.im, x.sc, &cfg, &d), d);
        from_result(b, &q);
        different += memcmp(&p, &q, sizeof(p)) != 0;
        dune_blocks_free(a);
        dune_blocks_free(b);
    }
    assert_true(different > 7);
    free_instance(&x);
}

/* No exchange of two classes may help any more, and a clear structure is found. */
static void test_together_and_apart(void **state)
{
    struct dune_rng rng;
    struct instance x;
    struct dune_diag d = {0};

    (void)state;
    dune_rng_init(&rng, 10, 0, 0, 0);
    make_instance(&x, &rng, 8, false);
    for (int round = 0; round < 50; round++) {
        double c[64];
        struct dune_partition_cfg cfg = {.n_blocks = 1 + (uint32_t)dune_rng_below(&rng, 8), .confusion = c};
        struct dune_blocks *b;
        double within[2];

        for (int i = 0; i < 64; i++)
            c[i] = dune_rng_unit(&rng);
        for (int k = 0; k < 2; k++) {
            struct sets p;

            cfg.method = k ? DUNE_PART_APART : DUNE_PART_TOGETHER;
            assert_ok(dune_partition(&b, x.im, x.sc, &cfg, &d), d);
            check_sizes(b, 8, cfg.n_blocks);
            from_result(b, &p);
            within[k] = 0;
            for (int i = 0; i < 8; i++)
                for (int j = 0; j < 8; j++)
                    for (uint32_t q = 0; q < p.n; q++)
                        if (i != j && p.set[q] >> i & 1 && p.set[q] >> j & 1)
                            within[k] += c[i * 8 + j];
            assert_true(fabs(b->objective - within[k]) < 1e-9);
            dune_blocks_free(b);
        }
        assert_true(within[0] >= within[1] - 1e-9);
    }
    {
        double c[64] = {0};
        struct dune_partition_cfg cfg = {.method = DUNE_PART_TOGETHER, .n_blocks = 4, .confusion = c};
        struct dune_blocks *b;

        for (int i = 0; i < 8; i++)
            c[i * 8 + (i + 4) % 8] = 5; /* i and i + 4 are confused */
        assert_ok(dune_partition(&b, x.im, x.sc, &cfg, &d), d);
        for (uint32_t q = 0; q < 4; q++)
            assert_true(b->block[q].cls[0] == q && b->block[q].cls[1] == q + 4);
        dune_blocks_free(b);
    }
    free_instance(&x);
}

/* --- matching and refusals -------------------------------------------------------------------------------- */

static void refuse(const struct dune_importance *w, const struct dune_scores *f,
                   struct dune_partition_cfg cfg, int code, const char *says)
{
    struct dune_blocks *b;
    struct dune_diag d = {0};

    assert_int_equal(dune_partition(&b, w, f, &cfg, &d), code);
    assert_null(b);
    if (!strstr(d.msg, says))
        fail_msg("\"%s\" does not say \"%s\"", d.msg, says);
}

static void test_refused(void **state)
{
    static const char w_text[] = "class,p,q\na,1,0\nb,0.5,0.5\nc,0,1\nonly in W,1,0\n";
    static const char f_text[] = "class,f1\nc,10\na,20\nb,30\nonly in f,40\n";
    const char *abc[] = {"c", "a", "b"}, *twice[] = {"a", "a"}, *foreign[] = {"a", "x"}, *missing[] = {"only in W"};
    struct dune_importance *w;
    struct dune_scores *f;
    struct dune_blocks *b;
    struct dune_diag d = {0};
    struct dune_partition_cfg cfg = {.classes = abc, .n_classes = 3};
    double conf[9] = {0};

    (void)state;
    assert_ok(dune_importance_parse(&w, "W", w_text, sizeof(w_text) - 1, &d), d);
    assert_ok(dune_scores_parse(&f, "f", f_text, sizeof(f_text) - 1, &d), d);
    refuse(w, f, (struct dune_partition_cfg){0}, DUNE_E_INPUT, "only in importance: only in W");
    refuse(w, f, (struct dune_partition_cfg){0}, DUNE_E_INPUT, "only in scores: only in f");
    assert_ok(dune_partition(&b, w, f, &cfg, &d), d);
    assert_string_equal(b->class_name[0], "c"); /* the order that was asked for */
    assert_string_equal(b->feat_name[1], "q");
    dune_blocks_free(b);
    refuse(w, f, (struct dune_partition_cfg){.classes = twice, .n_classes = 2}, DUNE_E_USAGE, "twice");
    refuse(w, f, (struct dune_partition_cfg){.classes = foreign, .n_classes = 2}, DUNE_E_INPUT, "\"x\"");
    refuse(w, f, (struct dune_partition_cfg){.classes = missing, .n_classes = 1}, DUNE_E_INPUT, "scores");
    refuse(w, f, (struct dune_partition_cfg){.classes = abc, .n_classes = 0}, DUNE_E_USAGE, "no classes");
    cfg.n_blocks = 4;
    refuse(w, f, cfg, DUNE_E_USAGE, "4 blocks");
    cfg = (struct dune_partition_cfg){.classes = abc, .n_classes = 3, .method = DUNE_PART_RANDOM};
    refuse(w, f, cfg, DUNE_E_USAGE, "number of blocks");
    cfg.method = DUNE_PART_TOGETHER;
    cfg.n_blocks = 2;
    refuse(w, f, cfg, DUNE_E_USAGE, "confusion");
    cfg.confusion = conf;
    conf[1] = -1;
    refuse(w, f, cfg, DUNE_E_INPUT, "finite");
    cfg = (struct dune_partition_cfg){.classes = abc, .n_classes = 2, .method = DUNE_PART_ILP};
    refuse(w, f, cfg, DUNE_E_INFEASIBLE, "at least 3");
    cfg = (struct dune_partition_cfg){.classes = abc, .n_classes = 3, .method = DUNE_PART_ILP, .n_blocks = 3};
    refuse(w, f, cfg, DUNE_E_USAGE, "2 to 2");
    w->w[0] = NAN;
    cfg = (struct dune_partition_cfg){.classes = abc, .n_classes = 3};
    refuse(w, f, cfg, DUNE_E_INPUT, "importance of \"p\" for class \"a\"");
    dune_importance_free(w);
    dune_scores_free(f);
}

static void test_method_names(void **state)
{
    (void)state;
    assert_int_equal(dune_partition_method_find("greedy"), DUNE_PART_GREEDY);
    assert_int_equal(dune_partition_method_find("apart"), DUNE_PART_APART);
    assert_int_equal(dune_partition_method_find("Greedy"), -1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_exact_and_ilp_are_optimal), cmocka_unit_test(test_greedy_is_its_definition),
    cmocka_unit_test(test_random),                    cmocka_unit_test(test_together_and_apart),
    cmocka_unit_test(test_refused),                   cmocka_unit_test(test_method_names),
};
RUN_TESTS(tests)
