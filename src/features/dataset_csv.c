/* SPDX-License-Identifier: Apache-2.0 */
/* Views as CSV, out and in, with the column names of the published data sets. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/spill.h"
#include "features/dataset_int.h"

#define WEIGHT_DECIMALS 100000000u /* finer than 2^-24: the integer weight comes back */
#define TICK_NS 1024u

/* --- out ----------------------------------------------------------------------------------------- */

static void put_u64(struct dune_buf *b, uint64_t v)
{
    char text[20];
    size_t at = sizeof(text);

    do
        text[--at] = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    dune_buf_append(b, text + at, sizeof(text) - at);
}

/* v / unit with as many decimals as unit has zeros. */
static void put_fixed(struct dune_buf *b, uint64_t v, uint64_t unit)
{
    put_u64(b, v / unit);
    dune_buf_append(b, ".", 1);
    for (uint64_t rest = v % unit, u = unit / 10; u; rest %= u, u /= 10) {
        char digit = (char)('0' + rest / u);

        dune_buf_append(b, &digit, 1);
    }
}

static void put_header(struct dune_buf *b, const struct dune_table *t)
{
    dune_buf_puts(b, "flow,capture,split,packet,");
    for (uint32_t c = 0; c < t->n_cols; c++) {
        dune_csv_put(b, dune_catalog[t->feat[c]].published);
        dune_buf_puts(b, ",");
    }
    dune_buf_puts(b, "weight,Label\n");
}

static void put_row(struct dune_buf *b, const struct dune_dataset *ds, const struct dune_table *t,
                    size_t i, const uint8_t *part)
{
    put_u64(b, t->flow[i]);
    dune_buf_puts(b, ",");
    dune_csv_put(b, ds->capture_name[ds->flow_capture[t->flow[i]]]);
    dune_buf_puts(b, ds->flow_split[t->flow[i]] == DUNE_SPLIT_TEST ? ",test,"
                     : part && part[t->flow[i]] == 1               ? ",validation,"
                                                                   : ",train,");
    put_u64(b, t->pos[i]);
    for (uint32_t c = 0; c < t->n_cols; c++) {
        dune_buf_append(b, ",", 1);
        if (dune_catalog[t->feat[c]].flags & DUNE_FF_TIME)
            put_fixed(b, (uint64_t)t->col[c][i] * TICK_NS, 1000);
        else
            put_u64(b, t->col[c][i]);
    }
    dune_buf_append(b, ",", 1);
    put_fixed(b, (t->w[i] * WEIGHT_DECIMALS + DUNE_WEIGHT_ONE / 2) / DUNE_WEIGHT_ONE, WEIGHT_DECIMALS);
    dune_buf_append(b, ",", 1);
    dune_csv_put(b, ds->class_name[t->cls[i]]);
    dune_buf_append(b, "\n", 1);
}

int dune_dataset_csv_write_parts(const struct dune_dataset *ds, const struct dune_view *v, const uint8_t *part,
                                 const char *path, struct dune_diag *d)
{
    struct dune_outfile o = {0};
    struct dune_buf b = {0};
    struct dune_table t;
    int rc = dune_table_build(&t, ds, v, d);

    if (rc)
        return rc;
    rc = dune_outfile_open(&o, path, d);
    if (rc == 0)
        put_header(&b, &t);
    for (size_t i = 0; i < t.n_rows && rc == 0; i++) {
        put_row(&b, ds, &t, i, part);
        if (b.len > 1 << 16) {
            dune_spill_fwrite(b.data, b.len, o.f); /* commit looks for errors */
            b.len = 0;
        }
    }
    if (rc == 0) {
        dune_spill_fwrite(b.data, b.len, o.f);
        rc = dune_outfile_commit(&o, d);
    }
    dune_buf_fini(&b);
    dune_table_fini(&t);
    return rc;
}

int dune_dataset_csv_write(const struct dune_dataset *ds, const struct dune_view *v, const char *path,
                           struct dune_diag *d)
{
    return dune_dataset_csv_write_parts(ds, v, NULL, path, d);
}

