/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of each kind of label file that is a table. */
#include "capture/labels_int.h"

#include <string.h>

/* Columns that some kind reads. */
enum column {
    COL_MAC, COL_LABEL, COL_PREFIX, COL_FILE, COL_CAPTURE, COL_SRC_IP, COL_DST_IP, COL_SRC_PORT,
    COL_DST_PORT, COL_PROTO, COL_START, COL_END, COL_TS, COL_DURATION, COL_TYPE,
    N_COLUMNS
};
static const char *const column_name[N_COLUMNS] = {
    "mac", "label", "prefix", "file", "capture", "src_ip", "dst_ip", "src_port",
    "dst_port", "proto", "start", "end", "ts", "duration", "type"};

struct reading {
    struct dune_labels *l;
    int at[N_COLUMNS]; /* index of each column, -1: absent */
    struct columns col;
    struct dune_diag *d;
    struct label_build build;
    struct keytab lines; /* key -> line of its first entry */
    const char *last_name; /* UNSW: the name of the row above */
    uint64_t n_entries;
};

#define BAD_ROW(g, ...) COLUMNS_BAD(&(g)->col, (g)->d, __VA_ARGS__)

/* A required column first; the optional ones may be absent. */
struct kind_columns {
    const char *required[10], *optional[4];
    bool others; /* any other column is ignored */
};

static const struct kind_columns kind_columns[LABEL_N_KINDS] = {
    [LABEL_TON_IOT] = {{"ts", "src_ip", "src_port", "dst_ip", "dst_port", "proto", "label", "type"},
                       {"duration"}, true},
    [LABEL_FIVE_TUPLE] = {{"src_ip", "dst_ip", "src_port", "dst_port", "proto", "label"},
                          {"capture", "start", "end"}, false},
    [LABEL_MAC] = {{"mac", "label"}, {"start", "end"}, false},
    [LABEL_PREFIX] = {{"prefix", "label"}, {"start", "end"}, false},
    [LABEL_FILE] = {{"file", "label"}, {"start", "end"}, false},
    [LABEL_CAPTURE] = {{"capture", "label"}, {"start", "end"}, false},
    [LABEL_UNSW] = {{"list of devices", "mac address", "connection type"}, {NULL}, true},
};

/* More columns before fewer: the first whose columns are all there is the kind. */
static const enum label_kind kind_order[] = {LABEL_TON_IOT, LABEL_FIVE_TUPLE, LABEL_UNSW, LABEL_MAC,
                                             LABEL_PREFIX,  LABEL_FILE,       LABEL_CAPTURE};

static bool has_required(const struct columns *c, const struct kind_columns *k)
{
    for (size_t i = 0; i < DUNE_ARRAY_LEN(k->required) && k->required[i]; i++)
        if (columns_find(c, k->required[i]) < 0)
            return false;
    return true;
}

static bool is_listed(const char *name, const struct kind_columns *k)
{
    for (size_t i = 0; i < DUNE_ARRAY_LEN(k->required) && k->required[i]; i++)
        if (strcmp(name, k->required[i]) == 0)
            return true;
    for (size_t i = 0; i < DUNE_ARRAY_LEN(k->optional) && k->optional[i]; i++)
        if (strcmp(name, k->optional[i]) == 0)
            return true;
    return false;
}

static int check_columns(struct reading *g, const struct kind_columns *k)
{
    for (size_t i = 0; i < g->col.n; i++) {
        const char *name = g->col.name[i];

        if (!is_listed(name, k)) {
            if (!k->others)
                return BAD_ROW(g, "unknown column \"%s\" in this kind of label file", name);
        } else if (columns_find(&g->col, name) != (int)i) {
            return BAD_ROW(g, "column \"%s\" stands twice", name);
        }
    }
    return 0;
}

static int find_kind(struct reading *g)
{
    for (size_t i = 0; i < DUNE_ARRAY_LEN(kind_order); i++) {
        const struct kind_columns *k = &kind_columns[kind_order[i]];

        if (has_required(&g->col, k)) {
            g->l->kind = kind_order[i];
            for (int c = 0; c < N_COLUMNS; c++)
                g->at[c] = columns_find(&g->col, column_name[c]);
            g->l->timed = !labels_by_flow(g->l) && g->l->kind != LABEL_UNSW &&
                          (g->at[COL_START] >= 0 || g->at[COL_END] >= 0);
            return check_columns(g, k);
        }
    }
    return BAD_ROW(g, "not a label file: the header must be mac,label or prefix,label or file,label "
                   "or capture,label or src_ip,dst_ip,src_port,dst_port,proto,label"
                   "[,capture][,start][,end], the UNSW device list or the ToN-IoT flow list");
}

