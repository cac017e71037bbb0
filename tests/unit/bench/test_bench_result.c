/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>
#include <unistd.h>

#include "bench/bench.h"

static int fill(struct bench *b, struct dune_diag *d)
{
    (void)d;
    for (int i = 0; i < 3; i++) { /* ours 1 2 4, peer 10 30 20: ratios 10 15 5 */
        static const double ours[] = {1, 2, 4}, peer[] = {10, 30, 20};

        bench_add(b, "a case", "dune", "s", BENCH_LOWER, ours[i]);
        bench_add(b, "a case", "peer", "s", BENCH_LOWER, peer[i]);
        bench_add(b, "a case", "dune", "Mpps", BENCH_HIGHER, 8);
        bench_add(b, "a case", "peer", "Mpps", BENCH_HIGHER, 2);
    }
    bench_skip(b, "a case", "absent", "it is \"not\" %s", "here");
    bench_skip(b, "a case", "absent", "a second reason is not kept");
    bench_goal_min(b, "ratio", bench_ratio(b, "a case", "dune", "peer", "s").median, 8, 20);
    bench_goal_max(b, "share", 0.4, 1, 0.5);
    bench_goal_min(b, "missed", 1, 2, 0);
    bench_goal_min(b, "unknown", NAN, 2, 0);
    bench_point(b, "curve", "rows", "s", "ours", 1, 2);
    bench_point(b, "curve", "rows", "s", "ours", 2, 4);
    bench_note(b, "remark %d", 7);
    return 0;
}

static int go_wrong(struct bench *b, struct dune_diag *d)
{
    bench_note(b, "before");
    return dune_diag_set(d, DUNE_E_INPUT, "file", "this went wrong");
}

static struct bench_result *run(int (*fn)(struct bench *, struct dune_diag *), bool quick)
{
    const struct bench_entry e = {"group.what", "a test", fn};
    const struct bench_cfg cfg = {.quick = quick, .threads = 1, .tmp = "/nowhere"};
    struct bench_result *r = NULL;
    struct dune_diag d = {0};

    assert_ok(bench_run(&r, &e, &cfg, &d), d);
    return r;
}

static void test_figures(void **state)
{
    struct bench_result *r = run(fill, false);
    struct dune_buf b = {0};

    (void)state;
    assert_true(r->goals.data[0].value == 10); /* median of the ratios by round, not ratio of medians */
    bench_result_text(&b, r);
    assert_non_null(strstr(b.data, "s 20 (10-30), 10x (5-15)"));
    assert_non_null(strstr(b.data, "Mpps 2, 4x"));
    assert_non_null(strstr(b.data, "skipped: it is \"not\" here"));
    assert_non_null(strstr(b.data, "ratio | 10 | at least 8, goal 20 | bar met, goal missed"));
    assert_non_null(strstr(b.data, "share | 0.400 | at most 1, goal 0.500 | met"));
    assert_non_null(strstr(b.data, "missed | 1 | at least 2 | missed"));
    assert_non_null(strstr(b.data, "unknown | - | at least 2 | not measured"));
    dune_buf_fini(&b);
    bench_result_free(r);
}

static void test_an_error_is_a_note(void **state)
{
    struct bench_result *r = run(go_wrong, false);

    (void)state;
    assert_string_equal(r->notes.data[r->notes.len - 1], "ended early: file: this went wrong");
    bench_result_free(r);
}

static char *slurp(const char *path)
{
    struct dune_diag d = {0};
    char *text;
    size_t len;

    assert_ok(dune_file_read(path, &text, &len, &d), d);
    return text;
}

/* Written, read and written again: the same bytes. */
static void test_round_trip(void **state)
{
    struct bench_result *r = run(fill, true), *again;
    struct dune_diag d = {0};
    char dir[] = "/tmp/dune-test-XXXXXX", path[128], svg[128], *one, *two;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/group.what.quick.json", dir);
    snprintf(svg, sizeof(svg), "%s/group.what.quick-1.svg", dir);
    assert_ok(bench_result_write(r, dir, &d), d);
    one = slurp(path);
    assert_ok(bench_result_parse(&again, path, one, strlen(one), &d), d);
    assert_ok(bench_result_write(again, dir, &d), d);
    two = slurp(path);
    assert_string_equal(one, two);
    assert_int_equal(access(svg, F_OK), 0);
    unlink(path), unlink(svg), rmdir(dir);
    dune_mem_free(one), dune_mem_free(two);
    bench_result_free(r), bench_result_free(again);
}

