/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/labels_cli.h"

#include <string.h>

#include "dune/dataset.h"
#include "dune/replay.h"

struct config {
    const char *unlabelled, *labels, *captures, *gateway, *label_field, *engine, *rules, *verdicts, *pcap_out, *name, *feed;
    uint32_t slots, ways, digest_rate, rules_max;
    unsigned edge_shim; /* 0 wrap, 1 drop */
    bool keep_shim, rules_everywhere, check_keys, confusion;
};

static const struct cli_option options[] = {
    {"labels", 'l', CLI_STR, offsetof(struct config, labels), "FILE|ndpi", NULL,
     "labels; with them verdicts are scored. With those of nDPI, flows of classes that the plan does not know "
     "are not"},
    {"unlabelled", 0, CLI_STR, offsetof(struct config, unlabelled), "CLASS", NULL,
     "the class of flows without a label, instead of not scoring them"},
    {"captures", 0, CLI_STR, offsetof(struct config, captures), "FILE", NULL,
     "list of the captures that lie one after another in the files"},
    {"engine", 0, CLI_STR, offsetof(struct config, engine), "reference|fast|xdp", "reference",
     "what runs the plan"},
    {"rules", 0, CLI_STR, offsetof(struct config, rules), "off|delay:TICKS", "off",
     "a simulated controller: a digest becomes a known-flow rule after a delay (a tick is 1024 ns)"},
    {"rules-everywhere", 0, CLI_FLAG, offsetof(struct config, rules_everywhere), NULL, NULL,
     "rules also on the devices behind the first"},
    {"rules-max", 0, CLI_U32, offsetof(struct config, rules_max), "N", NULL,
     "rules one device holds (65536)", false, 1, 0},
    {"digest-rate", 0, CLI_U32, offsetof(struct config, digest_rate), "N", NULL,
     "digests per second one device may send (no limit)", false, 1, 0},
    {"edge-shim", 0, CLI_CHOICE, offsetof(struct config, edge_shim), "wrap|drop", "wrap",
     "what an edge port does with packets that already carry a shim"},
    {"slots", 0, CLI_U32, offsetof(struct config, slots), "N", NULL,
     "flow table slots per device instead of the plan's (a power of two)", false, 1, 0},
    {"ways", 0, CLI_U32, offsetof(struct config, ways), "N", NULL, "ways instead of the plan's", false,
     1, 8},
    {"check-keys", 0, CLI_FLAG, offsetof(struct config, check_keys), NULL, NULL,
     "count false matches: equal id in the slot, another 5-tuple"},
    {"label-field", 0, CLI_STR, offsetof(struct config, label_field), "NAME", NULL,
     "log of Zeek or Suricata: the field that is the class (service; app_proto, alert.category ...)"},
    {"gateway", 0, CLI_STR, offsetof(struct config, gateway), "MAC", NULL,
     "UNSW device list: the gateway whose packets to a device count"},
    {"verdicts", 0, CLI_STR, offsetof(struct config, verdicts), "FILE", NULL,
     "write the verdict of every packet as CSV"},
    {"feed", 0, CLI_STR, offsetof(struct config, feed), "json:FILE|csv:FILE", NULL,
     "write every flow with its class, one line each (docs/feeds.md)"},
    {"pcap-out", 0, CLI_STR, offsetof(struct config, pcap_out), "FILE", NULL,
     "write the packets as they left the chain"},
    {"keep-shim", 0, CLI_FLAG, offsetof(struct config, keep_shim), NULL, NULL,
     "leave the shim on the packets of --pcap-out"},
    {"confusion", 0, CLI_FLAG, offsetof(struct config, confusion), NULL, NULL,
     "print the confusion matrix (flow level)"},
    {"name", 0, CLI_STR, offsetof(struct config, name), "NAME", NULL,
     "name of the solution in the output instead of the plan's"},
};

struct work {
    struct dune_plan *plan;
    struct dune_inputs in;
    struct dune_labels *labels;
    struct dune_captures *captures;
    struct dune_replay_opts opts;
    struct dune_replay *r;
    struct dune_ndpi_report ndpi;
    const char **classes; /* of the plan, or NULL */
};

/* --- options ------------------------------------------------------------------------------------- */

