/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a run directory:
 *
 *   metrics.json         must be there (docs/formats/run.md)
 *   choice/NAME.json     what a solution chose and why      plans/NAME.json   its plan
 *   live.json            of demo live, also one level up    pareto.json       of plan --pareto
 */
#include "base/format.h"
#include "report/report_int.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_MB = 256 };

double report_number(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);

    return json_is_number(v) ? json_number_value(v) : NAN;
}

const char *report_string(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

double report_flow(const struct report_solution *s, const char *key)
{
    return report_number(json_object_get(s->result, "flow"), key);
}

const struct report_solution *report_find(const struct report *r, const char *name)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->sol[i].name, name) == 0)
            return &r->sol[i];
    return NULL;
}

const struct report_solution *report_best_single(const struct report *r)
{
    const struct report_solution *best = NULL;

    for (size_t i = 0; i < r->n; i++)
        if (r->sol[i].scored && r->sol[i].devices == 1 &&
            (!best || report_flow(&r->sol[i], "macro") > report_flow(best, "macro")))
            best = &r->sol[i];
    return best;
}

bool report_diff(const struct report *r, const char *of, const char *over, struct report_difference *out)
{
    const json_t *row;
    size_t i;

    json_array_foreach(json_object_get(r->metrics, "differences"), i, row) {
        const char *a = report_string(row, "of"), *b = report_string(row, "over");
        bool same = strcmp(a, of) == 0 && strcmp(b, over) == 0;
        bool turned = strcmp(a, over) == 0 && strcmp(b, of) == 0;

        if (!same && !turned)
            continue;
        out->mean = report_number(row, "macro") * (same ? 1 : -1);
        out->lo = same ? report_number(row, "low") : -report_number(row, "high");
        out->hi = same ? report_number(row, "high") : -report_number(row, "low");
        return true;
    }
    return false;
}

/* --- confusion ---------------------------------------------------------------------------------------- */
static void add_cell(struct report_confusion *c, uint32_t truth, uint32_t said, double flows)
{
    if (!(flows > 0) || truth >= c->n_classes || said > c->n_classes)
        return;
    c->cell[c->n++] = (struct report_cell_value){truth, said, flows};
}

static void read_dense(struct report_confusion *c, const json_t *rows)
{
    const json_t *row, *v;
    size_t i, j, total = 0;

    json_array_foreach(rows, i, row)
        total += json_array_size(row);
    c->cell = DUNE_NEW_N(struct report_cell_value, total + 1);
    json_array_foreach(rows, i, row)
        json_array_foreach(row, j, v)
            add_cell(c, (uint32_t)i, (uint32_t)j, json_number_value(v));
}

/* [[truth, said, flows], ...] */
static void read_sparse(struct report_confusion *c, const json_t *cells)
{
    const json_t *v;
    size_t i;

    c->cell = DUNE_NEW_N(struct report_cell_value, json_array_size(cells) + 1);
    json_array_foreach(cells, i, v) {
        json_int_t truth = json_integer_value(json_array_get(v, 0)), said = json_integer_value(json_array_get(v, 1));

        if (truth >= 0 && said >= 0 && truth <= UINT32_MAX && said <= UINT32_MAX)
            add_cell(c, (uint32_t)truth, (uint32_t)said, json_number_value(json_array_get(v, 2)));
    }
}

bool report_confusion_read(struct report_confusion *c, const struct report_solution *s)
{
    const json_t *names = json_object_get(s->result, "classes"), *v;
    const json_t *dense = json_object_get(s->result, "confusion"), *sparse = json_object_get(s->result, "confusion_cells");
    size_t i;

    memset(c, 0, sizeof(*c));
    if (!json_array_size(names) || (!dense && !sparse))
        return false;
    c->n_classes = json_array_size(names);
    c->name = DUNE_NEW_N(const char *, c->n_classes);
    json_array_foreach(names, i, v)
        c->name[i] = json_string_value(v) ? json_string_value(v) : "?";
    if (dense)
        read_dense(c, dense);
    else
        read_sparse(c, sparse);
    return true;
}

void report_confusion_fini(struct report_confusion *c)
{
    dune_mem_free(c->name);
    dune_mem_free(c->cell);
}

/* --- files ----------------------------------------------------------------------------------------------- */
/* *out stays NULL where there is no file. */
static int read_json(json_t **out, const char *dir, const char *name, struct dune_diag *d)
{
    char *path = dune_mem_printf("%s/%s", dir, name);
    json_error_t err;
    struct stat st;
    int rc = 0;

    *out = NULL;
    if (stat(path, &st) == 0) {
        if (st.st_size > (off_t)MAX_MB << 20)
            rc = dune_diag_set(d, DUNE_E_INPUT, path, "larger than %d MB", MAX_MB);
        else if (!(*out = json_load_file(path, 0, &err)))
            rc = dune_diag_set_line(d, DUNE_E_FORMAT, path, err.line > 0 ? (uint64_t)err.line : 0, "%s", err.text);
        else if (!json_is_object(*out))
            rc = dune_diag_set(d, DUNE_E_FORMAT, path, "not a JSON object");
    }
    dune_mem_free(path);
    return rc;
}

static char *find_dir(const char *dir)
{
    char *below = dune_mem_printf("%s/run", dir), *metrics = dune_mem_printf("%s/metrics.json", dir);
    bool here = dune_path_exists(metrics) || !dune_path_is_dir(below);

    dune_mem_free(metrics);
    if (!here)
        return below;
    dune_mem_free(below);
    return dune_mem_strdup(dir);
}

