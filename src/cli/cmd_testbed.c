/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <string.h>
#include <unistd.h>

#include "cli/judge.h"
#include "dune/live.h"

struct config {
    const char *plan, *labels, *label_field, *gateway, *engine, *target, *record, *name, *trace;
    struct cli_list pcaps;
    double seconds, speed, pps;
    const char *out;
    uint32_t slots, ways, rules_max, train_runs, test_runs;
    unsigned ports;
    bool top_speed, tcpreplay, strip, no_rules, release_slots;
};

static const struct cli_option options[] = {
    {"plan", 'p', CLI_STR, offsetof(struct config, plan), "FILE", NULL, "run: the plan"},
    {"pcap", 0, CLI_LIST, offsetof(struct config, pcaps), "PCAP", NULL,
     "run: a capture that is sent, or a directory of them; all start together"},
    {"labels", 'l', CLI_STR, offsetof(struct config, labels), "FILE|ndpi", NULL,
     "run: labels, a file or what nDPI says (ndpi, ndpi-protocol, ndpi-category); what arrives is scored"},
    {"label-field", 0, CLI_STR, offsetof(struct config, label_field), "NAME", NULL,
     "run: log of Zeek or Suricata: the field that is the class"},
    {"gateway", 0, CLI_STR, offsetof(struct config, gateway), "MAC", NULL, "run: gateway of the UNSW device list"},
    {"engine", 0, CLI_STR, offsetof(struct config, engine), "reference|fast|xdp|bmv2", "reference", "run: of the switches"},
    {"target", 't', CLI_STR, offsetof(struct config, target), "NAME", NULL, "another word for --engine"},
    {"ports", 0, CLI_CHOICE, offsetof(struct config, ports), "af_packet|af_xdp", "af_packet",
     "run: kind of the switches' ports; engines reference and fast"},
    {"seconds", 0, CLI_DOUBLE, offsetof(struct config, seconds), "S", NULL, "run: of traffic (all of it); record: of a capture (20)", false, 0.1, 0},
    {"speed", 0, CLI_DOUBLE, offsetof(struct config, speed), "X", NULL,
     "run: times the captured pace (1)", false, 0.001, 0},
    {"pps", 0, CLI_DOUBLE, offsetof(struct config, pps), "N", NULL, "run: packets per second instead", false, 1, 0},
    {"top-speed", 0, CLI_FLAG, offsetof(struct config, top_speed), NULL, NULL, "run: as fast as the links take it"},
    {"tcpreplay", 0, CLI_FLAG, offsetof(struct config, tcpreplay), NULL, NULL, "run: tcpreplay sends"},
    {"strip", 0, CLI_FLAG, offsetof(struct config, strip), NULL, NULL,
     "run: the last device strips the shim; then only digests are scored"},
    {"no-rules", 0, CLI_FLAG, offsetof(struct config, no_rules), NULL, NULL, "run: no known-flow rules"},
    {"release-slots", 0, CLI_FLAG, offsetof(struct config, release_slots), NULL, NULL,
     "run: a flow that gets a rule gives up its slot; engine bmv2"},
    {"record", 0, CLI_STR, offsetof(struct config, record), "PCAP", NULL, "run: write what arrives at the sink"},
    {"trace", 0, CLI_STR, offsetof(struct config, trace), "DIR", NULL,
     "run: a trace of every packet per switch, judged by the reference; exit 1 when a verdict differs"},
    {"slots", 0, CLI_U32, offsetof(struct config, slots), "N", NULL, "run: slots instead of the plan's", false, 1, 0},
    {"ways", 0, CLI_U32, offsetof(struct config, ways), "N", NULL, "run: ways instead of the plan's", false, 1, 8},
    {"rules-max", 0, CLI_U32, offsetof(struct config, rules_max), "N", NULL, "run: rules a device holds", false, 1, 0},
    {"output", 'o', CLI_STR, offsetof(struct config, out), "DIR", NULL, "record: where captures and labels go"},
    {"train-runs", 0, CLI_U32, offsetof(struct config, train_runs), "N", "4", "record: captures in train/", false, 1, 100},
    {"test-runs", 0, CLI_U32, offsetof(struct config, test_runs), "N", "2", "record: captures in test/", false, 0, 100},
    {"name", 0, CLI_STR, offsetof(struct config, name), "NAME", NULL, "down: name of the testbed, without a topology"},
};

