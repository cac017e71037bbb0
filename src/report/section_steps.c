/* SPDX-License-Identifier: Apache-2.0 */
/* The published method: importance, scores, partition, grids, confusion, order. From the notes of dune-paper. */
#include <math.h>
#include <string.h>

#include "report/report_int.h"

enum { MAX_BLOCKS = 24, MAX_FEATS = 64, MAX_GRID = 400 };

/* --- importance ---------------------------------------------------------------------------------------------- */
/* Columns that explain some class by a hundredth at least. */
static size_t live_columns(const json_t *w, size_t n_cols, size_t *col)
{
    size_t n = 0;

    for (size_t j = 0; j < n_cols && n < MAX_FEATS; j++) {
        const json_t *row;
        double most = 0;
        size_t i;

        json_array_foreach(w, i, row)
            most = fmax(most, json_number_value(json_array_get(row, j)));
        if (most >= 0.01)
            col[n++] = j;
    }
    return n;
}

void report_importance(const json_t *im, const char *caption, struct report_doc *d)
{
    const json_t *classes = json_object_get(im, "classes"), *feats = json_object_get(im, "features"), *w = json_object_get(im, "w");
    size_t which[MAX_FEATS], n_rows = DUNE_MIN(json_array_size(classes), (size_t)REPORT_MANY);
    size_t n_cols = live_columns(w, json_array_size(feats), which);
    const char *row[REPORT_MANY], *col[MAX_FEATS];
    double *v = DUNE_NEW_N(double, REPORT_MANY * MAX_FEATS);
    struct dune_buf svg = {0};

    for (size_t i = 0; i < n_rows; i++) {
        const char *name = json_string_value(json_array_get(classes, i));

        row[i] = name ? name : "?";
        for (size_t j = 0; j < n_cols; j++)
            v[i * n_cols + j] = json_number_value(json_array_get(json_array_get(w, i), which[j]));
    }
    for (size_t j = 0; j < n_cols; j++) {
        const char *name = json_string_value(json_array_get(feats, which[j]));

        col[j] = name ? name : "?";
    }
    chart_heat_svg(&svg, &(struct chart_heat){.title = "Importance W: what explains each class, %", .unit = "of the class's importance",
                   .desc = "Rows are classes, columns features; dark cells explain the class most.", .n_rows = n_rows, .n_cols = n_cols,
                   .row = row, .col = col, .v = v, .root = true, .percent = 1});
    report_figure(d, "importance", caption, &svg);
    dune_mem_free(v);
}

/* The three features that explain each class most, and how well it is recognised. */
static void importance_table(const json_t *notes, struct report_doc *d)
{
    static const char *const heads[] = {"class", ">f, % F1", "explained most by"};
    const json_t *im = json_object_get(notes, "importance"), *classes = json_object_get(im, "classes"), *cls;
    const json_t *feats = json_object_get(im, "features"), *scores = json_object_get(notes, "scores");
    size_t i;

    report_table(d, "Importance and score of each class in the large forest, on validation flows", DUNE_ARRAY_LEN(heads), heads);
    json_array_foreach(classes, i, cls) {
        const json_t *row = json_array_get(json_object_get(im, "w"), i), *name;
        struct dune_buf best = {0};
        double below = INFINITY, f = NAN;
        size_t k;

        if (i == 60)
            break;
        json_array_foreach(json_object_get(scores, "classes"), k, name)
            if (json_string_value(name) && json_string_value(cls) && strcmp(json_string_value(name), json_string_value(cls)) == 0)
                f = json_number_value(json_array_get(json_object_get(scores, "f1"), k));
        for (int place = 0; place < 3; place++) {
            size_t at = SIZE_MAX;
            const json_t *v;

            json_array_foreach(row, k, v)
                if (json_number_value(v) > 0 && json_number_value(v) < below &&
                    (at == SIZE_MAX || json_number_value(v) > json_number_value(json_array_get(row, at))))
                    at = k;
            if (at == SIZE_MAX)
                break;
            below = json_number_value(json_array_get(row, at));
            name = json_array_get(feats, at);
            dune_buf_printf(&best, "%s%s %s %%", place ? ", " : "", json_string_value(name) ? json_string_value(name) : "?",
                            report_percent(below));
        }
        report_cell(d, "%s", json_string_value(cls) ? json_string_value(cls) : "?");
        report_cell(d, "%s", report_fixed(f, 1));
        report_cell(d, "%s", best.data ? best.data : "");
        dune_buf_fini(&best);
    }
    report_table_end(d);
}

