/* SPDX-License-Identifier: Apache-2.0 */
/* Requests without a server: who may ask, what is answered, hostile names and bodies, /metrics line by line. */
#include "dash_kit.h"

#include <ctype.h>

struct pressed {
    int starts, stops;
    char use_case[128], solution[64], pace[32];
};

static int on_start(void *ctx, const char *use_case, const char *solution, const char *pace, struct dune_diag *d)
{
    struct pressed *p = ctx;

    if (strcmp(solution, "nothing") == 0)
        return dune_diag_set(d, DUNE_E_USAGE, NULL, "there is no solution \"%s\"", solution);
    p->starts++;
    snprintf(p->use_case, sizeof(p->use_case), "%s", use_case);
    snprintf(p->solution, sizeof(p->solution), "%s", solution);
    snprintf(p->pace, sizeof(p->pace), "%s", pace);
    return 0;
}

static int on_stop(void *ctx, struct dune_diag *d)
{
    (void)d;
    ((struct pressed *)ctx)->stops++;
    return 0;
}

struct args {
    const char *key[4], *value[4];
};

static const char *query(void *ctx, const char *key)
{
    const struct args *a = ctx;

    for (int i = 0; a && i < 4 && a->key[i]; i++)
        if (strcmp(a->key[i], key) == 0)
            return a->value[i];
    return NULL;
}

static int ask(struct dune_dash *dash, const struct dash_request *from, json_t **root)
{
    struct dash_request q = *from;
    struct dash_answer a;
    int status;

    if (!q.method)
        q.method = "GET";
    if (!q.host)
        q.host = "127.0.0.1:1";
    if (q.body)
        q.body_len = strlen(q.body);
    dash_api_handle(dash, &q, &a);
    status = a.status;
    if (root)
        *root = kit_json(a.body.data, a.body.len);
    if (status >= 400) {
        json_t *err = kit_json(a.body.data, a.body.len);

        assert_true(json_is_string(json_object_get(err, "error")));
        assert_true(json_string_length(json_object_get(err, "error")) > 15); /* a sentence */
        json_decref(err);
    }
    dash_answer_fini(&a);
    return status;
}

static int get(struct dune_dash *dash, const char *path, struct args *a, json_t **root)
{
    return ask(dash, &(struct dash_request){.path = path, .query = query, .query_ctx = a}, root);
}

#define POST(path_, body_)                                                                                             \
    {.method = "POST", .path = path_, .body = body_, .authorization = "Bearer " KIT_TOKEN, .content_type = "application/json"}

static void commands_need_the_token(void **state)
{
    struct pressed p = {0};
    struct dune_dash *dash = kit_new(&(struct dune_dash_control){on_start, on_stop, &p});
    struct dash_request q = POST("/api/start", "{\"solution\": \"dune\", \"pace\": \"x2\", \"use_case\": \"u\"}");

    (void)state;
    assert_int_equal(ask(dash, &q, NULL), 200);
    assert_int_equal(p.starts, 1);
    assert_string_equal(p.pace, "x2");
    assert_string_equal(p.use_case, "u");
    q.origin = "http://127.0.0.1:1";
    assert_int_equal(ask(dash, &q, NULL), 200);
    q.origin = "http://evil.example";
    assert_int_equal(ask(dash, &q, NULL), 403);
    q.origin = NULL;
    q.authorization = NULL;
    assert_int_equal(ask(dash, &q, NULL), 401);
    q.authorization = "Basic " KIT_TOKEN;
    assert_int_equal(ask(dash, &q, NULL), 401);
    q.authorization = "Bearer " KIT_TOKEN "x";
    assert_int_equal(ask(dash, &q, NULL), 403);
    q.authorization = "Bearer 0123456789abcde";
    assert_int_equal(ask(dash, &q, NULL), 403);
    q.authorization = "Bearer ";
    assert_int_equal(ask(dash, &q, NULL), 403);
    q.authorization = "bearer " KIT_TOKEN;
    q.content_type = "text/plain";
    assert_int_equal(ask(dash, &q, NULL), 415);
    assert_int_equal(p.starts, 2);
    q = (struct dash_request)POST("/api/stop", "{}");
    assert_int_equal(ask(dash, &q, NULL), 200);
    assert_int_equal(p.stops, 1);
    q = (struct dash_request)POST("/api/token", "{}");
    assert_int_equal(ask(dash, &q, NULL), 200);
    q = (struct dash_request)POST("/api/start", "{\"solution\": \"nothing\"}");
    assert_int_equal(ask(dash, &q, NULL), 400);
    q = (struct dash_request)POST("/api/else", "{}");
    assert_int_equal(ask(dash, &q, NULL), 404);
    kit_free(dash);
    dash = kit_new(NULL);
    q = (struct dash_request)POST("/api/start", "{}");
    assert_int_equal(ask(dash, &q, NULL), 409);
    kit_free(dash);
}

