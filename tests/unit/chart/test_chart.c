/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <math.h>

#include "chart/chart.h"

static size_t count(const char *text, const char *what)
{
    size_t n = 0;

    for (const char *p = text; (p = strstr(p, what)); p += strlen(what))
        n++;
    return n;
}

static void test_numbers(void **state)
{
    static const struct {
        double v;
        const char *text;
    } cases[] = {{0, "0"},          {-0.0, "0"},         {0.25, "0.25"}, {999, "999"}, {1500, "1.5 k"},
                 {2e6, "2 M"},      {999999, "1 M"},     {3.2e9, "3.2 G"}, {-1500, "-1.5 k"}};
    char text[32];

    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(cases); i++) {
        chart_number(text, sizeof(text), cases[i].v);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_steps(void **state)
{
    struct dune_rng r;

    (void)state;
    dune_rng_init(&r, 1, 2, 3, 4);
    for (int i = 0; i < 2000; i++) {
        double lo = (dune_rng_unit(&r) - 0.5) * pow(10, (double)dune_rng_below(&r, 12));
        double hi = lo + dune_rng_unit(&r) * pow(10, (double)dune_rng_below(&r, 12)) + 1e-3;
        double step = chart_step(lo, hi, 5), m = step / pow(10, floor(log10(step) + 1e-9));

        assert_true((hi - lo) / step <= 5 + 1e-9 && (hi - lo) / step >= 2 - 1e-9);
        assert_true(fabs(m - 1) < 1e-6 || fabs(m - 2) < 1e-6 || fabs(m - 5) < 1e-6);
    }
    assert_true(chart_step(1, 1, 5) == 1);
    assert_true(chart_step(0, INFINITY, 5) == 1);
}

/* Coordinates of the circles are where the values say. */
static void test_points_lie_right(void **state)
{
    const double x[] = {0, 50, 100}, y[] = {0, 1, 2};
    struct chart c = {.title = "t", .width = 400, .height = 200, .from_zero = true};
    struct dune_buf b = {0};
    double cx[3], cy[3];
    const char *p;

    (void)state;
    assert_true(chart_add(&c, "a", 3, x, y));
    chart_svg(&b, &c);
    p = b.data;
    for (int i = 0; i < 3; i++) {
        p = strstr(p + 1, "<circle");
        assert_non_null(p);
        assert_int_equal(sscanf(p, "<circle cx=\"%lf\" cy=\"%lf\"", &cx[i], &cy[i]), 2);
    }
    assert_true(fabs(cx[1] - (cx[0] + cx[2]) / 2) < 0.11);
    assert_true(fabs(cy[1] - (cy[0] + cy[2]) / 2) < 0.11);
    assert_true(cx[0] < cx[2] && cy[0] > cy[2]); /* y grows upwards */
    dune_buf_fini(&b);
    chart_fini(&c);
}

static void test_text_cannot_leave_its_place(void **state)
{
    const double x[] = {1, 2}, y[] = {1, 2};
    struct chart c = {.title = "<script>&\"\n", .x_label = "</text>", .y_label = "a<b"};
    struct dune_buf b = {0};

    (void)state;
    chart_add(&c, "<svg>", 2, x, y);
    chart_svg(&b, &c);
    assert_null(strstr(b.data, "<script"));
    assert_int_equal(count(b.data, "<svg"), 1);
    assert_int_equal(count(b.data, "<text"), count(b.data, "</text>"));
    assert_non_null(strstr(b.data, "&lt;script&gt;&amp;&quot;"));
    dune_buf_fini(&b);
    chart_fini(&c);
}

/* Values that have no place on the axes are left out; nothing in the picture is not a number. */
static void test_odd_values(void **state)
{
    const double x[] = {0, 1, 10, NAN, 100}, y[] = {1, INFINITY, 5, 1, -3};
    struct chart c = {.title = "t", .log_x = true, .log_y = true};
    struct dune_buf b = {0};

    (void)state;
    chart_add(&c, "only 10,5 stays", 5, x, y);
    chart_add(&c, "none stay", 1, x, y);
    chart_svg(&b, &c);
    assert_int_equal(count(b.data, "<circle"), 2); /* the point, and its marker in the legend */
    assert_null(strstr(b.data, "nan"));
    assert_null(strstr(b.data, "inf"));
    dune_buf_fini(&b);
    for (size_t i = c.n_series; i < CHART_MAX_SERIES; i++)
        assert_true(chart_add(&c, "more", 1, x, y));
    assert_false(chart_add(&c, "one too many", 1, x, y));
    chart_fini(&c);
    chart_svg(&b, &c); /* without any series */
    assert_null(strstr(b.data, "nan"));
    dune_buf_fini(&b);
}

static void test_bars(void **state)
{
    const struct chart_bar bar[] = {{"one", 1, 0}, {"two", 2, 1}, {"broken", NAN, 2}, {"none", 0, 15}};
    struct chart_bars c = {.title = "bars", .unit = "x", .mark = 1.5, .mark_name = "limit", .n = 4, .bar = bar};
    struct dune_buf b = {0};
    double w[3], bx, y;
    const char *p;

    (void)state;
    chart_bars_svg(&b, &c);
    p = strstr(b.data, "<rect x=");
    for (int i = 0; i < 3; i++) {
        assert_non_null(p);
        assert_int_equal(sscanf(p, "<rect x=\"%lf\" y=\"%lf\" width=\"%lf\"", &bx, &y, &w[i]), 3);
        p = strstr(p + 1, "<rect x=");
    }
    assert_null(p);
    assert_true(fabs(w[1] - 2 * w[0]) < 0.11 && w[2] == 0);
    assert_null(strstr(b.data, "nan"));
    assert_non_null(strstr(b.data, "limit 1.5"));
    dune_buf_fini(&b);
}

/* Parts of a row lie one behind the other, and are as long as they weigh. */
static void test_stack(void **state)
{
    const char *const row[] = {"a", "b"}, *const series[] = {"x", "y", "z"};
    const double v[] = {1, 0, 3, 2, NAN, -1};
    struct chart_stack c = {.title = "s", .n_rows = 2, .n_series = 3, .row = row, .series = series, .v = v};
    struct dune_buf b = {0};
    double x[3], w[3];
    const char *p;

    (void)state;
    chart_stack_svg(&b, &c);
    p = b.data;
    for (int i = 0; i < 3; i++) {
        double y;
        unsigned colour;

        p = strstr(p + 1, "\"><title>") - 60;
        p = strstr(p, "<rect class");
        assert_int_equal(sscanf(p, "<rect class=\"c%u\" x=\"%lf\" y=\"%lf\" width=\"%lf\"", &colour, &x[i], &y, &w[i]), 4);
        p = strstr(p, "</title>");
    }
    assert_null(strstr(p, "<rect class=\"c1"));
    assert_true(fabs(x[1] - x[0] - w[0]) < 0.11 && fabs(w[1] - 3 * w[0]) < 0.16 && fabs(w[2] - 2 * w[0]) < 0.16);
    assert_true(fabs(x[2] - x[0]) < 0.11);
    assert_null(strstr(b.data, "nan"));
    dune_buf_fini(&b);
}

static void test_dots(void **state)
{
    const char *const row[] = {"a", "<b>"}, *const series[] = {"one"};
    const struct chart_dot dot[] = {{0.5, 0.4, 0.6}, {0.7, NAN, NAN}};
    struct chart_dots c = {.title = "d", .n_rows = 2, .n_series = 1, .row = row, .series = series, .dot = dot, .zero = NAN,
                           .values = true};
    struct dune_buf b = {0};
    double cx[2], y, x0, x1;
    const char *p;

    (void)state;
    chart_dots_svg(&b, &c);
    p = strstr(b.data, "<path class=\"s0\"");
    assert_int_equal(sscanf(p, "<path class=\"s0\" d=\"M%lf %lfH%lf", &x0, &y, &x1), 3);
    p = strstr(b.data, "<circle");
    assert_int_equal(sscanf(p, "<circle cx=\"%lf\"", &cx[0]), 1);
    p = strstr(p + 1, "<circle");
    assert_int_equal(sscanf(p, "<circle cx=\"%lf\"", &cx[1]), 1);
    assert_true(fabs((x0 + x1) / 2 - cx[0]) < 0.11);
    assert_true(fabs((cx[1] - cx[0]) - (x1 - x0)) < 0.16); /* 0.2 each */
    assert_int_equal(count(b.data, "class=\"s0\""), 1);     /* no interval, no bar */
    assert_non_null(strstr(b.data, ">0.700<"));
    assert_null(strstr(b.data, "<b>"));
    dune_buf_fini(&b);
}

static void test_heat(void **state)
{
    const char *const name[] = {"a", "b", "c"};
    const double v[] = {1, 0.25, 0, NAN, 0.5, 0.001};
    const uint32_t group[] = {0, 0, 1};
    struct chart_heat c = {.title = "h", .n_rows = 2, .n_cols = 3, .row = name, .col = name, .v = v, .percent = 1,
                           .col_group = group};
    struct dune_buf b = {0};

    (void)state;
    chart_heat_svg(&b, &c);
    assert_int_equal(count(b.data, "class=\"h10\" x"), 2); /* the cell, and the scale */
    assert_int_equal(count(b.data, "class=\"h3\" x"), 2);  /* 0.25 */
    assert_int_equal(count(b.data, "class=\"h5\" x"), 2);
    assert_int_equal(count(b.data, ">100<"), 1);
    assert_int_equal(count(b.data, ">0<"), 1); /* of the scale only */
    assert_non_null(strstr(b.data, ">100 %<"));
    assert_null(strstr(b.data, "nan"));
    dune_buf_fini(&b);
    c.root = true;
    chart_heat_svg(&b, &c);
    assert_int_equal(count(b.data, "class=\"h5\" x"), 2); /* 0.25 again */
    dune_buf_fini(&b);
    c.n_rows = 0;
    chart_heat_svg(&b, &c);
    assert_null(strstr(b.data, "nan"));
    dune_buf_fini(&b);
}

/* What flows into a box flows out of it: ribbons have the heights of their values. */
static void test_flow(void **state)
{
    const struct chart_node node[] = {{"all", 0, CHART_COLOURS}, {"s1", 1, 0}, {"s2", 1, 1}, {"right", 2, 2}};
    const struct chart_ribbon ribbon[] = {{0, 1, 30}, {0, 2, 10}, {1, 3, 30}, {2, 3, 10}};
    struct chart_flow c = {.title = "f", .n_nodes = 4, .n_ribbons = 4, .node = node, .ribbon = ribbon, .total = 40};
    struct dune_buf b = {0};
    const char *p;

    (void)state;
    chart_flow_svg(&b, &c);
    p = b.data;
    for (int i = 0; i < 4; i++) {
        double v[9];

        p = strstr(p + 1, " r\" d=\"M");
        assert_non_null(p);
        assert_int_equal(sscanf(p, " r\" d=\"M%lf %lfC%lf %lf %lf %lf %lf %lfV%lf", v, v + 1, v + 2, v + 3, v + 4, v + 5, v + 6,
                                v + 7, v + 8), 9);
        assert_true(fabs((v[8] - v[7]) - 190.0 / 40 * ribbon[i].value) < 0.11);
    }
    assert_non_null(strstr(b.data, ">75.0 %<"));
    assert_null(strstr(b.data, "nan"));
    dune_buf_fini(&b);
}

/* Not text in XML, or turning it round: none of it gets through. */
static void test_hostile_text(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"plain \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "plain \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\xff\xc3", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},           /* overlong */
        {"\xed\xa0\x80", "\xef\xbf\xbd"},                   /* half a pair */
        {"a\xe2\x80\xae" "b", "a\xef\xbf\xbd" "b"},           /* right to left */
        {"\xef\xbf\xbf", "\xef\xbf\xbd"},
        {"a\x01\x1b[31m\x7f", "a[31m"},
        {"<a b=\"c\">&", "&lt;a b=&quot;c&quot;&gt;&amp;"},
    };

    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(cases); i++) {
        struct dune_buf b = {0};

        chart_text(&b, cases[i].in);
        assert_string_equal(b.data, cases[i].out);
        dune_buf_fini(&b);
    }
}

