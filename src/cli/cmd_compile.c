/* SPDX-License-Identifier: Apache-2.0 */
/* dunectl compile: ordered sub-models to a placed and verified plan. */
#include "cli/place_report.h"
#include "cli/profile_cli.h"

#include <string.h>

#include "dune/submodel_set.h"

struct config {
    const char *out, *topology, *budget, *profile, *name, *syn_timeout, *placement;
    uint32_t devices, early_exit, generation;
    unsigned claim, fallback, objective;
    struct cli_list min_confidence;
};

static const struct cli_option options[] = {
    {"output", 'o', CLI_STR, offsetof(struct config, out), "FILE", NULL, "the plan (plan.json)", true},
    {"topology", 't', CLI_STR, offsetof(struct config, topology), "FILE", NULL,
     "the row of devices, or the network (YAML); without it as many as there are sub-models"},
    {"objective", 0, CLI_CHOICE, offsetof(struct config, objective), "devices|resources|latency", "devices",
     "what the placement on a network minimises"},
    {"placement", 0, CLI_STR, offsetof(struct config, placement), "FILE", NULL,
     "write which device of the network holds what, and the bound (JSON)"},
    {"devices", 'd', CLI_U32, offsetof(struct config, devices), "K", NULL,
     "instead of a topology: this many equal devices, filled first to last", .min = 1, .max = DUNE_MAX_DEVICES},
    {"budget", 'b', CLI_STR, offsetof(struct config, budget), "BUDGET", NULL,
     "of every device whose topology entry has none (default: the one of the search)"},
    {"profile", 'p', CLI_STR, offsetof(struct config, profile), "NAME", NULL,
     "of every device whose topology entry has none (default: the one of the search, or tofino1)"},
    {"claim", 'c', CLI_CHOICE, offsetof(struct config, claim), "first|best", NULL,
     "first or best claim wins (default: the rule the sequence was made for)"},
    {"early-exit", 0, CLI_U32, offsetof(struct config, early_exit), "CONF", NULL,
     "claims of this confidence are final at once, 256: none", .max = 256},
    {"fallback", 0, CLI_CHOICE, offsetof(struct config, fallback), "none|best", NULL,
     "what becomes of packets that no sub-model claims: nothing, or the best tentative class"},
    {"min-confidence", 0, CLI_NAMES, offsetof(struct config, min_confidence), "N|CLASS=N,...", NULL,
     "less confident answers do not count, 0 to 255; for all classes or for one"},
    {"syn-timeout", 0, CLI_STR, offsetof(struct config, syn_timeout), "SECONDS", NULL,
     "others may take the slot of a flow with only SYN, no ACK, after this idle time (a SYN flood)"},
    {"generation", 0, CLI_U32, offsetof(struct config, generation), "N", "1", "plan generation", .max = 65535},
    {"name", 0, CLI_STR, offsetof(struct config, name), "NAME", "stages", "name of the plan"},
};

/* One entry of --min-confidence; later ones win. */
static int set_threshold(const struct dune_submodel_set *s, const char *text, uint8_t *min_conf, struct dune_diag *d)
{
    const char *eq = strrchr(text, '=');
    uint64_t v;
    bool any = false;

    if (!dune_parse_u64(eq ? eq + 1 : text, &v) || v > 255)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "--min-confidence needs N or CLASS=N with N of 0 to 255, "
                             "not \"%s\"", text);
    for (uint32_t c = 0; c < s->n_classes; c++) {
        if (eq && (strncmp(s->class_name[c], text, (size_t)(eq - text)) != 0 || s->class_name[c][eq - text]))
            continue;
        min_conf[c] = (uint8_t)v;
        any = true;
    }
    if (!any)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "--min-confidence: there is no class \"%.*s\"",
                             (int)(eq ? eq - text : 0), text);
    return 0;
}

static int make_rule(struct cli_ctx *ctx, const struct config *cfg, const struct dune_submodel_set *s,
                     const struct dune_submodel_sequence *seq, struct dune_chain_rule *rule, uint8_t *min_conf,
                     struct dune_diag *d)
{
    bool claim = cli_given(ctx, "claim");
    int rc = 0;

