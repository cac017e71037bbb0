/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/confine.h"
#include "cli/bus_open.h"
#include "cli/dash_open.h"
#include "dune/controller.h"
#include "dune/feed.h"
#include "dune/live.h"

struct config {
    const char *bus, *creds, *ca, *state, *owner, *feed, *devices, *profile;
    struct cli_list device;
    double share, coverage_drop, drift_window;
    uint32_t rule_rate, events;
    bool no_rules, rules_everywhere, no_rollback, stop, unconfined;
    struct cli_dash_config dash;
};

static const struct cli_option options[] = {
    {"bus", 'b', CLI_STR, offsetof(struct config, bus), "BUS", "unix:/run/dune/bus",
     "unix:PATH, which serve listens on, or nats://HOST:PORT"},
    {"creds", 0, CLI_STR, offsetof(struct config, creds), "FILE", NULL, "NATS credentials"},
    {"ca", 0, CLI_STR, offsetof(struct config, ca), "FILE", NULL, "NATS: certificates to trust (the system's)"},
    {"state", 0, CLI_STR, offsetof(struct config, state), "DIR", "/var/lib/dune",
     "serve: where the desired state is kept (with a Unix bus)"},
    {"owner", 0, CLI_STR, offsetof(struct config, owner), "NAME", NULL,
     "serve: name of this controller in the lease (host and process; with a Unix bus the directory)"},
    {"device", 'd', CLI_LIST, offsetof(struct config, device), "NAME:POSITION[:CHAIN]", NULL,
     "serve: a device and where it stands in the chain, from 1; once per device. Many chains have numbers"},
    {"devices", 0, CLI_STR, offsetof(struct config, devices), "FILE", NULL, "serve: more devices, one NAME:POSITION[:CHAIN] a line"},
    {"no-rules", 0, CLI_FLAG, offsetof(struct config, no_rules), NULL, NULL, "serve: no known-flow rules"},
    {"rules-everywhere", 0, CLI_FLAG, offsetof(struct config, rules_everywhere), NULL, NULL,
     "serve: rules also on the devices behind the first"},
    {"rule-rate", 0, CLI_U32, offsetof(struct config, rule_rate), "N", "20000", "serve: rules per second", false, 1, 0},
    {"no-rollback", 0, CLI_FLAG, offsetof(struct config, no_rollback), NULL, NULL,
     "serve: an update is not taken back by itself"},
    {"coverage-drop", 0, CLI_DOUBLE, offsetof(struct config, coverage_drop), "PERCENT", "10",
     "serve: an update is taken back when the share of claimed flows falls by so many points", false, 0.1, 100},
    {"unconfined", 0, CLI_FLAG, offsetof(struct config, unconfined), NULL, NULL,
     "serve: keep all privileges and system calls"},
    {"share", 0, CLI_DOUBLE, offsetof(struct config, share), "PERCENT", "100",
     "apply: share of the new flows that get the plan (a canary, until promote or rollback)", false, 0.1, 100},
    {"feed", 0, CLI_STR, offsetof(struct config, feed), "json:FILE|csv:FILE", NULL,
     "serve: append a line for every flow that is settled (docs/feeds.md)"},
    {"profile", 0, CLI_STR, offsetof(struct config, profile), "FILE", NULL,
     "apply: the plan's drift profile, from `drift learn`: what moves away from it raises an alarm"},
    {"drift-window", 0, CLI_DOUBLE, offsetof(struct config, drift_window), "SECONDS", "300",
     "serve: how long devices are watched before they are compared with the profile", false, 0.1, 1e6},
    {"events", 0, CLI_U32, offsetof(struct config, events), "N", NULL, "watch: end after so many flows", false, 1, 0},
    {"stop", 0, CLI_FLAG, offsetof(struct config, stop), NULL, NULL, "shadow: end it"},
    CLI_DASH_OPTIONS(offsetof(struct config, dash)),
};

/* --- serve ----------------------------------------------------------------------------------------------- */

enum { MAX_DEVICES_SERVED = 65536 };

