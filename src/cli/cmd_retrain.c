/* SPDX-License-Identifier: Apache-2.0 */
/* dunectl retrain: a new generation from fresh labelled flows. */
#include <string.h>

#include "cli/promote.h"
#include "dune/retrain.h"

struct config {
    const char *out, *profile;
    bool search, force;
    struct cli_promotion how;
};

#define HOW(field) offsetof(struct config, how.field)
static const struct cli_option options[] = {
    {"output", 'o', CLI_STR, offsetof(struct config, out), "FILE", NULL, "the new plan", true},
    {"profile", 0, CLI_STR, offsetof(struct config, profile), "FILE", NULL, "its drift profile, as of drift learn"},
    {"search", 0, CLI_FLAG, offsetof(struct config, search), NULL, NULL,
     "run the planner again (see --effort) instead of keeping blocks, features and sizes"},
    {"force", 0, CLI_FLAG, offsetof(struct config, force), NULL, NULL, "also write a plan that is not better"},
    {"bus", 'b', CLI_STR, HOW(bus), "BUS", NULL, "promote it through the controller that serves there"},
    {"creds", 0, CLI_STR, HOW(creds), "FILE", NULL, "NATS credentials"},
    {"ca", 0, CLI_STR, HOW(ca), "FILE", NULL, "NATS: certificates to trust (the system's)"},
    {"shadow-flows", 0, CLI_U32, HOW(shadow_flows), "N", "200", "flows it is compared on in shadow first; 0: none"},
    {"agree", 0, CLI_DOUBLE, HOW(agree), "PERCENT", "0", "shadowed flows that must keep their class", false, 0, 100},
    {"share", 0, CLI_DOUBLE, HOW(share), "PERCENT", "10", "share of the new flows that get it then", false, 0.1, 100},
    {"share-flows", 0, CLI_U32, HOW(share_flows), "N", "200", "flows with the new plan before all get it", false, 1, 0},
    {"wait", 0, CLI_DOUBLE, HOW(wait_s), "SECONDS", "300", "longest wait for a step", false, 1, 1e6},
};

static void print_json(struct cli_ctx *ctx, const struct dune_retrained *r, bool written)
{
    struct dune_buf b = {0};
    struct dune_jsonw w;

    dune_jsonw_init(&w, &b);
    dune_jsonw_obj(&w);
    dune_jsonw_key(&w, "judged_flows"), dune_jsonw_uint(&w, r->judged.flows);
    dune_jsonw_key(&w, "old_macro"), dune_jsonw_fixed(&w, r->judged.macro[0], 4);
    dune_jsonw_key(&w, "new_macro"), dune_jsonw_fixed(&w, r->judged.macro[1], 4);
    dune_jsonw_key(&w, "gain_lo"), dune_jsonw_fixed(&w, r->judged.gain.lo, 4);
    dune_jsonw_key(&w, "gain_hi"), dune_jsonw_fixed(&w, r->judged.gain.hi, 4);
    dune_jsonw_key(&w, "better"), dune_jsonw_bool(&w, r->better);
    dune_jsonw_key(&w, "written"), dune_jsonw_bool(&w, written);
    dune_jsonw_key(&w, "generation"), dune_jsonw_uint(&w, r->plan->generation);
    dune_jsonw_end(&w);
    cli_write_json(ctx, &b);
    dune_buf_fini(&b);
}

static void print(struct cli_ctx *ctx, const struct dune_retrained *r, bool written)
{
    const struct dune_judged *j = &r->judged;

    if (ctx->json)
        print_json(ctx, r, written);
    else
        cli_out(ctx, "macro F1 on the latest %llu train flows: now %.4f, new plan %.4f (difference %+.4f to %+.4f)\n",
                (unsigned long long)j->flows, j->macro[0], j->macro[1], j->gain.lo, j->gain.hi);
}

static int learn_profile(const struct config *cfg, const struct dune_plan *p, const struct dune_dataset *ds,
                         struct dune_diag *d)
{
    struct dune_drift_profile *f;
    int rc;

    if (!cfg->profile)
        return 0;
    rc = dune_drift_learn(&f, p, ds, 0, d);
    if (rc)
        return rc;
    rc = dune_drift_profile_write(f, p, cfg->profile, d);
    dune_drift_profile_free(f);
    return rc;
}

static int promote(struct cli_ctx *ctx, const struct config *cfg, const struct dune_plan *p, struct dune_diag *d)
{
    struct cli_promotion how = cfg->how;
    char *text;
    size_t len;
    int rc;

    if (!cfg->how.bus)
        return 0;
    how.profile = cfg->profile;
    rc = dune_plan_format(p, &text, &len, d);
    if (rc)
        return rc;
    rc = cli_promote(ctx, &how, text, d);
    dune_mem_free(text);
    return rc;
}

static int finish(struct cli_ctx *ctx, const struct config *cfg, const struct dune_retrained *r,
                  const struct dune_dataset *ds, struct dune_diag *d)
{
    bool write = r->better || cfg->force;
    int rc;

    print(ctx, r, write);
    if (!write)
        return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL, "the new plan is not better on flows that neither has seen, so "
                             "nothing is written; --force writes it");
    rc = dune_plan_write(r->plan, cfg->out, d);
    if (rc == 0)
        rc = learn_profile(cfg, r->plan, ds, d);
    return rc ? rc : promote(ctx, cfg, r->plan, d);
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    const struct config *cfg = config;
    struct dune_retrain_cfg rc_cfg = {.search = cfg->search, .effort = (enum dune_effort)ctx->effort,
                                      .seed = ctx->seed, .threads = ctx->threads};
    struct dune_retrained r = {0};
    struct dune_plan *old = NULL;
    struct dune_dataset *ds = NULL;
    int rc = dune_plan_read(&old, ctx->args[0], d);

    if (rc == 0)
        rc = dune_dataset_read(&ds, ctx->args[1], d);
    if (rc == 0)
        rc = dune_retrain(&r, old, ds, &rc_cfg, d);
    if (rc == 0)
        rc = finish(ctx, cfg, &r, ds, d);
    dune_plan_free(r.plan);
    dune_plan_free(old);
    dune_dataset_free(ds);
    return rc;
}

const struct cli_command cmd_retrain = {
    .name = "retrain",
    .summary = "a new plan from fresh traffic",
    .args = "PLAN.json ROWS.dset",
    .min_args = 2,
    .max_args = 2,
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description =
        "Fits the blocks of a plan again on the train flows of a data set, which are recent ones. First without the\n"
        "latest quarter of them, on which the new plan is compared with the old one; if it is better (the interval\n"
        "of the difference is above zero), it is fitted on all and written as the next generation. With --bus it\n"
        "then goes through the controller: beside the traffic, to a share of the new flows, to all. The controller\n"
        "takes it back by itself when claims fall. Exit status 4: not better, nothing was written.\n",
    .examples = "dunectl retrain plan.json recent.dset -o plan2.json --profile plan2.profile.json\n"
                "dunectl retrain plan.json recent.dset -o plan2.json --bus unix:/run/dune/bus --share 10\n",
    .run = run,
};