    *rule = (struct dune_chain_rule){.claim = seq->claim, .fallback = seq->fallback, .early_exit = seq->early_exit,
                                     .min_confidence = min_conf};
    if (claim && (enum dune_claim_rule)cfg->claim != seq->claim) { /* the rest belonged to the other rule */
        rule->claim = (enum dune_claim_rule)cfg->claim;
        rule->fallback = DUNE_FALLBACK_NONE;
        rule->early_exit = 256;
    }
    if (cli_given(ctx, "fallback"))
        rule->fallback = (enum dune_fallback)cfg->fallback;
    if (cli_given(ctx, "early-exit"))
        rule->early_exit = (uint16_t)cfg->early_exit;
    if (rule->claim == DUNE_CLAIM_FIRST && (rule->fallback != DUNE_FALLBACK_NONE || rule->early_exit != 256 ||
                                            cfg->min_confidence.len))
        return dune_diag_set(d, DUNE_E_USAGE, NULL,
                             "--fallback, --early-exit and --min-confidence need --claim best");
    for (size_t i = 0; rc == 0 && i < cfg->min_confidence.len; i++)
        rc = set_threshold(s, cfg->min_confidence.data[i], min_conf, d);
    return rc;
}

static void replace_devices(struct dune_plan *p, struct dune_plan_device *dev, uint32_t n)
{
    dune_devices_free(p->device, p->n_devices);
    p->device = dev;
    p->n_devices = n;
}

/* On a network the devices of the plan are positions, which several devices may hold. */
static int place_network(const struct config *cfg, struct dune_plan *p, const struct dune_topology *t, struct dune_diag *d)
{
    struct dune_placement x;
    struct dune_buf b = {0};
    int rc = dune_place_plan(p, t, (enum dune_place_goal)cfg->objective, &x, d);

    if (rc == 0 && cfg->placement) {
        place_report_json(&b, p, t, &x, NULL);
        dune_buf_puts(&b, "\n");
        rc = dune_file_write(cfg->placement, b.data, b.len, d);
    }
    dune_buf_fini(&b);
    dune_placement_fini(&x);
    return rc;
}

static int place_by_file(const struct config *cfg, struct dune_plan *p, const struct dune_budget *budget,
                         const char *profile, struct dune_diag *d)
{
    struct dune_topology *t;
    struct dune_plan_device *dev;
    uint32_t n;
    int rc = dune_network_read(&t, cfg->topology, profile, budget, d);

    if (rc)
        return rc;
    if (!t->row) {
        rc = place_network(cfg, p, t, d);
    } else if (cfg->placement) {
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "--placement is for networks; the plan of a row says it all");
    } else {
        rc = dune_network_row(t, &dev, &n, d);
        if (rc == 0) {
            replace_devices(p, dev, n);
            rc = dune_place_linear(p, d);
        }
    }
    dune_network_free(t);
    return rc;
}

/* Devices by --topology or --devices; with neither each sub-model keeps the one it has. */
static int place(const struct config *cfg, struct dune_plan *p, const struct dune_budget *budget,
                 const char *profile, struct dune_diag *d)
{
    struct dune_plan_device *dev;
    uint32_t n = cfg->devices;

    if (cfg->topology)
        return place_by_file(cfg, p, budget, profile, d);
    if (n == 0)
        return 0;
    dev = DUNE_NEW_N(struct dune_plan_device, n);
    for (uint32_t i = 0; i < n; i++)
        dev[i] = (struct dune_plan_device){.name = dune_mem_printf("s%u", i + 1), .profile = dune_mem_strdup(profile),
                                           .budget = *budget};
    replace_devices(p, dev, n);
    return dune_place_linear(p, d);
}

