/* SPDX-License-Identifier: Apache-2.0 */
/* A plan on a network: what fits where, what it costs, and the plan afterwards. */
#include "place/place_int.h"

#include <string.h>
#include <time.h>

const char *dune_place_goal_name(enum dune_place_goal g)
{
    static const char *const name[] = {"devices", "resources", "latency"};

    return name[g];
}

/* --- what fits ---------------------------------------------------------------------------------------------- */

static uint64_t leaves_of(const struct dune_submodel *sm)
{
    uint64_t n = 0;

    for (uint32_t t = 0; t < sm->n_trees; t++)
        n += sm->tree[t].n_leaves;
    return n;
}

struct use {
    uint64_t leaves;
    dune_feature_mask features;
};

static void use_add(struct use *u, const struct dune_submodel *sm)
{
    u->leaves += leaves_of(sm);
    for (uint32_t j = 0; j < sm->n_feats; j++)
        u->features |= UINT64_C(1) << sm->feat[j].feat;
}

static bool within(const struct use *u, const struct dune_budget *b)
{
    return (b->leaves_sum == 0 || u->leaves <= b->leaves_sum) &&
           (b->features_distinct == 0 || (uint32_t)__builtin_popcountll(u->features) <= b->features_distinct);
}

/* How far a run that begins at i goes under a budget. */
static uint32_t budget_reach(const struct dune_plan *p, const struct dune_budget *b, uint32_t i)
{
    struct use u = {0};

    for (; i < p->n_submodels; i++) {
        use_add(&u, &p->sub[i]);
        if (!within(&u, b))
            break;
    }
    return i;
}

/* Under a profile: the run alone on a device, with slots and hash bent to it. */
static uint32_t profile_reach(struct dune_plan *bent, const struct dune_profile *prof, uint32_t i)
{
    struct dune_resources r;

    for (uint32_t end = i; end < bent->n_submodels; end++) {
        for (uint32_t k = 0; k < bent->n_submodels; k++)
            bent->sub[k].device = (uint16_t)(k < i || k > end);
        dune_resources_estimate(bent, 0, prof, 2, &r);
        if (!r.fits)
            return end;
    }
    return bent->n_submodels;
}

struct fits { /* by profile, filled when asked for */
    const struct dune_plan *p;
    const char *name[16];
    uint8_t *reach[16];
    uint32_t n;
};

static const uint8_t *fits_profile(struct fits *f, const char *name)
{
    const struct dune_profile *prof = dune_profile_find(name);
    struct dune_plan *bent;

    for (uint32_t i = 0; i < f->n; i++)
        if (strcmp(f->name[i], name) == 0)
            return f->reach[i];
    if (!prof || f->n == DUNE_ARRAY_LEN(f->name))
        return NULL;
    bent = dune_plan_clone(f->p);
    dune_plan_retarget(bent, prof, 2);
    f->reach[f->n] = DUNE_NEW_N(uint8_t, f->p->n_submodels + 1);
    for (uint32_t k = 0; k < f->p->n_submodels; k++)
        f->reach[f->n][k] = (uint8_t)profile_reach(bent, prof, k);
    dune_plan_free(bent);
    f->name[f->n] = name;
    return f->reach[f->n++];
}

static uint8_t *make_reach(const struct dune_plan *p, const struct dune_topology *t)
{
    uint32_t m = p->n_submodels;
    uint8_t *reach = DUNE_NEW_N(uint8_t, (size_t)t->n * (m + 1));
    struct fits f = {.p = p};

    for (uint32_t v = 0; v < t->n; v++) {
        const uint8_t *prof = t->dev[v].fits_profile && !t->dev[v].plain ? fits_profile(&f, t->dev[v].profile) : NULL;
        uint8_t *mine = reach + (size_t)v * (m + 1);

        for (uint32_t i = 0; i <= m; i++) {
            mine[i] = (uint8_t)(t->dev[v].plain ? i : budget_reach(p, &t->dev[v].budget, i));
            if (prof && i < m)
                mine[i] = DUNE_MIN(mine[i], prof[i]);
        }
    }
    for (uint32_t i = 0; i < f.n; i++)
        dune_mem_free(f.reach[i]);
    return reach;
}

/* --- what it costs -------------------------------------------------------------------------------------------- */

