/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels from what other tools have said about flows: Zeek's conn.log (tab separated or JSON lines) and
 * Suricata's eve.json. One line is one flow or event; both directions of the flow get its class.
 */
#include "capture/labels_int.h"

#include <jansson.h>
#include <string.h>

enum { MAX_COLUMNS = 256, MAX_LINE = 1 << 20 };

struct flow_line { /* texts borrowed from the line */
    const char *src, *dst, *proto, *cls;
    uint64_t sport, dport;
    uint64_t start, end; /* ns */
};

struct alert {
    uint32_t span, before; /* before: index + 1, 0: none */
};

struct log {
    struct dune_labels *l;
    struct label_build build;
    const char *file, *field;
    const char *second; /* Zeek: the field where the first has no answer, or NULL */
    const char *p, *end;
    uint64_t line;
    struct dune_buf text; /* the line, terminated */
    struct dune_diag *d;
    /* Zeek: where the columns are, -1: absent */
    int ts, src, sport, dst, dport, proto, duration, cls, cls2;
    bool has_columns;
    /* Suricata: flow_id -> its last alert + 1 in the list, each knows the one before */
    struct keytab flows;
    DUNE_VEC(struct alert) alerts;
    uint64_t n_flow_events;
};

#define BAD_LINE(g, ...)                                                                           \
    (dune_diag_set_line((g)->d, DUNE_E_FORMAT, (g)->file, (g)->line, __VA_ARGS__), DUNE_E_FORMAT)

