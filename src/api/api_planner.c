/* SPDX-License-Identifier: Apache-2.0 */
/* libdune: captures to data sets, data sets to plans, plans to scores. */
#include "dune/dune.h"

#include <string.h>

#include "base/base.h"
#include "dune/replay.h"
#include "dune/solution.h"

/* --- data sets ------------------------------------------------------------------------------------------ */

static int find_inputs(struct dune_inputs *in, const struct dune_dataset_options *o, struct dune_diag *d)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < o->n_train; i++)
        rc = dune_inputs_add_tree(in, o->train[i], d);
    for (size_t i = 0; rc == 0 && i < o->n_test; i++)
        rc = dune_inputs_add(in, o->test[i], DUNE_SPLIT_TEST, d);
    return rc ? rc : dune_inputs_check(in, d);
}

static int open_labels(struct dune_labels **out, const char *spec, const struct dune_labels_opts *lo, const struct dune_inputs *in,
                       const struct dune_captures *captures, struct dune_diag *d)
{
    const char **path = DUNE_NEW_N(const char *, in->len);
    struct dune_ndpi_report report;
    int rc;

    for (size_t i = 0; i < in->len; i++)
        path[i] = in->data[i].path;
    rc = dune_labels_open(out, spec, lo, path, in->len, captures, &report, d);
    dune_mem_free(path);
    return rc;
}

int dune_dataset_extract(struct dune_dataset **out, const struct dune_dataset_options *o, struct dune_diag *d)
{
    struct dune_extract_opts e = {.max_n = o->max_n, .threads = o->threads, .unlabelled = o->unlabelled};
    struct dune_labels_opts lo = {.field = o->label_field, .gateway_mac = o->gateway};
    struct dune_extract_report report;
    struct dune_labels *labels = NULL;
    struct dune_captures *captures = NULL;
    struct dune_inputs in = {0};
    int rc;

    dune_progress_set_quiet(true);
    if (!o->labels)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "a data set needs labels");
    e.min_flows = o->min_flows ? o->min_flows : dune_labels_are_ndpi(o->labels) ? 20 : 0;
    rc = dune_timeout_parse(o->timeout ? o->timeout : "60", &e.timeout, d);
    if (rc == 0)
        rc = find_inputs(&in, o, d);
    if (rc == 0 && o->captures)
        rc = dune_captures_read(&captures, o->captures, d);
    if (rc == 0)
        rc = open_labels(&labels, o->labels, &lo, &in, captures, d);
    if (rc == 0)
        rc = dune_extract(out, in.data, in.len, labels, captures, &e, &report, d);
    dune_captures_free(captures);
    dune_labels_free(labels);
    dune_inputs_fini(&in);
    return rc;
}

/* --- plans ------------------------------------------------------------------------------------------------ */

static int parse_effort(const char *text, enum dune_effort *out, struct dune_diag *d)
{
    static const char *const names[] = {"quick", "default", "full"};

    *out = DUNE_EFFORT_DEFAULT;
    for (int i = 0; text && i < (int)DUNE_ARRAY_LEN(names); i++)
        if (strcmp(text, names[i]) == 0) {
            *out = (enum dune_effort)i;
            return 0;
        }
    return text ? dune_diag_set(d, DUNE_E_USAGE, NULL, "effort is quick, default or full, not \"%.32s\"", text) : 0;
}
_Static_assert(DUNE_EFFORT_QUICK == 0 && DUNE_EFFORT_DEFAULT == 1 && DUNE_EFFORT_FULL == 2, "order of the names");

