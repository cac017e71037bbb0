/* SPDX-License-Identifier: Apache-2.0 */
/* The whole job: data sets, one plan per solution, replay of the test captures, comparison. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "dune/model.h"
#include "experiment/experiment_int.h"

struct job {
    struct dune_run *r;
    const char *dir;
    const struct dune_run_opts *o;
    struct dune_run_inputs in;
    uint64_t evaluations; /* that dune spent, for the tuned solutions; 0: dune is not among them */
};

static void note(const struct job *j, const char *fmt, ...) DUNE_PRINTF(2, 3);
static void note(const struct job *j, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    if (!j->o->note)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    j->o->note(j->o->note_ctx, text);
}

static int plan_key(const struct job *j, const struct dune_run_solution *s, char out[33], struct dune_diag *d)
{
    const struct dune_solution_ops *ops = s->ops;
    const struct dune_experiment *e = j->r->e;
    const char *model = ops == &dune_solution_dune_paper || ops == &dune_solution_dune ? e->model : NULL;
    const char *file = model && strcmp(model, "xgboost") != 0 ? dune_model_file(model) : NULL;
    struct dune_run_key k;
    int rc;

    dune_run_key_init(&k);
    dune_run_key_text(&k, "plan 7");
    dune_run_key_text(&k, ops->name);
    if (ops == &dune_solution_dune_paper)
        dune_run_key_text(&k, "with its steps");
    dune_run_key_text(&k, j->r->ds->hash);
    dune_run_key_text(&k, ops->needs_all_packets ? j->r->all->hash : "-");
    dune_run_key_u64(&k, e->devices);
    dune_run_key_u64(&k, e->budget.leaves_sum);
    dune_run_key_u64(&k, e->budget.features_distinct);
    dune_run_key_text(&k, e->profile);
    dune_run_key_u64(&k, s->features);
    dune_run_key_u64(&k, e->seed);
    dune_run_key_u64(&k, s->effort);
    dune_run_key_u64(&k, e->tuned);
    dune_run_key_u64(&k, e->tuned && ops != &dune_solution_dune ? j->evaluations : 0);
    if (model)
        dune_run_key_text(&k, model);
    if (ops == &dune_solution_dune)
        dune_run_key_u64(&k, e->distil);
    rc = file ? dune_run_key_file(&k, file, d) : 0;
    dune_run_key_finish(&k, out);
    return rc;
}

/* The rows of the notes that every report shows. */
static void take_shortcuts(struct dune_run_solution *s, const json_t *notes)
{
    const json_t *row;
    size_t i;

    json_array_foreach(json_object_get(notes, "shortcuts"), i, row) {
        const char *name = json_string_value(json_object_get(row, "features"));
        struct dune_run_shortcut *to = &s->shortcut[s->n_shortcuts];

        if (!name || s->n_shortcuts == DUNE_ARRAY_LEN(s->shortcut))
            continue;
        snprintf(to->features, sizeof(to->features), "%s", name);
        to->macro = json_number_value(json_object_get(row, "macro"));
        to->change = json_number_value(json_object_get(row, "change"));
        s->n_shortcuts++;
    }
}

/* choice/<solution>.json: what the plan file itself does not say. */
static int write_choice(const struct job *j, struct dune_run_solution *s, const char *notes,
                        struct dune_diag *d)
{
    char *path = dune_mem_printf("%s/choice/%s.json", j->dir, s->label), *text;
    json_t *root = json_pack("{s:f, s:s, s:I}", "train_macro", s->train_macro, "judged_by", s->judged_by,
                             "evaluations", (json_int_t)s->evaluations);
    int rc;

    if (notes)
        json_object_set_new(root, "notes", json_loads(notes, 0, NULL));
    take_shortcuts(s, json_object_get(root, "notes"));
    text = json_dumps(root, JSON_INDENT(2));
    rc = dune_file_write(path, text, strlen(text), d);
    free(text);
    json_decref(root);
    dune_mem_free(path);
    return rc;
}

static bool read_choice(const struct job *j, struct dune_run_solution *s)
{
    char *path = dune_mem_printf("%s/choice/%s.json", j->dir, s->label);
    json_t *root = json_load_file(path, 0, NULL);
    const char *by = json_string_value(json_object_get(root, "judged_by"));

    if (by) {
        s->train_macro = json_number_value(json_object_get(root, "train_macro"));
        s->evaluations = (uint64_t)json_integer_value(json_object_get(root, "evaluations"));
        s->judged_by = dune_mem_strdup(by);
        take_shortcuts(s, json_object_get(root, "notes"));
    }
    json_decref(root);
    dune_mem_free(path);
    return s->judged_by != NULL;
}