static int add_class(struct reading *g, const char *name, uint32_t *id)
{
    const char *problem = label_build_class(&g->build, name, id);

    return problem ? BAD_ROW(g, "%s", problem) : 0;
}

static const char *field(const struct reading *g, enum column c)
{
    return g->at[c] < 0 ? "" : g->col.csv.field[g->at[c]];
}

static int read_range(struct reading *g, struct label_span *s)
{
    const char *start = field(g, COL_START), *end = field(g, COL_END);

    s->end = UINT64_MAX;
    if (*start && !label_parse_when(start, &s->start))
        return BAD_ROW(g, "start \"%s\" is not a time: seconds, or like 2017-07-05T10:42:00Z", start);
    if (*end && !label_parse_when(end, &s->end))
        return BAD_ROW(g, "end \"%s\" is not a time: seconds, or like 2017-07-05T10:42:00Z", end);
    return s->start > s->end ? BAD_ROW(g, "the entry ends before it starts") : 0;
}

/* A key of the kinds that allow one entry per key, or several with ranges of time. */
static int add_key(struct reading *g, const void *key, size_t len, const char *text,
                   const char *label)
{
    struct keytab_value v;
    uint32_t cls;
    bool fresh;
    int rc = add_class(g, label, &cls);

    if (rc)
        return rc;
    if (g->l->timed) {
        struct label_span s = {.cls = cls, .line = (uint32_t)g->col.csv.line};

        rc = read_range(g, &s);
        if (rc == 0)
            spans_add_key(g->l, key, len, &s);
        return rc;
    }
    v = keytab_add(&g->lines, key, len, &fresh);
    if (!fresh)
        return BAD_ROW(g, "%s is listed twice, first on line %u", text, *v.value);
    *v.value = (uint32_t)g->col.csv.line;
    v = keytab_add(&g->l->keys, key, len, &fresh);
    *v.value = cls;
    return 0;
}

static int read_mac(struct reading *g)
{
    const char *text = field(g, COL_MAC);
    uint8_t mac[6];

    if (!label_parse_mac(text, mac))
        return BAD_ROW(g, "\"%s\" is not a MAC address", text);
    return add_key(g, mac, sizeof(mac), text, field(g, COL_LABEL));
}

/* Device, MAC and connection, with stray empty fields in between; an empty name is the one above. */
static int read_unsw(struct reading *g)
{
    const char *name = NULL;
    struct dune_csv *csv = &g->col.csv;
    uint8_t mac[6];

    for (size_t i = 0; i < csv->n_fields; i++) {
        if (label_parse_mac(csv->field[i], mac)) {
            name = name ? name : g->last_name;
            if (!name)
                return BAD_ROW(g, "no device name in front of the MAC address");
            if (memcmp(mac, g->l->gateway, 6) == 0)
                return 0; /* what it sends belongs to the devices it sends to */
            g->last_name = dune_arena_strdup(&g->l->arena, name);
            return add_key(g, mac, sizeof(mac), csv->field[i], name);
        }
        if (csv->field[i][0]) {
            if (name)
                break;
            name = csv->field[i];
        }
    }
    return BAD_ROW(g, "no MAC address after the device name");
}

static int bad_host_bits(struct reading *g, const char *text)
{
    return BAD_ROW(g, "\"%s\" has bits set after the prefix length", text);
}

