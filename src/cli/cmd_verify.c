/* SPDX-License-Identifier: Apache-2.0 */
/* Checks a plan file and says where it is wrong. */
#include "cli/cli.h"

#include "dune/plan.h"

struct config {
    char unused;
};

static uint64_t count_leaves(const struct dune_plan *p)
{
    uint64_t n = 0;

    for (uint32_t s = 0; s < p->n_submodels; s++)
        for (uint32_t t = 0; t < p->sub[s].n_trees; t++)
            n += p->sub[s].tree[t].n_leaves;
    return n;
}

static void print_json(struct cli_ctx *ctx, const char *path, const struct dune_plan *p,
                       const struct dune_diag *d)
{
    struct dune_buf b = {0};
    struct dune_jsonw w;

    dune_jsonw_init(&w, &b);
    dune_jsonw_obj(&w);
    dune_jsonw_key(&w, "plan");
    dune_jsonw_str(&w, path);
    dune_jsonw_key(&w, "ok");
    dune_jsonw_bool(&w, p != NULL);
    if (p) {
        dune_jsonw_key(&w, "classes");
        dune_jsonw_uint(&w, p->n_classes);
        dune_jsonw_key(&w, "submodels");
        dune_jsonw_uint(&w, p->n_submodels);
        dune_jsonw_key(&w, "devices");
        dune_jsonw_uint(&w, p->n_devices);
        dune_jsonw_key(&w, "leaves");
        dune_jsonw_uint(&w, count_leaves(p));
    } else {
        dune_jsonw_key(&w, "place");
        dune_jsonw_str(&w, d->place);
        dune_jsonw_key(&w, "error");
        dune_jsonw_str(&w, d->msg);
    }
    dune_jsonw_end(&w);
    cli_write_json(ctx, &b);
    dune_buf_fini(&b);
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    struct dune_plan *p = NULL;
    int rc = dune_plan_read(&p, ctx->args[0], d);

    (void)config;
    if (ctx->json)
        print_json(ctx, ctx->args[0], p, d);
    else if (rc == 0 && !ctx->quiet)
        cli_out(ctx, "%s: ok: %u classes, %u sub-models, %u devices, %llu leaves\n", ctx->args[0],
                p->n_classes, p->n_submodels, p->n_devices, (unsigned long long)count_leaves(p));
    if (rc == 0 && p->claim == DUNE_CLAIM_VOTES)
        cli_note(ctx, "claim rule 'votes' runs in the reference engine only");
    dune_plan_free(p);
    return rc;
}

const struct cli_command cmd_verify = {
    .name = "verify",
    .summary = "checks a plan file",
    .args = "PLAN.json",
    .min_args = 1,
    .max_args = 1,
    CLI_CONFIG(struct config),
    .description =
        "Checks that range rows cover each feature without gap or overlap, that exactly one code "
        "row\n"
        "matches every code that can occur, ids, limits and the budgets of the devices. An error\n"
        "names the place in the file, as in submodels[1].trees[0].leaves[7].match.\n"
        "Exit status 3: the file is wrong; 4: it exceeds a budget.\n",
    .examples = "dunectl verify plan.json\n"
                "dunectl verify plan.json --json\n",
    .run = run,
};
