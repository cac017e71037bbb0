/* SPDX-License-Identifier: Apache-2.0 */
/* F1 against devices and resources: one plan per number of devices, and the smallest that is enough. */
#include "dune/pareto.h"

#include <string.h>

#include "base/base.h"

static void add_resources(struct dune_pareto_point *pt)
{
    bool used[DUNE_MAX_DEVICES + 1] = {false};

    for (uint32_t i = 0; i < pt->plan->n_submodels; i++)
        used[pt->plan->sub[i].device] = true;
    for (uint32_t i = 0; i < pt->plan->n_devices; i++) {
        struct dune_resources r;

        if (!used[i])
            continue;
        dune_resources_estimate(pt->plan, i, NULL, 2, &r);
        pt->used++;
        pt->leaves += r.leaves;
        pt->published_blocks += r.published_blocks;
        pt->state_bytes += r.register_bits / 8;
        pt->software_bytes += r.software_bytes;
    }
}

static int add_point(struct dune_pareto *p, const struct dune_solution_job *like, unsigned devices,
                     struct dune_budget budget, struct dune_diag *d)
{
    struct dune_solution_job job = *like;
    struct dune_solution_result r = {0};
    struct dune_pareto_point *pt;
    int rc;

    job.cfg.devices = devices;
    job.cfg.budget = budget;
    rc = dune_solution_dune.solve(&job, &r, d);
    if (rc == 0) {
        p->point = dune_mem_realloc(p->point, p->n + 1, sizeof(*p->point));
        pt = &p->point[p->n++];
        *pt = (struct dune_pareto_point){.devices = devices, .budget = budget, .macro = r.train_macro,
                                         .evaluations = r.evaluations, .plan = r.plan};
        r.plan = NULL;
        add_resources(pt);
    }
    dune_plan_free(r.plan);
    dune_mem_free(r.notes);
    return rc;
}

/* Is a at least as good as b in everything and better in something (or the earlier of two equals)? */
static bool dominates(const struct dune_pareto *p, size_t a, size_t b)
{
    const struct dune_pareto_point *x = &p->point[a], *y = &p->point[b];

    if (x->macro < y->macro || x->used > y->used || x->published_blocks > y->published_blocks ||
        x->state_bytes > y->state_bytes)
        return false;
    return x->macro > y->macro || x->used < y->used || x->published_blocks < y->published_blocks ||
           x->state_bytes < y->state_bytes || a < b;
}

static void mark_front(struct dune_pareto *p)
{
    for (size_t i = 0; i < p->n; i++) {
        p->point[i].front = true;
        for (size_t j = 0; j < p->n; j++)
            if (j != i && dominates(p, j, i))
                p->point[i].front = false;
    }
}

/* Smaller by devices, then leaves. */
static bool smaller(const struct dune_pareto_point *a, const struct dune_pareto_point *b)
{
    return a->used != b->used ? a->used < b->used : a->leaves < b->leaves;
}

static void choose(struct dune_pareto *p, double want)
{
    p->chosen = 0;
    for (size_t i = 1; i < p->n; i++) {
        const struct dune_pareto_point *best = &p->point[p->chosen], *x = &p->point[i];
        bool enough = want > 0 && x->macro >= want, had = want > 0 && best->macro >= want;

        if (enough != had ? enough : enough ? smaller(x, best) : x->macro > best->macro)
            p->chosen = i;
    }
}

/* Fewer leaves per device, as long as the wanted F1 is reached. */
static int shrink(struct dune_pareto *p, const struct dune_solution_job *job, double want, struct dune_diag *d)
{
    static const double share[] = {0.75, 0.5, 0.35, 0.25};
    unsigned devices = p->point[p->n - 1].devices;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < DUNE_ARRAY_LEN(share) && p->point[p->n - 1].macro >= want; i++) {
        struct dune_budget b = job->cfg.budget;

        b.leaves_sum = (uint32_t)(b.leaves_sum * share[i]);
        if (b.leaves_sum < 2)
            break;
        rc = add_point(p, job, devices, b, d);
    }
    return rc;
}

