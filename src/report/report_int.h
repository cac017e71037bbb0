/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the report share: the run that was read, and the document that sections write. */
#ifndef DUNE_REPORT_INT_H
#define DUNE_REPORT_INT_H

#include <jansson.h>

#include "chart/chart.h"
#include "dune/plan.h"
#include "report/report.h"

/* --- report_data.c: a run directory in memory -------------------------------------------------------- */
enum { REPORT_MAX_SOLUTIONS = 12, REPORT_MANY = 40 }; /* classes that pictures show one by one */

struct report_solution {
    const char *name;         /* of the metrics */
    const json_t *result;     /* "solutions": NULL without test scores */
    const json_t *made;       /* "choices" */
    json_t *choice;           /* choice/NAME.json or NULL */
    const json_t *notes;      /* in it, or NULL */
    struct dune_plan *plan;   /* or NULL */
    bool scored;              /* has F1 on test */
    unsigned devices;         /* that have a sub-model */
};
struct report {
    char *dir;
    json_t *metrics;
    bool final;               /* test was read */
    size_t n;
    struct report_solution sol[REPORT_MAX_SOLUTIONS];
    int chain;                /* the planner's own solution, else the last with sub-models; -1: none */
    json_t *live, *pareto;    /* live.json, pareto.json; or NULL */
    json_t *steps;            /* "importance", "partition", "submodels", "order": see report_data.c */
};
/* NAN where there is no such number. */
double report_number(const json_t *o, const char *key);
/* "" where there is no such text. */
const char *report_string(const json_t *o, const char *key);
/* Flow-level result of a solution on test: macro, weighted, micro, coverage. */
double report_flow(const struct report_solution *s, const char *key);
const struct report_solution *report_find(const struct report *r, const char *name); /* NULL: not there */
/* The solution on one device with the highest macro F1 on test, or NULL. */
const struct report_solution *report_best_single(const struct report *r);
/* The paired difference of two solutions: false where metrics.json has none. */
struct report_difference {
    double mean, lo, hi;
};
bool report_diff(const struct report *r, const char *of, const char *over, struct report_difference *out);
/* Flow-level confusion of a result as a list of cells. */
struct report_cell_value {
    uint32_t truth, said; /* said = number of classes: unclaimed */
    double flows;
};
struct report_confusion {
    size_t n_classes, n;
    const char **name; /* [n_classes], borrowed */
    struct report_cell_value *cell;
};
/* Per class of c the place in the chain of the sub-model that owns it, or -1: block[n_classes]. Returns the
 * number of blocks; 0 where there is but one, or where classes have several (votes). */
unsigned report_block_of(const struct report_solution *s, const struct report_confusion *c, int *block);
bool report_confusion_read(struct report_confusion *c, const struct report_solution *s);
void report_confusion_fini(struct report_confusion *c);

/* --- report_doc.c: what a section writes ------------------------------------------------------------- */
struct report_doc {
    struct dune_buf *html, *text; /* each may be NULL */
    report_figure_fn figure;
    report_lack_fn lack;
    void *ctx;
    const char *section;
    /* the table under way */
    const char *caption;
    size_t n_cols;
    bool right[16];
    char *head[16];
    DUNE_VEC(char *) cells;
};
void report_head(struct report_doc *d, const char *text);
void report_para(struct report_doc *d, const char *fmt, ...) DUNE_PRINTF(2, 3);
/* Something is left out, and why. */
void report_lack(struct report_doc *d, const char *fmt, ...) DUNE_PRINTF(2, 3);
/* A column whose head starts with '>' is aligned right. The caption is borrowed until the end. */
void report_table(struct report_doc *d, const char *caption, size_t n_cols, const char *const *heads);
void report_cell(struct report_doc *d, const char *fmt, ...) DUNE_PRINTF(2, 3);
void report_table_end(struct report_doc *d);
/* name: [a-z0-9-]; the section's id is put before it. Empties svg. */
void report_figure(struct report_doc *d, const char *name, const char *caption, struct dune_buf *svg);
/* Figures between these stand side by side where there is room. */
void report_row(struct report_doc *d, bool begin);

/* Numbers as all sections write them, in a ring of buffers: valid until the 16th call from then. */
const char *report_f1(double v);      /* 0.907, or "-" for NAN */
const char *report_percent(double v); /* 93.9 of 0.939 */
const char *report_points(double v);  /* +2.1 of 0.021 */
const char *report_count(double v);   /* 21,948 */
const char *report_fixed(double v, unsigned decimals);

/* --- sections -------------------------------------------------------------------------------------- */
void report_summary(const struct report *r, struct report_doc *d);
void report_comparison(const struct report *r, struct report_doc *d);
void report_devices(const struct report *r, struct report_doc *d);
void report_classes(const struct report *r, struct report_doc *d);
void report_blocks(const struct report *r, struct report_doc *d);
void report_search(const struct report *r, struct report_doc *d);
/* The heat map of W, {"classes", "features", "w"} (section_steps.c). */
void report_importance(const json_t *im, const char *caption, struct report_doc *d);
void report_steps(const struct report *r, struct report_doc *d);
void report_features(const struct report *r, struct report_doc *d);
void report_open_world(const struct report *r, struct report_doc *d);
void report_trust(const struct report *r, struct report_doc *d);
void report_cost(const struct report *r, struct report_doc *d);
void report_p4(const struct report *r, struct report_doc *d);
void report_made(const struct report *r, struct report_doc *d);

#endif
