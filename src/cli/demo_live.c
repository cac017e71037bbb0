/* SPDX-License-Identifier: Apache-2.0 */
/* dunectl demo live: the solutions in turn over switches in network namespaces, then the table. */
#include "cli/demo_live.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "dune/live.h"

struct row {
    const char *name;
    struct dune_plan *plan;
    struct dune_testbed_result r;
    DUNE_VEC(struct dune_testbed_now) curve; /* one a second */
};

struct live {
    struct cli_ctx *ctx;
    const struct cli_demo_live *cfg;
    struct dune_testbed_cfg tb;
    struct dune_labels *labels;
    struct dune_paths paths;
    struct row *row;
    size_t n;
    /* dashboard */
    struct dune_dash *dash;
    struct dune_dash_feed *feed;
    pthread_mutex_t lock; /* of what the buttons ask for */
    bool in_turn, running, wanted;
    char solution[64], pace[32];
    _Atomic bool stop;
};

static void on_tick(void *ctx, const struct dune_testbed_now *now)
{
    struct live *l = ctx;

    DUNE_VEC_PUSH(&l->row[l->n].curve, *now);
    if ((uint64_t)now->seconds % 5 == 0)
        cli_note(l->ctx, "%s %3.0f s: %llu packets, F1 so far: macro %.3f weighted %.3f micro %.3f",
                 l->row[l->n].name, now->seconds, (unsigned long long)now->arrived, now->flow.macro,
                 now->flow.weighted, now->flow.micro);
}

/* --- dashboard ---------------------------------------------------------------------------------------------- */

static bool is_solution(const struct live *l, const char *name)
{
    for (size_t i = 0; i < l->cfg->solutions->len; i++)
        if (strcmp(l->cfg->solutions->data[i], name) == 0)
            return true;
    return false;
}

/* In the dashboard's thread: what is asked for is done by the thread that owns the testbed. */
static int press_start(void *ctx, const char *use_case, const char *solution, const char *pace, struct dune_diag *d)
{
    struct live *l = ctx;
    int rc = 0;

    (void)use_case;
    pthread_mutex_lock(&l->lock);
    if (l->in_turn)
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "the solutions still run in turn; Stop goes on to the next one, Start works "
                           "when they are through");
    else if (!is_solution(l, solution))
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "there is no solution \"%.60s\" here", solution);
    else if (cli_dash_pace(pace, &(struct dune_testbed_run_cfg){0}, d))
        rc = d->code;
    if (rc == 0) {
        snprintf(l->solution, sizeof(l->solution), "%s", solution);
        snprintf(l->pace, sizeof(l->pace), "%s", pace);
        l->wanted = true;
        atomic_store(&l->stop, true); /* of the one that runs */
    }
    pthread_mutex_unlock(&l->lock);
    return rc;
}

static int press_stop(void *ctx, struct dune_diag *d)
{
    struct live *l = ctx;
    int rc = 0;

    pthread_mutex_lock(&l->lock);
    if (!l->running)
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "no traffic is sent");
    atomic_store(&l->stop, true);
    pthread_mutex_unlock(&l->lock);
    return rc;
}

static bool asked_to_stop(void *ctx)
{
    return atomic_load(&((struct live *)ctx)->stop);
}

/* The scene of a run on the testbed, and who looks at it. */
static void show(struct live *l, const char *name, const char *pace, struct dune_testbed_run_cfg *run)
{
    struct dune_dash_place at[DUNE_TESTBED_DEVICES];
    char device[DUNE_TESTBED_DEVICES][16];
    struct dune_dash_scene scene = {.use_case = "live", .solution = name, .source = "testbed", .plan = run->plan, .device = at,
                                    .n_devices = l->tb.n_levels, .labels = l->labels, .pcaps = run->pcaps,
                                    .n_pcaps = run->n_pcaps, .pace = pace};

    if (!l->dash)
        return;
    for (uint32_t i = 0; i < l->tb.n_levels; i++) {
        snprintf(device[i], sizeof(device[i]), "s%u", i + 1);
        at[i] = (struct dune_dash_place){device[i], (uint16_t)i, i + 1 < l->tb.n_levels ? (uint16_t)(i + 1) : (uint16_t)DUNE_DASH_SINK};
    }
    l->feed = dune_dash_feed_open(l->dash, &scene);
    run->look = dune_dash_watch_testbed;
    run->digest = dune_dash_watch_testbed_digest;
    run->look_ctx = l->feed;
    run->stop = asked_to_stop;
    run->stop_ctx = l;
}

