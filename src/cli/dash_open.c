/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/dash_open.h"

#include <string.h>
#include <unistd.h>

int cli_dash_open(struct cli_ctx *ctx, const struct cli_dash_config *o, struct dune_dash_cfg *cfg, struct dune_dash **out,
                  struct dune_diag *d)
{
    int rc;

    *out = NULL;
    if (!o->on)
        return 0;
    cfg->listen = o->listen;
    cfg->token_file = o->token_file;
    cfg->history = o->history;
    cfg->flow_log = o->flow_log;
    rc = dune_dash_start(out, cfg, d);
    if (rc)
        return rc;
    if (cfg->control && !o->token_file)
        cli_note(ctx, "dashboard: %s#token=%s", dune_dash_url(*out), dune_dash_token(*out));
    else
        cli_note(ctx, "dashboard: %s", dune_dash_url(*out));
    return 0;
}

int cli_dash_pace(const char *text, struct dune_testbed_run_cfg *run, struct dune_diag *d)
{
    double v;

    if (!*text || strcmp(text, "max") == 0)
        run->top_speed = true;
    else if (text[0] == 'x' && dune_parse_double(text + 1, &v) && v >= 0.001 && v <= 1e6)
        run->speed = v;
    else if (dune_parse_double(text, &v) && v >= 0.1 && v <= 1e9)
        run->pps = v;
    else
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "the pace is max, xTIMES like x10, or packets per second like 1000, not "
                             "\"%.30s\"", text);
    return 0;
}

void cli_dash_stay(struct cli_ctx *ctx, const struct dune_dash *dash)
{
    if (!dash || dune_interrupted())
        return;
    fflush(stdout);
    cli_note(ctx, "the dashboard stays at %s until you press Ctrl-C", dune_dash_url(dash));
    while (!dune_interrupted())
        usleep(100000);
}
