/* SPDX-License-Identifier: Apache-2.0 */
/* Readers and writers of W, f and confusion tables. */
#include "testing.h"

#include <unistd.h>

#include "dune/importance.h"

static int parse_w(const char *text, struct dune_importance **w, struct dune_diag *d)
{
    memset(d, 0, sizeof(*d));
    return dune_importance_parse(w, "W.csv", text, strlen(text), d);
}

static int parse_f(const char *text, struct dune_scores **f, struct dune_diag *d)
{
    memset(d, 0, sizeof(*d));
    return dune_scores_parse(f, "f.csv", text, strlen(text), d);
}

static int parse_c(const char *text, struct dune_square **c, struct dune_diag *d)
{
    memset(d, 0, sizeof(*d));
    return dune_square_parse(c, "C.csv", text, strlen(text), d);
}

static void test_w_headers(void **state)
{
    static const char *const text[] = {
        "class,a,b\nx,0.25,0.75\n\"y, z\",1,0\n",
        "c_name,a,b\nx,0.25,0.75\n\"y, z\",1,0",
        ",a,b\nx,.25,.75\n\"y, z\",1,0\n",
        ",Classes,a,b\n0,x,0.25,0.75\n1,\"y, z\",1e0,0\n",
        "\xef\xbb\xbf" "classes,\"a\",b\r\nx,0.25,0.75\r\n\r\n\"y, z\",1,0\r\n",
    };
    struct dune_importance *w;
    struct dune_diag d;

    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(text); i++) {
        assert_ok(parse_w(text[i], &w, &d), d);
        assert_int_equal(w->n_classes, 2);
        assert_int_equal(w->n_feats, 2);
        assert_string_equal(w->class_name[0], "x");
        assert_string_equal(w->class_name[1], "y, z");
        assert_string_equal(w->feat_name[0], "a");
        assert_true(w->w[0] == 0.25 && w->w[1] == 0.75 && w->w[2] == 1 && w->w[3] == 0);
        dune_importance_free(w);
    }
}

static void test_w_refused(void **state)
{
    static const struct {
        const char *text;
        int code;
        uint64_t line;
        const char *says;
    } bad[] = {
        {"", DUNE_E_INPUT, 0, "empty"},
        {"class\nx\n", DUNE_E_INPUT, 1, "no features"},
        {"class,a\n", DUNE_E_INPUT, 0, "no classes"},
        {"name,a\nx,1\n", DUNE_E_INPUT, 1, "\"name\""},
        {"class,a,a\nx,1,1\n", DUNE_E_INPUT, 1, "feature \"a\" appears twice"},
        {"class,a,\nx,1,1\n", DUNE_E_INPUT, 1, "without a name"},
        {"class,a\nx,1\nx,1\n", DUNE_E_INPUT, 3, "class \"x\" appears twice"},
        {"class,a\n,1\n", DUNE_E_INPUT, 2, "without a name"},
        {"class,a\nx,nan\n", DUNE_E_INPUT, 2, "a of \"x\" is \"nan\""},
        {"class,a\nx,\n", DUNE_E_INPUT, 2, "not a finite number"},
        {"class,a\nx,inf\n", DUNE_E_INPUT, 2, "not a finite number"},
        {"class,a\nx,1e400\n", DUNE_E_INPUT, 2, "not a finite number"},
        {"class,a\nx,-0.5\n", DUNE_E_INPUT, 2, "negative"},
        {"class,a\nx,1e30\n", DUNE_E_INPUT, 2, "too large"},
        {"class,a\nx,1,2\n", DUNE_E_FORMAT, 2, "3 fields"},
        {"class,a\nx\n", DUNE_E_FORMAT, 2, "1 fields"},
        {"class,a\nx,\"1\n", DUNE_E_FORMAT, 2, "quote"},
    };
    struct dune_importance *w;
    struct dune_diag d;

    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(bad); i++) {
        assert_int_equal(parse_w(bad[i].text, &w, &d), bad[i].code);
        assert_null(w);
        assert_int_equal(d.line, bad[i].line);
        assert_string_equal(d.file, "W.csv");
        if (!strstr(d.msg, bad[i].says))
            fail_msg("\"%s\" does not say \"%s\"", d.msg, bad[i].says);
    }
}

static void test_f_headers(void **state)
{
    struct dune_scores *f;
    struct dune_diag d;

    (void)state;
    assert_ok(parse_f("class,f1\nx,50\ny,0\n", &f, &d), d);
    assert_null(f->support);
    assert_true(f->f1[0] == 50 && f->f1[1] == 0);
    dune_scores_free(f);
    assert_ok(parse_f(",class,f1_score,support\n7,x,50,3\n2,y,99.5,0\n", &f, &d), d);
    assert_string_equal(f->class_name[1], "y");
    assert_true(f->f1[1] == 99.5 && f->support[0] == 3);
    dune_scores_free(f);
    assert_ok(parse_f("cluster,macro_f1_fraction,classes\n0,0.5,x|y\n1,0.25,z\n", &f, &d), d);
    assert_true(f->f1[0] == 50 && f->f1[1] == 25);
    dune_scores_free(f);
    assert_ok(parse_f(",Cluster,Class List,Macro_f1_FL_With_Others\n0,-1,\"['u']\",\n1,0,\"['x', 'y']\",70\n",
                      &f, &d), d);
    assert_int_equal(f->n_classes, 1);
    assert_true(f->f1[0] == 70);
    dune_scores_free(f);
}

