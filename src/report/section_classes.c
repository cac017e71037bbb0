/* SPDX-License-Identifier: Apache-2.0 */
/* Classes: F1 beside the baselines, and what is taken for what. Many classes are put into groups. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/report_int.h"

enum { GROUPS = 24, WORST = 15, ROWS = 60, SERIES = 6 };

/* A class that several know counts for the first of them in the chain. */
unsigned report_block_of(const struct report_solution *s, const struct report_confusion *c, int *block)
{
    const struct dune_plan *p = s->plan;

    for (size_t i = 0; i < c->n_classes; i++)
        block[i] = -1;
    if (!p || p->n_submodels < 2)
        return 0;
    for (uint32_t k = 0; k < p->n_submodels; k++) {
        bool any = false;

        for (uint32_t j = 0; j < p->sub[k].n_classes; j++)
            for (size_t i = 0; i < c->n_classes; i++)
                if (block[i] < 0 && strcmp(c->name[i], p->cls[p->sub[k].cls[j] - 1].name) == 0) {
                    block[i] = (int)k;
                    any = true;
                }
        if (!any) /* as under votes: no blocks to speak of */
            return 0;
    }
    return p->n_submodels;
}

/* --- which classes are shown, in which order --------------------------------------------------------------- */
struct shown {
    struct report_confusion c;
    double *support;  /* [n_classes] flows */
    int *block;       /* [n_classes] */
    unsigned n_blocks;
    uint32_t *order;  /* classes with flows: blocks in chain order, names within */
    size_t n;
};
struct sort_key {
    int block;
    double support;
    uint32_t cls;
};

static int by_block(const void *a, const void *b)
{
    const struct sort_key *x = a, *y = b;

    if (x->block != y->block)
        return x->block < y->block ? -1 : 1;
    return (x->cls > y->cls) - (x->cls < y->cls);
}

static bool shown_open(struct shown *s, const struct report_solution *sol)
{
    struct sort_key *key;

    memset(s, 0, sizeof(*s));
    if (!sol->scored || !report_confusion_read(&s->c, sol))
        return false;
    s->support = DUNE_NEW_N(double, s->c.n_classes);
    s->block = DUNE_NEW_N(int, s->c.n_classes);
    s->order = DUNE_NEW_N(uint32_t, s->c.n_classes);
    s->n_blocks = report_block_of(sol, &s->c, s->block);
    for (size_t i = 0; i < s->c.n; i++)
        s->support[s->c.cell[i].truth] += s->c.cell[i].flows;
    key = DUNE_NEW_N(struct sort_key, s->c.n_classes);
    for (uint32_t i = 0; i < s->c.n_classes; i++)
        if (s->support[i] > 0)
            key[s->n++] = (struct sort_key){s->n_blocks ? s->block[i] : 0, s->support[i], i};
    qsort(key, s->n, sizeof(*key), by_block);
    for (size_t i = 0; i < s->n; i++)
        s->order[i] = key[i].cls;
    dune_mem_free(key);
    return s->n > 0;
}

static void shown_close(struct shown *s)
{
    report_confusion_fini(&s->c);
    dune_mem_free(s->support);
    dune_mem_free(s->block);
    dune_mem_free(s->order);
}

static double class_value(const struct report_solution *s, const char *cls, const char *key)
{
    return report_number(json_object_get(json_object_get(s->result, "per_class"), cls), key);
}

/* --- F1 per class ------------------------------------------------------------------------------------------- */
/* The chain first, then the others with sub-models. */
static size_t list_series(const struct report *r, const struct report_solution **out)
{
    size_t n = 0;

    out[n++] = &r->sol[r->chain];
    for (size_t i = 0; i < r->n && n < SERIES; i++)
        if ((int)i != r->chain && r->sol[i].devices && r->sol[i].scored)
            out[n++] = &r->sol[i];
    return n;
}