/* NAME:POSITION or NAME:POSITION:CHAIN */
static int parse_device(const char *text, struct dune_controller_device *dev, struct dune_arena *arena, struct dune_diag *d)
{
    char *name = dune_arena_strdup(arena, text), *at = strchr(name, ':'), *chain = at ? strchr(at + 1, ':') : NULL;
    uint64_t position = 0, k = 0;

    if (at)
        *at = '\0';
    if (chain)
        *chain = '\0';
    if (!at || !dune_parse_u64(at + 1, &position) || position < 1 || position > DUNE_MAX_DEVICES ||
        (chain && (!dune_parse_u64(chain + 1, &k) || k > UINT32_MAX)))
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "--device is NAME:POSITION, like s1:1, or NAME:POSITION:CHAIN, not "
                             "\"%.64s\"", text);
    *dev = (struct dune_controller_device){name, (uint16_t)(position - 1), (uint32_t)k};
    return 0;
}

/* What --device says, then the lines of the file. */
static int parse_devices(const struct config *cfg, struct dune_controller_device **out, uint32_t *n,
                         struct dune_arena *arena, struct dune_diag *d)
{
    DUNE_VEC(struct dune_controller_device) all = {0};
    struct dune_controller_device one = {0};
    char *text = NULL, *line, *next;
    size_t len;
    int rc = cfg->devices ? dune_file_read(cfg->devices, &text, &len, d) : 0;

    for (size_t i = 0; rc == 0 && i < cfg->device.len; i++) {
        rc = parse_device(cfg->device.data[i], &one, arena, d);
        DUNE_VEC_PUSH(&all, one);
    }
    for (line = text; rc == 0 && line && *line; line = next) {
        next = line + strcspn(line, "\n");
        next += *next ? 1 : 0;
        line[strcspn(line, "\r\n")] = '\0';
        if (!*line || *line == '#')
            continue;
        rc = all.len == MAX_DEVICES_SERVED
                 ? dune_diag_set(d, DUNE_E_USAGE, cfg->devices, "more than %d devices", MAX_DEVICES_SERVED)
                 : parse_device(line, &one, arena, d);
        DUNE_VEC_PUSH(&all, one);
    }
    *n = (uint32_t)all.len;
    *out = dune_arena_alloc(arena, all.len + 1, sizeof(**out));
    if (all.len)
        memcpy(*out, all.data, all.len * sizeof(**out));
    DUNE_VEC_FREE(&all);
    dune_mem_free(text);
    return rc;
}

struct served {
    struct dune_bus_hub *hub;
    struct dune_bus_server *server;
    struct dune_bus *bus;
    int lock; /* of the state directory */
};

/* One controller per directory, whatever the lease says. */
static int lock_state(struct served *s, const char *dir, struct dune_diag *d)
{
    char *path;
    int rc = dune_mkdirs(dir, d);

    if (rc)
        return rc;
    path = dune_mem_printf("%s/lock", dir);
    s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock < 0)
        rc = dune_diag_set(d, DUNE_E_IO, path, "%s", strerror(errno));
    else if (flock(s->lock, LOCK_EX | LOCK_NB) != 0)
        rc = dune_diag_set(d, DUNE_E_ENV, dir, "another controller uses this directory");
    dune_mem_free(path);
    return rc;
}

static int make_parent(const char *path, struct dune_diag *d)
{
    char *dir = dune_mem_strdup(path), *slash = strrchr(dir, '/');
    int rc = 0;

    if (slash && slash != dir) {
        *slash = '\0';
        rc = dune_mkdirs(dir, d);
    }
    dune_mem_free(dir);
    return rc;
}

static int open_bus(struct served *s, const struct config *cfg, struct dune_diag *d)
{
    int rc;

    if (strncmp(cfg->bus, "unix:", 5) != 0)
        return cli_bus_open(&s->bus, cfg->bus, cfg->creds, cfg->ca, false, d);
    rc = lock_state(s, cfg->state, d);
    if (rc == 0)
        rc = make_parent(cfg->bus + 5, d);
    if (rc == 0)
        rc = dune_bus_hub_new(&s->hub, cfg->state, d);
    if (rc == 0)
        rc = dune_bus_server_start(&s->server, s->hub, cfg->bus + 5, d);
    if (rc == 0)
        s->bus = dune_bus_hub_join(s->hub);
    return rc;
}