static void shown(struct live *l, int rc, const struct dune_diag *d)
{
    char text[1400] = "";

    if (rc && rc != DUNE_E_INTERRUPTED)
        dune_diag_format(d, text, sizeof(text));
    dune_dash_feed_close(l->feed, rc == DUNE_E_INTERRUPTED || (rc == 0 && atomic_load(&l->stop)) ? DUNE_DASH_STOPPED
                                  : rc ? DUNE_DASH_FAILED : DUNE_DASH_FINISHED, text);
    l->feed = NULL;
}

/* --- one solution ------------------------------------------------------------------------------------------ */

static int send(struct live *l, const char *name, const char *pace, struct dune_testbed_run_cfg *run,
                struct dune_testbed_result *out, struct dune_diag *d)
{
    struct dune_diag ignored = {0};
    int rc = dune_testbed_up(&l->tb, d);

    pthread_mutex_lock(&l->lock);
    l->running = true;
    atomic_store(&l->stop, false);
    pthread_mutex_unlock(&l->lock);
    if (rc == 0) {
        show(l, name, pace, run);
        rc = dune_testbed_run(&l->tb, run, out, d);
        shown(l, rc, d);
    }
    pthread_mutex_lock(&l->lock);
    l->running = false;
    pthread_mutex_unlock(&l->lock);
    if (dune_testbed_down(l->tb.name, rc ? &ignored : d) && rc == 0)
        rc = d->code;
    return rc;
}

static int run_one(struct live *l, const char *name, struct dune_diag *d)
{
    struct row *row = &l->row[l->n];
    struct dune_testbed_run_cfg run = {.engine = l->cfg->engine, .labels = l->labels, .seconds = l->cfg->seconds,
                                       .pcaps = (const char *const *)l->paths.data, .n_pcaps = l->paths.len,
                                       .in_turn = true, .dunectl = "/proc/self/exe", .tick = on_tick, .tick_ctx = l};
    char *path = dune_mem_printf("%s/plans/%s.json", l->cfg->dir, name);
    int rc = dune_plan_read(&row->plan, path, d);

    dune_mem_free(path);
    if (rc)
        return rc;
    row->name = name;
    run.plan = row->plan;
    cli_note(l->ctx, "%s on %u switches", name, l->tb.n_levels);
    rc = send(l, name, "x1", &run, &row->r, d);
    l->n++;
    return rc;
}

/* Until Ctrl-C: the solution that somebody starts, at the pace they choose. */
static int run_wanted(struct live *l, struct dune_diag *d)
{
    struct dune_testbed_run_cfg run = {.engine = l->cfg->engine, .labels = l->labels, .in_turn = true,
                                       .pcaps = (const char *const *)l->paths.data, .n_pcaps = l->paths.len,
                                       .dunectl = "/proc/self/exe"};
    struct dune_testbed_result ignored;
    char solution[64], pace[32];
    int rc;

    pthread_mutex_lock(&l->lock);
    l->wanted = false;
    memcpy(solution, l->solution, sizeof(solution));
    memcpy(pace, l->pace, sizeof(pace));
    pthread_mutex_unlock(&l->lock);
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->row[i].name, solution) == 0)
            run.plan = l->row[i].plan;
    rc = cli_dash_pace(pace, &run, d);
    if (rc == 0 && run.plan)
        rc = send(l, solution, pace, &run, &ignored, d);
    return rc;
}

static int stay(struct live *l, struct dune_diag *d)
{
    int rc = 0;

    pthread_mutex_lock(&l->lock);
    l->in_turn = false;
    pthread_mutex_unlock(&l->lock);
    fflush(stdout);
    cli_note(l->ctx, "the dashboard stays at %s until you press Ctrl-C", dune_dash_url(l->dash));
    while (rc == 0 && !dune_interrupted()) {
        bool wanted;

        usleep(50000);
        pthread_mutex_lock(&l->lock);
        wanted = l->wanted;
        pthread_mutex_unlock(&l->lock);
        if (wanted)
            rc = run_wanted(l, d);
    }
    return rc == DUNE_E_INTERRUPTED ? 0 : rc;
}

/* --- the tables -------------------------------------------------------------------------------------------- */