static void on_tick(void *ctx, const struct dune_testbed_now *now)
{
    cli_note(ctx, "%3.0f s: %llu sent, %llu arrived, macro F1 %.3f so far", now->seconds,
             (unsigned long long)now->sent, (unsigned long long)now->arrived, now->flow.macro);
}

static void put_f1(struct dune_jsonw *w, const char *key, const struct dune_f1 *f)
{
    dune_jsonw_key(w, key);
    dune_jsonw_obj_inline(w);
    dune_jsonw_key(w, "macro"), dune_jsonw_fixed(w, f->macro, 5);
    dune_jsonw_key(w, "weighted"), dune_jsonw_fixed(w, f->weighted, 5);
    dune_jsonw_key(w, "micro"), dune_jsonw_fixed(w, f->micro, 5);
    dune_jsonw_key(w, "coverage"), dune_jsonw_fixed(w, f->coverage, 5);
    dune_jsonw_end(w);
}

static void print_json(struct cli_ctx *ctx, const struct dune_testbed_result *r)
{
    struct dune_buf b = {0};
    struct dune_jsonw w;

    dune_jsonw_init(&w, &b);
    dune_jsonw_obj(&w);
#define PUT(field) dune_jsonw_key(&w, #field), dune_jsonw_big(&w, r->field)
    PUT(sent), PUT(refused), PUT(arrived), PUT(lost), PUT(unknown), PUT(inferable), PUT(claimed), PUT(settled);
    PUT(flows), PUT(labelled_flows), PUT(digests), PUT(chain_p50_ns), PUT(chain_p99_ns);
#undef PUT
    dune_jsonw_key(&w, "seconds"), dune_jsonw_fixed(&w, r->seconds, 3);
    put_f1(&w, "flow", &r->flow);
    put_f1(&w, "packet", &r->packet);
    put_f1(&w, "digest", &r->digest);
    if (r->traced)
        judge_json(&w, &r->judgement);
    dune_jsonw_key(&w, "rules_sent"), dune_jsonw_big(&w, r->controller.rules_sent);
    dune_jsonw_key(&w, "devices");
    dune_jsonw_arr(&w);
    for (uint32_t i = 0; i < r->n_devices; i++) {
        dune_jsonw_obj(&w);
        dune_jsonw_key(&w, "name"), dune_jsonw_str(&w, r->device[i].name);
        dune_jsonw_key(&w, "hop_p50_ns"), dune_jsonw_big(&w, r->device[i].hop_p50_ns);
        dune_jsonw_key(&w, "hop_p90_ns"), dune_jsonw_big(&w, r->device[i].hop_p90_ns);
        dune_jsonw_key(&w, "hop_p99_ns"), dune_jsonw_big(&w, r->device[i].hop_p99_ns);
        dune_jsonw_key(&w, "lost"), dune_jsonw_big(&w, r->device[i].lost);
        dune_jsonw_key(&w, "counters");
        dune_jsonw_obj(&w);
        dune_counters_json(&r->device[i].counters, &w);
        dune_jsonw_end(&w);
        dune_jsonw_end(&w);
    }
    dune_jsonw_end(&w);
    dune_jsonw_end(&w);
    cli_write_json(ctx, &b);
    dune_buf_fini(&b);
}

