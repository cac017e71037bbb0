/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.json and compare.csv of a run. */
#include <string.h>

#include "experiment/experiment_int.h"

static void put_data(const struct dune_dataset *ds, struct dune_jsonw *w)
{
    uint64_t flows[2] = {0}, captures[2] = {0};

    for (uint64_t i = 0; i < ds->n_flows; i++)
        flows[ds->flow_split[i] == DUNE_SPLIT_TEST]++;
    for (uint32_t i = 0; i < ds->n_captures; i++)
        captures[ds->capture_split[i] == DUNE_SPLIT_TEST]++;
    dune_jsonw_key(w, "data");
    dune_jsonw_obj_inline(w);
    dune_jsonw_put_str(w, "hash", ds->hash);
    dune_jsonw_put_uint(w, "classes", ds->n_classes);
    dune_jsonw_put_uint(w, "flows", ds->n_flows);
    dune_jsonw_put_uint(w, "train_flows", flows[0]);
    dune_jsonw_put_uint(w, "test_flows", flows[1]);
    dune_jsonw_put_uint(w, "train_captures", captures[0]);
    dune_jsonw_put_uint(w, "test_captures", captures[1]);
    dune_jsonw_end(w);
}

static void put_settings(const struct dune_run *r, struct dune_jsonw *w)
{
    static const char *const effort[] = {"quick", "default", "full"};
    const struct dune_experiment *e = r->e;

    dune_jsonw_put_str(w, "format", "dune-metrics");
    dune_jsonw_put_uint(w, "version", 1);
    dune_jsonw_put_str(w, "name", e->name);
    put_data(r->ds, w);
    dune_jsonw_put_uint(w, "devices", e->devices);
    dune_jsonw_key(w, "budget");
    dune_jsonw_obj_inline(w);
    dune_jsonw_put_uint(w, "leaves_sum", e->budget.leaves_sum);
    dune_jsonw_put_uint(w, "features_distinct", e->budget.features_distinct);
    dune_jsonw_end(w);
    dune_jsonw_put_str(w, "profile", e->profile);
    dune_jsonw_put_str(w, "features", e->features);
    dune_jsonw_put_str(w, "effort", effort[e->effort]);
    dune_jsonw_key(w, "tuned");
    dune_jsonw_bool(w, e->tuned);
    dune_jsonw_put_uint(w, "seed", e->seed);
}

static void put_shortcuts(const struct dune_run_solution *s, struct dune_jsonw *w)
{
    dune_jsonw_key(w, "shortcuts");
    dune_jsonw_arr_inline(w);
    for (unsigned i = 0; i < s->n_shortcuts; i++) {
        dune_jsonw_obj_inline(w);
        dune_jsonw_key(w, "features");
        dune_jsonw_str(w, s->shortcut[i].features);
        dune_jsonw_key(w, "train_macro");
        dune_jsonw_fixed(w, s->shortcut[i].macro, 4);
        dune_jsonw_key(w, "train_change");
        dune_jsonw_fixed(w, s->shortcut[i].change, 4);
        dune_jsonw_end(w);
    }
    dune_jsonw_end(w);
}

static void put_choice(const struct dune_run_solution *s, struct dune_jsonw *w)
{
    dune_jsonw_obj_inline(w);
    dune_jsonw_key(w, "train_macro");
    dune_jsonw_fixed(w, s->train_macro, 6);
    dune_jsonw_key(w, "judged_by");
    dune_jsonw_str(w, s->judged_by);
    dune_jsonw_key(w, "evaluations");
    dune_jsonw_uint(w, s->evaluations);
    if (s->n_shortcuts)
        put_shortcuts(s, w);
    dune_jsonw_end(w);
}