static int parse_rules(const char *text, struct dune_chain_opts *o, struct dune_diag *d)
{
    if (strcmp(text, "off") == 0)
        return 0;
    o->rules = true;
    if (strncmp(text, "delay:", 6) == 0 && dune_parse_u64(text + 6, &o->rule_delay))
        return 0;
    return dune_diag_set(d, DUNE_E_USAGE, NULL,
                         "--rules wants off or delay:TICKS, like delay:1000 (about 1 ms), not \"%s\"",
                         text);
}

static int parse_options(struct cli_ctx *ctx, const struct config *cfg, struct work *w,
                         struct dune_diag *d)
{
    struct dune_chain_opts *o = &w->opts.chain;
    const struct dune_engine_ops *ops;
    int rc = dune_engine_get(&ops, cfg->engine, d);

    if (rc == 0)
        rc = parse_rules(cfg->rules, o, d);
    if (rc == 0 && cfg->keep_shim && !cfg->pcap_out)
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "--keep-shim is about --pcap-out: give it as well");
    if (rc == 0 && !o->rules && (cfg->rules_everywhere || cfg->rules_max))
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL,
                           "--rules-everywhere and --rules-max are about --rules delay:TICKS");
    if (rc == 0 && cfg->confusion && !cfg->labels)
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "--confusion needs --labels");
    o->slots = cfg->slots;
    o->ways = cfg->ways;
    o->drop_edge_shim = cfg->edge_shim == 1;
    o->check_keys = cfg->check_keys;
    o->keep_shim = cfg->keep_shim;
    o->rules_everywhere = cfg->rules_everywhere;
    o->rules_max = cfg->rules_max;
    o->digest_rate = cfg->digest_rate;
    o->threads = cli_given(ctx, "threads") ? ctx->threads : 1; /* bursts are small */
    w->opts.engine = cfg->engine;
    w->opts.verdicts_path = cfg->verdicts;
    w->opts.pcap_path = cfg->pcap_out;
    w->opts.seed = ctx->seed;
    return rc;
}

static int find_inputs(struct cli_ctx *ctx, struct dune_inputs *in, struct dune_diag *d)
{
    int rc = 0;

    for (int i = 1; i < ctx->n_args && rc == 0; i++)
        rc = dune_inputs_add_tree(in, ctx->args[i], d);
    return rc ? rc : dune_inputs_check(in, d);
}

/* --- report -------------------------------------------------------------------------------------- */

static void print_json(struct cli_ctx *ctx, const struct work *wk)
{
    struct dune_buf b = {0};
    struct dune_jsonw w;

    dune_jsonw_init(&w, &b);
    dune_jsonw_obj(&w);
    dune_jsonw_key(&w, "solutions");
    dune_jsonw_obj(&w);
    dune_jsonw_key(&w, wk->r->solution);
    dune_replay_json(wk->r, wk->plan, &w);
    dune_jsonw_end(&w);
    dune_jsonw_end(&w);
    cli_write_json(ctx, &b);
    dune_buf_fini(&b);
}

static void print_counter(struct cli_ctx *ctx, const char *name, uint64_t v, const char *text)
{
    if (v)
        cli_out(ctx, "  %-18s %12llu%s%s\n", name, (unsigned long long)v, *text ? "  " : "", text);
}

static void print_packets(struct cli_ctx *ctx, const struct dune_replay *r)
{
    cli_out(ctx, "%llu packets, %llu bytes on the wire, %llu captures, %u devices, engine %s\n",
            (unsigned long long)r->packets, (unsigned long long)r->bytes,
            (unsigned long long)r->captures, r->n_devices, r->engine);
    print_counter(ctx, "inferable", r->inferable, "");
    for (int i = DUNE_REASON_OK + 1; i < DUNE_N_REASONS; i++)
        print_counter(ctx, dune_reason_name((enum dune_reason)i), r->by_reason[i],
                      dune_reason_text((enum dune_reason)i));
    print_counter(ctx, "filtered", r->filtered, "outside the plan's target traffic");
    print_counter(ctx, "too_big", r->too_big, "above the plan's chain_mtu - 8: without shim");
    cli_out(ctx, "verdicts\n");
    print_counter(ctx, "claimed", r->claimed, "");
    print_counter(ctx, "tentative", r->tentative, "fallback");
    print_counter(ctx, "unclaimed", r->unclaimed, "");
    print_counter(ctx, "settled", r->settled, "no later packet of the flow changes them");
    print_counter(ctx, "rule_hits", r->rule_hits, "written by a known-flow rule");
    print_counter(ctx, "collided", r->collided, "found no slot on some device");
    print_counter(ctx, "dropped", r->dropped, "");
    print_counter(ctx, "mirrored", r->mirrored, "");
}