static void print_text(struct cli_ctx *ctx, const struct dune_testbed_result *r, bool strip)
{
    struct cli_table t;

    cli_out(ctx, "%llu packets sent, %llu arrived, %llu lost, %llu unknown; %llu digests, %llu rules\n",
            (unsigned long long)r->sent, (unsigned long long)r->arrived, (unsigned long long)r->lost,
            (unsigned long long)r->unknown, (unsigned long long)r->digests,
            (unsigned long long)r->controller.rules_sent);
    cli_table_init(&t, 5, (const char *[]){"scored", ">macro F1", ">weighted", ">micro", ">coverage"});
    for (int i = strip ? 2 : 0; i < 3; i++) {
        const struct dune_f1 *f = i == 0 ? &r->flow : i == 1 ? &r->packet : &r->digest;

        cli_table_cell(&t, "%s", i == 0 ? "flows" : i == 1 ? "packets" : "digests");
        cli_table_cell(&t, "%.3f", f->macro);
        cli_table_cell(&t, "%.3f", f->weighted);
        cli_table_cell(&t, "%.3f", f->micro);
        cli_table_cell(&t, "%.3f", f->coverage);
    }
    cli_print_table(ctx, &t);
    cli_table_init(&t, 6, (const char *[]){"device", ">p50 us", ">p99 us", ">packets", ">inferred", ">by rule"});
    for (uint32_t i = 0; i < r->n_devices; i++) {
        cli_table_cell(&t, "%s", r->device[i].name);
        cli_table_cell(&t, "%.1f", (double)r->device[i].hop_p50_ns / 1e3);
        cli_table_cell(&t, "%.1f", (double)r->device[i].hop_p99_ns / 1e3);
        cli_table_cell(&t, "%llu", (unsigned long long)r->device[i].counters.in);
        cli_table_cell(&t, "%llu", (unsigned long long)r->device[i].counters.inferred);
        cli_table_cell(&t, "%llu", (unsigned long long)r->device[i].counters.rule_hit);
    }
    cli_table_cell(&t, "source to sink");
    cli_table_cell(&t, "%.1f", (double)r->chain_p50_ns / 1e3);
    cli_table_cell(&t, "%.1f", (double)r->chain_p99_ns / 1e3);
    cli_table_cell(&t, "%llu", (unsigned long long)r->arrived);
    cli_table_cell(&t, " ");
    cli_table_cell(&t, " ");
    cli_print_table(ctx, &t);
}

/* Exit status 1: a device said something else than the reference. */
static int check_judgement(const struct dune_testbed_result *r, struct dune_diag *d)
{
    return r->traced ? judge_verdict(&r->judgement, d) : 0;
}

static int add_pcaps(const struct config *cfg, struct dune_paths *paths, struct dune_diag *d)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < cfg->pcaps.len; i++)
        rc = dune_paths_add(paths, cfg->pcaps.data[i], d);
    return rc;
}

static int run_testbed(struct cli_ctx *ctx, const struct config *cfg, const struct dune_testbed_cfg *tb,
                       struct dune_diag *d)
{
    struct dune_testbed_run_cfg r = {.engine = cfg->target ? cfg->target : cfg->engine,
                                     .ports = cfg->ports ? "af_xdp" : "af_packet", .seconds = cfg->seconds, .speed = cfg->speed,
                                     .pps = cfg->pps, .top_speed = cfg->top_speed, .tcpreplay = cfg->tcpreplay,
                                     .strip = cfg->strip, .no_rules = cfg->no_rules,
                                     .release_slots = cfg->release_slots, .record = cfg->record, .trace = cfg->trace,
                                     .opts = {.slots = cfg->slots, .ways = cfg->ways, .rules_max = cfg->rules_max},
                                     .dunectl = "/proc/self/exe", .note = cli_note_text, .note_ctx = ctx, .tick = on_tick,
                                     .tick_ctx = ctx};
    struct dune_testbed_result *out = DUNE_NEW(struct dune_testbed_result);
    struct dune_plan *plan = NULL;
    struct dune_labels *labels = NULL;
    const struct dune_labels_opts lo = {.gateway_mac = cfg->gateway, .field = cfg->label_field};
    struct dune_ndpi_report report;
    struct dune_paths paths = {0};
    int rc = dune_switch_can(r.engine, r.trace, r.release_slots, d);