static void f1_figure(const struct report *r, const struct shown *s, struct report_doc *d)
{
    const struct report_solution *of[SERIES];
    const char *series[SERIES], *row[REPORT_MANY];
    struct chart_dot *dot = DUNE_NEW_N(struct chart_dot, REPORT_MANY * SERIES);
    struct chart_dots c = {.title = "F1 of each class", .x_label = "F1 on the test flows", .lo = 0, .hi = 1, .row = row,
                           .series = series, .dot = dot, .zero = NAN,
                           .desc = "One row per class; the first marker is the chain, the others are the baselines."};
    struct dune_buf svg = {0};

    c.n_series = list_series(r, of);
    for (size_t k = 0; k < c.n_series; k++)
        series[k] = of[k]->name;
    for (size_t i = 0; i < s->n && c.n_rows < REPORT_MANY; i++, c.n_rows++) {
        row[c.n_rows] = s->c.name[s->order[i]];
        for (size_t k = 0; k < c.n_series; k++)
            dot[c.n_rows * c.n_series + k] = (struct chart_dot){class_value(of[k], row[c.n_rows], "f1"), NAN, NAN};
    }
    chart_dots_svg(&svg, &c);
    report_figure(d, "f1", s->n > REPORT_MANY ? "F1 of the first 40 classes on the test flows, the chain beside each baseline."
                                              : "F1 of each class on the test flows, the chain beside each baseline.", &svg);
    dune_mem_free(dot);
}

/* --- confusion ------------------------------------------------------------------------------------------------ */
static void draw_confusion(struct report_doc *d, const char *name, const char *title, const char *caption, const char *const *label,
                           size_t n, const double *v, const uint32_t *group)
{
    const char **cols = DUNE_NEW_N(const char *, n + 1);
    uint32_t *col_group = DUNE_NEW_N(uint32_t, n + 1);
    struct chart_heat c = {.title = title, .desc = "Rows are true classes, columns what they were taken for.", .row_label = "true",
                           .col_label = "taken for", .unit = "of the row's flows", .n_rows = n, .n_cols = n + 1, .row = label,
                           .col = cols, .v = v, .max = 1, .root = true, .percent = 1, .row_group = group, .col_group = col_group};
    struct dune_buf svg = {0};

    for (size_t i = 0; i < n; i++) {
        cols[i] = label[i];
        col_group[i] = group ? group[i] : 0;
    }
    cols[n] = "no claim";
    col_group[n] = UINT32_MAX;
    chart_heat_svg(&svg, &c);
    report_figure(d, name, caption, &svg);
    dune_mem_free(cols);
    dune_mem_free(col_group);
}

/* Cells of c added up by row_of and divided by the weight of their row. */
static double *add_up(const struct report_confusion *c, const uint32_t *group, size_t n)
{
    double *v = DUNE_NEW_N(double, n * (n + 1)), *sum = DUNE_NEW_N(double, n);

    for (size_t i = 0; i < c->n; i++) {
        uint32_t row = group[c->cell[i].truth], col = c->cell[i].said < c->n_classes ? group[c->cell[i].said] : (uint32_t)n;

        if (row >= n)
            continue;
        v[row * (n + 1) + (col < n ? col : n)] += c->cell[i].flows;
        sum[row] += c->cell[i].flows;
    }
    for (size_t i = 0; i < n * (n + 1); i++)
        v[i] = sum[i / (n + 1)] > 0 ? v[i] / sum[i / (n + 1)] : NAN;
    dune_mem_free(sum);
    return v;
}

static void class_confusion(const struct shown *s, struct report_doc *d)
{
    uint32_t *place = DUNE_NEW_N(uint32_t, s->c.n_classes), *group = DUNE_NEW_N(uint32_t, s->n);
    const char **label = DUNE_NEW_N(const char *, s->n);
    double *v;

    for (size_t i = 0; i < s->c.n_classes; i++)
        place[i] = UINT32_MAX;
    for (size_t i = 0; i < s->n; i++) {
        place[s->order[i]] = (uint32_t)i;
        label[i] = s->c.name[s->order[i]];
        group[i] = s->n_blocks ? (uint32_t)s->block[s->order[i]] : 0;
    }
    v = add_up(&s->c, place, s->n);
    draw_confusion(d, "confusion", "Class confusion of the chain, %",
                   s->n_blocks ? "Percent of each true class's test flows by what the chain said. Lines part the blocks of the chain; "
                                 "what lies outside the squares on the diagonal went to another block."
                               : "Percent of each true class's test flows by what the chain said.",
                   label, s->n, v, s->n_blocks ? group : NULL);
    dune_mem_free(place);
    dune_mem_free(group);
    dune_mem_free(label);
    dune_mem_free(v);
}

