/* SPDX-License-Identifier: Apache-2.0 */
/* dunectl drift: does traffic still look like what a plan was trained on? */
#include "cli/cli.h"

#include <string.h>

#include "dune/replay.h"
#include "dune/retrain.h"

struct config {
    const char *out, *profile, *captures, *budget, *svg, *csv, *title, *features;
    double window_s;
    uint32_t flows, windows, first, history, devices;
    unsigned split;
    bool capture_order, all;
};

static const struct cli_option options[] = {
    {"output", 'o', CLI_STR, offsetof(struct config, out), "FILE", NULL, "learn: the profile; timeline: the CSV"},
    {"profile", 'p', CLI_STR, offsetof(struct config, profile), "FILE", NULL, "check: what learn wrote"},
    {"flows", 0, CLI_U32, offsetof(struct config, flows), "N", "500",
     "learn: flows that a check will look at; limits are learnt from folds of this size", false, 4, 0},
    {"captures", 0, CLI_STR, offsetof(struct config, captures), "FILE", NULL, "check: capture boundaries"},
    {"window", 'w', CLI_DOUBLE, offsetof(struct config, window_s), "SECONDS", NULL,
     "check: one result for every so many seconds of traffic (default: one for all)", false, 0.001, 1e9},
    {"split", 0, CLI_CHOICE, offsetof(struct config, split), "test|train|all", "test",
     "check of a data set: which of its flows"},
    {"all", 0, CLI_FLAG, offsetof(struct config, all), NULL, NULL, "check: print also what has not moved"},
    {"csv", 0, CLI_STR, offsetof(struct config, csv), "FILE", NULL, "check: all distances and limits as CSV"},
    {"windows", 0, CLI_U32, offsetof(struct config, windows), "N", "12", "timeline: windows", false, 2, 200},
    {"first", 0, CLI_U32, offsetof(struct config, first), "N", NULL,
     "timeline: windows the first plan is made from (a quarter)", false, 1, 199},
    {"history", 0, CLI_U32, offsetof(struct config, history), "N", NULL,
     "timeline: windows a new generation is fitted on (as --first)", false, 1, 199},
    {"capture-order", 0, CLI_FLAG, offsetof(struct config, capture_order), NULL, NULL,
     "timeline: time is the order of the captures by name, not the packets' clocks"},
    {"budget", 'b', CLI_STR, offsetof(struct config, budget), "BUDGET", "tight", "timeline: per device"},
    {"devices", 'd', CLI_U32, offsetof(struct config, devices), "K", "5", "timeline: devices", false, 1,
     DUNE_MAX_BLOCKS},
    {"features", 'f', CLI_STR, offsetof(struct config, features), "SET", "all", "timeline: candidate features"},
    {"svg", 0, CLI_STR, offsetof(struct config, svg), "FILE", NULL, "timeline: a picture"},
    {"title", 0, CLI_STR, offsetof(struct config, title), "TEXT", "F1 over time", "timeline: title of the picture"},
};

/* --- learn -------------------------------------------------------------------------------------------------- */

static int learn(struct cli_ctx *ctx, const struct config *cfg, struct dune_diag *d)
{
    struct dune_plan *p = NULL;
    struct dune_dataset *ds = NULL;
    struct dune_drift_profile *f = NULL;
    int rc;

    if (ctx->n_args != 3 || !cfg->out)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "drift learn PLAN.json ROWS.dset -o PROFILE.json");
    rc = dune_plan_read(&p, ctx->args[1], d);
    if (rc == 0)
        rc = dune_dataset_read(&ds, ctx->args[2], d);
    if (rc == 0)
        rc = dune_drift_learn(&f, p, ds, cfg->flows, d);
    if (rc == 0)
        rc = dune_drift_profile_write(f, p, cfg->out, d);
    if (rc == 0)
        cli_note(ctx, "%llu answers, limits from %u folds of about %llu answers",
                 (unsigned long long)dune_drift_answers(&f->expected), f->folds, (unsigned long long)f->fold_answers);
    dune_drift_profile_free(f);
    dune_dataset_free(ds);
    dune_plan_free(p);
    return rc;
}

/* --- check -------------------------------------------------------------------------------------------------- */

struct watch {
    struct cli_ctx *ctx;
    const struct config *cfg;
    struct dune_plan *plan;
    struct dune_drift_profile *profile;
    struct dune_drift_counts seen;
    uint64_t window, start, index; /* ticks; start 0: no packet yet */
    struct dune_buf csv, json;
    struct dune_jsonw w;
    uint64_t n_alarms;
};