static void print_devices(struct cli_ctx *ctx, const struct dune_replay *r)
{
    struct cli_table t;

    cli_table_init(&t, 10, (const char *[]){"device", ">in", ">out", ">inferred", ">passed settled",
                                            ">rule hits", ">new slots", ">collisions", ">finals",
                                            ">digests"});
    for (uint32_t i = 0; i < r->n_devices; i++) {
        const struct dune_counters *c = &r->device[i];
        const uint64_t v[] = {c->in, c->out, c->inferred, c->passed_settled, c->rule_hit,
                              c->slot_new + c->slot_expired, c->collisions, c->finals, c->digests};

        cli_table_cell(&t, "%s", r->device_name[i]);
        for (size_t k = 0; k < DUNE_ARRAY_LEN(v); k++)
            cli_table_cell(&t, "%llu", (unsigned long long)v[k]);
    }
    cli_print_table(ctx, &t);
}

static void print_classes(struct cli_ctx *ctx, const struct dune_replay *r)
{
    struct cli_table t;

    cli_table_init(&t, 7, (const char *[]){"class", ">flows", ">precision", ">recall", ">F1",
                                           ">packets", ">packet F1"});
    for (uint32_t c = 0; c < r->n_classes; c++) {
        const struct dune_class_score *s = &r->flow.cls[c], *p = &r->packet.cls[c];

        cli_table_cell(&t, "%s", r->class_name[c]);
        cli_table_cell(&t, "%.0f", s->support);
        cli_table_cell(&t, "%.4f", s->precision);
        cli_table_cell(&t, "%.4f", s->recall);
        cli_table_cell(&t, s->present ? "%.4f" : "-", s->f1);
        cli_table_cell(&t, "%.0f", p->support);
        cli_table_cell(&t, p->present ? "%.4f" : "-", p->f1);
    }
    cli_print_table(ctx, &t);
}

static void print_levels(struct cli_ctx *ctx, const struct dune_replay *r)
{
    static const char *const name[] = {"flow", "packet"};
    struct cli_table t;

    cli_table_init(&t, 9, (const char *[]){"level", ">macro F1", ">95 % interval", ">weighted", ">micro",
                                           ">coverage", ">PL", ">FL", ">collided"});
    for (int i = 0; i < 2; i++) {
        const struct dune_replay_level *l = i ? &r->packet : &r->flow;

        cli_table_cell(&t, "%s", name[i]);
        cli_table_cell(&t, "%.4f", l->f1.macro);
        cli_table_cell(&t, "%.4f .. %.4f", l->macro.lo, l->macro.hi);
        cli_table_cell(&t, "%.4f", l->f1.weighted);
        cli_table_cell(&t, "%.4f", l->f1.micro);
        cli_table_cell(&t, "%.4f", l->f1.coverage);
        cli_table_cell(&t, "%.4f", l->pl);
        cli_table_cell(&t, "%.4f", l->fl);
        cli_table_cell(&t, "%.4f", l->collision);
    }
    cli_print_table(ctx, &t);
    cli_out(ctx, "%llu labelled flows; intervals: bootstrap over %u %s%s\n",
            (unsigned long long)r->flows, r->bootstrap_groups, r->bootstrap_over,
            strcmp(r->bootstrap_over, "flows") ? "" : " (fewer than 4 captures)");
    if (r->unlabelled_packets)
        cli_out(ctx, "%llu packets of %llu flows have no label and no part in the scores\n",
                (unsigned long long)r->unlabelled_packets, (unsigned long long)r->unlabelled_flows);
}

static void print_confusion(struct cli_ctx *ctx, const struct dune_replay *r)
{
    const struct dune_confusion *c = &r->flow.confusion;

    cli_out(ctx, "\nconfusion, flows: true class: answers\n");
    for (uint32_t i = 0; i < c->n_classes; i++) {
        if (!r->flow.cls[i].present)
            continue;
        cli_out(ctx, "  %s:", r->class_name[i]);
        for (uint32_t j = 0; j <= c->n_classes; j++) {
            double v = (double)c->cell[i * (c->n_classes + 1) + j] / DUNE_WEIGHT_ONE;

            if (v > 0)
                cli_out(ctx, "  %s %.1f", j < c->n_classes ? r->class_name[j] : "(unclaimed)", v);
        }
        cli_out(ctx, "\n");
    }
}

