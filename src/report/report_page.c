/* SPDX-License-Identifier: Apache-2.0 */
/* The list of sections, and all of them as one page, one text or a directory of figures. */
#include "report/report_int.h"

#include <math.h>
#include <string.h>

static const struct {
    struct report_section section;
    void (*write)(const struct report *r, struct report_doc *d);
} sections[] = {
    {{"summary", "Summary"}, report_summary},
    {{"comparison", "Comparison of the solutions"}, report_comparison},
    {{"devices", "Devices: who decides, and what it takes"}, report_devices},
    {{"classes", "Classes"}, report_classes},
    {{"blocks", "Blocks of the chain and their order"}, report_blocks},
    {{"search", "The search: what was tried, and why this"}, report_search},
    {{"features", "Features"}, report_features},
    {{"open-world", "Coverage against precision"}, report_open_world},
    {{"trust", "What the result hangs on"}, report_trust},
    {{"cost", "F1 against devices and resources"}, report_cost},
    {{"steps", "The published method, step by step"}, report_steps},
    {{"p4", "Beside the P4 compiler"}, report_p4},
    {{"made", "How this was made"}, report_made},
};

const struct report_section *report_section_at(size_t i)
{
    return i < DUNE_ARRAY_LEN(sections) ? &sections[i].section : NULL;
}

int report_section_find(const char *id)
{
    for (size_t i = 0; i < DUNE_ARRAY_LEN(sections); i++)
        if (strcmp(sections[i].section.id, id) == 0)
            return (int)i;
    return -1;
}

void report_section_html(const struct report *r, size_t i, struct dune_buf *out)
{
    struct report_doc d = {.html = out, .section = sections[i].section.id};

    dune_buf_printf(out, "<section class=\"dr\" id=\"report-%s\" aria-labelledby=\"head-%s\">\n<h2 id=\"head-%s\">%s</h2>\n",
                    d.section, d.section, d.section, sections[i].section.title);
    sections[i].write(r, &d);
    dune_buf_puts(out, "</section>\n");
}

void report_section_text(const struct report *r, size_t i, struct dune_buf *out)
{
    struct report_doc d = {.text = out, .section = sections[i].section.id};
    size_t n = strlen(sections[i].section.title);

    dune_buf_printf(out, "%s\n", sections[i].section.title);
    for (size_t k = 0; k < n; k++)
        dune_buf_puts(out, "=");
    dune_buf_puts(out, "\n\n");
    sections[i].write(r, &d);
}

void report_section_figures(const struct report *r, size_t i, report_figure_fn fn, void *ctx)
{
    struct report_doc d = {.figure = fn, .ctx = ctx, .section = sections[i].section.id};

    sections[i].write(r, &d);
}

void report_lacks(const struct report *r, report_lack_fn fn, void *ctx)
{
    for (size_t i = 0; i < DUNE_ARRAY_LEN(sections); i++) {
        struct report_doc d = {.lack = fn, .ctx = ctx, .section = sections[i].section.id};

        sections[i].write(r, &d);
    }
}

/* --- style ------------------------------------------------------------------------------------------------ */
static const char rules[] =
    ".dr{color:#1f2933;line-height:1.5}\n"
    ".dr h2{font-size:1.3rem;line-height:1.25;margin:2.2rem 0 .6rem}.dr h3{font-size:1.05rem;margin:1.5rem 0 .4rem}\n"
    ".dr p{max-width:46rem;margin:.5rem 0}.dr p.lack{color:#52606d;font-style:italic}\n"
    ".dr .table,.dr .scroll{overflow-x:auto;max-width:100%}\n"
    ".dr table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem;margin:.8rem 0}\n"
    ".dr caption{text-align:left;color:#52606d;padding:.2rem 0;font-size:.85rem}\n"
    ".dr th,.dr td{padding:.22rem 1.1rem .22rem 0;text-align:left;border-bottom:1px solid #e4e8ed;vertical-align:top}\n"
    ".dr thead th{color:#52606d;font-weight:600;border-bottom:1px solid #7b8794}.dr tbody th{font-weight:600;min-width:5.5rem;max-width:24rem;overflow-wrap:anywhere}\n"
    ".dr .n{text-align:right;white-space:nowrap}\n"
    ".dr figure{margin:1rem 0;min-width:0}.dr figcaption{color:#52606d;font-size:.85rem;max-width:36rem;margin-top:.2rem}\n"
    ".dr svg.ch{display:block;width:100%;height:auto;max-width:36rem}\n"
    ".dr svg.wide{width:auto;max-width:none}\n"
    ".dr .figures{display:grid;grid-template-columns:minmax(0,1fr);gap:.5rem 2rem;align-items:start}\n"
    "@media (min-width:60rem){.dr .figures{grid-template-columns:repeat(2,minmax(0,1fr))}.dr .figures .wide{grid-column:1/-1}}\n"
    "@media (prefers-color-scheme:dark){.dr{color:#e4e9ef}.dr p.lack,.dr caption,.dr thead th,.dr figcaption{color:#a9b4c0}\n"
    ".dr th,.dr td{border-color:#2c3641}.dr thead th{border-color:#8391a0}}\n"
    "@media print{.dr{color:#000;break-inside:auto}.dr figure,.dr tr{break-inside:avoid}.dr .table,.dr .scroll{overflow:visible}\n"
    ".dr h2,.dr h3{break-after:avoid}.dr .figures{grid-template-columns:repeat(2,minmax(0,1fr))}}\n";