static void put_signal(struct dune_jsonw *w, const struct watch *x, const struct dune_drift_signal *s)
{
    dune_jsonw_obj_inline(w);
    dune_jsonw_key(w, "kind"), dune_jsonw_str(w, dune_drift_kind_name(s->kind));
    dune_jsonw_key(w, "submodel"), dune_jsonw_uint(w, x->plan->sub[s->sub].id);
    dune_jsonw_key(w, "name"), dune_jsonw_str(w, s->name);
    dune_jsonw_key(w, "distance"), dune_jsonw_fixed(w, s->distance, 4);
    dune_jsonw_key(w, "limit"), dune_jsonw_fixed(w, s->limit, 4);
    dune_jsonw_key(w, "moved"), dune_jsonw_bool(w, s->moved);
    dune_jsonw_end(w);
}

static void put_json(struct watch *x, const struct dune_drift_check *k)
{
    struct dune_jsonw *w = &x->w;

    dune_jsonw_obj(w);
    dune_jsonw_key(w, "window"), dune_jsonw_uint(w, x->index);
    dune_jsonw_key(w, "answers"), dune_jsonw_uint(w, k->answers);
    dune_jsonw_key(w, "enough"), dune_jsonw_bool(w, k->enough);
    dune_jsonw_key(w, "alarm"), dune_jsonw_bool(w, k->alarm);
    dune_jsonw_key(w, "signals");
    dune_jsonw_arr(w);
    for (size_t i = 0; i < k->n; i++)
        if (k->signal[i].moved || x->cfg->all)
            put_signal(w, x, &k->signal[i]);
    dune_jsonw_end(w);
    dune_jsonw_end(w);
}

static void put_csv(struct watch *x, const struct dune_drift_check *k)
{
    for (size_t i = 0; i < k->n; i++) {
        const struct dune_drift_signal *s = &k->signal[i];

        dune_buf_printf(&x->csv, "%llu,%llu,%s,%u,", (unsigned long long)x->index, (unsigned long long)k->answers,
                        dune_drift_kind_name(s->kind), x->plan->sub[s->sub].id);
        dune_csv_put(&x->csv, s->name);
        dune_buf_printf(&x->csv, ",%.4f,%.4f,%d\n", s->distance, s->limit, s->moved);
    }
}

static void print_check(struct watch *x, const struct dune_drift_check *k)
{
    struct dune_buf names = {0};

    dune_drift_moved(k, x->plan, 8, &names);
    if (!k->enough)
        cli_out(x->ctx, "window %llu: %llu answers are too few to tell\n", (unsigned long long)x->index,
                (unsigned long long)k->answers);
    else if (k->alarm)
        cli_out(x->ctx, "window %llu: ALARM: moved: %s\n", (unsigned long long)x->index, names.data);
    else
        cli_out(x->ctx, "window %llu: %llu answers, no feature moved\n", (unsigned long long)x->index,
                (unsigned long long)k->answers);
    for (size_t i = 0; i < k->n; i++) {
        const struct dune_drift_signal *s = &k->signal[i];

        if ((s->moved && s->kind != DUNE_DRIFT_FEATURE) || x->cfg->all)
            cli_out(x->ctx, "  sub-model %u %-10s %-20s distance %.4f limit %.4f%s\n", x->plan->sub[s->sub].id,
                    dune_drift_kind_name(s->kind), s->name, s->distance, s->limit, s->moved ? "  moved" : "");
    }
    dune_buf_fini(&names);
}

static void end_window(struct watch *x)
{
    struct dune_drift_check k;

    dune_drift_compare(&k, x->profile, x->plan, &x->seen);
    x->index++;
    x->n_alarms += k.alarm;
    put_csv(x, &k);
    if (x->ctx->json)
        put_json(x, &k);
    else
        print_check(x, &k);
    dune_drift_check_fini(&k);
    dune_drift_counts_clear(&x->seen);
}

static void on_answer(void *ctx, const struct dune_plan *plan, uint32_t sub, const uint32_t *features,
                      const struct dune_sub_answer *a)
{
    struct watch *x = ctx;

    dune_drift_note(&x->seen, plan, sub, features, a);
}

