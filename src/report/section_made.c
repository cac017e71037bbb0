/* SPDX-License-Identifier: Apache-2.0 */
/* The compiler of P4 programs beside the estimates, and where everything comes from. */
#include <math.h>
#include <string.h>

#include "dune/p4.h"
#include "report/report_int.h"

enum { MAX_DEVICES = 32 };

/* --- P4 -------------------------------------------------------------------------------------------------------- */
static void beside(struct report_doc *d, const char *device, const char *what, double estimate, double compiler)
{
    report_cell(d, "%s", device);
    report_cell(d, "%s", what);
    report_cell(d, "%s", report_count(estimate));
    report_cell(d, "%s", report_count(compiler));
    report_cell(d, "%s", compiler > 0 ? report_points((estimate - compiler) / compiler) : "-");
}

static void compiled_rows(struct report_doc *d, const struct dune_plan *p, uint32_t i, const struct dune_p4_compiled *c)
{
    struct dune_resources r;
    const char *name = p->device[i].name;

    dune_resources_estimate(p, i, NULL, dune_p4_generations(p, DUNE_P4_TNA), &r);
    if (c->has_stages)
        beside(d, name, "stages", r.stages, c->stages);
    if (c->has_metrics) {
        beside(d, name, "TCAM blocks", r.tcam_blocks, c->tcam_blocks);
        beside(d, name, "SRAM blocks", r.sram_blocks, c->sram_blocks);
        beside(d, name, "map RAMs", r.map_rams, c->map_rams);
    }
    if (c->latency_cycles)
        beside(d, name, "cycles of the ingress", r.latency_cycles, c->latency_cycles);
}

/* DIR/p4: of dunectl emit -o DIR/p4, compiled there, and DIR/p4/plan.json, the plan that was emitted. */
void report_p4(const struct report *r, struct report_doc *d)
{
    static const char *const heads[] = {"device", "what", ">estimate", ">compiler", ">off by %"};
    char *dir = dune_mem_printf("%s/p4", r->dir), *path = dune_mem_printf("%s/p4/plan.json", r->dir);
    struct dune_plan *p = NULL;
    struct dune_diag diag = {0};
    size_t n = 0;

    if (!dune_path_exists(path))
        report_lack(d, "estimates beside the compiler's numbers: there is no p4/plan.json in the run directory (dunectl emit p4/plan.json "
                       "--target p4-tna -o p4, then compile.sh of each device).");
    else if (dune_plan_read(&p, path, &diag))
        report_lack(d, "estimates beside the compiler's numbers: p4/plan.json: %s", diag.msg);
    for (uint32_t i = 0; p && i < p->n_devices && i < MAX_DEVICES; i++) {
        struct dune_p4_compiled c;
        struct dune_diag ignored = {0};
        char name[80];

        dune_p4_device_name(name, p, i);
        if (dune_p4_compiled_read(&c, dir, name, &ignored))
            continue;
        if (n++ == 0)
            report_table(d, "What the model of the planner says and what the compiler reports", DUNE_ARRAY_LEN(heads), heads);
        compiled_rows(d, p, i, &c);
    }
    if (n)
        report_table_end(d);
    else if (p)
        report_lack(d, "the compiler's numbers: no metrics.json or mau.resources.log of any device in p4/.");
    dune_plan_free(p);
    dune_mem_free(dir);
    dune_mem_free(path);
}

/* --- provenance -------------------------------------------------------------------------------------------------- */
static void row(struct report_doc *d, const char *what, const char *value)
{
    report_cell(d, "%s", what);
    report_cell(d, "%s", value);
}

void report_made(const struct report *r, struct report_doc *d)
{
    static const char *const heads[] = {"what", "value"}, *const made[] = {"solution", "form", "judged by", ">candidates"};
    const json_t *data = json_object_get(r->metrics, "data"), *budget = json_object_get(r->metrics, "budget");

    report_para(d, "Everything here comes from the files of the run directory; with the same captures, settings and seed the same commands "
                   "give the same plans and scores on any machine. Times are of the machine that replayed.");
    report_table(d, "Settings", DUNE_ARRAY_LEN(heads), heads);
    row(d, "content hash of the data set", report_string(data, "hash"));
    row(d, "seed", report_count(report_number(r->metrics, "seed")));
    row(d, "effort", report_string(r->metrics, "effort"));
    row(d, "candidate features", report_string(r->metrics, "features"));
    row(d, "device profile", report_string(r->metrics, "profile"));
    row(d, "budget per device, leaves", report_count(report_number(budget, "leaves_sum")));
    row(d, "budget per device, features", report_count(report_number(budget, "features_distinct")));
    row(d, "devices at most", report_count(report_number(r->metrics, "devices")));
    row(d, "intervals over", report_string(r->metrics, "intervals_over"));
    report_table_end(d);
    report_table(d, "How each solution was chosen", DUNE_ARRAY_LEN(made), made);
    for (size_t i = 0; i < r->n; i++) {
        bool monolith = strcmp(r->sol[i].name, "mousika") == 0 || strcmp(r->sol[i].name, "jewel") == 0 ||
                        strcmp(r->sol[i].name, "flowrest") == 0;

        report_cell(d, "%s", r->sol[i].name);
        report_cell(d, "%s", monolith && json_is_true(json_object_get(r->metrics, "tuned")) ? "tuned: our search" : strcmp(r->sol[i].name, "dune") == 0 ? "the planner's own" : "as published");
        report_cell(d, "%s", report_string(r->sol[i].made, "judged_by"));
        report_cell(d, "%s", report_count(report_number(r->sol[i].made, "evaluations")));
    }
    report_table_end(d);
}