static void close_bus(struct served *s)
{
    if (s->bus)
        s->bus->ops->close(s->bus);
    dune_bus_server_stop(s->server);
    dune_bus_hub_free(s->hub);
    if (s->lock >= 0)
        close(s->lock);
}

struct feeding {
    struct cli_ctx *ctx;
    struct dune_feed *feed;
    bool failed; /* said once */
};

/* A feed that cannot be written costs its lines and nothing else. */
static void feed_flow(void *ctx, const struct dune_feed_event *e)
{
    struct feeding *f = ctx;
    struct dune_diag d = {0};

    if (dune_feed_put(f->feed, e, &d) == 0 || f->failed)
        return;
    f->failed = true;
    cli_warn(f->ctx, "%s: %s", d.file, d.msg);
}

static int serve(struct cli_ctx *ctx, const struct config *cfg, struct dune_diag *d)
{
    struct dune_controller_device *dev = NULL;
    uint32_t n_dev = 0;
    struct served s = {.lock = -1};
    struct dune_dash_cfg dc = {.title = "dunectl controller"};
    struct dune_dash *dash = NULL;
    struct dune_dash_watcher *watcher = NULL;
    struct dune_controller *c = NULL;
    struct feeding feeding = {.ctx = ctx};
    char host[64] = "", owner[100];
    int rc = parse_devices(cfg, &dev, &n_dev, &ctx->arena, d);
    struct dune_controller_cfg k = {.device = dev, .n_devices = n_dev, .no_rules = cfg->no_rules,
                                    .rules_everywhere = cfg->rules_everywhere, .rule_rate = cfg->rule_rate,
                                    .no_auto_rollback = cfg->no_rollback, .feed = true, .drift_window_ns = (uint64_t)(cfg->drift_window * 1e9),
                                    .coverage_drop = (uint32_t)(cfg->coverage_drop * 10), .note = cli_note_text, .note_ctx = ctx};

    gethostname(host, sizeof(host) - 1);
    snprintf(owner, sizeof(owner), "%s-%ld", host, (long)getpid());
    k.owner = cfg->owner ? cfg->owner : strncmp(cfg->bus, "unix:", 5) == 0 ? "directory" : owner;
    if (rc == 0 && cfg->feed)
        rc = dune_feed_open(&feeding.feed, cfg->feed, false, d);
    /* It only ever reads and writes its state and talks to its bus. */
    if (rc == 0 && !cfg->unconfined)
        rc = dune_confine_caps(0, d);
    if (rc == 0)
        rc = open_bus(&s, cfg, d);
    if (rc == 0 && !cfg->unconfined)
        rc = dune_confine_calls(false, d);
    if (rc == 0)
        rc = cli_dash_open(ctx, &cfg->dash, &dc, &dash, d);
    if (rc == 0)
        rc = dune_controller_new(&c, &k, s.bus, d);
    if (rc == 0 && feeding.feed)
        dune_controller_on_flow(c, feed_flow, &feeding);
    if (rc == 0)
        rc = dune_controller_serve(c, d);
    if (rc == 0 && dash)
        watcher = dune_dash_watch_controller(dash, c);
    while (rc == 0 && !dune_interrupted()) {
        dune_controller_step(c, dune_live_now_ns());
        if (watcher)
            dune_dash_watcher_step(watcher, dune_live_now_ns());
        usleep(2000);
    }
    dune_dash_watcher_free(watcher);
    if (c)
        dune_controller_release(c);
    dune_controller_free(c);
    close_bus(&s);
    dune_feed_abort(feeding.feed);
    dune_dash_stop(dash);
    return rc;
}

/* --- watch ------------------------------------------------------------------------------------------------ */

struct watching {
    struct cli_ctx *ctx;
    uint64_t left; /* events; UINT64_MAX: no end */
};

/* A line of a feed, and nothing that could be something else on a terminal or in a pipe. */
static bool is_line(const char *data, size_t len)
{
    bool good = len > 2 && data[0] == '{' && data[len - 1] == '\n' && data[len - 2] == '}';

    for (size_t i = 0; good && i + 1 < len; i++)
        good = (unsigned char)data[i] >= 0x20 && data[i] != 0x7f;
    return good;
}

