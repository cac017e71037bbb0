/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator decides about a plan that was learned. */
#include "cli/cli.h"

#include "dune/plan_policy.h"

struct config {
    struct cli_list actions, confidences, prefixes, ports, protocols;
    uint32_t chain_mtu;
    bool all_traffic;
    const char *out;
};

static const struct cli_option options[] = {
    {"output", 'o', CLI_STR, offsetof(struct config, out), "FILE", NULL, "the plan with these decisions", true},
    {"action", 'a', CLI_LIST, offsetof(struct config, actions), "CLASS=ACTION", NULL,
     "forward, mark:DSCP, steer:PORT, drop[:any] or mirror:PORT[:any]; class * is all of them"},
    {"min-confidence", 0, CLI_LIST, offsetof(struct config, confidences), "CLASS=N", NULL,
     "claims of less confidence (0 to 255) end as unclaimed"},
    {"prefix", 0, CLI_LIST, offsetof(struct config, prefixes), "ADDR/LEN", NULL,
     "look only at packets from or to these addresses"},
    {"port", 0, CLI_LIST, offsetof(struct config, ports), "LOW[-HIGH]", NULL, "and only from or to these ports"},
    {"protocol", 0, CLI_LIST, offsetof(struct config, protocols), "NAME", NULL, "and only of tcp, udp, icmp, or a number"},
    {"all-traffic", 0, CLI_FLAG, offsetof(struct config, all_traffic), NULL, NULL, "without the filter that the plan had"},
    {"chain-mtu", 0, CLI_U32, offsetof(struct config, chain_mtu), "BYTES", NULL,
     "longest frame of the links between devices, shim included; longer packets travel without (0: no limit)"},
};

static int each(struct dune_plan *p, const struct cli_list *texts,
                int (*set)(struct dune_plan *p, const char *text, struct dune_diag *d), struct dune_diag *d)
{
    int rc = 0;

    for (size_t i = 0; i < texts->len && rc == 0; i++)
        rc = set(p, texts->data[i], d);
    return rc;
}

static int decide(struct cli_ctx *ctx, const struct config *cfg, struct dune_plan *p, struct dune_diag *d)
{
    int rc;

    if (cfg->all_traffic)
        dune_plan_clear_filter(p);
    if (cli_given(ctx, "chain-mtu"))
        p->chain_mtu = cfg->chain_mtu;
    rc = each(p, &cfg->actions, dune_plan_set_action, d);
    rc = rc ? rc : each(p, &cfg->confidences, dune_plan_set_min_confidence, d);
    rc = rc ? rc : each(p, &cfg->prefixes, dune_plan_add_prefix, d);
    rc = rc ? rc : each(p, &cfg->ports, dune_plan_add_ports, d);
    return rc ? rc : each(p, &cfg->protocols, dune_plan_add_protocol, d);
}

static void print_json(struct cli_ctx *ctx, const struct config *cfg, const struct dune_plan *p)
{
    struct dune_buf b = {0};
    struct dune_jsonw w;
    uint32_t acts = 0;

    for (uint32_t c = 0; c < p->n_classes; c++)
        acts += p->cls[c].action != DUNE_ACTION_FORWARD;
    dune_jsonw_init(&w, &b);
    dune_jsonw_obj(&w);
    dune_jsonw_key(&w, "plan");
    dune_jsonw_str(&w, cfg->out);
    dune_jsonw_key(&w, "classes_with_action");
    dune_jsonw_uint(&w, acts);
    dune_jsonw_key(&w, "filter_entries");
    dune_jsonw_uint(&w, p->filter.n_prefixes + p->filter.n_ports + p->filter.n_protos);
    dune_jsonw_key(&w, "chain_mtu");
    dune_jsonw_uint(&w, p->chain_mtu);
    dune_jsonw_end(&w);
    cli_write_json(ctx, &b);
    dune_buf_fini(&b);
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    const struct config *cfg = config;
    struct dune_plan *p = NULL;
    int rc = dune_plan_read(&p, ctx->args[0], d);

    if (rc == 0)
        rc = decide(ctx, cfg, p, d);
    if (rc == 0)
        rc = dune_plan_verify(p, d);
    if (rc == 0)
        rc = dune_plan_write(p, cfg->out, d);
    if (rc == 0 && ctx->json)
        print_json(ctx, cfg, p);
    if (rc == 0)
        cli_note(ctx, "wrote %s", cfg->out);
    dune_plan_free(p);
    return rc;
}

const struct cli_command cmd_policy = {
    .name = "policy",
    .summary = "what devices do with each class, and which traffic they look at",
    .args = "PLAN.json",
    .min_args = 1,
    .max_args = 1,
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description =
        "Writes the plan again with an operator's decisions; what it has learned stays as it is, and so do decisions\n"
        "that no option speaks of. The output may be the plan itself. dunectl show lists the decisions, controller apply\n"
        "brings them to the devices like any other plan.\n"
        "\n"
        "mark and steer happen on the last device, on final claims; drop and mirror on the device where the verdict becomes\n"
        "final, and only once a flow is settled, unless :any is given. Tentative and unclaimed packets get no action.\n"
        "Ports are numbers of the device's ports.\n"
        "\n"
        "A packet must match one prefix, one port and one protocol, as far as there are any; what does not match is\n"
        "forwarded and counted as filtered.\n",
    .examples = "dunectl policy plan.json --action scan=drop:any --action camera=mark:46 -o plan.json\n"
                "dunectl policy plan.json --prefix 10.0.0.0/8 --protocol tcp --protocol udp -o inside.json\n"
                "dunectl policy plan.json --action '*=forward' --all-traffic -o bare.json\n",
    .run = run,
};
