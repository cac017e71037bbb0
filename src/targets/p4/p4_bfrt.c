/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bfrt JSON: an array of entries, each {"table_name", "action", "key", "data"}, keys and data in the
 * order of the program. Numbers above 32 bits are hex strings.
 */
#include <jansson.h>
#include <string.h>

#include "targets/p4/p4_interp_int.h"

#define PARSER "DuneIngressParser."

/* --- writing ------------------------------------------------------------------------------------------- */

static void put_value(struct dune_buf *out, const uint8_t *b, uint32_t bits)
{
    uint64_t v = 0;

    if (bits > 32) {
        dune_buf_puts(out, "\"0x");
        for (uint32_t i = 0; i < (bits + 7) / 8; i++)
            dune_buf_printf(out, "%02x", b[i]);
        dune_buf_puts(out, "\"");
        return;
    }
    for (uint32_t i = 0; i < (bits + 7) / 8; i++)
        v = v << 8 | b[i];
    dune_buf_printf(out, "%llu", (unsigned long long)v);
}

static void put_match(struct dune_buf *out, const struct p4_match *m)
{
    dune_buf_printf(out, "\"%s\": ", m->name);
    if (m->kind == P4_EXACT) {
        put_value(out, m->value, m->bits);
        return;
    }
    dune_buf_puts(out, m->kind == P4_RANGE ? "[" : "{\"value\": ");
    put_value(out, m->value, m->bits);
    dune_buf_puts(out, m->kind == P4_RANGE ? ", " : ", \"mask\": ");
    put_value(out, m->mask, m->bits);
    dune_buf_puts(out, m->kind == P4_RANGE ? "]" : "}");
}

static void put_entry(struct dune_buf *out, const struct p4_entries *e, const struct p4_entry *x)
{
    const char *dot = strrchr(x->table, '.');
    int scope = dot ? (int)(dot - x->table) + 1 : 0;

    if (!*x->action) /* the parser's port table has no action */
        dune_buf_printf(out, "  {\"table_name\": \"%s%s\", \"key\": {", PARSER, x->table);
    else if (strcmp(x->action, "NoAction") == 0)
        dune_buf_printf(out, "  {\"table_name\": \"%s%s\", \"action\": \"NoAction\", \"key\": {", e->prefix,
                        x->table);
    else
        dune_buf_printf(out, "  {\"table_name\": \"%s%s\", \"action\": \"%s%.*s%s\", \"key\": {", e->prefix,
                        x->table, e->prefix, scope, x->table, x->action);
    for (uint32_t i = 0; i < x->n_match; i++) {
        dune_buf_puts(out, i ? ", " : "");
        put_match(out, &x->match[i]);
    }
    if (x->priority)
        dune_buf_printf(out, ", \"$MATCH_PRIORITY\": %u", x->priority);
    dune_buf_puts(out, "}, \"data\": {");
    for (uint32_t i = 0; i < x->n_param; i++) {
        dune_buf_printf(out, "%s\"%s\": ", i ? ", " : "", x->param[i].name);
        put_value(out, x->param[i].value, x->param[i].bits);
    }
    dune_buf_puts(out, "}}");
}

void p4_write_bfrt(struct dune_buf *out, const struct p4_entries *e)
{
    const char *sep = "[\n";

    for (size_t i = 0; i < e->len; i++) {
        if (!e->data[i].table)
            continue;
        dune_buf_puts(out, sep);
        put_entry(out, e, &e->data[i]);
        sep = ",\n";
    }
    dune_buf_puts(out, "\n]\n");
}

/* --- reading ------------------------------------------------------------------------------------------- */

static bool get_number(struct dune_p4_tables *t, const json_t *j, struct p4_num *out)
{
    char text[32];

    if (json_is_string(j))
        return p4_num_parse(t, json_string_value(j), json_string_length(j), out);
    if (!json_is_integer(j) || json_integer_value(j) < 0)
        return false;
    snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(j));
    return p4_num_parse(t, text, strlen(text), out);
}

static bool get_cell(struct dune_p4_tables *t, const json_t *j, struct p4_cell *c)
{
    if (json_is_array(j)) {
        c->kind = P4_RANGE;
        return get_number(t, json_array_get(j, 0), &c->value) &&
               get_number(t, json_array_get(j, 1), &c->mask);
    }
    if (json_is_object(j)) {
        c->kind = P4_TERNARY;
        return get_number(t, json_object_get(j, "value"), &c->value) &&
               get_number(t, json_object_get(j, "mask"), &c->mask);
    }
    c->kind = P4_EXACT;
    return get_number(t, j, &c->value);
}

static bool get_entry(struct dune_p4_tables *t, json_t *entry)
{
    struct p4_cell cell[DUNE_N_FEATURES + 4];
    struct p4_row_param value[DUNE_N_FEATURES + 4];
    struct p4_row row = {.cell = cell, .param = value};
    const char *table = json_string_value(json_object_get(entry, "table_name")), *name;
    const char *action = json_string_value(json_object_get(entry, "action")), *dot;
    json_t *j;

    if (table && strncmp(table, PARSER, strlen(PARSER)) == 0)
        return true; /* ports: not part of a verdict */
    if (!table || strncmp(table, "DuneIngress.", 12) != 0)
        return false;
    json_object_foreach(json_object_get(entry, "key"), name, j) {
        if (strcmp(name, "$MATCH_PRIORITY") == 0) {
            row.priority = (uint32_t)json_integer_value(j);
            continue;
        }
        t->sets |= strcmp(name, "g") == 0;
        if (row.n_cells == DUNE_ARRAY_LEN(cell) || !get_cell(t, j, &cell[row.n_cells++]))
            return false;
    }
    json_object_foreach(json_object_get(entry, "data"), name, j) {
        struct p4_row_param *p = &value[row.n_params];

        if (row.n_params == DUNE_ARRAY_LEN(value) || !get_number(t, j, &p->value))
            return false;
        p->tree = row.n_params++;
        if (name[0] == 'c' && name[1] >= '0' && name[1] <= '9')
            sscanf(name, "c%u", &p->tree); /* code words are named after their tree */
    }
    dot = action ? strrchr(action, '.') : NULL;
    row.action = dune_arena_strdup(&t->arena, dot ? dot + 1 : action ? action : "");
    p4_row_add(t, p4_table_get(t, table + 12), &row);
    return true;
}

int p4_parse_bfrt(struct dune_p4_tables *t, const char *name, const char *text, size_t len,
                  struct dune_diag *d)
{
    json_error_t err;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &err), *entry;
    size_t i;
    int rc = 0;

    if (!root)
        return dune_diag_set_line(d, DUNE_E_FORMAT, name, (uint64_t)DUNE_MAX(err.line, 0), "%s", err.text);
    if (!json_is_array(root))
        rc = dune_diag_set(d, DUNE_E_FORMAT, name, "want an array of entries");
    json_array_foreach(root, i, entry) {
        if (rc == 0 && !get_entry(t, entry))
            rc = dune_diag_set_line(d, DUNE_E_FORMAT, name, i + 2,
                                    "want {\"table_name\", \"action\", \"key\", \"data\"}");
    }
    json_decref(root);
    return rc;
}