static void broken_bodies(void **state)
{
    static const char *const bad[] = {"", "{", "null", "[]", "\"x\"", "{\"solution\": 1}", "{\"solution\": null}", "{\"else\": \"x\"}",
                                      "{\"solution\": \"a\", \"solution\": \"b\"}", "{\"solution\": \"a\"} x", "{\"pace\": \"\\u0000\"}",
                                      "{\"solution\": \"\xff\"}"};
    struct dune_dash *dash = kit_new(NULL);
    char deep[4001], longer[400];

    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(bad); i++) {
        struct dash_request q = POST("/api/start", bad[i]);

        if (ask(dash, &q, NULL) != 400)
            fail_msg("\"%s\" was not refused", bad[i]);
    }
    memset(deep, '[', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = '\0';
    assert_int_equal(ask(dash, &(struct dash_request)POST("/api/token", deep), NULL), 400);
    snprintf(longer, sizeof(longer), "{\"solution\": \"%0300d\"}", 1);
    assert_int_equal(ask(dash, &(struct dash_request)POST("/api/token", longer), NULL), 400);
    kit_free(dash);
}

static void hosts_and_methods(void **state)
{
    static const struct {
        const char *host;
        int status;
    } hosts[] = {{"127.0.0.1:1", 200}, {"localhost:1", 200}, {"localhost", 200}, {"[::1]:1", 200}, {"evil.example", 421},
                 {"127.0.0.1.evil.example", 421}, {"localhost.evil.example:1", 421}, {"", 421}};
    struct dune_dash *dash = kit_new(NULL);

    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(hosts); i++)
        assert_int_equal(ask(dash, &(struct dash_request){.path = "/", .host = hosts[i].host}, NULL), hosts[i].status);
    dune_mem_free(dash->url);
    dash->url = dune_mem_strdup("http://192.0.2.1:80/");
    assert_int_equal(ask(dash, &(struct dash_request){.path = "/", .host = "any.example"}, NULL), 200);
    assert_int_equal(ask(dash, &(struct dash_request){.path = "/", .method = "HEAD"}, NULL), 200);
    assert_int_equal(ask(dash, &(struct dash_request){.path = "/", .method = "PUT"}, NULL), 405);
    assert_int_equal(ask(dash, &(struct dash_request){.path = "/../etc/passwd"}, NULL), 404);
    kit_free(dash);
}

