/* SPDX-License-Identifier: Apache-2.0 */
/* dunectl plan: the whole planner in one call, data set to plan. */
#include "cli/place_report.h"
#include "cli/model_cli.h"
#include "cli/profile_cli.h"

#include <string.h>

#include "dune/dataset.h"
#include "dune/pareto.h"
#include "dune/placement.h"
#include "dune/solution.h"

struct config {
    const char *out, *budget, *profile, *features, *solution, *choice;
    const char *open_world, *background, *pareto, *topology, *syn_timeout, *model;
    double want_precision, want_f1, time_limit;
    uint32_t devices, search_rows;
    unsigned distil;
    bool tuned, explain;
    const char *placement;
    unsigned objective;
    struct dune_topology *network; /* of --topology */
};

static const struct cli_option options[] = {
    {"output", 'o', CLI_STR, offsetof(struct config, out), "FILE", NULL, "the plan (plan.json)", true},
    {"budget", 'b', CLI_STR, offsetof(struct config, budget), "BUDGET", "tight",
     "per device: tight, tiny, loose or leaves_sum=N,features_distinct=N"},
    {"devices", 'd', CLI_U32, offsetof(struct config, devices), "K", "5", "devices in the chain", false, 1,
     DUNE_MAX_BLOCKS},
    {"topology", 't', CLI_STR, offsetof(struct config, topology), "FILE", NULL,
     "the devices, each with its own budget and profile, or a network of them, in place of --devices"},
    {"objective", 0, CLI_CHOICE, offsetof(struct config, objective), "devices|resources|latency", "devices",
     "what the placement on a network minimises"},
    {"placement", 0, CLI_STR, offsetof(struct config, placement), "FILE", NULL,
     "write which device of the network holds what, and the bound (JSON)"},
    {"time-limit", 0, CLI_DOUBLE, offsetof(struct config, time_limit), "SECONDS", NULL,
     "stop searching then, and plan with the best so far", false, 0, 1e9},
    {"search-rows", 0, CLI_U32, offsetof(struct config, search_rows), "N", NULL,
     "choose on so many rows, drawn by class, and fit to all (default: quick 60000, default 120000, full all)", false,
     1000, UINT32_MAX},
    {"solution", 's', CLI_STR, offsetof(struct config, solution), "NAME", "dune",
     "none, mousika, jewel, flowrest, votes, dune-paper or dune"},
    {"profile", 'p', CLI_STR, offsetof(struct config, profile), "NAME", "engine", "device profile"},
    {"features", 'f', CLI_STR, offsetof(struct config, features), "SET", "all",
     "candidate features: a set, names, or both"},
    {"model", 0, CLI_STR, offsetof(struct config, model), "MODEL", NULL,
     "unconstrained model: dune tries the partition by its W and f (see --distill), dune-paper takes it"},
    CLI_DISTIL(offsetof(struct config, distil)),
    {"explain", 0, CLI_FLAG, offsetof(struct config, explain), NULL, NULL,
     "print why these blocks, features and devices (solution dune)"},
    {"want-precision", 0, CLI_DOUBLE, offsetof(struct config, want_precision), "P", NULL,
     "refuse claims below the confidence that reaches this precision per class, 0..1", false, 0, 1},
    {"open-world", 0, CLI_STR, offsetof(struct config, open_world), "FILE", NULL,
     "coverage against precision (CSV); notes also get false claims on classes left out of training"},
    {"background", 0, CLI_STR, offsetof(struct config, background), "CLASS", NULL,
     "the class of unlabelled traffic: its false claims when nobody learns it are noted"},
    {"pareto", 0, CLI_STR, offsetof(struct config, pareto), "FILE", NULL,
     "plan for 1 to K devices: F1 against devices and resources (.json, else CSV); slow"},
    {"want-f1", 0, CLI_DOUBLE, offsetof(struct config, want_f1), "F1", NULL,
     "the smallest deployment that reaches this macro F1 out of fold, 0..1; slow", false, 0, 1},
    {"syn-timeout", 0, CLI_STR, offsetof(struct config, syn_timeout), "SECONDS", NULL,
     "others may take the slot of a flow with only SYN, no ACK, after this idle time (a SYN flood)"},
    {"choice", 0, CLI_STR, offsetof(struct config, choice), "FILE", NULL, "what was chosen and why (JSON)"},
    {"tuned", 0, CLI_FLAG, offsetof(struct config, tuned), NULL, NULL,
     "monoliths in tuned form: our search and folds"},
};

