/* SPDX-License-Identifier: Apache-2.0 */
/* Sections one by one, as a page of somebody else takes them. */
#include "testing.h"

#include "report/report.h"

static struct report *open_golden(void)
{
    char *dir = dune_mem_printf("%s/tests/golden/report/run", getenv("DUNE_SOURCE_ROOT") ? getenv("DUNE_SOURCE_ROOT") : ".");
    struct report *r;
    struct dune_diag d = {0};

    assert_ok(report_open(&r, dir, &d), d);
    dune_mem_free(dir);
    return r;
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;

    for (const char *p = text; (p = strstr(p, what)); p += strlen(what))
        n++;
    return n;
}

static void test_list(void **state)
{
    size_t n = 0;

    (void)state;
    for (; report_section_at(n); n++)
        assert_int_equal(report_section_find(report_section_at(n)->id), (int)n);
    assert_true(n >= 10);
    assert_int_equal(report_section_find("nothing"), -1);
}

/* A section closes what it opens, and has nothing that a strict content policy refuses. */
static void test_fragments(void **state)
{
    struct report *r = open_golden();

    (void)state;
    for (size_t i = 0; report_section_at(i); i++) {
        struct dune_buf html = {0}, text = {0};
        char *id = dune_mem_printf("<section class=\"dr\" id=\"report-%s\"", report_section_at(i)->id);
        static const char *const pairs[][2] = {{"<section", "</section>"}, {"<table>", "</table>"}, {"<svg", "</svg>"},
                                               {"<figure", "</figure>"}, {"<div", "</div>"}, {"<text", "</text>"}};

        report_section_html(r, i, &html);
        report_section_text(r, i, &text);
        assert_int_equal(strncmp(html.data, id, strlen(id)), 0);
        for (size_t k = 0; k < DUNE_ARRAY_LEN(pairs); k++)
            assert_int_equal(count(html.data, pairs[k][0]), count(html.data, pairs[k][1]));
        assert_null(strstr(html.data, " style="));
        assert_null(strstr(html.data, "<style"));
        assert_null(strstr(html.data, "<script"));
        assert_non_null(strstr(text.data, report_section_at(i)->title));
        assert_null(strchr(text.data, '\x1b'));
        dune_buf_fini(&html);
        dune_buf_fini(&text);
        dune_mem_free(id);
    }
    report_free(r);
}

struct seen {
    char *name[128];
    size_t n, inside;
};

static void take(void *ctx, const char *name, const char *caption, const struct dune_buf *svg)
{
    struct seen *s = ctx;

    for (size_t i = 0; i < s->n; i++)
        assert_string_not_equal(s->name[i], name);
    assert_true(s->n < DUNE_ARRAY_LEN(s->name));
    s->name[s->n++] = dune_mem_strdup(name);
    assert_true(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name));
    assert_true(strlen(caption) > 20);
    assert_int_equal(strncmp(svg->data, "<svg", 4), 0);
}

/* Figures have names of their own, and are those of the page. */
static void test_figures(void **state)
{
    struct report *r = open_golden();
    struct dune_buf page = {0};
    struct seen s = {0};

    (void)state;
    for (size_t i = 0; report_section_at(i); i++)
        report_section_figures(r, i, take, &s);
    report_html(r, &page);
    assert_int_equal(count(page.data, "<svg"), s.n);
    assert_true(s.n >= 15);
    for (size_t i = 0; i < s.n; i++)
        dune_mem_free(s.name[i]);
    dune_buf_fini(&page);
    report_free(r);
}

static void count_lack(void *ctx, const char *section, const char *why)
{
    assert_true(report_section_find(section) >= 0);
    assert_true(strlen(why) > 20);
    ++*(size_t *)ctx;
}

static void test_lacks(void **state)
{
    struct report *r = open_golden();
    struct dune_buf page = {0};
    size_t n = 0;

    (void)state;
    report_lacks(r, count_lack, &n);
    report_html(r, &page);
    assert_true(n > 0);
    assert_int_equal(count(page.data, "Left out: "), n);
    dune_buf_fini(&page);
    report_free(r);
}

struct job {
    const struct report *r;
    struct dune_buf page[8];
};

static void make(void *ctx, size_t i)
{
    struct job *j = ctx;

    report_html(j->r, &j->page[i]);
}

static void test_threads(void **state)
{
    struct report *r = open_golden();
    struct job j = {.r = r};

    (void)state;
    dune_parallel_for(4, DUNE_ARRAY_LEN(j.page), make, &j);
    for (size_t i = 0; i < DUNE_ARRAY_LEN(j.page); i++) {
        assert_string_equal(j.page[i].data, j.page[0].data);
        if (i)
            dune_buf_fini(&j.page[i]);
    }
    dune_buf_fini(&j.page[0]);
    report_free(r);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_list), cmocka_unit_test(test_fragments), cmocka_unit_test(test_figures),
    cmocka_unit_test(test_lacks), cmocka_unit_test(test_threads),
};
RUN_TESTS(tests)
