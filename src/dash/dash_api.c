/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and their answers, whatever carries them (docs/formats/dash.md). */
#include "dash/dash_int.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "dash/dash_plan.h"
#include "plan/json_reader.h"

enum { FILE_MAX = 32 << 20 };

const char dash_csp[] = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
                        "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/* The same for what the page shows in its frame. */
static const char framed_csp[] = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
                                 "frame-ancestors 'self'";
static const char answer_type[] = "application/json; charset=utf-8";

void dash_answer_fini(struct dash_answer *a)
{
    dune_buf_fini(&a->body);
}

void dash_answer_error(struct dash_answer *a, int status, const char *fmt, ...)
{
    struct dune_jsonw w;
    char text[700];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    dune_buf_fini(&a->body);
    memset(a, 0, sizeof(*a));
    a->status = status;
    a->type = answer_type;
    dune_jsonw_init(&w, &a->body);
    dune_jsonw_obj_inline(&w);
    dune_jsonw_key(&w, "error"), dune_jsonw_str(&w, text);
    dune_jsonw_end(&w);
}

static void answer_diag(struct dash_answer *a, const struct dune_diag *d)
{
    char text[1400];

    dune_diag_format(d, text, sizeof(text));
    dash_answer_error(a, d->code == DUNE_E_USAGE ? 400 : d->code == DUNE_E_INPUT || d->code == DUNE_E_FORMAT ? 422 : 503,
                      "%s", text);
}

/* --- who may ask ---------------------------------------------------------------------------------------------- */

/* Without a look at the length or the place of the first difference. */
static bool same_secret(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);
    unsigned char diff = na != nb;

    for (size_t i = 0; i < na; i++)
        diff |= (unsigned char)(a[i] ^ b[nb ? i % nb : 0]);
    return diff == 0;
}

static bool host_is_loopback(const char *host)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};

    for (size_t i = 0; host && i < DUNE_ARRAY_LEN(names); i++) {
        size_t n = strlen(names[i]);

        if (strncmp(host, names[i], n) == 0 && (host[n] == '\0' || host[n] == ':'))
            return true;
    }
    return false;
}

static bool listens_on_loopback(const struct dune_dash *dash)
{
    return dash->url && host_is_loopback(dash->url + strlen("http://"));
}

/* A page of another site must not read us through a name that it lets point here. */
static bool wrong_host(const struct dune_dash *dash, const struct dash_request *q, struct dash_answer *a)
{
    if (!listens_on_loopback(dash) || host_is_loopback(q->host))
        return false;
    dash_answer_error(a, 421, "this dashboard answers to 127.0.0.1, [::1] and localhost, not to \"%.100s\"",
                      q->host ? q->host : "");
    return true;
}

static bool may_command(struct dune_dash *dash, const struct dash_request *q, struct dash_answer *a)
{
    static const char bearer[] = "Bearer ";
    const char *given = q->authorization;

    if (q->origin && q->host && (strncmp(q->origin, "http://", 7) != 0 || strcmp(q->origin + 7, q->host) != 0))
        dash_answer_error(a, 403, "commands come from the dashboard's own page only");
    else if (!given || strncasecmp(given, bearer, sizeof(bearer) - 1) != 0)
        dash_answer_error(a, 401, "this needs the token that the dashboard printed when it started "
                          "(header Authorization: Bearer TOKEN)");
    else if (!same_secret(given + sizeof(bearer) - 1, dash->token))
        dash_answer_error(a, 403, "this is not the token that the dashboard printed when it started");
    else if (!q->content_type || strncasecmp(q->content_type, "application/json", 16) != 0)
        dash_answer_error(a, 415, "the body of a command is application/json");
    else
        return true;
    return false;
}

/* --- commands ---------------------------------------------------------------------------------------------------- */

/* The body of a command: an object of texts. */
struct command {
    char use_case[128], solution[64], pace[32];
};