static int fill_job(struct cli_ctx *ctx, const struct config *cfg, struct dune_solution_job *job,
                    struct dune_diag *d)
{
    const struct dune_profile *known;
    int rc = dune_budget_parse(cfg->budget, &job->cfg.budget, d);

    if (rc == 0)
        rc = dune_feature_set_parse(cfg->features, 0, &job->cfg.features, d);
    if (rc == 0)
        rc = cli_profile(&known, cfg->profile, d);
    job->cfg.devices = cfg->devices;
    job->cfg.profile = cfg->profile;
    job->cfg.effort = (enum dune_effort)ctx->effort;
    job->cfg.seed = ctx->seed;
    job->cfg.threads = ctx->threads;
    job->cfg.want_precision = cfg->want_precision;
    job->cfg.open_world = cfg->open_world != NULL;
    job->cfg.background = cfg->background;
    job->cfg.time_limit_s = cfg->time_limit;
    job->cfg.search_rows = cfg->search_rows;
    job->cfg.model = cfg->model;
    job->cfg.distil = (enum dune_distil)cfg->distil;
    job->tuned = cfg->tuned;
    return rc;
}

/* Devices from a topology file: budget and profile are those of devices whose entry has none. */
static int read_devices(struct config *cfg, struct dune_solution_job *job, struct dune_plan_device **dev, uint32_t *n,
                        struct dune_diag *d)
{
    struct dune_topology *t;
    int rc;

    if (!cfg->topology)
        return 0;
    rc = dune_network_read(&t, cfg->topology, cfg->profile, &job->cfg.budget, d);
    if (rc)
        return rc;
    cfg->network = t;
    rc = t->row ? dune_network_row(t, dev, n, d) : dune_network_narrowest(t, dev, n, d);
    if (rc == 0 && t->row && cfg->placement)
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "--placement is for networks; the plan of a row says it all");
    if (rc == 0 && *n > DUNE_MAX_BLOCKS)
        rc = dune_diag_set(d, DUNE_E_USAGE, cfg->topology, "%u devices: at most %d can be planned for", *n,
                           DUNE_MAX_BLOCKS);
    job->cfg.device = *dev;
    job->cfg.devices = *n;
    return rc;
}

static void print_result(struct cli_ctx *ctx, const struct config *cfg, const struct dune_solution_result *r)
{
    if (ctx->json) {
        struct dune_buf b = {0};
        struct dune_jsonw w;

        dune_jsonw_init(&w, &b);
        dune_jsonw_obj(&w);
        dune_jsonw_key(&w, "solution");
        dune_jsonw_str(&w, cfg->solution);
        dune_jsonw_key(&w, "train_macro");
        dune_jsonw_fixed(&w, r->train_macro, 4);
        dune_jsonw_key(&w, "judged_by");
        dune_jsonw_str(&w, r->judged_by);
        dune_jsonw_key(&w, "submodels");
        dune_jsonw_uint(&w, r->plan->n_submodels);
        dune_jsonw_key(&w, "evaluations");
        dune_jsonw_uint(&w, r->evaluations);
        dune_jsonw_end(&w);
        cli_write_json(ctx, &b);
        dune_buf_fini(&b);
        return;
    }
    cli_out(ctx, "%s: %u sub-models on %u devices; macro F1 %.4f by %s (%llu candidates)\n", cfg->solution,
            r->plan->n_submodels, r->plan->n_devices, r->train_macro, r->judged_by,
            (unsigned long long)r->evaluations);
}

static int explain(struct cli_ctx *ctx, const struct dune_solution_result *r, struct dune_diag *d)
{
    struct dune_buf text = {0};
    int rc = dune_explain_text(r->notes ? r->notes : "{}", &text, d);

    if (rc == 0)
        cli_out(ctx, "%s", text.data);
    dune_buf_fini(&text);
    return rc;
}

