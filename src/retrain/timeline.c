/* SPDX-License-Identifier: Apache-2.0 */
/* The same traffic seen window by window: a plan that stays, and one that is refitted. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "dune/retrain.h"
#include "dune/solution.h"

struct place {
    uint64_t at;
    uint64_t flow;
    uint16_t cls;
};

static int by_time(const void *x, const void *y)
{
    const struct place *a = x, *b = y;

    if (a->cls != b->cls)
        return a->cls < b->cls ? -1 : 1;
    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    return (a->flow > b->flow) - (a->flow < b->flow);
}

/* Window of every flow: every class is cut into the same number of equal parts in time, so that windows differ
 * in how classes look and not in which classes there are. */
static void cut_windows(const struct dune_dataset *ds, const struct dune_timeline_cfg *cfg, uint8_t *window)
{
    struct place *p = dune_mem_alloc(ds->n_flows, sizeof(*p));

    for (uint64_t k = 0; k < ds->n_flows; k++)
        p[k] = (struct place){.at = cfg->capture_order ? 0 : ds->flow_start[k], .flow = k, .cls = ds->flow_class[k]};
    qsort(p, ds->n_flows, sizeof(*p), by_time);
    for (uint64_t i = 0, end; i < ds->n_flows; i = end) {
        for (end = i; end < ds->n_flows && p[end].cls == p[i].cls; end++)
            ;
        for (uint64_t k = i; k < end; k++)
            window[p[k].flow] = (uint8_t)((k - i) * cfg->windows / (end - i));
    }
    dune_mem_free(p);
}

struct line {
    const struct dune_dataset *ds;
    const struct dune_timeline_cfg *cfg;
    struct dune_timeline *t;
    uint8_t *window, *use; /* [n_flows] */
    struct dune_drift_profile *profile;
    struct dune_drift_counts seen;
};

/* A data set whose train flows are those of the windows before `end`. */
static struct dune_dataset split_at(const struct line *l, unsigned end, uint8_t *split)
{
    struct dune_dataset ds = *l->ds;

    for (uint64_t k = 0; k < ds.n_flows; k++)
        split[k] = l->window[k] < end ? DUNE_SPLIT_TRAIN : DUNE_SPLIT_TEST;
    ds.flow_split = split;
    return ds;
}

static int first_plan(struct line *l, struct dune_diag *d)
{
    uint8_t *split = dune_mem_alloc(l->ds->n_flows, 1);
    struct dune_dataset ds = split_at(l, l->t->first, split);
    struct dune_solution_result r = {0};
    struct dune_solution_job job = {.ds = &ds, .cfg = l->cfg->plan};
    int rc = dune_solution_solve(&dune_solution_dune, &job, &r, d);

    l->t->plan = r.plan;
    l->t->train_macro = r.train_macro;
    r.plan = NULL;
    if (rc == 0)
        rc = dune_drift_learn(&l->profile, l->t->plan, &ds, l->ds->n_flows / l->cfg->windows, d);
    dune_solution_result_fini(&r);
    dune_mem_free(split);
    return rc;
}

static void use_windows(struct line *l, unsigned from, unsigned end)
{
    for (uint64_t k = 0; k < l->ds->n_flows; k++)
        l->use[k] = l->window[k] >= from && l->window[k] < end;
}

/* The windows before w; for classes without a flow there, all that was before. */
static void use_history(struct line *l, unsigned w)
{
    bool *seen = DUNE_NEW_N(bool, l->ds->n_classes);

    use_windows(l, w > l->t->history ? w - l->t->history : 0, w);
    for (uint64_t k = 0; k < l->ds->n_flows; k++)
        seen[l->ds->flow_class[k]] |= l->use[k];
    for (uint64_t k = 0; k < l->ds->n_flows; k++)
        l->use[k] |= !seen[l->ds->flow_class[k]] && l->window[k] < w;
    dune_mem_free(seen);
}

