/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <errno.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/confine.h"

static void test_hashes(void **state)
{
    uint8_t key[16], msg[15];

    (void)state;
    assert_int_equal(dune_crc32("123456789", 9), 0xcbf43926);
    assert_int_equal(dune_crc32c("123456789", 9), 0xe3069283);
    for (int i = 0; i < 16; i++)
        key[i] = (uint8_t)i;
    for (int i = 0; i < 15; i++)
        msg[i] = (uint8_t)i;
    /* test vector of the SipHash paper, appendix A */
    assert_true(dune_siphash(key, msg, 15) == UINT64_C(0xa129ca6149be45e5));
    for (size_t len = 0; len <= 100; len++) { /* eight at a time, lengths of every remainder */
        uint8_t text[8][100];
        const void *eight[8];
        uint64_t out[8];

        for (int k = 0; k < 8; k++) {
            eight[k] = text[k];
            for (size_t i = 0; i < sizeof(text[k]); i++)
                text[k][i] = (uint8_t)(i * 37 + (size_t)k * 101 + len);
        }
        dune_siphash_eight(key, eight, len, out);
        for (int k = 0; k < 8; k++)
            assert_true(out[k] == dune_siphash(key, text[k], len));
        for (int k = 0; k < 8; k++) /* and of fewer than eight, some of them twice */
            eight[k] = text[3 + k % 4];
        dune_siphash_eight(key, eight, len, out);
        for (int k = 0; k < 4; k++)
            assert_true(out[k] == dune_siphash(key, text[3 + k], len));
    }
}

static void test_rng_is_keyed(void **state)
{
    struct dune_rng a, b, c;

    (void)state;
    dune_rng_init(&a, 1, 2, 3, 4);
    dune_rng_init(&b, 1, 2, 3, 4);
    dune_rng_init(&c, 1, 2, 3, 5);
    assert_true(dune_rng_u64(&a) == dune_rng_u64(&b));
    assert_true(dune_rng_u64(&a) != dune_rng_u64(&c));
    for (int i = 0; i < 1000; i++)
        assert_true(dune_rng_below(&a, 7) < 7);
}

static void test_csv_quotes_crlf_bom(void **state)
{
    static const char text[] = "\xef\xbb\xbf" "a,\"b,\"\"x\"\"\nc\",d\r\n\r\n1,,3";
    struct dune_diag d = {0};
    struct dune_csv c;

    (void)state;
    dune_csv_init(&c, "t.csv", text, sizeof(text) - 1);
    assert_int_equal(dune_csv_next(&c, &d), 1);
    assert_int_equal(c.n_fields, 3);
    assert_string_equal(c.field[0], "a");
    assert_string_equal(c.field[1], "b,\"x\"\nc");
    assert_string_equal(c.field[2], "d");
    assert_int_equal(dune_csv_next(&c, &d), 1);
    assert_int_equal(c.line, 4);
    assert_int_equal(c.n_fields, 3);
    assert_string_equal(c.field[1], "");
    assert_string_equal(c.field[2], "3");
    assert_int_equal(dune_csv_next(&c, &d), 0);
    dune_csv_fini(&c);
    dune_csv_init(&c, "t.csv", "a,\"b", 4);
    assert_int_equal(dune_csv_next(&c, &d), DUNE_E_FORMAT);
    dune_csv_fini(&c);
}

static void test_json_writer(void **state)
{
    struct dune_buf b = {0};
    struct dune_jsonw w;

    (void)state;
    dune_jsonw_init(&w, &b);
    dune_jsonw_obj(&w);
    dune_jsonw_key(&w, "a\"\n");
    dune_jsonw_arr_inline(&w);
    dune_jsonw_int(&w, -1);
    dune_jsonw_double(&w, 0.1);
    dune_jsonw_str(&w, NULL);
    dune_jsonw_end(&w);
    dune_jsonw_key(&w, "e");
    dune_jsonw_obj(&w);
    dune_jsonw_end(&w);
    dune_jsonw_end(&w);
    assert_string_equal(b.data, "{\n  \"a\\\"\\n\": [-1, 0.1, null],\n  \"e\": {}\n}\n");
    dune_buf_fini(&b);
}

static void test_atomic_write(void **state)
{
    struct dune_diag d = {0};
    char path[] = "/tmp/dune-base-XXXXXX", *text;
    size_t len;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    assert_ok(dune_file_write(path, "hello", 5, &d), d);
    assert_ok(dune_file_read(path, &text, &len, &d), d);
    assert_string_equal(text, "hello");
    dune_mem_free(text);
    unlink(path);
    assert_int_equal(dune_file_write("/dev/full/x", "a", 1, &d), DUNE_E_IO);
    assert_int_equal(dune_err_exit_code(d.code), 5);
}