static int write_notes(const struct config *cfg, const struct dune_solution_result *r, struct dune_diag *d)
{
    struct dune_buf csv = {0};
    int rc = 0;

    if (cfg->choice && r->notes)
        rc = dune_file_write(cfg->choice, r->notes, strlen(r->notes), d);
    if (rc == 0 && cfg->open_world) {
        rc = dune_explain_curve_csv(r->notes ? r->notes : "{}", &csv, d);
        if (rc == 0)
            rc = dune_file_write(cfg->open_world, csv.data, csv.len, d);
        dune_buf_fini(&csv);
    }
    return rc;
}

static void print_points(struct cli_ctx *ctx, const struct dune_pareto *p)
{
    static const char *const heads[] = {">devices", ">used", ">macro F1", ">leaves", ">blocks", ">state MB", ""};
    struct cli_table t;

    cli_table_init(&t, DUNE_ARRAY_LEN(heads), heads);
    for (size_t i = 0; i < p->n; i++) {
        const struct dune_pareto_point *x = &p->point[i];

        cli_table_cell(&t, "%u", x->devices);
        cli_table_cell(&t, "%u", x->used);
        cli_table_cell(&t, "%.4f", x->macro);
        cli_table_cell(&t, "%u", x->leaves);
        cli_table_cell(&t, "%u", x->published_blocks);
        cli_table_cell(&t, "%.2f", (double)x->state_bytes / 1e6);
        cli_table_cell(&t, "%s", i == p->chosen ? "chosen" : x->front ? "front" : "");
    }
    cli_print_table(ctx, &t);
}

static int write_points(const char *path, const struct dune_pareto *p, struct dune_diag *d)
{
    const char *dot = strrchr(path, '.');
    struct dune_buf b = {0};
    int rc;

    if (dot && strcmp(dot, ".json") == 0)
        dune_pareto_json(p, &b);
    else
        dune_pareto_csv(p, &b);
    rc = dune_file_write(path, b.data, b.len, d);
    dune_buf_fini(&b);
    return rc;
}

/* The points are written also when none of them is enough; a plan is not. */
static int run_pareto(struct cli_ctx *ctx, const struct config *cfg, const struct dune_solution_job *job,
                      struct dune_diag *d)
{
    struct dune_pareto p;
    int rc = dune_pareto_plan(&p, job, cfg->want_f1, d), wrote = 0;
    bool done = rc == 0 || rc == DUNE_E_INFEASIBLE;

    if (done && p.n && cfg->pareto)
        wrote = write_points(cfg->pareto, &p, d);
    rc = rc ? rc : wrote;
    if (rc == 0)
        rc = dune_plan_write(p.point[p.chosen].plan, cfg->out, d);
    if (rc == 0 && ctx->json) {
        struct dune_buf b = {0};

        dune_pareto_json(&p, &b);
        b.data[--b.len] = '\0';
        cli_write_json(ctx, &b);
        dune_buf_fini(&b);
    } else if (rc == 0) {
        print_points(ctx, &p);
    }
    dune_pareto_fini(&p);
    return rc;
}

static int check_options(struct cli_ctx *ctx, const struct config *cfg, const struct dune_solution_ops *ops,
                         struct dune_diag *d)
{
    bool own = ops == &dune_solution_dune, points = cfg->pareto || cfg->want_f1 > 0;

    if (!own && (cfg->explain || cfg->open_world || cfg->want_precision > 0 || cfg->topology || cfg->time_limit > 0))
        return dune_diag_set(d, DUNE_E_USAGE, NULL,
                             "--explain, --open-world, --want-precision, --topology and --time-limit need "
                             "--solution dune");
    if (points && (!own || cfg->explain || cfg->choice || cfg->open_world || cfg->topology || cfg->syn_timeout))
        return dune_diag_set(d, DUNE_E_USAGE, NULL,
                             "--pareto and --want-f1 need --solution dune and equal devices, and give no notes: "
                             "plan once more with the devices and leaves they found");
    if (!cfg->topology && (cfg->placement || cli_given(ctx, "objective")))
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "--objective and --placement need --topology");
    if (cfg->topology && cli_given(ctx, "devices"))
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "either --topology or --devices");
    if (cfg->explain && ctx->json)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "--explain prints text; --choice FILE has it as JSON");
    return 0;
}