/* --- many classes: groups of those that are taken for each other ------------------------------------------ */
static uint32_t root_of(uint32_t *up, uint32_t i)
{
    while (up[i] != i)
        i = up[i] = up[up[i]];
    return i;
}

static int by_flows(const void *a, const void *b)
{
    const struct report_cell_value *x = a, *y = b;

    if (x->flows != y->flows)
        return x->flows > y->flows ? -1 : 1;
    if (x->truth != y->truth)
        return x->truth < y->truth ? -1 : 1;
    return (x->said > y->said) - (x->said < y->said);
}

/* Mistakes only, most flows first. */
static struct report_cell_value *mistakes(const struct report_confusion *c, size_t *n)
{
    struct report_cell_value *m = DUNE_NEW_N(struct report_cell_value, c->n + 1);

    *n = 0;
    for (size_t i = 0; i < c->n; i++)
        if (c->cell[i].truth != c->cell[i].said && c->cell[i].said < c->n_classes)
            m[(*n)++] = c->cell[i];
    qsort(m, *n, sizeof(*m), by_flows);
    return m;
}

/* up[]: joins the classes with the most mistakes between them, at most 1/12 of all in a group. */
static void join_confused(const struct report_confusion *c, uint32_t *up)
{
    uint32_t *size = DUNE_NEW_N(uint32_t, c->n_classes), most = (uint32_t)(c->n_classes / 12 + 2);
    size_t n;
    struct report_cell_value *m = mistakes(c, &n);

    for (uint32_t i = 0; i < c->n_classes; i++)
        up[i] = i, size[i] = 1;
    for (size_t i = 0; i < n; i++) {
        uint32_t a = root_of(up, m[i].truth), b = root_of(up, m[i].said);

        if (a == b || size[a] + size[b] > most)
            continue;
        up[DUNE_MAX(a, b)] = DUNE_MIN(a, b);
        size[DUNE_MIN(a, b)] += size[DUNE_MAX(a, b)];
    }
    dune_mem_free(size);
    dune_mem_free(m);
}

static int by_support(const void *a, const void *b)
{
    const struct sort_key *x = a, *y = b;

    if (x->support != y->support)
        return x->support > y->support ? -1 : 1;
    return (x->cls > y->cls) - (x->cls < y->cls);
}

/* group[class]: the GROUPS - 1 groups with the most flows, then all others together. Returns how many. */
static size_t number_groups(const struct shown *s, uint32_t *up, uint32_t *group)
{
    struct sort_key *key = DUNE_NEW_N(struct sort_key, s->c.n_classes);
    uint32_t *rank = DUNE_NEW_N(uint32_t, s->c.n_classes);
    size_t n = 0;

    for (uint32_t i = 0; i < s->c.n_classes; i++)
        key[i] = (struct sort_key){0, 0, i};
    for (uint32_t i = 0; i < s->c.n_classes; i++)
        key[root_of(up, i)].support += s->support[i];
    qsort(key, s->c.n_classes, sizeof(*key), by_support);
    for (uint32_t i = 0; i < s->c.n_classes; i++)
        rank[key[i].cls] = DUNE_MIN(i, GROUPS - 1);
    for (uint32_t i = 0; i < s->c.n_classes; i++) {
        group[i] = rank[root_of(up, i)];
        n = DUNE_MAX(n, (size_t)group[i] + 1);
    }
    dune_mem_free(key);
    dune_mem_free(rank);
    return n;
}