/* Where the plan came from. */
static void tell_origin(struct dune_plan *p, const struct dune_submodel_set *s,
                        const struct dune_submodel_sequence *seq)
{
    const struct dune_submodel_options *o = &s->options;
    struct dune_buf opt = {0}, score = {0};
    struct dune_jsonw w;

    dune_jsonw_init(&w, &opt);
    dune_jsonw_obj(&w);
    dune_jsonw_put_str(&w, "phase", dune_mode_name(o->mode));
    dune_jsonw_put_str(&w, "score", o->f1_only ? "f1" : "published");
    dune_jsonw_put_str(&w, "grid", o->quick ? "quick" : "full");
    dune_jsonw_key(&w, "own_features");
    dune_jsonw_bool(&w, o->own_features);
    dune_jsonw_key(&w, "sqrt_features");
    dune_jsonw_bool(&w, o->sqrt_features);
    dune_jsonw_key(&w, "balance");
    dune_jsonw_double(&w, o->balance);
    dune_jsonw_put_str(&w, "order", seq->lop ? "lop" : "end-to-end");
    dune_jsonw_end(&w);
    dune_jsonw_init(&w, &score);
    dune_jsonw_obj(&w);
    dune_jsonw_put_str(&w, "judged_on", "validation split of train");
    dune_jsonw_key(&w, "chained_macro_f1");
    dune_jsonw_double(&w, seq->chained_macro);
    dune_jsonw_key(&w, "lop_cost");
    dune_jsonw_double(&w, seq->lop_cost);
    dune_jsonw_key(&w, "submodels");
    dune_jsonw_arr_inline(&w);
    for (uint32_t i = 0; i < s->n; i++)
        dune_jsonw_double(&w, s->sub[i].chosen.macro_f1);
    dune_jsonw_end(&w);
    dune_jsonw_end(&w);
    p->provenance.options = opt.data;
    p->provenance.scores = score.data;
    p->provenance.solution = dune_mem_strdup("stages");
    dune_plan_set_seed(p, o->seed);
}

static int compile(struct cli_ctx *ctx, const struct config *cfg, const struct dune_submodel_set *s,
                   const struct dune_submodel_sequence *seq, struct dune_plan **p, struct dune_diag *d)
{
    struct dune_budget budget = s->options.budget;
    const char *profile = cfg->profile ? cfg->profile : s->options.profile ? s->options.profile->name : "engine";
    uint8_t min_conf[DUNE_MAX_CLASSES + 1] = {0};
    const struct dune_profile *known;
    struct dune_chain_rule rule;
    int rc = make_rule(ctx, cfg, s, seq, &rule, min_conf, d);

    if (rc == 0 && cfg->budget)
        rc = dune_budget_parse(cfg->budget, &budget, d);
    if (rc == 0)
        rc = cli_profile(&known, profile, d);
    if (rc == 0)
        rc = dune_submodels_compile(p, s, seq, &rule, &budget, profile, d);
    if (rc)
        return rc;
    dune_plan_set_name(*p, cfg->name);
    (*p)->generation = (uint16_t)cfg->generation;
    tell_origin(*p, s, seq);
    rc = place(cfg, *p, &budget, profile, d);
    if (rc == 0 && cfg->syn_timeout)
        rc = dune_timeout_parse(cfg->syn_timeout, &(*p)->syn_timeout, d);
    return rc ? rc : dune_plan_verify(*p, d);
}

static void print_json(struct cli_ctx *ctx, const struct config *cfg, const struct dune_plan *p)
{
    struct dune_buf b = {0};
    struct dune_jsonw w;

    dune_jsonw_init(&w, &b);
    dune_jsonw_obj(&w);
    dune_jsonw_put_str(&w, "output", cfg->out);
    dune_jsonw_key(&w, "devices");
    dune_jsonw_arr(&w);
    for (uint32_t i = 0; i < p->n_devices; i++) {
        struct dune_resources use;

        dune_resources_estimate(p, i, NULL, 2, &use);
        dune_jsonw_obj_inline(&w);
        dune_jsonw_put_str(&w, "name", p->device[i].name);
        dune_jsonw_put_str(&w, "profile", p->device[i].profile);
        dune_jsonw_key(&w, "submodels");
        dune_jsonw_arr_inline(&w);
        for (uint32_t k = 0; k < p->n_submodels; k++)
            if (p->sub[k].device == i)
                dune_jsonw_uint(&w, p->sub[k].id);
        dune_jsonw_end(&w);
        dune_jsonw_key(&w, "leaves"), dune_jsonw_uint(&w, use.leaves);
        dune_jsonw_key(&w, "features"), dune_jsonw_uint(&w, use.features_distinct);
        dune_jsonw_end(&w);
    }
    dune_jsonw_end(&w);
    dune_jsonw_end(&w);
    cli_write_json(ctx, &b);
    dune_buf_fini(&b);
}