static int parse_command(struct command *c, const char *text, size_t len, struct dune_diag *d)
{
    const struct {
        const char *key;
        char *to;
        size_t bytes;
    } members[] = {{"use_case", c->use_case, sizeof(c->use_case)},
                   {"solution", c->solution, sizeof(c->solution)},
                   {"pace", c->pace, sizeof(c->pace)}};
    json_error_t err;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &err), *v;
    const char *key;
    int rc = 0;

    memset(c, 0, sizeof(*c));
    if (!json_is_object(root)) {
        rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "the body of a command is a JSON object%s%.150s", root ? "" : ": ",
                           root ? "" : err.text);
        json_decref(root);
        return rc;
    }
    json_object_foreach(root, key, v)
    {
        size_t i = 0;

        while (i < DUNE_ARRAY_LEN(members) && strcmp(members[i].key, key) != 0)
            i++;
        if (i == DUNE_ARRAY_LEN(members))
            rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "unknown key \"%.64s\"; a command has use_case, solution, pace", key);
        else if (!json_is_string(v) || json_string_length(v) >= members[i].bytes)
            rc = dune_diag_set(d, DUNE_E_USAGE, NULL, "%s must be a text of less than %zu bytes", key, members[i].bytes);
        else
            snprintf(members[i].to, members[i].bytes, "%s", json_string_value(v));
    }
    json_decref(root);
    return rc;
}

static void run_command(struct dune_dash *dash, const struct dash_request *q, struct dash_answer *a, bool start)
{
    struct command c;
    struct dune_diag d = {0};
    int rc = parse_command(&c, q->body ? q->body : "", q->body_len, &d);

    if (rc == 0 && !dash->has_control) {
        dash_answer_error(a, 409, "this dashboard only looks on: there is nothing that it could start or stop");
        return;
    }
    pthread_mutex_lock(&dash->control_lock);
    if (rc == 0 && start)
        rc = dash->control.start(dash->control.ctx, c.use_case, c.solution, c.pace, &d);
    else if (rc == 0)
        rc = dash->control.stop(dash->control.ctx, &d);
    pthread_mutex_unlock(&dash->control_lock);
    if (rc)
        answer_diag(a, &d);
    else
        dune_buf_puts(&a->body, "{\"ok\": true}\n");
}

static void post(struct dune_dash *dash, const struct dash_request *q, struct dash_answer *a)
{
    struct command c;
    struct dune_diag d = {0};

    if (!may_command(dash, q, a))
        return;
    if (strcmp(q->path, "/api/start") == 0)
        run_command(dash, q, a, true);
    else if (strcmp(q->path, "/api/stop") == 0)
        run_command(dash, q, a, false);
    else if (strcmp(q->path, "/api/token") == 0 && parse_command(&c, q->body ? q->body : "", q->body_len, &d))
        answer_diag(a, &d);
    else if (strcmp(q->path, "/api/token") == 0)
        dune_buf_puts(&a->body, "{\"ok\": true}\n");
    else
        dash_answer_error(a, 404, "there is no command at %.200s", q->path);
}

/* --- what is read ---------------------------------------------------------------------------------------------------- */

static const char *query(const struct dash_request *q, const char *key)
{
    return q->query ? q->query(q->query_ctx, key) : NULL;
}

/* A number of the query; false: an error is the answer. */
static bool number(const struct dash_request *q, const char *key, uint64_t def, uint64_t max, uint64_t *out, struct dash_answer *a)
{
    const char *text = query(q, key);

    *out = def;
    if (!text || (dune_parse_u64(text, out) && *out <= max))
        return true;
    dash_answer_error(a, 400, "%s must be a number up to %llu", key, (unsigned long long)max);
    return false;
}

static struct dash_scene *current(struct dune_dash *dash)
{
    struct dash_scene *s;

    pthread_mutex_lock(&dash->lock);
    s = dash_scene_ref(dash->scene);
    pthread_mutex_unlock(&dash->lock);
    return s;
}

static void get_event(struct dune_dash *dash, enum dash_event_kind kind, struct dash_answer *a)
{
    pthread_mutex_lock(&dash->lock);
    if (dash->event[kind]) {
        const char *data = strstr(dash->event[kind]->text, "data: ") + 6;

        dune_buf_append(&a->body, data, dash->event[kind]->len - (size_t)(data - dash->event[kind]->text) - 1);
    }
    pthread_mutex_unlock(&dash->lock);
    if (!a->body.len)
        dash_answer_error(a, 404, "nothing has run yet");
}

static void get_series(struct dune_dash *dash, struct dash_answer *a)
{
    struct dash_point *p = DUNE_NEW_N(struct dash_point, DASH_POINTS);
    size_t n;

    pthread_mutex_lock(&dash->lock);
    n = (size_t)DUNE_MIN(dash->n_points, (uint64_t)DASH_POINTS);
    for (size_t i = 0; i < n; i++)
        p[i] = dash->point[(dash->n_points - n + i) % DASH_POINTS];
    pthread_mutex_unlock(&dash->lock);
    dash_series_json(p, n, &a->body);
    dune_mem_free(p);
    a->download = "series.json";
}