static void print_scores(struct live *l)
{
    struct cli_table t;

    cli_out(l->ctx, "\nlive, %.0f s of traffic over %u switches (%s); a packet without an answer is wrong:\n\n",
            l->n ? l->row[0].r.seconds : 0, l->tb.n_levels, l->cfg->engine);
    cli_table_init(&t, 10, (const char *[]){"solution", ">macro F1", ">weighted", ">micro", ">of digests", ">claimed %",
                                            ">packets", ">lost", ">chain p50 us", ">p99 us"});
    for (size_t i = 0; i < l->n; i++) {
        const struct dune_testbed_result *r = &l->row[i].r;

        cli_table_cell(&t, "%s", l->row[i].name);
        cli_table_cell(&t, "%.4f", r->flow.macro);
        cli_table_cell(&t, "%.4f", r->flow.weighted);
        cli_table_cell(&t, "%.4f", r->flow.micro);
        cli_table_cell(&t, "%.4f", r->digest.macro);
        cli_table_cell(&t, "%.1f", 100 * r->flow.coverage);
        cli_table_cell(&t, "%llu", (unsigned long long)r->sent);
        cli_table_cell(&t, "%llu", (unsigned long long)r->lost);
        cli_table_cell(&t, "%.1f", (double)r->chain_p50_ns / 1e3);
        cli_table_cell(&t, "%.1f", (double)r->chain_p99_ns / 1e3);
    }
    cli_print_table(l->ctx, &t);
}

static void print_devices(struct live *l)
{
    struct cli_table t;

    cli_out(l->ctx, "\n");
    cli_table_init(&t, 9, (const char *[]){"solution", "switch", ">p50 us", ">p99 us", ">inferred", ">by rule",
                                           ">leaves", ">features", ">blocks"});
    for (size_t i = 0; i < l->n; i++)
        for (uint32_t k = 0; k < l->row[i].r.n_devices; k++) {
            const struct dune_testbed_device *dev = &l->row[i].r.device[k];
            struct dune_resources res = {0};

            if (k < l->row[i].plan->n_devices)
                dune_resources_estimate(l->row[i].plan, k, NULL, 1, &res);
            cli_table_cell(&t, "%s", k ? " " : l->row[i].name);
            cli_table_cell(&t, "%s", dev->name);
            cli_table_cell(&t, "%.1f", (double)dev->hop_p50_ns / 1e3);
            cli_table_cell(&t, "%.1f", (double)dev->hop_p99_ns / 1e3);
            cli_table_cell(&t, "%llu", (unsigned long long)dev->counters.inferred);
            cli_table_cell(&t, "%llu", (unsigned long long)dev->counters.rule_hit);
            cli_table_cell(&t, "%u", res.leaves);
            cli_table_cell(&t, "%u", res.features_distinct);
            cli_table_cell(&t, "%u", res.published_blocks);
        }
    cli_print_table(l->ctx, &t);
    cli_out(l->ctx, "\nTimes are of this machine. Of a switch: %s.\n"
            "Blocks: the published accounting of table memory.\n",
            strcmp(l->cfg->engine, "xdp") == 0 ? "the time in its XDP program"
                                               : "from the interface's time stamp until the frame is handed on");
}

static void json_curve(struct dune_jsonw *w, const struct row *row)
{
    dune_jsonw_key(w, "curve"); /* [seconds, packets, macro, weighted, micro] */
    dune_jsonw_arr(w);
    for (size_t i = 0; i < row->curve.len; i++) {
        const struct dune_testbed_now *now = &row->curve.data[i];

        dune_jsonw_arr_inline(w);
        dune_jsonw_fixed(w, now->seconds, 1);
        dune_jsonw_big(w, now->arrived);
        dune_jsonw_fixed(w, now->flow.macro, 5);
        dune_jsonw_fixed(w, now->flow.weighted, 5);
        dune_jsonw_fixed(w, now->flow.micro, 5);
        dune_jsonw_end(w);
    }
    dune_jsonw_end(w);
}

