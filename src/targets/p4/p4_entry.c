/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of tables: built field by field, written as runtime CLI, P4Runtime text or bfrt JSON. */
#include "targets/p4/p4_int.h"

#include <string.h>

void p4_entries_fini(struct p4_entries *e)
{
    dune_arena_fini(&e->arena);
    DUNE_VEC_FREE(e);
}

static char *format(struct p4_entries *e, const char *fmt, va_list ap)
{
    char text[512];

    vsnprintf(text, sizeof(text), fmt, ap);
    return dune_arena_strdup(&e->arena, text);
}

void p4_comment(struct p4_entries *e, const char *fmt, ...)
{
    struct p4_entry one = {0};
    va_list ap;

    va_start(ap, fmt);
    one.comment = format(e, fmt, ap);
    va_end(ap);
    DUNE_VEC_PUSH(e, one);
}

enum { MAX_FIELDS = DUNE_N_FEATURES + 2 };

void p4_begin(struct p4_entries *e, const char *action, const char *table_fmt, ...)
{
    struct p4_entry one = {0};
    va_list ap;

    va_start(ap, table_fmt);
    one.table = format(e, table_fmt, ap);
    va_end(ap);
    one.action = dune_arena_strdup(&e->arena, action);
    DUNE_VEC_PUSH(e, one);
}

static struct p4_entry *last(struct p4_entries *e)
{
    return &e->data[e->len - 1];
}

static uint8_t *bytes_of(struct p4_entries *e, uint32_t bits, uint64_t value)
{
    uint32_t n = (bits + 7) / 8;
    uint8_t *b = dune_arena_alloc(&e->arena, DUNE_MAX(n, 1u), 1);

    for (uint32_t i = 0; i < n && i < 8; i++)
        b[n - 1 - i] = (uint8_t)(value >> (8 * i));
    return b;
}

/* Character i of text (the highest bit first) is one of set: the bit is 1. */
static uint8_t *bytes_of_text(struct p4_entries *e, uint32_t bits, const char *text, uint32_t n,
                              const char *set)
{
    uint8_t *b = bytes_of(e, bits, 0);
    uint32_t n_bytes = (bits + 7) / 8;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t bit = bits - 1 - i;

        if (strchr(set, text[i]))
            b[n_bytes - 1 - bit / 8] |= (uint8_t)(1u << bit % 8);
    }
    return b;
}

static void add_match(struct p4_entries *e, enum p4_match_kind kind, const char *name, uint32_t bits,
                      uint8_t *value, uint8_t *mask)
{
    struct p4_entry *x = last(e);

    if (!x->match)
        x->match = dune_arena_alloc(&e->arena, MAX_FIELDS, sizeof(*x->match));
    if (x->n_match < MAX_FIELDS)
        x->match[x->n_match++] = (struct p4_match){kind, dune_arena_strdup(&e->arena, name), bits,
                                                   value, mask};
}

void p4_exact(struct p4_entries *e, const char *name, uint32_t bits, uint64_t value)
{
    add_match(e, P4_EXACT, name, bits, bytes_of(e, bits, value), NULL);
}

void p4_range(struct p4_entries *e, const char *name, uint32_t bits, uint64_t lo, uint64_t hi)
{
    add_match(e, P4_RANGE, name, bits, bytes_of(e, bits, lo), bytes_of(e, bits, hi));
}

void p4_ternary(struct p4_entries *e, const char *name, uint32_t bits, uint64_t value, uint64_t mask)
{
    add_match(e, P4_TERNARY, name, bits, bytes_of(e, bits, value & mask), bytes_of(e, bits, mask));
}

void p4_ternary_bytes(struct p4_entries *e, const char *name, uint32_t bits, const uint8_t *value,
                      const uint8_t *mask)
{
    uint8_t *v = bytes_of(e, bits, 0), *m = bytes_of(e, bits, 0);

    for (uint32_t i = 0; i < (bits + 7) / 8; i++) {
        v[i] = value[i] & mask[i];
        m[i] = mask[i];
    }
    add_match(e, P4_TERNARY, name, bits, v, m);
}