/* The share of all packets that pass a device, when sources send by their hosts and every link is as likely as another. */
static double *make_shares(const struct dune_topology *t)
{
    double *share = DUNE_NEW_N(double, t->n), hosts = 0, sources = 0;

    for (uint32_t v = 0; v < t->n; v++)
        if (t->prev_at[v] == t->prev_at[v + 1]) {
            hosts += t->dev[v].hosts;
            sources++;
        }
    for (uint32_t i = 0; i < t->n; i++) {
        uint32_t v = t->order[i], n = t->next_at[v + 1] - t->next_at[v];

        if (t->prev_at[v] == t->prev_at[v + 1])
            share[v] = hosts > 0 ? t->dev[v].hosts / hosts : 1 / sources;
        for (uint32_t e = t->next_at[v]; e < t->next_at[v + 1]; e++)
            share[t->next[e]] += share[v] / n;
    }
    return share;
}

static uint32_t *make_weights(const struct dune_plan *p, const struct dune_topology *t, enum dune_place_goal goal)
{
    uint32_t m = p->n_submodels, *w;
    double *share;

    if (goal == DUNE_PLACE_DEVICES)
        return NULL;
    w = DUNE_NEW_N(uint32_t, (size_t)t->n * m);
    share = make_shares(t);
    for (uint32_t v = 0; v < t->n; v++)
        for (uint32_t k = 0; k < m; k++)
            w[(size_t)v * m + k] = goal == DUNE_PLACE_RESOURCES
                                       ? (uint32_t)leaves_of(&p->sub[k])
                                       : (uint32_t)(share[v] * t->dev[v].submodel_ns * 1024 + 0.5);
    dune_mem_free(share);
    return w;
}

static void measure(const struct dune_plan *p, const struct dune_topology *t, struct dune_placement *x)
{
    double *share = make_shares(t), *way = DUNE_NEW_N(double, t->n);

    for (uint32_t i = 0; i < t->n; i++) {
        uint32_t v = t->order[i], held = (uint32_t)(x->answer.out[v] - x->answer.in[v]);
        double ns = t->dev[v].hop_ns + (double)held * t->dev[v].submodel_ns;

        x->devices += held > 0;
        x->most = DUNE_MAX(x->most, held);
        for (uint32_t k = x->answer.in[v]; k < x->answer.out[v]; k++)
            x->leaves += leaves_of(&p->sub[k]);
        x->mean_ns += share[v] * ns;
        way[v] += ns;
        x->worst_ns = DUNE_MAX(x->worst_ns, way[v]);
        for (uint32_t e = t->next_at[v]; e < t->next_at[v + 1]; e++)
            way[t->next[e]] = DUNE_MAX(way[t->next[e]], way[v]);
    }
    dune_mem_free(share);
    dune_mem_free(way);
}

/* --- the plan afterwards ---------------------------------------------------------------------------------------- */

static uint32_t least(uint32_t a, uint32_t b)
{
    return a == 0 ? b : b == 0 ? a : DUNE_MIN(a, b);
}

/* Positions of the chain: where any device begins or ends, one ends and the next begins. */
static void make_positions(const struct dune_plan *p, const struct dune_topology *t, struct dune_placement *x,
                           uint16_t of[DUNE_MAX_SUBMODELS + 1])
{
    bool begins[DUNE_MAX_SUBMODELS + 1] = {false};
    const uint8_t *in = x->answer.in, *out = x->answer.out;

    for (uint32_t v = 0; v < t->n; v++)
        if (out[v] > in[v])
            begins[in[v]] = begins[out[v]] = true;
    x->n_positions = 0;
    for (uint32_t k = 0; k <= p->n_submodels; k++) {
        x->n_positions += k < p->n_submodels && begins[k];
        of[k] = (uint16_t)(x->n_positions - (k < p->n_submodels));
    }
    x->first = DUNE_NEW_N(uint16_t, t->n);
    x->last = DUNE_NEW_N(uint16_t, t->n);
    x->uniform = true;
    for (uint32_t v = 0; v < t->n; v++) {
        bool holds = out[v] > in[v];

        x->first[v] = holds ? of[in[v]] : 1;
        x->last[v] = holds ? of[out[v] - 1] : 0;
        x->uniform &= !holds || x->first[v] == x->last[v];
    }
}

