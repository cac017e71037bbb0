/* SPDX-License-Identifier: Apache-2.0 */
/* What readers do with files of older and newer versions: docs/compatibility.md. */
#include "base/format.h"
#include "testing.h"

static const struct dune_format strict = {"a thing", 2, 3, false}, open_format = {"a thing", 2, 3, true};

static int check(const struct dune_format *f, const char *json, bool *newer, struct dune_diag *d)
{
    json_t *root = json_loads(json, 0, NULL);
    int rc;

    *d = (struct dune_diag){0};
    assert_non_null(root);
    rc = dune_format_check_json(f, root, "version", newer, "file", d);
    if (rc == 0) /* strict readers do not see it */
        assert_null(json_object_get(root, "minor"));
    json_decref(root);
    return rc;
}

static void refused(const struct dune_format *f, const char *json, int code, const char *words)
{
    struct dune_diag d;

    assert_int_equal(check(f, json, NULL, &d), code);
    assert_string_equal(d.file, "file");
    if (!strstr(d.msg, words))
        fail_msg("\"%s\" does not say \"%s\"", d.msg, words);
}

static void test_older_minor(void **state)
{
    static const char *const good[] = {"{\"version\": 2}", "{\"version\": 2, \"minor\": 0}", "{\"version\": 2, \"minor\": 1}",
                                       "{\"version\": 2, \"minor\": 3}"};
    struct dune_diag d;
    bool newer = true;

    for (size_t i = 0; i < DUNE_ARRAY_LEN(good); i++) {
        assert_ok(check(&strict, good[i], &newer, &d), d);
        assert_false(newer);
        assert_ok(check(&open_format, good[i], &newer, &d), d);
        assert_false(newer);
    }
    (void)state;
}

static void test_newer_minor(void **state)
{
    struct dune_diag d;
    bool newer = false;

    refused(&strict, "{\"version\": 2, \"minor\": 4}", DUNE_E_VERSION,
            "a thing of version 2.4, made by a newer program; this one reads version 2 up to 2.3");
    assert_ok(check(&open_format, "{\"version\": 2, \"minor\": 4}", &newer, &d), d);
    assert_true(newer);
    (void)state;
}

static void test_other_major(void **state)
{
    refused(&strict, "{\"version\": 3}", DUNE_E_VERSION, "version 3.0, made by a newer program; this one reads version 2");
    refused(&open_format, "{\"version\": 3, \"minor\": 1}", DUNE_E_VERSION, "version 3.1, made by a newer program");
    refused(&strict, "{\"version\": 1, \"minor\": 9}", DUNE_E_VERSION, "version 1.9; this program reads version 2: make it anew");
    (void)state;
}

static void test_no_version(void **state)
{
    refused(&strict, "{}", DUNE_E_INPUT, "version number");
    refused(&strict, "{\"version\": \"2\"}", DUNE_E_INPUT, "version number");
    refused(&strict, "{\"version\": -2}", DUNE_E_INPUT, "version number");
    refused(&strict, "{\"version\": 2, \"minor\": 1.5}", DUNE_E_INPUT, "minor version number");
    refused(&strict, "{\"version\": 2, \"minor\": -1}", DUNE_E_INPUT, "minor version number");
    (void)state;
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_older_minor),
    cmocka_unit_test(test_newer_minor),
    cmocka_unit_test(test_other_major),
    cmocka_unit_test(test_no_version),
};
RUN_TESTS(tests)