/* Every pair once: the later solution of the experiment minus the earlier one. */
static void put_differences(const struct dune_run *r, struct dune_jsonw *w)
{
    dune_jsonw_key(w, "differences");
    dune_jsonw_arr(w);
    for (size_t a = 1; a < r->n; a++) {
        for (size_t b = 0; b < a; b++) {
            struct dune_interval iv = dune_run_difference(r, a, b);

            dune_jsonw_obj_inline(w);
            dune_jsonw_key(w, "of");
            dune_jsonw_str(w, r->sol[a].ops->name);
            dune_jsonw_key(w, "over");
            dune_jsonw_str(w, r->sol[b].ops->name);
            dune_jsonw_key(w, "macro");
            dune_jsonw_fixed(w, iv.mean, 6);
            dune_jsonw_key(w, "low");
            dune_jsonw_fixed(w, iv.lo, 6);
            dune_jsonw_key(w, "high");
            dune_jsonw_fixed(w, iv.hi, 6);
            dune_jsonw_end(w);
        }
    }
    dune_jsonw_end(w);
    dune_jsonw_key(w, "intervals_over");
    dune_jsonw_str(w, r->groups_are_captures ? "captures" : "flows");
}

/* What is known about a solution without the test captures. */
static void put_folds(const struct dune_run_solution *s, struct dune_jsonw *w)
{
    dune_jsonw_obj(w);
    dune_jsonw_key(w, "folds");
    dune_jsonw_obj_inline(w);
    dune_jsonw_key(w, "macro");
    if (s->train_macro > 0)
        dune_jsonw_fixed(w, s->train_macro, 6);
    else
        dune_jsonw_null(w);
    dune_jsonw_put_str(w, "judged_by", s->judged_by);
    dune_jsonw_end(w);
    dune_plan_resources_json(s->plan, w);
    dune_jsonw_end(w);
}

static void put_solutions(const struct dune_run *r, bool final, struct dune_jsonw *w)
{
    dune_jsonw_key(w, "solutions");
    dune_jsonw_obj(w);
    for (size_t i = 0; i < r->n; i++) {
        dune_jsonw_key(w, r->sol[i].ops->name);
        if (final)
            dune_replay_json(r->sol[i].replay, r->sol[i].plan, w);
        else
            put_folds(&r->sol[i], w);
    }
    dune_jsonw_end(w);
}

void dune_run_json(const struct dune_run *r, struct dune_buf *out)
{
    struct dune_jsonw w;
    bool final = r->n && r->sol[0].replay;

    dune_jsonw_init(&w, out);
    dune_jsonw_obj(&w);
    put_settings(r, &w);
    dune_jsonw_key(&w, "test_was_read");
    dune_jsonw_bool(&w, final);
    dune_jsonw_key(&w, "choices");
    dune_jsonw_obj(&w);
    for (size_t i = 0; i < r->n; i++) {
        dune_jsonw_key(&w, r->sol[i].ops->name);
        put_choice(&r->sol[i], &w);
    }
    dune_jsonw_end(&w);
    if (r->n_ablation)
        dune_run_ablation_json(r, &w);
    put_solutions(r, final, &w);
    if (final)
        put_differences(r, &w);
    dune_jsonw_end(&w);
}

void dune_run_csv(const struct dune_run *r, struct dune_buf *out)
{
    dune_buf_puts(out, "solution,train_macro,judged_by,submodels,flow_macro,flow_weighted,flow_micro,"
                       "packet_macro,packet_weighted,packet_micro,coverage\n");
    for (size_t i = 0; i < r->n; i++) {
        const struct dune_run_solution *s = &r->sol[i];

        dune_buf_printf(out, "%s,%.6f,", s->ops->name, s->train_macro);
        dune_csv_put(out, s->judged_by);
        dune_buf_printf(out, ",%u", s->plan->n_submodels);
        if (s->replay) {
            const struct dune_f1 *f = &s->replay->flow.f1, *p = &s->replay->packet.f1;

            dune_buf_printf(out, ",%.6f,%.6f,%.6f,%.6f,%.6f,%.6f,%.6f", f->macro, f->weighted, f->micro,
                            p->macro, p->weighted, p->micro, f->coverage);
        } else {
            dune_buf_puts(out, ",,,,,,,");
        }
        dune_buf_puts(out, "\n");
    }
}
