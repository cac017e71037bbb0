/* SPDX-License-Identifier: Apache-2.0 */
/* Results as files: docs/formats/bench.md. */
#include "bench/bench_int.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

static const char *const better_name[] = {"lower", "higher", "neither"};

static void put_case(struct dune_jsonw *w, const struct bench_case *c)
{
    dune_jsonw_obj(w);
    dune_jsonw_put_str(w, "title", c->title);
    dune_jsonw_key(w, "rows");
    dune_jsonw_arr(w);
    for (size_t i = 0; i < c->row.len; i++) {
        const struct bench_row *row = &c->row.data[i];

        dune_jsonw_obj(w);
        dune_jsonw_put_str(w, "who", row->who);
        if (row->skip)
            dune_jsonw_put_str(w, "skip", row->skip);
        dune_jsonw_key(w, "samples");
        dune_jsonw_arr(w);
        for (size_t k = 0; k < row->q.len; k++) {
            dune_jsonw_obj_inline(w);
            dune_jsonw_put_str(w, "quantity", row->q.data[k].quantity);
            dune_jsonw_put_str(w, "better", better_name[row->q.data[k].better]);
            dune_jsonw_key(w, "values");
            dune_jsonw_arr(w);
            for (size_t v = 0; v < row->q.data[k].v.len; v++)
                dune_jsonw_double(w, row->q.data[k].v.data[v]);
            dune_jsonw_end(w);
            dune_jsonw_end(w);
        }
        dune_jsonw_end(w);
        dune_jsonw_end(w);
    }
    dune_jsonw_end(w);
    dune_jsonw_end(w);
}

static void put_goals(struct dune_jsonw *w, const struct bench_result *r)
{
    dune_jsonw_key(w, "goals");
    dune_jsonw_arr(w);
    for (size_t i = 0; i < r->goals.len; i++) {
        const struct bench_goal *g = &r->goals.data[i];

        dune_jsonw_obj_inline(w);
        dune_jsonw_put_str(w, "text", g->text);
        dune_jsonw_put_str(w, "want", g->at_least ? "at least" : "at most");
        dune_jsonw_key(w, "value"), dune_jsonw_double(w, g->value);
        dune_jsonw_key(w, "bar"), dune_jsonw_double(w, g->bar);
        dune_jsonw_key(w, "goal"), dune_jsonw_double(w, g->goal);
        dune_jsonw_put_str(w, "state", bench_goal_state(g));
        dune_jsonw_end(w);
    }
    dune_jsonw_end(w);
}

static void put_curves(struct dune_jsonw *w, const struct bench_result *r)
{
    dune_jsonw_key(w, "curves");
    dune_jsonw_arr(w);
    for (size_t i = 0; i < r->curves.len; i++) {
        const struct bench_curve *c = &r->curves.data[i];

        dune_jsonw_obj(w);
        dune_jsonw_put_str(w, "title", c->title);
        dune_jsonw_put_str(w, "x", c->x_label);
        dune_jsonw_put_str(w, "y", c->y_label);
        dune_jsonw_key(w, "series");
        dune_jsonw_arr(w);
        for (size_t k = 0; k < c->series.len; k++) {
            dune_jsonw_obj_inline(w);
            dune_jsonw_put_str(w, "name", c->series.data[k].name);
            dune_jsonw_key(w, "points");
            dune_jsonw_arr(w);
            for (size_t p = 0; p < c->series.data[k].x.len; p++) {
                dune_jsonw_arr(w);
                dune_jsonw_double(w, c->series.data[k].x.data[p]);
                dune_jsonw_double(w, c->series.data[k].y.data[p]);
                dune_jsonw_end(w);
            }
            dune_jsonw_end(w);
            dune_jsonw_end(w);
        }
        dune_jsonw_end(w);
        dune_jsonw_end(w);
    }
    dune_jsonw_end(w);
}

static void put_result(struct dune_jsonw *w, const struct bench_result *r)
{
    dune_jsonw_obj(w);
    dune_jsonw_put_str(w, "format", "dune-bench-1");
    dune_jsonw_put_str(w, "name", r->name);
    dune_jsonw_put_str(w, "what", r->what);
    dune_jsonw_put_str(w, "command", r->command);
    dune_jsonw_put_str(w, "machine", r->machine);
    dune_jsonw_put_str(w, "build", r->build);
    dune_jsonw_put_str(w, "when", r->when);
    dune_jsonw_key(w, "quick"), dune_jsonw_bool(w, r->quick);
    dune_jsonw_key(w, "seconds"), dune_jsonw_fixed(w, r->seconds, 1);
    dune_jsonw_key(w, "cases");
    dune_jsonw_arr(w);
    for (size_t i = 0; i < r->cases.len; i++)
        put_case(w, &r->cases.data[i]);
    dune_jsonw_end(w);
    put_goals(w, r);
    put_curves(w, r);
    dune_jsonw_key(w, "notes");
    dune_jsonw_arr(w);
    for (size_t i = 0; i < r->notes.len; i++)
        dune_jsonw_str(w, r->notes.data[i]);
    dune_jsonw_end(w);
    dune_jsonw_end(w);
}