static int read_metrics(struct report *r, struct dune_diag *d)
{
    char *path = dune_mem_printf("%s/metrics.json", r->dir), *state = dune_mem_printf("%s/state.json", r->dir);
    static const struct dune_format known = {"a comparison", 1, 0, true};
    const char *format;
    int rc = 0;

    if (!dune_path_is_dir(r->dir))
        rc = dune_diag_set(d, DUNE_E_INPUT, r->dir, "no such directory");
    else if (!dune_path_exists(path) && dune_path_exists(state))
        rc = dune_diag_set(d, DUNE_E_INPUT, path,
                           "not there: the run did not finish; the same dunectl run goes on where it stopped");
    else if (!dune_path_exists(path))
        rc = dune_diag_set(d, DUNE_E_INPUT, path, "not there: this is no run directory; dunectl run -o DIR makes one");
    if (rc == 0)
        rc = read_json(&r->metrics, r->dir, "metrics.json", d);
    format = report_string(r->metrics, "format");
    if (rc == 0 && strcmp(format, "dune-metrics") != 0 && format[0])
        rc = dune_diag_set_place(d, DUNE_E_FORMAT, path, "format", "\"%.32s\" is not dune-metrics", format);
    else if (rc == 0)
        rc = dune_format_check_json(&known, r->metrics, "version", NULL, path, d);
    if (rc == 0 && !json_object_size(json_object_get(r->metrics, "choices")))
        rc = dune_diag_set_place(d, DUNE_E_INPUT, path, "choices", "no solutions in it");
    dune_mem_free(path);
    dune_mem_free(state);
    return rc;
}

static int read_plan(struct report *r, struct report_solution *s, struct dune_diag *d)
{
    char *path = dune_mem_printf("%s/plans/%s.json", r->dir, s->name);
    bool used[DUNE_MAX_DEVICES + 1] = {false};
    int rc = 0;

    if (dune_path_exists(path))
        rc = dune_plan_read(&s->plan, path, d);
    for (uint32_t i = 0; rc == 0 && s->plan && i < s->plan->n_submodels; i++)
        if (!used[s->plan->sub[i].device]) {
            used[s->plan->sub[i].device] = true;
            s->devices++;
        }
    dune_mem_free(path);
    return rc;
}

static int read_solution(struct report *r, const char *name, const json_t *made, struct dune_diag *d)
{
    struct report_solution *s = &r->sol[r->n];
    char *file = dune_mem_printf("choice/%s.json", name);
    int rc = 0;

    if (strchr(name, '/') || name[0] == '.' || !name[0])
        rc = dune_diag_set_place(d, DUNE_E_INPUT, "metrics.json", "choices", "\"%.32s\" is no name of a solution", name);
    else if (r->n == REPORT_MAX_SOLUTIONS)
        rc = dune_diag_set_place(d, DUNE_E_INPUT, "metrics.json", "choices", "more than %d solutions", REPORT_MAX_SOLUTIONS);
    if (rc == 0) {
        r->n++;
        s->name = name;
        s->made = made;
        s->result = json_object_get(json_object_get(r->metrics, "solutions"), name);
        s->scored = r->final && isfinite(report_flow(s, "macro"));
        rc = read_json(&s->choice, r->dir, file, d);
        s->notes = json_object_get(s->choice, "notes");
    }
    if (rc == 0)
        rc = read_plan(r, s, d);
    dune_mem_free(file);
    return rc;
}

static int read_live(struct report *r, struct dune_diag *d)
{
    char *above = dune_mem_printf("%s/..", r->dir);
    int rc = read_json(&r->live, r->dir, "live.json", d);

    if (rc == 0 && !r->live && strcmp(dune_path_base(r->dir), "run") == 0)
        rc = read_json(&r->live, above, "live.json", d);
    dune_mem_free(above);
    return rc;
}

int report_open(struct report **out, const char *dir, struct dune_diag *d)
{
    struct report *r = DUNE_NEW(struct report);
    const char *name;
    json_t *made;
    int rc;

    *out = NULL;
    r->dir = find_dir(dir);
    r->chain = -1;
    rc = read_metrics(r, d);
    r->final = json_is_true(json_object_get(r->metrics, "test_was_read"));
    if (rc == 0)
        json_object_foreach(json_object_get(r->metrics, "choices"), name, made) {
            rc = read_solution(r, name, made, d);
            if (rc)
                break;
            if (strcmp(name, "dune") == 0 || (r->sol[r->n - 1].devices && (r->chain < 0 || strcmp(r->sol[r->chain].name, "dune") != 0)))
                r->chain = (int)r->n - 1;
        }
    if (rc == 0)
        rc = read_live(r, d);
    if (rc == 0)
        rc = read_json(&r->pareto, r->dir, "pareto.json", d);
    if (rc == 0)
        *out = r;
    else
        report_free(r);
    return rc;
}

void report_free(struct report *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n; i++) {
        json_decref(r->sol[i].choice);
        dune_plan_free(r->sol[i].plan);
    }
    json_decref(r->metrics);
    json_decref(r->live);
    json_decref(r->pareto);
    json_decref(r->steps);
    dune_mem_free(r->dir);
    dune_mem_free(r);
}