/* Packets come in bursts: a window ends with the burst in which its time is over. */
static void on_packet(void *ctx, const struct dune_replay_packet *p)
{
    struct watch *x = ctx;

    if (!x->window)
        return;
    if (x->start == 0)
        x->start = p->tick;
    if (p->tick < x->start + x->window)
        return;
    end_window(x);
    x->start += (p->tick - x->start) / x->window * x->window;
}

static int watch_captures(struct watch *x, struct dune_diag *d)
{
    struct dune_replay_opts o = {.on_packet = on_packet, .on_packet_ctx = x, .on_answer = on_answer, .on_answer_ctx = x};
    struct dune_inputs in = {0};
    struct dune_captures *captures = NULL;
    struct dune_replay *r = NULL;
    const char **path;
    int rc = 0;

    for (int i = 2; rc == 0 && i < x->ctx->n_args; i++)
        rc = dune_inputs_add(&in, x->ctx->args[i], DUNE_SPLIT_TEST, d);
    if (rc == 0)
        rc = dune_inputs_check(&in, d);
    if (rc == 0 && x->cfg->captures)
        rc = dune_captures_read(&captures, x->cfg->captures, d);
    o.captures = captures;
    path = dune_arena_alloc(&x->ctx->arena, in.len + 1, sizeof(*path));
    for (size_t i = 0; i < in.len; i++)
        path[i] = in.data[i].path;
    if (rc == 0)
        rc = dune_replay_run(&r, x->plan, path, in.len, &o, d);
    dune_replay_free(rc ? NULL : r);
    dune_captures_free(captures);
    dune_inputs_fini(&in);
    return rc;
}

static int watch_rows(struct watch *x, const char *path, struct dune_diag *d)
{
    struct dune_dataset *ds;
    uint8_t *use;
    int rc = dune_dataset_read(&ds, path, d);

    if (rc)
        return rc;
    use = dune_mem_alloc(ds->n_flows + 1, 1);
    for (uint64_t k = 0; k < ds->n_flows; k++)
        use[k] = x->cfg->split == 2 || (ds->flow_split[k] == DUNE_SPLIT_TEST) == (x->cfg->split == 0);
    rc = dune_drift_count_flows(&x->seen, x->plan, ds, use, d);
    dune_mem_free(use);
    dune_dataset_free(ds);
    return rc;
}

static bool is_dataset(const char *path)
{
    const char *dot = strrchr(path, '.');

    return dot && strcmp(dot, ".dset") == 0;
}

static int watch(struct watch *x, struct dune_diag *d)
{
    int rc = dune_plan_read(&x->plan, x->ctx->args[1], d);

    if (rc)
        return rc;
    dune_drift_counts_init(&x->seen, x->plan);
    rc = dune_drift_profile_read(&x->profile, x->plan, x->cfg->profile, d);
    dune_buf_puts(&x->csv, "window,answers,kind,submodel,name,distance,limit,moved\n");
    dune_jsonw_init(&x->w, &x->json);
    dune_jsonw_obj(&x->w);
    dune_jsonw_key(&x->w, "windows");
    dune_jsonw_arr(&x->w);
    if (rc == 0)
        rc = x->ctx->n_args == 3 && is_dataset(x->ctx->args[2]) ? watch_rows(x, x->ctx->args[2], d)
                                                                : watch_captures(x, d);
    if (rc == 0)
        end_window(x);
    dune_jsonw_end(&x->w);
    dune_jsonw_key(&x->w, "alarms"), dune_jsonw_uint(&x->w, x->n_alarms);
    dune_jsonw_end(&x->w);
    if (rc == 0 && x->cfg->csv)
        rc = dune_file_write(x->cfg->csv, x->csv.data, x->csv.len, d);
    if (rc == 0 && x->ctx->json)
        cli_write_json(x->ctx, &x->json);
    return rc;
}

static int check(struct cli_ctx *ctx, const struct config *cfg, struct dune_diag *d)
{
    struct watch x = {.ctx = ctx, .cfg = cfg, .window = (uint64_t)(cfg->window_s * 1e9 / 1024)};
    int rc;

    if (ctx->n_args < 3 || !cfg->profile)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "drift check PLAN.json PCAP...|ROWS.dset --profile PROFILE.json");
    rc = watch(&x, d);
    dune_drift_counts_fini(&x.seen);
    dune_drift_profile_free(x.profile);
    dune_plan_free(x.plan);
    dune_buf_fini(&x.csv);
    dune_buf_fini(&x.json);
    return rc;
}

/* --- timeline ----------------------------------------------------------------------------------------------- */

