/* SPDX-License-Identifier: Apache-2.0 */
/* Libraries that are opened when they are needed: one that is there, one that is not, one that lacks a function. */
#include <zlib.h>

#include "base/lazy.h"
#include "testing.h"

#define ZLIB_API(F) F(crc32) F(zlibVersion)
DUNE_LAZY_LIBRARY(zlib, ZLIB_API, "libz.so.1", "zlib");

static void test_opened(void **state)
{
    struct dune_diag d = {0};

    (void)state;
    assert_null(zlib.crc32);
    assert_int_equal(dune_lazy_open(&zlib_lib, &d), 0);
    assert_int_equal(dune_lazy_open(&zlib_lib, &d), 0);
    assert_int_equal(zlib.crc32(0, (const Bytef *)"123456789", 9), 0xcbf43926);
    assert_string_equal(zlib.zlibVersion(), zlibVersion());
}

static void test_absent(void **state)
{
    const char *const name = "crc32";
    void *at = NULL;
    struct dune_lazy lib = {"libdune-nowhere.so.9", "nowhere", &name, 1, &at, false, false};
    struct dune_diag d = {0};

    (void)state;
    assert_int_equal(dune_lazy_open(&lib, &d), DUNE_E_ENV);
    assert_non_null(strstr(d.msg, "nowhere cannot be loaded: libdune-nowhere.so.9"));
    assert_int_equal(dune_lazy_open(&lib, NULL), DUNE_E_ENV);
    assert_null(at);
}

static void test_other_version(void **state)
{
    const char *const names[] = {"crc32", "crc32_of_the_future"};
    void *at[2] = {0};
    struct dune_lazy lib = {"libz.so.1", "zlib", names, 2, at, false, false};
    struct dune_diag d = {0};

    (void)state;
    assert_int_equal(dune_lazy_open(&lib, &d), DUNE_E_ENV);
    assert_non_null(strstr(d.msg, "has no crc32_of_the_future"));
    assert_false(lib.opened);
}

static void test_no_module(void **state)
{
    struct dune_diag d = {0};

    (void)state;
    assert_null(dune_lazy_module("dune_nowhere.so", "dune_x", "/nonexistent", &d));
    assert_int_equal(d.code, DUNE_E_ENV);
    assert_non_null(strstr(d.msg, "dune_nowhere.so is neither beside the program nor in /nonexistent"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_opened),
    cmocka_unit_test(test_absent),
    cmocka_unit_test(test_other_version),
    cmocka_unit_test(test_no_module),
};
RUN_TESTS(tests)