bool labels_is_log(const void *data, size_t len)
{
    const char *p = data;

    if (len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
        p += 3, len -= 3;
    if (len && p[0] == '{')
        return true;
    return (len > 10 && memcmp(p, "#separator", 10) == 0) || (len > 7 && memcmp(p, "#fields", 7) == 0);
}

/* 1: the next line that is not empty, without its end; 0: none. */
static int next_line(struct log *g)
{
    while (g->p < g->end) {
        const char *nl = memchr(g->p, '\n', (size_t)(g->end - g->p));
        size_t len = (size_t)((nl ? nl : g->end) - g->p);
        const char *line = g->p;

        g->p = nl ? nl + 1 : g->end;
        g->line++;
        if (len && line[len - 1] == '\r')
            len--;
        if (len == 0)
            continue;
        if (len > MAX_LINE)
            return BAD_LINE(g, "a line of %zu bytes", len);
        if (memchr(line, '\0', len))
            return BAD_LINE(g, "a zero byte: this is not a text file");
        g->text.len = 0;
        dune_buf_append(&g->text, line, len);
        dune_buf_append(&g->text, "", 1);
        return 1;
    }
    return 0;
}

static bool is_no_class(const struct log *g, const char *cls)
{
    static const char *const none[] = {"", "-", "(empty)", "unknown", "failed"};
    size_t n = g->l->kind == LABEL_SURICATA ? DUNE_ARRAY_LEN(none) : 3;

    for (size_t i = 0; i < n; i++)
        if (!cls || strcmp(cls, none[i]) == 0)
            return true;
    return false;
}

static int flow_key(struct log *g, const struct flow_line *f, uint8_t proto, struct dune_flow_key *k)
{
    size_t na, nb;
    uint8_t a[16], b[16];

    if (!f->src || !label_parse_ip(f->src, a, &na))
        return BAD_LINE(g, "the source \"%s\" is not an IP address", f->src ? f->src : "");
    if (!f->dst || !label_parse_ip(f->dst, b, &nb) || na != nb)
        return BAD_LINE(g, "the destination \"%s\" is not an address of that kind", f->dst ? f->dst : "");
    if (f->sport > UINT16_MAX || f->dport > UINT16_MAX)
        return BAD_LINE(g, "a port above 65535");
    label_make_key(k, a, b, na, (uint16_t)f->sport, (uint16_t)f->dport, proto);
    *k = spans_both_ways(k);
    return 0;
}

/* 1: an entry was added, 0: the line says nothing about a TCP or UDP flow. */
static int add_flow(struct log *g, const struct flow_line *f)
{
    struct label_span s = {.start = f->start, .end = f->end, .line = (uint32_t)g->line};
    const char *problem;
    struct dune_flow_key k;
    uint8_t proto;
    int rc;

    if (is_no_class(g, f->cls) || !f->proto || !label_parse_proto(f->proto, &proto) ||
        (proto != 6 && proto != 17))
        return 0;
    if (g->line > UINT32_MAX - 1 || g->l->spans.len >= UINT32_MAX - 1 || keytab_is_full(&g->l->keys))
        return BAD_LINE(g, "more entries than can be kept");
    problem = label_build_class(&g->build, f->cls, &s.cls);
    if (problem)
        return BAD_LINE(g, "%s", problem);
    rc = flow_key(g, f, proto, &k);
    if (rc)
        return rc;
    s.end = DUNE_MAX(s.end, s.start);
    spans_add(g->l, &k, 0, &s);
    return 1;
}

/* --- Zeek ------------------------------------------------------------------------------------------- */

static void zeek_clear(struct log *g)
{
    g->ts = g->src = g->sport = g->dst = g->dport = g->proto = g->duration = g->cls = g->cls2 = -1;
}

static size_t split_tabs(char *line, char *field[MAX_COLUMNS])
{
    size_t n = 0;

    for (char *p = line; n < MAX_COLUMNS;) {
        field[n++] = p;
        p = strchr(p, '\t');
        if (!p)
            break;
        *p++ = '\0';
    }
    return n;
}

/* IoT-23 separates its last columns, the labels, by blanks: cuts the last field at two or more of them. */
static size_t split_blanks(char *field[MAX_COLUMNS], size_t n)
{
    for (char *p; n && n < MAX_COLUMNS && (p = strstr(field[n - 1], "  ")) != NULL; n++) {
        *p++ = '\0';
        field[n] = p + strspn(p, " ");
    }
    return n;
}

static int zeek_columns(struct log *g, char **name, size_t n)
{
    struct {
        const char *name;
        int *at;
    } want[] = {{"ts", &g->ts}, {"id.orig_h", &g->src}, {"id.orig_p", &g->sport}, {"id.resp_h", &g->dst},
                {"id.resp_p", &g->dport}, {"proto", &g->proto}, {g->field, &g->cls}, {"duration", &g->duration}, {g->second ? g->second : "", &g->cls2}};

    zeek_clear(g);
    for (size_t i = 0; i < n; i++)
        for (size_t w = 0; w < DUNE_ARRAY_LEN(want); w++)
            if (strcmp(name[i], want[w].name) == 0)
                *want[w].at = (int)i;
    for (size_t w = 0; w + 2 < DUNE_ARRAY_LEN(want); w++) /* all but the duration and the second field */
        if (*want[w].at < 0)
            return BAD_LINE(g, "the log has no column \"%s\": it must be Zeek's conn.log", want[w].name);
    g->has_columns = true;
    return 0;
}

static int zeek_header(struct log *g, char *line)
{
    char *field[MAX_COLUMNS];

    if (strncmp(line, "#separator", 10) == 0 && strcmp(line, "#separator \\x09") != 0)
        return BAD_LINE(g, "columns are not separated by tabs");
    if (strncmp(line, "#fields\t", 8) == 0) {
        size_t n = split_blanks(field, split_tabs(line + 8, field));

        return zeek_columns(g, field, n);
    }
    return 0;
}

static int zeek_row(struct log *g, char *line)
{
    char *field[MAX_COLUMNS], *dur;
    size_t n = split_blanks(field, split_tabs(line, field));
    struct flow_line f = {0};
    uint64_t ns = 0;
    bool whole;

    if (!g->has_columns)
        return BAD_LINE(g, "data in front of the #fields line");
    for (int want[] = {g->ts, g->src, g->sport, g->dst, g->dport, g->proto, g->cls}, i = 0; i < 7; i++)
        if ((size_t)want[i] >= n)
            return BAD_LINE(g, "%zu columns, fewer than the #fields line names", n);
    f = (struct flow_line){.src = field[g->src], .dst = field[g->dst], .proto = field[g->proto],
                           .cls = field[g->cls]};
    if (is_no_class(g, f.cls) && g->cls2 >= 0 && (size_t)g->cls2 < n)
        f.cls = field[g->cls2];
    if (is_no_class(g, f.cls))
        return 0;
    if (!label_parse_time(field[g->ts], &f.start, &whole))
        return BAD_LINE(g, "ts \"%s\" is not a time in seconds", field[g->ts]);
    dur = g->duration >= 0 && (size_t)g->duration < n ? field[g->duration] : NULL;
    if (dur && strcmp(dur, "-") != 0 && !label_parse_time(dur, &ns, &whole))
        return BAD_LINE(g, "duration \"%s\" is not a time in seconds", dur);
    f.end = f.start + ns;
    if (!dune_parse_u64(field[g->sport], &f.sport) || !dune_parse_u64(field[g->dport], &f.dport))
        return BAD_LINE(g, "a port that is not a number");
    return add_flow(g, &f);
}

static int read_zeek_tabs(struct log *g)
{
    int rc;

    g->l->kind = LABEL_ZEEK;
    g->field = g->field ? g->field : "service";
    zeek_clear(g);
    while ((rc = next_line(g)) == 1) {
        rc = g->text.data[0] == '#' ? zeek_header(g, g->text.data) : zeek_row(g, g->text.data);
        if (rc < 0)
            return rc;
    }
    return rc;
}

/* --- JSON lines -------------------------------------------------------------------------------------- */

static bool json_time(const json_t *v, uint64_t *ns)
{
    double sec = json_number_value(v);

    if (json_is_string(v))
        return label_parse_iso(json_string_value(v), ns);
    if (!json_is_number(v) || !(sec >= 0 && sec < 1.8e10))
        return false;
    *ns = (uint64_t)(sec * 1e6 + 0.5) * 1000; /* both tools write microseconds */
    return true;
}

static const char *text_of(const json_t *obj, const char *key)
{
    return json_string_value(json_object_get(obj, key)); /* NULL: absent or no text */
}

static uint64_t port_of(const json_t *obj, const char *key)
{
    const json_t *v = json_object_get(obj, key);

    return json_is_integer(v) && json_integer_value(v) >= 0 ? (uint64_t)json_integer_value(v) : 0;
}

static int zeek_object(struct log *g, const json_t *o)
{
    struct flow_line f = {.src = text_of(o, "id.orig_h"), .dst = text_of(o, "id.resp_h"),
                          .proto = text_of(o, "proto"), .cls = text_of(o, g->field),
                          .sport = port_of(o, "id.orig_p"), .dport = port_of(o, "id.resp_p")};
    double duration = json_number_value(json_object_get(o, "duration"));

    if (is_no_class(g, f.cls) && g->second)
        f.cls = text_of(o, g->second);
    if (!f.cls)
        return 0;
    if (!json_time(json_object_get(o, "ts"), &f.start))
        return BAD_LINE(g, "ts is not a time");
    f.end = f.start + (duration > 0 && duration < 1e9 ? (uint64_t)(duration * 1e9) : 0);
    return add_flow(g, &f);
}

/* The entries that alerts made for a flow end when it does. */
static void close_alerts(struct log *g, uint64_t flow_id, uint64_t end)
{
    struct keytab_value v = keytab_find(&g->flows, &flow_id, sizeof(flow_id));

    for (uint32_t at = v.value ? *v.value : 0; at; at = g->alerts.data[at - 1].before) {
        struct label_span *s = &g->l->spans.data[g->alerts.data[at - 1].span];

        s->end = DUNE_MAX(s->start, end);
    }
    if (v.value)
        *v.value = 0; /* the number may come again */
}

static void note_alert(struct log *g, uint64_t flow_id)
{
    struct keytab_value v;
    bool fresh;

    if (flow_id == 0 || keytab_is_full(&g->flows))
        return;
    v = keytab_add(&g->flows, &flow_id, sizeof(flow_id), &fresh);
    DUNE_VEC_PUSH(&g->alerts, ((struct alert){(uint32_t)g->l->spans.len - 1, *v.value}));
    *v.value = (uint32_t)g->alerts.len;
}

static int suricata_object(struct log *g, const json_t *o)
{
    const json_t *flow = json_object_get(o, "flow"), *alert = json_object_get(o, "alert");
    const char *type = text_of(o, "event_type");
    bool by_alert = strncmp(g->field, "alert.", 6) == 0;
    struct flow_line f = {.src = text_of(o, "src_ip"), .dst = text_of(o, "dest_ip"), .proto = text_of(o, "proto"),
                          .sport = port_of(o, "src_port"), .dport = port_of(o, "dest_port"), .end = UINT64_MAX};
    uint64_t flow_id = (uint64_t)json_integer_value(json_object_get(o, "flow_id"));
    int rc;

    if (!type || (strcmp(type, "flow") != 0 && strcmp(type, "alert") != 0))
        return 0;
    if (!json_time(json_object_get(flow, "start"), &f.start) && !json_time(json_object_get(o, "timestamp"), &f.start))
        return BAD_LINE(g, "the event has no time");
    if (strcmp(type, "flow") == 0) {
        g->n_flow_events++;
        (void)json_time(json_object_get(flow, "end"), &f.end);
        close_alerts(g, flow_id, f.end);
        f.cls = by_alert ? NULL : text_of(o, g->field);
        return f.cls ? add_flow(g, &f) : 0;
    }
    f.cls = by_alert ? text_of(alert, g->field + 6) : NULL;
    rc = f.cls ? add_flow(g, &f) : 0;
    if (rc == 1)
        note_alert(g, flow_id);
    return rc;
}

static int json_line(struct log *g)
{
    json_error_t e;
    json_t *o = json_loads(g->text.data, JSON_REJECT_DUPLICATES, &e);
    int rc;

    if (!json_is_object(o)) {
        json_decref(o);
        return BAD_LINE(g, "not a JSON object: %s", o ? "another value" : e.text);
    }
    if (g->l->kind == LABEL_N_KINDS) { /* the first line tells */
        g->l->kind = json_object_get(o, "event_type") ? LABEL_SURICATA : LABEL_ZEEK;
        if (g->l->kind == LABEL_ZEEK && !json_object_get(o, "id.orig_h")) {
            json_decref(o);
            return BAD_LINE(g, "neither an event of Suricata nor a connection of Zeek");
        }
        g->field = g->field ? g->field : g->l->kind == LABEL_ZEEK ? "service" : "app_proto";
    }
    rc = g->l->kind == LABEL_ZEEK ? zeek_object(g, o) : suricata_object(g, o);
    json_decref(o);
    return rc;
}

static int read_json_lines(struct log *g)
{
    int rc;

    g->l->kind = LABEL_N_KINDS;
    while ((rc = next_line(g)) == 1) {
        rc = json_line(g);
        if (rc < 0)
            return rc;
    }
    return rc;
}

static int nothing_found(struct log *g)
{
    if (g->l->kind == LABEL_SURICATA && g->n_flow_events == 0 && strncmp(g->field, "alert.", 6) != 0)
        return BAD_LINE(g, "no flow events in it: Suricata's eve-log must have the type \"flow\"");
    return BAD_LINE(g, "no TCP or UDP flow in it has a \"%s\"", g->field ? g->field : "label");
}

int labels_read_log(struct dune_labels *l, const char *name, const void *data, size_t len,
                    const char *field, struct dune_diag *d)
{
    struct log g = {.l = l, .build.l = l, .file = name, .field = field, .d = d};
    char *comma, *fields = field ? dune_arena_strdup(&l->arena, field) : NULL;
    uint32_t first;
    int rc;

    if (fields && (comma = strchr(fields, ',')) != NULL) {
        *comma = '\0';
        g.field = fields;
        g.second = comma + 1;
    }
    g.p = data;
    g.end = g.p + len;
    if (len >= 3 && memcmp(g.p, "\xef\xbb\xbf", 3) == 0)
        g.p += 3;
    rc = *g.p == '{' ? read_json_lines(&g) : read_zeek_tabs(&g);
    if (rc == 0 && l->spans.len == 0)
        rc = nothing_found(&g);
    if (rc == 0) {
        label_build_finish(&g.build);
        (void)spans_finish(l, &first); /* entries without an end may repeat here */
    }
    label_build_fini(&g.build);
    keytab_fini(&g.flows);
    DUNE_VEC_FREE(&g.alerts);
    dune_buf_fini(&g.text);
    return rc;
}
