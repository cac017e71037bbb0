/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/place_report.h"

enum { MOST_ROWS = 60 }; /* larger networks are printed by layer */

/* Latency is counted in 1/1024 ns. */
static double unit_of(const struct dune_placement *x)
{
    return x->goal == DUNE_PLACE_LATENCY ? 1024 : 1;
}

static void put_ids(struct dune_jsonw *w, const struct dune_plan *p, uint32_t from, uint32_t to)
{
    dune_jsonw_key(w, "submodels");
    dune_jsonw_arr_inline(w);
    for (uint32_t k = from; k < to; k++)
        dune_jsonw_uint(w, p->sub[k].id);
    dune_jsonw_end(w);
}

static void put_load(struct dune_jsonw *w, const struct dune_place_load *l)
{
    dune_jsonw_put_uint(w, "packets", l->packets);
    dune_jsonw_put_uint(w, "flows", l->flows);
    dune_jsonw_key(w, "busy"), dune_jsonw_fixed(w, l->busy, 4);
    dune_jsonw_key(w, "mean_ns"), dune_jsonw_fixed(w, l->mean_ns, 1);
    dune_jsonw_key(w, "p99_ns"), dune_jsonw_fixed(w, l->p99_ns, 1);
}

static void put_device(struct dune_jsonw *w, const struct dune_plan *p, const struct dune_topology *t,
                       const struct dune_placement *x, uint32_t v, const struct dune_place_load *load)
{
    dune_jsonw_obj_inline(w);
    dune_jsonw_put_str(w, "name", t->dev[v].name);
    dune_jsonw_put_str(w, "profile", t->dev[v].profile);
    dune_jsonw_put_uint(w, "layer", t->dev[v].layer);
    dune_jsonw_key(w, "positions");
    dune_jsonw_arr_inline(w);
    for (uint32_t i = x->first[v]; i <= x->last[v]; i++)
        dune_jsonw_uint(w, i + 1);
    dune_jsonw_end(w);
    put_ids(w, p, x->answer.in[v], x->answer.out[v]);
    if (load)
        put_load(w, load);
    dune_jsonw_end(w);
}

static void put_traffic(struct dune_jsonw *w, const struct dune_place_traffic *a)
{
    dune_jsonw_key(w, "traffic");
    dune_jsonw_obj(w);
    dune_jsonw_put_uint(w, "flows", a->flows);
    dune_jsonw_put_uint(w, "packets", a->packets);
    dune_jsonw_key(w, "seconds"), dune_jsonw_fixed(w, a->seconds, 6);
    dune_jsonw_key(w, "packets_per_second"), dune_jsonw_fixed(w, a->pps, 0);
    dune_jsonw_key(w, "mean_ns"), dune_jsonw_fixed(w, a->mean_ns, 1);
    dune_jsonw_key(w, "p50_ns"), dune_jsonw_fixed(w, a->p50_ns, 1);
    dune_jsonw_key(w, "p99_ns"), dune_jsonw_fixed(w, a->p99_ns, 1);
    dune_jsonw_end(w);
}