void p4_ternary_text(struct p4_entries *e, const char *name, uint32_t bits, const char *text, uint32_t n)
{
    add_match(e, P4_TERNARY, name, bits, bytes_of_text(e, bits, text, n, "1"),
              bytes_of_text(e, bits, text, n, "01"));
}

static void add_param(struct p4_entries *e, const char *name, uint32_t bits, uint8_t *value)
{
    struct p4_entry *x = last(e);

    if (!x->param)
        x->param = dune_arena_alloc(&e->arena, MAX_FIELDS, sizeof(*x->param));
    if (x->n_param < MAX_FIELDS)
        x->param[x->n_param++] = (struct p4_param){dune_arena_strdup(&e->arena, name), bits, value};
}

void p4_value(struct p4_entries *e, const char *name, uint32_t bits, uint64_t value)
{
    add_param(e, name, bits, bytes_of(e, bits, value));
}

void p4_value_text(struct p4_entries *e, const char *name, uint32_t bits, const char *text, uint32_t n)
{
    add_param(e, name, bits, bytes_of_text(e, bits, text, n, "1"));
}

void p4_priority(struct p4_entries *e, uint32_t priority)
{
    last(e)->priority = priority;
}

/* --- runtime CLI of simple_switch --------------------------------------------------------------------- */

