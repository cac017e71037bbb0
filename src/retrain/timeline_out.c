/* SPDX-License-Identifier: Apache-2.0 */
/* Timelines as CSV and as a picture. */
#include "base/base.h"
#include "chart/chart.h"
#include "dune/retrain.h"

void dune_timeline_csv(const struct dune_timeline *t, struct dune_buf *out)
{
    dune_buf_puts(out, "window,flows,f1_fixed,f1_retrained,features_moved,claims_moved,alarm\n");
    for (size_t i = 0; i < t->n; i++) {
        const struct dune_timeline_point *p = &t->point[i];

        dune_buf_printf(out, "%u,%llu,%.4f,%.4f,%u,%u,", p->window + 1, (unsigned long long)p->flows, p->fixed,
                        p->retrained, p->moved, p->claims_moved);
        dune_csv_put(out, p->names);
        dune_buf_puts(out, "\n");
    }
}

void dune_timeline_svg(const struct dune_timeline *t, const char *title, struct dune_buf *out)
{
    struct chart c = {.title = title, .x_label = "window", .y_label = "macro F1, flow level", .from_zero = true};
    double *x = DUNE_NEW_N(double, t->n + 1), *fixed = DUNE_NEW_N(double, t->n + 1),
           *fresh = DUNE_NEW_N(double, t->n + 1), *ax = DUNE_NEW_N(double, t->n + 1),
           *ay = DUNE_NEW_N(double, t->n + 1);
    struct dune_buf svg = {0};
    size_t n_alarms = 0;

    for (size_t i = 0; i < t->n; i++) {
        x[i] = t->point[i].window + 1;
        fixed[i] = t->point[i].fixed;
        fresh[i] = t->point[i].retrained;
        if (t->point[i].alarm) {
            ax[n_alarms] = x[i];
            ay[n_alarms++] = 0.03;
        }
    }
    chart_add(&c, "first plan", t->n, x, fixed);
    chart_add(&c, "retrained", t->n, x, fresh);
    if (n_alarms)
        chart_add(&c, "alarm", n_alarms, ax, ay);
    chart_svg(&svg, &c);
    chart_file(out, &svg); /* it stands alone, so the look goes with it */
    dune_buf_fini(&svg);
    chart_fini(&c);
    dune_mem_free(x);
    dune_mem_free(fixed);
    dune_mem_free(fresh);
    dune_mem_free(ax);
    dune_mem_free(ay);
}
