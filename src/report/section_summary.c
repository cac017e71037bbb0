/* SPDX-License-Identifier: Apache-2.0 */
/* The result in plain sentences. */
#include <math.h>
#include <string.h>

#include "report/report_int.h"

static const char *plural(double n)
{
    return n == 1 ? "" : "s";
}

static void what_was_run(const struct report *r, struct report_doc *d)
{
    const json_t *data = json_object_get(r->metrics, "data"), *budget = json_object_get(r->metrics, "budget");
    double classes = report_number(data, "classes"), devices = report_number(r->metrics, "devices");
    struct dune_buf names = {0};

    for (size_t i = 0; i < r->n; i++)
        dune_buf_printf(&names, "%s%s", i == 0 ? "" : i + 1 == r->n ? " and " : ", ", r->sol[i].name);
    report_para(d, "The run \xe2\x80\x9c%s\xe2\x80\x9d compared %zu solution%s (%s) on traffic of %s classes: %s flows of %s captures to learn from, %s flows "
                "of %s captures to test on. A device holds at most %s leaves and %s features, a chain at most %s device%s. "
                "Effort %s, seed %s.",
                report_string(r->metrics, "name"), r->n, plural((double)r->n), names.data ? names.data : "",
                report_count(classes), report_count(report_number(data, "train_flows")),
                report_count(report_number(data, "train_captures")), report_count(report_number(data, "test_flows")),
                report_count(report_number(data, "test_captures")),
                report_number(budget, "leaves_sum") > 0 ? report_count(report_number(budget, "leaves_sum")) : "any number of",
                report_number(budget, "features_distinct") > 0 ? report_count(report_number(budget, "features_distinct")) : "any number of",
                report_count(devices), plural(devices), report_string(r->metrics, "effort"),
                report_count(report_number(r->metrics, "seed")));
    dune_buf_fini(&names);
}

static void test_result(const struct report_solution *s, struct report_doc *d)
{
    const json_t *iv = json_object_get(json_object_get(s->result, "flow"), "macro_interval");

    report_para(d, "%s, on %u device%s, reaches a macro F1 of %s on the test flows (95 %% interval %s to %s), weighted %s, micro "
                "%s, and claims %s %% of the flows. Counted by packets its macro F1 is %s.",
                s->name, s->devices, plural(s->devices), report_f1(report_flow(s, "macro")), report_f1(report_number(iv, "lo")),
                report_f1(report_number(iv, "hi")), report_f1(report_flow(s, "weighted")), report_f1(report_flow(s, "micro")),
                report_percent(report_flow(s, "coverage")),
                report_f1(report_number(json_object_get(s->result, "packet"), "macro")));
}

/* Does the chain pay against the best of the single devices? */
static void against_single(const struct report *r, const struct report_solution *s, struct report_doc *d)
{
    const struct report_solution *one = report_best_single(r);
    struct report_difference diff;

    if (s->devices < 2) {
        report_para(d, "The planner chose one device although it could use more: distribution does not pay here.");
        return;
    }
    if (!one || !report_diff(r, s->name, one->name, &diff)) {
        report_lack(d, "whether distribution pays on test: the run has no solution on a single device to compare with.");
        return;
    }
    if (diff.lo > 0)
        report_para(d, "Against %s, the best solution on a single device (%s), that is %s points of macro F1 (95 %%: %s to %s): "
                    "distribution pays here.", one->name, report_f1(report_flow(one, "macro")), report_points(diff.mean),
                    report_points(diff.lo), report_points(diff.hi));
    else
        report_para(d, "Against %s, the best solution on a single device (%s), that is %s points of macro F1 (95 %%: %s to %s): "
                    "distribution does not pay here%s.", one->name, report_f1(report_flow(one, "macro")), report_points(diff.mean),
                    report_points(diff.lo), report_points(diff.hi),
                    diff.hi > 0 ? ", its gain cannot be told from none" : "");
}

static void is_it_best(const struct report *r, const struct report_solution *s, struct report_doc *d)
{
    const struct report_solution *best = s;
    struct report_difference diff;

    for (size_t i = 0; i < r->n; i++)
        if (r->sol[i].scored && report_flow(&r->sol[i], "macro") > report_flow(best, "macro"))
            best = &r->sol[i];
    if (best == s) {
        report_para(d, "No other solution of this run has a higher macro F1 on the test flows.");
        return;
    }
    if (!report_diff(r, best->name, s->name, &diff))
        return;
    report_para(d, "The highest macro F1 on the test flows is not that of %s but of %s: %s, %s points more (95 %%: %s to %s).",
                s->name, best->name, report_f1(report_flow(best, "macro")), report_points(diff.mean), report_points(diff.lo),
                report_points(diff.hi));
}

/* Counters that travel beside the packet need more than the shim. */
static void only_in_memory(const struct report_solution *s, struct report_doc *d)
{
    if (s->plan->claim == DUNE_CLAIM_VOTES)
        report_para(d, "The chain adds up votes of all its devices. Those travel beside the packet, so only the reference engine runs it: "
                       "on real devices another profile makes the planner choose another rule.");
}

static void inside_train(const struct report *r, const struct report_solution *s, struct report_doc *d)
{
    const json_t *dist = json_object_get(s->notes, "distribution"), *row;
    size_t i;

    report_para(d, "Inside the training captures the choice scored %s (%s, %s candidates tried).",
                report_f1(report_number(s->made, "train_macro")), report_string(s->made, "judged_by"),
                report_count(report_number(s->made, "evaluations")));
    if (dist)
        report_para(d, "What the planner says of its choice: %s.", report_string(dist, "verdict"));
    json_array_foreach(json_object_get(s->made, "shortcuts"), i, row)
        if (strcmp(report_string(row, "features"), "robust") == 0)
            report_para(d, "With the robust features only (no source port, TTL or window, no high destination port) the same blocks "
                        "score %s inside train, %s points.", report_f1(report_number(row, "train_macro")),
                        report_points(report_number(row, "train_change")));
    (void)r;
}

void report_summary(const struct report *r, struct report_doc *d)
{
    const struct report_solution *s = r->chain >= 0 ? &r->sol[r->chain] : NULL;

    what_was_run(r, d);
    if (!s || !s->plan) {
        report_lack(d, "the result of a chain: no solution of this run has a plan with sub-models.");
        return;
    }
    if (s->scored) {
        test_result(s, d);
        against_single(r, s, d);
        is_it_best(r, s, d);
    }
    only_in_memory(s, d);
    inside_train(r, s, d);
    if (s->scored)
        report_para(d, "Nothing was chosen on the test flows; they were read once, by this comparison. Intervals are 95 %% bootstrap "
                    "intervals over %s.", report_string(r->metrics, "intervals_over"));
    else
        report_para(d, "The test captures were not read: all scores are of flows inside train that the models had not seen.");
}