    if (rc == 0)
        rc = dune_plan_read(&plan, cfg->plan, d);
    if (rc == 0)
        rc = add_pcaps(cfg, &paths, d);
    if (rc == 0 && cfg->labels)
        rc = dune_labels_open(&labels, cfg->labels, &lo, (const char *const *)paths.data, paths.len, NULL, &report, d);
    r.plan = plan;
    r.labels = labels;
    r.pcaps = (const char *const *)paths.data;
    r.n_pcaps = paths.len;
    if (rc == 0)
        rc = dune_testbed_guard(tb->name, d);
    if (rc == 0)
        rc = dune_testbed_up(tb, d);
    if (rc == 0) {
        rc = dune_testbed_run(tb, &r, out, d);
        if (dune_testbed_down(tb->name, rc ? NULL : d) && rc == 0)
            rc = d->code;
    }
    if (rc == 0 && ctx->json)
        print_json(ctx, out);
    else if (rc == 0)
        print_text(ctx, out, cfg->strip);
    if (rc == 0 && out->traced && !ctx->json)
        judge_text(ctx, &out->judgement);
    if (rc == 0)
        rc = check_judgement(out, d);
    dune_paths_fini(&paths);
    dune_labels_free(labels);
    dune_plan_free(plan);
    dune_mem_free(out);
    return rc;
}

static int record(struct cli_ctx *ctx, const struct config *cfg, struct dune_diag *d)
{
    struct dune_testbed_record_cfg r = {.out = cfg->out, .seconds = cfg->seconds, .train = cfg->train_runs,
                                        .test = cfg->test_runs, .seed = ctx->seed};
    int rc;

    if (!cfg->out)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "testbed record needs --output DIR");
    rc = dune_testbed_guard("dunerec", d);
    return rc ? rc : dune_testbed_record(&r, d);
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    struct config *cfg = config;
    struct dune_testbed_cfg tb;
    const char *verb = ctx->args[0];
    int rc = 0;

    dune_testbed_row(&tb, 3);
    if (ctx->n_args > 1)
        rc = dune_testbed_read(&tb, ctx->args[1], d);
    if (rc)
        return rc;
    if (strcmp(verb, "up") == 0)
        return dune_testbed_up(&tb, d);
    if (strcmp(verb, "down") == 0)
        return dune_testbed_down(cfg->name ? cfg->name : tb.name, d);
    if (strcmp(verb, "record") == 0)
        return record(ctx, cfg, d);
    if (strcmp(verb, "run") != 0)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "testbed up, run, down or record, not \"%.32s\"", verb);
    if (!cfg->plan || cfg->pcaps.len == 0)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "testbed run needs --plan and --pcap");
    return run_testbed(ctx, cfg, &tb, d);
}

const struct cli_command cmd_testbed = {
    .name = "testbed",
    .summary = "a chain of devices on this machine",
    .args = "up|run|down|record [TOPOLOGY]",
    .min_args = 1,
    .max_args = 2,
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description =
        "Network namespaces for source, switches and sink, joined by veth pairs. up makes them and leaves them\n"
        "there, down removes them; run does both around a run: it starts a switch per namespace and a controller,\n"
        "sends the captures, records what arrives and scores it, verdicts and digests alike. Whatever ends a run,\n"
        "Ctrl-C and kill -9 too, nothing stays behind.\n"
        "\n"
        "TOPOLOGY is a YAML file: name, levels (devices at every position of the chain, source side first: [1, 1, 1]\n"
        "is a row of three and the default, [4, 2, 1] a tree) or fat_tree (pods, leafs, spines, super_spines,\n"
        "egress_spines, egress_leafs: numbers of switches, up to 40), and mtu. The last device leaves the shim on, so that\n"
        "the sink reads the verdict of every packet; --strip takes it off.\n"
        "\n"
        "record makes a data set of real programs instead: a web server, DNS, NTP, MQTT, SSH, iperf3 and their\n"
        "clients, a bounded port scan and SYN flood, every class of clients in a namespace of its own, IPv4 and\n"
        "IPv6, with and without VLAN tags; train and test come from different runs.\n",
    .examples = "dunectl testbed run --plan plan.json --pcap data/test --labels labels.csv --seconds 30\n"
                "dunectl testbed run tree.yaml --plan plan.json --pcap a.pcap --top-speed --strip\n"
                "dunectl testbed down\n"
                "dunectl testbed record -o mine --seconds 30\n",
    .run = run,
};
