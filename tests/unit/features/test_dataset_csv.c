/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <unistd.h>

#include "random_dataset.h"

#define ALL_FEATURES ((UINT64_C(1) << DUNE_N_FEATURES) - 1)

static char *temp_path(void)
{
    static char path[32];
    int fd;

    strcpy(path, "/tmp/dune-csv-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    return path;
}

static void assert_same(const struct dune_dataset *ds, const struct dune_table *a,
                        const struct dune_table *b, char **names)
{
    assert_int_equal(a->n_rows, b->n_rows);
    assert_int_equal(a->n_cols, b->n_cols);
    assert_memory_equal(a->feat, b->feat, a->n_cols);
    for (uint32_t c = 0; c < a->n_cols; c++)
        assert_memory_equal(a->col[c], b->col[c], a->n_rows * 4);
    assert_memory_equal(a->w, b->w, a->n_rows * 8);
    assert_memory_equal(a->flow, b->flow, a->n_rows * 4);
    assert_memory_equal(a->pos, b->pos, a->n_rows * 4);
    for (size_t i = 0; i < a->n_rows; i++) /* classes without a row of the view do not come back */
        assert_string_equal(ds->class_name[a->cls[i]], names[b->cls[i]]);
    for (uint32_t i = 1; i < b->n_classes; i++)
        assert_true(strcmp(names[i - 1], names[i]) < 0);
}

static void test_round_trip(void **state)
{
    (void)state;
    for (int mode = 0; mode < DUNE_N_MODES; mode++) {
        struct random_shape s = {.classes = 5, .captures = 3, .max_n = mode & 1 ? 0 : 4, .flows = 50,
                                 .max_len = 3000, .seed = (uint64_t)mode};
        struct dune_view v = {.n = 3, .mode = (enum dune_mode)mode, .features = ALL_FEATURES,
                              .collision_per_mille = mode == 0 ? 50 : 0};
        struct dune_dataset *ds;
        struct dune_table a, b;
        struct dune_diag d = {0};
        char *path = temp_path(), **names;

        s.max_len = s.max_n ? 3000 : 6;
        ds = random_dataset(s);
        assert_ok(dune_table_build(&a, ds, &v, &d), d);
        assert_ok(dune_dataset_csv_write(ds, &v, path, &d), d);
        assert_ok(dune_table_csv_read(&b, path, &names, &d), d);
        assert_same(ds, &a, &b, names);
        dune_class_names_free(names, b.n_classes);
        dune_table_fini(&a);
        dune_table_fini(&b);
        dune_dataset_free(ds);
        unlink(path);
    }
}

static void test_text(void **state)
{
    struct random_shape s = {.classes = 2, .captures = 1, .max_n = 2, .flows = 2, .max_len = 1};
    struct dune_dataset *ds = random_dataset(s);
    struct dune_view v = {.n = 1, .mode = DUNE_MODE_RUNNING,
                          .features = 1 | UINT64_C(1) << DUNE_F_GAP_MIN | UINT64_C(1) << DUNE_F_TCP_RST};
    struct dune_diag d = {0};
    char *path = temp_path(), *text;
    size_t len;

    (void)state;
    for (int i = 0; i < 2; i++) {
        ((uint32_t *)ds->col[DUNE_F_IP_LEN])[i] = 40;
        ((uint32_t *)ds->col[DUNE_F_TCP_RST])[i] = 1;
        ((uint32_t *)ds->col[DUNE_F_GAP_MIN])[i] = i ? UINT32_MAX : 1;
        ((uint16_t *)ds->flow_class)[i] = (uint16_t)i;
        ((uint8_t *)ds->flow_split)[i] = (uint8_t)i;
    }
    ((uint64_t *)ds->flow_len)[1] = 3;
    assert_ok(dune_dataset_csv_write(ds, &v, path, &d), d);
    assert_ok(dune_file_read(path, &text, &len, &d), d);
    assert_string_equal(text,
                        "flow,capture,split,packet,ip.len,tcp.flags.rst,Flow IAT Min,weight,Label\n"
                        "0,dir/c.pcap#0,train,1,40,1,1.024,1.00000000,A\n"
                        "1,dir/c.pcap#0,test,1,40,1,4398046510.080,1.00000000,\"B,\"\"x\"\"\"\n");
    dune_mem_free(text);
    dune_dataset_free(ds);
    unlink(path);
}

static int parse(struct dune_table *t, const char *text, char ***names, struct dune_diag *d)
{
    return dune_table_csv_parse(t, "t.csv", text, strlen(text), names, d);
}

/* Published files: other header spellings, an index column, -1, no weights, CRLF. */
static void test_published_form(void **state)
{
    struct dune_diag d = {0};
    struct dune_table t;
    char **names;

    (void)state;
    assert_ok(parse(&t, ",tcp.flags.ecn,Flow Duration,ip_len,Label\r\n0,1,-1,40,b\r\n1,0,2.048,1500.0,a\r\n",
                    &names, &d), d);
    assert_int_equal(t.n_rows, 2);
    assert_int_equal(t.n_cols, 3);
    assert_int_equal(t.feat[0], DUNE_F_IP_LEN);
    assert_int_equal(t.feat[1], DUNE_F_TCP_ECE);
    assert_int_equal(t.feat[2], DUNE_F_DURATION);
    assert_int_equal(t.col[0][1], 1500);
    assert_int_equal(t.col[1][0], 1);
    assert_int_equal(t.col[2][0], 0);
    assert_int_equal(t.col[2][1], 2);
    assert_string_equal(names[t.cls[0]], "b");
    assert_int_equal(t.cls[0], 1);
    assert_true(t.w[1] == DUNE_WEIGHT_ONE && t.flow[1] == 1 && t.pos[1] == 1);
    dune_class_names_free(names, t.n_classes);
    dune_table_fini(&t);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"", "empty file"},
        {"ip.len,Label\n", "no row"},
        {"ip.len,colour,Label\n1,2,a\n", "colour: unknown column"},
        {"ip.len,ip_len,Label\n1,2,a\n", "ip_len: this column comes twice"},
        {"ip.len,Label,label\n1,2,a\n", "comes twice"},
        {"ip.len\n1\n", "no Label"},
        {"flow,Label\n1,a\n", "no column is a feature"},
        {"ip.len,Label\n1,a\n1\n", "t.csv:3: 1 columns"},
        {"ip.len,Label\n65536,a\n", "65536"},
        {"ip.len,Label\n-1,a\n", "-1"},
        {"ip.len,Label\n1.5,a\n", "1.5"},
        {"ip.len,Label\nnan,a\n", "nan"},
        {"ip.len,Label\n,a\n", "bad value"},
        {"ip.len,Label\n1,\n", "Label"},
        {"ip.len,weight,Label\n1,0,a\n", "weight"},
        {"ip.len,weight,Label\n1,-3,a\n", "weight"},
        {"ip.len,weight,Label\n1,99999999999999999999,a\n", "weight"},
        {"ip.len,flow,Label\n1,4294967296,a\n", "flow"},
        {"Flow IAT Min,Label\n4398046511.104,a\n", "Flow IAT Min"},
        {"Flow IAT Min,Label\n1e3,a\n", "1e3"},
        {"ip.len,Label\n1,\"a\n", "quote"},
    };

    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(bad); i++) {
        struct dune_diag d = {0};
        struct dune_table t;
        char **names, text[1300];

        assert_true(parse(&t, bad[i].text, &names, &d) < 0);
        assert_null(names);
        assert_int_equal(dune_err_exit_code(d.code), 3);
        dune_diag_format(&d, text, sizeof(text));
        if (!strstr(text, bad[i].words))
            fail_msg("\"%s\" does not say \"%s\"", text, bad[i].words);
        dune_table_fini(&t);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_round_trip),
    cmocka_unit_test(test_text),
    cmocka_unit_test(test_published_form),
    cmocka_unit_test(test_refusals),
};
RUN_TESTS(tests)