static void print_event(void *ctx, const char *subject, const void *data, size_t len)
{
    struct watching *w = ctx;

    (void)subject;
    if (w->left == 0 || !is_line(data, len))
        return;
    cli_out(w->ctx, "%.*s", (int)len, (const char *)data);
    fflush(stdout);
    w->left -= w->left != UINT64_MAX;
}

static int watch(struct cli_ctx *ctx, const struct config *cfg, struct dune_diag *d)
{
    struct watching w = {ctx, cfg->events ? cfg->events : UINT64_MAX};
    struct dune_bus *bus = NULL;
    struct dune_diag ignored = {0};
    int rc = cli_bus_open(&bus, cfg->bus, cfg->creds, cfg->ca, false, d);

    if (rc == 0)
        rc = bus->ops->subscribe(bus, DUNE_FEED_SUBJECT, print_event, &w, d);
    while (rc == 0 && w.left && !dune_interrupted())
        if (bus->ops->poll(bus, 200, &ignored)) /* the bus is away: it comes back by itself */
            usleep(200000);
    if (bus)
        bus->ops->close(bus);
    return rc;
}

/* --- requests --------------------------------------------------------------------------------------------- */

static int plan_text(const char *path, char **text, struct dune_diag *d)
{
    struct dune_plan *p = NULL;
    size_t len;
    int rc = dune_plan_read(&p, path, d); /* a bad plan never leaves this machine */

    if (rc == 0)
        rc = dune_file_read(path, text, &len, d);
    dune_plan_free(p);
    return rc;
}

static int ask(struct cli_ctx *ctx, const struct config *cfg, const struct dune_buf *request, struct dune_diag *d)
{
    struct dune_bus *bus;
    struct dune_asker *asker = NULL;
    struct dune_buf out = {0};
    char *answer = NULL;
    int rc = cli_bus_open(&bus, cfg->bus, cfg->creds, cfg->ca, false, d);

    if (rc)
        return rc;
    rc = dune_asker_new(&asker, bus, d);
    if (rc == 0)
        rc = dune_asker_ask(asker, request->data, request->len, 5000, &answer, d);
    if (rc == 0 && (ctx->json || strcmp(ctx->args[0], "status") == 0)) {
        dune_buf_puts(&out, answer);
        cli_write_json(ctx, &out);
    }
    dune_buf_fini(&out);
    dune_mem_free(answer);
    bus->ops->close(bus);
    dune_asker_free(asker);
    return rc;
}

struct verb {
    const char *name, *args[3]; /* keys of the arguments, "plan" for a file */
};
static const struct verb verbs[] = {
    {"status", {"device"}}, {"apply", {"plan"}}, {"profile", {"profile"}},         {"promote", {0}},      {"rollback", {0}},
    {"shadow", {"plan"}}, {"pin", {"what", "class"}},   {"exempt", {"what"}},  {"unpin", {"what"}},
    {"bare", {"device"}}, {"unbare", {"device"}},       {"move", {"device", "position"}},
};

static int put_argument(struct dune_jsonw *w, const char *key, const char *text, struct dune_diag *d)
{
    char *plan = NULL;
    size_t len;
    uint64_t n;
    int rc = 0;

    dune_jsonw_key(w, key);
    if (strcmp(key, "profile") == 0) {
        rc = dune_file_read(text, &plan, &len, d);
        dune_jsonw_str(w, rc ? "" : plan);
        dune_mem_free(plan);
    } else if (strcmp(key, "plan") == 0) {
        rc = plan_text(text, &plan, d);
        dune_jsonw_str(w, plan);
        dune_mem_free(plan);
    } else if (strcmp(key, "position") == 0) {
        if (!dune_parse_u64(text, &n))
            rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "a position is a number from 1, not \"%.32s\"", text);
        else
            dune_jsonw_uint(w, n);
    } else {
        dune_jsonw_str(w, text);
    }
    return rc;
}

