/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to the dashboard: the first byte says which part of one the rest is. */
#include "dash/dash_int.h"

#include <stdlib.h>
#include <string.h>

#include "dune/experiment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct dune_dash *dashboard(void)
{
    static struct dune_dash dash;
    static char title[] = "t", token[] = "0123456789abcdef", url[] = "http://127.0.0.1:1/";

    if (dash.title)
        return &dash;
    pthread_mutex_init(&dash.lock, NULL);
    pthread_mutex_init(&dash.control_lock, NULL);
    dash.title = title;
    dash.token = token;
    dash.url = url;
    dash.point = DUNE_NEW_N(struct dash_point, DASH_POINTS);
    dash.flows.flow = DUNE_NEW_N(struct dash_flow, DASH_FLOWS);
    return &dash;
}

static const char *query(void *ctx, const char *key)
{
    (void)key;
    return ctx;
}

/* Any path, any query, any body: an answer with a status, and JSON where it says so. */
static void request(const char *text, size_t len, bool post)
{
    static const char *const paths[] = {"/api/flows", "/api/flow", "/api/classes", "/api/series", "/api/history/runs", "/api/state", "/metrics"};
    struct dash_request q = {.method = post ? "POST" : "GET", .host = "localhost", .authorization = "Bearer 0123456789abcdef",
                             .content_type = "application/json", .query = query, .body = text, .body_len = len};
    struct dash_answer a;
    char *copy = dune_mem_strndup(text, len);

    q.query_ctx = copy;
    q.path = post ? "/api/token" : copy;
    for (size_t i = 0; i <= DUNE_ARRAY_LEN(paths); i++) {
        dash_api_handle(dashboard(), &q, &a);
        if (a.status < 200 || a.status > 599 || (!a.events && !a.asset && a.body.len == 0))
            abort();
        dash_answer_fini(&a);
        if (post || i == DUNE_ARRAY_LEN(paths))
            break;
        q.path = paths[i];
    }
    dune_mem_free(copy);
}

static void key(const char *text)
{
    struct dune_flow_key k, again;
    char back[DASH_KEY_TEXT];

    if (!dash_key_parse(&k, text))
        return;
    dash_key_text(&k, back);
    if (!dash_key_parse(&again, back) || !dune_flow_key_equal(&k, &again))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct dune_run_source *src;
    struct dune_diag d = {0};
    char host[64], *text;
    uint16_t port;

    if (len == 0)
        return 0;
    text = dune_mem_strndup((const char *)data + 1, len - 1);
    switch (data[0]) {
    case 'k':
        key(text);
        break;
    case 'l':
        if (dash_listen_parse(text, host, &port, &d) && d.msg[0] == '\0')
            abort();
        break;
    case 'i':
        if (dune_run_source_parse(&src, "inputs.json", text, strlen(text), &d) == 0)
            dune_run_source_free(src);
        else if (d.msg[0] == '\0')
            abort();
        break;
    case 'p':
        request((const char *)data + 1, len - 1, true);
        break;
    default:
        request(text, strlen(text), false);
    }
    dune_mem_free(text);
    return 0;
}
