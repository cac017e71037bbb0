/* SPDX-License-Identifier: Apache-2.0 */
#include "dash/dash_plan.h"

#include "chart/chart.h"
#include "report/report.h"

int dash_plan_page(const char *dir, struct dune_buf *out, struct dune_diag *d)
{
    struct report *r = NULL;
    int rc = report_open(&r, dir, d);

    if (rc)
        return rc;
    dune_buf_puts(out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
                       "content=\"width=device-width, initial-scale=1\">\n<title>The plan of ");
    chart_text(out, dune_path_base(dir));
    dune_buf_puts(out, "</title>\n<link rel=\"stylesheet\" href=\"/report.css\">\n</head>\n<body>\n<main>\n");
    for (size_t i = 0; report_section_at(i); i++)
        report_section_html(r, i, out);
    dune_buf_puts(out, "</main>\n</body>\n</html>\n");
    report_free(r);
    return 0;
}

void dash_plan_css(struct dune_buf *out)
{
    dune_buf_puts(out, ":root { color-scheme: light dark; }\nbody { margin: 1rem; font: 15px/1.45 system-ui, \"Noto Sans\", "
                       "\"DejaVu Sans\", sans-serif; background: Canvas; color: CanvasText; }\n");
    report_css(out);
}
