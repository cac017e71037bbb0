/* SPDX-License-Identifier: Apache-2.0 */
/* What fewer devices would do: the best plan for 1 to as many devices as were given, planned at quick effort. */
#include "experiment/experiment_int.h"

#include <string.h>

#include "base/base.h"
#include "dune/model.h"
#include "dune/pareto.h"

static int key_of(const struct dune_run *r, dune_feature_mask features, char out[33], struct dune_diag *d)
{
    const struct dune_experiment *e = r->e;
    const char *file = e->model && strcmp(e->model, "xgboost") != 0 ? dune_model_file(e->model) : NULL;
    struct dune_run_key k;
    int rc;

    dune_run_key_init(&k);
    dune_run_key_text(&k, "pareto 1");
    dune_run_key_text(&k, r->ds->hash);
    dune_run_key_u64(&k, e->devices);
    dune_run_key_u64(&k, e->budget.leaves_sum);
    dune_run_key_u64(&k, e->budget.features_distinct);
    dune_run_key_text(&k, e->profile);
    dune_run_key_u64(&k, features);
    dune_run_key_u64(&k, e->seed);
    dune_run_key_text(&k, e->model ? e->model : "-");
    dune_run_key_u64(&k, e->distil);
    rc = file ? dune_run_key_file(&k, file, d) : 0;
    dune_run_key_finish(&k, out);
    return rc;
}

static int make_points(const struct dune_run *r, const char *path, unsigned threads, dune_feature_mask features,
                       struct dune_diag *d)
{
    const struct dune_experiment *e = r->e;
    struct dune_solution_job job = {.ds = r->ds};
    struct dune_buf json = {0};
    struct dune_pareto p;
    int rc;

    job.cfg = (struct dune_planner_cfg){.budget = e->budget, .devices = e->devices, .profile = e->profile,
                                        .effort = DUNE_EFFORT_QUICK, .features = features, .seed = e->seed,
                                        .threads = threads, .model = e->model, .distil = e->distil};
    rc = dune_pareto_plan(&p, &job, 0, d);
    if (rc == 0) {
        dune_pareto_json(&p, &json);
        rc = dune_file_write(path, json.data, json.len, d);
    }
    dune_buf_fini(&json);
    dune_pareto_fini(&p);
    return rc;
}

int dune_run_pareto(const struct dune_run *r, const char *dir, unsigned threads, dune_feature_mask features, bool *made,
                    struct dune_diag *d)
{
    char *path = dune_mem_printf("%s/pareto.json", dir), key[33];
    int rc = key_of(r, features, key, d);

    *made = rc == 0 && !dune_run_is_done(dir, "pareto.json", key);
    if (*made)
        rc = make_points(r, path, threads, features, d);
    if (rc == 0 && *made)
        rc = dune_run_mark_done(dir, "pareto.json", key, d);
    dune_mem_free(path);
    return rc;
}
