/* SPDX-License-Identifier: Apache-2.0 */
/* dunectl judge: traces of live devices against the reference. */
#include "cli/judge.h"

struct config {
    struct cli_list plans;
};

static const struct cli_option options[] = {
    {"plan", 'p', CLI_LIST, offsetof(struct config, plans), "FILE", NULL,
     "the plan of a generation; a single one stands for all generations", true},
};

void judge_json(struct dune_jsonw *w, const struct dune_judgement *j)
{
    dune_jsonw_key(w, "trace");
    dune_jsonw_obj(w);
    dune_jsonw_put_uint(w, "records", j->records);
    dune_jsonw_put_uint(w, "judged", j->judged);
    dune_jsonw_put_uint(w, "rule_hits", j->rule_hits);
    dune_jsonw_put_uint(w, "rule_hits_without_digest", j->pinned);
    dune_jsonw_put_uint(w, "no_generation", j->no_generation);
    dune_jsonw_put_uint(w, "generations", j->generations);
    dune_jsonw_put_uint(w, "different", j->different);
    dune_jsonw_put_uint(w, "lost", j->lost);
    dune_jsonw_put_bool(w, "complete", j->complete);
    dune_jsonw_end(w);
}

void judge_text(struct cli_ctx *ctx, const struct dune_judgement *j)
{
    cli_out(ctx, "%llu records of %u generations: %llu judged by the reference, %llu by the digest of their flow, %llu without "
            "either; %llu differ, %llu lost\n", (unsigned long long)j->records, j->generations, (unsigned long long)j->judged,
            (unsigned long long)(j->rule_hits - j->pinned), (unsigned long long)(j->pinned + j->no_generation),
            (unsigned long long)j->different, (unsigned long long)j->lost);
}

int judge_verdict(const struct dune_judgement *j, struct dune_diag *d)
{
    if (j->lost)
        return dune_diag_set(d, DUNE_E_ENV, NULL, "%llu records of the trace are lost: send more slowly",
                             (unsigned long long)j->lost);
    if (j->different)
        return dune_diag_set(d, DUNE_E_INTERNAL, NULL, "%llu packets were judged otherwise than by the reference; %s",
                             (unsigned long long)j->different, j->first);
    return 0;
}

static void print(struct cli_ctx *ctx, const struct dune_judgement *j)
{
    struct dune_buf b = {0};
    struct dune_jsonw w;

    if (!ctx->json) {
        judge_text(ctx, j);
        return;
    }
    dune_jsonw_init(&w, &b);
    dune_jsonw_obj(&w);
    judge_json(&w, j);
    dune_jsonw_end(&w);
    cli_write_json(ctx, &b);
    dune_buf_fini(&b);
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    struct config *cfg = config;
    struct dune_plan **plan = DUNE_NEW_N(struct dune_plan *, cfg->plans.len);
    struct dune_trace *trace = DUNE_NEW_N(struct dune_trace, ctx->n_args);
    struct dune_judgement j;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < cfg->plans.len; i++)
        rc = dune_plan_read(&plan[i], cfg->plans.data[i], d);
    for (int i = 0; rc == 0 && i < ctx->n_args; i++)
        rc = dune_trace_read(&trace[i], ctx->args[i], d);
    if (rc == 0)
        rc = dune_trace_judge(trace, (size_t)ctx->n_args, (const struct dune_plan *const *)plan, cfg->plans.len, &j, d);
    if (rc == 0)
        print(ctx, &j);
    if (rc == 0)
        rc = judge_verdict(&j, d);
    for (int i = 0; i < ctx->n_args; i++)
        dune_trace_fini(&trace[i]);
    for (size_t i = 0; i < cfg->plans.len; i++)
        dune_plan_free(plan[i]);
    dune_mem_free(trace);
    dune_mem_free(plan);
    return rc;
}

const struct cli_command cmd_judge = {
    .name = "judge",
    .summary = "live traces against the reference",
    .args = "TRACE...",
    .min_args = 1,
    .max_args = -1,
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description =
        "Feeds the reference device with the packets that live devices traced (dunectl switch --trace, dunectl testbed\n"
        "run --trace), at their ticks and under their generations, and compares packet for packet: fate, slot,\n"
        "count, class, flags, confidence, sub-model. Packets that hit a known-flow rule must have the verdict of a digest\n"
        "of their flow, so give the traces of all devices together. Exit status 1: a verdict differs; 5: records are lost.\n",
    .examples = "dunectl judge s1.trace s2.trace s3.trace --plan plan.json\n"
                "dunectl judge *.trace --plan old.json --plan new.json --json\n",
    .run = run,
};
