/* SPDX-License-Identifier: Apache-2.0 */
/* dunectl report: a run directory as one page, as text, as figures. */
#include "cli/run_options.h"

#include <string.h>

#include "report/report.h"

struct config {
    const char *out, *svg;
    bool text;
};

static const struct cli_option options[] = {
    {"output", 'o', CLI_STR, offsetof(struct config, out), "FILE", NULL,
     "the page (default: report.html in the run directory, unless only --text or --svg is asked for)"},
    {"text", 't', CLI_FLAG, offsetof(struct config, text), NULL, NULL, "the same as text, on standard output"},
    {"svg", 0, CLI_STR, offsetof(struct config, svg), "DIR", NULL, "every figure as a file of its own"},
};

static int write_page(struct cli_ctx *ctx, const struct report *r, const char *path, struct dune_diag *d)
{
    struct dune_buf page = {0};
    int rc;

    report_html(r, &page);
    rc = dune_file_write(path, page.data, page.len, d);
    if (rc == 0)
        cli_note(ctx, "wrote %s, %.0f kB", path, (double)page.len / 1000);
    dune_buf_fini(&page);
    return rc;
}

int cli_report_page(struct cli_ctx *ctx, const char *dir, const char *path, struct dune_diag *d)
{
    struct report *r;
    int rc = report_open(&r, dir, d);

    if (rc == 0)
        rc = write_page(ctx, r, path, d);
    report_free(r);
    return rc;
}

static void put_lack(void *out, const char *section, const char *why)
{
    struct dune_jsonw *w = out;

    dune_jsonw_obj_inline(w);
    dune_jsonw_key(w, "section");
    dune_jsonw_str(w, section);
    dune_jsonw_key(w, "why");
    dune_jsonw_str(w, why);
    dune_jsonw_end(w);
}

static void put_figure(void *out, const char *name, const char *caption, const struct dune_buf *svg)
{
    struct dune_jsonw *w = out;

    (void)svg;
    dune_jsonw_obj_inline(w);
    dune_jsonw_key(w, "name");
    dune_jsonw_str(w, name);
    dune_jsonw_key(w, "caption");
    dune_jsonw_str(w, caption);
    dune_jsonw_end(w);
}

static void print_json(struct cli_ctx *ctx, const struct report *r, const char *path)
{
    struct dune_buf b = {0};
    struct dune_jsonw w;

    dune_jsonw_init(&w, &b);
    dune_jsonw_obj(&w);
    dune_jsonw_key(&w, "output");
    dune_jsonw_str(&w, path);
    dune_jsonw_key(&w, "figures");
    dune_jsonw_arr(&w);
    for (size_t i = 0; report_section_at(i); i++)
        report_section_figures(r, i, put_figure, &w);
    dune_jsonw_end(&w);
    dune_jsonw_key(&w, "left_out");
    dune_jsonw_arr(&w);
    report_lacks(r, put_lack, &w);
    dune_jsonw_end(&w);
    dune_jsonw_end(&w);
    cli_write_json(ctx, &b);
    dune_buf_fini(&b);
}

static void print_text(struct cli_ctx *ctx, const struct report *r)
{
    struct dune_buf b = {0};

    report_text(r, &b);
    cli_out(ctx, "%s", b.data);
    dune_buf_fini(&b);
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    const struct config *cfg = config;
    bool page = cfg->out || (!cfg->text && !cfg->svg);
    char *path = cfg->out ? dune_mem_strdup(cfg->out) : dune_mem_printf("%s/report.html", ctx->args[0]);
    struct report *r = NULL;
    int rc = 0;

    if (cfg->text && ctx->json)
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "either --text or --json");
    if (rc == 0)
        rc = report_open(&r, ctx->args[0], d);
    if (rc == 0 && page)
        rc = write_page(ctx, r, path, d);
    if (rc == 0 && cfg->svg)
        rc = report_write_figures(r, cfg->svg, d);
    if (rc == 0 && cfg->text)
        print_text(ctx, r);
    if (rc == 0 && ctx->json)
        print_json(ctx, r, page ? path : NULL);
    report_free(r);
    dune_mem_free(path);
    return rc;
}

const struct cli_command cmd_report = {
    .name = "report",
    .summary = "a report of a run directory",
    .args = "DIR",
    .min_args = 1,
    .max_args = 1,
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description = "Writes one self-contained page with pictures, tables and sentences: what was run, the result, the\n"
                   "solutions beside each other, devices, classes, blocks, features, and what the result hangs on. What\n"
                   "the directory lacks is left out, and said. DIR may also be what demo wrote.\n"
                   "The same files give the same bytes.\n",
    .examples = "dunectl report out/demo -o report.html\n"
                "dunectl report out/demo --text\n"
                "dunectl report out/demo --svg figures\n",
    .run = run,
};
