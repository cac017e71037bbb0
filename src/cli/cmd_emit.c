/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the sources, entries and reports of a target for every device of a plan. */
#include "cli/cli.h"

#include <string.h>

#include "dune/p4.h"
#include "targets/xdp/dune_xdp.h"

struct config {
    const char *target, *out, *program, *compiled;
    uint32_t generations;
};

static const struct cli_option options[] = {
    {"target", 't', CLI_STR, offsetof(struct config, target), "NAME", NULL,
     "p4-v1model, p4-tna or xdp", true},
    {"output", 'o', CLI_STR, offsetof(struct config, out), "DIR", NULL, "where the files go", true},
    {"for", 0, CLI_STR, offsetof(struct config, program), "PLAN", NULL,
     "entries only, for the p4-v1model programs of this plan", false},
    {"generations", 0, CLI_U32, offsetof(struct config, generations), "N", "0",
     "p4-tna: generations a program holds, 1 or 2; 0: two where they fit", false},
    {"compiler-report", 0, CLI_STR, offsetof(struct config, compiled), "DIR", NULL,
     "p4-tna: after compiling, put metrics.json and mau.resources.log of DIR beside the estimates", false},
};

static int find_target(const char *name, enum dune_p4_arch *arch, struct dune_diag *d)
{
    for (int a = DUNE_P4_V1MODEL; a <= DUNE_P4_TNA; a++)
        if (strcmp(name, dune_p4_arch_name((enum dune_p4_arch)a)) == 0) {
            *arch = (enum dune_p4_arch)a;
            return 0;
        }
    return dune_diag_set(d, DUNE_E_INFEASIBLE, NULL,
                         "unknown target architecture \"%s\", there is: p4-v1model, p4-tna, xdp", name);
}

static void print(struct cli_ctx *ctx, const char *dir, const struct dune_p4_files *f)
{
    struct dune_buf b = {0};
    struct dune_jsonw w;

    if (!ctx->json) {
        for (size_t i = 0; i < f->len && !ctx->quiet; i++)
            cli_out(ctx, "%s/%s\n", dir, f->data[i].name);
        return;
    }
    dune_jsonw_init(&w, &b);
    dune_jsonw_obj(&w);
    dune_jsonw_key(&w, "output");
    dune_jsonw_str(&w, dir);
    dune_jsonw_key(&w, "files");
    dune_jsonw_arr(&w);
    for (size_t i = 0; i < f->len; i++)
        dune_jsonw_str(&w, f->data[i].name);
    dune_jsonw_end(&w);
    dune_jsonw_end(&w);
    cli_write_json(ctx, &b);
    dune_buf_fini(&b);
}

static int generate(const struct config *cfg, const struct dune_plan *p, enum dune_p4_arch arch,
                    struct dune_p4_files *files, struct dune_diag *d)
{
    struct dune_plan *program = NULL;
    int rc;

    if (!cfg->program)
        return dune_p4_generate_for(p, arch, cfg->generations, files, d);
    if (arch != DUNE_P4_V1MODEL)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "--for: p4-v1model only");
    rc = dune_plan_read(&program, cfg->program, d);
    if (rc == 0)
        rc = dune_p4_generate_entries(p, program, files, d);
    dune_plan_free(program);
    return rc;
}

/* Writes DIR/DEVICE/report.txt again, with the compiler's numbers in a second column. */
static int compare(struct cli_ctx *ctx, const struct config *cfg, const struct dune_plan *p,
                   enum dune_p4_arch arch, struct dune_diag *d)
{
    uint32_t generations = cfg->generations ? cfg->generations : dune_p4_generations(p, arch);
    int rc = 0;

    for (uint32_t i = 0; i < p->n_devices && rc == 0; i++) {
        struct dune_p4_compiled c;
        struct dune_buf b = {0};
        char name[80], *path;

        dune_p4_device_name(name, p, i);
        rc = dune_p4_compiled_read(&c, cfg->compiled, name, d);
        if (rc)
            break;
        dune_p4_report(&b, p, i, generations, &c);
        path = dune_mem_printf("%s/%s/report.txt", cfg->out, name);
        rc = dune_file_write(path, b.data, b.len, d);
        if (rc == 0 && !ctx->json && !ctx->quiet)
            cli_out(ctx, "%s", b.data);
        dune_mem_free(path);
        dune_buf_fini(&b);
    }
    return rc;
}

/* An XDP device is part of this program: how it starts and what it costs is all there is to write. */
static int generate_xdp(const struct config *cfg, const struct dune_plan *p, struct dune_p4_files *files, struct dune_diag *d)
{
    if (cfg->program || cfg->generations || cfg->compiled)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "--for, --generations and --compiler-report: not for xdp");
    return dune_xdp_emit(p, files, d);
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    struct config *cfg = config;
    struct dune_p4_files files = {0};
    struct dune_plan *p = NULL;
    enum dune_p4_arch arch = DUNE_P4_V1MODEL;
    bool xdp = strcmp(cfg->target, "xdp") == 0;
    int rc = xdp ? 0 : find_target(cfg->target, &arch, d);

    if (rc == 0 && cfg->generations > 2)
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "--generations: want 1 or 2");
    if (rc == 0)
        rc = dune_plan_read(&p, ctx->args[0], d);
    if (rc == 0)
        rc = xdp ? generate_xdp(cfg, p, &files, d) : generate(cfg, p, arch, &files, d);
    if (rc == 0)
        rc = dune_p4_files_write(&files, cfg->out, d);
    if (rc == 0 && cfg->compiled)
        rc = compare(ctx, cfg, p, arch, d);
    if (rc == 0)
        print(ctx, cfg->out, &files);
    dune_p4_files_fini(&files);
    dune_plan_free(p);
    return rc;
}

const struct cli_command cmd_emit = {
    .name = "emit",
    .summary = "a plan to P4 sources and entries, or XDP devices",
    .args = "PLAN.json",
    .min_args = 1,
    .max_args = 1,
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description =
        "Per device of the plan: a P4-16 program, its entries, scripts that compile and start it, and\n"
        "a resource report; once, a Wireshark dissector of the shim. The program depends on shape\n"
        "limits only (features, trees, code-word bits): a retrained model within them is new entries.\n"
        "xdp: the program is inside dunectl, `dunectl switch --engine xdp` runs it and `dunectl controller` brings the plan;\n"
        "written are a script that starts the device, a report, and the dissector.\n"
        "--for writes the entries of a retrained model for programs that are there already.\n"
        "p4-tna: a program holds one generation, or two with the plan's slots each; what a pipe cannot hold\n"
        "is refused before anything is written.\n"
        "Exit status 3: the plan is wrong; 4: a device cannot hold it, or an unknown architecture.\n",
    .examples = "dunectl compile sequence.json --profile bmv2 -o plan.json\n"
                "dunectl emit plan.json --target p4-v1model -o p4\n"
                "dunectl emit retrained.json --target p4-v1model --for plan.json -o entries\n",
    .run = run,
};