static void test_f_refused(void **state)
{
    static const char *const bad[] = {
        "class,score\nx,1\n",      "class,f1\nx,101\n",      "class,f1\nx,-1\n", "class,f1\nx,NaN\n",
        "class,f1\nx,1\nx,2\n",    "class,f1\n",             "class,f1\nx\n",    "class,f1,support\nx,1,-2\n",
        "class,f1_fraction\nx,2\n", "class,f1\nx,infinity\n", "class,f1\nx,\n",
    };
    struct dune_scores *f;
    struct dune_diag d;

    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(bad); i++) {
        assert_int_equal(dune_err_exit_code(parse_f(bad[i], &f, &d)), 3);
        assert_null(f);
        assert_true(d.msg[0]);
    }
}

static void test_square(void **state)
{
    static const char *const good[] = {
        "block,a,b\na,1,2\nb,3,4\n",
        ",Clusters,a,b\n0,a,1,2\n1,b,3,4\n",
        "true_cluster,pred_a,pred_b\na,1,2\nb,3,4\n",
        ",a,b\na,1,2\nb,3,4\n",
        "block,b,a\na,2,1\nb,4,3\n",
        "block,b,Other,a\na,2,9,1\nOther,7,7,7\nb,4,9,3\n",
    };
    static const char *const bad[] = {
        "block,a,b\na,1,2\n", "block,a\na,1\nb,2\n", "block,a,b\na,1,2\nb,3,-4\n", "block\na\n", "block,a\n",
        "block,a,a\na,1,1\na,1,1\n", "block,Other\nOther,1\n",
    };
    struct dune_square *c;
    struct dune_diag d;

    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(good); i++) {
        assert_ok(parse_c(good[i], &c, &d), d);
        assert_int_equal(c->n, 2);
        assert_string_equal(c->name[0], "a");
        assert_true(c->v[0] == 1 && c->v[1] == 2 && c->v[2] == 3 && c->v[3] == 4);
        dune_square_free(c);
    }
    for (size_t i = 0; i < DUNE_ARRAY_LEN(bad); i++) {
        assert_int_equal(dune_err_exit_code(parse_c(bad[i], &c, &d)), 3);
        assert_null(c);
    }
}

static void test_write_reads_back(void **state)
{
    char path[] = "/tmp/dune-tables-XXXXXX";
    int fd = mkstemp(path);
    struct dune_importance *w, *w2;
    struct dune_scores *f, *f2;
    struct dune_diag d = {0};

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    assert_ok(parse_w("class,\"a,1\",b\n\"x \"\"y\"\"\",0.1,0.9\nz,0.30000000000000004,0.7\n", &w, &d), d);
    assert_ok(dune_importance_write(w, path, &d), d);
    assert_ok(dune_importance_read(&w2, path, &d), d);
    assert_string_equal(w2->class_name[0], "x \"y\"");
    assert_string_equal(w2->feat_name[0], "a,1");
    assert_memory_equal(w->w, w2->w, 4 * sizeof(double));
    assert_ok(parse_f("class,f1,support\nx,33.333333333333336,1\n", &f, &d), d);
    assert_ok(dune_scores_write(f, path, &d), d);
    assert_ok(dune_scores_read(&f2, path, &d), d);
    assert_true(f->f1[0] == f2->f1[0] && f2->support[0] == 1);
    dune_importance_free(w);
    dune_importance_free(w2);
    dune_scores_free(f);
    dune_scores_free(f2);
    unlink(path);
    assert_int_not_equal(dune_importance_read(&w, path, &d), 0);
    assert_null(w);
    assert_string_equal(d.file, path);
    assert_int_not_equal(dune_scores_read(&f, path, &d), 0);
    assert_null(f);
}

static void test_published_files(void **state)
{
    const char *ton = shared_data("published/ton10-w-f-spp/importance_weights_ToN-IoT.csv");
    const char *unsw = shared_data("published/unsw-w-f-spp/score_per_class.csv");
    struct dune_importance *w;
    struct dune_scores *f;
    struct dune_diag d = {0};

    (void)state;
    if (!ton || !unsw)
        skip();
    assert_ok(dune_importance_read(&w, ton, &d), d);
    assert_int_equal(w->n_classes, 10);
    assert_int_equal(w->n_feats, 21);
    assert_string_equal(w->feat_name[0], "ACK Flag Count");
    assert_ok(dune_scores_read(&f, unsw, &d), d);
    assert_int_equal(f->n_classes, 26);
    assert_non_null(f->support);
    dune_importance_free(w);
    dune_scores_free(f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_w_headers),        cmocka_unit_test(test_w_refused),
    cmocka_unit_test(test_f_headers),        cmocka_unit_test(test_f_refused),
    cmocka_unit_test(test_square),           cmocka_unit_test(test_write_reads_back),
    cmocka_unit_test(test_published_files),
};
RUN_TESTS(tests)