static void get_classes(struct dune_dash *dash, const struct dash_request *q, struct dash_answer *a)
{
    uint64_t offset, limit;

    if (!number(q, "offset", 0, UINT32_MAX, &offset, a) || !number(q, "limit", 500, 1000, &limit, a))
        return;
    pthread_mutex_lock(&dash->lock);
    if (dash->scene)
        dash_classes_json(dash->scene, (uint32_t)offset, (uint32_t)limit, &a->body);
    pthread_mutex_unlock(&dash->lock);
    if (!a->body.len)
        dash_answer_error(a, 404, "nothing has run yet");
}

static void get_flows(struct dune_dash *dash, const struct dash_request *q, struct dash_answer *a)
{
    const char *words = query(q, "q");
    struct dash_scene *s = current(dash);
    struct dash_flow *f;
    uint64_t limit, n = 0;

    if (number(q, "limit", 50, 1000, &limit, a) && s) {
        f = dune_mem_alloc(DASH_FLOWS, sizeof(*f));
        pthread_mutex_lock(&dash->lock);
        if (dash->scene == s)
            n = DUNE_MIN(dash->flows.n, (uint64_t)DASH_FLOWS);
        for (uint64_t i = 0; i < n; i++)
            f[i] = dash->flows.flow[(dash->flows.n - n + i) % DASH_FLOWS];
        pthread_mutex_unlock(&dash->lock);
        dash_flows_json(f, n, s, words ? words : "", (uint32_t)limit, &a->body);
        dune_mem_free(f);
    } else if (!s && !a->body.len) {
        dash_answer_error(a, 404, "nothing has run yet");
    }
    dash_scene_unref(s);
}

static void get_flow(struct dune_dash *dash, const struct dash_request *q, struct dash_answer *a)
{
    const char *text = query(q, "key");
    struct dash_scene *s = current(dash);
    struct dune_flow_key key;
    struct dune_diag d = {0};

    if (!text || !dash_key_parse(&key, text))
        dash_answer_error(a, 400, "key is a flow like \"tcp 10.0.0.1:80 10.0.0.2:4000\"");
    else if (!s)
        dash_answer_error(a, 404, "nothing has run yet");
    else if (dash_flow_path(s, &key, query(q, "capture"), &a->body, &d))
        answer_diag(a, &d);
    dash_scene_unref(s);
}

static const struct dash_case *find_case(const struct dune_dash *dash, const struct dash_request *q, struct dash_answer *a)
{
    const char *name = query(q, "case");

    for (size_t i = 0; i < dash->n_cases; i++)
        if (dash->cases[i].dir && (!name || strcmp(dash->cases[i].name, name) == 0))
            return &dash->cases[i];
    dash_answer_error(a, 404, "there is no use case \"%.100s\" with a run directory", name ? name : "");
    return NULL;
}

/* A JSON file of a run directory, as it is. */
static void get_file(const struct dune_dash *dash, const struct dash_request *q, const char *file, struct dash_answer *a)
{
    const struct dash_case *c = find_case(dash, q, a);
    struct dune_diag d = {0};
    char *path = c ? dune_mem_printf("%s/%s", c->dir, file) : NULL, *text = NULL;
    json_t *root = NULL;
    size_t len = 0;

    if (c && !dune_path_exists(path))
        dune_buf_puts(&a->body, "null\n"); /* not written yet */
    else if (c && dune_file_read(path, &text, &len, &d))
        answer_diag(a, &d);
    else if (c && (len > FILE_MAX || !(root = json_loadb(text, len, 0, NULL))))
        dash_answer_error(a, 422, "%s is not what it should be: dunectl run writes it again", path);
    else if (c)
        dune_buf_append(&a->body, text, len);
    json_decref(root);
    dune_mem_free(text);
    dune_mem_free(path);
}

static void get_history(struct dune_dash *dash, const struct dash_request *q, const char *what, struct dash_answer *a)
{
    const char *words = query(q, "q");
    struct dune_diag d = {0};
    uint64_t run, limit;

    if (!number(q, "run", 0, INT64_MAX, &run, a) || !number(q, "limit", 1000, 100000, &limit, a))
        return;
    if (!dash->store)
        dash_answer_error(a, 404, "this dashboard keeps no history (--dash-history FILE)");
    else if (dash_store_read(dash->store, what, (int64_t)run, (uint32_t)limit, words ? words : "", &a->body, &d))
        answer_diag(a, &d);
}