/* Numbers come from the right places, and every text is JSON whatever the names are. */
static void reads(void **state)
{
    struct dune_dash *dash = kit_new(NULL);
    struct dash_scene *s = dash->scene;
    struct dune_buf b = {0};
    json_t *root;

    (void)state;
    s->shown.t = (struct dash_totals){.packets = 12, .state = DUNE_DASH_RUNNING, .capture = DASH_NONE, .chain_p99_ns = 77};
    s->shown.dev[1].in = 11;
    s->shown.by_class[s->of_plan[1]] = 4;
    s->shown.claims[256 + 1] = 4;
    s->shown.claims[256] = 2;
    dash_state_json(dash, s, &b);
    dash_one_line(&b);
    assert_null(strchr(b.data, '\n')); /* else it would end the event */
    root = kit_json(b.data, b.len);
    assert_int_equal(json_integer_value(json_object_get(root, "packets")), 12);
    assert_true(json_is_null(json_object_get(root, "f1"))); /* no labels */
    assert_int_equal(json_array_size(json_object_get(root, "devices")), KIT_DEVICES);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(json_object_get(root, "devices"), 1), "in")), 11);
    assert_int_equal(json_array_size(json_object_get(json_array_get(json_object_get(root, "devices"), 1), "claims")), 2);
    json_decref(root);
    dune_buf_fini(&b);
    dash_scene_json(dash, s, &b);
    dash_one_line(&b);
    assert_null(strchr(b.data, '\n'));
    root = kit_json(b.data, b.len);
    for (int i = 0, seen = 0; i < KIT_CLASSES; i++) {
        const char *name = json_string_value(json_array_get(json_object_get(root, "classes"), (size_t)i));

        for (int k = 0; k < KIT_CLASSES; k++)
            seen += strcmp(name, kit_names[k]) == 0;
        assert_true(seen == i + 1 || strchr(name, '?')); /* two blanks stay two blanks */
        seen = i + 1;
    }
    json_decref(root);
    dune_buf_fini(&b);
    assert_int_equal(get(dash, "/api/classes", NULL, &root), 200);
    assert_int_equal(json_array_size(json_object_get(root, "classes")), 1);
    json_decref(root);
    assert_int_equal(get(dash, "/api/classes", &(struct args){{"limit"}, {"x"}}, NULL), 400);
    assert_int_equal(get(dash, "/api/classes", &(struct args){{"limit"}, {"1001"}}, NULL), 400);
    assert_int_equal(get(dash, "/api/series", NULL, &root), 200);
    assert_int_equal(json_array_size(json_object_get(root, "macro_overall")), 0);
    json_decref(root);
    assert_int_equal(get(dash, "/api/flow", &(struct args){{"key"}, {"nonsense"}}, NULL), 400);
    assert_int_equal(get(dash, "/api/flow", &(struct args){{"key"}, {"tcp 10.0.0.1:80 10.0.0.2:4000"}}, NULL), 422);
    assert_int_equal(get(dash, "/api/flows", &(struct args){{"q"}, {"x"}}, NULL), 200);
    assert_int_equal(get(dash, "/api/metrics", NULL, NULL), 404); /* no run directory */
    assert_int_equal(get(dash, "/api/history/runs", NULL, NULL), 404);
    kit_free(dash);
}

/* Ten thousand classes: bounded texts, and pages of the rest. */
static void many_classes(void **state)
{
    struct dune_buf csv = {0}, b = {0};
    struct dune_labels *labels;
    struct dune_diag d = {0};
    struct dune_dash *dash = kit_new(NULL);
    struct dune_dash_scene scene = {.source = "replay"};
    json_t *root;

    (void)state;
    dune_buf_puts(&csv, "prefix,label\n");
    for (int i = 0; i < 10000; i++)
        dune_buf_printf(&csv, "10.%d.%d.0/24,class %d <b>\n", i / 256, i % 256, i);
    assert_ok(dune_labels_parse(&labels, "l.csv", csv.data, csv.len, NULL, &d), d);
    dash_scene_unref(dash->scene);
    scene.labels = labels;
    dash->scene = dash_scene_new(&scene);
    assert_int_equal(dash->scene->n_classes, 10000);
    for (uint32_t i = 0; i < 10000; i++)
        dash->scene->shown.by_class[i] = i + 1;
    dash_state_json(dash, dash->scene, &b);
    assert_true(b.len < 20000);
    dune_buf_fini(&b);
    dash_scene_json(dash, dash->scene, &b);
    assert_true(b.len < 40000);
    dune_buf_fini(&b);
    assert_int_equal(get(dash, "/api/classes", &(struct args){{"limit", "offset"}, {"1000", "9500"}}, &root), 200);
    assert_int_equal(json_array_size(json_object_get(root, "classes")), 500);
    json_decref(root);
    dash_metrics_text(dash, &b);
    assert_true(b.len < 60000);
    dune_buf_fini(&b);
    dune_buf_fini(&csv);
    kit_free(dash);
    dune_labels_free(labels);
}

/* --- /metrics, by a reader of the text format of its own -------------------------------------------------------------- */

