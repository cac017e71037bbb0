/* SPDX-License-Identifier: Apache-2.0 */
/* The history: what is written is read, limits hold, foreign files are refused. */
#include "dash_kit.h"

#include <unistd.h>

static size_t count(struct dash_store *s, const char *what, int64_t run, const char *query)
{
    struct dune_buf b = {0};
    struct dune_diag d = {0};
    json_t *root;
    size_t n;

    assert_ok(dash_store_read(s, what, run, 100000, query, &b, &d), d);
    root = kit_json(b.data, b.len);
    n = json_array_size(json_object_get(root, what));
    json_decref(root);
    dune_buf_fini(&b);
    return n;
}

static char *fresh_path(void)
{
    char path[] = "/tmp/dash-history-XXXXXX";
    int fd = mkstemp(path);

    close(fd);
    unlink(path);
    return dune_mem_strdup(path);
}

static void remove_all(char *path)
{
    static const char *const ends[] = {"", "-wal", "-shm"};

    for (int i = 0; i < 3; i++) {
        char *p = dune_mem_printf("%s%s", path, ends[i]);

        unlink(p);
        dune_mem_free(p);
    }
    dune_mem_free(path);
}

static void written_is_read(void **state)
{
    struct dune_dash *dash = kit_new(NULL);
    struct dash_scene *s = dash->scene;
    struct dash_flow f[150];
    struct dash_point p = {.t = 1, .scored = true, .f1 = {{.1, .2, .3}, {.4, .5, .6}}, .packets = 5};
    struct dune_f1 f1 = {.macro = 0.5};
    struct dash_store *st;
    struct dune_diag d = {0};
    char *path = fresh_path();

    (void)state;
    assert_ok(dash_store_open(&st, path, 3, 100, &d), d);
    for (int run = 1; run <= 5; run++) {
        s->run = dash_store_run(st, s, "a'; DROP TABLE runs; --");
        assert_int_equal(s->run, run);
        for (int i = 0; i < 150; i++) {
            f[i] = kit_flow("tcp 10.0.0.1:80 10.0.0.2:4000", (uint32_t)i % (KIT_CLASSES + 1));
            f[i].seq = (uint64_t)i;
        }
        dash_store_flows(st, s, f, 75);
        dash_store_flows(st, s, f + 75, 75);
        dash_store_point(st, s->run, &p);
        p.scored = false;
        dash_store_point(st, s->run, &p);
        dash_store_end(st, s, &f1);
    }
    assert_null(dash_store_error(st));
    assert_int_equal(count(st, "runs", 0, ""), 3); /* the latest ones */
    assert_int_equal(count(st, "series", 1, ""), 0);
    assert_int_equal(count(st, "digests", 1, ""), 0);
    assert_int_equal(count(st, "series", 5, ""), 2);
    assert_int_equal(count(st, "digests", 5, ""), 100); /* the latest ones */
    assert_int_equal(count(st, "digests", 5, "10.0.0.1:80"), 100);
    assert_int_equal(count(st, "digests", 5, "' OR 1=1 --"), 0);
    dash_store_run(st, s, "cut off");
    dash_store_close(st);
    assert_ok(dash_store_open(&st, path, 3, 100, &d), d); /* as after a crash */
    assert_int_equal(count(st, "runs", 6, ""), 1);
    assert_int_equal(dash_store_read(st, "tables", 0, 1, "", &(struct dune_buf){0}, &d), DUNE_E_USAGE);
    dash_store_close(st);
    remove_all(path);
    kit_free(dash);
}

static void foreign_files(void **state)
{
    struct dash_store *st;
    struct dune_diag d = {0};
    char *path = fresh_path();

    (void)state;
    assert_ok(dune_file_write(path, "this is not a data base, but long enough to be looked at by it\n", 63, &d), d);
    assert_true(dash_store_open(&st, path, 1, 1, &d) != 0);
    assert_true(strlen(d.msg) > 10);
    memset(&d, 0, sizeof(d));
    assert_true(dash_store_open(&st, "/nowhere/at/all.sqlite", 1, 1, &d) != 0);
    remove_all(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_is_read),
        cmocka_unit_test(foreign_files),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
