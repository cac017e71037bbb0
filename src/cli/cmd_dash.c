/* SPDX-License-Identifier: Apache-2.0 */
/* dunectl dash: run directories in a browser, and replays of their test captures at the press of a button. */
#include "cli/dash_open.h"

#include <string.h>
#include <unistd.h>

struct config {
    const char *listen, *token_file, *history, *flow_log, *engine, *play, *pace;
    uint32_t readers, keep_runs, keep_digests;
    bool no_history;
};

static const struct cli_option options[] = {
    {"listen", 0, CLI_STR, offsetof(struct config, listen), "HOST:PORT", "127.0.0.1:8321",
     "where it listens; port 0: any that is free"},
    {"token-file", 0, CLI_STR, offsetof(struct config, token_file), "FILE", NULL,
     "the token for commands is its first line (drawn and printed)"},
    {"history", 0, CLI_STR, offsetof(struct config, history), "FILE", NULL, "SQLite file (history.sqlite in the first DIR)"},
    {"no-history", 0, CLI_FLAG, offsetof(struct config, no_history), NULL, NULL, "keep none"},
    {"keep-runs", 0, CLI_U32, offsetof(struct config, keep_runs), "N", "100", "runs in the history", false, 1, 1000000},
    {"keep-digests", 0, CLI_U32, offsetof(struct config, keep_digests), "N", "100000", "flows per run in the history", false, 1,
     100000000},
    {"flow-log", 0, CLI_STR, offsetof(struct config, flow_log), "FILE", NULL, "one JSON line per flow with its verdict"},
    {"engine", 0, CLI_STR, offsetof(struct config, engine), "NAME", "reference", "replay engine"},
    {"play", 0, CLI_STR, offsetof(struct config, play), "SOLUTION", NULL, "start with a replay of it"},
    {"pace", 0, CLI_STR, offsetof(struct config, pace), "PACE", "x1",
     "of --play: max, xTIMES of the captured speed, or packets per second"},
    {"readers", 0, CLI_U32, offsetof(struct config, readers), "N", "1024", "browsers at a time", false, 1, 100000},
};

static void say_where(struct cli_ctx *ctx, const struct config *cfg, const struct dune_dash *dash)
{
    const char *token = cfg->token_file ? NULL : dune_dash_token(dash);
    struct dune_buf b = {0};
    struct dune_jsonw w;

    if (ctx->json) {
        dune_jsonw_init(&w, &b);
        dune_jsonw_obj_inline(&w);
        dune_jsonw_key(&w, "url"), dune_jsonw_str(&w, dune_dash_url(dash));
        dune_jsonw_key(&w, "token"), dune_jsonw_str(&w, token);
        dune_jsonw_end(&w);
        cli_write_json(ctx, &b);
        dune_buf_fini(&b);
    } else {
        cli_out(ctx, "%s%s%s\n", dune_dash_url(dash), token ? "#token=" : "", token ? token : "");
    }
    fflush(stdout);
}

static int serve(struct cli_ctx *ctx, const struct config *cfg, struct dune_dash_player *player, const char *history,
                 struct dune_diag *d)
{
    struct dune_dash_cfg dc = {.title = "dunectl dash", .listen = cfg->listen, .token_file = cfg->token_file,
                               .history = history, .flow_log = cfg->flow_log, .history_runs = cfg->keep_runs,
                               .history_digests = cfg->keep_digests, .max_readers = cfg->readers};
    struct dune_dash *dash = NULL;
    int rc;

    dune_dash_player_offer(player, &dc);
    rc = dune_dash_start(&dash, &dc, d);
    if (rc)
        return rc;
    dune_dash_player_attach(player, dash);
    say_where(ctx, cfg, dash);
    if (cfg->play)
        rc = dune_dash_player_start(player, NULL, cfg->play, cfg->pace, d);
    while (rc == 0 && !dune_interrupted())
        usleep(100000);
    dune_dash_player_stop(player);
    dune_dash_stop(dash);
    return rc;
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    const struct config *cfg = config;
    struct dune_dash_player *player = NULL;
    char *history = NULL;
    int rc;

    if (!dune_dash_http_library())
        return dune_diag_set(d, DUNE_E_ENV, NULL, "this build has no dashboard: install libmicrohttpd-dev and build again");
    dune_progress_set_quiet(true);
    rc = dune_dash_player_new(&player, ctx->args, (size_t)ctx->n_args, cfg->engine, d);
    if (cfg->history)
        history = dune_mem_strdup(cfg->history);
    else if (!cfg->no_history && dune_dash_history_library())
        history = dune_mem_printf("%s/history.sqlite", ctx->args[0]);
    if (rc == 0)
        rc = serve(ctx, cfg, player, history, d);
    dune_dash_player_free(player);
    dune_mem_free(history);
    return rc;
}

const struct cli_command cmd_dash = {
    .name = "dash",
    .summary = "the dashboard",
    .args = "DIR...",
    .min_args = 1,
    .max_args = -1,
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description = "Shows run directories in a browser: what the chain of devices does while test captures are\n"
                   "replayed through it, the solutions side by side, how the plan came about, and the way of every\n"
                   "flow. Each DIR is a use case. What starts and stops replays needs the token that is part of the\n"
                   "printed address. It listens on this machine only unless told otherwise, and ends with Ctrl-C.\n"
                   "See docs/dashboard.md.\n",
    .examples = "dunectl dash out/demo\n"
                "dunectl dash out/a out/b --play dune --pace x10\n"
                "dunectl dash out/demo --listen 0.0.0.0:8080 --token-file token.txt\n",
    .run = run,
};