void place_report_json(struct dune_buf *out, const struct dune_plan *p, const struct dune_topology *t,
                       const struct dune_placement *x, const struct dune_place_traffic *traffic)
{
    const struct dune_place_answer *a = &x->answer;
    struct dune_jsonw w;

    dune_jsonw_init(&w, out);
    dune_jsonw_obj(&w);
    dune_jsonw_put_str(&w, "objective", dune_place_goal_name(x->goal));
    dune_jsonw_key(&w, "cost"), dune_jsonw_fixed(&w, (double)a->cost / unit_of(x), x->goal == DUNE_PLACE_LATENCY);
    dune_jsonw_key(&w, "bound"), dune_jsonw_fixed(&w, (double)a->bound / unit_of(x), x->goal == DUNE_PLACE_LATENCY);
    dune_jsonw_put_bool(&w, "optimal", a->cost == a->bound);
    dune_jsonw_put_uint(&w, "network_devices", t->n);
    dune_jsonw_put_uint(&w, "links", t->n_links);
    dune_jsonw_put_uint(&w, "devices", x->devices);
    dune_jsonw_key(&w, "devices_one_submodel_each");
    if (a->single == UINT32_MAX)
        dune_jsonw_null(&w);
    else
        dune_jsonw_uint(&w, a->single);
    dune_jsonw_put_uint(&w, "most_submodels", x->most);
    dune_jsonw_put_uint(&w, "leaves", x->leaves);
    dune_jsonw_key(&w, "mean_ns"), dune_jsonw_fixed(&w, x->mean_ns, 1);
    dune_jsonw_key(&w, "worst_ns"), dune_jsonw_fixed(&w, x->worst_ns, 1);
    dune_jsonw_put_bool(&w, "uniform", x->uniform);
    dune_jsonw_key(&w, "cpu_seconds"), dune_jsonw_fixed(&w, x->seconds, 3);
    dune_jsonw_key(&w, "positions");
    dune_jsonw_arr(&w);
    for (uint32_t i = 0, k = 0; i < p->n_devices; i++) {
        uint32_t end = k;

        while (end < p->n_submodels && p->sub[end].device == i)
            end++;
        dune_jsonw_obj_inline(&w);
        dune_jsonw_put_str(&w, "name", p->device[i].name);
        put_ids(&w, p, k, end);
        dune_jsonw_end(&w);
        k = end;
    }
    dune_jsonw_end(&w);
    if (traffic)
        put_traffic(&w, traffic);
    dune_jsonw_key(&w, "placement");
    dune_jsonw_arr(&w);
    for (uint32_t v = 0; v < t->n; v++)
        put_device(&w, p, t, x, v, traffic ? &traffic->dev[v] : NULL);
    dune_jsonw_end(&w);
    dune_jsonw_end(&w);
}

/* --- text ------------------------------------------------------------------------------------------------------ */

static void cell_ids(struct cli_table *table, const struct dune_plan *p, uint32_t from, uint32_t to)
{
    struct dune_buf ids = {0};

    for (uint32_t k = from; k < to; k++)
        dune_buf_printf(&ids, "%s%u", ids.len ? ", " : "", p->sub[k].id);
    cli_table_cell(table, "%s", ids.len ? ids.data : "-");
    dune_buf_fini(&ids);
}

static void cells_load(struct cli_table *table, const struct dune_place_load *l)
{
    cli_table_cell(table, "%llu", (unsigned long long)l->flows);
    cli_table_cell(table, "%.1f %%", l->busy * 100);
    cli_table_cell(table, "%.0f", l->mean_ns);
    cli_table_cell(table, "%.0f", l->p99_ns);
}

static void devices_table(struct cli_ctx *ctx, const struct dune_plan *p, const struct dune_topology *t,
                          const struct dune_placement *x, const struct dune_place_traffic *traffic)
{
    struct cli_table table;

    cli_table_init(&table, traffic ? 8 : 4, (const char *[]){"device", ">layer", ">positions", "sub-models", ">flows",
                                                              ">busy", ">mean ns", ">p99 ns"});
    for (uint32_t v = 0; v < t->n; v++) {
        cli_table_cell(&table, "%s", t->dev[v].name);
        cli_table_cell(&table, "%u", t->dev[v].layer);
        if (x->last[v] < x->first[v])
            cli_table_cell(&table, "-");
        else if (x->last[v] == x->first[v])
            cli_table_cell(&table, "%u", x->first[v] + 1);
        else
            cli_table_cell(&table, "%u-%u", x->first[v] + 1, x->last[v] + 1);
        cell_ids(&table, p, x->answer.in[v], x->answer.out[v]);
        if (traffic)
            cells_load(&table, &traffic->dev[v]);
    }
    cli_print_table(ctx, &table);
}

struct layer {
    uint32_t n, holding, from, to;
    double busy, most, p99;
};

