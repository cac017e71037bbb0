/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Choices on a part of the training flows. The time of a search grows with the rows that it fits; what is gained
 * by more of them shrinks much faster. So beyond a number of rows the search looks at a drawn part: of every
 * class its share, but no fewer than FEW flows as long as there are as many. Flows of a class of which more
 * than its share was drawn weigh less, so that scores, class weights and leaves mean what they mean on all
 * flows. The plan is fitted to all of them.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "dune/solution.h"
#include "planner/planner_int.h"

enum { FEW = 200 };

static uint64_t rows_wanted(const struct dune_planner_cfg *cfg)
{
    static const uint64_t rows[] = {60000, 120000, UINT64_MAX};

    return cfg->search_rows ? cfg->search_rows : rows[cfg->effort];
}

struct drawn {
    uint64_t key;
    uint32_t flow;
    uint16_t cls;
};

static int by_draw(const void *a, const void *b)
{
    const struct drawn *x = a, *y = b;

    if (x->cls != y->cls)
        return x->cls < y->cls ? -1 : 1;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return (x->flow > y->flow) - (x->flow < y->flow);
}

/* The training flows by class, in drawn order; *rows: packets that the search would look at. */
static struct drawn *draw(const struct dune_dataset *ds, unsigned max_n, uint64_t seed, size_t *n, uint64_t *rows)
{
    struct drawn *flow = dune_mem_alloc(ds->n_flows, sizeof(*flow));

    *n = 0;
    *rows = 0;
    for (uint64_t f = 0; f < ds->n_flows; f++) {
        if (ds->flow_split[f] != DUNE_SPLIT_TRAIN)
            continue;
        *rows += DUNE_MIN(ds->flow_row[f + 1] - ds->flow_row[f], (uint64_t)max_n);
        flow[(*n)++] = (struct drawn){.key = dune_mix64(seed, f), .flow = (uint32_t)f, .cls = ds->flow_class[f]};
    }
    return flow;
}

/* Marks the drawn flows and gives every class the weight of its flows, in 1/65536. */
static void take(const struct drawn *flow, size_t n, double rate, uint8_t *use, uint32_t *weight)
{
    for (size_t i = 0, end; i < n; i = end) {
        size_t all, keep;

        for (end = i; end < n && flow[end].cls == flow[i].cls; end++)
            continue;
        all = end - i;
        keep = DUNE_MAX((size_t)ceil(rate * (double)all), DUNE_MIN(all, (size_t)FEW));
        for (size_t k = 0; k < keep; k++)
            use[flow[i + k].flow] = 1;
        weight[flow[i].cls] = (uint32_t)DUNE_MAX(lround(65536 * rate * (double)all / (double)keep), 1L);
    }
}

int dune_search_sample(struct dune_search *s, const struct dune_dataset *ds, unsigned max_n, struct dune_diag *d)
{
    uint64_t wanted = rows_wanted(s->cfg), rows;
    size_t n;
    struct drawn *flow = draw(ds, max_n, s->cfg->seed, &n, &rows);
    uint32_t *weight = DUNE_NEW_N(uint32_t, ds->n_classes);
    uint8_t *use = rows > wanted ? DUNE_NEW_N(uint8_t, ds->n_flows) : NULL;
    int rc;

    s->n_train = n;
    if (use) {
        dune_sort(flow, n, sizeof(*flow), by_draw);
        take(flow, n, (double)wanted / (double)rows, use, weight);
    }
    dune_mem_free(flow);
    rc = dune_space_new(&s->space, ds, DUNE_SPLIT_TRAIN, use, max_n, s->cfg->threads, d);
    if (rc == 0 && use)
        dune_space_weigh(s->space, weight);
    dune_mem_free(use);
    dune_mem_free(weight);
    return rc;
}

int dune_search_whole(struct dune_search *whole, const struct dune_search *s, struct dune_diag *d)
{
    int rc;

    *whole = *s;
    if (s->space->n_flows == s->n_train)
        return 0;
    whole->log = NULL;
    whole->space = NULL;
    whole->searched = NULL;
    memset(whole->judge, 0, sizeof(whole->judge));
    rc = dune_space_new(&whole->space, s->space->ds, DUNE_SPLIT_TRAIN, NULL, s->space->max_n, s->cfg->threads, d);
    return rc ? rc : dune_search_change_folds(whole, 0, d);
}

void dune_search_whole_close(struct dune_search *whole, const struct dune_search *s)
{
    if (whole->space == s->space)
        return;
    whole->advice = NULL; /* lent */
    dune_search_close(whole);
}

/* Every block fitted, in chain order, and compiled. */
static int fit_plan(struct dune_search *s, const struct dune_chain_spec *spec, const unsigned *order,
                    const struct dune_solution_job *job, struct dune_plan **out, struct dune_diag *d)
{
    struct dune_fit *fit[DUNE_MAX_BLOCKS] = {0};
    uint8_t id[DUNE_MAX_BLOCKS];
    int rc = dune_search_prepare(s, spec, d);

    for (unsigned i = 0; rc == 0 && i < spec->n_blocks; i++) {
        id[i] = (uint8_t)order[i];
        rc = dune_search_fit(s, spec, order[i], &fit[i], d);
    }
    if (rc == 0)
        rc = dune_plan_from_fits(out, s->space, fit, id, spec->n_blocks, spec->n_blocks, &spec->rule, &job->cfg.budget,
                                 job->cfg.profile ? job->cfg.profile : "engine", d);
    for (unsigned b = 0; b < spec->n_blocks; b++)
        dune_fit_free(fit[b]);
    return rc;
}

int dune_search_plan(const struct dune_search *s, const struct dune_chain_spec *spec, const unsigned *order,
                     const struct dune_solution_job *job, struct dune_plan **out, struct dune_diag *d)
{
    struct dune_search whole;
    int rc = dune_search_whole(&whole, s, d);

    if (rc == 0)
        rc = fit_plan(&whole, spec, order, job, out, d);
    dune_search_whole_close(&whole, s);
    return rc;
}