/* --- in ------------------------------------------------------------------------------------------ */

enum { COL_IGNORED = -1, COL_LABEL = -2, COL_WEIGHT = -3, COL_FLOW = -4, COL_PACKET = -5,
       COL_UNKNOWN = -6 };

struct class_entry {
    const char *name;
    uint16_t id; /* in order of appearance */
};

struct csv_in {
    const char *name;
    int *role; /* per CSV column: feature's column in the table or COL_* */
    size_t n_fields;
    struct dune_table *t;
    size_t cap; /* rows the table's arrays hold */
    DUNE_VEC(struct class_entry) classes; /* sorted by name */
    struct dune_arena arena;
    struct dune_csv csv;
};

static int role_of(const char *head)
{
    static const struct {
        const char *name;
        int role;
    } known[] = {{"", COL_IGNORED},       {"Unnamed: 0", COL_IGNORED}, {"capture", COL_IGNORED},
                 {"split", COL_IGNORED},  {"flow", COL_FLOW},          {"packet", COL_PACKET},
                 {"weight", COL_WEIGHT},  {"label", COL_LABEL}};
    int feature = dune_feature_find(head);

    for (size_t i = 0; i < DUNE_ARRAY_LEN(known); i++)
        if (strcasecmp(head, known[i].name) == 0)
            return known[i].role;
    return feature >= 0 ? feature : COL_UNKNOWN;
}

static int bad_column(const struct csv_in *in, const char *head, const char *what, struct dune_diag *d)
{
    return dune_diag_set_place(d, DUNE_E_FORMAT, in->name, head, "%s", what);
}

/* Gives every column of the header its role and the table its features, in catalog order. */
static int read_header(struct csv_in *in, struct dune_diag *d)
{
    struct dune_table *t = in->t;
    int col_of[DUNE_N_FEATURES];
    dune_feature_mask seen = 0;
    unsigned special = 0;

    in->n_fields = in->csv.n_fields;
    in->role = dune_mem_alloc(in->n_fields, sizeof(*in->role));
    for (size_t i = 0; i < in->n_fields; i++) {
        const char *head = in->csv.field[i];
        int role = role_of(head);

        if (role == COL_UNKNOWN)
            return bad_column(in, head, "unknown column: neither a feature of the catalog nor flow, "
                                        "capture, split, packet, weight or Label", d);
        if ((role >= 0 && seen >> role & 1) || (role < COL_IGNORED && special >> -role & 1))
            return bad_column(in, head, "this column comes twice", d);
        if (role >= 0)
            seen |= (dune_feature_mask)1 << role;
        else
            special |= 1u << -role;
        in->role[i] = role;
    }
    if (!seen)
        return dune_diag_set_line(d, DUNE_E_FORMAT, in->name, in->csv.line, "no column is a feature");
    if (!(special >> -COL_LABEL & 1))
        return dune_diag_set_line(d, DUNE_E_FORMAT, in->name, in->csv.line, "there is no Label column");
    t->feat = DUNE_NEW_N(uint8_t, DUNE_N_FEATURES);
    t->col = DUNE_NEW_N(uint32_t *, DUNE_N_FEATURES);
    for (int f = 0; f < DUNE_N_FEATURES; f++)
        if (seen >> f & 1) {
            col_of[f] = (int)t->n_cols;
            t->feat[t->n_cols++] = (uint8_t)f;
        }
    for (size_t i = 0; i < in->n_fields; i++)
        if (in->role[i] >= 0)
            in->role[i] = col_of[in->role[i]];
    return 0;
}

static void reserve_row(struct csv_in *in)
{
    struct dune_table *t = in->t;

    if (t->n_rows < in->cap)
        return;
    in->cap = in->cap ? in->cap * 2 : 256;
    for (uint32_t c = 0; c < t->n_cols; c++)
        t->col[c] = dune_mem_realloc(t->col[c], in->cap, sizeof(**t->col));
    t->cls = dune_mem_realloc(t->cls, in->cap, sizeof(*t->cls));
    t->w = dune_mem_realloc(t->w, in->cap, sizeof(*t->w));
    t->flow = dune_mem_realloc(t->flow, in->cap, sizeof(*t->flow));
    t->pos = dune_mem_realloc(t->pos, in->cap, sizeof(*t->pos));
}