static void print_timeline(struct cli_ctx *ctx, const struct dune_timeline *t)
{
    struct cli_table tab;
    double sum[2] = {0};

    cli_table_init(&tab, 5, (const char *[]){">window", ">flows", ">first plan", ">retrained", "features that moved"});
    for (size_t i = 0; i < t->n; i++) {
        const struct dune_timeline_point *p = &t->point[i];

        cli_table_cell(&tab, "%u", p->window + 1);
        cli_table_cell(&tab, "%llu", (unsigned long long)p->flows);
        cli_table_cell(&tab, "%.4f", p->fixed);
        cli_table_cell(&tab, "%.4f", p->retrained);
        cli_table_cell(&tab, "%s", p->names);
        sum[0] += p->fixed;
        sum[1] += p->retrained;
    }
    cli_print_table(ctx, &tab);
    cli_out(ctx, "mean macro F1: first plan %.4f, retrained %.4f\n", sum[0] / (double)t->n, sum[1] / (double)t->n);
}

static int write_timeline(const struct config *cfg, const struct dune_timeline *t, struct dune_diag *d)
{
    struct dune_buf csv = {0}, svg = {0};
    int rc = 0;

    dune_timeline_csv(t, &csv);
    dune_timeline_svg(t, cfg->title, &svg);
    if (cfg->out)
        rc = dune_file_write(cfg->out, csv.data, csv.len, d);
    if (rc == 0 && cfg->svg)
        rc = dune_file_write(cfg->svg, svg.data, svg.len, d);
    dune_buf_fini(&csv);
    dune_buf_fini(&svg);
    return rc;
}

static int timeline(struct cli_ctx *ctx, const struct config *cfg, struct dune_diag *d)
{
    struct dune_timeline_cfg tc = {.windows = cfg->windows, .first = cfg->first, .history = cfg->history,
                                   .capture_order = cfg->capture_order};
    struct dune_dataset *ds = NULL;
    struct dune_timeline t;
    int rc;

    if (ctx->n_args != 2)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "drift timeline ROWS.dset");
    tc.plan = (struct dune_planner_cfg){.devices = cfg->devices, .effort = (enum dune_effort)ctx->effort,
                                        .seed = ctx->seed, .threads = ctx->threads};
    rc = dune_budget_parse(cfg->budget, &tc.plan.budget, d);
    if (rc == 0)
        rc = dune_feature_set_parse(cfg->features, 0, &tc.plan.features, d);
    if (rc == 0)
        rc = dune_dataset_read(&ds, ctx->args[1], d);
    if (rc == 0)
        rc = dune_timeline_run(&t, ds, &tc, d);
    if (rc == 0) {
        rc = write_timeline(cfg, &t, d);
        if (rc == 0 && !ctx->quiet)
            print_timeline(ctx, &t);
        dune_timeline_fini(&t);
    }
    dune_dataset_free(ds);
    return rc;
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    const struct config *cfg = config;

    if (strcmp(ctx->args[0], "learn") == 0)
        return learn(ctx, cfg, d);
    if (strcmp(ctx->args[0], "check") == 0)
        return check(ctx, cfg, d);
    if (strcmp(ctx->args[0], "timeline") == 0)
        return timeline(ctx, cfg, d);
    return dune_diag_set(d, DUNE_E_USAGE, NULL, "no \"%.32s\": learn, check, timeline", ctx->args[0]);
}

const struct cli_command cmd_drift = {
    .name = "drift",
    .summary = "whether traffic still looks like what a plan was trained on",
    .args = "learn PLAN ROWS.dset|check PLAN PCAP...|timeline ROWS.dset",
    .min_args = 1,
    .max_args = -1,
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description =
        "learn notes what the sub-models of a plan see on the train flows: how often every range of every feature\n"
        "is hit, every leaf is reached, every class is claimed, and with what confidence; and how far folds of these flows are from each\n"
        "other, which gives the limits. check runs captures (or the rows of a data set) through the plan and names\n"
        "what is farther from that than its limit. timeline plays a data set in windows of time: a plan from the\n"
        "first ones beside one that is fitted again before every window. See docs/drift.md.\n",
    .examples = "dunectl drift learn plan.json rows.dset -o plan.profile.json\n"
                "dunectl drift check plan.json today.pcap --profile plan.profile.json --window 600\n"
                "dunectl drift timeline rows.dset --windows 12 -o timeline.csv --svg timeline.svg\n",
    .run = run,
};