static void grouped_confusion(const struct shown *s, struct report_doc *d)
{
    uint32_t *up = DUNE_NEW_N(uint32_t, s->c.n_classes), *group = DUNE_NEW_N(uint32_t, s->c.n_classes);
    const char *label[GROUPS];
    char *text[GROUPS];
    size_t n;
    double *v;

    join_confused(&s->c, up);
    n = number_groups(s, up, group);
    for (size_t g = 0; g < n; g++) {
        size_t members = 0;
        uint32_t first = 0;

        for (uint32_t i = 0; i < s->c.n_classes; i++)
            if (group[i] == g) {
                first = members == 0 || s->support[i] > s->support[first] ? i : first;
                members++;
            }
        text[g] = members == 1 ? dune_mem_strdup(s->c.name[first])
                : g + 1 == GROUPS ? dune_mem_printf("%zu others", members)
                                  : dune_mem_printf("%.24s +%zu", s->c.name[first], members - 1);
        label[g] = text[g];
    }
    v = add_up(&s->c, group, n);
    draw_confusion(d, "confusion", "Confusion between groups of classes, %", "Classes that are taken for each other are in one group, "
                   "named after its largest class. The table below has the largest mistakes one by one.", label, n, v, NULL);
    for (size_t g = 0; g < n; g++)
        dune_mem_free(text[g]);
    dune_mem_free(v);
    dune_mem_free(up);
    dune_mem_free(group);
}

static void worst_table(const struct shown *s, struct report_doc *d)
{
    static const char *const heads[] = {"true class", "taken for", ">flows", ">% of the class"};
    size_t n;
    struct report_cell_value *m = mistakes(&s->c, &n);

    report_table(d, "The largest mistakes of the chain on the test flows", DUNE_ARRAY_LEN(heads), heads);
    for (size_t i = 0; i < n && i < WORST; i++) {
        report_cell(d, "%s", s->c.name[m[i].truth]);
        report_cell(d, "%s", s->c.name[m[i].said]);
        report_cell(d, "%.1f", m[i].flows);
        report_cell(d, "%s", report_percent(m[i].flows / s->support[m[i].truth]));
    }
    report_table_end(d);
    dune_mem_free(m);
}

static void class_table(const struct report *r, const struct shown *s, struct report_doc *d)
{
    static const char *const heads[] = {"class", ">block", ">test flows", ">precision", ">recall", ">F1", ">F1 by packets",
                                        ">F1 of the best single device"};
    const struct report_solution *sol = &r->sol[r->chain], *one = report_best_single(r);

    report_table(d, "Classes of the chain on the test flows", DUNE_ARRAY_LEN(heads) - (one ? 0 : 1), heads);
    for (size_t i = 0; i < s->n && i < ROWS; i++) {
        const char *name = s->c.name[s->order[i]];
        int block = s->block[s->order[i]];

        report_cell(d, "%s", name);
        if (s->n_blocks && block >= 0)
            report_cell(d, "%u", sol->plan->sub[block].id);
        else
            report_cell(d, "-");
        report_cell(d, "%s", report_count(class_value(sol, name, "support")));
        report_cell(d, "%s", report_f1(class_value(sol, name, "precision")));
        report_cell(d, "%s", report_f1(class_value(sol, name, "recall")));
        report_cell(d, "%s", report_f1(class_value(sol, name, "f1")));
        report_cell(d, "%s", report_f1(class_value(sol, name, "packet_f1")));
        if (one)
            report_cell(d, "%s", report_f1(class_value(one, name, "f1")));
    }
    report_table_end(d);
    if (s->n > ROWS)
        report_para(d, "The table has the first %d of %zu classes; metrics.json has all.", ROWS, s->n);
}

void report_classes(const struct report *r, struct report_doc *d)
{
    struct shown s = {0};

    if (!r->final || r->chain < 0)
        report_lack(d, "scores of classes: the run did not read the test captures.");
    else if (!shown_open(&s, &r->sol[r->chain]))
        report_lack(d, "scores of classes: metrics.json has no confusion of %s.", r->sol[r->chain].name);
    else {
        report_row(d, true);
        f1_figure(r, &s, d);
        if (s.n <= REPORT_MANY)
            class_confusion(&s, d);
        else
            grouped_confusion(&s, d);
        report_row(d, false);
        worst_table(&s, d);
        class_table(r, &s, d);
    }
    shown_close(&s);
}