int dune_pareto_plan(struct dune_pareto *out, const struct dune_solution_job *job, double want_f1,
                     struct dune_diag *d)
{
    bool reached = false;
    int rc = 0;

    memset(out, 0, sizeof(*out));
    for (unsigned k = 1; rc == 0 && k <= DUNE_MIN(job->cfg.devices, DUNE_MAX_BLOCKS) && !reached; k++) {
        rc = add_point(out, job, k, job->cfg.budget, d);
        reached = rc == 0 && want_f1 > 0 && out->point[out->n - 1].macro >= want_f1;
    }
    if (rc == 0 && reached)
        rc = shrink(out, job, want_f1, d);
    if (rc)
        return rc;
    mark_front(out);
    choose(out, want_f1);
    if (want_f1 > 0 && !reached)
        return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL,
                             "no deployment on up to %u devices reaches macro F1 %.4f; the best has %.4f",
                             job->cfg.devices, want_f1, out->point[out->chosen].macro);
    return 0;
}

void dune_pareto_fini(struct dune_pareto *p)
{
    for (size_t i = 0; i < p->n; i++)
        dune_plan_free(p->point[i].plan);
    dune_mem_free(p->point);
    memset(p, 0, sizeof(*p));
}

void dune_pareto_csv(const struct dune_pareto *p, struct dune_buf *out)
{
    dune_buf_puts(out, "devices,leaves_allowed,features_allowed,devices_used,macro,leaves,published_blocks,"
                       "state_bytes,software_bytes,evaluations,front,chosen\n");
    for (size_t i = 0; i < p->n; i++) {
        const struct dune_pareto_point *x = &p->point[i];

        dune_buf_printf(out, "%u,%u,%u,%u,%.6f,%u,%u,%llu,%llu,%llu,%d,%d\n", x->devices, x->budget.leaves_sum,
                        x->budget.features_distinct, x->used, x->macro, x->leaves, x->published_blocks,
                        (unsigned long long)x->state_bytes, (unsigned long long)x->software_bytes,
                        (unsigned long long)x->evaluations, x->front, i == p->chosen);
    }
}

void dune_pareto_json(const struct dune_pareto *p, struct dune_buf *out)
{
    struct dune_jsonw w;

    dune_jsonw_init(&w, out);
    dune_jsonw_obj(&w);
    dune_jsonw_key(&w, "points");
    dune_jsonw_arr(&w);
    for (size_t i = 0; i < p->n; i++) {
        const struct dune_pareto_point *x = &p->point[i];

        dune_jsonw_obj_inline(&w);
        dune_jsonw_put_uint(&w, "devices", x->devices);
        dune_jsonw_put_uint(&w, "leaves_allowed", x->budget.leaves_sum);
        dune_jsonw_put_uint(&w, "features_allowed", x->budget.features_distinct);
        dune_jsonw_put_uint(&w, "devices_used", x->used);
        dune_jsonw_key(&w, "macro");
        dune_jsonw_fixed(&w, x->macro, 6);
        dune_jsonw_put_uint(&w, "leaves", x->leaves);
        dune_jsonw_put_uint(&w, "published_blocks", x->published_blocks);
        dune_jsonw_put_uint(&w, "state_bytes", x->state_bytes);
        dune_jsonw_put_uint(&w, "software_bytes", x->software_bytes);
        dune_jsonw_put_uint(&w, "evaluations", x->evaluations);
        dune_jsonw_key(&w, "front");
        dune_jsonw_bool(&w, x->front);
        dune_jsonw_end(&w);
    }
    dune_jsonw_end(&w);
    dune_jsonw_put_uint(&w, "chosen", p->chosen);
    dune_jsonw_end(&w);
    dune_buf_puts(out, "\n");
}