static void print_report(struct cli_ctx *ctx, const struct config *cfg, const struct work *w)
{
    const struct dune_replay *r = w->r;

    print_packets(ctx, r);
    cli_out(ctx, "\n");
    print_devices(ctx, r);
    if (r->scored) {
        cli_out(ctx, "\n");
        cli_print_ndpi(ctx, &w->ndpi);
        print_classes(ctx, r);
        cli_out(ctx, "\n");
        print_levels(ctx, r);
    }
    if (cfg->confusion)
        print_confusion(ctx, r);
    cli_out(ctx, "\n%.0f ns per packet through the chain, p50 %.0f, p99 %.0f\n", r->ns_mean, r->ns_p50,
            r->ns_p99);
    if (cfg->verdicts)
        cli_out(ctx, "wrote %s\n", cfg->verdicts);
    if (cfg->feed)
        cli_out(ctx, "wrote %s\n", strchr(cfg->feed, ':') + 1);
    if (cfg->pcap_out)
        cli_out(ctx, "wrote %s\n", cfg->pcap_out);
}

/* --- the command --------------------------------------------------------------------------------- */

static void know_classes(struct work *w)
{
    w->classes = dune_mem_alloc(w->plan->n_classes, sizeof(*w->classes));
    for (uint32_t i = 0; i < w->plan->n_classes; i++)
        w->classes[i] = w->plan->cls[i].name;
    w->opts.classes = w->classes;
    w->opts.n_classes = w->plan->n_classes;
}

static int replay(struct cli_ctx *ctx, const struct config *cfg, struct work *w, struct dune_diag *d)
{
    struct dune_labels_opts lo = {.gateway_mac = cfg->gateway, .field = cfg->label_field};
    const char **path;
    int rc = parse_options(ctx, cfg, w, d);

    if (rc == 0)
        rc = dune_plan_read(&w->plan, ctx->args[0], d);
    if (rc == 0)
        rc = find_inputs(ctx, &w->in, d);
    if (rc == 0 && cfg->captures)
        rc = dune_captures_read(&w->captures, cfg->captures, d);
    if (rc)
        return rc;
    w->opts.feed = cfg->feed;
    path = dune_mem_alloc(w->in.len, sizeof(*path));
    for (size_t i = 0; i < w->in.len; i++)
        path[i] = w->in.data[i].path;
    if (cfg->labels)
        rc = dune_labels_open(&w->labels, cfg->labels, &lo, path, w->in.len, w->captures, &w->ndpi, d);
    w->opts.labels = w->labels;
    w->opts.captures = w->captures;
    w->opts.unlabelled = cfg->unlabelled;
    if (cfg->labels && dune_labels_are_ndpi(cfg->labels))
        know_classes(w);
    if (rc == 0)
        rc = dune_replay_run(&w->r, w->plan, path, w->in.len, &w->opts, d);
    dune_mem_free(path);
    if (rc == 0 && cfg->name) {
        dune_mem_free(w->r->solution);
        w->r->solution = dune_mem_strdup(cfg->name);
    }
    return rc;
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    const struct config *cfg = config;
    struct work w = {0};
    int rc = replay(ctx, cfg, &w, d);

    if (rc == 0 && ctx->json)
        print_json(ctx, &w);
    else if (rc == 0 && !ctx->quiet)
        print_report(ctx, cfg, &w);
    dune_mem_free(w.classes);
    dune_replay_free(w.r);
    dune_captures_free(w.captures);
    dune_labels_free(w.labels);
    dune_inputs_fini(&w.in);
    dune_plan_free(w.plan);
    return rc;
}

const struct cli_command cmd_replay = {
    .name = "replay",
    .summary = "captures through a plan: verdicts, scores, counters",
    .args = "PLAN PCAP...",
    .min_args = 2,
    .max_args = -1,
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description =
        "Sends the packets of captures through the devices of a plan, linked in memory. Every file, and\n"
        "every capture of --captures, starts with empty flow tables. With labels, verdicts are scored\n"
        "per flow and per packet; a packet without a claimed class is wrong.\n"
        "\n"
        "The reference engine is the judge: the plainest possible implementation of the plan.\n",
    .examples = "dunectl replay plan.json test/*.pcap --labels labels.csv\n"
                "dunectl replay plan.json data/test --labels labels.csv --captures captures.csv --json\n"
                "dunectl replay plan.json a.pcap --rules delay:1000 --verdicts verdicts.csv\n"
                "dunectl replay plan.json a.pcap --pcap-out chain.pcap --keep-shim\n",
    .run = run,
};