static void cell_use(struct cli_table *t, uint32_t used, uint32_t limit)
{
    if (limit)
        cli_table_cell(t, "%u/%u", used, limit);
    else
        cli_table_cell(t, "%u", used);
}

static void print_text(struct cli_ctx *ctx, const struct dune_plan *p)
{
    struct cli_table t;

    cli_table_init(&t, 5, (const char *[]){"device", "profile", "sub-models", ">leaves", ">features"});
    for (uint32_t i = 0; i < p->n_devices; i++) {
        struct dune_resources use;
        struct dune_buf ids = {0};

        dune_resources_estimate(p, i, NULL, 2, &use);
        for (uint32_t k = 0; k < p->n_submodels; k++)
            if (p->sub[k].device == i)
                dune_buf_printf(&ids, "%s%u", ids.len ? ", " : "", p->sub[k].id);
        cli_table_cell(&t, "%s", p->device[i].name);
        cli_table_cell(&t, "%s", p->device[i].profile);
        cli_table_cell(&t, "%s", ids.len ? ids.data : "-");
        cell_use(&t, use.leaves, p->device[i].budget.leaves_sum);
        cell_use(&t, use.features_distinct, p->device[i].budget.features_distinct);
        dune_buf_fini(&ids);
    }
    cli_print_table(ctx, &t);
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    struct config *cfg = config;
    struct dune_submodel_sequence seq;
    struct dune_submodel_set *s = NULL;
    struct dune_plan *p = NULL;
    int rc;

    if ((cfg->placement || cli_given(ctx, "objective")) && !cfg->topology)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "--objective and --placement need --topology");
    if (cfg->topology && cfg->devices)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "either --topology or --devices");
    rc = dune_submodels_read(&s, &seq, ctx->args[0], d);
    if (rc == 0)
        rc = compile(ctx, cfg, s, &seq, &p, d);
    if (rc == 0)
        rc = dune_plan_write(p, cfg->out, d);
    if (rc == 0 && ctx->json)
        print_json(ctx, cfg, p);
    else if (rc == 0 && !ctx->quiet)
        print_text(ctx, p);
    if (rc == 0)
        cli_note(ctx, "wrote %s", cfg->out);
    dune_plan_free(p);
    dune_submodel_set_free(s);
    return rc;
}

const struct cli_command cmd_compile = {
    .name = "compile",
    .summary = "a sequence to a plan file",
    .args = "SEQUENCE.json",
    .min_args = 1,
    .max_args = 1,
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description =
        "Turns ordered sub-models into tables, places them on a row of devices and verifies the plan. The\n"
        "data set is not needed. A topology file lists the devices from first to last:\n"
        "\n"
        "    devices: [{name: s1, profile: tofino1, budget: tight}, {name: s2}]\n"
        "\n"
        "Sub-models keep their order; several share a device where its budget allows, the first devices are\n"
        "filled first. With links or a generator it is a network (dunectl place --help): then every way through it\n"
        "meets all sub-models, the devices of the plan are positions, and --placement says who holds which. Exit\n"
        "status 4: a sub-model fits nowhere; the message names device, budget and number.\n",
    .examples = "dunectl compile sequence.json -o plan.json\n"
                "dunectl compile sequence.json --topology row.yaml --claim best --fallback best -o plan.json\n"
                "dunectl compile sequence.json --devices 2 --budget loose -o plan.json\n",
    .run = run,
};
