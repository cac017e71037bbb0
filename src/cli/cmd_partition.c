/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "dune/partition.h"

#include <math.h>
#include <string.h>

struct config {
    const char *importance, *scores, *confusion, *out;
    unsigned method;
    uint32_t n_blocks, memory_mib;
    struct cli_list classes;
};

/* In the order of enum dune_partition_method. */
#define METHODS "greedy|exact|ilp|random|together|apart"

static const struct cli_option options[] = {
    {"importance", 'w', CLI_STR, offsetof(struct config, importance), "W.csv", NULL,
     "class, then one column per feature", true},
    {"scores", 'f', CLI_STR, offsetof(struct config, scores), "F.csv", NULL, "class,f1 in percent", true},
    {"method", 'm', CLI_CHOICE, offsetof(struct config, method), METHODS, "greedy", "how to divide"},
    {"blocks", 'k', CLI_U32, offsetof(struct config, n_blocks), "K", NULL,
     "this many blocks; without it greedy, exact and ilp choose", .min = 1},
    {"classes", 0, CLI_NAMES, offsetof(struct config, classes), "A,B,...", NULL,
     "only these classes, in this order"},
    {"confusion", 'c', CLI_STR, offsetof(struct config, confusion), "C.csv", NULL,
     "for together and apart: class, then one column per answer"},
    {"memory", 0, CLI_U32, offsetof(struct config, memory_mib), "MIB", "2048",
     "most memory of exact and ilp", .min = 1},
    {"output", 'o', CLI_STR, offsetof(struct config, out), "FILE", NULL, "blocks.json"},
};

/* Rows that do not sum to 1 make gains that mean little. */
static void warn_rows(struct cli_ctx *ctx, const struct dune_importance *w)
{
    for (uint32_t c = 0; c < w->n_classes; c++) {
        double sum = 0;

        for (uint32_t j = 0; j < w->n_feats; j++)
            sum += w->w[(size_t)c * w->n_feats + j];
        if (fabs(sum - 1) > 1e-3) {
            cli_warn(ctx, "the importance of class \"%s\" sums to %.4g, not 1", w->class_name[c], sum);
            return;
        }
    }
}

/* The confusion of the chosen classes, in their order; yours. */
static int read_confusion(const struct config *cfg, const char *const *classes, uint32_t m, double **out,
                          struct dune_diag *d)
{
    uint32_t *at = DUNE_NEW_N(uint32_t, m);
    struct dune_square *s;
    int rc = dune_square_read(&s, cfg->confusion, d);

    for (uint32_t i = 0; !rc && i < m; i++) {
        while (at[i] < s->n && strcmp(s->name[at[i]], classes[i]) != 0)
            at[i]++;
        if (at[i] == s->n)
            rc = dune_diag_set(d, DUNE_E_INPUT, cfg->confusion, "class \"%.200s\" is not in the confusion",
                               classes[i]);
    }
    if (!rc) {
        *out = DUNE_NEW_N(double, (size_t)m * m);
        for (uint32_t i = 0; i < m; i++)
            for (uint32_t j = 0; j < m; j++)
                (*out)[(size_t)i * m + j] = s->v[(size_t)at[i] * s->n + at[j]];
    }
    dune_mem_free(at);
    dune_square_free(s);
    return rc;
}

static void print_blocks(struct cli_ctx *ctx, const struct dune_blocks *b)
{
    struct cli_table t;

    cli_table_init(&t, 4, (const char *[]){">block", ">gain", "classes", "features"});
    for (uint32_t q = 0; q < b->n_blocks; q++) {
        const struct dune_block *k = &b->block[q];
        struct dune_buf names = {0}, feats = {0};

        for (uint32_t i = 0; i < k->n_classes; i++)
            dune_buf_printf(&names, "%s%s", i ? ", " : "", b->class_name[k->cls[i]]);
        for (uint32_t i = 0; i < k->n_feats; i++)
            dune_buf_printf(&feats, "%s%s", i ? ", " : "", b->feat_name[k->feat[i]]);
        cli_table_cell(&t, "%u", q);
        cli_table_cell(&t, "%.6f", k->gain);
        cli_table_cell(&t, "%s", names.data);
        cli_table_cell(&t, "%s", k->n_feats ? feats.data : "-");
        dune_buf_fini(&names);
        dune_buf_fini(&feats);
    }
    cli_print_table(ctx, &t);
}