static void json_row(struct dune_jsonw *w, const struct row *row)
{
    const struct dune_testbed_result *r = &row->r;

    dune_jsonw_key(w, row->name);
    dune_jsonw_obj(w);
    dune_jsonw_key(w, "macro"), dune_jsonw_fixed(w, r->flow.macro, 5);
    dune_jsonw_key(w, "weighted"), dune_jsonw_fixed(w, r->flow.weighted, 5);
    dune_jsonw_key(w, "micro"), dune_jsonw_fixed(w, r->flow.micro, 5);
    dune_jsonw_key(w, "coverage"), dune_jsonw_fixed(w, r->flow.coverage, 5);
    dune_jsonw_key(w, "digest_macro"), dune_jsonw_fixed(w, r->digest.macro, 5);
    dune_jsonw_key(w, "sent"), dune_jsonw_big(w, r->sent);
    dune_jsonw_key(w, "lost"), dune_jsonw_big(w, r->lost);
    dune_jsonw_key(w, "chain_p50_ns"), dune_jsonw_big(w, r->chain_p50_ns);
    dune_jsonw_key(w, "chain_p99_ns"), dune_jsonw_big(w, r->chain_p99_ns);
    dune_jsonw_key(w, "hop_p50_ns");
    dune_jsonw_arr_inline(w);
    for (uint32_t k = 0; k < r->n_devices; k++)
        dune_jsonw_big(w, r->device[k].hop_p50_ns);
    dune_jsonw_end(w);
    dune_jsonw_key(w, "hop_p90_ns");
    dune_jsonw_arr_inline(w);
    for (uint32_t k = 0; k < r->n_devices; k++)
        dune_jsonw_big(w, r->device[k].hop_p90_ns);
    dune_jsonw_end(w);
    dune_jsonw_key(w, "hop_p99_ns");
    dune_jsonw_arr_inline(w);
    for (uint32_t k = 0; k < r->n_devices; k++)
        dune_jsonw_big(w, r->device[k].hop_p99_ns);
    dune_jsonw_end(w);
    json_curve(w, row);
    dune_jsonw_end(w);
}

static int write_json(struct live *l, struct dune_diag *d)
{
    char *path = dune_mem_printf("%s/live.json", l->cfg->dir);
    struct dune_buf b = {0};
    struct dune_jsonw w;
    int rc;

    dune_jsonw_init(&w, &b);
    dune_jsonw_obj(&w);
    dune_jsonw_key(&w, "switches"), dune_jsonw_uint(&w, l->tb.n_levels);
    dune_jsonw_key(&w, "solutions");
    dune_jsonw_obj(&w);
    for (size_t i = 0; i < l->n; i++)
        json_row(&w, &l->row[i]);
    dune_jsonw_end(&w);
    dune_jsonw_end(&w);
    dune_buf_puts(&b, "\n");
    rc = dune_file_write(path, b.data, b.len, d);
    dune_buf_fini(&b);
    dune_mem_free(path);
    return rc;
}

static int open_dash(struct live *l, struct dune_diag *d)
{
    struct dune_dash_control control = {press_start, press_stop, l};
    struct dune_dash_case use_case = {"live", l->cfg->dir, l->cfg->solutions->data, l->cfg->solutions->len};
    struct dune_dash_cfg dc = {.title = "dunectl demo live", .control = &control, .cases = &use_case, .n_cases = 1};

    return cli_dash_open(l->ctx, l->cfg->dash, &dc, &l->dash, d);
}

/* What is sent is labelled as the run's test captures were, wherever the labels come from; live there are no
 * boundaries of captures in a file. */
static int open_labels(struct live *l, struct dune_diag *d)
{
    const struct cli_run_config *run = l->cfg->run;
    const struct dune_labels_opts lo = {.gateway_mac = run->gateway, .field = run->label_field};
    struct dune_ndpi_report report;

    return dune_labels_open(&l->labels, run->labels, &lo, (const char *const *)l->paths.data, l->paths.len, NULL, &report, d);
}

int cli_demo_live(struct cli_ctx *ctx, const struct cli_demo_live *cfg, struct dune_diag *d)
{
    struct live l = {.ctx = ctx, .cfg = cfg, .lock = PTHREAD_MUTEX_INITIALIZER, .in_turn = true};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < cfg->test->len; i++)
        rc = dune_paths_add(&l.paths, cfg->test->data[i], d);
    if (rc == 0)
        rc = open_labels(&l, d);
    if (rc == 0)
        rc = open_dash(&l, d);

    dune_testbed_row(&l.tb, cfg->devices);
    l.row = DUNE_NEW_N(struct row, cfg->solutions->len + 1);
    for (size_t i = 0; rc == 0 && i < cfg->solutions->len; i++)
        rc = run_one(&l, cfg->solutions->data[i], d);
    if (rc == 0)
        rc = write_json(&l, d);
    if (rc == 0 && !ctx->json) {
        print_scores(&l);
        print_devices(&l);
    }
    if (rc == 0)
        rc = cli_report_page(ctx, cfg->dir, cfg->page, d);
    if (rc == 0 && l.dash)
        rc = stay(&l, d);
    dune_dash_stop(l.dash);
    for (size_t i = 0; i < l.n; i++) {
        dune_plan_free(l.row[i].plan);
        DUNE_VEC_FREE(&l.row[i].curve);
    }
    dune_mem_free(l.row);
    dune_paths_fini(&l.paths);
    dune_labels_free(l.labels);
    return rc;
}