/* Which device holds what; the devices of the plan become positions. */
static int place_network(struct cli_ctx *ctx, const struct config *cfg, struct dune_plan *p, struct dune_diag *d)
{
    struct dune_placement x;
    struct dune_buf b = {0};
    int rc = dune_place_plan(p, cfg->network, (enum dune_place_goal)cfg->objective, &x, d);

    if (rc == 0)
        rc = dune_plan_verify(p, d);
    if (rc == 0 && cfg->placement) {
        place_report_json(&b, p, cfg->network, &x, NULL);
        dune_buf_puts(&b, "\n");
        rc = dune_file_write(cfg->placement, b.data, b.len, d);
    }
    if (rc == 0)
        cli_note(ctx, "%u of %u devices hold its %u sub-models", x.devices, cfg->network->n, p->n_submodels);
    dune_buf_fini(&b);
    dune_placement_fini(&x);
    return rc;
}

static int plan(struct cli_ctx *ctx, const struct config *cfg, const struct dune_solution_ops *ops,
                const struct dune_solution_job *job, struct dune_diag *d)
{
    struct dune_solution_result result = {0};
    int rc = dune_solution_solve(ops, job, &result, d);

    if (rc == 0 && cfg->syn_timeout)
        rc = dune_timeout_parse(cfg->syn_timeout, &result.plan->syn_timeout, d);
    if (rc == 0 && cfg->syn_timeout)
        rc = dune_plan_verify(result.plan, d);
    if (rc == 0 && cfg->network && !cfg->network->row)
        rc = place_network(ctx, cfg, result.plan, d);
    if (rc == 0)
        rc = dune_plan_write(result.plan, cfg->out, d);
    if (rc == 0)
        rc = write_notes(cfg, &result, d);
    if (rc == 0)
        print_result(ctx, cfg, &result);
    if (rc == 0 && cfg->explain)
        rc = explain(ctx, &result, d);
    dune_solution_result_fini(&result);
    return rc;
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    struct config *cfg = config;
    const struct dune_solution_ops *ops;
    struct dune_solution_job job = {0};
    struct dune_plan_device *dev = NULL;
    struct dune_dataset *ds = NULL;
    char *log = dune_mem_printf("%s.search", cfg->out);
    uint32_t n_dev = 0;
    int rc = dune_solution_get(&ops, cfg->solution, d);

    if (rc == 0)
        rc = check_options(ctx, cfg, ops, d);
    if (rc == 0)
        rc = fill_job(ctx, cfg, &job, d);
    if (rc == 0)
        rc = read_devices(cfg, &job, &dev, &n_dev, d);
    if (rc == 0)
        rc = dune_dataset_read(&ds, ctx->args[0], d);
    job.ds = ds;
    job.cfg.log = log;
    if (rc == 0)
        rc = cfg->pareto || cfg->want_f1 > 0 ? run_pareto(ctx, cfg, &job, d) : plan(ctx, cfg, ops, &job, d);
    if (rc == DUNE_E_INTERRUPTED)
        cli_note(ctx, "what was tried is in %s: the same command goes on from there", log);
    else
        remove(log);
    dune_devices_free(dev, n_dev);
    dune_network_free(cfg->network);
    dune_dataset_free(ds);
    dune_mem_free(log);
    return rc;
}

const struct cli_command cmd_plan = {
    .name = "plan",
    .summary = "the whole planner in one call",
    .args = "ROWS.dset",
    .min_args = 1,
    .max_args = 1,
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description = "Chooses blocks, sub-models and settings by cross-validation inside the train flows of\n"
                   "the data set and writes a verified plan. Test flows are never looked at.\n"
                   "An interrupted search leaves PLAN.search; the same command then goes on from there and\n"
                   "gives the same plan.\n",
    .examples = "dunectl plan rows.dset --budget tight --devices 5 -o plan.json\n"
                "dunectl plan rows.dset --topology row.yaml --explain -o plan.json\n"
                "dunectl plan rows.dset --model xgboost --distill model -o plan.json\n"
                "dunectl plan rows.dset --solution jewel -o jewel.json\n",
    .run = run,
};