static void print_levels(struct cli_ctx *ctx, const struct dune_blocks *b)
{
    struct cli_table t;

    cli_out(ctx, "\nTotal at every level of the merging:\n\n");
    cli_table_init(&t, 3, (const char *[]){">blocks", ">total", ""});
    for (uint32_t i = 0; i < b->n_levels; i++) {
        uint32_t n = b->n_classes - 1 - i;

        cli_table_cell(&t, "%u", n);
        cli_table_cell(&t, "%.6f", b->level[i]);
        cli_table_cell(&t, "%s", n == b->n_blocks ? "<- taken" : "");
    }
    cli_print_table(ctx, &t);
}

static void print_text(struct cli_ctx *ctx, const struct dune_blocks *b)
{
    cli_out(ctx, "method %s: %u classes, %u features, %u blocks, objective %.10g", b->method, b->n_classes,
            b->n_feats, b->n_blocks, b->objective);
    if (b->optimal)
        cli_out(ctx, " (optimal)");
    else if (b->gap >= 0)
        cli_out(ctx, " (not proven; the optimum is within %.2f %%)", 100 * b->gap);
    cli_out(ctx, "\n\n");
    print_blocks(ctx, b);
    if (b->n_levels)
        print_levels(ctx, b);
}

static int report(struct cli_ctx *ctx, const struct config *cfg, const struct dune_blocks *b,
                  struct dune_diag *d)
{
    int rc = cfg->out ? dune_blocks_write(b, cfg->out, d) : 0;

    if (rc)
        return rc;
    if (ctx->json) {
        struct dune_buf text = {0};

        dune_blocks_format(b, &text.data, &text.len);
        cli_write_json(ctx, &text);
        dune_buf_fini(&text);
    } else {
        print_text(ctx, b);
    }
    if (cfg->out)
        cli_note(ctx, "wrote %s", cfg->out);
    return 0;
}

static int divide(struct cli_ctx *ctx, const struct config *cfg, const struct dune_importance *w,
                  const struct dune_scores *f, struct dune_diag *d)
{
    struct dune_partition_cfg p = {
        .method = (enum dune_partition_method)cfg->method,
        .n_blocks = cfg->n_blocks,
        .classes = cfg->classes.len ? cfg->classes.data : NULL,
        .n_classes = (uint32_t)cfg->classes.len,
        .seed = ctx->seed,
        .memory_limit = (uint64_t)cfg->memory_mib << 20,
        .threads = ctx->threads,
    };
    struct dune_blocks *b = NULL;
    double *confusion = NULL;
    int rc = 0;

    warn_rows(ctx, w);
    if (cfg->confusion)
        rc = read_confusion(cfg, p.classes ? p.classes : (const char *const *)w->class_name,
                            p.classes ? p.n_classes : w->n_classes, &confusion, d);
    p.confusion = confusion;
    if (!rc)
        rc = dune_partition(&b, w, f, &p, d);
    if (!rc)
        rc = report(ctx, cfg, b, d);
    dune_mem_free(confusion);
    dune_blocks_free(b);
    return rc;
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    struct config *cfg = config;
    struct dune_importance *w = NULL;
    struct dune_scores *f = NULL;
    bool by_confusion = cfg->method == DUNE_PART_TOGETHER || cfg->method == DUNE_PART_APART;
    int rc;

    if (by_confusion != (cfg->confusion != NULL))
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "--confusion belongs to --method together or apart");
    rc = dune_importance_read(&w, cfg->importance, d);
    if (!rc)
        rc = dune_scores_read(&f, cfg->scores, d);
    if (!rc)
        rc = divide(ctx, cfg, w, f, d);
    dune_importance_free(w);
    dune_scores_free(f);
    return rc;
}

const struct cli_command cmd_partition = {
    .name = "partition",
    .summary = "importance to blocks of classes and features",
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description =
        "Divides the classes into blocks, one per sub-model, and chooses the features of each block.\n"
        "greedy merges pairs and keeps the best level; exact finds the optimum of the same total; ilp\n"
        "minimises the cost of the published integer program. Both prove their result up to 20 classes\n"
        "and state a gap above. random, together and apart make blocks of equal size: by --seed, or with\n"
        "as much or as little confusion inside the blocks as possible.\n"
        "\n"
        "Classes are matched by name. Where the two files have different classes, choose with --classes.\n",
    .examples = "dunectl partition --importance W.csv --scores f.csv -o blocks.json\n"
                "dunectl partition -w W.csv -f f.csv --method exact --json\n"
                "dunectl partition -w W.csv -f f.csv --method together --confusion C.csv --blocks 4\n",
    .run = run,
};
