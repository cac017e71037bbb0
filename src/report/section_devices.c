/* SPDX-License-Identifier: Apache-2.0 */
/* Devices of the chain: who decides, resources against budget, time. */
#include <math.h>
#include <string.h>

#include "report/report_int.h"

enum { MAX_SHOWN = 32 };

/* --- who decides -------------------------------------------------------------------------------------- */
struct deciders {
    size_t n;
    const char *name[MAX_SHOWN + 2];
    double right[MAX_SHOWN + 2], wrong[MAX_SHOWN + 2], flows;
};

static bool read_deciders(const struct report_solution *s, struct deciders *x)
{
    const json_t *list = json_object_get(s->result, "decided"), *row;
    size_t i;

    memset(x, 0, sizeof(*x));
    x->flows = report_number(s->result, "flows");
    if (!json_array_size(list) || !(x->flows > 0))
        return false;
    json_array_foreach(list, i, row) {
        const char *device = report_string(row, "device");
        size_t at;

        for (at = 0; at < x->n && strcmp(x->name[at], device) != 0; at++)
            ;
        at = DUNE_MIN(at, MAX_SHOWN);
        x->name[at] = at == MAX_SHOWN ? "the others" : device;
        x->n = DUNE_MAX(x->n, at + 1);
        x->right[at] += report_number(row, "right");
        x->wrong[at] += report_number(row, "wrong");
    }
    return true;
}

static void deciders_figure(const struct deciders *x, const char *solution, struct report_doc *d)
{
    char *caption = dune_mem_printf("Test flows of %s by the device whose answer decided (a flow's packets may be decided by several), and "
                                    "whether the class was right. Unclaimed flows count as wrong.", solution);
    struct chart_node node[MAX_SHOWN + 6] = {{"all test flows", 0, CHART_COLOURS}};
    struct chart_ribbon ribbon[3 * MAX_SHOWN + 9];
    struct chart_flow c = {.title = "Who decides", .desc = "Flows by the device whose answer decided, and whether it was right.",
                           .node = node, .ribbon = ribbon, .total = x->flows};
    double decided = 0;
    unsigned none, right, wrong;

    for (size_t i = 0; i < x->n; i++)
        node[1 + i] = (struct chart_node){x->name[i], 1, (unsigned)(i % CHART_COLOURS)};
    none = (unsigned)x->n + 1, right = none + 1, wrong = none + 2;
    node[none] = (struct chart_node){"no claim", 1, CHART_COLOURS};
    node[right] = (struct chart_node){"right", 2, 2};
    node[wrong] = (struct chart_node){"wrong", 2, 1};
    c.n_nodes = wrong + 1;
    for (size_t i = 0; i < x->n; i++) {
        ribbon[c.n_ribbons++] = (struct chart_ribbon){0, (unsigned)i + 1, x->right[i] + x->wrong[i]};
        decided += x->right[i] + x->wrong[i];
    }
    ribbon[c.n_ribbons++] = (struct chart_ribbon){0, none, fmax(x->flows - decided, 0)};
    for (size_t i = 0; i < x->n; i++)
        ribbon[c.n_ribbons++] = (struct chart_ribbon){(unsigned)i + 1, right, x->right[i]};
    for (size_t i = 0; i < x->n; i++)
        ribbon[c.n_ribbons++] = (struct chart_ribbon){(unsigned)i + 1, wrong, x->wrong[i]};
    ribbon[c.n_ribbons++] = (struct chart_ribbon){none, wrong, fmax(x->flows - decided, 0)};
    struct dune_buf svg = {0};

    chart_flow_svg(&svg, &c);
    report_figure(d, "claims", caption, &svg);
    dune_mem_free(caption);
}

/* Under the rule votes all decide together: then another chain of several devices is shown. */
static void deciders_part(const struct report *r, const struct report_solution *s, struct report_doc *d)
{
    struct deciders x;

    for (size_t i = 0; s->plan->claim == DUNE_CLAIM_VOTES && i < r->n; i++)
        if (r->sol[i].devices > 1 && r->sol[i].plan->claim != DUNE_CLAIM_VOTES)
            s = &r->sol[i];
    if (s->plan->claim != DUNE_CLAIM_VOTES && read_deciders(s, &x))
        deciders_figure(&x, s->name, d);
}