static void test_bad_files(void **state)
{
    static const char *const bad[] = {"", "{", "[]", "{}", "{\"format\": 3}", "{\"format\": \"dune-bench-2\"}"};
    static const char odd[] = "{\"format\": \"dune-bench-1\", \"cases\": [{\"rows\": [{\"samples\": [{\"values\": [\"x\", null]}]}]}, 4],"
                              " \"goals\": [7], \"curves\": [{\"series\": [{\"points\": [1, [2]]}]}], \"notes\": [1]}";
    struct bench_result *r;
    struct dune_buf b = {0};

    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(bad); i++) {
        struct dune_diag d = {0};

        assert_int_equal(bench_result_parse(&r, "f", bad[i], strlen(bad[i]), &d), DUNE_E_INPUT);
        assert_null(r);
    }
    assert_int_equal(bench_result_parse(&r, "f", odd, strlen(odd), NULL), 0);
    bench_result_text(&b, r);
    bench_result_markdown(&b, r, "x");
    bench_result_plot(&b, r, 0);
    dune_buf_fini(&b);
    bench_result_free(r);
}

static int fill_many(struct bench *b, struct dune_diag *d)
{
    char name[16];

    (void)d;
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "q%02d", i);
        bench_add(b, "case", i < 10 ? "one" : "two", name, BENCH_LOWER, i);
    }
    return 0;
}

/* A row is told whole, also when the case has many quantities, and no row has those of another. */
static void test_many_quantities(void **state)
{
    struct bench_result *r = run(fill_many, false);
    struct dune_buf text = {0};

    (void)state;
    bench_result_text(&text, r);
    assert_non_null(strstr(text.data, "q09 9;\n"));
    assert_non_null(strstr(text.data, "two                    q10 10;"));
    assert_non_null(strstr(text.data, "q19 19;\n"));
    text.len = 0;
    bench_result_markdown(&text, r, "x");
    assert_non_null(strstr(text.data, " q19 |"));
    dune_buf_fini(&text);
    bench_result_free(r);
}

static int twice(void *arg, double *value, struct dune_diag *d)
{
    if (*(double *)arg < 0)
        return dune_diag_set(d, DUNE_E_INPUT, NULL, "negative");
    if (*(double *)arg > 100)
        abort();
    value[0] = 2 * *(double *)arg;
    return 0;
}

static void test_children(void **state)
{
    struct bench_child c;
    struct dune_diag d = {0};
    double x = 21;

    (void)state;
    assert_ok(bench_in_child(&c, twice, &x, &d), d);
    assert_true(c.value[0] == 42 && c.rss_mb > 0);
    x = -1;
    assert_int_equal(bench_in_child(&c, twice, &x, &d), DUNE_E_INPUT);
    assert_string_equal(d.msg, "negative");
    d = (struct dune_diag){0};
    x = 101;
    assert_int_equal(bench_in_child(&c, twice, &x, &d), DUNE_E_INTERNAL);
}

static void test_peers(void **state)
{
    const char *good[] = {"sh", "-c", "echo noise; echo '{\"wall\": 1.5}'", NULL};
    const char *bad[] = {"sh", "-c", "echo first >&2; echo why >&2; exit 3", NULL}, *none[] = {"no-such-program-x", NULL};
    const char *skips[] = {"sh", "-c", "echo '{\"skip\": \"no library\"}'", NULL}, *slow[] = {"sleep", "30", NULL};
    struct bench_peer p;

    (void)state;
    bench_peer_run(&p, good, 10);
    assert_string_equal(p.skip, "");
    assert_true(bench_peer_number(&p, "wall") == 1.5);
    assert_true(isnan(bench_peer_number(&p, "other")));
    bench_peer_run(&p, bad, 10);
    assert_non_null(strstr(p.skip, "it failed (wait status 768): why"));
    bench_peer_run(&p, none, 10);
    assert_non_null(strstr(p.skip, "there is no program"));
    bench_peer_run(&p, skips, 10);
    assert_string_equal(p.skip, "no library");
    bench_peer_run(&p, slow, 1);
    assert_string_equal(p.skip, "stopped after 1 s");
    assert_true(p.wall < 20);
}

static void test_choice(void **state)
{
    const struct bench_entry e = {"forest.real", "", NULL};

    (void)state;
    assert_true(bench_chosen(&e, NULL, 0));
    assert_true(bench_chosen(&e, (const char *const[]){"forest"}, 1));
    assert_true(bench_chosen(&e, (const char *const[]){"x", "*.real"}, 2));
    assert_true(bench_chosen(&e, (const char *const[]){"forest.real"}, 1));
    assert_false(bench_chosen(&e, (const char *const[]){"fore"}, 1));
    assert_false(bench_chosen(&e, (const char *const[]){"forest.rea"}, 1));
    for (size_t i = 0; bench_entry_at(i); i++) /* names are usable as file names and are unique */
        for (size_t k = 0; k <= i; k++) {
            const char *name = bench_entry_at(i)->name;

            assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-"), strlen(name));
            assert_non_null(strchr(name, '.'));
            assert_true(i == k || strcmp(name, bench_entry_at(k)->name) != 0);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_figures), cmocka_unit_test(test_an_error_is_a_note), cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_bad_files), cmocka_unit_test(test_children), cmocka_unit_test(test_peers),
        cmocka_unit_test(test_many_quantities),
        cmocka_unit_test(test_choice),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