/* --- partition ------------------------------------------------------------------------------------------------- */
static void levels_figure(const json_t *notes, struct report_doc *d)
{
    const json_t *levels = json_object_get(notes, "levels");
    size_t n = DUNE_MIN(json_array_size(levels), (size_t)512), blocks = json_array_size(json_object_get(notes, "blocks"));
    double *x = DUNE_NEW_N(double, n + 1), *y = DUNE_NEW_N(double, n + 1), best = -INFINITY, at = 0;
    struct chart c = {.title = "Partition: total gain per level", .x_label = "blocks", .y_label = "total gain", .from_zero = true,
                      .desc = "Total gain of the greedy partition at each number of blocks, with the chosen cut.", .bare = n > 40,
                      .mark = "cut", .mark_x = (double)blocks, .mark_y = report_number(notes, "objective")};
    struct dune_buf svg = {0};
    char *caption;

    for (size_t i = 0; i < n; i++) { /* level i has n - i blocks */
        x[i] = (double)(n - i);
        y[i] = json_number_value(json_array_get(levels, i));
        if (y[i] > best)
            best = y[i], at = x[i];
    }
    chart_add(&c, "total gain", n, x, y);
    chart_svg(&svg, &c);
    caption = at == (double)blocks ? dune_mem_printf("Total gain at each level of the greedy merging; the level with the largest total, %zu blocks, was taken.", blocks)
                                   : dune_mem_printf("Total gain at each level of the greedy merging. The largest total is at %.0f blocks, but there are devices for %zu: "
                                                     "that is where the tree was cut.", at, blocks);
    report_figure(d, "levels", caption, &svg);
    dune_mem_free(caption);
    chart_fini(&c);
    dune_mem_free(x);
    dune_mem_free(y);
}

static void join(struct dune_buf *out, const json_t *list, size_t most)
{
    const json_t *v;
    size_t i;

    json_array_foreach(list, i, v) {
        if (i == most) {
            dune_buf_printf(out, " and %zu more", json_array_size(list) - i);
            return;
        }
        dune_buf_printf(out, "%s%s", i ? ", " : "", json_string_value(v) ? json_string_value(v) : "?");
    }
}

static void blocks_table(const json_t *notes, struct report_doc *d)
{
    static const char *const heads[] = {"block", "classes", "features that explain them", ">gain"};
    const json_t *b;
    size_t i;

    report_table(d, "Blocks of the greedy partition", DUNE_ARRAY_LEN(heads), heads);
    json_array_foreach(json_object_get(notes, "blocks"), i, b) {
        struct dune_buf classes = {0}, feats = {0};

        if (i == MAX_BLOCKS)
            break;
        join(&classes, json_object_get(b, "classes"), 12);
        join(&feats, json_object_get(b, "features"), 12);
        report_cell(d, "%zu", i);
        report_cell(d, "%s", classes.data ? classes.data : "");
        report_cell(d, "%s", feats.data ? feats.data : "");
        report_cell(d, "%s", report_fixed(report_number(b, "gain"), 4));
        dune_buf_fini(&classes);
        dune_buf_fini(&feats);
    }
    report_table_end(d);
}

/* --- grids ---------------------------------------------------------------------------------------------------------- */
static void grid_figure(const json_t *sub, size_t id, struct report_doc *d)
{
    const json_t *points = json_object_get(sub, "pareto"), *p;
    double x[MAX_GRID], y[MAX_GRID];
    char *name = dune_mem_printf("pareto-%zu", id);
    char *title = dune_mem_printf("Block %zu: Pareto front of the grid", id);
    char *caption = dune_mem_printf("Block %zu: settings that no other one of %s beats in both macro F1 (with Other, validation flows) and "
                                    "blocks of table memory; the ring is the one with the best published score.", id,
                                    report_count(report_number(sub, "points")));
    struct chart c = {.title = title, .x_label = "blocks of table memory, published accounting", .y_label = "macro F1, validation", .height = 240,
                      .y_share = true, .least_y = 0.01,
                      .desc = "Front of macro F1 against table memory, with the chosen point."};
    struct dune_buf svg = {0};
    size_t i, n = 0;

    json_array_foreach(points, i, p) {
        double blocks = report_number(p, "published_blocks"), macro = report_number(p, "macro_f1");

        if (json_is_true(json_object_get(p, "chosen"))) {
            c.mark = "chosen";
            c.mark_x = blocks;
            c.mark_y = macro;
        }
        if (n == MAX_GRID)
            continue;
        for (size_t k = n++;; k--) { /* ascending */
            if (k == 0 || x[k - 1] <= blocks) {
                x[k] = blocks, y[k] = macro;
                break;
            }
            x[k] = x[k - 1], y[k] = y[k - 1];
        }
    }
    chart_add_kind(&c, CHART_STEP, "front", n, x, y);
    chart_svg(&svg, &c);
    report_figure(d, name, caption, &svg);
    chart_fini(&c);
    dune_mem_free(name);
    dune_mem_free(title);
    dune_mem_free(caption);
}