static int read_prefix(struct reading *g)
{
    const char *text = field(g, COL_PREFIX), *slash = strchr(text, '/');
    char addr[64];
    size_t n = slash ? (size_t)(slash - text) : strlen(text), ip_len;
    uint8_t key[18] = {0};
    uint64_t bits;

    if (n >= sizeof(addr))
        return BAD_ROW(g, "\"%s\" is not an IP prefix", text);
    memcpy(addr, text, n);
    addr[n] = '\0';
    if (!label_parse_ip(addr, key + 2, &ip_len))
        return BAD_ROW(g, "\"%s\" is not an IP prefix", text);
    bits = ip_len * 8;
    if (slash && (!dune_parse_u64(slash + 1, &bits) || bits > ip_len * 8))
        return BAD_ROW(g, "\"%s\" is not an IP prefix", text);
    for (size_t i = (size_t)bits; i < ip_len * 8; i++)
        if (key[2 + i / 8] & 0x80 >> i % 8)
            return bad_host_bits(g, text);
    key[0] = ip_len == 16;
    key[1] = (uint8_t)bits;
    g->l->prefix_len[key[0]][bits] = 1; /* packed into a list at the end */
    return add_key(g, key, 2 + ip_len, text, field(g, COL_LABEL));
}

static int read_name(struct reading *g, enum column c)
{
    const char *text = field(g, c);

    if (!*text)
        return BAD_ROW(g, "no %s name", column_name[c]);
    if (strlen(text) > LABEL_MAX_KEY)
        return BAD_ROW(g, "a %s name of %zu bytes", column_name[c], strlen(text));
    g->l->names_files |= c == COL_CAPTURE && strchr(text, '#');
    return add_key(g, text, strlen(text), text, field(g, COL_LABEL));
}

static int parse_addresses(struct reading *g, uint8_t a[16], uint8_t b[16], size_t *len)
{
    const char *src = field(g, COL_SRC_IP), *dst = field(g, COL_DST_IP);
    size_t of_dst;

    if (!label_parse_ip(src, a, len))
        return BAD_ROW(g, "src_ip \"%s\" is not an IP address", src);
    if (!label_parse_ip(dst, b, &of_dst))
        return BAD_ROW(g, "dst_ip \"%s\" is not an IP address", dst);
    if (*len != of_dst)
        return BAD_ROW(g, "one address is IPv4, the other IPv6");
    return 0;
}

static int parse_tuple(struct reading *g, struct dune_flow_key *k)
{
    const char *sport = field(g, COL_SRC_PORT), *dport = field(g, COL_DST_PORT);
    const char *proto = field(g, COL_PROTO);
    uint8_t a[16], b[16], number;
    size_t len;
    uint16_t s, t;
    int rc = parse_addresses(g, a, b, &len);

    if (rc)
        return rc;
    if (!label_parse_port(sport, &s))
        return BAD_ROW(g, "src_port \"%s\" is not a port (0 to 65535)", sport);
    if (!label_parse_port(dport, &t))
        return BAD_ROW(g, "dst_port \"%s\" is not a port (0 to 65535)", dport);
    if (!label_parse_proto(proto, &number))
        return BAD_ROW(g, "proto \"%s\" is neither tcp, udp nor a number (0 to 255)", proto);
    label_make_key(k, a, b, len, s, t, number);
    return 0;
}

static uint32_t capture_number(struct reading *g, const char *name)
{
    struct keytab_value v;
    bool fresh;

    if (!*name)
        return 0;
    g->l->has_captures = true;
    g->l->names_files |= strchr(name, '#') != NULL;
    v = keytab_add(&g->l->captures, name, strlen(name), &fresh);
    if (fresh)
        *v.value = (uint32_t)g->l->captures.n_keys;
    return *v.value;
}

static int read_five_tuple(struct reading *g)
{
    struct label_span s = {.line = (uint32_t)g->col.csv.line};
    struct dune_flow_key k;
    int rc = parse_tuple(g, &k);

    if (rc == 0)
        rc = add_class(g, field(g, COL_LABEL), &s.cls);
    if (rc == 0)
        rc = read_range(g, &s);
    if (rc)
        return rc;
    if (strlen(field(g, COL_CAPTURE)) > LABEL_MAX_KEY)
        return BAD_ROW(g, "a capture name of %zu bytes", strlen(field(g, COL_CAPTURE)));
    spans_add(g->l, &k, capture_number(g, field(g, COL_CAPTURE)), &s);
    return 0;
}