static int solve(const struct job *j, struct dune_run_solution *s, const char *path, struct dune_diag *d)
{
    const struct dune_experiment *e = j->r->e;
    struct dune_solution_job job = {.ds = j->r->ds, .all = j->r->all, .tuned = e->tuned,
                                    .evaluations = j->evaluations};
    struct dune_solution_result res = {0};
    char *log = dune_mem_printf("%s/choice/%s.search", j->dir, s->label);
    uint64_t start = dune_now_ns();
    int rc;

    job.cfg = (struct dune_planner_cfg){.budget = e->budget, .devices = e->devices, .profile = e->profile,
                                        .effort = s->effort, .features = s->features, .seed = e->seed, .threads = j->o->threads,
                                        .background = e->unlabelled, .log = log,
                                        .distil = s->ops == &dune_solution_dune ? e->distil : DUNE_DISTIL_AUTO,
                                        .open_world = s->effort != DUNE_EFFORT_QUICK};
    if (s->ops == &dune_solution_dune || s->ops == &dune_solution_dune_paper)
        job.cfg.model = e->model;
    rc = dune_solution_solve(s->ops, &job, &res, d);
    if (rc == 0) {
        s->train_macro = res.train_macro;
        s->judged_by = dune_mem_strdup(res.judged_by ? res.judged_by : "");
        s->evaluations = res.evaluations;
        rc = write_choice(j, s, res.notes, d);
    }
    if (rc == 0)
        rc = dune_plan_write(res.plan, path, d);
    if (rc != DUNE_E_INTERRUPTED)
        remove(log);
    dune_mem_free(log);
    dune_solution_result_fini(&res);
    s->seconds = (double)(dune_now_ns() - start) / 1e9;
    return rc;
}

/* The plan that is compared is always the one read back from its file. */
static int make_plan(const struct job *j, struct dune_run_solution *s, struct dune_diag *d)
{
    char *file = dune_mem_printf("plans/%s.json", s->label);
    char *path = dune_mem_printf("%s/%s", j->dir, file), key[33];
    int rc = plan_key(j, s, key, d);

    if (rc == 0 && dune_run_is_done(j->dir, file, key) && read_choice(j, s)) {
        note(j, "%s: the plan is there already", s->label);
    } else if (rc == 0) {
        rc = solve(j, s, path, d);
        if (rc == 0)
            rc = dune_run_mark_done(j->dir, file, key, d);
        if (rc == 0)
            note(j, "%s: planned in %.1f s", s->label, s->seconds);
    }
    if (rc == 0)
        rc = dune_plan_read(&s->plan, path, d);
    dune_mem_free(file);
    dune_mem_free(path);
    return rc;
}

static int prepare_data(struct job *j, struct dune_diag *d)
{
    struct dune_run *r = j->r;
    bool reused, need_all = false;
    int rc = dune_run_inputs_open(&j->in, r->e, d);

    if (rc == 0)
        rc = dune_run_inputs_write(&j->in, r->e, j->dir, d);
    if (rc == 0)
        rc = dune_run_dataset(&r->ds, r->e, &j->in, j->dir, "rows.dset", r->e->max_n, j->o->threads,
                              &r->report, &r->extract_reused, d);
    if (rc)
        return rc;
    r->ndpi = j->in.ndpi;
    if (r->ndpi.used)
        note(j, "nDPI %s knows %llu of %llu connections and guesses %llu", dune_ndpi_version(),
             (unsigned long long)r->ndpi.known, (unsigned long long)r->ndpi.flows, (unsigned long long)r->ndpi.guessed);
    if (r->report.rare_classes)
        note(j, "%u classes with too few flows count as unlabelled, with %llu flows: %s", r->report.rare_classes,
             (unsigned long long)r->report.rare_flows, r->report.rare);
    note(j, "data: %llu flows, %llu rows, %u classes%s", (unsigned long long)r->ds->n_flows,
         (unsigned long long)r->ds->n_rows, r->ds->n_classes, r->extract_reused ? " (there already)" : "");
    for (size_t i = 0; i < r->n; i++)
        need_all |= r->sol[i].ops->needs_all_packets;
    if (need_all) {
        struct dune_extract_report ignored;

        rc = dune_run_dataset(&r->all, r->e, &j->in, j->dir, "rows-all.dset", UINT32_MAX, j->o->threads,
                              &ignored, &reused, d);
    }
    return rc;
}

static int make_dirs(const char *dir, struct dune_diag *d)
{
    static const char *const sub[] = {"plans", "choice", "verdicts"};
    int rc = dune_mkdirs(dir, d);

    for (size_t i = 0; rc == 0 && i < DUNE_ARRAY_LEN(sub); i++) {
        char *path = dune_mem_printf("%s/%s", dir, sub[i]);

        rc = dune_mkdirs(path, d);
        dune_mem_free(path);
    }
    return rc;
}