static int write_plots(const struct bench_result *r, const char *dir, struct dune_diag *d)
{
    int rc = 0;

    for (size_t i = 0; i < r->curves.len && rc == 0; i++) {
        char *path = dune_mem_printf("%s/%s%s-%zu.svg", dir, r->name, r->quick ? ".quick" : "", i + 1);
        struct dune_buf b = {0};

        bench_result_plot(&b, r, i);
        rc = dune_file_write(path, b.data, b.len, d);
        dune_buf_fini(&b);
        dune_mem_free(path);
    }
    return rc;
}

int bench_result_write(const struct bench_result *r, const char *dir, struct dune_diag *d)
{
    char *path = dune_mem_printf("%s/%s%s.json", dir, r->name, r->quick ? ".quick" : "");
    struct dune_buf b = {0};
    struct dune_jsonw w;
    int rc = dune_mkdirs(dir, d);

    dune_jsonw_init(&w, &b);
    put_result(&w, r);
    if (rc == 0)
        rc = dune_file_write(path, b.data, b.len, d);
    if (rc == 0)
        rc = write_plots(r, dir, d);
    dune_buf_fini(&b);
    dune_mem_free(path);
    return rc;
}

/* --- reading --------------------------------------------------------------------------------------- */
static char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return dune_mem_strdup(s ? s : "");
}

static double number_of(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);

    return json_is_number(v) ? json_number_value(v) : NAN;
}

static void read_row(struct bench_result *r, const char *title, const json_t *o)
{
    char *who = text_of(o, "who");
    struct bench_row *row = bench_make_row(r, title, who);
    const json_t *q, *v;
    size_t i, k;

    if (json_is_string(json_object_get(o, "skip")) && !row->skip)
        row->skip = text_of(o, "skip");
    json_array_foreach(json_object_get(o, "samples"), i, q) {
        char *quantity = text_of(q, "quantity"), *better = text_of(q, "better");
        struct bench_samples *s = bench_make_samples(r, title, who, quantity, BENCH_NEITHER);

        for (k = 0; k < DUNE_ARRAY_LEN(better_name); k++)
            if (strcmp(better, better_name[k]) == 0)
                s->better = (enum bench_better)k;
        json_array_foreach(json_object_get(q, "values"), k, v)
            DUNE_VEC_PUSH(&s->v, json_is_number(v) ? json_number_value(v) : NAN);
        dune_mem_free(quantity);
        dune_mem_free(better);
    }
    dune_mem_free(who);
}

static void read_curve(struct bench_result *r, const json_t *o)
{
    char *title = text_of(o, "title"), *x = text_of(o, "x"), *y = text_of(o, "y");
    const json_t *s, *p;
    size_t i, k;

    json_array_foreach(json_object_get(o, "series"), i, s) {
        char *name = text_of(s, "name");
        struct bench_series *to = bench_make_series(r, title, x, y, name);

        json_array_foreach(json_object_get(s, "points"), k, p) {
            DUNE_VEC_PUSH(&to->x, json_number_value(json_array_get(p, 0)));
            DUNE_VEC_PUSH(&to->y, json_number_value(json_array_get(p, 1)));
        }
        dune_mem_free(name);
    }
    dune_mem_free(title);
    dune_mem_free(x);
    dune_mem_free(y);
}

static void read_parts(struct bench_result *r, const json_t *o)
{
    const json_t *v, *row;
    size_t i, k;

    json_array_foreach(json_object_get(o, "cases"), i, v) {
        char *title = text_of(v, "title");

        json_array_foreach(json_object_get(v, "rows"), k, row)
            read_row(r, title, row);
        dune_mem_free(title);
    }
    json_array_foreach(json_object_get(o, "goals"), i, v) {
        const char *want = json_string_value(json_object_get(v, "want"));

        DUNE_VEC_PUSH(&r->goals, ((struct bench_goal){.text = text_of(v, "text"), .at_least = want && strcmp(want, "at least") == 0,
                                                      .value = number_of(v, "value"), .bar = number_of(v, "bar"),
                                                      .goal = number_of(v, "goal")}));
    }
    json_array_foreach(json_object_get(o, "curves"), i, v)
        read_curve(r, v);
    json_array_foreach(json_object_get(o, "notes"), i, v)
        if (json_is_string(v))
            DUNE_VEC_PUSH(&r->notes, dune_mem_strdup(json_string_value(v)));
}

int bench_result_parse(struct bench_result **out, const char *name, const char *text, size_t len,
                       struct dune_diag *d)
{
    json_error_t err;
    json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, &err);
    const char *format = json_string_value(json_object_get(o, "format"));
    struct bench_result *r;

    *out = NULL;
    if (!o)
        return dune_diag_set(d, DUNE_E_INPUT, name, "line %d: %s", err.line, err.text);
    if (!format || strcmp(format, "dune-bench-1") != 0) {
        json_decref(o);
        return dune_diag_set(d, DUNE_E_INPUT, name, "this is no result of a benchmark: \"format\" is not \"dune-bench-1\"");
    }
    r = DUNE_NEW(struct bench_result);
    r->name = text_of(o, "name");
    r->what = text_of(o, "what");
    r->command = text_of(o, "command");
    r->machine = text_of(o, "machine");
    r->build = text_of(o, "build");
    r->when = text_of(o, "when");
    r->quick = json_is_true(json_object_get(o, "quick"));
    r->seconds = number_of(o, "seconds");
    read_parts(r, o);
    json_decref(o);
    *out = r;
    return 0;
}
