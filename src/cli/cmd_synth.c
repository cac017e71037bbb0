/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "dune/synth.h"

#include <string.h>

struct config {
    const char *out, *profile;
    uint64_t flows;
    uint32_t train_captures, test_captures, concurrency, snap;
    bool force, print_profile;
};

static const struct cli_option options[] = {
    {"output", 'o', CLI_STR, offsetof(struct config, out), "DIR", NULL, "directory to write"},
    {"profile", 'p', CLI_STR, offsetof(struct config, profile), "FILE", NULL,
     "traffic profile, YAML or JSON (default: the built-in one of 8 classes)"},
    {"flows", 'n', CLI_U64, offsetof(struct config, flows), "N", "20000",
     "directed flows in train and test together", .min = 1, .max = 100000000},
    {"train-captures", 0, CLI_U32, offsetof(struct config, train_captures), "N", "12",
     "captures to train on", .min = 1, .max = 10000},
    {"test-captures", 0, CLI_U32, offsetof(struct config, test_captures), "N", "4", "captures to test on",
     .min = 1, .max = 10000},
    {"concurrency", 0, CLI_U32, offsetof(struct config, concurrency), "N", "50",
     "conversations alive at a time", .min = 1, .max = 1000000},
    {"snap", 0, CLI_U32, offsetof(struct config, snap), "BYTES", "0",
     "captured bytes per packet, 0 for all; 96 keeps every header", .max = 65535},
    {"force", 'f', CLI_FLAG, offsetof(struct config, force), NULL, NULL,
     "replace the synthetic traffic that DIR already has"},
    {"print-profile", 0, CLI_FLAG, offsetof(struct config, print_profile), NULL, NULL,
     "print the built-in profile, to start one of your own from"},
};

static int load(const struct config *cfg, struct dune_synth **out, struct dune_diag *d)
{
    char *text;
    size_t len;
    int rc;

    if (!cfg->profile)
        return dune_synth_parse(out, "the built-in profile", dune_synth_default(),
                                strlen(dune_synth_default()), d);
    rc = dune_file_read(cfg->profile, &text, &len, d);
    if (rc)
        return rc;
    rc = dune_synth_parse(out, cfg->profile, text, len, d);
    dune_mem_free(text);
    return rc;
}

static void print_json(struct cli_ctx *ctx, const struct config *cfg, const struct dune_synth *s,
                       const struct dune_synth_stats *st)
{
    struct dune_buf b = {0};
    struct dune_jsonw w;
    uint32_t i;

    dune_jsonw_init(&w, &b);
    dune_jsonw_obj(&w);
    dune_jsonw_key(&w, "synthetic"), dune_jsonw_bool(&w, true);
    dune_jsonw_key(&w, "directory"), dune_jsonw_str(&w, cfg->out);
    dune_jsonw_key(&w, "seed"), dune_jsonw_uint(&w, ctx->seed);
    dune_jsonw_key(&w, "packets"), dune_jsonw_uint(&w, st->n_packets);
    dune_jsonw_key(&w, "bytes"), dune_jsonw_uint(&w, st->n_bytes);
    dune_jsonw_key(&w, "flows"), dune_jsonw_uint(&w, st->n_flows);
    dune_jsonw_key(&w, "flows_ge3pkts"), dune_jsonw_uint(&w, st->n_flows_ge3);
    dune_jsonw_key(&w, "noise_packets"), dune_jsonw_uint(&w, st->n_noise);
    dune_jsonw_key(&w, "classes");
    dune_jsonw_obj(&w);
    for (i = 0; i < dune_synth_n_classes(s); i++) {
        dune_jsonw_key(&w, dune_synth_class(s, i));
        dune_jsonw_uint(&w, st->flows_by_class[i]);
    }
    dune_jsonw_end(&w);
    dune_jsonw_end(&w);
    cli_write_json(ctx, &b);
    dune_buf_fini(&b);
}

static void print_text(struct cli_ctx *ctx, const struct config *cfg, const struct dune_synth *s,
                       const struct dune_synth_stats *st)
{
    struct cli_table t;
    uint32_t i;

    cli_table_init(&t, 3, (const char *[]){"class", ">flows", ">share"});
    for (i = 0; i < dune_synth_n_classes(s); i++) {
        cli_table_cell(&t, "%s", dune_synth_class(s, i));
        cli_table_cell(&t, "%llu", (unsigned long long)st->flows_by_class[i]);
        cli_table_cell(&t, "%.1f %%", 100.0 * (double)st->flows_by_class[i] / (double)DUNE_MAX(st->n_flows, 1));
    }
    cli_print_table(ctx, &t);
    cli_out(ctx, "%s: synthetic, seed %llu: %llu flows, %llu packets, %.1f MB in %u + %u captures\n",
            cfg->out, (unsigned long long)ctx->seed, (unsigned long long)st->n_flows,
            (unsigned long long)st->n_packets, (double)st->n_bytes / 1e6, cfg->train_captures,
            cfg->test_captures);
}

static int generate(struct cli_ctx *ctx, const struct config *cfg, struct dune_diag *d)
{
    struct dune_synth_cfg sc = {cfg->flows, cfg->train_captures, cfg->test_captures, cfg->concurrency,
                                cfg->snap,  ctx->seed,           ctx->threads};
    struct dune_synth_stats st;
    struct dune_synth *s;
    int rc = load(cfg, &s, d);

    if (rc)
        return rc;
    rc = dune_synth_write(s, &sc, cfg->out, &st, d);
    if (rc == 0 && ctx->json)
        print_json(ctx, cfg, s, &st);
    else if (rc == 0 && !ctx->quiet)
        print_text(ctx, cfg, s, &st);
    dune_synth_free(s);
    return rc;
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    const struct config *cfg = config;
    char *done;
    bool exists;

    if (cfg->print_profile) {
        cli_out(ctx, "%s", dune_synth_default());
        return 0;
    }
    if (!cfg->out)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "--output is missing: directory to write");
    done = dune_mem_printf("%s/captures.csv", cfg->out);
    exists = dune_path_exists(done);
    dune_mem_free(done);
    if (exists && !cfg->force)
        return dune_diag_set(d, DUNE_E_USAGE, cfg->out,
                             "there is a data set already; --force replaces synthetic traffic");
    return generate(ctx, cfg, d);
}

const struct cli_command cmd_synth = {
    .name = "synth",
    .summary = "synthetic labelled captures from described profiles",
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description = "Writes train/, test/, labels.csv and captures.csv, and a README.md that says the traffic is\n"
                   "synthetic. Same profile and seed, same bytes. The profile format is in\n"
                   "docs/formats/profile.md; scores on such traffic say nothing about real networks.\n",
    .examples = "dunectl synth -o traffic --flows 5000\n"
                "dunectl synth --print-profile >office.yaml\n"
                "dunectl synth -o load --profile office.yaml --flows 1000000 --concurrency 20000 --snap 96\n",
    .run = run,
};