static int request(struct cli_ctx *ctx, const struct config *cfg, const struct verb *v, struct dune_diag *d)
{
    struct dune_buf text = {0};
    struct dune_jsonw w;
    int n = 0, rc = 0, want = cfg->stop ? 0 : 2;

    while (n < want && v->args[n])
        n++;
    if (strcmp(v->name, "status") == 0)
        n = DUNE_MIN(n, ctx->n_args - 1); /* of all devices, or of one */
    if (ctx->n_args != n + 1)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "controller %s takes %d argument%s", v->name, n, n == 1 ? "" : "s");
    dune_jsonw_init(&w, &text);
    dune_jsonw_obj(&w);
    dune_jsonw_key(&w, "op"), dune_jsonw_str(&w, v->name);
    for (int i = 0; rc == 0 && i < n; i++)
        rc = put_argument(&w, v->args[i], ctx->args[i + 1], d);
    if (rc == 0 && strcmp(v->name, "apply") == 0 && cfg->profile)
        rc = put_argument(&w, "profile", cfg->profile, d);
    if (rc == 0 && strcmp(v->name, "apply") == 0) {
        uint32_t share = (uint32_t)(cfg->share * DUNE_CTL_SHARE / 100);

        dune_jsonw_key(&w, "share"), dune_jsonw_uint(&w, share ? share : 1);
    }
    dune_jsonw_end(&w);
    if (rc == 0)
        rc = ask(ctx, cfg, &text, d);
    dune_buf_fini(&text);
    return rc;
}

static int run(struct cli_ctx *ctx, void *config, struct dune_diag *d)
{
    struct config *cfg = config;

    if (strcmp(ctx->args[0], "serve") == 0) {
        if (ctx->n_args != 1)
            return dune_diag_set(d, DUNE_E_USAGE, NULL, "controller serve takes no argument; devices are --device");
        return serve(ctx, cfg, d);
    }
    if (strcmp(ctx->args[0], "watch") == 0) {
        if (ctx->n_args != 1)
            return dune_diag_set(d, DUNE_E_USAGE, NULL, "controller watch takes no argument");
        return watch(ctx, cfg, d);
    }
    for (size_t i = 0; i < DUNE_ARRAY_LEN(verbs); i++)
        if (strcmp(ctx->args[0], verbs[i].name) == 0)
            return request(ctx, cfg, &verbs[i], d);
    return dune_diag_set(d, DUNE_E_USAGE, NULL, "no request \"%.32s\": serve, watch, status, apply, profile, promote, rollback, shadow, "
                         "pin, exempt, unpin, bare, unbare, move", ctx->args[0]);
}

const struct cli_command cmd_controller = {
    .name = "controller",
    .summary = "plans, rules and digests of all devices",
    .args = "serve|watch|status [DEVICE]|apply PLAN|profile FILE|promote|rollback|shadow PLAN|pin WHAT CLASS|exempt WHAT|unpin WHAT|bare DEVICE|"
            "unbare DEVICE|move DEVICE POSITION",
    .min_args = 1,
    .max_args = 3,
    CLI_CONFIG(struct config),
    CLI_OPTIONS(options),
    .description =
        "serve runs the controller: it loads plans into the devices, replaces them while traffic flows so that no\n"
        "flow is judged by two plans, turns digests into known-flow rules, and watches. What it should do is kept\n"
        "on disk; after a restart it goes on. The socket admits root and the user that serves, nobody else.\n"
        "\n"
        "watch prints the flows that are settled as JSON lines (docs/feeds.md) until it is stopped.\n"
        "\n"
        "The other words are requests to the controller that serves. A WHAT is a prefix (10.0.0.0/8) or a directed\n"
        "flow (\"tcp 10.0.0.1:80 10.0.0.2:4000\"); exempt means: never claimed. A prefix takes effect when a flow\n"
        "of it is settled, a flow at its next packet. See docs/controller.md.\n",
    .examples = "dunectl controller serve --device s1:1 --device s2:2 --device s3:3\n"
                "dunectl controller apply plan.json --share 5\n"
                "dunectl controller promote\n"
                "dunectl controller pin 10.1.0.0/16 camera\n",
    .run = run,
};