/* Id of a class name, in order of appearance; UINT16_MAX when there are too many. */
static uint16_t class_id(struct csv_in *in, const char *name)
{
    size_t lo = 0, hi = in->classes.len;
    struct class_entry e = {.id = (uint16_t)in->classes.len};

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int order = strcmp(in->classes.data[mid].name, name);

        if (order == 0)
            return in->classes.data[mid].id;
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (in->classes.len == UINT16_MAX)
        return UINT16_MAX;
    e.name = dune_arena_strdup(&in->arena, name);
    DUNE_VEC_PUSH(&in->classes, e);
    memmove(in->classes.data + lo + 1, in->classes.data + lo,
            (in->classes.len - 1 - lo) * sizeof(e));
    in->classes.data[lo] = e;
    return e.id;
}

/* Decimal text as an integer of units of 10^-decimals; further decimals must be digits and are cut. */
static bool parse_fixed(const char *s, int decimals, uint64_t *out)
{
    uint64_t v = 0;

    if (*s < '0' || *s > '9')
        return false;
    for (; *s >= '0' && *s <= '9'; s++) {
        if (v > UINT64_MAX / 10 - 1)
            return false;
        v = v * 10 + (uint64_t)(*s - '0');
    }
    if (*s == '.' && s[1])
        s++;
    for (; decimals > 0; decimals--) {
        if (v > UINT64_MAX / 10 - 1)
            return false;
        v = v * 10 + (*s >= '0' && *s <= '9' ? (uint64_t)(*s++ - '0') : 0);
    }
    while (*s >= '0' && *s <= '9')
        s++;
    *out = v;
    return *s == '\0';
}

/* A feature's value; times come in microseconds. */
static bool parse_value(const char *s, int feature, uint32_t *out)
{
    const struct dune_feature *f = &dune_catalog[feature];
    uint64_t v;

    if (f->phase == DUNE_PHASE_FL && (strcmp(s, "-1") == 0 || strcmp(s, "-1.0") == 0)) {
        *out = 0;
        return true;
    }
    if (f->flags & DUNE_FF_TIME) {
        if (!parse_fixed(s, 3, &v))
            return false;
        v /= TICK_NS;
    } else {
        const char *point = strchr(s, '.');

        /* 12.0 is how other tools write 12 */
        if ((point && point[1 + strspn(point + 1, "0")]) || !parse_fixed(s, 0, &v))
            return false;
    }
    *out = (uint32_t)v;
    return v <= dune_feature_max(feature);
}

static int bad_field(const struct csv_in *in, const char *what, const char *text, struct dune_diag *d)
{
    return dune_diag_set_line(d, DUNE_E_FORMAT, in->name, in->csv.line, "%s: bad value \"%.80s\"", what,
                              text);
}

static int read_field(struct csv_in *in, size_t i, struct dune_diag *d)
{
    struct dune_table *t = in->t;
    const char *s = in->csv.field[i];
    size_t row = t->n_rows;
    uint64_t v;

    switch (in->role[i]) {
    case COL_IGNORED:
        return 0;
    case COL_LABEL:
        t->cls[row] = class_id(in, s);
        if (t->cls[row] == UINT16_MAX)
            return dune_diag_set_line(d, DUNE_E_FORMAT, in->name, in->csv.line, "more than %d classes",
                                      UINT16_MAX);
        return *s ? 0 : bad_field(in, "Label", s, d);
    case COL_WEIGHT:
        if (!parse_fixed(s, 8, &v) || v == 0 || v > UINT64_C(1000) * WEIGHT_DECIMALS)
            return bad_field(in, "weight", s, d);
        v = (v * DUNE_WEIGHT_ONE + WEIGHT_DECIMALS / 2) / WEIGHT_DECIMALS;
        t->w[row] = DUNE_MAX(v, (uint64_t)1);
        return 0;
    case COL_FLOW:
    case COL_PACKET:
        if (!dune_parse_u64(s, &v) || v > UINT32_MAX)
            return bad_field(in, in->role[i] == COL_FLOW ? "flow" : "packet", s, d);
        *(in->role[i] == COL_FLOW ? &t->flow[row] : &t->pos[row]) = (uint32_t)v;
        return 0;
    default:
        if (!parse_value(s, t->feat[in->role[i]], &t->col[in->role[i]][row]))
            return bad_field(in, dune_catalog[t->feat[in->role[i]]].published, s, d);
        return 0;
    }
}

