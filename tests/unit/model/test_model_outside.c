/* SPDX-License-Identifier: Apache-2.0 */
/* Programs and files that speak for a model: words of a command, what a program wrote, predictions, time. */
#include "testing.h"

#include "dune/model.h"
#include "model/model_int.h"

static struct dune_diag diag;
static char *classes[] = {(char *)"a", (char *)"b", (char *)"c"};

static void expect_words(const char *command, const char *joined)
{
    char **word = exec_words(command);
    struct dune_buf b = {0};

    for (size_t i = 0; word && word[i]; i++)
        dune_buf_printf(&b, "%s[%s]", i ? " " : "", word[i]);
    assert_string_equal(word ? b.data : "-", joined);
    exec_free_words(word);
    dune_buf_fini(&b);
}

static void test_words(void **state)
{
    (void)state;
    expect_words("python3 model.py", "[python3] [model.py]");
    expect_words("  a\tb\n c ", "[a] [b] [c]");
    expect_words("sh -c 'cat | \"x\"; echo $HOME'", "[sh] [-c] [cat | \"x\"; echo $HOME]");
    expect_words("a \"b \\\" \\\\ \\n\" c\\ d ''", "[a] [b \" \\ \\n] [c d] []");
    expect_words("a'b'\"c\"d", "[abcd]");
    expect_words("a 'b", "-");
    expect_words("a \"b", "-");
    expect_words("   ", "-");
}

static int parse(const void *data, size_t len, size_t n_rows, float *p)
{
    memset(&diag, 0, sizeof(diag));
    return dune_exec_output_parse("prog", data, len, n_rows, classes, 3, p, &diag);
}

static void refuse(const char *text, size_t n_rows, uint64_t line, const char *what)
{
    float p[30];

    assert_int_not_equal(parse(text, strlen(text), n_rows, p), 0);
    assert_int_equal(diag.line, line);
    if (!strstr(diag.msg, what))
        fail_msg("\"%s\" is not in \"%s\"", what, diag.msg);
}

static void test_output_csv(void **state)
{
    const char *text = "c,a\n0.25,0.75\n1,0\n";
    float p[6];

    (void)state;
    assert_ok(parse(text, strlen(text), 2, p), diag);
    assert_true(p[0] == 0.75f && p[1] == 0 && p[2] == 0.25f && p[5] == 1);
    text = "a,b,c\n0.333,0.333,0.333\n"; /* rounded by the program: about 1 becomes 1 */
    assert_ok(parse(text, strlen(text), 1, p), diag);
    assert_true(p[0] > 0.3333f && p[0] < 0.3334f);
    refuse("", 1, 1, "wrote nothing");
    refuse("a,x\n1,0\n", 1, 1, "is no class");
    refuse("a,a\n1,0\n", 1, 1, "twice");
    refuse("a,b\n1,0\n", 2, 3, "ends after 1 of 2");
    refuse("a,b\n1,0\n0,1\n1,0\n", 2, 4, "more than one line");
    refuse("a,b\n1\n", 1, 2, "1 numbers here");
    refuse("a,b\n1,zero\n", 1, 2, "no probability");
    refuse("a,b\n1,nan\n", 1, 2, "no probability");
    refuse("a,b\n1,-0.5\n", 1, 2, "no probability");
    refuse("a,b\n0.5,0.5\n0.5,0.4\n", 2, 3, "do not sum to 1");
}

static void test_output_npy(void **state)
{
    char head[] = "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }";
    uint8_t file[10 + 100 + 48] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, 100, 0};
    const double v[6] = {0.5, 0.5, 0, 0, 0.25, 0.75};
    float p[6];

    (void)state;
    memset(file + 10, ' ', 100);
    memcpy(file + 10, head, strlen(head));
    memcpy(file + 110, v, sizeof(v));
    assert_ok(parse(file, sizeof(file), 2, p), diag);
    assert_true(p[0] == 0.5f && p[5] == 0.75f);
    assert_int_not_equal(parse(file, sizeof(file), 3, p), 0);
    assert_non_null(strstr(diag.msg, "2 x 3, not 3 x 3"));
    assert_int_not_equal(parse(file, sizeof(file) - 1, 2, p), 0);
    assert_non_null(strstr(diag.msg, "too few"));
    assert_int_not_equal(parse(file, 20, 2, p), 0);
    file[10 + 12] = 'i';
    assert_int_not_equal(parse(file, sizeof(file), 2, p), 0);
    assert_non_null(strstr(diag.msg, "'<f4' or '<f8'"));
}