/* Devices and links are not replaced, also when the user could. */
static void test_write_special(void **state)
{
    struct dune_diag d = {0};
    char dir[] = "/tmp/dune-base-XXXXXX", *target, *link_name, *text;
    struct stat st;
    size_t len;

    (void)state;
    assert_non_null(mkdtemp(dir));
    target = dune_mem_printf("%s/file", dir);
    link_name = dune_mem_printf("%s/link", dir);
    assert_int_equal(symlink("file", link_name), 0);
    assert_ok(dune_file_write(target, "old", 3, &d), d);
    assert_ok(dune_file_write(link_name, "new", 3, &d), d);
    assert_int_equal(lstat(link_name, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_ok(dune_file_read(target, &text, &len, &d), d);
    assert_string_equal(text, "new");
    dune_mem_free(text);
    assert_ok(dune_file_write("/dev/null", "x", 1, &d), d);
    assert_int_equal(stat("/dev/null", &st), 0);
    assert_true(S_ISCHR(st.st_mode));
    assert_int_equal(dune_file_write("/dev/full", "x", 1, &d), DUNE_E_IO);
    assert_int_equal(stat("/dev/full", &st), 0);
    assert_true(S_ISCHR(st.st_mode));
    unlink(link_name);
    unlink(target);
    assert_int_equal(rmdir(dir), 0); /* nothing temporary is left */
    dune_mem_free(target);
    dune_mem_free(link_name);
}

/* In a child: what is given up does not come back. */
static void test_confine(void **state)
{
    struct dune_diag d = {0};
    int status = 0;
    pid_t child;

    (void)state;
    child = fork();
    if (child == 0) {
        char *const none[] = {NULL};
        int failed = 0;

        if (dune_confine_caps(DUNE_CAP_NET, &d) || (geteuid() == 0 && chroot("/") == 0))
            failed |= 1;
        if (dune_confine_calls(false, &d))
            failed |= 2;
        if (execve("/bin/true", none, none) != -1 || errno != EPERM || unshare(0) != -1 || errno != EPERM)
            failed |= 4;
        if (getpid() <= 0 || access("/", R_OK))
            failed |= 8;
        _exit(failed);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void square(void *ctx, size_t i)
{
    ((size_t *)ctx)[i] = i * i;
}

static void test_parallel_for(void **state)
{
    size_t out[1000];

    (void)state;
    dune_parallel_for(3, 1000, square, out);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(out[i], i * i);
}

struct pair {
    uint32_t key, order;
};

static int by_pair(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;

    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static void test_sort(void **state)
{
    (void)state;
    static const size_t size[] = {0, 1, 2, 3, 100, 2047, 2048, 2049, 4097, 50000};
    struct dune_rng r;

    dune_rng_init(&r, 3, 0, 0, 0);
    for (size_t k = 0; k < DUNE_ARRAY_LEN(size) * 3; k++) {
        size_t n = size[k / 3];
        struct pair *a = dune_mem_alloc(n, sizeof(*a)), *b = dune_mem_alloc(n, sizeof(*b));

        for (size_t i = 0; i < n; i++)
            a[i] = (struct pair){(uint32_t)(k % 3 == 0 ? dune_rng_below(&r, 10) : k % 3 == 1 ? i : dune_rng_u64(&r)),
                                 (uint32_t)i};
        if (n)
            memcpy(b, a, n * sizeof(*a));
        dune_sort(a, n, sizeof(*a), by_pair);
        qsort(b, n, sizeof(*b), by_pair);
        if (n)
            assert_memory_equal(a, b, n * sizeof(*a));
        dune_mem_free(a);
        dune_mem_free(b);
    }
}

static void test_hex_and_width(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        static const char digits[] = "0123456789abcdef";
        const char *at = c ? strchr(digits, c) : NULL;

        assert_int_equal(dune_hex_digit((char)c), at ? at - digits : -1);
    }
    assert_int_equal(dune_text_width(""), 0);
    assert_int_equal(dune_text_width("flow"), 4);
    assert_int_equal(dune_text_width("m\xc3\xbcller \xe2\x86\x92 \xf0\x9f\x8c\x8d"), 10);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_hex_and_width),
    cmocka_unit_test(test_sort),
    cmocka_unit_test(test_hashes),        cmocka_unit_test(test_rng_is_keyed),
    cmocka_unit_test(test_csv_quotes_crlf_bom), cmocka_unit_test(test_json_writer),
    cmocka_unit_test(test_atomic_write),  cmocka_unit_test(test_write_special),  cmocka_unit_test(test_parallel_for),
    cmocka_unit_test(test_confine),
};
RUN_TESTS(tests)