static const char page[] =
    "html{color-scheme:light dark}body{margin:0 auto;max-width:68rem;padding:1rem;background:#fff;color:#1f2933;\n"
    "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}\n"
    "h1{font-size:1.7rem;line-height:1.2;margin:.6rem 0}header p{color:#52606d;max-width:46rem}a{color:#0062a3}\n"
    "nav ul{list-style:none;padding:0;margin:.8rem 0;display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;font-size:.9rem}\n"
    "@media (prefers-color-scheme:dark){body{background:#12181f;color:#e4e9ef}header p{color:#a9b4c0}a{color:#7cc4f4}}\n"
    "@media print{body{max-width:none;background:#fff;color:#000;font-size:10pt}nav{display:none}}\n";

void report_css(struct dune_buf *out)
{
    dune_buf_puts(out, rules);
    dune_buf_puts(out, chart_css());
}

void report_html(const struct report *r, struct dune_buf *out)
{
    const char *name = report_string(r->metrics, "name");

    dune_buf_puts(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
                       "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n"
                       "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>DUNE run: ");
    chart_text(out, name);
    dune_buf_printf(out, "</title>\n<style>\n%s%s%s</style>\n</head>\n<body>\n<header>\n<h1>DUNE run: ", page, rules, chart_css());
    chart_text(out, name);
    dune_buf_puts(out, "</h1>\n<nav aria-label=\"Sections\"><ul>\n");
    for (size_t i = 0; i < DUNE_ARRAY_LEN(sections); i++)
        dune_buf_printf(out, "<li><a href=\"#report-%s\">%s</a></li>\n", sections[i].section.id, sections[i].section.title);
    dune_buf_puts(out, "</ul></nav>\n</header>\n<main>\n");
    for (size_t i = 0; i < DUNE_ARRAY_LEN(sections); i++)
        report_section_html(r, i, out);
    dune_buf_puts(out, "</main>\n</body>\n</html>\n");
}

void report_text(const struct report *r, struct dune_buf *out)
{
    for (size_t i = 0; i < DUNE_ARRAY_LEN(sections); i++)
        report_section_text(r, i, out);
}

/* --- figures as files ----------------------------------------------------------------------------------- */
struct files {
    const char *dir;
    struct dune_diag *d;
    int rc;
};

static void write_figure(void *ctx, const char *name, const char *caption, const struct dune_buf *svg)
{
    struct files *f = ctx;
    struct dune_buf file = {0};
    char *path = dune_mem_printf("%s/%s.svg", f->dir, name);

    (void)caption;
    chart_file(&file, svg);
    if (f->rc == 0)
        f->rc = dune_file_write(path, file.data, file.len, f->d);
    dune_buf_fini(&file);
    dune_mem_free(path);
}

int report_write_figures(const struct report *r, const char *dir, struct dune_diag *d)
{
    struct files f = {.dir = dir, .d = d};

    f.rc = dune_mkdirs(dir, d);
    for (size_t i = 0; f.rc == 0 && i < DUNE_ARRAY_LEN(sections); i++)
        report_section_figures(r, i, write_figure, &f);
    return f.rc;
}