/* --- what devices hold -------------------------------------------------------------------------------------- */
static void budget_bars(const struct dune_plan *p, bool leaves, struct report_doc *d)
{
    struct chart_bar bar[MAX_SHOWN];
    const struct dune_budget *b = &p->device[0].budget;
    struct chart_bars c = {.title = leaves ? "Leaves per device" : "Features per device", .bar = bar, .mark_name = "budget",
                           .desc = "One bar per device; the dashed line is the budget.", .unit = leaves ? "leaves" : "distinct features",
                           .mark = leaves ? b->leaves_sum : b->features_distinct};
    struct dune_buf svg = {0};
    bool same = true;

    for (uint32_t i = 0; i < p->n_devices && c.n < MAX_SHOWN; i++) {
        struct dune_resources r;

        dune_resources_estimate(p, i, NULL, 2, &r);
        same &= p->device[i].budget.leaves_sum == b->leaves_sum && p->device[i].budget.features_distinct == b->features_distinct;
        bar[c.n++] = (struct chart_bar){p->device[i].name, leaves ? r.leaves : r.features_distinct, 0};
    }
    if (!same)
        c.mark = 0; /* budgets differ: the table has them */
    chart_bars_svg(&svg, &c);
    report_figure(d, leaves ? "leaves" : "features", leaves ? "Leaves that each device of the chain holds, against its budget."
                                                            : "Distinct features that each device reads, against its budget.", &svg);
}

static void of_budget(struct report_doc *d, uint32_t used, uint32_t allowed)
{
    if (allowed)
        report_cell(d, "%u of %u", used, allowed);
    else
        report_cell(d, "%u", used);
}

static void resources_table(const struct dune_plan *p, struct report_doc *d)
{
    static const char *const heads[] = {"device", "sub-models", ">classes", ">leaves", ">features", ">feature rows", ">code rows",
                                        ">blocks", ">% of 288", ">state MB", ">software MB"};

    report_table(d, "What each device holds. Blocks: the published accounting of table memory; state and software memory for two "
                    "generations", DUNE_ARRAY_LEN(heads), heads);
    for (uint32_t i = 0; i < p->n_devices && i < MAX_SHOWN; i++) {
        struct dune_resources r;
        struct dune_buf ids = {0};
        unsigned classes = 0;

        dune_resources_estimate(p, i, NULL, 2, &r);
        for (uint32_t k = 0; k < p->n_submodels; k++)
            if (p->sub[k].device == i) {
                dune_buf_printf(&ids, "%s%u", ids.len ? ", " : "", p->sub[k].id);
                classes += p->sub[k].n_classes;
            }
        report_cell(d, "%s", p->device[i].name);
        report_cell(d, "%s", ids.data ? ids.data : "none");
        report_cell(d, "%u", classes);
        of_budget(d, r.leaves, p->device[i].budget.leaves_sum);
        of_budget(d, r.features_distinct, p->device[i].budget.features_distinct);
        report_cell(d, "%s", report_count(r.range_rows));
        report_cell(d, "%s", report_count(r.ternary_rows));
        report_cell(d, "%u", r.published_blocks);
        report_cell(d, "%s", report_percent((double)r.published_blocks / DUNE_PUBLISHED_BLOCKS));
        report_cell(d, "%.1f", (double)r.register_bits / 8e6);
        report_cell(d, "%.1f", (double)r.software_bytes / 1e6);
        dune_buf_fini(&ids);
    }
    report_table_end(d);
}

/* --- time --------------------------------------------------------------------------------------------------- */
static void pipeline_table(const struct dune_plan *plan, const char *profile, struct report_doc *d)
{
    static const char *const heads[] = {"device", ">stages", ">of", ">TCAM blocks", ">SRAM blocks", ">cycles", "fits"};
    const struct dune_profile *prof = dune_profile_find(profile);
    char *caption = dune_mem_printf("Estimate for a pipeline of profile %s, slots, hash and parser bent to it", profile);
    struct dune_plan *p = dune_plan_clone(plan);

    dune_plan_retarget(p, prof, 1);
    report_table(d, caption, DUNE_ARRAY_LEN(heads), heads);
    for (uint32_t i = 0; i < p->n_devices && i < MAX_SHOWN; i++) {
        struct dune_resources r;

        dune_resources_estimate(p, i, prof, 1, &r);
        report_cell(d, "%s", p->device[i].name);
        report_cell(d, "%u", r.stages);
        report_cell(d, "%u", prof->stages);
        report_cell(d, "%u", r.tcam_blocks);
        report_cell(d, "%u", r.sram_blocks);
        report_cell(d, "%u", r.latency_cycles);
        report_cell(d, "%s", r.fits ? "yes" : r.why);
    }
    report_table_end(d);
    dune_plan_free(p);
    dune_mem_free(caption);
}

