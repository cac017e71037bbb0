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
    assert_int_equal(count(b.data, "<circle"), 1);
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
    struct chart_bars c = {.title = "bars", .unit = "x", .mark = 1.5, .n = 4, .bar = bar};
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
    dune_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_steps), cmocka_unit_test(test_points_lie_right),
        cmocka_unit_test(test_text_cannot_leave_its_place), cmocka_unit_test(test_odd_values), cmocka_unit_test(test_bars),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