static void layers_table(struct cli_ctx *ctx, const struct dune_topology *t, const struct dune_placement *x,
                         const struct dune_place_traffic *traffic)
{
    struct layer *layer = DUNE_NEW_N(struct layer, t->n);
    struct cli_table table;
    uint32_t n = 0;

    for (uint32_t v = 0; v < t->n; v++) {
        struct layer *l = &layer[t->dev[v].layer];
        bool holds = x->last[v] >= x->first[v];

        n = DUNE_MAX(n, t->dev[v].layer + 1);
        l->n++;
        l->from = !holds ? l->from : l->holding ? DUNE_MIN(l->from, x->first[v]) : x->first[v];
        l->to = holds ? DUNE_MAX(l->to, x->last[v]) : l->to;
        l->holding += holds;
        if (traffic) {
            l->busy += traffic->dev[v].busy;
            l->most = DUNE_MAX(l->most, traffic->dev[v].busy);
            l->p99 = DUNE_MAX(l->p99, traffic->dev[v].p99_ns);
        }
    }
    cli_table_init(&table, traffic ? 7 : 4, (const char *[]){"layer", ">devices", ">holding", ">positions", ">busy, mean",
                                                              ">busiest", ">p99 ns, worst"});
    for (uint32_t i = 0; i < n; i++) {
        cli_table_cell(&table, "%u", i);
        cli_table_cell(&table, "%u", layer[i].n);
        cli_table_cell(&table, "%u", layer[i].holding);
        if (layer[i].holding)
            cli_table_cell(&table, "%u-%u", layer[i].from + 1, layer[i].to + 1);
        else
            cli_table_cell(&table, "-");
        if (traffic) {
            cli_table_cell(&table, "%.1f %%", layer[i].busy * 100 / layer[i].n);
            cli_table_cell(&table, "%.1f %%", layer[i].most * 100);
            cli_table_cell(&table, "%.0f", layer[i].p99);
        }
    }
    cli_print_table(ctx, &table);
    dune_mem_free(layer);
}

static void tell_bound(struct cli_ctx *ctx, const struct dune_placement *x)
{
    static const char *const words[] = {"devices", "leaves", "ns in sub-models on the mean way"};
    const struct dune_place_answer *a = &x->answer;
    const char *what = words[x->goal];

    if (a->cost == a->bound)
        cli_out(ctx, "proved: no placement has less (%s: %.0f)\n", what, (double)a->cost / unit_of(x));
    else
        cli_out(ctx, "%s: %.0f, no placement has less than %.0f (at most %.1f %% above the least)\n", what,
                (double)a->cost / unit_of(x), (double)a->bound / unit_of(x),
                100.0 * (double)(a->cost - a->bound) / (double)a->bound);
    if (a->single == UINT32_MAX)
        cli_out(ctx, "one sub-model per device: impossible on this network\n");
    else
        cli_out(ctx, "one sub-model per device: %u devices\n", a->single);
}

void place_report_text(struct cli_ctx *ctx, const struct dune_plan *p, const struct dune_topology *t,
                       const struct dune_placement *x, const struct dune_place_traffic *traffic)
{
    cli_out(ctx, "%u of %u devices hold %u sub-models in %u positions; %llu leaves; %.0f ns on the mean way, %.0f ns on the "
            "worst\n", x->devices, t->n, p->n_submodels, x->n_positions, (unsigned long long)x->leaves, x->mean_ns,
            x->worst_ns);
    tell_bound(ctx, x);
    if (t->n <= MOST_ROWS)
        devices_table(ctx, p, t, x, traffic);
    else
        layers_table(ctx, t, x, traffic);
    if (traffic)
        cli_out(ctx, "%llu packets of %llu flows, %.2f M packets/s: %.0f ns on the way in the median, %.0f ns at p99\n",
                (unsigned long long)traffic->packets, (unsigned long long)traffic->flows, traffic->pps / 1e6,
                traffic->p50_ns, traffic->p99_ns);
}