static void rewrite(struct dune_plan *p, const struct dune_topology *t, struct dune_placement *x)
{
    uint16_t of[DUNE_MAX_SUBMODELS + 1];

    make_positions(p, t, x, of);
    dune_devices_free(p->device, p->n_devices);
    p->n_devices = x->n_positions;
    p->device = DUNE_NEW_N(struct dune_plan_device, p->n_devices);
    for (uint32_t i = 0; i < p->n_devices; i++)
        p->device[i].name = dune_mem_printf("p%u", i + 1);
    for (uint32_t v = 0; v < t->n; v++)
        for (uint32_t i = x->first[v]; i <= x->last[v]; i++) {
            struct dune_plan_device *dev = &p->device[i];

            if (!dev->profile)
                dev->profile = dune_mem_strdup(t->dev[v].profile);
            dev->budget.leaves_sum = least(dev->budget.leaves_sum, t->dev[v].budget.leaves_sum);
            dev->budget.features_distinct = least(dev->budget.features_distinct, t->dev[v].budget.features_distinct);
        }
    for (uint32_t k = 0; k < p->n_submodels; k++)
        p->sub[k].device = of[k];
}

/* --- why not ---------------------------------------------------------------------------------------------------------- */

static int explain(const struct dune_plan *p, const struct dune_topology *t, const uint32_t *path, const uint8_t *in,
                   const uint8_t *out, struct dune_diag *d)
{
    struct dune_buf names = {0};
    uint32_t n = 0, last = UINT32_MAX, sink;
    struct use u = {0};
    const struct dune_budget *b;

    for (; path[n] != UINT32_MAX; n++) {
        if (n < 12)
            dune_buf_printf(&names, "%s%.32s", n ? " - " : "", t->dev[path[n]].name);
        if (!t->dev[path[n]].plain)
            last = path[n];
    }
    if (n > 12)
        dune_buf_printf(&names, " - and %u more", n - 12);
    sink = path[n - 1];
    if (last == UINT32_MAX) {
        dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "path %s: all its devices are plain, none can hold a sub-model", names.data);
    } else {
        b = &t->dev[last].budget;
        for (uint32_t k = in[last]; k <= out[sink]; k++)
            use_add(&u, &p->sub[k]);
        if (within(&u, b))
            dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "path %s meets %u of %u sub-models: sub-model %u does not fit profile %s "
                          "on %.64s", names.data, out[sink], p->n_submodels, p->sub[out[sink]].id, t->dev[last].profile,
                          t->dev[last].name);
        else
            dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "path %s meets %u of %u sub-models: with sub-model %u, %.64s would hold "
                          "%llu leaves and %u features, its budget is leaves_sum %u, features_distinct %u", names.data,
                          out[sink], p->n_submodels, p->sub[out[sink]].id, t->dev[last].name,
                          (unsigned long long)u.leaves, (uint32_t)__builtin_popcountll(u.features), b->leaves_sum,
                          b->features_distinct);
    }
    dune_buf_fini(&names);
    return DUNE_E_INFEASIBLE;
}

static double cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int dune_place_plan(struct dune_plan *p, const struct dune_topology *t, enum dune_place_goal goal,
                    struct dune_placement *out, struct dune_diag *d)
{
    double begin = cpu_seconds();
    uint8_t *reach = make_reach(p, t);
    uint32_t *weight = make_weights(p, t, goal), *stuck = DUNE_NEW_N(uint32_t, (size_t)t->n + 1);
    struct dune_place_job job = {.net = t, .m = p->n_submodels, .reach = reach, .weight = weight};
    struct dune_diag general = {0}; /* without names */
    int rc;

    *out = (struct dune_placement){.goal = goal};
    rc = dune_place_solve(&job, &out->answer, stuck, &general);
    if (rc == DUNE_E_INFEASIBLE)
        rc = explain(p, t, stuck, out->answer.in, out->answer.out, d);
    else if (rc && d)
        *d = general;
    if (rc == 0) {
        measure(p, t, out);
        rewrite(p, t, out);
        out->seconds = cpu_seconds() - begin;
    }
    dune_mem_free(reach);
    dune_mem_free(weight);
    dune_mem_free(stuck);
    if (rc)
        dune_placement_fini(out);
    return rc;
}

void dune_placement_fini(struct dune_placement *x)
{
    dune_place_answer_fini(&x->answer);
    dune_mem_free(x->first);
    dune_mem_free(x->last);
    x->first = x->last = NULL;
}