static void get_report(const struct dune_dash *dash, const struct dash_request *q, struct dash_answer *a)
{
    const struct dash_case *c = find_case(dash, q, a);
    struct dune_diag d = {0};

    if (!c)
        return;
    if (dash_plan_page(c->dir, &a->body, &d)) {
        answer_diag(a, &d);
        return;
    }
    a->type = "text/html; charset=utf-8";
    a->csp = framed_csp;
}

static void get(struct dune_dash *dash, const struct dash_request *q, struct dash_answer *a)
{
    struct dash_asset asset;
    const char *p = q->path;

    if (dash_asset_find(p, &asset)) {
        a->type = asset.type;
        a->asset = asset.data;
        a->asset_len = asset.len;
    } else if (strcmp(p, "/api/events") == 0) {
        a->events = true;
    } else if (strcmp(p, "/api/scene") == 0) {
        get_event(dash, DASH_EV_SCENE, a);
    } else if (strcmp(p, "/api/state") == 0) {
        get_event(dash, DASH_EV_STATE, a);
    } else if (strcmp(p, "/api/notes") == 0) {
        get_event(dash, DASH_EV_NOTE, a);
    } else if (strcmp(p, "/api/series") == 0) {
        get_series(dash, a);
    } else if (strcmp(p, "/api/classes") == 0) {
        get_classes(dash, q, a);
    } else if (strcmp(p, "/api/flows") == 0) {
        get_flows(dash, q, a);
    } else if (strcmp(p, "/api/flow") == 0) {
        get_flow(dash, q, a);
    } else if (strcmp(p, "/api/metrics") == 0) {
        get_file(dash, q, "metrics.json", a);
    } else if (strcmp(p, "/api/live") == 0) {
        get_file(dash, q, "live.json", a);
    } else if (strncmp(p, "/api/history/", 13) == 0) {
        get_history(dash, q, p + 13, a);
    } else if (strcmp(p, "/report") == 0) {
        get_report(dash, q, a);
    } else if (strcmp(p, "/report.css") == 0) {
        a->type = "text/css; charset=utf-8";
        dash_plan_css(&a->body);
    } else if (strcmp(p, "/metrics") == 0) {
        a->type = "text/plain; version=0.0.4; charset=utf-8";
        dash_metrics_text(dash, &a->body);
    } else {
        dash_answer_error(a, 404, "there is nothing at %.200s", p);
    }
}

bool dash_api_is_slow(const char *path)
{
    static const char *const slow[] = {"/api/flow", "/api/metrics", "/api/live", "/api/history", "/api/start", "/api/stop",
                                       "/report"};

    for (size_t i = 0; i < DUNE_ARRAY_LEN(slow); i++)
        if (strncmp(path, slow[i], strlen(slow[i])) == 0)
            return true;
    return false;
}

void dash_api_handle(struct dune_dash *dash, const struct dash_request *q, struct dash_answer *a)
{
    memset(a, 0, sizeof(*a));
    a->status = 200;
    a->type = answer_type;
    if (wrong_host(dash, q, a))
        return;
    if (strlen(q->path) > DASH_URL_MAX)
        dash_answer_error(a, 414, "the address is longer than %d bytes", DASH_URL_MAX);
    else if (strcmp(q->method, "GET") == 0 || strcmp(q->method, "HEAD") == 0)
        get(dash, q, a);
    else if (strcmp(q->method, "POST") == 0)
        post(dash, q, a);
    else
        dash_answer_error(a, 405, "%.16s is not done here: GET reads, POST commands", q->method);
}

/* --- addresses -------------------------------------------------------------------------------------------------------- */

int dash_listen_parse(const char *text, char host[64], uint16_t *port, struct dune_diag *d)
{
    const char *colon = strrchr(text, ':'), *number = colon ? colon + 1 : text;
    size_t len = colon ? (size_t)(colon - text) : 0;
    uint64_t value = 0;

    if (!dune_parse_u64(number, &value) || value > 65535 || len >= 64)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "the address of the dashboard is HOST:PORT, like 127.0.0.1:8321 or "
                             "[::1]:8321, not \"%.80s\"", text);
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']')
        text++, len -= 2;
    snprintf(host, 64, "%.*s", (int)len, text);
    if (!host[0] || strcmp(host, "localhost") == 0)
        snprintf(host, 64, "127.0.0.1");
    *port = (uint16_t)value;
    return 0;
}