static void replay_times(const struct report *r, struct report_doc *d)
{
    static const char *const heads[] = {"solution", "engine", ">median ns", ">99 % ns", ">mean ns"};
    struct chart_bar bar[REPORT_MAX_SOLUTIONS];
    struct chart_bars c = {.title = "Time per packet over the whole chain", .unit = "ns per packet, median", .bar = bar,
                           .desc = "Median time per packet of each solution in the replay."};
    struct dune_buf svg = {0};

    report_table(d, "Time per packet in the replay, over the whole chain, on the machine that ran it; if it was busy with other "
                    "things, the 99 % and the mean show that", DUNE_ARRAY_LEN(heads), heads);
    for (size_t i = 0; i < r->n; i++) {
        const json_t *ns = json_object_get(r->sol[i].result, "ns_per_packet");

        bar[c.n++] = (struct chart_bar){r->sol[i].name, report_number(ns, "p50"),
                                           (int)i == r->chain ? 0 : CHART_COLOURS};
        report_cell(d, "%s", r->sol[i].name);
        report_cell(d, "%s", report_string(ns, "engine"));
        report_cell(d, "%s", report_count(report_number(ns, "p50")));
        report_cell(d, "%s", report_count(report_number(ns, "p99")));
        report_cell(d, "%s", report_count(report_number(ns, "mean")));
    }
    report_table_end(d);
    chart_bars_svg(&svg, &c);
    report_figure(d, "time", "Median time per packet over the whole chain in the replay engine, for comparing solutions with each "
                             "other: the reference engine is the plainest one, not the fastest.", &svg);
}

/* Hop times of a live run: stages of the way through the chain. */
static void live_times(const struct report *r, struct report_doc *d)
{
    const json_t *solutions = json_object_get(r->live, "solutions"), *row;
    const char *series[MAX_SHOWN], *name, *names[REPORT_MAX_SOLUTIONS];
    double *v = DUNE_NEW_N(double, REPORT_MAX_SOLUTIONS * MAX_SHOWN);
    struct chart_stack c = {.title = "Stages of latency, live", .x_label = "\xc2\xb5s, median time in each switch", .row = names,
                            .series = series, .v = v, .desc = "Median time in each switch of the live run, per solution."};
    char label[MAX_SHOWN][32];
    struct dune_buf svg = {0};

    c.n_series = (size_t)fmin(fmax(report_number(r->live, "switches"), 1), MAX_SHOWN);
    for (size_t k = 0; k < c.n_series; k++) {
        snprintf(label[k], sizeof(label[k]), "switch %zu", k + 1);
        series[k] = label[k];
    }
    json_object_foreach((json_t *)(uintptr_t)solutions, name, row) {
        const json_t *hop = json_object_get(row, "hop_p50_ns");

        if (c.n_rows == REPORT_MAX_SOLUTIONS)
            break;
        names[c.n_rows] = name;
        for (size_t k = 0; k < c.n_series; k++)
            v[c.n_rows * c.n_series + k] = json_number_value(json_array_get(hop, k)) / 1e3;
        c.n_rows++;
    }
    chart_stack_svg(&svg, &c);
    report_figure(d, "live-latency", "Median time that packets of the live run spent in each switch.", &svg);
    dune_mem_free(v);
}

void report_devices(const struct report *r, struct report_doc *d)
{
    const struct report_solution *s = r->chain >= 0 ? &r->sol[r->chain] : NULL;

    if (!s || !s->plan || s->plan->n_submodels == 0) {
        report_lack(d, "devices: there is no plan with sub-models in plans/.");
        return;
    }
    if (s->plan->claim == DUNE_CLAIM_VOTES || !s->result)
        report_lack(d, "who decides in %s: %s.", s->name, s->result ? "under the claim rule votes all devices decide together" : "the test captures were not read");
    report_row(d, true);
    deciders_part(r, s, d);
    budget_bars(s->plan, true, d);
    budget_bars(s->plan, false, d);
    report_row(d, false);
    resources_table(s->plan, d);
    report_head(d, "Latency");
    if (r->final)
        replay_times(r, d);
    else
        report_lack(d, "time per packet: nothing was replayed.");
    if (json_object_size(json_object_get(r->live, "solutions")))
        live_times(r, d);
    else
        report_lack(d, "times in each switch: there is no live.json (dunectl demo live writes it).");
    pipeline_table(s->plan, "tofino1", d);
}