static int read_row(struct csv_in *in, struct dune_diag *d)
{
    struct dune_table *t = in->t;
    int rc = 0;

    if (in->csv.n_fields != in->n_fields)
        return dune_diag_set_line(d, DUNE_E_FORMAT, in->name, in->csv.line,
                                  "%zu columns where the header has %zu", in->csv.n_fields, in->n_fields);
    if (t->n_rows >= UINT32_MAX)
        return dune_diag_set_line(d, DUNE_E_FORMAT, in->name, in->csv.line, "too many rows");
    reserve_row(in);
    t->w[t->n_rows] = DUNE_WEIGHT_ONE;
    t->flow[t->n_rows] = (uint32_t)t->n_rows;
    t->pos[t->n_rows] = 1;
    for (size_t i = 0; i < in->n_fields && rc == 0; i++)
        rc = read_field(in, i, d);
    t->n_rows += rc == 0;
    return rc;
}

/* Turns ids in order of appearance into ids in bytewise order and hands the names out. */
static void sort_classes(struct csv_in *in, char ***class_names)
{
    uint32_t n = (uint32_t)in->classes.len;
    uint16_t *rank = dune_mem_alloc(n, sizeof(*rank));

    *class_names = DUNE_NEW_N(char *, n);
    for (uint32_t i = 0; i < n; i++) {
        rank[in->classes.data[i].id] = (uint16_t)i;
        (*class_names)[i] = dune_mem_strdup(in->classes.data[i].name);
    }
    for (size_t i = 0; i < in->t->n_rows; i++)
        in->t->cls[i] = rank[in->t->cls[i]];
    in->t->n_classes = n;
    dune_mem_free(rank);
}

int dune_table_csv_parse(struct dune_table *t, const char *name, const void *data, size_t len,
                         char ***class_names, struct dune_diag *d)
{
    struct csv_in in = {.name = name, .t = t};
    int rc;

    memset(t, 0, sizeof(*t));
    *class_names = NULL;
    dune_csv_init(&in.csv, name, data, len);
    rc = dune_csv_next(&in.csv, d);
    if (rc == 0)
        rc = dune_diag_set(d, DUNE_E_FORMAT, name, "an empty file: want a header line");
    else if (rc == 1)
        rc = read_header(&in, d);
    while (rc == 0) {
        int more = dune_csv_next(&in.csv, d);

        if (more <= 0) {
            rc = more;
            break;
        }
        rc = read_row(&in, d);
    }
    if (rc == 0 && t->n_rows == 0)
        rc = dune_diag_set(d, DUNE_E_INPUT, name, "no row after the header");
    if (rc == 0)
        sort_classes(&in, class_names);
    else
        dune_table_fini(t);
    DUNE_VEC_FREE(&in.classes);
    dune_arena_fini(&in.arena);
    dune_csv_fini(&in.csv);
    dune_mem_free(in.role);
    return rc;
}

int dune_table_csv_read(struct dune_table *t, const char *path, char ***class_names,
                        struct dune_diag *d)
{
    struct dune_map m;
    int rc = dune_map_open(&m, path, d);

    memset(t, 0, sizeof(*t));
    *class_names = NULL;
    if (rc)
        return rc;
    rc = dune_table_csv_parse(t, path, m.data, m.len, class_names, d);
    dune_map_close(&m);
    return rc;
}

void dune_class_names_free(char **names, uint32_t n)
{
    for (uint32_t i = 0; names && i < n; i++)
        dune_mem_free(names[i]);
    dune_mem_free(names);
}