/* Short values in decimal, long ones in hex. */
static void put_number(struct dune_buf *out, const uint8_t *b, uint32_t bits)
{
    uint32_t n = (bits + 7) / 8;
    uint64_t v = 0;

    if (bits > 32) {
        dune_buf_puts(out, "0x");
        for (uint32_t i = 0; i < n; i++)
            dune_buf_printf(out, "%02x", b[i]);
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        v = v << 8 | b[i];
    dune_buf_printf(out, "%llu", (unsigned long long)v);
}

static void put_hex(struct dune_buf *out, const uint8_t *b, uint32_t bits)
{
    dune_buf_puts(out, "0x");
    for (uint32_t i = 0; i < (bits + 7) / 8; i++)
        dune_buf_printf(out, "%02x", b[i]);
}

static void put_cli_match(struct dune_buf *out, const struct p4_match *m)
{
    dune_buf_puts(out, " ");
    if (m->kind == P4_EXACT) {
        put_number(out, m->value, m->bits);
    } else if (m->kind == P4_RANGE) {
        put_number(out, m->value, m->bits);
        dune_buf_puts(out, "->");
        put_number(out, m->mask, m->bits);
    } else {
        put_hex(out, m->value, m->bits);
        dune_buf_puts(out, "&&&");
        put_hex(out, m->mask, m->bits);
    }
}

/* The scope of a table is that of its actions: "arrive.ports" -> "arrive." */
static int scope_len(const char *table)
{
    const char *dot = strrchr(table, '.');

    return dot ? (int)(dot - table) + 1 : 0;
}

static void put_action(struct dune_buf *out, const struct p4_entries *e, const struct p4_entry *x)
{
    dune_buf_printf(out, " %s%.*s%s", e->prefix, scope_len(x->table), x->table, x->action);
}

void p4_write_cli(struct dune_buf *out, const struct p4_entries *e)
{
    for (size_t i = 0; i < e->len; i++) {
        const struct p4_entry *x = &e->data[i];

        if (x->comment)
            dune_buf_printf(out, "# %s\n", x->comment);
        if (!x->table)
            continue;
        dune_buf_printf(out, "%s %s%s", x->n_match ? "table_add" : "table_set_default", e->prefix,
                        x->table);
        put_action(out, e, x);
        for (uint32_t j = 0; j < x->n_match; j++)
            put_cli_match(out, &x->match[j]);
        if (x->n_match)
            dune_buf_puts(out, " =>");
        for (uint32_t j = 0; j < x->n_param; j++) {
            dune_buf_puts(out, " ");
            put_number(out, x->param[j].value, x->param[j].bits);
        }
        if (x->priority)
            dune_buf_printf(out, " %u", x->priority);
        dune_buf_puts(out, "\n");
    }
}

/* --- P4Runtime text ------------------------------------------------------------------------------------ */

uint32_t p4_id(uint32_t prefix, const char *name)
{
    return prefix << 24 | (dune_crc32(name, strlen(name)) & 0x7ffffe) | 1;
}

/* The shortest byte string, as P4Runtime wants it. */
static void put_bytes(struct dune_buf *out, const uint8_t *b, uint32_t bits)
{
    uint32_t n = (bits + 7) / 8, i = 0;

    while (i + 1 < n && b[i] == 0)
        i++;
    dune_buf_puts(out, "\"");
    for (; i < n; i++)
        dune_buf_printf(out, "\\x%02x", b[i]);
    dune_buf_puts(out, "\"");
}

static bool all_zero(const uint8_t *b, uint32_t bits)
{
    for (uint32_t i = 0; i < (bits + 7) / 8; i++)
        if (b[i])
            return false;
    return true;
}

/* Matches that do not care must be left out. */
static bool matches_all(const struct p4_match *m)
{
    uint32_t n = (m->bits + 7) / 8, ones = 0;

    if (m->kind == P4_TERNARY)
        return all_zero(m->mask, m->bits);
    if (m->kind == P4_EXACT || !all_zero(m->value, m->bits))
        return false;
    for (uint32_t i = 0; i < n * 8; i++)
        ones += m->mask[i / 8] >> (7 - i % 8) & 1;
    return ones == m->bits;
}

static void put_runtime_match(struct dune_buf *out, uint32_t field, const struct p4_match *m)
{
    static const char *const kind[] = {"exact { value: ", "ternary { value: ", "range { low: "};

    if (matches_all(m))
        return;
    dune_buf_printf(out, "      match { field_id: %u %s", field, kind[m->kind]);
    put_bytes(out, m->value, m->bits);
    if (m->kind != P4_EXACT) {
        dune_buf_puts(out, m->kind == P4_TERNARY ? " mask: " : " high: ");
        put_bytes(out, m->mask, m->bits);
    }
    dune_buf_puts(out, " } }\n");
}

static void put_runtime_entry(struct dune_buf *out, const struct p4_entries *e,
                              const struct p4_entry *x)
{
    char action[512];

    snprintf(action, sizeof(action), "%.*s%s", scope_len(x->table), x->table, x->action);
    dune_buf_printf(out, "updates {\n  type: %s\n  entity {\n    table_entry { # %s%s\n      table_id: %u\n",
                    x->n_match ? "INSERT" : "MODIFY", e->prefix, x->table, p4_id(2, x->table));
    for (uint32_t j = 0; j < x->n_match; j++)
        put_runtime_match(out, j + 1, &x->match[j]);
    dune_buf_printf(out, "      action { action { action_id: %u", p4_id(1, action));
    for (uint32_t j = 0; j < x->n_param; j++) {
        dune_buf_printf(out, " params { param_id: %u value: ", j + 1);
        put_bytes(out, x->param[j].value, x->param[j].bits);
        dune_buf_puts(out, " }");
    }
    dune_buf_puts(out, " } }\n");
    if (x->priority) /* here the higher number wins */
        dune_buf_printf(out, "      priority: %u\n", 1000000 - x->priority);
    if (!x->n_match)
        dune_buf_puts(out, "      is_default_action: true\n");
    dune_buf_puts(out, "    }\n  }\n}\n");
}

void p4_write_runtime(struct dune_buf *out, const struct p4_entries *e)
{
    dune_buf_puts(out, "# p4.v1.WriteRequest; device_id and election_id are the loader's\n");
    for (size_t i = 0; i < e->len; i++) {
        if (e->data[i].comment)
            dune_buf_printf(out, "# %s\n", e->data[i].comment);
        if (e->data[i].table)
            put_runtime_entry(out, e, &e->data[i]);
    }
}