/* A time stamp cut to whole seconds stands for that second. */
static int read_ton_iot(struct reading *g)
{
    struct label_span s = {.line = (uint32_t)g->col.csv.line};
    const char *ts = field(g, COL_TS), *duration = field(g, COL_DURATION);
    struct dune_flow_key k;
    uint64_t ns = 0;
    bool whole, ignored;
    uint8_t proto;
    int rc;

    if (!label_parse_proto(field(g, COL_PROTO), &proto))
        return BAD_ROW(g, "proto \"%s\" is neither tcp, udp nor a number (0 to 255)",
                       field(g, COL_PROTO));
    rc = add_class(g, field(g, COL_TYPE), &s.cls);
    if (rc || (proto != 6 && proto != 17))
        return rc; /* a packet of it is not inferable */
    if (!label_parse_time(ts, &s.start, &whole))
        return BAD_ROW(g, "ts \"%s\" is not a time in seconds", ts);
    if (*duration && strcmp(duration, "-") != 0 && !label_parse_time(duration, &ns, &ignored))
        return BAD_ROW(g, "duration \"%s\" is not a time in seconds", duration);
    rc = parse_tuple(g, &k);
    if (rc)
        return rc;
    s.end = s.start + ns + (whole ? 999999999u : 0);
    if (s.end < s.start)
        s.end = UINT64_MAX;
    k = spans_both_ways(&k);
    spans_add(g->l, &k, 0, &s);
    return 0;
}

static int read_row(struct reading *g)
{
    switch (g->l->kind) {
    case LABEL_MAC:
        return read_mac(g);
    case LABEL_UNSW:
        return read_unsw(g);
    case LABEL_PREFIX:
        return read_prefix(g);
    case LABEL_FILE:
        return read_name(g, COL_FILE);
    case LABEL_CAPTURE:
        return read_name(g, COL_CAPTURE);
    case LABEL_FIVE_TUPLE:
        return read_five_tuple(g);
    case LABEL_TON_IOT:
        return read_ton_iot(g);
    case LABEL_ZEEK:
    case LABEL_SURICATA: /* logs, no tables */
    case LABEL_NDPI:
    case LABEL_N_KINDS:
        break;
    }
    return dune_diag_set(g->d, DUNE_E_INTERNAL, g->col.csv.file, "a kind of labels nobody reads");
}

/* From flags per length to a list, longest first. */
static void pack_prefix_lengths(struct dune_labels *l)
{
    for (int f = 0; f < 2; f++) {
        uint8_t list[129];
        unsigned n = 0;

        for (int bits = 128; bits >= 0; bits--)
            if (l->prefix_len[f][bits])
                list[n++] = (uint8_t)bits;
        memcpy(l->prefix_len[f], list, n);
        l->n_prefix_len[f] = n;
    }
}

static int finish(struct reading *g)
{
    uint32_t line, first = 0;

    if (g->n_entries == 0 || g->build.names.len == 0)
        return BAD_ROW(g, "no labels below the header");
    label_build_finish(&g->build);
    if (g->l->kind == LABEL_PREFIX)
        pack_prefix_lengths(g->l);
    if (!labels_have_spans(g->l))
        return 0;
    line = spans_finish(g->l, &first);
    if (!line || g->l->kind == LABEL_TON_IOT)
        return 0;
    dune_diag_set_line(g->d, DUNE_E_FORMAT, g->col.csv.file, line,
                       "%s is listed twice without a range of time, first on line %u",
                       labels_by_flow(g->l) ? "the 5-tuple" : "the entry", first);
    return DUNE_E_FORMAT;
}

static bool is_full(const struct reading *g)
{
    return g->col.csv.line > UINT32_MAX - 1 || g->l->spans.len >= UINT32_MAX - 1 ||
           keytab_is_full(&g->l->keys) || keytab_is_full(&g->l->captures) ||
           keytab_is_full(&g->lines) || keytab_is_full(&g->build.classes);
}

int labels_read_rows(struct dune_labels *l, const char *name, const void *data, size_t len,
                     struct dune_diag *d)
{
    struct reading g = {.l = l, .d = d, .build.l = l};
    int rc = columns_open(&g.col, name, data, len, d);

    if (rc == 0)
        rc = find_kind(&g);
    while (rc == 0) {
        rc = columns_next(&g.col, l->kind == LABEL_UNSW, d);
        if (rc <= 0)
            break;
        g.n_entries++;
        rc = is_full(&g) ? BAD_ROW(&g, "more entries than can be kept") : read_row(&g);
    }
    if (rc == 0)
        rc = finish(&g);
    columns_fini(&g.col);
    label_build_fini(&g.build);
    keytab_fini(&g.lines);
    return rc;
}