static int fill_planner(struct dune_planner_cfg *c, const struct dune_plan_options *o, struct dune_diag *d)
{
    int rc = dune_budget_parse(o->budget ? o->budget : "tight", &c->budget, d);

    c->devices = o->devices ? o->devices : 5;
    c->profile = o->profile ? o->profile : "engine";
    c->seed = o->seed ? o->seed : 1;
    c->threads = o->threads ? o->threads : dune_n_cpus();
    c->time_limit_s = o->time_limit_s;
    c->model = o->model;
    if (rc == 0 && o->distill) {
        int way = dune_distil_find(o->distill);

        if (way < 0)
            return dune_diag_set(d, DUNE_E_USAGE, NULL, "distill is auto, off or model, not \"%.32s\"", o->distill);
        c->distil = (enum dune_distil)way;
    }
    if (rc == 0 && !dune_profile_find(c->profile))
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "unknown profile %.64s", c->profile);
    if (rc == 0 && c->devices > DUNE_MAX_BLOCKS)
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "%u devices: at most %d can be planned for", c->devices,
                           DUNE_MAX_BLOCKS);
    if (rc == 0)
        rc = dune_feature_set_parse(o->features ? o->features : "all", 0, &c->features, d);
    return rc ? rc : parse_effort(o->effort, &c->effort, d);
}

int dune_plan_make(struct dune_plan **out, const struct dune_dataset *ds, const struct dune_plan_options *options,
                   double *train_macro, struct dune_diag *d)
{
    static const struct dune_plan_options defaults;
    const struct dune_plan_options *o = options ? options : &defaults;
    const char *name = o->solution ? o->solution : "dune";
    const struct dune_solution_ops *ops;
    struct dune_solution_job job = {.ds = ds, .all = ds};
    struct dune_solution_result r = {0};
    int rc;

    dune_progress_set_quiet(true);
    rc = dune_solution_get(&ops, name, d);
    if (rc == 0)
        rc = fill_planner(&job.cfg, o, d);
    if (rc == 0)
        rc = dune_solution_solve(ops, &job, &r, d);
    if (rc == 0) {
        *out = r.plan;
        r.plan = NULL;
        if (train_macro)
            *train_macro = r.train_macro;
    }
    dune_solution_result_fini(&r);
    return rc;
}

/* --- scores ---------------------------------------------------------------------------------------------- */

static struct dune_score score_of(const struct dune_f1 *f)
{
    return (struct dune_score){f->macro, f->weighted, f->micro, f->coverage};
}

static int add_paths(struct dune_inputs *in, const char *const *captures, size_t n, struct dune_diag *d)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = dune_inputs_add(in, captures[i], DUNE_SPLIT_TEST, d);
    return rc ? rc : dune_inputs_check(in, d);
}

static int score_files(struct dune_plan_scores *out, const struct dune_plan *p, const struct dune_inputs *in,
                       const struct dune_replay_opts *ro, struct dune_diag *d)
{
    const char **path = DUNE_NEW_N(const char *, in->len);
    struct dune_replay *r = NULL;
    int rc;

    for (size_t i = 0; i < in->len; i++)
        path[i] = in->data[i].path;
    rc = dune_replay_run(&r, p, path, in->len, ro, d);
    if (rc == 0)
        *out = (struct dune_plan_scores){.packets = r->packets, .inferable = r->inferable, .flows = r->flows,
                                    .flow = score_of(&r->flow.f1), .packet = score_of(&r->packet.f1)};
    dune_replay_free(r);
    dune_mem_free(path);
    return rc;
}

int dune_plan_score(struct dune_plan_scores *out, const struct dune_plan *p, const char *const *captures, size_t n,
                    const struct dune_score_options *o, struct dune_diag *d)
{
    struct dune_replay_opts ro = {.engine = o->engine ? o->engine : "fast", .bootstrap_draws = 1};
    struct dune_labels_opts lo = {.field = o->label_field, .gateway_mac = o->gateway};
    struct dune_labels *labels = NULL;
    struct dune_captures *list = NULL;
    struct dune_inputs in = {0};
    int rc;

    dune_progress_set_quiet(true);
    if (!o->labels)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "scores need labels");
    rc = add_paths(&in, captures, n, d);
    if (rc == 0 && o->captures)
        rc = dune_captures_read(&list, o->captures, d);
    if (rc == 0)
        rc = open_labels(&labels, o->labels, &lo, &in, list, d);
    ro.labels = labels;
    ro.captures = list;
    if (rc == 0)
        rc = score_files(out, p, &in, &ro, d);
    dune_captures_free(list);
    dune_labels_free(labels);
    dune_inputs_fini(&in);
    return rc;
}