/* Inline pictures carry neither style nor script; a file has the style sheet. */
static void test_inline_and_file(void **state)
{
    const double x[] = {1, 2}, y[] = {1, 2};
    struct chart c = {.title = "t", .mark = "here", .mark_x = 2, .mark_y = 2};
    struct dune_buf b = {0}, file = {0};

    (void)state;
    chart_add_kind(&c, CHART_STEP, "a", 2, x, y);
    chart_svg(&b, &c);
    assert_null(strstr(b.data, "style"));
    assert_null(strstr(b.data, " id="));
    assert_non_null(strstr(b.data, ">here<"));
    assert_non_null(strstr(b.data, "H"));
    chart_file(&file, &b);
    assert_non_null(strstr(file.data, "<style>"));
    assert_non_null(strstr(file.data, "prefers-color-scheme:dark"));
    chart_fini(&c);
    dune_buf_fini(&b);
    dune_buf_fini(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_steps), cmocka_unit_test(test_points_lie_right),
        cmocka_unit_test(test_text_cannot_leave_its_place), cmocka_unit_test(test_odd_values), cmocka_unit_test(test_bars),
        cmocka_unit_test(test_stack), cmocka_unit_test(test_dots), cmocka_unit_test(test_heat), cmocka_unit_test(test_flow),
        cmocka_unit_test(test_hostile_text), cmocka_unit_test(test_inline_and_file),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