static const char *metric_name(const char *p, char name[128])
{
    size_t n = 0;

    assert_true(isalpha((unsigned char)*p) || *p == '_' || *p == ':');
    while (isalnum((unsigned char)p[n]) || p[n] == '_' || p[n] == ':')
        n++;
    assert_true(n < 128);
    memcpy(name, p, n);
    name[n] = '\0';
    return p + n;
}

static const char *metric_labels(const char *p)
{
    char name[128];

    for (p++; *p != '}'; p += *p == ',') {
        p = metric_name(p, name);
        assert_true(p[0] == '=' && p[1] == '"');
        for (p += 2; *p != '"'; p++) {
            assert_true(*p != '\n' && *p != '\0');
            if (*p == '\\')
                assert_non_null(strchr("\\\"n", *++p));
        }
        p++;
        assert_true(*p == ',' || *p == '}');
    }
    return p + 1;
}

static void metrics_are_well_formed(void **state)
{
    struct dune_dash *dash = kit_new(NULL);
    struct dune_buf b = {0}, seen = {0};
    char name[128], type[160] = "", last[128] = "", mark[140];
    unsigned samples = 0;

    (void)state;
    for (int i = 0; i < KIT_CLASSES; i++)
        dash->scene->shown.by_class[i] = 5;
    dash_metrics_text(dash, &b);
    assert_int_equal(b.data[b.len - 1], '\n');
    for (char *line = strtok(b.data, "\n"); line; line = strtok(NULL, "\n")) {
        const char *p;
        char *end;

        if (strncmp(line, "# HELP ", 7) == 0) {
            p = metric_name(line + 7, last);
            assert_true(*p == ' ' && strlen(p) > 5);
            snprintf(mark, sizeof(mark), " %s ", last);
            assert_true(!seen.data || !strstr(seen.data, mark)); /* each once */
            dune_buf_puts(&seen, mark);
            continue;
        }
        if (strncmp(line, "# TYPE ", 7) == 0) {
            p = metric_name(line + 7, name);
            assert_string_equal(name, last);
            assert_true(strcmp(p, " counter") == 0 || strcmp(p, " gauge") == 0);
            snprintf(type, sizeof(type), "%s", name);
            assert_true(strcmp(p, " counter") != 0 || strcmp(name + strlen(name) - 6, "_total") == 0);
            continue;
        }
        p = metric_name(line, name);
        assert_string_equal(name, type); /* samples stand below their type */
        if (*p == '{')
            p = metric_labels(p);
        assert_int_equal(*p, ' ');
        strtod(p + 1, &end);
        assert_true(end > p + 1 && *end == '\0');
        samples++;
    }
    assert_true(samples > 40);
    dune_buf_fini(&seen);
    dune_buf_fini(&b);
    kit_free(dash);
}

static void addresses(void **state)
{
    static const struct {
        const char *text, *host;
        int port;
    } good[] = {{"8321", "127.0.0.1", 8321}, {":0", "127.0.0.1", 0}, {"0.0.0.0:80", "0.0.0.0", 80}, {"[::1]:9", "::1", 9},
                {"localhost:65535", "127.0.0.1", 65535}};
    static const char *const bad[] = {"", "x", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "1:2:-3",
                                      "a-name-that-is-much-longer-than-any-address-of-a-machine-can-possibly-be.example:1"};
    struct dune_diag d = {0};
    char host[64];
    uint16_t port;

    (void)state;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(good); i++) {
        assert_ok(dash_listen_parse(good[i].text, host, &port, &d), d);
        assert_string_equal(host, good[i].host);
        assert_int_equal(port, good[i].port);
    }
    for (size_t i = 0; i < DUNE_ARRAY_LEN(bad); i++) {
        memset(&d, 0, sizeof(d));
        assert_int_equal(dash_listen_parse(bad[i], host, &port, &d), DUNE_E_USAGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_need_the_token), cmocka_unit_test(broken_bodies),
        cmocka_unit_test(hosts_and_methods),       cmocka_unit_test(reads),
        cmocka_unit_test(many_classes),            cmocka_unit_test(metrics_are_well_formed),
        cmocka_unit_test(addresses),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