static int write_results(const struct job *j, struct dune_diag *d)
{
    struct dune_buf json = {0}, csv = {0};
    char *path = dune_mem_printf("%s/metrics.json", j->dir);
    int rc;

    dune_run_json(j->r, &json);
    rc = dune_file_write(path, json.data, json.len, d);
    dune_mem_free(path);
    path = dune_mem_printf("%s/compare.csv", j->dir);
    dune_run_csv(j->r, &csv);
    if (rc == 0)
        rc = dune_file_write(path, csv.data, csv.len, d);
    dune_mem_free(path);
    dune_buf_fini(&json);
    dune_buf_fini(&csv);
    return rc;
}

/* What is to be planned: the solutions of the experiment, then the rows of the ablation. */
static int list_solutions(struct job *j, struct dune_diag *d)
{
    const struct dune_experiment *e = j->r->e;
    dune_feature_mask given = 0;
    int rc = dune_feature_set_parse(e->features, 0, &given, d);

    j->r->n = e->solutions.len;
    j->r->sol = DUNE_NEW_N(struct dune_run_solution, j->r->n);
    for (size_t i = 0; i < j->r->n; i++) {
        const struct dune_solution_ops *ops = dune_solution_find(e->solutions.data[i]);

        j->r->sol[i] = (struct dune_run_solution){.ops = ops, .label = ops->name, .features = given,
                                                  .effort = e->effort};
    }
    if (rc == 0 && j->o->ablation)
        dune_run_ablation_rows(j->r, given);
    return rc;
}

static int plan_and_replay(struct job *j, struct dune_run_solution *s, size_t n, bool replay,
                           struct dune_diag *d)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && !replay && i < n; i++) /* first, as tuned solutions get what it spent */
        if (s[i].ops == &dune_solution_dune) {
            rc = make_plan(j, &s[i], d);
            if (!s[i].title) /* not a row of the ablation */
                j->evaluations = s[i].evaluations;
        }
    for (size_t i = 0; rc == 0 && !replay && i < n; i++)
        if (s[i].ops != &dune_solution_dune)
            rc = make_plan(j, &s[i], d);
    for (size_t i = 0; rc == 0 && replay && i < n; i++) {
        rc = dune_run_replay(j->r, &s[i], j->dir, &j->in, j->o, d);
        if (rc == 0)
            note(j, "%s: replayed", s[i].label);
    }
    return rc;
}

static int make_front(const struct job *j, struct dune_diag *d)
{
    dune_feature_mask given = 0;
    bool made = false;
    int rc = dune_feature_set_parse(j->r->e->features, 0, &given, d);

    if (rc == 0)
        rc = dune_run_pareto(j->r, j->dir, j->o->threads, given, &made, d);
    if (rc == 0)
        note(j, made ? "planned for every number of devices" : "the plans for every number of devices are there already");
    return rc;
}

int dune_experiment_run(struct dune_run **out, const struct dune_experiment *e, const char *dir,
                        const struct dune_run_opts *o, struct dune_diag *d)
{
    struct job j = {.dir = dir, .o = o};
    int rc = dune_experiment_check(e, d);

    *out = NULL;
    if (rc)
        return rc;
    j.r = DUNE_NEW(struct dune_run);
    j.r->e = e;
    rc = list_solutions(&j, d);
    if (rc == 0)
        rc = make_dirs(dir, d);
    if (rc == 0)
        rc = prepare_data(&j, d);
    if (rc == 0 && o->pareto)
        rc = make_front(&j, d);
    for (int replay = 0; rc == 0 && replay <= o->final; replay++) { /* all choices before test is read */
        rc = plan_and_replay(&j, j.r->sol, j.r->n, replay, d);
        if (rc == 0)
            rc = plan_and_replay(&j, j.r->ablation, j.r->n_ablation, replay, d);
    }
    if (rc == 0)
        rc = write_results(&j, d);
    dune_run_inputs_close(&j.in);
    if (rc)
        dune_run_free(j.r);
    else
        *out = j.r;
    return rc;
}

static void free_solutions(const struct dune_run *r, struct dune_run_solution *sol, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct dune_run_solution *s = &sol[i];

        dune_plan_free(s->plan);
        dune_replay_free(s->replay);
        dune_mem_free(s->judged_by);
        for (uint32_t g = 0; s->group && g < r->n_groups; g++)
            dune_confusion_fini(&s->group[g]);
        dune_mem_free(s->group);
    }
    dune_mem_free(sol);
}

void dune_run_free(struct dune_run *r)
{
    if (!r)
        return;
    free_solutions(r, r->sol, r->n);
    free_solutions(r, r->ablation, r->n_ablation);
    dune_dataset_free(r->ds);
    dune_dataset_free(r->all);
    dune_mem_free(r);
}