static int check_drift(struct line *l, struct dune_timeline_point *pt, struct dune_diag *d)
{
    struct dune_drift_check check;
    struct dune_buf names = {0};
    int rc;

    dune_drift_counts_clear(&l->seen);
    rc = dune_drift_count_flows(&l->seen, l->t->plan, l->ds, l->use, d);
    if (rc)
        return rc;
    dune_drift_compare(&check, l->profile, l->t->plan, &l->seen);
    pt->answers = check.answers;
    pt->moved = check.n_features_moved;
    pt->claims_moved = check.n_moved - check.n_features_moved - check.n_leaves_moved;
    pt->alarm = check.alarm;
    dune_drift_moved(&check, l->t->plan, 4, &names);
    pt->names = names.data; /* yours from here on */
    dune_drift_check_fini(&check);
    return 0;
}

static int run_window(struct line *l, unsigned w, struct dune_diag *d)
{
    struct dune_timeline_point *pt = &l->t->point[l->t->n++];
    struct dune_plan *fresh = NULL;
    struct dune_judged j;
    int rc;

    pt->window = w;
    use_history(l, w);
    rc = dune_refit(&fresh, l->t->plan, l->ds, l->use, l->cfg->plan.seed, l->cfg->plan.threads, d);
    use_windows(l, w, w + 1);
    if (rc == 0)
        rc = check_drift(l, pt, d);
    if (rc == 0)
        rc = dune_plans_judge(&j, l->t->plan, fresh, l->ds, l->use, l->cfg->plan.seed, d);
    if (rc == 0) {
        pt->flows = j.flows;
        pt->fixed = j.macro[0];
        pt->retrained = j.macro[1];
    }
    dune_plan_free(fresh);
    return rc;
}

static int check_cfg(struct dune_timeline *t, const struct dune_dataset *ds, const struct dune_timeline_cfg *cfg,
                     struct dune_diag *d)
{
    if (cfg->windows < 2 || cfg->windows > 200)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "%u windows: 2 to 200 are possible", cfg->windows);
    t->first = cfg->first ? cfg->first : DUNE_MAX(cfg->windows / 4, 1u);
    t->history = cfg->history ? cfg->history : t->first;
    if (t->first >= cfg->windows)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "the first plan takes %u of %u windows: none is left to look at",
                             t->first, cfg->windows);
    if (ds->n_flows < (uint64_t)cfg->windows * 20)
        return dune_diag_set(d, DUNE_E_INPUT, NULL, "%llu flows are too few for %u windows",
                             (unsigned long long)ds->n_flows, cfg->windows);
    return 0;
}

int dune_timeline_run(struct dune_timeline *out, const struct dune_dataset *ds, const struct dune_timeline_cfg *cfg,
                      struct dune_diag *d)
{
    struct line l = {.ds = ds, .cfg = cfg, .t = out};
    int rc;

    memset(out, 0, sizeof(*out));
    rc = check_cfg(out, ds, cfg, d);
    if (rc)
        return rc;
    l.window = dune_mem_alloc(ds->n_flows, 1);
    l.use = dune_mem_alloc(ds->n_flows, 1);
    out->point = DUNE_NEW_N(struct dune_timeline_point, cfg->windows);
    cut_windows(ds, cfg, l.window);
    rc = first_plan(&l, d);
    if (rc == 0)
        dune_drift_counts_init(&l.seen, out->plan);
    for (unsigned w = out->first; rc == 0 && w < cfg->windows; w++) {
        if (dune_interrupted())
            rc = dune_diag_set(d, DUNE_E_INTERRUPTED, NULL, "interrupted");
        else
            rc = run_window(&l, w, d);
    }
    dune_drift_counts_fini(&l.seen);
    dune_drift_profile_free(l.profile);
    dune_mem_free(l.window);
    dune_mem_free(l.use);
    if (rc)
        dune_timeline_fini(out);
    return rc;
}

void dune_timeline_fini(struct dune_timeline *t)
{
    for (size_t i = 0; i < t->n; i++)
        dune_mem_free(t->point[i].names);
    dune_mem_free(t->point);
    dune_plan_free(t->plan);
    memset(t, 0, sizeof(*t));
}