static void grid_table(const json_t *subs, struct report_doc *d)
{
    static const char *const heads[] = {"block", ">tried", ">beyond the budget", ">trees", ">leaves per tree", ">n", ">features", ">macro F1",
                                        ">blocks of memory", ">score"};
    const json_t *s, *p;
    size_t i, k;

    report_table(d, "Chosen settings of each block", DUNE_ARRAY_LEN(heads), heads);
    json_array_foreach(subs, i, s)
        json_array_foreach(json_object_get(s, "pareto"), k, p) {
            if (!json_is_true(json_object_get(p, "chosen")) || i >= MAX_BLOCKS)
                continue;
            report_cell(d, "%s", report_fixed(report_number(s, "id"), 0));
            report_cell(d, "%s", report_count(report_number(s, "points")));
            report_cell(d, "%s", report_count(report_number(s, "skipped")));
            report_cell(d, "%s", report_count(report_number(p, "trees")));
            report_cell(d, "%s", report_count(report_number(p, "leaves")));
            report_cell(d, "%s", report_count(report_number(p, "n")));
            report_cell(d, "%s", report_count(report_number(p, "features")));
            report_cell(d, "%s", report_f1(report_number(p, "macro_f1")));
            report_cell(d, "%s", report_count(report_number(p, "published_blocks")));
            report_cell(d, "%s", report_fixed(report_number(p, "score"), 4));
        }
    report_table_end(d);
}

/* --- order ------------------------------------------------------------------------------------------------------------- */
static void order_figure(const json_t *confusion, struct report_doc *d)
{
    size_t n = DUNE_MIN(json_array_size(confusion), (size_t)MAX_BLOCKS);
    double v[MAX_BLOCKS * MAX_BLOCKS];
    char text[MAX_BLOCKS][16];
    const char *name[MAX_BLOCKS];
    struct dune_buf svg = {0};

    for (size_t j = 0; j < n; j++) {
        double sum = 0;

        snprintf(text[j], sizeof(text[j]), "block %zu", j);
        name[j] = text[j];
        for (size_t i = 0; i < n; i++)
            sum += json_number_value(json_array_get(json_array_get(confusion, i), j));
        for (size_t i = 0; i < n; i++)
            v[i * n + j] = sum > 0 ? json_number_value(json_array_get(json_array_get(confusion, i), j)) / sum : 0;
    }
    chart_heat_svg(&svg, &(struct chart_heat){.title = "Claims of each sub-model, %", .row_label = "true block", .col_label = "sub-model that claims",
                   .unit = "of the column's claims", .desc = "Each column says whose flows a sub-model claims when asked alone.", .n_rows = n,
                   .n_cols = n, .row = name, .col = name, .v = v, .max = 1, .root = true, .percent = 1});
    report_figure(d, "claims", "Whose flows each sub-model claims when it is asked alone, on validation flows (columns sum to 100 %): what the "
                               "linear ordering problem is solved on.", &svg);
}

static void order_part(const json_t *notes, struct report_doc *d)
{
    const json_t *order = json_object_get(notes, "order"), *ties = json_object_get(notes, "order_ties"), *v;
    struct dune_buf text = {0};
    size_t i;

    json_array_foreach(order, i, v)
        if (i < MAX_BLOCKS)
            dune_buf_printf(&text, "%s%s", i ? ", " : "", report_count(json_number_value(v)));
    report_para(d, "Order of the blocks: %s. Whoever comes first and claims, wins; so a sub-model that claims flows of others should come after "
                   "them. The cost of an order, summed over all pairs, is the share of claims a sub-model takes from each later block, weighted "
                   "by how wrong it is (1 - F1); this order has the least, %s%s.", text.data ? text.data : "-",
                report_fixed(report_number(notes, "order_cost"), 4), json_integer_value(ties) > 1 ? ", as others do" : "");
    dune_buf_fini(&text);
}

void report_steps(const struct report *r, struct report_doc *d)
{
    const struct report_solution *s = report_find(r, "dune-paper");
    const json_t *notes = s ? s->notes : NULL, *sub;
    size_t i;

    if (!notes) {
        report_lack(d, "importance, partition, grids and order of the published method: the run has no solution dune-paper (it is one of "
                       "solutions: in the experiment).");
        return;
    }
    report_row(d, true);
    if (json_object_get(notes, "importance"))
        report_importance(json_object_get(notes, "importance"),
                          "Importance of each feature for each class in a large model (rows sum to 100 %); features below 1 % for every class are "
                          "left out.", d);
    if (json_array_size(json_object_get(notes, "levels")) > 1)
        levels_figure(notes, d);
    if (json_array_size(json_object_get(notes, "confusion")) > 1)
        order_figure(json_object_get(notes, "confusion"), d);
    json_array_foreach(json_object_get(notes, "submodels"), i, sub)
        if (i < MAX_BLOCKS)
            grid_figure(sub, i, d);
    report_row(d, false);
    if (!json_object_get(notes, "importance"))
        report_lack(d, "importance, grids and order: choice/dune-paper.json was made by an earlier version; the same dunectl run makes it anew.");
    else
        importance_table(notes, d);
    blocks_table(notes, d);
    if (json_array_size(json_object_get(notes, "submodels")))
        grid_table(json_object_get(notes, "submodels"), d);
    if (json_array_size(json_object_get(notes, "order")) > 1)
        order_part(notes, d);
}