static void refuse_predictions(const char *text, uint64_t line, const char *what)
{
    struct dune_model_predictions *x;

    memset(&diag, 0, sizeof(diag));
    assert_int_not_equal(dune_predictions_parse(&x, "p.csv", text, strlen(text), &diag), 0);
    assert_int_equal(diag.line, line);
    if (!strstr(diag.msg, what))
        fail_msg("\"%s\" is not in \"%s\"", what, diag.msg);
}

static void test_predictions(void **state)
{
    (void)state;
    refuse_predictions("", 0, "empty");
    refuse_predictions("flow,a,b\n", 1, "flow,packet");
    refuse_predictions("flow,packet,a,b\n", 0, "no predictions below");
    refuse_predictions("flow,packet,a,a\n", 1, "twice");
    refuse_predictions("flow,packet,a,b\n0,1,1,0\n0,1,0,1\n", 3, "packet 1 of flow 0 is listed twice");
    refuse_predictions("flow,packet,a,b\n0,0,1,0\n", 2, "no numbers of a row");
    refuse_predictions("flow,packet,a,b\n0,1,1\n", 2, "3 columns");
    refuse_predictions("flow,packet,a,b\n0,1,1,1\n", 2, "sum to 1");
}

/* --- programs ------------------------------------------------------------------------------------------------ */

static struct dune_table table(size_t n)
{
    static uint32_t len[1000], gap[1000], *col[] = {len, gap};
    static uint8_t feat[] = {DUNE_F_IP_LEN, DUNE_F_GAP_MIN};

    for (uint32_t i = 0; i < 1000; i++)
        len[i] = i, gap[i] = 1000 * i;
    return (struct dune_table){.n_rows = n, .n_cols = 2, .n_classes = 3, .feat = feat, .col = col};
}

static int ask(const char *command, bool npy, const struct dune_model_cfg *cfg, size_t n, float *p)
{
    struct dune_model m = {.kind = DUNE_MODEL_EXEC, .name = (char *)"prog", .n_classes = 3, .class_name = classes, .cfg = *cfg};
    struct dune_table t = table(n);
    int rc;

    memset(&diag, 0, sizeof(diag));
    assert_ok(exec_open(&m.exec, command, npy, &diag), diag);
    rc = dune_model_proba(&m, &t, p, &diag);
    exec_free(m.exec);
    return rc;
}

static void test_programs(void **state)
{
    /* a for short packets, b for gaps of 512 ms or more (500,000 ticks), else c */
    const char *prog = "awk -F, 'NR == 1 { if ($0 != \"ip.len,Flow IAT Min\") exit 9; print \"a,b,c\"; next }"
                       " { print ($1 < 100) \",\" ($1 >= 100 && $2 >= 512000) \",\" ($1 >= 100 && $2 < 512000) }'";
    const struct dune_model_cfg plain = {0}, small = {.batch_rows = 7}, late = {.timeout_s = 0.3};
    static float p[3000], q[3000];

    (void)state;
    assert_ok(ask(prog, false, &plain, 1000, p), diag);
    for (int i = 0; i < 1000; i++)
        assert_true(p[3 * i + (i < 100 ? 0 : i >= 500 ? 1 : 2)] == 1);
    assert_ok(ask(prog, false, &small, 1000, q), diag); /* 143 runs say the same */
    assert_memory_equal(p, q, sizeof(p));
    assert_int_equal(ask("false", false, &plain, 10, p), DUNE_E_INPUT);
    assert_non_null(strstr(diag.msg, "status 1"));
    assert_int_equal(ask("sh -c 'echo noise >&2; echo last words >&2; exit 3'", false, &plain, 10, p), DUNE_E_INPUT);
    assert_non_null(strstr(diag.msg, "status 3: last words"));
    assert_int_equal(ask("/no/such/program", false, &plain, 10, p), DUNE_E_ENV);
    assert_non_null(strstr(diag.msg, "No such file"));
    assert_int_equal(ask("sleep 60", false, &late, 10, p), DUNE_E_ENV);
    assert_non_null(strstr(diag.msg, "longer than 0.3 s"));
    assert_int_equal(ask("sh -c 'kill -9 $$'", false, &plain, 10, p), DUNE_E_INPUT);
    assert_non_null(strstr(diag.msg, "signal 9"));
    /* one that does not read its input is judged by what it writes */
    assert_ok(ask("printf 'a\\n1\\n1\\n'", false, &plain, 2, p), diag);
    assert_ok(ask("sh -c 'head -c 6 | od -An -c | grep -q N.*U.*M.*P.*Y && printf \"b\\n1\\n\"'", true, &plain, 1, p), diag);
    assert_true(p[1] == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),       cmocka_unit_test(test_output_csv),  cmocka_unit_test(test_output_npy),
        cmocka_unit_test(test_predictions), cmocka_unit_test(test_programs),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
